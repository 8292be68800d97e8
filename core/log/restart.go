package log

import (
	"strings"

	"klamm/core"
)

// Restart drops everything that a log holds, durably, and has it begin anew, empty, at an offset: a follower whose log does not
// touch its leader's any more, or a snapshot that takes the place of all records below it. If it returns AppendOK, Truncated
// follows, with that offset as the new end, start and high watermark; until then nothing is appended.
//
// Its story, and what a crash finds after each step:
//
//   - What is in flight ends. A crash finds the old log.
//   - The start is checkpointed above every record (hide). From here on a crash finds a log that ends below its start:
//     recovery empties it in the same way (see loadDirs), so the log begins at hide, whichever files are left.
//   - The epoch file is emptied, and then every file of records, indexes and producers is removed and the directory
//     synced. The epochs go first: those of lost records must not be found beside no records.
//   - If hide is not the offset that was asked for, since the log reached as far or farther, the recovery point is lowered
//     to it, so that nothing seems to be missing, and then the start. A crash before finds the empty log at hide.
//   - A future log gets a snapshot of the producers that no batch will tell it of: see heirs. A crash before finds it without,
//     and it is an orphan.
//   - The empty directory is loaded.
func (s *Store) Restart(now core.Now, id LogID, at core.Offset, out *core.Out) AppendError {
	if l := s.live(id); l != nil && l.state == damaged && !s.stop.on {
		s.restartDamaged(l, at, out)
		return AppendOK
	}
	l, err := s.appendable(id)
	if err != AppendOK {
		return err
	}
	core.Must(at >= 0, "a log begins at an offset")
	l.cut = &cut{to: at, all: true}
	s.pump(now, l, out)
	s.cutReady(now, l, out)
	return AppendOK
}

// hide begins to empty a log in which nothing is in flight any more.
func (s *Store) hide(l *Log, at core.Offset, out *core.Out) {
	out.Mark("log.restart")
	l.load = &load{stage: loadHide, at: at, hide: max(at, l.end+1)}
	s.writePoint(l.place, pointStart, out)
}

// pin is what a checkpoint has to say of a log that is being emptied.
func (l *Log) pin(kind pointKind) (core.Offset, bool) {
	d := l.load
	if l.state != loading || d == nil || d.stage < loadHide {
		return 0, false
	}
	if d.stage >= loadQuiet {
		return l.pinDamaged(kind)
	}
	switch {
	case kind == pointStart && d.stage >= loadStart:
		return d.at, true
	case kind == pointStart:
		return d.hide, true
	case kind == pointRecovery && d.stage >= loadLower:
		return min(l.saved[kind], d.at), true
	case kind == pointClean:
		return 0, true
	}
	return 0, false
}

// pointed goes on with a log that is being emptied when a checkpoint says what it has to.
func (s *Store) pointed(l *Log, out *core.Out) {
	d := l.load
	if l.state != loading || d == nil {
		return
	}
	switch d.stage {
	case loadHide:
		if l.saved[pointStart] == d.hide {
			s.forgetEpochs(l, out)
		}
	case loadLower:
		if l.saved[pointRecovery] <= d.at {
			d.stage = loadStart
			s.writePoint(l.place, pointStart, out)
		}
	case loadStart:
		if l.saved[pointStart] == d.at {
			s.bequeath(l, out)
		}
	case loadSink, loadRise:
		s.pointedDamaged(l, out)
	}
}

// forgetEpochs empties the epoch file of a log all of whose records lie below its start.
func (s *Store) forgetEpochs(l *Log, out *core.Out) {
	core.Must(!l.epochsPut, "the epoch file is at rest")
	l.load.stage = loadForget
	l.epochs, l.epochsPut, l.epochsDirty = nil, true, false
	l.forgetProducers()
	s.put(put{what: putEpochs, log: l.slot, epoch: -1, replace: true, dir: l.dir, path: l.dir + "/" + epochFile}, formatEpochs(nil), out)
}

// wipe removes every file that tells of records. Others, such as the quorum's, are not the log's.
func (s *Store) wipe(l *Log, ev *core.Event, out *core.Out) {
	l.load.stage = loadWipe
	for _, e := range core.ParseList(ev.Data) {
		if e.Size >= 0 && ofRecords(e.Name) {
			out.Remove(s.start(l, op{kind: opLoose}), l.dir+"/"+e.Name)
		}
	}
}

// ofRecords reports whether a file's name is that of a segment, an index, or a producer snapshot, whatever became of it.
func ofRecords(name string) bool {
	for _, suffix := range []string{".deleted", ".cleaned", ".tmp"} {
		name = strings.TrimSuffix(name, suffix)
	}
	for _, suffix := range []string{".log", ".index", ".timeindex", ".txnindex", ".snapshot"} {
		if _, ok := parseName(name, suffix); ok {
			return true
		}
	}
	return false
}

// wiped is reached when the removals are durable.
func (s *Store) wiped(l *Log, out *core.Out) {
	if d := l.load; d.hide != d.at {
		d.stage = loadLower
		s.writePoint(l.place, pointRecovery, out)
		return
	}
	s.bequeath(l, out)
}

// bequeath writes a future log's first producer snapshot. While the log that it is to replace is not at rest, that log's
// producers are not known either, and the future log becomes an orphan.
func (s *Store) bequeath(l *Log, out *core.Out) {
	d := l.load
	c := s.replaces(l)
	if l.as != future || d.at == 0 || c == nil || c.state != online {
		s.loadEmpty(l, out)
		return
	}
	d.stage = loadHeirs
	s.put(put{what: putHeirs, replace: true, log: l.slot, dir: l.dir, path: segmentPath(l.dir, d.at, ".snapshot")}, formatSnapshot(c.heirs(d.at)), out)
}

// heirs are the producers of a log whose batches end at or below an offset, as they were there: nothing has come of them since.
// The others are told of by the batches from there on. Whether the marker of a producer without batches stands below is not
// known; it is taken for one of those, since a copy that holds everything has the same producers either way.
func (l *Log) heirs(at core.Offset) (ps []*producer) {
	for _, p := range l.producers {
		if p.n == 0 || p.kept[p.n-1].end <= at {
			ps = append(ps, p)
		}
	}
	return ps
}

// loadEmpty loads the directory of a log that was emptied.
func (s *Store) loadEmpty(l *Log, out *core.Out) {
	at := l.load.at
	l.start, l.wantStart, l.high, l.snapshot = at, at, at, 0
	s.beginLoad(l, false, at, out)
}
