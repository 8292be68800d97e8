// Package sim is the seeded, hostile world: it runs machines, unchanged, on a simulated network, simulated disks
// and simulated clocks, and breaks what may break.
//
// A World holds nodes, a network and a disk for each node, and one queue of what will happen. Everything that is
// not decided by the machines is drawn from one Chooser. A run is a function of its seed: the trace hash covers
// every event, every effect and every draw that mattered, and two runs of a seed have the same hash.
//
// How a run goes: a Config is drawn (which faults, how strong, how big), then a Plan of faults with their
// instants, then the clients work through three phases: chaos, with the plan; heal, in which everything is mended
// and restarted; calm, in which all must come alive within bounded time and what was promised is compared with
// what is there. The judge of that is Oracle, which sees plain values only.
package sim

import (
	"math/bits"

	"klamm/core"
	"klamm/disksim"
	"klamm/netsim"
)

// sameTicksMax bounds the ticks of one machine at one instant: more are a loop that leads nowhere.
const sameTicksMax = 10000

// State of a node's process.
type State uint8

// The states.
const (
	Down State = iota
	Up
	Paused
)

// Sites of draws: 64 and above belong to this package.
const (
	siteKey uint8 = 64 + iota
	siteClock
	siteTick
	siteRestart
	siteTie
	siteConfig
	sitePlan
	siteWork
	siteScript
	siteSize
	siteCrash
	siteReady
	siteHostile
	siteTopology
	siteAdmin
	siteWorkload
	siteDirs
	siteRotten
)

// Node is a place where a machine runs.
type Node struct {
	Name    string
	Machine core.Machine
	Pure    core.Pure
	Make    func(life uint32) core.Machine
	Config  func(life uint32) string
	Broker  bool   // counts as one for reports; its listener is open once it is ready
	Control string // the port of its controllers' listener, which is open as long as it runs; empty: it has none
	at      int
	State   State
	Life    uint32
	Disk    *disksim.Disk
	// The clocks: mono = base + (now-anchor) * (1+drift); wall goes along and may jump.
	base, anchor core.Time
	wall         core.Time // wall - mono
	jumped       core.Time // by faults, since the last healing
	drift        int64     // parts per million
	wakeAt       core.Time // the tick that is in the queue
	next         core.Time // what the machine wanted after its last step
	tickedAt     core.Time // the last tick's instant
	sameTicks    int       // ticks at that instant
	inbox        []core.Event
	out          core.Out
	ready        bool
	crashIn      int  // effects until a crash; -1 is never
	crashSyncs   int  // syncs until a crash; -1 is never
	crashNext    int  // effects of the next life until a crash; -1 is never
	crashPower   bool // how that crash is
	crashDue     bool
	crashReady   core.Time // from when the next life serves to a power loss; -1 is never
	restartIn    core.Time // after the next crash; -1: drawn
	stopping     bool
	exits        int // of its own, not asked for
	lastNote     string
	lent         map[*byte]bool // debug: buffers that are the machine's; look-up only
}

// World is one simulated world.
//
// Invariants: the instant never falls; ready is empty whenever an item is taken from the queue; nothing of a
// node's former life is delivered to it.
type World struct {
	Choices    Chooser
	Nodes      []*Node
	Net        *netsim.Net
	Counts     [FaultCount]uint64
	Marks      core.Marks
	Hash       Hash
	Events     uint64 // steps of brokers that did work
	Steps      uint64
	Debug      bool // verify that nobody touches what was given away
	Trace      *Trace
	Rec        *Recording // nil: the run is not recorded
	StepLog    *StepLog
	To         uint64 // the step after which it stops; 0: never
	Failure    *Failure
	OnExit     func(node int, code int64) // after a machine's own exit
	OnPhase    func(phase uint64)
	OnStep     func(n *Node)                           // after a broker's step
	LookAlways bool                                    // OnStep is called after steps without effects, too
	OnFall     func(n *Node)                           // before a broker's life ends
	OnStart    func(n *Node)                           // before a broker's life begins
	OnFrame    func(node int, ev *core.Event)          // before a broker is given a frame
	OnSend     func(node int, n *Node, e *core.Effect) // before a broker's frame leaves
	OnFind     func(kind FaultKind, p int64) int       // whom a fault befalls that is aimed at a part in the cluster; -1: nobody
	OnCrash    func(node int, power bool) verdict      // how a node may crash,
	OnWipe     func(node int, done bool) bool          // and whether it may lose its disk; then, that it has
	OnRot      func(f *Fault) bool                     // chooses what rots in a cluster
	now        core.Time
	q          heap4
	seq        uint64
	queue      []delivery
	head       int
	event      core.Event // of the step under way
	memory     *Memory
	plan       []Fault
	active     []int
	base       baseWeather
	calm       bool
	armed      [toldKinds]uint8 // crashes that wait for news
}

type baseWeather struct {
	net  netsim.Weather
	disk disksim.Weather
}

type delivery struct {
	node int16
	life uint32
	ev   core.Event
}

// Failure is a broken rule.
type Failure struct {
	Rule string // an id of the table of invariants, or a word
	Text string
	Step uint64
	At   core.Time
}

// NewWorld makes a world without nodes.
func NewWorld(choices Chooser) *World {
	w := &World{Choices: choices, memory: &Memory{}}
	w.Net = netsim.New((*netEnv)(w))
	w.base.net = netsim.Weather{Latency: 100 * core.Microsecond, Jitter: 50 * core.Microsecond}
	w.base.disk = disksim.Weather{Latency: 20 * core.Microsecond, Jitter: 10 * core.Microsecond, SyncLatency: 200 * core.Microsecond}
	w.weather()
	return w
}

// Add adds a node. It starts when StartAt says so.
func (w *World) Add(n *Node, host, port string, diskBytes int64) int {
	id := len(w.Nodes)
	w.Nodes = append(w.Nodes, n)
	n.at = id
	ports := []string{port}
	if n.Control != "" {
		ports = append(ports, n.Control)
	}
	w.Net.Add(host, n.Pure.Split, ports...)
	n.Disk = disksim.New((*diskEnv)(w), id, diskBytes)
	n.Disk.Pages = &w.memory.pages
	n.crashIn, n.crashSyncs, n.crashNext, n.restartIn, n.crashReady = -1, -1, -1, -1, -1
	n.wakeAt = core.Never
	w.weather()
	return id
}

// Now is the world's instant.
func (w *World) Now() core.Time { return w.now }

// Fail notes the first broken rule; the run ends.
func (w *World) Fail(rule, text string) {
	if w.Failure == nil {
		w.Failure = &Failure{Rule: rule, Text: text, Step: w.Steps, At: w.now}
		w.tracef("FAIL %s: %s", rule, text)
		w.Rec.broken(rule, text)
	}
}

func (w *World) push(at core.Time, kind itemKind, node int, a uint64) {
	w.seq++
	w.q.push(item{at: max(at, w.now), kind: kind, node: int16(node), a: a, seq: w.seq})
}

// StartAt lets a node's process start.
func (w *World) StartAt(at core.Time, node int) {
	w.push(at, itemStart, node, uint64(w.Nodes[node].Life))
}

// PhaseAt lets OnPhase be called.
func (w *World) PhaseAt(at core.Time, phase uint64) { w.push(at, itemPhase, 0, phase) }

// Run goes on until an instant, a failure, or the end of everything.
func (w *World) Run(until core.Time, eventsMax uint64) {
	for w.Failure == nil && (w.To == 0 || w.Steps < w.To) {
		if w.head < len(w.queue) {
			d := &w.queue[w.head]
			node, life := int(d.node), d.life
			w.event, d.ev = d.ev, core.Event{}
			if w.head++; w.head == len(w.queue) {
				w.queue, w.head = w.queue[:0], 0
			}
			w.hand(node, life, &w.event)
			continue
		}
		if len(w.q.list) == 0 {
			return
		}
		if w.q.list[0].at > until {
			w.now = max(w.now, until)
			return
		}
		it := w.q.pop()
		w.now = it.at
		w.Hash.Add(uint64(it.at)^uint64(it.kind)<<56, it.a^uint64(it.node)<<48)
		w.dispatch(&it)
		if w.Steps > eventsMax {
			w.Fail("I85", "the run does not come to an end: a livelock")
		}
	}
}

func (w *World) dispatch(it *item) {
	switch it.kind {
	case itemNet:
		w.Net.At(w.now)
		w.Net.Fire(it.a)
	case itemDisk:
		n := w.Nodes[it.node]
		n.Disk.At(w.now)
		n.Disk.Fire(it.a)
		if n.crashDue {
			n.crashDue = false
			w.Counts[CrashAfterSync]++
			w.Crash(int(it.node), n.crashPower)
		}
	case itemTick:
		w.tick(int(it.node), it.at)
	case itemStart:
		if n := w.Nodes[it.node]; n.State == Down && uint64(n.Life) == it.a {
			w.start(int(it.node))
		}
	case itemResume:
		if n := w.Nodes[it.node]; n.State == Paused && uint64(n.Life) == it.a {
			w.resume(int(it.node))
		}
	case itemFault:
		w.begin(int(it.a))
	case itemEnd:
		w.end(int(it.a))
	case itemStopped:
		if n := w.Nodes[it.node]; n.State != Down && uint64(n.Life) == it.a {
			w.Fail("I88", n.describe()+" was asked to stop and did not within a minute")
		}
	case itemPhase:
		if w.OnPhase != nil {
			w.OnPhase(it.a)
		}
	}
}

// hand gives an event to the life of the node that it was meant for.
func (w *World) hand(node int, life uint32, ev *core.Event) {
	n := w.Nodes[node]
	switch {
	case n.Life != life || n.State == Down:
		w.memory.pool.put(ev.Data)
	case n.State == Paused:
		n.inbox = append(n.inbox, *ev)
	default:
		w.Step(node, ev)
	}
}

// clock reads a node's clocks.
func (n *Node) clock(now core.Time) core.Now {
	d := now - n.anchor
	m := n.base + d + core.Time(int64(d/1000)*n.drift/1000)
	return core.Now{Mono: m, Wall: m + n.wall}
}

// worldTime is the first instant of the world at which a node's monotonic clock shows m.
func (n *Node) worldTime(m core.Time) core.Time {
	d := m - n.base
	if n.drift == 0 {
		return n.anchor.After(d)
	}
	hi, lo := bits.Mul64(uint64(max(d, 0)), 1000000)
	q, _ := bits.Div64(hi, lo, uint64(1000000+n.drift))
	return n.anchor.After(core.Time(q) + 2000)
}

// setDrift changes how fast a node's clocks run from now on.
func (n *Node) setDrift(now core.Time, ppm int64) {
	c := n.clock(now)
	n.base, n.anchor, n.drift = c.Mono, now, ppm
}

// Step steps a machine with one event and carries out its effects.
func (w *World) Step(node int, ev *core.Event) {
	n := w.Nodes[node]
	w.Steps++
	if ev.Kind == core.Frame && n.Pure.Prepare != nil {
		kind := core.FromClient
		if ev.Conn%2 == 0 {
			kind = core.Dialled
		}
		ev.Req = n.Pure.Prepare(ev.Data, kind)
		if w.OnFrame != nil && n.Broker {
			w.OnFrame(node, ev)
		}
	}
	var data uint64
	if len(ev.Data) > 0 {
		data = sum(ev.Data)
	}
	before := w.Hash
	w.Hash.Add(uint64(node)<<48|uint64(ev.Kind)<<40|uint64(ev.Err)<<20^uint64(ev.Conn), uint64(ev.Op)^data)
	w.Hash.Add(uint64(ev.N), uint64(w.now))
	if w.StepLog != nil {
		w.StepLog.mark(w, node, ev.Kind, before)
	}
	if w.Trace != nil {
		w.traceEvent(n, ev)
	}
	if w.Rec != nil {
		w.Rec.eventBefore(node, ev)
	}
	n.out.Reset()
	n.out.Marks = &w.Marks
	n.Machine.Step(n.clock(w.now), ev, &n.out)
	if n.Broker {
		worked := ev.Kind != core.Tick || len(n.out.Effects) > 0
		if worked {
			w.Events++
		}
		if w.OnStep != nil && (worked || w.LookAlways) {
			w.OnStep(n)
		}
	}
	if w.Rec != nil {
		w.Rec.stepped(node)
	}
	n.Disk.At(w.now)
	w.Net.At(w.now)
	life := n.Life
	for i := range n.out.Effects {
		if n.crashIn >= 0 {
			if n.crashIn--; n.crashIn < 0 {
				w.Counts[CrashAtEffect]++
				w.Crash(node, n.crashPower)
			}
		}
		if n.Life != life {
			return
		}
		w.carryOut(node, n, &n.out.Effects[i])
	}
	if n.Life == life && n.State == Up {
		w.schedule(node, n)
	}
}

// schedule asks for the tick that a machine wants. One that is already on its way early enough is left alone.
func (w *World) schedule(node int, n *Node) {
	next := n.Machine.Next()
	if n.next = next; next == core.Never {
		return
	}
	at := max(n.worldTime(next), w.now)
	if at < n.wakeAt {
		n.wakeAt = at
		w.push(at, itemTick, node, uint64(n.Life))
	}
}

func (w *World) tick(node int, at core.Time) {
	n := w.Nodes[node]
	if n.wakeAt != at || n.State != Up {
		return // an earlier tick has replaced it
	}
	n.wakeAt = core.Never
	next := n.next
	if !n.Broker { // a client's owner may have changed its mind
		next = n.Machine.Next()
	}
	if next == core.Never || n.worldTime(next) > w.now {
		w.schedule(node, n)
		return
	}
	if n.tickedAt != at {
		n.tickedAt, n.sameTicks = at, 0
	}
	if n.sameTicks++; n.sameTicks > sameTicksMax {
		w.Fail("I85", n.Name+" asks for a tick at one instant again and again")
		return
	}
	w.event = core.Event{Kind: core.Tick}
	w.Step(node, &w.event)
}
