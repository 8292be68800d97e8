package log

import (
	"encoding/binary"

	"klamm/core"
	"klamm/core/batch"
)

// seek is a read or a search under way. Its story: the time index of the segment says an offset (time only), the
// index says a position, headers are walked from there to the batch (stage scan), the bytes are read (bytes only).
// The indexes are hints: where one leads to no batch, the walk begins at the segment's first byte.
//
// A walk may read from another place of the file. Its headers are sound, and what it says of them is wrong: where the batch lies, or that
// none before it holds the offset. Whoever believed that would be sent on past records, again and again, since what is found is kept. So the
// header is read once more at its place (stage confirm), and a batch behind a gap is believed when walks in a row have led to it.
type seek struct {
	what     What // Sought, TimeFound or Bytes
	id       LogID
	cuts     uint32
	stage    seekStage
	from     core.Offset
	upTo     core.Offset
	ts       int64
	bytesMax int64
	seg      core.Offset
	file     core.FileID // of the segment, when a step was given: a swap puts another in its place
	pos      int64
	n        int64 // bytes of this step
	hinted   bool  // pos comes from an index
	age      bool  // retention asks, and nobody else is told

	want  border      // of the batch that is being read first
	gap   core.Offset // where the batch begins to which a walk has led once, although it lies behind the offset; 0: none
	again int         // reads that brought something else than want
	found border      // where the walks lead
	same  int         // so many in a row, if it is behind a gap
	walks int         // that were not believed
	bads  int         // times in a row that a stretch of the walk made no sense
}

type seekStage uint8

const (
	seekTimes seekStage = iota
	seekIndex
	seekScan
	seekConfirm
	seekBytesRead
)

// Seek looks for the batch that holds offset from, so that Locate finds it. Sought answers, whatever came of it.
func (s *Store) Seek(now core.Now, id LogID, from core.Offset, out *core.Out) Ticket {
	return s.seek(seek{what: Sought, id: id, from: from}, out)
}

// SeekTime looks for the first record, from the log start on and below upTo, with this timestamp or a later one, in
// the first segment that has any. TimeFound answers.
func (s *Store) SeekTime(now core.Now, id LogID, timestamp int64, upTo core.Offset, out *core.Out) Ticket {
	return s.seek(seek{what: TimeFound, id: id, ts: timestamp, from: s.Log(id).start, upTo: upTo}, out)
}

// MaxTimestamp looks for the first record that has the log's greatest timestamp. TimeFound answers.
func (s *Store) MaxTimestamp(now core.Now, id LogID, upTo core.Offset, out *core.Out) Ticket {
	ts := int64(-1)
	for _, g := range s.Log(id).segs {
		ts = max(ts, g.maxTime)
	}
	if ts < 0 {
		upTo = 0 // no record has one
	}
	return s.SeekTime(now, id, ts, upTo, out)
}

// ReadAt reads whole batches from the one that holds offset from, up to bytesMax, one at least, that end at or below
// upTo, from one segment. Bytes answers; Data is nobody else's, and empty if there is nothing.
func (s *Store) ReadAt(now core.Now, id LogID, from, upTo core.Offset, bytesMax int64, out *core.Out) Ticket {
	return s.seek(seek{what: Bytes, id: id, from: from, upTo: upTo, bytesMax: max(bytesMax, 1)}, out)
}

func (s *Store) seek(k seek, out *core.Out) Ticket {
	s.ticket++
	t := s.ticket
	l := s.live(k.id)
	if l == nil || l.state != online {
		s.sought(t, &k, Change{Err: core.Invalid, Offset: -1, Timestamp: -1, Epoch: -1})
		return t
	}
	k.cuts = l.cuts
	k.from = max(k.from, l.start)
	if k.upTo = min(k.upTo, l.written); k.what == Sought {
		k.upTo = l.written
	}
	s.seeks[t] = &k
	if k.what == TimeFound {
		s.seekInTime(l, t, &k, out)
	} else {
		s.seekFrom(l, t, &k, out)
	}
	return t
}

// sought ends a seek.
func (s *Store) sought(t Ticket, k *seek, c Change) {
	delete(s.seeks, t)
	if k.age {
		s.ageFound(k, c)
		return
	}
	c.ID, c.What, c.Ticket = k.id, k.what, t
	s.changed(c)
}

func (s *Store) notFound(t Ticket, k *seek) {
	s.sought(t, k, Change{Offset: -1, Timestamp: -1, Epoch: -1})
}

// seekInTime picks the first segment with a timestamp that is late enough.
func (s *Store) seekInTime(l *Log, t Ticket, k *seek, out *core.Out) {
	for _, g := range l.segs {
		if g.maxTime < k.ts || g.end <= l.start && g.size > 0 && g != l.active() {
			continue
		}
		if g.base >= k.upTo || g.size == 0 {
			break
		}
		k.seg = g.base
		if g.ready {
			s.seekPlace(l, t, k, g, max(k.from, lookupTime(g.times, g.base, k.ts)), out)
			return
		}
		k.stage = seekTimes
		s.indexWork(l, t, k, g, ".timeindex", workTimeIndex, workArgs(int64(g.base), k.ts, 0), g.timesLen, out)
		return
	}
	s.notFound(t, k)
}

// seekFrom looks for the place of an offset.
func (s *Store) seekFrom(l *Log, t Ticket, k *seek, out *core.Out) {
	if k.from >= k.upTo {
		s.notFound(t, k)
		return
	}
	if b, ok := l.border(k.from); ok {
		if k.what == Sought || b.end > k.upTo {
			s.notFound(t, k)
			return
		}
		k.seg = b.seg
		s.seekRead(l, t, k, b, out)
		return
	}
	g := l.segs[l.at(k.from)]
	k.seg = g.base
	s.seekPlace(l, t, k, g, k.from, out)
}

// seekPlace turns an offset into a position, by the index in memory or in the file.
func (s *Store) seekPlace(l *Log, t Ticket, k *seek, g *segment, o core.Offset, out *core.Out) {
	if g.ready {
		s.scan(l, t, k, g, lookup(g.index, g.base, o), out)
		return
	}
	k.stage = seekIndex
	s.indexWork(l, t, k, g, ".index", workIndex, workArgs(int64(g.base), int64(o), 0), g.indexLen, out)
}

func (s *Store) indexWork(l *Log, t Ticket, k *seek, g *segment, suffix string, kind core.WorkKind, args []byte, n int64, out *core.Out) {
	k.file = g.file
	f := s.file()
	out.Open(0, f, segmentPath(l.dir, g.base, suffix), core.OpenExisting)
	out.DoWork(s.start(l, op{kind: opSeek, ticket: t}), kind, args, f, 0, n)
	out.CloseFile(0, f)
}

// scan walks headers from pos on.
func (s *Store) scan(l *Log, t Ticket, k *seek, g *segment, pos int64, out *core.Out) {
	if pos < 0 || pos >= g.size {
		pos = 0
	}
	k.stage, k.pos, k.hinted, k.bads = seekScan, pos, pos > 0, 0
	k.n = s.cfg.Sizes.SeekBytes
	if k.what == TimeFound {
		k.n = s.cfg.Sizes.TimeScanBytes
	}
	s.scanStep(l, t, k, g, out)
}

func (s *Store) scanStep(l *Log, t Ticket, k *seek, g *segment, out *core.Out) {
	kind, args := workFind, workArgs(int64(k.from), 0, 0)
	if k.what == TimeFound {
		kind, args = workFindTime, workArgs(k.ts, int64(k.from), int64(k.upTo))
	}
	k.file = g.file
	out.DoWork(s.start(l, op{kind: opSeek, ticket: t}), kind, args, g.file, k.pos, min(k.n, g.size-k.pos))
}

// seekStep carries a seek on. The log may have been cut, deleted or taken offline meanwhile, the segment dropped.
func (s *Store) seekStep(now core.Now, t Ticket, ev *core.Event, out *core.Out) {
	k, ok := s.seeks[t]
	core.Must(ok, "a seek lives until its last effect is done")
	l := s.live(k.id)
	if l == nil || l.state != online || l.cuts != k.cuts || k.age && (l.find(k.seg) == nil || l.find(k.seg).file != k.file) {
		s.sought(t, k, Change{Err: core.Invalid, Offset: -1, Timestamp: -1, Epoch: -1})
		return
	}
	g := l.find(k.seg)
	if g == nil || g.file != k.file || k.from < l.start && g.end <= l.start && !k.age { // retention was faster, or the cleaner: begin anew
		out.Mark("log.seek-overtaken")
		k.found, k.same = border{}, 0
		k.from = max(k.from, l.start)
		if k.what == TimeFound {
			s.seekInTime(l, t, k, out)
		} else {
			s.seekFrom(l, t, k, out)
		}
		return
	}
	hint := int64(-1)
	if len(ev.Data) == 8 {
		hint = int64(binary.BigEndian.Uint64(ev.Data))
	}
	switch k.stage {
	case seekTimes:
		if hint < int64(g.base) {
			out.Mark("log.bad-time-index")
			hint = int64(g.base)
		}
		s.seekPlace(l, t, k, g, max(k.from, core.Offset(hint)), out)
	case seekIndex:
		if hint < 0 {
			out.Mark("log.bad-index")
		}
		s.scan(l, t, k, g, hint, out)
	case seekScan:
		s.scanned(now, l, t, k, g, ev, out)
	case seekConfirm:
		s.confirmed(now, l, t, k, ev, out)
	case seekBytesRead:
		s.readDone(now, l, t, k, g, ev, out)
	}
}

// scanned takes the result of one step of the walk.
func (s *Store) scanned(now core.Now, l *Log, t Ticket, k *seek, g *segment, ev *core.Event, out *core.Out) {
	r, ok := parseSearch(ev.Data)
	bad := !ok || r.how == searchBad || ev.Err != core.OK && ev.Err != core.ShortRead || r.how == searchLarge && (r.size <= k.n || r.size > g.size-k.pos) || k.pos+r.at > g.size ||
		r.how == searchFound && r.base >= 0 && (!l.mayBegin(g, k.pos+r.at, r.base, r.end) || r.end > l.end || k.hinted && r.at == 0 && k.what != TimeFound && r.base > k.from)
	if k.bads++; !bad {
		k.bads = 0
	}
	switch {
	case bad && k.bads < readsMax && (ev.Err == core.OK || ev.Err == core.ShortRead): // it may be from another place
		out.Mark("log.walk-astray")
		s.scanStep(l, t, k, g, out)
	case bad && k.hinted: // the index was wrong
		out.Mark("log.bad-index")
		s.scan(l, t, k, g, 0, out)
	case bad:
		s.Check(now, l.id, g.base, out)
		s.sought(t, k, Change{Err: core.IOError, Offset: -1, Timestamp: -1, Epoch: -1})
	case r.how == searchLarge:
		k.n = r.size
		s.scanStep(l, t, k, g, out)
	case r.how == searchMore:
		if k.pos += r.at; k.pos < g.size && r.at > 0 {
			s.scanStep(l, t, k, g, out)
			return
		}
		i := l.at(g.base) + 1
		switch {
		case k.what == TimeFound:
			s.notFound(t, k) // a segment that lost its latest record to DeleteRecords ends the search
			return
		case i >= len(l.segs) || l.segs[i].base >= k.upTo:
			if k.leads(border{base: -1, seg: g.base}); k.same < l.gapReads() {
				s.walkAgain(now, l, t, k, out)
				return
			}
			s.notFound(t, k) // compacted away up to there
			return
		}
		k.seg = l.segs[i].base // compaction left a hole at the segment's end
		s.scan(l, t, k, l.segs[i], 0, out)
	case k.what == TimeFound:
		s.sought(t, k, Change{Offset: r.base, Timestamp: r.ts, Epoch: r.epoch})
	default:
		b := border{base: r.base, end: r.end, seg: g.base, pos: k.pos + r.at, size: r.size}
		k.leads(b)
		k.stage = seekConfirm
		out.DoWork(s.start(l, op{kind: opSeek, ticket: t}), workFind, workArgs(int64(k.from), 0, 0), g.file, b.pos, min(batch.HeaderBytes, g.size-b.pos))
	}
}

// confirmed takes the header at the place where a walk has found a batch.
func (s *Store) confirmed(now core.Now, l *Log, t Ticket, k *seek, ev *core.Event, out *core.Out) {
	r, ok := parseSearch(ev.Data)
	b, here := k.found, false
	if ok && ev.Err == core.OK && r.how == searchFound && r.at == 0 {
		here = r.base == b.base && r.end == b.end && r.size == b.size
	}
	need := 1
	if b.base > k.from {
		need = l.gapReads()
	}
	if !here || k.same < need {
		if !here {
			out.Mark("log.walk-astray")
			k.found, k.same = border{}, 0
		}
		s.walkAgain(now, l, t, k, out)
		return
	}
	if b.base > k.from {
		k.gap = b.base
	}
	b.base = min(k.from, b.base)
	l.sought[l.soughtAt] = b
	l.soughtAt = (l.soughtAt + 1) % soughtMax
	if k.what == Sought || b.end > k.upTo {
		s.notFound(t, k)
		return
	}
	s.seekRead(l, t, k, b, out)
}

// leads takes in where a walk leads: to a batch, or to none (base -1).
func (k *seek) leads(b border) {
	if k.same++; b != k.found {
		k.found, k.same = b, 1
	}
}

// walkAgain begins a walk that is not believed anew, unless it was often enough.
func (s *Store) walkAgain(now core.Now, l *Log, t Ticket, k *seek, out *core.Out) {
	if k.walks++; k.walks >= walksMax {
		s.Check(now, l.id, k.from, out)
		s.sought(t, k, Change{Err: core.IOError, Offset: -1, Timestamp: -1, Epoch: -1})
		return
	}
	s.seekFrom(l, t, k, out)
}

// walksMax bounds the walks of a seek that are not believed.
const walksMax = 2 * readsMax

// mayBegin reports whether a batch can stand at a position of a segment: none begins below the segment's base, but for the very first
// one of a log that began anew within it, since DeleteRecords had set the leader's log start there.
func (l *Log) mayBegin(g *segment, pos int64, base, end core.Offset) bool {
	return base >= g.base || pos == 0 && g == l.segs[0] && end > g.base
}

// seekRead reads from a known batch on.
func (s *Store) seekRead(l *Log, t Ticket, k *seek, b border, out *core.Out) {
	g := l.find(k.seg)
	core.Must(g != nil, "a border lies in a segment of the log")
	k.file, k.want = g.file, b
	k.stage, k.pos, k.n = seekBytesRead, b.pos, min(max(b.size, k.bytesMax), g.size-b.pos)
	out.Read(s.start(l, op{kind: opSeek, ticket: t}), g.file, b.pos, k.n)
}

// readDone cuts what was read to whole batches. Each must be where the log says that one is: a read from the wrong
// place may bring no batch, or one with a valid checksum. What follows the first one in the file follows it here too, but the first may be any batch of the
// segment: then the place is looked for and read again, since whoever takes what lies behind for what comes next loses a batch.
func (s *Store) readDone(now core.Now, l *Log, t Ticket, k *seek, g *segment, ev *core.Event, out *core.Out) {
	data := ev.Data
	if v, _, is := batch.First(data); (ev.Err == core.OK || ev.Err == core.ShortRead) && (is != batch.Good || !k.wants(v)) {
		if k.again++; k.again < readsMax {
			out.Mark("log.read-astray")
			if k.gap = 0; is == batch.Good && k.wanted(v) {
				k.gap = v.BaseOffset()
			}
			l.forgetSought(k.want)
			s.seekFrom(l, t, k, out)
			return
		}
		data = nil
	}
	next, n := k.from, 0
	for rest := data; len(rest) > 0; {
		v, r, is := batch.First(rest)
		if is != batch.Good || v.LastOffset()+1 > k.upTo {
			break
		}
		if v.LastOffset() < next || n > 0 && v.BaseOffset() < next || !l.mayBegin(g, k.pos+int64(n), v.BaseOffset(), v.LastOffset()+1) || !v.CheckCRC() {
			n = 0
			break
		}
		next, n, rest = v.LastOffset()+1, n+v.Size(), r
	}
	if n == 0 {
		l.forgetSought(k.want)
		s.Check(now, l.id, g.base, out)
		s.sought(t, k, Change{Err: core.IOError})
		return
	}
	s.sought(t, k, Change{Data: data[:n]})
}

// wants reports whether the first batch of a read is the one that was to be read. A walk that went astray may have led to
// a batch behind it. Compaction leaves gaps, so one that begins behind the offset is believed if a second walk leads to it too, or if its border is
// known since it was written or loaded.
func (k *seek) wants(v batch.View) bool {
	base := v.BaseOffset()
	return k.wanted(v) && (base <= k.from || base == k.want.base || base == k.gap)
}

// wanted reports whether a batch is the one that was looked for, right or wrong.
func (k *seek) wanted(v batch.View) bool {
	return v.LastOffset()+1 == k.want.end && int64(v.Size()) == k.want.size
}

// forgetSought forgets a border that a walk has found.
func (l *Log) forgetSought(b border) {
	for i := range l.sought {
		if l.sought[i] == b {
			l.sought[i] = border{}
		}
	}
}
