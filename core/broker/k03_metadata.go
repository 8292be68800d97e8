package broker

import (
	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadata serves Metadata v0-v13. Topics that do not exist are created on the way, if the request and
// auto.create.topics.enable allow it; the reply then waits until they can be used, where Apache Kafka answers
// UNKNOWN_TOPIC_OR_PARTITION and lets the client ask again.
func (b *Broker) metadata(now core.Now, r request, q *kmsg.MetadataRequest, out *core.Out) {
	t := &metadataTask{r: r, listener: b.listener(r)}
	t.topicOps, t.clusterOps = q.IncludeTopicAuthorizedOperations, q.IncludeClusterAuthorizedOperations
	t.all = q.Topics == nil || r.header.Version == 0 && len(q.Topics) == 0
	create := b.cfg.AutoCreate && (r.header.Version < 4 || q.AllowAutoTopicCreation)
	ids, invalid := metadataByID(r.header.Version, q)
	seen, made, waits := make(map[metadataTopic]bool, len(q.Topics)), 0, false
	for _, topic := range q.Topics {
		want := metadataTopic{id: topic.TopicID}
		if topic.Topic != nil && !ids {
			want.name, want.named = *topic.Topic, true
		}
		if seen[want] || ids && want.id.IsZero() { // what is asked for twice is told once
			continue
		}
		seen[want] = true
		if invalid {
			want.code, t.code = wire.InvalidRequest, wire.InvalidRequest
			t.topics = append(t.topics, want)
			continue
		}
		if want.named && create && made < AutoCreatePerRequestMax && b.img.Topic(want.name) == nil {
			made++
			want.code = b.autoCreate(now, want.name, out)
			want.creating = want.code == wire.None
			waits = waits || want.creating
		}
		t.topics = append(t.topics, want)
	}
	if !waits || t.code != wire.None {
		t.answer(b, now, out)
		return
	}
	t.deadline = now.Mono.After(autoCreateWait)
	keys := []waitKey{{kind: waitImage}}
	for i := range t.topics {
		if t.topics[i].creating {
			keys = append(keys, waitKey{kind: waitCreate, name: t.topics[i].name})
		}
	}
	b.park(r, t, t.deadline, keys...)
}

// metadataByID reports how topics are asked for. From v12 on one id means that all are asked for by id, and names say nothing:
// Java's client sends an empty name with each id. v10 and v11 have ids that Apache Kafka does not serve: with one, or with a
// topic that has no name, the request is invalid; later it is so if a topic has neither.
func metadataByID(version int16, q *kmsg.MetadataRequest) (ids, invalid bool) {
	for _, topic := range q.Topics {
		ids = ids || topic.TopicID != [16]byte{}
		invalid = invalid || topic.Topic == nil
	}
	if version < 12 {
		return false, ids || invalid
	}
	return ids, invalid && !ids
}

// AutoCreatePerRequestMax bounds the topics that one request makes on the way. Those beyond are unknown: the client
// asks again.
const AutoCreatePerRequestMax = 200

// autoCreateWait bounds how long a Metadata request waits for a topic that it has made.
const autoCreateWait = 5 * core.Second

// metadataTask is a Metadata request; it waits only for topics that it has made.
type metadataTask struct {
	r          request
	listener   string
	topics     []metadataTopic
	all        bool
	topicOps   bool
	clusterOps bool
	code       wire.Code
	deadline   core.Time
}

type metadataTopic struct {
	name     string
	id       core.TopicID
	named    bool
	creating bool
	code     wire.Code // why it could not be made
}

// Advance waits until the topics are there and their logs can be written.
func (t *metadataTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	waits := false
	for i := range t.topics {
		if want := &t.topics[i]; want.creating {
			code, done := b.madeTopic(want.name)
			want.code, want.creating = code, !done
			waits = waits || !done
		}
	}
	if waits && !b.gone(t.r) && now.Mono < t.deadline {
		return false
	}
	t.answer(b, now, out)
	return true
}

func (t *metadataTask) answer(b *Broker, now core.Now, out *core.Out) {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ErrorCode = int16(t.code)
	for _, n := range b.img.Brokers() {
		if e, ok := n.Endpoint(t.listener); ok && !n.Fenced {
			k := kmsg.NewMetadataResponseBroker()
			k.NodeID, k.Host, k.Port = int32(n.ID), e.Host, int32(e.Port)
			if n.HasRack {
				k.Rack = &n.Rack
			}
			resp.Brokers = append(resp.Brokers, k)
		}
	}
	resp.ClusterID = &b.boot.clusterID
	resp.ControllerID = int32(b.cfg.NodeID) // controllers are not for clients: any live broker forwards (KIP-590)
	if t.clusterOps {
		resp.AuthorizedOperations = clusterOperations
	}
	resp.Topics = []kmsg.MetadataResponseTopic{}
	if t.all {
		for topic := range b.img.Topics() {
			resp.Topics = append(resp.Topics, t.topic(b, topic))
		}
	}
	for i := range t.topics {
		resp.Topics = append(resp.Topics, t.find(b, &t.topics[i]))
	}
	b.reply(now, t.r, resp, out)
}

// find describes one topic that was asked for.
func (t *metadataTask) find(b *Broker, want *metadataTopic) kmsg.MetadataResponseTopic {
	var topic *image.Topic
	missing := wire.UnknownTopicOrPartition
	switch {
	case t.code != wire.None:
		missing = t.code
	case want.named:
		topic = b.img.Topic(want.name)
	default:
		topic, missing = b.img.TopicByID(want.id), wire.UnknownTopicID
	}
	if topic != nil {
		return t.topic(b, topic)
	}
	k := kmsg.NewMetadataResponseTopic()
	k.Partitions, k.TopicID = []kmsg.MetadataResponseTopicPartition{}, want.id
	if k.ErrorCode = int16(missing); want.named || t.r.header.Version < 12 { // there a name is never null
		k.Topic = &want.name
		if !validTopicName(want.name) && missing == wire.UnknownTopicOrPartition {
			k.ErrorCode = int16(wire.InvalidTopicException)
		}
	}
	if want.code != wire.None {
		k.ErrorCode = int16(want.code)
	}
	return k
}

func (t *metadataTask) topic(b *Broker, topic *image.Topic) kmsg.MetadataResponseTopic {
	k := kmsg.NewMetadataResponseTopic()
	k.Topic, k.TopicID, k.IsInternal = &topic.Name, topic.ID, internalTopic(topic.Name)
	if t.topicOps {
		k.AuthorizedOperations = topicOperations
	}
	k.Partitions = make([]kmsg.MetadataResponseTopicPartition, 0, len(topic.Partitions))
	for _, p := range topic.Partitions {
		kp := kmsg.NewMetadataResponseTopicPartition()
		kp.Partition, kp.Leader, kp.LeaderEpoch = p.ID, int32(p.Leader), int32(p.LeaderEpoch)
		kp.Replicas, kp.ISR = nodeIDs(p.Replicas), nodeIDs(p.ISR)
		kp.OfflineReplicas = []int32{}
		for _, n := range p.Replicas {
			if !b.img.Live(n) {
				kp.OfflineReplicas = append(kp.OfflineReplicas, int32(n))
			}
		}
		switch leader := b.img.Broker(p.Leader); {
		case leader == nil || leader.Fenced:
			kp.ErrorCode, kp.Leader = int16(wire.LeaderNotAvailable), -1
		default:
			if _, ok := leader.Endpoint(t.listener); !ok {
				kp.ErrorCode, kp.Leader = int16(wire.ListenerNotFound), -1
				if t.r.header.Version < 6 {
					kp.ErrorCode = int16(wire.LeaderNotAvailable) // clients of then know no other
				}
			}
		}
		k.Partitions = append(k.Partitions, kp)
	}
	return k
}

func nodeIDs(nodes []core.NodeID) []int32 {
	ids := make([]int32, 0, len(nodes))
	for _, n := range nodes {
		ids = append(ids, int32(n))
	}
	return ids
}

// internalTopic reports whether a topic is the brokers' own.
func internalTopic(name string) bool {
	switch name {
	case "__consumer_offsets", "__transaction_state", "__share_group_state":
		return true
	}
	return false
}

// validTopicName reports whether a topic may have that name.
func validTopicName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
