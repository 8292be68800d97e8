package quorum

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const level = 30

func (w *world) append(records ...wire.Record) (core.Offset, bool) {
	out := w.out()
	end, ok := w.node.Append(w.now, records, level, w.store, out)
	w.run(out)
	return end, ok
}

func (w *world) snapshot() {
	out := w.out()
	w.node.Snapshot(w.now, w.img, out)
	w.run(out)
}

func (w *world) release() {
	w.held = false
	out := w.out()
	wait := w.wait
	w.wait = nil
	for i := range wait {
		w.step(&wait[i], out)
	}
	w.run(out)
}

func (w *world) say() string {
	if why := w.node.Failed(); why != "" {
		return "failed: " + strings.ReplaceAll(why, w.dir, "DIR") + "\n"
	}
	leader, epoch := w.node.Leader()
	var topics []string
	for t := range w.img.Topics() {
		topics = append(topics, t.Name)
	}
	l := w.store.Log(w.node.id)
	if len(topics) > 10 {
		topics = []string{fmt.Sprint(len(topics))}
	}
	return fmt.Sprintf("%s leader=%d/%d log=[%d,%d) high=%d image=%d topics=%v snapshots=%v open=%v\n", w.node.stage, leader, epoch,
		l.Start(), l.End(), w.node.High(), w.img.End(), topics, w.metaFiles(checkpointSuffix), w.node.InTransaction())
}

func topicRecord(name string) wire.Record {
	r := &wire.TopicRecord{Name: name}
	copy(r.TopicID[:], name)
	return r
}

func parseRecords(args []datadriven.CmdArg) (records []wire.Record) {
	for _, a := range args {
		switch a.Key {
		case "begin":
			records = append(records, &wire.BeginTransactionRecord{})
		case "end":
			records = append(records, &wire.EndTransactionRecord{})
		case "abort":
			records = append(records, &wire.AbortTransactionRecord{})
		case "topic":
			for _, v := range a.Vals {
				records = append(records, topicRecord(v))
			}
		}
	}
	return records
}

// summary tells what an image holds, a line for each kind.
func summary(i *image.Image) string {
	var b strings.Builder
	fmt.Fprintf(&b, "features %v\n", i.Features())
	for _, n := range i.Brokers() {
		fmt.Fprintf(&b, "broker %d epoch %d fenced %v at %v\n", n.ID, n.Epoch, n.Fenced, n.Endpoints)
	}
	for _, n := range i.Controllers() {
		fmt.Fprintf(&b, "controller %d at %v, %d features\n", n.ID, n.Endpoints, len(n.Features))
	}
	for t := range i.Topics() {
		name := t.Name
		if len(name) > 40 {
			name = name[:40] + "…"
		}
		fmt.Fprintf(&b, "%s %s:", t.ID, name)
		for _, p := range t.Partitions {
			fmt.Fprintf(&b, " %d/%d/%d", p.Leader, p.LeaderEpoch, p.Epoch)
		}
		b.WriteByte('\n')
	}
	for set := range i.ConfigSets() {
		fmt.Fprintf(&b, "%d %q %v\n", set.Kind, set.Name, set.Values)
	}
	return b.String()
}

func damage(t *testing.T, path string, at int64) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	if at < 0 {
		b = b[:int64(len(b))+at]
	} else {
		b[at] ^= 0x40
	}
	require.NoError(t, os.WriteFile(path, b, 0o644))
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			meta := func(name string) string { return filepath.Join(w.dir, "__cluster_metadata-0", name) }
			switch d.Cmd {
			case "boot":
				if w == nil {
					var cfg Config
					d.MaybeScanArgs(t, "retain", &cfg.RetentionBytes)
					d.MaybeScanArgs(t, "segment", &cfg.Log.SegmentBytes)
					if cfg.Log.SegmentBytes > 0 {
						cfg.Log.Delete, cfg.Log.IndexBytesMax, cfg.Log.IndexInterval = true, 10<<20, 4096
						cfg.Log.SegmentTime, cfg.Log.RetentionTime, cfg.Log.RetentionBytes, cfg.Log.MaxMessageBytes = core.Never, core.Never, -1, 8<<20
						cfg.Log.FlushMessages, cfg.Log.FlushTime, cfg.Log.DeleteDelay = 1<<63-1, core.Never, core.Minute
					}
					if d.HasArg("voters") {
						cfg.Voters = []Voter{{ID: 1}, {ID: 2}, {ID: 3}}
					}
					w = newWorld(t, t.TempDir(), cfg)
				} else {
					fail := w.fail
					w = w.crash()
					w.fail = fail
				}
				w.boot()
			case "append":
				if _, ok := w.append(parseRecords(d.CmdArgs)...); !ok {
					return "refused\n"
				}
			case "hold":
				w.held = true
			case "release":
				w.release()
			case "snapshot":
				w.snapshot()
			case "break":
				kind := d.CmdArgs[0].String()
				w.fail = func(e *core.Effect) core.Errno {
					if e.Op.Table() == table && e.Kind.String() == kind {
						return core.IOError
					}
					return core.OK
				}
				return ""
			case "mend":
				w.fail = nil
				return ""
			case "flip":
				var at int64
				d.ScanArgs(t, "at", &at)
				damage(t, meta(d.CmdArgs[0].String()), at)
				return ""
			case "cut":
				damage(t, meta(d.CmdArgs[0].String()), -10)
				return ""
			case "remove":
				require.NoError(t, os.Remove(meta(d.CmdArgs[0].String())))
				return ""
			case "write":
				require.NoError(t, os.WriteFile(meta(d.CmdArgs[0].String()), []byte(d.Input), 0o644))
				return ""
			case "import": // the metadata log of a live Apache Kafka 4.3.1
				w = newWorld(t, t.TempDir(), Config{})
				require.NoError(t, os.CopyFS(filepath.Join(w.dir, "__cluster_metadata-0"), os.DirFS("testdata/kafka")))
				w.boot()
			case "metadata":
				return summary(w.img)
			case "standalone": // what kafka-storage format --standalone makes, voters named by a snapshot of offset 0, and an empty log
				w = newWorld(t, t.TempDir(), Config{})
				set := voterSet{kraft: 1, voters: []wire.Voter{{VoterID: 1, VoterDirectoryID: wire.UUID{7}}}}
				require.NoError(t, os.Mkdir(filepath.Join(w.dir, "__cluster_metadata-0"), 0o755))
				require.NoError(t, os.WriteFile(meta("00000000000000000000.log"), nil, 0o644))
				require.NoError(t, os.WriteFile(meta(SnapshotID{}.File()), newSnapshotWriter(0, level, 5, set, 1<<20).finish(), 0o644))
				require.NoError(t, os.WriteFile(filepath.Join(w.dir, bootstrapFile), EncodeSnapshot(parseRecords(d.CmdArgs), level, 0, 5), 0o644))
				w.boot()
				return fmt.Sprintf("%d bootstrap records, kraft.version %d, %d voters\n", len(w.node.Bootstrap()), w.node.KRaft(), len(w.node.Voters())) + w.say()
			case "voters":
				return fmt.Sprintf("kraft.version %d, %d voters\n", w.node.KRaft(), len(w.node.Voters()))
			case "bootstrap":
				w = newWorld(t, t.TempDir(), Config{})
				require.NoError(t, os.WriteFile(filepath.Join(w.dir, bootstrapFile), EncodeSnapshot(parseRecords(d.CmdArgs), level, 0, 5), 0o644))
				w.boot()
				return fmt.Sprintf("%d bootstrap records\n", len(w.node.Bootstrap()))
			case "cat":
				b, err := os.ReadFile(meta(d.CmdArgs[0].String()))
				require.NoError(t, err)
				return string(b) + "\n"
			case "notes":
				s := strings.ReplaceAll(strings.Join(w.notes, "\n"), w.dir, "DIR")
				return s + "\n"
			}
			return w.say()
		})
	})
}

// However the log is cut into batches, transactions and snapshots, and wherever the node is killed, what it
// hands out is the fold of the whole transactions that were committed: image(snapshot + log) = image(log) (I41-I43).
func TestSnapshotAndLogSayTheSame(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		w := newWorld(t, filepath.Join(dir, fmt.Sprint(runs)), Config{})
		require.NoError(rt, os.Mkdir(w.dir, 0o755))
		w.boot()
		model := map[string]bool{} // topics that are there
		held := map[string]bool{}  // and with the open transaction
		open, serial := false, 0
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				if !open {
					w.snapshot()
				}
			case 1:
				w = w.crash().boot()
				require.Empty(rt, w.node.Failed())
				require.Equal(rt, open, w.node.InTransaction())
			case 2, 3:
				var r wire.Record = &wire.BeginTransactionRecord{}
				if open {
					r = &wire.EndTransactionRecord{}
					if rapid.Bool().Draw(rt, "abort") {
						r, held = &wire.AbortTransactionRecord{}, map[string]bool{}
					}
					for name := range held {
						model[name] = true
					}
					held = map[string]bool{}
				}
				open = !open
				_, ok := w.append(r)
				require.True(rt, ok)
			default:
				var records []wire.Record
				for range rapid.IntRange(1, 3).Draw(rt, "records") {
					serial++
					name := fmt.Sprint("t", serial)
					records = append(records, topicRecord(name))
					if open {
						held[name] = true
					} else {
						model[name] = true
					}
				}
				_, ok := w.append(records...)
				require.True(rt, ok)
			}
			require.Equal(rt, len(model), w.img.TopicCount())
			for name := range model {
				require.NotNil(rt, w.img.Topic(name))
			}
		}
	})
}

// A snapshot file is believed whole or not at all: cut anywhere, or with any one bit wrong, it is refused.
func TestDamagedSnapshotIsRefused(t *testing.T) {
	var records []wire.Record
	for i := range 50 {
		records = append(records, topicRecord(fmt.Sprint("topic", i)))
	}
	b := EncodeSnapshot(records, level, 3, 77)
	got, wrong := DecodeSnapshot(b)
	require.Empty(t, wrong)
	require.Len(t, got, 50)
	for n := range len(b) {
		_, wrong := DecodeSnapshot(b[:n])
		require.NotEmpty(t, wrong, n)
	}
	offsets := map[int]bool{} // base offset and leader epoch are not under the checksum, and say nothing here
	for v, at := batch.View(b), 0; at < len(b); v = b[at:] {
		for i := range 8 {
			offsets[at+i] = true
		}
		for i := 12; i < 16; i++ {
			offsets[at+i] = true
		}
		at += v.Size()
		if at >= len(b) {
			break
		}
	}
	for i := range b {
		c := append([]byte(nil), b...)
		c[i] ^= 1
		if _, wrong := DecodeSnapshot(c); wrong == "" {
			require.True(t, offsets[i], "a wrong bit in byte %d", i)
		}
	}
}

// stepRecords are encoded in one step of a snapshot.
const stepRecords = 2000

// A large image is written in pieces, and the pieces make one snapshot.
func TestLargeSnapshotIsWrittenInPieces(t *testing.T) {
	w := newWorld(t, t.TempDir(), Config{}).boot()
	for i := range 5 {
		var records []wire.Record
		for j := range stepRecords / 2 {
			name := fmt.Sprint("topic", i*stepRecords+j)
			p := wire.NewPartitionRecord()
			p.TopicID, p.PartitionID, p.Replicas = topicRecord(name).(*wire.TopicRecord).TopicID, 0, []core.NodeID{1}
			records = append(records, topicRecord(name), p)
		}
		_, ok := w.append(records...)
		require.True(t, ok)
	}
	writes := 0
	w.fail = func(e *core.Effect) core.Errno {
		if e.Kind == core.Write && e.Op.Table() == table {
			require.Less(t, len(e.Data), 512<<10)
			writes++
		}
		return core.OK
	}
	w.snapshot()
	require.Equal(t, 6, writes)
	w = w.crash().boot()
	require.Empty(t, w.node.Failed())
	require.Empty(t, w.notes)
	require.Equal(t, 5*stepRecords/2, w.img.TopicCount())
	require.Equal(t, 5*stepRecords/2, w.img.PartitionCount())
}

// High is what more than half of the voters hold, however many there are.
func TestMajority(t *testing.T) {
	for _, c := range []struct {
		ends []core.Offset
		high core.Offset
	}{
		{[]core.Offset{5}, 5},
		{[]core.Offset{5, 9}, 5},
		{[]core.Offset{5, 9, 7}, 7},
		{[]core.Offset{-1, 9, -1}, -1},
		{[]core.Offset{1, 2, 3, 4}, 2},
		{[]core.Offset{5, 4, 3, 2, 1}, 3},
	} {
		require.Equal(t, c.high, majority(c.ends), "%v", c.ends)
	}
}

// Any bytes as quorum-state or as a snapshot: refused or read, never a panic.
func FuzzFiles(f *testing.F) {
	f.Add([]byte(`{"leaderId":1,"leaderEpoch":1,"data_version":0}`))
	f.Add(EncodeSnapshot([]wire.Record{topicRecord("a")}, level, 1, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseState(b)
		if records, wrong := DecodeSnapshot(b); wrong == "" {
			_, _, _ = image.Empty().Apply(records, 1, 1)
		}
	})
}

// quorum-state is Kafka's, to the letter.
func TestStateText(t *testing.T) {
	s := state{leader: 1, epoch: 1, voted: core.NoNode}
	b := s.encode([]Voter{{ID: 1}})
	require.Equal(t, `{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}`, string(b))
	got, ok := parseState(b)
	require.True(t, ok)
	require.Equal(t, s, got)
	s.version, s.votedDir = 1, core.TopicID{1}
	got, ok = parseState(s.encode(nil))
	require.True(t, ok)
	require.Equal(t, s, got)
}
