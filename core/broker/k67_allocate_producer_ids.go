package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// allocateProducerIDs serves AllocateProducerIds v0: a broker's next block of producer ids (KIP-730).
func (b *Broker) allocateProducerIDs(now core.Now, r request, q *kmsg.AllocateProducerIDsRequest, out *core.Out) {
	resp, records := b.ctl.ProducerIDs(q)
	b.propose(now, r, q, resp, records, out)
}
