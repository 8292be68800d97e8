package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// brokerHeartbeat serves BrokerHeartbeat v0-v2, which keeps the session of a broker alive, lets it in, and lets it go (KIP-631). The active controller answers.
func (b *Broker) brokerHeartbeat(now core.Now, r request, q *kmsg.BrokerHeartbeatRequest, out *core.Out) {
	resp, records := b.ctl.BrokerHeartbeat(now, q)
	b.propose(now, r, q, resp, records, out)
}
