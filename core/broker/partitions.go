package broker

import (
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
// opening counts the hosted partitions whose logs cannot be used yet.
type partitions struct {
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
}

// hosted is one partition that has a replica here.
type hosted struct {
	used, open, gone bool
	log              log.LogID
	tp               core.TopicPartition
	id               core.TopicID
	leader           *replica.Leader // nil while another broker leads, or the log is not open
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
	tp := core.TopicPartition{Topic: t.Name, Partition: x.ID}
	cfg := b.topicConfig(t.Name)
	id, found := b.store.Find(tp)
	if found {
		b.store.SetConfig(now, id, cfg, out)
		b.store.SetTopicID(now, id, t.ID, out) // if it has none
	} else {
		id = b.store.Create(now, tp, t.ID, cfg, out)
	}
	topic.logs[x.ID] = id
	for len(p.byLog) <= int(id) {
		p.byLog = append(p.byLog, hosted{})
	}
	h := &p.byLog[id]
	*h = hosted{used: true, log: id, tp: tp, id: t.ID, cfg: cfg}
	b.setTopicFacts(h)
	l := b.store.Log(id)
	switch {
	case l.Offline() != "":
		h.why = l.Offline()
	case l.Online():
		b.openPartition(now, h, out)
	default:
		p.opening++
	}
}

// openPartition takes a partition whose log can be used into service.
func (b *Broker) openPartition(now core.Now, h *hosted, out *core.Out) {
	h.open = true
	x := b.img.Partition(h.tp.Topic, h.tp.Partition)
	if x == nil || x.Leader != b.cfg.NodeID || !b.img.Live(b.cfg.NodeID) {
		return // of a fenced broker the image still has the leaderships of its former life: they are over
	}
	l := b.store.Log(h.log)
	h.leader = replica.Lead(now.Mono, b.terms(h, x), l.Start(), l.End(), l.Safe(), l.High())
	b.store.BeginEpoch(now, h.log, x.LeaderEpoch, out)
	b.store.SetHigh(now, h.log, h.leader.High(), out)
	b.wake(waitKey{kind: waitPartition, id: uint64(h.log)})
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
		if c.Old == nil {
			b.hostPartition(now, c.Topic, c.New, out)
		} else {
			b.partitionChanged(now, c, out)
		}
	}
	for _, r := range d.Configs {
		switch r.Kind {
		case image.TopicResource:
			b.reconfigure(now, r.Name, out)
		case image.BrokerResource:
			b.reconfigureBroker()
			for t := range b.img.Topics() {
				b.reconfigure(now, t.Name, out)
			}
		}
	}
	b.wake(waitKey{kind: waitImage})
}

// partitionChanged takes in news of a partition: a new leadership, or a new in-sync set of the one there is.
func (b *Broker) partitionChanged(now core.Now, c image.PartitionChange, out *core.Out) {
	t := b.parts.topic(c.Topic.Name, core.TopicID{}, false)
	if t == nil || int(c.New.ID) >= len(t.logs) {
		return
	}
	h := b.parts.at(t.logs[c.New.ID])
	if h == nil || !h.open {
		return
	}
	rose := false
	switch {
	case c.New.Leader != b.cfg.NodeID:
		h.leader = nil
	case h.leader == nil || h.leader.Epoch() != c.New.LeaderEpoch:
		b.openPartition(now, h, out)
	default:
		rose = h.leader.Replicas(now.Mono, b.replicas(c.New))
		rose = h.leader.Agreed(now.Mono, c.New.ISR, c.New.Epoch) || rose
	}
	if rose {
		b.store.SetHigh(now, h.log, h.leader.High(), out)
	}
	b.wake(waitKey{kind: waitPartition, id: uint64(h.log)})
}

// unhost gives up a topic that has left the image. Whoever waits for its partitions is told.
func (b *Broker) unhost(now core.Now, t *image.Topic, out *core.Out) {
	p := &b.parts
	i, ok := p.ids[t.ID]
	if !ok {
		return
	}
	for _, id := range p.topics[i].logs {
		h := p.at(id)
		if h == nil {
			continue
		}
		if !h.open && !h.offline() {
			p.opening--
		}
		h.gone, h.leader = true, nil
		b.store.Delete(now, id, out)
		b.wake(waitKey{kind: waitPartition, id: uint64(id)})
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
		b.store.SetConfig(now, id, cfg, out)
		if h.leader != nil && h.leader.SetMin(now.Mono, least) {
			b.store.SetHigh(now, id, h.leader.High(), out)
		}
		b.wake(waitKey{kind: waitPartition, id: uint64(id)})
	}
}

// setTopicFacts reads what Produce needs of a topic's configuration and the log does not.
func (b *Broker) setTopicFacts(h *hosted) {
	v := b.view()
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

// topicConfig is the effective configuration of a topic's logs: the topic's own settings over the broker's
// dynamic ones, those over the static file, that over Kafka's defaults.
func (b *Broker) topicConfig(topic string) log.Config {
	v := b.view()
	number := func(name string) int64 { return v.Topic(topic, name).Int() }
	ms := func(name string) core.Time { return core.Millis(number(name)) }
	c := log.DefaultConfig()
	c.SegmentBytes = number("segment.bytes")
	if small := v.Topic(topic, "internal.segment.bytes"); !small.Null { // below the least segment.bytes, for tests
		c.SegmentBytes = small.Int()
	}
	c.SegmentTime, c.SegmentJitter = ms("segment.ms"), ms("segment.jitter.ms")
	c.IndexBytesMax, c.IndexInterval = number("segment.index.bytes"), number("index.interval.bytes")
	c.RetentionBytes, c.RetentionTime = number("retention.bytes"), ms("retention.ms")
	if number("retention.ms") < 0 {
		c.RetentionTime = core.Never
	}
	c.MaxMessageBytes = int32(number("max.message.bytes"))
	c.Delete, c.Compact = false, false
	for _, policy := range v.Topic(topic, "cleanup.policy").List() {
		c.Delete = c.Delete || policy == "delete"
		c.Compact = c.Compact || policy == "compact"
	}
	c.FlushMessages, c.FlushTime = number("flush.messages"), ms("flush.ms")
	c.DeleteDelay = ms("file.delete.delay.ms")
	c.AppendTime = v.Topic(topic, "message.timestamp.type").Text == "LogAppendTime"
	c.TimestampBeforeMax, c.TimestampAfterMax = ms("message.timestamp.before.max.ms"), ms("message.timestamp.after.max.ms")
	c.Preallocate = v.Topic(topic, "preallocate").Bool()
	c.ProducerExpiry = core.Millis(v.Broker("producer.id.expiration.ms").Int())
	if c.Durability = b.cfg.Durability; internalTopic(topic) || c.FlushMessages == 1 {
		c.Durability = log.Synced
	}
	return c
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
