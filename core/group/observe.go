package group

import "iter"

// Now is a group as it stands between two Steps, for those who look at a run.
type Now struct {
	Name, Type, Phase string
	Generation        int32 // of a group of the consumer protocol: its epoch
	Members           int
}

// Look lists the groups, sorted by name.
func (s *State) Look() iter.Seq[Now] {
	return func(yield func(Now) bool) {
		for _, name := range s.names {
			g := s.groups[name]
			now := Now{Name: name, Type: TypeClassic, Phase: g.phase.String(), Generation: g.stored.Generation, Members: len(g.members)}
			if c := g.consumers; c != nil {
				now.Type, now.Phase, now.Generation, now.Members = TypeConsumer, c.phaseName(), c.epoch, len(c.members)
			}
			if !yield(now) {
				return
			}
		}
	}
}
