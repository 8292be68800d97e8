package sim

import (
	"math"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// crowd is many idempotent producers in one process, which do what a correct one may do but ours seldom does: a batch
// is sent twice at once over two connections, again after its answer, again after a connection that ended right behind
// it; sequences begin just below the number at which they wrap. Each is bound to one partition. Another life of the process
// has other producers: it does not know what the last one had sent.
type crowd struct {
	r       *run
	entity  uint64
	lines   []line // two to each broker
	members []crowder
	next    core.Time
}

// crowder is one producer of the crowd. Its next batch is made when every copy of the last was answered or lost.
type crowder struct {
	pid      int64
	at       core.TopicPartition
	sender   int
	seq      int32 // of the batch's first record
	count    int32
	ids      []uint64
	batch    []byte
	copies   int
	answered bool
	retired  bool
	base     int64
	again    core.Time // not before
}

const crowdPatience = 10 * core.Second

func (r *run) newCrowd(entity uint64) *crowd {
	c := &crowd{r: r, entity: entity}
	lines := 2 * r.cfg.topology.nodes()
	for i := range lines {
		c.lines = append(c.lines, line{name: "crowd", conn: core.ConnID(2 * i), table: core.Op(8), node: i / 2, more: core.ConnID(2*lines - 4)})
	}
	for i := range r.cfg.crowd {
		v := r.w.draw(siteWork, entity, 1<<32)
		t := &r.cfg.Topics[int(v)%len(r.cfg.Topics)]
		if r.cfg.topology.many() && t.removable { // a copy that begins anew above all that a producer has sent does not know it
			continue
		}
		m := crowder{pid: 1<<40 + int64(entity&0xffff)<<20 + int64(i), at: core.TopicPartition{Topic: t.name, Partition: int32(v>>8&0xff) % t.partitions}, base: -1, answered: true}
		if v>>16&1 == 1 {
			m.seq = math.MaxInt32 - int32(v>>17&7)
		}
		m.sender = r.oracle.Sender(true, -1)
		c.members = append(c.members, m)
	}
	return c
}

func (c *crowd) Next() core.Time { return c.next }

func (c *crowd) Step(now core.Now, ev *core.Event, out *core.Out) {
	if ev.Kind == core.Boot {
		c.next = now.Mono + c.r.cfg.quiet
	}
	for i := range c.lines {
		asked, resp, lost := c.lines[i].step(c.r, now, ev, out)
		for _, q := range lost {
			c.lost(now, &q)
		}
		if resp != nil {
			c.answered(now, &asked, resp)
		}
	}
	if now.Mono < c.next {
		return
	}
	if c.r.stage >= stageAudit || c.r.stage == stageFlush && c.idle() {
		c.next = core.Never
		return
	}
	if !c.r.turn(c.entity, now, &c.next) {
		return
	}
	v := c.r.choose(c.entity, siteWork, c.entity, 1<<48)
	c.next = now.Mono + core.Time(10+v&63)*core.Millisecond
	if c.r.probes.made < len(c.r.cfg.Topics) {
		return
	}
	for i := range c.lines {
		l := &c.lines[i]
		if c.r.cfg.topology.roles[l.node] == controllerOnly {
			continue
		}
		if l.openTo(c.r, now, out); l.oldest() < c.r.w.now-crowdPatience {
			l.hangUp(out)
		}
	}
	c.work(now, v>>6, out)
}

// work sends a few batches.
func (c *crowd) work(now core.Now, v uint64, out *core.Out) {
	if len(c.members) == 0 {
		return
	}
	for range 1 + v&3 {
		x := c.r.choose(c.entity, siteWork, c.entity, 1<<32)
		m := int(x) % len(c.members)
		c.send(now, m, x>>8, out)
	}
	for m := range c.members { // what got no answer goes first
		if p := &c.members[m]; !p.answered && p.copies == 0 && !p.retired {
			c.send(now, m, v>>8, out)
		}
	}
}

// send makes a producer's next batch, or sends the last one again.
func (c *crowd) send(now core.Now, i int, x uint64, out *core.Out) {
	m := &c.members[i]
	if m.retired || now.Mono < m.again {
		return
	}
	at := 2 * c.leader(m.at)
	first, second := &c.lines[at+int(x&1)], &c.lines[at+int(1-x&1)]
	if !first.openTo(c.r, now, out) {
		return
	}
	switch {
	case m.answered && m.copies == 0 && (m.batch == nil || x>>1&3 != 0):
		if c.r.stage >= stageFlush {
			return
		}
		c.make(now, m, x>>3)
	case m.answered && m.batch != nil && m.copies < 2: // again, although it was answered
	case m.copies == 0: // its answer got lost
	default:
		return
	}
	c.produce(i, first, out)
	if x>>16&3 == 0 && second.openTo(c.r, now, out) {
		c.produce(i, second, out)
	}
	if x>>18&31 == 0 {
		first.hangUp(out)
	}
}

// leader is the node that leads a partition, as the newest metadata have it.
func (c *crowd) leader(at core.TopicPartition) int {
	if !c.r.cfg.topology.many() || c.r.cluster == nil || c.r.cluster.newest == nil {
		return c.r.cfg.topology.brokers()[0]
	}
	if p := c.r.cluster.newest.Partition(at.Topic, at.Partition); p != nil && p.Leader > 0 {
		return int(p.Leader) - 1
	}
	return c.r.cfg.topology.brokers()[0]
}

func (c *crowd) make(now core.Now, m *crowder, x uint64) {
	if m.batch != nil {
		m.seq = batch.AddSequence(m.seq, m.count)
	}
	m.count, m.ids, m.answered, m.base = 1+int32(x&7)/6, nil, false, -1
	b := batch.NewBuilder(batch.Options{Producer: &batch.Producer{ID: m.pid, Sequence: m.seq}})
	for range m.count {
		id := c.r.oracle.Sent(m.sender, m.at.Topic, c.r.w.now)
		m.ids = append(m.ids, id)
		var key []byte
		if t := c.r.cfg.topic(m.at.Topic); t.compacted.on {
			number := 1000 + int32(m.pid&0xff)
			key = []byte("key" + strconv.Itoa(int(number)))
			c.r.oracle.Keyed(id, number, false)
		}
		b.Add(now.Wall.Millis(), key, makeValue(id, 20), nil)
	}
	m.batch = b.Finish(0)
}

// produce sends a copy of a producer's batch.
func (c *crowd) produce(i int, l *line, out *core.Out) {
	m := &c.members[i]
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 5000
	x := kmsg.NewProduceRequestTopic()
	y := kmsg.NewProduceRequestTopicPartition()
	x.Topic, y.Partition, y.Records = m.at.Topic, m.at.Partition, m.batch
	x.Partitions = append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	m.copies++
	l.send(c.r, q, 9, i, m.ids[0], out)
}

// lost is a copy that gets no answer.
func (c *crowd) lost(now core.Now, q *waiting) {
	m := &c.members[q.tag]
	m.copies--
	m.again = now.Mono + lineRetry
}

// lossy reports whether what the broker said may be forgotten with the faults of the run.
func (c *crowd) lossy(m *crowder) bool {
	return c.r.oracle.Rewritable || c.r.cfg.Set.Lossy() || c.r.oracle.logs[c.r.oracle.index[m.at]].damaged
}

func (c *crowd) answered(now core.Now, q *waiting, resp kmsg.Response) {
	m := &c.members[q.tag]
	m.copies--
	code, base := wire.UnknownServerError, int64(-1)
	if p := resp.(*kmsg.ProduceResponse); len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 {
		code, base = wire.Code(p.Topics[0].Partitions[0].ErrorCode), p.Topics[0].Partitions[0].BaseOffset
	}
	who := m.at.Topic + "-" + strconv.Itoa(int(m.at.Partition)) + ": batch " + strconv.Itoa(int(m.seq)) + " of producer " + strconv.FormatInt(m.pid, 10)
	switch code {
	case wire.None:
		c.r.promised(m.at, base+int64(m.count)-1, q.node, q.life, who)
		if m.answered && base != m.base && base >= 0 && !c.lossy(m) {
			c.r.oracle.fail("I57", "%s was answered with offset %d and, sent again, with %d", who, m.base, base)
		}
		if m.answered {
			return
		}
		m.answered, m.base = true, base
		c.r.ackedAt(m.at, base+int64(m.count)-1)
		for i, id := range m.ids {
			c.r.oracle.Resolved(id, m.at, base+int64(i), did, c.r.w.now)
		}
		c.r.w.told(toldRecord)
	case wire.OutOfOrderSequenceNumber, wire.InvalidProducerEpoch, wire.UnknownProducerID, wire.DuplicateSequenceNumber:
		if !c.lossy(m) {
			c.r.oracle.fail("I56", "%s was refused with %s, and it is the next one or the last one again", who, code.String())
		}
		m.retired = true
	default:
		m.again = now.Mono + lineRetry
	}
}

// idle reports that every batch has its answer.
func (c *crowd) idle() bool {
	for i := range c.members {
		if m := &c.members[i]; !m.answered && !m.retired {
			return false
		}
	}
	return true
}
