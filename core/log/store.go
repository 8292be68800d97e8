package log

import (
	"slices"

	"klamm/core"
)

// Store holds all logs of a node's log directories.
//
// Invariants: logs[i].id = i, or logs[i] is nil (gone); order holds the ids of the logs that are found by name,
// sorted by partition, and byName the same; a ticket is in seeks from the call that gave it until its Change.
type Store struct {
	cfg      StoreConfig
	ops      core.Ops[op]
	rand     core.Rand
	nextFile core.FileID
	logs     []*Log  // by id
	slots    []LogID // by Log.slot
	byName   map[Partition]LogID
	order    []LogID
	none     Log // what Log answers for those that are gone
	changes  []Change
	spare    []Change // the slice that Changes handed out last
	timers   core.Timers
	puts     []put
	putFree  []uint32
	boot     boot
	dirs     []directory // as in StoreConfig.Dirs
	pointsAt core.Time   // when the dirty checkpoints are due; Never if none is
	soonAt   core.Time   // when the recovery points are due because the metadata log grew; likewise
	dirty    int64       // bytes made durable since the recovery points were written
	retainAt core.Time
	ticket   Ticket
	guard    Guard // the newest that was given out
	seeks    map[Ticket]*seek
	removals []removal
	cleaner  cleaner
	stop     stopping
	repairs  Repairs
	scrub    scrub

	brokerEpoch core.BrokerEpoch // for the clean markers
	aside       []LogID          // logs with a directory that are not found by name: see future.go
	misplaced   string           // a metadata log in another directory than the first
}

// op is an effect in flight.
type op struct {
	kind   opKind
	log    LogID
	slot   uint32 // of the put or removal; at boot the directory
	cuts   uint32 // the log's, when it was given
	n      int64
	ticket Ticket
}

type opKind uint8

const (
	opBoot    opKind = iota // see boot.go
	opLoad                  // the one load step of log
	opMkdir                 // of a new log
	opParent                // SyncDir of the log directory for a new log
	opOpen                  // of the segment with base n
	opEntry                 // SyncDir for the segment with base n
	opWrite                 // n: its number in the log's queue of writes
	opSync                  // n: the durable end if it succeeds
	opReread                // doubtful bytes, to be written anew
	opRewrite               // n: their count
	opPut                   // slot
	opSeek                  // ticket
	opCut                   // a step of Truncate
	opLoose                 // counted, but nobody's story depends on it
	opRename                // the directory of a deleted log
	opRenamed               // and the SyncDir after it
	opRemoval               // slot
	opClean                 // a step of the clean of log
	opFirst                 // the first header of the segment with base n
	opScrub                 // n: the file
	opMove                  // a step of Replace
)

type timerKind = uint8

const (
	timerFlush  timerKind = iota + 1 // A: log
	timerRemove                      // A: removal slot
	timerClean                       // A: log
)

// NewStore makes an empty Store; Boot fills it.
func NewStore(cfg StoreConfig) *Store {
	s := &Store{
		cfg: cfg, ops: core.NewOps[op](cfg.Table, core.OpsMax), rand: core.NewRand(cfg.Generator),
		nextFile: cfg.FileBase, byName: map[Partition]LogID{}, seeks: map[Ticket]*seek{},
		pointsAt: core.Never, soonAt: core.Never, retainAt: core.Never, scrub: scrub{due: core.Never}, brokerEpoch: -1,
		cleaner: cleaner{cfg: cfg.Cleaner, at: core.Never},
	}
	for _, path := range cfg.Dirs {
		s.dirs = append(s.dirs, directory{path: path, previousEpoch: -1})
	}
	s.none = Log{id: NoLog, state: gone, why: "the log is gone"}
	return s
}

// SetBrokerEpoch says what a clean stop notes in its marker.
func (s *Store) SetBrokerEpoch(e core.BrokerEpoch) { s.brokerEpoch = e }

// Changes returns what changed since it was last called, in order. The slice is good until the next call but one.
func (s *Store) Changes() []Change {
	c := s.changes
	clear(s.spare[:cap(s.spare)])
	s.changes, s.spare = s.spare[:0], c
	return c
}

func (s *Store) changed(c Change) { s.changes = append(s.changes, c) }

// Find returns the log of a partition, loading and offline ones included.
func (s *Store) Find(p Partition) (LogID, bool) {
	id, ok := s.byName[p]
	return id, ok
}

// Log returns a log's state for reading; for a log that is gone, an empty one that is not online.
func (s *Store) Log(id LogID) *Log {
	if l := s.live(id); l != nil {
		return l
	}
	return &s.none
}

// IDs lists the logs that Find finds, sorted by partition. The caller does not change it.
func (s *Store) IDs() []LogID { return s.order }

func (s *Store) live(id LogID) *Log {
	if id < 0 || int(id) >= len(s.logs) {
		return nil
	}
	return s.logs[id]
}

// enter gives a new log its id and has it found.
func (s *Store) enter(l *Log) {
	l.id, l.slot = LogID(len(s.logs)), LogID(len(s.slots))
	s.logs, s.slots = append(s.logs, l), append(s.slots, l.id)
	s.register(l)
}

// register has a log found by what it is.
func (s *Store) register(l *Log) {
	if l.as != current {
		s.aside = append(s.aside, l.id)
		return
	}
	s.byName[l.p] = l.id
	at, _ := slices.BinarySearchFunc(s.order, l.p, func(id LogID, p Partition) int { return s.logs[id].p.Compare(p) })
	s.order = slices.Insert(s.order, at, l.id)
}

// forget takes a log's name away.
func (s *Store) forget(l *Log) {
	if l.as != current {
		s.aside = slices.DeleteFunc(s.aside, func(id LogID) bool { return id == l.id })
		return
	}
	delete(s.byName, l.p)
	at := slices.Index(s.order, l.id)
	core.Must(at >= 0, "a log with a name is in the order")
	s.order = slices.Delete(s.order, at, at+1)
}

// start enters an effect of a log; the log counts them, since its directory is not renamed under one.
func (s *Store) start(l *Log, o op) core.Op {
	l.inFlight++
	o.log, o.cuts = l.slot, l.cuts
	return s.ops.Start(o)
}

func (s *Store) file() core.FileID {
	s.nextFile++
	return s.nextFile
}

// Done takes the end of an effect of the Store's table.
func (s *Store) Done(now core.Now, ev *core.Event, out *core.Out) {
	o, ok := s.ops.Finish(ev.Op)
	if !ok {
		return
	}
	switch o.kind {
	case opBoot:
		s.bootStep(now, int(o.slot), ev, out)
		return
	case opPut:
		s.putStep(now, o.slot, ev.Err, out)
		return
	case opRemoval:
		s.removalStep(now, o.slot, ev, out)
		return
	}
	l := s.slot(o.log)
	core.Must(l != nil, "a log outlives its effects")
	l.inFlight--
	if o.kind == opSeek {
		s.seekStep(now, o.ticket, ev, out)
		if l.state == loading { // a read from before a cut was the last that the load waited for
			s.drained(now, l, out)
		}
		s.ageKnown(now, l, out)
	} else if o.kind == opScrub {
		s.scrubbed(now, l, o, ev, out)
		s.scrubStep(now, out)
		if l.state == loading {
			s.drained(now, l, out)
		}
	} else if l.state == offline || l.state == deleting && o.kind != opRename && o.kind != opRenamed {
		out.Mark("log.done-after-the-end")
	} else {
		s.logDone(now, l, o, ev, out)
	}
	s.settle(now, l, out)
}

// settle carries on what waits for a log's effects to end.
func (s *Store) settle(now core.Now, l *Log, out *core.Out) {
	if !s.boot.done {
		s.loadMore(now, out)
	}
	if l.inFlight == 0 && l.state == deleting {
		s.rename(l, out)
	}
	if l.move != moveNone {
		s.moveStep(now, l, out)
	}
	s.stopStep(now, out)
}

func (s *Store) logDone(now core.Now, l *Log, o op, ev *core.Event, out *core.Out) {
	if ev.Err != core.OK && o.kind != opLoad && o.kind != opLoose && o.kind != opClean && o.kind != opFirst && o.kind != opRename && o.kind != opRenamed {
		s.broken(l, failures[o.kind]+": "+ev.Err.String(), out)
		return
	}
	switch o.kind {
	case opLoose:
		if ev.Err != core.OK && ev.Err != core.NotFound && l.load != nil {
			s.broken(l, "cannot remove a file: "+ev.Err.String(), out)
		}
	case opLoad:
		s.loadStep(now, l, ev, out)
	case opMkdir:
		s.made(now, l, out)
	case opParent:
		l.made.parent = true
		s.creating(now, l, out)
	case opOpen:
		out.SyncDir(s.start(l, op{kind: opEntry, n: o.n}), l.dir)
	case opEntry:
		s.entered(now, l, core.Offset(o.n), out)
	case opWrite:
		s.wrote(now, l, uint64(o.n), out)
	case opSync:
		s.synced(now, l, o, out)
	case opReread:
		s.reread(now, l, ev, out)
	case opRewrite:
		s.rewrote(now, l, o.n, out)
	case opClean:
		s.cleanStep(now, l, ev, out)
	case opFirst:
		s.firstHeader(now, l, core.Offset(o.n), ev)
	case opMove:
		s.moveNamed(now, l, out)
	case opRename:
		s.renamed(l, ev.Err, out)
	case opRenamed:
		s.gone(now, l, ev.Err, out)
	}
	s.drained(now, l, out)
}

// failures says what failed, by kind of effect.
var failures = [...]string{
	opBoot: "boot", opLoad: "load", opMkdir: "cannot make its directory", opParent: "cannot sync the log directory",
	opOpen: "cannot make a segment", opEntry: "cannot sync its directory", opWrite: "write failed", opSync: "sync failed",
	opReread: "cannot read what is to be written anew", opRewrite: "write failed", opPut: "cannot write a file",
	opSeek: "read failed", opLoose: "", opRename: "rename failed", opRenamed: "sync of the log directory failed",
	opRemoval: "", opClean: "", opFirst: "", opScrub: "", opMove: "cannot give a log that was moved its name",
}

// fail takes a log offline. What is above its durable end is believed from no read any more.
func (s *Store) fail(l *Log, why string, out *core.Out) {
	if l.state == offline || l.state == deleting {
		return
	}
	out.Mark("log.offline")
	wasLoading := l.loadsAtBoot()
	l.state, l.why, l.load, l.cut = offline, why, nil, nil
	s.dropClean(l, out)
	s.unmove(l)
	out.Note(core.Error, "log "+l.name()+" is offline: "+why)
	s.changed(Change{ID: l.id, What: Failed, Note: why})
	if wasLoading {
		s.loadEnded(out)
	}
}

// Next is the instant of the next Tick that the Store needs.
func (s *Store) Next() core.Time {
	next := min(s.timers.Next(), s.pointsAt, s.soonAt, s.retainAt, s.cleaner.at)
	if !s.scrub.busy && !s.stop.on {
		next = min(next, s.scrub.due)
	}
	return next
}

// Tick does what is due.
func (s *Store) Tick(now core.Now, out *core.Out) {
	for {
		t, ok := s.timers.Pop(now.Mono)
		if !ok {
			break
		}
		switch t.Kind {
		case timerFlush:
			if l := s.live(LogID(t.A)); l != nil && l.state == online {
				l.flushAt = core.Never
				l.flushTo = l.end
				s.pump(now, l, out)
			}
		case timerRemove:
			s.removalDue(uint32(t.A), out)
		case timerClean:
			if l := s.live(LogID(t.A)); l != nil {
				s.cleanDue(now, l, out)
			}
		}
	}
	if s.pointsAt <= now.Mono {
		s.writePoints(now, out)
	}
	if s.soonAt <= now.Mono {
		s.soonAt = core.Never
		for at := range s.dirs {
			if s.dirs[at].points[pointRecovery].dirty {
				s.writePoint(at, pointRecovery, out)
			}
		}
	}
	s.scrubStep(now, out)
	if s.retainAt <= now.Mono {
		s.retainAt = now.Mono.After(s.cfg.RetentionCheck)
		s.retain(now, out)
	}
	if s.cleaner.at <= now.Mono {
		s.clean(now, out)
	}
	s.stopStep(now, out)
}
