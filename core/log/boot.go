package log

import (
	"strconv"
	"strings"

	"klamm/core"
)

// boot is the start of a Store: every directory is looked at, all of them at once, and then the logs are loaded, some at once.
type boot struct {
	left    int     // directories of which it is not known yet what is in them
	waiting []LogID // to be loaded, the next first
	loading int
	done    bool
}

// dirBoot is the start of one directory. Its story: list the directory, read the checkpoints, remove the clean marker and make
// that durable before the first file is looked at (else a crash while loading would leave the marker to a directory that is no
// longer clean).
type dirBoot struct {
	stage  bootStage
	clean  bool
	listed []core.Entry
	points [pointKinds][]checkpointRow
	kind   pointKind
	gaps   bool // any log may have gaps
}

type bootStage uint8

const (
	bootList bootStage = iota
	bootMarker
	bootUnmark
	bootUnmarked
	bootPoints
	bootLoad
)

const cleanMarker = ".kafka_cleanshutdown"

// Boot begins to load every log of the directories. Each is Loaded or Failed in the end, and then the Store is Ready
// and says Booted.
func (s *Store) Boot(now core.Now, out *core.Out) {
	s.boot.left, s.cleaner.ran = len(s.dirs), now.Mono
	for at := range s.dirs {
		if s.dirs[at].lost != "" {
			s.dirs[at].boot.stage = bootLoad
			s.boot.left--
			continue
		}
		out.List(s.ops.Start(op{kind: opBoot, slot: uint32(at)}), s.dirs[at].path)
	}
}

// Ready reports whether all logs that were there at Boot are loaded, or offline.
func (s *Store) Ready() bool { return s.boot.done }

func (s *Store) bootStep(now core.Now, at int, ev *core.Event, out *core.Out) {
	d := &s.dirs[at]
	b := &d.boot
	next := func() core.Op { return s.ops.Start(op{kind: opBoot, slot: uint32(at)}) }
	switch b.stage {
	case bootList:
		if ev.Err != core.OK {
			d.damaged = "cannot list the log directory: " + ev.Err.String()
			out.Note(core.Error, d.path+": "+d.damaged)
			if len(s.dirs) > 1 {
				s.lose(at, d.damaged, out)
			}
			b.stage = bootLoad
			s.bootLogs(now, at, out)
			return
		}
		b.listed = core.ParseList(ev.Data)
		if b.stage = bootPoints; b.sizeOf(cleanMarker) >= 0 {
			b.stage = bootMarker
			s.readSmall(next(), d.path+"/"+cleanMarker, b.sizeOf(cleanMarker), out)
			return
		}
	case bootMarker:
		b.clean = ev.Err == core.OK || ev.Err == core.ShortRead
		if d.previousEpoch = parseMarker(ev.Data); !b.clean {
			d.previousEpoch = -1
		}
		b.stage = bootUnmark
		out.Remove(next(), d.path+"/"+cleanMarker)
		return
	case bootUnmark:
		if b.stage = bootUnmarked; ev.Err != core.OK {
			d.damaged = "cannot remove the clean marker: " + ev.Err.String()
		}
		out.SyncDir(next(), d.path)
		return
	case bootUnmarked:
		if ev.Err != core.OK {
			d.damaged = "cannot sync the removal of the clean marker: " + ev.Err.String()
		}
		b.stage = bootPoints
	case bootPoints:
		d.pointRead(ev)
		b.kind++
	}
	for ; b.kind < pointKinds; b.kind++ {
		if n := b.sizeOf(pointFiles[b.kind]); n >= 0 {
			s.readSmall(next(), d.path+"/"+pointFiles[b.kind], n, out)
			return
		}
	}
	b.stage = bootLoad
	s.bootLogs(now, at, out)
}

// sizeOf returns the size of a file of the log directory, or -1.
func (b *dirBoot) sizeOf(name string) int64 {
	for _, e := range b.listed {
		if e.Name == name {
			return e.Size
		}
	}
	return -1
}

// readSmall reads a small file whole.
func (s *Store) readSmall(o core.Op, path string, n int64, out *core.Out) {
	f := s.file()
	out.Open(0, f, path, core.OpenExisting)
	out.Read(o, f, 0, min(max(n, 1), smallFileMax+1))
	out.CloseFile(0, f)
}

// pointRead takes the content of a checkpoint. Without the recovery points or the log starts, nobody could tell damage
// from a torn tail, or deleted records from kept ones; high watermarks are found again by the replicas.
func (d *directory) pointRead(ev *core.Event) {
	b := &d.boot
	rows, ok := parseCheckpoint(ev.Data)
	if ok = ok && (ev.Err == core.OK || ev.Err == core.ShortRead); !ok && b.kind == pointClean {
		b.gaps = true // every log may have been cleaned, and is dirty from its start on
	} else if !ok && b.kind != pointHigh {
		d.damaged = pointFiles[b.kind] + " is damaged"
	}
	b.points[b.kind] = rows
}

// bootLogs enters a log for each directory of a partition. When that is done everywhere, they begin to be loaded.
func (s *Store) bootLogs(now core.Now, at int, out *core.Out) {
	d := &s.dirs[at]
	b := &d.boot
	found := false
	for _, e := range b.listed {
		if e.Size >= 0 {
			continue
		}
		if strings.HasSuffix(e.Name, "-delete") {
			s.removeLater(now, removal{dir: d.path + "/" + e.Name, list: true}, DefaultConfig().DeleteDelay)
			continue
		}
		if strings.HasSuffix(e.Name, "-stray") {
			out.Note(core.Warn, "directory "+e.Name+" is left as it is")
			continue
		}
		p, as, ok := parseDirName(e.Name)
		if !ok {
			continue
		}
		if p.Topic == metadataTopic && at > 0 {
			s.misplaced = d.path + "/" + e.Name
			continue
		}
		if as == current && s.taken(p) {
			as = twin
			out.Mark("log.found-twice")
		}
		if as == future && s.within(at, p) != nil { // a log never moves into the directory in which it is
			as = twin
		}
		found = true
		s.bootLog(at, p, as, e.Name)
	}
	for kind := range pointKinds {
		for _, r := range b.points[kind] {
			if s.within(at, r.p) == nil {
				var rows [pointKinds]core.Offset
				rows[kind] = r.offset
				s.forsake(now, at, r.p, rows)
			}
		}
	}
	if !b.clean && found {
		out.Mark("log.unclean-boot")
	}
	b.listed = nil
	if s.boot.left--; s.boot.left > 0 {
		return
	}
	s.brokerEpoch = s.PreviousBrokerEpoch() // a life that stops before it is registered has lost nothing of what the one before kept
	s.loadMore(now, out)
}

// bootLog enters a log that was found.
func (s *Store) bootLog(at int, p Partition, as standing, name string) {
	d := &s.dirs[at]
	cfg := DefaultConfig()
	cfg.Durability = s.cfg.Durability
	l := &Log{p: p, cfg: effective(p.Topic, cfg), state: loading, flushAt: core.Never, as: as, place: at, dir: d.path + "/" + name, epochsSaved: -1}
	s.enter(l)
	for kind := range pointKinds {
		l.saved[kind], _ = rowOf(d.boot.points[kind], p)
	}
	_, l.gapsSaved = rowOf(d.boot.points[pointClean], p)
	l.gaps, l.cleanPoint = l.gapsSaved || d.boot.gaps, l.saved[pointClean]
	l.start, l.wantStart, l.high = l.saved[pointStart], l.saved[pointStart], l.saved[pointHigh]
	s.boot.waiting = append(s.boot.waiting, l.id)
}

// loadMore begins loads up to the limit.
func (s *Store) loadMore(now core.Now, out *core.Out) {
	b := &s.boot
	if b.left > 0 {
		return
	}
	for len(b.waiting) > 0 && b.loading < max(1, s.cfg.LoadsAtOnce) {
		l := s.live(b.waiting[0])
		b.waiting = b.waiting[1:]
		if l == nil || l.state != loading {
			continue
		}
		d := &s.dirs[l.place]
		if why := d.unusable(); why != "" {
			s.fail(l, why, out)
			continue
		}
		b.loading++
		_, known := rowOf(d.boot.points[pointRecovery], l.p)
		s.beginLoad(l, d.boot.clean && known, l.saved[pointRecovery], out)
	}
	if b.loading == 0 && len(b.waiting) == 0 && !b.done {
		s.retainAt = now.Mono.After(s.cfg.RetentionCheck)
		s.scrubOn(now)
		s.bootEnd(out)
	}
}

// loadEnded says that one log is loaded, offline or deleted. The next load begins with the next event, see settle.
func (s *Store) loadEnded(out *core.Out) { s.boot.loading-- }

func (s *Store) bootEnd(out *core.Out) {
	s.boot = boot{done: true}
	for at := range s.dirs {
		d := &s.dirs[at]
		d.boot = dirBoot{stage: bootLoad, clean: d.boot.clean}
	}
	s.changed(Change{ID: NoLog, What: Booted})
}

// parseMarker reads the broker epoch from a clean marker; -1 if there is none.
func parseMarker(b []byte) core.BrokerEpoch {
	_, rest, ok := strings.Cut(string(b), `"brokerEpoch":`)
	if !ok {
		return -1
	}
	end := strings.IndexAny(rest, ",}")
	n, err := strconv.ParseInt(strings.TrimSpace(rest[:max(end, 0)]), 10, 64)
	if err != nil {
		return -1
	}
	return core.BrokerEpoch(n)
}

func formatMarker(e core.BrokerEpoch) []byte {
	return append(strconv.AppendInt([]byte(`{"version":0,"brokerEpoch":`), int64(e), 10), '}')
}
