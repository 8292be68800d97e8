package log

import (
	"strings"

	"klamm/core"
)

// A swap puts the segment that a clean has made in the place of a group of segments. Its files are there, with the suffix
// .cleaned, synced, and their entries too. What it does, and what a crash finds after each step:
//
//   - The index files are renamed from .cleaned to .swap, and the directory is synced; then the .log, and it is synced again. Until
//     the .log.swap is durable a crash finds the old segments whole; left-overs are removed. From then on the swap will be
//     completed, by this life or by the next (loadswap.go). In memory the new segment takes the place of the old ones here.
//   - The old files, but those that have the new names, are renamed to .deleted, and the directory is synced: an old segment
//     beside the new one would hold its offsets twice, so none may be left when the .log.swap gets its name.
//   - The index files get their names, and the directory is synced: else an old index could lie beside the new .log.
//   - The .log gets its name, and the directory is synced. The old files are removed later.
//
// The names and their meaning are Apache Kafka's, and so is the recovery: either may complete what the other began.
type swapStage uint8

const (
	swapIndexes swapStage = iota // to .swap
	swapIndexed                  // … durably
	swapLog
	swapLogged
	swapOld // to .deleted
	swapCleared
	swapNames
	swapNamed
	swapLast
	swapDone
)

const swapSuffix = ".swap"

var indexSuffixes = [...]string{".index", ".timeindex", ".txnindex"}

// beginSwap begins to swap the segment that was made.
func (s *Store) beginSwap(l *Log, out *core.Out) {
	c := l.clean
	c.swap = swapIndexes
	for _, suffix := range c.made.indexFiles() {
		path := segmentPath(l.dir, c.made.base, suffix)
		out.Rename(s.cleanOp(l), path+cleanedSuffix, path+swapSuffix)
	}
}

// swapStep goes on when all effects of a step have ended. Nothing but the absence of an old index or snapshot is forgiven: a
// directory in which files can't be renamed is not one to write to.
func (s *Store) swapStep(now core.Now, l *Log, err core.Errno, out *core.Out) {
	c := l.clean
	if err != core.OK && !(err == core.NotFound && c.swap == swapOld) {
		s.broken(l, "cannot put a cleaned segment in its place: "+err.String(), out)
		return
	}
	if c.open > 0 {
		return
	}
	base := c.group[0]
	path := segmentPath(l.dir, base, "")
	c.swap++
	switch c.swap {
	case swapIndexed, swapLogged, swapCleared, swapNamed, swapDone:
		out.SyncDir(s.cleanOp(l), l.dir)
	case swapLog:
		out.Rename(s.cleanOp(l), path+".log"+cleanedSuffix, path+".log"+swapSuffix)
	case swapOld:
		s.replace(l, out)
		s.bury(l, out)
		if c.open == 0 {
			s.swapStep(now, l, core.OK, out)
		}
	case swapNames:
		for _, suffix := range l.find(base).indexFiles() {
			out.Rename(s.cleanOp(l), path+suffix+swapSuffix, path+suffix)
		}
	case swapLast:
		out.Rename(s.cleanOp(l), path+".log"+swapSuffix, path+".log")
	default:
		s.swapped(now, l, out)
	}
}

// replace puts the new segment in the old ones' place in memory. Its indexes stay in memory too, until the files have
// their names.
func (s *Store) replace(l *Log, out *core.Out) {
	c := l.clean
	i, n := l.at(c.group[0]), len(c.group)
	core.Must(l.segs[i].base == c.group[0], "the first segment of a group is there")
	core.Must(l.segs[i+n-1].base == c.group[n-1], "the segments of a group are neighbours")
	core.Must(i+n < len(l.segs), "the active segment is in no group")
	g := c.made
	for _, old := range l.segs[i : i+n] {
		core.Must(old.seals == 0, "a segment of a group is sealed")
		out.CloseFile(0, old.file)
	}
	g.entry, g.made, g.end = true, l.segs[i].made, l.segs[i+n].base
	l.segs = append(append(l.segs[:i:i], g), l.segs[i+n:]...)
	l.forgetBorders(g.base, g.end)
	c.made = nil
	l.swaps++
	out.Mark("log.swap")
}

// forgetBorders forgets where the batches in a range of offsets lay.
func (l *Log) forgetBorders(from, to core.Offset) {
	for l.ring.n > 0 && l.ring.at(0).seg < to {
		l.ring.first = (l.ring.first + 1) % len(l.ring.b)
		l.ring.n--
	}
	for i := range l.sought {
		if b := &l.sought[i]; b.size > 0 && from <= b.seg && b.seg < to {
			*b = border{}
		}
	}
}

// bury renames the old files whose names the new segment does not take, and those that it would but has not.
func (s *Store) bury(l *Log, out *core.Out) {
	c := l.clean
	for i, base := range c.group {
		suffixes := []string{".log", ".index", ".timeindex", ".txnindex", ".snapshot"}
		if i == 0 {
			if suffixes = nil; !l.find(base).txn {
				suffixes = []string{".txnindex"} // of aborted transactions of which nothing is left
			}
		}
		for _, suffix := range suffixes {
			path := segmentPath(l.dir, base, suffix)
			out.Rename(s.cleanOp(l), path, path+".deleted")
			c.cold = append(c.cold, path+".deleted")
		}
	}
}

// indexFiles are the suffixes of a segment's index files.
func (g *segment) indexFiles() []string {
	if g.txn {
		return indexSuffixes[:]
	}
	return indexSuffixes[:2]
}

// swapped is reached when the new segment has its name, durably.
func (s *Store) swapped(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	g := l.find(c.group[0])
	core.Must(g != nil, "a segment that was swapped in is there")
	g.index, g.times, g.ready = nil, nil, false
	if len(c.cold) > 0 {
		s.removeLater(now, removal{files: c.cold}, l.cfg.DeleteDelay)
		c.cold = nil
	}
	if l.cut != nil || s.stop.on || !l.cfg.Compact { // somebody waits
		c.quit = true
		s.cleanQuit(now, l, out)
		return
	}
	s.nextGroup(now, l, g.end, out)
}

// isSwap reads the base offset in the name of a file of a swap.
func isSwap(name string) (base core.Offset, suffix string, ok bool) {
	name, ok = strings.CutSuffix(name, swapSuffix)
	if !ok || len(name) < 20 {
		return 0, "", false
	}
	base, ok = parseName(name, name[20:])
	return base, name[20:], ok
}
