package checker

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

// segmentOf is a segment file of batches of the given counts of records and sizes, from offset 40 on.
func segmentOf(batches ...[2]int) (file []byte) {
	base := uint64(40)
	for _, x := range batches {
		b := make([]byte, x[1])
		binary.BigEndian.PutUint64(b, base)
		binary.BigEndian.PutUint32(b[8:], uint32(x[1]-12))
		b[16] = 2
		binary.BigEndian.PutUint32(b[23:], uint32(x[0]-1))
		b[x[1]-1] = byte(base)
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
		file, base = append(file, b...), base+uint64(x[0])
	}
	return file
}

func TestBeyond(t *testing.T) {
	written := segmentOf([2]int{1, 97}, [2]int{28, 200}, [2]int{1, 97})
	for _, c := range []struct {
		name   string
		harm   func(b []byte) // of what is read
		high   int64
		size   int64
		last   int64
		beyond bool
	}{
		{"up to the high watermark", nil, 69, 297, 0, false},
		{"beyond it", nil, 69, int64(len(written)), 69, true},
		{"a batch that reaches over it", nil, 50, 297, 68, true},
		{"of which only a part is sent", nil, 50, 296, 0, false},
		{"a length that swallows what follows: one batch with a wrong checksum", func(b []byte) { binary.BigEndian.PutUint32(b[8:], 297-12) }, 41, 297, 0, false},
		{"a wrong checksum, behind which nothing is taken", func(b []byte) { b[18] ^= 1 }, 41, 297, 0, false},
		{"a wrong offset, which the checksum does not cover", func(b []byte) { b[6] = 1 }, 69, 97, 40 + 256, true},
		{"a wrong epoch, which it does not cover either", func(b []byte) { b[15] = 1 }, 41, 297, 68, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := append([]byte{}, written...)
			if c.harm != nil {
				c.harm(now)
			}
			read := func(off int64, dst []byte) (int, bool) {
				n := copy(dst, now[min(off, int64(len(now))):])
				return n, string(dst[:n]) != string(written[off:off+int64(n)])
			}
			last, beyond := Beyond(read, 0, c.size, c.high)
			require.Equal(t, c.beyond, beyond)
			require.Equal(t, c.last, last)
		})
	}
}
