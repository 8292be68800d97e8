package quorum

import (
	"cmp"
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// row is what the responses of Vote, BeginQuorumEpoch and EndQuorumEpoch have in common.
type row struct {
	ok      bool // it is there, for the metadata log
	code    wire.Code
	leader  core.NodeID
	epoch   core.Epoch
	granted bool
}

// only is the one partition of the one topic that a message is about, if these are the metadata log's.
func only[T, P any](topics []T, of func(*T) (string, []P)) *P {
	if len(topics) != 1 {
		return nil
	}
	name, parts := of(&topics[0])
	if name != Partition.Topic || len(parts) != 1 {
		return nil
	}
	return &parts[0]
}

func voteRow(r *kmsg.VoteResponse) (v row) {
	p := only(r.Topics, func(t *kmsg.VoteResponseTopic) (string, []kmsg.VoteResponseTopicPartition) {
		return t.Topic, t.Partitions
	})
	if p != nil {
		v = row{true, wire.Code(p.ErrorCode), core.NodeID(p.LeaderID), core.Epoch(p.LeaderEpoch), p.VoteGranted}
	}
	return v
}

func beginRow(r *kmsg.BeginQuorumEpochResponse) (v row) {
	p := only(r.Topics, func(t *kmsg.BeginQuorumEpochResponseTopic) (string, []kmsg.BeginQuorumEpochResponseTopicPartition) {
		return t.Topic, t.Partitions
	})
	if p != nil {
		v = row{true, wire.Code(p.ErrorCode), core.NodeID(p.LeaderID), core.Epoch(p.LeaderEpoch), false}
	}
	return v
}

func endRow(r *kmsg.EndQuorumEpochResponse) (v row) {
	p := only(r.Topics, func(t *kmsg.EndQuorumEpochResponseTopic) (string, []kmsg.EndQuorumEpochResponseTopicPartition) {
		return t.Topic, t.Partitions
	})
	if p != nil {
		v = row{true, wire.Code(p.ErrorCode), core.NodeID(p.LeaderID), core.Epoch(p.LeaderEpoch), false}
	}
	return v
}

// wrongCluster reports that a request names another cluster. None named is accepted.
func (n *Node) wrongCluster(id *string) bool {
	return id != nil && n.cfg.ClusterID != "" && *id != n.cfg.ClusterID
}

func (n *Node) clusterID() *string {
	if n.cfg.ClusterID == "" {
		return nil
	}
	id := n.cfg.ClusterID
	return &id
}

// wrongVoter reports that a request was meant for another voter, or another directory. -1 and zero name nobody.
func (n *Node) wrongVoter(id int32, dir core.TopicID) bool {
	if id >= 0 && core.NodeID(id) != n.cfg.Self {
		return true
	}
	return !dir.IsZero() && !n.cfg.Directory.IsZero() && dir != n.cfg.Directory
}

// lastEpoch is the epoch of the last record of the log, or of the snapshot that an empty log begins with.
func (n *Node) lastEpoch(store *log.Store) core.Epoch {
	l := store.Log(n.id)
	if e := l.Epoch(); e >= 0 {
		return e
	}
	if i := len(n.snapshots) - 1; i >= 0 && n.snapshots[i].End == l.End() {
		return n.snapshots[i].Epoch
	}
	return 0
}

// endpoint gives the address of a voter.
func (n *Node) endpoint(id core.NodeID) (Voter, bool) {
	voters := n.Voters()
	if i := slices.IndexFunc(voters, func(v Voter) bool { return v.ID == id && v.Host != "" }); i >= 0 && n.KRaft() == 0 {
		return voters[i], true
	} else if j := slices.IndexFunc(n.cfg.Endpoints, func(e wire.VoterEndpoint) bool { return e.Name == n.cfg.Listener }); id == n.cfg.Self && j >= 0 {
		return Voter{ID: id, Host: n.cfg.Endpoints[j].Host, Port: n.cfg.Endpoints[j].Port}, true
	} else if n.told.ID == id && id >= 0 && n.told.Host != "" {
		return n.told, true
	} else if i >= 0 {
		return voters[i], true
	}
	return Voter{}, false
}

// voteRequest asks for a vote, or for a promise of one (KIP-996).
func (n *Node) voteRequest(p *peer, store *log.Store) kmsg.Request {
	q := kmsg.NewPtrVoteRequest()
	q.Version = 2
	q.ClusterID, q.VoterID = n.clusterID(), int32(p.id)
	r := kmsg.NewVoteRequestTopicPartition()
	r.CandidateEpoch, r.CandidateID, r.CandidateDirectoryID, r.VoterDirectoryID = int32(n.state.epoch), int32(n.cfg.Self), n.cfg.Directory, p.dir
	r.LastOffsetEpoch, r.LastOffset, r.PreVote = int32(n.lastEpoch(store)), int64(n.End(store)), n.role == Prospective
	t := kmsg.NewVoteRequestTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.VoteRequestTopicPartition{r}
	q.Topics = []kmsg.VoteRequestTopic{t}
	return q
}

// voteAsked answers Vote, versions 0 to 2. An answer with a vote rests on the vote being durable.
func (n *Node) voteAsked(now core.Now, q *kmsg.VoteRequest, store *log.Store, out *core.Out) kmsg.Response {
	if n.wrongCluster(q.ClusterID) {
		return refusal(q, wire.InconsistentClusterID)
	}
	p := only(q.Topics, func(t *kmsg.VoteRequestTopic) (string, []kmsg.VoteRequestTopicPartition) {
		return t.Topic, t.Partitions
	})
	if p == nil || p.Partition != Partition.Partition {
		return refusal(q, wire.InvalidRequest)
	}
	code, yes := n.ballotAsked(now, q.VoterID, p, store, out)
	resp := q.ResponseKind().(*kmsg.VoteResponse)
	resp.Version = q.Version
	r := kmsg.NewVoteResponseTopicPartition()
	r.ErrorCode, r.LeaderID, r.LeaderEpoch, r.VoteGranted = int16(code), int32(n.state.leader), int32(n.state.epoch), yes
	t := kmsg.NewVoteResponseTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.VoteResponseTopicPartition{r}
	resp.Topics = []kmsg.VoteResponseTopic{t}
	if v, ok := n.endpoint(n.state.leader); ok && q.Version >= 1 {
		e := kmsg.NewVoteResponseNodeEndpoint()
		e.NodeID, e.Host, e.Port = int32(v.ID), v.Host, v.Port
		resp.NodeEndpoints = append(resp.NodeEndpoints, e)
	}
	return resp
}

// ballotAsked decides on a request for a vote, or a pre-vote.
func (n *Node) ballotAsked(now core.Now, voter int32, p *kmsg.VoteRequestTopicPartition, store *log.Store, out *core.Out) (wire.Code, bool) {
	epoch, last := core.Epoch(p.CandidateEpoch), core.Epoch(p.LastOffsetEpoch)
	id, dir := core.NodeID(p.CandidateID), core.TopicID(p.CandidateDirectoryID)
	switch {
	case epoch < n.state.epoch:
		return wire.FencedLeaderEpoch, false
	case epoch > epochMax, id < 0 || id == n.cfg.Self, last < 0 || p.LastOffset < 0, last > epoch || last == epoch && !p.PreVote:
		return wire.InvalidRequest, false
	}
	if epoch > n.state.epoch {
		n.unattached(now, epoch)
	}
	if n.wrongVoter(voter, p.VoterDirectoryID) {
		return wire.InvalidVoterKey, false
	}
	if n.logBusy(store) {
		return wire.None, false // it can't say how far it is
	}
	enough := cmp.Or(cmp.Compare(last, n.lastEpoch(store)), cmp.Compare(core.Offset(p.LastOffset), n.End(store))) >= 0
	if p.PreVote {
		yes := enough && n.role != Leader && !(n.role == Follower && n.follow.heard)
		if yes && n.role == Prospective {
			// Two that stand at once take the votes from each other: whoever was asked lets the other go first.
			n.holdTo = max(n.holdTo, now.Mono.After(n.cfg.ElectionTimeout/10+core.Time(n.rand.IntN(int64(n.cfg.ElectionTimeout/10)+1))))
		}
		return wire.None, yes
	}
	switch {
	case n.state.voted == id && (dir.IsZero() || n.state.votedDir.IsZero() || n.state.votedDir == dir):
		return wire.None, n.role == Unattached || n.role == Prospective
	case n.state.voted != core.NoNode || n.state.leader != core.NoNode || !enough:
		return wire.None, false
	case n.role != Unattached && n.role != Prospective:
		return wire.None, false
	}
	out.Mark("quorum.voted")
	n.vote(now, id, dir)
	return wire.None, true
}

// voteReplied takes a ballot.
func (n *Node) voteReplied(now core.Now, i int, r *kmsg.VoteResponse, out *core.Out) {
	v, p := voteRow(r), &n.peers[i]
	if r.ErrorCode != 0 || !v.ok {
		p.retryAt = now.Mono.After(n.cfg.ElectionTimeout / 10)
		return
	}
	role, epoch := n.role, n.state.epoch
	known := n.state.leader
	if !n.heard(now, v.leader, v.epoch, out) || n.role != role || n.state.epoch != epoch {
		return
	}
	switch {
	case v.code == wire.None && v.granted:
		p.ballot = granted
	case v.code == wire.None:
		p.ballot = refused
		if p.id == known && v.leader == known { // the leader itself: it lives
			n.backDown(now, out)
			return
		}
	}
	// A prospective node asks again: the others come to miss the leader one by one.
	p.retryAt = now.Mono.After(n.cfg.ElectionTimeout / 10)
}

// beginRequest tells a voter who leads.
func (n *Node) beginRequest(p *peer) kmsg.Request {
	q := kmsg.NewPtrBeginQuorumEpochRequest()
	q.Version = 1
	q.ClusterID, q.VoterID = n.clusterID(), int32(p.id)
	r := kmsg.NewBeginQuorumEpochRequestTopicPartition()
	r.VoterDirectoryID, r.LeaderID, r.LeaderEpoch = p.dir, int32(n.cfg.Self), int32(n.state.epoch)
	t := kmsg.NewBeginQuorumEpochRequestTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.BeginQuorumEpochRequestTopicPartition{r}
	q.Topics = []kmsg.BeginQuorumEpochRequestTopic{t}
	if v, ok := n.endpoint(n.cfg.Self); ok {
		e := kmsg.NewBeginQuorumEpochRequestLeaderEndpoint()
		e.Name, e.Host, e.Port = n.cfg.Listener, v.Host, v.Port
		q.LeaderEndpoints = append(q.LeaderEndpoints, e)
	}
	return q
}

// beginAsked answers BeginQuorumEpoch, versions 0 and 1.
func (n *Node) beginAsked(now core.Now, q *kmsg.BeginQuorumEpochRequest, out *core.Out) kmsg.Response {
	if n.wrongCluster(q.ClusterID) {
		return refusal(q, wire.InconsistentClusterID)
	}
	p := only(q.Topics, func(t *kmsg.BeginQuorumEpochRequestTopic) (string, []kmsg.BeginQuorumEpochRequestTopicPartition) {
		return t.Topic, t.Partitions
	})
	if p == nil || p.Partition != Partition.Partition {
		return refusal(q, wire.InvalidRequest)
	}
	for _, e := range q.LeaderEndpoints {
		if e.Name == n.cfg.Listener && core.Epoch(p.LeaderEpoch) >= n.state.epoch {
			n.tell(p.LeaderID, e.Host, e.Port)
		}
	}
	code := n.leaderSays(now, core.NodeID(p.LeaderID), core.Epoch(p.LeaderEpoch), out)
	if code == wire.None && n.wrongVoter(q.VoterID, p.VoterDirectoryID) {
		code = wire.InvalidVoterKey
	}
	resp := q.ResponseKind().(*kmsg.BeginQuorumEpochResponse)
	resp.Version = q.Version
	r := kmsg.NewBeginQuorumEpochResponseTopicPartition()
	r.ErrorCode, r.LeaderID, r.LeaderEpoch = int16(code), int32(n.state.leader), int32(n.state.epoch)
	t := kmsg.NewBeginQuorumEpochResponseTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.BeginQuorumEpochResponseTopicPartition{r}
	resp.Topics = []kmsg.BeginQuorumEpochResponseTopic{t}
	if v, ok := n.endpoint(n.state.leader); ok && q.Version >= 1 {
		e := kmsg.NewBeginQuorumEpochResponseNodeEndpoint()
		e.NodeID, e.Host, e.Port = int32(v.ID), v.Host, v.Port
		resp.NodeEndpoints = append(resp.NodeEndpoints, e)
	}
	return resp
}

// leaderSays takes what a leader says of itself.
func (n *Node) leaderSays(now core.Now, leader core.NodeID, epoch core.Epoch, out *core.Out) wire.Code {
	switch {
	case epoch < n.state.epoch:
		return wire.FencedLeaderEpoch
	case leader < 0 || leader == n.cfg.Self || epoch > epochMax:
		return wire.InvalidRequest
	}
	n.heard(now, leader, epoch, out)
	if n.state.leader != leader {
		return wire.InvalidRequest // it contradicts what is known
	}
	return wire.None
}

// endRequest tells a voter that this node leads no more, and whom it holds for the best successors: those that fetched furthest.
func (n *Node) endRequest() kmsg.Request {
	q := kmsg.NewPtrEndQuorumEpochRequest()
	q.Version = 1
	q.ClusterID = n.clusterID()
	order := make([]int, len(n.peers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(n.peers[b].leaderEnd, n.peers[a].leaderEnd) })
	r := kmsg.NewEndQuorumEpochRequestTopicPartition()
	r.LeaderID, r.LeaderEpoch = int32(n.cfg.Self), int32(n.state.epoch)
	for _, i := range order {
		c := kmsg.NewEndQuorumEpochRequestTopicPartitionPreferredCandidate()
		c.CandidateID, c.CandidateDirectoryID = int32(n.peers[i].id), n.peers[i].dir
		r.PreferredCandidates = append(r.PreferredCandidates, c)
		r.PreferredSuccessors = append(r.PreferredSuccessors, int32(n.peers[i].id)) // version 0
	}
	t := kmsg.NewEndQuorumEpochRequestTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.EndQuorumEpochRequestTopicPartition{r}
	q.Topics = []kmsg.EndQuorumEpochRequestTopic{t}
	if v, ok := n.endpoint(n.cfg.Self); ok {
		e := kmsg.NewEndQuorumEpochRequestLeaderEndpoint()
		e.Name, e.Host, e.Port = n.cfg.Listener, v.Host, v.Port
		q.LeaderEndpoints = append(q.LeaderEndpoints, e)
	}
	return q
}

// endAsked answers EndQuorumEpoch, versions 0 and 1. The best successor stands at once, each further one later.
func (n *Node) endAsked(now core.Now, q *kmsg.EndQuorumEpochRequest, out *core.Out) kmsg.Response {
	if n.wrongCluster(q.ClusterID) {
		return refusal(q, wire.InconsistentClusterID)
	}
	p := only(q.Topics, func(t *kmsg.EndQuorumEpochRequestTopic) (string, []kmsg.EndQuorumEpochRequestTopicPartition) {
		return t.Topic, t.Partitions
	})
	if p == nil || p.Partition != Partition.Partition {
		return refusal(q, wire.InvalidRequest)
	}
	code := n.leaderSays(now, core.NodeID(p.LeaderID), core.Epoch(p.LeaderEpoch), out)
	if code == wire.None && n.role == Follower && n.stands() {
		at := slices.IndexFunc(p.PreferredCandidates, func(c kmsg.EndQuorumEpochRequestTopicPartitionPreferredCandidate) bool {
			return core.NodeID(c.CandidateID) == n.cfg.Self
		})
		if q.Version == 0 {
			at = slices.Index(p.PreferredSuccessors, int32(n.cfg.Self))
		}
		if at < 0 {
			at = max(len(p.PreferredCandidates), len(p.PreferredSuccessors))
		}
		out.Mark("quorum.leader-ended")
		n.follow.heard = false // so others may have this node's pre-vote
		wait := n.cfg.ElectionTimeout / 10 * core.Time(min(at, 10))
		n.due = n.orNever(min(n.due, now.Mono.After(wait)))
	}
	resp := q.ResponseKind().(*kmsg.EndQuorumEpochResponse)
	resp.Version = q.Version
	r := kmsg.NewEndQuorumEpochResponseTopicPartition()
	r.ErrorCode, r.LeaderID, r.LeaderEpoch = int16(code), int32(n.state.leader), int32(n.state.epoch)
	t := kmsg.NewEndQuorumEpochResponseTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.EndQuorumEpochResponseTopicPartition{r}
	resp.Topics = []kmsg.EndQuorumEpochResponseTopic{t}
	if v, ok := n.endpoint(n.state.leader); ok && q.Version >= 1 {
		e := kmsg.NewEndQuorumEpochResponseNodeEndpoint()
		e.NodeID, e.Host, e.Port = int32(v.ID), v.Host, v.Port
		resp.NodeEndpoints = append(resp.NodeEndpoints, e)
	}
	return resp
}

// toldReplied takes the answer of a voter that was told of the beginning or the end of an epoch.
func (n *Node) toldReplied(now core.Now, i int, top int16, v row, out *core.Out) {
	p := &n.peers[i]
	p.retryAt = now.Mono.After(n.pause())
	if top != 0 || !v.ok {
		p.retryAt = now.Mono.After(n.cfg.ElectionTimeout / 10)
		return
	}
	if !n.heard(now, v.leader, v.epoch, out) {
		return
	}
	p.done = true
	if n.role == Leader {
		p.retryAt = now.Mono.After(n.cfg.FetchTimeout / 2)
	}
}
