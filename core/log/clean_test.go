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
		require.Equal(t, []any{o.ts, o.key, o.value, o.tombstone}, []any{r.ts, r.key, r.value, r.tombstone}, "I68: the record at %d", at)
		there[at] = true
	}
	last := map[string]keyed{}
	for _, r := range x.all {
		last[r.key] = r
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
			require.False(t, o.key == r.key && there[o.at] && o.at >= l.start, "I70: the tombstone of key %s at %d is gone, and the record at %d is not", r.key, r.at, o.at)
		}
	}
}

// compact checks that below the clean point no key is twice.
func (x *reference) compact(t require.TestingT, w *world, l *Log) {
	seen := map[string]core.Offset{}
	for _, r := range heldKeyed(t, w, l) {
		if r.at >= l.cleanPoint {
			break
		}
		if r.at < l.start {
			continue
		}
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
	steps := 0
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
			steps++
		}
		if ended {
			break
		}
	}
	require.Greater(t, steps, 200)
}

// A cleaned log against a reference that keeps everything, under appends of all kinds, cuts, deletions of records, changed
// policies, stops and crashes between any two effects.
func TestCleanAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 7))
		r := newCleanRig(rnd)
		r.cfg.SegmentBytes = rapid.Int64Range(250, 900).Draw(t, "segment.bytes")
		r.cfg.MinDirtyShare = rapid.Int64Range(0, 600_000).Draw(t, "dirty")
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
		reboot := func(t *rapid.T) {
			r.boot(t)
			check(t)
			for id := range int64(5) { // the log tells each producer's next sequence
				seq[id] = 0
				if i, ok := r.log().producer(id); ok {
					seq[id] = r.log().producers[i].last() + 1
				}
			}
			r.tells(t, seq)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": put, "put 2": put, "put 3": put,
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
			"stop": func(t *rapid.T) {
				r.w.s.Stop(r.w.now, &r.w.out)
				r.w.gather()
				r.w.run()
				r.crash(func() bool { return false })
				reboot(t)
			},
		})
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
			if v.ProducerID() >= 0 {
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
