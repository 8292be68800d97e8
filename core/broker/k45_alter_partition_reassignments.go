package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartitionReassignments serves AlterPartitionReassignments v0-v1, which begins, changes or cancels reassignments of partitions (KIP-455). The active controller answers.
func (b *Broker) alterPartitionReassignments(now core.Now, r request, q *kmsg.AlterPartitionAssignmentsRequest, out *core.Out) {
	resp, records := b.ctl.AlterPartitionReassignments(q)
	b.propose(now, r, q, resp, records, out)
}
