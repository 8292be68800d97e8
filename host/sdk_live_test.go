package host

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/client"
)

// These tests run against a live broker of any make: KLAMM_LIVE=host:port go test ./host -run Live

func liveClient(t *testing.T, o ClientOptions) *Client {
	addr := os.Getenv("KLAMM_LIVE")
	if addr == "" {
		t.Skip("KLAMM_LIVE names no broker")
	}
	c, err := NewClient(strings.Split(addr, ","), o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func liveTopic(t *testing.T, ctx context.Context, c *Client, partitions int32) string {
	name := fmt.Sprintf("live-%s-%d", strings.ReplaceAll(t.Name(), "/", "."), time.Now().UnixNano())
	_, err := c.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
		return a.CreateTopics(now, []client.NewTopic{{Name: name, Partitions: partitions, Replicas: 1}}, false, out)
	})
	require.NoError(t, err)
	var at []client.OffsetAt
	for p := range partitions {
		at = append(at, client.OffsetAt{At: core.TopicPartition{Topic: name, Partition: p}})
	}
	_, err = c.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID { return a.ListOffsets(now, at, out) })
	require.NoError(t, err) // now its leaders serve
	return name
}

func liveContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Every codec and every kind of acknowledgement brings records there and back, in order.
func TestLiveProduceConsume(t *testing.T) {
	for codec := range 5 {
		for acks := range 3 {
			t.Run(fmt.Sprintf("codec%d/acks%d", codec, acks), func(t *testing.T) {
				ctx := liveContext(t)
				o := ClientOptions{}
				for range codec {
					o.Producer.Codec++ // its type is of a room that this one does not import
				}
				o.Producer.Acks = client.Acks(acks)
				if o.Producer.Acks != client.AcksAll {
					o.InFlight = 1 // order over retries, without idempotence
				}
				c := liveClient(t, o)
				name := liveTopic(t, ctx, c, 3)
				var list []client.Record
				for i := range 500 {
					list = append(list, client.Record{Topic: name, Partition: int32(i % 3), Key: fmt.Appendf(nil, "k%d", i), Value: []byte(strings.Repeat("v", i%300))})
				}
				results, err := c.Produce(ctx, list...)
				require.NoError(t, err)
				require.Len(t, results, 500)
				k, err := c.NewConsumer(client.ConsumerOptions{})
				require.NoError(t, err)
				for p := range int32(3) {
					require.NoError(t, k.Assign(client.Start{From: client.FromEarliest}, core.TopicPartition{Topic: name, Partition: p}))
				}
				next := [3]core.Offset{}
				for n := 0; n < 500; {
					list, tidings, err := k.Poll(ctx, 100)
					require.NoError(t, err)
					require.Empty(t, tidings)
					require.NotEmpty(t, list)
					for _, m := range list {
						p := m.At.Partition
						require.Equal(t, next[p], m.Offset)
						require.Equal(t, fmt.Sprintf("k%d", int(next[p])*3+int(p)), string(m.Key))
						next[p]++
						n++
					}
				}
				require.NoError(t, k.Close(ctx))
			})
		}
	}
}

// Two members share a topic's partitions, every record is read, and the offsets that they commit stand
// when they have left.
func TestLiveGroup(t *testing.T) {
	for name, assignors := range map[string][]int{"default": nil, "sticky": {2}, "cooperative": {3}, "roundrobin": {1}} {
		t.Run(name, func(t *testing.T) {
			ctx := liveContext(t)
			c := liveClient(t, ClientOptions{})
			topic := liveTopic(t, ctx, c, 4)
			var list []client.Record
			for i := range 400 {
				list = append(list, client.Record{Topic: topic, Partition: int32(i % 4), Value: fmt.Append(nil, i)})
			}
			_, err := c.Produce(ctx, list...)
			require.NoError(t, err)
			o := client.ConsumerOptions{Reset: client.ResetEarliest}
			o.Group = client.GroupOptions{ID: "g-" + topic, Topics: []string{topic}, AutoCommitTime: -1, HeartbeatTime: 200 * core.Millisecond}
			for _, a := range assignors {
				o.Group.Assignors = append(o.Group.Assignors, 0)
				for range a {
					o.Group.Assignors[0]++
				}
			}
			a, err := c.NewConsumer(o)
			require.NoError(t, err)
			seen := map[string]int{}
			read := func(k *Consumer, enough func() bool) {
				for !enough() {
					short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
					messages, tidings, err := k.Poll(short, 50)
					cancel()
					require.NoError(t, err)
					require.NoError(t, ctx.Err())
					for _, m := range messages {
						seen[string(m.Value)]++
					}
					for _, x := range tidings {
						t.Log(x.Kind, x.Partitions, x.Failure)
					}
				}
			}
			held := func(k *Consumer) (n int) {
				k.Do(func(m *client.Consumer, _ core.Now, _ *core.Out) { n = len(m.Reading()) })
				return n
			}
			read(a, func() bool { return len(seen) == 400 })
			require.NoError(t, a.Commit(ctx))
			b, err := c.NewConsumer(o)
			require.NoError(t, err)
			for held(a) != 2 || held(b) != 2 {
				short := 0
				read(a, func() bool { short++; return short > 1 })
				short = 0
				read(b, func() bool { short++; return short > 1 })
			}
			require.NoError(t, a.Close(ctx))
			read(b, func() bool { return held(b) == 4 })
			require.NoError(t, b.Commit(ctx))
			require.NoError(t, b.Close(ctx))
			for _, n := range seen {
				require.Equal(t, 1, n)
			}
			answer, err := c.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.CommittedOffsets(now, o.Group.ID, out)
			})
			require.NoError(t, err)
			require.Len(t, answer.Committed, 4)
			for _, row := range answer.Committed {
				require.EqualValues(t, 100, row.Offset)
			}
		})
	}
}

// Every call of the admin is understood, and answered with what was done before.
func TestLiveAdmin(t *testing.T) {
	ctx := liveContext(t)
	c := liveClient(t, ClientOptions{})
	topic := liveTopic(t, ctx, c, 2)
	_, err := c.Produce(ctx, client.Record{Topic: topic, Value: []byte("a"), Timestamp: 1000}, client.Record{Topic: topic, Value: []byte("b"), Timestamp: 2000}, client.Record{Topic: topic, Value: []byte("c"), Timestamp: 3000})
	require.NoError(t, err)
	ask := func(f func(a *client.Admin, now core.Now, out *core.Out) client.CallID) client.Answer {
		answer, err := c.Admin(ctx, f)
		require.NoError(t, err)
		return answer
	}
	p0 := core.TopicPartition{Topic: topic}
	type A = *client.Admin
	ask(func(a A, n core.Now, o *core.Out) client.CallID {
		return a.CreatePartitions(n, []client.NewTopic{{Name: topic, Partitions: 3}}, false, o)
	})
	got := ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.DescribeTopics(n, []string{topic}, o) })
	require.Len(t, got.Topics[0].Partitions, 3)
	require.NotEmpty(t, ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.DescribeTopics(n, nil, o) }).Topics)
	of := client.Resource{Type: client.TopicResource, Name: topic}
	ask(func(a A, n core.Now, o *core.Out) client.CallID {
		return a.AlterConfigs(n, []client.ConfigChange{{Resource: of, Name: "retention.ms", Value: "12345"}}, false, o)
	})
	got = ask(func(a A, n core.Now, o *core.Out) client.CallID {
		return a.DescribeConfigs(n, []client.Resource{of}, o)
	})
	found := false
	for _, x := range got.Configs {
		found = found || x.Name == "retention.ms" && x.Value == "12345" && !x.IsDefault
	}
	require.True(t, found)
	got = ask(func(a A, n core.Now, o *core.Out) client.CallID {
		return a.ListOffsets(n, []client.OffsetAt{{At: p0, From: client.Start{From: client.FromLatest}}}, o)
	})
	end := got.Offsets[0].Offset
	if end > 0 {
		got = ask(func(a A, n core.Now, o *core.Out) client.CallID {
			return a.DeleteRecords(n, []client.OffsetAt{{At: p0, To: end}}, o)
		})
		require.Equal(t, end, got.Offsets[0].Offset)
	}
	ask(func(a A, n core.Now, o *core.Out) client.CallID {
		return a.DescribeProducers(n, []core.TopicPartition{p0}, o)
	})
	require.NotEmpty(t, ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.LogDirs(n, o) }).Dirs)
	require.NotEmpty(t, ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.DescribeCluster(n, o) }).Brokers)
	group := "ga-" + topic
	ask(func(a A, n core.Now, o *core.Out) client.CallID {
		return a.CommitOffsets(n, group, []client.CommitOffset{{At: p0, Offset: end, Epoch: -1, Metadata: "m"}}, o)
	})
	got = ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.CommittedOffsets(n, group, o) })
	require.Equal(t, []client.CommittedOffset{{At: p0, Offset: end, Epoch: -1, Metadata: "m"}}, got.Committed)
	got = ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.ListGroups(n, o) })
	require.NotEmpty(t, got.Groups)
	got = ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.DescribeGroups(n, []string{group}, o) })
	require.Equal(t, "Empty", got.Groups[0].State)
	ask(func(a A, n core.Now, o *core.Out) client.CallID {
		return a.DeleteOffsets(n, group, []core.TopicPartition{p0}, o)
	})
	_, err = c.Admin(ctx, func(a A, n core.Now, o *core.Out) client.CallID { return a.DeleteGroups(n, []string{group}, o) })
	t.Log(err)
	ask(func(a A, n core.Now, o *core.Out) client.CallID { return a.DeleteTopics(n, []string{topic}, o) })
	_, err = c.Admin(ctx, func(a A, n core.Now, o *core.Out) client.CallID { return a.DescribeTopics(n, []string{topic}, o) })
	require.ErrorContains(t, err, "UNKNOWN_TOPIC_OR_PARTITION")
}
