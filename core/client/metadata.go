package client

import (
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// The kinds of asks that cluster makes on its own account. Owners use numbers below.
const (
	askMetadata uint8 = 200 + iota
	askCoordinator
)

// cluster is what a client knows of the brokers and of the topics that it cares about.
//
// Invariants: brokers is sorted by id, topics and wanted by name; at most one Metadata
// request is in flight.
type cluster struct {
	opt        Options
	pool       link.Pool
	brokers    []Broker
	controller core.NodeID
	id         string // of the cluster

	wanted   []string // topics that the owner cares about
	all      bool     // the owner wants every topic
	known    bool     // at least one reply has come
	topics   []topic
	asking   bool
	asked    uint64    // counts requests, so that an owner can wait for one newer than now
	answered uint64    // the last request that was answered
	stale    bool      // ask again as soon as the backoff allows
	retryAt  core.Time // no request before
	fails    int       // in a row
	freshAt  core.Time // of the last reply
	why      Failure   // of the last attempt

	coordinators []coordinatorOf // in the order in which they were asked for
	generation   uint64          // of that list, which is thrown away when it is full
}

// Broker is one node of the cluster as a client sees it.
type Broker struct {
	ID   core.NodeID
	Addr string
	Rack string
}

type topic struct {
	name       string
	id         core.TopicID
	code       wire.Code
	internal   bool
	seen       uint64 // the request whose reply this is
	partitions []partition
}

type partition struct {
	code     wire.Code
	leader   core.NodeID
	epoch    core.Epoch
	replicas []core.NodeID
	isr      []core.NodeID
	offline  []core.NodeID
}

// coordinatorKind says whose coordinator is meant: a group's or a transactional id's.
type coordinatorKind int8

const (
	ofGroup coordinatorKind = iota
	ofTransactions
)

func (k coordinatorKind) String() string { return [...]string{"group", "transactional id"}[k] }

type coordinatorOf struct {
	kind      coordinatorKind
	key       string // the group, or the transactional id
	node      core.NodeID
	failsThen int // failures of its connection when it was named; below 0: not yet looked
	asking    bool
	retryAt   core.Time
	fails     int
	why       Failure
}

// fewTopics is up to how many topics are searched one by one.
const fewTopics = 8

func newCluster(o Options) cluster {
	return cluster{opt: o, pool: newPool(o), controller: core.NoNode, stale: true}
}

// want adds a topic to those whose metadata is kept.
func (c *cluster) want(name string) {
	if i, found := slices.BinarySearch(c.wanted, name); !found && len(c.wanted) < topicsMax {
		c.wanted = slices.Insert(c.wanted, i, name)
		c.stale = true
	}
}

// refresh asks for new metadata: something that was believed turned out wrong.
func (c *cluster) refresh() { c.stale = true }

// missing asks for metadata that is not there, unless it is on its way.
func (c *cluster) missing() {
	if !c.asking {
		c.stale = true
	}
}

func (c *cluster) topic(name string) *topic {
	if len(c.topics) <= fewTopics { // to look at each is quicker
		for i := range c.topics {
			if c.topics[i].name == name {
				return &c.topics[i]
			}
		}
		return nil
	}
	i, found := slices.BinarySearchFunc(c.topics, name, func(t topic, name string) int { return strings.Compare(t.name, name) })
	if !found {
		return nil
	}
	return &c.topics[i]
}

func (c *cluster) partition(p core.TopicPartition) (*topic, *partition) {
	t := c.topic(p.Topic)
	if t == nil || p.Partition < 0 || int(p.Partition) >= len(t.partitions) {
		return t, nil
	}
	return t, &t.partitions[p.Partition]
}

// leader is the node that leads p, if one is known.
func (c *cluster) leader(p core.TopicPartition) (core.NodeID, core.Epoch) {
	if _, m := c.partition(p); m != nil {
		return m.leader, m.epoch
	}
	return core.NoNode, -1
}

// node returns the lane to a node of the cluster, ready or not, or nil if no such node is known.
func (c *cluster) node(now core.Now, id core.NodeID, l link.Lane, out *core.Out) *link.Peer {
	i, found := slices.BinarySearchFunc(c.brokers, id, func(b Broker, id core.NodeID) int { return int(b.ID) - int(id) })
	if !found {
		return nil
	}
	return c.pool.Address(now, id, l, c.brokers[i].Addr, out)
}

// any returns a connection that is ready, to whichever node is least busy, or nil after having seen to
// it that there will be one: known brokers and bootstrap addresses are tried one at a time.
func (c *cluster) any(now core.Now, out *core.Out) *link.Peer {
	var best *link.Peer
	waiting := false
	for i := range c.pool.Len() {
		p := c.pool.At(i)
		if p.Lane() != general {
			continue
		}
		switch {
		case p.Ready() && c.pool.Usable(now, p, out) && (best == nil || p.Flights() < best.Flights()):
			best = p
		case p.Trying():
			waiting = true
		}
	}
	if best != nil || waiting {
		return best
	}
	n := len(c.brokers) + len(c.opt.Bootstrap)
	if n == 0 {
		return nil
	}
	start, soonest := int(c.pool.Rand().IntN(int64(n))), core.Never
	for i := range n {
		var p *link.Peer
		if k := (start + i) % n; k < len(c.brokers) {
			p = c.node(now, c.brokers[k].ID, general, out)
		} else {
			k -= len(c.brokers)
			p = c.pool.Address(now, core.NoNode-1-core.NodeID(k), general, c.opt.Bootstrap[k], out)
		}
		if p == nil {
			continue
		}
		until, rests := p.Rests()
		if rests && now.Mono >= until {
			c.pool.Usable(now, p, out)
			return nil
		}
		if rests {
			soonest = min(soonest, until)
		}
	}
	c.pool.WakeAt(soonest)
	return nil
}

// tend sends what the cluster itself needs. Every owner's advance begins with it.
func (c *cluster) tend(now core.Now, out *core.Out) {
	if c.pool.Broke() {
		c.stale = true // whatever that node led may be led by another now
	}
	if c.known && now.Mono >= c.freshAt.After(c.opt.MetadataAge) {
		c.stale = true
	}
	if c.known && !c.stale {
		c.pool.WakeAt(c.freshAt.After(c.opt.MetadataAge))
	}
	if !c.stale || c.asking {
		return
	}
	if now.Mono < c.retryAt {
		c.pool.WakeAt(c.retryAt)
		return
	}
	p := c.any(now, out)
	if p == nil {
		return
	}
	v, ok := versionOf(p, int16(kmsg.Metadata), -1)
	if !ok {
		c.why = Failure{Code: wire.UnsupportedVersion, Text: "the broker at " + p.Addr() + " speaks no version of Metadata that this client knows"}
		c.retryAt = now.Mono.After(c.opt.RetryMax)
		c.pool.WakeAt(c.retryAt)
		return
	}
	q := kmsg.NewMetadataRequest()
	q.SetVersion(v)
	q.AllowAutoTopicCreation = c.opt.CreateTopics
	if !c.all {
		q.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range c.wanted {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			q.Topics = append(q.Topics, t)
		}
	}
	c.asked++
	c.asking, c.stale = true, false
	c.pool.Send(now, p, link.Ask{Kind: askMetadata, A: c.asked}, &q, c.opt.RequestTime, out)
}

// replied takes the replies that are the cluster's own, and reports whether r was one.
func (c *cluster) replied(now core.Now, r *link.Reply, out *core.Out) bool {
	switch r.Ask.Kind {
	case askMetadata:
		c.asking = false
		resp, ok := r.Resp.(*kmsg.MetadataResponse)
		switch {
		case !ok:
			c.stale, c.why = true, Failure{Errno: r.Errs, Text: "no reply to Metadata"}
			c.backOff(now)
		case wire.Code(resp.ErrorCode) != wire.None:
			c.stale, c.why = true, Failure{Code: wire.Code(resp.ErrorCode), Text: "Metadata"}
			c.backOff(now)
		default:
			c.learn(now, resp, r.Ask.A, out)
		}
	case askCoordinator:
		c.found(now, r)
	default:
		return false
	}
	return true
}

func (c *cluster) backOff(now core.Now) {
	c.retryAt = now.Mono.After(c.backoff(c.fails))
	c.fails++
}

// backoff is the wait before the next attempt after so many failures in a row.
func (c *cluster) backoff(fails int) core.Time {
	wait := c.opt.RetryMin
	for range min(fails, 20) {
		wait = min(2*wait, c.opt.RetryMax)
	}
	return wait - wait/5 + core.Time(c.pool.Rand().IntN(int64(wait/5)*2+1))
}

func (c *cluster) learn(now core.Now, resp *kmsg.MetadataResponse, seen uint64, out *core.Out) {
	if len(resp.Brokers) > brokersMax || len(resp.Topics) > topicsMax {
		c.stale, c.why = true, Failure{Text: "a Metadata reply above all bounds"}
		c.backOff(now)
		return
	}
	if len(resp.Brokers) > 0 { // a broker that starts may not know of any yet
		c.learnBrokers(now, resp, out)
	}
	c.controller, c.known, c.freshAt, c.answered, c.why = core.NodeID(resp.ControllerID), true, now.Mono, seen, Failure{}
	if resp.ClusterID != nil {
		c.id = *resp.ClusterID
	}
	wanting := len(resp.Brokers) == 0
	old := c.topics
	c.topics = make([]topic, 0, len(resp.Topics))
	for i := range resp.Topics {
		t := learnTopic(&resp.Topics[i], old, seen)
		if t.name == "" {
			continue
		}
		c.topics = append(c.topics, t)
		wanting = wanting || t.wanting(c.brokers)
	}
	slices.SortFunc(c.topics, func(a, b topic) int { return strings.Compare(a.name, b.name) })
	c.topics = slices.CompactFunc(c.topics, func(a, b topic) bool { return a.name == b.name })
	if wanting {
		c.stale = true
		c.backOff(now)
		return
	}
	c.fails = 0
	c.retryAt = now.Mono.After(c.opt.RetryMin) // refreshes that follow each other are no use
}

func (c *cluster) learnBrokers(now core.Now, resp *kmsg.MetadataResponse, out *core.Out) {
	next := make([]Broker, 0, len(resp.Brokers))
	for _, b := range resp.Brokers {
		if b.NodeID < 0 || b.Port < 0 || b.Port > 65535 {
			continue
		}
		host := b.Host
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		nb := Broker{ID: core.NodeID(b.NodeID), Addr: host + ":" + strconv.Itoa(int(b.Port))}
		if b.Rack != nil {
			nb.Rack = *b.Rack
		}
		next = append(next, nb)
	}
	slices.SortFunc(next, func(a, b Broker) int { return int(a.ID) - int(b.ID) })
	next = slices.CompactFunc(next, func(a, b Broker) bool { return a.ID == b.ID })
	for _, was := range c.brokers {
		if !slices.ContainsFunc(next, func(b Broker) bool { return b.ID == was.ID }) {
			c.pool.Forget(now, was.ID, out)
		}
	}
	c.brokers = next
	for _, b := range next {
		for l := general; l <= coordinator; l++ {
			if _, found := c.pool.Find(b.ID, l); found {
				c.pool.Address(now, b.ID, l, b.Addr, out) // closes what leads to a former address
			}
		}
	}
}

// learnTopic makes a topic of its metadata. Of a partition that was known with a later leader epoch,
// what was known stands: another broker may lag behind (KIP-320).
func learnTopic(m *kmsg.MetadataResponseTopic, old []topic, seen uint64) topic {
	t := topic{id: m.TopicID, code: wire.Code(m.ErrorCode), internal: m.IsInternal, seen: seen}
	if m.Topic != nil {
		t.name = *m.Topic
	}
	for i := range m.Partitions {
		if n := m.Partitions[i].Partition; n < 0 || int(n) >= len(m.Partitions) {
			t.code, m.Partitions = wire.UnknownServerError, nil // holes in the numbers: no broker does this
			break
		}
	}
	t.partitions = make([]partition, len(m.Partitions))
	for i := range m.Partitions {
		p := &m.Partitions[i]
		t.partitions[p.Partition] = partition{
			code: wire.Code(p.ErrorCode), leader: core.NodeID(p.Leader), epoch: core.Epoch(p.LeaderEpoch),
			replicas: nodeIDs(p.Replicas), isr: nodeIDs(p.ISR), offline: nodeIDs(p.OfflineReplicas),
		}
	}
	i, found := slices.BinarySearchFunc(old, t.name, func(o topic, name string) int { return strings.Compare(o.name, name) })
	if !found || old[i].id != t.id {
		return t
	}
	for n := range t.partitions {
		if n < len(old[i].partitions) && old[i].partitions[n].epoch > t.partitions[n].epoch && t.partitions[n].epoch >= 0 {
			t.partitions[n] = old[i].partitions[n]
		}
	}
	return t
}

func nodeIDs(ids []int32) []core.NodeID {
	list := make([]core.NodeID, len(ids))
	for i, id := range ids {
		list[i] = core.NodeID(id)
	}
	return list
}

// wanting reports whether the topic's metadata is such that asking again may bring better. A leader that is none of the brokers is
// as good as none: the broker that was asked lags behind another one, which had named it.
func (t *topic) wanting(brokers []Broker) bool {
	if t.code != wire.None {
		return t.code.Retriable()
	}
	for i := range t.partitions {
		leader := t.partitions[i].leader
		if _, known := slices.BinarySearchFunc(brokers, leader, func(b Broker, id core.NodeID) int { return int(b.ID) - int(id) }); !known {
			return true
		}
	}
	return len(t.partitions) == 0
}

// hint takes the new leader that a broker named with its refusal (KIP-951).
func (c *cluster) hint(p core.TopicPartition, leader core.NodeID, epoch core.Epoch) {
	_, m := c.partition(p)
	i := slices.IndexFunc(c.brokers, func(b Broker) bool { return b.ID == leader })
	if m == nil || i < 0 || epoch <= m.epoch {
		c.refresh()
		return
	}
	m.leader, m.epoch = leader, epoch
}

// coordinator returns a connection to the coordinator of a group, ready for a request, or nil while it
// looks for one.
func (c *cluster) coordinator(now core.Now, group string, l link.Lane, out *core.Out) *link.Peer {
	return c.coordinatorFor(now, ofGroup, group, l, out)
}

// coordinatorFor is coordinator for either kind.
func (c *cluster) coordinatorFor(now core.Now, kind coordinatorKind, key string, l link.Lane, out *core.Out) *link.Peer {
	i := slices.IndexFunc(c.coordinators, func(k coordinatorOf) bool { return k.kind == kind && k.key == key })
	if i < 0 {
		if len(c.coordinators) >= coordinatorsMax {
			c.coordinators = c.coordinators[:0] // they are only remembered to save a question
			c.generation++
		}
		i = len(c.coordinators)
		c.coordinators = append(c.coordinators, coordinatorOf{kind: kind, key: key, node: core.NoNode})
	}
	k := &c.coordinators[i]
	if p := c.node(now, k.node, l, out); p != nil {
		if k.failsThen < 0 {
			k.failsThen = p.Fails()
		}
		switch {
		case p.Fails() <= k.failsThen && c.pool.Usable(now, p, out):
			k.failsThen = p.Fails()
			return p
		case p.Fails() <= k.failsThen:
			return nil
		}
		k.node = core.NoNode // it stopped answering since it was named: perhaps it is another by now
		k.retryAt = now.Mono.After(c.backoff(k.fails))
		k.fails++
	}
	if k.asking {
		return nil
	}
	if now.Mono < k.retryAt {
		c.pool.WakeAt(k.retryAt)
		return nil
	}
	p := c.any(now, out)
	if p == nil {
		return nil
	}
	v, ok := versionOf(p, int16(kmsg.FindCoordinator), -1)
	if !ok || v == 0 && kind != ofGroup {
		k.why, k.retryAt = Failure{Code: wire.UnsupportedVersion, Text: "FindCoordinator"}, now.Mono.After(c.opt.RetryMax)
		c.pool.WakeAt(k.retryAt)
		return nil
	}
	q := kmsg.NewFindCoordinatorRequest()
	q.SetVersion(v)
	q.CoordinatorType, q.CoordinatorKey, q.CoordinatorKeys = int8(kind), key, []string{key}
	k.asking = true
	c.pool.Send(now, p, link.Ask{Kind: askCoordinator, A: uint64(i), B: c.generation}, &q, c.opt.RequestTime, out)
	return nil
}

// found takes the reply to FindCoordinator.
func (c *cluster) found(now core.Now, r *link.Reply) {
	if r.Ask.B != c.generation || r.Ask.A >= uint64(len(c.coordinators)) {
		return
	}
	resp, ok := r.Resp.(*kmsg.FindCoordinatorResponse)
	code, id, host, port := wire.None, core.NoNode, "", int32(0)
	if ok {
		code, id, host, port = wire.Code(resp.ErrorCode), core.NodeID(resp.NodeID), resp.Host, resp.Port
		if resp.Version >= 4 {
			code = wire.UnknownServerError
			if len(resp.Coordinators) == 1 {
				o := &resp.Coordinators[0]
				code, id, host, port = wire.Code(o.ErrorCode), core.NodeID(o.NodeID), o.Host, o.Port
			}
		}
	}
	k := &c.coordinators[r.Ask.A]
	k.asking = false
	if !ok || code != wire.None || id < 0 {
		k.why = Failure{Code: code, Errno: r.Errs, Text: "looking for the coordinator of " + k.kind.String() + " " + k.key}
		k.retryAt = now.Mono.After(c.backoff(k.fails))
		k.fails++
		return
	}
	k.node, k.failsThen, k.why = id, -1, Failure{}
	j, known := slices.BinarySearchFunc(c.brokers, id, func(b Broker, id core.NodeID) int { return int(b.ID) - int(id) })
	if !known && port > 0 && port <= 65535 {
		c.brokers = slices.Insert(c.brokers, j, Broker{ID: id, Addr: host + ":" + strconv.Itoa(int(port))})
	}
}

// lostCoordinator takes back what was believed of a group's coordinator.
func (c *cluster) lostCoordinator(now core.Now, group string) {
	c.lostCoordinatorFor(now, ofGroup, group)
}

// lostCoordinatorFor is lostCoordinator for either kind.
func (c *cluster) lostCoordinatorFor(now core.Now, kind coordinatorKind, key string) {
	for i := range c.coordinators {
		if k := &c.coordinators[i]; k.kind == kind && k.key == key && k.node >= 0 {
			k.node = core.NoNode
			k.retryAt = now.Mono.After(c.backoff(k.fails))
			k.fails++
		}
	}
}

// trouble says in a person's words why nothing goes forward, as far as the cluster knows.
func (c *cluster) trouble() Failure {
	for i := range c.pool.Len() {
		if p := c.pool.At(i); !p.Ready() && p.Why() != core.OK {
			return Failure{Errno: p.Why(), Text: "connecting to " + p.Addr()}
		}
	}
	return c.why
}
