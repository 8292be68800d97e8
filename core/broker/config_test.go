package broker

import (
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/group"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/shard"

	"github.com/stretchr/testify/require"
)

// A configuration as small as can be has Kafka's defaults.
func TestConfigDefaults(t *testing.T) {
	c, problems := ParseConfig("node.id=3\nlog.dirs=/d\n")
	require.Empty(t, problems)
	require.EqualValues(t, 3, c.NodeID)
	require.Equal(t, "/d", c.LogDir)
	require.Equal(t, log.Synced, c.Durability)
	require.False(t, c.AutoFormat)
	require.True(t, c.AutoCreate)
	require.EqualValues(t, 1, c.NumPartitions)
	require.EqualValues(t, 50, c.OffsetsPartitions)
	require.EqualValues(t, core.FrameBytesMax, c.FrameBytesMax)
	require.Equal(t, 10*core.Minute, c.MaxIdle)
	require.EqualValues(t, 55<<20, c.FetchBytesMax)
	require.Equal(t, 1000, c.FetchSessions)
	require.Equal(t, 3*core.Second, c.GroupInitialDelay)
	require.Equal(t, 7*24*core.Hour, c.OffsetsRetention)
	require.Zero(t, c.MetadataIdle, "idle time costs nothing unless asked for")
	require.Len(t, c.Listeners, 1)
	require.Equal(t, "PLAINTEXT", c.Listeners[0].Name)
	require.EqualValues(t, 9092, c.Listeners[0].Port)
	require.Equal(t, "localhost", c.Listeners[0].Advertised.Host)
}

// Listeners of both roles, and what they tell clients.
func TestConfigListeners(t *testing.T) {
	c, problems := ParseConfig(`node.id=1
log.dirs=/d
process.roles=broker,controller
controller.quorum.voters=1@localhost:9093
controller.listener.names=CONTROLLER
listeners=INSIDE://:9092,OUTSIDE://[::1]:9094,CONTROLLER://localhost:9093
advertised.listeners=OUTSIDE://kafka.example:19094
listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
`)
	require.Empty(t, problems)
	require.Len(t, c.Listeners, 2)
	require.Len(t, c.Controllers, 1)
	require.Equal(t, "localhost", c.Listeners[0].Advertised.Host)
	require.Equal(t, "::1", c.Listeners[1].Host)
	require.Equal(t, "kafka.example", c.Listeners[1].Advertised.Host)
	require.EqualValues(t, 19094, c.Listeners[1].Advertised.Port)
}

// A sample of Apache Kafka's own server.properties is taken as it is.
func TestConfigOfKafka(t *testing.T) {
	_, problems := ParseConfig(`process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
`)
	require.Empty(t, problems)
}

// What would be a promise that is not kept is refused, in words.
func TestConfigRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer": "authorization",
		"process.roles=broker":                            "needs controllers",
		"log.dirs=/a,/b,/a":                               "names /a twice",
		"remote.log.storage.system.enable=true":           "tiered",
		"broker.id=7":                                     "remove broker.id",
		"klamm.durability=fast":                           "neither sync nor replicate",
		"klamm.auto.format=perhaps":                       "neither true nor false",
		"listeners=PLAINTEXT://:99999":                    "port",
		"listeners=PLAINTEXT:9092":                        "NAME://host:port",
		"advertised.listeners=PLAINTEXT://0.0.0.0:9092":   "name the host",
		"advertised.listeners=OTHER://x:9092":             "no listener of that name",
		"max.connections.per.ip.overrides=x":              "host:number",
		"listener.name.plaintext.ssl.keystore.location=x": "one listener",
		"cordoned.log.dirs=/d":                            "not supported yet",
		"num.partitons=3":                                 "num.partitions",
		"num.partitions=0":                                "num.partitions",
		"max.connection.creation.rate=5":                  "rate",
	} {
		_, problems := ParseConfig("node.id=1\nlog.dirs=/d\n" + line + "\n")
		require.NotEmpty(t, problems, line)
		var all []string
		for _, p := range problems {
			all = append(all, p.Text)
		}
		require.Contains(t, strings.Join(all, "\n"), want, line)
	}
	_, problems := ParseConfig("")
	require.Contains(t, problems[0].Text, "node.id is missing")
}

// What cannot make a cluster is refused, in words that say what to change.
func TestConfigRefusesClusters(t *testing.T) {
	const three = "controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093\ncontroller.listener.names=CONTROLLER\n"
	for lines, want := range map[string]string{
		"controller.quorum.voters=2@b:9093":                                                  "does not name node 1",
		"controller.quorum.voters=1@a:9093,2@b:9093\nlisteners=PLAINTEXT://:9092":            "controller.listener.names is missing",
		"controller.quorum.voters=1@a:9093,1@b:9093":                                         "named twice",
		"controller.quorum.voters=1@a":                                                       "host:port",
		"controller.quorum.voters=one@a:9093":                                                "id@host:port",
		"controller.quorum.bootstrap.servers=a:9093,b:9093":                                  "controller.listener.names is missing",
		"controller.quorum.auto.join.enable=true":                                            "add those, or set it to false",
		"process.roles=broker\n" + three:                                                     "roles are broker alone",
		"process.roles=broker\ncontroller.quorum.bootstrap.servers=a:9093":                   "controller.listener.names is missing",
		"process.roles=controller\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n" + three: "serves no others",
		"process.roles=broker\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.quorum.voters=2@b:9093\ncontroller.listener.names=CONTROLLER": "process.roles=broker serves none",
		"inter.broker.listener.name=OTHER":                                  "no listener of that name",
		"klamm.auto.format=true\n" + three:                                  "needs klamm.cluster.id",
		"broker.heartbeat.interval.ms=3000\nbroker.session.timeout.ms=3000": "between two heartbeats",
	} {
		_, problems := ParseConfig("node.id=1\nlog.dirs=/d\n" + lines + "\n")
		require.Len(t, problems, 1, lines)
		require.Contains(t, problems[0].Text, want, lines)
	}
}

// Nodes of clusters, with both roles and with one.
func TestConfigOfClusters(t *testing.T) {
	const three = "controller.quorum.voters=3@c:9093,1@a:9093,2@b:9093\ncontroller.listener.names=CONTROLLER\nlog.dirs=/d\n"
	c, problems := ParseConfig("node.id=2\nlisteners=PLAINTEXT://b:9092,CONTROLLER://b:9093\n" + three)
	require.Empty(t, problems)
	require.True(t, c.IsBroker && c.IsController)
	require.Equal(t, []quorum.Voter{{ID: 1, Host: "a", Port: 9093}, {ID: 2, Host: "b", Port: 9093}, {ID: 3, Host: "c", Port: 9093}}, c.Voters)
	require.Equal(t, "PLAINTEXT", c.InterBroker)
	require.Equal(t, "b", c.Controllers[0].Advertised.Host)
	c, problems = ParseConfig("node.id=3\nprocess.roles=controller\nlisteners=CONTROLLER://c:9093\n" + three)
	require.Empty(t, problems)
	require.True(t, !c.IsBroker && c.IsController && len(c.Listeners) == 0)
	c, problems = ParseConfig("node.id=4\nprocess.roles=broker\nlisteners=IN://d:9091,OUT://d:9092\nlistener.security.protocol.map=IN:PLAINTEXT,OUT:PLAINTEXT,CONTROLLER:PLAINTEXT\n" +
		"inter.broker.listener.name=IN\nbroker.session.timeout.ms=9000\n" + three)
	require.Empty(t, problems)
	require.True(t, c.IsBroker && !c.IsController && len(c.Controllers) == 0)
	require.Equal(t, "IN", c.InterBroker)
	require.Equal(t, 9*core.Second, c.Session)
	require.Equal(t, 2*core.Second, c.Heartbeat)
}

// The settings klamm.internal.* have the rooms' own defaults, can be set, and are checked like others.
func TestConfigInternal(t *testing.T) {
	c, problems := ParseConfig("node.id=1\nlog.dirs=/d\n")
	require.Empty(t, problems)
	require.Equal(t, log.DefaultSizes(), c.Internal.Log)
	require.Equal(t, quorum.DefaultSizes(), c.Internal.Quorum)
	require.Equal(t, log.DefaultStoreConfig("/d").CheckpointBytes, c.Internal.CheckpointBytes)
	require.EqualValues(t, group.SweepMax, c.Internal.GroupSweep)
	require.EqualValues(t, shard.LoadBytes, c.Internal.GroupLoadBytes)
	c, problems = ParseConfig("node.id=1\nlog.dirs=/d\nklamm.internal.log.scan.bytes=300\nklamm.internal.metadata.snapshot.records=7\n")
	require.Empty(t, problems)
	require.EqualValues(t, 300, c.Internal.Log.ScanBytes)
	require.Equal(t, 7, c.Internal.Quorum.SnapshotRecords)
	for _, line := range []string{"klamm.internal.log.scan.bytes=0", "klamm.internal.log.scan.bytes=x", "klamm.internal.log.scan.byte=1"} {
		_, problems = ParseConfig("node.id=1\nlog.dirs=/d\n" + line)
		require.Len(t, problems, 1, line)
	}
}
