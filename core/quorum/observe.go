package quorum

import "klamm/core"

// Ballot is what the node holds of the quorum's present epoch, for those who look at it between two Steps.
func (n *Node) Ballot() (epoch core.Epoch, leader, voted core.NodeID) {
	return n.state.epoch, n.state.leader, n.state.voted
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
