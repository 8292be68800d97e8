package client

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/wire"
)

// subscription is what this member tells the leader under one of the assignors that it offers. With the
// eager sticky one a member has given everything back when it joins, and says what it had: in the
// user data, as Java's members read it, and as owned.
func (c *Consumer) subscription(a assign.Assignor) []byte {
	g := &c.group
	s := assign.Subscription{Version: 3, Topics: c.opt.Group.Topics, Owned: g.owned, Generation: g.generation}
	if a == assign.Sticky {
		s.Owned = g.had
		s.UserData = stickyUserData(g.had, g.generation)
	}
	return s.Append(nil)
}

func stickyUserData(had []core.TopicPartition, generation int32) []byte {
	m := kmsg.NewStickyMemberMetadata()
	for _, at := range had {
		i := slices.IndexFunc(m.CurrentAssignment, func(t kmsg.StickyMemberMetadataCurrentAssignment) bool { return t.Topic == at.Topic })
		if i < 0 {
			i = len(m.CurrentAssignment)
			m.CurrentAssignment = append(m.CurrentAssignment, kmsg.StickyMemberMetadataCurrentAssignment{Topic: at.Topic})
		}
		m.CurrentAssignment[i].Partitions = append(m.CurrentAssignment[i].Partitions, at.Partition)
	}
	m.Generation = generation
	return m.AppendTo(nil)
}

// subscribed lists the topics that any member wants, sorted.
func (g *member) subscribed() (names []string) {
	for i := range g.members {
		names = append(names, g.members[i].Topics...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *Consumer) countTopics(names []string) (list []assign.Topic) {
	for _, name := range names {
		if t := c.topic(name); t != nil {
			list = append(list, assign.Topic{Name: name, Partitions: int32(len(t.partitions))})
		}
	}
	return list
}

// outdated reports whether the topics have changed since we, as leader, assigned them.
func (c *Consumer) outdated() bool {
	for _, was := range c.group.counted {
		if t := c.topic(was.Name); t != nil && int32(len(t.partitions)) != was.Partitions && (t.code == wire.None || t.code == wire.UnknownTopicOrPartition) {
			return true
		}
	}
	return false
}

// assign computes the assignment, once every topic is known, or known to be missing.
func (c *Consumer) assign(now core.Now, out *core.Out) {
	g := &c.group
	if g.members == nil {
		c.synchronise(now, nil, out)
		return
	}
	names := g.subscribed()
	for _, name := range names {
		if t := c.topic(name); t == nil || len(t.partitions) == 0 && t.code != wire.UnknownTopicOrPartition && t.code.Retriable() {
			c.missing()
			return
		}
	}
	g.counted = c.countTopics(names)
	c.synchronise(now, g.protocol.Assign(g.members, g.counted), out)
}
