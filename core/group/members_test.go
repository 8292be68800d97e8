package group

import (
	"fmt"
	"testing"

	"klamm/core/assign"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const crowd = 10_000

func crowdConfig(w *world) {
	cfg := DefaultConfig()
	cfg.MembersMax, cfg.ConsumersMax = crowd, crowd
	w.st = New(cfg)
	w.st.Loaded(w.env(), 0)
}

// Ten thousand members form a group of the classic protocol and learn what is theirs; one more is refused, and nothing of it is kept.
func TestTenThousandClassicMembers(t *testing.T) {
	w := newWorld()
	w.t = t
	crowdConfig(w)
	sub := assign.Subscription{Topics: []string{"t"}}
	join := func() (Wait, JoinResult, bool) {
		q := kmsg.NewJoinGroupRequest()
		q.Version, q.Group, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 3, "g", "consumer", 30000, 60000
		q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: sub.Append(nil)}}
		return w.st.Join(w.env(), &q, Client{ID: "c", Host: "/h"})
	}
	var waits []Wait
	for range crowd {
		wait, res, done := join()
		require.False(t, done, "%v", res.Code)
		waits = append(waits, wait)
	}
	_, res, done := join()
	require.True(t, done)
	require.Equal(t, wire.GroupMaxSizeReached, res.Code)
	w.at(3000)
	w.at(6000)
	leader := ""
	for i := range waits {
		res, done := w.st.Joined(waits[i])
		require.True(t, done)
		require.Equal(t, wire.None, res.Code)
		leader = res.Leader
	}
	_, res, done = join()
	require.True(t, done)
	require.Equal(t, wire.GroupMaxSizeReached, res.Code)
	sync := func(id string, assigned []kmsg.SyncGroupRequestGroupAssignment) (SyncResult, Wait, bool) {
		q := kmsg.NewSyncGroupRequest()
		q.Version, q.Group, q.MemberID, q.Generation, q.GroupAssignment = 3, "g", id, 1, assigned
		wait, res, done := w.st.Sync(w.env(), &q)
		return res, wait, done
	}
	var assigned []kmsg.SyncGroupRequestGroupAssignment
	var syncs []Wait
	mine := map[string]string{}
	for i := range waits {
		mine[waits[i].Member] = fmt.Sprint(i)
		assigned = append(assigned, kmsg.SyncGroupRequestGroupAssignment{MemberID: waits[i].Member, MemberAssignment: []byte(mine[waits[i].Member])})
		if waits[i].Member != leader {
			_, wait, done := sync(waits[i].Member, nil)
			require.False(t, done)
			syncs = append(syncs, wait)
		}
	}
	got, _, done := sync(leader, assigned)
	require.True(t, done)
	require.Equal(t, wire.None, got.Code)
	for _, wait := range syncs {
		got, done := w.st.Synced(wait)
		require.True(t, done)
		require.Equal(t, wire.None, got.Code)
		require.Equal(t, mine[wait.Member], string(got.Assignment))
	}
	require.Len(t, w.st.groups["g"].members, crowd)
	require.Empty(t, w.st.groups["g"].pending)
}

// And ten thousand of the consumer protocol, each of which gets its partition.
func TestTenThousandConsumers(t *testing.T) {
	w := newWorld()
	w.t = t
	crowdConfig(w)
	w.img = withTopic(t, w.img, 1, "t", crowd)
	beat := func(i int, epoch int32) *kmsg.ConsumerGroupHeartbeatResponse {
		q := kmsg.NewConsumerGroupHeartbeatRequest()
		q.Version, q.Group, q.MemberID, q.MemberEpoch = 1, "g", fmt.Sprintf("m-%05d", i), epoch
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		if epoch == 0 {
			q.RebalanceTimeoutMillis, q.SubscribedTopicNames = 60000, []string{"t"}
		} else {
			for _, s := range w.st.groups["g"].consumers.member(q.MemberID).assigned {
				q.Topics = append(q.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: s.topic, Partitions: []int32{s.partition}})
			}
		}
		resp, _ := w.st.ConsumerHeartbeat(w.env(), &q, Client{ID: "c", Host: "/h"})
		return resp
	}
	epochs := make([]int32, crowd)
	for i := range crowd {
		resp := beat(i, 0)
		require.Equal(t, wire.None, wire.Code(resp.ErrorCode))
		epochs[i] = resp.MemberEpoch
	}
	before := len(w.log.records)
	resp := beat(crowd, 0)
	require.Equal(t, wire.GroupMaxSizeReached, wire.Code(resp.ErrorCode))
	require.Len(t, w.log.records, before)
	w.at(w.now.Mono.Millis() + 1500)
	for range 2 { // the first had everything: it gives back, and then the others get it
		for i := range crowd {
			resp := beat(i, epochs[i])
			require.Equal(t, wire.None, wire.Code(resp.ErrorCode))
			epochs[i] = resp.MemberEpoch
		}
	}
	owned := map[int32]bool{}
	for i := range crowd {
		m := w.st.groups["g"].consumers.member(fmt.Sprintf("m-%05d", i))
		require.Len(t, m.assigned, 1)
		owned[m.assigned[0].partition] = true
	}
	require.Len(t, owned, crowd)
}
