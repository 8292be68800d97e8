package sim

import (
	"klamm/checker"
	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
)

// writer owns a transactional producer: it begins transactions, sends records in bursts, and commits, or aborts on purpose, or
// holds the transaction open for longer than it may be. Its process ends when its producer can't go on, and is started again.
type writer struct {
	e      *exactly
	conf   *writerConfig
	entity uint64
	life   int // of the workload's
	number int // at the oracle
	p      *client.Producer
	ids    []uint64 // by RecordID, from 1
	next   core.Time
	txn    int // of the workload's, that is open or being ended; -1: none
	left   int // records still to be sent in it
	calmed bool
	gone   bool // it has deserted
}

func (e *exactly) writer(i int, entity uint64) core.Machine {
	conf := &e.r.cfg.exactly.writers[i]
	o := client.ProducerOptions{Options: e.r.options(entity), TransactionalID: conf.id, TransactionTime: conf.lasts, DeliveryTime: 20 * core.Second}
	d := drawing{e.r.w.Choices, entity}
	o.Linger, o.BatchBytes = core.Time(d.n(10))*core.Millisecond, 200<<d.n(6)
	if conf.gushes {
		o.Linger, o.BatchBytes, o.InFlight = -1, 100, 5
	}
	a := &writer{e: e, conf: conf, entity: entity, number: e.r.oracle.Sender(true, -1), p: client.NewProducer(o), txn: -1}
	a.gone = conf.deserts && entity&0xffff > 0 // it does not come back
	e.writers[i] = a
	return a
}

func (a *writer) Next() core.Time {
	if a.gone {
		return core.Never
	}
	return min(a.next, a.p.Next())
}

func (a *writer) Step(now core.Now, ev *core.Event, out *core.Out) {
	w := a.e.r.w
	if a.gone {
		a.next = core.Never
		return
	}
	if ev.Kind == core.Boot {
		a.life = a.e.life(a.conf.id)
		a.next = now.Mono + a.conf.start + a.e.r.cfg.quiet
	}
	if a.p.Mine(ev) {
		a.p.Step(now, ev, out)
	}
	a.drain(now, out)
	if now.Mono >= a.next && a.e.r.turn(a.entity, now, &a.next) {
		a.work(now, out)
		a.drain(now, out)
	}
	if a.gone {
		return
	}
	if l := &a.e.lives[a.life]; l.told == core.Never && a.p.Ready() {
		l.told = w.now
	}
	if state, _ := a.p.Txn(); state == client.TxnDead {
		a.e.r.deedIn(ExactlyOnce, deedFenced)
		a.end(checker.Unknown)
		out.Exit(1)
	}
}

// work does the next thing.
func (a *writer) work(now core.Now, out *core.Out) {
	r := a.e.r
	v := r.choose(a.entity, siteWork, a.entity, 1<<40)
	state, _ := a.p.Txn()
	switch {
	case state == client.TxnSick:
		a.next = core.Never
		r.says(a.entity, "abort")
		a.p.Abort(now, out)
	case a.conf.deserts && a.txn >= 0 && a.left < a.conf.records/2:
		r.deedIn(ExactlyOnce, deedDeserted)
		a.p.Close(now, out)
		a.drain(now, out)
		a.end(checker.Unknown)
		a.gone, a.next = true, core.Never
	case a.txn >= 0 && a.left > 0:
		a.burst(now, v, out)
	case a.txn >= 0: // it ends, one way or the other
		t := &a.e.txns[a.txn]
		t.asked, a.next = r.w.now, core.Never
		calm := r.stage >= stageCalm && (r.cfg.Workload == ExactlyOnce || !a.calmed)
		if t.commit = int(v&7) >= a.conf.aborts || calm; t.commit {
			r.says(a.entity, "commit")
			a.p.Commit(now, out)
		} else {
			r.says(a.entity, "abort")
			a.p.Abort(now, out)
		}
	case r.stage >= stageFlush || (a.conf.twin || a.conf.deserts) && a.e.quiet():
		a.next = core.Never
	case r.probes.made < len(r.cfg.Topics):
		a.next = now.Mono + 50*core.Millisecond
	case a.p.Begin(now, out):
		r.says(a.entity, "begin")
		a.txn, a.left = a.e.begin(a.conf.id, a.life), int(v)%a.conf.records+1
		if a.conf.deserts {
			a.left = a.conf.records
		}
		a.next = now.Mono + core.Time(v>>8&15)*core.Millisecond
	default:
		a.next = now.Mono + 50*core.Millisecond
	}
}

// burst sends a few records.
func (a *writer) burst(now core.Now, v uint64, out *core.Out) {
	r := a.e.r
	n, topics := 1+int(v&3), len(a.conf.topics)
	if a.conf.gushes {
		n, topics = a.left, 1
	}
	for sent := 0; n > 0 && a.left > 0; n-- {
		x := r.choose(a.entity, siteWork, a.entity, 1<<40)
		a.left--
		if sent++; sent%8 == 0 {
			topics = min(topics+1, len(a.conf.topics))
		}
		t := &r.cfg.Topics[a.conf.topics[int(x&0xff)%topics]]
		rec := client.Record{Topic: t.name, Partition: int32(x>>8&0xff) % t.partitions}
		id := r.oracle.Sent(a.number, t.name, r.w.now)
		if rec.Value = makeValue(id, int(x>>16&0xffff)*a.conf.size>>16); t.compacted.on {
			keys := t.compacted
			keys.keys *= 3 // so that the last record of a key is often one of a transaction that was aborted
			keys.record(r.oracle, &rec, id, x>>20^x<<3)
		}
		a.e.txns[a.txn].ids = append(a.e.txns[a.txn].ids, id)
		r.says(a.entity, "%s-%d %d bytes", rec.Topic, rec.Partition, len(rec.Value))
		if a.p.Send(now, rec, out) == 0 {
			r.oracle.Resolved(id, core.TopicPartition{}, -1, didNot, r.w.now)
			continue
		}
		a.ids = append(a.ids, id)
	}
	a.next = now.Mono + a.conf.open*core.Time(v>>8&0xff)>>8
	if v>>16&63 == 0 && r.stage < stageCalm { // for longer than the coordinator waits
		r.deedIn(ExactlyOnce, deedOverdue)
		a.next = now.Mono + a.conf.lasts + 2*core.Second
	}
}

// drain takes what became of records and of transactions.
func (a *writer) drain(now core.Now, out *core.Out) {
	r := a.e.r
	r.mistaken(a.p, a.conf.id)
	for _, res := range a.p.Results() {
		a.e.resolved(a.ids[res.ID-1], res)
	}
	for _, end := range a.p.Ended() {
		if a.txn < 0 {
			continue
		}
		t := &a.e.txns[a.txn]
		switch {
		case end.Commit && end.Fate == client.Did:
			r.deedIn(ExactlyOnce, deedCommitted)
			r.deedIn(Compaction, deedKeysCommitted)
			a.calmed = a.calmed || r.stage >= stageCalm && t.asked >= r.calmFrom
			r.w.told(toldRecord)
			a.end(checker.OK)
		case end.Commit && end.Fate == client.DidNot: // it is aborted next
			a.end(checker.Failed)
		case end.Commit:
			r.deedIn(ExactlyOnce, deedDoubtful)
			t.denied = end.Failure.Code == wire.InvalidTxnState
			a.end(checker.Unknown)
		case end.Fate == client.Did:
			if t.asked != core.Never {
				r.deedIn(ExactlyOnce, deedAborted)
				r.deedIn(Compaction, deedKeysAborted)
			}
			a.end(checker.OK)
		default:
			a.end(checker.Unknown)
		}
		a.next = now.Mono + a.conf.pause
	}
	if state, _ := a.p.Txn(); state == client.TxnSick {
		a.end(checker.Unknown)
		r.deedIn(ExactlyOnce, deedSick)
		a.p.Abort(now, out)
	}
}

// end settles the transaction that is open, if one is.
func (a *writer) end(o checker.Outcome) {
	if a.txn < 0 {
		return
	}
	t := &a.e.txns[a.txn]
	t.outcome, t.ended, a.txn = o, a.e.r.w.now, -1
}
