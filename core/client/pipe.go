package client

import (
	"slices"

	"klamm/core"
)

// PipeOptions are those of a Pipe. Consumer.Group and Producer.TransactionalID must be set; both machines get the common
// options, and what the loop rests on is filled in: read_committed, no automatic commits.
type PipeOptions struct {
	Options
	Consumer ConsumerOptions
	Producer ProducerOptions
	Records  int // of one transaction, at most; 0 is 500
}

// PipeResult is what became of one batch.
type PipeResult struct {
	Records int
	Fate    Fate // Did: what was made of them is visible, and they won't come again. DidNot: they come again
	Failure Failure
}

// Pipe is the loop that consumes, processes and produces exactly once (KIP-98, KIP-447): the offsets of what was read are
// committed in one transaction with what was made of it. The owner calls Take, Send for each record that it makes, and Finish
// or Abandon. If the transaction is aborted, the consumer goes back to where it was, so that the same records come again; if
// partitions have gone to another member meanwhile, that one reads them, and our transaction can't be committed, because
// the offsets are committed in the name of the generation in which the records were taken.
//
// Invariants: a transaction is open exactly while the state is pipeWorking or pipeEnding; from lists, for each partition that
// the batch holds records of and that is still ours, where it was before.
type Pipe struct {
	c        *Consumer
	p        *Producer
	records  int
	state    pipeState
	member   GroupMember // in whose name the offsets are committed
	from     []CommitOffset
	upTo     []CommitOffset
	count    int
	spoiled  bool // partitions were lost: the batch can't be committed
	yielding bool // the group waits for partitions until the transaction is over
	tidings  []Tiding
	results  []PipeResult
	stored   []Result
	why      Failure
}

type pipeState uint8

const (
	pipeIdle    pipeState = iota // nothing is open
	pipeWorking                  // the owner has a batch
	pipeEnding                   // the transaction is committed or aborted
	pipeDead                     // the producer can do no more
)

// NewPipe makes a pipe. It does nothing before its Boot event.
func NewPipe(o PipeOptions) *Pipe {
	o.Consumer.Options, o.Producer.Options = o.Options, o.Options
	o.Producer.Options.Conns += ConnSpan
	if o.Producer.Options.Table = o.Table + 1; o.Table == 0 {
		o.Producer.Options.Table = DefaultTable + 1
	}
	o.Consumer.ReadCommitted, o.Consumer.Group.AutoCommitTime = true, -1
	if o.Consumer.Group.RevokeTime == 0 {
		o.Consumer.Group.RevokeTime = 2 * core.Second
	}
	if o.Records == 0 {
		o.Records = 500
	}
	core.Must(o.Producer.TransactionalID != "", "a pipe has a transactional id")
	core.Must(len(o.Consumer.Group.Topics) > 0, "a pipe reads as a member of a group")
	return &Pipe{c: NewConsumer(o.Consumer), p: NewProducer(o.Producer), records: o.Records}
}

// Mine reports whether Step wants an event. Boot and Tick are for every machine.
func (x *Pipe) Mine(ev *core.Event) bool { return x.c.Mine(ev) || x.p.Mine(ev) }

// Step takes one event.
func (x *Pipe) Step(now core.Now, ev *core.Event, out *core.Out) {
	if x.c.Mine(ev) {
		x.c.Step(now, ev, out)
	}
	if x.p.Mine(ev) {
		x.p.Step(now, ev, out)
	}
	if ev.Kind == core.Boot {
		x.p.Init(now, out) // before anything is read: what a former life had open ends with it
	}
	x.heed(now, out)
}

// Next is the instant at which Step wants a Tick.
func (x *Pipe) Next() core.Time { return min(x.c.Next(), x.p.Next()) }

// Consumer is the reading part, to look at.
func (x *Pipe) Consumer() *Consumer { return x.c }

// Producer is the writing part, to look at.
func (x *Pipe) Producer() *Producer { return x.p }

// Dead reports whether the pipe can do no more, and why: another one with the same transactional id has taken over, mostly.
func (x *Pipe) Dead() (Failure, bool) { return x.why, x.state == pipeDead }

// Idle reports whether nothing is under way.
func (x *Pipe) Idle() bool { return x.state == pipeIdle || x.state == pipeDead }

// Results hands over what became of batches since the last call. The list is valid until the next Step.
func (x *Pipe) Results() []PipeResult {
	r := x.results
	x.results = nil
	return r
}

// Stored hands over what became of single records: they are in the log, which says nothing of whether their transaction is
// committed. The newest are kept if nobody asks.
func (x *Pipe) Stored() []Result {
	r := x.stored
	x.stored = nil
	return r
}

// Tidings hands over what the consumer had to tell. The list is valid until the next Step.
func (x *Pipe) Tidings() []Tiding {
	t := x.tidings
	x.tidings = nil
	return t
}

// Take hands over the next batch, if there is one and the batch before is over, and opens a transaction for it.
func (x *Pipe) Take(now core.Now, out *core.Out) []Message {
	x.heed(now, out)
	if x.state != pipeIdle || x.yielding || !x.p.Ready() {
		return nil
	}
	var before []CommitOffset
	for _, at := range x.c.Reading() {
		if position, _ := x.c.Position(at); position >= 0 {
			before = append(before, CommitOffset{At: at, Offset: position, Epoch: -1})
		}
	}
	x.member = x.c.GroupMember()
	list := x.c.Poll(now, x.records, out)
	if len(list) == 0 {
		return nil
	}
	core.Must(x.p.Begin(now, out), "a pipe that is idle can begin a transaction")
	x.state, x.from, x.upTo, x.count, x.spoiled = pipeWorking, nil, nil, len(list), false
	for _, b := range before {
		i := slices.IndexFunc(list, func(m Message) bool { return m.At == b.At })
		if i < 0 {
			continue
		}
		r := x.c.reading(b.At)
		if r == nil { // lost while the batch was taken: whoever has it now takes the same records
			x.spoiled = true
			continue
		}
		x.from, x.upTo = append(x.from, b), append(x.upTo, CommitOffset{At: b.At, Offset: r.position, Epoch: r.passedOf})
	}
	return list
}

// Send gives a record to the open transaction. It reports false if there is no room now. The id is zero if the batch is lost already.
func (x *Pipe) Send(now core.Now, r Record, out *core.Out) (RecordID, bool) {
	if x.state != pipeWorking {
		return 0, true // the transaction is lost already, and what belongs to it
	}
	id := x.p.Send(now, r, out)
	return id, id != 0
}

// Finish says that all has been sent that is made of the batch.
func (x *Pipe) Finish(now core.Now, out *core.Out) {
	if x.state != pipeWorking {
		return
	}
	x.state = pipeEnding
	if x.spoiled || !x.p.SendOffsets(now, x.member, x.upTo, out) || !x.p.Commit(now, out) {
		x.p.Abort(now, out)
	}
	x.heed(now, out)
}

// Abandon gives the batch up: it comes again.
func (x *Pipe) Abandon(now core.Now, out *core.Out) {
	if x.state != pipeWorking {
		return
	}
	x.state = pipeEnding
	x.p.Abort(now, out)
	x.heed(now, out)
}

// Leave leaves the group once nothing is under way; Gone of the consumer says when that is done.
func (x *Pipe) Leave(now core.Now, out *core.Out) {
	if x.Idle() {
		x.c.Leave(now, out)
	}
}

// Close lets go of the connections.
func (x *Pipe) Close(now core.Now, out *core.Out) {
	x.p.Close(now, out)
	x.c.Close(now, out)
}

// heed takes in what the two parts have to tell.
func (x *Pipe) heed(now core.Now, out *core.Out) {
	if x.stored = append(x.stored, x.p.Results()...); len(x.stored) > eventsMax { // nobody asks
		x.stored = slices.Delete(x.stored, 0, len(x.stored)-eventsMax)
	}
	for _, t := range x.c.Tidings() {
		switch t.Kind {
		case Revoked:
			x.yielding = true
		case Lost:
			for _, at := range t.Partitions {
				x.spoiled = x.spoiled || slices.ContainsFunc(x.upTo, func(o CommitOffset) bool { return o.At == at })
				x.forget(at)
			}
		case Assigned:
			for _, at := range t.Partitions { // it begins where the group says
				x.forget(at)
			}
		}
		x.tidings = append(x.tidings, t)
	}
	for _, r := range x.p.Ended() {
		x.ended(now, r, out)
	}
	switch s, why := x.p.Txn(); {
	case s == TxnDead && x.state != pipeDead:
		if x.state != pipeIdle {
			x.results = append(x.results, PipeResult{x.count, DidNot, why})
		}
		x.state, x.why = pipeDead, why
	case s == TxnSick && x.state == pipeEnding:
		x.p.Abort(now, out)
	}
	if x.yielding && x.Idle() {
		x.yielding = false
		x.c.Yield(now, out)
	}
}

// forget leaves a partition's position to the consumer.
func (x *Pipe) forget(at core.TopicPartition) {
	x.from = slices.DeleteFunc(x.from, func(o CommitOffset) bool { return o.At == at })
}

// ended takes the end of a transaction.
func (x *Pipe) ended(now core.Now, r TxnResult, out *core.Out) {
	switch {
	case r.Commit && r.Fate == Did:
		x.state = pipeIdle
		x.results = append(x.results, PipeResult{x.count, Did, Failure{}})
	case r.Commit && r.Fate == MayHave:
		x.state, x.why = pipeDead, r.Failure
		x.results = append(x.results, PipeResult{x.count, MayHave, r.Failure})
	case r.Commit: // the abort follows
		x.why = r.Failure
	case x.state == pipeEnding && r.Fate == Did:
		x.state = pipeIdle
		x.results = append(x.results, PipeResult{x.count, DidNot, x.why})
		for _, o := range x.from {
			x.c.Seek(now, o.At, Start{From: FromOffset, Offset: o.Offset}, out)
		}
	}
}
