package sim

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"klamm/core"
	"klamm/disksim"
	"klamm/netsim"
)

// This file alone runs several worlds at once, one goroutine for each core, and takes down what a run panics
// with. Results are put together in the order of the seeds, so a campaign is a function of its seeds too.

const gcPercent = 800

// Campaign says which seeds to run.
type Campaign struct {
	Options
	From, Seeds uint64
	Cores       int
	Twice       bool // run each seed a second time and compare the hashes
	Stop        func() bool
}

// Report is what came of a campaign.
type Report struct {
	From      uint64       `json:"from"`
	Seeds     uint64       `json:"seeds"`
	Green     bool         `json:"green"`
	Failures  []FailedSeed `json:"failures"`
	Events    uint64       `json:"events"`
	Steps     uint64       `json:"steps"`
	Acked     uint64       `json:"acknowledged"`
	Read      uint64       `json:"read"`
	SimMillis int64        `json:"simulated_ms"`
	Calm      uint64       `json:"came_alive"` // seeds that made progress in the calm phase
	MustCalm  uint64       `json:"must_come_alive"`
	Events50  uint64       `json:"median_events"`
	Acked50   uint64       `json:"median_acknowledged"`
	Faults50  uint64       `json:"median_faults"`
	Crashed   uint64       `json:"seeds_with_a_crash"`
	Sets      []Count      `json:"fault_sets"`
	Faults    []Count      `json:"faults"`
	Zero      []string     `json:"faults_never_seen"`
	Marks     []Count      `json:"marks"`
	Workload  string       `json:"workload"`
	Deeds     []Count      `json:"deeds"`
	Hash      string       `json:"hash"`
}

// Count is a name and how often.
type Count struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// FailedSeed is a broken rule.
type FailedSeed struct {
	Seed   uint64 `json:"seed"`
	Rule   string `json:"invariant"`
	Step   uint64 `json:"step"`
	Millis int64  `json:"at_ms"`
	Set    string `json:"fault_set"`
	Text   string `json:"text"`
	Replay string `json:"replay"`
}

// RunSafe is Run, with a panic of a machine as a failure of the run.
func RunSafe(seed uint64, opt Options) (res Result) {
	defer func() {
		if p := recover(); p != nil {
			text := fmt.Sprint(p)
			if b, ok := p.(core.Broken); ok {
				text = b.Error()
			}
			if opt.Trace != nil {
				fmt.Fprintf(&opt.Trace.Text, "PANIC %s\n%s\n", text, debug.Stack())
			}
			res = Result{Seed: seed, Failure: &Failure{Rule: "I85", Text: "panic: " + text + " at " + where(string(debug.Stack()))}}
			opt.Record.died(&res)
		}
	}()
	return Run(seed, opt)
}

// failures runs scenarios, some at once, and returns how each failed: nil is not at all, and for those that are none.
func (opt *Options) failures(list []*Scenario, cores int) []*Failure {
	out := make([]*Failure, len(list))
	var next atomic.Uint64
	var wg sync.WaitGroup
	work := func(memory *Memory) {
		for i := next.Add(1) - 1; i < uint64(len(list)); i = next.Add(1) - 1 {
			if list[i] != nil {
				o := *opt
				o.Memory, o.Scenario, o.Save = memory, list[i], nil
				out[i] = RunSafe(list[i].Seed, o).Failure
			}
		}
	}
	for range min(cores, len(list)) - 1 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			work(&Memory{})
		}()
	}
	work(opt.Memory)
	wg.Wait()
	return out
}

// where names the place of a panic: the first two lines of our own code above it.
func where(stack string) string {
	_, after, _ := strings.Cut(stack, "panic.go")
	var places []string
	for _, line := range strings.Split(after, "\n") {
		line = strings.TrimSpace(line)
		i := strings.Index(line, ".go:")
		if i < 0 || strings.Contains(line, "core/must.go") || strings.Contains(line, "/runtime/") {
			continue
		}
		line, _, _ = strings.Cut(line, " ")
		parts := strings.Split(line, "/")
		places = append(places, strings.Join(parts[max(0, len(parts)-3):], "/"))
		if len(places) == 3 {
			break
		}
	}
	return strings.Join(places, " < ")
}

// Run runs the campaign.
func (c *Campaign) Run() *Report {
	cores := max(c.Cores, 1)
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent)) // worlds are small and short-lived
	results := make([]*Result, c.Seeds)
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range cores {
		wg.Add(1)
		go func() {
			defer wg.Done()
			opt := c.Options
			opt.Memory = &Memory{}
			for {
				i := next.Add(1) - 1
				if i >= c.Seeds || c.Stop != nil && c.Stop() {
					return
				}
				r := RunSafe(c.From+i, opt)
				if c.Twice && r.Failure == nil {
					if again := RunSafe(c.From+i, opt); again.Hash != r.Hash {
						r.Failure = &Failure{Rule: "I89", Text: fmt.Sprintf("a second run of the seed differs: %s and %s, %d and %d steps", r.Hash, again.Hash, r.Steps, again.Steps)}
					}
				}
				results[i] = &r
			}
		}()
	}
	wg.Wait()
	return c.report(results)
}

func (c *Campaign) report(results []*Result) *Report {
	rep := &Report{From: c.From, Failures: []FailedSeed{}, Zero: []string{}}
	var faults [FaultCount]uint64
	var net [netsim.CounterCount]uint64
	var disk [disksim.CounterCount]uint64
	var sets [SetCount]uint64
	row := c.Workload.row()
	deeds := make([]uint64, len(row.deeds))
	var events, acked, hurt []uint64
	var marks core.Marks
	var markCounts []Count
	var hash Hash
	for _, r := range results {
		if r == nil {
			continue
		}
		rep.Seeds++
		rep.Events += r.Events
		rep.Steps += r.Steps
		rep.Acked += uint64(r.Acked)
		rep.Read += uint64(r.Read)
		rep.SimMillis += r.Time.Millis()
		hash.Add(r.Hash.A, r.Hash.B)
		sets[r.Set]++
		events, acked, hurt = append(events, r.Events), append(acked, uint64(r.Acked)), append(hurt, uint64(r.Faults))
		if r.Crashes > 0 {
			rep.Crashed++
		}
		if r.Set != SetDamage && r.Set != SetLying {
			rep.MustCalm++
			if r.Calm {
				rep.Calm++
			}
		}
		for i, n := range r.Counts {
			faults[i] += n
		}
		for i, n := range r.Deeds {
			deeds[i] += n
		}
		for i, n := range r.Net {
			net[i] += n
		}
		for i, n := range r.Disk {
			disk[i] += n
		}
		if r.Marks != nil {
			for _, name := range r.Marks.Names() {
				if marks.Hit(name); marks.Count(name) == 1 {
					markCounts = append(markCounts, Count{Name: name})
				}
				i := slices.IndexFunc(markCounts, func(m Count) bool { return m.Name == name })
				markCounts[i].Count += r.Marks.Count(name)
			}
		}
		if f := r.Failure; f != nil {
			rep.Failures = append(rep.Failures, FailedSeed{r.Seed, f.Rule, f.Step, f.At.Millis(), r.Set.String(), f.Text, c.replay(r.Seed)})
		}
	}
	rep.Events50, rep.Acked50, rep.Faults50 = median(events), median(acked), median(hurt)
	rep.Hash = hash.String()
	rep.Marks = markCounts
	slices.SortFunc(rep.Marks, func(a, b Count) int { return strings.Compare(a.Name, b.Name) })
	for i, n := range sets {
		rep.Sets = append(rep.Sets, Count{FaultSet(i).String(), n})
	}
	for i, n := range faults {
		if !FaultKind(i).canCome(c.Nodes) {
			continue
		}
		rep.Faults = append(rep.Faults, Count{FaultKind(i).String(), n})
	}
	for i, n := range net {
		rep.Faults = append(rep.Faults, Count{netsim.Counter(i).String(), n})
	}
	for i, n := range disk {
		if damages(disksim.Counter(i)) && c.Nodes[0] > 1 {
			continue
		}
		rep.Faults = append(rep.Faults, Count{disksim.Counter(i).String(), n})
	}
	rep.Workload, rep.Deeds = row.name, []Count{}
	for i, n := range deeds {
		if !row.deeds[i].cluster || c.Nodes[1] > 1 {
			rep.Deeds = append(rep.Deeds, Count{row.deeds[i].name, n})
		}
	}
	for _, f := range append(slices.Clone(rep.Faults), rep.Deeds...) {
		if f.Count == 0 {
			rep.Zero = append(rep.Zero, f.Name)
		}
	}
	rep.Green = len(rep.Failures) == 0 && len(rep.Zero) == 0 && rep.Calm == rep.MustCalm && rep.Seeds == c.Seeds
	return rep
}

func (c *Campaign) replay(seed uint64) string {
	return fmt.Sprintf("klamm sim replay --trace --seed %d", seed) + c.Further()
}

// Further is what a command line needs, besides seeds, to mean the runs of this campaign.
func (c *Campaign) Further() (s string) {
	if c.Workload != Mixed {
		s += " --workload " + c.Workload.String()
	}
	if c.Profile != "" {
		s += " --profile " + c.Profile
	}
	if from, to := c.Nodes[0], c.Nodes[1]; to > from {
		s += fmt.Sprintf(" --nodes %d..%d", from, to)
	} else if from > 1 {
		s += fmt.Sprintf(" --nodes %d", from)
	}
	return s
}

func median(list []uint64) uint64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}
