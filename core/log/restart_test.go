package log

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
)

// restarts is a log that is emptied again and again, with a crash between any two effects.
type restarts struct {
	w       *world
	id      LogID
	cfg     Config
	batches [][]byte // in order; the first begins at base
	base    core.Offset
	epoch   core.Epoch
	seq     int32
}

func (x *restarts) log() *Log { return x.w.s.Log(x.id) }

func (x *restarts) end() core.Offset {
	if n := len(x.batches); n > 0 {
		return batch.View(x.batches[n-1]).LastOffset() + 1
	}
	return x.base
}

func (x *restarts) append(t *rapid.T) {
	x.epoch += core.Epoch(rapid.IntRange(0, 1).Draw(t, "epoch"))
	n := rapid.IntRange(1, 3).Draw(t, "records")
	b := makeBatch(n, x.w.now.Wall.Millis(), &batch.Producer{ID: int64(x.epoch), Sequence: x.seq}, "some value")
	x.seq += int32(n)
	base, err := x.w.s.Append(x.w.now, x.id, b, x.epoch, &x.w.out)
	require.Equal(t, AppendOK, err)
	require.Equal(t, x.end(), base)
	x.batches = append(x.batches, b)
	x.w.gather()
}

// begin has the log begin anew in the model.
func (x *restarts) begin(at core.Offset) { x.base, x.batches = at, nil }

// boot starts a new life, which may itself be cut short, and finds the log.
func (x *restarts) boot(t *rapid.T) {
	x.w.start()
	for range rapid.IntRange(0, 2).Draw(t, "crashes while loading") {
		for range rapid.IntRange(0, 40).Draw(t, "load steps") {
			x.w.step()
		}
		x.crash(t)
		x.w.start()
	}
	x.w.run()
	for _, c := range x.w.changes {
		require.NotEqual(t, Failed, c.What, c.Note)
	}
	id, ok := x.w.s.Find(Partition{Topic: "t"})
	require.True(t, ok)
	x.id = id
	x.w.s.SetConfig(x.w.now, id, x.cfg, &x.w.out)
	x.w.gather()
}

func (x *restarts) crash(t *rapid.T) {
	keep, odds := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "luck"), 2)), rapid.IntRange(0, 4).Draw(t, "odds")
	x.w.crash(func() bool { return keep.IntN(4) < odds })
}

// agrees compares the log with the model: records, epochs, producers, and no file of an earlier one.
func (x *restarts) agrees(t *rapid.T) {
	l := x.log()
	require.True(t, l.Online(), l.Offline())
	require.Equal(t, x.end(), l.End())
	require.Equal(t, x.base, l.Start())
	fold := &Log{}
	for _, b := range x.batches {
		fold.produced(batch.View(b), markerOf(b))
		fold.begin(batch.View(b).LeaderEpoch(), batch.View(b).BaseOffset())
	}
	require.Equal(t, len(fold.epochs), len(l.epochs), "I05: %v", l.epochs)
	require.True(t, slices.Equal(fold.epochs, l.epochs), "I05")
	require.Equal(t, fold.Producers(), l.Producers(), "I08")
	_, _, dir := x.w.lookup(l.dir)
	for name := range dir.entries {
		for _, suffix := range []string{".log", ".index", ".timeindex", ".snapshot"} {
			if at, ok := parseName(strings.TrimSuffix(name, ".deleted"), suffix); ok {
				require.GreaterOrEqual(t, at, x.base, "%s is of an earlier log", name)
				require.LessOrEqual(t, at, x.end(), "%s is of an earlier log", name)
			}
		}
	}
	var held []byte
	for _, g := range l.segs {
		_, _, n := x.w.lookup(segmentPath(l.dir, g.base, ".log"))
		held = append(held, n.data...)
	}
	require.Equal(t, slices.Concat(x.batches...), held, "I06")
}

// After a crash anywhere in a Restart the log is whole: what it was, or empty above all that it was, or empty where it
// was to begin; and what is appended then is kept.
func TestRestart(t *testing.T) {
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		x := &restarts{w: w, cfg: DefaultConfig(), epoch: 1}
		x.cfg.SegmentBytes, x.cfg.RetentionTime = rapid.Int64Range(200, 600).Draw(t, "segment.bytes"), core.Never
		w.start()
		w.run()
		x.id = w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{1}, x.cfg, &w.out)
		w.gather()
		w.run()
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for range rapid.IntRange(0, 8).Draw(t, "appends") {
				x.append(t)
				if rapid.IntRange(0, 3).Draw(t, "checkpoint") == 0 {
					w.advance(6 * core.Second)
				}
				for range rapid.IntRange(0, 6).Draw(t, "steps") {
					w.step()
				}
			}
			at := core.Offset(rapid.Int64Range(0, int64(x.end())+20).Draw(t, "at"))
			w.changes = nil
			require.Equal(t, AppendOK, w.s.Restart(w.now, x.id, at, &w.out))
			w.gather()
			_, err := w.s.Append(w.now, x.id, makeBatch(1, 0, nil, "x"), x.epoch, &w.out)
			require.Equal(t, LogBusy, err)
			steps := rapid.IntRange(0, 120).Draw(t, "until the crash")
			for i := 0; i < steps && w.step(); i++ {
			}
			done := slices.ContainsFunc(w.changes, func(c Change) bool { return c.What == Truncated })
			if done {
				require.Equal(t, at, x.log().High())
			}
			if rapid.Bool().Draw(t, "crash") {
				x.crash(t)
				x.boot(t)
			} else {
				w.run()
				done = true
			}
			l := x.log()
			require.True(t, l.Online(), l.Offline())
			switch {
			case l.Start() == at && l.End() == at:
				outcomes["there"]++
				x.begin(at)
			case done:
				t.Fatalf("Truncated was told, and the log is at %d-%d, not at %d", l.Start(), l.End(), at)
			case l.Start() == l.End() && l.Start() == max(at, x.end()+1):
				outcomes["hidden"]++
				x.begin(l.Start())
			default:
				outcomes["as it was"]++
				for x.end() > l.End() { // what was not synced
					x.batches = x.batches[:len(x.batches)-1]
				}
			}
			x.agrees(t)
			x.append(t)
			w.run()
			w.crash(func() bool { return false })
			x.boot(t)
			x.agrees(t)
		}
	})
	for _, o := range []string{"there", "hidden", "as it was"} {
		require.NotZero(t, outcomes[o], "%s never happened: %v", o, outcomes)
	}
}

// A log may begin within a batch. Its producer is known after a crash, like that of any other batch.
func TestProducerOfFirstBatchThatReachesBelowStart(t *testing.T) {
	w := newWorld(nil)
	w.start()
	w.run()
	id := w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{1}, DefaultConfig(), &w.out)
	w.gather()
	w.run()
	require.Equal(t, AppendOK, w.s.Restart(w.now, id, 5, &w.out))
	w.gather()
	w.run()
	sent := makeBatch(3, w.now.Wall.Millis(), &batch.Producer{ID: 7, Sequence: 4}, "v")
	require.Equal(t, AppendOK, w.s.AppendExact(w.now, id, stamped(sent, 4, 0), &w.out))
	w.gather()
	w.run()
	require.Equal(t, Duplicate, w.s.CheckProducer(id, sent, 0).State)
	w.crash(func() bool { return false })
	w.start()
	w.run()
	id, ok := w.s.Find(Partition{Topic: "t"})
	require.True(t, ok)
	require.Equal(t, core.Offset(7), w.s.Log(id).End())
	is := w.s.CheckProducer(id, sent, 0)
	require.Equal(t, Duplicate, is.State, "I57")
	require.Equal(t, core.Offset(4), is.Base)
}
