package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/checker"
)

// Pipes take every committed record, but for those that were deleted before they came there.
func TestPipesTakeAll(t *testing.T) {
	records := []checker.Record{{Offset: 3, Value: 1}, {Offset: 4, Value: 2}, {Offset: 6, Value: 3}}
	for _, c := range []struct {
		name    string
		used    map[uint64]bool // by value less 1
		deleted int64
		missing int64 // an offset; -1: none
	}{
		{"all were taken", map[uint64]bool{0: true, 1: true, 2: true}, 0, -1},
		{"one was passed over", map[uint64]bool{0: true, 2: true}, 0, 4},
		{"those that are missing were deleted", map[uint64]bool{2: true}, 5, -1},
		{"one that was not deleted is missing", map[uint64]bool{0: true}, 4, 4},
		{"none was taken, and one was not deleted", nil, 6, 6},
	} {
		rec, is := missing(records, c.used, c.deleted)
		require.Equal(t, c.missing >= 0, is, c.name)
		if is {
			require.Equal(t, c.missing, rec.Offset, c.name)
		}
	}
}
