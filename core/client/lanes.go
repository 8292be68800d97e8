package client

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core/link"
)

// The lanes to a broker. What waits there must not hold up what does not: a broker serves the requests of one
// connection one by one.
const (
	general     link.Lane = iota
	fetching              // long polls
	coordinator           // joins wait for minutes
)

// newPool makes the connections of one machine.
func newPool(o Options) link.Pool {
	return link.New(link.Options{
		ClientID: o.ClientID, Conns: o.Conns, Table: o.Table, RequestTime: o.RequestTime, DialTime: o.DialTime,
		ReconnectMin: o.ReconnectMin, ReconnectMax: o.ReconnectMax, InFlight: o.InFlight,
	})
}

// versionOf picks the newest version of a request that this room and the broker speak, no newer than limit if that is not
// negative.
func versionOf(p *link.Peer, key, limit int16) (int16, bool) {
	lo, hi, ok := spoken(key)
	if !ok {
		return 0, false
	}
	if limit >= 0 {
		hi = min(hi, limit)
	}
	return p.Version(key, lo, hi)
}

// spoken is the range of versions of a request that this room knows how to fill and read.
func spoken(key int16) (lo, hi int16, ok bool) {
	switch kmsg.Key(key) {
	case kmsg.Produce:
		return 3, 13, true
	case kmsg.Fetch:
		return 4, 18, true
	case kmsg.ListOffsets:
		return 1, 11, true
	case kmsg.Metadata:
		return 0, 13, true
	case kmsg.OffsetCommit:
		return 2, 9, true
	case kmsg.OffsetFetch:
		return 1, 9, true
	case kmsg.FindCoordinator:
		return 0, 6, true
	case kmsg.JoinGroup:
		return 0, 9, true
	case kmsg.Heartbeat:
		return 0, 4, true
	case kmsg.LeaveGroup:
		return 0, 5, true
	case kmsg.SyncGroup:
		return 0, 5, true
	case kmsg.ConsumerGroupHeartbeat:
		return 0, 1, true
	case kmsg.DescribeGroups:
		return 0, 6, true
	case kmsg.ListGroups:
		return 0, 5, true
	case kmsg.CreateTopics:
		return 0, 7, true
	case kmsg.DeleteTopics:
		return 0, 5, true
	case kmsg.DeleteRecords:
		return 0, 2, true
	case kmsg.InitProducerID:
		return 0, 5, true
	case kmsg.AddPartitionsToTxn:
		return 0, 3, true // from version 4 on brokers ask it (KIP-890)
	case kmsg.AddOffsetsToTxn:
		return 0, 4, true
	case kmsg.EndTxn, kmsg.TxnOffsetCommit:
		return 0, 5, true
	case kmsg.OffsetForLeaderEpoch:
		return 2, 4, true
	case kmsg.DescribeConfigs:
		return 0, 4, true
	case kmsg.DescribeLogDirs:
		return 0, 4, true
	case kmsg.CreatePartitions:
		return 0, 3, true
	case kmsg.DeleteGroups:
		return 0, 2, true
	case kmsg.IncrementalAlterConfigs:
		return 0, 1, true
	case kmsg.OffsetDelete:
		return 0, 0, true
	case kmsg.DescribeCluster:
		return 0, 2, true
	case kmsg.ListTransactions:
		return 0, 2, true
	case kmsg.WriteTxnMarkers:
		return 1, 2, true
	case kmsg.DescribeTransactions, kmsg.DescribeProducers, kmsg.ListPartitionReassignments, kmsg.DescribeTopicPartitions, kmsg.UnregisterBroker:
		return 0, 0, true
	case kmsg.ElectLeaders:
		return 0, 2, true
	case kmsg.AlterPartitionAssignments:
		return 0, 1, true
	case kmsg.UpdateFeatures:
		return 0, 2, true
	case kmsg.AddRaftVoter:
		return 0, 1, true
	case kmsg.RemoveRaftVoter:
		return 0, 0, true
	case kmsg.DescribeQuorum:
		return 0, 2, true
	}
	return 0, 0, false
}
