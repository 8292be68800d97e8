// Package netsim is a network that misbehaves by seed.
//
// It carries ordered byte streams between the nodes of one simulated world, as TCP does, and executes the
// effects that concern connections: Dial, Send, SendRange, CloseConn, Pause, Resume. Bytes of one direction
// arrive in the order in which they were sent, once, or not at all because the connection broke; everything
// else is drawn: when they arrive, in which pieces, how many of them before a reset, who learns of it.
//
// The package holds no clock and no queue of its own. It asks its Env for a wake-up and is fired again at that
// instant; it hands events to nodes through Env, which steps them later, never in between. Frames are cut from
// the stream at the receiving end by that node's own core.Pure.Split, so framing is under test as well.
package netsim

import "klamm/core"

// Env is what the network needs of the world around it.
type Env interface {
	// Choose draws a number in [0, n); 0 is the benign choice.
	Choose(site uint8, entity, n uint64) uint64
	// Wake asks for Fire(token) at an instant.
	Wake(at core.Time, token uint64)
	// Deliver queues an event for a node; the node is stepped after the call has returned.
	Deliver(node int, ev core.Event)
	// Buffer returns a buffer of n bytes of any content; Recycle takes one back.
	Buffer(n int) []byte
	Recycle(b []byte)
	// ReadRange fills dst from an open file of a node; false if it can't be filled whole.
	ReadRange(node int, f core.FileID, off int64, dst []byte) bool
	// Accepting says whether a node listens at a port, and the name of the listener.
	Accepting(node int, port string) (listener string, ok bool)
	// Sum is a checksum, Broken reports that a machine wrote to bytes that it had given away. Both are used only if Check is set.
	Sum(b []byte) uint64
	Broken(node int, what string)
}

// Sites of draws: 1 to 31 belong to this package.
const (
	siteDial uint8 = 1 + iota
	siteConn
	siteChunk
	siteCut
	siteBreak
	siteAfterCut
	siteKeepalive
)

// Counter names one kind of misfortune that the network can deal out.
type Counter uint8

// What is counted, each time that it really befell a connection.
const (
	LateTail Counter = iota
	Split
	StalledConn
	ResetBefore
	ResetMiddle
	ResetAfter
	HalfOpen
	DialRefused
	DialBlackHoled
	HeldByCut
	SlowReader
	WindowFull
	RangeFailed
	BudgetSpent
	CounterCount
)

var counterNames = [CounterCount]string{
	"net.late-tail", "net.split", "net.stall", "net.reset-before-frame", "net.reset-mid-frame", "net.reset-after-frame",
	"net.half-open", "net.dial-refused", "net.dial-black-holed", "net.held-by-cut", "net.slow-reader", "net.window-full",
	"net.range-failed", "net.assembly-budget-spent",
}

func (c Counter) String() string { return counterNames[c] }

// Weather is how bad the network is now. Rates are out of 65,536 per piece, dial or connection.
type Weather struct {
	Latency                       core.Time // least one-way delay
	Jitter                        core.Time // added in steps that double with falling probability
	BytesPerSecond                int64     // 0: no limit
	Tail, Split, Stall            int64     // per piece
	Reset, HalfOpen               int64     // per piece; of resets, how many only one side learns of
	Refuse, BlackHole, SlowReader int64     // per dial
}

// Net is the network of one world.
//
// Invariants: a conn slot is in exactly one of free and the lists of the nodes at its open ends; per direction,
// pieces arrive in order; taken bytes that have not been consumed never exceed the window, but for one piece.
type Net struct {
	env      Env
	now      core.Time
	Weather  Weather
	Counts   [CounterCount]uint64
	Check    bool // verify that nobody writes to bytes in flight
	nodes    []node
	conns    []conn
	free     []uint32
	cuts     []core.Time // [from*len(nodes)+to]: held until then
	doors    []door      // that are shut
	Assembly int64       // budget of each node for frames that are not whole; a frame of any size is let through alone
	ConnsMax int         // most connections that were open at once, for the report
	live     int
}

type node struct {
	host       string
	ports      []string
	split      func(stream []byte, limit int) (int, core.Errno)
	dials      uint64 // of all lives: names a connection for draws
	nextOdd    core.ConnID
	byID       map[core.ConnID]uint32 // look-up only
	list       []uint32               // its open ends, in the order of their opening
	assembling int64                  // bytes reserved by frames that are not whole
	starved    bool                   // some direction waits for that budget
}

// Bounds of the network.
const (
	assemblyBytesMax = 64 << 20 // unless Assembly says less
	dialTime         = 10 * core.Second
	lingerTime       = 5 * core.Second
)

// New makes a network without nodes.
func New(env Env) *Net { return &Net{env: env, Assembly: assemblyBytesMax} }

// Add adds a node that is reached at host and the ports, and returns its number.
func (n *Net) Add(host string, split func([]byte, int) (int, core.Errno), ports ...string) int {
	n.nodes = append(n.nodes, node{host: host, ports: ports, split: split, nextOdd: 1, byID: map[core.ConnID]uint32{}})
	n.cuts = make([]core.Time, len(n.nodes)*len(n.nodes))
	return len(n.nodes) - 1
}

// At sets the instant of the calls that follow.
func (n *Net) At(now core.Time) { n.now = now }

// Cut holds back whatever travels from one node to another until an instant.
func (n *Net) Cut(from, to int, until core.Time) { n.cuts[from*len(n.nodes)+to] = until }

func (n *Net) cut(from, to int) core.Time { return n.cuts[from*len(n.nodes)+to] }

// Held is until when whatever travels from one node to another is held back: for those who look at a run.
func (n *Net) Held(from, to int) core.Time { return n.cut(from, to) }

// door is a cut of the connections to one port alone.
type door struct {
	from, to int
	port     string
	until    core.Time
}

// CutPort holds back whatever travels from one node to another on connections to a port, whichever side listens there,
// until an instant: what else the two have to say to each other comes through.
func (n *Net) CutPort(from, to int, port string, until core.Time) {
	for i := range n.doors {
		if d := &n.doors[i]; d.from == from && d.to == to && d.port == port {
			d.until = max(d.until, until)
			return
		}
	}
	n.doors = append(n.doors, door{from, to, port, until})
}

// held is until when what travels from one end of a connection to the other is held back.
func (n *Net) held(c *conn, from, to int) core.Time {
	until := n.cut(from, to)
	for i := range n.doors {
		if d := &n.doors[i]; d.from == from && d.to == to && d.port == c.port {
			until = max(until, d.until)
		}
	}
	return until
}

// Heal ends every cut.
func (n *Net) Heal() {
	clear(n.cuts)
	n.doors = n.doors[:0]
}

// Live is the number of connections of which at least one end is open.
func (n *Net) Live() int { return n.live }

// wants reports a fault of a rate from 16 bits of a draw; the highest values are faults, so that 0 is benign.
func wants(bits uint64, rate int64) bool { return int64(bits&0xffff) >= 65536-rate }

// Down ends a node's life. A killed process' kernel tells the peers by a reset; after a power loss they
// learn of it when they next send, or from a keepalive.
func (n *Net) Down(who int, silent bool) {
	d := &n.nodes[who]
	for _, slot := range d.list {
		c := &n.conns[slot]
		for side := range 2 {
			if e := &c.ends[side]; e.node == who && e.state != gone {
				e.state = gone
				n.dropSends(c, side, false)
				c.dirs[1-side].drop(n)
			}
		}
	}
	list := d.list
	d.list = nil
	for _, slot := range list {
		c := &n.conns[slot]
		for side := range 2 {
			e := &c.ends[side]
			switch {
			case e.state == gone:
			case silent:
				n.Counts[HalfOpen]++
				n.keepalive(slot, side)
			default:
				n.wake(n.now+n.Weather.Latency, slot, opLost, side)
			}
		}
		n.release(slot)
	}
	clear(d.byID)
	d.nextOdd, d.assembling, d.starved = 1, 0, false
}
