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
		"process.roles=broker":                            "set process.roles=broker,controller",
		"log.dirs=/a,/b":                                  "name one",
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
		"metadata.log.dir=/elsewhere":                     "not supported yet",
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
