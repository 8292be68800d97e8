package log

import (
	"slices"
	"sort"

	"klamm/core"
	"klamm/core/batch"
)

// # A transaction that was copied in part
//
// A copy takes what its leader has now, and a leader's log is cleaned: of a transaction that a copy has begun to take, the leader may have
// removed everything meanwhile, its marker at the end (KIP-534). The copy would be left with records that nothing ends. It would
// show them, as soon as it leads and that producer commits something else, or hold readers back at them for ever. Apache Kafka has this hole: there a copy has
// delete.retention.ms to fetch the marker.
//
// Two facts close it. Nothing at or above the last stable offset is cleaned, so that offsets which are missing above a transaction's first one
// tell that it is decided. And a marker stays for as long as one batch of its transaction stands in front of it (cleanTxns). So when
// what a leader has sent leaves something out behind a transaction that is open here (Unended), its log is asked for that transaction's first batch
// (OpenFrom, Confirm). If that is there still, so was the marker when the answer was read: it is not what was left out. If it is gone, the marker may be: then this
// copy is cut back to that batch, and takes what the leader has of it, or that there is nothing any more.
//
// Such a copy counts for nothing: a log is cleaned below its high watermark only, below which every member of the in-sync set, and whoever is eligible to lead,
// has all.

// Gap is a range of offsets in which a leader has sent no batch, or the shell of a marker.
type Gap struct{ From, To core.Offset }

// GapsMax bounds the gaps that Unended tells.
const GapsMax = 512

// Unended walks over batches that go on at the log's end. It returns how many bytes of them can be appended, and the gaps behind which a
// transaction of the log may have lost its marker, GapsMax at most: what follows the first of them that is not in sure cannot be. sure is what an earlier Unended told of
// the same place, and Confirm has confirmed since.
func (l *Log) Unended(b []byte, sure []Gap) (n int, gaps []Gap) {
	if len(l.open) == 0 {
		return len(b), nil
	}
	open := make([]int64, len(l.open))
	for i, t := range l.open {
		open[i] = t.producer
	}
	slices.Sort(open)
	next, at, whole := l.end, 0, true
	for len(open) > 0 && len(gaps) < GapsMax {
		v, _, is := batch.First(b[at:])
		if is != batch.Good {
			break
		}
		gap := Gap{next, v.BaseOffset()}
		i, ends := slices.BinarySearch(open, v.ProducerID())
		if ends = ends && v.IsControl(); ends && v.Count() == 0 { // it was a marker: nobody knows which
			gap.To = v.LastOffset() + 1
		}
		if gap.To > gap.From {
			gaps = append(gaps, gap)
			whole = whole && slices.Contains(sure, gap)
		}
		if ends && markerOf(v).is {
			open = slices.Delete(open, i, i+1)
		}
		next, at = v.LastOffset()+1, at+v.Size()
		if whole {
			n = at
		}
	}
	if whole && len(gaps) < GapsMax {
		return len(b), gaps
	}
	return n, gaps
}

// OpenFrom is the first offset, at or above from, at which a transaction begins that is open.
func (l *Log) OpenFrom(from core.Offset) (first core.Offset, ok bool) {
	if i := l.openAt(from); i < len(l.open) {
		return l.open[i].first, true
	}
	return -1, false
}

func (l *Log) openAt(from core.Offset) int {
	return sort.Search(len(l.open), func(i int) bool { return l.open[i].first >= from })
}

// Confirm looks for the first batches of open transactions among those of the leader's that were read at from. to is where these end; from if there
// is none. lost is where the first transaction begins, in between, of which the leader has the first batch no more; -1 if there is none.
func (l *Log) Confirm(b []byte, from core.Offset) (to, lost core.Offset) {
	to = from
	i := l.openAt(from)
	for at := 0; ; {
		v, _, is := batch.First(b[at:])
		if is != batch.Good || !v.CheckCRC() || v.LastOffset() < to {
			return to, -1
		}
		if i < len(l.open) && l.open[i].first == v.BaseOffset() && l.open[i].producer == v.ProducerID() && v.IsTransactional() && !v.IsControl() {
			i++
		}
		if to, at = v.LastOffset()+1, at+v.Size(); i < len(l.open) && l.open[i].first < to {
			return to, l.open[i].first
		}
	}
}
