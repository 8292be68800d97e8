package sim

import (
	"math/bits"

	"klamm/core"
	"klamm/disksim"
)

// netEnv and diskEnv are the World as the network and the disks see it.
type netEnv World

func (e *netEnv) Choose(site uint8, entity, n uint64) uint64 {
	return (*World)(e).draw(site, entity, n)
}
func (e *netEnv) Wake(at core.Time, token uint64) { (*World)(e).push(at, itemNet, 0, token) }
func (e *netEnv) Deliver(node int, ev core.Event) { (*World)(e).deliver(node, ev) }
func (e *netEnv) Buffer(n int) []byte             { return e.memory.pool.get(n) }
func (e *netEnv) Recycle(b []byte)                { e.memory.pool.put(b) }
func (e *netEnv) Sum(b []byte) uint64             { return sum(b) }
func (e *netEnv) Broken(node int, what string) {
	(*World)(e).Fail("contract", e.Nodes[node].Name+": "+what)
}
func (e *netEnv) ReadRange(node int, f core.FileID, off int64, dst []byte) bool {
	return e.Nodes[node].Disk.ReadRange(f, off, dst)
}

// Accepting says whether a node's listener is open. Like the host, it opens when the machine says that it is
// ready; a connection that comes earlier is let in now and then, because a machine must bear that too.
func (e *netEnv) Accepting(node int, port string) (listener string, ok bool) {
	n := e.Nodes[node]
	switch {
	case n.State == Down || !n.Broker:
		return "", false
	case n.Control != "" && port == n.Control: // a controller is there for the others before and after its broker is
		return "CONTROLLER", true
	case n.stopping:
		return "", false
	}
	if !n.ready {
		ready, says := n.serves(e.now)
		if n.ready = ready; says && !ready && (*World)(e).draw(siteReady, uint64(node), 4) != 3 {
			return "", false
		}
	}
	if n.ready && n.crashReady >= 0 {
		(*World)(e).misfortune(Fault{At: e.now + n.crashReady, Kind: PowerLoss, Node: node})
		n.crashReady = -1
	}
	return "PLAINTEXT", true
}

// serves reports whether a machine says that it is ready, and whether it says anything of the kind.
func (n *Node) serves(now core.Time) (ready, says bool) {
	switch m := n.Machine.(type) {
	case interface{ Ready() bool }: // the same as below, for less
		return m.Ready(), true
	case core.Reporter:
		return m.Report(n.clock(now)).Ready, true
	}
	return false, false
}

type diskEnv World

func (e *diskEnv) Choose(site uint8, entity, n uint64) uint64 {
	return (*World)(e).draw(site, entity, n)
}
func (e *diskEnv) Wake(disk int, at core.Time, token uint64) {
	(*World)(e).push(at, itemDisk, disk, token)
}
func (e *diskEnv) Deliver(disk int, ev core.Event) { (*World)(e).deliver(disk, ev) }
func (e *diskEnv) Buffer(n int) []byte             { return e.memory.pool.get(n) }
func (e *diskEnv) Recycle(b []byte)                { e.memory.pool.put(b) }
func (e *diskEnv) Sum(b []byte) uint64             { return sum(b) }
func (e *diskEnv) Broken(disk int, what string) {
	(*World)(e).Fail("contract", e.Nodes[disk].Name+": "+what)
}
func (e *diskEnv) Work(disk int, kind core.WorkKind, args, b []byte) []byte {
	return e.Nodes[disk].Pure.Work(kind, args, b)
}

func (e *diskEnv) Synced(disk int) {
	n := e.Nodes[disk]
	if n.crashSyncs > 0 {
		if n.crashSyncs--; n.crashSyncs == 0 {
			n.crashSyncs, n.crashDue = -1, true
		}
	}
}

// draw passes a choice on and hashes it.
func (w *World) draw(site uint8, entity, n uint64) uint64 {
	v := w.Choices.Choose(site, entity, n)
	w.Hash.A += v ^ uint64(site)
	return v
}

// Memory is what runs after each other may share: buffers and pages, whose content no run may depend on.
type Memory struct {
	pool  pool
	pages disksim.Pages
	file  []byte // a file that a judge looks at
}

func (w *World) deliver(node int, ev core.Event) {
	n := w.Nodes[node]
	if n.State == Down {
		w.memory.pool.put(ev.Data)
		return
	}
	if w.Debug && cap(ev.Data) > 0 {
		n.lent[&ev.Data[:1][0]] = true
	}
	w.queue = append(w.queue, delivery{node: int16(node), life: n.Life, ev: ev})
}

// pool keeps buffers by powers of two. What comes back is poisoned, so that whoever still looks at it sees it.
type pool struct {
	classes [classMax + 1][][]byte
	bad     []byte // poison to copy from
}

const (
	classMin = 6
	classMax = 20
	poison   = 0xDB
)

func classOf(n int) int { return max(bits.Len(uint(max(n, 1)-1)), classMin) }

func (p *pool) get(n int) []byte {
	c := classOf(n)
	if c > classMax {
		return make([]byte, n)
	}
	if l := p.classes[c]; len(l) > 0 {
		b := l[len(l)-1]
		p.classes[c] = l[:len(l)-1]
		return b[:n]
	}
	return make([]byte, n, 1<<c)
}

// put takes a buffer back if it has the size of a class: what did not come from here is left to the collector.
func (p *pool) put(b []byte) {
	c := classOf(cap(b))
	if c > classMax || cap(b) != 1<<c {
		return
	}
	if p.bad == nil {
		p.bad = make([]byte, 1<<classMax)
		for i := range p.bad {
			p.bad[i] = poison
		}
	}
	b = b[:cap(b)]
	copy(b, p.bad)
	p.classes[c] = append(p.classes[c], b)
}

// release carries out a Release.
func (w *World) release(n *Node, b []byte) {
	if w.Debug {
		key := &b[:1][0]
		if !n.lent[key] {
			w.Fail("contract", n.Name+" releases a buffer that is not its own, or not whole, or twice")
			return
		}
		delete(n.lent, key)
	}
	w.memory.pool.put(b)
}
