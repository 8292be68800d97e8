package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetForLeaderEpoch serves OffsetForLeaderEpoch v2-v4 (KIP-101, 279, 320): where an epoch ended.
func (b *Broker) offsetForLeaderEpoch(now core.Now, r request, q *kmsg.OffsetForLeaderEpochRequest, out *core.Out) {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for i := range q.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = q.Topics[i].Topic
		for j := range q.Topics[i].Partitions {
			x := &q.Topics[i].Partitions[j]
			k := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			k.Partition, k.LeaderEpoch, k.EndOffset = x.Partition, -1, -1
			h, code := b.parts.find(q.Topics[i].Topic, core.TopicID{}, false, x.Partition)
			if code == wire.None {
				code = checkEpoch(core.Epoch(x.CurrentLeaderEpoch), h.leader.Epoch())
			}
			if k.ErrorCode = int16(code); code == wire.None {
				epoch, end := b.store.EpochEnd(h.log, core.Epoch(x.LeaderEpoch))
				k.LeaderEpoch, k.EndOffset = int32(epoch), int64(end)
			}
			topic.Partitions = append(topic.Partitions, k)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.reply(now, r, resp, out)
}
