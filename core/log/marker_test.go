package log

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// A life that stops before its broker is registered passes the epoch of the one before on: it has lost nothing. One that is
// killed does not.
func TestMarkerOfAnUnregisteredLife(t *testing.T) {
	w := newWorld(rand.New(rand.NewPCG(1, 1)))
	life := func(epoch core.BrokerEpoch) (previous core.BrokerEpoch) {
		w.start()
		w.run()
		previous = w.s.PreviousBrokerEpoch()
		if epoch >= 0 {
			w.s.SetBrokerEpoch(epoch)
		}
		w.s.Stop(w.now, &w.out)
		w.gather()
		w.run()
		require.Empty(t, w.changes[len(w.changes)-1].Note)
		return previous
	}
	require.EqualValues(t, -1, life(71))
	require.EqualValues(t, 71, life(-1))
	require.EqualValues(t, 71, life(-1))
	require.EqualValues(t, 71, life(90))
	w.start()
	w.run()
	require.EqualValues(t, 90, w.s.PreviousBrokerEpoch())
	w.crash(func() bool { return true })
	require.EqualValues(t, -1, life(-1))
	require.EqualValues(t, -1, life(-1))
}
