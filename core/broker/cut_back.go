package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/replica"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// How a follower finds out that its leader may have cleaned away the marker of a transaction which it has begun to copy (see core/log/passed.go):
// it keeps what the leader has left out in mind, reads the leader's log as a consumer would where its open transactions begin, one place
// after the other, and fetches anew. If they are all there, what was left out before they were asked for is no doubt any more. If one is not, its copy is cut back to there.
//
// What may come between: another leader, a cut, a restart of the log (doubt is of one leadership and one end); a clean of the leader's (what is left
// out then is something else, and is asked about); a question or an answer that is lost (the follower rests, and fetches).

// doubt is what a follower's last answer left out behind transactions that are open here.
type doubt struct {
	leads core.Epoch
	end   core.Offset // of this log
	gaps  []log.Gap
	sure  bool // the leader has all that is open here
}

// setBack is how a copy was cut back last.
type setBack struct {
	on bool
	to core.Offset
}

// Bounds of the question for first batches.
const (
	firstsAtOnce  = 16       // of one request
	firstBytesMax = 64 << 10 // for each; more only for a batch that is larger
)

// beyondDoubt returns the step that a follower may take of one that appends: fewer batches, or a question.
func (b *Broker) beyondDoubt(h *hosted, s replica.Step, out *core.Out) replica.Step {
	l := b.store.Log(h.log)
	d := &h.copying.doubt
	var sure []log.Gap
	if d.sure && d.leads == h.follower.Epoch() && d.end == l.End() {
		sure = d.gaps
	}
	n, gaps := l.Unended(s.Batches, sure)
	if n > 0 {
		s.Batches, *d, h.copying.back = s.Batches[:n], doubt{}, setBack{}
		return s
	}
	out.Mark("broker.replica-doubts")
	*d = doubt{leads: h.follower.Epoch(), end: l.End(), gaps: gaps}
	first, _ := l.OpenFrom(0)
	if start := max(s.Start, l.Starting()); first < start { // the leader cannot be asked for that
		return b.cutBack(h, start, true, out)
	}
	h.follower.Doubts()
	return replica.Step{Act: replica.AskFirst, At: first, High: -1, Start: -1}
}

// cutBack has a copy cut, or begun anew, if it counts for nothing as far as the metadata know: else it waits until they do. All that is behind the damage of a
// damaged one, and was synced here, goes with it: see awaitsLoss.
func (b *Broker) cutBack(h *hosted, to core.Offset, anew bool, out *core.Out) replica.Step {
	x := b.img.Partition(h.tp.Topic, h.tp.Partition)
	if _, hurt := b.store.Log(h.log).Damaged(); hurt {
		h.losing = true
	}
	if x == nil || slices.Contains(x.ISR, b.cfg.NodeID) || slices.Contains(x.ELR, b.cfg.NodeID) || b.lossUntold(h) {
		out.Mark("broker.replica-cut-back-waits")
		b.checkDir(h)
		return h.follower.Lost(b.now.Mono)
	}
	out.Mark("broker.replica-cut-back")
	h.copying.back = setBack{on: true, to: to}
	b.note(b.now, core.Info, h.name()+": this copy, which is not in sync, is cut back from offset "+strconv.FormatInt(int64(b.store.Log(h.log).End()), 10)+" to "+strconv.FormatInt(int64(to), 10)+
		": the leader, node "+strconv.Itoa(int(h.follower.Leader()))+", has cleaned away a transaction that begins there, and perhaps its end", out)
	return h.follower.CutBack(to, anew)
}

// askFirsts asks for the batches with which open transactions begin, as a consumer: it promises nothing of this copy.
func (b *Broker) askFirsts(all []question) kmsg.Request {
	q := kmsg.NewPtrFetchRequest()
	q.SessionEpoch, q.MaxBytes, q.MinBytes = -1, int32(len(all))*firstBytesMax, 1
	for _, x := range all {
		h := b.parts.at(x.log)
		if h == nil {
			continue
		}
		if n := len(q.Topics) - 1; n < 0 || q.Topics[n].TopicID != h.id {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic, topic.TopicID = h.tp.Topic, h.id
			q.Topics = append(q.Topics, topic)
		}
		topic := &q.Topics[len(q.Topics)-1]
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.CurrentLeaderEpoch, p.PartitionMaxBytes = h.tp.Partition, int64(x.at), int32(x.leads), firstBytesMax
		topic.Partitions = append(topic.Partitions, p)
	}
	return q
}

// heardFirst takes what the leader has where an open transaction begins. It reports false if that says nothing.
func (b *Broker) heardFirst(h *hosted, x *question, r *kmsg.FetchResponse, out *core.Out) (replica.Step, bool) {
	l := b.store.Log(h.log)
	d := &h.copying.doubt
	p := firstIn(r, h)
	if p == nil || wire.Code(p.ErrorCode) != wire.None || d.leads != x.leads || d.end != l.End() || x.at < l.Starting() {
		return replica.Step{}, false
	}
	to, lost := l.Confirm(p.RecordBatches, x.at)
	switch next, more := l.OpenFrom(to); {
	case to == x.at:
		return replica.Step{}, false
	case lost >= 0:
		return b.cutBack(h, lost, false, out), true
	case more:
		return replica.Step{Act: replica.AskFirst, At: next, High: -1, Start: -1}, true
	}
	d.sure = true
	return h.follower.Sure(), true
}

func firstIn(r *kmsg.FetchResponse, h *hosted) *kmsg.FetchResponseTopicPartition {
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			if p := &t.Partitions[j]; p.Partition == h.tp.Partition && (t.TopicID == h.id || t.Topic == h.tp.Topic) {
				return p
			}
		}
	}
	return nil
}
