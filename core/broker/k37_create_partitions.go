package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions serves CreatePartitions v0-v3. A request for more than controller.PartitionsPerRequestMax partitions
// is a POLICY_VIOLATION, as with CreateTopics; Apache Kafka answers UNKNOWN_SERVER_ERROR and may have made them.
func (b *Broker) createPartitions(now core.Now, r request, q *kmsg.CreatePartitionsRequest, out *core.Out) {
	resp, records := b.ctl.CreatePartitions(q)
	b.propose(now, r, q, resp, records, out)
}
