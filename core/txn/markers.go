package txn

import (
	"slices"

	"klamm/core"
)

// Marker is one marker that must reach the leader of one partition. ID and Round name the transaction: what is said of a
// round that is over means nothing.
type Marker struct {
	ID        string
	Round     uint64
	Producer  Producer
	Commit    bool
	Version   int16 // transaction.version that it follows
	Partition core.TopicPartition
}

// prepare begins a round: its markers go out when the record is committed, never before. Another leader
// that never saw the record may decide otherwise.
func (s *State) prepare(t *transaction) {
	s.serial++
	t.round = s.serial
	t.unmarked, t.unsent = slices.Clone(t.stored.Partitions), slices.Clone(t.stored.Partitions)
	s.preparing = append(s.preparing, preparing{round{t.serial, t.round}, t.end})
}

// Committed says that the partition's records below high are committed. Rounds that are decided for good go on.
func (s *State) Committed(env Env, high core.Offset) {
	n := 0
	for n < len(s.preparing) && s.preparing[n].end <= high {
		n++
	}
	ready := slices.Clone(s.preparing[:n])
	s.preparing = slices.Delete(s.preparing, 0, n)
	for _, p := range ready {
		t := s.ofRound(p.round)
		if t == nil {
			continue
		}
		if len(t.unmarked) == 0 {
			s.complete(env, t)
			continue
		}
		s.sending = append(s.sending, p.round)
	}
}

// ofRound is the transactional id whose transaction is in that round; nil if the round is over.
func (s *State) ofRound(r round) *transaction {
	if t := s.bySerial(r.serial); t != nil && t.round == r.number && t.stored.Status.prepared() {
		return t
	}
	return nil
}

// Take appends markers that nobody has taken yet, most at most. Whoever takes one brings it to its leader until it is
// acknowledged or the shard is gone.
func (s *State) Take(markers []Marker, most int) []Marker {
	for len(s.sending) > 0 && most > 0 {
		t := s.ofRound(s.sending[0])
		if t == nil || len(t.unsent) == 0 {
			s.sending = slices.Delete(s.sending, 0, 1)
			continue
		}
		n := min(most, len(t.unsent))
		for _, p := range t.unsent[:n] {
			markers = append(markers, Marker{
				ID: t.id, Round: t.round, Producer: t.stored.Producer, Commit: t.stored.Status == PrepareCommit,
				Version: t.stored.ClientVersion, Partition: p,
			})
		}
		t.unsent = t.unsent[n:]
		most -= n
	}
	return markers
}

// Awaits reports whether a marker is still to be brought.
func (s *State) Awaits(m *Marker) bool {
	t := s.find(m.ID)
	return t != nil && t.round == m.Round && t.stored.Status.prepared() && has(t.unmarked, m.Partition)
}

// Acknowledged says that a marker lies safely in its partition, or that the partition is no more. The last one completes
// the transaction. Saying it twice changes nothing.
func (s *State) Acknowledged(env Env, m *Marker) {
	if !s.Awaits(m) {
		env.Out.Mark("txn.late-acknowledgement")
		return
	}
	t := s.find(m.ID)
	if t.unmarked = without(t.unmarked, m.Partition); len(t.unmarked) == 0 {
		s.complete(env, t)
	}
}
