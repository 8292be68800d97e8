package broker

import (
	"strings"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/image"
	"klamm/core/wire"
)

// register brings this life of the broker into the metadata log, behind what a new leader of the log writes first.
func (b *Broker) register(now core.Now, out *core.Out) {
	b.stage = stageRegister
	if names := controller.Unsupported(b.img); len(names) > 0 {
		out.Mark("broker.unsupported-features")
		b.note(now, core.Warn, "the metadata has features at levels that this release does not know: "+strings.Join(names, ", ")+
			"; what they promise is not kept here. Run the release that set them, or lower them with it", out)
	}
	b.ctl = controller.New(controller.Config{
		Node: b.cfg.NodeID, Partitions: b.cfg.NumPartitions, Replication: b.cfg.ReplicationFactor, DeleteTopics: b.cfg.DeleteTopic,
		Static: b.cfg.Static, Key: b.newKey(),
	})
	b.ctl.Reset(b.img)
	if first := b.ctl.Activate(b.node.InTransaction(), b.node.Bootstrap()); len(first) > 0 {
		if _, ok := b.appendMetadata(now, first, out); !ok {
			b.fatal("the metadata log takes no records", out)
			return
		}
	}
	r := b.registration(b.cfg.Listeners)
	records := b.ctl.RegisterBroker(r, b.node.End(b.store))
	records = append(records, b.ctl.RegisterController(b.registration(b.cfg.Controllers))...)
	end, ok := b.appendMetadata(now, records, out)
	if !ok {
		b.fatal("the metadata log takes no records", out)
		return
	}
	b.boot.until = end
}

// registration is what this life of the broker tells of itself.
func (b *Broker) registration(listeners []Listener) controller.Registration {
	r := controller.Registration{ID: b.cfg.NodeID, Incarnation: b.boot.incarnation, Rack: b.cfg.Rack, HasRack: b.cfg.HasRack}
	if !b.boot.directoryID.IsZero() {
		r.LogDirs = []core.TopicID{b.boot.directoryID}
	}
	for _, l := range listeners {
		r.Endpoints = append(r.Endpoints, l.Advertised)
	}
	return r
}

// recordsPerAppend bounds the records of one append where a decision may make more than fit in one batch and each
// stands for itself.
const recordsPerAppend = 10000

// unfence asks for the leaderships of this broker, now that every log is open. Each gets a new leader epoch.
func (b *Broker) unfence(now core.Now, out *core.Out) {
	b.stage = stageUnfence
	records := b.ctl.UnfenceBroker(b.cfg.NodeID)
	for len(records) > 0 {
		n := min(len(records), recordsPerAppend)
		end, ok := b.appendMetadata(now, records[:n:n], out)
		if !ok {
			b.fatal("the metadata log takes no records", out)
			return
		}
		b.boot.until, records = end, records[n:]
	}
}

// newKey draws a key for a generator of another room.
func (b *Broker) newKey() (key [32]byte) {
	for i := 0; i < len(key); i += 16 {
		id := b.rand.ID()
		copy(key[i:], id[:])
	}
	return key
}

// committed is told what each committed batch changed.
func (b *Broker) committed(now core.Now, d *image.Delta, out *core.Out) { b.producerIDsCommitted() }

// autoCreate makes a topic for a client that asked for its metadata. until is the end of the metadata log that holds what was
// made so far.
func (b *Broker) autoCreate(now core.Now, name string, until core.Offset, out *core.Out) (wire.Code, core.Offset) {
	if name == offsetsTopic { // its own shape, whoever asks first: the cluster's defaults would lose offsets to retention
		end, code := b.makeOffsetsTopic(now, out)
		return code, max(end, until)
	}
	records, code, _ := b.ctl.AutoCreate(name)
	switch {
	case code == wire.TopicAlreadyExists: // on its way
		return wire.None, max(until, b.ctl.Image().End())
	case code != wire.None:
		return code, until
	}
	end, ok := b.appendMetadata(now, records, out)
	if !ok {
		return wire.UnknownTopicOrPartition, until
	}
	return wire.None, max(end, until)
}

// askProducerIDs asks the controller for a block of producer ids.
func (b *Broker) askProducerIDs(now core.Now, out *core.Out) bool {
	first, records, code := b.ctl.AllocateProducerIDs(b.cfg.NodeID)
	if code != wire.None {
		return false
	}
	end, ok := b.appendMetadata(now, records, out)
	if ok {
		b.ids.asked, b.ids.first = end, first
	}
	return ok
}
