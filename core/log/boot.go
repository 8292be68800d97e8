package log

import (
	"strconv"
	"strings"

	"klamm/core"
)

// boot is the start of a Store. Its story: list the directory, read the checkpoints, remove the clean marker and make
// that durable before the first file is looked at (else a crash while loading would leave the marker to a directory
// that is no longer clean), load the logs, some at once.
type boot struct {
	stage   bootStage
	clean   bool
	listed  []core.Entry
	points  [pointKinds][]checkpointRow
	kind    pointKind
	waiting []LogID // to be loaded, the next first
	loading int
	done    bool
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

// Boot begins to load every log of the directory. Each is Loaded or Failed in the end, and then the Store is Ready
// and says Booted.
func (s *Store) Boot(now core.Now, out *core.Out) {
	out.List(s.ops.Start(op{kind: opBoot}), s.cfg.Dir)
}

// Ready reports whether all logs that were there at Boot are loaded, or offline.
func (s *Store) Ready() bool { return s.boot.done }

func (s *Store) bootStep(now core.Now, ev *core.Event, out *core.Out) {
	b := &s.boot
	next := func() core.Op { return s.ops.Start(op{kind: opBoot}) }
	switch b.stage {
	case bootList:
		if ev.Err != core.OK {
			s.damaged = "cannot list the log directory: " + ev.Err.String()
			out.Note(core.Error, s.damaged)
			s.bootEnd(out)
			return
		}
		b.listed = core.ParseList(ev.Data)
		if b.stage = bootPoints; s.listed(cleanMarker) >= 0 {
			b.stage = bootMarker
			s.readSmall(next(), s.cfg.Dir+"/"+cleanMarker, s.listed(cleanMarker), out)
			return
		}
	case bootMarker:
		b.clean = ev.Err == core.OK || ev.Err == core.ShortRead
		if s.previousEpoch = parseMarker(ev.Data); !b.clean {
			s.previousEpoch = -1
		}
		s.brokerEpoch = s.previousEpoch // a life that stops before it is registered has lost nothing of what the one before kept
		b.stage = bootUnmark
		out.Remove(next(), s.cfg.Dir+"/"+cleanMarker)
		return
	case bootUnmark:
		if b.stage = bootUnmarked; ev.Err != core.OK {
			s.damaged = "cannot remove the clean marker: " + ev.Err.String()
		}
		out.SyncDir(next(), s.cfg.Dir)
		return
	case bootUnmarked:
		if ev.Err != core.OK {
			s.damaged = "cannot sync the removal of the clean marker: " + ev.Err.String()
		}
		b.stage = bootPoints
	case bootPoints:
		s.pointRead(ev)
		b.kind++
	}
	for ; b.kind < pointKinds; b.kind++ {
		if n := s.listed(pointFiles[b.kind]); n >= 0 {
			s.readSmall(next(), s.cfg.Dir+"/"+pointFiles[b.kind], n, out)
			return
		}
	}
	b.stage = bootLoad
	s.bootLogs(now, out)
}

// listed returns the size of a file of the log directory, or -1.
func (s *Store) listed(name string) int64 {
	for _, e := range s.boot.listed {
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
func (s *Store) pointRead(ev *core.Event) {
	b := &s.boot
	rows, ok := parseCheckpoint(ev.Data)
	if ok = ok && (ev.Err == core.OK || ev.Err == core.ShortRead); !ok && b.kind != pointHigh {
		s.damaged = pointFiles[b.kind] + " is damaged"
	}
	b.points[b.kind] = rows
}

// bootLogs enters a log for each directory of a partition and begins to load them.
func (s *Store) bootLogs(now core.Now, out *core.Out) {
	b := &s.boot
	for _, e := range b.listed {
		if e.Size >= 0 {
			continue
		}
		if strings.HasSuffix(e.Name, "-delete") {
			s.removeLater(now, removal{dir: s.cfg.Dir + "/" + e.Name, list: true}, DefaultConfig().DeleteDelay)
			continue
		}
		if strings.HasSuffix(e.Name, "-future") || strings.HasSuffix(e.Name, "-stray") {
			out.Note(core.Warn, "directory "+e.Name+" is left as it is")
			continue
		}
		p, ok := parseDir(e.Name)
		if !ok {
			continue
		}
		cfg := DefaultConfig()
		cfg.Durability = s.cfg.Durability
		l := &Log{p: p, cfg: effective(p.Topic, cfg), state: loading, flushAt: core.Never, dir: s.cfg.Dir + "/" + e.Name, epochsSaved: -1}
		s.enter(l)
		for kind := range pointKinds {
			l.saved[kind], _ = rowOf(b.points[kind], p)
		}
		l.start, l.wantStart, l.high = l.saved[pointStart], l.saved[pointStart], l.saved[pointHigh]
		b.waiting = append(b.waiting, l.id)
	}
	for kind := range pointKinds {
		for _, r := range b.points[kind] {
			if _, there := s.byName[r.p]; !there {
				var rows [pointKinds]core.Offset
				rows[kind] = r.offset
				s.forsake(now, r.p, rows)
			}
		}
	}
	if !b.clean && len(b.waiting) > 0 {
		out.Mark("log.unclean-boot")
	}
	b.listed = nil
	s.loadMore(now, out)
}

// loadMore begins loads up to the limit.
func (s *Store) loadMore(now core.Now, out *core.Out) {
	b := &s.boot
	for len(b.waiting) > 0 && b.loading < max(1, s.cfg.LoadsAtOnce) {
		l := s.live(b.waiting[0])
		b.waiting = b.waiting[1:]
		if l == nil || l.state != loading {
			continue
		}
		b.loading++
		if s.damaged != "" {
			s.fail(l, s.damaged, out)
			continue
		}
		_, known := rowOf(b.points[pointRecovery], l.p)
		s.beginLoad(l, b.clean && known, l.saved[pointRecovery], out)
	}
	if b.loading == 0 && len(b.waiting) == 0 && b.stage == bootLoad && !b.done {
		s.retainAt = now.Mono.After(s.cfg.RetentionCheck)
		s.bootEnd(out)
	}
}

// loadEnded says that one log is loaded, offline or deleted. The next load begins with the next event, see settle.
func (s *Store) loadEnded(out *core.Out) { s.boot.loading-- }

func (s *Store) bootEnd(out *core.Out) {
	s.boot = boot{stage: bootLoad, done: true, clean: s.boot.clean}
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
