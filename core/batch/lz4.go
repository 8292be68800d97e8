package batch

import (
	"encoding/binary"
	"math/bits"

	"github.com/pierrec/lz4/v4"

	"klamm/core"
)

// LZ4 is framed by hand: the frame that Kafka's clients read is a small part of the format, with independent blocks,
// no dictionary and no second frame behind it, and what goes beyond must not get into a log.
const (
	lz4Magic      = 0x184d2204
	lz4Block      = 64 << 10
	lz4Raw        = 1 << 31 // in a block's length: the block is not compressed
	lz4Version    = 0x40
	lz4VersionAll = 0xc0
	lz4Alone      = 0x20 // blocks are independent
	lz4BlockSum   = 0x10
	lz4Size       = 0x08
	lz4ContentSum = 0x04
	lz4Unknown    = 0x03 // reserved, dictionary
	// lz4Times is more than any block grows by when it is decompressed.
	lz4Times      = 256
	lz4TimesFirst = 8
)

// lz4Head is the head of every frame that is written: independent blocks of 64 KiB at most, no checksums.
var lz4Head = []byte{0x04, 0x22, 0x4d, 0x18, lz4Version | lz4Alone, 0x40, 0x82}

func compressLZ4(level int, b []byte) []byte {
	out := append(make([]byte, 0, len(lz4Head)+8+len(b)/2), lz4Head...)
	block := lz4Blocks(level)
	room := make([]byte, lz4.CompressBlockBound(min(len(b), lz4Block)))
	for len(b) > 0 {
		src := b[:min(len(b), lz4Block)]
		b = b[len(src):]
		n, err := block(src, room)
		core.Must(err == nil, "lz4 has room for a block")
		if n == 0 || n >= len(src) {
			out = append(binary.LittleEndian.AppendUint32(out, uint32(len(src))|lz4Raw), src...)
			continue
		}
		out = append(binary.LittleEndian.AppendUint32(out, uint32(n)), room[:n]...)
	}
	return append(out, 0, 0, 0, 0)
}

// lz4Blocks returns a compressor of blocks: the fast one, or the slow one that searches as far as the level says.
func lz4Blocks(level int) func(src, dst []byte) (int, error) {
	if level == DefaultLevel {
		return func(src, dst []byte) (int, error) { return lz4.CompressBlock(src, dst, nil) }
	}
	depth := lz4.CompressionLevel(1 << (8 + max(1, min(level, 9))))
	// Its tables are half a megabyte: the library's own are cleared and used again, those of a CompressorHC of ours would not be.
	return func(src, dst []byte) (int, error) { return lz4.CompressBlockHC(src, dst, depth, nil, nil) }
}

func decompressLZ4(b []byte, limit int) (out []byte, is Verdict) {
	flags, most, at := lz4Frame(b)
	if at == 0 {
		return nil, BadCompression
	}
	for b = b[at:]; ; {
		if len(b) < 4 {
			return nil, BadCompression
		}
		size := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if size == 0 {
			break
		}
		n := int64(size &^ lz4Raw)
		tail := int64(0)
		if flags&lz4BlockSum != 0 {
			tail = 4
		}
		if n > int64(most) || n+tail > int64(len(b)) {
			return nil, BadCompression
		}
		if tail > 0 && xxh32(b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
			return nil, BadCompression
		}
		if out, is = appendLZ4(out, b[:n], size&lz4Raw != 0, most, limit); is != Good {
			return nil, is
		}
		b = b[n+tail:]
	}
	if flags&lz4ContentSum != 0 {
		if len(b) < 4 || xxh32(out) != binary.LittleEndian.Uint32(b) {
			return nil, BadCompression
		}
		b = b[4:]
	}
	if len(b) > 0 {
		return nil, BadCompression
	}
	return out, Good
}

// lz4Frame reads the head of a frame: its flags, the most bytes of a block, and where the blocks begin; 0 if it is none.
func lz4Frame(b []byte) (flags byte, most, at int) {
	if len(b) < 7 || binary.LittleEndian.Uint32(b) != lz4Magic {
		return 0, 0, 0
	}
	flags, at = b[4], 6
	if flags&lz4VersionAll != lz4Version || flags&lz4Alone == 0 || flags&lz4Unknown != 0 {
		return 0, 0, 0
	}
	if flags&lz4Size != 0 {
		at += 8
	}
	code := b[5] >> 4
	if b[5]&0x8f != 0 || code < 4 || len(b) <= at || b[at] != byte(xxh32(b[4:at])>>8) {
		return 0, 0, 0
	}
	return flags, 1 << (8 + 2*code), at + 1
}

// appendLZ4 decodes one block onto out.
func appendLZ4(out, block []byte, raw bool, most, limit int) ([]byte, Verdict) {
	if raw {
		if len(block) > limit-len(out) {
			return nil, Inflated
		}
		return append(out, block...), Good
	}
	at := len(out)
	// A block does not tell what it holds. Few hold more than a multiple of it: the room for the worst comes second.
	for _, times := range [...]int{lz4TimesFirst, lz4Times} {
		room := min(most, times*len(block))
		if cap(out)-at < room {
			grown := make([]byte, at, max(at+room, 2*cap(out)))
			copy(grown, out)
			out = grown
		}
		n, err := lz4.UncompressBlock(block, out[at:at+room])
		if err != nil || n < 0 {
			continue
		}
		if n > limit-at {
			return nil, Inflated
		}
		return out[:at+n], Good
	}
	return nil, BadCompression
}

// xxh32 is the checksum of lz4 frames, with seed 0.
func xxh32(b []byte) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	h := uint32(p5)
	n := uint32(len(b))
	if len(b) >= 16 {
		var zero uint32
		v := [4]uint32{p1, p2, 0, zero - p1}
		v[0] += p2
		for ; len(b) >= 16; b = b[16:] {
			for i := range v {
				v[i] = bits.RotateLeft32(v[i]+binary.LittleEndian.Uint32(b[4*i:])*p2, 13) * p1
			}
		}
		h = bits.RotateLeft32(v[0], 1) + bits.RotateLeft32(v[1], 7) + bits.RotateLeft32(v[2], 12) + bits.RotateLeft32(v[3], 18)
	}
	h += n
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
