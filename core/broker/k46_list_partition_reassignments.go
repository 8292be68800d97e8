package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listPartitionReassignments serves ListPartitionReassignments v0. The active controller answers.
func (b *Broker) listPartitionReassignments(now core.Now, r request, q *kmsg.ListPartitionReassignmentsRequest, out *core.Out) {
	b.reply(now, r, b.ctl.ListPartitionReassignments(q), out)
}
