package log

import (
	"encoding/binary"
	"math"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
)

// cleaning is a clean of one log under way: of each key in the part that it looks at, only the last record stays. Its story:
//
//   - mapping: the dirty part, from the clean point on, is surveyed, and the map of keys learns where each key's last record
//     is. It ends at the first offset that may not be cleaned, or where the map is full; there the clean point will be.
//   - opening: the segments from the first to that end are taken in groups, each to become one segment. Its file is made
//     beside them, with the suffix .cleaned.
//   - surveying, filtering, writing: in steps, the next range of the group's segments is described, judged by the map, and what
//     is left of it written.
//   - syncing, sealing: the file is synced, its indexes are written beside it and synced.
//   - swapping: it takes the place of the group's segments, see swap.go.
//   - the next group; after the last, the clean point is checkpointed.
//
// Any number of other events may come between two steps, and most don't matter: appends go to the active segment, which is
// never cleaned, as nothing is at or above the high watermark, the first undecided offset, or the recovery point (what a crash may
// take back must not have removed an older record). Three do, and wait:
//
//   - segments below the log start go after the clean, so that none of the group is missing when it is replaced, or comes back
//     (dropSegments);
//   - a cut, an emptying or a stop asks the clean to give up (giveUpClean) and goes on once it has; a swap that has begun ends
//     first, since from its first durable step on a crash would complete it;
//   - a log that fails or is deleted forgets its clean; its files go with the directory, or at the next load.
//
// A clean that was given up leaves no trace but .cleaned files, which it removes before it ends: the next one has the same names.
// The groups that were swapped before are whole, and the clean point has not moved, so they are cleaned again.
//
// Invariants: open is the count of its effects in flight; one only, but for renames and seals; group is not empty from opening on.
type cleaning struct {
	stage   cleanStage
	quit    bool // it is to give up
	open    int
	begun   core.Now
	from    core.Offset // the dirty part
	upTo    core.Offset // the first offset that may not be cleaned
	end     core.Offset // the clean point that this clean will reach
	keys    keyMap
	txns    cleanTxns
	seg     core.Offset   // base of the segment that is being read
	pos, n  int64         // the next range of it
	got     int64         // bytes of the range that the last survey described
	next    core.Offset   // behind the last batch of the segment that was surveyed
	group   []core.Offset // bases of the segments that become one
	last    core.Offset   // of them the last that is not empty: its last batch stays, if only as a shell
	made    *segment      // what they become
	changed bool          // it says less than they do
	swap    swapStage
	cold    []string // files that the swap has renamed for removal
	stats   CleanStats
}

type cleanStage uint8

const (
	cleanMapping cleanStage = iota
	cleanOpening
	cleanSurveying
	cleanFiltering
	cleanWriting
	cleanSyncing
	cleanSealing
	cleanUnused   // nothing of it changed: its files are being removed
	cleanSwapping // it can't be given up
	cleanRemoving // it was given up: its files are being removed
)

var cleanStageNames = [...]string{"mapping", "opening", "surveying", "filtering", "writing", "syncing", "sealing", "unused", "swapping", "removing"}

// CleanStats say what a clean has done.
type CleanStats struct {
	Mapped, Read, Written int64 // bytes
	Records, Kept         int64
	Keyless               int64 // records without a key, which are removed
	Keys, KeysMost        int64 // in the map
	Took                  core.Time
}

const cleanedSuffix = ".cleaned"

// startClean begins to clean a log.
func (s *Store) startClean(now core.Now, l *Log, d dirt, out *core.Out) {
	s.cleaner.running++
	s.cleaner.ran = now.Mono
	l.clean = &cleaning{begun: now, from: d.from, upTo: d.upTo, keys: newKeyMap(s.cleaner.cfg.keys(), d.from), txns: l.newCleanTxns(d.from), seg: l.segs[l.at(d.from)].base}
	l.clean.stats.KeysMost = l.clean.keys.most
	out.Mark("log.clean")
	s.surveyNext(now, l, out)
}

func (s *Store) cleanOp(l *Log) core.Op {
	l.clean.open++
	return s.start(l, op{kind: opClean})
}

// surveyNext reads the next range, in the mapping and in the filtering of a group.
func (s *Store) surveyNext(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	if c.quit {
		s.cleanQuit(now, l, out)
		return
	}
	if at := s.throttle(now); at > now.Mono {
		out.Mark("log.clean-throttled")
		s.timers.Set(at, timerClean, uint64(l.id), 0)
		return
	}
	g := l.find(c.seg)
	core.Must(g != nil, "a segment stays while it is cleaned")
	c.n = min(max(c.n, s.cleaner.cfg.ChunkBytes), g.size-c.pos)
	from, keyed := core.Offset(math.MinInt64), int64(0)
	if c.stage == cleanMapping {
		from, keyed = c.from, 1
	}
	out.DoWork(s.cleanOp(l), workSurvey, workArgs(int64(from), s.cleaner.cfg.Rows, keyed), g.file, c.pos, c.n)
}

// cleanDue goes on with a clean that waited for the throttle.
func (s *Store) cleanDue(now core.Now, l *Log, out *core.Out) {
	if c := l.clean; c != nil && c.open == 0 && !c.quit {
		s.surveyNext(now, l, out)
	}
}

// cleanStep takes the end of an effect of a clean.
func (s *Store) cleanStep(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	c := l.clean
	core.Must(c != nil, "a clean outlives its effects")
	c.open--
	switch {
	case c.stage == cleanSwapping:
		s.swapStep(now, l, ev.Err, out)
		return
	case c.quit:
		s.cleanQuit(now, l, out)
		return
	case c.stage == cleanUnused:
		if c.open == 0 {
			s.nextGroup(now, l, l.find(c.group[0]).end, out)
		}
		return
	case ev.Err != core.OK && (c.stage == cleanOpening || c.stage >= cleanWriting):
		s.cleanFailed(now, l, ev.Err, out)
		return
	case ev.Err != core.OK:
		s.uncleanable(now, l, "cannot read "+segmentName(c.seg, ".log")+": "+ev.Err.String(), out)
		return
	}
	switch c.stage {
	case cleanMapping:
		s.mapped(now, l, ev.Data, out)
	case cleanOpening:
		c.stage = cleanSurveying
		s.surveyNext(now, l, out)
	case cleanSurveying:
		s.judge(now, l, ev.Data, out)
	case cleanFiltering:
		s.filtered(now, l, ev.Data, out)
	case cleanWriting:
		s.nextRange(now, l, out)
	case cleanSyncing:
		s.sealCleaned(l, out)
	}
}

// nextGroup takes the segments from base on that are to become one, and makes its file.
func (s *Store) nextGroup(now core.Now, l *Log, base core.Offset, out *core.Out) {
	c := l.clean
	c.group, c.changed = c.group[:0], false
	var bytes, index, times int64
	for i := l.at(base); i < len(l.segs)-1; i++ {
		g := l.segs[i]
		if g.base >= c.end || len(c.group) > 0 && (bytes+g.size > l.cfg.SegmentBytes || index+g.indexLen > l.cfg.IndexBytesMax ||
			times+g.timesLen > l.cfg.IndexBytesMax || g.end-1-c.group[0] > math.MaxInt32) {
			break
		}
		bytes, index, times = bytes+g.size, index+g.indexLen, times+g.timesLen
		c.group = append(c.group, g.base)
		if g.size > 0 {
			c.last = g.base
		}
	}
	if bytes == 0 { // files without a batch: there is nothing to copy, nor anything that a crash could tell the group's end by
		if n := len(c.group); n > 0 {
			s.nextGroup(now, l, l.find(c.group[n-1]).end, out)
			return
		}
		s.cleaned(now, l, out)
		return
	}
	c.stage, c.seg, c.pos, c.n = cleanOpening, c.group[0], 0, 0
	c.made = newSegment(c.seg, s.file(), now)
	out.Open(s.cleanOp(l), c.made.file, segmentPath(l.dir, c.seg, ".log"+cleanedSuffix), core.CreateEmpty)
}

// judge decides about each record of a range, and has what stays written down.
func (s *Store) judge(now core.Now, l *Log, data []byte, out *core.Out) {
	c := l.clean
	rows, ok := s.surveyEnds(now, l, data, out)
	if !ok {
		return
	}
	g := l.find(c.seg)
	ending := c.seg == c.last && c.pos+c.got >= g.size
	var verdicts []byte
	for {
		var b surveyed
		if b, rows, ok = nextSurveyed(rows); !ok {
			break
		}
		verdicts = l.judgeBatch(c, &b, ending && len(rows) == 0, verdictFor(verdicts, b.head), out)
	}
	c.stats.Read += c.got
	c.stage = cleanFiltering
	out.DoWork(s.cleanOp(l), workFilter, verdicts, g.file, c.pos, c.got)
}

// judgeBatch appends the verdict about one batch. A batch stays without its records if it is the last of its producer, whose
// next sequence it tells, or the last of the group: it tells where the group ends, so that no offset is missing between two
// segments, which recovery would take for a loss.
func (l *Log) judgeBatch(c *cleaning, b *surveyed, last bool, verdicts []byte, out *core.Out) []byte {
	c.stats.Records += int64(b.head.Count())
	shell := last || l.lastOf(b.head)
	if b.control != 0 {
		return c.judgeMarker(b, shell, l.horizon(c), verdicts, out)
	}
	aborted := c.txns.batch(b)
	if b.head.BaseOffset() > c.keys.latest && !aborted {
		c.stats.Kept += int64(b.head.Count())
		return append(verdicts, verdictKeep)
	}
	n, straddles := b.count(), b.head.LastOffset() > c.keys.latest
	keep := make([]byte, (n+7)/8)
	kept, tombstones := 0, false
	gone := c.overdue(b.head)
	for i := range n {
		at, flags, h := b.row(i)
		switch {
		case aborted:
			out.Mark("log.clean-aborted")
			continue
		case at > c.keys.latest:
		case flags&rowKey == 0:
			c.stats.Keyless++
			continue
		case c.keys.last(h) > at || flags&rowTombstone != 0 && gone:
			continue
		case flags&rowTombstone != 0:
			tombstones = true
		}
		keep[i/8] |= 1 << (i % 8)
		kept++
	}
	c.stats.Kept += int64(kept)
	horizon := batch.NoHorizon
	if tombstones && !straddles && !b.head.HasDeleteHorizon() { // it is clean as a whole
		horizon = l.horizon(c)
	}
	switch {
	case kept == n && n > 0 && horizon == batch.NoHorizon:
		return append(verdicts, verdictKeep)
	case kept == 0:
		return c.empty(b, shell, verdicts, out)
	}
	c.changed = true
	verdicts = binary.BigEndian.AppendUint64(append(verdicts, verdictPart), uint64(horizon))
	return append(binary.BigEndian.AppendUint32(verdicts, uint32(n)), keep...)
}

// empty is the verdict about a batch of which no record stays.
func (c *cleaning) empty(b *surveyed, shell bool, verdicts []byte, out *core.Out) []byte {
	switch {
	case !shell:
		c.changed = true
		return append(verdicts, verdictDrop)
	case b.head.Count() == 0:
		return append(verdicts, verdictKeep)
	}
	out.Mark("log.clean-shell")
	c.changed = true
	return append(verdicts, verdictShell)
}

// judgeMarker appends the verdict about a control batch.
func (c *cleaning) judgeMarker(b *surveyed, shell bool, horizon int64, verdicts []byte, out *core.Out) []byte {
	spare, txn, listed := c.txns.marker(b)
	if listed {
		c.made.aborts = append(c.made.aborts, txn)
	}
	switch {
	case !spare || b.head.BaseOffset() > c.keys.latest:
	case b.control == controlEmpty || c.overdue(b.head):
		out.Mark("log.clean-marker")
		return c.empty(b, shell, verdicts, out)
	case !b.head.HasDeleteHorizon():
		c.changed = true
		return binary.BigEndian.AppendUint64(append(verdicts, verdictStamp), uint64(horizon))
	}
	c.stats.Kept += int64(b.head.Count())
	return append(verdicts, verdictKeep)
}

// overdue reports whether the delete horizon of a batch has passed.
func (c *cleaning) overdue(v batch.View) bool {
	return v.HasDeleteHorizon() && v.BaseTimestamp() <= c.begun.Wall.Millis()
}

// horizon is the instant until which what becomes clean now is kept.
func (l *Log) horizon(c *cleaning) int64 {
	return c.begun.Wall.After(max(0, l.cfg.DeleteRetention)).Millis()
}

// lastOf reports whether a batch is the last that its producer wrote here.
func (l *Log) lastOf(v batch.View) bool {
	i, known := l.producer(v.ProducerID())
	if !known || v.ProducerID() < 0 {
		return false
	}
	p := l.producers[i]
	if p.n == 0 { // a marker alone tells its epoch
		return v.IsControl() && v.ProducerEpoch() == p.epoch
	}
	return v.LastOffset() == p.kept[p.n-1].end-1
}

// filtered writes what is left of a range.
func (s *Store) filtered(now core.Now, l *Log, data []byte, out *core.Out) {
	c := l.clean
	switch {
	case len(data) == 1 && data[0] == filterAstray:
		s.cleanAstray(now, l, "batches that change at or behind byte "+strconv.FormatInt(c.pos, 10)+" of "+segmentName(c.seg, ".log"), out)
		return
	case len(data) == 0 || data[0] != filterGood:
		s.uncleanable(now, l, "a batch that cannot be read at or behind byte "+strconv.FormatInt(c.pos, 10)+" of "+segmentName(c.seg, ".log"), out)
		return
	}
	b, g, at := data[1:], c.made, c.made.size
	for rest := b; len(rest) > 0; {
		v, r, is := batch.First(rest)
		core.Must(is == batch.Good, "what was filtered is whole batches")
		if g.size+int64(v.Size()) > math.MaxInt32 {
			s.uncleanable(now, l, "what is left of "+segmentName(c.seg, ".log")+" is larger than a segment can be", out)
			return
		}
		g.add(v, l.cfg.IndexInterval)
		rest = r
	}
	c.stats.Written += int64(len(b))
	s.spend(now, int64(len(b)))
	if len(b) == 0 {
		s.nextRange(now, l, out)
		return
	}
	c.stage = cleanWriting
	out.Write(s.cleanOp(l), g.file, at, b)
}

// nextRange goes on behind a range that was written.
func (s *Store) nextRange(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	c.stage = cleanSurveying
	for c.pos += c.got; c.pos >= l.find(c.seg).size; c.pos, c.got = 0, 0 {
		if c.seg >= c.last {
			s.copied(now, l, out)
			return
		}
		c.seg = l.find(c.seg).end
	}
	c.got = 0
	s.surveyNext(now, l, out)
}

// copied is reached at a group's end. What is the same as before need not be swapped.
func (s *Store) copied(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	if !c.changed && len(c.group) == 1 {
		c.stage = cleanUnused
		s.removeCleaned(l, out)
		return
	}
	c.stage = cleanSyncing
	out.Sync(s.cleanOp(l), c.made.file)
}

// sealCleaned writes the index files of a new segment beside it.
func (s *Store) sealCleaned(l *Log, out *core.Out) {
	c, g := l.clean, l.clean.made
	c.stage = cleanSealing
	g.addTime()
	g.indexLen, g.timesLen = int64(len(g.index)), int64(len(g.times))
	c.open += 2
	if g.txn = len(g.aborts) > 0; g.txn {
		c.open++
		s.put(put{what: putCleaned, log: l.slot, n: g.base, dir: l.dir, path: segmentPath(l.dir, g.base, ".txnindex"+cleanedSuffix)}, formatTxnIndex(g.aborts), out)
	}
	s.put(put{what: putCleaned, log: l.slot, n: g.base, dir: l.dir, path: segmentPath(l.dir, g.base, ".index"+cleanedSuffix)}, g.index, out)
	s.put(put{what: putCleaned, log: l.slot, n: g.base, dir: l.dir, path: segmentPath(l.dir, g.base, ".timeindex"+cleanedSuffix)}, g.times, out)
}

// cleanedSealed says what came of one index file of a new segment. The last begins the swap.
func (s *Store) cleanedSealed(now core.Now, l *Log, err core.Errno, out *core.Out) {
	c := l.clean
	switch c.open--; {
	case c.quit:
		s.cleanQuit(now, l, out)
	case err != core.OK:
		s.cleanFailed(now, l, err, out)
	case c.open == 0:
		c.stage = cleanSwapping
		s.beginSwap(l, out)
	}
}

// cleaned ends a clean that went to its end.
func (s *Store) cleaned(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	out.Mark("log.cleaned")
	c.stats.Took = now.Mono - c.begun.Mono
	s.cleaner.last = c.stats
	l.cleanPoint, l.strays = c.end, 0
	s.writePoint(l.place, pointClean, out)
	s.cleaner.at = now.Mono
	s.cleanEnd(now, l, out)
}

// cleanEnd goes on with what waited for a clean.
func (s *Store) cleanEnd(now core.Now, l *Log, out *core.Out) {
	l.clean = nil
	s.cleaner.running--
	s.dropSegments(now, l, out)
	s.cutReady(now, l, out)
}

// giveUpClean asks a clean to end. A swap ends first.
func (s *Store) giveUpClean(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	if c == nil || c.quit || c.stage == cleanSwapping {
		return
	}
	out.Mark("log.clean-given-up")
	c.quit = true
	if c.open == 0 {
		s.cleanQuit(now, l, out)
	}
}

// cleanFailed gives a clean up that could not write. It is tried again later: a disk that is full may have room then, and nothing
// rests on what was written.
func (s *Store) cleanFailed(now core.Now, l *Log, err core.Errno, out *core.Out) {
	out.Mark("log.clean-failed")
	out.Note(core.Warn, "log "+l.name()+": cleaning failed: "+err.String())
	s.cleaner.at = now.Mono.After(s.cleaner.cfg.Backoff)
	l.clean.quit = true
	s.cleanQuit(now, l, out)
}

// uncleanable gives a log up that cannot be cleaned, as its bytes are damaged: until the next start nobody tries again.
func (s *Store) uncleanable(now core.Now, l *Log, why string, out *core.Out) {
	out.Mark("log.uncleanable")
	out.Note(core.Error, "log "+l.name()+" cannot be cleaned: "+why)
	l.uncleanable = why
	l.clean.quit = true
	s.cleanQuit(now, l, out)
}

// cleanQuit removes what a clean that is given up has made, and then ends it.
func (s *Store) cleanQuit(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	switch {
	case c.open > 0:
	case c.made != nil:
		c.stage = cleanRemoving
		s.removeCleaned(l, out)
	default:
		s.cleanEnd(now, l, out)
	}
}

// removeCleaned lets go of the files that are to be a segment, and will not be.
func (s *Store) removeCleaned(l *Log, out *core.Out) {
	c := l.clean
	out.CloseFile(0, c.made.file)
	for _, suffix := range []string{".log", ".index", ".timeindex", ".txnindex"} {
		out.Remove(s.cleanOp(l), segmentPath(l.dir, c.made.base, suffix+cleanedSuffix))
	}
	c.made = nil
}

// dropClean forgets the clean of a log that is no more.
func (s *Store) dropClean(l *Log, out *core.Out) {
	if l.clean == nil {
		return
	}
	if l.clean.made != nil {
		out.CloseFile(0, l.clean.made.file)
	}
	l.clean = nil
	s.cleaner.running--
}
