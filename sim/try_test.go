package sim_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"klamm/sim"
)

func TestTry(t *testing.T) {
	if os.Getenv("SEEDS") == "" {
		t.Skip()
	}
	n, _ := strconv.Atoi(os.Getenv("SEEDS"))
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	if os.Getenv("TRACE") != "" {
		opt := options(os.Getenv("PROFILE"))
		fmt.Print(sim.Describe(uint64(from), opt))
		opt.Trace = &sim.Trace{Limit: 1 << 28}
		r := sim.RunSafe(uint64(from), opt)
		os.WriteFile("/tmp/trace.txt", []byte(opt.Trace.Text.String()), 0644)
		fmt.Println(r.Failure, r.Events, r.Acked)
		return
	}
	c := sim.Campaign{Options: options(os.Getenv("PROFILE")), Seeds: uint64(n), From: uint64(from), Cores: 2}
	r := c.Run()
	for _, f := range r.Failures {
		fmt.Printf("seed %d %s %s step %d at %d: %.1000s\n", f.Seed, f.Set, f.Rule, f.Step, f.Millis, f.Text)
	}
	fmt.Printf("seeds %d failures %d calm %d/%d events50 %d acked50 %d faults50 %d crashed %d events %d\n", r.Seeds, len(r.Failures), r.Calm, r.MustCalm, r.Events50, r.Acked50, r.Faults50, r.Crashed, r.Events)
	fmt.Println(r.Zero)
}
