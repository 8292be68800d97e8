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

// describeCluster serves DescribeCluster v0-v2: brokers on the broker listener, controllers on the controller listener.
func (b *Broker) describeCluster(now core.Now, r request, q *kmsg.DescribeClusterRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeClusterResponse()
	side, here, there := brokerEndpoints, "BROKER", "CONTROLLER"
	if b.sideOf(r) == wire.ControllerSide {
		side, here, there = controllerEndpoints, there, here
	}
	resp.EndpointType, resp.ControllerID = int8(side), -1
	if asked := int(q.EndpointType); r.header.Version >= 1 && asked != side {
		code, text := wire.UnsupportedEndpointType, "Unsupported endpoint type "+strconv.Itoa(asked)
		if asked == brokerEndpoints || asked == controllerEndpoints {
			code, text = wire.MismatchedEndpointType, "The request was sent to an endpoint of type "+here+", but we wanted an endpoint of type "+there
		}
		resp.ErrorCode, resp.ErrorMessage = int16(code), &text
		b.reply(now, r, resp, out)
		return
	}
	resp.ClusterID = b.boot.clusterID
	if q.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	if side == controllerEndpoints {
		b.describeControllers(b.listener(r), resp)
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
	resp.ControllerID = int32(b.cfg.NodeID) // any live broker forwards what is for the controller (KIP-590)
	b.reply(now, r, resp, out)
}

// describeControllers names the registered controllers and the active one.
func (b *Broker) describeControllers(listener string, resp *kmsg.DescribeClusterResponse) {
	leader, _ := b.node.Leader()
	resp.ControllerID = int32(leader)
	for _, n := range b.img.Controllers() {
		for _, e := range n.Endpoints {
			if e.Name == listener {
				k := kmsg.NewDescribeClusterResponseBroker()
				k.NodeID, k.Host, k.Port = int32(n.ID), e.Host, int32(e.Port)
				resp.Brokers = append(resp.Brokers, k)
			}
		}
	}
}
