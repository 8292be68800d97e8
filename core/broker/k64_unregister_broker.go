package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// unregisterBroker serves UnregisterBroker v0, which takes a broker that is gone for good out of the metadata. The active controller answers.
func (b *Broker) unregisterBroker(now core.Now, r request, q *kmsg.UnregisterBrokerRequest, out *core.Out) {
	resp, records := b.ctl.UnregisterBroker(q)
	b.propose(now, r, q, resp, records, out)
}
