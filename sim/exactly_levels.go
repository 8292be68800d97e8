package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/client"
)

// levels changes the cluster's transaction.version while transactions are under way (KIP-890): producers follow when they learn of
// it, one by one, so that all protocols are spoken at once. In the end the level is what the run was to have.
type levels struct {
	e      *exactly
	entity uint64
	a      *client.Admin
	next   core.Time
	call   client.CallID
	asked  int16
}

// transactionVersionMax is the newest level.
const transactionVersionMax = 2

func (e *exactly) newLevels(entity uint64) core.Machine {
	return &levels{e: e, entity: entity, a: client.NewAdmin(client.AdminOptions{Options: e.r.options(entity), CallTime: 8 * core.Second})}
}

func (l *levels) Next() core.Time {
	if l.call != 0 {
		return l.a.Next()
	}
	return min(l.next, l.a.Next())
}

func (l *levels) Step(now core.Now, ev *core.Event, out *core.Out) {
	if l.a.Mine(ev) {
		l.a.Step(now, ev, out)
	}
	if ev.Kind == core.Boot {
		l.next = now.Mono + 100*core.Millisecond
	}
	for _, x := range l.a.Answers() {
		if x.Call != l.call {
			continue
		}
		l.call = 0
		if p, ok := x.Response.(*kmsg.UpdateFeaturesResponse); ok && p.ErrorCode == 0 && allDone(p) {
			l.e.r.deed(deedLevel)
		}
	}
	if now.Mono >= l.next && l.call == 0 && l.e.r.turn(l.entity, now, &l.next) {
		l.change(now, out)
	}
}

func allDone(p *kmsg.UpdateFeaturesResponse) bool {
	for i := range p.Results {
		if p.Results[i].ErrorCode != 0 {
			return false
		}
	}
	return true
}

// change asks for another level.
func (l *levels) change(now core.Now, out *core.Out) {
	v := l.e.r.choose(l.entity, siteWork, l.entity, 1<<32)
	if l.next = now.Mono + core.Time(500+v&0xfff)*core.Millisecond; l.e.quiet() {
		l.next = core.Never
		return
	}
	l.asked = int16(v>>12) % (transactionVersionMax + 1)
	q := kmsg.NewPtrUpdateFeaturesRequest()
	q.TimeoutMillis = 5000
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.AllowDowngrade, u.UpgradeType = "transaction.version", l.asked, true, 2
	if v>>20&1 == 0 {
		u.UpgradeType, u.AllowDowngrade = 1, false
	}
	q.FeatureUpdates = append(q.FeatureUpdates, u)
	l.e.r.says(l.entity, "transaction.version=%d", l.asked)
	l.call = l.a.Ask(now, core.NoNode, q, true, out)
}
