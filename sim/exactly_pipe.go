package sim

import (
	"klamm/checker"
	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
)

// piping owns a pipe: of each record that it takes it makes one, in a transaction with the offsets. Now and then it gives a
// batch up although all went well. A twin, which uses the transactional id of another, does nothing once the world is healed.
type piping struct {
	e      *exactly
	conf   *pipeConfig
	entity uint64
	life   int
	number int          // at the oracle
	x      *client.Pipe // nil: a twin that is not to disturb any more
	ids    []uint64     // by RecordID, from 1
	next   core.Time
	txn    int // -1: none
	batch  []client.Message
	left   bool // the group, or about to
	exit   bool
}

func (e *exactly) piping(i int, entity uint64) core.Machine {
	conf := &e.r.cfg.exactly.pipes[i]
	if was := e.pipes[i]; was != nil && was.txn >= 0 && e.txns[was.txn].commit { // it was killed: whether that was committed nobody knows
		e.through(&e.txns[was.txn])
	}
	a := &piping{e: e, conf: conf, entity: entity, next: core.Never, txn: -1}
	e.pipes[i] = a
	if conf.twin && e.quiet() {
		return a
	}
	d := drawing{e.r.w.Choices, entity}
	o := client.PipeOptions{Options: e.r.options(entity), Records: conf.records}
	o.Consumer.Reset, o.Consumer.PartitionBytes = client.ResetEarliest, 8000<<d.n(6) // with less a batch would be a record, and a run too short
	o.Consumer.MaxWait = d.ms(10, 400)
	o.Consumer.Group = client.GroupOptions{ID: conf.group, SessionTime: 6 * core.Second, HeartbeatTime: core.Second, RebalanceTime: 6 * core.Second}
	for _, t := range conf.from {
		o.Consumer.Group.Topics = append(o.Consumer.Group.Topics, e.r.cfg.Topics[t].name)
	}
	o.Producer.TransactionalID, o.Producer.TransactionTime, o.Producer.DeliveryTime = conf.id, conf.lasts, 20*core.Second
	o.Producer.Linger, o.Producer.BatchBytes = core.Time(d.n(5))*core.Millisecond, 200<<d.n(6)
	a.number, a.x = e.r.oracle.Sender(true, -1), client.NewPipe(o)
	return a
}

func (a *piping) Next() core.Time {
	if a.x == nil {
		return core.Never
	}
	return min(a.next, a.x.Next())
}

func (a *piping) Step(now core.Now, ev *core.Event, out *core.Out) {
	if a.x == nil {
		return
	}
	w := a.e.r.w
	if ev.Kind == core.Boot {
		a.life = a.e.life(a.conf.id)
		a.next = now.Mono + a.conf.start
	}
	if a.x.Mine(ev) {
		a.x.Step(now, ev, out)
	}
	a.drain()
	if ev.Kind == core.Frame && a.txn < 0 {
		a.next = min(a.next, now.Mono+20*core.Millisecond)
	}
	if now.Mono >= a.next {
		a.work(now, out)
		a.drain()
	}
	if l := &a.e.lives[a.life]; l.told == core.Never && a.x.Producer().Ready() {
		l.told = w.now
	}
	if _, dead := a.x.Dead(); dead {
		a.e.r.deed(deedFenced)
		a.exit = true
	}
	if a.exit {
		out.Exit(1)
	}
}

// work takes a batch, or does what is to be done with the one that was taken.
func (a *piping) work(now core.Now, out *core.Out) {
	r := a.e.r
	v := r.w.draw(siteWork, a.entity, 1<<32)
	if a.txn >= 0 {
		a.next = core.Never
		a.process(now, v, out)
		return
	}
	a.next = now.Mono + idlePoll
	if a.conf.twin && a.e.quiet() {
		if !a.left && a.x.Idle() {
			a.left = true
			a.x.Leave(now, out)
		}
		return
	}
	a.batch = append(a.batch[:0], a.x.Take(now, out)...)
	if len(a.batch) == 0 {
		return
	}
	a.txn = a.e.begin(a.conf.id, a.life)
	t := &a.e.txns[a.txn]
	t.group, t.stage = a.conf.group, a.conf.stage
	for i := range a.batch {
		m := &a.batch[i]
		id, ok := readValue(m.Value)
		if !ok {
			r.oracle.fail("I06", "%s-%d offset %d: the bytes of record %s are wrong", m.At.Topic, m.At.Partition, m.Offset, name(id))
			return
		}
		t.reads = append(t.reads, checker.Read{Partition: checker.Partition{TopicID: m.At.Topic, Number: m.At.Partition},
			Record: checker.Record{Offset: int64(m.Offset), Value: checker.Value(id) + 1}})
	}
	a.e.taken(a.number, t.reads, r.w.now)
	if a.next = now.Mono + core.Time(v&31)*core.Millisecond; r.stage >= stageFlush {
		a.next = now.Mono
	}
	if v>>8&63 == 0 && r.stage < stageCalm { // for longer than the coordinator waits
		r.deed(deedOverdue)
		a.next = now.Mono + a.conf.lasts + 2*core.Second
	}
}

// process makes a record of each that was taken.
func (a *piping) process(now core.Now, v uint64, out *core.Out) {
	r, t := a.e.r, &a.e.txns[a.txn]
	to := &r.cfg.Topics[a.conf.to]
	for i := range a.batch {
		id := r.oracle.Sent(a.number, to.name, r.w.now)
		t.ids = append(t.ids, id)
		rec := client.Record{Topic: to.name, Partition: int32(mix(id, v) % uint64(to.partitions)), Value: makeValue(id, int(mix(v, id)%100)), Key: a.batch[i].Key}
		n, _ := a.x.Send(now, rec, out)
		if n == 0 {
			r.oracle.Resolved(id, core.TopicPartition{}, -1, didNot, r.w.now)
			continue
		}
		a.ids = append(a.ids, id)
	}
	t.asked = r.w.now
	if t.commit = v&31 != 31 || r.stage >= stageCalm; t.commit {
		a.x.Finish(now, out)
	} else {
		a.x.Abandon(now, out)
	}
}

// drain takes what became of records and of batches.
func (a *piping) drain() {
	r := a.e.r
	r.mistaken(a.x.Producer(), a.conf.id)
	for _, res := range a.x.Stored() {
		a.e.resolved(a.ids[res.ID-1], res)
	}
	for _, t := range a.x.Tidings() {
		a.exit = a.exit || t.Kind == client.Refused
	}
	for _, res := range a.x.Results() {
		if a.txn < 0 {
			continue
		}
		t := &a.e.txns[a.txn]
		t.ended, a.txn, a.next = r.w.now, -1, 0
		switch {
		case res.Fate == client.Did:
			t.outcome = checker.OK
			r.deed(deedPiped)
			if t.stage > 0 {
				r.deed(deedSecond)
			}
			r.w.told(toldRecord)
		case res.Fate == client.DidNot && t.commit:
			t.outcome = checker.Failed
			r.deed(deedAgain)
		case res.Fate == client.DidNot:
			t.outcome = checker.OK
			r.deed(deedAgain)
		default:
			r.deed(deedDoubtful)
			t.denied = res.Failure.Code == wire.InvalidTxnState
		}
		if res.Fate != client.DidNot {
			a.e.through(t)
		}
	}
}

// through notes what a transaction has taken, for certain or perhaps.
func (e *exactly) through(t *txnRecord) {
	for _, in := range t.reads {
		e.used[t.stage][uint64(in.Value)-1] = true
	}
}
