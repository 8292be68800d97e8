package client

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/wire"
)

// ask says, in its owner's words, what a request is for. It comes back with the reply.
type ask struct {
	kind uint8
	a, b uint64
}

// reply is what became of a request: a response, or the news that there will be none. A request that
// was lost may have been carried out. It lives for one Step only.
type reply struct {
	ask  ask
	node core.NodeID
	key  int16
	resp kmsg.Response // nil if lost
	errs core.Errno    // why it was lost
}

// lane separates traffic that waits on a broker from traffic that must not wait behind it: a broker
// serves the requests of one connection one by one.
type lane uint8

const (
	general     lane = iota
	fetching         // long polls
	coordinator      // joins wait for minutes
)

type peerState uint8

const (
	resting     peerState = iota // no connection; until is the instant before which none is tried
	dialling                     // until is the deadline
	negotiating                  // ApiVersions is out; until is the deadline
	ready
)

// peer is one lane to one node. Invariants: conn is zero exactly when resting; flights is empty unless ready.
type peer struct {
	node core.NodeID // below core.NoNode for bootstrap addresses, whose ids are not known
	lane lane
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
	ask          ask
	correlation  int32
	key, version int16
	deadline     core.Time
}

type versionRange struct{ key, min, max int16 }

// sent is what an Op of this room is for: a dial, or a request that gets no reply.
type sent struct {
	dial bool
	ask  ask
}

// conns is the pool of connections. Invariant: peers is sorted by node, then lane.
type conns struct {
	opt   Options
	rand  core.Rand
	ops   core.Ops[sent]
	peers []peer
	last  core.ConnID // that was dialled
	broke bool        // a connection failed since the owner last looked
	wake  core.Time   // the owner wishes to be stepped then; set anew by each of its advances
	got   []reply     // of this Step; reused
}

func newConns(o Options) conns {
	core.Must(o.Conns%2 == 0, "ids of dialled connections are even")
	return conns{opt: o, ops: core.NewOps[sent](o.Table, opsMax), last: o.Conns, wake: core.Never}
}

// mine reports whether an event is for this machine. Boot and Tick are for everybody.
func (n *conns) mine(ev *core.Event) bool {
	switch ev.Kind {
	case core.Boot, core.Tick:
		return true
	case core.Done:
		return ev.Op.Table() == n.opt.Table
	}
	return ev.Conn > n.opt.Conns && ev.Conn < n.opt.Conns+ConnSpan
}

// step takes one event and leaves in got what became of requests. The owner walks got by index, since
// what it does on the way may add to it, and then calls stepped.
func (n *conns) step(now core.Now, ev *core.Event, out *core.Out) {
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
			n.got = append(n.got, reply{ask: s.ask, errs: ev.Err})
		}
	}
	for i := range n.peers {
		n.expire(now, &n.peers[i], out)
	}
}

// stepped forgets what became of requests: between two steps a machine holds nothing but its state.
func (n *conns) stepped() {
	clear(n.got)
	n.got = n.got[:0]
}

// next is the earliest deadline of a connection.
func (n *conns) next() core.Time {
	at := core.Never
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

func (n *conns) wakeAt(t core.Time) { n.wake = min(n.wake, t) }

func (n *conns) byConn(c core.ConnID) *peer {
	for i := range n.peers {
		if c != 0 && n.peers[i].conn == c {
			return &n.peers[i]
		}
	}
	return nil
}

func (n *conns) find(node core.NodeID, l lane) (int, bool) {
	return slices.BinarySearchFunc(n.peers, peer{node: node, lane: l}, func(p, q peer) int {
		if p.node != q.node {
			return int(p.node) - int(q.node)
		}
		return int(p.lane) - int(q.lane)
	})
}

// address makes node known, or moves it: a connection to the old address is of no use.
func (n *conns) address(now core.Now, node core.NodeID, l lane, addr string, out *core.Out) *peer {
	i, found := n.find(node, l)
	if !found {
		if len(n.peers) >= peersMax {
			return nil // a cluster of more nodes than that has not been seen; the wish waits
		}
		n.peers = slices.Insert(n.peers, i, peer{node: node, lane: l, addr: addr, probe: versionsProbe})
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

// forget closes and removes every lane to a node that has left the cluster.
func (n *conns) forget(now core.Now, node core.NodeID, out *core.Out) {
	for i := len(n.peers) - 1; i >= 0; i-- {
		if p := &n.peers[i]; p.node == node {
			if p.conn != 0 {
				n.drop(now, p, core.ConnGone, out)
			}
			n.peers = slices.Delete(n.peers, i, i+1)
		}
	}
}

// closeAll lets go of every connection.
func (n *conns) closeAll(now core.Now, out *core.Out) {
	for i := range n.peers {
		if p := &n.peers[i]; p.conn != 0 {
			n.drop(now, p, core.ConnGone, out)
		}
	}
}

// usable brings p towards a state in which it can take a request, and reports whether it is there.
func (n *conns) usable(now core.Now, p *peer, out *core.Out) bool {
	switch p.state {
	case resting:
		if now.Mono < p.until {
			n.wakeAt(p.until)
			return false
		}
		n.dial(now, p, out)
		return false
	case ready:
		if now.Mono < p.muted {
			n.wakeAt(p.muted)
			return false
		}
		return len(p.flights) < min(n.opt.InFlight, flightsMax)
	}
	return false
}

func (n *conns) dial(now core.Now, p *peer, out *core.Out) {
	if n.ops.Room() == 0 || n.last+2 >= n.opt.Conns+ConnSpan {
		p.until = now.Mono.After(n.opt.ReconnectMax) // dials that the world has not answered fill the table
		n.wakeAt(p.until)
		return
	}
	n.last += 2
	p.state, p.conn, p.until = dialling, n.last, now.Mono.After(n.opt.DialTime)
	p.op = n.ops.Start(sent{dial: true})
	out.Dial(p.op, p.conn, p.addr)
}

func (n *conns) opened(now core.Now, ev *core.Event, out *core.Out) {
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

func (n *conns) askVersions(p *peer, out *core.Out) {
	q := kmsg.NewApiVersionsRequest()
	q.ClientSoftwareName, q.ClientSoftwareVersion = "klamm", "0"
	q.SetVersion(p.probe)
	p.correlation++
	h := wire.Header{Key: q.Key(), Version: p.probe, Correlation: p.correlation, ClientID: n.opt.ClientID, HasClientID: true}
	out.Send(0, p.conn, wire.AppendRequest(nil, h, &q))
}

// failed takes note that the connection of p is gone, and tells its requests.
func (n *conns) failed(now core.Now, p *peer, why core.Errno) {
	if p.state == negotiating && p.probe > 0 && why != core.TimedOut {
		p.probe = 0 // a broker older than KIP-511 may close at what it cannot read
	}
	for _, f := range p.flights {
		n.got = append(n.got, reply{ask: f.ask, node: p.node, key: f.key, errs: orGone(why)})
	}
	wait := n.opt.ReconnectMin
	for range min(p.fails, 20) {
		wait = min(2*wait, n.opt.ReconnectMax)
	}
	wait = wait - wait/5 + core.Time(n.rand.IntN(int64(wait/5)*2+1)) // ±20 %, so that many clients do not return as one
	p.state, p.conn, p.until, p.why = resting, 0, now.Mono.After(wait), orGone(why)
	p.flights, p.muted = p.flights[:0], 0
	p.fails++
	n.broke = true
}

func orGone(e core.Errno) core.Errno {
	if e == core.OK {
		return core.ConnGone
	}
	return e
}

// drop closes the connection from this side. What the world still reports of it finds no peer.
func (n *conns) drop(now core.Now, p *peer, why core.Errno, out *core.Out) {
	out.CloseConn(p.conn)
	n.failed(now, p, why)
}

func (n *conns) expire(now core.Now, p *peer, out *core.Out) {
	switch p.state {
	case dialling, negotiating:
		if now.Mono >= p.until {
			out.Mark("client.connect-timed-out")
			n.drop(now, p, core.TimedOut, out)
		}
	case ready:
		for i := range p.flights {
			if now.Mono >= p.flights[i].deadline {
				// Replies come in order, so nothing behind it can be matched either.
				out.Mark("client.request-timed-out")
				n.drop(now, p, core.TimedOut, out)
				return
			}
		}
	}
}

func (n *conns) frame(now core.Now, ev *core.Event, out *core.Out) {
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
		out.Mark("client.reply-unasked")
		n.drop(now, p, core.BadFrame, out)
		return
	}
	f := p.flights[0]
	correlation, body, err := wire.ParseResponse(ev.Data, f.key, f.version)
	if err != nil || correlation != f.correlation {
		out.Mark("client.reply-unreadable")
		n.drop(now, p, core.BadFrame, out)
		return
	}
	resp := kmsg.ResponseForKey(f.key)
	resp.SetVersion(f.version)
	if resp.ReadFrom(body) != nil {
		out.Mark("client.reply-unreadable")
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
	n.got = append(n.got, reply{ask: f.ask, node: p.node, key: f.key, resp: resp})
	if !keepsFrame(f.key) {
		out.Release(ev.Data)
	}
}

// keepsFrame reports whether a decoded response of this key refers to the frame's memory beyond the
// Step: byte strings are not copied by the codec.
func keepsFrame(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.Fetch, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.DescribeGroups:
		return true
	}
	return false
}

// negotiated takes the reply to ApiVersions. A broker that does not know the version that was tried
// answers in the form of version 0, with what it does know (KIP-511).
func (n *conns) negotiated(now core.Now, p *peer, frame []byte, out *core.Out) {
	correlation, body, err := wire.ParseResponse(frame, int16(kmsg.ApiVersions), p.probe)
	if err != nil || correlation != p.correlation || len(body) < 2 {
		n.drop(now, p, core.BadFrame, out)
		return
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	unsupported := wire.Code(int16(body[0])<<8|int16(body[1])) == wire.UnsupportedVersion
	if !unsupported {
		resp.SetVersion(p.probe)
	}
	err = resp.ReadFrom(body)
	if err != nil && !unsupported || !unsupported && wire.Code(resp.ErrorCode) != wire.None || len(resp.ApiKeys) > versionsMax {
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
		out.Mark("client.api-versions-downgraded")
		p.probe = best
		n.askVersions(p, out)
		return
	}
	for _, k := range resp.ApiKeys {
		p.versions = append(p.versions, versionRange{k.ApiKey, k.MinVersion, k.MaxVersion})
	}
	slices.SortFunc(p.versions, func(a, b versionRange) int { return int(a.key) - int(b.key) })
	p.state, p.until, p.why = ready, core.Never, core.OK
}

// version picks the newest version of a request that both sides speak, no newer than cap if that is not
// negative. It reports false if there is none.
func (p *peer) version(key, limit int16) (int16, bool) {
	lo, hi, ok := spoken(key)
	if limit >= 0 {
		hi = min(hi, limit)
	}
	i, found := slices.BinarySearchFunc(p.versions, key, func(r versionRange, key int16) int { return int(r.key) - int(key) })
	if !ok || !found {
		return 0, false
	}
	lo, hi = max(lo, p.versions[i].min), min(hi, p.versions[i].max)
	return hi, lo <= hi
}

// send puts a request, whose version is set, on the wire. The caller has seen that p is usable.
func (n *conns) send(now core.Now, p *peer, what ask, q kmsg.Request, wait core.Time, out *core.Out) {
	core.Must(p.state == ready, "a request goes out on a connection that is ready")
	p.correlation++
	h := wire.Header{Key: q.Key(), Version: q.GetVersion(), Correlation: p.correlation, ClientID: n.opt.ClientID, HasClientID: true}
	out.Send(0, p.conn, wire.AppendRequest(nil, h, q))
	p.flights = append(p.flights, flight{what, p.correlation, h.Key, h.Version, now.Mono.After(wait)})
}

// sendOnly is send for a request that gets no reply: the owner hears when the world has taken the bytes.
// It reports false if it can't be sent now.
func (n *conns) sendOnly(now core.Now, p *peer, what ask, q kmsg.Request, out *core.Out) bool {
	core.Must(p.state == ready, "a request goes out on a connection that is ready")
	if n.ops.Room() == 0 {
		return false
	}
	p.correlation++
	h := wire.Header{Key: q.Key(), Version: q.GetVersion(), Correlation: p.correlation, ClientID: n.opt.ClientID, HasClientID: true}
	out.Send(n.ops.Start(sent{ask: what}), p.conn, wire.AppendRequest(nil, h, q))
	return true
}

// spoken is the range of versions of a request that this room knows how to fill and read.
func spoken(key int16) (lo, hi int16, ok bool) {
	switch kmsg.Key(key) {
	case kmsg.Produce:
		return 3, 13, true
	case kmsg.Fetch:
		return 4, 18, true
	case kmsg.ListOffsets:
		return 1, 11, true
	case kmsg.Metadata:
		return 0, 13, true
	case kmsg.OffsetCommit:
		return 2, 9, true
	case kmsg.OffsetFetch:
		return 1, 9, true
	case kmsg.FindCoordinator:
		return 0, 6, true
	case kmsg.JoinGroup:
		return 0, 9, true
	case kmsg.Heartbeat:
		return 0, 4, true
	case kmsg.LeaveGroup:
		return 0, 5, true
	case kmsg.SyncGroup:
		return 0, 5, true
	case kmsg.DescribeGroups:
		return 0, 6, true
	case kmsg.ListGroups:
		return 0, 5, true
	case kmsg.CreateTopics:
		return 0, 7, true
	case kmsg.DeleteTopics:
		return 0, 5, true
	case kmsg.DeleteRecords:
		return 0, 2, true
	case kmsg.InitProducerID:
		return 0, 5, true
	case kmsg.OffsetForLeaderEpoch:
		return 2, 4, true
	case kmsg.DescribeConfigs:
		return 0, 4, true
	case kmsg.DescribeLogDirs:
		return 0, 4, true
	case kmsg.CreatePartitions:
		return 0, 3, true
	case kmsg.DeleteGroups:
		return 0, 2, true
	case kmsg.IncrementalAlterConfigs:
		return 0, 1, true
	case kmsg.OffsetDelete:
		return 0, 0, true
	case kmsg.DescribeCluster:
		return 0, 2, true
	case kmsg.DescribeProducers:
		return 0, 0, true
	}
	return 0, 0, false
}
