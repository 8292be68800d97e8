package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"klamm/sim"
)

// simSource says which run a command is about: a seed with its flags, or a scenario file.
type simSource struct {
	seed                     uint64
	profile, nodes, workload string
}

func addSimSource(cmd *cobra.Command) *simSource {
	s := &simSource{}
	f := cmd.Flags()
	f.Uint64Var(&s.seed, "seed", 0, "the seed")
	f.StringVar(&s.profile, "profile", "", "the set of faults, as it was given to sim run")
	f.StringVar(&s.nodes, "nodes", "1", nodesHelp+", as it was given to sim run")
	f.StringVar(&s.workload, "workload", "mixed", "as it was given to sim run")
	cmd.Args = cobra.MaximumNArgs(1)
	return s
}

// options are how the run is made; with a file they hold its scenario.
func (s *simSource) options(cmd *cobra.Command, args []string) (opt sim.Options, seed uint64, err error) {
	if opt, err = simOptions(s.profile, s.nodes, s.workload); err != nil {
		return opt, 0, err
	}
	opt.Memory = &sim.Memory{}
	if len(args) == 0 {
		if !cmd.Flags().Changed("seed") {
			return opt, 0, usagef("%s what? Give a scenario file, or --seed N", cmd.Name())
		}
		return opt, s.seed, nil
	}
	for _, name := range []string{"seed", "profile", "nodes", "workload"} {
		if cmd.Flags().Changed(name) {
			return opt, 0, usagef("--%s and a file: the file says it all", name)
		}
	}
	if opt.Scenario, err = readScenario(args[0]); err != nil {
		return opt, 0, err
	}
	return opt, opt.Scenario.Seed, nil
}

// readScenario reads a scenario file.
func readScenario(file string) (*sim.Scenario, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := sim.ParseScenario(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// recorded runs a seed or a scenario and returns it as a scenario.
func recorded(seed uint64, opt sim.Options) (*sim.Scenario, sim.Result) {
	saved := &sim.Scenario{}
	opt.Save = saved
	r := sim.RunSafe(seed, opt)
	if r.Failure != nil {
		saved.Breaks = r.Failure.Rule
	}
	return saved, r
}

// saveRuns writes the one seed of a campaign, or those that failed, where that is asked for.
func saveRuns(file, dir string, c *sim.Campaign, r *sim.Report) error {
	if file != "" {
		if err := saveSeed(file, c.From, c.Options); err != nil {
			return err
		}
	}
	if dir == "" {
		return nil
	}
	return saveFailed(dir, r, c.Options)
}

// saveSeed writes a seed as a scenario.
func saveSeed(file string, seed uint64, opt sim.Options) error {
	saved, _ := recorded(seed, opt)
	return os.WriteFile(file, []byte(saved.String()), 0o644)
}

// saveFailed writes the failures of a campaign as scenarios.
func saveFailed(dir string, r *sim.Report, opt sim.Options) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range r.Failures {
		nodes := ""
		if opt.Nodes[1] > 1 {
			nodes = fmt.Sprintf("-%dto%d", opt.Nodes[0], opt.Nodes[1])
		}
		name := fmt.Sprintf("%s%s-%d-%s.klamm", opt.Workload, nodes, f.Seed, f.Rule)
		if err := saveSeed(filepath.Join(dir, name), f.Seed, opt); err != nil {
			return err
		}
	}
	return nil
}

func newSimShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Print a seed as a scenario: its configuration, its faults, the operations of its clients",
		Example: `  klamm sim show --seed 42 > run.klamm
  klamm sim show run.klamm`,
	}
	source := addSimSource(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opt, seed, err := source.options(cmd, args)
		if err != nil {
			return err
		}
		saved, _ := recorded(seed, opt)
		fmt.Fprint(cmd.OutOrStdout(), saved)
		return nil
	}
	return cmd
}

func newSimReplayCommand() *cobra.Command {
	var trace, twice bool
	var from, to uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "replay [FILE]",
		Short: "Run one seed or one scenario and print what happened",
		Example: `  klamm sim replay --seed 42 --nodes 3
  klamm sim replay run.klamm --to 1200
  klamm sim replay run.klamm --check-twice`,
	}
	source := addSimSource(cmd)
	f := cmd.Flags()
	f.BoolVar(&trace, "trace", false, "print every event and every effect")
	f.Uint64Var(&from, "from", 0, "with --trace: the first step to print")
	f.IntVar(&limit, "limit", 64<<20, "with --trace: at most so many bytes")
	f.Uint64Var(&to, "to", 0, "stop after this step and print the world as it is then")
	f.BoolVar(&twice, "check-twice", false, "run it twice and name the step where the runs part")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opt, seed, err := source.options(cmd, args)
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if twice {
			return checkTwice(w, seed, opt)
		}
		if opt.To = to; to > 0 && !trace { // what led to it
			trace, from = true, max(to, 20)-20
		}
		if trace {
			opt.Trace = &sim.Trace{From: from, Limit: limit}
		}
		if opt.Scenario == nil {
			fmt.Fprint(w, sim.Describe(seed, opt))
		}
		r := sim.RunSafe(seed, opt)
		if trace {
			if _, err := io.WriteString(w, opt.Trace.Text.String()); err != nil {
				return errors.New("the trace can't be written: " + err.Error())
			}
		}
		fmt.Fprint(w, r.Stopped)
		fmt.Fprintf(w, "seed %d: %d steps, %d events of the broker, %d acknowledged, %d read, hash %s\n", seed, r.Steps, r.Events, r.Acked, r.Read, r.Hash)
		if r.Failure != nil {
			fmt.Fprintf(w, "broke %s at step %d (%d ms): %s\n", r.Failure.Rule, r.Failure.Step, r.Failure.At.Millis(), r.Failure.Text)
			return errSilent
		}
		if to == 0 {
			fmt.Fprintln(w, "no rule was broken")
		}
		return nil
	}
	return cmd
}

// checkTwice runs twice and compares.
func checkTwice(w io.Writer, seed uint64, opt sim.Options) error {
	var logs [2]sim.StepLog
	var hash [2]sim.Hash
	for i := range logs {
		opt.Steps = &logs[i]
		hash[i] = sim.RunSafe(seed, opt).Hash
	}
	if step, where, same := logs[0].Part(&logs[1]); !same {
		fmt.Fprintf(w, "the runs part at step %d: %s\nLook at it with\n  --trace --from %d\n", step, where, max(step, 20)-20)
		return errSilent
	}
	if hash[0] != hash[1] {
		fmt.Fprintf(w, "the runs part after the last step: hashes %s and %s\n", hash[0], hash[1])
		return errSilent
	}
	fmt.Fprintf(w, "both runs are the same: %d steps, hash %s\n", logs[0].Len(), hash[0])
	return nil
}

func newSimShrinkCommand() *cobra.Command {
	var out string
	var runs, cores int
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "shrink [FILE]",
		Short: "Make a small scenario of a run that fails, which still fails in the same way",
		Long: `Takes away whatever a failing run does not need in order to break the same rule: servers, clients, kinds of faults,
single faults, operations, settings, topics. What is left is written as a scenario, and each fault in it is necessary.`,
		Example: `  klamm sim shrink --seed 42 --nodes 3 --out small.klamm
  klamm sim shrink run.klamm --limit 60s`,
	}
	source := addSimSource(cmd)
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "where the small scenario is written; without it, it is printed")
	f.IntVar(&runs, "runs", 5000, "how many runs to make at most")
	f.DurationVar(&limit, "limit", 5*time.Minute, "how long to try")
	f.IntVar(&cores, "cores", runtime.NumCPU(), "how many at once; the result does not depend on it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opt, seed, err := source.options(cmd, args)
		if err != nil {
			return err
		}
		from := opt.Scenario
		if from == nil {
			from, _ = recorded(seed, opt)
		}
		opt.Workload = from.Config.Workload
		start := time.Now()
		s := sim.Shrink{Options: opt, From: from, Cores: cores, Runs: runs, Stop: func() bool { return time.Since(start) > limit }}
		got, err := s.Run()
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		text := got.Scenario.String()
		fmt.Fprintf(w, "broke %s: %s\n", got.Failure.Rule, got.Failure.Text)
		fmt.Fprintf(w, "%d runs, %.1f s, %d lines of %d\ntaken away  %s\n", got.Runs, time.Since(start).Seconds(), strings.Count(text, "\n"), strings.Count(from.String(), "\n"), strings.Join(got.Taken, "; "))
		if !got.Whole {
			fmt.Fprintln(w, "the budget ended it: more may be possible, with more --runs or a longer --limit")
		}
		for _, f := range got.Necessary {
			fmt.Fprintf(w, "necessary   %s\n", f)
		}
		if out == "" {
			fmt.Fprint(w, "\n"+text)
			return nil
		}
		return os.WriteFile(out, []byte(text), 0o644)
	}
	return cmd
}
