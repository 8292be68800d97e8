package core

// Machine is anything that the simulator and the host can run: a broker, a client, an app.
type Machine interface {
	// Step changes the machine by one event and appends effects. It never blocks and never asks the world.
	Step(now Now, ev *Event, out *Out)
	// Next is the instant on the monotonic clock at which to Step a Tick if nothing else happens before;
	// Never if there is none.
	Next() Time
}

// Pure is what a world may compute before or beside the machine: functions of their arguments alone.
// core/broker fills it; cmd and sim hand it to the worlds, which import no other room.
type Pure struct {
	// Split looks at the bytes that a connection has brought so far and returns the length of the first
	// frame, its four length bytes included, or 0 if there are too few bytes to tell. An error means that
	// the stream can't go on.
	Split func(stream []byte, limit int) (need int, err Errno)
	// Prepare decodes a frame and verifies what can be verified without the machine's state. Nil is allowed.
	Prepare func(frame []byte, kind ConnKind) *Prepared
	// Work runs a named piece of work.
	Work func(kind WorkKind, args, bytes []byte) []byte
}

// Task is a request that outlives its Step: ids and values that remember how far it got, no pointer to
// state and no function, so that a machine can be cloned, hashed and dumped. Advance reads from top to
// bottom as the request's story and returns true at its end. It looks at the state, not at who woke it,
// so that waking it twice, or for nothing, changes nothing.
type Task[S any] interface {
	Advance(s *S, now Now, out *Out) bool
}

// Report is what a machine tells an operator about itself, made on demand between two Steps.
type Report struct {
	Ready   bool
	Reasons []string // why it is not ready; what limits it
	Metrics []Metric
}

// Metric is one number with its Prometheus name and labels.
type Metric struct {
	Name, Help string
	Kind       MetricKind
	Labels     []Label
	Value      int64
	Scale      int64 // the value is Value/Scale; 0 means 1
}

// Label is one label of a metric.
type Label struct{ Name, Value string }

// MetricKind says how a metric moves.
type MetricKind uint8

// The kinds of metrics.
const (
	Gauge MetricKind = iota
	Counter
)

// Reporter is a machine that can describe itself.
type Reporter interface{ Report(now Now) *Report }
