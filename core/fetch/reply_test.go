package fetch

import (
	"encoding/binary"
	"testing"

	"klamm/core"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// A reply, its ranges put in, is byte for byte what kmsg writes for the same answer, in every version.
func TestReplyEqualsKmsg(t *testing.T) {
	file := make([]byte, 4096)
	for i := range file {
		file[i] = byte(i * 7)
	}
	rapid.Check(t, func(t *rapid.T) {
		version := int16(rapid.IntRange(4, 18).Draw(t, "version"))
		r := drawReply(t)
		if version < 16 {
			r.Nodes = nil // kmsg would write them all the same
		}
		var got []byte
		for _, p := range Encode(version, 77, r) {
			got = append(got, p.Bytes...)
			got = append(got, file[p.Pos:p.Pos+p.Len]...)
		}
		want := []byte{0, 0, 0, 0, 0, 0, 0, 77}
		if version >= 12 {
			want = append(want, 0)
		}
		want = kmsgReply(version, r, file).AppendTo(want)
		binary.BigEndian.PutUint32(want, uint32(len(want)-4))
		require.Equal(t, want, got)
	})
}

func drawAborted(t *rapid.T) (list []Aborted) {
	for range rapid.IntRange(0, 3).Draw(t, "aborted") {
		list = append(list, Aborted{rapid.Int64().Draw(t, "producer"), core.Offset(rapid.Int64().Draw(t, "first"))})
	}
	return list
}

func drawReply(t *rapid.T) *Reply {
	r := &Reply{Code: rapid.Int16().Draw(t, "code"), SessionID: rapid.Int32().Draw(t, "session")}
	for range rapid.IntRange(0, 3).Draw(t, "topics") {
		topic := Topic{Name: rapid.StringMatching(`[a-z]{0,140}`).Draw(t, "name"), ID: core.TopicID{rapid.Byte().Draw(t, "id")}}
		for i := range rapid.IntRange(0, 3).Draw(t, "partitions") {
			topic.Partitions = append(topic.Partitions, Partition{
				Partition: int32(i), Code: rapid.Int16().Draw(t, "code"), High: core.Offset(rapid.Int64().Draw(t, "high")),
				LastStable: core.Offset(rapid.Int64().Draw(t, "lso")), Start: core.Offset(rapid.Int64().Draw(t, "start")),
				Committed: rapid.Bool().Draw(t, "committed"), Diverged: rapid.Bool().Draw(t, "diverged"), TellLeader: rapid.Bool().Draw(t, "tell"),
				Aborted:      drawAborted(t),
				DivergeEpoch: 3, DivergeEnd: 4, Leader: 5, LeaderEpoch: 6,
				File: 9, Pos: rapid.Int64Range(0, 1000).Draw(t, "pos"), Len: rapid.Int64Range(0, 3000).Draw(t, "len"),
			})
		}
		r.Topics = append(r.Topics, topic)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "nodes") {
		r.Nodes = append(r.Nodes, Node{ID: core.NodeID(i), Host: rapid.StringMatching(`[a-z]{0,140}`).Draw(t, "host"), Port: 9092, HasRack: rapid.Bool().Draw(t, "hasrack"), Rack: "r"})
	}
	return r
}

func kmsgReply(version int16, r *Reply, file []byte) *kmsg.FetchResponse {
	k := kmsg.NewPtrFetchResponse()
	k.Version, k.ErrorCode, k.SessionID = version, r.Code, r.SessionID
	for _, topic := range r.Topics {
		kt := kmsg.NewFetchResponseTopic()
		kt.Topic, kt.TopicID = topic.Name, topic.ID
		for _, p := range topic.Partitions {
			kp := kmsg.NewFetchResponseTopicPartition()
			kp.Partition, kp.ErrorCode, kp.HighWatermark = p.Partition, p.Code, int64(p.High)
			kp.LastStableOffset, kp.LogStartOffset = int64(p.LastStable), int64(p.Start)
			if p.Committed {
				kp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
				for _, a := range p.Aborted {
					ka := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
					ka.ProducerID, ka.FirstOffset = a.Producer, int64(a.First)
					kp.AbortedTransactions = append(kp.AbortedTransactions, ka)
				}
			}
			kp.RecordBatches = append([]byte{}, file[p.Pos:p.Pos+p.Len]...)
			if p.Diverged {
				kp.DivergingEpoch.Epoch, kp.DivergingEpoch.EndOffset = int32(p.DivergeEpoch), int64(p.DivergeEnd)
			}
			if p.TellLeader {
				kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch = int32(p.Leader), int32(p.LeaderEpoch)
			}
			kt.Partitions = append(kt.Partitions, kp)
		}
		k.Topics = append(k.Topics, kt)
	}
	for _, n := range r.Nodes {
		kn := kmsg.NewFetchResponseBroker()
		kn.NodeID, kn.Host, kn.Port = int32(n.ID), n.Host, n.Port
		if n.HasRack {
			kn.Rack = &n.Rack
		}
		k.Brokers = append(k.Brokers, kn)
	}
	return k
}
