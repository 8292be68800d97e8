package group

import (
	"slices"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// SyncResult answers a SyncGroup.
type SyncResult struct {
	Code         wire.Code
	ProtocolType *string
	Protocol     *string
	Assignment   []byte
	End          core.Offset // what it says is durable when the high watermark is here
}

// Sync takes a SyncGroup. If it is not done, the request waits and asks Synced.
func (s *State) Sync(env Env, req *kmsg.SyncGroupRequest) (w Wait, res SyncResult, done bool) {
	if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) { // KIP-559
		return w, SyncResult{Code: wire.InconsistentGroupProtocol}, true
	}
	if req.Group == "" {
		return w, SyncResult{Code: wire.InvalidGroupID}, true
	}
	g := s.groups[req.Group]
	if g == nil {
		return w, SyncResult{Code: wire.UnknownMemberID, End: s.gone}, true
	}
	if g.consumers != nil {
		return w, s.syncConsumers(env, g, req), true
	}
	if code := g.checkSync(req); code != wire.None {
		return w, SyncResult{Code: code, End: g.end}, true
	}
	m := g.member(req.MemberID)
	switch g.phase {
	case PreparingRebalance:
		return w, SyncResult{Code: wire.RebalanceInProgress, End: g.end}, true
	case Stable:
		s.syncSeen(g, m)
		s.hear(env, g, m, m.session)
		return w, s.syncAnswer(g, m), true
	}
	s.ticket++
	if m.syncing {
		s.wake(g)
	}
	m.syncing, m.sync, m.syncRes = true, s.ticket, SyncResult{}
	s.syncSeen(g, m)
	w = Wait{Group: g.name, Member: m.id, Instance: m.instance, Ticket: s.ticket}
	if m.id == g.leader {
		s.assign(env, g, req.GroupAssignment)
		res, done = s.Synced(w)
	}
	return w, res, done
}

func (g *Group) checkSync(req *kmsg.SyncGroupRequest) wire.Code {
	if code := g.check(req.MemberID, req.InstanceID); code != wire.None {
		return code
	}
	switch {
	case req.Generation != g.stored.Generation:
		return wire.IllegalGeneration
	case req.ProtocolType != nil && *req.ProtocolType != g.kind, req.Protocol != nil && *req.Protocol != g.protocol:
		return wire.InconsistentGroupProtocol
	}
	return wire.None
}

// syncSeen notes that the member has synced. When all have, nobody needs to be waited for.
func (s *State) syncSeen(g *Group, m *member) {
	m.synced = true
	for i := range g.members {
		if !g.members[i].synced {
			return
		}
	}
	g.syncAt = core.Never
}

// assign stores what the leader assigned, and only then is the group Stable (KAFKA-2017): each answer
// waits until the record is durable. Who is not named gets nothing; who is named and no member is ignored.
func (s *State) assign(env Env, g *Group, assigned []kmsg.SyncGroupRequestGroupAssignment) {
	next := Stored{
		ProtocolType: g.kind, Generation: g.stored.Generation, Protocol: &g.protocol, Leader: &g.leader, At: env.Now.Wall.Millis(),
	}
	for i := range g.members {
		row := g.members[i].row(g.protocol)
		row.Assignment = nil
		next.Members = append(next.Members, row)
	}
	for k := range assigned {
		if at := g.find1(assigned[k].MemberID); at >= 0 {
			next.Members[at].Assignment = slices.Clone(assigned[k].MemberAssignment)
		}
	}
	if code := s.commit(env, g, next.record(g.name)); code != wire.None {
		for i := range g.members {
			if m := &g.members[i]; m.syncing {
				m.syncing, m.syncRes = false, SyncResult{Code: code, End: g.end}
				s.hear(env, g, m, m.session)
			}
		}
		s.prepare(env, g)
		return
	}
	g.phase = Stable
	for i := range g.members {
		m := &g.members[i]
		m.assignment = g.stored.Members[i].Assignment
		if m.syncing {
			m.syncing, m.syncRes = false, s.syncAnswer(g, m)
			s.hear(env, g, m, m.session)
		}
	}
	s.wake(g)
}

func (s *State) syncAnswer(g *Group, m *member) SyncResult {
	kind, protocol := g.kind, g.protocol
	return SyncResult{ProtocolType: &kind, Protocol: &protocol, Assignment: m.assignment, End: g.end}
}

// Synced is what a waiting SyncGroup came to, if it has come to anything.
func (s *State) Synced(w Wait) (res SyncResult, done bool) {
	g, m, code := s.waiter(w)
	switch {
	case code != wire.None:
		return SyncResult{Code: code, End: s.endOf(g)}, true
	case m.sync != w.Ticket: // the member has sent another one since, or joins again
		return SyncResult{Code: wire.RebalanceInProgress, End: g.end}, true
	case m.syncing:
		return res, false
	}
	return m.syncRes, true
}

// Heartbeat keeps a member's session alive and tells it whether to join again.
func (s *State) Heartbeat(env Env, req *kmsg.HeartbeatRequest) (code wire.Code, end core.Offset) {
	if req.Group == "" {
		return wire.InvalidGroupID, 0
	}
	g := s.groups[req.Group]
	if g == nil {
		return wire.UnknownMemberID, s.gone
	}
	if g.consumers != nil {
		return s.heartbeatConsumers(env, g, req), g.end
	}
	if code = g.check(req.MemberID, req.InstanceID); code != wire.None {
		return code, g.end
	}
	if req.Generation != g.stored.Generation {
		return wire.IllegalGeneration, g.end
	}
	m := g.member(req.MemberID)
	s.hear(env, g, m, m.session)
	if g.phase == PreparingRebalance {
		return wire.RebalanceInProgress, g.end
	}
	return wire.None, g.end
}

// Leaver names a member that leaves, by its id, its instance id, or both.
type Leaver struct {
	ID       string
	Instance *string
	Code     wire.Code // set by Leave
}

// Leave takes members out, each with its own code. The code returned is for the whole request.
func (s *State) Leave(env Env, group string, leavers []Leaver) (code wire.Code, end core.Offset) {
	if group == "" {
		return wire.InvalidGroupID, 0
	}
	g := s.groups[group]
	if g == nil {
		for i := range leavers {
			leavers[i].Code = wire.UnknownMemberID
		}
		return wire.None, s.gone
	}
	left := false
	if g.consumers != nil {
		s.leaveConsumers(env, g, leavers)
		return wire.None, g.end
	}
	for i := range leavers {
		l := &leavers[i]
		l.Code = s.leave(g, l)
		left = left || l.Code == wire.None
	}
	if left && g.phase != Empty {
		s.round(env, g)
	}
	return wire.None, g.end
}

func (s *State) leave(g *Group, l *Leaver) wire.Code {
	id := l.ID
	if id == "" && l.Instance != nil { // an operator removes a static member by its instance id
		at := g.findInstance(*l.Instance)
		if at < 0 {
			return wire.UnknownMemberID
		}
		id = g.members[at].id
	} else if at := g.findPending(id); at >= 0 && l.Instance == nil {
		g.pending = slices.Delete(g.pending, at, at+1)
		return wire.None
	} else if code := g.check(id, l.Instance); code != wire.None {
		return code
	}
	s.remove(g, id)
	return wire.None
}
