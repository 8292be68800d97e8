package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// TestMetadataPoint: the recovery point follows the metadata log at once, so that damage to what was answered is not
// taken for a torn end. The logs of topics wait for the usual interval.
func TestMetadataPoint(t *testing.T) {
	for _, topic := range []string{"t", metadataTopic} {
		w := newWorld(nil)
		w.start()
		w.run()
		id := w.s.Create(w.now, Partition{Topic: topic}, core.TopicID{15: 7}, DefaultConfig(), &w.out)
		w.gather()
		w.run()
		for range 3 {
			_, err := w.s.Append(w.now, id, makeBatch(1, w.now.Wall.Millis(), nil, "some value"), 0, &w.out)
			require.Equal(t, AppendOK, err)
			w.gather()
			w.run()
		}
		w.advance(core.Second)
		_, _, f := w.lookup("d/recovery-point-offset-checkpoint")
		if topic == "t" {
			require.Nil(t, f)
			continue
		}
		require.NotNil(t, f)
		require.Equal(t, "0\n1\n"+topic+" 0 3\n", string(f.synced))
		_, _, f = w.lookup("d/" + topic + "-0/00000000000000000000.log")
		f.data[100] ^= 1
		f.synced = append([]byte(nil), f.data...)
		w.crash(func() bool { return false })
		w.start()
		w.run()
		id, ok := w.s.Find(Partition{Topic: topic})
		require.True(t, ok)
		require.False(t, w.s.Log(id).Online())
		require.Contains(t, w.s.Log(id).why, "below the recovery point 3")
	}
}
