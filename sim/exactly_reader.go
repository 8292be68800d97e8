package sim

import (
	"klamm/checker"
	"klamm/core"
	"klamm/core/client"
)

// committedReader reads every partition with read_committed and keeps all that it was given, for the checker. The audit is one
// that begins when everybody has finished.
type committedReader struct {
	e      *exactly
	entity uint64
	number int
	c      *client.Consumer
	next   core.Time
	pause  core.Time
	limit  int
	audit  bool
	at     []core.TopicPartition
	fresh  []bool
}

// consumersFrom is where the numbers of these consumers begin.
const consumersFrom = 1 << 16

func (e *exactly) reader(entity uint64, audit bool) core.Machine {
	w := e.r.w
	o := client.ConsumerOptions{Options: e.r.options(entity), Reset: client.ResetEarliest, ReadCommitted: true}
	o.PartitionBytes = 200 << w.draw(siteConfig, entity, 12)
	o.MaxWait = core.Time(10+w.draw(siteConfig, entity, 500)) * core.Millisecond
	a := &committedReader{e: e, entity: entity, number: consumersFrom + int(entity), audit: audit, next: core.Never,
		pause: core.Time(10+w.draw(siteConfig, entity, 100)) * core.Millisecond, limit: 1 + int(w.draw(siteConfig, entity, 100))}
	if audit {
		a.pause, a.limit = 5*core.Millisecond, 10000
		o.PartitionBytes = max(o.PartitionBytes, 20000)
		e.audit = a
		for i := range e.shown {
			e.shown[i].Committed = nil
		}
	}
	a.c = client.NewConsumer(o)
	for i := range e.r.oracle.logs {
		a.at, a.fresh = append(a.at, e.r.oracle.logs[i].at), append(a.fresh, true)
	}
	return a
}

func (a *committedReader) Next() core.Time { return min(a.next, a.c.Next()) }

func (a *committedReader) Step(now core.Now, ev *core.Event, out *core.Out) {
	if a.c.Mine(ev) {
		a.c.Step(now, ev, out)
	}
	if ev.Kind == core.Boot {
		a.next = now.Mono + 100*core.Millisecond
	}
	for _, t := range a.c.Tidings() {
		switch t.Kind {
		case client.Moved, client.Truncated:
			for i := range a.at {
				for _, at := range t.Partitions {
					a.fresh[i] = a.fresh[i] || a.at[i] == at
				}
			}
		}
	}
	if ev.Kind == core.Frame {
		a.next = min(a.next, now.Mono+a.pause)
	}
	if now.Mono < a.next {
		return
	}
	a.next = now.Mono + idlePoll
	switch {
	case a.audit && a.e.r.stage < stageAudit:
		a.next = now.Mono + 100*core.Millisecond
	case len(a.c.Reading()) == 0:
		a.c.Assign(now, client.Start{From: client.FromEarliest}, out, a.at...)
	case a.poll(now, out):
		a.next = now.Mono + a.pause
	}
}

// poll takes what has come; it reports whether there may be more.
func (a *committedReader) poll(now core.Now, out *core.Out) bool {
	limit := a.limit
	if a.e.r.stage >= stageFlush {
		limit = 10000
	}
	before := make([]core.Offset, len(a.at))
	for i, at := range a.at {
		before[i], _ = a.c.Position(at)
	}
	list := a.c.Poll(now, limit, out)
	r := a.e.r
	for i, at := range a.at {
		after, _ := a.c.Position(at)
		if before[i] < 0 || after < 0 || after == before[i] {
			continue
		}
		p := checker.Poll{Partition: checker.Partition{TopicID: at.Topic, Number: at.Partition}, Consumer: a.number, Invoke: int64(r.w.now), Return: int64(r.w.now),
			From: int64(before[i]), Next: int64(after), High: -1, Start: -1, Fresh: a.fresh[i]}
		a.fresh[i] = false
		for _, m := range list {
			if m.At != at {
				continue
			}
			id, ok := readID(&m)
			if !ok {
				r.oracle.fail("I06", "%s-%d offset %d: the bytes of record %s are wrong", at.Topic, at.Partition, m.Offset, name(id))
				return false
			}
			p.Records = append(p.Records, checker.Record{Offset: int64(m.Offset), Value: checker.Value(id) + 1})
		}
		if a.audit {
			a.e.shown[i].Committed = append(a.e.shown[i].Committed, p.Records...)
		}
		a.e.polls = append(a.e.polls, p)
	}
	return len(list) == limit
}

// taken keeps what a pipe took as a poll of its own: its positions jump.
func (e *exactly) taken(consumer int, reads []checker.Read, now core.Time) {
	for i := 0; i < len(reads); {
		p := checker.Poll{Partition: reads[i].Partition, Consumer: -1 - consumer, Invoke: int64(now), Return: int64(now), From: reads[i].Offset, High: -1, Start: -1, Fresh: true}
		for ; i < len(reads) && reads[i].Partition == p.Partition; i++ {
			p.Records = append(p.Records, reads[i].Record)
			p.Next = reads[i].Offset + 1
		}
		e.polls = append(e.polls, p)
	}
}
