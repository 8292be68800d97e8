package sim

import (
	"strconv"

	"klamm/checker"
	"klamm/core"
	"klamm/core/batch"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const transactionsTopic = "__transaction_state"

// judgeTransactions reads what every node's disk holds of the coordinators of transactions, when all is calm: that epochs never fell,
// verdicts never flipped and nothing is left half done (I58, I63, I65).
func (r *run) judgeTransactions() {
	for _, n := range r.w.Nodes {
		s, is := n.Machine.(storeOwner)
		if !is || n.State == Down || s.Store() == nil {
			continue
		}
		for _, id := range s.Store().IDs() {
			l := s.Store().Log(id)
			if l.Partition().Topic != transactionsTopic || l.Offline() != "" {
				continue
			}
			at := checker.Partition{TopicID: transactionsTopic, Number: l.Partition().Partition}
			for _, v := range checker.CheckTxnLog(at, r.txnStates(n, l.Partition(), int64(l.High())), r.cfg.epochLast, true) {
				r.w.Fail(v.Invariant, "node "+strconv.Itoa(n.at)+": "+v.Subject+": "+v.Detail)
			}
		}
	}
}

// undecided says who still completes transactions; nothing, once all are over and that is committed: judgeTransactions reads
// nothing above the high watermark.
func (r *run) undecided() string {
	if r.cfg.Set == SetDamage || r.cfg.Set == SetLying { // of what is lost for good nobody can say that it has its marker
		return ""
	}
	for _, n := range r.w.Nodes {
		if b, is := n.Machine.(interface{ Completing() int }); is && n.State != Down && b.Completing() > 0 {
			return "node " + strconv.Itoa(n.at) + " completes " + strconv.Itoa(b.Completing()) + " transactions"
		}
	}
	return ""
}

// txnStates reads the records of one partition of the coordinators of transactions below an offset.
func (r *run) txnStates(n *Node, at core.TopicPartition, high int64) (states []checker.TxnState) {
	r.eachSegment(n, r.logDir(n, at), func(_ int64, file []byte) {
		list, _, _ := checker.ReadSegment(file)
		for _, b := range list {
			v, _, verdict := batch.First(file[b.Position : b.Position+b.Size])
			if verdict != batch.Good || v.IsControl() {
				continue
			}
			records, verdict := batch.Read(v, 1<<20)
			var rec batch.Record
			for verdict == batch.Good && records.Next(&rec) && int64(rec.Offset) < high {
				if s, is := txnState(&rec); is {
					states = append(states, s)
				}
			}
		}
	})
	return states
}

func txnState(rec *batch.Record) (s checker.TxnState, is bool) {
	key, value := kmsg.NewTxnMetadataKey(), kmsg.NewTxnMetadataValue()
	if key.ReadFrom(rec.Key) != nil {
		return s, false
	}
	s = checker.TxnState{Offset: int64(rec.Offset), ID: key.TransactionalID, Gone: rec.Value == nil}
	if s.Gone {
		return s, true
	}
	if value.ReadFrom(rec.Value) != nil {
		return s, false
	}
	s.Producer, s.Epoch, s.Status, s.Bumped = value.ProducerID, value.ProducerEpoch, int8(value.State), value.ClientTransactionVersion >= 2
	return s, true
}
