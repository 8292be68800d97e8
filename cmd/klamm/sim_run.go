package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/broker"
	"klamm/sim"
)

func newSimCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Attack the broker in a simulated world, from a seed",
		Long: `Runs the broker and its clients, unchanged, on a simulated network, disk and clock that fail by seed: crashes
at any instant, lost and torn writes, failed syncs, cut connections, jumping clocks. One seed is one run, and replays.`,
	}
	cmd.AddCommand(newSimRunCommand(), newSimReplayCommand(), newSimTraceCommand(), newSimShowCommand(), newSimShrinkCommand())
	return cmd
}

// simOptions is how a seed is run.
func simOptions(profile, nodes, workload string) (sim.Options, error) {
	from, to, err := parseNodes(nodes)
	if err != nil {
		return sim.Options{}, err
	}
	if profile != "" && !slices.Contains(sim.Profiles(), profile) {
		return sim.Options{}, usagef("--profile %s: none of %v", profile, sim.Profiles())
	}
	work, ok := sim.ParseWorkload(workload)
	if !ok {
		return sim.Options{}, usagef("--workload %s: none of %v", workload, sim.Workloads())
	}
	return sim.Options{Workload: work, Profile: profile, Nodes: [2]int{from, to}, Broker: func() core.Machine { return broker.New() }, Pure: broker.Pure()}, nil
}

const nodesHelp = "how many nodes the cluster has: one number, or a range such as 3..7 from which each seed draws"

// workloadHelp tells the workloads.
func workloadHelp() string {
	s := "what the clients do:"
	for w, name := range sim.Workloads() {
		s += fmt.Sprintf("\n%s: %s", name, sim.Workload(w).About())
	}
	return s
}

// parseNodes reads a number or a range.
func parseNodes(text string) (from, to int, err error) {
	first, last, isRange := strings.Cut(text, "..")
	from, err = strconv.Atoi(first)
	if to = from; err == nil && isRange {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 1 || to < from || to > sim.ServersMax {
		return 0, 0, usagef("--nodes %s: give a number from 1 to %d, or a range such as 3..7", text, sim.ServersMax)
	}
	return from, to, nil
}

// simReport is what sim run prints: the campaign, and how fast it was.
type simReport struct {
	*sim.Report
	Asked           uint64  `json:"seeds_asked_for"`
	Cores           int     `json:"cores"`
	Seconds         float64 `json:"seconds"`
	EventsPerSecond int64   `json:"events_per_second_and_core"` // of processor time, collector and kernel included
	SeedsPerSecond  float64 `json:"seeds_per_second"`
	// MarksNeverHit needs the source tree: it is looked for in the working directory.
	MarksNeverHit []string `json:"marks_never_hit"`
	// MarksWrong are marks on the list of those out of reach that were hit, or that the source does not have.
	MarksWrong []string `json:"marks_wrongly_listed"`
}

func newSimRunCommand() *cobra.Command {
	var c sim.Campaign
	var seed int64
	var profile, nodes, workload, cpuProfile string
	var limit time.Duration
	var save, saveFailures string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run many seeds; green only if every promise held and every kind of fault came",
		Example: `  klamm sim run --seeds 1000
  klamm sim run --seed 42
  klamm sim run --nodes 3..7 --seeds 1000
  klamm sim run --workload groups --seeds 1000`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.Uint64Var(&c.Seeds, "seeds", 1000, "how many seeds")
	f.Uint64Var(&c.From, "from", 0, "the first seed")
	f.Int64Var(&seed, "seed", -1, "this seed only; then faults that never came are no failure")
	f.StringVar(&profile, "profile", "", fmt.Sprintf("the set of faults instead of a drawn one: %v", sim.Profiles()))
	f.StringVar(&nodes, "nodes", "1", nodesHelp)
	f.StringVar(&workload, "workload", "mixed", workloadHelp())
	f.IntVar(&c.Cores, "cores", runtime.NumCPU(), "how many at once")
	f.BoolVar(&c.Twice, "twice", false, "run each seed twice and compare the hashes")
	f.StringVar(&save, "save", "", "with --seed: write the run as a scenario to this file")
	f.StringVar(&saveFailures, "save-failures", "", "write each seed that broke a promise as a scenario into this directory")
	f.DurationVar(&limit, "limit", 0, "stop after this long; seeds that were not reached are no pass")
	f.StringVar(&cpuProfile, "cpuprofile", "", "write a profile of the CPU to this file, for go tool pprof, and for go build -pgo (cmd/klamm/default.pgo is one)")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opt, err := simOptions(profile, nodes, workload)
		if err != nil {
			return err
		}
		if cpuProfile != "" {
			file, err := os.Create(cpuProfile)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := pprof.StartCPUProfile(file); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
		}
		c.Options = opt
		if save != "" && seed < 0 {
			return usagef("--save needs --seed: give a directory with --save-failures to save those of a campaign")
		}
		if seed >= 0 {
			c.From, c.Seeds = uint64(seed), 1
		}
		runtime.MemProfileRate = 0 // nobody asks this command for the profile, and its samples cost a hundredth of the time
		start := time.Now()
		used := cpuTime()
		c.Stop = func() bool { return limit > 0 && time.Since(start) > limit }
		r := simReport{Report: c.Run(), Asked: c.Seeds, Cores: c.Cores}
		took := time.Since(start)
		r.Seconds = took.Seconds()
		if used = cpuTime() - used; used > 0 {
			r.EventsPerSecond = int64(float64(r.Events) / used.Seconds())
		}
		r.SeedsPerSecond = float64(r.Seeds) / took.Seconds()
		if err := saveRuns(save, saveFailures, &c, r.Report); err != nil {
			return err
		}
		r.MarksNeverHit, r.MarksWrong = marksJudged(marksInSource("core"), r.Marks, opt.Nodes[1] <= 1, opt.Workload == sim.Mixed)
		r.Green = r.Green && len(r.MarksWrong) == 0 && !r.marksMissing(profile, opt.Workload == sim.Mixed)
		if *format == "json" {
			if err := printJSON(cmd.OutOrStdout(), r); err != nil {
				return err
			}
		} else {
			printSimReport(cmd.OutOrStdout(), &c, &r)
		}
		if r.Green || seed >= 0 && len(r.Failures) == 0 && r.Calm == r.MustCalm {
			return nil
		}
		return errSilent
	}
	return cmd
}

var markCall = regexp.MustCompile(`\.Mark\("([^"]+)"\)`)

// marksSeeds is how many seeds must have hit every mark that is within reach.
const marksSeeds = 20_000

// marksMissing reports that a large campaign left out a mark that it could have hit.
func (r *simReport) marksMissing(profile string, mixed bool) bool {
	return profile == "" && mixed && r.Seeds >= marksSeeds && len(r.MarksNeverHit) > 0
}

// marksJudged compares the marks of the source with those that were hit and those that are out of reach; alone says that
// every cluster had one node, mixed that the workload was the mixed one.
func marksJudged(source []string, hit []sim.Count, alone, mixed bool) (never, wrong []string) {
	if len(source) == 0 {
		return nil, nil // it is not here
	}
	isHit := func(name string) bool {
		return slices.ContainsFunc(hit, func(c sim.Count) bool { return c.Name == name && c.Count > 0 })
	}
	for _, name := range source {
		out := slices.ContainsFunc(sim.UnreachableMarks, func(u sim.Unreachable) bool { return u.Mark == name && u.Holds(alone, mixed) })
		if !isHit(name) && !out {
			never = append(never, name)
		}
	}
	for _, u := range sim.UnreachableMarks {
		if isHit(u.Mark) && u.Holds(alone, mixed) && !u.Seldom || !slices.Contains(source, u.Mark) {
			wrong = append(wrong, u.Mark)
		}
	}
	return never, wrong
}

// marksInSource lists the marks in the source under dir, sorted.
func marksInSource(dir string) (marks []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for _, m := range markCall.FindAllStringSubmatch(string(b), -1) {
			marks = append(marks, m[1])
		}
		return nil
	})
	slices.Sort(marks)
	return slices.Compact(marks)
}

// cpuTime is what this process has used of all cores: other programs on the machine do not count.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func printSimReport(w io.Writer, c *sim.Campaign, r *simReport) {
	fmt.Fprintf(w, "workload    %s\n", r.Workload)
	fmt.Fprintf(w, "seeds       %d from %d, %.1f s on %d cores, %.1f a second\n", r.Seeds, r.From, r.Seconds, r.Cores, r.SeedsPerSecond)
	fmt.Fprintf(w, "events      %d, %d a second and core; median of a seed %d\n", r.Events, r.EventsPerSecond, r.Events50)
	fmt.Fprintf(w, "operations  %d acknowledged, %d read; median of a seed %d acknowledged\n", r.Acked, r.Read, r.Acked50)
	fmt.Fprintf(w, "faults      median of a seed %d; %d seeds had a crash\n", r.Faults50, r.Crashed)
	fmt.Fprintf(w, "came alive  %d of %d\n", r.Calm, r.MustCalm)
	fmt.Fprintf(w, "hash        %s\n", r.Hash)
	var rows [][]string
	for _, x := range r.Faults {
		rows = append(rows, []string{x.Name, strconv.FormatUint(x.Count, 10)})
	}
	fmt.Fprintln(w)
	_ = printTable(w, []string{"FAULT", "TIMES"}, rows)
	if rows = nil; len(r.Deeds) > 0 {
		for _, x := range r.Deeds {
			rows = append(rows, []string{x.Name, strconv.FormatUint(x.Count, 10)})
		}
		fmt.Fprintln(w)
		_ = printTable(w, []string{"DEED", "TIMES"}, rows)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "\nseed %d broke %s at step %d (%d ms, faults %s): %s\n  %s\n", f.Seed, f.Rule, f.Step, f.Millis, f.Set, f.Text, f.Replay)
	}
	if len(r.MarksNeverHit) > 0 && r.Seeds > 1 {
		fmt.Fprintf(w, "\nmarks never hit: %v\n", r.MarksNeverHit)
	}
	if len(r.MarksWrong) > 0 {
		fmt.Fprintf(w, "\nnot green: marks on the list of those out of reach (sim/marks.go) that were hit or do not exist: %v\n", r.MarksWrong)
	}
	if r.Green {
		fmt.Fprintln(w, "\ngreen")
		return
	}
	fmt.Fprintln(w)
	if n := len(r.Failures); n > 0 {
		fmt.Fprintf(w, "not green: %d of %d seeds broke a promise. Look at the first, or make it small:\n  %s | tail -100\n  klamm sim shrink --seed %d%s\n", n, r.Seeds,
			r.Failures[0].Replay, r.Failures[0].Seed, c.Further())
	}
	if n := r.MustCalm - r.Calm; n > 0 {
		fmt.Fprintf(w, "not green: %d seeds made no progress after healing; each failure above of I87 says who is stuck\n", n)
	}
	if r.Seeds < r.Asked {
		fmt.Fprintf(w, "not measured: the limit of time ended it after %d of %d seeds. Go on with:\n  klamm sim run%s --from %d --seeds %d\n", r.Seeds, r.Asked, c.Further(), r.From+r.Seeds, r.Asked-r.Seeds)
	}
	if r.Workload == sim.Mixed.String() && r.Seeds >= marksSeeds && len(r.MarksNeverHit) > 0 {
		fmt.Fprintf(w, "not green: %d seeds never came to the marks named above: reach them, or list them with a reason in sim/marks.go\n", r.Seeds)
	}
	if len(r.Zero) > 0 && r.Asked > 1 {
		fmt.Fprintf(w, "these never came, so nothing is known of them: %s\nGo on with more seeds:\n  klamm sim run%s --from %d --seeds %d\n", strings.Join(r.Zero, " "), c.Further(), r.From+r.Seeds, r.Asked)
	}
}
