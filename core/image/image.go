// Package image is the cluster's metadata as data: records of the metadata log go in, an immutable image
// comes out, and a delta says what changed.
//
// An Image never changes after it was built, so anyone may hold on to one: a request, the controller that
// tries a decision, a broker that compares before and after. A Builder starts from an image and shares with
// it whatever the records do not touch; tables are cut into small sorted chunks, so that a change to one of ten
// thousand topics copies a few kilobytes.
//
// What the room may assume: records come in the order of the log, a metadata transaction comes whole or not
// at all (core/quorum sees to that), and a record that names what is not there is an error of the log, which
// is reported and never guessed around.
//
// The room also keeps the definitions of every topic, broker and group configuration (configs_gen.go), what
// values they take, and how an effective value is found (KIP-226).
package image

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"

	"klamm/core"
)

// Image is the metadata of the cluster below End. It is immutable, and so is everything that it hands out.
//
// Invariants: every table is sorted by its key and names a key once; byID holds the topics of topics, no more
// and no less; the replicas of a partition are not empty, its directories are as many as its replicas.
type Image struct {
	gen         uint64 // objects with this mark were made by the builder of this image
	end         core.Offset
	epoch       core.Epoch
	topics      table[string, *Topic]
	byID        table[core.TopicID, topicRef]
	dotted      table[topicAlias, topicAlias] // the topics whose names have dots or underscores
	brokers     []*Broker                     // sorted by ID
	controllers []*Controller                 // sorted by ID
	configs     table[Resource, *ConfigSet]
	features    []Feature // sorted by Name, no level 0
	partitions  int       // of all topics
	nextID      int64     // first producer id that no broker owns
	producerRow bool      // whether a ProducerIdsRecord has been seen: a snapshot repeats it only then
	nextBroker  core.NodeID
	nextEpoch   core.BrokerEpoch
	kept        table[keptKey, *kept] // records of kinds that this broker keeps but does not act on
}

// Empty is the image below offset 0.
func Empty() *Image { return &Image{} }

// End is the exclusive end of the records that the image holds.
func (i *Image) End() core.Offset { return i.end }

// Epoch is the quorum epoch of the last record that the image holds.
func (i *Image) Epoch() core.Epoch { return i.epoch }

// Topic is the topic of that name, or nil.
func (i *Image) Topic(name string) *Topic {
	t, _ := i.topics.get(name)
	return t
}

// TopicByID is the topic of that id, or nil.
func (i *Image) TopicByID(id core.TopicID) *Topic {
	r, ok := i.byID.get(id)
	if !ok {
		return nil
	}
	return i.Topic(r.name)
}

// Collision is a topic whose name differs from name only in dots and underscores, which metrics cannot tell
// apart; empty if there is none.
func (i *Image) Collision(name string) string {
	unified := Unified(name)
	for a := range i.dotted.from(topicAlias{unified: unified}) {
		if a.unified != unified {
			break
		}
		if a.name != name {
			return a.name
		}
	}
	return ""
}

// Unified is a topic's name as a metric shows it.
func Unified(topic string) string { return strings.ReplaceAll(topic, ".", "_") }

// Topics walks the topics in the order of their names.
func (i *Image) Topics() iter.Seq[*Topic] { return i.topics.from("") }

// TopicsFrom walks the topics whose names are not below name.
func (i *Image) TopicsFrom(name string) iter.Seq[*Topic] { return i.topics.from(name) }

// TopicCount is the number of topics.
func (i *Image) TopicCount() int { return i.topics.n }

// PartitionCount is the number of partitions of all topics.
func (i *Image) PartitionCount() int { return i.partitions }

// Partition is one partition, or nil.
func (i *Image) Partition(topic string, id int32) *Partition {
	t := i.Topic(topic)
	if t == nil {
		return nil
	}
	return t.Partition(id)
}

// Broker is a registered broker, or nil.
func (i *Image) Broker(id core.NodeID) *Broker {
	if at, ok := slices.BinarySearchFunc(i.brokers, id, func(b *Broker, id core.NodeID) int { return compareIDs(b.ID, id) }); ok {
		return i.brokers[at]
	}
	return nil
}

// Brokers are the registered brokers, sorted by id. Not to be written to.
func (i *Image) Brokers() []*Broker { return i.brokers }

// Live reports whether a broker is registered and not fenced: it may lead.
func (i *Image) Live(id core.NodeID) bool {
	b := i.Broker(id)
	return b != nil && !b.Fenced
}

// Controllers are the registered controllers, sorted by id. Not to be written to.
func (i *Image) Controllers() []*Controller { return i.controllers }

// Config is what was set for a resource, sorted by name; nil if nothing. Not to be written to.
func (i *Image) Config(r Resource) Properties {
	c, ok := i.configs.get(r)
	if !ok {
		return nil
	}
	return c.Values
}

// ConfigSets walks the resources for which something is set, by kind and then by name.
func (i *Image) ConfigSets() iter.Seq[*ConfigSet] { return i.configs.from(Resource{}) }

// Feature is the finalized level of a feature, 0 if it has none.
func (i *Image) Feature(name string) int16 {
	if at, ok := slices.BinarySearchFunc(i.features, name, func(f Feature, n string) int { return strings.Compare(f.Name, n) }); ok {
		return i.features[at].Level
	}
	return 0
}

// Features are the finalized features, sorted by name. Not to be written to.
func (i *Image) Features() []Feature { return i.features }

// NextProducerID is the first producer id that has not been given to a broker.
func (i *Image) NextProducerID() int64 { return i.nextID }

// Topic is one topic. Immutable once its image is built.
type Topic struct {
	gen        uint64
	Name       string
	ID         core.TopicID
	Partitions []*Partition // sorted by ID; their ids are 0, 1, 2 … without a hole
}

// Partition is the partition of that number, or nil.
func (t *Topic) Partition(id int32) *Partition {
	if id < 0 || int(id) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[id]
}

// Partition is the registration of one partition. Immutable once its image is built.
type Partition struct {
	ID           int32
	Leader       core.NodeID // core.NoNode: none
	LeaderEpoch  core.Epoch
	Epoch        core.PartitionEpoch
	Recovering   bool           // after an unclean election, until the leader says otherwise (KIP-704)
	Replicas     []core.NodeID  // in order of preference
	ISR          []core.NodeID  // as registered, in the record's order
	Adding       []core.NodeID  // reassignment: joining
	Removing     []core.NodeID  // reassignment: leaving
	ELR          []core.NodeID  // eligible leaders outside the ISR (KIP-966)
	LastKnownELR []core.NodeID  // …
	Directories  []core.TopicID // of each replica, in the order of Replicas (KIP-858)
}

// Endpoint is one listener of a node.
type Endpoint struct {
	Name, Host string
	Port       uint16
	Security   int16 // Kafka's SecurityProtocol id: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
}

// FeatureRange is what a node supports of a feature.
type FeatureRange struct {
	Name     string
	Min, Max int16
}

// Feature is a finalized feature level.
type Feature struct {
	Name  string
	Level int16
}

// Broker is the registration of one broker. Immutable once its image is built.
type Broker struct {
	ID                 core.NodeID
	Epoch              core.BrokerEpoch
	Incarnation        core.TopicID
	Endpoints          []Endpoint // in the record's order
	Features           []FeatureRange
	Rack               string
	HasRack            bool
	Fenced             bool
	ControlledShutdown bool
	LogDirs            []core.TopicID
	Cordoned           []core.TopicID
	HasCordoned        bool // the broker tells which directories are cordoned (KIP-1066)
	Migrating          bool // as a broker of before KRaft registered itself
}

// Endpoint is the endpoint of that listener.
func (b *Broker) Endpoint(listener string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Name == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}

// Controller is the registration of one controller (KIP-919). Immutable once its image is built.
type Controller struct {
	ID          core.NodeID
	Incarnation core.TopicID
	ZkReady     bool
	Endpoints   []Endpoint
	Features    []FeatureRange
}

// ResourceKind is Kafka's ConfigResource type.
type ResourceKind int8

// The kinds of configuration resources.
const (
	TopicResource         ResourceKind = 2
	BrokerResource        ResourceKind = 4
	LoggerResource        ResourceKind = 8
	ClientMetricsResource ResourceKind = 16
	GroupResource         ResourceKind = 32
)

// Resource names what a configuration belongs to. A broker resource with an empty name is the default of all brokers.
type Resource struct {
	Kind ResourceKind
	Name string
}

// ConfigSet is what was set for one resource. Immutable once its image is built.
type ConfigSet struct {
	gen uint64
	Resource
	Values Properties
}

// Delta says what one Build changed. Slices are in the order given, without repeats.
type Delta struct {
	From, To    core.Offset       // exclusive ends of the image before and after
	Created     []*Topic          // by name; as the new image has them
	Deleted     []*Topic          // by name; as the old image had them
	Changed     []PartitionChange // by topic name and partition: of topics that were there before and still are
	Configs     []Resource        // by kind and name
	Brokers     []core.NodeID     // sorted
	Controllers bool
	Features    bool
	ProducerIDs bool
}

// PartitionChange is one partition before and after.
type PartitionChange struct {
	Topic    *Topic     // as the new image has it
	Old, New *Partition // Old is nil for a partition that was added
}

// topicRef is where a topic's id leads.
type topicRef struct {
	id   core.TopicID
	name string
}

func (r topicRef) key() core.TopicID           { return r.id }
func (r topicRef) compare(id core.TopicID) int { return bytes.Compare(r.id[:], id[:]) }
func (t *Topic) key() string                   { return t.Name }
func (t *Topic) compare(name string) int       { return strings.Compare(t.Name, name) }
func (c *ConfigSet) key() Resource             { return c.Resource }
func (c *ConfigSet) compare(r Resource) int    { return c.Resource.Compare(r) }

// Compare orders resources by kind and then by name.
func (r Resource) Compare(q Resource) int {
	return cmp.Or(cmp.Compare(r.Kind, q.Kind), strings.Compare(r.Name, q.Name))
}

// topicAlias is a topic under its unified name.
type topicAlias struct{ unified, name string }

func (a topicAlias) key() topicAlias { return a }
func (a topicAlias) compare(b topicAlias) int {
	return cmp.Or(strings.Compare(a.unified, b.unified), strings.Compare(a.name, b.name))
}

// alias is a topic's entry in dotted, if its name has anything to confuse.
func alias(topic string) (topicAlias, bool) {
	return topicAlias{Unified(topic), topic}, strings.ContainsAny(topic, "._")
}
