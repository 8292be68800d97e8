package group

import (
	"bytes"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/shard"
	"klamm/core/wire"
)

// A group changes its protocol while its members live (KIP-848).
//
//	classic ──a member of the consumer protocol joins──> consumer, with members of both protocols
//	classic <──the last member of the consumer protocol goes── consumer
//
// On the way up each member keeps what it was assigned last, at an epoch that is the generation, so that what it commits and says counts
// before as after; who waits for the round that is given up is told to join again. What that round was to mend is left to a new target,
// which is computed even if the one who joins takes a static member's place and changes nothing itself. On the way down each member has
// its part of the target and a round begins. The epoch of the group becomes the generation and the other way round, so that neither is
// ever given out twice; so it is with a group that is empty, too, for which Apache Kafka begins anew.
//
// Either way all records are one batch: those of the old protocol go, then come those of the new one, as other readers of the log expect it.

// Migration says which changes of the protocol are allowed to groups that have members: group.consumer.migration.policy.
type Migration uint8

// The policies, as sets.
const (
	MigrateUp Migration = 1 << iota
	MigrateDown
	MigrateNever Migration = 0
	MigrateBoth            = MigrateUp | MigrateDown
)

// upgrade makes of a classic group what it is to be in the consumer protocol. Nothing is changed before the beat is written.
func (s *State) upgrade(b *beat) refusal {
	g := b.g
	b.upgrades, b.c = true, &consumers{holder: map[held]string{}}
	if g.exists {
		b.records = append(b.records, shard.Record{Key: metadataKey(g.name)})
	}
	last := g.stored.Generation == 1<<31-1 // the next generation is the first again
	if b.c.epoch = max(g.stored.Generation, 0); last {
		b.c.epoch = 0
	}
	b.c.target = b.c.epoch
	if len(g.members) == 0 {
		return refusal{}
	}
	no := func(why string) refusal {
		return refusal{wire.GroupIDNotFound, "Cannot upgrade classic group " + g.name + " to consumer group because " + why + "."}
	}
	switch {
	case s.cfg.Migration&MigrateUp == 0:
		return no("online upgrade is disabled")
	case g.kind != assign.ProtocolType:
		return no("the group does not use the consumer embedded protocol")
	case last:
		return no("its generation is the last one")
	case len(g.members) > s.cfg.ConsumersMax:
		return no("the group size exceeds the consumer group maximum size")
	}
	protocol := g.protocol
	if !g.allKnow(protocol) { // it is to be chosen yet
		protocol = g.choose()
	}
	for i := range g.members {
		m, why := g.members[i].upgraded(b, protocol)
		if why != "" {
			return no(why)
		}
		for _, x := range m.assigned {
			if _, taken := b.c.holder[held{x.topic, x.partition}]; taken {
				return refusal{wire.UnknownServerError, "Partition " + decimal(x.partition) + " is assigned to two members."}
			}
		}
		row := b.c.enter(m.id)
		*row = m
		b.c.hold(row, m.assigned, nil)
	}
	b.c.hash = b.measureAll()
	b.overdue = g.phase != Stable || !b.c.holdAll(b.env)
	b.records = append(b.records, b.c.records(g.name)...)
	return refusal{}
}

// holdAll reports whether all that any member wants is some member's.
func (c *consumers) holdAll(env Env) bool {
	for _, name := range c.wanted() {
		t := env.Image.Topic(name)
		for p := int32(0); t != nil && int(p) < len(t.Partitions); p++ {
			if _, taken := c.holder[held{t.ID, p}]; !taken {
				return false
			}
		}
	}
	return true
}

// upgraded is a classic member as one of a consumer group: with all that it was assigned last.
func (m *member) upgraded(b *beat, protocol string) (c consumer, why string) {
	sub, ok := assign.ParseSubscription(m.metadata(protocol))
	partitions, custom, fine := assign.ParseAssignment(m.assignment)
	switch {
	case !ok || !fine || len(sub.Topics) > SubscribedMax:
		return c, "the embedded consumer protocol is malformed"
	case len(custom) > 0 && !bytes.HasPrefix(custom, []byte(assign.BasisMark)):
		return c, "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor before re-attempting the upgrade"
	}
	c = consumer{id: m.id, is: m.describes(&sub, nil), epoch: b.c.epoch, previous: b.c.epoch, deadline: core.Never}
	c.assigned = slotsOf(partitions, b.env, c.epoch)
	c.target = c.assigned
	return c, ""
}

// describes is what the records of the consumer protocol say of a classic member; was is what they said before, nil: nothing.
func (m *member) describes(sub *assign.Subscription, was *wire.ConsumerGroupMemberMetadataValue) *wire.ConsumerGroupMemberMetadataValue {
	is := wire.NewConsumerGroupMemberMetadataValue()
	if was != nil {
		*is = *was
	}
	if m.instance != nil {
		is.InstanceID = m.instance
	}
	if sub.Rack != "" {
		is.RackID = clonePtr(&sub.Rack)
	}
	is.ClientID, is.ClientHost, is.RebalanceTimeoutMs = m.client.ID, m.client.Host, int32(m.rebalance.Millis())
	is.SubscribedTopicNames, is.SubscribedTopicRegex = slices.Clone(sub.Topics), nil
	slices.Sort(is.SubscribedTopicNames)
	is.SubscribedTopicNames = slices.Compact(is.SubscribedTopicNames)
	classic := &wire.ClassicMemberMetadata{SessionTimeoutMs: int32(m.session.Millis())}
	for _, p := range m.protocols {
		classic.SupportedProtocols = append(classic.SupportedProtocols, wire.ClassicProtocol{Name: p.Name, Metadata: p.Metadata})
	}
	is.ClassicMemberMetadata = classic
	return is
}

// slotsOf finds partitions by their topics' names. Those that are not there are left out.
func slotsOf(partitions []core.TopicPartition, env Env, epoch int32) (list []slot) {
	for _, p := range partitions {
		if t := env.Image.Topic(p.Topic); t != nil && t.Partition(p.Partition) != nil {
			list = append(list, slot{t.ID, p.Partition, epoch})
		}
	}
	return sortedSlots(list)
}

// partitionsOf names partitions by their topics, likewise.
func partitionsOf(list []slot, env Env) (partitions []core.TopicPartition) {
	for _, x := range list {
		if t := env.Image.TopicByID(x.topic); t != nil {
			partitions = append(partitions, core.TopicPartition{Topic: t.Name, Partition: x.partition})
		}
	}
	return partitions
}

// records say all that a group is.
func (c *consumers) records(group string) (records []shard.Record) {
	for i := range c.members {
		records = append(records, memberRecord(group, c.members[i].id, c.members[i].is))
	}
	records = append(records, epochRecord(group, c.epoch, c.hash))
	for i := range c.members {
		records = append(records, wantsRecord(group, c.members[i].id, c.members[i].target))
	}
	records = append(records, targetRecord(group, c.target, c.assignedAt))
	for i := range c.members {
		records = append(records, currentRecord(group, &c.members[i]))
	}
	return records
}

// upgraded lets go of what was of the classic protocol, when the group is of the other one. Requests that wait find that.
func (s *State) upgraded(env Env, g *Group) {
	if len(g.members) > 0 {
		env.Out.Mark("group.upgraded")
	}
	s.wake(g)
	g.members, g.pending, g.leader, g.protocol = nil, nil, "", ""
	g.joinAt, g.syncAt = core.Never, core.Never
	for i := range g.consumers.members {
		if m := &g.consumers.members[i]; m.classic() != nil {
			s.serial++
			m.serial = s.serial
			s.hearConsumer(env, g, m)
		}
	}
}

// downgrades says whether a group is one of the classic protocol when these members have gone: the last one that is of the other
// protocol is among them, and somebody stays.
func (s *State) downgrades(g *Group, leaves []string) bool {
	c := g.consumers
	last, stay := false, 0
	for i := range c.members {
		switch m := &c.members[i]; {
		case m.is == nil:
		case slices.Contains(leaves, m.id):
			last = last || m.classic() == nil
		case m.classic() == nil:
			return false
		default:
			stay++
		}
	}
	return last && stay > 0 && s.cfg.Migration&MigrateDown != 0 && stay <= s.cfg.MembersMax && c.commonProtocol(leaves) != ""
}

// commonProtocol is one that all members of the classic protocol know, some members left out; empty if there is none.
func (c *consumers) commonProtocol(but []string) string {
	g := Group{members: c.classicMembers(but)}
	return g.choose()
}

// classicMembers are the members as the classic protocol has them, by id, some left out.
func (c *consumers) classicMembers(but []string) (list []member) {
	for i := range c.members {
		m := &c.members[i]
		classic := m.classic()
		if classic == nil || slices.Contains(but, m.id) {
			continue
		}
		row := member{
			id: m.id, serial: uint64(i), instance: m.is.InstanceID, client: Client{ID: m.is.ClientID, Host: m.is.ClientHost},
			session: core.Millis(int64(classic.SessionTimeoutMs)), rebalance: core.Millis(int64(m.is.RebalanceTimeoutMs)),
			deadline: core.Never, synced: true,
		}
		for _, p := range classic.SupportedProtocols {
			row.protocols = append(row.protocols, Protocol{Name: p.Name, Metadata: p.Metadata})
		}
		list = append(list, row)
	}
	return list
}

// downgrade makes the group one of the classic protocol without some members, and begins a round.
func (s *State) downgrade(env Env, g *Group, leaves []string) wire.Code {
	members := g.consumers.classicMembers(leaves)
	for i := range members {
		m := &members[i]
		m.assignment = m.assignmentBytes(g.consumers.member(m.id).target, env)
	}
	code := s.toClassicLive(env, g, members, "")
	if code == wire.None {
		s.prepare(env, g)
	}
	return code
}

// settledFor reports whether a classic member that comes in the place of the last member of the other protocol may lead the group without a
// round: everyone has what it is to have, that rests on the topics as they are, and the newcomer wants what its predecessor did. Nobody but
// the newcomer can be told that it leads, and not to assign (KIP-814): from then on it has to see that topics grow. A coordinator that was
// just loaded has not looked at the topics yet, so what is stored says nothing of those that came meanwhile.
func (c *consumers) settledFor(env Env, g *Group, was *consumer, j *joiner, sub *assign.Subscription) bool {
	if !j.skips || c.epoch != c.target || was.state != memberStable || !sameSlots(was.assigned, was.target) {
		return false
	}
	for i := range c.members {
		if m := &c.members[i]; m.is != nil && m.id != was.id && (m.state != memberStable || m.epoch != c.target) {
			return false
		}
	}
	topics := slices.Clone(sub.Topics)
	slices.Sort(topics)
	present := beat{env: env, name: g.name, g: g, c: c}
	return slices.Equal(slices.Compact(topics), c.subscription(was.is)) && present.measureAll() == c.hash
}

// downgradeFor does it when a classic member comes in the place of the last member of the other protocol. If nothing is to be changed, that
// one leads and goes on with what its predecessor had; otherwise it waits for the round that this begins.
func (s *State) downgradeFor(env Env, g *Group, was *consumer, j *joiner, sub *assign.Subscription) (w Wait, res JoinResult, done bool) {
	c := g.consumers
	leader := ""
	if c.settledFor(env, g, was, j, sub) {
		leader = j.member.id
	}
	members := c.classicMembers([]string{was.id})
	for i := range members {
		m := &members[i]
		m.assignment = m.assignmentBytes(c.member(m.id).target, env)
	}
	next := j.member
	next.synced, next.assignment = true, next.assignmentBytes(was.target, env)
	at, _ := slices.BinarySearchFunc(members, next.id, func(m member, id string) int { return strings.Compare(m.id, id) })
	members = slices.Insert(members, at, next)
	if code := s.toClassicLive(env, g, members, leader); code != wire.None {
		return w, joinError(code, next.id, g.end), true
	}
	m := g.member(next.id)
	if leader != "" {
		res = s.joinAnswer(g, m, true)
		res.Skip = true
		return w, res, true
	}
	w = s.waitJoin(g, m)
	s.prepare(env, g)
	return w, res, false
}

// toClassicLive turns a group with members into one of the classic protocol. Without a leader in its record, whoever loads it begins a
// round: what the members are assigned there was never told them.
func (s *State) toClassicLive(env Env, g *Group, members []member, leader string) wire.Code {
	c := g.consumers
	of := Group{members: members}
	protocol := of.choose()
	next := Stored{ProtocolType: assign.ProtocolType, Generation: c.epoch, Protocol: &protocol, At: env.Now.Wall.Millis()}
	for i := range members {
		next.Members = append(next.Members, members[i].row(protocol))
	}
	if leader != "" {
		next.Leader = &leader
	}
	g.changing = true
	code := s.commit(env, g, append(g.consumerTombstones(), next.record(g.name))...)
	if g.changing = false; code != wire.None {
		return code
	}
	env.Out.Mark("group.downgraded")
	core.Must(g.consumers == nil, "nothing is left of the consumer protocol")
	g.phase, g.kind, g.protocol, g.leader = Stable, assign.ProtocolType, protocol, leader
	for i := range members {
		m := g.add(s, members[i])
		s.hear(env, g, m, m.session)
	}
	s.wake(g)
	return wire.None
}

// assignmentBytes is what a member is told that it is assigned, in the version that it speaks itself.
func (m *member) assignmentBytes(list []slot, env Env) []byte {
	return assignmentBytes(list, m.protocols[0].Metadata, env)
}

func assignmentBytes(list []slot, metadata []byte, env Env) []byte {
	version := int16(0)
	if sub, ok := assign.ParseSubscription(metadata); ok {
		version = min(sub.Version, assignmentVersionMax)
	}
	return assign.AppendAssignment(nil, version, partitionsOf(list, env), nil)
}

// assignmentVersionMax is the newest version of ConsumerProtocolAssignment that there is.
const assignmentVersionMax = 3
