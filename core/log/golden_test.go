package log

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// script is the state of one golden script.
type script struct {
	w    *world
	cfg  Config
	id   LogID
	fail map[core.EffectKind]int // effects of a kind until one fails
	peer []batch.View            // the batches of another replica, see peer_test.go
}

// Scripts: commands in, what a reader of the log sees out.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{w: newWorld(nil), cfg: DefaultConfig(), fail: map[core.EffectKind]int{}}
		s.cfg.SegmentBytes, s.cfg.IndexInterval, s.cfg.RetentionTime = 500, 100, core.Never
		s.w.fail = func(e *core.Effect) core.Errno {
			if n := s.fail[e.Kind]; n > 0 {
				if s.fail[e.Kind]--; n == 1 {
					return core.IOError
				}
			}
			return core.OK
		}
		s.w.start()
		s.w.run()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.w.notes, s.w.changes = nil, nil
			var b strings.Builder
			s.command(t, d, &b)
			s.w.gather()
			for _, n := range s.w.notes {
				fmt.Fprintln(&b, "note:", n)
			}
			for _, c := range s.w.changes {
				if c.What != Booted {
					fmt.Fprintf(&b, "%s", c.What)
					switch c.What {
					case Written, Durable, Start, Truncated:
						fmt.Fprintf(&b, " %d", c.Offset)
					case TimeFound:
						fmt.Fprintf(&b, " offset=%d timestamp=%d", c.Offset, c.Timestamp)
					case Stopped:
						fmt.Fprintf(&b, " %q", c.Note)
					case Bytes:
						fmt.Fprintf(&b, " %d", len(c.Data))
					}
					fmt.Fprintln(&b)
				}
			}
			return b.String()
		})
	})
}

func (s *script) command(t *testing.T, d *datadriven.TestData, b *strings.Builder) {
	arg := func(name string, def int64) int64 {
		if d.HasArg(name) {
			d.ScanArgs(t, name, &def)
		}
		return def
	}
	w := s.w
	l := w.s.Log(s.id)
	now := w.now
	switch d.Cmd {
	case "create":
		s.cfg.RetentionBytes = arg("retention.bytes", -1)
		if ms := arg("retention.ms", -1); ms >= 0 {
			s.cfg.RetentionTime = core.Millis(ms)
		}
		s.cfg.VerifyTransactions = d.HasArg("verify")
		if d.HasArg("replicate") {
			s.cfg.Durability, s.w.cfg.Durability = Replicated, Replicated
		}
		s.id = w.s.Create(now, Partition{Topic: "t"}, core.TopicID{15: 7}, s.cfg, &w.out)
		w.gather()
		w.run()
	case "append":
		var p *batch.Producer
		if d.HasArg("producer") {
			p = &batch.Producer{ID: arg("producer", 0), Epoch: int16(arg("pepoch", 0)), Sequence: int32(arg("seq", 0))}
		}
		for range arg("times", 1) {
			v := batch.View(makeBatch(int(arg("n", 1)), now.Wall.Millis(), p, "some value"))
			if d.HasArg("txn") {
				v = makeTxnBatch(int(arg("n", 1)), now.Wall.Millis(), *p, "some value")
			}
			if verdict := w.s.CheckProducer(s.id, v, Guard(arg("guard", 0))); verdict.State != NewBatch {
				fmt.Fprintf(b, "%s", [...]string{"new", "duplicate", "out of order", "invalid epoch", "invalid transaction state"}[verdict.State])
				if verdict.State == Duplicate {
					fmt.Fprintf(b, " of %d-%d", verdict.Base, verdict.Last)
				}
				fmt.Fprintln(b)
				return
			}
			base, err := w.s.Append(now, s.id, v, core.Epoch(arg("epoch", 0)), &w.out)
			fmt.Fprintf(b, "base=%d %s\n", base, err)
		}
		w.gather()
	case "verify":
		v := Verifying{Producer: arg("producer", 0), Epoch: int16(arg("pepoch", 0)), Sequence: int32(arg("seq", 0)), Bumps: d.HasArg("bumps")}
		g, is := w.s.Verify(now, s.id, v)
		fmt.Fprintf(b, "%s guard=%d\n", [...]string{"ask", "ongoing", "fenced", "full"}[is], g)
	case "marker":
		m := MarkerFacts{
			ProducerID: arg("producer", 0), ProducerEpoch: int16(arg("pepoch", 0)), CoordinatorEpoch: int32(arg("cepoch", 0)),
			Commit: d.HasArg("commit"), Version: int8(arg("version", 0)), Timestamp: now.Wall.Millis(),
		}
		at, err := w.s.AppendMarker(now, s.id, m, core.Epoch(arg("epoch", 0)), &w.out)
		fmt.Fprintf(b, "at=%d %s\n", at, err)
		w.gather()
	case "aborted":
		list, all := l.Aborted(core.Offset(arg("from", int64(l.start))), core.Offset(arg("to", int64(l.end))), int(arg("most", 100)))
		for _, a := range list {
			fmt.Fprintf(b, "producer %d %d-%d stable=%d\n", a.ProducerID, a.First, a.Last, a.Stable)
		}
		if !all {
			fmt.Fprintln(b, "and more")
		}
	case "lengthen": // a file, by a byte, on the platter too
		var file string
		d.ScanArgs(t, "file", &file)
		_, _, n := w.lookup("d/t-0/" + file)
		require.NotNil(t, n)
		n.data = append(n.data, 0)
		n.synced = append([]byte(nil), n.data...)
	case "hex":
		var file string
		d.ScanArgs(t, "file", &file)
		_, _, n := w.lookup("d/t-0/" + file)
		require.NotNil(t, n)
		fmt.Fprintf(b, "%x\n", n.data)
	case "remove": // a file, from the platter too
		var file string
		d.ScanArgs(t, "file", &file)
		dir, name, n := w.lookup("d/t-0/" + file)
		require.NotNil(t, n)
		delete(dir.entries, name)
		delete(dir.platter, name)
	case "put": // a batch of records key=value; an empty value is a tombstone
		s.put(b, d, arg)
	case "compact": // from here on
		s.cfg.Compact, s.cfg.Delete = !d.HasArg("off"), d.HasArg("delete")
		s.cfg.MinDirtyShare = arg("ratio", 10) * 10_000
		s.cfg.MinCompactionLag = core.Millis(arg("lag.ms", 0))
		if ms := arg("max.lag.ms", -1); ms >= 0 {
			s.cfg.MaxCompactionLag = core.Millis(ms)
		}
		s.cfg.DeleteRetention = core.Millis(arg("retention.ms", 60_000))
		c := w.cfg.Cleaner
		c.MapBytes, c.ChunkBytes, c.BytesPerSecond = arg("map", c.MapBytes), arg("chunk", c.ChunkBytes), arg("rate", c.BytesPerSecond)
		w.cfg.Cleaner = c
		w.s.SetCleaner(now, c)
		w.s.SetConfig(now, s.id, s.cfg, &w.out)
		w.gather()
		w.run()
	case "records":
		s.records(b, l)
	case "step":
		for range arg("n", 1) {
			w.step()
		}
	case "run":
		w.run()
	case "wait":
		w.advance(core.Time(arg("s", 1)) * core.Second)
	case "high":
		w.s.SetHigh(now, s.id, core.Offset(arg("to", int64(l.end))), &w.out)
	case "astray": // the next read, or walk, or those after some, come from another place
		w.stray = map[core.EffectKind]stray{}
		for name, kind := range map[string]core.EffectKind{"read": core.Read, "walk": core.DoWork} {
			if d.HasArg(name) {
				w.stray[kind] = stray{at: arg(name, 0), skip: arg("skip", 0), times: arg("times", 1)}
			}
		}
	case "chunks": // of recoveries, from the next boot on
		w.cfg.Sizes.ScanBytes = arg("bytes", 1<<20)
	case "fail":
		for _, a := range d.CmdArgs {
			for k := range core.EffectKind(255) {
				if k.String() == a.Key {
					s.fail[k] = 1
				}
			}
		}
	case "crash":
		keep := d.HasArg("keep")
		w.crash(func() bool { return keep })
		s.boot()
	case "kill":
		w.kill()
		s.boot()
	case "stop":
		w.s.Stop(now, &w.out)
		w.gather()
		w.run()
	case "start":
		s.boot()
	case "damage": // flip a byte of a file, on the platter too
		var file string
		d.ScanArgs(t, "file", &file)
		if !d.HasArg("root") {
			file = "t-0/" + file
		}
		_, _, n := w.lookup("d/" + file)
		require.NotNil(t, n)
		n.data[arg("at", 0)] ^= byte(arg("xor", 1))
		n.synced = append([]byte(nil), n.data...)
	case "make": // an empty file, on the platter too
		var file string
		d.ScanArgs(t, "file", &file)
		dir, name, _ := w.lookup("d/t-0/" + file)
		n := &node{}
		dir.entries[name], dir.platter[name] = n, n
	case "undelete": // a file whose rename for deletion did not outlive the crash
		var file string
		d.ScanArgs(t, "file", &file)
		dir, name, n := w.lookup("d/t-0/" + file + ".deleted")
		require.NotNil(t, n)
		delete(dir.entries, name)
		delete(dir.platter, name)
		n.synced = append([]byte(nil), n.data...)
		dir.entries[file], dir.platter[file] = n, n
	case "delete-before":
		fmt.Fprintln(b, w.s.DeleteBefore(now, s.id, core.Offset(arg("to", 0)), &w.out))
		w.gather()
		w.run()
	case "delete-before-begin": // and let it be in flight
		fmt.Fprintln(b, w.s.DeleteBefore(now, s.id, core.Offset(arg("to", 0)), &w.out))
		w.gather()
	case "delete-topic":
		w.s.Delete(now, s.id, &w.out)
		w.gather()
		w.run()
	case "truncate":
		fmt.Fprintln(b, w.s.Truncate(now, s.id, core.Offset(arg("to", 0)), &w.out))
		w.gather()
		w.run()
	case "restart":
		fmt.Fprintln(b, w.s.Restart(now, s.id, core.Offset(arg("at", 0)), &w.out))
		w.gather()
		if !d.HasArg("begin") {
			w.run()
		}
	case "begin-epoch":
		w.s.BeginEpoch(now, s.id, core.Epoch(arg("epoch", 0)), &w.out)
		w.gather()
		w.run()
	case "epoch-end":
		e, o := w.s.EpochEnd(s.id, core.Epoch(arg("epoch", 0)))
		fmt.Fprintf(b, "epoch=%d end=%d\n", e, o)
	case "locate":
		slice, how := w.s.Locate(s.id, core.Offset(arg("from", 0)), core.Offset(arg("upto", int64(l.end))), arg("bytes", 1000))
		fmt.Fprintf(b, "%s", [...]string{"found", "empty", "need seek", "out of range", "offline"}[how])
		if how == Found {
			fmt.Fprintf(b, " pos=%d len=%d first=%d exact=%v", slice.Pos, slice.Len, slice.First, slice.Exact)
		}
		fmt.Fprintln(b)
	case "seek":
		w.s.Seek(now, s.id, core.Offset(arg("from", 0)), &w.out)
		w.gather()
		w.run()
	case "seek-time":
		w.s.SeekTime(now, s.id, now.Wall.Millis()-arg("ago", 0), l.end, &w.out)
		w.gather()
		w.run()
	case "read":
		w.s.ReadAt(now, s.id, core.Offset(arg("from", 0)), l.end, arg("bytes", 1000), &w.out)
		w.gather()
		w.run()
	case "state":
		s.state(b, l)
	case "files":
		for _, path := range w.tree(w.root.entries["d"], "") {
			fmt.Fprintln(b, path)
		}
	case "show":
		var file string
		d.ScanArgs(t, "file", &file)
		_, _, n := w.lookup("d/" + file)
		require.NotNil(t, n)
		fmt.Fprintf(b, "%s\n", strings.TrimRight(string(n.data), "\n"))
	default:
		if !s.peerCommand(t, d, b) {
			t.Fatalf("unknown command %s", d.Cmd)
		}
	}
}

func (s *script) boot() {
	s.w.start()
	s.w.run()
	if id, ok := s.w.s.Find(Partition{Topic: "t"}); ok {
		s.id = id
		s.w.s.SetConfig(s.w.now, id, s.cfg, &s.w.out)
		s.w.gather()
	}
}

func (s *script) state(b *strings.Builder, l *Log) {
	fmt.Fprintf(b, "%s start=%d high=%d durable=%d written=%d end=%d epochs=%v", stateNames[l.state], l.start, l.high, l.durable, l.written, l.end, l.epochs)
	if l.why != "" {
		fmt.Fprintf(b, " why=%q", l.why)
	}
	fmt.Fprintln(b)
	for _, g := range l.segs {
		fmt.Fprintf(b, "  segment %d-%d bytes=%d index=%d\n", g.base, g.end, g.size, len(g.index)/indexEntry)
	}
	for _, p := range l.Producers() {
		fmt.Fprintf(b, "  producer %d epoch=%d last=%d", p.ID, p.Epoch, p.LastSequence)
		if p.CoordinatorEpoch >= 0 {
			fmt.Fprintf(b, " coordinator=%d", p.CoordinatorEpoch)
		}
		if first, open := l.OpenTransaction(p.ID); open {
			fmt.Fprintf(b, " open since %d", first)
		}
		fmt.Fprintln(b)
	}
	if stable := l.LastStable(); stable != l.high {
		fmt.Fprintf(b, "  last stable=%d\n", stable)
	}
}

// put appends one batch of records.
func (s *script) put(b *strings.Builder, d *datadriven.TestData, arg func(string, int64) int64) {
	o := batch.Options{Transactional: d.HasArg("txn")}
	if d.HasArg("producer") {
		o.Producer = &batch.Producer{ID: arg("producer", 0), Sequence: int32(arg("seq", 0))}
	}
	build := batch.NewBuilder(o)
	for _, line := range strings.Fields(d.Input) {
		key, value, _ := strings.Cut(line, "=")
		k, v := []byte(key), []byte(value)
		if value == "" {
			v = nil
		}
		if key == "" {
			k = nil
		}
		build.Add(s.w.now.Wall.Millis(), k, v, nil)
	}
	base, err := s.w.s.Append(s.w.now, s.id, build.Finish(0), core.Epoch(arg("epoch", 0)), &s.w.out)
	fmt.Fprintf(b, "base=%d %s\n", base, err)
	s.w.gather()
	s.w.run()
}

// records shows what the files of a log hold.
func (s *script) records(b *strings.Builder, l *Log) {
	fmt.Fprintf(b, "clean below %d", l.cleanPoint)
	if l.clean != nil {
		fmt.Fprintf(b, ", %s", cleanStageNames[l.clean.stage])
	}
	if l.uncleanable != "" {
		fmt.Fprintf(b, ", uncleanable: %s", l.uncleanable)
	}
	fmt.Fprintln(b)
	for _, g := range l.segs {
		fmt.Fprintf(b, "segment %d-%d", g.base, g.end)
		for _, a := range g.aborts {
			fmt.Fprintf(b, " aborted=%d:%d-%d", a.ProducerID, a.First, a.Last)
		}
		fmt.Fprintln(b)
		for rest := s.w.files[g.file].n.data; len(rest) > 0; {
			v, r, is := batch.First(rest)
			if rest = r; is != batch.Good {
				fmt.Fprintln(b, " ", is)
				break
			}
			fmt.Fprintf(b, "  %d-%d", v.BaseOffset(), v.LastOffset())
			if v.HasDeleteHorizon() {
				fmt.Fprintf(b, " horizon=%dms", v.BaseTimestamp()-s.w.now.Wall.Millis())
			}
			if v.ProducerID() >= 0 {
				fmt.Fprintf(b, " producer=%d.%d", v.ProducerID(), v.LastSequence())
			}
			records, _ := batch.Read(v, 1<<20)
			var rec batch.Record
			for records.Next(&rec) {
				switch {
				case v.IsControl():
					fmt.Fprintf(b, " %d:%s", rec.Offset, []string{"abort", "commit"}[rec.Key[3]])
				default:
					fmt.Fprintf(b, " %d:%s=%s", rec.Offset, rec.Key, rec.Value)
				}
			}
			fmt.Fprintln(b)
		}
	}
}
