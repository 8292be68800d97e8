package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// connections is the table of open connections.
//
// Invariants: at holds the slot of each connection; perIP counts the used slots of an address; dirty names
// each slot that may have something to start or to send, and is empty after a Step.
type connections struct {
	slots []conn
	free  []int32
	at    map[core.ConnID]int32
	perIP map[string]int
	dirty []int32

	hungry []int32                      // slots whose requests wait for room in the hall's tables
	opened [wire.ControllerSide + 1]int // used slots by side: clients must not take the room of those who keep the cluster up
}

// conn is one client's connection. Its requests are answered in the order in which they came.
//
// Invariants: seqs in queue rise by one; a request runs only if all before it in queue are answered, or all
// of them and it are Produce; none runs behind one that is alone.
type conn struct {
	id       core.ConnID
	used     bool
	dirty    bool
	closing  bool // CloseConn was given: what still comes is dropped
	paused   bool
	listener string
	side     wire.Side // what that listener serves
	host     string    // of the client, without its port
	queue    []pending
	nextSeq  uint64
	held     int64     // bytes of the requests in queue
	unsent   int64     // bytes given to Send and SendRange whose Done has not come
	lastUse  core.Time // when it last brought a request or took a reply
}

type pendingState uint8

const (
	waiting pendingState = iota
	running
	answered
)

// pending is one request that has not left its connection's queue.
type pending struct {
	seq    uint64
	state  pendingState
	alone  bool // those behind it wait until it is let go, or answered
	key    int16
	task   int32 // the slot of its Task + 1, or 0
	size   int64 // of its frame
	buf    []byte
	req    *core.Prepared
	pieces []piece // its reply, once answered; empty for none
}

// piece is a part of a reply: bytes, or a range of a file.
type piece struct {
	b      []byte
	file   core.FileID
	off, n int64
}

// opKind says what an effect of table 1 was for.
type opKind uint8

const (
	opSend opKind = iota // a reply; Conn, N bytes
	opBoot               // a step of boot or stop
	opWork               // work of a request; wakes waitWork
)

// op is what the hall remembers of an effect in flight.
type op struct {
	kind opKind
	conn core.ConnID
	n    int64
	step int32
}

func (c *connections) init() {
	c.at = map[core.ConnID]int32{}
	c.perIP = map[string]int{}
}

const timerIdle uint8 = 2 // A: the connection

// opened lets a connection in, or turns it away.
func (b *Broker) opened(now core.Now, ev *core.Event, out *core.Out) {
	defer out.Release(ev.Data)
	info, ok := core.ParseConnInfo(ev.Data)
	if !ok {
		b.note(now, core.Warn, "closed a connection of which the listener told nothing", out)
		out.CloseConn(ev.Conn)
		return
	}
	host := hostOf(info.Remote)
	c := &b.conns
	switch {
	case b.stage >= stageDraining:
		out.CloseConn(ev.Conn)
		return
	case c.opened[b.side(info.Listener)] >= b.cfg.MaxConnections:
		out.Mark("broker.connection-limit")
		b.note(now, core.Warn, "refused "+info.Remote+": max.connections="+strconv.Itoa(b.cfg.MaxConnections)+" is reached", out)
		out.CloseConn(ev.Conn)
		return
	case c.perIP[host] >= b.cfg.maxConnectionsOf(host):
		out.Mark("broker.connection-limit-per-ip")
		b.note(now, core.Warn, "refused "+info.Remote+": max.connections.per.ip="+strconv.Itoa(b.cfg.maxConnectionsOf(host))+" is reached", out)
		out.CloseConn(ev.Conn)
		return
	}
	var i int32
	if n := len(c.free); n > 0 {
		i, c.free = c.free[n-1], c.free[:n-1]
	} else {
		i = int32(len(c.slots))
		c.slots = append(c.slots, conn{})
	}
	c.slots[i] = conn{id: ev.Conn, used: true, listener: info.Listener, side: b.side(info.Listener), host: host, nextSeq: 1, lastUse: now.Mono}
	c.at[ev.Conn] = i
	c.perIP[host]++
	c.opened[c.slots[i].side]++
	b.counts.connectionsOpened++
	b.timers.Set(now.Mono.After(b.cfg.MaxIdle), timerIdle, uint64(ev.Conn), 0)
}

// side is what a listener serves.
func (b *Broker) side(listener string) wire.Side {
	if slices.ContainsFunc(b.cfg.Controllers, func(l Listener) bool { return l.Name == listener }) {
		return wire.ControllerSide
	}
	return wire.BrokerSide
}

// hostOf cuts the port from "host:port" and the brackets from an IPv6 address.
func hostOf(addr string) string {
	for i := len(addr) - 1; i >= 0; i-- {
		if addr[i] == ':' {
			addr = addr[:i]
			break
		}
	}
	if n := len(addr); n > 2 && addr[0] == '[' && addr[n-1] == ']' {
		return addr[1 : n-1]
	}
	return addr
}

// find returns the connection of that id, or nil.
func (c *connections) find(id core.ConnID) *conn {
	i, ok := c.at[id]
	if !ok {
		return nil
	}
	return &c.slots[i]
}

func (c *connections) touch(i int32) {
	if s := &c.slots[i]; !s.dirty {
		s.dirty = true
		c.dirty = append(c.dirty, i)
	}
}

// frame takes one request in.
func (b *Broker) frame(now core.Now, ev *core.Event, out *core.Out) {
	i, ok := b.conns.at[ev.Conn]
	if !ok || b.conns.slots[i].closing {
		out.Release(ev.Data)
		return
	}
	c := &b.conns.slots[i]
	c.lastUse = now.Mono
	req := ev.Req
	if req == nil {
		req = Prepare(ev.Data, core.FromClient)
	}
	if req.Err != core.OK {
		why := req.Err.String()
		if p, ok := req.Body.(*prepared); ok {
			why = p.err
		}
		b.dropConn(ev.Conn, "a request that cannot be read: "+why, out)
		out.Release(ev.Data)
		return
	}
	p := req.Body.(*prepared)
	if _, served := c.side.Served(p.Header.Key); !served {
		b.dropConn(ev.Conn, "API "+strconv.Itoa(int(p.Header.Key))+" "+wire.Name(p.Header.Key)+" is not served on listener "+c.listener, out)
		out.Release(ev.Data)
		return
	}
	if p.BadVersion && p.Header.Key != wire.KeyApiVersions {
		b.dropConn(ev.Conn, "version "+strconv.Itoa(int(p.Header.Version))+" of API "+strconv.Itoa(int(p.Header.Key))+" "+wire.Name(p.Header.Key)+" is not served", out)
		out.Release(ev.Data)
		return
	}
	c.queue = append(c.queue, pending{seq: c.nextSeq, key: p.Header.Key, size: int64(len(ev.Data)), buf: ev.Data, req: req})
	c.nextSeq++
	c.held += int64(len(ev.Data))
	c.pauseIfFull(out)
	// Frames under way when Pause was given still come; a world that goes on is broken.
	if len(c.queue) > 4*core.RequestsPerConnMax {
		b.dropConn(c.id, "more unanswered requests than a paused connection can have", out)
	}
	b.conns.touch(i)
}

// roomForRequests reports whether the tables of the hall can take more; else requests wait.
func (b *Broker) roomForRequests() bool {
	return b.tasks.live < b.cfg.Internal.Tasks && b.ops.Room() > core.OpsMax/4
}

// serve starts what may start on the connections that changed, and sends what may leave. It reports
// whether it did anything.
func (b *Broker) serve(now core.Now, out *core.Out) bool {
	if len(b.conns.hungry) > 0 && b.roomForRequests() {
		for _, i := range b.conns.hungry {
			b.conns.touch(i)
		}
		b.conns.hungry = b.conns.hungry[:0]
	}
	if len(b.conns.dirty) == 0 {
		return false
	}
	for at := 0; at < len(b.conns.dirty); at++ {
		i := b.conns.dirty[at]
		b.conns.slots[i].dirty = false
		if b.conns.slots[i].used {
			b.flush(now, i, out)
			b.startRequests(now, i, out)
			b.flush(now, i, out)
		}
	}
	b.conns.dirty = b.conns.dirty[:0]
	return true
}

// startRequests hands to their handlers the requests whose turn has come: one at a time, but for
// Produce requests, which may follow each other while their records are on the way to the disk.
func (b *Broker) startRequests(now core.Now, i int32, out *core.Out) {
	if !b.serves(b.conns.slots[i].side) {
		return
	}
	for at := 0; ; at++ {
		c := &b.conns.slots[i] // handlers don't add slots, but look anew all the same
		if c.closing || at >= len(c.queue) || c.unsent >= core.UnsentBytesPerConnMax {
			return
		}
		p := &c.queue[at]
		if !b.roomForRequests() && !(p.state == waiting && c.ofPeer(p) && b.tasks.live < b.cfg.Internal.Tasks+PeerTasksMax && b.ops.Room() > core.OpsMax/8) {
			out.Mark("broker.requests-wait-for-room")
			b.conns.hungry = append(b.conns.hungry, i)
			return
		}
		switch {
		case p.state == running && (p.key != produceKey || p.alone):
			return
		case p.state != waiting:
			continue
		case at > 0 && p.key != produceKey:
			return
		case at > 0 && (c.queue[at-1].key != produceKey || c.queue[at-1].alone): // it may have become so just now, by starting
			return
		}
		p.state = running
		body := p.req.Body.(*prepared)
		r := request{conn: c.id, seq: p.seq, header: body.Header, at: now.Mono, buf: p.buf}
		p.buf, p.req = nil, nil
		b.counts.request(body.Header.Key)
		if body.BadVersion {
			b.apiVersionsUnknown(now, r, out)
			continue
		}
		b.route(now, r, body.Body, body, out)
	}
}

// ofPeer reports whether a request comes from another node: what clients wait for may hang on its answer, so it does not stand
// in line behind them. Produce requests that fill the table wait for the followers' fetches.
func (c *conn) ofPeer(p *pending) bool {
	if c.side == wire.ControllerSide {
		return true
	}
	body, _ := p.req.Body.(*prepared)
	if body == nil {
		return false
	}
	q, is := body.Body.(*kmsg.FetchRequest)
	return is && (q.ReplicaID >= 0 || q.ReplicaState.ID >= 0)
}

// serves reports whether requests of a listener are answered yet, and still. A controller is there for the others before
// this node's broker is: without it no broker could start.
func (b *Broker) serves(s wire.Side) bool {
	if s == wire.ControllerSide {
		return b.stage >= stageQuorum && b.stage < stageStopping
	}
	return b.stage == stageReady || b.stage == stageHandover
}

// flush sends the replies at the head of the queue.
func (b *Broker) flush(now core.Now, i int32, out *core.Out) {
	c := &b.conns.slots[i]
	sent := 0
	for sent < len(c.queue) && c.queue[sent].state == answered {
		p := &c.queue[sent]
		sent++
		c.held -= p.size
		if len(p.pieces) == 0 || c.closing {
			continue
		}
		c.lastUse = now.Mono
		var n int64
		for _, x := range p.pieces {
			n += x.n + int64(len(x.b))
		}
		last := len(p.pieces) - 1
		for at, x := range p.pieces {
			var o core.Op
			if at == last { // bytes leave in order: when the last is gone, all are
				o = b.ops.Start(op{kind: opSend, conn: c.id, n: n})
			}
			if x.file != 0 {
				out.SendRange(o, c.id, x.file, x.off, x.n)
			} else {
				out.Send(o, c.id, x.b)
			}
		}
		c.unsent += n
		b.counts.bytesOut += n
	}
	if sent == 0 {
		return
	}
	rest := copy(c.queue, c.queue[sent:])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
	c.pauseIfFull(out)
	c.maybeResume(out)
}

// HeldBytesPerConnMax bounds the bytes of unanswered requests of one connection; then it is paused.
const HeldBytesPerConnMax = 16 << 20

// pauseIfFull stops the reading of a connection that asks for more than it takes.
func (c *conn) pauseIfFull(out *core.Out) {
	full := len(c.queue) >= core.RequestsPerConnMax || c.held >= HeldBytesPerConnMax || c.unsent >= core.UnsentBytesPerConnMax
	if full && !c.paused && !c.closing {
		c.paused = true
		out.Mark("broker.connection-paused")
		out.Pause(c.id)
	}
}

// maybeResume goes on with the reading once there is room again.
func (c *conn) maybeResume(out *core.Out) {
	roomy := len(c.queue) <= core.RequestsPerConnMax/2 && c.held <= HeldBytesPerConnMax/2 && c.unsent < core.UnsentBytesPerConnMax
	if roomy && c.paused && !c.closing {
		c.paused = false
		out.Resume(c.id)
	}
}

// finished takes the Done of an effect of table 1.
func (b *Broker) finished(now core.Now, ev *core.Event, out *core.Out) {
	o, ok := b.ops.Finish(ev.Op)
	if !ok {
		return
	}
	switch o.kind {
	case opSend:
		i, open := b.conns.at[o.conn]
		if !open {
			return
		}
		c := &b.conns.slots[i]
		full := c.unsent >= core.UnsentBytesPerConnMax
		c.unsent -= o.n
		c.lastUse = now.Mono
		if full && c.unsent < core.UnsentBytesPerConnMax {
			c.maybeResume(out)
			b.conns.touch(i)
		}
	case opBoot:
		b.bootDone(now, o.step, ev, out)
	case opWork:
		b.deliver(result{key: waitKey{kind: waitWork, id: uint64(ev.Op)}, err: ev.Err, offset: core.Offset(ev.N), data: ev.Data})
	}
}

// answer puts the reply of a request in its place and gives the frame back.
func (b *Broker) answer(r request, release bool, out *core.Out, pieces ...piece) {
	if release {
		out.Release(r.buf)
	}
	i, ok := b.conns.at[r.conn]
	if !ok {
		return
	}
	c := &b.conns.slots[i]
	p := c.find(r.seq)
	if p == nil {
		return
	}
	core.Must(p.state == running, "a request is answered once")
	p.state, p.pieces = answered, pieces
	b.conns.touch(i)
}

func (c *conn) find(seq uint64) *pending {
	if len(c.queue) == 0 || seq < c.queue[0].seq || seq-c.queue[0].seq >= uint64(len(c.queue)) {
		return nil
	}
	return &c.queue[seq-c.queue[0].seq]
}

// clientHost is the address of the client, without its port, as DescribeGroups shows it ("/127.0.0.1").
func (b *Broker) clientHost(r request) string {
	if r.via == viaEnvelope {
		return "/" + r.host
	}
	c := b.conns.find(r.conn)
	if c == nil {
		return ""
	}
	return "/" + c.host
}

// listener is the name of the listener that accepted the request's connection.
func (b *Broker) listener(r request) string {
	c := b.conns.find(r.conn)
	if c == nil {
		return ""
	}
	return c.listener
}

// dropConn closes a connection that went wrong, and says why. Tasks of its requests are woken: nobody waits for them.
func (b *Broker) dropConn(id core.ConnID, why string, out *core.Out) {
	c := b.conns.find(id)
	if c == nil || c.closing {
		return
	}
	c.closing = true
	for at := range c.queue {
		if t := c.queue[at].task; t != 0 {
			b.tasks.queue(t - 1)
		}
	}
	b.counts.connectionsDropped++
	b.note(b.now, core.Warn, "closed the connection of "+c.host+": "+why, out)
	out.CloseConn(id)
}

// closed forgets a connection. Tasks of its requests are woken: each sees that the connection is gone.
func (b *Broker) closed(now core.Now, ev *core.Event, out *core.Out) {
	i, ok := b.conns.at[ev.Conn]
	if !ok {
		return
	}
	c := &b.conns.slots[i]
	switch ev.Err {
	case core.SpeaksTLS:
		b.note(now, core.Warn, c.host+" speaks TLS to listener "+c.listener+", which is plain: set security.protocol=PLAINTEXT in the client, or give it the port of a TLS listener", out)
	case core.SpeaksHTTP:
		b.note(now, core.Warn, c.host+" speaks HTTP to listener "+c.listener+", which speaks the Kafka protocol: metrics and health are on the admin port", out)
	case core.TooLarge:
		b.note(now, core.Warn, c.host+" sent a frame above socket.request.max.bytes="+strconv.FormatInt(b.cfg.FrameBytesMax, 10)+": the connection was closed", out)
	case core.BadFrame:
		b.note(now, core.Warn, c.host+" sent a frame whose length cannot be one: it may not speak the Kafka protocol", out)
	}
	for at := range c.queue {
		p := &c.queue[at]
		if p.buf != nil {
			out.Release(p.buf)
		}
		if p.task != 0 {
			b.tasks.queue(p.task - 1)
		}
	}
	if b.conns.perIP[c.host]--; b.conns.perIP[c.host] == 0 {
		delete(b.conns.perIP, c.host)
	}
	delete(b.conns.at, ev.Conn)
	b.conns.opened[c.side]--
	*c = conn{dirty: c.dirty}
	b.conns.free = append(b.conns.free, i)
	b.counts.connectionsClosed++
}

// idleTimer closes a connection that has had nothing under way for connections.max.idle.ms.
func (b *Broker) idleTimer(now core.Now, t core.Timer, out *core.Out) {
	c := b.conns.find(core.ConnID(t.A))
	if c == nil || c.closing {
		return
	}
	due := c.lastUse.After(b.cfg.MaxIdle)
	if len(c.queue) > 0 || c.unsent > 0 {
		due = max(due, now.Mono.After(b.cfg.MaxIdle))
	}
	if due > now.Mono {
		b.timers.Set(due, timerIdle, t.A, 0)
		return
	}
	out.Mark("broker.idle-connection-closed")
	c.closing = true
	out.CloseConn(c.id)
}
