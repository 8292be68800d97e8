package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"klamm/sim"
)

// pin is one event that has to do with a broken rule: those that contradict each other, and what lies between them.
type pin struct {
	sim.Moment
	node  int // -1: of none
	text  string
	rank  int // what is left out first when there are too many: the highest
	order int
}

// pinsMax bounds what is pinned to a verdict.
const pinsMax = 24

// verdict is what a rule's sentence speaks of.
type verdict struct {
	rec        *sim.Recording
	text       string
	partitions []string
	offsets    []int64
	records    []uint64
	nodes      []int
	subjects   []string // groups and transactional ids
	pins       []pin
}

var (
	recordWord  = regexp.MustCompile(`\bp(\d+)\.(\d+)\b`)
	numberWord  = regexp.MustCompile(`\b\d+\b`)
	nodeWord    = regexp.MustCompile(`\b(?:node|broker|replica|leader|voter|candidate) (\d+)\b`)
	brokerWord  = regexp.MustCompile(`\bbroker(\d+)\b`)
	anyPartWord = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9._]*-\d+`)
)

// pinned finds the events that a failure speaks of.
func pinned(rec *sim.Recording, f *sim.Failure) []pin {
	v := verdict{rec: rec, text: f.Text}
	v.parse()
	v.add(sim.Moment{Step: f.Step, At: f.At}, v.breaker(), 0, "%s is broken: %s", f.Rule, f.Text)
	v.deeds()
	v.logs()
	v.coordinators()
	v.lives(f)
	return v.chosen()
}

// parse finds what the sentence names: partitions, offsets, records, nodes, groups.
func (v *verdict) parse() {
	known := map[string]bool{}
	for _, s := range v.rec.Subjects {
		name := v.rec.Names[s.Name]
		switch s.Kind {
		case sim.SubjectLog:
			known[name] = true
		case sim.SubjectGroup, sim.SubjectTxn:
			if wordIn(v.text, name) && !slices.Contains(v.subjects, name) {
				v.subjects = append(v.subjects, name)
			}
		}
	}
	rest := v.text
	for _, p := range anyPartWord.FindAllString(v.text, -1) {
		if known[p] && !slices.Contains(v.partitions, p) {
			v.partitions = append(v.partitions, p)
		}
		rest = strings.ReplaceAll(rest, p, " ")
	}
	for _, m := range recordWord.FindAllStringSubmatch(v.text, -1) {
		hi, _ := strconv.ParseUint(m[1], 10, 32)
		lo, _ := strconv.ParseUint(m[2], 10, 32)
		v.records = append(v.records, hi<<32|lo)
	}
	rest = recordWord.ReplaceAllString(rest, " ")
	for _, re := range []*regexp.Regexp{nodeWord, brokerWord} {
		for _, m := range re.FindAllStringSubmatch(v.text, -1) {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(v.rec.Nodes) && v.rec.Nodes[n-1].Broker && !slices.Contains(v.nodes, n-1) {
				v.nodes = append(v.nodes, n-1)
			}
		}
		rest = re.ReplaceAllString(rest, " ")
	}
	for _, s := range numberWord.FindAllString(rest, -1) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n < 1<<31 && !slices.Contains(v.offsets, n) {
			v.offsets = append(v.offsets, n)
		}
	}
}

func wordIn(text, word string) bool {
	return word != "" && slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;:()[]{}\"", r) }), word)
}

func (v *verdict) add(at sim.Moment, node, rank int, format string, args ...any) {
	v.pins = append(v.pins, pin{at, node, fmt.Sprintf(format, args...), rank, len(v.pins)})
}

// breaker is the node in whose Step the rule broke, if it was one.
func (v *verdict) breaker() int {
	for i := len(v.rec.Rows) - 1; i >= 0; i-- {
		if r := &v.rec.Rows[i]; r.Kind == sim.RowBroken {
			return int(r.Node)
		}
	}
	return -1
}

var outcomeWords = [...]string{"and the run ended before it was known", "and was told that it is stored", "and was told that it is not stored", "and was told that nobody knows", "and ended itself before it knew"}

// deeds pins what clients did with the records, and at the offsets, that the sentence names.
func (v *verdict) deeds() {
	for i := range v.rec.Deeds {
		d := &v.rec.Deeds[i]
		where := v.rec.Names[d.Topic] + "-" + strconv.Itoa(int(d.Partition))
		named := slices.Contains(v.records, d.Record)
		there := d.Offset >= 0 && slices.Contains(v.partitions, where) && slices.Contains(v.offsets, d.Offset)
		if !named && !there {
			continue
		}
		name := recordName(d.Record)
		rank := 2
		if named {
			rank = 1
		}
		switch {
		case d.Kind == sim.DeedRead:
			v.add(d.Settled, int(d.Node), rank+1, "%s reads record %s at offset %d of %s", v.rec.Nodes[d.Node].Name, name, d.Offset, where)
		case d.Settled.Came() && d.Offset >= 0:
			v.add(d.Asked, int(d.Node), rank+2, "%s sends record %s to %s", v.rec.Nodes[d.Node].Name, name, v.rec.Names[d.Topic])
			v.add(d.Settled, int(d.Node), rank, "%s is told that record %s stands at offset %d of %s", v.rec.Nodes[d.Node].Name, name, d.Offset, where)
		default:
			v.add(d.Asked, int(d.Node), rank, "%s sends record %s to %s, %s", v.rec.Nodes[d.Node].Name, name, v.rec.Names[d.Topic], outcomeWords[d.Outcome])
		}
	}
}

// logs pins what befell the copies of the partitions that the sentence names: who led, what was cut, where the high watermark fell.
func (v *verdict) logs() {
	if len(v.partitions) == 0 {
		return
	}
	values := map[int32]*[16]int64{}
	for _, c := range v.rec.Changes {
		s := v.rec.Subjects[c.Subject]
		name := v.rec.Names[s.Name]
		if s.Kind != sim.SubjectLog || !slices.Contains(v.partitions, name) {
			continue
		}
		was := values[c.Subject]
		if was == nil {
			was = &[16]int64{}
			for f := range was {
				was[f] = -1
			}
			values[c.Subject] = was
		}
		v.logChanged(c, int(s.Node), name, was)
		was[c.Field] = c.Value
	}
	for i := range v.rec.Rows {
		r := &v.rec.Rows[i]
		if r.Kind == sim.RowRegistered {
			if name, isr, _ := strings.Cut(v.rec.Names[r.Text], " "); slices.Contains(v.partitions, name) {
				v.add(r.Moment, -1, 5, "the metadata say of %s: leader %d in epoch %d, %s", name, r.A, r.B, isr)
			}
		}
	}
}

func (v *verdict) logChanged(c sim.Change, node int, name string, was *[16]int64) {
	who, old := v.rec.Nodes[node].Name, was[c.Field]
	crosses := func(to, from int64) bool { // something that the sentence names is at stake
		return slices.ContainsFunc(v.offsets, func(o int64) bool { return to <= o && o <= from })
	}
	switch c.Field {
	case sim.LogEnd:
		if c.Value < old && c.Value >= 0 {
			rank := 4
			if crosses(c.Value, old) {
				rank = 1
			}
			v.add(c.Moment, node, rank, "%s cuts its log of %s from %d back to %d", who, name, old, c.Value)
		}
	case sim.LogHigh:
		if c.Value < old && was[sim.LogRole] >= sim.LogFollows {
			v.add(c.Moment, node, 3, "the high watermark of %s at %s falls from %d to %d", name, who, old, c.Value)
		}
	case sim.LogRole:
		switch {
		case c.Value == sim.LogLeads:
			v.add(c.Moment, node, 3, "%s begins to lead %s", who, name)
		case old == sim.LogLeads && c.Value >= 0:
			v.add(c.Moment, node, 5, "%s leads %s no more", who, name)
		case c.Value == sim.LogOffline && old != sim.LogOffline:
			v.add(c.Moment, node, 4, "%s takes its copy of %s offline", who, name)
		}
	}
}

// coordinators pins what became of the groups and transactional ids that the sentence names.
func (v *verdict) coordinators() {
	for _, c := range v.rec.Changes {
		s := v.rec.Subjects[c.Subject]
		name := v.rec.Names[s.Name]
		if s.Kind != sim.SubjectGroup && s.Kind != sim.SubjectTxn || c.Field != 0 || !slices.Contains(v.subjects, name) {
			continue
		}
		switch who := v.rec.Nodes[s.Node].Name; {
		case c.Value == sim.Vanished:
			v.add(c.Moment, int(s.Node), 5, "%s coordinates %s no more", who, name)
		default:
			v.add(c.Moment, int(s.Node), 4, "%s has %s in %s", who, name, v.rec.Names[c.Value])
		}
	}
}

// lives pins crashes and starts of the nodes that are named or hold what is named, and what stood still at the end.
func (v *verdict) lives(f *sim.Failure) {
	involved := slices.Clone(v.nodes)
	for _, p := range v.pins {
		if p.node >= 0 && v.rec.Nodes[p.node].Broker && !slices.Contains(involved, p.node) {
			involved = append(involved, p.node)
		}
	}
	for i := range v.rec.Rows {
		r := &v.rec.Rows[i]
		if r.Node < 0 || !slices.Contains(involved, int(r.Node)) {
			continue
		}
		who := v.rec.Nodes[r.Node].Name
		switch r.Kind {
		case sim.RowPowerLost:
			v.add(r.Moment, int(r.Node), 4, "%s loses power: what was not synced may be gone", who)
		case sim.RowKilled:
			v.add(r.Moment, int(r.Node), 5, "%s is killed", who)
		case sim.RowExits:
			v.add(r.Moment, int(r.Node), 5, "%s ends of its own with code %d", who, r.A)
		case sim.RowReady:
			v.add(r.Moment, int(r.Node), 6, "%s serves again, life %d", who, r.Life)
		}
	}
	for i := range v.rec.Rows {
		if r := &v.rec.Rows[i]; r.Kind == sim.RowHealed {
			v.add(r.Moment, -1, 6, "all faults are over")
		}
	}
}

// chosen are the pins that matter most, in the order in which they happened; of two alike the later one.
func (v *verdict) chosen() []pin {
	slices.SortStableFunc(v.pins, func(a, b pin) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		return int(int64(b.Step) - int64(a.Step)) // the nearest to the end first
	})
	list := v.pins[:min(len(v.pins), pinsMax)]
	slices.SortStableFunc(list, func(a, b pin) int {
		if a.Step != b.Step {
			return int(int64(a.Step) - int64(b.Step))
		}
		return b.rank - a.rank
	})
	return list
}
