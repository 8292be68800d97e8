package checker

import (
	"fmt"
	"slices"
)

// Registration is what the metadata say of one partition at one offset.
type Registration struct {
	Leader      int32 // -1: none
	LeaderEpoch int32
	Epoch       int32 // of the partition
	Replicas    []int32
	ISR, ELR    []int32
	MinISR      int     // no more than there are replicas
	Offline     []int32 // replicas whose directory is none that their broker has: the controller chooses none of them
}

// Registered gives the newest registration of the partition, as the committed metadata have it: its sets (I24), its epochs
// (I23), and that whoever may be chosen holds what is committed (I20). No fenced broker leads; neither a fenced one nor
// one that is about to stop joins the in-sync set (KIP-841).
func (c *Replicas) Registered(r Registration, fenced, stopping []int32) {
	old := c.registered
	c.registered = r
	if r.Epoch < old.Epoch || r.LeaderEpoch < old.LeaderEpoch {
		c.fail("I23", "partition epoch %d and leader epoch %d follow %d and %d", r.Epoch, r.LeaderEpoch, old.Epoch, old.LeaderEpoch)
	}
	if r.Epoch == old.Epoch && !r.equal(&old) {
		c.fail("I23", "partition epoch %d stands for two registrations: %v and %v", r.Epoch, old, r)
	}
	if old.Leader != r.Leader && r.Leader >= 0 && old.LeaderEpoch == r.LeaderEpoch {
		c.fail("I23", "the leader changed from %d to %d within leader epoch %d", old.Leader, r.Leader, r.LeaderEpoch)
	}
	for _, n := range r.ISR {
		if !slices.Contains(r.Replicas, n) {
			c.fail("I24", "node %d is in sync and no replica: %v", n, r)
		}
		if joins := old.Epoch >= 0 && !slices.Contains(old.ISR, n); joins && (slices.Contains(fenced, n) || slices.Contains(stopping, n)) {
			c.fail("I24", "node %d joined the ISR, and it is fenced or about to stop: %v", n, r)
		}
		if slices.Contains(r.ELR, n) {
			c.fail("I24", "node %d is in the ISR and in the ELR: %v", n, r)
		}
	}
	if r.Leader >= 0 && !slices.Contains(r.ISR, r.Leader) {
		c.fail("I24", "the leader %d is not in sync: %v", r.Leader, r)
	}
	if r.Leader >= 0 && slices.Contains(fenced, r.Leader) {
		c.fail("I24", "the leader %d is fenced: %v", r.Leader, r)
	}
	if r.Epoch != old.Epoch && len(r.ISR) >= r.MinISR && len(r.ELR) > 0 { // a change of the setting alone is followed up a little later
		c.fail("I24", "there are enough in sync, and yet there are other eligible leaders: %v", r)
	}
	for i := range c.copies { // whoever came in anew has been looked at by the leader that took it in, in the life that the metadata know
		x := c.copies[i]
		if x.lossy && x.heard >= max(x.life, 0) && slices.Contains(r.ISR, x.node) && !slices.Contains(old.ISR, x.node) && !slices.Contains(old.ELR, x.node) {
			x.lossy = false
		}
	}
	c.candidates()
}

func (r *Registration) equal(o *Registration) bool {
	return r.Leader == o.Leader && r.LeaderEpoch == o.LeaderEpoch && slices.Equal(r.Replicas, o.Replicas) && slices.Equal(r.ISR, o.ISR) && slices.Equal(r.ELR, o.ELR)
}

func (r Registration) String() string {
	return fmt.Sprintf("leader %d epoch %d replicas %v isr %v elr %v min %d (partition epoch %d)", r.Leader, r.LeaderEpoch, r.Replicas, r.ISR, r.ELR, r.MinISR, r.Epoch)
}

// candidates: each running member of ISR and ELR that may be chosen holds every committed record (I20). One that has lost some is excused only
// as long as the metadata cannot know: its new life is registered as one that may have lost everything.
func (c *Replicas) candidates() {
	if c.Quorum || c.Lossy {
		return
	}
	for _, set := range [][]int32{c.registered.ISR, c.registered.ELR} {
		for _, n := range set {
			if x := c.copy(n); x.up && !slices.Contains(c.registered.Offline, n) && (!x.lossy || x.heard == x.life) && x.end < c.high {
				c.fail("I20", "node %d may be chosen (%v), its log ends at %d, and all below %d is committed", n, c.registered, x.end, c.high)
			}
		}
	}
}

// superset: what a leader counts contains whoever the controller may choose (I21).
func (c *Replicas) superset(s *Standing) {
	r := &c.registered
	if c.Quorum || s.Epoch != r.LeaderEpoch || r.Leader != s.Node || len(s.ISR) < s.MinISR {
		return
	}
	for _, set := range [][]int32{r.ISR, r.ELR} {
		for _, n := range set {
			if !slices.Contains(s.ISR, n) && !slices.Contains(s.Asked, n) {
				c.fail("I21", "node %d leads with isr %v asked %v, and the metadata have %v", s.Node, s.ISR, s.Asked, *r)
			}
		}
	}
}

// Registry judges the metadata as nodes have them: one state at one offset (I42, I45), offsets of a node's life never fall.
type Registry struct {
	states map[int64]state
	nodes  map[int32]applied
	newest int64
	found  []Violation
}

type state struct {
	digest uint64
	node   int32
}

type applied struct {
	life   int
	offset int64
}

// NewRegistry makes a judge that knows nothing.
func NewRegistry() *Registry {
	return &Registry{states: map[int64]state{}, nodes: map[int32]applied{}, newest: -1}
}

// Found takes out the violations since it was last asked.
func (g *Registry) Found() []Violation {
	f := g.found
	g.found = nil
	return f
}

// Applied says that a node's metadata are those below an offset now, and their digest. It reports whether these are the newest yet.
func (g *Registry) Applied(node int32, life int, offset int64, digest uint64) (newest bool) {
	fail := func(id, format string, args ...any) {
		g.found = append(g.found, Violation{id, "metadata", fmt.Sprintf(format, args...)})
	}
	if was, ok := g.nodes[node]; ok && was.life == life && offset < was.offset {
		fail("I42", "node %d: its metadata went back from offset %d to %d", node, was.offset, offset)
	}
	g.nodes[node] = applied{life, offset}
	if was, ok := g.states[offset]; ok && was.digest != digest {
		fail("I45", "nodes %d and %d have different metadata below offset %d: digests %016x and %016x", was.node, node, offset, was.digest, digest)
	} else if !ok {
		g.states[offset] = state{digest, node}
	}
	if offset <= g.newest {
		return false
	}
	g.newest = offset
	return true
}

// Newest is the end of the newest metadata that any node has had.
func (g *Registry) Newest() int64 { return g.newest }
