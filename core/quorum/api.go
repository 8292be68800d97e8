package quorum

import (
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Ticket is the hall's name for a request that it asks. A ticket is not used twice while its answer is awaited.
type Ticket uint64

// Answer is what a request came to.
type Answer struct {
	Ticket Ticket
	Resp   kmsg.Response
}

// Outgoing is a request to another node. Its Token comes back with Replied, once, whatever becomes of it.
type Outgoing struct {
	Token   uint64
	To      core.NodeID // core.NoNode if only the address is known
	Addr    string      // host:port; empty if the node's listener is not known
	Req     kmsg.Request
	Timeout core.Time
}

// heldAnswer waits until what it rests on is durable.
type heldAnswer struct {
	need uint64 // the serial
	Answer
}

// heldRequest waits likewise.
type heldRequest struct {
	need uint64
	Outgoing
}

// Role is the part that a node plays in the quorum.
type Role uint8

// The roles. See the package comment for what moves a node from one to another.
const (
	Unattached Role = iota
	Prospective
	Candidate
	Follower
	Leader
	Resigned
	Observer // not a voter: it follows, or looks for a leader
)

var roleNames = [...]string{"unattached", "prospective", "candidate", "follower", "leader", "resigned", "observer"}

func (r Role) String() string { return roleNames[r] }

// heldMax bounds the answers that wait for a write of quorum-state; above it a request is answered with an error.
const heldMax = 4096

// epochMax bounds the epochs that are believed. At one election in a millisecond it lasts for twelve days, so only who wishes
// harm names a higher one: after the last there would be none to stand in.
const epochMax = 1 << 30

// Ask takes a peer's or an admin's request: Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch of the metadata log,
// FetchSnapshot, DescribeQuorum, AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter. Exactly one Answer comes, now or later, unless Cancel comes first.
func (n *Node) Ask(now core.Now, t Ticket, q kmsg.Request, store *log.Store, out *core.Out) {
	if n.failed != "" || n.stage != stageServing || len(n.answers) >= heldMax {
		n.answer(t, refusal(q, wire.BrokerNotAvailable))
		return
	}
	switch q := q.(type) {
	case *kmsg.VoteRequest:
		n.answer(t, n.voteAsked(now, q, store, out))
	case *kmsg.BeginQuorumEpochRequest:
		n.answer(t, n.beginAsked(now, q, out))
	case *kmsg.EndQuorumEpochRequest:
		n.answer(t, n.endAsked(now, q, out))
	case *kmsg.FetchRequest:
		n.fetchAsked(now, t, q, store, out)
	case *kmsg.FetchSnapshotRequest:
		n.snapshotAsked(now, t, q, out)
	case *kmsg.DescribeQuorumRequest:
		n.answer(t, n.describeAsked(now, q, store))
	case *kmsg.AddRaftVoterRequest:
		n.addAsked(now, t, q)
	case *kmsg.RemoveRaftVoterRequest:
		n.removeAsked(now, t, q, store, out)
	case *kmsg.UpdateRaftVoterRequest:
		n.answer(t, n.updateAsked(now, q, store, out))
	default:
		n.answer(t, refusal(q, wire.UnsupportedVersion))
	}
	n.settle(now, store, out)
}

// refusal answers a request with an error at its top level.
func refusal(q kmsg.Request, code wire.Code) kmsg.Response {
	r := q.ResponseKind()
	r.SetVersion(q.GetVersion())
	switch r := r.(type) {
	case *kmsg.VoteResponse:
		r.ErrorCode = int16(code)
	case *kmsg.BeginQuorumEpochResponse:
		r.ErrorCode = int16(code)
	case *kmsg.EndQuorumEpochResponse:
		r.ErrorCode = int16(code)
	case *kmsg.FetchResponse:
		r.ErrorCode = int16(code)
	case *kmsg.FetchSnapshotResponse:
		r.ErrorCode = int16(code)
	case *kmsg.DescribeQuorumResponse:
		r.ErrorCode = int16(code)
	case *kmsg.AddRaftVoterResponse:
		r.ErrorCode = int16(code)
	case *kmsg.RemoveRaftVoterResponse:
		r.ErrorCode = int16(code)
	case *kmsg.UpdateRaftVoterResponse:
		r.ErrorCode = int16(code)
	}
	return r
}

func (n *Node) answer(t Ticket, r kmsg.Response) {
	n.answers = append(n.answers, heldAnswer{n.serial, Answer{t, r}})
}

// Answers takes out the answers that may leave: all that they rest on is durable.
func (n *Node) Answers() (ready []Answer) {
	kept := n.answers[:0]
	for _, a := range n.answers {
		if a.need <= n.saved {
			ready = append(ready, a.Answer)
		} else {
			kept = append(kept, a)
		}
	}
	clear(n.answers[len(kept):])
	n.answers = kept
	return ready
}

// Outbox takes out the requests that may leave: all that they rest on is durable.
func (n *Node) Outbox() (ready []Outgoing) {
	kept := n.outbox[:0]
	for _, r := range n.outbox {
		switch {
		case !n.waitsFor(r.Token): // what it was for is over
		case r.need <= n.saved:
			ready = append(ready, r.Outgoing)
		default:
			kept = append(kept, r)
		}
	}
	clear(n.outbox[len(kept):])
	n.outbox = kept
	return ready
}

// waitsFor reports whether the reply to a request would still mean something.
func (n *Node) waitsFor(token uint64) bool {
	return n.follow.token == token || n.change.token == token || n.tend.token == token || slices.ContainsFunc(n.peers, func(p peer) bool { return p.token == token })
}

// send puts a request into the outbox.
func (n *Node) send(to core.NodeID, addr string, q kmsg.Request) (token uint64) {
	n.token++
	n.outbox = append(n.outbox, heldRequest{n.serial, Outgoing{Token: n.token, To: to, Addr: addr, Req: q, Timeout: n.cfg.RequestTimeout}})
	return n.token
}

// Cancel says that nobody waits for an answer any more.
func (n *Node) Cancel(t Ticket) {
	n.answers = slices.DeleteFunc(n.answers, func(a heldAnswer) bool { return a.Ticket == t })
	n.parked = slices.DeleteFunc(n.parked, func(p parked) bool { return p.ticket == t })
	if n.change.ticket == t { // it goes on
		n.change.ticket = 0
	}
	for i := range n.serving {
		if n.serving[i].ticket == t {
			n.serving[i].gone = true // its reads end first
		}
	}
}

// Replied tells what a request of the Outbox came to: nil if it was lost, or not answered in time.
func (n *Node) Replied(now core.Now, token uint64, resp kmsg.Response, store *log.Store, out *core.Out) {
	if n.failed != "" || n.stage != stageServing {
		return
	}
	if token != 0 && token == n.follow.token {
		n.follow.token = 0
		n.fetchReplied(now, resp, store, out)
	} else if token != 0 && token == n.change.token {
		n.versionsReplied(now, resp, store, out)
	} else if token != 0 && token == n.tend.token {
		n.tended(now, resp, out)
	} else if i := slices.IndexFunc(n.peers, func(p peer) bool { return p.token == token }); token != 0 && i >= 0 {
		n.peers[i].token = 0
		n.peerReplied(now, i, resp, out)
	}
	n.settle(now, store, out)
}

// peerReplied takes a voter's reply to what its role had asked.
func (n *Node) peerReplied(now core.Now, i int, resp kmsg.Response, out *core.Out) {
	switch r := resp.(type) {
	case *kmsg.VoteResponse:
		for _, e := range r.NodeEndpoints {
			n.tell(e.NodeID, e.Host, e.Port)
		}
		n.voteReplied(now, i, r, out)
	case *kmsg.BeginQuorumEpochResponse:
		n.toldReplied(now, i, r.ErrorCode, beginRow(r), out)
	case *kmsg.EndQuorumEpochResponse:
		n.toldReplied(now, i, r.ErrorCode, endRow(r), out)
	default: // lost
		n.peers[i].retryAt = now.Mono.After(n.pause())
		if n.role == Leader || n.role == Resigned { // there is no hurry, and it may be down for long
			n.peers[i].retryAt = now.Mono.After(n.cfg.ElectionTimeout / 10)
		}
	}
}

// pause is the time between a request that failed and its repetition.
func (n *Node) pause() core.Time {
	return n.cfg.RetryBackoff + core.Time(n.rand.IntN(int64(n.cfg.RetryBackoff)+1))
}

// heard takes what a message says of its sender's epoch and leader, which may be core.NoNode. False: the message
// belongs to another epoch than this node was in, or contradicts what it knows; it is not to be looked at further.
func (n *Node) heard(now core.Now, leader core.NodeID, epoch core.Epoch, out *core.Out) bool {
	if leader < 0 {
		leader = core.NoNode
	}
	switch {
	case epoch < n.state.epoch || epoch > epochMax:
		return false
	case epoch > n.state.epoch && leader == n.cfg.Self:
		// Nobody but this node makes it a leader. Whoever says this knows a former life that forgot its epoch.
		out.Note(core.Error, "another node takes this one for the leader of an epoch that it never had: its quorum-state was lost or replaced")
		n.unattached(now, epoch)
		return false
	case epoch > n.state.epoch && leader == core.NoNode:
		n.unattached(now, epoch)
		return false
	case epoch > n.state.epoch:
		n.followLeader(now, leader, epoch)
		return false
	case leader == core.NoNode || leader == n.state.leader || leader == n.cfg.Self:
		return true // the last: it led in a former life, and only its vote was on disk yet
	case n.state.leader == core.NoNode:
		n.followLeader(now, leader, epoch)
		return false
	}
	out.Mark("quorum.two-leaders")
	out.Note(core.Error, "two leaders are named for one epoch of the metadata quorum: a node has forgotten its vote, or two clusters share a listener")
	return false
}

// nextAct is when a request is to be repeated.
func (n *Node) nextAct() core.Time {
	next := n.quorumUntil()
	if n.change.kind != notChanging {
		next = min(next, n.change.deadline)
	}
	switch n.role {
	case Prospective:
		if n.holdTo > 0 {
			next = min(next, n.holdTo)
		}
		fallthrough
	case Candidate, Leader, Resigned:
		for i := range n.peers {
			if p := &n.peers[i]; p.token == 0 && p.addr != "" {
				next = min(next, n.askAt(p))
			}
		}
	case Follower, Unattached:
		next = min(next, n.fetchAt(), n.tendAt())
		if n.losesLeader() {
			next = min(next, n.follow.lostAt.After(n.cfg.LossTimeout))
		}
	}
	return next
}

// askAt is when a voter is to be asked or told what the role asks or tells; Never if it has been.
func (n *Node) askAt(p *peer) core.Time {
	switch {
	case n.role == Leader && p.fetchMillis >= 0: // one that fetches knows its leader
		return max(p.retryAt, p.fetchedAt.After(n.cfg.FetchTimeout/2))
	case n.role == Leader && p.done:
		return max(p.retryAt, p.fetchedAt.After(n.cfg.FetchTimeout/2))
	case n.role == Candidate && p.ballot != unasked, n.role == Prospective && p.ballot == granted, n.role == Resigned && p.done:
		return core.Never
	}
	return p.retryAt
}

// act sends what the role has to send.
func (n *Node) act(now core.Now, store *log.Store, out *core.Out) {
	switch n.role {
	case Prospective, Candidate, Leader, Resigned:
		for i := range n.peers {
			p := &n.peers[i]
			if p.token != 0 || p.addr == "" || now.Mono < n.askAt(p) {
				continue
			}
			switch n.role {
			case Leader:
				p.token = n.send(p.id, p.addr, n.beginRequest(p))
			case Resigned:
				p.token = n.send(p.id, p.addr, n.endRequest())
			default:
				if n.logBusy(store) {
					p.retryAt = now.Mono.After(n.cfg.ElectionTimeout / 10)
					continue
				}
				p.token = n.send(p.id, p.addr, n.voteRequest(p, store))
			}
		}
	case Follower, Unattached:
		n.fetchMore(now, store, out)
		n.tendPlace(now, out)
	}
}
