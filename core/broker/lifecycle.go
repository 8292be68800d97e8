package broker

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// lifecycle is this life of the broker role as the controller knows it (KIP-631): it registers, keeps its session alive
// by heartbeats, is let in (unfenced) once it has read the metadata up to its registration and opened its logs, and
// leaves by asking the controller to take its leaderships away.
//
// Invariants: at most one request of it is believed in at a time: answers to any but the newest are no news.
type lifecycle struct {
	epoch      core.BrokerEpoch // of the registration in force; -1: none
	number     uint64           // of the newest request
	waiting    bool             // for its answer
	leader     core.NodeID      // whom it was sent to
	nextAt     core.Time        // when the next request is due
	fails      int              // in a row
	began      core.Time        // of the registration
	registered bool             // once in this life
	wantDown   bool             // the node stops: its leaderships are to be moved
	mayStop    bool             // they are, says the controller
	controller registering      // of the controller role
}

// registering is the way of this node's controller role into the metadata (KIP-919).
type registering struct {
	waiting bool
	leader  core.NodeID
	nextAt  core.Time
}

// The waits between two requests when the last one was lost or refused, and how often a node that stops asks.
const (
	lifeRetryMin  = 50 * core.Millisecond
	lifeRetryMax  = core.Second
	lifeHurryTime = 20 * core.Millisecond
)

func (l *lifecycle) init() {
	*l = lifecycle{epoch: -1, leader: core.NoNode, nextAt: core.Never, controller: registering{leader: core.NoNode, nextAt: core.Never}}
}

// lifeNext is when there is something to ask; never while there is nobody to ask.
func (b *Broker) lifeNext() core.Time {
	l, next := &b.life, core.Never
	if b.reign.leader == core.NoNode || b.reign.leader == b.cfg.NodeID && !b.active() || b.stage < stageRegister || b.stage > stageLeaving {
		return next
	}
	if !l.waiting && !l.mayStop && b.cfg.IsBroker {
		next = l.nextAt
	}
	if !l.controller.waiting && b.cfg.IsController {
		next = min(next, l.controller.nextAt)
	}
	return next
}

// live does what is due of the lifecycle. It reports whether it asked for anything.
func (b *Broker) live(now core.Now, out *core.Out) (went bool) {
	if b.stage < stageRegister || b.stage > stageLeaving {
		return false
	}
	l := &b.life
	leader, _ := b.node.Leader()
	if leader == b.cfg.NodeID && !b.active() {
		return false // followQuorum looks here again when it is
	}
	if b.cfg.IsController {
		went = b.registerController(now, leader, out)
	}
	if !b.cfg.IsBroker || l.mayStop {
		return went
	}
	if l.waiting && l.leader == leader || !l.waiting && now.Mono < l.nextAt {
		return went
	}
	if leader == core.NoNode {
		return went
	}
	l.number++
	l.waiting, l.leader = true, leader
	if l.epoch < 0 {
		if l.began == 0 {
			l.began = now.Mono
		}
		b.askController(now, askRegister, l.number, b.registration(), out)
		return true
	}
	q := kmsg.NewPtrBrokerHeartbeatRequest()
	q.BrokerID, q.BrokerEpoch, q.CurrentMetadataOffset = int32(b.cfg.NodeID), int64(l.epoch), int64(b.img.End())-1
	q.WantFence, q.WantShutdown, q.OfflineLogDirs = b.stage < stageUnfence, l.wantDown, b.dirIDs(true)
	b.askController(now, askHeartbeat, l.number, q, out)
	return true
}

// hurry has the next request of the lifecycle sent now, unless one is under way.
func (b *Broker) hurry(now core.Now) { b.life.nextAt = min(b.life.nextAt, now.Mono) }

// registration is what this life of the broker tells of itself.
func (b *Broker) registration() *kmsg.BrokerRegistrationRequest {
	q := kmsg.NewPtrBrokerRegistrationRequest()
	q.BrokerID, q.ClusterID, q.IncarnationID = int32(b.cfg.NodeID), b.boot.clusterID, b.boot.incarnation
	q.PreviousBrokerEpoch = int64(b.formerEpoch())
	if b.cfg.HasRack {
		rack := b.cfg.Rack
		q.Rack = &rack
	}
	q.LogDirs = b.dirIDs(false)
	for _, l := range b.cfg.Listeners {
		k := kmsg.NewBrokerRegistrationRequestListener()
		k.Name, k.Host, k.Port, k.SecurityProtocol = l.Name, l.Advertised.Host, l.Advertised.Port, l.Advertised.Security
		q.Listeners = append(q.Listeners, k)
	}
	for _, f := range controller.Supported() {
		k := kmsg.NewBrokerRegistrationRequestFeature()
		k.Name, k.MinSupportedVersion, k.MaxSupportedVersion = f.Name, f.Min, f.Max
		q.Features = append(q.Features, k)
	}
	return q
}

// formerEpoch is the epoch of this broker's former life, if nothing that it ever promised was lost with it: else its
// copies are not believed to hold what they held (KIP-966). A clean stop notes the epoch. After any other end it is that of
// the registration in the metadata, provided that it is of these very directories, and that promises rested on the disks alone.
func (b *Broker) formerEpoch() core.BrokerEpoch {
	epoch := b.store.PreviousBrokerEpoch()
	if self := b.img.Broker(b.cfg.NodeID); epoch < 0 && self != nil && b.cfg.Durability == log.Synced && b.sameDirs(self.LogDirs) {
		epoch = self.Epoch
	}
	return epoch
}

// sameDirs reports whether a registration names the directories that this life has, and no others. Where one is missing, or is
// new, a replica that the metadata have nowhere in particular may have been in what is lost.
func (b *Broker) sameDirs(registered []core.TopicID) bool {
	own := b.dirIDs(false)
	return len(own) > 0 && len(own) == len(registered) && !slices.ContainsFunc(own, func(id [16]byte) bool { return !slices.Contains(registered, core.TopicID(id)) })
}

// heard takes note that the newest request of the lifecycle was answered; false if it was an older one.
func (l *lifecycle) heard(now core.Now, number uint64, ok bool) bool {
	if number != l.number || !l.waiting {
		return false
	}
	l.waiting = false
	if ok {
		l.fails = 0
		return true
	}
	wait := lifeRetryMin
	for range min(l.fails, 10) {
		wait = min(2*wait, lifeRetryMax)
	}
	l.fails++
	l.nextAt = now.Mono.After(wait)
	return true
}

// registered takes the answer to a registration.
func (b *Broker) registered(now core.Now, number uint64, resp kmsg.Response, out *core.Out) {
	l := &b.life
	r, ok := resp.(*kmsg.BrokerRegistrationResponse)
	code := wire.NotController
	if ok {
		code = wire.Code(r.ErrorCode)
	}
	if !l.heard(now, number, code == wire.None) {
		return
	}
	switch code {
	case wire.None:
		l.epoch, l.registered = core.BrokerEpoch(r.BrokerEpoch), true
		l.nextAt = now.Mono.After(b.cfg.Heartbeat)
		b.store.SetBrokerEpoch(l.epoch)
	case wire.InconsistentClusterID:
		b.fatal("this node belongs to cluster "+b.boot.clusterID+", and the controllers that it is told to join to another one: "+
			"check controller.quorum.voters, or point log.dirs to the directory of that cluster", out)
	case wire.DuplicateBrokerRegistration:
		b.note(now, core.Warn, "another broker with node.id="+strconv.Itoa(int(b.cfg.NodeID))+" is alive, or its session is not over yet", out)
		if now.Mono >= l.began.After(b.cfg.RegisterWait) {
			b.fatal("another broker with node.id="+strconv.Itoa(int(b.cfg.NodeID))+" is alive: stop it, or give this node a node.id of its own", out)
		}
	case wire.UnsupportedVersion, wire.InvalidRegistration, wire.BrokerIDNotRegistered:
		why := "the finalized features of the cluster may ask for another release; see klamm version"
		if names := controller.Unsupported(b.img); len(names) > 0 {
			why = "the cluster has features at levels that this release does not know: " + strings.Join(names, ", ") +
				"; lower them to 0 if nothing there needs them (kafka-features downgrade --feature NAME=0)"
		}
		b.fatal("the controller refuses this broker: "+code.String()+" ("+why+")", out)
	}
}

// heartbeaten takes the answer to a heartbeat.
func (b *Broker) heartbeaten(now core.Now, number uint64, resp kmsg.Response, out *core.Out) {
	l := &b.life
	r, ok := resp.(*kmsg.BrokerHeartbeatResponse)
	code := wire.NotController
	if ok {
		code = wire.Code(r.ErrorCode)
	}
	if !l.heard(now, number, code == wire.None) {
		return
	}
	switch code {
	case wire.None:
		l.nextAt = now.Mono.After(b.cfg.Heartbeat)
		if l.mayStop = l.wantDown && r.ShouldShutdown; l.wantDown || r.IsFenced && b.stage == stageUnfence {
			l.nextAt = now.Mono.After(lifeHurryTime) // somebody waits for the next answer
		}
	case wire.StaleBrokerEpoch, wire.BrokerIDNotRegistered:
		// The controllers know nothing of this life any more: it begins anew, without leaderships.
		out.Mark("broker.registers-again")
		b.note(now, core.Warn, "the controller does not know this registration any more ("+code.String()+"): registering again", out)
		l.epoch, l.nextAt, l.began = -1, now.Mono.After(lifeRetryMin), now.Mono
		if l.wantDown { // whoever has nothing to give up may go
			l.mayStop = true
		}
	}
}

// registerController brings this node's controller role into the metadata, if it is not there.
func (b *Broker) registerController(now core.Now, leader core.NodeID, out *core.Out) bool {
	l := &b.life.controller
	if leader == core.NoNode || l.waiting && l.leader == leader || !l.waiting && now.Mono < l.nextAt {
		return false
	}
	if l.nextAt = core.Never; b.img.Feature(controller.MetadataVersion) < 15 { // the record is of 3.7
		return false
	}
	at := slices.IndexFunc(b.img.Controllers(), func(c *image.Controller) bool { return c.ID == b.cfg.NodeID })
	if at >= 0 && b.img.Controllers()[at].Incarnation == b.boot.incarnation {
		return false
	}
	l.waiting, l.leader = true, leader
	q := kmsg.NewPtrControllerRegistrationRequest()
	q.ControllerID, q.IncarnationID = int32(b.cfg.NodeID), b.boot.incarnation
	for _, c := range b.cfg.Controllers {
		k := kmsg.NewControllerRegistrationRequestListener()
		k.Name, k.Host, k.Port, k.SecurityProtocol = c.Name, c.Advertised.Host, c.Advertised.Port, c.Advertised.Security
		q.Listeners = append(q.Listeners, k)
	}
	for _, f := range controller.Supported() {
		k := kmsg.NewControllerRegistrationRequestFeature()
		k.Name, k.MinSupportedVersion, k.MaxSupportedVersion = f.Name, f.Min, f.Max
		q.Features = append(q.Features, k)
	}
	b.askController(now, askRegisterController, 0, q, out)
	return true
}

// controllerRegistered takes the answer to the registration of the controller role.
func (b *Broker) controllerRegistered(now core.Now, resp kmsg.Response, out *core.Out) {
	l := &b.life.controller
	l.waiting, l.nextAt = false, core.Never
	r, ok := resp.(*kmsg.ControllerRegistrationResponse)
	switch {
	case !ok || wire.Code(r.ErrorCode) == wire.NotController:
		l.nextAt = now.Mono.After(lifeRetryMax)
	case r.ErrorCode != 0:
		l.nextAt = now.Mono.After(10 * lifeRetryMax)
		b.note(now, core.Warn, "the registration of this controller was refused: "+wire.Code(r.ErrorCode).String(), out)
	}
}
