package quorum

import (
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// download is a snapshot that is fetched from the leader, because its log no longer has what this node lacks (KIP-630).
// Its story: pieces are asked for and written one by one under the name .checkpoint.part; the file is synced and read back
// whole, since it is believed whole or not at all; the name is made durable; the log is started anew at the snapshot's end; the
// file gets its name, durably; and what it holds is handed out. What is before the sync is given up when the role ends;
// what is after it goes on under any leader, since a snapshot holds only what is committed.
//
// Invariants: at is the end of what was given to Write; from asking on, file is open until the sync has ended.
type download struct {
	stage   downloadStage
	writing bool // a Write is in flight
	gone    bool // its file is being removed: only then may another one get its name
	id      SnapshotID
	file    core.FileID
	at      int64
	size    int64 // as the leader says; -1: not said yet
	content content
}

type downloadStage uint8

const (
	downloadIdle       downloadStage = iota
	downloadDropped                  // its file is still to be removed
	downloadAsking                   // for a piece, or the piece is being written
	downloadSyncing                  // from here on the log counts as busy
	downloadReading                  // what was written
	downloadNaming                   // the directory is synced, the name .part with it
	downloadRestarting               // the log
	downloadRenaming
	downloadEnding // the directory is synced, the name with it
)

// offered begins to fetch a snapshot that the leader named instead of records.
func (n *Node) offered(now core.Now, id SnapshotID, store *log.Store, out *core.Out) {
	d := &n.download
	if d.stage == downloadAsking && d.id == id {
		return
	}
	if l := store.Log(n.id); d.stage == downloadIdle && slices.Contains(n.snapshots, id) && id.End >= max(n.high, l.Start()) && id.End < l.End() {
		n.cut(now, id.End, store, out) // it is here: what this log has above it is not the leader's
		return
	}
	if d.stage != downloadIdle || id.Epoch < 0 || id.End < n.high || id.End <= n.newestSnapshot() {
		n.refused(now, wire.None, out) // it holds nothing that this node lacks
		return
	}
	out.Mark("quorum.download")
	n.download = download{stage: downloadAsking, id: id, file: n.nextFile(), size: -1}
	out.Open(n.op(stepClose), n.download.file, n.path(id.File()+".part"), core.CreateEmpty)
}

// snapshotRequest asks for the next piece.
func (n *Node) snapshotRequest() kmsg.Request {
	q := kmsg.NewPtrFetchSnapshotRequest()
	q.Version = 1
	q.ClusterID, q.ReplicaID, q.MaxBytes = n.clusterID(), int32(n.cfg.Self), n.cfg.SnapshotFetchBytes
	p := kmsg.NewFetchSnapshotRequestTopicPartition()
	p.CurrentLeaderEpoch, p.Position, p.ReplicaDirectoryID = int32(n.state.epoch), n.download.at, n.cfg.Directory
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = int64(n.download.id.End), int32(n.download.id.Epoch)
	t := kmsg.NewFetchSnapshotRequestTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.FetchSnapshotRequestTopicPartition{p}
	q.Topics = []kmsg.FetchSnapshotRequestTopic{t}
	return q
}

// snapshotFetched takes a piece.
func (n *Node) snapshotFetched(now core.Now, r *kmsg.FetchSnapshotResponse, out *core.Out) {
	d := &n.download
	if r.ErrorCode != 0 || len(r.Topics) != 1 || r.Topics[0].Topic != Partition.Topic || len(r.Topics[0].Partitions) != 1 {
		// Apache Kafka 4.3.1 can't encode an error of one partition here and answers UNKNOWN_SERVER_ERROR instead, whatever is
		// wrong: the next Fetch will tell.
		n.dropDownload(out)
		n.refused(now, wire.Code(r.ErrorCode), out)
		return
	}
	p := &r.Topics[0].Partitions[0]
	role := n.role
	for _, e := range r.NodeEndpoints {
		n.tell(e.NodeID, e.Host, e.Port)
	}
	if epoch := core.Epoch(p.CurrentLeader.LeaderEpoch); epoch > 0 || p.CurrentLeader.LeaderID > 0 { // tagged, and left out by some
		if !n.heard(now, core.NodeID(p.CurrentLeader.LeaderID), epoch, out) {
			return
		}
	}
	if n.role != role || n.role != Follower || n.follow.to != n.state.leader || d.stage != downloadAsking {
		return
	}
	id := SnapshotID{core.Offset(p.SnapshotID.EndOffset), core.Epoch(p.SnapshotID.Epoch)}
	switch code := wire.Code(p.ErrorCode); {
	case code == wire.SnapshotNotFound || code == wire.PositionOutOfRange:
		n.dropDownload(out) // the leader has a newer one by now: the next Fetch says which
		n.refused(now, code, out)
		return
	case code != wire.None:
		n.refused(now, code, out)
		return
	case id != d.id || p.Position != d.at || p.Size > snapshotBytesMax || d.size >= 0 && p.Size != d.size || d.at+int64(len(p.Bytes)) > p.Size || len(p.Bytes) == 0:
		out.Mark("quorum.bad-piece")
		n.dropDownload(out)
		n.refused(now, wire.CorruptMessage, out)
		return
	}
	n.leaderLives(now)
	d.size, d.writing = p.Size, true
	out.Write(n.op(stepPieceWritten), d.file, d.at, slices.Clone(p.Bytes))
	d.at += int64(len(p.Bytes))
}

// dropDownload gives up a download that has not been synced.
func (n *Node) dropDownload(out *core.Out) {
	d := &n.download
	if d.stage == downloadIdle || d.stage > downloadAsking || d.gone {
		return
	}
	if d.stage = downloadDropped; d.writing {
		return
	}
	out.CloseFile(n.op(stepClose), d.file)
	n.removeDownload(out)
}

// removeDownload removes what was written; another download may begin when that is done.
func (n *Node) removeDownload(out *core.Out) {
	out.Mark("quorum.download-dropped")
	n.download.stage, n.download.gone, n.download.content = downloadDropped, true, content{}
	out.Remove(n.op(stepPieceGone), n.path(n.download.id.File()+".part"))
}

// pieceStep carries a download on after an effect.
func (n *Node) pieceStep(now core.Now, what step, ev *core.Event, store *log.Store, out *core.Out) {
	d := &n.download
	if what == stepPieceWritten {
		d.writing = false
	}
	if ev.Err != core.OK || d.stage == downloadDropped {
		n.pieceFailed(now, what, ev.Err, out)
		return
	}
	switch what {
	case stepPieceWritten:
		n.follow.retryAt = 0
		if d.at == d.size {
			d.stage = downloadSyncing
			out.Sync(n.op(stepPieceSynced), d.file)
		}
	case stepPieceSynced:
		d.stage = downloadReading
		out.Read(n.op(stepPieceRead), d.file, 0, d.size)
		out.CloseFile(n.op(stepClose), d.file)
	case stepPieceRead:
		c, wrong := decodeSnapshot(ev.Data)
		if wrong != "" {
			out.Mark("quorum.bad-download")
			out.Note(core.Warn, "the metadata snapshot "+d.id.File()+" came damaged: "+wrong+"; asking again")
			n.removeDownload(out)
			n.refused(now, wire.None, out)
			return
		}
		d.content, d.stage = c, downloadNaming
		out.SyncDir(n.op(stepPieceNamed), n.dir())
	case stepPieceNamed:
		n.restart(now, store, out)
	case stepPieceRenamed:
		d.stage = downloadEnding
		out.SyncDir(n.op(stepPieceDurable), n.dir())
	case stepPieceDurable:
		n.installed(now, store, out)
	}
}

// pieceFailed ends a download that the disk does not take. Once the log has begun anew there is no way back.
func (n *Node) pieceFailed(now core.Now, what step, err core.Errno, out *core.Out) {
	d := &n.download
	part := n.path(d.id.File() + ".part")
	if what == stepPieceRenamed || what == stepPieceDurable {
		n.fail("cannot rename " + part + ", which the metadata log now begins with: " + err.String())
		return
	}
	if err != core.OK {
		out.Note(core.Error, "cannot keep the metadata snapshot "+part+": "+err.String())
	}
	if what != stepPieceRead && what != stepPieceNamed { // there it is closed already
		out.CloseFile(n.op(stepClose), d.file)
	}
	n.removeDownload(out)
	n.refused(now, wire.None, out)
}

// restart begins the log anew at the snapshot's end: what it held below is in the snapshot, and what it held above was
// never committed, since the leader that made the snapshot did not have it.
func (n *Node) restart(now core.Now, store *log.Store, out *core.Out) {
	d := &n.download
	if d.id.End < n.high {
		n.fail("a snapshot of the metadata ends at " + d.id.File() + ", before what was committed here")
		return
	}
	d.stage, n.cutting = downloadRestarting, true
	if err := store.Restart(now, n.id, d.id.End, out); err != log.AppendOK {
		n.cutting = false
		n.pieceFailed(now, stepPieceNamed, core.OK, out)
		return
	}
	n.pending, n.pendingBytes = nil, 0
}

// restarted gives the snapshot its name.
func (n *Node) restarted(out *core.Out) {
	name := n.path(n.download.id.File())
	n.download.stage = downloadRenaming
	out.Rename(n.op(stepPieceRenamed), name+".part", name)
}

// installed hands the snapshot out.
func (n *Node) installed(now core.Now, store *log.Store, out *core.Out) {
	d := n.download
	n.download = download{}
	out.Mark("quorum.installed")
	n.addSnapshot(d.id)
	n.handSnapshot(now, d.id, d.content)
	n.raise(now, d.id.End, store, out)
	n.since = 0
	n.trim(now, store, out)
}

// handSnapshot hands out a snapshot instead of all before its end.
func (n *Node) handSnapshot(now core.Now, id SnapshotID, c content) {
	n.handed, n.handedEpoch, n.lastMillis = id.End, id.Epoch, c.millis
	n.sets = n.sets[:0]
	n.learn(now, id.End, c.set) // those of the configuration, if it says nothing
	n.assembler = assembler{}
	n.committed = append(n.committed, Batch{Records: c.records, End: id.End, Epoch: id.Epoch, Snapshot: true})
}

// addSnapshot notes a snapshot that is on disk.
func (n *Node) addSnapshot(id SnapshotID) {
	if i, found := slices.BinarySearchFunc(n.snapshots, id, SnapshotID.compare); !found {
		n.snapshots = slices.Insert(n.snapshots, i, id)
	}
}

// servedPart is a piece of a snapshot that is read for another node.
type servedPart struct {
	slot     uint64 // names it in the effect
	ticket   Ticket
	gone     bool // nobody waits any more
	version  int16
	epoch    core.Epoch
	id       SnapshotID
	file     core.FileID
	at, size int64
	bytesMax int64
}

// servingMax bounds the pieces that are read at once.
const servingMax = 64

// snapshotAsked answers FetchSnapshot, versions 0 and 1: a piece of a snapshot that this leader has.
func (n *Node) snapshotAsked(now core.Now, t Ticket, q *kmsg.FetchSnapshotRequest, out *core.Out) {
	if n.wrongCluster(q.ClusterID) {
		n.answer(t, refusal(q, wire.InconsistentClusterID))
		return
	}
	if len(q.Topics) != 1 || len(q.Topics[0].Partitions) != 1 {
		n.answer(t, refusal(q, wire.InvalidRequest))
		return
	}
	p := &q.Topics[0].Partitions[0]
	if q.Topics[0].Topic != Partition.Topic || p.Partition != Partition.Partition {
		r := n.partResponse(&servedPart{version: q.Version}, wire.UnknownTopicOrPartition, nil)
		r.Topics[0].Topic, r.Topics[0].Partitions[0].Partition = q.Topics[0].Topic, p.Partition
		n.answer(t, r)
		return
	}
	s := servedPart{
		ticket: t, version: q.Version, epoch: n.state.epoch, id: SnapshotID{core.Offset(p.SnapshotID.EndOffset), core.Epoch(p.SnapshotID.Epoch)},
		at: p.Position, bytesMax: int64(min(max(q.MaxBytes, 1), n.cfg.SnapshotFetchBytes)),
	}
	code := n.leaderOnly(core.Epoch(p.CurrentLeaderEpoch))
	switch {
	case code != wire.None:
	case !slices.Contains(n.snapshots, s.id):
		code = wire.SnapshotNotFound
	case s.at < 0:
		code = wire.PositionOutOfRange
	case len(n.serving) >= servingMax:
		code = wire.BrokerNotAvailable
	}
	if code != wire.None {
		n.partAnswer(&s, code, nil)
		return
	}
	if v := n.peerOf(core.NodeID(q.ReplicaID), core.TopicID(p.ReplicaDirectoryID)); v != nil {
		v.fetchedAt = now.Mono // it follows, although it does not fetch
	}
	n.token++
	s.slot, s.file = n.token, n.nextFile()
	n.serving = append(n.serving, s)
	out.Open(n.ops.Start(effect{stepPartOpened, s.slot}), s.file, n.path(s.id.File()), core.OpenExisting)
}

// partStep goes on with a piece that is read for another node.
func (n *Node) partStep(what effect, ev *core.Event, out *core.Out) {
	i := slices.IndexFunc(n.serving, func(s servedPart) bool { return s.slot == what.n })
	if i < 0 {
		return
	}
	s := &n.serving[i]
	if what.step == stepPartOpened && ev.Err == core.OK {
		if s.size = ev.N; s.at < s.size && !s.gone {
			out.Read(n.ops.Start(effect{stepPartRead, s.slot}), s.file, s.at, min(s.bytesMax, s.size-s.at))
			out.CloseFile(n.op(stepClose), s.file)
			return
		}
		out.CloseFile(n.op(stepClose), s.file)
		n.partEnded(i, wire.PositionOutOfRange, nil)
		return
	}
	code := wire.None
	if ev.Err != core.OK {
		code = wire.SnapshotNotFound // it was removed, or the disk fails: another one will do
	}
	n.partEnded(i, code, ev.Data)
}

func (n *Node) partEnded(i int, code wire.Code, data []byte) {
	s := n.serving[i]
	n.serving = slices.Delete(n.serving, i, i+1)
	if s.gone {
		return
	}
	if c := n.leaderOnly(s.epoch); c != wire.None {
		code = c
	}
	if code != wire.None {
		data = nil
	}
	n.partAnswer(&s, code, data)
}

func (n *Node) partAnswer(s *servedPart, code wire.Code, data []byte) {
	n.answer(s.ticket, n.partResponse(s, code, data))
}

func (n *Node) partResponse(s *servedPart, code wire.Code, data []byte) *kmsg.FetchSnapshotResponse {
	r := kmsg.NewPtrFetchSnapshotResponse()
	r.Version = s.version
	p := kmsg.NewFetchSnapshotResponseTopicPartition()
	p.ErrorCode, p.Position, p.Size, p.Bytes = int16(code), s.at, s.size, data
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = int64(s.id.End), int32(s.id.Epoch)
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = int32(n.state.leader), int32(n.state.epoch)
	t := kmsg.NewFetchSnapshotResponseTopic()
	t.Topic, t.Partitions = Partition.Topic, []kmsg.FetchSnapshotResponseTopicPartition{p}
	r.Topics = []kmsg.FetchSnapshotResponseTopic{t}
	if v, ok := n.endpoint(n.state.leader); ok && s.version >= 1 {
		e := kmsg.NewFetchSnapshotResponseNodeEndpoint()
		e.NodeID, e.Host, e.Port = int32(v.ID), v.Host, v.Port
		r.NodeEndpoints = append(r.NodeEndpoints, e)
	}
	return r
}
