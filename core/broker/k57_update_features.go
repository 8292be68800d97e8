package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// updateFeatures serves UpdateFeatures v0-v2, which sets the levels of features (KIP-584). The active controller answers.
func (b *Broker) updateFeatures(now core.Now, r request, q *kmsg.UpdateFeaturesRequest, out *core.Out) {
	resp, records := b.ctl.UpdateFeatures(q)
	b.propose(now, r, q, resp, records, out)
}
