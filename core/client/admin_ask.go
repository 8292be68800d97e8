package client

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// Ask sends a request as it is to a broker, or with NoNode to any, which passes on what only the controller may decide:
// Answer.Response. What the response says of errors is for the caller to read. alters says that the request changes
// something, so that it is not sent again when its answer is lost.
func (a *Admin) Ask(now core.Now, to core.NodeID, q kmsg.Request, alters bool, out *core.Out) CallID {
	return a.begin(now, call{kind: plain, request: q, alters: alters, items: []item{{partition: -1, node: to}}}, out)
}

// mutates reports whether a call changes anything.
func (k *call) mutates() bool {
	switch k.kind {
	case plain:
		return k.alters
	case createTopics, deleteTopics, createPartitions, alterConfigs, deleteRecords, deleteGroups, commitOffsets, deleteOffsets:
		return true
	}
	return false
}

// ask sends the request that answers item j of a call, together with the other items that the same
// broker answers, if it can be sent now.
func (a *Admin) ask(now core.Now, k *call, j int, out *core.Out) {
	it := &k.items[j]
	if now.Mono < it.retryAt {
		a.pool.WakeAt(it.retryAt)
		return
	}
	to, node := a.target(now, k, it, out)
	if to == nil {
		return
	}
	with := []int{j}
	if !k.alone() {
		for n := j + 1; n < len(k.items); n++ {
			o := &k.items[n]
			if o.done || o.request != 0 || now.Mono < o.retryAt {
				continue
			}
			if _, other := a.target(now, k, o, out); other == node {
				with = append(with, n)
			}
		}
	}
	q := a.build(k, with)
	v, ok := versionOf(to, q.Key(), -1)
	if !ok {
		for _, n := range with {
			k.settle(n, DidNot, Failure{Code: wire.UnsupportedVersion, Text: "the broker at " + to.Addr() + " does not serve " + kmsg.NameForKey(q.Key())})
		}
		return
	}
	q.SetVersion(v)
	a.lastReq++
	for _, n := range with {
		k.items[n].request = a.lastReq
	}
	a.pool.Send(now, to, link.Ask{Kind: 1, A: uint64(k.id), B: a.lastReq}, q, a.opt.RequestTime, out)
}

// alone reports whether the items of a call go into requests of their own: one group, one broker, each.
func (k *call) alone() bool {
	switch k.kind {
	case describeGroups, deleteGroups, committedOffsets, listGroups, logDirs, describeCluster, plain:
		return true
	}
	return false
}

// target finds who can answer an item: a connection that is ready, and a name for it that tells targets
// of one call apart.
func (a *Admin) target(now core.Now, k *call, it *item, out *core.Out) (*link.Peer, core.NodeID) {
	var p *link.Peer
	node := it.node
	switch k.kind {
	case deleteRecords, listOffsets, producers:
		t, m := a.partition(core.TopicPartition{Topic: it.name, Partition: it.partition})
		switch {
		case m != nil && m.leader >= 0:
			node = m.leader
		case t != nil && t.seen > k.seen+3: // asked often enough: a new topic is known everywhere by then
			it.why = Failure{Code: t.code, Text: "topic " + it.name}
			if t.code == wire.None && m == nil {
				it.why = Failure{Code: wire.UnknownTopicOrPartition, Text: "topic " + it.name + " has no such partition"}
			} else if t.code == wire.None {
				it.why = Failure{Code: wire.LeaderNotAvailable, Text: "topic " + it.name}
			}
			if it.why.Code != wire.LeaderNotAvailable {
				k.settle(slices.IndexFunc(k.items, func(o item) bool { return o.name == it.name && o.partition == it.partition && !o.done }), DidNot, it.why)
				return nil, core.NoNode
			}
			fallthrough
		default:
			a.missing()
			return nil, core.NoNode
		}
	case describeGroups, deleteGroups:
		return a.coordinator(now, it.name, general, out), core.NoNode
	case committedOffsets, commitOffsets, deleteOffsets:
		return a.coordinator(now, k.group, general, out), core.NoNode
	case createTopics, deleteTopics, createPartitions:
		node = a.controllerNode()
	case alterConfigs:
		if node < 0 {
			node = a.controllerNode()
		}
	}
	if node < 0 {
		return a.any(now, out), core.NoNode
	}
	if p = a.node(now, node, general, out); p == nil {
		if a.answered > k.seen {
			it.why = Failure{Code: wire.BrokerNotAvailable, Text: "no such broker"}
		}
		a.missing()
		return nil, node
	}
	if !a.pool.Usable(now, p, out) {
		return nil, node
	}
	return p, node
}

// controllerNode is the node that metadata names as controller, if it is one that we know.
func (a *Admin) controllerNode() core.NodeID {
	for _, b := range a.brokers {
		if b.ID == a.controller {
			return b.ID
		}
	}
	return core.NoNode
}

// build makes the request for some items of a call.
func (a *Admin) build(k *call, with []int) kmsg.Request {
	wait := int32(min(a.opt.RequestTime.Millis(), math.MaxInt32))
	switch k.kind {
	case createTopics:
		return buildCreateTopics(k, with, wait)
	case deleteTopics:
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.TimeoutMillis = wait
		q.TopicNames = k.names(with)
		return q
	case createPartitions:
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.TimeoutMillis, q.ValidateOnly = wait, k.dry
		for _, j := range with {
			t := kmsg.NewCreatePartitionsRequestTopic()
			t.Topic, t.Count = k.topics[j].Name, k.topics[j].Partitions
			for _, replicas := range k.topics[j].Assignment {
				r := kmsg.NewCreatePartitionsRequestTopicAssignment()
				r.Replicas = int32s(replicas)
				t.Assignment = append(t.Assignment, r)
			}
			q.Topics = append(q.Topics, t)
		}
		return q
	case describeTopics:
		q := kmsg.NewPtrMetadataRequest()
		q.AllowAutoTopicCreation = false
		for _, name := range k.names(with) {
			if name != "" {
				t := kmsg.NewMetadataRequestTopic()
				t.Topic = kmsg.StringPtr(name)
				q.Topics = append(q.Topics, t)
			}
		}
		return q
	case describeConfigs:
		q := kmsg.NewPtrDescribeConfigsRequest()
		q.IncludeDocumentation = true
		for _, j := range with {
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(k.items[j].kind), k.items[j].name
			q.Resources = append(q.Resources, r)
		}
		return q
	case alterConfigs:
		return buildAlterConfigs(k, with)
	case deleteRecords, listOffsets, producers:
		return a.buildOfPartitions(k, with, wait)
	case logDirs:
		q := kmsg.NewPtrDescribeLogDirsRequest()
		q.Topics = nil // null: all there are
		return q
	case describeCluster:
		return kmsg.NewPtrDescribeClusterRequest()
	case plain:
		return k.request
	}
	return buildOfGroups(k, with)
}

// buildOfGroups makes a request to a coordinator, or for the groups of a broker.
func buildOfGroups(k *call, with []int) kmsg.Request {
	switch k.kind {
	case describeGroups:
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Groups = k.names(with)
		return q
	case deleteGroups:
		q := kmsg.NewPtrDeleteGroupsRequest()
		q.Groups = k.names(with)
		return q
	case committedOffsets:
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Group, q.Topics = k.group, nil // null: all there are
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = k.group, nil
		q.Groups = append(q.Groups, g)
		return q
	case commitOffsets:
		q := kmsg.NewPtrOffsetCommitRequest()
		q.Group, q.Generation = k.group, -1
		var list []CommitOffset
		for _, j := range with {
			list = append(list, k.commits[j])
		}
		q.Topics = commitTopics(list)
		return q
	case deleteOffsets:
		q := kmsg.NewPtrOffsetDeleteRequest()
		q.Group = k.group
		for _, j := range with {
			i := slices.IndexFunc(q.Topics, func(t kmsg.OffsetDeleteRequestTopic) bool { return t.Topic == k.items[j].name })
			if i < 0 {
				i = len(q.Topics)
				q.Topics = append(q.Topics, kmsg.OffsetDeleteRequestTopic{Topic: k.items[j].name})
			}
			q.Topics[i].Partitions = append(q.Topics[i].Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: k.items[j].partition})
		}
		return q
	}
	return kmsg.NewPtrListGroupsRequest()
}

// buildOfPartitions makes a request to a leader.
func (a *Admin) buildOfPartitions(k *call, with []int, wait int32) kmsg.Request {
	switch k.kind {
	case deleteRecords:
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.TimeoutMillis = wait
		for _, j := range with {
			o := &k.offsets[j]
			i := slices.IndexFunc(q.Topics, func(t kmsg.DeleteRecordsRequestTopic) bool { return t.Topic == o.At.Topic })
			if i < 0 {
				i = len(q.Topics)
				q.Topics = append(q.Topics, kmsg.DeleteRecordsRequestTopic{Topic: o.At.Topic})
			}
			m := kmsg.NewDeleteRecordsRequestTopicPartition()
			m.Partition, m.Offset = o.At.Partition, int64(o.To)
			q.Topics[i].Partitions = append(q.Topics[i].Partitions, m)
		}
		return q
	case listOffsets:
		q := kmsg.NewPtrListOffsetsRequest()
		q.ReplicaID = -1
		for _, j := range with {
			o := &k.offsets[j]
			i := slices.IndexFunc(q.Topics, func(t kmsg.ListOffsetsRequestTopic) bool { return t.Topic == o.At.Topic })
			if i < 0 {
				i = len(q.Topics)
				t := kmsg.NewListOffsetsRequestTopic()
				t.Topic = o.At.Topic
				q.Topics = append(q.Topics, t)
			}
			m := kmsg.NewListOffsetsRequestTopicPartition()
			_, epoch := a.leader(o.At)
			m.Partition, m.CurrentLeaderEpoch, m.Timestamp, m.MaxNumOffsets = o.At.Partition, int32(epoch), o.From.timestamp(), 1
			q.Topics[i].Partitions = append(q.Topics[i].Partitions, m)
		}
		return q
	}
	q := kmsg.NewPtrDescribeProducersRequest()
	for _, j := range with {
		at := k.offsets[j].At
		i := slices.IndexFunc(q.Topics, func(t kmsg.DescribeProducersRequestTopic) bool { return t.Topic == at.Topic })
		if i < 0 {
			i = len(q.Topics)
			t := kmsg.NewDescribeProducersRequestTopic()
			t.Topic = at.Topic
			q.Topics = append(q.Topics, t)
		}
		q.Topics[i].Partitions = append(q.Topics[i].Partitions, at.Partition)
	}
	return q
}

// timestamp is how ListOffsets says where to begin. An offset is asked for as such by nobody: it is the end then.
func (s Start) timestamp() int64 {
	switch s.From {
	case FromEarliest:
		return earliestTimestamp
	case FromTime:
		return s.Timestamp
	}
	return latestTimestamp
}

func buildCreateTopics(k *call, with []int, wait int32) kmsg.Request {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis, q.ValidateOnly = wait, k.dry
	for _, j := range with {
		n, t := &k.topics[j], kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = n.Name, n.Partitions, n.Replicas
		if len(n.Assignment) > 0 {
			t.NumPartitions, t.ReplicationFactor = -1, -1
		}
		for i, replicas := range n.Assignment {
			r := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			r.Partition, r.Replicas = int32(i), int32s(replicas)
			t.ReplicaAssignment = append(t.ReplicaAssignment, r)
		}
		for _, c := range n.Configs {
			x := kmsg.NewCreateTopicsRequestTopicConfig()
			x.Name, x.Value = c.Name, kmsg.StringPtr(c.Value)
			t.Configs = append(t.Configs, x)
		}
		q.Topics = append(q.Topics, t)
	}
	return q
}

func buildAlterConfigs(k *call, with []int) kmsg.Request {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.ValidateOnly = k.dry
	for _, j := range with {
		it, r := &k.items[j], kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(it.kind), it.name
		for _, ch := range k.changes {
			if ch.Resource.Type != it.kind || ch.Resource.Name != it.name {
				continue
			}
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Op = ch.Name, kmsg.IncrementalAlterConfigOp(ch.Op)
			if ch.Op != DeleteConfig {
				c.Value = kmsg.StringPtr(ch.Value)
			}
			r.Configs = append(r.Configs, c)
		}
		q.Resources = append(q.Resources, r)
	}
	return q
}

func (k *call) names(with []int) (names []string) {
	for _, j := range with {
		names = append(names, k.items[j].name)
	}
	return names
}

func int32s(ids []core.NodeID) []int32 {
	list := make([]int32, len(ids))
	for i, id := range ids {
		list[i] = int32(id)
	}
	return list
}
