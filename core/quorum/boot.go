package quorum

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"
)

// stage is how far the node's start has come. The order is the order of life.
type stage uint8

const (
	stageNew       stage = iota
	stageLog             // the metadata log is being made
	stageListing         // its directory is being listed
	stageSnapshot        // the newest snapshot is being read
	stageAdopting        // a snapshot that the log begins with gets its name: a crash came between
	stageBootstrap       // there is no snapshot and no log: bootstrap.checkpoint is being read
	stageVoters          // the log is being read for the voters that it names
	stageState           // quorum-state is being read
	stageServing         // it takes part in the quorum
)

var stageNames = [...]string{"new", "log", "listing", "snapshot", "adopting", "bootstrap", "voters", "state", "serving"}

func (s stage) String() string { return stageNames[s] }

// step is what an effect of the node was for.
type step uint8

const (
	stepList   step = iota
	stepRemove      // nobody waits
	stepSwept       // a left-over is removed
	stepOpen
	stepRead
	stepAdopted
	stepAdoptedDurable
	stepStateWritten
	stepStateSynced
	stepStateRenamed
	stepStateDurable
	stepSaveWritten
	stepSaveSynced
	stepSaveRenamed
	stepSaveDurable
	stepPieceWritten
	stepPieceGone // a download that was given up is removed
	stepPieceSynced
	stepPieceRead
	stepPieceNamed
	stepPieceRenamed
	stepPieceDurable
	stepPartOpened
	stepPartRead
	stepClose
)

// effect is an effect in flight.
type effect struct {
	step step
	n    uint64 // slot of a servedPart
}

func (n *Node) op(s step) core.Op { return n.ops.Start(effect{step: s}) }

// loading is what is remembered between reads: of files at boot, of the log later.
type loading struct {
	try    []SnapshotID // found and not yet tried, oldest first
	sweeps int          // left-overs that are being removed
	parts  []SnapshotID // found under the name .part, sorted
	bad    []string     // what is wrong with those that were tried
	file   core.FileID
	state  bool // quorum-state is there
	named  bool // a snapshot is there, usable or not, that reaches to the log's start
	part   bool // the snapshot that is being read has the name .part
	got    content
	ticket log.Ticket  // of the read of the log that is under way; 0: none
	upTo   core.Offset // where that one ends
	at     core.Offset // what was read of the log for its voters
	stuck  core.Offset // no batch ends at this high watermark, so the next one is awaited
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
	if len(n.cfg.Voters)+len(n.cfg.Bootstrap) == 0 {
		n.fail("neither controller.quorum.voters nor controller.quorum.bootstrap.servers names anybody: node " + strconv.Itoa(int(n.cfg.Self)) + " does not know its metadata quorum")
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
	out.List(n.op(stepList), n.dir())
}

// Done takes an answer to one of the node's own effects.
func (n *Node) Done(now core.Now, ev *core.Event, store *log.Store, out *core.Out) {
	what, ok := n.ops.Finish(ev.Op)
	if !ok || n.failed != "" {
		return
	}
	switch what.step {
	case stepList:
		n.listed(now, ev, store, out)
	case stepSwept:
		n.swept(now, store, out)
	case stepOpen:
		n.opened(now, ev, store, out)
	case stepRead:
		n.read(now, ev, store, out)
	case stepAdopted, stepAdoptedDurable:
		n.adoptStep(now, what.step, ev, store, out)
	case stepStateWritten, stepStateSynced, stepStateRenamed, stepStateDurable:
		n.stateStep(what.step, ev, out)
	case stepSaveWritten, stepSaveSynced, stepSaveRenamed, stepSaveDurable:
		n.saveStep(now, what.step, ev, store, out)
	case stepPieceWritten, stepPieceSynced, stepPieceRead, stepPieceNamed, stepPieceRenamed, stepPieceDurable:
		n.pieceStep(now, what.step, ev, store, out)
	case stepPieceGone:
		n.download = download{}
	case stepPartOpened, stepPartRead:
		n.partStep(what, ev, out)
	case stepRemove, stepClose:
	}
	n.settle(now, store, out)
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
			n.load.named = n.load.named || id.End >= store.Log(n.id).Start()
		}
		id, part := parseSnapshotName(strings.TrimSuffix(e.Name, ".part"))
		switch {
		case strings.HasSuffix(e.Name, partSuffix) && part && n.mayBeginWith(id, store.Log(n.id)):
			n.load.parts = append(n.load.parts, id)
		case strings.HasSuffix(e.Name, partSuffix) || strings.HasSuffix(e.Name, deletedSuffix):
			n.load.sweeps++
			out.Remove(n.op(stepSwept), n.path(e.Name))
		}
		n.load.state = n.load.state || e.Name == stateFile
	}
	slices.SortFunc(n.load.try, SnapshotID.compare)
	slices.SortFunc(n.load.parts, SnapshotID.compare)
	n.load.sweeps++
	n.swept(now, store, out)
}

// mayBeginWith reports whether a crash may have come while the log was started anew at the end of a snapshot: it begins there, or, empty,
// somewhere above (see log.Store.Restart).
func (n *Node) mayBeginWith(id SnapshotID, l *log.Log) bool {
	return id.End > 0 && (id.End == l.Start() || id.End < l.Start() && l.Start() == l.End())
}

// swept goes on when the left-overs are gone: a removal that came late could take a new file of the same name.
func (n *Node) swept(now core.Now, store *log.Store, out *core.Out) {
	if n.load.sweeps--; n.load.sweeps == 0 {
		n.nextSnapshot(now, store, out)
	}
}

// nextSnapshot tries the newest snapshot that was not tried, or goes on without.
func (n *Node) nextSnapshot(now core.Now, store *log.Store, out *core.Out) {
	l := store.Log(n.id)
	n.stage, n.load.part = stageSnapshot, false
	if last := len(n.load.try) - 1; last >= 0 {
		n.open(n.path(n.load.try[last].File()), out)
		return
	}
	if last := len(n.load.parts) - 1; last >= 0 && (n.load.parts[last].End == l.Start() || !n.load.named) { // a crash came between the new beginning of the log and the name of its snapshot
		n.load.part = true
		n.open(n.path(n.load.parts[last].File()+".part"), out)
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
		if n.cfg.Standalone && len(n.sets) == 0 && len(n.cfg.Voters) == 0 {
			n.learn(now, 0, voterSet{kraftMax, []wire.Voter{n.self()}})
		}
		n.stage = stageBootstrap
		n.open(n.cfg.LogDir+"/"+bootstrapFile, out)
		return
	}
	n.scanSets(now, store, out)
}

func (n *Node) badSnapshots() string {
	if len(n.load.bad) == 0 {
		return ""
	}
	return ": " + strings.Join(n.load.bad, "; ")
}

func (n *Node) open(path string, out *core.Out) {
	n.load.file = n.nextFile()
	out.Open(n.op(stepOpen), n.load.file, path, core.OpenExisting)
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
		out.Read(n.op(stepRead), n.load.file, 0, ev.N)
		out.CloseFile(n.op(stepClose), n.load.file)
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
	found, suffix := &n.load.try, ""
	if n.load.part {
		found, suffix = &n.load.parts, ".part"
	}
	last := len(*found) - 1
	id := (*found)[last]
	l := store.Log(n.id)
	var c content
	if wrong == "" {
		c, wrong = decodeSnapshot(b)
	}
	if wrong == "" && id.End < l.Start() && !n.load.part {
		wrong = "it ends at " + strconv.FormatInt(int64(id.End), 10) + ", before the log begins"
	}
	if id.End > l.End() {
		// Snapshots are made of what is committed and durable here, so the log has lost its end. What followed the
		// snapshot may have been acknowledged: not for this node to decide.
		n.fail("the metadata log ends at offset " + strconv.FormatInt(int64(l.End()), 10) + ", before its snapshot " + id.File() +
			": the log in " + n.dir() + " has lost committed records")
		return
	}
	if wrong != "" {
		n.load.bad = append(n.load.bad, n.path(id.File()+suffix)+": "+wrong)
		*found = (*found)[:last]
		n.nextSnapshot(now, store, out)
		return
	}
	if n.load.part {
		out.Mark("quorum.snapshot-adopted")
		n.stage, n.load.got = stageAdopting, c
		if id.End == l.Start() {
			n.adopt(out)
		} else if n.cutting = true; store.Restart(now, n.id, id.End, out) != log.AppendOK {
			n.fail("the metadata log cannot be started anew at offset " + strconv.FormatInt(int64(id.End), 10))
		}
		return
	}
	n.startFrom(now, id, c, store, out)
}

// adopt renames the snapshot that the log begins with.
func (n *Node) adopt(out *core.Out) {
	name := n.path(n.load.parts[len(n.load.parts)-1].File())
	out.Rename(n.op(stepAdopted), name+".part", name)
}

// adoptStep gives the snapshot that the log begins with its name.
func (n *Node) adoptStep(now core.Now, what step, ev *core.Event, store *log.Store, out *core.Out) {
	id := n.load.parts[len(n.load.parts)-1]
	if ev.Err != core.OK {
		n.fail("cannot rename " + n.path(id.File()+".part") + ", which the metadata log begins with: " + ev.Err.String())
		return
	}
	if what == stepAdopted {
		out.SyncDir(n.op(stepAdoptedDurable), n.dir())
		return
	}
	n.load.try = append(n.load.try, id)
	n.startFrom(now, id, n.load.got, store, out)
}

// startFrom starts the metadata from a snapshot.
func (n *Node) startFrom(now core.Now, id SnapshotID, c content, store *log.Store, out *core.Out) {
	for _, p := range n.load.parts {
		if !slices.Contains(n.load.try, p) {
			out.Remove(n.op(stepRemove), n.path(p.File()+".part"))
		}
	}
	if len(n.load.bad) > 0 {
		out.Mark("quorum.snapshot-unusable")
		out.Note(core.Error, "went on with an older snapshot of the metadata and the log behind it"+n.badSnapshots())
	}
	n.snapshots, n.load.try = n.load.try, nil
	n.handSnapshot(now, id, c)
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

// stateRead knows the node's past, and takes its part in the quorum. It starts as it ended, except that nobody leads an epoch
// twice, and that a candidacy of a former life is not gone on with: it votes for itself in a new epoch.
func (n *Node) stateRead(now core.Now, b []byte, absent core.Errno, wrong string, store *log.Store, out *core.Out) {
	known := state{leader: core.NoNode, voted: core.NoNode}
	l := store.Log(n.id)
	switch {
	case absent == core.NotFound && l.End() > 0 && n.isVoter() && !n.sole():
		n.fail(n.path(stateFile) + " is missing, and the log is not empty: it held this voter's vote, without which two leaders could be elected. " +
			"Restore it from a copy made since its last vote, or replace this voter by one with another node id")
		return
	case absent == core.NotFound:
		if l.End() > 0 {
			out.Note(core.Warn, n.path(stateFile)+" is missing; the epoch is taken from the log")
		}
	case absent != core.OK:
		wrong = absent.String()
	default:
		var ok bool
		if known, ok = parseState(b); !ok && wrong == "" {
			wrong = "it is not a quorum state"
		}
		// It may be in the page cache only, or under its name there: a life that was killed has not said that it is durable, and nobody
		// was told of it. So it is written anew before anybody is.
		n.hard()
	}
	if wrong != "" {
		n.fail(n.path(stateFile) + " cannot be used: " + wrong + ". It may hold a vote, so it is not replaced")
		return
	}
	n.state = known
	if epoch := max(store.LastEpoch(n.id), n.handedEpoch); epoch > n.state.epoch {
		n.state.epoch, n.state.leader, n.state.voted, n.state.votedDir = epoch, core.NoNode, core.NoNode, core.TopicID{}
	}
	n.setPeers(now)
	n.load = loading{}
	n.stage = stageServing
	if n.high = n.handed; n.high > store.Log(n.id).High() { // the checkpoint may know more to be committed
		store.SetHigh(now, n.id, n.high, out)
	}
	switch leader := n.state.leader; {
	case n.sole():
		n.candidate(now, out)
	case leader == n.cfg.Self:
		n.newRole(now, Resigned, n.spread(now, n.cfg.ElectionTimeout))
	case leader != core.NoNode && findPeer(n.peers, leader) != nil:
		n.newRole(now, Follower, now.Mono.After(n.cfg.FetchTimeout))
	default:
		n.state.leader = core.NoNode // where it is will be heard anew
		n.newRole(now, Unattached, n.orNever(n.spread(now, n.cfg.ElectionTimeout)))
	}
}
