package broker

import (
	"strconv"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The types of endpoints that a DescribeCluster request may ask for (KIP-919).
const (
	brokerEndpoints     = 1
	controllerEndpoints = 2
)

// describeCluster serves DescribeCluster v0-v2. Controllers are not to be asked for here: this is a broker's listener.
func (b *Broker) describeCluster(now core.Now, r request, q *kmsg.DescribeClusterRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.EndpointType, resp.ControllerID = brokerEndpoints, -1
	if r.header.Version >= 1 && q.EndpointType != brokerEndpoints {
		code, text := wire.UnsupportedEndpointType, "Unsupported endpoint type "+strconv.Itoa(int(q.EndpointType))
		if q.EndpointType == controllerEndpoints {
			code, text = wire.MismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
		}
		resp.ErrorCode, resp.ErrorMessage = int16(code), &text
		b.reply(now, r, resp, out)
		return
	}
	listener := b.listener(r)
	for _, n := range b.img.Brokers() {
		e, ok := n.Endpoint(listener)
		if !ok || n.Fenced && !(r.header.Version >= 2 && q.IncludeFencedBrokers) {
			continue
		}
		k := kmsg.NewDescribeClusterResponseBroker()
		k.NodeID, k.Host, k.Port, k.IsFenced = int32(n.ID), e.Host, int32(e.Port), n.Fenced
		if n.HasRack {
			k.Rack = &n.Rack
		}
		resp.Brokers = append(resp.Brokers, k)
	}
	resp.ClusterID = b.boot.clusterID
	resp.ControllerID = int32(b.cfg.NodeID) // any live broker forwards what is for the controller (KIP-590)
	if q.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	b.reply(now, r, resp, out)
}
