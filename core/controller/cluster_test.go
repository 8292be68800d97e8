package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func showDirs(dirs []core.TopicID) string {
	var s []string
	for _, d := range dirs {
		s = append(s, fmt.Sprint(d[0]))
	}
	return "[" + strings.Join(s, " ") + "]"
}

func showChange(x *wire.PartitionChangeRecord) (s string) {
	if x.Leader != image.NoLeaderChange {
		s = fmt.Sprintf(" leader=%d", x.Leader)
	}
	set := func(name string, v []core.NodeID) {
		if v != nil {
			s += fmt.Sprintf(" %s=%v", name, v)
		}
	}
	set("isr", x.ISR)
	set("replicas", x.Replicas)
	set("adding", x.AddingReplicas)
	set("removing", x.RemovingReplicas)
	set("eligible", x.EligibleLeaderReplicas)
	set("last", x.LastKnownELR)
	if x.LeaderRecoveryState >= 0 {
		s += fmt.Sprintf(" recovering=%d", x.LeaderRecoveryState)
	}
	if x.Directories != nil {
		s += " dirs=" + showDirs(x.Directories)
	}
	return s
}

func racksOf(r *rig, nodes []core.NodeID) int {
	seen := map[string]bool{}
	for _, n := range nodes {
		seen[r.c.Image().Broker(n).Rack] = true
	}
	return len(seen)
}

// registration is that of a new life of a broker which stopped cleanly before.
func (r *rig) registration(id int32) *kmsg.BrokerRegistrationRequest {
	q := kmsg.NewPtrBrokerRegistrationRequest()
	r.lives++
	q.BrokerID, q.ClusterID, q.IncarnationID, q.LogDirs = id, "here", [16]byte{byte(r.lives), byte(r.lives >> 8)}, [][16]byte{{byte(id)}}
	q.PreviousBrokerEpoch = -1
	if b := r.c.Image().Broker(core.NodeID(id)); b != nil {
		q.PreviousBrokerEpoch = int64(b.Epoch)
	}
	for _, f := range Supported() {
		q.Features = append(q.Features, kmsg.BrokerRegistrationRequestFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return q
}

func (r *rig) register(q *kmsg.BrokerRegistrationRequest, out *strings.Builder) {
	resp, records := r.c.BrokerRegistration(r.now, q, r.c.Image().End())
	if resp.ErrorCode != 0 {
		fmt.Fprintf(out, "%s\n", wire.Code(resp.ErrorCode))
	}
	r.take(records, out)
}

func (r *rig) heartbeat(id int32) *kmsg.BrokerHeartbeatRequest {
	q := kmsg.NewPtrBrokerHeartbeatRequest()
	q.BrokerID, q.CurrentMetadataOffset = id, int64(r.c.Image().End())-1
	if b := r.c.Image().Broker(core.NodeID(id)); b != nil {
		q.BrokerEpoch = int64(b.Epoch)
	}
	return q
}

func (r *rig) beat(q *kmsg.BrokerHeartbeatRequest, out *strings.Builder) *kmsg.BrokerHeartbeatResponse {
	resp, records := r.c.BrokerHeartbeat(r.now, q)
	fmt.Fprint(out, wire.Code(resp.ErrorCode))
	for _, f := range []struct {
		on   bool
		name string
	}{{resp.IsCaughtUp, "caught-up"}, {resp.IsFenced, "fenced"}, {resp.ShouldShutdown, "may-stop"}} {
		if f.on && resp.ErrorCode == 0 {
			fmt.Fprint(out, " ", f.name)
		}
	}
	fmt.Fprintln(out)
	r.take(records, out)
	return resp
}

// start registers and unfences a broker.
func (r *rig) start(id int32, rack string, out *strings.Builder) {
	q := r.registration(id)
	if rack != "" {
		q.Rack = &rack
	}
	r.register(q, out)
	r.beat(r.heartbeat(id), out)
}

// args are name=value pairs and bare words of a command.
type args []datadriven.CmdArg

func (a args) get(name string) (string, bool) {
	for _, x := range a {
		if x.Key == name {
			return strings.Join(x.Vals, ","), true
		}
	}
	return "", false
}

func (a args) num(name string, to *int64) {
	if s, ok := a.get(name); ok {
		fmt.Sscan(s, to)
	}
}

func dirIDs(s string) [][16]byte {
	out := [][16]byte{}
	for _, n := range ids(s) {
		out = append(out, [16]byte{byte(n)})
	}
	return out
}

// cluster runs the commands of brokers, partitions and features.
func (r *rig) cluster(t *testing.T, d *datadriven.TestData, out *strings.Builder) bool {
	a := args(d.CmdArgs)
	switch d.Cmd {
	case "register":
		r.scriptRegister(a, out)
	case "unfence":
		for _, x := range a {
			r.beat(r.heartbeat(int32Of(x.Key)), out)
		}
	case "beat":
		r.scriptBeat(a, out)
	case "clock": // milliseconds; then when Tick would come again
		_, beating := a.get("beating")
		r.clock(core.Millis(int64(int32Of(a[0].Key))), beating, out)
		fmt.Fprintf(out, "next in %d ms\n", (r.c.Next() - r.now.Mono).Millis())
	case "sleep": // milliseconds in which the controller hears and does nothing
		r.now.Mono += core.Millis(int64(int32Of(a[0].Key)))
	case "takeover": // the controller dies; another one begins on what is committed
		next := New(r.c.cfg)
		next.TakeOver(r.now, r.c.Image())
		r.c = next
	case "ids":
		q := kmsg.NewPtrAllocateProducerIDsRequest()
		q.BrokerID = int32Of(a[0].Key)
		if b := r.c.Image().Broker(core.NodeID(q.BrokerID)); b != nil {
			q.BrokerEpoch = int64(b.Epoch)
		}
		a.num("epoch", &q.BrokerEpoch)
		resp, records := r.c.ProducerIDs(q)
		fmt.Fprintf(out, "%s %d+%d\n", wire.Code(resp.ErrorCode), resp.ProducerIDStart, resp.ProducerIDLen)
		r.take(records, out)
	case "isr":
		r.scriptISR(a, d.Input, out)
	case "elect", "reassign", "reassigning":
		r.scriptMoves(d, a, out)
	case "unregister":
		q := kmsg.NewPtrUnregisterBrokerRequest()
		q.BrokerID = int32Of(a[0].Key)
		resp, records := r.c.UnregisterBroker(q)
		fmt.Fprintf(out, "%s\n", said(resp.ErrorCode, resp.ErrorMessage))
		r.take(records, out)
	case "controller":
		q := kmsg.NewPtrControllerRegistrationRequest()
		q.ControllerID = int32Of(a[0].Key)
		if _, lacks := a.get("lacks"); !lacks {
			for _, f := range Supported() {
				q.Features = append(q.Features, kmsg.ControllerRegistrationRequestFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
			}
		}
		resp, records := r.c.ControllerRegistration(q)
		fmt.Fprintf(out, "%s\n", said(resp.ErrorCode, resp.ErrorMessage))
		r.take(records, out)
	case "features":
		r.scriptFeatures(a, d.Input, out)
	case "dirs":
		r.scriptDirs(a, d.Input, out)
	case "show":
		for topic := range r.c.Image().Topics() {
			for _, p := range topic.Partitions {
				fmt.Fprintf(out, "%s-%d %s\n", topic.Name, p.ID, showPartition(p))
			}
		}
	default:
		return false
	}
	return true
}

// clock lets time pass, as the hall does: Tick comes when it asked to. With beating, every live broker is heard once a second.
func (r *rig) clock(d core.Time, beating bool, out *strings.Builder) {
	var skip strings.Builder
	for end := r.now.Mono + d; ; {
		for records := r.c.Tick(r.now); records != nil; records = r.c.Tick(r.now) {
			r.take(records, out)
		}
		if r.now.Mono >= end {
			return
		}
		next := min(end, r.c.Next())
		if next <= r.now.Mono {
			fmt.Fprintln(out, "Tick asks to be called again and has nothing to say")
			return
		}
		if beating {
			next = min(next, r.now.Mono+core.Second)
			for _, b := range r.c.Image().Brokers() {
				if !b.Fenced {
					r.beat(r.heartbeat(int32(b.ID)), &skip)
				}
			}
		}
		r.now.Mono = next
	}
}

func showPartition(p *image.Partition) string {
	s := fmt.Sprintf("leader=%d/%d epoch=%d replicas=%v isr=%v", p.Leader, p.LeaderEpoch, p.Epoch, p.Replicas, p.ISR)
	set := func(name string, v []core.NodeID) {
		if len(v) > 0 {
			s += fmt.Sprintf(" %s=%v", name, v)
		}
	}
	set("eligible", p.ELR)
	set("last", p.LastKnownELR)
	set("adding", p.Adding)
	set("removing", p.Removing)
	if p.Recovering {
		s += " recovering"
	}
	return s
}

// scriptRegister: register 1=rack 2 3 …, each a new life that ended cleanly before; or one with options:
// register 1 unclean prev=5 again cluster=x dirs=1,2 lacks=feature zk.
func (r *rig) scriptRegister(a args, out *strings.Builder) {
	var list []*kmsg.BrokerRegistrationRequest
	for _, x := range a {
		if x.Key[0] >= '0' && x.Key[0] <= '9' || x.Key[0] == '-' {
			q := r.registration(int32Of(x.Key))
			if len(x.Vals) > 0 {
				rack := x.Vals[0]
				q.Rack = &rack
			}
			list = append(list, q)
		}
	}
	for _, q := range list {
		a.num("prev", &q.PreviousBrokerEpoch)
		if _, ok := a.get("unclean"); ok {
			q.PreviousBrokerEpoch = -1
		}
		if _, ok := a.get("again"); ok {
			q.IncarnationID = r.c.Image().Broker(core.NodeID(q.BrokerID)).Incarnation
		}
		if s, ok := a.get("cluster"); ok {
			q.ClusterID = s
		}
		if s, ok := a.get("dirs"); ok {
			q.LogDirs = dirIDs(s)
		}
		if s, ok := a.get("lacks"); ok {
			q.Features = slices.DeleteFunc(q.Features, func(f kmsg.BrokerRegistrationRequestFeature) bool { return f.Name == s })
		}
		_, q.IsMigratingZkBroker = a.get("zk")
		r.register(q, out)
	}
}

// scriptBeat: beat 1 fence stop at=offset epoch=n offline=2 cordoned=1.
func (r *rig) scriptBeat(a args, out *strings.Builder) {
	q := r.heartbeat(int32Of(a[0].Key))
	_, q.WantFence = a.get("fence")
	_, q.WantShutdown = a.get("stop")
	a.num("at", &q.CurrentMetadataOffset)
	a.num("epoch", &q.BrokerEpoch)
	if s, ok := a.get("offline"); ok {
		q.OfflineLogDirs = dirIDs(s)
	}
	if s, ok := a.get("cordoned"); ok {
		q.CordonedLogDirs = dirIDs(s)
	}
	r.beat(q, out)
}

// partitionOf reads a-0.
func partitionOf(s string) (topic string, id int32) {
	at := strings.LastIndex(s, "-")
	return s[:at], int32Of(s[at+1:])
}

// scriptISR: isr by=1 (old), and lines "a-0 1,2 leader-epoch=0 epoch=1 recovering=1 member-epoch=5": what is not said is right.
func (r *rig) scriptISR(a args, input string, out *strings.Builder) {
	q := kmsg.NewPtrAlterPartitionRequest()
	q.Version = 3
	if _, ok := a.get("old"); ok {
		q.Version = 2
	}
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		f := strings.Fields(line)
		topic, id := partitionOf(f[0])
		row := kmsg.NewAlterPartitionRequestTopicPartition()
		row.Partition = id
		rows := kmsg.NewAlterPartitionRequestTopic()
		rows.TopicID = [16]byte{99}
		if x := r.c.Image().Topic(topic); x != nil {
			rows.TopicID = x.ID
			if p := x.Partition(id); p != nil {
				q.BrokerID, row.LeaderEpoch, row.PartitionEpoch = int32(p.Leader), int32(p.LeaderEpoch), int32(p.Epoch)
			}
		}
		by, _ := a.get("by")
		if by != "" {
			q.BrokerID = int32Of(by)
		}
		epoch := int64(-2)
		for _, kv := range f[2:] {
			k, v, _ := strings.Cut(kv, "=")
			n := int32Of(v)
			switch k {
			case "leader-epoch":
				row.LeaderEpoch = n
			case "epoch":
				row.PartitionEpoch = n
			case "recovering":
				row.LeaderRecoveryState = int8(n)
			case "member-epoch":
				epoch = int64(n)
			}
		}
		for _, n := range ids(strings.Trim(f[1], "[]")) {
			m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			m.BrokerID, m.BrokerEpoch = n, epoch
			if b := r.c.Image().Broker(core.NodeID(n)); epoch == -2 && b != nil {
				m.BrokerEpoch = int64(b.Epoch)
			}
			if row.NewISR = append(row.NewISR, n); q.Version >= 3 {
				row.NewISR, row.NewEpochISR = nil, append(row.NewEpochISR, m)
			}
		}
		rows.Partitions = append(rows.Partitions, row)
		q.Topics = append(q.Topics, rows)
	}
	if b := r.c.Image().Broker(core.NodeID(q.BrokerID)); b != nil {
		q.BrokerEpoch = int64(b.Epoch)
	}
	a.num("epoch", &q.BrokerEpoch)
	resp, records := r.c.AlterPartition(q)
	if resp.ErrorCode != 0 {
		fmt.Fprintln(out, wire.Code(resp.ErrorCode))
	}
	for _, x := range resp.Topics {
		for _, p := range x.Partitions {
			fmt.Fprintf(out, "%s-%d %s", r.ids[x.TopidID], p.Partition, wire.Code(p.ErrorCode))
			if p.ErrorCode == 0 {
				fmt.Fprintf(out, " leader=%d/%d epoch=%d isr=%v recovering=%d", p.LeaderID, p.LeaderEpoch, p.PartitionEpoch, p.ISR, p.LeaderRecoveryState)
			}
			fmt.Fprintln(out)
		}
	}
	r.take(records, out)
}

// scriptMoves: elect preferred|unclean|other a-0 …|all; reassign [fixed], with lines "a-0 1,2" or "a-0 cancel"; reassigning [a-0 …].
func (r *rig) scriptMoves(d *datadriven.TestData, a args, out *strings.Builder) {
	switch d.Cmd {
	case "elect":
		q := kmsg.NewPtrElectLeadersRequest()
		q.ElectionType = int8(slices.Index([]string{"preferred", "unclean", "other"}, a[0].Key))
		for _, x := range a[1:] {
			if x.Key == "all" {
				continue
			}
			topic, id := partitionOf(x.Key)
			q.Topics = append(q.Topics, kmsg.ElectLeadersRequestTopic{Topic: topic, Partitions: []int32{id}})
		}
		resp, records := r.c.ElectLeaders(q)
		fmt.Fprintln(out, wire.Code(resp.ErrorCode))
		for _, x := range resp.Topics {
			fmt.Fprintf(out, "%s:\n", x.Topic)
			for _, p := range x.Partitions {
				fmt.Fprintf(out, "  %d %s\n", p.Partition, said(p.ErrorCode, p.ErrorMessage))
			}
		}
		r.take(records, out)
	case "reassign":
		q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		_, fixed := a.get("fixed")
		q.AllowReplicationFactorChange = !fixed
		for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
			f := strings.Fields(line)
			topic, id := partitionOf(f[0])
			row := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			row.Partition, row.Replicas = id, append([]int32{}, ids(strings.Trim(f[1], "[]"))...)
			if f[1] == "cancel" {
				row.Replicas = nil
			}
			q.Topics = append(q.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{Topic: topic, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{row}})
		}
		resp, records := r.c.AlterPartitionReassignments(q)
		for _, x := range resp.Topics {
			for _, p := range x.Partitions {
				fmt.Fprintf(out, "%s-%d %s\n", x.Topic, p.Partition, said(p.ErrorCode, p.ErrorMessage))
			}
		}
		r.take(records, out)
	case "reassigning":
		q := kmsg.NewPtrListPartitionReassignmentsRequest()
		for _, x := range a {
			topic, id := partitionOf(x.Key)
			q.Topics = append(q.Topics, kmsg.ListPartitionReassignmentsRequestTopic{Topic: topic, Partitions: []int32{id}})
		}
		for _, x := range r.c.ListPartitionReassignments(q).Topics {
			for _, p := range x.Partitions {
				fmt.Fprintf(out, "%s-%d replicas=%v adding=%v removing=%v\n", x.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas)
			}
		}
	}
}

// scriptFeatures: features [old] [validate], with lines "name level upgrade-type".
func (r *rig) scriptFeatures(a args, input string, out *strings.Builder) {
	q := kmsg.NewPtrUpdateFeaturesRequest()
	q.Version = 2
	if _, ok := a.get("old"); ok {
		q.Version = 1
	}
	_, q.ValidateOnly = a.get("validate")
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		f := strings.Fields(line)
		row := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		row.Feature, row.MaxVersionLevel, row.UpgradeType = f[0], int16(int32Of(f[1])), int8(int32Of(f[2]))
		q.FeatureUpdates = append(q.FeatureUpdates, row)
	}
	resp, records := r.c.UpdateFeatures(q, KRaft{})
	fmt.Fprintln(out, said(resp.ErrorCode, resp.ErrorMessage))
	for _, x := range resp.Results {
		fmt.Fprintf(out, "  %s %s\n", x.Feature, said(x.ErrorCode, x.ErrorMessage))
	}
	r.take(records, out)
}

// scriptDirs: dirs 1 epoch=n, with lines "2 a-0": partition a-0 is in directory 2.
func (r *rig) scriptDirs(a args, input string, out *strings.Builder) {
	q := kmsg.NewPtrAssignReplicasToDirsRequest()
	q.BrokerID = int32Of(a[0].Key)
	if b := r.c.Image().Broker(core.NodeID(q.BrokerID)); b != nil {
		q.BrokerEpoch = int64(b.Epoch)
	}
	a.num("epoch", &q.BrokerEpoch)
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		f := strings.Fields(line)
		topic, id := partitionOf(f[1])
		rows := kmsg.NewAssignReplicasToDirsRequestDirectoryTopic()
		rows.TopicID = [16]byte{99}
		if x := r.c.Image().Topic(topic); x != nil {
			rows.TopicID = x.ID
		}
		rows.Partitions = []kmsg.AssignReplicasToDirsRequestDirectoryTopicPartition{{Partition: id}}
		q.Directories = append(q.Directories, kmsg.AssignReplicasToDirsRequestDirectory{ID: [16]byte{byte(int32Of(f[0]))}, Topics: []kmsg.AssignReplicasToDirsRequestDirectoryTopic{rows}})
	}
	resp, records := r.c.AssignReplicasToDirs(q)
	if resp.ErrorCode != 0 {
		fmt.Fprintln(out, wire.Code(resp.ErrorCode))
	}
	for _, x := range resp.Directories {
		for _, y := range x.Topics {
			for _, p := range y.Partitions {
				fmt.Fprintf(out, "%d %s-%d %s\n", x.ID[0], r.ids[y.TopicID], p.Partition, wire.Code(p.ErrorCode))
			}
		}
	}
	r.take(records, out)
}

// What is too much for one decision is done in several, and nothing is forgotten in between.
func TestManyPartitionsMoveInSteps(t *testing.T) {
	r := newRig(Config{Node: 9, Partitions: 1, Replication: 1, Key: [32]byte{5}})
	var skip strings.Builder
	r.c.TakeOver(r.now, r.c.Image())
	r.take(r.c.Activate(false, nil), &skip)
	r.start(1, "", &skip)
	r.start(2, "", &skip)
	for i := range 3 {
		q := kmsg.NewPtrCreateTopicsRequest()
		row := kmsg.NewCreateTopicsRequestTopic()
		row.Topic, row.NumPartitions, row.ReplicationFactor = fmt.Sprint("t", i), 5000, 1
		for p := range int32(5000) {
			row.ReplicaAssignment = append(row.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: p, Replicas: []int32{1}})
		}
		row.NumPartitions, row.ReplicationFactor = -1, -1
		q.Topics = append(q.Topics, row)
		_, records := r.c.CreateTopics(q)
		r.take(records, &skip)
	}
	leaderless := func() (n int) {
		for topic := range r.c.Image().Topics() {
			for _, p := range topic.Partitions {
				if p.Leader == core.NoNode {
					n++
				}
			}
		}
		return n
	}
	var steps []int
	stopping := r.heartbeat(1)
	stopping.WantShutdown = true
	for stops := false; !stops; {
		require.Less(t, len(steps), 5)
		resp, records := r.c.BrokerHeartbeat(r.now, stopping)
		r.take(records, &skip)
		r.beat(r.heartbeat(2), &skip)
		stops = resp.ShouldShutdown
		steps = append(steps, leaderless())
	}
	require.Equal(t, []int{PartitionsPerRequestMax - 1, 15000, 15000}, steps)

	r.register(r.registration(1), &skip)
	r.beat(r.heartbeat(1), &skip)
	require.Equal(t, 15000-(PartitionsPerRequestMax-1), leaderless())
	require.LessOrEqual(t, r.c.Next(), r.now.Mono, "the rest is looked at at once")
	r.clock(0, false, &skip)
	require.Zero(t, leaderless())

	// A broker that comes back before anyone noticed that it was gone: its registration takes two tries.
	r.clock(3*core.Second, false, &skip)
	q := r.registration(1)
	resp, records := r.c.BrokerRegistration(r.now, q, r.c.Image().End())
	require.Equal(t, wire.RequestTimedOut, wire.Code(resp.ErrorCode))
	require.Len(t, records, PartitionsPerRequestMax)
	r.take(records, &skip)
	resp, records = r.c.BrokerRegistration(r.now, q, r.c.Image().End())
	require.Zero(t, resp.ErrorCode)
	end := int64(r.c.Image().End())
	require.Equal(t, end+int64(len(records))-1, resp.BrokerEpoch)
	r.take(records, &skip)
	require.Equal(t, 15000, leaderless())
}
