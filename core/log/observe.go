package log

import (
	"sort"

	"klamm/core"
)

// Cuts counts the cuts of the log in this life of the machine, for those who look at it between two Steps.
func (l *Log) Cuts() uint32 { return l.cuts }

// Loading reports whether logs are being loaded at boot.
func (s *Store) Loading() bool { return s.boot.loading > 0 }

// Cutting reports that the log is being cut: what counts as durable may be lowered meanwhile.
func (l *Log) Cutting() bool { return l.cut != nil }

// SegmentAbove is the base of the first segment above base, and false if there is none.
func (l *Log) SegmentAbove(base core.Offset) (core.Offset, bool) {
	i := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].base > base })
	if i == len(l.segs) {
		return 0, false
	}
	return l.segs[i].base, true
}
