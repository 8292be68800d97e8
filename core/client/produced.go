package client

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// produced takes what became of a Produce request, batch by batch.
func (p *Producer) produced(now core.Now, r *link.Reply, out *core.Out) {
	i := slices.IndexFunc(p.requests, func(q produceRequest) bool { return q.id == r.Ask.A })
	if i < 0 {
		return
	}
	req := p.requests[i]
	p.requests = slices.Delete(p.requests, i, i+1)
	if p.opt.Acks == AcksNone {
		p.left(&req, r.Errs)
		return
	}
	resp, ok := r.Resp.(*kmsg.ProduceResponse)
	for _, c := range req.list {
		b, j := p.carriedBatch(req.id, c)
		if j < 0 {
			continue
		}
		var a *kmsg.ProduceResponseTopicPartition
		if ok {
			a = answerFor(resp, c)
		}
		if a == nil {
			why := Failure{Errno: r.Errs, Text: "no answer to Produce"}
			b.batches[j].doubtful = true
			p.again(now, b, j, why)
			continue
		}
		p.answered1(now, b, j, a, out)
	}
}

// left ends a request that gets no answer (acks none).
func (p *Producer) left(req *produceRequest, err core.Errno) {
	why := Failure{}
	if err != core.OK {
		why = Failure{Errno: err, Text: "the connection went before the records had left"}
	}
	for _, c := range req.list {
		if b, j := p.carriedBatch(req.id, c); j >= 0 {
			p.finish(b, j, MayHave, why)
		}
	}
}

func answerFor(resp *kmsg.ProduceResponse, c carried) *kmsg.ProduceResponseTopicPartition {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if resp.Version >= 13 && core.TopicID(t.TopicID) != c.id || resp.Version < 13 && t.Topic != c.at.Topic {
			continue
		}
		for j := range t.Partitions {
			if t.Partitions[j].Partition == c.at.Partition {
				return &t.Partitions[j]
			}
		}
	}
	return nil
}

// answered1 takes the answer for one batch.
func (p *Producer) answered1(now core.Now, b *outbox, j int, a *kmsg.ProduceResponseTopicPartition, out *core.Out) {
	s := &b.batches[j]
	code := wire.Code(a.ErrorCode)
	why := Failure{Code: code}
	if a.ErrorMessage != nil {
		why.Text = *a.ErrorMessage
	}
	switch {
	case code == wire.None:
		p.stored(b, j, core.Offset(a.BaseOffset), a.LogAppendTime)
		b.fails, b.settled = 0, true
	case code == wire.DuplicateSequenceNumber: // stored before, and forgotten where
		p.stored(b, j, -1, -1)
	case code == wire.MessageTooLarge && len(s.list) > 1:
		out.Mark("client.batch-split")
		p.split(b, j)
	case code == wire.OutOfOrderSequenceNumber && j > 0:
		p.again(now, b, j, why) // the one before it has failed, and will come first
	case code == wire.OutOfOrderSequenceNumber, code == wire.UnknownProducerID, code == wire.InvalidProducerEpoch,
		code == wire.ProducerFenced:
		// The broker has lost what it knew of this producer, or never had a batch that we gave up.
		out.Mark("client.sequence-refused")
		if gap := b.reset || p.txn.bump; code == wire.OutOfOrderSequenceNumber && !gap && !s.doubtful && !p.opt.NotIdempotent && len(p.mistaken) < mistakenMax {
			p.mistaken = append(p.mistaken, b.at)
		}
		if p.transactional() && code == wire.ProducerFenced {
			p.txn.die(why)
		}
		if p.opt.NotIdempotent || p.transactional() { // a transaction that lacks a batch is aborted
			p.txn.bump = true
			p.finish(b, j, fateOf(s), why)
			return
		}
		b.reset = true
		p.again(now, b, j, why)
	case code == wire.CorruptMessage || code.Retriable() || mayBeStored(code):
		s.doubtful = s.doubtful || mayBeStored(code)
		if refreshes(code) {
			p.hint(b.at, core.NodeID(a.CurrentLeader.LeaderID), core.Epoch(a.CurrentLeader.LeaderEpoch))
		}
		p.again(now, b, j, why)
	default:
		if p.transactional() && fatal(code) {
			p.txn.die(why)
		}
		p.finish(b, j, fateOf(s), why)
	}
}

// mayBeStored reports whether a broker may say so of a batch that is in its log, or has been.
func mayBeStored(code wire.Code) bool {
	switch code {
	case wire.NotEnoughReplicas, wire.CorruptMessage, wire.UnknownTopicID, wire.InconsistentTopicID, wire.ThrottlingQuotaExceeded,
		wire.LeaderNotAvailable, wire.ConcurrentTransactions:
		return false // refused before the append
	case wire.UnknownServerError:
		return true
	}
	return code.Retriable()
}

// refreshes reports whether an answer shows that our metadata is old.
func refreshes(code wire.Code) bool {
	switch code {
	case wire.NotLeaderOrFollower, wire.LeaderNotAvailable, wire.UnknownTopicOrPartition, wire.UnknownTopicID,
		wire.InconsistentTopicID, wire.KafkaStorageError, wire.FencedLeaderEpoch, wire.UnknownLeaderEpoch,
		wire.ReplicaNotAvailable, wire.ListenerNotFound, wire.NetworkException:
		return true
	}
	return false
}

// stored gives every record of a batch its offset.
func (p *Producer) stored(b *outbox, j int, base core.Offset, appendTime int64) {
	s := &b.batches[j]
	for i := range s.list {
		off := core.Offset(-1)
		if base >= 0 {
			off = base + core.Offset(i)
		}
		p.resolve(&s.list[i], b.at, off, appendTime, Did, Failure{})
	}
	p.unflight(b, s)
	b.batches = slices.Delete(b.batches, j, j+1)
}

// again puts a batch back in its place. Nothing of its partition is sent until everything has come back.
func (p *Producer) again(now core.Now, b *outbox, j int, why Failure) {
	s := &b.batches[j]
	s.why = why
	p.unflight(b, s)
	b.hold, b.settled = true, false
	if now.Mono >= b.retryAt { // several that come back from one request count as one failure
		b.retryAt = now.Mono.After(p.backoff(b.fails))
		b.fails++
	}
}

// split makes two batches of one that the broker finds too large. The sequence numbers of its records
// stay what they are, so those behind it need no change.
func (p *Producer) split(b *outbox, j int) {
	p.unflight(b, &b.batches[j])
	b.hold = true
	s := b.batches[j]
	half := len(s.list) / 2
	first, second := s, s
	first.list, second.list = slices.Clone(s.list[:half]), slices.Clone(s.list[half:])
	first.bytes, second.bytes = 0, 0
	for i := range first.list {
		first.bytes += first.list[i].bytes()
	}
	second.bytes = s.bytes - first.bytes
	p.encodeAt(b, &first, s.sequence)
	if s.sequence >= 0 {
		p.encodeAt(b, &second, after(s.sequence, half))
	} else {
		p.encodeAt(b, &second, -1)
	}
	b.batches[j] = first
	b.batches = slices.Insert(b.batches, j+1, second)
	for k := j + 1; k < len(b.batches); k++ {
		b.batches[k].ord = b.batches[k-1].ord + 1
	}
	b.lastOrd = b.batches[len(b.batches)-1].ord
}
