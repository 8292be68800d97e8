package main

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/sim"
)

var rewriteRules = flag.Bool("rewrite-rules", false, "write page/rules.tsv from docs/invariants.md")

var ruleRow = regexp.MustCompile(`^\| (I\d+) \| (.*?) \| [^|]* \| [^|]*\|$`)

// The sentences on the page are those of docs/invariants.md.
func TestRulesOnThePage(t *testing.T) {
	b, err := os.ReadFile("../../docs/invariants.md")
	require.NoError(t, err)
	var want strings.Builder
	for line := range strings.Lines(string(b)) {
		if m := ruleRow.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			want.WriteString(m[1] + "\t" + strings.ReplaceAll(m[2], `\|`, "|") + "\n")
		}
	}
	require.Greater(t, strings.Count(want.String(), "\n"), 90)
	if *rewriteRules {
		require.NoError(t, os.WriteFile("page/rules.tsv", []byte(want.String()), 0o644))
	}
	got, err := os.ReadFile("page/rules.tsv")
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "go test ./cmd/klamm -run RulesOnThePage -rewrite-rules")
}

// traced runs a seed and records it.
func traced(t *testing.T, o traceOptions) *trace {
	t.Helper()
	opt, err := simOptions(o.profile, o.nodes, o.workload)
	require.NoError(t, err)
	var rec sim.Recording
	opt.Record = &rec
	r := sim.RunSafe(o.seed, opt)
	return newTrace(&o, &r, &rec)
}

// Topics that a message names by their id have their names, on one node as on several.
func TestTopicsByID(t *testing.T) {
	for _, nodes := range []string{"1", "3"} {
		tr := traced(t, traceOptions{seed: 3, nodes: nodes, workload: "mixed"})
		read := newFrameReader(tr.rec)
		fetches, named := 0, 0
		for i := range tr.rec.Frames {
			f := &tr.rec.Frames[i]
			if x := read.read(f); f.Request && keyName(x.key) == "Fetch" && x.version >= 13 && strings.Contains(strings.Join(x.detail, "\n"), "FetchOffset") {
				if fetches++; len(x.partitions) > 0 {
					named++
				}
			}
		}
		require.NotZero(t, fetches)
		require.Equal(t, fetches, named, "%s nodes", nodes)
	}
}

// A page is whole: what it holds can be unpacked again, and it asks nothing of anybody.
func TestPage(t *testing.T) {
	tr := traced(t, traceOptions{seed: 3, nodes: "3", workload: "mixed"})
	b, err := tr.page()
	require.NoError(t, err)
	page := string(b)
	require.NotContains(t, page, "{{")
	for _, bad := range []string{"http://", "https://", "src=", "@import", "url(", "<link"} {
		require.NotContains(t, page, bad, "the page stands alone")
	}
	var m pageMeta
	require.NoError(t, json.Unmarshal([]byte(section(t, page, "data-meta")), &m))
	require.Equal(t, tr.events(), m.Events)
	require.Len(t, m.Nodes, len(tr.rec.Nodes))
	cols := unpack(t, section(t, page, "data-columns"))
	size := 0
	for _, c := range m.Columns {
		size += 4 * c.Count
	}
	require.Len(t, cols, size)
	titles := strings.Split(string(unpack(t, section(t, page, "data-titles"))), "\n")
	require.Len(t, titles, len(tr.rec.Frames)+1)
	chunks := strings.Split(section(t, page, "data-details"), "\n")
	require.Len(t, chunks, (len(tr.rec.Frames)+frameChunk-1)/frameChunk)
	require.Contains(t, string(unpack(t, chunks[0])), "CurrentLeaderEpoch")
	require.Less(t, len(b), 100*m.Events, "bytes an event")
}

func section(t *testing.T, page, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `id="`+id+`">`)
	require.True(t, ok, id)
	text, _, ok := strings.Cut(rest, "</script>")
	require.True(t, ok, id)
	return text
}

func unpack(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	b, err = io.ReadAll(flate.NewReader(bytes.NewReader(b)))
	require.NoError(t, err)
	return b
}

// Nearly all messages are decoded, and a filter leaves what it names.
func TestTraceText(t *testing.T) {
	tr := traced(t, traceOptions{seed: 3, nodes: "3", workload: "mixed", to: 1 << 62})
	lines := tr.lines()
	kinds := map[string]int{}
	undecoded := 0
	for i, l := range lines {
		kinds[l.kind]++
		require.NotEmpty(t, l.text)
		require.True(t, i == 0 || lines[i-1].at.Step <= l.at.Step)
		if l.kind == "message" && (strings.Contains(l.text, "no request that is known") || len(l.more) > 0 && strings.Contains(l.more[0], "can't be decoded")) {
			undecoded++
		}
	}
	for _, k := range traceKinds[:len(traceKinds)-1] {
		require.NotZero(t, kinds[k], k)
	}
	require.Less(t, undecoded, kinds["message"]/50)
	tr.o.part = "t0-0"
	var b strings.Builder
	tr.print(&b)
	_, after, _ := strings.Cut(b.String(), "planned ")
	for line := range strings.Lines(after) {
		if !strings.HasPrefix(line, "planned") && strings.Contains(line, " message ") && !strings.Contains(line, "…") {
			require.Contains(t, line+"t0-0", "t0-0")
		}
	}
	require.Contains(t, after, "t0-0")
	require.True(t, names("fetch t0-1, t0-0 from 3", "t0-0"))
	require.False(t, names("fetch t0-01", "t0-0"))
	require.False(t, names("fetch xt0-0", "t0-0"))
}

// A verdict is pinned to what contradicts it: what was acknowledged, what was cut, what is there.
func TestPins(t *testing.T) {
	at := func(step uint64) sim.Moment { return sim.Moment{Step: step, At: core.Time(step) * core.Millisecond} }
	rec := &sim.Recording{
		Nodes:    []sim.RecordedNode{{Name: "broker1", Broker: true}, {Name: "broker2", Broker: true}, {Name: "producer0"}},
		Names:    []string{"", "t0-0", "t0", "[1 2]"},
		Subjects: []sim.Subject{{Node: 0, Kind: sim.SubjectLog, Name: 1}, {Node: 1, Kind: sim.SubjectLog, Name: 1}},
		Deeds:    []sim.Deed{{Asked: at(3), Settled: at(9), Outcome: sim.OutcomeDone, Node: 2, Record: 5, Partition: 0, Topic: 2, Offset: 7}, {Asked: at(4), Settled: at(10), Outcome: sim.OutcomeDone, Node: 2, Record: 6, Partition: 0, Topic: 2, Offset: 90}},
		Rows:     []sim.Row{{Moment: at(20), Kind: sim.RowPowerLost, Node: 1}, {Moment: at(40), Kind: sim.RowBroken, Node: 1}},
	}
	change := func(step uint64, subject int32, f sim.Field, v int64) {
		rec.Changes = append(rec.Changes, sim.Change{Moment: at(step), Subject: subject, Field: f, Value: v})
	}
	change(1, 0, sim.LogRole, sim.LogLeads)
	change(1, 0, sim.LogISR, 3)
	change(1, 1, sim.LogRole, sim.LogFollows)
	change(5, 0, sim.LogEnd, 8)
	change(6, 1, sim.LogEnd, 8)
	change(8, 0, sim.LogHigh, 8)
	change(30, 1, sim.LogEnd, 4)
	pins := pinned(rec, &sim.Failure{Rule: "I20", Text: "t0-0: node 2 may be chosen (leader 1 epoch 90 isr [90]), its log ends at 4, and all below 8 is committed", Step: 40, At: 40 * core.Millisecond})
	var texts []string
	for _, p := range pins {
		texts = append(texts, strconv.FormatUint(p.Step, 10)+" "+p.text)
	}
	for _, want := range []string{
		"8 broker1, the leader, raises the high watermark of t0-0 to 8: what stands at 7 and 4 counts as committed",
		"9 producer0 is told that record p0.5 stands at offset 7 of t0-0",
		"20 broker2 loses power: what was not synced may be gone",
		"30 broker2 cuts its log of t0-0 from 8 back to 4",
		"40 at that step broker2 has t0-0 as follower in epoch 0: log 0 to 4, high watermark 0",
		"40 here I20 is found broken",
	} {
		require.Contains(t, texts, want)
	}
	for _, s := range texts {
		require.NotContains(t, s, "p0.6", "an epoch is no offset")
	}
}

// The state at a step is the same whether it is asked for there or walked to.
func TestStateAtAStep(t *testing.T) {
	tr := traced(t, traceOptions{seed: 3, nodes: "3", workload: "mixed"})
	var early, late strings.Builder
	require.NoError(t, tr.printState(&early, 100))
	require.NoError(t, tr.printState(&late, tr.r.Steps))
	require.NotEqual(t, early.String(), late.String())
	for _, want := range []string{"broker1 (", "broker3 (", "__cluster_metadata-0", "leader", "follower", "GROUP"} {
		require.Contains(t, late.String(), want)
	}
	require.NotContains(t, late.String(), "admin")
	var one strings.Builder
	tr.o.node, tr.o.part = "broker2", "__cluster_metadata-0"
	require.NoError(t, tr.printState(&one, tr.r.Steps))
	require.NotContains(t, one.String(), "broker1")
	require.NotContains(t, one.String(), "t0-0")
}

// Whatever comes in a frame, it is described: clients that mean no good send what they like.
func TestOddFramesAreDescribed(t *testing.T) {
	rec := &sim.Recording{}
	for key := int16(-2); key < 100; key++ {
		for version := int16(-2); version < 22; version++ {
			b := make([]byte, 64)
			binary.BigEndian.PutUint32(b, 60)
			binary.BigEndian.PutUint16(b[4:], uint16(key))
			binary.BigEndian.PutUint16(b[6:], uint16(version))
			for i := 14; i < len(b); i++ {
				b[i] = byte(i*int(version) + int(key))
			}
			rec.Frames = append(rec.Frames, sim.FrameSent{Request: true, Asks: -1, Bytes: b, Size: 64}, sim.FrameSent{Asks: int32(len(rec.Frames)), Bytes: b[:40], Size: 64})
		}
	}
	rec.Frames = append(rec.Frames, sim.FrameSent{Request: true, Asks: -1, Bytes: []byte{0, 0, 0, 1, 9}, Size: 5}, sim.FrameSent{Asks: -1})
	read := newFrameReader(rec)
	for i := range rec.Frames {
		require.NotEmpty(t, read.read(&rec.Frames[i]).title)
	}
}
