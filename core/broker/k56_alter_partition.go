package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartition serves AlterPartition v2-v3, which is how a leader asks for another in-sync set (KIP-497). The active controller answers.
func (b *Broker) alterPartition(now core.Now, r request, q *kmsg.AlterPartitionRequest, out *core.Out) {
	resp, records := b.ctl.AlterPartition(q)
	b.propose(now, r, q, resp, records, out)
}
