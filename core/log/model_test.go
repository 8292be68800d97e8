package log

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
)

// model is what a log should hold: every batch as it was stamped, in order.
type model struct {
	batches  [][]byte
	durable  core.Offset // highest Durable that was reported and not cut since
	start    core.Offset // highest Start that was reported
	base     core.Offset // end of an empty log
	sequence map[int64]int32
	txns     txnModel
	cutting  bool
	maybe    [][]byte // batches that a Truncate under way takes off
	faulty   bool     // I/O failed in this life
}

func (m *model) end() core.Offset {
	if n := len(m.batches); n > 0 {
		return batch.View(m.batches[n-1]).LastOffset() + 1
	}
	return m.base
}

// reset follows a log that lost all records above its start: it begins anew there. That is right where the high watermark
// may be above what is durable (Replicated), and where a Truncate took the batch that the start lies in: no record that may be
// read is lost, and offsets below the start are never given out again.
func (x *machine) reset() {
	if n := x.w.marks.Count("log.start-above-end"); n > x.resets {
		x.resets, x.m.batches, x.m.base = n, nil, x.log().end
	}
}

type machine struct {
	w      *world
	m      model
	p      Partition
	id     LogID
	epoch  core.Epoch // of the leader
	resets uint64
	fl     int // effects until the next failure; 0 never
}

func (x *machine) log() *Log { return x.w.s.Log(x.id) }

// note takes the changes.
func (x *machine) note(t *rapid.T) {
	for _, c := range x.w.changes {
		if c.ID != x.id {
			continue
		}
		switch c.What {
		case Durable:
			require.LessOrEqual(t, c.Offset, x.m.end())
			x.m.durable = max(x.m.durable, c.Offset)
		case Loaded:
			x.m.durable = max(x.m.durable, x.log().Durable())
		case Start:
			require.GreaterOrEqual(t, c.Offset, x.m.start, "I71: the start fell")
			x.m.start = c.Offset
		case Truncated:
			x.m.cutting = false
			x.m.maybe = nil
			x.m.durable = x.log().Durable()
			x.m.txns.restarted(x.log())
		case Failed:
			require.True(t, x.m.faulty, "offline without a fault: %s", c.Note)
		}
	}
	x.w.changes = x.w.changes[:0]
}

// sound checks what must hold after every event.
func (x *machine) sound(t *rapid.T) {
	l := x.log()
	if !l.Online() {
		return
	}
	require.LessOrEqual(t, l.start, l.high, "I03")
	require.LessOrEqual(t, l.high, l.end, "I03")
	require.LessOrEqual(t, l.durable, l.written, "I03")
	require.LessOrEqual(t, l.written, l.end, "I03")
	require.LessOrEqual(t, l.saved[pointRecovery], max(l.durable, l.start), "I03: the recovery point is ahead")
	require.Equal(t, x.m.end(), l.end)
	for i, g := range l.segs {
		if i > 0 {
			require.Equal(t, l.segs[i-1].end, g.base, "I02")
			require.Less(t, l.segs[i-1].base, g.base, "I02")
		}
	}
}

// held reads the log's files as they lie on the disk: all batches, in order.
func (x *machine) held(t *rapid.T) (all [][]byte) {
	l := x.log()
	next := core.Offset(-1)
	for i, g := range l.segs {
		_, _, n := x.w.lookup(segmentPath(l.dir, g.base, ".log"))
		require.NotNil(t, n, "I02: no file for segment %d", g.base)
		require.EqualValues(t, g.size, len(n.data))
		pos := int64(0)
		for rest := n.data; len(rest) > 0; {
			v, r, is := batch.First(rest)
			require.Equal(t, batch.Good, is, "segment %d byte %d", g.base, pos)
			require.True(t, v.CheckCRC())
			if next >= 0 {
				require.Equal(t, next, v.BaseOffset(), "I01")
			}
			next = v.LastOffset() + 1
			all = append(all, v)
			pos += int64(v.Size())
			rest = r
		}
		x.indexAgrees(t, l, g, n.data, i == len(l.segs)-1)
	}
	return all
}

// indexAgrees checks I04: every entry of the indexes points at a batch, and a look-up finds what a walk finds.
func (x *machine) indexAgrees(t *rapid.T, l *Log, g *segment, data []byte, active bool) {
	index, times := g.index, g.times
	if !g.ready {
		_, _, a := x.w.lookup(segmentPath(l.dir, g.base, ".index"))
		_, _, b := x.w.lookup(segmentPath(l.dir, g.base, ".timeindex"))
		require.NotNil(t, a)
		require.NotNil(t, b)
		index, times = a.data, b.data
		require.EqualValues(t, g.indexLen, len(index))
	}
	require.True(t, soundIndex(index, int64(len(data))), "I04")
	require.True(t, soundTimes(times), "I04")
	greatest := int64(-1)
	for rest, pos := data, int64(0); len(rest) > 0; {
		v, r, _ := batch.First(rest)
		at := lookup(index, g.base, v.BaseOffset())
		require.LessOrEqual(t, at, pos, "I04")
		w, _, is := batch.First(data[at:])
		require.Equal(t, batch.Good, is, "I04: entry points at no batch")
		require.LessOrEqual(t, w.BaseOffset(), v.BaseOffset())
		if ts := v.MaxTimestamp(); ts > greatest {
			require.LessOrEqual(t, lookupTime(times, g.base, ts), v.LastOffset(), "I04")
			greatest = ts
		}
		pos += int64(v.Size())
		rest = r
	}
	require.Equal(t, greatest, g.maxTime)
}

// agrees compares a quiet log with the model: I05, I06, I08.
func (x *machine) agrees(t *rapid.T) {
	l := x.log()
	held := x.held(t)
	skip := len(x.m.batches) - len(held)
	require.GreaterOrEqual(t, skip, 0)
	for i, b := range held {
		require.True(t, bytes.Equal(x.m.batches[skip+i], b), "I06: batch %d", i)
	}
	if skip > 0 {
		require.LessOrEqual(t, batch.View(x.m.batches[skip-1]).LastOffset()+1, l.start, "records above the start are gone")
	}
	fold := &Log{}
	for _, b := range x.m.batches {
		fold.produced(batch.View(b), markerOf(b))
		fold.begin(batch.View(b).LeaderEpoch(), batch.View(b).BaseOffset())
	}
	fold.trimEpochs(l.start)
	epochs := l.epochs
	if n := len(epochs); n > 0 && epochs[n-1].start == l.end {
		epochs = epochs[:n-1]
	}
	if n := len(fold.epochs); n > 0 && fold.epochs[n-1].start == l.end {
		fold.epochs = fold.epochs[:n-1]
	}
	require.Equal(t, fmt.Sprint(fold.epochs), fmt.Sprint(epochs), "I05")
	require.Equal(t, fold.Producers(), l.Producers(), "I08")
	x.m.txns.agree(t, x.w, l, x.m.batches)
}

// recovered checks a log that was loaded after a crash: I12.
func (x *machine) recovered(t *rapid.T) {
	l := x.log()
	require.True(t, l.Online(), "%s", l.Offline())
	require.GreaterOrEqual(t, l.end, x.m.durable, "I12: durable records are gone")
	require.GreaterOrEqual(t, l.start, x.m.start, "I71: the start fell")
	x.m.start = l.start
	if l.cfg.Durability == Synced && !x.m.cutting { // a start is at most the high watermark, so what it stands on was durable
		require.Equal(t, x.resets, x.w.marks.Count("log.start-above-end"), "a log began anew at its start")
	}
	if x.m.cutting { // some of what was to be cut may be there still
		x.m.batches, x.m.cutting, x.m.maybe = append(x.m.batches, x.m.maybe...), false, nil
	}
	for x.m.end() > l.end {
		x.m.batches = x.m.batches[:len(x.m.batches)-1]
	}
	x.reset()
	require.Equal(t, l.end, x.m.end(), "I12: the end lies inside of a batch")
	x.m.durable = l.durable
	if l.cfg.Durability == Synced {
		require.Equal(t, l.end, l.durable)
	}
	x.m.txns.restarted(l)
	x.agrees(t)
	x.resume()
}

// resume has the producers go on where the log says that they are.
func (x *machine) resume() {
	x.m.sequence = map[int64]int32{}
	x.m.txns.epochs = map[int64]int16{}
	x.m.txns.restarted(x.log())
	for _, p := range x.log().Producers() {
		x.m.sequence[p.ID], x.m.txns.epochs[p.ID] = batch.AddSequence(p.LastSequence, 1), p.Epoch
	}
}

func (x *machine) settle(t *rapid.T, n int) {
	for i := 0; i < n && x.w.step(); i++ {
		x.note(t)
		x.sound(t)
	}
}

func (x *machine) restart(t *rapid.T, cfg Config) {
	x.fl, x.m.faulty = 0, false
	x.w.now.Mono += core.Second
	x.m.txns.spoil(t, x.w)
	x.w.start()
	if rapid.IntRange(0, 3).Draw(t, "crash while loading") == 0 {
		for range rapid.IntRange(0, 40).Draw(t, "load steps") {
			x.w.step()
		}
		keep := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "luck"), 3))
		x.w.crash(func() bool { return keep.IntN(2) == 0 })
		x.w.start()
	}
	x.w.run()
	id, ok := x.w.s.Find(x.p)
	require.True(t, ok, "the log is gone")
	x.id = id
	x.w.changes = nil
	x.recovered(t)
	x.w.s.SetConfig(x.w.now, id, cfg, &x.w.out)
	x.w.gather()
}

func (x *machine) append(t *rapid.T) {
	l := x.log()
	n := rapid.IntRange(1, 3).Draw(t, "records")
	var p *batch.Producer
	if id := rapid.Int64Range(-1, 2).Draw(t, "producer"); id >= 0 {
		p = &batch.Producer{ID: id, Epoch: 0, Sequence: x.m.sequence[id]}
	}
	value := string(bytes.Repeat([]byte{byte(len(x.m.batches))}, rapid.IntRange(0, 100).Draw(t, "size")))
	b := makeBatch(n, x.w.now.Wall.Millis()+rapid.Int64Range(-50, 50).Draw(t, "skew"), p, value)
	if p != nil && l.Online() {
		require.Equal(t, NewBatch, x.w.s.CheckProducer(x.id, b, 0).State)
	}
	if e := l.Epoch(); e > 0 && l.Online() && !x.m.cutting && rapid.IntRange(0, 7).Draw(t, "old epoch") == 0 {
		_, err := x.w.s.Append(x.w.now, x.id, b, e-1, &x.w.out)
		require.Equal(t, OldEpoch, err)
		if l.EpochBelow(l.end) == e { // one without records binds nobody
			require.Equal(t, BadBatch, x.w.s.AppendExact(x.w.now, x.id, stamped(b, l.end, e-1), &x.w.out))
		}
	}
	base, err := x.w.s.Append(x.w.now, x.id, b, x.epoch, &x.w.out)
	if err != AppendOK {
		require.True(t, !l.Online() || x.m.cutting, err.String())
		return
	}
	require.Equal(t, x.m.end(), base)
	x.m.batches = append(x.m.batches, b)
	if p != nil {
		x.m.sequence[p.ID] = batch.AddSequence(p.Sequence, int32(n))
		require.Equal(t, Duplicate, x.w.s.CheckProducer(x.id, b, 0).State, "I57")
	}
	x.w.gather()
}

// stamped is a copy of a batch as a leader of an epoch would have it at an offset.
func stamped(b []byte, base core.Offset, epoch core.Epoch) []byte {
	v := batch.View(bytes.Clone(b))
	v.SetBaseOffset(base)
	v.SetLeaderEpoch(epoch)
	return v
}

func (x *machine) truncate(t *rapid.T) {
	l := x.log()
	if !l.Online() || x.m.cutting || l.high == l.end {
		return
	}
	to := core.Offset(rapid.Int64Range(int64(l.high), int64(l.end)).Draw(t, "to"))
	if to == l.end || to < l.start {
		return
	}
	require.Equal(t, AppendOK, x.w.s.Truncate(x.w.now, x.id, to, &x.w.out))
	x.m.cutting = true
	k := len(x.m.batches)
	for k > 0 && batch.View(x.m.batches[k-1]).LastOffset() >= to {
		k--
	}
	x.m.maybe = x.m.batches[k:]
	whole := x.m.batches
	x.m.durable = min(x.m.durable, to)
	if k > 0 {
		x.m.durable = min(x.m.durable, batch.View(whole[k-1]).LastOffset()+1)
	} else {
		x.m.durable = min(x.m.base, x.m.durable)
	}
	x.w.gather()
	x.m.batches = whole
	for x.m.cutting && x.w.step() { // durable may rise once more until the files are cut
		for _, c := range x.w.changes {
			if c.ID == x.id && (c.What == Truncated || c.What == Failed) {
				x.m.cutting = false
			}
		}
		x.w.changes = x.w.changes[:0]
	}
	if x.log().Online() {
		x.m.cutting, x.m.maybe = false, nil
		x.m.batches = whole[:k:k]
		x.reset()
		x.m.durable = x.log().Durable()
		x.resume()
		x.sound(t)
		return
	}
	x.m.batches, x.m.cutting = whole[:k:k], true
}

// Whatever is appended, cut, deleted and crashed, in any order of completion: what was durable is there, what is there
// was appended, and all that is derived agrees with it.
func TestStateMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		cfg := DefaultConfig()
		cfg.SegmentBytes = rapid.Int64Range(600, 2000).Draw(t, "segment.bytes")
		cfg.IndexInterval = rapid.Int64Range(0, 300).Draw(t, "index.interval")
		cfg.RetentionTime = core.Never
		if rapid.Bool().Draw(t, "replicate") {
			cfg.Durability, w.cfg.Durability = Replicated, Replicated
			cfg.FlushMessages = rapid.Int64Range(2, 50).Draw(t, "flush.messages")
		}
		if rapid.Bool().Draw(t, "small") { // steps so small that a segment takes many
			size := rapid.Int64Range(1, 600)
			w.cfg.Sizes = Sizes{
				ScanBytes: size.Draw(t, "scan"), ScanRows: rapid.Int64Range(1, 4).Draw(t, "rows"), RewriteBytes: size.Draw(t, "rewrite"),
				SeekBytes: size.Draw(t, "seek"), TimeScanBytes: size.Draw(t, "time.scan"), Borders: rapid.IntRange(1, 8).Draw(t, "borders"),
			}
			w.cfg.CheckpointBytes = rapid.Int64Range(1, 3000).Draw(t, "checkpoint")
		}
		if os.Getenv("KLAMM_TRACE") != "" {
			w.trace = func(s string) { t.Log(s) }
		}
		x := &machine{w: w, p: Partition{Topic: "t"}, m: model{sequence: map[int64]int32{}, txns: txnModel{epochs: map[int64]int16{}}}}
		w.start()
		w.run()
		x.id = w.s.Create(w.now, x.p, core.TopicID{1}, cfg, &w.out)
		w.gather()
		w.run()
		x.note(t)
		require.True(t, x.log().Online())
		w.fail = func(e *core.Effect) core.Errno {
			if x.fl > 0 && (e.Kind == core.Write || e.Kind == core.Sync || e.Kind == core.SyncDir || e.Kind == core.Rename) {
				if x.fl--; x.fl == 0 {
					x.m.faulty = true
					return core.IOError
				}
			}
			return core.OK
		}
		steps := map[string]func(*rapid.T){
			"append":     x.append,
			"append 2":   x.append,
			"append 3":   x.append,
			"transact":   x.transact,
			"transact 2": x.transact,
			"marker":     x.marker,
			"marker 2":   x.marker,
			"step":       func(t *rapid.T) { x.settle(t, rapid.IntRange(1, 10).Draw(t, "n")) },
			"run":        func(t *rapid.T) { x.settle(t, 100000); x.quiet(t) },
			"high": func(t *rapid.T) {
				if l := x.log(); l.Online() {
					w.s.SetHigh(w.now, x.id, core.Offset(rapid.Int64Range(0, int64(l.Safe())).Draw(t, "high")), &w.out)
					w.gather()
					x.m.txns.highest = max(x.m.txns.highest, l.high)
				}
			},
			"epoch": func(t *rapid.T) {
				if l := x.log(); l.Online() {
					x.epoch++
					w.s.BeginEpoch(w.now, x.id, x.epoch, &w.out)
					w.gather()
				}
			},
			"time": func(t *rapid.T) { w.advance(10 * core.Second); x.note(t); x.sound(t) },
			"delete": func(t *rapid.T) {
				if l := x.log(); l.Online() && l.high > l.start && !x.m.cutting {
					w.s.DeleteBefore(w.now, x.id, core.Offset(rapid.Int64Range(int64(l.start), int64(l.high)).Draw(t, "to")), &w.out)
					w.gather()
				}
			},
			"truncate": x.truncate,
			"fault":    func(t *rapid.T) { x.fl = rapid.IntRange(1, 30).Draw(t, "in") },
			"crash": func(t *rapid.T) {
				x.note(t)
				keep := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "luck"), 2))
				odds := rapid.IntRange(0, 4).Draw(t, "odds")
				w.crash(func() bool { return keep.IntN(4) < odds })
				x.restart(t, cfg)
			},
			"kill": func(t *rapid.T) { x.note(t); w.kill(); x.restart(t, cfg) },
			"stop": func(t *rapid.T) { x.stop(t, cfg) },
			"read": x.read,
		}
		t.Repeat(steps)
	})
}

// quiet checks a log with nothing in flight.
func (x *machine) quiet(t *rapid.T) {
	if l := x.log(); l.Online() {
		require.Equal(t, l.end, l.written)
		if l.cfg.Durability == Synced {
			require.Equal(t, l.end, l.durable)
		}
		x.agrees(t)
	}
}

// stop stops the store; a clean stop changes no byte at the next start and stop (I11), and skips all recovery.
func (x *machine) stop(t *rapid.T, cfg Config) {
	x.fl = 0
	x.settle(t, 100000)
	x.w.s.Stop(x.w.now, &x.w.out)
	x.w.gather()
	x.w.run()
	last := x.w.changes[len(x.w.changes)-1]
	require.Equal(t, Stopped, last.What)
	require.Equal(t, x.log().Online(), last.Note == "", last.Note)
	clean := last.Note == ""
	x.note(t)
	require.LessOrEqual(t, x.log().Durable(), x.log().End())
	if clean {
		require.Equal(t, x.log().Durable(), x.log().End(), "I13")
	}
	x.w.crash(func() bool { return false }) // a stop that is clean leaves nothing to lose
	if clean {
		x.m.durable = x.m.end()
		before := x.bytes()
		x.w.start()
		x.w.run()
		x.w.s.Stop(x.w.now, &x.w.out)
		x.w.gather()
		x.w.run()
		if !x.m.faulty { // else the one failure that leaves a log online: a file of a dropped segment kept its name, to go at the next start
			require.Equal(t, before, x.bytes(), "I11")
		}
	}
	x.restart(t, cfg)
}

func (x *machine) bytes() map[string]string {
	m := map[string]string{}
	for _, path := range x.w.tree(x.w.root, "") {
		if _, _, n := x.w.lookup(path); n != nil && !n.dir && !strings.HasSuffix(path, ".deleted") {
			m[path] = string(n.data)
		}
	}
	return m
}

// read looks for an offset by every means.
func (x *machine) read(t *rapid.T) {
	x.settle(t, 100000)
	l := x.log()
	if !l.Online() || l.end == l.start {
		return
	}
	from := core.Offset(rapid.Int64Range(int64(l.start), int64(l.end-1)).Draw(t, "from"))
	upTo := core.Offset(rapid.Int64Range(int64(from)+1, int64(l.end)).Draw(t, "upTo"))
	most := rapid.Int64Range(1, 3000).Draw(t, "bytes")
	want := -1
	for i, b := range x.m.batches {
		if batch.View(b).LastOffset() >= from {
			want = i
			break
		}
	}
	forget := rapid.Bool().Draw(t, "forget")
	if forget { // as if the ring were short
		l.ring, l.sought = ring{}, [soughtMax]border{}
	}
	slice, how := x.w.s.Locate(x.id, from, upTo, most)
	for range 2 {
		if how == NeedSeek {
			x.w.s.Seek(x.w.now, x.id, from, &x.w.out)
			x.w.gather()
			x.settle(t, 100000)
			slice, how = x.w.s.Locate(x.id, from, upTo, most)
		}
	}
	v := batch.View(x.m.batches[want])
	if v.LastOffset() >= upTo {
		require.Equal(t, Empty, how)
	} else {
		require.Equal(t, Found, how)
		data := x.w.files[slice.File].n.data[slice.Pos : slice.Pos+slice.Len]
		require.True(t, bytes.Equal(v, data[:slice.First]), "I06")
		for rest := data; len(rest) > 0; {
			b, r, is := batch.First(rest)
			if is != batch.Good {
				require.False(t, slice.Exact)
				break
			}
			require.Less(t, b.LastOffset(), upTo, "I29")
			rest = r
		}
		require.True(t, slice.Len <= max(most, slice.First))
	}
	x.w.changes = nil
	ticket := x.w.s.ReadAt(x.w.now, x.id, from, upTo, most, &x.w.out)
	ts := v.BaseTimestamp()
	x.w.gather()
	timed := x.w.s.SeekTime(x.w.now, x.id, ts, l.end, &x.w.out)
	x.w.gather()
	x.w.run()
	seen := 0
	for _, c := range x.w.changes {
		switch c.Ticket {
		case ticket:
			seen++
			require.Equal(t, core.OK, c.Err)
			if len(c.Data) > 0 {
				require.True(t, bytes.HasPrefix(c.Data, v), "I06")
			} else {
				require.GreaterOrEqual(t, v.LastOffset(), upTo)
			}
		case timed:
			seen++
			require.Equal(t, core.OK, c.Err)
			require.Equal(t, x.firstAt(l, ts), c.Offset)
		}
	}
	require.Equal(t, 2, seen)
	x.note(t)
}

// firstAt is what a search by timestamp must find: the first such record of the first segment with such a maximum.
func (x *machine) firstAt(l *Log, ts int64) core.Offset {
	for _, g := range l.segs {
		if g.maxTime < ts {
			continue
		}
		for _, b := range x.m.batches {
			v := batch.View(b)
			if v.BaseOffset() < g.base || v.BaseOffset() >= g.end {
				continue
			}
			r, _ := batch.Read(v, 1<<20)
			var rec batch.Record
			for r.Next(&rec) {
				if rec.Timestamp >= ts && rec.Offset >= l.start {
					return rec.Offset
				}
			}
		}
		return -1
	}
	return -1
}
