package sim

import (
	"fmt"
	"strings"

	"klamm/core"
)

// StepLog remembers of each step what two runs are compared by.
type StepLog struct{ steps []stepMark }

// stepMark is a step: who was given what, and the hash of the run before it and after its event.
type stepMark struct {
	at            core.Time
	before, after uint64
	node          int16
	kind          core.EventKind
}

// Len is how many steps there were.
func (l *StepLog) Len() int { return len(l.steps) }

// Part finds the first step at which two runs differ, and says in what; same if they do not.
func (l *StepLog) Part(o *StepLog) (step uint64, where string, same bool) {
	name := func(m *stepMark) string { return fmt.Sprintf("node %d is given %s at %s", m.node, m.kind, span(m.at)) }
	for i := range max(len(l.steps), len(o.steps)) {
		if i >= len(l.steps) || i >= len(o.steps) {
			return uint64(i), "one of the runs ends before it", false
		}
		a, b := &l.steps[i], &o.steps[i]
		switch {
		case *a == *b:
			continue
		case a.before != b.before && i > 0 && l.steps[i-1].after == o.steps[i-1].after:
			return uint64(i), "what the step made is not the same, or what the world did after it: " + name(&l.steps[i-1]), false
		case name(a) != name(b):
			return uint64(i + 1), "in the first run " + name(a) + ", in the second " + name(b), false
		}
		return uint64(i + 1), "the event has other content: " + name(a), false
	}
	return 0, "", true
}

// mark remembers a step.
func (l *StepLog) mark(w *World, node int, kind core.EventKind, before Hash) {
	l.steps = append(l.steps, stepMark{at: w.now, before: before.A ^ before.B, after: w.Hash.A ^ w.Hash.B, node: int16(node), kind: kind})
}

// stopped is the world at a step, for a reader.
func (r *run) stopped() string {
	w := r.w
	var b strings.Builder
	fmt.Fprintf(&b, "stopped at step %d, %s, stage %d\n", w.Steps, span(w.now), r.stage)
	for i, n := range w.Nodes {
		c := n.clock(w.now)
		fmt.Fprintf(&b, "%s: %s, clock %s", n.Name, n.describe(), span(c.Mono))
		if rep, ok := n.Machine.(core.Reporter); ok {
			if x := rep.Report(c); x.Ready {
				b.WriteString(", ready")
			} else {
				fmt.Fprintf(&b, ", not ready: %v", x.Reasons)
			}
		}
		if i < r.cfg.topology.nodes() && n.crashIn >= 0 {
			fmt.Fprintf(&b, ", crashes after %d effects", n.crashIn)
		}
		b.WriteByte('\n')
	}
	for _, i := range w.active {
		b.WriteString("in force: " + w.plan[i].line(w.names()) + "\n")
	}
	return b.String()
}
