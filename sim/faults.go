package sim

import (
	"klamm/core"
	"klamm/disksim"
	"klamm/netsim"
)

// FaultKind is one kind of misfortune of the plan. The network's and the disks' own counters say what each led to.
type FaultKind uint8

// The kinds. The first group befalls processes, the second clocks, the third the network, the fourth disks.
const (
	Kill FaultKind = iota
	PowerLoss
	CrashAtEffect
	CrashAfterSync
	CrashInRecovery
	CrashLoop
	CrashTwice
	CrashWhenTold
	Restart
	StopProcess
	StoppedClean
	GaveUp
	PauseProcess
	KillClient
	ClockForward
	ClockBackward
	ClockDrift
	CutBoth
	CutIn
	CutOut
	NetResets
	NetRefuse
	NetBlackHole
	NetSlow
	NetSplit
	NetSlowReaders
	DiskSlow
	DiskStuck
	DiskReadErrors
	DiskWriteErrors
	DiskSyncErrors
	DiskFull
	DiskRot
	DiskMisWrite
	DiskMisRead
	DiskLies
	DiskAimed
	HostileTLS // these are no faults of the plan: a hostile client counts them
	HostileHTTP
	HostileBomb
	HostileNegative
	HostileHalf
	HostileSlow
	HostileGarbage
	HostileCount
	HostileStorm
	IsolateBoth // these need a cluster: one broker from all others,
	IsolateIn
	IsolateOut
	CutHalves // two halves from each other,
	CutBridge // but for one node that is in both,
	CutRandom // links at random
	PauseLong // longer than a session
	KillLeader
	KillController
	KillSeveral
	KillAll
	PowerAll
	RollingRestart
	WipeDisk
	WipeVoter  // of a controller that votes
	CutControl // one node from the controllers' listeners: it serves and copies, and its metadata grow old
	AdminElect // these are counted by the admin, when they were granted
	AdminReassign
	AdminCancel
	AdminMinISR
	AdminVotersEnter
	AdminVotersChange // that a leader has begun, whoever asked
	AdminAddVoter
	AdminRemoveVoter
	AdminRemoveLeader
	AdminReplaceVoter
	AdminFlip // a partition's leader changed to and fro by elections alone
	DirFails  // nothing works any more in one log directory: see dirs.go
	AdminMoveDir
	AdminThrottle
	FaultCount
)

var faultNames = [FaultCount]string{
	"process.kill", "process.power-loss", "process.crash-at-effect", "process.crash-after-sync", "process.crash-in-recovery",
	"process.crash-loop", "process.kill-then-power-loss", "process.crash-when-told", "process.restart", "process.stop", "process.stopped-clean", "process.gave-up", "process.pause",
	"process.kill-client", "clock.forward", "clock.backward", "clock.drift", "net.cut-both-ways", "net.cut-in", "net.cut-out",
	"net.resets", "net.refuses", "net.black-holes", "net.slow", "net.splits", "net.slow-readers", "disk.slow-spell",
	"disk.stuck-spell", "disk.read-errors", "disk.write-errors", "disk.sync-errors", "disk.full-spell", "disk.rot",
	"disk.misdirected-writes", "disk.misdirected-reads", "disk.lies", "disk.aimed-errors", "client.speaks-tls", "client.speaks-http",
	"client.frame-bomb", "client.negative-length", "client.half-frame", "client.slow-frame", "client.garbage-frame",
	"client.absurd-count", "client.connection-storm",
	"cluster.isolate-both-ways", "cluster.isolate-in", "cluster.isolate-out", "cluster.cut-halves", "cluster.cut-bridge", "cluster.cut-random",
	"cluster.pause-long", "cluster.kill-leader", "cluster.kill-controller", "cluster.kill-several", "cluster.kill-all", "cluster.power-loss-of-all",
	"cluster.rolling-restart", "cluster.wipe-disk", "cluster.wipe-voter", "cluster.cut-control", "admin.elect-leaders", "admin.reassign", "admin.cancel-reassignment", "admin.min-insync",
	"admin.voters-enter-log", "admin.voters-change", "admin.add-voter", "admin.remove-voter", "admin.remove-leader-from-voters", "admin.replace-voter", "admin.flip-leader", "disk.directory-fails",
	"admin.move-between-directories", "admin.throttle",
}

func (k FaultKind) String() string { return faultNames[k] }

// Fault is one entry of a plan, drawn before the run, so that it can be edited.
type Fault struct {
	At   core.Time
	Kind FaultKind
	Node int
	For  core.Time // how long, where that makes sense
	P    int64     // how strong, or the how-manieth
	Q    int64
}

// SetPlan gives a world its plan.
func (w *World) SetPlan(plan []Fault) {
	w.plan = plan
	for i := range plan {
		w.push(plan[i].At, itemFault, plan[i].Node, uint64(i))
	}
}

// misfortune adds a fault that follows from another one.
func (w *World) misfortune(f Fault) {
	w.plan = append(w.plan, f)
	w.push(f.At, itemFault, f.Node, uint64(len(w.plan)-1))
}

// What a client may have been told just before a crash that waits for it.
const (
	toldRecord     = iota // that a record is stored
	toldAssignment        // which partitions it has
	toldKinds
)

// told lets a crash that waits for news come at once: what was told must outlive it.
func (w *World) told(kind int) {
	if how := w.armed[kind]; how != 0 && !w.calm {
		w.armed[kind] = 0
		w.Counts[CrashWhenTold]++
		f := Fault{At: w.now, Kind: Kill}
		if how == 2 {
			f.Kind = PowerLoss
		}
		w.misfortune(f)
	}
}

// aims are the files that errors are aimed at: what is read or written so seldom that errors strewn over all seldom hit it.
var aims = [...]struct {
	part, suffix      string
	read, work, write int64
	kill              bool // it is read when the process starts
}{
	{"/__consumer_offsets-", ".log", 1, 0, 0, true}, // what a coordinator loads, not what the log looks at before
	{".checkpoint", "", 0, 0, 1, false},
	{".timeindex", "", 1, 1, 0, false},
	{".snapshot", "", 1, 0, 1, true},
	{"leader-epoch-checkpoint", "", 1, 0, 1, true},
}

// begin is a fault's first instant.
func (w *World) begin(i int) {
	f := &w.plan[i]
	if w.calm {
		return
	}
	n := w.Nodes[f.Node]
	w.tracef("fault %s node=%d for=%dms p=%d", f.Kind, f.Node, f.For.Millis(), f.P)
	power := f.Q&1 == 1
	w.Rec.row(RowFault, f.Node, int64(i), 0, "")
	if f.Kind.planned() {
		w.clusterFault(f)
		w.Rec.cuts()
		return
	}
	if w.crashFault(n, f) {
		return
	}
	switch f.Kind {
	case StopProcess:
		w.Counts[StopProcess]++
		w.Stop(f.Node)
		return
	case PauseProcess:
		w.pause(f.Node, f.For)
		return
	case ClockForward, ClockBackward, ClockDrift:
		w.clockFault(n, f)
		return
	case DiskRot:
		w.rot(n, f)
		return
	case CutBoth, CutIn, CutOut:
		w.Counts[f.Kind]++
		for other := range w.Nodes {
			if other == f.Node || f.P > 0 && int64(other) != f.P {
				continue
			}
			if f.Kind != CutOut {
				w.Net.Cut(other, f.Node, w.now+f.For)
			}
			if f.Kind != CutIn {
				w.Net.Cut(f.Node, other, w.now+f.For)
			}
		}
		w.Rec.cuts()
		return
	}
	w.Counts[f.Kind]++
	if f.Kind == DiskAimed && aims[f.Q].kill {
		n.restartIn = 30 * core.Millisecond
		w.Crash(f.Node, false)
	}
	if f.Kind == DiskStuck && power {
		w.misfortune(Fault{At: w.now + f.For/8, Kind: StopProcess, Node: f.Node})
	}
	w.active = append(w.active, i)
	w.weather()
	w.push(w.now+f.For, itemEnd, f.Node, uint64(i))
}

// crashFault ends a process, now or when something comes; false if the fault is of another kind.
func (w *World) crashFault(n *Node, f *Fault) bool {
	power := f.Q&1 == 1
	switch f.Kind {
	case Kill, PowerLoss:
		w.Crash(f.Node, f.Kind == PowerLoss)
	case KillClient:
		w.Counts[KillClient]++
		w.Crash(f.Node, power)
	case CrashAtEffect:
		n.crashIn, n.crashPower = int(f.P), power
	case CrashAfterSync:
		n.crashSyncs, n.crashPower = int(f.P), power
	case CrashInRecovery, CrashLoop:
		n.crashNext, n.crashPower, n.restartIn = int(f.P), power, core.Time(f.Q>>1)*core.Millisecond
		w.Counts[CrashLoop]++
		w.Crash(f.Node, power && f.P&1 == 0) // what a killed process left in memory may be lost while the next one recovers
	case CrashTwice: // what a killed process left in the page cache is gone just after the next one has called it safe
		n.crashReady, n.restartIn = core.Time(f.P)*core.Millisecond, core.Time(f.Q>>1)*core.Millisecond
		w.Counts[CrashTwice]++
		w.Crash(f.Node, false)
	case CrashWhenTold:
		w.armed[f.P] = 1 + uint8(f.Q&1)
	default:
		return false
	}
	return true
}

// rot flips a bit of a file of some kind.
func (w *World) rot(n *Node, f *Fault) {
	if w.OnRot != nil {
		if w.OnRot(f) {
			w.Counts[DiskRot]++
		}
		return
	}
	where, part := "/t", ".log"
	switch {
	case f.P >= 8 && f.P < 14:
	case f.P == 6 || f.P >= 14:
		where, part = "/__cluster_metadata", ".checkpoint"
	case f.P == 7:
		where = "/__consumer_offsets"
	case f.P%3 == 1:
		part = ".index"
	case f.P%3 == 2:
		part = ".timeindex"
	}
	if n.Disk.Rot(where, part) {
		w.Counts[DiskRot]++
	}
}

// end is a fault's last instant.
func (w *World) end(i int) {
	for k, a := range w.active {
		if a == i {
			w.active = append(w.active[:k], w.active[k+1:]...)
			w.weather()
			w.Rec.row(RowFaultEnd, w.plan[i].Node, int64(i), 0, "")
			return
		}
	}
}

func (w *World) clockFault(n *Node, f *Fault) {
	w.Counts[f.Kind]++
	switch f.Kind {
	case ClockForward:
		n.jumped += core.Time(f.P) * core.Millisecond
		n.wall += core.Time(f.P) * core.Millisecond
	case ClockBackward:
		n.jumped -= core.Time(f.P) * core.Millisecond
		n.wall -= core.Time(f.P) * core.Millisecond
	case ClockDrift:
		n.setDrift(w.now, f.P)
		if n.State == Up {
			n.wakeAt = core.Never
			w.schedule(f.Node, n)
		}
	}
	w.Rec.lookNow(f.Node)
}

// weather makes the network's and the disks' weather from the base and the faults in force.
func (w *World) weather() {
	net := w.base.net
	disks := make([]disksim.Weather, len(w.Nodes))
	for i := range disks {
		disks[i] = w.base.disk
	}
	for _, i := range w.active {
		f := &w.plan[i]
		applyFault(f, &net, &disks[f.Node])
	}
	w.Net.Weather = net
	for i, n := range w.Nodes {
		if n.Disk != nil {
			n.Disk.Weather = disks[i]
		}
	}
}

func applyFault(f *Fault, net *netsim.Weather, disk *disksim.Weather) {
	switch f.Kind {
	case NetResets:
		net.Reset += f.P
		net.HalfOpen = f.Q
	case NetRefuse:
		net.Refuse += f.P
	case NetBlackHole:
		net.BlackHole += f.P
	case NetSlow:
		net.Latency += core.Time(f.P) * core.Microsecond
		net.Jitter += core.Time(f.P) * core.Microsecond
		net.Tail += f.Q
		net.Stall += f.Q
		net.BytesPerSecond = 1 << 20
	case NetSplit:
		net.Split += f.P
	case NetSlowReaders:
		net.SlowReader += f.P
	case DiskSlow:
		disk.Slow += f.P
	case DiskStuck:
		disk.Stuck += f.P
	case DiskReadErrors:
		disk.ReadErr += f.P
	case DiskWriteErrors:
		disk.WriteErr += f.P
	case DiskSyncErrors:
		disk.SyncErr += f.P
		disk.DirSyncErr += f.Q
	case DiskFull:
		disk.FullAt = f.P
	case DiskMisWrite:
		disk.MisWrite += f.P
	case DiskMisRead:
		disk.MisRead += f.P
		if f.Q == 1 {
			disk.OddNot = "/__cluster_metadata"
		}
	case DiskLies:
		disk.Lying = true
	case DirFails:
		disk.Broken = dataDirs[f.P]
	case DiskAimed:
		a := aims[f.Q]
		disk.Aim, disk.AimSuffix, disk.AimRead, disk.AimWork, disk.AimWrite, disk.AimSync = a.part, a.suffix, a.read*f.P, a.work*f.P, a.write*f.P, a.write*f.P/2
	}
}

// Heal ends all faults; the plan's later ones do not come.
func (w *World) Heal() {
	w.calm, w.armed = true, [toldKinds]uint8{}
	w.active = w.active[:0]
	w.weather()
	w.Net.Heal()
	for i, n := range w.Nodes {
		n.crashIn, n.crashSyncs, n.crashNext, n.crashDue, n.crashReady = -1, -1, -1, false, -1
		n.wall, n.jumped = n.wall-n.jumped, 0 // clocks are put right: a broker may refuse records from its far future
		if n.State == Paused {
			w.resume(i)
		}
		w.Rec.lookNow(i)
	}
}
