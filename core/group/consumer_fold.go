package group

import (
	"encoding/binary"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"
)

// The versions of the keys of consumer groups' records (KIP-848).
const (
	consumerGroupKey   = 3
	consumerTopicsKey  = 4 // written by older releases; the hash in consumerGroupKey has replaced it
	consumerMemberKey  = 5
	consumerTargetKey  = 6
	consumerWantsKey   = 7
	consumerCurrentKey = 8
	consumerRegexKey   = 16
)

// consumerKeyOf is the key of a record: its version and one or two strings.
func consumerKeyOf(version int16, parts ...string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(version))
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

// parseConsumerKey reads what consumerKeyOf writes.
func parseConsumerKey(b []byte) (group, rest string, ok bool) {
	parts := [2]string{}
	n := 1
	switch version(b) {
	case consumerMemberKey, consumerWantsKey, consumerCurrentKey, consumerRegexKey:
		n = 2
	}
	b = b[2:]
	for i := range n {
		if len(b) < 2 {
			return "", "", false
		}
		size := int(binary.BigEndian.Uint16(b))
		if size > 1<<15-1 || size > len(b)-2 {
			return "", "", false
		}
		parts[i], b = string(b[2:2+size]), b[2+size:]
	}
	return parts[0], parts[1], len(b) == 0
}

// valueOf is a record's value: its version, which is 0, and the message.
func valueOf(m wire.Message) []byte { return m.AppendTo([]byte{0, 0}, 0) }

func readValue(b []byte, m wire.Message) bool { return version(b) == 0 && m.ReadFrom(b[2:], 0) == nil }

func epochRecord(group string, epoch int32, hash int64) shard.Record {
	return shard.Record{Key: consumerKeyOf(consumerGroupKey, group), Value: valueOf(&wire.ConsumerGroupMetadataValue{Epoch: epoch, MetadataHash: hash})}
}

func memberRecord(group, id string, is *wire.ConsumerGroupMemberMetadataValue) shard.Record {
	return shard.Record{Key: consumerKeyOf(consumerMemberKey, group, id), Value: valueOf(is)}
}

func targetRecord(group string, epoch int32, at int64) shard.Record {
	v := wire.ConsumerGroupTargetAssignmentMetadataValue{AssignmentEpoch: epoch, AssignmentTimestamp: at}
	return shard.Record{Key: consumerKeyOf(consumerTargetKey, group), Value: valueOf(&v)}
}

func wantsRecord(group, id string, target []slot) shard.Record {
	v := wire.NewConsumerGroupTargetAssignmentMemberValue()
	for _, t := range byTopicID(target) {
		v.TopicPartitions = append(v.TopicPartitions, wire.TargetPartitions{TopicID: t.id, Partitions: t.partitions})
	}
	return shard.Record{Key: consumerKeyOf(consumerWantsKey, group, id), Value: valueOf(v)}
}

func currentRecord(group string, m *consumer) shard.Record {
	v := wire.NewConsumerGroupCurrentMemberAssignmentValue()
	v.MemberEpoch, v.PreviousMemberEpoch, v.State = m.epoch, m.previous, int8(m.state)
	v.AssignedPartitions, v.PartitionsPendingRevocation = currentPartitions(m.assigned), currentPartitions(m.revoking)
	return shard.Record{Key: consumerKeyOf(consumerCurrentKey, group, m.id), Value: valueOf(v)}
}

func currentPartitions(list []slot) (rows []wire.CurrentPartitions) {
	for _, t := range byTopicID(list) {
		rows = append(rows, wire.CurrentPartitions{TopicID: t.id, Partitions: t.partitions, AssignmentEpochs: t.epochs})
	}
	return rows
}

func regexRecord(group string, r *regex) shard.Record {
	v := wire.ConsumerGroupRegularExpressionValue{Topics: r.topics, Version: int64(r.version), Timestamp: r.at}
	return shard.Record{Key: consumerKeyOf(consumerRegexKey, group, r.text), Value: valueOf(&v)}
}

// tombstones removes a member's records.
func memberTombstones(group, id string) []shard.Record {
	return []shard.Record{
		{Key: consumerKeyOf(consumerCurrentKey, group, id)},
		{Key: consumerKeyOf(consumerWantsKey, group, id)},
		{Key: consumerKeyOf(consumerMemberKey, group, id)},
	}
}

// consumerTombstones removes all records of a group but its offsets.
func (g *Group) consumerTombstones() (records []shard.Record) {
	c := g.consumers
	for i := range c.members {
		records = append(records, memberTombstones(g.name, c.members[i].id)...)
	}
	for i := range c.regexes {
		records = append(records, shard.Record{Key: consumerKeyOf(consumerRegexKey, g.name, c.regexes[i].text)})
	}
	return append(records, shard.Record{Key: consumerKeyOf(consumerTargetKey, g.name)}, shard.Record{Key: consumerKeyOf(consumerGroupKey, g.name)})
}

type topicSlots struct {
	id         core.TopicID
	partitions []int32
	epochs     []int32
}

// byTopicID gathers sorted slots by their topics.
func byTopicID(list []slot) (rows []topicSlots) {
	for _, s := range list {
		if n := len(rows); n == 0 || rows[n-1].id != s.topic {
			rows = append(rows, topicSlots{id: s.topic})
		}
		t := &rows[len(rows)-1]
		t.partitions, t.epochs = append(t.partitions, s.partition), append(t.epochs, s.epoch)
	}
	return rows
}

// slots reads partitions of a record; epochs may be missing in those of older releases, and def stands in.
func slots(rows []wire.CurrentPartitions, def int32) (list []slot) {
	for i := range rows {
		for j, p := range rows[i].Partitions {
			s := slot{rows[i].TopicID, p, def}
			if j < len(rows[i].AssignmentEpochs) {
				s.epoch = rows[i].AssignmentEpochs[j]
			}
			list = append(list, s)
		}
	}
	return sortedSlots(list)
}

func sortedSlots(list []slot) []slot {
	slices.SortFunc(list, slot.compare)
	return slices.CompactFunc(list, func(a, b slot) bool { return a.compare(b) == 0 })
}

// applyConsumer folds one record of a consumer group. Records come in any order that compaction leaves them in.
func (s *State) applyConsumer(key, value []byte, out *core.Out) {
	name, rest, ok := parseConsumerKey(key)
	if !ok {
		out.Mark("group.unreadable-record")
		return
	}
	kind := version(key)
	g := s.groups[name]
	if value == nil {
		if g != nil && g.consumers != nil {
			g.dropConsumerRow(kind, rest)
			s.dropIfNothing(g)
		}
		return
	}
	if g = s.group(name); g.consumers == nil {
		g.consumers = &consumers{holder: map[held]string{}}
	}
	if !g.consumers.fold(kind, rest, value) {
		out.Mark("group.unreadable-record")
		g.tidyConsumers()
		s.dropIfNothing(g)
	}
}

func (c *consumers) fold(kind int, rest string, value []byte) bool {
	switch kind {
	case consumerGroupKey:
		v := wire.NewConsumerGroupMetadataValue()
		if !readValue(value, v) {
			return false
		}
		c.epoch, c.hash = v.Epoch, v.MetadataHash
	case consumerMemberKey:
		v := wire.NewConsumerGroupMemberMetadataValue()
		if !readValue(value, v) {
			return false
		}
		c.enter(rest).is = v
	case consumerTargetKey:
		v := wire.NewConsumerGroupTargetAssignmentMetadataValue()
		if !readValue(value, v) {
			return false
		}
		c.target, c.assignedAt = v.AssignmentEpoch, v.AssignmentTimestamp
	case consumerWantsKey:
		v := wire.NewConsumerGroupTargetAssignmentMemberValue()
		if !readValue(value, v) {
			return false
		}
		m := c.enter(rest)
		m.target = nil
		for i := range v.TopicPartitions {
			for _, p := range v.TopicPartitions[i].Partitions {
				m.target = append(m.target, slot{topic: v.TopicPartitions[i].TopicID, partition: p})
			}
		}
		m.target = sortedSlots(m.target)
	case consumerCurrentKey:
		v := wire.NewConsumerGroupCurrentMemberAssignmentValue()
		if !readValue(value, v) || v.State < 0 || v.State > int8(memberUnreleased) {
			return false
		}
		m := c.enter(rest)
		m.epoch, m.previous, m.state = v.MemberEpoch, v.PreviousMemberEpoch, memberState(v.State)
		c.hold(m, slots(v.AssignedPartitions, v.MemberEpoch), slots(v.PartitionsPendingRevocation, v.MemberEpoch))
	case consumerRegexKey:
		v := wire.NewConsumerGroupRegularExpressionValue()
		if !readValue(value, v) {
			return false
		}
		at, found := c.findRegex(rest)
		if !found {
			c.regexes = slices.Insert(c.regexes, at, regex{text: rest})
		}
		topics := slices.Clone(v.Topics)
		slices.SortFunc(topics, strings.Compare)
		c.regexes[at].topics, c.regexes[at].version, c.regexes[at].at = topics, core.Offset(v.Version), v.Timestamp
	}
	return true
}

// dropConsumerRow folds a tombstone.
func (g *Group) dropConsumerRow(kind int, rest string) {
	c := g.consumers
	m := c.member(rest)
	switch kind {
	case consumerGroupKey:
		c.epoch, c.hash = 0, 0
	case consumerTargetKey:
		c.target, c.assignedAt = 0, 0
	case consumerMemberKey:
		if m != nil {
			m.is = nil
		}
	case consumerWantsKey:
		if m != nil {
			m.target = nil
		}
	case consumerCurrentKey:
		if m != nil {
			c.release(m)
			m.epoch, m.previous, m.state = 0, 0, memberStable
		}
	case consumerRegexKey:
		if at, found := c.findRegex(rest); found {
			c.regexes = slices.Delete(c.regexes, at, at+1)
		}
	}
	if m != nil && m.is == nil && m.target == nil && m.epoch == 0 && len(m.assigned)+len(m.revoking) == 0 {
		at := c.find(m.id)
		c.members = slices.Delete(c.members, at, at+1)
	}
	g.tidyConsumers()
}

// tidyConsumers makes a group that has nothing left of the consumer protocol one of none.
func (g *Group) tidyConsumers() {
	if c := g.consumers; c.epoch == 0 && c.target == 0 && len(c.members) == 0 && len(c.regexes) == 0 {
		g.consumers = nil
	}
}
