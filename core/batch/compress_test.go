package batch

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Compression is undone by decompression at every level, and the same arguments make the same bytes, whatever was
// compressed between.
func TestCompress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.ByteRange(0, 3), 0, 3000).Draw(t, "bytes")
		b = bytes.Repeat(b, rapid.SampledFrom([]int{1, 1, 2, 50}).Draw(t, "times"))
		c := Codec(rapid.IntRange(0, 4).Draw(t, "codec"))
		level := rapid.IntRange(-10, 25).Draw(t, "level")
		z := Compress(c, level, b)
		out, is := Decompress(c, z, len(b))
		require.Equal(t, Good, is)
		require.True(t, bytes.Equal(b, out))
		Compress(c, level, []byte("something else"))
		require.True(t, bytes.Equal(z, Compress(c, level, b)))
		if len(b) > 0 {
			_, is = Decompress(c, z, len(b)-1)
			require.Equal(t, Inflated, is)
		}
		if c != None && c != Snappy { // which has no end of its own
			_, is = Decompress(c, z[:rapid.IntRange(0, len(z)-1).Draw(t, "cut")], len(b))
			require.NotEqual(t, Good, is)
		}
	})
}

// Other clients frame snappy not at all; s2, which looks alike and which no client reads, is refused.
func TestSnappyOfOthers(t *testing.T) {
	b := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvw"), 4000)
	out, is := Decompress(Snappy, s2.EncodeSnappyBest(nil, b), 1<<20)
	require.Equal(t, Good, is)
	require.Equal(t, b, out)
	_, is = Decompress(Snappy, s2.EncodeBest(nil, b), 1<<20)
	require.Equal(t, BadCompression, is)
	repeat := []byte{12, 3 << 2, 'a', 'b', 'c', 'd', 1, 4, 1, 0} // a copy from 4 back, and one from 0 back: as before
	got, err := s2.Decode(nil, repeat)
	require.True(t, err == nil && string(got) == "abcdabcdabcd")
	_, is = Decompress(Snappy, repeat, 1<<20)
	require.Equal(t, BadCompression, is)
	claim := binary.AppendUvarint(nil, 100<<20) // 4 bytes that claim 100 MiB
	_, is = Decompress(Snappy, append(claim, 0), InflatedBytesMax)
	require.Equal(t, BadCompression, is)
}

// Frames of lz4 as other clients make them: all block sizes and checksums. What Kafka's own reader does not take is
// refused: blocks that depend on each other, wrong checksums, bytes behind the frame.
func TestLZ4OfOthers(t *testing.T) {
	b := bytes.Repeat([]byte("some text that repeats, "), 20000)
	b = append(b, plain(Options{}, 100, 1000)...)
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		for _, sums := range []bool{true, false} {
			var z bytes.Buffer
			w := lz4.NewWriter(&z)
			require.NoError(t, w.Apply(lz4.BlockSizeOption(size), lz4.ChecksumOption(sums), lz4.BlockChecksumOption(sums), lz4.SizeOption(uint64(len(b)))))
			_, err := w.Write(b)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			out, is := Decompress(LZ4, z.Bytes(), len(b))
			require.Equal(t, Good, is)
			require.True(t, bytes.Equal(b, out))
			_, is = Decompress(LZ4, append(z.Bytes(), 0), len(b))
			require.Equal(t, BadCompression, is)
			if sums {
				for _, at := range []int{7, 14, 20, 2000, z.Len() - 1} {
					bad := bytes.Clone(z.Bytes())
					bad[at] ^= 0x55
					_, is = Decompress(LZ4, bad, len(b))
					require.Equal(t, BadCompression, is, at)
				}
			}
		}
	}
	bad := Compress(LZ4, 0, b)
	bad[4] &^= lz4Alone
	bad[6] = byte(xxh32(bad[4:6]) >> 8)
	_, is := Decompress(LZ4, bad, len(b))
	require.Equal(t, BadCompression, is)
	r := lz4.NewReader(bytes.NewReader(Compress(LZ4, 9, b)))
	var out bytes.Buffer
	_, err := out.ReadFrom(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(b, out.Bytes()))
}

// The checksum of lz4's frames, by its published examples.
func TestXXH32(t *testing.T) {
	require.EqualValues(t, 0x02cc5d05, xxh32(nil))
	require.EqualValues(t, 0x32d153ff, xxh32([]byte("abc")))
	require.EqualValues(t, 0xe2293b2f, xxh32([]byte("Nobody inspects the spammish repetition")))
}

// zstd: a frame that claims more than its blocks can hold costs no memory; several frames are one stream; a window
// larger than the content, which streaming writers ask for, is fine.
func TestZstdOfOthers(t *testing.T) {
	claim := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 4, 1, 0, 0} // single segment, 64 MiB, an empty last block
	_, is := Decompress(Zstd, claim, InflatedBytesMax)
	require.Equal(t, BadCompression, is)

	b := bytes.Repeat([]byte("abcdefgh"), 50000)
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	require.NoError(t, err)
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	out, is := Decompress(Zstd, z.Bytes(), len(b))
	require.Equal(t, Good, is)
	require.True(t, bytes.Equal(b, out))
	out, is = Decompress(Zstd, append(z.Bytes(), z.Bytes()...), 2*len(b))
	require.Equal(t, Good, is)
	require.Len(t, out, 2*len(b))
	_, is = Decompress(Zstd, append(z.Bytes(), 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0), len(b))
	require.Equal(t, BadCompression, is)

	// A bomb: 64 MiB of one byte in a few hundred bytes. A produce check does not unpack it.
	bomb := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58}
	for i := range 512 {
		head := uint32(128<<10<<3 | 1<<1)
		if i == 511 {
			head |= 1
		}
		bomb = append(bomb, byte(head), byte(head>>8), byte(head>>16), 'x')
	}
	out, is = Decompress(Zstd, bomb, 64<<20)
	require.Equal(t, Good, is)
	require.Len(t, out, 64<<20)
	v := append(plain(Options{}, 1, 1)[:HeaderBytes:HeaderBytes], bomb...)
	binary.BigEndian.PutUint32(v[atLength:], uint32(len(v)-overhead))
	v[atAttributes+1] |= byte(Zstd)
	v.seal()
	require.Equal(t, Inflated, Inspect(v).Verdict)
}
