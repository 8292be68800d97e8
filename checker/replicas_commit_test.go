package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A replica is taken out of the assignment, which begins a leader epoch, gives its copy up, and is taken in again before its leader has
// heard of either: that one counts what the copy was. Nobody else may, nor more than that.
func TestReplicasGivenUp(t *testing.T) {
	reg := func(epoch, leader, leaderEpoch int32, replicas ...int32) Registration {
		return Registration{Leader: leader, LeaderEpoch: leaderEpoch, Epoch: epoch, Replicas: replicas, ISR: []int32{1, 3}, MinISR: 2}
	}
	for _, c := range []struct {
		name string
		do   func(p *play)
		want string // empty: accepted
	}{
		{"by a leader that is to begin a new epoch, and has not heard of it", func(p *play) {
			p.Registered(reg(1, 1, 2, 1, 3), nil, nil)
			p.Registered(reg(2, 1, 2, 1, 3, 2), nil, nil)
			p.Deleted(2)
			p.lead(1, 1, 20, 1, 2, 3)
		}, ""},
		{"by one that was succeeded by another, who has not heard of it", func(p *play) {
			p.Registered(reg(1, 3, 2, 1, 3), nil, nil)
			p.Deleted(2)
			p.lead(1, 1, 20, 1, 2, 3)
		}, ""},
		{"by the leader that the metadata have", func(p *play) {
			p.Registered(reg(1, 1, 1, 1, 3), nil, nil)
			p.Deleted(2)
			p.lead(1, 1, 20, 1, 2, 3)
		}, "I28"},
		{"by the leader of the new epoch", func(p *play) {
			p.Registered(reg(1, 1, 2, 1, 3), nil, nil)
			p.Registered(reg(2, 1, 2, 1, 3, 2), nil, nil)
			p.Deleted(2)
			p.lead(1, 2, 20, 1, 2, 3)
		}, "I28"},
		{"counted beyond what it was", func(p *play) {
			p.Registered(reg(1, 1, 2, 1, 3), nil, nil)
			p.Deleted(2)
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 2, 3}, MinISR: 2, Followers: []Booked{{2, 30}, {3, 20}}})
		}, "I28"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := begun()
			require.Empty(t, p.Found())
			c.do(p)
			var rule string
			if found := p.Found(); len(found) > 0 {
				rule = found[0].Invariant
			}
			require.Equal(t, c.want, rule)
		})
	}
}
