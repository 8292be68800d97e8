package quorum

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// voterKey is a voter as the judge knows it. While the configuration names the voters, dir is zero and stands for any.
type voterKey struct {
	id  int
	dir core.TopicID
}

// changed is a set of voters that a leader has appended.
type changed struct {
	end   core.Offset
	epoch core.Epoch
	keys  []voterKey
	level int16
}

// changes is what the judge remembers of sets of voters, and what the admin of a cluster does to them.
type changes struct {
	on       bool
	first    []voterKey // before any was appended
	appended []changed  // in the order of appending; two of one end are rivals
	lost     []voterKey // directories that are gone
	joining  core.Time  // until then a voter may be on its way in
	counts   map[string]int
}

func (m *member) is(k voterKey) bool { return k.id == m.id && (k.dir.IsZero() || k.dir == m.dir) }

func keysOf(n *Node) (keys []voterKey) {
	ids, dirs := n.VoterKeys()
	for i := range ids {
		keys = append(keys, voterKey{int(ids[i]), dirs[i]})
	}
	return keys
}

// has reports whether a member's log, or the snapshot before it, holds what a leader has appended.
func (c *cluster) has(m *member, x *changed) bool {
	if start := m.store.Log(m.node.id).Start(); x.end <= start {
		return c.committed(x)
	}
	epoch, end := m.store.EpochEnd(m.node.id, x.epoch)
	return epoch == x.epoch && end >= x.end
}

// force is the set in force on a member, by what is in its log.
func (c *cluster) force(m *member) []voterKey {
	keys, at := c.v.first, core.Offset(-1)
	if !slices.ContainsFunc(keys, m.is) && !keys[0].dir.IsZero() { // its directory was formatted without
		keys = nil
	}
	for i := range c.v.appended {
		if x := &c.v.appended[i]; x.end > at && c.has(m, x) {
			keys, at = x.keys, x.end
		}
	}
	return keys
}

// committed reports whether what is committed contains x: a later commit of that epoch, or one that was built on it.
func (c *cluster) committed(x *changed) bool {
	return slices.Contains(c.o.fixed, place{x.epoch, x.end})
}

// judgeVoters looks at the voters that a node goes by after a step (I39, I40).
func (c *cluster) judgeVoters(m *member) {
	n := m.node
	if n.Leads() && n.changedAt() > n.epochStart && !n.logBusy(m.store) {
		_, epoch := n.Leader()
		x := changed{end: n.changedAt(), epoch: epoch, keys: keysOf(n), level: n.KRaft()}
		if i := slices.IndexFunc(c.v.appended, func(y changed) bool { return y.end == x.end && y.epoch == x.epoch }); i < 0 {
			c.appendedSet(m, x)
		}
	}
	for i := range c.v.appended { // committed, as a node that has it knows
		x := &c.v.appended[i]
		if x.end <= n.high && c.has(m, x) && !c.committed(x) {
			c.o.fixed = append(c.o.fixed, place{x.epoch, x.end})
		}
	}
	if n.logBusy(m.store) {
		return
	}
	if want, got := c.force(m), keysOf(n); !slices.Equal(want, got) {
		c.violated("I40: node %d goes by the voters %v, and its log says %v", m.id, got, want)
	}
}

// appendedSet judges a change that a leader has begun (I39).
func (c *cluster) appendedSet(m *member, x changed) {
	n := m.node
	before, last := c.v.first, (*changed)(nil)
	for i := range c.v.appended {
		if y := &c.v.appended[i]; y.end < x.end && c.has(m, y) && (last == nil || y.end > last.end) {
			before, last = y.keys, y
		}
	}
	c.say("node %d appends the voters %v at %d, kraft.version %d", m.id, x.keys, x.end, x.level)
	c.v.counts["set"]++
	if len(x.keys) > len(before) {
		c.v.counts["added"]++
	}
	if first := last == nil && n.epochStart == 0 && slices.Equal(before, x.keys); !first {
		if n.high <= n.epochStart {
			c.violated("I39: leader %d appends the voters %v and has committed nothing of its epoch", m.id, x.keys)
		}
		if last != nil && last.end > n.high {
			c.violated("I39: leader %d appends the voters %v while those of %d are not committed", m.id, x.keys, last.end)
		}
	}
	differ := 0
	for _, list := range [][2][]voterKey{{before, x.keys}, {x.keys, before}} {
		for _, k := range list[0] {
			if !slices.ContainsFunc(list[1], func(o voterKey) bool { return o.id == k.id && (o.dir == k.dir || o.dir.IsZero() || k.dir.IsZero()) }) {
				differ++
			}
		}
	}
	if differ > 1 {
		c.violated("I39: the voters change from %v to %v at once", before, x.keys)
	}
	c.v.appended = append(c.v.appended, x)
}

// leads is the member that leads, if one does.
func (c *cluster) leads() *member {
	for _, m := range c.members {
		if m.up && m.node != nil && m.paused <= c.now && m.node.Leads() {
			return m
		}
	}
	return nil
}

// tell hands an admin's request to a member.
func (c *cluster) adminAsks(m *member, q kmsg.Request) {
	m.ticket++
	m.asked[m.ticket] = message{unanswered: true, from: m.id - 1, to: m.id - 1, key: -q.Key()}
	out := core.Out{Marks: &c.marks}
	m.node.Ask(c.clock(m), m.ticket, q, m.store, &out)
	c.drain(m, &out)
}

// survives reports whether a set has a majority of voters whose disks are not lost, were one more lost.
func (c *cluster) survives(keys []voterKey, but *member) bool {
	n := 0
	for _, k := range keys {
		if !slices.Contains(c.v.lost, k) && (but == nil || !but.is(k)) {
			n++
		}
	}
	return n > len(keys)/2
}

// admin changes the voters.
func (c *cluster) admin() {
	l := c.leads()
	if l == nil {
		return
	}
	n := l.node
	if n.KRaft() == 0 {
		if why := n.Upgradable(1); why == "" {
			out := core.Out{Marks: &c.marks}
			n.Upgrade(c.clock(l), 0, 1, l.store, &out)
			c.v.counts["upgrade"]++
			c.drain(l, &out)
		}
		return
	}
	keys := keysOf(n)
	m := c.members[c.rnd.IntN(len(c.members))]
	i := slices.IndexFunc(keys, func(k voterKey) bool { return k.id == m.id })
	for j, k := range keys { // what is lost goes first
		if slices.Contains(c.v.lost, k) {
			i = j
		}
	}
	if i >= 0 {
		rest := slices.Delete(slices.Clone(keys), i, i+1)
		if !slices.Contains(c.v.lost, keys[i]) && (len(keys) < 2 || !c.survives(rest, nil)) || len(rest) == 0 {
			return
		}
		q := kmsg.NewPtrRemoveRaftVoterRequest()
		q.VoterID, q.VoterDirectoryID = int32(keys[i].id), keys[i].dir
		what := "remove"
		if keys[i].id == l.id {
			what = "remove leader"
		}
		c.v.counts[what]++
		c.adminAsks(l, q)
		return
	}
	c.v.counts["add"]++
	c.v.joining = c.now + 5*core.Second
	c.adminAsks(l, c.addRequest(m))
}

func (c *cluster) addRequest(m *member) *kmsg.AddRaftVoterRequest {
	q := kmsg.NewPtrAddRaftVoterRequest()
	q.Version, q.VoterID, q.VoterDirectoryID, q.AckWhenCommitted = 1, int32(m.id), m.dir, c.rnd.IntN(2) == 0
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = "CONTROLLER", fmt.Sprint("h", m.id), 9093
	q.Listeners = append(q.Listeners, l)
	return q
}

// wipe takes a node's disk, if every set of voters that may be in force somewhere can do without it.
func (c *cluster) wipe(m *member) {
	sets := [][]voterKey{c.v.first}
	for i := range c.v.appended {
		sets = append(sets, c.v.appended[i].keys)
	}
	live := func(keys []voterKey) bool { // some log may still go by it
		for _, o := range c.members {
			if o.node != nil && o.node.stage == stageServing && slices.Equal(keysOf(o.node), keys) {
				return true
			}
		}
		return false
	}
	for i, keys := range sets {
		if (live(keys) || i == len(sets)-1) && !c.survives(keys, m) {
			return
		}
	}
	for _, o := range c.members { // what is down may hold any of them
		if o.node == nil || o.node.stage != stageServing || o.node.KRaft() == 0 {
			return
		}
	}
	if c.now < c.v.joining {
		return
	}
	c.v.counts["wipe"]++
	c.loseDisk(m)
}

// loseDisk gives a node an empty disk, formatted anew.
func (c *cluster) loseDisk(m *member) {
	c.say("node %d loses its disk", m.id)
	c.crash(m, true)
	c.v.lost = append(c.v.lost, voterKey{m.id, m.dir})
	m.dir[1]++
	m.disk.Wipe()
	m.disk.Format("d")
	m.durable, m.acked, m.spoke = 0, 0, 0
	c.start(m)
}

// dynamicCluster is a cluster whose log names the voters, from the start or from an upgrade on.
func dynamicCluster(seed uint64) *cluster {
	voters := []int{3, 3, 1, 2, 3, 4}[seed%6]
	c := newCluster(seed, voters, 1+int(seed/6%3))
	c.nameVoters(seed%5 == 0, seed%4 == 1)
	return c
}

// nameVoters has the log name the voters: from the start, or from an upgrade on.
func (c *cluster) nameVoters(upgrade, auto bool) {
	voters := c.voters
	c.v.on, c.v.counts = true, map[string]int{}
	var set []wire.Voter
	for _, m := range c.members {
		m.dir = core.TopicID{byte(m.id), 1}
		if m.id > voters {
			continue
		}
		k := voterKey{id: m.id}
		if !upgrade {
			k.dir = m.dir
		}
		c.v.first = append(c.v.first, k)
		set = append(set, wire.Voter{VoterID: core.NodeID(m.id), VoterDirectoryID: wire.UUID(m.dir), Endpoints: c.endpoints(m), KRaftVersionFeature: wire.KRaftVersionFeature{MaxSupportedVersion: 1}})
	}
	if !upgrade {
		for _, m := range c.members[:voters] {
			m.disk.Install("/d/"+Partition.Topic+"-0/"+SnapshotID{}.File(), EncodeVoters(set, 5))
		}
	}
	before := c.adjust
	c.adjust = func(cfg *Config) {
		if before != nil {
			before(cfg)
		}
		m := c.members[cfg.Self-1]
		cfg.Directory, cfg.Endpoints, cfg.AutoJoin = m.dir, c.endpoints(m), auto
		for _, o := range c.members {
			cfg.Bootstrap = append(cfg.Bootstrap, fmt.Sprintf("h%d:9093", o.id))
		}
		if !upgrade {
			cfg.Voters = nil
		}
	}
}

func (c *cluster) endpoints(m *member) []wire.VoterEndpoint {
	return []wire.VoterEndpoint{{Name: "CONTROLLER", Host: fmt.Sprint("h", m.id), Port: 9093}}
}

// Voters come, go, and lose their disks while everything else goes wrong as well: what holds for fixed voters holds, by the set
// in force; and there is never more than one change that is not committed.
func TestChaosOfVoters(t *testing.T) {
	sum, steps, elections := map[string]int{}, 0, 0
	from, n := uint64(0), seeds(t)
	if s := os.Getenv("SEED"); s != "" {
		from, _ = strconv.ParseUint(s, 10, 64)
		if os.Getenv("SEEDS") == "" {
			n = 1
		}
	}
	for seed := from; seed < from+uint64(n); seed++ {
		c := dynamicCluster(seed)
		if n == 1 {
			c.trace = func(s string) { t.Log(s) }
		}
		c.run()
		require.Empty(t, c.broken)
		for k, v := range c.v.counts {
			sum[k] += v
		}
		elections += c.o.elections
		steps += c.steps
		for _, name := range c.marks.Names() {
			marksHit[name] = true
		}
	}
	t.Logf("%d steps, %d elections, %v", steps, elections, sum)
	if n >= 100 {
		for _, what := range []string{"set", "added", "remove", "remove leader", "wipe", "upgrade"} {
			require.Positive(t, sum[what], what)
		}
	}
}
