package broker

import (
	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteRecords serves DeleteRecords v0-v2 (KIP-107): the log start moves up, durably, and the reply says where
// the low watermark is.
func (b *Broker) deleteRecords(now core.Now, r request, q *kmsg.DeleteRecordsRequest, out *core.Out) {
	t := &deleteRecordsTask{r: r, deadline: now.Mono.After(core.Millis(int64(max(q.TimeoutMillis, 0))))}
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			x := &q.Topics[i].Partitions[j]
			p := deletePart{topic: q.Topics[i].Topic, of: int32(i), partition: x.Partition, log: log.NoLog, low: -1}
			b.deleteBefore(now, &p, core.Offset(x.Offset), out)
			t.parts = append(t.parts, p)
		}
	}
	if t.Advance(b, now, out) {
		return
	}
	var keys []waitKey
	for i := range t.parts {
		if p := &t.parts[i]; p.open {
			keys = append(keys, waitKey{kind: waitPartition, id: uint64(p.log)})
		}
	}
	b.park(r, t, t.deadline, keys...)
}

// deleteRecordsTask is a DeleteRecords request that waits for log starts to be durable.
type deleteRecordsTask struct {
	r        request
	deadline core.Time
	parts    []deletePart
}

type deletePart struct {
	topic     string
	of        int32
	partition int32
	open      bool
	log       log.LogID
	to        core.Offset
	code      wire.Code
	low       core.Offset
}

// deleteBefore asks one log to begin at an offset.
func (b *Broker) deleteBefore(now core.Now, p *deletePart, to core.Offset, out *core.Out) {
	h, code := b.parts.find(p.topic, core.TopicID{}, false, p.partition)
	switch {
	case code != wire.None:
		p.code = code
		return
	case internalTopic(p.topic):
		p.code = wire.InvalidTopicException // the coordinators' memory is not a client's to cut
		return
	case !h.cfg.Delete:
		p.code = wire.PolicyViolation // a compacted topic keeps the last of every key
		return
	}
	high := h.leader.High()
	if to == -1 {
		to = high
	}
	if to < 0 || to > high {
		p.code = wire.OffsetOutOfRange
		return
	}
	if p.log, p.to, p.open = h.log, to, true; to > b.store.Log(h.log).Start() {
		if !b.store.DeleteBefore(now, h.log, to, out) {
			p.code, p.open = wire.KafkaStorageError, false
		}
	}
}

// Advance waits until the low watermark of every partition has come to where it should.
func (t *deleteRecordsTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	open := false
	for i := range t.parts {
		p := &t.parts[i]
		if !p.open {
			continue
		}
		h := b.parts.at(p.log)
		switch {
		case h == nil || h.gone:
			p.code = wire.UnknownTopicOrPartition
		case h.offline():
			p.code = wire.KafkaStorageError
		case h.leader == nil:
			p.code = wire.NotLeaderOrFollower
		case h.leader.Low() >= p.to:
			p.low = h.leader.Low()
		case now.Mono >= t.deadline:
			p.code = wire.RequestTimedOut
		default:
			open = true
			continue
		}
		p.open = false
	}
	if open {
		return false
	}
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for i := 0; i < len(t.parts); {
		topic := kmsg.NewDeleteRecordsResponseTopic()
		topic.Topic = t.parts[i].topic
		for of := t.parts[i].of; i < len(t.parts) && t.parts[i].of == of; i++ {
			k := kmsg.NewDeleteRecordsResponseTopicPartition()
			k.Partition, k.ErrorCode, k.LowWatermark = t.parts[i].partition, int16(t.parts[i].code), int64(t.parts[i].low)
			topic.Partitions = append(topic.Partitions, k)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.reply(now, t.r, resp, out)
	return true
}
