package sim

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core/wire"
)

// A probe of the coordinators of transactions: a transactional id that only the admin uses, whose requests come in every version, in no
// order, at brokers that may or may not coordinate, now and then in the name of a producer that nobody was given. What it was told
// of its producer only ever grows.

const probeTxn = "probe"

// txnProbesMax bounds how many of its requests come one after the other.
const txnProbesMax = 24

// txnProbe is what the lives of the admin know of it.
type txnProbe struct {
	producer int64
	epoch    int16
	known    bool
}

// txnRequest draws the next request about it.
func (a *asking) txnRequest(v uint64) (q kmsg.Request, upTo int16) {
	p := &a.r.probes.txn
	id := probeTxn
	a.value = 0
	switch n := v & 15; {
	case n < 2:
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorType, q.CoordinatorKey, q.CoordinatorKeys = 1, id, []string{id}
		return q, 32767
	case n == 2:
		q := kmsg.NewPtrListTransactionsRequest()
		q.DurationFilterMillis = int64(v>>4&1023) - 1
		return q, 32767
	case n == 3:
		q := kmsg.NewPtrDescribeTransactionsRequest()
		q.TransactionalIDs = []string{id}
		return q, 32767
	case n == 4:
		return featureRequest(v >> 4), 32767
	case n < 7 || !p.known:
		q := kmsg.NewPtrInitProducerIDRequest()
		q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = &id, 1000, -1, -1
		if p.known && v>>4&1 == 1 {
			q.ProducerID, q.ProducerEpoch = p.producer, p.epoch
		}
		return q, 32767
	case n < 11 && a.r.stage < stageCalm: // what it leaves open would hold readers up
		q := kmsg.NewPtrAddPartitionsToTxnRequest()
		q.TransactionalID, q.ProducerID, q.ProducerEpoch = id, p.producer, p.epoch
		t := kmsg.NewAddPartitionsToTxnRequestTopic()
		t.Topic, t.Partitions = a.churn(), []int32{int32(v >> 4 & 3)}
		q.Topics = append(q.Topics, t)
		return q, 3 // later ones are for brokers
	}
	e := kmsg.NewPtrEndTxnRequest()
	e.TransactionalID, e.ProducerID, e.ProducerEpoch, e.Commit = id, p.producer, p.epoch, v>>4&1 == 1
	switch v >> 5 & 7 {
	case 0:
		a.value, e.ProducerEpoch = 1, p.epoch+100
	case 1:
		a.value, e.ProducerEpoch = 1, p.epoch-3
	}
	return e, 32767
}

// featureRequest asks for another level of transaction.version, up or down.
func featureRequest(v uint64) kmsg.Request {
	q := kmsg.NewPtrUpdateFeaturesRequest()
	q.TimeoutMillis = 5000
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType, u.AllowDowngrade = "transaction.version", int16(v%3), int8(1+v>>2&1), v>>2&1 == 1
	q.FeatureUpdates = append(q.FeatureUpdates, u)
	return q
}

// heedTxn judges what a coordinator said.
func (a *asking) heedTxn(resp kmsg.Response) {
	w := a.r.w
	switch r := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		if wire.Code(r.ErrorCode) == wire.None {
			a.given(r.ProducerID, r.ProducerEpoch)
		}
	case *kmsg.EndTxnResponse:
		if wire.Code(r.ErrorCode) != wire.None {
			return
		}
		if a.value != 0 && a.r.sound() {
			w.Fail("I62", "a producer with an epoch that was not its own has ended a transaction")
		}
		if r.Version >= 5 {
			a.given(r.ProducerID, r.ProducerEpoch)
		}
	case *kmsg.DescribeTransactionsResponse:
		for _, t := range r.TransactionStates {
			if t.ErrorCode == 0 && (t.State == "Dead" || t.State == "PrepareEpochFence") {
				w.Fail("I63", "a transaction was said to be in the state "+t.State+", which is none that lasts")
			}
		}
	}
}

// sound reports whether what a disk was told to keep it keeps.
func (r *run) sound() bool {
	return r.cfg.Set != SetLying && !r.metadataHurt() && !r.hurt("/"+transactionsTopic+"-", "")
}

// given notes a producer that a coordinator gave out: it is newer than all before (I58).
func (a *asking) given(producer int64, epoch int16) {
	p := &a.r.probes.txn
	older := producer == p.producer && epoch <= p.epoch || producer < p.producer && !a.r.cfg.topology.many() // several brokers have several blocks of ids
	if p.known && a.r.sound() && older {
		a.r.w.Fail("I58", "transactional id "+probeTxn+": after producer "+strconv.FormatInt(p.producer, 10)+" with epoch "+strconv.Itoa(int(p.epoch))+
			" came "+strconv.FormatInt(producer, 10)+" with epoch "+strconv.Itoa(int(epoch)))
	}
	p.producer, p.epoch, p.known = producer, epoch, true
}
