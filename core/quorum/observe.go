package quorum

import "klamm/core"

// Ballot is what the node holds of the quorum's present epoch, for those who look at it between two Steps.
func (n *Node) Ballot() (epoch core.Epoch, leader, voted core.NodeID) {
	return n.state.epoch, n.state.leader, n.state.voted
}
