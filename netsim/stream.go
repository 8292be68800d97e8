package netsim

import (
	"math/bits"

	"klamm/core"
)

// delay is one-way time from 16 bits of a draw: the least, plus steps that double as their probability halves.
func (n *Net) delay(v uint64) core.Time {
	steps := bits.LeadingZeros16(^uint16(v)) // 0 for v = 0, k with probability 2^-k
	if n.Weather.Jitter == 0 || steps == 0 {
		return n.Weather.Latency
	}
	span := n.Weather.Jitter << min(steps-1, 8)
	return n.Weather.Latency + span/2 + span*core.Time(v>>4&0xfff)>>13
}

// Send carries out Send and SendRange.
func (n *Net) Send(who int, e *core.Effect, sum uint64) {
	slot, side, ok := n.find(who, e.Conn)
	if !ok || n.conns[slot].ends[side].state != open {
		if e.Op != 0 {
			n.env.Deliver(who, core.Event{Kind: core.Done, Op: e.Op, Err: core.ConnGone})
		}
		return
	}
	s := send{op: e.Op, sum: sum, len: len(e.Data), data: e.Data}
	if e.Kind == core.SendRange {
		s = send{op: e.Op, file: e.File, off: e.Off, len: int(e.Len)}
	}
	c := &n.conns[slot]
	c.dirs[side].sends.push(s)
	n.pump(slot, side)
}

// pump lets the kernel take bytes while the window has room.
func (n *Net) pump(slot uint32, side int) {
	c := &n.conns[slot]
	d := &c.dirs[side]
	if c.ends[side].state == gone || c.ends[side].state == dialled {
		return
	}
	for d.sends.len() > 0 {
		s := d.sends.front()
		if d.broken { // nobody is there: the answer is a reset
			n.wake(n.now+n.Weather.Latency, slot, opLost, side)
			return
		}
		room := d.window - d.flying
		if room <= 0 {
			n.Counts[WindowFull]++
			return
		}
		if !n.takePiece(slot, side, s, min(room, s.len-s.done)) {
			return
		}
		if s.done == s.len {
			if n.Check && s.data != nil && s.op != 0 && n.env.Sum(s.data) != s.sum {
				n.env.Broken(c.ends[side].node, "bytes given to Send changed before it was done")
			}
			if s.op != 0 {
				n.env.Deliver(c.ends[side].node, core.Event{Kind: core.Done, Op: s.op, N: int64(s.len)})
			}
			d.sends.pop()
		}
	}
	n.finish(slot, side)
}

// takePiece takes up to k bytes of a send into one piece and draws its fate.
func (n *Net) takePiece(slot uint32, side int, s *send, k int) bool {
	c := &n.conns[slot]
	d := &c.dirs[side]
	w := &n.Weather
	v := n.env.Choose(siteChunk, c.entity<<1|uint64(side), 1<<62)
	var p piece
	if wants(v>>16, w.Split) && k > 1 {
		n.Counts[Split]++
		k = 1 + int(n.env.Choose(siteCut, c.entity<<1|uint64(side), uint64(k-1)))
	}
	if wants(v>>32, w.Reset) {
		p.reset = true
		n.drawReset(c, side, &p, &k)
	}
	if s.file != 0 {
		p.data, p.owned = n.env.Buffer(k), true
		if !n.env.ReadRange(c.ends[side].node, s.file, s.off+int64(s.done), p.data) {
			n.Counts[RangeFailed]++
			n.env.Recycle(p.data)
			d.broken = true
			n.lose(slot, side, core.IOError)
			n.wakeOther(slot, side)
			return false
		}
	} else if from := s.data[s.done : s.done+k]; s.op != 0 { // the sender may write to it as soon as it is done
		p.data, p.owned = n.env.Buffer(k), true
		copy(p.data, from)
	} else {
		p.data = from
		if n.Check {
			p.sum = n.env.Sum(from)
		}
	}
	s.done += k
	if p.reset {
		s.done = s.len // the rest is lost with the connection
	}
	at := n.now + n.delay(v) + d.slow
	if w.BytesPerSecond > 0 {
		at += core.Time(int64(k) * int64(core.Second) / w.BytesPerSecond)
	}
	switch {
	case int64(v>>48&0x3fff)<<2 >= 65536-w.Tail:
		n.Counts[LateTail]++
		at += core.Time(100+v>>20&0x7ff) * core.Millisecond
	case int64(v>>46&0x3fff)<<2 >= 65536-w.Stall:
		n.Counts[StalledConn]++
		at += core.Second + core.Time(v>>20&0x3fff)*core.Millisecond
	}
	p.at = max(at, d.last)
	d.last = p.at
	d.flying += k
	d.pieces.push(p)
	if !d.held {
		d.held = true
		n.wake(p.at, slot, opArrive, side)
	}
	if p.reset {
		d.broken = true
	}
	return true
}

// drawReset decides how much of a piece survives a reset and who learns of it.
func (n *Net) drawReset(c *conn, side int, p *piece, k *int) {
	v := n.env.Choose(siteBreak, c.entity<<1|uint64(side), 1<<32)
	switch v & 3 {
	case 0:
		n.Counts[ResetBefore]++
		*k = 0
	case 1:
		n.Counts[ResetMiddle]++
		if *k > 1 {
			*k = 1 + int(v>>2&0xffff)%(*k-1)
		}
	default:
		n.Counts[ResetAfter]++
	}
	p.lone = int64(v>>16&0xffff) >= 65536-n.Weather.HalfOpen
}

// wakeOther tells the peer of an end that broke off.
func (n *Net) wakeOther(slot uint32, side int) {
	c := &n.conns[slot]
	if c.used && c.ends[1-side].state != gone {
		n.wake(n.now+n.Weather.Latency, slot, opLost, 1-side)
	}
}

// arrive consumes what has come to the end of a direction.
func (n *Net) arrive(slot uint32, side int) {
	c := &n.conns[slot]
	d := &c.dirs[side]
	to := &c.ends[1-side]
	if to.state == gone {
		return
	}
	if to.state == dialled { // accepted before the dialling side knows: cannot happen before its answer
		d.held = true
		n.wake(n.now+n.Weather.Latency+1, slot, opArrive, side)
		return
	}
	if held := n.held(c, c.ends[side].node, to.node); held > n.now && (d.pieces.len() > 0 || d.fin) {
		n.Counts[HeldByCut]++
		v := n.env.Choose(siteAfterCut, c.entity<<1|uint64(side), 200)
		d.held = true
		n.wake(held+core.Time(v)*core.Millisecond, slot, opArrive, side)
		return
	}
	if to.paused || to.state == closing {
		if to.state == open {
			return // kicked by Resume
		}
	} else if !n.cutFrames(slot, side) {
		return
	}
	for d.pieces.len() > 0 && d.pieces.front().at <= n.now {
		p := d.pieces.pop()
		d.flying -= len(p.data)
		if n.Check && !p.owned && n.env.Sum(p.data) != p.sum {
			n.env.Broken(c.ends[side].node, "bytes given to Send without an op changed afterwards")
		}
		more := true
		if to.state == open {
			more = n.take1(slot, side, &p)
		}
		if p.owned {
			n.env.Recycle(p.data)
		}
		if d.dead {
			n.lose(slot, 1-side, c.err)
			n.wakeOther(slot, 1-side)
			return
		}
		if p.reset {
			n.lose(slot, 1-side, core.Reset)
			if c.used && c.ends[side].state != gone {
				if p.lone {
					n.Counts[HalfOpen]++
					n.keepalive(slot, side)
				} else {
					n.wake(n.now+n.Weather.Latency, slot, opLost, side)
				}
			}
			return
		}
		if !more || to.paused {
			break
		}
	}
	n.afterArrival(slot, side)
}

// afterArrival lets the sender go on and asks for the next wake-up.
func (n *Net) afterArrival(slot uint32, side int) {
	c := &n.conns[slot]
	d := &c.dirs[side]
	if d.sends.len() > 0 && d.flying < d.window {
		n.pump(slot, side)
		if !c.used {
			return
		}
	}
	if d.pieces.len() > 0 {
		if !d.held && !c.ends[1-side].paused {
			d.held = true
			n.wake(max(n.now, d.pieces.front().at), slot, opArrive, side)
		}
		return
	}
	if d.fin || d.broken && c.ends[side].state == gone {
		err := core.OK
		if !d.fin {
			err = core.Reset
		}
		n.lose(slot, 1-side, err)
	}
}

// take1 appends a piece to what has come and hands over the frames that are whole. A piece of our own that is one frame is
// handed over as it is.
func (n *Net) take1(slot uint32, side int, p *piece) (more bool) {
	c := &n.conns[slot]
	d := &c.dirs[side]
	to := c.ends[1-side]
	b := p.data
	for len(d.recv) == 0 && len(b) > 0 && !d.dead { // the usual case: pieces that begin with a frame
		need, err := n.nodes[to.node].split(b, core.FrameBytesMax)
		if err != core.OK {
			d.dead, c.err = true, err
			return false
		}
		if need == 0 || need > len(b) {
			break
		}
		if p.owned && need == len(p.data) {
			p.owned = false
			n.env.Deliver(to.node, core.Event{Kind: core.Frame, Conn: to.id, Data: b})
			return true
		}
		n.deliver(to, b[:need])
		b = b[need:]
	}
	if len(b) > 0 && !d.dead {
		n.gather(d, b)
		return n.cutFrames(slot, side)
	}
	return true
}

// gather appends to what has come of a frame, in buffers of the world: the next run uses them again.
func (n *Net) gather(d *dir, b []byte) {
	if size := len(d.recv) + len(b); size > cap(d.recv) {
		grown := n.env.Buffer(max(size, 2*cap(d.recv)))[:len(d.recv)]
		copy(grown, d.recv)
		n.forget(d)
		d.recv = grown
	}
	d.recv = append(d.recv, b...)
}

// forget gives back the room for the beginnings of frames.
func (n *Net) forget(d *dir) {
	if cap(d.recv) > 0 {
		n.env.Recycle(d.recv)
	}
	d.recv = nil
}

// Free gives back all buffers; the network is not used again.
func (n *Net) Free() {
	for i := range n.conns {
		for side := range n.conns[i].dirs {
			d := &n.conns[i].dirs[side]
			d.drop(n)
			n.forget(d)
		}
	}
}

func (n *Net) deliver(to end, frame []byte) {
	data := n.env.Buffer(len(frame))
	copy(data, frame)
	n.env.Deliver(to.node, core.Event{Kind: core.Frame, Conn: to.id, Data: data})
}

// cutFrames hands over the whole frames of recv. It returns false if reading must stop for want of budget.
func (n *Net) cutFrames(slot uint32, side int) (more bool) {
	c := &n.conns[slot]
	d := &c.dirs[side]
	to := c.ends[1-side]
	who := &n.nodes[to.node]
	for len(d.recv) > 0 && !d.dead {
		if d.need == 0 {
			need, err := who.split(d.recv, core.FrameBytesMax)
			if err != core.OK {
				d.dead, c.err = true, err
				return true
			}
			if need == 0 {
				return true
			}
			if who.assembling > 0 && who.assembling+int64(need) > n.Assembly {
				n.Counts[BudgetSpent]++
				who.starved = true
				return false
			}
			d.need = need
			who.assembling += int64(need)
		}
		if len(d.recv) < d.need {
			return true
		}
		if len(d.recv) == d.need {
			n.env.Deliver(to.node, core.Event{Kind: core.Frame, Conn: to.id, Data: d.recv})
			d.recv = nil
		} else {
			n.deliver(to, d.recv[:d.need])
			d.recv = append(d.recv[:0], d.recv[d.need:]...)
		}
		n.unreserve(to.node, d)
	}
	return true
}

// unreserve gives back the budget of a frame and wakes those who waited for it.
func (n *Net) unreserve(who int, d *dir) {
	if d.need == 0 {
		return
	}
	node := &n.nodes[who]
	node.assembling -= int64(d.need)
	d.need = 0
	if !node.starved {
		return
	}
	node.starved = false
	for _, slot := range node.list {
		c := &n.conns[slot]
		for side := range 2 {
			if c.ends[side].node == who && c.ends[side].state == open {
				n.kick(slot, 1-side)
			}
		}
	}
}
