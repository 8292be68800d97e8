package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// world drives a controller through a random history, and beside it keeps what the controller cannot see: which records each
// replica really has. That model knows nothing of the controller's rules; it only knows how leaders, followers and crashes
// treat records, and what was acknowledged.
//
// It checks I19-I21 (who leads, and who could, has every committed record), I23 (epochs), I24 (sets), and that the controller's
// image is the fold of its records.
type world struct {
	t      *rapid.T
	r      *rig
	shadow *image.Image // the fold of the records as they are encoded in the log
	truth  map[partition]*truth
	epochs core.BrokerEpoch // the highest that was given
	asked  map[partition]bool
	reborn core.NodeID   // registered anew in this step
	joins  []core.NodeID // whom the leader wants in sync in this step
	soon   bool          // the next Tick will look for leaders
	cancel bool          // this step cancels or replaces reassignments
}

// truth is the log of one partition: how many of its records each replica has, and how many are committed.
type truth struct {
	has       map[core.NodeID]int
	committed int
}

const worldNodes = 5

func (w *world) topics() []string { return []string{"a", "b", "c"} }

func (w *world) node() core.NodeID {
	return core.NodeID(rapid.IntRange(1, worldNodes).Draw(w.t, "node"))
}

// partition draws one, nil if there is none.
func (w *world) partition() (*image.Topic, *image.Partition) {
	t := w.r.c.Image().Topic(rapid.SampledFrom(w.topics()).Draw(w.t, "topic"))
	if t == nil {
		return nil, nil
	}
	return t, t.Partitions[rapid.IntRange(0, len(t.Partitions)-1).Draw(w.t, "p")]
}

// alive is the reference's own word on who may lead.
func (w *world) alive(p *image.Partition, n core.NodeID) bool {
	b := w.r.c.Image().Broker(n)
	at := slices.Index(p.Replicas, n)
	if b == nil || b.Fenced || b.ControlledShutdown || at < 0 {
		return false
	}
	dir := p.Directories[at]
	return dir == (core.TopicID{}) || dir == (core.TopicID{15: 1}) || slices.Contains(b.LogDirs, dir)
}

// need is how many must be in sync for anything to be committed.
func (w *world) need(topic string, p *image.Partition) int {
	img := w.r.c.Image()
	n := 1
	for _, res := range []image.Resource{{Kind: image.BrokerResource}, {Kind: image.TopicResource, Name: topic}} {
		if v, ok := img.Config(res).Get("min.insync.replicas"); ok {
			fmt.Sscan(v, &n)
		}
	}
	return min(n, len(p.Replicas))
}

// take applies records as the hall does, and checks what they made of the image.
func (w *world) take(records []wire.Record) {
	old := w.r.c.Image()
	var skip strings.Builder
	w.r.take(records, &skip)
	var parsed []wire.Record
	for _, rec := range records {
		again, err := wire.ParseRecord(wire.AppendRecord(nil, rec))
		require.NoError(w.t, err)
		parsed = append(parsed, again)
	}
	if len(records) > 0 {
		img, _, err := w.shadow.Apply(parsed, w.r.c.Image().End(), 1)
		require.NoError(w.t, err)
		w.shadow = img
		for _, rec := range parsed {
			if reg, ok := rec.(*wire.RegisterBrokerRecord); ok && reg.BrokerID == w.reborn {
				require.Greater(w.t, reg.BrokerEpoch, w.epochs, "a broker epoch is given once")
				w.epochs = reg.BrokerEpoch
			}
		}
	}
	w.check(old, w.r.c.Image())
}

func (w *world) check(old, img *image.Image) {
	require.Equal(w.t, w.shadow.Snapshot(), img.Snapshot(), "the image is the fold of the records")
	for t := range img.Topics() {
		was := old.TopicByID(t.ID)
		for _, p := range t.Partitions {
			key := partition{t.ID, p.ID}
			if w.truth[key] == nil {
				w.truth[key] = &truth{has: map[core.NodeID]int{}}
			}
			if was != nil && p.ID < int32(len(was.Partitions)) {
				w.checkChange(t, was.Partitions[p.ID], p)
			}
			w.checkState(t, p)
		}
	}
	w.asked, w.reborn, w.joins, w.cancel = map[partition]bool{}, core.NoNode, nil, false
}

// checkState is what holds of every partition at every moment.
func (w *world) checkState(t *image.Topic, p *image.Partition) {
	img, at := w.r.c.Image(), fmt.Sprintf("%s-%d %s", t.Name, p.ID, showPartition(p))
	elrOn := img.Feature("eligible.leader.replicas.version") > 0
	require.Len(w.t, p.Directories, len(p.Replicas), at)
	for i, n := range p.Replicas {
		require.NotContains(w.t, p.Replicas[:i], n, at)
	}
	require.Subset(w.t, p.Replicas, p.ISR, at)
	require.Subset(w.t, p.Replicas, p.ELR, at)
	require.Subset(w.t, p.Replicas, p.Adding, at)
	require.Subset(w.t, p.Replicas, p.Removing, at)
	for i, n := range p.ISR {
		require.NotContains(w.t, p.ISR[:i], n, at)
		require.NotContains(w.t, p.ELR, n, at)
		b := img.Broker(n)
		if p.Leader != core.NoNode || elrOn && len(p.ISR) > 1 {
			require.True(w.t, b != nil && !b.Fenced && !b.ControlledShutdown, "nobody who is fenced or stops is in sync: %s", at)
		}
	}
	if p.Leader != core.NoNode {
		require.Contains(w.t, p.ISR, p.Leader, at)
		require.True(w.t, w.alive(p, p.Leader), "the leader is there: %s", at)
	}
	if len(p.ISR) >= w.need(t.Name, p) && len(p.ISR) > 0 {
		require.Empty(w.t, p.ELR, "nobody is eligible beside enough who are in sync: %s", at)
	}
	if !elrOn {
		require.True(w.t, len(p.ELR) == 0 || len(p.ISR) == 0, at)
	}
	able := p.ISR
	if len(able) == 0 {
		able = p.ELR
	}
	if slices.ContainsFunc(able, func(n core.NodeID) bool { return w.alive(p, n) }) && !w.soon {
		require.NotEqual(w.t, core.NoNode, p.Leader, "somebody could lead: %s", at)
	}
	x := w.truth[partition{t.ID, p.ID}]
	for _, n := range slices.Concat(p.ISR, p.ELR) {
		require.GreaterOrEqual(w.t, x.has[n], x.committed, "who is in sync or eligible has every committed record: %d of %s", n, at)
	}
}

// checkChange is what holds between two moments. It also follows the truth to the new leader.
func (w *world) checkChange(t *image.Topic, old, p *image.Partition) {
	key := partition{t.ID, p.ID}
	x, at := w.truth[key], fmt.Sprintf("%s-%d\n%s\n%s", t.Name, p.ID, showPartition(old), showPartition(p))
	same := old.Leader == p.Leader && old.LeaderEpoch == p.LeaderEpoch && old.Recovering == p.Recovering &&
		slices.Equal(old.Replicas, p.Replicas) && slices.Equal(old.ISR, p.ISR) && slices.Equal(old.ELR, p.ELR) && slices.Equal(old.LastKnownELR, p.LastKnownELR) &&
		slices.Equal(old.Adding, p.Adding) && slices.Equal(old.Removing, p.Removing) && slices.Equal(old.Directories, p.Directories)
	require.Equal(w.t, same, old.Epoch == p.Epoch, "the partition epoch tells of every change: %s", at)
	require.GreaterOrEqual(w.t, p.Epoch, old.Epoch, at)
	gone := slices.ContainsFunc(old.Replicas, func(n core.NodeID) bool { return !slices.Contains(p.Replicas, n) })
	if old.Leader != p.Leader || gone || w.reborn != core.NoNode && old.Leader == w.reborn {
		require.Greater(w.t, p.LeaderEpoch, old.LeaderEpoch, "a new leadership, a new epoch: %s", at)
	}
	if old.Leader == p.Leader && !gone && !(p.Recovering && !old.Recovering) && p.Leader != w.reborn {
		require.True(w.t, p.LeaderEpoch == old.LeaderEpoch || w.cancel || w.asked[key], "no new epoch without need: %s", at)
	}
	unclean := p.Leader != core.NoNode && p.LeaderEpoch > old.LeaderEpoch && !slices.Contains(old.ISR, p.Leader) &&
		!slices.Contains(old.ELR, p.Leader) && !slices.Contains(w.joins, p.Leader)
	if unclean {
		last := len(old.ISR)+len(p.ELR) == 0 && slices.Equal(old.LastKnownELR, []core.NodeID{p.Leader})
		allowed, _ := w.r.c.Image().Config(image.Resource{Kind: image.TopicResource, Name: t.Name}).Get("unclean.leader.election.enable")
		require.True(w.t, p.Recovering, "an unclean leader has to recover: %s", at)
		require.Equal(w.t, []core.NodeID{p.Leader}, p.ISR, at)
		require.True(w.t, last || allowed == "true" || w.asked[key], "nobody asked for an unclean election: %s", at)
	}
	if !slices.Equal(old.Replicas, p.Replicas) && !w.cancel {
		target := keep(old.Replicas, func(n core.NodeID) bool { return !slices.Contains(old.Removing, n) })
		require.Equal(w.t, target, p.Replicas, "only a finished reassignment takes replicas away: %s", at)
		for _, n := range old.Adding {
			require.True(w.t, slices.Contains(old.Removing, n) || slices.Contains(p.ISR, n) || p.Leader != core.NoNode && unclean, "who was added is in sync: %s", at)
		}
	}
	w.follow(x, old, p, unclean)
}

// follow brings the truth to a new leader: it overwrites what the others have beyond its own log.
func (w *world) follow(x *truth, old, p *image.Partition, unclean bool) {
	for _, n := range old.Replicas {
		if !slices.Contains(p.Replicas, n) {
			delete(x.has, n)
		}
	}
	if unclean || w.r.c.Image().Feature("eligible.leader.replicas.version") == 0 {
		for _, n := range p.ISR { // what was promised is lost, and known to be
			x.committed = min(x.committed, x.has[n])
		}
	}
	if p.Leader != core.NoNode && p.LeaderEpoch > old.LeaderEpoch {
		require.GreaterOrEqual(w.t, x.has[p.Leader], x.committed, "the leader has every committed record: %s", showPartition(p))
		for _, n := range p.Replicas {
			x.has[n] = min(x.has[n], x.has[p.Leader])
		}
	}
}

// traffic lets a leader take records, followers copy some, and what enough of them have be committed.
func (w *world) traffic() {
	t, p := w.partition()
	if p == nil || p.Leader == core.NoNode {
		return
	}
	x := w.truth[partition{t.ID, p.ID}]
	x.has[p.Leader] += rapid.IntRange(0, 3).Draw(w.t, "produced")
	for _, n := range p.Replicas {
		if b := w.r.c.Image().Broker(n); n != p.Leader && b != nil && !b.Fenced && rapid.Bool().Draw(w.t, "fetches") {
			x.has[n] = rapid.IntRange(min(x.has[n], x.has[p.Leader]), x.has[p.Leader]).Draw(w.t, "fetched")
		}
	}
	if len(p.ISR) < w.need(t.Name, p) {
		return
	}
	low := x.has[p.Leader]
	for _, n := range p.ISR {
		low = min(low, x.has[n])
	}
	x.committed = max(x.committed, low)
}

// lose takes records from a replica.
func (w *world) lose(x *truth, n core.NodeID, all bool) {
	if has := x.has[n]; has > 0 {
		if x.has[n] = 0; !all {
			x.has[n] = rapid.IntRange(0, has).Draw(w.t, "kept")
		}
	}
}

func (w *world) register() {
	n := w.node()
	w.pass(n, rapid.SampledFrom([]int{0, 2, 2, 5}).Draw(w.t, "dead for"))
	q := w.r.registration(int32(n))
	had := w.r.c.Image().Broker(n)
	switch rapid.IntRange(0, 6).Draw(w.t, "how") {
	case 0:
		q.PreviousBrokerEpoch = -1
	case 1:
		q.PreviousBrokerEpoch--
	case 2:
		q.LogDirs = [][16]byte{{byte(n), byte(w.r.lives), byte(w.r.lives >> 8)}}
	case 4:
		q.LogDirs = [][16]byte{{byte(n)}, {byte(n), 99}}
	case 3:
		if had != nil {
			q.IncarnationID, q.LogDirs = had.Incarnation, nil // one life loses directories, and gets none back
			for _, dir := range had.LogDirs {
				q.LogDirs = append(q.LogDirs, dir)
			}
		}
	}
	resp, records := w.r.c.BrokerRegistration(w.r.now, q, w.r.c.Image().End())
	again := had != nil && had.Incarnation == q.IncarnationID && resp.BrokerEpoch == int64(had.Epoch)
	if resp.ErrorCode == 0 && !again {
		w.reborn = n
		clean := had != nil && q.PreviousBrokerEpoch == int64(had.Epoch)
		// A directory that is missing beside one that is there may be back some day; until the broker says that it has the replica
		// in another one, nothing is lost.
		exchanged := had == nil || !slices.ContainsFunc(q.LogDirs, func(d [16]byte) bool { return slices.Contains(had.LogDirs, core.TopicID(d)) })
		for t := range w.r.c.Image().Topics() {
			for _, p := range t.Partitions {
				at := slices.Index(p.Replicas, n)
				if at < 0 {
					continue
				}
				dir := p.Directories[at]
				wiped := exchanged && dir != (core.TopicID{}) && dir != (core.TopicID{15: 1}) && !slices.Contains(q.LogDirs, [16]byte(dir))
				if !clean || wiped {
					w.lose(w.truth[partition{t.ID, p.ID}], n, wiped)
				}
			}
		}
	}
	w.take(records)
}

func (w *world) heartbeat() {
	n := w.node()
	q := w.r.heartbeat(int32(n))
	q.WantFence = rapid.IntRange(0, 9).Draw(w.t, "fence") == 0
	q.WantShutdown = rapid.IntRange(0, 9).Draw(w.t, "stop") == 0
	if rapid.IntRange(0, 9).Draw(w.t, "behind") == 0 {
		q.CurrentMetadataOffset = rapid.Int64Range(-1, q.CurrentMetadataOffset).Draw(w.t, "applied")
	}
	if b := w.r.c.Image().Broker(n); b != nil && len(b.LogDirs) > 1 && rapid.IntRange(0, 3).Draw(w.t, "disk") == 0 {
		q.OfflineLogDirs = [][16]byte{b.LogDirs[0]}
	}
	resp, records := w.r.c.BrokerHeartbeat(w.r.now, q)
	w.take(records)
	if resp.ErrorCode == 0 {
		require.Equal(w.t, w.r.c.Image().Broker(n).Fenced, resp.IsFenced)
		require.False(w.t, resp.ShouldShutdown && !resp.IsFenced)
	}
}

func (w *world) alterISR() {
	t, p := w.partition()
	if p == nil || p.Leader == core.NoNode {
		return
	}
	x := w.truth[partition{t.ID, p.ID}]
	w.propose(t, p, func(n core.NodeID) bool {
		joins := slices.Contains(p.ISR, n) || x.has[n] >= x.committed // a leader lets nobody join who lacks something
		return joins && rapid.Bool().Draw(w.t, "in")
	})
}

// propose sends an AlterPartition of the leader.
func (w *world) propose(t *image.Topic, p *image.Partition, in func(core.NodeID) bool) {
	q := kmsg.NewPtrAlterPartitionRequest()
	q.Version, q.BrokerID, q.BrokerEpoch = 3, int32(p.Leader), int64(w.r.c.Image().Broker(p.Leader).Epoch)
	row := kmsg.NewAlterPartitionRequestTopicPartition()
	row.Partition, row.LeaderEpoch, row.PartitionEpoch = p.ID, int32(p.LeaderEpoch), int32(p.Epoch)
	for _, n := range p.Replicas {
		b := w.r.c.Image().Broker(n)
		if b == nil || n != p.Leader && !in(n) {
			continue
		}
		m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		m.BrokerID, m.BrokerEpoch = int32(n), int64(b.Epoch)
		row.NewEpochISR = append(row.NewEpochISR, m)
		w.joins = append(w.joins, n)
	}
	if rapid.IntRange(0, 5).Draw(w.t, "stale") == 0 { // one that comes late, of another leader, or of nobody in his senses
		row.LeaderEpoch += rapid.Int32Range(-1, 1).Draw(w.t, "le")
		row.PartitionEpoch += rapid.Int32Range(-1, 1).Draw(w.t, "pe")
		if q.BrokerID = rapid.Int32Range(1, worldNodes).Draw(w.t, "from"); row.LeaderEpoch == int32(p.LeaderEpoch) && row.PartitionEpoch == int32(p.Epoch) && q.BrokerID == int32(p.Leader) {
			q.BrokerEpoch--
		}
	}
	topic := kmsg.NewAlterPartitionRequestTopic()
	topic.TopicID, topic.Partitions = t.ID, append(topic.Partitions, row)
	q.Topics = append(q.Topics, topic)
	resp, records := w.r.c.AlterPartition(q)
	w.take(records)
	if resp.ErrorCode != 0 {
		require.Empty(w.t, records)
	}
}

func (w *world) elect() {
	t, p := w.partition()
	if p == nil {
		return
	}
	q := kmsg.NewPtrElectLeadersRequest()
	q.ElectionType = int8(rapid.IntRange(0, 1).Draw(w.t, "type"))
	q.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: t.Name, Partitions: []int32{p.ID}}}
	if rapid.IntRange(0, 9).Draw(w.t, "all") == 0 {
		q.Topics = nil
	}
	for t := range w.r.c.Image().Topics() {
		for _, p := range t.Partitions {
			w.asked[partition{t.ID, p.ID}] = q.ElectionType == 1
		}
	}
	_, records := w.r.c.ElectLeaders(q)
	w.take(records)
}

func (w *world) reassign() {
	t, p := w.partition()
	if p == nil {
		return
	}
	row := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	row.Partition = p.ID
	if rapid.IntRange(0, 2).Draw(w.t, "cancel") > 0 {
		row.Replicas = rapid.SliceOfNDistinct(rapid.Int32Range(1, worldNodes), 1, 4, rapid.ID[int32]).Draw(w.t, "to")
	}
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	q.AllowReplicationFactorChange = true
	q.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: t.Name, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{row}}}
	resp, records := w.r.c.AlterPartitionReassignments(q)
	w.cancel = true
	w.take(records)
	after := w.r.c.Image().Topic(t.Name).Partitions[p.ID]
	switch ok := resp.Topics[0].Partitions[0].ErrorCode == 0; {
	case !ok:
		require.Empty(w.t, records)
	case row.Replicas == nil:
		require.Empty(w.t, slices.Concat(after.Adding, after.Removing))
		require.Equal(w.t, keep(p.Replicas, func(n core.NodeID) bool { return !slices.Contains(p.Adding, n) }), after.Replicas)
	default:
		require.Equal(w.t, row.Replicas, plain(keep(after.Replicas, func(n core.NodeID) bool { return !slices.Contains(after.Removing, n) })), "what stays is what was asked for")
	}
}

func (w *world) configure() {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	row := kmsg.NewIncrementalAlterConfigsRequestResource()
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	value := fmt.Sprint(rapid.IntRange(1, 3).Draw(w.t, "min"))
	row.ResourceType, row.ResourceName, c.Name, c.Value = kmsg.ConfigResourceTypeTopic, rapid.SampledFrom(w.topics()).Draw(w.t, "of"), minInSync, &value
	switch rapid.IntRange(0, 4).Draw(w.t, "what") {
	case 0:
		row.ResourceType, row.ResourceName = kmsg.ConfigResourceTypeBroker, ""
	case 1:
		c.Op, c.Value = kmsg.IncrementalAlterConfigOpDelete, nil
	case 2:
		c.Name, value = uncleanElection, fmt.Sprint(rapid.IntRange(0, 3).Draw(w.t, "unclean") == 0)
	}
	row.Configs = append(row.Configs, c)
	q.Resources = append(q.Resources, row)
	_, records := w.r.c.IncrementalAlterConfigs(q)
	w.take(records)
}

func (w *world) feature() {
	q := kmsg.NewPtrUpdateFeaturesRequest()
	q.Version = 2
	row := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	row.Feature, row.MaxVersionLevel, row.UpgradeType = elrFeature, 1, upgradeOnly
	if rapid.IntRange(0, 2).Draw(w.t, "off") == 0 {
		row.MaxVersionLevel, row.UpgradeType = 0, safeDowngrade
	}
	q.FeatureUpdates = append(q.FeatureUpdates, row)
	_, records := w.r.c.UpdateFeatures(q, KRaft{})
	w.take(records)
}

func (w *world) create() {
	name := rapid.SampledFrom(w.topics()).Draw(w.t, "name")
	q := kmsg.NewPtrCreateTopicsRequest()
	row := kmsg.NewCreateTopicsRequestTopic()
	row.Topic, row.NumPartitions, row.ReplicationFactor = name, 2, int16(rapid.IntRange(1, 3).Draw(w.t, "factor"))
	q.Topics = append(q.Topics, row)
	_, records := w.r.c.CreateTopics(q)
	w.take(records)
}

func (w *world) unregister() {
	q := kmsg.NewPtrUnregisterBrokerRequest()
	q.BrokerID = int32(w.node())
	_, records := w.r.c.UnregisterBroker(q)
	w.take(records)
}

// directory says of a replica that it is in another directory now: if the former one is not there any more, with nothing in it.
func (w *world) directory() {
	t, p := w.partition()
	if p == nil {
		return
	}
	at := rapid.IntRange(0, len(p.Replicas)-1).Draw(w.t, "replica")
	b := w.r.c.Image().Broker(p.Replicas[at])
	if b == nil {
		return
	}
	dir := [16]byte{byte(b.ID), byte(rapid.IntRange(0, 1).Draw(w.t, "dir") * 99)}
	if was := p.Directories[at]; was != dirUnassigned && was != dirMigrating && !slices.Contains(b.LogDirs, was) && core.TopicID(dir) != was {
		w.lose(w.truth[partition{t.ID, p.ID}], b.ID, true)
	}
	q := kmsg.NewPtrAssignReplicasToDirsRequest()
	q.BrokerID, q.BrokerEpoch = int32(b.ID), int64(b.Epoch)
	q.Directories = []kmsg.AssignReplicasToDirsRequestDirectory{{ID: dir, Topics: []kmsg.AssignReplicasToDirsRequestDirectoryTopic{{
		TopicID: t.ID, Partitions: []kmsg.AssignReplicasToDirsRequestDirectoryTopicPartition{{Partition: p.ID}}}}}}
	_, records := w.r.c.AssignReplicasToDirs(q)
	w.soon = true
	w.take(records)
	w.soon = false
	w.tick()
	w.check(w.r.c.Image(), w.r.c.Image())
}

func (w *world) tick() {
	for records := w.r.c.Tick(w.r.now); records != nil; records = w.r.c.Tick(w.r.now) {
		w.take(records)
	}
	require.Greater(w.t, w.r.c.Next(), w.r.now.Mono)
}

// clock lets some time pass, in which some brokers are heard.
func (w *world) clock() {
	w.pass(w.node(), rapid.SampledFrom([]int{1, 1, 2, 5, 160}).Draw(w.t, "time"))
}

// pass lets time pass, two seconds a step; all but one are heard.
func (w *world) pass(silent core.NodeID, steps int) {
	for range steps {
		w.r.now.Mono += 2 * core.Second
		for _, b := range w.r.c.Image().Brokers() {
			if b.ID != silent && !b.Fenced {
				_, records := w.r.c.BrokerHeartbeat(w.r.now, w.r.heartbeat(int32(b.ID)))
				w.take(records)
			}
		}
		w.tick()
	}
}

func (w *world) takeover() {
	next := New(w.r.c.cfg)
	next.TakeOver(w.r.now, w.r.c.Image())
	w.r.c = next
	w.tick()
}

// heal brings every broker back that can come back without a new life, and others with one; what is alive then catches up.
func (w *world) heal() {
	for n := core.NodeID(1); n <= worldNodes; n++ {
		if b := w.r.c.Image().Broker(n); b == nil || b.ControlledShutdown {
			w.pass(n, 5)
			q := w.r.registration(int32(n))
			if b == nil { // nobody believes it
				for t := range w.r.c.Image().Topics() {
					for _, p := range t.Partitions {
						w.lose(w.truth[partition{t.ID, p.ID}], n, true)
					}
				}
			}
			_, records := w.r.c.BrokerRegistration(w.r.now, q, w.r.c.Image().End())
			w.reborn = n
			w.take(records)
		}
		_, records := w.r.c.BrokerHeartbeat(w.r.now, w.r.heartbeat(int32(n)))
		w.take(records)
	}
	for t := range w.r.c.Image().Topics() {
		for _, p := range t.Partitions {
			if p.Leader != core.NoNode && rapid.IntRange(0, 3).Draw(w.t, "catch up") > 0 {
				x := w.truth[partition{t.ID, p.ID}]
				for _, n := range p.Replicas {
					if w.alive(p, n) {
						x.has[n] = x.has[p.Leader]
					}
				}
				w.propose(t, p, func(n core.NodeID) bool { return w.alive(p, n) })
			}
		}
	}
}

// Whatever brokers, leaders and administrators do, in whatever order, committed records stay where leaders come from.
func TestControllerKeepsCommittedRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, r: newRig(Config{Node: 9, Partitions: 1, Replication: 1, Key: [32]byte{4}}), shadow: image.Empty(),
			truth: map[partition]*truth{}, epochs: -1, asked: map[partition]bool{}, reborn: core.NoNode}
		w.r.c.TakeOver(w.r.now, w.r.c.Image())
		w.take(w.r.c.Activate(false, nil))
		for n := range core.NodeID(worldNodes) {
			w.reborn = n + 1
			_, records := w.r.c.BrokerRegistration(w.r.now, w.r.registration(int32(n+1)), w.r.c.Image().End())
			w.take(records)
			_, records = w.r.c.BrokerHeartbeat(w.r.now, w.r.heartbeat(int32(n+1)))
			w.take(records)
		}
		w.create()
		steps := []func(){w.traffic, w.traffic, w.traffic, w.alterISR, w.alterISR, w.alterISR, w.register, w.register, w.heartbeat, w.heartbeat,
			w.heartbeat, w.clock, w.heal, w.heal, w.elect, w.elect, w.reassign, w.reassign, w.configure, w.configure, w.create, w.unregister, w.directory, w.feature, w.takeover}
		for range rapid.IntRange(10, 150).Draw(t, "steps") {
			steps[rapid.IntRange(0, len(steps)-1).Draw(t, "step")]()
		}
	})
}
