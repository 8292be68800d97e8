package batch

import (
	"encoding/binary"

	"klamm/core"
)

// BytesMax bounds a batch that is built here: its length is an int32 that leaves room for the rest of a request.
const BytesMax = 1 << 30

// Producer is an idempotent producer's part of a batch.
type Producer struct {
	ID       int64
	Epoch    int16
	Sequence int32 // of the first record; -1 in a marker
}

// Options say what a batch is to be. The zero value is a plain batch.
type Options struct {
	Codec         Codec
	Level         int
	LeaderEpoch   core.Epoch
	Producer      *Producer // nil: not idempotent
	Transactional bool
	Control       bool
	AppendTime    bool  // timestamps are the broker's: the greatest holds for all
	Horizon       bool  // the batch has a delete horizon,
	HorizonAt     int64 // this one
}

// Builder gathers records into one batch.
//
// Invariants: b begins with room for the header; delta is that of the last record, -1 before the first.
type Builder struct {
	o        Options
	b        []byte
	count    int32
	delta    int32
	baseTime int64
	maxTime  int64
}

// NewBuilder starts a batch.
func NewBuilder(o Options) *Builder {
	core.Must(o.Codec < codecCount, "a batch is built with a codec that exists")
	b := &Builder{o: o, b: make([]byte, HeaderBytes, 512), delta: -1, baseTime: NoTimestamp, maxTime: NoTimestamp}
	if o.Horizon {
		b.baseTime = o.HorizonAt
	}
	return b
}

// Add adds a record behind the last. Nil is null.
func (b *Builder) Add(ts int64, key, value []byte, headers []Header) {
	b.AddAt(b.delta+1, ts, key, value, headers)
}

// AddAt adds a record at a distance from the base offset, above that of the last: compaction leaves holes.
func (b *Builder) AddAt(delta int32, ts int64, key, value []byte, headers []Header) {
	core.Must(delta > b.delta, "offsets in a batch rise")
	if b.count == 0 && !b.o.Horizon {
		b.baseTime = ts
	}
	b.count, b.delta, b.maxTime = b.count+1, delta, max(b.maxTime, ts)
	since := ts - b.baseTime
	size := 1 + varintLen(since) + varintLen(int64(delta)) + fieldLen(key, key == nil) + fieldLen(value, value == nil) + varintLen(int64(len(headers)))
	for i := range headers {
		size += varintLen(int64(len(headers[i].Key))) + len(headers[i].Key) + fieldLen(headers[i].Value, headers[i].Value == nil)
	}
	core.Must(len(b.b)+size < BytesMax, "a batch stays below its size limit")
	d := binary.AppendVarint(b.b, int64(size))
	d = append(d, 0) // attributes
	d = binary.AppendVarint(d, since)
	d = binary.AppendVarint(d, int64(delta))
	d = appendField(d, key)
	d = appendField(d, value)
	d = binary.AppendVarint(d, int64(len(headers)))
	for i := range headers {
		d = append(binary.AppendVarint(d, int64(len(headers[i].Key))), headers[i].Key...)
		d = appendField(d, headers[i].Value)
	}
	b.b = d
}

func fieldLen(f []byte, null bool) int {
	if null {
		return 1
	}
	return varintLen(int64(len(f))) + len(f)
}

func appendField(d, f []byte) []byte {
	if f == nil {
		return binary.AppendVarint(d, -1)
	}
	return append(binary.AppendVarint(d, int64(len(f))), f...)
}

// Count is the number of records so far.
func (b *Builder) Count() int { return int(b.count) }

// Bytes is the size of the batch so far, uncompressed.
func (b *Builder) Bytes() int { return len(b.b) }

// Finish returns the batch at a base offset, with its checksum. The builder is not to be used again.
func (b *Builder) Finish(base core.Offset) View { return b.FinishAt(base, max(b.delta, 0)) }

// FinishAt is Finish for a batch whose last offset delta is not that of its last record: compaction removed that one.
func (b *Builder) FinishAt(base core.Offset, lastDelta int32) View {
	core.Must(lastDelta >= b.delta, "the last offset of a batch covers its records")
	v, codec := View(b.b), b.o.Codec
	if b.count == 0 {
		codec = None // nothing to compress
	}
	if codec != None {
		payload := Compress(codec, b.o.Level, v.Payload())
		v = append(make(View, HeaderBytes, HeaderBytes+len(payload)), payload...)
	}
	b.b = nil
	attributes := uint16(codec)
	for _, f := range []struct {
		set bool
		bit uint16
	}{{b.o.AppendTime, appendTimeBit}, {b.o.Transactional, transactionalBit}, {b.o.Control, controlBit}, {b.o.Horizon, deleteHorizonBit}} {
		if f.set {
			attributes |= f.bit
		}
	}
	p := Producer{ID: -1, Epoch: -1, Sequence: -1}
	if b.o.Producer != nil {
		p = *b.o.Producer
	}
	v.SetBaseOffset(base)
	binary.BigEndian.PutUint32(v[atLength:], uint32(len(v)-overhead))
	v.SetLeaderEpoch(b.o.LeaderEpoch)
	v[atMagic] = Magic
	binary.BigEndian.PutUint16(v[atAttributes:], attributes)
	binary.BigEndian.PutUint32(v[atLastDelta:], uint32(lastDelta))
	binary.BigEndian.PutUint64(v[atBaseTime:], uint64(b.baseTime))
	binary.BigEndian.PutUint64(v[atMaxTime:], uint64(b.maxTime))
	binary.BigEndian.PutUint64(v[atProducer:], uint64(p.ID))
	binary.BigEndian.PutUint16(v[atEpoch:], uint16(p.Epoch))
	binary.BigEndian.PutUint32(v[atSequence:], uint32(p.Sequence))
	binary.BigEndian.PutUint32(v[atCount:], uint32(b.count))
	v.seal()
	return v
}
