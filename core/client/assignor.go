package client

import (
	"slices"
	"strings"

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

// basis is what an assignment rests on, as its leader remembers it.
type basis struct {
	topics   []assign.Topic
	withheld bool // a partition was given to nobody: its owner gives it up first (KIP-429)
}

// assign.BasisMark begins the user data of a static leader's own assignment. Behind it come a byte that says whether
// partitions were withheld, and the topics, each as the two-byte length of its name, the name, and the four-byte
// number of partitions.
//
// A static leader that comes back is told to assign nothing (KIP-814), but it is still the one that has to see that
// topics have grown, and that what was withheld is given to somebody. Both may have come about while it was away, so
// what counts is not what it sees now but what its former life went by. The coordinator keeps that for us.
func (x *basis) append(b []byte) []byte {
	b = append(b, assign.BasisMark...)
	if x.withheld {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, t := range x.topics {
		b = append(b, byte(len(t.Name)>>8), byte(len(t.Name)))
		b = append(b, t.Name...)
		n := uint32(t.Partitions)
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return b
}

// parseBasis reads what append wrote. Another program's user data is none of ours.
func parseBasis(b []byte) (x basis, ok bool) {
	rest, ok := strings.CutPrefix(string(b), assign.BasisMark)
	if !ok || len(rest) == 0 {
		return basis{}, false
	}
	x.withheld, rest = rest[0] != 0, rest[1:]
	for len(rest) > 0 {
		if len(rest) < 2 {
			return basis{}, false
		}
		n := int(rest[0])<<8 | int(rest[1])
		if rest = rest[2:]; len(rest) < n+4 {
			return basis{}, false
		}
		v := rest[n : n+4]
		x.topics = append(x.topics, assign.Topic{Name: rest[:n], Partitions: int32(v[0])<<24 | int32(v[1])<<16 | int32(v[2])<<8 | int32(v[3])})
		rest = rest[n+4:]
	}
	return x, true
}

// knowBasis remembers, with a new assignment, what it rests on. If we lead without having assigned, our own part of
// it says so, or else, if it is by another program, the topics as they are now must do.
func (c *Consumer) knowBasis(now core.Now, data []byte) {
	g := &c.group
	g.followAt = 0
	if !g.leads {
		return
	}
	if g.returned {
		x, ok := parseBasis(data)
		if !ok {
			x = basis{topics: c.countTopics(c.opt.Group.Topics)}
		}
		for _, t := range x.topics {
			c.want(t.Name)
		}
		g.basis = x
	}
	if g.basis.withheld {
		g.followAt = now.Mono.After(c.opt.Group.RebalanceTime)
	}
}

// outdated reports whether we, as leader, have to assign again: the topics have changed, or what was withheld is
// still nobody's. Whoever gives a partition up joins again and so has the rest assigned; but a static member that
// fell between the two comes back as if nothing had been.
func (c *Consumer) outdated(now core.Now) bool {
	g := &c.group
	if g.followAt != 0 {
		if now.Mono >= g.followAt {
			return true
		}
		c.pool.WakeAt(g.followAt)
	}
	for _, was := range g.basis.topics {
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
	g.basis = basis{topics: c.countTopics(names)}
	list := g.protocol.Assign(g.members, g.basis.topics)
	n := 0
	for _, t := range g.basis.topics {
		n += int(t.Partitions)
	}
	for _, a := range list {
		n -= len(a.Partitions)
	}
	g.basis.withheld = n > 0
	c.synchronise(now, list, out)
}
