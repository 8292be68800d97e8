package quorum

import (
	"slices"

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

// Voter is one member of the quorum, and where it is reached.
type Voter struct {
	ID   core.NodeID
	Host string
	Port uint16
}

// Config is what a node of the quorum is told at its start. Times and sizes that are zero get Kafka's defaults.
type Config struct {
	Self           core.NodeID
	Voters         []Voter              // sorted by ID; those of kraft.version 0. A node that is not among them is an observer
	Bootstrap      []string             // host:port of nodes that are asked for the leader, where the log names the voters
	Endpoints      []wire.VoterEndpoint // where this node listens, if it may become a voter
	AutoJoin       bool                 // controller.quorum.auto.join.enable
	Standalone     bool                 // an empty log begins with this node as its only voter, where the log names the voters
	Directory      core.TopicID         // directory.id of meta.properties
	ClusterID      string               // empty: not checked
	Listener       string               // the name of the controllers' listener
	Key            [32]byte             // of the generator that spreads timeouts
	LogDir         string               // the directory that holds __cluster_metadata-0
	Log            log.Config           // of the metadata log
	SnapshotBytes  int64                // metadata.log.max.record.bytes.between.snapshots
	SnapshotTime   core.Time            // metadata.log.max.snapshot.interval.ms; 0 is never
	RetentionBytes int64                // metadata.max.retention.bytes

	ElectionTimeout    core.Time // controller.quorum.election.timeout.ms
	FetchTimeout       core.Time // controller.quorum.fetch.timeout.ms
	BackoffMax         core.Time // controller.quorum.election.backoff.max.ms
	RequestTimeout     core.Time // controller.quorum.request.timeout.ms
	RetryBackoff       core.Time // controller.quorum.retry.backoff.ms
	FetchBytes         int32     // controller.quorum.fetch.max.bytes
	SnapshotFetchBytes int32     // controller.quorum.fetch.snapshot.max.bytes
	LossTimeout        core.Time // how long a follower's connection to its leader stays lost before it asks for pre-votes; 0: FetchTimeout

	Sizes Sizes
}

// defaults fills in what the configuration leaves out.
func (c *Config) defaults() {
	for _, d := range []struct {
		to *core.Time
		ms int64
	}{{&c.ElectionTimeout, 1000}, {&c.FetchTimeout, 2000}, {&c.BackoffMax, 1000}, {&c.RequestTimeout, 2000}, {&c.RetryBackoff, 20}} {
		if *d.to <= 0 {
			*d.to = core.Millis(d.ms)
		}
	}
	if c.FetchBytes <= 0 {
		c.FetchBytes = 1 << 20
	}
	if c.SnapshotFetchBytes <= 0 {
		c.SnapshotFetchBytes = 1 << 20
	}
	if c.LossTimeout <= 0 {
		c.LossTimeout = c.FetchTimeout
	}
	if c.Sizes == (Sizes{}) {
		c.Sizes = DefaultSizes()
	}
	if c.Sizes.PendingBytes == 0 {
		c.Sizes.PendingBytes = pendingBytesMax
	}
}

// Sizes are bounds of single steps; see log.Sizes.
type Sizes struct {
	ReplayBytes        int64 // of the log read at a time at boot
	SnapshotBatchBytes int   // a batch of a snapshot is closed at this size
	SnapshotRecords    int   // encoded in one step
	BatchBytes         int   // of one batch of the log
	// PendingBytes bounds what is appended and not committed; then Append refuses, and a follower forgets the bytes and
	// reads them from its log later.
	PendingBytes int64
}

// DefaultSizes returns the sizes for real disks.
func DefaultSizes() Sizes {
	return Sizes{ReplayBytes: 4 << 20, SnapshotBatchBytes: 1 << 20, SnapshotRecords: 2000, BatchBytes: metadataBytesMax, PendingBytes: pendingBytesMax}
}

// Node is this node's part in the quorum.
//
// Invariants: saved <= serial, and the file quorum-state says what state said at change number saved, or later; high never
// falls, and is never above this node's durable end; handed <= high, but for the end of a snapshot; pending is sorted,
// without holes, and ends at the log's end unless it is empty; snapshots is sorted; peers holds the voters but
// for this node, sorted by id.
type Node struct {
	cfg    Config
	rand   core.Rand
	stage  stage
	failed string
	id     log.LogID // of the metadata log

	role   Role
	state  state
	serial uint64 // counts the changes of epoch and vote
	saved  uint64 // the newest of them that is durable
	put    putting
	sets   []setAt // voter sets of the log and of the snapshot before it, in its order; the last is in force. Empty: the configuration's
	peers  []peer
	change changing // of the voters, that this leader works on
	tend   tending  // what this follower asks about its own place among the voters

	due      core.Time // of the role's timer, on the monotonic clock
	tries    int       // candidacies in a row that came to nothing
	holdTo   core.Time // a prospective node that encouraged another lets it go first
	stopping bool      // it stands no more

	epochStart core.Offset // of the node's own leadership
	high       core.Offset
	readers    []reader // observers that fetch; sorted by id, then directory

	follow     following
	told       Voter     // where a leader says that it is
	strangerAt core.Time // no complaint about another cluster's voters before then
	download   download
	cutting    bool // the log is being truncated or started anew: Truncated ends it

	pending      []appended // not handed out; of this leader, or fetched
	pendingBytes int64
	assembler    assembler
	committed    []Batch
	handed       core.Offset // the end of what was taken from the log towards committed
	handedEpoch  core.Epoch
	lastMillis   int64       // of the newest record handed
	toldHigh     core.Offset // what was committed when a leader was first known, or -1
	ready        bool

	load      loading
	bootstrap []wire.Record

	snapshots []SnapshotID // on disk and whole, as far as is known
	save      saving
	since     int64     // bytes committed since the newest snapshot
	savedAt   core.Time // when the newest snapshot was begun, on the monotonic clock

	answers []heldAnswer
	outbox  []heldRequest
	parked  []parked     // fetches that wait for news; in order of arrival
	serving []servedPart // pieces of snapshots that are being read for others
	token   uint64       // the newest that was given

	ops   core.Ops[effect]
	files core.FileID // the newest file id given
}

// appended is a batch that is not handed out.
type appended struct {
	base, end core.Offset
	epoch     core.Epoch
	millis    int64
	records   []wire.Record // of this leader's own; nil for a control batch
	decoded   bool          // records count; else they are still to be read from raw
	raw       batch.View    // the bytes, for those who fetch; never written to
}

const (
	// pendingBytesMax is Sizes.PendingBytes unless the configuration says otherwise.
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
	cfg.defaults()
	n := &Node{cfg: cfg, rand: core.NewRand(cfg.Key), id: log.NoLog, ops: core.NewOps[effect](table, opsMax), files: fileBase, due: core.Never, toldHigh: -1}
	n.state = state{leader: core.NoNode, voted: core.NoNode}
	n.setPeers(core.Now{})
	return n
}

// Log is the store's id of the metadata log, once Boot has found or made it.
func (n *Node) Log() (log.LogID, bool) { return n.id, n.id != log.NoLog }

// Ready reports that all that was committed when a leader was first known has been handed out by Committed. It stays true.
func (n *Node) Ready() bool { return n.ready && n.failed == "" }

// Failed says why the node can't go on, or "". The broker notes it and exits.
func (n *Node) Failed() string { return n.failed }

// Role is the part that the node plays now.
func (n *Node) Role() Role {
	if !n.isVoter() && (n.role == Unattached || n.role == Follower) {
		return Observer
	}
	return n.role
}

// Leads reports whether this node is the leader.
func (n *Node) Leads() bool { return n.failed == "" && n.role == Leader }

// Active reports that the node leads and has handed out all that was committed before its epoch: only then
// may decisions be made on what was handed out.
func (n *Node) Active() bool { return n.Leads() && n.handed > n.epochStart }

// Leader is the leader of the quorum as far as this node knows, or core.NoNode, and the epoch.
func (n *Node) Leader() (core.NodeID, core.Epoch) { return n.state.leader, n.state.epoch }

// High is the high watermark of the metadata log, as far as this node may act on it.
func (n *Node) High() core.Offset { return n.high }

// End is the end of the metadata log: the base that the next Append gets.
func (n *Node) End(store *log.Store) core.Offset { return store.Log(n.id).End() }

// InTransaction reports whether a metadata transaction is open at the end of what was handed out: its leader died
// before its end, and the next one aborts it.
func (n *Node) InTransaction() bool { return n.assembler.open }

// Bootstrap are the records of bootstrap.checkpoint, if the log was empty at boot and the file was there.
func (n *Node) Bootstrap() []wire.Record { return n.bootstrap }

// Append appends records as one batch, which is seen whole or not at all, in the versions that a metadata version
// asks for, and returns its exclusive end. The records are committed when Committed hands them out with this epoch. False:
// this node is not Active, too much is in flight, or there is too much for one batch. The records are not to be written to.
func (n *Node) Append(now core.Now, records []wire.Record, level int16, store *log.Store, out *core.Out) (end core.Offset, ok bool) {
	if !n.Active() || len(records) == 0 || n.pendingBytes > n.cfg.Sizes.PendingBytes || n.overdue(now) {
		return 0, false
	}
	b := batch.NewBuilder(batch.Options{LeaderEpoch: n.state.epoch})
	millis := now.Wall.Millis()
	for _, r := range records {
		b.Add(millis, nil, encodeRecord(r, level), nil)
	}
	if b.Bytes() > n.cfg.Sizes.BatchBytes {
		out.Mark("quorum.batch-too-large")
		return 0, false
	}
	end, ok = n.append(now, b.Finish(0), records, store, out)
	n.settle(now, store, out)
	return end, ok
}

// append appends a batch of this leader.
func (n *Node) append(now core.Now, v batch.View, records []wire.Record, store *log.Store, out *core.Out) (core.Offset, bool) {
	base, err := store.Append(now, n.id, v, n.state.epoch, out)
	if err != log.AppendOK {
		return 0, false
	}
	n.pend(appended{base: base, end: base + core.Offset(v.Count()), epoch: n.state.epoch, millis: v.MaxTimestamp(), records: records, decoded: true, raw: v})
	return base + core.Offset(v.Count()), true
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
		if n.stage == stageServing {
			n.ownDurable(now, store, out)
		}
	case log.Truncated:
		n.truncated(now, store, out)
	case log.Bytes:
		if n.stage == stageVoters && c.Ticket == n.load.ticket {
			n.scanned(now, c, store, out)
		} else {
			n.replayed(c, store)
		}
		n.fetchRead(c, store)
	}
	n.settle(now, store, out)
}

func (n *Node) fail(why string) {
	if n.failed == "" {
		n.failed = why
	}
}

// settle does what the state asks for. Every entry of the room ends with it, and it looks at nothing but the state, so that
// doing it twice changes nothing.
func (n *Node) settle(now core.Now, store *log.Store, out *core.Out) {
	if n.failed != "" || n.stage != stageServing {
		return
	}
	if n.download.stage == downloadDropped {
		n.dropDownload(out)
	}
	n.turn(now, store, out)
	n.act(now, store, out)
	n.hand(now, store, out)
	n.wake(now, store, out)
	n.putState(out)
}

// Tick does what is due.
func (n *Node) Tick(now core.Now, store *log.Store, out *core.Out) { n.settle(now, store, out) }

// Next is the instant of the next Tick.
func (n *Node) Next() core.Time {
	if n.failed != "" || n.stage != stageServing {
		return core.Never
	}
	next := min(n.due, n.nextAct(), n.nextParked())
	if n.cfg.SnapshotTime > 0 && n.since > 0 && n.save.stage == saveIdle && n.ready {
		next = min(next, n.savedAt.After(n.cfg.SnapshotTime))
	}
	return next
}

// raise raises the high watermark.
func (n *Node) raise(now core.Now, high core.Offset, store *log.Store, out *core.Out) {
	if high <= n.high {
		return
	}
	core.Must(high <= store.Log(n.id).Durable(), "high watermark within what is durable here")
	n.high = high
	store.SetHigh(now, n.id, high, out)
}

// nodes are sorted without duplicates.
func findPeer(peers []peer, id core.NodeID) *peer {
	i, ok := slices.BinarySearchFunc(peers, id, func(p peer, id core.NodeID) int { return int(p.id) - int(id) })
	if !ok {
		return nil
	}
	return &peers[i]
}
