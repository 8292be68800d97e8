package sim

import (
	"fmt"
	"slices"
	"strings"

	"klamm/core"
)

// ledger admits a loss of unsynced bytes only as far as the promise covers it. A record that was acknowledged from
// memory is in at least min.insync.replicas copies, so as long as fewer nodes than that have crashed and are not back in
// every in-sync set, one that holds it can be chosen. A controller cannot tell a process that was killed from a machine
// that lost its power (KIP-966 calls both an unclean shutdown), so once somebody has lost anything, both count. A node
// that is back gives its part of the budget back.
type ledger struct {
	open     []loss
	admitted int
	refused  int
}

type loss struct {
	node        int
	lossy       bool
	wiped       bool
	incarnation core.TopicID // the registration that the crash befell
	at          core.Time
}

// verdict is what a ledger says of a crash.
type verdict uint8

const (
	noCrash verdict = iota
	keepsCache
	losesPower
)

// admit decides how a node may crash, and books it.
func (r *run) admit(node int, power bool) verdict {
	how := keepsCache
	if power {
		how = losesPower
	}
	if r.cfg.topology.wipes && r.last(node) {
		r.ledger.refused++
		return noCrash
	}
	if !r.cfg.topology.ledger || !r.cfg.Set.Replicate() {
		return how
	}
	for ; how > noCrash; how-- {
		if r.book(node, how == losesPower) {
			return how
		}
		r.ledger.refused++
	}
	return noCrash
}

// mayWipe decides whether a node may lose its disk. A voter may where the log names the voters: it comes back as another one.
func (r *run) mayWipe(node int, done bool) bool {
	if !done {
		r.voters.wiped = voterKey{nodeID(node), r.directory(node)}
		voter := r.cfg.topology.roles[node] != brokerOnly
		if voter && !r.mayLoseVoter(node) {
			return false
		}
		return r.cfg.topology.roles[node] == controllerOnly || r.spared(node) && r.book(node, true) // which has no records to lose
	}
	for _, dir := range r.cfg.topology.dirs(node) {
		r.w.Nodes[node].Disk.Format(dir[1:])
	}
	for i := range r.ledger.open {
		if x := &r.ledger.open[i]; x.node == node {
			x.wiped = true
		}
	}
	for _, c := range r.cluster.copies {
		c.Wiped(nodeID(node))
	}
	r.watch[node] = watch{}
	r.cluster.ballots.Forgotten(nodeID(node))
	r.cluster.voting.views[node] = voteView{}
	r.cluster.voting.lost = append(r.cluster.voting.lost, r.voters.wiped)
	return true
}

// spared reports whether no partition needs a node's disk: each has another member in sync, whose life is the one that the metadata
// know. Of a member that has crashed since, the controller will not believe that it still has everything, though its disk has.
func (r *run) spared(node int) bool {
	img := r.cluster.newest
	if img == nil {
		return false
	}
	lives := func(id core.NodeID) bool {
		b, at := img.Broker(id), int(id)-1
		m, up := r.w.Nodes[at].Machine.(member)
		return at != node && up && r.w.Nodes[at].State == Up && b != nil && !b.Fenced && b.Incarnation == m.Incarnation()
	}
	for t := range img.Topics() {
		for _, p := range t.Partitions {
			if slices.Contains(p.Replicas, core.NodeID(nodeID(node))) && !slices.ContainsFunc(p.ISR, lives) {
				return false
			}
		}
	}
	return true
}

// last reports whether a node is the only one that may lead some partition, while a disk that was lost has not been restored. A controller
// cannot tell a process that was killed from one that has lost what it had last: after its crash nobody would be left.
func (r *run) last(node int) bool {
	l, img := &r.ledger, r.cluster.newest
	wiped := func(id core.NodeID) bool {
		return slices.ContainsFunc(l.open, func(x loss) bool { return x.wiped && core.NodeID(nodeID(x.node)) == id && !r.restored(&x) })
	}
	if img == nil || !slices.ContainsFunc(l.open, func(x loss) bool { return x.wiped && !r.restored(&x) }) {
		return false
	}
	self := core.NodeID(nodeID(node))
	other := func(id core.NodeID) bool { return id != self && !wiped(id) }
	for t := range img.Topics() {
		for _, p := range t.Partitions {
			if among := slices.Contains(p.ISR, self) || slices.Contains(p.ELR, self); among && !slices.ContainsFunc(p.ISR, other) && !slices.ContainsFunc(p.ELR, other) {
				return true
			}
		}
	}
	return false
}

// book enters a crash into the ledger, if there is room for it.
func (r *run) book(node int, lossy bool) bool {
	l := &r.ledger
	l.open = slices.DeleteFunc(l.open, func(x loss) bool { return x.node != node && r.restored(&x) })
	i := slices.IndexFunc(l.open, func(x loss) bool { return x.node == node })
	crashed := len(l.open)
	if i < 0 {
		crashed++
	}
	if any := lossy || slices.ContainsFunc(l.open, func(x loss) bool { return x.lossy }); any && crashed > r.budget() {
		return false
	}
	x := loss{node: node, at: r.w.now, lossy: lossy}
	if lossy {
		l.admitted++
	}
	if r.cluster.newest != nil {
		if b := r.cluster.newest.Broker(core.NodeID(nodeID(node))); b != nil {
			x.incarnation = b.Incarnation
		}
	}
	if i >= 0 {
		x.lossy, x.wiped = x.lossy || l.open[i].lossy, l.open[i].wiped
		l.open[i] = x
	} else {
		l.open = append(l.open, x)
	}
	return true
}

// budget is how many nodes may have lost what they had in memory at one time.
func (r *run) budget() int {
	least := ServersMax
	for i := range r.cfg.Topics {
		t := &r.cfg.Topics[i]
		least = min(least, t.minISR()-1)
	}
	if r.cfg.topology.wipes { // which take the topics away as well that have the brokers' own min.insync.replicas
		least = min(least, serversMinISR-1)
	}
	return least
}

// minISR is the least number of copies that an acknowledged record of a topic is in.
func (t *topicConfig) minISR() int {
	for _, kv := range t.configs {
		if kv[0] == minISR {
			return min(int(number(kv[1])), int(t.factor))
		}
	}
	return 1
}

// restored reports whether a node that had lost its memory has registered anew and is in every in-sync set again.
func (r *run) restored(x *loss) bool {
	img := r.cluster.newest
	if img == nil {
		return false
	}
	b := img.Broker(core.NodeID(nodeID(x.node)))
	if b == nil || b.Fenced || b.Incarnation == x.incarnation {
		return false
	}
	for t := range img.Topics() {
		for _, p := range t.Partitions {
			if slices.Contains(p.Replicas, b.ID) && !slices.Contains(p.ISR, b.ID) {
				return false
			}
		}
	}
	return true
}

// String is the ledger for a failure's text.
func (l *ledger) String() string {
	var list []string
	for _, x := range l.open {
		how := "killed"
		if x.lossy {
			how = "lost its power"
		}
		list = append(list, fmt.Sprintf("node %d %s at %s", nodeID(x.node), how, strings.TrimSpace(instant(x.at))))
	}
	return fmt.Sprintf("ledger: %d losses admitted, %d refused, open: %v", l.admitted, l.refused, list)
}
