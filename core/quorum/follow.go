package quorum

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchWait is how long a leader may keep a Fetch that it has no news for, as Apache Kafka's voters ask for it.
const fetchWait = 500 * core.Millisecond

// following is what a follower, or a node that looks for a leader, knows of its fetches.
//
// Invariant: one Fetch or FetchSnapshot at a time is in flight.
type following struct {
	token      uint64      // of the request in flight; 0: none
	to         core.NodeID // whom it was sent to
	asked      int         // counts those that were asked for the leader
	heard      bool        // this leader has answered a Fetch in this epoch
	lostAt     core.Time   // since when the leader can't be reached; 0: it can
	retryAt    core.Time   // no Fetch before then
	waits      bool        // for something else than the time
	leaderHigh core.Offset // the high watermark that the leader told last
}

// fetchAt is when the next Fetch is to be sent.
func (n *Node) fetchAt() core.Time {
	if n.follow.token != 0 || n.follow.waits {
		return core.Never
	}
	return n.follow.retryAt
}

// fetchMore asks the leader for what follows this node's durable end, or somebody for the leader. There is one Fetch at a time,
// and none before all of the last is durable: the offset that it asks for is what this node holds.
func (n *Node) fetchMore(now core.Now, store *log.Store, out *core.Out) {
	f, l := &n.follow, store.Log(n.id)
	f.waits = f.token != 0 || n.logBusy(store) || l.Durable() < l.End() || n.download.writing
	if f.waits || now.Mono < f.retryAt {
		return
	}
	to, addr := n.source()
	if addr == "" {
		f.waits = true
		return
	}
	f.to = to
	if n.download.stage == downloadAsking {
		f.token = n.send(to, addr, n.snapshotRequest())
		return
	}
	q := kmsg.NewPtrFetchRequest()
	q.Version = 18
	q.ClusterID = n.clusterID()
	q.ReplicaID, q.ReplicaState.ID, q.ReplicaState.Epoch = int32(n.cfg.Self), int32(n.cfg.Self), -1
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = int32(fetchWait.Millis()), 0, n.cfg.FetchBytes
	if n.role == Unattached {
		q.MaxWaitMillis = 0
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.CurrentLeaderEpoch, p.FetchOffset, p.LastFetchedEpoch = int32(n.state.epoch), int64(l.End()), int32(n.lastEpoch(store))
	p.LogStartOffset, p.PartitionMaxBytes, p.ReplicaDirectoryID = int64(l.Start()), n.cfg.FetchBytes, n.cfg.Directory
	p.HighWatermark = int64(f.leaderHigh)
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID, t.Partitions = Partition.Topic, TopicID, []kmsg.FetchRequestTopicPartition{p}
	q.Topics = []kmsg.FetchRequestTopic{t}
	f.token = n.send(to, addr, q)
}

// tell notes where a leader says that it is. Voters that the configuration names are where that says.
func (n *Node) tell(id int32, host string, port uint16) {
	if id >= 0 && core.NodeID(id) != n.cfg.Self && host != "" && port != 0 {
		n.told = Voter{core.NodeID(id), host, port}
	}
}

// LeaderAddr is where the leader listens for this node, or "".
func (n *Node) LeaderAddr() string { return n.leaderAddr() }

func (n *Node) leaderAddr() string {
	v, ok := n.endpoint(n.state.leader)
	if !ok || n.state.leader == n.cfg.Self {
		return ""
	}
	return hostPort(v.Host, v.Port)
}

// source is whom to fetch from: the leader, or while it is not known who or where that is, the voters in turn, and the bootstrap
// servers where the log names the voters: those of this node's own log may all be gone.
func (n *Node) source() (core.NodeID, string) {
	if addr := n.leaderAddr(); n.role == Follower && addr != "" {
		return n.state.leader, addr
	}
	n.follow.asked++
	others := n.others()
	all := len(n.peers) + len(others)
	for range all {
		i := n.follow.asked % all
		switch {
		case i >= len(n.peers):
			if o := &others[i-len(n.peers)]; o.id != n.cfg.Self && !n.isOwn(o.addr) {
				return o.id, o.addr
			}
		case n.peers[i].addr != "":
			return n.peers[i].id, n.peers[i].addr
		}
		n.follow.asked++
	}
	return core.NoNode, ""
}

// others are whom a node may ask for the leader besides the voters that it knows: the configuration's bootstrap servers, and without
// them its voters, who may be none any more.
func (n *Node) others() (list []peer) {
	if n.KRaft() == 0 && len(n.cfg.Voters) > 0 {
		return nil
	}
	for _, addr := range n.cfg.Bootstrap {
		list = append(list, peer{id: core.NoNode, addr: addr})
	}
	for _, v := range n.cfg.Voters {
		if len(n.cfg.Bootstrap) == 0 && v.Host != "" {
			list = append(list, peer{id: v.ID, addr: hostPort(v.Host, v.Port)})
		}
	}
	return list
}

// isOwn reports whether an address is where this node listens.
func (n *Node) isOwn(addr string) bool {
	return slices.ContainsFunc(n.cfg.Endpoints, func(e wire.VoterEndpoint) bool { return hostPort(e.Host, e.Port) == addr })
}

// fetchReplied takes the answer to a Fetch or a FetchSnapshot.
func (n *Node) fetchReplied(now core.Now, resp kmsg.Response, store *log.Store, out *core.Out) {
	f := &n.follow
	f.retryAt = now.Mono.After(n.pause()) // unless it was a success
	switch r := resp.(type) {
	case *kmsg.FetchResponse:
		n.fetched(now, r, store, out)
	case *kmsg.FetchSnapshotResponse:
		n.snapshotFetched(now, r, out)
	default: // lost
		if f.lostAt == 0 {
			f.lostAt = max(now.Mono, 1)
		}
	}
}

// strangerEvery is how often a node complains that it is told to join another cluster than its own.
const strangerEvery = 10 * core.Second

// refused puts a Fetch off that was answered with an error.
func (n *Node) refused(now core.Now, code wire.Code, out *core.Out) {
	if code == wire.InconsistentClusterID && now.Mono >= n.strangerAt {
		n.strangerAt = now.Mono.After(strangerEvery)
		out.Note(core.Error, "the voters of controller.quorum.voters belong to another cluster than this node, "+n.cfg.ClusterID+
			": check controller.quorum.voters, or point log.dirs to this node's directory of that cluster")
	}
	n.follow.retryAt = now.Mono.After(n.cfg.ElectionTimeout / 10)
}

// leaderless notes that the voter that was asked knows no leader of this epoch either. When a majority says so, as after a start of
// all, there is nothing to wait for but that not all stand at once.
func (n *Node) leaderless(now core.Now) {
	p := findPeer(n.peers, n.follow.to)
	if p == nil || p.done || !n.stands() || n.stopping {
		return
	}
	p.done = true
	alike := 0
	if n.isVoter() {
		alike = 1
	}
	for i := range n.peers {
		if n.peers[i].done {
			alike++
		}
	}
	if alike > n.voterCount()/2 {
		n.due = min(n.due, now.Mono.After(core.Time(n.rand.IntN(int64(n.cfg.ElectionTimeout/5)+1))))
	}
}

func (n *Node) fetched(now core.Now, r *kmsg.FetchResponse, store *log.Store, out *core.Out) {
	f := &n.follow
	if r.ErrorCode != 0 || len(r.Topics) != 1 || core.TopicID(r.Topics[0].TopicID) != TopicID || len(r.Topics[0].Partitions) != 1 {
		n.refused(now, wire.Code(r.ErrorCode), out)
		return
	}
	p := &r.Topics[0].Partitions[0]
	role := n.role
	for _, e := range r.Brokers {
		if e.NodeID == p.CurrentLeader.LeaderID && e.Port > 0 && e.Port < 1<<16 {
			n.tell(e.NodeID, e.Host, uint16(e.Port))
		}
	}
	if !n.heard(now, core.NodeID(p.CurrentLeader.LeaderID), core.Epoch(p.CurrentLeader.LeaderEpoch), out) || n.role != role {
		return
	}
	if n.role == Unattached {
		n.leaderless(now)
	}
	if n.role != Follower || f.to != n.state.leader || p.ErrorCode != 0 || core.NodeID(p.CurrentLeader.LeaderID) != n.state.leader {
		n.refused(now, wire.Code(p.ErrorCode), out)
		return
	}
	n.leaderLives(now)
	f.retryAt = 0
	if high := core.Offset(p.HighWatermark); high >= 0 {
		f.leaderHigh = max(f.leaderHigh, high)
		if n.toldHigh < 0 {
			n.toldHigh = high
		}
	}
	switch {
	case p.SnapshotID.EndOffset >= 0:
		n.offered(now, SnapshotID{core.Offset(p.SnapshotID.EndOffset), core.Epoch(p.SnapshotID.Epoch)}, store, out)
	case p.DivergingEpoch.EndOffset >= 0:
		n.diverged(now, core.Epoch(p.DivergingEpoch.Epoch), core.Offset(p.DivergingEpoch.EndOffset), store, out)
	default:
		n.take(now, p.RecordBatches, store, out)
		n.ownDurable(now, store, out)
	}
}

// leaderLives notes that the leader has answered.
func (n *Node) leaderLives(now core.Now) {
	n.follow.heard, n.follow.lostAt = true, 0
	if n.due = now.Mono.After(n.cfg.FetchTimeout); n.stopping {
		n.due = core.Never
	}
}

// take appends what the leader sent, if it is what must come next. The bytes are copied: those of a message are its frame's.
func (n *Node) take(now core.Now, records []byte, store *log.Store, out *core.Out) {
	if len(records) == 0 {
		return
	}
	next, epoch, size := n.End(store), n.lastEpoch(store), 0
	var sets []setAt
	set := n.inForce()
	for rest := records; len(rest) > 0; {
		v, r, is := batch.First(rest)
		if is == batch.NoBatch {
			break // a leader may cut the last batch off
		}
		good := is == batch.Good && v.CheckCRC() && v.LastDelta() >= 0 && v.BaseOffset() == next && v.LeaderEpoch() >= epoch && v.LeaderEpoch() <= n.state.epoch
		if good && v.IsControl() {
			next, has, wrong := readSet(v, set)
			if good = wrong == ""; good && has {
				set, sets = next, append(sets, setAt{v.LastOffset() + 1, next})
			}
		}
		if !good {
			out.Mark("quorum.bad-batch")
			out.Note(core.Warn, "the leader of the metadata quorum sent what can't follow offset "+strconv.FormatInt(int64(next), 10)+"; asking again")
			n.refused(now, wire.CorruptMessage, out)
			return
		}
		next, epoch, size, rest = v.LastOffset()+1, v.LeaderEpoch(), size+v.Size(), r
	}
	b := slices.Clone(records[:size])
	if size == 0 || store.AppendExact(now, n.id, b, out) != log.AppendOK {
		n.refused(now, wire.None, out)
		return
	}
	for rest := b; len(rest) > 0; {
		v, r, _ := batch.First(rest)
		n.pend(appended{base: v.BaseOffset(), end: v.LastOffset() + 1, epoch: v.LeaderEpoch(), millis: v.MaxTimestamp(), raw: v})
		rest = r
	}
	for _, s := range sets { // in force now, whether or not they will be committed
		out.Mark("quorum.voters-learnt")
		n.learn(now, s.end, s.set)
	}
}

// diverged cuts off what the leader does not have: its newest epoch that is not above this node's ends at end.
func (n *Node) diverged(now core.Now, epoch core.Epoch, end core.Offset, store *log.Store, out *core.Out) {
	mine, to := store.EpochEnd(n.id, epoch)
	switch {
	case mine < 0:
		to = min(n.End(store), end)
	case mine == epoch:
		to = min(to, end)
	}
	switch {
	case to >= n.End(store): // it contradicts itself
		n.refused(now, wire.None, out)
	case to < n.high:
		n.fail("node " + strconv.Itoa(int(n.state.leader)) + ", leader of the metadata quorum in epoch " + strconv.Itoa(int(n.state.epoch)) + ", does not have what was committed here up to offset " +
			strconv.FormatInt(int64(n.high), 10) + ": its log and this one part at " + strconv.FormatInt(int64(to), 10) +
			". A majority of voters has lost its log, or this directory belongs to another cluster: nothing was cut off")
	default:
		n.cut(now, to, store, out)
	}
}

// cut cuts off what the leader does not have. It was never committed.
func (n *Node) cut(now core.Now, to core.Offset, store *log.Store, out *core.Out) {
	core.Must(to >= n.high, "what is committed is never cut")
	out.Mark("quorum.truncated")
	n.cutting = true
	if store.Truncate(now, n.id, to, out) != log.AppendOK {
		n.cutting = false
		n.refused(now, wire.None, out)
		return
	}
	n.unpend(to)
	if n.changedAt() > to {
		out.Mark("quorum.voters-unlearnt")
		n.unlearn(now, to)
	}
}

// truncated goes on when the log is cut, or was started anew.
func (n *Node) truncated(now core.Now, store *log.Store, out *core.Out) {
	if !n.cutting {
		return
	}
	n.cutting = false
	if n.stage == stageAdopting {
		n.adopt(out)
		return
	}
	store.SetHigh(now, n.id, max(n.high, store.Log(n.id).High()), out)
	if n.download.stage == downloadRestarting {
		n.restarted(out)
		return
	}
	if n.End(store) < n.high {
		n.fail("the metadata log was cut below its high watermark")
	}
}

// ownDurable says that this node's own copy is durable further on, or that the leader told more.
func (n *Node) ownDurable(now core.Now, store *log.Store, out *core.Out) {
	if n.logBusy(store) {
		return
	}
	switch n.role {
	case Leader:
		n.advance(now, store, out)
	case Follower:
		n.raise(now, min(n.follow.leaderHigh, store.Log(n.id).Durable()), store, out)
	}
}
