package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// A sound server never loses what it answered, whatever befalls it.
func TestToyIsSound(t *testing.T) {
	var faults [FaultCount]uint64
	answers := 0
	for seed := range uint64(120) {
		w, acked := toyRun(seed, sound, nil)
		require.Nil(t, w.Failure, "seed %d: %v", seed, w.Failure)
		require.Zero(t, toyLost(w, acked), "seed %d", seed)
		answers += len(acked)
		for k := range faults {
			faults[k] += w.Counts[k]
		}
		require.NotEmpty(t, acked)
	}
	require.Greater(t, answers, 120*50)
	for k, n := range faults {
		if SetAll.mayHappen(FaultKind(k)) && FaultKind(k) != DiskRot {
			require.NotZero(t, n, FaultKind(k).String())
		}
	}
}

// Each planted bug is caught within a few seeds.
func TestToyBugsAreCaught(t *testing.T) {
	for _, bug := range []planted{replyBeforeSync, noSyncDir, believesFailedSync, reusesBuffer, releasesTwice, spins} {
		caught := 0
		for seed := range uint64(60) {
			w, acked := toyRun(seed, bug, nil)
			if w.Failure != nil || toyLost(w, acked) > 0 {
				caught++
			}
		}
		t.Logf("bug %d: %d of 60 seeds", bug, caught)
		require.NotZero(t, caught, "bug %d", bug)
	}
}

// A seed means one run, and other seeds mean other runs.
func TestSeedsReplay(t *testing.T) {
	seen := map[Hash]bool{}
	for seed := range uint64(40) {
		a, _ := toyRun(seed, sound, nil)
		b, _ := toyRun(seed, sound, nil)
		require.Equal(t, a.Hash, b.Hash, "seed %d", seed)
		require.False(t, seen[a.Hash])
		seen[a.Hash] = true
	}
}

// What a recorder kept replays the run; an empty tape is a calm one.
func TestTapes(t *testing.T) {
	rec := NewRecorder(NewKeyed(5))
	a, _ := toyRunOn(rec, sound, nil)
	b, _ := toyRunOn(NewRecorded(rec.Choices), sound, nil)
	require.Equal(t, a.Hash, b.Hash)
	calm, acked := toyRunOn(&BytesTape{}, sound, nil)
	require.Nil(t, calm.Failure)
	require.NotEmpty(t, acked)
	require.Zero(t, calm.Counts[Kill]+calm.Counts[PowerLoss])
}

// Taking one fault out of a plan leaves the draws before it as they were.
func TestDrawsAreKeyed(t *testing.T) {
	a, b := NewKeyed(1), NewKeyed(1)
	for i := range 100 {
		b.Choose(9, uint64(i), 50)
	}
	for i := range uint64(100) {
		require.Equal(t, a.Choose(8, i%7, 1000), b.Choose(8, i%7, 1000))
	}
}

// Items come by instant, then tie, then order of asking.
func TestHeapOrder(t *testing.T) {
	var h heap4
	k := NewKeyed(3)
	for i := range uint64(2000) {
		h.push(item{at: core.Time(k.Choose(1, 0, 50)), tie: uint32(k.Choose(1, 1, 3)), seq: i})
	}
	last := h.pop()
	for len(h.list) > 0 {
		x := h.pop()
		require.True(t, last.less(&x))
		last = x
	}
}
