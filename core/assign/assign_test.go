package assign

import (
	"fmt"
	"slices"
	"testing"

	"klamm/core"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawTopics(t *rapid.T) (topics []Topic) {
	for i := range rapid.IntRange(0, 4).Draw(t, "topics") {
		topics = append(topics, Topic{fmt.Sprintf("t%d", i), int32(rapid.IntRange(0, 7).Draw(t, "partitions"))})
	}
	return topics
}

// drawMembers draws subscriptions to the topics, and to one that does not exist.
func drawMembers(t *rapid.T, topics []Topic, alike bool) (members []Member) {
	pick := func() (names []string) {
		for _, topic := range topics {
			if rapid.Bool().Draw(t, "wants") {
				names = append(names, topic.Name)
			}
		}
		return append(names, "missing")
	}
	all := pick()
	for i := range rapid.IntRange(0, 6).Draw(t, "members") {
		m := Member{ID: fmt.Sprintf("m%d", i), Subscription: Subscription{Version: 3, Topics: all, Generation: -1}}
		if !alike {
			m.Topics = pick()
		}
		if rapid.IntRange(0, 3).Draw(t, "static") == 0 {
			m.Instance = fmt.Sprintf("i%d", 9-i)
		}
		for range rapid.IntRange(0, 3).Draw(t, "owned") {
			m.Owned = append(m.Owned, core.TopicPartition{Topic: fmt.Sprintf("t%d", rapid.IntRange(0, 4).Draw(t, "of")), Partition: int32(rapid.IntRange(-1, 8).Draw(t, "p"))})
			m.Generation = int32(rapid.IntRange(0, 2).Draw(t, "generation"))
		}
		members = append(members, m)
	}
	return members
}

func wants(m *Member, topic string) bool { return slices.Contains(m.Topics, topic) }

func find(members []Member, id string) *Member {
	return &members[slices.IndexFunc(members, func(m Member) bool { return m.ID == id })]
}

// checkLegal is I47: every partition that somebody wants has exactly one owner, who wants it. With holes
// it may have none.
func checkLegal(t require.TestingT, members []Member, topics []Topic, rows []Assignment, holes bool) {
	owners := map[core.TopicPartition]int{}
	require.Len(t, rows, len(members))
	for _, r := range rows {
		for _, p := range r.Partitions {
			owners[p]++
			require.True(t, wants(find(members, r.ID), p.Topic), "%s did not subscribe to %v", r.ID, p)
		}
	}
	for _, topic := range topics {
		anyone := slices.ContainsFunc(members, func(m Member) bool { return wants(&m, topic.Name) })
		for p := range topic.Partitions {
			n := owners[core.TopicPartition{Topic: topic.Name, Partition: p}]
			delete(owners, core.TopicPartition{Topic: topic.Name, Partition: p})
			if holes && anyone {
				require.LessOrEqual(t, n, 1)
			} else if anyone {
				require.Equal(t, 1, n, "owners of %s-%d", topic.Name, p)
			} else {
				require.Zero(t, n)
			}
		}
	}
	require.Empty(t, owners, "partitions that do not exist")
}

func TestEveryPartitionHasOneOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, rapid.Bool().Draw(t, "alike"))
		for a := range assignorCount {
			rows := a.Assign(members, topics)
			checkLegal(t, members, topics, rows, a == CooperativeSticky)
			shuffled := rapid.Permutation(members).Draw(t, "order")
			require.Equal(t, rows, a.Assign(shuffled, topics), "%v depends on the order", a)
		}
	})
}

func loads(rows []Assignment) (least, most int) {
	for i, r := range rows {
		if n := len(r.Partitions); i == 0 {
			least, most = n, n
		} else {
			least, most = min(least, n), max(most, n)
		}
	}
	return least, most
}

func TestBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, true)
		for _, a := range []Assignor{RoundRobin, Sticky} {
			least, most := loads(a.Assign(members, topics))
			require.LessOrEqual(t, most-least, 1, "%v", a)
		}
		for _, topic := range topics {
			least, most := loads(Range.Assign(members, []Topic{topic}))
			require.LessOrEqual(t, most-least, 1)
		}
	})
}

func own(members []Member, rows []Assignment, generation int32) []Member {
	next := slices.Clone(members)
	for _, r := range rows {
		m := find(next, r.ID)
		m.Owned, m.Generation = r.Partitions, generation
	}
	return next
}

func TestStickyKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, rapid.Bool().Draw(t, "alike"))
		first := Sticky.Assign(members, topics)
		again := own(members, first, 3)
		require.Equal(t, first, Sticky.Assign(again, topics), "nothing changed, so nothing moves")
		if len(again) < 2 {
			return
		}
		// One leaves: nobody else loses anything.
		gone := rapid.IntRange(0, len(again)-1).Draw(t, "gone")
		rest := slices.Delete(slices.Clone(again), gone, gone+1)
		alike := true
		for i := range rest {
			alike = alike && slices.Equal(rest[i].Topics, again[gone].Topics)
		}
		if !alike {
			return
		}
		for _, r := range Sticky.Assign(rest, topics) {
			for _, p := range find(rest, r.ID).Owned {
				require.Contains(t, r.Partitions, p)
			}
		}
	})
}

// Nobody gets in the same round what another one holds (I46), and after two rounds all is given out.
func TestCooperativeGivesUpFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, rapid.Bool().Draw(t, "alike"))
		rows := CooperativeSticky.Assign(members, topics)
		for _, r := range rows {
			for i := range members {
				if members[i].ID == r.ID || !wants(&members[i], "missing") {
					continue
				}
				for _, p := range members[i].Owned {
					if slices.Contains(r.Partitions, p) {
						// Then the claim was older than the owner's own.
						m := find(members, r.ID)
						require.True(t, slices.Contains(m.Owned, p) && m.Generation > members[i].Generation || !wants(&members[i], p.Topic),
							"%s got %v, which %s holds", r.ID, p, members[i].ID)
					}
				}
			}
		}
		rows = CooperativeSticky.Assign(own(members, rows, 5), topics)
		rows = CooperativeSticky.Assign(own(members, rows, 6), topics)
		checkLegal(t, members, topics, rows, false)
	})
}

// Two members that claim one partition in one generation are both not believed (KAFKA-12984).
func TestDoubleClaim(t *testing.T) {
	p := core.TopicPartition{Topic: "t", Partition: 0}
	claim := func(id string, generation int32) Member {
		return Member{ID: id, Subscription: Subscription{Version: 2, Topics: []string{"t"}, Owned: []core.TopicPartition{p}, Generation: generation}}
	}
	topics := []Topic{{"t", 1}}
	rows := CooperativeSticky.Assign([]Member{claim("a", 1), claim("b", 1)}, topics)
	require.Empty(t, rows[0].Partitions)
	require.Empty(t, rows[1].Partitions)
	rows = Sticky.Assign([]Member{claim("a", 1), claim("b", 2)}, topics)
	require.Equal(t, "b", rows[1].ID)
	require.Len(t, rows[1].Partitions, 1, "the newer claim counts")
}

func TestRangeAsKafka(t *testing.T) {
	sub := Subscription{Topics: []string{"x", "y"}}
	rows := Range.Assign([]Member{{ID: "c2", Subscription: sub}, {ID: "c1", Subscription: sub}}, []Topic{{"x", 3}, {"y", 3}})
	require.Equal(t, "[{c1 [{x 0} {x 1} {y 0} {y 1}]} {c2 [{x 2} {y 2}]}]", fmt.Sprint(rows))
	rows = RoundRobin.Assign([]Member{{ID: "c2", Subscription: sub}, {ID: "c1", Subscription: sub}}, []Topic{{"x", 3}, {"y", 3}})
	require.Equal(t, "[{c1 [{x 0} {x 2} {y 1}]} {c2 [{x 1} {y 0} {y 2}]}]", fmt.Sprint(rows))
}

func TestProtocolBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Subscription{Version: int16(rapid.IntRange(0, 3).Draw(t, "version")), Topics: []string{"a", "b"}, UserData: []byte("u"), Generation: -1}
		if s.Version >= 1 && rapid.Bool().Draw(t, "owns") {
			s.Owned = []core.TopicPartition{{Topic: "a", Partition: 1}, {Topic: "a", Partition: 2}, {Topic: "b", Partition: 0}}
		}
		if s.Version >= 2 {
			s.Generation = 7
		}
		if s.Version >= 3 {
			s.Rack = "r"
		}
		got, ok := ParseSubscription(s.Append(nil))
		require.True(t, ok)
		require.Equal(t, s, got)
		b := AppendAssignment(nil, s.Version, s.Owned, []byte("w"))
		partitions, user, ok := ParseAssignment(b)
		require.True(t, ok)
		require.Equal(t, s.Owned, partitions)
		require.Equal(t, "w", string(user))
		_, _, ok = ParseAssignment(b[:len(b)-1])
		require.False(t, ok)
	})
	_, ok := ParseSubscription(rapidBytes)
	require.False(t, ok)
}

var rapidBytes = []byte{0, 1, 0xff}
