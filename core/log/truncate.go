package log

import (
	"math"

	"klamm/core"
)

// cut is a Truncate under way. Its story: what is in flight ends; the recovery point is lowered, durably, since the
// bytes below it would otherwise count as damaged once others stand there; the log is loaded anew up to the offset,
// which cuts the files, syncs them, and makes its indexes, epochs and producers those of what is left. Truncated ends
// it, and until then nothing is appended.
type cut struct {
	stage cutStage
	to    core.Offset
	all   bool        // nothing is kept, and the log begins anew at to: see Restart
	point core.Offset // where the recovery point goes: the base of the segment that is cut
	check bool        // nothing is cut: the log is suspect, and loaded anew from the segment at seg on
	seg   core.Offset
}

type cutStage uint8

const (
	cutDrain cutStage = iota
	cutPoint
)

// Truncate cuts off all batches that end above to. A caller makes sure that to is not below the start, nor below what
// the log has promised. If it returns AppendOK, Truncated follows, with the new end; LogBusy also says that the start is
// being raised above to.
func (s *Store) Truncate(now core.Now, id LogID, to core.Offset, out *core.Out) AppendError {
	if l := s.live(id); l != nil && l.state == damaged && !s.stop.on {
		s.cutDamaged(l, to, out)
		return AppendOK
	}
	l, err := s.appendable(id)
	if err != AppendOK {
		return err
	}
	core.Must(to >= l.start, "a log is not cut below its start")
	if to >= l.end {
		s.dropEpochs(l, l.end, out)
		s.changed(Change{ID: id, What: Truncated, Offset: l.end})
		return AppendOK
	}
	if to < l.wantStart {
		return LogBusy // the start is on its way beyond that
	}
	l.cut = &cut{to: to, point: l.segs[l.at(to)].base}
	s.pump(now, l, out)
	s.cutReady(now, l, out)
	return AppendOK
}

// cutReady goes on once nothing else of the log is in flight but reads, and the lower recovery point is durable.
func (s *Store) cutReady(now core.Now, l *Log, out *core.Out) {
	if l.cut == nil || l.state != online {
		return
	}
	c := l.cut
	if c.check && c.stage == cutPoint {
		s.checkReady(l, out)
		return
	}
	if c.stage == cutDrain {
		if l.clean != nil {
			s.giveUpClean(now, l, out)
			return
		}
		for _, g := range l.segs {
			if g.seals > 0 || !g.entry {
				return
			}
		}
		if l.writes.n > 0 || l.busy || l.durable < l.end || l.epochsPut || l.wantStart > l.start {
			return
		}
		if c.check {
			s.checkReady(l, out)
			return
		}
		if !s.uncleanFrom(l, c, out) {
			return
		}
		if c.all {
			s.closeForLoad(l, math.MaxInt64, out) // its files are removed: what is open stays readable
			s.hide(l, c.to, out)
			return
		}
		c.stage = cutPoint
		l.durable = min(l.durable, c.point) // of what the checkpoint says, until the log is loaded again
		if l.saved[pointRecovery] > c.point || s.dirs[l.place].points[pointRecovery].writing {
			s.writePoint(l.place, pointRecovery, out)
			return
		}
	}
	if l.saved[pointRecovery] > c.point || s.dirs[l.place].points[pointRecovery].writing {
		return
	}
	s.closeForLoad(l, c.point, out)
	out.Mark("log.cut")
	s.beginLoad(l, false, c.to, out)
	l.load.cut, l.load.limit = true, c.to
}

// uncleanFrom lowers the clean point, durably, below what a cut takes off: other records will stand there. It reports whether that
// is done.
func (s *Store) uncleanFrom(l *Log, c *cut, out *core.Out) bool {
	to := c.to
	if c.all {
		to = 0
	}
	l.cleanPoint = min(l.cleanPoint, to)
	if l.saved[pointClean] > to || l.saving[pointClean] > to && s.dirs[l.place].points[pointClean].writing {
		s.writePoint(l.place, pointClean, out)
		return false
	}
	return true
}

// closeForLoad lets go of all that a log knows of its files; it is loaded anew. What readers were promised of the segments from changes on and have not
// got yet they do not get: other records may stand there soon.
func (s *Store) closeForLoad(l *Log, changes core.Offset, out *core.Out) {
	for _, g := range l.segs {
		if g.base >= changes {
			out.Forsake(g.file)
		} else {
			out.CloseFile(0, g.file)
		}
	}
	l.cuts++
	l.state, l.reload, l.cut = loading, true, nil
	l.segs, l.ring, l.epochs, l.epochsSaved, l.doubt = nil, ring{}, nil, -1, nil
	l.forgetProducers()
	l.sought, l.flushTo = [soughtMax]border{}, 0
}
