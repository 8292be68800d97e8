package log

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
)

// beginScan prepares the segments from load.from on to be filled again from their batches.
func (s *Store) beginScan(now core.Now, l *Log, out *core.Out) {
	d := l.load
	for _, g := range l.segs[d.from:] {
		g.limit, g.size, g.end, g.ready = g.size, 0, g.base, true
		g.aborts = slices.DeleteFunc(g.aborts, func(a AbortedTxn) bool { return a.Last >= d.snap }) // they are found again
	}
	d.i, d.expect, d.n = d.from, -1, s.cfg.Sizes.ScanBytes
	if d.oldest {
		l.epochs = nil
	}
	if d.tail {
		d.stage = loadTail
		s.readIndex(l, ".index", l.active().indexLen, out)
		return
	}
	s.scanAll(now, l, out)
}

// scanAll begins to scan whole segments. What the epoch file says of them is gathered anew.
func (s *Store) scanAll(now core.Now, l *Log, out *core.Out) {
	d := l.load
	d.tail, d.i, d.expect = false, d.from, -1
	base := l.segs[d.from].base
	if n := len(l.epochs); d.clean && n > 0 {
		d.newest = l.epochs[n-1] // it may have no batch yet
	}
	l.epochs = slices.DeleteFunc(l.epochs, func(e epochEntry) bool { return e.start >= base })
	for _, g := range l.segs[d.from:] {
		g.size, g.end, g.index, g.times, g.since, g.maxTime, g.maxAt, g.firstTime, g.hearsay = 0, g.base, nil, nil, 0, -1, g.base, -1, false
	}
	l.end = base
	s.scanNext(now, l, out)
}

func (s *Store) readIndex(l *Log, suffix string, n int64, out *core.Out) {
	f := s.file()
	out.Open(0, f, segmentPath(l.dir, l.active().base, suffix), core.OpenExisting)
	out.Read(s.start(l, op{kind: opLoad}), f, 0, max(n, 1))
	out.CloseFile(0, f)
}

// tailRead takes the active segment's indexes after a clean stop, so that only what follows the last entry is
// scanned. If they don't fit, all of it is.
func (s *Store) tailRead(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d, g := l.load, l.active()
	switch d.stage {
	case loadTail:
		if len(ev.Data) == 0 || !soundIndex(ev.Data, g.limit) {
			s.scanAll(now, l, out)
			return
		}
		g.index, d.stage = ev.Data, loadTailTimes
		s.readIndex(l, ".timeindex", g.timesLen, out)
	case loadTailTimes:
		if !soundTimes(ev.Data) {
			s.scanAll(now, l, out)
			return
		}
		g.times, d.stage = ev.Data, loadFirst
		g.maxTime, g.maxAt = lastTime(g)
		g.hearsay = true
		out.Read(s.start(l, op{kind: opLoad}), g.file, 0, batch.HeaderBytes)
	case loadFirst:
		v, ok := batch.ParseHeader(ev.Data)
		if !ok {
			s.scanAll(now, l, out)
			return
		}
		n := len(g.index)
		g.firstTime = v.MaxTimestamp()
		d.expect = g.base + core.Offset(int32(binary.BigEndian.Uint32(g.index[n-8:])))
		g.size = int64(int32(binary.BigEndian.Uint32(g.index[n-4:])))
		l.end = g.base
		s.scanNext(now, l, out)
	}
}

// lastTime reads the last entry of a segment's time index.
func lastTime(g *segment) (int64, core.Offset) {
	n := len(g.times)
	if n == 0 {
		return -1, g.base
	}
	return int64(binary.BigEndian.Uint64(g.times[n-timeEntry:])), g.base + core.Offset(int32(binary.BigEndian.Uint32(g.times[n-4:])))
}

// scanNext checks the next chunk, or ends the scan.
func (s *Store) scanNext(now core.Now, l *Log, out *core.Out) {
	d := l.load
	d.stage = loadScan
	for d.i < len(l.segs) {
		g := l.segs[d.i]
		if g.size < g.limit {
			d.n = min(max(d.n, s.cfg.Sizes.ScanBytes), g.limit-g.size)
			out.DoWork(s.start(l, op{kind: opLoad}), workCheck, workArgs(1, s.cfg.Sizes.ScanRows+min(d.lead, 1), 0), g.file, g.size-d.lead, d.n+d.lead)
			return
		}
		if d.i+1 < len(l.segs) && l.end < l.segs[d.i+1].base && !s.hole(l, l.segs[d.i+1].base, out) {
			return
		}
		if d.i++; d.i < len(l.segs) && !slices.Contains(d.snaps, l.end) { // lost in the crash of a roll
			g.seals++
			s.saveProducers(l, l.end, g.base, out)
			d.snaps = append(d.snaps, l.end)
		}
	}
	s.scanEnd(now, l, out)
}

// hole decides about offsets missing between a segment's last batch and the next segment. Below the recovery point
// compaction may have made it, and below the log start whoever let segments go. Above both, the segment's tail was lost
// while later bytes survived: those prove nothing.
func (s *Store) hole(l *Log, next core.Offset, out *core.Out) (goOn bool) {
	d := l.load
	if next <= d.point || next <= l.start || d.clean || next <= l.saved[pointClean] {
		l.segs[d.i].end, l.end = next, next
		return true
	}
	s.fault(l, "offsets "+strconv.FormatInt(int64(l.end), 10)+" to "+strconv.FormatInt(int64(next-1), 10)+" are missing", out)
	return false
}

// compactedAlways names the topics whose logs may have holes anywhere.
func compactedAlways(topic string) bool {
	return topic == "__consumer_offsets" || topic == "__transaction_state"
}

// checked takes the description of one chunk.
func (s *Store) checked(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d := l.load
	g := l.segs[d.i]
	if len(ev.Data) < checkHead || ev.Err != core.OK {
		s.fail(l, "cannot read "+segmentName(g.base, ".log")+": "+ev.Err.String(), out)
		return
	}
	how, need := ended(ev.Data[0]), int64(binary.BigEndian.Uint64(ev.Data[1:]))
	astray := s.mayBeAstray(l, g, ev.Data[checkHead:])
	if astray && s.scanOnceMore(now, l, g, astrayMax, out) {
		return
	}
	rows, _ := d.here(ev.Data[checkHead:])
	if d.lead = 0; astray { // nothing of it is believed
		rows, how = nil, endedBad
	}
	from := g.size // the chunk began here; what is folded moves it
	for ; len(rows) >= checkRow; rows = rows[checkRow:] {
		v := batch.View(rows[:batch.HeaderBytes])
		if d.expect >= 0 && v.LastOffset() != d.expect {
			out.Mark("log.bad-index")
			s.scanAll(now, l, out)
			return
		}
		if d.cut && v.LastOffset() >= d.limit {
			s.cutHere(l, g, out)
			return
		}
		if !s.fits(l, g, v) || d.hurt.distrust && d.hurt.seg == g.base && d.hurt.pos == g.size {
			how = endedBad
			break
		}
		d.expect = -1
		m := parseMarkerRow(rows[batch.HeaderBytes:])
		s.fold(l, g, v, m)
	}
	got := d.n
	switch d.n = s.cfg.Sizes.ScanBytes; {
	case how == endedBad && d.tail && d.expect >= 0:
		s.scanAll(now, l, out)
	case how == endedBad:
		if !s.scanOnceMore(now, l, g, readsMax, out) {
			s.fault(l, "a bad batch", out)
		}
	case how == endedShort && (g.size+need > g.limit || need <= got && from+got >= g.limit):
		if !s.scanOnceMore(now, l, g, readsMax, out) {
			s.fault(l, "a cut batch", out)
		}
	default:
		if how == endedShort {
			d.n = need
		}
		s.scanNext(now, l, out)
	}
}

// fits reports whether a batch may stand where it was found. Its checksum does not cover its offset and its epoch.
func (s *Store) fits(l *Log, g *segment, v batch.View) bool {
	d, last := l.load, v.LastOffset()
	next := core.Offset(math.MaxInt64)
	if d.i+1 < len(l.segs) {
		next = l.segs[d.i+1].base
	}
	switch {
	case v.LastDelta() < 0 || v.BaseOffset() < 0 || last < v.BaseOffset() || last-g.base > math.MaxInt32 || last >= next:
		return false
	case v.BaseOffset() < l.end && !(l.end == l.segs[0].base && last >= l.end):
		return false
	case !d.tail && v.LeaderEpoch() >= 0 && v.LeaderEpoch() < l.Epoch():
		return false
	case v.BaseOffset() > l.end && l.end < d.point && last >= d.point && d.point > l.start && !d.clean && !l.gaps:
		return false // the point is where a batch began: nothing may reach over it, so this base offset is not the one that was written
	case last >= l.start && !d.epochFits(v): // below the start the recovery point may have left the epoch file behind
		return false
	case v.BaseOffset() > l.end && l.end >= d.point && !d.clean && !l.gaps && !compactedAlways(l.p.Topic):
		return false // above the recovery point nothing was compacted yet, so a hole is a batch that got lost
	}
	return true
}

// fold enters a batch that was found into everything that is derived of batches.
func (s *Store) fold(l *Log, g *segment, v batch.View, m marker) {
	d, pos, gap := l.load, g.size, v.BaseOffset() != l.end
	l.begin(v.LeaderEpoch(), v.BaseOffset())
	l.ring.push(border{base: v.BaseOffset(), end: v.LastOffset() + 1, seg: g.base, pos: pos, size: int64(v.Size())}, s.cfg.Sizes.Borders)
	if v.LastOffset() >= d.snap { // the first batch may reach below: see follows
		if a, aborted := l.produced(v, m); aborted {
			g.aborts = append(g.aborts, a)
		}
	}
	g.add(v, l.cfg.IndexInterval)
	l.end = g.end
	d.folded = folded{seg: g.base, pos: pos, size: int64(v.Size()), header: [batch.HeaderBytes]byte(v)}
	if gap && v.LastOffset() >= d.hurt.mended {
		d.hurt.gapSeg, d.hurt.gapPos, d.hurt.gapEnd = g.base, pos, g.size
	}
	if l.end > d.point {
		if n := len(d.doubt); n > 0 && d.doubt[n-1].seg == g.base {
			d.doubt[n-1].to, d.doubt[n-1].gaps = g.size, d.doubt[n-1].gaps || gap
		} else {
			d.doubt = append(d.doubt, doubt{seg: g.base, from: pos, to: g.size, next: v.BaseOffset()})
		}
	}
}

// fault decides what a bad place means. Below the recovery point it is damage: acknowledged records may be there, and
// nothing is cut. Above it, it is the torn end of a log that crashed.
func (s *Store) fault(l *Log, why string, out *core.Out) {
	d := l.load
	g := l.segs[d.i]
	where := damagedWhere(why, l, g)
	switch {
	case l.spent():
		s.trim(l, g, out)
		return
	case l.end < d.point:
		s.hurtHere(l, "damaged: "+where+", below the recovery point "+strconv.FormatInt(int64(d.point), 10), out)
		return
	}
	out.Mark("log.torn-tail")
	n := g.limit - g.size
	for _, h := range l.segs[d.i+1:] {
		n += h.limit
	}
	out.Note(core.Warn, "log "+l.name()+": "+where+": cut "+strconv.FormatInt(n, 10)+" bytes above the recovery point")
	s.cutHere(l, g, out)
}

// cutHere makes what was scanned of g the end of the log.
func (s *Store) cutHere(l *Log, g *segment, out *core.Out) {
	d := l.load
	for _, h := range l.segs[d.i+1:] {
		out.CloseFile(0, h.file)
		s.removeSegment(l, h, out)
	}
	l.segs = l.segs[:d.i+1]
	d.point = min(d.point, l.end)
	d.stage = loadCut
	out.Truncate(s.start(l, op{kind: opLoad}), g.file, g.size)
}

// scanEnd looks whether something is missing at the end.
func (s *Store) scanEnd(now core.Now, l *Log, out *core.Out) {
	d := l.load
	if d.i = len(l.segs) - 1; l.end < d.point && l.start < d.point {
		s.fault(l, "the end of the log is missing", out)
		return
	}
	if !d.clean { // an earlier life may have cut the file, and not lived to see that durable
		d.stage = loadCut
		out.Truncate(s.start(l, op{kind: opLoad}), l.active().file, l.active().size)
		return
	}
	s.loadDirs(now, l, out)
}

// loadDirs removes what must not be there and makes the directory's entries durable: an earlier life may not have come
// so far. The removals end first: a segment or a snapshot of lost records that came back after a crash, when new
// records have taken their offsets, would be believed.
func (s *Store) loadDirs(now core.Now, l *Log, out *core.Out) {
	d := l.load
	if l.end < l.start { // everything that was left lies below the start
		out.Mark("log.start-above-end")
		for _, g := range l.segs {
			out.CloseFile(0, g.file)
		}
		l.segs, l.ring, l.doubt = nil, ring{}, nil
		*d = load{at: l.start, hide: l.start}
		s.forgetEpochs(l, out)
		return
	}
	l.snapshot = 0
	if l.find(d.snap) == nil && d.snap <= l.end {
		l.snapshot = d.snap
	}
	for _, at := range d.snaps { // beyond the end they tell of lost records; between segments nobody asks for them
		if at > l.end || at != d.snap && l.find(at) == nil {
			out.Remove(s.start(l, op{kind: opLoose}), segmentPath(l.dir, at, ".snapshot"))
		}
	}
	for _, at := range d.bad {
		if !slices.Contains(d.snaps, at) {
			out.Remove(s.start(l, op{kind: opLoose}), segmentPath(l.dir, at, ".snapshot"))
		}
	}
	d.stage = loadDrain
}

// drained goes on with a load that waits for removals, when nothing is in flight.
func (s *Store) drained(now core.Now, l *Log, out *core.Out) {
	if l.load == nil || l.inFlight > 0 {
		return
	}
	switch l.load.stage {
	case loadSwapOld, loadSwapNames:
		s.reswapped(l, out)
	case loadTidy:
		s.loadMeta(now, l, out)
	case loadQuiet:
		s.hurtNow(l, out)
	case loadForget:
		l.load.stage = loadWipeList
		out.List(s.start(l, op{kind: opLoad}), l.dir)
	case loadWipe:
		l.load.stage = loadWiped
		out.SyncDir(s.start(l, op{kind: opLoad}), l.dir)
	case loadDrain:
		l.load.stage = loadDir
		out.SyncDir(s.start(l, op{kind: opLoad}), l.dir)
	}
}

// loadedAll is reached when the files are as they should be.
func (s *Store) loadedAll(now core.Now, l *Log, out *core.Out) {
	d := l.load
	keep := l.end + 1
	if !d.clean {
		keep = l.end
	} else if d.newest.start == l.end {
		l.begin(d.newest.epoch, l.end)
	}
	l.epochs = slices.DeleteFunc(l.epochs, func(e epochEntry) bool { return e.start >= keep })
	if !d.clean {
		l.keepEpoch(d.newest)
	}
	l.trimEpochs(l.start)
	l.epochsDirty = !slices.Equal(l.epochs, d.onFile)
	l.wantStart = l.start
	l.saving = l.saved
	l.written, l.durable = l.end, min(max(d.point, l.start), l.end)
	l.high = min(max(l.high, l.start), l.end)
	l.settleTxns()
	// What lies below the durable end is not asked for any more (a start may be far above the recovery point), and
	// nothing would take it from the list's head.
	l.doubt = slices.DeleteFunc(d.doubt, func(x doubt) bool { return l.find(x.seg).end <= l.durable })
	d.doubt = nil // one owner
	if d.tail {
		l.epochsSaved = l.Epoch()
	} else if !d.oldest { // the recovery point was never above an entry that the file lacked
		for _, e := range l.epochs {
			if e.start < d.point {
				l.epochsSaved = e.epoch
			}
		}
	}
	for i, g := range l.segs {
		g.limit = 0
		if i >= d.from && i+1 < len(l.segs) {
			g.end = l.segs[i+1].base
			s.seal(l, g, out)
		}
	}
	d.stage = loadFinish
	s.pump(now, l, out)
}

// finishLoad puts a log online that was being loaded, once everything that its durability asks for is durable.
func (s *Store) finishLoad(now core.Now, l *Log, out *core.Out) {
	if !l.finishing() {
		return
	}
	what := Loaded
	if l.reload {
		what = Truncated
	} else if !l.placed {
		s.loadEnded(out)
	}
	l.state, l.load, l.reload = online, nil, false
	s.healed(l, out)
	s.saveEpochs(l, out)
	s.dirtyPoint(now, l.place, pointRecovery)
	if l.p.Topic == metadataTopic {
		s.dirtyMetadata(now)
	}
	s.changed(Change{ID: l.id, What: what, Offset: l.end})
	s.dropSegments(now, l, out)
	if s.boot.done || what == Loaded {
		s.loadMore(now, out)
	}
	s.pump(now, l, out)
}
