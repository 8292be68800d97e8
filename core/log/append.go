package log

import (
	"math"

	"klamm/core"
	"klamm/core/batch"
)

// Append appends one batch, which the caller has checked, and returns its base offset. The offset and the leader
// epoch are stamped in b, and b goes to Write as it is: nobody writes to it, or releases it, before Written has
// passed the batch (never, if the log goes offline first).
//
// The producer's state changes here, not when the write is done, because the next batch of the producer may come
// before. A write that fails takes the log offline, so no state outlives the batch that made it.
func (s *Store) Append(now core.Now, id LogID, b []byte, epoch core.Epoch, out *core.Out) (base core.Offset, err AppendError) {
	l, err := s.appendable(id)
	if err != AppendOK {
		return -1, err
	}
	v := batch.View(b)
	core.Must(len(b) >= batch.HeaderBytes, "an appended batch has a header")
	core.Must(v.Size() == len(b), "an appended batch is one whole batch")
	core.Must(v.LastDelta() >= 0, "an appended batch has its offsets in order")
	if int64(len(b)) > l.cfg.SegmentBytes {
		return -1, BatchTooLarge
	}
	if epoch < l.Epoch() {
		return -1, OldEpoch // a recovery takes epochs that fall for damage
	}
	base = l.end
	v.SetBaseOffset(base)
	v.SetLeaderEpoch(epoch)
	s.place(now, l, v, out)
	s.write(l, b, out)
	s.appended(now, l, out)
	return base, AppendOK
}

// AppendExact appends batches that have their offsets and epochs: those of a leader, or of the metadata log. All or
// none are taken. The rule for b is that of Append.
func (s *Store) AppendExact(now core.Now, id LogID, b []byte, out *core.Out) AppendError {
	if l := s.live(id); l != nil && l.state == damaged && !s.stop.on {
		return s.patch(l, b, out)
	}
	l, err := s.appendable(id)
	if err != AppendOK {
		return err
	}
	next, epoch := l.end, l.EpochBelow(l.end) // an epoch that this broker led and wrote nothing in binds nobody
	for rest := b; len(rest) > 0; {
		v, r, is := batch.First(rest)
		if is != batch.Good || !follows(l, v, next) || v.LeaderEpoch() >= 0 && v.LeaderEpoch() < epoch {
			return BadBatch
		}
		if epoch = max(epoch, v.LeaderEpoch()); v.BaseOffset() < l.end {
			out.Mark("log.begins-within-batch")
		}
		next, rest = v.LastOffset()+1, r
	}
	if v, _, is := batch.First(b); is == batch.Good && v.LeaderEpoch() < l.Epoch() {
		s.dropEpochs(l, l.end, out)
	}
	from := 0
	for at := 0; at < len(b); {
		v, _, _ := batch.First(b[at:])
		l.gaps = l.gaps || v.BaseOffset() > l.end
		if l.active().full(v, v.LastOffset(), now, &l.cfg) && at > from {
			s.write(l, b[from:at], out)
			from = at
		}
		s.place(now, l, v, out)
		at += v.Size()
	}
	if from < len(b) {
		s.write(l, b[from:], out)
	}
	s.appended(now, l, out)
	return AppendOK
}

// follows reports whether a replicated batch may stand at next. A log without any batch may begin inside of one,
// since a log start that DeleteRecords set may lie there, and where the leader's was compacted, behind it.
func follows(l *Log, v batch.View, next core.Offset) bool {
	if v.LastDelta() < 0 || v.BaseOffset() < 0 || v.LastOffset() < v.BaseOffset() || v.LastOffset()-next > math.MaxInt32 {
		return false // the last: a segment, which may begin at next, counts offsets in 31 bits
	}
	if g := l.active(); next == l.end && len(l.segs) == 1 && g.size == 0 {
		return v.LastOffset() >= next
	}
	return v.BaseOffset() >= next
}

func (s *Store) appendable(id LogID) (*Log, AppendError) {
	l := s.live(id)
	switch {
	case l != nil && l.state == online && l.cut == nil && l.fills() && !s.stop.on:
		return l, AppendOK
	case l != nil && (l.state == online || l.reload):
		return nil, LogBusy
	}
	return nil, LogOffline
}

// Takes reports whether a log can be appended to now, cut, or begun anew: it is online and nothing of that kind is under way in it,
// nor a swap; or it is damaged and waits for what others know. Truncated, Failed and Unswapped say that this may have changed, and
// so does whoever says CancelReplace.
func (s *Store) Takes(id LogID) bool {
	if l := s.live(id); l != nil && l.state == damaged {
		return !s.stop.on
	}
	_, err := s.appendable(id)
	return err == AppendOK
}

// place gives a batch its place at the log's end, in a new segment if need be.
func (s *Store) place(now core.Now, l *Log, v batch.View, out *core.Out) {
	if l.active().full(v, v.LastOffset(), now, &l.cfg) {
		s.roll(now, l, out)
	}
	g := l.active()
	l.begin(v.LeaderEpoch(), v.BaseOffset())
	l.ring.push(border{base: v.BaseOffset(), end: v.LastOffset() + 1, seg: g.base, pos: g.size, size: int64(v.Size())}, s.cfg.Sizes.Borders)
	if a, aborted := l.produced(v, markerOf(v)); aborted {
		g.aborts = append(g.aborts, a)
	}
	g.add(v, l.cfg.IndexInterval)
	l.end = g.end
}

// write hands the newest bytes of the active segment to the world.
func (s *Store) write(l *Log, b []byte, out *core.Out) {
	g := l.active()
	k := l.writes.push(l.end)
	out.Write(s.start(l, op{kind: opWrite, n: int64(k)}), g.file, g.size-int64(len(b)), b)
}

// appended looks after the flush policy and the epoch file.
func (s *Store) appended(now core.Now, l *Log, out *core.Out) {
	s.saveEpochs(l, out)
	if l.cfg.Durability == Synced {
		return
	}
	if int64(l.end-max(l.durable, l.flushTo)) >= l.cfg.FlushMessages {
		l.flushTo = l.end
	}
	if l.cfg.FlushTime < core.Never && l.flushAt == core.Never {
		l.flushAt = now.Mono.After(l.cfg.FlushTime)
		s.timers.Set(l.flushAt, timerFlush, uint64(l.id), 0)
	}
}

// wrote says that write k is done.
func (s *Store) wrote(now core.Now, l *Log, k uint64, out *core.Out) {
	end, grew := l.writes.done(k)
	if !grew {
		return
	}
	l.written = end
	s.changed(Change{ID: l.id, What: Written, Offset: end})
	s.pump(now, l, out)
	s.cutReady(now, l, out)
}

// wanted is the offset up to which the log is to be synced.
func (s *Store) wanted(l *Log) core.Offset {
	if l.cfg.Durability == Synced || s.stop.on || l.cut != nil || l.move != moveNone {
		return l.written
	}
	return min(l.written, max(l.active().base, l.flushTo)) // a rolled segment is always synced
}

// pump keeps one sync in flight while there is something to sync.
func (s *Store) pump(now core.Now, l *Log, out *core.Out) {
	if l.busy || l.state != online && !l.finishing() {
		return
	}
	if !s.gapsKnown(l, out) {
		return // pointWritten pumps again
	}
	if l.cut != nil && l.cut.stage == cutPoint { // a sync would raise again what the cut has lowered
		return
	}
	to := s.wanted(l)
	if l.durable >= to {
		s.finishLoad(now, l, out)
		return
	}
	i := l.at(l.durable)
	g := l.segs[i]
	if i+1 < len(l.segs) && g.end <= l.durable { // nothing of it is missing: a hole that compaction left
		l.durable = l.segs[i+1].base
		s.pump(now, l, out)
		return
	}
	if !g.entry {
		return // entered pumps again
	}
	if len(l.doubt) > 0 && l.doubt[0].seg == g.base {
		s.rewrite(l, g, out)
		return
	}
	end := to
	if i+1 < len(l.segs) {
		end = min(l.written, l.segs[i+1].base)
	} else {
		end = l.written
	}
	l.busy = true
	out.Sync(s.start(l, op{kind: opSync, n: int64(end)}), g.file)
}

// synced says that a sync succeeded.
func (s *Store) synced(now core.Now, l *Log, o op, out *core.Out) {
	l.busy = false
	end := core.Offset(o.n)
	if o.cuts == l.cuts && end > l.durable {
		s.dirty += s.bytesBetween(l, l.durable, end)
		l.durable = end
		s.dirtyPoint(now, l.place, pointRecovery)
		if l.p.Topic == metadataTopic {
			s.dirtyMetadata(now)
		}
		s.changed(Change{ID: l.id, What: Durable, Offset: end})
	}
	s.pump(now, l, out)
	s.cutReady(now, l, out)
	if len(l.segs) > 1 && l.segs[1].base <= l.start {
		s.dropSegments(now, l, out) // the sync held one back
	}
	if s.dirty >= s.cfg.CheckpointBytes {
		s.writePoints(now, out)
	}
}

// bytesBetween estimates the bytes of a durable step for the checkpoint's bound; whole batches in the ring count
// exactly, older ones by their segment.
func (s *Store) bytesBetween(l *Log, from, to core.Offset) int64 {
	if a, ok := l.ring.find(from); ok {
		if b, ok := l.ring.find(to - 1); ok && a.seg == b.seg {
			return b.pos + b.size - a.pos
		}
	}
	return l.segs[l.at(from)].size
}

// rewrite reads the next chunk of doubtful bytes. A sync after a restart proves nothing about bytes that an earlier
// life wrote: that one's sync may have failed and left the pages clean. So they are written anew first.
func (s *Store) rewrite(l *Log, g *segment, out *core.Out) {
	l.busy = true
	out.Mark("log.rewrite")
	d := l.doubt[0]
	out.Read(s.start(l, op{kind: opReread}), g.file, d.from, d.chunk(s.cfg.Sizes.RewriteBytes))
}

func (d *doubt) chunk(bytes int64) int64 {
	return min(max(bytes, d.least, batch.HeaderBytes), d.to-d.from)
}

// reread writes the whole batches of a chunk, if they are those that the scan has seen: a read that went astray must not
// become what the disk holds.
func (s *Store) reread(now core.Now, l *Log, ev *core.Event, out *core.Out) {
	d := &l.doubt[0]
	g := l.find(d.seg)
	if g == nil || int64(len(ev.Data)) != d.chunk(s.cfg.Sizes.RewriteBytes) {
		s.astray(l, g, "bytes above the recovery point vanished while they were written anew", out)
		return
	}
	n, next, need := d.sound(ev.Data, g.end)
	switch {
	case n > 0:
		d.next, d.least, d.astray = next, 0, 0
		out.Write(s.start(l, op{kind: opRewrite, n: n}), g.file, d.from, ev.Data[:n])
	case need > int64(len(ev.Data)) && need <= d.to-d.from:
		d.least = need
		s.rewrite(l, g, out)
	default:
		s.astray(l, g, "bytes above the recovery point changed while they were written anew", out)
	}
}

// astray reads doubtful bytes once more: a read may come from another place of the disk. Bytes that stay away are gone.
func (s *Store) astray(l *Log, g *segment, why string, out *core.Out) {
	out.Mark("log.rewrite-astray")
	d := &l.doubt[0]
	if d.astray++; g == nil || d.astray > astrayMax {
		s.fail(l, why, out)
		return
	}
	s.rewrite(l, g, out)
}

// astrayMax is how often doubtful bytes are read once more.
const astrayMax = 8

// sound is how many bytes of b, which was read at from, are whole batches that may stand there, the offset behind them, and how
// many bytes the first one needs that is cut.
func (d *doubt) sound(b []byte, end core.Offset) (n int64, next core.Offset, need int64) {
	next = d.next
	for rest := b; len(rest) > 0; {
		v, r, is := batch.First(rest)
		if is == batch.NoBatch && len(rest) >= batch.HeaderBytes {
			need = int64(batch.View(rest).Size())
		}
		if is != batch.Good {
			return n, next, need
		}
		fits := v.BaseOffset() == next || d.gaps && v.BaseOffset() > next
		if !fits || v.LastOffset() < v.BaseOffset() || v.LastOffset() >= end || !v.CheckCRC() {
			return 0, next, 0
		}
		n, next, rest = n+int64(v.Size()), v.LastOffset()+1, r
	}
	return n, next, 0
}

func (s *Store) rewrote(now core.Now, l *Log, n int64, out *core.Out) {
	l.busy = false
	d := &l.doubt[0]
	if d.from += n; d.from >= d.to {
		l.doubt = l.doubt[1:]
	}
	s.pump(now, l, out)
}
