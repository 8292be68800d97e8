// Package shard is the frame of a replicated coordinator: decide, append, apply, answer once committed.
//
// # The protocol
//
// A coordinator keeps its state in one partition of an internal topic, and whoever leads that partition is
// the coordinator of what hashes to it. The state is a fold of the partition's records. A request reads the
// state and decides on records; they are appended as one batch, all or nothing, and applied at once by the
// function that replay uses too; the answer leaves when they are committed, that is when the high watermark
// has reached the end of that batch. A read answers from the applied state as well, so its answer
// waits until what it saw is committed: no client ever learns of a thing that a new leader may not know.
//
// If an appended batch turns out not to survive (the log went offline, the leadership moved), the applied state is
// dropped with the shard, its waiting requests are answered NOT_COORDINATOR, and the next leader, or this
// one after a reload, folds the log anew. Nothing is undone piece by piece.
//
// # What the hall does
//
// A Shard holds no state of its coordinator; the hall keeps the two together and makes these calls:
//
//   - Load(store, log, epoch) when this broker begins to lead the partition. Orders come with the leader
//     epoch, and one that is older than what is known is ignored (KAFKA-10614). The hall empties the
//     coordinator's state when Load says that it began.
//   - Changed(change) for every change that the log store reports about that log. Then Next until it says
//     false, handing each record to the coordinator's Apply; Txn says which transaction it belongs to, and whether it
//     is the marker that ends it. Then, if Finish says true, the coordinator is told that it is loaded, once.
//   - Encode for what was decided; the hall appends the batch as the partition's leader, and the coordinator
//     applies the same records at once.
//   - Outcome(store, epoch, end) to see what a waiting answer came to; asked again when the high watermark
//     of the log moves and when the shard loads, unloads or fails.
//   - Unload(epoch) when another broker leads at that epoch or the partition is gone.
//
// A Shard has no deadlines: the coordinator's own belong to the coordinator.
package shard

import (
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
)

// Phase says what a shard may be asked.
type Phase uint8

// The phases of a shard.
const (
	Unloaded Phase = iota // another broker coordinates: NOT_COORDINATOR
	Loading               // COORDINATOR_LOAD_IN_PROGRESS: an answer now would be from half the state
	Active
	Failed // its log is offline: NOT_COORDINATOR until the next leadership
)

var phaseNames = [...]string{"unloaded", "loading", "active", "failed"}

func (p Phase) String() string { return phaseNames[p] }

// LoadBytes bounds what one step of a load reads, but for a single batch that is larger, unless New is told otherwise.
const LoadBytes = 1 << 20

// RecordBytesMax bounds the uncompressed records of one batch of a coordinator's log.
const RecordBytesMax = 64 << 20

// Shard is the frame of one coordinator's partition on this broker.
//
// Invariants: next <= until while it loads; an Active shard has next = until, the log's end when
// it became Active; epoch never falls.
type Shard struct {
	partition core.TopicPartition
	loadBytes int64 // of one step of a load
	id        log.LogID
	epoch     core.Epoch // of the newest order, load or unload
	phase     Phase
	next      core.Offset // everything below has been handed out by Next
	until     core.Offset // end of what is to be replayed
	ticket    log.Ticket  // of the read under way
	asked     core.Offset // end of what that read was asked for
	reading   bool
	chunk     []byte // whole batches not yet begun by Next
	reader    batch.Reader
	inBatch   bool
	batchEnd  core.Offset // of the batch that reader walks
	txn       Txn         // … likewise
}

// Txn says what a record has to do with a transaction.
type Txn struct {
	Producer int64 // -1: nothing
	Marker   bool  // it ends the producer's transaction: its key says how
}

// Txn is that of the record that Next handed out last.
func (s *Shard) Txn() Txn { return s.txn }

// New makes the frame of one partition, unloaded. A step of a load reads loadBytes at most.
func New(p core.TopicPartition, loadBytes int64) Shard {
	return Shard{partition: p, loadBytes: loadBytes, epoch: -1}
}

// Partition names the partition.
func (s *Shard) Partition() core.TopicPartition { return s.partition }

// Phase says what the shard may be asked.
func (s *Shard) Phase() Phase { return s.phase }

// Epoch is the leader epoch of the newest order.
func (s *Shard) Epoch() core.Epoch { return s.epoch }

// Leads reports whether the shard is active, and is that of a log in a leadership.
func (s *Shard) Leads(id log.LogID, epoch core.Epoch) bool {
	return s.phase == Active && s.id == id && s.epoch == epoch
}

// Log is the log that the shard was last loaded from.
func (s *Shard) Log() log.LogID { return s.id }

// Replayed is the end of what was replayed: what a read of the freshly loaded state has seen.
func (s *Shard) Replayed() core.Offset { return s.until }

// Load begins to replay the partition, because this broker leads it at epoch. It reports false, and does
// nothing, if a newer order, or this one, was seen before.
func (s *Shard) Load(now core.Now, store *log.Store, id log.LogID, epoch core.Epoch, out *core.Out) (began bool) {
	if epoch < s.epoch || epoch == s.epoch && s.phase != Unloaded {
		out.Mark("shard.stale-load")
		return false
	}
	l := store.Log(id)
	*s = Shard{partition: s.partition, loadBytes: s.loadBytes, id: id, epoch: epoch, phase: Loading, next: l.Start(), until: l.End()}
	if l.Offline() != "" {
		s.phase = Failed
		return true
	}
	s.read(now, store, out)
	return true
}

// Unload forgets the partition, because from epoch on another broker leads it. An order older than the
// newest load is ignored: it says that this broker gave up an earlier leadership, not this one.
func (s *Shard) Unload(epoch core.Epoch, out *core.Out) (did bool) {
	if epoch < s.epoch {
		out.Mark("shard.stale-unload")
		return false
	}
	did = s.phase != Unloaded
	*s = Shard{partition: s.partition, loadBytes: s.loadBytes, epoch: epoch}
	return did
}

// Changed takes a change of the shard's log, as the store reported it.
func (s *Shard) Changed(c *log.Change, out *core.Out) {
	if c.ID != s.id || s.phase != Loading && s.phase != Active {
		return
	}
	switch {
	case c.What == log.Failed || c.What == log.Gone:
		out.Mark("shard.log-failed")
		*s = Shard{partition: s.partition, loadBytes: s.loadBytes, id: s.id, epoch: s.epoch, phase: Failed}
	case c.What == log.Bytes && s.reading && c.Ticket == s.ticket:
		s.reading, s.chunk = false, c.Data
		if c.Err != core.OK {
			s.fail(out, "its log cannot be read: "+c.Err.String())
		} else if len(c.Data) == 0 { // nothing is left there: compacted away
			s.next = s.asked
		}
	}
}

// Next hands out the next record of the replay. False: no more for now; then ask Finish.
func (s *Shard) Next(now core.Now, store *log.Store, r *batch.Record, out *core.Out) bool {
	for s.phase == Loading {
		if s.inBatch {
			if s.reader.Next(r) {
				return true
			}
			if s.reader.Err() != batch.Good {
				s.fail(out, "a batch of it cannot be read")
				return false
			}
			s.inBatch, s.next = false, s.batchEnd
		}
		if len(s.chunk) == 0 {
			if !s.reading && s.next < s.until {
				s.read(now, store, out)
			}
			return false
		}
		s.open(out)
	}
	return false
}

// open begins the next batch of the chunk.
func (s *Shard) open(out *core.Out) {
	v, rest, verdict := batch.First(s.chunk)
	if verdict != batch.Good || !v.CheckCRC() {
		s.fail(out, "a batch of it is damaged")
		return
	}
	s.chunk, s.batchEnd = rest, core.Offset(v.LastOffset())+1
	if s.batchEnd <= s.next || v.IsControl() && (!v.IsTransactional() || v.ProducerID() < 0) {
		s.next = max(s.next, s.batchEnd)
		return
	}
	s.txn = Txn{Producer: -1}
	if v.IsTransactional() {
		s.txn = Txn{Producer: v.ProducerID(), Marker: v.IsControl()}
	}
	reader, verdict := batch.Read(v, RecordBytesMax)
	if verdict != batch.Good {
		s.fail(out, "a batch of it cannot be read")
		return
	}
	s.reader, s.inBatch = reader, true
}

func (s *Shard) read(now core.Now, store *log.Store, out *core.Out) {
	// What is not written yet will be, and then the log's change asks Next again.
	if s.asked = min(s.until, store.Log(s.id).Written()); s.next < s.asked {
		s.reading = true
		s.ticket = store.ReadAt(now, s.id, s.next, s.asked, s.loadBytes, out)
	}
}

func (s *Shard) fail(out *core.Out, why string) {
	out.Mark("shard.unreadable")
	out.Note(core.Error, "coordinator of "+s.partition.Topic+": "+why+"; its groups are unavailable")
	*s = Shard{partition: s.partition, loadBytes: s.loadBytes, id: s.id, epoch: s.epoch, phase: Failed}
}

// Finish reports, once, that everything has been replayed: from now on the shard is Active.
func (s *Shard) Finish() bool {
	if s.phase != Loading || s.next < s.until || s.inBatch {
		return false
	}
	s.phase, s.chunk = Active, nil
	return true
}
