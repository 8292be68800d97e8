package broker

import (
	"slices"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/fetch"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/replica"
	"klamm/core/wire"
)

// partitions is what this broker hosts of the image.
//
// Invariants: byLog[i] is the partition whose log has the id i; names and ids lead to the same topics;
// opening counts the hosted partitions whose logs cannot be used yet, of all topics and of each.
type partitions struct {
	taken   bool // the partitions of the image are in service, or were when this broker began to stop
	byLog   []hosted
	topics  []hostedTopic
	free    []int32
	names   map[string]int32
	ids     map[core.TopicID]int32
	opening int
}

// hostedTopic is one topic of the image.
type hostedTopic struct {
	name string
	id   core.TopicID
	logs []log.LogID // by partition; log.NoLog where this broker has no replica

	opening int
}

// hosted is one partition that has a replica here.
type hosted struct {
	used, open, gone bool
	log              log.LogID
	tp               core.TopicPartition
	id               core.TopicID
	leader           *replica.Leader   // nil while another broker leads, or the log is not open
	follower         *replica.Follower // nil unless another broker leads and the log is open
	copying          copying
	isrQueued        bool      // a change of its in-sync set waits to be sent
	isrRests         core.Time // none is asked for before
	throttleLeads    bool      // leader.replication.throttled.replicas names it,
	throttleFollows  bool      // follower.replication.throttled.replicas does
	dirQueued        bool      // the controller is to be told in which directory it is
	cfg              log.Config
	maxMessage       int
	target           batch.Target // compression.type
	convert          bool         // … is not "producer"
	turnNext         uint64       // the turn that the next batch takes which must wait for a conversion,
	turnServed       uint64       // and the one that may be appended next
	why              string       // offline: the reason
	messagesIn       int64
	bytesIn          int64
	bytesOut         int64
	sent             []sentTo // what followers were sent last; sorted by node
	anew             bool     // it had no log here when it was hosted
	losing           bool     // it is damaged, and its repair may lose what follows the damage: see awaitsLoss
}

func (h *hosted) offline() bool   { return h.why != "" }
func (h *hosted) compacted() bool { return h.cfg.Compact }

func (p *partitions) init() {
	p.names = map[string]int32{}
	p.ids = map[core.TopicID]int32{}
}

// at is the partition of a log, or nil.
func (p *partitions) at(id log.LogID) *hosted {
	if id < 0 || int(id) >= len(p.byLog) || !p.byLog[id].used {
		return nil
	}
	return &p.byLog[id]
}

// topic finds a topic by name, or by id.
func (p *partitions) topic(name string, id core.TopicID, byID bool) *hostedTopic {
	i, ok := p.names[name]
	if byID {
		i, ok = p.ids[id]
	}
	if !ok {
		return nil
	}
	return &p.topics[i]
}

// nameOf is the name of a topic given by name or id; empty if it is not there.
func (p *partitions) nameOf(name string, id core.TopicID) string {
	if !id.IsZero() {
		if t := p.topic("", id, true); t != nil {
			return t.name
		}
		return ""
	}
	return name
}

// find is the partition that a client means, if this broker leads it and can serve it.
func (p *partitions) find(name string, id core.TopicID, byID bool, partition int32) (*hosted, wire.Code) {
	t := p.topic(name, id, byID)
	switch {
	case t == nil && byID:
		return nil, wire.UnknownTopicID
	case t == nil || partition < 0 || int(partition) >= len(t.logs):
		return nil, wire.UnknownTopicOrPartition
	case t.logs[partition] == log.NoLog:
		return nil, wire.NotLeaderOrFollower
	}
	h := p.at(t.logs[partition])
	switch {
	case h == nil:
		return nil, wire.NotLeaderOrFollower
	case h.offline():
		return h, wire.KafkaStorageError
	case h.leader == nil:
		return h, wire.NotLeaderOrFollower // not open yet, or led elsewhere: the client asks again
	}
	return h, wire.None
}

// written reports whether a log's bytes below end have gone to the file, so that nothing reads their source
// any more. A log that failed may still hold on to them.
func (p *partitions) written(b *Broker, id log.LogID, end core.Offset) bool {
	h := p.at(id)
	return h != nil && !h.offline() && b.store.Log(id).Written() >= end
}

// count counts a partition that is opening in or out.
func (p *partitions) count(h *hosted, n int) {
	p.opening += n
	if i, ok := p.ids[h.id]; ok {
		p.topics[i].opening += n
	}
}

// anyOpening reports whether a partition of one of these topics is.
func (p *partitions) anyOpening(ids ...core.TopicID) bool {
	for _, id := range ids {
		if i, ok := p.ids[id]; ok && p.topics[i].opening > 0 {
			return true
		}
	}
	return false
}

// maxMessageBytes is the effective max.message.bytes; h may be nil.
func (b *Broker) maxMessageBytes(h *hosted) int {
	if h == nil {
		return 1<<31 - 1
	}
	return h.maxMessage
}

// host begins to serve a topic that has come into the image: its logs are found or made.
func (b *Broker) host(now core.Now, t *image.Topic, out *core.Out) {
	p := &b.parts
	var i int32
	if n := len(p.free); n > 0 {
		i, p.free = p.free[n-1], p.free[:n-1]
	} else {
		i = int32(len(p.topics))
		p.topics = append(p.topics, hostedTopic{})
	}
	p.topics[i] = hostedTopic{name: t.Name, id: t.ID}
	p.names[t.Name], p.ids[t.ID] = i, i
	for _, x := range t.Partitions {
		b.hostPartition(now, t, x, out)
	}
}

// hostPartition begins to serve one partition.
func (b *Broker) hostPartition(now core.Now, t *image.Topic, x *image.Partition, out *core.Out) {
	p := &b.parts
	topic := &p.topics[p.names[t.Name]]
	for len(topic.logs) <= int(x.ID) {
		topic.logs = append(topic.logs, log.NoLog)
	}
	at := -1
	for i, n := range x.Replicas {
		if n == b.cfg.NodeID {
			at = i
		}
	}
	if at < 0 {
		return
	}
	core.Must(topic.logs[x.ID] == log.NoLog, "a partition is hosted once")
	tp := core.TopicPartition{Topic: t.Name, Partition: x.ID}
	cfg := b.topicConfig(t.Name)
	first := cfg
	first.Delete = false // until it leads: see logConfig
	id, found := b.store.Find(tp)
	if found {
		b.store.SetConfig(now, id, first, out)
		b.store.SetTopicID(now, id, t.ID, out) // if it has none
	} else {
		id = b.store.CreateIn(now, max(0, b.placeFor(tp, t.ID, x, out)), tp, t.ID, first, out)
		b.wishGranted(tp)
	}
	topic.logs[x.ID] = id
	for len(p.byLog) <= int(id) {
		p.byLog = append(p.byLog, hosted{})
	}
	h := &p.byLog[id]
	*h = hosted{used: true, log: id, tp: tp, id: t.ID, cfg: cfg, anew: !found}
	b.setTopicFacts(h)
	l := b.store.Log(id)
	switch {
	case l.Offline() != "":
		h.why = l.Offline()
		if _, hurt := l.Damaged(); hurt {
			b.openPartition(now, h, out)
		}
	case l.Online():
		b.openPartition(now, h, out)
	default:
		p.count(h, 1)
	}
	b.checkDir(h)
}

// openPartition takes a partition whose log can be used into service.
func (b *Broker) openPartition(now core.Now, h *hosted, out *core.Out) {
	h.open = true
	if b.damagedBefore(now, h, out) {
		return
	}
	b.takeRole(now, h, out)
}

// takeRole makes of a partition what the image says: led here, following another broker, or neither. It is called
// whenever the image, the broker's own standing or the log may have changed; what is so already is left as it is.
//
// The role changes before anything is done to the log: what a leader of the last epoch still wanted to append is refused from here on.
func (b *Broker) takeRole(now core.Now, h *hosted, out *core.Out) {
	x := b.img.Partition(h.tp.Topic, h.tp.Partition)
	l := b.store.Log(h.log)
	_, hurt := l.Damaged()
	ready := x != nil && h.open && !h.gone && (!h.offline() && l.Online() && !l.Busy() || hurt)
	switch {
	case ready && !hurt && x.Leader == b.cfg.NodeID && b.inService(): // the image may still have the leaderships of a former life: they are over
		b.stopFollowing(h)
		if h.leader == nil || h.leader.Epoch() != x.LeaderEpoch {
			b.lead(now, h, x, out)
			return
		}
		h.leader.SetRecovering(x.Recovering)
		rose := h.leader.Replicas(now.Mono, b.replicas(x))
		b.rose(now, h, h.leader.Agreed(now.Mono, x.ISR, x.Epoch) || rose, out)
	case ready && x.Leader != b.cfg.NodeID && x.Leader != core.NoNode:
		b.stopLeading(now, h, out)
		if f := h.follower; f != nil && f.Leader() == x.Leader && f.Epoch() == x.LeaderEpoch {
			return
		}
		b.stopFollowing(h)
		f, first := replica.Follow(x.Leader, x.LeaderEpoch, b.own(h))
		h.follower = f
		b.follow(now, h, first, out)
		b.askEnd(now, h)
		b.roleChanged(h)
		b.replicate(now, out)
	default: // a log that is being cut comes here again when it is
		b.stopLeading(now, h, out)
		b.stopFollowing(h)
	}
}

// inService reports whether the image has this life of the broker as one that may lead: neither a former life, nor fenced.
func (b *Broker) inService() bool {
	self := b.img.Broker(b.cfg.NodeID)
	return self != nil && !self.Fenced && self.Incarnation == b.boot.incarnation
}

// lead begins a leadership.
func (b *Broker) lead(now core.Now, h *hosted, x *image.Partition, out *core.Out) {
	l := b.store.Log(h.log)
	h.leader = replica.Lead(now.Mono, b.terms(h, x), l.Start(), l.End(), l.Safe(), l.High())
	h.isrRests = 0
	b.repl.led++
	b.wake(waitKey{kind: waitLed})
	b.store.SetConfig(now, h.log, b.logConfig(h), out)
	b.store.BeginEpoch(now, h.log, x.LeaderEpoch, out)
	b.store.SetHigh(now, h.log, h.leader.High(), out)
	if h.leader.SetRecovering(x.Recovering); x.Recovering {
		b.proposeISR(now, h, out)
	}
	b.roleChanged(h)
}

// stopLeading ends a leadership. Whoever waits for it is told.
func (b *Broker) stopLeading(now core.Now, h *hosted, out *core.Out) {
	if h.leader == nil {
		return
	}
	h.leader = nil
	b.store.SetConfig(now, h.log, b.logConfig(h), out)
	b.roleChanged(h)
}

// stopFollowing ends the following of a leader.
func (b *Broker) stopFollowing(h *hosted) {
	if h.follower != nil {
		b.placed(h, h.follower.Leader())
		h.follower = nil
	}
}

// roleChanged wakes whoever waits for a partition, followers of other brokers included.
func (b *Broker) roleChanged(h *hosted) {
	b.wake(waitKey{kind: waitPartition, id: uint64(h.log)})
	b.wake(waitKey{kind: waitWritten, id: uint64(h.log)})
}

// logConfig is the configuration of a hosted log. Only a leader decides what retention lets go: a follower's log starts where
// its leader's does.
func (b *Broker) logConfig(h *hosted) log.Config {
	c := h.cfg
	c.Delete = c.Delete && h.leader != nil
	return c
}

// terms are what the image says of a leadership.
func (b *Broker) terms(h *hosted, x *image.Partition) replica.Terms {
	return replica.Terms{
		Self: b.cfg.NodeID, Epoch: x.LeaderEpoch, ISR: x.ISR, Version: x.Epoch, LagMax: b.cfg.LagMax,
		MinISR: int(b.view().Topic(h.tp.Topic, "min.insync.replicas").Int()), Replicas: b.replicas(x),
	}
}

func (b *Broker) replicas(x *image.Partition) (all []replica.Replica) {
	for _, n := range x.Replicas {
		r := replica.Replica{Node: n, Epoch: -1, Barred: true}
		if k := b.img.Broker(n); k != nil {
			r.Epoch, r.Barred = k.Epoch, k.Fenced || k.ControlledShutdown
		}
		all = append(all, r)
	}
	return all
}

// imageChanged carries a new image into what this broker hosts.
func (b *Broker) imageChanged(now core.Now, d *image.Delta, out *core.Out) {
	for _, t := range d.Deleted {
		b.unhost(now, t, out)
	}
	for _, t := range d.Created {
		b.host(now, t, out)
	}
	for _, c := range d.Changed {
		switch known := b.parts.topic(c.Topic.Name, core.TopicID{}, false) != nil; {
		case c.Old == nil && !known: // nothing was hosted yet when a stop was asked for
		case c.Old == nil:
			b.hostPartition(now, c.Topic, c.New, out)
		default:
			b.partitionChanged(now, c, out)
		}
	}
	if len(d.Brokers) > 0 {
		b.brokersChanged(now, d, out)
	}
	for _, r := range d.Configs {
		switch r.Kind {
		case image.TopicResource:
			b.reconfigure(now, r.Name, out)
		case image.BrokerResource:
			b.reconfigureBroker()
			b.store.SetCleaner(now, b.cfg.Cleaner)
			for t := range b.img.Topics() {
				b.reconfigure(now, t.Name, out)
			}
		}
	}
	b.wake(waitKey{kind: waitImage})
}

// partitionChanged takes in news of a partition: a new leadership, a new in-sync set of the one there is, or a reassignment that
// brings a replica here or takes it away.
func (b *Broker) partitionChanged(now core.Now, c image.PartitionChange, out *core.Out) {
	t := b.parts.topic(c.Topic.Name, core.TopicID{}, false)
	if t == nil {
		return
	}
	var h *hosted
	if int(c.New.ID) < len(t.logs) {
		h = b.parts.at(t.logs[c.New.ID])
	}
	here := slices.Contains(c.New.Replicas, b.cfg.NodeID)
	switch {
	case h == nil && here:
		b.hostPartition(now, c.Topic, c.New, out)
	case h == nil:
	case !here:
		out.Mark("broker.replica-taken-away")
		t.logs[c.New.ID] = log.NoLog
		b.giveUp(now, h, out)
	case h.open:
		b.takeRole(now, h, out)
	}
	if h != nil && here {
		b.checkDir(h)
		if h.losing {
			b.released(now, h.log, out) // what it waits for may have been told
		}
	}
}

// brokersChanged takes in news of brokers: whether this one may lead, and whether the others may join in-sync sets.
func (b *Broker) brokersChanged(now core.Now, d *image.Delta, out *core.Out) {
	own := slices.Contains(d.Brokers, b.cfg.NodeID)
	for _, n := range d.Brokers {
		b.forgetLife(now, n)
	}
	for i := range b.parts.byLog {
		if h := &b.parts.byLog[i]; h.used && h.open && !h.gone && (own || h.leader != nil) {
			b.takeRole(now, h, out)
		}
	}
}

// giveUp stops serving a partition and deletes its log. Whoever waits for it is told.
func (b *Broker) giveUp(now core.Now, h *hosted, out *core.Out) {
	if !h.open && !h.offline() {
		b.parts.count(h, -1)
	}
	h.gone = true
	b.stopFollowing(h)
	h.leader = nil
	b.endMove(now, h.log, out)
	b.store.Delete(now, h.log, out)
	b.roleChanged(h)
}

// unhost gives up a topic that has left the image. Whoever waits for its partitions is told.
func (b *Broker) unhost(now core.Now, t *image.Topic, out *core.Out) {
	p := &b.parts
	i, ok := p.ids[t.ID]
	if !ok {
		return
	}
	for _, id := range p.topics[i].logs {
		if h := p.at(id); h != nil {
			b.giveUp(now, h, out)
		}
	}
	if p.names[t.Name] == i {
		delete(p.names, t.Name)
	}
	delete(p.ids, t.ID)
	p.topics[i] = hostedTopic{}
	p.free = append(p.free, i)
}

// reconfigure gives a topic's logs their effective configuration.
func (b *Broker) reconfigure(now core.Now, topic string, out *core.Out) {
	t := b.parts.topic(topic, core.TopicID{}, false)
	if t == nil {
		return
	}
	cfg := b.topicConfig(topic)
	least := int(b.view().Topic(topic, "min.insync.replicas").Int())
	for _, id := range t.logs {
		h := b.parts.at(id)
		if h == nil {
			continue
		}
		h.cfg = cfg
		b.setTopicFacts(h)
		b.store.SetConfig(now, id, b.logConfig(h), out)
		if h.leader != nil && h.leader.SetMin(now.Mono, least) {
			b.store.SetHigh(now, id, h.leader.High(), out)
		}
		b.wake(waitKey{kind: waitPartition, id: uint64(id)})
	}
}

// setTopicFacts reads what Produce needs of a topic's configuration and the log does not.
func (b *Broker) setTopicFacts(h *hosted) {
	v := b.view()
	h.throttleLeads = throttledIn(v.Topic(h.tp.Topic, "leader.replication.throttled.replicas").List(), h.tp.Partition, b.cfg.NodeID)
	h.throttleFollows = throttledIn(v.Topic(h.tp.Topic, "follower.replication.throttled.replicas").List(), h.tp.Partition, b.cfg.NodeID)
	h.maxMessage = int(v.Topic(h.tp.Topic, "max.message.bytes").Int())
	kind := v.Topic(h.tp.Topic, "compression.type").Text
	h.target, h.convert = batch.Target{}, false
	codec, ok := batch.ParseCodec(kind)
	if !ok { // producer: as it was sent
		return
	}
	h.convert, h.target.Codec = true, codec
	switch codec {
	case batch.Gzip, batch.LZ4, batch.Zstd:
		h.target.Level = int(v.Topic(h.tp.Topic, "compression."+codec.String()+".level").Int())
	}
}

// node is an endpoint that a reply names.
type node = fetch.Node

// endpoints are the listeners' addresses of brokers, each once, in the order given.
func (b *Broker) endpoints(nodes []core.NodeID, listener string) (out []node) {
	for i, id := range nodes {
		seen := false
		for _, o := range nodes[:i] {
			seen = seen || o == id
		}
		k := b.img.Broker(id)
		if seen || k == nil {
			continue
		}
		if e, ok := k.Endpoint(listener); ok {
			out = append(out, node{ID: id, Host: e.Host, Port: int32(e.Port), Rack: k.Rack, HasRack: k.HasRack})
		}
	}
	return out
}
