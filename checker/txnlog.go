package checker

// TxnState is one record of the log of a coordinator of transactions: what it says of one transactional id.
type TxnState struct {
	Offset   int64
	ID       string
	Gone     bool // the id was removed
	Producer int64
	Epoch    int16
	Status   int8 // as in the records: 0 empty, 1 ongoing, 2 and 3 prepared to commit and to abort, 4 and 5 committed and aborted
	Bumped   bool // its end raised the epoch (transaction.version 2)
}

const (
	txnEmpty int8 = iota
	txnOngoing
	txnPrepareCommit
	txnPrepareAbort
	txnCommitted
	txnAborted
)

var txnWords = [...]string{"empty", "ongoing", "prepared to commit", "prepared to abort", "committed", "aborted"}

// CheckTxnLog judges the committed records of one partition of a coordinator of transactions, in their order. Compaction may have left out
// all but the newest of an id, never one between two others: what follows another here followed it then. epochLast is the last
// epoch that a client is given; atRest says that nothing is under way any more.
func CheckTxnLog(at Partition, records []TxnState, epochLast int16, atRest bool) (found []Violation) {
	fail := func(rule, id, text string) {
		found = append(found, Violation{Invariant: rule, Subject: at.String(), Detail: "transactional id " + id + ": " + text})
	}
	last := map[string]TxnState{}
	var ids []string
	for _, r := range records {
		was, known := last[r.ID]
		if !known {
			ids = append(ids, r.ID)
		}
		if last[r.ID] = r; !known || r.Gone || was.Gone {
			if r.Gone && known && (was.Status == txnOngoing || was.Status == txnPrepareCommit || was.Status == txnPrepareAbort) {
				fail("I65", r.ID, "it was forgotten while it was "+txnWords[was.Status])
			}
			continue
		}
		if r.Status < txnEmpty || r.Status > txnAborted {
			fail("I63", r.ID, "it is in a state that is never kept")
			continue
		}
		if why := txnEpochs(was, r, epochLast); why != "" {
			fail("I58", r.ID, why)
		}
		if why := txnFollows(was, r); why != "" {
			fail("I63", r.ID, why)
		}
	}
	for _, id := range ids {
		if r := last[id]; atRest && !r.Gone && (r.Status == txnPrepareCommit || r.Status == txnPrepareAbort) {
			fail("I65", id, "it is "+txnWords[r.Status]+", and nobody completes it")
		}
	}
	return found
}

// txnEpochs says what is wrong with a producer's identity from one record to the next.
func txnEpochs(was, is TxnState, epochLast int16) string {
	switch {
	case is.Producer == was.Producer && is.Epoch < was.Epoch:
		return "the epoch of its producer fell"
	case is.Producer != was.Producer && is.Epoch != 0:
		return "a new producer id does not begin with epoch 0"
	case is.Producer == was.Producer && int(is.Epoch) > int(was.Epoch)+1:
		return "the epoch of its producer rose by more than one at once"
	case is.Producer != was.Producer && was.Epoch < epochLast:
		return "it was given another producer id before the epochs of the last one were used up"
	case is.Epoch > epochLast && (is.Status == txnOngoing || is.Bumped && (is.Status == txnCommitted || is.Status == txnAborted)):
		return "an epoch that is left for markers was given to a client"
	case is.Status == txnOngoing && (is.Producer != was.Producer || is.Epoch != was.Epoch):
		return "a transaction began with another producer than the one that was given out"
	}
	return ""
}

// txnFollows says what is wrong with a state behind another.
func txnFollows(was, is TxnState) string {
	prepared := func(s int8) bool { return s == txnPrepareCommit || s == txnPrepareAbort }
	ok := false
	switch is.Status {
	case txnEmpty:
		ok = was.Status == txnEmpty || was.Status == txnCommitted || was.Status == txnAborted
	case txnOngoing:
		ok = !prepared(was.Status)
	case txnPrepareCommit:
		ok = was.Status == txnOngoing
	case txnPrepareAbort:
		ok = was.Status == txnOngoing || is.Bumped && !prepared(was.Status)
	case txnCommitted:
		ok = was.Status == txnPrepareCommit
	case txnAborted:
		ok = was.Status == txnPrepareAbort
	}
	if ok {
		return ""
	}
	return "it was " + txnWords[was.Status] + ", and then " + txnWords[is.Status]
}
