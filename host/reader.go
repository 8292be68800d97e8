package host

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"klamm/core"
)

// read brings the frames of a connection to the loop until it ends. Bytes beyond the frame in the making go
// to a small stage, so that a steady stream of frames costs one system call each, large ones are never
// copied, and several small ones come with one call.
func (c *conn) read() {
	defer c.readEnded()
	r := reader{c: c, stage: make([]byte, stageBytes)}
	for c.gate() {
		frame, why, ok := r.next()
		if !ok {
			if c.closing.Load() {
				break
			}
			if why == core.OK && c.unsent() {
				why = core.Reset // the other side is gone, though not all had been sent to it
			}
			c.refuse(why)
			c.fail(why)
			return
		}
		if !c.deliver(frame) {
			break
		}
	}
	if !c.over.Load() {
		c.discard(r.stage)
	}
	c.fail(core.OK)
}

// deliver decodes a frame here, beside the loop, and hands it over.
func (c *conn) deliver(frame []byte) bool {
	n := c.cs.n
	ev := core.Event{Kind: core.Frame, Conn: c.id, Data: frame}
	if n.o.Pure.Prepare != nil {
		var ok bool
		if ev.Req, ok = n.prepare(frame, c.kind); !ok {
			return false
		}
	}
	if ev.Req == nil || ev.Req.Err == core.OK {
		c.proven = true
	}
	if !c.gate() { // a frame that comes while it is paused is not delivered before Resume
		n.conns.budget.release(int64(len(frame)))
		n.pool.put(frame)
		return false
	}
	return n.queue.pushFrame(item{ev: ev})
}

func (n *Node) prepare(frame []byte, kind core.ConnKind) (req *core.Prepared, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			n.broken(p)
		}
	}()
	return n.o.Pure.Prepare(frame, kind), true
}

// discard throws away what still comes after the machine closed the connection, until the other side has
// closed too or some time has passed: closing at once could destroy what was sent last on its way.
func (c *conn) discard(scratch []byte) {
	c.net.SetReadDeadline(time.Now().Add(closeDrainWithin))
	for {
		if _, err := c.net.Read(scratch); err != nil {
			return
		}
	}
}

// refuse answers one who speaks HTTP in HTTP, since a person may be looking.
func (c *conn) refuse(why core.Errno) {
	if why != core.SpeaksHTTP {
		return
	}
	const text = "This port speaks the Kafka protocol, not HTTP.\nMetrics and health are on the admin port (klamm dev --admin).\n"
	c.net.SetWriteDeadline(time.Now().Add(closeDrainWithin))
	io.WriteString(c.net, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: "+itoa(len(text))+"\r\n\r\n"+text)
	if t, ok := c.net.(*net.TCPConn); ok {
		t.CloseWrite()
	}
	c.discard(make([]byte, 512))
}

// reader assembles frames.
//
// Invariant: stage[from:to] are bytes that came and belong to no delivered frame.
type reader struct {
	c        *conn
	stage    []byte
	from, to int
}

// next returns the next whole frame in a buffer of the pool.
func (r *reader) next() (frame []byte, why core.Errno, ok bool) {
	n := r.c.cs.n
	for {
		need, why := n.o.Pure.Split(r.stage[r.from:r.to], n.o.FrameBytesMax)
		if why != core.OK {
			return nil, why, false
		}
		have := r.to - r.from
		switch {
		case need > 0 && need <= have:
			if !n.conns.budget.reserve(r.c, int64(need)) {
				return nil, core.OK, false
			}
			frame = n.pool.get(need)
			copy(frame, r.stage[r.from:])
			r.from += need
			n.conns.budget.whole(r.c)
			return frame, core.OK, true
		case need > 0:
			return r.assemble(need)
		case have == len(r.stage):
			return nil, core.BadFrame, false
		}
		if r.from > 0 {
			r.to = copy(r.stage, r.stage[r.from:r.to])
			r.from = 0
		}
		got, err := r.c.sock.read(r.stage[r.to:], nil)
		if err != nil {
			return nil, readErrno(err, have > 0), false
		}
		r.c.cs.received.Add(uint64(got))
		r.to += got
	}
}

// assemble reads the rest of a frame of need bytes. Memory is taken in steps, as bytes come: a length alone
// is a claim.
func (r *reader) assemble(need int) (frame []byte, why core.Errno, ok bool) {
	c, n := r.c, r.c.cs.n
	step := frameStepUnproven
	if c.proven {
		step = frameStepProven
	}
	size := min(need, step)
	if !n.conns.budget.reserve(c, int64(size)) {
		return nil, core.OK, false
	}
	frame = n.pool.get(size)
	got := copy(frame, r.stage[r.from:r.to])
	r.from, r.to = 0, 0
	defer func() {
		c.progress.Store(0)
		n.conns.budget.whole(c)
		if !ok {
			n.conns.budget.release(int64(len(frame)))
			n.pool.put(frame)
		}
	}()
	for got < need {
		if got == len(frame) {
			size := min(need, 4*len(frame))
			if !n.conns.budget.reserve(c, int64(size-len(frame))) {
				return frame, core.OK, false
			}
			larger := n.pool.get(size)
			copy(larger, frame)
			n.pool.put(frame)
			frame = larger
		}
		var stage []byte
		if len(frame) == need {
			stage = r.stage
		}
		k, err := c.sock.read(frame[got:], stage)
		if err != nil {
			return frame, readErrno(err, true), false
		}
		c.cs.received.Add(uint64(k))
		if over := k - (len(frame) - got); over > 0 {
			k, r.to = k-over, over
		}
		if got += k; got < need {
			c.progress.Store(time.Now().UnixNano())
		}
	}
	return frame, core.OK, true
}

// readErrno says why reading ended, amid a frame or between two.
func readErrno(err error, amid bool) core.Errno {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF) && !amid, errors.Is(err, net.ErrClosed):
		return core.OK
	case errors.Is(err, syscall.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return core.TimedOut
	}
	return core.Reset
}
