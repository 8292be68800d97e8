package group

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Config is what an operator may set. Times are spans.
type Config struct {
	SessionMin, SessionMax core.Time // group.min.session.timeout.ms, group.max.session.timeout.ms
	InitialDelay           core.Time // group.initial.rebalance.delay.ms
	MembersMax             int       // group.max.size
	MetadataBytesMax       int       // offset.metadata.max.bytes
	Retention              core.Time // offsets.retention.minutes
	RetentionCheck         core.Time // offsets.retention.check.interval.ms
	SweepMax               int       // offsets, or groups without any, that one step of a sweep looks at
	GroupsMax              int       // of one partition
	PendingMax             int       // ids of one group that were given out and not used

	Consumer     ConsumerConfig
	Assignors    []string  // group.consumer.assignors: of those that the coordinator has, in order of preference; at least one
	ConsumersMax int       // group.consumer.max.size
	RegexRefresh core.Time // group.consumer.regex.refresh.interval.ms
	Migration    Migration // group.consumer.migration.policy
}

// DefaultConfig is Apache Kafka's.
func DefaultConfig() Config {
	return Config{
		SessionMin: 6 * core.Second, SessionMax: 30 * core.Minute, InitialDelay: 3 * core.Second,
		MembersMax: 1<<31 - 1, MetadataBytesMax: 4096, Retention: 7 * 24 * core.Hour, RetentionCheck: 10 * core.Minute,
		SweepMax: SweepMax, GroupsMax: GroupsMax, PendingMax: PendingMax,
		Consumer:  ConsumerConfig{Session: 45 * core.Second, Heartbeat: 5 * core.Second, Assignment: core.Second},
		Assignors: []string{AssignorUniform, AssignorRange}, ConsumersMax: 1<<31 - 1, RegexRefresh: 10 * core.Minute, Migration: MigrateBoth,
	}
}

// joinFirst bounds how long a new member may stay unheard of before its first generation: it cannot
// send heartbeats while its JoinGroup waits.
const joinFirst = 5 * core.Minute

// Log is where decided records go: all of them, as one batch, or none.
type Log interface {
	// Append returns the end at which they are durable, or why they were not taken.
	Append(now core.Now, records []shard.Record) (end core.Offset, code wire.Code)
	// AppendTxn is Append for records of a producer's transaction.
	AppendTxn(now core.Now, producer int64, epoch int16, records []shard.Record) (end core.Offset, code wire.Code)
}

// Env is what a call may use of the world. It is passed, never kept.
type Env struct {
	Now  core.Now
	Log  Log
	Rand *core.Rand
	Out  *core.Out

	Image *image.Image // the cluster's topics and the groups' settings, for the consumer protocol
}

// State is the state of the groups of one partition of __consumer_offsets.
//
// Invariants: names holds the keys of groups, sorted, and serials maps each group's serial to its name;
// offsets of a group are sorted by topic and partition.
type State struct {
	cfg     Config
	groups  map[string]*Group
	names   []string
	serials map[uint64]string
	serial  uint64      // of the newest group or member
	ticket  uint64      // of the newest waiting request
	txns    []txnGroups // sorted by producer; changed by Apply and EndTransaction alone
	timers  core.Timers
	woken   []string     // groups whose waiting requests may have something to say
	gone    core.Offset  // where it is durable that the groups which are not here are not
	sweep   place        // where the search for expired offsets goes on
	forgets []forgetting // sweeps for deleted topics: one under way, one more at most
}

// New makes an empty state.
func New(cfg Config) State {
	return State{cfg: cfg, groups: map[string]*Group{}, serials: map[uint64]string{}}
}

// Reset empties the state, before a load and when the partition is given up. Tickets are not used again.
func (s *State) Reset() {
	*s = State{
		cfg: s.cfg, groups: map[string]*Group{}, serials: map[uint64]string{},
		serial: s.serial, ticket: s.ticket,
	}
}

// SetConfig changes what an operator may change while the broker runs.
func (s *State) SetConfig(cfg Config) { s.cfg = cfg }

// offset is one row of a group's committed offsets.
type offset struct {
	topic     string
	partition int32
	commit    Commit
	at        core.Offset // of its record
}

func (o *offset) compare(p core.TopicPartition) int {
	return core.TopicPartition{Topic: o.topic, Partition: o.partition}.Compare(p)
}

// Group is one group: its durable part, and what is known of its members in this life.
//
// Invariants: phase is Empty exactly if there are no members, but for PreparingRebalance; the generation
// that members are told is stored.Generation; members are sorted by id, one for each instance id.
type Group struct {
	name    string
	serial  uint64
	stored  Stored   // changed by Apply alone
	exists  bool     // there is a group record, not only offsets
	offsets []offset // changed by Apply and EndTransaction alone
	staged  []staged // likewise; sorted by topic, partition and producer
	end     core.Offset

	changing bool // its protocol is: between two records of that batch it may seem to have nothing

	phase    Phase
	former   Phase    // the one before PreparingRebalance
	kind     string   // protocol type of the members; of the last generation when there are none
	protocol string   // of the current generation
	leader   string   // id of the member that assigns; empty if none
	members  []member // sorted by id
	pending  []pendingMember
	joinAt   core.Time // when the join phase ends, or its window; Never: it is not running
	joinLeft core.Time // what may be added to the window of an initial rebalance
	joined   bool      // somebody came during this window
	syncAt   core.Time // when those who have not synced are removed; Never: it is not running

	joinTimer, syncTimer, pendingTimer core.Time // the earliest timer set for each; 0: none

	consumers *consumers // nil: it is a group of the classic protocol. Changed by Apply, but for timers
}

// Phase is where a group stands.
type Phase uint8

// The phases of a group, in Kafka's words.
const (
	Empty Phase = iota
	PreparingRebalance
	CompletingRebalance
	Stable
)

var phaseNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}

func (p Phase) String() string { return phaseNames[p] }

// group finds or makes a group.
func (s *State) group(name string) *Group {
	if g := s.groups[name]; g != nil {
		return g
	}
	s.serial++
	g := &Group{name: name, serial: s.serial, joinAt: core.Never, syncAt: core.Never}
	s.groups[name] = g
	s.serials[g.serial] = name
	at, _ := slices.BinarySearch(s.names, name)
	s.names = slices.Insert(s.names, at, name)
	return g
}

// drop forgets a group. Its timers find no serial.
func (s *State) drop(g *Group) {
	delete(s.groups, g.name)
	delete(s.serials, g.serial)
	if at, found := slices.BinarySearch(s.names, g.name); found {
		s.names = slices.Delete(s.names, at, at+1)
	}
	s.wake(g)
}

func (s *State) wake(g *Group) {
	if n := len(s.woken); n == 0 || s.woken[n-1] != g.name {
		s.woken = append(s.woken, g.name)
	}
}

// Woken returns the groups whose waiting requests should ask again, and forgets them.
func (s *State) Woken() []string {
	w := s.woken
	s.woken = nil
	return w
}

// Apply folds one record into the durable state: on replay, and when it was just decided. The newest record
// of a key wins; what a later release wrote in a way that we cannot read is left out.
func (s *State) Apply(r *Record, out *core.Out) {
	key, value := r.Key, r.Value
	switch version(key) {
	case offsetKeyV0, offsetKeyV1:
		k := kmsg.NewOffsetCommitKey()
		if k.ReadFrom(key) != nil {
			out.Mark("group.unreadable-record")
			return
		}
		s.applyOffset(r, &k, out)
	case metadataKeyV2:
		k := kmsg.NewGroupMetadataKey()
		if k.ReadFrom(key) != nil {
			out.Mark("group.unreadable-record")
			return
		}
		s.applyGroup(k.Group, value, out)
	case consumerGroupKey, consumerTopicsKey, consumerMemberKey, consumerTargetKey, consumerWantsKey, consumerCurrentKey, consumerRegexKey:
		s.applyConsumer(key, value, out)
	}
}

func (s *State) applyOffset(r *Record, k *kmsg.OffsetCommitKey, out *core.Out) {
	p := core.TopicPartition{Topic: k.Topic, Partition: k.Partition}
	if r.Value == nil {
		if g := s.groups[k.Group]; g != nil {
			g.unstage(p)
			if at, found := g.find(p); found {
				g.offsets = slices.Delete(g.offsets, at, at+1)
			}
			s.dropIfNothing(g)
		}
		return
	}
	c, ok := parseCommit(r.Value)
	if !ok {
		out.Mark("group.unreadable-record")
		return
	}
	if r.Producer >= 0 {
		s.applyStaged(r, k, c)
		return
	}
	g := s.group(k.Group)
	at, found := g.find(p)
	if !found {
		g.offsets = slices.Insert(g.offsets, at, offset{topic: k.Topic, partition: k.Partition})
	}
	g.offsets[at].commit, g.offsets[at].at = c, r.At
}

func (s *State) applyGroup(name string, value []byte, out *core.Out) {
	if value == nil {
		if g := s.groups[name]; g != nil {
			g.exists, g.stored = false, Stored{}
			s.dropIfNothing(g)
		}
		return
	}
	v, ok := parseStored(value)
	if !ok {
		out.Mark("group.unreadable-record")
		return
	}
	g := s.group(name)
	g.stored, g.exists = v, true
}

// dropIfNothing forgets a group of which nothing is durable. A group with members has a record.
func (s *State) dropIfNothing(g *Group) {
	if !g.changing && !g.exists && g.consumers == nil && len(g.offsets) == 0 && len(g.staged) == 0 && len(g.members) == 0 && len(g.pending) == 0 {
		s.drop(g)
	}
}

func (g *Group) find(p core.TopicPartition) (int, bool) {
	return slices.BinarySearchFunc(g.offsets, p, func(o offset, p core.TopicPartition) int { return o.compare(p) })
}

// commit appends records and applies them. g.end becomes what must be durable before anyone is told. If
// the log refuses, nothing has changed.
func (s *State) commit(env Env, g *Group, records ...shard.Record) wire.Code {
	end, code := env.Log.Append(env.Now, records)
	if code != wire.None {
		env.Out.Mark("group.append-refused")
		return appendCode(code)
	}
	s.appended(env, g, end, -1, records)
	return wire.None
}

// appended applies records that the log has taken, up to end.
func (s *State) appended(env Env, g *Group, end core.Offset, producer int64, records []shard.Record) {
	core.Must(end >= g.end, "the end of a group's records only grows")
	g.end = end
	base := end - core.Offset(len(records))
	for i := range records {
		s.Apply(&Record{Key: records[i].Key, Value: records[i].Value, At: base + core.Offset(i), Producer: producer}, env.Out)
	}
	if s.groups[g.name] != g { // the last of it was deleted: who asks for it now learns of that
		s.gone = max(s.gone, end)
	}
}

// endOf is where all that was ever read of a group is durable, that it is not there included.
func (s *State) endOf(g *Group) core.Offset {
	if g == nil {
		return s.gone
	}
	return g.end
}

// Loaded makes the members and timers of every group anew from its durable part, after a replay that ended
// at end: every answer about these groups waits until that is durable. Each member gets a whole session.
func (s *State) Loaded(env Env, end core.Offset) {
	for _, name := range s.names {
		g := s.groups[name]
		if g.end = end; g.consumers != nil {
			s.loadedConsumers(env, g)
			continue
		}
		g.kind = g.stored.ProtocolType
		if g.stored.Leader != nil {
			g.leader = *g.stored.Leader
		}
		for i := range g.stored.Members {
			s.revive(env, g, &g.stored.Members[i])
		}
		if len(g.members) > 0 {
			g.phase = Stable
			if g.stored.Protocol != nil {
				g.protocol = *g.stored.Protocol
			}
			if g.find1(g.leader) < 0 {
				g.leader = g.oldest()
			}
			if g.stored.Leader == nil { // it comes from the consumer protocol, and the round that this takes may not have begun
				s.prepare(env, g)
			}
		}
	}
	s.gone = end
	s.timers.Set(env.Now.Mono.After(s.cfg.RetentionCheck), timerRetention, 0, 0)
}

// revive makes a member from its row in a record.
func (s *State) revive(env Env, g *Group, row *kmsg.GroupMetadataValueMember) {
	m := member{
		id: row.MemberID, instance: clonePtr(row.InstanceID), client: Client{ID: row.ClientID, Host: row.ClientHost},
		session: core.Millis(int64(row.SessionTimeoutMillis)), rebalance: core.Millis(int64(row.RebalanceTimeoutMillis)),
		assignment: row.Assignment, synced: true,
	}
	if g.stored.Protocol != nil {
		m.protocols = []Protocol{{Name: *g.stored.Protocol, Metadata: row.Subscription}}
	}
	if g.find1(m.id) >= 0 || m.instance != nil && g.findInstance(*m.instance) >= 0 {
		env.Out.Mark("group.unreadable-record") // one row for each id: a broken record must not break us
		return
	}
	s.hear(env, g, g.add(s, m), m.session)
}

// Next is when Tick has something to do.
func (s *State) Next() core.Time { return s.timers.Next() }

// Names are the ids of all groups, sorted. Not to be written to.
func (s *State) Names() []string { return s.names }

// OldestUnused is the first deadline of all member ids that were given out and not used yet, and its group.
func (s *State) OldestUnused() (deadline core.Time, of string) {
	deadline = core.Never
	for _, name := range s.names {
		for _, p := range s.groups[name].pending {
			if p.deadline < deadline {
				deadline, of = p.deadline, name
			}
		}
	}
	return deadline, of
}
