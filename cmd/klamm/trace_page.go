package main

import (
	"bytes"
	"compress/flate"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"html"
	"math"
	"slices"
	"strings"

	"klamm/core"
	"klamm/sim"
)

// The page is one file: a skeleton, its style and its program, and the recording as columns of numbers. Columns are deflated, so that a
// run of hundreds of thousands of events stays within a few megabytes, and are ready for use as soon as they are inflated.
//
//go:embed page
var pageFiles embed.FS

// columns gathers columns of 32-bit numbers. Each is laid out byte by byte, the lowest bytes of all numbers first, which deflates
// to about half of what numbers one after the other do.
type columns struct {
	Index []column `json:"index"`
	data  []byte
}

type column struct {
	Name  string `json:"name"`
	Count int    `json:"n"`
	Delta bool   `json:"d,omitempty"` // each number but the first is the difference to the one before
}

// none stands for what is not there.
const none = math.MinInt32

// clamp makes a 32-bit number: what does not fit is as large as can be.
func clamp(v int64) int32 { return int32(min(max(v, math.MinInt32+1), math.MaxInt32)) }

func (c *columns) add(name string, delta bool, n int, at func(i int) int32) {
	c.Index = append(c.Index, column{name, n, delta})
	from := len(c.data)
	c.data = append(c.data, make([]byte, 4*n)...)
	last := int32(0)
	var b [4]byte
	for i := range n {
		v := at(i)
		if delta {
			v, last = v-last, v
		}
		binary.LittleEndian.PutUint32(b[:], uint32(v))
		for k, x := range b {
			c.data[from+k*n+i] = x
		}
	}
}

// moments adds two columns: the step and the instant in microseconds.
func (c *columns) moments(name string, n int, at func(i int) sim.Moment) {
	when := func(m sim.Moment, v int64) int32 {
		if !m.Came() {
			return none
		}
		return clamp(v)
	}
	c.add(name+"Step", true, n, func(i int) int32 { m := at(i); return when(m, int64(m.Step)) })
	c.add(name+"At", true, n, func(i int) int32 { m := at(i); return when(m, int64(m.At/core.Microsecond)) })
}

// pageMeta is what the page is told besides the columns.
type pageMeta struct {
	Title      string             `json:"title"`
	Command    string             `json:"command"`
	Config     string             `json:"config"`
	Hash       string             `json:"hash"`
	Steps      uint64             `json:"steps"`
	Events     int                `json:"events"`
	End        int64              `json:"end"` // of the run, in microseconds
	Cut        bool               `json:"cut"`
	From       uint64             `json:"from"`
	Nodes      []sim.RecordedNode `json:"nodes"`
	Names      []string           `json:"names"`
	Subjects   [][3]int32         `json:"subjects"` // node, kind, name
	Partitions []string           `json:"partitions"`
	Plan       []pageFault        `json:"plan"`
	RowKinds   []string           `json:"rowKinds"` // the group of each kind
	Stages     []string           `json:"stages"`
	Errors     []string           `json:"errors"`
	Effects    []string           `json:"effects"`
	Fields     [][]string         `json:"fields"`
	Columns    []column           `json:"columns"`
	Verdict    *pageVerdict       `json:"verdict"`
	FrameChunk int                `json:"frameChunk"`
	Picture    string             `json:"picture"` // porcupine's page, packed
	PictureOf  string             `json:"pictureOf"`
}

type pageFault struct {
	Kind string `json:"kind"`
	Node int    `json:"node"`
	At   int64  `json:"at"`
	For  int64  `json:"for"`
	P    int64  `json:"p"`
	Q    int64  `json:"q"`
}

type pageVerdict struct {
	Rule, Statement, Text string
	Step                  uint64
	At                    int64
	Partitions            []string
	Pins                  []pagePin
}

type pagePin struct {
	Step uint64
	At   int64
	Node int
	Text string
}

// frameChunk is how many frames' details are inflated at once, when one of them is asked for.
const frameChunk = 256

// page makes the page.
func (t *trace) page() ([]byte, error) {
	var c columns
	var texts strings.Builder // a line each: the titles of all frames
	details, parts := t.frameColumns(&c, &texts)
	t.rowColumns(&c)
	t.otherColumns(&c)
	meta := t.meta(parts, c.Index)
	head, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range []string{"page.html", "page.css", "data.js", "lanes.js", "draw.js", "marks.js", "panel.js", "main.js"} {
		b, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			return nil, err
		}
		files[name] = string(b)
	}
	out := files["page.html"]
	for _, x := range []struct{ mark, text string }{
		{"{{title}}", html.EscapeString(t.title)}, {"{{style}}", files["page.css"]}, {"{{meta}}", string(head)}, {"{{columns}}", pack(c.data)},
		{"{{titles}}", pack([]byte(texts.String()))}, {"{{details}}", strings.Join(details, "\n")},
		{"{{program}}", files["data.js"] + files["lanes.js"] + files["draw.js"] + files["marks.js"] + files["panel.js"] + files["main.js"]},
	} {
		before, after, _ := strings.Cut(out, x.mark)
		out = before + x.text + after
	}
	return []byte(out), nil
}

// pack deflates bytes and writes them as text.
func pack(b []byte) string {
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, 6) // the level is in range
	_, _ = w.Write(b)                // into memory
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

// frameColumns decodes all frames. It returns their details, in packed chunks, and the partitions that anything is about.
func (t *trace) frameColumns(c *columns, titles *strings.Builder) (details, partitions []string) {
	number := map[string]int32{}
	part := func(name string) int32 {
		i, known := number[name]
		if !known {
			i = int32(len(partitions))
			number[name], partitions = i, append(partitions, name)
		}
		return i
	}
	for _, s := range t.rec.Subjects {
		if s.Kind == sim.SubjectLog {
			part(t.rec.Names[s.Name])
		}
	}
	frames := t.rec.Frames
	read := newFrameReader(t.rec)
	var chunk strings.Builder
	var starts, list []int32
	texts := make([]frameText, len(frames))
	for i := range frames {
		x := read.read(&frames[i])
		starts = append(starts, int32(len(list)))
		for _, p := range x.partitions {
			if _, known := number[p]; known { // others are of no node: somebody asked for what there never was
				list = append(list, part(p))
			}
		}
		titles.WriteString(strings.ReplaceAll(x.title, "\n", " "))
		titles.WriteByte('\n')
		chunk.WriteString(strings.Join(x.detail, "\n"))
		chunk.WriteByte(0)
		if i%frameChunk == frameChunk-1 || i == len(frames)-1 {
			details = append(details, pack([]byte(chunk.String())))
			chunk.Reset()
		}
		x.detail, x.partitions, x.title = nil, nil, ""
		texts[i] = x
	}
	starts = append(starts, int32(len(list)))
	n := len(frames)
	c.moments("frameSent", n, func(i int) sim.Moment { return frames[i].Sent })
	c.moments("frameGot", n, func(i int) sim.Moment { return frames[i].Got })
	for _, x := range []struct {
		name string
		of   func(i int) int32
	}{
		{"frameFrom", func(i int) int32 { return int32(frames[i].From) }}, {"frameTo", func(i int) int32 { return int32(frames[i].To) }},
		{"frameLine", func(i int) int32 { return frames[i].Line }}, {"frameAsks", func(i int) int32 { return frames[i].Asks }},
		{"frameKey", func(i int) int32 { return int32(texts[i].key) }}, {"frameVersion", func(i int) int32 { return int32(texts[i].version) }},
		{"frameCorr", func(i int) int32 { return texts[i].corr }}, {"frameSize", func(i int) int32 { return clamp(int64(frames[i].Size)) }},
		{"frameFlags", func(i int) int32 { return flags(frames[i].Request, texts[i].failed) }},
	} {
		c.add(x.name, false, n, x.of)
	}
	c.add("framePartFrom", true, n+1, func(i int) int32 { return starts[i] })
	c.add("framePart", false, len(list), func(i int) int32 { return list[i] })
	return details, partitions
}

func flags(bits ...bool) (v int32) {
	for i, b := range bits {
		if b {
			v |= 1 << i
		}
	}
	return v
}

// inMicros says which rows hold spans and instants, which the page reads in microseconds: A, B.
func inMicros(k sim.RowKind) (a, b bool) { return k == sim.RowPaused, k == sim.RowCut }

func (t *trace) rowColumns(c *columns) {
	rows, n := t.rec.Rows, len(t.rec.Rows)
	c.moments("row", n, func(i int) sim.Moment { return rows[i].Moment })
	c.moments("rowUntil", n, func(i int) sim.Moment { return rows[i].Until })
	for _, x := range []struct {
		name string
		of   func(r *sim.Row) int32
	}{
		{"rowKind", func(r *sim.Row) int32 { return int32(r.Kind) }}, {"rowErr", func(r *sim.Row) int32 { return int32(r.Err) }},
		{"rowNode", func(r *sim.Row) int32 { return int32(r.Node) }}, {"rowLife", func(r *sim.Row) int32 { return int32(r.Life) }},
		{"rowText", func(r *sim.Row) int32 { return int32(r.Text) }},
		{"rowA", func(r *sim.Row) int32 {
			if micros, _ := inMicros(r.Kind); micros {
				return clamp(r.A / 1000)
			}
			return clamp(r.A)
		}},
		{"rowB", func(r *sim.Row) int32 {
			if _, micros := inMicros(r.Kind); micros {
				return clamp(r.B / 1000)
			}
			return clamp(r.B)
		}},
	} {
		c.add(x.name, false, n, func(i int) int32 { return x.of(&rows[i]) })
	}
}

// otherColumns are what clients did, and what changed.
func (t *trace) otherColumns(c *columns) {
	deeds, n := t.rec.Deeds, len(t.rec.Deeds)
	c.moments("deedAsked", n, func(i int) sim.Moment { return deeds[i].Asked })
	c.moments("deedSettled", n, func(i int) sim.Moment { return deeds[i].Settled })
	for _, x := range []struct {
		name string
		of   func(d *sim.Deed) int32
	}{
		{"deedKind", func(d *sim.Deed) int32 { return int32(d.Kind) }}, {"deedOutcome", func(d *sim.Deed) int32 { return int32(d.Outcome) }},
		{"deedNode", func(d *sim.Deed) int32 { return int32(d.Node) }}, {"deedHigh", func(d *sim.Deed) int32 { return int32(d.Record >> 32) }},
		{"deedLow", func(d *sim.Deed) int32 { return int32(d.Record) }}, {"deedPartition", func(d *sim.Deed) int32 { return d.Partition }},
		{"deedTopic", func(d *sim.Deed) int32 { return int32(d.Topic) }}, {"deedOffset", func(d *sim.Deed) int32 { return clamp(d.Offset) }},
	} {
		c.add(x.name, false, n, func(i int) int32 { return x.of(&deeds[i]) })
	}
	changes, n := t.rec.Changes, len(t.rec.Changes)
	c.moments("change", n, func(i int) sim.Moment { return changes[i].Moment })
	c.add("changeSubject", false, n, func(i int) int32 { return changes[i].Subject })
	c.add("changeField", false, n, func(i int) int32 { return int32(changes[i].Field) })
	c.add("changeValue", false, n, func(i int) int32 {
		if changes[i].Value == sim.Vanished {
			return none
		}
		return clamp(changes[i].Value)
	})
}

func (t *trace) meta(partitions []string, index []column) *pageMeta {
	m := &pageMeta{Title: t.title, Command: t.command(), Config: t.rec.Config, Hash: t.r.Hash.String(), Steps: t.r.Steps, Events: t.events(), End: int64(t.r.Time / core.Microsecond),
		Cut: t.rec.Cut, From: t.rec.From, Nodes: t.rec.Nodes, Names: t.rec.Names, Partitions: partitions, RowKinds: rowKinds[:], Stages: stageNames, Fields: fieldNames[:], Columns: index, FrameChunk: frameChunk}
	if t.rec.Picture != "" {
		m.Picture, m.PictureOf = pack([]byte(t.rec.Picture)), t.rec.PictureOf
	}
	for _, s := range t.rec.Subjects {
		m.Subjects = append(m.Subjects, [3]int32{int32(s.Node), int32(s.Kind), int32(s.Name)})
	}
	for _, f := range t.rec.Plan {
		m.Plan = append(m.Plan, pageFault{f.Kind.String(), f.Node, int64(f.At / core.Microsecond), int64(f.For / core.Microsecond), f.P, f.Q})
	}
	for e := core.OK; e <= core.Stopping; e++ {
		m.Errors = append(m.Errors, e.String())
	}
	for k := core.Send; k <= core.Exit; k++ {
		m.Effects = append(m.Effects, k.String())
	}
	if f := t.r.Failure; f != nil {
		v := &pageVerdict{Rule: f.Rule, Statement: ruleStatement(f.Rule), Text: f.Text, Step: f.Step, At: int64(f.At / core.Microsecond)}
		for _, p := range anyPartWord.FindAllString(f.Text, -1) {
			if slices.Contains(partitions, p) && !slices.Contains(v.Partitions, p) {
				v.Partitions = append(v.Partitions, p)
			}
		}
		for _, p := range t.pins {
			v.Pins = append(v.Pins, pagePin{p.Step, int64(p.At / core.Microsecond), p.node, p.text})
		}
		m.Verdict = v
	}
	return m
}

// ruleStatement is what a rule says, from the table of invariants.
func ruleStatement(rule string) string {
	b, err := pageFiles.ReadFile("page/rules.tsv")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if id, text, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && id == rule {
			return text
		}
	}
	return ""
}
