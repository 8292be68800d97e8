package group

import (
	"klamm/core"
	"klamm/core/shard"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The versions of keys: they say what kind of record it is.
const (
	offsetKeyV0   = 0 // read as version 1: the same bytes
	offsetKeyV1   = 1
	metadataKeyV2 = 2
)

// The versions of values that are written, those of Apache Kafka 4.3.1.
const (
	offsetValueVersion   = 4
	offsetValueExpiring  = 1 // with an expiry of its own: OffsetCommit below v5 with a retention time
	metadataValueVersion = 3
	// Values above these were written by a later release and may mean what we do not know.
	offsetValueVersionMax   = 4
	metadataValueVersionMax = 4
)

// Commit is one committed offset.
type Commit struct {
	Offset      core.Offset
	LeaderEpoch core.Epoch // of the record before it, as the member saw it; -1: not told
	Metadata    string
	At          int64        // wall clock of the coordinator, ms
	ExpireAt    int64        // wall clock, ms; -1: by the broker's retention
	TopicID     core.TopicID // zero: not known when it was committed
}

// Stored is the durable part of a group: what its newest record says.
type Stored struct {
	ProtocolType string
	Generation   int32
	Protocol     *string
	Leader       *string
	At           int64 // when the group came into this state, wall clock, ms; -1: not told
	Members      []kmsg.GroupMetadataValueMember
}

func metadataKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: metadataKeyV2, Group: group}
	return k.AppendTo(nil)
}

func offsetKey(group, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyV1, Group: group, Topic: topic, Partition: partition}
	return k.AppendTo(nil)
}

func (s *Stored) record(group string) shard.Record {
	v := kmsg.GroupMetadataValue{
		Version: metadataValueVersion, ProtocolType: s.ProtocolType, Generation: s.Generation,
		Protocol: s.Protocol, Leader: s.Leader, CurrentStateTimestamp: s.At, Members: s.Members,
	}
	return shard.Record{Key: metadataKey(group), Value: v.AppendTo(nil)}
}

func (c *Commit) record(group, topic string, partition int32) shard.Record {
	v := kmsg.OffsetCommitValue{
		Version: offsetValueVersion, Offset: int64(c.Offset), LeaderEpoch: int32(c.LeaderEpoch), Metadata: c.Metadata,
		CommitTimestamp: c.At, ExpireTimestamp: c.ExpireAt, TopicID: c.TopicID,
	}
	if c.ExpireAt >= 0 {
		v.Version = offsetValueExpiring
	}
	return shard.Record{Key: offsetKey(group, topic, partition), Value: v.AppendTo(nil)}
}

func parseCommit(b []byte) (c Commit, ok bool) {
	if version(b) > offsetValueVersionMax {
		return c, false
	}
	v := kmsg.NewOffsetCommitValue()
	if v.ReadFrom(b) != nil {
		return c, false
	}
	c = Commit{
		Offset: core.Offset(v.Offset), LeaderEpoch: core.Epoch(v.LeaderEpoch), Metadata: v.Metadata,
		At: v.CommitTimestamp, ExpireAt: -1, TopicID: v.TopicID,
	}
	if v.Version < 3 {
		c.LeaderEpoch = -1
	}
	if v.Version == 1 {
		c.ExpireAt = v.ExpireTimestamp
	}
	return c, true
}

func parseStored(b []byte) (s Stored, ok bool) {
	if version(b) > metadataValueVersionMax {
		return s, false
	}
	v := kmsg.NewGroupMetadataValue()
	if v.ReadFrom(b) != nil {
		return s, false
	}
	s = Stored{
		ProtocolType: v.ProtocolType, Generation: v.Generation, Protocol: v.Protocol, Leader: v.Leader,
		At: v.CurrentStateTimestamp, Members: v.Members,
	}
	for i := range s.Members {
		if m := &s.Members[i]; v.Version < 1 { // one time served for both
			m.RebalanceTimeoutMillis = m.SessionTimeoutMillis
		}
	}
	return s, true
}

func version(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	return int(int16(uint16(b[0])<<8 | uint16(b[1])))
}
