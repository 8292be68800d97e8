package sim

import (
	"fmt"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/batch"
	"klamm/core/client"
)

// Config is what a run is like: drawn from its seed, printed with it.
type Config struct {
	Workload   Workload
	Set        FaultSet
	Chaos      core.Time // how long faults come
	Clients    int       // nodes that are clients
	FullBytes  int64     // a full disk has at most this room
	Topics     []topicConfig
	Producers  []producerConfig
	Readers    int
	Groups     []int // members of each
	assignors  []assign.Assignor
	consumers  []bool // which groups are of the consumer protocol (KIP-848)
	rolls      []bool // which have members of both, in turn
	Broker     string
	Debug      bool
	adminPause core.Time
	hostile    bool      // a client that means no good takes part
	crowd      int       // producers of the crowd
	quiet      core.Time // before the first record
	epochLast  int16     // that transactional producers are given
	fair       bool      // a reader that looks at the turns in fetch sessions takes part
	foreign    bool      // somebody else's member of the groups takes part
	latency    core.Time
	syncTime   core.Time
	assembly   int64
	topology   topology
	exactly    exactlyConfig
	absent     []string // clients that do not take part
}

type topicConfig struct {
	name       string
	partitions int32
	removable  bool // records may be removed from its front
	compacted  compacted
	configs    [][2]string
	fixed      fixedSettings
	factor     int16
}

type producerConfig struct {
	topics  []int
	pause   core.Time
	burst   int
	size    int
	start   core.Time // the first record, after booting
	options client.ProducerOptions
}

// drawConfig draws the swarm's choice for one run.
func drawConfig(c Chooser, opt *Options) (cfg Config) {
	profile := opt.Profile
	cfg.Workload, cfg.epochLast = opt.Workload, 32766
	cfg.topology = drawTopology(c, opt.Nodes[0], opt.Nodes[1])
	k := uint64(0)
	draw := func(n uint64) int { k++; return int(c.Choose(siteConfig, k, n)) }
	of := func(list ...string) string { return list[draw(uint64(len(list)))] }
	cfg.Set = []FaultSet{SetSync, SetSync, SetSync, SetSync, SetErrors, SetErrors, SetErrors, SetCached, SetUnsynced, SetDamage, SetDamage, SetLying}[draw(12)]
	for s := range SetCount {
		if profile == s.String() {
			cfg.Set = s
		}
	}
	switch many := cfg.topology.many(); { // what one broker can only survive, several mend
	case many && cfg.Set >= SetDamage:
		cfg.Set = SetRepair
	case !many && cfg.Set == SetRepair:
		cfg.Set = SetDamage
	}
	cfg.Chaos = core.Time(4000+draw(6000)) * core.Millisecond
	cfg.FullBytes = 300_000
	cfg.Debug = draw(8) == 7
	if cfg.assembly = 64 << 20; draw(8) == 7 {
		cfg.assembly = 6000
	}
	cfg.latency = core.Time(50+draw(1000)) * core.Microsecond
	cfg.syncTime = core.Time(100+draw(4000)) * core.Microsecond
	cfg.adminPause = core.Time(30+draw(200)) * core.Millisecond
	compressed := draw(12) == 11 // rarely: encoders cost more than all the rest
	for i := range 1 + draw(3) {
		t := topicConfig{name: fmt.Sprintf("t%d", i), partitions: 1 + int32(draw(3)), factor: 1}
		t.removable = draw(4) == 3
		set := func(name, value string) { t.configs = append(t.configs, [2]string{name, value}) }
		if draw(3) != 0 {
			set("segment.index.bytes", of("32", "64", "256"))
			set("index.interval.bytes", of("0", "100", "500"))
		}
		if draw(3) == 2 {
			set("segment.ms", of("500", "2000", "5000"))
		}
		if draw(3) == 2 {
			set("internal.segment.bytes", of("2000", "8000", "30000"))
		}
		if t.removable {
			set("retention.bytes", of("3000", "20000", "-1"))
			set("retention.ms", of("604800000", "2000"))
			set("file.delete.delay.ms", of("100", "60000"))
		}
		if compressed && draw(3) == 2 {
			set("compression.type", of("lz4", "snappy", "uncompressed", "producer", "gzip", "zstd"))
		}
		if draw(4) == 3 {
			set("message.timestamp.type", "LogAppendTime")
		}
		if draw(6) == 5 {
			set("flush.messages", "1")
		}
		if draw(8) == 7 { // batches that a producer has to split, and records that it can't send
			set("max.message.bytes", of("700", "1500"))
		}
		t.fix()
		cfg.Topics = append(cfg.Topics, t)
	}
	for i := range 2 + draw(2) {
		cfg.Producers = append(cfg.Producers, drawProducer(&cfg.topology, draw, i, len(cfg.Topics), compressed))
	}
	cfg.Readers = 1 + draw(2)
	for range 1 + draw(2) {
		cfg.Groups = append(cfg.Groups, 1+draw(3))
		cfg.assignors = append(cfg.assignors, []assign.Assignor{assign.Range, assign.CooperativeSticky, assign.CooperativeSticky, assign.Sticky, assign.RoundRobin}[draw(5)])
	}
	var b strings.Builder
	line := func(kv string) { b.WriteString(kv + "\n") }
	b.WriteString(brokerBase)
	line("offsets.topic.num.partitions=" + of("1", "3", "8"))
	line("group.initial.rebalance.delay.ms=" + of("0", "300", "3000"))
	line("log.retention.check.interval.ms=" + of("1000", "5000", "100"))
	line("log.flush.offset.checkpoint.interval.ms=" + of("500", "3000", "60000"))
	line("num.recovery.threads.per.data.dir=" + of("1", "2"))
	line("max.incremental.fetch.session.cache.slots=" + of("1000", "1000", "8", "0"))
	line("connections.max.idle.ms=" + of("600000", "5000"))
	line("metadata.log.max.record.bytes.between.snapshots=" + of("20971520", "3000", "800"))
	if cfg.Set.Replicate() {
		line("klamm.durability=replicate")
	} else {
		line("klamm.durability=sync")
	}
	if draw(3) == 2 { // steps so small that what only a large log reaches is reached here
		size := func(name string) { line("klamm.internal." + name + "=" + of("100", "300", "1000", "4000")) }
		size("log.scan.bytes")
		size("log.rewrite.bytes")
		size("log.seek.bytes")
		size("log.time.scan.bytes")
		size("group.load.bytes")
		size("metadata.replay.bytes")
		size("metadata.snapshot.batch.bytes")
		line("klamm.internal.log.scan.batches=" + of("1", "3", "100"))
		line("klamm.internal.log.borders=" + of("1", "4", "512"))
		line("klamm.internal.log.checkpoint.bytes=" + of("500", "20000", "67108864"))
		line("klamm.internal.metadata.snapshot.records=" + of("1", "7", "2000"))
		line("klamm.internal.group.sweep.offsets=" + of("1", "3", "1000"))
	}
	if cfg.hostile = draw(4) == 3; cfg.hostile {
		line("max.connections.per.ip=" + of("2147483647", "20", "100"))
		line("max.connections=" + of("2147483647", "2147483647", "40"))
		line("socket.request.max.bytes=" + of("104857600", "104857600", "300000"))
	}
	cfg.drawExtras(draw, of, line)
	cfg.Broker = b.String()
	cfg.drawWorkload(c)
	cfg.drawCluster(c)
	cfg.count()
	return cfg
}

// brokerBase is what the configuration file of every broker begins with.
const brokerBase = "node.id=1\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://broker:9092,CONTROLLER://broker:9093\n" +
	"controller.listener.names=CONTROLLER\nlog.dirs=/data\nklamm.auto.format=true\n" +
	"offsets.topic.replication.factor=1\nauto.create.topics.enable=false\n"

// count counts the clients.
func (cfg *Config) count() {
	cfg.Clients = len(cfg.Producers) + cfg.Readers + 1
	for _, n := range cfg.Groups {
		cfg.Clients += n
	}
	cfg.Clients += len(cfg.exactly.writers) + len(cfg.exactly.pipes) + cfg.exactly.readers
}

// drawExtras draws what was added after seeds had been written down: their older draws stay as they were.
func (cfg *Config) drawExtras(draw func(uint64) int, of func(...string) string, line func(string)) {
	if draw(3) == 2 {
		cfg.crowd = 2 + draw(24)
	}
	cfg.fair = draw(4) == 3
	cfg.foreign = draw(3) == 2
	for i := range cfg.Producers {
		if draw(8) == 7 { // one that is idle for long
			cfg.Producers[i].pause = core.Time(1000+draw(1500)) * core.Millisecond
		}
	}
	if draw(3) == 2 { // tables so small that they are full
		line("klamm.internal.producer.id.block=" + of("1", "2", "5"))
		line("klamm.internal.txn.sweep.ids=" + of("1", "3", "1000"))
		if n := draw(4); n > 1 { // producer ids are used up soon
			cfg.epochLast = int16(3 * n)
		}
		line("klamm.internal.txn.epoch.last=" + strconv.Itoa(int(cfg.epochLast)))
		line("klamm.internal.group.pending=" + of("1", "3", "10000"))
		line("klamm.internal.broker.requests=" + of("4", "8", "1000"))
	}
	if cfg.foreign {
		line("group.min.session.timeout.ms=500")
		line("offsets.retention.check.interval.ms=" + of("600000", "1000"))
	}
	if cfg.foreign && draw(3) == 2 {
		line("offsets.retention.check.interval.ms=1000\nklamm.internal.group.groups=5\ngroup.max.size=" + of("2147483647", "2"))
		line("message.max.bytes=" + of("1048588", "10000"))
	}
	if draw(6) == 5 {
		line("offsets.commit.timeout.ms=" + of("8", "100"))
	}
	if draw(4) == 3 {
		line("metadata.max.retention.bytes=" + of("2000", "8000"))
	}
	if draw(12) == 11 {
		line("klamm.internal.metadata.batch.bytes=1500")
	}
	line("transaction.abort.timed.out.transaction.cleanup.interval.ms=" + of("300", "1000", "10000"))
	if draw(4) == 3 && cfg.Workload != ExactlyOnce { // its producers may rest for longer
		line("transactional.id.expiration.ms=2000\ntransaction.remove.expired.transaction.cleanup.interval.ms=500")
	}
	if draw(8) == 7 { // nobody produces for a while: logs grow old before their first batch
		cfg.quiet = core.Time(600+draw(3500)) * core.Millisecond
		for i := range cfg.Producers {
			cfg.Producers[i].start += cfg.quiet
		}
	}
	line("group.consumer.min.session.timeout.ms=500\ngroup.consumer.min.heartbeat.interval.ms=100")
	line("group.consumer.session.timeout.ms=" + of("6000", "3000") + "\ngroup.consumer.heartbeat.interval.ms=" + of("1000", "300"))
	line("group.consumer.assignment.interval.ms=" + of("0", "1000", "200"))
	for range cfg.Groups { // strangers join by the classic protocol, which a group of the other one refuses
		cfg.consumers, cfg.rolls = append(cfg.consumers, draw(3) == 2 && !cfg.foreign), append(cfg.rolls, false)
	}
}

func drawProducer(at *topology, draw func(uint64) int, i, topics int, compressed bool) producerConfig {
	p := producerConfig{pause: core.Time(20+draw(100)) * core.Millisecond, burst: 1 + draw(8), size: 40 << draw(6)}
	for range 1 + draw(2) {
		p.topics = append(p.topics, draw(uint64(topics)))
	}
	if draw(4) == 3 {
		p.start = core.Time(draw(3000)) * core.Millisecond
	}
	o := &p.options
	o.Options = clientOptions(at, fmt.Sprintf("producer%d", i), draw)
	o.NotIdempotent = i > 0 && draw(3) == 2
	if o.NotIdempotent {
		o.Acks = []client.Acks{client.AcksAll, client.AcksLeader, client.AcksNone}[draw(3)]
	}
	if compressed && draw(2) == 1 {
		o.Codec = []batch.Codec{batch.Snappy, batch.Snappy, batch.Snappy, batch.LZ4, batch.LZ4, batch.LZ4, batch.Gzip, batch.Zstd}[draw(8)]
	}
	o.Linger = core.Time(draw(20)) * core.Millisecond
	o.BatchBytes = 200 << draw(8)
	o.DeliveryTime = core.Time(10+draw(30)) * core.Second
	return p
}

func clientOptions(at *topology, id string, draw func(uint64) int) client.Options {
	list := []string{at.address(0)}
	if at.many() {
		list = at.bootstrap(uint64(draw(1 << 16)))
	}
	return client.Options{
		Bootstrap: list, ClientID: id, Conns: 2,
		RequestTime: core.Time(2+draw(8)) * core.Second, DialTime: 3 * core.Second,
		RetryMin: core.Time(20+draw(80)) * core.Millisecond, InFlight: 1 + draw(5),
	}
}

// setting is a number of the brokers' configuration file, of which the last holds.
func (c *Config) setting(name string, usual int64) int64 {
	for _, kv := range properties(c.Broker, "") {
		if kv[0] == name {
			usual = number(kv[1])
		}
	}
	return usual
}

// topic finds a topic by its name.
func (c *Config) topic(name string) *topicConfig {
	for i := range c.Topics {
		if c.Topics[i].name == name {
			return &c.Topics[i]
		}
	}
	return &topicConfig{}
}

// String is the configuration for a reader.
func (c *Config) String() string {
	var b strings.Builder
	if c.Workload != Mixed {
		fmt.Fprintf(&b, "workload %s\n", c.Workload)
	}
	if c.topology.many() {
		b.WriteString(c.topology.describe())
	}
	fmt.Fprintf(&b, "faults %s for %d ms, %d clients, debug %v\n", c.Set, c.Chaos.Millis(), c.Clients, c.Debug)
	for _, t := range c.Topics {
		fmt.Fprintf(&b, "topic %s partitions=%d replication=%d %v\n", t.name, t.partitions, t.factor, t.configs)
	}
	for i, p := range c.Producers {
		fmt.Fprintf(&b, "producer %d topics=%v idempotent=%v acks=%d codec=%d pause=%dms burst=%d size=%d batch=%d\n", i, p.topics, !p.options.NotIdempotent,
			p.options.Acks, p.options.Codec, p.pause.Millis(), p.burst, p.size, p.options.BatchBytes)
	}
	for _, w := range c.exactly.writers {
		fmt.Fprintf(&b, "writer %s twin=%v topics=%v pause=%dms records=%d open=%dms timeout=%dms\n", w.id, w.twin, w.topics, w.pause.Millis(), w.records, w.open.Millis(), w.lasts.Millis())
	}
	for _, p := range c.exactly.pipes {
		fmt.Fprintf(&b, "pipe %s of %s twin=%v from=%v to=%d records=%d timeout=%dms\n", p.id, p.group, p.twin, p.from, p.to, p.records, p.lasts.Millis())
	}
	if c.quiet > 0 {
		fmt.Fprintf(&b, "nobody produces for %d ms\n", c.quiet.Millis())
	}
	fmt.Fprintf(&b, "readers %d, groups %v, of the consumer protocol %v, rolling %v, hostile %v, crowd of %d, fair %v, foreign %v\n%s", c.Readers, c.Groups, c.consumers, c.rolls, c.hostile, c.crowd, c.fair, c.foreign, strings.Join(c.topology.servers, "---\n"))
	return b.String()
}
