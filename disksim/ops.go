package disksim

import (
	"math/bits"
	"strings"

	"klamm/core"
)

// Do takes an effect. What becomes of it is drawn now; it is carried out when Fire comes.
func (d *Disk) Do(e *core.Effect, sum uint64) {
	h := d.handleOf(e)
	o := op{used: true, e: *e, h: h, sum: sum}
	entity := uint64(0)
	if h != nil && h.node != nil {
		entity = h.node.entity
	} else if h == nil && len(e.Data) > 0 && e.Kind != core.DoWork {
		entity = hashPath(e.Data)
	}
	v := d.env.Choose(siteOp, entity, 1<<62)
	d.fate(&o, v)
	start := d.now
	if h != nil {
		start = max(start, h.ready)
	}
	o.at = start + d.span(&o, v)
	switch e.Kind {
	case core.Open:
		h.ready = o.at + 1
		h.last, h.latest = h.ready, h.ready
	case core.Write, core.Truncate, core.Allocate:
		o.at = max(o.at, h.last+1)
		h.last = o.at
	case core.CloseFile:
		o.at = max(o.at, h.latest+1)
	case core.Sync:
		if o.early = v>>20&1 == 1 && h.ready <= d.now; o.early && o.fate == core.OK && !d.Weather.Lying && h.err == core.OK {
			d.flush(h.node) // what is written from now on is not covered
		}
	}
	if h != nil {
		h.latest = max(h.latest, o.at)
	}
	d.start(o)
}

// handleOf finds the open file of an effect; Open makes one. An effect on a file that was never opened gets a handle that fails.
func (d *Disk) handleOf(e *core.Effect) *handle {
	switch e.Kind {
	case core.Open:
		h := &handle{id: e.File, path: string(e.Data)}
		h.aimed = d.Weather.aims(h.path)
		if _, dup := d.handles[e.File]; dup || e.File == 0 {
			d.env.Broken(d.id, "opens a file id that is in use")
		}
		d.handles[e.File], d.near[e.File%nearFiles] = h, h
		return h
	case core.CloseFile, core.Write, core.Sync, core.Read, core.Truncate, core.Allocate:
	case core.DoWork:
		if e.File == 0 {
			return nil
		}
	default:
		return nil
	}
	h := d.openAs(e.File)
	if h == nil {
		return &handle{err: core.Invalid}
	}
	if e.Kind == core.CloseFile {
		delete(d.handles, e.File)
		d.near[e.File%nearFiles] = nil
	}
	return h
}

// openAs finds an open file; nil: nothing is open as that.
func (d *Disk) openAs(f core.FileID) *handle {
	near := &d.near[f%nearFiles]
	if h := *near; h != nil && h.id == f {
		return h
	}
	h := d.handles[f]
	if h != nil {
		*near = h
	}
	return h
}

// fate draws whether an operation will fail.
func (d *Disk) fate(o *op, v uint64) {
	w := &d.Weather
	if w.Broken != "" && d.inBroken(o) {
		o.fate = core.IOError
		d.Counts[BrokenOp]++
		return
	}
	if w.Aim != "" && o.h != nil {
		d.aim(o, v)
	}
	switch o.e.Kind {
	case core.Write, core.Truncate:
		if wants(v>>24, w.WriteErr) {
			o.fate = core.IOError
			d.Counts[WriteError]++
		}
		o.odd = o.e.Kind == core.Write && wants(v>>40, w.MisWrite) && w.odd(o.h)
	case core.Read, core.DoWork:
		if o.e.File != 0 && wants(v>>24, w.ReadErr) {
			o.fate = core.IOError
			d.Counts[ReadError]++
		}
		o.odd = o.e.File != 0 && wants(v>>40, w.MisRead) && w.odd(o.h)
	case core.Sync:
		if wants(v>>24, w.SyncErr) {
			o.fate = core.IOError
			d.Counts[SyncError]++
		}
	case core.SyncDir:
		if wants(v>>24, w.DirSyncErr) {
			o.fate = core.IOError
			d.Counts[DirSyncError]++
		}
	}
}

// inBroken reports whether an operation is about something in the directory in which nothing works.
func (d *Disk) inBroken(o *op) bool {
	path := ""
	switch k := o.e.Kind; {
	case k == core.CloseFile || k == core.DoWork && o.e.File == 0:
		return false
	case o.h != nil && o.h.node != nil:
		path = o.h.node.path
	case o.h != nil:
		path = o.h.path
	case k == core.Rename:
		path, _ = o.e.RenamePaths()
	default:
		path = string(o.e.Data)
	}
	rest, in := strings.CutPrefix(path, d.Weather.Broken)
	return in && (rest == "" || rest[0] == '/')
}

// odd reports whether operations on a file may go astray.
func (w *Weather) odd(h *handle) bool {
	return w.OddNot == "" || h != nil && h.node != nil && !strings.Contains(h.node.path, w.OddNot)
}

// aims reports whether errors are aimed at a file.
func (w *Weather) aims(path string) bool {
	return w.Aim != "" && strings.Contains(path, w.Aim) && strings.HasSuffix(path, w.AimSuffix)
}

// aim draws whether an operation on a file that errors are aimed at will fail.
func (d *Disk) aim(o *op, v uint64) {
	w := &d.Weather
	if !o.h.aimed && (o.h.node == nil || !w.aims(o.h.node.path)) {
		return
	}
	rate := int64(0)
	switch o.e.Kind {
	case core.Read:
		rate = w.AimRead
	case core.DoWork:
		rate = w.AimWork
	case core.Write:
		rate = w.AimWrite
	case core.Sync:
		rate = w.AimSync
	}
	if wants(v>>8, rate) {
		o.fate = core.IOError
		d.Counts[AimedError]++
	}
}

// span draws how long an operation takes.
func (d *Disk) span(o *op, v uint64) core.Time {
	w := &d.Weather
	t := w.Latency
	if o.e.Kind == core.Sync || o.e.Kind == core.SyncDir {
		t = w.SyncLatency
	}
	if steps := bits.LeadingZeros16(^uint16(v)); steps > 0 {
		span := w.Jitter << min(steps-1, 8)
		t += span/2 + span*core.Time(v>>4&0xfff)>>13
	}
	if s := int64(v>>46&0x7fff) << 1; s >= 65536-w.Stuck {
		d.Counts[StuckOp]++
		t += core.Second + core.Time(v&0x1fff)*core.Millisecond
	} else if s >= 65536-w.Stuck-w.Slow {
		d.Counts[SlowOp]++
		t += (t + w.Jitter) * core.Time(20+v&0x7f)
	}
	return t
}

func (d *Disk) start(o op) {
	d.seq++
	o.seq = d.seq
	var i uint32
	if k := len(d.idle); k > 0 {
		i, d.idle = d.idle[k-1], d.idle[:k-1]
		o.gen = d.ops[i].gen + 1
		d.ops[i] = o
	} else {
		i = uint32(len(d.ops))
		d.ops = append(d.ops, o)
	}
	d.env.Wake(d.id, o.at, uint64(i)<<16|uint64(o.gen))
}

// Fire carries out an operation whose time has come.
func (d *Disk) Fire(token uint64) {
	i, gen := uint32(token>>16), uint16(token)
	if o := &d.ops[i]; !o.used || o.gen != gen {
		return
	}
	o := d.ops[i]
	d.ops[i] = op{gen: gen}
	d.idle = append(d.idle, i)
	if d.Check && len(o.e.Data) > 0 && d.env.Sum(o.e.Data) != o.sum {
		d.env.Broken(d.id, "bytes given to "+o.e.Kind.String()+" changed before it was done")
	}
	ev := core.Event{Kind: core.Done, Op: o.e.Op}
	d.carryOut(&o, &ev)
	if o.e.Op != 0 {
		d.env.Deliver(d.id, ev)
	}
}

func (d *Disk) carryOut(o *op, ev *core.Event) {
	if o.h != nil {
		if o.e.Kind == core.Open && o.fate != core.OK {
			o.h.err, ev.Err = o.fate, o.fate
			return
		}
		if o.e.Kind == core.Open {
			o.h.node, ev.Err = d.open(o.h.path, core.OpenMode(o.e.Len))
			if o.h.err = ev.Err; ev.Err == core.OK {
				ev.N = o.h.node.size
			}
			return
		}
		if ev.Err = o.h.err; ev.Err != core.OK {
			return
		}
		d.onFile(o, ev)
		return
	}
	if o.fate != core.OK && o.e.Kind != core.SyncDir {
		ev.Err = o.fate
		return
	}
	switch o.e.Kind {
	case core.DoWork:
		ev.Data = d.env.Work(d.id, o.e.Work, o.e.Data, nil)
	case core.Space:
		ev.N = max(0, d.capacity()-d.used)
		t := uint64(d.total)
		ev.Data = []byte{byte(t >> 56), byte(t >> 48), byte(t >> 40), byte(t >> 32), byte(t >> 24), byte(t >> 16), byte(t >> 8), byte(t)}
	case core.Rename:
		ev.Err = d.rename(o.e.RenamePaths())
	case core.Remove:
		ev.Err = d.remove(string(o.e.Data))
	case core.Mkdir:
		ev.Err = d.mkdir(string(o.e.Data))
	case core.SyncDir:
		ev.Err = d.syncDir(string(o.e.Data), o.fate)
	case core.List:
		n := d.lookup(string(o.e.Data))
		if n == nil || !n.dir {
			ev.Err = core.NotFound
			return
		}
		list := make([]core.Entry, 0, len(n.cur))
		for _, e := range n.cur {
			size := int64(-1)
			if c := d.inodes[e.ino]; !c.dir {
				size = c.size
			}
			list = append(list, core.Entry{Name: e.name, Size: size})
		}
		ev.Data = core.AppendList(nil, list)
	case core.Stat:
		if n := d.lookup(string(o.e.Data)); n == nil {
			ev.Err = core.NotFound
		} else if ev.N = n.size; n.dir {
			ev.N = -1
		}
	}
}

func (d *Disk) capacity() int64 {
	if d.Weather.FullAt > 0 {
		return d.Weather.FullAt
	}
	return d.total
}

// onFile carries out an operation on an open file.
func (d *Disk) onFile(o *op, ev *core.Event) {
	n := o.h.node
	switch o.e.Kind {
	case core.CloseFile:
		n.opens--
		d.settle(n)
	case core.Write:
		ev.Err = d.write(n, o)
		ev.N = int64(len(o.e.Data))
	case core.Truncate:
		if ev.Err = o.fate; o.fate == core.OK {
			if o.e.Len < 0 || o.e.Len > fileBytesMax {
				ev.Err = core.Invalid
				return
			}
			d.resize(n, o.e.Len)
		}
	case core.Allocate:
		if o.e.Off+o.e.Len > n.size && d.used+o.e.Off+o.e.Len-n.size > d.capacity() {
			ev.Err = core.NoSpace
		}
	case core.Sync:
		d.sync(n, o, ev)
	case core.Read:
		ev.Data, ev.Err = d.readOp(n, o)
		ev.N = int64(len(ev.Data))
	case core.DoWork:
		b, err := d.readOp(n, o)
		if ev.Err = err; err == core.OK || err == core.ShortRead {
			ev.Data = d.env.Work(d.id, o.e.Work, o.e.Data, b)
			d.env.Recycle(b) // work keeps nothing of what it was given
		}
	}
}

func (d *Disk) sync(n *inode, o *op, ev *core.Event) {
	d.syncs++
	switch {
	case o.fate != core.OK:
		ev.Err = o.fate
		d.dropDirty(n)
	case d.Weather.Lying:
		d.Counts[SyncLied]++
		d.env.Synced(d.id)
	default:
		if !o.early {
			d.flush(n)
		}
		d.env.Synced(d.id)
	}
}

// readOp reads what a Read or a DoWork asks for.
func (d *Disk) readOp(n *inode, o *op) ([]byte, core.Errno) {
	if o.fate != core.OK {
		return nil, o.fate
	}
	off, size := o.e.Off, o.e.Len
	if off < 0 || size < 0 {
		return nil, core.Invalid
	}
	if o.odd && n.size > 2*sectorBytes {
		d.Counts[MisdirectedRead]++
		off = d.elsewhere(n)
		size = min(size, n.size-off)
		d.damage(n, off, "misdirected read")
	}
	err := core.OK
	if off+size > n.size {
		size, err = max(0, n.size-off), core.ShortRead
	}
	b := d.env.Buffer(int(size))
	n.readHarmed(off, b)
	return b, err
}

// elsewhere is where a misdirected read ends up: at any sector, or where another write began, so that what comes is
// whole.
func (d *Disk) elsewhere(n *inode) int64 {
	v := d.env.Choose(siteMisdirect, n.entity, 1<<40)
	if k := uint64(len(n.starts)); v&1 == 1 && k > 0 {
		if off := n.starts[v>>1%k]; off < n.size {
			d.Counts[AlignedRead]++
			return off
		}
	}
	return int64(v>>1%uint64(n.size/sectorBytes)) * sectorBytes
}

// ReadRange fills dst from an open file, for SendRange.
func (d *Disk) ReadRange(f core.FileID, off int64, dst []byte) bool {
	h := d.openAs(f)
	if h == nil || h.node == nil || h.err != core.OK || off < 0 || off+int64(len(dst)) > h.node.size {
		return false
	}
	if w := &d.Weather; w.ReadErr > 0 && wants(d.env.Choose(siteRange, h.node.entity, 1<<16), w.ReadErr) {
		d.Counts[ReadError]++
		return false
	}
	if d.Weather.ReadErr > 0 && wants(d.env.Choose(siteOp, h.node.entity, 1<<16), d.Weather.ReadErr) {
		d.Counts[ReadError]++
		return false
	}
	h.node.readHarmed(off, dst)
	return true
}

func (d *Disk) open(path string, how core.OpenMode) (*inode, core.Errno) {
	dir, name, err := d.walk(path)
	if err != core.OK {
		return nil, err
	}
	if name == "" {
		return nil, core.Invalid
	}
	n := (*inode)(nil)
	if ino := dir.find(name); ino != 0 {
		n = d.inodes[ino]
	}
	switch {
	case n != nil && n.dir:
		return nil, core.Invalid
	case n == nil && how == core.OpenExisting:
		return nil, core.NotFound
	case n != nil && how == core.CreateNew:
		return nil, core.Exists
	case n == nil:
		if d.used >= d.capacity() {
			d.Counts[DiskFull]++
			return nil, core.NoSpace
		}
		n = d.makeNode(path, false)
		d.link(dir, name, n)
	case how == core.CreateEmpty:
		d.resize(n, 0)
	}
	n.opens++
	return n, core.OK
}

func (d *Disk) link(dir *inode, name string, n *inode) {
	n.linked++
	c := change{to: name, ino: n.ino}
	dir.cur = apply(dir.cur, c)
	dir.pending = append(dir.pending, c)
}

func (d *Disk) mkdir(path string) core.Errno {
	dir, name, err := d.walk(path)
	if err != core.OK {
		return err
	}
	if name == "" || dir.find(name) != 0 {
		return core.Exists
	}
	d.link(dir, name, d.makeNode(path, true))
	return core.OK
}

func (d *Disk) remove(path string) core.Errno {
	dir, name, err := d.walk(path)
	if err != core.OK {
		return err
	}
	ino := dir.find(name)
	if ino == 0 {
		return core.NotFound
	}
	if n := d.inodes[ino]; n.dir && len(n.cur) > 0 {
		return core.NotEmpty
	}
	c := change{from: name}
	dir.cur = apply(dir.cur, c)
	dir.pending = append(dir.pending, c)
	d.unlinked(ino)
	return core.OK
}

func (d *Disk) rename(from, to string) core.Errno {
	fromDir, fromName, err := d.walk(from)
	if err != core.OK {
		return err
	}
	toDir, toName, err := d.walk(to)
	if err != core.OK {
		return err
	}
	ino := fromDir.find(fromName)
	if ino == 0 || toName == "" {
		return core.NotFound
	}
	old := toDir.find(toName)
	if old == ino {
		return core.OK
	}
	if old != 0 && d.inodes[old].dir && (len(d.inodes[old].cur) > 0 || !d.inodes[ino].dir) {
		return core.NotEmpty
	}
	c := change{from: fromName, to: toName, ino: ino}
	if fromDir == toDir {
		fromDir.cur = apply(fromDir.cur, c)
		fromDir.pending = append(fromDir.pending, c)
	} else {
		d.shared++
		out, in := change{from: fromName, shared: d.shared}, change{to: toName, ino: ino, shared: d.shared}
		fromDir.cur, toDir.cur = apply(fromDir.cur, out), apply(toDir.cur, in)
		fromDir.pending, toDir.pending = append(fromDir.pending, out), append(toDir.pending, in)
	}
	if old != 0 {
		d.unlinked(old)
	}
	return core.OK
}

func (d *Disk) syncDir(path string, fate core.Errno) core.Errno {
	n := d.lookup(path)
	if n == nil || !n.dir {
		return core.NotFound
	}
	if fate != core.OK {
		return fate
	}
	if d.Weather.Lying {
		d.Counts[SyncLied]++
		return core.OK
	}
	for _, c := range n.pending {
		n.dur = apply(n.dur, c)
	}
	n.pending = n.pending[:0]
	return core.OK
}
