package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
	"klamm/sim"
)

// frameText is a frame of a simulated run as a person reads it.
type frameText struct {
	title      string   // one line
	detail     []string // all fields that are not what they usually are
	partitions []string
	failed     bool // it carries an error code
	key        int16
	version    int16
	corr       int32
}

// frameReader decodes the frames of one recording.
type frameReader struct {
	rec    *sim.Recording
	topics map[core.TopicID]string
}

func newFrameReader(rec *sim.Recording) *frameReader {
	r := &frameReader{rec: rec, topics: map[core.TopicID]string{}}
	for _, t := range rec.Topics {
		r.topics[t.ID] = t.Name
	}
	return r
}

// read decodes a frame. What can't be decoded is called what it is: clients that mean no good send such things.
func (r *frameReader) read(f *sim.FrameSent) (t frameText) {
	t.key = -1
	if f.Request {
		if len(f.Bytes) < 12 {
			t.title = fmt.Sprintf("%d bytes that are no request", f.Size)
			return t
		}
		t.key, t.version = int16(binary.BigEndian.Uint16(f.Bytes[4:])), int16(binary.BigEndian.Uint16(f.Bytes[6:]))
		t.corr = int32(binary.BigEndian.Uint32(f.Bytes[8:]))
		t.title = keyName(t.key)
		req, err := wire.ParseRequest(f.Bytes)
		switch {
		case err != nil:
			t.detail = []string{"can't be decoded: " + err.Error()}
			return t
		case req.Body == nil: // of a version that nobody knows
			return t
		}
		r.describe(&t, req.Body)
		return t
	}
	if len(f.Bytes) >= 8 {
		t.corr = int32(binary.BigEndian.Uint32(f.Bytes[4:]))
	}
	if f.Asks < 0 {
		t.title = "an answer to no request that is known"
		return t
	}
	asked := &r.rec.Frames[f.Asks]
	t.key, t.version = int16(binary.BigEndian.Uint16(asked.Bytes[4:])), int16(binary.BigEndian.Uint16(asked.Bytes[6:]))
	t.title = keyName(t.key)
	_, body, err := wire.ParseResponse(f.Bytes, t.key, t.version)
	resp := kmsg.ResponseForKey(t.key)
	if err != nil || resp == nil {
		t.detail = []string{"can't be decoded"}
		return t
	}
	resp.SetVersion(t.version)
	if err := resp.ReadFrom(body); err != nil {
		t.detail = []string{"can't be decoded, or did not come whole: " + err.Error()}
		return t
	}
	r.describe(&t, resp)
	return t
}

func keyName(key int16) string {
	if name := wire.Name(key); name != "" {
		return name
	}
	return "key " + strconv.Itoa(int(key))
}

// describe writes a message's fields down.
func (r *frameReader) describe(t *frameText, m any) {
	w := messageWriter{r: r, t: t}
	w.fields(reflect.ValueOf(m).Elem(), "", "")
	if len(w.facts) > titleFacts {
		w.facts = append(w.facts[:titleFacts], "…")
	}
	if len(w.facts) > 0 {
		t.title += " " + strings.Join(w.facts, ", ")
	}
	slices.Sort(t.partitions)
	t.partitions = slices.Compact(t.partitions)
}

// titleFacts bounds what a title tells: partitions, errors, epochs.
const titleFacts = 4

// messageWriter walks one message.
type messageWriter struct {
	r     *frameReader
	t     *frameText
	facts []string
}

const detailLines = 400 // of one message

func (w *messageWriter) line(indent, format string, args ...any) {
	if n := len(w.t.detail); n < detailLines {
		w.t.detail = append(w.t.detail, indent+fmt.Sprintf(format, args...))
	} else if n == detailLines {
		w.t.detail = append(w.t.detail, "…")
	}
}

// told are the fields that a title tells of a partition, with the words for them.
var told = map[string]string{
	"FetchOffset": "from", "BaseOffset": "at", "HighWatermark": "hw", "LeaderEpoch": "epoch", "Offset": "offset", "EndOffset": "end",
	"CandidateEpoch": "epoch", "ReplicaEpoch": "epoch", "VoteGranted": "granted", "PreVote": "pre-vote", "LastOffset": "last", "Timestamp": "time", "CommittedOffset": "offset",
}

// fields writes the fields of a structure. topic is the one that it is about.
func (w *messageWriter) fields(v reflect.Value, indent, topic string) {
	typ := v.Type()
	if name := w.topicOf(v); name != "" {
		topic = name
	}
	fact := ""
	if p := v.FieldByName("Partition"); p.IsValid() && p.Kind() == reflect.Int32 && topic != "" {
		fact = topic + "-" + strconv.Itoa(int(p.Int()))
		w.t.partitions = append(w.t.partitions, fact)
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "Version" || f.Name == "UnknownTags" || !f.IsExported() {
			continue
		}
		x := v.Field(i)
		switch {
		case f.Name == "ErrorCode":
			if code := wire.Code(x.Int()); code != wire.None {
				w.t.failed = true
				w.line(indent, "%s: %s", f.Name, code)
				fact = strings.TrimSpace(fact + " " + code.String())
			}
			continue
		case f.Name == "Partitions" && x.Kind() == reflect.Slice && x.Type().Elem().Kind() == reflect.Int32 && topic != "":
			var list []string
			for j := range x.Len() {
				list = append(list, topic+"-"+strconv.Itoa(int(x.Index(j).Int())))
			}
			w.t.partitions = append(w.t.partitions, list...)
			if fact == "" && len(list) > 0 {
				fact = strings.Join(list[:min(len(list), 6)], " ")
			}
		}
		if word, is := told[f.Name]; is && (x.CanInt() && x.Int() >= 0 && x.Int() != math.MaxInt64 || x.Kind() == reflect.Bool && x.Bool()) && fact != "" {
			fact += " " + word
			if x.CanInt() {
				fact += " " + strconv.FormatInt(x.Int(), 10)
			}
		}
		if f.Name == "Offset" && x.CanInt() && x.Int() == -1 && fact != "" {
			fact += " offset none"
		}
		if (f.Name == "Records" || f.Name == "RecordBatches") && x.Kind() == reflect.Slice {
			fact = strings.TrimSpace(fact + " " + w.batches(indent, x.Bytes()))
			continue
		}
		w.value(f.Name, x, indent, topic)
	}
	switch {
	case fact != "":
		w.facts = append(w.facts, fact)
	case indent == "":
		for _, name := range []string{"Group", "TransactionalID", "GroupID"} {
			if f := v.FieldByName(name); f.IsValid() {
				if s := text(f); s != "" {
					w.facts = append([]string{s}, w.facts...)
				}
			}
		}
	}
}

func text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return ""
}

// topicOf is the topic that a structure names, by name or by id.
func (w *messageWriter) topicOf(v reflect.Value) string {
	for _, name := range []string{"Topic", "Name"} {
		if f := v.FieldByName(name); f.IsValid() && v.FieldByName("Partitions").IsValid() {
			if s := text(f); s != "" {
				return s
			}
		}
	}
	if f := v.FieldByName("TopicID"); f.IsValid() && f.Type() == reflect.TypeFor[[16]uint8]() {
		return w.r.topics[core.TopicID(f.Interface().([16]uint8))]
	}
	return ""
}

// value writes one field. What is empty, zero or "none" is left out.
func (w *messageWriter) value(name string, x reflect.Value, indent, topic string) {
	switch x.Kind() {
	case reflect.Pointer:
		if !x.IsNil() {
			w.value(name, x.Elem(), indent, topic)
		}
	case reflect.Struct:
		if name != "UnknownTags" {
			at := len(w.t.detail)
			w.line(indent, "%s:", name)
			w.fields(x, indent+"  ", topic)
			if len(w.t.detail) == at+1 && at < detailLines {
				w.t.detail = w.t.detail[:at]
			}
		}
	case reflect.Slice:
		w.list(name, x, indent, topic)
	case reflect.Array:
		if id, ok := x.Interface().([16]uint8); ok && id != [16]uint8{} {
			if t := w.r.topics[core.TopicID(id)]; t != "" {
				w.line(indent, "%s: %s (%s)", name, core.TopicID(id), t)
			} else {
				w.line(indent, "%s: %s", name, core.TopicID(id))
			}
		}
	case reflect.String:
		if s := x.String(); s != "" {
			w.line(indent, "%s: %s", name, clip(s))
		}
	case reflect.Bool:
		if x.Bool() {
			w.line(indent, "%s", name)
		}
	default:
		if x.CanInt() && x.Int() != -1 && (x.Int() != 0 || told[name] != "" || strings.HasSuffix(name, "Epoch")) || x.CanUint() && x.Uint() != 0 || name == "Partition" {
			w.line(indent, "%s: %v", name, x.Interface())
		}
	}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

func (w *messageWriter) list(name string, x reflect.Value, indent, topic string) {
	switch {
	case x.Len() == 0:
	case x.Type().Elem().Kind() == reflect.Uint8 && w.embedded(name, x.Bytes(), indent):
	case x.Type().Elem().Kind() == reflect.Uint8:
		w.line(indent, "%s: %d bytes", name, x.Len())
	case x.Type().Elem().Kind() == reflect.Struct:
		for i := range x.Len() {
			w.line(indent, "%s[%d]:", name, i)
			w.fields(x.Index(i), indent+"  ", topic)
		}
	default:
		var b strings.Builder
		for i := range min(x.Len(), 50) {
			fmt.Fprintf(&b, " %v", x.Index(i).Interface())
		}
		w.line(indent, "%s:%s", name, clip(b.String()))
	}
}

// embedded writes down what members of a group say to each other in fields of bytes: their subscriptions and assignments.
func (w *messageWriter) embedded(name string, b []byte, indent string) bool {
	var m interface {
		ReadFrom([]byte) error
	}
	switch name {
	case "MemberAssignment":
		m = new(kmsg.ConsumerMemberAssignment)
	case "Metadata", "ProtocolMetadata":
		m = new(kmsg.ConsumerMemberMetadata)
	default:
		return false
	}
	if m.ReadFrom(b) != nil {
		return false
	}
	w.line(indent, "%s:", name)
	w.fields(reflect.ValueOf(m).Elem(), indent+"  ", "")
	return true
}

// batches writes down the batches that a message carries; the result is what a title tells of them.
func (w *messageWriter) batches(indent string, b []byte) (fact string) {
	records, size := int32(0), len(b)
	first, last := int64(-1), int64(-1)
	for len(b) > 0 {
		v, rest, is := batch.First(b)
		if is != batch.Good {
			w.line(indent, "%d bytes that are no whole batch", len(b))
			break
		}
		kind := ""
		switch {
		case v.IsControl():
			kind = " control"
		case v.IsTransactional():
			kind = " transactional"
		}
		w.line(indent, "batch %d to %d, epoch %d, %d%s records, %s, producer %d epoch %d sequence %d%s", v.BaseOffset(), v.LastOffset(), v.LeaderEpoch(), v.Count(), kind, v.Codec(),
			v.ProducerID(), v.ProducerEpoch(), v.BaseSequence(), recordNames(v))
		if first < 0 {
			first = int64(v.BaseOffset())
		}
		records, last = records+v.Count(), int64(v.LastOffset())
		b = rest
	}
	switch {
	case records == 0:
		return ""
	case first == 0 && last < int64(records) || size == 0:
		return fmt.Sprintf("%d records", records)
	}
	return fmt.Sprintf("records %d to %d", first, last)
}

// recordNames are the names that the judge has for the records of a batch, if the workload made them.
func recordNames(v batch.View) string {
	if v.IsControl() {
		return ""
	}
	r, is := batch.Read(v, 1<<20)
	if is != batch.Good {
		return ""
	}
	var names []string
	var rec batch.Record
	for r.Next(&rec) {
		if len(rec.Value) >= 12 && int(binary.BigEndian.Uint32(rec.Value[8:])) == len(rec.Value)-12 {
			names = append(names, recordName(binary.BigEndian.Uint64(rec.Value)))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + clip(strings.Join(names, " "))
}

// recordName is what the judge calls a record.
func recordName(id uint64) string { return fmt.Sprintf("p%d.%d", id>>32, uint32(id)) }
