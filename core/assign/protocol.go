package assign

import (
	"slices"

	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Append appends the subscription in the bytes of its Version.
func (s *Subscription) Append(b []byte) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.UserData, m.Generation = s.Version, s.Topics, s.UserData, s.Generation
	if s.Rack != "" {
		m.Rack = &s.Rack
	}
	for _, t := range byTopic(s.Owned) {
		m.OwnedPartitions = append(m.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: t.topic, Partitions: t.partitions})
	}
	return m.AppendTo(b)
}

// ParseSubscription reads a member's subscription. Versions above 3 are read as far as they are known.
func ParseSubscription(b []byte) (s Subscription, ok bool) {
	m := kmsg.NewConsumerMemberMetadata()
	if m.ReadFrom(b) != nil || m.Version < 0 {
		return s, false
	}
	s = Subscription{Version: m.Version, Topics: m.Topics, UserData: m.UserData, Generation: -1}
	if m.Version >= 1 {
		for i := range m.OwnedPartitions {
			for _, p := range m.OwnedPartitions[i].Partitions {
				s.Owned = append(s.Owned, core.TopicPartition{Topic: m.OwnedPartitions[i].Topic, Partition: p})
			}
		}
	}
	if m.Version >= 2 {
		s.Generation = m.Generation
	}
	if m.Version >= 3 && m.Rack != nil {
		s.Rack = *m.Rack
	}
	return s, true
}

// BasisMark begins the user data that a static leader of our own client leaves with its own assignment: what the assignment rests on. No
// assignor needs it, and nobody misses it once a coordinator assigns.
const BasisMark = "klamm-basis-1"

// AppendAssignment appends what a member is assigned, in ConsumerProtocolAssignment version 0 to 3.
func AppendAssignment(b []byte, version int16, partitions []core.TopicPartition, userData []byte) []byte {
	m := kmsg.NewConsumerMemberAssignment()
	m.Version, m.UserData = version, userData
	for _, t := range byTopic(partitions) {
		m.Topics = append(m.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: t.topic, Partitions: t.partitions})
	}
	return m.AppendTo(b)
}

// ParseAssignment reads what a member was assigned. No bytes at all assign nothing.
func ParseAssignment(b []byte) (partitions []core.TopicPartition, userData []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, true
	}
	m := kmsg.NewConsumerMemberAssignment()
	if m.ReadFrom(b) != nil || m.Version < 0 {
		return nil, nil, false
	}
	for i := range m.Topics {
		for _, p := range m.Topics[i].Partitions {
			partitions = append(partitions, core.TopicPartition{Topic: m.Topics[i].Topic, Partition: p})
		}
	}
	return partitions, m.UserData, true
}

type topicRow struct {
	topic      string
	partitions []int32
}

// byTopic groups partitions by topic, sorted.
func byTopic(partitions []core.TopicPartition) (rows []topicRow) {
	sorted := slices.Clone(partitions)
	slices.SortFunc(sorted, core.TopicPartition.Compare)
	for _, p := range sorted {
		if n := len(rows); n == 0 || rows[n-1].topic != p.Topic {
			rows = append(rows, topicRow{topic: p.Topic})
		}
		r := &rows[len(rows)-1]
		r.partitions = append(r.partitions, p.Partition)
	}
	return rows
}
