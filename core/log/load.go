package log

import (
	"math"
	"slices"
	"strings"

	"klamm/core"
)

// load reads one log's files. One step is in flight at a time. Its story, by stage: list the directory; read
// partition.metadata, the epochs and the transaction indexes; find the newest sound producer snapshot; read the last entry of each sealed
// segment's time index; scan (see recover.go); cut the tail; write anew what is in doubt (see append.go).
type load struct {
	stage      loadStage
	clean      bool        // after a clean stop, or a cut that is durable
	point      core.Offset // below it, everything was durable
	files      []core.Entry
	snaps      []core.Offset // of producer snapshots, newest first
	bad        []core.Offset // of damaged ones: to be removed, if the scan does not replace them
	snap       core.Offset   // of the one loaded; the fold of producers begins there
	i          int
	from       int  // index of the first segment to be scanned
	tail       bool // only the tail of the active segment is scanned, from its last index entry on
	pos        int64
	n          int64       // bytes of this step
	expect     core.Offset // last offset of the first batch of a tail, by the index; -1 unknown
	doubt      []doubt
	cut        bool         // the log is being cut
	limit      core.Offset  // at the first batch that ends above this
	newest     epochEntry   // of the epoch file of a clean log, or what a suspect one knew before this load
	onFile     []epochEntry // what the epoch file says
	oldest     bool         // even the epochs have to be gathered: scan from the oldest segment
	unlisted   bool         // a transaction index is not sound:
	unlistedAt core.Offset  // the first such one is of the segment with this base
	at         core.Offset  // the log is being emptied: where it is to begin
	hide       core.Offset  // … and a start above everything that it held
	checks     bool         // everything from the segment at check on is to be scanned
	check      core.Offset
	hurt       hurt // of a damaged log, see repair.go
	swap       *reswap
	twice      twice
	folded     folded
	lead       int64 // bytes of folded with which the scan's next read, or the one under way, begins
}

type loadStage uint8

const (
	loadList     loadStage = iota
	loadSwapScan           // a swap is being completed, see loadswap.go
	loadSwapOld
	loadSwapCleared
	loadSwapNames
	loadSwapNamed
	loadSwapLast
	loadSwapDone
	loadTidy
	loadTopic
	loadEpochs
	loadTxns
	loadSnapshot
	loadTimes
	loadTail
	loadTailTimes
	loadFirst
	loadScan
	loadCut
	loadCutSync
	loadDrain
	loadDir
	loadParent
	loadFinish
	loadHide // from here: the log is being emptied, see restart.go
	loadForget
	loadWipeList
	loadWipe
	loadWiped
	loadLower
	loadStart
	loadHeirs
	loadQuiet // from here: the log is damaged, see repair.go
	loadWant
	loadPatch
	loadPatched
	loadSink
	loadRise
)

// loadsAtBoot reports whether the log is one of those that boot counts as being loaded.
func (l *Log) loadsAtBoot() bool {
	return l.state == loading && !l.reload && !l.placed && l.load != nil
}

func (l *Log) finishing() bool {
	return l.state == loading && l.load != nil && l.load.stage == loadFinish
}

// beginLoad begins to load a log whose batches below point are known to be durable.
func (s *Store) beginLoad(l *Log, clean bool, point core.Offset, out *core.Out) {
	l.load = &load{clean: clean, point: point, newest: epochEntry{-1, -1}}
	out.List(s.start(l, op{kind: opLoad}), l.dir)
}

func (s *Store) loadStep(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d := l.load
	if ev.Err != core.OK && ev.Err != core.ShortRead && d.stage != loadTxns && d.stage != loadTail && d.stage != loadTailTimes && d.stage != loadTimes {
		s.broken(l, "cannot load: "+ev.Err.String(), out)
		return
	}
	switch d.stage {
	case loadList:
		s.loadListed(now, l, ev, out)
	case loadSwapScan:
		s.swapWalked(l, ev, out)
	case loadSwapCleared, loadSwapNamed, loadSwapLast, loadSwapDone:
		s.reswapSynced(l, out)
	case loadTopic:
		if id, ok := parseTopic(ev.Data); ok {
			l.topic = id
		} else if l.holdsData() {
			s.fail(l, topicFile+" is damaged", out)
			return
		}
		s.loadEpochs(now, l, out)
	case loadEpochs:
		entries, ok := parseEpochs(ev.Data)
		l.epochs, d.onFile, d.oldest = entries, slices.Clone(entries), !ok
		s.loadTxns(now, l, out)
	case loadTxns:
		s.txnsRead(now, l, ev, out)
	case loadSnapshot:
		s.snapshotRead(now, l, ev, out)
	case loadTimes:
		s.timesRead(now, l, ev, out)
	case loadTail, loadTailTimes, loadFirst:
		s.tailRead(now, l, ev, out)
	case loadScan:
		s.checked(now, l, ev, out)
	case loadCut:
		d.stage = loadCutSync
		out.Sync(s.start(l, op{kind: opLoad}), l.active().file)
	case loadCutSync:
		s.loadDirs(now, l, out)
	case loadDir:
		d.stage = loadParent
		out.SyncDir(s.start(l, op{kind: opLoad}), s.dirs[l.place].path)
	case loadParent:
		s.loadedAll(now, l, out)
	case loadPatch:
		d.stage = loadPatched
		out.Sync(s.start(l, op{kind: opLoad}), l.segs[d.i].file)
	case loadPatched:
		s.scanNext(now, l, out)
	case loadWipeList:
		s.wipe(l, ev, out)
	case loadWiped:
		s.wiped(l, out)
	}
}

func (d *load) size(name string) int64 {
	i, ok := slices.BinarySearchFunc(d.files, name, func(e core.Entry, n string) int { return strings.Compare(e.Name, n) })
	if !ok {
		return -1
	}
	return d.files[i].Size
}

func (l *Log) holdsData() bool {
	return slices.ContainsFunc(l.segs, func(g *segment) bool { return g.size > 0 })
}

// loadListed takes the directory's files: segments are opened, left-overs removed.
func (s *Store) loadListed(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d := l.load
	d.files = core.ParseList(ev.Data)
	slices.SortFunc(d.files, func(a, b core.Entry) int { return strings.Compare(a.Name, b.Name) })
	swap := s.findSwap(l, out)
	for _, e := range d.files {
		switch {
		case e.Size < 0:
		case strings.HasSuffix(e.Name, swapSuffix):
		case strings.HasSuffix(e.Name, ".deleted"), strings.HasSuffix(e.Name, ".cleaned"), strings.HasSuffix(e.Name, ".tmp"):
			if !l.reload { // after a cut none is left over, but another's may be in use: quorum-state.tmp
				out.Remove(s.start(l, op{kind: opLoose}), l.dir+"/"+e.Name)
			}
		case !swap:
			if base, ok := parseName(e.Name, ".log"); ok {
				if e.Size > 1<<31-1 {
					s.fail(l, e.Name+" is larger than a segment can be", out)
					return
				}
				g := newSegment(base, 0, now)
				g.size, g.ready, g.entry = e.Size, false, true
				g.indexLen, g.timesLen = d.size(segmentName(base, ".index")), d.size(segmentName(base, ".timeindex"))
				g.txn = d.size(segmentName(base, ".txnindex")) >= 0
				l.segs = append(l.segs, g)
			} else if at, ok := parseName(e.Name, ".snapshot"); ok {
				d.snaps = append(d.snaps, at)
			}
		}
	}
	if swap {
		return
	}
	slices.Reverse(d.snaps)
	s.dropOrphans(l, out)
	s.dropStale(l, out)
	if len(l.segs) == 0 {
		g := newSegment(l.start, s.file(), now)
		l.segs = append(l.segs, g)
		out.Open(s.start(l, op{kind: opOpen, n: int64(g.base)}), g.file, segmentPath(l.dir, g.base, ".log"), core.CreateEmpty)
	}
	for i, g := range l.segs {
		if g.file == 0 {
			g.file = s.file()
			out.Open(0, g.file, segmentPath(l.dir, g.base, ".log"), core.OpenExisting)
		}
		if i+1 < len(l.segs) {
			g.end = l.segs[i+1].base
		}
	}
	d.stage = loadTidy // a left-over must be gone before a new file gets its name
}

// loadMeta reads partition.metadata.
func (s *Store) loadMeta(now core.Now, l *Log, out *core.Out) {
	d := l.load
	if d.stage = loadTopic; d.size(topicFile) >= 0 {
		s.readSmall(s.start(l, op{kind: opLoad}), l.dir+"/"+topicFile, d.size(topicFile), out)
		return
	}
	s.loadEpochs(now, l, out)
}

func segmentName(base core.Offset, suffix string) string { return decimal(base) + suffix }

// dropStale removes segments wholly below the log start: the start is durable before they go, so a crash may have
// left some, and not one after the other. Their producers' sequences outlive their records, so a snapshot at the end of
// a segment, or behind it, must have them. None at or below the start can tell of records that got lost: the start is
// never above the high watermark, and no offset below it is given again. Without one the segment is loaded once more.
func (s *Store) dropStale(l *Log, out *core.Out) {
	covered := func(at core.Offset) bool { return l.segs[1].base <= at && at <= l.start && l.find(at) != nil }
	for len(l.segs) > 1 && slices.ContainsFunc(l.load.snaps, covered) {
		out.Mark("log.stale-segment")
		s.removeSegment(l, l.segs[0], out)
		l.segs = l.segs[1:]
	}
	if len(l.segs) > 0 {
		l.start = max(l.start, l.segs[0].base)
		l.wantStart = l.start
	}
}

// dropOrphans removes index files without a segment: a crash came while it was let go.
func (s *Store) dropOrphans(l *Log, out *core.Out) {
	for _, e := range l.load.files {
		for _, suffix := range []string{".index", ".timeindex", ".txnindex"} {
			if base, ok := parseName(e.Name, suffix); ok && e.Size >= 0 && l.load.size(segmentName(base, ".log")) < 0 {
				out.Mark("log.orphan-index")
				out.Remove(s.start(l, op{kind: opLoose}), l.dir+"/"+e.Name)
			}
		}
	}
}

// removeSegment removes a segment's files. Those that are absent don't matter.
func (s *Store) removeSegment(l *Log, g *segment, out *core.Out) {
	for _, suffix := range []string{".log", ".index", ".timeindex", ".txnindex"} {
		if suffix != ".txnindex" || g.txn {
			out.Remove(s.start(l, op{kind: opLoose}), segmentPath(l.dir, g.base, suffix))
		}
	}
}

func (s *Store) loadEpochs(now core.Now, l *Log, out *core.Out) {
	d := l.load
	d.stage = loadEpochs
	if n := d.size(epochFile); n >= 0 {
		s.readSmall(s.start(l, op{kind: opLoad}), l.dir+"/"+epochFile, n, out)
		return
	}
	d.oldest = true
	s.loadTxns(now, l, out)
}

// loadTxns reads the transaction index of the next segment that has one.
func (s *Store) loadTxns(now core.Now, l *Log, out *core.Out) {
	d := l.load
	for d.stage = loadTxns; d.i < len(l.segs); d.i++ {
		g := l.segs[d.i]
		switch n := d.size(segmentName(g.base, ".txnindex")); {
		case n < 0 && (g.indexLen < 0 || g.timesLen < 0): // who removed the others to have them made anew removed this one too
			s.txnsLost(l)
		case n <= 0:
		case n > indexFileMax:
			out.Mark("log.bad-txn-index")
			s.txnsLost(l)
		default:
			f := s.file()
			out.Open(0, f, segmentPath(l.dir, g.base, ".txnindex"), core.OpenExisting)
			out.Read(s.start(l, op{kind: opLoad}), f, 0, n)
			out.CloseFile(0, f)
			return
		}
	}
	d.i = 0
	s.loadSnapshots(now, l, out)
}

func (s *Store) txnsRead(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d := l.load
	g := l.segs[d.i]
	end := core.Offset(math.MaxInt64)
	if d.i+1 < len(l.segs) {
		end = l.segs[d.i+1].base
	}
	list, sound := parseTxnIndex(ev.Data, g.base, end)
	if sound = sound && ev.Err == core.OK; sound {
		g.aborts = list
	} else {
		out.Mark("log.bad-txn-index")
		s.txnsLost(l)
	}
	d.i++
	s.loadTxns(now, l, out)
}

// txnsLost notes that a transaction index has to be made anew: its segment is scanned, with the producers as they were when
// it began.
func (s *Store) txnsLost(l *Log) {
	if d := l.load; !d.unlisted {
		d.unlisted, d.unlistedAt = true, l.segs[d.i].base
	}
}

// loadSnapshots decides where the scan begins, and reads the newest snapshot that is not beyond that.
func (s *Store) loadSnapshots(now core.Now, l *Log, out *core.Out) {
	d := l.load
	d.stage = loadSnapshot
	from := l.unsealed()
	limit := l.segs[from].base
	if d.clean && from == len(l.segs)-1 { // clean is never set for a cut
		limit = d.point // the stop left one at the end
	}
	if d.unlisted {
		limit = min(limit, d.unlistedAt)
	}
	if d.oldest && l.holdsData() {
		limit = l.segs[0].base
	}
	for d.i < len(d.snaps) && d.snaps[d.i] > limit {
		d.i++
	}
	if d.i < len(d.snaps) && d.snaps[d.i] >= l.segs[0].base { // an older one is of records that are gone
		at := d.snaps[d.i]
		if n := d.size(segmentName(at, ".snapshot")); n <= snapshotMax {
			f := s.file()
			out.Open(0, f, segmentPath(l.dir, at, ".snapshot"), core.OpenExisting)
			out.Read(s.start(l, op{kind: opLoad}), f, 0, max(n, 1))
			out.CloseFile(0, f)
			return
		}
	}
	d.snap = l.segs[0].base
	l.orphan = l.as == future && d.snap > 0
	s.chooseScan(now, l, out)
}

// unsealed is the first segment that a crash may have left without its index files: the one that holds the last offset
// below the recovery point, since that may have been noted just before a roll.
func (l *Log) unsealed() int {
	p := l.load.point
	if !l.load.clean {
		p--
	}
	if l.load.checks {
		p = min(p, l.load.check)
	}
	return l.at(max(p, l.start))
}

// snapshotRead takes a snapshot if it is sound; else the next older one is tried, and more is scanned.
func (s *Store) snapshotRead(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d := l.load
	at := d.snaps[d.i]
	ps, ok := parseSnapshot(ev.Data)
	if !ok {
		out.Mark("log.bad-snapshot")
		d.bad = append(d.bad, at)
		d.snaps = slices.Delete(d.snaps, d.i, d.i+1)
		s.loadSnapshots(now, l, out)
		return
	}
	d.snap, l.orphan = at, false
	l.adopt(ps, at)
	s.chooseScan(now, l, out)
}

// chooseScan fixes the first segment to be scanned: that of the recovery point, or an older one, if epochs, producers
// or an index have to be gathered anew.
func (s *Store) chooseScan(now core.Now, l *Log, out *core.Out) {
	d := l.load
	last := len(l.segs) - 1
	d.from = l.unsealed()
	if d.oldest {
		d.from = 0
	}
	if d.unlisted {
		d.from = min(d.from, l.at(d.unlistedAt))
	}
	d.from = min(d.from, l.at(max(d.snap, l.segs[0].base)))
	d.tail = d.clean && d.from == last && d.snap >= d.point && d.point >= l.segs[last].base &&
		d.size(segmentName(l.segs[last].base, ".index")) >= 0 && l.segs[last].indexLen <= indexFileMax && l.segs[last].timesLen <= indexFileMax
	for i, g := range l.segs[:last] {
		if g.indexLen < 0 || g.timesLen < 0 || g.indexLen%indexEntry != 0 || g.timesLen%timeEntry != 0 || g.size > 0 && g.timesLen > indexFileMax {
			out.Mark("log.index-missing")
			d.from, d.tail = min(d.from, i), false
			break
		}
	}
	d.i = 0
	s.loadTimes(now, l, out)
}

// loadTimes reads the last entry of the next sealed segment's time index.
func (s *Store) loadTimes(now core.Now, l *Log, out *core.Out) {
	d := l.load
	for d.stage = loadTimes; d.i < d.from; d.i++ {
		g := l.segs[d.i]
		if g.timesLen == 0 {
			continue
		}
		f := s.file()
		out.Open(0, f, segmentPath(l.dir, g.base, ".timeindex"), core.OpenExisting)
		out.Read(s.start(l, op{kind: opLoad}), f, g.timesLen-timeEntry, timeEntry)
		out.CloseFile(0, f)
		return
	}
	s.beginScan(now, l, out)
}

func (s *Store) timesRead(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d := l.load
	g := l.segs[d.i]
	if ev.Err != core.OK || !soundTimes(ev.Data) {
		out.Mark("log.index-missing")
		d.from, d.tail = d.i, false // scan from here: the indexes are made anew
	} else {
		g.times = ev.Data
		g.maxTime, g.maxAt = lastTime(g)
		g.times, g.hearsay = nil, true
	}
	d.i++
	s.loadTimes(now, l, out)
}
