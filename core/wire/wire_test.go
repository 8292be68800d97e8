package wire_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// The generated files are what the generator makes of its tables.
func TestGeneratedIsCurrent(t *testing.T) {
	tmp := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(tmp, "gen"), os.DirFS("gen")))
	cmd := exec.Command("go", "run", "./gen", filepath.Join(tmp, "gen"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"apis_gen.go", "codes_gen.go", "records_gen.go", "shapes_gen.go"} {
		want, err := os.ReadFile(filepath.Join(tmp, name))
		require.NoError(t, err)
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%s is old: run go generate ./core/wire", name)
	}
}

// eachRecord reads every record of a segment or snapshot file.
func eachRecord(t *testing.T, file string, f func(v batch.View, r batch.Record)) {
	b, err := os.ReadFile(filepath.Join("testdata/kafka", file))
	require.NoError(t, err)
	for len(b) > 0 {
		v, rest, is := batch.First(b)
		require.Equal(t, batch.Good, is)
		require.True(t, v.CheckCRC())
		r, is := batch.Read(v, batch.InflatedBytesMax)
		require.Equal(t, batch.Good, is)
		var rec batch.Record
		for r.Next(&rec) {
			f(v, rec)
		}
		require.Equal(t, batch.Good, r.Err())
		b = rest
	}
}

// Every record that Apache Kafka 4.3.1 wrote to its metadata log and snapshots is read and written back to the same bytes.
func TestKafkaMetadataRoundTrip(t *testing.T) {
	seen := map[string]int{}
	for _, file := range []string{"metadata.log", "bootstrap.checkpoint", "00000000000000000000-0000000000.checkpoint"} {
		eachRecord(t, file, func(v batch.View, r batch.Record) {
			if v.IsControl() {
				typ, ok := batch.ParseControlKey(r.Key)
				require.True(t, ok)
				m := map[batch.ControlType]wire.Message{
					batch.LeaderChange: &wire.LeaderChangeMessage{}, batch.SnapshotHeader: &wire.SnapshotHeaderRecord{},
					batch.SnapshotFooter: &wire.SnapshotFooterRecord{}, batch.KRaftVersion: &wire.KRaftVersionRecord{}, batch.KRaftVoters: &wire.VotersRecord{},
				}[typ]
				require.NotNil(t, m)
				require.NoError(t, wire.ReadControl(r.Value, m))
				require.Equal(t, r.Value, m.AppendTo(nil, int16(r.Value[1])), "%T", m)
				seen[fmt.Sprintf("%T", m)]++
				return
			}
			require.Nil(t, r.Key)
			rec, version, err := wire.ParseRecordVersion(r.Value)
			require.NoError(t, err)
			require.Equal(t, r.Value, wire.AppendRecordVersion(nil, rec, version), "%T v%d", rec, version)
			seen[fmt.Sprintf("%T v%d", rec, version)]++
		})
	}
	for _, want := range []string{
		"*wire.RegisterBrokerRecord v4", "*wire.TopicRecord v0", "*wire.PartitionRecord v2", "*wire.ConfigRecord v0", "*wire.PartitionChangeRecord v2",
		"*wire.RemoveTopicRecord v0", "*wire.FeatureLevelRecord v0", "*wire.ClientQuotaRecord v0", "*wire.ProducerIdsRecord v0", "*wire.NoOpRecord v0",
		"*wire.BrokerRegistrationChangeRecord v3", "*wire.AccessControlEntryRecord v0", "*wire.RemoveAccessControlEntryRecord v0",
		"*wire.UserScramCredentialRecord v0", "*wire.RemoveUserScramCredentialRecord v0", "*wire.BeginTransactionRecord v0", "*wire.EndTransactionRecord v0",
		"*wire.RegisterControllerRecord v0", "*wire.ClearElrRecord v0", "*wire.LeaderChangeMessage", "*wire.SnapshotHeaderRecord",
		"*wire.SnapshotFooterRecord", "*wire.KRaftVersionRecord", "*wire.VotersRecord",
	} {
		require.Positive(t, seen[want], want)
	}
}

// fill sets every field of a record to something that is not its default.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		v.SetUint(uint64(*n % 200))
	default:
		v.SetInt(int64(*n%100) + 1)
	}
}

// Every type of record comes back as it was, full and with its defaults; cut short or with a byte too many it is an
// error; a type or version from the future is told by name.
func TestRecordRoundTrip(t *testing.T) {
	types := 0
	for key := int16(0); key < 100; key++ {
		_, err := wire.ParseRecord([]byte{1, byte(key), 100})
		unknown, is := err.(wire.UnknownRecord)
		require.True(t, is)
		require.Equal(t, wire.UnknownRecord{Key: key, Version: 100}, unknown)
		rec := wire.NewRecord(key)
		if rec == nil {
			continue
		}
		types++
		n := 0
		empty := wire.AppendRecord(nil, rec)
		fill(reflect.ValueOf(rec).Elem(), &n)
		full := wire.AppendRecord(nil, rec)
		got, err := wire.ParseRecord(full)
		require.NoError(t, err)
		require.Equal(t, rec, got)
		got, err = wire.ParseRecord(empty)
		require.NoError(t, err)
		require.Equal(t, empty, wire.AppendRecord(nil, got))
		for version := range rec.MaxVersion() {
			b := wire.AppendRecordVersion(nil, rec, version)
			got, v, err := wire.ParseRecordVersion(b)
			require.NoError(t, err)
			require.Equal(t, version, v)
			require.Equal(t, b, wire.AppendRecordVersion(nil, got, version))
		}
		for cut := range full {
			_, err = wire.ParseRecord(full[:cut])
			require.Error(t, err)
		}
		_, err = wire.ParseRecord(append(full[:len(full):len(full)], 0))
		require.Error(t, err)
	}
	require.Equal(t, 26, types)
	_, err := wire.ParseRecord([]byte{2, 2, 0})
	require.Equal(t, wire.UnknownRecord{Key: -1, Version: -1}, err)
}

// The records with defaults that are not zero have Kafka's.
func TestRecordDefaults(t *testing.T) {
	require.Equal(t, core.NodeID(-2), wire.NewPartitionChangeRecord().Leader)
	require.Equal(t, int8(-1), wire.NewPartitionChangeRecord().LeaderRecoveryState)
	require.Equal(t, core.NodeID(-1), wire.NewPartitionRecord().Leader)
	require.True(t, wire.NewRegisterBrokerRecord().Fenced)
	c := wire.NewPartitionChangeRecord()
	c.TopicID = core.TopicID{1}
	c.PartitionID = 5
	require.Len(t, wire.AppendRecord(nil, c), 3+4+16+1) // nothing but the keys
	c.ISR = []core.NodeID{}
	b := wire.AppendRecord(nil, c)
	got, err := wire.ParseRecord(b)
	require.NoError(t, err)
	require.NotNil(t, got.(*wire.PartitionChangeRecord).ISR) // empty is not null
	require.Nil(t, got.(*wire.PartitionChangeRecord).Replicas)
}

// Requests and responses of every key and version come back through their frames, also as a stranger's code frames them.
func TestFrames(t *testing.T) {
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("me"))
	anonymous := kmsg.NewRequestFormatter()
	for key := int16(0); kmsg.RequestForKey(key) != nil; key++ {
		if key >= 4 && key <= 7 { // no longer there
			_, _, err := wire.ParseResponse([]byte{0, 0, 0, 4, 0, 0, 0, 0}, key, 0)
			require.Error(t, err)
			continue
		}
		for version := range kmsg.RequestForKey(key).MaxVersion() + 1 {
			req := kmsg.RequestForKey(key)
			req.SetVersion(version)
			h := wire.Header{Key: key, Version: version, Correlation: 77, ClientID: "me", HasClientID: true}
			frame := wire.AppendRequest([]byte("x"), h, req)[1:]
			require.Equal(t, format.AppendRequest(nil, req, 77), frame)
			got, body, err := wire.ParseRequestHeader(frame)
			require.NoError(t, err)
			require.Equal(t, h, got)
			require.True(t, bytes.Equal(req.AppendTo(nil), body))
			q, err := wire.ParseRequest(frame)
			r, served := wire.BrokerSide.Served(key)
			if !served {
				r, served = wire.ControllerSide.Served(key)
			}
			if !served {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, version < r.Min || version > r.Max, q.BadVersion)
				require.Equal(t, len(frame), q.Bytes)
				if !q.BadVersion {
					require.Equal(t, req.AppendTo(nil), q.Body.AppendTo(nil))
				}
			}
			h = wire.Header{Key: key, Version: version, Correlation: 78}
			require.Equal(t, anonymous.AppendRequest(nil, req, 78), wire.AppendRequest(nil, h, req))
			got, _, err = wire.ParseRequestHeader(wire.AppendRequest(nil, h, req))
			require.NoError(t, err)
			require.Equal(t, h, got)

			resp := req.ResponseKind()
			resp.SetVersion(version)
			frame = wire.AppendResponse([]byte("x"), 79, resp)[1:]
			correlation, body, err := wire.ParseResponse(frame, key, version)
			if version > wire.Newest(key) || version < wire.Oldest(key) {
				require.Error(t, err)
				continue
			}
			require.NoError(t, err, "%d v%d", key, version)
			require.EqualValues(t, 79, correlation)
			require.True(t, bytes.Equal(resp.AppendTo(nil), body))
			tags := 0
			if resp.IsFlexible() && key != 18 {
				tags = 1
			}
			require.Len(t, frame, 8+tags+len(body))
		}
	}
}

// fillMessage sets every field of a kmsg message, two elements to each array.
func fillMessage(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillMessage(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				fillMessage(v.Field(i))
			}
		}
		if tags := v.FieldByName("UnknownTags"); tags.IsValid() {
			tags.Addr().Interface().(*kmsg.Tags).Set(100, []byte{1, 2, 3})
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillMessage(v.Index(0))
		fillMessage(v.Index(1))
	case reflect.String:
		v.SetString("string")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(17)
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(18)
	case reflect.Float64:
		v.SetFloat(1.5)
	}
}

// Every request and response, in every version, passes the walk along its schema: empty, as kmsg makes it, full, and
// full with unknown tags. Cut short anywhere, or with a length blown up, it does not, or kmsg reads it in no time.
func TestCheck(t *testing.T) {
	check := map[bool]func(key, version int16, body []byte) error{true: wire.CheckRequest, false: wire.CheckResponse}
	for key := int16(0); wire.Name(key) != ""; key++ {
		for version := max(0, wire.Oldest(key)); version <= wire.Newest(key); version++ {
			for _, isRequest := range []bool{true, false} {
				type message interface {
					SetVersion(int16)
					AppendTo([]byte) []byte
				}
				var m message = kmsg.RequestForKey(key)
				if !isRequest {
					m = kmsg.ResponseForKey(key)
				}
				m.SetVersion(version)
				require.NoError(t, check[isRequest](key, version, m.AppendTo(nil)), "%T v%d empty", m, version)
				fillMessage(reflect.ValueOf(m).Elem())
				m.SetVersion(version)
				body := m.AppendTo(nil)
				require.NoError(t, check[isRequest](key, version, body), "%T v%d full", m, version)
				if version != wire.Newest(key) {
					continue
				}
				for cut := range body {
					require.Error(t, check[isRequest](key, version, body[:cut]), "%T v%d cut at %d", m, version, cut)
				}
			}
		}
		require.Error(t, wire.CheckRequest(key, wire.Newest(key)+1, nil))
		require.Error(t, wire.CheckResponse(key, -1, nil))
	}
	require.Error(t, wire.CheckRequest(-1, 0, nil))
	require.Error(t, wire.CheckResponse(1000, 0, nil))

	// A count of tags without the bytes for them, which kmsg would count down from.
	require.Error(t, wire.CheckRequest(16, 3, []byte{0xfa, 0xfa, 0xfa, 'v', 'v', 0xdb}))
	// The same behind a cursor that is there for kmsg and not for others.
	require.Error(t, wire.CheckRequest(75, 0, []byte("\x01KAAA\xf5\x01\xb0\xb0K\x00\xe6\xe6\xe6\x7f")))
	// More elements than are decoded at once: topics of DeleteTopics v1, each an empty name.
	for n, ok := range map[int]bool{wire.RequestElementsMax: true, wire.RequestElementsMax + 1: false} {
		body := append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, 2*n+4)...)
		require.Equal(t, ok, wire.CheckRequest(20, 1, body) == nil)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	p := kmsg.NewPtrProduceRequest()
	p.Version = 13
	p.Topics = []kmsg.ProduceRequestTopic{{Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 1000)}}}}
	frame := wire.AppendRequest(nil, wire.Header{Key: 0, Version: 13, ClientID: "c", HasClientID: true}, p)
	_, body, err := wire.ParseRequestHeader(frame)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.ParseRequest(frame); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := wire.CheckRequest(0, 13, body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Headers of newer and stranger clients: tagged fields are skipped, ApiVersions of the future is still answered, and
// what cannot be a header is an error.
func TestStrangeHeaders(t *testing.T) {
	frame := func(b ...byte) []byte { return append([]byte{0, 0, 0, byte(len(b))}, b...) }
	q, err := wire.ParseRequest(frame(0, 12, 0, 4, 0, 0, 0, 5, 0, 1, 'c', 2, 7, 3, 1, 2, 3, 9, 0, 1, 1, 1, 1, 1, 1, 1, 1))
	require.Error(t, err, "a body that is too short")
	require.Nil(t, q)
	h, body, err := wire.ParseRequestHeader(frame(0, 12, 0, 4, 0, 0, 0, 5, 0, 1, 'c', 2, 7, 3, 1, 2, 3, 9, 0, 0xaa))
	require.NoError(t, err)
	require.Equal(t, wire.Header{Key: 12, Version: 4, Correlation: 5, ClientID: "c", HasClientID: true}, h)
	require.Equal(t, []byte{0xaa}, body)
	q, err = wire.ParseRequest(frame(0, 18, 0, 99, 0, 0, 0, 5, 0xff))
	require.NoError(t, err)
	require.True(t, q.BadVersion)
	require.EqualValues(t, 5, q.Correlation)
	q, err = wire.ParseRequest(frame(0, 0, 0, 1, 0, 0, 0, 5, 0xff, 0xff))
	require.NoError(t, err)
	require.True(t, q.BadVersion, "Produce is advertised from 0 and served from 3")
	for _, bad := range [][]byte{
		nil, {0, 0, 0}, {0, 0, 0, 9, 0}, frame(0, 3, 0), frame(0, 3, 0, 0, 0, 0, 0), frame(0, 3, 0, 0, 0, 0, 0, 1, 0), // cut short
		frame(3, 232, 0, 0, 0, 0, 0, 1, 0, 0), // no such key
		frame(0, 17, 0, 0, 0, 0, 0, 1, 0, 0),  // not served
		frame(0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xfe, 0), frame(0, 3, 0, 9, 0, 0, 0, 1, 0, 9, 'c'), frame(0, 3, 0, 9, 0, 0, 0, 1, 0, 0, 1, 1, 90),
	} {
		_, err := wire.ParseRequest(bad)
		require.Error(t, err, "%x", bad)
	}
	for _, bad := range [][]byte{nil, frame(0, 0, 0), frame(0, 0, 0, 1, 1, 1, 90), frame(0, 0, 0, 1), frame(0, 0, 0, 1, 0)} {
		_, _, err := wire.ParseResponse(bad, 3, 9)
		require.Error(t, err, "%x", bad)
	}
	_, _, err = wire.ParseResponse(frame(0, 0, 0, 1), 3000, 0)
	require.Error(t, err)
}

// A stream is cut where its lengths say; what cannot be a length is named by what it probably is.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		stream string
		need   int
		err    core.Errno
	}{
		{"", 0, core.OK}, {"\x00\x00\x00", 0, core.OK}, {"\x00\x00\x00\x08", 12, core.OK}, {"\x00\x00\x00\x08more and more", 12, core.OK},
		{"\x00\x00\x03\xe8", 1004, core.OK}, {"\x00\x00\x03\xe9", 0, core.TooLarge}, {"\x7f\xff\xff\xff", 0, core.TooLarge},
		{"\xff\xff\xff\xff", 0, core.BadFrame}, {"\x80\x00\x00\x00", 0, core.BadFrame}, {"\x00\x00\x00\x03", 0, core.BadFrame},
		{"\x16\x03\x01\x02\x00", 0, core.SpeaksTLS}, {"GET / HTTP/1.1", 0, core.SpeaksHTTP}, {"POST", 0, core.SpeaksHTTP},
		{"HEAD", 0, core.SpeaksHTTP}, {"PUT /", 0, core.SpeaksHTTP},
	} {
		need, err := wire.Split([]byte(c.stream), 1000)
		require.Equal(t, c.err, err, "%q", c.stream)
		require.Equal(t, c.need, need, "%q", c.stream)
	}
}

// Names, keys, versions and codes are Kafka's.
func TestTables(t *testing.T) {
	require.Len(t, wire.Keys(), 47)
	require.Len(t, wire.ControllerSide.Keys(), 29)
	for _, side := range []wire.Side{wire.BrokerSide, wire.ControllerSide} {
		for i, key := range side.Keys() {
			if i > 0 {
				require.Less(t, side.Keys()[i-1], key)
			}
			r, ok := side.Served(key)
			require.True(t, ok)
			require.GreaterOrEqual(t, kmsg.RequestForKey(key).MaxVersion(), r.Max)
			got, ok := wire.KeyOf(wire.Name(key))
			require.True(t, ok)
			require.Equal(t, key, got)
		}
	}
	r, _ := wire.Served(0)
	require.Equal(t, wire.Range{Min: 3, Max: 13, Advertised: 0}, r)
	r, _ = wire.Served(1)
	require.Equal(t, wire.Range{Min: 4, Max: 18, Advertised: 4}, r)
	for _, key := range []int16{-1, 4, 17, 29, 93, 1000} {
		_, ok := wire.Served(key)
		require.False(t, ok, key)
	}
	require.True(t, wire.Forwarded(19))
	require.False(t, wire.Forwarded(0))
	require.False(t, wire.Forwarded(-5))
	require.Empty(t, wire.Name(-1))
	_, ok := wire.KeyOf("Nothing")
	require.False(t, ok)
	require.Equal(t, "NOT_LEADER_OR_FOLLOWER", wire.NotLeaderOrFollower.String())
	require.Equal(t, "UNKNOWN_SERVER_ERROR", wire.UnknownServerError.String())
	require.Equal(t, "ERROR_999", wire.Code(999).String())
	require.EqualValues(t, 133, wire.ShareSessionLimitReached)
	require.True(t, wire.NotCoordinator.Retriable())
	require.False(t, wire.None.Retriable() || wire.Code(-7).Retriable() || wire.InvalidRecord.Retriable())
}

// The small files are read as Kafka wrote them, and quorum-state is written alike.
func TestFiles(t *testing.T) {
	text, err := os.ReadFile("testdata/kafka/meta.properties")
	require.NoError(t, err)
	m, err := wire.ParseMetaProperties(text)
	require.NoError(t, err)
	require.EqualValues(t, 1, m.NodeID)
	require.Len(t, m.ClusterID, 22)
	require.False(t, m.DirectoryID.IsZero())
	again, err := wire.ParseMetaProperties(m.Text())
	require.NoError(t, err)
	require.Equal(t, m, again)
	again, err = wire.ParseMetaProperties([]byte("! c\r\n version : 1\r\nnode.id=7\r\ncluster.id = a\\=b\\:c \r\nx=y"))
	require.NoError(t, err)
	require.Equal(t, wire.MetaProperties{ClusterID: "a=b:c", NodeID: 7}, again)
	for _, bad := range []string{"", "version=1", "version=0\nnode.id=1\ncluster.id=a", "version=1\nnode.id=1", "version=1\nnode.id=-1\ncluster.id=a",
		"version=1\nnode.id=x\ncluster.id=a", "version=1\ncluster.id=a", "version=1\nnode.id=1\ncluster.id=a\ndirectory.id=short", "\\", "=\\"} {
		_, err := wire.ParseMetaProperties([]byte(bad))
		require.Error(t, err, "%q", bad)
	}

	text, err = os.ReadFile("testdata/kafka/quorum-state-v0")
	require.NoError(t, err)
	q, err := wire.ParseQuorumState(text)
	require.NoError(t, err)
	require.Equal(t, wire.QuorumState{LeaderID: 1, LeaderEpoch: 1, VotedID: -1, CurrentVoters: []core.NodeID{1}}, q)
	require.Equal(t, string(text), string(q.Text()))
	q = wire.QuorumState{Version: 1, LeaderID: -1, LeaderEpoch: 9, VotedID: 2, VotedDirectoryID: wire.UUID{1}}
	require.Equal(t, `{"leaderId":-1,"leaderEpoch":9,"votedId":2,"votedDirectoryId":"AQAAAAAAAAAAAAAAAAAAAA","data_version":1}`, string(q.Text()))
	got, err := wire.ParseQuorumState(q.Text())
	require.NoError(t, err)
	require.Equal(t, q, got)
	for _, bad := range []string{"", "{}", "[]", `{"data_version":2,"leaderEpoch":1}`, `{"data_version":0}`, `{"data_version":1,"leaderEpoch":1,"votedDirectoryId":"x"}`, `{"data_version":0,"leaderEpoch":1,"votedId":-2}`} {
		_, err := wire.ParseQuorumState([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}
