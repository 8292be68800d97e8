package client

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// This file is the transactional producer (KIP-98): records, and offsets of groups, that become visible together or not
// at all. The owner calls Begin, Send and SendOffsets, then Commit or Abort, of which Ended tells the end.
//
// Two protocols exist; which one a transaction follows is decided when it begins. In the first the producer names each
// partition and group to the coordinator before it writes there (AddPartitionsToTxn, AddOffsetsToTxn). In the second
// (KIP-890, feature transaction.version 2) the brokers that are written to do that, and every end of a transaction
// brings a new epoch, so that nothing that is late can be taken for part of the next one. Where the second follows the first
// the producer asks for a new epoch itself.
//
// What can go wrong has two degrees. After what Abort gets over the state is TxnSick: nothing more is sent, and Abort,
// where the protocol needs it with a new epoch (KIP-360), makes the producer good for another transaction. After the
// rest, such as another producer with the same id (fencing), it is TxnDead.
//
// Requests to coordinators go one at a time. So an answer is always that of the last question, and EndTxn is asked again,
// until there is an answer: whoever gives up in between does not know what became of the transaction.

// TxnState is how a transactional producer stands.
type TxnState uint8

// The states.
const (
	TxnNone   TxnState = iota // no transaction is open
	TxnOpen                   // records and offsets belong to one
	TxnEnding                 // Commit or Abort was called
	TxnSick                   // something failed: only Abort helps
	TxnDead                   // only another producer helps
)

var txnStateNames = [...]string{"none", "open", "ending", "sick", "dead"}

func (s TxnState) String() string { return txnStateNames[s] }

// TxnResult is the end of a transaction, as it was asked for. A commit whose fate is DidNot has not happened and will not;
// the state is then TxnSick, or TxnDead. One whose fate is MayHave may have happened: the state is TxnDead.
type TxnResult struct {
	Number  uint64 // of the transactions of this producer, from 1
	Commit  bool
	Fate    Fate
	Failure Failure
}

// GroupMember is in whose name offsets are committed with a transaction (KIP-447): the group refuses them once it has moved
// on. Generation is -1, and Member empty, for a consumer that is no member.
type GroupMember struct {
	Group, Member, Instance string
	Generation              int32
}

// GroupMember is the consumer's place in its group.
func (c *Consumer) GroupMember() GroupMember {
	m := GroupMember{Group: c.opt.Group.ID, Instance: c.opt.Group.Instance, Member: c.group.id, Generation: c.group.generation}
	if m.Generation < 0 {
		m.Member, m.Instance = "", ""
	}
	return m
}

// txnAsk is a kind of request to a coordinator.
type txnAsk uint8

const (
	asksInit txnAsk = iota
	asksPartitions
	asksGroup
	asksOffsets
	asksEnd
)

var txnAskNames = [...]string{"InitProducerId", "AddPartitionsToTxn", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn"}

// transaction is the part of a producer that is transactional.
//
// Invariants: request is zero unless one is out; added is sorted; unless the state is TxnOpen or TxnEnding nothing
// leaves but what ends a transaction or makes the producer ready for the next.
type transaction struct {
	state    TxnState
	number   uint64
	wanted   bool // a producer id is asked for although no transaction is open
	inited   bool // one was given to this producer
	v2       bool // the second protocol
	begun    bool // the coordinator may know of the open transaction
	commit   bool // how it ends
	doubtful bool // an EndTxn may have been carried out whose answer was lost
	lost     bool // the coordinator has forgotten the producer id: there is nothing to end
	bump     bool // numbers were used for nothing, or may still arrive: the end must bring another epoch,
	renew    bool // and if it did not, the next transaction does not begin before InitProducerId has
	added    []core.TopicPartition
	groups   []string
	offsets  []txnOffsets
	results  []TxnResult

	request uint64
	asked   txnAsk
	adding  []core.TopicPartition // what the request that is out asks for
	retryAt core.Time
	fails   int
	why     Failure
}

// txnOffsets are offsets to be committed with the transaction.
type txnOffsets struct {
	member GroupMember
	list   []CommitOffset
}

const (
	transactionFeature = "transaction.version"
	txnOffsetsMax      = 1 << 10               // lists of offsets of one transaction that wait; then SendOffsets refuses
	txnEndedMax        = 1 << 10               // results not drained; the oldest are dropped
	txnRetry           = 20 * core.Millisecond // while the coordinator still ends the transaction before
)

func (p *Producer) transactional() bool { return p.opt.TransactionalID != "" }

// Txn says how the producer stands, and what went wrong if something did.
func (p *Producer) Txn() (TxnState, Failure) { return p.txn.state, p.txn.why }

// Ended hands over what became of Commit and Abort since the last call. The list is valid until the next Step.
func (p *Producer) Ended() []TxnResult {
	r := p.txn.results
	p.txn.results = p.txn.results[:0]
	return r
}

// Init asks for a producer id now, which fences other producers with the same id and ends what they had open. Without it
// the first Begin does.
func (p *Producer) Init(now core.Now, out *core.Out) {
	p.txn.wanted = p.transactional()
	p.advance(now, out)
}

// Ready reports whether there is a producer id.
func (p *Producer) Ready() bool { return p.txn.ready() && p.txn.state != TxnDead }

// Begin opens a transaction. It reports false if one is open or no more can be.
func (p *Producer) Begin(now core.Now, out *core.Out) bool {
	t := &p.txn
	if p.closed || !p.transactional() || t.state != TxnNone {
		return false
	}
	t.state, t.number, t.why = TxnOpen, t.number+1, Failure{}
	t.begun, t.doubtful, t.lost = false, false, false
	t.added, t.groups, t.offsets = t.added[:0], t.groups[:0], nil
	if v2 := p.pool.Feature(transactionFeature) >= 2; t.inited {
		// The last transaction left the epoch as it was, and its markers may be on their way still: brokers that add partitions by
		// themselves would take this one's records for part of it.
		t.renew = t.renew || v2 && !t.v2
		t.v2 = v2
	}
	p.advance(now, out)
	return true
}

// SendOffsets commits offsets with the open transaction. It reports false if none is open.
func (p *Producer) SendOffsets(now core.Now, m GroupMember, list []CommitOffset, out *core.Out) bool {
	t := &p.txn
	if t.state != TxnOpen || len(t.offsets) >= txnOffsetsMax {
		return false
	}
	if len(list) > 0 {
		t.offsets = append(t.offsets, txnOffsets{m, slices.Clone(list)})
	}
	p.advance(now, out)
	return true
}

// Commit ends the open transaction when everything that was given has been stored. It reports false if none is open.
func (p *Producer) Commit(now core.Now, out *core.Out) bool { return p.end(now, true, out) }

// Abort ends the open transaction. What has not left does not leave.
func (p *Producer) Abort(now core.Now, out *core.Out) bool { return p.end(now, false, out) }

func (p *Producer) end(now core.Now, commit bool, out *core.Out) bool {
	t := &p.txn
	if t.state != TxnOpen && (commit || t.state != TxnSick) {
		return false
	}
	t.state, t.commit, t.retryAt, t.fails = TxnEnding, commit, 0, 0
	p.flushing = p.pending > 0
	p.advance(now, out)
	return true
}

// ready reports whether records may leave as far as the producer id is concerned.
func (t *transaction) ready() bool { return t.inited && !t.renew }

// holds reports whether records of a partition may leave.
func (t *transaction) holds(at core.TopicPartition) bool {
	if t.v2 {
		return true
	}
	_, found := slices.BinarySearchFunc(t.added, at, core.TopicPartition.Compare)
	return found
}

// sicken takes note that the open transaction can't be committed any more.
func (t *transaction) sicken(why Failure) {
	if t.state != TxnOpen && (t.state != TxnEnding || !t.commit) {
		return
	}
	ending := t.state == TxnEnding
	if t.state, t.why = TxnSick, why; ending {
		f := DidNot
		if t.doubtful {
			f = MayHave
		}
		t.tell(TxnResult{t.number, true, f, why})
	}
}

// die takes note that nothing more can be done with this producer.
func (t *transaction) die(why Failure) {
	if t.state == TxnDead {
		return
	}
	t.over(why)
	t.state, t.why = TxnDead, why
}

// over ends what is being ended without an answer.
func (t *transaction) over(why Failure) {
	if t.state != TxnEnding {
		return
	}
	f := DidNot
	if t.doubtful || t.request != 0 && t.asked == asksEnd {
		f = MayHave
	}
	t.tell(TxnResult{t.number, t.commit, f, why})
	t.state = TxnNone
}

func (t *transaction) tell(r TxnResult) {
	if len(t.results) >= txnEndedMax {
		t.results = slices.Delete(t.results, 0, 1)
	}
	t.results = append(t.results, r)
}

// outside is the result of a record that was given while no transaction was open.
func (p *Producer) outside(h *held) Result {
	why := Failure{Code: wire.InvalidTxnState, Text: "no transaction is open"}
	if s := p.txn.state; s == TxnSick || s == TxnDead {
		why = p.txn.why
	}
	return Result{ID: h.id, At: core.TopicPartition{Topic: h.rec.Topic, Partition: h.rec.Partition}, Offset: -1, Timestamp: h.rec.Timestamp, Fate: DidNot, Failure: why}
}

// drop ends the records of a transaction that will not be committed, as far as they are not in flight.
func (p *Producer) drop() {
	t := &p.txn
	if p.pending == 0 || t.state != TxnSick && t.state != TxnDead && (t.state != TxnEnding || t.commit) {
		return
	}
	why := t.why
	if why.None() {
		why = Failure{Text: "the transaction is aborted"}
	}
	p.failAll(why)
}

// tendTxn does what can be done now about the transaction.
func (p *Producer) tendTxn(now core.Now, out *core.Out) {
	t := &p.txn
	if t.request != 0 || t.state == TxnDead || t.state == TxnSick {
		return
	}
	if now.Mono < t.retryAt {
		p.pool.WakeAt(t.retryAt)
		return
	}
	if t.state == TxnEnding && !t.commit {
		p.endTxn(now, out)
		return
	}
	if !t.ready() {
		if t.state != TxnNone || t.wanted || t.renew {
			p.askInit(now, out)
		}
		return
	}
	if t.state == TxnNone {
		return
	}
	if !t.v2 && p.askPartitions(now, out) {
		return
	}
	if len(t.offsets) > 0 {
		p.askOffsets(now, out)
		return
	}
	if t.state == TxnEnding {
		p.endTxn(now, out)
	}
}

// ask sends a request to a coordinator: that of the transactional id, or of a group.
func (p *Producer) ask(now core.Now, what txnAsk, q kmsg.Request, limit int16, out *core.Out) bool {
	kind, key := ofTransactions, p.opt.TransactionalID
	if what == asksOffsets {
		kind, key = ofGroup, p.txn.offsets[0].member.Group
	}
	to := p.coordinatorFor(now, kind, key, coordinator, out)
	if to == nil {
		p.noCoordinator(kind, key)
		return false
	}
	v, ok := versionOf(to, q.Key(), limit)
	if !ok {
		p.txn.die(Failure{Code: wire.UnsupportedVersion, Text: txnAskNames[what]})
		return false
	}
	q.SetVersion(v)
	p.lastReq++
	p.txn.request, p.txn.asked = p.lastReq, what
	p.pool.Send(now, to, link.Ask{Kind: askTxn, A: p.lastReq}, q, p.opt.RequestTime, out)
	return true
}

// noCoordinator looks whether the coordinator will never be told.
func (p *Producer) noCoordinator(kind coordinatorKind, key string) {
	for i := range p.coordinators {
		switch k := &p.coordinators[i]; {
		case k.kind != kind || k.key != key || k.why.None():
		case k.why.Code == wire.GroupAuthorizationFailed:
			p.txn.sicken(k.why)
		case fatal(k.why.Code):
			p.txn.die(k.why)
		}
	}
}

// askInit asks for a producer id: the first one, or the same one with another epoch (KIP-360).
func (p *Producer) askInit(now core.Now, out *core.Out) {
	q := kmsg.NewInitProducerIDRequest()
	q.TransactionalID = kmsg.StringPtr(p.opt.TransactionalID)
	q.TransactionTimeoutMillis = int32(p.opt.TransactionTime.Millis())
	q.ProducerID, q.ProducerEpoch = -1, -1
	if p.txn.inited {
		q.ProducerID, q.ProducerEpoch = p.producerID, p.epoch
	}
	p.ask(now, asksInit, &q, -1, out)
}

// askPartitions names the partitions for which records wait, and reports whether there are any.
func (p *Producer) askPartitions(now core.Now, out *core.Out) bool {
	q := kmsg.NewAddPartitionsToTxnRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch = p.opt.TransactionalID, p.producerID, p.epoch
	p.txn.adding = p.txn.adding[:0]
	for i := range p.outboxes {
		b := &p.outboxes[i]
		if len(b.batches) == 0 || p.txn.holds(b.at) {
			continue
		}
		if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != b.at.Topic { // outboxes are sorted
			x := kmsg.NewAddPartitionsToTxnRequestTopic()
			x.Topic = b.at.Topic
			q.Topics = append(q.Topics, x)
		}
		x := &q.Topics[len(q.Topics)-1]
		x.Partitions = append(x.Partitions, b.at.Partition)
		p.txn.adding = append(p.txn.adding, b.at)
	}
	if len(q.Topics) == 0 {
		return false
	}
	if p.ask(now, asksPartitions, &q, -1, out) {
		p.txn.begun = true
	}
	return true
}

// askOffsets commits the first list of offsets, in the first protocol after its group was named.
func (p *Producer) askOffsets(now core.Now, out *core.Out) {
	t, o := &p.txn, &p.txn.offsets[0]
	if !t.v2 && !slices.Contains(t.groups, o.member.Group) {
		q := kmsg.NewAddOffsetsToTxnRequest()
		q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group = p.opt.TransactionalID, p.producerID, p.epoch, o.member.Group
		if p.ask(now, asksGroup, &q, -1, out) {
			t.begun = true
		}
		return
	}
	q := kmsg.NewTxnOffsetCommitRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group = p.opt.TransactionalID, p.producerID, p.epoch, o.member.Group
	q.Generation, q.MemberID = o.member.Generation, o.member.Member
	if o.member.Instance != "" {
		q.InstanceID = kmsg.StringPtr(o.member.Instance)
	}
	for _, x := range commitTopics(o.list) {
		topic := kmsg.NewTxnOffsetCommitRequestTopic()
		topic.Topic = x.Topic
		for _, y := range x.Partitions {
			m := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			m.Partition, m.Offset, m.LeaderEpoch, m.Metadata = y.Partition, y.Offset, y.LeaderEpoch, y.Metadata
			topic.Partitions = append(topic.Partitions, m)
		}
		q.Topics = append(q.Topics, topic)
	}
	limit := int16(4) // from version 5 on the group's coordinator adds the group to the transaction by itself (KIP-890)
	if t.v2 {
		limit = 5
	}
	if p.ask(now, asksOffsets, &q, limit, out) {
		t.begun = true
	}
}

// endTxn asks for the end once everything that was sent has come back.
func (p *Producer) endTxn(now core.Now, out *core.Out) {
	t := &p.txn
	if p.pending > 0 {
		return
	}
	if !t.begun || t.lost {
		p.ended()
		p.tendTxn(now, out) // another producer id may be needed
		return
	}
	q := kmsg.NewEndTxnRequest()
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = p.opt.TransactionalID, p.producerID, p.epoch, t.commit
	limit := int16(4) // from version 5 on the answer has another epoch (KIP-890)
	if t.v2 {
		limit = 5
	}
	p.ask(now, asksEnd, &q, limit, out)
}

// ended takes note that the transaction came to the end that was asked for.
func (p *Producer) ended() {
	t := &p.txn
	t.tell(TxnResult{t.number, t.commit, Did, Failure{}})
	t.state, t.begun, t.doubtful, t.why = TxnNone, false, false, Failure{}
	t.renew, t.bump, t.lost = t.renew || t.bump || t.lost, false, false // an owner may give up what still waits for InitProducerId
}
