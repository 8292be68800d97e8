package group

import (
	"fmt"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
)

func commitAll(t *testing.T, w *world, groups, partitions int, topic string, id core.TopicID) {
	for g := range groups {
		var rows []CommitRow
		for p := range partitions {
			rows = append(rows, CommitRow{Partition: core.TopicPartition{Topic: topic, Partition: int32(p)}, TopicID: id, Offset: 5})
		}
		w.st.Commit(w.env(), &Committer{Group: fmt.Sprint("g", g), Generation: -1, Retention: -1}, rows)
		for _, r := range rows {
			require.Equal(t, wire.None, r.Code)
		}
	}
}

// The offsets of a deleted topic go some at a time, whatever a shard holds; those of a new topic of that name, committed
// meanwhile, stay, and so do those of others.
func TestDeletedTopicsAreForgottenInBoundedSteps(t *testing.T) {
	w := newWorld()
	w.st.cfg.SweepMax = 3
	old, other, again := core.TopicID{1}, core.TopicID{2}, core.TopicID{3}
	commitAll(t, w, 4, 8, "t", old)
	commitAll(t, w, 4, 2, "u", other)
	w.st.TopicsDeleted(w.env(), []DeletedTopic{{"t", old}})
	commitAll(t, w, 4, 5, "t", again)
	w.st.TopicsDeleted(w.env(), []DeletedTopic{{"x", core.TopicID{7}}})
	w.st.TopicsDeleted(w.env(), []DeletedTopic{{"u", other}})
	require.Len(t, w.st.forgets, 2, "the second sweep takes all that comes while the first is under way")
	steps := 0
	for ; len(w.st.forgets) > 0; steps++ {
		require.Less(t, steps, 200)
		before := len(w.log.records)
		w.now.Mono = w.st.Next()
		w.st.Tick(w.env())
		require.LessOrEqual(t, len(w.log.records)-before, 3)
	}
	require.Greater(t, steps, 10)
	for g := range 4 {
		rows := w.st.Offsets(fmt.Sprint("g", g))
		require.Len(t, rows, 5)
		for _, r := range rows {
			require.Equal(t, again, r.Commit.TopicID)
		}
	}
	require.Contains(t, w.marks.Names(), "group.long-sweep")
}

// Expiry too: a group whose offsets are gone after several steps goes with the last of them.
func TestOffsetsExpireInBoundedSteps(t *testing.T) {
	w := newWorld()
	w.st.cfg.SweepMax, w.st.cfg.Retention = 3, core.Minute
	commitAll(t, w, 3, 7, "t", core.TopicID{1})
	w.now.Mono, w.now.Wall = w.now.Mono+core.Hour, w.now.Wall+core.Hour
	for steps := 0; len(w.st.names) > 0; steps++ {
		require.Less(t, steps, 50)
		before := len(w.log.records)
		w.now.Mono = max(w.now.Mono, w.st.Next())
		w.st.Tick(w.env())
		require.LessOrEqual(t, len(w.log.records)-before, 3+3, "offsets, and groups that are empty")
	}
}
