package broker

import (
	"klamm/core"
	"klamm/core/txn"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// addOffsetsToTxn serves AddOffsetsToTxn v0-v4: the partition of __consumer_offsets that a group belongs to becomes part of the
// transaction. Left out: authorization. If that topic is not there yet it is made first.
func (b *Broker) addOffsetsToTxn(now core.Now, r request, q *kmsg.AddOffsetsToTxnRequest, out *core.Out) {
	t := &addOffsetsTask{r: r, q: *q}
	if b.img.Topic(offsetsTopic) == nil && b.makeInternalTopic(now, offsetsTopic, out) == wire.None {
		b.park(r, t, now.Mono.After(autoCreateWait), waitKey{kind: waitImage}, waitKey{kind: waitCreate, name: offsetsTopic})
		return
	}
	t.answer(b, now, out)
}

// addOffsetsTask is an AddOffsetsToTxn request that waits for the topic that it has made.
type addOffsetsTask struct {
	r request
	q kmsg.AddOffsetsToTxnRequest
}

// Advance waits until the topic is there.
func (t *addOffsetsTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	if _, done := b.madeTopic(offsetsTopic); !done && now.Mono < b.deadline() {
		return false
	}
	t.answer(b, now, out)
	return true
}

func (t *addOffsetsTask) answer(b *Broker, now core.Now, out *core.Out) {
	resp := kmsg.NewPtrAddOffsetsToTxnResponse()
	d := &groupReply{r: t.r, resp: resp}
	resp.ErrorCode = int16(fencedAs(t.add(b, now, d, out), t.r.header.Version, 2))
	b.replyWithin(now, d, b.cfg.RequestTime, out)
}

func (t *addOffsetsTask) add(b *Broker, now core.Now, d *groupReply, out *core.Out) wire.Code {
	if t.q.TransactionalID == "" {
		return wire.InvalidRequest
	}
	c, code := b.txnShardOf(t.q.TransactionalID)
	if code != wire.None {
		return code
	}
	topic := b.img.Topic(offsetsTopic)
	if topic == nil || len(topic.Partitions) == 0 {
		return wire.CoordinatorNotAvailable
	}
	x := c.state.Add(b.txnEnv(now, c, out), &txn.Adding{
		ID: t.q.TransactionalID, Producer: txn.Producer{ID: t.q.ProducerID, Epoch: t.q.ProducerEpoch},
		Partitions: []core.TopicPartition{{Topic: offsetsTopic, Partition: groupPartition(t.q.Group, int32(len(topic.Partitions)))}},
	})
	d.awaitTxns(0, c, x.End)
	return x.Code
}
