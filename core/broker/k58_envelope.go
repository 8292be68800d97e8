package broker

import (
	"encoding/binary"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// envelope serves Envelope v0, on the controller listener: a request that a broker passes on for its client (KIP-590). Left out:
// the client's principal, since nothing is authorized yet.
func (b *Broker) envelope(now core.Now, r request, q *kmsg.EnvelopeRequest, out *core.Out) {
	refuse := func(code wire.Code) {
		r.outer = r.header
		b.answer(r, true, out, piece{b: envelopeFrame(r, code, nil)})
	}
	if !b.active() {
		refuse(wire.NotController)
		return
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(q.RequestData)), uint32(len(q.RequestData)))
	inner, err := wire.ParseRequest(append(frame, q.RequestData...))
	switch {
	case err != nil || !wire.Forwarded(inner.Key):
		refuse(wire.InvalidRequest)
		return
	case inner.BadVersion:
		refuse(wire.UnsupportedVersion)
		return
	}
	in := r
	in.via, in.outer, in.header, in.host = viaEnvelope, r.header, inner.Header, addressText(q.ClientHostAddress)
	b.routeController(now, in, inner.Body, out)
}
