package client

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/link"
	"klamm/core/wire"
)

// Acks says who must hold a record before the broker answers.
type Acks uint8

// The kinds of acknowledgement. All is the default.
const (
	AcksAll    Acks = iota // every in-sync replica
	AcksLeader             // the leader
	AcksNone               // the broker does not answer at all
)

// AnyPartition in Record.Partition leaves the choice to the producer: by the key's hash as every Kafka
// client does, or, without a key, one partition after the other, a batch each.
const AnyPartition int32 = -1

// Record is one record to be sent. Key and Value may be nil, which is Kafka's null. The bytes belong to
// the producer until the record's Result.
type Record struct {
	Topic     string
	Partition int32
	Timestamp int64 // milliseconds; 0 means the wall clock at Send
	Key       []byte
	Value     []byte
	Headers   []batch.Header
}

// RecordID numbers the records of one producer in the order of Send, from 1.
type RecordID uint64

// Result says what became of a record. With acks none a record that left has the fate MayHave and no failure.
type Result struct {
	ID        RecordID
	At        core.TopicPartition
	Offset    core.Offset // -1 if it is not known
	Timestamp int64       // the broker's, if it stamps records, else the record's own
	Fate      Fate
	Failure   Failure
}

// ProducerOptions are those of a producer. Zero values mean Kafka's defaults, but for NotIdempotent.
type ProducerOptions struct {
	Options
	Acks          Acks
	NotIdempotent bool // retries may then store a record twice, and out of order if InFlight is above 1
	Codec         batch.Codec
	Level         int       // of compression; 0 is the codec's default
	Linger        core.Time // linger.ms: how long a batch waits for company; below 0 is not at all
	BatchBytes    int       // batch.size
	RequestBytes  int       // max.request.size
	BufferBytes   int       // buffer.memory: then Send refuses
	DeliveryTime  core.Time // delivery.timeout.ms: counted from Send; a request that is out by then is waited for

	// TransactionalID makes the producer a transactional one: records are sent between Begin and Commit or Abort (txn.go).
	TransactionalID string
	TransactionTime core.Time // transaction.timeout.ms: then the coordinator aborts what is open
}

// windowBatches is how many batches of one producer a partition remembers, and so how many may be unresolved.
const windowBatches = 5

// The kinds of asks of a producer.
const (
	askInit uint8 = 1 + iota
	askProduce
	askTxn // anything that belongs to a transaction
)

// Producer sends records. What it promises when it is idempotent: a record whose fate is Did is stored
// exactly once; records of one partition that are stored, are stored in the order of Send; and a record
// whose fate is DidNot is not stored.
//
// Invariants: outboxes is sorted by partition; buffered counts the bytes of every record without a Result.
type Producer struct {
	cluster
	opt      ProducerOptions
	lastID   RecordID
	waiting  []held // records whose topic is not known yet, in the order of Send
	outboxes []outbox
	sticky   []sticky
	requests []produceRequest // in flight, in the order of sending
	lastReq  uint64
	results  []Result
	buffered int
	pending  int // records without a Result
	flushing bool
	closed   bool
	mistaken []core.TopicPartition
	turn     int // which partition a request begins with: none starves

	waitedFor  uint64         // the metadata reply that waiting was last held against
	waitTopics []waitingTopic // of waiting; in the order of their first

	producerID int64 // -1: none yet
	epoch      int16 // the newest that any partition uses
	initing    bool
	initAt     core.Time // no InitProducerId before
	initFails  int
	initWhy    Failure

	txn transaction
}

// held is a record on its way.
type held struct {
	id   RecordID
	rec  Record
	born core.Time
	seen uint64 // metadata requests up to this one are older than the record
}

func (h *held) bytes() int {
	n := 21 + len(h.rec.Key) + len(h.rec.Value)
	for i := range h.rec.Headers {
		n += 10 + len(h.rec.Headers[i].Key) + len(h.rec.Headers[i].Value)
	}
	return n
}

// waitingTopic counts the records that wait for one topic: the next one must not overtake them.
type waitingTopic struct {
	name  string
	count int
}

type sticky struct {
	topic     string
	partition int32
}

// produceRequest is one request in flight and the batches that it carries.
type produceRequest struct {
	id   uint64
	node core.NodeID
	list []carried
}

type carried struct {
	at core.TopicPartition
	id core.TopicID
}

// NewProducer makes a producer. It does nothing before its Boot event.
func NewProducer(o ProducerOptions) *Producer {
	o.Options = o.Options.filled()
	if o.BatchBytes == 0 {
		o.BatchBytes = 16384
	}
	if o.RequestBytes == 0 {
		o.RequestBytes = 1 << 20
	}
	if o.BufferBytes == 0 {
		o.BufferBytes = 32 << 20
	}
	if o.Linger == 0 {
		o.Linger = 5 * core.Millisecond
	}
	if o.DeliveryTime == 0 {
		o.DeliveryTime = 120 * core.Second
	}
	if o.TransactionTime == 0 {
		o.TransactionTime = core.Minute
	}
	if o.TransactionalID != "" {
		o.Acks, o.NotIdempotent = AcksAll, false
	}
	if o.Acks != AcksAll {
		o.NotIdempotent = true // an idempotent producer needs every replica to remember it
	}
	return &Producer{cluster: newCluster(o.Options), opt: o, producerID: -1}
}

// Mine reports whether Step wants an event. Boot and Tick are for every machine.
func (p *Producer) Mine(ev *core.Event) bool { return p.pool.Mine(ev) }

// Step takes one event.
func (p *Producer) Step(now core.Now, ev *core.Event, out *core.Out) {
	p.pool.Step(now, ev, out)
	p.react(now, out)
	p.pool.Stepped()
	p.advance(now, out)
}

// Next is the instant at which Step wants a Tick.
func (p *Producer) Next() core.Time { return p.pool.Next() }

// Send takes a record. Its Result follows. A zero id means that the buffer is full: nothing was taken.
func (p *Producer) Send(now core.Now, r Record, out *core.Out) RecordID {
	h := held{rec: r, born: now.Mono, seen: p.asked}
	if p.closed || p.buffered+h.bytes() > p.opt.BufferBytes && p.pending > 0 {
		return 0
	}
	if h.rec.Timestamp == 0 {
		h.rec.Timestamp = now.Wall.Millis()
	}
	p.lastID++
	h.id = p.lastID
	if p.transactional() && p.txn.state != TxnOpen {
		p.results = append(p.results, p.outside(&h))
		return h.id
	}
	p.buffered += h.bytes()
	p.pending++
	if h.bytes()+batch.HeaderBytes > p.opt.RequestBytes {
		p.resolve(&h, core.TopicPartition{Topic: r.Topic, Partition: r.Partition}, -1, -1, DidNot,
			Failure{Code: wire.MessageTooLarge, Text: "the record is larger than the largest request (max.request.size)"})
		return h.id
	}
	p.want(r.Topic)
	if p.waits(r.Topic, 0) || !p.place(now, &h) {
		p.waiting = append(p.waiting, h)
		p.waits(r.Topic, 1)
	}
	p.advance(now, out)
	return h.id
}

// Flush makes everything that was given leave without lingering, until all of it has its Result.
func (p *Producer) Flush(now core.Now, out *core.Out) {
	p.flushing = true
	p.advance(now, out)
}

// Pending is how many records have no Result yet.
func (p *Producer) Pending() int { return p.pending }

// Results hands over what became of records since the last call, in the order of becoming known. The
// list is valid until the next Step or Send.
func (p *Producer) Results() []Result {
	r := p.results
	p.results = p.results[:0]
	return r
}

// mistakenMax bounds what Mistaken hands over.
const mistakenMax = 1 << 10

// Mistaken hands over where a broker has refused, as out of order, the batch that follows the last acknowledged one, or the
// first of all, although no batch was given up that it could miss: it has forgotten this producer, or taken batches in another order
// than they were sent. The producer gets over it, but a transaction that was open does not. A batch that may be stored already does
// not count: whoever loads a log from a snapshot of its producers knows the last batch of each, but not those before. There are at
// most 1024 since the last call; the list is valid until the next Step.
func (p *Producer) Mistaken() []core.TopicPartition {
	m := p.mistaken
	p.mistaken = p.mistaken[:0]
	return m
}

// Trouble says why nothing goes forward, as far as that is known.
func (p *Producer) Trouble() Failure {
	if !p.initWhy.None() {
		return p.initWhy
	}
	if p.transactional() && !p.txn.why.None() {
		return p.txn.why
	}
	return p.trouble()
}

// Close gives up what is pending and lets go of the connections. Flush first to lose nothing.
func (p *Producer) Close(now core.Now, out *core.Out) {
	p.pool.CloseAll(now, out)
	p.react(now, out)
	p.pool.Stepped()
	p.closed = true
	p.txn.over(Failure{Text: "the producer was closed"})
	for i := range p.outboxes {
		for j := range p.outboxes[i].batches {
			if s := &p.outboxes[i].batches[j]; s.request != 0 { // left, and nobody will answer (acks none)
				s.doubtful = true
				p.unflight(&p.outboxes[i], s)
			}
		}
	}
	p.giveUp(core.Never, Failure{Text: "the producer was closed"})
	p.pool.Sleep()
}

// resolve gives a record its Result.
func (p *Producer) resolve(h *held, at core.TopicPartition, off core.Offset, ts int64, f Fate, why Failure) {
	if ts < 0 {
		ts = h.rec.Timestamp
	}
	p.results = append(p.results, Result{ID: h.id, At: at, Offset: off, Timestamp: ts, Fate: f, Failure: why})
	if f != Did && p.transactional() {
		p.txn.sicken(why)
	}
	p.buffered -= h.bytes()
	p.pending--
	core.Must(p.pending >= 0, "a record has one result")
	if p.pending == 0 {
		p.flushing = false
	}
}

// advance does whatever can be done now.
func (p *Producer) advance(now core.Now, out *core.Out) {
	p.pool.Sleep()
	if p.closed || p.pending == 0 && len(p.wanted) == 0 && !p.transactional() {
		return
	}
	p.deliver(now, out)
	if p.transactional() {
		p.tendTxn(now, out)
		p.drop()
	}
	p.tend(now, out) // last: what went before may have found the metadata wanting
}

func (p *Producer) deliver(now core.Now, out *core.Out) {
	p.placeWaiting(now)
	p.giveUp(now.Mono, Failure{})
	if p.transactional() {
		p.drop()
	}
	if p.pending == 0 {
		return
	}
	for i := range p.outboxes {
		if b := &p.outboxes[i]; b.reset && b.inflight == 0 {
			p.renumber(b, out)
		}
	}
	if p.transactional() && !p.txn.ready() || !p.transactional() && !p.opt.NotIdempotent && !p.identify(now, out) {
		return
	}
	for i := range p.brokers {
		for p.request(now, p.brokers[i].ID, out) {
		}
	}
}

// react takes what became of requests.
func (p *Producer) react(now core.Now, out *core.Out) {
	for i := 0; i < len(p.pool.Got()); i++ {
		r := p.pool.Got()[i]
		switch {
		case p.replied(now, &r, out):
		case r.Ask.Kind == askInit:
			p.identified(now, &r, out)
		case r.Ask.Kind == askTxn:
			p.txnReplied(now, &r, out)
		case r.Ask.Kind == askProduce:
			p.produced(now, &r, out)
		}
	}
}

// identify sees to it that there is a producer id, and reports whether there is.
func (p *Producer) identify(now core.Now, out *core.Out) bool {
	if p.producerID >= 0 || p.initing {
		return p.producerID >= 0
	}
	if now.Mono < p.initAt {
		p.pool.WakeAt(p.initAt)
		return false
	}
	to := p.any(now, out)
	if to == nil {
		return false
	}
	v, ok := versionOf(to, int16(kmsg.InitProducerID), -1)
	if !ok {
		p.initWhy = Failure{Code: wire.UnsupportedVersion, Text: "the broker knows no idempotent producers; turn idempotence off"}
		p.failAll(p.initWhy)
		return false
	}
	q := kmsg.NewInitProducerIDRequest()
	q.SetVersion(v)
	q.TransactionTimeoutMillis = math.MaxInt32 // means nothing without a transactional id
	p.initing = true
	p.pool.Send(now, to, link.Ask{Kind: askInit}, &q, p.opt.RequestTime, out)
	return false
}

func (p *Producer) identified(now core.Now, r *link.Reply, out *core.Out) {
	p.initing = false
	resp, ok := r.Resp.(*kmsg.InitProducerIDResponse)
	if ok && wire.Code(resp.ErrorCode) == wire.None && resp.ProducerID >= 0 {
		p.producerID, p.epoch, p.initFails, p.initWhy = resp.ProducerID, resp.ProducerEpoch, 0, Failure{}
		return
	}
	p.initWhy = Failure{Errno: r.Errs, Text: "asking for a producer id"}
	if ok {
		p.initWhy.Code = wire.Code(resp.ErrorCode)
		if c := p.initWhy.Code; c != wire.None && !c.Retriable() && c != wire.UnknownServerError {
			out.Mark("client.no-producer-id")
			p.failAll(p.initWhy)
		}
	}
	p.initAt = now.Mono.After(p.backoff(p.initFails))
	p.initFails++
}

// murmur2 is the hash of Kafka's default partitioner.
func murmur2(b []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h = h*m ^ k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// PartitionOf is the partition of a key among so many, as Kafka's clients choose it.
func PartitionOf(key []byte, partitions int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % partitions
}

// stick returns the partition that keyless records of a topic go to now.
func (p *Producer) stick(t *topic, again bool) int32 {
	i := slices.IndexFunc(p.sticky, func(s sticky) bool { return s.topic == t.name })
	if i < 0 {
		i, again = len(p.sticky), true
		p.sticky = append(p.sticky, sticky{topic: t.name})
	}
	s := &p.sticky[i]
	if again || int(s.partition) >= len(t.partitions) {
		led := 0
		for j := range t.partitions {
			if t.partitions[j].leader >= 0 {
				led++
			}
		}
		if led == 0 {
			s.partition = int32(p.pool.Rand().IntN(int64(len(t.partitions))))
			return s.partition
		}
		n := int(p.pool.Rand().IntN(int64(led)))
		for j := range t.partitions {
			if t.partitions[j].leader < 0 {
				continue
			}
			if n == 0 {
				s.partition = int32(j)
				break
			}
			n--
		}
	}
	return s.partition
}
