package broker

import (
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// bothListeners is a node whose controller role is reached as well.
const bothListeners = "node.id=1\nlog.dirs=/data\nklamm.auto.format=true\nlisteners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n" +
	"controller.listener.names=CONTROLLER\n"

// A request of every API in every version that a listener advertises, with nothing in it but defaults, is answered; and the
// node serves the next client.
func TestEveryVersionIsServed(t *testing.T) {
	for side, listener := range []string{"PLAINTEXT", "CONTROLLER"} {
		w := newWorld(t)
		w.boot(bothListeners)
		id := core.ConnID(1)
		for _, key := range wire.Side(side).Keys() {
			served, _ := wire.Side(side).Served(key)
			for v := served.Min; v <= served.Max; v++ {
				q := kmsg.RequestForKey(key)
				if d, ok := q.(interface{ Default() }); ok {
					d.Default()
				}
				switch q := q.(type) {
				case *kmsg.ProduceRequest:
					q.Acks = 1
				case *kmsg.UnregisterBrokerRequest:
					q.BrokerID = 7
				}
				id += 2
				w.connectTo(id, listener, "10.0.0.1:1")
				w.send(id, v, "test", q)
				w.advance(10 * core.Second)
				require.False(t, w.conns[id].closed, "%s v%d on %s: %q", wire.Name(key), v, listener, w.notes)
				require.NotNil(t, w.receive(id), "%s v%d on %s", wire.Name(key), v, listener)
				w.hangUp(id, core.Reset)
			}
		}
		require.Equal(t, stageReady, w.b.stage)
	}
}

// Whatever a client sends, the broker goes on. Frames are requests with some of their bytes changed, cut short, or
// lengthened; the world cuts them as Split does.
func TestHostileFrames(t *testing.T) {
	seeds := hostileSeeds()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(nil)
		w.t = quietTB{}
		w.boot(bothListeners + groupsConfig)
		require.Equal(t, stageReady, w.b.stage)
		for i := range rapid.IntRange(1, 20).Draw(t, "frames") {
			frame := append([]byte{}, rapid.SampledFrom(seeds).Draw(t, "seed")...)
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				at := rapid.IntRange(4, len(frame)-1).Draw(t, "at")
				frame[at] = rapid.Byte().Draw(t, "to")
			}
			switch rapid.IntRange(0, 5).Draw(t, "shape") {
			case 0:
				frame = frame[:rapid.IntRange(12, len(frame)).Draw(t, "len")]
			case 1:
				frame = append(frame, rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "tail")...)
			}
			n := len(frame) - 4
			frame[0], frame[1], frame[2], frame[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
			id := core.ConnID(2*i + 1)
			w.connectTo(id, rapid.SampledFrom([]string{"PLAINTEXT", "CONTROLLER"}).Draw(t, "listener"), "10.0.0.1:1")
			w.raw(id, frame)
			if rapid.Bool().Draw(t, "time") {
				w.advance(7 * core.Second)
			}
		}
		require.Equal(t, stageReady, w.b.stage)
		id := core.ConnID(1001)
		w.connect(id, "10.0.0.2:1")
		w.send(id, 0, "test", kmsg.NewPtrApiVersionsRequest())
		require.NotNil(t, w.receive(id))
	})
}

// quietTB takes the place of a test where failures are told otherwise.
type quietTB struct{ testing.TB }

func (quietTB) Helper()                        {}
func (quietTB) Errorf(string, ...any)          { panic("the world is at odds with itself") }
func (quietTB) FailNow()                       { panic("the world is at odds with itself") }
func (quietTB) Fatalf(format string, a ...any) { panic(format) }

// hostileSeeds are requests with something in them, for each API and version.
func hostileSeeds() (frames [][]byte) {
	name, text := "a", "x"
	for _, key := range append(wire.Keys(), wire.ControllerSide.Keys()...) {
		for v := wire.Oldest(key); v <= wire.Newest(key); v++ {
			q := kmsg.RequestForKey(key)
			if d, ok := q.(interface{ Default() }); ok {
				d.Default()
			}
			quorumSeed(q)
			switch q := q.(type) {
			case *kmsg.ProduceRequest:
				frames = append(frames, produceFrame(20))
			case *kmsg.FetchRequest:
				frames = append(frames, fetchFrame(10, 0))
			case *kmsg.MetadataRequest:
				topic := kmsg.NewMetadataRequestTopic()
				topic.Topic = &name
				q.Topics, q.AllowAutoTopicCreation = append(q.Topics, topic), true
			case *kmsg.ListOffsetsRequest:
				p := kmsg.NewListOffsetsRequestTopicPartition()
				p.Timestamp = 5
				q.Topics = append(q.Topics, kmsg.ListOffsetsRequestTopic{Topic: name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}})
			case *kmsg.DeleteRecordsRequest:
				q.Topics = append(q.Topics, kmsg.DeleteRecordsRequestTopic{Topic: name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{}}})
			case *kmsg.CreateTopicsRequest:
				q.Topics = append(q.Topics, kmsg.CreateTopicsRequestTopic{Topic: name, NumPartitions: 2, ReplicationFactor: 1,
					Configs: []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: &text}}})
			case *kmsg.DeleteTopicsRequest:
				q.TopicNames = []string{name}
				q.Topics = append(q.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
			case *kmsg.CreatePartitionsRequest:
				q.Topics = append(q.Topics, kmsg.CreatePartitionsRequestTopic{Topic: name, Count: 3})
			case *kmsg.JoinGroupRequest:
				q.Group, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = "g", "consumer", 10000, 10000
				q.Protocols = append(q.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range", Metadata: []byte("m")})
			case *kmsg.SyncGroupRequest:
				q.Group, q.MemberID = "g", "m"
				q.GroupAssignment = append(q.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: "m", MemberAssignment: []byte("a")})
			case *kmsg.OffsetCommitRequest:
				q.Group, q.Generation = "g", -1
				q.Topics = append(q.Topics, kmsg.OffsetCommitRequestTopic{Topic: name, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Metadata: &text}}})
			case *kmsg.OffsetFetchRequest:
				q.Group = "g"
				q.Topics = append(q.Topics, kmsg.OffsetFetchRequestTopic{Topic: name, Partitions: []int32{0}})
				q.Groups = append(q.Groups, kmsg.OffsetFetchRequestGroup{Group: "g"})
			case *kmsg.FindCoordinatorRequest:
				q.CoordinatorKey, q.CoordinatorKeys = "g", []string{"g"}
			case *kmsg.IncrementalAlterConfigsRequest:
				q.Resources = append(q.Resources, kmsg.IncrementalAlterConfigsRequestResource{ResourceType: 2, ResourceName: name,
					Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &text}}})
			case *kmsg.DescribeConfigsRequest:
				q.Resources = append(q.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: 2, ResourceName: name})
			}
			q.SetVersion(v)
			frames = append(frames, wire.AppendRequest(nil, wire.Header{Key: key, Version: v, Correlation: 1, ClientID: "c", HasClientID: true}, q))
		}
	}
	return frames
}

// quorumSeed puts something into the requests between nodes.
func quorumSeed(q kmsg.Request) {
	const log = "__cluster_metadata"
	switch q := q.(type) {
	case *kmsg.VoteRequest:
		p := kmsg.NewVoteRequestTopicPartition()
		p.CandidateEpoch, p.CandidateID, p.LastOffsetEpoch, p.LastOffset = 2, 1, 1, 100
		q.VoterID = 1
		q.Topics = append(q.Topics, kmsg.VoteRequestTopic{Topic: log, Partitions: []kmsg.VoteRequestTopicPartition{p}})
	case *kmsg.BeginQuorumEpochRequest:
		p := kmsg.NewBeginQuorumEpochRequestTopicPartition()
		p.LeaderID, p.LeaderEpoch = 1, 1
		q.VoterID = 1
		q.Topics = append(q.Topics, kmsg.BeginQuorumEpochRequestTopic{Topic: log, Partitions: []kmsg.BeginQuorumEpochRequestTopicPartition{p}})
	case *kmsg.EndQuorumEpochRequest:
		p := kmsg.NewEndQuorumEpochRequestTopicPartition()
		p.LeaderID, p.LeaderEpoch = 1, 1
		q.Topics = append(q.Topics, kmsg.EndQuorumEpochRequestTopic{Topic: log, Partitions: []kmsg.EndQuorumEpochRequestTopicPartition{p}})
	case *kmsg.FetchSnapshotRequest:
		p := kmsg.NewFetchSnapshotRequestTopicPartition()
		p.CurrentLeaderEpoch, p.SnapshotID.EndOffset, p.SnapshotID.Epoch = 1, 5, 1
		q.MaxBytes = 1000
		q.Topics = append(q.Topics, kmsg.FetchSnapshotRequestTopic{Topic: log, Partitions: []kmsg.FetchSnapshotRequestTopicPartition{p}})
	case *kmsg.DescribeQuorumRequest:
		q.Topics = append(q.Topics, kmsg.DescribeQuorumRequestTopic{Topic: log, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}})
	case *kmsg.EnvelopeRequest:
		q.RequestData, q.ClientHostAddress = []byte{0, 19, 0, 5, 0, 0, 0, 1, 0, 1, 'c', 0, 1, 0, 0, 0, 9, 0, 0}, []byte{127, 0, 0, 1}
	case *kmsg.BrokerRegistrationRequest:
		q.BrokerID, q.IncarnationID, q.LogDirs = 2, [16]byte{1}, [][16]byte{{2}}
		q.Listeners = append(q.Listeners, kmsg.BrokerRegistrationRequestListener{Name: "PLAINTEXT", Host: "h", Port: 1})
	case *kmsg.BrokerHeartbeatRequest:
		q.BrokerID, q.BrokerEpoch, q.CurrentMetadataOffset = 1, 6, 100
	case *kmsg.AlterPartitionRequest:
		q.BrokerID, q.BrokerEpoch = 1, 6
		q.Topics = append(q.Topics, kmsg.AlterPartitionRequestTopic{Partitions: []kmsg.AlterPartitionRequestTopicPartition{{NewISR: []int32{1, 2}}}})
	case *kmsg.UpdateFeaturesRequest:
		q.FeatureUpdates = append(q.FeatureUpdates, kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: "metadata.version", MaxVersionLevel: 20, UpgradeType: 2})
	case *kmsg.AlterPartitionAssignmentsRequest:
		q.Topics = append(q.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{Topic: "a", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{1}}}})
	case *kmsg.ElectLeadersRequest:
		q.Topics = append(q.Topics, kmsg.ElectLeadersRequestTopic{Topic: "a", Partitions: []int32{0}})
	}
}
