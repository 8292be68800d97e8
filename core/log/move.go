package log

import (
	"slices"

	"klamm/core"
)

// # A log moves to another directory
//
// A future log (KIP-113) is a copy of a partition's log in another directory, with a directory name of its own. Whoever owns it fills
// it with AppendExact, Truncate and Restart, as a follower fills its log. When it holds what the log holds, Replace has it take the
// log's place:
//
//	drain    the log takes no appends any more, and the future log is filled until both have one end; what is in flight ends, and both
//	         are durable
//	adopt    the future log gets what batches do not tell: epochs in which nothing was written, older batches of its producers,
//	         and rolls, so that a snapshot of the producers is in its files; and its recovery point is written, as high as the log's
//	rename   its directory gets the name of the partition, and that is made durable
//	yield    it is the partition's log from here on, and is read; the old one is given up, its directory renamed for deletion
//	(end)    that is durable: it takes appends
//
// What a crash finds: up to the rename, the log and a future log, which is filled on. Until the old one's new name is durable, two
// logs of one name, which are the same (see Choose): nothing is appended before that. Then one. Leader epochs that begin meanwhile are
// noted in both. If the log or its directory fails, the other one stays what it was. The caller has told the controller of the
// new directory before, and what is so then is told again.
//
// Of producers whose batches are gone nothing would tell after a crash: recovery may begin below the snapshot of the end, at one that
// the future log made while it was filled. So it knows them from its first offset on, if that is not 0: see bequeath, and Orphan.
//
// The two exchange their ids: whoever knows the log by its id goes on with the one that has taken its place.
type movePhase uint8

const (
	moveNone movePhase = iota
	moveDrain
	moveAdopt
	moveRename
	moveEntry
	moveYield
)

// CreateFuture makes a future log of a log, in the directory at a place, which is another one. Loaded, with its id, says when it may be
// filled. It is empty and begins at offset 0. A clean of the log under way is given up, and none begins while there is a future log:
// whoever fills it waits until Cleaning says that none is on, as a swap ends first.
func (s *Store) CreateFuture(now core.Now, of LogID, at int, out *core.Out) LogID {
	c := s.live(of)
	core.Must(c != nil && c.as == current, "a future log is that of a partition's log")
	core.Must(s.within(at, c.p) == nil, "there is one log of a partition in a directory")
	cfg := c.cfg
	cfg.Delete, cfg.Compact = false, false
	l := &Log{p: c.p, topic: c.topic, cfg: cfg, known: true, state: creating, as: future, flushAt: core.Never, epochsSaved: -1}
	d := &s.dirs[at]
	l.place, l.dir = at, d.path+"/"+s.graveName(c.name(), futureSuffix)
	s.enter(l)
	if why := d.unusable(); why != "" {
		s.fail(l, why, out)
		return l.id
	}
	s.giveUpClean(now, c, out)
	s.beginCreate(l, out)
	return l.id
}

// FutureNameMax is how long the name of a partition may be, topic-partition, that a future log can be made of.
const FutureNameMax = namesMax - 33 - len(futureSuffix)

// taker is the future log that takes the place of a log, or nil. There may be others, in directories that are lost.
func (s *Store) taker(c *Log) *Log {
	for _, id := range s.aside {
		if l := s.logs[id]; l.as == future && l.p == c.p && l.move != moveNone {
			return l
		}
	}
	return nil
}

// isCopied reports whether a future log of a log is being filled, or may come to be. Such a log is not cleaned. What a future log has got
// from below stays in it; did the cleaner remove from the log, above that, what it must have beside it, a tombstone or the marker of an
// aborted transaction, the future log would hold an old value without its end, or records that nobody aborted. Nor does
// a record come back that readers went past. A future log that has failed does not count: it is not filled before the next
// start, and whoever finds it then makes it anew (MayBeCleaned).
func (s *Store) isCopied(c *Log) bool {
	return c.as == current && slices.ContainsFunc(s.aside, func(id LogID) bool {
		f := s.logs[id]
		return f.as == future && f.p == c.p && f.state <= online
	})
}

// Futures lists the future logs.
func (s *Store) Futures() (list []LogID) {
	for _, id := range s.aside {
		if s.logs[id].as == future {
			list = append(list, id)
		}
	}
	return list
}

// Orphan reports that a future log begins above offset 0 and does not know the producers whose batches are below: a crash came, or damage.
// It is not to be filled, but to begin anew.
func (l *Log) Orphan() bool { return l.orphan }

// Has reports whether a log of a partition is in the directory at a place, of whatever standing.
func (s *Store) Has(at int, p Partition) bool { return s.within(at, p) != nil }

// Swapping reports that the log is giving its place up, or taking one: nothing is appended.
func (l *Log) Swapping() bool { return l.move != moveNone }

// fills reports whether a log may be appended to as far as a swap goes: the future log of one that drains is still filled.
func (l *Log) fills() bool { return l.move == moveNone || l.as == future && l.move == moveDrain }

// Replace has a future log take the place of its partition's log, which is not appended to from here on: the caller sees to it that
// little is missing in the future log, and goes on with that, or says CancelReplace. LogBusy: not now, nor before something has changed
// in one of the two. Replaced, with the id of the partition's log, says that the future log is it; Unswapped, that nothing came of it.
func (s *Store) Replace(now core.Now, id LogID, out *core.Out) AppendError {
	f := s.live(id)
	core.Must(f != nil && f.as == future, "a future log replaces another one")
	c := s.replaces(f)
	switch {
	case c == nil || c.state != online || f.state != online:
		return LogOffline
	case c.cut != nil || f.cut != nil || c.move != moveNone || f.move != moveNone || s.stop.on:
		return LogBusy
	case s.finalTaken(f):
		return LogBusy
	case !s.mostlyDurable(now, f, c, out):
		out.Mark("log.move-awaits-syncs")
		return LogBusy
	}
	f.mark = 0
	out.Mark("log.move")
	s.giveUpClean(now, c, out)
	c.move, f.move = moveDrain, moveDrain
	s.pump(now, c, out)
	s.pump(now, f, out)
	s.moveStep(now, f, out)
	return AppendOK
}

// mostlyDurable reports whether all that a future log held when it was first to take the place of another is durable in both, and has it made so. With
// durability replicate a log may be far ahead of its syncs; the swap waits for the rest, and the log takes no appends while it does.
func (s *Store) mostlyDurable(now core.Now, f, c *Log, out *core.Out) bool {
	if f.mark == 0 {
		f.mark = f.end
	}
	all := true
	for _, l := range [...]*Log{f, c} {
		to := min(f.mark, l.end) // one that was cut has no more
		l.flushTo = max(l.flushTo, to)
		s.pump(now, l, out)
		all = all && l.durable >= to
	}
	return all
}

// Promote has a future log be the log of its partition, which has none: the directory of the one that it was a copy of is gone. It gets the name;
// Loaded says when that is durable. What was not copied is lost. It reports false if something of it is under way: the caller comes again.
func (s *Store) Promote(id LogID, out *core.Out) bool {
	f := s.live(id)
	core.Must(f != nil && f.as == future && f.state == online && !s.taken(f.p), "a future log is promoted where there is no other")
	if !s.Quiet(id) || s.finalTaken(f) {
		return false
	}
	out.Mark("log.promoted")
	s.change(f, current)
	f.state, f.made, f.orphan = creating, created{begun: true, topic: true}, false
	from := f.dir
	f.dir = s.finalDir(f)
	out.Rename(s.start(f, op{kind: opMove}), from, f.dir)
	return true
}

// Quiet reports whether a log is online, all of it is durable, and nothing that goes by the name of its directory is under way.
func (s *Store) Quiet(id LogID) bool {
	l := s.live(id)
	return l != nil && l.state == online && l.cut == nil && l.moveQuiet() && l.inFlight == 0
}

// CancelReplace ends a swap that has not come beyond its first stage. It reports false if it has.
func (s *Store) CancelReplace(id LogID) bool {
	f := s.live(id)
	if f == nil || f.as != future || f.move != moveDrain {
		return f == nil || f.move == moveNone
	}
	f.move = moveNone
	if c := s.replaces(f); c != nil {
		c.move = moveNone
	}
	return true
}

// replaces is the log that a future log is to replace, or nil.
func (s *Store) replaces(f *Log) *Log {
	id, ok := s.byName[f.p]
	if !ok {
		return nil
	}
	return s.logs[id]
}

func (s *Store) finalDir(f *Log) string { return s.dirs[f.place].path + "/" + f.name() }

// finalTaken reports whether a log that is being deleted still has the directory that a future log is to get.
func (s *Store) finalTaken(f *Log) bool {
	dir := s.finalDir(f)
	return slices.ContainsFunc(s.logs, func(m *Log) bool { return m != nil && m.state == deleting && m.dir == dir && !m.made.parent })
}

// moveQuiet reports whether nothing that changes the log's files is in flight, and all of it is durable.
func (l *Log) moveQuiet() bool {
	for _, g := range l.segs {
		if g.seals > 0 || !g.entry {
			return false
		}
	}
	return l.clean == nil && l.writes.n == 0 && !l.busy && l.durable == l.end && !l.epochsPut && l.wantStart == l.start
}

// moveStep carries a swap on, whichever of the two logs has come forward.
func (s *Store) moveStep(now core.Now, l *Log, out *core.Out) {
	f, c := l, s.replaces(l)
	if l.as == current {
		f, c = s.taker(l), l
	}
	if c == nil || f == nil || f.move == moveNone {
		return
	}
	switch f.move {
	case moveDrain:
		if !c.moveQuiet() || !f.moveQuiet() || f.end != c.end || f.start != c.start || f.EpochBelow(f.end) != c.EpochBelow(c.end) {
			return
		}
		f.move = moveAdopt
		s.adopt(now, f, c, out)
		s.moveStep(now, f, out)
	case moveAdopt:
		if !f.moveQuiet() || f.inFlight > 0 || !s.vouched(f, c, out) {
			return
		}
		f.move = moveRename
		from := f.dir
		f.dir = s.finalDir(f)
		out.Rename(s.start(f, op{kind: opMove}), from, f.dir)
	}
}

// vouched reports whether the recovery point of a future log is written and not below that of the log that it replaces, and has it
// written if not. What was vouched for would else, after a crash and a bad read, look like the torn end of the new log, and be cut.
func (s *Store) vouched(f, c *Log, out *core.Out) bool {
	want := min(c.saved[pointRecovery], f.recoveryPoint())
	if f.saved[pointRecovery] >= want {
		return true
	}
	if !s.dirs[f.place].points[pointRecovery].writing || f.saving[pointRecovery] < want {
		s.writePoint(f.place, pointRecovery, out)
	}
	return false
}

// adopt gives a future log what it could not learn of the batches.
func (s *Store) adopt(now core.Now, f, c *Log, out *core.Out) {
	f.epochs, f.epochsDirty = slices.Clone(c.epochs), true
	s.saveEpochs(f, out)
	f.producers = make([]*producer, len(c.producers))
	for i, p := range c.producers {
		one := *p
		f.producers[i] = &one
	}
	f.open, f.ended = slices.Clone(c.open), slices.Clone(c.ended)
	if f.active().size > 0 {
		s.roll(now, f, out)
		return
	}
	g := f.active()
	g.seals++
	s.saveProducers(f, f.end, g.base, out)
}

// moveNamed is reached when the rename of a future log's directory is done, and when it is durable.
func (s *Store) moveNamed(now core.Now, f *Log, out *core.Out) {
	if f.state == creating { // it is promoted
		out.SyncDir(s.start(f, op{kind: opParent}), s.dirs[f.place].path)
		return
	}
	c := s.replaces(f)
	if c == nil || f.move == moveNone { // it was given up, or has failed
		return
	}
	if f.move == moveRename {
		f.move = moveEntry
		out.SyncDir(s.start(f, op{kind: opMove}), s.dirs[f.place].path)
		return
	}
	s.yield(now, f, c, out)
}

// yield has the future log be the partition's log, and gives the old one up.
func (s *Store) yield(now core.Now, f, c *Log, out *core.Out) {
	s.forget(c)
	s.forget(f)
	c.id, f.id = f.id, c.id
	s.logs[c.id], s.logs[f.id] = c, f
	s.slots[c.slot], s.slots[f.slot] = c.id, f.id
	c.as, f.as = twin, current
	s.register(c)
	s.register(f)
	f.move, c.move = moveYield, moveNone
	f.cfg, f.known, f.high = c.cfg, c.known, max(c.high, f.start)
	f.guards, c.guards = c.guards, nil
	f.cuts = max(f.cuts, c.cuts) + 1 // nothing that was asked of the one is answered by the other
	f.settleTxns()
	s.dirtyPoint(now, f.place, pointRecovery)
	s.dirtyPoint(now, f.place, pointHigh)
	s.changed(Change{ID: f.id, What: Replaced})
	s.saveEpochs(f, out)
	s.giveUp(now, c.id, "-delete", out)
}

// yielded lets a log take appends when the one that it has replaced is gone.
func (s *Store) yielded(now core.Now, gone *Log, out *core.Out) {
	id, ok := s.byName[gone.p]
	if !ok {
		return
	}
	if f := s.logs[id]; f.move == moveYield && gone.as == twin {
		f.move = moveNone
		s.changed(Change{ID: f.id, What: Truncated, Offset: f.end})
		s.pump(now, f, out)
	}
}

// unmove ends a swap of which nothing came, because one of the two logs has failed or was given up.
func (s *Store) unmove(l *Log) {
	if l.move == moveNone || l.move == moveYield {
		l.move = moveNone
		return
	}
	for _, id := range s.all() {
		if m := s.logs[id]; m != l && m.p == l.p && m.move != moveNone {
			m.move = moveNone
		}
	}
	l.move = moveNone
	s.changed(Change{ID: l.id, What: Unswapped})
}
