package log

import "klamm/core"

// stopping is a stop under way. Its story: no more appends; every log writes and syncs what it holds, the indexes of
// its active segment, its epochs and a producer snapshot; then the checkpoints; then the clean marker, only if
// everything is durable.
type stopping struct {
	on     bool
	tidied bool // snapshots of the last stop are being removed
	sealed bool // the last files are being written
	points bool // the checkpoints are being written
	unsafe string
	ended  bool
}

// Stop brings everything to the disk and closes the files. Stopped ends it; its Note is empty if the next Boot will
// find a clean directory.
func (s *Store) Stop(now core.Now, out *core.Out) {
	if s.stop.on {
		return
	}
	s.stop.on = true
	s.pointsAt, s.soonAt, s.retainAt = core.Never, core.Never, core.Never
	if !s.boot.done {
		s.stopped("the logs were still being loaded")
		return
	}
	if s.damaged != "" {
		s.stopped(s.damaged)
		return
	}
	for _, id := range s.order {
		if l := s.logs[id]; l.state == online {
			s.pump(now, l, out)
		}
	}
	s.stopStep(now, out)
}

func (s *Store) stopped(note string) {
	s.stop.ended = true
	s.changed(Change{ID: NoLog, What: Stopped, Note: note})
}

// stopStep goes on when a log has become quiet. It costs nothing unless the Store is stopping.
func (s *Store) stopStep(now core.Now, out *core.Out) {
	p := &s.stop
	if !p.on || p.ended {
		return
	}
	for _, id := range s.order {
		l := s.logs[id]
		switch {
		case l.state == offline || l.state == damaged:
			p.unsafe = "log " + l.name() + " is offline"
		case l.state != online || l.cut != nil:
			return // its change of state comes first
		case l.inFlight > 0 || l.durable < l.end:
			return
		}
	}
	if !p.tidied { // before the seals, whose SyncDir makes it durable
		for kind := range pointKinds {
			if s.points[kind].writing {
				return // a start may be about to rise
			}
		}
		p.tidied = true
		for _, id := range s.order {
			s.dropSegments(now, s.logs[id], out)
			if l := s.logs[id]; l.state == online && l.snapshot > 0 && l.snapshot != l.end && l.find(l.snapshot) == nil {
				out.Remove(s.start(l, op{kind: opLoose}), segmentPath(l.dir, l.snapshot, ".snapshot"))
			}
		}
		s.stopStep(now, out)
		return
	}
	if !p.sealed {
		p.sealed = true
		for _, id := range s.order {
			if l := s.logs[id]; l.state == online {
				g := l.active()
				s.seal(l, g, out)
				if l.end > 0 {
					s.saveProducers(l, l.end, g.base, out)
					g.seals++
				}
			}
		}
		if len(s.order) > 0 {
			s.stopStep(now, out)
			return
		}
	}
	if !p.points {
		p.points = true
		for kind := range pointKinds {
			s.writePoint(kind, out)
		}
		return
	}
	for kind := range pointKinds {
		if s.points[kind].writing {
			return
		}
	}
	s.mark(out)
}

// mark writes the clean marker, if it would be true.
func (s *Store) mark(out *core.Out) {
	for _, id := range s.order {
		l := s.logs[id]
		for _, g := range l.segs {
			out.CloseFile(0, g.file)
		}
		if l.state == online && l.saved[pointRecovery] != l.end {
			s.stop.unsafe = "log " + l.name() + " is not durable to its end"
		}
	}
	if s.stop.unsafe != "" {
		s.stopped(s.stop.unsafe)
		return
	}
	s.stop.ended = true
	s.put(put{what: putMarker, log: NoLog, replace: true, dir: s.cfg.Dir, path: s.cfg.Dir + "/" + cleanMarker}, formatMarker(s.brokerEpoch), out)
}

func (s *Store) marked(err core.Errno, out *core.Out) {
	if err != core.OK {
		s.stopped("cannot write the clean marker: " + err.String())
		return
	}
	s.stopped("")
}
