package log

import (
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
