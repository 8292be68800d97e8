package client

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// shelf is a broker as far as a consumer sees it: logs of batches, with holes as compaction leaves them,
// and fetch sessions.
type shelf struct {
	t        *rapid.T
	logs     [][]batch.View
	wants    [][]string // by partition: the values, in order, that are to be handed over
	offsets  [][]core.Offset
	ends     []core.Offset
	sessions map[int32]*shelfSession
	lastID   int32
}

type shelfSession struct {
	epoch int32
	order []int32
	from  map[int32]int64
}

func newShelf(t *rapid.T, partitions int) *shelf {
	s := &shelf{t: t, sessions: map[int32]*shelfSession{}}
	for p := range partitions {
		s.logs, s.wants, s.offsets, s.ends = append(s.logs, nil), append(s.wants, nil), append(s.offsets, nil), append(s.ends, 0)
		for range rapid.IntRange(0, 12).Draw(t, "batches") {
			s.write(p)
		}
	}
	return s
}

// write appends a batch: some records, perhaps with holes, perhaps a control batch.
func (s *shelf) write(p int) {
	control := rapid.IntRange(0, 7).Draw(s.t, "control") == 0
	o := batch.Options{Codec: batch.Codec(rapid.IntRange(0, 4).Draw(s.t, "codec")), LeaderEpoch: 1, Control: control, Transactional: control}
	if control {
		o.Codec = batch.None
	}
	w := batch.NewBuilder(o)
	delta := int32(0)
	n := rapid.IntRange(1, 5).Draw(s.t, "records")
	if control {
		n = 1
	}
	for range n {
		delta += int32(rapid.IntRange(0, 2).Draw(s.t, "hole"))
		off := s.ends[p] + core.Offset(delta)
		v := fmt.Sprintf("%d/%d", p, off)
		if control {
			w.AddAt(delta, 1, batch.ControlKey(batch.Commit), []byte{0, 0, 0, 0, 0, 0}, nil)
		} else {
			w.AddAt(delta, 1, nil, []byte(v), nil)
			s.wants[p] = append(s.wants[p], v)
			s.offsets[p] = append(s.offsets[p], off)
		}
		delta++
	}
	last := delta - 1 + int32(rapid.IntRange(0, 2).Draw(s.t, "tail"))
	s.logs[p] = append(s.logs[p], w.FinishAt(s.ends[p], last))
	s.ends[p] += core.Offset(last) + 1
}

func (s *shelf) answer(q kmsg.Request, faults bool) kmsg.Response {
	switch q := q.(type) {
	case *kmsg.ApiVersionsRequest:
		return apiVersions(q.Version)
	case *kmsg.MetadataRequest:
		resp := kmsg.NewPtrMetadataResponse()
		resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: 1, Host: "one", Port: 9092})
		m := kmsg.NewMetadataResponseTopic()
		m.Topic, m.TopicID = kmsg.StringPtr("t"), [16]byte{7}
		for p := range s.logs {
			x := kmsg.NewMetadataResponseTopicPartition()
			x.Partition, x.Leader, x.LeaderEpoch = int32(p), 1, 1
			m.Partitions = append(m.Partitions, x)
		}
		resp.Topics = append(resp.Topics, m)
		return resp
	case *kmsg.ListOffsetsRequest:
		resp := kmsg.NewPtrListOffsetsResponse()
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = "t"
		for _, p := range q.Topics[0].Partitions {
			x := kmsg.NewListOffsetsResponseTopicPartition()
			x.Partition, x.Offset, x.LeaderEpoch = p.Partition, 0, 1
			if faults && rapid.IntRange(0, 3).Draw(s.t, "list") == 0 {
				x.ErrorCode, x.Offset = int16(wire.NotLeaderOrFollower), -1
			}
			t.Partitions = append(t.Partitions, x)
		}
		resp.Topics = append(resp.Topics, t)
		return resp
	case *kmsg.OffsetForLeaderEpochRequest:
		resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = "t"
		for _, p := range q.Topics[0].Partitions {
			x := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			x.Partition, x.LeaderEpoch, x.EndOffset = p.Partition, p.LeaderEpoch, int64(s.ends[p.Partition])
			t.Partitions = append(t.Partitions, x)
		}
		resp.Topics = append(resp.Topics, t)
		return resp
	case *kmsg.FetchRequest:
		return s.fetch(q, faults)
	}
	return nil
}

func (s *shelf) fetch(q *kmsg.FetchRequest, faults bool) kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	se := s.sessions[q.SessionID]
	switch {
	case q.SessionEpoch == 0:
		delete(s.sessions, q.SessionID)
		s.lastID++
		se = &shelfSession{epoch: 1, from: map[int32]int64{}}
		if s.sessions[s.lastID] = se; faults && rapid.Bool().Draw(s.t, "full") {
			delete(s.sessions, s.lastID) // no room for a session
		} else {
			resp.SessionID = s.lastID
		}
	case se == nil || faults && rapid.IntRange(0, 9).Draw(s.t, "evicted") == 0:
		delete(s.sessions, q.SessionID)
		resp.ErrorCode = int16(wire.FetchSessionIDNotFound)
		return resp
	case se.epoch != q.SessionEpoch:
		resp.ErrorCode = int16(wire.InvalidFetchSessionEpoch)
		return resp
	default:
		resp.SessionID = q.SessionID
		se.epoch++
	}
	for _, t := range q.ForgottenTopics {
		for _, p := range t.Partitions {
			delete(se.from, p)
		}
	}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			se.from[p.Partition] = p.FetchOffset
		}
	}
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.TopicID = "t", [16]byte{7}
	for p := range s.logs {
		from, asked := se.from[int32(p)]
		if !asked {
			continue
		}
		x := kmsg.NewFetchResponseTopicPartition()
		x.Partition, x.HighWatermark, x.PreferredReadReplica = int32(p), int64(s.ends[p]), -1
		fault := 0
		if faults {
			fault = rapid.IntRange(0, 9).Draw(s.t, "fault")
		}
		switch {
		case fault == 1:
			x.ErrorCode = int16(wire.NotLeaderOrFollower)
		default:
			room := rapid.IntRange(1, 3).Draw(s.t, "room")
			for _, v := range s.logs[p] {
				if v.LastOffset() < core.Offset(from) || room == 0 {
					continue
				}
				x.RecordBatches = append(x.RecordBatches, v...)
				room--
			}
			if n := len(x.RecordBatches); n > 0 && fault == 2 {
				x.RecordBatches[n-2] ^= 1 // damaged on the way: in a value, if it is not compressed
			} else if n > 0 && fault == 3 {
				x.RecordBatches = x.RecordBatches[:n-3] // cut off
			}
		}
		topic.Partitions = append(topic.Partitions, x)
	}
	resp.Topics = append(resp.Topics, topic)
	return resp
}

func (s *shelf) serve(r *rig, l *line, faults bool) {
	h, q := r.request(l.requests[0])
	l.requests = l.requests[1:]
	resp := s.answer(q, faults)
	require.NotNil(s.t, resp, "%T", q)
	resp.SetVersion(h.Version)
	l.replies = append(l.replies, wire.AppendResponse(nil, h.Correlation, resp))
}

// TestConsumerReadsAll: whatever connections, sessions and brokers do, every record of every partition is
// handed over once, in order, at its offset, and nothing else is.
func TestConsumerReadsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const partitions = 3
		s := newShelf(t, partitions)
		c := NewConsumer(ConsumerOptions{Options: Options{Bootstrap: []string{"boot:1"}, RequestTime: core.Second}, PartitionBytes: 300, BufferBytes: 600})
		r := newRig(t, c)
		read := make([]int, partitions)
		for p := range int32(partitions) {
			c.Assign(r.now, Start{From: FromEarliest}, &r.out, tp("t", p))
		}
		poll := func(n int) {
			for _, m := range c.Poll(r.now, n, &r.out) {
				p := m.At.Partition
				require.Less(t, read[p], len(s.wants[p]), "nothing that is not there")
				require.Equal(t, s.wants[p][read[p]], string(m.Value))
				require.Equal(t, s.offsets[p][read[p]], m.Offset)
				read[p]++
			}
			r.carryOut()
			for _, x := range c.Tidings() {
				require.Equal(t, Stuck, x.Kind, "%v", x)
			}
		}
		r.calm(rapid.IntRange(0, 6).Draw(t, "calm"), func(l *line) { s.serve(r, l, false) })
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				poll(rapid.IntRange(1, 7).Draw(t, "limit"))
			case 1, 2:
				if len(r.dials) > 0 {
					r.open(rapid.SampledFrom([]core.Errno{core.OK, core.OK, core.Refused}).Draw(t, "dial"))
				}
			case 3, 4, 5:
				if l := pick(t, r.conns, func(l *line) bool { return len(l.requests) > 0 }); l != nil {
					s.serve(r, l, true)
				}
			case 6, 7:
				if l := pick(t, r.conns, func(l *line) bool { return len(l.replies) > 0 }); l != nil {
					r.deliver(l)
				}
			case 8:
				if l := pick(t, r.conns, func(*line) bool { return true }); l != nil && rapid.Bool().Draw(t, "kill") {
					r.kill(l.conn, core.Reset)
				} else {
					c.Pause(rapid.Bool().Draw(t, "pause"), r.now, &r.out, tp("t", int32(rapid.IntRange(0, partitions-1).Draw(t, "which"))))
					r.carryOut()
				}
			case 9:
				r.pass(core.Time(rapid.Int64Range(1, int64(800*core.Millisecond)).Draw(t, "time")))
			}
		}
		c.Pause(false, r.now, &r.out, tp("t", 0), tp("t", 1), tp("t", 2))
		r.carryOut()
		done := func() bool {
			for p := range read {
				if position, _ := c.Position(tp("t", int32(p))); read[p] < len(s.wants[p]) || position < s.ends[p] {
					return false
				}
			}
			return true
		}
		for n := 0; !done(); n++ {
			require.Less(t, n, 2000, "all is read in the end: %v", read)
			if len(r.dials) > 0 {
				r.open(core.OK)
			}
			for _, l := range append([]*line(nil), r.conns...) {
				for len(l.requests) > 0 {
					s.serve(r, l, false)
				}
				for len(l.replies) > 0 && r.line(l.conn) != nil {
					r.deliver(l)
				}
			}
			poll(100)
			r.pass(50 * core.Millisecond)
		}
		require.Zero(t, c.buffered)
	})
}
