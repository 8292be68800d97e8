package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerIDs is the block of producer ids that this broker gives out from (KIP-730).
//
// Invariant: ids from next to end belong to this broker and were never given out; asked is set while a new
// block is on its way.
type producerIDs struct {
	next, end int64
	asked     bool
}

// initProducerID serves InitProducerId v0-v5 for idempotent producers. A transactional id is refused with
// UNSUPPORTED_VERSION: the clients' libraries report it at once and as final, and as what it is, something
// that this broker cannot do yet. (An authorization error would send the user to look for a missing right.)
func (b *Broker) initProducerID(now core.Now, r request, q *kmsg.InitProducerIDRequest, out *core.Out) {
	if q.TransactionalID != nil {
		code := wire.UnsupportedVersion
		if *q.TransactionalID == "" {
			code = wire.InvalidRequest
		}
		b.refuseProducerID(now, r, code, out)
		return
	}
	t := &producerIDTask{r: r}
	if !t.Advance(b, now, out) {
		b.park(r, t, core.Never, waitKey{kind: waitIDs})
	}
}

func (b *Broker) refuseProducerID(now core.Now, r request, code wire.Code, out *core.Out) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = int16(code), -1, -1
	b.reply(now, r, resp, out)
}

// producerIDTask waits for a block of ids.
type producerIDTask struct{ r request }

// Advance takes an id, or asks for more.
func (t *producerIDTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	ids := &b.ids
	if ids.next == ids.end {
		if got, ok := b.found(waitKey{kind: waitIDs}); ok {
			b.refuseProducerID(now, t.r, got.code, out)
			return true
		}
		if !ids.asked {
			ids.asked = true
			q := kmsg.NewPtrAllocateProducerIDsRequest()
			q.BrokerID, q.BrokerEpoch = int32(b.cfg.NodeID), int64(b.life.epoch)
			b.askController(now, askProducerIDs, 0, q, out)
		}
		return false
	}
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = ids.next, 0
	ids.next++
	b.reply(now, t.r, resp, out)
	return true
}

// producerIDsAllocated takes a block over. The controller answers once it is committed: an id given out earlier could be
// given out again by another life of the cluster.
func (b *Broker) producerIDsAllocated(now core.Now, resp kmsg.Response, out *core.Out) {
	ids := &b.ids
	ids.asked = false
	r, ok := resp.(*kmsg.AllocateProducerIDsResponse)
	if !ok || r.ErrorCode != 0 || r.ProducerIDLen <= 0 {
		out.Mark("broker.no-producer-ids")
		b.deliver(result{key: waitKey{kind: waitIDs}, code: wire.CoordinatorNotAvailable}) // clients ask again
		return
	}
	ids.next, ids.end = r.ProducerIDStart, r.ProducerIDStart+int64(r.ProducerIDLen)
	b.wake(waitKey{kind: waitIDs})
}
