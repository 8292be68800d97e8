package group

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"klamm/core"
	"klamm/core/wire"
)

// Client is what is known of a member's client, for those who describe the group.
type Client struct{ ID, Host string }

// Protocol is one assignment protocol that a member knows, with what it tells the leader.
type Protocol struct {
	Name     string
	Metadata []byte
}

// member is one member of a group.
//
// Invariants: joining and syncing are not both set; a member with syncing set is in a CompletingRebalance.
type member struct {
	id         string
	serial     uint64  // in the order of joining; names its timers
	instance   *string // of a static member (KIP-345)
	client     Client
	session    core.Time
	rebalance  core.Time
	protocols  []Protocol // in order of preference
	assignment []byte     // of the newest generation that was stored

	deadline core.Time // when its session ends, if nothing is heard; Never: no end is set
	timerAt  core.Time // the earliest timer set for it; 0: none
	fresh    bool      // it has not heard of any generation

	joining bool   // its JoinGroup waits
	syncing bool   // its SyncGroup waits
	synced  bool   // it has sent its SyncGroup of this generation
	join    uint64 // ticket of its newest JoinGroup
	sync    uint64 // and SyncGroup
	joinRes JoinResult
	syncRes SyncResult
}

// pendingMember is an id that was given out and has not joined yet (KIP-394).
type pendingMember struct {
	id       string
	deadline core.Time
}

// find1 is the index of the member with that id, or -1.
func (g *Group) find1(id string) int {
	at, found := sort.Find(len(g.members), func(i int) int { return strings.Compare(id, g.members[i].id) })
	if !found {
		return -1
	}
	return at
}

func (g *Group) member(id string) *member {
	if at := g.find1(id); at >= 0 {
		return &g.members[at]
	}
	return nil
}

// findInstance is the index of the static member with that instance id, or -1.
func (g *Group) findInstance(instance string) int {
	return slices.IndexFunc(g.members, func(m member) bool { return m.instance != nil && *m.instance == instance })
}

func (g *Group) findPending(id string) int {
	return slices.IndexFunc(g.pending, func(p pendingMember) bool { return p.id == id })
}

// add enters a member and returns it; the first one leads. Pointers to members are good until the next add.
func (g *Group) add(s *State, m member) *member {
	s.serial++
	m.serial = s.serial
	at, found := slices.BinarySearchFunc(g.members, m.id, func(m member, id string) int { return strings.Compare(m.id, id) })
	core.Must(!found, "a member is added once")
	g.members = slices.Insert(g.members, at, m)
	if g.leader == "" {
		g.leader = m.id
	}
	return &g.members[at]
}

// remove takes a member out. Its waiting requests find it gone, and say so.
func (s *State) remove(g *Group, id string) {
	if at := g.find1(id); at >= 0 {
		g.members = slices.Delete(g.members, at, at+1)
		if g.leader == id {
			g.leader = g.oldest()
		}
		s.wake(g)
	}
}

// oldest is the id of the member that joined first, or empty.
func (g *Group) oldest() (id string) {
	least := uint64(0)
	for i := range g.members {
		if m := &g.members[i]; id == "" || m.serial < least {
			id, least = m.id, m.serial
		}
	}
	return id
}

// check says whether a request in the name of a member may be believed.
func (g *Group) check(id string, instance *string) wire.Code {
	if instance != nil {
		at := g.findInstance(*instance)
		if at < 0 {
			return wire.UnknownMemberID
		}
		if g.members[at].id != id { // another process has taken this instance id over (KIP-345)
			return wire.FencedInstanceID
		}
	}
	if g.find1(id) < 0 {
		return wire.UnknownMemberID
	}
	return wire.None
}

func (m *member) same(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// metadata is what the member said for a protocol.
func (m *member) metadata(protocol string) []byte {
	for i := range m.protocols {
		if m.protocols[i].Name == protocol {
			return m.protocols[i].Metadata
		}
	}
	return nil
}

func (m *member) knows(protocol string) bool {
	return slices.ContainsFunc(m.protocols, func(p Protocol) bool { return p.Name == protocol })
}

// supports reports whether a member of that type with these protocols fits in: some protocol is known to all.
func (g *Group) supports(kind string, protocols []Protocol) bool {
	if kind == "" || len(protocols) == 0 {
		return false
	}
	if len(g.members) == 0 {
		return true
	}
	return kind == g.kind && slices.ContainsFunc(protocols, func(p Protocol) bool { return g.allKnow(p.Name) })
}

func (g *Group) allKnow(protocol string) bool {
	for i := range g.members {
		if !g.members[i].knows(protocol) {
			return false
		}
	}
	return true
}

// choose is the protocol of the next generation: each member votes for the one it prefers among those that
// all know. Most votes win; among equals the one that the oldest voter prefers.
func (g *Group) choose() string {
	type row struct {
		name  string
		votes int
		first uint64
	}
	var rows []row // what all members know
	for i := range g.members[:min(1, len(g.members))] {
		for _, p := range g.members[i].protocols {
			if g.allKnow(p.Name) {
				rows = append(rows, row{name: p.Name, first: 1<<64 - 1})
			}
		}
	}
	for i := range g.members {
		m := &g.members[i]
		for _, p := range m.protocols {
			if k := slices.IndexFunc(rows, func(r row) bool { return r.name == p.Name }); k >= 0 {
				rows[k].votes++
				rows[k].first = min(rows[k].first, m.serial)
				break
			}
		}
	}
	var best row
	for _, r := range rows {
		if r.votes > best.votes || r.votes == best.votes && r.first < best.first {
			best = r
		}
	}
	return best.name
}

// rebalanceTimeout is the longest that any member asks for.
func (g *Group) rebalanceTimeout() (t core.Time) {
	for i := range g.members {
		t = max(t, g.members[i].rebalance)
	}
	return t
}

func clonePtr(s *string) *string {
	if s == nil {
		return nil
	}
	c := strings.Clone(*s)
	return &c
}
