package batch

import (
	"encoding/binary"

	"klamm/core"
)

// WorkRecompress is the kind of work that Recompress is done as: its arguments come from RecompressArgs, its bytes
// are the batch, its result is read by ParseRecompressed.
const WorkRecompress core.WorkKind = 32

// Target says what a batch is to become.
type Target struct {
	Codec      Codec
	Level      int
	AppendTime bool  // stamp the records with the broker's time,
	Time       int64 // this one
}

// Recompress makes the same batch with another codec, as a topic's compression.type asks for. Offsets, records and
// producer stay, and without AppendTime the timestamps too. The bytes of v are not touched.
func Recompress(v View, to Target) (View, Verdict) {
	core.Must(to.Codec < codecCount, "a batch is compressed with a codec that exists")
	records := v.Payload()
	if v.Count() == 0 && len(records) == 0 {
		to.Codec = None // nothing to compress
	} else {
		var is Verdict
		if records, is = Decompress(v.Codec(), records, InflatedBytesMax); is != Good {
			return nil, is
		}
	}
	records = Compress(to.Codec, to.Level, records)
	w := append(make(View, 0, HeaderBytes+len(records)), v[:HeaderBytes]...)
	w = append(w, records...)
	binary.BigEndian.PutUint32(w[atLength:], uint32(len(w)-overhead))
	w[atAttributes+1] = w[atAttributes+1]&^codecMask | byte(to.Codec)
	if to.AppendTime {
		w[atAttributes+1] |= appendTimeBit
		binary.BigEndian.PutUint64(w[atMaxTime:], uint64(to.Time))
	}
	w.seal()
	return w, Good
}

// RecompressArgs encodes to as arguments of WorkRecompress.
func RecompressArgs(to Target) []byte {
	b := []byte{byte(to.Codec), 0}
	if to.AppendTime {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint32(b, uint32(to.Level))
	return binary.BigEndian.AppendUint64(b, uint64(to.Time))
}

func parseTarget(b []byte) (to Target, ok bool) {
	if len(b) != 14 || Codec(b[0]) >= codecCount {
		return to, false
	}
	return Target{
		Codec: Codec(b[0]), AppendTime: b[1] != 0,
		Level: int(int32(binary.BigEndian.Uint32(b[2:]))), Time: int64(binary.BigEndian.Uint64(b[6:])),
	}, true
}

// ParseRecompressed reads a result of WorkRecompress.
func ParseRecompressed(b []byte) (View, Verdict) {
	if len(b) == 0 {
		return nil, Corrupt
	}
	if is := Verdict(b[0]); is != Good {
		return nil, is
	}
	v, rest, is := First(b[1:])
	if is == Good && len(rest) > 0 {
		return nil, Corrupt
	}
	return v, is
}

// Work runs the kinds of work of this room. The result of one that it does not know is empty.
func Work(kind core.WorkKind, args, bytes []byte) []byte {
	if kind != WorkRecompress {
		return nil
	}
	to, ok := parseTarget(args)
	core.Must(ok, "arguments of recompression come from RecompressArgs")
	v, _, is := First(bytes)
	if is == Good {
		v, is = Recompress(v, to)
	}
	if is != Good {
		return []byte{byte(is)}
	}
	return append([]byte{byte(Good)}, v...)
}
