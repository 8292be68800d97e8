package batch

import "klamm/core"

// Record is one record of a batch.
type Record struct {
	Offset     core.Offset
	Timestamp  int64  // the batch's, if the broker set it
	Key, Value []byte // nil is null
	Headers    []Header
}

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte // nil is null
}

// Reader walks the records of one batch.
//
// Invariants: at <= len(b); left is the number of records that begin at or behind at.
type Reader struct {
	b         []byte // decompressed records
	at        int
	left      int32
	base      core.Offset
	baseTime  int64
	batchTime int64 // the timestamp of every record,
	appended  bool  // if the broker set it
	last      int32 // offset delta of the record before, or -1
	lastMax   int32 // no delta is above
	err       Verdict
}

// Read starts to walk the records of v, which it decompresses into no more than limit bytes. What Next returns
// refers to v's bytes, or to the decompressed ones, which belong to the reader.
func Read(v View, limit int) (Reader, Verdict) {
	r := Reader{
		left: v.Count(), base: v.BaseOffset(), baseTime: v.BaseTimestamp(), batchTime: v.MaxTimestamp(),
		appended: v.AppendTime(), last: -1, lastMax: v.LastDelta(),
	}
	switch {
	case r.left < 0:
		r.err = BadCount
	case r.left == 0 && len(v.Payload()) == 0: // what compaction leaves to keep a producer's sequence
	default:
		r.b, r.err = Decompress(v.Codec(), v.Payload(), limit)
	}
	return r, r.err
}

// Next reads the next record into rec, whose Headers it reuses. It returns false after the last, or if the rest
// makes no sense; Err tells which.
func (r *Reader) Next(rec *Record) bool {
	if r.err != Good {
		return false
	}
	if r.left == 0 {
		if r.at != len(r.b) {
			r.err = BadRecord
		}
		return false
	}
	var s span
	next := s.parse(r.b, r.at)
	// Compaction leaves holes, but nothing may make an offset appear twice, or beyond the batch.
	if next < 0 || s.delta <= r.last || s.delta > r.lastMax {
		r.err = BadRecord
		return false
	}
	rec.Offset = r.base + core.Offset(s.delta)
	rec.Timestamp = r.baseTime + s.time
	if r.appended {
		rec.Timestamp = r.batchTime
	}
	rec.Key, rec.Value = cut(r.b, s.key, s.keyLen), cut(r.b, s.value, s.valueLen)
	rec.Headers = rec.Headers[:0]
	for at, n := s.headersAt, s.headers; n > 0; n-- {
		var h Header
		h, at = header(r.b, at)
		rec.Headers = append(rec.Headers, h)
	}
	r.at, r.last = next, s.delta
	r.left--
	return true
}

// Err is Good, or what ended the walk too early.
func (r *Reader) Err() Verdict { return r.err }

// Left is the number of records that have not been read yet.
func (r *Reader) Left() int { return int(r.left) }

func cut(b []byte, at, n int) []byte {
	if n < 0 {
		return nil
	}
	return b[at : at+n : at+n]
}

// span is where the parts of one record lie.
type span struct {
	time            int64 // distance from the base timestamp
	delta           int32 // distance from the base offset
	key, keyLen     int   // a length of -1 is null
	value, valueLen int
	headers         int32
	headersAt       int
}

// parse finds the parts of the record at b[at:] and returns where the next one begins, or -1 if this is none: a
// length that reaches beyond its surroundings or that does not come out even, a varint too long, a null header key.
// Every record that is produced comes through here, so varints of one byte are read in place.
func (s *span) parse(b []byte, at int) (next int) {
	size, at := varint(b, at)
	if at < 0 || size < 0 || size > int64(len(b)-at) {
		return -1
	}
	next = at + int(size)
	b = b[:next]
	at++ // the record's attributes mean nothing yet
	if at < len(b) && b[at] < 0x80 {
		s.time = unzig(uint64(b[at]))
		at++
	} else if s.time, at = varlong(b, at); at < 0 {
		return -1
	}
	var delta, n int64
	if at < len(b) && b[at] < 0x80 {
		delta = unzig(uint64(b[at]))
		at++
	} else if delta, at = varint(b, at); at < 0 {
		return -1
	}
	s.delta = int32(delta)
	if s.key, s.keyLen, at = field(b, at); at < 0 {
		return -1
	}
	if s.value, s.valueLen, at = field(b, at); at < 0 {
		return -1
	}
	if at == len(b)-1 && b[at] == 0 {
		s.headers = 0
		return next
	}
	if n, at = varint(b, at); at < 0 || n < 0 || n > int64(len(b)-at) {
		return -1
	}
	s.headers, s.headersAt = int32(n), at
	for ; n > 0; n-- {
		var keyLen int
		if _, keyLen, at = field(b, at); at < 0 || keyLen < 0 {
			return -1
		}
		if _, _, at = field(b, at); at < 0 {
			return -1
		}
	}
	if at != next {
		return -1
	}
	return next
}

// field reads the length of a part and steps over it; n is -1 for null, and next is -1 if it cannot be.
func field(b []byte, at int) (start, n, next int) {
	var size int64
	if at < len(b) && b[at] < 0x80 {
		size = unzig(uint64(b[at]))
		at++
	} else if size, at = varint(b, at); at < 0 {
		return 0, 0, -1
	}
	if size > int64(len(b)-at) || size < -1 {
		return 0, 0, -1
	}
	if size < 0 {
		return at, -1, at
	}
	return at, int(size), at + int(size)
}

// header reads a header that parse has been over.
func header(b []byte, at int) (h Header, next int) {
	start, n, at := field(b, at)
	h.Key = string(cut(b, start, n))
	start, n, next = field(b, at)
	h.Value = cut(b, start, n)
	return h, next
}

func unzig(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// varint reads a signed varint of 32 bits; next is -1 if there is none. An at beyond b is allowed.
func varint(b []byte, at int) (v int64, next int) {
	if at+1 < len(b) && b[at+1] < 0x80 {
		if b[at] < 0x80 {
			return unzig(uint64(b[at])), at + 1
		}
		return unzig(uint64(b[at]&0x7f) | uint64(b[at+1])<<7), at + 2
	}
	return anyVarint(b, at, 28, 0x0f)
}

// varlong is varint with 64 bits.
func varlong(b []byte, at int) (v int64, next int) { return anyVarint(b, at, 63, 0x01) }

// anyVarint reads up to the byte whose bits begin at lastShift, which may be no more than lastMax.
func anyVarint(b []byte, at int, lastShift uint, lastMax byte) (v int64, next int) {
	var u uint64
	for shift := uint(0); shift <= lastShift && at < len(b); shift += 7 {
		c := b[at]
		at++
		if shift == lastShift && c > lastMax {
			return 0, -1
		}
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return unzig(u), at
		}
	}
	return 0, -1
}

// varintLen is how many bytes a signed varint takes.
func varintLen(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
