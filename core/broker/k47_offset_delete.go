package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetDelete serves OffsetDelete v0.
func (b *Broker) offsetDelete(now core.Now, r request, q *kmsg.OffsetDeleteRequest, out *core.Out) {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	t := &groupReply{r: r, resp: resp}
	if q.Group == "" {
		resp.ErrorCode = int16(wire.InvalidGroupID)
		b.reply(now, r, resp, out)
		return
	}
	c, code := b.coordinator(q.Group)
	if code != wire.None {
		resp.ErrorCode = int16(code)
		b.reply(now, r, resp, out)
		return
	}
	var rows []core.TopicPartition // those that exist
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			p := q.Topics[i].Partitions[j].Partition
			if b.img.Partition(q.Topics[i].Topic, p) != nil {
				rows = append(rows, core.TopicPartition{Topic: q.Topics[i].Topic, Partition: p})
			}
		}
	}
	codes, code, end := c.groups.DeleteOffsets(b.groupEnv(now, c, out), q.Group, rows)
	t.awaitEnd(0, c, end)
	if resp.ErrorCode = int16(code); code != wire.None {
		b.replyDurable(now, t, out)
		return
	}
	for i := range q.Topics {
		topic := kmsg.NewOffsetDeleteResponseTopic()
		topic.Topic = q.Topics[i].Topic
		for j := range q.Topics[i].Partitions {
			k := kmsg.NewOffsetDeleteResponseTopicPartition()
			if k.Partition = q.Topics[i].Partitions[j].Partition; b.img.Partition(topic.Topic, k.Partition) == nil {
				k.ErrorCode = int16(wire.UnknownTopicOrPartition)
			} else {
				k.ErrorCode = int16(codes[0])
				codes = codes[1:]
			}
			topic.Partitions = append(topic.Partitions, k)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.replyDurable(now, t, out)
}
