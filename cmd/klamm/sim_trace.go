package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"klamm/sim"
)

// traceOptions say what of a run is shown, as text.
type traceOptions struct {
	seed                     uint64
	profile, nodes, workload string
	file                     string // a scenario, instead of these
	html                     string
	node, kind, part, find   string
	from, to                 uint64
	at                       int64
	detail, everything       bool
}

func newSimTraceCommand() *cobra.Command {
	var o traceOptions
	cmd := &cobra.Command{
		Use:   "trace [FILE]",
		Short: "Run one seed or one scenario and show it: as text, or as one HTML page",
		Long: `Runs one seed or scenario, records what every node was given and asked for, and shows it. With --html it writes one page that
needs nothing else: no server, no network. Without, it prints lines; what is printed can be cut down to a node, a kind, a
partition, a word or a range of steps. docs/trace.md says what everything means.`,
		Example: `  klamm sim trace --seed 42 --nodes 3 --html run.html
  klamm sim trace --seed 42 --nodes 3 --partition t0-1 --from 12000
  klamm sim trace --seed 42 --nodes 3 --at 12345
  klamm sim trace --seed 42 --kind fault
  klamm sim trace small.klamm --html small.html`,
		Args: cobra.MaximumNArgs(1),
	}
	f := cmd.Flags()
	f.Uint64Var(&o.seed, "seed", 0, "the seed")
	f.StringVar(&o.profile, "profile", "", "the set of faults, as it was given to sim run")
	f.StringVar(&o.nodes, "nodes", "1", nodesHelp+", as it was given to sim run")
	f.StringVar(&o.workload, "workload", "mixed", "as it was given to sim run")
	f.StringVar(&o.html, "html", "", "write the page to this file and print the verdict alone")
	f.StringVar(&o.node, "node", "", "only what befell this node")
	f.StringVar(&o.kind, "kind", "", "only "+strings.Join(traceKinds[:], ", "))
	f.StringVar(&o.part, "partition", "", "only what names this partition, such as t0-1")
	f.StringVar(&o.find, "find", "", "only lines with this text")
	f.Uint64Var(&o.from, "from", 0, "the first step; of earlier ones a page has only lives, faults and what changed")
	f.Uint64Var(&o.to, "to", 1<<62, "the last step")
	f.Int64Var(&o.at, "at", -1, "only the state of every node after this step")
	f.BoolVar(&o.detail, "detail", false, "all fields of each message")
	f.BoolVar(&o.everything, "all", false, "also what is many and says little: reads and writes of files, reads of clients")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opt, err := simOptions(o.profile, o.nodes, o.workload)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			o.file = args[0]
			if opt.Scenario, err = readScenario(o.file); err != nil {
				return err
			}
			o.seed = opt.Scenario.Seed
		}
		if o.kind != "" && !slices.Contains(traceKinds[:], o.kind) {
			return usagef("--kind %s: none of %v", o.kind, traceKinds)
		}
		return o.run(cmd.OutOrStdout(), opt)
	}
	return cmd
}

// run runs what opt says, records it and shows it.
func (o *traceOptions) run(w io.Writer, opt sim.Options) error {
	rec := sim.Recording{}
	if o.html != "" {
		rec.From = o.from
	}
	opt.Record = &rec
	r := sim.RunSafe(o.seed, opt)
	for again := 0; rec.Cut && again < 3; again++ { // what matters stands at the end: so much is kept that it is
		rec = sim.Recording{From: r.Steps - (rec.CutAt-rec.From)*8/10}
		r = sim.RunSafe(o.seed, opt)
	}
	t := newTrace(o, &r, &rec)
	switch {
	case o.html != "":
		page, err := t.page()
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.html, page, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(w, "wrote %s: %d bytes, %d steps, %d events\n", o.html, len(page), r.Steps, t.events())
	case o.at >= 0:
		return t.printState(w, uint64(o.at))
	default:
		t.print(w)
	}
	t.printVerdict(w)
	if r.Failure != nil {
		return errSilent
	}
	return nil
}

// trace is one recorded run and what was made of it.
type trace struct {
	o     *traceOptions
	r     *sim.Result
	rec   *sim.Recording
	pins  []pin
	title string
}

func newTrace(o *traceOptions, r *sim.Result, rec *sim.Recording) *trace {
	t := &trace{o: o, r: r, rec: rec, title: "seed " + strconv.FormatUint(o.seed, 10)}
	if o.nodes != "1" {
		t.title += ", " + o.nodes + " nodes"
	}
	t.title += ", workload " + o.workload
	if o.profile != "" {
		t.title += ", faults " + o.profile
	}
	if o.file != "" {
		t.title = "scenario " + filepath.Base(o.file)
	}
	if r.Failure != nil {
		t.pins = pinned(rec, r.Failure)
	}
	return t
}

// events is how many things the recording tells: rows, both ends of each message, what clients did, what changed.
func (t *trace) events() int {
	n := len(t.rec.Rows) + len(t.rec.Frames) + len(t.rec.Deeds) + len(t.rec.Changes)
	for i := range t.rec.Frames {
		if t.rec.Frames[i].Got.Came() {
			n++
		}
	}
	return n
}

// command is how this run is run again.
func (t *trace) command() string {
	if t.o.file != "" {
		return "klamm sim trace " + t.o.file
	}
	s := "klamm sim trace --seed " + strconv.FormatUint(t.o.seed, 10)
	if t.o.nodes != "1" {
		s += " --nodes " + t.o.nodes
	}
	if t.o.profile != "" {
		s += " --profile " + t.o.profile
	}
	if t.o.workload != "mixed" {
		s += " --workload " + t.o.workload
	}
	return s
}
