package sim

import (
	"slices"

	"klamm/core"
	"klamm/disksim"
)

// This file is about the faults that only a cluster of several nodes can suffer.

// canCome reports whether runs of so many nodes, from and to, can suffer a kind: some need a cluster, disks are wiped where
// there are brokers that are no voters; a disk that loses what it called durable cannot be told from one that never had it.
func (k FaultKind) canCome(nodes [2]int) bool {
	switch k {
	case DiskMisWrite, DiskLies:
		return nodes[0] < 2
	case WipeDisk:
		return nodes[1] > 3
	case WipeVoter, AdminReplaceVoter, AdminThrottle: // a quorum of two can do without none
		return nodes[1] > 2
	case DirFails, AdminMoveDir:
		return true
	}
	return k < IsolateBoth || nodes[1] > 2
}

// damages names what only runs of one node suffer, likewise.
func damages(c disksim.Counter) bool {
	switch c {
	case disksim.SyncLied, disksim.MisdirectedWrite:
		return true
	}
	return false
}

// planned reports whether a plan may hold a kind of this file: the others count what was done to the cluster by its admin.
func (k FaultKind) planned() bool { return k >= IsolateBoth && k < AdminElect }

// drawClusterPlan draws the faults of a cluster.
func drawClusterPlan(c Chooser, cfg *Config) (plan []Fault) {
	for k := IsolateBoth; k < AdminElect; k++ {
		if k == PowerAll && !cfg.Set.mayHappen(PowerLoss) || k == WipeDisk && !(cfg.topology.wipes && slices.Contains(cfg.topology.roles, brokerOnly)) || k == WipeVoter && !cfg.topology.losesVoters {
			continue
		}
		count := int(c.Choose(sitePlan, uint64(k)<<8, 8)) - 5
		if k == CutControl {
			count += 2
		}
		if k == WipeDisk || k == WipeVoter {
			count += 2
		}
		if k == PowerAll || k == KillAll || k == RollingRestart {
			count = min(count, 1)
		}
		for i := range max(count, 0) {
			plan = append(plan, drawClusterFault(c, cfg, k, uint64(k)<<8|uint64(i+1)))
		}
	}
	return plan
}

func drawClusterFault(c Chooser, cfg *Config, k FaultKind, entity uint64) Fault {
	draw := func(n uint64) int64 { return int64(c.Choose(sitePlan, entity, n)) }
	n := cfg.topology.nodes()
	ms := uint64(cfg.Chaos.Millis())
	f := Fault{Kind: k, At: 500*core.Millisecond + core.Time(draw(max(ms, 700)-500))*core.Millisecond + core.Time(draw(1000))*core.Microsecond}
	f.Node = int(draw(uint64(n)))
	f.For = core.Time(50+logUniform(c, entity, 12)) * core.Millisecond
	switch k {
	case IsolateBoth, IsolateIn, IsolateOut:
		f.Q = draw(2) // whether clients still reach it
		f.P = draw(4) // whom it befalls, rather than the drawn node
	case CutControl:
		f.P, f.Q = draw(4), draw(3)
		if f.For = core.Time(5+logUniform(c, entity, 12)) * core.Millisecond; draw(2) == 1 {
			f.For += core.Second
		}
	case CutHalves, CutRandom:
		f.P = draw(1 << 20)
	case PauseLong:
		f.For = 1500*core.Millisecond + core.Time(draw(4000))*core.Millisecond
	case KillLeader:
		f.P, f.Q = draw(64), draw(2)
	case KillController:
		f.Q = draw(2)
	case KillSeveral:
		f.P, f.Q = 1+draw(1<<n-1), draw(2)
	case WipeDisk:
		for cfg.topology.roles[f.Node] != brokerOnly { // there is one
			f.Node = (f.Node + 1) % n
		}
	case WipeVoter:
		for cfg.topology.roles[f.Node] == brokerOnly { // there are two
			f.Node = (f.Node + 1) % n
		}
	case RollingRestart:
		f.P = 200 + draw(2000)
	}
	if !cfg.Set.mayHappen(PowerLoss) && k >= KillLeader && k <= KillSeveral {
		f.Q &^= 1
	}
	return f
}

// servers is how many nodes of the world are servers: the first ones.
func (w *World) servers() (n int) {
	for n < len(w.Nodes) && w.Nodes[n].Broker {
		n++
	}
	return n
}

// clusterFault is the first instant of a fault of a cluster.
func (w *World) clusterFault(f *Fault) {
	n := w.servers()
	power := f.Q&1 == 1
	w.aim(f)
	switch f.Kind {
	case KillLeader, KillController:
		at := -1
		if w.OnFind != nil {
			at = w.OnFind(f.Kind, f.P)
		}
		if at < 0 || w.Nodes[at].State == Down {
			return
		}
		w.Counts[f.Kind]++
		w.Crash(at, power)
	case KillSeveral, KillAll, PowerAll:
		w.Counts[f.Kind]++
		for i := range n {
			if f.Kind != KillSeveral || f.P>>i&1 == 1 {
				w.Crash(i, power || f.Kind == PowerAll)
			}
		}
	case RollingRestart:
		w.Counts[f.Kind]++
		for i := range n {
			w.misfortune(Fault{At: w.now + core.Time(i)*core.Time(f.P)*core.Millisecond, Kind: StopProcess, Node: (f.Node + i) % n})
		}
	case WipeDisk, WipeVoter:
		if w.OnWipe != nil && w.Nodes[f.Node].State != Down && w.OnWipe(f.Node, false) {
			w.Counts[f.Kind]++
			w.fall(f.Node, false)
			w.Nodes[f.Node].Disk.Wipe()
			w.OnWipe(f.Node, true)
			w.restart(f.Node)
		}
	case PauseLong:
		w.Counts[f.Kind]++
		w.pause(f.Node, f.For)
	case CutControl: // what it asks the controllers for, what they say to it, or both are held back
		w.Counts[f.Kind]++
		for i := range n {
			if port := w.Nodes[i].Control; i != f.Node && port != "" {
				if f.Q != 1 {
					w.Net.CutPort(i, f.Node, port, w.now+f.For)
				}
				if f.Q != 2 {
					w.Net.CutPort(f.Node, i, port, w.now+f.For)
				}
			}
		}
	default:
		w.Counts[f.Kind]++
		w.partition(f, n)
	}
}

// aim lets a cut befall the active controller, or the leader of a partition, instead of the node that was drawn.
func (w *World) aim(f *Fault) {
	kind := KillLeader
	switch f.Kind {
	case IsolateBoth, IsolateIn, IsolateOut, CutControl:
	default:
		return
	}
	switch f.P {
	case 0:
		return
	case 1:
		kind = KillController
	}
	if w.OnFind != nil {
		if at := w.OnFind(kind, int64(f.At/core.Microsecond)); at >= 0 {
			f.Node = at
		}
	}
}

// partition cuts the links between nodes.
func (w *World) partition(f *Fault, n int) {
	until := w.now + f.For
	cut := func(a, b int) { w.Net.Cut(a, b, until) }
	switch f.Kind {
	case IsolateBoth, IsolateIn, IsolateOut:
		most := n
		if f.Q == 1 {
			most = len(w.Nodes)
		}
		for i := range most {
			if i == f.Node {
				continue
			}
			if f.Kind != IsolateOut {
				cut(i, f.Node)
			}
			if f.Kind != IsolateIn {
				cut(f.Node, i)
			}
		}
	case CutHalves, CutBridge: // the bridge, if there is one, belongs to both halves
		for i := range n {
			for j := range n {
				if f.Kind == CutBridge && (i == f.Node || j == f.Node) {
					continue
				}
				if w.half(f, i, n) != w.half(f, j, n) {
					cut(i, j)
				}
			}
		}
	case CutRandom:
		for i := range n {
			for j := range n {
				if i != j && mix(uint64(f.P), uint64(i*n+j))&1 == 1 {
					cut(i, j)
				}
			}
		}
	}
}

// half says in which half a node is.
func (w *World) half(f *Fault, i, n int) int {
	if f.Kind == CutBridge {
		return (i + n - f.Node) % n / ((n + 1) / 2)
	}
	return int(f.P>>i) & 1
}

// find is the node that leads a partition, drawn by p, or that is the active controller; -1 if there is none.
func (r *run) find(k FaultKind, p int64) int {
	c := r.cluster
	if c == nil {
		return -1
	}
	if k == KillController {
		for i := range c.nodes {
			if m, ok := r.w.Nodes[i].Machine.(member); ok && m.Quorum() != nil && m.Quorum().Leads() {
				return i
			}
		}
		return -1
	}
	if c.newest == nil {
		return -1
	}
	var leaders []int
	for t := range c.newest.Topics() {
		for _, x := range t.Partitions {
			if x.Leader > 0 && int(x.Leader) <= len(c.nodes) {
				leaders = append(leaders, int(x.Leader)-1)
			}
		}
	}
	if len(leaders) == 0 {
		return -1
	}
	return leaders[p%int64(len(leaders))]
}
