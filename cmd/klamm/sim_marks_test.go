package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/sim"
)

// The list of marks out of reach holds marks that the source has, with reasons, and none that a few seeds hit.
func TestUnreachableMarks(t *testing.T) {
	opt, err := simOptions("", "1", "")
	require.NoError(t, err)
	c := sim.Campaign{Options: opt, Seeds: 30, From: 500, Cores: 2}
	r := c.Run()
	source := marksInSource("../../core")
	require.Greater(t, len(source), 50)
	_, wrong := marksJudged(source, r.Marks, true, true)
	require.Empty(t, wrong, "sim/marks.go lists marks that were hit, or that the source does not have")
	for _, u := range sim.UnreachableMarks {
		require.NotEmpty(t, u.Why, u.Mark)
	}
}

// A campaign that is large enough is red if it leaves out a mark, and any campaign if the list is wrong.
func TestMarksJudged(t *testing.T) {
	listed := sim.UnreachableMarks[0].Mark
	source := []string{"room.rare", "room.seen"}
	for _, u := range sim.UnreachableMarks {
		source = append(source, u.Mark)
	}
	hit := []sim.Count{{Name: "room.seen", Count: 3}}
	never, wrong := marksJudged(source, hit, true, true)
	require.Equal(t, []string{"room.rare"}, never)
	require.Empty(t, wrong)
	_, wrong = marksJudged(source, append(hit, sim.Count{Name: listed, Count: 1}), true, true)
	require.Equal(t, []string{listed}, wrong)
	_, wrong = marksJudged([]string{"room.seen"}, hit, true, true)
	require.Len(t, wrong, len(sim.UnreachableMarks), "none of the list is in the source")
	only := slices.IndexFunc(sim.UnreachableMarks, func(u sim.Unreachable) bool { return u.Alone && !u.Seldom })
	require.GreaterOrEqual(t, only, 0)
	of := sim.UnreachableMarks[only].Mark
	never, wrong = marksJudged(source, append(hit, sim.Count{Name: of, Count: 1}), true, true)
	require.Equal(t, []string{of}, wrong)
	require.NotContains(t, never, of)
	never, wrong = marksJudged(source, append(hit, sim.Count{Name: of, Count: 1}), false, true)
	require.Empty(t, wrong, "several nodes may come there")
	require.NotContains(t, never, of)
	never, _ = marksJudged(source, hit, false, true)
	require.Contains(t, never, of, "and then should")
	never, wrong = marksJudged(nil, hit, true, true)
	require.Empty(t, append(never, wrong...), "without the source nothing is known")

	r := simReport{Report: &sim.Report{Seeds: marksSeeds}, MarksNeverHit: never}
	require.False(t, r.marksMissing("", true))
	r.MarksNeverHit = []string{"room.rare"}
	require.True(t, r.marksMissing("", true))
	require.False(t, r.marksMissing("damage", true), "one set of faults need not come everywhere")
	require.False(t, r.marksMissing("", false), "nor every workload")
	r.Seeds--
	require.False(t, r.marksMissing("", true))
}
