package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// A start that rises above where an epoch began lets the recovery point rise with it, although the epoch file may still lack that
// epoch. A crash then finds batches below the start of which the file does not tell: they are no damage. One at or
// above the start is.
func TestEpochFileLagsBelowStart(t *testing.T) {
	l := &Log{epochs: []epochEntry{{1, 0}, {2, 2}}, epochsSaved: 1, durable: 4, segs: []*segment{{}}}
	require.Equal(t, core.Offset(2), l.recoveryPoint())
	l.trimEpochs(3)
	require.Equal(t, core.Offset(3), l.recoveryPoint())

	for _, c := range [][2]string{{"3", ""}, {"2", "damaged: a bad batch at offset 2"}} {
		start, why := c[0], c[1]
		w := newWorld(nil)
		w.start()
		w.run()
		id := w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{15: 7}, DefaultConfig(), &w.out)
		w.gather()
		w.run()
		for i := range 4 {
			_, err := w.s.Append(w.now, id, makeBatch(1, w.now.Wall.Millis(), nil, "some value"), core.Epoch(1+i/2), &w.out)
			require.Equal(t, AppendOK, err)
			w.gather()
			w.run()
		}
		w.s.SetHigh(w.now, id, 4, &w.out)
		w.s.DeleteBefore(w.now, id, 1, &w.out)
		w.gather()
		w.run()
		w.advance(core.Minute * 2)
		for _, c := range [][2]string{
			{"t-0/leader-epoch-checkpoint", "1 0"}, {"recovery-point-offset-checkpoint", "t 0 3"}, {"log-start-offset-checkpoint", "t 0 " + start},
		} {
			_, _, f := w.lookup("d/" + c[0])
			require.NotNil(t, f, c[0])
			f.data = []byte("0\n1\n" + c[1] + "\n")
			f.synced = f.data
		}
		w.crash(func() bool { return true })
		w.start()
		w.run()
		id, _ = w.s.Find(Partition{Topic: "t"})
		if l := w.s.Log(id); why != "" {
			require.Contains(t, l.why, why)
		} else {
			require.True(t, l.Online(), l.why)
			require.Equal(t, []epochEntry{{2, 3}}, l.epochs)
			require.Equal(t, core.Offset(4), l.end)
		}
	}
}
