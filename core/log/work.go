package log

import (
	"encoding/binary"

	"klamm/core"
	"klamm/core/batch"
)

// The pieces of work of this room: pure functions of a range of a file.
const (
	workCheck     core.WorkKind = iota + 1 // recovery: headers of all whole batches, and what ended the walk
	workIndex                              // position from an .index
	workTimeIndex                          // offset from a .timeindex
	workFind                               // the batch that holds an offset
	workFindTime                           // the first record with a timestamp
	workSurvey                             // cleaning: the records of all whole batches
	workFilter                             // cleaning: what is left of them
)

// Work runs the kinds of work of this room. What it cannot make sense of has an empty result.
func Work(kind core.WorkKind, args, bytes []byte) []byte {
	if kind == workFilter {
		return filter(args, bytes)
	}
	if len(args) != 32 {
		return nil
	}
	a := int64(binary.BigEndian.Uint64(args))
	b := int64(binary.BigEndian.Uint64(args[8:]))
	c := int64(binary.BigEndian.Uint64(args[16:]))
	switch kind {
	case workCheck:
		return check(bytes, a != 0, b)
	case workIndex:
		if !soundIndex(bytes, 1<<31) {
			return nil
		}
		return binary.BigEndian.AppendUint64(nil, uint64(lookup(bytes, core.Offset(a), core.Offset(b))))
	case workTimeIndex:
		if !soundTimes(bytes) {
			return nil
		}
		return binary.BigEndian.AppendUint64(nil, uint64(lookupTime(bytes, core.Offset(a), b)))
	case workFind:
		return findOffset(bytes, core.Offset(a))
	case workFindTime:
		return findTime(bytes, a, core.Offset(b), core.Offset(c))
	case workSurvey:
		return survey(bytes, core.Offset(a), b, c != 0)
	}
	return nil
}

func workArgs(a, b, c int64) []byte {
	args := binary.BigEndian.AppendUint64(make([]byte, 0, 32), uint64(a))
	args = binary.BigEndian.AppendUint64(args, uint64(b))
	args = binary.BigEndian.AppendUint64(args, uint64(c))
	return binary.BigEndian.AppendUint64(args, 0)
}

// A result of workCheck: what ended the walk, the size that the next batch claims, and rows: the header of a batch,
// which marker of a transaction it is, if it is one, and its coordinator epoch.
const (
	checkHead = 9
	checkRow  = batch.HeaderBytes + 5
)

type ended uint8

const (
	endedClean ended = iota // at the end of the bytes, or of the rows that fit
	endedShort              // inside of a batch
	endedBad                // at bytes that are no batch, or whose checksum is wrong
)

// What kind of marker a row of workCheck tells of.
const (
	rowNoMarker = iota
	rowCommit
	rowAbort
)

func (m marker) appendRow(b []byte) []byte {
	kind := byte(rowNoMarker)
	switch {
	case m.is && m.abort:
		kind = rowAbort
	case m.is:
		kind = rowCommit
	}
	return binary.BigEndian.AppendUint32(append(b, kind), uint32(m.coordinator))
}

func parseMarkerRow(b []byte) marker {
	return marker{is: b[0] != rowNoMarker, abort: b[0] == rowAbort, coordinator: int32(binary.BigEndian.Uint32(b[1:]))}
}

// check walks batches and describes rowsMax of them at most.
func check(b []byte, crc bool, rowsMax int64) []byte {
	res := make([]byte, checkHead, checkHead+checkRow*min(64, len(b)/batch.HeaderBytes))
	how := endedClean
	for rows := int64(0); len(b) > 0 && rows < rowsMax; rows++ {
		v, rest, is := batch.First(b)
		if is == batch.NoBatch {
			how = endedShort
			binary.BigEndian.PutUint64(res[1:], uint64(max(batch.HeaderBytes, batch.BytesOf(b))))
			break
		}
		if is != batch.Good || crc && !v.CheckCRC() {
			how = endedBad
			break
		}
		m := markerOf(v)
		res = append(res, v[:batch.HeaderBytes]...)
		res = m.appendRow(res)
		b = rest
	}
	res[0] = byte(how)
	return res
}

// What a search came to.
const (
	searchFound = iota
	searchMore  // go on after the bytes walked
	searchLarge // the next batch needs a larger range
	searchBad   // no batch where one should be
)

// search is the result of workFind and workFindTime.
type search struct {
	how   uint8
	at    int64 // bytes walked: where the batch begins, or where to go on
	size  int64 // of the batch; with searchLarge what it claims
	base  core.Offset
	end   core.Offset
	ts    int64
	epoch core.Epoch
}

func (r *search) encode() []byte {
	b := append(make([]byte, 0, 45), r.how)
	for _, x := range []int64{r.at, r.size, int64(r.base), int64(r.end), r.ts} {
		b = binary.BigEndian.AppendUint64(b, uint64(x))
	}
	return binary.BigEndian.AppendUint32(b, uint32(r.epoch))
}

func parseSearch(b []byte) (r search, ok bool) {
	if len(b) != 45 {
		return r, false
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[1+8*i:])) }
	return search{b[0], at(0), at(1), core.Offset(at(2)), core.Offset(at(3)), at(4), core.Epoch(binary.BigEndian.Uint32(b[41:]))}, true
}

// walk parses the next header of a walk. It reports false for one that cannot stand there: a damaged one may claim to
// end far below the offset that is looked for, and whoever believes it goes past its records without a word.
func walk(b []byte, next *core.Offset) (batch.View, bool) {
	v, ok := batch.ParseHeader(b)
	if !ok || v.LastDelta() < 0 || v.BaseOffset() < *next {
		return nil, false
	}
	*next = v.LastOffset() + 1
	return v, true
}

// findOffset looks for the first batch that ends above o, by headers alone.
func findOffset(b []byte, o core.Offset) []byte {
	r, next := search{how: searchMore}, core.Offset(0)
	for {
		v, ok := walk(b[r.at:], &next)
		if !ok {
			if r.size = int64(batch.HeaderBytes); int64(len(b))-r.at >= batch.HeaderBytes {
				r.how = searchBad
			} else if r.at == 0 {
				r.how = searchLarge
			}
			return r.encode()
		}
		if v.LastOffset() >= o {
			r.how, r.size, r.base, r.end, r.ts = searchFound, int64(v.Size()), v.BaseOffset(), v.LastOffset()+1, v.MaxTimestamp()
			return r.encode()
		}
		if r.at += int64(v.Size()); r.at >= int64(len(b)) {
			return r.encode()
		}
	}
}

// findTime looks for the first record at or above from, below upTo, whose timestamp is not below ts.
func findTime(b []byte, ts int64, from, upTo core.Offset) []byte {
	r, next := search{how: searchMore}, core.Offset(0)
	for {
		v, ok := walk(b[r.at:], &next)
		if !ok {
			if r.size = int64(batch.HeaderBytes); int64(len(b))-r.at >= batch.HeaderBytes {
				r.how = searchBad
			} else if r.at == 0 {
				r.how = searchLarge
			}
			return r.encode()
		}
		if v.BaseOffset() >= upTo {
			r.how, r.base, r.ts, r.epoch = searchFound, -1, -1, -1
			return r.encode()
		}
		size := int64(v.Size())
		if v.MaxTimestamp() >= ts && v.LastOffset() >= from {
			if size > int64(len(b))-r.at {
				if r.size = size; r.at == 0 {
					r.how = searchLarge
				}
				return r.encode()
			}
			if found := timeIn(batch.View(b[r.at:r.at+size]), ts, from, upTo, &r); found {
				return r.encode()
			}
		}
		if r.at += size; r.at >= int64(len(b)) {
			return r.encode()
		}
	}
}

// timeIn looks into one batch.
func timeIn(v batch.View, ts int64, from, upTo core.Offset, r *search) bool {
	records, is := batch.Read(v, inflateMax)
	var rec batch.Record
	for is == batch.Good && records.Next(&rec) {
		if rec.Timestamp >= ts && rec.Offset >= from && rec.Offset < upTo {
			r.how, r.size, r.base, r.end, r.ts, r.epoch = searchFound, int64(v.Size()), rec.Offset, v.LastOffset()+1, rec.Timestamp, v.LeaderEpoch()
			return true
		}
	}
	return false
}
