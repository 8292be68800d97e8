package broker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/replica"
)

// A change of the in-sync set that is asked for once more is asked for those who were known when it was decided on. A follower that has
// come back in another life, with less, is not named with that life: the controller knows it, and would take it in.
func TestSameChangeOfInSyncSetAgain(t *testing.T) {
	b := &Broker{}
	b.cfg.NodeID, b.life.epoch = 1, 10
	terms := replica.Terms{Self: 1, Epoch: 5, Version: 3, MinISR: 1, ISR: []core.NodeID{1}, LagMax: core.Second,
		Replicas: []replica.Replica{{Node: 1, Epoch: 10}, {Node: 2, Epoch: 20}}}
	h := &hosted{leader: replica.Lead(core.Second, terms, 0, 100, 100, 100)}
	h.leader.Fetched(core.Second, 2, 20, 100, 0)
	require.Equal(t, []core.NodeID{1, 2}, h.leader.Propose(core.Second))
	first := b.isrRow(h)
	require.Len(t, first.NewEpochISR, 2)
	require.EqualValues(t, 10, first.NewEpochISR[0].BrokerEpoch)
	require.EqualValues(t, 20, first.NewEpochISR[1].BrokerEpoch)

	terms.Replicas[1].Epoch = 30
	h.leader.Replicas(core.Second, terms.Replicas)
	h.leader.Fetched(core.Second, 2, 30, 0, 0)
	require.Equal(t, first, b.isrRow(h))
}
