package sim

import (
	"fmt"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/image"
)

// This file draws a cluster: how many nodes, which roles, which replication. A run of one node draws nothing here, so that
// its other draws are what they always were.

// ServersMax bounds the nodes of a simulated cluster.
const ServersMax = 7

// role is what a node of the cluster does.
type role uint8

const (
	both role = iota
	brokerOnly
	controllerOnly
)

var roleNames = [...]string{"broker,controller", "broker", "controller"}

// topology is the cluster's part of a run's configuration.
type topology struct {
	roles   []role
	servers []string // the configuration file of each node,
	common  string   // what all of them have beside that of a single one,
	racks   int      // and over how many racks they are spread, and 1; 0: none
	places  []int    // how many log directories each has
	factor  int16    // of topics that are made and deleted
	ledger  bool     // lossy restarts come only as far as the promise covers them
	wipes   bool     // disks of brokers may be lost, likewise
	moves   bool     // replicas are moved often, and records deleted within batches: many copies begin in the midst of a log
	victim  int      // the node whose disk is bad, in SetRepair

	voting      voting  // who names the voters
	first       []int32 // the first of them
	autoJoin    bool    // controllers that are none let themselves in
	losesVoters bool    // disks of voters may be lost
}

// many reports whether there is more than one node.
func (t *topology) many() bool { return len(t.roles) > 1 }

// nodes is how many nodes are servers: the first ones of the world.
func (t *topology) nodes() int { return len(t.roles) }

// brokers lists the nodes that are brokers, voters the Kafka ids of those that are controllers.
func (t *topology) brokers() (list []int) {
	for i, k := range t.roles {
		if k != controllerOnly {
			list = append(list, i)
		}
	}
	return list
}

func (t *topology) voters() (list []int32) {
	for i, k := range t.roles {
		if k != brokerOnly {
			list = append(list, nodeID(i))
		}
	}
	return list
}

// host is the name of a node of the world.
func (t *topology) host(i int) string {
	if !t.many() {
		return "broker"
	}
	return "broker" + string(rune('1'+i))
}

// address is where clients find a broker; v chooses it.
func (t *topology) address(v uint64) string {
	list := t.brokers()
	return t.host(list[v%uint64(len(list))]) + ":9092"
}

// bootstrap is a drawn part of the brokers.
func (t *topology) bootstrap(v uint64) (list []string) {
	for _, i := range t.brokers() {
		if v>>i&1 == 1 {
			list = append(list, t.host(i)+":9092")
		}
	}
	if len(list) == 0 {
		list = append(list, t.address(v>>8))
	}
	return list
}

// drawTopology draws the nodes and their roles.
func drawTopology(c Chooser, from, to int) (t topology) {
	k := uint64(0)
	draw := func(n int) int { k++; return int(c.Choose(siteTopology, k, uint64(n))) }
	from, to = max(from, 1), min(max(to, from, 1), ServersMax)
	n := from + draw(to-from+1)
	t.roles = make([]role, n)
	t.drawDirs(c)
	if n < 4 {
		return t
	}
	voters := 3
	if n > 5 && draw(3) == 2 {
		voters = 5
	}
	switch draw(6) {
	case 3, 4: // some are brokers only
		for i := voters; i < n; i++ {
			t.roles[i] = brokerOnly
		}
	case 5: // controllers apart
		if n < 6 {
			voters = 1
		} else {
			voters = 3
		}
		for i := range t.roles {
			if t.roles[i] = brokerOnly; i < voters {
				t.roles[i] = controllerOnly
			}
		}
	}
	return t
}

// drawCluster completes the configuration of a run of several nodes.
func (cfg *Config) drawCluster(c Chooser) {
	t := &cfg.topology
	if !t.many() {
		cfg.topology.factor = 1
		cfg.buildServers()
		return
	}
	k := uint64(100)
	draw := func(n int) int { k++; return int(c.Choose(siteTopology, k, uint64(n))) }
	of := func(list ...string) string { return list[draw(len(list))] }
	brokers := len(t.brokers())
	t.ledger = cfg.Set.Replicate() && draw(4) != 3
	t.wipes = slices.Contains(t.roles, brokerOnly) && brokers > 2 && draw(3) != 0 &&
		cfg.Set != SetRepair && cfg.Set != SetErrors // a broker that has to give up a directory is no other copy to rely on
	t.moves = draw(4) == 3
	t.drawVoting(c)
	if cfg.Set == SetRepair || cfg.Set.mayHappen(DiskWriteErrors) { // one bad disk at a time
		t.losesVoters = false
	}
	t.wipes = t.wipes || t.losesVoters && brokers > 2
	safe := t.wipes || cfg.Set == SetRepair               // what is acknowledged is on two disks
	t.ledger = t.ledger || t.wipes && cfg.Set.Replicate() // a disk that is lost takes the last copy with it if others have lost theirs
	factor := func() int16 {
		if safe {
			return int16(2 + draw(brokers-1))
		}
		if most := min(brokers, 3); draw(4) != 3 {
			return int16(most)
		}
		return int16(1 + draw(brokers))
	}
	t.factor = factor()
	for i := range cfg.Topics {
		x := &cfg.Topics[i]
		x.factor = factor()
		least := 1 + draw(int(x.factor))
		if x.factor == 3 && draw(2) == 1 || (t.ledger || safe) && x.factor > 1 && least == 1 {
			least = 2
		}
		x.configs = append(x.configs, [2]string{minISR, fmt.Sprint(least)})
	}
	if t.moves {
		cfg.Topics[0].removable = true
	}
	var b strings.Builder
	line := func(kv string) { b.WriteString(kv + "\n") }
	b.WriteString(commonBase)
	offsets, least := min(brokers, 1+draw(4)), of("1", "1", "2")
	if safe {
		offsets, least = max(2, offsets), fmt.Sprint(serversMinISR)
	}
	line(fmt.Sprintf("offsets.topic.replication.factor=%d", offsets))
	line("min.insync.replicas=" + least)
	line("controller.quorum.election.timeout.ms=" + of("1000", "300", "500"))
	line("controller.quorum.fetch.timeout.ms=" + of("2000", "600", "1000"))
	line("controller.quorum.election.backoff.max.ms=" + of("1000", "100", "500"))
	line("controller.quorum.request.timeout.ms=" + of("2000", "1000"))
	beat := draw(3)
	line("broker.heartbeat.interval.ms=" + []string{"500", "100", "300"}[beat])
	line("broker.session.timeout.ms=" + []string{"2000", "800", "3000"}[beat])
	line("replica.lag.time.max.ms=" + of("10000", "1500", "3000"))
	line("replica.fetch.wait.max.ms=" + of("500", "50", "200"))
	line("replica.fetch.backoff.ms=" + of("1000", "50", "200"))
	line("replica.fetch.max.bytes=" + of("1048576", "2000", "20000"))
	line("replica.fetch.response.max.bytes=" + of("10485760", "5000"))
	line("leader.imbalance.check.interval.seconds=" + of("300", "1", "3"))
	line("auto.leader.rebalance.enable=" + of("true", "true", "false"))
	if draw(8) == 7 { // the metadata log takes no more while a little is on its way
		line("klamm.internal.metadata.pending.bytes=" + of("1", "300", "2000"))
	}
	if cfg.Set == SetRepair {
		t.victim = t.brokers()[draw(brokers)]
		line("klamm.log.scrub.interval.ms=" + of("1000", "5000", "20000"))
		line("klamm.log.scrub.bytes.per.second=" + of("8388608", "100000", "30000"))
	}
	t.common, t.racks = b.String(), draw(3)
	cfg.buildServers()
}

// commonBase is what the configuration files of every cluster have in common.
const commonBase = "klamm.cluster.id=" + clusterID + "\n"

// buildServers writes the configuration file of each node.
func (cfg *Config) buildServers() {
	t := &cfg.topology
	t.servers = nil
	if !t.many() {
		t.servers = []string{t.withDirs(cfg.Broker, 0)}
		return
	}
	for i, k := range t.roles {
		t.servers = append(t.servers, t.withDirs(cfg.server(i, k, t.racks)+cfg.quorumLines(k)+t.common, i))
	}
}

// quorumVoters names the voters.
func (cfg *Config) quorumVoters() string {
	var list []string
	for _, id := range cfg.topology.voters() {
		list = append(list, fmt.Sprintf("%d@%s:9093", id, cfg.topology.host(int(id-1))))
	}
	return strings.Join(list, ",")
}

// server is the configuration file of one node of several: that of a single one, with other names.
func (cfg *Config) server(i int, k role, racks int) string {
	host := cfg.topology.host(i)
	var listeners []string
	if k != controllerOnly {
		listeners = append(listeners, "PLAINTEXT://"+host+":9092")
	}
	if k != brokerOnly {
		listeners = append(listeners, "CONTROLLER://"+host+":9093")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "node.id=%d\nprocess.roles=%s\nlisteners=%s\n", nodeID(i), roleNames[k], strings.Join(listeners, ","))
	if racks > 0 && k != controllerOnly {
		fmt.Fprintf(&b, "broker.rack=r%d\n", i%(racks+1))
	}
	for _, kv := range strings.SplitAfter(cfg.Broker, "\n") {
		switch name, value, _ := strings.Cut(kv, "="); name {
		case "node.id", "process.roles", "listeners", "offsets.topic.replication.factor", "klamm.internal.broker.requests":
		case "offsets.commit.timeout.ms": // shorter than replication takes, no leader of a group would learn that its assignment is stored
			fmt.Fprintf(&b, "%s=%d\n", name, max(number(strings.TrimSpace(value)), 100))
		default:
			b.WriteString(kv)
		}
	}
	return b.String()
}

// describe is the cluster for a reader.
func (t *topology) describe() string {
	var list []string
	for _, k := range t.roles {
		list = append(list, roleNames[k])
	}
	return fmt.Sprintf("nodes %d: %s; ledger %v, wipes %v, moves %v, log directories %v, victim %d; voters %s %v, auto-join %v, lose disks %v\n", len(list),
		strings.Join(list, " | "), t.ledger, t.wipes, t.moves, t.places, nodeID(t.victim), votingNames[t.voting], t.first, t.autoJoin, t.losesVoters)
}

const minISR = "min.insync.replicas"

// serversMinISR is what the brokers have for it where disks are wiped.
const serversMinISR = 2

// whole says what keeps the cluster from being whole, as the newest metadata have it: a broker that is fenced, a
// partition without a leader, without its full in-sync set, or in the midst of a reassignment (I87). Empty: nothing.
func (r *run) whole() string {
	c := r.cluster
	if c == nil || !r.cfg.topology.many() {
		return ""
	}
	img := c.newest
	if img == nil {
		return "no node has any metadata"
	}
	for _, i := range r.cfg.topology.brokers() {
		b := img.Broker(core.NodeID(nodeID(i)))
		if b == nil || b.Fenced || b.ControlledShutdown {
			return fmt.Sprintf("broker %d is not in service", nodeID(i))
		}
		if n := r.w.Nodes[i]; n.State != Up {
			return n.Name + " is not up"
		}
	}
	for t := range img.Topics() {
		for _, p := range t.Partitions {
			if p.Leader < 0 || len(p.ISR) != len(p.Replicas) || len(p.Adding)+len(p.Removing) > 0 {
				return fmt.Sprintf("%s-%d: leader %d, replicas %v, in sync %v, eligible %v, adding %v, removing %v", t.Name, p.ID, p.Leader, p.Replicas, p.ISR, p.ELR,
					p.Adding, p.Removing)
			}
		}
	}
	return r.elsewhere()
}

// converged compares all copies of the quiet cluster (I30), and says what differs.
func (r *run) converged() string {
	c := r.cluster
	if c == nil || c.newest == nil || !r.cfg.topology.many() {
		return ""
	}
	for t := range c.newest.Topics() {
		for _, p := range t.Partitions {
			x := c.of(core.TopicPartition{Topic: t.Name, Partition: p.ID}, t.ID, r.lossy(), r.cfg.Set.Replicate(), r.isCleaned(t.Name))
			if v := x.Converged(ids(p.Replicas)); v != nil {
				return v.Subject + ": " + v.Detail
			}
		}
	}
	return c.same()
}

// unread names a partition whose leader's log goes on beyond the end that the audit came to. Who leads is in the newest metadata.
func (r *run) unread() string {
	if r.audit == nil || r.cluster == nil || r.cluster.newest == nil || !r.cfg.topology.many() {
		return ""
	}
	return r.oracle.unread(func(at core.TopicPartition) int64 {
		p := r.cluster.newest.Partition(at.Topic, at.Partition)
		if p == nil || p.Leader < 1 || int(p.Leader) > r.cfg.topology.nodes() {
			return -1
		}
		m, ok := r.w.Nodes[p.Leader-1].Machine.(member)
		if !ok || m.Store() == nil {
			return -1
		}
		id, ok := m.Store().Find(at)
		if !ok {
			return -1
		}
		return int64(m.Store().Log(id).End())
	})
}

// same compares the metadata of all nodes.
func (c *cluster) same() string {
	var first *image.Image
	for i := range c.nodes {
		img := c.nodes[i].img
		switch {
		case img == nil:
			return fmt.Sprintf("node %d has no metadata", nodeID(i))
		case first == nil:
			first = img
		case img.End() != first.End():
			return fmt.Sprintf("node %d has the metadata below %d, node 1 those below %d", nodeID(i), img.End(), first.End())
		}
	}
	return ""
}

// lossy reports whether acknowledged records may be missing in the end.
func (r *run) lossy() bool { return r.cfg.Set.Lossy() && !r.cfg.topology.ledger }

// addServers adds the nodes of the cluster to the world: they are its first nodes.
func (r *run) addServers() {
	t := &r.cfg.topology
	for i, k := range t.roles {
		n := &Node{Name: t.host(i), Broker: true, Pure: r.opt.Pure, Make: func(uint32) core.Machine { return r.opt.Broker() },
			Config: func(uint32) string { return t.servers[i] }}
		port := "9092"
		if k != brokerOnly {
			n.Control = "9093"
		}
		if k == controllerOnly {
			port = n.Control
		}
		r.w.Add(n, t.host(i), port, 1<<30)
		for _, dir := range t.dirs(i) {
			n.Disk.Format(dir[1:])
		}
		t.formatVoters(i, n)
		n.Disk.Check = r.cfg.Debug
	}
}

// dial draws the broker to which a client that speaks by hand connects next.
func (r *run) dial(entity uint64) string {
	if !r.cfg.topology.many() {
		return "broker:9092"
	}
	return r.cfg.topology.address(r.w.draw(siteAdmin, entity<<8, 1<<16))
}

// stuckServers says how the servers are.
func (r *run) stuckServers(b *strings.Builder) {
	for i := range r.cfg.topology.nodes() {
		n := r.w.Nodes[i]
		b.WriteString("; " + n.describe())
		if rep, ok := n.Machine.(core.Reporter); ok {
			if x := rep.Report(n.clock(r.w.now)); !x.Ready {
				fmt.Fprintf(b, "; not ready: %v", x.Reasons)
			}
		}
	}
	for _, what := range []string{r.whole(), r.converged(), r.unread(), r.harmed(), r.undecided()} {
		if what != "" {
			b.WriteString("; " + what)
		}
	}
}
