package sim_test

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/broker"
	"klamm/sim"
)

func options(profile string) sim.Options {
	return sim.Options{Profile: profile, Broker: func() core.Machine { return broker.New() }, Pure: broker.Pure()}
}

// A few seeds of the real broker: a smoke test. The campaign is klamm sim run.
func TestBrokerSmoke(t *testing.T) {
	c := sim.Campaign{Options: options(""), Seeds: 40, Cores: runtime.NumCPU()}
	r := c.Run()
	for _, f := range r.Failures {
		t.Errorf("seed %d broke %s at step %d: %s\n%s", f.Seed, f.Rule, f.Step, f.Text, f.Replay)
	}
	require.Equal(t, r.MustCalm, r.Calm)
	t.Logf("median events %d, acknowledged %d, faults %d; crashed %d of %d", r.Events50, r.Acked50, r.Faults50, r.Crashed, r.Seeds)
}

// A few seeds of a cluster with every fault that only a cluster can suffer, each run twice: a smoke test. The campaign is
// klamm sim run --nodes 3..7.
func TestClusterSmoke(t *testing.T) {
	opt := options("")
	opt.Nodes = [2]int{3, 5}
	c := sim.Campaign{Options: opt, Seeds: 12, Cores: runtime.NumCPU(), Twice: true}
	r := c.Run()
	for _, f := range r.Failures {
		t.Errorf("seed %d broke %s at step %d: %s\n%s", f.Seed, f.Rule, f.Step, f.Text, f.Replay)
	}
	require.Equal(t, r.MustCalm, r.Calm)
	t.Logf("median events %d, acknowledged %d, faults %d; crashed %d of %d", r.Events50, r.Acked50, r.Faults50, r.Crashed, r.Seeds)
}

// A seed is one run: whatever ran before it in this process, beside it, and on however many cores.
func TestRunsAreDeterministic(t *testing.T) {
	report := func(cores int) string {
		c := sim.Campaign{Options: options(""), Seeds: 10, From: 1000, Cores: cores}
		b, err := json.Marshal(c.Run())
		require.NoError(t, err)
		return string(b)
	}
	many := report(4)
	before := runtime.GOMAXPROCS(1)
	one := report(1)
	runtime.GOMAXPROCS(before)
	require.Equal(t, one, many)
}

// FuzzWorld lets the fuzzer draw: the bytes are the choices, and when they are used up all is benign.
func FuzzWorld(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, tape []byte) {
		opt := options("")
		opt.Choices = &sim.BytesTape{Left: tape}
		if r := sim.RunSafe(0, opt); r.Failure != nil {
			t.Fatalf("broke %s at step %d: %s", r.Failure.Rule, r.Failure.Step, r.Failure.Text)
		}
	})
}
