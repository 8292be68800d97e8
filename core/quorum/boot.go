package quorum

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"
)

// stage is how far the node has come. The order is the order of life.
type stage uint8

const (
	stageNew       stage = iota
	stageLog             // the metadata log is being made
	stageListing         // its directory is being listed
	stageSnapshot        // the newest snapshot is being read
	stageBootstrap       // there is no snapshot and no log: bootstrap.checkpoint is being read
	stageState           // quorum-state is being read
	stageElecting        // quorum-state is being written with the epoch to lead in
	stageLeading         // the LeaderChange record is not committed
	stageReplaying       // what is committed is being read
	stageServing
)

var stageNames = [...]string{"new", "log", "listing", "snapshot", "bootstrap", "state", "electing", "leading", "replaying", "serving"}

func (s stage) String() string { return stageNames[s] }

// step is what an effect of the node was for.
type step uint8

const (
	stepList   step = iota
	stepRemove      // of a leftover; nobody waits
	stepOpen
	stepRead
	stepStateWritten
	stepStateSynced
	stepStateRenamed
	stepStateDurable
	stepSaveWritten
	stepSaveSynced
	stepSaveRenamed
	stepSaveDurable
	stepClose
)

// loading is what boot remembers between its effects.
type loading struct {
	try    []SnapshotID // found and not yet tried, oldest first
	bad    []string     // what is wrong with those that were tried
	file   core.FileID
	state  bool // quorum-state is there
	ticket log.Ticket
	until  core.Offset // replay: the high watermark to reach
}

const (
	stateFile     = "quorum-state"
	stateTemp     = "quorum-state.tmp"
	bootstrapFile = "bootstrap.checkpoint"
)

func (n *Node) dir() string { return n.cfg.LogDir + "/" + Partition.Topic + "-0" }

func (n *Node) path(name string) string { return n.dir() + "/" + name }

func (n *Node) nextFile() core.FileID {
	n.files++
	return n.files
}

// Boot starts the node. The store has loaded its logs. Ready comes true later, or Failed.
func (n *Node) Boot(now core.Now, store *log.Store, out *core.Out) {
	core.Must(n.stage == stageNew, "a node boots once")
	if len(n.cfg.Voters) == 0 || !slices.ContainsFunc(n.cfg.Voters, func(v Voter) bool { return v.ID == n.cfg.Self }) {
		n.fail("node " + strconv.Itoa(int(n.cfg.Self)) + " is not among the voters of the metadata quorum: name it in controller.quorum.voters")
		return
	}
	n.savedAt = now.Mono
	n.stage = stageLog
	id, found := store.Find(Partition)
	if !found {
		n.id = store.Create(now, Partition, TopicID, n.cfg.Log, out)
		return
	}
	n.id = id
	store.SetConfig(now, id, n.cfg.Log, out)
	l := store.Log(id)
	switch {
	case l.Online():
		n.listDir(out)
	case l.Offline() != "":
		n.fail("the metadata log is offline: " + l.Offline())
	}
}

func (n *Node) listDir(out *core.Out) {
	n.stage = stageListing
	out.List(n.ops.Start(stepList), n.dir())
}

// Done takes an answer to one of the node's own effects.
func (n *Node) Done(now core.Now, ev *core.Event, store *log.Store, out *core.Out) {
	what, ok := n.ops.Finish(ev.Op)
	if !ok || n.failed != "" {
		return
	}
	switch what {
	case stepList:
		n.listed(now, ev, store, out)
	case stepOpen:
		n.opened(now, ev, store, out)
	case stepRead:
		n.read(now, ev, store, out)
	case stepStateWritten, stepStateSynced, stepStateRenamed, stepStateDurable:
		n.stateStep(now, what, ev, store, out)
	case stepSaveWritten, stepSaveSynced, stepSaveRenamed, stepSaveDurable:
		n.saveStep(now, what, ev, store, out)
	case stepRemove, stepClose:
	}
}

// listed knows which snapshots there are, and sweeps up what a crash left of those that were being written or removed.
func (n *Node) listed(now core.Now, ev *core.Event, store *log.Store, out *core.Out) {
	if ev.Err != core.OK {
		n.fail("cannot list " + n.dir() + ": " + ev.Err.String())
		return
	}
	for _, e := range core.ParseList(ev.Data) {
		if id, ok := parseSnapshotName(e.Name); ok {
			n.load.try = append(n.load.try, id)
		}
		if strings.HasSuffix(e.Name, partSuffix) || strings.HasSuffix(e.Name, deletedSuffix) || e.Name == stateTemp {
			out.Remove(n.ops.Start(stepRemove), n.path(e.Name))
		}
		n.load.state = n.load.state || e.Name == stateFile
	}
	slices.SortFunc(n.load.try, SnapshotID.compare)
	n.nextSnapshot(now, store, out)
}

// nextSnapshot tries the newest snapshot that was not tried, or goes on without.
func (n *Node) nextSnapshot(now core.Now, store *log.Store, out *core.Out) {
	l := store.Log(n.id)
	if last := len(n.load.try) - 1; last >= 0 {
		n.stage = stageSnapshot
		n.open(n.path(n.load.try[last].File()), out)
		return
	}
	// No snapshot can be used. The log alone tells everything only if it was never cut at its start.
	if l.Start() > 0 {
		n.fail("no snapshot of the metadata log can be used, and the log begins at offset " + strconv.FormatInt(int64(l.Start()), 10) +
			", so the metadata cannot be known" + n.badSnapshots() + ". Restore a snapshot file from a copy of " + n.dir())
		return
	}
	if len(n.load.bad) > 0 {
		out.Mark("quorum.snapshot-unusable")
		out.Note(core.Error, "went on without a damaged snapshot, since the metadata log is whole from offset 0"+n.badSnapshots())
	}
	n.begin(now, store, out)
}

// begin reads what a directory that was just formatted begins with; any other has it in its log. A directory
// formatted for voters that the log names has a snapshot as well, of offset 0, which names them (KIP-853).
func (n *Node) begin(now core.Now, store *log.Store, out *core.Out) {
	if store.Log(n.id).End() == 0 {
		n.stage = stageBootstrap
		n.open(n.cfg.LogDir+"/"+bootstrapFile, out)
		return
	}
	n.readState(now, store, out)
}

func (n *Node) badSnapshots() string {
	if len(n.load.bad) == 0 {
		return ""
	}
	return ": " + strings.Join(n.load.bad, "; ")
}

func (n *Node) open(path string, out *core.Out) {
	n.load.file = n.nextFile()
	out.Open(n.ops.Start(stepOpen), n.load.file, path, core.OpenExisting)
}

// opened reads the whole file, if it is there and of a believable size.
func (n *Node) opened(now core.Now, ev *core.Event, store *log.Store, out *core.Out) {
	limit := int64(snapshotBytesMax)
	if n.stage == stageState {
		limit = stateBytesMax
	}
	switch {
	case ev.Err != core.OK:
		n.content(now, nil, ev.Err, "", store, out)
	case ev.N > limit:
		n.content(now, nil, core.OK, "it is too large to be one", store, out)
	default:
		out.Read(n.ops.Start(stepRead), n.load.file, 0, ev.N)
		out.CloseFile(n.ops.Start(stepClose), n.load.file)
	}
}

func (n *Node) read(now core.Now, ev *core.Event, store *log.Store, out *core.Out) {
	wrong := ""
	if ev.Err != core.OK {
		wrong = ev.Err.String()
	}
	n.content(now, ev.Data, core.OK, wrong, store, out)
}

// content takes what a file of boot holds, or that it could not be opened or read.
func (n *Node) content(now core.Now, b []byte, absent core.Errno, wrong string, store *log.Store, out *core.Out) {
	switch n.stage {
	case stageSnapshot:
		if absent != core.OK {
			wrong = absent.String()
		}
		n.snapshotRead(now, b, wrong, store, out)
	case stageBootstrap:
		if absent == core.NotFound {
			n.readState(now, store, out)
			return
		}
		var c content
		if absent != core.OK {
			wrong = absent.String()
		}
		if wrong == "" {
			c, wrong = decodeSnapshot(b)
		}
		if wrong != "" {
			n.fail(n.cfg.LogDir + "/" + bootstrapFile + " cannot be used: " + wrong)
			return
		}
		n.bootstrap = c.records
		n.readState(now, store, out)
	case stageState:
		n.stateRead(now, b, absent, wrong, store, out)
	}
}

// snapshotRead starts the metadata from a snapshot, or tries an older one.
func (n *Node) snapshotRead(now core.Now, b []byte, wrong string, store *log.Store, out *core.Out) {
	last := len(n.load.try) - 1
	id := n.load.try[last]
	l := store.Log(n.id)
	var c content
	if wrong == "" {
		c, wrong = decodeSnapshot(b)
	}
	if wrong == "" && id.End < l.Start() {
		wrong = "it ends at " + strconv.FormatInt(int64(id.End), 10) + ", before the log begins"
	}
	if id.End > l.End() {
		// Snapshots are made of what is committed, so the log has lost its end. What followed the
		// snapshot may have been acknowledged: not for this node to decide.
		n.fail("the metadata log ends at offset " + strconv.FormatInt(int64(l.End()), 10) + ", before its snapshot " + id.File() +
			": the log in " + n.dir() + " has lost committed records")
		return
	}
	if wrong != "" {
		n.load.bad = append(n.load.bad, n.path(id.File())+": "+wrong)
		n.load.try = n.load.try[:last]
		n.nextSnapshot(now, store, out)
		return
	}
	if len(n.load.bad) > 0 {
		out.Mark("quorum.snapshot-unusable")
		out.Note(core.Error, "went on with an older snapshot of the metadata and the log behind it"+n.badSnapshots())
	}
	n.snapshots, n.load.try = n.load.try, nil
	n.handed, n.handedEpoch, n.lastMillis = id.End, id.Epoch, c.millis
	if c.hasSet {
		n.set = c.set
	}
	n.committed = append(n.committed, Batch{Records: c.records, End: id.End, Epoch: id.Epoch, Snapshot: true})
	n.begin(now, store, out)
}

func (n *Node) readState(now core.Now, store *log.Store, out *core.Out) {
	n.stage = stageState
	if n.load.state {
		n.open(n.path(stateFile), out)
		return
	}
	n.stateRead(now, nil, core.NotFound, "", store, out)
}

// stateRead knows the node's past and, as the only voter, elects itself.
func (n *Node) stateRead(now core.Now, b []byte, absent core.Errno, wrong string, store *log.Store, out *core.Out) {
	known := state{leader: core.NoNode, voted: core.NoNode}
	switch {
	case absent == core.NotFound:
		if l := store.Log(n.id); l.End() > 0 {
			out.Note(core.Warn, n.path(stateFile)+" is missing; the epoch is taken from the log")
		}
	case absent != core.OK:
		wrong = absent.String()
	default:
		var ok bool
		if known, ok = parseState(b); !ok && wrong == "" {
			wrong = "it is not a quorum state"
		}
	}
	if wrong != "" {
		n.fail(n.path(stateFile) + " cannot be used: " + wrong + ". It may hold a vote, so it is not replaced")
		return
	}
	n.state = known
	n.state.epoch = max(known.epoch, store.LastEpoch(n.id), n.handedEpoch)
	if n.set.kraft > 0 {
		n.state.version = 1
	}
	if len(n.cfg.Voters) > 1 {
		n.fail("controller.quorum.voters names " + strconv.Itoa(len(n.cfg.Voters)) + " voters; this version leads a quorum of one only")
		return
	}
	n.elect(out)
}

// elect makes the next epoch this node's own, on disk before anything else knows.
func (n *Node) elect(out *core.Out) {
	n.stage = stageElecting
	n.state.epoch++
	n.state.leader, n.state.voted, n.state.votedDir = n.cfg.Self, core.NoNode, core.TopicID{}
	f := n.nextFile()
	n.load.file = f
	out.Open(n.ops.Start(stepClose), f, n.path(stateTemp), core.CreateEmpty)
	out.Write(n.ops.Start(stepStateWritten), f, 0, n.state.encode(n.cfg.Voters))
}

func (n *Node) stateStep(now core.Now, what step, ev *core.Event, store *log.Store, out *core.Out) {
	if ev.Err != core.OK {
		n.fail("cannot write " + n.path(stateFile) + ": " + ev.Err.String())
		return
	}
	switch what {
	case stepStateWritten:
		out.Sync(n.ops.Start(stepStateSynced), n.load.file)
	case stepStateSynced:
		out.CloseFile(n.ops.Start(stepClose), n.load.file)
		out.Rename(n.ops.Start(stepStateRenamed), n.path(stateTemp), n.path(stateFile))
	case stepStateRenamed:
		out.SyncDir(n.ops.Start(stepStateDurable), n.dir())
	case stepStateDurable:
		n.lead(now, store, out)
	}
}

// lead opens the epoch with a LeaderChange record.
func (n *Node) lead(now core.Now, store *log.Store, out *core.Out) {
	n.stage = stageLeading
	n.epochStart = store.Log(n.id).End()
	m := &wire.LeaderChangeMessage{LeaderID: n.cfg.Self}
	for _, v := range n.cfg.Voters {
		row := wire.LeaderChangeVoter{VoterID: v.ID}
		m.Voters = append(m.Voters, row)
		if v.ID == n.cfg.Self {
			m.GrantingVoters = append(m.GrantingVoters, row)
		}
	}
	millis := now.Wall.Millis()
	records := []controlRecord{{batch.LeaderChange, m}}
	if n.set.kraft > 0 && n.epochStart == 0 { // the voters of the formatted directory enter the log
		records = append(records, controlRecord{batch.KRaftVersion, &wire.KRaftVersionRecord{KRaftVersion: n.set.kraft}},
			controlRecord{batch.KRaftVoters, &wire.VotersRecord{Voters: n.set.voters}})
	}
	v := controlBatch(0, n.state.epoch, millis, records...)
	if _, ok := n.append(now, v, appended{epoch: n.state.epoch, millis: millis}, store, out); !ok {
		n.fail("the metadata log takes no records: " + store.Log(n.id).Offline())
		return
	}
	n.load.until = n.epochStart
}

// replay reads what former leaders left, up to the start of this epoch; the rest is in pending.
func (n *Node) replay(now core.Now, store *log.Store, out *core.Out) {
	from := max(n.handed, store.Log(n.id).Start())
	if from >= n.load.until {
		n.load = loading{}
		n.stage = stageServing
		n.hand()
		return
	}
	n.load.ticket = store.ReadAt(now, n.id, from, n.load.until, n.cfg.Sizes.ReplayBytes, out)
}

// replayed takes in a stretch of the log.
func (n *Node) replayed(now core.Now, c log.Change, store *log.Store, out *core.Out) {
	if n.stage != stageReplaying || c.Ticket != n.load.ticket {
		return
	}
	if c.Err != core.OK || len(c.Data) == 0 {
		n.fail("the metadata log cannot be read behind offset " + strconv.FormatInt(int64(n.handed), 10) + ": " + c.Err.String())
		return
	}
	for b := c.Data; len(b) > 0; {
		v, rest, is := batch.First(b)
		if is != batch.Good || !v.CheckCRC() {
			n.fail("the metadata log is damaged behind offset " + strconv.FormatInt(int64(n.handed), 10))
			return
		}
		b = rest
		if v.LastOffset() < n.handed { // a batch that a snapshot covers
			continue
		}
		if v.BaseOffset() < n.handed {
			n.fail("the snapshot at " + strconv.FormatInt(int64(n.handed), 10) + " ends within a batch")
			return
		}
		n.replayBatch(v)
		if n.failed != "" {
			return
		}
	}
	n.replay(now, store, out)
}

func (n *Node) replayBatch(v batch.View) {
	var records []wire.Record
	var wrong string
	if v.IsControl() {
		var c content
		if _, wrong = c.controls(v); c.hasSet {
			if len(c.set.voters) == 0 {
				c.set.voters = n.set.voters
			}
			if c.set.kraft == 0 {
				c.set.kraft = n.set.kraft
			}
			n.set = c.set
		}
	} else {
		records, wrong = decodeBatch(v)
	}
	if wrong != "" {
		n.fail("the metadata log cannot be used: " + wrong)
		return
	}
	n.take(records, v.LastOffset()+1, v.LeaderEpoch(), v.MaxTimestamp(), int64(v.Size()))
}
