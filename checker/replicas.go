package checker

import (
	"cmp"
	"fmt"
	"slices"
)

// Mark is what is compared of one batch: its place, the leader epoch that it was written in, and its stored checksum.
type Mark struct {
	Base, Last int64
	Epoch      int32
	Sum        uint32
}

// Replicas judges all copies of one partition against each other while they change, each change by itself: what a copy
// got more is held against what any copy ever had at that place, so the cost is that of the change.
//
// The log-matching property (I16) rests on two facts about every (epoch, offset): all copies that ever had a batch there
// had the same bytes, and the same batch before it. From these two, by induction, equal (epoch, offset) means equal prefix.
//
// Invariants: committed ends at or below high; what a copy has below agreed is equal to committed.
type Replicas struct {
	Partition Partition
	Quorum    bool // the metadata log: its members are voters, and a majority decides
	Memory    bool // copies count from memory: a restart may lose some
	Lossy     bool // the faults of the run exceed the promise: what an election gives up is counted, not condemned
	Compacted bool // each copy is cleaned by itself: batches may be gone or rewritten, at the same place and up to the same last offset
	Lost      int  // elections that gave committed records up, if Lossy
	Truncated int  // copies that were cut
	Leaders   int  // leaderships seen

	voters     []int32   // if Quorum
	copies     []*copyOf // by node
	known      map[place]content
	leaders    []leadership // by epoch
	committed  []Mark
	high       int64 // the true high watermark: the highest that a leader ever had
	start      int64 // the greatest log start that a leader ever had: what lies below need not be equal any more
	registered Registration
	found      []Violation
}

type place struct {
	epoch int32
	base  int64
}

type content struct {
	last   int64
	sum    uint32
	before place // the batch in front of it; none if that is not known
	node   int32 // where it was first seen
}

var none = place{-1, -1}

type leadership struct {
	epoch  int32
	node   int32
	life   int
	judged bool // its log has been looked at
}

// copyOf is one replica's copy, as it was last seen.
type copyOf struct {
	node   int32
	life   int
	up     bool // seen in this life
	marks  []Mark
	start  int64
	end    int64
	high   int64
	safe   int64 // it may be counted up to here: kept over a restart, lowered by a cut or a loss
	peak   int64 // the greatest end ever
	ever   int64 // that of copies which it has given up
	agreed int64
	lossy  bool // it came back with less than it had been counted with, and is not back among the candidates since
	heard  int  // the newest life that the metadata know; -1: none since the copy began
	booked []Booked
	asked  asking // as a leader
	back   int64  // it says that it was cut back to here; -1: it does not
}

// Standing is what a node says of one of its replicas.
type Standing struct {
	Node           int32
	Life           int
	Start, High    int64
	Starting       int64 // where it has decided that the log is to start: Start, or above it
	Safe, End      int64
	Leads          bool
	Epoch          int32   // of its leadership
	ISR, Asked     []int32 // as the leader has them
	MinISR         int
	MinBefore      int // what it was when the Step under way began, if metadata came in that Step; else zero
	PartitionEpoch int32
	Followers      []Booked // what the leader believes of the others
	Voters         []int32  // of the metadata log, where they change: those in force on this node that have their disks; and
	VoterCount     int      // how many are in force
	Former         []int32  // the same of the set that it has replaced in the Step under way; what it had committed by then, it had by
	FormerCount    int      // that set. Zero if there was no change
	Moved          bool     // the sets, or the leadership, have changed since the last look: what was raised was raised by others
	Settled        bool     // it has looked at its high watermark again in the Step under way: its sets have just come into force
	Joining        []int32  // followers outside the sets that hold the high watermark back, since they are about to join
}

// Booked is how far a leader believes a follower's copy to be safe; -1 if it has not heard of it.
type Booked struct {
	Node int32
	End  int64
}

// NewReplicas makes the judge of a partition that nobody has a copy of yet. voters are those of the metadata log.
func NewReplicas(p Partition, voters ...int32) *Replicas {
	return &Replicas{Partition: p, Quorum: len(voters) > 0, voters: voters, known: map[place]content{}, registered: Registration{Leader: -1, LeaderEpoch: -1, Epoch: -1}}
}

// Found takes out the violations since it was last asked.
func (c *Replicas) Found() []Violation {
	f := c.found
	c.found = nil
	return f
}

// High is the true high watermark.
func (c *Replicas) High() int64 { return c.high }

func (c *Replicas) fail(id, format string, args ...any) {
	if len(c.found) < violationsMax {
		c.found = append(c.found, Violation{id, c.Partition.String(), fmt.Sprintf(format, args...)})
	}
}

// id names an invariant by its number for partitions or, if it has one of its own, for the metadata log.
func (c *Replicas) id(data, quorum string) string {
	if c.Quorum {
		return quorum
	}
	return data
}

func (c *Replicas) copy(node int32) *copyOf {
	i, ok := slices.BinarySearchFunc(c.copies, node, func(x *copyOf, n int32) int { return cmp.Compare(x.node, n) })
	if !ok {
		c.copies = slices.Insert(c.copies, i, &copyOf{node: node, life: -1, heard: -1, back: -1})
	}
	return c.copies[i]
}

// Down says that a node's life has ended: its copy stays what it was until the next life shows what it has.
func (c *Replicas) Down(node int32) {
	x := c.copy(node)
	x.up, x.booked = false, nil
}

// Deleted says that a node's copy was given up.
func (c *Replicas) Deleted(node int32) {
	x := c.copy(node)
	*x = copyOf{node: node, life: -1, heard: -1, back: -1, ever: max(x.ever, x.peak)}
}

// Wiped says that a node has lost its disk: what it was counted with, it had.
func (c *Replicas) Wiped(node int32) {
	x := c.copy(node)
	*x = copyOf{node: node, life: -1, heard: -1, back: -1, peak: x.peak, safe: x.safe, lossy: x.peak > 0}
}

// Returned says that the metadata know of a node's new life now. Whatever an earlier one has lost, nobody may rest on it any more.
func (c *Replicas) Returned(node int32, life int) { c.copy(node).heard = life }

// Raised says that a copy which is not looked at, since it is being repaired, begins at an offset: its leader's log did, and all of its own that lay below
// is given up. So it reaches there, as one that begins anew does.
func (c *Replicas) Raised(node int32, start int64) {
	x := c.copy(node)
	if start > x.peak && start > c.start {
		c.fail("I71", "node %d follows and its log is raised to start at %d; no leader's log has started above %d", node, start, c.start)
	}
	x.peak = max(x.peak, start)
}

// Extended says that a copy got one more batch in its present life.
func (c *Replicas) Extended(node int32, m Mark) {
	x := c.copy(node)
	before := none
	if n := len(x.marks); n > 0 {
		p := x.marks[n-1]
		before = place{p.Epoch, p.Base}
		if m.Base <= p.Last {
			c.fail("I01", "node %d: a batch at offset %d follows one that ends at %d", node, m.Base, p.Last)
		}
		if m.Epoch < p.Epoch {
			c.fail("I23", "node %d: a batch at offset %d has leader epoch %d, the one before %d", node, m.Base, m.Epoch, p.Epoch)
		}
	}
	c.learn(x, m, before, true)
	x.marks = append(x.marks, m)
	x.peak = max(x.peak, m.Last+1)
}

// learn holds a batch against what is known of its place.
func (c *Replicas) learn(x *copyOf, m Mark, before place, fresh bool) {
	at := place{m.Epoch, m.Base}
	k, ok := c.known[at]
	if !ok {
		c.known[at] = content{m.Last, m.Sum, before, x.node}
		// Whoever has a batch first has written it, so it leads in that epoch; or its leader has it in memory already. A
		// batch that was on its way to the file when its leader died is first seen by its next life.
		if fresh && m.Epoch >= 0 && !c.made(x, m) {
			c.fail(c.id("I22", "I31"), "node %d (life %d) is the first to have a batch of epoch %d at offset %d, and it has not led in that epoch", x.node, x.life, m.Epoch, m.Base)
		}
		return
	}
	if k.last != m.Last || k.sum != m.Sum && !c.Compacted {
		c.fail("I16", "epoch %d offset %d: node %d has the batch %d-%d (checksum %08x), node %d had %d-%d (%08x)", m.Epoch, m.Base,
			x.node, m.Base, m.Last, m.Sum, k.node, m.Base, k.last, k.sum)
	}
	switch {
	case before == none, before.base < c.start, c.Compacted: // a follower may still have others below the leader's start
	case k.before == none:
		k.before = before
		c.known[at] = k
	case k.before != before:
		c.fail("I16", "epoch %d offset %d: on node %d it follows the batch at %d of epoch %d, elsewhere the one at %d of epoch %d", m.Epoch, m.Base,
			x.node, before.base, before.epoch, k.before.base, k.before.epoch)
	}
}

// made reports whether a batch that nobody had before can come from the leader of its epoch.
func (c *Replicas) made(x *copyOf, m Mark) bool {
	l, led := c.leadership(m.Epoch)
	if !led || l.node == x.node {
		return led && l.life == x.life
	}
	y := c.copy(l.node)
	return y.life != l.life || y.end > m.Last
}

func (c *Replicas) leadership(epoch int32) (leadership, bool) {
	i, ok := slices.BinarySearchFunc(c.leaders, epoch, func(l leadership, e int32) int { return cmp.Compare(l.epoch, e) })
	if !ok {
		return leadership{}, false
	}
	return c.leaders[i], true
}

// SetBack says that a copy was cut to an offset, below what it knows as committed, because its leader may have cleaned away the end of a transaction
// of which this copy has the records. Loaded follows.
func (c *Replicas) SetBack(node int32, to int64) { c.copy(node).back = to }

// setsBack reports whether a copy may be cut below what is committed: it said so, it is one of a compacted log, and nobody counts on it.
func (c *Replicas) setsBack(x *copyOf, end int64) bool {
	r := &c.registered
	if !c.Compacted || x.back < 0 || slices.Contains(r.ISR, x.node) || slices.Contains(r.ELR, x.node) {
		return false
	}
	i, _ := slices.BinarySearchFunc(x.marks, x.back, func(m Mark, o int64) int { return cmp.Compare(m.Last, o) })
	return end == x.back || i > 0 && end == x.marks[i-1].Last+1 // a gap may be in front of it
}

// Loaded says what a copy holds after a start, or after it was cut in the midst of a life: all its batches. Before those that begin at an
// offset of torn its disk has bytes that are no batch, so it is not known which one was there.
func (c *Replicas) Loaded(node int32, life int, start, end int64, marks []Mark, torn ...int64) {
	x := c.copy(node)
	if x.life == life {
		c.Truncated++
		if l := c.newest(); l.node == node && l.life == life && end < x.end && c.leading(x) {
			c.fail(c.id("I22", "I34"), "node %d leads in epoch %d and has cut its own log from %d to %d", node, l.epoch, x.end, end)
		}
		if end < x.agreed && start < x.end && x.agreed > c.start && !c.Lossy && !c.setsBack(x, end) {
			c.fail("I07", "node %d was cut to %d, and below %d everything had been committed", node, end, x.agreed)
		}
	} else if end < x.safe && (x.life >= 0 && c.Memory || x.lossy) {
		x.lossy = true
	}
	before := none
	for i, m := range marks {
		if i > 0 && m.Base <= marks[i-1].Last {
			c.fail("I01", "node %d: a batch at offset %d follows one that ends at %d", node, m.Base, marks[i-1].Last)
		}
		if slices.Contains(torn, m.Base) {
			before = none
		}
		c.learn(x, m, before, false)
		before = place{m.Epoch, m.Base}
		x.peak = max(x.peak, m.Last+1)
	}
	x.life, x.marks, x.start, x.end = life, slices.Clone(marks), start, end
	x.high, x.safe, x.agreed, x.booked, x.back = 0, min(x.safe, end), min(x.agreed, end), nil, -1
}

// EpochAt is the leader epoch of the record that a node's copy has at an offset; false if it has none.
func (c *Replicas) EpochAt(node int32, offset int64) (epoch int32, known bool) {
	x := c.copy(node)
	i, _ := slices.BinarySearchFunc(x.marks, offset, func(m Mark, o int64) int { return cmp.Compare(m.Last, o) })
	if i < len(x.marks) && x.marks[i].Base <= offset && offset >= x.start {
		return x.marks[i].Epoch, true
	}
	return -1, false
}

// Writer is the node that led when the committed record at an offset was taken; false if that is not known.
func (c *Replicas) Writer(offset int64) (node int32, known bool) {
	i, _ := slices.BinarySearchFunc(c.committed, offset, func(m Mark, o int64) int { return cmp.Compare(m.Last, o) })
	if i == len(c.committed) || c.committed[i].Base > offset {
		return -1, false
	}
	l, led := c.leadership(c.committed[i].Epoch)
	return l.node, led
}

// Started is the highest offset at which a leader's log has started: what lies below was deleted, and need not have been read before.
func (c *Replicas) Started() int64 { return c.start }

// Newest is the newest leader epoch that anybody has led in, -1 if there is none.
func (c *Replicas) Newest() int32 { return c.newest().epoch }

func (c *Replicas) newest() leadership {
	if n := len(c.leaders); n > 0 {
		return c.leaders[n-1]
	}
	return leadership{epoch: -1, node: -1}
}

// leading reports whether a node's last look was that of the newest leader.
func (c *Replicas) leading(x *copyOf) bool { return x.booked != nil }

// Look judges what a node says of its replica now. The batches of the copy have been told before.
func (c *Replicas) Look(s *Standing) {
	x := c.copy(s.Node)
	fell := x.up && x.life == s.Life && s.High < x.high
	if s.Leads || c.leading(x) {
		c.start = max(c.start, s.Start, s.Starting)
	} else if !c.Quorum && s.Start > c.start {
		c.fail("I71", "node %d follows and its log starts at %d; no leader's log has started above %d", s.Node, s.Start, c.start)
	}
	x.life, x.up, x.start, x.end = s.Life, true, s.Start, s.End
	x.safe, x.peak = max(x.safe, s.Safe), max(x.peak, s.End)
	wasLeading := c.leading(x)
	x.booked = nil
	if s.Leads {
		c.begins(x, s)
		if x.booked = s.Followers; x.booked == nil {
			x.booked = []Booked{}
		}
		if fell && wasLeading {
			c.fail("I17", "node %d: the leader's high watermark fell from %d to %d in epoch %d", s.Node, x.high, s.High, s.Epoch)
		}
		c.bookings(s)
		c.superset(s)
		c.joins(s)
		if least := s.Due(); s.Settled && !c.Quorum && s.High < least {
			c.fail("I88", "node %d leads with isr %v asked %v, all of them hold what is below %d, and its high watermark stays at %d", s.Node, s.ISR, s.Asked, least, s.High)
		}
	} else if fell && c.Quorum {
		c.fail("I36", "node %d: what is committed fell from %d to %d", s.Node, x.high, s.High)
	}
	if s.High > x.agreed {
		c.raised(x, s)
	}
	x.high = s.High
}

// Leads says who leads in an epoch. It comes before the batches that this leader has written.
func (c *Replicas) Leads(s *Standing) {
	i, ok := slices.BinarySearchFunc(c.leaders, s.Epoch, func(l leadership, e int32) int { return cmp.Compare(l.epoch, e) })
	if ok {
		if l := c.leaders[i]; l.node != s.Node || l.life != s.Life {
			c.fail(c.id("I22", "I31"), "epoch %d is led by node %d (life %d) and by node %d (life %d)", s.Epoch, l.node, l.life, s.Node, s.Life)
		}
		return
	}
	c.Leaders++
	c.leaders = slices.Insert(c.leaders, i, leadership{s.Epoch, s.Node, s.Life, false})
}

// begins looks at the log of a new leader.
func (c *Replicas) begins(x *copyOf, s *Standing) {
	c.Leads(s)
	i, _ := slices.BinarySearchFunc(c.leaders, s.Epoch, func(l leadership, e int32) int { return cmp.Compare(l.epoch, e) })
	if c.leaders[i].judged {
		return
	}
	written := x.start
	if n := len(x.marks); n > 0 {
		written = x.marks[n-1].Last + 1
	}
	if s.End >= c.high && written < c.high && c.holds(x, written) {
		return // the rest is on its way to its disk, and is looked at when it is there
	}
	c.leaders[i].judged = true
	if i < len(c.leaders)-1 {
		return // it is deposed already and does not know: what was committed since need not be here
	}
	if s.End < c.high || !c.holds(x, c.high) {
		if c.Lossy {
			c.forget(s.End)
			return
		}
		c.fail(c.id("I19", "I35"), "node %d leads from epoch %d on with its log ending at %d, and %s", s.Node, s.Epoch, s.End, c.lacks(x))
	}
}

// holds reports whether a copy has everything that is known to be committed below high, from its own start on.
func (c *Replicas) holds(x *copyOf, high int64) bool {
	i := 0
	for _, m := range c.committed {
		if m.Last < x.start || m.Last < x.agreed || m.Base < c.start {
			continue
		}
		if m.Base >= high {
			break
		}
		for i < len(x.marks) && x.marks[i].Base < m.Base {
			i++
		}
		if there := i < len(x.marks) && c.same(x.marks[i], m); !there && !c.Compacted {
			return false
		}
	}
	return true
}

// lacks says which committed batch a copy does not have.
func (c *Replicas) lacks(x *copyOf) string {
	for _, m := range c.committed {
		if m.Last < x.start || m.Base < c.start {
			continue
		}
		if !slices.Contains(x.marks, m) {
			return fmt.Sprintf("the batch %d-%d of epoch %d, which is committed (all below %d is), is not in it", m.Base, m.Last, m.Epoch, c.high)
		}
	}
	return fmt.Sprintf("all below %d is committed", c.high)
}

// forget takes back what an election beyond the promise has given up.
func (c *Replicas) forget(end int64) {
	if end >= c.high && len(c.committed) == 0 {
		return
	}
	c.Lost++
	c.high = min(c.high, end)
	for n := len(c.committed); n > 0 && c.committed[n-1].Last >= end; n-- {
		c.committed = c.committed[:n-1]
	}
	for i := range c.copies {
		x := c.copies[i]
		x.agreed = min(x.agreed, end)
	}
}

// Converged compares all copies of the quiet cluster above their common start (I30) and reports the first difference.
// nodes are those that must have one.
func (c *Replicas) Converged(nodes []int32) *Violation {
	differ := func(format string, args ...any) *Violation {
		return &Violation{"I30", c.Partition.String(), fmt.Sprintf(format, args...)}
	}
	var first *copyOf
	for _, n := range nodes {
		x := c.copy(n)
		if !x.up {
			return differ("node %d is to have a copy, and has none that can be looked at", n)
		}
		if first = cmp.Or(first, x); x == first {
			continue
		}
		if x.end != first.end || x.high != first.high {
			return differ("node %d ends at %d with high watermark %d, node %d at %d with %d", n, x.end, x.high, first.node, first.end, first.high)
		}
		start := max(x.start, first.start)
		if a, b := above(x.marks, start), above(first.marks, start); !slices.Equal(a, b) && !c.Compacted || !c.agree(a, b) {
			return differ("above offset %d the copies of nodes %d and %d differ: %d and %d batches", start, n, first.node, len(a), len(b))
		}
	}
	return nil
}

// same reports whether two copies have the same batch.
func (c *Replicas) same(a, b Mark) bool {
	if c.Compacted {
		a.Sum, b.Sum = 0, 0
	}
	return a == b
}

// agree reports whether two lists of batches have nothing at the same place that is not the same (I15, survivors only).
func (c *Replicas) agree(a, b []Mark) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Last < b[0].Base:
			a = a[1:]
		case b[0].Last < a[0].Base:
			b = b[1:]
		case !c.same(a[0], b[0]):
			return false
		default:
			a, b = a[1:], b[1:]
		}
	}
	return true
}

func above(marks []Mark, start int64) []Mark {
	i, _ := slices.BinarySearchFunc(marks, start, func(m Mark, o int64) int { return cmp.Compare(m.Last, o) })
	return marks[i:]
}
