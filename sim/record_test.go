package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/broker"
)

// A run that is recorded is the same run, and its recording is the same each time.
func TestRecordingChangesNothing(t *testing.T) {
	for _, c := range []struct {
		work  Workload
		nodes int
	}{{Mixed, 3}, {ExactlyOnce, 1}, {Groups, 3}} {
		opt := Options{Workload: c.work, Nodes: [2]int{c.nodes, c.nodes}, Broker: func() core.Machine { return broker.New() }, Pure: broker.Pure()}
		plain := Run(7, opt)
		var recs [2]Recording
		for i := range recs {
			opt.Record = &recs[i]
			r := Run(7, opt)
			require.Equal(t, plain.Hash, r.Hash, "%s, %d nodes", c.work, c.nodes)
			require.Equal(t, plain.Steps, r.Steps)
		}
		a, b := &recs[0], &recs[1]
		require.Equal(t, a.Rows, b.Rows)
		require.Equal(t, a.Changes, b.Changes)
		require.Equal(t, a.Deeds, b.Deeds)
		require.Equal(t, a.Names, b.Names)
		require.Equal(t, len(a.Frames), len(b.Frames))
		require.False(t, a.Cut)
		looks(t, a, c.nodes)
	}
}

// looks asserts that a recording holds what a reader asks for first.
func looks(t *testing.T, rec *Recording, nodes int) {
	var rows [RowKinds]int
	for i, r := range rec.Rows {
		rows[r.Kind]++
		require.True(t, i == 0 || r.Step >= rec.Rows[i-1].Step)
	}
	for _, k := range []RowKind{RowStarts, RowReady, RowFault, RowHealed, RowSync, RowWrite, RowDial} {
		require.NotZero(t, rows[k], "rows of kind %d", k)
	}
	got, answered := 0, 0
	for _, f := range rec.Frames {
		require.LessOrEqual(t, f.Sent.At, f.Got.At)
		if f.Got.Came() {
			got++
		}
		if f.Asks >= 0 {
			answered++
			require.False(t, f.Request)
			require.Equal(t, rec.Frames[f.Asks].Bytes[8:12], f.Bytes[4:8], "an answer carries the number of its request")
			require.Equal(t, [2]int16{f.From, f.To}, [2]int16{rec.Frames[f.Asks].To, rec.Frames[f.Asks].From})
		}
	}
	require.Greater(t, got, len(rec.Frames)*3/4, "most frames come")
	require.Greater(t, answered, len(rec.Frames)/3, "most requests are answered")
	var outcomes [5]int
	for _, d := range rec.Deeds {
		outcomes[d.Outcome]++
	}
	require.NotZero(t, outcomes[OutcomeDone])
	leads := 0
	for _, c := range rec.Changes {
		if s := rec.Subjects[c.Subject]; s.Kind == SubjectLog && c.Field == LogRole && c.Value == LogLeads {
			leads++
		}
	}
	require.NotZero(t, leads, "somebody leads")
	require.Len(t, rec.Plan, len(rec.Plan))
	servers := 0
	for _, n := range rec.Nodes {
		if n.Broker {
			servers++
		}
	}
	require.Equal(t, nodes, servers)
}

// A recording that begins late has the end of the run whole: what came from then on is what a whole recording has.
func TestRecordingFromAStep(t *testing.T) {
	opt := Options{Nodes: [2]int{3, 3}, Broker: func() core.Machine { return broker.New() }, Pure: broker.Pure()}
	whole, late := Recording{}, Recording{From: 6000}
	opt.Record = &whole
	r := Run(7, opt)
	opt.Record = &late
	require.Equal(t, r.Hash, Run(7, opt).Hash)
	require.Len(t, late.Changes, len(whole.Changes), "changes are kept from the first on")
	since := func(rec *Recording) (frames, rows, got int) {
		for _, f := range rec.Frames {
			if f.Sent.Step >= 6000 {
				if frames++; f.Got.Came() {
					got++
				}
			}
		}
		for _, r := range rec.Rows {
			if r.Step >= 6000 {
				rows++
			}
		}
		return
	}
	a, b, c := since(&whole)
	x, y, z := since(&late)
	require.Equal(t, [3]int{a, b, c}, [3]int{x, y, z})
	require.Less(t, len(late.Frames), len(whole.Frames))
}

// What is over the limit is left out, and that is said.
func TestRecordingIsBounded(t *testing.T) {
	rec := Recording{Limit: 500}
	opt := Options{Nodes: [2]int{1, 1}, Broker: func() core.Machine { return broker.New() }, Pure: broker.Pure(), Record: &rec}
	Run(7, opt)
	require.True(t, rec.Cut)
	require.LessOrEqual(t, len(rec.Rows)+len(rec.Frames)+len(rec.Deeds)+len(rec.Changes), 520)
}

// stumbling is a broker that panics at some step.
type stumbling struct {
	*broker.Broker
	left *int
}

func (s stumbling) Step(now core.Now, ev *core.Event, out *core.Out) {
	if *s.left--; *s.left == 0 {
		panic("as planned")
	}
	s.Broker.Step(now, ev, out)
}

// A run that ends in a panic is recorded up to it, and says at which node it came.
func TestRecordingOfAPanic(t *testing.T) {
	var rec Recording
	left := 3000
	opt := Options{Nodes: [2]int{3, 3}, Broker: func() core.Machine { return stumbling{broker.New(), &left} }, Pure: broker.Pure(), Record: &rec}
	res := RunSafe(7, opt)
	require.NotNil(t, res.Failure)
	require.Contains(t, res.Failure.Text, "as planned")
	require.NotZero(t, res.Failure.Step)
	require.NotEmpty(t, rec.Plan)
	require.NotEmpty(t, rec.Config)
	last := rec.Rows[len(rec.Rows)-1]
	require.Equal(t, RowBroken, last.Kind)
	require.Equal(t, res.Failure.Step, last.Step)
	require.GreaterOrEqual(t, last.Node, int16(0))
	require.Contains(t, rec.Names[last.Text], "as planned")
}
