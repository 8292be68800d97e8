package quorum

import (
	"fmt"
	"testing"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// quiet makes a cluster without faults.
func quiet(t *testing.T, voters int) *cluster {
	c := newCluster(4, voters, 0)
	c.late = core.Millisecond
	for _, m := range c.members {
		c.start(m)
	}
	c.run2(core.Second)
	require.True(t, c.well(), c.describe())
	t.Cleanup(func() {
		require.Empty(t, c.broken)
		for _, name := range c.marks.Names() {
			marksHit[name] = true
		}
	})
	return c
}

func (c *cluster) leader() *member {
	for _, m := range c.members {
		if m.node != nil && m.node.Active() {
			return m
		}
	}
	return nil
}

func (c *cluster) add(n int) {
	for range n {
		m := c.leader()
		c.serial++
		out := core.Out{Marks: &c.marks}
		m.node.Append(c.clock(m), []wire.Record{topicRecord(fmt.Sprintf("t%012d", c.serial))}, level, m.store, &out)
		c.drain(m, &out)
		c.run2(c.now + 20*core.Millisecond)
	}
}

func (c *cluster) isolate(m *member, cut bool) {
	for j := range c.members {
		if j != m.id-1 {
			c.cut[m.id-1][j], c.cut[j][m.id-1] = cut, cut
		}
	}
}

// What a leader answers is checked before it is believed. Batches, pieces of a snapshot and snapshots that can't be right are not
// taken, and asked for again.
func TestWrongAnswersAreNotTaken(t *testing.T) {
	c := quiet(t, 3)
	wrong := map[string]int{}
	spoil := func(what string, n int, how func()) {
		if wrong[what]++; wrong[what] <= n {
			how()
		}
	}
	c.tamper = func(r kmsg.Response) {
		switch r := r.(type) {
		case *kmsg.FetchResponse:
			if p := &r.Topics[0].Partitions[0]; len(p.RecordBatches) > 0 {
				b := append([]byte(nil), p.RecordBatches...)
				b[len(b)-1] ^= 1
				spoil("batch", 3, func() { p.RecordBatches = b })
				short := p.RecordBatches[:len(p.RecordBatches)-1]
				spoil("cut", 5, func() { p.RecordBatches = short })
				spoil("again", 7, func() { p.RecordBatches = append(append([]byte(nil), b...), b...) })
			}
		case *kmsg.FetchSnapshotResponse:
			p := &r.Topics[0].Partitions[0]
			if len(p.Bytes) == 0 {
				return
			}
			spoil("piece", 2, func() { p.Position++ })
			if wrong["piece"] > 3 && wrong["bits"] < 1 {
				b := append([]byte(nil), p.Bytes...)
				b[len(b)-1] ^= 1
				spoil("bits", 1, func() { p.Bytes = b })
			}
		}
	}
	c.add(3)
	c.run2(c.now + 3*core.Second)
	require.True(t, c.alike(), c.describe())
	lagging := c.members[(c.leader().id)%3]
	c.isolate(lagging, true)
	c.add(60)
	c.isolate(lagging, false)
	c.run2(c.now + 6*core.Second)
	require.True(t, c.alike(), c.describe())
	for _, what := range []string{"batch", "cut", "again", "piece", "bits"} {
		require.Positive(t, wrong[what], what)
	}
}

// A message that names a second leader of an epoch contradicts what is known, and is refused.
func TestSecondLeaderIsRefused(t *testing.T) {
	c := quiet(t, 3)
	leader, epoch := c.members[0].node.Leader()
	for _, m := range c.members {
		if core.NodeID(m.id) == leader {
			continue
		}
		other := core.NodeID(6 - int(leader) - m.id)
		q := kmsg.NewPtrBeginQuorumEpochRequest()
		q.Version, q.VoterID = 1, -1
		p := kmsg.NewBeginQuorumEpochRequestTopicPartition()
		p.LeaderID, p.LeaderEpoch = int32(other), int32(epoch)
		q.Topics = []kmsg.BeginQuorumEpochRequestTopic{{Topic: Partition.Topic, Partitions: []kmsg.BeginQuorumEpochRequestTopicPartition{p}}}
		out := core.Out{Marks: &c.marks}
		m.node.Ask(c.clock(m), 1<<40, q, m.store, &out)
		answers := m.node.Answers()
		require.Len(t, answers, 1)
		require.Equal(t, int16(wire.InvalidRequest), answers[0].Resp.(*kmsg.BeginQuorumEpochResponse).Topics[0].Partitions[0].ErrorCode)
		is, _ := m.node.Leader()
		require.Equal(t, leader, is)
		c.drain(m, &out)
	}
}

// A leader that lacks what was committed here contradicts what was promised: the node stops and cuts nothing (I07, KAFKA-12460).
func TestCommittedIsNeverCut(t *testing.T) {
	c := quiet(t, 3)
	c.add(5)
	c.run2(c.now + core.Second)
	m := c.members[c.leader().id%3]
	end := m.node.End(m.store)
	out := core.Out{}
	m.node.diverged(c.clock(m), m.node.state.epoch, 2, m.store, &out)
	require.Contains(t, m.node.Failed(), "does not have what was committed here")
	require.Equal(t, end, m.node.End(m.store))
}

// A voter whose vote is lost does not start: it could vote twice.
func TestLostVoteStopsAVoter(t *testing.T) {
	c := quiet(t, 3)
	m := c.members[0]
	var out core.Out
	out.Remove(0, "/d/__cluster_metadata-0/quorum-state")
	m.disk.At(c.now)
	m.disk.Do(&out.Effects[0], 0)
	c.run2(c.now + 10*core.Millisecond)
	c.crash(m, false)
	c.start(m)
	c.run2(c.now + core.Second)
	require.Contains(t, c.broken, "quorum-state is missing")
	c.broken = ""
}

// A crash between the new beginning of the log and the name of its snapshot is mended at the next start, wherever it comes, and
// whether the log was shorter than the snapshot or, with what was never committed, longer.
func TestSnapshotOfARestartedLogIsAdopted(t *testing.T) {
	for step := range 40 {
		c := quiet(t, 3)
		lagging := c.members[c.leader().id%3]
		if step%2 == 0 {
			lagging = c.leader()
		}
		c.isolate(lagging, true)
		if step%2 == 0 {
			c.add(100)
			c.run2(c.now + 5*core.Second)
		}
		for c.leader() == nil || c.leader() == lagging {
			require.True(t, c.next(100*core.Second))
		}
		c.add(60)
		c.isolate(lagging, false)
		for c.now < 100*core.Second && lagging.node.download.stage < downloadRestarting {
			require.True(t, c.next(100*core.Second))
		}
		for range step {
			c.next(c.now + core.Second)
		}
		c.crash(lagging, step%4 < 2)
		c.start(lagging)
		c.run2(c.now + 5*core.Second)
		require.Empty(t, c.broken)
		require.True(t, c.alike(), c.describe())
	}
}

// The log that Restart empties keeps the vote.
func TestRestartKeepsTheVote(t *testing.T) {
	c := quiet(t, 3)
	m := c.members[c.leader().id%3]
	before, ok := m.disk.File("/d/__cluster_metadata-0/" + stateFile)
	require.True(t, ok)
	out := core.Out{}
	m.node.cutting = true
	require.Equal(t, log.AppendOK, m.store.Restart(c.clock(m), m.node.id, 100, &out))
	c.drain(m, &out)
	c.run2(c.now + 100*core.Millisecond)
	after, _ := m.disk.File("/d/__cluster_metadata-0/" + stateFile)
	require.Equal(t, before, after)
	c.broken = ""
}
