package sim

import (
	"fmt"
	"strings"

	"klamm/core"
	"klamm/disksim"
	"klamm/netsim"
)

// Options say how to run a seed.
type Options struct {
	Workload Workload
	Profile  string // the name of a fault set, or empty: drawn
	Nodes    [2]int // how many nodes the cluster has: from, to; 0 is 1
	Trace    *Trace
	Choices  Chooser    // instead of the seed's own
	Scenario *Scenario  // instead of a drawn configuration, plan and script
	Save     *Scenario  // is filled with those of the run
	Steps    *StepLog   // is filled with the steps
	Patience core.Time  // how long healing may take; 0: calmTime
	To       uint64     // the step after which the run stops; 0: it goes to its end
	Memory   *Memory    // of runs before; not shared by runs at one time
	Record   *Recording // to be filled; nil: the run is not recorded
	Broker   func() core.Machine
	Pure     core.Pure
}

// Profiles are the names of the sets of faults.
func Profiles() (names []string) {
	for s := range SetCount {
		names = append(names, s.String())
	}
	return names
}

// Describe is what a seed's run will be like: its configuration and its plan.
func Describe(seed uint64, opt Options) string {
	choices := NewKeyed(seed)
	cfg := drawConfig(choices, &opt)
	var b strings.Builder
	b.WriteString(cfg.String())
	for _, f := range drawPlan(choices, &cfg) {
		fmt.Fprintf(&b, "%s %s node=%d for=%dms p=%d q=%d\n", instant(f.At), f.Kind, f.Node, f.For.Millis(), f.P, f.Q)
	}
	return b.String()
}

// Result is what came of one run.
type Result struct {
	Seed          uint64
	Set           FaultSet
	Failure       *Failure
	Hash          Hash
	Events, Steps uint64
	Acked, Read   int
	Faults        int // misfortunes of the plan that came
	Crashes       int
	Calm          bool // everything came alive after healing
	Time          core.Time
	Counts        [FaultCount]uint64
	Net           [netsim.CounterCount]uint64
	Disk          [disksim.CounterCount]uint64
	Marks         *core.Marks
	Deeds         []uint64 // of the workload
	Stopped       string   // the world at the step at which the run was to stop
}
