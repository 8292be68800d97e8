package broker

import (
	"klamm/core"
	"klamm/core/txn"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// endTxn serves EndTxn v0-v5. The answer says that the outcome is decided for good; the markers follow. Version 5 raises the epoch
// and tells the producer what it is from now on (KIP-890). Left out: authorization.
func (b *Broker) endTxn(now core.Now, r request, q *kmsg.EndTxnRequest, out *core.Out) {
	t := &endTxnTask{r: r, q: *q}
	if !t.Advance(b, now, out) {
		b.park(r, t, now.Mono.After(b.cfg.RequestTime), waitKey{kind: waitIDs})
	}
}

// endTxnTask is an EndTxn request; it waits for a producer id only, if the epochs are used up.
type endTxnTask struct {
	r request
	q kmsg.EndTxnRequest
}

// Advance decides.
func (t *endTxnTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	resp := kmsg.NewPtrEndTxnResponse()
	d := &groupReply{r: t.r, resp: resp}
	c, code := b.txnShardOf(t.q.TransactionalID)
	if t.q.TransactionalID == "" {
		code = wire.InvalidRequest
	}
	if code == wire.None {
		x := c.state.End(b.txnEnv(now, c, out), &txn.Ending{
			ID: t.q.TransactionalID, Producer: txn.Producer{ID: t.q.ProducerID, Epoch: t.q.ProducerEpoch},
			Commit: t.q.Commit, Bump: t.r.header.Version >= 5,
		})
		if x.NoID {
			if !b.noProducerID(now, out) {
				return false
			}
			x.Code, x.Producer = wire.CoordinatorNotAvailable, txn.Producer{ID: txn.None, Epoch: txn.None}
		}
		code, resp.ProducerID, resp.ProducerEpoch = x.Code, x.Producer.ID, x.Producer.Epoch
		d.awaitTxns(0, c, x.End)
	}
	resp.ErrorCode = int16(fencedAs(code, t.r.header.Version, 2))
	b.replyWithin(now, d, b.cfg.RequestTime, out)
	return true
}
