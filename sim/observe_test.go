package sim

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/checker"
)

// What a copy under repair holds is read from its files.
func TestEpochOnDisk(t *testing.T) {
	head := func(base int64, count, size int, epoch int32) []byte {
		b := make([]byte, size)
		binary.BigEndian.PutUint64(b, uint64(base))
		binary.BigEndian.PutUint32(b[8:], uint32(size-12))
		binary.BigEndian.PutUint32(b[12:], uint32(epoch))
		binary.BigEndian.PutUint32(b[23:], uint32(count-1))
		b[16] = 2
		return b
	}
	files := map[string][]byte{
		"00000000000000000000.log": append(head(0, 1, 226, 8), make([]byte, 70)...), // one batch of the leader's; what stood behind it begins elsewhere
		"00000000000000000010.log": append(head(10, 5, 100, 1), head(17, 3, 80, 7)...),
	}
	names := []string{"00000000000000000000.index", "00000000000000000000.log", "00000000000000000010.log", "leader-epoch-checkpoint"}
	read := func(name string, off int64, dst []byte) int {
		return copy(dst, files[name][min(off, int64(len(files[name]))):])
	}
	for _, c := range []struct {
		offset int64
		epoch  int32
		known  bool
	}{{0, 8, true}, {1, -1, false}, {10, 1, true}, {14, 1, true}, {15, -1, false}, {17, 7, true}, {19, 7, true}, {20, -1, false}} {
		epoch, known := epochOnDisk(names, read, 0, c.offset)
		require.Equal(t, c.epoch, epoch, c.offset)
		require.Equal(t, c.known, known, c.offset)
	}
	_, known := epochOnDisk(names, read, 19, 19)
	require.True(t, known)
	_, known = epochOnDisk(names, read, 20, 19)
	require.False(t, known, "deleted")
	_, known = epochOnDisk(nil, read, 0, 3)
	require.False(t, known)
	_, known = epochOnDisk([]string{"00000000000000000000.log"}, func(_ string, _ int64, dst []byte) int { return copy(dst, make([]byte, batchHead)) }, 0, 3)
	require.False(t, known, "no batch")
}

// A log may be cut while it follows, and lead at the next look; while it leads it loses nothing.
func TestCutBeforeItLed(t *testing.T) {
	for _, c := range []struct {
		led    bool
		epoch  int32 // at the last look
		broken int
	}{{false, 1, 0}, {true, 1, 0}, {false, 2, 0}, {true, 2, 1}} {
		prev := checker.Replica{High: 5, Durable: 9, Written: 9, End: 9, Safe: 9, Leads: c.led, LeaderEpoch: c.epoch}
		cur := checker.Replica{High: 5, Durable: 8, Written: 9, End: 9, Safe: 8, Leads: true, LeaderEpoch: 2}
		cutBefore(&prev, &cur)
		require.Len(t, checker.CheckReplica(&prev, &cur), c.broken)
	}
}
