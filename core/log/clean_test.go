package log

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
)

// keyed is a record of a compacted log.
type keyed struct {
	at         core.Offset
	ts         int64
	key, value string
	tombstone  bool
	made       core.Time // wall clock: when it was appended
	txn        int       // the number of its transaction, or of the one that it ends; 0: none
	marker     bool
	abort      bool
}

// makeKeyed builds a batch of records.
func makeKeyed(rs []keyed, o batch.Options) []byte {
	b := batch.NewBuilder(o)
	for _, r := range rs {
		value := []byte(r.value)
		if r.tombstone {
			value = nil
		}
		b.Add(r.ts, []byte(r.key), value, []batch.Header{{Key: "h", Value: []byte{1}}})
	}
	return b.Finish(0)
}

// heldKeyed reads the records of a log as its files have them, in the order of its segments.
func heldKeyed(t require.TestingT, w *world, l *Log) (all []keyed) {
	next := core.Offset(-1)
	for _, g := range l.segs {
		h := w.files[g.file]
		require.GreaterOrEqual(t, g.base, next, "I02")
		if h == nil && g.base >= l.written {
			break // it is being made
		}
		require.NotNil(t, h)
		next = g.base
		for rest := h.n.data[:min(g.size, int64(len(h.n.data)))]; len(rest) > 0; {
			v, r, is := batch.First(rest)
			require.Equal(t, batch.Good, is)
			require.True(t, v.CheckCRC())
			require.GreaterOrEqual(t, v.BaseOffset(), next, "I01")
			next, rest = v.LastOffset()+1, r
			if v.IsControl() {
				if v.Count() > 0 {
					all = append(all, keyed{at: v.BaseOffset(), marker: true})
				}
				continue
			}
			records, is := batch.Read(v, 1<<20)
			require.Equal(t, batch.Good, is)
			var rec batch.Record
			for records.Next(&rec) {
				require.Len(t, rec.Headers, 1)
				all = append(all, keyed{at: rec.Offset, ts: rec.Timestamp, key: string(rec.Key), value: string(rec.Value), tombstone: rec.Value == nil})
			}
			require.Equal(t, batch.Good, records.Err())
		}
		require.LessOrEqual(t, next, g.end)
		next = g.end
	}
	return all
}

// reference is what a compacted log may hold: everything that was appended.
type reference struct {
	all   []keyed     // by offset
	bound core.Offset // nothing at or above was ever cleaned
	above bool        // a clean went beyond what may be cleaned
}

// look notes how far a clean may go (I69).
func (x *reference) look(l *Log) {
	if c := l.clean; c != nil {
		x.bound = max(x.bound, c.upTo)
		if c.upTo > min(l.durable, l.high, l.active().base) {
			x.above = true
		}
	}
}

// agrees holds what is there against everything that was appended (I67, I68, I70): whatever is there is as it was; the last value
// of every key is there; a tombstone that is gone was old enough, and nothing older of its key is left.
func (x *reference) agrees(t require.TestingT, w *world, l *Log, retention core.Time) {
	require.False(t, x.above, "I69")
	held := heldKeyed(t, w, l)
	at := core.Offset(-1)
	there := map[core.Offset]bool{}
	for _, r := range held {
		require.Greater(t, r.at, at, "I68: order")
		at = r.at
		require.Less(t, int(at), len(x.all))
		o := x.all[at]
		if there[at] = true; !r.marker {
			require.Equal(t, []any{o.ts, o.key, o.value, o.tombstone}, []any{r.ts, r.key, r.value, r.tombstone}, "I68: the record at %d", at)
		}
		require.Equal(t, o.marker, r.marker, "I68: the record at %d", at)
	}
	ends := x.ends()
	for _, r := range x.all {
		m, decided := ends[r.txn]
		switch {
		case !decided || r.at < l.start || m.at >= l.written:
		case r.marker && !there[r.at]:
			require.GreaterOrEqual(t, w.now.Wall, r.made+retention, "I70: the marker at %d is gone too early", r.at)
		case !r.marker && there[r.at]:
			require.True(t, there[m.at], "I70: a record of transaction %d is at %d, and the marker at %d is gone", r.txn, r.at, m.at)
		}
	}
	last := map[string]keyed{}
	for _, r := range x.all {
		if m, decided := ends[r.txn]; !r.marker && (r.txn == 0 || decided && !m.abort) {
			last[r.key] = r
		}
		if r.at >= x.bound && r.at >= l.start && l.writes.n == 0 {
			require.True(t, there[r.at], "I69: the record at %d was removed, and nothing at or above %d may be", r.at, x.bound)
		}
	}
	for _, r := range last {
		if r.at < l.start || there[r.at] || r.at >= l.written {
			continue
		}
		require.True(t, r.tombstone, "I67: the last value of key %s, at %d, is gone", r.key, r.at)
		require.GreaterOrEqual(t, w.now.Wall, r.made+retention, "I70: the tombstone at %d is gone too early", r.at)
		for _, o := range x.all[:r.at] {
			m, decided := ends[o.txn]
			counts := !o.marker && (o.txn == 0 || decided && !m.abort)
			require.False(t, counts && o.key == r.key && there[o.at] && o.at >= l.start, "I70: the tombstone of key %s at %d is gone, and the record at %d is not", r.key, r.at, o.at)
		}
	}
}

// ends are the markers of the transactions that are decided.
func (x *reference) ends() map[int]keyed {
	ends := map[int]keyed{}
	for _, r := range x.all {
		if r.marker {
			ends[r.txn] = r
		}
	}
	return ends
}

// compact checks that below the clean point no key is twice.
func (x *reference) compact(t require.TestingT, w *world, l *Log) {
	seen, ends := map[string]core.Offset{}, x.ends()
	for _, r := range heldKeyed(t, w, l) {
		if r.at >= l.cleanPoint {
			break
		}
		if r.at < l.start || r.marker {
			continue
		}
		m, decided := ends[x.all[r.at].txn]
		require.False(t, decided && m.abort, "the record at %d is of an aborted transaction, below the clean point %d", r.at, l.cleanPoint)
		o, twice := seen[r.key]
		require.False(t, twice, "key %s is at %d and at %d, below the clean point %d", r.key, o, r.at, l.cleanPoint)
		seen[r.key] = r.at
	}
}

// cleanRig is a world with one compacted log.
type cleanRig struct {
	w   *world
	x   reference
	cfg Config
	id  LogID
	rnd *rand.Rand
	end core.Offset // the durable end when a life ended
}

func newCleanRig(rnd *rand.Rand) *cleanRig {
	r := &cleanRig{w: newWorld(rnd), cfg: DefaultConfig(), rnd: rnd}
	r.cfg.SegmentBytes, r.cfg.IndexInterval, r.cfg.RetentionTime = 400, 100, core.Never
	r.cfg.Compact, r.cfg.Delete, r.cfg.MinDirtyShare, r.cfg.DeleteRetention = true, false, 100_000, 20*core.Second
	r.w.cfg.CheckpointTime, r.w.cfg.Cleaner.Backoff = core.Second, 3*core.Second
	r.w.fail = func(*core.Effect) core.Errno {
		r.x.look(r.log())
		return core.OK
	}
	return r
}

func (r *cleanRig) log() *Log { return r.w.s.Log(r.id) }

func (r *cleanRig) create() {
	r.w.start()
	r.w.run()
	r.id = r.w.s.Create(r.w.now, Partition{Topic: "t"}, core.TopicID{15: 7}, r.cfg, &r.w.out)
	r.w.gather()
	r.w.run()
}

// boot is a new life. The records that it does not have any more were never durable.
func (r *cleanRig) boot(t require.TestingT) {
	r.w.start()
	r.w.run()
	id, ok := r.w.s.Find(Partition{Topic: "t"})
	require.True(t, ok)
	r.id = id
	require.True(t, r.log().Online(), r.log().Offline())
	require.GreaterOrEqual(t, r.log().End(), r.end, "I12")
	require.LessOrEqual(t, int(r.log().End()), len(r.x.all))
	r.x.all = r.x.all[:r.log().End()]
	r.w.s.SetConfig(r.w.now, id, r.cfg, &r.w.out)
	r.w.s.SetHigh(r.w.now, id, r.log().Durable(), &r.w.out)
	r.w.gather()
}

// crash ends a life, with what luck keeps of what was not synced; nil: a kill.
func (r *cleanRig) crash(keep func() bool) {
	if r.end = r.log().Durable(); !r.log().Online() {
		r.end = 0
	}
	if keep == nil {
		r.w.kill()
	} else {
		r.w.crash(keep)
	}
}

// put appends one batch.
func (r *cleanRig) put(o batch.Options, rs ...keyed) bool {
	for i := range rs {
		rs[i].ts, rs[i].made = r.w.now.Wall.Millis()+int64(i), r.w.now.Wall
	}
	base, err := r.w.s.Append(r.w.now, r.id, makeKeyed(rs, o), 1, &r.w.out)
	r.w.gather()
	if err != AppendOK {
		return false
	}
	for i := range rs {
		rs[i].at = base + core.Offset(i)
	}
	r.x.all = append(r.x.all, rs...)
	return true
}

func (r *cleanRig) commit() {
	r.w.s.SetHigh(r.w.now, r.id, r.log().Durable(), &r.w.out)
	r.w.gather()
}

// fill appends records of a few keys, and has them committed.
func (r *cleanRig) fill(n, keys int, o batch.Options) {
	for i := range n {
		r.put(o, keyed{key: fmt.Sprint("k", i%keys), value: fmt.Sprint("v", i)}, keyed{key: fmt.Sprint("k", (i+1)%keys), value: "w"},
			keyed{key: fmt.Sprint("dead", i%2), tombstone: i%3 == 0, value: ""})
		r.w.run()
	}
	r.commit()
}

// A clean and its swap, with a crash after each single effect, and whatever then survives of what was not synced: the log is whole,
// and no offset below its durable end was ever taken for lost.
func TestCleanCrashesAnywhere(t *testing.T) {
	steps, undone, completed := 0, uint64(0), uint64(0)
	for cut := 1; ; cut++ {
		ended := false
		for luck := range 4 {
			r := newCleanRig(nil)
			r.create()
			r.fill(20, 4, batch.Options{})
			r.w.advance(2 * core.Second) // the recovery point follows
			require.Greater(t, len(r.log().segs), 5)
			n := 0
			for ; r.log().cleanPoint == 0 && n < cut; n++ {
				if !r.w.step() {
					next := r.w.s.Next()
					r.w.now.Wall += next - r.w.now.Mono
					r.w.now.Mono = next
					r.w.s.Tick(r.w.now, &r.w.out)
					r.w.gather()
					n--
				}
			}
			ended = n < cut
			rnd := rand.New(rand.NewPCG(uint64(cut), uint64(luck)))
			switch luck {
			case 0:
				r.crash(nil)
			case 1:
				r.crash(func() bool { return false })
			case 2:
				r.crash(func() bool { return true })
			default:
				r.crash(func() bool { return rnd.IntN(2) == 0 })
			}
			end := len(r.x.all)
			r.boot(t)
			require.Equal(t, end, len(r.x.all), "I12")
			r.x.agrees(t, r.w, r.log(), r.cfg.DeleteRetention)
			if luck == 3 { // and once more, in the midst of the recovery's end
				r.crash(func() bool { return rnd.IntN(2) == 0 })
				r.boot(t)
				r.x.agrees(t, r.w, r.log(), r.cfg.DeleteRetention)
			}
			r.fill(4, 3, batch.Options{})
			r.w.advance(30 * core.Second)
			r.x.agrees(t, r.w, r.log(), r.cfg.DeleteRetention)
			r.x.compact(t, r.w, r.log())
			require.NotZero(t, r.log().cleanPoint)
			undone, completed = undone+r.w.marks.Count("log.swap-undone"), completed+r.w.marks.Count("log.swap-completed")
			steps++
		}
		if ended {
			break
		}
	}
	require.Greater(t, steps, 200)
	require.NotZero(t, undone)
	require.NotZero(t, completed)
}

// A cleaned log against a reference that keeps everything, under appends of all kinds, cuts, deletions of records, changed
// policies, stops and crashes between any two effects.
func TestCleanAgainstReference(t *testing.T) {
	hit := map[string]uint64{}
	defer func() {
		for _, mark := range []string{"log.cleaned", "log.swap", "log.swap-completed", "log.clean-shell", "log.clean-large-batch"} { // "log.clean-aborted" comes in most runs of this test, not in all
			require.NotZero(t, hit[mark], "%s never came", mark)
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 7))
		r := newCleanRig(rnd)
		r.cfg.SegmentBytes = rapid.Int64Range(250, 900).Draw(t, "segment.bytes")
		r.cfg.MinDirtyShare = rapid.Int64Range(0, 600_000).Draw(t, "dirty")
		r.cfg.DeleteRetention = rapid.SampledFrom([]core.Time{20 * core.Second, 0, 5 * core.Second}).Draw(t, "retention")
		if rapid.IntRange(0, 3).Draw(t, "lag?") == 0 {
			r.cfg.MinCompactionLag = 10 * core.Second
		}
		r.w.cfg.Cleaner.ChunkBytes = rapid.Int64Range(1, 500).Draw(t, "chunk")
		r.w.cfg.Cleaner.MapBytes = rapid.SampledFrom([]int64{1 << 20, 100, 300}).Draw(t, "map")
		if rapid.IntRange(0, 3).Draw(t, "throttled?") == 0 {
			r.w.cfg.Cleaner.BytesPerSecond = 500
		}
		r.create()
		seq := map[int64]int32{}
		check := func(t *rapid.T) {
			if l := r.log(); l.Online() && l.cut == nil {
				r.x.agrees(t, r.w, l, r.cfg.DeleteRetention)
			}
		}
		put := func(t *rapid.T) {
			if !r.log().Online() || r.log().Busy() {
				return
			}
			o := batch.Options{Codec: batch.Codec(rapid.IntRange(0, 4).Draw(t, "codec")), AppendTime: false}
			var rs []keyed
			for range rapid.IntRange(1, 4).Draw(t, "n") {
				rs = append(rs, keyed{key: fmt.Sprint("k", rapid.IntRange(0, 5).Draw(t, "key")), value: strings.Repeat("v", rapid.IntRange(0, 60).Draw(t, "value"))})
				if rapid.IntRange(0, 3).Draw(t, "tombstone?") == 0 {
					rs[len(rs)-1].tombstone, rs[len(rs)-1].value = true, ""
				}
			}
			if id := rapid.Int64Range(0, 4).Draw(t, "producer"); id > 0 {
				o.Producer = &batch.Producer{ID: id, Sequence: seq[id]}
				seq[id] += int32(len(rs))
			}
			r.put(o, rs...)
		}
		// A transaction of a producer: batches, and in the end a marker.
		txns, open := 0, map[int64]int{}
		transact := func(t *rapid.T) {
			if !r.log().Online() || r.log().Busy() {
				return
			}
			id := rapid.Int64Range(10, 12).Draw(t, "producer")
			if open[id] > 0 && rapid.IntRange(0, 2).Draw(t, "end") == 0 {
				abort := rapid.Bool().Draw(t, "abort")
				at, err := r.w.s.AppendMarker(r.w.now, r.id, MarkerFacts{ProducerID: id, Commit: !abort, Timestamp: r.w.now.Wall.Millis()}, 1, &r.w.out)
				r.w.gather()
				require.Equal(t, AppendOK, err)
				r.x.all = append(r.x.all, keyed{at: at, marker: true, abort: abort, txn: open[id], made: r.w.now.Wall})
				delete(open, id)
				return
			}
			if open[id] == 0 {
				txns++
				open[id] = txns
			}
			var rs []keyed
			for range rapid.IntRange(1, 3).Draw(t, "n") {
				rs = append(rs, keyed{key: fmt.Sprint("k", rapid.IntRange(0, 5).Draw(t, "key")), value: "transacted", txn: open[id]})
			}
			if r.put(batch.Options{Transactional: true, Producer: &batch.Producer{ID: id, Sequence: seq[id]}}, rs...) {
				seq[id] += int32(len(rs))
			}
		}
		relearn := func() { // what is open after records were lost
			clear(open)
			ends, of := r.x.ends(), map[int]int64{}
			for _, p := range r.log().producers {
				if p.txnStart >= 0 {
					of[r.x.all[p.txnStart].txn] = p.id
				}
			}
			for _, x := range r.x.all {
				if id, known := of[x.txn]; known && x.txn > 0 {
					if _, decided := ends[x.txn]; !decided {
						open[id] = x.txn
					}
				}
			}
		}
		reboot := func(t *rapid.T) {
			r.boot(t)
			check(t)
			for id := range int64(13) { // the log tells each producer's next sequence
				seq[id] = 0
				if i, ok := r.log().producer(id); ok {
					seq[id] = r.log().producers[i].last() + 1
				}
			}
			r.tells(t, seq)
			relearn()
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": put, "put 2": put, "put 3": put, "transact": transact, "transact 2": transact,
			"step": func(t *rapid.T) {
				for range rapid.IntRange(1, 60).Draw(t, "n") {
					if r.w.step(); r.w.s.boot.done {
						check(t)
					}
				}
			},
			"commit": func(t *rapid.T) { r.w.run(); r.commit() },
			"time":   func(t *rapid.T) { r.w.run(); r.commit(); r.w.advance(4 * core.Second); check(t) },
			"wait": func(t *rapid.T) {
				r.w.advance(core.Time(rapid.IntRange(1, 3000).Draw(t, "ms")) * core.Millisecond)
				check(t)
			},
			"delete before": func(t *rapid.T) {
				if l := r.log(); l.Online() {
					r.w.s.DeleteBefore(r.w.now, r.id, core.Offset(rapid.Int64Range(int64(l.start), int64(l.high)).Draw(t, "to")), &r.w.out)
					r.w.gather()
				}
			},
			"cut": func(t *rapid.T) {
				l := r.log()
				if !l.Online() || l.Busy() || rapid.IntRange(0, 3).Draw(t, "really") > 0 {
					return
				}
				to := core.Offset(rapid.Int64Range(int64(l.high), int64(l.end)).Draw(t, "to"))
				if r.w.s.Truncate(r.w.now, r.id, to, &r.w.out) == AppendOK {
					r.w.gather()
					r.w.run()
					r.x.all = r.x.all[:r.log().end]
					clear(seq)
					r.learn(seq)
					relearn()
				}
			},
			"policy": func(t *rapid.T) {
				cfg := r.cfg
				cfg.Compact = rapid.Bool().Draw(t, "compact")
				cfg.Delete = !cfg.Compact
				r.w.s.SetConfig(r.w.now, r.id, cfg, &r.w.out)
				r.w.gather()
			},
			"kill": func(t *rapid.T) { r.crash(nil); reboot(t) },
			"crash": func(t *rapid.T) {
				odds := rapid.IntRange(0, 4).Draw(t, "odds")
				r.crash(func() bool { return rnd.IntN(4) < odds })
				reboot(t)
			},
			"crash in a swap": func(t *rapid.T) {
				stage := swapStage(rapid.IntRange(0, int(swapDone)).Draw(t, "stage"))
				for range 20000 {
					if c := r.log().clean; c != nil && c.stage == cleanSwapping && c.swap >= stage {
						break
					}
					if !r.w.step() {
						next := r.w.s.Next()
						if next > r.w.now.Mono+20*core.Second {
							return
						}
						r.w.now.Wall, r.w.now.Mono = r.w.now.Wall+max(0, next-r.w.now.Mono), max(next, r.w.now.Mono)
						r.w.s.Tick(r.w.now, &r.w.out)
						r.w.gather()
					}
				}
				odds := rapid.IntRange(0, 4).Draw(t, "odds")
				r.crash(func() bool { return rnd.IntN(4) < odds })
				reboot(t)
			},
			"stop": func(t *rapid.T) {
				r.w.s.Stop(r.w.now, &r.w.out)
				r.w.gather()
				r.w.run()
				r.crash(func() bool { return false })
				reboot(t)
			},
		})
		defer func() {
			for _, name := range r.w.marks.Names() {
				hit[name] += r.w.marks.Count(name)
			}
		}()
		if l := r.log(); l.Online() {
			r.w.s.SetConfig(r.w.now, r.id, r.cfg, &r.w.out)
			r.w.gather()
			r.w.run()
			r.commit()
			r.w.advance(core.Minute)
			check(t)
			if d := l.dirt(r.w.now); l.cleanPoint > 0 && l.clean == nil && r.w.cfg.Cleaner.MapBytes > 1000 {
				require.LessOrEqual(t, d.share(), r.cfg.MinDirtyShare, "I72")
				r.x.compact(t, r.w, l)
			}
		}
	})
}

// learn reads each producer's next sequence from the log.
func (r *cleanRig) learn(seq map[int64]int32) {
	for _, p := range r.log().producers {
		seq[p.id] = p.last() + 1
	}
}

// tells checks I08: the producers that recovery found are those that a walk over the whole log finds.
func (r *cleanRig) tells(t require.TestingT, seq map[int64]int32) {
	found := map[int64]int32{}
	for _, g := range r.log().segs {
		for rest := r.w.files[g.file].n.data[:g.size]; len(rest) > 0; {
			v, rr, _ := batch.First(rest)
			if v.ProducerID() >= 0 && !v.IsControl() {
				found[v.ProducerID()] = v.LastSequence() + 1
			}
			rest = rr
		}
	}
	for id, next := range seq {
		if n, there := found[id]; there {
			require.Equal(t, next, n, "I08: producer %d", id)
		}
	}
}

// The map of keys finds what was put, and refuses what is too much.
func TestKeyMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int64{1, 2, 10, 1000, 20000} {
		m := newKeyMap(most, 0)
		want := map[string]core.Offset{}
		var keys []string
		for i := range 3 * most {
			k := fmt.Sprint(rnd.Int64N(2 * most))
			_, known := want[k]
			require.Equal(t, known || int64(len(want)) < most, m.put(hashKey([]byte(k)), core.Offset(i)))
			if known || int64(len(want)) < most {
				if !known {
					keys = append(keys, k)
				}
				want[k] = core.Offset(i)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			require.Equal(t, want[k], m.last(hashKey([]byte(k))))
		}
		require.EqualValues(t, -1, m.last(hashKey([]byte("nobody"))))
		bytes := int64(0)
		for _, s := range m.shards {
			bytes += int64(len(s.slots)) * 24
		}
		if most > 10 {
			require.LessOrEqual(t, bytes, 2*keyBytes*most)
		}
	}
}
