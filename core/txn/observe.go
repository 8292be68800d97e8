package txn

import "iter"

// Now is a transactional id as it stands between two Steps, for those who look at a run.
type Now struct {
	ID         string
	Status     Status
	Producer   Producer
	Partitions int // of the transaction that is under way
	Unmarked   int // of them, how many have not acknowledged its marker
}

// Look lists the transactional ids, in the order in which they are kept.
func (s *State) Look() iter.Seq[Now] {
	return func(yield func(Now) bool) {
		for _, t := range s.all {
			if !yield(Now{t.id, t.stored.Status, t.stored.Producer, len(t.stored.Partitions), len(t.unmarked)}) {
				return
			}
		}
	}
}
