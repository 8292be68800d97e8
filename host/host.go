// Package host is the real world of a machine: sockets, files, clocks and signals of an operating system.
//
// One goroutine (loop.go) owns the machine and steps it; nothing else ever touches its state. Around it
// goroutines read frames and decode them (conns.go), write what the machine sends (writer.go), carry out
// file operations (files.go) and heavy work, and report what came of it as events of one queue. The loop
// takes all events that wait, steps the machine through them and only then carries out the effects, so
// that the writes, syncs and sends of many requests meet and are merged.
//
// What this room owes are the rules of package core's comment: bytes of a connection leave in the order
// given, operations on one file take effect in the order given with its Open first, a Sync covers what
// was reported Done before, and each effect with an Op is answered once. files_test.go and conns_test.go play
// them.
//
// This room knows no protocol: frames are split, decoded and worked on by the functions of core.Pure.
package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"klamm/core"
)

// Options say what a node runs and where.
type Options struct {
	Machine core.Machine
	Pure    core.Pure
	Config  string   // the machine's configuration, lines of key=value, as its Boot event brings it
	Key     [32]byte // of the machine's generator; zero: drawn from the system
	// Listeners are open already, so that a port in use is known before anything else happens. They accept
	// from the moment that the machine is ready, or, if Early, from the start.
	Listeners []Listener
	Admin     net.Listener // serves /metrics, /healthz, /readyz and pprof; nil: none
	Log       *slog.Logger // nil: discarded
	FS        FS           // nil: the operating system's files
	DumpDir   string       // where a broken belief leaves its report; empty: the current directory

	FrameBytesMax  int           // default core.FrameBytesMax
	FrameBudget    int64         // bytes of frames that are being read or wait for the loop, over all connections
	ConnsMax       int           // open connections; more are refused
	StopWithin     time.Duration // after a request to stop, how long the machine may take; default 30 s
	PoisonReleased bool          // overwrite buffers that come back to the pool: a test's aid
	OnReady        func(took time.Duration)
	AfterSteps     func(now core.Now, out *core.Out) // on the loop after each batch of steps; may append effects
}

// Listener is a socket that accepts the protocol's connections, and the name by which the configuration calls it.
// An early one serves peers whose words the machine needs to become ready: the voters of a quorum.
type Listener struct {
	Name  string
	Early bool
	net.Listener
}

// Listen opens a listener. Its errors say what to do.
func Listen(name, addr string) (Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return Listener{}, explainListen(name, addr, err)
	}
	return Listener{Name: name, Listener: l}, nil
}

// ExitError says that a node ended other than by a clean stop.
type ExitError struct {
	Code   int
	Reason string
}

func (e *ExitError) Error() string { return e.Reason }

// Node is a machine that runs.
type Node struct {
	o       Options
	log     *slog.Logger
	clock   clock
	queue   queue
	pool    *buffers
	files   *files
	conns   *conns
	loop    loop
	notes   *noteLog
	ready   atomic.Bool
	started time.Time
	cancel  context.CancelFunc
	ended   chan struct{} // closed when everything of the node has ended
	err     error         // valid once ended is closed
}

// Start boots the machine and returns at once.
func Start(o Options) (*Node, error) {
	if o.Machine == nil || o.Pure.Split == nil && len(o.Listeners) > 0 {
		return nil, errors.New("host: no machine, or no way to split its frames")
	}
	if o.Key == [32]byte{} {
		if _, err := rand.Read(o.Key[:]); err != nil {
			return nil, fmt.Errorf("the system gives no random key: %w", err)
		}
	}
	o.defaults()
	n := &Node{o: o, log: o.Log, started: time.Now(), ended: make(chan struct{})}
	n.clock.start = n.started
	n.queue.init(frameEventsMax)
	n.pool = newBuffers(pooledBytesMax, o.PoisonReleased)
	n.notes = newNoteLog(o.Log)
	n.files = newFiles(o.FS, n.pool, o.Pure.Work, n.queue.push, n.broken)
	n.conns = newConns(n)
	n.loop.init(n)
	go n.run()
	return n, nil
}

// Run starts a node and waits for its end. When ctx is done the machine is asked to stop.
func Run(ctx context.Context, o Options) error {
	n, err := Start(o)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		n.Stop()
		<-n.ended
	case <-n.ended:
	}
	return n.err
}

// Stop asks the machine for a clean stop, and ends the node by force if that takes longer than Options.StopWithin.
func (n *Node) Stop() { n.queue.push(item{what: itemStop}) }

// Wait waits for the node's end: nil after a clean stop, else an *ExitError.
func (n *Node) Wait() error {
	<-n.ended
	return n.err
}

// Ended is closed when the node has ended.
func (n *Node) Ended() <-chan struct{} { return n.ended }

// Do runs f on the loop between two steps, where the machine may be touched, and returns when it has run;
// effects that f appends are carried out. It reports false if the node has ended before.
func (n *Node) Do(f func(now core.Now, out *core.Out)) bool {
	done := make(chan struct{})
	n.queue.push(item{what: itemCall, call: func(now core.Now, out *core.Out) { f(now, out); close(done) }})
	select {
	case <-done:
		return true
	case <-n.ended:
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// Report asks the machine about itself; nil if it has nothing to say or the node has ended.
func (n *Node) Report() (r *core.Report) {
	reporter, ok := n.o.Machine.(core.Reporter)
	if !ok {
		return nil
	}
	n.Do(func(now core.Now, _ *core.Out) { r = reporter.Report(now) })
	return r
}

// Ready says whether the machine has said that it serves.
func (n *Node) Ready() bool { return n.ready.Load() }

func (o *Options) defaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.FrameBytesMax <= 0 {
		o.FrameBytesMax = core.FrameBytesMax
	}
	if o.FrameBudget <= 0 {
		o.FrameBudget = frameBudgetDefault
	}
	if o.ConnsMax <= 0 {
		o.ConnsMax = connsMaxDefault
	}
	if o.StopWithin <= 0 {
		o.StopWithin = 30 * time.Second
	}
	if o.DumpDir == "" {
		o.DumpDir = "."
	}
}

// run is the node's life: the loop until the machine exits, then everything else is taken down.
func (n *Node) run() {
	if n.o.Admin != nil {
		stop := n.serveAdmin()
		defer stop()
	}
	defer close(n.ended)
	n.err = n.loop.run()
	for _, l := range n.o.Listeners {
		l.Close()
	}
	n.conns.closeAll()
	n.files.closeAll(stopFilesWithin)
	n.notes.close()
}
