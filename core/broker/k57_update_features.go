package broker

import (
	"klamm/core"
	"klamm/core/controller"
	"klamm/core/quorum"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// updateFeatures serves UpdateFeatures v0-v2, which sets the levels of features (KIP-584). The active controller answers. The level of
// kraft.version lies with the voters, not in the controller's image: the quorum's node writes it (KIP-853).
func (b *Broker) updateFeatures(now core.Now, r request, q *kmsg.UpdateFeaturesRequest, out *core.Out) {
	level, asked := controller.KRaftAsked(q)
	kraft := controller.KRaft{Level: b.node.KRaft()}
	if asked {
		kraft.Why = b.node.Upgradable(level)
	}
	resp, records := b.ctl.UpdateFeatures(q, kraft)
	switch {
	case resp.ErrorCode != 0 || q.ValidateOnly || !asked || level == kraft.Level:
		b.propose(now, r, q, resp, records, out)
	case len(records) > 0:
		b.propose(now, r, q, resp, records, out)
		b.node.Upgrade(now, 0, level, b.store, out)
	default:
		b.reign.tickets++
		t := &upgradeTask{quorumTask: quorumTask{r: r, ticket: quorum.Ticket(b.reign.tickets)}, q: q, resp: resp}
		b.park(r, t, core.Never, waitKey{kind: waitQuorum, id: uint64(t.ticket)})
		b.node.Upgrade(now, t.ticket, level, b.store, out)
	}
}

// upgradeTask is a change of kraft.version that waits to be committed.
type upgradeTask struct {
	quorumTask
	q    *kmsg.UpdateFeaturesRequest
	resp *kmsg.UpdateFeaturesResponse
}

// Advance answers when it is, or when nobody will know.
func (t *upgradeTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.node.Cancel(t.ticket)
		b.noReply(now, t.r, out)
		return true
	}
	got, ok := b.found(waitKey{kind: waitQuorum, id: uint64(t.ticket)})
	if !ok {
		return false
	}
	if r, ok := got.resp.(*kmsg.UpdateFeaturesResponse); ok && r.ErrorCode != 0 {
		out.Mark("broker.upgrade-in-vain")
		b.refuse(now, t.r, t.q, wire.Code(r.ErrorCode), out)
		return true
	}
	b.reply(now, t.r, t.resp, out)
	return true
}
