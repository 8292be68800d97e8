package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/link"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The lanes to another node. A node serves the requests of one connection one by one, so that what may wait there
// must not hold up what may not.
const (
	laneQuorum    link.Lane = iota // votes and the like: the first that counts when a leader is gone
	laneMetadata                   // fetches of the metadata log, which wait
	laneLifecycle                  // registration and heartbeats
	laneControl                    // what this broker asks of the controller on its own account
	laneForward                    // what clients ask of the controller
	laneReplica                    // fetches of partitions, which wait
	laneQuestions                  // what followers ask besides
	laneMarkers                    // markers of transactions, which wait for their copies
	laneVerify                     // questions about transactions, for which producers wait
)

// askKind says what a request to another node, or to this node's own controller, is for: it names who takes the reply.
type askKind uint8

const (
	askQuorum             askKind = iota + 1 // a: the token of the quorum's Outbox
	askReplicaFetch                          // a: the replicator's own
	askForward                               // a: the forwarded request's number
	askRegister                              // BrokerRegistration
	askHeartbeat                             // BrokerHeartbeat
	askRegisterController                    // ControllerRegistration
	askProducerIDs                           // AllocateProducerIds
	askAutoCreate                            // CreateTopics on a client's behalf; a: a number
	askAlterPartition                        // AlterPartition; a: the replicator's own
	askMarkers                               // WriteTxnMarkers; a: a number
	askAssignDirs                            // AssignReplicasToDirs; a: a number
	askVerify                                // AddPartitionsToTxn; a: a number
)

// Bounds of this file. A request beyond them is lost, as it were on the way.
const (
	peersWaitingMax = 4096 // requests that wait for a connection
	peerFlights     = 64   // unanswered requests of one connection
	dialWait        = 2 * core.Second
	reconnectMin    = 20 * core.Millisecond
	reconnectMax    = 300 * core.Millisecond
)

// peers is what this node says to the others, and to itself.
//
// Invariants: waiting is in the order of asking; next is no later than the earliest deadline of waiting and of the pool.
type peers struct {
	pool    link.Pool
	waiting []outgoing
	own     []ownAsk   // for this node itself, of this Step
	heard   []ownReply // of this node itself, or lost before they left, of this Step
	next    core.Time
}

// outgoing is a request that waits for its connection.
type outgoing struct {
	node     core.NodeID
	lane     link.Lane
	addr     string
	ask      link.Ask
	req      kmsg.Request
	deadline core.Time
	fails    int // of its connection in a row, when it began to wait
}

// ownAsk is a request of this node to itself: of its broker part to its controller part, or to another room of the broker part.
type ownAsk struct {
	kind   askKind
	a      uint64
	req    kmsg.Request
	broker bool // a broker serves it
}

type ownReply struct {
	kind askKind
	a    uint64
	node core.NodeID
	resp kmsg.Response // nil: lost
}

func (p *peers) init(key [32]byte) {
	p.pool = link.New(link.Options{
		ClientID: "klamm", Table: tableLink, RequestTime: dialWait, DialTime: dialWait,
		ReconnectMin: reconnectMin, ReconnectMax: reconnectMax, InFlight: peerFlights,
	})
	p.pool.Seed(key)
	p.next = core.Never
}

// dialled reports whether a connection is one that this node dialled: their ids are even.
func dialled(c core.ConnID) bool { return c%2 == 0 }

// peerEvent takes an event of a dialled connection, or a Tick.
func (b *Broker) peerEvent(now core.Now, ev *core.Event, out *core.Out) {
	p := &b.peers
	p.pool.Step(now, ev, out)
	b.peersHeard(now, out)
	b.flushPeers(now, out)
}

// peersHeard hands out what became of requests.
func (b *Broker) peersHeard(now core.Now, out *core.Out) {
	p := &b.peers
	for i := 0; i < len(p.pool.Got()); i++ {
		r := p.pool.Got()[i]
		b.peerReplied(now, r, out)
	}
	p.pool.Stepped()
}

// peerReplied hands a reply to whoever asked.
func (b *Broker) peerReplied(now core.Now, r link.Reply, out *core.Out) {
	kind := askKind(r.Ask.Kind)
	if kind == askReplicaFetch {
		b.replicaFetched(now, r.Node, r.Ask.A, r.Resp, r.Buf, out) // its owner gives the frame back
		return
	}
	if r.Buf != nil {
		ownBytes(r.Resp)
		out.Release(r.Buf)
	}
	b.replied(now, kind, r.Ask.A, r.Node, r.Resp, out)
}

// replied hands a reply, or the news that there will be none (nil), to whoever asked.
func (b *Broker) replied(now core.Now, kind askKind, a uint64, from core.NodeID, resp kmsg.Response, out *core.Out) {
	switch kind {
	case askQuorum:
		b.quorumReplied(now, a, resp, out)
	case askReplicaFetch:
		b.replicaFetched(now, from, a, resp, nil, out)
	case askMarkers:
		b.markersReplied(now, a, resp, out)
	case askVerify:
		b.verified(a, resp)
	default:
		b.controllerReplied(now, kind, a, resp, out)
	}
}

// controllerReplied hands the controller's reply to whoever asked for it with askController. It is nil if there is no
// controller now, or if it was lost; and it may say NOT_CONTROLLER. Whoever asks tries again by a timer of its own.
func (b *Broker) controllerReplied(now core.Now, kind askKind, a uint64, resp kmsg.Response, out *core.Out) {
	switch kind {
	case askForward:
		b.forwarded(now, a, resp, out)
	case askRegister:
		b.registered(now, a, resp, out)
	case askHeartbeat:
		b.heartbeaten(now, a, resp, out)
	case askRegisterController:
		b.controllerRegistered(now, resp, out)
	case askProducerIDs:
		b.producerIDsAllocated(now, resp, out)
	case askAutoCreate:
		b.autoCreated(now, a, resp, out)
	case askAlterPartition:
		b.partitionsAltered(now, a, resp, out)
	case askAssignDirs:
		b.assigned(now, a, resp, out)
	}
}

// ownBytes copies what a response refers to in its frame, so that the frame can be given back.
func ownBytes(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.FetchResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				p.RecordBatches = slices.Clone(p.RecordBatches)
			}
		}
	case *kmsg.FetchSnapshotResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				p.Bytes = slices.Clone(p.Bytes)
			}
		}
	case *kmsg.EnvelopeResponse:
		r.ResponseData = slices.Clone(r.ResponseData)
	}
}

// say sends a request to a node, now or when a connection is ready. It goes out in the newest version that both sides speak, no
// newer than the one that is set in it, if that is not 0. Its reply, or the news that there is none, comes within wait.
func (b *Broker) say(now core.Now, o outgoing, wait core.Time, out *core.Out) {
	p := &b.peers
	o.deadline = now.Mono.After(wait)
	to := p.pool.Address(now, o.node, o.lane, o.addr, out)
	if to == nil || len(p.waiting) >= peersWaitingMax {
		out.Mark("broker.peer-request-refused")
		b.unsaid(o)
		return
	}
	o.fails = to.Fails()
	p.waiting = append(p.waiting, o)
	b.flushPeers(now, out)
}

// unsaid reports that a request was lost before it left.
func (b *Broker) unsaid(o outgoing) {
	b.peers.heard = append(b.peers.heard, ownReply{kind: askKind(o.ask.Kind), a: o.ask.A, node: o.node})
}

// unsay gives up what waits for a lane to a node.
func (b *Broker) unsay(node core.NodeID, lane link.Lane) {
	p := &b.peers
	p.waiting = slices.DeleteFunc(p.waiting, func(o outgoing) bool {
		lost := o.node == node && o.lane == lane
		if lost {
			b.unsaid(o)
		}
		return lost
	})
}

// flushPeers sends what waits, as far as connections are ready, and notes when to look again.
func (b *Broker) flushPeers(now core.Now, out *core.Out) {
	p := &b.peers
	p.pool.Sleep()
	next := core.Never
	kept := p.waiting[:0]
	for _, o := range p.waiting {
		if b.sayNow(now, &o, out) {
			continue
		}
		if now.Mono >= o.deadline {
			b.unsaid(o)
			continue
		}
		next = min(next, o.deadline)
		kept = append(kept, o)
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
	p.next = min(next, p.pool.Next())
}

// sayNow sends a request if its connection is ready. What the other side does not serve is lost.
func (b *Broker) sayNow(now core.Now, o *outgoing, out *core.Out) bool {
	p := &b.peers
	at, found := p.pool.Find(o.node, o.lane)
	if !found {
		b.unsaid(*o)
		return true
	}
	to := p.pool.At(at)
	if o.fails = min(o.fails, to.Fails()); to.Fails() > o.fails { // to wait on would only keep the asker from asking somebody else
		b.unsaid(*o)
		return true
	}
	if until, rests := to.Rests(); rests && to.Fails() > 0 && now.Mono < until && o.deadline > until {
		p.pool.WakeAt(until)
		return false
	}
	if !p.pool.Usable(now, to, out) {
		return false
	}
	key, cap := o.req.Key(), o.req.GetVersion()
	if cap == 0 {
		cap = wire.Newest(key)
	}
	v, ok := to.Version(key, wire.Oldest(key), cap)
	if !ok {
		out.Mark("broker.peer-too-old")
		b.note(now, core.Warn, "node "+strconv.Itoa(int(o.node))+" at "+o.addr+" does not serve "+wire.Name(key)+
			": is that address a listener of the right kind?", out)
		b.unsaid(*o)
		return true
	}
	o.req.SetVersion(v)
	p.pool.Send(now, to, o.ask, o.req, max(o.deadline-now.Mono, 1), out)
	return true
}

// peersNext is when peersTick has something to do.
func (b *Broker) peersNext() core.Time { return b.peers.next }

// carryPeers runs what this node asked of its own controller, and hands out what was heard. It reports whether
// there was anything.
func (b *Broker) carryPeers(now core.Now, out *core.Out) (went bool) {
	p := &b.peers
	for len(p.own) > 0 {
		own := p.own
		p.own = nil
		for _, a := range own {
			b.askOwn(now, a, out)
		}
		went = true
	}
	for len(p.heard) > 0 {
		heard := p.heard
		p.heard = nil
		for _, r := range heard {
			b.replied(now, r.kind, r.a, r.node, r.resp, out)
		}
		went = true
	}
	return went
}

// askOwn routes a request of this node to itself.
func (b *Broker) askOwn(now core.Now, a ownAsk, out *core.Out) {
	r := request{via: viaSelf, kind: a.kind, a: a.a, at: now.Mono}
	r.header.Key, r.header.Version = a.req.Key(), wire.Newest(a.req.Key())
	a.req.SetVersion(r.header.Version)
	if a.broker {
		b.route(now, r, a.req, nil, out)
		return
	}
	b.routeController(now, r, a.req, out)
}

// askBroker asks another broker, or this one, which then answers itself without a connection. The reply comes to replied by the
// kind of the ask, never within this call; nil if it was lost, or does not come within wait. The request goes out in the newest
// version that both sides speak.
func (b *Broker) askBroker(now core.Now, node core.NodeID, lane link.Lane, ask link.Ask, q kmsg.Request, wait core.Time, out *core.Out) {
	o := outgoing{node: node, lane: lane, ask: ask, req: q}
	switch o.addr = b.brokerAddr(b.img.Broker(node)); {
	case node == b.cfg.NodeID:
		b.peers.own = append(b.peers.own, ownAsk{askKind(ask.Kind), ask.A, q, true})
	case o.addr == "":
		b.unsaid(o)
	default:
		b.say(now, o, wait, out)
	}
}

// askController asks the active controller: this node's own, or over the network. The reply comes to controllerReplied,
// never within this call.
func (b *Broker) askController(now core.Now, kind askKind, a uint64, q kmsg.Request, out *core.Out) {
	if b.active() {
		b.peers.own = append(b.peers.own, ownAsk{kind, a, q, false})
		return
	}
	leader, _ := b.node.Leader()
	addr := b.controllerAddr(leader)
	o := outgoing{node: leader, lane: laneControl, addr: addr, ask: link.Ask{Kind: uint8(kind), A: a}, req: q}
	switch kind {
	case askRegister, askHeartbeat, askRegisterController:
		o.lane = laneLifecycle
	case askForward:
		o.lane = laneForward
	}
	if leader == core.NoNode || leader == b.cfg.NodeID || addr == "" {
		b.unsaid(o)
		return
	}
	wait := b.cfg.ControllerWait
	if kind == askForward {
		wait = forwardWait // asked twice, what takes long is refused the second time
	}
	b.say(now, o, wait, out)
}

// controllerAddr is where a controller listens for other nodes; empty if that is not known.
func (b *Broker) controllerAddr(id core.NodeID) string {
	for _, v := range b.node.Voters() {
		if v.ID == id && v.Host != "" {
			return hostPort(v.Host, v.Port)
		}
	}
	if leader, _ := b.node.Leader(); id == leader && b.node.LeaderAddr() != "" {
		return b.node.LeaderAddr()
	}
	for _, k := range b.img.Controllers() {
		if k.ID != id {
			continue
		}
		for _, name := range b.cfg.ControllerListeners {
			for _, e := range k.Endpoints {
				if e.Name == name {
					return hostPort(e.Host, e.Port)
				}
			}
		}
	}
	return ""
}

// brokerAddr is where a broker listens for other brokers; empty if that is not known.
func (b *Broker) brokerAddr(n *image.Broker) string {
	if n == nil {
		return ""
	}
	e, ok := n.Endpoint(b.cfg.InterBroker)
	if !ok {
		return ""
	}
	return hostPort(e.Host, e.Port)
}

func hostPort(host string, port uint16) string {
	for i := range len(host) {
		if host[i] == ':' { // an IPv6 address
			host = "[" + host + "]"
			break
		}
	}
	return host + ":" + strconv.Itoa(int(port))
}

// fetchFrom sends a Fetch of partitions to their leader. The reply comes to replicaFetched, with what ask says. It reports
// false if the node has no address: there will be no reply then.
func (b *Broker) fetchFrom(now core.Now, node core.NodeID, ask uint64, req *kmsg.FetchRequest, out *core.Out) bool {
	return b.toReplica(now, node, laneReplica, ask, req, b.cfg.ReplicaWait.After(core.Millis(int64(req.MaxWaitMillis))), out)
}

// askReplica sends another question of a follower, likewise.
func (b *Broker) askReplica(now core.Now, node core.NodeID, ask uint64, req kmsg.Request, out *core.Out) bool {
	return b.toReplica(now, node, laneQuestions, ask, req, b.cfg.ReplicaWait, out)
}

func (b *Broker) toReplica(now core.Now, node core.NodeID, lane link.Lane, ask uint64, req kmsg.Request, wait core.Time, out *core.Out) bool {
	addr := b.brokerAddr(b.img.Broker(node))
	if addr == "" {
		return false
	}
	b.say(now, outgoing{node: node, lane: lane, addr: addr, ask: link.Ask{Kind: uint8(askReplicaFetch), A: ask}, req: req}, wait, out)
	return true
}

// forgetNode closes the connections to a node that has left the cluster.
func (b *Broker) forgetNode(now core.Now, node core.NodeID, out *core.Out) {
	b.peers.pool.Forget(now, node, out)
	b.peersHeard(now, out)
	b.flushPeers(now, out)
}
