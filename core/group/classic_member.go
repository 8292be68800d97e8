package group

import (
	"slices"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A member of the classic protocol in a group of the consumer protocol. What it asks is put into terms of the latter: its generation is
// its member epoch, and nobody waits for anybody.
//
//	JoinGroup   says what it wants and still owns; it comes as far towards the target as that allows, and is told its epoch
//	SyncGroup   tells it what it is assigned
//	Heartbeat   tells it to join again: when there is a new target, when it has something to give up, and when what it waits for is free
//
// From when it is told so it has its rebalance timeout to join, and from then on as long again to sync.

// mayJoin says what is wrong with a JoinGroup into a group of the consumer protocol, and what its member subscribes to.
func (s *State) mayJoin(g *Group, j *joiner) (sub assign.Subscription, code wire.Code) {
	c := g.consumers
	m := c.member(j.member.id)
	known := m != nil && m.is != nil || j.member.instance != nil && c.findInstance(*j.member.instance) != nil
	switch {
	case s.cfg.Migration == MigrateNever:
		return sub, wire.InconsistentGroupProtocol
	case c.known() >= s.cfg.ConsumersMax && !known:
		return sub, wire.GroupMaxSizeReached
	case j.kind != assign.ProtocolType || !c.supports(j.member.protocols, j.member.id):
		return sub, wire.InconsistentGroupProtocol
	}
	sub, ok := assign.ParseSubscription(j.member.protocols[0].Metadata)
	if !ok || len(sub.Topics) > SubscribedMax {
		return sub, wire.UnknownServerError // so says Apache Kafka
	}
	return sub, wire.None
}

// supports reports whether all members of the classic protocol know one of these.
func (c *consumers) supports(protocols []Protocol, but string) bool {
	all := Group{members: c.classicMembers([]string{but})}
	return slices.ContainsFunc(protocols, func(p Protocol) bool { return all.allKnow(p.Name) })
}

// joinConsumers takes a JoinGroup into a group of the consumer protocol that has members. It waits only if it ends that.
func (s *State) joinConsumers(env Env, g *Group, j *joiner) (w Wait, res JoinResult, done bool) {
	c := g.consumers
	sub, code := s.mayJoin(g, j)
	if code != wire.None {
		return w, joinError(code, "", g.end), true
	}
	if !j.known {
		if j.member.id = uuid(env.Rand); j.needsID {
			return w, joinError(wire.MemberIDRequired, j.member.id, g.end), true
		}
	}
	b := beat{
		env: env, name: g.name, g: g, c: c, epoch: c.epoch, target: c.target,
		told: true, owned: slotsOf(sub.Owned, env, 0), m: consumer{id: j.member.id, deadline: core.Never},
	}
	was, code := c.predecessor(j)
	if code != wire.None {
		return w, joinError(code, "", g.end), true
	}
	if was != nil && was.classic() == nil && s.downgradesFor(c, was) {
		return s.downgradeFor(env, g, was, j, &sub)
	}
	switch {
	case was == nil:
	case was.id == b.m.id:
		b.old, b.m = *was, *was
	default:
		b.replace(was)
	}
	s.resubscribe(&b, j.member.describes(&sub, b.m.is))
	s.retarget(&b)
	b.reconcile()
	if refused := s.writeBeat(&b); refused.is() {
		return w, joinError(refused.code, j.member.id, g.end), true
	}
	m := c.member(b.m.id)
	m.joinBy, m.syncBy = 0, env.Now.Mono.After(j.member.rebalance)
	s.hearConsumer(env, g, m)
	s.armRevocation(env, g, m)
	s.armAssign(env, g)
	kind, protocol := assign.ProtocolType, j.member.protocols[0].Name
	return w, JoinResult{Generation: m.epoch, ProtocolType: &kind, Protocol: &protocol, MemberID: m.id, End: g.end}, true
}

// predecessor is the member that a JoinGroup speaks for, or in whose place it comes; nil: it is a new one.
func (c *consumers) predecessor(j *joiner) (*consumer, wire.Code) {
	if j.member.instance == nil {
		if m := c.member(j.member.id); m != nil && m.is != nil {
			return m, wire.None
		}
		return nil, wire.None // an id that was given out, or is no better than one
	}
	owner := c.findInstance(*j.member.instance)
	switch {
	case !j.known || owner != nil && owner.id == j.member.id:
		return owner, wire.None
	case owner == nil:
		return nil, wire.UnknownMemberID
	}
	return nil, wire.FencedInstanceID
}

// downgradesFor says whether a group becomes one of the classic protocol when a classic member comes in the place of that one.
func (s *State) downgradesFor(c *consumers, was *consumer) bool {
	for i := range c.members {
		if m := &c.members[i]; m.is != nil && m.id != was.id && m.classic() == nil {
			return false
		}
	}
	return s.cfg.Migration&MigrateDown != 0 && c.known() <= s.cfg.MembersMax
}

// classicMember finds the member that a classic request speaks for.
func (c *consumers) classicMember(id string, instance *string) (*consumer, wire.Code) {
	m := c.member(id)
	if instance != nil {
		if m = c.findInstance(*instance); m != nil && m.id != id {
			return nil, wire.FencedInstanceID
		}
	}
	if m == nil || m.classic() == nil {
		return nil, wire.UnknownMemberID
	}
	return m, wire.None
}

// rejoin notes that a member was told to join again.
func (s *State) rejoin(env Env, g *Group, m *consumer) {
	if m.joinBy == 0 {
		m.joinBy = env.Now.Mono.After(core.Millis(int64(m.is.RebalanceTimeoutMs)))
		s.armLate(g, m)
	}
}

// syncConsumers answers a SyncGroup in a group of the consumer protocol.
func (s *State) syncConsumers(env Env, g *Group, req *kmsg.SyncGroupRequest) SyncResult {
	m, code := g.consumers.classicMember(req.MemberID, req.InstanceID)
	if code != wire.None {
		return SyncResult{Code: code, End: g.end}
	}
	first := m.classic().SupportedProtocols[0]
	switch {
	case req.Generation != m.epoch:
		code = wire.IllegalGeneration
	case req.ProtocolType != nil && *req.ProtocolType != assign.ProtocolType, req.Protocol != nil && *req.Protocol != first.Name:
		code = wire.InconsistentGroupProtocol
	case g.consumers.target > m.epoch && m.state != memberUnrevoked:
		s.rejoin(env, g, m)
		code = wire.RebalanceInProgress
	}
	if code != wire.None {
		return SyncResult{Code: code, End: g.end}
	}
	m.syncBy = 0
	s.hearConsumer(env, g, m)
	kind, protocol := assign.ProtocolType, first.Name
	return SyncResult{ProtocolType: &kind, Protocol: &protocol, Assignment: assignmentBytes(m.assigned, first.Metadata, env), End: g.end}
}

// heartbeatConsumers answers a Heartbeat there.
func (s *State) heartbeatConsumers(env Env, g *Group, req *kmsg.HeartbeatRequest) wire.Code {
	c := g.consumers
	m, code := c.classicMember(req.MemberID, req.InstanceID)
	if code != wire.None {
		return code
	}
	if req.Generation != m.epoch {
		return wire.IllegalGeneration
	}
	s.hearConsumer(env, g, m)
	if m.epoch < c.target || m.state == memberUnrevoked || m.state == memberUnreleased && !c.waits(m) {
		s.rejoin(env, g, m)
		return wire.RebalanceInProgress
	}
	return wire.None
}

// waits reports whether others still hold something that a member is to have.
func (c *consumers) waits(m *consumer) bool {
	return slices.ContainsFunc(m.target, func(t slot) bool {
		by, taken := c.holder[held{t.topic, t.partition}]
		return taken && by != m.id
	})
}

func sameClassic(a, b *wire.ClassicMemberMetadata) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.SessionTimeoutMs == b.SessionTimeoutMs && slices.EqualFunc(a.SupportedProtocols, b.SupportedProtocols, func(x, y wire.ClassicProtocol) bool {
		return x.Name == y.Name && string(x.Metadata) == string(y.Metadata)
	})
}
