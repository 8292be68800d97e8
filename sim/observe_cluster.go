package sim

import (
	"fmt"
	"slices"
	"strings"

	"klamm/checker"
	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/replica"
)

// This file follows every copy of every partition, the metadata log included, on all nodes: after each Step it looks at
// what the Step has changed, reads the batches that were written since from the disk, and tells the judges.

// member is a broker as the judges of a cluster look at it.
type member interface {
	Store() *log.Store
	Image() *image.Image
	Quorum() *quorum.Node
	Leading(id log.LogID) *replica.Leader
	SetBack(id log.LogID) (to core.Offset, ok bool)
	Incarnation() core.TopicID
	Hosts() bool
}

// cluster is what is known of all nodes together.
type cluster struct {
	voters   []int32
	copies   []*copies
	index    map[copyKey]int // look-up only
	registry *checker.Registry
	ballots  *checker.Ballots
	voting   voteJudge
	newest   *image.Image // that any node has had
	nodes    []clusterNode
	tap      tap
	voted    int                           // grants that were seen on their way
	ends     map[core.TopicPartition]int32 // leader epoch of the newest answer for an end; look-up only
}

type copyKey struct {
	topic     core.TopicID
	partition int32
}

// copies is one partition and its judge.
type copies struct {
	at  core.TopicPartition
	key copyKey
	*checker.Replicas
}

// clusterNode is the last look at one node.
type clusterNode struct {
	life    uint32
	was     *image.Image // before img, if img came in the Step under way
	step    uint64       // when img came
	logs    []copySeen   // by log id
	hosted  bool         // it has been seen to serve by its metadata
	img     *image.Image
	topics  []topicSeen   // of img, for its digest
	reads   []core.ConnID // connections of consumers, sorted
	resends []resend
	fetch   []booking // of the follower's fetch that the Step under way takes
}

// copySeen is the last look at one log. What changed is what differs from it.
type copySeen struct {
	c                  *copies
	online             bool
	cuts               uint32
	start, starting    core.Offset
	end, written, safe core.Offset
	high               core.Offset
	epoch              core.Epoch // of its leadership, -1 if it has none
	version            core.PartitionEpoch
	asked              int
	dir                string
	file               core.FileID // of the segment
	segment, next      core.Offset // where the next batch is read: the segment's base, the offset
	pos, was           int64       // in the segment; where the batch began that was read last
	torn               bool        // … and other bytes lie between it and the one before
	last               checker.Standing
	stalledAt          core.Offset // the high watermark that stays although nobody holds it
	since, lookedAt    core.Time   // on the node's clock
}

type topicSeen struct {
	topic  *image.Topic
	digest uint64
}

func newCluster(voters []int32, nodes int) *cluster {
	return &cluster{voters: voters, index: map[copyKey]int{}, registry: checker.NewRegistry(), ballots: checker.NewBallots(),
		nodes: make([]clusterNode, nodes), ends: map[core.TopicPartition]int32{}}
}

func (c *cluster) of(at core.TopicPartition, topic core.TopicID, lossy, memory, compacted bool) *copies {
	key := copyKey{topic, at.Partition}
	if at == quorum.Partition {
		key = copyKey{topic: quorum.TopicID}
	}
	if i, ok := c.index[key]; ok {
		return c.copies[i]
	}
	x := &copies{at: at, key: key}
	p := checker.Partition{TopicID: at.Topic, Number: at.Partition}
	if x.Replicas = checker.NewReplicas(p); at == quorum.Partition {
		x.Replicas = checker.NewReplicas(p, c.voters...)
	}
	x.Lossy = (lossy || memory && strings.HasPrefix(at.Topic, "churn")) && !syncedAlways(at.Topic) // of such a topic the ledger knows nothing
	x.Memory = memory && !syncedAlways(at.Topic)
	x.Compacted = compacted
	c.index[key] = len(c.copies)
	c.copies = append(c.copies, x)
	return x
}

// syncedAlways names the topics whose copies count only when synced, whatever the broker's setting.
func syncedAlways(topic string) bool { return strings.HasPrefix(topic, "__") }

// follow begins to follow the copies on all nodes.
func (r *run) follow() {
	r.cluster = newCluster(r.cfg.topology.voters(), r.cfg.topology.nodes())
	r.cluster.voting = newVoteJudge(&r.cfg.topology)
	r.w.OnFrame, r.w.OnSend = r.heard, r.said
	r.w.LookAlways = true
	r.oracle.Writer = r.writer
}

// writer is who led when a record was taken.
func (r *run) writer(at core.TopicPartition, offset int64) (node int32, known bool) {
	if r.cluster == nil || r.cluster.newest == nil || r.cluster.newest.Topic(at.Topic) == nil {
		return -1, false
	}
	if i, ok := r.cluster.index[copyKey{r.cluster.newest.Topic(at.Topic).ID, at.Partition}]; ok {
		return r.cluster.copies[i].Writer(offset)
	}
	return -1, false
}

// started is the highest offset at which a leader's log of a partition has started. A leader that has not heard of it may follow, and show what lies below again.
func (r *run) started(at core.TopicPartition) int64 {
	if r.cluster == nil || r.cluster.newest == nil || r.cluster.newest.Topic(at.Topic) == nil {
		return 0
	}
	if i, ok := r.cluster.index[copyKey{r.cluster.newest.Topic(at.Topic).ID, at.Partition}]; ok {
		return r.cluster.copies[i].Started()
	}
	return 0
}

// gone is called before a life of a node ends, comes before one begins.
func (r *run) gone(n *Node) {
	if r.cluster == nil {
		return
	}
	for _, c := range r.cluster.copies {
		c.Down(nodeID(n.at))
	}
}

func (r *run) comes(n *Node) {
	if r.cluster == nil {
		return
	}
	r.cluster.ballots.Stored(ballotOn(n.at, n))
	r.judged(r.cluster.ballots.Found())
}

// nodeID is the Kafka node id of a node of the world.
func nodeID(n int) int32 { return int32(n + 1) }

// lookCluster looks at what a Step of a node has changed.
func (r *run) lookCluster(at int, n *Node) {
	m, ok := n.Machine.(member)
	if !ok {
		return
	}
	s := m.Store()
	if s == nil {
		return
	}
	c := r.cluster
	v := &c.nodes[at]
	if v.life != n.Life {
		*v = clusterNode{life: n.Life}
	}
	if img := m.Image(); m.Hosts() && img != nil && (img != v.img || !v.hosted) && r.cfg.topology.many() {
		v.hosted = true
		r.watch[at].takenAway(img, core.NodeID(nodeID(at)))
	}
	if img := m.Image(); img != v.img {
		r.lookImage(at, n, v, img)
	}
	r.gated(at, n, m)
	node := m.Quorum()
	for _, id := range s.IDs() {
		r.lookCopy(at, n, m, node, s.Log(id))
	}
	if node != nil && r.cfg.topology.roles[at] != brokerOnly {
		epoch, leader, voted := node.Ballot()
		c.ballots.Look(checker.Ballot{Node: nodeID(at), Life: int(n.Life), Epoch: int32(epoch), Leader: int32(leader), Voted: int32(voted)})
		r.judged(c.ballots.Found())
	}
}

func (r *run) judged(found []checker.Violation) {
	for _, v := range found {
		r.w.Fail(v.Invariant, v.Subject+": "+v.Detail)
	}
}

// lookCopy looks at one log if anything of it is not what it was.
func (r *run) lookCopy(at int, n *Node, m member, node *quorum.Node, l *log.Log) {
	v := &r.cluster.nodes[at]
	i := int(l.ID())
	for len(v.logs) <= i {
		v.logs = append(v.logs, copySeen{})
	}
	x := &v.logs[i]
	if !l.Online() || l.TopicID().IsZero() && l.Partition() != quorum.Partition || undecided(m.Store(), l) { // whose copy it is will be known
		x.online = false
		r.lookDamaged(at, l)
		return
	}
	epoch, version, asked := core.Epoch(-1), core.PartitionEpoch(0), 0
	lead := m.Leading(l.ID())
	metadata := l.Partition() == quorum.Partition
	switch {
	case lead != nil:
		epoch, version, asked = lead.Epoch(), lead.Version(), len(lead.Asked())
	case metadata && node != nil && node.Leads():
		_, epoch = node.Leader()
	}
	start, end, written, safe, high := l.Start(), l.End(), l.Written(), l.Safe(), l.High()
	if x.online && x.cuts == l.Cuts() && x.start == start && x.starting == l.Starting() && x.end == end && x.written == written && x.safe == safe && x.high == high && x.epoch == epoch &&
		x.version == version && x.asked == asked {
		return
	}
	again := x.c == nil || !x.online && x.cuts != l.Cuts()
	if x.c == nil {
		r.meet(at, n, l, x)
		r.recovered(n, l)
	}
	settled := lead != nil && x.last.Leads && x.epoch == epoch && x.last.Life == int(n.Life) && (x.version != version || x.asked > 0 && asked == 0)
	x.online, x.start, x.starting, x.end, x.written, x.safe, x.high, x.epoch, x.version, x.asked = true, start, l.Starting(), end, written, safe, high, epoch, version, asked
	s := checker.Standing{Node: nodeID(at), Life: int(n.Life), Start: int64(start), Starting: int64(l.Starting()), High: int64(high), Safe: int64(safe), End: int64(end),
		Leads: epoch >= 0, Epoch: int32(epoch), PartitionEpoch: int32(version), Settled: settled}
	if lead != nil {
		leaderStanding(&s, lead, n.clock(r.w.now).Mono)
		s.MinBefore = v.minBefore(r.w.Steps, x.c.at)
	} else if s.Leads {
		for _, f := range node.Copies() {
			s.Followers = append(s.Followers, checker.Booked{Node: int32(f.Node), End: int64(f.End)})
		}
	}
	if w := &x.last; !s.Leads && w.Leads && w.Life == s.Life && s.High > w.High {
		// It has raised the high watermark and given up its leadership in one Step.
		s.Moved, s.Leads, s.Epoch, s.ISR, s.Asked, s.MinISR, s.PartitionEpoch = true, true, w.Epoch, w.ISR, w.Asked, w.MinISR, w.PartitionEpoch
	}
	s.Moved = s.Moved || v.reigned(r.w.Steps, x.c.at) || lead != nil && x.last.Leads && x.last.PartitionEpoch != s.PartitionEpoch
	if x.last = s; epoch < 0 {
		x.last.Leads = false
	}
	if x.cuts != l.Cuts() || again {
		if x.cuts != l.Cuts() && l.Start() > 0 && l.Start() == end {
			r.oracle.Anew(x.c.at, int64(end), nodeID(at))
		}
		x.cuts = l.Cuts()
		x.dir = dirOfLog(n, l)
		if to, ok := m.SetBack(l.ID()); ok {
			x.c.SetBack(nodeID(at), int64(to))
		}
		r.loadCopy(at, n, l, x)
	}
	if s.Leads {
		x.c.Leads(&s)
	}
	if file := l.FileOf(x.segment); file != x.file {
		if _, more := l.SegmentAbove(x.segment); more { // another has its place: it was read to its end before it was cleaned
			x.pos = 1 << 40
		}
		x.file = file
	}
	r.readOn(at, n, l, x)
	if r.w.Trace != nil {
		r.w.tracef("%s has %s", n.Name, x.c.describe(&s))
	}
	if metadata {
		r.lookVoters(at, n, node, m.Store(), l, int64(x.next), &s)
	}
	x.c.Look(&s)
	r.judged(x.c.Found())
}

// leaderStanding is what a leader says of its sets and of its followers.
func leaderStanding(s *checker.Standing, lead *replica.Leader, now core.Time) {
	s.ISR, s.Asked, s.MinISR = ids(lead.ISR()), ids(lead.Asked()), lead.Min()
	for _, f := range lead.Copies() {
		s.Followers = append(s.Followers, checker.Booked{Node: int32(f.Node), End: int64(f.End)})
		if f.End >= 0 && !f.Barred && !f.Former && now-f.Caught <= lead.LagMax() {
			s.Joining = append(s.Joining, int32(f.Node))
		}
	}
}

// stallSlack is for how long beyond the time of a late follower a high watermark may stay where nobody holds it any more.
const stallSlack = 500 * core.Millisecond

// overdue looks whether a leader's high watermark stays below what all who count hold, with faults all around (I88).
func (r *run) overdue(at int, n *Node, m member) {
	v := &r.cluster.nodes[at]
	now := n.clock(r.w.now).Mono
	for i := range v.logs {
		x := &v.logs[i]
		lead := m.Leading(log.LogID(i))
		if x.c == nil || !x.online || lead == nil {
			continue
		}
		s := checker.Standing{Safe: int64(x.safe)}
		leaderStanding(&s, lead, now)
		due := s.Due()
		switch {
		case int64(x.high) >= due || x.high != x.stalledAt:
			x.stalledAt, x.since, x.lookedAt = x.high, now, now
		case now-x.lookedAt > lead.LagMax()/4: // the process was paused, or has just begun to look
			x.since, x.lookedAt = now, now
		case now-x.since > lead.LagMax()+stallSlack:
			r.w.Fail("I88", fmt.Sprintf("%s: node %d leads with isr %v asked %v, all of them hold what is below %d, and its high watermark has stayed at %d for %d ms", x.c.Partition.String(),
				nodeID(at), s.ISR, s.Asked, due, x.high, (now-x.since).Millis()))
		default:
			x.lookedAt = now
		}
	}
}

// meet finds the judge of a log that is seen for the first time in a life.
func (r *run) meet(at int, n *Node, l *log.Log, x *copySeen) {
	p := l.Partition()
	x.c = r.cluster.of(p, l.TopicID(), r.lossy(), r.cfg.Set.Replicate(), r.isCleaned(p.Topic))
	x.dir = dirOfLog(n, l)
	for i := range r.cluster.nodes[at].logs { // it was here before in this life, and was deleted
		if o := &r.cluster.nodes[at].logs[i]; o != x && o.c == x.c {
			x.c.Deleted(nodeID(at))
			o.c = nil
		}
	}
}

func ids(nodes []core.NodeID) (list []int32) {
	for _, n := range nodes {
		list = append(list, int32(n))
	}
	return list
}

// lookImage takes in new metadata of a node.
func (r *run) lookImage(at int, n *Node, v *clusterNode, img *image.Image) {
	c := r.cluster
	digest := v.digest(img)
	v.was, v.step, v.img = v.img, r.w.Steps, img
	newest := c.registry.Applied(nodeID(at), int(n.Life), int64(img.End()), digest)
	r.judged(c.registry.Found())
	if !newest {
		return
	}
	old := c.newest
	c.newest = img
	r.lives(old, img)
	all := old == nil || !slices.Equal(old.Brokers(), img.Brokers())
	var fenced, stopping []int32
	for _, b := range img.Brokers() {
		if b.Fenced {
			fenced = append(fenced, int32(b.ID))
		}
		if b.ControlledShutdown {
			stopping = append(stopping, int32(b.ID))
		}
	}
	for t := range img.Topics() {
		before := (*image.Topic)(nil)
		if old != nil {
			before = old.Topic(t.Name)
		}
		if before == t && !all {
			continue
		}
		least := -1
		for _, p := range t.Partitions {
			if before != nil && before.ID == t.ID && before.Partition(p.ID) == p && !all {
				continue
			}
			if least < 0 {
				least = int(image.View{Image: img, Node: core.NodeID(nodeID(at)), Static: nil}.Topic(t.Name, "min.insync.replicas").Int())
			}
			x := c.of(core.TopicPartition{Topic: t.Name, Partition: p.ID}, t.ID, r.lossy(), r.cfg.Set.Replicate(), r.isCleaned(t.Name))
			reg := checker.Registration{Leader: int32(p.Leader), LeaderEpoch: int32(p.LeaderEpoch), Epoch: int32(p.Epoch), Replicas: ids(p.Replicas),
				ISR: ids(p.ISR), ELR: ids(p.ELR), MinISR: min(least, len(p.Replicas)), Offline: offlineIn(img, p)}
			if r.w.Trace != nil {
				r.w.tracef("metadata below %d: %s-%d: %s; fenced %v", img.End(), t.Name, p.ID, reg, fenced)
			}
			r.w.Rec.registered(t, p)
			x.Registered(reg, fenced, stopping)
			r.judged(x.Found())
		}
	}
}

// lives looks at whose life the newest metadata know: one life has one broker epoch (I23), and whatever the life before has
// lost, the metadata know of it from then on.
func (r *run) lives(old, img *image.Image) {
	for _, b := range img.Brokers() {
		if old != nil {
			was := old.Broker(b.ID)
			if was != nil && was.Incarnation == b.Incarnation && was.Epoch != b.Epoch && !(was.Fenced && was.ControlledShutdown) {
				r.w.Fail("I23", fmt.Sprintf("broker %d: one life of it is registered with broker epoch %d and with %d", b.ID, was.Epoch, b.Epoch))
			}
			if was != nil && was.Incarnation == b.Incarnation {
				continue
			}
		}
		if at := int(b.ID) - 1; at >= 0 && at < len(r.cluster.nodes) {
			if m, ok := r.w.Nodes[at].Machine.(member); ok && m.Incarnation() == b.Incarnation {
				for _, c := range r.cluster.copies {
					c.Returned(int32(b.ID), int(r.w.Nodes[at].Life))
				}
			}
		}
	}
}

// digest is a hash of everything in an image that nodes must agree on. A topic that has not changed is the same object.
func (v *clusterNode) digest(img *image.Image) uint64 {
	var h Hash
	was, i := v.topics, 0
	var now []topicSeen
	for t := range img.Topics() {
		for i < len(was) && was[i].topic.Name < t.Name {
			i++
		}
		d := uint64(0)
		if i < len(was) && was[i].topic == t {
			d = was[i].digest
		} else {
			d = digestTopic(t)
		}
		now = append(now, topicSeen{t, d})
		h.Add(d, 1)
	}
	v.topics = now
	for _, b := range img.Brokers() {
		flags := uint64(0)
		for i, f := range [...]bool{b.Fenced, b.ControlledShutdown, b.HasRack, b.HasCordoned, b.Migrating} {
			if f {
				flags |= 1 << i
			}
		}
		h.Add(uint64(b.ID)<<32|flags, uint64(b.Epoch))
		h.Add(sum(b.Incarnation[:]), sum([]byte(b.Rack)))
		for _, e := range b.Endpoints {
			h.Add(sum([]byte(e.Name+"://"+e.Host)), uint64(e.Port))
		}
		for _, d := range b.LogDirs {
			h.Add(sum(d[:]), 2)
		}
	}
	for _, k := range img.Controllers() {
		h.Add(uint64(k.ID), sum(k.Incarnation[:]))
	}
	for set := range img.ConfigSets() {
		h.Add(uint64(set.Kind), sum([]byte(set.Name)))
		for _, p := range set.Values {
			h.Add(sum([]byte(p.Name)), sum([]byte(p.Value)))
		}
	}
	for _, f := range img.Features() {
		h.Add(sum([]byte(f.Name)), uint64(f.Level))
	}
	h.Add(uint64(img.NextProducerID()), uint64(img.Epoch()))
	return h.A ^ h.B
}

func digestTopic(t *image.Topic) uint64 {
	var h Hash
	h.Add(sum([]byte(t.Name)), sum(t.ID[:]))
	nodes := func(list []core.NodeID) {
		h.Add(uint64(len(list)), 3)
		for _, n := range list {
			h.Add(uint64(n), 4)
		}
	}
	for _, p := range t.Partitions {
		recovering := uint64(0)
		if p.Recovering {
			recovering = 1
		}
		h.Add(uint64(p.ID)<<32|recovering, uint64(p.Leader))
		h.Add(uint64(p.LeaderEpoch), uint64(p.Epoch))
		for _, list := range [...][]core.NodeID{p.Replicas, p.ISR, p.Adding, p.Removing, p.ELR, p.LastKnownELR} {
			nodes(list)
		}
		for _, d := range p.Directories {
			h.Add(sum(d[:]), 5)
		}
	}
	return h.A ^ h.B
}

// describe is a copy's standing for a trace.
func (c *copies) describe(s *checker.Standing) string {
	text := fmt.Sprintf("%s-%d: start %d high %d safe %d end %d", c.at.Topic, c.at.Partition, s.Start, s.High, s.Safe, s.End)
	if s.Leads {
		text += fmt.Sprintf(", leads in epoch %d: isr %v asked %v min %d, followers %v", s.Epoch, s.ISR, s.Asked, s.MinISR, s.Followers)
	}
	return text
}

// reigned reports that in the Step under way the metadata went past a whole leadership of a partition: whoever had it may
// have raised the high watermark as its leader and follow again.
func (v *clusterNode) reigned(step uint64, at core.TopicPartition) bool {
	if v.step != step || v.was == nil || v.img == nil {
		return false
	}
	old, now := v.was.Partition(at.Topic, at.Partition), v.img.Partition(at.Topic, at.Partition)
	return old != nil && now != nil && now.LeaderEpoch > old.LeaderEpoch+1
}

// minBefore is a topic's own min.insync.replicas when the Step under way began, if metadata came in it; else zero.
func (v *clusterNode) minBefore(step uint64, at core.TopicPartition) int {
	if v.step != step || v.was == nil || v.was.Partition(at.Topic, at.Partition) == nil {
		return 0
	}
	if least := (image.View{Image: v.was}).Topic(at.Topic, minISR); least.Source == image.SourceTopic {
		return max(1, min(int(least.Int()), len(v.was.Partition(at.Topic, at.Partition).Replicas)))
	}
	return 0
}
