package broker

import (
	"encoding/binary"
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// forwardRetry is how long a forwarded request rests after it was lost, unless the controller changes.
const forwardRetry = 50 * core.Millisecond

// forwardWait bounds a forwarded request as a whole.
const forwardWait = 30 * core.Second

// toController has the active controller answer a request: here, if that is this node, or over the network. A client that
// came to a controller listener finds the active controller by itself (KIP-919).
func (b *Broker) toController(now core.Now, r request, q kmsg.Request, out *core.Out) {
	quorum := false
	switch q.(type) {
	case *kmsg.DescribeQuorumRequest, *kmsg.AddRaftVoterRequest, *kmsg.RemoveRaftVoterRequest:
		quorum = true
	}
	switch {
	case b.active():
		b.routeController(now, r, q, out)
	case r.via == viaConn && b.sideOf(r) == wire.BrokerSide:
		b.forward(now, r, q, out)
	case quorum:
		b.askQuorumNode(now, r, q, out) // it answers for itself, and names the leader
	default:
		b.refuse(now, r, q, wire.NotController, out)
	}
}

// sideOf is what the listener serves on which a request came.
func (b *Broker) sideOf(r request) wire.Side {
	if c := b.conns.find(r.conn); c != nil {
		return c.side
	}
	return wire.BrokerSide
}

// forward passes a client's request on to the controller, in an Envelope (KIP-590).
func (b *Broker) forward(now core.Now, r request, q kmsg.Request, out *core.Out) {
	b.forwards++
	t := &forwardTask{r: r, q: q, number: b.forwards, until: now.Mono.After(forwardWait)}
	b.park(r, t, t.until, waitKey{kind: waitForward, id: t.number}, waitKey{kind: waitLeader})
	b.sendForward(now, t, out)
}

// forwardTask is a client's request that the controller answers. It is sent again when it was lost: a request that was
// carried out twice is refused the second time, as it is when a client itself sends it again.
type forwardTask struct {
	r      request
	q      kmsg.Request
	number uint64
	asked  bool
	again  core.Time // when to send it anew, if it is not asked
	until  core.Time
}

// Advance passes the answer on, or asks again.
func (t *forwardTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	if got, ok := b.found(waitKey{kind: waitForward, id: t.number}); ok && t.asked {
		t.asked = false
		e, heard := got.resp.(*kmsg.EnvelopeResponse)
		switch code := codeOf(e, heard); {
		case code == wire.None && len(e.ResponseData) >= 4:
			frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(e.ResponseData)), uint32(len(e.ResponseData)))
			b.answer(t.r, true, out, piece{b: append(frame, e.ResponseData...)})
			return true
		case code != wire.NotController && code != wire.None:
			b.refuse(now, t.r, t.q, code, out)
			return true
		}
		t.again = now.Mono.After(forwardRetry)
		b.wakeAt(min(t.again, t.until))
		return false
	}
	if now.Mono >= t.until {
		out.Mark("broker.forward-in-vain")
		b.refuse(now, t.r, t.q, wire.RequestTimedOut, out)
		return true
	}
	if t.asked || now.Mono < t.again {
		return false
	}
	if b.active() {
		b.routeController(now, t.r, t.q, out)
		return true
	}
	b.sendForward(now, t, out)
	b.wakeAt(t.until)
	return false
}

func codeOf(e *kmsg.EnvelopeResponse, heard bool) wire.Code {
	if !heard {
		return wire.NotController
	}
	return wire.Code(e.ErrorCode)
}

// sendForward sends the envelope. The client's frame travels as it is.
func (b *Broker) sendForward(now core.Now, t *forwardTask, out *core.Out) {
	e := kmsg.NewPtrEnvelopeRequest()
	e.RequestData = slices.Clone(t.r.buf[4:])
	e.RequestPrincipal = anonymous()
	if c := b.conns.find(t.r.conn); c != nil {
		e.ClientHostAddress = addressBytes(c.host)
	}
	t.asked = true
	b.askController(now, askForward, t.number, e, out)
}

// anonymous is the principal of clients that do not authenticate, as Kafka serializes principals: version 0, type, name,
// whether it came by a token.
func anonymous() []byte {
	p := []byte{0, 0}
	for _, s := range [...]string{"User", "ANONYMOUS"} {
		p = append(append(p, byte(len(s)+1)), s...)
	}
	return append(p, 0, 0)
}

// addressBytes are the bytes of an IPv4 address; those of no address for anything else, which is shown only.
func addressBytes(host string) []byte {
	out, at := make([]byte, 0, 4), 0
	for i := 0; i <= len(host); i++ {
		if i < len(host) && host[i] != '.' {
			continue
		}
		n, err := strconv.ParseUint(host[at:i], 10, 8)
		if err != nil || len(out) == 4 {
			return make([]byte, 4)
		}
		out, at = append(out, byte(n)), i+1
	}
	if len(out) != 4 {
		return make([]byte, 4)
	}
	return out
}

func addressText(b []byte) string {
	if len(b) != 4 {
		return "unknown"
	}
	s := ""
	for i, x := range b {
		if i > 0 {
			s += "."
		}
		s += strconv.Itoa(int(x))
	}
	return s
}

// forwarded takes the controller's answer to a forwarded request.
func (b *Broker) forwarded(now core.Now, number uint64, resp kmsg.Response, out *core.Out) {
	b.deliver(result{key: waitKey{kind: waitForward, id: number}, resp: resp})
}
