package quorum

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"
)

// peer is another voter.
//
// Invariants: ballot is of the present round, end and what follows of the present leadership: both begin anew with each, since
// an old one proves nothing (raft-rs 61, NATS 6d8b950).
type peer struct {
	id   core.NodeID
	dir  core.TopicID // zero: not known
	addr string

	ballot ballot

	end          core.Offset // its copy is durable below; -1: it has not fetched
	fetchedAt    core.Time   // when it fetched last, or the leadership began
	fetchMillis  int64       // the same on the wall clock; -1: it has not fetched
	caughtMillis int64       // when it last had all
	leaderEnd    core.Offset // the leader's end when it fetched last

	token   uint64    // of the request in flight; 0: none
	done    bool      // it has answered the request of this role; to an unattached node, that it knows no leader
	retryAt core.Time // no request before then

	claims bool // to a leader, while the configuration names the voters: it has said who it is
	claim  wire.Voter
}

type ballot uint8

const (
	unasked ballot = iota
	granted
	refused
)

// newRole begins a part: what belonged to the last one is over, replies still to come included.
func (n *Node) newRole(now core.Now, r Role, due core.Time) {
	n.role, n.due = r, due
	n.follow = following{asked: n.follow.asked}
	for i := range n.peers {
		p := &n.peers[i]
		p.ballot, p.token, p.done, p.retryAt = unasked, 0, false, 0
		p.end, p.leaderEnd, p.fetchMillis, p.caughtMillis, p.fetchedAt = -1, -1, -1, -1, now.Mono
		p.claims, p.claim = false, wire.Voter{}
	}
	n.readers, n.tend = nil, tending{}
	n.endChange(wire.NotLeaderOrFollower, "This node does not lead the metadata quorum any more.")
	if n.download.stage == downloadAsking {
		n.download.stage = downloadDropped
	}
}

// spread draws an instant between one and two spans from now: nodes that wait for the same thing must not act at once.
func (n *Node) spread(now core.Now, span core.Time) core.Time {
	return now.Mono.After(span + core.Time(n.rand.IntN(int64(span)+1)))
}

// unattached takes a new epoch whose leader is not known.
func (n *Node) unattached(now core.Now, epoch core.Epoch) {
	core.Must(epoch > n.state.epoch, "the epoch of a quorum rises")
	due := n.due
	if n.role == Leader || n.role == Resigned || due == core.Never {
		// Who waited already goes on waiting: else one voter that counts up epochs could keep all others from ever standing.
		due = n.spread(now, n.cfg.ElectionTimeout)
	}
	n.state.epoch, n.state.leader, n.state.voted, n.state.votedDir = epoch, core.NoNode, core.NoNode, core.TopicID{}
	n.hard()
	n.newRole(now, Unattached, n.orNever(due))
}

// orNever is due, if this node stands for elections.
func (n *Node) orNever(due core.Time) core.Time {
	if !n.stands() || n.stopping {
		return core.Never
	}
	return due
}

// vote gives this node's vote in its epoch.
func (n *Node) vote(now core.Now, id core.NodeID, dir core.TopicID) {
	core.Must(n.state.voted == core.NoNode || n.state.voted == id, "one vote in an epoch")
	core.Must(n.state.leader == core.NoNode, "no vote in an epoch that has its leader")
	n.state.voted, n.state.votedDir = id, dir
	n.hard()
	n.newRole(now, Unattached, n.orNever(n.spread(now, n.cfg.ElectionTimeout)))
}

// followLeader follows a leader, in its epoch.
func (n *Node) followLeader(now core.Now, leader core.NodeID, epoch core.Epoch) {
	core.Must(epoch >= n.state.epoch, "the epoch of a quorum never falls")
	core.Must(leader != n.cfg.Self, "a node does not follow itself")
	if epoch > n.state.epoch {
		n.state.epoch, n.state.voted, n.state.votedDir = epoch, core.NoNode, core.TopicID{}
		n.hard()
	}
	n.state.leader = leader
	n.put.dirty = true
	n.tries = 0
	n.newRole(now, Follower, now.Mono.After(n.cfg.FetchTimeout))
}

// prospective asks who would vote for this node.
func (n *Node) prospective(now core.Now, out *core.Out) {
	out.Mark("quorum.prospective")
	n.newRole(now, Prospective, n.spread(now, n.cfg.ElectionTimeout))
	n.holdTo = 0
}

// candidate stands in an epoch of its own.
func (n *Node) candidate(now core.Now, out *core.Out) {
	core.Must(n.stands(), "only a voter stands for election")
	out.Mark("quorum.candidate")
	n.state.epoch++
	n.state.leader, n.state.voted, n.state.votedDir = core.NoNode, n.cfg.Self, n.cfg.Directory
	n.hard()
	n.newRole(now, Candidate, n.spread(now, n.cfg.ElectionTimeout))
}

// lead opens the epoch with a LeaderChange record.
func (n *Node) lead(now core.Now, store *log.Store, out *core.Out) {
	core.Must(n.saved >= n.serial, "a candidate's own vote is durable before it leads")
	core.Must(n.state.voted == n.cfg.Self, "a leader was a candidate of its epoch")
	m := &wire.LeaderChangeMessage{LeaderID: n.cfg.Self}
	set := n.inForce()
	for _, v := range n.Voters() {
		row := wire.LeaderChangeVoter{VoterID: v.ID}
		m.Voters = append(m.Voters, row)
		if p := findPeer(n.peers, v.ID); v.ID == n.cfg.Self || p != nil && p.ballot == granted {
			m.GrantingVoters = append(m.GrantingVoters, row)
		}
	}
	n.newRole(now, Leader, core.Never)
	n.state.leader, n.state.voted, n.state.votedDir = n.cfg.Self, core.NoNode, core.TopicID{}
	n.put.dirty = !n.sole() // a sole voter's file says so already
	n.tries = 0
	n.epochStart = n.End(store)
	records := []controlRecord{{batch.LeaderChange, m}}
	if set.kraft > 0 && n.epochStart == 0 { // the voters of the formatted directory enter the log
		records = append(records, set.records()...)
	}
	if !n.appendControl(now, store, out, records...) {
		if !store.Log(n.id).Online() {
			n.fail("the metadata log takes no records: " + store.Log(n.id).Offline())
			return
		}
		n.resign(now, out) // the store is being stopped
	}
}

// resign ends this node's leadership.
func (n *Node) resign(now core.Now, out *core.Out) {
	out.Mark("quorum.resigned")
	ends := n.endsByPeer()
	due := n.spread(now, n.cfg.ElectionTimeout)
	if n.stopping || n.sole() {
		due = core.Never
	}
	n.newRole(now, Resigned, due)
	for i := range n.peers {
		n.peers[i].leaderEnd = ends[i] // whom to prefer
	}
}

func (n *Node) endsByPeer() []core.Offset {
	ends := make([]core.Offset, len(n.peers))
	for i := range n.peers {
		ends[i] = n.peers[i].end
	}
	return ends
}

// Resign gives up leadership for a clean stop: the other voters are told, and whom to prefer. A node that does
// not lead only stops taking part in elections.
func (n *Node) Resign(now core.Now, store *log.Store, out *core.Out) {
	n.stopping = true
	if n.role == Leader {
		n.resign(now, out)
	} else if n.role != Follower {
		n.due = core.Never
	}
	n.settle(now, store, out)
}

// logBusy reports that the log is being cut, so that it says nothing certain about its end.
func (n *Node) logBusy(store *log.Store) bool {
	return n.cutting || n.download.stage > downloadAsking || !store.Log(n.id).Online()
}

// turn moves the node to another role if its time has come, or its votes have.
func (n *Node) turn(now core.Now, store *log.Store, out *core.Out) {
	if n.role == Leader && n.overdue(now) {
		out.Mark("quorum.check-quorum")
		out.Note(core.Warn, "no majority of the metadata quorum's voters has fetched: this node resigns as leader of epoch "+strconv.Itoa(int(n.state.epoch)))
		n.resign(now, out)
	}
	if n.losesLeader() {
		n.due = min(n.due, n.follow.lostAt.After(n.cfg.LossTimeout))
	}
	if now.Mono >= n.holdTo {
		n.holdTo = 0
	}
	if n.role == Resigned && !n.stopping && !n.stands() && !slices.ContainsFunc(n.peers, func(p peer) bool { return !p.done }) {
		// It was taken out of the voters, and those that stay know that they have to elect: nothing is left to wait for.
		n.due = now.Mono
	}
	if now.Mono >= n.due {
		n.follow.lostAt = 0 // it has had its effect; a fetch that fails will set it again
		n.timedOut(now, store, out)
	}
	n.count(now, store, out)
	n.changeTurn(now, store, out)
}

// losesLeader reports that this voter cannot reach its leader and will act on that.
func (n *Node) losesLeader() bool {
	return n.role == Follower && n.follow.lostAt != 0 && n.stands() && !n.stopping
}

// timedOut acts on the role's timer.
func (n *Node) timedOut(now core.Now, store *log.Store, out *core.Out) {
	switch {
	case n.role == Resigned:
		n.unattached(now, n.state.epoch+1)
	case !n.stands():
		if n.role == Follower { // an observer looks for the leader anew
			n.state.leader = core.NoNode
			n.newRole(now, Unattached, core.Never)
			return
		}
		n.due = core.Never
	case n.role == Prospective:
		n.backDown(now, out)
	case n.stopping:
		n.due = core.Never
	case n.logBusy(store):
		n.due = now.Mono.After(n.cfg.ElectionTimeout / 10) // until its end is certain
	default:
		n.prospective(now, out)
	}
}

// appendControl appends a batch of control records. A voter set in it is in force from here on.
func (n *Node) appendControl(now core.Now, store *log.Store, out *core.Out, records ...controlRecord) bool {
	v := controlBatch(0, n.state.epoch, now.Wall.Millis(), records...)
	end, ok := n.append(now, v, nil, store, out)
	if !ok {
		return false
	}
	set, has, wrong := readSet(v, n.inForce())
	core.Must(wrong == "", "a control batch of this leader can be read")
	if has {
		n.learn(now, end, set)
	}
	return true
}

// backDown ends a round of pre-votes that was not won: the leader that was known may well live.
func (n *Node) backDown(now core.Now, out *core.Out) {
	out.Mark("quorum.back-down")
	due := n.orNever(now.Mono.After(n.cfg.ElectionTimeout/10 + core.Time(n.rand.IntN(int64(n.cfg.ElectionTimeout/10)+1))))
	if n.state.leader == core.NoNode {
		n.newRole(now, Unattached, due)
		return
	}
	n.newRole(now, Follower, due) // the first fetch that succeeds gives it the whole fetch timeout again
}

// count looks at the ballots of a round.
func (n *Node) count(now core.Now, store *log.Store, out *core.Out) {
	if n.role != Prospective && n.role != Candidate {
		return
	}
	yes, no := 0, 0
	if n.isVoter() { // its own
		yes = 1
	}
	for i := range n.peers {
		switch n.peers[i].ballot {
		case granted:
			yes++
		case refused:
			no++
		}
	}
	need := n.voterCount()/2 + 1
	switch {
	case n.role == Prospective && yes >= need && now.Mono >= n.holdTo && !n.logBusy(store):
		n.candidate(now, out)
		n.count(now, store, out)
	case n.role == Candidate && yes >= need && n.saved >= n.serial:
		out.Mark("quorum.elected")
		n.lead(now, store, out)
	case n.role == Candidate && n.voterCount()-no < need:
		// It can't be elected any more. Two that collide must not do so again.
		out.Mark("quorum.not-elected")
		n.tries++
		pause := min(n.cfg.BackoffMax, n.cfg.ElectionTimeout/20<<min(n.tries, 10))
		n.newRole(now, Unattached, n.orNever(now.Mono.After(core.Time(n.rand.IntN(int64(pause)+1)))))
	}
}

// quorumTime is for how long a leader lives without a majority that fetches.
func (n *Node) quorumTime() core.Time { return n.cfg.FetchTimeout + n.cfg.FetchTimeout/2 }

// quorumUntil is when a leader has to resign, unless somebody fetches.
func (n *Node) quorumUntil() core.Time {
	if n.role != Leader || n.voterCount() == 0 || n.sole() {
		return core.Never
	}
	var times []core.Time
	for i := range n.peers {
		times = append(times, n.peers[i].fetchedAt)
	}
	if n.isVoter() {
		times = append(times, core.Never)
	}
	slices.Sort(times)
	// The oldest of the majority that fetched last.
	return times[len(times)-(len(times)/2+1)].After(n.quorumTime())
}

// overdue reports that this leader should have resigned. A paused machine may be asked before its Tick.
func (n *Node) overdue(now core.Now) bool { return now.Mono >= n.quorumUntil() }
