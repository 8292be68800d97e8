package controller

import (
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopics decides a CreateTopics request. Each topic is made or refused by itself; a request that asks
// for too much is refused whole.
func (c *Controller) CreateTopics(req *kmsg.CreateTopicsRequest) (*kmsg.CreateTopicsResponse, []wire.Record) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	var records []wire.Record
	tooMany := c.asksTooMuch(req)
	var late []kmsg.CreateTopicsResponseTopic // rows that stand for several: at the end
	made, bytes := map[string]string{}, 0
	names := tallied(len(req.Topics), func(i int) string { return req.Topics[i].Topic })
	for i := range req.Topics {
		t := &req.Topics[i]
		told, several := names.repeated(i, t.Topic)
		if told {
			continue
		}
		row := kmsg.NewCreateTopicsResponseTopic()
		row.Topic, row.Configs = t.Topic, []kmsg.CreateTopicsResponseTopicConfig{}
		var r refusal
		var recs []wire.Record
		switch {
		case several:
			r = refusal{wire.InvalidRequest, "Duplicate topic name."}
		case t.Topic == metadataTopic:
			r = refusal{wire.InvalidRequest, "Creation of internal topic __cluster_metadata is prohibited."}
		case tooMany:
			r = refusal{wire.PolicyViolation, "Excessively large number of partitions per request."}
		default:
			if recs, r = c.createTopic(t, made, &row); !r.bad() {
				r = fits(&bytes, recs)
			}
		}
		if r.bad() {
			recs = nil
			row.TopicID, row.NumPartitions, row.ReplicationFactor = core.TopicID{}, -1, -1
			row.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		}
		row.ErrorCode, row.ErrorMessage = int16(r.code), r.message()
		if several || t.Topic == metadataTopic {
			late = append(late, row)
			continue
		}
		if !r.bad() {
			made[image.Unified(t.Topic)] = t.Topic
		}
		records = append(records, recs...)
		resp.Topics = append(resp.Topics, row)
	}
	resp.Topics = append(resp.Topics, late...)
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, records
}

func (c *Controller) asksTooMuch(req *kmsg.CreateTopicsRequest) bool {
	sum := int64(0)
	for i := range req.Topics {
		t := &req.Topics[i]
		switch {
		case len(t.ReplicaAssignment) > 0:
			sum += int64(len(t.ReplicaAssignment))
		case t.NumPartitions == -1:
			sum += int64(c.cfg.Partitions)
		default:
			sum += int64(max(t.NumPartitions, 1))
		}
	}
	return sum > PartitionsPerRequestMax
}

// createTopic decides one topic. made are the topics of the same request that came before it, by their
// unified names.
func (c *Controller) createTopic(t *kmsg.CreateTopicsRequestTopic, made map[string]string, row *kmsg.CreateTopicsResponseTopic) ([]wire.Record, refusal) {
	if why := BadTopicName(t.Topic); why != "" {
		return nil, refusal{wire.InvalidTopicException, why}
	}
	if c.img.Topic(t.Topic) != nil {
		return nil, refusal{wire.TopicAlreadyExists, "Topic '" + t.Topic + "' already exists."}
	}
	other := c.img.Collision(t.Topic)
	if other == "" {
		other = made[image.Unified(t.Topic)]
	}
	if other != "" {
		return nil, refusal{wire.InvalidTopicException, "Topic '" + t.Topic + "' collides with existing topic: " + other}
	}
	set, order, r := c.topicConfigs(t)
	if r.bad() {
		return nil, r
	}
	places, r := c.placeTopic(t)
	if r.bad() {
		return nil, r
	}
	id := c.newID()
	records := []wire.Record{&wire.TopicRecord{Name: t.Topic, TopicID: id}}
	for _, name := range order {
		value, _ := set.Get(name)
		records = append(records, &wire.ConfigRecord{ResourceType: int8(image.TopicResource), ResourceName: t.Topic, Name: name, Value: &value})
	}
	for p := range places {
		records = append(records, c.partitionRecord(id, int32(p), places[p]))
	}
	row.TopicID = id
	row.NumPartitions, row.ReplicationFactor = int32(len(places)), int16(len(places[0].replicas))
	row.Configs = c.shownConfigs(t.Topic, set)
	return records, refusal{}
}

// topicConfigs checks the configurations of a new topic. Of a name that is given twice the last value counts; order
// keeps the names in the order of the request.
func (c *Controller) topicConfigs(t *kmsg.CreateTopicsRequestTopic) (set image.Properties, order []string, r refusal) {
	if len(t.Configs) > ConfigsPerResourceMax {
		return nil, nil, tooManyConfigs
	}
	for i := range t.Configs {
		kv := &t.Configs[i]
		if kv.Value == nil {
			return nil, nil, refusal{wire.InvalidConfig, "Null value not supported for topic configs: " + kv.Name}
		}
		if _, again := set.Get(kv.Name); !again {
			order = append(order, kv.Name)
		}
		set = set.With(kv.Name, *kv.Value)
	}
	return set, order, c.checkTopic(set)
}

// placeTopic decides where the partitions of a new topic go: where the client says, or where there is room.
func (c *Controller) placeTopic(t *kmsg.CreateTopicsRequestTopic) ([]placed, refusal) {
	if len(t.ReplicaAssignment) > 0 {
		return c.placeByHand(t)
	}
	partitions, factor := t.NumPartitions, t.ReplicationFactor
	if partitions == -1 {
		partitions = c.cfg.Partitions
	}
	if factor == -1 {
		factor = c.cfg.Replication
	}
	switch {
	case factor <= 0:
		return nil, refusal{wire.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value."}
	case partitions <= 0:
		return nil, refusal{wire.InvalidPartitions, "Number of partitions was set to an invalid non-positive value."}
	}
	return c.place(partitions, factor)
}

func (c *Controller) placeByHand(t *kmsg.CreateTopicsRequestTopic) ([]placed, refusal) {
	switch {
	case t.ReplicationFactor != -1:
		return nil, refusal{wire.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1."}
	case t.NumPartitions != -1:
		return nil, refusal{wire.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1."}
	}
	places := make([]placed, len(t.ReplicaAssignment))
	given := make([]bool, len(places))
	want, gap := 0, false
	for i := range t.ReplicaAssignment {
		a := &t.ReplicaAssignment[i]
		p := int(a.Partition)
		inside := p >= 0 && p < len(places)
		if inside && given[p] {
			return nil, refusal{wire.InvalidReplicaAssignment, "Found multiple manual partition assignments for partition " + strconv.Itoa(p)}
		}
		to, r := c.checkAssignment(a.Replicas, p, want)
		if r.bad() {
			return nil, r
		}
		want = len(to.replicas)
		if gap = gap || !inside; inside {
			places[p], given[p] = to, true
		}
	}
	if gap {
		return nil, refusal{wire.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence"}
	}
	return places, refusal{}
}

// shownConfigs are the effective configurations of a topic that sets what is in set (KIP-525).
func (c *Controller) shownConfigs(topic string, set image.Properties) []kmsg.CreateTopicsResponseTopicConfig {
	rows := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(image.TopicDefs()))
	view := c.view()
	for i := range image.TopicDefs() {
		d := &image.TopicDefs()[i]
		if d.Internal {
			continue
		}
		v := view.TopicDefault(d.Name)
		if text, ok := set.Get(d.Name); ok {
			canon, _ := d.Canonical(text)
			v = image.Value{Text: canon, Source: image.SourceTopic}
		}
		row := kmsg.NewCreateTopicsResponseTopicConfig()
		row.Name, row.Source = d.Name, int8(v.Source)
		if !v.Null {
			row.Value = &v.Text
		}
		rows = append(rows, row)
	}
	return rows
}

// InternalTopic is a topic that the cluster makes for itself when it is first needed.
type InternalTopic struct {
	Name        string
	Partitions  int32
	Replication int16
	Configs     image.Properties // in the order in which they are recorded
}

// Offsets is __consumer_offsets, with Kafka's configurations.
func Offsets(partitions int32, replication int16, segmentBytes int64) InternalTopic {
	return InternalTopic{OffsetsTopic, partitions, replication, compacted(segmentBytes)}
}

// Transactions is __transaction_state, with Kafka's configurations.
func Transactions(partitions int32, replication int16, segmentBytes int64, minISR int) InternalTopic {
	return InternalTopic{TransactionsTopic, partitions, replication, image.Properties{
		{Name: "compression.type", Value: "uncompressed"}, {Name: "cleanup.policy", Value: "compact"},
		{Name: minInSync, Value: strconv.Itoa(minISR)}, {Name: "segment.bytes", Value: strconv.FormatInt(segmentBytes, 10)},
		{Name: uncleanElection, Value: "false"},
	}}
}

func compacted(segmentBytes int64) image.Properties {
	return image.Properties{{Name: "compression.type", Value: "producer"}, {Name: "cleanup.policy", Value: "compact"},
		{Name: "segment.bytes", Value: strconv.FormatInt(segmentBytes, 10)}}
}

// CreateInternal is CreateTopics for a topic of the cluster's own.
func (c *Controller) CreateInternal(t InternalTopic) ([]wire.Record, wire.Code, string) {
	req := kmsg.NewCreateTopicsRequestTopic()
	req.Topic, req.NumPartitions, req.ReplicationFactor = t.Name, t.Partitions, t.Replication
	for _, kv := range t.Configs {
		row := kmsg.NewCreateTopicsRequestTopicConfig()
		row.Name, row.Value = kv.Name, &kv.Value
		req.Configs = append(req.Configs, row)
	}
	row := kmsg.NewCreateTopicsResponseTopic()
	records, r := c.createTopic(&req, nil, &row)
	return records, r.code, r.text
}

// AutoCreate makes a topic that a client asked for and that is not there, with the cluster's defaults.
func (c *Controller) AutoCreate(name string) ([]wire.Record, wire.Code, string) {
	return c.CreateInternal(InternalTopic{Name: name, Partitions: -1, Replication: -1})
}

// DeleteTopics decides a DeleteTopics request.
func (c *Controller) DeleteTopics(req *kmsg.DeleteTopicsRequest) (*kmsg.DeleteTopicsResponse, []wire.Record) {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	asked := req.Topics
	if req.Version < 6 {
		asked = nil
		for i := range req.TopicNames {
			asked = append(asked, kmsg.DeleteTopicsRequestTopic{Topic: &req.TopicNames[i]})
		}
	}
	rows := make([]kmsg.DeleteTopicsResponseTopic, 0, len(asked))
	topics := make([]*image.Topic, 0, len(asked))
	for i := range asked {
		row, t := c.deleted(&asked[i], req.Version)
		rows, topics = append(rows, row), append(topics, t)
	}
	name := func(i int) string {
		switch {
		case topics[i] != nil:
			return "t" + topics[i].Name
		case asked[i].Topic != nil:
			return "n" + *asked[i].Topic + string(asked[i].TopicID[:])
		}
		return "i" + string(asked[i].TopicID[:])
	}
	names := tallied(len(asked), name)
	var records []wire.Record
	for i, row := range rows {
		told, several := names.repeated(i, name(i))
		switch {
		case told:
			continue
		case several:
			row = kmsg.NewDeleteTopicsResponseTopic()
			row.Topic, row.TopicID = asked[i].Topic, asked[i].TopicID
			row.ErrorCode = int16(wire.InvalidRequest)
			text := "Duplicate topic name."
			if asked[i].Topic == nil {
				text = "Duplicate topic id."
			}
			row.ErrorMessage = &text
		case topics[i] != nil:
			records = append(records, &wire.RemoveTopicRecord{TopicID: topics[i].ID})
		}
		resp.Topics = append(resp.Topics, row)
	}
	return resp, records
}

// deleted decides one row by itself: the topic, or what is wrong.
func (c *Controller) deleted(a *kmsg.DeleteTopicsRequestTopic, version int16) (row kmsg.DeleteTopicsResponseTopic, t *image.Topic) {
	row = kmsg.NewDeleteTopicsResponseTopic()
	row.Topic, row.TopicID = a.Topic, a.TopicID
	id := core.TopicID(a.TopicID)
	var r refusal
	switch {
	case a.Topic == nil && id.IsZero():
		r = refusal{wire.InvalidRequest, "Neither topic name nor id were specified."}
	case a.Topic != nil && !id.IsZero():
		r = refusal{wire.InvalidRequest, "You may not specify both topic name and topic id."}
	case a.Topic != nil:
		if t = c.img.Topic(*a.Topic); t == nil {
			r = refusal{wire.UnknownTopicOrPartition, "This server does not host this topic-partition."}
		}
	default:
		if t = c.img.TopicByID(id); t == nil {
			r = refusal{wire.UnknownTopicID, "This server does not host this topic ID."}
		}
	}
	if !c.cfg.DeleteTopics {
		r, t = refusal{wire.TopicDeletionDisabled, "Topic deletion is disabled."}, nil
		if version < 3 {
			r.code = wire.InvalidRequest
		}
	}
	if t != nil {
		name := t.Name
		row.Topic, row.TopicID = &name, t.ID
	}
	row.ErrorCode, row.ErrorMessage = int16(r.code), r.message()
	return row, t
}

// CreatePartitions decides a CreatePartitions request.
func (c *Controller) CreatePartitions(req *kmsg.CreatePartitionsRequest) (*kmsg.CreatePartitionsResponse, []wire.Record) {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	var records []wire.Record
	room, bytes := PartitionsPerRequestMax, 0
	names := tallied(len(req.Topics), func(i int) string { return req.Topics[i].Topic })
	for i := range req.Topics {
		t := &req.Topics[i]
		told, several := names.repeated(i, t.Topic)
		if told {
			continue
		}
		row := kmsg.NewCreatePartitionsResponseTopic()
		row.Topic = t.Topic
		var recs []wire.Record
		r := refusal{wire.InvalidRequest, "Duplicate topic name."}
		if !several {
			if recs, r = c.createPartitions(t, &room); !r.bad() {
				r = fits(&bytes, recs)
			}
		}
		if r.bad() {
			recs = nil
		}
		row.ErrorCode, row.ErrorMessage = int16(r.code), r.message()
		records = append(records, recs...)
		resp.Topics = append(resp.Topics, row)
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, records
}

func (c *Controller) createPartitions(t *kmsg.CreatePartitionsRequestTopic, room *int) (records []wire.Record, r refusal) {
	topic := c.img.Topic(t.Topic)
	if topic == nil {
		return nil, refusal{code: wire.UnknownTopicOrPartition}
	}
	has := len(topic.Partitions)
	more := int(t.Count) - has
	switch {
	case more == 0:
		return nil, refusal{wire.InvalidPartitions, "Topic already has " + strconv.Itoa(has) + " partition(s)."}
	case more < 0:
		return nil, refusal{wire.InvalidPartitions, "The topic " + t.Topic + " currently has " + strconv.Itoa(has) + " partition(s); " +
			strconv.Itoa(int(t.Count)) + " would not be an increase."}
	case t.Assignment != nil && len(t.Assignment) != more:
		return nil, refusal{wire.InvalidReplicaAssignment, "Attempted to add " + strconv.Itoa(more) + " additional partition(s), but only " +
			strconv.Itoa(len(t.Assignment)) + " assignment(s) were specified."}
	case more > *room:
		return nil, refusal{wire.PolicyViolation, "Excessively large number of partitions per request."}
	}
	factor := len(topic.Partitions[0].Replicas) - len(topic.Partitions[0].Removing)
	var places []placed
	if t.Assignment == nil {
		if places, r = c.place(int32(more), int16(factor)); r.bad() {
			return nil, r
		}
	}
	for i := range t.Assignment {
		to, r := c.checkAssignment(t.Assignment[i].Replicas, has+i, factor)
		if r.bad() {
			return nil, r
		}
		places = append(places, to)
	}
	for i := range places {
		records = append(records, c.partitionRecord(topic.ID, int32(has+i), places[i]))
	}
	*room -= more
	return records, refusal{}
}
