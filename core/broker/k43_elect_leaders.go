package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// electLeaders serves ElectLeaders v0-v2, which elects leaders: preferred ones, or any replica that is alive (unclean). The active controller answers.
func (b *Broker) electLeaders(now core.Now, r request, q *kmsg.ElectLeadersRequest, out *core.Out) {
	resp, records := b.ctl.ElectLeaders(q)
	b.propose(now, r, q, resp, records, out)
}
