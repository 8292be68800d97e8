package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// controllerRegistration serves ControllerRegistration v0, which enters a controller and its listeners into the metadata (KIP-919). The active controller answers.
func (b *Broker) controllerRegistration(now core.Now, r request, q *kmsg.ControllerRegistrationRequest, out *core.Out) {
	resp, records := b.ctl.ControllerRegistration(q)
	b.propose(now, r, q, resp, records, out)
}
