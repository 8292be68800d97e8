package log

import (
	"slices"

	"klamm/core"
	"klamm/core/batch"
)

// Guard names a verification: the number of one that was begun in this log, in this life. Zero is none.
type Guard uint64

// guard is a verification that was begun (KIP-890): a leader asks the transaction's coordinator whether the partition
// is part of the transaction before it appends its first batch. Until then the next transactional batch of the
// producer that the log takes ends it, a marker above all: what the coordinator said before that marker says nothing
// of what comes after. A marker of version 2 has the epoch that the next transaction is written with, so it lets the
// verification of that one stand.
//
// The first sequence that was seen is kept with it. While a log knows nothing of a producer it takes any sequence, and
// a batch whose verification was quicker than that of the one before would leave that one no place.
type guard struct {
	producer int64
	number   Guard
	at       core.Time // monotonic
	lowest   int32     // sequence of the first batch that is to come
	epoch    int16
	bumps    bool // the producer's epoch is raised with each transaction
}

// guardsMax bounds the verifications of one log that are under way; more are asked to come again.
const guardsMax = 1 << 16

// VerifyState is what Verify found.
type VerifyState uint8

// The findings.
const (
	VerifyFirst   VerifyState = iota // ask the coordinator, and append with the guard
	VerifyOngoing                    // the log knows the transaction: append
	VerifyFenced                     // INVALID_PRODUCER_EPOCH
	VerifyFull                       // too many are under way
)

// Verifying is what Verify is told of a transactional batch that is to come.
type Verifying struct {
	Producer int64
	Epoch    int16
	Sequence int32 // of its first record; -1: a coordinator's, which do not count
	Bumps    bool  // the producer's epoch is raised with each transaction (KIP-890 part 2)
}

// Verify begins the verification of a transactional batch, if it needs one.
func (s *Store) Verify(now core.Now, id LogID, v Verifying) (Guard, VerifyState) {
	l := s.live(id)
	if l == nil || l.state != online {
		return 0, VerifyFull
	}
	if i, known := l.producer(v.Producer); known {
		switch p := l.producers[i]; {
		case v.Epoch < p.epoch:
			return 0, VerifyFenced
		case v.Epoch == p.epoch && p.txnStart >= 0:
			return 0, VerifyOngoing
		}
	}
	i, found := l.guard(v.Producer)
	if !found {
		if len(l.guards) >= guardsMax {
			return 0, VerifyFull
		}
		s.guard++
		g := guard{producer: v.Producer, number: s.guard, at: now.Mono, lowest: v.Sequence, epoch: v.Epoch, bumps: v.Bumps}
		l.guards = slices.Insert(l.guards, i, g)
	}
	g := &l.guards[i]
	switch {
	case v.Epoch > g.epoch:
		g.epoch, g.lowest = v.Epoch, v.Sequence
	case v.Epoch == g.epoch:
		g.lowest = min(g.lowest, v.Sequence)
	}
	return g.number, VerifyFirst
}

func (l *Log) guard(producer int64) (int, bool) {
	return slices.BinarySearchFunc(l.guards, producer, func(g guard, id int64) int {
		switch {
		case g.producer < id:
			return -1
		case g.producer > id:
			return 1
		}
		return 0
	})
}

// unguard ends the verification of a producer, since the log takes a transactional batch or marker of it.
func (l *Log) unguard(v batch.View) {
	if i, found := l.guard(v.ProducerID()); found {
		if g := &l.guards[i]; g.bumps && v.IsControl() && v.ProducerEpoch() == g.epoch {
			return
		}
		l.guards = slices.Delete(l.guards, i, i+1)
	}
}

// expireGuards forgets verifications that nobody waits for any more.
func (l *Log) expireGuards(now core.Now) {
	l.guards = slices.DeleteFunc(l.guards, func(g guard) bool { return g.at.After(l.cfg.ProducerExpiry) <= now.Mono })
}
