// Package broker is the hall: the one machine in which the rooms meet.
//
// A node owns the logs of its log directories, its part in the metadata quorum, the controller that decides on that
// metadata while this node leads the quorum, the connections of its clients, and those that it dials to other nodes
// (peers.go). By its roles it is a broker, a controller, or both. It is stepped with one event at a time.
// Each Step hands the event to the room that it belongs to, and then settles: what the logs report
// (loaded, written, durable, gone) and what the quorum committed is carried to those who wait for it,
// until nothing is left to carry.
//
// A request is decoded beside the machine (pure.go), waits for its turn on its connection (conns.go), is
// routed by its key (route.go) to a handler (one file for each key, its number first), and is answered
// in the order of the connection. A request that cannot be answered within its Step becomes a Task
// (park.go): plain data, woken by the things that it named, or by its deadline.
//
// What this room may assume: the world keeps the order that core promises. What it owes: a reply never
// leaves before what it states is true and, in durability sync, durable.
package broker

import (
	"klamm/core"
	"klamm/core/controller"
	"klamm/core/fetch"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/quorum"
)

// Tables of core.Op of this machine: Op.Table says whose Done it is.
const (
	tableBroker uint8 = 1 // sends, and the files of boot
	tableStore  uint8 = 2
	tableQuorum uint8 = 3
	tableShard  uint8 = 4
	tableLink   uint8 = 5
)

// File ids are unique within the machine: each room that opens files counts upward from its own base.
const (
	storeFiles  core.FileID = 1 << 40
	quorumFiles core.FileID = 2 << 40
	bootFiles   core.FileID = 3 << 40
)

// Broker is one broker. It is a core.Machine and a core.Reporter.
//
// Invariants: img is what the records of the metadata log below its offset say; every connection in conns
// is open as the world sees it, or closing; every Task in tasks is registered under each key that it named.
type Broker struct {
	cfg   Config
	rand  core.Rand
	stage stage    // how far boot, or the stop, has come
	now   core.Now // of the step under way
	boot  booting

	store *log.Store
	dirs  []logDir // as the store has them: see boot_dirs.go
	node  *quorum.Node
	ctl   *controller.Controller
	img   *image.Image // the committed metadata
	parts partitions   // what this broker hosts of it

	conns     connections
	tasks     tasks
	timers    core.Timers
	ops       core.Ops[op] // table 1
	sessions  fetch.Cache
	wants     []fetch.Want // room for what a session wants, within one call
	coords    coordinators // groups: see coordinators.go
	txns      txns         // transactions: see txns.go
	ids       producerIDs
	verify    verifications
	peers     peers     // the other nodes
	reign     reign     // the quorum, as seen here
	life      lifecycle // of the broker role
	moves     []move    // between log directories, in the order in which they were asked for
	wishes    []wish    // of clients, for replicas that are not here yet
	throttles throttles
	assign    assigning  // what the controller is to be told of directories
	repl      replicator // followers here, and what their leaders ask of the controller
	creating  []creating // sorted by name
	refused   []refused  // no more than there are topics of the cluster's own
	creations,
	forwards uint64 // of this life
	counts counters

	worked configMemo // see topic_config.go
}

// New makes a broker that waits for its Boot event.
func New() *Broker {
	b := &Broker{ops: core.NewOps[op](tableBroker, core.OpsMax)}
	b.img = image.Empty()
	b.life.init()
	b.reign.leader, b.reign.term, b.peers.next, b.txns.markers.retryAt = core.NoNode, -1, core.Never, core.Never
	b.tasks.init()
	b.conns.init()
	b.parts.init()
	return b
}

// Step is core.Machine's.
func (b *Broker) Step(now core.Now, ev *core.Event, out *core.Out) {
	b.now = now
	if ev.Kind == core.Opened || ev.Kind == core.Frame || ev.Kind == core.Closed {
		if dialled(ev.Conn) {
			b.peerEvent(now, ev, out)
			b.settle(now, out)
			return
		}
	}
	switch ev.Kind {
	case core.Boot:
		b.bootEvent(now, ev, out)
	case core.Tick:
		b.tick(now, ev, out)
	case core.Opened:
		b.opened(now, ev, out)
	case core.Frame:
		b.frame(now, ev, out)
	case core.Closed:
		b.closed(now, ev, out)
	case core.Done:
		b.done(now, ev, out)
	}
	b.settle(now, out)
}

// Next is core.Machine's.
func (b *Broker) Next() core.Time {
	next := b.timers.Next()
	if b.store != nil {
		next = min(next, b.store.Next())
	}
	if b.stage >= stageStopping {
		return next
	}
	if b.node != nil {
		next = min(next, b.node.Next(), b.peers.next)
	}
	if b.stage >= stageRegister {
		next = min(next, b.lifeNext(), b.replicationNext())
	}
	return min(next, b.controllerNext(), b.coordinatorsNext(), b.txnsNext())
}

// done hands a finished effect to the room whose table its Op names.
func (b *Broker) done(now core.Now, ev *core.Event, out *core.Out) {
	switch ev.Op.Table() {
	case tableBroker:
		b.finished(now, ev, out)
	case tableStore:
		b.store.Done(now, ev, out)
	case tableQuorum:
		b.node.Done(now, ev, b.store, out)
	case tableLink:
		b.peerEvent(now, ev, out)
	}
}
