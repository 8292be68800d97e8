package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// brokerRegistration serves BrokerRegistration v0-v4, on the controller listener. The end of the metadata log becomes the
// broker's epoch (KIP-631).
func (b *Broker) brokerRegistration(now core.Now, r request, q *kmsg.BrokerRegistrationRequest, out *core.Out) {
	resp, records := b.ctl.BrokerRegistration(now, q, b.node.End(b.store))
	b.propose(now, r, q, resp, records, out)
}
