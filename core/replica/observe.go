package replica

import "klamm/core"

// Copy is how far a leader believes a follower's copy to be safe; -1 before it has fetched in this epoch.
type Copy struct {
	Node core.NodeID
	End  core.Offset
}

// Copies lists what the leader believes of its followers, sorted by node, for those who look at it between two Steps.
func (l *Leader) Copies() (all []Copy) {
	for i := range l.followers {
		all = append(all, Copy{l.followers[i].node, l.followers[i].end})
	}
	return all
}
