package log

import (
	"strconv"

	"klamm/core"
)

// surveyEnds looks how a survey ended. It reports false if it could not go on: then that is dealt with.
func (s *Store) surveyEnds(now core.Now, l *Log, data []byte, out *core.Out) (rows []byte, ok bool) {
	c := l.clean
	g := l.find(c.seg)
	how, need, walked, rows, sound := parseSurvey(data)
	switch {
	case !sound || how == endedBad || how == endedShort && walked == 0 && (need <= c.n || need > g.size-c.pos):
		s.cleanAstray(now, l, "a damaged batch at or behind byte "+strconv.FormatInt(c.pos+walked, 10)+" of "+segmentName(c.seg, ".log"), out)
		return nil, false
	case walked == 0 && how == endedShort:
		c.n = need // a batch that is larger than a step
		out.Mark("log.clean-large-batch")
		s.surveyNext(now, l, out)
		return nil, false
	}
	s.spend(now, walked)
	if c.pos == 0 {
		c.next = c.seg
	}
	for b, rest, more := nextSurveyed(rows); more; b, rest, more = nextSurveyed(rest) {
		inside := c.pos == 0 && c.next == c.seg && b.head.LastOffset() >= c.next // a log may begin inside of a batch
		if b.head.BaseOffset() < c.next && !inside || b.head.LastOffset() >= g.end {
			s.cleanAstray(now, l, "batches out of their order at or behind byte "+strconv.FormatInt(c.pos, 10)+" of "+segmentName(c.seg, ".log"), out)
			return nil, false
		}
		c.next = b.head.LastOffset() + 1
	}
	c.got, c.n = walked, 0
	return rows, true
}

// cleanAstray gives a clean up that got something else than what stands where it read: a read may come from another place, and what it
// brings may be sound. Which keys there are, and which transactions, is in doubt then; nothing was swapped that rests on it. It is tried again later, and
// then the log is believed to be damaged.
//
// Of the mapping it is enough to know that offsets rise. What a read from farther on leaves out of the map stays in the log. The
// filter reads every batch a second time, and both have to be the same.
func (s *Store) cleanAstray(now core.Now, l *Log, why string, out *core.Out) {
	if l.strays++; l.strays > cleansAstrayMax {
		s.uncleanable(now, l, why, out)
		return
	}
	out.Mark("log.clean-astray")
	s.cleaner.at = now.Mono.After(s.cleaner.cfg.Backoff)
	l.clean.quit = true
	s.cleanQuit(now, l, out)
}

// cleansAstrayMax is how often a log is cleaned once more after a read that came from another place.
const cleansAstrayMax = 2

// mapped enters the keys of a range in the map.
func (s *Store) mapped(now core.Now, l *Log, data []byte, out *core.Out) {
	c := l.clean
	rows, ok := s.surveyEnds(now, l, data, out)
	if !ok {
		return
	}
	c.stats.Mapped += c.got
	for {
		var b surveyed
		if b, rows, ok = nextSurveyed(rows); !ok {
			break
		}
		if !c.mapBatch(&b) {
			out.Mark("log.clean-map-full")
			s.mappedAll(now, l, out)
			return
		}
		c.keys.latest = max(c.keys.latest, b.head.LastOffset())
	}
	g := l.find(c.seg)
	if c.pos += c.got; c.pos >= g.size {
		c.keys.latest = max(c.keys.latest, g.end-1) // the rest is a hole
		if c.seg, c.pos = g.end, 0; c.seg >= c.upTo {
			s.mappedAll(now, l, out)
			return
		}
	}
	s.surveyNext(now, l, out)
}

// mapBatch enters the keys of a batch, unless its transaction was aborted. It reports false if there is no room for one.
func (c *cleaning) mapBatch(b *surveyed) bool {
	if b.control != 0 {
		c.txns.marker(b)
		return true
	}
	if c.txns.batch(b) {
		return true
	}
	for i := range b.count() {
		at, _, h := b.row(i)
		if !c.keys.put(h, at) {
			return false
		}
		c.keys.latest = max(c.keys.latest, at)
	}
	return true
}

// mappedAll begins to filter, with the first segment. A map that could not even take the keys of one batch has moved the end
// all the same, but for a batch whose first key did not fit, and the least map takes that.
func (s *Store) mappedAll(now core.Now, l *Log, out *core.Out) {
	c := l.clean
	c.end = min(c.keys.latest+1, c.upTo)
	c.stats.Keys = c.keys.n
	c.group, c.seg, c.txns = nil, l.segs[0].base, l.newCleanTxns(l.segs[0].base)
	s.nextGroup(now, l, l.segs[0].base, out)
}
