package log

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
)

// scrub looks for rot before a reader does. It walks all segments of all logs, the oldest of each first, and checks what a
// recovery would check: checksums, that offsets follow each other, that epochs are those of the log. What is not durable yet is left
// to the next pass. It reads no more than so many bytes a second, in steps of bounded size, one at a time.
//
// What it finds bad it reads once more, since a read may go astray. If that is bad too it is told (Rotten), and whoever knows whether there are
// other replicas decides what becomes of the log: see suspect. The walk goes on with the next segment.
//
// Whatever becomes of a log between two steps (it is cut, deleted, its oldest segments go), the walk finds its place again by the
// partition and the segment's base. Who has reason to doubt a segment has it checked before the others (Check).
//
// Invariants: at most one step is in flight (busy); urgent is at most urgentMax long.
type scrub struct {
	due     core.Time // of the next step
	began   core.Time // the pass under way
	walking bool      // there is one
	walk    scrubPlace
	urgent  []doubtful
	hurry   bool // the first of urgent is being checked, at the place hurt
	now     scrubPlace
	busy    bool
	again   bool  // what was read was bad, and is read once more
	n       int64 // bytes of the next step, if a batch needs more than usual
	given   int64 // bytes of the step in flight
	counts  ScrubCounts
}

// scrubPlace is how far a walk has come: to the batch at pos of a segment, which is to begin at next.
type scrubPlace struct {
	p    Partition
	seg  core.Offset
	file core.FileID // the segment's, when it was there: the cleaner may put another in its place
	pos  int64
	next core.Offset
}

// doubtful is a segment that somebody has reason to doubt.
type doubtful struct {
	log LogID
	seg core.Offset
}

// urgentMax bounds the segments that are to be checked before the others; more doubts wait for the walk.
const urgentMax = 64

// ScrubCounts tell of the scrub in this life.
type ScrubCounts struct {
	Bytes    int64 // checked
	Passes   int64 // over all logs
	Pass     int64 // bytes checked in the pass under way
	Suspects int64 // places that were bad twice
	Unread   int64 // segments that could not be read to their end
}

// Scrub tells how far the scrub is, and of all bytes of the logs in this pass.
func (s *Store) Scrub() ScrubCounts { return s.scrub.counts }

// Check has the segment that holds an offset checked soon: something read of it was not what it should be.
func (s *Store) Check(now core.Now, id LogID, at core.Offset, out *core.Out) {
	l := s.live(id)
	k := &s.scrub
	if l == nil || l.state != online || len(l.segs) == 0 || len(k.urgent) >= urgentMax || s.stop.on {
		return
	}
	c := doubtful{id, l.segs[l.at(at)].base}
	if slices.Contains(k.urgent, c) {
		return
	}
	out.Mark("log.check")
	k.urgent = append(k.urgent, c)
	if k.due = min(k.due, now.Mono); !k.busy {
		s.scrubStep(now, out)
	}
}

// scrubOn begins the walks, once the logs are loaded.
func (s *Store) scrubOn(now core.Now) {
	if s.cfg.ScrubRate > 0 {
		s.scrub.due = now.Mono.After(min(s.cfg.ScrubInterval, scrubFirst))
	}
}

// scrubFirst is how long a start is left in peace.
const scrubFirst = core.Minute

// scrubStep reads the next stretch, if it is time.
func (s *Store) scrubStep(now core.Now, out *core.Out) {
	k := &s.scrub
	if k.busy || now.Mono < k.due || s.stop.on || !s.boot.done {
		return
	}
	l, g := s.scrubNext(now)
	if l == nil {
		return
	}
	at := k.place()
	k.busy = true
	k.given = min(max(k.n, s.cfg.Sizes.ScanBytes), g.size-at.pos)
	out.DoWork(s.start(l, op{kind: opScrub, n: int64(g.file)}), workCheck, workArgs(1, s.cfg.Sizes.ScanRows, 0), g.file, at.pos, k.given)
}

func (k *scrub) place() *scrubPlace {
	if k.hurry {
		return &k.now
	}
	return &k.walk
}

// scrubNext finds the next stretch to be read. If there is none, it sets when to look again.
func (s *Store) scrubNext(now core.Now) (*Log, *segment) {
	k := &s.scrub
	for len(k.urgent) > 0 {
		l := s.live(k.urgent[0].log)
		if !k.hurry && l != nil {
			k.hurry, k.again, k.n = true, false, 0
			k.now = scrubPlace{p: l.p, seg: k.urgent[0].seg, next: k.urgent[0].seg}
		}
		if l != nil && l.state == online && l.cut == nil {
			if g := l.find(k.now.seg); g != nil && k.now.in(g).more(l, g) {
				return l, g
			}
		}
		k.urgent, k.hurry = k.urgent[1:], false
	}
	k.urgent = nil
	if s.cfg.ScrubRate <= 0 {
		k.due = core.Never
		return nil, nil
	}
	if !k.walking {
		k.walking, k.began, k.walk, k.counts.Pass = true, now.Mono, scrubPlace{seg: -1}, 0
	}
	if l, g := s.scrubWalk(); l != nil {
		return l, g
	}
	k.walking = false
	k.counts.Passes++
	k.due = max(k.began.After(s.cfg.ScrubInterval), now.Mono.After(core.Millisecond))
	return nil, nil
}

// scrubWalk finds the place of the walk again, or the next after it.
func (s *Store) scrubWalk() (*Log, *segment) {
	w := &s.scrub.walk
	i, _ := slices.BinarySearchFunc(s.order, w.p, func(id LogID, p Partition) int { return s.logs[id].p.Compare(p) })
	for ; i < len(s.order); i++ {
		l := s.logs[s.order[i]]
		if l.p != w.p {
			*w = scrubPlace{p: l.p, seg: -1}
			s.scrub.again, s.scrub.n = false, 0
		}
		if l.state != online || l.cut != nil {
			continue
		}
		for _, g := range l.segs {
			if g.base > w.seg {
				w.seg, w.pos, w.next = g.base, 0, g.base
				s.scrub.again, s.scrub.n = false, 0
			}
			if g.base == w.seg && w.in(g).more(l, g) {
				return l, g
			}
		}
	}
	return nil, nil
}

// in has the walk begin a segment anew that is another now.
func (w *scrubPlace) in(g *segment) *scrubPlace {
	if w.file != g.file {
		w.file, w.pos, w.next = g.file, 0, g.base
	}
	return w
}

// more reports whether there is something left to be checked in a segment.
func (w *scrubPlace) more(l *Log, g *segment) bool { return w.pos < g.size && w.next < l.durable }

// scrubbed takes what a step has read.
func (s *Store) scrubbed(now core.Now, l *Log, o op, ev *core.Event, out *core.Out) {
	k := &s.scrub
	k.busy = false
	if k.due = now.Mono; s.cfg.ScrubRate > 0 && !k.hurry {
		k.due = now.Mono.After(core.Time(k.given) * core.Second / core.Time(s.cfg.ScrubRate))
	}
	at := k.place()
	g := l.find(at.seg)
	if l.state != online || l.cut != nil || o.cuts != l.cuts || l.p != at.p || g == nil || g.file != core.FileID(o.n) {
		out.Mark("log.scrub-overtaken")
		return
	}
	k.counts.Bytes += k.given
	k.counts.Pass += k.given
	if ev.Err != core.OK && ev.Err != core.ShortRead || len(ev.Data) < checkHead {
		k.counts.Unread++
		at.pos = g.size // what cannot be read is not known to be wrong
		return
	}
	if k.n = 0; at.check(l, g, ev.Data, k) {
		k.again = false
		return
	}
	if !k.again {
		k.again, k.n, k.due = true, k.given, now.Mono
		return
	}
	k.again = false
	k.counts.Suspects++
	where := "something is wrong at offset " + strconv.FormatInt(int64(at.next), 10) + ", byte " + strconv.FormatInt(at.pos, 10) + " of " + segmentName(g.base, ".log")
	at.pos = g.size
	out.Mark("log.rotten")
	s.changed(Change{ID: l.id, What: Rotten, Offset: g.base, Note: where})
}

// check goes through the batches that were read; false if something is wrong with them.
func (w *scrubPlace) check(l *Log, g *segment, res []byte, k *scrub) bool {
	how, need := ended(res[0]), int64(binary.BigEndian.Uint64(res[1:]))
	from := w.pos
	for rows := res[checkHead:]; len(rows) >= checkRow; rows = rows[checkRow:] {
		v := batch.View(rows[:batch.HeaderBytes])
		if w.next >= l.durable {
			return true
		}
		if !l.isPlace(g, v, w) {
			return false
		}
		w.next, w.pos = v.LastOffset()+1, w.pos+int64(v.Size())
	}
	switch {
	case w.next >= l.durable:
		return true
	case how == endedBad, how == endedShort && w.pos+need > g.size:
		return false
	case how == endedShort && w.pos == from:
		k.n = need
	}
	return true
}

// isPlace reports whether a batch that is durable may stand where it was found.
func (l *Log) isPlace(g *segment, v batch.View, w *scrubPlace) bool {
	base, last := v.BaseOffset(), v.LastOffset()
	first := g == l.segs[0] && w.pos == 0 // a log may begin inside of a batch
	if v.LastDelta() < 0 || base < 0 || last < base || base < w.next && !first || last < w.next || last >= l.durable || g != l.active() && last >= g.end {
		return false
	}
	if b, ok := l.ring.find(w.next); ok && b.seg == g.base && b.pos == w.pos && (b.base != base || b.end != last+1 || b.size != int64(v.Size())) {
		return false
	}
	for i := len(l.epochs) - 1; i >= 0 && v.LeaderEpoch() >= 0; i-- {
		if l.epochs[i].start <= base {
			return l.epochs[i].epoch == v.LeaderEpoch()
		}
	}
	return true
}

// suspect takes a log out of service in which something below its durable end is not what it should be, and loads it anew from that
// segment on, as after a crash: a load knows how to be repaired. First all that is in flight ends and is synced, and the checkpoint
// says so, since what lies above the recovery point would be taken for a torn end. Failed is told at once; Truncated when the load
// has found nothing wrong, or nothing any more, and Failed again for each damage.
func (s *Store) suspect(now core.Now, l *Log, seg core.Offset, out *core.Out) {
	if l.state != online || l.cut != nil || s.stop.on || l.p.Topic == metadataTopic {
		return
	}
	out.Mark("log.suspect")
	l.why = "suspected of damage in " + segmentName(seg, ".log")
	out.Note(core.Error, "log "+l.name()+" is offline: "+l.why)
	s.changed(Change{ID: l.id, What: Failed, Note: l.why, Offset: l.end})
	l.cut = &cut{to: l.end, check: true, seg: seg}
	s.pump(now, l, out)
	s.cutReady(now, l, out)
}

// SuspectFrom is suspect for the segments from one on.
func (s *Store) SuspectFrom(now core.Now, id LogID, seg core.Offset, out *core.Out) {
	if l := s.live(id); l != nil && len(l.segs) > 0 {
		s.suspect(now, l, max(seg, l.segs[0].base), out)
	}
}

// checkReady goes on with a suspect log in which nothing is in flight any more.
func (s *Store) checkReady(l *Log, out *core.Out) {
	c := l.cut
	if c.stage == cutDrain {
		c.stage = cutPoint
		if l.saved[pointRecovery] < l.recoveryPoint() || s.dirs[l.place].points[pointRecovery].writing {
			s.writePoint(l.place, pointRecovery, out)
		}
	}
	if l.saved[pointRecovery] < l.recoveryPoint() || s.dirs[l.place].points[pointRecovery].writing {
		return
	}
	point, seg, newest := l.durable, c.seg, l.newestEpoch()
	s.closeForLoad(l, math.MaxInt64, out) // what is written over damage is what should have been there
	s.beginLoad(l, false, point, out)
	l.load.checks, l.load.check, l.load.newest = true, seg, newest
}
