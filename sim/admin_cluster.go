package sim

import (
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
	adminClusterEnd
)

// clusterAsk draws a request of this file, now and then.
func (a *asking) clusterAsk() (kmsg.Request, bool) {
	if !a.r.cfg.topology.many() || a.made < len(a.r.cfg.Topics) || a.repeat > 0 || a.session != 0 {
		return nil, false
	}
	v := a.r.w.draw(siteAdmin, a.entity, 1<<32)
	if v&7 != 0 || a.r.stage >= stageCalm {
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
		return a.reassign(t, p, v>>24), true
	case adminReassignments:
		q := kmsg.NewPtrListPartitionReassignmentsRequest()
		q.TimeoutMillis = 5000
		return q, true
	}
	least := strconv.Itoa(1 + int(v>>24)%int(t.factor))
	if a.r.cfg.topology.ledger || a.r.cfg.topology.wipes { // the ledger counts with what the topic was made with
		least = strconv.Itoa(t.minISR())
	}
	return alter(kmsg.ConfigResourceTypeTopic, t.name, minISR, &least), true
}

// reassign moves a partition to other brokers, as many as it has, or ends its move.
func (a *asking) reassign(t *topicConfig, p int32, v uint64) kmsg.Request {
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	q.TimeoutMillis = 5000
	x := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	y := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	if y.Partition = p; a.what == adminReassign {
		brokers := a.r.cfg.topology.brokers()
		for i := range int(t.factor) {
			y.Replicas = append(y.Replicas, nodeID(brokers[(int(v)+i)%len(brokers)]))
		}
	}
	x.Topic, x.Partitions = t.name, append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	return q
}

// heedCluster counts what was done.
func (a *asking) heedCluster(resp kmsg.Response) {
	w := a.r.w
	switch p := resp.(type) {
	case *kmsg.ElectLeadersResponse:
		for _, t := range p.Topics {
			for _, x := range t.Partitions {
				if x.ErrorCode == 0 {
					w.Counts[AdminElect]++
				}
			}
		}
	case *kmsg.AlterPartitionAssignmentsResponse:
		for _, t := range p.Topics {
			for _, x := range t.Partitions {
				if x.ErrorCode == 0 && a.what == adminReassign {
					w.Counts[AdminReassign]++
				} else if x.ErrorCode == 0 {
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
	if c == nil || c.newest == nil || a.conf.options.NotIdempotent && a.conf.options.Acks != client.AcksAll || res.Offset < 0 || r.lossy() {
		return
	}
	t := c.newest.Topic(res.At.Topic)
	if t == nil {
		return
	}
	x := c.of(res.At, t.ID, false, r.cfg.Set.Replicate())
	x.Acked(int64(res.Offset))
	r.judged(x.Found())
}
