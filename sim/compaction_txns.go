package sim

import (
	"fmt"

	"klamm/checker"
	"klamm/core"
)

// This file lets transactions take part in the workload of compaction: producers commit and abort records of the same keys, so that
// markers and aborted records are cleaned as well (KIP-534), and readers with read_committed read what is left.

// drawScribes draws the transactional producers.
func (cfg *Config) drawScribes(d *drawing) {
	x := &cfg.exactly
	var topics []int
	for i := range cfg.Topics {
		if cfg.Topics[i].compacted.on {
			topics = append(topics, i)
		}
	}
	for i := range d.n(3) {
		x.writers = append(x.writers, writerConfig{id: fmt.Sprintf("scribe%d", i), pause: d.ms(10, 200), start: d.ms(0, 1000), records: 1 + d.n(12), size: 20 << d.n(4), aborts: 1 + d.n(5),
			open: d.ms(0, 200), lasts: d.ms(1000, 6000), topics: topics})
	}
	x.readers = d.n(2)
	replicas := min(len(cfg.topology.brokers()), 3)
	cfg.Broker += fmt.Sprintf("transaction.state.log.num.partitions=%s\ntransaction.state.log.replication.factor=%d\ntransaction.state.log.min.isr=%d\n",
		d.of("3", "1", "5"), replicas, min(replicas, 2))
	cfg.Broker += "transaction.abort.timed.out.transaction.cleanup.interval.ms=" + d.of("1000", "300", "2000") + "\n"
	cfg.Broker += "max.connections=2147483647\nmax.connections.per.ip=2147483647\nklamm.internal.broker.requests=1000\n"
}

// outcomes tells the judge of a compacted log what became of the transactions in it, and what readers with read_committed got.
func (e *exactly) outcomes(l *checker.CompactedLog, at int) {
	fates := map[checker.Value]checker.KeyedFate{}
	for i := range e.txns {
		t := &e.txns[i]
		f := checker.Aborted // what nobody asked to commit, or was refused it, is aborted, by the coordinator if by nobody else
		switch asked := t.asked != core.Never && t.commit; {
		case asked && t.outcome == checker.OK:
			f = checker.Counts
		case asked && t.outcome == checker.Unknown:
			f = checker.Doubtful
		}
		for _, id := range t.ids {
			fates[checker.Value(id)+1] = f
		}
	}
	for _, list := range [][]checker.KeyedRecord{l.Records, l.Unplaced} {
		for i := range list {
			list[i].Fate = fates[list[i].Value]
		}
	}
	if e.r.cfg.Set.Lossy() {
		return
	}
	for _, p := range e.polls {
		if p.Partition == l.Partition {
			l.Seen = append(l.Seen, p.Records...)
		}
	}
	l.Committed, l.Complete = e.shown[at].Committed, e.audit != nil
}
