// Package batch knows the record batch (KIP-98, magic 2): the 61-byte header that brokers read and stamp in place,
// the records behind it, and their compression.
//
// A producer builds a batch, a broker checks it once (Inspect), stamps its base offset and leader epoch, which the
// checksum leaves out, and stores it; a consumer or a follower gets the same bytes. So a batch is mostly looked at
// through View, which decodes nothing. Records are decoded only where their content counts: when a batch is
// checked, recompressed or compacted, when a log is asked for a timestamp, and by whoever reads internal topics.
//
// Everything here is a pure function of bytes that may come from anywhere: nothing panics on them, and whatever is
// refused gets a Verdict, which core/broker turns into an error code.
package batch

import (
	"encoding/binary"
	"hash/crc32"

	"klamm/core"
)

// HeaderBytes is the size of the header of a batch, in front of its records.
const HeaderBytes = 61

// Magic is the only format that is written or served: batches v2.
const Magic = 2

// MinSize is the least size that Kafka's framing lets a batch of any magic have; below it the length is damage.
const MinSize = overhead + 14

const (
	overhead      = 12 // base offset and length: what the length does not count
	atLength      = 8
	atLeaderEpoch = 12
	atMagic       = 16
	atCRC         = 17
	atAttributes  = 21 // the checksum begins here
	atLastDelta   = 23
	atBaseTime    = 27
	atMaxTime     = 35
	atProducer    = 43
	atEpoch       = 51
	atSequence    = 53
	atCount       = 57
)

// Attributes of a batch.
const (
	codecMask              = 0x07
	appendTimeBit          = 0x08
	transactionalBit       = 0x10
	controlBit             = 0x20
	deleteHorizonBit       = 0x40
	knownAttributes        = 0x7f
	noTimestamp            = -1
	maxSequence      int32 = 1<<31 - 1
)

// NoTimestamp is the timestamp of a record that has none.
const NoTimestamp int64 = noTimestamp

// Verdict says what is wrong with bytes that should be a batch. Those of a produce check are in the order in which
// Apache Kafka 4.3 looks for them.
type Verdict uint8

// The verdicts.
const (
	Good           Verdict = iota
	NoBatch                // no whole batch at all
	Corrupt                // a length that cannot be, or an unknown magic
	OldMagic               // a batch of magic 0 or 1
	NewCodec               // zstd in a request of a version before it
	BadTail                // what follows the batch has a length or a magic that cannot be
	SecondBatch            // more than one batch
	BadOffset              // the base offset is not 0
	TooLarge               // above max.message.bytes
	BadCRC                 // the checksum does not match
	BadCodec               // bits that name no codec
	BadCount               // the count of records and the last offset delta disagree
	ControlBatch           // a control batch from a client
	BadSequence            // a producer id with a negative sequence
	BadCompression         // what is compressed cannot be decompressed
	Inflated               // decompressed, it is above the bound
	BadRecord              // a record that cannot be decoded, bytes left over, or offset deltas with holes
	verdictCount
)

var verdictNames = [verdictCount]string{
	"good", "no batch", "corrupt", "old magic", "codec too new for the request", "corrupt behind the batch", "second batch",
	"base offset not zero", "too large", "wrong checksum", "unknown codec", "count against offsets", "control batch",
	"negative sequence", "bad compression", "too large when decompressed", "bad record",
}

func (v Verdict) String() string {
	if v < verdictCount {
		return verdictNames[v]
	}
	return "unknown"
}

// View is one whole batch of magic 2: its header is there and its length is right. First makes it from bytes.
type View []byte

// First cuts the first batch off b. Only its framing is checked: that its length is possible and the bytes are all
// there (NoBatch if not: a torn tail), and its magic. Neither the checksum nor the records are looked at.
func First(b []byte) (v View, rest []byte, is Verdict) {
	n, magic, is := frame(b)
	switch {
	case is != Good:
		return nil, b, is
	case magic < Magic:
		return nil, b, OldMagic
	case n < HeaderBytes:
		return nil, b, Corrupt
	}
	return View(b[:n:n]), b[n:], Good
}

// frame finds the end and the magic of the first batch in b, whatever its magic.
func frame(b []byte) (size int, magic int8, is Verdict) {
	if len(b) < overhead {
		return 0, 0, NoBatch
	}
	n := int64(int32(binary.BigEndian.Uint32(b[atLength:]))) + overhead
	if n < MinSize {
		return 0, 0, Corrupt
	}
	if len(b) <= atMagic {
		return 0, 0, NoBatch
	}
	if magic = int8(b[atMagic]); magic < 0 || magic > Magic {
		return 0, 0, Corrupt
	}
	if n > int64(len(b)) {
		return 0, 0, NoBatch
	}
	return int(n), magic, Good
}

// BytesOf reads the whole size of a batch from its first 12 bytes, for those who walk a file by headers. It is 0 if
// there are fewer, or if the length cannot be one.
func BytesOf(header []byte) int64 {
	if len(header) < overhead {
		return 0
	}
	n := int64(int32(binary.BigEndian.Uint32(header[atLength:]))) + overhead
	if n < HeaderBytes {
		return 0
	}
	return n
}

// ParseHeader makes a View of a header alone, for those who walk a file by headers: only accessors of header fields mean
// anything. It reports false if it is too short, not of magic 2 or has an impossible length.
func ParseHeader(b []byte) (View, bool) {
	if len(b) < HeaderBytes || b[atMagic] != Magic || BytesOf(b) == 0 {
		return nil, false
	}
	return View(b[:HeaderBytes:HeaderBytes]), true
}

func (v View) i16(at int) int16 { return int16(binary.BigEndian.Uint16(v[at:])) }
func (v View) i32(at int) int32 { return int32(binary.BigEndian.Uint32(v[at:])) }
func (v View) i64(at int) int64 { return int64(binary.BigEndian.Uint64(v[at:])) }

// Size is the size of the whole batch as its header says it.
func (v View) Size() int { return int(v.i32(atLength)) + overhead }

// BaseOffset is the offset of the first record that the batch had when it was built; compaction may have removed it.
func (v View) BaseOffset() core.Offset { return core.Offset(v.i64(0)) }

// LastOffset is the offset of the last record that the batch had when it was built.
func (v View) LastOffset() core.Offset { return v.BaseOffset() + core.Offset(v.LastDelta()) }

// LeaderEpoch is the epoch of the leader that took the batch.
func (v View) LeaderEpoch() core.Epoch { return core.Epoch(v.i32(atLeaderEpoch)) }

// Magic is the batch's format.
func (v View) Magic() int8 { return int8(v[atMagic]) }

// CRC is the checksum that the header holds.
func (v View) CRC() uint32 { return binary.BigEndian.Uint32(v[atCRC:]) }

// Attributes are the flags below and the codec.
func (v View) Attributes() int16 { return v.i16(atAttributes) }

// Codec says how the records are compressed. It may name none that exists.
func (v View) Codec() Codec { return Codec(v[atAttributes+1] & codecMask) }

// IsControl reports whether the batch speaks to the broker or client, not to the application.
func (v View) IsControl() bool { return v[atAttributes+1]&controlBit != 0 }

// IsTransactional reports whether the batch belongs to a transaction.
func (v View) IsTransactional() bool { return v[atAttributes+1]&transactionalBit != 0 }

// AppendTime reports whether all records have the batch's maximum as their timestamp, as set by the broker.
func (v View) AppendTime() bool { return v[atAttributes+1]&appendTimeBit != 0 }

// HasDeleteHorizon reports whether BaseTimestamp is the instant after which compaction may drop the batch's
// tombstones and markers (KIP-534).
func (v View) HasDeleteHorizon() bool { return v[atAttributes+1]&deleteHorizonBit != 0 }

// LastDelta is the last offset's distance from the base.
func (v View) LastDelta() int32 { return v.i32(atLastDelta) }

// BaseTimestamp is what the records' timestamps are relative to.
func (v View) BaseTimestamp() int64 { return v.i64(atBaseTime) }

// MaxTimestamp is the greatest timestamp of the batch's records.
func (v View) MaxTimestamp() int64 { return v.i64(atMaxTime) }

// ProducerID is -1 without an idempotent producer.
func (v View) ProducerID() int64 { return v.i64(atProducer) }

// ProducerEpoch is -1 without an idempotent producer.
func (v View) ProducerEpoch() int16 { return v.i16(atEpoch) }

// BaseSequence is -1 without an idempotent producer.
func (v View) BaseSequence() int32 { return v.i32(atSequence) }

// LastSequence is the sequence of the last record; it wraps from 2^31-1 to 0.
func (v View) LastSequence() int32 {
	if v.BaseSequence() < 0 {
		return -1
	}
	return AddSequence(v.BaseSequence(), v.LastDelta())
}

// AddSequence advances a producer's sequence, which wraps from 2^31-1 to 0.
func AddSequence(seq, by int32) int32 {
	if seq > maxSequence-by {
		return by - (maxSequence - seq) - 1
	}
	return seq + by
}

// Count is the number of records.
func (v View) Count() int32 { return v.i32(atCount) }

// Payload is what follows the header: the records, compressed by Codec.
func (v View) Payload() []byte { return v[HeaderBytes:] }

// SetBaseOffset places the batch in a log. The checksum leaves it out.
func (v View) SetBaseOffset(o core.Offset) { binary.BigEndian.PutUint64(v, uint64(o)) }

// SetLeaderEpoch says who took the batch. The checksum leaves it out.
func (v View) SetLeaderEpoch(e core.Epoch) { binary.BigEndian.PutUint32(v[atLeaderEpoch:], uint32(e)) }

// SetAppendTime gives every record the broker's time.
func (v View) SetAppendTime(ts int64) { v.stamp(v[atAttributes+1]|appendTimeBit, ts) }

// SetMaxTimestamp corrects the greatest timestamp.
func (v View) SetMaxTimestamp(ts int64) { v.stamp(v[atAttributes+1], ts) }

// ClearAppendTime gives the records their own timestamps back, whose greatest is max.
func (v View) ClearAppendTime(max int64) { v.stamp(v[atAttributes+1]&^appendTimeBit, max) }

// stamp writes the low byte of the attributes and the greatest timestamp, and the checksum if that changed a thing.
func (v View) stamp(attributes byte, max int64) {
	if v[atAttributes+1] == attributes && v.MaxTimestamp() == max {
		return
	}
	v[atAttributes+1] = attributes
	binary.BigEndian.PutUint64(v[atMaxTime:], uint64(max))
	v.seal()
}

// seal writes the checksum.
func (v View) seal() { binary.BigEndian.PutUint32(v[atCRC:], checksum(v)) }

// CheckCRC reports whether the checksum matches the bytes.
func (v View) CheckCRC() bool { return checksum(v) == v.CRC() }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(v View) uint32 { return crc32.Checksum(v[atAttributes:], castagnoli) }
