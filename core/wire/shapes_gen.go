// Code generated from gen/messages.tsv by go generate; DO NOT EDIT.

package wire

// parts are the fields of all structures of all messages, those of one structure side by side.
var parts = [...]part{
	{fixed, false, false, -1, 0, 32767, 4, 0},       // TopicData.PartitionData.Index
	{blob, false, true, -1, 0, 32767, 0, 0},         // TopicData.PartitionData.Records
	{text, false, false, -1, 0, 12, 0, 0},           // TopicData.Name
	{fixed, false, false, -1, 13, 32767, 16, 0},     // TopicData.TopicId
	{inner, true, false, -1, 0, 32767, 0, 2},        // TopicData.PartitionData
	{text, false, true, -1, 3, 32767, 0, 0},         // .TransactionalId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .Acks
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{inner, true, false, -1, 0, 32767, 2, 5},        // .TopicData
	{fixed, false, false, -1, 8, 32767, 4, 0},       // Responses.PartitionResponses.RecordErrors.BatchIndex
	{text, false, true, -1, 8, 32767, 0, 0},         // Responses.PartitionResponses.RecordErrors.BatchIndexErrorMessage
	{fixed, false, false, -1, 10, 32767, 4, 0},      // Responses.PartitionResponses.CurrentLeader.LeaderId
	{fixed, false, false, -1, 10, 32767, 4, 0},      // Responses.PartitionResponses.CurrentLeader.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.PartitionResponses.Index
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.PartitionResponses.ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Responses.PartitionResponses.BaseOffset
	{fixed, false, false, -1, 2, 32767, 8, 0},       // Responses.PartitionResponses.LogAppendTimeMs
	{fixed, false, false, -1, 5, 32767, 8, 0},       // Responses.PartitionResponses.LogStartOffset
	{inner, true, false, -1, 8, 32767, 9, 11},       // Responses.PartitionResponses.RecordErrors
	{text, false, true, -1, 8, 32767, 0, 0},         // Responses.PartitionResponses.ErrorMessage
	{inner, false, false, 0, 10, 32767, 11, 13},     // Responses.PartitionResponses.CurrentLeader
	{text, false, false, -1, 0, 12, 0, 0},           // Responses.Name
	{fixed, false, false, -1, 13, 32767, 16, 0},     // Responses.TopicId
	{inner, true, false, -1, 0, 32767, 13, 21},      // Responses.PartitionResponses
	{fixed, false, false, -1, 10, 32767, 4, 0},      // NodeEndpoints.NodeId
	{text, false, false, -1, 10, 32767, 0, 0},       // NodeEndpoints.Host
	{fixed, false, false, -1, 10, 32767, 4, 0},      // NodeEndpoints.Port
	{text, false, true, -1, 10, 32767, 0, 0},        // NodeEndpoints.Rack
	{inner, true, false, -1, 0, 32767, 21, 24},      // .Responses
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, 0, 10, 32767, 24, 28},      // .NodeEndpoints
	{fixed, false, false, -1, 15, 32767, 4, 0},      // ReplicaState.ReplicaId
	{fixed, false, false, -1, 15, 32767, 8, 0},      // ReplicaState.ReplicaEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 9, 32767, 4, 0},       // Topics.Partitions.CurrentLeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.FetchOffset
	{fixed, false, false, -1, 12, 32767, 4, 0},      // Topics.Partitions.LastFetchedEpoch
	{fixed, false, false, -1, 5, 32767, 8, 0},       // Topics.Partitions.LogStartOffset
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionMaxBytes
	{fixed, false, false, 0, 17, 32767, 16, 0},      // Topics.Partitions.ReplicaDirectoryId
	{fixed, false, false, 1, 18, 32767, 8, 0},       // Topics.Partitions.HighWatermark
	{text, false, false, -1, 0, 12, 0, 0},           // Topics.Topic
	{fixed, false, false, -1, 13, 32767, 16, 0},     // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 33, 41},      // Topics.Partitions
	{text, false, false, -1, 7, 12, 0, 0},           // ForgottenTopicsData.Topic
	{fixed, false, false, -1, 13, 32767, 16, 0},     // ForgottenTopicsData.TopicId
	{fixed, true, false, -1, 7, 32767, 4, 0},        // ForgottenTopicsData.Partitions
	{text, false, true, 0, 12, 32767, 0, 0},         // .ClusterId
	{fixed, false, false, -1, 0, 14, 4, 0},          // .ReplicaId
	{inner, false, false, 1, 15, 32767, 31, 33},     // .ReplicaState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MaxWaitMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MinBytes
	{fixed, false, false, -1, 3, 32767, 4, 0},       // .MaxBytes
	{fixed, false, false, -1, 4, 32767, 1, 0},       // .IsolationLevel
	{fixed, false, false, -1, 7, 32767, 4, 0},       // .SessionId
	{fixed, false, false, -1, 7, 32767, 4, 0},       // .SessionEpoch
	{inner, true, false, -1, 0, 32767, 41, 44},      // .Topics
	{inner, true, false, -1, 7, 32767, 44, 47},      // .ForgottenTopicsData
	{text, false, false, -1, 11, 32767, 0, 0},       // .RackId
	{fixed, false, false, -1, 12, 32767, 4, 0},      // Responses.Partitions.DivergingEpoch.Epoch
	{fixed, false, false, -1, 12, 32767, 8, 0},      // Responses.Partitions.DivergingEpoch.EndOffset
	{fixed, false, false, -1, 12, 32767, 4, 0},      // Responses.Partitions.CurrentLeader.LeaderId
	{fixed, false, false, -1, 12, 32767, 4, 0},      // Responses.Partitions.CurrentLeader.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Responses.Partitions.SnapshotId.EndOffset
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.SnapshotId.Epoch
	{fixed, false, false, -1, 4, 32767, 8, 0},       // Responses.Partitions.AbortedTransactions.ProducerId
	{fixed, false, false, -1, 4, 32767, 8, 0},       // Responses.Partitions.AbortedTransactions.FirstOffset
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Responses.Partitions.HighWatermark
	{fixed, false, false, -1, 4, 32767, 8, 0},       // Responses.Partitions.LastStableOffset
	{fixed, false, false, -1, 5, 32767, 8, 0},       // Responses.Partitions.LogStartOffset
	{inner, false, false, 0, 12, 32767, 59, 61},     // Responses.Partitions.DivergingEpoch
	{inner, false, false, 1, 12, 32767, 61, 63},     // Responses.Partitions.CurrentLeader
	{inner, false, false, 2, 12, 32767, 63, 65},     // Responses.Partitions.SnapshotId
	{inner, true, false, -1, 4, 32767, 65, 67},      // Responses.Partitions.AbortedTransactions
	{fixed, false, false, -1, 11, 32767, 4, 0},      // Responses.Partitions.PreferredReadReplica
	{blob, false, true, -1, 0, 32767, 0, 0},         // Responses.Partitions.Records
	{text, false, false, -1, 0, 12, 0, 0},           // Responses.Topic
	{fixed, false, false, -1, 13, 32767, 16, 0},     // Responses.TopicId
	{inner, true, false, -1, 0, 32767, 67, 78},      // Responses.Partitions
	{fixed, false, false, -1, 16, 32767, 4, 0},      // NodeEndpoints.NodeId
	{text, false, false, -1, 16, 32767, 0, 0},       // NodeEndpoints.Host
	{fixed, false, false, -1, 16, 32767, 4, 0},      // NodeEndpoints.Port
	{text, false, true, -1, 16, 32767, 0, 0},        // NodeEndpoints.Rack
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 7, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 7, 32767, 4, 0},       // .SessionId
	{inner, true, false, -1, 0, 32767, 78, 81},      // .Responses
	{inner, true, false, 0, 16, 32767, 81, 85},      // .NodeEndpoints
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 4, 32767, 4, 0},       // Topics.Partitions.CurrentLeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.Timestamp
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 90, 93},      // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ReplicaId
	{fixed, false, false, -1, 2, 32767, 1, 0},       // .IsolationLevel
	{inner, true, false, -1, 0, 32767, 93, 95},      // .Topics
	{fixed, false, false, -1, 10, 32767, 4, 0},      // .TimeoutMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 1, 32767, 8, 0},       // Topics.Partitions.Timestamp
	{fixed, false, false, -1, 1, 32767, 8, 0},       // Topics.Partitions.Offset
	{fixed, false, false, -1, 4, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 99, 104},     // Topics.Partitions
	{fixed, false, false, -1, 2, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 104, 106},    // .Topics
	{fixed, false, false, -1, 10, 32767, 16, 0},     // Topics.TopicId
	{text, false, true, -1, 0, 32767, 0, 0},         // Topics.Name
	{inner, true, false, -1, 0, 32767, 108, 110},    // .Topics
	{fixed, false, false, -1, 4, 32767, 1, 0},       // .AllowAutoTopicCreation
	{fixed, false, false, -1, 8, 10, 1, 0},          // .IncludeClusterAuthorizedOperations
	{fixed, false, false, -1, 8, 32767, 1, 0},       // .IncludeTopicAuthorizedOperations
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Brokers.NodeId
	{text, false, false, -1, 0, 32767, 0, 0},        // Brokers.Host
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Brokers.Port
	{text, false, true, -1, 1, 32767, 0, 0},         // Brokers.Rack
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 7, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.ReplicaNodes
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.IsrNodes
	{fixed, true, false, -1, 5, 32767, 4, 0},        // Topics.Partitions.OfflineReplicas
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Topics.Name
	{fixed, false, false, -1, 10, 32767, 16, 0},     // Topics.TopicId
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Topics.IsInternal
	{inner, true, false, -1, 0, 32767, 118, 125},    // Topics.Partitions
	{fixed, false, false, -1, 8, 32767, 4, 0},       // Topics.TopicAuthorizedOperations
	{fixed, false, false, -1, 3, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 114, 118},    // .Brokers
	{text, false, true, -1, 2, 32767, 0, 0},         // .ClusterId
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ControllerId
	{inner, true, false, -1, 0, 32767, 125, 131},    // .Topics
	{fixed, false, false, -1, 8, 10, 4, 0},          // .ClusterAuthorizedOperations
	{fixed, false, false, -1, 13, 32767, 2, 0},      // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.CommittedOffset
	{fixed, false, false, -1, 6, 32767, 4, 0},       // Topics.Partitions.CommittedLeaderEpoch
	{text, false, true, -1, 0, 32767, 0, 0},         // Topics.Partitions.CommittedMetadata
	{text, false, false, -1, 0, 9, 0, 0},            // Topics.Name
	{fixed, false, false, -1, 10, 32767, 16, 0},     // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 138, 142},    // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .GenerationIdOrMemberEpoch
	{text, false, false, -1, 1, 32767, 0, 0},        // .MemberId
	{text, false, true, -1, 7, 32767, 0, 0},         // .GroupInstanceId
	{fixed, false, false, -1, 2, 4, 8, 0},           // .RetentionTimeMs
	{inner, true, false, -1, 0, 32767, 142, 145},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{text, false, false, -1, 0, 9, 0, 0},            // Topics.Name
	{fixed, false, false, -1, 10, 32767, 16, 0},     // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 151, 153},    // Topics.Partitions
	{fixed, false, false, -1, 3, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 153, 156},    // .Topics
	{text, false, false, -1, 0, 7, 0, 0},            // Topics.Name
	{fixed, true, false, -1, 0, 7, 4, 0},            // Topics.PartitionIndexes
	{text, false, false, -1, 8, 9, 0, 0},            // Groups.Topics.Name
	{fixed, false, false, -1, 10, 32767, 16, 0},     // Groups.Topics.TopicId
	{fixed, true, false, -1, 8, 32767, 4, 0},        // Groups.Topics.PartitionIndexes
	{text, false, false, -1, 8, 32767, 0, 0},        // Groups.GroupId
	{text, false, true, -1, 9, 32767, 0, 0},         // Groups.MemberId
	{fixed, false, false, -1, 9, 32767, 4, 0},       // Groups.MemberEpoch
	{inner, true, false, -1, 8, 32767, 160, 163},    // Groups.Topics
	{text, false, false, -1, 0, 7, 0, 0},            // .GroupId
	{inner, true, false, -1, 0, 7, 158, 160},        // .Topics
	{inner, true, false, -1, 8, 32767, 163, 167},    // .Groups
	{fixed, false, false, -1, 7, 32767, 1, 0},       // .RequireStable
	{fixed, false, false, -1, 0, 7, 4, 0},           // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 7, 8, 0},           // Topics.Partitions.CommittedOffset
	{fixed, false, false, -1, 5, 7, 4, 0},           // Topics.Partitions.CommittedLeaderEpoch
	{text, false, true, -1, 0, 7, 0, 0},             // Topics.Partitions.Metadata
	{fixed, false, false, -1, 0, 7, 2, 0},           // Topics.Partitions.ErrorCode
	{text, false, false, -1, 0, 7, 0, 0},            // Topics.Name
	{inner, true, false, -1, 0, 7, 171, 176},        // Topics.Partitions
	{fixed, false, false, -1, 8, 32767, 4, 0},       // Groups.Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 8, 32767, 8, 0},       // Groups.Topics.Partitions.CommittedOffset
	{fixed, false, false, -1, 8, 32767, 4, 0},       // Groups.Topics.Partitions.CommittedLeaderEpoch
	{text, false, true, -1, 8, 32767, 0, 0},         // Groups.Topics.Partitions.Metadata
	{fixed, false, false, -1, 8, 32767, 2, 0},       // Groups.Topics.Partitions.ErrorCode
	{text, false, false, -1, 8, 9, 0, 0},            // Groups.Topics.Name
	{fixed, false, false, -1, 10, 32767, 16, 0},     // Groups.Topics.TopicId
	{inner, true, false, -1, 8, 32767, 178, 183},    // Groups.Topics.Partitions
	{text, false, false, -1, 8, 32767, 0, 0},        // Groups.GroupId
	{inner, true, false, -1, 8, 32767, 183, 186},    // Groups.Topics
	{fixed, false, false, -1, 8, 32767, 2, 0},       // Groups.ErrorCode
	{fixed, false, false, -1, 3, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 7, 176, 178},        // .Topics
	{fixed, false, false, -1, 2, 7, 2, 0},           // .ErrorCode
	{inner, true, false, -1, 8, 32767, 186, 189},    // .Groups
	{text, false, false, -1, 0, 3, 0, 0},            // .Key
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .KeyType
	{text, true, false, -1, 4, 32767, 0, 0},         // .CoordinatorKeys
	{text, false, false, -1, 4, 32767, 0, 0},        // Coordinators.Key
	{fixed, false, false, -1, 4, 32767, 4, 0},       // Coordinators.NodeId
	{text, false, false, -1, 4, 32767, 0, 0},        // Coordinators.Host
	{fixed, false, false, -1, 4, 32767, 4, 0},       // Coordinators.Port
	{fixed, false, false, -1, 4, 32767, 2, 0},       // Coordinators.ErrorCode
	{text, false, true, -1, 4, 32767, 0, 0},         // Coordinators.ErrorMessage
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 3, 2, 0},           // .ErrorCode
	{text, false, true, -1, 1, 3, 0, 0},             // .ErrorMessage
	{fixed, false, false, -1, 0, 3, 4, 0},           // .NodeId
	{text, false, false, -1, 0, 3, 0, 0},            // .Host
	{fixed, false, false, -1, 0, 3, 4, 0},           // .Port
	{inner, true, false, -1, 4, 32767, 196, 202},    // .Coordinators
	{text, false, false, -1, 0, 32767, 0, 0},        // Protocols.Name
	{blob, false, false, -1, 0, 32767, 0, 0},        // Protocols.Metadata
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .SessionTimeoutMs
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .RebalanceTimeoutMs
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{text, false, true, -1, 5, 32767, 0, 0},         // .GroupInstanceId
	{text, false, false, -1, 0, 32767, 0, 0},        // .ProtocolType
	{inner, true, false, -1, 0, 32767, 209, 211},    // .Protocols
	{text, false, true, -1, 8, 32767, 0, 0},         // .Reason
	{text, false, false, -1, 0, 32767, 0, 0},        // Members.MemberId
	{text, false, true, -1, 5, 32767, 0, 0},         // Members.GroupInstanceId
	{blob, false, false, -1, 0, 32767, 0, 0},        // Members.Metadata
	{fixed, false, false, -1, 2, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .GenerationId
	{text, false, true, -1, 7, 32767, 0, 0},         // .ProtocolType
	{text, false, true, -1, 0, 32767, 0, 0},         // .ProtocolName
	{text, false, false, -1, 0, 32767, 0, 0},        // .Leader
	{fixed, false, false, -1, 9, 32767, 1, 0},       // .SkipAssignment
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{inner, true, false, -1, 0, 32767, 219, 222},    // .Members
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .GenerationId
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{text, false, true, -1, 3, 32767, 0, 0},         // .GroupInstanceId
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, false, -1, 3, 32767, 0, 0},        // Members.MemberId
	{text, false, true, -1, 3, 32767, 0, 0},         // Members.GroupInstanceId
	{text, false, true, -1, 5, 32767, 0, 0},         // Members.Reason
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{text, false, false, -1, 0, 2, 0, 0},            // .MemberId
	{inner, true, false, -1, 3, 32767, 237, 240},    // .Members
	{text, false, false, -1, 3, 32767, 0, 0},        // Members.MemberId
	{text, false, true, -1, 3, 32767, 0, 0},         // Members.GroupInstanceId
	{fixed, false, false, -1, 3, 32767, 2, 0},       // Members.ErrorCode
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 3, 32767, 243, 246},    // .Members
	{text, false, false, -1, 0, 32767, 0, 0},        // Assignments.MemberId
	{blob, false, false, -1, 0, 32767, 0, 0},        // Assignments.Assignment
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .GenerationId
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{text, false, true, -1, 3, 32767, 0, 0},         // .GroupInstanceId
	{text, false, true, -1, 5, 32767, 0, 0},         // .ProtocolType
	{text, false, true, -1, 5, 32767, 0, 0},         // .ProtocolName
	{inner, true, false, -1, 0, 32767, 249, 251},    // .Assignments
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 5, 32767, 0, 0},         // .ProtocolType
	{text, false, true, -1, 5, 32767, 0, 0},         // .ProtocolName
	{blob, false, false, -1, 0, 32767, 0, 0},        // .Assignment
	{text, true, false, -1, 0, 32767, 0, 0},         // .Groups
	{fixed, false, false, -1, 3, 32767, 1, 0},       // .IncludeAuthorizedOperations
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.MemberId
	{text, false, true, -1, 4, 32767, 0, 0},         // Groups.Members.GroupInstanceId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientHost
	{blob, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.MemberMetadata
	{blob, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.MemberAssignment
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Groups.ErrorCode
	{text, false, true, -1, 6, 32767, 0, 0},         // Groups.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupState
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.ProtocolType
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.ProtocolData
	{inner, true, false, -1, 0, 32767, 265, 271},    // Groups.Members
	{fixed, false, false, -1, 3, 32767, 4, 0},       // Groups.AuthorizedOperations
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 271, 279},    // .Groups
	{text, true, false, -1, 4, 32767, 0, 0},         // .StatesFilter
	{text, true, false, -1, 5, 32767, 0, 0},         // .TypesFilter
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.ProtocolType
	{text, false, false, -1, 4, 32767, 0, 0},        // Groups.GroupState
	{text, false, false, -1, 5, 32767, 0, 0},        // Groups.GroupType
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 283, 287},    // .Groups
	{text, false, false, -1, 0, 32767, 0, 0},        // .Mechanism
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, true, false, -1, 0, 32767, 0, 0},         // .Mechanisms
	{text, false, false, -1, 3, 32767, 0, 0},        // .ClientSoftwareName
	{text, false, false, -1, 3, 32767, 0, 0},        // .ClientSoftwareVersion
	{fixed, false, false, -1, 0, 32767, 2, 0},       // ApiKeys.ApiKey
	{fixed, false, false, -1, 0, 32767, 2, 0},       // ApiKeys.MinVersion
	{fixed, false, false, -1, 0, 32767, 2, 0},       // ApiKeys.MaxVersion
	{text, false, false, -1, 3, 32767, 0, 0},        // SupportedFeatures.Name
	{fixed, false, false, -1, 3, 32767, 2, 0},       // SupportedFeatures.MinVersion
	{fixed, false, false, -1, 3, 32767, 2, 0},       // SupportedFeatures.MaxVersion
	{text, false, false, -1, 3, 32767, 0, 0},        // FinalizedFeatures.Name
	{fixed, false, false, -1, 3, 32767, 2, 0},       // FinalizedFeatures.MaxVersionLevel
	{fixed, false, false, -1, 3, 32767, 2, 0},       // FinalizedFeatures.MinVersionLevel
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 295, 298},    // .ApiKeys
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, 0, 3, 32767, 298, 301},     // .SupportedFeatures
	{fixed, false, false, 1, 3, 32767, 8, 0},        // .FinalizedFeaturesEpoch
	{inner, true, false, 2, 3, 32767, 301, 304},     // .FinalizedFeatures
	{fixed, false, false, 3, 3, 32767, 1, 0},        // .ZkMigrationReady
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Assignments.PartitionIndex
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Assignments.BrokerIds
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Configs.Name
	{text, false, true, -1, 0, 32767, 0, 0},         // Topics.Configs.Value
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.NumPartitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.ReplicationFactor
	{inner, true, false, -1, 0, 32767, 311, 313},    // Topics.Assignments
	{inner, true, false, -1, 0, 32767, 313, 315},    // Topics.Configs
	{inner, true, false, -1, 0, 32767, 315, 320},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .timeoutMs
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .validateOnly
	{text, false, false, -1, 5, 32767, 0, 0},        // Topics.Configs.Name
	{text, false, true, -1, 5, 32767, 0, 0},         // Topics.Configs.Value
	{fixed, false, false, -1, 5, 32767, 1, 0},       // Topics.Configs.ReadOnly
	{fixed, false, false, -1, 5, 32767, 1, 0},       // Topics.Configs.ConfigSource
	{fixed, false, false, -1, 5, 32767, 1, 0},       // Topics.Configs.IsSensitive
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{fixed, false, false, -1, 7, 32767, 16, 0},      // Topics.TopicId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.ErrorCode
	{text, false, true, -1, 1, 32767, 0, 0},         // Topics.ErrorMessage
	{fixed, false, false, 0, 5, 32767, 2, 0},        // Topics.TopicConfigErrorCode
	{fixed, false, false, -1, 5, 32767, 4, 0},       // Topics.NumPartitions
	{fixed, false, false, -1, 5, 32767, 2, 0},       // Topics.ReplicationFactor
	{inner, true, false, -1, 5, 32767, 323, 328},    // Topics.Configs
	{fixed, false, false, -1, 2, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 328, 336},    // .Topics
	{text, false, true, -1, 6, 32767, 0, 0},         // Topics.Name
	{fixed, false, false, -1, 6, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 6, 32767, 338, 340},    // .Topics
	{text, true, false, -1, 0, 5, 0, 0},             // .TopicNames
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.Name
	{fixed, false, false, -1, 6, 32767, 16, 0},      // Responses.TopicId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.ErrorCode
	{text, false, true, -1, 5, 32767, 0, 0},         // Responses.ErrorMessage
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 343, 347},    // .Responses
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.Offset
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 349, 351},    // Topics.Partitions
	{inner, true, false, -1, 0, 32767, 351, 353},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.LowWatermark
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 355, 358},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 358, 360},    // .Topics
	{text, false, true, -1, 0, 32767, 0, 0},         // .TransactionalId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TransactionTimeoutMs
	{fixed, false, false, -1, 3, 32767, 8, 0},       // .ProducerId
	{fixed, false, false, -1, 3, 32767, 2, 0},       // .ProducerEpoch
	{fixed, false, false, -1, 6, 32767, 1, 0},       // .Enable2Pc
	{fixed, false, false, -1, 6, 32767, 1, 0},       // .KeepPreparedTxn
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ProducerId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ProducerEpoch
	{fixed, false, false, -1, 6, 32767, 8, 0},       // .OngoingTxnProducerId
	{fixed, false, false, -1, 6, 32767, 2, 0},       // .OngoingTxnProducerEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 2, 32767, 4, 0},       // Topics.Partitions.CurrentLeaderEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Topic
	{inner, true, false, -1, 0, 32767, 374, 377},    // Topics.Partitions
	{fixed, false, false, -1, 3, 32767, 4, 0},       // .ReplicaId
	{inner, true, false, -1, 0, 32767, 377, 379},    // .Topics
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 1, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.EndOffset
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Topic
	{inner, true, false, -1, 0, 32767, 381, 385},    // Topics.Partitions
	{fixed, false, false, -1, 2, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 385, 387},    // .Topics
	{text, false, false, -1, 0, 32767, 0, 0},        // @AddPartitionsToTxnTopic.Name
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @AddPartitionsToTxnTopic.Partitions
	{text, false, false, -1, 4, 32767, 0, 0},        // Transactions.TransactionalId
	{fixed, false, false, -1, 4, 32767, 8, 0},       // Transactions.ProducerId
	{fixed, false, false, -1, 4, 32767, 2, 0},       // Transactions.ProducerEpoch
	{fixed, false, false, -1, 4, 32767, 1, 0},       // Transactions.VerifyOnly
	{inner, true, false, -1, 4, 32767, 389, 391},    // Transactions.Topics
	{text, false, false, -1, 0, 32767, 0, 0},        // @AddPartitionsToTxnTopic.Name
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @AddPartitionsToTxnTopic.Partitions
	{inner, true, false, -1, 4, 32767, 391, 396},    // .Transactions
	{text, false, false, -1, 0, 3, 0, 0},            // .V3AndBelowTransactionalId
	{fixed, false, false, -1, 0, 3, 8, 0},           // .V3AndBelowProducerId
	{fixed, false, false, -1, 0, 3, 2, 0},           // .V3AndBelowProducerEpoch
	{inner, true, false, -1, 0, 3, 396, 398},        // .V3AndBelowTopics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @AddPartitionsToTxnPartitionResult.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @AddPartitionsToTxnPartitionResult.PartitionErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // @AddPartitionsToTxnTopicResult.Name
	{inner, true, false, -1, 0, 32767, 403, 405},    // @AddPartitionsToTxnTopicResult.ResultsByPartition
	{text, false, false, -1, 4, 32767, 0, 0},        // ResultsByTransaction.TransactionalId
	{inner, true, false, -1, 4, 32767, 405, 407},    // ResultsByTransaction.TopicResults
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @AddPartitionsToTxnPartitionResult.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @AddPartitionsToTxnPartitionResult.PartitionErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // @AddPartitionsToTxnTopicResult.Name
	{inner, true, false, -1, 0, 32767, 409, 411},    // @AddPartitionsToTxnTopicResult.ResultsByPartition
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 4, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 4, 32767, 407, 409},    // .ResultsByTransaction
	{inner, true, false, -1, 0, 3, 411, 413},        // .ResultsByTopicV3AndBelow
	{text, false, false, -1, 0, 32767, 0, 0},        // .TransactionalId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ProducerId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ProducerEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // .TransactionalId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ProducerId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ProducerEpoch
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .Committed
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 5, 32767, 8, 0},       // .ProducerId
	{fixed, false, false, -1, 5, 32767, 2, 0},       // .ProducerEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Markers.Topics.Name
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Markers.Topics.PartitionIndexes
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Markers.ProducerId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Markers.ProducerEpoch
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Markers.TransactionResult
	{inner, true, false, -1, 0, 32767, 431, 433},    // Markers.Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Markers.CoordinatorEpoch
	{fixed, false, false, -1, 2, 32767, 1, 0},       // Markers.TransactionVersion
	{inner, true, false, -1, 0, 32767, 433, 439},    // .Markers
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Markers.Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Markers.Topics.Partitions.ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // Markers.Topics.Name
	{inner, true, false, -1, 0, 32767, 440, 442},    // Markers.Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Markers.ProducerId
	{inner, true, false, -1, 0, 32767, 442, 444},    // Markers.Topics
	{inner, true, false, -1, 0, 32767, 444, 446},    // .Markers
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.CommittedOffset
	{fixed, false, false, -1, 2, 32767, 4, 0},       // Topics.Partitions.CommittedLeaderEpoch
	{text, false, true, -1, 0, 32767, 0, 0},         // Topics.Partitions.CommittedMetadata
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 447, 451},    // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .TransactionalId
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ProducerId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ProducerEpoch
	{fixed, false, false, -1, 3, 32767, 4, 0},       // .GenerationId
	{text, false, false, -1, 3, 32767, 0, 0},        // .MemberId
	{text, false, true, -1, 3, 32767, 0, 0},         // .GroupInstanceId
	{inner, true, false, -1, 0, 32767, 451, 453},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 461, 463},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 463, 465},    // .Topics
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ResourceTypeFilter
	{text, false, true, -1, 0, 32767, 0, 0},         // .ResourceNameFilter
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .PatternTypeFilter
	{text, false, true, -1, 0, 32767, 0, 0},         // .PrincipalFilter
	{text, false, true, -1, 0, 32767, 0, 0},         // .HostFilter
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .Operation
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .PermissionType
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.Acls.Principal
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.Acls.Host
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Resources.Acls.Operation
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Resources.Acls.PermissionType
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Resources.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.ResourceName
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Resources.PatternType
	{inner, true, false, -1, 0, 32767, 474, 478},    // Resources.Acls
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 478, 482},    // .Resources
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Creations.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Creations.ResourceName
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Creations.ResourcePatternType
	{text, false, false, -1, 0, 32767, 0, 0},        // Creations.Principal
	{text, false, false, -1, 0, 32767, 0, 0},        // Creations.Host
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Creations.Operation
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Creations.PermissionType
	{inner, true, false, -1, 0, 32767, 486, 493},    // .Creations
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 494, 496},    // .Results
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Filters.ResourceTypeFilter
	{text, false, true, -1, 0, 32767, 0, 0},         // Filters.ResourceNameFilter
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Filters.PatternTypeFilter
	{text, false, true, -1, 0, 32767, 0, 0},         // Filters.PrincipalFilter
	{text, false, true, -1, 0, 32767, 0, 0},         // Filters.HostFilter
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Filters.Operation
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Filters.PermissionType
	{inner, true, false, -1, 0, 32767, 498, 505},    // .Filters
	{fixed, false, false, -1, 0, 32767, 2, 0},       // FilterResults.MatchingAcls.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // FilterResults.MatchingAcls.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 1, 0},       // FilterResults.MatchingAcls.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // FilterResults.MatchingAcls.ResourceName
	{fixed, false, false, -1, 1, 32767, 1, 0},       // FilterResults.MatchingAcls.PatternType
	{text, false, false, -1, 0, 32767, 0, 0},        // FilterResults.MatchingAcls.Principal
	{text, false, false, -1, 0, 32767, 0, 0},        // FilterResults.MatchingAcls.Host
	{fixed, false, false, -1, 0, 32767, 1, 0},       // FilterResults.MatchingAcls.Operation
	{fixed, false, false, -1, 0, 32767, 1, 0},       // FilterResults.MatchingAcls.PermissionType
	{fixed, false, false, -1, 0, 32767, 2, 0},       // FilterResults.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // FilterResults.ErrorMessage
	{inner, true, false, -1, 0, 32767, 506, 515},    // FilterResults.MatchingAcls
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 515, 518},    // .FilterResults
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Resources.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.ResourceName
	{text, true, false, -1, 0, 32767, 0, 0},         // Resources.ConfigurationKeys
	{inner, true, false, -1, 0, 32767, 520, 523},    // .Resources
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .IncludeSynonyms
	{fixed, false, false, -1, 3, 32767, 1, 0},       // .IncludeDocumentation
	{text, false, false, -1, 1, 32767, 0, 0},        // Results.Configs.Synonyms.Name
	{text, false, true, -1, 1, 32767, 0, 0},         // Results.Configs.Synonyms.Value
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Results.Configs.Synonyms.Source
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.Configs.Name
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.Configs.Value
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Results.Configs.ReadOnly
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Results.Configs.ConfigSource
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Results.Configs.IsSensitive
	{inner, true, false, -1, 1, 32767, 526, 529},    // Results.Configs.Synonyms
	{fixed, false, false, -1, 3, 32767, 1, 0},       // Results.Configs.ConfigType
	{text, false, true, -1, 3, 32767, 0, 0},         // Results.Configs.Documentation
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Results.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.ResourceName
	{inner, true, false, -1, 0, 32767, 529, 537},    // Results.Configs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 537, 542},    // .Results
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.Configs.Name
	{text, false, true, -1, 0, 32767, 0, 0},         // Resources.Configs.Value
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Resources.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.ResourceName
	{inner, true, false, -1, 0, 32767, 544, 546},    // Resources.Configs
	{inner, true, false, -1, 0, 32767, 546, 549},    // .Resources
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ValidateOnly
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Responses.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Responses.ResourceName
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 551, 555},    // .Responses
	{text, false, false, -1, 0, 32767, 0, 0},        // Dirs.Topics.Name
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Dirs.Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // Dirs.Path
	{inner, true, false, -1, 0, 32767, 557, 559},    // Dirs.Topics
	{inner, true, false, -1, 0, 32767, 559, 561},    // .Dirs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.Partitions.ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.TopicName
	{inner, true, false, -1, 0, 32767, 562, 564},    // Results.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 564, 566},    // .Results
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Topic
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions
	{inner, true, false, -1, 0, 32767, 568, 570},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Results.Topics.Partitions.PartitionSize
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Results.Topics.Partitions.OffsetLag
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Results.Topics.Partitions.IsFutureKey
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.Topics.Name
	{inner, true, false, -1, 0, 32767, 571, 575},    // Results.Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.LogDir
	{inner, true, false, -1, 0, 32767, 575, 577},    // Results.Topics
	{fixed, false, false, -1, 4, 32767, 8, 0},       // Results.TotalBytes
	{fixed, false, false, -1, 4, 32767, 8, 0},       // Results.UsableBytes
	{fixed, false, false, -1, 5, 32767, 1, 0},       // Results.IsCordoned
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 3, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 577, 583},    // .Results
	{blob, false, false, -1, 0, 32767, 0, 0},        // .AuthBytes
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{blob, false, false, -1, 0, 32767, 0, 0},        // .AuthBytes
	{fixed, false, false, -1, 1, 32767, 8, 0},       // .SessionLifetimeMs
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Assignments.BrokerIds
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Count
	{inner, true, false, -1, 0, 32767, 591, 592},    // Topics.Assignments
	{inner, true, false, -1, 0, 32767, 592, 595},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ValidateOnly
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.Name
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 598, 601},    // .Results
	{text, false, false, -1, 0, 32767, 0, 0},        // Renewers.PrincipalType
	{text, false, false, -1, 0, 32767, 0, 0},        // Renewers.PrincipalName
	{text, false, true, -1, 3, 32767, 0, 0},         // .OwnerPrincipalType
	{text, false, true, -1, 3, 32767, 0, 0},         // .OwnerPrincipalName
	{inner, true, false, -1, 0, 32767, 603, 605},    // .Renewers
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .MaxLifetimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // .PrincipalType
	{text, false, false, -1, 0, 32767, 0, 0},        // .PrincipalName
	{text, false, false, -1, 3, 32767, 0, 0},        // .TokenRequesterPrincipalType
	{text, false, false, -1, 3, 32767, 0, 0},        // .TokenRequesterPrincipalName
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .IssueTimestampMs
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ExpiryTimestampMs
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .MaxTimestampMs
	{text, false, false, -1, 0, 32767, 0, 0},        // .TokenId
	{blob, false, false, -1, 0, 32767, 0, 0},        // .Hmac
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{blob, false, false, -1, 0, 32767, 0, 0},        // .Hmac
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .RenewPeriodMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ExpiryTimestampMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{blob, false, false, -1, 0, 32767, 0, 0},        // .Hmac
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ExpiryTimePeriodMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ExpiryTimestampMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{text, false, false, -1, 0, 32767, 0, 0},        // Owners.PrincipalType
	{text, false, false, -1, 0, 32767, 0, 0},        // Owners.PrincipalName
	{inner, true, false, -1, 0, 32767, 630, 632},    // .Owners
	{text, false, false, -1, 0, 32767, 0, 0},        // Tokens.Renewers.PrincipalType
	{text, false, false, -1, 0, 32767, 0, 0},        // Tokens.Renewers.PrincipalName
	{text, false, false, -1, 0, 32767, 0, 0},        // Tokens.PrincipalType
	{text, false, false, -1, 0, 32767, 0, 0},        // Tokens.PrincipalName
	{text, false, false, -1, 3, 32767, 0, 0},        // Tokens.TokenRequesterPrincipalType
	{text, false, false, -1, 3, 32767, 0, 0},        // Tokens.TokenRequesterPrincipalName
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Tokens.IssueTimestamp
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Tokens.ExpiryTimestamp
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Tokens.MaxTimestamp
	{text, false, false, -1, 0, 32767, 0, 0},        // Tokens.TokenId
	{blob, false, false, -1, 0, 32767, 0, 0},        // Tokens.Hmac
	{inner, true, false, -1, 0, 32767, 633, 635},    // Tokens.Renewers
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 635, 645},    // .Tokens
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{text, true, false, -1, 0, 32767, 0, 0},         // .GroupsNames
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.GroupId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 649, 651},    // .Results
	{text, false, false, -1, 0, 32767, 0, 0},        // TopicPartitions.Topic
	{fixed, true, false, -1, 0, 32767, 4, 0},        // TopicPartitions.Partitions
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .ElectionType
	{inner, true, false, -1, 0, 32767, 653, 655},    // .TopicPartitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // ReplicaElectionResults.PartitionResult.PartitionId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // ReplicaElectionResults.PartitionResult.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // ReplicaElectionResults.PartitionResult.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // ReplicaElectionResults.Topic
	{inner, true, false, -1, 0, 32767, 658, 661},    // ReplicaElectionResults.PartitionResult
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 1, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 661, 663},    // .ReplicaElectionResults
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.Configs.Name
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Resources.Configs.ConfigOperation
	{text, false, true, -1, 0, 32767, 0, 0},         // Resources.Configs.Value
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Resources.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Resources.ResourceName
	{inner, true, false, -1, 0, 32767, 666, 669},    // Resources.Configs
	{inner, true, false, -1, 0, 32767, 669, 672},    // .Resources
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ValidateOnly
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Responses.ResourceType
	{text, false, false, -1, 0, 32767, 0, 0},        // Responses.ResourceName
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 674, 678},    // .Responses
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.Replicas
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 680, 682},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .AllowReplicationFactorChange
	{inner, true, false, -1, 0, 32767, 682, 684},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.Partitions.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Responses.Name
	{inner, true, false, -1, 0, 32767, 687, 690},    // Responses.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .AllowReplicationFactorChange
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 690, 692},    // .Responses
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.PartitionIndexes
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{inner, true, false, -1, 0, 32767, 697, 699},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.Replicas
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.AddingReplicas
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.RemovingReplicas
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 701, 705},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 705, 707},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 711, 712},    // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 712, 714},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 716, 718},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 718, 720},    // .Topics
	{text, false, false, -1, 0, 32767, 0, 0},        // Components.EntityType
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Components.MatchType
	{text, false, true, -1, 0, 32767, 0, 0},         // Components.Match
	{inner, true, false, -1, 0, 32767, 723, 726},    // .Components
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .Strict
	{text, false, false, -1, 0, 32767, 0, 0},        // Entries.Entity.EntityType
	{text, false, true, -1, 0, 32767, 0, 0},         // Entries.Entity.EntityName
	{text, false, false, -1, 0, 32767, 0, 0},        // Entries.Values.Key
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Entries.Values.Value
	{inner, true, false, -1, 0, 32767, 728, 730},    // Entries.Entity
	{inner, true, false, -1, 0, 32767, 730, 732},    // Entries.Values
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 732, 734},    // .Entries
	{text, false, false, -1, 0, 32767, 0, 0},        // Entries.Entity.EntityType
	{text, false, true, -1, 0, 32767, 0, 0},         // Entries.Entity.EntityName
	{text, false, false, -1, 0, 32767, 0, 0},        // Entries.Ops.Key
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Entries.Ops.Value
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Entries.Ops.Remove
	{inner, true, false, -1, 0, 32767, 738, 740},    // Entries.Entity
	{inner, true, false, -1, 0, 32767, 740, 743},    // Entries.Ops
	{inner, true, false, -1, 0, 32767, 743, 745},    // .Entries
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ValidateOnly
	{text, false, false, -1, 0, 32767, 0, 0},        // Entries.Entity.EntityType
	{text, false, true, -1, 0, 32767, 0, 0},         // Entries.Entity.EntityName
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Entries.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Entries.ErrorMessage
	{inner, true, false, -1, 0, 32767, 747, 749},    // Entries.Entity
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 749, 752},    // .Entries
	{text, false, false, -1, 0, 32767, 0, 0},        // Users.Name
	{inner, true, false, -1, 0, 32767, 754, 755},    // .Users
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Results.CredentialInfos.Mechanism
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.CredentialInfos.Iterations
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.User
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.ErrorMessage
	{inner, true, false, -1, 0, 32767, 756, 758},    // Results.CredentialInfos
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 758, 762},    // .Results
	{text, false, false, -1, 0, 32767, 0, 0},        // Deletions.Name
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Deletions.Mechanism
	{text, false, false, -1, 0, 32767, 0, 0},        // Upsertions.Name
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Upsertions.Mechanism
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Upsertions.Iterations
	{blob, false, false, -1, 0, 32767, 0, 0},        // Upsertions.Salt
	{blob, false, false, -1, 0, 32767, 0, 0},        // Upsertions.SaltedPassword
	{inner, true, false, -1, 0, 32767, 766, 768},    // .Deletions
	{inner, true, false, -1, 0, 32767, 768, 773},    // .Upsertions
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.User
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 775, 778},    // .Results
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.ReplicaEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.ReplicaId
	{fixed, false, false, -1, 1, 32767, 16, 0},      // Topics.Partitions.ReplicaDirectoryId
	{fixed, false, false, -1, 1, 32767, 16, 0},      // Topics.Partitions.VoterDirectoryId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LastOffsetEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.LastOffset
	{fixed, false, false, -1, 2, 32767, 1, 0},       // Topics.Partitions.PreVote
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 780, 788},    // Topics.Partitions
	{text, false, true, -1, 0, 32767, 0, 0},         // .ClusterId
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .VoterId
	{inner, true, false, -1, 0, 32767, 788, 790},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Topics.Partitions.VoteGranted
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 793, 798},    // Topics.Partitions
	{fixed, false, false, -1, 1, 32767, 4, 0},       // NodeEndpoints.NodeId
	{text, false, false, -1, 1, 32767, 0, 0},        // NodeEndpoints.Host
	{fixed, false, false, -1, 1, 32767, 2, 0},       // NodeEndpoints.Port
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 798, 800},    // .Topics
	{inner, true, false, 0, 1, 32767, 800, 803},     // .NodeEndpoints
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 1, 32767, 16, 0},      // Topics.Partitions.VoterDirectoryId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 806, 810},    // Topics.Partitions
	{text, false, false, -1, 1, 32767, 0, 0},        // LeaderEndpoints.Name
	{text, false, false, -1, 1, 32767, 0, 0},        // LeaderEndpoints.Host
	{fixed, false, false, -1, 1, 32767, 2, 0},       // LeaderEndpoints.Port
	{text, false, true, -1, 0, 32767, 0, 0},         // .ClusterId
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .VoterId
	{inner, true, false, -1, 0, 32767, 810, 812},    // .Topics
	{inner, true, false, -1, 1, 32767, 812, 815},    // .LeaderEndpoints
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 819, 823},    // Topics.Partitions
	{fixed, false, false, -1, 1, 32767, 4, 0},       // NodeEndpoints.NodeId
	{text, false, false, -1, 1, 32767, 0, 0},        // NodeEndpoints.Host
	{fixed, false, false, -1, 1, 32767, 2, 0},       // NodeEndpoints.Port
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 823, 825},    // .Topics
	{inner, true, false, 0, 1, 32767, 825, 828},     // .NodeEndpoints
	{fixed, false, false, -1, 1, 32767, 4, 0},       // Topics.Partitions.PreferredCandidates.CandidateId
	{fixed, false, false, -1, 1, 32767, 16, 0},      // Topics.Partitions.PreferredCandidates.CandidateDirectoryId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, true, false, -1, 0, 0, 4, 0},            // Topics.Partitions.PreferredSuccessors
	{inner, true, false, -1, 1, 32767, 831, 833},    // Topics.Partitions.PreferredCandidates
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 833, 838},    // Topics.Partitions
	{text, false, false, -1, 1, 32767, 0, 0},        // LeaderEndpoints.Name
	{text, false, false, -1, 1, 32767, 0, 0},        // LeaderEndpoints.Host
	{fixed, false, false, -1, 1, 32767, 2, 0},       // LeaderEndpoints.Port
	{text, false, true, -1, 0, 32767, 0, 0},         // .ClusterId
	{inner, true, false, -1, 0, 32767, 838, 840},    // .Topics
	{inner, true, false, -1, 1, 32767, 840, 843},    // .LeaderEndpoints
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 846, 850},    // Topics.Partitions
	{fixed, false, false, -1, 1, 32767, 4, 0},       // NodeEndpoints.NodeId
	{text, false, false, -1, 1, 32767, 0, 0},        // NodeEndpoints.Host
	{fixed, false, false, -1, 1, 32767, 2, 0},       // NodeEndpoints.Port
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 850, 852},    // .Topics
	{inner, true, false, 0, 1, 32767, 852, 855},     // .NodeEndpoints
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 858, 859},    // Topics.Partitions
	{inner, true, false, -1, 0, 32767, 859, 861},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @ReplicaState.ReplicaId
	{fixed, false, false, -1, 2, 32767, 16, 0},      // @ReplicaState.ReplicaDirectoryId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // @ReplicaState.LogEndOffset
	{fixed, false, false, -1, 1, 32767, 8, 0},       // @ReplicaState.LastFetchTimestamp
	{fixed, false, false, -1, 1, 32767, 8, 0},       // @ReplicaState.LastCaughtUpTimestamp
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @ReplicaState.ReplicaId
	{fixed, false, false, -1, 2, 32767, 16, 0},      // @ReplicaState.ReplicaDirectoryId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // @ReplicaState.LogEndOffset
	{fixed, false, false, -1, 1, 32767, 8, 0},       // @ReplicaState.LastFetchTimestamp
	{fixed, false, false, -1, 1, 32767, 8, 0},       // @ReplicaState.LastCaughtUpTimestamp
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{text, false, true, -1, 2, 32767, 0, 0},         // Topics.Partitions.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.HighWatermark
	{inner, true, false, -1, 0, 32767, 862, 867},    // Topics.Partitions.CurrentVoters
	{inner, true, false, -1, 0, 32767, 867, 872},    // Topics.Partitions.Observers
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 872, 880},    // Topics.Partitions
	{text, false, false, -1, 2, 32767, 0, 0},        // Nodes.Listeners.Name
	{text, false, false, -1, 2, 32767, 0, 0},        // Nodes.Listeners.Host
	{fixed, false, false, -1, 2, 32767, 2, 0},       // Nodes.Listeners.Port
	{fixed, false, false, -1, 2, 32767, 4, 0},       // Nodes.NodeId
	{inner, true, false, -1, 2, 32767, 882, 885},    // Nodes.Listeners
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 2, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 880, 882},    // .Topics
	{inner, true, false, -1, 2, 32767, 885, 887},    // .Nodes
	{fixed, false, false, -1, 3, 32767, 4, 0},       // Topics.Partitions.NewIsrWithEpochs.BrokerId
	{fixed, false, false, -1, 3, 32767, 8, 0},       // Topics.Partitions.NewIsrWithEpochs.BrokerEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, true, false, -1, 0, 2, 4, 0},            // Topics.Partitions.NewIsr
	{inner, true, false, -1, 3, 32767, 891, 893},    // Topics.Partitions.NewIsrWithEpochs
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Topics.Partitions.LeaderRecoveryState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionEpoch
	{fixed, false, false, -1, 2, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 893, 899},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .BrokerId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .BrokerEpoch
	{inner, true, false, -1, 0, 32767, 899, 901},    // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.Isr
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Topics.Partitions.LeaderRecoveryState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionEpoch
	{fixed, false, false, -1, 2, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 904, 911},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 911, 913},    // .Topics
	{text, false, false, -1, 0, 32767, 0, 0},        // FeatureUpdates.Feature
	{fixed, false, false, -1, 0, 32767, 2, 0},       // FeatureUpdates.MaxVersionLevel
	{fixed, false, false, -1, 0, 0, 1, 0},           // FeatureUpdates.AllowDowngrade
	{fixed, false, false, -1, 1, 32767, 1, 0},       // FeatureUpdates.UpgradeType
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .timeoutMs
	{inner, true, false, -1, 0, 32767, 916, 920},    // .FeatureUpdates
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .ValidateOnly
	{text, false, false, -1, 0, 32767, 0, 0},        // Results.Feature
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 1, 923, 926},        // .Results
	{blob, false, false, -1, 0, 32767, 0, 0},        // .RequestData
	{blob, false, true, -1, 0, 32767, 0, 0},         // .RequestPrincipal
	{blob, false, false, -1, 0, 32767, 0, 0},        // .ClientHostAddress
	{blob, false, true, -1, 0, 32767, 0, 0},         // .ResponseData
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.SnapshotId.EndOffset
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.SnapshotId.Epoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.CurrentLeaderEpoch
	{inner, false, false, -1, 0, 32767, 935, 937},   // Topics.Partitions.SnapshotId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.Position
	{fixed, false, false, 0, 1, 32767, 16, 0},       // Topics.Partitions.ReplicaDirectoryId
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 937, 942},    // Topics.Partitions
	{text, false, true, 0, 0, 32767, 0, 0},          // .ClusterId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ReplicaId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MaxBytes
	{inner, true, false, -1, 0, 32767, 942, 944},    // .Topics
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.SnapshotId.EndOffset
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.SnapshotId.Epoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.CurrentLeader.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.CurrentLeader.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Index
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{inner, false, false, -1, 0, 32767, 948, 950},   // Topics.Partitions.SnapshotId
	{inner, false, false, 0, 0, 32767, 950, 952},    // Topics.Partitions.CurrentLeader
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.Size
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.Position
	{blob, false, false, -1, 0, 32767, 0, 0},        // Topics.Partitions.UnalignedRecords
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 952, 959},    // Topics.Partitions
	{fixed, false, false, -1, 1, 32767, 4, 0},       // NodeEndpoints.NodeId
	{text, false, false, -1, 1, 32767, 0, 0},        // NodeEndpoints.Host
	{fixed, false, false, -1, 1, 32767, 2, 0},       // NodeEndpoints.Port
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 959, 961},    // .Topics
	{inner, true, false, 0, 1, 32767, 961, 964},     // .NodeEndpoints
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .IncludeClusterAuthorizedOperations
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .EndpointType
	{fixed, false, false, -1, 2, 32767, 1, 0},       // .IncludeFencedBrokers
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Brokers.BrokerId
	{text, false, false, -1, 0, 32767, 0, 0},        // Brokers.Host
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Brokers.Port
	{text, false, true, -1, 0, 32767, 0, 0},         // Brokers.Rack
	{fixed, false, false, -1, 2, 32767, 1, 0},       // Brokers.IsFenced
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .EndpointType
	{text, false, false, -1, 0, 32767, 0, 0},        // .ClusterId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ControllerId
	{inner, true, false, -1, 0, 32767, 971, 976},    // .Brokers
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ClusterAuthorizedOperations
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.PartitionIndexes
	{inner, true, false, -1, 0, 32767, 984, 986},    // .Topics
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.ActiveProducers.ProducerId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.ActiveProducers.ProducerEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.ActiveProducers.LastSequence
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.ActiveProducers.LastTimestamp
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.ActiveProducers.CoordinatorEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.ActiveProducers.CurrentTxnStartOffset
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Topics.Partitions.ErrorMessage
	{inner, true, false, -1, 0, 32767, 987, 993},    // Topics.Partitions.ActiveProducers
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{inner, true, false, -1, 0, 32767, 993, 997},    // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 997, 999},    // .Topics
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Name
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Host
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Listeners.Port
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Listeners.SecurityProtocol
	{text, false, false, -1, 0, 32767, 0, 0},        // Features.Name
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Features.MinSupportedVersion
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Features.MaxSupportedVersion
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .BrokerId
	{text, false, false, -1, 0, 32767, 0, 0},        // .ClusterId
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .IncarnationId
	{inner, true, false, -1, 0, 32767, 1001, 1005},  // .Listeners
	{inner, true, false, -1, 0, 32767, 1005, 1008},  // .Features
	{text, false, true, -1, 0, 32767, 0, 0},         // .Rack
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .IsMigratingZkBroker
	{fixed, true, false, -1, 2, 32767, 16, 0},       // .LogDirs
	{fixed, false, false, -1, 3, 32767, 8, 0},       // .PreviousBrokerEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .BrokerEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .BrokerId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .BrokerEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .CurrentMetadataOffset
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .WantFence
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .WantShutDown
	{fixed, true, false, 0, 1, 32767, 16, 0},        // .OfflineLogDirs
	{fixed, true, false, 1, 2, 32767, 16, 0},        // .CordonedLogDirs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .IsCaughtUp
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .IsFenced
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ShouldShutDown
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .BrokerId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{text, true, false, -1, 0, 32767, 0, 0},         // .TransactionalIds
	{text, false, false, -1, 0, 32767, 0, 0},        // TransactionStates.Topics.Topic
	{fixed, true, false, -1, 0, 32767, 4, 0},        // TransactionStates.Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // TransactionStates.ErrorCode
	{text, false, false, -1, 0, 32767, 0, 0},        // TransactionStates.TransactionalId
	{text, false, false, -1, 0, 32767, 0, 0},        // TransactionStates.TransactionState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // TransactionStates.TransactionTimeoutMs
	{fixed, false, false, -1, 0, 32767, 8, 0},       // TransactionStates.TransactionStartTimeMs
	{fixed, false, false, -1, 0, 32767, 8, 0},       // TransactionStates.ProducerId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // TransactionStates.ProducerEpoch
	{inner, true, false, -1, 0, 32767, 1037, 1039},  // TransactionStates.Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 1039, 1047},  // .TransactionStates
	{text, true, false, -1, 0, 32767, 0, 0},         // .StateFilters
	{fixed, true, false, -1, 0, 32767, 8, 0},        // .ProducerIdFilters
	{fixed, false, false, -1, 1, 32767, 8, 0},       // .DurationFilter
	{text, false, true, -1, 2, 32767, 0, 0},         // .TransactionalIdPattern
	{text, false, false, -1, 0, 32767, 0, 0},        // TransactionStates.TransactionalId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // TransactionStates.ProducerId
	{text, false, false, -1, 0, 32767, 0, 0},        // TransactionStates.TransactionState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, true, false, -1, 0, 32767, 0, 0},         // .UnknownStateFilters
	{inner, true, false, -1, 0, 32767, 1053, 1056},  // .TransactionStates
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .BrokerId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .BrokerEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .ProducerIdStart
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ProducerIdLen
	{fixed, false, false, -1, 0, 32767, 16, 0},      // TopicPartitions.TopicId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // TopicPartitions.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MemberEpoch
	{text, false, true, -1, 0, 32767, 0, 0},         // .InstanceId
	{text, false, true, -1, 0, 32767, 0, 0},         // .RackId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .RebalanceTimeoutMs
	{text, true, false, -1, 0, 32767, 0, 0},         // .SubscribedTopicNames
	{text, false, true, -1, 1, 32767, 0, 0},         // .SubscribedTopicRegex
	{text, false, true, -1, 0, 32767, 0, 0},         // .ServerAssignor
	{inner, true, false, -1, 0, 32767, 1066, 1068},  // .TopicPartitions
	{fixed, false, false, -1, 0, 32767, 16, 0},      // @TopicPartitions.TopicId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TopicPartitions.Partitions
	{inner, true, false, -1, 0, 32767, 1078, 1080},  // Assignment.TopicPartitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{text, false, true, -1, 0, 32767, 0, 0},         // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MemberEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .HeartbeatIntervalMs
	{inner, false, true, -1, 0, 32767, 1080, 1081},  // .Assignment
	{text, true, false, -1, 0, 32767, 0, 0},         // .GroupIds
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .IncludeAuthorizedOperations
	{fixed, false, false, -1, 0, 32767, 16, 0},      // @TopicPartitions.TopicId
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicPartitions.TopicName
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TopicPartitions.Partitions
	{inner, true, false, -1, 0, 32767, 1090, 1093},  // @Assignment.TopicPartitions
	{fixed, false, false, -1, 0, 32767, 16, 0},      // @TopicPartitions.TopicId
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicPartitions.TopicName
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TopicPartitions.Partitions
	{inner, true, false, -1, 0, 32767, 1094, 1097},  // @Assignment.TopicPartitions
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.MemberId
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.Members.InstanceId
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.Members.RackId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.Members.MemberEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientHost
	{text, true, false, -1, 0, 32767, 0, 0},         // Groups.Members.SubscribedTopicNames
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.Members.SubscribedTopicRegex
	{inner, false, false, -1, 0, 32767, 1093, 1094}, // Groups.Members.Assignment
	{inner, false, false, -1, 0, 32767, 1097, 1098}, // Groups.Members.TargetAssignment
	{fixed, false, false, -1, 1, 32767, 1, 0},       // Groups.Members.MemberType
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Groups.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.GroupEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.AssignmentEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.AssignorName
	{inner, true, false, -1, 0, 32767, 1098, 1109},  // Groups.Members
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.AuthorizedOperations
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 1109, 1118},  // .Groups
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Name
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Host
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Listeners.Port
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Listeners.SecurityProtocol
	{text, false, false, -1, 0, 32767, 0, 0},        // Features.Name
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Features.MinSupportedVersion
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Features.MaxSupportedVersion
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ControllerId
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .IncarnationId
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ZkMigrationReady
	{inner, true, false, -1, 0, 32767, 1120, 1124},  // .Listeners
	{inner, true, false, -1, 0, 32767, 1124, 1127},  // .Features
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .ClientInstanceId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .ClientInstanceId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .SubscriptionId
	{fixed, true, false, -1, 0, 32767, 1, 0},        // .AcceptedCompressionTypes
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .PushIntervalMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TelemetryMaxBytes
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .DeltaTemporality
	{text, true, false, -1, 0, 32767, 0, 0},         // .RequestedMetrics
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .ClientInstanceId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .SubscriptionId
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .Terminating
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .CompressionType
	{blob, false, false, -1, 0, 32767, 0, 0},        // .Metrics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Directories.Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Directories.Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1152, 1153},  // Directories.Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Directories.Id
	{inner, true, false, -1, 0, 32767, 1153, 1155},  // Directories.Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .BrokerId
	{fixed, false, false, -1, 0, 32767, 8, 0},       // .BrokerEpoch
	{inner, true, false, -1, 0, 32767, 1155, 1157},  // .Directories
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Directories.Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Directories.Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Directories.Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1160, 1162},  // Directories.Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Directories.Id
	{inner, true, false, -1, 0, 32767, 1162, 1164},  // Directories.Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 1164, 1166},  // .Directories
	{fixed, true, false, -1, 1, 32767, 1, 0},        // .ResourceTypes
	{text, false, false, -1, 0, 32767, 0, 0},        // ConfigResources.ResourceName
	{fixed, false, false, -1, 1, 32767, 1, 0},       // ConfigResources.ResourceType
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, true, false, -1, 0, 32767, 1170, 1172},  // .ConfigResources
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.Name
	{text, false, false, -1, 0, 32767, 0, 0},        // Cursor.TopicName
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Cursor.PartitionIndex
	{inner, true, false, -1, 0, 32767, 1175, 1176},  // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ResponsePartitionLimit
	{inner, false, true, -1, 0, 32767, 1176, 1178},  // .Cursor
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.ErrorCode
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.ReplicaNodes
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.IsrNodes
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.EligibleLeaderReplicas
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.LastKnownElr
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Topics.Partitions.OfflineReplicas
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Topics.Name
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Topics.IsInternal
	{inner, true, false, -1, 0, 32767, 1181, 1190},  // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.TopicAuthorizedOperations
	{text, false, false, -1, 0, 32767, 0, 0},        // NextCursor.TopicName
	{fixed, false, false, -1, 0, 32767, 4, 0},       // NextCursor.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 1190, 1196},  // .Topics
	{inner, false, true, -1, 0, 32767, 1196, 1198},  // .NextCursor
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MemberEpoch
	{text, false, true, -1, 0, 32767, 0, 0},         // .RackId
	{text, true, false, -1, 0, 32767, 0, 0},         // .SubscribedTopicNames
	{fixed, false, false, -1, 0, 32767, 16, 0},      // @TopicPartitions.TopicId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TopicPartitions.Partitions
	{inner, true, false, -1, 0, 32767, 1206, 1208},  // Assignment.TopicPartitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{text, false, true, -1, 0, 32767, 0, 0},         // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MemberEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .HeartbeatIntervalMs
	{inner, false, true, -1, 0, 32767, 1208, 1209},  // .Assignment
	{text, true, false, -1, 0, 32767, 0, 0},         // .GroupIds
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .IncludeAuthorizedOperations
	{fixed, false, false, -1, 0, 32767, 16, 0},      // @TopicPartitions.TopicId
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicPartitions.TopicName
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TopicPartitions.Partitions
	{inner, true, false, -1, 0, 32767, 1218, 1221},  // @Assignment.TopicPartitions
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.MemberId
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.Members.RackId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.Members.MemberEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientHost
	{text, true, false, -1, 0, 32767, 0, 0},         // Groups.Members.SubscribedTopicNames
	{inner, false, false, -1, 0, 32767, 1221, 1222}, // Groups.Members.Assignment
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Groups.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.GroupEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.AssignmentEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.AssignorName
	{inner, true, false, -1, 0, 32767, 1222, 1229},  // Groups.Members
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.AuthorizedOperations
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 1229, 1238},  // .Groups
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.AcknowledgementBatches.FirstOffset
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.AcknowledgementBatches.LastOffset
	{fixed, true, false, -1, 0, 32767, 1, 0},        // Topics.Partitions.AcknowledgementBatches.AcknowledgeTypes
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 0, 4, 0},           // Topics.Partitions.PartitionMaxBytes
	{inner, true, false, -1, 0, 32767, 1240, 1243},  // Topics.Partitions.AcknowledgementBatches
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1243, 1246},  // Topics.Partitions
	{fixed, false, false, -1, 0, 32767, 16, 0},      // ForgottenTopicsData.TopicId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // ForgottenTopicsData.Partitions
	{text, false, true, -1, 0, 32767, 0, 0},         // .GroupId
	{text, false, true, -1, 0, 32767, 0, 0},         // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ShareSessionEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MaxWaitMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MinBytes
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MaxBytes
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .MaxRecords
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .BatchSize
	{fixed, false, false, -1, 2, 32767, 1, 0},       // .ShareAcquireMode
	{fixed, false, false, -1, 2, 32767, 1, 0},       // .IsRenewAck
	{inner, true, false, -1, 0, 32767, 1246, 1248},  // .Topics
	{inner, true, false, -1, 0, 32767, 1248, 1250},  // .ForgottenTopicsData
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.CurrentLeader.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.CurrentLeader.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Responses.Partitions.AcquiredRecords.FirstOffset
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Responses.Partitions.AcquiredRecords.LastOffset
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.Partitions.AcquiredRecords.DeliveryCount
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.Partitions.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.Partitions.AcknowledgeErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.Partitions.AcknowledgeErrorMessage
	{inner, false, false, -1, 0, 32767, 1262, 1264}, // Responses.Partitions.CurrentLeader
	{blob, false, true, -1, 0, 32767, 0, 0},         // Responses.Partitions.Records
	{inner, true, false, -1, 0, 32767, 1264, 1267},  // Responses.Partitions.AcquiredRecords
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Responses.TopicId
	{inner, true, false, -1, 0, 32767, 1267, 1275},  // Responses.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // NodeEndpoints.NodeId
	{text, false, false, -1, 0, 32767, 0, 0},        // NodeEndpoints.Host
	{fixed, false, false, -1, 0, 32767, 4, 0},       // NodeEndpoints.Port
	{text, false, true, -1, 0, 32767, 0, 0},         // NodeEndpoints.Rack
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{fixed, false, false, -1, 1, 32767, 4, 0},       // .AcquisitionLockTimeoutMs
	{inner, true, false, -1, 0, 32767, 1275, 1277},  // .Responses
	{inner, true, false, -1, 0, 32767, 1277, 1281},  // .NodeEndpoints
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.AcknowledgementBatches.FirstOffset
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.AcknowledgementBatches.LastOffset
	{fixed, true, false, -1, 0, 32767, 1, 0},        // Topics.Partitions.AcknowledgementBatches.AcknowledgeTypes
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{inner, true, false, -1, 0, 32767, 1287, 1290},  // Topics.Partitions.AcknowledgementBatches
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1290, 1292},  // Topics.Partitions
	{text, false, true, -1, 0, 32767, 0, 0},         // .GroupId
	{text, false, true, -1, 0, 32767, 0, 0},         // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ShareSessionEpoch
	{fixed, false, false, -1, 2, 32767, 1, 0},       // .IsRenewAck
	{inner, true, false, -1, 0, 32767, 1292, 1294},  // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.CurrentLeader.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.CurrentLeader.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.Partitions.ErrorMessage
	{inner, false, false, -1, 0, 32767, 1299, 1301}, // Responses.Partitions.CurrentLeader
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Responses.TopicId
	{inner, true, false, -1, 0, 32767, 1301, 1305},  // Responses.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // NodeEndpoints.NodeId
	{text, false, false, -1, 0, 32767, 0, 0},        // NodeEndpoints.Host
	{fixed, false, false, -1, 0, 32767, 4, 0},       // NodeEndpoints.Port
	{text, false, true, -1, 0, 32767, 0, 0},         // NodeEndpoints.Rack
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{fixed, false, false, -1, 2, 32767, 4, 0},       // .AcquisitionLockTimeoutMs
	{inner, true, false, -1, 0, 32767, 1305, 1307},  // .Responses
	{inner, true, false, -1, 0, 32767, 1307, 1311},  // .NodeEndpoints
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Name
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Host
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Listeners.Port
	{text, false, true, -1, 0, 32767, 0, 0},         // .ClusterId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TimeoutMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .VoterId
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .VoterDirectoryId
	{inner, true, false, -1, 0, 32767, 1317, 1320},  // .Listeners
	{fixed, false, false, -1, 1, 32767, 1, 0},       // .AckWhenCommitted
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{text, false, true, -1, 0, 32767, 0, 0},         // .ClusterId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .VoterId
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .VoterDirectoryId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Name
	{text, false, false, -1, 0, 32767, 0, 0},        // Listeners.Host
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Listeners.Port
	{fixed, false, false, -1, 0, 32767, 2, 0},       // KRaftVersionFeature.MinSupportedVersion
	{fixed, false, false, -1, 0, 32767, 2, 0},       // KRaftVersionFeature.MaxSupportedVersion
	{text, false, true, -1, 0, 32767, 0, 0},         // .ClusterId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .CurrentLeaderEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .VoterId
	{fixed, false, false, -1, 0, 32767, 16, 0},      // .VoterDirectoryId
	{inner, true, false, -1, 0, 32767, 1335, 1338},  // .Listeners
	{inner, false, false, -1, 0, 32767, 1338, 1340}, // .KRaftVersionFeature
	{fixed, false, false, -1, 0, 32767, 4, 0},       // CurrentLeader.LeaderId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // CurrentLeader.LeaderEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // CurrentLeader.Host
	{fixed, false, false, -1, 0, 32767, 4, 0},       // CurrentLeader.Port
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{inner, false, false, 0, 0, 32767, 1346, 1350},  // .CurrentLeader
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.StateEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.StartOffset
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1353, 1356},  // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 1356, 1358},  // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.Partitions.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Results.TopicId
	{inner, true, false, -1, 0, 32767, 1360, 1363},  // Results.Partitions
	{inner, true, false, -1, 0, 32767, 1363, 1365},  // .Results
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1366, 1368},  // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 1368, 1370},  // .Topics
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Results.Partitions.StateBatches.FirstOffset
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Results.Partitions.StateBatches.LastOffset
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Results.Partitions.StateBatches.DeliveryState
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.Partitions.StateBatches.DeliveryCount
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.Partitions.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.StateEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Results.Partitions.StartOffset
	{inner, true, false, -1, 0, 32767, 1372, 1376},  // Results.Partitions.StateBatches
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Results.TopicId
	{inner, true, false, -1, 0, 32767, 1376, 1382},  // Results.Partitions
	{inner, true, false, -1, 0, 32767, 1382, 1384},  // .Results
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.StateBatches.FirstOffset
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.StateBatches.LastOffset
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Topics.Partitions.StateBatches.DeliveryState
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Topics.Partitions.StateBatches.DeliveryCount
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.StateEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.StartOffset
	{fixed, false, false, -1, 1, 32767, 4, 0},       // Topics.Partitions.DeliveryCompleteCount
	{inner, true, false, -1, 0, 32767, 1385, 1389},  // Topics.Partitions.StateBatches
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1389, 1395},  // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 1395, 1397},  // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.Partitions.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Results.TopicId
	{inner, true, false, -1, 0, 32767, 1399, 1402},  // Results.Partitions
	{inner, true, false, -1, 0, 32767, 1402, 1404},  // .Results
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1405, 1406},  // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 1406, 1408},  // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.Partitions.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Results.TopicId
	{inner, true, false, -1, 0, 32767, 1410, 1413},  // Results.Partitions
	{inner, true, false, -1, 0, 32767, 1413, 1415},  // .Results
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1416, 1418},  // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 1418, 1420},  // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.Partition
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Results.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Results.Partitions.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.StateEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Results.Partitions.LeaderEpoch
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Results.Partitions.StartOffset
	{fixed, false, false, -1, 1, 32767, 4, 0},       // Results.Partitions.DeliveryCompleteCount
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Results.TopicId
	{inner, true, false, -1, 0, 32767, 1422, 1429},  // Results.Partitions
	{inner, true, false, -1, 0, 32767, 1429, 1431},  // .Results
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Key
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Value
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicInfo.Name
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TopicInfo.Partitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @TopicInfo.ReplicationFactor
	{inner, true, false, -1, 0, 32767, 1432, 1434},  // @TopicInfo.TopicConfigs
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Key
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Value
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicInfo.Name
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TopicInfo.Partitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @TopicInfo.ReplicationFactor
	{inner, true, false, -1, 0, 32767, 1438, 1440},  // @TopicInfo.TopicConfigs
	{fixed, true, false, -1, 0, 32767, 2, 0},        // Topology.Subtopologies.CopartitionGroups.SourceTopics
	{fixed, true, false, -1, 0, 32767, 2, 0},        // Topology.Subtopologies.CopartitionGroups.SourceTopicRegex
	{fixed, true, false, -1, 0, 32767, 2, 0},        // Topology.Subtopologies.CopartitionGroups.RepartitionSourceTopics
	{text, false, false, -1, 0, 32767, 0, 0},        // Topology.Subtopologies.SubtopologyId
	{text, true, false, -1, 0, 32767, 0, 0},         // Topology.Subtopologies.SourceTopics
	{text, true, false, -1, 0, 32767, 0, 0},         // Topology.Subtopologies.SourceTopicRegex
	{inner, true, false, -1, 0, 32767, 1434, 1438},  // Topology.Subtopologies.StateChangelogTopics
	{text, true, false, -1, 0, 32767, 0, 0},         // Topology.Subtopologies.RepartitionSinkTopics
	{inner, true, false, -1, 0, 32767, 1440, 1444},  // Topology.Subtopologies.RepartitionSourceTopics
	{inner, true, false, -1, 0, 32767, 1444, 1447},  // Topology.Subtopologies.CopartitionGroups
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topology.Epoch
	{inner, true, false, -1, 0, 32767, 1447, 1454},  // Topology.Subtopologies
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @Endpoint.Host
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @Endpoint.Port
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Key
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Value
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskOffset.SubtopologyId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TaskOffset.Partition
	{fixed, false, false, -1, 0, 32767, 8, 0},       // @TaskOffset.Offset
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskOffset.SubtopologyId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TaskOffset.Partition
	{fixed, false, false, -1, 0, 32767, 8, 0},       // @TaskOffset.Offset
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MemberEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .EndpointInformationEpoch
	{text, false, true, -1, 0, 32767, 0, 0},         // .InstanceId
	{text, false, true, -1, 0, 32767, 0, 0},         // .RackId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .RebalanceTimeoutMs
	{inner, false, true, -1, 0, 32767, 1454, 1456},  // .Topology
	{inner, true, false, -1, 0, 32767, 1456, 1458},  // .ActiveTasks
	{inner, true, false, -1, 0, 32767, 1458, 1460},  // .StandbyTasks
	{inner, true, false, -1, 0, 32767, 1460, 1462},  // .WarmupTasks
	{text, false, true, -1, 0, 32767, 0, 0},         // .ProcessId
	{inner, false, true, -1, 0, 32767, 1462, 1464},  // .UserEndpoint
	{inner, true, false, -1, 0, 32767, 1464, 1466},  // .ClientTags
	{inner, true, false, -1, 0, 32767, 1466, 1469},  // .TaskOffsets
	{inner, true, false, -1, 0, 32767, 1469, 1472},  // .TaskEndOffsets
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .ShutdownApplication
	{fixed, false, false, -1, 0, 32767, 1, 0},       // @Status.StatusCode
	{text, false, false, -1, 0, 32767, 0, 0},        // @Status.StatusDetail
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @Endpoint.Host
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @Endpoint.Port
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicPartition.Topic
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TopicPartition.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicPartition.Topic
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TopicPartition.Partitions
	{inner, false, false, -1, 0, 32767, 1497, 1499}, // PartitionsByUserEndpoint.UserEndpoint
	{inner, true, false, -1, 0, 32767, 1499, 1501},  // PartitionsByUserEndpoint.ActivePartitions
	{inner, true, false, -1, 0, 32767, 1501, 1503},  // PartitionsByUserEndpoint.StandbyPartitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // .MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .MemberEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .HeartbeatIntervalMs
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .AcceptableRecoveryLag
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .TaskOffsetIntervalMs
	{inner, true, false, -1, 0, 32767, 1489, 1491},  // .Status
	{inner, true, false, -1, 0, 32767, 1491, 1493},  // .ActiveTasks
	{inner, true, false, -1, 0, 32767, 1493, 1495},  // .StandbyTasks
	{inner, true, false, -1, 0, 32767, 1495, 1497},  // .WarmupTasks
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .EndpointInformationEpoch
	{inner, true, false, -1, 0, 32767, 1503, 1506},  // .PartitionsByUserEndpoint
	{text, true, false, -1, 0, 32767, 0, 0},         // .GroupIds
	{fixed, false, false, -1, 0, 32767, 1, 0},       // .IncludeAuthorizedOperations
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Key
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Value
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicInfo.Name
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TopicInfo.Partitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @TopicInfo.ReplicationFactor
	{inner, true, false, -1, 0, 32767, 1522, 1524},  // @TopicInfo.TopicConfigs
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Key
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Value
	{text, false, false, -1, 0, 32767, 0, 0},        // @TopicInfo.Name
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TopicInfo.Partitions
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @TopicInfo.ReplicationFactor
	{inner, true, false, -1, 0, 32767, 1528, 1530},  // @TopicInfo.TopicConfigs
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Topology.Subtopologies.SubtopologyId
	{text, true, false, -1, 0, 32767, 0, 0},         // Groups.Topology.Subtopologies.SourceTopics
	{text, true, false, -1, 0, 32767, 0, 0},         // Groups.Topology.Subtopologies.RepartitionSinkTopics
	{inner, true, false, -1, 0, 32767, 1524, 1528},  // Groups.Topology.Subtopologies.StateChangelogTopics
	{inner, true, false, -1, 0, 32767, 1530, 1534},  // Groups.Topology.Subtopologies.RepartitionSourceTopics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.Topology.Epoch
	{inner, true, false, -1, 0, 32767, 1534, 1539},  // Groups.Topology.Subtopologies
	{text, false, false, -1, 0, 32767, 0, 0},        // @Endpoint.Host
	{fixed, false, false, -1, 0, 32767, 2, 0},       // @Endpoint.Port
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Key
	{text, false, false, -1, 0, 32767, 0, 0},        // @KeyValue.Value
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskOffset.SubtopologyId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TaskOffset.Partition
	{fixed, false, false, -1, 0, 32767, 8, 0},       // @TaskOffset.Offset
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskOffset.SubtopologyId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // @TaskOffset.Partition
	{fixed, false, false, -1, 0, 32767, 8, 0},       // @TaskOffset.Offset
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{inner, true, false, -1, 0, 32767, 1551, 1553},  // @Assignment.ActiveTasks
	{inner, true, false, -1, 0, 32767, 1553, 1555},  // @Assignment.StandbyTasks
	{inner, true, false, -1, 0, 32767, 1555, 1557},  // @Assignment.WarmupTasks
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // @TaskIds.SubtopologyId
	{fixed, true, false, -1, 0, 32767, 4, 0},        // @TaskIds.Partitions
	{inner, true, false, -1, 0, 32767, 1560, 1562},  // @Assignment.ActiveTasks
	{inner, true, false, -1, 0, 32767, 1562, 1564},  // @Assignment.StandbyTasks
	{inner, true, false, -1, 0, 32767, 1564, 1566},  // @Assignment.WarmupTasks
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.MemberId
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.Members.MemberEpoch
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.Members.InstanceId
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.Members.RackId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ClientHost
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.Members.TopologyEpoch
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Members.ProcessId
	{inner, false, true, -1, 0, 32767, 1541, 1543},  // Groups.Members.UserEndpoint
	{inner, true, false, -1, 0, 32767, 1543, 1545},  // Groups.Members.ClientTags
	{inner, true, false, -1, 0, 32767, 1545, 1548},  // Groups.Members.TaskOffsets
	{inner, true, false, -1, 0, 32767, 1548, 1551},  // Groups.Members.TaskEndOffsets
	{inner, false, false, -1, 0, 32767, 1557, 1560}, // Groups.Members.Assignment
	{inner, false, false, -1, 0, 32767, 1566, 1569}, // Groups.Members.TargetAssignment
	{fixed, false, false, -1, 0, 32767, 1, 0},       // Groups.Members.IsClassic
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Groups.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupId
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupState
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.GroupEpoch
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.AssignmentEpoch
	{inner, false, true, -1, 0, 32767, 1539, 1541},  // Groups.Topology
	{inner, true, false, -1, 0, 32767, 1569, 1584},  // Groups.Members
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.AuthorizedOperations
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 1584, 1593},  // .Groups
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Topics.TopicName
	{fixed, true, false, -1, 0, 32767, 4, 0},        // Groups.Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupId
	{inner, true, false, -1, 0, 32767, 1595, 1597},  // Groups.Topics
	{inner, true, false, -1, 0, 32767, 1597, 1599},  // .Groups
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Groups.Topics.Partitions.StartOffset
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Groups.Topics.Partitions.LeaderEpoch
	{fixed, false, false, -1, 1, 32767, 8, 0},       // Groups.Topics.Partitions.Lag
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Groups.Topics.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.Topics.Partitions.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.Topics.TopicName
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Groups.Topics.TopicId
	{inner, true, false, -1, 0, 32767, 1600, 1606},  // Groups.Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // Groups.GroupId
	{inner, true, false, -1, 0, 32767, 1606, 1609},  // Groups.Topics
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Groups.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Groups.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{inner, true, false, -1, 0, 32767, 1609, 1613},  // .Groups
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Topics.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 8, 0},       // Topics.Partitions.StartOffset
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{inner, true, false, -1, 0, 32767, 1615, 1617},  // Topics.Partitions
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 1617, 1619},  // .Topics
	{fixed, false, false, -1, 0, 32767, 4, 0},       // Responses.Partitions.PartitionIndex
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.Partitions.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.Partitions.ErrorMessage
	{text, false, false, -1, 0, 32767, 0, 0},        // Responses.TopicName
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Responses.TopicId
	{inner, true, false, -1, 0, 32767, 1621, 1624},  // Responses.Partitions
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 1624, 1627},  // .Responses
	{text, false, false, -1, 0, 32767, 0, 0},        // Topics.TopicName
	{text, false, false, -1, 0, 32767, 0, 0},        // .GroupId
	{inner, true, false, -1, 0, 32767, 1631, 1632},  // .Topics
	{text, false, false, -1, 0, 32767, 0, 0},        // Responses.TopicName
	{fixed, false, false, -1, 0, 32767, 16, 0},      // Responses.TopicId
	{fixed, false, false, -1, 0, 32767, 2, 0},       // Responses.ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // Responses.ErrorMessage
	{fixed, false, false, -1, 0, 32767, 4, 0},       // .ThrottleTimeMs
	{fixed, false, false, -1, 0, 32767, 2, 0},       // .ErrorCode
	{text, false, true, -1, 0, 32767, 0, 0},         // .ErrorMessage
	{inner, true, false, -1, 0, 32767, 1634, 1638},  // .Responses
}

// requestShapes says for each API key where the parts of its request lie.
var requestShapes = [...]shape{
	0:  {5, 9, 3, 13, 9},        // ProduceRequest
	1:  {47, 59, 4, 18, 12},     // FetchRequest
	2:  {95, 99, 1, 11, 6},      // ListOffsetsRequest
	3:  {110, 114, 0, 13, 9},    // MetadataRequest
	8:  {145, 151, 2, 10, 8},    // OffsetCommitRequest
	9:  {167, 171, 1, 10, 6},    // OffsetFetchRequest
	10: {193, 196, 0, 6, 3},     // FindCoordinatorRequest
	11: {211, 219, 0, 9, 6},     // JoinGroupRequest
	12: {231, 235, 0, 4, 4},     // HeartbeatRequest
	13: {240, 243, 0, 5, 4},     // LeaveGroupRequest
	14: {251, 258, 0, 5, 4},     // SyncGroupRequest
	15: {263, 265, 0, 6, 5},     // DescribeGroupsRequest
	16: {281, 283, 0, 5, 3},     // ListGroupsRequest
	17: {290, 291, 0, 1, 32767}, // SaslHandshakeRequest
	18: {293, 295, 0, 4, 3},     // ApiVersionsRequest
	19: {320, 323, 2, 7, 5},     // CreateTopicsRequest
	20: {340, 343, 1, 6, 4},     // DeleteTopicsRequest
	21: {353, 355, 0, 2, 2},     // DeleteRecordsRequest
	22: {362, 368, 0, 6, 2},     // InitProducerIdRequest
	23: {379, 381, 2, 4, 4},     // OffsetForLeaderEpochRequest
	24: {398, 403, 0, 5, 3},     // AddPartitionsToTxnRequest
	25: {417, 421, 0, 4, 3},     // AddOffsetsToTxnRequest
	26: {423, 427, 0, 5, 3},     // EndTxnRequest
	27: {439, 440, 1, 2, 1},     // WriteTxnMarkersRequest
	28: {453, 461, 0, 5, 3},     // TxnOffsetCommitRequest
	29: {467, 474, 1, 3, 2},     // DescribeAclsRequest
	30: {493, 494, 1, 3, 2},     // CreateAclsRequest
	31: {505, 506, 1, 3, 2},     // DeleteAclsRequest
	32: {523, 526, 1, 4, 4},     // DescribeConfigsRequest
	33: {549, 551, 0, 2, 2},     // AlterConfigsRequest
	34: {561, 562, 1, 2, 2},     // AlterReplicaLogDirsRequest
	35: {570, 571, 1, 5, 2},     // DescribeLogDirsRequest
	36: {586, 587, 0, 2, 2},     // SaslAuthenticateRequest
	37: {595, 598, 0, 3, 2},     // CreatePartitionsRequest
	38: {605, 609, 1, 3, 2},     // CreateDelegationTokenRequest
	39: {620, 622, 1, 2, 2},     // RenewDelegationTokenRequest
	40: {625, 627, 1, 2, 2},     // ExpireDelegationTokenRequest
	41: {632, 633, 1, 3, 2},     // DescribeDelegationTokenRequest
	42: {648, 649, 0, 2, 2},     // DeleteGroupsRequest
	43: {655, 658, 0, 2, 2},     // ElectLeadersRequest
	44: {672, 674, 0, 1, 1},     // IncrementalAlterConfigsRequest
	45: {684, 687, 0, 1, 0},     // AlterPartitionReassignmentsRequest
	46: {699, 701, 0, 0, 0},     // ListPartitionReassignmentsRequest
	47: {714, 716, 0, 0, 32767}, // OffsetDeleteRequest
	48: {726, 728, 0, 1, 1},     // DescribeClientQuotasRequest
	49: {745, 747, 0, 1, 1},     // AlterClientQuotasRequest
	50: {755, 756, 0, 0, 0},     // DescribeUserScramCredentialsRequest
	51: {773, 775, 0, 0, 0},     // AlterUserScramCredentialsRequest
	52: {790, 793, 0, 2, 0},     // VoteRequest
	53: {815, 819, 0, 1, 1},     // BeginQuorumEpochRequest
	54: {843, 846, 0, 1, 1},     // EndQuorumEpochRequest
	55: {861, 862, 0, 2, 0},     // DescribeQuorumRequest
	56: {901, 904, 2, 3, 0},     // AlterPartitionRequest
	57: {920, 923, 0, 2, 0},     // UpdateFeaturesRequest
	58: {930, 933, 0, 0, 0},     // EnvelopeRequest
	59: {944, 948, 0, 1, 0},     // FetchSnapshotRequest
	60: {968, 971, 0, 2, 0},     // DescribeClusterRequest
	61: {986, 987, 0, 0, 0},     // DescribeProducersRequest
	62: {1008, 1017, 0, 4, 0},   // BrokerRegistrationRequest
	63: {1020, 1027, 0, 2, 0},   // BrokerHeartbeatRequest
	64: {1032, 1033, 0, 0, 0},   // UnregisterBrokerRequest
	65: {1036, 1037, 0, 0, 0},   // DescribeTransactionsRequest
	66: {1049, 1053, 0, 2, 0},   // ListTransactionsRequest
	67: {1060, 1062, 0, 0, 0},   // AllocateProducerIdsRequest
	68: {1068, 1078, 0, 1, 0},   // ConsumerGroupHeartbeatRequest
	69: {1088, 1090, 0, 1, 0},   // ConsumerGroupDescribeRequest
	70: {1127, 1132, 0, 0, 0},   // ControllerRegistrationRequest
	71: {1135, 1136, 0, 0, 0},   // GetTelemetrySubscriptionsRequest
	72: {1145, 1150, 0, 0, 0},   // PushTelemetryRequest
	73: {1157, 1160, 0, 0, 0},   // AssignReplicasToDirsRequest
	74: {1169, 1170, 0, 1, 0},   // ListConfigResourcesRequest
	75: {1178, 1181, 0, 0, 0},   // DescribeTopicPartitionsRequest
	76: {1201, 1206, 1, 1, 0},   // ShareGroupHeartbeatRequest
	77: {1216, 1218, 1, 1, 0},   // ShareGroupDescribeRequest
	78: {1250, 1262, 1, 2, 0},   // ShareFetchRequest
	79: {1294, 1299, 1, 2, 0},   // ShareAcknowledgeRequest
	80: {1320, 1326, 0, 1, 0},   // AddRaftVoterRequest
	81: {1329, 1332, 0, 0, 0},   // RemoveRaftVoterRequest
	82: {1340, 1346, 0, 0, 0},   // UpdateRaftVoterRequest
	83: {1358, 1360, 0, 0, 0},   // InitializeShareGroupStateRequest
	84: {1370, 1372, 0, 0, 0},   // ReadShareGroupStateRequest
	85: {1397, 1399, 0, 1, 0},   // WriteShareGroupStateRequest
	86: {1408, 1410, 0, 0, 0},   // DeleteShareGroupStateRequest
	87: {1420, 1422, 0, 1, 0},   // ReadShareGroupStateSummaryRequest
	88: {1472, 1489, 0, 0, 0},   // StreamsGroupHeartbeatRequest
	89: {1520, 1522, 0, 0, 0},   // StreamsGroupDescribeRequest
	90: {1599, 1600, 0, 1, 0},   // DescribeShareGroupOffsetsRequest
	91: {1619, 1621, 0, 0, 0},   // AlterShareGroupOffsetsRequest
	92: {1632, 1634, 0, 0, 0},   // DeleteShareGroupOffsetsRequest
}

// responseShapes says for each API key where the parts of its response lie.
var responseShapes = [...]shape{
	0:  {28, 31, 3, 13, 9},      // ProduceResponse
	1:  {85, 90, 4, 18, 12},     // FetchResponse
	2:  {106, 108, 1, 11, 6},    // ListOffsetsResponse
	3:  {131, 138, 0, 13, 9},    // MetadataResponse
	8:  {156, 158, 2, 10, 8},    // OffsetCommitResponse
	9:  {189, 193, 1, 10, 6},    // OffsetFetchResponse
	10: {202, 209, 0, 6, 3},     // FindCoordinatorResponse
	11: {222, 231, 0, 9, 6},     // JoinGroupResponse
	12: {235, 237, 0, 4, 4},     // HeartbeatResponse
	13: {246, 249, 0, 5, 4},     // LeaveGroupResponse
	14: {258, 263, 0, 5, 4},     // SyncGroupResponse
	15: {279, 281, 0, 6, 5},     // DescribeGroupsResponse
	16: {287, 290, 0, 5, 3},     // ListGroupsResponse
	17: {291, 293, 0, 1, 32767}, // SaslHandshakeResponse
	18: {304, 311, 0, 4, 3},     // ApiVersionsResponse
	19: {336, 338, 2, 7, 5},     // CreateTopicsResponse
	20: {347, 349, 1, 6, 4},     // DeleteTopicsResponse
	21: {360, 362, 0, 2, 2},     // DeleteRecordsResponse
	22: {368, 374, 0, 6, 2},     // InitProducerIdResponse
	23: {387, 389, 2, 4, 4},     // OffsetForLeaderEpochResponse
	24: {413, 417, 0, 5, 3},     // AddPartitionsToTxnResponse
	25: {421, 423, 0, 4, 3},     // AddOffsetsToTxnResponse
	26: {427, 431, 0, 5, 3},     // EndTxnResponse
	27: {446, 447, 1, 2, 1},     // WriteTxnMarkersResponse
	28: {465, 467, 0, 5, 3},     // TxnOffsetCommitResponse
	29: {482, 486, 1, 3, 2},     // DescribeAclsResponse
	30: {496, 498, 1, 3, 2},     // CreateAclsResponse
	31: {518, 520, 1, 3, 2},     // DeleteAclsResponse
	32: {542, 544, 1, 4, 4},     // DescribeConfigsResponse
	33: {555, 557, 0, 2, 2},     // AlterConfigsResponse
	34: {566, 568, 1, 2, 2},     // AlterReplicaLogDirsResponse
	35: {583, 586, 1, 5, 2},     // DescribeLogDirsResponse
	36: {587, 591, 0, 2, 2},     // SaslAuthenticateResponse
	37: {601, 603, 0, 3, 2},     // CreatePartitionsResponse
	38: {609, 620, 1, 3, 2},     // CreateDelegationTokenResponse
	39: {622, 625, 1, 2, 2},     // RenewDelegationTokenResponse
	40: {627, 630, 1, 2, 2},     // ExpireDelegationTokenResponse
	41: {645, 648, 1, 3, 2},     // DescribeDelegationTokenResponse
	42: {651, 653, 0, 2, 2},     // DeleteGroupsResponse
	43: {663, 666, 0, 2, 2},     // ElectLeadersResponse
	44: {678, 680, 0, 1, 1},     // IncrementalAlterConfigsResponse
	45: {692, 697, 0, 1, 0},     // AlterPartitionReassignmentsResponse
	46: {707, 711, 0, 0, 0},     // ListPartitionReassignmentsResponse
	47: {720, 723, 0, 0, 32767}, // OffsetDeleteResponse
	48: {734, 738, 0, 1, 1},     // DescribeClientQuotasResponse
	49: {752, 754, 0, 1, 1},     // AlterClientQuotasResponse
	50: {762, 766, 0, 0, 0},     // DescribeUserScramCredentialsResponse
	51: {778, 780, 0, 0, 0},     // AlterUserScramCredentialsResponse
	52: {803, 806, 0, 2, 0},     // VoteResponse
	53: {828, 831, 0, 1, 1},     // BeginQuorumEpochResponse
	54: {855, 858, 0, 1, 1},     // EndQuorumEpochResponse
	55: {887, 891, 0, 2, 0},     // DescribeQuorumResponse
	56: {913, 916, 2, 3, 0},     // AlterPartitionResponse
	57: {926, 930, 0, 2, 0},     // UpdateFeaturesResponse
	58: {933, 935, 0, 0, 0},     // EnvelopeResponse
	59: {964, 968, 0, 1, 0},     // FetchSnapshotResponse
	60: {976, 984, 0, 2, 0},     // DescribeClusterResponse
	61: {999, 1001, 0, 0, 0},    // DescribeProducersResponse
	62: {1017, 1020, 0, 4, 0},   // BrokerRegistrationResponse
	63: {1027, 1032, 0, 2, 0},   // BrokerHeartbeatResponse
	64: {1033, 1036, 0, 0, 0},   // UnregisterBrokerResponse
	65: {1047, 1049, 0, 0, 0},   // DescribeTransactionsResponse
	66: {1056, 1060, 0, 2, 0},   // ListTransactionsResponse
	67: {1062, 1066, 0, 0, 0},   // AllocateProducerIdsResponse
	68: {1081, 1088, 0, 1, 0},   // ConsumerGroupHeartbeatResponse
	69: {1118, 1120, 0, 1, 0},   // ConsumerGroupDescribeResponse
	70: {1132, 1135, 0, 0, 0},   // ControllerRegistrationResponse
	71: {1136, 1145, 0, 0, 0},   // GetTelemetrySubscriptionsResponse
	72: {1150, 1152, 0, 0, 0},   // PushTelemetryResponse
	73: {1166, 1169, 0, 0, 0},   // AssignReplicasToDirsResponse
	74: {1172, 1175, 0, 1, 0},   // ListConfigResourcesResponse
	75: {1198, 1201, 0, 0, 0},   // DescribeTopicPartitionsResponse
	76: {1209, 1216, 1, 1, 0},   // ShareGroupHeartbeatResponse
	77: {1238, 1240, 1, 1, 0},   // ShareGroupDescribeResponse
	78: {1281, 1287, 1, 2, 0},   // ShareFetchResponse
	79: {1311, 1317, 1, 2, 0},   // ShareAcknowledgeResponse
	80: {1326, 1329, 0, 1, 0},   // AddRaftVoterResponse
	81: {1332, 1335, 0, 0, 0},   // RemoveRaftVoterResponse
	82: {1350, 1353, 0, 0, 0},   // UpdateRaftVoterResponse
	83: {1365, 1366, 0, 0, 0},   // InitializeShareGroupStateResponse
	84: {1384, 1385, 0, 0, 0},   // ReadShareGroupStateResponse
	85: {1404, 1405, 0, 1, 0},   // WriteShareGroupStateResponse
	86: {1415, 1416, 0, 0, 0},   // DeleteShareGroupStateResponse
	87: {1431, 1432, 0, 1, 0},   // ReadShareGroupStateSummaryResponse
	88: {1506, 1520, 0, 0, 0},   // StreamsGroupHeartbeatResponse
	89: {1593, 1595, 0, 0, 0},   // StreamsGroupDescribeResponse
	90: {1613, 1615, 0, 1, 0},   // DescribeShareGroupOffsetsResponse
	91: {1627, 1631, 0, 0, 0},   // AlterShareGroupOffsetsResponse
	92: {1638, 1642, 0, 0, 0},   // DeleteShareGroupOffsetsResponse
}
