package log

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
)

// seekRig is a log in a world, begun anew after a clean stop, so that only indexes and walks know where its batches lie. It begins with
// the offsets of starts.
func seekRig(t require.TestingT, interval int64, sizes []int, starts []core.Offset) (*world, LogID, map[core.Offset]Slice) {
	w := newWorld(nil)
	w.start()
	w.run()
	cfg := DefaultConfig()
	cfg.SegmentBytes, cfg.IndexInterval, cfg.RetentionTime = 500, interval, core.Never
	p := Partition{Topic: "t"}
	id := w.s.Create(w.now, p, core.TopicID{1}, cfg, &w.out)
	w.gather()
	w.run()
	for i, o := range starts {
		value := string(make([]byte, sizes[i%len(sizes)]))
		require.Equal(t, AppendOK, w.s.AppendExact(w.now, id, stamped(makeBatch(1, 1000, nil, value), o, 1), &w.out))
		w.gather()
		w.run()
	}
	truth := map[core.Offset]Slice{}
	for _, o := range starts {
		slice, is := w.s.Locate(id, o, w.s.Log(id).End(), 1)
		require.Equal(t, Found, is)
		truth[o] = slice
	}
	segments := w.s.Log(id).Segments()
	w.s.Stop(w.now, &w.out)
	w.gather()
	w.run()
	w.start()
	w.run()
	id, _ = w.s.Find(p)
	w.s.SetConfig(w.now, id, cfg, &w.out)
	w.gather()
	w.run()
	require.Equal(t, len(segments), len(w.s.Log(id).Segments()))
	return w, id, truth
}

func (w *world) seekTo(id LogID, from core.Offset) (slice Slice, is Located) {
	w.s.Seek(w.now, id, from, &w.out)
	w.gather()
	w.run()
	return w.s.Locate(id, from, w.s.Log(id).End(), 1)
}

// No single read that goes astray has a batch found where it is not, or one found that is not the next, or none.
func TestSeekAstrayOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 3).Draw(t, "sizes") // often equally long
		var starts []core.Offset
		next, gaps := core.Offset(0), rapid.Bool().Draw(t, "gaps")
		for range rapid.IntRange(12, 30).Draw(t, "batches") {
			if gaps && next > 0 {
				next += core.Offset(rapid.IntRange(0, 2).Draw(t, "gap"))
			}
			starts = append(starts, next)
			next++
		}
		w, id, truth := seekRig(t, rapid.Int64Range(0, 300).Draw(t, "interval"), sizes, starts)
		w.s.Log(id).gaps = gaps && rapid.Bool().Draw(t, "known")
		for i := 0; i < len(starts)-1; i++ {
			want, at := starts[i], starts[i]
			if i > 0 { // the offset behind the batch before: it may be in a gap
				at = starts[i-1] + 1
			}
			w.stray = map[core.EffectKind]stray{core.DoWork: {at: rapid.Int64Range(0, 499).Draw(t, "at"), skip: rapid.Int64Range(0, 4).Draw(t, "skip"), times: 1}}
			if rapid.Bool().Draw(t, "aligned") {
				w.stray[core.DoWork] = stray{at: truth[rapid.SampledFrom(starts).Draw(t, "of")].Pos, skip: rapid.Int64Range(0, 4).Draw(t, "skip"), times: 1}
			}
			slice, is := w.seekTo(id, at)
			require.Equal(t, Found, is, "offset %d", at)
			require.Equal(t, truth[want].Pos, slice.Pos, "offset %d", at)
			require.Equal(t, want+1, slice.FirstEnd, "offset %d", at)
		}
	})
}

// A read that brings bytes of another place, which are no batch, is no error of the log.
func TestReadAstrayOnce(t *testing.T) {
	w, id, _ := seekRig(t, 100, []int{10}, []core.Offset{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	for from := range core.Offset(9) {
		for _, kind := range []core.EffectKind{core.Read, core.DoWork} {
			w.stray = map[core.EffectKind]stray{kind: {at: 33, skip: int64(from) % 3, times: 1}}
			w.changes = nil
			w.s.ReadAt(w.now, id, from, 10, 1, &w.out)
			w.gather()
			w.run()
			require.Len(t, w.changes, 1)
			require.Equal(t, core.OK, w.changes[0].Err)
			v, _, is := batch.First(w.changes[0].Data)
			require.Equal(t, batch.Good, is)
			require.Equal(t, from, v.BaseOffset())
		}
	}
}

// A log may have been compacted once without anybody knowing any more: its gaps are believed in the end.
func TestSeekGapNobodyKnows(t *testing.T) {
	w, id, truth := seekRig(t, 100, []int{10}, []core.Offset{0, 1, 5, 6, 7, 8, 12, 13, 20, 21})
	w.s.Log(id).gaps = false
	for from, want := range map[core.Offset]core.Offset{2: 5, 4: 5, 9: 12, 14: 20} {
		slice, is := w.seekTo(id, from)
		require.Equal(t, Found, is)
		require.Equal(t, truth[want].Pos, slice.Pos)
		require.Equal(t, want+1, slice.FirstEnd)
	}
}
