package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// incrementalAlterConfigs serves IncrementalAlterConfigs v0-v1 (KIP-339). Topics, brokers, the default of all brokers and
// groups can be configured; loggers and client metrics cannot.
func (b *Broker) incrementalAlterConfigs(now core.Now, r request, q *kmsg.IncrementalAlterConfigsRequest, out *core.Out) {
	resp, records := b.ctl.IncrementalAlterConfigs(q)
	b.propose(now, r, q, resp, records, out)
}
