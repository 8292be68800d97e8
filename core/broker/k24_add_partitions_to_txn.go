package broker

import (
	"klamm/core"
	"klamm/core/txn"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// addPartitionsToTxn serves AddPartitionsToTxn v0-v5: from clients up to v3, from brokers from v4 on, for several transactions
// at once, and to verify only (KIP-890). Left out: authorization.
func (b *Broker) addPartitionsToTxn(now core.Now, r request, q *kmsg.AddPartitionsToTxnRequest, out *core.Out) {
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	t := &groupReply{r: r, resp: resp}
	if r.header.Version >= 4 {
		for i := range q.Transactions {
			b.addOfBroker(now, t, resp, &q.Transactions[i], out)
		}
		b.replyWithin(now, t, b.cfg.RequestTime, out)
		return
	}
	a := txn.Adding{ID: q.TransactionalID, Producer: txn.Producer{ID: q.ProducerID, Epoch: q.ProducerEpoch}}
	for i := range q.Topics {
		a.Partitions = appendPartitions(a.Partitions, q.Topics[i].Topic, q.Topics[i].Partitions)
	}
	codes := b.add(now, t, 0, &a, false, out)
	for i := range q.Topics {
		row := kmsg.NewAddPartitionsToTxnResponseTopic()
		row.Topic = q.Topics[i].Topic
		for _, p := range q.Topics[i].Partitions {
			k := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			k.Partition, k.ErrorCode = p, int16(fencedAs(codes[0], r.header.Version, 2))
			codes, row.Partitions = codes[1:], append(row.Partitions, k)
		}
		resp.Topics = append(resp.Topics, row)
	}
	b.replyWithin(now, t, b.cfg.RequestTime, out)
}

// addOfBroker serves one transaction of a broker's request.
func (b *Broker) addOfBroker(now core.Now, t *groupReply, resp *kmsg.AddPartitionsToTxnResponse, q *kmsg.AddPartitionsToTxnRequestTransaction, out *core.Out) {
	a := txn.Adding{ID: q.TransactionalID, Producer: txn.Producer{ID: q.ProducerID, Epoch: q.ProducerEpoch}, Version: 2}
	for i := range q.Topics {
		a.Partitions = appendPartitions(a.Partitions, q.Topics[i].Topic, q.Topics[i].Partitions)
	}
	codes := b.add(now, t, len(resp.Transactions), &a, q.VerifyOnly, out)
	row := kmsg.NewAddPartitionsToTxnResponseTransaction()
	row.TransactionalID = q.TransactionalID
	for i := range q.Topics {
		topic := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		topic.Topic = q.Topics[i].Topic
		for _, p := range q.Topics[i].Partitions {
			k := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			k.Partition, k.ErrorCode = p, int16(codes[0])
			codes, topic.Partitions = codes[1:], append(topic.Partitions, k)
		}
		row.Topics = append(row.Topics, topic)
	}
	resp.Transactions = append(resp.Transactions, row)
}

func appendPartitions(list []core.TopicPartition, topic string, partitions []int32) []core.TopicPartition {
	for _, p := range partitions {
		list = append(list, core.TopicPartition{Topic: topic, Partition: p})
	}
	return list
}

// add decides a request for one transaction and returns a code for each of its partitions. If one partition is refused, none is
// added. What the codes say may be told when the row of t may.
func (b *Broker) add(now core.Now, t *groupReply, row int, a *txn.Adding, verify bool, out *core.Out) []wire.Code {
	codes := make([]wire.Code, len(a.Partitions))
	refused, client := false, t.r.header.Version < 4
	for i, p := range a.Partitions {
		codes[i] = wire.OperationNotAttempted
		if topic := b.img.Topic(p.Topic); topic == nil || topic.Partition(p.Partition) == nil {
			codes[i], refused = wire.UnknownTopicOrPartition, true
		} else if client && internalTopic(p.Topic) { // offsets come in by AddOffsetsToTxn, or by their coordinator
			codes[i], refused = wire.TopicAuthorizationFailed, true
		}
	}
	if refused || len(a.Partitions) == 0 {
		return codes
	}
	fill := func(code wire.Code) []wire.Code {
		for i := range codes {
			codes[i] = code
		}
		return codes
	}
	if a.ID == "" {
		return fill(wire.InvalidRequest)
	}
	c, code := b.txnShardOf(a.ID)
	if code != wire.None {
		return fill(code)
	}
	if verify {
		codes, end := c.state.Verify(a)
		t.awaitTxns(row, c, end)
		return codes
	}
	x := c.state.Add(b.txnEnv(now, c, out), a)
	t.awaitTxns(row, c, x.End)
	return fill(x.Code)
}

// fencedAs is the code for a fenced producer that a version of a request knows.
func fencedAs(code wire.Code, version, since int16) wire.Code {
	if code == wire.ProducerFenced && version < since {
		return wire.InvalidProducerEpoch
	}
	return code
}
