package log

import (
	"klamm/core"
)

// DeleteBefore raises the log start (KIP-107), to the high watermark at most. Start says when it is durable: only
// then do readers see it, since a start that was seen never falls, not after a crash either. It reports false if
// to is out of range, or the log is being cut.
func (s *Store) DeleteBefore(now core.Now, id LogID, to core.Offset, out *core.Out) bool {
	l := s.live(id)
	if l == nil || l.state != online || to > l.high || to < l.start || l.cut != nil || !l.fills() {
		return false
	}
	s.raiseStart(now, l, to, out)
	return true
}

func (s *Store) raiseStart(now core.Now, l *Log, to core.Offset, out *core.Out) {
	if to <= l.start {
		s.changed(Change{ID: l.id, What: Start, Offset: l.start})
		return
	}
	if l.wantStart = max(l.wantStart, to); l.wantStart > l.saving[pointStart] || !s.dirs[l.place].points[pointStart].writing {
		s.writePoint(l.place, pointStart, out)
	}
}

// started moves the start to what the checkpoint now says, and then lets segments go: never before, or a read at a
// valid offset would find its segment gone.
func (s *Store) started(now core.Now, l *Log, out *core.Out) {
	if l.state != online || l.saved[pointStart] <= l.start {
		return
	}
	l.start = l.saved[pointStart]
	l.high = max(l.high, l.start)
	l.settleTxns()
	l.trimEpochs(l.start)
	s.saveEpochs(l, out)
	s.changed(Change{ID: l.id, What: Start, Offset: l.start})
	s.dropSegments(now, l, out)
}

// dropSegments lets the segments go that lie wholly below the start. They are renamed, and removed later: a read
// from outside may have them open.
func (s *Store) dropSegments(now core.Now, l *Log, out *core.Out) {
	if l.state != online || l.cut != nil || l.clean != nil || s.stop.sealed {
		return
	}
	var files []string
	for len(l.segs) > 1 && l.segs[1].base <= l.start {
		g := l.segs[0]
		if g.seals > 0 || !g.entry || l.busy && l.durable < l.segs[1].base || len(l.doubt) > 0 && l.doubt[0].seg == g.base {
			break // its files are still being written; sealed comes here again
		}
		out.Mark("log.segment-dropped")
		for _, suffix := range []string{".log", ".index", ".timeindex", ".txnindex", ".snapshot"} {
			path := segmentPath(l.dir, g.base, suffix)
			if suffix == ".txnindex" && !g.txn || suffix == ".snapshot" && g.base == 0 {
				continue
			}
			out.Rename(s.start(l, op{kind: opLoose}), path, path+".deleted")
			files = append(files, path+".deleted")
		}
		out.CloseFile(0, g.file)
		l.segs = l.segs[1:]
		l.durable = max(l.durable, l.segs[0].base)
	}
	if len(files) > 0 {
		s.removeLater(now, removal{files: files}, l.cfg.DeleteDelay)
	}
}

// retain applies the retention of every log whose configuration is known: a default must not decide what is kept.
func (s *Store) retain(now core.Now, out *core.Out) {
	for _, id := range s.all() {
		if l := s.logs[id]; l.state == online && l.known && l.cut == nil && !s.stop.on {
			l.expire(now)
			l.expireGuards(now)
			s.dropSegments(now, l, out)
			s.retainLog(now, l, out)
		}
	}
}

func (s *Store) retainLog(now core.Now, l *Log, out *core.Out) {
	if !l.cfg.Delete || l.p.Topic == metadataTopic || l.move != moveNone {
		return // the metadata log is cut by its snapshots alone
	}
	if to := s.retainTo(now, l, out); to > max(l.start, l.wantStart) {
		s.raiseStart(now, l, to, out)
	}
}

// aged is what a look at a segment's age came to.
type aged uint8

const (
	agedUnknown aged = iota
	agedOld          // as its time index says
	agedYoung        // the time index is wrong
)

// lookAtAge looks for a record in the last stretch of a segment that is too young to go. A bit that flips in a time index
// can make a segment seem years old, and retention would remove what nobody may remove. Timestamps rise, but for
// those of clients that set them at will, so the end of the segment is proof enough.
func (s *Store) lookAtAge(now core.Now, l *Log, g *segment, out *core.Out) {
	if l.aging {
		return
	}
	l.aging = true
	s.ticket++
	k := &seek{what: TimeFound, id: l.id, cuts: l.cuts, from: g.base, upTo: g.end, seg: g.base, age: true}
	k.ts = (now.Wall - l.cfg.RetentionTime + core.Millisecond - 1).Millis()
	s.seeks[s.ticket] = k
	s.seekPlace(l, s.ticket, k, g, g.end-1, out)
}

// ageFound takes what a look came to. What can't be read is as old as the index says.
func (s *Store) ageFound(k *seek, c Change) {
	l := s.live(k.id)
	if l == nil {
		return
	}
	l.aging = false
	if g := l.find(k.seg); g != nil && c.Err != core.Invalid {
		if l.aged = agedOld; c.Offset >= 0 {
			l.aged, g.maxTime, g.maxAt = agedYoung, c.Timestamp, c.Offset // and the next time it is looked at again
			return
		}
		g.hearsay = false
	}
}

// ageKnown goes on with the retention that asked.
func (s *Store) ageKnown(now core.Now, l *Log, out *core.Out) {
	was := l.aged
	if l.aged = agedUnknown; was == agedUnknown || l.state != online || l.cut != nil || s.stop.on {
		return
	}
	if was == agedYoung {
		out.Mark("log.young-by-its-records")
		out.Note(core.Warn, "log "+l.name()+": a time index is damaged: retention would have removed records that are not old enough")
	}
	s.retainLog(now, l, out)
}

// retainTo is the start that time and size ask for: the base of the first segment to be kept. Nothing at or above
// the high watermark goes. When everything is too old the active segment is rolled, so that it can go too.
func (s *Store) retainTo(now core.Now, l *Log, out *core.Out) core.Offset {
	to := l.start
	over := l.Size() - l.cfg.RetentionBytes
	for i, g := range l.segs {
		old := l.cfg.RetentionTime >= 0 && l.cfg.RetentionTime != core.Never && now.Wall-g.newest() > l.cfg.RetentionTime
		big := l.cfg.RetentionBytes >= 0 && over-g.size >= 0
		last := i == len(l.segs)-1
		if g.end > l.high || g.size == 0 || !old && !big || last && !old {
			break
		}
		if g.hearsay && (!big || last) {
			s.lookAtAge(now, l, g, out)
			break
		}
		over -= g.size
		if to = g.end; last {
			out.Mark("log.retention-rolled")
			s.roll(now, l, out)
			break
		}
		to = l.segs[i+1].base
	}
	return to
}

// newest is the wall-clock time that retention holds against a segment.
func (g *segment) newest() core.Time {
	if g.maxTime < 0 {
		return g.made
	}
	return core.Millis(g.maxTime)
}
