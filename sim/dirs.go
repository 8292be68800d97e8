package sim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
)

// This file is about the log directories of the nodes: how many there are, and what may befall one.

// DirsMax bounds the log directories of a simulated node.
const DirsMax = 3

// drawDirs draws how many log directories each node has: one, for half of the runs.
func (t *topology) drawDirs(c Chooser) {
	t.places = make([]int, len(t.roles))
	several := c.Choose(siteDirs, 0, 2) == 1
	for i := range t.places {
		if t.places[i] = 1; several && t.roles[i] != controllerOnly {
			t.places[i] = 1 + int(c.Choose(siteDirs, uint64(i+1), DirsMax))
		}
	}
}

// dataDirs are the names of log directories, that of the metadata log first.
var dataDirs = [DirsMax]string{"/data", "/data2", "/data3"}

// drawDirPlan draws what befalls single log directories. Where errors of disks are no part of the run, none does.
func drawDirPlan(c Chooser, cfg *Config) (plan []Fault) {
	if !cfg.Set.mayHappen(DiskWriteErrors) {
		return nil
	}
	draw := func(entity, n uint64) int64 { return int64(c.Choose(siteDirs, entity, n)) }
	for i, places := range cfg.topology.places {
		e := uint64(i+1) << 8
		if places < 2 || draw(e, 2) == 0 {
			continue
		}
		plan = append(plan, Fault{Kind: DirFails, Node: i, P: 1 + draw(e+1, uint64(places-1)), For: core.Time(20+draw(e+2, 4000)) * core.Millisecond,
			At: 500*core.Millisecond + core.Time(draw(e+3, uint64(cfg.Chaos.Millis()-500)))*core.Millisecond})
	}
	return plan
}

// dirs are the log directories of a node, that of the metadata log first.
func (t *topology) dirs(node int) []string {
	return dataDirs[:t.places[node]]
}

// withDirs is a configuration file with a node's directories.
func (t *topology) withDirs(config string, node int) string {
	return strings.Replace(config, "log.dirs=/data\n", "log.dirs="+strings.Join(t.dirs(node), ",")+"\n", 1)
}

// logDir is where the log of a partition lies on a node's disk; where it would be in the first directory, if it is nowhere. A
// second one beside it is what is left of a failed directory, so the node's own word counts if it is up, and the last that it had, if it
// is down.
func (r *run) logDir(n *Node, p core.TopicPartition) string {
	name := "/" + p.Topic + "-" + strconv.Itoa(int(p.Partition))
	all := r.cfg.topology.dirs(n.at)
	if b, ok := n.Machine.(storeOwner); ok && b.Store() != nil {
		if id, found := b.Store().Find(p); found {
			return b.Store().Path(b.Store().Log(id).Place()) + name
		}
	}
	for i := range r.watch[n.at].promised {
		if q := &r.watch[n.at].promised[i]; q.partition == p && q.dir != "" && len(n.Disk.Names(q.dir+name)) > 0 {
			return q.dir + name
		}
	}
	for _, dir := range all {
		if len(n.Disk.Names(dir+name)) > 0 {
			return dir + name
		}
	}
	return all[0] + name
}

// dirOfLog is where a log lies that a node has.
func dirOfLog(n *Node, l *log.Log) string {
	p := l.Partition()
	return n.Machine.(storeOwner).Store().Path(l.Place()) + "/" + p.Topic + "-" + strconv.Itoa(int(p.Partition)) + "/"
}

// offlineIn lists the replicas of a partition that are in no directory of their broker, as the metadata have both: damaged or lost ones, and
// those in a directory that has failed (KIP-858).
func offlineIn(img *image.Image, p *image.Partition) (nodes []int32) {
	for i, n := range p.Replicas {
		b := img.Broker(n)
		if b == nil || len(b.LogDirs) == 0 || i >= len(p.Directories) {
			continue
		}
		if d := p.Directories[i]; d != (core.TopicID{}) && d != (core.TopicID{15: 1}) && !slices.Contains(b.LogDirs, d) {
			nodes = append(nodes, int32(n))
		}
	}
	return nodes
}

// placer is a broker that says in which directory a log is.
type placer interface {
	Directory(id log.LogID) core.TopicID
}

// elsewhere says which replica is in another directory than the metadata have it in; empty: none.
func (r *run) elsewhere() string {
	img := r.cluster.newest
	for _, i := range r.cfg.topology.brokers() {
		b, ok := r.w.Nodes[i].Machine.(placer)
		if !ok || r.cfg.topology.places[i] < 2 {
			continue
		}
		s := r.w.Nodes[i].Machine.(storeOwner).Store()
		for t := range img.Topics() {
			for _, p := range t.Partitions {
				at := slices.Index(p.Replicas, core.NodeID(nodeID(i)))
				id, found := s.Find(core.TopicPartition{Topic: t.Name, Partition: p.ID})
				if at >= 0 && found && b.Directory(id) != p.Directories[at] {
					return t.Name + "-" + strconv.Itoa(int(p.ID)) + " is in " + s.Path(s.Log(id).Place()) + " of " + r.w.Nodes[i].Name + ", and the metadata say something else"
				}
			}
		}
	}
	return ""
}

// dirAsk draws a request that moves a replica of the broker to another of its log directories, now and then.
func (a *asking) dirAsk() (kmsg.Request, bool) {
	r := a.r
	if !r.cfg.topology.many() && r.cfg.topology.places[0] < 2 || a.made < len(r.cfg.Topics) || a.repeat > 0 || a.session != 0 || r.stage >= stageCalm && !r.throttled {
		return nil, false
	}
	v := r.choose(a.entity, siteDirs, a.entity, 1<<32)
	switch {
	case r.stage >= stageCalm: // for good; one that was on its way may come after the first
		if !r.lifted || v&7 == 1 {
			return a.throttle(2<<5 | 3<<3 | 3), true
		}
		return nil, false
	case v&7 == 1 && r.cfg.topology.many():
		return a.throttle(v >> 3), true
	case v&7 != 0:
		return nil, false
	}
	a.what = adminMoveDir
	q := kmsg.NewPtrAlterReplicaLogDirsRequest()
	for i := range 1 + int(v>>3&1) { // perhaps two at once
		w := v >> (4 + 12*i)
		d := kmsg.NewAlterReplicaLogDirsRequestDir()
		d.Dir = dataDirs[w%DirsMax]
		t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
		switch topic := &r.cfg.Topics[w>>2%uint64(len(r.cfg.Topics))]; w >> 9 & 7 {
		case 7:
			t.Topic, t.Partitions = "churn"+string(rune('0'+w>>5%3)), []int32{0, 1}
		case 6:
			t.Topic, t.Partitions = "__consumer_offsets", []int32{0}
		default:
			t.Topic = topic.name
			for p := range topic.partitions {
				t.Partitions = append(t.Partitions, p)
			}
		}
		d.Topics = append(d.Topics, t)
		q.Dirs = append(q.Dirs, d)
	}
	return q, true
}

// throttle draws a request that holds the replication of a topic back, or no longer does (KIP-73).
func (a *asking) throttle(v uint64) kmsg.Request {
	a.what, a.r.throttled = adminThrottle, true
	lift := a.r.stage >= stageCalm
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	set := func(kind kmsg.ConfigResourceType, of string, kv ...string) {
		x := kmsg.NewIncrementalAlterConfigsRequestResource()
		x.ResourceType, x.ResourceName = kind, of
		for i := 0; i < len(kv); i += 2 {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name = kv[i]
			if c.Value = kmsg.StringPtr(kv[i+1]); kv[i+1] == "" {
				c.Op, c.Value = kmsg.IncrementalAlterConfigOpDelete, nil
			}
			x.Configs = append(x.Configs, c)
		}
		q.Resources = append(q.Resources, x)
	}
	rate := []string{"20000", "100000", "3000", ""}[v&3]
	set(kmsg.ConfigResourceTypeBroker, "", "leader.replication.throttled.rate", rate, "follower.replication.throttled.rate", []string{rate, "20000"}[v>>2&1],
		"replica.alter.log.dirs.io.max.bytes.per.second", []string{"20000", "100000", "2000", ""}[v>>3&3])
	replicas := []string{"*", "0:1,0:2,1:2,2:3", "", "*"}[v>>5&3]
	t := &a.r.cfg.Topics[v>>7%uint64(len(a.r.cfg.Topics))]
	for i := range a.r.cfg.Topics {
		if x := &a.r.cfg.Topics[i]; x == t || lift {
			set(kmsg.ConfigResourceTypeTopic, x.name, "leader.replication.throttled.replicas", replicas, "follower.replication.throttled.replicas", []string{replicas, "*"}[v>>16&1])
		}
	}
	return q
}

// heedDirs counts the moves that were granted.
func (a *asking) heedDirs(resp kmsg.Response) {
	if x, ok := resp.(*kmsg.IncrementalAlterConfigsResponse); ok && a.what == adminThrottle && len(x.Resources) > 0 && x.Resources[0].ErrorCode == 0 {
		a.r.w.Counts[AdminThrottle]++
		if a.asked >= a.r.calmFrom && a.r.stage >= stageCalm {
			a.r.lifted = !slices.ContainsFunc(x.Resources, func(y kmsg.IncrementalAlterConfigsResponseResource) bool { return y.ErrorCode != 0 })
		}
	}
	if x, ok := resp.(*kmsg.AlterReplicaLogDirsResponse); ok {
		for _, t := range x.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					a.r.w.Counts[AdminMoveDir]++
				}
			}
		}
	}
}

// dirOf is the log directory of a log's directory.
func dirOf(path string) string { return path[:strings.LastIndexByte(path, '/')] }

// marked reports whether a log directory of a node has the marker of a clean stop.
func (r *run) marked(n *Node) bool {
	for _, dir := range r.cfg.topology.dirs(n.at) {
		if _, there := n.Disk.File(dir + marker); there {
			return true
		}
	}
	return false
}
