package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/sim"
)

// traceKinds are the kinds of lines by which a trace is cut down.
var traceKinds = [...]string{"life", "fault", "message", "connection", "disk", "state", "client", "note", "metadata", "verdict"}

// traceLine is one thing that happened, as text.
type traceLine struct {
	at    sim.Moment
	kind  string
	node  int
	other int // the second node of a message, or -1
	text  string
	quiet bool // many and of little use
	more  []string
	order int
}

// lines are all that happened, in order. Names of kinds are those of traceKinds.
func (t *trace) lines() []traceLine {
	var all []traceLine
	add := func(l traceLine) {
		l.order = len(all)
		all = append(all, l)
	}
	for i := range t.rec.Rows {
		add(t.rowLine(&t.rec.Rows[i]))
	}
	reader := newFrameReader(t.rec)
	for i := range t.rec.Frames {
		f := &t.rec.Frames[i]
		x := reader.read(f)
		text := x.title
		if f.Request {
			text += fmt.Sprintf(" (v%d #%d)", x.version, x.corr)
		} else {
			text = "answer to " + text + fmt.Sprintf(" (#%d)", x.corr)
		}
		text = t.name(int(f.From)) + " to " + t.name(int(f.To)) + ": " + text
		if !f.Got.Came() {
			text += "; it never came"
		} else {
			text += "; it came at step " + strconv.FormatUint(f.Got.Step, 10)
		}
		add(traceLine{at: f.Sent, kind: "message", node: int(f.From), other: int(f.To), text: text, more: x.detail})
	}
	for i := range t.rec.Deeds {
		add(t.deedLine(&t.rec.Deeds[i]))
	}
	for i := 0; i < len(t.rec.Changes); {
		c := t.rec.Changes[i]
		s := t.rec.Subjects[c.Subject]
		l := traceLine{at: c.Moment, kind: "state", node: int(s.Node), other: -1, text: t.subjectText(s), quiet: true}
		for sep := ": "; i < len(t.rec.Changes) && t.rec.Changes[i].Subject == c.Subject && t.rec.Changes[i].Step == c.Step; i++ {
			x := t.rec.Changes[i]
			l.text += sep + t.changeText(s, x)
			l.quiet = l.quiet && s.Kind == sim.SubjectLog && x.Field != sim.LogRole && x.Field != sim.LogEpoch && x.Field != sim.LogISR
			sep = ", "
		}
		add(l)
	}
	slices.SortStableFunc(all, func(a, b traceLine) int { return cmp.Compare(a.at.Step, b.at.Step) })
	return all
}

func (t *trace) name(node int) string {
	if node < 0 || node >= len(t.rec.Nodes) {
		return "all"
	}
	return t.rec.Nodes[node].Name
}

// fieldNames are the words for the fields of each kind of subject.
var fieldNames = [sim.SubjectKinds][]string{
	sim.SubjectNode:   {"state", "life", "ready", "stopping", "wall clock jumped ms", "drift ppm"},
	sim.SubjectQuorum: {"role", "epoch", "leader", "voted", "voters", "high watermark", "log end", "metadata below"},
	sim.SubjectLog:    {"role", "epoch", "log start", "log end", "high watermark", "durable", "last stable", "ISR", "ISR asked", "min ISR"},
	sim.SubjectGroup:  {"phase", "generation", "members"},
	sim.SubjectTxn:    {"status", "producer", "epoch", "partitions", "unmarked"},
}

// named says which fields of a kind hold a name.
func named(k sim.SubjectKind, f sim.Field) bool {
	switch k {
	case sim.SubjectQuorum:
		return f == sim.QuorumRole || f == sim.QuorumVoters
	case sim.SubjectLog:
		return f == sim.LogISR || f == sim.LogAsked
	case sim.SubjectGroup, sim.SubjectTxn:
		return f == 0
	}
	return false
}

var (
	logRoles   = []string{"loading", "offline", "follower", "leader"}
	nodeStates = []string{"down", "up", "paused"}
)

// subjectText names a subject.
func (t *trace) subjectText(s sim.Subject) string {
	who, name := t.name(int(s.Node)), t.rec.Names[s.Name]
	switch s.Kind {
	case sim.SubjectQuorum:
		return who + " in the metadata quorum"
	case sim.SubjectLog:
		return who + " " + name
	case sim.SubjectGroup:
		return who + " coordinates group " + name
	case sim.SubjectTxn:
		return who + " coordinates transactional id " + name
	}
	return who
}

// changeText is one field's new value.
func (t *trace) changeText(s sim.Subject, c sim.Change) string {
	if c.Value == sim.Vanished {
		return "no more"
	}
	return fieldNames[s.Kind][c.Field] + " " + t.valueText(s.Kind, c.Field, c.Value)
}

// valueText is the value of a field.
func (t *trace) valueText(kind sim.SubjectKind, f sim.Field, v int64) string {
	switch {
	case named(kind, f):
		return t.rec.Names[v]
	case kind == sim.SubjectLog && f == sim.LogRole:
		return logRoles[v]
	case kind == sim.SubjectNode && f == sim.NodeState:
		return nodeStates[v]
	}
	return strconv.FormatInt(v, 10)
}

func (t *trace) deedLine(d *sim.Deed) traceLine {
	where := t.rec.Names[d.Topic]
	if d.Partition >= 0 {
		where += "-" + strconv.Itoa(int(d.Partition))
	}
	l := traceLine{at: d.Asked, kind: "client", node: int(d.Node), other: -1}
	if d.Kind == sim.DeedRead {
		l.quiet = true
		l.text = fmt.Sprintf("%s reads record %s at offset %d of %s", t.name(int(d.Node)), recordName(d.Record), d.Offset, where)
		return l
	}
	l.text = fmt.Sprintf("%s sends record %s to %s, %s", t.name(int(d.Node)), recordName(d.Record), where, outcomeWords[d.Outcome])
	if d.Settled.Came() {
		l.text += fmt.Sprintf(" (step %d", d.Settled.Step)
		if d.Offset >= 0 {
			l.text += fmt.Sprintf(", offset %d", d.Offset)
		}
		l.text += ")"
	}
	return l
}

// rowKinds say of which kind of traceKinds each row is.
var rowKinds = [sim.RowKinds]string{
	sim.RowStarts: "life", sim.RowReady: "life", sim.RowKilled: "life", sim.RowPowerLost: "life", sim.RowStopAsked: "life", sim.RowExits: "life", sim.RowPaused: "life", sim.RowResumed: "life",
	sim.RowFault: "fault", sim.RowFaultEnd: "fault", sim.RowCut: "fault", sim.RowHealed: "fault", sim.RowStage: "life", sim.RowNote: "note",
	sim.RowDial: "connection", sim.RowDialled: "connection", sim.RowClosed: "connection",
	sim.RowOpen: "disk", sim.RowWrite: "disk", sim.RowSync: "disk", sim.RowRead: "disk", sim.RowTruncate: "disk", sim.RowDisk: "disk",
	sim.RowRegistered: "metadata", sim.RowBroken: "verdict",
}

var stageNames = []string{"chaos: faults come", "calm: all must come alive", "flush: producers finish", "audit: everything is read once more", "end: the broker stops", "done"}

func (t *trace) rowLine(r *sim.Row) traceLine {
	l := traceLine{at: r.Moment, kind: rowKinds[r.Kind], node: int(r.Node), other: -1, text: t.rowText(r)}
	switch r.Kind {
	case sim.RowWrite, sim.RowRead, sim.RowOpen, sim.RowDisk:
		l.quiet = r.Err == core.OK
	case sim.RowDial:
		l.quiet = true
	}
	return l
}

func (t *trace) rowText(r *sim.Row) string {
	who, text := t.name(int(r.Node)), t.rec.Names[r.Text]
	end := ""
	switch {
	case r.Err != core.OK:
		end = ": " + r.Err.String()
	case r.Kind >= sim.RowOpen && r.Kind <= sim.RowDisk && !r.Until.Came():
		end = " (never answered)"
	}
	switch r.Kind {
	case sim.RowStarts:
		return fmt.Sprintf("%s starts, life %d", who, r.A)
	case sim.RowReady:
		return fmt.Sprintf("%s is ready, life %d", who, r.A)
	case sim.RowKilled:
		return who + " is killed"
	case sim.RowPowerLost:
		return who + " loses power"
	case sim.RowStopAsked:
		return who + " is asked to stop"
	case sim.RowExits:
		return fmt.Sprintf("%s exits with %d: %s", who, r.A, text)
	case sim.RowPaused:
		return fmt.Sprintf("%s is paused for %d ms", who, r.A/1e6)
	case sim.RowResumed:
		return who + " goes on"
	case sim.RowFault, sim.RowFaultEnd:
		return t.faultText(r)
	case sim.RowCut:
		return fmt.Sprintf("nothing comes from %s to %s until %s", who, t.name(int(r.A)), clockText(core.Time(r.B)))
	case sim.RowHealed:
		return "all faults are over"
	case sim.RowStage:
		return "stage " + stageNames[r.A]
	case sim.RowNote:
		return fmt.Sprintf("%s notes (%s): %s", who, []string{"debug", "info", "warn", "error"}[r.A], text)
	case sim.RowDial:
		return who + " dials " + text
	case sim.RowDialled:
		return who + " has no connection" + end
	case sim.RowClosed:
		return fmt.Sprintf("%s: connection %d with %s ended%s", who, r.B, t.name(int(r.A)), end)
	case sim.RowOpen:
		return who + " opens " + text + end
	case sim.RowWrite:
		return fmt.Sprintf("%s writes %d bytes at %d of %s%s", who, r.B, r.A, text, end)
	case sim.RowRead:
		return fmt.Sprintf("%s reads %d bytes at %d of %s%s", who, r.B, r.A, text, end)
	case sim.RowSync:
		return who + " syncs " + text + end
	case sim.RowTruncate:
		return fmt.Sprintf("%s cuts %s to %d bytes%s", who, text, r.A, end)
	case sim.RowDisk:
		return fmt.Sprintf("%s: %s %s%s", who, core.EffectKind(r.A), text, end)
	case sim.RowRegistered:
		return fmt.Sprintf("metadata: leader %d epoch %d of %s", r.A, r.B, text)
	}
	return "BROKEN " + text
}

func (t *trace) faultText(r *sim.Row) string {
	if r.A >= int64(len(t.rec.Plan)) {
		return "fault"
	}
	f := &t.rec.Plan[r.A]
	if r.Kind == sim.RowFaultEnd {
		return fmt.Sprintf("fault %s is over (%s)", f.Kind, t.name(f.Node))
	}
	return fmt.Sprintf("fault %s (%s) for %d ms, p=%d q=%d", f.Kind, t.name(f.Node), f.For.Millis(), f.P, f.Q)
}

func clockText(at core.Time) string {
	return fmt.Sprintf("%d.%06d", at/core.Second, at%core.Second/core.Microsecond)
}

// print writes the lines that the options leave.
func (t *trace) print(w io.Writer) {
	o := t.o
	fmt.Fprint(w, t.rec.Config)
	for i, f := range t.rec.Plan {
		fmt.Fprintf(w, "planned %d: %s %s %s for %d ms p=%d q=%d\n", i, clockText(f.At), f.Kind, t.name(f.Node), f.For.Millis(), f.P, f.Q)
	}
	for _, l := range t.lines() {
		switch {
		case l.at.Step < o.from || l.at.Step > o.to,
			o.kind != "" && l.kind != o.kind,
			o.kind == "" && l.quiet && !o.everything,
			o.node != "" && t.name(l.node) != o.node && (l.other < 0 || t.name(l.other) != o.node),
			o.part != "" && !names(l.text, o.part) && !slices.ContainsFunc(l.more, func(s string) bool { return names(s, o.part) }),
			o.find != "" && !strings.Contains(l.text, o.find):
			continue
		}
		fmt.Fprintf(w, "%12s %7d %-10s %s\n", clockText(l.at.At), l.at.Step, l.kind, l.text)
		if o.detail {
			for _, s := range l.more {
				fmt.Fprintf(w, "%32s%s\n", "", s)
			}
		}
	}
}

// names reports whether a text names a partition, and not only one whose name begins alike.
func names(text, partition string) bool {
	for {
		i := strings.Index(text, partition)
		if i < 0 {
			return false
		}
		end := i + len(partition)
		if (end == len(text) || text[end] < '0' || text[end] > '9') && (i == 0 || strings.IndexByte(" /:,[(", text[i-1]) >= 0) {
			return true
		}
		text = text[end:]
	}
}

func (t *trace) printVerdict(w io.Writer) {
	if t.rec.Cut || t.rec.From > 0 {
		fmt.Fprintf(w, "of the steps before %d only lives, faults and changes were recorded, and more happened than could be kept: %v\n", t.rec.From, t.rec.Cut)
	}
	fmt.Fprintf(w, "%s: %d steps, %d events of the broker, %d acknowledged, %d read, hash %s\n", t.title, t.r.Steps, t.r.Events, t.r.Acked, t.r.Read, t.r.Hash)
	if t.r.Failure == nil {
		fmt.Fprintln(w, "no rule was broken")
		return
	}
	fmt.Fprintf(w, "broke %s at step %d (%d ms): %s\n", t.r.Failure.Rule, t.r.Failure.Step, t.r.Failure.At.Millis(), t.r.Failure.Text)
	for _, p := range t.pins {
		fmt.Fprintf(w, "%12s %7d %s\n", clockText(p.At), p.Step, p.text)
	}
}
