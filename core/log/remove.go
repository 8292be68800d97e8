package log

import (
	"klamm/core"
)

// removal deletes, in bounded steps, what was renamed for deletion: one directory with its files, or a few files.
type removal struct {
	used  bool
	dir   string
	files []string // to be removed, the last first; paths
	list  bool     // dir is to be listed first
	last  bool     // dir itself is being removed
}

// Delete gives a partition's log up: its directory is renamed, which frees the name, and removed after
// file.delete.delay.ms, even across a restart. Reads under way may end; Gone says that the rename is durable.
func (s *Store) Delete(now core.Now, id LogID, out *core.Out) { s.giveUp(now, id, "-delete", out) }

// Stray puts a log aside that no topic of the metadata owns, for an operator to look at. It is never removed.
func (s *Store) Stray(now core.Now, id LogID, out *core.Out) { s.giveUp(now, id, "-stray", out) }

func (s *Store) giveUp(now core.Now, id LogID, suffix string, out *core.Out) {
	l := s.live(id)
	if l == nil || l.state == deleting {
		return
	}
	s.unmove(l)
	s.forget(l)
	s.forsake(now, l.place, l.p, l.rows())
	if l.state == creating && !l.made.begun {
		s.logs[id] = nil // it has no directory yet
		s.changed(Change{ID: id, What: Gone})
		return
	}
	wasLoading := l.loadsAtBoot()
	s.dropClean(l, out)
	for _, g := range l.segs {
		out.CloseFile(0, g.file)
	}
	l.state, l.load, l.cut, l.why = deleting, nil, nil, "the log is being deleted"
	l.made.parent = false
	l.made.topic = suffix == "-delete"
	s.dirtyPoint(now, l.place, pointRecovery)
	if wasLoading {
		s.loadEnded(out)
	}
	s.settle(now, l, out)
}

// rename moves the directory once no effect is in flight that goes by its name.
func (s *Store) rename(l *Log, out *core.Out) {
	if l.made.parent {
		return // done already
	}
	suffix := "-stray"
	if l.made.topic {
		suffix = "-delete"
	}
	l.grave = s.dirs[l.place].path + "/" + s.graveName(l.name(), suffix)
	out.Rename(s.start(l, op{kind: opRename}), l.dir, l.grave)
}

// graveName is Kafka's name for a directory that is to go: topic-partition.uuid-delete, cut to fit a file name.
func (s *Store) graveName(name, suffix string) string {
	id := s.rand.ID()
	tail := make([]byte, 0, 33)
	tail = append(tail, '.')
	for _, x := range id {
		tail = append(tail, uuidHex[x>>4], uuidHex[x&15])
	}
	if most := namesMax - len(tail) - len(suffix); len(name) > most {
		name = name[:most]
	}
	return name + string(tail) + suffix
}

func (s *Store) renamed(l *Log, err core.Errno, out *core.Out) {
	if err != core.OK {
		out.Note(core.Error, "cannot rename the directory of deleted log "+l.name()+": "+err.String())
	}
	l.made.parent = true
	out.SyncDir(s.start(l, op{kind: opRenamed}), s.dirs[l.place].path)
}

// gone ends a log. One of the same name that waited for it is made now.
func (s *Store) gone(now core.Now, l *Log, err core.Errno, out *core.Out) {
	if err != core.OK {
		out.Note(core.Error, "cannot sync the rename of deleted log "+l.name()+": "+err.String())
	}
	if l.made.topic {
		s.removeLater(now, removal{dir: l.grave, list: true}, l.cfg.DeleteDelay)
	}
	s.logs[l.id] = nil
	s.changed(Change{ID: l.id, What: Gone})
	if m := s.within(l.place, l.p); m != nil {
		s.beginCreate(m, out)
	}
	s.yielded(now, l, out)
}

func (s *Store) removeLater(now core.Now, r removal, delay core.Time) {
	slot := 0
	for slot < len(s.removals) && s.removals[slot].used {
		slot++
	}
	r.used = true
	if slot == len(s.removals) {
		s.removals = append(s.removals, r)
	} else {
		s.removals[slot] = r
	}
	s.timers.Set(now.Mono.After(max(0, delay)), timerRemove, uint64(slot), 0)
}

// removalDue begins a removal.
func (s *Store) removalDue(slot uint32, out *core.Out) {
	if s.stop.on {
		return // the next boot finds it again
	}
	r := &s.removals[slot]
	o := s.ops.Start(op{kind: opRemoval, slot: slot})
	if r.list {
		out.List(o, r.dir)
		return
	}
	s.removeNext(o, r, out)
}

// removalStep removes the next file. Failures are left to the next boot, which tries again.
func (s *Store) removalStep(now core.Now, slot uint32, ev *core.Event, out *core.Out) {
	r := &s.removals[slot]
	if r.list {
		r.list = false
		for _, e := range core.ParseList(ev.Data) {
			r.files = append(r.files, r.dir+"/"+e.Name)
		}
	} else if r.last || s.stop.on {
		*r = removal{}
		return
	}
	if len(r.files) == 0 && r.dir == "" {
		*r = removal{}
		return
	}
	s.removeNext(s.ops.Start(op{kind: opRemoval, slot: slot}), r, out)
}

func (s *Store) removeNext(o core.Op, r *removal, out *core.Out) {
	if n := len(r.files); n > 0 {
		out.Remove(o, r.files[n-1])
		r.files = r.files[:n-1]
		return
	}
	r.last = true
	out.Remove(o, r.dir)
}
