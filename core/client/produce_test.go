package client

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// model is a broker as far as a producer sees it: logs, and the window of idempotence of each producer.
type model struct {
	t          *rapid.T
	partitions int
	logs       [][]string           // values by partition
	states     []map[int64]*pmemory // by partition
	nextID     int64
}

type pmemory struct {
	epoch  int16
	last   int32
	window []pbatch // the newest windowBatches
}

type pbatch struct {
	first, last int32
	base        int64
}

func newModel(t *rapid.T, partitions int) *model {
	b := &model{t: t, partitions: partitions, nextID: 1000}
	for range partitions {
		b.logs = append(b.logs, nil)
		b.states = append(b.states, map[int64]*pmemory{})
	}
	return b
}

// append is what a leader does with a batch.
func (b *model) append(p int32, records []byte) (base int64, code wire.Code) {
	v, rest, verdict := batch.First(records)
	if verdict != batch.Good || len(rest) > 0 || !v.CheckCRC() {
		return -1, wire.CorruptMessage
	}
	if id := v.ProducerID(); id >= 0 {
		s := b.states[p][id]
		switch {
		case s == nil: // nothing is known: any first sequence is taken
			s = &pmemory{epoch: v.ProducerEpoch()}
			b.states[p][id] = s
		case v.ProducerEpoch() < s.epoch:
			return -1, wire.InvalidProducerEpoch
		case v.ProducerEpoch() > s.epoch:
			if v.BaseSequence() != 0 {
				return -1, wire.OutOfOrderSequenceNumber
			}
			*s = pmemory{epoch: v.ProducerEpoch()}
		default:
			for _, w := range s.window {
				if w.first == v.BaseSequence() && w.last == v.LastSequence() {
					return w.base, wire.None
				}
			}
			if v.BaseSequence() != after(s.last, 1) {
				return -1, wire.OutOfOrderSequenceNumber
			}
		}
		s.last = v.LastSequence()
		if s.window = append(s.window, pbatch{v.BaseSequence(), v.LastSequence(), int64(len(b.logs[p]))}); len(s.window) > windowBatches {
			s.window = s.window[1:]
		}
	}
	base = int64(len(b.logs[p]))
	records1, _ := batch.Read(v, 1<<20)
	var rec batch.Record
	for records1.Next(&rec) {
		b.logs[p] = append(b.logs[p], string(rec.Value))
	}
	return base, wire.None
}

// answer serves one request; nil if there is no answer. With faults it may refuse, before or after the append.
func (b *model) answer(q kmsg.Request, faults bool) kmsg.Response {
	switch q := q.(type) {
	case *kmsg.ApiVersionsRequest:
		return apiVersions(q.Version)
	case *kmsg.MetadataRequest:
		resp := kmsg.NewPtrMetadataResponse()
		resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: 1, Host: "one", Port: 9092})
		for _, t := range q.Topics {
			m := kmsg.NewMetadataResponseTopic()
			m.Topic, m.TopicID = t.Topic, [16]byte{7}
			for p := range b.partitions {
				x := kmsg.NewMetadataResponseTopicPartition()
				x.Partition, x.Leader, x.LeaderEpoch = int32(p), 1, 3
				if faults && rapid.IntRange(0, 9).Draw(b.t, "leaderless") == 0 {
					x.Leader, x.ErrorCode = -1, int16(wire.LeaderNotAvailable)
				}
				m.Partitions = append(m.Partitions, x)
			}
			resp.Topics = append(resp.Topics, m)
		}
		return resp
	case *kmsg.InitProducerIDRequest:
		resp := kmsg.NewPtrInitProducerIDResponse()
		b.nextID++
		resp.ProducerID, resp.ProducerEpoch = b.nextID, 0
		if faults && rapid.IntRange(0, 4).Draw(b.t, "noid") == 0 {
			resp.ProducerID, resp.ErrorCode = -1, int16(wire.CoordinatorLoadInProgress)
		}
		return resp
	case *kmsg.ProduceRequest:
		resp := kmsg.NewPtrProduceResponse()
		for _, t := range q.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rt.Partitions = append(rt.Partitions, b.produce(p, faults))
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp
	}
	return nil
}

func (b *model) produce(p kmsg.ProduceRequestTopicPartition, faults bool) kmsg.ProduceResponseTopicPartition {
	a := kmsg.NewProduceResponseTopicPartition()
	a.Partition, a.BaseOffset, a.LogAppendTime = p.Partition, -1, -1
	fault := 0
	if faults {
		fault = rapid.IntRange(0, 15).Draw(b.t, "fault")
	}
	before := []wire.Code{wire.NotLeaderOrFollower, wire.NotEnoughReplicas, wire.UnknownTopicOrPartition, wire.CorruptMessage, wire.InvalidRecord, wire.MessageTooLarge}
	later := []wire.Code{wire.RequestTimedOut, wire.NotEnoughReplicasAfterAppend, wire.NotLeaderOrFollower, wire.UnknownServerError}
	if fault >= 1 && fault <= len(before) {
		a.ErrorCode = int16(before[fault-1])
		return a
	}
	base, code := b.append(p.Partition, p.Records)
	a.BaseOffset, a.ErrorCode = base, int16(code)
	if k := fault - len(before) - 1; code == wire.None && k >= 0 && k < len(later) {
		a.BaseOffset, a.ErrorCode = -1, int16(later[k])
	}
	return a
}

// serve lets the broker work on the oldest request of a line.
func (b *model) serve(r *rig, l *line, faults bool) {
	h, q := r.request(l.requests[0])
	l.requests = l.requests[1:]
	resp := b.answer(q, faults)
	require.NotNil(b.t, resp, "%T", q)
	if p, ok := q.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return
	}
	resp.SetVersion(h.Version)
	l.replies = append(l.replies, wire.AppendResponse(nil, h.Correlation, resp))
}

// TestProducerKeepsItsWord: whatever connections, replies and brokers do, an idempotent producer stores
// a record whose fate is Did exactly once, one whose fate is DidNot never, any other at most once, and
// all of one partition in the order of Send. Late requests of dead connections are part of the game.
func TestProducerKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const partitions = 2
		b := newModel(t, partitions)
		p := NewProducer(ProducerOptions{
			Options: Options{Bootstrap: []string{"boot:1"}, RequestTime: core.Second}, Linger: -1,
			BatchBytes: rapid.SampledFrom([]int{100, 200, 1000}).Draw(t, "batch"), DeliveryTime: rapid.SampledFrom([]core.Time{3 * core.Second, core.Minute}).Draw(t, "delivery"),
		})
		r := newRig(t, p)
		var sent []core.TopicPartition // by id - 1
		results := map[RecordID]Result{}
		drain := func() {
			for _, x := range p.Results() {
				_, twice := results[x.ID]
				require.False(t, twice, "one result each")
				results[x.ID] = x
			}
		}
		send := func() {
			at := tp("t", int32(rapid.IntRange(0, partitions-1).Draw(t, "partition")))
			for range rapid.IntRange(1, 6).Draw(t, "records") {
				id := p.Send(r.now, Record{Topic: at.Topic, Partition: at.Partition, Value: []byte(strconv.Itoa(len(sent) + 1))}, &r.out)
				require.EqualValues(t, len(sent)+1, id)
				sent = append(sent, at)
			}
			r.carryOut()
		}
		send()
		r.calm(rapid.IntRange(0, 5).Draw(t, "calm"), func(l *line) { b.serve(r, l, false) })
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1:
				send()
			case 2:
				if len(r.dials) > 0 {
					r.open(rapid.SampledFrom([]core.Errno{core.OK, core.OK, core.Refused}).Draw(t, "dial"))
				}
			case 3, 4, 5:
				if l := pick(t, r.conns, func(l *line) bool { return len(l.requests) > 0 }); l != nil {
					b.serve(r, l, true)
				}
			case 6, 7:
				if l := pick(t, r.conns, func(l *line) bool { return len(l.replies) > 0 }); l != nil {
					r.deliver(l)
				}
			case 8:
				if l := pick(t, r.conns, func(*line) bool { return true }); l != nil && rapid.Bool().Draw(t, "kill") {
					r.kill(l.conn, core.Reset)
				} else if l := pick(t, r.lost, func(l *line) bool { return len(l.requests) > 0 }); l != nil {
					b.serve(r, l, true) // arrives late
				}
			case 9:
				r.pass(core.Time(rapid.Int64Range(1, int64(1500*core.Millisecond)).Draw(t, "time")))
			}
			drain()
		}
		p.Flush(r.now, &r.out)
		r.carryOut()
		for n := 0; p.Pending() > 0; n++ {
			require.Less(t, n, 2000, "everything has its result in the end")
			switch {
			case len(r.dials) > 0:
				r.open(core.OK)
			default:
				for _, l := range slices.Clone(r.conns) {
					for len(l.requests) > 0 {
						b.serve(r, l, false)
					}
					for len(l.replies) > 0 && r.line(l.conn) != nil {
						r.deliver(l)
					}
				}
				r.pass(50 * core.Millisecond)
			}
			drain()
		}
		for _, l := range r.lost {
			for len(l.requests) > 0 {
				b.serve(r, l, false)
			}
		}
		b.judge(sent, results)
		require.Zero(t, p.buffered)
	})
}

func pick(t *rapid.T, list []*line, ok func(*line) bool) *line {
	var can []*line
	for _, l := range list {
		if ok(l) {
			can = append(can, l)
		}
	}
	if len(can) == 0 {
		return nil
	}
	return can[rapid.IntRange(0, len(can)-1).Draw(t, "line")]
}

// judge compares the logs with what the producer said.
func (b *model) judge(sent []core.TopicPartition, results map[RecordID]Result) {
	require.Len(b.t, results, len(sent), "every record has a result")
	count := map[int]int{}
	for p, log := range b.logs {
		last := 0
		for off, value := range log {
			id, err := strconv.Atoi(value)
			require.NoError(b.t, err)
			count[id]++
			require.Greater(b.t, id, last, fmt.Sprint("order in partition ", p, ": ", log))
			last = id
			if x := results[RecordID(id)]; x.Fate == Did && x.Offset >= 0 {
				require.EqualValues(b.t, off, x.Offset)
			}
		}
	}
	for i := range sent {
		switch x := results[RecordID(i+1)]; x.Fate {
		case Did:
			require.Equal(b.t, 1, count[i+1], "acknowledged, so stored once: %d", i+1)
		case DidNot:
			require.Equal(b.t, 0, count[i+1], "refused, so not stored: %d: %v", i+1, x.Failure)
		case MayHave:
			require.LessOrEqual(b.t, count[i+1], 1, "stored at most once: %d", i+1)
		}
	}
}
