package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	pa = Partition{"a", 0}
	pb = Partition{"b", 0}
)

func wrote(p Partition, v Value, offset int64) Write {
	return Write{Partition: p, Value: v, Invoke: 10, Return: 20, Outcome: OK, Offset: offset}
}

func unsure(p Partition, v Value) Write {
	return Write{Partition: p, Value: v, Invoke: 10, Return: Open, Outcome: Unknown, Offset: -1}
}

// txn is one whose end was asked for at 30 and answered at 40.
func txn(name string, commit bool, o Outcome, w ...Write) Txn {
	t := Txn{Name: name, Producer: "p", Life: 1, Commit: commit, Asked: 30, Ended: 40, Outcome: o, Writes: w}
	if o == Unknown {
		t.Ended = Open
	}
	return t
}

func got(p Partition, at int64, from, next int64, list ...Record) Poll {
	return Poll{Partition: p, Consumer: 1, Invoke: at, Return: at, From: from, Next: next, Records: list, High: -1, Start: -1}
}

func rec(offset int64, v Value) Record { return Record{offset, v} }

func view(p Partition, all, committed []Record) View {
	return View{Partition: p, All: all, Committed: committed, Complete: true}
}

func ids(found []Violation) (list []string) {
	for _, v := range found {
		list = append(list, v.Invariant)
	}
	return list
}

// Each history breaks one promise, and the checker names it.
func TestTransactionsRejected(t *testing.T) {
	two := func(o Outcome) Txn { return txn("T", true, o, wrote(pa, 1, 0), wrote(pb, 2, 0)) }
	both := []View{view(pa, []Record{rec(0, 1)}, []Record{rec(0, 1)}), view(pb, []Record{rec(0, 2)}, []Record{rec(0, 2)})}
	for _, x := range []struct {
		name, want string
		h          TxnHistory
	}{
		{"aborted read", "I75", TxnHistory{Txns: []Txn{txn("T", false, OK, wrote(pa, 1, 0))}, Polls: []Poll{got(pa, 50, 0, 1, rec(0, 1))}}},
		{"aborted read: the commit was refused", "I75", TxnHistory{Txns: []Txn{txn("T", true, Failed, wrote(pa, 1, 0))}, Polls: []Poll{got(pa, 50, 0, 1, rec(0, 1))}}},
		{"aborted read: nobody asked for a commit", "I75", TxnHistory{Txns: []Txn{txn("T", false, Unknown, wrote(pa, 1, 0))}, Polls: []Poll{got(pa, 50, 0, 1, rec(0, 1))}}},
		{"aborted record shown in the end", "I75", TxnHistory{Txns: []Txn{txn("T", false, OK, wrote(pa, 1, 0))}, Views: both[:1]}},
		{"dirty read", "I60", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Polls: []Poll{got(pa, 25, 0, 1, rec(0, 1))}}},
		{"torn: part was read, part is not there", "I61", TxnHistory{Txns: []Txn{two(Unknown)}, Views: []View{both[0], view(pb, []Record{rec(0, 2)}, nil)}}},
		{"lost write", "I74", TxnHistory{Txns: []Txn{two(OK)}, Views: []View{both[0], view(pb, nil, nil)}}},
		{"lost write whose answer had no offset", "I74", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, -1))}, Views: []View{view(pa, nil, nil)}}},
		{"committed and hidden", "I80", TxnHistory{Txns: []Txn{two(OK)}, Views: []View{both[0], view(pb, []Record{rec(0, 2)}, nil)}}},
		{"plain record hidden", "I80", TxnHistory{Plain: []Write{wrote(pa, 1, 0)}, Views: []View{view(pa, []Record{rec(0, 1)}, nil)}}},
		{"duplicate", "I77", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Polls: []Poll{got(pa, 50, 0, 6, rec(0, 1), rec(5, 1))}}},
		{"inconsistent offsets", "I76", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Plain: []Write{wrote(pa, 7, 0)}}},
		{"phantom", "I06", TxnHistory{Polls: []Poll{got(pa, 50, 0, 1, rec(0, 99))}}},
		{"refused and read", "I75", TxnHistory{Plain: []Write{{Partition: pa, Value: 1, Outcome: Failed, Offset: -1}}, Polls: []Poll{got(pa, 50, 0, 1, rec(0, 1))}}},
		{"skipped within a poll", "I78", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0), wrote(pa, 2, 1), wrote(pa, 3, 2))},
			Polls: []Poll{got(pa, 50, 0, 3, rec(0, 1), rec(2, 3))}}},
		{"skipped between polls", "I78", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0), wrote(pa, 2, 1), wrote(pa, 3, 2))},
			Polls: []Poll{got(pa, 50, 0, 1, rec(0, 1)), got(pa, 60, 2, 3, rec(2, 3))}}},
		{"skipped: the position passed an open transaction that was committed later", "I78", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))},
			Plain: []Write{wrote(pa, 2, 1)}, Polls: []Poll{got(pa, 25, 0, 2, rec(1, 2))}}},
		{"poll goes back", "I78", TxnHistory{Plain: []Write{wrote(pa, 1, 0), wrote(pa, 2, 1)}, Polls: []Poll{got(pa, 50, 0, 2, rec(0, 1), rec(1, 2)), got(pa, 60, 0, 1, rec(0, 1))}}},
		{"zombie commits", "I58", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Lives: []Life{{"p", 1, 1, 2}, {"p", 2, 25, 29}}}},
		{"zombie writes", "I58", TxnHistory{Txns: []Txn{txn("T", false, OK, wrote(pa, 1, 0))}, Lives: []Life{{"p", 1, 1, 2}, {"p", 2, 3, 5}}}},
		{"the repeat of a commit is refused", "I63", TxnHistory{Txns: []Txn{{Name: "T", Commit: true, Asked: 1, Outcome: Unknown, Denied: true, Writes: []Write{wrote(pa, 1, 0)}}},
			Polls: []Poll{got(pa, 50, 0, 1, rec(0, 1))}}},
		{"processed twice", "I56", TxnHistory{Plain: []Write{wrote(pa, 1, 0)}, Pipes: []Pipe{{Group: "g", From: []Partition{pa}}}, Txns: []Txn{
			{Name: "T", Commit: true, Group: "g", Reads: []Read{{pa, rec(0, 1)}}}, {Name: "U", Commit: true, Group: "g", Reads: []Read{{pa, rec(0, 1)}}}}}},
		{"never processed", "I80", TxnHistory{Plain: []Write{wrote(pa, 1, 0)}, Pipes: []Pipe{{Group: "g", From: []Partition{pa}, Done: true}},
			Txns: []Txn{{Name: "T", Group: "g", Reads: []Read{{pa, rec(0, 1)}}}}, Views: both[:1]}},
		{"G1c: two have read each other", "I79", TxnHistory{Txns: []Txn{
			{Name: "T", Commit: true, Writes: []Write{wrote(pa, 1, 0)}, Reads: []Read{{pb, rec(0, 2)}}},
			{Name: "U", Commit: true, Writes: []Write{wrote(pb, 2, 0)}, Reads: []Read{{pa, rec(0, 1)}}}}}},
		{"G1c: a ring of three", "I79", TxnHistory{Txns: []Txn{
			{Name: "T", Commit: true, Writes: []Write{wrote(pa, 1, 0)}, Reads: []Read{{pa, rec(2, 3)}}},
			{Name: "U", Commit: true, Writes: []Write{wrote(pa, 2, 1)}, Reads: []Read{{pa, rec(0, 1)}}},
			{Name: "V", Commit: true, Writes: []Write{wrote(pa, 3, 2)}, Reads: []Read{{pa, rec(1, 2)}}}}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			require.Contains(t, ids(CheckTransactions(&x.h)), x.want)
		})
	}
}

// Each history looks odd and is legal.
func TestTransactionsAccepted(t *testing.T) {
	for _, x := range []struct {
		name string
		h    TxnHistory
	}{
		{"the commit's answer was lost, and it is committed", TxnHistory{Txns: []Txn{txn("T", true, Unknown, wrote(pa, 1, 0), wrote(pb, 2, 0))},
			Views: []View{view(pa, []Record{rec(0, 1)}, []Record{rec(0, 1)}), view(pb, []Record{rec(0, 2)}, []Record{rec(0, 2)})}}},
		{"the commit's answer was lost, and it is not", TxnHistory{Txns: []Txn{txn("T", true, Unknown, wrote(pa, 1, 0), wrote(pb, 2, 0))},
			Views: []View{view(pa, []Record{rec(0, 1)}, nil), view(pb, []Record{rec(0, 2)}, nil)}}},
		{"a record of doubtful fate is not part of a transaction that is committed without an answer", TxnHistory{Txns: []Txn{txn("T", true, Unknown, wrote(pa, 1, 0), unsure(pb, 2))},
			Views: []View{view(pa, []Record{rec(0, 1)}, []Record{rec(0, 1)}), view(pb, nil, nil)}}},
		{"an aborted transaction lies in the log and is not shown", TxnHistory{Txns: []Txn{txn("T", false, OK, wrote(pa, 1, 0))},
			Plain: []Write{wrote(pa, 2, 2)}, Views: []View{view(pa, []Record{rec(0, 1), rec(2, 2)}, []Record{rec(2, 2)})}}},
		{"a poll passes over an aborted transaction and markers", TxnHistory{Txns: []Txn{txn("T", false, OK, wrote(pa, 1, 0))},
			Plain: []Write{wrote(pa, 2, 2)}, Polls: []Poll{got(pa, 50, 0, 3, rec(2, 2))}}},
		{"part of a committed transaction is shown before the rest", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0), wrote(pb, 2, 0))},
			Polls: []Poll{got(pa, 35, 0, 1, rec(0, 1)), got(pb, 36, 0, 0)}}},
		{"it is read while the answer to the commit is on its way", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Polls: []Poll{got(pa, 31, 0, 1, rec(0, 1))}}},
		{"a commit that was refused, whose records nobody sees", TxnHistory{Txns: []Txn{txn("T", true, Failed, wrote(pa, 1, 0))}, Views: []View{view(pa, []Record{rec(0, 1)}, nil)}}},
		{"the repeat of a commit is refused, for it had not been taken", TxnHistory{Txns: []Txn{{Name: "T", Commit: true, Asked: 1, Outcome: Unknown, Denied: true, Writes: []Write{wrote(pa, 1, 0)}}}}},
		{"a reader begins anew at an earlier place", TxnHistory{Plain: []Write{wrote(pa, 1, 0), wrote(pa, 2, 1)},
			Polls: []Poll{got(pa, 50, 0, 2, rec(0, 1), rec(1, 2)), {Partition: pa, Consumer: 1, Return: 60, From: 0, Next: 1, Records: []Record{rec(0, 1)}, Fresh: true}}}},
		{"a commit that a later life overtook was asked for before", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Lives: []Life{{"p", 1, 1, 2}, {"p", 2, 25, 35}}}},
		{"a life is not fenced by itself, nor by an earlier one", TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Lives: []Life{{"p", 1, 4, 5}, {"p", 0, 1, 6}, {"q", 2, 7, 8}}}},
		{"the same record goes through two groups", TxnHistory{Plain: []Write{wrote(pa, 1, 0)}, Pipes: []Pipe{{Group: "g"}, {Group: "h"}}, Txns: []Txn{
			{Name: "T", Commit: true, Group: "g", Reads: []Read{{pa, rec(0, 1)}}}, {Name: "U", Commit: true, Group: "h", Reads: []Read{{pa, rec(0, 1)}}}}}},
		{"a record goes into an aborted transaction and then into another", TxnHistory{Plain: []Write{wrote(pa, 1, 0)}, Pipes: []Pipe{{Group: "g", From: []Partition{pa}, Done: true}},
			Views: []View{view(pa, []Record{rec(0, 1)}, []Record{rec(0, 1)})}, Txns: []Txn{
				{Name: "T", Group: "g", Reads: []Read{{pa, rec(0, 1)}}}, {Name: "U", Commit: true, Group: "g", Reads: []Read{{pa, rec(0, 1)}}}}}},
		{"G0: writes of two transactions lie crosswise", TxnHistory{Txns: []Txn{
			txn("T", true, OK, wrote(pa, 1, 0), wrote(pb, 2, 1)), txn("U", true, OK, wrote(pa, 3, 1), wrote(pb, 4, 0))}}},
		{"G2: each has read before the other wrote", TxnHistory{Plain: []Write{wrote(pa, 8, 0), wrote(pb, 9, 0)}, Txns: []Txn{
			{Name: "T", Commit: true, Writes: []Write{wrote(pb, 1, 1)}, Reads: []Read{{pa, rec(0, 8)}}},
			{Name: "U", Commit: true, Writes: []Write{wrote(pa, 2, 1)}, Reads: []Read{{pb, rec(0, 9)}}}}}},
		{"a ring through a transaction that was aborted is none", TxnHistory{Txns: []Txn{
			{Name: "T", Commit: true, Writes: []Write{wrote(pa, 1, 0)}, Reads: []Read{{pb, rec(0, 2)}}},
			{Name: "U", Commit: false, Writes: []Write{wrote(pb, 2, 0)}, Reads: []Read{{pa, rec(0, 1)}}}}}},
		{"a record that was removed from the front between two reads", TxnHistory{Plain: []Write{wrote(pa, 1, 0)},
			Views: []View{{Partition: pa, All: []Record{rec(0, 1)}, Complete: true, Truncated: true}}}},
		{"loss beyond the promise", TxnHistory{Lossy: true, Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0))}, Views: []View{view(pa, nil, nil)}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			require.Empty(t, CheckTransactions(&x.h))
		})
	}
}

// What Kafka does not promise is counted.
func TestCycles(t *testing.T) {
	g0 := TxnHistory{Txns: []Txn{txn("T", true, OK, wrote(pa, 1, 0), wrote(pb, 2, 1)), txn("U", true, OK, wrote(pa, 3, 1), wrote(pb, 4, 0))}}
	require.Equal(t, Cycles{G0: 1}, FindCycles(&g0))
	g2 := TxnHistory{Plain: []Write{wrote(pa, 8, 0), wrote(pb, 9, 0)}, Txns: []Txn{
		{Name: "T", Commit: true, Writes: []Write{wrote(pb, 1, 1)}, Reads: []Read{{pa, rec(0, 8)}}},
		{Name: "U", Commit: true, Writes: []Write{wrote(pa, 2, 1)}, Reads: []Read{{pb, rec(0, 9)}}}}}
	require.Equal(t, Cycles{G2: 1}, FindCycles(&g2))
	chain := TxnHistory{}
	for i := range 2000 { // long, and without a ring
		n := Value(i)
		chain.Txns = append(chain.Txns, Txn{Name: "T", Commit: true, Writes: []Write{wrote(pa, n+1, int64(i))}, Reads: []Read{{pa, rec(int64(i)-1, n)}}})
	}
	require.Equal(t, Cycles{}, FindCycles(&chain))
}
