package client

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// The consumer protocol (KIP-848): the coordinator assigns, and a member does nothing but send heartbeats. Each says what the member owns,
// when that has changed, and each answer may bring what it is to own. A member that is to give something up does so first, and says so
// at once; what it is to get, it gets when nobody else has it any more. The generation of the member is its epoch: it rises
// without anything being lost, so commits go out in the newest.

// The epochs that say what a heartbeat is for.
const (
	epochJoins       = 0
	epochLeaves      = -1
	epochLeavesAgain = -2 // a static member, which will be back
)

// beatConsumer sends a heartbeat when one is due; the first one joins.
func (c *Consumer) beatConsumer(now core.Now, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	if g.state == outside && now.Mono < g.retryAt {
		c.pool.WakeAt(g.retryAt)
		return
	}
	if g.beating {
		return
	}
	if g.state != outside && now.Mono < g.beatAt {
		c.pool.WakeAt(g.beatAt)
		return
	}
	to := c.coordinator(now, o.ID, coordinator, out)
	if to == nil {
		return
	}
	v, ok := versionOf(to, int16(kmsg.ConsumerGroupHeartbeat), -1)
	if !ok || v < 1 { // before version 1 the coordinator gave the id, and an answer that was lost left a member behind
		c.failedGroup(now, wire.UnsupportedVersion, 0, "ConsumerGroupHeartbeat", out)
		return
	}
	if g.id == "" { // KIP-1082
		id := c.pool.Rand().ID()
		g.id = core.TopicID(id).String()
	}
	q := c.consumerHeartbeat(v, max(g.generation, epochJoins))
	if g.state == outside {
		g.full = true
	}
	if g.full {
		q.RebalanceTimeoutMillis = int32(o.RebalanceTime.Millis())
		q.SubscribedTopicNames = slices.Clone(o.Topics)
		if o.ServerAssignor != "" {
			q.ServerAssignor = kmsg.StringPtr(o.ServerAssignor)
		}
	}
	if g.full || !slices.Equal(g.said, g.owned) {
		q.Topics = c.ownedTopics()
	}
	g.saying = slices.Clone(g.owned)
	c.lastAsk++
	g.beating, g.request, g.sentAt, g.beatAt = true, c.lastAsk, now.Mono, now.Mono.After(o.HeartbeatTime)
	c.pool.Send(now, to, link.Ask{Kind: askConsumerBeat, A: g.request}, q, min(c.opt.RequestTime, o.SessionTime), out)
}

func (c *Consumer) consumerHeartbeat(v int16, epoch int32) *kmsg.ConsumerGroupHeartbeatRequest {
	g, o := &c.group, &c.opt.Group
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.SetVersion(v)
	q.Group, q.MemberID, q.MemberEpoch, q.RebalanceTimeoutMillis = o.ID, g.id, epoch, -1
	q.SubscribedTopicNames, q.Topics = nil, nil
	if o.Instance != "" {
		q.InstanceID = kmsg.StringPtr(o.Instance)
	}
	return q
}

// ownedTopics is what the member owns, by the ids of the topics.
func (c *Consumer) ownedTopics() []kmsg.ConsumerGroupHeartbeatRequestTopic {
	rows := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, p := range c.group.owned {
		id := c.group.ids[p.Topic]
		if n := len(rows); n == 0 || rows[n-1].TopicID != [16]byte(id) {
			rows = append(rows, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id})
		}
		t := &rows[len(rows)-1]
		t.Partitions = append(t.Partitions, p.Partition)
	}
	return rows
}

// beatenConsumer takes the answer to a heartbeat.
func (c *Consumer) beatenConsumer(now core.Now, r *link.Reply, out *core.Out) {
	g := &c.group
	if r.Ask.A != g.request || !g.beating {
		return
	}
	g.beating, g.request = false, 0
	resp, ok := r.Resp.(*kmsg.ConsumerGroupHeartbeatResponse)
	code := wire.None
	if ok {
		code = wire.Code(resp.ErrorCode)
	}
	switch {
	case ok && code == wire.None:
	case code == wire.FencedMemberEpoch, code == wire.UnknownMemberID, code == wire.GroupIDNotFound:
		out.Mark("client.group-membership-lost")
		g.why = Failure{Code: code, Text: "ConsumerGroupHeartbeat of group " + c.opt.Group.ID}
		c.lose(now)
		g.retryAt = now.Mono.After(c.backoff(g.fails))
		g.fails++
		return
	default:
		// What it said may have been heard or not: it is said again, in full.
		g.full = true
		retry := now.Mono.After(c.backoff(g.fails))
		g.fails++
		if code == wire.UnreleasedInstanceID { // until the session of its former life ends
			g.retryAt = retry
			return
		}
		if c.failedGroup(now, code, r.Errs, "ConsumerGroupHeartbeat", out) {
			g.beatAt, g.retryAt = retry, retry
		}
		return
	}
	g.fails, g.why, g.full = 0, Failure{}, false
	g.said, g.aliveAt, g.counted = g.saying, now.Mono, g.sentAt
	g.generation = resp.MemberEpoch
	if resp.HeartbeatIntervalMillis > 0 {
		g.beatAt = now.Mono.After(min(core.Millis(int64(resp.HeartbeatIntervalMillis)), c.opt.Group.HeartbeatTime))
	}
	if g.state == outside {
		g.state, g.autoAt = stable, now.Mono.After(c.opt.Group.AutoCommitTime)
	}
	if resp.Assignment != nil {
		g.target = resp.Assignment.Topics
		g.targeted = true
	}
}

// reconcile brings what is owned to what was assigned: it takes up what is new and gives back what is not assigned any more. What is
// assigned of topics whose names are not known yet comes later.
func (c *Consumer) reconcile(now core.Now, out *core.Out) {
	g := &c.group
	if !g.targeted || g.state != stable {
		return
	}
	var want []core.TopicPartition
	unknown := false
	for i := range g.target {
		name := c.topicName(g.target[i].TopicID)
		if name == "" {
			unknown = true
			continue
		}
		for _, p := range g.target[i].Partitions {
			want = append(want, core.TopicPartition{Topic: name, Partition: p})
		}
	}
	slices.SortFunc(want, core.TopicPartition.Compare)
	want = slices.Compact(want)
	if unknown {
		c.missing()
		return
	}
	g.targeted = false
	added := minus(want, g.owned)
	for _, at := range added {
		c.set(c.add(at), Start{From: FromCommitted})
	}
	g.owned = append(slices.Clone(g.owned), added...)
	slices.SortFunc(g.owned, core.TopicPartition.Compare)
	c.tell(Tiding{Kind: Assigned, Partitions: added, Generation: g.generation})
	if extra := minus(g.owned, want); len(extra) > 0 {
		c.startRevoke(now, extra)
	} else if !slices.Equal(g.owned, g.said) {
		g.beatAt = now.Mono
	}
}

// topicName finds a topic that the member subscribes to by its id, and remembers it: the coordinator is told ids.
func (c *Consumer) topicName(id core.TopicID) string {
	for _, name := range c.opt.Group.Topics {
		if t := c.topic(name); t != nil && t.id == id {
			if c.group.ids == nil {
				c.group.ids = map[string]core.TopicID{}
			}
			c.group.ids[name] = id
			return name
		}
	}
	return ""
}

// leaveConsumer says goodbye once the commits are through. A static member says that it will be back.
func (c *Consumer) leaveConsumer(now core.Now, out *core.Out) {
	g := &c.group
	c.goodbye(now, g.id == "" || g.generation < 0, kmsg.ConsumerGroupHeartbeat, func(v int16) kmsg.Request {
		epoch := int32(epochLeaves)
		if c.opt.Group.Instance != "" {
			epoch = epochLeavesAgain
		}
		return c.consumerHeartbeat(v, epoch)
	}, out)
}

// tendConsumer does what can be done now for a member of the consumer protocol.
func (c *Consumer) tendConsumer(now core.Now, out *core.Out) {
	g := &c.group
	if g.state != outside && c.sessionOver(now, out) { // first: what it was about to give back may be another's by now
		return
	}
	if g.state == revoking {
		c.revoke(now, out)
	}
	c.reconcile(now, out)
	if g.state == stable {
		c.tendAuto(now)
	}
	c.beatConsumer(now, out)
}
