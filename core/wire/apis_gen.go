// Code generated from gen/apis.tsv by go generate; DO NOT EDIT.

package wire

// apis holds every API key from 0 on, in order.
var apis = [...]api{
	0:  {"Produce", 3, 13, false},
	1:  {"Fetch", 4, 18, false},
	2:  {"ListOffsets", 1, 11, false},
	3:  {"Metadata", 0, 13, false},
	4:  {"LeaderAndIsr", -1, -1, false},
	5:  {"StopReplica", -1, -1, false},
	6:  {"UpdateMetadata", -1, -1, false},
	7:  {"ControlledShutdown", -1, -1, false},
	8:  {"OffsetCommit", 2, 10, false},
	9:  {"OffsetFetch", 1, 10, false},
	10: {"FindCoordinator", 0, 6, false},
	11: {"JoinGroup", 0, 9, false},
	12: {"Heartbeat", 0, 4, false},
	13: {"LeaveGroup", 0, 5, false},
	14: {"SyncGroup", 0, 5, false},
	15: {"DescribeGroups", 0, 6, false},
	16: {"ListGroups", 0, 5, false},
	17: {"SaslHandshake", 0, 1, false},
	18: {"ApiVersions", 0, 4, false},
	19: {"CreateTopics", 2, 7, true},
	20: {"DeleteTopics", 1, 6, true},
	21: {"DeleteRecords", 0, 2, false},
	22: {"InitProducerId", 0, 5, false},
	23: {"OffsetForLeaderEpoch", 2, 4, false},
	24: {"AddPartitionsToTxn", 0, 5, false},
	25: {"AddOffsetsToTxn", 0, 4, false},
	26: {"EndTxn", 0, 5, false},
	27: {"WriteTxnMarkers", 1, 2, false},
	28: {"TxnOffsetCommit", 0, 5, false},
	29: {"DescribeAcls", 1, 3, false},
	30: {"CreateAcls", 1, 3, true},
	31: {"DeleteAcls", 1, 3, true},
	32: {"DescribeConfigs", 1, 4, false},
	33: {"AlterConfigs", 0, 2, true},
	34: {"AlterReplicaLogDirs", 1, 2, false},
	35: {"DescribeLogDirs", 1, 5, false},
	36: {"SaslAuthenticate", 0, 2, false},
	37: {"CreatePartitions", 0, 3, true},
	38: {"CreateDelegationToken", 1, 3, true},
	39: {"RenewDelegationToken", 1, 2, true},
	40: {"ExpireDelegationToken", 1, 2, true},
	41: {"DescribeDelegationToken", 1, 3, false},
	42: {"DeleteGroups", 0, 2, false},
	43: {"ElectLeaders", 0, 2, true},
	44: {"IncrementalAlterConfigs", 0, 1, true},
	45: {"AlterPartitionReassignments", 0, 1, true},
	46: {"ListPartitionReassignments", 0, 0, true},
	47: {"OffsetDelete", 0, 0, false},
	48: {"DescribeClientQuotas", 0, 1, false},
	49: {"AlterClientQuotas", 0, 1, true},
	50: {"DescribeUserScramCredentials", 0, 0, false},
	51: {"AlterUserScramCredentials", 0, 0, true},
	52: {"Vote", 0, 2, false},
	53: {"BeginQuorumEpoch", 0, 1, false},
	54: {"EndQuorumEpoch", 0, 1, false},
	55: {"DescribeQuorum", 0, 2, true},
	56: {"AlterPartition", 2, 3, false},
	57: {"UpdateFeatures", 0, 2, true},
	58: {"Envelope", 0, 0, false},
	59: {"FetchSnapshot", 0, 1, false},
	60: {"DescribeCluster", 0, 2, false},
	61: {"DescribeProducers", 0, 0, false},
	62: {"BrokerRegistration", 0, 4, false},
	63: {"BrokerHeartbeat", 0, 2, false},
	64: {"UnregisterBroker", 0, 0, true},
	65: {"DescribeTransactions", 0, 0, false},
	66: {"ListTransactions", 0, 2, false},
	67: {"AllocateProducerIds", 0, 0, true},
	68: {"ConsumerGroupHeartbeat", 0, 1, false},
	69: {"ConsumerGroupDescribe", 0, 1, false},
	70: {"ControllerRegistration", 0, 0, false},
	71: {"GetTelemetrySubscriptions", 0, 0, false},
	72: {"PushTelemetry", 0, 0, false},
	73: {"AssignReplicasToDirs", 0, 0, false},
	74: {"ListConfigResources", 0, 1, false},
	75: {"DescribeTopicPartitions", 0, 0, false},
	76: {"ShareGroupHeartbeat", 1, 1, false},
	77: {"ShareGroupDescribe", 1, 1, false},
	78: {"ShareFetch", 1, 2, false},
	79: {"ShareAcknowledge", 1, 2, false},
	80: {"AddRaftVoter", 0, 1, true},
	81: {"RemoveRaftVoter", 0, 0, true},
	82: {"UpdateRaftVoter", 0, 0, false},
	83: {"InitializeShareGroupState", 0, 0, false},
	84: {"ReadShareGroupState", 0, 0, false},
	85: {"WriteShareGroupState", 0, 1, false},
	86: {"DeleteShareGroupState", 0, 0, false},
	87: {"ReadShareGroupStateSummary", 0, 1, false},
	88: {"StreamsGroupHeartbeat", 0, 0, false},
	89: {"StreamsGroupDescribe", 0, 0, false},
	90: {"DescribeShareGroupOffsets", 0, 1, false},
	91: {"AlterShareGroupOffsets", 0, 0, false},
	92: {"DeleteShareGroupOffsets", 0, 0, false},
}

// The API keys.
const (
	KeyProduce                      int16 = 0
	KeyFetch                        int16 = 1
	KeyListOffsets                  int16 = 2
	KeyMetadata                     int16 = 3
	KeyLeaderAndIsr                 int16 = 4
	KeyStopReplica                  int16 = 5
	KeyUpdateMetadata               int16 = 6
	KeyControlledShutdown           int16 = 7
	KeyOffsetCommit                 int16 = 8
	KeyOffsetFetch                  int16 = 9
	KeyFindCoordinator              int16 = 10
	KeyJoinGroup                    int16 = 11
	KeyHeartbeat                    int16 = 12
	KeyLeaveGroup                   int16 = 13
	KeySyncGroup                    int16 = 14
	KeyDescribeGroups               int16 = 15
	KeyListGroups                   int16 = 16
	KeySaslHandshake                int16 = 17
	KeyApiVersions                  int16 = 18
	KeyCreateTopics                 int16 = 19
	KeyDeleteTopics                 int16 = 20
	KeyDeleteRecords                int16 = 21
	KeyInitProducerId               int16 = 22
	KeyOffsetForLeaderEpoch         int16 = 23
	KeyAddPartitionsToTxn           int16 = 24
	KeyAddOffsetsToTxn              int16 = 25
	KeyEndTxn                       int16 = 26
	KeyWriteTxnMarkers              int16 = 27
	KeyTxnOffsetCommit              int16 = 28
	KeyDescribeAcls                 int16 = 29
	KeyCreateAcls                   int16 = 30
	KeyDeleteAcls                   int16 = 31
	KeyDescribeConfigs              int16 = 32
	KeyAlterConfigs                 int16 = 33
	KeyAlterReplicaLogDirs          int16 = 34
	KeyDescribeLogDirs              int16 = 35
	KeySaslAuthenticate             int16 = 36
	KeyCreatePartitions             int16 = 37
	KeyCreateDelegationToken        int16 = 38
	KeyRenewDelegationToken         int16 = 39
	KeyExpireDelegationToken        int16 = 40
	KeyDescribeDelegationToken      int16 = 41
	KeyDeleteGroups                 int16 = 42
	KeyElectLeaders                 int16 = 43
	KeyIncrementalAlterConfigs      int16 = 44
	KeyAlterPartitionReassignments  int16 = 45
	KeyListPartitionReassignments   int16 = 46
	KeyOffsetDelete                 int16 = 47
	KeyDescribeClientQuotas         int16 = 48
	KeyAlterClientQuotas            int16 = 49
	KeyDescribeUserScramCredentials int16 = 50
	KeyAlterUserScramCredentials    int16 = 51
	KeyVote                         int16 = 52
	KeyBeginQuorumEpoch             int16 = 53
	KeyEndQuorumEpoch               int16 = 54
	KeyDescribeQuorum               int16 = 55
	KeyAlterPartition               int16 = 56
	KeyUpdateFeatures               int16 = 57
	KeyEnvelope                     int16 = 58
	KeyFetchSnapshot                int16 = 59
	KeyDescribeCluster              int16 = 60
	KeyDescribeProducers            int16 = 61
	KeyBrokerRegistration           int16 = 62
	KeyBrokerHeartbeat              int16 = 63
	KeyUnregisterBroker             int16 = 64
	KeyDescribeTransactions         int16 = 65
	KeyListTransactions             int16 = 66
	KeyAllocateProducerIds          int16 = 67
	KeyConsumerGroupHeartbeat       int16 = 68
	KeyConsumerGroupDescribe        int16 = 69
	KeyControllerRegistration       int16 = 70
	KeyGetTelemetrySubscriptions    int16 = 71
	KeyPushTelemetry                int16 = 72
	KeyAssignReplicasToDirs         int16 = 73
	KeyListConfigResources          int16 = 74
	KeyDescribeTopicPartitions      int16 = 75
	KeyShareGroupHeartbeat          int16 = 76
	KeyShareGroupDescribe           int16 = 77
	KeyShareFetch                   int16 = 78
	KeyShareAcknowledge             int16 = 79
	KeyAddRaftVoter                 int16 = 80
	KeyRemoveRaftVoter              int16 = 81
	KeyUpdateRaftVoter              int16 = 82
	KeyInitializeShareGroupState    int16 = 83
	KeyReadShareGroupState          int16 = 84
	KeyWriteShareGroupState         int16 = 85
	KeyDeleteShareGroupState        int16 = 86
	KeyReadShareGroupStateSummary   int16 = 87
	KeyStreamsGroupHeartbeat        int16 = 88
	KeyStreamsGroupDescribe         int16 = 89
	KeyDescribeShareGroupOffsets    int16 = 90
	KeyAlterShareGroupOffsets       int16 = 91
	KeyDeleteShareGroupOffsets      int16 = 92
)
