package sim

import (
	"fmt"
	"slices"
	"strings"

	"klamm/checker"
	"klamm/core"
	"klamm/core/client"
)

// The workload of exactly once: transactional producers that commit, abort on purpose and hold transactions open for too
// long; pipes, which consume, process and produce in transactions, over one group or a chain of two; twins, which use the
// transactional id of another; and readers with read_committed beside those that read everything. Every record that a writer or
// a pipe makes is known to the oracle as any other, and this workload keeps besides what each transaction was, for
// checker.CheckTransactions.

// The deeds.
const (
	deedCommitted = iota // a transaction was
	deedAborted          // on purpose
	deedSick             // a transaction had to be aborted, and its producer went on
	deedFenced           // a producer was told that it can't go on
	deedDoubtful         // a commit's outcome is known to nobody
	deedOverdue          // a transaction was held open for longer than it may be
	deedPiped            // a batch went through a pipe
	deedAgain            // a batch of a pipe was aborted, and comes again
	deedSecond           // a batch went through the second pipe of a chain
	deedLevel            // transaction.version was changed
	deedDeserted         // a producer went for good with a transaction open
)

func exactlyDeeds() []deed {
	return []deed{{name: "txn-committed"}, {name: "txn-aborted"}, {name: "txn-sick"}, {name: "producer-fenced"}, {name: "commit-doubtful"},
		{name: "txn-overdue"}, {name: "batch-piped"}, {name: "batch-again"}, {name: "batch-piped-twice"}, {name: "level-changed"}, {name: "producer-deserted"}}
}

// exactlyConfig is what this workload adds to a run's configuration.
type exactlyConfig struct {
	writers []writerConfig
	pipes   []pipeConfig
	readers int
	levels  bool // transaction.version changes
}

type writerConfig struct {
	id      string // transactional
	twin    bool   // it uses the id of another, until the world is healed
	gushes  bool   // it sends a whole transaction at once, in small batches, to one topic more after every few
	deserts bool   // it goes for good in the midst of a transaction: only the coordinator can end that
	topics  []int
	pause   core.Time
	start   core.Time
	records int // of a transaction, at most
	size    int
	aborts  int // of eight
	open    core.Time
	lasts   core.Time // transaction.timeout.ms
}

type pipeConfig struct {
	group, id string
	twin      bool
	stage     int
	from      []int
	to        int
	records   int
	start     core.Time
	lasts     core.Time
}

func drawExactly(cfg *Config, d *drawing) {
	sources := []int{0}
	cfg.Topics[0].keepAll()
	for i := range cfg.Topics[1:] {
		if !cfg.Topics[i+1].removable {
			sources = append(sources, i+1)
		}
	}
	all := len(cfg.Topics)
	stages := 1 + d.n(2)
	for s := range stages {
		t := topicConfig{name: fmt.Sprintf("x%d", s), partitions: 1 + int32(d.n(3)), factor: 1}
		if d.n(2) == 1 {
			t.configs = append(t.configs, [2]string{"internal.segment.bytes", d.of("4000", "30000")})
		}
		t.fix()
		cfg.Topics = append(cfg.Topics, t)
	}
	x := &cfg.exactly
	for i := range 2 + d.n(2) {
		w := writerConfig{id: fmt.Sprintf("writer%d", i), pause: d.ms(10, 200), start: d.ms(0, 1000), records: 1 + d.n(12), size: 20 << d.n(4), aborts: d.n(4),
			open: d.ms(0, 300), lasts: d.ms(1000, 6000)}
		for range 1 + d.n(2) {
			w.topics = append(w.topics, d.n(all))
		}
		if d.n(3) == 2 {
			w.gushes, w.records, w.size, w.topics = true, 60, 20, w.topics[:0]
			for i := range all {
				w.topics = append(w.topics, i)
			}
		}
		if x.writers = append(x.writers, w); d.n(3) == 2 {
			w.twin, w.start = true, d.ms(1000, 5000)
			x.writers = append(x.writers, w)
		}
	}
	for i := range d.n(3) {
		x.writers = append(x.writers, writerConfig{id: fmt.Sprintf("deserter%d", i), deserts: true, start: d.ms(0, 6000), records: 4 + d.n(8), size: 20, open: d.ms(0, 300),
			lasts: d.ms(1000, 6000), topics: []int{d.n(all)}})
	}
	for s := range stages {
		from := sources
		if s > 0 {
			from = []int{all + s - 1}
		}
		for m := range 1 + d.n(2) {
			p := pipeConfig{group: fmt.Sprintf("pipe%d", s), id: fmt.Sprintf("pipe%d.%d", s, m), stage: s, from: from, to: all + s, records: 8 + d.n(40), start: d.ms(0, 1500), lasts: d.ms(1500, 6000)}
			if x.pipes = append(x.pipes, p); d.n(4) == 3 {
				p.twin, p.start = true, d.ms(1500, 5000)
				x.pipes = append(x.pipes, p)
			}
		}
	}
	x.readers, x.levels = 1+d.n(2), d.n(2) == 1
	cfg.crowd, cfg.fair, cfg.foreign = cfg.crowd/4, false, false
	if len(cfg.Groups) > 1 {
		cfg.Groups, cfg.assignors, cfg.consumers, cfg.rolls = cfg.Groups[:1], cfg.assignors[:1], cfg.consumers[:1], cfg.rolls[:1]
	}
	replicas := min(len(cfg.topology.brokers()), 3)
	cfg.Broker += fmt.Sprintf("transaction.state.log.num.partitions=%s\ntransaction.state.log.replication.factor=%d\ntransaction.state.log.min.isr=%d\n",
		d.of("3", "1", "5"), replicas, min(replicas, 2))
	cfg.Broker += "transaction.abort.timed.out.transaction.cleanup.interval.ms=" + d.of("1000", "300", "2000") + "\n"
	cfg.Broker += "max.connections=2147483647\nmax.connections.per.ip=2147483647\nklamm.internal.broker.requests=1000\nklamm.internal.group.pending=10000\n" +
		"offsets.commit.timeout.ms=5000\n" // with one that is shorter than replication takes nothing would go forward
}

// planExactly kills writers and pipes more often than others do, or pauses them for longer than their transactions last.
func planExactly(c Chooser, cfg *Config) (plan []Fault) {
	d := drawing{c, uint64(ExactlyOnce)<<8 | 1}
	x := &cfg.exactly
	first := cfg.topology.nodes() + 1 + len(cfg.Producers) + cfg.Readers // as build adds them
	for _, n := range cfg.Groups {
		first += n
	}
	if cfg.hostile {
		first++
	}
	if cfg.crowd > 0 {
		first++
	}
	for range d.n(6) {
		f := Fault{Kind: KillClient, At: core.Second + core.Time(d.n(int(cfg.Chaos/core.Millisecond)))*core.Millisecond, Node: first + d.n(len(x.writers)+len(x.pipes))}
		if d.n(2) == 1 {
			f.Kind, f.For = PauseProcess, d.ms(500, 7000)
		}
		plan = append(plan, f)
	}
	return plan
}

// keepAll takes from a topic what lets records be removed, or refused for their size.
func (t *topicConfig) keepAll() {
	t.removable = false
	t.configs = slices.DeleteFunc(t.configs, func(kv [2]string) bool {
		return strings.HasPrefix(kv[0], "retention.") || kv[0] == "file.delete.delay.ms" || kv[0] == "max.message.bytes"
	})
	if len(t.configs) == 0 {
		t.configs = nil
	}
	t.fix()
}

// exactly is the workload's player: what its clients know together.
type exactly struct {
	r       *run
	writers []*writer // the current life of each
	pipes   []*piping
	audit   *committedReader
	auditAt int // its node
	txns    []txnRecord
	lives   []lifeRecord
	polls   []checker.Poll
	used    []map[uint64]bool // by stage: what went through for certain, or perhaps; look-up only
	shown   []checker.View    // what the audit has read, by partition of the oracle
	began   bool
}

// txnRecord is one transaction.
type txnRecord struct {
	id           string
	life, number int
	group        string
	stage        int
	commit       bool
	outcome      checker.Outcome
	denied       bool
	asked, ended core.Time
	ids          []uint64
	reads        []checker.Read
}

// lifeRecord is one life of a producer with a transactional id.
type lifeRecord struct {
	id          string
	asked, told core.Time
}

func playExactly(r *run) player {
	r.oracle.Gaps = true
	e := &exactly{r: r, used: make([]map[uint64]bool, 2)}
	for i := range e.used {
		e.used[i] = map[uint64]bool{}
	}
	for i := range r.oracle.logs {
		l := &r.oracle.logs[i]
		if e.isMade(l.at.Topic) && (r.cfg.Set == SetDamage || r.cfg.Set == SetLying) {
			l.damaged = true // such runs end while pipes still write: what they write last nobody reads
		}
		e.shown = append(e.shown, checker.View{Partition: checker.Partition{TopicID: l.at.Topic, Number: l.at.Partition}, Truncated: l.removable})
	}
	return e
}

// isMade reports whether pipes write to a topic.
func (e *exactly) isMade(topic string) bool {
	return slices.ContainsFunc(e.r.cfg.exactly.pipes, func(p pipeConfig) bool { return e.r.cfg.Topics[p.to].name == topic })
}

func (e *exactly) build() {
	w, x := e.r.w, &e.r.cfg.exactly
	e.writers, e.pipes = make([]*writer, len(x.writers)), make([]*piping, len(x.pipes))
	for i := range x.writers {
		w.client(e.r, fmt.Sprintf("writer%d", i), func(entity uint64, life uint32) core.Machine { return e.writer(i, entity) })
	}
	for i := range x.pipes {
		w.client(e.r, fmt.Sprintf("pipe%d", i), func(entity uint64, life uint32) core.Machine { return e.piping(i, entity) })
	}
	for i := range x.readers {
		w.client(e.r, fmt.Sprintf("committed%d", i), func(entity uint64, life uint32) core.Machine { return e.reader(entity, false) })
	}
	if x.levels {
		w.client(e.r, "levels", func(entity uint64, life uint32) core.Machine { return e.newLevels(entity) })
	}
	w.client(e.r, "committed-audit", func(entity uint64, life uint32) core.Machine { return e.reader(entity, true) })
}

// life notes that a producer asks for its id.
func (e *exactly) life(id string) int {
	e.lives = append(e.lives, lifeRecord{id: id, asked: e.r.w.now, told: core.Never})
	return len(e.lives) - 1
}

// begin notes a transaction.
func (e *exactly) begin(id string, life int) int {
	e.txns = append(e.txns, txnRecord{id: id, life: life, number: len(e.txns), outcome: checker.Unknown, asked: core.Never, ended: core.Never})
	return len(e.txns) - 1
}

// quiet reports whether those who only disturb are to stop.
func (e *exactly) quiet() bool { return e.r.stage >= stageCalm }

func (e *exactly) alive() string {
	for i, a := range e.writers {
		if a != nil && !a.conf.twin && !a.conf.deserts && !a.calmed {
			state, why := a.p.Txn()
			return fmt.Sprintf("writer %d (%s, %v) has committed nothing since healing: %s", i, a.conf.id, state, why.Error())
		}
	}
	return ""
}

func (e *exactly) flushed() string {
	for i, a := range e.writers {
		if a != nil && a.txn >= 0 {
			state, why := a.p.Txn()
			return fmt.Sprintf("writer %d (%s, %v) has a transaction open: %s", i, a.conf.id, state, why.Error())
		}
	}
	return ""
}

// audited: the audit has read everything that is not aborted, no transaction is open any more, so that the last stable offset is
// the high watermark (I65), and the pipes have taken all.
func (e *exactly) audited() string {
	if e.r.lossy() {
		return ""
	}
	if e.audit == nil {
		return "the audit of what is committed has not begun"
	}
	for i := range e.r.oracle.logs {
		l := &e.r.oracle.logs[i]
		if position, end := e.audit.c.Position(l.at); end < 0 || position < end || end < core.Offset(l.audited) {
			return fmt.Sprintf("the audit of what is committed is at %d of %d in %s-%d, whose high watermark is %d%s", position, end, l.at.Topic, l.at.Partition, l.audited, e.open(l.at))
		}
		if off := e.unread(l); off >= 0 {
			return fmt.Sprintf("the audit has not read offset %d of %s-%d", off, l.at.Topic, l.at.Partition)
		}
	}
	for i := range e.r.cfg.exactly.pipes {
		p := &e.r.cfg.exactly.pipes[i]
		if e.pipeGone(p.group) {
			continue
		}
		for _, v := range e.shown {
			if !slices.ContainsFunc(p.from, func(t int) bool { return e.r.cfg.Topics[t].name == v.Partition.TopicID }) {
				continue
			}
			at := core.TopicPartition{Topic: v.Partition.TopicID, Partition: v.Partition.Number}
			if rec, missed := missing(v.Committed, e.used[p.stage], e.r.started(at)); missed {
				return fmt.Sprintf("%s has not taken %s at offset %d of %s", p.group, name(uint64(rec.Value)-1), rec.Offset, v.Partition)
			}
		}
	}
	for _, a := range e.pipes {
		if a != nil && a.x != nil && !a.x.Idle() {
			return "a transaction of " + a.conf.id + " is open"
		}
	}
	return ""
}

// pipeGone reports whether no pipe of a group takes part.
func (e *exactly) pipeGone(group string) bool {
	for i, p := range e.r.cfg.exactly.pipes {
		if p.group == group && !e.r.isAbsent(fmt.Sprintf("pipe%d", i)) {
			return false
		}
	}
	return true
}

// open says what is open in a partition, as its replicas have it.
func (e *exactly) open(at core.TopicPartition) (s string) {
	for i := range e.r.cfg.topology.nodes() {
		b, ok := e.r.w.Nodes[i].Machine.(storeOwner)
		if !ok || b.Store() == nil {
			continue
		}
		id, there := b.Store().Find(at)
		if !there {
			continue
		}
		l := b.Store().Log(id)
		s += fmt.Sprintf("; node %d has it stable below %d, of epoch %d", nodeID(i), l.LastStable(), l.Epoch())
		for _, p := range l.Producers() {
			if p.TxnStart >= 0 {
				s += fmt.Sprintf(", producer %d/%d open from %d", p.ID, p.Epoch, p.TxnStart)
			}
		}
	}
	return s
}

// missing is the first record that pipes have not taken. What a leader had deleted before they came there they need not take, even if another one, which has
// not heard of it, shows it again.
func missing(records []checker.Record, used map[uint64]bool, deleted int64) (rec checker.Record, is bool) {
	for _, rec := range records {
		if rec.Offset >= deleted && !used[uint64(rec.Value)-1] {
			return rec, true
		}
	}
	return rec, false
}

// unread is an offset of an acknowledged record that the audit has not read yet: pipes wrote while it was reading. -1: none.
func (e *exactly) unread(l *logOf) int {
	for off := range l.ids {
		if id := l.ids[off]; id != 0 && l.read[off]>>auditBit == 0 && !l.removable && !l.compacted && !l.damaged {
			if s := &e.r.oracle.senders[(id-1)>>32]; s.acks == -1 && s.sent[uint32(id-1)].fate == did {
				return off
			}
		}
	}
	return -1
}

// judge hands all that is known to the checker.
func (e *exactly) judge(complete bool) {
	if e.r.cfg.Set == SetDamage || e.r.cfg.Set == SetLying || e.r.cfg.Set.Lossy() && e.r.lossy() {
		return
	}
	h := e.history(complete)
	for _, v := range checker.CheckTransactions(h) {
		e.r.oracle.fail(v.Invariant, "%s: %s", v.Subject, v.Detail)
	}
}

// history is the run in the judge's own words.
func (e *exactly) history(complete bool) *checker.TxnHistory {
	h := &checker.TxnHistory{Polls: e.polls}
	mine := map[uint64]bool{}
	for i := range e.txns {
		t := &e.txns[i]
		out := checker.Txn{Name: fmt.Sprintf("%s#%d", t.id, t.number), Producer: t.id, Life: t.life, Commit: t.commit, Asked: int64(t.asked), Ended: int64(t.ended),
			Outcome: t.outcome, Denied: t.denied, Reads: t.reads, Group: t.group}
		for _, id := range t.ids {
			mine[id] = true
			out.Writes = append(out.Writes, e.write(id))
		}
		h.Txns = append(h.Txns, out)
	}
	for n := range e.r.oracle.senders {
		for k := range e.r.oracle.senders[n].sent {
			if id := uint64(n)<<32 | uint64(k); !mine[id] {
				h.Plain = append(h.Plain, e.write(id))
			}
		}
	}
	for i, l := range e.lives {
		h.Lives = append(h.Lives, checker.Life{Producer: l.id, Number: i, Asked: int64(l.asked), Told: int64(l.told)})
	}
	for i := range e.shown {
		v, l := e.shown[i], &e.r.oracle.logs[i]
		for off := range l.ids {
			if l.ids[off] != 0 && l.read[off]>>auditBit == 1 {
				v.All = append(v.All, checker.Record{Offset: int64(off), Value: checker.Value(l.ids[off])})
			}
		}
		v.Complete = complete && e.audit != nil && e.r.stage >= stageAudit
		v.Truncated = v.Truncated || l.damaged
		h.Views = append(h.Views, v)
	}
	for _, p := range e.r.cfg.exactly.pipes {
		if !p.twin && !e.pipeGone(p.group) && !slices.ContainsFunc(h.Pipes, func(q checker.Pipe) bool { return q.Group == p.group }) {
			h.Pipes = append(h.Pipes, checker.Pipe{Group: p.group}) // that all went through was waited for
		}
	}
	return h
}

// write is one record as the oracle knows it. Of one that nobody was told of, and that no other reader has seen, the partition
// is not known.
func (e *exactly) write(id uint64) (w checker.Write) {
	o := e.r.oracle
	s := &o.senders[id>>32]
	rec := &s.sent[uint32(id)]
	w = checker.Write{Partition: checker.Partition{TopicID: s.topic[uint32(id)], Number: -1}, Value: checker.Value(id) + 1, Invoke: int64(rec.invoke),
		Return: int64(rec.settle), Offset: rec.offset, Repeats: !s.idempotent}
	if rec.log >= 0 {
		w.Partition.Number = o.logs[rec.log].at.Partition
	}
	switch {
	case rec.fate == didNot:
		w.Outcome = checker.Failed
	case rec.fate != did || s.acks != -1:
		w.Outcome, w.Return, w.Offset = checker.Unknown, checker.Open, -1
	}
	return w
}

// resolved tells the oracle what became of a record.
func (e *exactly) resolved(id uint64, res client.Result) {
	f := []fate{did, didNot, mayHave}[res.Fate]
	e.r.oracle.Resolved(id, res.At, int64(res.Offset), f, e.r.w.now)
	if f == did {
		e.r.w.told(toldRecord)
	}
}
