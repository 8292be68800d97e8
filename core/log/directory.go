package log

import (
	"slices"

	"klamm/core"
)

// directory is one log directory: its checkpoint files, and whether it can be used.
//
// States: booting (its files are being read) -> serving -> lost. Damaged is between the last two: its checkpoints cannot be
// believed, so that its logs are offline, and nothing is written over them; it may be put right by an operator. Lost is final:
// an effect in it has failed, so that nobody can tell what it will still take (KIP-112). Its logs are offline then, and nothing
// is begun in it.
type directory struct {
	path          string
	boot          dirBoot
	points        [pointKinds]point
	stale         []staleRow
	damaged, lost string // why it is; else empty
	unsafe        string // why its clean marker is not to be written
	previousEpoch core.BrokerEpoch
}

// unusable says why no log can be in the directory; empty if one can.
func (d *directory) unusable() string {
	if d.lost != "" {
		return d.lost
	}
	return d.damaged
}

// Places is how many log directories there are, lost ones included.
func (s *Store) Places() int { return len(s.dirs) }

// Path is the directory at a place.
func (s *Store) Path(at int) string { return s.dirs[at].path }

// LostDir says why a directory cannot be used any more; empty if it can.
func (s *Store) LostDir(at int) string { return s.dirs[at].lost }

// Count is how many logs of topics are in the directory at a place, those that are on their way into it included.
func (s *Store) Count(at int) (n int) {
	for _, id := range s.all() {
		if l := s.logs[id]; l.place == at && l.p.Topic != metadataTopic {
			n++
		}
	}
	return n
}

// Misplaced is a metadata log that lies in another directory than the first; empty if there is none. It is not loaded.
func (s *Store) Misplaced() string { return s.misplaced }

// In lists the logs in the directory at a place, sorted by partition, future ones included.
func (s *Store) In(at int) (list []LogID) {
	for _, id := range s.all() {
		if s.logs[id].place == at {
			list = append(list, id)
		}
	}
	slices.SortStableFunc(list, func(a, b LogID) int { return s.logs[a].p.Compare(s.logs[b].p) })
	return list
}

// PreviousBrokerEpoch is what the last clean stop noted in every directory; -1 if the last stop was not clean in one of them.
func (s *Store) PreviousBrokerEpoch() core.BrokerEpoch {
	epoch := s.dirs[0].previousEpoch
	for i := range s.dirs {
		if s.dirs[i].previousEpoch != epoch {
			return -1
		}
	}
	return epoch
}

// all lists the logs that have a directory: those that are found by name, sorted by partition, and then the others.
func (s *Store) all() []LogID {
	if len(s.aside) == 0 {
		return s.order
	}
	return append(slices.Clone(s.order), s.aside...)
}

// within is the log of a partition in the directory at a place, or nil.
func (s *Store) within(at int, p Partition) *Log {
	if id, ok := s.byName[p]; ok && s.logs[id].place == at {
		return s.logs[id]
	}
	for _, id := range s.aside {
		if l := s.logs[id]; l.place == at && l.p == p {
			return l
		}
	}
	return nil
}

// broken takes a log offline because the world could not do what it was to do for it. If there are other directories, it
// takes the whole directory with it: the next log is on the same disk (KIP-112). The only one is not given up as long as it takes
// its own files.
func (s *Store) broken(l *Log, why string, out *core.Out) {
	s.fail(l, why, out)
	if len(s.dirs) > 1 {
		s.lose(l.place, l.name()+": "+why, out)
	}
}

// LoseDir gives a directory up, for a reason that others have seen.
func (s *Store) LoseDir(at int, why string, out *core.Out) { s.lose(at, why, out) }

// lose gives a directory up.
func (s *Store) lose(at int, why string, out *core.Out) {
	d := &s.dirs[at]
	if d.lost != "" {
		return
	}
	out.Mark("log.directory-lost")
	d.lost = "log directory " + d.path + " is offline: " + why
	out.Note(core.Error, d.lost)
	s.changed(Change{ID: NoLog, What: Lost, Dir: at, Note: d.lost})
	for _, id := range s.all() {
		if l := s.logs[id]; l.place == at {
			s.fail(l, d.lost, out)
		}
	}
}
