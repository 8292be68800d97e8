package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"
)

// Registration is what a broker tells of itself when it starts.
type Registration struct {
	ID          core.NodeID
	Incarnation wire.UUID // drawn at each start
	Endpoints   []image.Endpoint
	Rack        string
	HasRack     bool
	LogDirs     []wire.UUID
}

// RegisterBroker registers a broker that has just started, fenced: it leads nothing yet. at is the end of
// the metadata log, which becomes the broker's epoch (KIP-631).
func (c *Controller) RegisterBroker(r Registration, at core.Offset) []wire.Record {
	rec := wire.NewRegisterBrokerRecord()
	rec.BrokerID, rec.IncarnationID, rec.BrokerEpoch, rec.Fenced = r.ID, r.Incarnation, core.BrokerEpoch(at), true
	rec.LogDirs, rec.CordonedLogDirs = r.LogDirs, []wire.UUID{}
	for _, e := range r.Endpoints {
		rec.EndPoints = append(rec.EndPoints, wire.BrokerEndpoint{Name: e.Name, Host: e.Host, Port: e.Port, SecurityProtocol: e.Security})
	}
	for _, f := range Supported() {
		rec.Features = append(rec.Features, wire.BrokerFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	if r.HasRack {
		rec.Rack = &r.Rack
	}
	if c.Level() < 30 { // the field is of 4.3
		rec.CordonedLogDirs = nil
	}
	return []wire.Record{rec}
}

// RegisterController registers this node as a controller (KIP-919).
func (c *Controller) RegisterController(r Registration) []wire.Record {
	if c.Level() < 15 { // the record is of 3.7
		return nil
	}
	rec := wire.NewRegisterControllerRecord()
	rec.ControllerID, rec.IncarnationID = r.ID, r.Incarnation
	for _, e := range r.Endpoints {
		rec.EndPoints = append(rec.EndPoints, wire.ControllerEndpoint{Name: e.Name, Host: e.Host, Port: e.Port, SecurityProtocol: e.Security})
	}
	for _, f := range Supported() {
		rec.Features = append(rec.Features, wire.ControllerFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return []wire.Record{rec}
}

// UnfenceBroker lets a registered broker lead, once it has read the metadata up to its registration, and gives it the
// partitions that only it can lead. Each of them gets a new leader epoch, also where the broker led it before:
// what its former life appended may have been lost with that life, and two different records must never carry
// the same offset and epoch.
func (c *Controller) UnfenceBroker(id core.NodeID) (records []wire.Record) {
	b := c.img.Broker(id)
	if b == nil || !b.Fenced {
		return nil
	}
	up := wire.NewBrokerRegistrationChangeRecord()
	up.BrokerID, up.BrokerEpoch, up.Fenced = id, b.Epoch, -1
	records = append(records, up)
	for t := range c.img.Topics() {
		for _, p := range t.Partitions {
			eligible := len(p.ISR) == 0 && slices.Contains(p.ELR, id)
			if p.Leader != id && !(p.Leader == core.NoNode && (eligible || slices.Contains(p.ISR, id))) {
				continue
			}
			change := wire.NewPartitionChangeRecord()
			change.PartitionID, change.TopicID, change.Leader = p.ID, t.ID, id
			if eligible { // as Apache Kafka leaves the partitions of a last broker that it stopped (KIP-966)
				change.ISR, change.EligibleLeaderReplicas, change.LastKnownELR = []core.NodeID{id}, []core.NodeID{}, []core.NodeID{}
			}
			records = append(records, change)
		}
	}
	return records
}

// StopBroker fences a broker that is about to stop cleanly, and takes its leaderships from it: as Apache Kafka's
// controller does at the controlled shutdown of its last broker. Whoever starts next on the directory need not
// wait for the broker's session to end before it takes a new registration.
func (c *Controller) StopBroker(id core.NodeID) (records []wire.Record) {
	b := c.img.Broker(id)
	if b == nil || b.Fenced {
		return nil
	}
	leaving := wire.NewBrokerRegistrationChangeRecord()
	leaving.BrokerID, leaving.BrokerEpoch, leaving.InControlledShutdown = id, b.Epoch, 1
	records = append(records, leaving)
	for t := range c.img.Topics() {
		for _, p := range t.Partitions {
			if p.Leader == id {
				change := wire.NewPartitionChangeRecord()
				change.PartitionID, change.TopicID, change.Leader = p.ID, t.ID, core.NoNode
				records = append(records, change)
			}
		}
	}
	fenced := wire.NewBrokerRegistrationChangeRecord()
	fenced.BrokerID, fenced.BrokerEpoch, fenced.Fenced = id, b.Epoch, 1
	return append(records, fenced)
}

// ProducerIDBlock is how many producer ids a broker gets at a time (KIP-730).
const ProducerIDBlock = 1000

// AllocateProducerIDs gives a broker the ids from first to first+ProducerIDBlock, exclusive.
func (c *Controller) AllocateProducerIDs(id core.NodeID) (first int64, records []wire.Record, code wire.Code) {
	b := c.img.Broker(id)
	if b == nil {
		return 0, nil, wire.BrokerIDNotRegistered
	}
	if first = c.img.NextProducerID(); first > 1<<63-1-ProducerIDBlock {
		return 0, nil, wire.UnknownServerError
	}
	rec := wire.NewProducerIdsRecord()
	rec.BrokerID, rec.BrokerEpoch, rec.NextProducerID = id, b.Epoch, first+ProducerIDBlock
	return first, []wire.Record{rec}, wire.None
}

// NoOp is the record that tells followers that an idle leader lives (metadata.max.idle.interval.ms).
func NoOp() []wire.Record { return []wire.Record{&wire.NoOpRecord{}} }
