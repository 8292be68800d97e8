package controller

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterPartitionReassignments decides an AlterPartitionReassignments request (KIP-455): each partition by itself gets
// another assignment, or is to keep the one that it had before a reassignment began.
func (c *Controller) AlterPartitionReassignments(q *kmsg.AlterPartitionAssignmentsRequest) (*kmsg.AlterPartitionAssignmentsResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = q.AllowReplicationFactorChange
	d := c.draft()
	for i := range q.Topics {
		asked := &q.Topics[i]
		rows := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		rows.Topic = asked.Topic
		for j := range asked.Partitions {
			r := d.reassign(asked.Topic, &asked.Partitions[j], q.AllowReplicationFactorChange)
			row := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			row.Partition, row.ErrorCode, row.ErrorMessage = asked.Partitions[j].Partition, int16(r.code), r.message()
			rows.Partitions = append(rows.Partitions, row)
		}
		resp.Topics = append(resp.Topics, rows)
	}
	return resp, d.records
}

func (d *draft) reassign(topic string, q *kmsg.AlterPartitionAssignmentsRequestTopicPartition, anyFactor bool) refusal {
	t := d.c.img.Topic(topic)
	if t == nil {
		return refusal{wire.UnknownTopicOrPartition, "Unable to find a topic named " + topic + "."}
	}
	p := t.Partition(q.Partition)
	if p == nil {
		return refusal{wire.UnknownTopicOrPartition, "Unable to find partition " + topic + ":" + strconv.Itoa(int(q.Partition)) + "."}
	}
	ch := d.change(t, d.now(t, p), d.c.terms(topic))
	var r refusal
	if q.Replicas == nil {
		r = ch.cancel()
	} else {
		r = ch.assign(q.Replicas, anyFactor)
	}
	if r.bad() {
		return r
	}
	if _, changed := ch.decide(); !changed && d.full {
		return tooLarge
	}
	return refusal{}
}

// assign asks for another assignment. What is not in it any longer stays until the new replicas are in sync. A reassignment
// that is under way gives way to this one: what it was adding, and this one does not want, goes at once unless it holds
// records that count; then it goes when this one ends, and goes too if this one is cancelled, which is what being
// both added and removed means.
func (ch *change) assign(replicas []int32, anyFactor bool) refusal {
	target, r := ch.d.c.checkReplicas(replicas)
	if r.bad() {
		return r
	}
	p := ch.old
	planned := len(p.Replicas) - len(p.Removing)
	if !anyFactor && len(target) != planned {
		return refusal{wire.InvalidReplicationFactor, "The replication factor is changed from " + strconv.Itoa(planned) + " to " + strconv.Itoa(len(target))}
	}
	original := keep(p.Replicas, func(n core.NodeID) bool { return !slices.Contains(p.Adding, n) })
	gone := keep(p.Replicas, func(n core.NodeID) bool {
		return !slices.Contains(target, n) &&
			(slices.Contains(original, n) || slices.Contains(p.ISR, n) || slices.Contains(p.ELR, n) || slices.Contains(p.LastKnownELR, n))
	})
	slices.Sort(gone)
	ch.replicas = append(slices.Clone(target), gone...)
	ch.removing = gone
	ch.adding = keep(ch.replicas, func(n core.NodeID) bool { return !slices.Contains(original, n) })
	slices.Sort(ch.adding)
	return refusal{}
}

// cancel asks for the assignment of before the reassignment. If that leaves nobody in sync, and nobody eligible who could
// lead, it would lose records: that takes unclean elections to be allowed.
func (ch *change) cancel() refusal {
	p := ch.old
	if len(p.Adding) == 0 && len(p.Removing) == 0 {
		return refusal{wire.NoReassignmentInProgress, "No partition reassignment is in progress."}
	}
	stays := func(n core.NodeID) bool { return !slices.Contains(p.Adding, n) }
	ch.replicas, ch.isr = keep(p.Replicas, stays), keep(p.ISR, stays)
	ch.adding, ch.removing = []core.NodeID{}, []core.NodeID{}
	if len(ch.replicas) == 0 {
		return refusal{wire.InvalidReplicaAssignment, "Invalid replica assignment: addingReplicas contains all replicas."}
	}
	if len(ch.isr) > 0 || len(p.ISR) == 0 { // nobody in sync before: nothing gets worse
		return refusal{}
	}
	try := *ch
	try.settle()
	if (try.leader == core.NoNode || try.unclean) && !ch.on.unclean {
		return refusal{wire.InvalidReplicaAssignment, "Unable to revert partition assignment for " + ch.topic.Name + ":" + strconv.Itoa(int(p.ID)) +
			" because it would require an unclean leader election."}
	}
	return refusal{}
}

// ListPartitionReassignments answers which partitions are being reassigned: of those that are named, or of all.
func (c *Controller) ListPartitionReassignments(q *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := q.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	list := func(t *image.Topic, want func(int32) bool) {
		rows := kmsg.NewListPartitionReassignmentsResponseTopic()
		rows.Topic = t.Name
		for _, p := range t.Partitions {
			if len(p.Adding)+len(p.Removing) > 0 && want(p.ID) {
				row := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
				row.Partition, row.Replicas, row.AddingReplicas, row.RemovingReplicas = p.ID, plain(p.Replicas), plain(p.Adding), plain(p.Removing)
				rows.Partitions = append(rows.Partitions, row)
			}
		}
		if len(rows.Partitions) > 0 {
			resp.Topics = append(resp.Topics, rows)
		}
	}
	if q.Topics == nil {
		for t := range c.img.Topics() {
			list(t, func(int32) bool { return true })
		}
		return resp
	}
	for i := range q.Topics {
		if t := c.img.Topic(q.Topics[i].Topic); t != nil {
			list(t, func(id int32) bool { return slices.Contains(q.Topics[i].Partitions, id) })
		}
	}
	return resp
}

// plain is a set of nodes as the protocol has it.
func plain(set []core.NodeID) []int32 {
	out := make([]int32, len(set))
	for i, n := range set {
		out[i] = int32(n)
	}
	return out
}
