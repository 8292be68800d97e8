package log

import "klamm/core"

// stopping is a stop under way. Its story: no more appends; every log writes and syncs what it holds, the indexes of
// its active segment, its epochs and a producer snapshot; then the checkpoints; then the clean marker, only if
// everything is durable. Each directory has its own marker.
type stopping struct {
	on     bool
	tidied bool // snapshots of the last stop are being removed
	sealed bool // the last files are being written
	points bool // the checkpoints are being written
	marked bool // the markers are,
	marks  int  // and so many are not written yet
	ended  bool
}

// Stop brings everything to the disk and closes the files. Stopped ends it; its Note is empty if the next Boot will
// find every directory clean.
func (s *Store) Stop(now core.Now, out *core.Out) {
	if s.stop.on {
		return
	}
	s.stop.on = true
	s.pointsAt, s.soonAt, s.retainAt, s.cleaner.at = core.Never, core.Never, core.Never, core.Never
	if !s.boot.done {
		s.stopped("the logs were still being loaded")
		return
	}
	for _, id := range s.all() {
		if l := s.logs[id]; l.state == online {
			s.giveUpClean(now, l, out)
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
	all := s.all()
	for _, id := range all {
		l := s.logs[id]
		switch {
		case l.state == offline || l.state == damaged:
			s.dirs[l.place].unsafe = "log " + l.name() + " is offline"
		case l.state != online || l.cut != nil:
			return // its change of state comes first
		case l.inFlight > 0 || l.durable < l.end || l.clean != nil:
			return
		}
	}
	if !p.tidied { // before the seals, whose SyncDir makes it durable
		if s.pointsWriting() {
			return // a start may be about to rise
		}
		p.tidied = true
		for _, id := range all {
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
		for _, id := range all {
			if l := s.logs[id]; l.state == online {
				g := l.active()
				s.seal(l, g, out)
				if l.end > 0 {
					s.saveProducers(l, l.end, g.base, out)
					g.seals++
				}
			}
		}
		if len(all) > 0 {
			s.stopStep(now, out)
			return
		}
	}
	if !p.points {
		p.points = true
		for at := range s.dirs {
			for kind := range pointKinds {
				s.writePoint(at, kind, out)
			}
		}
		if s.pointsWriting() {
			return
		}
	}
	if !s.pointsWriting() {
		s.mark(out)
	}
}

// pointsWriting reports whether a checkpoint is being written.
func (s *Store) pointsWriting() bool {
	for at := range s.dirs {
		for kind := range pointKinds {
			if s.dirs[at].points[kind].writing {
				return true
			}
		}
	}
	return false
}

// mark writes the clean markers, where they would be true.
func (s *Store) mark(out *core.Out) {
	if s.stop.marked {
		return
	}
	s.stop.marked = true
	for _, id := range s.all() {
		l := s.logs[id]
		for _, g := range l.segs {
			out.CloseFile(0, g.file)
		}
		if l.state == online && l.saved[pointRecovery] != l.end {
			s.dirs[l.place].unsafe = "log " + l.name() + " is not durable to its end"
		}
	}
	for at := range s.dirs {
		d := &s.dirs[at]
		if why := d.unusable(); why != "" {
			d.unsafe = why
		}
		if d.unsafe != "" {
			continue
		}
		s.stop.marks++
		s.put(put{what: putMarker, log: NoLog, place: at, replace: true, dir: d.path, path: d.path + "/" + cleanMarker}, formatMarker(s.brokerEpoch), out)
	}
	s.markedAll()
}

// marked says what came of one marker.
func (s *Store) marked(at int, err core.Errno) {
	if s.stop.marks--; err != core.OK {
		s.dirs[at].unsafe = "cannot write the clean marker: " + err.String()
	}
	s.markedAll()
}

// markedAll ends the stop when there is no marker left to be written.
func (s *Store) markedAll() {
	if s.stop.marks > 0 {
		return
	}
	for at := range s.dirs {
		if why := s.dirs[at].unsafe; why != "" {
			s.stopped(why)
			return
		}
	}
	s.stopped("")
}
