package quorum

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/wire"
	"klamm/disksim"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is a world of several nodes: each has a store and a disk that loses what was not synced; messages are encoded, and
// can be late, lost, doubled, or overtake each other. Everything is drawn from one seed.
type cluster struct {
	seed      uint64
	rnd       *rand.Rand
	now       core.Time
	seq       uint64
	queue     events
	members   []*member
	voters    int
	cut       [][]bool // messages from, to are lost
	loss      int      // of 1000 messages
	double    int
	late      core.Time
	steps     int
	serial    int
	faults    bool
	o         oracle
	broken    string // the first invariant that did not hold
	trace     func(string)
	tamper    func(kmsg.Response) // changes an answer before it leaves
	tamperAsk func(kmsg.Request)  // changes a request before it is asked
	deaf      bool                // nothing is judged
	overheard func(string)        // told every message
	bug       string              // a planted one, for those that are planted in the world
	adjust    func(*Config)
	marks     core.Marks
	v         changes
}

// member is one node. What follows life is of this life.
type member struct {
	id   int
	dir  core.TopicID
	disk *disksim.Disk
	skew core.Time
	life int

	up     bool
	paused core.Time
	store  *log.Store
	node   *Node
	img    *image.Image
	names  digest
	tickAt core.Time
	asked  map[Ticket]message
	ticket Ticket
	waits  map[uint64]int // token: to
	led    core.Epoch     // the last epoch in which this leader appended
	open   core.Epoch     // of the metadata transaction that this leader opened; 0: none
	high   core.Offset
	seen   bool // it was judged in this life
	idle   int  // ticks in a row that left something due at once

	// as judged over all lives
	durable core.Offset
	acked   core.Offset // what the last Fetch of this node claimed
	spoke   core.Epoch  // the highest epoch that it named to anybody
	failed  string
}

type event struct {
	at    core.Time
	seq   uint64
	kind  string
	m     int
	life  int
	token uint64
	ev    core.Event
	msg   message
}

type events []*event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

type message struct {
	from, to   int
	life       int // of from
	token      uint64
	key        int16
	version    int16
	body       []byte
	unanswered bool // a double: its answer goes nowhere
}

// digest stands for the fold of the metadata.
type digest struct {
	n   int
	sum uint64
}

func (d *digest) add(name string) {
	h := fnv.New64a()
	h.Write([]byte(name))
	d.n++
	d.sum ^= h.Sum64()
}

func newCluster(seed uint64, voters, observers int) *cluster {
	c := &cluster{seed: seed, rnd: rand.New(rand.NewPCG(seed, 7)), voters: voters, late: 5 * core.Millisecond}
	c.o.init()
	for i := range voters + observers {
		m := &member{id: i + 1, disk: disksim.New(c, i, 1<<30), skew: core.Time(c.rnd.Int64N(int64(core.Hour)))}
		m.disk.Weather = disksim.Weather{Latency: 50 * core.Microsecond, Jitter: 100 * core.Microsecond, SyncLatency: core.Time(c.rnd.Int64N(int64(5 * core.Millisecond)))}
		m.disk.Format("d")
		m.dir = core.TopicID{byte(m.id), 1}
		c.members = append(c.members, m)
		c.cut = append(c.cut, make([]bool, voters+observers))
	}
	return c
}

func (c *cluster) say(format string, args ...any) {
	if c.trace != nil {
		c.trace(fmt.Sprintf("%8.3f ", float64(c.now)/1e9) + fmt.Sprintf(format, args...))
	}
}

func (c *cluster) violated(format string, args ...any) {
	if c.broken == "" && !c.deaf {
		c.broken = fmt.Sprintf("seed %d at %.3f s: ", c.seed, float64(c.now)/1e9) + fmt.Sprintf(format, args...)
		c.say("VIOLATED %s", c.broken)
	}
}

// What the disks need.

func (c *cluster) Choose(site uint8, entity, n uint64) uint64 { return c.rnd.Uint64N(n) }
func (c *cluster) Wake(disk int, at core.Time, token uint64) {
	c.at(event{at: at, kind: "disk", m: disk, life: c.members[disk].life, token: token})
}
func (c *cluster) Deliver(disk int, ev core.Event) {
	c.at(event{at: c.now, kind: "done", m: disk, life: c.members[disk].life, ev: ev})
}
func (c *cluster) Buffer(n int) []byte { return make([]byte, n) }
func (c *cluster) Work(disk int, kind core.WorkKind, args, b []byte) []byte {
	if kind < 32 {
		return log.Work(kind, args, b)
	}
	return batch.Work(kind, args, b)
}
func (c *cluster) Synced(int)                   {}
func (c *cluster) Sum([]byte) uint64            { return 0 }
func (c *cluster) Broken(disk int, what string) { c.violated("disk %d: %s", disk, what) }

func (c *cluster) at(e event) {
	c.seq++
	e.seq = c.seq
	heap.Push(&c.queue, &e)
}

func (c *cluster) clock(m *member) core.Now {
	return core.Now{Mono: core.Second + c.now + m.skew, Wall: 1_700_000_000*core.Second + c.now}
}

// start begins a life.
func (c *cluster) start(m *member) {
	m.life++
	m.up, m.node, m.img, m.names, m.open, m.led, m.high, m.seen, m.tickAt, m.paused = true, nil, image.Empty(), digest{}, 0, 0, 0, false, core.Never, 0
	m.asked, m.waits = map[Ticket]message{}, map[uint64]int{}
	c.say("node %d starts", m.id)
	sc := log.DefaultStoreConfig("/d")
	sc.Generator[0], sc.Generator[1] = byte(m.id), byte(m.life)
	m.store = log.NewStore(sc)
	out := core.Out{Marks: &c.marks}
	m.disk.At(c.now)
	m.store.Boot(c.clock(m), &out)
	c.drain(m, &out)
}

func (c *cluster) config(m *member) Config {
	cfg := Config{Self: core.NodeID(m.id), LogDir: "/d", ClusterID: "c", Listener: "CONTROLLER", Directory: core.TopicID{byte(m.id), 1}, SnapshotBytes: 1 << 10, RetentionBytes: 2 << 10, SnapshotFetchBytes: 300}
	cfg.Log = log.DefaultConfig()
	cfg.Log.RetentionTime, cfg.Log.SegmentBytes = core.Never, 1<<10
	cfg.LossTimeout = 300 * core.Millisecond
	for i := range c.voters {
		cfg.Voters = append(cfg.Voters, Voter{ID: core.NodeID(i + 1), Host: fmt.Sprint("h", i+1), Port: 9093})
	}
	cfg.Key[0], cfg.Key[1], cfg.Key[2], cfg.Key[3] = byte(m.id), byte(m.life), byte(c.seed), byte(c.seed>>8)
	cfg.Sizes = Sizes{ReplayBytes: 500, SnapshotBatchBytes: 200, SnapshotRecords: 5, BatchBytes: metadataBytesMax}
	if c.adjust != nil {
		c.adjust(&cfg)
	}
	return cfg
}

// crash ends a life; with the power goes what was not synced.
func (c *cluster) crash(m *member, power bool) {
	c.say("node %d crashes, power lost: %v", m.id, power)
	m.up, m.node, m.store = false, nil, nil
	m.life++
	m.disk.At(c.now)
	m.disk.Crash(power)
	for _, other := range c.members {
		if !other.up {
			continue
		}
		for token, to := range sortedWaits(other.waits) {
			if to == m.id-1 && c.rnd.IntN(10) < 7 { // the connection breaks
				c.at(event{at: c.now + core.Time(c.rnd.Int64N(int64(core.Millisecond))), kind: "lost", m: other.id - 1, life: other.life, token: token})
			}
		}
	}
}

func sortedWaits(w map[uint64]int) func(func(uint64, int) bool) {
	var tokens []uint64
	for t := range w {
		tokens = append(tokens, t)
	}
	slices.Sort(tokens)
	return func(yield func(uint64, int) bool) {
		for _, t := range tokens {
			if !yield(t, w[t]) {
				return
			}
		}
	}
}

// next carries out the next event; false if there is none before an instant.
func (c *cluster) next(until core.Time) bool {
	if len(c.queue) == 0 || c.queue[0].at > until || c.broken != "" {
		c.now = max(c.now, until)
		return false
	}
	e := *heap.Pop(&c.queue).(*event)
	c.now = max(c.now, e.at)
	m := c.members[e.m]
	if e.kind == "message" {
		c.arrives(e)
		return true
	}
	if e.life != m.life || !m.up {
		return true
	}
	if e.kind == "doom" {
		if c.faults {
			c.crash(m, true)
			if c.rnd.IntN(2) == 0 {
				c.start(m)
			}
		}
		return true
	}
	if e.kind == "disk" { // the disk goes on while the process is paused
		m.disk.At(c.now)
		m.disk.Fire(e.token)
		return true
	}
	if m.paused > c.now {
		e.at = m.paused
		c.at(e)
		return true
	}
	c.step(m, e)
	return true
}

// step steps one node.
func (c *cluster) step(m *member, e event) {
	c.steps++
	now := c.clock(m)
	out := core.Out{Marks: &c.marks}
	switch e.kind {
	case "done":
		switch e.ev.Op.Table() {
		case 2:
			m.store.Done(now, &e.ev, &out)
		case table:
			m.node.Done(now, &e.ev, m.store, &out)
		}
	case "tick":
		m.tickAt = core.Never
		m.idle++
		m.store.Tick(now, &out)
		if m.node != nil {
			m.node.Tick(now, m.store, &out)
		}
	case "ask":
		if m.node == nil {
			c.lose(e.msg)
			return
		}
		if e.msg.key == wire.KeyApiVersions { // the hall answers this
			c.versions(e.msg)
			return
		}
		m.ticket++
		m.asked[m.ticket] = e.msg
		q := kmsg.RequestForKey(e.msg.key)
		q.SetVersion(e.msg.version)
		if err := q.ReadFrom(e.msg.body); err != nil {
			c.violated("a request of key %d cannot be read: %v", e.msg.key, err)
			return
		}
		if c.tamperAsk != nil {
			c.tamperAsk(q)
		}
		m.node.Ask(now, m.ticket, q, m.store, &out)
	case "reply", "lost":
		token := e.token
		if _, ok := m.waits[token]; !ok || m.node == nil {
			return
		}
		delete(m.waits, token)
		var resp kmsg.Response
		if e.kind == "reply" {
			resp = kmsg.ResponseForKey(e.msg.key)
			resp.SetVersion(e.msg.version)
			if err := resp.ReadFrom(e.msg.body); err != nil {
				c.violated("a response of key %d cannot be read: %v", e.msg.key, err)
				return
			}
		}
		m.node.Replied(now, token, resp, m.store, &out)
	case "cancel":
		if m.node != nil {
			m.node.Cancel(Ticket(e.token))
			delete(m.asked, Ticket(e.token))
		}
	}
	c.drain(m, &out)
}

// drain carries on what a step has left, as a hall does.
func (c *cluster) drain(m *member, out *core.Out) {
	for went := true; went; {
		went = false
		now := c.clock(m)
		for _, ch := range m.store.Changes() {
			went = true
			if ch.What == log.Booted {
				m.node = New(c.config(m))
				m.node.Boot(now, m.store, out)
				continue
			}
			if id, ok := log.NoLog, false; m.node != nil {
				if id, ok = m.node.Log(); ok && id == ch.ID {
					m.node.Changed(now, ch, m.store, out)
				}
			}
		}
		if m.node == nil {
			break
		}
		for _, b := range m.node.Committed() {
			went = true
			c.handed(m, b)
		}
		if m.node.WantsSnapshot(now) {
			m.node.Snapshot(now, m.img, out)
		}
		for _, a := range m.node.Answers() {
			c.answered(m, a)
		}
		for _, q := range m.node.Outbox() {
			c.request(m, q)
		}
	}
	m.disk.At(c.now)
	for i := range out.Effects {
		e := &out.Effects[i]
		switch e.Kind {
		case core.Note:
			c.say("node %d notes %s", m.id, e.Data)
		case core.Release:
		default:
			m.disk.Do(e, 0)
		}
	}
	next := m.store.Next()
	if m.node != nil {
		next = min(next, m.node.Next())
	}
	if next != core.Never {
		at := next - core.Second - m.skew
		if at > c.now {
			m.idle = 0
		} else if m.idle > 1000 {
			c.violated("I85: node %d asks for a tick again and again: %s", m.id, c.describe())
		}
		if at = max(at, c.now+1); at < m.tickAt {
			m.tickAt = at
			c.at(event{at: at, kind: "tick", m: m.id - 1, life: m.life})
		}
	}
	if m.node != nil {
		c.judge(m)
	}
}

func (c *cluster) delay() core.Time {
	d := 100*core.Microsecond + core.Time(c.rnd.Int64N(int64(c.late)))
	if c.faults && c.rnd.IntN(50) == 0 {
		d *= 100
	}
	return d
}

// request sends a request.
func (c *cluster) request(m *member, q Outgoing) {
	to := int(q.To) - 1
	if q.To == core.NoNode {
		_, _ = fmt.Sscanf(q.Addr, "h%d:9093", &to)
		to--
	}
	if to < 0 || to >= len(c.members) || q.Addr != fmt.Sprintf("h%d:9093", to+1) {
		c.violated("node %d asks nobody: %+v", m.id, q)
		return
	}
	m.waits[q.Token] = to
	if f, ok := q.Req.(*kmsg.FetchRequest); ok && c.seed%3 == 0 {
		f.Version = 17
	}
	if c.overheard != nil {
		c.overheard(fmt.Sprintf("%6d ms  %d>%d %s", c.now.Millis(), m.id, q.To, said(q.Req)))
	}
	c.left(m, q.Req)
	msg := message{from: m.id - 1, to: to, life: m.life, token: q.Token, key: q.Req.Key(), version: q.Req.GetVersion(), body: q.Req.AppendTo(nil)}
	c.at(event{at: c.now + q.Timeout, kind: "lost", m: m.id - 1, life: m.life, token: q.Token})
	c.carry(msg)
	if c.rnd.IntN(1000) < c.double {
		msg.unanswered = true
		c.carry(msg)
	}
}

// carry takes a request to its receiver, or not.
func (c *cluster) carry(msg message) {
	if c.cut[msg.from][msg.to] {
		return // it times out
	}
	if c.rnd.IntN(1000) < c.loss {
		c.lose(msg)
		return
	}
	c.at(event{at: c.now + c.delay(), kind: "message", m: msg.to, msg: msg})
}

// lose tells the sender at once that its connection broke, or lets it wait.
func (c *cluster) lose(msg message) {
	if !msg.unanswered && !c.cut[msg.to][msg.from] && c.rnd.IntN(2) == 0 {
		c.at(event{at: c.now + c.delay(), kind: "lost", m: msg.from, life: msg.life, token: msg.token})
	}
}

// arrives hands a request to its receiver, if that lives.
func (c *cluster) arrives(e event) {
	m := c.members[e.m]
	switch {
	case !m.up:
		if !e.msg.unanswered && !c.cut[e.msg.to][e.msg.from] { // refused
			c.at(event{at: c.now + c.delay(), kind: "lost", m: e.msg.from, life: e.msg.life, token: e.msg.token})
		}
	case m.paused > c.now:
		c.at(event{at: m.paused, kind: "ask", m: e.m, life: m.life, msg: e.msg})
	default:
		c.step(m, event{kind: "ask", m: e.m, msg: e.msg})
	}
}

// answered takes an answer to who asked.
func (c *cluster) answered(m *member, a Answer) {
	if c.tamper != nil {
		c.tamper(a.Resp)
	}
	msg, ok := m.asked[a.Ticket]
	if !ok {
		c.violated("node %d answers ticket %d twice, or unasked", m.id, a.Ticket)
		return
	}
	delete(m.asked, a.Ticket)
	if c.overheard != nil {
		c.overheard(fmt.Sprintf("%6d ms  %d<%d %s", c.now.Millis(), msg.from+1, m.id, answers(a.Resp)))
	}
	if msg.key < 0 { // from a script or an admin
		return
	}
	c.gave(m, msg, a.Resp)
	if msg.unanswered || c.cut[msg.to][msg.from] || c.rnd.IntN(1000) < c.loss {
		return
	}
	back := msg
	back.version, back.body = a.Resp.GetVersion(), a.Resp.AppendTo(nil)
	if back.version != msg.version {
		c.violated("an answer of key %d has version %d instead of %d", msg.key, back.version, msg.version)
	}
	c.at(event{at: c.now + c.delay(), kind: "reply", m: msg.from, life: msg.life, token: msg.token, msg: back})
}

// versions answers ApiVersions.
func (c *cluster) versions(msg message) {
	r := kmsg.NewPtrApiVersionsResponse()
	r.Version = msg.version
	f := kmsg.NewApiVersionsResponseSupportedFeature()
	f.Name, f.MaxVersion = "kraft.version", 1
	r.SupportedFeatures = append(r.SupportedFeatures, f)
	if c.tamper != nil {
		c.tamper(r)
	}
	if msg.unanswered || c.cut[msg.to][msg.from] || c.rnd.IntN(1000) < c.loss {
		return
	}
	msg.body = r.AppendTo(nil)
	c.at(event{at: c.now + c.delay(), kind: "reply", m: msg.from, life: msg.life, token: msg.token, msg: msg})
}

// work lets whoever leads append something.
func (c *cluster) work() {
	for _, m := range c.members {
		if m.up && m.node != nil && m.paused <= c.now && m.node.Active() {
			c.append(m)
		}
	}
}

func (c *cluster) append(m *member) {
	_, epoch := m.node.Leader()
	var records []wire.Record
	open := m.open
	switch {
	case m.led != epoch:
		if open = 0; m.node.InTransaction() { // a former leader's
			records = append(records, &wire.AbortTransactionRecord{})
		}
	case open == epoch && c.rnd.IntN(4) == 0:
		records, open = append(records, &wire.EndTransactionRecord{}), 0
	case open == epoch && c.rnd.IntN(4) == 0:
		records, open = append(records, &wire.AbortTransactionRecord{}), 0
	case open == 0 && c.rnd.IntN(8) == 0:
		records, open = append(records, &wire.BeginTransactionRecord{}), epoch
	}
	if len(records) == 0 {
		for range 1 + c.rnd.IntN(3) {
			c.serial++
			records = append(records, topicRecord(fmt.Sprintf("t%012d", c.serial)))
		}
	}
	out := core.Out{Marks: &c.marks}
	end, ok := m.node.Append(c.clock(m), records, level, m.store, &out)
	if ok {
		m.led, m.open = epoch, open
		c.appended(m, epoch, end, records)
	}
	c.drain(m, &out)
}

func (c *cluster) describe() string {
	var b strings.Builder
	for _, m := range c.members {
		if m.node == nil {
			fmt.Fprintf(&b, "%d down; ", m.id)
			continue
		}
		leader, epoch := m.node.Leader()
		l := m.store.Log(m.node.id)
		fmt.Fprintf(&b, "%d %s %d/%d [%d,%d) durable %d high %d handed %d cutting=%v download=%d %+v paused %d due %.3f %s; ", m.id, m.node.role, leader, epoch, l.Start(), l.End(), l.Durable(), m.node.high, m.node.handed, m.node.cutting, m.node.download.stage, m.node.follow, m.paused, float64(m.node.due-core.Second-m.skew)/1e9, m.node.failed)
	}
	return b.String()
}

// Recycle takes back a buffer that no read will use.
func (c *cluster) Recycle(b []byte) {}
