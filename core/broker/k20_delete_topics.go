package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteTopics serves DeleteTopics v1-v6. When the reply leaves, the topics are gone from the metadata; their
// directories are renamed at once and removed after file.delete.delay.ms.
func (b *Broker) deleteTopics(now core.Now, r request, q *kmsg.DeleteTopicsRequest, out *core.Out) {
	resp, records := b.ctl.DeleteTopics(q)
	b.propose(now, r, q, resp, records, out)
}
