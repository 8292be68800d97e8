package broker

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/group"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/shard"
	"klamm/core/txn"
)

// Listener is one address at which the broker serves, and the address that it tells clients.
type Listener struct {
	Name       string // of listeners, such as PLAINTEXT
	Host       string // to bind; empty is every address
	Port       uint16
	Advertised image.Endpoint
}

// Config is a broker's static configuration: what its file says. What is dynamic (KIP-226) is asked of the
// image through Broker.view, with this as its ground.
type Config struct {
	Static      image.Properties // every setting that was given, for DescribeConfigs and image.View
	NodeID      core.NodeID
	Listeners   []Listener // of the broker role, in the order given
	Controllers []Listener // of the controller role
	LogDir      string     // that of the metadata log: metadata.log.dir, or else the first of log.dirs
	LogDirs     []string   // log.dirs, or log.dir: those of partitions
	Rack        string
	HasRack     bool
	ClusterID   string         // klamm.cluster.id: of a directory that is formatted now; empty: drawn
	Durability  log.Durability // klamm.durability
	AutoFormat  bool           // klamm.auto.format

	// Cluster.
	IsBroker, IsController bool           // process.roles
	Voters                 []quorum.Voter // controller.quorum.voters, sorted by id; this node alone if nothing was given
	Bootstrap              []string       // controller.quorum.bootstrap.servers
	AutoJoin               bool           // controller.quorum.auto.join.enable
	ControllerListeners    []string       // controller.listener.names: the first is the one to dial
	InterBroker            string         // the listener over which brokers talk to each other
	Quorum                 QuorumTimes
	Heartbeat, Session     core.Time // broker.heartbeat.interval.ms, broker.session.timeout.ms
	RegisterWait           core.Time // initial.broker.registration.timeout.ms
	ControllerWait         core.Time // of one request to the controller
	ReplicaWait            core.Time // replica.socket.timeout.ms
	ReplicaFetch           ReplicaFetch
	ReadNear               bool // replica.selector.class: consumers are sent to a replica of their rack (KIP-392)

	// Topics.
	NumPartitions      int32
	ReplicationFactor  int16
	AutoCreate         bool
	DeleteTopic        bool
	OffsetsPartitions  int32
	OffsetsReplication int16
	OffsetsSegment     int64
	TxnPartitions      int32
	TxnReplication     int16
	TxnSegment         int64
	TxnMinISR          int

	// Connections.
	FrameBytesMax        int64
	MaxIdle              core.Time
	MaxConnections       int
	MaxConnectionsPerIP  int
	MaxConnectionsOfIP   []IPLimit // max.connections.per.ip.overrides, sorted by host
	FetchBytesMax        int32
	FetchSessions        int
	RequestPartitionsMax int32 // max.request.partition.size.limit

	// Groups.
	GroupMinSession, GroupMaxSession, GroupInitialDelay core.Time
	GroupMaxSize                                        int
	GroupConsumer                                       group.ConsumerConfig
	GroupAssignors                                      []string
	GroupMigration                                      group.Migration
	GroupConsumersMax                                   int
	GroupRegexRefresh                                   core.Time
	OffsetsRetention, OffsetsRetentionCheck             core.Time
	OffsetMetadataMax                                   int
	OffsetsLoadBuffer                                   int64
	OffsetsCommitTimeout                                core.Time

	// Transactions.
	TxnTimeoutMax, TxnAbortCheck, TxnExpiration, TxnExpiryCheck core.Time
	RequestTime                                                 core.Time // request.timeout.ms
	TxnAddRetry, TxnAddRetryMax                                 core.Time // add.partitions.to.txn.retry.backoff.ms and .max.ms
	TxnVerify                                                   bool      // transaction.partition.verification.enable

	// Logs.
	CheckpointTime core.Time // log.flush.offset.checkpoint.interval.ms
	RetentionCheck core.Time
	Scrub          Scrub
	LoadsAtOnce    int
	Cleaner        log.CleanerConfig
	LagMax         core.Time // replica.lag.time.max.ms
	DirFailureWait core.Time // log.dir.failure.timeout.ms

	// Metadata.
	SnapshotBytes, MetadataRetentionBytes int64
	SnapshotTime, MetadataIdle            core.Time
	MetadataSegmentBytes                  int64
	MetadataSegmentTime                   core.Time

	Internal Internal
}

// ReplicaFetch are the settings replica.fetch.* of one request of a follower.
type ReplicaFetch struct {
	WaitMillis, BytesMin, PartitionBytes, ResponseBytes int32
}

// QuorumTimes are the settings controller.quorum.*.
type QuorumTimes struct {
	Election, Fetch, BackoffMax, Request, Retry core.Time
	FetchBytes, SnapshotFetchBytes              int32
}

// Internal are the settings klamm.internal.*: sizes of steps that nobody needs to set but simulators, which reach
// rare paths by them.
type Internal struct {
	Log             log.Sizes
	CheckpointBytes int64
	Quorum          quorum.Sizes
	GroupLoadBytes  int64
	GroupSweep      int
	GroupsMax       int
	GroupPending    int
	TxnIDsMax       int
	TxnEpochLast    int16
	TxnSweep        int
	ProducerIDBlock int64
	Tasks           int
}

// IPLimit is one override of max.connections.per.ip.
type IPLimit struct {
	Host string
	Max  int
}

func (c *Config) maxConnectionsOf(host string) int {
	if at, ok := slices.BinarySearchFunc(c.MaxConnectionsOfIP, host, func(l IPLimit, h string) int { return strings.Compare(l.Host, h) }); ok {
		return c.MaxConnectionsOfIP[at].Max
	}
	return c.MaxConnectionsPerIP
}

// view finds effective configuration values at this broker.
func (b *Broker) view() image.View {
	return image.View{Image: b.img, Node: b.cfg.NodeID, Static: b.cfg.Static}
}

// reconfigureBroker reads anew what may have been changed while running. What only a restart changes is the same
// as before: the controller refuses to set it.
func (b *Broker) reconfigureBroker() {
	p := parser{props: b.cfg.Static, view: b.view()}
	c := b.cfg
	p.numbers(&c)
	if len(p.problems) == 0 {
		b.cfg = c
	}
}

// Klamm's own settings, beside Kafka's.
var klammSettings = []string{"klamm.auto.format", "klamm.cluster.id", "klamm.durability", scrubRate, scrubInterval}

// internalSetting is one of klamm.internal.*, with its default and its least value.
type internalSetting struct {
	name     string
	def, min int64
}

const internalPrefix = "klamm.internal."

var internalSettings = []internalSetting{
	{internalPrefix + "broker.requests", TasksMax, 4},                                        // that wait inside at a time; others wait at the door
	{internalPrefix + "group.groups", group.GroupsMax, 1},                                    // of one partition
	{internalPrefix + "group.load.bytes", shard.LoadBytes, 1},                                // of one step of a coordinator's load
	{internalPrefix + "group.pending", group.PendingMax, 1},                                  // unused member ids of one group
	{internalPrefix + "group.sweep.offsets", group.SweepMax, 1},                              // of one step of expiry
	{internalPrefix + "log.borders", int64(log.DefaultSizes().Borders), 1},                   // newest batch borders kept per log
	{internalPrefix + "log.checkpoint.bytes", log.DefaultStoreConfig("").CheckpointBytes, 1}, // that a checkpoint lags at most
	{internalPrefix + "log.clean.rows", log.DefaultCleanerConfig().Rows, 1},                  // records of one step of cleaning
	{internalPrefix + "log.rewrite.bytes", log.DefaultSizes().RewriteBytes, 1},               // of one step of writing doubtful bytes anew
	{internalPrefix + "log.scan.batches", log.DefaultSizes().ScanRows, 1},                    // of one step of a recovery
	{internalPrefix + "log.scan.bytes", log.DefaultSizes().ScanBytes, 1},                     // likewise
	{internalPrefix + "log.seek.bytes", log.DefaultSizes().SeekBytes, 1},                     // of one step of a seek
	{internalPrefix + "log.time.scan.bytes", log.DefaultSizes().TimeScanBytes, 1},            // of one step of a search by timestamp
	{internalPrefix + "metadata.batch.bytes", int64(quorum.DefaultSizes().BatchBytes), 1000}, // of one batch of the metadata log
	{internalPrefix + "metadata.pending.bytes", quorum.DefaultSizes().PendingBytes, 1},       // that are appended and not committed
	{internalPrefix + "metadata.replay.bytes", quorum.DefaultSizes().ReplayBytes, 1},         // of one step of a replay
	{internalPrefix + "metadata.snapshot.batch.bytes", int64(quorum.DefaultSizes().SnapshotBatchBytes), 1},
	{internalPrefix + "metadata.snapshot.records", int64(quorum.DefaultSizes().SnapshotRecords), 1}, // of one step of a snapshot
	{internalPrefix + "producer.id.block", controller.ProducerIDBlock, 1},                           // ids that a broker is given at a time
	{internalPrefix + "txn.epoch.last", txn.EpochLast, 1},                                           // that a client is given
	{internalPrefix + "txn.ids", txn.IDsMax, 1},                                                     // of one partition
	{internalPrefix + "txn.sweep.ids", txn.SweepMax, 1},                                             // of one step of expiry or of aborting
}

func internalNamed(name string) (internalSetting, bool) {
	for _, s := range internalSettings {
		if s.name == name {
			return s, true
		}
	}
	return internalSetting{}, false
}

// Scrub is the background check of the logs.
type Scrub struct {
	Rate     int64     // klamm.log.scrub.bytes.per.second; 0: none
	Interval core.Time // klamm.log.scrub.interval.ms: from the beginning of one pass over all logs to that of the next, at least
}

const (
	scrubRate     = "klamm.log.scrub.bytes.per.second"
	scrubInterval = "klamm.log.scrub.interval.ms"
)

// own reads a number of Klamm's own settings.
func (p *parser) own(name string, def, least int64) int64 {
	text, given := p.props.Get(name)
	if !given {
		return def
	}
	n, err := strconv.ParseInt(text, 10, 52)
	if err != nil || n < least {
		p.bad(name + "=" + text + ": no number from " + strconv.FormatInt(least, 10) + " on")
		return def
	}
	return n
}

// size reads one of klamm.internal.*.
func (p *parser) size(name string) int64 {
	def, known := internalNamed(internalPrefix + name)
	core.Must(known, "an internal setting that is read is in the table")
	text, given := p.props.Get(def.name)
	if !given {
		return def.def
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < def.min {
		p.bad(def.name + "=" + text + ": no number from " + strconv.FormatInt(def.min, 10) + " to 2147483647")
		return def.def
	}
	return n
}

// internals reads klamm.internal.*.
func (p *parser) internals(c *Config) {
	c.Internal = Internal{
		Log: log.Sizes{
			ScanBytes: p.size("log.scan.bytes"), ScanRows: p.size("log.scan.batches"), RewriteBytes: p.size("log.rewrite.bytes"),
			SeekBytes: p.size("log.seek.bytes"), TimeScanBytes: p.size("log.time.scan.bytes"), Borders: int(p.size("log.borders")),
		},
		CheckpointBytes: p.size("log.checkpoint.bytes"),
		Quorum: quorum.Sizes{
			ReplayBytes: p.size("metadata.replay.bytes"), SnapshotBatchBytes: int(p.size("metadata.snapshot.batch.bytes")),
			SnapshotRecords: int(p.size("metadata.snapshot.records")), BatchBytes: int(p.size("metadata.batch.bytes")), PendingBytes: p.size("metadata.pending.bytes"),
		},
		GroupLoadBytes: p.size("group.load.bytes"), GroupSweep: int(p.size("group.sweep.offsets")),
		GroupsMax: int(p.size("group.groups")), GroupPending: int(p.size("group.pending")),
		TxnIDsMax: int(p.size("txn.ids")), TxnEpochLast: int16(min(p.size("txn.epoch.last"), txn.EpochLast)), TxnSweep: int(p.size("txn.sweep.ids")),
		ProducerIDBlock: p.size("producer.id.block"), Tasks: int(p.size("broker.requests")),
	}
}

// parser gathers what is wrong with a configuration while it reads it.
type parser struct {
	props    image.Properties
	view     image.View
	problems []image.Problem
}

// ParseConfig reads a server.properties text. With a problem the configuration is of no use.
func ParseConfig(text string) (Config, []image.Problem) {
	props, problems := image.ParseProperties(text)
	p := parser{problems: problems}
	for _, kv := range props {
		if p.check(kv) {
			p.props = append(p.props, kv) // the rest is read without it, so that all problems are told at once
		}
	}
	p.view = image.View{Image: image.Empty(), Node: core.NoNode, Static: p.props}.Held()
	c := Config{Static: p.props}
	p.identity(&c)
	p.listeners(&c)
	p.numbers(&c)
	p.cluster(&c)
	p.internals(&c)
	if len(p.problems) > 0 {
		return Config{}, p.problems
	}
	return c, nil
}

func (p *parser) bad(text string) { p.problems = append(p.problems, image.Problem{Text: text}) }

// check looks at one setting by itself, and reports whether it can be read further.
func (p *parser) check(kv image.Property) bool {
	if _, internal := internalNamed(kv.Name); internal || slices.Contains(klammSettings, kv.Name) {
		return true
	}
	if strings.HasPrefix(kv.Name, "listener.name.") {
		p.bad(kv.Name + ": settings of one listener are not supported yet; remove it")
		return false
	}
	def := image.BrokerDef(kv.Name)
	if def == nil {
		text := kv.Name + ": no such setting"
		if near := image.NearestBroker(kv.Name); near != "" {
			text += "; did you mean " + near + "?"
		}
		p.bad(text)
		return false
	}
	if why := def.Validate(kv.Value); why != "" {
		p.bad(kv.Name + "=" + kv.Value + ": " + why)
		return false
	}
	if why := notYet(kv.Name); why != "" {
		if bare := (image.View{Image: image.Empty(), Node: core.NoNode}).Broker(kv.Name); bare.Null || bare.Text != kv.Value {
			p.bad(kv.Name + "=" + kv.Value + ": " + why + "; remove the line")
			return false
		}
	}
	return true
}

// refusals name settings that would promise what this broker does not do yet. A promise that is silently
// not kept is worse than an error at the start. What only tunes Kafka's own threads, buffers and
// later features is accepted.
var refusals = []struct{ prefix, why string }{
	{"alter.config.policy.class.name", "policies are Java classes of Apache Kafka, and Klamm has none yet"},
	{"create.topic.policy.class.name", "policies are Java classes of Apache Kafka, and Klamm has none yet"},
	{"authorizer.class.name", "authorization is not supported yet"},
	{"client.quota.callback.class", "quotas are not supported yet"},
	{"config.providers", "variables in configuration are not supported yet"},
	{"cordoned.log.dirs", "directories that get no more replicas (KIP-1066) are not supported yet"},
	{"delegation.token.secret.key", "delegation tokens are not supported yet"},
	{"early.start.listeners", "several kinds of listeners are not supported yet"},
	{"kafka.metrics.reporters", "reporters are Java classes of Apache Kafka; metrics are on the admin port"},
	{"max.connection.creation.rate", "limits on the rate of connections are not supported yet"},
	{"metric.reporters", "reporters are Java classes of Apache Kafka; metrics are on the admin port"},
	{"principal.builder.class", "authentication is not supported yet"},
	{"remote.log.storage.system.enable", "tiered storage is not supported yet"},
	{"sasl.", "SASL is not supported yet"},
	{"security.inter.broker.protocol", "only PLAINTEXT is supported yet"},
	{"ssl.", "TLS is not supported yet"},
	{"unstable.api.versions.enable", "unstable versions of the protocol are not supported"},
	{"unstable.feature.versions.enable", "unstable features are not supported"},
}

func notYet(name string) string {
	for _, r := range refusals {
		if name == r.prefix || strings.HasSuffix(r.prefix, ".") && strings.HasPrefix(name, r.prefix) {
			return r.why
		}
	}
	return ""
}

func (p *parser) int(name string) int64      { return p.view.Broker(name).Int() }
func (p *parser) ms(name string) core.Time   { return core.Millis(p.int(name)) }
func (p *parser) bool(name string) bool      { return p.view.Broker(name).Bool() }
func (p *parser) text(name string) string    { return p.view.Broker(name).Text }
func (p *parser) list(name string) []string  { return p.view.Broker(name).List() }
func (p *parser) given(name string) bool     { _, ok := p.props.Get(name); return ok }
func (p *parser) raw(name, or string) string { return valueOr(p.props, name, or) }

func valueOr(props image.Properties, name, or string) string {
	if v, ok := props.Get(name); ok {
		return v
	}
	return or
}

// identity reads who this node is and where its data are.
func (p *parser) identity(c *Config) {
	if !p.given("node.id") {
		p.bad("node.id is missing: give this node a number, such as node.id=1")
	} else {
		c.NodeID = core.NodeID(p.int("node.id"))
	}
	if p.given("broker.id") && p.int("broker.id") >= 0 && p.int("broker.id") != int64(c.NodeID) {
		p.bad("broker.id=" + p.text("broker.id") + " differs from node.id=" + strconv.Itoa(int(c.NodeID)) + "; remove broker.id")
	}
	c.IsBroker, c.IsController = true, true
	if p.given("process.roles") {
		roles := p.list("process.roles")
		c.IsBroker, c.IsController = slices.Contains(roles, "broker"), slices.Contains(roles, "controller")
	}
	dirs := p.list("log.dirs")
	if len(dirs) == 0 {
		dirs = p.list("log.dir")
	}
	p.directories(c, dirs)
	c.Rack, c.HasRack = p.props.Get("broker.rack")
	switch v := p.raw("klamm.durability", "sync"); v {
	case "sync":
		c.Durability = log.Synced
	case "replicate":
		c.Durability = log.Replicated
	default:
		p.bad("klamm.durability=" + v + ": neither sync nor replicate")
	}
	switch v := p.raw("klamm.auto.format", "false"); v {
	case "true", "false":
		c.AutoFormat = v == "true"
	default:
		p.bad("klamm.auto.format=" + v + ": neither true nor false")
	}
	c.ClusterID = p.raw("klamm.cluster.id", "")
	c.Scrub.Rate = p.own(scrubRate, log.DefaultStoreConfig("").ScrubRate, 0)
	c.Scrub.Interval = core.Millis(p.own(scrubInterval, log.DefaultStoreConfig("").ScrubInterval.Millis(), 1))
}

// directories reads where the data are.
func (p *parser) directories(c *Config, dirs []string) {
	if len(dirs) == 0 {
		p.bad("log.dirs names no directory")
		return
	}
	if len(dirs) > DirsMax {
		p.bad("log.dirs names " + strconv.Itoa(len(dirs)) + " directories: more than " + strconv.Itoa(DirsMax))
		return
	}
	for i, d := range dirs {
		if slices.Contains(dirs[:i], d) {
			p.bad("log.dirs names " + d + " twice")
		}
	}
	c.LogDirs, c.LogDir = dirs, dirs[0]
	if p.given("metadata.log.dir") {
		if c.LogDir = p.text("metadata.log.dir"); c.LogDir == "" {
			p.bad("metadata.log.dir names no directory")
		}
	}
}

// DirsMax bounds the log directories of a node.
const DirsMax = 100

// numbers reads what needs no thought.
func (p *parser) numbers(c *Config) {
	c.NumPartitions = int32(p.int("num.partitions"))
	c.ReplicationFactor = int16(p.int("default.replication.factor"))
	c.AutoCreate = p.bool("auto.create.topics.enable")
	c.DeleteTopic = p.bool("delete.topic.enable")
	c.OffsetsPartitions = int32(p.int("offsets.topic.num.partitions"))
	c.OffsetsReplication = int16(p.int("offsets.topic.replication.factor"))
	c.OffsetsSegment = p.int("offsets.topic.segment.bytes")
	c.TxnPartitions = int32(p.int("transaction.state.log.num.partitions"))
	c.TxnReplication = int16(p.int("transaction.state.log.replication.factor"))
	c.TxnSegment, c.TxnMinISR = p.int("transaction.state.log.segment.bytes"), int(p.int("transaction.state.log.min.isr"))
	c.TxnTimeoutMax, c.TxnAbortCheck = p.ms("transaction.max.timeout.ms"), p.ms("transaction.abort.timed.out.transaction.cleanup.interval.ms")
	c.TxnExpiration, c.TxnExpiryCheck = p.ms("transactional.id.expiration.ms"), p.ms("transaction.remove.expired.transaction.cleanup.interval.ms")
	c.RequestTime, c.TxnVerify = p.ms("request.timeout.ms"), p.bool("transaction.partition.verification.enable")
	c.TxnAddRetry, c.TxnAddRetryMax = p.ms("add.partitions.to.txn.retry.backoff.ms"), p.ms("add.partitions.to.txn.retry.backoff.max.ms")

	c.FrameBytesMax = p.int("socket.request.max.bytes")
	if c.MaxIdle = p.ms("connections.max.idle.ms"); c.MaxIdle < 0 {
		c.MaxIdle = core.Never
	}
	c.MaxConnections = int(p.int("max.connections"))
	c.MaxConnectionsPerIP = int(p.int("max.connections.per.ip"))
	c.MaxConnectionsOfIP = nil
	for _, o := range p.list("max.connections.per.ip.overrides") {
		at := strings.LastIndexByte(o, ':')
		n, err := strconv.Atoi(o[at+1:])
		if at < 0 || err != nil || n < 0 {
			p.bad("max.connections.per.ip.overrides: " + o + ": not of the form host:number")
			continue
		}
		c.MaxConnectionsOfIP = append(c.MaxConnectionsOfIP, IPLimit{Host: o[:at], Max: n})
	}
	slices.SortStableFunc(c.MaxConnectionsOfIP, func(a, b IPLimit) int { return strings.Compare(a.Host, b.Host) })
	c.FetchBytesMax = int32(p.int("fetch.max.bytes"))
	c.FetchSessions = int(p.int("max.incremental.fetch.session.cache.slots"))
	c.RequestPartitionsMax = int32(p.int("max.request.partition.size.limit"))

	c.GroupMinSession, c.GroupMaxSession = p.ms("group.min.session.timeout.ms"), p.ms("group.max.session.timeout.ms")
	c.GroupInitialDelay = p.ms("group.initial.rebalance.delay.ms")
	c.GroupMaxSize = int(p.int("group.max.size"))
	c.GroupConsumer = group.ConsumerConfig{
		Session: p.ms("group.consumer.session.timeout.ms"), Heartbeat: p.ms("group.consumer.heartbeat.interval.ms"),
		Assignment: p.ms("group.consumer.assignment.interval.ms"),
	}
	c.GroupConsumersMax, c.GroupRegexRefresh = int(p.int("group.consumer.max.size")), p.ms("group.consumer.regex.refresh.interval.ms")
	c.GroupMigration = map[string]group.Migration{
		"disabled": group.MigrateNever, "upgrade": group.MigrateUp, "downgrade": group.MigrateDown, "bidirectional": group.MigrateBoth,
	}[strings.ToLower(p.text("group.consumer.migration.policy"))]
	c.GroupAssignors = nil
	for _, name := range p.list("group.consumer.assignors") {
		if name != group.AssignorUniform && name != group.AssignorRange {
			p.bad("group.consumer.assignors: " + name + ": there are only uniform and range; an assignor that is a Java class cannot be run")
			continue
		}
		c.GroupAssignors = append(c.GroupAssignors, name)
	}
	if len(c.GroupAssignors) == 0 {
		c.GroupAssignors = []string{group.AssignorUniform}
	}
	c.OffsetsRetention = core.Millis(p.int("offsets.retention.minutes") * 60000)
	c.OffsetsRetentionCheck = p.ms("offsets.retention.check.interval.ms")
	c.OffsetMetadataMax = int(p.int("offset.metadata.max.bytes"))
	c.OffsetsLoadBuffer = p.int("offsets.load.buffer.size")
	c.OffsetsCommitTimeout = p.ms("offsets.commit.timeout.ms")

	c.CheckpointTime = p.ms("log.flush.offset.checkpoint.interval.ms")
	c.RetentionCheck = p.ms("log.retention.check.interval.ms")
	p.cleaner(c)
	c.LoadsAtOnce = int(p.int("num.recovery.threads.per.data.dir"))
	c.LagMax = p.ms("replica.lag.time.max.ms")
	c.DirFailureWait = p.ms("log.dir.failure.timeout.ms")

	c.Quorum = QuorumTimes{
		Election: p.ms("controller.quorum.election.timeout.ms"), Fetch: p.ms("controller.quorum.fetch.timeout.ms"),
		BackoffMax: p.ms("controller.quorum.election.backoff.max.ms"), Request: p.ms("controller.quorum.request.timeout.ms"),
		Retry: p.ms("controller.quorum.retry.backoff.ms"), FetchBytes: int32(p.int("controller.quorum.fetch.max.bytes")),
		SnapshotFetchBytes: int32(p.int("controller.quorum.fetch.snapshot.max.bytes")),
	}
	c.Heartbeat, c.Session = p.ms("broker.heartbeat.interval.ms"), p.ms("broker.session.timeout.ms")
	// A broker that is killed is noticed by its silence. Go programs and logs that are written beside the machine's loop
	// do not fall silent for as long as Kafka's defaults allow for, and fencing is safe whatever the time is.
	if !p.given("broker.heartbeat.interval.ms") && !p.given("broker.session.timeout.ms") {
		c.Heartbeat, c.Session = heartbeatDefault, sessionDefault
	}
	c.RegisterWait = p.ms("initial.broker.registration.timeout.ms")
	c.ControllerWait, c.ReplicaWait = controllerWait, p.ms("replica.socket.timeout.ms")

	c.ReplicaFetch = ReplicaFetch{
		WaitMillis: p.replicaWait(), BytesMin: int32(p.int("replica.fetch.min.bytes")),
		PartitionBytes: int32(p.int("replica.fetch.max.bytes")), ResponseBytes: int32(p.int("replica.fetch.response.max.bytes")),
	}

	switch class := p.text("replica.selector.class"); class {
	case "", "org.apache.kafka.common.replica.LeaderSelector":
	case "org.apache.kafka.common.replica.RackAwareReplicaSelector":
		c.ReadNear = true
	default:
		p.bad("replica.selector.class=" + class + ": Klamm runs no Java classes; it knows org.apache.kafka.common.replica.RackAwareReplicaSelector and ….LeaderSelector")
	}

	c.SnapshotBytes = p.int("metadata.log.max.record.bytes.between.snapshots")
	c.MetadataRetentionBytes = p.int("metadata.max.retention.bytes")
	c.SnapshotTime = p.ms("metadata.log.max.snapshot.interval.ms")
	if p.given("metadata.max.idle.interval.ms") {
		c.MetadataIdle = p.ms("metadata.max.idle.interval.ms")
	}
	c.MetadataSegmentBytes = p.int("metadata.log.segment.bytes")
	c.MetadataSegmentTime = p.ms("metadata.log.segment.ms")
}

// cleaner reads log.cleaner.*. Apache Kafka reads with one buffer for each thread and writes with another.
func (p *parser) cleaner(c *Config) {
	tasks := p.int("log.cleaner.threads")
	c.Cleaner = log.CleanerConfig{
		Off: !p.bool("log.cleaner.enable") || tasks == 0, Tasks: int(max(1, tasks)), MapBytes: p.int("log.cleaner.dedupe.buffer.size"),
		LoadMillionths: p.view.Broker("log.cleaner.io.buffer.load.factor").Scaled(1_000_000),
		ChunkBytes:     max(1, p.int("log.cleaner.io.buffer.size")/max(1, tasks)/2),
		Rows:           p.size("log.clean.rows"),
		BytesPerSecond: p.view.Broker("log.cleaner.io.max.bytes.per.second").Scaled(1),
		Backoff:        max(core.Millisecond, p.ms("log.cleaner.backoff.ms")),
	}
}
