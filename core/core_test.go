package core

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// An Op is live from Start to Finish exactly once, and an Op of a former life of its slot is refused.
func TestOpsRefuseFormerLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := NewOps[int](7, 8)
		live := map[Op]int{}
		dead := map[Op]bool{}
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch {
			case ops.Room() > 0 && rapid.Bool().Draw(t, "start"):
				op := ops.Start(i)
				require.Equal(t, uint8(7), op.Table())
				require.NotContains(t, live, op)
				require.False(t, dead[op], "an op of a former life came back")
				live[op] = i
			case len(live) > 0:
				keys := make([]Op, 0, len(live))
				for op := range live {
					keys = append(keys, op)
				}
				op := rapid.SampledFrom(keys).Draw(t, "op")
				what, ok := ops.Finish(op)
				require.True(t, ok)
				require.Equal(t, live[op], what)
				delete(live, op)
				dead[op] = true
			}
			for op := range dead {
				_, ok := ops.Finish(op)
				require.False(t, ok)
			}
			require.Equal(t, len(live), ops.Live())
		}
		_, ok := ops.Finish(Op(8)<<56 | Op(1)<<32)
		require.False(t, ok, "an op of another table is refused")
		_, ok = ops.Finish(Op(7)<<56 | Op(1)<<32 | 99)
		require.False(t, ok, "an op beyond the table is refused")
	})
}

// Deadlines come in the order of their instants; those of one instant in the order in which they were set.
func TestTimersAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Timers
		at := rapid.SliceOfN(rapid.Int64Range(0, 20), 0, 100).Draw(t, "at")
		for i, a := range at {
			q.Set(Time(a), 1, uint64(i), 0)
		}
		q.Set(Never, 2, 0, 0) // waits for nothing, so it is not kept
		require.Equal(t, len(at), q.Len())
		last := Timer{At: -1}
		for range at {
			next := q.Next()
			_, early := q.Pop(next - 1)
			require.False(t, early)
			got, ok := q.Pop(next)
			require.True(t, ok)
			require.Equal(t, next, got.At)
			require.True(t, last.At < got.At || last.At == got.At && last.A < got.A)
			require.Equal(t, Time(at[got.A]), got.At)
			last = got
		}
		require.Equal(t, Never, q.Next())
	})
}

func TestTopicIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id TopicID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		got, ok := ParseTopicID(id.String())
		require.True(t, ok)
		require.Equal(t, id, got)
	})
	require.Equal(t, "AAAAAAAAAAAAAAAAAAAAAQ", TopicID{15: 1}.String()) // Kafka's id of the metadata topic
	for _, bad := range []string{"", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA*", "AAAAAAAAAAAAAAAAAAAAAQQ"} {
		_, ok := ParseTopicID(bad)
		require.False(t, ok, bad)
	}
}

// What a world encodes for an event, a machine reads back; what is cut short is refused.
func TestInfosSurviveTheirEncoding(t *testing.T) {
	ci := ConnInfo{Listener: "PLAINTEXT", Local: "127.0.0.1:9092", Remote: "[::1]:5", Chain: [][]byte{{1, 2}, {}}}
	b := ci.Append(nil)
	got, ok := ParseConnInfo(b)
	require.True(t, ok)
	require.Equal(t, ci, got)
	_, ok = ParseConnInfo(b[:len(b)-1])
	require.False(t, ok)
	bi := BootInfo{Key: [32]byte{3}, Config: "node.id=1\n"}
	gotBoot, ok := ParseBootInfo(bi.Append(nil))
	require.True(t, ok)
	require.Equal(t, bi, gotBoot)
	list := []Entry{{"a", 5}, {"dir", -1}}
	require.Equal(t, list, ParseList(AppendList(nil, list)))
	require.Equal(t, list[:1], ParseList(AppendList(nil, list)[:14]))
}

func TestTimeDoesNotOverflow(t *testing.T) {
	require.Equal(t, Never, Millis(1<<63-1))
	require.Equal(t, Never, (5 * Second).After(Never))
	require.Equal(t, int64(1500), Millis(1500).Millis())
	require.Equal(t, Time(3), Time(5).After(-2))
}

// Two generators of one key draw alike; of two keys that differ in one bit, unlike; and the zero key works.
func TestRandIsAFunctionOfItsKey(t *testing.T) {
	a, b, c := NewRand([32]byte{}), NewRand([32]byte{}), NewRand([32]byte{31: 1})
	same := 0
	for range 100 {
		x := a.Uint64()
		require.Equal(t, x, b.Uint64())
		if x == c.Uint64() {
			same++
		}
	}
	require.Zero(t, same)
	seen := [10]int{}
	for range 10000 {
		seen[a.IntN(10)]++
	}
	for _, n := range seen {
		require.InDelta(t, 1000, n, 200)
	}
}

// Marks are kept in one order, whatever order they were hit in; an Out without a table drops them.
func TestMarks(t *testing.T) {
	var m Marks
	out := Out{Marks: &m}
	for _, s := range []string{"b", "a", "b"} {
		out.Mark(s)
	}
	require.Equal(t, []string{"a", "b"}, m.Names())
	require.EqualValues(t, 2, m.Count("b"))
	(&Out{}).Mark("a")
}
