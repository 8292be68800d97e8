package sim

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/checker"
	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
)

// This file is the admin's part in a cluster: what it does to partitions while they are in use.

// The kinds of requests that only a cluster is asked. They lie behind the others, whose draws they leave alone.
const (
	adminElect adminKind = 100 + iota
	adminReassign
	adminCancel
	adminReassignments
	adminMinISR
	adminFlip
	adminClusterEnd
	adminShorten // by whom leads the partition
	adminShift   // another replica for a partition whose log has just been shortened
	adminMoveDir // see dirs.go
	adminThrottle
)

// clusterAsk draws a request of this file, now and then.
func (a *asking) clusterAsk() (kmsg.Request, bool) {
	then := a.then
	a.then = adminKinds
	if then == adminKinds {
		if q, ok := a.voterAsk(); ok {
			return q, true
		}
	}
	if !a.r.cfg.topology.many() || a.made < len(a.r.cfg.Topics) || a.repeat > 0 || a.session != 0 {
		return nil, false
	}
	v := a.r.choose(a.entity, siteAdmin, a.entity, 1<<57)
	if a.flips > 0 && a.r.stage < stageCalm {
		return a.flip()
	}
	if then != adminKinds && a.r.stage < stageCalm {
		if q := a.afterwards(then); q != nil {
			return q, true
		}
	}
	often := uint64(7)
	if a.r.cfg.topology.moves {
		often = 1
	}
	if a.flips = 0; v&often != 0 || a.r.stage >= stageCalm {
		return nil, false
	}
	a.what, a.topic = adminElect+adminKind(v>>3)%(adminClusterEnd-adminElect), int(v>>8&0xff)
	t := a.stable()
	p := int32(v>>16&0xff) % t.partitions
	switch a.what {
	case adminElect:
		q := kmsg.NewPtrElectLeadersRequest()
		q.TimeoutMillis = 5000
		if v>>24&1 == 0 {
			x := kmsg.NewElectLeadersRequestTopic()
			x.Topic, x.Partitions = t.name, []int32{p}
			q.Topics = append(q.Topics, x)
		}
		return q, true
	case adminReassign, adminCancel:
		if a.what == adminReassign && v>>56&1 == 0 {
			a.then, a.aim, a.flipped = adminCancel, a.topic, p
		}
		return a.reassign(t, p, v>>24), true
	case adminFlip:
		a.flips, a.aim, a.flipped, a.flipOf = 2*(2+int(v>>24&7)), a.topic, p, ""
		if v>>40&3 == 0 && a.r.cluster.newest != nil && a.r.cluster.newest.Topic(offsetsTopic) != nil { // the groups' coordinators
			a.flipOf, a.flipped = offsetsTopic, int32(v>>44&0xff)%int32(len(a.r.cluster.newest.Topic(offsetsTopic).Partitions))
		}
		return a.flip()
	case adminReassignments:
		q := kmsg.NewPtrListPartitionReassignmentsRequest()
		q.TimeoutMillis = 5000
		return q, true
	}
	least := strconv.Itoa(1 + int(v>>24)%int(t.factor))
	if a.r.cfg.topology.ledger || a.r.cfg.topology.wipes || a.r.cfg.Set == SetRepair { // the ledger counts with what the topic was made with
		least = strconv.Itoa(t.minISR())
	}
	return alter(kmsg.ConfigResourceTypeTopic, t.name, minISR, &least), true
}

// flip changes a partition's leader by an election alone, nobody having died: its replicas are put into another order, and the
// preferred one is elected. Done a few times, each of them leads again and again, every few milliseconds.
func (a *asking) flip() (kmsg.Request, bool) {
	a.what, a.flips, a.topic = adminFlip, a.flips-1, a.aim
	topic := a.flipOf
	if topic == "" {
		topic = a.stable().name
	}
	if a.flips&1 == 0 {
		q := kmsg.NewPtrElectLeadersRequest()
		q.TimeoutMillis = 5000
		x := kmsg.NewElectLeadersRequestTopic()
		x.Topic, x.Partitions = topic, []int32{a.flipped}
		q.Topics = append(q.Topics, x)
		return q, true
	}
	img := a.r.cluster.newest
	if img == nil || img.Partition(topic, a.flipped) == nil {
		a.flips = 0
		return nil, false
	}
	p := img.Partition(topic, a.flipped)
	to := ids(p.Replicas)
	if len(to) < 2 || len(p.Adding)+len(p.Removing) > 0 {
		a.flips = 0
		return nil, false
	}
	to = append(to[1:], to[0])
	if len(p.ISR) > 1 && to[0] == int32(p.Leader) {
		to[0], to[1] = to[1], to[0]
	}
	return assignment(topic, a.flipped, to), true
}

// afterwards is what follows at once upon the last request: a reassignment that has just begun is given up, or a copy begins where a
// log was shortened to.
func (a *asking) afterwards(then adminKind) kmsg.Request {
	a.topic = a.aim
	t := a.stable()
	switch a.what = then; then {
	case adminCancel:
		return assignment(t.name, a.flipped, nil)
	case adminShorten:
		a.what = adminDeleteRecords
		return a.deleteRecords(a.r.choose(a.entity, siteAdmin, a.entity, 1<<32))
	}
	img := a.r.cluster.newest
	if img == nil || img.Partition(t.name, a.flipped) == nil {
		return nil
	}
	to := ids(img.Partition(t.name, a.flipped).Replicas)
	for _, i := range a.r.cfg.topology.brokers() {
		if id := nodeID(i); !slices.Contains(to, id) {
			to[len(to)-1] = id
			a.what = adminReassign
			return assignment(t.name, a.flipped, to)
		}
	}
	return nil
}

// shortened picks the partition to delete records of: one that the broker leads to which this admin is connected, if there is one.
func (a *asking) shortened(t *topicConfig, p int32) (*topicConfig, int32) {
	if a.r.cluster == nil || a.r.cluster.newest == nil || !a.r.cfg.topology.moves {
		return t, p
	}
	for i := range a.r.cfg.Topics {
		x := &a.r.cfg.Topics[(a.topic+i)%len(a.r.cfg.Topics)]
		for k := range x.partitions {
			k = (k + p) % x.partitions
			q := a.r.cluster.newest.Partition(x.name, k)
			if x.removable && q != nil && q.Leader > 0 && a.at == a.r.cfg.topology.host(int(q.Leader)-1)+":9092" {
				a.topic += i
				return x, k
			}
		}
	}
	if q := a.r.cluster.newest.Partition(t.name, p); t.removable && q != nil && q.Leader > 0 {
		a.leader = a.r.cfg.topology.host(int(q.Leader)-1) + ":9092"
	}
	return t, p
}

// assignment asks for the replicas of one partition; nil: that its reassignment is given up.
func assignment(topic string, partition int32, replicas []int32) kmsg.Request {
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	q.TimeoutMillis = 5000
	x := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	y := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	y.Partition, y.Replicas = partition, replicas
	x.Topic, x.Partitions = topic, append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	return q
}

// reassign moves a partition to other brokers, as many as it has, or ends its move.
func (a *asking) reassign(t *topicConfig, p int32, v uint64) kmsg.Request {
	var to []int32
	if a.what == adminReassign {
		brokers := a.r.cfg.topology.brokers()
		for i := range int(t.factor) {
			to = append(to, nodeID(brokers[(int(v)+i)%len(brokers)]))
		}
	}
	return assignment(t.name, p, to)
}

// heedCluster counts what was done.
func (a *asking) heedCluster(resp kmsg.Response) {
	w := a.r.w
	a.heedVoters(resp)
	switch p := resp.(type) {
	case *kmsg.ElectLeadersResponse:
		for _, t := range p.Topics {
			for _, x := range t.Partitions {
				switch {
				case x.ErrorCode != 0:
				case a.what == adminFlip:
					w.Counts[AdminFlip]++
				default:
					w.Counts[AdminElect]++
				}
			}
		}
	case *kmsg.AlterPartitionAssignmentsResponse:
		for _, t := range p.Topics {
			for _, x := range t.Partitions {
				switch {
				case x.ErrorCode != 0:
					a.flips = 0
				case a.what == adminReassign:
					w.Counts[AdminReassign]++
				case a.what == adminCancel:
					w.Counts[AdminCancel]++
				}
			}
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		if a.what == adminMinISR && len(p.Resources) == 1 && wire.Code(p.Resources[0].ErrorCode) == wire.None {
			w.Counts[AdminMinISR]++
		}
	}
}

// coordinates reports whether the broker that this admin is connected to leads a partition of the groups' offsets: another
// one would refuse, and the history would fill up with operations of which nobody knows what became.
func (a *asking) coordinates() bool {
	if !a.r.cfg.topology.many() {
		return true
	}
	c := a.r.cluster
	for i := range c.nodes {
		m, ok := a.r.w.Nodes[i].Machine.(member)
		if !ok || a.at != a.r.cfg.topology.host(i)+":9092" || m.Store() == nil {
			continue
		}
		for _, id := range m.Store().IDs() {
			if m.Store().Log(id).Partition().Topic == "__consumer_offsets" && m.Leading(id) != nil {
				return true
			}
		}
	}
	return false
}

// bounds tells the oracle of the answer to a question for the bounds of a partition. In a cluster a leader that was deposed
// and does not know it may say what was true before, so only answers of the newest leader epoch yet are compared; and the
// start that retention has moved on the leader alone may be lower on the next one.
func (r *run) bounds(at core.TopicPartition, start, end int64, epoch int32, asked core.Time) {
	if r.cfg.topology.many() {
		c := r.cluster
		if start >= 0 || epoch < 0 || epoch < c.ends[at] {
			return
		}
		c.ends[at] = epoch
	}
	r.oracle.Bounds(at, start, end, asked, r.w.now)
}

// staleSetting looks at a setting that a broker read from its own metadata: it may be old, but somebody has set it.
func (p *probes) staleSetting(a *asking, value int64) {
	for _, x := range p.settings[a.topic%len(a.r.cfg.Topics)] {
		if x.Write && x.Value == value && x.Outcome != checker.Failed {
			return
		}
	}
	if a.r.cfg.topology.many() && a.what == adminDescribeConfigs {
		a.r.w.Fail("I90", probeSetting+" of "+a.stable().name+" is answered as "+strconv.FormatInt(value, 10)+", which nobody has set")
	}
}

// acked holds an answer to a producer against the truth (I26).
func (r *run) acked(a *producing, res client.Result) {
	c := r.cluster
	if c == nil || a.conf.options.NotIdempotent && a.conf.options.Acks != client.AcksAll || res.Offset < 0 {
		return
	}
	r.ackedAt(res.At, int64(res.Offset))
}

// ackedAt is an answer to acks=all (I26).
func (r *run) ackedAt(at core.TopicPartition, offset int64) {
	c := r.cluster
	if c == nil || c.newest == nil || r.lossy() {
		return
	}
	t := c.newest.Topic(at.Topic)
	if t == nil {
		return
	}
	x := c.of(at, t.ID, false, r.cfg.Set.Replicate(), r.isCleaned(at.Topic))
	x.Acked(offset)
	r.judged(x.Found())
}
