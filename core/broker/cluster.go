package broker

import (
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/image"
	"klamm/core/quorum"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// newKey draws a key for a generator of another room.
func (b *Broker) newKey() (key [32]byte) {
	for i := 0; i < len(key); i += 16 {
		id := b.rand.ID()
		copy(key[i:], id[:])
	}
	return key
}

// committed is told what each committed batch changed.
func (b *Broker) committed(now core.Now, d *image.Delta, out *core.Out) {
	if len(d.Brokers) > 0 {
		for _, id := range d.Brokers {
			voter := slices.ContainsFunc(b.node.Voters(), func(v quorum.Voter) bool { return v.ID == id })
			if b.img.Broker(id) == nil && !voter {
				b.forgetNode(now, id, out)
			}
		}
		b.refused = nil // there may be enough of them now
	}
	if d.Controllers || d.Features {
		b.life.controller.nextAt = min(b.life.controller.nextAt, now.Mono)
	}
}

// creating is a topic that this broker has asked the controller to make on a client's behalf.
type creating struct {
	name   string
	number uint64 // of the request
}

// refused is a topic of the cluster's own that the controller would not make. Clients that need it ask many times a second, and the answer changes only
// when an operator does something, or brokers come: until a time that doubles with each refusal they are told what it said.
type refused struct {
	name        string
	code        wire.Code
	wait, until core.Time
}

// The first of these times, and the longest.
const (
	refusedMin = 200 * core.Millisecond
	refusedMax = 5 * core.Second
)

// refusal is what is known of a refusal to make a topic, or nil.
func (b *Broker) refusal(name string) *refused {
	if i := slices.IndexFunc(b.refused, func(r refused) bool { return r.name == name }); i >= 0 {
		return &b.refused[i]
	}
	return nil
}

// restCreation notes that the controller would not make a topic of the cluster's own.
func (b *Broker) restCreation(now core.Now, name string, code wire.Code) {
	r := b.refusal(name)
	if r == nil {
		b.refused = append(b.refused, refused{name: name})
		r = &b.refused[len(b.refused)-1]
	}
	r.code, r.wait = code, min(max(2*r.wait, refusedMin), refusedMax)
	r.until = now.Mono.After(r.wait)
}

// CreatingMax bounds the topics that are being made for clients at a time. Those beyond are unknown: the client asks again.
const CreatingMax = 1000

// createTopic asks the controller for a topic that a client needs, unless it is on its way. Whoever waits for
// waitCreate of that name hears why it could not be made; that it was made shows in the image.
func (b *Broker) createTopic(now core.Now, t kmsg.CreateTopicsRequestTopic, out *core.Out) wire.Code {
	at, found := slices.BinarySearchFunc(b.creating, t.Topic, func(c creating, name string) int { return strings.Compare(c.name, name) })
	r := b.refusal(t.Topic)
	switch {
	case found:
		return wire.None
	case len(b.creating) >= CreatingMax:
		return wire.UnknownTopicOrPartition
	case r != nil && now.Mono < r.until:
		out.Mark("broker.creation-rests")
		return r.code
	}
	b.creations++
	b.creating = slices.Insert(b.creating, at, creating{name: t.Topic, number: b.creations})
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis, q.Topics = int32(autoCreateWait.Millis()), []kmsg.CreateTopicsRequestTopic{t}
	b.askController(now, askAutoCreate, b.creations, q, out)
	return wire.None
}

// autoCreated takes the controller's answer to createTopic.
func (b *Broker) autoCreated(now core.Now, number uint64, resp kmsg.Response, out *core.Out) {
	at := slices.IndexFunc(b.creating, func(c creating) bool { return c.number == number })
	if at < 0 {
		return
	}
	name := b.creating[at].name
	b.creating = slices.Delete(b.creating, at, at+1)
	code, text := wire.UnknownTopicOrPartition, ""
	if r, ok := resp.(*kmsg.CreateTopicsResponse); ok && len(r.Topics) == 1 {
		if code = wire.Code(r.Topics[0].ErrorCode); r.Topics[0].ErrorMessage != nil {
			text = *r.Topics[0].ErrorMessage
		}
	}
	switch code {
	case wire.None, wire.TopicAlreadyExists: // it shows in the image
		return
	case wire.NotController:
		code = wire.UnknownTopicOrPartition
	}
	if what, setting := neededFor(name); what != "" && code != wire.UnknownTopicOrPartition {
		b.note(now, core.Warn, name+" cannot be made, so "+what+" cannot be served: "+code.String()+" "+text+
			"; with fewer brokers than replicas, set "+setting, out)
		b.restCreation(now, name, code)
	}
	b.deliver(result{key: waitKey{kind: waitCreate, name: name}, code: code})
}

// autoCreate has a topic made for a client that asked for its metadata.
func (b *Broker) autoCreate(now core.Now, name string, out *core.Out) wire.Code {
	switch {
	case name == offsetsTopic || name == transactionsTopic: // its own shape, whoever asks first: the cluster's defaults would lose offsets to retention
		return b.makeInternalTopic(now, name, out)
	case controller.BadTopicName(name) != "":
		return wire.InvalidTopicException
	}
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, b.cfg.NumPartitions, b.cfg.ReplicationFactor
	return b.createTopic(now, t, out)
}

// neededFor says what needs a topic of the cluster's own, and which setting says how many copies it has.
func neededFor(topic string) (what, setting string) {
	switch topic {
	case offsetsTopic:
		return "groups", "offsets.topic.replication.factor"
	case transactionsTopic:
		return "transactions", "transaction.state.log.replication.factor"
	}
	return "", ""
}

// makeInternalTopic has __consumer_offsets or __transaction_state made.
func (b *Broker) makeInternalTopic(now core.Now, name string, out *core.Out) wire.Code {
	_, setting := neededFor(name)
	var shape controller.InternalTopic
	if name == transactionsTopic {
		shape = controller.Transactions(b.cfg.TxnPartitions, b.copiesOf(setting, b.cfg.TxnReplication), b.cfg.TxnSegment, b.cfg.TxnMinISR)
	} else {
		shape = controller.Offsets(b.cfg.OffsetsPartitions, b.copiesOf(setting, b.cfg.OffsetsReplication), b.cfg.OffsetsSegment)
	}
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = shape.Name, shape.Partitions, shape.Replication
	for i := range shape.Configs {
		row := kmsg.NewCreateTopicsRequestTopicConfig()
		row.Name, row.Value = shape.Configs[i].Name, &shape.Configs[i].Value
		t.Configs = append(t.Configs, row)
	}
	return b.createTopic(now, t, out)
}

// copiesOf is the number of replicas of an internal topic, if it was set. Its default of 3 is more than a small cluster
// has: there as many as there are brokers have to do.
func (b *Broker) copiesOf(setting string, copies int16) int16 {
	if _, set := b.cfg.Static.Get(setting); set {
		return copies
	}
	return int16(min(int(copies), max(1, len(b.img.Brokers()))))
}

// madeTopic reports whether a topic that was asked for can be used, or never will: then with the reason.
func (b *Broker) madeTopic(name string) (wire.Code, bool) {
	if got, ok := b.found(waitKey{kind: waitCreate, name: name}); ok {
		return got.code, true
	}
	t := b.img.Topic(name)
	return wire.None, t != nil && !b.parts.anyOpening(t.ID)
}
