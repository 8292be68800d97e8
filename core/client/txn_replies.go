package client

import (
	"slices"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnReplied takes what became of a request to a coordinator.
func (p *Producer) txnReplied(now core.Now, r *link.Reply, out *core.Out) {
	t := &p.txn
	if r.Ask.A != t.request {
		return
	}
	t.request = 0
	if t.state == TxnDead {
		return
	}
	code := wire.None
	switch q := r.Resp.(type) {
	case *kmsg.InitProducerIDResponse:
		if code = wire.Code(q.ErrorCode); code == wire.None && q.ProducerID < 0 {
			code = wire.UnknownServerError // no broker does this
		}
		if code == wire.None {
			p.adopt(q.ProducerID, q.ProducerEpoch)
			t.inited, t.wanted, t.renew = true, false, false
			t.v2 = p.pool.Feature(transactionFeature) >= 2
		}
	case *kmsg.AddPartitionsToTxnResponse:
		if code = worst(q); code == wire.None {
			t.added = append(t.added, t.adding...)
			slices.SortFunc(t.added, core.TopicPartition.Compare)
		}
	case *kmsg.AddOffsetsToTxnResponse:
		if code = wire.Code(q.ErrorCode); code == wire.None && len(t.offsets) > 0 {
			t.groups = append(t.groups, t.offsets[0].member.Group)
		}
	case *kmsg.TxnOffsetCommitResponse:
		if code = worstOffset(q); code == wire.None && len(t.offsets) > 0 {
			t.offsets = slices.Delete(t.offsets, 0, 1)
		}
	case *kmsg.EndTxnResponse:
		if code = wire.Code(q.ErrorCode); code == wire.None && t.state == TxnEnding {
			if q.Version >= 5 && q.ProducerID >= 0 {
				p.adopt(q.ProducerID, q.ProducerEpoch)
				t.bump = false
			}
			p.ended()
		}
	default:
		p.txnLater(now, Failure{Errno: link.OrGone(r.Errs), Text: "no answer to " + txnAskNames[t.asked]})
		return
	}
	if code == wire.None {
		t.fails, t.retryAt = 0, 0
		if t.state != TxnSick {
			t.why = Failure{}
		}
		return
	}
	p.txnRefused(now, code, out)
}

// adopt uses a producer id and epoch from now on. Nothing of the former is under way: sequences begin at 0.
func (p *Producer) adopt(id int64, epoch int16) {
	p.producerID, p.epoch = id, epoch
	for i := range p.outboxes {
		b := &p.outboxes[i]
		core.Must(b.inflight == 0, "no batch is in flight when its producer's epoch ends")
		b.producerID, b.next, b.settled, b.reset = -1, 0, false, false
	}
}

// txnLater puts the request off.
func (p *Producer) txnLater(now core.Now, why Failure) {
	t := &p.txn
	t.doubtful = t.doubtful || t.asked == asksEnd // what was appended may be committed yet, whatever the answer said
	if t.state != TxnSick {
		t.why = why
	}
	wait := p.backoff(t.fails)
	if why.Code == wire.ConcurrentTransactions {
		wait = min(wait, txnRetry)
	} else {
		t.fails++
	}
	t.retryAt = now.Mono.After(wait)
}

// txnRefused takes an error of a coordinator.
func (p *Producer) txnRefused(now core.Now, code wire.Code, out *core.Out) {
	t := &p.txn
	why := Failure{Code: code, Text: txnAskNames[t.asked] + " of transactional id " + p.opt.TransactionalID}
	switch code {
	case wire.NotCoordinator, wire.CoordinatorNotAvailable, wire.RequestTimedOut:
		if t.asked != asksOffsets {
			p.lostCoordinatorFor(now, ofTransactions, p.opt.TransactionalID)
		} else if len(t.offsets) > 0 {
			p.lostCoordinatorFor(now, ofGroup, t.offsets[0].member.Group)
		}
		p.txnLater(now, why)
		return
	case wire.UnknownProducerID, wire.InvalidProducerIDMapping:
		out.Mark("client.producer-id-forgotten")
		if t.asked == asksInit {
			t.die(why)
			return
		}
		t.lost, t.bump = true, true
		if t.state == TxnEnding && !t.commit { // there is nothing left to abort
			p.ended()
			return
		}
		t.sicken(why)
		return
	case wire.TransactionAbortable, wire.TopicAuthorizationFailed, wire.GroupAuthorizationFailed, wire.IllegalGeneration,
		wire.UnknownMemberID, wire.FencedInstanceID, wire.StaleMemberEpoch:
		out.Mark("client.transaction-sick")
		if t.asked == asksInit || t.state == TxnEnding && !t.commit {
			p.txnLater(now, why) // an abort can't be helped by aborting
			return
		}
		t.sicken(why)
		return
	}
	switch {
	case code.Retriable():
		p.txnLater(now, why)
		return
	case t.asked == asksPartitions && !fatal(code) && code != wire.InvalidProducerEpoch && code != wire.InvalidTxnState:
		out.Mark("client.transaction-sick") // some topic that can't be written: it is the transaction that can't go on
		t.sicken(why)
		return
	}
	t.doubtful = t.doubtful || t.asked == asksEnd && code == wire.UnknownServerError
	out.Mark("client.transaction-dead")
	t.die(why)
}

// fatal reports whether a producer that was answered so is of no more use.
func fatal(code wire.Code) bool {
	switch code {
	case wire.ProducerFenced, wire.TransactionalIDAuthorizationFailed, wire.ClusterAuthorizationFailed, wire.UnsupportedVersion,
		wire.UnsupportedForMessageFormat, wire.InvalidTransactionTimeout:
		return true
	}
	return false
}

// rank orders codes by what they mean for a transaction.
func rank(code wire.Code) int {
	switch {
	case code == wire.None:
		return 0
	case code == wire.OperationNotAttempted:
		return 1
	case code.Retriable():
		return 2
	case code == wire.TransactionAbortable, code == wire.TopicAuthorizationFailed, code == wire.GroupAuthorizationFailed,
		code == wire.UnknownProducerID, code == wire.InvalidProducerIDMapping:
		return 3
	}
	return 4
}

// worst is the code that decides over a request of several partitions.
func worst(q *kmsg.AddPartitionsToTxnResponse) (code wire.Code) {
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			if c := wire.Code(q.Topics[i].Partitions[j].ErrorCode); rank(c) > rank(code) {
				code = c
			}
		}
	}
	return code
}

func worstOffset(q *kmsg.TxnOffsetCommitResponse) (code wire.Code) {
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			if c := wire.Code(q.Topics[i].Partitions[j].ErrorCode); rank(c) > rank(code) {
				code = c
			}
		}
	}
	return code
}
