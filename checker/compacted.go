package checker

import (
	"fmt"
	"slices"
)

// CompactedLog is what is known of one partition of a compacted topic, at the end of a run.
type CompactedLog struct {
	Partition Partition
	Records   []KeyedRecord // every one whose offset is known and that must stand there unless the cleaner removed it, by offset
	Unplaced  []KeyedRecord // those that were sent, and nobody knows where they stand, if at all
	Final     []Record      // what the audit read, by offset
	Start     int64         // below it nothing need be there
	Begun     int64         // when the audit began to read it: what was there then was there before
	Read      int64         // when the audit ended
	Retention int64         // delete.retention.ms on the clock of Read; None: it can't be told, as clocks jumped farther
	Passes    []Pass
	// Committed is what readers with read_committed got: Seen during the run, and in the end. Complete says that the latter has come to the
	// end of the log, no matter when.
	Seen, Committed []Record
	Complete        bool
	Copies          bool // each of several copies is cleaned by itself: what one has lost another may still have
}

// KeyedRecord is a record of a compacted topic.
type KeyedRecord struct {
	Offset    int64
	Value     Value
	Key       int32
	Tombstone bool
	Sent      int64 // when the client was given it
	Fate      KeyedFate
}

// KeyedFate says whether a record counts for its key.
type KeyedFate uint8

// The fates.
const (
	Counts   KeyedFate = iota // it belongs to no transaction, or to one that was committed
	Aborted                   // its transaction was not committed
	Doubtful                  // nobody was told
)

// Pass is a reader that went from one offset to another without a record in between.
type Pass struct {
	Consumer int
	From, To int64
	At       int64
}

// CheckCompacted decides what compaction may have removed. Whatever it did, a fold over what is left gives the same last value
// for each key as one over all that was ever there (I67): the last record of a key is there, or it is a tombstone, and then it was
// kept for as long as it had to be, and nothing older of the key is left (I70). A reader passes over nothing that is there when the
// audit comes (I74). Records whose transaction was aborted count for nothing, wherever they are: they take no value's place, and a reader
// with read_committed is given the last committed value of each key and none of them (I75).
func CheckCompacted(l *CompactedLog) (found []Violation) {
	fail := func(id, format string, args ...any) {
		if len(found) < violationsMax {
			found = append(found, Violation{id, l.Partition.String(), fmt.Sprintf(format, args...)})
		}
	}
	last := l.gone(l.Final, fail)
	if l.Complete {
		l.gone(l.Committed, fail)
	}
	l.dirty(fail)
	slices.SortFunc(l.Final, func(a, b Record) int { return int(a.Offset - b.Offset) })
	newest := func(offset int64) bool {
		i, ok := slices.BinarySearchFunc(l.Records, offset, func(r KeyedRecord, o int64) int { return int(r.Offset - o) })
		if !ok {
			return false
		}
		_, buried := l.tombstone(&l.Records[i])
		return l.Records[i].Fate == Counts && last[l.Records[i].Key] == offset && !buried
	}
	for _, p := range l.Passes {
		i, _ := slices.BinarySearchFunc(l.Final, p.From, func(r Record, o int64) int { return int(r.Offset - o) })
		for ; i < len(l.Final) && l.Final[i].Offset < p.To && p.At < l.Begun; i++ {
			if r := l.Final[i]; !l.Copies || newest(r.Offset) {
				fail("I74", "consumer %d went from %d to %d past offset %d, value %d, which was there later", p.Consumer, p.From, p.To, r.Offset, r.Value)
			}
		}
	}
	return found
}

// gone judges what is missing in one reader's view: the last record of each key that counts is there, or was deleted in time. It returns
// the last offset of each key that may count.
func (l *CompactedLog) gone(view []Record, fail func(id, format string, args ...any)) (last map[int32]int64) {
	there := make(map[int64]bool, len(view))
	for _, r := range view {
		there[r.Offset] = true
	}
	first := map[int32]int64{} // offsets of a key's records that are there
	last = map[int32]int64{}
	for _, r := range l.Records {
		if !there[r.Offset] || r.Fate == Aborted {
			continue
		}
		if _, ok := first[r.Key]; !ok && r.Fate == Counts {
			first[r.Key] = r.Offset
		}
		last[r.Key] = r.Offset
	}
	for _, r := range l.Records {
		if there[r.Offset] || r.Offset < l.Start || r.Fate != Counts {
			continue
		}
		if at, ok := last[r.Key]; ok && at > r.Offset {
			continue // superseded
		}
		t, buried := l.tombstone(&r)
		switch {
		case !buried:
			fail("I67", "value %d of key %d, at offset %d, is gone, and nothing newer of the key is there, nor was it deleted", r.Value, r.Key, r.Offset)
		case l.Retention != None && l.Read-t.Sent < l.Retention:
			fail("I70", "the tombstone of key %d, value %d, is gone %d after it was sent; it was to stay for %d", r.Key, t.Value, l.Read-t.Sent, l.Retention)
		}
		if at, ok := first[r.Key]; ok && buried && at >= l.Start {
			fail("I70", "the last record of key %d, at offset %d or behind, is gone, and an older one at offset %d is there", r.Key, r.Offset, at)
		}
	}
	return last
}

// dirty looks for what read_committed must not show (I75).
func (l *CompactedLog) dirty(fail func(id, format string, args ...any)) {
	aborted := map[Value]bool{}
	for _, list := range [][]KeyedRecord{l.Records, l.Unplaced} {
		for _, r := range list {
			aborted[r.Value] = r.Fate == Aborted
		}
	}
	for _, list := range [][]Record{l.Seen, l.Committed} {
		for _, r := range list {
			if aborted[r.Value] {
				fail("I75", "value %d, at offset %d, was read with read_committed, and its transaction was aborted", r.Value, r.Offset)
			}
		}
	}
}

// tombstone finds the oldest tombstone that may have superseded a record, or that it is itself.
func (l *CompactedLog) tombstone(r *KeyedRecord) (t *KeyedRecord, ok bool) {
	for _, list := range [][]KeyedRecord{l.Records, l.Unplaced} {
		for i := range list {
			x := &list[i]
			if x.Tombstone && x.Fate != Aborted && x.Key == r.Key && (x.Offset < 0 || x.Offset >= r.Offset) && (t == nil || x.Sent < t.Sent) {
				t = x
			}
		}
	}
	return t, t != nil
}
