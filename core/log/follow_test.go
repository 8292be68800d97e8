package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// A leader that was deposed before it had appended anything follows one that has records of an older epoch, which is right: nobody
// had copied from it. The epoch that left no record is forgotten, after a crash too.
func TestFollowingAfterAnEmptyLeadership(t *testing.T) {
	w := newWorld(nil)
	w.start()
	w.run()
	id := w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{1}, DefaultConfig(), &w.out)
	w.gather()
	w.run()
	batchAt := func(base core.Offset, epoch core.Epoch) []byte {
		return stamped(makeBatch(1, 1000, nil, "v"), base, epoch)
	}
	require.Equal(t, AppendOK, w.s.AppendExact(w.now, id, batchAt(0, 3), &w.out))
	w.s.BeginEpoch(w.now, id, 5, &w.out)
	w.gather()
	w.run()
	require.EqualValues(t, 5, w.s.Log(id).Epoch())
	require.EqualValues(t, 3, w.s.Log(id).EpochBelow(1))
	require.Equal(t, BadBatch, w.s.AppendExact(w.now, id, batchAt(1, 2), &w.out), "below an epoch that has records")
	require.Equal(t, AppendOK, w.s.AppendExact(w.now, id, batchAt(1, 3), &w.out))
	require.Equal(t, AppendOK, w.s.AppendExact(w.now, id, batchAt(2, 6), &w.out))
	w.gather()
	w.run()
	for range 2 {
		require.Equal(t, []epochEntry{{3, 0}, {6, 2}}, w.s.Log(id).epochs)
		w.crash(func() bool { return false })
		w.start()
		w.run()
		id, _ = w.s.Find(Partition{Topic: "t"})
		require.EqualValues(t, 3, w.s.Log(id).End())
	}
}

// Whatever else is done to a log while its recovery point is being lowered for a cut, a stop included: the cut ends.
func TestCutBesideOtherThings(t *testing.T) {
	for _, what := range []string{"stop", "config"} {
		w := newWorld(nil)
		w.start()
		w.run()
		id := w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{1}, DefaultConfig(), &w.out)
		w.gather()
		w.run()
		for i := range core.Offset(5) {
			require.Equal(t, AppendOK, w.s.AppendExact(w.now, id, stamped(makeBatch(1, 1000, nil, "v"), i, 3), &w.out))
		}
		w.gather()
		w.run()
		w.now.Mono += 10 * core.Second
		w.s.Tick(w.now, &w.out) // the recovery points are being written: those for the cut have to wait
		require.Equal(t, AppendOK, w.s.Truncate(w.now, id, 3, &w.out))
		w.gather()
		require.True(t, w.s.Log(id).Busy())
		switch what {
		case "stop":
			w.s.Stop(w.now, &w.out)
		case "config":
			w.s.SetConfig(w.now, id, DefaultConfig(), &w.out)
		}
		w.gather()
		w.run()
		require.False(t, w.s.Log(id).Busy(), what)
		require.EqualValues(t, 3, w.s.Log(id).End(), what)
		if what == "stop" {
			last := w.changes[len(w.changes)-1]
			require.Equal(t, Stopped, last.What)
			require.Empty(t, last.Note)
		}
	}
}
