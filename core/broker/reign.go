package broker

import (
	"strings"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/link"
	"klamm/core/quorum"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// reign is this node's part in the quorum, as the hall has taken it in.
//
// Invariants: on is true from the step in which this node became the active controller, in epoch, to the one in which
// it ceased to be; leader is whom the lanes of controllers lead to.
type reign struct {
	on      bool
	epoch   core.Epoch
	leader  core.NodeID
	term    core.Epoch // of leader
	tickets uint64     // given to the quorum's node
	unheard int        // requests of the quorum that are on their way
	rests   core.Time  // until then the controller's own decisions wait: the metadata log took no more
}

// active reports whether this node is the active controller: it leads the metadata log, and its image holds
// everything that was committed before.
func (b *Broker) active() bool { return b.reign.on }

// newController makes this node's controller.
func (b *Broker) newController() *controller.Controller {
	return controller.New(controller.Config{
		Node: b.cfg.NodeID, Partitions: b.cfg.NumPartitions, Replication: b.cfg.ReplicationFactor, DeleteTopics: b.cfg.DeleteTopic,
		ClusterID: b.boot.clusterID, Session: b.cfg.Session, Static: b.cfg.Static, Key: b.newKey(),
		ProducerIDBlock: b.cfg.Internal.ProducerIDBlock, StepBytes: b.cfg.Internal.Quorum.BatchBytes / 8 * 7,
	})
}

// carryQuorum takes out what the quorum's node has to say, and takes in who leads. It reports whether there was anything.
func (b *Broker) carryQuorum(now core.Now, out *core.Out) (went bool) {
	for _, o := range b.node.Outbox() {
		b.sayQuorum(now, o, out)
		went = true
	}
	for _, a := range b.node.Answers() {
		b.deliver(result{key: waitKey{kind: waitQuorum, id: uint64(a.Ticket)}, resp: a.Resp})
		went = true
	}
	return b.followQuorum(now, out) || went
}

// sayQuorum sends a request of the quorum's node.
func (b *Broker) sayQuorum(now core.Now, o quorum.Outgoing, out *core.Out) {
	say := outgoing{node: o.To, lane: laneQuorum, addr: o.Addr, ask: link.Ask{Kind: uint8(askQuorum), A: o.Token}, req: o.Req}
	switch o.Req.(type) {
	case *kmsg.FetchRequest, *kmsg.FetchSnapshotRequest:
		say.lane = laneMetadata
	}
	if o.To == core.NoNode {
		for i, addr := range b.cfg.Bootstrap {
			if addr == o.Addr {
				say.node = core.NoNode - 1 - core.NodeID(i)
			}
		}
	} else if say.addr == "" {
		say.addr = b.controllerAddr(o.To)
	}
	b.reign.unheard++
	if say.node == core.NoNode || say.addr == "" {
		b.unsaid(say)
		return
	}
	b.say(now, say, o.Timeout, out)
}

// quorumReplied hands a reply to the quorum's node.
func (b *Broker) quorumReplied(now core.Now, token uint64, resp kmsg.Response, out *core.Out) {
	b.reign.unheard--
	b.node.Replied(now, token, resp, b.store, out)
}

// askQuorumNode hands a request of another node, or of an admin client, to the quorum's node.
func (b *Broker) askQuorumNode(now core.Now, r request, q kmsg.Request, out *core.Out) {
	b.reign.tickets++
	t := &quorumTask{r: r, ticket: quorum.Ticket(b.reign.tickets)}
	b.park(r, t, core.Never, waitKey{kind: waitQuorum, id: uint64(t.ticket)})
	b.node.Ask(now, t.ticket, q, b.store, out)
}

// quorumTask is a request that the quorum's node answers.
type quorumTask struct {
	r      request
	ticket quorum.Ticket
}

// Advance passes the answer on.
func (t *quorumTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.node.Cancel(t.ticket)
		b.noReply(now, t.r, out)
		return true
	}
	got, ok := b.found(waitKey{kind: waitQuorum, id: uint64(t.ticket)})
	if !ok {
		return false
	}
	b.reply(now, t.r, got.resp, out)
	return true
}

// followQuorum takes in who leads the metadata log now. It reports whether that is news.
func (b *Broker) followQuorum(now core.Now, out *core.Out) (went bool) {
	g := &b.reign
	leader, term := b.node.Leader()
	if leader != g.leader || term != g.term {
		b.leaderChanged(now, leader, out)
		g.leader, g.term = leader, term
		went = true
	}
	active := b.node.Active()
	if g.on && (!active || term != g.epoch) {
		out.Mark("broker.controller-deposed")
		b.note(now, core.Info, "this node is not the active controller any more", out)
		g.on = false
		b.wake(waitKey{kind: waitImage}) // what was proposed and is not committed will never be known to be
		went = true
	}
	if active && !g.on && b.stage >= stageQuorum {
		g.on, g.epoch = true, term
		b.takeOver(now, out)
		went = true
	}
	return went
}

// leaderChanged lets go of the connections to a former controller: what was asked there is asked anew.
func (b *Broker) leaderChanged(now core.Now, leader core.NodeID, out *core.Out) {
	former := b.reign.leader
	if former != core.NoNode && former != leader {
		for _, lane := range [...]link.Lane{laneLifecycle, laneControl, laneForward} {
			b.peers.pool.Hangup(now, former, lane, out)
			b.unsay(former, lane)
		}
		b.peersHeard(now, out)
		b.flushPeers(now, out)
	}
	b.life.fails = 0
	b.hurry(now) // whoever leads now gives everybody a session, which has to be kept
	b.life.controller.nextAt = now.Mono
	b.wake(waitKey{kind: waitLeader})
}

// takeOver begins the reign of this node's controller.
func (b *Broker) takeOver(now core.Now, out *core.Out) {
	b.ctl.TakeOver(now, b.img)
	if names := controller.Unsupported(b.img); len(names) > 0 {
		out.Mark("broker.unsupported-features")
		b.note(now, core.Warn, "the metadata has features at levels that this release does not know: "+strings.Join(names, ", ")+
			"; what they promise is not kept here. Run the release that set them, or lower them with it", out)
	}
	if first := b.ctl.Activate(b.node.InTransaction(), b.node.Bootstrap()); len(first) > 0 {
		b.appendMetadata(now, first, out)
	}
	if len(b.node.Voters()) > 1 {
		b.note(now, core.Info, "this node is the active controller", out)
	}
	if b.cfg.MetadataIdle > 0 {
		b.timers.Set(now.Mono.After(b.cfg.MetadataIdle), timerNoOp, uint64(b.reign.epoch), 0)
	}
}

// controllerTick does what is due of the active controller: it fences brokers that have fallen silent, and the like.
func (b *Broker) controllerTick(now core.Now, out *core.Out) {
	if b.controllerNext() <= now.Mono {
		b.appendAll(now, b.ctl.Tick(now), out)
	}
}

// controllerNext is when the controller has something to decide by itself.
func (b *Broker) controllerNext() core.Time {
	if !b.active() {
		return core.Never
	}
	return max(b.ctl.Next(), b.reign.rests)
}

// metadataRest is how long the controller's own decisions wait after the metadata log has refused one.
const metadataRest = 100 * core.Millisecond

// recordsPerAppend bounds the records of one append where a decision may make more than fit in one batch and each
// stands for itself.
const recordsPerAppend = 10000

// appendAll appends records each of which stands for itself, in as many batches as it takes.
func (b *Broker) appendAll(now core.Now, records []wire.Record, out *core.Out) {
	for len(records) > 0 {
		n := min(len(records), recordsPerAppend)
		if _, ok := b.appendMetadata(now, records[:n:n], out); !ok {
			b.reign.rests = now.Mono.After(metadataRest)
			return // what was not decided is decided at another tick, or by the next controller
		}
		records = records[n:]
	}
}
