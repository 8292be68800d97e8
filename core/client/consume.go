package client

import (
	"slices"
	"sort"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// Message is a record as a consumer hands it over. Its bytes belong to whoever got it.
type Message struct {
	At core.TopicPartition
	batch.Record
	Epoch core.Epoch // of the leader that took it
}

// Start says where to begin to read.
type Start struct {
	From      From
	Offset    core.Offset // with FromOffset
	Timestamp int64       // with FromTime: the first record that is not older, in milliseconds
}

// From is a kind of Start.
type From uint8

// The kinds.
const (
	FromPolicy From = iota // as the reset policy says
	FromEarliest
	FromLatest
	FromOffset
	FromTime
	FromCommitted // with GroupOptions.ID: the group's offset, or as the policy says if there is none
)

// Reset says where to go on when an offset is not, or no longer, there (auto.offset.reset).
type Reset uint8

// The policies. Latest is Kafka's default.
const (
	ResetLatest Reset = iota
	ResetEarliest
	ResetNone // tell, and read on only after a Seek
)

// ConsumerOptions are those of a consumer. Zero values mean Kafka's defaults.
type ConsumerOptions struct {
	Options
	Reset          Reset
	MinBytes       int32     // fetch.min.bytes
	MaxBytes       int32     // fetch.max.bytes
	PartitionBytes int32     // max.partition.fetch.bytes
	MaxWait        core.Time // fetch.max.wait.ms
	BufferBytes    int       // beyond it nothing is fetched until Poll has made room
	ReadCommitted  bool      // isolation.level
	SkipCRC        bool      // check.crcs=false
	Group          GroupOptions
}

// Tiding is something that a consumer has to tell.
type Tiding struct {
	Kind       TidingKind
	Partitions []core.TopicPartition // sorted
	Generation int32
	Commit     CommitID
	From, To   core.Offset
	Fate       Fate // of Commit
	Failure    Failure
}

// TidingKind says what a Tiding is about.
type TidingKind uint8

// The kinds of tidings.
const (
	Assigned  TidingKind = iota // the group gave us Partitions
	Revoked                     // the group takes Partitions back: see GroupOptions.RevokeTime
	Lost                        // Partitions are another's by now; what was read and not committed is read again
	Committed                   // Commit is over: done, or Failure says why not
	Moved                       // the position in Partitions[0] went From, To: there was nothing at From any more
	Truncated                   // the log of Partitions[0] was cut below what was read: from From back to To
	Stuck                       // Partitions[0] can't be read: Failure says why. It is tried again unless a Seek is asked for
	Refused                     // the group refuses this member for good: Failure says why
)

var tidingNames = [...]string{"assigned", "revoked", "lost", "committed", "moved", "truncated", "stuck", "refused"}

func (k TidingKind) String() string { return tidingNames[k] }

// The kinds of asks of a consumer.
const (
	askFetch uint8 = 1 + iota
	askOffsets
	askEpoch
	askJoin
	askSync
	askBeat
	askLeave
	askCommit
	askCommitted
	askConsumerBeat
)

// Consumer reads partitions: those that Assign names, or those that its group gives it.
//
// Invariants: parts is sorted by partition, sessions by node. Position counts what was handed over, next
// what was fetched: position <= next, and what lies between is in ready and chunks.
type Consumer struct {
	cluster
	opt      ConsumerOptions
	parts    []reading
	sessions []session
	asks     []partsAsk // ListOffsets, OffsetForLeaderEpoch in flight
	lastAsk  uint64
	lastGen  uint64 // of reading.gen
	turn     int
	polled   []Message
	tidings  []Tiding
	buffered int
	closed   bool
	group    member
}

// reading is one partition that is read.
type reading struct {
	at       core.TopicPartition
	gen      uint64 // changes whenever the position is set: replies for an older one mean nothing
	start    Start  // where to begin, unless placed
	placed   bool
	wait     bool // for a committed offset, or for a Seek
	paused   bool
	held     bool // the group is about to take it back
	position core.Offset
	next     core.Offset
	epoch    core.Epoch // of the last record fetched; -1: not known
	checked  core.Epoch // the leader epoch in which next was found to be right
	asking   uint64     // ListOffsets or OffsetForLeaderEpoch that is out for it
	retryAt  core.Time
	fails    int

	missing core.Offset // the offset that turned out not to be there, and why this is not placed; -1: none

	end      core.Offset // the high watermark, or the last stable offset, as the last fetch said; -1: not known
	chunks   []chunk     // fetched, in order
	buffered int
	ready    []batch.Record // decoded, not yet handed over
	readyEnd core.Offset    // the position after the last of ready
	readyOf  core.Epoch

	passed    core.Offset // the position at the last Poll: what an automatic commit may say
	passedOf  core.Epoch  // of the last record handed over, or of a batch behind it without any
	committed core.Offset // the last commit of passed that was sent
}

// chunk is what one fetch brought.
type chunk struct {
	data    []byte
	aborted []abortedFrom // sorted by first offset (read_committed)
}

type abortedFrom struct {
	producer int64
	first    core.Offset
}

// partsAsk is one request about several partitions.
type partsAsk struct {
	id   uint64
	list []partGen
}

type partGen struct {
	at  core.TopicPartition
	gen uint64
}

// NewConsumer makes a consumer. It does nothing before its Boot event.
func NewConsumer(o ConsumerOptions) *Consumer {
	o.Options = o.Options.filled()
	if o.MinBytes == 0 {
		o.MinBytes = 1
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 50 << 20
	}
	if o.PartitionBytes == 0 {
		o.PartitionBytes = 1 << 20
	}
	if o.MaxWait == 0 {
		o.MaxWait = 500 * core.Millisecond
	}
	if o.BufferBytes == 0 {
		o.BufferBytes = 64 << 20
	}
	o.Group = o.Group.filled()
	c := &Consumer{cluster: newCluster(o.Options), opt: o, group: newMember()}
	for _, t := range o.Group.Topics {
		c.want(t)
	}
	return c
}

// Mine reports whether Step wants an event. Boot and Tick are for every machine.
func (c *Consumer) Mine(ev *core.Event) bool { return c.pool.Mine(ev) }

// Step takes one event.
func (c *Consumer) Step(now core.Now, ev *core.Event, out *core.Out) {
	c.pool.Step(now, ev, out)
	c.react(now, out)
	c.pool.Stepped()
	c.advance(now, out)
}

// Next is the instant at which Step wants a Tick.
func (c *Consumer) Next() core.Time { return c.pool.Next() }

// Assign adds partitions to read, or moves those that are read. Not for a member of a group.
func (c *Consumer) Assign(now core.Now, from Start, out *core.Out, list ...core.TopicPartition) {
	core.Must(len(c.opt.Group.Topics) == 0, "a member's partitions are given by its group")
	for _, at := range list {
		c.want(at.Topic)
		c.set(c.add(at), from)
	}
	c.advance(now, out)
}

// Unassign takes partitions away.
func (c *Consumer) Unassign(now core.Now, out *core.Out, list ...core.TopicPartition) {
	for _, at := range list {
		c.remove(at)
	}
	c.advance(now, out)
}

// Seek moves the position of a partition that is read. It reports false if it is not.
func (c *Consumer) Seek(now core.Now, at core.TopicPartition, to Start, out *core.Out) bool {
	r := c.reading(at)
	if r == nil {
		return false
	}
	c.set(r, to)
	c.advance(now, out)
	return true
}

// Pause stops the handing over and the fetching of partitions. What is already here stays.
func (c *Consumer) Pause(on bool, now core.Now, out *core.Out, list ...core.TopicPartition) {
	for _, at := range list {
		if r := c.reading(at); r != nil {
			r.paused = on
		}
	}
	c.advance(now, out)
}

// Reading is the list of partitions that are read, sorted.
func (c *Consumer) Reading() []core.TopicPartition {
	list := make([]core.TopicPartition, len(c.parts))
	for i := range c.parts {
		list[i] = c.parts[i].at
	}
	return list
}

// Partitions is how many partitions a topic has; 0 if that is not known. It asks for it.
func (c *Consumer) Partitions(now core.Now, name string, out *core.Out) (n int, why wire.Code) {
	c.want(name)
	c.advance(now, out)
	if t := c.topic(name); t != nil {
		return len(t.partitions), t.code
	}
	return 0, wire.None
}

// Position is the offset of the next record that Poll hands over, and the end up to which there are
// records, as far as known; -1 if it is not.
func (c *Consumer) Position(at core.TopicPartition) (position, end core.Offset) {
	r := c.reading(at)
	if r == nil || !r.placed {
		return -1, -1
	}
	return r.position, r.end
}

// Poll hands over up to limit records, taking turns among the partitions. The list, but not what it
// refers to, is valid until the next Poll.
func (c *Consumer) Poll(now core.Now, limit int, out *core.Out) []Message {
	clear(c.polled)
	c.polled = c.polled[:0]
	for k := range c.parts {
		r := &c.parts[(c.turn+k)%len(c.parts)]
		r.passed = r.position // what was handed over before has been worked on by now
		for !r.paused && !r.held && len(c.polled) < limit && (len(r.ready) > 0 || c.decode(now, r, out)) {
			n := min(limit-len(c.polled), len(r.ready))
			for i := range n {
				c.polled = append(c.polled, Message{r.at, r.ready[i], r.readyOf})
			}
			r.position, r.passedOf = r.ready[n-1].Offset+1, r.readyOf
			clear(r.ready[:n])
			if r.ready = r.ready[n:]; len(r.ready) == 0 {
				r.position = r.readyEnd
			}
		}
	}
	c.turn++
	c.advance(now, out)
	return c.polled
}

// Tidings hands over what there is to tell since the last call. The list is valid until the next Step.
func (c *Consumer) Tidings() []Tiding {
	t := c.tidings
	c.tidings = nil
	return t
}

// Untell puts tidings back that were meant for somebody else, in front of what has come since.
func (c *Consumer) Untell(list []Tiding) { c.tidings = append(list, c.tidings...) }

// Trouble says why nothing goes forward, as far as that is known.
func (c *Consumer) Trouble() Failure {
	if !c.group.why.None() {
		return c.group.why
	}
	return c.trouble()
}

// Close lets go of the connections. A member should Leave first, so that the others need not wait.
func (c *Consumer) Close(now core.Now, out *core.Out) {
	c.closed = true
	c.pool.Sleep()
	c.pool.CloseAll(now, out)
	c.pool.Stepped()
}

func (c *Consumer) tell(t Tiding) {
	if len(c.tidings) >= eventsMax { // nobody listens
		c.tidings = slices.Delete(c.tidings, 0, 1)
	}
	c.tidings = append(c.tidings, t)
}

func (c *Consumer) reading(at core.TopicPartition) *reading {
	i, found := c.partAt(at)
	if !found {
		return nil
	}
	return &c.parts[i]
}

func (c *Consumer) partAt(at core.TopicPartition) (int, bool) {
	return sort.Find(len(c.parts), func(i int) int { return at.Compare(c.parts[i].at) })
}

func (c *Consumer) add(at core.TopicPartition) *reading {
	i, found := c.partAt(at)
	if !found {
		c.parts = slices.Insert(c.parts, i, reading{at: at, end: -1, epoch: -1, checked: -1, missing: -1})
	}
	return &c.parts[i]
}

func (c *Consumer) remove(at core.TopicPartition) {
	if i, found := c.partAt(at); found {
		c.discard(&c.parts[i])
		c.parts = slices.Delete(c.parts, i, i+1)
	}
}

// set moves the position of r.
func (c *Consumer) set(r *reading, to Start) {
	c.discard(r)
	r.start, r.placed, r.wait, r.end, r.missing = to, false, false, -1, -1
	r.retryAt, r.fails = 0, 0
	switch to.From {
	case FromOffset:
		c.put(r, to.Offset, -1)
	case FromCommitted:
		r.wait = c.opt.Group.ID != ""
	}
}

// put places r at an offset, whose record before it was written in epoch.
func (c *Consumer) put(r *reading, at core.Offset, epoch core.Epoch) {
	r.placed, r.wait, r.position, r.next, r.epoch, r.checked, r.missing = true, false, at, at, epoch, -1, -1
	r.passed, r.passedOf, r.committed = at, epoch, at
}

// discard forgets what is here of r and disowns what is under way.
func (c *Consumer) discard(r *reading) {
	c.buffered -= r.buffered
	r.buffered, r.chunks, r.ready, r.asking = 0, nil, nil, 0
	c.lastGen++
	r.gen = c.lastGen
}

// advance does whatever can be done now.
func (c *Consumer) advance(now core.Now, out *core.Out) {
	c.pool.Sleep()
	if c.closed || len(c.parts) == 0 && len(c.wanted) == 0 {
		return
	}
	if c.opt.Group.ID != "" {
		c.tendGroup(now, out)
	}
	for i := range c.brokers {
		node := c.brokers[i].ID
		c.place(now, node, out)
		c.validate(now, node, out)
		c.fetch(now, node, out)
	}
	for i := range c.parts {
		if l, _ := c.leader(c.parts[i].at); l < 0 {
			c.missing()
		}
	}
	c.tend(now, out) // last: what went before may have found the metadata wanting
}

// react takes what became of requests.
func (c *Consumer) react(now core.Now, out *core.Out) {
	for i := 0; i < len(c.pool.Got()); i++ {
		r := c.pool.Got()[i]
		if c.replied(now, &r, out) {
			continue
		}
		switch r.Ask.Kind {
		case askFetch:
			c.fetched(now, &r, out)
		case askOffsets:
			c.offsetsListed(now, &r, out)
		case askEpoch:
			c.epochAnswered(now, &r, out)
		default:
			c.groupReplied(now, &r, out)
		}
	}
}

// later puts r off after a failure.
func (c *Consumer) later(now core.Now, r *reading, why Failure) {
	r.retryAt = now.Mono.After(c.backoff(r.fails))
	r.fails++
	if !why.None() && !why.Code.Retriable() && why.Errno == core.OK && r.fails == 1 {
		c.tell(Tiding{Kind: Stuck, Partitions: []core.TopicPartition{r.at}, Failure: why})
	}
}

// resting reports whether r has to wait after a failure.
func (c *Consumer) resting(now core.Now, r *reading) bool {
	if now.Mono < r.retryAt {
		c.pool.WakeAt(r.retryAt)
		return true
	}
	return false
}

// ledBy lists the partitions that a node leads and for which ok says that something is to be asked.
// list is room for them.
func (c *Consumer) ledBy(list []int, node core.NodeID, ok func(r *reading, epoch core.Epoch) bool) []int {
	for i := range c.parts {
		if leader, epoch := c.leader(c.parts[i].at); leader == node && ok(&c.parts[i], epoch) {
			list = append(list, i)
		}
	}
	return list
}

func (c *Consumer) asked1(id uint64) (partsAsk, bool) {
	i := slices.IndexFunc(c.asks, func(a partsAsk) bool { return a.id == id })
	if i < 0 {
		return partsAsk{}, false
	}
	a := c.asks[i]
	c.asks = slices.Delete(c.asks, i, i+1)
	return a, true
}

func (c *Consumer) isolation() int8 {
	if c.opt.ReadCommitted {
		return 1
	}
	return 0
}
