package client

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/link"
	"klamm/core/wire"
)

// verdict is what a response says of one item.
type verdict struct {
	name      string
	partition int32
	kind      ResourceType
	code      wire.Code
	text      string
}

// take takes what became of a request, item by item.
func (a *Admin) take(now core.Now, r *link.Reply, out *core.Out) {
	i := slices.IndexFunc(a.calls, func(k call) bool { return uint64(k.id) == r.Ask.A })
	if i < 0 {
		return
	}
	k := &a.calls[i]
	var list []verdict
	if r.Resp != nil && k.kind == plain {
		k.answer.Response, list = r.Resp, []verdict{{partition: -1}}
	} else if r.Resp != nil {
		list = k.read(r)
	}
	for j := range k.items {
		it := &k.items[j]
		if it.request != r.Ask.B || it.done {
			continue
		}
		it.request = 0
		if r.Resp == nil {
			a.lost(now, k, j, r.Errs)
			continue
		}
		n := slices.IndexFunc(list, func(v verdict) bool {
			return v.name == it.name && v.partition == it.partition && v.kind == it.kind
		})
		if n < 0 {
			f := DidNot
			if k.mutates() {
				f = MayHave
			}
			k.settle(j, f, Failure{Code: wire.UnknownServerError, Text: "the broker's answer leaves it out"})
			continue
		}
		a.judge(now, k, j, list[n], out)
	}
}

// lost takes the news that there will be no answer about an item.
func (a *Admin) lost(now core.Now, k *call, j int, errs core.Errno) {
	why := Failure{Errno: link.OrGone(errs), Text: "no answer"}
	if k.mutates() {
		k.settle(j, MayHave, why)
		return
	}
	a.retry(now, k, j, why)
}

func (a *Admin) retry(now core.Now, k *call, j int, why Failure) {
	it := &k.items[j]
	it.why = why
	it.retryAt = now.Mono.After(a.backoff(it.fails))
	it.fails++
}

// judge decides what an error code means for an item.
func (a *Admin) judge(now core.Now, k *call, j int, v verdict, out *core.Out) {
	why := Failure{Code: v.code, Text: v.text}
	if why.Text == "" && v.code != wire.None {
		why.Text = k.about(&k.items[j])
	}
	switch v.code {
	case wire.None:
		k.settle(j, Did, Failure{Text: v.text})
		return
	case wire.NotCoordinator, wire.CoordinatorNotAvailable, wire.CoordinatorLoadInProgress:
		group := k.group
		if group == "" {
			group = v.name
		}
		if v.code != wire.CoordinatorLoadInProgress {
			a.lostCoordinator(now, group)
		}
		a.retry(now, k, j, why)
		return
	case wire.NotController, wire.NotLeaderOrFollower, wire.LeaderNotAvailable, wire.FencedLeaderEpoch, wire.UnknownLeaderEpoch,
		wire.OffsetNotAvailable, wire.ThrottlingQuotaExceeded:
		a.refresh()
		a.retry(now, k, j, why)
		return
	case wire.RequestTimedOut, wire.UnknownServerError, wire.KafkaStorageError:
		if k.mutates() {
			k.settle(j, MayHave, why)
			return
		}
		if v.code.Retriable() {
			a.retry(now, k, j, why)
			return
		}
	}
	k.settle(j, DidNot, why)
}

// about names an item for a person.
func (k *call) about(it *item) string {
	switch k.kind {
	case listGroups, logDirs, describeCluster:
		return "broker " + it.name
	case describeGroups, deleteGroups, committedOffsets:
		return "group " + it.name
	case describeConfigs, alterConfigs:
		return it.name
	}
	if it.partition >= 0 {
		return "topic " + it.name + ", partition " + strconv.Itoa(int(it.partition))
	}
	return "topic " + it.name
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// read takes a response apart: what it tells goes into the answer, and its verdicts are returned.
func (k *call) read(r *link.Reply) (list []verdict) {
	add := func(name string, p int32, code int16, s *string) {
		list = append(list, verdict{name: name, partition: p, code: wire.Code(code), text: text(s)})
	}
	switch resp := r.Resp.(type) {
	case *kmsg.CreateTopicsResponse:
		for i := range resp.Topics {
			t := &resp.Topics[i]
			add(t.Topic, -1, t.ErrorCode, t.ErrorMessage)
			if t.ErrorCode == 0 {
				k.answer.Topics = append(k.answer.Topics, TopicInfo{Name: t.Topic, ID: t.TopicID})
			}
		}
	case *kmsg.DeleteTopicsResponse:
		for i := range resp.Topics {
			add(text(resp.Topics[i].Topic), -1, resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage)
		}
	case *kmsg.CreatePartitionsResponse:
		for i := range resp.Topics {
			add(resp.Topics[i].Topic, -1, resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage)
		}
	case *kmsg.MetadataResponse:
		list = k.readTopics(resp)
	case *kmsg.DescribeConfigsResponse:
		list = k.readConfigs(resp)
	case *kmsg.IncrementalAlterConfigsResponse:
		for i := range resp.Resources {
			x := &resp.Resources[i]
			list = append(list, verdict{x.ResourceName, -1, ResourceType(x.ResourceType), wire.Code(x.ErrorCode), text(x.ErrorMessage)})
		}
	case *kmsg.DeleteRecordsResponse:
		for i := range resp.Topics {
			for _, p := range resp.Topics[i].Partitions {
				add(resp.Topics[i].Topic, p.Partition, p.ErrorCode, nil)
				if p.ErrorCode == 0 {
					k.answer.Offsets = append(k.answer.Offsets, OffsetInfo{core.TopicPartition{Topic: resp.Topics[i].Topic, Partition: p.Partition}, core.Offset(p.LowWatermark), -1, -1})
				}
			}
		}
	case *kmsg.ListOffsetsResponse:
		for i := range resp.Topics {
			for _, p := range resp.Topics[i].Partitions {
				add(resp.Topics[i].Topic, p.Partition, p.ErrorCode, nil)
				if p.ErrorCode == 0 {
					k.answer.Offsets = append(k.answer.Offsets, OffsetInfo{core.TopicPartition{Topic: resp.Topics[i].Topic, Partition: p.Partition}, core.Offset(p.Offset), p.Timestamp, core.Epoch(p.LeaderEpoch)})
				}
			}
		}
	case *kmsg.DescribeProducersResponse:
		list = k.readProducers(resp)
	case *kmsg.DescribeClusterResponse:
		add("", -1, resp.ErrorCode, resp.ErrorMessage)
		k.answer.Cluster, k.answer.Controller = resp.ClusterID, core.NodeID(resp.ControllerID)
		for _, b := range resp.Brokers {
			k.answer.Brokers = append(k.answer.Brokers, Broker{core.NodeID(b.NodeID), b.Host + ":" + strconv.Itoa(int(b.Port)), text(b.Rack)})
		}
	case *kmsg.DescribeLogDirsResponse:
		list = k.readDirs(resp, r.Node)
	default:
		list = k.readGroups(r)
	}
	return list
}

// readGroups is read for what coordinators answer.
func (k *call) readGroups(r *link.Reply) (list []verdict) {
	add := func(name string, p int32, code int16, s *string) {
		list = append(list, verdict{name: name, partition: p, code: wire.Code(code), text: text(s)})
	}
	switch resp := r.Resp.(type) {
	case *kmsg.ListGroupsResponse:
		add(strconv.Itoa(int(r.Node)), -1, resp.ErrorCode, nil)
		for _, g := range resp.Groups {
			k.answer.Groups = append(k.answer.Groups, GroupInfo{ID: g.Group, State: g.GroupState, Type: g.GroupType, ProtocolType: g.ProtocolType, Coordinator: r.Node})
		}
	case *kmsg.DescribeGroupsResponse:
		for i := range resp.Groups {
			g := &resp.Groups[i]
			add(g.Group, -1, g.ErrorCode, g.ErrorMessage)
			if g.ErrorCode == 0 {
				k.answer.Groups = append(k.answer.Groups, groupInfo(g, r.Node))
			}
		}
	case *kmsg.DeleteGroupsResponse:
		for i := range resp.Groups {
			add(resp.Groups[i].Group, -1, resp.Groups[i].ErrorCode, resp.Groups[i].ErrorMessage)
		}
	case *kmsg.OffsetFetchResponse:
		rows, code := committedRows(resp)
		add(k.group, -1, int16(code), nil)
		k.answer.Committed = append(k.answer.Committed, rows...)
	case *kmsg.OffsetCommitResponse:
		for i := range resp.Topics {
			for _, p := range resp.Topics[i].Partitions {
				add(resp.Topics[i].Topic, p.Partition, p.ErrorCode, nil)
			}
		}
	case *kmsg.OffsetDeleteResponse:
		for i := range resp.Topics {
			for _, p := range resp.Topics[i].Partitions {
				add(resp.Topics[i].Topic, p.Partition, p.ErrorCode, nil)
			}
		}
		if resp.ErrorCode != 0 {
			for i := range k.items {
				add(k.items[i].name, k.items[i].partition, resp.ErrorCode, nil)
			}
		}
	}
	return list
}

func groupInfo(g *kmsg.DescribeGroupsResponseGroup, from core.NodeID) GroupInfo {
	info := GroupInfo{ID: g.Group, State: g.State, ProtocolType: g.ProtocolType, Protocol: g.Protocol, Coordinator: from}
	for i := range g.Members {
		m := &g.Members[i]
		mi := MemberInfo{ID: m.MemberID, Instance: text(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost}
		if g.ProtocolType == assign.ProtocolType {
			if s, ok := assign.ParseSubscription(m.ProtocolMetadata); ok {
				mi.Topics = s.Topics
			}
			mi.Assigned, _, _ = assign.ParseAssignment(m.MemberAssignment)
		}
		info.Members = append(info.Members, mi)
	}
	slices.SortFunc(info.Members, func(x, y MemberInfo) int { return compare(x.ID, y.ID) })
	return info
}

func (k *call) readTopics(resp *kmsg.MetadataResponse) (list []verdict) {
	all := len(k.items) == 1 && k.items[0].name == ""
	if all {
		list = append(list, verdict{partition: -1})
	}
	for i := range resp.Topics {
		m := &resp.Topics[i]
		t := learnTopic(m, nil, 0)
		if !all {
			list = append(list, verdict{name: t.name, partition: -1, code: t.code})
		}
		if t.code != wire.None || t.name == "" {
			continue
		}
		info := TopicInfo{Name: t.name, ID: t.id, Internal: t.internal}
		for n := range t.partitions {
			p := &t.partitions[n]
			info.Partitions = append(info.Partitions, PartitionInfo{int32(n), p.leader, p.epoch, p.replicas, p.isr, p.offline, Failure{Code: p.code}})
		}
		k.answer.Topics = append(k.answer.Topics, info)
	}
	return list
}

func (k *call) readConfigs(resp *kmsg.DescribeConfigsResponse) (list []verdict) {
	for i := range resp.Resources {
		x := &resp.Resources[i]
		of := Resource{ResourceType(x.ResourceType), x.ResourceName}
		list = append(list, verdict{of.Name, -1, of.Type, wire.Code(x.ErrorCode), text(x.ErrorMessage)})
		for j := range x.Configs {
			c := &x.Configs[j]
			k.answer.Configs = append(k.answer.Configs, ConfigInfo{
				Resource: of, Name: c.Name, Value: text(c.Value), IsNull: c.Value == nil, ReadOnly: c.ReadOnly, Sensitive: c.IsSensitive,
				IsDefault: c.IsDefault || c.Source == kmsg.ConfigSourceDefaultConfig, Source: int8(c.Source), Doc: text(c.Documentation),
			})
		}
	}
	return list
}

func (k *call) readProducers(resp *kmsg.DescribeProducersResponse) (list []verdict) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			at := core.TopicPartition{Topic: resp.Topics[i].Topic, Partition: p.Partition}
			list = append(list, verdict{name: at.Topic, partition: at.Partition, code: wire.Code(p.ErrorCode), text: text(p.ErrorMessage)})
			for _, a := range p.ActiveProducers {
				k.answer.Producers = append(k.answer.Producers, ProducerInfo{at, a.ProducerID, a.ProducerEpoch, a.LastSequence, a.LastTimestamp, core.Offset(a.CurrentTxnStartOffset)})
			}
		}
	}
	return list
}

func (k *call) readDirs(resp *kmsg.DescribeLogDirsResponse, node core.NodeID) (list []verdict) {
	code := wire.Code(resp.ErrorCode)
	if resp.Version < 3 && len(resp.Dirs) == 0 {
		code = wire.ClusterAuthorizationFailed // so older versions say it (KIP-113)
	}
	list = append(list, verdict{name: strconv.Itoa(int(node)), partition: -1, code: code})
	for i := range resp.Dirs {
		d := &resp.Dirs[i]
		row := DirInfo{Broker: node, Dir: d.Dir, Code: wire.Code(d.ErrorCode), Total: -1, Usable: -1}
		if resp.Version >= 4 {
			row.Total, row.Usable = d.TotalBytes, d.UsableBytes
		}
		k.answer.Dirs = append(k.answer.Dirs, row)
		for j := range d.Topics {
			for _, p := range d.Topics[j].Partitions {
				row.At, row.Size, row.Lag, row.Future = core.TopicPartition{Topic: d.Topics[j].Topic, Partition: p.Partition}, p.Size, p.OffsetLag, p.IsFuture
				k.answer.Dirs = append(k.answer.Dirs, row)
			}
		}
	}
	return list
}
