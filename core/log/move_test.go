package log

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// movedLog is a log that has moved from one directory to another, and so does not have its first id any more where effects name it.
func movedLog(t *testing.T, r *cleanRig) {
	r.w.root.entries["e"] = newDir()
	r.w.root.platter["e"] = r.w.root.entries["e"]
	cleaner, points := r.w.cfg.Cleaner, r.w.cfg.CheckpointTime
	r.w.cfg = DefaultStoreConfig("d", "e")
	r.w.cfg.Cleaner, r.w.cfg.CheckpointTime = cleaner, points
	r.create()
	future := r.w.s.CreateFuture(r.w.now, r.id, 1, &r.w.out)
	r.w.gather()
	r.w.run()
	require.Equal(t, AppendOK, r.w.s.Replace(r.w.now, future, &r.w.out))
	r.w.gather()
	r.w.run()
	r.w.s.SetConfig(r.w.now, r.id, r.cfg, &r.w.out) // as whoever asked for the move does
	r.w.gather()
	r.w.run()
	require.Equal(t, 1, r.log().Place())
	require.False(t, r.log().Swapping())
	require.NotEqual(t, r.log().id, r.log().slot)
}

// A log that has moved is cleaned like any other, and a stop waits for nothing.
func TestMovedLogIsCleaned(t *testing.T) {
	r := newCleanRig(nil)
	movedLog(t, r)
	for range 3 {
		r.fill(40, 3, batch.Options{})
		r.w.run()
		r.commit()
		r.w.advance(10 * core.Second)
		r.w.run()
	}
	l := r.log()
	require.True(t, l.clean == nil, "a clean ends")
	require.Positive(t, int64(l.CleanPoint()))
	require.NotZero(t, r.w.marks.Count("log.swap"))
	r.w.s.Stop(r.w.now, &r.w.out)
	r.w.gather()
	r.w.run()
	require.Equal(t, Stopped, r.w.changes[len(r.w.changes)-1].What)
	require.Empty(t, r.w.changes[len(r.w.changes)-1].Note)
}

// A log is not cleaned while it is copied to another directory, from the moment when its future log is made, in another life neither; it is
// when the future log is deleted.
func TestCopiedLogIsNotCleaned(t *testing.T) {
	r := newCleanRig(nil)
	r.w.root.entries["e"] = newDir()
	r.w.root.platter["e"] = r.w.root.entries["e"]
	cleaner, points := r.w.cfg.Cleaner, r.w.cfg.CheckpointTime
	r.w.cfg = DefaultStoreConfig("d", "e")
	r.w.cfg.Cleaner, r.w.cfg.CheckpointTime = cleaner, points
	r.create()
	dirty := func() {
		for range 3 {
			r.fill(40, 3, batch.Options{})
			r.w.run()
			r.commit()
			r.w.run()
			r.w.advance(10 * core.Second)
		}
	}
	r.fill(40, 3, batch.Options{})
	r.w.run()
	r.commit()
	for range 1000 { // until a clean is under way
		if r.log().clean != nil && r.log().clean.stage >= cleanSurveying {
			break
		}
		if !r.w.step() {
			r.w.now.Wall, r.w.now.Mono = r.w.now.Wall+core.Second, r.w.now.Mono+core.Second
			r.w.s.Tick(r.w.now, &r.w.out)
			r.w.gather()
		}
	}
	require.NotNil(t, r.log().clean)
	future := r.w.s.CreateFuture(r.w.now, r.id, 1, &r.w.out)
	require.True(t, r.log().clean == nil || r.log().clean.quit, "it is given up")
	r.w.gather()
	r.w.run()
	swaps, point := r.log().Swaps(), r.log().CleanPoint()
	dirty()
	require.Equal(t, []any{swaps, point}, []any{r.log().Swaps(), r.log().CleanPoint()})

	r.crash(nil)
	r.boot(t)
	r.w.run()
	dirty()
	require.Zero(t, r.log().Swaps(), "in another life")
	future = r.w.s.Futures()[0]
	r.w.s.Delete(r.w.now, future, &r.w.out)
	r.w.gather()
	r.w.run()
	dirty()
	require.NotZero(t, r.log().Swaps(), "nothing is copied any more")
}

// moveRig is a log in one of two directories, of idempotent producers, whose first records go.
type moveRig struct {
	t  *testing.T
	w  *world
	id LogID
}

func newMoveRig(t *testing.T) *moveRig {
	x := &moveRig{t: t, w: newWorld(nil)}
	x.w.root.entries["e"] = newDir()
	x.w.root.platter["e"] = x.w.root.entries["e"]
	x.w.cfg = DefaultStoreConfig("d", "e")
	x.w.cfg.CheckpointTime, x.w.cfg.CheckpointBytes = core.Hour, 1<<40 // recovery begins at the start
	x.w.start()
	x.w.run()
	cfg := DefaultConfig()
	cfg.SegmentTime = core.Second
	x.id = x.w.s.Create(x.w.now, Partition{Topic: "t"}, core.TopicID{1}, cfg, &x.w.out)
	x.settle()
	return x
}

func (x *moveRig) settle() {
	x.w.gather()
	x.w.run()
	for _, c := range x.w.changes {
		require.NotEqual(x.t, Failed, c.What, c.Note)
	}
}

func (x *moveRig) log() *Log { return x.w.s.Log(x.id) }

// append appends a batch of two records, in a segment of its own, and gives it back as it was sent.
func (x *moveRig) append(producer int64, seq int32) []byte {
	x.w.now.Wall, x.w.now.Mono = x.w.now.Wall+2*core.Second, x.w.now.Mono+2*core.Second
	b := makeBatch(2, x.w.now.Wall.Millis(), &batch.Producer{ID: producer, Sequence: seq}, "v")
	sent := bytes.Clone(b)
	require.Equal(x.t, NewBatch, x.w.s.CheckProducer(x.id, b, 0).State)
	_, err := x.w.s.Append(x.w.now, x.id, b, 0, &x.w.out)
	require.Equal(x.t, AppendOK, err)
	x.settle()
	x.w.s.SetHigh(x.w.now, x.id, x.log().End(), &x.w.out)
	x.settle()
	return sent
}

func (x *moveRig) deleteBefore(to core.Offset) {
	require.True(x.t, x.w.s.DeleteBefore(x.w.now, x.id, to, &x.w.out))
	x.settle()
	require.Equal(x.t, to, x.log().Start())
}

// begun makes a future log that begins where the log does.
func (x *moveRig) begun() LogID {
	future := x.w.s.CreateFuture(x.w.now, x.id, 1, &x.w.out)
	x.settle()
	require.Equal(x.t, AppendOK, x.w.s.Restart(x.w.now, future, x.log().Start(), &x.w.out))
	x.settle()
	return future
}

// fill copies what a future log lacks, and swap has it take the log's place.
func (x *moveRig) fill(future LogID) {
	f := x.w.s.Log(future)
	for _, g := range x.log().segs {
		for rest := x.w.files[g.file].n.data; len(rest) > 0; {
			v, r, is := batch.First(rest)
			require.Equal(x.t, batch.Good, is)
			if v.LastOffset() >= f.End() {
				x.w.now.Wall, x.w.now.Mono = x.w.now.Wall+2*core.Second, x.w.now.Mono+2*core.Second
				require.Equal(x.t, AppendOK, x.w.s.AppendExact(x.w.now, future, bytes.Clone(v[:v.Size()]), &x.w.out))
				x.settle()
			}
			rest = r
		}
	}
}

func (x *moveRig) swap(future LogID) {
	require.Equal(x.t, AppendOK, x.w.s.Replace(x.w.now, future, &x.w.out))
	x.settle()
	require.Equal(x.t, 1, x.log().Place())
	require.False(x.t, x.log().Swapping())
}

// crash loses what is not durable and starts again.
func (x *moveRig) crash() {
	x.w.crash(func() bool { return false })
	x.w.start()
	x.settle()
	id, ok := x.w.s.Find(Partition{Topic: "t"})
	require.True(x.t, ok)
	x.id = id
}

// The producers of a log that has moved are known after a crash, those too whose batches were removed before. Recovery begins at
// any segment, since the recovery point may be anywhere.
func TestMoveKeepsProducersWithoutBatches(t *testing.T) {
	for name, start := range map[string]core.Offset{"segments are gone": 4, "half a batch is gone": 5, "all is gone": 12} {
		t.Run(name, func(t *testing.T) {
			for from := range 5 {
				x := newMoveRig(t)
				x.append(1, 0)
				var last [5][]byte
				for p := range last {
					seq := int32(0)
					if p == 0 {
						seq = 2
					}
					last[p] = x.append(int64(p+1), seq)
				}
				x.deleteBefore(start)
				future := x.begun()
				require.False(t, x.w.s.Log(future).Orphan())
				x.fill(future)
				x.swap(future)
				if segs := x.log().segs; from < len(segs) { // as a checkpoint might have it
					point := min(segs[from].base+1, x.log().End())
					row := formatCheckpoint([]checkpointRow{{p: Partition{Topic: "t"}, offset: point}})
					dir, name, _ := x.w.lookup("e/recovery-point-offset-checkpoint")
					dir.entries[name] = &node{data: row, synced: row}
					dir.platter[name] = dir.entries[name]
				}
				x.crash()
				require.Equal(t, core.Offset(12), x.log().End())
				for p := range last {
					is := x.w.s.CheckProducer(x.id, last[p], 0)
					require.Equal(t, Duplicate, is.State, "I57: producer %d", p+1)
					require.Equal(t, core.Offset(2*p+2), is.Base)
				}
			}
		})
	}
}

// A crash at any moment while a future log is emptied leaves one that knows the producers, or says that it does not.
func TestRestartOfFutureLogEndsAtAnyMoment(t *testing.T) {
	orphans, known := 0, 0
	for seed := range uint64(300) {
		x := newMoveRig(t)
		first := x.append(1, 0)
		x.append(2, 0)
		x.deleteBefore(2)
		future := x.w.s.CreateFuture(x.w.now, x.id, 1, &x.w.out)
		x.settle()
		require.Equal(t, AppendOK, x.w.s.Restart(x.w.now, future, 2, &x.w.out))
		x.w.gather()
		rnd := rand.New(rand.NewPCG(seed, 1))
		for range rnd.IntN(40) {
			x.w.step()
		}
		x.w.crash(func() bool { return rnd.IntN(2) == 0 })
		x.w.start()
		x.settle()
		x.id, _ = x.w.s.Find(Partition{Topic: "t"})
		require.Len(t, x.w.s.Futures(), 1)
		future = x.w.s.Futures()[0]
		f := x.w.s.Log(future)
		if f.Start() == 0 { // nothing has come of it, or not much: whoever fills it asks again
			require.False(t, f.Orphan())
			continue
		}
		require.Equal(t, f.Start(), f.End())
		if f.Orphan() {
			orphans++
			require.Equal(t, AppendOK, x.w.s.Restart(x.w.now, future, 2, &x.w.out))
			x.settle()
			require.False(t, f.Orphan())
		}
		known++
		x.fill(future)
		x.swap(future)
		x.crash()
		require.Equal(t, Duplicate, x.w.s.CheckProducer(x.id, first, 0).State, "I57")
	}
	require.Positive(t, orphans)
	require.Greater(t, known, orphans)
}

// A log that has moved is as safe from a cut as it was: its recovery point counts before its directory does.
func TestMoveKeepsTheRecoveryPoint(t *testing.T) {
	x := newMoveRig(t)
	for n := range 3 {
		x.append(7, int32(2*n))
	}
	x.w.s.writePoint(0, pointRecovery, &x.w.out)
	x.settle()
	was := x.log().saved[pointRecovery]
	require.Positive(t, int64(was))
	future := x.begun()
	x.fill(future)
	require.Less(t, x.w.s.Log(future).saved[pointRecovery], was, "nobody has written it yet")
	x.swap(future)
	require.GreaterOrEqual(t, x.log().saved[pointRecovery], was)
	rows, ok := parseCheckpoint(x.w.root.platter["e"].entries["recovery-point-offset-checkpoint"].data)
	require.True(t, ok)
	row, _ := rowOf(rows, Partition{Topic: "t"})
	require.GreaterOrEqual(t, row, was)
}
