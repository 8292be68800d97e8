package broker

import (
	"regexp"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupsConfig keeps the number of logs small.
const groupsConfig = "offsets.topic.num.partitions=3\n"

// TestGroupScripts runs the golden scripts of the group APIs, each twice. In them $A stands for the member id that
// the broker gave to the call that said as=A.
func TestGroupScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/groups", func(t *testing.T, path string) {
		first := runGroupScript(t, path, nil)
		require.Equal(t, first, runGroupScript(t, path, nil), "two runs of one script")
	})
}

var memberIn = regexp.MustCompile(`MemberID=(\S+)`)

func runGroupScript(t *testing.T, path string, heard func(kmsg.Response)) uint64 {
	s := &script{t: t, w: newWorld(t)}
	s.w.heard = heard
	var names, ids []string // of members
	name := map[core.ConnID]string{}
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		s.d, s.w.t = d, t
		for i, n := range names {
			d.Input = strings.ReplaceAll(d.Input, "$"+n, ids[i])
		}
		if d.Cmd == "boot" || d.Cmd == "restart" {
			d.Input = groupsConfig + d.Input
		}
		if as := s.text("as", ""); as != "" {
			name[s.conn()] = as
		}
		text := s.command()
		if as := name[connOf(s.int("conn", 1))]; as != "" && (d.Cmd == "call" || d.Cmd == "reply") {
			if m := memberIn.FindStringSubmatch(text); m != nil {
				names, ids = append(names, as), append(ids, m[1])
				delete(name, connOf(s.int("conn", 1)))
			}
		}
		for i, n := range names {
			text = strings.ReplaceAll(text, ids[i], "$"+n)
		}
		return text
	})
	return s.w.hash
}

// The partition of a group is the one that Java's String.hashCode gives, as Kafka computes it.
func TestGroupPartition(t *testing.T) {
	for _, c := range []struct {
		group string
		want  int32
	}{
		{"", 0}, {"a", 47}, {"g1", 42}, {"console-consumer-1234", 9}, {"käse", 11}, {"日本", 47}, {"😀", 49}, {"polygenelubricants", 0},
	} {
		require.Equal(t, c.want, groupPartition(c.group, 50), "%q", c.group)
	}
}

// While a partition is replayed nothing is said of its groups: "no offset" would send a consumer to the start or
// the end of its partition.
func TestNothingIsAnsweredWhileLoading(t *testing.T) {
	w := newWorld(t)
	config := baseConfig + "offsets.topic.num.partitions=1\n"
	w.boot(config)
	w.connect(1, "10.0.0.1:5000")
	find := kmsg.NewPtrFindCoordinatorRequest()
	w.send(1, 0, "test", find)
	w.run()
	require.NotNil(t, w.receive(1))
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group = "g"
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = offsetsTopic
	topic.Partitions = []kmsg.OffsetCommitRequestTopicPartition{{Offset: 7}}
	commit.Topics = append(commit.Topics, topic)
	w.send(1, 8, "test", commit)
	w.run()
	require.Zero(t, w.receive(1).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)

	w.start()
	w.deliver(core.Event{Kind: core.Boot, Data: core.BootInfo{Key: [32]byte{8}, Config: config}.Append(nil)})
	loading := 0
	for len(w.events) > 0 {
		ev := w.events[0]
		w.events = w.events[1:]
		var out core.Out
		w.b.Step(w.now, &ev, &out)
		for _, e := range out.Effects {
			w.carryOut(e)
		}
		if c := w.b.coords.find(0); c != nil && c.shard.Phase() == shard.Loading {
			loading++
			_, code := w.b.coordinator("g")
			require.Equal(t, wire.CoordinatorLoadInProgress, code)
		}
	}
	require.Positive(t, loading, "the replay takes more than one step")
	c, code := w.b.coordinator("g")
	require.Equal(t, wire.None, code)
	v, found := c.groups.Offset("g", core.TopicPartition{Topic: offsetsTopic})
	require.True(t, found)
	require.Equal(t, core.Offset(7), v.Offset)
}
