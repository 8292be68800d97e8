// Package quorum keeps the metadata log: who leads it, what of it is committed, and its snapshots (KRaft:
// KIP-595, KIP-630).
//
// The log is the partition __cluster_metadata-0 of the node's own log store, in Kafka's format. One voter leads it
// per epoch. Before it leads, the epoch is in the file quorum-state, durably; it opens its epoch with a
// LeaderChange control record, and nothing that came before that record counts as committed until the record
// itself is. Committed is what a majority of voters holds durably: the high watermark.
//
// What the room may assume: the store keeps its promises about ends; the broker calls Changed for every change
// of this log and Tick when Next has come, and drains Committed after every call. What it owes: what
// Committed hands out never has to be taken back, comes in order, whole batches and whole metadata
// transactions only (I43), and begins with a snapshot or with the first record of the log, never in between.
//
// A snapshot that cannot be read is damage. If the log still holds everything from an older snapshot or from
// offset 0 on, the node says so and replays the log; if it does not, the node fails and names the file: an image
// that was empty for want of a file would have every partition deleted.
//
// Today's node leads as the only voter. Elections and fetching from another leader are for the next release; the
// high watermark, the voter set and the state file already count voters instead of assuming one.
package quorum

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/wire"
)

// Partition names the metadata log, and TopicID is its topic's id, the same in every cluster.
var (
	Partition = core.TopicPartition{Topic: "__cluster_metadata", Partition: 0}
	TopicID   = core.TopicID{15: 1}
)

// Voter is one member of the quorum, as configured.
type Voter struct {
	ID   core.NodeID
	Host string
	Port uint16
}

// Config is what a node of the quorum is told at its start.
type Config struct {
	Self           core.NodeID
	Voters         []Voter      // sorted by ID
	Directory      core.TopicID // directory.id of meta.properties
	LogDir         string       // the directory that holds __cluster_metadata-0
	Log            log.Config   // of the metadata log
	SnapshotBytes  int64        // metadata.log.max.record.bytes.between.snapshots
	SnapshotTime   core.Time    // metadata.log.max.snapshot.interval.ms; 0 is never
	RetentionBytes int64        // metadata.max.retention.bytes
	Sizes          Sizes
}

// Sizes are bounds of single steps; see log.Sizes.
type Sizes struct {
	ReplayBytes        int64 // of the log read at a time at boot
	SnapshotBatchBytes int   // a batch of a snapshot is closed at this size
	SnapshotRecords    int   // encoded in one step
}

// DefaultSizes returns the sizes for real disks.
func DefaultSizes() Sizes {
	return Sizes{ReplayBytes: 4 << 20, SnapshotBatchBytes: 1 << 20, SnapshotRecords: 2000}
}

// voterSet is what the log says about its voters (KIP-853): nothing, if the configuration names them.
type voterSet struct {
	kraft  int16
	voters []wire.Voter
}

// Node is this node's part in the quorum.
//
// Invariants: epoch of held state <= epoch in the file quorum-state, once stage is past electing; high never falls
// and is never above a majority's durable end; pending is sorted by end, and everything in it lies at or above
// handed; handed <= high, but for the end of a snapshot; snapshots is sorted.
type Node struct {
	cfg    Config
	stage  stage
	failed string
	id     log.LogID // of the metadata log

	state      state
	set        voterSet
	epochStart core.Offset // of the node's own leadership
	high       core.Offset
	ends       []voterEnd // by voter; sorted

	pending      []appended // by this leader, not committed
	pendingBytes int64
	assembler    assembler
	committed    []Batch
	handed       core.Offset // the end of what was taken from the log towards committed
	handedEpoch  core.Epoch
	lastMillis   int64 // of the newest record handed

	load      loading
	bootstrap []wire.Record

	snapshots []SnapshotID // on disk and whole, as far as is known
	save      saving
	since     int64     // bytes committed since the newest snapshot
	savedAt   core.Time // when the newest snapshot was begun, on the monotonic clock

	ops   core.Ops[step]
	files core.FileID // the newest file id given
}

// voterEnd is how far a voter's copy is safe.
type voterEnd struct {
	id  core.NodeID
	end core.Offset
}

// appended is a batch of this leader that is not committed.
type appended struct {
	end     core.Offset
	epoch   core.Epoch
	millis  int64
	bytes   int64
	records []wire.Record // nil for a control batch
}

const (
	// pendingBytesMax bounds what is appended and not committed; then Append refuses.
	pendingBytesMax = 64 << 20
	// table and fileBase are the node's numbers among the rooms of its machine.
	table    = 3
	fileBase = core.FileID(2) << 40
	opsMax   = 1024
	// metadataBytesMax bounds one batch, as internal.metadata.max.batch.size.in.bytes has it.
	metadataBytesMax = 8 << 20
)

// New makes a node that has not been booted.
func New(cfg Config) *Node {
	if cfg.Sizes == (Sizes{}) {
		cfg.Sizes = DefaultSizes()
	}
	n := &Node{cfg: cfg, id: log.NoLog, ops: core.NewOps[step](table, opsMax), files: fileBase}
	n.state = state{leader: core.NoNode, voted: core.NoNode}
	for _, v := range cfg.Voters {
		n.ends = append(n.ends, voterEnd{id: v.ID, end: -1})
	}
	slices.SortFunc(n.ends, func(a, b voterEnd) int { return int(a.id) - int(b.id) })
	return n
}

// Log is the store's id of the metadata log, once Boot has found or made it.
func (n *Node) Log() (log.LogID, bool) { return n.id, n.id != log.NoLog }

// Ready reports that a leader is known and that all that was committed at the start has been handed out by
// Committed.
func (n *Node) Ready() bool { return n.stage == stageServing }

// Failed says why the node can't go on, or "". The broker notes it and exits.
func (n *Node) Failed() string { return n.failed }

// Leads reports whether this node is the leader and may Append.
func (n *Node) Leads() bool {
	return n.failed == "" && n.stage >= stageLeading && n.state.leader == n.cfg.Self
}

// Leader is the leader of the quorum, or core.NoNode, and the epoch.
func (n *Node) Leader() (core.NodeID, core.Epoch) {
	if n.stage < stageLeading {
		return core.NoNode, n.state.epoch
	}
	return n.state.leader, n.state.epoch
}

// High is the high watermark of the metadata log.
func (n *Node) High() core.Offset { return n.high }

// End is the end of the metadata log: the base that the next Append gets.
func (n *Node) End(store *log.Store) core.Offset { return store.Log(n.id).End() }

// InTransaction reports whether a metadata transaction is open at the end of what was handed out: its leader died
// before its end, and the next one aborts it.
func (n *Node) InTransaction() bool { return n.assembler.open }

// Bootstrap are the records of bootstrap.checkpoint, if the log was empty at boot and the file was there.
func (n *Node) Bootstrap() []wire.Record { return n.bootstrap }

// Voters are the voters in force, sorted.
func (n *Node) Voters() []Voter { return n.cfg.Voters }

// Append appends records as one batch, which is seen whole or not at all, in the versions that a metadata version
// asks for, and returns its exclusive end. The records are committed when Committed hands them out. False: this
// node does not lead, too much is in flight, or there is too much for one batch. The records are not to be written to.
func (n *Node) Append(now core.Now, records []wire.Record, level int16, store *log.Store, out *core.Out) (end core.Offset, ok bool) {
	if !n.Leads() || len(records) == 0 || n.pendingBytes > pendingBytesMax {
		return 0, false
	}
	b := batch.NewBuilder(batch.Options{LeaderEpoch: n.state.epoch})
	millis := now.Wall.Millis()
	for _, r := range records {
		b.Add(millis, nil, encodeRecord(r, level), nil)
	}
	if b.Bytes() > metadataBytesMax {
		out.Mark("quorum.batch-too-large")
		return 0, false
	}
	return n.append(now, b.Finish(0), appended{epoch: n.state.epoch, millis: millis, records: records}, store, out)
}

func (n *Node) append(now core.Now, v batch.View, a appended, store *log.Store, out *core.Out) (core.Offset, bool) {
	count, size := core.Offset(v.Count()), int64(v.Size())
	base, err := store.Append(now, n.id, v, n.state.epoch, out)
	if err != log.AppendOK {
		return 0, false
	}
	a.end, a.bytes = base+count, size
	n.pending = append(n.pending, a)
	n.pendingBytes += size
	return a.end, true
}

func encodeRecord(r wire.Record, level int16) []byte {
	return wire.AppendRecordVersion(nil, r, image.RecordVersion(r, level))
}

// Committed takes out what was committed since it was last asked.
func (n *Node) Committed() []Batch {
	c := n.committed
	n.committed = nil
	return c
}

// Changed tells the node of a change that the store reported for the metadata log.
func (n *Node) Changed(now core.Now, c log.Change, store *log.Store, out *core.Out) {
	if n.failed != "" {
		return
	}
	switch c.What {
	case log.Loaded:
		if n.stage == stageLog {
			n.listDir(out)
		}
	case log.Failed:
		n.fail("the metadata log is offline: " + c.Note)
	case log.Durable:
		if n.stage >= stageLeading {
			n.durable(now, n.cfg.Self, store.Log(n.id).Durable(), store, out)
		}
	case log.Bytes:
		n.replayed(now, c, store, out)
	}
}

func (n *Node) fail(why string) {
	if n.failed == "" {
		n.failed = why
	}
}

// durable says that a voter's copy is safe below end.
func (n *Node) durable(now core.Now, id core.NodeID, end core.Offset, store *log.Store, out *core.Out) {
	for i := range n.ends {
		if n.ends[i].id == id {
			n.ends[i].end = max(n.ends[i].end, end)
		}
	}
	high := majority(n.ends)
	// What former leaders left is committed only together with a record of this epoch: counting copies of
	// it alone is how a leader of an epoch in between could take it back (Raft, figure 8).
	if high <= n.epochStart || high <= n.high {
		return
	}
	n.high = high
	store.SetHigh(now, n.id, high, out)
	if n.stage == stageLeading {
		n.stage = stageReplaying
		n.replay(now, store, out)
		return
	}
	n.hand()
}

// majority is the greatest offset below which more than half of the voters are safe.
func majority(ends []voterEnd) core.Offset {
	sorted := make([]core.Offset, len(ends))
	for i := range ends {
		sorted[i] = ends[i].end
	}
	slices.Sort(sorted)
	// Of 2k+1 or 2k+2 voters, k+1 or k+2 must be at or above it.
	return sorted[(len(sorted)-1)/2]
}

// hand moves what is committed from pending to committed.
func (n *Node) hand() {
	if n.stage != stageServing {
		return
	}
	done := 0
	for done < len(n.pending) && n.pending[done].end <= n.high {
		a := &n.pending[done]
		n.pendingBytes -= a.bytes
		n.take(a.records, a.end, a.epoch, a.millis, a.bytes)
		done++
	}
	n.pending = slices.Delete(n.pending, 0, done)
}

// take hands a committed batch to the assembler and what is whole to committed.
func (n *Node) take(records []wire.Record, end core.Offset, epoch core.Epoch, millis, bytes int64) {
	core.Must(end > n.handed, "committed batches come in order")
	core.Must(epoch >= n.handedEpoch, "epochs never fall along the log")
	piece, whole, wrong := n.assembler.take(records)
	if wrong != "" {
		n.fail("the metadata log is damaged below offset " + strconv.FormatInt(int64(end), 10) + ": " + wrong)
		return
	}
	n.handed, n.handedEpoch, n.lastMillis = end, epoch, millis
	n.since += bytes
	if whole {
		n.committed = append(n.committed, Batch{Records: piece, End: end, Epoch: epoch})
	}
}

// Next is the instant of the next Tick.
func (n *Node) Next() core.Time {
	if n.stage != stageServing || n.cfg.SnapshotTime <= 0 || n.since == 0 || n.save.stage != saveIdle {
		return core.Never
	}
	return n.savedAt.After(n.cfg.SnapshotTime)
}

// Tick does what is due: nothing but that WantsSnapshot may have become true.
func (n *Node) Tick(now core.Now, store *log.Store, out *core.Out) {}
