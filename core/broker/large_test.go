package broker

import (
	"reflect"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A request whose arrays are as long as a client likes, of the same thing again and again or of things that are all
// different, at each depth of each API, costs in proportion to its size: the loop serves everybody else too.
func TestLargeRequests(t *testing.T) {
	const n = 10000
	for _, key := range wire.Keys() {
		for depth := range 3 {
			for _, same := range []bool{true, false} {
				q := kmsg.RequestForKey(key)
				r, _ := wire.Served(key)
				version := r.Max
				switch key { // the last in which topics have names, and members need no id first
				case 0, 1:
					version = 12
				case 8, 9:
					version = 9
				case 11:
					version = 3
				}
				z := newFuzzWorld(t)
				l := large{n: n, depth: depth, same: same, member: z.member}
				l.fill(reflect.ValueOf(q).Elem(), 0, 0)
				if l.longest < n {
					continue // it has no array so deep
				}
				frame := wire.AppendRequest(nil, wire.Header{Key: key, Version: version, Correlation: 1, ClientID: "c", HasClientID: true}, q)
				z.w.connect(101, "10.0.0.1:1")
				z.asked[101] = []fuzzAsked{{key: key, version: version, correlation: 1}}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				begun := cpuTime(t)
				z.w.raw(101, frame)
				took := cpuTime(t) - begun
				runtime.ReadMemStats(&after)
				what := []any{"%s depth %d same %v: %v, %d MiB", wire.Name(key), depth, same, took, (after.TotalAlloc - before.TotalAlloc) >> 20}
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(60<<20), what...)
				require.Less(t, took, 2*time.Second, what...)
				z.time(core.Second)
				z.replies(101)
			}
		}
	}
}

// cpuTime is what this process has used, which a busy machine does not change.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// large fills a request: the arrays at one depth have n elements, the others one.
type large struct {
	n, depth int
	same     bool
	member   string
	longest  int
}

func (l *large) fill(v reflect.Value, depth, i int) {
	for f := range v.NumField() {
		field, name := v.Field(f), v.Type().Field(f).Name
		switch {
		case name == "Version" || name == "UnknownTags":
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() != reflect.Uint8:
			n := 1
			if depth == l.depth {
				n = l.n
			}
			l.longest = max(l.longest, n)
			field.Set(reflect.MakeSlice(field.Type(), n, n))
			for k := range n {
				if x := field.Index(k); x.Kind() == reflect.Struct {
					l.fill(x, depth+1, k)
				} else {
					l.scalar(x, name, depth+1, k)
				}
			}
		default:
			l.scalar(field, name, depth, i)
		}
	}
}

// scalar fills a field with what makes the request get as far as it can.
func (l *large) scalar(v reflect.Value, name string, depth, i int) {
	if depth <= l.depth || l.same {
		i = 0
	}
	text := "a"
	switch name {
	case "Group", "Groups", "CoordinatorKey", "CoordinatorKeys":
		text = "g"
	case "MemberID":
		text = l.member
	case "ProtocolType":
		text = "consumer"
	}
	if i > 0 {
		text += strconv.Itoa(i)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if v.Type().Elem().Kind() == reflect.String && name != "InstanceID" && name != "TransactionID" {
			v.Set(reflect.ValueOf(&text))
		}
	case reflect.Int8:
		if v.SetInt(0); name == "ResourceType" {
			if v.SetInt(2); i > 0 {
				v.SetInt(32) // a group needs not be there
			}
		}
	case reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(i))
		switch name {
		case "NumPartitions", "ReplicationFactor", "Generation", "Acks", "ResponsePartitionLimit":
			v.SetInt(1)
		case "SessionTimeoutMillis", "RebalanceTimeoutMillis":
			v.SetInt(10000)
		case "Count":
			v.SetInt(3)
		case "ReplicaID", "SessionEpoch", "CurrentLeaderEpoch":
			v.SetInt(-1)
		}
	case reflect.Bool:
		v.SetBool(true) // ValidateOnly among them
	}
}

// A request of many small batches, each of which becomes large when it is decompressed, is refused from where the
// request as a whole becomes too large.
func TestManyInflatingBatches(t *testing.T) {
	b := batch.NewBuilder(batch.Options{LeaderEpoch: -1, Codec: batch.Zstd})
	b.Add(1, nil, make([]byte, 15<<20), nil)
	records := b.Finish(0)
	q := kmsg.NewPtrProduceRequest()
	for i := range 40 {
		p := kmsg.ProduceRequestTopicPartition{Partition: int32(i), Records: records}
		q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{Topic: "a", Partitions: []kmsg.ProduceRequestTopicPartition{p}})
	}
	p := Prepare(wire.AppendRequest(nil, wire.Header{Version: 9, ClientID: "c", HasClientID: true}, q), core.FromClient).Body.(*prepared)
	good := 0
	for _, f := range p.facts {
		if f.Verdict == batch.Good {
			good++
		} else {
			require.Equal(t, batch.Inflated, f.Verdict)
		}
	}
	require.Equal(t, 8, good) // of 128 MiB
	require.Less(t, len(records), 4096)
}
