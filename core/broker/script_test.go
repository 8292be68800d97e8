package broker

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// baseConfig is what every script's broker is started with, if it does not say otherwise.
const baseConfig = "node.id=1\nlog.dirs=/data\nklamm.auto.format=true\nlisteners=PLAINTEXT://localhost:9092\n"

// TestScripts runs the golden scripts, each twice: the second run must make the same effects to the byte.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		first := runScript(t, path)
		require.Equal(t, first, runScript(t, path), "two runs of one script")
	})
}

func runScript(t *testing.T, path string) uint64 {
	s := &script{t: t, w: newWorld(t)}
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		s.d, s.w.t = d, t
		return s.command()
	})
	return s.w.hash
}

type script struct {
	t *testing.T
	d *datadriven.TestData
	w *world

	session int32 // the last that a Fetch opened
}

func (s *script) int(key string, or int64) int64 {
	if s.d.HasArg(key) {
		s.d.ScanArgs(s.t, key, &or)
	}
	return or
}

func (s *script) text(key, or string) string {
	if s.d.HasArg(key) {
		s.d.ScanArgs(s.t, key, &or)
	}
	return or
}

func (s *script) vals(key string) []string {
	for _, a := range s.d.CmdArgs {
		if a.Key == key {
			return a.Vals
		}
	}
	return nil
}

// connOf is the id of a script's connection n: a world gives odd ones to those that it accepts.
func connOf(n int64) core.ConnID { return core.ConnID(2*n - 1) }

func (s *script) conn() core.ConnID {
	id := connOf(s.int("conn", 1))
	if s.w.conns[id] == nil {
		s.w.connect(id, "10.0.0."+strconv.Itoa(int(s.int("conn", 1)))+":5000")
	}
	return id
}

func (s *script) command() string {
	w := s.w
	switch s.d.Cmd {
	case "boot", "restart":
		if s.d.Cmd == "restart" {
			w.start()
		}
		w.boot(baseConfig + s.d.Input)
		return s.state()
	case "state":
		return s.state()
	case "notes":
		out := strings.Join(w.notes, "\n") + "\n"
		w.notes = nil
		return out
	case "connect":
		w.connect(connOf(s.int("conn", 1)), s.text("remote", "10.0.0.1:5000"))
		return s.closedText(connOf(s.int("conn", 1)))
	case "hang-up":
		w.hangUp(s.conn(), core.Reset)
		return ""
	case "call":
		return s.call()
	case "raw":
		id := s.conn()
		w.raw(id, []byte(s.d.Input))
		return s.closedText(id)
	case "produce":
		return s.produce()
	case "fetch":
		return s.fetch()
	case "reply":
		return s.reply(s.conn())
	case "advance":
		w.advance(core.Millis(s.int("ms", 0)))
		return ""
	case "hold":
		for _, a := range s.d.CmdArgs {
			w.held[effectNamed(s.t, a.Key)] = true
		}
		return ""
	case "release":
		var kinds []core.EffectKind
		for _, a := range s.d.CmdArgs {
			kinds = append(kinds, effectNamed(s.t, a.Key))
		}
		w.release(kinds...)
		return ""
	case "fail":
		w.fail[effectNamed(s.t, s.d.CmdArgs[0].Key)] = core.IOError
		return ""
	case "break": // everything in a directory fails from now on; without one, nothing does
		w.broken = s.text("dir", "")
		return ""
	case "stop":
		w.deliver(core.Event{Kind: core.Tick, Err: core.Stopping})
		w.run()
		return s.state()
	}
	return s.look()
}

// look carries out the commands that only look at the world, or work behind the broker's back.
func (s *script) look() string {
	w := s.w
	switch s.d.Cmd {
	case "files":
		return s.files()
	case "copy":
		return s.copyDir()
	case "remove":
		return s.removeDir()
	case "show":
		return string(s.w.files[s.text("file", "")].data) + "\n"
	case "rot":
		s.w.files[s.text("file", "")].data[0] ^= 0xff
		return ""
	case "feature":
		var out core.Out
		r := wire.NewFeatureLevelRecord()
		r.Name, r.FeatureLevel = s.text("name", ""), int16(s.int("level", 1))
		w.b.appendMetadata(w.now, []wire.Record{r}, &out)
		for _, e := range out.Effects {
			w.carryOut(e)
		}
		if w.twin != nil {
			w.twin.b = nil
		}
		w.run()
		return ""
	case "frames":
		return fmt.Sprintf("given back %d\n", w.freed)
	case "report":
		r := w.b.Report(w.now)
		return fmt.Sprintf("ready=%v %s\n", r.Ready, strings.Join(r.Reasons, "; "))
	case "flood":
		text := ""
		for range s.int("n", 1) {
			text = s.fetch()
		}
		return text
	case "paused":
		return fmt.Sprintln(w.conns[s.conn()].paused)
	case "replies":
		n := 0
		for ; s.reply(s.conn()) != "no reply\n"; n++ {
		}
		return fmt.Sprintln(n)
	}
	s.d.Fatalf(s.t, "no command %s", s.d.Cmd)
	return ""
}

// files lists the files of a directory whose names end in a suffix.
func (s *script) files() string {
	var names []string
	for name := range s.w.files {
		if strings.HasPrefix(name, s.text("dir", "")+"/") && strings.HasSuffix(name, s.text("suffix", "")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "\n") + "\n"
}

// copyDir copies a directory behind the broker's back.
func (s *script) copyDir() string {
	from, to := s.text("from", ""), s.text("to", "")
	s.w.dirs[to] = true
	for name := range s.w.dirs {
		if rest, ok := strings.CutPrefix(name, from+"/"); ok {
			s.w.dirs[to+"/"+rest] = true
		}
	}
	for name, f := range s.w.files {
		if rest, ok := strings.CutPrefix(name, from+"/"); ok {
			s.w.files[to+"/"+rest] = &memFile{data: slices.Clone(f.data)}
		}
	}
	return ""
}

// removeDir removes a directory and all that is in it behind the broker's back.
func (s *script) removeDir() string {
	dir := s.text("dir", "")
	delete(s.w.dirs, dir)
	for name := range s.w.dirs {
		if strings.HasPrefix(name, dir+"/") {
			delete(s.w.dirs, name)
		}
	}
	for name := range s.w.files {
		if strings.HasPrefix(name, dir+"/") {
			delete(s.w.files, name)
		}
	}
	return ""
}

func effectNamed(t *testing.T, name string) core.EffectKind {
	for k := core.Send; k <= core.Exit; k++ {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("no effect %s", name)
	return 0
}

func (s *script) state() string {
	switch {
	case s.w.exit >= 0:
		return fmt.Sprintf("exit %d\n", s.w.exit)
	case s.w.b.stage == stageReady:
		return "ready\n"
	}
	return stageTexts[s.w.b.stage] + "\n"
}

func (s *script) closedText(id core.ConnID) string {
	if s.w.conns[id].closed {
		return "closed\n"
	}
	return ""
}

var idRef = regexp.MustCompile(`"id:([a-z0-9_-]+)"`)

// call sends any request: its name and version, its fields as JSON. "id:name" stands for a topic's id.
func (s *script) call() string {
	key, ok := wire.KeyOf(s.d.CmdArgs[0].Key)
	if !ok {
		s.d.Fatalf(s.t, "no API %s", s.d.CmdArgs[0].Key)
	}
	q := kmsg.RequestForKey(key)
	if d, ok := q.(interface{ Default() }); ok {
		d.Default()
	}
	text := idRef.ReplaceAllStringFunc(s.d.Input, func(m string) string {
		id := core.TopicID{0xff}
		if topic := s.w.b.img.Topic(m[4 : len(m)-1]); topic != nil {
			id = topic.ID
		}
		return strings.ReplaceAll(fmt.Sprint([16]byte(id)), " ", ",")
	})
	if strings.TrimSpace(text) != "" {
		require.NoError(s.t, json.Unmarshal([]byte(text), q), s.d.Pos)
	}
	id := s.conn()
	s.w.send(id, int16(s.int("v", 0)), s.text("client", "test"), q)
	return s.reply(id)
}

// reply prints the next reply of a connection.
func (s *script) reply(id core.ConnID) string {
	resp := s.w.receive(id)
	if resp == nil {
		if s.w.conns[id].closed {
			return "closed\n"
		}
		return "no reply\n"
	}
	if f, ok := resp.(*kmsg.FetchResponse); ok {
		return s.fetched(f)
	}
	var b strings.Builder
	s.print(&b, "", reflect.ValueOf(resp).Elem())
	if b.Len() == 0 {
		return "ok\n"
	}
	return b.String()
}

// print writes the fields that are not at their defaults.
func (s *script) print(b *strings.Builder, indent string, v reflect.Value) {
	def := reflect.New(v.Type())
	if d, ok := def.Interface().(interface{ Default() }); ok {
		d.Default()
	}
	var line []string
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if name == "Version" || name == "UnknownTags" || f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			continue
		}
		if f.Kind() == reflect.Struct {
			var in strings.Builder
			if s.print(&in, "", f); in.Len() > 0 {
				line = append(line, name+"{"+strings.TrimSpace(in.String())+"}")
			}
			continue
		}
		if !reflect.DeepEqual(f.Interface(), def.Elem().Field(i).Interface()) {
			line = append(line, name+"="+s.value(name, f))
		}
	}
	if len(line) > 0 || indent != "" {
		fmt.Fprintf(b, "%s%s\n", indent, strings.Join(line, " "))
	}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			for j := range f.Len() {
				s.print(b, indent+"  "+v.Type().Field(i).Name+": ", f.Index(j))
			}
		}
	}
}

func (s *script) value(name string, f reflect.Value) string {
	if strings.HasSuffix(name, "ErrorCode") {
		return wire.Code(f.Int()).String()
	}
	if f.Kind() == reflect.Pointer {
		return fmt.Sprintf("%v", f.Elem().Interface())
	}
	if id, ok := f.Interface().([16]byte); ok {
		if topic := s.w.b.img.TopicByID(id); topic != nil {
			return "id:" + topic.Name
		}
		return core.TopicID(id).String()
	}
	if b, ok := f.Interface().([]byte); ok {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%v", f.Interface())
}

// produce sends one batch: records=(key:value,…), where - is null. With also=(partition@sequence,…) the request has
// the same records for other partitions too.
func (s *script) produce() string {
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = int16(s.int("acks", -1)), int32(s.int("timeout", 1000))
	if id := s.text("txn", ""); id != "" {
		q.TransactionID = &id
	}
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = s.text("topic", "a")
	version := int16(s.int("v", 11))
	if version >= 13 {
		topic.TopicID = core.TopicID{0xff}
		if x := s.w.b.img.Topic(topic.Topic); x != nil {
			topic.TopicID = x.ID
		}
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition = int32(s.int("partition", 0))
	sequence := int32(s.int("seq", 0))
	p.Records = s.batch(sequence)
	topic.Partitions = append(topic.Partitions, p)
	for _, x := range s.vals("also") {
		_, err := fmt.Sscanf(x, "%d@%d", &p.Partition, &sequence)
		require.NoError(s.t, err, s.d.Pos)
		p.Records = s.batch(sequence)
		topic.Partitions = append(topic.Partitions, p)
	}
	q.Topics = append(q.Topics, topic)
	id := s.conn()
	s.w.send(id, version, s.text("client", "test"), q)
	if c := s.w.conns[id]; q.Acks == 0 { // no reply will come
		c.asked = c.asked[:len(c.asked)-1]
		return s.closedText(id)
	}
	return s.reply(id)
}

func (s *script) batch(sequence int32) []byte {
	o := batch.Options{LeaderEpoch: -1, Transactional: s.d.HasArg("transactional") || s.d.HasArg("txn"), Control: s.d.HasArg("control"), AppendTime: s.d.HasArg("append-time")}
	if s.d.HasArg("pid") {
		o.Producer = &batch.Producer{ID: s.int("pid", 0), Epoch: int16(s.int("epoch", 0)), Sequence: sequence}
	}
	codec, _ := batch.ParseCodec(s.text("codec", "none"))
	o.Codec = codec
	b := batch.NewBuilder(o)
	ts := s.int("ts", s.w.now.Wall.Millis())
	for _, r := range s.vals("records") {
		k, v, _ := strings.Cut(r, ":")
		key, value := []byte(k), []byte(v)
		if k == "-" {
			key = nil
		}
		if v == "-" {
			value = nil
		}
		if n, err := strconv.Atoi(strings.TrimPrefix(v, "x")); err == nil && strings.HasPrefix(v, "x") {
			value = []byte(strings.Repeat("x", n))
		}
		b.Add(ts, key, value, nil)
	}
	v := b.Finish(core.Offset(s.int("base", 0)))
	switch s.text("bad", "") {
	case "crc":
		v[len(v)-1] ^= 1
	case "magic":
		v[16] = 1
	case "empty":
		return nil
	case "twice":
		return append(v[:len(v):len(v)], v...)
	case "tail": // behind the batch, the head of something that no batch can be
		return append(v[:len(v):len(v)], make([]byte, batch.HeaderBytes)...)
	case "length":
		v[8], v[9], v[10], v[11] = 0, 0, 0, 3
	case "cut":
		return v[:len(v)-3]
	}
	return v
}

// fetch asks for partitions at=(topic-partition@offset,…).
func (s *script) fetch() string {
	q := kmsg.NewPtrFetchRequest()
	version := int16(s.int("v", 12))
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = int32(s.int("wait", 0)), int32(s.int("min", 1)), int32(s.int("max", 1<<20))
	q.IsolationLevel = int8(s.int("isolation", 0))
	q.SessionID, q.SessionEpoch = int32(s.int("session", 0)), int32(s.int("session-epoch", -1))
	if q.SessionID == 1 { // the last one opened, whatever its number is
		q.SessionID = s.session
	}
	for _, key := range []string{"at", "forget"} {
		for _, v := range s.vals(key) {
			name, at, _ := strings.Cut(v, "@")
			dash := strings.LastIndexByte(name, '-')
			n, _ := strconv.Atoi(name[dash+1:])
			offset, _ := strconv.ParseInt(at, 10, 64)
			id := core.TopicID{0xff}
			if x := s.w.b.img.Topic(name[:dash]); x != nil {
				id = x.ID
			}
			if key == "forget" {
				f := kmsg.NewFetchRequestForgottenTopic()
				f.Topic, f.TopicID, f.Partitions = name[:dash], id, []int32{int32(n)}
				q.ForgottenTopics = append(q.ForgottenTopics, f)
				continue
			}
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(n), offset, int32(s.int("partition-max", 1<<20))
			p.CurrentLeaderEpoch, p.LastFetchedEpoch = int32(s.int("epoch", -1)), int32(s.int("last-epoch", -1))
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic, topic.TopicID = name[:dash], id
			topic.Partitions = append(topic.Partitions, p)
			q.Topics = append(q.Topics, topic)
		}
	}
	id := s.conn()
	s.w.send(id, version, "test", q)
	return s.reply(id)
}

// fetched prints a Fetch reply: each partition's error or ends, and the records of its whole batches.
func (s *script) fetched(f *kmsg.FetchResponse) string {
	var b strings.Builder
	if f.ErrorCode != 0 {
		fmt.Fprintf(&b, "%s\n", wire.Code(f.ErrorCode))
	}
	switch {
	case f.SessionID == 0:
	case f.SessionID == s.session:
		b.WriteString("in the session\n")
	default:
		s.session = f.SessionID
		b.WriteString("in a new session\n")
	}
	for _, topic := range f.Topics {
		name := topic.Topic
		if f.Version >= 13 {
			name = s.value("", reflect.ValueOf(topic.TopicID))
		}
		for _, p := range topic.Partitions {
			fmt.Fprintf(&b, "%s-%d", name, p.Partition)
			if p.ErrorCode != 0 {
				fmt.Fprintf(&b, " %s", wire.Code(p.ErrorCode))
			}
			fmt.Fprintf(&b, " high=%d stable=%d start=%d", p.HighWatermark, p.LastStableOffset, p.LogStartOffset)
			if p.AbortedTransactions != nil {
				fmt.Fprintf(&b, " aborted=%d", len(p.AbortedTransactions))
			}
			for _, a := range p.AbortedTransactions {
				fmt.Fprintf(&b, " %d@%d", a.ProducerID, a.FirstOffset)
			}
			if p.DivergingEpoch.Epoch >= 0 {
				fmt.Fprintf(&b, " diverged epoch=%d end=%d", p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset)
			}
			if p.CurrentLeader.LeaderID >= 0 {
				fmt.Fprintf(&b, " leader=%d epoch=%d", p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch)
			}
			b.WriteString(recordsText(p.RecordBatches))
			b.WriteString("\n")
		}
	}
	for _, n := range f.Brokers {
		fmt.Fprintf(&b, "node %d %s:%d\n", n.NodeID, n.Host, n.Port)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func recordsText(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		v, rest, is := batch.First(b)
		if is != batch.Good {
			fmt.Fprintf(&out, " +%d bytes", len(b))
			break
		}
		b = rest
		if !v.CheckCRC() {
			out.WriteString(" BAD CRC")
		}
		fmt.Fprintf(&out, " [epoch %d", v.LeaderEpoch())
		if v.Codec() != batch.None {
			fmt.Fprintf(&out, " %v", v.Codec())
		}
		r, _ := batch.Read(v, batch.InflatedBytesMax)
		var rec batch.Record
		for r.Next(&rec) {
			value := string(rec.Value)
			if len(value) > 20 {
				value = fmt.Sprintf("%d bytes", len(value))
			}
			fmt.Fprintf(&out, " %d:%s=%s", rec.Offset, rec.Key, value)
		}
		out.WriteString("]")
	}
	return out.String()
}
