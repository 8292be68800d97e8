package txn

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memLog is a log in memory. What lies below durable is committed.
type memLog struct {
	records []shard.Record
	refuse  wire.Code
}

func (l *memLog) Append(_ core.Now, records []shard.Record) (core.Offset, wire.Code) {
	if l.refuse != wire.None {
		return 0, l.refuse
	}
	l.records = append(l.records, records...)
	return core.Offset(len(l.records)), wire.None
}

// memIDs gives out producer ids from next on, while there are some.
type memIDs struct {
	next int64
	left int
}

func (i *memIDs) Take() (int64, bool) {
	if i.left == 0 {
		return 0, false
	}
	i.left--
	i.next++
	return i.next - 1, true
}

// world is what a State needs, for tests.
type world struct {
	st    State
	now   core.Now
	log   memLog
	ids   memIDs
	marks core.Marks
	shown int // records that were printed
	taken []Marker
}

func newWorld(cfg Config) *world {
	return &world{
		st: New(cfg), now: core.Now{Mono: core.Second, Wall: core.Millis(1_000_000)}, ids: memIDs{next: 100, left: 1 << 30},
	}
}

func (w *world) env() Env {
	return Env{Now: w.now, Log: &w.log, IDs: &w.ids, Out: &core.Out{Marks: &w.marks}}
}

// reload is another life of the coordinator, on the first n records.
func (w *world) reload(n int) {
	w.log.records = w.log.records[:n]
	w.st.Reset()
	for _, r := range w.log.records {
		w.st.Apply(r.Key, r.Value, w.env().Out)
	}
	w.st.Loaded(w.env(), core.Offset(n))
	w.taken, w.shown = nil, min(w.shown, n)
}

// advance lets time pass, with a Tick whenever the machine wants one.
func (w *world) advance(ms int64) {
	end := w.now.Mono + core.Millis(ms)
	for w.st.Next() <= end {
		step := max(w.st.Next()-w.now.Mono, 0)
		w.now.Mono, w.now.Wall = w.now.Mono+step, w.now.Wall+step
		w.st.Tick(w.env())
	}
	w.now.Wall += end - w.now.Mono
	w.now.Mono = end
}

func (p Producer) String() string { return fmt.Sprintf("%d/%d", p.ID, p.Epoch) }

func recordText(r shard.Record) string {
	id, _ := parseKey(r.Key)
	s, ok := parseStored(r.Value)
	if !ok {
		return id + " gone"
	}
	text := fmt.Sprintf("%s v%d %s %s timeout=%d updated=%d", id, version(r.Value), s.Status, s.Producer, s.TimeoutMillis, s.UpdatedAt-1_000_000)
	if s.StartedAt != None {
		text += fmt.Sprintf(" started=%d", s.StartedAt-1_000_000)
	}
	if s.Previous != None {
		text += fmt.Sprintf(" previous=%d", s.Previous)
	}
	if s.Next != None {
		text += fmt.Sprintf(" next=%d", s.Next)
	}
	if s.ClientVersion != 0 {
		text += fmt.Sprintf(" client=%d", s.ClientVersion)
	}
	for _, p := range s.Partitions {
		text += fmt.Sprintf(" %s-%d", p.Topic, p.Partition)
	}
	return text
}

// news prints the records since the last time.
func (w *world) news() string {
	var b strings.Builder
	for ; w.shown < len(w.log.records); w.shown++ {
		fmt.Fprintf(&b, "%d: %s\n", w.shown, recordText(w.log.records[w.shown]))
	}
	return b.String()
}

func (w *world) answer(a Answer) string {
	if a.NoID {
		return "no producer id\n" + w.news()
	}
	text := a.Code.String()
	if a.Producer.ID > 0 {
		text += " " + a.Producer.String()
	}
	return text + fmt.Sprintf(" end=%d\n", a.End) + w.news()
}

func partition(text string) core.TopicPartition {
	at := strings.LastIndexByte(text, '-')
	n, _ := strconv.Atoi(text[at+1:])
	return core.TopicPartition{Topic: text[:at], Partition: int32(n)}
}

// runner reads the arguments of one command.
type runner struct {
	*world
	t *testing.T
	d *datadriven.TestData
}

func (r runner) int(key string, or int64) int64 {
	if r.d.HasArg(key) {
		r.d.ScanArgs(r.t, key, &or)
	}
	return or
}

func (r runner) text(key, or string) string {
	if r.d.HasArg(key) {
		r.d.ScanArgs(r.t, key, &or)
	}
	return or
}

func (r runner) id() string {
	if r.d.HasArg("empty") {
		return ""
	}
	return r.text("id", "a")
}

// producer is that of p=ID/EPOCH; nobody without.
func (r runner) producer() Producer {
	text := r.text("p", "-1/-1")
	at := strings.IndexByte(text, '/')
	id, _ := strconv.ParseInt(text[:at], 10, 64)
	epoch, _ := strconv.ParseInt(text[at+1:], 10, 16)
	return Producer{id, int16(epoch)}
}

func (r runner) adding() *Adding {
	a := &Adding{ID: r.id(), Producer: r.producer(), Version: int16(r.int("v", 2))}
	for _, arg := range r.d.CmdArgs {
		if arg.Key == "parts" {
			for _, v := range arg.Vals {
				a.Partitions = append(a.Partitions, partition(v))
			}
		}
	}
	return a
}

func (r runner) run() string {
	switch r.d.Cmd {
	case "init":
		return r.answer(r.st.Init(r.env(), r.id(), int32(r.int("timeout", 60000)), r.producer()))
	case "add":
		return r.answer(r.st.Add(r.env(), r.adding()))
	case "verify":
		codes, end := r.st.Verify(r.adding())
		return strings.Trim(fmt.Sprint(codes), "[]") + fmt.Sprintf(" end=%d\n", end)
	case "commit", "abort":
		return r.answer(r.st.End(r.env(), &Ending{ID: r.id(), Producer: r.producer(), Commit: r.d.Cmd == "commit", Bump: r.int("v", 5) >= 5}))
	case "committed":
		r.st.Committed(r.env(), core.Offset(r.int("to", int64(len(r.log.records)))))
		return r.markers() + r.news()
	case "ack":
		for _, arg := range r.d.CmdArgs {
			if arg.Key == "parts" {
				for _, v := range arg.Vals {
					r.ack(r.id(), partition(v))
				}
			}
		}
		return r.news()
	case "advance":
		r.advance(r.int("ms", 0))
		return r.news()
	case "reload":
		r.reload(len(r.log.records))
		return r.news()
	case "level":
		cfg := r.st.cfg
		cfg.Level = int16(r.int("is", 2))
		r.st.SetConfig(cfg)
		return ""
	case "ids":
		r.ids.left = int(r.int("left", 0))
		return ""
	case "refuse":
		r.log.refuse = map[string]wire.Code{"none": wire.None, "isr": wire.CoordinatorNotAvailable, "size": wire.RecordListTooLarge}[r.text("as", "none")]
		return ""
	case "epoch": // as if it had been raised so often
		t := r.st.find(r.id())
		next := t.stored
		next.Producer.Epoch = int16(r.int("is", 0))
		_, _ = r.st.commit(r.env(), r.id(), next, None)
		return r.news()
	}
	return r.look()
}

func (r runner) look() string {
	switch r.d.Cmd {
	case "describe":
		d, end := r.st.Describe(r.id())
		return fmt.Sprintf("%v %s timeout=%d start=%d %d/%d %v end=%d\n", wire.Code(d.ErrorCode), d.State, d.TimeoutMillis, d.StartTimestamp-1_000_000, d.ProducerID, d.ProducerEpoch, topicsText(d.Topics), end)
	case "list":
		f := &Filter{LongerThan: r.int("longer", -1), NowMillis: r.now.Wall.Millis()}
		if s, ok := StatusNamed(r.text("state", "")); ok {
			f.States = append(f.States, s)
		}
		if p := r.int("producer", -1); p >= 0 {
			f.Producers = append(f.Producers, p)
		}
		var b strings.Builder
		for _, row := range r.st.List(nil, f) {
			fmt.Fprintf(&b, "%s %s %d\n", row.TransactionalID, row.TransactionState, row.ProducerID)
		}
		return b.String()
	case "unsettled":
		return fmt.Sprintf("%d\n", r.st.Unsettled(core.Offset(r.int("high", int64(len(r.log.records))))))
	case "next":
		if r.st.Next() == core.Never {
			return "never\n"
		}
		return fmt.Sprintf("in %d ms\n", (r.st.Next() - r.now.Mono).Millis())
	}
	r.d.Fatalf(r.t, "no command %s", r.d.Cmd)
	return ""
}

func topicsText(topics []kmsg.DescribeTransactionsResponseTransactionStateTopic) (text string) {
	for _, t := range topics {
		text += fmt.Sprintf("%s%v", t.Topic, t.Partitions)
	}
	return text
}

func (w *world) ack(id string, p core.TopicPartition) {
	for i := range w.taken {
		if m := &w.taken[i]; m.ID == id && m.Partition == p {
			w.st.Acknowledged(w.env(), m)
		}
	}
}

// markers takes and prints what is to be sent.
func (w *world) markers() string {
	var b strings.Builder
	from := len(w.taken)
	w.taken = w.st.Take(w.taken, 1000)
	for _, m := range w.taken[from:] {
		fmt.Fprintf(&b, "marker %s %s commit=%v v=%d %s-%d\n", m.ID, m.Producer, m.Commit, m.Version, m.Partition.Topic, m.Partition.Partition)
	}
	return b.String()
}

func TestScripts(t *testing.T) {
	var seen core.Marks
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		cfg := DefaultConfig()
		cfg.IDsMax, cfg.PartsMax, cfg.SweepMax = 4, 4, 2
		w := newWorld(cfg)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return runner{w, t, d}.run()
		})
		for _, name := range w.marks.Names() {
			seen.Hit(name)
		}
	})
	for _, name := range []string{
		"txn.append-refused", "txn.complete-refused", "txn.empty-abort", "txn.end-repeated", "txn.end-rotates", "txn.expired",
		"txn.init-aborts", "txn.init-fenced", "txn.init-repeated", "txn.init-rotated", "txn.late-acknowledgement",
		"txn.loaded-ongoing", "txn.loaded-prepared", "txn.long-sweep", "txn.timed-out", "txn.too-many", "txn.too-many-partitions",
	} {
		require.NotZero(t, seen.Count(name), "no script takes the path %s", name)
	}
}
