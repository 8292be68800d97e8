package log

import (
	"slices"

	"klamm/core"
)

// cleanTxns follows the transactions of a log while a clean walks over it from its beginning. All of them are decided, as nothing at
// or above the last stable offset is cleaned, so that the transaction indexes tell beforehand which batches are of an aborted one:
// those go at once, whatever their keys. A marker goes when no batch of its transaction is left in front of it, and its
// delete horizon has passed (KIP-534): a reader that has seen a batch has to find the marker.
//
// Invariants: aborted is sorted by first offset, and its first next ones have begun; open has one row for each producer of whose
// transaction a batch, or an abort, has come, and no marker yet; sorted by producer.
type cleanTxns struct {
	aborted []AbortedTxn
	next    int
	open    []cleanTxn
}

type cleanTxn struct {
	producer int64
	aborted  bool
	seen     bool // a batch of it is there
	txn      AbortedTxn
}

// newCleanTxns gathers the aborted transactions of a log from the segment that holds an offset on: a marker may be far behind the
// records that it ends.
func (l *Log) newCleanTxns(from core.Offset) cleanTxns {
	var t cleanTxns
	for _, g := range l.segs[l.at(from):] {
		t.aborted = append(t.aborted, g.aborts...)
	}
	slices.SortStableFunc(t.aborted, func(a, b AbortedTxn) int { return int(a.First - b.First) })
	return t
}

func (t *cleanTxns) find(producer int64) (int, bool) {
	return slices.BinarySearchFunc(t.open, producer, func(x cleanTxn, id int64) int {
		switch {
		case x.producer < id:
			return -1
		case x.producer > id:
			return 1
		}
		return 0
	})
}

// pass takes in the aborted transactions that begin at or below an offset. A producer's next one begins after its last one's marker, so
// one whose marker lies below what is being read (a cleaned log) makes room.
func (t *cleanTxns) pass(to core.Offset) {
	for ; t.next < len(t.aborted) && t.aborted[t.next].First <= to; t.next++ {
		a := t.aborted[t.next]
		i, there := t.find(a.ProducerID)
		switch {
		case !there:
			t.open = slices.Insert(t.open, i, cleanTxn{producer: a.ProducerID, aborted: true, txn: a})
		case t.open[i].aborted && t.open[i].txn.Last < a.First || !t.open[i].aborted:
			t.open[i] = cleanTxn{producer: a.ProducerID, aborted: true, txn: a}
		}
	}
}

// batch says whether a batch of data may go because its transaction was aborted.
func (t *cleanTxns) batch(b *surveyed) bool {
	t.pass(b.head.LastOffset())
	if !b.head.IsTransactional() {
		return false
	}
	i, there := t.find(b.head.ProducerID())
	if !there {
		t.open = slices.Insert(t.open, i, cleanTxn{producer: b.head.ProducerID()})
	}
	t.open[i].seen = true
	return t.open[i].aborted
}

// marker says whether a control batch has nothing left to end. An abort that has is listed in the new segment's index.
func (t *cleanTxns) marker(b *surveyed) (spare bool, txn AbortedTxn, listed bool) {
	t.pass(b.head.LastOffset())
	switch b.control {
	case controlOther:
		return false, txn, false
	case controlEmpty:
		return true, txn, false
	}
	i, there := t.find(b.head.ProducerID())
	if !there {
		return true, txn, false
	}
	x := t.open[i]
	t.open = slices.Delete(t.open, i, i+1)
	return !x.seen, x.txn, x.aborted && x.seen
}
