package sim

import (
	"encoding/binary"

	"klamm/core"
)

// hostile is a client that means no good, or speaks something else: each connection brings one kind of nonsense.
// What it does to others is judged by how they fare; of its own connections it judges that nonsense ends them.
type hostile struct {
	r      *run
	entity uint64
	conns  []core.ConnID // that are open or dialled
	last   core.ConnID
	kind   FaultKind
	rest   []byte // to be sent a little later
	next   core.Time
	due    core.Time // when the broker should have closed the connection
}

const (
	hostileKinds = FaultKind(HostileStorm - HostileTLS + 1)
	stormConns   = 24
	// hostilePatience is how long a broker in good health may take to close a connection that brings no Kafka frame.
	hostilePatience = 10 * core.Second
)

func (a *hostile) Next() core.Time { return a.next }

func (a *hostile) Step(now core.Now, ev *core.Event, out *core.Out) {
	switch ev.Kind {
	case core.Boot:
		a.next = now.Mono + a.wait(1000)
		return
	case core.Opened:
		if a.has(ev.Conn) && ev.Err == core.OK {
			a.speak(now, ev.Conn, out)
		} else {
			a.forget(ev.Conn)
		}
	case core.Closed:
		a.forget(ev.Conn)
	case core.Frame:
		out.Release(ev.Data)
	}
	if now.Mono < a.next {
		return
	}
	switch {
	case len(a.rest) > 0 && len(a.conns) > 0:
		out.Send(0, a.conns[0], a.rest)
		a.rest, a.next = nil, now.Mono+a.wait(3000)
	case len(a.conns) > 0:
		a.leave(now, out)
	case a.r.stage >= stageFlush:
		a.next = core.Never
	case a.r.turn(a.entity, now, &a.next):
		a.begin(now, out)
	}
}

func (a *hostile) wait(ms uint64) core.Time {
	return core.Time(1+a.r.choose(a.entity, siteHostile, a.entity, ms)) * core.Millisecond
}

// begin dials for the next kind of nonsense.
func (a *hostile) begin(now core.Now, out *core.Out) {
	a.kind = HostileTLS + FaultKind(a.r.choose(a.entity, siteHostile, a.entity, uint64(hostileKinds)))
	a.r.says(a.entity, "%s", a.kind)
	n := 1
	if a.kind == HostileStorm {
		n = stormConns
	}
	for range n {
		a.last += 2
		a.conns = append(a.conns, a.last)
		out.Dial(core.Op(8<<56|uint64(a.last)), a.last, a.r.dial(a.entity))
	}
	a.next, a.rest = now.Mono+4*core.Second, nil
}

// leave ends what is open. A broker that is well has ended the hopeless ones itself by then.
func (a *hostile) leave(now core.Now, out *core.Out) {
	if a.due > 0 && now.Mono >= a.due && a.r.stage >= stageCalm && a.due-hostilePatience >= a.calmMono(now) && a.r.w.Nodes[0].State == Up && a.r.w.Nodes[0].ready {
		a.r.w.Fail("I88", "a connection that brought no Kafka frame ("+a.kind.String()+") is still open")
	}
	for _, c := range a.conns {
		out.CloseConn(c)
	}
	a.conns, a.rest, a.due = a.conns[:0], nil, 0
	a.next = now.Mono + a.wait(1500)
}

// calmMono is the instant of healing on this client's clock.
func (a *hostile) calmMono(now core.Now) core.Time { return now.Mono - (a.r.w.now - a.r.stageAt) }

func (a *hostile) has(c core.ConnID) bool {
	for _, x := range a.conns {
		if x == c {
			return true
		}
	}
	return false
}

func (a *hostile) forget(c core.ConnID) {
	for i, x := range a.conns {
		if x == c {
			a.conns = append(a.conns[:i], a.conns[i+1:]...)
			if len(a.conns) == 0 {
				a.due, a.rest = 0, nil
			}
			return
		}
	}
}

// speak sends the nonsense.
func (a *hostile) speak(now core.Now, c core.ConnID, out *core.Out) {
	w := a.r.w
	if a.kind != HostileStorm || len(a.conns) > 0 && c == a.conns[0] {
		w.Counts[a.kind]++
	}
	a.next = now.Mono + a.wait(3000)
	v := a.r.choose(a.entity, siteHostile, a.entity, 1<<32)
	switch a.kind {
	case HostileTLS:
		out.Send(0, c, []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client hello would go on here"))
		a.hopeless(now)
	case HostileHTTP:
		out.Send(0, c, []byte("GET /metrics HTTP/1.1\r\nHost: broker:9092\r\n\r\n"))
		a.hopeless(now)
	case HostileBomb:
		out.Send(0, c, binary.BigEndian.AppendUint32(nil, 0x7fff_ffff-uint32(v&0xff)))
		a.hopeless(now)
	case HostileNegative:
		out.Send(0, c, binary.BigEndian.AppendUint32(nil, 0x8000_0000|uint32(v)))
		a.hopeless(now)
	case HostileHalf:
		out.Send(0, c, a.frame(v)[:5+v%12])
		a.next = now.Mono + a.wait(9000)
	case HostileSlow: // the other half comes late
		b := a.frame(v)
		out.Send(0, c, b[:5+v%12])
		a.rest = b[5+v%12:]
	case HostileGarbage:
		b := binary.BigEndian.AppendUint32(nil, uint32(8+v%200))
		for range 8 + v%200 {
			b = append(b, byte(w.draw(siteHostile, a.entity, 256)))
		}
		out.Send(0, c, b)
	case HostileCount:
		out.Send(0, c, a.frame(v))
	case HostileStorm: // it is enough that they are there
	}
}

// hopeless expects the connection to be closed.
func (a *hostile) hopeless(now core.Now) {
	a.due = now.Mono + hostilePatience
	a.next = a.due
}

// frame is a request whose header is right and whose body claims more than there is.
func (a *hostile) frame(v uint64) []byte {
	key := []uint16{0, 1, 3, 19, 11, 18, 36, 500}[v>>8&7]
	b := binary.BigEndian.AppendUint16([]byte{0, 0, 0, 0}, key)
	b = binary.BigEndian.AppendUint16(b, uint16(v>>16&7))
	b = binary.BigEndian.AppendUint32(b, uint32(v))
	b = append(b, 0, 1, 'h')
	for range 3 + v>>24&7 {
		b = binary.BigEndian.AppendUint32(b, []uint32{0x7fff_ffff, 0xffff_fffe, 0x0000_ffff, 0xfefe_fefe}[v>>29&3])
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}
