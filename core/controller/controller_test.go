package controller

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

type rig struct {
	c     *Controller
	ids   map[core.TopicID]string
	now   core.Now
	lives uint16 // incarnations so far
}

func newRig(cfg Config) *rig {
	cfg.ClusterID = "here"
	return &rig{c: New(cfg), ids: map[core.TopicID]string{}, now: core.Now{Mono: core.Second}}
}

// take applies what was decided, as the hall does once it is in the log, and prints it.
func (r *rig) take(records []wire.Record, out *strings.Builder) {
	for _, rec := range records {
		if t, ok := rec.(*wire.TopicRecord); ok {
			r.ids[t.TopicID] = t.Name
		}
		fmt.Fprintf(out, "  %s\n", r.show(rec))
	}
	if len(records) > 0 {
		r.c.Appended(records, r.c.Image().End()+core.Offset(len(records)), 1)
	}
}

func (r *rig) show(rec wire.Record) string {
	name := strings.TrimSuffix(reflect.TypeOf(rec).Elem().Name(), "Record")
	switch x := rec.(type) {
	case *wire.TopicRecord:
		return name + " " + x.Name
	case *wire.RemoveTopicRecord:
		return name + " " + r.ids[x.TopicID]
	case *wire.ConfigRecord:
		value := "null"
		if x.Value != nil {
			value = strconv.Quote(*x.Value)
		}
		return fmt.Sprintf("%s %d %q %s=%s", name, x.ResourceType, x.ResourceName, x.Name, value)
	case *wire.PartitionRecord:
		return fmt.Sprintf("%s %s-%d replicas=%v isr=%v leader=%d/%d epoch=%d dirs=%d", name, r.ids[x.TopicID], x.PartitionID, x.Replicas, x.ISR, x.Leader, x.LeaderEpoch, x.PartitionEpoch, len(x.Directories))
	case *wire.PartitionChangeRecord:
		return name + " " + r.ids[x.TopicID] + "-" + strconv.Itoa(int(x.PartitionID)) + showChange(x)
	case *wire.FeatureLevelRecord:
		return fmt.Sprintf("%s %s=%d", name, x.Name, x.FeatureLevel)
	case *wire.RegisterBrokerRecord:
		text := fmt.Sprintf("%s %d epoch=%d fenced=%v", name, x.BrokerID, x.BrokerEpoch, x.Fenced)
		if x.InControlledShutdown {
			text += " stopping"
		}
		return text
	case *wire.UnregisterBrokerRecord:
		return fmt.Sprintf("%s %d epoch=%d", name, x.BrokerID, x.BrokerEpoch)
	case *wire.RegisterControllerRecord:
		return fmt.Sprintf("%s %d", name, x.ControllerID)
	case *wire.BrokerRegistrationChangeRecord:
		text := fmt.Sprintf("%s %d epoch=%d fenced=%d", name, x.BrokerID, x.BrokerEpoch, x.Fenced)
		if x.InControlledShutdown != 0 {
			text += fmt.Sprintf(" stopping=%d", x.InControlledShutdown)
		}
		if x.LogDirs != nil {
			text += " dirs=" + showDirs(x.LogDirs)
		}
		if x.CordonedLogDirs != nil {
			text += " cordoned=" + showDirs(x.CordonedLogDirs)
		}
		return text
	case *wire.ProducerIdsRecord:
		return fmt.Sprintf("%s %d/%d next=%d", name, x.BrokerID, x.BrokerEpoch, x.NextProducerID)
	}
	return name
}

func said(code int16, text *string) string {
	if text == nil {
		return wire.Code(code).String()
	}
	return wire.Code(code).String() + ": " + *text
}

func ids(s string) (out []int32) {
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		n, _ := strconv.Atoi(f)
		out = append(out, int32(n))
	}
	return out
}

func int32Of(s string) int32 {
	n, _ := strconv.Atoi(s)
	return int32(n)
}

// createRequest reads lines such as "a 2 1 retention.ms=5" and "b assign 0:1,2 1:2,1"; ” is the empty name.
func createRequest(input string) *kmsg.CreateTopicsRequest {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.Version = 7
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		f := strings.Fields(line)
		t := kmsg.NewCreateTopicsRequestTopic()
		if t.Topic = f[0]; f[0] == "''" {
			t.Topic = ""
		}
		t.NumPartitions, t.ReplicationFactor = -1, -1
		rest := f[1:]
		if rest[0] != "assign" {
			t.NumPartitions, t.ReplicationFactor = int32Of(rest[0]), int16(int32Of(rest[1]))
			rest = rest[2:]
		}
		for _, x := range rest {
			if name, value, ok := strings.Cut(x, "="); ok {
				row := kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value}
				if value == "null" {
					row.Value = nil
				}
				t.Configs = append(t.Configs, row)
			} else if p, replicas, ok := strings.Cut(x, ":"); ok {
				t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32Of(p), Replicas: ids(replicas)})
			}
		}
		q.Topics = append(q.Topics, t)
	}
	return q
}

func kindOf(s string) (int8, string) {
	kind, name, _ := strings.Cut(s, ":")
	return int8(int32Of(kind)), name
}

func (r *rig) run(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	has := d.HasArg
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	switch d.Cmd {
	case "activate":
		r.c.TakeOver(r.now, r.c.Image())
		r.take(r.c.Activate(has("open"), nil), &out)
	case "create":
		q := createRequest(d.Input)
		q.ValidateOnly = has("validate")
		resp, records := r.c.CreateTopics(q)
		for _, row := range resp.Topics {
			fmt.Fprintf(&out, "%q %s partitions=%d factor=%d\n", row.Topic, said(row.ErrorCode, row.ErrorMessage), row.NumPartitions, row.ReplicationFactor)
			for _, c := range row.Configs {
				if has("configs") && (c.Source != 5 || row.ErrorCode != 0) {
					fmt.Fprintf(&out, "    %s=%s (%d)\n", c.Name, *c.Value, c.Source)
				}
			}
		}
		r.take(records, &out)
	case "partitions":
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.ValidateOnly = has("validate")
		for _, line := range lines {
			f := strings.Fields(line)
			row := kmsg.NewCreatePartitionsRequestTopic()
			row.Topic, row.Count = f[0], int32Of(f[1])
			for _, a := range f[2:] {
				row.Assignment = append(row.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: ids(a)})
			}
			q.Topics = append(q.Topics, row)
		}
		resp, records := r.c.CreatePartitions(q)
		for _, row := range resp.Topics {
			fmt.Fprintf(&out, "%q %s\n", row.Topic, said(row.ErrorCode, row.ErrorMessage))
		}
		r.take(records, &out)
	case "delete":
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.Version = 6
		d.MaybeScanArgs(t, "version", &q.Version)
		for _, name := range lines {
			if q.Version < 6 {
				q.TopicNames = append(q.TopicNames, name)
				continue
			}
			row := kmsg.NewDeleteTopicsRequestTopic()
			if id, ok := strings.CutPrefix(name, "id:"); ok {
				copy(row.TopicID[:], "unknown")
				for x, n := range r.ids {
					if n == id && r.c.Image().TopicByID(x) != nil {
						row.TopicID = x
					}
				}
			} else {
				row.Topic = &name
			}
			q.Topics = append(q.Topics, row)
		}
		resp, records := r.c.DeleteTopics(q)
		for _, row := range resp.Topics {
			name := "null"
			if row.Topic != nil {
				name = *row.Topic
			}
			fmt.Fprintf(&out, "%s %s\n", name, said(row.ErrorCode, row.ErrorMessage))
		}
		r.take(records, &out)
	case "alter": // 2:topic set name=value | delete name | append name=value | subtract name=value
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.ValidateOnly = has("validate")
		for _, line := range lines {
			f := strings.Fields(line)
			row := kmsg.NewIncrementalAlterConfigsRequestResource()
			kind, name := kindOf(f[0])
			row.ResourceType, row.ResourceName = kmsg.ConfigResourceType(kind), name
			for i := 1; i+1 < len(f); i += 2 {
				key, value, _ := strings.Cut(f[i+1], "=")
				op := slices.Index([]string{"set", "delete", "append", "subtract"}, f[i])
				c := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: key, Op: kmsg.IncrementalAlterConfigOp(op), Value: &value}
				if op == opDelete || value == "null" {
					c.Value = nil
				}
				row.Configs = append(row.Configs, c)
			}
			q.Resources = append(q.Resources, row)
		}
		resp, records := r.c.IncrementalAlterConfigs(q)
		for _, row := range resp.Resources {
			fmt.Fprintf(&out, "%s %q %s\n", row.ResourceType, row.ResourceName, said(row.ErrorCode, row.ErrorMessage))
		}
		r.take(records, &out)
	case "replace": // 2:topic name=value …
		q := kmsg.NewPtrAlterConfigsRequest()
		for _, line := range lines {
			f := strings.Fields(line)
			row := kmsg.NewAlterConfigsRequestResource()
			kind, name := kindOf(f[0])
			row.ResourceType, row.ResourceName = kmsg.ConfigResourceType(kind), name
			for _, kv := range f[1:] {
				key, value, _ := strings.Cut(kv, "=")
				row.Configs = append(row.Configs, kmsg.AlterConfigsRequestResourceConfig{Name: key, Value: &value})
			}
			q.Resources = append(q.Resources, row)
		}
		resp, records := r.c.AlterConfigs(q)
		for _, row := range resp.Resources {
			fmt.Fprintf(&out, "%s %q %s\n", row.ResourceType, row.ResourceName, said(row.ErrorCode, row.ErrorMessage))
		}
		r.take(records, &out)
	default:
		if !r.cluster(t, d, &out) {
			d.Fatalf(t, "unknown command %s", d.Cmd)
		}
	}
	return out.String()
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		r := newRig(Config{Node: 1, Partitions: 3, Replication: 1, DeleteTopics: !strings.Contains(path, "undeletable"), Key: [32]byte{1}})
		datadriven.RunTest(t, path, r.run)
	})
}

// Every partition has as many copies as asked for, each at another broker; no broker leads more than one partition more than another.
func TestPlacementIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		brokers := rapid.IntRange(1, 9).Draw(t, "brokers")
		racks := rapid.IntRange(1, 4).Draw(t, "racks")
		factor := rapid.IntRange(1, brokers).Draw(t, "factor")
		count := rapid.IntRange(1, 40).Draw(t, "partitions")
		r := newRig(Config{Node: 1, Partitions: 1, Replication: 1, Key: [32]byte{2}})
		var skip strings.Builder
		used := map[int]bool{}
		for n := 1; n <= brokers; n++ {
			rack := rapid.IntRange(0, racks-1).Draw(t, "rack")
			used[rack] = true
			r.start(int32(n), fmt.Sprint(rack), &skip)
		}
		places, bad := r.c.place(int32(count), int16(factor))
		require.False(t, bad.bad(), bad.text)
		leads := map[core.NodeID]int{}
		for _, p := range places {
			require.Len(t, p.replicas, factor)
			require.Equal(t, p.replicas, p.isr)
			seen := map[core.NodeID]bool{}
			for _, n := range p.replicas {
				require.False(t, seen[n])
				seen[n] = true
			}
			leads[p.replicas[0]]++
			require.Equal(t, min(factor, len(used)), racksOf(r, p.replicas), "a rack is not taken twice while another is free")
		}
		least, most := count, 0
		for n := 1; n <= brokers; n++ {
			least, most = min(least, leads[core.NodeID(n)]), max(most, leads[core.NodeID(n)])
		}
		require.LessOrEqual(t, most-least, 1)
	})
}

// Whatever a client asks for, the records that are decided apply, and a name is never there twice.
func TestDecisionsAlwaysApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(Config{Node: 1, Partitions: 2, Replication: 1, DeleteTopics: true, Key: [32]byte{3}})
		var skip strings.Builder
		r.take(r.c.Activate(false, nil), &skip)
		r.start(1, "", &skip)
		name := rapid.SampledFrom([]string{"a", "b", "a.b", "a_b", "", "x/y", "__cluster_metadata"})
		for range rapid.IntRange(1, 20).Draw(t, "requests") {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				q := kmsg.NewPtrCreateTopicsRequest()
				for range rapid.IntRange(0, 4).Draw(t, "topics") {
					row := kmsg.NewCreateTopicsRequestTopic()
					row.Topic = name.Draw(t, "name")
					row.NumPartitions = rapid.SampledFrom([]int32{-1, 1, 3, 0, -7}).Draw(t, "partitions")
					row.ReplicationFactor = rapid.SampledFrom([]int16{-1, 1, 2, 0}).Draw(t, "factor")
					for range rapid.IntRange(0, 2).Draw(t, "assigned") {
						row.ReplicaAssignment = append(row.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{
							Partition: rapid.Int32Range(-1, 2).Draw(t, "p"), Replicas: rapid.SliceOfN(rapid.Int32Range(0, 2), 0, 2).Draw(t, "replicas")})
					}
					q.Topics = append(q.Topics, row)
				}
				_, records := r.c.CreateTopics(q)
				r.take(records, &skip)
			case 1:
				q := kmsg.NewPtrDeleteTopicsRequest()
				q.Version = 6
				for range rapid.IntRange(0, 3).Draw(t, "topics") {
					row := kmsg.NewDeleteTopicsRequestTopic()
					n := name.Draw(t, "name")
					if rapid.Bool().Draw(t, "named") {
						row.Topic = &n
					} else if topic := r.c.Image().Topic(n); topic != nil {
						row.TopicID = topic.ID
					}
					q.Topics = append(q.Topics, row)
				}
				_, records := r.c.DeleteTopics(q)
				r.take(records, &skip)
			case 2:
				q := kmsg.NewPtrCreatePartitionsRequest()
				for range rapid.IntRange(0, 3).Draw(t, "topics") {
					row := kmsg.NewCreatePartitionsRequestTopic()
					row.Topic, row.Count = name.Draw(t, "name"), rapid.Int32Range(-1, 9).Draw(t, "count")
					q.Topics = append(q.Topics, row)
				}
				_, records := r.c.CreatePartitions(q)
				r.take(records, &skip)
			case 3:
				q := kmsg.NewPtrIncrementalAlterConfigsRequest()
				row := kmsg.NewIncrementalAlterConfigsRequestResource()
				row.ResourceType, row.ResourceName = kmsg.ConfigResourceType(rapid.SampledFrom([]int8{0, 2, 4, 8, 16, 32}).Draw(t, "type")), name.Draw(t, "name")
				for range rapid.IntRange(0, 3).Draw(t, "configs") {
					c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
					c.Name = rapid.SampledFrom([]string{"retention.ms", "cleanup.policy", "x", "log.segment.bytes", "share.record.lock.duration.ms"}).Draw(t, "key")
					c.Op = kmsg.IncrementalAlterConfigOp(rapid.Int8Range(-1, 4).Draw(t, "op"))
					if rapid.Bool().Draw(t, "value") {
						v := rapid.SampledFrom([]string{"", "5", "compact", "x", "2000000"}).Draw(t, "value")
						c.Value = &v
					}
					row.Configs = append(row.Configs, c)
				}
				q.Resources = append(q.Resources, row)
				_, records := r.c.IncrementalAlterConfigs(q)
				r.take(records, &skip)
			}
			for topic := range r.c.Image().Topics() {
				require.Empty(t, r.c.Image().Collision(topic.Name))
				require.NotEmpty(t, topic.Partitions)
				require.Empty(t, BadTopicName(topic.Name))
			}
		}
	})
}

// What a broker of this version registers, and what a cluster of it begins with, are of one mind.
func TestOwnFeaturesAreSupported(t *testing.T) {
	r := newRig(Config{Node: 1})
	var skip strings.Builder
	r.take(r.c.Activate(false, nil), &skip)
	require.Empty(t, Unsupported(r.c.Image()))
	require.Equal(t, MetadataLevel, r.c.Level())
}

// A request that makes more metadata than one batch takes is refused row by row, from the first row that does not fit.
func TestDecisionsFitInOneBatch(t *testing.T) {
	r := newRig(Config{Node: 1, Partitions: 1, Replication: 1})
	var skip strings.Builder
	r.take(r.c.Activate(false, nil), &skip)
	r.start(1, "", &skip)
	q := kmsg.NewPtrCreateTopicsRequest()
	long := strings.Repeat("0:1,", 1<<19) + "0:1"
	for i := range 5 {
		row := kmsg.NewCreateTopicsRequestTopic()
		row.Topic, row.NumPartitions, row.ReplicationFactor = fmt.Sprint("t", i), 1, 1
		row.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "leader.replication.throttled.replicas", Value: &long}}
		q.Topics = append(q.Topics, row)
	}
	resp, records := r.c.CreateTopics(q)
	require.Less(t, weight(records), recordBytesMax)
	var bytes int
	for _, rec := range records {
		bytes += len(wire.AppendRecord(nil, rec)) + 20
	}
	require.LessOrEqual(t, bytes, weight(records))
	codes := []int16{}
	for _, row := range resp.Topics {
		codes = append(codes, row.ErrorCode)
	}
	require.Equal(t, []int16{0, 0, 0, int16(wire.PolicyViolation), int16(wire.PolicyViolation)}, codes)
}
