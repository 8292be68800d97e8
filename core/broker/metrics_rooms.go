package broker

import (
	"strconv"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/log"
	"klamm/core/shard"
	"klamm/core/txn"
)

// reportLog describes one partition's log.
func reportLog(m *reporter, l *log.Log) {
	labels := []core.Label{{Name: "topic", Value: l.Partition().Topic}, {Name: "partition", Value: strconv.Itoa(int(l.Partition().Partition))}}
	m.add(core.Gauge, "kafka_log_log_size", "bytes of a partition's log", l.Size(), labels...)
	m.add(core.Gauge, "kafka_log_log_logstartoffset", "the first offset of a partition's log", int64(l.Start()), labels...)
	m.add(core.Gauge, "kafka_log_log_logendoffset", "the next offset of a partition's log", int64(l.End()), labels...)
	m.add(core.Gauge, "kafka_log_log_numlogsegments", "segments of a partition's log", int64(l.SegmentCount()), labels...)
}

// reportCleaner describes the log cleaner.
func (b *Broker) reportCleaner(now core.Now, m *reporter) {
	c := b.store.Cleaner(now)
	percent := func(part, all int64) int64 { return 100 * part / max(1, all) }
	m.add(core.Gauge, "kafka_log_logcleaner_cleaner_recopy_percent", "bytes that the last cleaning kept", percent(c.Last.Written, c.Last.Read))
	m.add(core.Gauge, "kafka_log_logcleaner_max_buffer_utilization_percent", "how full the last cleaning's map of keys was", percent(c.Last.Keys, c.Last.KeysMost))
	m.add(core.Gauge, "kafka_log_logcleaner_max_clean_time_secs", "time of the last cleaning", int64(c.Last.Took/core.Second))
	m.add(core.Gauge, "kafka_log_logcleaner_max_compaction_delay_secs", "the longest by which max.compaction.lag.ms is overdue", int64(c.Delay/core.Second))
	m.add(core.Gauge, "kafka_log_logcleaner_deadthreadcount", "cleaners that have died: none does", 0)
	m.add(core.Gauge, "kafka_log_logcleanermanager_max_dirty_percent", "the dirty share of the dirtiest log", c.DirtiestShare/10_000)
	m.add(core.Gauge, "kafka_log_logcleanermanager_time_since_last_run_ms", "since the cleaner looked for a dirty log", c.SinceRun.Millis())
	m.add(core.Counter, "kafka_utils_throttler_cleaner_io_total", "bytes that the cleaner has read and written", c.Bytes)
	m.add(core.Gauge, "klamm_log_cleaner_running", "logs that are being cleaned", int64(c.Running))
	for at := range b.store.Places() {
		logs, bytes := b.store.UncleanableIn(now, at)
		label := core.Label{Name: "logDirectory", Value: b.store.Path(at)}
		m.add(core.Gauge, "kafka_log_logcleanermanager_uncleanable_partitions_count", "logs that the cleaner has given up", int64(logs), label)
		m.add(core.Gauge, "kafka_log_logcleanermanager_uncleanable_bytes", "bytes of their dirty parts", bytes, label)
	}
}

// brokerStates are Apache Kafka's numbers for the stages.
var brokerStates = [...]int64{
	stageNew: 0, stageDirectory: 1, stageFormat: 1, stageLogs: 2, stageQuorum: 2, stageRegister: 2, stagePartitions: 2, stageUnfence: 2,
	stageReady: 3, stageDraining: 6, stageLeaving: 6, stageStopping: 7, stageStopped: 7,
}

// reportMetadata describes the metadata log and what it says.
func (b *Broker) reportMetadata(m *reporter) {
	m.add(core.Gauge, "kafka_server_kafkaserver_brokerstate", "1 starting, 2 recovering, 3 running, 6 and 7 stopping", brokerStates[b.stage])
	m.add(core.Gauge, "kafka_server_metadataloader_currentmetadataversion", "the metadata.version in force", int64(b.img.Feature(controller.MetadataVersion)))
	for _, f := range b.img.Features() {
		m.add(core.Gauge, "kafka_server_metadataloader_finalizedlevel", "the level of a feature", int64(f.Level), core.Label{Name: "featureName", Value: f.Name})
	}
	m.add(core.Gauge, "kafka_server_brokermetadatametrics_last_applied_record_offset", "the last metadata record in force at this broker", int64(b.img.End())-1)
	if b.node == nil {
		return
	}
	if _, ok := b.node.Log(); !ok {
		return
	}
	leader, epoch := b.node.Leader()
	m.add(core.Gauge, "kafka_server_raftmetrics_current_leader", "the leader of the metadata quorum, or -1", int64(leader))
	m.add(core.Gauge, "kafka_server_raftmetrics_current_epoch", "the epoch of the metadata quorum", int64(epoch))
	m.add(core.Gauge, "kafka_server_raftmetrics_high_watermark", "the end of what is committed of the metadata log", int64(b.node.High()))
	m.add(core.Gauge, "kafka_server_raftmetrics_log_end_offset", "the end of the metadata log", int64(b.node.End(b.store)))
	m.add(core.Gauge, "kafka_server_raftmetrics_number_of_voters", "voters of the metadata quorum", int64(len(b.node.Voters())))
	m.add(core.Gauge, "kafka_controller_kafkacontroller_lastcommittedrecordoffset", "the last committed metadata record", int64(b.node.High())-1)
}

// reportGroups describes the coordinators of groups.
func (b *Broker) reportGroups(m *reporter) {
	var phases [4]int64
	var shards [4]int64
	offsets := int64(0)
	for i := range b.coords.list {
		c := &b.coords.list[i]
		shards[c.shard.Phase()]++
		by, n := c.groups.Counts()
		for p := range phases {
			phases[p] += by[p]
		}
		offsets += n
	}
	all := int64(0)
	for p, name := range [...]string{"empty", "preparingrebalance", "completingrebalance", "stable"} {
		m.add(core.Gauge, "kafka_coordinator_group_groupmetadatamanager_numgroups"+name, "groups in that state", phases[p])
		all += phases[p]
	}
	m.add(core.Gauge, "kafka_coordinator_group_groupmetadatamanager_numgroups", "groups that this broker coordinates", all)
	m.add(core.Gauge, "kafka_coordinator_group_groupmetadatamanager_numoffsets", "offsets committed by them", offsets)
	m.add(core.Gauge, "kafka_server_groupcoordinatormetrics_group_count", "groups by protocol", all, core.Label{Name: "protocol", Value: "classic"})
	for _, p := range []shard.Phase{shard.Loading, shard.Active, shard.Failed} {
		m.add(core.Gauge, "kafka_server_groupcoordinatormetrics_num_partitions", "partitions of __consumer_offsets by state", shards[p], core.Label{Name: "state", Value: p.String()})
	}
}

// reportWaiting counts the requests that wait, as Apache Kafka's purgatories and queues would.
func (b *Broker) reportWaiting(m *reporter) {
	var produces, fetches, deletes, rebalances, others int64
	for i := range b.tasks.slots {
		switch b.tasks.slots[i].task.(type) {
		case nil:
		case *produceTask:
			produces++
		case *fetchTask:
			fetches++
		case *deleteRecordsTask:
			deletes++
		case *joinTask, *syncTask:
			rebalances++
		default:
			others++
		}
	}
	for _, x := range []struct {
		name string
		n    int64
	}{{"Produce", produces}, {"Fetch", fetches}, {"DeleteRecords", deletes}, {"Rebalance", rebalances}, {"Other", others}} {
		m.add(core.Gauge, "kafka_server_delayedoperationpurgatory_purgatorysize", "requests that wait for something", x.n, core.Label{Name: "delayedOperation", Value: x.name})
	}
	queued := int64(0)
	for i := range b.conns.slots {
		queued += int64(len(b.conns.slots[i].queue))
	}
	m.add(core.Gauge, "kafka_network_requestchannel_requestqueuesize", "requests that have come and are not answered", queued)
}

// reportTransactions describes the coordinators of transactions.
func (b *Broker) reportTransactions(m *reporter) {
	var states [txn.StatusKept]int64
	markers, unended := int64(0), int64(0)
	var shards [4]int64
	for i := range b.txns.list {
		c := &b.txns.list[i]
		shards[c.shard.Phase()]++
		by, n := c.state.Counts()
		for s := range by {
			states[s] += by[s]
		}
		markers += n
		unended += int64(c.state.Unended())
	}
	for s := range states {
		m.add(core.Gauge, "klamm_transactional_ids", "transactional ids that this broker coordinates", states[s], core.Label{Name: "state", Value: txn.Status(s).String()})
	}
	m.add(core.Gauge, "klamm_transaction_markers", "markers that no leader has acknowledged", markers)
	m.add(core.Gauge, "kafka_coordinator_transaction_transactionmarkerchannelmanager_unknowndestinationqueuesize", "markers that nobody takes just now", int64(len(b.txns.markers.again)))
	m.add(core.Gauge, "kafka_coordinator_transaction_transactionmarkerchannelmanager_logappendretryqueuesize", "completions that the log did not take", unended)
	for _, p := range []shard.Phase{shard.Loading, shard.Active, shard.Failed} {
		m.add(core.Gauge, "klamm_transaction_partitions", "partitions of __transaction_state by state", shards[p], core.Label{Name: "state", Value: p.String()})
	}
}
