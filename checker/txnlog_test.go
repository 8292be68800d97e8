package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// states makes a log of one transactional id: each record is its state, its epoch and its producer id.
func states(rows ...[3]int) (list []TxnState) {
	for i, r := range rows {
		list = append(list, TxnState{Offset: int64(i), ID: "x", Status: int8(r[0]), Epoch: int16(r[1]), Producer: int64(r[2]), Bumped: true})
	}
	return list
}

func TestTxnLog(t *testing.T) {
	const last = 1<<15 - 2
	for _, c := range []struct {
		name    string
		records []TxnState
		want    string
	}{
		{"nothing", nil, ""},
		{"commit and abort", states([3]int{0, 0, 7}, [3]int{1, 0, 7}, [3]int{1, 0, 7}, [3]int{2, 1, 7}, [3]int{4, 1, 7}, [3]int{1, 1, 7}, [3]int{3, 2, 7}, [3]int{5, 2, 7}), ""},
		{"an abort of nothing", states([3]int{0, 0, 7}, [3]int{3, 1, 7}, [3]int{5, 1, 7}, [3]int{3, 2, 7}, [3]int{5, 2, 7}), ""},
		{"producers anew", states([3]int{0, 0, 7}, [3]int{0, 1, 7}, [3]int{0, 1, 7}, [3]int{1, 1, 7}, [3]int{3, 2, 7}, [3]int{5, 2, 7}, [3]int{0, 3, 7}), ""},
		{"epochs used up", states([3]int{1, last, 7}, [3]int{2, last + 1, 7}, [3]int{4, 0, 9}, [3]int{1, 0, 9}), ""},
		{"epochs used up while idle", states([3]int{0, last, 7}, [3]int{0, 0, 8}), ""},
		{"compacted", states([3]int{4, 9, 7}, [3]int{1, 9, 7}), ""},
		{"the verdict flips", states([3]int{1, 0, 7}, [3]int{2, 1, 7}, [3]int{5, 1, 7}), "I63"},
		{"decided twice", states([3]int{1, 0, 7}, [3]int{2, 1, 7}, [3]int{3, 2, 7}), "I63"},
		{"a transaction begins before the last is over", states([3]int{1, 0, 7}, [3]int{2, 1, 7}, [3]int{1, 1, 7}, [3]int{2, 2, 7}, [3]int{4, 2, 7}), "I63"},
		{"a commit of nothing", states([3]int{0, 0, 7}, [3]int{2, 1, 7}, [3]int{4, 1, 7}), "I63"},
		{"committed out of nowhere", states([3]int{1, 0, 7}, [3]int{4, 0, 7}), "I63"},
		{"a producer begins over an open transaction", states([3]int{1, 0, 7}, [3]int{0, 1, 7}), "I63"},
		{"the epoch falls", states([3]int{0, 4, 7}, [3]int{0, 3, 7}), "I58"},
		{"the epoch is raised twice", states([3]int{1, 4, 7}, [3]int{3, 6, 7}, [3]int{5, 6, 7}), "I58"},
		{"another id too early", states([3]int{0, 4, 7}, [3]int{0, 0, 8}), "I58"},
		{"another id at a high epoch", states([3]int{0, last, 7}, [3]int{0, 5, 8}), "I58"},
		{"the last epoch is given out", states([3]int{1, last, 7}, [3]int{3, last + 1, 7}, [3]int{5, last + 1, 7}), "I58"},
		{"a zombie begins", states([3]int{0, 4, 7}, [3]int{0, 5, 7}, [3]int{1, 4, 7}), "I58"},
		{"never completed", states([3]int{1, 0, 7}, [3]int{2, 1, 7}), "I65"},
		{"an unknown state", states([3]int{0, 0, 7}, [3]int{7, 0, 7}), "I63"},
		{"forgotten while open", append(states([3]int{1, 0, 7}), TxnState{ID: "x", Gone: true}), "I65"},
		{"forgotten and back", append(append(states([3]int{0, 5, 7}), TxnState{ID: "x", Gone: true}), states([3]int{0, 0, 9})...), ""},
	} {
		found := CheckTxnLog(Partition{TopicID: "__transaction_state"}, c.records, last, true)
		if c.want == "" {
			require.Empty(t, found, c.name)
			continue
		}
		require.NotEmpty(t, found, c.name)
		require.Equal(t, c.want, found[0].Invariant, "%s: %v", c.name, found)
	}
	require.Empty(t, CheckTxnLog(Partition{}, states([3]int{1, 0, 7}, [3]int{2, 1, 7}), 1<<15-2, false), "it is under way")
}
