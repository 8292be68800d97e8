package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// A segment larger than one step of a recovery, with batches across the borders of the steps, and an unclean stop:
// everything is there. One that measured a step from its last whole batch took the next for a torn tail.
func TestRecoveryInManySteps(t *testing.T) {
	for scan := int64(1); scan <= 700; scan += 23 {
		for _, rows := range []int64{1, 3, 1000} {
			w := newWorld(nil)
			w.cfg.Sizes = Sizes{ScanBytes: scan, ScanRows: rows, RewriteBytes: scan, SeekBytes: scan, TimeScanBytes: scan, Borders: 2}
			w.start()
			w.run()
			p := Partition{Topic: "t"}
			cfg := DefaultConfig()
			id := w.s.Create(w.now, p, core.TopicID{1}, cfg, &w.out)
			w.gather()
			w.run()
			var bases []core.Offset
			for i := range 40 {
				v := makeBatch(1+i%3, w.now.Wall.Millis()+int64(i), nil, "a value of some length"[:1+i%20])
				base, err := w.s.Append(w.now, id, v, 1, &w.out)
				require.Equal(t, AppendOK, err)
				bases = append(bases, base)
				w.gather()
			}
			w.run()
			end := w.s.Log(id).End()
			w.crash(func() bool { return false })
			w.start()
			w.run()
			id, ok := w.s.Find(p)
			require.True(t, ok)
			l := w.s.Log(id)
			require.True(t, l.Online(), l.Offline())
			require.Empty(t, w.notes, "scan=%d rows=%d", scan, rows)
			require.Equal(t, end, l.End())
			require.Equal(t, end, l.Durable())
			w.s.SetHigh(w.now, id, end, &w.out)
			for _, base := range bases {
				ticket := w.s.ReadAt(w.now, id, base, end, 1, &w.out)
				w.gather()
				w.run()
				c := w.changes[len(w.changes)-1]
				require.Equal(t, ticket, c.Ticket)
				require.Equal(t, core.OK, c.Err)
				require.NotEmpty(t, c.Data)
			}
			w.s.SeekTime(w.now, id, w.now.Wall.Millis()+39, end, &w.out)
			w.gather()
			w.run()
			require.Equal(t, bases[38]+1, w.changes[len(w.changes)-1].Offset)
		}
	}
}
