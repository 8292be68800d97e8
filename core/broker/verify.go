package broker

import (
	"slices"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// How the leader of a partition learns that a transaction includes it (KIP-890). Before the first batch of a transaction it asks the
// transaction's coordinator: whether the partition was added (verify only), or, for a client that leaves that to it, to add it.
// The log gives a guard with the question and takes the batch with that guard alone: a marker that comes between the question and
// the batch makes the answer worthless.
//
// An answer that there is a transaction of the producer that has not quite ended is asked for again a few times before the client
// is told, which would wait longer. Its last markers are mostly a few milliseconds away, so the first of these times come
// sooner than the setting says.

// txnKnows is what a client's version of a request knows of transactions.
type txnKnows uint8

const (
	knowsOld  txnKnows = iota // INVALID_TXN_STATE
	knowsNew                  // TRANSACTION_ABORTABLE
	knowsAdds                 // that partitions are added for it, and its epoch is raised with each transaction (transaction.version 2)
)

// produceKnows and commitKnows are those of Produce and TxnOffsetCommit.
func produceKnows(version int16) txnKnows { return knowsFrom(version, 11) }
func commitKnows(version int16) txnKnows  { return knowsFrom(version, 4) }

func knowsFrom(version, abortable int16) txnKnows {
	switch {
	case version > abortable:
		return knowsAdds
	case version == abortable:
		return knowsNew
	}
	return knowsOld
}

// verifications are the questions that this broker has asked and that somebody waits for.
//
// Invariants: open is sorted by ask.
type verifications struct {
	asks uint64 // of this life
	open []verification
}

// verification is one question, and what was answered.
type verification struct {
	ask  uint64
	done bool
	all  wire.Code // of the whole answer: NETWORK_EXCEPTION if there is none
	rows []verifyPart
}

// verifyPart is one partition of a question.
type verifyPart struct {
	tp    core.TopicPartition
	log   log.LogID
	guard log.Guard
	code  wire.Code
}

// verifying is the part of a task that waits for a verification.
type verifying struct {
	id       string
	producer int64
	epoch    int16
	knows    txnKnows
	parts    []verifyPart
	ask      uint64 // in flight; 0: none
	since    core.Time
	again    core.Time // when to ask again
	pause    core.Time // how long that was put off the last time
}

// verifyPause is how long a question rests the first time; each time twice as long, up to add.partitions.to.txn.retry.backoff.ms.
const verifyPause = 2 * core.Millisecond

func (v *verifying) key() waitKey { return waitKey{kind: waitVerify, id: v.ask} }

// verifies reports whether questions are asked: for clients that leave the adding to us always.
func (b *Broker) verifies(knows txnKnows) bool { return b.cfg.TxnVerify || knows == knowsAdds }

// begin asks. The answer may be there at once: nobody coordinates.
func (v *verifying) begin(b *Broker, now core.Now, out *core.Out) {
	k := &b.verify
	k.asks++
	v.ask = k.asks
	k.open = append(k.open, verification{ask: v.ask})
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	x := kmsg.NewAddPartitionsToTxnRequestTransaction()
	x.TransactionalID, x.ProducerID, x.ProducerEpoch, x.VerifyOnly = v.id, v.producer, v.epoch, v.knows != knowsAdds
	for i := range v.parts {
		p := &v.parts[i]
		if n := len(x.Topics) - 1; n < 0 || x.Topics[n].Topic != p.tp.Topic {
			t := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			t.Topic = p.tp.Topic
			x.Topics = append(x.Topics, t)
		}
		t := &x.Topics[len(x.Topics)-1]
		t.Partitions = append(t.Partitions, p.tp.Partition)
	}
	q.Transactions = append(q.Transactions, x)
	node := core.NoNode
	if t := b.img.Topic(transactionsTopic); t != nil && len(t.Partitions) > 0 {
		node = t.Partition(groupPartition(v.id, int32(len(t.Partitions)))).Leader
	}
	if node == core.NoNode {
		out.Mark("broker.verify-without-coordinator")
		b.verifiedAs(v.ask, wire.CoordinatorNotAvailable, nil)
		return
	}
	b.askBroker(now, node, laneVerify, link.Ask{Kind: uint8(askVerify), A: v.ask}, q, b.cfg.RequestTime, out)
}

// verified takes the answer of a coordinator.
func (b *Broker) verified(ask uint64, resp kmsg.Response) {
	r, ok := resp.(*kmsg.AddPartitionsToTxnResponse)
	if !ok {
		b.verifiedAs(ask, wire.NetworkException, nil)
		return
	}
	if code := wire.Code(r.ErrorCode); code != wire.None {
		if code == wire.ClusterAuthorizationFailed {
			code = wire.InvalidTxnState
		}
		b.verifiedAs(ask, code, nil)
		return
	}
	var rows []verifyPart
	for i := range r.Transactions {
		for j := range r.Transactions[i].Topics {
			t := &r.Transactions[i].Topics[j]
			for _, p := range t.Partitions {
				rows = append(rows, verifyPart{tp: core.TopicPartition{Topic: t.Topic, Partition: p.Partition}, code: wire.Code(p.ErrorCode)})
			}
		}
	}
	b.verifiedAs(ask, wire.NetworkException, rows) // of what the answer leaves out
}

func (b *Broker) verifiedAs(ask uint64, all wire.Code, rows []verifyPart) {
	if i, found := b.verify.find(ask); found {
		x := &b.verify.open[i]
		x.done, x.all, x.rows = true, all, rows
		b.wake(waitKey{kind: waitVerify, id: ask})
	}
}

func (k *verifications) find(ask uint64) (int, bool) {
	return slices.BinarySearchFunc(k.open, ask, func(v verification, ask uint64) int {
		switch {
		case v.ask < ask:
			return -1
		case v.ask > ask:
			return 1
		}
		return 0
	})
}

// drop forgets a question: nobody waits for its answer any more.
func (v *verifying) drop(b *Broker) {
	if i, found := b.verify.find(v.ask); found {
		b.verify.open = slices.Delete(b.verify.open, i, i+1)
	}
	v.ask = 0
}

// over carries a verification on; true when every part has its code. The task that it belongs to is being advanced, unless it is not
// parked yet.
func (v *verifying) over(b *Broker, now core.Now, out *core.Out) bool {
	if v.ask == 0 {
		if now.Mono < v.again {
			return false
		}
		v.begin(b, now, out)
		if b.tasks.at >= 0 {
			b.alsoWait(v.key())
			b.wakeAt(core.Never)
		}
	}
	i, found := b.verify.find(v.ask)
	core.Must(found, "a question is known until its asker has the answer")
	x := &b.verify.open[i]
	if !x.done {
		return false
	}
	again := false
	for j := range v.parts {
		p := &v.parts[j]
		p.code = x.all
		if k := slices.IndexFunc(x.rows, func(r verifyPart) bool { return r.tp == p.tp }); k >= 0 {
			p.code = x.rows[k].code
		}
		switch {
		case p.code == wire.ProducerFenced:
			p.code = wire.InvalidProducerEpoch
		case p.code == wire.TransactionAbortable && v.knows == knowsOld:
			p.code = wire.InvalidTxnState
		}
		again = again || p.code == wire.ConcurrentTransactions
	}
	v.drop(b)
	if again && now.Mono < v.since.After(b.cfg.TxnAddRetryMax) && b.tasks.at >= 0 {
		out.Mark("broker.verify-again")
		v.pause = min(max(2*v.pause, verifyPause), b.cfg.TxnAddRetry)
		v.again = now.Mono.After(v.pause)
		b.wakeAt(v.again)
		return false
	}
	return true
}

// produceCode is how a producer is told what came of a verification. Clients that know no better are given a code with which they try
// again.
func (v *verifying) produceCode(code wire.Code) (wire.Code, string) {
	switch code {
	case wire.None:
		return wire.None, ""
	case wire.InvalidTxnState:
		return code, "the partition was not added to the transaction"
	case wire.NetworkException, wire.CoordinatorLoadInProgress, wire.CoordinatorNotAvailable, wire.NotCoordinator:
		return wire.NotEnoughReplicas, "cannot verify that the partition was added to the transaction: " + code.String()
	case wire.ConcurrentTransactions:
		if v.knows != knowsAdds {
			return wire.NotEnoughReplicas, "cannot verify that the partition was added to the transaction: " + code.String()
		}
	}
	return code, ""
}
