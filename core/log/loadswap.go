package log

import (
	"encoding/binary"
	"strings"

	"klamm/core"
	"klamm/core/batch"
)

// reswap completes, while a log is loaded, a swap that a crash has interrupted (see swap.go). A .swap of a base at or above that of
// a .cleaned file is of a swap that had not begun to count, and is removed with it, as Apache Kafka does. What is left as
// .log.swap counts: it is walked to find where it ends, the old segments that begin below that end are removed, and once
// that is durable it gets its name. Then the directory is listed again.
type reswap struct {
	base, end core.Offset
	file      core.FileID
	pos, size int64
	n         int64 // bytes of this step
	names     []string
}

// findSwap looks for files of swaps in a listing. It removes those that don't count, and begins to complete the first that does.
func (s *Store) findSwap(l *Log, out *core.Out) (found bool) {
	d := l.load
	least := core.Offset(-1)
	for _, e := range d.files {
		if name, cleaned := strings.CutSuffix(e.Name, cleanedSuffix); cleaned && e.Size >= 0 && len(name) >= 20 {
			if base, ok := parseName(name, name[20:]); ok && (least < 0 || base < least) {
				least = base
			}
		}
	}
	d.swap = nil
	for _, e := range d.files {
		base, suffix, ok := isSwap(e.Name)
		if !ok || e.Size < 0 {
			continue
		}
		if least >= 0 && base >= least || d.size(segmentName(base, ".log"+swapSuffix)) < 0 {
			out.Mark("log.swap-undone")
			out.Remove(s.start(l, op{kind: opLoose}), l.dir+"/"+e.Name)
		} else if suffix == ".log" && d.swap == nil {
			d.swap = &reswap{base: base, end: base, size: e.Size}
		}
	}
	if d.swap == nil {
		return false
	}
	out.Mark("log.swap-completed")
	d.stage = loadSwapScan
	d.swap.file = s.file()
	out.Open(0, d.swap.file, segmentPath(l.dir, d.swap.base, ".log"+swapSuffix), core.OpenExisting)
	s.walkSwap(l, out)
	return true
}

// walkSwap checks the next range of the segment that is to be put in its place.
func (s *Store) walkSwap(l *Log, out *core.Out) {
	w := l.load.swap
	w.n = min(max(w.n, s.cfg.Sizes.ScanBytes), w.size-w.pos)
	out.DoWork(s.start(l, op{kind: opLoad}), workCheck, workArgs(1, s.cfg.Sizes.ScanRows, 0), w.file, w.pos, w.n)
}

// swapWalked takes what the walk found. A file that was synced before it was renamed is whole, or the disk has damaged it; then the
// old segments may be gone, and nobody can tell what was lost.
func (s *Store) swapWalked(l *Log, ev *core.Event, out *core.Out) {
	d, w := l.load, l.load.swap
	how, need, walked := endedBad, int64(0), int64(0)
	if len(ev.Data) >= checkHead && ev.Err == core.OK {
		how, need = ended(ev.Data[0]), int64(binary.BigEndian.Uint64(ev.Data[1:]))
		for rows := ev.Data[checkHead:]; len(rows) >= checkRow; rows = rows[checkRow:] {
			v := batch.View(rows[:batch.HeaderBytes])
			if v.BaseOffset() < w.end || v.LastDelta() < 0 {
				how = endedBad
				break
			}
			w.end, walked = v.LastOffset()+1, walked+int64(v.Size())
		}
	}
	if how == endedBad || how == endedShort && walked == 0 && (need <= w.n || need > w.size-w.pos) {
		s.fail(l, "damaged: "+segmentName(w.base, ".log"+swapSuffix)+", which takes the place of others", out)
		return
	}
	if w.n = 0; walked == 0 {
		w.n = need
	}
	if w.pos += walked; w.pos < w.size {
		s.walkSwap(l, out)
		return
	}
	out.CloseFile(0, w.file)
	d.stage = loadSwapOld
	for _, e := range d.files {
		if len(e.Name) < 20 || e.Size < 0 {
			continue
		}
		suffix := e.Name[20:]
		if base, ok := parseName(e.Name, suffix); ok && w.covers(base, suffix) {
			out.Remove(s.start(l, op{kind: opLoose}), l.dir+"/"+e.Name)
		}
	}
}

// covers reports whether a file is one of those that the new segment takes the place of. The producers at its base are as they were.
func (w *reswap) covers(base core.Offset, suffix string) bool {
	switch suffix {
	case ".log", ".index", ".timeindex", ".txnindex":
		return base >= w.base && base < w.end
	case ".snapshot":
		return base > w.base && base < w.end
	}
	return false
}

// reswapped goes on when nothing is in flight: the old files are gone, or the new ones have their names.
func (s *Store) reswapped(l *Log, out *core.Out) {
	d := l.load
	switch d.stage {
	case loadSwapOld:
		d.stage = loadSwapCleared
		out.SyncDir(s.start(l, op{kind: opLoad}), l.dir)
	case loadSwapNames:
		d.stage = loadSwapNamed
		out.SyncDir(s.start(l, op{kind: opLoad}), l.dir)
	}
}

// reswapSynced goes on when a step is durable.
func (s *Store) reswapSynced(l *Log, out *core.Out) {
	d := l.load
	path := segmentPath(l.dir, d.swap.base, "")
	switch d.stage {
	case loadSwapCleared:
		d.stage = loadSwapNames
		for _, suffix := range indexSuffixes {
			if d.size(segmentName(d.swap.base, suffix+swapSuffix)) >= 0 {
				out.Rename(s.start(l, op{kind: opLoose}), path+suffix+swapSuffix, path+suffix)
			}
		}
	case loadSwapNamed:
		d.stage = loadSwapLast
		out.Rename(s.start(l, op{kind: opLoad}), path+".log"+swapSuffix, path+".log")
	case loadSwapLast:
		d.stage = loadSwapDone
		out.SyncDir(s.start(l, op{kind: opLoad}), l.dir)
	case loadSwapDone:
		s.beginLoad(l, d.clean, d.point, out)
	}
}
