package batch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// Segments that Apache Kafka 4.3.1 wrote for its console producer, one per codec, are read, hold what was typed, and
// pass the produce check once their base offset is taken away again.
func TestReadKafkaSegments(t *testing.T) {
	for codec := None; codec < codecCount; codec++ {
		t.Run(codec.String(), func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("testdata/kafka", codec.String()+".log"))
			require.NoError(t, err)
			v, rest, is := First(b)
			require.Equal(t, Good, is)
			require.Empty(t, rest)
			require.True(t, v.CheckCRC())
			require.Equal(t, codec, v.Codec())
			recs := readAll(t, v)
			require.Len(t, recs, 41)
			for i, r := range recs[:40] {
				require.EqualValues(t, i, r.Offset)
				require.Equal(t, fmt.Sprintf("key-%d", i), string(r.Key))
				require.Equal(t, fmt.Sprintf("value %d the quick brown fox jumps over the lazy dog %d", i, i*i), string(r.Value))
				require.Equal(t, []Header{{"h1", fmt.Appendf(nil, "v%d", i)}, {"h2", []byte{}}}, r.Headers)
			}
			last := recs[40]
			require.True(t, last.Key == nil && last.Value == nil)
			v.SetBaseOffset(0)
			f := Inspect(v)
			require.Equal(t, Good, f.Verdict)
			require.Equal(t, v.MaxTimestamp(), f.MaxTimestamp)
			require.EqualValues(t, 40, f.KeylessAt)

			if codec == None { // the same records make the same bytes
				o := Options{Producer: &Producer{v.ProducerID(), v.ProducerEpoch(), v.BaseSequence()}}
				nb := NewBuilder(o)
				for _, r := range recs {
					nb.Add(r.Timestamp, r.Key, r.Value, r.Headers)
				}
				require.Equal(t, v, nb.Finish(0))
			}
		})
	}
}

// A segment of a transactional producer: batches back to back, and the coordinator's markers, which Marker writes alike.
func TestReadKafkaTransactions(t *testing.T) {
	b, err := os.ReadFile("testdata/kafka/transactions.log")
	require.NoError(t, err)
	markers := 0
	for next := int64(0); len(b) > 0; {
		v, rest, is := First(b)
		require.Equal(t, Good, is)
		require.True(t, v.CheckCRC())
		require.True(t, v.IsTransactional())
		require.EqualValues(t, next, v.BaseOffset())
		recs := readAll(t, v)
		require.Len(t, recs, int(v.Count()))
		if v.IsControl() {
			typ, ok := ParseControlKey(recs[0].Key)
			require.True(t, ok)
			require.Equal(t, Commit, typ)
			epoch, ok := ParseMarker(recs[0].Value)
			require.True(t, ok)
			o := Options{LeaderEpoch: v.LeaderEpoch(), Producer: &Producer{v.ProducerID(), v.ProducerEpoch(), v.BaseSequence()}}
			require.Equal(t, v, Marker(v.BaseOffset(), o, typ, epoch, recs[0].Timestamp))
			markers++
		}
		next, b = int64(v.LastOffset())+1, rest
	}
	require.Positive(t, markers)
}

// Kafka's own tool reads what Builder writes. Set KLAMM_KAFKA_TOOL to a program that runs Apache Kafka's command-line
// tools by name.
func TestKafkaReadsOurs(t *testing.T) {
	tool := os.Getenv("KLAMM_KAFKA_TOOL")
	if tool == "" {
		t.Skip("KLAMM_KAFKA_TOOL is not set")
	}
	file := filepath.Join(t.TempDir(), "00000000000000000000.log")
	var out []byte
	next := int64(0)
	for codec := None; codec < codecCount; codec++ {
		for _, level := range []int{DefaultLevel, 1, 9} {
			for _, size := range []int{10, 1000, 20000} {
				v := sample(Options{Codec: codec, Level: level, Producer: &Producer{1, 0, int32(next)}}, 10, size)
				v.SetBaseOffset(core.Offset(next))
				next = int64(v.LastOffset()) + 1
				out = append(out, v...)
			}
		}
	}
	out = append(out, Marker(core.Offset(next), Options{Producer: &Producer{1, 0, -1}}, Abort, 4, 1000)...)
	require.NoError(t, os.WriteFile(file, out, 0o644))
	got, err := exec.Command(tool, "kafka-dump-log", "--deep-iteration", "--files", file).CombinedOutput()
	require.NoError(t, err, "%s", got)
	text := string(got)
	require.Equal(t, 46, strings.Count(text, "isvalid: true"), text)
	require.NotContains(t, text, "isvalid: false")
	require.NotContains(t, text, "rror")
	require.Equal(t, 451, strings.Count(text, "| offset: "), text)
	for codec := None; codec < codecCount; codec++ {
		require.Contains(t, text, "compresscodec: "+codec.String())
	}
	require.Contains(t, text, "endTxnMarker: ABORT coordinatorEpoch: 4")
}
