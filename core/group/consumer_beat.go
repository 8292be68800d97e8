package group

import (
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// SubscribedMax bounds the topics that a member may subscribe to by name, and those that its expression may match.
const SubscribedMax = 10000

// beat is a change of a group under way, mostly by a member's heartbeat: what it changes, and the records that say so.
type beat struct {
	env     Env
	name    string                              // of the group
	q       *kmsg.ConsumerGroupHeartbeatRequest // nil: it is no heartbeat
	g       *Group
	c       *consumers // g's, or those of a group to be
	m       consumer   // the member as it will be
	old     consumer   // and as it is; its is is nil for a new one
	epoch   int32
	target  int32
	records []shard.Record

	joins    bool     // the member comes with nothing
	owned    []slot   // what the member says that it owns
	told     bool     // it says so at all
	replaces string   // id of the static member whose place it takes
	leaves   []string // ids of members that go
	regex    regex    // what the member's expression matches, as it was just looked up
	upgrades bool     // the group is one of the classic protocol, and c is what it becomes
	overdue  bool     // … and what its members have is not what a finished round would have given them
}

// refusal is an error with its words.
type refusal struct {
	code wire.Code
	text string
}

func (r refusal) is() bool { return r.code != wire.None }

// ConsumerHeartbeat takes a ConsumerGroupHeartbeat: it joins, goes on or leaves.
func (s *State) ConsumerHeartbeat(env Env, q *kmsg.ConsumerGroupHeartbeatRequest, client Client) (resp *kmsg.ConsumerGroupHeartbeatResponse, end core.Offset) {
	resp = kmsg.NewPtrConsumerGroupHeartbeatResponse()
	refused := s.checkBeat(q)
	if !refused.is() {
		switch q.MemberEpoch {
		case epochLeave, epochLeaveStatic:
			refused = s.consumerLeaves(env, q, resp)
		default:
			refused = s.consumerBeats(env, q, client, resp)
		}
	}
	if refused.is() {
		resp.ErrorCode = int16(refused.code)
		if refused.text != "" {
			resp.ErrorMessage = &refused.text
		}
	}
	return resp, s.endOf(s.groups[q.Group])
}

// checkBeat says what is wrong with a heartbeat whatever the group is.
func (s *State) checkBeat(q *kmsg.ConsumerGroupHeartbeatRequest) refusal {
	bad := func(text string) refusal { return refusal{wire.InvalidRequest, text} }
	names, expression := q.SubscribedTopicNames != nil, q.SubscribedTopicRegex != nil
	switch {
	case strings.TrimSpace(q.Group) == "":
		return bad("GroupId can't be empty.")
	case q.InstanceID != nil && strings.TrimSpace(*q.InstanceID) == "":
		return bad("InstanceId can't be empty.")
	case q.RackID != nil && strings.TrimSpace(*q.RackID) == "":
		return bad("RackId can't be empty.")
	case strings.TrimSpace(q.MemberID) == "" && (q.MemberEpoch != epochJoin || q.Version >= 1):
		return bad("MemberId can't be empty.")
	case q.MemberEpoch < epochLeaveStatic:
		return bad("MemberEpoch is invalid.")
	case q.MemberEpoch == epochLeaveStatic && q.InstanceID == nil:
		return bad("InstanceId can't be null.")
	case q.MemberEpoch != epochJoin:
	case q.RebalanceTimeoutMillis == -1:
		return bad("RebalanceTimeoutMs must be provided in first request.")
	case q.Topics == nil || len(q.Topics) > 0:
		return bad("TopicPartitions must be empty when (re-)joining.")
	case !names && !expression:
		return bad("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	}
	if q.MemberEpoch < 0 {
		return refusal{}
	}
	if q.ServerAssignor != nil && !slices.Contains(s.cfg.Assignors, *q.ServerAssignor) {
		return refusal{wire.UnsupportedAssignor, "ServerAssignor " + *q.ServerAssignor + " is not supported. Supported assignors: " + strings.Join(s.cfg.Assignors, ", ") + "."}
	}
	if len(q.SubscribedTopicNames) > SubscribedMax {
		return bad("A member subscribes to " + decimal(SubscribedMax) + " topics at most.")
	}
	if expression && *q.SubscribedTopicRegex != "" {
		if _, err := compile(*q.SubscribedTopicRegex); err != nil {
			return refusal{wire.InvalidRegularExpression, "SubscribedTopicRegex `" + *q.SubscribedTopicRegex + "` is not a valid regular expression: " + err.Error() + "."}
		}
	}
	return refusal{}
}

// consumerGroup finds the group of a heartbeat. Without one a join makes it, and one of the classic protocol becomes one of this.
func (s *State) consumerGroup(q *kmsg.ConsumerGroupHeartbeatRequest) (g *Group, refused refusal) {
	g = s.groups[q.Group]
	switch {
	case g == nil && q.MemberEpoch != epochJoin:
		return nil, refusal{wire.GroupIDNotFound, "Group " + q.Group + " not found."}
	case g == nil && len(s.names) >= s.cfg.GroupsMax:
		return nil, refusal{wire.CoordinatorNotAvailable, ""}
	case g == nil || g.consumers != nil:
	case q.MemberEpoch != epochJoin:
		return nil, refusal{wire.GroupIDNotFound, "Group " + q.Group + " is not a consumer group."}
	}
	return g, refusal{}
}

// consumerBeats takes a heartbeat of who joins or is a member.
func (s *State) consumerBeats(env Env, q *kmsg.ConsumerGroupHeartbeatRequest, client Client, resp *kmsg.ConsumerGroupHeartbeatResponse) refusal {
	g, refused := s.consumerGroup(q)
	if refused.is() {
		return refused
	}
	b := beat{env: env, name: strings.Clone(q.Group), q: q, g: g, joins: q.MemberEpoch == epochJoin, told: q.Topics != nil, owned: ownedSlots(q.Topics)}
	switch {
	case g == nil:
		b.c = &consumers{holder: map[held]string{}}
	case g.consumers != nil:
		b.c = g.consumers
	default:
		if refused = s.upgrade(&b); refused.is() {
			return refused
		}
	}
	b.epoch, b.target = b.c.epoch, b.c.target
	if refused = s.identify(&b); refused.is() {
		return refused
	}
	s.subscribe(&b, client)
	s.retarget(&b)
	b.reconcile()
	if refused = s.writeBeat(&b); refused.is() {
		return refused
	}
	g = b.g
	m := g.consumers.member(b.m.id)
	m.joinBy, m.syncBy = 0, 0 // whatever it was before
	s.hearConsumer(env, g, m)
	s.armRevocation(env, g, m)
	s.armAssign(env, g)
	s.answerBeat(&b, g, m, resp)
	return refusal{}
}

// identify finds the member that a heartbeat speaks for, or makes a new one.
func (s *State) identify(b *beat) refusal {
	q, c := b.q, b.c
	id := q.MemberID
	if id == "" {
		id = uuid(b.env.Rand)
	}
	b.m = consumer{id: strings.Clone(id), deadline: core.Never}
	m := c.member(id)
	if m != nil && m.is == nil {
		m = nil // only a trace is left
	}
	if q.InstanceID != nil {
		return s.identifyStatic(b, m)
	}
	if m == nil {
		if q.MemberEpoch != epochJoin {
			return refusal{wire.UnknownMemberID, "Member " + id + " is not a member of group " + q.Group + "."}
		}
		if c.known() >= s.cfg.ConsumersMax {
			return refusal{wire.GroupMaxSizeReached, "The consumer group has reached its maximum capacity of " + decimal(s.cfg.ConsumersMax) + " members."}
		}
		return refusal{}
	}
	b.old, b.m = *m, *m
	return checkEpoch(m, q)
}

// identifyStatic does it for a static member (KIP-345): whoever joins with an instance id that its last holder gave up takes over all
// that it had.
func (s *State) identifyStatic(b *beat, m *consumer) refusal {
	q, c := b.q, b.c
	owner := c.findInstance(*q.InstanceID)
	switch {
	case owner == nil && q.MemberEpoch != epochJoin:
		return refusal{wire.UnknownMemberID, "Instance id " + *q.InstanceID + " is unknown."}
	case owner == nil && m != nil:
		return refusal{wire.InvalidRequest, "Member " + m.id + " has another instance id."}
	case owner == nil && c.known() >= s.cfg.ConsumersMax:
		return refusal{wire.GroupMaxSizeReached, "The consumer group has reached its maximum capacity of " + decimal(s.cfg.ConsumersMax) + " members."}
	case owner == nil:
		return refusal{}
	case owner.id == b.m.id:
		b.old, b.m = *owner, *owner
		return checkEpoch(owner, q)
	case q.MemberEpoch != epochJoin:
		return refusal{wire.FencedInstanceID, "Static member " + b.m.id + " with instance id " + *q.InstanceID + " was fenced by member " + owner.id + "."}
	case owner.epoch != epochLeaveStatic && owner.classic() == nil:
		return refusal{wire.UnreleasedInstanceID, "Static member " + b.m.id + " with instance id " + *q.InstanceID + " cannot join the group because the instance id is owned by member " + owner.id + "."}
	}
	b.replace(owner)
	return refusal{}
}

// replace gives the member all that an instance had under its old id.
func (b *beat) replace(owner *consumer) {
	b.env.Out.Mark("group.static-consumer-replaced")
	id := b.m.id
	b.replaces, b.joins = owner.id, true
	b.m = consumer{
		id: id, is: owner.is, target: owner.target, epoch: epochJoin, previous: epochJoin,
		state: owner.state, assigned: owner.assigned, revoking: owner.revoking, deadline: core.Never,
	}
	b.records = append(b.records, memberTombstones(b.name, owner.id)...)
	b.records = append(b.records, memberRecord(b.name, id, owner.is), wantsRecord(b.name, id, owner.target))
}

// checkEpoch says whether a heartbeat speaks of the epoch that the member is at, or of the one before, by a member
// that did not hear of the newest.
func checkEpoch(m *consumer, q *kmsg.ConsumerGroupHeartbeatRequest) refusal {
	switch {
	case q.MemberEpoch == epochJoin || q.MemberEpoch == m.epoch:
		return refusal{}
	case q.MemberEpoch > m.epoch:
		return refusal{wire.FencedMemberEpoch, "The consumer group member has a greater member epoch (" + decimal(q.MemberEpoch) + ") than the one known by the group coordinator (" + decimal(m.epoch) + "). The member must abandon all its partitions and rejoin."}
	case q.MemberEpoch == m.previous && q.Topics != nil && subset(q.Topics, m.assigned):
		return refusal{}
	}
	return refusal{wire.FencedMemberEpoch, "The consumer group member has a smaller member epoch (" + decimal(q.MemberEpoch) + ") than the one known by the group coordinator (" + decimal(m.epoch) + "). The member must abandon all its partitions and rejoin."}
}

// ownedSlots lists what a heartbeat says that its member owns.
func ownedSlots(topics []kmsg.ConsumerGroupHeartbeatRequestTopic) (list []slot) {
	for i := range topics {
		for _, p := range topics[i].Partitions {
			list = append(list, slot{topic: topics[i].TopicID, partition: p})
		}
	}
	return list
}

// subset reports whether all that a member says that it owns is in a list.
func subset(topics []kmsg.ConsumerGroupHeartbeatRequestTopic, list []slot) bool {
	for i := range topics {
		for _, p := range topics[i].Partitions {
			if _, found := findSlot(list, slot{topic: topics[i].TopicID, partition: p}); !found {
				return false
			}
		}
	}
	return true
}

// subscribe takes over what the heartbeat says of the member, and raises the group's epoch if what the members want, or what there is,
// has changed.
func (s *State) subscribe(b *beat, client Client) {
	q := b.q
	is := wire.NewConsumerGroupMemberMetadataValue()
	if b.m.is != nil {
		*is = *b.m.is
	}
	is.ClientID, is.ClientHost, is.ClassicMemberMetadata = client.ID, client.Host, nil
	if q.InstanceID != nil {
		is.InstanceID = clonePtr(q.InstanceID)
	}
	if q.RackID != nil {
		is.RackID = clonePtr(q.RackID)
	}
	if q.RebalanceTimeoutMillis != -1 {
		is.RebalanceTimeoutMs = q.RebalanceTimeoutMillis
	}
	if q.ServerAssignor != nil {
		is.ServerAssignor = clonePtr(q.ServerAssignor)
	}
	if q.SubscribedTopicNames != nil {
		is.SubscribedTopicNames = nil
		for _, name := range q.SubscribedTopicNames {
			is.SubscribedTopicNames = append(is.SubscribedTopicNames, strings.Clone(name))
		}
		slices.Sort(is.SubscribedTopicNames)
		is.SubscribedTopicNames = slices.Compact(is.SubscribedTopicNames)
	}
	if q.SubscribedTopicRegex != nil {
		is.SubscribedTopicRegex = clonePtr(q.SubscribedTopicRegex)
	}
	s.resubscribe(b, is)
}

// resubscribe notes what a member is from now on.
func (s *State) resubscribe(b *beat, is *wire.ConsumerGroupMemberMetadataValue) {
	was := b.m.is
	bump := was == nil
	var beforeRegex string
	if !bump {
		bump, beforeRegex = !slices.Equal(was.SubscribedTopicNames, is.SubscribedTopicNames), deref(was.SubscribedTopicRegex)
	}
	if was == nil || !sameMember(is, was) {
		b.records = append(b.records, memberRecord(b.name, b.m.id, is))
	}
	b.m.is = is
	if text := deref(is.SubscribedTopicRegex); text != beforeRegex || text != "" {
		bump = b.resolve(s.cfg.RegexRefresh, beforeRegex) || text != beforeRegex || bump
	}
	s.measure(b, bump)
}

// measure compares what there is of the topics that the members want with what it was, and raises the epoch.
func (s *State) measure(b *beat, bump bool) {
	hash := b.c.hash
	bump = bump || b.overdue
	if end := b.env.Image.End(); bump || b.c.seen != end || b.c.epoch == 0 {
		hash = b.measureAll()
		b.c.seen = end
	}
	if bump || hash != b.c.hash {
		b.epoch++
		b.records = append(b.records, epochRecord(b.name, b.epoch, hash))
	}
}

// writeBeat commits what a heartbeat has changed, if it has changed anything.
func (s *State) writeBeat(b *beat) refusal {
	if len(b.records) == 0 {
		return refusal{}
	}
	made := b.g == nil
	if made {
		b.g = s.group(b.name)
	}
	b.g.changing = true
	code := s.commit(b.env, b.g, b.records...)
	b.g.changing = false
	if code != wire.None {
		if made {
			s.dropIfNothing(b.g)
		}
		b.c.seen = 0
		return refusal{code, ""}
	}
	if b.upgrades {
		s.upgraded(b.env, b.g)
	}
	b.g.countConsumers()
	if m := b.g.consumers.member(b.m.id); m.serial == 0 {
		s.serial++
		m.serial = s.serial
		b.g.consumers.seen = b.env.Image.End()
	}
	return refusal{}
}

// countConsumers keeps the phase, by which everything else tells whether the group is empty.
func (g *Group) countConsumers() {
	switch {
	case g.consumers == nil:
		if len(g.members) == 0 {
			g.phase = Empty
		}
	case g.consumers.known() == 0:
		g.phase = Empty
	default:
		g.phase, g.kind = Stable, protocolConsumer
	}
}

// answerBeat says what a member is to know.
func (s *State) answerBeat(b *beat, g *Group, m *consumer, resp *kmsg.ConsumerGroupHeartbeatResponse) {
	id := m.id
	resp.MemberID, resp.MemberEpoch = &id, m.epoch
	resp.HeartbeatIntervalMillis = int32(s.cfg.consumer(g.name, b.env).Heartbeat.Millis())
	q := b.q
	full := q.RebalanceTimeoutMillis != -1 && (q.SubscribedTopicNames != nil || q.SubscribedTopicRegex != nil) && q.Topics != nil
	if q.MemberEpoch != epochJoin && !full && sameSlots(b.old.assigned, m.assigned) {
		return
	}
	a := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	for _, t := range byTopicID(m.assigned) {
		row := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		row.TopicID, row.Partitions = t.id, t.partitions
		a.Topics = append(a.Topics, row)
	}
	resp.Assignment = &a
}

// consumerLeaves takes a member out, or notes that a static one is away for a while.
func (s *State) consumerLeaves(env Env, q *kmsg.ConsumerGroupHeartbeatRequest, resp *kmsg.ConsumerGroupHeartbeatResponse) refusal {
	g, refused := s.consumerGroup(q)
	if refused.is() {
		return refused
	}
	c := g.consumers
	m := c.member(q.MemberID)
	if q.InstanceID != nil {
		m = c.findInstance(*q.InstanceID)
		if m != nil && m.id != q.MemberID {
			return refusal{wire.FencedInstanceID, "Static member " + q.MemberID + " with instance id " + *q.InstanceID + " was fenced by member " + m.id + "."}
		}
	}
	if m == nil || m.is == nil {
		return refusal{wire.UnknownMemberID, "Member " + q.MemberID + " is not a member of group " + q.Group + "."}
	}
	id := m.id
	resp.MemberID, resp.MemberEpoch = &id, q.MemberEpoch
	if q.MemberEpoch == epochLeave {
		return refusal{code: s.takeOut(env, g, id)}
	}
	away := *m
	away.epoch = epochLeaveStatic
	if code := s.commit(env, g, currentRecord(g.name, &away)); code != wire.None {
		return refusal{code: code}
	}
	g.consumers.member(id).revokeBy = 0 // it is told of nothing, so nothing is waited for but the end of its session
	return refusal{}
}

// takeOut removes members, and raises the group's epoch. If that leaves members of the classic protocol alone, the group is
// one of theirs again.
func (s *State) takeOut(env Env, g *Group, ids ...string) wire.Code {
	if s.downgrades(g, ids) {
		return s.downgrade(env, g, ids)
	}
	c := g.consumers
	b := beat{env: env, name: g.name, g: g, c: c, epoch: c.epoch, target: c.target, leaves: ids}
	var expressions []string
	for _, id := range ids {
		b.records = append(b.records, memberTombstones(g.name, id)...)
		expressions = append(expressions, deref(c.member(id).regexText()))
	}
	slices.Sort(expressions)
	for _, text := range slices.Compact(expressions) {
		if _, found := c.findRegex(text); found && !c.othersUse(text, ids...) {
			b.records = append(b.records, shard.Record{Key: consumerKeyOf(consumerRegexKey, g.name, text)})
		}
	}
	b.epoch++
	b.records = append(b.records, epochRecord(g.name, b.epoch, b.measureAll()))
	if code := s.commit(env, g, b.records...); code != wire.None {
		return code
	}
	g.countConsumers()
	s.armAssign(env, g)
	return wire.None
}

// othersUse reports whether anyone subscribes with an expression, but for some members.
func (c *consumers) othersUse(text string, but ...string) bool {
	return slices.ContainsFunc(c.members, func(m consumer) bool {
		return !slices.Contains(but, m.id) && m.is != nil && deref(m.is.SubscribedTopicRegex) == text
	})
}

func sameMember(a, b *wire.ConsumerGroupMemberMetadataValue) bool {
	same := func(x, y *string) bool { return (x == nil) == (y == nil) && deref(x) == deref(y) }
	return same(a.InstanceID, b.InstanceID) && same(a.RackID, b.RackID) && a.ClientID == b.ClientID && a.ClientHost == b.ClientHost &&
		slices.Equal(a.SubscribedTopicNames, b.SubscribedTopicNames) && same(a.SubscribedTopicRegex, b.SubscribedTopicRegex) &&
		a.RebalanceTimeoutMs == b.RebalanceTimeoutMs && same(a.ServerAssignor, b.ServerAssignor) && sameClassic(a.ClassicMemberMetadata, b.ClassicMemberMetadata)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
