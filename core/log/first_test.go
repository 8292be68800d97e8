package log

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

func TestFirst(t *testing.T) {
	for _, rnd := range []*rand.Rand{nil, rand.New(rand.NewPCG(1, 2))} {
		w := newWorld(rnd)
		w.start()
		w.run()
		require.True(t, w.s.Ready())
		p := Partition{Topic: "t"}
		cfg := DefaultConfig()
		cfg.SegmentBytes = 1000
		cfg.IndexInterval = 200
		id := w.s.Create(w.now, p, core.TopicID{1}, cfg, &w.out)
		w.gather()
		w.run()
		l := w.s.Log(id)
		require.True(t, l.Online(), l.Offline())
		for i := range 100 {
			base, err := w.s.Append(w.now, id, makeBatch(2, w.now.Wall.Millis()+int64(i), nil, "value"), 1, &w.out)
			require.Equal(t, AppendOK, err)
			require.EqualValues(t, 2*i, base)
			w.gather()
			w.step()
		}
		w.run()
		require.EqualValues(t, 200, l.Durable())
		w.advance(10 * core.Second)
		t.Log(strings.Join(w.tree(w.root, ""), "\n"))
		before := l.Segments()
		w.crash(func() bool { return false })
		w.start()
		w.run()
		id, ok := w.s.Find(p)
		require.True(t, ok)
		l = w.s.Log(id)
		require.True(t, l.Online(), l.Offline())
		require.EqualValues(t, 200, l.End())
		require.Equal(t, before, l.Segments())
		require.Empty(t, w.notes)
		w.s.Stop(w.now, &w.out)
		w.gather()
		w.run()
		require.Equal(t, Stopped, w.changes[len(w.changes)-1].What)
		require.Empty(t, w.changes[len(w.changes)-1].Note)
		t.Log(strings.Join(w.tree(w.root, ""), "\n"))
		w.start()
		w.run()
		id, _ = w.s.Find(p)
		l = w.s.Log(id)
		require.True(t, l.Online(), l.Offline())
		require.EqualValues(t, 200, l.Durable())
	}
}
