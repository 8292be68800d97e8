package quorum

import (
	"cmp"
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// parked is a Fetch that waits for news, or for the bytes that it asked for.
type parked struct {
	ticket   Ticket
	version  int16
	deadline core.Time
	epoch    core.Epoch  // of the leadership that took it
	offset   core.Offset // all below is durable there
	high     core.Offset // the high watermark that is known there
	bytesMax int64
	read     log.Ticket // 0: nothing is being read
}

// reader is an observer that fetches.
type reader struct {
	id           core.NodeID
	dir          core.TopicID
	end          core.Offset
	fetchMillis  int64
	caughtMillis int64
	leaderEnd    core.Offset

	fetchedAt, caughtAt core.Time // the same, on the monotonic clock
	caught              bool      // caughtAt counts
}

const (
	// parkedMax bounds the fetches that wait; above it one is answered at once.
	parkedMax = 4096
	// readersMax bounds the observers that are remembered for DescribeQuorum; the one that was silent longest is forgotten.
	readersMax = 1000
	// fetchWaitMax bounds how long a Fetch may wish to wait.
	fetchWaitMax = 30 * core.Second
)

// fetchAsked takes a Fetch of the metadata log, versions 12 to 18, from a follower or an observer: it has all below the offset
// that it asks for, durably. It waits for news up to its MaxWait. Sessions are not kept for it, as in Apache Kafka.
func (n *Node) fetchAsked(now core.Now, t Ticket, q *kmsg.FetchRequest, store *log.Store, out *core.Out) {
	if n.wrongCluster(q.ClusterID) {
		n.answer(t, refusal(q, wire.InconsistentClusterID))
		return
	}
	named := len(q.Topics) == 1 && (q.Version >= 13 && core.TopicID(q.Topics[0].TopicID) == TopicID || q.Version < 13 && q.Topics[0].Topic == Partition.Topic)
	if !named || len(q.Topics[0].Partitions) != 1 || q.Topics[0].Partitions[0].Partition != Partition.Partition {
		n.answer(t, refusal(q, wire.InvalidRequest))
		return
	}
	p := &q.Topics[0].Partitions[0]
	offset, last := core.Offset(p.FetchOffset), core.Epoch(p.LastFetchedEpoch)
	w := parked{
		ticket: t, version: q.Version, epoch: n.state.epoch, offset: offset, high: core.Offset(p.HighWatermark),
		deadline: now.Mono.After(min(core.Millis(int64(q.MaxWaitMillis)), fetchWaitMax)),
		bytesMax: int64(min(max(q.MaxBytes, 1), n.cfg.FetchBytes)),
	}
	if q.MaxWaitMillis < 0 || offset < 0 || last < 0 || p.CurrentLeaderEpoch < 0 || last > core.Epoch(p.CurrentLeaderEpoch) {
		n.fetchAnswer(&w, wire.InvalidRequest, store, nil)
		return
	}
	if code := n.leaderOnly(core.Epoch(p.CurrentLeaderEpoch)); code != wire.None {
		n.fetchAnswer(&w, code, store, nil)
		return
	}
	if snapshot, epoch, end := n.validate(offset, last, store); snapshot.End > 0 || epoch >= 0 {
		r := n.fetchResponse(&w, wire.None, store)
		row := &r.Topics[0].Partitions[0]
		if snapshot.End > 0 {
			row.SnapshotID.EndOffset, row.SnapshotID.Epoch = int64(snapshot.End), int32(snapshot.Epoch)
		} else {
			row.DivergingEpoch.EndOffset, row.DivergingEpoch.Epoch = int64(end), int32(epoch)
		}
		n.answer(t, r)
		return
	}
	id := core.NodeID(q.ReplicaID)
	if q.Version >= 15 {
		id = core.NodeID(q.ReplicaState.ID)
	}
	n.book(now, id, core.TopicID(p.ReplicaDirectoryID), offset, store, out)
	if len(n.parked) >= parkedMax {
		w.deadline = now.Mono
	}
	n.parked = append(n.parked, w) // wake looks at it before this call ends
}

// leaderOnly is the error for a request that only the leader of an epoch may answer.
func (n *Node) leaderOnly(epoch core.Epoch) wire.Code {
	switch {
	case epoch < n.state.epoch:
		return wire.FencedLeaderEpoch
	case epoch > n.state.epoch:
		return wire.UnknownLeaderEpoch
	case n.role != Leader:
		return wire.NotLeaderOrFollower
	}
	return wire.None
}

// validate looks whether a log that ends at offset, with a record of epoch last below it, is the beginning of this one. If not,
// it is to be cut to a diverging epoch's end, or to be replaced by a snapshot (KIP-595, KIP-630); epoch is -1 if not to be cut.
func (n *Node) validate(offset core.Offset, last core.Epoch, store *log.Store) (snapshot SnapshotID, epoch core.Epoch, end core.Offset) {
	l := store.Log(n.id)
	// An old snapshot may lie below the start, where there is nothing left to read.
	if l.Start() == 0 && offset == 0 || offset >= l.Start() && slices.Contains(n.snapshots, SnapshotID{offset, last}) {
		return snapshot, -1, 0
	}
	epoch, end = store.EpochEnd(n.id, last)
	unknown := epoch >= 0 && end <= l.Start() && l.Start() > 0 // an epoch before all that the log knows
	if i := slices.IndexFunc(n.snapshots, func(s SnapshotID) bool { return s.End == end && s.Epoch <= last }); unknown && i >= 0 {
		unknown, epoch = false, n.snapshots[i].Epoch // the newest below the start: none lies between it and the first one of the log
	}
	if len(n.snapshots) > 0 && (offset < l.Start() || unknown) {
		// What lies there, or where that epoch ended, is no longer known: it can't be compared.
		return n.snapshots[len(n.snapshots)-1], -1, 0
	}
	if epoch < 0 {
		epoch, end = n.lastEpoch(store), l.End()
	}
	if epoch == last && offset <= end {
		return snapshot, -1, 0
	}
	return snapshot, epoch, end
}

// book notes how far a replica is. Only voters count for the high watermark; an id without the voter's directory is an observer's.
func (n *Node) book(now core.Now, id core.NodeID, dir core.TopicID, offset core.Offset, store *log.Store, out *core.Out) {
	if id < 0 || id == n.cfg.Self {
		return
	}
	end, millis := n.End(store), now.Wall.Millis()
	if p := n.peerOf(id, dir); p != nil {
		p.caughtMillis = caught(p.caughtMillis, p.fetchMillis, offset, end, p.leaderEnd, millis)
		p.end, p.fetchedAt, p.fetchMillis, p.leaderEnd = offset, now.Mono, millis, end
		n.advance(now, store, out)
		return
	}
	r := n.readerOf(id, dir)
	switch { // as in caught
	case offset >= end:
		r.caughtAt, r.caught = now.Mono, true
	case r.leaderEnd >= 0 && offset >= r.leaderEnd:
		r.caughtAt, r.caught = max(r.caughtAt, r.fetchedAt), true
	}
	r.fetchedAt = now.Mono
	r.caughtMillis = caught(r.caughtMillis, r.fetchMillis, offset, end, r.leaderEnd, millis)
	r.end, r.fetchMillis, r.leaderEnd = offset, millis, end
}

// readerOf is what is remembered of an observer; one that is new takes the place of the one that was silent longest when there are
// readersMax.
func (n *Node) readerOf(id core.NodeID, dir core.TopicID) *reader {
	i, found := slices.BinarySearchFunc(n.readers, reader{id: id, dir: dir}, func(a, b reader) int {
		return cmp.Or(cmp.Compare(a.id, b.id), slices.Compare(a.dir[:], b.dir[:]))
	})
	if !found {
		if len(n.readers) >= readersMax {
			oldest := 0
			for j := range n.readers {
				if n.readers[j].fetchMillis < n.readers[oldest].fetchMillis {
					oldest = j
				}
			}
			n.readers = slices.Delete(n.readers, oldest, oldest+1)
			if oldest < i {
				i--
			}
		}
		n.readers = slices.Insert(n.readers, i, reader{id: id, dir: dir, fetchMillis: -1, caughtMillis: -1, leaderEnd: -1})
	}
	return &n.readers[i]
}

// peerOf is the voter that a request comes from, or nil.
func (n *Node) peerOf(id core.NodeID, dir core.TopicID) *peer {
	p := findPeer(n.peers, id)
	if p == nil || !p.dir.IsZero() && dir != p.dir {
		return nil
	}
	return p
}

// caught is when a replica last had all: now, if it asks for the end; at its last fetch, if it has all that there was then.
func caught(before, fetched int64, offset, end, leaderEnd core.Offset, millis int64) int64 {
	switch {
	case offset >= end:
		return max(before, millis)
	case leaderEnd >= 0 && offset >= leaderEnd:
		return max(before, fetched)
	}
	return before
}

// advance raises the high watermark to what a majority of voters holds durably. What former leaders left is committed only
// together with a record of this epoch: counting copies of it alone is how a leader of an epoch in between could take it
// back (Raft, figure 8).
func (n *Node) advance(now core.Now, store *log.Store, out *core.Out) {
	ends := n.endsByPeer()
	own := store.Log(n.id).Durable()
	if n.isVoter() {
		ends = append(ends, own)
	}
	if high := min(majority(ends), own); high > n.epochStart {
		n.raise(now, high, store, out)
	}
}

// majority is the greatest offset below which more than half of the voters are safe.
func majority(ends []core.Offset) core.Offset {
	sorted := slices.Clone(ends)
	slices.Sort(sorted)
	// Of 2k+1 or 2k+2 voters, k+1 or k+2 must be at or above it.
	return sorted[(len(sorted)-1)/2]
}

// tellHigh is the high watermark that this leader may name: none before a record of its own epoch is committed.
func (n *Node) tellHigh() core.Offset {
	if n.role != Leader || n.high <= n.epochStart {
		return -1
	}
	return n.high
}

// wake answers the fetches that there is news for, or whose time is over.
func (n *Node) wake(now core.Now, store *log.Store, out *core.Out) {
	if len(n.parked) == 0 {
		return
	}
	kept := n.parked[:0]
	for i := range n.parked {
		w := n.parked[i]
		if !n.news(now, &w, store, out) {
			kept = append(kept, w)
		}
	}
	clear(n.parked[len(kept):])
	n.parked = kept
}

// news answers a fetch if it can.
func (n *Node) news(now core.Now, w *parked, store *log.Store, out *core.Out) bool {
	switch code := n.leaderOnly(w.epoch); {
	case code != wire.None:
		n.fetchAnswer(w, code, store, nil)
	case w.read != 0:
		return false // the bytes are on their way
	case w.offset < n.End(store):
		if b := n.inMemory(w.offset, w.bytesMax); b != nil {
			n.fetchAnswer(w, wire.None, store, b)
			break
		}
		w.read = store.ReadAt(now, n.id, w.offset, n.End(store), w.bytesMax, out)
		return false
	case n.tellHigh() > w.high, now.Mono >= w.deadline:
		n.fetchAnswer(w, wire.None, store, nil)
	default:
		return false
	}
	return true
}

// nextParked is when the first fetch that waits must be answered.
func (n *Node) nextParked() core.Time {
	next := core.Never
	for i := range n.parked {
		if n.parked[i].read == 0 {
			next = min(next, n.parked[i].deadline)
		}
	}
	return next
}

// inMemory gives the batches from an offset on, if they are there.
func (n *Node) inMemory(from core.Offset, bytesMax int64) (b []byte) {
	i, ok := slices.BinarySearchFunc(n.pending, from, func(a appended, o core.Offset) int { return cmp.Compare(a.base, o) })
	if !ok {
		return nil
	}
	for ; i < len(n.pending) && (b == nil || int64(len(b)+n.pending[i].raw.Size()) <= bytesMax); i++ {
		b = append(b, n.pending[i].raw...)
	}
	return b
}

// fetchRead answers a fetch with what was read for it.
func (n *Node) fetchRead(c log.Change, store *log.Store) {
	i := slices.IndexFunc(n.parked, func(w parked) bool { return w.read != 0 && w.read == c.Ticket })
	if i < 0 {
		return
	}
	w := n.parked[i]
	n.parked = slices.Delete(n.parked, i, i+1)
	code := n.leaderOnly(w.epoch)
	if code == wire.None && c.Err != core.OK {
		code = wire.UnknownServerError
	}
	if code != wire.None {
		c.Data = nil
	}
	n.fetchAnswer(&w, code, store, c.Data)
}

func (n *Node) fetchAnswer(w *parked, code wire.Code, store *log.Store, records []byte) {
	r := n.fetchResponse(w, code, store)
	if records != nil {
		r.Topics[0].Partitions[0].RecordBatches = records
	}
	n.answer(w.ticket, r)
}

// fetchResponse is an answer without records. It names the leader, whatever it says.
func (n *Node) fetchResponse(w *parked, code wire.Code, store *log.Store) *kmsg.FetchResponse {
	r := kmsg.NewPtrFetchResponse()
	r.Version = w.version
	p := kmsg.NewFetchResponseTopicPartition()
	p.ErrorCode, p.HighWatermark, p.LastStableOffset = int16(code), -1, -1
	p.LogStartOffset, p.PreferredReadReplica, p.RecordBatches = int64(store.Log(n.id).Start()), -1, []byte{}
	if code == wire.None {
		p.HighWatermark = int64(n.tellHigh())
	}
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = int32(n.state.leader), int32(n.state.epoch)
	t := kmsg.NewFetchResponseTopic()
	t.Topic, t.TopicID, t.Partitions = Partition.Topic, TopicID, []kmsg.FetchResponseTopicPartition{p}
	r.Topics = []kmsg.FetchResponseTopic{t}
	if v, ok := n.endpoint(n.state.leader); ok && w.version >= 16 {
		e := kmsg.NewFetchResponseBroker()
		e.NodeID, e.Host, e.Port = int32(v.ID), v.Host, int32(v.Port)
		r.Brokers = append(r.Brokers, e)
	}
	return r
}
