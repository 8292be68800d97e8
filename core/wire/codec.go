package wire

import (
	"encoding/binary"
	"errors"

	"klamm/core"
)

// UUID is an id that is no topic's: a directory's, an incarnation's. It prints as Kafka's does.
type UUID = core.TopicID

// errMalformed says that bytes are not what they should be.
var errMalformed = errors.New("malformed")

// Compact encodings (KIP-482): lengths are unsigned varints of the length plus one, and 0 is null.

func append16(b []byte, v uint16) []byte      { return binary.BigEndian.AppendUint16(b, v) }
func append32(b []byte, v uint32) []byte      { return binary.BigEndian.AppendUint32(b, v) }
func append64(b []byte, v uint64) []byte      { return binary.BigEndian.AppendUint64(b, v) }
func appendUvarint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendLen(b []byte, n int, null bool) []byte {
	if null {
		return append(b, 0)
	}
	return appendUvarint(b, uint64(n)+1)
}

func appendString(b []byte, s string) []byte { return append(appendLen(b, len(s), false), s...) }
func appendBytes(b, s []byte) []byte         { return append(appendLen(b, len(s), false), s...) }

func appendNullString(b []byte, s *string) []byte {
	if s == nil {
		return append(b, 0)
	}
	return appendString(b, *s)
}

// openTag begins a tagged field; its length is known when closeTag ends it.
func openTag(b []byte, tag uint64) (_ []byte, at int) {
	b = appendUvarint(b, tag)
	return b, len(b)
}

func closeTag(b []byte, at int) []byte {
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(b)-at))
	b = append(b, size[:n]...) // room for the length, which then goes in front
	copy(b[at+n:], b[at:len(b)-n])
	copy(b[at:], size[:n])
	return b
}

// reader takes values off b. After the first that is not there bad is set and every further one is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 && !r.bad { // as most are
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *reader) bool() bool { return r.int8() != 0 }

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) int16() int16 { return int16(r.uint16()) }

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uuid() (id UUID) {
	copy(id[:], r.take(len(id)))
	return id
}

// length reads the length of something whose every element takes a byte or more.
func (r *reader) length(nullable bool) (n int, null bool) {
	v := r.uvarint()
	if v == 0 {
		if !nullable {
			r.bad = true
		}
		return 0, true
	}
	if v-1 > uint64(len(r.b)) {
		r.bad = true
		return 0, false
	}
	return int(v - 1), false
}

func (r *reader) string() string {
	n, _ := r.length(false)
	return string(r.take(n))
}

func (r *reader) nullString() *string {
	n, null := r.length(true)
	if null || r.bad {
		return nil
	}
	s := string(r.take(n))
	return &s
}

// bytes returns a copy: a record outlives the batch that it came in.
func (r *reader) bytes() []byte {
	n, _ := r.length(false)
	return append([]byte{}, r.take(n)...)
}

// tags reads the number of tagged fields. Each takes two bytes or more.
func (r *reader) tags() uint64 {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return n
}

// tag reads the number of a tagged field and cuts its value off.
func (r *reader) tag() (tag uint64, value *reader) {
	tag = r.uvarint()
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return tag, &reader{bad: true}
	}
	return tag, &reader{b: r.take(int(n))}
}

func (r *reader) skip() { r.b = nil }

// closeTag checks that a tagged field's value was read whole.
func (r *reader) closeTag(value *reader) {
	if value.bad || len(value.b) > 0 {
		r.bad = true
	}
}

// readTags skips the tagged fields of a structure that knows none: they are a newer writer's.
func readTags(r *reader) {
	for n := r.tags(); n > 0 && !r.bad; n-- {
		r.tag()
	}
}

// end reports whether all was there and nothing is left.
func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errMalformed
	}
	return nil
}
