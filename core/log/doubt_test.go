package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// What is written anew is what the scan has seen: whole batches, in their order, with good checksums, and nothing behind the
// segment's end. Bytes of another place with a good checksum are none of it.
func TestOnlySoundBytesAreWrittenAnew(t *testing.T) {
	at := func(base core.Offset) []byte {
		b := batch.NewBuilder(batch.Options{})
		b.Add(1, nil, []byte("x"), nil)
		b.Add(1, nil, []byte("y"), nil)
		return b.Finish(base)
	}
	join := func(list ...[]byte) (all []byte) {
		for _, b := range list {
			all = append(all, b...)
		}
		return all
	}
	size := int64(len(at(0)))
	rotten := at(12)
	rotten[len(rotten)-1] ^= 1
	for _, c := range []struct {
		why        string
		d          doubt
		b          []byte
		n          int64
		next       core.Offset
		need       int64
		endOfBytes core.Offset
	}{
		{"all of it", doubt{next: 10}, join(at(10), at(12)), 2 * size, 14, 0, 20},
		{"the last one is cut: another read takes it", doubt{next: 10}, join(at(10), at(12)[:70]), size, 12, size, 20},
		{"the first one is cut", doubt{next: 10}, at(10)[:70], 0, 10, size, 20},
		{"not even a header", doubt{next: 10}, at(10)[:40], 0, 10, 0, 20},
		{"a later batch where this one should be", doubt{next: 10}, join(at(12), at(14)), 0, 10, 0, 20},
		{"an earlier one", doubt{next: 10}, at(8), 0, 10, 0, 20},
		{"a gap that the scan has seen", doubt{next: 10, gaps: true}, join(at(10), at(15)), 2 * size, 17, 0, 20},
		{"a wrong checksum takes all", doubt{next: 10}, join(at(10), rotten), 0, 12, 0, 20},
		{"a batch behind the end", doubt{next: 10}, join(at(10), at(12)), 0, 12, 0, 13},
		{"no batch at all", doubt{next: 10}, make([]byte, 100), 0, 10, 0, 20},
	} {
		n, next, need := c.d.sound(c.b, c.endOfBytes)
		require.Equal(t, c.n, n, c.why)
		require.Equal(t, c.need, need, c.why)
		if n > 0 {
			require.Equal(t, c.next, next, c.why)
		}
	}
}
