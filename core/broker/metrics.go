package broker

import (
	"strconv"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// counters are plain numbers that handlers add to. Metrics are made of them on demand.
type counters struct {
	requests           [128]int64 // by API key
	messagesIn         int64
	produceBytes       int64
	fetchBytes         int64
	bytesOut           int64
	produceFailed      int64
	fetchFailed        int64
	connectionsOpened  int64
	connectionsClosed  int64
	connectionsDropped int64
	offlineLogs        int64
	conversions        int64 // batches compressed anew
	badCRC             int64 // batches refused, by what is wrong with them
	badMagic           int64
	badSequence        int64
	keyless            int64
	bytesRejected      int64 // of batches above max.message.bytes

	noteSecond   core.Time
	notes        int64
	notesLeftOut int64
}

func (c *counters) request(key int16) {
	if key >= 0 && int(key) < len(c.requests) {
		c.requests[key]++
	}
}

// refused counts a batch that is not taken.
func (c *counters) refused(v batch.Verdict, bytes int) {
	switch v {
	case batch.BadCRC:
		c.badCRC++
	case batch.OldMagic:
		c.badMagic++
	case batch.BadOffset, batch.BadCount, batch.BadSequence:
		c.badSequence++
	case batch.TooLarge:
		c.bytesRejected += int64(bytes)
	}
}

// Report describes the broker to its operator.
//
// Names of metrics follow one rule: Kafka's domain, type and name in small letters, dots as underscores, joined by
// underscores; what is a meter there ("…PerSec") is the counter behind it, "PerSec" replaced by _total; the other parts
// of Kafka's name are labels. So kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=t is
// kafka_server_brokertopicmetrics_messagesin_total{topic="t"}.
func (b *Broker) Report(now core.Now) *core.Report {
	r := &core.Report{Ready: b.stage == stageReady}
	if !r.Ready {
		r.Reasons = append(r.Reasons, b.whyNot()...)
	}
	if b.stage == stagePartitions {
		r.Reasons = append(r.Reasons, strconv.Itoa(b.parts.opening)+" partitions are not open yet")
	}
	for i := range b.parts.byLog {
		if h := &b.parts.byLog[i]; h.used && h.offline() {
			r.Reasons = append(r.Reasons, "partition "+h.tp.Topic+"-"+strconv.Itoa(int(h.tp.Partition))+" is offline: "+h.why)
		}
	}
	m := reporter{r: r}
	b.reportBroker(&m)
	b.reportTopics(&m)
	if b.store != nil {
		b.reportCleaner(now, &m)
	}
	b.reportCluster(&m)
	b.reportMetadata(&m)
	b.reportGroups(&m)
	b.reportTransactions(&m)
	b.reportWaiting(&m)
	b.reportRepair(&m)
	return r
}

// reporter gathers metrics.
type reporter struct{ r *core.Report }

func (m *reporter) add(kind core.MetricKind, name, help string, v int64, labels ...core.Label) {
	m.r.Metrics = append(m.r.Metrics, core.Metric{Name: name, Help: help, Kind: kind, Labels: labels, Value: v})
}

func (b *Broker) reportBroker(m *reporter) {
	c := &b.counts
	m.add(core.Counter, "kafka_server_brokertopicmetrics_messagesin_total", "records produced by clients", c.messagesIn)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_bytesin_total", "bytes produced by clients", c.produceBytes)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_bytesout_total", "bytes fetched by clients", c.fetchBytes)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_totalproducerequests_total", "Produce requests", c.requests[wire.KeyProduce])
	m.add(core.Counter, "kafka_server_brokertopicmetrics_totalfetchrequests_total", "Fetch requests", c.requests[wire.KeyFetch])
	m.add(core.Counter, "kafka_server_brokertopicmetrics_failedproducerequests_total", "Produce requests with an error", c.produceFailed)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_failedfetchrequests_total", "partitions of Fetch requests with an error", c.fetchFailed)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_producemessageconversions_total", "batches compressed anew", c.conversions)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total", "batches refused for their checksum", c.badCRC)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_invalidmagicnumberrecords_total", "batches refused for their age", c.badMagic)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_invalidoffsetorsequencerecords_total", "batches refused for their offsets or sequences", c.badSequence)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_nokeycompactedtopicrecords_total", "batches refused for a record without a key", c.keyless)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_bytesrejected_total", "bytes of batches above max.message.bytes", c.bytesRejected)
	for _, key := range wire.Keys() {
		m.add(core.Counter, "kafka_network_requestmetrics_requests_total", "requests by API", c.requests[key], core.Label{Name: "request", Value: wire.Name(key)})
	}
	m.add(core.Gauge, "kafka_server_socketservermetrics_connection_count", "open connections", int64(len(b.conns.at)))
	m.add(core.Counter, "kafka_server_socketservermetrics_connection_creation_total", "connections accepted", c.connectionsOpened)
	m.add(core.Counter, "kafka_server_socketservermetrics_connection_close_total", "connections closed", c.connectionsClosed)
	m.add(core.Counter, "klamm_server_connections_dropped_total", "connections closed for what came on them", c.connectionsDropped)
	m.add(core.Gauge, "kafka_server_fetchsessioncache_numincrementalfetchsessions", "incremental fetch sessions", int64(b.sessions.Len()))
	m.add(core.Gauge, "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", "partitions in fetch sessions", int64(b.sessions.Partitions()))
	m.add(core.Counter, "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", "fetch sessions pushed out", b.sessions.Evicted())
	m.add(core.Gauge, "klamm_server_tasks_waiting", "requests that wait for something", int64(b.tasks.live))
	m.add(core.Gauge, "klamm_server_timers", "deadlines that are set", int64(b.timers.Len()))
}

// reportTopics sums up partitions by topic, in the order of the image.
func (b *Broker) reportTopics(m *reporter) {
	leaders, replicas, offline, under, belowMin, atMin, producers := 0, 0, 0, 0, 0, 0, 0
	for t := range b.img.Topics() {
		topic := b.parts.topic(t.Name, t.ID, true)
		if topic == nil {
			continue
		}
		var messages, in, sent int64
		for _, id := range topic.logs {
			h := b.parts.at(id)
			if h == nil {
				continue
			}
			replicas++
			if h.offline() {
				offline++
				continue
			}
			messages, in, sent = messages+h.messagesIn, in+h.bytesIn, sent+h.bytesOut
			l := b.store.Log(id)
			producers += l.ProducerCount()
			reportLog(m, l)
			if h.leader == nil {
				continue
			}
			leaders++
			if x := b.img.Partition(h.tp.Topic, h.tp.Partition); x != nil && len(x.ISR) < len(x.Replicas) {
				under++
			}
			switch n := len(h.leader.ISR()); {
			case n < h.leader.Min():
				belowMin++
			case n == h.leader.Min():
				atMin++
			}
		}
		label := core.Label{Name: "topic", Value: t.Name}
		m.add(core.Counter, "kafka_server_brokertopicmetrics_messagesin_total", "records produced by clients", messages, label)
		m.add(core.Counter, "kafka_server_brokertopicmetrics_bytesin_total", "bytes produced by clients", in, label)
		m.add(core.Counter, "kafka_server_brokertopicmetrics_bytesout_total", "bytes fetched by clients", sent, label)
	}
	m.add(core.Gauge, "kafka_server_replicamanager_leadercount", "partitions that this broker leads", int64(leaders))
	m.add(core.Gauge, "kafka_server_replicamanager_partitioncount", "partitions of this broker", int64(replicas))
	m.add(core.Gauge, "kafka_server_replicamanager_offlinereplicacount", "partitions whose logs are offline", int64(offline))
	m.add(core.Gauge, "kafka_server_replicamanager_underreplicatedpartitions", "partitions whose in-sync set lacks a replica", int64(under))
	m.add(core.Gauge, "kafka_server_replicamanager_underminisrpartitioncount", "partitions with too few replicas in sync for acks=all", int64(belowMin))
	m.add(core.Gauge, "kafka_server_replicamanager_atminisrpartitioncount", "partitions with just enough replicas in sync for acks=all", int64(atMin))
	r := &b.repl.counts
	m.add(core.Counter, "kafka_server_replicamanager_isrshrinks_total", "in-sync sets that this broker asked to shrink", r.shrinks)
	m.add(core.Counter, "kafka_server_replicamanager_isrexpands_total", "in-sync sets that this broker asked to grow", r.expands)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_replicationbytesin_total", "bytes copied from leaders", r.bytesIn)
	m.add(core.Counter, "kafka_server_brokertopicmetrics_replicationbytesout_total", "bytes copied to followers", r.bytesOut)
	m.add(core.Counter, "klamm_server_replica_fetches_failed_total", "requests of followers that their leaders did not answer, or refused whole", r.failed)
	m.add(core.Gauge, "kafka_server_replicamanager_produceridcount", "producers that the logs remember", int64(producers))
}

func (b *Broker) reportCluster(m *reporter) {
	active, fenced, without, aside := 0, 0, 0, 0
	for _, n := range b.img.Brokers() {
		if n.Fenced {
			fenced++
		} else {
			active++
		}
	}
	for t := range b.img.Topics() {
		for _, p := range t.Partitions {
			if p.Leader == core.NoNode {
				without++
			} else if p.Leader != p.Replicas[0] {
				aside++
			}
		}
	}
	m.add(core.Gauge, "kafka_controller_kafkacontroller_activebrokercount", "brokers in service", int64(active))
	m.add(core.Gauge, "kafka_controller_kafkacontroller_fencedbrokercount", "brokers that are fenced", int64(fenced))
	m.add(core.Gauge, "kafka_controller_kafkacontroller_globaltopiccount", "topics of the cluster", int64(b.img.TopicCount()))
	m.add(core.Gauge, "kafka_controller_kafkacontroller_globalpartitioncount", "partitions of the cluster", int64(b.img.PartitionCount()))
	m.add(core.Gauge, "kafka_controller_kafkacontroller_offlinepartitionscount", "partitions without a leader", int64(without))
	m.add(core.Gauge, "kafka_controller_kafkacontroller_preferredreplicaimbalancecount", "partitions led by another than their first replica", int64(aside))
	m.add(core.Gauge, "kafka_controller_kafkacontroller_lastappliedrecordoffset", "the last metadata record in force", int64(b.img.End())-1)
	leads := int64(0)
	if b.node != nil && b.node.Leads() {
		leads = 1
	}
	m.add(core.Gauge, "kafka_controller_kafkacontroller_activecontrollercount", "1 if this node leads the metadata quorum", leads)
}
