package quorum

import (
	"klamm/core"
	"klamm/core/log"
)

// Ballot is what the node holds of the quorum's present epoch, for those who look at it between two Steps.
func (n *Node) Ballot() (epoch core.Epoch, leader, voted core.NodeID) {
	return n.state.epoch, n.state.leader, n.state.voted
}

// Settled reports whether the node takes part in the quorum and its log is not being cut: then it goes by what is in the log.
func (n *Node) Settled(store *log.Store) bool {
	return n.failed == "" && n.stage == stageServing && !n.logBusy(store)
}

// NewestSnapshot is the newest snapshot on disk; zero if there is none.
func (n *Node) NewestSnapshot() (id SnapshotID) {
	if i := len(n.snapshots) - 1; i >= 0 {
		return n.snapshots[i]
	}
	return id
}

// Copy is how far a leader of the quorum believes another node's copy to be durable; -1 before it has fetched in this epoch.
type Copy struct {
	Node core.NodeID
	End  core.Offset
}

// Copies lists what the leader of the quorum believes of the other voters, likewise; nil if this node does not lead.
func (n *Node) Copies() (all []Copy) {
	if n.role != Leader {
		return nil
	}
	for i := range n.peers {
		all = append(all, Copy{n.peers[i].id, n.peers[i].end})
	}
	return all
}
