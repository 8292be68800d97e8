package broker

import (
	"klamm/core"
	"klamm/core/txn"
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

// Take is txn.IDs'.
func (ids *producerIDs) Take() (id int64, ok bool) {
	if ids.next == ids.end {
		return 0, false
	}
	ids.next++
	return ids.next - 1, true
}

// initProducerID serves InitProducerId v0-v5: for idempotent producers any id, for a transactional id what its coordinator decides,
// with what the client says that it is from v3 on (KIP-360). Left out: authorization, and two-phase commit, which needs v6.
func (b *Broker) initProducerID(now core.Now, r request, q *kmsg.InitProducerIDRequest, out *core.Out) {
	switch id := q.TransactionalID; {
	case id == nil:
		t := &producerIDTask{r: r}
		if !t.Advance(b, now, out) {
			b.park(r, t, core.Never, waitKey{kind: waitIDs})
		}
	case *id == "", (q.ProducerID == txn.None) != (q.ProducerEpoch == txn.None):
		b.refuseProducerID(now, r, wire.InvalidRequest, out)
	default:
		t := &initTxnTask{r: r, q: *q}
		if !t.Advance(b, now, out) {
			b.park(r, t, now.Mono.After(b.cfg.RequestTime), waitKey{kind: waitIDs})
		}
	}
}

// initTxnTask is an InitProducerId request for a transactional id; it waits for a producer id only.
type initTxnTask struct {
	r request
	q kmsg.InitProducerIDRequest
}

// Advance decides.
func (t *initTxnTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	id := *t.q.TransactionalID
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = txn.None, txn.None
	d := &groupReply{r: t.r, resp: resp}
	c, code := b.txnShardOf(id)
	if code == wire.None {
		x := c.state.Init(b.txnEnv(now, c, out), id, t.q.TransactionTimeoutMillis, txn.Producer{ID: t.q.ProducerID, Epoch: t.q.ProducerEpoch})
		if x.NoID {
			if !b.noProducerID(now, out) {
				return false
			}
			x.Code = wire.CoordinatorNotAvailable
		}
		if code = x.Code; code == wire.None {
			resp.ProducerID, resp.ProducerEpoch = x.Producer.ID, x.Producer.Epoch
		}
		d.awaitTxns(0, c, x.End)
	}
	resp.ErrorCode = int16(fencedAs(code, t.r.header.Version, 4))
	b.replyWithin(now, d, b.cfg.RequestTime, out)
	return true
}

// noProducerID is called by a Task that needs a producer id when there is none. It reports whether there will be none for now, so
// that the Task gives up; otherwise it waits on.
func (b *Broker) noProducerID(now core.Now, out *core.Out) bool {
	if _, ok := b.found(waitKey{kind: waitIDs}); ok || now.Mono >= b.deadline() {
		return true
	}
	b.wantProducerIDs(now, out)
	return false
}

// wantProducerIDs asks for another block of ids, unless one is on its way.
func (b *Broker) wantProducerIDs(now core.Now, out *core.Out) {
	if ids := &b.ids; !ids.asked {
		ids.asked = true
		q := kmsg.NewPtrAllocateProducerIDsRequest()
		q.BrokerID, q.BrokerEpoch = int32(b.cfg.NodeID), int64(b.life.epoch)
		b.askController(now, askProducerIDs, 0, q, out)
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
	id, have := b.ids.Take()
	if !have {
		if got, ok := b.found(waitKey{kind: waitIDs}); ok {
			b.refuseProducerID(now, t.r, got.code, out)
			return true
		}
		b.wantProducerIDs(now, out)
		return false
	}
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = id, 0
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
