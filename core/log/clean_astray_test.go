package log

import (
	"testing"

	"klamm/core"
	"klamm/core/batch"

	"github.com/stretchr/testify/require"
)

// Each single read of a clean, in turn, comes from another place of its segment, and brings batches that are sound and as long as those that
// stand where it was to read. Nothing is put where something else stood, and nothing is lost.
func TestCleanReadsAstray(t *testing.T) {
	seen := uint64(0)
	for _, at := range []int64{0, 74, 148, 222} { // where batches begin
		for skip := range int64(40) {
			r := newCleanRig(nil)
			r.w.cfg.Cleaner.ChunkBytes = 148
			r.create()
			for i := range 16 {
				key := "x" // every other one goes
				if i%2 == 0 {
					key = string(rune('a' + i))
				}
				r.put(batch.Options{}, keyed{key: key, value: "v"})
				r.w.run()
			}
			r.commit()
			r.w.advance(2 * core.Second) // the recovery point follows
			require.EqualValues(t, 74, r.log().segs[0].size/int64(r.log().segs[0].end))
			r.w.stray = map[core.EffectKind]stray{core.DoWork: {at: at, skip: skip, times: 1}}
			for range 3 {
				r.w.advance(20 * core.Second)
				r.x.agrees(t, r.w, r.log(), r.cfg.DeleteRetention)
			}
			require.Empty(t, r.log().uncleanable)
			require.NotZero(t, r.log().cleanPoint)
			seen += r.w.marks.Count("log.clean-astray")
		}
	}
	require.Greater(t, seen, uint64(20))
}
