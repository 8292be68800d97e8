package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
)

// board is three nodes in one process, and perhaps a fourth broker in its own.
type board struct {
	t    *testing.T
	base int
	data string
	addr string
	dev  *process
}

const shortSession = "broker.session.timeout.ms=4000"

func newBoard(t *testing.T) *board {
	b := &board{t: t, data: filepath.Join(t.TempDir(), "data")}
	b.base = freePorts(t, 0, 1, 2, 100, 101, 102)
	b.addr = "127.0.0.1:" + strconv.Itoa(b.base)
	b.dev = startKlamm(t, "dev", "--nodes", "3", "--listen", b.addr, "--admin", "", "--data", b.data, "--set", shortSession, "--set", "broker.heartbeat.interval.ms=300")
	b.dev.until(`A cluster of 3 Klamm nodes is ready`)
	return b
}

// freePorts finds a port from which on those at the distances are free. They lie below the range from which the kernel takes ports for
// connections, where any client may sit on one at any time.
func freePorts(t *testing.T, distances ...int) (base int) {
	for range 1000 {
		base = 20000 + rand.IntN(12000)
		free := true
		for _, d := range distances {
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(base+d))
			if free = free && err == nil; err == nil {
				l.Close()
			}
		}
		if free {
			return base
		}
	}
	require.FailNow(t, "no free ports")
	return 0
}

// fourth starts another broker: the others are not told.
func (b *board) fourth() *process {
	id, err := os.ReadFile(filepath.Join(b.data, clusterIDFile))
	require.NoError(b.t, err)
	var voters []string
	for i := range 3 {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, b.base+100+i))
	}
	dir := filepath.Join(b.data, "node-4")
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	args := []string{"server", "--admin", ""}
	for _, s := range []string{"node.id=4", "process.roles=broker", "controller.quorum.voters=" + strings.Join(voters, ","), "listeners=PLAINTEXT://127.0.0.1:0",
		"controller.listener.names=CONTROLLER", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "log.dirs=" + dir,
		"klamm.auto.format=true", "klamm.cluster.id=" + strings.TrimSpace(string(id)), shortSession, "broker.heartbeat.interval.ms=300"} {
		args = append(args, "--set", s)
	}
	p := startKlamm(b.t, args...)
	b.await("broker 4 lives", func() bool { return b.node(4).State == "alive" })
	return p
}

func (b *board) await(what string, f func() bool) {
	for end := time.Now().Add(60 * time.Second); !f(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(b.t, what, b.dev.errs.String())
		}
	}
}

// run runs a command against the cluster and reads its JSON into v.
func (b *board) run(code int, v any, args ...string) {
	got, out, errs := klamm(append(args, "--format", "json", "--bootstrap", b.addr)...)
	require.Equal(b.t, code, got, "%v: %s %s", args, out, errs)
	require.NoError(b.t, json.Unmarshal([]byte(out), v), out)
}

func (b *board) nodes() (rows []nodeRow) {
	b.run(0, &rows, "cluster", "nodes")
	return rows
}

func (b *board) node(id core.NodeID) nodeRow {
	for _, r := range b.nodes() {
		if r.ID == id {
			return r
		}
	}
	return nodeRow{}
}

func (b *board) health() (h healthRow, kinds []string) {
	code, out, errs := klamm("cluster", "health", "--format", "json", "--bootstrap", b.addr)
	require.NoError(b.t, json.Unmarshal([]byte(out), &h), errs)
	require.Equal(b.t, h.Green, code == 0)
	for _, f := range h.Findings {
		require.NotEmpty(b.t, f.Remedy)
		kinds = append(kinds, f.Kind)
	}
	return h, kinds
}

func (b *board) topic(name string) topicRow {
	var rows []topicRow
	b.run(0, &rows, "topic", "describe", name)
	return rows[0]
}

// The life of a cluster by its command line: a broker comes, takes its share, is emptied and goes; another one dies.
func TestClusterLife(t *testing.T) {
	b := newBoard(t)
	h, _ := b.health()
	require.True(t, h.Green, h)
	var q quorumSeen
	b.run(0, &q, "cluster", "quorum")
	require.Len(t, q.Voters, 3)
	require.Contains(t, []core.NodeID{1, 2, 3}, q.Leader)
	for _, n := range b.nodes() {
		require.Equal(t, []string{"broker", "controller"}, n.Roles)
		require.Equal(t, "alive", n.State)
	}
	code, _, errs := klamm("topic", "create", "t", "--partitions", "8", "--bootstrap", b.addr)
	require.Zero(t, code, errs)
	file := filepath.Join(t.TempDir(), "lines")
	var lines strings.Builder
	for i := range 500 {
		fmt.Fprintln(&lines, i)
	}
	require.NoError(t, os.WriteFile(file, []byte(lines.String()), 0o644))
	b.produce(file)

	four := b.fourth()
	require.Equal(t, []string{"broker"}, b.node(4).Roles)
	require.Zero(t, b.node(4).Replicas)
	var m moved
	b.run(0, &m, "cluster", "balance", "--dry-run")
	require.NotEmpty(t, m.Moves)
	require.Zero(t, b.node(4).Replicas)
	b.run(0, &m, "cluster", "balance")
	require.True(t, m.Complete)
	b.spread()

	b.factors(&m)
	b.maintenance(&m)

	b.run(0, &m, "cluster", "decommission", "4", "--dry-run")
	require.NotZero(t, b.node(4).Replicas)
	b.run(0, &m, "cluster", "decommission", "4")
	require.Contains(t, strings.Join(m.Next, " "), "cluster unregister 4")
	b.await("node 4 has nothing", func() bool { return b.node(4).Replicas == 0 })
	code, _, errs = klamm("cluster", "unregister", "4", "--bootstrap", b.addr)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "Stop it first")
	require.Zero(t, four.stop(syscall.SIGTERM), four.errs.String())
	_, kinds := b.health()
	require.Equal(t, []string{"broker-offline"}, kinds)
	b.unregister()

	four = b.fourth()
	b.run(0, &m, "cluster", "balance")
	b.await("node 4 has its share", func() bool { return b.node(4).Replicas > 0 })
	four.stop(syscall.SIGKILL)
	b.await("health sees that broker 4 is dead", func() bool {
		_, kinds := b.health()
		return slices.Contains(kinds, "broker-offline") && slices.Contains(kinds, "at-min-isr")
	})
	code, _, errs = klamm("cluster", "unregister", "4", "--bootstrap", b.addr)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "cluster decommission 4")
	b.run(0, &m, "cluster", "decommission", "4")
	require.True(t, m.Complete)
	b.unregister()

	code, out, errs := klamm("consume", "t", "--from", "earliest", "--max", "500", "--bootstrap", b.addr)
	require.Zero(t, code, errs)
	read := strings.Fields(out)
	slices.Sort(read)
	require.Len(t, slices.Compact(read), 500)
	require.Zero(t, b.dev.stop(syscall.SIGTERM), b.dev.errs.String())
}

func (b *board) produce(file string) {
	in, err := os.Open(file)
	require.NoError(b.t, err)
	defer in.Close()
	old := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = old }()
	code, _, errs := klamm("produce", "t", "--bootstrap", b.addr)
	require.Zero(b.t, code, errs)
}

// spread: no broker holds two more replicas, or prefers to lead two more partitions, than another; and who is preferred leads. As with all
// that the controller has decided, the node that is asked may hear of it a moment later.
func (b *board) spread() {
	b.await("replicas and leaders are spread evenly", func() bool {
		replicas, leaders := []int{}, []int{}
		for _, r := range b.nodes() {
			replicas, leaders = append(replicas, r.Replicas), append(leaders, r.Leaders)
		}
		return slices.Max(replicas)-slices.Min(replicas) <= 1 && slices.Max(leaders)-slices.Min(leaders) <= 1
	})
}

func (b *board) factors(m *moved) {
	for _, n := range []int{2, 1, 4, 3} {
		b.run(0, m, "topic", "alter", "t", "--replication-factor", strconv.Itoa(n))
		b.await(strconv.Itoa(n)+" replicas, all in sync", func() bool {
			return !slices.ContainsFunc(b.topic("t").Partitions, func(p partitionRow) bool {
				return len(p.Replicas) != n || len(p.ISR) != n || slices.ContainsFunc(p.ISR, func(id core.NodeID) bool { return !slices.Contains(p.Replicas, id) })
			})
		})
	}
	code, _, errs := klamm("topic", "alter", "t", "--replication-factor", "5", "--bootstrap", b.addr)
	require.Equal(b.t, 1, code)
	require.Contains(b.t, errs, "fewer live brokers")
	code, _, _ = klamm("topic", "alter", "t", "--replication-factor", "0", "--bootstrap", b.addr)
	require.Equal(b.t, 2, code)
}

func (b *board) maintenance(m *moved) {
	before := b.node(2)
	b.run(0, m, "cluster", "maintenance", "2", "on")
	b.await("node 2 leads nothing", func() bool { return b.node(2).Leaders == 0 }) // the node that is asked may hear of it a moment later
	require.Equal(b.t, before.Replicas, b.node(2).Replicas)
	b.run(0, m, "cluster", "maintenance", "2", "off")
	b.await("node 2 leads again", func() bool { return b.node(2).Leaders > 0 })
}

func (b *board) unregister() {
	var gone unregisteredRow
	b.run(0, &gone, "cluster", "unregister", "4")
	require.Equal(b.t, unregisteredRow{4, true}, gone)
	b.await("three brokers, and all is well", func() bool {
		h, _ := b.health()
		return h.Green && h.Brokers == 3
	})
}

// What is wrong is found, by its name.
func TestHealthFindings(t *testing.T) {
	three := func() *picture {
		return &picture{id: "c", brokers: []brokerSeen{{id: 1}, {id: 2}, {id: 3}}, parts: []partSeen{
			{topic: "a", leader: 1, replicas: []core.NodeID{1, 2, 3}, isr: []core.NodeID{1, 2, 3}}, {topic: "one", leader: 3, replicas: []core.NodeID{3}, isr: []core.NodeID{3}}}}
	}
	fine := func() *quorumSeen { return &quorumSeen{Leader: 1, Voters: []quorumNode{{ID: 1}, {ID: 2}, {ID: 3}}} }
	up := []bool{true, true, true}
	for name, c := range map[string]struct {
		break_ func(v *picture, s *quorumSeen)
		up     []bool
		err    error
		want   []string
		says   string
	}{
		"all well":    {func(*picture, *quorumSeen) {}, up, nil, nil, ""},
		"offline":     {func(v *picture, _ *quorumSeen) { v.brokers[1].fenced = true }, []bool{true, false, true}, nil, []string{"broker-offline"}, "decommission 2"},
		"fenced":      {func(v *picture, _ *quorumSeen) { v.brokers[1].fenced = true }, up, nil, []string{"broker-fenced"}, "controllers"},
		"unreachable": {func(*picture, *quorumSeen) {}, []bool{true, true, false}, nil, []string{"broker-unreachable"}, "advertised.listeners"},
		"under":       {func(v *picture, _ *quorumSeen) { v.parts[0].isr = []core.NodeID{1, 2}; v.parts[0].topic = "lax" }, up, nil, []string{"under-replicated"}, ""},
		"at":          {func(v *picture, _ *quorumSeen) { v.parts[0].isr = []core.NodeID{1, 2} }, up, nil, []string{"at-min-isr"}, ""},
		"below":       {func(v *picture, _ *quorumSeen) { v.parts[0].isr = []core.NodeID{1} }, up, nil, []string{"under-min-isr"}, ""},
		"leaderless": {func(v *picture, _ *quorumSeen) {
			v.parts[0].isr, v.parts[0].elr, v.parts[0].leader = nil, []core.NodeID{2, 3}, -1
		}, up, nil, []string{"leaderless"}, "Start one of brokers 2,3"},
		"one moves": {func(v *picture, _ *quorumSeen) {
			v.parts[1].adding, v.parts[1].replicas = []core.NodeID{2}, []core.NodeID{2, 3}
		}, up, nil, nil, ""},
		"silence":   {func(_ *picture, s *quorumSeen) { s.Voters[2].CaughtUp = 20000 }, up, nil, []string{"voter-behind"}, ""},
		"no leader": {func(_ *picture, s *quorumSeen) { s.Leader = -1 }, up, nil, []string{"quorum-leaderless"}, "majority"},
		"no quorum": {func(*picture, *quorumSeen) {}, up, errors.New("timed out"), []string{"quorum-unknown"}, "majority"},
	} {
		v, s := three(), fine()
		c.break_(v, s)
		h := judge(v, map[string]int{"a": 2, "one": 1, "lax": 1}, s, c.err, c.up)
		var kinds []string
		for _, f := range h.Findings {
			kinds = append(kinds, f.Kind)
			require.Contains(t, f.Remedy, c.says, name)
		}
		require.Equal(t, c.want, kinds, name)
		require.Equal(t, len(c.want) == 0, h.Green, name)
	}
}

// anyPicture draws a cluster whose partitions have distinct replicas on brokers that exist.
func anyPicture(t *rapid.T) *picture {
	v := &picture{}
	racks := rapid.IntRange(0, 3).Draw(t, "racks")
	n := rapid.IntRange(1, 6).Draw(t, "brokers")
	for i := range n {
		b := brokerSeen{id: core.NodeID(2*i + 1), fenced: rapid.IntRange(0, 5).Draw(t, "fenced") == 0}
		if racks > 0 {
			b.rack = itoa(i % racks)
		}
		v.brokers = append(v.brokers, b)
	}
	for i := range rapid.IntRange(0, 20).Draw(t, "partitions") {
		p := partSeen{topic: "t" + itoa(i/7), partition: int32(i % 7), leader: core.NoNode}
		order := rapid.Permutation(v.brokers).Draw(t, "replicas")
		for _, b := range order[:rapid.IntRange(1, min(n, 3)).Draw(t, "factor")] {
			p.replicas = append(p.replicas, b.id)
			if !b.fenced && rapid.IntRange(0, 4).Draw(t, "in sync") > 0 {
				p.isr = append(p.isr, b.id)
			}
		}
		if len(p.isr) > 0 {
			p.leader = p.isr[0]
		}
		v.parts = append(v.parts, p)
	}
	return v
}

// Whatever is planned, a partition has replicas on distinct brokers, and none goes to a broker that does not live.
func sound(t *rapid.T, p *planner) {
	for i, target := range p.to {
		sorted := slices.Clone(target)
		slices.Sort(sorted)
		require.NotEmpty(t, target)
		require.Len(t, slices.Compact(sorted), len(target), "a replica twice")
		for _, n := range target {
			require.True(t, p.v.alive(n) || slices.Contains(p.v.parts[i].replicas, n), "a replica moves to a broker that is not alive")
		}
	}
	again := newPlanner(p.v)
	for i := range p.to {
		again.set(i, p.to[i])
	}
	for _, b := range p.v.brokers {
		require.Equal(t, again.replicas[b.id], p.replicas[b.id])
		require.Equal(t, again.leads[b.id], p.leads[b.id])
	}
}

func TestPlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyPicture(t)
		node := rapid.SampledFrom(v.brokers).Draw(t, "node").id
		p := newPlanner(v)
		stuck := p.vacate(node)
		sound(t, p)
		for i, target := range p.to {
			require.Len(t, target, len(v.parts[i].replicas))
			require.Equal(t, slices.Contains(target, node), slices.Contains(stuck, v.parts[i].name()), "it is empty but for what is said to be stuck")
		}

		p = newPlanner(v)
		before := slices.Clone(p.to)
		p.even()
		sound(t, p)
		ids := p.live(p.replicas)
		for i := range before {
			require.Len(t, p.to[i], len(before[i]))
			require.GreaterOrEqual(t, p.racks(p.to[i]), p.racks(before[i]))
			require.True(t, p.to[i][0] == before[i][0] || v.alive(p.to[i][0]), "a dead broker is newly preferred")
		}
		if len(ids) == len(v.brokers) && v.brokers[0].rack == "" {
			require.LessOrEqual(t, p.replicas[ids[0]]-p.replicas[ids[len(ids)-1]], 1, "without racks and dead brokers, nothing is in the way")
		}
		require.False(t, p.evenReplica())
		require.False(t, p.evenLeader())

		p = newPlanner(v)
		stuck = p.relieve(node)
		sound(t, p)
		for i, target := range p.to {
			if !slices.Contains(stuck, v.parts[i].name()) {
				require.NotEqual(t, node, target[0])
			}
			if len(target) > 1 && target[0] != v.parts[i].replicas[0] {
				require.Contains(t, v.parts[i].isr, target[0])
			}
			require.ElementsMatch(t, v.parts[i].replicas, target, "nothing is copied")
		}
		p.restore(node)
		sound(t, p)

		p = newPlanner(v)
		want := rapid.IntRange(1, 6).Draw(t, "want")
		if done := p.factor("t0", want); done {
			sound(t, p)
			for i, target := range p.to {
				if s := &v.parts[i]; s.topic == "t0" {
					require.Len(t, target, want)
					require.True(t, s.leader == core.NoNode || slices.Contains(target, s.leader), "the leader is kept")
					if len(s.isr) >= want {
						require.Subset(t, s.isr, target, "what is in sync is kept before what is not")
					}
				}
			}
		} else {
			require.Less(t, len(p.live(p.replicas)), want)
		}
	})
}
