package broker

import (
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// verifyTask is a Produce request whose transaction is being verified. Until that is done no other request of its connection goes
// on: the batches of a producer stay in order. The request is decoded again from its frame: what is decoded points into that, and a
// task owns what it keeps.
type verifyTask struct {
	r     request
	v     verifying
	parts []verifyPart // of the request, in its order; those that need no question have no log
	asked []int        // the parts that v asks for
}

// verifyProduce begins the verification of what needs it. It reports false if nothing does.
func (b *Broker) verifyProduce(now core.Now, r request, q *kmsg.ProduceRequest, p *prepared, out *core.Out) bool {
	t := &verifyTask{r: r, parts: make([]verifyPart, len(p.facts))}
	t.v = verifying{id: *q.TransactionID, producer: -1, knows: produceKnows(r.header.Version), since: now.Mono}
	n, mixed, done := 0, false, true
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			part := &t.parts[n]
			part.log = log.NoLog
			if f := &p.facts[n]; f.Verdict == batch.Good {
				v := batch.View(q.Topics[i].Partitions[j].Records[:f.Bytes])
				if v.IsTransactional() && v.ProducerID() >= 0 {
					if t.v.producer >= 0 && (t.v.producer != v.ProducerID() || t.v.epoch != v.ProducerEpoch()) {
						mixed = true
					}
					t.v.producer, t.v.epoch = v.ProducerID(), v.ProducerEpoch()
					b.verifyOne(now, t, part, q, i, j, v)
					if done = done && part.code == wire.None; part.guard != 0 {
						t.asked = append(t.asked, n)
						t.v.parts = append(t.v.parts, *part)
					}
				}
			}
			n++
		}
	}
	if mixed { // a transaction has one producer
		for i := range t.parts {
			t.parts[i].code = wire.InvalidProducerIDMapping
		}
		t.v.parts, t.asked, done = nil, nil, false
	}
	if len(t.v.parts) == 0 {
		if !done {
			b.produceVerified(now, r, q, p, t, out)
		}
		return !done
	}
	if t.Advance(b, now, out) {
		return true
	}
	b.holdBack(r, true)
	b.park(r, t, core.Never, t.v.key())
	return true
}

// verifyOne looks whether a batch needs a question. What will be refused anyway needs none.
func (b *Broker) verifyOne(now core.Now, t *verifyTask, part *verifyPart, q *kmsg.ProduceRequest, i, j int, v batch.View) {
	topic := &q.Topics[i]
	h, code := b.parts.find(topic.Topic, topic.TopicID, t.r.header.Version >= 13, topic.Partitions[j].Partition)
	if code != wire.None || !b.verifies(t.v.knows) {
		return
	}
	bumps := t.v.knows == knowsAdds
	guard, is := b.store.Verify(now, h.log, log.Verifying{Producer: v.ProducerID(), Epoch: v.ProducerEpoch(), Sequence: v.BaseSequence(), Bumps: bumps})
	switch is {
	case log.VerifyFirst:
		part.tp, part.log, part.guard = h.tp, h.log, guard
	case log.VerifyFenced:
		part.code = wire.InvalidProducerEpoch
	case log.VerifyFull:
		part.code = wire.NotEnoughReplicas
	}
}

// Advance goes on with the request when the coordinator has answered.
func (t *verifyTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if !t.v.over(b, now, out) {
		return false
	}
	for i, n := range t.asked {
		t.parts[n].code = t.v.parts[i].code
	}
	b.holdBack(t.r, false)
	p := Prepare(t.r.buf, core.FromClient).Body.(*prepared)
	b.produceVerified(now, t.r, p.Body.(*kmsg.ProduceRequest), p, t, out)
	return true
}

// tell hands a part of the request what verification has found out about it.
func (t *verifyTask) tell(n int, part *producePart) {
	v := &t.parts[n]
	part.guard = v.guard
	if code, text := t.v.produceCode(v.code); code != wire.None {
		part.fail(code, text)
	}
}

// holdBack keeps the requests behind one on its connection from going on, or lets them.
func (b *Broker) holdBack(r request, hold bool) {
	i, ok := b.conns.at[r.conn]
	if !ok {
		return
	}
	if p := b.conns.slots[i].find(r.seq); p != nil {
		p.alone = hold
		b.conns.touch(i)
	}
}
