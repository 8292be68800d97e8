package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/wire"
)

// silent is a broker that takes everything and answers nothing.
type silent struct{}

func (silent) Step(core.Now, *core.Event, *core.Out) {}
func (silent) Next() core.Time                       { return core.Never }

// A broker that does not come alive after healing is caught, whatever the faults.
func TestSilenceIsNoProgress(t *testing.T) {
	opt := Options{Broker: func() core.Machine { return silent{} }, Pure: core.Pure{Split: wire.Split}, Profile: "sync"}
	for seed := range uint64(5) {
		r := RunSafe(seed, opt)
		require.NotNil(t, r.Failure)
		require.Contains(t, []string{"I87", "I88"}, r.Failure.Rule, r.Failure.Text) // I88: nor does it stop when it is asked to
		require.Equal(t, r.Hash, RunSafe(seed, opt).Hash)
	}
}
