package sim

import "klamm/core"

// FaultSet is which kinds of faults a run may suffer: the sets of the promises that it can be judged by.
type FaultSet uint8

// The fault sets. What each promises about acknowledged records stands beside it.
const (
	SetSync     FaultSet = iota // any network, process, power and clock fault; syncs before answers: nothing lost
	SetErrors                   // these and errors, full and slow disks: nothing lost, a failed write is never acknowledged
	SetCached                   // answers from memory, but no power loss: nothing lost
	SetUnsynced                 // answers from memory and power loss: unsynced ones may be lost
	SetDamage                   // synced bytes are destroyed: never a wrong byte, what is lost is said
	SetLying                    // the disk lies about syncs: no wrong byte, no crash of ours
	SetRepair                   // a cluster in which one broker's disk is bad: nothing lost, all repaired; see repair.go
	SetCount
	SetAll FaultSet = 100 // for toys: as SetErrors, with every kind on
)

var setNames = [SetCount]string{"sync", "errors", "cached", "unsynced", "damage", "lying", "repair"}

func (s FaultSet) String() string {
	if s < SetCount {
		return setNames[s]
	}
	return "all"
}

// Lossy reports whether acknowledged records may be missing in the end.
func (s FaultSet) Lossy() bool { return s == SetUnsynced || s == SetDamage || s == SetLying }

// Replicate reports whether the broker answers from memory.
func (s FaultSet) Replicate() bool { return s == SetCached || s == SetUnsynced }

// mayHappen says which kinds a plan of a set may hold. Kinds that only follow from others are in none.
func (s FaultSet) mayHappen(k FaultKind) bool {
	if k >= HostileTLS {
		return false
	}
	switch k {
	case CrashInRecovery, Restart, StoppedClean, GaveUp:
		return false
	case PowerLoss, CrashTwice:
		return s != SetCached
	case DiskAimed, DiskReadErrors, DiskWriteErrors, DiskSyncErrors, DiskFull, DiskStuck:
		return s == SetErrors || s == SetAll
	case DiskRot, DiskMisRead:
		return s == SetDamage || s == SetRepair
	case DiskMisWrite:
		return s == SetDamage
	case DiskLies:
		return s == SetLying
	}
	return true
}

// drawPlan draws the faults of a run: each kind is in it or not, then how many of it, when and how strong.
func drawPlan(c Chooser, cfg *Config) (plan []Fault) {
	for k := range FaultCount {
		if !cfg.Set.mayHappen(k) {
			continue
		}
		v := c.Choose(sitePlan, uint64(k)<<8, 8)
		count := int(v) - 4 // half of the kinds are absent
		switch k {
		case Kill, PowerLoss, CrashAtEffect, CrashAfterSync, CrashTwice, CrashWhenTold:
			count = max(0, int(v)-5)
		case DiskRot, DiskMisRead, DiskMisWrite, DiskAimed:
			count = max(0, int(v)-5)
		case DiskLies:
			count = 1
		case DiskFull, DiskStuck, DiskSyncErrors, DiskWriteErrors, DiskReadErrors:
			count = min(count, 2)
		}
		for i := range max(count, 0) {
			plan = append(plan, drawFault(c, cfg, k, uint64(k)<<8|uint64(i+1)))
		}
	}
	if cfg.topology.many() {
		plan = append(plan, drawClusterPlan(c, cfg)...)
	}
	if row := cfg.Workload.row(); row.plan != nil {
		plan = append(plan, row.plan(c, cfg)...)
	}
	plan = append(plan, drawDirPlan(c, cfg)...)
	if c.Choose(sitePlan, 0xfffe, 16) != 0 && !hasCrash(plan) { // nearly every run has a crash
		kinds := []FaultKind{Kill, PowerLoss, CrashAtEffect, CrashAfterSync, CrashLoop}
		k := kinds[c.Choose(sitePlan, 0xfffd, uint64(len(kinds)))]
		if !cfg.Set.mayHappen(k) {
			k = Kill
		}
		plan = append(plan, drawFault(c, cfg, k, uint64(k)<<8|100))
	}
	return plan
}

func hasCrash(plan []Fault) bool {
	for _, f := range plan {
		switch f.Kind {
		case Kill, PowerLoss, CrashAtEffect, CrashAfterSync, CrashLoop, CrashTwice, CrashWhenTold:
			return true
		}
	}
	return false
}

// logUniform draws from 1 to about 2^top, each power of two as likely as any other.
func logUniform(c Chooser, entity, top uint64) int64 {
	k := c.Choose(sitePlan, entity, top)
	return int64(1)<<k + int64(c.Choose(sitePlan, entity, 1<<k))
}

func drawFault(c Chooser, cfg *Config, k FaultKind, entity uint64) Fault {
	draw := func(n uint64) int64 { return int64(c.Choose(sitePlan, entity, n)) }
	ms, servers := uint64(cfg.Chaos.Millis()), cfg.topology.nodes()
	f := Fault{Kind: k, At: 200*core.Millisecond + core.Time(draw(max(ms, 300)-200))*core.Millisecond + core.Time(draw(1000))*core.Microsecond}
	f.For = core.Time(50+logUniform(c, entity, 11)) * core.Millisecond
	switch k {
	case KillClient:
		f.Node, f.Q = servers+int(draw(uint64(cfg.Clients))), draw(2)
	case CrashAtEffect:
		f.P, f.Q = draw(60), draw(2)
	case CrashAfterSync:
		f.P, f.Q = 1+draw(12), draw(2)
	case CrashLoop:
		f.P, f.Q = logUniform(c, entity, 10), draw(2)|draw(400)<<1
	case CrashTwice:
		f.P, f.Q = draw(40), draw(300)<<1
	case CrashWhenTold:
		f.P, f.Q = draw(toldKinds), draw(4)|1
		if draw(4) == 0 {
			f.Q = 0
		}
	case PauseProcess:
		if draw(4) == 3 {
			f.Node = servers + int(draw(uint64(cfg.Clients)))
		}
	case ClockForward, ClockBackward:
		f.P = logUniform(c, entity, 22)
	case ClockDrift:
		f.P = draw(1000) - 500
	case CutBoth, CutIn, CutOut:
		f.P = draw(uint64(cfg.Clients + servers))
	case NetResets:
		f.P, f.Q = logUniform(c, entity, 12), 65536*draw(4)/4
	case NetRefuse, NetBlackHole:
		f.P = 6000 * (1 + draw(8))
	case NetSlow:
		f.P, f.Q = logUniform(c, entity, 14), 50*draw(8)
	case NetSplit, NetSlowReaders:
		f.P = 4000 * (1 + draw(12))
	case DiskSlow:
		f.P = logUniform(c, entity, 12)
	case DiskStuck:
		if f.P, f.Q = 20+logUniform(c, entity, 9), draw(2); f.Q == 1 { // it stops meanwhile: its last writes are stuck
			f.P = 30000
		}
	case DiskReadErrors:
		f.P = 50 + logUniform(c, entity, 12)
	case DiskWriteErrors:
		f.P = 10 + logUniform(c, entity, 11)
	case DiskSyncErrors:
		f.P, f.Q = 10+logUniform(c, entity, 12), logUniform(c, entity, 12)
	case DiskFull:
		f.P = 1 + draw(uint64(cfg.FullBytes+1))
	case DiskRot:
		f.P = draw(16)
	case DiskMisWrite:
		f.P = 500 + logUniform(c, entity, 11)
	case DiskMisRead: // most reads are those of a start, which are few
		f.P, f.For = 2000*(1+draw(8)), f.For+2*core.Second
	case DiskAimed:
		f.P, f.Q, f.For = 6000*(1+draw(10)), max(0, draw(uint64(len(aims))+2)-2), f.For+core.Second
	case DiskLies:
		f.At, f.For = 0, cfg.Chaos
	}
	if !cfg.Set.mayHappen(PowerLoss) {
		switch k {
		case CrashAtEffect, CrashAfterSync, CrashLoop, CrashWhenTold:
			f.Q &^= 1
		}
	}
	if servers > 1 && f.Node == 0 {
		f.Node = int(draw(uint64(servers)))
	}
	if cfg.Set == SetRepair && (k == DiskRot || k == DiskMisRead) {
		f.Node, f.Q = cfg.topology.victim, 1 // of a voter that forgets others do not know what it had
	}
	return f
}
