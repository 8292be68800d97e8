package replica

import (
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
)

func sentAt(at core.Offset) *Answer {
	bl := batch.NewBuilder(batch.Options{})
	bl.Add(1, nil, []byte("v"), nil)
	v := bl.Finish(at)
	v.SetLeaderEpoch(1)
	return &Answer{High: at + 1, Batches: v}
}

func noEnds(core.Epoch) (core.Epoch, core.Offset) { return -1, -1 }

// A log that can take nothing is not asked for, and is at once when it can again: a refusal meanwhile is no error.
func TestHeldLogIsNotAskedFor(t *testing.T) {
	own := Own{End: 5, Safe: 5, Last: 1}
	f, _ := Follow(1, 1, own)
	now := core.Time(core.Second)
	_, ok := f.Place(now, own)
	require.True(t, ok)
	held := own
	held.Held = true
	_, ok = f.Place(now, held)
	require.False(t, ok)
	require.Equal(t, Append, f.Answered(now, held, 5, sentAt(5), noEnds).Act)
	f.Refused(now, held)
	_, ok = f.Place(now, held)
	require.False(t, ok)
	require.Equal(t, core.Never, f.Next(), "it does not look by itself")
	_, ok = f.Place(now, own)
	require.True(t, ok)
}

// What a log refuses again and again, although it can take something, is asked for less and less often, even if the leader's answers
// are as they should be. What it takes ends that.
func TestRefusedIsAskedForLessOften(t *testing.T) {
	own := Own{Start: 2, End: 5, Safe: 5, High: 3, Last: 1}
	ends := func(core.Epoch) (core.Epoch, core.Offset) { return 1, 5 }
	for name, a := range map[string]*Answer{
		"append": sentAt(5),
		"cut":    {Diverged: true, DivergeEpoch: 1, DivergeEnd: 4},
		"begin":  {Diverged: true, DivergeEpoch: 1, DivergeEnd: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := Follow(1, 1, own)
			now := core.Time(core.Second)
			asked := 0
			for end := now.After(10 * core.Second); now < end; now = f.Next() {
				_, ok := f.Place(now, own)
				require.True(t, ok)
				asked++
				step := f.Answered(now, own, 5, a, ends)
				require.Contains(t, []Act{Append, Cut, Begin}, step.Act)
				f.Refused(now, own)
				require.LessOrEqual(t, f.Next(), now.After(restMax))
			}
			require.Less(t, asked, 20)

			_, ok := f.Place(now, own)
			require.True(t, ok)
			switch f.Answered(now, own, 5, a, ends).Act {
			case Append:
				f.Appended()
			default:
				f.Cut()
			}
			require.Equal(t, Rest, f.Answered(now, own, 5, &Answer{Code: wire.UnknownServerError}, ends).Act)
			require.Equal(t, now.After(restMin), f.Next())
		})
	}
}
