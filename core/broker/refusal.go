package broker

import (
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusal is the answer that refuses a request as a whole with an error, in the form that its API has for that: in one
// field at the top, or in every row.
func refusal(q kmsg.Request, code wire.Code) kmsg.Response {
	resp := q.ResponseKind()
	c := int16(code)
	switch r := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range q.(*kmsg.CreateTopicsRequest).Topics {
			k := kmsg.NewCreateTopicsResponseTopic()
			k.Topic, k.ErrorCode = t.Topic, c
			r.Topics = append(r.Topics, k)
		}
	case *kmsg.DeleteTopicsResponse:
		refuseDelete(q.(*kmsg.DeleteTopicsRequest), r, c)
	case *kmsg.CreatePartitionsResponse:
		for _, t := range q.(*kmsg.CreatePartitionsRequest).Topics {
			k := kmsg.NewCreatePartitionsResponseTopic()
			k.Topic, k.ErrorCode = t.Topic, c
			r.Topics = append(r.Topics, k)
		}
	case *kmsg.AlterConfigsResponse:
		for _, x := range q.(*kmsg.AlterConfigsRequest).Resources {
			k := kmsg.NewAlterConfigsResponseResource()
			k.ResourceType, k.ResourceName, k.ErrorCode = x.ResourceType, x.ResourceName, c
			r.Resources = append(r.Resources, k)
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, x := range q.(*kmsg.IncrementalAlterConfigsRequest).Resources {
			k := kmsg.NewIncrementalAlterConfigsResponseResource()
			k.ResourceType, k.ResourceName, k.ErrorCode = x.ResourceType, x.ResourceName, c
			r.Resources = append(r.Resources, k)
		}
	case *kmsg.ElectLeadersResponse:
		refuseElection(q.(*kmsg.ElectLeadersRequest), r, c)
	case *kmsg.AlterPartitionAssignmentsResponse:
		r.ErrorCode = c
	case *kmsg.ListPartitionReassignmentsResponse:
		r.ErrorCode = c
	case *kmsg.UpdateFeaturesResponse:
		r.ErrorCode = c
	default:
		refuseTop(resp, c)
	}
	return resp
}

func refuseDelete(q *kmsg.DeleteTopicsRequest, r *kmsg.DeleteTopicsResponse, code int16) {
	for i := range q.TopicNames {
		k := kmsg.NewDeleteTopicsResponseTopic()
		k.Topic, k.ErrorCode = &q.TopicNames[i], code
		r.Topics = append(r.Topics, k)
	}
	for _, t := range q.Topics {
		k := kmsg.NewDeleteTopicsResponseTopic()
		k.Topic, k.TopicID, k.ErrorCode = t.Topic, t.TopicID, code
		r.Topics = append(r.Topics, k)
	}
}

// refuseElection answers in every row in version 0, which has no other place.
func refuseElection(q *kmsg.ElectLeadersRequest, r *kmsg.ElectLeadersResponse, code int16) {
	r.ErrorCode = code
	for _, t := range q.Topics {
		k := kmsg.NewElectLeadersResponseTopic()
		k.Topic = t.Topic
		for _, p := range t.Partitions {
			row := kmsg.NewElectLeadersResponseTopicPartition()
			row.Partition, row.ErrorCode = p, code
			k.Partitions = append(k.Partitions, row)
		}
		r.Topics = append(r.Topics, k)
	}
}

// refuseTop answers where an API has one error for all.
func refuseTop(resp kmsg.Response, code int16) {
	switch r := resp.(type) {
	case *kmsg.AlterPartitionResponse:
		r.ErrorCode = code
	case *kmsg.BrokerRegistrationResponse:
		r.ErrorCode, r.BrokerEpoch = code, -1
	case *kmsg.BrokerHeartbeatResponse:
		r.ErrorCode, r.IsFenced = code, true
	case *kmsg.UnregisterBrokerResponse:
		r.ErrorCode = code
	case *kmsg.AllocateProducerIDsResponse:
		r.ErrorCode = code
	case *kmsg.ControllerRegistrationResponse:
		r.ErrorCode = code
	case *kmsg.AssignReplicasToDirsResponse:
		r.ErrorCode = code
	case *kmsg.DescribeQuorumResponse:
		r.ErrorCode = code
	}
}
