package txn

import (
	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"
)

// Ending is an EndTxn request. Bump: it is of version 5 or later, which raises the epoch (transaction.version 2).
type Ending struct {
	ID       string
	Producer Producer
	Commit   bool
	Bump     bool
}

// End decides EndTxn.
func (s *State) End(env Env, e *Ending) Answer {
	if e.ID == "" {
		return Answer{Code: wire.InvalidRequest, Producer: nobody}
	}
	t := s.find(e.ID)
	switch {
	case t == nil:
		return s.refuse(nil, wire.InvalidProducerIDMapping)
	case t.stored.Status.prepared(): // whoever asks, and what for: come again when it is over
		return s.refuse(t, wire.ConcurrentTransactions)
	case e.Bump:
		return s.endBumping(env, t, e)
	}
	now := &t.stored
	switch {
	case now.Producer.ID != e.Producer.ID:
		return s.refuse(t, wire.InvalidProducerIDMapping)
	case now.Producer.Epoch != e.Producer.Epoch: // an older one is a zombie's, a newer one nobody was given (KAFKA-9600)
		return s.refuse(t, wire.ProducerFenced)
	}
	switch now.Status {
	case Ongoing:
		next := *now
		next.Status, next.UpdatedAt, next.ClientVersion = verdict(e.Commit), env.Now.Wall.Millis(), 0
		next.Previous, next.Next = now.Producer.ID, None
		return s.decided(env, t, next, t.last)
	case CompleteCommit, CompleteAbort:
		if now.Status == completed(verdict(e.Commit)) { // its answer was lost
			env.Out.Mark("txn.end-repeated")
			return Answer{Producer: nobody, End: t.end}
		}
	}
	return s.refuse(t, wire.InvalidTxnState)
}

// endBumping decides EndTxn of version 2. The epoch tells whether it is a first request or a retry. It is a retry only if an end
// has raised the epoch: one that an InitProducerId has raised belongs to whoever asked for that, even if that one has ended
// a transaction since and, following an older version, kept its epoch. Apache Kafka 4.3.1 gives it to the fenced one too.
func (s *State) endBumping(env Env, t *transaction, e *Ending) Answer {
	now := &t.stored
	byEnd := now.ClientVersion >= 2
	rotated := now.Previous == e.Producer.ID && e.Producer.Epoch == s.cfg.EpochLast && now.Producer.Epoch == 0 && now.Producer.ID != now.Previous
	retry := byEnd && (rotated || now.Producer.ID == e.Producer.ID && int(now.Producer.Epoch) == int(e.Producer.Epoch)+1)
	if now.Producer.ID != e.Producer.ID && !rotated {
		return s.refuse(t, wire.InvalidProducerIDMapping)
	}
	switch {
	case now.Status.complete() && retry:
		if now.Status == completed(verdict(e.Commit)) {
			env.Out.Mark("txn.end-repeated")
			return Answer{Producer: now.Producer, End: t.end}
		}
		return s.refuse(t, wire.InvalidTxnState)
	case now.Producer != e.Producer:
		return s.refuse(t, wire.ProducerFenced)
	case now.Status != Ongoing && e.Commit:
		return s.refuse(t, wire.InvalidTxnState)
	case now.Status != Ongoing: // the client does not know whether any of its partitions was added
		env.Out.Mark("txn.empty-abort")
	}
	return s.bumpingEnd(env, t, verdict(e.Commit))
}

// fence aborts an Ongoing transaction and shuts its producer out, for a timeout or a producer that begins anew.
func (s *State) fence(env Env, t *transaction) Answer {
	core.Must(t.stored.Status == Ongoing, "only what is going on is aborted by its coordinator")
	if s.cfg.Level >= 2 {
		return s.bumpingEnd(env, t, PrepareAbort)
	}
	next := t.stored
	next.Producer = next.Producer.bumped()
	next.Status, next.UpdatedAt, next.ClientVersion = PrepareAbort, env.Now.Wall.Millis(), 0
	next.Previous, next.Next = t.stored.Producer.ID, None
	return s.decided(env, t, next, None)
}

// bumpingEnd decides a transaction and raises the epoch; once only, whoever asked (KAFKA-19367). An epoch that is used up goes
// with its producer id, for a fence as well (KAFKA-20090).
func (s *State) bumpingEnd(env Env, t *transaction, to Status) Answer {
	next := t.stored
	next.Next = None
	if s.exhausted(next.Producer) {
		fresh, ok := env.IDs.Take()
		if !ok {
			return Answer{NoID: true}
		}
		env.Out.Mark("txn.end-rotates")
		next.Next = fresh
	}
	next.Producer = next.Producer.bumped()
	next.Previous = t.stored.Producer.ID
	next.Status, next.UpdatedAt, next.ClientVersion = to, env.Now.Wall.Millis(), 2
	if t.stored.Status != Ongoing {
		next.StartedAt = next.UpdatedAt
	}
	return s.decided(env, t, next, t.stored.Producer.Epoch)
}

// decided writes a Prepare*. The answer tells the producer as it will be when all is complete.
func (s *State) decided(env Env, t *transaction, next Stored, last int16) Answer {
	t, code := s.commit(env, t.id, next, last)
	if code != wire.None {
		return Answer{Code: code, Producer: nobody}
	}
	p := nobody
	if t.stored.ClientVersion >= 2 {
		p = t.stored.ended().Producer
	}
	return Answer{Producer: p, End: t.end}
}

// ended is the state after a Prepare*.
func (s *Stored) ended() Stored {
	next := *s
	next.Status, next.Partitions, next.Previous, next.Next = completed(s.Status), nil, s.Producer.ID, None
	if s.ClientVersion >= 2 && s.Next != None {
		next.Producer = Producer{s.Next, 0}
	}
	return next
}

func verdict(commit bool) Status {
	if commit {
		return PrepareCommit
	}
	return PrepareAbort
}

func completed(prepared Status) Status {
	if prepared == PrepareCommit {
		return CompleteCommit
	}
	return CompleteAbort
}

// complete writes Complete* once every marker is acknowledged.
func (s *State) complete(env Env, t *transaction) {
	core.Must(t.stored.Status.prepared(), "only what was decided is completed")
	core.Must(len(t.unmarked) == 0, "every marker is acknowledged")
	next := t.stored.ended()
	next.UpdatedAt = env.Now.Wall.Millis()
	if _, code := s.commit(env, t.id, next, t.last); code != wire.None {
		env.Out.Mark("txn.complete-refused")
		s.unended = append(s.unended, t.serial)
		s.retryAt = min(s.retryAt, env.Now.Mono.After(completeRetry))
	}
}

// completeRetry is how long a Complete* rests that the log did not take.
const completeRetry = 100 * core.Millisecond

// completeAgain writes what the log did not take before.
func (s *State) completeAgain(env Env) {
	again := s.unended
	s.unended, s.retryAt = nil, core.Never
	for _, serial := range again {
		if t := s.bySerial(serial); t != nil && t.stored.Status.prepared() && len(t.unmarked) == 0 {
			s.complete(env, t)
		}
	}
}

// tombstone is the record that removes an id.
func tombstone(id string) shard.Record { return shard.Record{Key: key(id)} }
