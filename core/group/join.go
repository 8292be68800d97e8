package group

import (
	"cmp"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Wait names a request that waits for others. Its Task keeps it and asks with it.
type Wait struct {
	Group, Member string
	Instance      *string
	Ticket        uint64
}

// JoinResult answers a JoinGroup.
type JoinResult struct {
	Code         wire.Code
	Generation   int32
	ProtocolType *string
	Protocol     *string
	Leader       string
	MemberID     string
	Skip         bool // SkipAssignment, KIP-814
	Members      []kmsg.JoinGroupResponseMember
	End          core.Offset // what it says is durable when the high watermark is here
}

func joinError(code wire.Code, id string, end core.Offset) JoinResult {
	return JoinResult{Code: code, Generation: -1, MemberID: id, End: end}
}

// joiner is a JoinGroup in our own words: nothing in it refers to the request's bytes.
type joiner struct {
	member  member
	kind    string
	known   bool // it brought an id
	needsID bool // from v4 on a new dynamic member is given an id first (KIP-394)
	skips   bool // from v9 on a leader can be told not to assign (KIP-814)
}

func (s *State) joiner(req *kmsg.JoinGroupRequest, client Client) joiner {
	j := joiner{
		kind: strings.Clone(req.ProtocolType), known: req.MemberID != "",
		needsID: req.Version >= 4 && req.InstanceID == nil, skips: req.Version >= 9,
	}
	j.member = member{
		id: strings.Clone(req.MemberID), instance: clonePtr(req.InstanceID), client: client,
		session: core.Millis(int64(req.SessionTimeoutMillis)), rebalance: core.Millis(int64(req.RebalanceTimeoutMillis)),
		deadline: core.Never,
	}
	if req.Version < 1 { // one time served for both
		j.member.rebalance = j.member.session
	}
	for i := range req.Protocols {
		p := &req.Protocols[i]
		j.member.protocols = append(j.member.protocols, Protocol{Name: strings.Clone(p.Name), Metadata: slices.Clone(p.Metadata)})
	}
	return j
}

// ProtocolsMax bounds the protocols that a member may offer, since each is looked up among those of all the others.
const ProtocolsMax = 256

// Join takes a JoinGroup. If it is not done, the request waits and asks Joined.
func (s *State) Join(env Env, req *kmsg.JoinGroupRequest, client Client) (w Wait, res JoinResult, done bool) {
	session := core.Millis(int64(req.SessionTimeoutMillis))
	switch {
	case req.Group == "":
		return w, joinError(wire.InvalidGroupID, req.MemberID, 0), true
	case session < s.cfg.SessionMin || session > s.cfg.SessionMax:
		return w, joinError(wire.InvalidSessionTimeout, req.MemberID, 0), true
	case len(req.Protocols) > ProtocolsMax:
		return w, joinError(wire.InconsistentGroupProtocol, req.MemberID, 0), true
	}
	j := s.joiner(req, client)
	g := s.groups[req.Group]
	if g != nil && g.consumers != nil {
		if g.consumers.known() > 0 {
			return s.joinConsumers(env, g, &j)
		}
		if code := s.toClassic(env, g); code != wire.None {
			return w, joinError(code, req.MemberID, g.end), true
		}
	}
	if g == nil && j.known {
		return w, joinError(wire.UnknownMemberID, j.member.id, s.gone), true
	}
	if g != nil && !s.fits(g, j.member.id) {
		if g.find1(j.member.id) >= 0 {
			s.remove(g, j.member.id)
			s.round(env, g)
		}
		return w, joinError(wire.GroupMaxSizeReached, "", g.end), true
	}
	if g != nil && !g.supports(j.kind, j.member.protocols) || j.kind == "" || len(j.member.protocols) == 0 {
		return w, joinError(wire.InconsistentGroupProtocol, j.member.id, s.endOf(g)), true
	}
	if j.known {
		return s.joinAgain(env, g, &j)
	}
	return s.joinNew(env, strings.Clone(req.Group), &j)
}

// fits says whether the group has room for whoever asks to join.
func (s *State) fits(g *Group, id string) bool {
	m := g.member(id)
	switch g.phase {
	case Empty:
		return true
	case PreparingRebalance: // those who do not join in time go, so only those who have joined count
		return m != nil && m.joining || g.joiningCount() < s.cfg.MembersMax
	default:
		return m != nil || len(g.members) < s.cfg.MembersMax
	}
}

// joinNew takes a JoinGroup without a member id.
func (s *State) joinNew(env Env, name string, j *joiner) (w Wait, res JoinResult, done bool) {
	if s.groups[name] == nil && len(s.names) >= s.cfg.GroupsMax {
		env.Out.Mark("group.too-many")
		return w, joinError(wire.CoordinatorNotAvailable, "", 0), true
	}
	g := s.group(name)
	if !g.exists { // its record comes first, so that a group that was spoken of is there after a crash
		created := Stored{At: env.Now.Wall.Millis()}
		if code := s.commit(env, g, created.record(g.name)); code != wire.None {
			s.dropIfNothing(g)
			return w, joinError(code, "", 0), true
		}
	}
	prefix := j.member.client.ID
	if j.member.instance != nil {
		prefix = *j.member.instance
	}
	j.member.id = prefix + "-" + uuid(env.Rand)
	if j.member.instance != nil {
		if at := g.findInstance(*j.member.instance); at >= 0 {
			return s.joinStaticAgain(env, g, at, j)
		}
	}
	if j.needsID {
		s.expect(env, g, j)
		return w, joinError(wire.MemberIDRequired, j.member.id, g.end), true
	}
	return s.enter(env, g, j), res, false
}

// joinAgain takes a JoinGroup of a member, or of one to be that was given its id before.
func (s *State) joinAgain(env Env, g *Group, j *joiner) (w Wait, res JoinResult, done bool) {
	if at := g.findPending(j.member.id); at >= 0 && j.member.instance == nil {
		g.pending = slices.Delete(g.pending, at, at+1)
		return s.enter(env, g, j), res, false
	}
	if code := g.check(j.member.id, j.member.instance); code != wire.None {
		return w, joinError(code, j.member.id, g.end), true
	}
	m := g.member(j.member.id)
	switch {
	case g.phase == CompletingRebalance && m.same(j.member.protocols):
		// Its first answer may have got lost.
		return w, s.joinAnswer(g, m, m.id == g.leader), true
	case g.phase == Stable && m.id != g.leader && m.same(j.member.protocols):
		return w, s.joinAnswer(g, m, false), true
	}
	m.update(j)
	w = s.waitJoin(g, m)
	s.round(env, g)
	return w, res, false
}

// joinStaticAgain takes over the place of a static member whose process came back without its id
// (KIP-345). Whoever still uses the old id is fenced from now on, whatever the phase (KAFKA-8500).
func (s *State) joinStaticAgain(env Env, g *Group, at int, j *joiner) (w Wait, res JoinResult, done bool) {
	old, led := g.members[at].id, g.leader == g.members[at].id
	if g.phase == Stable && s.keepsProtocol(g, at, j) {
		replaced := g.stored.replaced(old, j, g.protocol)
		if code := s.commit(env, g, replaced.record(g.name)); code != wire.None {
			return w, joinError(wire.UnknownMemberID, j.member.id, g.end), true
		}
		m := s.replace(g, at, j)
		s.hear(env, g, m, m.session)
		res = s.joinAnswer(g, m, led && j.skips)
		if res.Skip = led && j.skips; led && !j.skips {
			// Told that another one leads, it does not assign again: the group keeps its assignment.
			res.Leader = old
		}
		return w, res, true
	}
	m := s.replace(g, at, j)
	m.fresh = false
	w = s.waitJoin(g, m)
	s.hear(env, g, m, m.session)
	s.round(env, g)
	return w, res, false
}

// keepsProtocol says whether the group would choose the same protocol with the newcomer's preferences.
func (s *State) keepsProtocol(g *Group, at int, j *joiner) bool {
	before := g.members[at].protocols
	g.members[at].protocols = j.member.protocols
	same := g.choose() == g.protocol
	g.members[at].protocols = before
	return same
}

// replace puts a static member's new id in the place of its old one.
func (s *State) replace(g *Group, at int, j *joiner) *member {
	old := g.members[at]
	led := g.leader == old.id
	s.remove(g, old.id)
	m := j.member
	m.assignment, m.synced, m.fresh = old.assignment, old.synced, old.fresh
	p := g.add(s, m)
	if led {
		g.leader = m.id
	}
	return p
}

// replaced is the durable state after a static member got a new id. It is still the state of that time.
func (v *Stored) replaced(old string, j *joiner, protocol string) Stored {
	n := *v
	n.Members = slices.Clone(v.Members)
	for i := range n.Members {
		if row := &n.Members[i]; row.MemberID == old {
			m := &j.member
			assignment := row.Assignment
			*row = m.row(protocol)
			row.Assignment = assignment
		}
	}
	if n.Leader != nil && *n.Leader == old {
		n.Leader = &j.member.id
	}
	return n
}

// row is the member as a record has it.
func (m *member) row(protocol string) kmsg.GroupMetadataValueMember {
	return kmsg.GroupMetadataValueMember{
		MemberID: m.id, InstanceID: m.instance, ClientID: m.client.ID, ClientHost: m.client.Host,
		RebalanceTimeoutMillis: int32(m.rebalance.Millis()), SessionTimeoutMillis: int32(m.session.Millis()),
		Subscription: m.metadata(protocol), Assignment: m.assignment,
	}
}

// update takes over what a member says of itself in a new JoinGroup.
func (m *member) update(j *joiner) {
	m.client, m.protocols = j.member.client, j.member.protocols
	m.session, m.rebalance = j.member.session, j.member.rebalance
}

// expect enters an id that was given out. It has a session's time to join (KAFKA-7909).
func (s *State) expect(env Env, g *Group, j *joiner) {
	if len(g.pending) >= s.cfg.PendingMax {
		env.Out.Mark("group.pending-full")
		g.pending = slices.Delete(g.pending, 0, 1)
	}
	deadline := env.Now.Mono.After(j.member.session)
	g.pending = append(g.pending, pendingMember{id: j.member.id, deadline: deadline})
	s.arm(&g.pendingTimer, deadline, timerPending, g)
}

// enter adds a new member and begins a round, or joins the one that runs.
func (s *State) enter(env Env, g *Group, j *joiner) Wait {
	if len(g.members) == 0 {
		g.kind = j.kind
	}
	if g.phase == PreparingRebalance && g.stored.Generation == 0 {
		g.joined = true
	}
	j.member.fresh = true
	m := g.add(s, j.member)
	w := s.waitJoin(g, m)
	s.hear(env, g, m, joinFirst)
	s.round(env, g)
	return w
}

// waitJoin makes the member's JoinGroup wait. An older one of the same member is superseded.
func (s *State) waitJoin(g *Group, m *member) Wait {
	s.ticket++
	if m.joining || m.syncing {
		s.wake(g)
	}
	m.joining, m.join, m.joinRes = true, s.ticket, JoinResult{}
	m.syncing, m.sync = false, 0
	return Wait{Group: g.name, Member: m.id, Instance: m.instance, Ticket: s.ticket}
}

// Joined is what a waiting JoinGroup came to, if it has come to anything.
func (s *State) Joined(w Wait) (res JoinResult, done bool) {
	g, m, code := s.waiter(w)
	switch {
	case code != wire.None:
		return joinError(code, w.Member, s.endOf(g)), true
	case m.join != w.Ticket: // the member has sent another one since
		return joinError(wire.RebalanceInProgress, w.Member, g.end), true
	case m.joining:
		return res, false
	}
	return m.joinRes, true
}

// waiter finds the member whose request waits.
func (s *State) waiter(w Wait) (g *Group, m *member, code wire.Code) {
	if g = s.groups[w.Group]; g == nil {
		return nil, nil, wire.UnknownMemberID
	}
	if g.consumers != nil { // it has become one of the consumer protocol: whoever is still in it is to join that
		_, code = g.consumers.classicMember(w.Member, w.Instance)
		return g, nil, cmp.Or(code, wire.RebalanceInProgress)
	}
	if m = g.member(w.Member); m != nil {
		return g, m, wire.None
	}
	if w.Instance != nil && g.findInstance(*w.Instance) >= 0 {
		return g, nil, wire.FencedInstanceID
	}
	return g, nil, wire.UnknownMemberID
}

// joinAnswer tells a member the current generation; the leader, or whom it is to serve as list, gets everyone's metadata.
func (s *State) joinAnswer(g *Group, m *member, everyone bool) JoinResult {
	kind, protocol := g.kind, g.protocol
	res := JoinResult{
		Generation: g.stored.Generation, ProtocolType: &kind, Protocol: &protocol, Leader: g.leader, MemberID: m.id, End: g.end,
	}
	if everyone {
		res.Members = make([]kmsg.JoinGroupResponseMember, len(g.members))
		for i := range g.members {
			o := &g.members[i]
			res.Members[i] = kmsg.JoinGroupResponseMember{MemberID: o.id, InstanceID: o.instance, ProtocolMetadata: o.metadata(g.protocol)}
		}
	}
	return res
}

func (g *Group) joiningCount() (n int) {
	for i := range g.members {
		if g.members[i].joining {
			n++
		}
	}
	return n
}

// uuid is a random id in the form that Kafka's member ids end with.
func uuid(r *core.Rand) string {
	const hex = "0123456789abcdef"
	id := r.ID()
	b := make([]byte, 0, 36)
	for i, x := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hex[x>>4], hex[x&15])
	}
	return string(b)
}
