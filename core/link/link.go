// Package link is the pool of connections that a machine dials: one for each node and lane, each of which negotiates
// the versions of the protocol first, sends requests and pairs the replies with them.
//
// The owner names nodes and their addresses (Address), asks whether a lane can take a request now (Usable, which
// dials if it must), and sends (Send). Every request that was sent comes back exactly once as a Reply, within its
// deadline: with a response, or with the news that there will be none. A request that was lost may have been carried out.
//
// What the room may assume: the events of its connection ids and of its Ops table are handed to Step, and Step is called at
// Next. What it owes: no reply twice, none for a request that was not sent, and nothing believed that was not checked.
package link

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/wire"
)

// Span is how many connection ids one pool may use, from Options.Conns on.
const Span core.ConnID = 1 << 32

// Bounds of this room. What happens when one is reached stands beside its use.
const (
	peersMax    = 4096    // lanes to nodes, live or wished for, of one pool
	opsMax      = 1 << 16 // dials, and sends without reply, in flight
	flightsMax  = 64      // unanswered requests of one connection, whatever the options say
	versionsMax = 512     // rows believed from one ApiVersions reply
	featuresMax = 64      // features believed from one, likewise
)

// Options say how a pool dials and how long it waits.
type Options struct {
	ClientID     string
	Conns        core.ConnID // dials Conns+2, Conns+4, …; even; distinct among the pools of one machine by at least Span
	Table        uint8       // of its Ops; distinct likewise
	RequestTime  core.Time   // of the negotiation
	DialTime     core.Time
	ReconnectMin core.Time
	ReconnectMax core.Time
	InFlight     int // unanswered requests of one connection
}

// Ask says, in its owner's words, what a request is for. It comes back with the reply.
type Ask struct {
	Kind uint8
	A, B uint64
}

// Reply is what became of a request: a response, or the news that there will be none. A request that
// was lost may have been carried out. It lives for one Step only.
type Reply struct {
	Ask  Ask
	Node core.NodeID
	Lane Lane
	Key  int16
	Resp kmsg.Response // nil if lost
	Errs core.Errno    // why it was lost
	Buf  []byte        // the frame that Resp refers into, if it does: whoever is done with Resp gives it back with Release
}

// Lane separates traffic that waits on a broker from traffic that must not wait behind it: a broker
// serves the requests of one connection one by one.
type Lane uint8

type peerState uint8

const (
	resting     peerState = iota // no connection; until is the instant before which none is tried
	dialling                     // until is the deadline
	negotiating                  // ApiVersions is out; until is the deadline
	ready
)

// Peer is one lane to one node. Invariants: conn is zero exactly when resting; flights is empty unless ready.
type Peer struct {
	node core.NodeID // below core.NoNode for bootstrap addresses, whose ids are not known
	lane Lane
	addr string

	state peerState
	conn  core.ConnID
	op    core.Op // of the dial
	until core.Time
	fails int // in a row, for the backoff
	why   core.Errno

	probe       int16 // version of ApiVersions that is tried next
	versions    []versionRange
	muted       core.Time // throttled until then (KIP-219)
	correlation int32
	flights     []flight // in order of sending, which is the order of replies
}

type flight struct {
	ask          Ask
	correlation  int32
	key, version int16
	deadline     core.Time
}

type versionRange struct{ key, min, max int16 }

// sent is what an Op of this room is for: a dial, or a request that gets no reply.
type sent struct {
	dial bool
	ask  Ask
}

// Pool is the pool of connections. Invariant: peers is sorted by node, then lane.
type Pool struct {
	opt   Options
	rand  core.Rand
	ops   core.Ops[sent]
	peers []Peer
	last  core.ConnID // that was dialled
	broke bool        // a connection failed since the owner last looked
	wake  core.Time   // the owner wishes to be stepped then; set anew by each of its advances
	got   []Reply     // of this Step; reused

	features      []feature // finalized in the cluster, as the newest of all ApiVersions replies said (KIP-584)
	featuresEpoch int64     // how new that was
}

// feature is one that is finalized, and its level.
type feature struct {
	name  string
	level int16
}

// New makes a pool without connections.
func New(o Options) Pool {
	core.Must(o.Conns%2 == 0, "ids of dialled connections are even")
	return Pool{opt: o, ops: core.NewOps[sent](o.Table, opsMax), last: o.Conns, wake: core.Never}
}

// Ready reports whether the versions are negotiated: requests can go out, unless too many are unanswered.
func (p *Peer) Ready() bool { return p.state == ready }

// Trying reports whether a connection is being made.
func (p *Peer) Trying() bool { return p.state == dialling || p.state == negotiating }

// Rests says until when no connection is tried, and whether there is none.
func (p *Peer) Rests() (until core.Time, none bool) { return p.until, p.state == resting }

// Flights is how many requests are unanswered.
func (p *Peer) Flights() int { return len(p.flights) }

// Node, Lane and Addr name the lane.
func (p *Peer) Node() core.NodeID { return p.node }

// Lane is explained at Node.
func (p *Peer) Lane() Lane { return p.lane }

// Addr is explained at Node.
func (p *Peer) Addr() string { return p.addr }

// Fails counts the connections in a row that failed before a reply came.
func (p *Peer) Fails() int { return p.fails }

// Why is what the last connection failed with; core.OK once one is ready.
func (p *Peer) Why() core.Errno { return p.why }

// Len is how many lanes there are.
func (n *Pool) Len() int { return len(n.peers) }

// At is the lane i, in the order of nodes and lanes.
func (n *Pool) At(i int) *Peer { return &n.peers[i] }

// Rand is the pool's generator, which Boot seeds; its owner may draw from it too.
func (n *Pool) Rand() *core.Rand { return &n.rand }

// Got is what became of requests in this Step. It may grow while the owner walks it.
func (n *Pool) Got() []Reply { return n.got }

// Broke reports whether a connection failed since it was last asked.
func (n *Pool) Broke() bool {
	b := n.broke
	n.broke = false
	return b
}

// Sleep forgets the instants that WakeAt was given.
func (n *Pool) Sleep() { n.wake = core.Never }

// Mine reports whether an event is for this pool. Boot and Tick are for everybody.
func (n *Pool) Mine(ev *core.Event) bool {
	switch ev.Kind {
	case core.Boot, core.Tick:
		return true
	case core.Done:
		return ev.Op.Table() == n.opt.Table
	}
	return ev.Conn%2 == 0 && ev.Conn > n.opt.Conns && ev.Conn < n.opt.Conns+Span
}

// Seed gives the pool its own generator, for an owner that does not hand it the Boot event.
func (n *Pool) Seed(key [32]byte) { n.rand = core.NewRand(key) }

// Step takes one event and leaves in got what became of requests. The owner walks got by index, since
// what it does on the way may add to it, and then calls stepped.
func (n *Pool) Step(now core.Now, ev *core.Event, out *core.Out) {
	switch ev.Kind {
	case core.Boot:
		if info, ok := core.ParseBootInfo(ev.Data); ok {
			n.rand = core.NewRand(info.Key)
		}
	case core.Opened:
		n.opened(now, ev, out)
	case core.Closed:
		if p := n.byConn(ev.Conn); p != nil {
			n.failed(now, p, ev.Err)
		}
	case core.Frame:
		n.frame(now, ev, out)
	case core.Done:
		if s, ok := n.ops.Finish(ev.Op); ok && !s.dial {
			n.got = append(n.got, Reply{Ask: s.ask, Errs: ev.Err})
		}
	}
	for i := range n.peers {
		n.expire(now, &n.peers[i], out)
	}
}

// Stepped forgets what became of requests: between two steps a machine holds nothing but its state.
func (n *Pool) Stepped() {
	clear(n.got)
	n.got = n.got[:0]
}

// Next is the earliest deadline of a connection.
func (n *Pool) Next() core.Time {
	at := n.wake
	for i := range n.peers {
		switch p := &n.peers[i]; p.state {
		case dialling, negotiating:
			at = min(at, p.until)
		case ready:
			for j := range p.flights {
				at = min(at, p.flights[j].deadline)
			}
		}
	}
	return at
}

// WakeAt has Next say no later than t.
func (n *Pool) WakeAt(t core.Time) { n.wake = min(n.wake, t) }

func (n *Pool) byConn(c core.ConnID) *Peer {
	for i := range n.peers {
		if c != 0 && n.peers[i].conn == c {
			return &n.peers[i]
		}
	}
	return nil
}

func (n *Pool) Find(node core.NodeID, l Lane) (int, bool) {
	lo, hi := 0, len(n.peers)
	for lo < hi { // by hand: a function of two peers would copy both for each comparison
		m := (lo + hi) / 2
		if p := &n.peers[m]; p.node < node || p.node == node && p.lane < l {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(n.peers) && n.peers[lo].node == node && n.peers[lo].lane == l
}

// Address makes node known, or moves it: a connection to the old address is of no use.
func (n *Pool) Address(now core.Now, node core.NodeID, l Lane, addr string, out *core.Out) *Peer {
	i, found := n.Find(node, l)
	if !found {
		if len(n.peers) >= peersMax {
			return nil // a cluster of more nodes than that has not been seen; the wish waits
		}
		n.peers = slices.Insert(n.peers, i, Peer{node: node, lane: l, addr: addr, probe: versionsProbe})
	}
	p := &n.peers[i]
	if p.addr != addr {
		if p.conn != 0 {
			n.drop(now, p, core.ConnGone, out)
		}
		p.addr, p.fails, p.until = addr, 0, now.Mono
	}
	return p
}

// Forget closes and removes every lane to a node that has left the cluster.
func (n *Pool) Forget(now core.Now, node core.NodeID, out *core.Out) {
	for i := len(n.peers) - 1; i >= 0; i-- {
		if p := &n.peers[i]; p.node == node {
			if p.conn != 0 {
				n.drop(now, p, core.ConnGone, out)
			}
			n.peers = slices.Delete(n.peers, i, i+1)
		}
	}
}

// Hangup closes one lane to a node, if it is open: what was asked there is lost. The next request dials anew, at once.
func (n *Pool) Hangup(now core.Now, node core.NodeID, l Lane, out *core.Out) {
	i, found := n.Find(node, l)
	if !found || n.peers[i].conn == 0 {
		return
	}
	p := &n.peers[i]
	n.drop(now, p, core.ConnGone, out)
	p.fails, p.until = 0, now.Mono
}

// CloseAll lets go of every connection.
func (n *Pool) CloseAll(now core.Now, out *core.Out) {
	for i := range n.peers {
		if p := &n.peers[i]; p.conn != 0 {
			n.drop(now, p, core.ConnGone, out)
		}
	}
}

// Usable brings p towards a state in which it can take a request, and reports whether it is there.
func (n *Pool) Usable(now core.Now, p *Peer, out *core.Out) bool {
	switch p.state {
	case resting:
		if now.Mono < p.until {
			n.WakeAt(p.until)
			return false
		}
		n.dial(now, p, out)
		return false
	case ready:
		if now.Mono < p.muted {
			n.WakeAt(p.muted)
			return false
		}
		return len(p.flights) < min(n.opt.InFlight, flightsMax)
	}
	return false
}

func (n *Pool) dial(now core.Now, p *Peer, out *core.Out) {
	if n.ops.Room() == 0 || n.last+2 >= n.opt.Conns+Span {
		p.until = now.Mono.After(n.opt.ReconnectMax) // dials that the world has not answered fill the table
		n.WakeAt(p.until)
		return
	}
	n.last += 2
	p.state, p.conn, p.until = dialling, n.last, now.Mono.After(n.opt.DialTime)
	p.op = n.ops.Start(sent{dial: true})
	out.Dial(p.op, p.conn, p.addr)
}

func (n *Pool) opened(now core.Now, ev *core.Event, out *core.Out) {
	n.ops.Finish(ev.Op)
	p := n.byConn(ev.Conn)
	switch {
	case p == nil || p.state != dialling: // given up meanwhile
		if ev.Err == core.OK {
			out.CloseConn(ev.Conn)
		}
	case ev.Err != core.OK:
		n.failed(now, p, ev.Err)
	default:
		p.state, p.until, p.versions = negotiating, now.Mono.After(n.opt.RequestTime), p.versions[:0]
		n.askVersions(p, out)
	}
}

// versionsProbe is the version of ApiVersions that is tried first (KIP-511).
const versionsProbe = 4

func (n *Pool) askVersions(p *Peer, out *core.Out) {
	q := kmsg.NewApiVersionsRequest()
	q.ClientSoftwareName, q.ClientSoftwareVersion = "klamm", "0"
	q.SetVersion(p.probe)
	p.correlation++
	h := wire.Header{Key: q.Key(), Version: p.probe, Correlation: p.correlation, ClientID: n.opt.ClientID, HasClientID: true}
	out.Send(0, p.conn, wire.AppendRequest(nil, h, &q))
}

// failed takes note that the connection of p is gone, and tells its requests.
func (n *Pool) failed(now core.Now, p *Peer, why core.Errno) {
	if p.state == negotiating && p.probe > 0 && why != core.TimedOut {
		p.probe = 0 // a broker older than KIP-511 may close at what it cannot read
	}
	for _, f := range p.flights {
		n.got = append(n.got, Reply{Ask: f.ask, Node: p.node, Lane: p.lane, Key: f.key, Errs: OrGone(why)})
	}
	wait := n.opt.ReconnectMin
	for range min(p.fails, 20) {
		wait = min(2*wait, n.opt.ReconnectMax)
	}
	wait = wait - wait/5 + core.Time(n.rand.IntN(int64(wait/5)*2+1)) // ±20 %, so that many clients do not return as one
	p.state, p.conn, p.until, p.why = resting, 0, now.Mono.After(wait), OrGone(why)
	p.flights, p.muted = p.flights[:0], 0
	p.fails++
	n.broke = true
}

// OrGone is why a request was lost, where nothing more is known than that it was.
func OrGone(e core.Errno) core.Errno {
	if e == core.OK {
		return core.ConnGone
	}
	return e
}

// drop closes the connection from this side. What the world still reports of it finds no peer.
func (n *Pool) drop(now core.Now, p *Peer, why core.Errno, out *core.Out) {
	out.CloseConn(p.conn)
	n.failed(now, p, why)
}

func (n *Pool) expire(now core.Now, p *Peer, out *core.Out) {
	switch p.state {
	case dialling, negotiating:
		if now.Mono >= p.until {
			out.Mark("link.connect-timed-out")
			n.drop(now, p, core.TimedOut, out)
		}
	case ready:
		for i := range p.flights {
			if now.Mono >= p.flights[i].deadline {
				// Replies come in order, so nothing behind it can be matched either.
				out.Mark("link.request-timed-out")
				n.drop(now, p, core.TimedOut, out)
				return
			}
		}
	}
}

func (n *Pool) frame(now core.Now, ev *core.Event, out *core.Out) {
	p := n.byConn(ev.Conn)
	if p == nil || p.state < negotiating {
		out.Release(ev.Data)
		return
	}
	if p.state == negotiating {
		n.negotiated(now, p, ev.Data, out)
		out.Release(ev.Data)
		return
	}
	if len(p.flights) == 0 {
		out.Mark("link.reply-unasked")
		n.drop(now, p, core.BadFrame, out)
		return
	}
	f := p.flights[0]
	correlation, body, err := wire.ParseResponse(ev.Data, f.key, f.version)
	if err != nil || correlation != f.correlation {
		out.Mark("link.reply-unreadable")
		n.drop(now, p, core.BadFrame, out)
		return
	}
	resp := kmsg.ResponseForKey(f.key)
	resp.SetVersion(f.version)
	if resp.ReadFrom(body) != nil {
		out.Mark("link.reply-unreadable")
		n.drop(now, p, core.BadFrame, out)
		return
	}
	p.flights = slices.Delete(p.flights, 0, 1)
	p.fails = 0
	if t, ok := resp.(kmsg.ThrottleResponse); ok {
		if ms, after := t.Throttle(); after && ms > 0 {
			p.muted = now.Mono.After(core.Millis(int64(ms)))
		}
	}
	r := Reply{Ask: f.ask, Node: p.node, Lane: p.lane, Key: f.key, Resp: resp}
	if keepsFrame(f.key) {
		r.Buf = ev.Data
	} else {
		out.Release(ev.Data)
	}
	n.got = append(n.got, r)
}

// keepsFrame reports whether a decoded response of this key refers to the frame's memory beyond the
// Step: byte strings are not copied by the codec.
func keepsFrame(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.Fetch, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.DescribeGroups, kmsg.FetchSnapshot, kmsg.Envelope:
		return true
	}
	return false
}

// negotiated takes the reply to ApiVersions. A broker that does not know the version that was tried
// answers in the form of version 0, with what it does know (KIP-511).
func (n *Pool) negotiated(now core.Now, p *Peer, frame []byte, out *core.Out) {
	version, unsupported := p.probe, len(frame) >= 10 && wire.Code(int16(frame[8])<<8|int16(frame[9])) == wire.UnsupportedVersion
	if unsupported {
		version = 0
	}
	correlation, body, err := wire.ParseResponse(frame, int16(kmsg.ApiVersions), version)
	if err != nil || correlation != p.correlation {
		n.drop(now, p, core.BadFrame, out)
		return
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(version)
	if err = resp.ReadFrom(body); err != nil || !unsupported && wire.Code(resp.ErrorCode) != wire.None || len(resp.ApiKeys) > versionsMax {
		n.drop(now, p, core.BadFrame, out)
		return
	}
	if unsupported {
		best := int16(0)
		for _, k := range resp.ApiKeys {
			if k.ApiKey == int16(kmsg.ApiVersions) {
				best = min(max(k.MaxVersion, 0), p.probe-1)
			}
		}
		if p.probe == 0 {
			n.drop(now, p, core.BadFrame, out)
			return
		}
		out.Mark("link.api-versions-downgraded")
		p.probe = best
		n.askVersions(p, out)
		return
	}
	for _, k := range resp.ApiKeys {
		p.versions = append(p.versions, versionRange{k.ApiKey, k.MinVersion, k.MaxVersion})
	}
	slices.SortFunc(p.versions, func(a, b versionRange) int { return int(a.key) - int(b.key) })
	n.learnFeatures(resp)
	p.state, p.until, p.why = ready, core.Never, core.OK
}

// learnFeatures believes the newest word on what is finalized: another node may lag behind.
func (n *Pool) learnFeatures(resp *kmsg.ApiVersionsResponse) {
	if resp.FinalizedFeaturesEpoch < n.featuresEpoch || len(resp.FinalizedFeatures) > featuresMax {
		return
	}
	n.featuresEpoch, n.features = resp.FinalizedFeaturesEpoch, nil
	for _, f := range resp.FinalizedFeatures {
		n.features = append(n.features, feature{f.Name, f.MaxVersionLevel})
	}
}

// Feature is the level at which a feature is finalized in the cluster, as far as known; 0 is not at all.
func (n *Pool) Feature(name string) int16 {
	for i := range n.features {
		if n.features[i].name == name {
			return n.features[i].level
		}
	}
	return 0
}

// Version picks the newest version of a request from lo to hi that the other side speaks too. It reports false if there
// is none.
func (p *Peer) Version(key, lo, hi int16) (int16, bool) {
	i, found := slices.BinarySearchFunc(p.versions, key, func(r versionRange, key int16) int { return int(r.key) - int(key) })
	if !found {
		return 0, false
	}
	lo, hi = max(lo, p.versions[i].min), min(hi, p.versions[i].max)
	return hi, lo <= hi
}

// Send puts a request, whose version is set, on the wire. The caller has seen that p is usable.
func (n *Pool) Send(now core.Now, p *Peer, what Ask, q kmsg.Request, wait core.Time, out *core.Out) {
	core.Must(p.state == ready, "a request goes out on a connection that is ready")
	p.correlation++
	h := wire.Header{Key: q.Key(), Version: q.GetVersion(), Correlation: p.correlation, ClientID: n.opt.ClientID, HasClientID: true}
	out.Send(0, p.conn, wire.AppendRequest(nil, h, q))
	p.flights = append(p.flights, flight{what, p.correlation, h.Key, h.Version, now.Mono.After(wait)})
}

// SendOnly is send for a request that gets no reply: the owner hears when the world has taken the bytes.
// It reports false if it can't be sent now.
func (n *Pool) SendOnly(now core.Now, p *Peer, what Ask, q kmsg.Request, out *core.Out) bool {
	core.Must(p.state == ready, "a request goes out on a connection that is ready")
	if n.ops.Room() == 0 {
		return false
	}
	p.correlation++
	h := wire.Header{Key: q.Key(), Version: q.GetVersion(), Correlation: p.correlation, ClientID: n.opt.ClientID, HasClientID: true}
	out.Send(n.ops.Start(sent{ask: what}), p.conn, wire.AppendRequest(nil, h, q))
	return true
}
