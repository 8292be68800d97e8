package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every workload has a name of its own that finds it, and says what it is.
func TestWorkloads(t *testing.T) {
	names := map[string]bool{}
	for w := range workloadCount {
		row := w.row()
		require.NotEmpty(t, row.name)
		require.NotEmpty(t, row.about)
		require.False(t, names[row.name], row.name)
		names[row.name] = true
		found, ok := ParseWorkload(row.name)
		require.True(t, ok)
		require.Equal(t, w, found)
	}
	w, ok := ParseWorkload("")
	require.True(t, ok)
	require.Equal(t, Mixed, w)
	_, ok = ParseWorkload("nothing of the kind")
	require.False(t, ok)
	require.Equal(t, "none", workloadCount.String())
}

// A workload is part of what a seed means: it is in the configuration, the report, the replay and the hash.
func TestWorkloadIsSaid(t *testing.T) {
	opt := Options{Workload: Groups}
	require.Contains(t, Describe(1, opt), "workload groups")
	require.NotContains(t, Describe(1, Options{}), "workload")
	c := Campaign{Options: opt, Seeds: 1}
	require.Contains(t, c.replay(7), "--workload groups")
	rep := c.report(make([]*Result, 1))
	require.Equal(t, "groups", rep.Workload)
	require.Contains(t, rep.Zero, "member-left", "a deed that never happened makes a campaign red")
	require.NotContains(t, rep.Zero, "coordinator-moved", "unless one node can't do it")
	c.Nodes = [2]int{3, 3}
	require.Contains(t, c.report(make([]*Result, 1)).Zero, "coordinator-moved")
}

// A crowd that is killed has forgotten the sequences of its producers: its next life is other producers.
func TestLivesOfTheCrowd(t *testing.T) {
	opt := Options{Workload: ExactlyOnce}
	r := &run{w: NewWorld(NewKeyed(1)), opt: &opt, oracle: NewOracle()}
	r.cfg = drawConfig(r.w.Choices, &opt)
	r.cfg.crowd = 30
	seen := map[int64]bool{}
	for life := range uint64(3) {
		c := r.newCrowd(8<<16 | life)
		require.Len(t, c.members, 30)
		for _, m := range c.members {
			require.False(t, seen[m.pid], "producer %d", m.pid)
			seen[m.pid] = true
		}
	}
}
