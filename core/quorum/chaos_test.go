package quorum

import (
	"os"
	"slices"
	"strconv"
	"testing"

	"klamm/core"

	"github.com/stretchr/testify/require"
)

// run plays one seed: faults for a while, then none, and everything must come alive and be alike.
func (c *cluster) run() {
	c.faults = true
	for _, m := range c.members {
		c.start(m)
	}
	c.loss, c.double = c.rnd.IntN(100), c.rnd.IntN(100)
	c.late = core.Time(1+c.rnd.IntN(30)) * core.Millisecond
	end := core.Time(5+c.rnd.IntN(15)) * core.Second
	appends, mishaps := 20+c.rnd.IntN(200), 100+c.rnd.IntN(2000)
	for c.now < end && c.broken == "" {
		for range 20 { // a bound on how often the world is looked at
			if !c.next(c.now + 2*core.Millisecond) {
				break
			}
		}
		if c.rnd.IntN(appends) < 4 {
			c.work()
		}
		if c.rnd.IntN(mishaps) == 0 {
			c.mishap()
		}
		if c.v.on && c.rnd.IntN(200) == 0 {
			c.admin()
		}
		if c.v.on && c.rnd.IntN(1000) == 0 {
			c.wipe(c.members[c.rnd.IntN(len(c.members))])
		}
	}
	c.heal()
}

// mishap lets something go wrong.
func (c *cluster) mishap() {
	m := c.members[c.rnd.IntN(len(c.members))]
	switch c.rnd.IntN(9) {
	case 0, 1:
		if m.up {
			c.crash(m, c.rnd.IntN(3) > 0)
		}
	case 2:
		if !m.up {
			c.start(m)
		}
	case 3: // one is cut off, both ways or one way
		way := c.rnd.IntN(3)
		for j := range c.members {
			if j != m.id-1 {
				c.cut[m.id-1][j] = way != 1
				c.cut[j][m.id-1] = way != 2
			}
		}
		c.say("node %d is cut off, way %d", m.id, way)
	case 4: // one link
		i, j := c.rnd.IntN(len(c.members)), c.rnd.IntN(len(c.members))
		c.cut[i][j] = i != j
	case 5:
		for i := range c.cut {
			clear(c.cut[i])
		}
	case 6:
		if m.up {
			m.paused = c.now + core.Time(c.rnd.Int64N(int64(5*core.Second)))
			c.say("node %d is paused until %.3f", m.id, float64(m.paused)/1e9)
		}
	case 7: // the power of all
		for _, m := range c.members {
			if m.up && c.rnd.IntN(4) > 0 {
				c.crash(m, true)
			}
		}
	case 8:
		for _, m := range c.members {
			if !m.up {
				c.start(m)
			}
		}
	}
}

// doom lets a node lose its power just after it gave its word.
func (c *cluster) doom(m *member, odds int) {
	if c.faults && c.rnd.IntN(odds) == 0 {
		c.at(event{at: c.now + core.Time(c.rnd.Int64N(int64(3*core.Millisecond))), kind: "doom", m: m.id - 1, life: m.life})
	}
}

// heal ends all faults; within a bound there is one leader, what it appends is committed everywhere, and all are alike.
func (c *cluster) heal() {
	c.say("heal")
	c.faults, c.loss, c.double, c.late = false, 0, 0, core.Millisecond
	for i := range c.cut {
		clear(c.cut[i])
	}
	for _, m := range c.members {
		m.paused = min(m.paused, c.now)
		if !m.up {
			c.start(m)
		}
	}
	for range 2 {
		for until := c.now + 15*core.Second; c.now < until && c.broken == "" && !(c.well() && c.alike()); {
			c.run2(c.now + 50*core.Millisecond)
			if l := c.leads(); c.v.on && l != nil && slices.ContainsFunc(keysOf(l.node), func(k voterKey) bool { return slices.Contains(c.v.lost, k) }) {
				c.admin()
			}
		}
		if c.broken == "" && !c.well() {
			c.violated("I87: nobody leads all: %s", c.describe())
		}
		if c.broken == "" && !c.alike() {
			c.violated("I30: they do not become alike: %s", c.describe())
		}
		if c.broken != "" {
			return
		}
		high := c.members[0].node.high
		c.work()
		for until := c.now + 5*core.Second; c.now < until && c.broken == "" && c.members[0].node.high == high; {
			c.run2(c.now + 50*core.Millisecond)
		}
		if c.broken == "" && c.members[0].node.high == high {
			c.violated("I87: nothing is committed: %s", c.describe())
		}
	}
}

// alike reports whether all were handed the same, and all of it.
func (c *cluster) alike() bool {
	first := c.members[0]
	for _, m := range c.members {
		if m.node == nil || m.img.End() != first.img.End() || m.names != first.names || m.node.high != first.node.high || m.node.End(m.store) != first.node.End(first.store) {
			return false
		}
	}
	return true
}

func (c *cluster) run2(until core.Time) {
	for c.next(until) {
	}
}

// well reports whether somebody leads and everybody follows.
func (c *cluster) well() bool {
	var leader *member
	for _, m := range c.members {
		if m.node != nil && m.node.Active() {
			leader = m
		}
	}
	if leader == nil {
		return false
	}
	for _, m := range c.members {
		if m.node == nil || !m.node.Ready() || m.node.state.epoch != leader.node.state.epoch || m != leader && (m.node.role != Follower || !m.node.follow.heard) {
			return false
		}
	}
	return true
}

func chaos(seed uint64) *cluster {
	voters := []int{3, 3, 3, 3, 2, 1, 5, 4}[seed%8]
	return newCluster(seed, voters, int(seed/8%3))
}

// Whatever is lost, late, doubled, cut off, paused or crashed: one leader per epoch, nothing committed is lost, all are handed the
// same, and when the faults end the quorum works again.
func TestChaos(t *testing.T) {
	sum := oracle{}
	steps := 0
	from, n := uint64(0), seeds(t)
	if s := os.Getenv("SEED"); s != "" {
		from, _ = strconv.ParseUint(s, 10, 64)
		if os.Getenv("SEEDS") == "" {
			n = 1
		}
	}
	for seed := from; seed < from+uint64(n); seed++ {
		c := chaos(seed)
		if n == 1 {
			c.trace = func(s string) { t.Log(s) }
		}
		c.run()
		require.Empty(t, c.broken)
		sum.elections += c.o.elections
		sum.acks += c.o.acks
		steps += c.steps
		for _, name := range c.marks.Names() {
			marksHit[name] = true
		}
	}
	t.Logf("%d steps, %d elections, %d batches", steps, sum.elections, sum.acks)
}

func seeds(t *testing.T) int {
	if s := os.Getenv("SEEDS"); s != "" {
		n, _ := strconv.Atoi(s)
		return n
	}
	if testing.Short() {
		return 100
	}
	return 200
}

// Seeds that found something once: a reload of the log that took quorum-state.tmp away (274), a log that diverged right at its
// leader's start (210, 4450), a voter that forgot that it had led (3748), an old snapshot below the log's start (5561), a
// cut that waited for ever for a read from before it (25506), a log emptied above its snapshot (2433).
func TestSeedsThatFoundSomething(t *testing.T) {
	for _, seed := range []uint64{46, 87, 210, 274, 311, 2433, 3748, 4450, 5561, 25506} {
		c := chaos(seed)
		c.run()
		require.Empty(t, c.broken)
	}
}
