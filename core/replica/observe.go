package replica

import "klamm/core"

// Copy is what a leader believes of one follower.
type Copy struct {
	Node core.NodeID
	End  core.Offset // its copy is safe below; -1 before it has fetched in this epoch
	// AskedAt is when the leader last took a fetch of it into its account, Caught the last instant at which it held all that there was.
	AskedAt, Caught core.Time
	Barred          bool // it may not join: its broker is fenced or about to stop
	Former          bool // it last fetched in another life than the one that is registered
}

// Copies lists what the leader believes of its followers, sorted by node, for those who look at it between two Steps.
func (l *Leader) Copies() (all []Copy) {
	for i := range l.followers {
		f := &l.followers[i]
		all = append(all, Copy{f.node, f.end, f.askedAt, f.caughtUp, f.barred, f.epoch >= 0 && f.epoch != f.known})
	}
	return all
}

// LagMax is how long a follower may be behind before it counts as late.
func (l *Leader) LagMax() core.Time { return l.lagMax }
