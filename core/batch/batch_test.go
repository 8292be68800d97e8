package batch

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"klamm/core"
)

// sample builds a batch of n records of size bytes of value.
func sample(o Options, n, size int) View {
	b := NewBuilder(o)
	for i := range n {
		value := bytes.Repeat([]byte(fmt.Sprintf("%08d", i)), size/8+1)[:size]
		b.Add(int64(1000+i), []byte(fmt.Sprintf("k%d", i)), value, []Header{{"h", nil}, {"", []byte{1}}})
	}
	return b.Finish(0)
}

func readAll(t require.TestingT, v View) (recs []Record) {
	r, is := Read(v, InflatedBytesMax)
	require.Equal(t, Good, is)
	var rec Record
	for r.Next(&rec) {
		keep := rec
		keep.Headers = append([]Header(nil), rec.Headers...)
		recs = append(recs, keep)
	}
	require.Equal(t, Good, r.Err())
	return recs
}

func genBytes(t *rapid.T, what string) []byte {
	if rapid.IntRange(0, 4).Draw(t, what+" null") == 0 {
		return nil
	}
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, what)...)
}

func genRecords(t *rapid.T) (recs []Record) {
	ts := rapid.Int64Range(-1, 1<<50).Draw(t, "ts")
	for i := range rapid.IntRange(1, 30).Draw(t, "n") {
		r := Record{Offset: core.Offset(i), Timestamp: ts + rapid.Int64Range(-500, 100000).Draw(t, "dt"), Key: genBytes(t, "key"), Value: genBytes(t, "value")}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, Header{rapid.StringN(0, 20, 40).Draw(t, "hk"), genBytes(t, "hv")})
		}
		recs = append(recs, r)
	}
	return recs
}

// What is built is what is read back, under every codec, and kmsg, a stranger's code, reads the same.
func TestBuildAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Codec: Codec(rapid.IntRange(0, 4).Draw(t, "codec")), LeaderEpoch: 7, Producer: &Producer{9, 8, 7}}
		o.Level = rapid.IntRange(0, 9).Draw(t, "level")
		base := core.Offset(rapid.Int64Range(0, 1<<60).Draw(t, "base"))
		b, recs := NewBuilder(o), genRecords(t)
		for _, r := range recs {
			b.Add(r.Timestamp, r.Key, r.Value, r.Headers)
		}
		v := b.Finish(base)
		for i := range recs {
			recs[i].Offset += base
		}
		require.Equal(t, recs, readAll(t, v))

		var k kmsg.RecordBatch
		require.NoError(t, k.ReadFrom(v))
		require.Equal(t, []byte(v), k.AppendTo(nil))
		require.EqualValues(t, k.FirstOffset, v.BaseOffset())
		require.EqualValues(t, k.Length, v.Size()-12)
		require.EqualValues(t, k.PartitionLeaderEpoch, v.LeaderEpoch())
		require.EqualValues(t, k.Magic, v.Magic())
		require.EqualValues(t, uint32(k.CRC), v.CRC())
		require.EqualValues(t, k.Attributes, v.Attributes())
		require.EqualValues(t, k.LastOffsetDelta, v.LastDelta())
		require.EqualValues(t, k.FirstTimestamp, v.BaseTimestamp())
		require.EqualValues(t, k.MaxTimestamp, v.MaxTimestamp())
		require.EqualValues(t, k.ProducerID, v.ProducerID())
		require.EqualValues(t, k.ProducerEpoch, v.ProducerEpoch())
		require.EqualValues(t, k.FirstSequence, v.BaseSequence())
		require.EqualValues(t, k.NumRecords, v.Count())
		require.True(t, v.CheckCRC())

		raw, is := Decompress(v.Codec(), v.Payload(), 1<<24)
		require.Equal(t, Good, is)
		for _, want := range recs {
			var r kmsg.Record
			n, used := varint(raw, 0)
			require.Positive(t, used)
			require.NoError(t, r.ReadFrom(raw[:used+int(n)]))
			require.Equal(t, raw[:used+int(n)], r.AppendTo(nil))
			require.EqualValues(t, want.Offset, int64(base)+int64(r.OffsetDelta))
			require.Equal(t, want.Timestamp, k.FirstTimestamp+r.TimestampDelta64)
			require.True(t, bytes.Equal(want.Key, r.Key) && bytes.Equal(want.Value, r.Value))
			raw = raw[used+int(n):]
		}
		require.Empty(t, raw)
	})
}

// Stamping keeps the checksum right, and only touches what it says.
func TestStamp(t *testing.T) {
	v := sample(Options{Codec: Gzip}, 5, 20)
	was := readAll(t, v)
	v.SetBaseOffset(1 << 40)
	v.SetLeaderEpoch(99)
	require.True(t, v.CheckCRC())
	require.EqualValues(t, 1<<40+4, v.LastOffset())
	require.EqualValues(t, 99, v.LeaderEpoch())
	v.SetAppendTime(5555)
	require.True(t, v.CheckCRC())
	require.True(t, v.AppendTime())
	for _, r := range readAll(t, v) {
		require.EqualValues(t, 5555, r.Timestamp)
	}
	v.ClearAppendTime(1004)
	v.SetBaseOffset(0)
	require.Equal(t, was, readAll(t, v))
	crc := v.CRC()
	v.SetMaxTimestamp(1004)
	require.Equal(t, crc, v.CRC())
	v.SetMaxTimestamp(1005)
	require.NotEqual(t, crc, v.CRC())
	require.True(t, v.CheckCRC())
}

// A producer's sequence runs from 2^31-1 on to 0.
func TestSequenceWraps(t *testing.T) {
	require.EqualValues(t, 1<<31-1, AddSequence(1<<31-2, 1))
	require.EqualValues(t, 0, AddSequence(1<<31-1, 1))
	require.EqualValues(t, 1, AddSequence(1<<31-3, 4))
	require.EqualValues(t, -1, sample(Options{}, 3, 1).LastSequence())
	require.EqualValues(t, 1, sample(Options{Producer: &Producer{1, 0, 1<<31 - 1}}, 3, 1).LastSequence())
}

// Compaction leaves holes, an end beyond the last record, a horizon, or nothing but the header.
func TestHoles(t *testing.T) {
	b := NewBuilder(Options{Codec: Zstd, Horizon: true, HorizonAt: 777, Producer: &Producer{5, 1, 10}})
	b.AddAt(3, 100, []byte("a"), nil, nil)
	b.AddAt(7, 90, []byte("b"), []byte{}, nil)
	v := b.FinishAt(1000, 9)
	require.True(t, v.HasDeleteHorizon())
	require.EqualValues(t, 777, v.BaseTimestamp())
	require.EqualValues(t, 1009, v.LastOffset())
	recs := readAll(t, v)
	require.EqualValues(t, []core.Offset{1003, 1007}, []core.Offset{recs[0].Offset, recs[1].Offset})
	require.EqualValues(t, []int64{100, 90}, []int64{recs[0].Timestamp, recs[1].Timestamp})
	require.True(t, recs[0].Value == nil && recs[1].Value != nil)

	v = NewBuilder(Options{Codec: Zstd, Producer: &Producer{5, 1, 10}}).FinishAt(1000, 9)
	require.Len(t, v, HeaderBytes)
	require.Equal(t, None, v.Codec())
	require.Empty(t, readAll(t, v))
	w, is := Recompress(v, Target{Codec: Gzip})
	require.Equal(t, Good, is)
	require.Equal(t, v, w)
}

// A marker is what Kafka writes, as the kmsg schema has it.
func TestMarker(t *testing.T) {
	v := Marker(44, Options{LeaderEpoch: 3, Producer: &Producer{77, 2, -1}}, Commit, 12, 1000)
	require.True(t, v.IsControl() && v.IsTransactional() && v.CheckCRC())
	recs := readAll(t, v)
	var key kmsg.ControlRecordKey
	require.NoError(t, key.ReadFrom(recs[0].Key))
	require.Equal(t, kmsg.ControlRecordKeyTypeCommit, key.Type)
	var value kmsg.EndTxnMarker
	require.NoError(t, value.ReadFrom(recs[0].Value))
	require.EqualValues(t, 12, value.CoordinatorEpoch)
	typ, ok := ParseControlKey(recs[0].Key)
	require.True(t, ok && typ == Commit)
	epoch, ok := ParseMarker(recs[0].Value)
	require.True(t, ok && epoch == 12)
	_, ok = ParseControlKey(nil)
	require.False(t, ok)
	_, ok = ParseMarker([]byte{0, 0})
	require.False(t, ok)
}

// Recompression keeps the records under any codec, as work or directly.
func TestRecompress(t *testing.T) {
	for from := None; from < codecCount; from++ {
		for to := None; to < codecCount; to++ {
			v := sample(Options{Codec: from, Producer: &Producer{1, 2, 3}}, 20, 100)
			v.SetBaseOffset(500)
			want := readAll(t, v)
			was := append(View{}, v...)
			w, is := ParseRecompressed(Work(WorkRecompress, RecompressArgs(Target{Codec: to, Level: 5}), v))
			require.Equal(t, Good, is)
			require.Equal(t, was, v)
			require.True(t, w.CheckCRC())
			require.Equal(t, to, w.Codec())
			require.Equal(t, want, readAll(t, w))
			require.EqualValues(t, 3, w.BaseSequence())
		}
	}
	v := sample(Options{}, 3, 10)
	w, _ := Recompress(v, Target{Codec: Zstd, AppendTime: true, Time: 42})
	require.True(t, w.AppendTime() && w.CheckCRC() && w.MaxTimestamp() == 42)
	v[HeaderBytes+1] ^= 1
	v[atAttributes+1] |= byte(LZ4)
	_, is := ParseRecompressed(Work(WorkRecompress, RecompressArgs(Target{}), v))
	require.Equal(t, BadCompression, is)
	_, is = ParseRecompressed(nil)
	require.Equal(t, Corrupt, is)
	require.Nil(t, Work(1, nil, nil))
}
