package checker

import (
	"cmp"
	"slices"
)

// What may count as committed: whom a leader rests on, and who rests on a leader.

// raised is a high watermark beyond what has been compared.
func (c *Replicas) raised(x *copyOf, s *Standing) {
	if s.High > c.high {
		switch {
		case !s.Leads && c.Lossy:
			return
		case !s.Leads && s.Moved: // it led for an instant: candidates judges the sets that came of it
		case !s.Leads:
			c.fail("I17", "node %d follows and has a high watermark of %d; no leader had more than %d", s.Node, s.High, c.high)
			return
		case c.Quorum:
			c.majority(s)
		default:
			c.allInSync(s)
		}
	}
	// What of it is not known as committed becomes so, or must be the same.
	i, _ := slices.BinarySearchFunc(x.marks, x.agreed, func(m Mark, o int64) int { return cmp.Compare(m.Last, o) })
	for ; i < len(x.marks) && x.marks[i].Last < s.High; i++ {
		m := x.marks[i]
		at, ok := slices.BinarySearchFunc(c.committed, m.Base, func(m Mark, o int64) int { return cmp.Compare(m.Base, o) })
		if ok && c.same(c.committed[at], m) || m.Base < c.start {
			continue
		}
		if !ok && c.Compacted && (at == 0 || c.committed[at-1].Last < m.Base) && (at == len(c.committed) || c.committed[at].Base > m.Last) {
			c.committed = slices.Insert(c.committed, at, m) // it was cleaned away where it was compared first
			continue
		}
		if at < len(c.committed) || at > 0 && c.committed[at-1].Last >= m.Base {
			k := c.committed[min(at, len(c.committed)-1)]
			if c.Lossy {
				c.forget(m.Base)
				c.committed = append(c.committed, m)
				continue
			}
			c.fail(c.id("I15", "I36"), "node %d has the batch %d-%d of epoch %d (checksum %08x) below its high watermark %d; %d-%d of epoch %d (%08x) was committed there",
				s.Node, m.Base, m.Last, m.Epoch, m.Sum, s.High, k.Base, k.Last, k.Epoch, k.Sum)
			return
		}
		c.committed = append(c.committed, m)
	}
	x.agreed = min(s.High, s.End)
	if s.High > c.high {
		c.high = s.High
		c.candidates()
	}
}

// allInSync: a leader raises only to what every member of both sets holds safely, and only while there are enough (I18).
func (c *Replicas) allInSync(s *Standing) {
	if s.Safe < s.High {
		c.fail("I26", "node %d raised the high watermark to %d, and its own copy is safe below %d only", s.Node, s.High, s.Safe)
	}
	if s.Moved { // candidates judges the sets that came of it
		return
	}
	least := s.MinISR
	if s.MinBefore > 0 { // one Step may raise the high watermark, that of a leadership which begins included, and then learn of the setting
		least = min(least, s.MinBefore)
	}
	if len(s.ISR) < least {
		c.fail("I18", "node %d raised the high watermark to %d with %d in-sync replicas, and %d are asked for", s.Node, s.High, len(s.ISR), s.MinISR)
	}
	for _, set := range [][]int32{s.ISR, s.Asked} {
		for _, n := range set {
			if y := c.copy(n); n != s.Node && y.safe < s.High && !y.lossy {
				c.fail("I18", "node %d raised the high watermark to %d; node %d is in sync, and its copy was never safe beyond %d", s.Node, s.High, n, y.safe)
			}
		}
	}
}

// joins: whom a leader asks to take in held, when it began to ask, all that this leadership began with (I20): its high watermark may still
// lie below what the last one had told. What is asked stays asked until it is answered, whatever befalls the follower meanwhile, since it may come
// into force; then candidates judges whom it has brought in.
func (c *Replicas) joins(s *Standing) {
	was := c.copy(s.Node).asked
	now := asking{life: s.Life, epoch: s.Epoch, version: s.PartitionEpoch, set: s.Asked}
	c.copy(s.Node).asked = now
	if c.Quorum || len(s.Asked) == 0 {
		return
	}
	began, marks := s.Start, c.copy(s.Node).marks
	if i, ok := slices.BinarySearchFunc(marks, s.Epoch, func(m Mark, e int32) int { return cmp.Compare(m.Epoch, e) }); ok {
		began = marks[i].Base
	} else if i > 0 { // whatever it has of its own epoch is on its way to the file
		began = marks[i-1].Last + 1
	}
	for _, f := range s.Followers {
		if slices.Contains(s.Asked, f.Node) && !slices.Contains(s.ISR, f.Node) && f.End < began && !was.has(&now, f.Node) {
			c.fail("I20", "node %d leads in epoch %d, which began at offset %d, and asks to take in node %d, of which it knows what is below %d", s.Node, s.Epoch, began, f.Node, f.End)
		}
	}
}

// asking is what a leader asked of the controller, when it was last seen: the in-sync set that is to follow on the one of version.
type asking struct {
	life    int
	epoch   int32
	version int32
	set     []int32
}

// has reports whether what was asked is what is asked still, and for whom.
func (a *asking) has(now *asking, node int32) bool {
	return a.life == now.life && a.epoch == now.epoch && a.version == now.version && slices.Equal(a.set, now.set) && slices.Contains(a.set, node)
}

// Due is where the high watermark of a leader has to be: at what all who count hold, once nobody else has to come first (I88).
func (s *Standing) Due() int64 {
	if len(s.ISR) < s.MinISR {
		return -1
	}
	least := s.Safe
	for _, f := range s.Followers {
		if slices.Contains(s.ISR, f.Node) || slices.Contains(s.Asked, f.Node) || slices.Contains(s.Joining, f.Node) {
			least = min(least, f.End)
		}
	}
	return least
}

// majority: the commit moves over a batch of the leader's own epoch only, which more than half of the voters hold durably (I37).
func (c *Replicas) majority(s *Standing) {
	x := c.copy(s.Node)
	i, _ := slices.BinarySearchFunc(x.marks, s.High-1, func(m Mark, o int64) int { return cmp.Compare(m.Last, o) })
	if i < len(x.marks) && x.marks[i].Epoch != s.Epoch {
		c.fail("I37", "node %d leads in epoch %d and committed up to %d, where the last batch is of epoch %d", s.Node, s.Epoch, s.High, x.marks[i].Epoch)
	}
	voters, all := c.voters, len(c.voters)
	if s.VoterCount > 0 {
		voters, all = s.Voters, s.VoterCount
	}
	n := c.holders(voters, s.High)
	if 2*n <= all && 2*c.holders(s.Former, s.High) <= s.FormerCount {
		c.fail("I37", "node %d committed up to %d, and %d of %d voters hold that durably", s.Node, s.High, n, all)
	}
}

// holders counts those of a set that hold durably what is below an offset.
func (c *Replicas) holders(among []int32, high int64) (n int) {
	for i := range c.copies {
		if x := c.copies[i]; x.safe >= high && slices.Contains(among, x.node) {
			n++
		}
	}
	return n
}

// bookings: what a leader counts of a follower, that one has had (I28), durably where it has to be (I38).
func (c *Replicas) bookings(s *Standing) {
	for _, b := range s.Followers {
		y := c.copy(b.Node)
		peak := y.peak
		if max(c.newest().epoch, c.registered.LeaderEpoch) > s.Epoch { // it is deposed and does not know: that copy may have been given up since
			peak = max(peak, y.ever)
		}
		switch {
		case b.End <= y.safe || b.End < 0:
		case b.End > peak && !y.lossy:
			c.fail(c.id("I28", "I38"), "node %d counts node %d up to %d, and that copy never went beyond %d", s.Node, b.Node, b.End, peak)
		case c.Quorum && !y.lossy && y.up && c.newest().epoch == s.Epoch:
			c.fail("I38", "node %d counts node %d up to %d, and that copy is durable below %d", s.Node, b.Node, b.End, y.safe)
		}
	}
}

// Acked says that a client was told of success for an offset: it must be committed by now (I26).
func (c *Replicas) Acked(offset int64) {
	if offset >= c.high {
		c.fail("I26", "offset %d was acknowledged to all, and no leader's high watermark is above %d", offset, c.high)
	}
}
