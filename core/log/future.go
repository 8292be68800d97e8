package log

import (
	"strings"

	"klamm/core"
)

// standing says what a log is to its partition.
type standing uint8

const (
	current standing = iota // the log of the partition: it is found by name
	future                  // a copy of it that is being made in another directory (KIP-113)
	twin                    // a second one of that name, in another directory than the first: see Choose, Aside
)

// Future reports whether the log is a copy that is being made, to replace that of its partition.
func (l *Log) Future() bool { return l.as == future }

const futureSuffix = "-future"

// parseDirName reads the name of a partition's directory, or of a future log's: topic-partition.uuid-future.
func parseDirName(name string) (p Partition, as standing, ok bool) {
	if rest, is := strings.CutSuffix(name, futureSuffix); is {
		dot := strings.LastIndexByte(rest, '.')
		if dot < 0 {
			return p, future, false
		}
		p, ok = parseDir(rest[:dot])
		return p, future, ok
	}
	p, ok = parseDir(name)
	return p, current, ok
}

// taken reports whether a partition has a log that is found by name.
func (s *Store) taken(p Partition) bool {
	_, ok := s.byName[p]
	return ok
}

// Twins lists logs that were found under the name of another one, in another directory: a disk that had failed before its log was
// moved away, and is back.
func (s *Store) Twins() (list []LogID) {
	for _, id := range s.aside {
		if s.logs[id].as == twin {
			list = append(list, id)
		}
	}
	return list
}

// Choose makes a twin the log of its partition; the one that was becomes its twin.
func (s *Store) Choose(id LogID) {
	l := s.live(id)
	core.Must(l != nil && l.as == twin, "a twin is chosen")
	was, ok := s.byName[l.p]
	core.Must(ok, "a twin has another one beside it")
	s.change(s.logs[was], twin)
	s.change(l, current)
}

// Aside has a log no longer found by name: it stays as it is, a twin of one that is elsewhere and that the caller makes known (CreateIn).
func (s *Store) Aside(id LogID) {
	l := s.live(id)
	core.Must(l != nil && l.as == current && l.move == moveNone, "the log of a partition is set aside")
	s.change(l, twin)
}

// change gives a log another standing.
func (s *Store) change(l *Log, as standing) {
	s.forget(l)
	l.as = as
	s.register(l)
}
