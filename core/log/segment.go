package log

import (
	"encoding/binary"
	"math"
	"sort"

	"klamm/core"
	"klamm/core/batch"
)

// segment is one .log file and its indexes.
//
// Invariants: end is the offset after its last batch, or base; a sealed one has a next segment, whose base is its
// end or, on a compacted log, above. index and times are the content of the index files; once the segment is sealed
// and seals is 0 they are dropped, and the files count.
type segment struct {
	base, end core.Offset
	file      core.FileID
	size      int64
	limit     int64       // while it is scanned: the file's size
	maxTime   int64       // greatest timestamp of its batches, -1 if none has one
	maxAt     core.Offset // last offset of the batch that has it
	firstTime int64       // greatest timestamp of its first batch, from which segment.ms counts; -1 unknown
	made      core.Time   // wall clock: when it was made or loaded; stands for timestamps where there are none
	index     []byte
	times     []byte
	aborts    []AbortedTxn // whose markers are in it, in order: the content of the transaction index
	since     int64        // bytes since the last index entry
	indexLen  int64        // size of the files, once sealed
	timesLen  int64
	entry     bool // its directory entry is durable
	seals     int8 // files of the seal still being written
	ready     bool // index and times are in memory
	txn       bool // there is a .txnindex, or there will be
	hearsay   bool // maxTime is what the time index says, which no checksum covers
	firstRead bool // its first header was read, for firstTime
}

const (
	indexEntry = 8
	timeEntry  = 12
)

func newSegment(base core.Offset, file core.FileID, now core.Now) *segment {
	return &segment{base: base, end: base, file: file, maxTime: -1, maxAt: base, firstTime: -1, made: now.Wall, ready: true}
}

// add enters a batch at the segment's end. Recovery rebuilds the indexes by the same function that filled them.
func (g *segment) add(v batch.View, interval int64) {
	last, ts := v.LastOffset(), v.MaxTimestamp()
	if g.size == 0 {
		g.firstTime = ts
	}
	if ts > g.maxTime {
		g.maxTime, g.maxAt = ts, last
	}
	if g.since > interval {
		g.index = binary.BigEndian.AppendUint32(g.index, uint32(last-g.base))
		g.index = binary.BigEndian.AppendUint32(g.index, uint32(g.size))
		g.addTime()
		g.since = 0
	}
	g.size += int64(v.Size())
	g.since += int64(v.Size())
	g.end = last + 1
}

// addTime notes the greatest timestamp so far, if it is greater than the last noted.
func (g *segment) addTime() {
	last := int64(-1)
	if n := len(g.times); n > 0 {
		last = int64(binary.BigEndian.Uint64(g.times[n-timeEntry:]))
	}
	if g.maxTime > last {
		g.times = binary.BigEndian.AppendUint64(g.times, uint64(g.maxTime))
		g.times = binary.BigEndian.AppendUint32(g.times, uint32(g.maxAt-g.base))
	}
}

// full reports whether a batch has to go to a new segment.
func (g *segment) full(v batch.View, last core.Offset, now core.Now, cfg *Config) bool {
	if g.size == 0 {
		return false // a second segment with the same base must not be
	}
	age := now.Wall - g.made
	if g.firstTime >= 0 && v.MaxTimestamp() >= 0 {
		age = core.Millis(v.MaxTimestamp()) - core.Millis(g.firstTime)
	}
	return g.size > cfg.SegmentBytes-int64(v.Size()) || age > max(0, cfg.segmentTime()-g.jitter(cfg)) ||
		int64(len(g.index)) > cfg.IndexBytesMax-indexEntry || int64(len(g.times)) > cfg.IndexBytesMax-2*timeEntry ||
		last-g.base > math.MaxInt32 || g.size+int64(v.Size()) > math.MaxInt32
}

// segmentTime is the age at which a segment is full. On a compacted log it is not above max.compaction.lag.ms, since the active
// segment is not cleaned.
func (c *Config) segmentTime() core.Time {
	if c.Compact && c.MaxCompactionLag > 0 {
		return min(c.SegmentTime, c.MaxCompactionLag)
	}
	return c.SegmentTime
}

// jitter spreads the rolls of many logs: a fixed part of segment.jitter.ms, drawn from the base offset.
func (g *segment) jitter(cfg *Config) core.Time {
	if cfg.SegmentJitter <= 0 {
		return 0
	}
	h := (uint64(g.base) + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	return core.Time((h ^ h>>29) % uint64(cfg.SegmentJitter))
}

// lookup finds the position of a batch at or before the one that holds offset o, from the content of an .index.
func lookup(index []byte, base, o core.Offset) int64 {
	n := len(index) / indexEntry
	i := sort.Search(n, func(i int) bool {
		return base+core.Offset(int32(binary.BigEndian.Uint32(index[i*indexEntry:]))) > o
	})
	if i == 0 {
		return 0
	}
	return int64(int32(binary.BigEndian.Uint32(index[(i-1)*indexEntry+4:])))
}

// lookupTime finds an offset such that all records of the segment before it are older than ts, from the content of
// a .timeindex.
func lookupTime(times []byte, base core.Offset, ts int64) core.Offset {
	n := len(times) / timeEntry
	i := sort.Search(n, func(i int) bool { return int64(binary.BigEndian.Uint64(times[i*timeEntry:])) >= ts })
	if i == 0 {
		return base
	}
	return base + core.Offset(int32(binary.BigEndian.Uint32(times[(i-1)*timeEntry+8:])))
}

// soundIndex reports whether the content of an .index can belong to a log of this size.
func soundIndex(index []byte, size int64) bool {
	if len(index)%indexEntry != 0 {
		return false
	}
	lastRel, lastPos := int64(-1), int64(0)
	for ; len(index) > 0; index = index[indexEntry:] {
		rel, pos := int64(int32(binary.BigEndian.Uint32(index))), int64(int32(binary.BigEndian.Uint32(index[4:])))
		if rel <= lastRel || pos <= lastPos || pos >= size {
			return false
		}
		lastRel, lastPos = rel, pos
	}
	return true
}

// soundTimes reports whether the content of a .timeindex can be one.
func soundTimes(times []byte) bool {
	if len(times)%timeEntry != 0 {
		return false
	}
	lastTime, lastRel := int64(-1), int64(-1)
	for ; len(times) > 0; times = times[timeEntry:] {
		ts, rel := int64(binary.BigEndian.Uint64(times)), int64(int32(binary.BigEndian.Uint32(times[8:])))
		if ts <= lastTime || rel < 0 || rel < lastRel {
			return false
		}
		lastTime, lastRel = ts, rel
	}
	return true
}

// openSegment makes the next segment. Its writes may be given at once: they queue behind the Open.
func (s *Store) openSegment(now core.Now, l *Log, base core.Offset, out *core.Out) {
	g := newSegment(base, s.file(), now)
	l.segs = append(l.segs, g)
	out.Open(s.start(l, op{kind: opOpen, n: int64(base)}), g.file, segmentPath(l.dir, base, ".log"), core.CreateNew)
}

// entered says that a segment's directory entry is durable.
func (s *Store) entered(now core.Now, l *Log, base core.Offset, out *core.Out) {
	if g := l.find(base); g != nil {
		g.entry = true
	}
	if l.state == creating {
		s.creating(now, l, out)
		return
	}
	s.pump(now, l, out)
}

// roll seals the active segment and opens the next.
func (s *Store) roll(now core.Now, l *Log, out *core.Out) {
	g := l.active()
	core.Must(g.size > 0, "a rolled segment has batches")
	s.seal(l, g, out)
	s.saveProducers(l, l.end, g.base, out)
	g.seals++
	s.openSegment(now, l, l.end, out)
}

// seal writes the index files of a segment that will not grow. A clean stop may have written them before, and the
// recovery point may count on those, so they are replaced, not overwritten.
func (s *Store) seal(l *Log, g *segment, out *core.Out) {
	g.addTime()
	g.indexLen, g.timesLen = int64(len(g.index)), int64(len(g.times))
	g.seals += 2
	s.put(put{what: putSeal, replace: true, log: l.slot, n: g.base, dir: l.dir, path: segmentPath(l.dir, g.base, ".index")}, g.index, out)
	s.put(put{what: putSeal, replace: true, log: l.slot, n: g.base, dir: l.dir, path: segmentPath(l.dir, g.base, ".timeindex")}, g.times, out)
	if len(g.aborts) > 0 || g.txn { // one that is there may tell of a tail that was cut
		g.txn = true
		g.seals++
		s.put(put{what: putSeal, replace: true, log: l.slot, n: g.base, dir: l.dir, path: segmentPath(l.dir, g.base, ".txnindex")}, formatTxnIndex(g.aborts), out)
	}
}

// sealed says that one file of a seal is durable.
func (s *Store) sealed(now core.Now, l *Log, base core.Offset, out *core.Out) {
	g := l.find(base)
	if g == nil {
		return
	}
	g.seals--
	core.Must(g.seals >= 0, "a seal ends once")
	if g.seals == 0 {
		if g != l.active() {
			g.index, g.times, g.ready = nil, nil, false
		}
		s.dropSegments(now, l, out)
	}
}
