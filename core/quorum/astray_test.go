package quorum

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"
)

// A batch that is sound, but not the one that is due, must not be replayed: what lies between would be missing from the metadata, and
// the directories of its topics would be set aside.
func TestReplayTakesOnlyWhatIsDue(t *testing.T) {
	for _, c := range []struct {
		why  string
		base core.Offset
		high core.Offset
		ok   bool
	}{
		{"the batch that is due", 4, 10, true},
		{"a later one", 5, 10, false},
		{"one beyond the high watermark", 4, 4, false},
	} {
		b := batch.NewBuilder(batch.Options{LeaderEpoch: 1})
		b.Add(1, nil, encodeRecord(wire.NewNoOpRecord(), 20), nil)
		n := New(Config{Self: 1, Voters: []Voter{{ID: 1}}})
		n.load.ticket, n.handed, n.handedEpoch, n.high = 7, 4, 1, c.high
		n.replayed(log.Change{What: log.Bytes, Ticket: 7, Data: b.Finish(c.base)}, nil)
		if require.Equal(t, c.ok, n.Failed() == "", "%s: %s", c.why, n.Failed()); !c.ok {
			require.Contains(t, n.Failed(), "came in its place")
		}
	}
}
