package broker

import (
	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// writeTxnMarkers serves WriteTxnMarkers v1-v2: a transaction's coordinator, or an operator who aborts one by hand, says how
// a transaction ended in partitions that this broker leads. Left out: authorization.
//
// Each partition's marker is appended, fenced by the producer's epoch and the coordinator's (core/log), and the answer leaves when all
// are committed. A marker of a partition of __consumer_offsets also ends what the transaction has staged in its groups, in the
// same step, so that whoever asks a group after the answer sees what came of it.
func (b *Broker) writeTxnMarkers(now core.Now, r request, q *kmsg.WriteTxnMarkersRequest, out *core.Out) {
	t := &markersTask{r: r, deadline: now.Mono.After(b.cfg.RequestTime)}
	for i := range q.Markers {
		m := &q.Markers[i]
		facts := log.MarkerFacts{
			ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch,
			Commit: m.Committed, Version: m.TransactionVersion, Timestamp: now.Wall.Millis(),
		}
		for j := range m.Topics {
			for _, n := range m.Topics[j].Partitions {
				p := markerPart{producer: m.ProducerID, tp: core.TopicPartition{Topic: m.Topics[j].Topic, Partition: n}, log: log.NoLog}
				b.writeMarker(now, &p, facts, out)
				t.parts = append(t.parts, p)
			}
		}
	}
	if t.Advance(b, now, out) {
		return
	}
	var keys []waitKey
	for i := range t.parts {
		if p := &t.parts[i]; !p.done {
			keys = append(keys, waitKey{kind: waitPartition, id: uint64(p.log)})
		}
	}
	b.park(r, t, t.deadline, keys...)
}

// markersTask is a WriteTxnMarkers request whose markers are on their way to the other replicas.
type markersTask struct {
	r        request
	parts    []markerPart
	deadline core.Time
}

// markerPart is one marker of one partition.
type markerPart struct {
	producer int64
	tp       core.TopicPartition
	log      log.LogID
	epoch    core.Epoch // of the leadership that took it
	end      core.Offset
	done     bool
	code     wire.Code
}

func (p *markerPart) decide(code wire.Code) { p.done, p.code = true, code }

// writeMarker appends one marker.
func (b *Broker) writeMarker(now core.Now, p *markerPart, facts log.MarkerFacts, out *core.Out) {
	h, code := b.parts.find(p.tp.Topic, core.TopicID{}, false, p.tp.Partition)
	switch {
	case h == nil || h.offline():
		p.decide(wire.UnknownTopicOrPartition)
		return
	case code != wire.None:
		p.decide(code)
		return
	case !h.leader.Enough():
		p.decide(wire.NotEnoughReplicas)
		return
	case !soundMarker(&facts):
		p.decide(wire.UnknownServerError)
		return
	}
	var groups *coordinator
	if p.tp.Topic == offsetsTopic {
		// While its groups are being loaded nobody could say what has become of the offsets; the coordinator comes again.
		if groups = b.coords.find(p.tp.Partition); groups == nil || !groups.shard.Leads(h.log, h.leader.Epoch()) {
			out.Mark("broker.marker-before-groups")
			p.decide(wire.NotLeaderOrFollower)
			return
		}
	}
	at, err := b.store.AppendMarker(now, h.log, facts, h.leader.Epoch(), out)
	switch err {
	case log.AppendOK:
	case log.MarkerEpoch:
		p.decide(wire.InvalidProducerEpoch)
		return
	case log.CoordinatorFenced:
		p.decide(wire.TransactionCoordinatorFenced)
		return
	default:
		p.decide(appendCode(err))
		return
	}
	p.log, p.epoch, p.end = h.log, h.leader.Epoch(), at+1
	h.leader.Appended(p.end)
	if groups != nil {
		groups.groups.EndTransaction(facts.ProducerID, facts.Commit, p.end, out)
		b.wakeGroups(groups)
	}
}

// soundMarker reports whether a marker is one of a producer at all: those of nobody would lie in the log as control batches that end
// nothing.
func soundMarker(m *log.MarkerFacts) bool {
	return m.ProducerID >= 0 && m.ProducerEpoch >= 0 && m.Version >= 0
}

// Advance answers when every marker is committed, or will not be.
func (t *markersTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	late := now.Mono >= t.deadline
	for i := range t.parts {
		p := &t.parts[i]
		h := b.parts.at(p.log)
		switch {
		case p.done:
		case h == nil || h.gone:
			p.decide(wire.UnknownTopicOrPartition)
		case h.offline():
			p.decide(wire.KafkaStorageError)
		case h.leader == nil || h.leader.Epoch() != p.epoch:
			p.decide(wire.NotLeaderOrFollower)
		case h.leader.High() >= p.end && h.leader.Enough():
			p.decide(wire.None)
		case h.leader.High() >= p.end:
			p.decide(wire.NotEnoughReplicasAfterAppend)
		case late:
			p.decide(wire.RequestTimedOut)
		default:
			return false
		}
	}
	t.answer(b, now, out)
	return true
}

// answer puts all rows of a producer together, as those who ask expect.
func (t *markersTask) answer(b *Broker, now core.Now, out *core.Out) {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	at := map[int64]int{}
	for i := range t.parts {
		p := &t.parts[i]
		n, known := at[p.producer]
		if !known {
			n = len(resp.Markers)
			at[p.producer] = n
			m := kmsg.NewWriteTxnMarkersResponseMarker()
			m.ProducerID = p.producer
			resp.Markers = append(resp.Markers, m)
		}
		m := &resp.Markers[n]
		if k := len(m.Topics) - 1; k < 0 || m.Topics[k].Topic != p.tp.Topic {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = p.tp.Topic
			m.Topics = append(m.Topics, topic)
		}
		row := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
		row.Partition, row.ErrorCode = p.tp.Partition, int16(p.code)
		topic := &m.Topics[len(m.Topics)-1]
		topic.Partitions = append(topic.Partitions, row)
	}
	b.reply(now, t.r, resp, out)
}
