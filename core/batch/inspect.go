package batch

// Facts is what a produce check needs to know of the records of one partition. Of a batch with a fault, only what
// Kafka would have looked at before it is set.
type Facts struct {
	Verdict      Verdict // the first fault in Kafka's order, but for the two that Refuse adds
	RecordAt     int32   // with BadRecord: the index of the record, or the count if bytes are left over; else -1
	Bytes        int     // size of the batch
	Trailing     int     // bytes behind it: the beginning of a second batch that was cut, which is ignored
	Codec        Codec
	Count        int32
	MinTimestamp int64 // least of the records' timestamps that are not -1; -1 if there is none
	MaxTimestamp int64 // greatest of the records' timestamps
	MaxAt        int32 // offset delta of the first record that has it
	KeylessAt    int32 // index of the first record without a key, or -1
	Timeless     bool  // some record has the timestamp -1
}

// inflatedFree is what a few bytes may become when they are decompressed; above it they may grow inflatedTimes.
const (
	inflatedFree  = 16 << 20
	inflatedTimes = 1000
)

// Inspect checks the records of one partition of a Produce request in every way that needs no topic's configuration:
// that there is one batch, as an ordinary producer builds it, and that its records can be read. Uncompressed ones
// cost no allocation. Four checks are stricter than Apache Kafka's: offset deltas have no holes, since a batch that
// has some would give two records one offset, or none; the length of what is null is -1 and no other negative number;
// varints have no bits that do not count; and what is decompressed has a bound.
func Inspect(records []byte) Facts {
	room := InflatedBytesMax
	return InspectWithin(records, &room)
}

// InspectWithin is Inspect for one of the many partitions of a request. Room is what all of them together may still become
// beyond inflatedTimes of their size; it shrinks by what this one did.
func InspectWithin(records []byte, room *int) Facts {
	f := Facts{RecordAt: -1, MinTimestamp: NoTimestamp, MaxTimestamp: NoTimestamp, MaxAt: -1, KeylessAt: -1}
	v, rest, is := First(records)
	if is != Good {
		f.Verdict = is
		return f
	}
	f.Bytes, f.Trailing, f.Codec, f.Count = len(v), len(rest), v.Codec(), v.Count()
	if f.Verdict = refuseHeader(v, rest); f.Verdict == Good {
		f.walk(v, room)
	}
	return f
}

// refuseHeader makes the checks that come before the records.
func refuseHeader(v View, rest []byte) Verdict {
	if len(rest) > 0 {
		switch _, _, is := frame(rest); is {
		case Good:
			return SecondBatch
		case Corrupt:
			return BadTail
		}
	}
	switch {
	case v.BaseOffset() != 0:
		return BadOffset
	case !v.CheckCRC():
		return BadCRC
	case v.Codec() >= codecCount:
		return BadCodec
	case v.Count() <= 0, int64(v.Count()) != int64(v.LastDelta())+1:
		return BadCount
	case v.IsControl():
		return ControlBatch
	case v.ProducerID() >= 0 && v.BaseSequence() < 0:
		return BadSequence
	}
	return Good
}

// walk reads the records.
func (f *Facts) walk(v View, room *int) {
	b := v.Payload()
	if f.Codec != None {
		limit := min(InflatedBytesMax, max(min(inflatedFree, *room), inflatedTimes*len(b)))
		if b, f.Verdict = Decompress(f.Codec, b, limit); f.Verdict != Good {
			*room = max(0, *room-limit) // as much as it may have taken to find out
			return
		}
		*room = max(0, *room-len(b))
	}
	base, appended, batchTime := v.BaseTimestamp(), v.AppendTime(), v.MaxTimestamp()
	var s span
	at := 0
	for i := int32(0); i < f.Count; i++ {
		if at = s.parse(b, at); at < 0 || s.delta != i {
			f.Verdict, f.RecordAt = BadRecord, i
			return
		}
		ts := base + s.time
		if appended {
			ts = batchTime
		}
		if s.keyLen < 0 && f.KeylessAt < 0 {
			f.KeylessAt = i
		}
		f.time(i, ts)
	}
	if at != len(b) {
		f.Verdict, f.RecordAt = BadRecord, f.Count
	}
}

func (f *Facts) time(delta int32, ts int64) {
	if ts == NoTimestamp {
		f.Timeless = true
	} else if f.MinTimestamp == NoTimestamp || ts < f.MinTimestamp {
		f.MinTimestamp = ts
	}
	if ts > f.MaxTimestamp {
		f.MaxTimestamp, f.MaxAt = ts, delta
	}
}

// Refuse adds the two checks that Inspect cannot make, at their place in Kafka's order: may the request's version
// carry zstd (Produce v7), and max.message.bytes.
func (f *Facts) Refuse(zstd bool, bytesMax int) Verdict {
	switch {
	case f.Verdict == NoBatch, f.Verdict == Corrupt, f.Verdict == OldMagic:
		return f.Verdict
	case f.Codec == Zstd && !zstd:
		return NewCodec
	case f.Verdict == SecondBatch, f.Verdict == BadTail, f.Verdict == BadOffset:
		return f.Verdict
	case f.Bytes > bytesMax:
		return TooLarge
	}
	return f.Verdict
}
