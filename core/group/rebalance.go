package group

import (
	"slices"

	"klamm/core"
	"klamm/core/wire"
)

// Bounds of one partition's groups.
const (
	// GroupsMax bounds the groups of one partition; a further one is refused with COORDINATOR_NOT_AVAILABLE.
	GroupsMax = 1 << 20
	// PendingMax bounds the ids of one group that were given out and not used; the oldest goes.
	PendingMax = 10_000
	// OffsetsMax bounds the offsets of one group; a further partition is refused with INVALID_COMMIT_OFFSET_SIZE.
	OffsetsMax = 1 << 20
)

// The kinds of timers. A is a group's serial, B a member's.
const (
	timerMember uint8 = iota + 1
	timerPending
	timerJoin
	timerSync
	timerRetention
	timerConsumer // the session of a member of the consumer protocol
	timerLate     // its rebalance timeout
	timerAssign   // a target that is due
	timerForget
)

// round begins a round if none runs, or ends the one that runs if nobody is missing.
func (s *State) round(env Env, g *Group) {
	if g.phase == PreparingRebalance {
		s.tryComplete(env, g)
		return
	}
	s.prepare(env, g)
}

// prepare begins a round: everyone is to join again.
func (s *State) prepare(env Env, g *Group) {
	for i := range g.members {
		if m := &g.members[i]; m.syncing {
			m.syncing, m.syncRes = false, SyncResult{Code: wire.RebalanceInProgress, End: g.end}
			s.hear(env, g, m, m.session)
		}
	}
	g.former, g.phase, g.syncAt = g.phase, PreparingRebalance, core.Never
	s.wake(g)
	if g.former == Empty {
		// The first members of a group come one by one: waiting a little saves them many rounds.
		g.joined, g.joinLeft = false, max(g.rebalanceTimeout()-s.cfg.InitialDelay, 0)
		s.setJoin(env, g, s.cfg.InitialDelay)
		return
	}
	s.setJoin(env, g, g.rebalanceTimeout())
	s.tryComplete(env, g)
}

func (s *State) setJoin(env Env, g *Group, d core.Time) {
	g.joinAt = env.Now.Mono.After(max(d, 0))
	s.arm(&g.joinTimer, g.joinAt, timerJoin, g)
}

// arm makes sure that a timer of a group comes no later than at. Timers cannot be taken out, and a rebalance timeout
// may be weeks: one that is set already is used again when it comes, so that there are few for each group.
func (s *State) arm(set *core.Time, at core.Time, kind uint8, g *Group) {
	if at != core.Never && (*set == 0 || at < *set) {
		*set = at
		s.timers.Set(at, kind, g.serial, 0)
	}
}

// tryComplete ends the round if everybody has joined, those included who were only given an id. An initial
// round always lasts its time.
func (s *State) tryComplete(env Env, g *Group) {
	if g.phase == PreparingRebalance && g.former != Empty && len(g.pending) == 0 && g.joiningCount() == len(g.members) {
		s.complete(env, g)
	}
}

// joinOver is called when the time for joining is over.
func (s *State) joinOver(env Env, g *Group) {
	if g.phase != PreparingRebalance {
		g.joinAt = core.Never
		return
	}
	if g.former == Empty && g.joined && g.joinLeft > 0 {
		window := min(s.cfg.InitialDelay, g.joinLeft)
		g.joined, g.joinLeft = false, g.joinLeft-window
		if window > 0 {
			s.setJoin(env, g, window)
			return
		}
	}
	s.complete(env, g)
}

// complete ends the join phase: a new generation of those who have joined. It is stored before anyone is told.
func (s *State) complete(env Env, g *Group) {
	if !s.elect(g) {
		// Only static members, none of which came back yet: their sessions decide.
		env.Out.Mark("group.nobody-joined")
		s.setJoin(env, g, max(g.rebalanceTimeout(), core.Second))
		return
	}
	next := Stored{ProtocolType: g.kind, Generation: nextGeneration(g.stored.Generation), At: env.Now.Wall.Millis()}
	if code := s.commit(env, g, next.record(g.name)); code != wire.None {
		s.setJoin(env, g, core.Second)
		return
	}
	g.joinAt = core.Never
	s.wake(g)
	if len(g.members) == 0 {
		g.phase, g.protocol, g.leader = Empty, "", ""
		return
	}
	g.phase, g.protocol = CompletingRebalance, g.choose()
	for i := range g.members {
		m := &g.members[i]
		m.synced = false
		if m.joining {
			m.joining, m.fresh = false, false
			m.joinRes = s.joinAnswer(g, m, m.id == g.leader)
			s.hear(env, g, m, m.session)
		}
	}
	g.syncAt = env.Now.Mono.After(g.rebalanceTimeout())
	s.arm(&g.syncTimer, g.syncAt, timerSync, g)
}

// elect lets those go who did not join, static members excepted, and makes sure that the leader is one
// who did. False: there are members and none of them joined.
func (s *State) elect(g *Group) bool {
	for i := len(g.members) - 1; i >= 0; i-- {
		if m := &g.members[i]; !m.joining && m.instance == nil {
			s.remove(g, m.id)
		}
	}
	if len(g.members) == 0 {
		return true
	}
	if m := g.member(g.leader); m != nil && m.joining {
		return true
	}
	at := -1
	for i := range g.members {
		if m := &g.members[i]; m.joining && (at < 0 || m.serial < g.members[at].serial) {
			at = i
		}
	}
	if at >= 0 {
		g.leader = g.members[at].id
	}
	return at >= 0
}

func nextGeneration(g int32) int32 {
	if g < 0 || g == 1<<31-1 {
		return 1
	}
	return g + 1
}

// syncOver is called when the time for syncing is over: whoever has not synced is removed.
func (s *State) syncOver(env Env, g *Group) {
	g.syncAt = core.Never
	if g.phase != CompletingRebalance && g.phase != Stable {
		return
	}
	var late []string
	for i := range g.members {
		if !g.members[i].synced {
			late = append(late, g.members[i].id)
		}
	}
	for _, id := range late {
		env.Out.Mark("group.sync-late")
		s.remove(g, id)
	}
	if len(late) > 0 {
		s.prepare(env, g)
	}
}

// hear gives a member d from now before its session ends.
func (s *State) hear(env Env, g *Group, m *member, d core.Time) {
	m.deadline = env.Now.Mono.After(d)
	if m.timerAt == 0 || m.deadline < m.timerAt {
		m.timerAt = m.deadline
		s.timers.Set(m.deadline, timerMember, g.serial, m.serial)
	}
}

// Tick does what has become due.
func (s *State) Tick(env Env) {
	for {
		t, ok := s.timers.Pop(env.Now.Mono)
		if !ok {
			return
		}
		switch t.Kind {
		case timerRetention:
			s.expireOffsets(env)
			continue
		case timerForget:
			s.forget(env)
			continue
		}
		g := s.groups[s.serials[t.A]]
		if g == nil || g.serial != t.A {
			continue
		}
		s.groupTimer(env, g, t)
	}
}

// groupTimer looks what a timer of a group still means, if anything.
func (s *State) groupTimer(env Env, g *Group, t core.Timer) {
	switch t.Kind {
	case timerConsumer, timerLate, timerAssign:
		s.consumerTimer(env, g, t)
	case timerMember:
		s.memberTimer(env, g, t)
	case timerPending:
		if g.pendingTimer == t.At {
			g.pendingTimer = 0
		}
		s.pendingOver(env, g)
	case timerJoin:
		if g.joinTimer == t.At {
			g.joinTimer = 0
		}
		if g.joinAt <= env.Now.Mono {
			s.joinOver(env, g)
		} else {
			s.arm(&g.joinTimer, g.joinAt, timerJoin, g)
		}
	case timerSync:
		if g.syncTimer == t.At {
			g.syncTimer = 0
		}
		if g.syncAt <= env.Now.Mono {
			s.syncOver(env, g)
		} else {
			s.arm(&g.syncTimer, g.syncAt, timerSync, g)
		}
	}
}

// memberTimer ends the session of a member that was not heard of. It may be gone by now (KAFKA-8896).
func (s *State) memberTimer(env Env, g *Group, t core.Timer) {
	at := slices.IndexFunc(g.members, func(m member) bool { return m.serial == t.B })
	if at < 0 {
		return
	}
	m := &g.members[at]
	if m.timerAt == t.At {
		m.timerAt = 0
	}
	switch {
	case m.deadline > env.Now.Mono:
		if m.timerAt == 0 {
			m.timerAt = m.deadline
			s.timers.Set(m.deadline, timerMember, g.serial, m.serial)
		}
	case !m.fresh && (m.joining || m.syncing):
		// Its request waits here, so it cannot send heartbeats. It gets a new session with the answer.
	default:
		env.Out.Mark("group.session-expired")
		s.remove(g, m.id)
		s.round(env, g)
	}
}

// pendingOver drops the ids that were given out and not used in time. Nobody waits for them any longer.
func (s *State) pendingOver(env Env, g *Group) {
	before := len(g.pending)
	g.pending = slices.DeleteFunc(g.pending, func(p pendingMember) bool { return p.deadline <= env.Now.Mono })
	next := core.Never
	for i := range g.pending {
		next = min(next, g.pending[i].deadline)
	}
	s.arm(&g.pendingTimer, next, timerPending, g)
	if len(g.pending) < before {
		env.Out.Mark("group.pending-expired")
		s.tryComplete(env, g)
	}
}
