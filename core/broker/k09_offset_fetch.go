package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetFetch serves OffsetFetch v1-v10: one group below v8, several from there on; topics by name, from v10
// on by id. What was never committed is -1 without an error. With RequireStable, what a transaction is about to commit is
// UNSTABLE_OFFSET_COMMIT (KIP-447).
func (b *Broker) offsetFetch(now core.Now, r request, q *kmsg.OffsetFetchRequest, out *core.Out) {
	resp := kmsg.NewPtrOffsetFetchResponse()
	t := &groupReply{r: r, resp: resp}
	stable := q.RequireStable
	if r.header.Version >= 8 {
		all := make(map[string]bool, len(q.Groups))
		for i := range q.Groups {
			if g := &q.Groups[i]; g.Topics == nil { // all of a group is told once
				if all[g.Group] {
					continue
				}
				all[g.Group] = true
			}
			resp.Groups = append(resp.Groups, b.fetchOffsets(t, len(resp.Groups), &q.Groups[i], stable))
		}
		b.replyDurable(now, t, out)
		return
	}
	want := kmsg.NewOffsetFetchRequestGroup()
	want.Group = q.Group
	if want.Topics = nil; q.Topics != nil || r.header.Version < 2 {
		want.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for i := range q.Topics {
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		topic.Topic, topic.Partitions = q.Topics[i].Topic, q.Topics[i].Partitions
		want.Topics = append(want.Topics, topic)
	}
	resp.Groups = []kmsg.OffsetFetchResponseGroup{b.fetchOffsets(t, 0, &want, stable)}
	b.replyDurable(now, t, out)
}

// flattenOffsetFetch puts the one group's answer where versions below 8 have it.
func flattenOffsetFetch(resp *kmsg.OffsetFetchResponse, version int16) {
	if version >= 8 || len(resp.Groups) == 0 {
		return
	}
	g := &resp.Groups[0]
	resp.ErrorCode = g.ErrorCode
	for i := range g.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = g.Topics[i].Topic
		for _, p := range g.Topics[i].Partitions {
			k := kmsg.NewOffsetFetchResponseTopicPartition()
			k.Partition, k.Offset, k.LeaderEpoch, k.Metadata, k.ErrorCode = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode
			topic.Partitions = append(topic.Partitions, k)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	resp.Groups = nil
}

// fetchOffsets answers for one group.
func (b *Broker) fetchOffsets(t *groupReply, row int, q *kmsg.OffsetFetchRequestGroup, stable bool) kmsg.OffsetFetchResponseGroup {
	res := kmsg.NewOffsetFetchResponseGroup()
	res.Group = q.Group
	c, code := b.coordinator(q.Group)
	if res.ErrorCode = int16(code); code != wire.None {
		if t.r.header.Version < 2 { // there is no code for all of it
			noOffsets(&res, q)
		}
		return res
	}
	t.awaitEnd(row, c, c.groups.End(q.Group))
	if t.r.header.Version >= 9 {
		if code = c.groups.CheckFetch(q.Group, q.MemberID, q.MemberEpoch); code != wire.None {
			res.ErrorCode = int16(code)
			return res
		}
	}
	if q.Topics == nil {
		b.allOffsets(&res, c, q.Group, t.r.header.Version >= 10, stable)
		return res
	}
	for i := range q.Topics {
		topic := kmsg.NewOffsetFetchResponseGroupTopic()
		topic.Topic, topic.TopicID = q.Topics[i].Topic, q.Topics[i].TopicID
		name, known := topic.Topic, true
		if t.r.header.Version >= 10 {
			if x := b.img.TopicByID(topic.TopicID); x != nil {
				name = x.Name
			} else {
				known = false
			}
		}
		for _, p := range q.Topics[i].Partitions {
			k := noOffset(p, wire.None)
			if !known {
				k.ErrorCode = int16(wire.UnknownTopicID)
			} else if stable && c.groups.Unstable(q.Group, core.TopicPartition{Topic: name, Partition: p}) {
				k.ErrorCode = int16(wire.UnstableOffsetCommit)
			} else if v, found := c.groups.Offset(q.Group, core.TopicPartition{Topic: name, Partition: p}); found && b.sameTopic(name, v.TopicID) {
				k.Offset, k.LeaderEpoch, k.Metadata = int64(v.Offset), int32(v.LeaderEpoch), &v.Metadata
			}
			topic.Partitions = append(topic.Partitions, k)
		}
		res.Topics = append(res.Topics, topic)
	}
	return res
}

// sameTopic says whether what was committed for a name is about the topic that has the name now. One that
// was deleted and made anew begins without commits.
func (b *Broker) sameTopic(name string, id core.TopicID) bool {
	topic := b.img.Topic(name)
	return topic == nil || id.IsZero() || topic.ID == id
}

// allOffsets answers with all that the group has committed.
func (b *Broker) allOffsets(res *kmsg.OffsetFetchResponseGroup, c *coordinator, of string, byID, stable bool) {
	rows := c.groups.Offsets(of)
	for i := range rows {
		r := &rows[i]
		name := r.Partition.Topic
		if !b.sameTopic(name, r.Commit.TopicID) {
			continue
		}
		if n := len(res.Topics); n == 0 || i == 0 || rows[i-1].Partition.Topic != name || res.Topics[n-1].Topic != name {
			topic := kmsg.NewOffsetFetchResponseGroupTopic()
			topic.Topic = name
			if x := b.img.Topic(name); x != nil {
				topic.TopicID = x.ID
			} else if byID {
				continue // it has no id that a client could use
			}
			res.Topics = append(res.Topics, topic)
		}
		k := noOffset(r.Partition.Partition, wire.None)
		if stable && c.groups.Unstable(of, r.Partition) {
			k.ErrorCode = int16(wire.UnstableOffsetCommit)
		} else {
			k.Offset, k.LeaderEpoch, k.Metadata = int64(r.Commit.Offset), int32(r.Commit.LeaderEpoch), &r.Commit.Metadata
		}
		topic := &res.Topics[len(res.Topics)-1]
		topic.Partitions = append(topic.Partitions, k)
	}
}

// noOffsets answers with nothing for all that was asked for: the group's code says why.
func noOffsets(res *kmsg.OffsetFetchResponseGroup, q *kmsg.OffsetFetchRequestGroup) {
	for i := range q.Topics {
		topic := kmsg.NewOffsetFetchResponseGroupTopic()
		topic.Topic, topic.TopicID = q.Topics[i].Topic, q.Topics[i].TopicID
		for _, p := range q.Topics[i].Partitions {
			topic.Partitions = append(topic.Partitions, noOffset(p, wire.Code(res.ErrorCode)))
		}
		res.Topics = append(res.Topics, topic)
	}
}

func noOffset(partition int32, code wire.Code) kmsg.OffsetFetchResponseGroupTopicPartition {
	k := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	none := ""
	k.Partition, k.Offset, k.LeaderEpoch, k.Metadata, k.ErrorCode = partition, -1, -1, &none, int16(code)
	return k
}

// loseOffsets takes an answer back that may not last.
func loseOffsets(g *kmsg.OffsetFetchResponseGroup, version int16, why wire.Code) {
	if g.ErrorCode = int16(why); version >= 2 {
		g.Topics = nil
	}
	for i := range g.Topics {
		for j := range g.Topics[i].Partitions {
			p := &g.Topics[i].Partitions[j]
			*p = noOffset(p.Partition, why)
		}
	}
}
