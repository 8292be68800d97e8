package broker

import (
	"klamm/core"
	"klamm/core/group"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetCommit serves OffsetCommit v2-v10: topics by name, from v10 on by id. An empty group id is a group
// like any other here, as it always was. The reply leaves when the offsets are durable.
func (b *Broker) offsetCommit(now core.Now, r request, q *kmsg.OffsetCommitRequest, out *core.Out) {
	resp := kmsg.NewPtrOffsetCommitResponse()
	t := &groupReply{r: r, resp: resp}
	var rows []group.CommitRow
	for i := range q.Topics {
		rows = b.commitRows(rows, &q.Topics[i], r.header.Version >= 10)
	}
	if c, code := b.coordinator(q.Group); code != wire.None {
		for i := range rows {
			if rows[i].Code == wire.None {
				rows[i].Code = code
			}
		}
	} else if anyCommit(rows) {
		by := group.Committer{
			Group: q.Group, Member: q.MemberID, Instance: q.InstanceID, Generation: q.Generation, Retention: q.RetentionTimeMillis,
			Old: r.header.Version < 9,
		}
		end := c.groups.Commit(b.groupEnv(now, c, out), &by, rows)
		t.awaitEnd(0, c, end)
	}
	for i := range q.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic, topic.TopicID = q.Topics[i].Topic, q.Topics[i].TopicID
		for range q.Topics[i].Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rows[0].Partition.Partition, int16(rows[0].Code)
			topic.Partitions = append(topic.Partitions, p)
			rows = rows[1:]
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.replyDurable(now, t, out)
}

// commitRows appends the offsets of one topic, with what is wrong with them already.
func (b *Broker) commitRows(rows []group.CommitRow, t *kmsg.OffsetCommitRequestTopic, byID bool) []group.CommitRow {
	var topic *image.Topic
	missing := wire.UnknownTopicOrPartition
	if byID {
		topic, missing = b.img.TopicByID(t.TopicID), wire.UnknownTopicID
	} else {
		topic = b.img.Topic(t.Topic)
	}
	for i := range t.Partitions {
		p := &t.Partitions[i]
		row := group.CommitRow{Offset: core.Offset(p.Offset), LeaderEpoch: core.Epoch(p.LeaderEpoch)}
		row.Partition.Partition = p.Partition
		if p.Metadata != nil {
			row.Metadata = *p.Metadata
		}
		switch {
		case topic == nil:
			row.Code = missing
		case topic.Partition(p.Partition) == nil:
			row.Code = wire.UnknownTopicOrPartition
		default:
			row.Partition.Topic, row.TopicID = topic.Name, topic.ID
		}
		rows = append(rows, row)
	}
	return rows
}

func anyCommit(rows []group.CommitRow) bool {
	for i := range rows {
		if rows[i].Code == wire.None {
			return true
		}
	}
	return false
}
