package txn

import (
	"klamm/core"
	"klamm/core/wire"
)

// EpochLast is the last epoch that a client is given: the one above it is left for a fence or a marker.
const EpochLast = 1<<15 - 2

// exhausted reports whether the next bump needs a new producer id.
func (s *State) exhausted(p Producer) bool { return p.Epoch >= s.cfg.EpochLast }

// bumped is the producer with the next epoch. At the very last one it stays: that is left to no client, and an abort must
// go through.
func (p Producer) bumped() Producer {
	if p.Epoch < 1<<15-1 {
		p.Epoch++
	}
	return p
}

// Init decides InitProducerId for a transactional id. expected is the producer that the client says it is (KIP-360); nobody,
// if it begins anew.
func (s *State) Init(env Env, id string, timeoutMillis int32, expected Producer) Answer {
	if id == "" {
		return Answer{Code: wire.InvalidRequest, Producer: nobody}
	}
	if timeoutMillis <= 0 || core.Millis(int64(timeoutMillis)) > s.cfg.TimeoutMax {
		return Answer{Code: wire.InvalidTransactionTimeout, Producer: nobody}
	}
	t := s.find(id)
	if t == nil {
		return s.initNew(env, id, timeoutMillis)
	}
	now := &t.stored
	if now.Status.prepared() {
		return s.refuse(t, wire.ConcurrentTransactions)
	}
	if expected.ID != None && !s.knows(t, expected) {
		env.Out.Mark("txn.init-fenced")
		return s.refuse(t, wire.ProducerFenced)
	}
	if now.Status == Ongoing { // the producer of before is fenced; the client comes again when that is over
		env.Out.Mark("txn.init-aborts")
		a := s.fence(env, t)
		if a.Code == wire.None && !a.NoID {
			a.Code, a.Producer = wire.ConcurrentTransactions, nobody
		}
		return a
	}
	next := Stored{
		Producer: now.Producer, Previous: now.Producer.ID, Next: None, TimeoutMillis: timeoutMillis, Status: Empty,
		UpdatedAt: env.Now.Wall.Millis(), StartedAt: None, ClientVersion: now.ClientVersion,
	}
	last := int16(None)
	switch {
	case expected.ID != None && expected != now.Producer: // its answer was lost
		env.Out.Mark("txn.init-repeated")
		last = t.last
	case s.exhausted(now.Producer):
		fresh, ok := env.IDs.Take()
		if !ok {
			return Answer{NoID: true}
		}
		env.Out.Mark("txn.init-rotated")
		next.Producer = Producer{fresh, 0}
	default:
		next.Producer = now.Producer.bumped()
	}
	if expected == now.Producer {
		last = expected.Epoch
	}
	return s.initialized(env, id, next, last)
}

// knows reports whether a client that says that it is p is the current producer, or one that has not heard of its last bump:
// by one epoch, or to a new id when the epochs of the old one were used up.
func (s *State) knows(t *transaction, p Producer) bool {
	now := &t.stored
	switch {
	case now.Status == Ongoing:
		return p == now.Producer
	case p.ID == now.Producer.ID:
		return p.Epoch == now.Producer.Epoch || p.Epoch == t.last && t.last != None
	}
	return p.ID == now.Previous && s.exhausted(p) && p.Epoch == t.last
}

// endedFrom is the epoch that the client had before the transaction's end raised it, after a replay: the records do not hold it.
func (s *State) endedFrom(v *Stored) int16 {
	switch {
	case v.ClientVersion < 2 || !v.Status.prepared() && !v.Status.complete():
		return None
	case v.Producer.Epoch == 0:
		return s.cfg.EpochLast
	}
	return v.Producer.Epoch - 1
}

func (s *State) initNew(env Env, id string, timeoutMillis int32) Answer {
	if len(s.all) >= s.cfg.IDsMax {
		env.Out.Mark("txn.too-many")
		return Answer{Code: wire.CoordinatorNotAvailable, Producer: nobody}
	}
	fresh, ok := env.IDs.Take()
	if !ok {
		return Answer{NoID: true}
	}
	return s.initialized(env, id, Stored{
		Producer: Producer{fresh, 0}, Previous: fresh, Next: None, TimeoutMillis: timeoutMillis, Status: Empty,
		UpdatedAt: env.Now.Wall.Millis(), StartedAt: None,
	}, None)
}

func (s *State) initialized(env Env, id string, next Stored, last int16) Answer {
	t, code := s.commit(env, id, next, last)
	if code != wire.None {
		return s.refuse(s.find(id), code)
	}
	return Answer{Producer: t.stored.Producer, End: t.end}
}
