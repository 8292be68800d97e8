package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTopics serves CreateTopics v2-v7. The reply waits until the topics are in the metadata and their logs can be
// written, where Apache Kafka may answer a little earlier; the request's own timeout is not counted, since a change that was
// begun is never taken back. Two names in one request that differ only in dots and underscores collide here, as they do
// over two requests; Apache Kafka lets that through.
func (b *Broker) createTopics(now core.Now, r request, q *kmsg.CreateTopicsRequest, out *core.Out) {
	resp, records := b.ctl.CreateTopics(q)
	b.propose(now, r, q, resp, records, out)
}
