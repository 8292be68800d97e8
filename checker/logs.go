package checker

import (
	"cmp"
	"fmt"
	"slices"
)

// CheckLog decides every client-visible promise about one partition in time linear in its history, but for sorting.
func CheckLog(l *Log) []Violation {
	n := len(l.Sends)
	c := &logCheck{l: l, at: make(map[int64]Value, n), where: make(map[Value]int64, n), sent: make(map[Value]*Send, n)}
	c.senders()
	c.offsets()
	c.sendOrder()
	c.polls()
	c.bounds()
	if l.FinalRead {
		c.final()
		c.sequences()
	}
	return c.found
}

// violationsMax bounds the report of one log: the first few tell the story.
const violationsMax = 20

type logCheck struct {
	l     *Log
	at    map[int64]Value // every value ever seen at an offset, by an acknowledgement or a read
	where map[Value]int64 // the first offset at which a value was seen
	sent  map[Value]*Send
	found []Violation
}

func (c *logCheck) fail(id, format string, args ...any) {
	if len(c.found) < violationsMax {
		c.found = append(c.found, Violation{id, c.l.Partition.String(), fmt.Sprintf(format, args...)})
	}
}

func (c *logCheck) senders() {
	for i := range c.l.Sends {
		for _, v := range c.l.Sends[i].Values {
			c.sent[v] = &c.l.Sends[i]
		}
	}
}

// offsets: one value at an offset (I76), one offset for a value unless its producer may repeat it (I77),
// nothing read that was never sent (I06) or that certainly failed (I75).
func (c *logCheck) offsets() {
	for i := range c.l.Sends {
		if s := &c.l.Sends[i]; s.Outcome == OK && s.Acks != 0 {
			for j, v := range s.Values {
				c.see(s.Base+int64(j), v, "acknowledged")
			}
		}
	}
	for i := range c.l.Polls {
		for _, r := range c.l.Polls[i].Records {
			c.see(r.Offset, r.Value, "read")
		}
	}
	for _, r := range c.l.Final {
		c.see(r.Offset, r.Value, "read at the end")
	}
}

func (c *logCheck) see(offset int64, v Value, how string) {
	if was, ok := c.at[offset]; ok {
		if was != v && !c.l.Lossy {
			c.fail("I76", "offset %d held value %d and was then %s with value %d", offset, was, how, v)
		}
		return
	}
	c.at[offset] = v
	s := c.sent[v]
	switch {
	case s == nil:
		c.fail("I06", "value %d, %s at offset %d, was never sent here", v, how, offset)
		return
	case s.Outcome == Failed:
		c.fail("I75", "value %d was refused for good and then %s at offset %d", v, how, offset)
	}
	if was, ok := c.where[v]; ok && s.Idempotent && !c.l.Lossy {
		c.fail("I77", "value %d is at offset %d and at %d", v, was, offset)
	} else if !ok {
		c.where[v] = offset
	}
}

// sendOrder: a send that returned before another began has the lower offset.
func (c *logCheck) sendOrder() {
	if c.l.Lossy {
		return
	}
	var acked []*Send
	for i := range c.l.Sends {
		if s := &c.l.Sends[i]; s.Outcome == OK && s.Acks == -1 {
			acked = append(acked, s)
		}
	}
	byReturn := slices.Clone(acked)
	slices.SortFunc(byReturn, func(a, b *Send) int { return cmp.Or(cmp.Compare(a.Return, b.Return), cmp.Compare(a.Base, b.Base)) })
	slices.SortFunc(acked, func(a, b *Send) int { return cmp.Or(cmp.Compare(a.Invoke, b.Invoke), cmp.Compare(a.Base, b.Base)) })
	high, i := int64(-1), 0
	for _, s := range acked {
		for ; i < len(byReturn) && byReturn[i].Return < s.Invoke; i++ {
			high = max(high, byReturn[i].Base+int64(len(byReturn[i].Values))-1)
		}
		if s.Base <= high && s.Base >= 0 && !c.repeat(s) {
			c.fail("I79", "a send that began at %d got offset %d, though offset %d was acknowledged before it began", s.Invoke, s.Base, high)
		}
	}
}

// repeat reports whether an answer gives the offset of an earlier copy of the same batch: legal for a batch that was sent again.
func (c *logCheck) repeat(s *Send) bool {
	return len(s.Values) > 0 && c.at[s.Base] == s.Values[0] && c.sent[s.Values[0]] != s
}

// polls: offsets rise, nothing acknowledged is passed over, a consumer goes on where it stopped (I78, I74, I29).
func (c *logCheck) polls() {
	acked := c.ackedOffsets()
	last := map[int]*Poll{}
	order := make([]*Poll, len(c.l.Polls))
	for i := range c.l.Polls {
		order[i] = &c.l.Polls[i]
	}
	slices.SortStableFunc(order, func(a, b *Poll) int { return cmp.Compare(a.Return, b.Return) })
	for _, p := range order {
		if was := last[p.Consumer]; was != nil && !p.Fresh && p.From != was.Next {
			c.fail("I78", "consumer %d stopped at %d and went on at %d", p.Consumer, was.Next, p.From)
		}
		last[p.Consumer] = p
		at := p.From
		for _, r := range p.Records {
			if r.Offset < at {
				c.fail("I78", "consumer %d at position %d was given offset %d", p.Consumer, at, r.Offset)
			}
			c.skipped(acked, p, at, r.Offset)
			at = r.Offset + 1
			if p.High >= 0 && r.Offset >= p.High {
				c.fail("I29", "offset %d was handed out in a reply whose high watermark was %d", r.Offset, p.High)
			}
		}
		c.skipped(acked, p, at, p.Next)
	}
}

// ackedOffsets lists what was acknowledged under a promise that holds in this run, by offset.
func (c *logCheck) ackedOffsets() (acked []ackedAt) {
	if c.l.Lossy {
		return nil
	}
	for i := range c.l.Sends {
		s := &c.l.Sends[i]
		if s.Outcome != OK || s.Acks == 0 || s.Acks == 1 && c.l.LossyLeaderOnly {
			continue
		}
		for j, v := range s.Values {
			acked = append(acked, ackedAt{s.Base + int64(j), v, s.Return})
		}
	}
	slices.SortFunc(acked, func(a, b ackedAt) int { return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.ret, b.ret)) })
	return acked
}

type ackedAt struct {
	offset int64
	value  Value
	ret    int64
}

// skipped: between two positions of one poll no acknowledged record may be missing, unless it may have been deleted.
func (c *logCheck) skipped(acked []ackedAt, p *Poll, from, to int64) {
	if to <= from || !c.l.Retains || c.l.Compacted {
		return
	}
	i, _ := slices.BinarySearchFunc(acked, from, func(a ackedAt, o int64) int { return cmp.Compare(a.offset, o) })
	for ; i < len(acked) && acked[i].offset < to; i++ {
		if acked[i].ret < p.Return && !c.mayBeDeleted(acked[i].offset, p.Return) {
			c.fail("I74", "consumer %d went from %d to %d past offset %d, value %d, which had been acknowledged", p.Consumer, from, to, acked[i].offset, acked[i].value)
			return
		}
	}
}

func (c *logCheck) mayBeDeleted(offset, by int64) bool {
	return slices.ContainsFunc(c.l.Deletions, func(d Deletion) bool {
		return d.Outcome != Failed && d.Before > offset && d.Invoke <= by
	})
}

// bounds: latest and earliest, as answered, never fall in real time (I17, I71); earliest does not pass what no one deleted.
func (c *logCheck) bounds() {
	for _, earliest := range []bool{true, false} {
		var b []Bound
		for _, x := range c.l.Bounds {
			if x.Earliest == earliest {
				b = append(b, x)
			}
		}
		byReturn := slices.Clone(b)
		slices.SortStableFunc(byReturn, func(a, b Bound) int { return cmp.Compare(a.Return, b.Return) })
		slices.SortStableFunc(b, func(a, b Bound) int { return cmp.Compare(a.Invoke, b.Invoke) })
		high, i := int64(-1), 0
		for _, x := range b {
			for ; i < len(byReturn) && byReturn[i].Return < x.Invoke; i++ {
				high = max(high, byReturn[i].Offset)
			}
			if x.Offset >= high || !earliest && c.l.Lossy {
				continue
			}
			if earliest {
				c.fail("I71", "the log start was answered as %d after it had been %d", x.Offset, high)
			} else {
				c.fail("I17", "the end was answered as %d after it had been %d", x.Offset, high)
			}
		}
	}
	for _, x := range c.l.Bounds {
		if x.Earliest && c.l.Retains && x.Offset > 0 && !c.mayBeDeleted(x.Offset-1, x.Return) {
			c.fail("I71", "the log start is %d, though nobody deleted offset %d", x.Offset, x.Offset-1)
		}
	}
}

// final: whatever was acknowledged, or read below the high watermark, is there at the end (I25, I29, I80).
func (c *logCheck) final() {
	if c.l.Gone {
		return
	}
	have := make(map[int64]Value, len(c.l.Final))
	last := c.l.FinalStart - 1
	for _, r := range c.l.Final {
		if r.Offset <= last {
			c.fail("I01", "offset %d follows offset %d at the end", r.Offset, last)
		}
		last = r.Offset
		have[r.Offset] = r.Value
	}
	if c.l.Retains && c.l.FinalStart > 0 && !c.mayBeDeleted(c.l.FinalStart-1, Open) {
		c.fail("I71", "the log starts at %d, though nobody deleted offset %d", c.l.FinalStart, c.l.FinalStart-1)
	}
	for _, d := range c.l.Deletions {
		if d.Outcome == OK && c.l.FinalStart < d.Before {
			c.fail("I71", "the log starts at %d, though records below %d were deleted for good", c.l.FinalStart, d.Before)
		}
	}
	if c.l.Lossy {
		return
	}
	for _, a := range c.ackedOffsets() {
		if v, ok := have[a.offset]; a.offset >= c.l.FinalStart && (!ok && !c.l.Compacted || ok && v != a.value) {
			c.fail("I25", "value %d was acknowledged at offset %d and is not there at the end (end %d)", a.value, a.offset, c.l.FinalEnd)
		}
	}
	for i := range c.l.Polls {
		for _, r := range c.l.Polls[i].Records {
			if v, ok := have[r.Offset]; r.Offset >= c.l.FinalStart && (!ok && !c.l.Compacted || ok && v != r.Value) {
				c.fail("I29", "value %d was read at offset %d and is not there at the end", r.Value, r.Offset)
			}
		}
	}
}

// sequences: an idempotent producer's records stand in the order in which they were sent (I55), each once (I56).
func (c *logCheck) sequences() {
	if c.l.Lossy {
		return
	}
	index := make(map[Value]int, len(c.l.Sends))
	n := 0
	for i := range c.l.Sends {
		for _, v := range c.l.Sends[i].Values {
			index[v] = n
			n++
		}
	}
	last := map[int]int{}
	once := make(map[Value]int64, len(c.l.Final))
	for _, r := range c.l.Final {
		s := c.sent[r.Value]
		if s == nil || !s.Idempotent {
			continue
		}
		if at, twice := once[r.Value]; twice {
			c.fail("I56", "value %d is at offset %d and at %d", r.Value, at, r.Offset)
		}
		once[r.Value] = r.Offset
		if was, ok := last[s.Producer]; ok && index[r.Value] < was {
			c.fail("I55", "producer %d: value %d at offset %d follows one that was sent after it", s.Producer, r.Value, r.Offset)
		}
		last[s.Producer] = index[r.Value]
	}
}
