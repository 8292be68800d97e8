package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// via is the way on which a request came, and on which its reply goes back.
type via uint8

const (
	viaConn     via = iota // a connection of its own
	viaEnvelope            // another broker passed it on (KIP-590): its reply travels inside that of the envelope
	viaSelf                // this node's broker part asks its controller part
)

// reply answers a request. resp carries the version to encode by in its own Version field, which reply sets.
func (b *Broker) reply(now core.Now, r request, resp kmsg.Response, out *core.Out) {
	if r.via == viaSelf {
		b.peers.heard = append(b.peers.heard, ownReply{kind: r.kind, a: r.a, node: b.cfg.NodeID, resp: resp})
		return
	}
	b.replyFrame(now, r, encode(r, resp), out)
}

// encode makes the frame of a reply.
func encode(r request, resp kmsg.Response) []byte {
	resp.SetVersion(r.header.Version)
	return wire.AppendResponse(nil, r.header.Correlation, resp)
}

// replyFrame answers a request with a frame that was encoded before, length bytes and header included.
func (b *Broker) replyFrame(now core.Now, r request, frame []byte, out *core.Out) {
	core.Must(r.via != viaSelf, "a node answers itself without a frame")
	if r.via == viaEnvelope {
		frame = envelopeFrame(r, wire.None, frame[4:])
	}
	b.answer(r, true, out, piece{b: frame})
}

// envelopeFrame is the frame of the answer to an envelope.
func envelopeFrame(r request, code wire.Code, data []byte) []byte {
	e := kmsg.NewPtrEnvelopeResponse()
	e.ErrorCode, e.ResponseData = int16(code), data
	e.SetVersion(r.outer.Version)
	return wire.AppendResponse(nil, r.outer.Correlation, e)
}

// refuse answers a request as a whole with an error: NOT_CONTROLLER, or that there is no answer in time. What came in an
// envelope is refused outside of it, so that the broker that passed it on looks for the controller anew.
func (b *Broker) refuse(now core.Now, r request, q kmsg.Request, code wire.Code, out *core.Out) {
	if r.via == viaEnvelope && code == wire.NotController {
		b.answer(r, true, out, piece{b: envelopeFrame(r, code, nil)})
		return
	}
	if r.via == viaSelf {
		b.peers.heard = append(b.peers.heard, ownReply{kind: r.kind, a: r.a, node: b.cfg.NodeID})
		return
	}
	b.reply(now, r, refusal(q, code), out)
}

// noReply ends a request that gets no answer (acks=0).
func (b *Broker) noReply(now core.Now, r request, out *core.Out) { b.answer(r, true, out) }

// gone reports whether the connection that a request came on is closed: nobody waits for its reply.
func (b *Broker) gone(r request) bool {
	if r.via == viaSelf {
		return false
	}
	c := b.conns.find(r.conn)
	return c == nil || c.closing
}
