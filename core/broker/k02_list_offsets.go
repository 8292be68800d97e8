package broker

import (
	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The timestamps that are none, and the versions from which they may be asked for.
const (
	latestOffset        int64 = -1
	earliestOffset      int64 = -2
	maxTimestampOffset  int64 = -3 // v7+, KIP-734
	earliestLocalOffset int64 = -4 // v8+, KIP-405
	latestTieredOffset  int64 = -5 // v9+, KIP-1005
	pendingUploadOffset int64 = -6 // v11+, KIP-1023
)

// listOffsets serves ListOffsets v1-v11. There are no tiers: what asks for them finds nothing.
func (b *Broker) listOffsets(now core.Now, r request, q *kmsg.ListOffsetsRequest, out *core.Out) {
	t := &listOffsetsTask{r: r, replica: q.ReplicaID, committed: q.IsolationLevel == 1}
	n := 0
	for i := range q.Topics {
		n += len(q.Topics[i].Partitions)
	}
	t.parts = make([]offsetPart, 0, n)
	seen := make(map[core.TopicPartition]bool, n)
	twice := map[core.TopicPartition]bool{}
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			tp := core.TopicPartition{Topic: q.Topics[i].Topic, Partition: q.Topics[i].Partitions[j].Partition}
			if seen[tp] {
				twice[tp] = true
			}
			seen[tp] = true
		}
	}
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			x := &q.Topics[i].Partitions[j]
			p := offsetPart{tp: core.TopicPartition{Topic: q.Topics[i].Topic, Partition: x.Partition}, of: int32(i), log: log.NoLog, timestamp: -1, offset: -1, epoch: -1}
			if twice[p.tp] {
				p.code = wire.InvalidRequest
			} else {
				b.listOffset(now, t, &p, x.Timestamp, core.Epoch(x.CurrentLeaderEpoch), out)
			}
			t.parts = append(t.parts, p)
		}
	}
	keys := make([]waitKey, 0, n)
	for i := range t.parts {
		if p := &t.parts[i]; p.ticket != 0 {
			keys = append(keys, p.key())
		}
	}
	if len(keys) == 0 {
		t.answer(b, now, out)
		return
	}
	b.park(r, t, core.Never, keys...) // look-ups end in their own time
}

// listOffsetsTask is a ListOffsets request that waits for look-ups by timestamp.
type listOffsetsTask struct {
	r         request
	replica   int32
	committed bool
	parts     []offsetPart
}

type offsetPart struct {
	tp        core.TopicPartition
	of        int32 // the index of its topic in the request
	log       log.LogID
	leads     core.Epoch // the leadership that took the question
	ticket    log.Ticket
	code      wire.Code
	timestamp int64
	offset    core.Offset
	epoch     core.Epoch
}

func (p *offsetPart) key() waitKey { return waitKey{kind: waitTicket, id: uint64(p.ticket)} }

// specialFrom is the first version in which a negative timestamp may be asked for; -1 if it means nothing.
func specialFrom(timestamp int64) int16 {
	switch timestamp {
	case latestOffset, earliestOffset:
		return 1
	case maxTimestampOffset:
		return 7
	case earliestLocalOffset:
		return 8
	case latestTieredOffset:
		return 9
	case pendingUploadOffset:
		return 11
	}
	return -1
}

// listOffset answers for one partition, or asks the log to look.
func (b *Broker) listOffset(now core.Now, t *listOffsetsTask, p *offsetPart, timestamp int64, epoch core.Epoch, out *core.Out) {
	version := t.r.header.Version
	if timestamp < 0 {
		if from := specialFrom(timestamp); from < 0 || version < from {
			p.code = wire.UnsupportedVersion
			return
		}
	}
	h, code := b.parts.find(p.tp.Topic, core.TopicID{}, false, p.tp.Partition)
	if code == wire.None && version >= 4 {
		code = checkEpoch(epoch, h.leader.Epoch())
	}
	if p.code = code; code != wire.None {
		return
	}
	l := b.store.Log(h.log)
	p.log, p.leads = h.log, h.leader.Epoch()
	fetchable := h.leader.High()
	switch {
	case t.replica >= 0:
		fetchable = l.End()
	case t.committed:
		fetchable = l.LastStable()
	}
	// Until a new leader's high watermark has come to where its epoch began, the last leader may have
	// told readers of more: an answer now could go back behind that (KIP-207).
	if unsure := h.leader.High() < h.leader.EpochStart() && t.replica < 0; unsure && timestamp != earliestOffset && timestamp != earliestLocalOffset {
		if p.code = wire.OffsetNotAvailable; version < 5 {
			p.code = wire.LeaderNotAvailable
		}
		return
	}
	switch timestamp {
	case latestOffset:
		p.offset, p.epoch = fetchable, h.leader.Epoch()
	case earliestOffset, earliestLocalOffset:
		p.offset, p.epoch = l.Start(), b.epochAt(h, l.Start())
	case latestTieredOffset, pendingUploadOffset:
	case maxTimestampOffset:
		p.ticket = b.store.MaxTimestamp(now, h.log, fetchable, out)
	default:
		p.ticket = b.store.SeekTime(now, h.log, timestamp, fetchable, out)
	}
}

// epochAt is the leader epoch of the record at an offset: that of the newest epoch which began at or below it.
func (b *Broker) epochAt(h *hosted, at core.Offset) core.Epoch {
	e := b.store.LastEpoch(h.log)
	for e > 0 {
		before, start := b.store.EpochEnd(h.log, e-1) // the epoch before e, and where e began
		if start < 0 || start <= at || before >= e {
			break
		}
		e = before
	}
	return e
}

// Advance waits for every look-up.
func (t *listOffsetsTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	open := false
	for i := range t.parts {
		p := &t.parts[i]
		if p.ticket == 0 {
			continue
		}
		got, ok := b.found(p.key())
		if !ok {
			open = true
			continue
		}
		p.ticket = 0
		h := b.parts.at(p.log)
		switch {
		case h == nil || h.gone:
			p.code = wire.UnknownTopicOrPartition
		case got.err != core.OK || h.offline():
			p.code = wire.KafkaStorageError
		case h.leader == nil || h.leader.Epoch() != p.leads:
			p.code = wire.NotLeaderOrFollower
		case got.offset >= 0:
			p.offset, p.timestamp, p.epoch = got.offset, got.timestamp, got.epoch
		}
	}
	if open {
		return b.gone(t.r) // nobody waits for the rest
	}
	t.answer(b, now, out)
	return true
}

func (t *listOffsetsTask) answer(b *Broker, now core.Now, out *core.Out) {
	resp := kmsg.NewPtrListOffsetsResponse()
	for i := 0; i < len(t.parts); {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.parts[i].tp.Topic
		for of := t.parts[i].of; i < len(t.parts) && t.parts[i].of == of; i++ {
			p := &t.parts[i]
			k := kmsg.NewListOffsetsResponseTopicPartition()
			k.Partition, k.ErrorCode, k.Timestamp, k.Offset, k.LeaderEpoch = p.tp.Partition, int16(p.code), p.timestamp, int64(p.offset), int32(p.epoch)
			topic.Partitions = append(topic.Partitions, k)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.reply(now, t.r, resp, out)
}
