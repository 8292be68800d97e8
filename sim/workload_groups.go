package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/client"
	"klamm/core/wire"
)

// The workload of groups: several groups of many members, of which some are static and some cooperative. Members stay for
// a while and leave in good order; others are killed, or paused for longer than their session. Some groups roll from one protocol to the
// other and back, so that they have members of both at once. Tools move the
// coordinators' partitions to other brokers and reset offsets of groups while these have members, which must be refused,
// and while they have none. In the calm some members leave for good.

// The deeds.
const (
	deedLeft     = iota // a member left in good order
	deedReturned        // a static member came back under its instance id
	deedReset           // offsets of a group without members were reset
	deedRefused         // a group with members refused that
	deedMoved           // a coordinator's partition went to another broker on request
	deedForGood         // a member left for good in the calm
)

func groupDeeds() []deed {
	return []deed{{name: "member-left"}, {name: "static-member-returned"}, {name: "offsets-reset"}, {name: "reset-refused"}, {name: "coordinator-moved", cluster: true},
		{name: "member-left-for-good"}}
}

// groupsMax bounds the groups of a run: the oracle keeps a bit for each.
const groupsMax = 4

func drawGroups(cfg *Config, d *drawing) {
	cfg.foreign = d.n(4) == 3 && !cfg.topology.many()
	cfg.Groups, cfg.assignors, cfg.consumers, cfg.rolls = nil, nil, nil, nil
	for range 2 + d.n(groupsMax-1) {
		cfg.Groups = append(cfg.Groups, 1+d.n(6))
		cfg.assignors = append(cfg.assignors, []assign.Assignor{assign.CooperativeSticky, assign.Range, assign.CooperativeSticky, assign.Sticky, assign.RoundRobin}[d.n(5)])
		protocol := d.n(6)
		cfg.consumers = append(cfg.consumers, protocol == 1 && !cfg.foreign)
		cfg.rolls = append(cfg.rolls, protocol >= 2 && !cfg.foreign)
	}
	for i := range cfg.Topics {
		cfg.Topics[i].partitions += int32(d.n(4))
	}
	cfg.crowd, cfg.fair = 0, false
	cfg.Broker += "offsets.topic.num.partitions=" + d.of("3", "1", "8") + "\n"
	cfg.Broker += "max.connections=2147483647\nmax.connections.per.ip=2147483647\nklamm.internal.broker.requests=1000\n" // there are many members
	cfg.Broker += "group.initial.rebalance.delay.ms=" + d.of("0", "300", "1000") + "\n"
}

// planGroups kills and pauses members more often than others do.
func planGroups(c Chooser, cfg *Config) (plan []Fault) {
	d := drawing{c, uint64(Groups)<<8 | 1}
	members := 0
	for _, n := range cfg.Groups {
		members += n
	}
	first := cfg.topology.nodes() + 1 + len(cfg.Producers) + cfg.Readers // as build adds them
	for range 1 + d.n(6) {
		f := Fault{Kind: KillClient, At: 500*core.Millisecond + core.Time(d.n(int(cfg.Chaos/core.Millisecond)))*core.Millisecond, Node: first + d.n(members)}
		if d.n(3) == 2 { // longer than a session
			f.Kind, f.For = PauseProcess, d.ms(1000, 9000)
		}
		plan = append(plan, f)
	}
	return plan
}

// groupTools is the workload's player: the tools that an operator uses.
type groupTools struct{ r *run }

func playGroups(r *run) player { return &groupTools{r: r} }

func (g *groupTools) build() {
	g.r.w.client(g.r, "tools", func(entity uint64, life uint32) core.Machine {
		o := client.AdminOptions{Options: g.r.options(entity), CallTime: 8 * core.Second}
		return &tools{r: g.r, entity: entity, a: client.NewAdmin(o)}
	})
}

func (g *groupTools) alive() string   { return g.r.undeparted() }
func (g *groupTools) flushed() string { return "" }
func (g *groupTools) audited() string { return "" }
func (g *groupTools) judge(bool)      {}

// tools does one thing after the other, each a call or two.
type tools struct {
	r      *run
	entity uint64
	a      *client.Admin
	next   core.Time
	call   client.CallID // whose answer is waited for; 0: none
	step   toolStep
	group  string
	at     core.TopicPartition
	empty  bool       // the group was, when it was described
	there  []presence // the members when the reset was asked for
}

// presence is a member in a generation. If a heartbeat that it sends later is answered in it, it was never out of it.
type presence struct {
	m          *reading
	id         string
	generation int32
}

// presenceTime is how long such a heartbeat is waited for. That a member believes in its generation says nothing: it does so for its own
// session's time, and while it waits for the answer to a SyncGroup, which a broker that lost power never gives, for longer.
const presenceTime = 8 * core.Second

// presenceSlack is what the clocks of the world and of a member may differ by over a request.
const presenceSlack = core.Second

type toolStep uint8

const (
	toolDescribe toolStep = iota // the group whose offsets are to be reset
	toolFetch                    // its offsets
	toolReset
	toolLook  // where the replicas of a coordinator's partition are
	toolOrder // their order changes, and so who is to lead
	toolElect
)

func (t *tools) Next() core.Time {
	if t.call != 0 {
		return t.a.Next()
	}
	return min(t.next, t.a.Next())
}

func (t *tools) Step(now core.Now, ev *core.Event, out *core.Out) {
	if t.a.Mine(ev) {
		t.a.Step(now, ev, out)
	}
	if ev.Kind == core.Boot {
		t.next = now.Mono + core.Second
	}
	list := t.a.Answers()
	for i := range list {
		if list[i].Call == t.call {
			t.call = 0
			t.answered(now, &list[i], out)
		}
	}
	if now.Mono >= t.next && t.call == 0 && t.r.turn(t.entity, now, &t.next) {
		t.begin(now, out)
	}
}

// begin begins another task.
func (t *tools) begin(now core.Now, out *core.Out) {
	v := t.r.choose(t.entity, siteWork, t.entity, 1<<32)
	if t.next = now.Mono + core.Time(100+v&0x3ff)*core.Millisecond; t.r.stage >= stageCalm {
		t.next = core.Never
		return
	}
	v >>= 10
	topic := &t.r.cfg.Topics[int(v)%len(t.r.cfg.Topics)]
	t.at = core.TopicPartition{Topic: topic.name, Partition: int32(v>>4) % topic.partitions}
	group := int(v>>8) % len(t.r.cfg.Groups)
	if t.r.cfg.consumers[group] || t.r.cfg.rolls[group] { // it is described by another request
		return
	}
	t.group = fmt.Sprintf("g%d", group)
	if t.r.cfg.topology.many() && v>>16&1 == 1 {
		t.step = toolLook
		t.call = t.a.DescribeTopics(now, []string{offsetsTopic}, out)
		return
	}
	t.step = toolDescribe
	t.call = t.a.DescribeGroups(now, []string{t.group}, out)
}

const offsetsTopic = "__consumer_offsets"

// answered goes on with the task.
func (t *tools) answered(now core.Now, a *client.Answer, out *core.Out) {
	v := t.r.choose(t.entity, siteWork, t.entity, 1<<32)
	switch t.step {
	case toolDescribe:
		if len(a.Groups) != 1 || a.Outcomes[0].Fate != client.Did || t.r.stage >= stageCalm {
			return
		}
		t.step, t.empty = toolFetch, len(a.Groups[0].Members) == 0
		t.call = t.a.CommittedOffsets(now, t.group, out)
	case toolFetch: // back, never forward: everything is to be read
		to := core.Offset(0)
		for _, row := range a.Committed {
			if row.At == t.at && row.Offset > 0 {
				to = core.Offset(v) % (row.Offset + 1)
			}
		}
		t.step, t.there = toolReset, t.members()
		t.call = t.a.CommitOffsets(now, t.group, []client.CommitOffset{{At: t.at, Offset: to, Epoch: -1}}, out)
	case toolReset:
		switch o := a.Outcomes[0]; {
		case o.Fate == client.Did:
			t.r.deed(deedReset)
			if len(t.there) > 0 {
				t.r.suspects = append(t.r.suspects, suspect{t.r.w.now, t.group, t.there})
			}
		case !t.empty && o.Failure.Code == wire.UnknownMemberID:
			t.r.deed(deedRefused)
		}
	case toolLook:
		t.reorder(now, a, v, out)
	case toolOrder:
		q := kmsg.NewPtrElectLeadersRequest()
		q.TimeoutMillis = 5000
		x := kmsg.NewElectLeadersRequestTopic()
		x.Topic, x.Partitions = t.at.Topic, []int32{t.at.Partition}
		q.Topics = append(q.Topics, x)
		t.step, t.call = toolElect, t.a.Ask(now, core.NoNode, q, true, out)
	case toolElect:
		if p, ok := a.Response.(*kmsg.ElectLeadersResponse); ok && len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 && p.Topics[0].Partitions[0].ErrorCode == 0 {
			t.r.deed(deedMoved)
		}
	}
}

// members lists the members of the group that have a generation.
func (t *tools) members() (list []presence) {
	for _, m := range t.r.members {
		if id, generation := m.c.Member(); m.group == t.group && generation >= 0 && t.r.current(m) {
			list = append(list, presence{m, id, generation})
		}
	}
	return list
}

// suspect is a reset that was taken, though the group may have had members all the time.
type suspect struct {
	at    core.Time // of the world: when it was taken
	group string
	there []presence
}

// judgeSuspects looks whether a member of then is still in its generation, by the coordinator's word: then the reset should have been
// refused (I49).
func (r *run) judgeSuspects() {
	for len(r.suspects) > 0 && r.suspects[0].at+presenceTime <= r.w.now {
		x := r.suspects[0]
		r.suspects = r.suspects[1:]
		for _, p := range x.there {
			if id, generation := p.m.c.Member(); r.current(p.m) && id == p.id && generation == p.generation && p.m.wasIn(x.at) {
				r.oracle.fail("I49", "group %s: its offsets were reset, though member %s was in generation %d before and after", x.group, id, generation)
			}
		}
	}
}

// wasIn reports whether a heartbeat that the member sent after an instant of the world was answered as a member's.
func (a *reading) wasIn(at core.Time) bool { return a.countedAt >= at+presenceSlack }

// reorder makes another replica of a coordinator's partition the preferred one. The replicas stay the same, so nothing is copied.
func (t *tools) reorder(now core.Now, a *client.Answer, v uint64, out *core.Out) {
	if len(a.Topics) != 1 || len(a.Topics[0].Partitions) == 0 || t.r.stage >= stageCalm {
		return
	}
	p := a.Topics[0].Partitions[int(v)%len(a.Topics[0].Partitions)]
	t.at = core.TopicPartition{Topic: offsetsTopic, Partition: p.Partition}
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	q.TimeoutMillis = 5000
	x := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	y := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	y.Partition = p.Partition
	for i := range p.Replicas {
		y.Replicas = append(y.Replicas, int32(p.Replicas[(i+1)%len(p.Replicas)]))
	}
	if len(y.Replicas) < 2 {
		return
	}
	x.Topic, x.Partitions = offsetsTopic, append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	t.step, t.call = toolOrder, t.a.Ask(now, core.NoNode, q, true, out)
}

// rollTime is how long most of those who join a rolling group take one protocol, before they take the other.
const rollTime = 2 * core.Second

// rolls says whether a member that joins a rolling group now speaks the consumer protocol.
func (r *run) rolls(entity uint64) bool {
	return (r.w.now/rollTime%2 == 1) != (r.w.draw(siteConfig, entity<<8|253, 8) == 0)
}

// stay shapes a member of this workload, and says how long it stays in its group.
func (r *run) stay(o *client.GroupOptions, m int, entity uint64, rolls bool) core.Time {
	d := drawing{r.w.Choices, entity}
	if d.n(2) == 1 && o.Instance == "" && !rolls { // one that is away keeps its group from going down
		o.Instance = fmt.Sprintf("instance%d", m)
	}
	switch long := d.n(2) == 0; {
	case rolls && long: // nobody stays with one protocol for ever
		return d.ms(2500, 3000)
	case rolls:
		return d.ms(700, 2000)
	case long:
		return core.Never
	}
	return d.ms(1500, 6000)
}

// leaves lets a member go whose time has come, and ends its process when it is gone: it will be started again.
func (a *reading) leaves(now core.Now, out *core.Out) {
	switch {
	case a.leaving && a.c.Gone():
		a.leaving = false
		a.r.deed(deedLeft)
		out.Exit(0)
	case now.Mono >= a.stay:
		if a.stay = core.Never; a.r.stage < stageCalm {
			a.leaving = true
			a.c.Leave(now, out)
		}
	}
}
