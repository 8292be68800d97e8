package sim

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/wire"
)

// fair is a reader that never gets on: it asks for the first records of every partition, again and again in one fetch
// session, with room for one partition's in each reply. A partition that has records must get its turn, however busy
// the others are (I88). It also sees many small replies of many partitions, which our consumers never ask for.
type fair struct {
	r       *run
	entity  uint64
	line    line
	session int32
	epoch   int32
	parts   []fairPart
	replies int // of the session, that gave records
	byID    bool
	next    core.Time
}

type fairPart struct {
	at     core.TopicPartition
	ready  bool // it has records from offset 0 on
	unsure bool // it answered with an error
	turns  int
}

func (a *fair) Next() core.Time { return a.next }

func (a *fair) Step(now core.Now, ev *core.Event, out *core.Out) {
	if ev.Kind == core.Boot {
		a.next = now.Mono + core.Second
	}
	asked, resp, lost := a.line.step(a.r, now, ev, out)
	if len(lost) > 0 {
		a.session = 0
	}
	if a.session == 0 && resp != nil && a.r.cfg.topology.many() && a.r.w.draw(siteWork, a.entity, 4) == 3 {
		a.line.hangUp(out) // another broker leads others of them
	}
	if p, ok := resp.(*kmsg.FetchResponse); ok {
		a.heed(&asked, p)
		a.next = now.Mono + core.Time(2+a.r.w.draw(siteWork, a.entity, 12))*core.Millisecond
		if a.session == 0 {
			a.next = now.Mono + core.Time(100+a.r.w.draw(siteWork, a.entity, 600))*core.Millisecond
		}
	}
	if now.Mono < a.next {
		return
	}
	a.next = now.Mono + lineRetry
	if a.r.stage >= stageCalm {
		a.line.hangUp(out)
		a.next = core.Never
		return
	}
	if a.r.probes.made < len(a.r.cfg.Topics) || !a.line.open(a.r, a.entity, now, out) || len(a.line.waits) > 0 {
		return
	}
	a.line.send(a.r, a.request(), 12, 0, 0, out)
	a.next = now.Mono + 4*core.Second
}

// request opens a session, or goes on with it without a word on any partition.
func (a *fair) request() kmsg.Request {
	q := kmsg.NewPtrFetchRequest()
	q.ReplicaID, q.MaxBytes, q.MinBytes, q.MaxWaitMillis, q.SessionID, q.SessionEpoch = -1, 1, 1, 100, a.session, a.epoch
	if a.session != 0 {
		return q
	}
	a.parts, a.replies, a.epoch, q.SessionEpoch = a.parts[:0], 0, 0, 0
	for i := range a.r.cfg.Topics {
		t := &a.r.cfg.Topics[i]
		if t.removable {
			continue
		}
		x := kmsg.NewFetchRequestTopic()
		x.Topic = t.name
		for p := range t.partitions {
			y := kmsg.NewFetchRequestTopicPartition()
			y.Partition, y.PartitionMaxBytes, y.CurrentLeaderEpoch, y.LastFetchedEpoch = p, 1, -1, -1
			x.Partitions = append(x.Partitions, y)
			a.parts = append(a.parts, fairPart{at: core.TopicPartition{Topic: t.name, Partition: p}})
		}
		q.Topics = append(q.Topics, x)
	}
	return q
}

// heed counts the turns.
func (a *fair) heed(asked *waiting, p *kmsg.FetchResponse) {
	if a.session == 0 {
		a.session, a.epoch = p.SessionID, 0
	}
	if p.ErrorCode != 0 || a.session == 0 {
		a.session = 0
		return
	}
	a.epoch++
	gave := false
	for i := range p.Topics {
		for j := range p.Topics[i].Partitions {
			x := &p.Topics[i].Partitions[j]
			part := a.part(core.TopicPartition{Topic: p.Topics[i].Topic, Partition: x.Partition})
			if part == nil {
				continue
			}
			part.unsure = part.unsure || x.ErrorCode != 0 && wire.Code(x.ErrorCode) != wire.None
			if len(x.RecordBatches) > 0 {
				part.turns++
				gave = true
			}
			if !part.ready && x.HighWatermark > 0 && x.LogStartOffset == 0 {
				part.ready = true
				if a.replies > 0 { // it joins when all have had their turn
					a.replies = 0
					for k := range a.parts {
						a.parts[k].turns = 0
					}
				}
			}
		}
	}
	if gave {
		a.replies++
	}
	if a.replies < 2*len(a.parts)+3 {
		return
	}
	for i := range a.parts {
		if x := &a.parts[i]; x.ready && !x.unsure && x.turns == 0 && !a.r.cfg.Set.Lossy() {
			a.r.oracle.fail("I88", "%s-%d has had records for %d replies of one fetch session, and got no turn; %s", x.at.Topic, x.at.Partition, a.replies, a.turns())
		}
	}
	a.session = 0
}

func (a *fair) turns() (s string) {
	for i := range a.parts {
		s += " " + strconv.Itoa(a.parts[i].turns)
	}
	return "turns of all:" + s
}

func (a *fair) part(at core.TopicPartition) *fairPart {
	for i := range a.parts {
		if a.parts[i].at == at {
			return &a.parts[i]
		}
	}
	return nil
}
