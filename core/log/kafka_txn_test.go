package log

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// A segment with transactions that Apache Kafka 4.3.1 wrote, and what it derived of it: the transaction index and the producer snapshot
// of a clean stop. The fold of the same batches gives the same bytes, and so do the markers built of what they say.
func TestTransactionsAsKafka(t *testing.T) {
	const dir = "testdata/kafka_txn/00000000000000000000"
	segment, err := os.ReadFile(dir + ".log")
	require.NoError(t, err)
	index, err := os.ReadFile(dir + ".txnindex")
	require.NoError(t, err)
	l := &Log{}
	var aborts []AbortedTxn
	markers := 0
	for rest := segment; len(rest) > 0; {
		v, r, is := batch.First(rest)
		require.Equal(t, batch.Good, is)
		m := markerOf(v)
		if m.is {
			markers++
			kind := batch.Commit
			if m.abort {
				kind = batch.Abort
			}
			o := batch.Options{LeaderEpoch: v.LeaderEpoch(), Producer: &batch.Producer{ID: v.ProducerID(), Epoch: v.ProducerEpoch(), Sequence: -1}}
			require.Equal(t, v, batch.Marker(v.BaseOffset(), o, kind, core.Epoch(m.coordinator), v.MaxTimestamp()))
		}
		if a, aborted := l.produced(v, m); aborted {
			aborts = append(aborts, a)
		}
		l.end, rest = v.LastOffset()+1, r
	}
	require.Equal(t, 15, markers)
	require.Equal(t, index, formatTxnIndex(aborts))
	parsed, sound := parseTxnIndex(index, 0, l.end)
	require.True(t, sound)
	require.Equal(t, aborts, parsed)
	snapshot, err := os.ReadFile("testdata/kafka_txn/" + decimal(l.end) + ".snapshot")
	require.NoError(t, err)
	ps, ok := parseSnapshot(snapshot)
	require.True(t, ok)
	require.Equal(t, (&Log{producers: ps}).Producers(), l.Producers())
	require.Equal(t, rowsOf(snapshot), rowsOf(formatSnapshot(l.producers))) // Apache Kafka's have no order
}

func rowsOf(snapshot []byte) (rows []string) {
	for b := snapshot[snapshotHead:]; len(b) > 0; b = b[snapshotRow:] {
		rows = append(rows, string(b[:snapshotRow]))
	}
	slices.Sort(rows)
	return rows
}
