package group

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/image"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocolConsumer is the protocol type of these groups, and their type in lists.
const (
	protocolConsumer = assign.ProtocolType
	TypeConsumer     = "consumer"
)

// The assignors of the coordinator (KIP-848).
const (
	AssignorUniform = "uniform"
	AssignorRange   = "range"
)

// ConsumerConfig holds what may differ from group to group.
type ConsumerConfig struct {
	Session    core.Time // consumer.session.timeout.ms
	Heartbeat  core.Time // consumer.heartbeat.interval.ms
	Assignment core.Time // consumer.assignment.interval.ms: least time between two targets
}

// consumer is the configuration of a group: its own, where it has one.
func (c *Config) consumer(group string, env Env) ConsumerConfig {
	out := c.Consumer
	own := env.Image.Config(image.Resource{Kind: image.GroupResource, Name: group})
	set := func(name string, to *core.Time) {
		if text, ok := own.Get(name); ok {
			if n, err := strconv.ParseInt(text, 10, 32); err == nil {
				*to = core.Millis(n)
			}
		}
	}
	set("consumer.session.timeout.ms", &out.Session)
	set("consumer.heartbeat.interval.ms", &out.Heartbeat)
	set("consumer.assignment.interval.ms", &out.Assignment)
	return out
}

func decimal[N int | int32](n N) string { return strconv.Itoa(int(n)) }

// compile compiles an expression: RE2, and it has to match the whole name.
func compile(text string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(text); err != nil {
		return nil, err
	}
	return regexp.Compile(`^(?:` + text + `)$`)
}

// resolve looks which topics the member's expression matches, if that is not known or the metadata has moved on. It reports whether they
// changed. Expressions that nobody uses any more are forgotten.
func (b *beat) resolve(refresh core.Time, old string) (changed bool) {
	text, now := deref(b.m.is.SubscribedTopicRegex), b.env.Now.Wall.Millis()
	if old != "" && old != text && !b.c.othersUse(old, b.m.id, b.replaces) {
		b.records = append(b.records, shard.Record{Key: consumerKeyOf(consumerRegexKey, b.name, old)})
	}
	if text == "" {
		return false
	}
	end := b.env.Image.End()
	at, found := b.c.findRegex(text)
	if found {
		r := &b.c.regexes[at]
		if r.version == end || now-r.at < min(refresh.Millis(), regexPause.Millis()) {
			b.regex = *r
			return false
		}
	}
	re, err := compile(text)
	if err != nil {
		b.env.Out.Mark("group.unreadable-regex") // written by another release
		return false
	}
	next := regex{text: text, version: end, at: now}
	for t := range b.env.Image.Topics() {
		if re.MatchString(t.Name) && len(next.topics) < SubscribedMax && !internalTopic(t.Name) {
			next.topics = append(next.topics, t.Name)
		}
	}
	b.regex = next
	if changed = !found || !slices.Equal(next.topics, b.c.regexes[at].topics); changed {
		b.records = append(b.records, regexRecord(b.name, &next))
	} else {
		b.c.regexes[at].version, b.c.regexes[at].at = end, now // of no weight: after a load it is looked up anew
	}
	return changed
}

// regexPause is the least time between two looks at one expression.
const regexPause = core.Second

// internalTopic reports whether expressions leave a topic out.
func internalTopic(name string) bool {
	return name == "__consumer_offsets" || name == "__transaction_state"
}

func (m *consumer) regexText() *string {
	if m.is == nil {
		return nil
	}
	return m.is.SubscribedTopicRegex
}

// subscription is what a member will want: of this heartbeat's own, with the expression as it was just resolved.
func (b *beat) subscription(m *consumer) []string {
	if m.id != b.m.id || b.m.is == nil {
		return b.c.subscription(m.is)
	}
	topics := slices.Clone(b.m.is.SubscribedTopicNames)
	if deref(b.m.is.SubscribedTopicRegex) != "" {
		topics = append(topics, b.regex.topics...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// matched lists what the expression of a member matches.
func (b *beat) matched(m *consumer) []string {
	text := deref(m.is.SubscribedTopicRegex)
	if text == "" {
		return nil
	}
	if m == &b.m {
		return b.regex.topics
	}
	if at, found := b.c.findRegex(text); found {
		return b.c.regexes[at].topics
	}
	return nil
}

// members lists who will be in the group: by id, with this heartbeat's member as it will be.
func (b *beat) members() (list []*consumer) {
	for i := range b.c.members {
		m := &b.c.members[i]
		if m.is != nil && m.id != b.m.id && m.id != b.replaces && !slices.Contains(b.leaves, m.id) {
			list = append(list, m)
		}
	}
	if b.m.is != nil {
		at, _ := slices.BinarySearchFunc(list, b.m.id, func(m *consumer, id string) int { return strings.Compare(m.id, id) })
		list = slices.Insert(list, at, &b.m)
	}
	return list
}

// measureAll is a hash of all there is of the topics that the members want.
func (b *beat) measureAll() int64 {
	var wanted, names, matched []string
	for _, m := range b.members() {
		// Those who came before mostly want the same, in a group of thousands.
		if n := m.is.SubscribedTopicNames; !slices.Equal(n, names) {
			wanted, names = append(wanted, n...), n
		}
		if n := b.matched(m); !slices.Equal(n, matched) {
			wanted, matched = append(wanted, n...), n
		}
	}
	slices.Sort(wanted)
	h := uint64(14695981039346656037) // FNV-1a
	add := func(p []byte) {
		for _, x := range p {
			h = (h ^ uint64(x)) * 1099511628211
		}
	}
	for _, name := range slices.Compact(wanted) {
		if t := b.env.Image.Topic(name); t != nil {
			add([]byte(name))
			add(t.ID[:])
			add(binary.BigEndian.AppendUint32(nil, uint32(len(t.Partitions))))
		}
	}
	return int64(h)
}

// retarget computes a new target, if the group's epoch is ahead of the one there is and it is time.
func (s *State) retarget(b *beat) {
	now := b.env.Now.Wall.Millis()
	pause := s.cfg.consumer(b.name, b.env).Assignment.Millis()
	if b.epoch == b.target || b.target > 0 && b.c.assignedAt > 0 && now-b.c.assignedAt < pause && now >= b.c.assignedAt {
		return
	}
	b.env.Out.Mark("group.target")
	members := b.members()
	ids := map[string]core.TopicID{}
	var topics []assign.Topic
	question := make([]assign.Member, 0, len(members))
	for _, m := range members {
		row := assign.Member{ID: m.id, Subscription: assign.Subscription{Topics: b.subscription(m), Generation: b.target}}
		if m.is.InstanceID != nil {
			row.Instance = *m.is.InstanceID
		}
		for _, t := range m.target {
			if topic := b.env.Image.TopicByID(t.topic); topic != nil {
				row.Owned = append(row.Owned, core.TopicPartition{Topic: topic.Name, Partition: t.partition})
			}
		}
		for _, name := range row.Topics {
			if t := b.env.Image.Topic(name); t != nil && ids[name] != t.ID {
				ids[name] = t.ID
				topics = append(topics, assign.Topic{Name: name, Partitions: int32(len(t.Partitions))})
			}
		}
		question = append(question, row)
	}
	b.target = b.epoch
	for _, a := range s.assignor(members).Assign(question, topics) {
		var target []slot
		for _, p := range a.Partitions {
			target = append(target, slot{topic: ids[p.Topic], partition: p.Partition})
		}
		b.setTarget(members, a.ID, sortedSlots(target))
	}
	b.records = append(b.records, targetRecord(b.name, b.target, now))
}

// setTarget notes what a member is to have.
func (b *beat) setTarget(members []*consumer, id string, target []slot) {
	at, found := slices.BinarySearchFunc(members, id, func(m *consumer, id string) int { return strings.Compare(m.id, id) })
	core.Must(found, "whoever gets something is a member")
	m := members[at]
	if sameSlots(m.target, target) && (m != &b.m || b.old.is != nil) {
		return
	}
	b.records = append(b.records, wantsRecord(b.name, id, target))
	if m == &b.m {
		b.m.target = target
	}
}

// assignor is the one that most members ask for, of those that the broker has; the first configured if none is.
func (s *State) assignor(members []*consumer) assign.Assignor {
	best, most := s.cfg.Assignors[0], 0
	for _, name := range s.cfg.Assignors {
		votes := 0
		for _, m := range members {
			if deref(m.is.ServerAssignor) == name {
				votes++
			}
		}
		if votes > most {
			best, most = name, votes
		}
	}
	if best == AssignorRange {
		return assign.Range
	}
	return assign.Sticky
}

// reconcile takes the member of this heartbeat as far towards its target as it can go.
func (b *beat) reconcile() {
	m := &b.m
	was := *m
	switch {
	case b.joins:
		// It comes with nothing. What it still had to give up is given up.
		m.revoking = nil
		b.advance(true)
	case m.state == memberUnrevoked:
		if !b.told || b.owns(m.revoking) {
			return // not given up yet
		}
		b.env.Out.Mark("group.revoked")
		m.revoking = nil
		b.advance(true)
	case m.state == memberUnreleased || m.epoch != b.target:
		b.advance(false)
	}
	if b.old.is == nil || m.epoch != was.epoch || m.state != was.state || !sameSlots(m.assigned, was.assigned) || !sameSlots(m.revoking, was.revoking) {
		b.records = append(b.records, currentRecord(b.name, m))
	}
}

// owns reports whether the member says that it still has some of a list.
func (b *beat) owns(list []slot) bool {
	return slices.ContainsFunc(b.owned, func(o slot) bool {
		_, found := findSlot(list, o)
		return found
	})
}

// advance compares what the member has with its target: gone says that it has said that it owns no more than it is assigned. First it gives
// up; then it comes to the target's epoch, with all that is free.
func (b *beat) advance(gone bool) {
	m := &b.m
	var kept, gives, takes []slot
	for _, s := range m.assigned {
		if _, stays := findSlot(m.target, s); stays {
			kept = append(kept, s)
		} else {
			gives = append(gives, s)
		}
	}
	if len(gives) > 0 && !b.joins && (!b.told || b.owns(gives)) {
		b.env.Out.Mark("group.revoking")
		m.assigned, m.revoking, m.state = kept, gives, memberUnrevoked
		return
	}
	m.revoking, m.state = nil, memberStable
	for _, t := range m.target {
		if _, has := findSlot(kept, t); has {
			continue
		}
		if by, taken := b.c.holder[held{t.topic, t.partition}]; taken && by != m.id && by != b.replaces {
			m.state = memberUnreleased
			continue
		}
		takes = append(takes, slot{t.topic, t.partition, b.target})
	}
	if m.state == memberUnreleased {
		b.env.Out.Mark("group.unreleased")
	}
	m.assigned = sortedSlots(append(kept, takes...))
	if m.epoch != b.target {
		m.previous, m.epoch = m.epoch, b.target
	}
}

// hearConsumer begins a member's session anew.
func (s *State) hearConsumer(env Env, g *Group, m *consumer) {
	session := s.cfg.consumer(g.name, env).Session
	if classic := m.classic(); classic != nil {
		session = core.Millis(int64(classic.SessionTimeoutMs))
	}
	m.deadline = env.Now.Mono.After(session)
	if m.timerAt == 0 || m.deadline < m.timerAt {
		m.timerAt = m.deadline
		s.timers.Set(m.deadline, timerConsumer, g.serial, m.serial)
	}
}

// armRevocation gives a member its rebalance timeout to give up what it was asked for. One of the classic protocol has it to join
// again, and then to sync.
func (s *State) armRevocation(env Env, g *Group, m *consumer) {
	switch {
	case m.state != memberUnrevoked || m.classic() != nil:
		m.revokeBy = 0
	case m.revokeBy == 0:
		m.revokeBy = env.Now.Mono.After(core.Millis(int64(m.is.RebalanceTimeoutMs)))
	}
	s.armLate(g, m)
}

// late is the first instant at which a member will have kept the others waiting for too long; Never: it does not.
func (m *consumer) late() (at core.Time) {
	at = core.Never
	for _, t := range [...]core.Time{m.revokeBy, m.joinBy, m.syncBy} {
		if t != 0 {
			at = min(at, t)
		}
	}
	return at
}

// armLate makes sure that a timer comes no later than that. There is one for each member at most that is not earlier than those before it.
func (s *State) armLate(g *Group, m *consumer) {
	if at := m.late(); at != core.Never && (m.lateAt == 0 || at < m.lateAt) {
		m.lateAt = at
		s.timers.Set(at, timerLate, g.serial, m.serial)
	}
}

// armAssign sees to it that a target that is due later is computed then, and not when somebody speaks next.
func (s *State) armAssign(env Env, g *Group) {
	c := g.consumers
	if c == nil || c.epoch == c.target || c.assignAt != 0 {
		return
	}
	wait := s.cfg.consumer(g.name, env).Assignment - core.Millis(max(0, env.Now.Wall.Millis()-c.assignedAt))
	c.assignAt = env.Now.Mono.After(max(wait, core.Millisecond))
	s.timers.Set(c.assignAt, timerAssign, g.serial, 0)
}

// consumerTimer does what a timer of a consumer group means, if it still means anything.
func (s *State) consumerTimer(env Env, g *Group, t core.Timer) {
	c := g.consumers
	if c == nil {
		return
	}
	if t.Kind == timerAssign {
		if c.assignAt == t.At {
			c.assignAt = 0
			s.assignNow(env, g)
		}
		return
	}
	at := slices.IndexFunc(c.members, func(m consumer) bool { return m.serial == t.B })
	if at < 0 || c.members[at].is == nil {
		return
	}
	m := &c.members[at]
	switch {
	case t.Kind == timerLate:
		s.lateTimer(env, g, m, t)
	case m.deadline > env.Now.Mono:
		if m.timerAt == t.At {
			m.timerAt = m.deadline
			s.timers.Set(m.deadline, timerConsumer, g.serial, m.serial)
		}
	default:
		env.Out.Mark("group.consumer-expired")
		if s.takeOut(env, g, m.id) != wire.None { // the log is busy: later
			m.timerAt = env.Now.Mono.After(core.Second)
			s.timers.Set(m.timerAt, timerConsumer, g.serial, m.serial)
		}
	}
}

// lateTimer takes a member out that has kept the others waiting for too long.
func (s *State) lateTimer(env Env, g *Group, m *consumer, t core.Timer) {
	if m.lateAt == t.At {
		m.lateAt = 0
	}
	now := env.Now.Mono
	switch {
	case m.late() > now:
		s.armLate(g, m)
		return
	case m.revokeBy != 0 && m.revokeBy <= now:
		env.Out.Mark("group.revocation-late")
	case m.joinBy != 0 && m.joinBy <= now:
		env.Out.Mark("group.rejoin-late")
	default:
		env.Out.Mark("group.resync-late")
	}
	if s.takeOut(env, g, m.id) != wire.None && m.lateAt == 0 { // the log is busy: later
		m.lateAt = now.After(core.Second)
		s.timers.Set(m.lateAt, timerLate, g.serial, m.serial)
	}
}

// assignNow computes the target that is due.
func (s *State) assignNow(env Env, g *Group) {
	c := g.consumers
	if c.known() == 0 {
		return // who joins next has it computed
	}
	b := beat{env: env, name: g.name, g: g, c: c, epoch: c.epoch, target: c.target}
	s.retarget(&b)
	if len(b.records) > 0 {
		s.commit(env, g, b.records...)
	}
	s.armAssign(env, g)
}

// loadedConsumers gives each member a session after a load.
func (s *State) loadedConsumers(env Env, g *Group) {
	c := g.consumers
	for i := range c.members {
		m := &c.members[i]
		if m.is == nil {
			continue
		}
		s.serial++
		m.serial = s.serial
		s.hearConsumer(env, g, m)
		if m.classic() != nil && m.state == memberUnrevoked { // it was told to give up, and has to come back
			m.joinBy = env.Now.Mono.After(core.Millis(int64(m.is.RebalanceTimeoutMs)))
		}
		s.armRevocation(env, g, m)
	}
	g.countConsumers()
	s.armAssign(env, g)
}

// DescribeConsumer tells all about a consumer group.
func (s *State) DescribeConsumer(name string, img *image.Image) (r kmsg.ConsumerGroupDescribeResponseGroup, code wire.Code, end core.Offset) {
	r = kmsg.NewConsumerGroupDescribeResponseGroup()
	r.Group = name
	g := s.groups[name]
	if g == nil || g.consumers == nil {
		text := "Group " + name + " not found."
		if g != nil {
			text = "Group " + name + " is not a consumer group."
		}
		r.ErrorMessage = &text
		return r, wire.GroupIDNotFound, s.endOf(g)
	}
	c := g.consumers
	var members []*consumer
	for i := range c.members {
		if c.members[i].is != nil {
			members = append(members, &c.members[i])
		}
	}
	r.State, r.Epoch, r.AssignmentEpoch = c.phaseName(), c.epoch, c.target
	r.AssignorName = AssignorUniform
	if s.assignor(members) == assign.Range {
		r.AssignorName = AssignorRange
	}
	for _, m := range members {
		d := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		d.MemberID, d.InstanceID, d.RackID, d.MemberEpoch = m.id, m.is.InstanceID, m.is.RackID, m.epoch
		d.ClientID, d.ClientHost = m.is.ClientID, m.is.ClientHost
		expression := deref(m.is.SubscribedTopicRegex)
		d.SubscribedTopics, d.SubscribedTopicRegex = m.is.SubscribedTopicNames, &expression
		d.Assignment, d.TargetAssignment = describedSlots(m.assigned, img), describedSlots(m.target, img)
		if d.MemberType = 0; m.classic() == nil {
			d.MemberType = 1
		}
		r.Members = append(r.Members, d)
	}
	return r, wire.None, g.end
}

func describedSlots(list []slot, img *image.Image) (a kmsg.Assignment) {
	a = kmsg.NewAssignment()
	for _, t := range byTopicID(list) {
		if topic := img.TopicByID(t.id); topic != nil {
			row := kmsg.NewAssignmentTopicPartition()
			row.TopicID, row.Topic, row.Partitions = t.id, topic.Name, t.partitions
			a.TopicPartitions = append(a.TopicPartitions, row)
		}
	}
	return a
}
