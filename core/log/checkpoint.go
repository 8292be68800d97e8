package log

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
)

// pointKind names a checkpoint file of the log directory.
type pointKind uint8

const (
	pointRecovery pointKind = iota // what is known to be durable, and written anew where that was in doubt
	pointStart                     // log starts
	pointHigh                      // high watermarks
	pointClean                     // clean points; a row says too that the log may have gaps, see gapsKnown
	pointKinds
)

var pointFiles = [pointKinds]string{"recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint", "cleaner-offset-checkpoint"}

// point is the state of one checkpoint file of one directory.
type point struct {
	dirty   bool // the file is older than the logs
	writing bool
	again   bool // somebody waits for a state newer than the one being written
	begun   uint64
	done    uint64 // writes begun, and the newest of them that is durable
}

// staleRow is a name whose log is gone, while a checkpoint file may still hold its row. A new log of the name waits until
// none does: else a crash would leave it the old recovery point, below which its own records seem lost, and the old
// start, which hides them. A row is gone once its file is written for the needed time. Since that is due within
// CheckpointTime, there are no more of these than logs deleted in so long.
type staleRow struct {
	p    Partition
	need [pointKinds]uint64
}

// rows is what the files may say of a log.
func (l *Log) rows() (rows [pointKinds]core.Offset) {
	for kind := range rows {
		rows[kind] = max(l.saved[kind], l.saving[kind])
	}
	return rows
}

// forsake notes that a name's rows are to go from the checkpoints of a directory.
func (s *Store) forsake(now core.Now, at int, p Partition, rows [pointKinds]core.Offset) {
	d := &s.dirs[at]
	r := staleRow{p: p}
	for kind, offset := range rows {
		if offset > 0 {
			r.need[kind] = d.points[kind].begun + 1
			s.dirtyPoint(now, at, pointKind(kind))
		}
	}
	if r.need != [pointKinds]uint64{} {
		d.stale = append(d.stale, r)
	}
}

// cleared reports whether no file of a directory holds a row of a former log of this name; if some may, they are written now.
func (s *Store) cleared(at int, p Partition, out *core.Out) bool {
	none := true
	d := &s.dirs[at]
	for i := range d.stale {
		if d.stale[i].p != p {
			continue
		}
		none = false
		for kind := range pointKinds {
			if d.points[kind].begun < d.stale[i].need[kind] {
				s.writePoint(at, kind, out)
			}
		}
	}
	return none
}

func (d *directory) dropStaleRows() {
	d.stale = slices.DeleteFunc(d.stale, func(r staleRow) bool {
		for kind := range pointKinds {
			if d.points[kind].done < r.need[kind] {
				return false
			}
		}
		return true
	})
}

// checkpointRow is one row of a checkpoint file.
type checkpointRow struct {
	p      Partition
	offset core.Offset
}

// formatCheckpoint writes Kafka's text: version 0, the count, a row per partition.
func formatCheckpoint(rows []checkpointRow) []byte {
	b := append(make([]byte, 0, 16+48*len(rows)), "0\n"...)
	b = append(strconv.AppendInt(b, int64(len(rows)), 10), '\n')
	for _, r := range rows {
		b = append(append(b, r.p.Topic...), ' ')
		b = append(strconv.AppendInt(b, int64(r.p.Partition), 10), ' ')
		b = append(strconv.AppendInt(b, int64(r.offset), 10), '\n')
	}
	return b
}

// parseCheckpoint reads the rows, sorted by partition. It reports false for anything that is not a whole checkpoint.
func parseCheckpoint(b []byte) ([]checkpointRow, bool) {
	lines, ok := checkpointLines(b)
	if !ok {
		return nil, false
	}
	rows := make([]checkpointRow, 0, len(lines))
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, false
		}
		p, err1 := strconv.ParseInt(f[1], 10, 32)
		o, err2 := strconv.ParseInt(f[2], 10, 64)
		if err1 != nil || err2 != nil || p < 0 || o < 0 {
			return nil, false
		}
		rows = append(rows, checkpointRow{Partition{Topic: f[0], Partition: int32(p)}, core.Offset(o)})
	}
	slices.SortFunc(rows, func(a, b checkpointRow) int { return a.p.Compare(b.p) })
	return rows, true
}

// checkpointLines checks the version and the count and returns the rows' lines.
func checkpointLines(b []byte) ([]string, bool) {
	lines := strings.Split(string(b), "\n")
	if len(lines) < 3 || lines[0] != "0" || lines[len(lines)-1] != "" {
		return nil, false
	}
	n, err := strconv.Atoi(lines[1])
	if lines = lines[2 : len(lines)-1]; err != nil || n != len(lines) {
		return nil, false
	}
	return lines, true
}

func rowOf(rows []checkpointRow, p Partition) (core.Offset, bool) {
	i, ok := slices.BinarySearchFunc(rows, p, func(r checkpointRow, p Partition) int { return r.p.Compare(p) })
	if !ok {
		return 0, false
	}
	return rows[i].offset, true
}

// dirtyPoint notes that a checkpoint of the directory at a place lags.
func (s *Store) dirtyPoint(now core.Now, at int, kind pointKind) {
	s.dirs[at].points[kind].dirty = true
	if s.pointsAt == core.Never && !s.stop.on {
		s.pointsAt = now.Mono.After(s.cfg.CheckpointTime)
	}
}

// A change of the metadata that was answered and is above the recovery point of its log looks, once damaged, like a torn
// end, and would be cut off with all that came after it: in the worst case with every topic. So the recovery points
// follow the metadata log closely. How closely depends on how much there is to write, since a file has a row per log.
const (
	soonTime    = 100 * core.Millisecond
	soonTimeRow = 10 * core.Microsecond
)

// dirtyMetadata notes that the metadata log's recovery point lags.
func (s *Store) dirtyMetadata(now core.Now) {
	if s.soonAt == core.Never && !s.stop.on {
		s.soonAt = now.Mono.After(soonTime + core.Time(len(s.order))*soonTimeRow)
	}
}

// writePoints writes every checkpoint that lags.
func (s *Store) writePoints(now core.Now, out *core.Out) {
	s.pointsAt, s.dirty = core.Never, 0
	for at := range s.dirs {
		for kind := range pointKinds {
			if s.dirs[at].points[kind].dirty {
				s.writePoint(at, kind, out)
			}
		}
	}
}

// writePoint writes one checkpoint. Only what is true and durable now goes in: it never runs ahead of a sync.
func (s *Store) writePoint(at int, kind pointKind, out *core.Out) {
	d := &s.dirs[at]
	pt := &d.points[kind]
	if d.unusable() != "" {
		return // what the files say may be put right by an operator; what we would write is wrong
	}
	if pt.writing {
		pt.again = true
		return
	}
	pt.writing, pt.dirty, pt.again = true, false, false
	pt.begun++
	all := s.all()
	rows := make([]checkpointRow, 0, len(all))
	for _, id := range all {
		l := s.logs[id]
		if l.place != at {
			continue
		}
		l.saving[kind] = l.saved[kind]
		if pinned, ok := l.pin(kind); ok {
			l.saving[kind] = pinned
		} else if l.state == online {
			l.saving[kind] = l.pointOf(kind)
		}
		if kind == pointClean {
			l.gapsSaving = l.gaps
		}
		if kind == pointClean && l.gaps || kind != pointClean && (kind != pointStart || l.saving[kind] > 0) {
			rows = append(rows, checkpointRow{l.p, l.saving[kind]})
		}
	}
	s.put(put{what: putPoint, log: NoLog, place: at, point: kind, replace: true, dir: d.path, path: d.path + "/" + pointFiles[kind]}, formatCheckpoint(rows), out)
}

func (l *Log) pointOf(kind pointKind) core.Offset {
	switch kind {
	case pointRecovery:
		return l.recoveryPoint()
	case pointStart:
		return l.wantStart
	case pointClean:
		return l.cleanPoint
	}
	return l.high
}

// recoveryPoint is the offset below which a recovery may trust all files: the batches, and what is derived of them.
func (l *Log) recoveryPoint() core.Offset {
	p := l.durable
	for _, g := range l.segs[:len(l.segs)-1] {
		if g.seals > 0 {
			p = min(p, g.base)
			break
		}
	}
	for _, e := range l.epochs {
		if e.epoch > l.epochsSaved {
			p = min(p, e.start)
			break
		}
	}
	return p
}

// pointWritten says what came of a checkpoint.
func (s *Store) pointWritten(now core.Now, at int, kind pointKind, err core.Errno, out *core.Out) {
	d := &s.dirs[at]
	pt := &d.points[kind]
	pt.writing = false
	if err != core.OK {
		// Nothing is lost yet, but no log may rely on its checkpoint any more; a directory that can't take a
		// file of a few bytes is not to be trusted with data.
		s.lose(at, "cannot write "+pointFiles[kind]+": "+err.String(), out)
		s.stopStep(now, out)
		return
	}
	pt.done = pt.begun
	d.dropStaleRows()
	all := s.all()
	for _, id := range all {
		if l := s.logs[id]; l.place == at {
			if l.saved[kind] = l.saving[kind]; kind == pointClean {
				l.gapsSaved = l.gapsSaving
			}
		}
	}
	if pt.again {
		s.writePoint(at, kind, out)
	} else if pt.dirty {
		s.dirtyPoint(now, at, kind)
	}
	for _, id := range all {
		l := s.logs[id]
		if l == nil || l.place != at {
			continue
		}
		if kind == pointStart {
			s.started(now, l, out)
		}
		if kind == pointClean {
			s.pump(now, l, out)
		}
		s.pointed(l, out)
		s.cutReady(now, l, out)
		s.beginCreate(l, out)
		if kind == pointRecovery && l.move == moveAdopt && !s.stop.on { // a stop leaves the two as they are
			s.moveStep(now, l, out)
		}
	}
	s.stopStep(now, out)
}

// gapsKnown reports whether the checkpoint of the cleaner has a row for a log that may have gaps between its batches, and has it
// written if not. Nothing of such a log counts as durable before: recovery takes a gap for damage in any other log.
func (s *Store) gapsKnown(l *Log, out *core.Out) bool {
	if l.gaps && !l.gapsSaved && !(s.dirs[l.place].points[pointClean].writing && l.gapsSaving) {
		s.writePoint(l.place, pointClean, out)
	}
	return !l.gaps || l.gapsSaved
}
