package client

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/link"
	"klamm/core/wire"
)

// GroupOptions make a consumer a member of a group. Without Topics it is none, but may still read
// and commit the group's offsets. Zero values mean Kafka's defaults.
type GroupOptions struct {
	ID             string
	Topics         []string
	Instance       string            // group.instance.id: a static member, which keeps its place over a restart (KIP-345)
	Assignors      []assign.Assignor // offered, the best first
	SessionTime    core.Time         // session.timeout.ms
	RebalanceTime  core.Time         // max.poll.interval.ms, as far as the broker is told of it
	HeartbeatTime  core.Time         // heartbeat.interval.ms
	Consumer       bool              // group.protocol=consumer (KIP-848): the coordinator assigns
	ServerAssignor string            // group.remote.assignor, for the consumer protocol; empty: the coordinator's choice
	AutoCommitTime core.Time         // auto.commit.interval.ms; below 0: enable.auto.commit=false
	// RevokeTime is how long the owner has between a Revoked tiding and the moment at which the partitions
	// are given back, for its own commits. Yield ends it at once.
	RevokeTime core.Time
}

func (o GroupOptions) filled() GroupOptions {
	set := func(t *core.Time, d core.Time) {
		if *t == 0 {
			*t = d
		}
	}
	set(&o.SessionTime, 45*core.Second)
	set(&o.RebalanceTime, 5*core.Minute)
	set(&o.HeartbeatTime, 3*core.Second)
	set(&o.AutoCommitTime, 5*core.Second)
	if len(o.Assignors) == 0 {
		o.Assignors = []assign.Assignor{assign.Range, assign.CooperativeSticky}
	}
	slices.Sort(o.Topics)
	o.Topics = slices.Compact(o.Topics)
	return o
}

type memberState uint8

const (
	outside   memberState = iota // JoinGroup is to be sent
	joining                      // and is out
	assigning                    // we lead: the topics of all members must be known first
	syncing                      // SyncGroup is out
	stable
	revoking // partitions are about to be given back; then outside
	leaving  // commits go out, then LeaveGroup
	gone     // left, or refused for good
)

// member is this consumer's place in its group.
//
// Invariants: owned is sorted, and the partitions that are read are exactly those in it, for a member;
// request is zero unless a JoinGroup or SyncGroup is out; at most one commit is out, the first.
type member struct {
	state      memberState
	id         string
	generation int32 // -1: none
	protocol   assign.Assignor
	owned      []core.TopicPartition
	had        []core.TopicPartition // as of the last assignment
	request    uint64
	retryAt    core.Time
	fails      int
	why        Failure

	beating bool
	beatAt  core.Time
	aliveAt core.Time // the last sign that the coordinator counts us in
	sentAt  core.Time // when the last heartbeat was sent
	counted core.Time // and the last one of this membership that was answered as a member's; 0: none

	leads    bool
	returned bool            // and the assignment is that of our former life
	members  []assign.Member // while we lead and assign
	basis    basis           // of the last assignment: when it changes, the leader asks for another
	followAt core.Time       // when it asks for another because of what was withheld; 0: never

	revoked   []core.TopicPartition // while revoking
	revokeAt  core.Time
	revokeEnd core.Time
	yielded   bool

	autoAt     core.Time
	fetching   uint64 // OffsetFetch that is out
	fetchAt    core.Time
	fetchFails int
	commits    []commit
	lastCommit CommitID
	left       bool // LeaveGroup is out

	// Of the consumer protocol.
	full         bool                                                 // the next heartbeat says everything
	said, saying []core.TopicPartition                                // what the coordinator knows that we own, and will know
	target       []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic // what it has assigned
	targeted     bool                                                 // and that is not what we own yet
	ids          map[string]core.TopicID                              // of the topics that we own partitions of
}

func newMember() member { return member{generation: -1} }

// Yield says that the owner has done what it had to do about a Revoked tiding.
func (c *Consumer) Yield(now core.Now, out *core.Out) {
	c.group.yielded = true
	c.advance(now, out)
}

// Leave commits what was handed over, if commits are automatic, and leaves the group. Gone tells when it is over.
func (c *Consumer) Leave(now core.Now, out *core.Out) {
	g := &c.group
	if c.opt.Group.ID == "" {
		g.state = gone
	}
	if g.state == leaving || g.state == gone {
		return
	}
	for i := range c.parts {
		c.parts[i].passed, c.parts[i].held = c.parts[i].position, true
	}
	if g.state == stable || g.state == revoking || len(c.opt.Group.Topics) == 0 {
		c.autoCommit(c.Reading())
	}
	g.state, g.retryAt = leaving, now.Mono.After(c.opt.RequestTime) // no longer than that
	c.advance(now, out)
}

// Gone reports whether the consumer is no longer a member, and won't be again.
func (c *Consumer) Gone() bool { return c.group.state == gone }

// Member is what the group calls this consumer, and the generation that it belongs to; -1 if none.
func (c *Consumer) Member() (id string, generation int32) { return c.group.id, c.group.generation }

// Counted is when the last heartbeat was sent, by the consumer's clock, that the coordinator has answered as a member's, in
// the generation or under the member id that Member tells; 0 if none was. Before it the member cannot have been expelled.
func (c *Consumer) Counted() core.Time { return c.group.counted }

// isMember reports whether the consumer is to be one.
func (c *Consumer) isMember() bool { return len(c.opt.Group.Topics) > 0 }

// tendGroup does what can be done now about the group.
func (c *Consumer) tendGroup(now core.Now, out *core.Out) {
	g := &c.group
	if g.state == gone {
		return
	}
	c.tendCommits(now, out)
	c.fetchCommitted(now, out)
	if g.state == leaving {
		if c.opt.Group.Consumer && c.isMember() {
			c.leaveConsumer(now, out)
		} else {
			c.leave(now, out)
		}
		return
	}
	if !c.isMember() {
		c.tendAuto(now)
		return
	}
	if c.opt.Group.Consumer {
		c.tendConsumer(now, out)
		return
	}
	switch g.state {
	case stable, revoking:
		c.beat(now, out)
	case joining, assigning, syncing, outside:
		// For the length of a rebalance the coordinator waits for us by its own clock.
	}
	switch g.state {
	case outside:
		c.join(now, out)
	case assigning:
		c.assign(now, out)
	case stable:
		c.tendAuto(now)
		if g.leads && c.outdated(now) {
			out.Mark("client.group-metadata-changed")
			c.rebalance(now, out)
		}
	case revoking:
		c.revoke(now, out)
	}
}

// failedGroup takes an error of the coordinator in any of a member's requests. It reports whether the
// request may be sent again as it is.
func (c *Consumer) failedGroup(now core.Now, code wire.Code, errs core.Errno, what string, out *core.Out) (again bool) {
	g := &c.group
	g.why = Failure{Code: code, Errno: errs, Text: what + " of group " + c.opt.Group.ID}
	switch code {
	case wire.None: // lost
		g.why.Errno = link.OrGone(errs)
		return true
	case wire.NotCoordinator, wire.CoordinatorNotAvailable:
		c.lostCoordinator(now, c.opt.Group.ID)
		return true
	case wire.CoordinatorLoadInProgress, wire.RebalanceInProgress, wire.RequestTimedOut:
		return true
	case wire.UnknownMemberID, wire.IllegalGeneration:
		out.Mark("client.group-membership-lost")
		if code == wire.UnknownMemberID {
			g.id = ""
		}
		c.lose(now)
		return false
	}
	if code.Retriable() || code == wire.UnknownServerError {
		return true
	}
	out.Mark("client.group-refused")
	c.lose(now)
	g.state = gone
	c.tell(Tiding{Kind: Refused, Failure: g.why})
	return false
}

// lose ends the membership: every partition is, or may be, another's.
func (c *Consumer) lose(now core.Now) {
	g := &c.group
	if len(g.owned) > 0 {
		c.tell(Tiding{Kind: Lost, Partitions: slices.Clone(g.owned), Generation: g.generation})
	}
	for _, at := range g.owned {
		c.remove(at)
	}
	g.said, g.target, g.targeted = nil, nil, false
	g.owned, g.revoked, g.members, g.generation, g.leads, g.beating, g.request, g.counted = nil, nil, nil, -1, false, false, 0, 0
	if g.state != leaving {
		g.state = outside
	}
}

// join sends JoinGroup.
func (c *Consumer) join(now core.Now, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	if now.Mono < g.retryAt {
		c.pool.WakeAt(g.retryAt)
		return
	}
	to := c.coordinator(now, o.ID, coordinator, out)
	if to == nil {
		return
	}
	v, ok := versionOf(to, int16(kmsg.JoinGroup), -1)
	if !ok {
		c.failedGroup(now, wire.UnsupportedVersion, 0, "JoinGroup", out)
		return
	}
	q := kmsg.NewJoinGroupRequest()
	q.SetVersion(v)
	q.Group, q.MemberID, q.ProtocolType = o.ID, g.id, assign.ProtocolType
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = int32(o.SessionTime.Millis()), int32(o.RebalanceTime.Millis())
	if o.Instance != "" {
		q.InstanceID = kmsg.StringPtr(o.Instance)
	}
	for _, a := range o.Assignors {
		q.Protocols = append(q.Protocols, kmsg.JoinGroupRequestProtocol{Name: a.String(), Metadata: c.subscription(a)})
	}
	c.lastAsk++
	g.state, g.request = joining, c.lastAsk
	// The coordinator answers when the rebalance is over, which may take all of its time.
	c.pool.Send(now, to, link.Ask{Kind: askJoin, A: g.request}, &q, max(c.opt.RequestTime, o.RebalanceTime.After(5*core.Second)), out)
}

func (c *Consumer) joined(now core.Now, r *link.Reply, out *core.Out) {
	g := &c.group
	if r.Ask.A != g.request || g.state != joining {
		return
	}
	g.request = 0
	resp, ok := r.Resp.(*kmsg.JoinGroupResponse)
	code := wire.None
	if ok {
		code = wire.Code(resp.ErrorCode)
	}
	switch {
	case ok && code == wire.MemberIDRequired: // KIP-394
		g.id, g.state = resp.MemberID, outside
		return
	case !ok || code != wire.None:
		g.state = outside
		g.retryAt = now.Mono.After(c.backoff(g.fails))
		g.fails++
		if c.failedGroup(now, code, r.Errs, "JoinGroup", out); code == wire.UnknownMemberID {
			g.retryAt = 0
		}
		return
	}
	protocol, known := assign.Range, false
	if resp.Protocol != nil {
		protocol, known = assign.ByName(*resp.Protocol)
	}
	if !known || !slices.Contains(c.opt.Group.Assignors, protocol) {
		c.failedGroup(now, wire.InconsistentGroupProtocol, 0, "JoinGroup", out)
		return
	}
	g.id, g.generation, g.protocol, g.aliveAt, g.counted = resp.MemberID, resp.Generation, protocol, now.Mono, 0
	g.leads, g.members = resp.LeaderID == resp.MemberID, nil
	g.returned = resp.SkipAssignment
	if !g.leads || g.returned {
		g.state = assigning
		c.synchronise(now, nil, out)
		return
	}
	for i := range resp.Members {
		m := &resp.Members[i]
		s, ok := assign.ParseSubscription(m.ProtocolMetadata)
		if !ok {
			continue // it can't be given anything
		}
		a := assign.Member{ID: m.MemberID, Subscription: s}
		if m.InstanceID != nil {
			a.Instance = *m.InstanceID
		}
		g.members = append(g.members, a)
		for _, t := range s.Topics {
			c.want(t)
		}
	}
	g.state = assigning
}

// synchronise sends SyncGroup, if it can be sent now; the state stays assigning otherwise.
func (c *Consumer) synchronise(now core.Now, list []assign.Assignment, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	to := c.coordinator(now, o.ID, coordinator, out)
	if to == nil {
		return
	}
	v, ok := versionOf(to, int16(kmsg.SyncGroup), -1)
	if !ok {
		c.failedGroup(now, wire.UnsupportedVersion, 0, "SyncGroup", out)
		return
	}
	q := kmsg.NewSyncGroupRequest()
	q.SetVersion(v)
	q.Group, q.Generation, q.MemberID = o.ID, g.generation, g.id
	if o.Instance != "" {
		q.InstanceID = kmsg.StringPtr(o.Instance)
	}
	q.ProtocolType, q.Protocol = kmsg.StringPtr(assign.ProtocolType), kmsg.StringPtr(g.protocol.String())
	for _, a := range list {
		var data []byte
		if a.ID == g.id && o.Instance != "" {
			data = g.basis.append(nil)
		}
		q.GroupAssignment = append(q.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID: a.ID, MemberAssignment: assign.AppendAssignment(nil, 1, a.Partitions, data)})
	}
	c.lastAsk++
	g.state, g.request, g.members = syncing, c.lastAsk, nil
	c.pool.Send(now, to, link.Ask{Kind: askSync, A: g.request}, &q, max(c.opt.RequestTime, o.RebalanceTime.After(5*core.Second)), out)
}

func (c *Consumer) synced(now core.Now, r *link.Reply, out *core.Out) {
	g := &c.group
	if r.Ask.A != g.request || g.state != syncing {
		return
	}
	g.request = 0
	resp, ok := r.Resp.(*kmsg.SyncGroupResponse)
	code := wire.None
	if ok {
		code = wire.Code(resp.ErrorCode)
	}
	if !ok || code != wire.None {
		g.state = outside
		if code != wire.RebalanceInProgress {
			g.retryAt = now.Mono.After(c.backoff(g.fails))
			g.fails++
		}
		c.failedGroup(now, code, r.Errs, "SyncGroup", out)
		return
	}
	list, data, ok := assign.ParseAssignment(resp.MemberAssignment)
	if !ok {
		list = nil
	}
	c.knowBasis(now, data)
	slices.SortFunc(list, core.TopicPartition.Compare)
	list = slices.Compact(list)
	g.fails, g.why = 0, Failure{}
	g.aliveAt, g.beatAt, g.beating = now.Mono, now.Mono.After(c.opt.Group.HeartbeatTime), false
	g.autoAt = now.Mono.After(c.opt.Group.AutoCommitTime)
	added, kept := minus(list, g.owned), g.owned
	g.state = stable
	for _, at := range added {
		c.want(at.Topic)
		c.set(c.add(at), Start{From: FromCommitted})
	}
	g.owned = append(slices.Clone(kept), added...)
	slices.SortFunc(g.owned, core.TopicPartition.Compare)
	g.had = list
	c.tell(Tiding{Kind: Assigned, Partitions: added, Generation: g.generation})
	if extra := minus(kept, list); len(extra) > 0 {
		c.startRevoke(now, extra)
	}
}

// minus lists what is in a and not in b; both sorted.
func minus(a, b []core.TopicPartition) (list []core.TopicPartition) {
	for _, at := range a {
		if _, found := slices.BinarySearchFunc(b, at, core.TopicPartition.Compare); !found {
			list = append(list, at)
		}
	}
	return list
}

// rebalance answers the call to join again. With a cooperative assignor what is owned is read on meanwhile.
func (c *Consumer) rebalance(now core.Now, out *core.Out) {
	g := &c.group
	g.retryAt = 0
	if g.protocol == assign.CooperativeSticky || len(g.owned) == 0 {
		if g.protocol == assign.CooperativeSticky {
			c.autoCommit(g.owned)
		}
		g.state = outside
		c.join(now, out)
		return
	}
	c.startRevoke(now, g.owned)
}

// startRevoke begins to give partitions back.
func (c *Consumer) startRevoke(now core.Now, list []core.TopicPartition) {
	g := &c.group
	for _, at := range list {
		if r := c.reading(at); r != nil {
			r.held, r.passed = true, r.position
		}
	}
	c.autoCommit(list)
	c.tell(Tiding{Kind: Revoked, Partitions: slices.Clone(list), Generation: g.generation})
	g.state, g.revoked, g.yielded = revoking, slices.Clone(list), false
	g.revokeAt = now.Mono.After(c.opt.Group.RevokeTime)
	g.revokeEnd = g.revokeAt.After(min(c.opt.RequestTime, c.opt.Group.RebalanceTime/2))
}

// revoke gives the partitions back once the owner is done and the commits are through.
func (c *Consumer) revoke(now core.Now, out *core.Out) {
	g := &c.group
	if now.Mono < g.revokeEnd {
		if !g.yielded && now.Mono < g.revokeAt {
			c.pool.WakeAt(g.revokeAt)
			return
		}
		if len(g.commits) > 0 {
			c.pool.WakeAt(g.revokeEnd)
			return
		}
	}
	for _, at := range g.revoked {
		c.remove(at)
	}
	g.owned, g.revoked = minus(g.owned, g.revoked), nil
	if c.opt.Group.Consumer {
		g.state, g.beatAt = stable, now.Mono // they are another's as soon as the coordinator hears of it
		return
	}
	g.state = outside
	c.join(now, out)
}

// sessionOver gives up a session that the coordinator must have ended, and reports that it has.
func (c *Consumer) sessionOver(now core.Now, out *core.Out) bool {
	g, o := &c.group, &c.opt.Group
	over := g.aliveAt.After(o.SessionTime)
	if now.Mono < over {
		c.pool.WakeAt(over)
		return false
	}
	out.Mark("client.group-session-expired")
	g.why = Failure{Errno: core.TimedOut, Text: "no heartbeat of group " + o.ID + " was answered for the session's time"}
	c.lose(now)
	return true
}

// beat sends a heartbeat when one is due.
func (c *Consumer) beat(now core.Now, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	if c.sessionOver(now, out) || g.beating {
		return
	}
	if now.Mono < g.beatAt {
		c.pool.WakeAt(g.beatAt)
		return
	}
	to := c.coordinator(now, o.ID, coordinator, out)
	if to == nil {
		return
	}
	v, ok := versionOf(to, int16(kmsg.Heartbeat), -1)
	if !ok {
		c.failedGroup(now, wire.UnsupportedVersion, 0, "Heartbeat", out)
		return
	}
	q := kmsg.NewHeartbeatRequest()
	q.SetVersion(v)
	q.Group, q.Generation, q.MemberID = o.ID, g.generation, g.id
	if o.Instance != "" {
		q.InstanceID = kmsg.StringPtr(o.Instance)
	}
	g.beating, g.sentAt, g.beatAt = true, now.Mono, now.Mono.After(o.HeartbeatTime)
	c.pool.WakeAt(g.beatAt)
	c.pool.Send(now, to, link.Ask{Kind: askBeat, A: uint64(uint32(g.generation))}, &q, min(c.opt.RequestTime, o.SessionTime), out)
}

func (c *Consumer) beaten(now core.Now, r *link.Reply, out *core.Out) {
	g := &c.group
	if int32(r.Ask.A) != g.generation || g.state != stable && g.state != revoking {
		return
	}
	g.beating = false
	resp, ok := r.Resp.(*kmsg.HeartbeatResponse)
	code := wire.None
	if ok {
		code = wire.Code(resp.ErrorCode)
	}
	switch {
	case ok && code == wire.None:
		g.aliveAt, g.counted = now.Mono, g.sentAt
	case code == wire.RebalanceInProgress:
		g.aliveAt, g.counted = now.Mono, g.sentAt
		if g.state == stable {
			c.rebalance(now, out)
		}
	default:
		if c.failedGroup(now, code, r.Errs, "Heartbeat", out) {
			g.beatAt = now.Mono.After(c.opt.RetryMin)
		}
	}
}

// groupReplied takes what became of a request to the coordinator.
func (c *Consumer) groupReplied(now core.Now, r *link.Reply, out *core.Out) {
	switch r.Ask.Kind {
	case askJoin:
		c.joined(now, r, out)
	case askSync:
		c.synced(now, r, out)
	case askBeat:
		c.beaten(now, r, out)
	case askConsumerBeat:
		c.beatenConsumer(now, r, out)
	case askCommit:
		c.committed(now, r, out)
	case askCommitted:
		c.committedFetched(now, r, out)
	case askLeave:
		if c.group.state == leaving {
			c.end()
		}
	}
}
