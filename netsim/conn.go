package netsim

import (
	"slices"
	"strings"

	"klamm/core"
)

type endState uint8

const (
	gone    endState = iota // the machine knows nothing of it, or no more
	dialled                 // asked for by Dial, not answered yet
	open
	closing // CloseConn was given
)

// end is one side of a connection as its node sees it.
type end struct {
	node   int
	id     core.ConnID
	state  endState
	paused bool
}

// conn is one connection. dirs[i] carries bytes from ends[i] to ends[1-i]; the dialling side is 0.
type conn struct {
	gen    uint16
	used   bool
	entity uint64 // names it for draws: the dialling node and its ordinal there
	op     core.Op
	port   string // of the listening side
	ends   [2]end
	dirs   [2]dir
	err    core.Errno // what the dialling side will be told
}

// dir is one direction.
type dir struct {
	sends  fifo[send] // given by the sender, not taken whole
	pieces fifo[piece]
	last   core.Time // arrival of the last piece
	flying int       // bytes taken and not consumed
	window int
	slow   core.Time // pause of a slow reader after each piece
	recv   []byte    // the beginning of a frame
	need   int       // length of that frame, 0 if not known
	held   bool      // a wake-up of this direction's head is under way
	fin    bool      // the sender closed in good order
	broken bool      // nothing leaves any more
	dead   bool      // the frames of this direction can't be delimited: the connection is going down
}

// send is one Send or SendRange.
type send struct {
	op   core.Op
	data []byte
	file core.FileID
	off  int64
	len  int
	done int // bytes taken
	sum  uint64
}

// piece is what travels at once.
type piece struct {
	at    core.Time
	data  []byte
	sum   uint64
	owned bool
	reset bool
	lone  bool // of a reset: only the receiver learns
}

// What a token asks for.
const (
	opArrive uint64 = iota
	opServerOpen
	opDialled
	opLost // one end learns that the other is gone
	opClosed
	opLinger
	opPump
	opKeepalive
)

func (n *Net) wake(at core.Time, slot uint32, what uint64, side int) {
	n.env.Wake(at, uint64(slot)<<32|uint64(n.conns[slot].gen)<<16|what<<8|uint64(side))
}

// Fire carries out what was asked of Wake.
func (n *Net) Fire(token uint64) {
	slot, gen, what, side := uint32(token>>32), uint16(token>>16), token>>8&0xff, int(token&1)
	c := &n.conns[slot]
	if !c.used || c.gen != gen {
		return
	}
	switch what {
	case opArrive:
		c.dirs[side].held = false
		n.arrive(slot, side)
	case opServerOpen:
		n.accept(slot)
	case opDialled:
		n.answer(slot)
	case opLost, opKeepalive:
		err := core.Reset
		if what == opKeepalive {
			err = core.TimedOut
		}
		n.lose(slot, side, err)
	case opClosed, opLinger:
		if c.ends[side].state == closing {
			n.lose(slot, side, core.OK)
			if what == opLinger {
				n.wakeOther(slot, side)
			}
		}
	case opPump:
		n.pump(slot, side)
	}
}

// Dial opens a connection from who to addr.
func (n *Net) Dial(who int, e *core.Effect) {
	d := &n.nodes[who]
	to := -1
	addr := string(e.Data)
	host, port := addr, ""
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		host, port = addr[:i], addr[i+1:]
	}
	for i := range n.nodes {
		if n.nodes[i].host == host && slices.Contains(n.nodes[i].ports, port) {
			to = i
		}
	}
	if _, dup := d.byID[e.Conn]; dup || e.Conn == 0 || e.Conn%2 == 1 {
		n.env.Broken(who, "dials with a connection id that is in use, or not even")
		return
	}
	d.dials++
	slot := n.take()
	c := &n.conns[slot]
	c.entity = uint64(who)<<32 | d.dials
	c.op, c.port = e.Op, port
	c.ends[0] = end{node: who, id: e.Conn, state: dialled}
	c.ends[1] = end{node: to}
	n.enter(slot, 0)
	v := n.env.Choose(siteDial, c.entity, 1<<48)
	at := n.now + n.delay(v)
	switch {
	case to < 0:
		c.err = core.Refused
		n.wake(at, slot, opDialled, 0)
	case wants(v>>16, n.Weather.BlackHole):
		n.Counts[DialBlackHoled]++
		c.err = core.TimedOut
		n.wake(n.now+dialTime, slot, opDialled, 0)
	case wants(v>>32, n.Weather.Refuse):
		n.Counts[DialRefused]++
		c.err = core.Refused
		n.wake(at, slot, opDialled, 0)
	case n.held(c, who, to) > at || n.held(c, to, who) > at:
		n.Counts[HeldByCut]++
		if heal := max(n.held(c, who, to), n.held(c, to, who)); heal < n.now+dialTime {
			n.wake(heal+n.delay(v), slot, opServerOpen, 1)
			break
		}
		c.err = core.TimedOut
		n.wake(n.now+dialTime, slot, opDialled, 0)
	default:
		n.wake(at, slot, opServerOpen, 1)
	}
}

// accept is the listening side's part of a dial.
func (n *Net) accept(slot uint32) {
	c := &n.conns[slot]
	if c.ends[0].state != dialled {
		return
	}
	v := n.env.Choose(siteConn, c.entity, 1<<48)
	listener, ok := n.env.Accepting(c.ends[1].node, c.port)
	if !ok {
		c.err = core.Refused
		n.wake(n.now+n.delay(v), slot, opDialled, 0)
		return
	}
	for i := range c.dirs {
		c.dirs[i].window = 256 << 10 >> (v >> 8 & 7)
	}
	if wants(v>>16, n.Weather.SlowReader) {
		n.Counts[SlowReader]++
		c.dirs[1].window, c.dirs[1].slow = 2<<10, core.Time(v>>40&15)*core.Millisecond
	}
	d := &n.nodes[c.ends[1].node]
	c.ends[1].id, c.ends[1].state = d.nextOdd, open
	d.nextOdd += 2
	n.enter(slot, 1)
	from := &n.nodes[c.ends[0].node]
	info := core.ConnInfo{Listener: listener, Local: d.host + ":" + c.port, Remote: from.host + ":" + portOf(c.entity)}
	n.env.Deliver(c.ends[1].node, core.Event{Kind: core.Opened, Conn: c.ends[1].id, Data: info.Append(nil)})
	n.wake(n.now+n.delay(v), slot, opDialled, 0)
}

func portOf(entity uint64) string {
	v := 32768 + int(entity&0xffffffff)%28000
	return string([]byte{byte('0' + v/10000), byte('0' + v/1000%10), byte('0' + v/100%10), byte('0' + v/10%10), byte('0' + v%10)})
}

// answer tells the dialling side what came of it.
func (n *Net) answer(slot uint32) {
	c := &n.conns[slot]
	e := &c.ends[0]
	if e.state != dialled && e.state != closing {
		return
	}
	if c.err == core.OK && e.state == closing { // given up meanwhile
		c.err = core.ConnGone
	}
	if c.err == core.OK && c.ends[1].state == gone { // accepted and lost again before we heard of it
		c.err = core.Reset
	}
	ev := core.Event{Kind: core.Opened, Op: c.op, Conn: e.id, Err: c.err}
	if c.err != core.OK {
		n.env.Deliver(e.node, ev)
		n.leave(slot, 0)
		if c.ends[1].state != gone {
			n.wake(n.now+n.Weather.Latency, slot, opLost, 1)
		}
		n.release(slot)
		return
	}
	e.state = open
	local := n.nodes[e.node].host + ":" + portOf(c.entity)
	to := &n.nodes[c.ends[1].node]
	ev.Data = core.ConnInfo{Local: local, Remote: to.host + ":" + c.port}.Append(nil)
	n.env.Deliver(e.node, ev)
}

// find returns the slot and side of a node's connection.
func (n *Net) find(who int, id core.ConnID) (slot uint32, side int, ok bool) {
	slot, ok = n.nodes[who].byID[id]
	if !ok {
		return 0, 0, false
	}
	c := &n.conns[slot]
	if c.ends[1].node == who && c.ends[1].id == id && c.ends[1].state != gone {
		side = 1
	}
	return slot, side, true
}

// Close carries out CloseConn.
func (n *Net) Close(who int, id core.ConnID) {
	slot, side, ok := n.find(who, id)
	if !ok {
		return // it was closed from the other side; Closed is on its way or came before
	}
	c := &n.conns[slot]
	e := &c.ends[side]
	if e.state == dialled {
		e.state = closing // answered when the dial comes to its end
		return
	}
	if e.state != open {
		return
	}
	e.state = closing
	n.wake(n.now+lingerTime, slot, opLinger, side)
	n.finish(slot, side)
}

// finish ends a side that is closing once all its bytes are taken.
func (n *Net) finish(slot uint32, side int) {
	c := &n.conns[slot]
	d := &c.dirs[side]
	if c.ends[side].state != closing || d.sends.len() > 0 {
		return
	}
	d.fin = true
	n.wake(n.now, slot, opClosed, side)
	if d.pieces.len() == 0 && !d.held {
		d.held = true
		n.wake(max(d.last, n.now+n.Weather.Latency), slot, opArrive, side)
	}
}

// Pause and Resume stop and start the delivery of frames to a node.
func (n *Net) Pause(who int, id core.ConnID, pause bool) {
	slot, side, ok := n.find(who, id)
	if !ok {
		return
	}
	e := &n.conns[slot].ends[side]
	was := e.paused
	if e.paused = pause; was && !pause {
		n.kick(slot, 1-side)
	}
}

// kick looks again at what has arrived in a direction.
func (n *Net) kick(slot uint32, side int) {
	d := &n.conns[slot].dirs[side]
	if !d.held && (d.pieces.len() > 0 || d.fin || len(d.recv) > 0) {
		d.held = true
		at := n.now
		if d.pieces.len() > 0 {
			at = max(at, d.pieces.front().at)
		}
		n.wake(at, slot, opArrive, side)
	}
}

// lose ends one side: its open sends are done with ConnGone, then it is told.
func (n *Net) lose(slot uint32, side int, err core.Errno) {
	c := &n.conns[slot]
	e := &c.ends[side]
	if e.state == gone {
		return
	}
	if e.state == dialled {
		if c.err == core.OK {
			c.err = core.Reset
		}
		n.answer(slot)
		return
	}
	n.dropSends(c, side, true)
	n.env.Deliver(e.node, core.Event{Kind: core.Closed, Conn: e.id, Err: err})
	in := &c.dirs[1-side]
	n.unreserve(e.node, in)
	in.drop(n)
	n.leave(slot, side)
	// The other side may still get what was taken; it is told after that, or when it sends.
	other := &c.ends[1-side]
	switch out := &c.dirs[side]; {
	case other.state == gone:
	case out.fin:
	default:
		out.broken = true
	}
	n.release(slot)
}

// dropSends forgets what a side has not got rid of.
func (n *Net) dropSends(c *conn, side int, tell bool) {
	d := &c.dirs[side]
	for d.sends.len() > 0 {
		s := d.sends.pop()
		if tell && s.op != 0 {
			n.env.Deliver(c.ends[side].node, core.Event{Kind: core.Done, Op: s.op, Err: core.ConnGone})
		}
	}
}

// drop forgets what a side would have received.
func (d *dir) drop(n *Net) {
	for d.pieces.len() > 0 {
		if p := d.pieces.pop(); p.owned {
			n.env.Recycle(p.data)
		}
	}
	d.flying = 0
	d.recv = d.recv[:0]
	d.need = 0
	d.broken = true
}

// keepalive lets an end that nobody told find out after all, late.
func (n *Net) keepalive(slot uint32, side int) {
	v := n.env.Choose(siteKeepalive, n.conns[slot].entity, 30)
	n.wake(n.now+10*core.Second+core.Time(v)*core.Second, slot, opKeepalive, side)
}

func (n *Net) take() uint32 {
	if k := len(n.free); k > 0 {
		slot := n.free[k-1]
		n.free = n.free[:k-1]
		c := &n.conns[slot]
		next := conn{gen: c.gen + 1, used: true}
		for i := range c.dirs { // what a former connection had is empty, but for its memory
			next.dirs[i] = dir{sends: c.dirs[i].sends.empty(), pieces: c.dirs[i].pieces.empty(), recv: c.dirs[i].recv[:0]}
		}
		*c = next
		n.live++
		return slot
	}
	n.conns = append(n.conns, conn{used: true})
	n.live++
	n.ConnsMax = max(n.ConnsMax, len(n.conns))
	return uint32(len(n.conns) - 1)
}

// enter and leave keep the lists of a node's connections.
func (n *Net) enter(slot uint32, side int) {
	e := &n.conns[slot].ends[side]
	d := &n.nodes[e.node]
	d.byID[e.id] = slot
	d.list = append(d.list, slot)
}

func (n *Net) leave(slot uint32, side int) {
	e := &n.conns[slot].ends[side]
	e.state = gone
	d := &n.nodes[e.node]
	delete(d.byID, e.id)
	for i, s := range d.list {
		if s == slot {
			d.list = append(d.list[:i], d.list[i+1:]...)
			break
		}
	}
}

// release frees a slot of which no end is left.
func (n *Net) release(slot uint32) {
	c := &n.conns[slot]
	if !c.used || c.ends[0].state != gone || c.ends[1].state != gone {
		return
	}
	c.dirs[0].drop(n)
	c.dirs[1].drop(n)
	c.used = false
	n.free = append(n.free, slot)
	n.live--
}

// fifo is a queue that keeps its memory.
type fifo[T any] struct {
	list []T
	head int
}

func (q *fifo[T]) len() int { return len(q.list) - q.head }
func (q *fifo[T]) empty() fifo[T] {
	clear(q.list)
	return fifo[T]{list: q.list[:0]}
}
func (q *fifo[T]) front() *T { return &q.list[q.head] }
func (q *fifo[T]) push(x T)  { q.list = append(q.list, x) }
func (q *fifo[T]) pop() (x T) {
	var zero T
	x, q.list[q.head] = q.list[q.head], zero
	if q.head++; q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return x
}
