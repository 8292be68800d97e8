package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterConfigs serves AlterConfigs v0-v2, which replaces all that a resource has. Topics, brokers and groups can be
// configured; loggers and client metrics cannot.
func (b *Broker) alterConfigs(now core.Now, r request, q *kmsg.AlterConfigsRequest, out *core.Out) {
	resp, records := b.ctl.AlterConfigs(q)
	b.propose(now, r, q, resp, records, out)
}
