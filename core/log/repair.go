package log

import (
	"bytes"
	"math"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
)

// A damaged log. Below the recovery point stands something else than what was written: a checksum that does not match,
// a batch where none may be, or nothing. Its records may have been acknowledged, so nothing is cut, and it is not known what they were:
// other replicas know. Until they have told it serves nobody and leads nothing.
//
// # What it looks like
//
// To whoever follows a leader with it, a damaged log is one that ends where the damage begins (Damaged): all below is
// verified and its own, and that is all that it says of itself to the leader. So the leader counts it with no more, sends what comes next,
// and tells of a divergence if there is one. What comes next is not appended but written over the damage (AppendExact), synced,
// and read again from the disk by the same scan that found the damage; that goes on over what is still good, to the next damage or
// to the end. Truncate gives up everything from an offset on, Restart everything.
//
// # States, and what may come between
//
//	wanting   (damaged, stage loadWant) nothing is in flight. AppendExact, Truncate, Restart, RaiseStart, Delete, Stop may come.
//	patching  (loading, loadPatch, loadPatched) one batch is being written, or synced. Only Delete and Stop may come.
//	scanning  (loading) as any load. It ends wanting again, or online.
//
// A crash in any of them finds the damage again, or bytes that the scan accepts: a patch lies where its batch belongs, so
// half of one is still damage. The recovery point stays where it was, but for a Truncate, which lowers it first: what is cut
// is not to be missed. A second damage, or one in a batch that was just written, is found by the scan; a place that takes no
// patch after patchTriesMax takes the log offline. A new leader may tell another history: its batches differ from
// those behind them here in their epochs, and what does not follow is damage too, until all of it is the leader's, or is cut by the
// epochs when the log is online again.
type hurt struct {
	why      string      // what the scan found
	tries    int         // patches at the offset at
	at       core.Offset // … of the newest one
	spare    []byte      // batches of the leader's, verified: the next ones to be written, perhaps
	mended   core.Offset // what lies below came from the leader, or is verified: the epoch file need not know it
	distrust bool        // the batch at pos of the segment seg is not believed, although its checksum matches
	seg      core.Offset
	pos      int64
	gapSeg   core.Offset // of the newest batch that follows a gap: the segment,
	gapPos   int64       // its place,
	gapEnd   int64       // and the place behind it; 0: none
}

// patchTriesMax is how often a batch is written at one place.
const patchTriesMax = 3

// Repairs counts what befell the logs of a Store in this life.
type Repairs struct {
	Found   int64 // places that were damaged
	Batches int64 // that were written over damage
	Bytes   int64 // of them
	Healed  int64 // logs that are whole again
}

// Repairs is the count so far.
func (s *Store) Repairs() Repairs { return s.repairs }

// Damaged reports whether a log waits for bytes of others, and the offset from which on: what it holds below that is sound. What
// lies below its start is not asked for.
func (l *Log) Damaged() (core.Offset, bool) { return max(l.end, l.start), l.state == damaged }

// hurtHere has a log wait for what others know of its end. First what is in flight ends: snapshots that the scan makes.
func (s *Store) hurtHere(l *Log, why string, out *core.Out) {
	out.Mark("log.damaged")
	if l.p.Topic == metadataTopic { // it has no leader that could be asked before it is read
		s.fail(l, why, out)
		return
	}
	l.load.stage, l.load.hurt.why = loadQuiet, why
}

// hurtNow goes on when nothing is in flight.
func (s *Store) hurtNow(l *Log, out *core.Out) {
	d := l.load
	h := &d.hurt
	why := h.why
	if h.gapEnd > 0 && h.gapEnd == l.segs[d.i].size && h.gapSeg == l.segs[d.i].base && !h.distrust {
		// A checksum does not cover where a batch begins. The one before follows a gap and leaves no room for this one: it may
		// be the one that is wrong.
		out.Mark("log.distrusted")
		s.scanAgain(l, hurt{distrust: true, seg: h.gapSeg, pos: h.gapPos, mended: h.mended}, out)
		return
	}
	if h.at == l.end && h.tries >= patchTriesMax {
		s.fail(l, why+", and what is written there is not what is read", out)
		return
	}
	s.repairs.Found++
	if s.patchNext(l, out) {
		return
	}
	l.state, l.why, d.stage = damaged, why, loadWant
	l.written, l.durable = l.end, l.end
	out.Note(core.Error, "log "+l.name()+" is offline: "+why)
	s.changed(Change{ID: l.id, What: Failed, Note: why, Offset: l.end})
	if !l.reload && !l.placed {
		l.placed = true
		s.loadEnded(out)
	}
}

// scanAgain begins a load anew, as the one that is under way began.
func (s *Store) scanAgain(l *Log, h hurt, out *core.Out) {
	was := l.load
	for _, g := range l.segs {
		out.CloseFile(0, g.file)
	}
	l.segs, l.ring, l.epochs, l.doubt = nil, ring{}, nil, nil
	l.forgetProducers()
	s.beginLoad(l, was.clean, was.point, out)
	l.load.cut, l.load.limit, l.load.checks, l.load.check, l.load.hurt = was.cut, was.limit, was.checks, was.check, h
	l.load.newest = was.newest
}

// patch takes batches of the leader's for a damaged log. They are copied: b is not kept.
func (s *Store) patch(l *Log, b []byte, out *core.Out) AppendError {
	d := l.load
	next, epoch := l.end, l.EpochBelow(l.end)
	n := 0
	for rest := b; len(rest) > 0; {
		v, r, is := batch.First(rest)
		if is != batch.Good || !v.CheckCRC() || !s.patches(l, v, next) || v.LeaderEpoch() >= 0 && v.LeaderEpoch() < epoch {
			break
		}
		epoch = max(epoch, v.LeaderEpoch())
		next, n, rest = v.LastOffset()+1, n+v.Size(), r
	}
	if n == 0 {
		return BadBatch
	}
	d.hurt.spare = bytes.Clone(b[:n])
	if !s.patchNext(l, out) {
		return BadBatch
	}
	return AppendOK
}

// patches reports whether a batch may stand at next. Offsets may be left out where compaction leaves them out, and where nobody asks
// for them any more.
func (s *Store) patches(l *Log, v batch.View, next core.Offset) bool {
	gaps := l.cfg.Compact || compactedAlways(l.p.Topic) || v.BaseOffset() <= l.start
	return v.LastDelta() >= 0 && v.BaseOffset() >= next && (v.BaseOffset() == next || gaps) && v.LastOffset() >= l.start && v.LastOffset() >= v.BaseOffset()
}

// patchNext writes the next spare batch over the damage at the log's end; false if there is none that belongs there.
func (s *Store) patchNext(l *Log, out *core.Out) bool {
	d := l.load
	g := l.segs[d.i]
	for len(d.hurt.spare) > 0 && batch.View(d.hurt.spare).LastOffset() < max(l.end, l.start) { // still good here
		d.hurt.spare = d.hurt.spare[batch.View(d.hurt.spare).Size():]
	}
	if len(d.hurt.spare) == 0 {
		d.hurt.spare = nil
		return false
	}
	v, _, _ := batch.First(d.hurt.spare)
	if !s.patches(l, v, l.end) {
		d.hurt.spare = nil
		return false
	}
	next := core.Offset(math.MaxInt64)
	if d.i+1 < len(l.segs) {
		next = l.segs[d.i+1].base
	}
	switch {
	case v.BaseOffset() >= next: // compaction has left nothing of this segment
		s.trim(l, g, out)
		return true
	case v.LastOffset() >= next || v.LastOffset()-g.base > math.MaxInt32 || g.size+int64(v.Size()) > math.MaxInt32:
		// Not what stood here: the segments say so. The leader has another history, in which nothing of this one goes on.
		out.Mark("log.patch-does-not-fit")
		s.cutDamaged(l, l.end, out)
		return true
	}
	if d.hurt.at != l.end {
		d.hurt.at, d.hurt.tries = l.end, 0
	}
	d.hurt.tries++
	out.Mark("log.patch")
	s.repairs.Batches++
	s.repairs.Bytes += int64(v.Size())
	l.state, d.stage = loading, loadPatch
	d.twice = twice{} // other bytes stand there now
	d.hurt.mended = v.LastOffset() + 1
	if d.hurt.distrust && d.hurt.seg == g.base && d.hurt.pos == g.size {
		d.hurt.distrust = false
	}
	g.limit = max(g.limit, g.size+int64(v.Size()))
	out.Write(s.start(l, op{kind: opLoad}), g.file, g.size, bytes.Clone(v))
	d.hurt.spare = d.hurt.spare[v.Size():]
	return true
}

// trim cuts off what a segment file holds behind its last batch, when the next segment goes on there.
func (s *Store) trim(l *Log, g *segment, out *core.Out) {
	out.Mark("log.patch-trims")
	g.limit = g.size
	l.state, l.load.stage = loading, loadPatch
	out.Truncate(s.start(l, op{kind: opLoad}), g.file, g.size)
}

// spent reports whether all offsets of the segment that is being scanned are accounted for, while its file goes on: what was written
// over damage was shorter.
func (l *Log) spent() bool {
	d := l.load
	return d.hurt.mended > 0 && d.i+1 < len(l.segs) && l.end >= l.segs[d.i+1].base && l.segs[d.i].size < l.segs[d.i].limit
}

// healed is told when a load ends well.
func (s *Store) healed(l *Log, out *core.Out) {
	if l.why == "" {
		return
	}
	out.Mark("log.healed")
	s.repairs.Healed++
	out.Note(core.Info, "log "+l.name()+" is whole again")
	l.why = ""
}

// Displaces reports whether batches of the leader's may end elsewhere in the file than what stood there, so that what follows in it cannot be
// read any more: above the recovery point that looks torn, and is cut, although it was synced. Of the same history, without a gap, and where
// nothing was compacted, batches are as long here as there. In a segment below the recovery point, nothing else follows.
func (l *Log) Displaces(b []byte) bool {
	v, _, is := batch.First(b)
	if l.state != damaged || is != batch.Good {
		return false
	}
	d := l.load
	if d.i+1 < len(l.segs) && l.segs[d.i+1].base <= d.point {
		return false
	}
	return l.cfg.Compact || l.gaps || compactedAlways(l.p.Topic) || v.BaseOffset() != l.end
}

// epochFits holds the epoch of a batch, which its checksum does not cover, against the epoch file: that has every epoch
// of the batches from the start up to the recovery point. An epoch that began below the start is held against the recovery
// point from the start on only, see trimEpochs.
func (d *load) epochFits(v batch.View) bool {
	if d.oldest || v.LeaderEpoch() < 0 || v.LastOffset() >= d.point || v.LastOffset() < d.hurt.mended {
		return true
	}
	for i := len(d.onFile) - 1; i >= 0; i-- {
		if d.onFile[i].start <= v.BaseOffset() {
			return d.onFile[i].epoch == v.LeaderEpoch()
		}
	}
	return true
}

// cutDamaged gives up what a damaged log holds from an offset on. First the recovery point is lowered, durably: what goes is not
// to be missed after a crash.
func (s *Store) cutDamaged(l *Log, to core.Offset, out *core.Out) {
	out.Mark("log.damaged-cut")
	to = min(to, l.end)
	base := l.segs[l.at(to)].base
	l.cleanPoint = min(l.cleanPoint, to)
	s.closeForLoad(l, base, out)
	l.load = &load{stage: loadSink, at: to, hide: min(base, to)}
	s.writePoint(l.place, pointRecovery, out)
}

// restartDamaged has a damaged log begin anew. How far its records go is not known, but no segment holds more offsets than 31 bits
// count.
func (s *Store) restartDamaged(l *Log, at core.Offset, out *core.Out) {
	end := max(l.end, l.load.point, l.segs[len(l.segs)-1].base+math.MaxInt32)
	l.cleanPoint = 0
	s.closeForLoad(l, math.MaxInt64, out)
	l.end = end
	s.hide(l, at, out)
}

// RaiseStart raises the start of a damaged log above its damage, because the leader's log begins there: what lies below is not to be had any
// more, and nobody asks for it. Truncated or Failed follows. It reports false if the log is not damaged, or
// begins there already.
func (s *Store) RaiseStart(id LogID, to core.Offset, out *core.Out) bool {
	l := s.live(id)
	if l == nil || l.state != damaged || to <= l.start || s.stop.on {
		return false
	}
	out.Mark("log.damaged-below-start")
	point, newest := l.load.point, l.load.newest
	s.closeForLoad(l, math.MaxInt64, out)
	l.load = &load{stage: loadRise, at: to, point: point, newest: newest}
	s.writePoint(l.place, pointStart, out)
	return true
}

// pinDamaged is what a checkpoint has to say of a log that is on its way from one load to the next.
func (l *Log) pinDamaged(kind pointKind) (core.Offset, bool) {
	switch d := l.load; {
	case d.stage == loadSink && kind == pointRecovery:
		return min(l.saved[kind], d.hide), true
	case d.stage == loadRise && kind == pointStart:
		return d.at, true
	}
	return 0, false
}

// pointedDamaged goes on with such a log when the checkpoint says it.
func (s *Store) pointedDamaged(l *Log, out *core.Out) {
	switch d := l.load; {
	case d.stage == loadSink && l.saved[pointRecovery] <= d.hide:
		s.beginLoad(l, false, d.at, out)
		l.load.cut, l.load.limit = true, d.at
	case d.stage == loadRise && l.saved[pointStart] == d.at:
		l.start, l.wantStart, l.high = d.at, d.at, max(l.high, d.at)
		s.beginLoad(l, false, d.point, out)
		l.load.newest = d.newest
	}
}

// damagedWhere names a place in a log.
func damagedWhere(why string, l *Log, g *segment) string {
	return why + " at offset " + strconv.FormatInt(int64(l.end), 10) + ", byte " + strconv.FormatInt(g.size, 10) + " of " + segmentName(g.base, ".log")
}

// twice is what a scan remembers of a stretch that it has read more than once: a read may come from another place of the disk, and
// what was only read wrong is neither damaged nor torn.
type twice struct {
	seg  core.Offset // the stretch begins at pos of this segment,
	pos  int64
	base core.Offset // and with the batch at this offset, when it was last read,
	same int         // so many times in a row
	n    int         // times that it was read again
}

// readsMax is how often a stretch is read before something is made of what is wrong with it.
const readsMax = 4

// twiceAt is what is remembered of the stretch at the end of a segment.
func (d *load) twiceAt(g *segment) *twice {
	t := &d.twice
	if t.seg != g.base || t.pos != g.size {
		*t = twice{seg: g.base, pos: g.size, base: -1}
	}
	return t
}

// scanOnceMore has what follows g.size read again; false if it was often enough.
func (s *Store) scanOnceMore(now core.Now, l *Log, g *segment, most int, out *core.Out) bool {
	t := l.load.twiceAt(g)
	if t.n++; t.n >= most {
		return false
	}
	out.Mark("log.read-again")
	s.scanNext(now, l, out)
	return true
}

// folded is the newest batch that a scan has taken.
type folded struct {
	seg    core.Offset
	pos    int64
	size   int64 // 0: there is none
	header [batch.HeaderBytes]byte
}

// leadOf is how many bytes before g.size a read has to begin to bring the newest batch too; 0 if it lies elsewhere.
func (d *load) leadOf(g *segment) int64 {
	if f := &d.folded; f.seg == g.base && f.pos+f.size == g.size {
		return f.size
	}
	return 0
}

// here takes off a read what it began with to show where it came from. It reports false if that is not what is there: the whole
// of a read is of one place.
func (d *load) here(rows []byte) ([]byte, bool) {
	if d.lead == 0 {
		return rows, true
	}
	if len(rows) < checkRow || !bytes.Equal(rows[:batch.HeaderBytes], d.folded.header[:]) {
		return rows, false
	}
	return rows[checkRow:], true
}

// mayBeAstray reports whether a read may come from another place, and is to be repeated. Compaction leaves gaps between batches; a read from
// another place brings sound batches too, and so another gap. So what begins behind a gap is read again together with the batch before it,
// which shows that it lies there. At the beginning of a segment there is none: there, what begins behind a gap has to come again the same.
func (s *Store) mayBeAstray(l *Log, g *segment, rows []byte) bool {
	d := l.load
	rows, here := d.here(rows)
	if !here {
		return true // with the lead again
	}
	if len(rows) < checkRow || d.lead > 0 {
		return false
	}
	base := batch.View(rows[:batch.HeaderBytes]).BaseOffset()
	if base <= l.end || d.expect >= 0 {
		return false
	}
	if d.lead = d.leadOf(g); d.lead > 0 {
		return true
	}
	t := d.twiceAt(g)
	if t.same++; t.base != base {
		t.base, t.same = base, 1
	}
	return t.same < l.gapReads()
}

// gapReads is how often in a row the same has to be found behind a gap before it is believed: compaction leaves gaps, but what was read from
// another place looks just so. A log may have been compacted once without anybody knowing any more.
func (l *Log) gapReads() int {
	if l.gaps || l.cfg.Compact || compactedAlways(l.p.Topic) {
		return 2
	}
	return readsMax
}
