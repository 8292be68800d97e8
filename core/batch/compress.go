package batch

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"

	"klamm/core"
)

// Codec is how the records of a batch are compressed.
type Codec uint8

// The codecs.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
	codecCount
)

var codecNames = [codecCount]string{"none", "gzip", "snappy", "lz4", "zstd"}

func (c Codec) String() string {
	if c < codecCount {
		return codecNames[c]
	}
	return "unknown"
}

// ParseCodec reads a value of compression.type that names a codec ("uncompressed" is Kafka's word for None there).
func ParseCodec(s string) (Codec, bool) {
	if s == "uncompressed" {
		return None, true
	}
	for i, n := range codecNames {
		if n == s {
			return Codec(i), true
		}
	}
	return None, false
}

// DefaultLevel asks for the codec's own default.
const DefaultLevel = 0

// InflatedBytesMax bounds what the records of one batch may become when they are decompressed. Beyond it a batch is
// refused as Inflated.
const InflatedBytesMax = 128 << 20

// Compress compresses b. The level is Kafka's (compression.gzip.level 1-9, lz4 1-17, zstd up to 22); DefaultLevel is
// the codec's default. The result depends on the arguments alone, and on the processor's architecture: no encoder is
// kept from one call to the next, but for tables that the libraries clear before they use them again.
func Compress(c Codec, level int, b []byte) []byte {
	switch c {
	case None:
		return b
	case Gzip:
		return compressGzip(level, b)
	case Snappy:
		return compressSnappy(b)
	case LZ4:
		return compressLZ4(level, b)
	case Zstd:
		return compressZstd(level, b)
	}
	core.Must(false, "a batch is compressed with a codec that exists")
	return nil
}

// Decompress undoes Compress and what other clients write. For None it returns b itself. The result is never larger
// than limit.
func Decompress(c Codec, b []byte, limit int) ([]byte, Verdict) {
	switch c {
	case None:
		if len(b) > limit {
			return nil, Inflated
		}
		return b, Good
	case Gzip:
		return decompressGzip(b, limit)
	case Snappy:
		return decompressSnappy(b, limit)
	case LZ4:
		return decompressLZ4(b, limit)
	case Zstd:
		return decompressZstd(b, limit)
	}
	return nil, BadCodec
}

// smallBytes is the size up to which a codec's default level means its cheapest encoder: the tables of the others cost
// many times what such a batch does, and find nothing more in it.
const smallBytes = 4 << 10

func compressGzip(level int, b []byte) []byte {
	if level < gzip.BestSpeed || level > gzip.BestCompression {
		if level = gzip.DefaultCompression; len(b) <= smallBytes {
			level = gzip.StatelessCompression
		}
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	core.Must(err == nil, "gzip has this level")
	_, err = w.Write(b)
	core.Must(err == nil, "gzip writes to memory")
	core.Must(w.Close() == nil, "gzip ends in memory")
	return out.Bytes()
}

func decompressGzip(b []byte, limit int) ([]byte, Verdict) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, BadCompression
	}
	out := make([]byte, 0, min(limit, max(512, 4*len(b))))
	for {
		if len(out) == cap(out) {
			if len(out) >= limit { // full: anything more is too much
				var one [1]byte
				if n, err := r.Read(one[:]); n == 0 && errors.Is(err, io.EOF) {
					return out, Good
				}
				return nil, Inflated
			}
			grown := make([]byte, len(out), min(limit, 2*cap(out)))
			copy(grown, out)
			out = grown
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if errors.Is(err, io.EOF) {
			return out, Good
		}
		if err != nil {
			return nil, BadCompression
		}
	}
}
