package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterPartition decides an AlterPartition request: the leader of a partition asks for another in-sync set (KIP-497).
func (c *Controller) AlterPartition(q *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.AlterPartitionResponse)
	b, code := c.checkEpoch(q.BrokerID, q.BrokerEpoch)
	if code != wire.None {
		resp.ErrorCode = int16(code)
		return resp, nil
	}
	d := c.draft()
	for i := range q.Topics {
		asked := &q.Topics[i]
		rows := kmsg.NewAlterPartitionResponseTopic()
		rows.TopidID = asked.TopicID // kmsg spells it so
		topic := c.img.TopicByID(asked.TopicID)
		var on terms
		if topic != nil {
			on = c.terms(topic.Name)
		}
		for j := range asked.Partitions {
			row := kmsg.NewAlterPartitionResponseTopicPartition()
			row.Partition = asked.Partitions[j].Partition
			if topic == nil {
				row.ErrorCode = int16(wire.UnknownTopicID)
			} else {
				d.alterPartition(topic, b.ID, &asked.Partitions[j], q.Version, on, &row)
			}
			rows.Partitions = append(rows.Partitions, row)
		}
		resp.Topics = append(resp.Topics, rows)
	}
	return resp, d.records
}

// proposed is a member of an in-sync set that a leader asks for; epoch is -1 if it does not tell (before KIP-903).
type proposed struct {
	id    core.NodeID
	epoch int64
}

// alterPartition decides one row.
func (d *draft) alterPartition(t *image.Topic, from core.NodeID, q *kmsg.AlterPartitionRequestTopicPartition, version int16, on terms, row *kmsg.AlterPartitionResponseTopicPartition) {
	p := t.Partition(q.Partition)
	if p == nil {
		row.ErrorCode = int16(wire.UnknownTopicOrPartition)
		return
	}
	p = d.now(t, p)
	isr := make([]proposed, 0, len(q.NewEpochISR)+len(q.NewISR))
	for i := range q.NewEpochISR {
		isr = append(isr, proposed{core.NodeID(q.NewEpochISR[i].BrokerID), q.NewEpochISR[i].BrokerEpoch})
	}
	if version < 3 {
		for _, id := range q.NewISR {
			isr = append(isr, proposed{core.NodeID(id), -1})
		}
	}
	if code := d.checkISR(p, from, q, isr); code != wire.None {
		row.ErrorCode = int16(code)
		return
	}
	ch := d.change(t, p, on)
	ch.isr = make([]core.NodeID, len(isr))
	for i, m := range isr {
		ch.isr[i] = m.id
	}
	ch.recovering = q.LeaderRecoveryState == 1
	next, changed := ch.decide()
	switch {
	case !changed && d.full:
		row.ErrorCode = int16(tooLarge.code)
		return
	case next.Leader != from: // the change finished a reassignment that this leader is no part of
		row.ErrorCode = int16(wire.NewLeaderElected)
		return
	}
	row.LeaderID, row.LeaderEpoch, row.PartitionEpoch = int32(next.Leader), int32(next.LeaderEpoch), int32(next.Epoch)
	if next.Recovering {
		row.LeaderRecoveryState = 1
	}
	for _, n := range next.ISR {
		row.ISR = append(row.ISR, int32(n))
	}
}

// checkISR checks, in Kafka's order, who asks, what he knows, and what he asks for. A leader that knows more than this
// controller speaks to a deposed one.
func (d *draft) checkISR(p *image.Partition, from core.NodeID, q *kmsg.AlterPartitionRequestTopicPartition, isr []proposed) wire.Code {
	leaderEpoch, epoch := core.Epoch(q.LeaderEpoch), core.PartitionEpoch(q.PartitionEpoch)
	state := q.LeaderRecoveryState
	switch {
	case leaderEpoch > p.LeaderEpoch, epoch > p.Epoch:
		return wire.NotController
	case leaderEpoch < p.LeaderEpoch:
		return wire.FencedLeaderEpoch
	case from != p.Leader:
		return wire.InvalidRequest
	case epoch < p.Epoch:
		return wire.InvalidUpdateVersion
	case len(isr) > len(p.Replicas) || !slices.ContainsFunc(isr, func(m proposed) bool { return m.id == from }):
		return wire.InvalidRequest
	}
	for i, m := range isr {
		if !slices.Contains(p.Replicas, m.id) || slices.ContainsFunc(isr[:i], func(o proposed) bool { return o.id == m.id }) {
			return wire.InvalidRequest
		}
	}
	if state != 0 && state != 1 || state == 1 && (len(isr) > 1 || !p.Recovering) {
		return wire.InvalidRequest
	}
	for _, m := range isr {
		dir := p.Directories[slices.Index(p.Replicas, m.id)]
		if b := d.c.img.Broker(m.id); !d.alive(m.id) || !d.online(m.id, dir) || m.epoch != -1 && m.epoch != int64(b.Epoch) {
			return wire.IneligibleReplica
		}
	}
	return wire.None
}
