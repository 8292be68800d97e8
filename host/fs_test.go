package host

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"klamm/core"
)

// Pieces of any sizes, cut into calls, are in the file as one run of bytes, and nothing beside it is touched.
func TestPwritevCutsWithoutTrace(t *testing.T) {
	path := t.TempDir() + "/f"
	rapid.Check(t, func(t *rapid.T) {
		f, _, err := OS{}.Open(path, core.CreateEmpty)
		require.NoError(t, err)
		defer f.Close()
		off := rapid.SampledFrom([]int64{0, 1, 4095, writeCallBytes - 1, writeCallBytes, writeCallBytes + 77, 3 * writeCallBytes}).Draw(t, "off")
		size := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(1, 5000), rapid.IntRange(writeCallBytes-2, 5*writeCallBytes))
		var pieces [][]byte
		want := slices.Repeat([]byte{0xee}, int(off))
		require.NoError(t, f.Pwritev([][]byte{want}, 0))
		for i := range rapid.IntRange(1, 40).Draw(t, "pieces") {
			p := make([]byte, size.Draw(t, "size"))
			for j := range p {
				p[j] = byte(i*31 + j*7 + j>>8)
			}
			pieces = append(pieces, p)
			want = append(want, p...)
		}
		require.NoError(t, f.Pwritev(pieces, off))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, slices.Equal(want, got))
	})
}

// BenchmarkWriteCalls is why writeCallBytes is what it is: appending with calls of several sizes. Run it with
// -benchtime 400x -count 5: figures depend on what the machine has freed lately.
func BenchmarkWriteCalls(b *testing.B) {
	for _, size := range []int{1 << 20, 256 << 10, 128 << 10, 64 << 10, 32 << 10} {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			f, _, err := OS{}.Open(b.TempDir()+"/f", core.CreateEmpty)
			require.NoError(b, err)
			defer f.Close()
			fd, data := int(f.(osFile)), make([]byte, 1<<20)
			_, sys := cpuNow()
			b.ResetTimer()
			for i := range b.N {
				for at := 0; at < len(data); at += size {
					_, err := unix.Pwrite(fd, data[at:at+size], int64(i<<20+at))
					require.NoError(b, err)
				}
			}
			_, s := cpuNow()
			b.ReportMetric((s-sys)/(float64(b.N)*(1<<20)/1e9), "sys-s/GB")
		})
	}
}
