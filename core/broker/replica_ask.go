package broker

import (
	"klamm/core"
	"klamm/core/replica"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a follower asks its leader besides fetching: where the leader's log starts, when it called a fetch out of range,
// where an epoch ended there, and what it has at an offset (cut_back.go). All are rare; one request of a kind is in flight for each leader.

// QuestionsMax bounds the partitions of one such request.
const QuestionsMax = 1000

// ask sends the questions that wait, as far as they are of the kind of the first.
func (b *Broker) ask(now core.Now, f *fetcher, out *core.Out) {
	act := f.questions[0].act
	f.asked = 0
	most := QuestionsMax
	if act == replica.AskFirst {
		most = firstsAtOnce
	}
	for f.asked < len(f.questions) && f.asked < most && f.questions[f.asked].act == act {
		f.asked++
	}
	var q kmsg.Request
	switch all := f.questions[:f.asked]; act {
	case replica.AskStart:
		q = b.askStarts(all)
	case replica.AskFirst:
		q = b.askFirsts(all)
	default:
		q = b.askEnds(all)
	}
	b.repl.asks++
	if f.question = b.repl.asks; !b.askReplica(now, f.node, f.question, q, out) {
		b.answered(now, f, nil, out)
	}
}

func (b *Broker) askStarts(all []question) kmsg.Request {
	q := kmsg.NewPtrListOffsetsRequest()
	q.ReplicaID = int32(b.cfg.NodeID)
	for _, x := range all {
		h := b.parts.at(x.log)
		if h == nil {
			continue
		}
		if n := len(q.Topics) - 1; n < 0 || q.Topics[n].Topic != h.tp.Topic {
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = h.tp.Topic
			q.Topics = append(q.Topics, topic)
		}
		topic := &q.Topics[len(q.Topics)-1]
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = h.tp.Partition, earliestOffset, int32(x.leads)
		topic.Partitions = append(topic.Partitions, p)
	}
	return q
}

func (b *Broker) askEnds(all []question) kmsg.Request {
	q := kmsg.NewPtrOffsetForLeaderEpochRequest()
	q.ReplicaID = int32(b.cfg.NodeID)
	for _, x := range all {
		h := b.parts.at(x.log)
		if h == nil {
			continue
		}
		if n := len(q.Topics) - 1; n < 0 || q.Topics[n].Topic != h.tp.Topic {
			topic := kmsg.NewOffsetForLeaderEpochRequestTopic()
			topic.Topic = h.tp.Topic
			q.Topics = append(q.Topics, topic)
		}
		topic := &q.Topics[len(q.Topics)-1]
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.CurrentLeaderEpoch = h.tp.Partition, int32(x.epoch), int32(x.leads)
		topic.Partitions = append(topic.Partitions, p)
	}
	return q
}

// answered takes the leader's answer to the questions in flight; nil if there is none.
func (b *Broker) answered(now core.Now, f *fetcher, resp kmsg.Response, out *core.Out) {
	all := f.questions[:f.asked]
	f.questions = append([]question(nil), f.questions[f.asked:]...)
	f.question, f.asked = 0, 0
	for _, x := range all {
		h := b.parts.at(x.log)
		if h == nil || h.follower == nil || h.follower.Leader() != f.node || h.follower.Epoch() != x.leads {
			continue
		}
		step := replica.Step{Act: replica.Rest}
		told := false
		switch r := resp.(type) {
		case *kmsg.ListOffsetsResponse:
			if p := startIn(r, h.tp); p != nil && wire.Code(p.ErrorCode) == wire.None && p.Offset >= 0 {
				step = h.follower.Starts(b.own(h), core.Offset(p.Offset))
				told = true
			}
		case *kmsg.OffsetForLeaderEpochResponse:
			if p := endIn(r, h.tp); p != nil && wire.Code(p.ErrorCode) == wire.None {
				if told = true; !x.whole {
					step = h.follower.Ended(now.Mono, b.own(h), core.Epoch(p.LeaderEpoch), core.Offset(p.EndOffset), b.ends(h))
				} else if own := b.own(h); own.End == x.end {
					step = h.follower.EndIs(own, core.Offset(p.EndOffset))
				} else { // it says nothing of what was sent since
					told = false
				}
			}
		case *kmsg.FetchResponse:
			step, told = b.heardFirst(h, &x, r, out)
		}
		if !told {
			step = h.follower.Lost(now.Mono)
		}
		b.follow(now, h, step, out)
	}
}

func startIn(r *kmsg.ListOffsetsResponse, tp core.TopicPartition) *kmsg.ListOffsetsResponseTopicPartition {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			if p := &r.Topics[i].Partitions[j]; r.Topics[i].Topic == tp.Topic && p.Partition == tp.Partition {
				return p
			}
		}
	}
	return nil
}

func endIn(r *kmsg.OffsetForLeaderEpochResponse, tp core.TopicPartition) *kmsg.OffsetForLeaderEpochResponseTopicPartition {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			if p := &r.Topics[i].Partitions[j]; r.Topics[i].Topic == tp.Topic && p.Partition == tp.Partition {
				return p
			}
		}
	}
	return nil
}
