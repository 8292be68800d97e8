package log

import (
	"encoding/binary"
	"math"
	"slices"
	"sort"

	"klamm/core"
	"klamm/core/batch"
)

// # A transaction in one log
//
// What a producer has going in one log, and what may come next (KIP-98, KIP-890):
//
//	none      ──transactional batch──> open       the batch is the transaction's first: txnStart
//	open      ──batch of it──> open               anything else of that producer is refused
//	open      ──marker──> ended                   an abort goes to the segment's transaction index
//	none      ──marker──> none                    it counts as a sign of life and fences older epochs, nothing more
//	ended     ──the high watermark passes the marker──> none
//	ended     ──transactional batch──> ended and open
//
// Open and ended transactions hold the last stable offset back: an open one since nobody knows how it ends, an ended
// one since its marker may yet be lost with this leader, and the coordinator might then decide otherwise.
//
// All of it is a fold of the log, made by produced alone, on leaders, followers and in recovery; a producer snapshot
// carries what is open. Of what had ended by then a snapshot says nothing. Whether those markers are below the high
// watermark is not known, so after a load the last stable offset stays at the start of the log until the high watermark
// has come to the snapshot's offset. Readers of a leader notice nothing: it answers no question about its end before.
//
// A marker is no batch of a sequence and is never refused for one. A leader refuses it only for its epochs, see
// checkMarker; a follower refuses none.

// openTxn is a transaction whose marker is not in the log.
type openTxn struct {
	first    core.Offset
	producer int64
}

// endedTxn is a transaction whose marker is not yet below the high watermark.
type endedTxn struct{ first, marker core.Offset }

// AbortedTxn is an aborted transaction, as the transaction index has it.
type AbortedTxn struct {
	ProducerID  int64
	First, Last core.Offset // of its first record, and of its marker
	Stable      core.Offset // the first offset that was undecided when it had ended: what ends later begins at or above
}

// marker is what a control batch says of a transaction.
type marker struct {
	is          bool
	abort       bool
	coordinator int32
}

// markerOf reads the marker of a whole control batch. Other control records are no business of producers.
func markerOf(v batch.View) marker {
	if !v.IsControl() || v.ProducerID() < 0 || len(v) <= batch.HeaderBytes {
		return marker{}
	}
	r, is := batch.Read(v, controlMax)
	var rec batch.Record
	if is != batch.Good || !r.Next(&rec) {
		return marker{}
	}
	t, ok := batch.ParseControlKey(rec.Key)
	if !ok || t != batch.Abort && t != batch.Commit {
		return marker{}
	}
	epoch, ok := batch.ParseMarker(rec.Value)
	return marker{is: ok, abort: t == batch.Abort, coordinator: int32(epoch)}
}

// MarkerFacts is what a transaction coordinator says of the end of a transaction.
type MarkerFacts struct {
	ProducerID       int64
	ProducerEpoch    int16
	CoordinatorEpoch int32
	Commit           bool
	Version          int8  // transaction.version; from 2 on the epoch is above that of the transaction's batches (KIP-890)
	Timestamp        int64 // ms
}

// CheckMarker says whether a marker may be appended: MarkerEpoch if the producer has gone on to an epoch that the
// marker does not know of, CoordinatorFenced if a newer coordinator has written one. A marker of version 2 is of a
// higher epoch than what it ends, or it is the repeat of one that ended it; at the greatest epoch there is no higher.
func (l *Log) CheckMarker(m *MarkerFacts) AppendError {
	i, known := l.producer(m.ProducerID)
	if !known {
		return AppendOK
	}
	p := l.producers[i]
	late := m.ProducerEpoch < p.epoch
	if m.Version >= 2 && m.ProducerEpoch == p.epoch {
		late = p.txnStart >= 0 && m.ProducerEpoch != math.MaxInt16
	}
	switch {
	case late:
		return MarkerEpoch
	case m.CoordinatorEpoch < p.coordinator:
		return CoordinatorFenced
	}
	return AppendOK
}

// AppendMarker appends the marker that ends a transaction, as the leader of epoch, and returns its offset.
func (s *Store) AppendMarker(now core.Now, id LogID, m MarkerFacts, epoch core.Epoch, out *core.Out) (core.Offset, AppendError) {
	l, err := s.appendable(id)
	if err != AppendOK {
		return -1, err
	}
	if err = l.CheckMarker(&m); err != AppendOK {
		return -1, err
	}
	end := batch.Abort
	if m.Commit {
		end = batch.Commit
	}
	o := batch.Options{AppendTime: l.cfg.AppendTime, Producer: &batch.Producer{ID: m.ProducerID, Epoch: m.ProducerEpoch, Sequence: -1}}
	v := batch.Marker(0, o, end, core.Epoch(m.CoordinatorEpoch), m.Timestamp)
	return s.Append(now, id, v, epoch, out)
}

// LastStable is the first offset that is undecided, as far as the high watermark goes: below it every transaction has
// ended, and its marker is below the high watermark too.
func (l *Log) LastStable() core.Offset {
	stable := l.high
	if len(l.open) > 0 {
		stable = min(stable, l.open[0].first)
	}
	if len(l.ended) > 0 {
		stable = min(stable, l.ended[0].first)
	}
	return max(stable, l.start)
}

// OpenTransaction is the first offset of a producer's open transaction.
func (l *Log) OpenTransaction(producer int64) (first core.Offset, open bool) {
	if i, known := l.producer(producer); known && l.producers[i].txnStart >= 0 {
		return l.producers[i].txnStart, true
	}
	return -1, false
}

// Aborted lists the aborted transactions that a reader of the records in [from, to) has to leave out, by where they
// ended. It reports false if there are more than most.
func (l *Log) Aborted(from, to core.Offset, most int) (list []AbortedTxn, all bool) {
	if len(l.segs) == 0 {
		return nil, true
	}
	for _, g := range l.segs[l.at(from):] {
		i := sort.Search(len(g.aborts), func(i int) bool { return g.aborts[i].Last >= from })
		for _, a := range g.aborts[i:] {
			if a.First < to {
				if len(list) == most {
					return list, false
				}
				list = append(list, a)
			}
			if a.Stable >= to {
				return list, true
			}
		}
	}
	return list, true
}

// begun notes that a producer's transaction begins.
func (l *Log) begun(p *producer, first core.Offset) {
	p.txnStart = first
	l.open = append(l.open, openTxn{first, p.id})
}

// endedAt notes that a marker ends a producer's transaction, if it has one. An abort is returned for the index.
func (l *Log) endedAt(p *producer, at core.Offset, m marker) (a AbortedTxn, aborted bool) {
	first := p.txnStart
	if p.txnStart = -1; first < 0 {
		return a, false
	}
	i, found := slices.BinarySearchFunc(l.open, openTxn{first, p.id}, openTxn.compare)
	core.Must(found, "the transaction of a producer is among the open ones")
	l.open = slices.Delete(l.open, i, i+1)
	if at >= l.high {
		// What began later and ended earlier holds nothing back that this one does not.
		for n := len(l.ended); n > 0 && l.ended[n-1].first >= first; n-- {
			l.ended = l.ended[:n-1]
		}
		l.ended = append(l.ended, endedTxn{first, at})
	}
	if !m.abort {
		return a, false
	}
	a = AbortedTxn{ProducerID: p.id, First: first, Last: at, Stable: at + 1}
	if len(l.open) > 0 {
		a.Stable = l.open[0].first
	}
	return a, true
}

func (t openTxn) compare(u openTxn) int {
	switch {
	case t.first != u.first:
		if t.first < u.first {
			return -1
		}
		return 1
	case t.producer != u.producer:
		if t.producer < u.producer {
			return -1
		}
		return 1
	}
	return 0
}

// settleTxns forgets the ended transactions whose markers are below the high watermark.
func (l *Log) settleTxns() {
	n := 0
	for n < len(l.ended) && l.ended[n].marker < l.high {
		n++
	}
	if n > 0 {
		l.ended = append(l.ended[:0], l.ended[n:]...)
	}
}

// adopt takes the producers of a snapshot at an offset.
func (l *Log) adopt(ps []*producer, at core.Offset) {
	l.forgetProducers()
	l.producers = ps
	marked := false
	for _, p := range ps {
		marked = marked || p.coordinator >= 0
		if p.txnStart >= 0 {
			l.open = append(l.open, openTxn{p.txnStart, p.id})
		}
	}
	slices.SortFunc(l.open, openTxn.compare)
	if marked { // of what ended near the snapshot nothing is known
		l.ended = append(l.ended, endedTxn{first: 0, marker: at - 1})
	}
}

func (l *Log) forgetProducers() { l.producers, l.open, l.ended, l.guards = nil, nil, nil, nil }

// The transaction index: a row for each abort whose marker is in the segment. It has no checksum.
const txnEntry = 34

func formatTxnIndex(list []AbortedTxn) []byte {
	b := make([]byte, 0, txnEntry*len(list))
	for _, a := range list {
		b = append(b, 0, 0)
		for _, x := range [...]int64{a.ProducerID, int64(a.First), int64(a.Last), int64(a.Stable)} {
			b = binary.BigEndian.AppendUint64(b, uint64(x))
		}
	}
	return b
}

// parseTxnIndex reads the transaction index of the segment [base, end). It reports false for one that cannot be.
func parseTxnIndex(b []byte, base, end core.Offset) ([]AbortedTxn, bool) {
	if len(b)%txnEntry != 0 {
		return nil, false
	}
	list := make([]AbortedTxn, 0, len(b)/txnEntry)
	last := AbortedTxn{Last: base - 1}
	for ; len(b) > 0; b = b[txnEntry:] {
		at := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[2+8*i:])) }
		a := AbortedTxn{ProducerID: at(0), First: core.Offset(at(1)), Last: core.Offset(at(2)), Stable: core.Offset(at(3))}
		sound := a.ProducerID >= 0 && a.First >= 0 && a.First < a.Last && a.Last > last.Last && a.Last < end && a.Stable >= last.Stable
		if binary.BigEndian.Uint16(b) != 0 || !sound {
			return nil, false
		}
		list, last = append(list, a), a
	}
	return list, true
}
