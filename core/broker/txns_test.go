package broker

import (
	"testing"

	"klamm/core"
	"klamm/core/txn"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactor is a producer of the transactional id "x" in a fleet. It asks again whatever it is told to ask again.
type transactor struct {
	*fleet
	is txn.Producer
}

func newTransactor(t *testing.T) *transactor {
	p := &transactor{fleet: newFleet(t, 3, func(int) string {
		return "transaction.state.log.num.partitions=1\ntransaction.abort.timed.out.transaction.cleanup.interval.ms=500\nrequest.timeout.ms=3000\n"
	})}
	p.until("all are ready", 10*core.Second, p.ready)
	require.Zero(t, p.call(0, "PLAINTEXT", 7, createTopic("t", 6, 3)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	return p
}

// coordinator is the node that coordinates, as another tells.
func (p *transactor) coordinator() int {
	for {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorType, q.CoordinatorKeys = 1, []string{"x"}
		r := p.call(p.other(), "PLAINTEXT", 4, q).(*kmsg.FindCoordinatorResponse).Coordinators[0]
		if r.ErrorCode == 0 && p.nodes[r.NodeID-1].exit < 0 {
			return int(r.NodeID) - 1
		}
		p.advance(100 * core.Millisecond)
	}
}

// ask sends a request to the coordinator until its answer is no reason to ask again.
func (p *transactor) ask(version int16, q kmsg.Request, code func(kmsg.Response) int16) (resp kmsg.Response) {
	p.until("the coordinator answers "+wire.Name(q.Key()), 30*core.Second, func() bool {
		resp = p.call(p.coordinator(), "PLAINTEXT", version, q)
		return !wire.Code(code(resp)).Retriable()
	})
	require.Zero(p.t, code(resp), "%+v", resp)
	return resp
}

func (p *transactor) begin() {
	q := kmsg.NewPtrInitProducerIDRequest()
	id := "x"
	q.TransactionalID, q.TransactionTimeoutMillis = &id, 5000
	r := p.ask(5, q, func(r kmsg.Response) int16 { return r.(*kmsg.InitProducerIDResponse).ErrorCode }).(*kmsg.InitProducerIDResponse)
	p.is = txn.Producer{ID: r.ProducerID, Epoch: r.ProducerEpoch}
}

// add adds every partition of t.
func (p *transactor) add() {
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch = "x", p.is.ID, p.is.Epoch
	topic := kmsg.NewAddPartitionsToTxnRequestTopic()
	topic.Topic, topic.Partitions = "t", []int32{0, 1, 2, 3, 4, 5}
	q.Topics = append(q.Topics, topic)
	p.ask(3, q, func(r kmsg.Response) int16 {
		return r.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode
	})
}

func (p *transactor) end(commit bool) {
	q := kmsg.NewPtrEndTxnRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = "x", p.is.ID, p.is.Epoch, commit
	r := p.ask(5, q, func(r kmsg.Response) int16 { return r.(*kmsg.EndTxnResponse).ErrorCode }).(*kmsg.EndTxnResponse)
	p.is = txn.Producer{ID: r.ProducerID, Epoch: r.ProducerEpoch}
}

// state is what the coordinator says of the transaction.
func (p *transactor) state() string {
	q := kmsg.NewPtrDescribeTransactionsRequest()
	q.TransactionalIDs = []string{"x"}
	return p.call(p.coordinator(), "PLAINTEXT", 0, q).(*kmsg.DescribeTransactionsResponse).TransactionStates[0].State
}

func (p *transactor) comesTo(state string) {
	p.until("the transaction is "+state, 40*core.Second, func() bool { return p.state() == state })
}

// A transaction over partitions of every node is completed while a leader of some of them is dead: its markers go to the next ones.
func TestFleetTransactionOutlivesALeader(t *testing.T) {
	p := newTransactor(t)
	p.begin()
	p.add()
	dead := (p.coordinator() + 1) % 3
	p.kill(dead)
	p.end(true)
	p.comesTo("CompleteCommit")
	p.restart(dead)
	p.until("all are ready", 20*core.Second, p.ready)
	p.add()
	p.end(false)
	p.comesTo("CompleteAbort")
}

// A coordinator that dies after it has decided is followed by one that brings it to its end, with the same verdict; one that
// dies before has the transaction ended by its timeout.
func TestFleetCoordinatorDies(t *testing.T) {
	p := newTransactor(t)
	p.begin()
	p.add()
	at := p.coordinator()
	silent := (at + 1) % 3
	p.cut[silent] = true // so that not every marker arrives before
	q := kmsg.NewPtrEndTxnRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = "x", p.is.ID, p.is.Epoch, true
	r := p.call(at, "PLAINTEXT", 5, q).(*kmsg.EndTxnResponse)
	if r.ErrorCode == 0 {
		p.is = txn.Producer{ID: r.ProducerID, Epoch: r.ProducerEpoch}
	}
	p.cut[silent] = false
	p.kill(at)
	if r.ErrorCode != 0 { // not told: the retry is
		p.end(true)
	}
	p.comesTo("CompleteCommit")
	p.restart(at)
	p.until("all are ready", 20*core.Second, p.ready)
	p.add()
	p.kill(p.coordinator())
	p.comesTo("CompleteAbort")
}
