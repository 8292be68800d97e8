package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeProducers serves DescribeProducers v0 (KIP-664): who wrote to a partition with idempotence of late.
// What is asked for twice is told once.
func (b *Broker) describeProducers(now core.Now, r request, q *kmsg.DescribeProducersRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeProducersResponse()
	seen := map[core.TopicPartition]bool{}
	for i := range q.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = q.Topics[i].Topic
		for _, n := range q.Topics[i].Partitions {
			tp := core.TopicPartition{Topic: topic.Topic, Partition: n}
			if seen[tp] {
				continue
			}
			seen[tp] = true
			k := kmsg.NewDescribeProducersResponseTopicPartition()
			k.Partition = n
			h, code := b.parts.find(topic.Topic, core.TopicID{}, false, n)
			if k.ErrorCode = int16(code); code == wire.None {
				for _, p := range b.store.Log(h.log).Producers() {
					a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
					a.ProducerID, a.ProducerEpoch, a.LastSequence = p.ID, int32(p.Epoch), p.LastSequence
					a.LastTimestamp, a.CoordinatorEpoch, a.CurrentTxnStartOffset = p.LastTimestamp, p.CoordinatorEpoch, int64(p.TxnStart)
					k.ActiveProducers = append(k.ActiveProducers, a)
				}
			}
			topic.Partitions = append(topic.Partitions, k)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.reply(now, r, resp, out)
}
