package group

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/shard"
	"klamm/core/wire"
)

// tombstoneBytesMax bounds the keys of one batch of tombstones.
const tombstoneBytesMax = 256 << 10

// SweepMax bounds what one step of a sweep looks at, unless the configuration says otherwise: see Config.
const SweepMax = 1000

// Committer says in whose name offsets are committed.
type Committer struct {
	Group, Member string
	Instance      *string
	Generation    int32 // or the member's epoch, in the consumer protocol
	Old           bool  // OffsetCommit below v9, which knows no consumer protocol
	Retention     int64 // ms, of OffsetCommit below v5; -1: the broker's

	InTransaction bool // the offsets count when the transaction of this producer is committed:
	Producer      int64
	Epoch         int16
}

// CommitRow is one offset to commit.
type CommitRow struct {
	Partition   core.TopicPartition
	TopicID     core.TopicID
	Offset      core.Offset
	LeaderEpoch core.Epoch
	Metadata    string
	Code        wire.Code // None: to be committed. Commit sets it.
}

// Commit commits offsets. Rows that come with a code are left as they are; the others get theirs.
func (s *State) Commit(env Env, c *Committer, rows []CommitRow) (end core.Offset) {
	g := s.groups[c.Group]
	code := s.checkCommit(g, c)
	if g != nil && g.consumers != nil {
		code = g.consumers.checkCommit(env, c, rows)
	}
	if c.InTransaction { // its clients know of no member epochs
		code = inTransaction(code)
		for i := range rows {
			rows[i].Code = inTransaction(rows[i].Code)
		}
	}
	if code == wire.None && g == nil && len(s.names) >= s.cfg.GroupsMax {
		code = wire.CoordinatorNotAvailable
	}
	if code != wire.None {
		refuse(rows, code)
		return s.endOf(g)
	}
	at := env.Now.Wall.Millis()
	expires := int64(-1)
	if c.Retention >= 0 {
		expires = at + c.Retention
	}
	name := strings.Clone(c.Group)
	var records []shard.Record
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Code != wire.None:
		case len(r.Metadata) > s.cfg.MetadataBytesMax:
			r.Code = wire.OffsetMetadataTooLarge
		case g != nil && len(g.offsets)+len(g.staged)+len(records) >= OffsetsMax:
			r.Code = wire.InvalidCommitOffsetSize
		default:
			v := Commit{Offset: r.Offset, LeaderEpoch: r.LeaderEpoch, Metadata: r.Metadata, At: at, ExpireAt: expires, TopicID: r.TopicID}
			records = append(records, v.record(name, r.Partition.Topic, r.Partition.Partition))
		}
	}
	if g != nil {
		if m := g.member(c.Member); m != nil && !m.joining && !m.syncing { // who commits is alive
			s.hear(env, g, m, m.session)
		}
	}
	if len(records) == 0 {
		return s.endOf(g)
	}
	g = s.group(name)
	if c.InTransaction {
		code = s.stage(env, g, c, records)
	} else {
		code = s.commit(env, g, records...)
	}
	if code != wire.None {
		s.dropIfNothing(g)
		refuse(rows, code)
	}
	return g.end
}

func refuse(rows []CommitRow, code wire.Code) {
	for i := range rows {
		if rows[i].Code == wire.None {
			rows[i].Code = code
		}
	}
}

// inTransaction is how a transaction is told of a member epoch that is not the member's.
func inTransaction(code wire.Code) wire.Code {
	if code == wire.StaleMemberEpoch {
		return wire.IllegalGeneration
	}
	return code
}

// appendCode is how a refused append is told: that the group's records are too large for the log is nothing that a client could mend by
// sending less of anything that it knows of.
func appendCode(code wire.Code) wire.Code {
	if code == wire.MessageTooLarge || code == wire.RecordListTooLarge {
		return wire.UnknownServerError
	}
	return code
}

// checkCommit says whether the offsets may be taken: a member commits in its own generation, and whoever
// is no member only into a group that has none. A transaction may commit without naming a member, and whatever the group
// is about: its own fencing is that of its producer (KIP-447).
func (s *State) checkCommit(g *Group, c *Committer) wire.Code {
	if g == nil {
		if c.Generation >= 0 {
			return wire.IllegalGeneration
		}
		return wire.None
	}
	if c.Generation < 0 && g.phase == Empty {
		return wire.None
	}
	if c.Generation < 0 && c.Member == "" && c.Instance == nil {
		if c.InTransaction {
			return wire.None
		}
		return wire.UnknownMemberID
	}
	if code := g.check(c.Member, c.Instance); code != wire.None {
		return code
	}
	if c.Generation != g.stored.Generation {
		return wire.IllegalGeneration
	}
	if g.phase == CompletingRebalance && !c.InTransaction {
		return wire.RebalanceInProgress
	}
	return wire.None
}

// Offset returns what a group has committed for a partition.
func (s *State) Offset(group string, p core.TopicPartition) (c Commit, found bool) {
	if g := s.groups[group]; g != nil {
		if at, ok := g.find(p); ok {
			return g.offsets[at].commit, true
		}
	}
	return c, false
}

// OffsetRow is one committed offset of a group.
type OffsetRow struct {
	Partition core.TopicPartition
	Commit    Commit
}

// Offsets returns all that a group has committed, by topic and partition.
func (s *State) Offsets(group string) (rows []OffsetRow) {
	if g := s.groups[group]; g != nil {
		for i := range g.offsets {
			o := &g.offsets[i]
			rows = append(rows, OffsetRow{core.TopicPartition{Topic: o.topic, Partition: o.partition}, o.commit})
		}
	}
	return rows
}

// End is where everything that was ever read of a group is durable.
func (s *State) End(group string) core.Offset { return s.endOf(s.groups[group]) }

// DeleteOffsets deletes offsets of a group (KIP-496). code is for the whole request; codes are for the rows.
func (s *State) DeleteOffsets(env Env, group string, rows []core.TopicPartition) (codes []wire.Code, code wire.Code, end core.Offset) {
	g := s.groups[group]
	if g == nil {
		return nil, wire.GroupIDNotFound, s.gone
	}
	if g.phase != Empty && g.kind != assign.ProtocolType {
		return nil, wire.NonEmptyGroup, g.end
	}
	topics, known := g.subscribed()
	var records []shard.Record
	for _, p := range rows {
		switch _, found := g.find(p); {
		case g.phase != Empty && (!known || slices.Contains(topics, p.Topic)):
			codes = append(codes, wire.GroupSubscribedToTopic)
			continue
		case found || g.unstable(p):
			records = append(records, shard.Record{Key: offsetKey(g.name, p.Topic, p.Partition)})
		}
		codes = append(codes, wire.None)
	}
	code = s.commitMany(env, g, records)
	return codes, code, g.end
}

// subscribed returns the topics that the members of a consumer group have subscribed to, sorted; false if
// that cannot be told.
func (g *Group) subscribed() (topics []string, known bool) {
	if g.consumers != nil {
		return g.consumers.wanted(), true
	}
	if g.kind != assign.ProtocolType {
		return nil, false
	}
	protocol := g.protocol
	if protocol == "" {
		protocol = g.choose()
	}
	for i := range g.members {
		sub, ok := assign.ParseSubscription(g.members[i].metadata(protocol))
		if !ok {
			return nil, false
		}
		topics = append(topics, sub.Topics...)
	}
	slices.Sort(topics)
	return slices.Compact(topics), true
}

// commitMany commits records in batches of bounded size. It stops at the first that is refused.
func (s *State) commitMany(env Env, g *Group, records []shard.Record) wire.Code {
	for len(records) > 0 {
		n, bytes := 0, 0
		for n < len(records) && (n == 0 || bytes+len(records[n].Key) <= tombstoneBytesMax) {
			bytes += len(records[n].Key) + 32
			n++
		}
		if code := s.commit(env, g, records[:n]...); code != wire.None {
			return code
		}
		records = records[n:]
	}
	return wire.None
}

// place is where a sweep goes on: at the first offset that is not before it.
type place struct {
	group string
	at    core.TopicPartition
}

// stretch is some of a group's offsets, one after another: a part of a sweep, which a group with very many offsets takes
// in several steps.
type stretch struct {
	g        *Group
	from, to int
	last     bool // to is the group's end
	next     place
}

// stretch returns the next offsets of a sweep, or the next group if that has none.
func (s *State) stretch(at place, most int) (x stretch, ok bool) {
	i, _ := slices.BinarySearch(s.names, at.group)
	if i == len(s.names) {
		return x, false
	}
	g := s.groups[s.names[i]]
	if x.g = g; g.name == at.group {
		x.from, _ = g.find(at.at)
	}
	x.to = min(x.from+most, len(g.offsets))
	if x.last = x.to == len(g.offsets); x.last {
		x.next = place{group: g.name + "\x00"}
	} else {
		x.next = place{g.name, core.TopicPartition{Topic: g.offsets[x.to].topic, Partition: g.offsets[x.to].partition}}
	}
	return x, true
}

// weight is what a stretch counts against SweepMax.
func (x *stretch) weight() int { return max(1, x.to-x.from) }

// DeletedTopic is a topic that is no more.
type DeletedTopic struct {
	Name string
	ID   core.TopicID
}

func (t DeletedTopic) compare(u DeletedTopic) int {
	return cmp.Or(strings.Compare(t.Name, u.Name), bytes.Compare(t.ID[:], u.ID[:]))
}

// forgetting is a sweep that forgets the offsets of deleted topics.
type forgetting struct {
	topics []DeletedTopic // sorted
	at     place
}

// has reports whether an offset is of one of the topics. What was committed for a new topic of that name, while the sweep
// is under way, is not.
func (f *forgetting) has(o *offset) bool {
	i, _ := slices.BinarySearchFunc(f.topics, o.topic, func(t DeletedTopic, name string) int { return strings.Compare(t.Name, name) })
	for ; i < len(f.topics) && f.topics[i].Name == o.topic; i++ {
		if o.commit.TopicID.IsZero() || o.commit.TopicID == f.topics[i].ID {
			return true
		}
	}
	return false
}

// TopicsDeleted forgets what was committed for topics that are no more, some offsets at a time.
func (s *State) TopicsDeleted(env Env, topics []DeletedTopic) {
	// The first sweep may be under way; one more waits, for all that comes meanwhile.
	if len(s.forgets) < 2 {
		s.forgets = append(s.forgets, forgetting{})
	}
	f := &s.forgets[len(s.forgets)-1]
	f.topics = append(f.topics, topics...)
	slices.SortFunc(f.topics, DeletedTopic.compare)
	if len(s.forgets) == 1 {
		s.forget(env)
	}
}

// forget goes on with the sweep for deleted topics.
func (s *State) forget(env Env) {
	left := s.cfg.SweepMax
	for left > 0 && len(s.forgets) > 0 {
		f := &s.forgets[0]
		x, ok := s.stretch(f.at, left)
		if !ok {
			s.forgets = slices.Delete(s.forgets, 0, 1)
			continue
		}
		left -= x.weight()
		f.at = x.next
		var records []shard.Record
		for i := x.from; i < x.to; i++ {
			if o := &x.g.offsets[i]; f.has(o) {
				records = append(records, shard.Record{Key: offsetKey(x.g.name, o.topic, o.partition)})
			}
		}
		if x.last {
			records = x.g.stagedTombstones(records, func(y *staged) bool {
				return f.has(&offset{topic: y.topic, partition: y.partition, commit: y.commit})
			})
		}
		s.commitMany(env, x.g, records)
	}
	if len(s.forgets) > 0 {
		env.Out.Mark("group.long-sweep")
		s.timers.Set(env.Now.Mono.After(core.Millisecond), timerForget, 0, 0)
	}
}

// expireOffsets deletes what nobody has use for any more, some offsets at a time.
func (s *State) expireOffsets(env Env) {
	d := max(s.cfg.RetentionCheck, core.Millisecond)
	for left := s.cfg.SweepMax; ; {
		if left <= 0 {
			env.Out.Mark("group.long-sweep")
			d = core.Millisecond
			break
		}
		x, ok := s.stretch(s.sweep, left)
		if !ok {
			s.sweep = place{}
			break
		}
		left -= x.weight()
		s.sweep = x.next
		s.expire(env, &x)
	}
	s.timers.Set(env.Now.Mono.After(d), timerRetention, 0, 0)
}

// expire deletes the expired offsets of a stretch, and the group when it has nothing left (KIP-211).
func (s *State) expire(env Env, x *stretch) {
	g := x.g
	now := env.Now.Wall.Millis()
	topics, known := g.subscribed()
	var records []shard.Record
	for i := x.from; i < x.to; i++ {
		o := &g.offsets[i]
		if !g.unstable(core.TopicPartition{Topic: o.topic, Partition: o.partition}) && g.expired(o, now, s.cfg.Retention.Millis(), topics, known) {
			records = append(records, shard.Record{Key: offsetKey(g.name, o.topic, o.partition)})
		}
	}
	if len(records) == len(g.offsets) && g.phase == Empty && len(g.pending) == 0 && len(g.staged) == 0 {
		env.Out.Mark("group.expired")
		records = append(records, g.groupTombstones()...)
	}
	if len(records) > 0 {
		env.Out.Mark("group.offsets-expired")
		s.commitMany(env, g, records)
	}
}

// expired says whether an offset's time is over. Between two stable generations nobody knows what the
// members want, so then nothing expires (KAFKA-13636).
func (g *Group) expired(o *offset, now, retention int64, topics []string, known bool) bool {
	base := o.commit.At
	switch {
	case g.phase == Empty && g.kind == "": // a consumer without a group: as old as its commit
	case g.phase == Empty:
		if g.stored.At >= 0 {
			base = g.stored.At
		}
	case g.phase == Stable && known:
		if slices.Contains(topics, o.topic) {
			return false
		}
	default:
		return false
	}
	if o.commit.ExpireAt >= 0 {
		return now >= o.commit.ExpireAt
	}
	return now-base >= retention
}
