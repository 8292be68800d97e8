package broker

import (
	"klamm/core"
	"klamm/core/group"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnOffsetCommit serves TxnOffsetCommit v0-v5: offsets that count once the transaction is committed. Left out: authorization.
//
// Its story: the group's coordinator is here; the transaction's coordinator confirms that the group's partition of
// __consumer_offsets is part of the transaction, or adds it (v5); the offsets are appended as a batch of the transaction, and
// the reply leaves when that is committed. Below v2 a coordinator that loads says COORDINATOR_NOT_AVAILABLE, which
// clients of that age survive.
func (b *Broker) txnOffsetCommit(now core.Now, r request, q *kmsg.TxnOffsetCommitRequest, out *core.Out) {
	t := &txnCommitTask{r: r, q: q}
	t.rows = b.txnCommitRows(q)
	if q.Group == "" {
		t.refuse(b, now, wire.InvalidGroupID, out)
		return
	}
	c, code := b.coordinator(q.Group)
	if code != wire.None {
		t.refuse(b, now, code, out)
		return
	}
	knows := commitKnows(r.header.Version)
	if !anyCommit(t.rows) || !b.verifies(knows) || q.TransactionalID == "" {
		t.commit(b, now, out)
		return
	}
	t.v = verifying{id: q.TransactionalID, producer: q.ProducerID, epoch: q.ProducerEpoch, knows: knows, since: now.Mono}
	tp := core.TopicPartition{Topic: offsetsTopic, Partition: c.partition}
	guard, is := b.store.Verify(now, c.shard.Log(), log.Verifying{Producer: q.ProducerID, Epoch: q.ProducerEpoch, Sequence: -1, Bumps: knows == knowsAdds})
	switch is {
	case log.VerifyOngoing:
		t.commit(b, now, out)
		return
	case log.VerifyFenced:
		t.refuse(b, now, wire.InvalidProducerEpoch, out)
		return
	case log.VerifyFull:
		t.refuse(b, now, wire.CoordinatorNotAvailable, out)
		return
	}
	t.v.parts = []verifyPart{{tp: tp, log: c.shard.Log(), guard: guard}}
	if t.Advance(b, now, out) {
		return
	}
	b.park(r, t, core.Never, t.v.key())
}

// txnCommitTask is a TxnOffsetCommit request that waits for the verification of its transaction.
type txnCommitTask struct {
	r    request
	q    *kmsg.TxnOffsetCommitRequest
	rows []group.CommitRow
	v    verifying
}

// Advance commits when the transaction's coordinator has answered.
func (t *txnCommitTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if !t.v.over(b, now, out) {
		return false
	}
	if code := t.v.parts[0].code; code != wire.None {
		t.refuse(b, now, commitVerifyCode(code), out)
		return true
	}
	t.commit(b, now, out)
	return true
}

// commitVerifyCode is how a client is told what came of a verification.
func commitVerifyCode(code wire.Code) wire.Code {
	switch code {
	case wire.NetworkException:
		return wire.CoordinatorLoadInProgress
	case wire.UnknownTopicOrPartition, wire.NotEnoughReplicas, wire.RequestTimedOut:
		return wire.CoordinatorNotAvailable
	case wire.NotLeaderOrFollower, wire.KafkaStorageError:
		return wire.NotCoordinator
	}
	return code
}

// commit hands the offsets to the group. The coordinator may have moved while the transaction was verified.
func (t *txnCommitTask) commit(b *Broker, now core.Now, out *core.Out) {
	q := t.q
	c, code := b.coordinator(q.Group)
	if code != wire.None {
		t.refuse(b, now, code, out)
		return
	}
	reply := &groupReply{r: t.r}
	if anyCommit(t.rows) {
		env := b.groupEnv(now, c, out)
		if len(t.v.parts) > 0 {
			env.Log = groupLog{b: b, c: c, out: out, guard: t.v.parts[0].guard}
		}
		by := group.Committer{
			Group: q.Group, Member: q.MemberID, Instance: q.InstanceID, Generation: q.Generation, Retention: -1,
			InTransaction: true, Producer: q.ProducerID, Epoch: q.ProducerEpoch,
		}
		reply.awaitEnd(0, c, c.groups.Commit(env, &by, t.rows))
	}
	reply.resp = t.response()
	b.replyDurable(now, reply, out)
}

func (t *txnCommitTask) refuse(b *Broker, now core.Now, code wire.Code, out *core.Out) {
	for i := range t.rows {
		if t.rows[i].Code == wire.None {
			t.rows[i].Code = code
		}
	}
	b.reply(now, t.r, t.response(), out)
}

func (t *txnCommitTask) response() *kmsg.TxnOffsetCommitResponse {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	rows := t.rows
	for i := range t.q.Topics {
		topic := kmsg.NewTxnOffsetCommitResponseTopic()
		topic.Topic = t.q.Topics[i].Topic
		for range t.q.Topics[i].Partitions {
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rows[0].Partition.Partition, int16(txnCommitCode(rows[0].Code, t.r.header.Version))
			topic.Partitions = append(topic.Partitions, p)
			rows = rows[1:]
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// txnCommitCode is a code as a version knows it.
func txnCommitCode(code wire.Code, version int16) wire.Code {
	if code == wire.CoordinatorLoadInProgress && version < 2 {
		return wire.CoordinatorNotAvailable
	}
	return code
}

// txnCommitRows are the offsets of a request, with what is wrong with them already.
func (b *Broker) txnCommitRows(q *kmsg.TxnOffsetCommitRequest) (rows []group.CommitRow) {
	for i := range q.Topics {
		topic := b.img.Topic(q.Topics[i].Topic)
		for j := range q.Topics[i].Partitions {
			p := &q.Topics[i].Partitions[j]
			row := group.CommitRow{Offset: core.Offset(p.Offset), LeaderEpoch: core.Epoch(p.LeaderEpoch)}
			row.Partition.Partition = p.Partition
			if p.Metadata != nil {
				row.Metadata = *p.Metadata
			}
			if topic == nil || topic.Partition(p.Partition) == nil {
				row.Code = wire.UnknownTopicOrPartition
			} else {
				row.Partition.Topic, row.TopicID = topic.Name, topic.ID
			}
			rows = append(rows, row)
		}
	}
	return rows
}
