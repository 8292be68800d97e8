package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerHeartbeat decides a BrokerHeartbeat request (KIP-631): the broker's session is renewed, and what it wants, to
// serve, to be fenced or to stop, is granted as soon as it can be.
func (c *Controller) BrokerHeartbeat(now core.Now, q *kmsg.BrokerHeartbeatRequest) (*kmsg.BrokerHeartbeatResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	b, code := c.checkEpoch(q.BrokerID, q.BrokerEpoch)
	if code != wire.None {
		resp.ErrorCode = int16(code)
		return resp, nil
	}
	s := c.session(b.ID)
	s.at, s.heard, s.applied = now.Mono, true, core.Offset(q.CurrentMetadataOffset)
	resp.IsCaughtUp = s.applied >= max(core.Offset(b.Epoch), s.registered)
	d := c.draft()
	d.failing(b, q)
	switch {
	case b.Fenced:
		resp.IsFenced = true
		switch {
		case q.WantShutdown:
			resp.ShouldShutdown = true
		case !q.WantFence && resp.IsCaughtUp && !b.ControlledShutdown:
			resp.IsFenced = false
			d.unfence(b)
			c.sweep = c.sweep || d.full
		}
	case q.WantFence:
		resp.IsFenced = d.fence(b)
		resp.ShouldShutdown = resp.IsFenced && q.WantShutdown
	case q.WantShutdown || b.ControlledShutdown:
		resp.IsFenced = d.stop(b, s)
		resp.ShouldShutdown = resp.IsFenced
	default:
		resp.IsFenced = false
	}
	if resp.ShouldShutdown { // its next life need not wait for the end of the session
		s.at = -1
	}
	d.directories(b, q)
	return resp, d.records
}

// unfence lets a broker lead and be in sync, and gives it the partitions that only it can lead.
func (d *draft) unfence(b *image.Broker) {
	r := wire.NewBrokerRegistrationChangeRecord()
	r.BrokerID, r.BrokerEpoch, r.Fenced = b.ID, b.Epoch, -1
	d.add(r)
	d.coming = b.ID
	d.electLeaderless()
}

// stop takes a broker that wants to stop out of every in-sync set, so that it leads nothing (KIP-631, 841). It may go,
// and is fenced, once that is done and every other live broker has heard of it: until then they still send clients here.
func (d *draft) stop(b *image.Broker, s *session) (may bool) {
	if !b.ControlledShutdown {
		if !d.led(b.ID) {
			return d.fence(b)
		}
		r := wire.NewBrokerRegistrationChangeRecord()
		r.BrokerID, r.BrokerEpoch, r.InControlledShutdown = b.ID, b.Epoch, 1
		d.add(r)
	}
	if !d.remove(b.ID, false) {
		return false
	}
	heard := d.c.othersApplied(b.ID)
	if len(d.records) > 0 {
		if s.moved = true; heard != everything {
			return false
		}
	} else if s.stopping > heard {
		return false
	}
	return d.fence(b)
}

// everything is a metadata offset that a broker has applied which is not there.
const everything = core.Offset(core.Never)

// led reports whether a broker leads anything.
func (d *draft) led(id core.NodeID) bool {
	for t := range d.c.img.Topics() {
		if slices.ContainsFunc(t.Partitions, func(p *image.Partition) bool { return d.now(t, p).Leader == id }) {
			return true
		}
	}
	return false
}

// othersApplied is the last metadata offset that every live broker but one has applied; everything if there is no other.
func (c *Controller) othersApplied(but core.NodeID) core.Offset {
	low := everything
	for _, b := range c.img.Brokers() {
		if b.ID != but && !b.Fenced && !b.ControlledShutdown {
			low = min(low, c.session(b.ID).applied)
		}
	}
	return low
}

// failing takes note of the directories that a heartbeat reports as offline (KIP-858): nobody may lead from one.
func (d *draft) failing(b *image.Broker, q *kmsg.BrokerHeartbeatRequest) {
	if d.dirs = b.ID; d.c.Level() >= levelDirectories {
		d.failed = keepDirs(b.LogDirs, func(dir core.TopicID) bool { return slices.Contains(q.OfflineLogDirs, [16]byte(dir)) })
	}
}

func keepDirs(dirs []core.TopicID, ok func(core.TopicID) bool) (out []core.TopicID) {
	for _, dir := range dirs {
		if ok(dir) {
			out = append(out, dir)
		}
	}
	return out
}

// directories takes in what a heartbeat tells of the broker's directories: which are offline and which are to get no more
// replicas (KIP-1066).
func (d *draft) directories(b *image.Broker, q *kmsg.BrokerHeartbeatRequest) {
	r := wire.NewBrokerRegistrationChangeRecord()
	r.BrokerID, r.BrokerEpoch = b.ID, b.Epoch
	if len(d.failed) > 0 && d.offline(b) {
		r.LogDirs = keepDirs(b.LogDirs, func(dir core.TopicID) bool { return !slices.Contains(d.failed, dir) })
	}
	if d.c.Level() >= levelCordon && q.CordonedLogDirs != nil && len(q.CordonedLogDirs) <= registrationListsMax {
		cordoned := make([]core.TopicID, len(q.CordonedLogDirs))
		for i := range cordoned {
			cordoned[i] = q.CordonedLogDirs[i]
		}
		if !b.HasCordoned || !slices.Equal(cordoned, b.Cordoned) {
			r.CordonedLogDirs = cordoned
		}
	}
	if r.LogDirs != nil || r.CordonedLogDirs != nil {
		d.add(r)
	}
}

// levelCordon is the metadata version from which on registrations tell which directories are cordoned: 4.3-IV0.
const levelCordon int16 = 30

// offline takes a broker out of the in-sync sets of the partitions whose replicas it had in directories that are gone.
// False: not all of it had room; the next heartbeat names the directories again. So it does if the broker has no other, for no
// record can say so: such a broker stops.
func (d *draft) offline(b *image.Broker) (whole bool) {
	d.each(func(p *image.Partition) bool {
		at := slices.Index(p.Replicas, b.ID)
		return at >= 0 && slices.Contains(d.failed, p.Directories[at]) && slices.Contains(p.ISR, b.ID)
	}, func(t *image.Topic, p *image.Partition, on terms) {
		ch := d.change(t, p, on)
		ch.isr = without(p.ISR, b.ID)
		ch.decide()
	})
	return !d.full
}
