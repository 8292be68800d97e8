package sim

import (
	"fmt"
	"slices"

	"klamm/core"
	"klamm/core/client"
)

// Of each group of the classic protocol that has several members, the last leaves for good in the calm, when it owns something. Nobody comes in its
// stead, so only that it left can move the coordinator to give what it had to the others (I53).

const (
	// departSession is the session of one that is to leave, on one broker. It is so long that a coordinator that waits for it is told from one that does not.
	departSession = 45 * core.Second
	// departBound is how long the others may take over it all: until they hear of it, for two rounds, in each of which somebody who was paused
	// is waited for (6 s), and as long again for the session of one who went without a word.
	departBound = 30 * core.Second
	// departAck is the longest that LeaveGroup takes on a broker that is well. Who goes later may not have been heard.
	departAck = 1500 * core.Millisecond
	// departWait is how long one that owns nothing waits for something to leave behind.
	departWait = 15 * core.Second
)

// departure is a member that left its group for good.
type departure struct {
	a      *reading
	owned  []core.TopicPartition // when it left
	asked  core.Time             // of the world: when it said so
	gone   core.Time             // and when it was gone; 0: it is not yet
	lives  uint32                // of the brokers, together, when it was
	bound  bool                  // the coordinator has heard it
	passed bool                  // others own what it had
}

// departs says whether a member is to leave for good.
func (r *run) departs(g, m int) bool {
	return r.cfg.Workload == Groups && m > 0 && m == r.cfg.Groups[g]-1 && !r.cfg.consumers[g] && !r.cfg.rolls[g] && r.cfg.Set != SetDamage && r.cfg.Set != SetLying
}

// departing shapes such a member: a static one does not say that it leaves.
func (r *run) departing(o *client.GroupOptions) {
	if o.Instance = ""; !r.cfg.topology.many() { // of several brokers another may take over, and not know that somebody left while no round has ended
		o.SessionTime = departSession
	}
}

// brokerLives changes whenever a broker is started.
func (r *run) brokerLives() (n uint32) {
	for i := range r.cfg.topology.nodes() {
		n += r.w.Nodes[i].Life
	}
	return n
}

// depart lets a member go for good, if that is what it is to do and the time has come.
func (a *reading) depart(now core.Now, out *core.Out) {
	r := a.r
	if i := slices.IndexFunc(r.departures, func(d departure) bool { return d.a == a }); i >= 0 {
		if d := &r.departures[i]; d.gone == 0 && a.c.Gone() {
			d.bound = d.lives == r.brokerLives() && r.w.now < d.asked+departAck && !r.cfg.topology.many()
			d.gone, a.owned = r.w.now, nil
			r.deed(deedForGood)
		}
		return
	}
	if r.stage != stageCalm || a.leaving || len(a.owned) == 0 || r.w.now < r.calmFrom+core.Second || a.countedAt < r.calmFrom || !r.others(a) {
		return
	}
	r.departures = append(r.departures, departure{a: a, owned: slices.Clone(a.owned), asked: r.w.now, lives: r.brokerLives()})
	a.stay = core.Never
	a.c.Leave(now, out)
}

// others reports whether the group of a member has another one.
func (r *run) others(a *reading) bool {
	return slices.ContainsFunc(r.members, func(b *reading) bool { return b.group == a.group && b.place != a.place })
}

// taken reports whether members that are there own all that one that left had.
func (r *run) taken(d *departure) bool {
	for _, p := range d.owned {
		if !slices.ContainsFunc(r.members, func(b *reading) bool { return b.group == d.a.group && slices.Contains(b.owned, p) && r.current(b) }) {
			return false
		}
	}
	return true
}

// judgeDepartures looks whether the groups go on without those who left.
func (r *run) judgeDepartures() {
	lives := r.brokerLives()
	for i := range r.departures {
		d := &r.departures[i]
		if d.passed || d.gone == 0 {
			continue
		}
		d.bound = d.bound && d.lives == lives // a round that has not ended is forgotten with the broker
		if d.passed = r.taken(d); !d.passed && d.bound && r.w.now > d.gone+departBound {
			r.oracle.fail("I53", "group %s: nobody owns all that member %d had, %d ms after it left", d.a.group, d.a.place, (r.w.now - d.gone).Millis())
		}
	}
}

// undeparted says which group has not gone on without the one that leaves it.
func (r *run) undeparted() string {
	for _, a := range r.members {
		if !a.departs || !r.current(a) || !r.others(a) {
			continue
		}
		i := slices.IndexFunc(r.departures, func(d departure) bool { return d.a == a })
		switch {
		case i < 0 && r.w.now > r.calmFrom+departWait: // there is nothing for it, or it came too late
		case i < 0:
			return fmt.Sprintf("member %d of group %s is still to leave", a.place, a.group)
		case !r.departures[i].passed:
			return fmt.Sprintf("nobody owns all that member %d of group %s had", a.place, a.group)
		}
	}
	return ""
}
