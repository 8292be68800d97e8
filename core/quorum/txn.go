package quorum

import (
	"klamm/core"
	"klamm/core/wire"
)

// assembler makes whole pieces out of committed batches: a batch by itself, or a metadata transaction
// from its begin to its end, however many batches it spans (KIP-868). What was aborted leaves nothing.
//
// Invariants: done and held are empty unless open; nobody sees a record of held before its end record is
// committed (I43).
type assembler struct {
	open bool
	done []wire.Record // of the same piece, outside or before the open transaction
	held []wire.Record // of the open transaction
}

// take adds a committed batch. A piece comes out unless a transaction is open behind it, for a piece has one
// end, and no image may claim an end within a transaction. A piece may be without records: only its end counts.
func (a *assembler) take(records []wire.Record) (piece []wire.Record, whole bool, wrong string) {
	for _, r := range records {
		switch r.(type) {
		case *wire.BeginTransactionRecord:
			if a.open {
				return nil, false, "a metadata transaction begins within another"
			}
			a.open = true
		case *wire.EndTransactionRecord:
			if !a.open {
				return nil, false, "a metadata transaction ends that did not begin"
			}
			a.done = append(a.done, a.held...)
			a.open, a.held = false, nil
		case *wire.AbortTransactionRecord:
			if !a.open {
				return nil, false, "a metadata transaction is aborted that did not begin"
			}
			a.open, a.held = false, nil
		default:
			if a.open {
				a.held = append(a.held, r)
			} else {
				a.done = append(a.done, r)
			}
		}
	}
	if a.open {
		return nil, false, ""
	}
	piece, a.done = a.done, nil
	return piece, true, ""
}

// Batch is committed records: those of one batch of the log, or of one whole metadata transaction.
type Batch struct {
	Records  []wire.Record
	End      core.Offset // exclusive, of the log
	Epoch    core.Epoch
	Snapshot bool // these are all that a snapshot holds: they start from an empty image
}
