package image

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// dump prints all that an image holds, in an order of its own making: by the records of its snapshot, which
// say everything, but sorted and encoded here.
func dump(i *Image) string {
	var b strings.Builder
	for _, f := range i.Features() {
		fmt.Fprintf(&b, "feature %s=%d\n", f.Name, f.Level)
	}
	for _, n := range i.Brokers() {
		fmt.Fprintf(&b, "broker %d epoch=%d fenced=%v shutdown=%v endpoints=%v rack=%q dirs=%v cordoned=%v\n", n.ID, n.Epoch, n.Fenced, n.ControlledShutdown, n.Endpoints, n.Rack, n.LogDirs, n.Cordoned)
	}
	for t := range i.Topics() {
		fmt.Fprintf(&b, "topic %s id=%s\n", t.Name, t.ID)
		for _, p := range t.Partitions {
			fmt.Fprintf(&b, "  %d leader=%d/%d epoch=%d replicas=%v isr=%v adding=%v removing=%v elr=%v last=%v recovering=%v\n",
				p.ID, p.Leader, p.LeaderEpoch, p.Epoch, p.Replicas, p.ISR, p.Adding, p.Removing, p.ELR, p.LastKnownELR, p.Recovering)
		}
	}
	for s := range i.ConfigSets() {
		fmt.Fprintf(&b, "config %d %q %v\n", s.Kind, s.Name, s.Values)
	}
	if i.NextProducerID() > 0 {
		fmt.Fprintf(&b, "producer ids from %d\n", i.NextProducerID())
	}
	return b.String()
}

func show(d *Delta) string {
	var b strings.Builder
	for _, t := range d.Created {
		fmt.Fprintf(&b, "created %s\n", t.Name)
	}
	for _, t := range d.Deleted {
		fmt.Fprintf(&b, "deleted %s\n", t.Name)
	}
	for _, c := range d.Changed {
		if c.Old == nil {
			fmt.Fprintf(&b, "added %s-%d\n", c.Topic.Name, c.New.ID)
			continue
		}
		fmt.Fprintf(&b, "changed %s-%d leader %d/%d to %d/%d\n", c.Topic.Name, c.New.ID, c.Old.Leader, c.Old.LeaderEpoch, c.New.Leader, c.New.LeaderEpoch)
	}
	if len(d.Configs) > 0 {
		fmt.Fprintf(&b, "configs %v\n", d.Configs)
	}
	if len(d.Brokers) > 0 {
		fmt.Fprintf(&b, "brokers %v\n", d.Brokers)
	}
	if d.Features {
		b.WriteString("features\n")
	}
	if d.ProducerIDs {
		b.WriteString("producer ids\n")
	}
	return b.String()
}

func testID(name string) (id core.TopicID) {
	copy(id[:], name)
	return id
}

func nodes(args []string) []core.NodeID {
	out := []core.NodeID{}
	for _, a := range args {
		var n int
		fmt.Sscan(a, &n)
		out = append(out, core.NodeID(n))
	}
	return out
}

// script turns a line of a script into a record.
func script(t *testing.T, d *datadriven.TestData, line string) wire.Record {
	cmd, args, err := datadriven.ParseLine(line)
	require.NoError(t, err, d.Pos)
	vals := map[string][]string{}
	for _, a := range args {
		vals[a.Key] = a.Vals
	}
	text := func(k string) string { return strings.Join(vals[k], "") }
	num := func(k string, or int64) int64 {
		if _, ok := vals[k]; ok {
			_, err := fmt.Sscan(text(k), &or)
			require.NoError(t, err, d.Pos)
		}
		return or
	}
	switch cmd {
	case "topic":
		return &wire.TopicRecord{Name: text("name"), TopicID: testID(text("name") + text("id"))}
	case "remove":
		return &wire.RemoveTopicRecord{TopicID: testID(text("name") + text("id"))}
	case "partition":
		r := wire.NewPartitionRecord()
		r.TopicID, r.PartitionID, r.Leader, r.LeaderEpoch, r.PartitionEpoch = testID(text("topic")), int32(num("p", 0)), core.NodeID(num("leader", 1)), 0, 0
		r.Replicas, r.ISR = nodes(vals["replicas"]), nodes(vals["replicas"])
		return r
	case "change":
		r := wire.NewPartitionChangeRecord()
		r.TopicID, r.PartitionID, r.Leader = testID(text("topic")), int32(num("p", 0)), core.NodeID(num("leader", -2))
		if _, ok := vals["isr"]; ok {
			r.ISR = nodes(vals["isr"])
		}
		if _, ok := vals["elr"]; ok {
			r.EligibleLeaderReplicas = nodes(vals["elr"])
		}
		return r
	case "config":
		r := &wire.ConfigRecord{ResourceType: int8(num("kind", 2)), ResourceName: text("of"), Name: text("name")}
		if _, ok := vals["value"]; ok {
			v := text("value")
			r.Value = &v
		}
		return r
	case "feature":
		return &wire.FeatureLevelRecord{Name: text("name"), FeatureLevel: int16(num("level", 0))}
	case "register":
		r := wire.NewRegisterBrokerRecord()
		r.BrokerID, r.BrokerEpoch = core.NodeID(num("id", 1)), core.BrokerEpoch(num("epoch", 0))
		return r
	case "amend":
		r := wire.NewBrokerRegistrationChangeRecord()
		r.BrokerID, r.BrokerEpoch, r.Fenced = core.NodeID(num("id", 1)), core.BrokerEpoch(num("epoch", 0)), int8(num("fenced", 0))
		return r
	case "ids":
		return &wire.ProducerIdsRecord{BrokerID: 1, NextProducerID: num("next", 0)}
	case "clear-elr":
		return &wire.ClearElrRecord{TopicName: text("topic")}
	}
	d.Fatalf(t, "unknown record %q", cmd)
	return nil
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/image", func(t *testing.T, path string) {
		img := Empty()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "apply":
				var records []wire.Record
				for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
					records = append(records, script(t, d, line))
				}
				next, delta, err := img.Apply(records, img.End()+core.Offset(len(records)), 1)
				if err != nil {
					return "refused: " + err.Error() + "\n"
				}
				img = next
				return show(delta)
			case "show":
				return dump(img)
			case "collision":
				return img.Collision(d.CmdArgs[0].String()) + "\n"
			}
			return "unknown command"
		})
	})
}

// model is the naive image: maps that are written in place.
type model struct {
	topics  map[string]*modelTopic
	configs map[string]string // kind/resource/name
	next    int64
}

type modelTopic struct {
	id         core.TopicID
	partitions []Partition
}

func (m *model) dump() string {
	var rows []string
	for name, t := range m.topics {
		row := fmt.Sprintf("topic %s id=%s", name, t.id)
		for _, p := range t.partitions {
			row += fmt.Sprintf(" %d:%d/%d/%d%v", p.ID, p.Leader, p.LeaderEpoch, p.Epoch, p.ISR)
		}
		rows = append(rows, row)
	}
	for k, v := range m.configs {
		rows = append(rows, "config "+k+"="+v)
	}
	sort.Strings(rows)
	return strings.Join(rows, "\n") + fmt.Sprint(m.next)
}

func flat(i *Image) string {
	var rows []string
	for t := range i.Topics() {
		row := fmt.Sprintf("topic %s id=%s", t.Name, t.ID)
		for _, p := range t.Partitions {
			row += fmt.Sprintf(" %d:%d/%d/%d%v", p.ID, p.Leader, p.LeaderEpoch, p.Epoch, p.ISR)
		}
		rows = append(rows, row)
		if i.TopicByID(t.ID) != t {
			rows = append(rows, "id of "+t.Name+" leads elsewhere")
		}
	}
	for s := range i.ConfigSets() {
		for _, kv := range s.Values {
			rows = append(rows, fmt.Sprintf("config %d/%s/%s=%s", s.Kind, s.Name, kv.Name, kv.Value))
		}
	}
	sort.Strings(rows)
	return strings.Join(rows, "\n") + fmt.Sprint(i.NextProducerID())
}

// draw makes a record that fits the model, applies it there, and returns it.
func (m *model) draw(t *rapid.T, serial int) wire.Record {
	names := make([]string, 0, len(m.topics))
	for n := range m.topics {
		names = append(names, n)
	}
	sort.Strings(names)
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	if len(names) == 0 && kind >= 2 && kind <= 6 {
		kind = 0
	}
	switch kind {
	case 0, 1:
		name := fmt.Sprintf("t%d", rapid.IntRange(0, 400).Draw(t, "name"))
		if m.topics[name] != nil {
			m.next += 1000
			return &wire.ProducerIdsRecord{NextProducerID: m.next}
		}
		id := testID(fmt.Sprint("id", serial))
		m.topics[name] = &modelTopic{id: id}
		return &wire.TopicRecord{Name: name, TopicID: id}
	case 2:
		name := rapid.SampledFrom(names).Draw(t, "remove")
		id := m.topics[name].id
		delete(m.topics, name)
		for k := range m.configs {
			if strings.HasPrefix(k, "2/"+name+"/") {
				delete(m.configs, k)
			}
		}
		return &wire.RemoveTopicRecord{TopicID: id}
	case 3, 4:
		topic := m.topics[rapid.SampledFrom(names).Draw(t, "topic")]
		r := wire.NewPartitionRecord()
		r.TopicID, r.PartitionID, r.Leader, r.LeaderEpoch, r.PartitionEpoch = topic.id, int32(len(topic.partitions)), 1, 0, 0
		r.Replicas, r.ISR = []core.NodeID{1, 2}, []core.NodeID{1, 2}
		topic.partitions = append(topic.partitions, Partition{ID: r.PartitionID, Leader: 1, ISR: r.ISR})
		return r
	case 5, 6:
		topic := m.topics[rapid.SampledFrom(names).Draw(t, "topic")]
		if len(topic.partitions) == 0 {
			return &wire.NoOpRecord{}
		}
		p := &topic.partitions[rapid.IntRange(0, len(topic.partitions)-1).Draw(t, "p")]
		r := wire.NewPartitionChangeRecord()
		r.TopicID, r.PartitionID = topic.id, p.ID
		p.Epoch++
		if rapid.Bool().Draw(t, "lead") {
			r.Leader = core.NodeID(rapid.IntRange(-1, 2).Draw(t, "leader"))
			p.Leader, p.LeaderEpoch = r.Leader, p.LeaderEpoch+1
		} else {
			r.ISR = []core.NodeID{core.NodeID(rapid.IntRange(1, 2).Draw(t, "isr"))}
			p.ISR = r.ISR
		}
		return r
	default:
		of, res := rapid.SampledFrom([]string{"t1", "t2", "x"}).Draw(t, "of"), rapid.SampledFrom([]int8{2, 4}).Draw(t, "res")
		r := &wire.ConfigRecord{ResourceType: res, ResourceName: of, Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")}
		k := fmt.Sprintf("%d/%s/%s", res, of, r.Name)
		delete(m.configs, k)
		if rapid.Bool().Draw(t, "set") {
			v := fmt.Sprint(serial)
			r.Value, m.configs[k] = &v, v
		}
		return r
	}
}

// Whatever the records, the image says what a naive model says; images that were handed out before
// never change; and the records of a snapshot make the same image (I41, I42).
func TestImageEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{topics: map[string]*modelTopic{}, configs: map[string]string{}}
		img := Empty()
		var former []*Image
		var said []string
		serial := 0
		for range rapid.IntRange(1, 30).Draw(t, "batches") {
			var records []wire.Record
			for range rapid.IntRange(1, 40).Draw(t, "records") {
				serial++
				records = append(records, m.draw(t, serial))
			}
			before := flat(img)
			next, delta, err := img.Apply(records, img.End()+core.Offset(len(records)), 1)
			require.NoError(t, err)
			require.Equal(t, before, flat(img), "the old image stays")
			require.Equal(t, m.dump(), flat(next))
			checkDelta(t, img, next, delta)
			former, said = append(former, img), append(said, before)
			img = next
		}
		for i := range former {
			require.Equal(t, said[i], flat(former[i]))
		}
		walk, step := img.Walk(), rapid.IntRange(1, 9).Draw(t, "step")
		var pieces []wire.Record
		for more := walk.Next(step); more != nil; more = walk.Next(step) {
			pieces = append(pieces, more...)
		}
		require.Equal(t, img.Snapshot(), pieces, "in pieces or at once")
		again, _, err := Empty().Apply(throughBytes(t, img.Snapshot()), img.End(), img.Epoch())
		require.NoError(t, err)
		require.Equal(t, dump(img), dump(again))
		require.Equal(t, img.PartitionCount(), again.PartitionCount())
	})
}

// throughBytes encodes and decodes records, as a snapshot file does.
func throughBytes(t *rapid.T, records []wire.Record) (out []wire.Record) {
	for _, r := range records {
		b := wire.AppendRecordVersion(nil, r, RecordVersion(r, 30))
		rec, err := wire.ParseRecord(b)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, wire.AppendRecordVersion(nil, rec, RecordVersion(rec, 30))))
		out = append(out, rec)
	}
	return out
}

// checkDelta holds a delta against a comparison of both images.
func checkDelta(t *rapid.T, old, img *Image, d *Delta) {
	var created, deleted, changed []string
	for topic := range img.Topics() {
		before := old.TopicByID(topic.ID)
		if before == nil {
			created = append(created, topic.Name)
			continue
		}
		for _, p := range topic.Partitions {
			if q := before.Partition(p.ID); q != p {
				changed = append(changed, fmt.Sprintf("%s-%d", topic.Name, p.ID))
			}
		}
	}
	for topic := range old.Topics() {
		if img.TopicByID(topic.ID) == nil {
			deleted = append(deleted, topic.Name)
		}
	}
	var c, e, g []string
	for _, x := range d.Created {
		c = append(c, x.Name)
	}
	for _, x := range d.Deleted {
		e = append(e, x.Name)
	}
	for _, x := range d.Changed {
		g = append(g, fmt.Sprintf("%s-%d", x.Topic.Name, x.New.ID))
	}
	require.Equal(t, created, c)
	require.Equal(t, deleted, e)
	require.Equal(t, changed, g)
}

// A change to one of ten thousand topics copies little: the bound is on allocated bytes, not on time.
func TestManyTopicsAreCheap(t *testing.T) {
	var records []wire.Record
	for i := range 10000 {
		id := testID(fmt.Sprint("x", i))
		p := wire.NewPartitionRecord()
		p.TopicID, p.PartitionID, p.Replicas, p.ISR = id, 0, []core.NodeID{1}, []core.NodeID{1}
		records = append(records, &wire.TopicRecord{Name: fmt.Sprintf("topic.%d", i), TopicID: id}, p)
	}
	img, _, err := Empty().Apply(records, 20000, 1)
	require.NoError(t, err)
	require.Equal(t, 10000, img.TopicCount())
	require.True(t, slices.IsSorted(slices.Collect(func(yield func(string) bool) {
		for topic := range img.Topics() {
			if !yield(topic.Name) {
				return
			}
		}
	})))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _, err := img.Apply([]wire.Record{&wire.TopicRecord{Name: "new", TopicID: testID("new")}}, 20001, 1)
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/100, uint64(64<<10))
}
