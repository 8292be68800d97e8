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

// CleaningNow says what a clean under way does.
type CleaningNow struct {
	On     bool
	UpTo   core.Offset // it cleans nothing at or above
	Active core.Offset // base of the active segment
}

// Cleaning describes the clean under way.
func (l *Log) Cleaning() CleaningNow {
	if l.clean == nil || len(l.segs) == 0 {
		return CleaningNow{}
	}
	return CleaningNow{On: true, UpTo: l.clean.upTo, Active: l.active().base}
}

// Swaps counts the segments that cleaning has put in the place of others in this life of the machine.
func (l *Log) Swaps() int { return l.swaps }

// Dirty is the dirty part of what may be clean, in millionths, and whether the log is one for the cleaner.
func (l *Log) Dirty(now core.Now) (share int64, may bool) {
	if l.state != online || !l.cfg.Compact || l.uncleanable != "" || l.p.Topic == metadataTopic {
		return 0, false
	}
	d := l.dirt(now)
	return d.share(), true
}

// FileOf is the file of the segment with a base; 0 if there is none.
func (l *Log) FileOf(base core.Offset) core.FileID {
	if g := l.find(base); g != nil {
		return g.file
	}
	return 0
}
