package image

import (
	"klamm/core"
	"klamm/core/wire"
)

// metadataVersion is the feature that says which records, in which versions, may be written.
const metadataVersion = "metadata.version"

// MetadataLevel is the metadata version in force, or 0.
func (i *Image) MetadataLevel() int16 { return i.Feature(metadataVersion) }

// Snapshot returns records that make this image out of an empty one.
func (i *Image) Snapshot() (records []wire.Record) {
	w := i.Walk()
	for more := w.Next(1 << 20); more != nil; more = w.Next(1 << 20) {
		records = append(records, more...)
	}
	return records
}

// Walk goes through the records of a snapshot a few at a time, since a large image would take too long at once.
// It is a value that remembers how far it got; the image stays alive with it.
type Walk struct {
	img       *Image
	part      walkPart
	started   bool     // within part: what stands in the cursor below has been taken
	topic     string   // cursor
	partition int      // cursor: the partitions of topic that were taken
	resource  Resource // cursor
	kept      keptKey  // cursor
}

type walkPart uint8

// The parts of a snapshot in their order: first the metadata version, which says how the rest is to be read.
const (
	walkHead walkPart = iota // features, brokers, controllers
	walkTopics
	walkConfigs
	walkKept // producer ids, and what is only kept
	walkDone
)

// Walk begins a walk.
func (i *Image) Walk() Walk { return Walk{img: i} }

// Next returns the next records: about n, or nil after the last.
func (w *Walk) Next(n int) (out []wire.Record) {
	for len(out) < n && w.part != walkDone {
		full := false
		switch w.part {
		case walkHead:
			out = w.img.head(out)
		case walkTopics:
			out, full = w.topics(out, n)
		case walkConfigs:
			out, full = w.configs(out, n)
		case walkKept:
			out, full = w.rest(out, n)
		}
		if !full {
			w.part++
			w.started = false
		}
	}
	return out
}

func (i *Image) head(out []wire.Record) []wire.Record {
	if level := i.Feature(metadataVersion); level > 0 {
		out = append(out, &wire.FeatureLevelRecord{Name: metadataVersion, FeatureLevel: level})
	}
	for _, f := range i.features {
		if f.Name != metadataVersion {
			out = append(out, &wire.FeatureLevelRecord{Name: f.Name, FeatureLevel: f.Level})
		}
	}
	for _, n := range i.brokers {
		out = append(out, n.record())
	}
	for _, n := range i.controllers {
		out = append(out, n.record())
	}
	return out
}

func (w *Walk) topics(out []wire.Record, n int) (_ []wire.Record, full bool) {
	for t := range w.img.TopicsFrom(w.topic) {
		if !w.started || t.Name != w.topic {
			if len(out) >= n {
				return out, true
			}
			out = append(out, &wire.TopicRecord{Name: t.Name, TopicID: t.ID})
			w.started, w.topic, w.partition = true, t.Name, 0
		}
		for ; w.partition < len(t.Partitions); w.partition++ {
			if len(out) >= n {
				return out, true
			}
			out = append(out, t.Partitions[w.partition].Record(t.ID))
		}
	}
	return out, false
}

func (w *Walk) configs(out []wire.Record, n int) (_ []wire.Record, full bool) {
	for set := range w.img.configs.from(w.resource) {
		if w.started && set.Resource == w.resource {
			continue
		}
		if len(out) >= n {
			return out, true
		}
		for _, kv := range set.Values {
			out = append(out, &wire.ConfigRecord{ResourceType: int8(set.Kind), ResourceName: set.Name, Name: kv.Name, Value: &kv.Value})
		}
		w.started, w.resource = true, set.Resource
	}
	return out, false
}

func (w *Walk) rest(out []wire.Record, n int) (_ []wire.Record, full bool) {
	i := w.img
	if !w.started && i.producerRow {
		out = append(out, &wire.ProducerIdsRecord{BrokerID: i.nextBroker, BrokerEpoch: i.nextEpoch, NextProducerID: i.nextID})
	}
	first := !w.started
	w.started = true
	for k := range i.kept.from(w.kept) {
		if !first && k.keptKey == w.kept {
			continue
		}
		if len(out) >= n {
			return out, true
		}
		out = append(out, k.rec)
		first, w.kept = false, k.keptKey
	}
	return out, false
}

func (n *Broker) record() wire.Record {
	r := wire.NewRegisterBrokerRecord()
	r.BrokerID, r.BrokerEpoch, r.IncarnationID = n.ID, n.Epoch, n.Incarnation
	r.Fenced, r.InControlledShutdown, r.LogDirs, r.IsMigratingZkBroker = n.Fenced, n.ControlledShutdown, n.LogDirs, n.Migrating
	if n.HasCordoned {
		if r.CordonedLogDirs = n.Cordoned; r.CordonedLogDirs == nil {
			r.CordonedLogDirs = []core.TopicID{}
		}
	}
	if n.HasRack {
		rack := n.Rack
		r.Rack = &rack
	}
	for _, e := range n.Endpoints {
		r.EndPoints = append(r.EndPoints, wire.BrokerEndpoint{Name: e.Name, Host: e.Host, Port: e.Port, SecurityProtocol: e.Security})
	}
	for _, f := range n.Features {
		r.Features = append(r.Features, wire.BrokerFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return r
}

func (n *Controller) record() wire.Record {
	r := wire.NewRegisterControllerRecord()
	r.ControllerID, r.IncarnationID, r.ZkMigrationReady = n.ID, n.Incarnation, n.ZkReady
	for _, e := range n.Endpoints {
		r.EndPoints = append(r.EndPoints, wire.ControllerEndpoint{Name: e.Name, Host: e.Host, Port: e.Port, SecurityProtocol: e.Security})
	}
	for _, f := range n.Features {
		r.Features = append(r.Features, wire.ControllerFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return r
}

// Record is the record that registers the partition as it is.
func (p *Partition) Record(topic core.TopicID) *wire.PartitionRecord {
	r := wire.NewPartitionRecord()
	r.PartitionID, r.TopicID = p.ID, topic
	r.Replicas, r.ISR, r.AddingReplicas, r.RemovingReplicas = p.Replicas, p.ISR, p.Adding, p.Removing
	r.Leader, r.LeaderEpoch, r.PartitionEpoch, r.Directories = p.Leader, p.LeaderEpoch, p.Epoch, p.Directories
	if p.Recovering {
		r.LeaderRecoveryState = 1
	}
	if len(p.ELR) > 0 {
		r.EligibleLeaderReplicas = p.ELR
	}
	if len(p.LastKnownELR) > 0 {
		r.LastKnownELR = p.LastKnownELR
	}
	return r
}

// RecordVersion is the version in which a record is written under a metadata version: that which every node
// of such a cluster can read.
func RecordVersion(rec wire.Record, level int16) int16 {
	pick := func(steps ...int16) (v int16) { // the metadata versions from which on version 1, 2 … is written
		for _, from := range steps {
			if level >= from {
				v++
			}
		}
		return v
	}
	switch rec.(type) {
	case *wire.RegisterBrokerRecord:
		return pick(7, 8, 17, 30)
	case *wire.BrokerRegistrationChangeRecord:
		return pick(7, 17, 30)
	case *wire.PartitionRecord, *wire.PartitionChangeRecord:
		return pick(17, 23)
	}
	return rec.MaxVersion()
}
