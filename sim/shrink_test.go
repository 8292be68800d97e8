package sim_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/broker"
	"klamm/sim"
)

// frail is a broker with a planted bug: it dies of the third batch that it is sent after its wall clock has leapt by more than ten seconds.
type frail struct {
	core.Machine
	offset  core.Time // wall - mono
	batches int       // after the leap, and 1; 0: there was none
}

func (f *frail) Step(now core.Now, ev *core.Event, out *core.Out) {
	was := f.offset
	if f.offset = now.Wall - now.Mono; ev.Kind != core.Boot && f.offset > was+10*core.Second {
		f.batches = 1
	}
	if f.batches > 0 && ev.Kind == core.Frame && len(ev.Data) > 8 && ev.Conn%2 == 1 && ev.Data[4] == 0 && ev.Data[5] == 0 {
		f.batches++
		core.Must(f.batches < 4, "a planted bug")
	}
	f.Machine.Step(now, ev, out)
}

// Ready passes on what the world asks a machine for.
func (f *frail) Ready() bool { return f.Machine.(interface{ Ready() bool }).Ready() }

func frailOptions(t *testing.T) sim.Options {
	opt := optionsFor(t, "mixed", 1)
	opt.Profile = "sync"
	return opt
}

// shrunk shrinks the first of a few seeds that fail with the planted bug.
func shrunk(t *testing.T, cores int) *sim.Shrunk {
	opt := frailOptions(t)
	opt.Broker = func() core.Machine { return &frail{Machine: broker.New()} }
	for seed := range uint64(20) {
		var saved sim.Scenario
		opt.Save = &saved
		if r := sim.RunSafe(seed, opt); r.Failure == nil {
			continue
		}
		opt.Save = nil
		s := sim.Shrink{Options: opt, From: &saved, Cores: cores, Runs: 1000}
		got, err := s.Run()
		require.NoError(t, err)
		return got
	}
	t.Fatal("no seed failed")
	return nil
}

// What is left of a run is small, says which fault it needs, fails in the same way when it is read again, and is the same each time.
func TestShrink(t *testing.T) {
	got := shrunk(t, 1)
	text := got.Scenario.String()
	require.True(t, got.Whole)
	require.Equal(t, "I85", got.Failure.Rule, text)
	require.Contains(t, got.Failure.Text, "a planted bug")
	require.Len(t, got.Necessary, 1, text)
	require.LessOrEqual(t, strings.Count(text, "\n"), 12, text)
	require.Contains(t, got.Necessary[0], "clock.")
	require.Equal(t, text, shrunk(t, 3).Scenario.String(), "the result depends on how many runs are made at once")
	t.Logf("%d runs, %v\n%s", got.Runs, got.Taken, text)
}

// A run that breaks nothing can't be shrunk.
func TestShrinkNothing(t *testing.T) {
	opt := optionsFor(t, "mixed", 1)
	var saved sim.Scenario
	opt.Save = &saved
	sim.RunSafe(1, opt)
	opt.Save = nil
	_, err := (&sim.Shrink{Options: opt, From: &saved, Runs: 10}).Run()
	require.ErrorContains(t, err, "breaks no rule")
}

// Two runs of one seed have the same steps; runs of machines that do not replay part at a step that is named.
func TestStepsPart(t *testing.T) {
	opt := frailOptions(t)
	var logs [3]sim.StepLog
	for i := range logs {
		opt.Steps = &logs[i]
		if i == 2 {
			opt.Broker = func() core.Machine { return &noisy{Machine: broker.New()} }
		}
		sim.RunSafe(5, opt)
	}
	_, _, same := logs[0].Part(&logs[1])
	require.True(t, same)
	step, where, same := logs[0].Part(&logs[2])
	require.False(t, same)
	require.GreaterOrEqual(t, step, uint64(60), where)
	require.Contains(t, where, "what the step made is not the same")
}

// noisy is a broker that has one more effect at its sixtieth step.
type noisy struct {
	core.Machine
	steps int
}

func (m *noisy) Ready() bool { return m.Machine.(interface{ Ready() bool }).Ready() }

func (m *noisy) Step(now core.Now, ev *core.Event, out *core.Out) {
	m.Machine.Step(now, ev, out)
	if m.steps++; m.steps == 60 {
		out.Note(core.Debug, "noise")
	}
}
