package client

import (
	"math"
	"slices"
	"sort"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/link"
	"klamm/core/wire"
)

// outbox is what waits for, or is on its way to, one partition.
//
// Invariants: batches is in the order of Send, ord rising; only the last is open; the sequence numbers of
// those that have one follow each other, and next follows the last of them; inflight counts the batches
// with a request, all of which went to node in reign.
type outbox struct {
	at       core.TopicPartition
	batches  []sending
	lastOrd  uint64
	inflight int
	node     core.NodeID // who led when there was last something to send
	reign    core.Epoch  // in which leader epoch, as far as was known; -1 if it was not
	retryAt  core.Time
	fails    int

	// hold: a batch came back, so nothing is sent until all have come back. Then they go out again in their
	// order. Otherwise a later one might overtake.
	hold bool
	// reset: a sequence number was used for nothing, so no later one can be accepted. When all have come
	// back, a new epoch begins at 0 (KIP-360).
	reset bool

	// settled: this leader has taken a batch in this reign, and since the last failure. Until then batches go one
	// by one, since a broker that knows nothing of a producer takes any first sequence number: were the first of
	// two refused for another reason, the second would be stored before it. A new leader need not know what the
	// one before it knew: a replica that began anew above all records of a producer has never heard of it.
	settled bool

	producerID int64
	epoch      int16
	next       int32
}

// sending is a batch.
type sending struct {
	ord      uint64
	list     []held
	bytes    int // of the records, before compression
	full     bool
	born     core.Time // of its oldest record
	encoded  []byte    // nil until it is first sent: then the bytes stay the same for every attempt
	sequence int32     // of the first record, once encoded
	request  uint64    // that carries it now; 0 is none
	doubtful bool      // an attempt may have been carried out
	why      Failure   // of the last attempt
}

// box returns the outbox of a partition.
func (p *Producer) box(at core.TopicPartition) *outbox {
	i, found := sort.Find(len(p.outboxes), func(i int) int { return at.Compare(p.outboxes[i].at) })
	if !found {
		p.outboxes = slices.Insert(p.outboxes, i, outbox{at: at, node: core.NoNode, producerID: -1})
	}
	return &p.outboxes[i]
}

// placeWaiting moves records whose topic has become known into batches, in the order of Send for each topic.
func (p *Producer) placeWaiting(now core.Now) {
	if len(p.waiting) == 0 || p.waitedFor == p.answered {
		return
	}
	p.waitedFor = p.answered
	p.waiting = slices.DeleteFunc(p.waiting, func(h held) bool {
		if !p.place(now, &h) {
			return false
		}
		p.waits(h.rec.Topic, -1)
		return true
	})
}

// waits counts n more records that wait for a topic, and reports whether any did before.
func (p *Producer) waits(name string, n int) bool {
	i := slices.IndexFunc(p.waitTopics, func(w waitingTopic) bool { return w.name == name })
	switch {
	case i < 0 && n > 0:
		p.waitTopics = append(p.waitTopics, waitingTopic{name, n})
	case i >= 0:
		if p.waitTopics[i].count += n; p.waitTopics[i].count == 0 {
			p.waitTopics = slices.Delete(p.waitTopics, i, i+1)
		}
	}
	return i >= 0
}

// place gives a record to the batch of its partition, or its Result. It reports false if the topic is
// not known well enough yet.
func (p *Producer) place(now core.Now, h *held) bool {
	t := p.topic(h.rec.Topic)
	switch {
	case t == nil:
		return false
	case t.code != wire.None:
		if t.code.Retriable() || t.seen <= h.seen {
			p.missing()
			return false
		}
		p.resolve(h, core.TopicPartition{Topic: h.rec.Topic, Partition: h.rec.Partition}, -1, -1, DidNot,
			Failure{Code: t.code, Text: "topic " + h.rec.Topic})
		return true
	case len(t.partitions) == 0:
		return false
	}
	n := h.rec.Partition
	switch {
	case n < 0 && h.rec.Key != nil:
		n = PartitionOf(h.rec.Key, int32(len(t.partitions)))
	case n < 0:
		n = p.stick(t, false)
		if b := p.box(core.TopicPartition{Topic: t.name, Partition: n}); !b.fits(p, h) && len(b.batches) > 0 {
			n = p.stick(t, true) // a batch each (KIP-480)
		}
	case int(n) >= len(t.partitions):
		if t.seen <= h.seen {
			p.missing()
			return false
		}
		p.resolve(h, core.TopicPartition{Topic: t.name, Partition: n}, -1, -1, DidNot,
			Failure{Code: wire.UnknownTopicOrPartition, Text: "topic " + t.name + " has no such partition"})
		return true
	}
	b := p.box(core.TopicPartition{Topic: t.name, Partition: n})
	if !b.fits(p, h) {
		if len(b.batches) > 0 {
			b.batches[len(b.batches)-1].full = true
		}
		b.lastOrd++
		b.batches = append(b.batches, sending{ord: b.lastOrd, born: h.born, sequence: -1})
	}
	s := &b.batches[len(b.batches)-1]
	s.list = append(s.list, *h)
	s.bytes += h.bytes()
	s.full = s.bytes+batch.HeaderBytes >= p.opt.BatchBytes
	return true
}

// fits reports whether the last batch takes one more record.
func (b *outbox) fits(p *Producer, h *held) bool {
	if len(b.batches) == 0 {
		return false
	}
	s := &b.batches[len(b.batches)-1]
	return !s.full && s.encoded == nil && s.bytes+h.bytes()+batch.HeaderBytes <= p.opt.BatchBytes
}

// giveUp ends what is older than the delivery time. What is in flight is waited for: its reply, or the
// end of the request's own time, says more than giving up would. With mono Never it ends everything.
func (p *Producer) giveUp(mono core.Time, why Failure) {
	all := mono == core.Never
	over := func(born core.Time) bool {
		if at := born.After(p.opt.DeliveryTime); !all && mono < at {
			p.pool.WakeAt(at)
			return false
		}
		return true
	}
	n := 0
	for n < len(p.waiting) && over(p.waiting[n].born) {
		n++
	}
	for i := range n {
		h, w := &p.waiting[i], why
		if w.None() {
			w = Failure{Code: wire.RequestTimedOut, Text: "no metadata of topic " + h.rec.Topic + " in time (" + p.Trouble().Error() + ")"}
			if t := p.topic(h.rec.Topic); t != nil && t.code != wire.None {
				w = Failure{Code: t.code, Text: "topic " + h.rec.Topic}
			}
		}
		p.waits(h.rec.Topic, -1)
		p.resolve(h, core.TopicPartition{Topic: h.rec.Topic, Partition: h.rec.Partition}, -1, -1, DidNot, w)
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
	for i := range p.outboxes {
		b := &p.outboxes[i]
		for j := 0; j < len(b.batches); {
			s := &b.batches[j]
			if !over(s.born) {
				break
			}
			if s.request != 0 {
				j++
				continue
			}
			w := why
			if w.None() {
				w = Failure{Code: wire.RequestTimedOut, Text: "not delivered in time"}
				if last := s.why; !last.None() {
					w.Text += " (last: " + last.Error() + ")"
				} else if t := p.Trouble(); !t.None() {
					w.Text += " (" + t.Error() + ")"
				}
			}
			p.finish(b, j, fateOf(s), w)
		}
	}
}

// failAll ends everything that is not in flight.
func (p *Producer) failAll(why Failure) { p.giveUp(core.Never, why) }

// fateOf is the fate of a batch that is given up.
func fateOf(s *sending) Fate {
	if s.doubtful {
		return MayHave
	}
	return DidNot
}

// finish gives every record of batch j its Result and removes the batch. A sequence number that was
// drawn for it and that no replica has makes a gap.
func (p *Producer) finish(b *outbox, j int, f Fate, why Failure) {
	s := &b.batches[j]
	if f != Did && s.encoded != nil && !p.opt.NotIdempotent {
		p.txn.bump = p.transactional()
		b.reset = !p.transactional()
	}
	for i := range s.list {
		p.resolve(&s.list[i], b.at, -1, -1, f, why)
	}
	p.unflight(b, s)
	b.batches = slices.Delete(b.batches, j, j+1)
}

func (p *Producer) unflight(b *outbox, s *sending) {
	if s.request != 0 {
		s.request = 0
		b.inflight--
	}
	core.Must(b.inflight >= 0, "only what was sent comes back")
}

// renumber begins a new epoch for one partition, all of whose batches are here. Records whose earlier
// attempt may have been carried out under the old numbers can't be told from duplicates under new ones.
func (p *Producer) renumber(b *outbox, out *core.Out) {
	out.Mark("client.epoch-bumped")
	for j := 0; j < len(b.batches); {
		s := &b.batches[j]
		if s.doubtful {
			p.finish(b, j, MayHave, s.why)
			continue
		}
		s.encoded, s.sequence = nil, -1
		j++
	}
	b.reset, b.hold, b.settled, b.producerID, b.next = false, false, false, -1, 0
	if b.epoch == p.epoch {
		p.bump()
	}
}

// bump makes a newer epoch, or, when there are no more, asks for another producer id.
func (p *Producer) bump() {
	if p.epoch == math.MaxInt16-1 {
		p.producerID, p.epoch = -1, 0
		return
	}
	p.epoch++
}

// under takes note of who leads the partition, and reports whether something may be sent there: not while
// something is on its way to another leader, or was sent in another reign. What the last one took says nothing
// about what this one knows.
func (b *outbox) under(leader core.NodeID, reign core.Epoch) bool {
	if b.node == leader && b.reign == reign {
		return true
	}
	if b.inflight > 0 {
		return false
	}
	b.node, b.reign, b.settled = leader, reign, false
	return true
}

// due reports which batch of b may be sent to its leader now, or -1.
func (p *Producer) due(now core.Now, b *outbox) int {
	if len(b.batches) == b.inflight || b.reset {
		return -1
	}
	if b.hold {
		if b.inflight > 0 {
			return -1
		}
		b.hold = false
	}
	if now.Mono < b.retryAt {
		p.pool.WakeAt(b.retryAt)
		return -1
	}
	j := slices.IndexFunc(b.batches, func(s sending) bool { return s.request == 0 })
	s := &b.batches[j]
	if !p.opt.NotIdempotent && (s.ord-b.batches[0].ord >= windowBatches || !b.settled && b.inflight > 0) {
		return -1
	}
	if s.encoded == nil && !s.full && !p.flushing && j == len(b.batches)-1 {
		if at := s.born.After(p.opt.Linger); now.Mono < at {
			p.pool.WakeAt(at)
			return -1
		}
	}
	return j
}

// encode fixes the bytes of a batch. From now on it takes no more records.
func (p *Producer) encode(b *outbox, s *sending) {
	if p.opt.NotIdempotent {
		p.encodeAt(b, s, -1)
		return
	}
	if b.producerID < 0 {
		b.producerID, b.epoch, b.next = p.producerID, p.epoch, 0
	}
	p.encodeAt(b, s, b.next)
	b.next = after(b.next, len(s.list))
}

// after is the sequence number n behind s: they wrap to 0.
func after(s int32, n int) int32 { return int32((int64(s) + int64(n)) & math.MaxInt32) }

func (p *Producer) encodeAt(b *outbox, s *sending, sequence int32) {
	o := batch.Options{Codec: p.opt.Codec, Level: p.opt.Level, LeaderEpoch: -1, Transactional: p.transactional()}
	if sequence >= 0 {
		o.Producer = &batch.Producer{ID: b.producerID, Epoch: b.epoch, Sequence: sequence}
	}
	w := batch.NewBuilder(o)
	for i := range s.list {
		r := &s.list[i].rec
		w.Add(r.Timestamp, r.Key, r.Value, r.Headers)
	}
	s.encoded, s.sequence, s.full = w.Finish(0), sequence, true
}

// request sends one Produce request to a node, if there is something for it and it can be sent.
func (p *Producer) request(now core.Now, node core.NodeID, out *core.Out) bool {
	var to *link.Peer
	r := produceRequest{id: p.lastReq + 1, node: node}
	var q *kmsg.ProduceRequest
	size, byID := 0, true
	for k := range p.outboxes {
		b := &p.outboxes[(p.turn+k)%len(p.outboxes)]
		if len(b.batches) == b.inflight || p.transactional() && !p.txn.holds(b.at) {
			continue
		}
		leader, reign := p.leader(b.at)
		if leader < 0 {
			p.missing()
		}
		if leader != node || !b.under(leader, reign) {
			continue
		}
		j := p.due(now, b)
		if j < 0 {
			continue
		}
		if to == nil {
			if to = p.node(now, node, general, out); to == nil || !p.pool.Usable(now, to, out) {
				return false
			}
			q = kmsg.NewPtrProduceRequest()
		}
		s := &b.batches[j]
		if s.encoded == nil {
			p.encode(b, s)
		}
		if size > 0 && size+len(s.encoded) > p.opt.RequestBytes {
			continue
		}
		size += len(s.encoded)
		t := p.topic(b.at.Topic)
		byID = byID && !t.id.IsZero()
		r.list = append(r.list, carried{b.at, t.id})
		s.request = r.id
		b.inflight++
		appendBatch(q, b.at, t.id, s.encoded)
	}
	if len(r.list) == 0 {
		return false
	}
	limit := int16(-1)
	if !byID {
		limit = 12 // from version 13 on topics go by their id (KIP-516)
	}
	if p.transactional() {
		q.TransactionID = kmsg.StringPtr(p.opt.TransactionalID)
		if !p.txn.v2 {
			limit = 11 // from version 12 on the leader adds the partition to the transaction by itself (KIP-890)
		}
		p.txn.begun = true
	}
	v, ok := versionOf(to, int16(kmsg.Produce), limit)
	if !ok || p.opt.Codec == batch.Zstd && v < 7 {
		p.refuse(&r, Failure{Code: wire.UnsupportedVersion, Text: "the broker takes no such Produce request"})
		return true
	}
	q.SetVersion(v)
	q.Acks = [...]int16{-1, 1, 0}[p.opt.Acks]
	q.TimeoutMillis = int32(min(p.opt.RequestTime.Millis(), math.MaxInt32))
	p.turn++
	if p.opt.Acks == AcksNone {
		if !p.pool.SendOnly(now, to, link.Ask{Kind: askProduce, A: r.id}, q, out) {
			p.unsend(&r)
			return false
		}
	} else {
		p.pool.Send(now, to, link.Ask{Kind: askProduce, A: r.id}, q, p.opt.RequestTime, out)
	}
	p.lastReq = r.id
	p.requests = append(p.requests, r)
	return true
}

func appendBatch(q *kmsg.ProduceRequest, at core.TopicPartition, id core.TopicID, records []byte) {
	i := slices.IndexFunc(q.Topics, func(t kmsg.ProduceRequestTopic) bool { return t.Topic == at.Topic })
	if i < 0 {
		i = len(q.Topics)
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = at.Topic, id
		q.Topics = append(q.Topics, t)
	}
	m := kmsg.NewProduceRequestTopicPartition()
	m.Partition, m.Records = at.Partition, records
	q.Topics[i].Partitions = append(q.Topics[i].Partitions, m)
}

// unsend takes back what request has put on a list that did not leave.
func (p *Producer) unsend(r *produceRequest) {
	for _, c := range r.list {
		if b, j := p.carriedBatch(r.id, c); j >= 0 {
			p.unflight(b, &b.batches[j])
		}
	}
}

// refuse ends what a request would have carried.
func (p *Producer) refuse(r *produceRequest, why Failure) {
	for _, c := range r.list {
		if b, j := p.carriedBatch(r.id, c); j >= 0 {
			p.finish(b, j, fateOf(&b.batches[j]), why)
		}
	}
}

// carriedBatch finds a batch that a request carries; -1 if it is gone or no longer with that request.
func (p *Producer) carriedBatch(request uint64, c carried) (*outbox, int) {
	b := p.box(c.at)
	return b, slices.IndexFunc(b.batches, func(s sending) bool { return s.request == request })
}
