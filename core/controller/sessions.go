package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"
)

// session is what the active controller knows of a broker beside the metadata: gone with the leadership.
type session struct {
	id         core.NodeID
	at         core.Time   // when it was last heard; -1 since its registration: never
	heard      bool        // it spoke here itself: not only given the benefit of the doubt at a failover
	applied    core.Offset // the last metadata offset that it says it has applied, -1: none
	registered core.Offset // of its registration, if that was written here
	stopping   core.Offset // the last offset of what its controlled shutdown took from it, noOffset: not known
	moved      bool        // a decision moved leaderships away: the next Appended tells stopping
}

const noOffset core.Offset = -1

// BrokersMax bounds the brokers of a cluster: each has a session, and every change of a broker looks at all of them.
const BrokersMax = 10000

// TakeOver makes the controller the active one, on the newest committed image. Every broker that may lead gets a full
// session from now on, for nobody here knows when it was last heard.
func (c *Controller) TakeOver(now core.Now, img *image.Image) {
	c.Reset(img)
	c.active, c.sweep = true, true
	for _, b := range img.Brokers() {
		s := c.session(b.ID)
		if !b.Fenced {
			s.at = now.Mono
		}
		if b.ControlledShutdown {
			s.stopping = img.End() - 1
		}
	}
	c.ticked, c.balanceAt = now.Mono, now.Mono.After(c.balanceEvery())
}

// Reset makes the committed image the newest: at boot, and when what was appended after it was lost. What was known of
// sessions is forgotten: whoever leads now will judge.
func (c *Controller) Reset(img *image.Image) {
	c.img, c.active, c.sessions, c.sweep = img, false, nil, false
}

// session is that of a broker, made if it is not there.
func (c *Controller) session(id core.NodeID) *session {
	at, ok := slices.BinarySearchFunc(c.sessions, id, func(s session, id core.NodeID) int { return int(int64(s.id) - int64(id)) })
	if !ok {
		c.sessions = slices.Insert(c.sessions, at, session{id: id, at: -1, applied: -1, registered: -1, stopping: noOffset})
	}
	return &c.sessions[at]
}

func (c *Controller) sessionTimeout() core.Time {
	if c.cfg.Session > 0 {
		return c.cfg.Session
	}
	return core.Millis(c.view().Broker("broker.session.timeout.ms").Int())
}

// lives reports whether a broker was heard so lately that another process of the same id must be a mistake. One that has
// the very directories of the registered one, which a process locks, is that broker after a crash, unless its disk was
// copied: then the other one is still heard at every turn. This node's own broker is one process with its controller: what
// is only given the benefit of the doubt was its former life.
func (c *Controller) lives(now core.Now, b *image.Broker, dirs [][16]byte) bool {
	s, wait := c.session(b.ID), c.sessionTimeout()
	if len(dirs) > 0 && len(dirs) == len(b.LogDirs) && !slices.ContainsFunc(dirs, func(d [16]byte) bool { return !slices.Contains(b.LogDirs, core.TopicID(d)) }) {
		wait /= sameDirectories
	}
	return now.Mono < s.end(wait) && (s.heard || b.ID != c.cfg.Node)
}

// sameDirectories divides the session timeout for a broker that comes back with its directories. What is left must be longer
// than an interval between heartbeats.
const sameDirectories = 4

// end is when the session ends unless the broker is heard before.
func (s *session) end(timeout core.Time) core.Time {
	if s.at < 0 {
		return 0
	}
	return s.at.After(timeout)
}

// Tick returns what time brings, one piece at a time: it is called again once that is appended, until nothing is left.
func (c *Controller) Tick(now core.Now) []wire.Record {
	if !c.active {
		return nil
	}
	c.slept(now)
	if records := c.fenceSilent(now); records != nil {
		return records
	}
	if c.sweep {
		if records := c.electLeaderless(); records != nil {
			return records
		}
	}
	if now.Mono >= c.balanceAt {
		records := c.balance()
		if records == nil {
			c.balanceAt = now.Mono.After(c.balanceEvery())
		}
		return records
	}
	return nil
}

// Next is when Tick has something to do.
func (c *Controller) Next() core.Time {
	switch {
	case !c.active:
		return core.Never
	case c.sweep:
		return 0
	}
	timeout := c.sessionTimeout()
	next := min(c.balanceAt, c.ticked.After(timeout/ticksPerSession))
	for i := range c.sessions {
		if s := &c.sessions[i]; c.img.Live(s.id) {
			next = min(next, s.end(timeout))
		}
	}
	return next
}

// ticksPerSession is how often Tick comes at least, so that it can tell when it did not come.
const ticksPerSession = 4

// slept notices that this node itself was stopped, or too busy to listen, for a good part of a session: then the silence
// of that time proves nothing, and nobody's session runs on during it.
func (c *Controller) slept(now core.Now) {
	gap := now.Mono - c.ticked
	c.ticked = now.Mono
	if timeout := c.sessionTimeout(); gap > timeout/2 {
		for i := range c.sessions {
			if s := &c.sessions[i]; s.at >= 0 {
				s.at = min(now.Mono, s.at.After(gap-timeout/ticksPerSession))
			}
		}
	}
}

// fenceSilent fences the first broker whose session has ended.
func (c *Controller) fenceSilent(now core.Now) []wire.Record {
	timeout := c.sessionTimeout()
	for i := range c.sessions {
		s := &c.sessions[i]
		if !c.img.Live(s.id) || now.Mono < s.end(timeout) {
			continue
		}
		d := c.draft()
		d.fence(c.img.Broker(s.id))
		return d.records
	}
	return nil
}

// fence takes a broker out of every in-sync set, and then its right to lead. If there is too much of it for one decision, the
// broker stays unfenced, and whoever wanted it fenced asks again.
func (d *draft) fence(b *image.Broker) (whole bool) {
	if !d.remove(b.ID, false) {
		return false
	}
	r := wire.NewBrokerRegistrationChangeRecord()
	r.BrokerID, r.BrokerEpoch, r.Fenced = b.ID, b.Epoch, 1
	d.add(r)
	return true
}

// remove takes a broker out of every in-sync set; if its records may be lost, it is not eligible either.
func (d *draft) remove(id core.NodeID, lost bool) (whole bool) {
	d.leaving = id
	d.each(func(p *image.Partition) bool {
		return slices.Contains(p.ISR, id) || lost && slices.Contains(p.ELR, id)
	}, func(t *image.Topic, p *image.Partition, on terms) {
		ch := d.change(t, p, on)
		ch.isr = without(p.ISR, id)
		if lost {
			ch.lost = id
		}
		ch.decide()
	})
	return !d.full
}

// electLeaderless looks for leaders where there is none: what a decision left undone for want of room, and what the leader of the
// quorum before this one left.
func (c *Controller) electLeaderless() []wire.Record {
	d := c.draft()
	d.electLeaderless()
	c.sweep = len(d.records) > 0
	return d.records
}

func (d *draft) electLeaderless() {
	d.each(func(p *image.Partition) bool { return p.Leader == core.NoNode }, func(t *image.Topic, p *image.Partition, on terms) {
		d.change(t, p, on).decide()
	})
}

// balance gives leaderships back to the preferred replicas that may lead (auto.leader.rebalance.enable).
func (c *Controller) balance() []wire.Record {
	if !c.view().Broker("auto.leader.rebalance.enable").Bool() {
		return nil
	}
	d := c.draft()
	d.each(func(p *image.Partition) bool {
		return p.Leader != core.NoNode && p.Leader != p.Replicas[0] && d.alive(p.Replicas[0])
	},
		func(t *image.Topic, p *image.Partition, on terms) {
			if len(d.records) >= electionsPerBalance {
				d.full = true
				return
			}
			ch := d.change(t, p, on)
			ch.how = electPreferred
			ch.decide()
		})
	return d.records
}

// electionsPerBalance bounds the leaderships that one step of the balance moves: others must get a word in between.
const electionsPerBalance = 1000

func (c *Controller) balanceEvery() core.Time {
	s := max(1, c.view().Broker("leader.imbalance.check.interval.seconds").Int())
	return core.Millis(min(s, 1<<40) * 1000)
}

// settleSessions follows records of this controller that are in the log below end.
func (c *Controller) settleSessions(records []wire.Record, end core.Offset) {
	if !c.active {
		return
	}
	first := end - core.Offset(len(records))
	for i, r := range records {
		switch r := r.(type) {
		case *wire.RegisterBrokerRecord:
			s := c.session(r.BrokerID)
			if r.Fenced { // a new life, or one that has still to come up
				*s = session{id: r.BrokerID, at: -1, applied: -1, stopping: noOffset}
			}
			s.registered = first + core.Offset(i)
		case *wire.UnregisterBrokerRecord:
			c.sessions = slices.DeleteFunc(c.sessions, func(s session) bool { return s.id == r.BrokerID })
		}
	}
	for i := range c.sessions {
		if s := &c.sessions[i]; s.moved {
			s.moved, s.stopping = false, end-1
		}
	}
}
