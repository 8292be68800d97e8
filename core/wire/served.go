package wire

import "slices"

type api struct {
	name      string
	min, max  int16 // of Apache Kafka 4.3.1; -1: no longer there
	forwarded bool
}

// Range is the versions of one API, both ends inclusive.
type Range struct {
	Min, Max   int16
	Advertised int16 // what ApiVersions says instead of Min
}

// Side is one of the two kinds of listeners.
type Side uint8

// The sides.
const (
	BrokerSide     Side = iota // for clients and other brokers
	ControllerSide             // for controllers, brokers and admin clients that talk to controllers directly (KIP-919)
)

// servedKeys are the APIs of the broker listener, sorted.
var servedKeys = [...]int16{
	KeyProduce, KeyFetch, KeyListOffsets, KeyMetadata, KeyOffsetCommit, KeyOffsetFetch, KeyFindCoordinator, KeyJoinGroup,
	KeyHeartbeat, KeyLeaveGroup, KeySyncGroup, KeyDescribeGroups, KeyListGroups, KeyApiVersions, KeyCreateTopics,
	KeyDeleteTopics, KeyDeleteRecords, KeyInitProducerId, KeyOffsetForLeaderEpoch, KeyAddPartitionsToTxn, KeyAddOffsetsToTxn,
	KeyEndTxn, KeyWriteTxnMarkers, KeyTxnOffsetCommit, KeyDescribeConfigs, KeyAlterConfigs,
	KeyAlterReplicaLogDirs, KeyDescribeLogDirs, KeyCreatePartitions, KeyDeleteGroups, KeyElectLeaders, KeyIncrementalAlterConfigs,
	KeyAlterPartitionReassignments, KeyListPartitionReassignments, KeyOffsetDelete, KeyDescribeQuorum, KeyUpdateFeatures,
	KeyDescribeCluster, KeyDescribeProducers, KeyUnregisterBroker, KeyDescribeTransactions, KeyListTransactions, KeyConsumerGroupHeartbeat,
	KeyConsumerGroupDescribe,
	KeyDescribeTopicPartitions, KeyAddRaftVoter, KeyRemoveRaftVoter,
}

// controllerKeys are the APIs of the controller listener, sorted.
var controllerKeys = [...]int16{
	KeyFetch, KeyApiVersions, KeyCreateTopics, KeyDeleteTopics, KeyDescribeConfigs, KeyAlterConfigs, KeyCreatePartitions,
	KeyElectLeaders, KeyIncrementalAlterConfigs, KeyAlterPartitionReassignments, KeyListPartitionReassignments, KeyVote,
	KeyBeginQuorumEpoch, KeyEndQuorumEpoch, KeyDescribeQuorum, KeyAlterPartition, KeyUpdateFeatures, KeyEnvelope,
	KeyFetchSnapshot, KeyDescribeCluster, KeyBrokerRegistration, KeyBrokerHeartbeat, KeyUnregisterBroker,
	KeyAllocateProducerIds, KeyControllerRegistration, KeyAssignReplicasToDirs, KeyAddRaftVoter, KeyRemoveRaftVoter, KeyUpdateRaftVoter,
}

// Keys returns the API keys that a listener of this side serves, sorted. The slice is the caller's.
func (s Side) Keys() []int16 {
	if s == ControllerSide {
		return append([]int16(nil), controllerKeys[:]...)
	}
	return append([]int16(nil), servedKeys[:]...)
}

// Served says which versions of an API a listener of this side serves now.
func (s Side) Served(key int16) (r Range, ok bool) {
	at := -1
	if s == ControllerSide {
		at = slices.Index(controllerKeys[:], key)
	} else {
		at = slices.Index(servedKeys[:], key)
	}
	if at < 0 {
		return r, false
	}
	r = Range{Min: apis[key].min, Max: apis[key].max, Advertised: apis[key].min}
	if key == KeyProduce {
		r.Advertised = 0 // librdkafka before 2.x probes version 0 to learn what the broker can do
	}
	return r, true
}

// Keys returns the API keys that are served on the broker listener, sorted. The slice is the caller's.
func Keys() []int16 { return BrokerSide.Keys() }

// Served says which versions of an API the broker listener serves now.
func Served(key int16) (r Range, ok bool) { return BrokerSide.Served(key) }

// Serves reports whether the broker listener serves one version of an API.
func Serves(key, version int16) bool {
	r, ok := Served(key)
	return ok && version >= r.Min && version <= r.Max
}

// servedSomewhere says which versions of an API some listener serves: which one a frame came from is not known where
// it is decoded.
func servedSomewhere(key int16) (r Range, ok bool) {
	if r, ok = BrokerSide.Served(key); !ok {
		r, ok = ControllerSide.Served(key)
	}
	return r, ok
}

// Name is Kafka's name of an API, or empty.
func Name(key int16) string {
	if key < 0 || int(key) >= len(apis) {
		return ""
	}
	return apis[key].name
}

// KeyOf is the key of the API with that name.
func KeyOf(name string) (key int16, ok bool) {
	for i := range apis {
		if apis[i].name == name {
			return int16(i), true
		}
	}
	return -1, false
}

// Oldest and Newest are the versions of an API that Apache Kafka 4.3.1 has, whoever serves it; -1 if it has none.
func Oldest(key int16) int16 {
	if Name(key) == "" {
		return -1
	}
	return apis[key].min
}

// Newest is explained at Oldest.
func Newest(key int16) int16 {
	if Name(key) == "" {
		return -1
	}
	return apis[key].max
}

// Forwarded reports whether brokers pass requests of that key on to the controller (KIP-590).
func Forwarded(key int16) bool { return Name(key) != "" && apis[key].forwarded }
