package txn

import (
	"slices"

	"klamm/core"
	"klamm/core/wire"
)

// Adding is a request of a producer about partitions of its transaction.
type Adding struct {
	ID         string
	Producer   Producer
	Partitions []core.TopicPartition
	Version    int16 // transaction.version that the client follows
}

// may says whether the producer may do anything with the transaction now.
func (s *State) may(t *transaction, p Producer) wire.Code {
	switch {
	case t == nil || t.stored.Producer.ID != p.ID:
		return wire.InvalidProducerIDMapping
	case t.stored.Producer.Epoch != p.Epoch:
		return wire.ProducerFenced
	case t.stored.Status.prepared():
		return wire.ConcurrentTransactions
	}
	return wire.None
}

// Add decides AddPartitionsToTxn and AddOffsetsToTxn: all of the partitions or none. The first begins the transaction.
func (s *State) Add(env Env, a *Adding) Answer {
	if a.ID == "" {
		return Answer{Code: wire.InvalidRequest}
	}
	t := s.find(a.ID)
	if t != nil && t.stored.Status.prepared() {
		return s.refuse(t, wire.ConcurrentTransactions)
	}
	if code := s.may(t, a.Producer); code != wire.None {
		return s.refuse(t, code)
	}
	now := &t.stored
	if now.Status == Ongoing && !slices.ContainsFunc(a.Partitions, func(p core.TopicPartition) bool { return !has(now.Partitions, p) }) {
		return Answer{End: t.end}
	}
	next := *now
	next.Status, next.UpdatedAt, next.ClientVersion = Ongoing, env.Now.Wall.Millis(), a.Version
	next.Previous, next.Next = now.Producer.ID, None
	if now.Status != Ongoing {
		next.StartedAt = next.UpdatedAt
	}
	if next.Partitions = merged(now.Partitions, a.Partitions); len(next.Partitions) > s.cfg.PartsMax {
		env.Out.Mark("txn.too-many-partitions")
		return s.refuse(t, wire.UnknownServerError)
	}
	t, code := s.commit(env, a.ID, next, t.last)
	if code != wire.None {
		return s.refuse(s.find(a.ID), code)
	}
	return Answer{End: t.end}
}

// Verify tells the leaders of partitions whether those are in the transaction that is going on (KIP-890, part 1); codes has one
// entry for each partition.
func (s *State) Verify(a *Adding) (codes []wire.Code, end core.Offset) {
	codes = make([]wire.Code, len(a.Partitions))
	t := s.find(a.ID)
	all := s.may(t, a.Producer)
	if a.ID == "" {
		all = wire.InvalidRequest
	}
	for i, p := range a.Partitions {
		switch {
		case all != wire.None:
			codes[i] = all
		case !has(t.stored.Partitions, p):
			codes[i] = wire.TransactionAbortable
		}
	}
	return codes, s.endOf(t)
}
