package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// hot is a log whose writes and syncs end at once, for the cost of the Store alone.
type hot struct {
	s   *Store
	id  LogID
	now core.Now
	out core.Out
	b   []byte
	ev  core.Event
}

func newHot(t testing.TB, value int) *hot {
	w := newWorld(nil)
	w.start()
	w.run()
	id := w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{1}, DefaultConfig(), &w.out)
	w.gather()
	w.run()
	require.True(t, w.s.Log(id).Online())
	return &hot{s: w.s, id: id, now: w.now, b: makeBatch(1, 1000, nil, string(make([]byte, value)))}
}

// append appends one batch and says that what came of it is done.
func (h *hot) append() AppendError {
	_, err := h.s.Append(h.now, h.id, h.b, 0, &h.out)
	for i := 0; i < len(h.out.Effects); i++ {
		if e := &h.out.Effects[i]; e.Op != 0 {
			h.ev = core.Event{Kind: core.Done, Op: e.Op, N: int64(len(e.Data))}
			h.s.Done(h.now, &h.ev, &h.out)
		}
	}
	h.out.Reset()
	h.s.Changes()
	return err
}

func BenchmarkAppend(b *testing.B) {
	h := newHot(b, 100)
	b.ReportAllocs()
	for b.Loop() {
		if h.append() != AppendOK {
			b.Fatal("refused")
		}
	}
}

func BenchmarkLocateAtTail(b *testing.B) {
	h := newHot(b, 100)
	for range 1000 {
		h.append()
	}
	end := h.s.Log(h.id).End()
	b.ReportAllocs()
	for b.Loop() {
		if _, how := h.s.Locate(h.id, end-10, end, 1<<20); how != Found {
			b.Fatal("not found")
		}
	}
}

// An append that is written and synced costs no allocation, nor does a fetch at the tail, but for what grows: index entries,
// and rolls.
func TestHotPathAllocatesNothing(t *testing.T) {
	h := newHot(t, 100)
	for range 2000 {
		require.Equal(t, AppendOK, h.append())
	}
	require.Less(t, testing.AllocsPerRun(2000, func() { h.append() }), 0.5)
	end := h.s.Log(h.id).End()
	require.Zero(t, testing.AllocsPerRun(100, func() { h.s.Locate(h.id, end-10, end, 1<<20) }))
}
