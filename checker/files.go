package checker

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// This file reads segment files by itself, for the checks that compare what is on a disk with what must be there.

// Batch is one record batch of a segment file.
type Batch struct {
	Position      int64
	Size          int64
	Base, Last    int64
	Epoch         int32
	MaxTimestamp  int64
	ProducerID    int64
	ProducerEpoch int16
	FirstSequence int32
	Count         int32
	Sum           uint32 // the CRC as stored
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ReadSegment walks the bytes of a .log file. It stops at the first batch that is cut short or damaged, and says where and why.
func ReadSegment(b []byte) (batches []Batch, end int64, fault string) {
	for pos := int64(0); pos < int64(len(b)); {
		rest := b[pos:]
		if len(rest) < 61 {
			return batches, pos, "cut short in a header"
		}
		size := int64(int32(binary.BigEndian.Uint32(rest[8:]))) + 12
		switch {
		case size < 61:
			return batches, pos, "a length that cannot be one"
		case size > int64(len(rest)):
			return batches, pos, "cut short in a batch"
		case rest[16] != 2:
			return batches, pos, "magic is not 2"
		case crc32.Checksum(rest[21:size], castagnoli) != binary.BigEndian.Uint32(rest[17:]):
			return batches, pos, "checksum"
		}
		base := int64(binary.BigEndian.Uint64(rest))
		batches = append(batches, Batch{
			Position: pos, Size: size, Base: base,
			Last:          base + int64(int32(binary.BigEndian.Uint32(rest[23:]))),
			Epoch:         int32(binary.BigEndian.Uint32(rest[12:])),
			MaxTimestamp:  int64(binary.BigEndian.Uint64(rest[35:])),
			ProducerID:    int64(binary.BigEndian.Uint64(rest[43:])),
			ProducerEpoch: int16(binary.BigEndian.Uint16(rest[51:])),
			FirstSequence: int32(binary.BigEndian.Uint32(rest[53:])),
			Count:         int32(binary.BigEndian.Uint32(rest[57:])),
			Sum:           binary.BigEndian.Uint32(rest[17:]),
		})
		pos += size
	}
	return batches, int64(len(b)), ""
}

// Segment is one segment file by its base offset, with its index files; an index may be absent (nil).
type Segment struct {
	Base             int64
	Log              []byte
	Index, TimeIndex []byte
}

// CheckSegments looks at the files of one partition as a clean stop left them: order of offsets (I01), tiling (I02),
// epochs that never fall (I05, I23), and indexes that point at batches that exist (I04).
func CheckSegments(p Partition, segments []Segment) (found []Violation) {
	fail := func(id, format string, args ...any) {
		if len(found) < violationsMax {
			found = append(found, Violation{id, p.String(), fmt.Sprintf(format, args...)})
		}
	}
	next, epoch := int64(-1), int32(-1)
	for i, s := range segments {
		if i > 0 && s.Base <= segments[i-1].Base {
			fail("I02", "segment %d follows segment %d", s.Base, segments[i-1].Base)
		}
		if next > s.Base {
			fail("I02", "segment %d begins below the end %d of the one before", s.Base, next)
		}
		batches, _, fault := ReadSegment(s.Log)
		if fault != "" {
			fail("I06", "segment %d: %s after %d batches", s.Base, fault, len(batches))
		}
		for j, b := range batches {
			begins := i+j == 0 && b.Base < s.Base && b.Last >= s.Base // a copy that began at the leader's log start, inside of a batch
			if b.Base < next || b.Base < s.Base && !begins || b.Last < b.Base {
				fail("I01", "segment %d: batch %d to %d where %d was due", s.Base, b.Base, b.Last, next)
			}
			if b.Epoch < epoch {
				fail("I23", "segment %d: batch %d has epoch %d after %d", s.Base, b.Base, b.Epoch, epoch)
			}
			next, epoch = b.Last+1, b.Epoch
		}
		checkIndexes(s, batches, fail)
	}
	return found
}

// CheckEpochs compares the content of a leader-epoch-checkpoint, as a clean stop left it, with the batches of the
// segments from the log start on (I05): an entry for each epoch of a batch, at the epoch's first offset there, and
// at most one more, of an epoch that has no batch yet, at the end. Where the log was compacted, the file may know of epochs whose batches are
// all gone, and of a first offset whose batch is; but none that is at or below a batch of an earlier epoch.
func CheckEpochs(p Partition, segments []Segment, file []byte, start int64, compacted bool) (found []Violation) {
	type entry struct {
		epoch int32
		start int64
	}
	var want, have []entry
	end, inside := start, int64(-1) // the base of a batch that the log starts inside of
	for _, s := range segments {
		batches, _, _ := ReadSegment(s.Log)
		for _, b := range batches {
			end = max(end, b.Last+1)
			if b.Base < start && b.Last >= start && b.Base < s.Base {
				inside = b.Base
			}
			if n := len(want); b.Last >= start && b.Epoch >= 0 && (n == 0 || b.Epoch > want[n-1].epoch) {
				want = append(want, entry{b.Epoch, max(b.Base, start)})
			}
		}
	}
	for i, line := range strings.Split(string(file), "\n") {
		var e entry
		if n, err := fmt.Sscan(line, &e.epoch, &e.start); i >= 2 && n == 2 && err == nil {
			have = append(have, e)
		}
	}
	if compacted {
		return checkCompactedEpochs(p, segments, start, func(epoch int32) (at int64, known bool) {
			for _, e := range have {
				if e.epoch == epoch {
					return e.start, true
				}
			}
			return 0, false
		})
	}
	got := have
	if n := len(have); n == len(want)+1 && have[n-1].start == end {
		got = have[:n-1]
	}
	if len(got) > 0 && len(want) > 0 && got[0].start == inside && want[0].start == start {
		got[0].start = start // a copy that began there has the whole batch, and takes its epoch from its base
	}
	if !slices.Equal(got, want) {
		found = append(found, Violation{"I05", p.String(), fmt.Sprintf("the epoch file says %v, the batches from %d to %d say %v", have, start, end, want)})
	}
	return found
}

func checkCompactedEpochs(p Partition, segments []Segment, start int64, begins func(epoch int32) (int64, bool)) (found []Violation) {
	last, epoch := int64(-1), int32(-1) // of the batches so far
	for _, s := range segments {
		batches, _, _ := ReadSegment(s.Log)
		for _, b := range batches {
			if b.Last >= start && b.Epoch > epoch {
				at, known := begins(b.Epoch)
				if !known || at > max(b.Base, start) || at <= last && at > start {
					found = append(found, Violation{"I05", p.String(), fmt.Sprintf("epoch %d of the batch at %d is said to begin at %d (known: %v); the batches before end at %d", b.Epoch, b.Base, at, known, last)})
				}
			}
			last, epoch = b.Last, max(epoch, b.Epoch)
		}
	}
	return found
}

func checkIndexes(s Segment, batches []Batch, fail func(id, format string, args ...any)) {
	at := map[int64]Batch{}
	for _, b := range batches {
		at[b.Position] = b
	}
	lastOffset, lastPosition := int64(-1), int64(-1)
	for e := s.Index; len(e) >= 8; e = e[8:] {
		offset, pos := s.Base+int64(int32(binary.BigEndian.Uint32(e))), int64(int32(binary.BigEndian.Uint32(e[4:])))
		if b, ok := at[pos]; !ok || offset < b.Base || offset > b.Last {
			fail("I04", "segment %d: index says that offset %d is at %d", s.Base, offset, pos)
		}
		if offset <= lastOffset || pos <= lastPosition {
			fail("I04", "segment %d: index entries do not rise at offset %d", s.Base, offset)
		}
		lastOffset, lastPosition = offset, pos
	}
	lastStamp, lastOffset := int64(-1), int64(-1)
	for e := s.TimeIndex; len(e) >= 12; e = e[12:] {
		stamp, offset := int64(binary.BigEndian.Uint64(e)), s.Base+int64(int32(binary.BigEndian.Uint32(e[8:])))
		if stamp <= lastStamp && lastStamp >= 0 || offset < lastOffset {
			fail("I04", "segment %d: time index entries do not rise at offset %d", s.Base, offset)
		}
		for _, b := range batches {
			if b.Base > offset {
				break
			}
			if b.Last <= offset && b.MaxTimestamp > stamp {
				fail("I04", "segment %d: time index says %d up to offset %d, but batch %d has %d", s.Base, stamp, offset, b.Base, b.MaxTimestamp)
				break
			}
		}
		lastStamp, lastOffset = stamp, offset
	}
}

// CheckRecovered compares a log after a restart with what the oracle knows (I12, I06): every byte that was durable is
// there, and what is there is a prefix of what was written. before and after list (base offset, stored checksum, size) by offset.
func CheckRecovered(p Partition, before, after []Batch, start, durable int64) (found []Violation) {
	fail := func(id, format string, args ...any) {
		found = append(found, Violation{id, p.String(), fmt.Sprintf(format, args...)})
	}
	i := 0
	for i < len(before) && before[i].Last < start {
		i++
	}
	end := start
	for j, b := range after {
		if b.Last < start {
			continue
		}
		if i == len(before) || before[i].Base != b.Base || before[i].Sum != b.Sum || before[i].Size != b.Size {
			fail("I12", "batch %d at offset %d was not written like this, or not here", j, b.Base)
			return found
		}
		end = b.Last + 1
		i++
	}
	if end < durable {
		fail("I12", "the log ends at %d after the restart; %d was durable", end, durable)
	}
	return found
}
