package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// request is one request that waits for its reply: a value, which Tasks keep.
type request struct {
	conn   core.ConnID
	seq    uint64 // counts the requests of the connection; with conn, the name of the request
	header wire.Header
	at     core.Time // when its turn came, monotonic
	buf    []byte    // the whole frame. Byte slices of a decoded request point into it: whoever keeps one beyond the reply clones it

	via   via
	outer wire.Header // of the envelope, and
	host  string      // the client's address, as the broker that passed it on says
	kind  askKind     // viaSelf: who gets the reply,
	a     uint64      // and what it was asked with
}

// route hands a request whose turn has come to its handler.
//
// Every handler ends in exactly one reply (b.reply, b.replyFrame, b.noReply), now or from a Task.
func (b *Broker) route(now core.Now, r request, body kmsg.Request, p *prepared, out *core.Out) {
	switch q := body.(type) {
	case *kmsg.ProduceRequest:
		b.produce(now, r, q, p, out)
	case *kmsg.FetchRequest:
		if b.sideOf(r) == wire.ControllerSide { // of the metadata log: controllers serve no other
			b.askQuorumNode(now, r, q, out)
			return
		}
		b.fetch(now, r, q, out)
	case *kmsg.ListOffsetsRequest:
		b.listOffsets(now, r, q, out)
	case *kmsg.MetadataRequest:
		b.metadata(now, r, q, out)
	case *kmsg.ApiVersionsRequest:
		b.apiVersions(now, r, q, out)
	case *kmsg.DeleteRecordsRequest:
		b.deleteRecords(now, r, q, out)
	case *kmsg.InitProducerIDRequest:
		b.initProducerID(now, r, q, out)
	case *kmsg.OffsetForLeaderEpochRequest:
		b.offsetForLeaderEpoch(now, r, q, out)
	case *kmsg.DescribeProducersRequest:
		b.describeProducers(now, r, q, out)
	case *kmsg.AddPartitionsToTxnRequest:
		b.addPartitionsToTxn(now, r, q, out)
	case *kmsg.WriteTxnMarkersRequest:
		b.writeTxnMarkers(now, r, q, out)
	case *kmsg.TxnOffsetCommitRequest:
		b.txnOffsetCommit(now, r, q, out)
	case *kmsg.AddOffsetsToTxnRequest:
		b.addOffsetsToTxn(now, r, q, out)
	case *kmsg.EndTxnRequest:
		b.endTxn(now, r, q, out)
	case *kmsg.DescribeTransactionsRequest:
		b.describeTransactions(now, r, q, out)
	case *kmsg.ListTransactionsRequest:
		b.listTransactions(now, r, q, out)
	default:
		b.routeGroups(now, r, body, out)
	}
}

// routeGroups routes the requests to the coordinators of groups.
func (b *Broker) routeGroups(now core.Now, r request, body kmsg.Request, out *core.Out) {
	switch q := body.(type) {
	case *kmsg.OffsetCommitRequest:
		b.offsetCommit(now, r, q, out)
	case *kmsg.OffsetFetchRequest:
		b.offsetFetch(now, r, q, out)
	case *kmsg.FindCoordinatorRequest:
		b.findCoordinator(now, r, q, out)
	case *kmsg.JoinGroupRequest:
		b.joinGroup(now, r, q, out)
	case *kmsg.HeartbeatRequest:
		b.heartbeat(now, r, q, out)
	case *kmsg.LeaveGroupRequest:
		b.leaveGroup(now, r, q, out)
	case *kmsg.SyncGroupRequest:
		b.syncGroup(now, r, q, out)
	case *kmsg.DescribeGroupsRequest:
		b.describeGroups(now, r, q, out)
	case *kmsg.ListGroupsRequest:
		b.listGroups(now, r, q, out)
	case *kmsg.DeleteGroupsRequest:
		b.deleteGroups(now, r, q, out)
	case *kmsg.OffsetDeleteRequest:
		b.offsetDelete(now, r, q, out)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		b.consumerGroupHeartbeat(now, r, q, out)
	case *kmsg.ConsumerGroupDescribeRequest:
		b.consumerGroupDescribe(now, r, q, out)
	default:
		b.routeAdmin(now, r, body, out)
	}
}

// routeAdmin routes the requests that describe the cluster, and hands on those that belong to the controller.
func (b *Broker) routeAdmin(now core.Now, r request, body kmsg.Request, out *core.Out) {
	switch q := body.(type) {
	case *kmsg.DescribeConfigsRequest:
		b.describeConfigs(now, r, q, out)
	case *kmsg.DescribeLogDirsRequest:
		b.describeLogDirs(now, r, q, out)
	case *kmsg.AlterReplicaLogDirsRequest:
		b.alterReplicaLogDirs(now, r, q, out)
	case *kmsg.DescribeClusterRequest:
		b.describeCluster(now, r, q, out)
	case *kmsg.DescribeTopicPartitionsRequest:
		b.describeTopicPartitions(now, r, q, out)
	case *kmsg.EnvelopeRequest:
		b.envelope(now, r, q, out)
	case *kmsg.VoteRequest, *kmsg.BeginQuorumEpochRequest, *kmsg.EndQuorumEpochRequest, *kmsg.FetchSnapshotRequest,
		*kmsg.UpdateRaftVoterRequest:
		b.askQuorumNode(now, r, body, out)
	default:
		b.toController(now, r, body, out)
	}
}

// routeController routes the requests that only the active controller decides. It is asked for on that one alone.
func (b *Broker) routeController(now core.Now, r request, body kmsg.Request, out *core.Out) {
	if !b.active() {
		b.refuse(now, r, body, wire.NotController, out)
		return
	}
	switch q := body.(type) {
	case *kmsg.CreateTopicsRequest:
		b.createTopics(now, r, q, out)
	case *kmsg.DeleteTopicsRequest:
		b.deleteTopics(now, r, q, out)
	case *kmsg.CreatePartitionsRequest:
		b.createPartitions(now, r, q, out)
	case *kmsg.AlterConfigsRequest:
		b.alterConfigs(now, r, q, out)
	case *kmsg.IncrementalAlterConfigsRequest:
		b.incrementalAlterConfigs(now, r, q, out)
	case *kmsg.DescribeQuorumRequest, *kmsg.AddRaftVoterRequest, *kmsg.RemoveRaftVoterRequest:
		b.askQuorumNode(now, r, body, out)
	default:
		b.routeBrokers(now, r, body, out)
	}
}

// routeBrokers routes what brokers and other controllers ask of the active controller, and the admin requests about
// replicas.
func (b *Broker) routeBrokers(now core.Now, r request, body kmsg.Request, out *core.Out) {
	switch q := body.(type) {
	case *kmsg.ElectLeadersRequest:
		b.electLeaders(now, r, q, out)
	case *kmsg.AlterPartitionAssignmentsRequest:
		b.alterPartitionReassignments(now, r, q, out)
	case *kmsg.ListPartitionReassignmentsRequest:
		b.listPartitionReassignments(now, r, q, out)
	case *kmsg.AlterPartitionRequest:
		b.alterPartition(now, r, q, out)
	case *kmsg.UpdateFeaturesRequest:
		b.updateFeatures(now, r, q, out)
	case *kmsg.BrokerRegistrationRequest:
		b.brokerRegistration(now, r, q, out)
	case *kmsg.BrokerHeartbeatRequest:
		b.brokerHeartbeat(now, r, q, out)
	case *kmsg.UnregisterBrokerRequest:
		b.unregisterBroker(now, r, q, out)
	case *kmsg.AllocateProducerIDsRequest:
		b.allocateProducerIDs(now, r, q, out)
	case *kmsg.ControllerRegistrationRequest:
		b.controllerRegistration(now, r, q, out)
	case *kmsg.AssignReplicasToDirsRequest:
		b.assignReplicasToDirs(now, r, q, out)
	default:
		core.Must(false, "every API that is advertised has a handler")
	}
}
