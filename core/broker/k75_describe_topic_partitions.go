package broker

import (
	"slices"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeTopicPartitions serves DescribeTopicPartitions v0 (KIP-966): topics in the order of their names, from a cursor
// on, up to a number of partitions. Without names it goes through all topics.
func (b *Broker) describeTopicPartitions(now core.Now, r request, q *kmsg.DescribeTopicPartitionsRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	resp.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
	d := describing{resp: resp, listener: b.listener(r), room: int(max(1, min(q.ResponsePartitionLimit, b.cfg.RequestPartitionsMax)))}
	from, first := "", int32(0)
	if q.Cursor != nil {
		from, first = q.Cursor.Topic, q.Cursor.Partition
	}
	names := make([]string, 0, len(q.Topics))
	for i := range q.Topics {
		names = append(names, q.Topics[i].Topic)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	asked := len(names) > 0
	at, there := slices.BinarySearch(names, from)
	if first < 0 || asked && q.Cursor != nil && !there {
		b.describeRefused(now, r, q, out)
		return
	}
	if asked {
		for _, name := range names[at:] {
			if !d.topic(b, name, b.img.Topic(name), first) {
				break
			}
			first = 0
		}
	} else {
		for t := range b.img.TopicsFrom(from) {
			start := first
			if first = 0; t.Name != from {
				start = 0
			}
			if !d.topic(b, t.Name, t, start) {
				break
			}
		}
	}
	b.reply(now, r, resp, out)
}

// describeRefused answers a request whose cursor makes no sense.
func (b *Broker) describeRefused(now core.Now, r request, q *kmsg.DescribeTopicPartitionsRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	for i := range q.Topics {
		k := kmsg.NewDescribeTopicPartitionsResponseTopic()
		k.Topic, k.ErrorCode = &q.Topics[i].Topic, int16(wire.InvalidRequest)
		resp.Topics = append(resp.Topics, k)
	}
	b.reply(now, r, resp, out)
}

// describing gathers a reply.
type describing struct {
	resp     *kmsg.DescribeTopicPartitionsResponse
	listener string
	room     int // partitions that still fit
}

// topic adds a topic from partition first on. It returns false when the reply is full; the cursor then names what comes next.
func (d *describing) topic(b *Broker, name string, t *image.Topic, first int32) bool {
	k := kmsg.NewDescribeTopicPartitionsResponseTopic()
	k.Topic, k.IsInternal, k.AuthorizedOperations = &name, internalTopic(name), topicOperations
	k.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	if t == nil {
		if k.ErrorCode = int16(wire.UnknownTopicOrPartition); controller.BadTopicName(name) != "" {
			k.ErrorCode = int16(wire.InvalidTopicException)
		}
		d.resp.Topics = append(d.resp.Topics, k)
		return true
	}
	k.TopicID = t.ID
	if d.room == 0 {
		d.next(name, first)
		return false
	}
	at := min(int(first), len(t.Partitions))
	for _, p := range t.Partitions[at:] {
		if d.room == 0 {
			d.resp.Topics = append(d.resp.Topics, k)
			d.next(name, p.ID)
			return false
		}
		k.Partitions = append(k.Partitions, d.partition(b, p))
		d.room--
	}
	d.resp.Topics = append(d.resp.Topics, k)
	return true
}

func (d *describing) next(topic string, partition int32) {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	d.resp.NextCursor = &c
}

func (d *describing) partition(b *Broker, p *image.Partition) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	k := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	k.Partition, k.LeaderID, k.LeaderEpoch = p.ID, int32(p.Leader), int32(p.LeaderEpoch)
	k.Replicas, k.ISR = nodeIDs(p.Replicas), nodeIDs(p.ISR)
	k.EligibleLeaderReplicas, k.LastKnownELR = nodeIDs(p.ELR), nodeIDs(p.LastKnownELR)
	k.OfflineReplicas = []int32{}
	for _, n := range p.Replicas {
		if !b.img.Live(n) {
			k.OfflineReplicas = append(k.OfflineReplicas, int32(n))
		}
	}
	leader := b.img.Broker(p.Leader)
	if leader == nil || leader.Fenced {
		k.ErrorCode, k.LeaderID = int16(wire.LeaderNotAvailable), -1
	} else if _, ok := leader.Endpoint(d.listener); !ok {
		k.ErrorCode, k.LeaderID = int16(wire.ListenerNotFound), -1
	}
	return k
}
