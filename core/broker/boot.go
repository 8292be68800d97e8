package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/quorum"
)

// stage is how far the life of a broker has come, in its order.
type stage uint8

const (
	stageNew        stage = iota
	stageDirectory        // the log directory and its meta.properties are looked at
	stageFormat           // an empty log directory is being formatted
	stageLogs             // every log is loaded, and recovered if the last stop was none
	stageQuorum           // the metadata log is replayed
	stageRegister         // the broker's registration is on its way into the metadata log
	stagePartitions       // logs of the image are opened or made
	stageUnfence          // the controller is asked to let this broker in
	stageReady            // requests are served
	stageHandover         // a stop was asked for: others take over this broker's leaderships, while it serves on
	stageDraining         // what is under way may end, nothing new begins
	stageLeaving          // the broker's registration is being fenced
	stageResigning        // the other voters are told that the leader of the metadata log goes
	stageStopping         // logs are flushed and closed
	stageStopped
)

var stageTexts = [...]string{
	"not booted", "looking at the log directory", "formatting the log directory", "loading and recovering logs",
	"replaying the metadata log", "registering this broker", "opening partitions", "waiting to be let in by the controller", "ready", "handing leaderships to other brokers before the stop", "finishing requests before the stop",
	"giving up leaderships before the stop", "giving up the metadata log before the stop", "flushing logs before the stop", "stopped",
}

// The steps of boot: what an effect with an op of table 1 was for.
const (
	bootMkdir int32 = iota
	bootOpenMeta
	bootCloseMeta
	bootList
	bootReadMeta
	bootOpenBootstrap
	bootWriteBootstrap
	bootSyncBootstrap
	bootOpenTemp
	bootWriteTemp
	bootSyncTemp
	bootClose
	bootRename
	bootSyncDir
)

// booting is what boot remembers.
type booting struct {
	key         [32]byte // of the store's generator
	clusterID   string
	directoryID core.TopicID
	incarnation core.TopicID
	file        core.FileID
	mkdirs      int // Mkdir steps under way
	at          int // the directory that is being looked at, or formatted
	since       core.Time
	unloaded    bool // a stop came before every log was loaded
}

// metaBytesMax bounds a meta.properties that is believed.
const metaBytesMax = 64 << 10

// fatal stops the machine with a reason.
func (b *Broker) fatal(why string, out *core.Out) {
	if b.stage == stageStopped {
		return
	}
	out.Note(core.Error, why)
	out.Exit(1)
	b.stage = stageStopped
}

// bootEvent reads the configuration and begins.
func (b *Broker) bootEvent(now core.Now, ev *core.Event, out *core.Out) {
	info, ok := core.ParseBootInfo(ev.Data)
	if !ok || b.stage != stageNew {
		b.fatal("the boot event cannot be read", out)
		return
	}
	cfg, problems := ParseConfig(info.Config)
	if len(problems) > 0 {
		for _, p := range problems {
			text := p.Text
			if p.Line > 0 {
				text = "line " + strconv.Itoa(p.Line) + ": " + text
			}
			out.Note(core.Error, "configuration: "+text)
		}
		b.fatal("the configuration has "+strconv.Itoa(len(problems))+" problems", out)
		return
	}
	b.cfg, b.rand = cfg, core.NewRand(info.Key)
	b.sessions.Init(cfg.FetchSessions)
	b.boot = booting{since: now.Mono, incarnation: b.rand.ID(), key: b.newKey()}
	b.stage = stageDirectory
	b.bootDirs(out)
}

func (b *Broker) step(s int32) core.Op { return b.ops.Start(op{kind: opBoot, step: s}) }

func (b *Broker) path(name string) string { return b.cfg.LogDir + "/" + name }

func (b *Broker) nextBootFile() core.FileID {
	b.boot.file = max(b.boot.file+1, bootFiles)
	return b.boot.file
}

// bootDone takes what a step of boot came to.
func (b *Broker) bootDone(now core.Now, step int32, ev *core.Event, out *core.Out) {
	if b.stage == stageStopped {
		return
	}
	switch step {
	case bootMkdir:
		b.madeDir(now, ev, out)
	case bootOpenMeta:
		b.openedMeta(now, ev, out)
	case bootReadMeta:
		b.readMeta(now, ev, out)
	case bootList:
		b.listed(now, ev, out)
	case bootCloseMeta, bootClose:
	default:
		if ev.Err != core.OK {
			b.fatal("cannot format "+b.dirs[b.boot.at].path+": "+ev.Err.String(), out)
			return
		}
		b.formatStep(now, step, out)
	}
}

// loadLogs has the store load what is in the directories.
func (b *Broker) loadLogs(now core.Now, out *core.Out) {
	b.stage = stageLogs
	cfg := log.DefaultStoreConfig(b.dirPaths()...)
	cfg.Table, cfg.FileBase, cfg.Generator = tableStore, storeFiles, b.boot.key
	cfg.Durability, cfg.RetentionCheck = b.cfg.Durability, b.cfg.RetentionCheck
	cfg.CheckpointTime, cfg.CheckpointBytes = min(cfg.CheckpointTime, b.cfg.CheckpointTime), b.cfg.Internal.CheckpointBytes
	cfg.Sizes, cfg.Cleaner = b.cfg.Internal.Log, b.cfg.Cleaner
	cfg.ScrubRate, cfg.ScrubInterval = b.cfg.Scrub.Rate, b.cfg.Scrub.Interval
	b.store = log.NewStore(cfg)
	for at := range b.dirs {
		if why := b.dirs[at].why; why != "" {
			b.store.LoseDir(at, why, out)
		}
	}
	b.store.Boot(now, out)
}

// bootQuorum has the node replay the metadata log, once the logs are there, and take part in the quorum.
func (b *Broker) bootQuorum(now core.Now, out *core.Out) {
	b.stage = stageQuorum
	t := b.cfg.Quorum
	cfg := quorum.Config{
		Self: b.cfg.NodeID, Voters: slices.Clone(b.cfg.Voters), Directory: b.boot.directoryID, ClusterID: b.boot.clusterID, LogDir: b.cfg.LogDir,
		Log: b.metadataConfig(), SnapshotBytes: b.cfg.SnapshotBytes, SnapshotTime: b.cfg.SnapshotTime, RetentionBytes: b.cfg.MetadataRetentionBytes,
		ElectionTimeout: t.Election, FetchTimeout: t.Fetch, BackoffMax: t.BackoffMax, RequestTimeout: t.Request, RetryBackoff: t.Retry,
		FetchBytes: t.FetchBytes, SnapshotFetchBytes: t.SnapshotFetchBytes, LossTimeout: lossTimeout,
		Key: b.newKey(), Sizes: b.cfg.Internal.Quorum,
	}
	if len(b.cfg.ControllerListeners) > 0 {
		cfg.Listener = b.cfg.ControllerListeners[0]
	}
	cfg.Bootstrap, cfg.AutoJoin = slices.Clone(b.cfg.Bootstrap), b.cfg.AutoJoin && b.cfg.IsController
	cfg.Standalone = b.cfg.alone() && b.cfg.AutoFormat
	if b.cfg.IsController {
		cfg.Endpoints = b.cfg.VoterEndpoints()
	}
	b.peers.init(b.newKey())
	b.ctl = b.newController()
	b.node = quorum.New(cfg)
	b.node.Boot(now, b.store, out)
	b.timers.Set(now.Mono.After(whyNotAfter), timerLost, 0, 0)
}

// whyNotAfter is how long a node waits in silence for the quorum or the controller, and whyNotAgain how long between two
// notes that it still does.
const (
	whyNotAfter = 10 * core.Second
	whyNotAgain = core.Minute
)

// sayWhyNot tells the operator what a node that does not become ready waits for.
func (b *Broker) sayWhyNot(now core.Now, out *core.Out) {
	if b.stage >= stageReady {
		return
	}
	b.timers.Set(now.Mono.After(whyNotAgain), timerLost, 0, 0)
	for _, why := range b.whyNot() {
		b.note(now, core.Warn, "not ready after "+strconv.FormatInt((now.Mono-b.boot.since).Millis()/1000, 10)+" s: "+why, out)
	}
}

// whyNot lists what keeps this node from becoming ready.
func (b *Broker) whyNot() (why []string) {
	why = append(why, stageTexts[b.stage])
	if b.node == nil || b.stage > stageUnfence {
		return why
	}
	leader, epoch := b.node.Leader()
	switch {
	case leader == core.NoNode:
		why = append(why, "no leader of the metadata quorum is known (epoch "+strconv.Itoa(int(epoch))+"): more than half of the voters have to run and to reach each other")
	case leader != b.cfg.NodeID:
		why = append(why, "node "+strconv.Itoa(int(leader))+" leads the metadata quorum in epoch "+strconv.Itoa(int(epoch)))
	}
	for i := range b.peers.pool.Len() {
		if p := b.peers.pool.At(i); !p.Ready() && p.Why() != core.OK && (p.Lane() == laneQuorum || p.Lane() == laneMetadata || p.Lane() == laneLifecycle) {
			text := "cannot connect to the controller at " + p.Addr() + ": " + p.Why().String()
			if !slices.Contains(why, text) {
				why = append(why, text)
			}
		}
	}
	return why
}

// lossTimeout is how long a voter whose connection to the leader was lost waits before it asks whether it may stand for
// election. A leader that only restarts its connections is back by then.
const lossTimeout = 300 * core.Millisecond

// metadataConfig is the configuration of the metadata log. Its old part goes with snapshots, not by retention.
func (b *Broker) metadataConfig() log.Config {
	c := log.DefaultConfig()
	c.SegmentBytes, c.SegmentTime = b.cfg.MetadataSegmentBytes, b.cfg.MetadataSegmentTime
	c.MaxMessageBytes = 8 << 20
	c.RetentionBytes, c.RetentionTime = -1, core.Never
	c.Durability = log.Synced
	return c
}

// bootStep goes on with boot when what it waits for has come.
func (b *Broker) bootStep(now core.Now, out *core.Out) (went bool) {
	switch b.stage {
	case stageLogs:
		if !b.store.Ready() {
			return false
		}
		if at := b.store.Misplaced(); at != "" {
			b.fatal("the metadata log is in "+at+", and metadata.log.dir, or else the first of log.dirs, is "+b.cfg.LogDir+
				": set metadata.log.dir to where it is. Without its log this node would forget what it has voted and acknowledged", out)
			return false
		}
		b.bootQuorum(now, out)
	case stageQuorum:
		if !b.node.Ready() {
			return false
		}
		b.stage = stageRegister
		b.hurry(now)
		b.life.controller.nextAt = now.Mono
		if !b.cfg.IsBroker {
			b.ready(now, out)
		}
	case stageRegister:
		if self := b.img.Broker(b.cfg.NodeID); b.life.epoch < 0 || self == nil || self.Epoch != b.life.epoch {
			return false
		}
		if slices.ContainsFunc(b.abandoned(), func(id log.LogID) bool { return !b.store.Quiet(id) }) {
			return false
		}
		b.hostAll(now, out)
	case stagePartitions:
		if b.parts.opening > 0 {
			return false
		}
		b.stage = stageUnfence
		b.hurry(now)
	case stageUnfence:
		if self := b.img.Broker(b.cfg.NodeID); self == nil || self.Fenced || self.Epoch != b.life.epoch {
			return false
		}
		b.ready(now, out)
	default:
		return false
	}
	return true
}

// hosts reports whether what the image says is carried into what this broker serves: since hostAll, and not in a broker that was asked to
// stop before it had come so far.
func (b *Broker) hosts() bool { return b.parts.taken }

// Hosts is hosts, for whoever judges what this broker has.
func (b *Broker) Hosts() bool { return b.hosts() }

// hostAll takes every partition of the image into service, and sets aside directories that belong to none.
func (b *Broker) hostAll(now core.Now, out *core.Out) {
	b.stage = stagePartitions
	b.chooseTwins(now, out)
	b.passOver(now, out)
	for _, id := range slices.Clone(b.store.IDs()) {
		l := b.store.Log(id)
		tp := l.Partition()
		if tp == quorum.Partition {
			continue
		}
		if b.belongs(l) {
			if x := b.img.Partition(tp.Topic, tp.Partition); !slices.Contains(x.Replicas, b.cfg.NodeID) { // a reassignment took it away meanwhile
				out.Mark("broker.replica-taken-away")
				b.store.Delete(now, id, out)
			}
			continue
		}
		out.Mark("broker.stray-directory")
		b.note(now, core.Warn, "set aside "+tp.Topic+"-"+strconv.Itoa(int(tp.Partition))+": the metadata know no such partition", out)
		b.store.Stray(now, id, out)
	}
	for _, id := range b.abandoned() {
		tp := b.store.Log(id).Partition()
		if _, found := b.store.Find(tp); !found && b.store.Promote(id, out) {
			b.note(now, core.Warn, "the log directory of "+name(tp)+" is gone: what was copied of it to "+b.dirs[b.store.Log(id).Place()].path+" takes its place", out)
		}
	}
	for t := range b.img.Topics() {
		b.host(now, t, out)
	}
	b.parts.taken = true // not before: see placeFor
	b.resumeMoves(now, out)
}

// belongs reports whether a log is that of a partition of the image. A log without a topic id was made by a crash between the
// making of its directory and the writing of its id; it is empty, and gets the id.
func (b *Broker) belongs(l *log.Log) bool {
	t := b.img.Topic(l.Partition().Topic)
	if t == nil || t.Partition(l.Partition().Partition) == nil {
		return false
	}
	return l.TopicID() == t.ID || l.TopicID().IsZero() && l.End() == 0
}

// rolesText names this node in what operators read.
func (b *Broker) rolesText() string {
	switch {
	case !b.cfg.IsBroker:
		return "controller"
	case !b.cfg.IsController:
		return "broker"
	}
	return "node"
}

func (b *Broker) ready(now core.Now, out *core.Out) {
	b.stage = stageReady
	ms := strconv.FormatInt((now.Mono - b.boot.since).Millis(), 10)
	b.note(now, core.Info, "ready: "+b.rolesText()+" "+strconv.Itoa(int(b.cfg.NodeID))+" of cluster "+b.boot.clusterID+", "+
		strconv.Itoa(b.img.TopicCount())+" topics, "+strconv.Itoa(b.img.PartitionCount())+" partitions, after "+ms+" ms", out)
	b.coordinatorsReady(now, out)
	b.txnsReady(now, out)
	for i := range b.conns.slots {
		if b.conns.slots[i].used {
			b.conns.touch(int32(i))
		}
	}
}
