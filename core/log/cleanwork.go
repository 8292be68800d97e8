package log

import (
	"bytes"
	"encoding/binary"

	"klamm/core"
	"klamm/core/batch"
)

// The work of the cleaner: pure functions of a range of a segment. A survey describes the records of a range, by the hashes of
// their keys; the machine, which has the map of keys, decides about each; a filter writes the batches that come of it.

// A survey: how the walk ended, the size that the next batch claims, the bytes that were walked, and then, for each batch, its
// header, what kind of marker it is, the count of the rows that follow, and a row for each of its records: the distance of its
// offset from the base, its flags and the hash of its key.
const (
	surveyHead  = 17
	surveyBatch = batch.HeaderBytes + 5
	surveyRow   = 5 + keyHashBytes
)

// What a row says of a record.
const (
	rowKey       = 1 << iota // it has a key
	rowTombstone             // it has no value
)

// What a survey says of a control batch; 0 for batches of data.
const (
	controlOther  = 1 + iota // it is about something else than a transaction, or empty of records and not known to be a marker
	controlAbort             // the marker of a transaction that was aborted
	controlCommit            // … or committed
	controlEmpty             // its record was cleaned away
)

// surveyed is one batch of a survey.
type surveyed struct {
	head    batch.View // its header alone
	control byte
	rows    []byte
}

func (b *surveyed) count() int { return len(b.rows) / surveyRow }

// row reads the i-th record of a batch.
func (b *surveyed) row(i int) (at core.Offset, flags byte, h keyHash) {
	r := b.rows[i*surveyRow:]
	return b.head.BaseOffset() + core.Offset(int32(binary.BigEndian.Uint32(r))), r[4],
		keyHash{binary.BigEndian.Uint64(r[5:]), binary.BigEndian.Uint64(r[13:])}
}

// survey walks the whole batches of b and describes their records. It ends after the batch with which there are rowsMax rows.
// Of records below from, and of those without a key if keyed is set, nothing is said.
func survey(b []byte, from core.Offset, rowsMax int64, keyed bool) []byte {
	res := make([]byte, surveyHead, surveyHead+len(b)/2)
	how, need, walked, rows := endedClean, int64(0), int64(0), int64(0)
	for len(b) > 0 && rows < rowsMax {
		v, rest, is := batch.First(b)
		if is == batch.NoBatch {
			how, need = endedShort, int64(max(batch.HeaderBytes, batch.BytesOf(b)))
			break
		}
		if is != batch.Good || !v.CheckCRC() {
			how = endedBad
			break
		}
		n := int64(0)
		if res, n, is = surveyOne(res, v, from, keyed); is != batch.Good {
			how = endedBad
			break
		}
		rows, walked, b = rows+n+1, walked+int64(v.Size()), rest
	}
	res[0] = byte(how)
	binary.BigEndian.PutUint64(res[1:], uint64(need))
	binary.BigEndian.PutUint64(res[9:], uint64(walked))
	return res
}

func surveyOne(res []byte, v batch.View, from core.Offset, keyed bool) (out []byte, n int64, is batch.Verdict) {
	res = append(res, v[:batch.HeaderBytes]...)
	res = append(res, controlOf(v), 0, 0, 0, 0)
	at := len(res) - 4
	if v.IsControl() {
		return res, 0, batch.Good
	}
	records, is := batch.Read(v, inflateMax)
	var rec batch.Record
	for records.Next(&rec) {
		if rec.Offset < from || keyed && rec.Key == nil {
			continue
		}
		flags, h := byte(0), keyHash{}
		if rec.Key != nil {
			flags, h = rowKey, hashKey(rec.Key)
		}
		if rec.Value == nil {
			flags |= rowTombstone
		}
		res = binary.BigEndian.AppendUint32(res, uint32(rec.Offset-v.BaseOffset()))
		res = append(res, flags)
		res = binary.BigEndian.AppendUint64(res, h[0])
		res = binary.BigEndian.AppendUint64(res, h[1])
		n++
	}
	if is == batch.Good {
		is = records.Err()
	}
	binary.BigEndian.PutUint32(res[at:], uint32(n))
	return res, n, is
}

func controlOf(v batch.View) byte {
	if !v.IsControl() {
		return 0
	}
	if v.Count() == 0 {
		return controlEmpty
	}
	r, is := batch.Read(v, controlMax)
	var rec batch.Record
	if is != batch.Good || !r.Next(&rec) {
		return controlOther
	}
	switch t, ok := batch.ParseControlKey(rec.Key); {
	case ok && t == batch.Abort:
		return controlAbort
	case ok && t == batch.Commit:
		return controlCommit
	}
	return controlOther
}

// parseSurvey reads the head of a survey and returns what follows.
func parseSurvey(b []byte) (how ended, need, walked int64, rest []byte, ok bool) {
	if len(b) < surveyHead {
		return 0, 0, 0, nil, false
	}
	return ended(b[0]), int64(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint64(b[9:])), b[surveyHead:], true
}

// nextSurveyed reads the next batch of a survey.
func nextSurveyed(b []byte) (x surveyed, rest []byte, ok bool) {
	if len(b) < surveyBatch {
		return x, nil, false
	}
	x.head, x.control = batch.View(b[:batch.HeaderBytes]), b[batch.HeaderBytes]
	n := int(binary.BigEndian.Uint32(b[batch.HeaderBytes+1:])) * surveyRow
	b = b[surveyBatch:]
	core.Must(n <= len(b), "a survey has the rows that it counts")
	x.rows = b[:n]
	return x, b[n:], true
}

// Verdicts about a batch: the arguments of a filter, one after the other, each behind the batch's base offset (8) and checksum (4), since the filter
// reads the range anew, and a read may come from another place.
const (
	verdictDrop  = iota // nothing is left of it
	verdictKeep         // it stays as it is
	verdictShell        // its header stays, without records
	verdictStamp        // all of it stays, with 8 bytes of delete horizon
	verdictPart         // some records stay: 8 bytes of delete horizon (-1: as it is), 4 of the count of rows, a bit for each
)

const verdictHead = 12

func verdictFor(verdicts []byte, v batch.View) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(verdicts, uint64(v.BaseOffset())), v.CRC())
}

// How a filter went: the first byte of its result.
const (
	filterBad    = iota // there is a batch that cannot be read; likewise if the result is empty
	filterGood          // what is left follows
	filterAstray        // the batches are not those of the verdicts
)

// filter writes what is left of the batches of b.
func filter(verdicts, b []byte) []byte {
	res := append(make([]byte, 0, len(b)+1), filterBad)
	for len(verdicts) > 0 {
		v, rest, is := batch.First(b)
		if is != batch.Good || len(verdicts) <= verdictHead || !bytes.Equal(verdictFor(nil, v), verdicts[:verdictHead]) || !v.CheckCRC() {
			return []byte{filterAstray}
		}
		verdicts = verdicts[verdictHead:]
		verdict := verdicts[0]
		b, verdicts = rest, verdicts[1:]
		switch verdict {
		case verdictKeep:
			res = append(res, v...)
		case verdictShell:
			res = append(res, batch.Shell(v)...)
		case verdictStamp:
			if len(verdicts) < 8 {
				return nil
			}
			w, ok := batch.Keep(v, int64(binary.BigEndian.Uint64(verdicts)), inflateMax, nil)
			if !ok {
				return nil
			}
			res, verdicts = append(res, w...), verdicts[8:]
		case verdictPart:
			if len(verdicts) < 12 {
				return nil
			}
			horizon, n := int64(binary.BigEndian.Uint64(verdicts)), int(binary.BigEndian.Uint32(verdicts[8:]))
			if verdicts = verdicts[12:]; len(verdicts) < (n+7)/8 {
				return nil
			}
			keep := verdicts[:(n+7)/8]
			verdicts = verdicts[len(keep):]
			w, ok := batch.Keep(v, horizon, inflateMax, keep)
			if !ok {
				return nil
			}
			res = append(res, w...)
		}
	}
	res[0] = filterGood
	return res
}
