package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"klamm/core"
)

// conns is every connection of a node. byID, gathered and the effects belong to the loop.
type conns struct {
	n        *Node
	byID     map[core.ConnID]*conn
	gathered []*conn // those to which this batch gave something
	budget   budget
	nextID   atomic.Uint64
	live     atomic.Int64
	writers  atomic.Int64 // that hold buffers for file ranges
	accepted atomic.Uint64
	refused  atomic.Uint64
	received atomic.Uint64 // bytes
	sent     atomic.Uint64
	stopping atomic.Bool
}

// conn is one connection. A goroutine reads it for as long as it lives; another writes it while there is
// something to write. Whichever ends last tells the loop, once, that it is gone.
//
// Invariants: after over is set nothing new is written; itemGone is pushed when over is set, the reader has ended
// and no writer runs; then only the loop touches what is left in out.
type conn struct {
	id     core.ConnID
	kind   core.ConnKind
	cs     *conns
	net    net.Conn
	sock   socket
	cancel context.CancelFunc // of a dial under way

	gather   []sendItem // the loop's: given in this batch
	gathered bool

	over     atomic.Bool
	closing  atomic.Bool  // the machine closed it: what comes in is thrown away
	progress atomic.Int64 // when its half-read frame last grew, Unix nanoseconds; 0: none is half read
	proven   bool         // the reader's: it has brought a whole frame that could be decoded
	beyond   bool         // the reader's: see budget

	mu      sync.Mutex
	resumed sync.Cond
	paused  bool
	dialing bool
	reading bool
	writing bool
	goneOut bool
	why     core.Errno
	dialOp  core.Op
	out     []sendItem
}

// sendItem is one Send, SendRange or CloseConn that waits for its turn.
type sendItem struct {
	op     core.Op
	data   []byte
	file   *file // of a range, pinned
	off, n int64
	sent   int // of data, already
	close  bool
}

func newConns(n *Node) *conns {
	cs := &conns{n: n, byID: make(map[core.ConnID]*conn)}
	cs.budget.init(n.o.FrameBudget, cs.cutOffStalled)
	return cs
}

func (cs *conns) newConn(id core.ConnID, kind core.ConnKind, nc net.Conn) *conn {
	c := &conn{id: id, kind: kind, cs: cs, net: nc}
	c.resumed.L = &c.mu
	return c
}

// accept starts to accept on the early listeners, or on the others.
func (cs *conns) accept(early bool) {
	for _, l := range cs.n.o.Listeners {
		if l.Early == early {
			go cs.acceptOn(l)
		}
	}
}

func (cs *conns) acceptOn(l Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || cs.stopping.Load() {
				return
			}
			cs.n.notes.add(core.Warn, fmt.Sprintf("listener %s cannot accept: %v", l.Name, err))
			time.Sleep(acceptRetryAfterFail) // too many open files: it passes when others close
			continue
		}
		if cs.live.Load() >= int64(cs.n.o.ConnsMax) {
			cs.refused.Add(1)
			cs.n.notes.add(core.Warn, fmt.Sprintf("refused a connection to listener %s: %d are open, the most allowed (max.connections)", l.Name, cs.n.o.ConnsMax))
			nc.Close()
			continue
		}
		cs.accepted.Add(1)
		c := cs.newConn(core.ConnID(cs.nextID.Add(1)*2-1), core.FromClient, nc)
		info := core.ConnInfo{Listener: l.Name, Local: nc.LocalAddr().String(), Remote: nc.RemoteAddr().String()}
		cs.begin(c, core.Event{Kind: core.Opened, Conn: c.id, Data: info.Append(nil)})
	}
}

// begin announces an open connection and starts to read it.
func (cs *conns) begin(c *conn, ev core.Event) {
	cs.live.Add(1)
	c.sock.init(c.net)
	c.reading = true
	cs.n.queue.push(item{what: itemOpened, ev: ev, conn: c})
	go c.read()
}

// effect takes one effect on a connection.
func (cs *conns) effect(e *core.Effect) {
	if e.Kind == core.Dial {
		cs.dial(e)
		return
	}
	c := cs.byID[e.Conn]
	if c == nil {
		if e.Op != 0 {
			cs.n.queue.push(item{ev: core.Event{Kind: core.Done, Op: e.Op, Err: core.ConnGone}})
		}
		return
	}
	switch e.Kind {
	case core.Pause, core.Resume:
		c.setPaused(e.Kind == core.Pause)
	case core.Send:
		c.give(sendItem{op: e.Op, data: e.Data})
	case core.SendRange:
		f := cs.n.files.pin(e.File)
		c.give(sendItem{op: e.Op, file: f, off: e.Off, n: e.Len})
	case core.CloseConn:
		c.give(sendItem{close: true})
	}
}

func (c *conn) give(s sendItem) {
	c.gather = append(c.gather, s)
	if !c.gathered {
		c.gathered = true
		c.cs.gathered = append(c.cs.gathered, c)
	}
}

// flush hands what this batch gave to the writers.
func (cs *conns) flush() {
	few := len(cs.gathered) <= sendNowConns
	for i, c := range cs.gathered {
		if few {
			c.sendNow()
		}
		c.handOver()
		cs.gathered[i] = nil
	}
	cs.gathered = cs.gathered[:0]
}

// sendNow sends a little on the loop itself if nobody is writing: to wake a writer for each small reply of a
// quiet node costs more than the system call. What the kernel does not take at once stays gathered.
func (c *conn) sendNow() {
	var pieces [sendNowPieces][]byte
	bytes := 0
	for i := range c.gather {
		s := &c.gather[i]
		if bytes += len(s.data); s.file != nil || s.n > 0 || s.close || i == sendNowPieces || bytes > sendNowBytes {
			return
		}
		pieces[i] = s.data
	}
	c.mu.Lock()
	quiet := !c.writing && !c.dialing && len(c.out) == 0 && !c.over.Load() && !c.closing.Load()
	c.mu.Unlock()
	if !quiet { // only the loop makes it unquiet, but for its end
		return
	}
	sent := c.sock.sendNow(pieces[:len(c.gather)])
	c.cs.sent.Add(uint64(sent))
	whole := 0
	for whole < len(c.gather) && sent >= len(c.gather[whole].data) {
		s := &c.gather[whole]
		sent -= len(s.data)
		whole++
		if s.op != 0 {
			c.cs.n.queue.push(item{ev: core.Event{Kind: core.Done, Op: s.op, N: int64(len(s.data))}})
		}
	}
	left := copy(c.gather, c.gather[whole:])
	clear(c.gather[left:])
	if c.gather = c.gather[:left]; left > 0 {
		c.gather[0].sent = sent
	}
}

func (c *conn) handOver() {
	c.gathered = false
	if len(c.gather) == 0 {
		return
	}
	c.mu.Lock()
	c.out = append(c.out, c.gather...)
	start := !c.writing && !c.dialing && !c.over.Load() && !c.closing.Load()
	if start {
		c.writing = true
	}
	nc := c.net
	c.mu.Unlock()
	last := c.gather[len(c.gather)-1]
	clear(c.gather)
	c.gather = c.gather[:0]
	if last.close {
		if nc != nil {
			nc.SetWriteDeadline(time.Now().Add(closeFlushWithin))
		}
		if c.cancel != nil {
			c.cancel()
		}
	}
	if start {
		go c.write()
	}
}

func (c *conn) setPaused(paused bool) {
	c.mu.Lock()
	c.paused = paused
	c.mu.Unlock()
	if !paused {
		c.resumed.Broadcast()
	}
}

// gate waits while the connection is paused. It reports false when no frame is wanted any more.
func (c *conn) gate() bool {
	if c.over.Load() || c.closing.Load() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.paused && !c.over.Load() && !c.closing.Load() {
		c.resumed.Wait()
	}
	return !c.over.Load() && !c.closing.Load()
}

// fail ends the connection; the first reason counts.
func (c *conn) fail(why core.Errno) {
	c.mu.Lock()
	first := !c.over.Load()
	if first {
		c.why = why
		c.over.Store(true)
	}
	c.mu.Unlock()
	if !first {
		return
	}
	c.net.Close()
	c.resumed.Broadcast()
	if c.cs.budget.waiting.Load() > 0 {
		c.cs.budget.release(0)
	}
}

// readEnded notes that the reader has ended.
func (c *conn) readEnded() {
	c.mu.Lock()
	c.reading = false
	gone := c.goneNow()
	c.mu.Unlock()
	c.tell(gone)
}

// goneNow reports, once, that nobody uses the connection any more. The caller holds the lock.
func (c *conn) goneNow() bool {
	if !c.over.Load() || c.reading || c.writing || c.goneOut {
		return false
	}
	c.goneOut = true
	return true
}

func (c *conn) tell(gone bool) {
	if gone {
		c.cs.live.Add(-1)
		c.cs.n.queue.push(item{what: itemGone, conn: c, ev: core.Event{Kind: core.Closed, Conn: c.id, Err: c.why}})
	}
}

// unsent reports whether something waits to be sent.
func (c *conn) unsent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing || len(c.out) > 0
}

// leftovers hands over what was never sent. The loop calls it when the connection is gone.
func (c *conn) leftovers() []sendItem {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.out
	c.out = nil
	for i := range left {
		left[i].file.unpin()
	}
	return left
}

func (cs *conns) forget(c *conn) {
	if cs.byID[c.id] == c {
		delete(cs.byID, c.id)
	}
}

// dial opens a connection in the background. What is sent on it meanwhile waits.
func (cs *conns) dial(e *core.Effect) {
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	c := cs.newConn(e.Conn, core.Dialled, nil)
	c.cancel, c.dialing, c.dialOp = cancel, true, e.Op
	cs.byID[c.id] = c
	addr := string(e.Data)
	go func() {
		defer cancel()
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil && ctx.Err() != nil { // closed meanwhile
			nc.Close()
			err = ctx.Err()
		}
		if err != nil {
			c.mu.Lock()
			c.goneOut = true
			c.over.Store(true)
			c.mu.Unlock()
			cs.n.queue.push(item{what: itemGone, conn: c, ev: core.Event{Kind: core.Opened, Conn: c.id, Op: c.dialOp, Err: dialErrno(err)}})
			return
		}
		c.mu.Lock()
		c.net = nc
		c.mu.Unlock()
		info := core.ConnInfo{Local: nc.LocalAddr().String(), Remote: nc.RemoteAddr().String()}
		c.begunDialled(core.Event{Kind: core.Opened, Conn: c.id, Op: c.dialOp, Data: info.Append(nil)})
	}()
}

// begunDialled starts both directions of a connection that was dialled.
func (c *conn) begunDialled(ev core.Event) {
	c.cs.live.Add(1)
	c.sock.init(c.net)
	c.mu.Lock()
	c.reading, c.dialing = true, false
	start := len(c.out) > 0
	c.writing = start
	c.mu.Unlock()
	c.cs.n.queue.push(item{what: itemOpened, ev: ev, conn: c})
	if start {
		go c.write()
	}
	go c.read()
}

func dialErrno(err error) core.Errno {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return core.Refused
	case errors.Is(err, context.Canceled):
		return core.ConnGone
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return core.TimedOut
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return core.TooManyFiles
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return core.NotFound
	}
	return core.Refused
}

// cutOffStalled ends connections whose half-read frame has not grown for long. The budget calls it while others wait.
func (cs *conns) cutOffStalled() {
	n := cs.n
	n.queue.push(item{what: itemCall, call: func(core.Now, *core.Out) {
		before := time.Now().Add(-frameStallMax).UnixNano()
		for _, c := range cs.byID {
			if at := c.progress.Load(); at != 0 && at < before {
				n.notes.add(core.Warn, "closed a connection from "+c.net.RemoteAddr().String()+": its half-sent request did not grow for 10 s while others waited for memory")
				c.fail(core.TimedOut)
			}
		}
	}})
}

func (cs *conns) stopAccepting() {
	cs.stopping.Store(true)
	for _, l := range cs.n.o.Listeners {
		l.Close()
	}
}

// closeAll ends every connection once the loop has ended: what the machine sent last may still leave.
func (cs *conns) closeAll() {
	cs.stopAccepting()
	for _, c := range cs.byID {
		c.give(sendItem{close: true})
	}
	cs.flush()
	for until := time.Now().Add(closeDrainWithin * 2); cs.live.Load() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	for _, c := range cs.byID {
		c.mu.Lock()
		open := c.net != nil
		c.mu.Unlock()
		if open {
			c.fail(core.Stopping)
		}
	}
}

// explainListen says why a port cannot be had and what to do about it.
func explainListen(name, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(addr)
		return fmt.Errorf("%s cannot listen on %s: the port is in use by another process. See which one with \"ss -ltnp 'sport = :%s'\", or choose another address", name, addr, port)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s cannot listen on %s: permission denied. Ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher port", name, addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s cannot listen on %s: this machine has no such address. Use one of its own addresses, or 0.0.0.0 for all", name, addr)
	}
	return fmt.Errorf("%s cannot listen on %s: %w. An address looks like localhost:9092", name, addr, err)
}
