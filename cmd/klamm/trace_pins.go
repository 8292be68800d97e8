package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"klamm/core"
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
const pinsMax = 20

// verdict is what a rule's sentence speaks of.
type verdict struct {
	rec        *sim.Recording
	text       string
	partitions []string
	offsets    []int64
	records    []uint64
	nodes      []int
	subjects   []string // groups and transactional ids
	end        sim.Moment
	stalled    bool // something does not come forward: numbers are where it stands, not what was done there
	pins       []pin
}

var (
	recordWord  = regexp.MustCompile(`\bp(\d+)\.(\d+)\b`)
	numberWord  = regexp.MustCompile(`\b\d+\b`)
	nodeWord    = regexp.MustCompile(`\b(?:node|broker|replica|leader|voter|candidate) (\d+)\b`)
	brokerWord  = regexp.MustCompile(`\bbroker(\d+)\b`)
	configWord  = regexp.MustCompile(`\b[a-z]+(?:\.[a-z]+)+\b`)
	belowWord   = regexp.MustCompile(`\bbelow (\d+)\b`)
	otherWord   = regexp.MustCompile(`\b(?:epoch|min|version|life|generation|by|stage|ledger:.*|key|correlation|stayed at \d+ for) \d+\b|\[[^\]]*\]|\b\d+ (?:in-sync|are asked|losses|refused|ms|bytes|steps|of)\b|; ledger:.*`)
	anyPartWord = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9._]*-\d+`)
)

// pinned finds the events that a failure speaks of.
func pinned(rec *sim.Recording, f *sim.Failure) []pin {
	v := verdict{rec: rec, text: f.Text, end: sim.Moment{Step: f.Step, At: f.At}, stalled: f.Rule == "I87" || f.Rule == "I88"}
	v.parse()
	v.deeds()
	v.logs()
	v.coordinators()
	v.requests()
	v.assignments()
	v.standing()
	v.lives()
	v.add(v.end, v.breaker(), 0, "here %s is found broken", f.Rule)
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
	rest = otherWord.ReplaceAllString(rest, " ")
	add := func(text string, less int64) {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= less && n < 1<<31 && !slices.Contains(v.offsets, n-less) {
			v.offsets = append(v.offsets, n-less)
		}
	}
	for _, m := range belowWord.FindAllStringSubmatch(rest, -1) { // what is below an offset ends with the one before
		add(m[1], 1)
	}
	for _, s := range numberWord.FindAllString(belowWord.ReplaceAllString(rest, " "), -1) {
		add(s, 0)
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
	reads := map[uint64]int{}
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
		switch {
		case named:
			rank = 1
		case v.stalled:
			continue
		}
		switch {
		case d.Kind == sim.DeedRead:
			if reads[d.Record]++; reads[d.Record] > 1 && !named {
				continue
			}
			v.add(d.Settled, int(d.Node), rank+2, "%s reads record %s at offset %d of %s", v.rec.Nodes[d.Node].Name, name, d.Offset, where)
		case d.Settled.Came() && d.Offset >= 0:
			v.add(d.Asked, int(d.Node), rank+3, "%s sends record %s to %s", v.rec.Nodes[d.Node].Name, name, v.rec.Names[d.Topic])
			v.add(d.Settled, int(d.Node), rank, "%s is told that record %s stands at offset %d of %s", v.rec.Nodes[d.Node].Name, name, d.Offset, where)
		default:
			v.add(d.Asked, int(d.Node), rank, "%s sends record %s to %s, %s", v.rec.Nodes[d.Node].Name, name, v.rec.Names[d.Topic], outcomeWords[d.Outcome])
		}
	}
}

// copySeen is what is known of one copy of a partition while the changes are walked.
type copySeen struct {
	values [sim.LogFields]int64
	end    int64 // when its log was last online
	life   int   // of its process; of the last end
	endOf  int
	moved  sim.Moment // when its end or its high watermark was last another one
}

// logs pins what befell the copies of the partitions that the sentence names: who led, what was cut, when what it names was
// committed; and what each copy was like in the end.
func (v *verdict) logs() {
	copies := map[int32]*copySeen{}
	var order []int32
	committed := map[int64]bool{}
	lives := make([]int, len(v.rec.Nodes))
	for _, c := range v.rec.Changes {
		s := v.rec.Subjects[c.Subject]
		if s.Kind == sim.SubjectNode && c.Field == sim.NodeLife {
			lives[s.Node] = int(c.Value)
		}
		if s.Kind != sim.SubjectLog || !slices.Contains(v.partitions, v.rec.Names[s.Name]) {
			continue
		}
		x := copies[c.Subject]
		if x == nil {
			x = &copySeen{end: -1}
			copies[c.Subject], order = x, append(order, c.Subject)
		}
		if x.life = lives[s.Node]; (c.Field == sim.LogEnd || c.Field == sim.LogHigh) && c.Value >= 0 {
			x.moved = c.Moment
		}
		v.logChanged(c, int(s.Node), v.rec.Names[s.Name], x, committed)
		x.values[c.Field] = c.Value
	}
	v.registrations()
	for _, i := range order {
		v.copyAtEnd(v.rec.Subjects[i], copies[i])
	}
}

// registrations pins when the metadata said something else of a partition that the sentence names.
func (v *verdict) registrations() {
	last := map[string]string{}
	for i := range v.rec.Rows {
		r := &v.rec.Rows[i]
		if r.Kind != sim.RowRegistered {
			continue
		}
		name, isr, _ := strings.Cut(v.rec.Names[r.Text], " ")
		if text := fmt.Sprintf("leader %d in epoch %d, %s", r.A, r.B, isr); slices.Contains(v.partitions, name) && text != last[name] {
			last[name] = text
			v.add(r.Moment, -1, 3, "the metadata say of %s: %s", name, text)
		}
	}
}

// copyAtEnd pins what a copy was like when the rule broke.
func (v *verdict) copyAtEnd(s sim.Subject, x *copySeen) {
	who, name := v.rec.Nodes[s.Node].Name, v.rec.Names[s.Name]
	switch role := x.values[sim.LogRole]; role {
	case sim.Vanished:
		v.add(v.end, int(s.Node), 1, "at that step %s is down or has no copy of %s", who, name)
	case sim.LogLoads:
		v.add(v.end, int(s.Node), 1, "at that step %s loads its copy of %s", who, name)
	default:
		text := fmt.Sprintf("at that step %s has %s as %s in epoch %d: log %d to %d, high watermark %d", who, name, logRoles[role], x.values[sim.LogEpoch],
			x.values[sim.LogStart], x.values[sim.LogEnd], x.values[sim.LogHigh])
		if role == sim.LogLeads && x.values[sim.LogISR] > 0 {
			text += ", ISR " + v.rec.Names[x.values[sim.LogISR]]
		}
		since := v.end.At - x.moved.At
		if since > stillTime {
			text += fmt.Sprintf("; neither has moved since step %d, for %d ms", x.moved.Step, since.Millis())
		}
		v.add(v.end, int(s.Node), 0, "%s", text)
		if v.stalled && since > stillTime {
			v.add(x.moved, int(s.Node), 2, "here the copy of %s at %s stands still: log %d to %d, high watermark %d", name, who, x.values[sim.LogStart], x.values[sim.LogEnd], x.values[sim.LogHigh])
		}
	}
}

// crosses reports whether the sentence names an offset in [from, to).
func (v *verdict) crosses(from, to int64) bool {
	return slices.ContainsFunc(v.offsets, func(o int64) bool { return from <= o && o < to })
}

func (v *verdict) logChanged(c sim.Change, node int, name string, x *copySeen, committed map[int64]bool) {
	who, old := v.rec.Nodes[node].Name, x.values[c.Field]
	switch c.Field {
	case sim.LogEnd:
		if c.Value < 0 {
			return
		}
		if was := x.end; c.Value < was {
			rank := 4
			if v.crosses(c.Value, was) {
				rank = 1
			}
			if x.endOf != x.life {
				v.add(c.Moment, node, rank, "%s comes back with a log of %s that ends at %d; it had ended at %d", who, name, c.Value, was)
			} else {
				v.add(c.Moment, node, rank, "%s cuts its log of %s from %d back to %d", who, name, was, c.Value)
			}
		}
		x.end, x.endOf = c.Value, x.life
	case sim.LogHigh:
		var news []string
		for _, o := range v.offsets {
			if !v.stalled && x.values[sim.LogRole] == sim.LogLeads && old <= o && o < c.Value && !committed[o] {
				committed[o] = true
				news = append(news, strconv.FormatInt(o, 10))
			}
		}
		if len(news) > 0 {
			v.add(c.Moment, node, 2, "%s, the leader, raises the high watermark of %s to %d: what stands at %s counts as committed", who, name, c.Value, strings.Join(news, " and "))
		}
	case sim.LogRole:
		switch {
		case c.Value == sim.LogLeads:
			v.add(c.Moment, node, 3, "%s begins to lead %s", who, name)
		case old == sim.LogLeads && c.Value >= 0:
			v.add(c.Moment, node, 5, "%s leads %s no more", who, name)
		case c.Value == sim.LogOffline:
			v.add(c.Moment, node, 2, "%s takes its copy of %s offline", who, name)
		}
	case sim.LogISR:
		if c.Value > 0 && old > 0 && x.values[sim.LogRole] == sim.LogLeads {
			v.add(c.Moment, node, 4, "%s, the leader of %s, has the ISR %s", who, name, v.rec.Names[c.Value])
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

// The requests that change a topic, and those that change a group or its offsets.
var (
	topicKeys = []string{"CreateTopics", "DeleteTopics", "DeleteRecords", "AlterConfigs", "IncrementalAlterConfigs", "CreatePartitions", "ElectLeaders", "AlterPartitionAssignments"}
	groupKeys = []string{"OffsetCommit", "OffsetFetch", "OffsetDelete", "TxnOffsetCommit", "JoinGroup", "SyncGroup", "LeaveGroup", "ConsumerGroupHeartbeat", "DeleteGroups"}
)

// requestsMax bounds the requests that are pinned: the last ones.
const requestsMax = 8

// requests pins what clients asked for about a topic as a whole or a group, if the sentence speaks of one, and what they were told.
func (v *verdict) requests() {
	if len(v.partitions) > 0 || len(v.records) > 0 {
		return
	}
	words, keys := slices.Clone(v.subjects), groupKeys
	for _, t := range v.rec.Topics {
		if !slices.Contains(words, t.Name) && slices.Contains(strings.FieldsFunc(v.text, func(r rune) bool { return strings.ContainsRune(" ,;:()[]{}\"-", r) }), t.Name) {
			words, keys = append(words, t.Name), append(slices.Clone(keys), topicKeys...)
		}
	}
	anyOf := []string{} // what counts whatever it names
	if configWord.MatchString(v.text) {
		anyOf = append(anyOf, "AlterConfigs", "IncrementalAlterConfigs") // a default of all brokers names no topic
	}
	if len(words)+len(anyOf) == 0 {
		return
	}
	read := newFrameReader(v.rec)
	answers := map[int]int{}
	for i, n := len(v.rec.Frames)-1, 0; i >= 0 && n < requestsMax; i-- {
		f := &v.rec.Frames[i]
		if f.Asks >= 0 {
			answers[int(f.Asks)] = i
		}
		if !f.Request || v.rec.Nodes[f.From].Broker {
			continue
		}
		x := read.read(f)
		if !slices.Contains(anyOf, keyName(x.key)) && (!slices.Contains(keys, keyName(x.key)) || !slices.ContainsFunc(append(x.detail, x.title), func(s string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return wordIn(s, w) })
		})) {
			continue
		}
		n++
		v.add(f.Sent, int(f.From), 3, "%s asks %s: %s; %s", v.rec.Nodes[f.From].Name, v.rec.Nodes[f.To].Name, x.title, v.answered(read, answers, i))
	}
}

// assignments pins which members of a group that the sentence names were told that they have a partition that it names.
func (v *verdict) assignments() {
	if len(v.partitions) == 0 || len(v.subjects) == 0 {
		return
	}
	read := newFrameReader(v.rec)
	for i, n := len(v.rec.Frames)-1, 0; i >= 0 && n < requestsMax; i-- {
		f := &v.rec.Frames[i]
		if f.Asks < 0 || !f.Got.Came() {
			continue
		}
		x := read.read(f)
		if name := keyName(x.key); name != "SyncGroup" && name != "ConsumerGroupHeartbeat" {
			continue
		}
		asked := read.read(&v.rec.Frames[f.Asks])
		for _, p := range v.partitions {
			if slices.Contains(x.partitions, p) && slices.ContainsFunc(asked.detail, func(s string) bool {
				return slices.ContainsFunc(v.subjects, func(g string) bool { return wordIn(s, g) })
			}) {
				n++
				v.add(f.Got, int(f.To), 1, "%s is told that it has %s (answer to %s)", v.rec.Nodes[f.To].Name, p, x.title)
			}
		}
	}
}

// stillTime is for how long something must have been as it is to be said to stand still.
const stillTime = core.Second

// standing pins, if nothing comes forward, what else stands still: nodes that are not ready, transactions that are not over, groups
// that do not come to rest.
func (v *verdict) standing() {
	if !v.stalled {
		return
	}
	last := make([]sim.Change, len(v.rec.Subjects)) // of the first field, or of being ready
	for _, c := range v.rec.Changes {
		kind := v.rec.Subjects[c.Subject].Kind
		if kind == sim.SubjectNode && c.Field == sim.NodeReady || kind >= sim.SubjectGroup && c.Field == 0 {
			last[c.Subject] = c
		}
	}
	for i, c := range last {
		s := v.rec.Subjects[i]
		who, name := v.rec.Nodes[s.Node].Name, v.rec.Names[s.Name]
		if v.end.At-c.At < stillTime || c.Value == sim.Vanished {
			continue
		}
		switch {
		case s.Kind == sim.SubjectNode && v.rec.Nodes[s.Node].Broker && c.Value == 0:
			v.add(c.Moment, int(s.Node), 1, "%s is not ready from here on", who)
		case s.Kind == sim.SubjectTxn && slices.Contains([]string{"PrepareCommit", "PrepareAbort", "Ongoing"}, v.rec.Names[c.Value]):
			v.add(c.Moment, int(s.Node), 1, "transactional id %s, at %s, is in %s from here on", name, who, v.rec.Names[c.Value])
		case s.Kind == sim.SubjectGroup && !slices.Contains([]string{"Stable", "Empty", "Dead"}, v.rec.Names[c.Value]):
			v.add(c.Moment, int(s.Node), 2, "group %s, at %s, is in %s from here on", name, who, v.rec.Names[c.Value])
		}
	}
}

// answered says what became of a request.
func (v *verdict) answered(read *frameReader, answers map[int]int, i int) string {
	a, ok := answers[i]
	if !ok {
		return "it was not answered"
	}
	x := read.read(&v.rec.Frames[a])
	text := "it was answered at step " + strconv.FormatUint(v.rec.Frames[a].Sent.Step, 10)
	if x.failed {
		text = "it was refused"
	}
	if _, facts, some := strings.Cut(x.title, " "); some {
		text += ": " + facts
	}
	return text
}

// livesMax bounds the crashes and starts of one node that are pinned: the last ones.
const livesMax = 3

// lives pins crashes and starts of the nodes that are named or hold what is named, and what stood still at the end.
func (v *verdict) lives() {
	involved := slices.Clone(v.nodes)
	for _, p := range v.pins {
		if p.node >= 0 && v.rec.Nodes[p.node].Broker && !slices.Contains(involved, p.node) {
			involved = append(involved, p.node)
		}
	}
	told := map[int16]int{}
	for i := len(v.rec.Rows) - 1; i >= 0; i-- {
		r := &v.rec.Rows[i]
		if r.Node < 0 || !slices.Contains(involved, int(r.Node)) || told[r.Node] == livesMax {
			continue
		}
		who := v.rec.Nodes[r.Node].Name
		switch r.Kind {
		case sim.RowPowerLost:
			v.add(r.Moment, int(r.Node), 4, "%s loses power: what was not synced may be gone", who)
		case sim.RowKilled:
			v.add(r.Moment, int(r.Node), 5, "%s is killed", who)
		case sim.RowExits:
			v.add(r.Moment, int(r.Node), 5, "%s ends of its own with code %d: %s", who, r.A, clip(v.rec.Names[r.Text]))
		case sim.RowReady:
			v.add(r.Moment, int(r.Node), 6, "%s serves, life %d", who, r.Life)
		default:
			continue
		}
		told[r.Node]++
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
		return cmp.Or(a.rank-b.rank, cmp.Compare(b.Step, a.Step)) // of a rank the nearest to the end first
	})
	list := v.pins[:min(len(v.pins), pinsMax)]
	slices.SortStableFunc(list, func(a, b pin) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), a.order-b.order)
	})
	return list
}
