package group

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/wire"
)

// The consumer protocol (KIP-848). A group of it has no rounds. The coordinator itself decides who is to own what, the target, and each
// member comes to its part of it on its own: it gives up first, and takes only what nobody else holds.
//
// # Epochs
//
//	group epoch   rises when what the members want, or what there is to want, changes
//	target epoch  the group epoch that the target was computed for
//	member epoch  the target epoch that the member has come to
//
// # A member, between two target epochs
//
//	stable ──new target takes something away──> unrevoked ──a heartbeat shows that it is given up──┐
//	   ^ │                                        │ rebalance timeout: fenced                       │
//	   │ └──new target gives what others hold──> unreleased <───────────────────────────────────────┤
//	   └──────────────────────── all that it is to have is free ────────────────────────────────────┘
//
// The member's epoch rises to the target's as soon as it has nothing more to give up. A partition that a member has been told to own is
// held by it, be it to be kept or to be given up, until a record says otherwise; nobody else is given it before (I46). The record of
// what a member is told is committed before the member is told.
//
// # What may come between
//
// A new target while a member is unrevoked: it stays so until it has given up what it was asked for, and then looks at the newest target.
// A coordinator that moves: all of this is in records; timers begin anew. A member that is fenced or leaves: what it held is free at
// once. A topic that is deleted: its partitions go from the target with the next epoch; a topic of that name is another one.

// memberState is where a member stands. The numbers are those of the records.
type memberState int8

const (
	memberStable     memberState = 0
	memberUnrevoked  memberState = 1
	memberUnreleased memberState = 2
)

// Member epochs that a heartbeat may carry beside those of members.
const (
	epochJoin        = 0
	epochLeave       = -1
	epochLeaveStatic = -2 // for a while: the instance keeps what it has
)

// slot is one partition, and the member epoch at which its owner got it.
type slot struct {
	topic     core.TopicID
	partition int32
	epoch     int32
}

func (s slot) compare(t slot) int {
	return cmp.Or(bytes.Compare(s.topic[:], t.topic[:]), cmp.Compare(s.partition, t.partition))
}

func findSlot(list []slot, s slot) (int, bool) { return slices.BinarySearchFunc(list, s, slot.compare) }

func sameSlots(a, b []slot) bool {
	return slices.EqualFunc(a, b, func(x, y slot) bool { return x.compare(y) == 0 })
}

// place names a partition by its topic's id.
type held struct {
	topic     core.TopicID
	partition int32
}

// consumers is what a group of the consumer protocol has beside its offsets.
//
// Invariants: members are sorted by id, regexes by expression; holder names for each partition that a member holds, assigned or still
// to be given up, that member.
type consumers struct {
	epoch      int32 // of the group; 0: it has no record
	hash       int64 // of the topics that the members want, at the group epoch
	target     int32 // the epoch of the target
	assignedAt int64 // when it was computed, wall clock, ms; 0: not told
	members    []consumer
	regexes    []regex
	holder     map[held]string

	seen     core.Offset // of this life: the end of the metadata that hash was compared with last
	assignAt core.Time   // … when a target is to be computed; 0: no timer is set
}

// consumer is one member: what its records say, and its timers.
type consumer struct {
	id       string
	is       *wire.ConsumerGroupMemberMetadataValue // nil: there is no such record (any more). Not written to.
	target   []slot
	epoch    int32
	previous int32
	state    memberState
	assigned []slot // sorted
	revoking []slot // sorted: it still holds them

	serial   uint64    // names its timers
	deadline core.Time // when its session ends
	timerAt  core.Time // the earliest session timer; 0: none
	revokeBy core.Time // when it must have given up what it was asked for; 0: nothing is asked
	joinBy   core.Time // of the classic protocol: when it must have joined again; 0: it was not told to
	syncBy   core.Time // … and when it must have synced; 0: it has
	lateAt   core.Time // the earliest timer set for these three; 0: none
}

// classic is what makes it a member of the classic protocol; nil: it is none. One of them knows some protocol, whatever a record says.
func (m *consumer) classic() *wire.ClassicMemberMetadata {
	if m.is == nil || m.is.ClassicMemberMetadata == nil || len(m.is.ClassicMemberMetadata.SupportedProtocols) == 0 {
		return nil
	}
	return m.is.ClassicMemberMetadata
}

// regex is an expression that members subscribe with, and the topics that it matched when it was looked at last.
type regex struct {
	text    string
	topics  []string // sorted
	version core.Offset
	at      int64 // wall clock, ms
}

func (c *consumers) find(id string) int {
	at, found := slices.BinarySearchFunc(c.members, id, func(m consumer, id string) int { return strings.Compare(m.id, id) })
	if !found {
		return -1
	}
	return at
}

func (c *consumers) member(id string) *consumer {
	if at := c.find(id); at >= 0 {
		return &c.members[at]
	}
	return nil
}

func (c *consumers) findInstance(instance string) *consumer {
	for i := range c.members {
		if is := c.members[i].is; is != nil && is.InstanceID != nil && *is.InstanceID == instance {
			return &c.members[i]
		}
	}
	return nil
}

func (c *consumers) findRegex(text string) (int, bool) {
	return slices.BinarySearchFunc(c.regexes, text, func(r regex, text string) int { return strings.Compare(r.text, text) })
}

// enter finds a member's row or makes it.
func (c *consumers) enter(id string) *consumer {
	at, found := slices.BinarySearchFunc(c.members, id, func(m consumer, id string) int { return strings.Compare(m.id, id) })
	if !found {
		c.members = slices.Insert(c.members, at, consumer{id: id, deadline: core.Never})
	}
	return &c.members[at]
}

// hold sets what a member holds.
func (c *consumers) hold(m *consumer, assigned, revoking []slot) {
	c.release(m)
	m.assigned, m.revoking = assigned, revoking
	for _, list := range [...][]slot{assigned, revoking} {
		for _, s := range list {
			c.holder[held{s.topic, s.partition}] = m.id
		}
	}
}

func (c *consumers) release(m *consumer) {
	for _, list := range [...][]slot{m.assigned, m.revoking} {
		for _, s := range list {
			if k := (held{s.topic, s.partition}); c.holder[k] == m.id {
				delete(c.holder, k)
			}
		}
	}
	m.assigned, m.revoking = nil, nil
}

// known counts the members: rows that are more than what is left of one.
func (c *consumers) known() (n int) {
	for i := range c.members {
		if c.members[i].is != nil {
			n++
		}
	}
	return n
}

// phaseName is the group's state in Kafka's words.
func (c *consumers) phaseName() string {
	switch {
	case c.known() == 0:
		return "Empty"
	case c.epoch > c.target:
		return "Assigning"
	}
	for i := range c.members {
		if m := &c.members[i]; m.is != nil && (m.state != memberStable || m.epoch != c.target) && m.epoch != epochLeaveStatic {
			return "Reconciling"
		}
	}
	return "Stable"
}

// subscription lists the topics that a member wants, sorted: by name, and by what its expression matched.
func (c *consumers) subscription(is *wire.ConsumerGroupMemberMetadataValue) (topics []string) {
	topics = slices.Clone(is.SubscribedTopicNames)
	if is.SubscribedTopicRegex != nil && *is.SubscribedTopicRegex != "" {
		if at, found := c.findRegex(*is.SubscribedTopicRegex); found {
			topics = append(topics, c.regexes[at].topics...)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// wanted lists the topics that any member wants, sorted.
func (c *consumers) wanted() (topics []string) {
	for i := range c.members {
		if is := c.members[i].is; is != nil {
			topics = append(topics, c.subscription(is)...)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
