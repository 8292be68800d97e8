package batch

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/s2"
)

// Java's clients wrap snappy in the frames of the xerial library: this magic, two int32 versions, then chunks, each
// an int32 length and a snappy block. Others write one bare block. Both are read, and the first is written.
var xerial = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const (
	xerialHead  = 16
	xerialChunk = 32 << 10 // of uncompressed bytes
)

func compressSnappy(b []byte) []byte {
	out := append(make([]byte, 0, xerialHead+len(b)/2), xerial...)
	out = append(out, 0, 0, 0, 1, 0, 0, 0, 1)
	room := make([]byte, s2.MaxEncodedLen(min(len(b), xerialChunk)))
	for len(b) > 0 {
		n := min(len(b), xerialChunk)
		block := s2.EncodeSnappy(room, b[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		out, b = append(out, block...), b[n:]
	}
	return out
}

func decompressSnappy(b []byte, limit int) (out []byte, is Verdict) {
	if len(b) < xerialHead || !bytes.Equal(b[:len(xerial)], xerial) {
		return appendSnappy(nil, b, limit)
	}
	b = b[xerialHead:]
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, BadCompression
		}
		n := int64(binary.BigEndian.Uint32(b))
		if b = b[4:]; n > int64(len(b)) {
			return nil, BadCompression
		}
		if out, is = appendSnappy(out, b[:n], limit); is != Good {
			return nil, is
		}
		b = b[n:]
	}
	return out, Good
}

// appendSnappy decodes one block onto out.
func appendSnappy(out, block []byte, limit int) ([]byte, Verdict) {
	n, err := s2.DecodedLen(block)
	if err != nil || !isSnappy(block, n) {
		return nil, BadCompression
	}
	if n > limit-len(out) {
		return nil, Inflated
	}
	at := len(out)
	if cap(out)-at < n {
		grown := make([]byte, at, min(limit, max(at+n, 2*cap(out))))
		copy(grown, out)
		out = grown
	}
	dst := out[at : at+n]
	got, err := s2.Decode(dst, block)
	if err != nil || len(got) != n {
		return nil, BadCompression
	}
	return out[:at+n], Good
}

// isSnappy reports whether a block that claims to hold n bytes is snappy and holds so many. The decoder knows s2 as
// well, whose repeats (copies from a distance of 0) no other client could read. And a block of a few bytes must not
// reserve memory for all that it claims.
func isSnappy(block []byte, n int) bool {
	_, at := binary.Uvarint(block)
	have := 0
	for at > 0 && at < len(block) && have <= n {
		tag := block[at]
		extra := int(tag >> 2)
		switch tag & 3 {
		case 0: // literal; 60 to 63 say how many bytes of length follow
			at++
			if extra >= 60 {
				bytes := extra - 59
				if at+bytes > len(block) {
					return false
				}
				extra = 0
				for i := range bytes {
					extra |= int(block[at+i]) << (8 * i)
				}
				at += bytes
			}
			have += extra + 1
			at += extra + 1
		case 1:
			if at+2 > len(block) || tag>>5 == 0 && block[at+1] == 0 {
				return false
			}
			have += 4 + extra&7
			at += 2
		case 2:
			if at+3 > len(block) || block[at+1]|block[at+2] == 0 {
				return false
			}
			have += 1 + extra
			at += 3
		case 3:
			if at+5 > len(block) || block[at+1]|block[at+2]|block[at+3]|block[at+4] == 0 {
				return false
			}
			have += 1 + extra
			at += 5
		}
	}
	return have == n && at == len(block)
}
