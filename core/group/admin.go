package group

import (
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TypeClassic is the type of these groups, as ListGroups names it (KIP-848).
const TypeClassic = "classic"

// List appends the groups that pass the filters; an empty filter passes all. Names of states and types
// are compared without regard to case; unknown ones match nothing.
func (s *State) List(rows []kmsg.ListGroupsResponseGroup, states, types []string) []kmsg.ListGroupsResponseGroup {
	fold := func(filter []string, name string) bool {
		return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, name) })
	}
	classic, consumer := fold(types, TypeClassic), fold(types, TypeConsumer)
	var wanted [len(phaseNames)]bool
	for p := range wanted { // filters may be many, and so may groups
		wanted[p] = fold(states, Phase(p).String())
	}
	for _, name := range s.names {
		g := s.groups[name]
		if g.consumers != nil {
			if state := g.consumers.phaseName(); consumer && fold(states, state) {
				r := kmsg.NewListGroupsResponseGroup()
				r.Group, r.ProtocolType, r.GroupState, r.GroupType = name, protocolConsumer, state, TypeConsumer
				rows = append(rows, r)
			}
			continue
		}
		if classic && wanted[g.phase] {
			r := kmsg.NewListGroupsResponseGroup()
			r.Group, r.ProtocolType, r.GroupState, r.GroupType = name, g.kind, g.phase.String(), TypeClassic
			rows = append(rows, r)
		}
	}
	return rows
}

// Counts returns how many groups are in each phase, and how many offsets they have committed.
func (s *State) Counts() (phases [4]int64, offsets int64) {
	for _, name := range s.names {
		g := s.groups[name]
		phases[g.phase]++
		offsets += int64(len(g.offsets))
	}
	return phases, offsets
}

// EndAll is where everything that was ever read of any group is durable.
func (s *State) EndAll() (end core.Offset) {
	end = s.gone
	for _, name := range s.names {
		end = max(end, s.groups[name].end)
	}
	return end
}

// Describe tells all about a group. A group that is not there is Dead, with words that older versions leave out.
func (s *State) Describe(name string) (r kmsg.DescribeGroupsResponseGroup, found bool, end core.Offset) {
	r = kmsg.NewDescribeGroupsResponseGroup()
	r.Group, r.State = name, "Dead"
	g := s.groups[name]
	if g == nil || g.consumers != nil { // those have a request of their own
		text := "Group " + name + " not found."
		if g != nil {
			text = "Group " + name + " is not a classic group."
		}
		r.ErrorMessage = &text
		return r, false, s.endOf(g)
	}
	r.State, r.ProtocolType = g.phase.String(), g.kind
	if g.phase == Stable {
		r.Protocol = g.protocol
	}
	for i := range g.members {
		m := &g.members[i]
		d := kmsg.NewDescribeGroupsResponseGroupMember()
		d.MemberID, d.InstanceID, d.ClientID, d.ClientHost = m.id, m.instance, m.client.ID, m.client.Host
		if g.phase == Stable { // before, the protocol and so the metadata are not chosen yet
			d.ProtocolMetadata, d.MemberAssignment = m.metadata(g.protocol), m.assignment
		}
		r.Members = append(r.Members, d)
	}
	return r, true, g.end
}

// Delete deletes a group that has no members, with its offsets (KIP-229).
func (s *State) Delete(env Env, name string) (code wire.Code, end core.Offset) {
	g := s.groups[name]
	if g == nil {
		return wire.GroupIDNotFound, s.gone
	}
	if g.phase != Empty {
		return wire.NonEmptyGroup, g.end
	}
	var records []shard.Record
	for i := range g.offsets {
		o := &g.offsets[i]
		records = append(records, shard.Record{Key: offsetKey(g.name, o.topic, o.partition)})
	}
	records = g.stagedTombstones(records, func(*staged) bool { return true })
	records = append(records, g.groupTombstones()...)
	pending := g.pending // ids that were given out go with the group
	g.pending = nil
	if code = s.commitMany(env, g, records); code != wire.None {
		g.pending = pending
	}
	return code, g.end
}
