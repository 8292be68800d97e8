package host

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"klamm/core"
)

// files carries out the file operations of a machine. byID, touched and effect belong to the loop.
type files struct {
	fs      FS
	pool    *buffers
	work    func(kind core.WorkKind, args, bytes []byte) []byte
	push    func(...item)
	broken  func(any)
	byID    map[core.FileID]*file
	touched []*file
	disk    crew // waits for the disk
	cores   crew // computes
	dirs    dirs

	written, writes, read, syncs, syncNanos atomic.Uint64
}

// file is one FileID from its Open to its CloseFile, with the operations that wait for their turn.
//
// Invariant: an operation starts when nothing that was given before it and that it could disturb is
// still under way. Reads may run beside each other, beside a Sync, and beside a Write that touches neither
// their range nor where the file ends for them; a Write may run beside a Sync that was given before it
// (which need not cover it); all else runs alone.
type file struct {
	fs       *files
	gather   []core.Effect // the loop's: given in this batch
	gathered bool

	opened   chan struct{} // closed when Open is done; f and err are valid then
	forsaken atomic.Bool   // what is not read for a connection yet is not sent
	f        File
	err      core.Errno

	mu         sync.Mutex
	ops        []core.Effect // waiting, from head on
	head       int
	alone      bool
	writing    bool
	syncing    bool
	reading    int
	readEnd    int64 // no read under way reaches beyond
	size       int64 // by what was carried out; changed only by an operation that no other one disturbs
	pins       int   // ranges that are being sent
	letGo      bool
	syncFailed bool
}

func newFiles(fs FS, pool *buffers, work func(core.WorkKind, []byte, []byte) []byte, push func(...item), broken func(any)) *files {
	fsys := &files{fs: fs, pool: pool, work: work, push: push, broken: broken, byID: make(map[core.FileID]*file)}
	fsys.disk.max = fileWorkersMax
	fsys.cores.max = runtime.GOMAXPROCS(0)
	fsys.dirs.files = fsys
	fsys.dirs.syncs = make(map[string]*dirSync)
	return fsys
}

func (fs *files) done(op core.Op, err core.Errno, n int64, data []byte) {
	if op != 0 {
		fs.push(item{ev: core.Event{Kind: core.Done, Op: op, Err: err, N: n, Data: data}})
	}
}

// effect takes one effect on files or directories, or a piece of work.
func (fs *files) effect(e *core.Effect) {
	switch e.Kind {
	case core.Rename, core.Remove, core.Mkdir, core.SyncDir, core.List, core.Stat, core.Space:
		fs.dirs.gather = append(fs.dirs.gather, *e)
		return
	case core.Open:
		if fs.byID[e.File] != nil || e.File == 0 {
			fs.done(e.Op, core.Invalid, 0, nil)
			return
		}
		fs.byID[e.File] = &file{fs: fs, opened: make(chan struct{})}
	case core.DoWork:
		if e.File == 0 {
			fs.cores.submit(&workTask{fs: fs, e: *e})
			return
		}
	}
	f := fs.byID[e.File]
	if f == nil || e.Off < 0 || e.Len < 0 {
		fs.done(e.Op, core.Invalid, 0, nil)
		return
	}
	if e.Kind == core.CloseFile {
		delete(fs.byID, e.File)
		if e.Len == 1 { // see core.Out.Forsake; whoever reads for a connection looks at it after each read
			f.forsaken.Store(true)
		}
	}
	f.gather = append(f.gather, *e)
	if !f.gathered {
		f.gathered = true
		fs.touched = append(fs.touched, f)
	}
}

// flush starts what this batch gave and what may start.
func (fs *files) flush() {
	for i, f := range fs.touched {
		f.gathered = false
		f.mu.Lock()
		f.ops = append(f.ops, f.gather...)
		ready := f.startable(nil)
		f.mu.Unlock()
		clear(f.gather)
		f.gather = f.gather[:0]
		for _, t := range ready {
			fs.disk.submit(t)
		}
		fs.touched[i] = nil
	}
	fs.touched = fs.touched[:0]
	fs.dirs.flush()
}

// pin keeps a file open for a range that will be sent; nil if there is no such file.
func (fs *files) pin(id core.FileID) *file {
	f := fs.byID[id]
	if f != nil {
		f.mu.Lock()
		f.pins++
		f.mu.Unlock()
	}
	return f
}

func (f *file) unpin() {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.pins--
	last := f.letGo && f.pins == 0
	f.mu.Unlock()
	if last && f.f != nil {
		f.f.Close()
	}
}

func (f *file) waitOpen() core.Errno {
	<-f.opened
	return f.err
}

// startable takes what may start now from the front of the queue. The caller holds the lock.
func (f *file) startable(ready []*fileTask) []*fileTask {
	for f.head < len(f.ops) {
		e := &f.ops[f.head]
		n := 1
		switch e.Kind {
		case core.Read, core.DoWork:
			if f.alone || f.writing {
				return ready
			}
			f.reading++
			f.readEnd = max(f.readEnd, e.Off+e.Len)
		case core.Sync:
			if f.alone || f.writing || f.syncing {
				return ready
			}
			f.syncing = true
			for f.head+n < len(f.ops) && f.ops[f.head+n].Kind == core.Sync {
				n++
			}
		case core.Write:
			if f.alone || f.writing || f.reading > 0 && (e.Off < f.readEnd || f.readEnd > f.size) {
				return ready
			}
			f.writing = true
			n = f.adjacentWrites()
		default:
			if f.alone || f.writing || f.syncing || f.reading > 0 {
				return ready
			}
			f.alone = true
		}
		ready = append(ready, &fileTask{f: f, kind: e.Kind, ops: slices.Clone(f.ops[f.head : f.head+n])})
		f.head += n
	}
	clear(f.ops)
	f.ops, f.head = f.ops[:0], 0
	return ready
}

// adjacentWrites counts the writes at the front of the queue that can go down as one.
func (f *file) adjacentWrites() int {
	first := &f.ops[f.head]
	end, bytes, n := first.Off+int64(len(first.Data)), len(first.Data), 1
	for f.head+n < len(f.ops) && n < coalescePiecesMax {
		e := &f.ops[f.head+n]
		if e.Kind != core.Write || e.Off != end || bytes+len(e.Data) > coalesceBytesMax {
			break
		}
		end, bytes, n = end+int64(len(e.Data)), bytes+len(e.Data), n+1
	}
	return n
}

// fileTask is one operation, or several merged, whose turn has come.
type fileTask struct {
	f    *file
	kind core.EffectKind
	ops  []core.Effect
}

func (t *fileTask) run() {
	for t != nil {
		t.carryOut()
		t = t.f.after(t.kind)
	}
}

// after notes the end of an operation, and returns one that may start now; others are submitted.
func (f *file) after(kind core.EffectKind) *fileTask {
	f.mu.Lock()
	switch kind {
	case core.Read, core.DoWork:
		if f.reading--; f.reading == 0 {
			f.readEnd = 0
		}
	case core.Sync:
		f.syncing = false
	case core.Write:
		f.writing = false
	default:
		f.alone = false
	}
	ready := f.startable(nil)
	f.mu.Unlock()
	if len(ready) == 0 {
		return nil
	}
	for _, t := range ready[1:] {
		f.fs.disk.submit(t)
	}
	return ready[0]
}

func (t *fileTask) carryOut() {
	f, fs, e := t.f, t.f.fs, &t.ops[0]
	if e.Kind == core.Open {
		var size int64
		var err error
		f.f, size, err = fs.fs.Open(string(e.Data), core.OpenMode(e.Len))
		f.err, f.size = errnoOf(err), size
		close(f.opened)
		fs.done(e.Op, f.err, size, nil)
		return
	}
	if f.err != core.OK { // Open failed, and so does all behind it
		for i := range t.ops {
			fs.done(t.ops[i].Op, f.err, 0, nil)
		}
		return
	}
	switch e.Kind {
	case core.Write:
		t.write()
	case core.Sync:
		t.sync()
	case core.Read:
		data, err := f.readRange(e)
		fs.done(e.Op, err, int64(len(data)), data)
	case core.DoWork:
		data, err := f.readRange(e)
		fs.cores.submit(&workTask{fs: fs, e: *e, bytes: data, err: err})
	case core.Truncate:
		err := errnoOf(f.f.Truncate(e.Len))
		if err == core.OK {
			f.setSize(e.Len)
		}
		fs.done(e.Op, err, 0, nil)
	case core.Allocate:
		fs.done(e.Op, errnoOf(f.f.Allocate(e.Off, e.Len)), 0, nil)
	case core.CloseFile:
		f.mu.Lock()
		f.letGo = true
		now := f.pins == 0
		f.mu.Unlock()
		var err error
		if now {
			err = f.f.Close()
		}
		fs.done(e.Op, errnoOf(err), 0, nil)
	}
}

func (f *file) setSize(size int64) {
	f.mu.Lock()
	f.size = size
	f.mu.Unlock()
}

func (t *fileTask) write() {
	fs := t.f.fs
	var few [16][]byte
	pieces, bytes := few[:0], 0
	for i := range t.ops {
		if b := t.ops[i].Data; len(b) > 0 {
			pieces, bytes = append(pieces, b), bytes+len(b)
		}
	}
	err := core.OK
	if len(pieces) > 0 {
		err = errnoOf(t.f.f.Pwritev(pieces, t.ops[0].Off))
		fs.writes.Add(1)
		fs.written.Add(uint64(bytes))
		if end := t.ops[0].Off + int64(bytes); err == core.OK && end > t.f.size {
			t.f.setSize(end)
		}
	}
	var fewDone [16]item
	dones := fewDone[:0]
	for i := range t.ops {
		e := &t.ops[i]
		if e.Op == 0 {
			continue
		}
		n := int64(len(e.Data))
		if err != core.OK {
			n = 0
		}
		dones = append(dones, item{ev: core.Event{Kind: core.Done, Op: e.Op, Err: err, N: n}})
	}
	fs.push(dones...)
}

// sync makes the file durable. Once that has failed it stays so: the kernel may have dropped the pages and
// would call the next attempt a success.
func (t *fileTask) sync() {
	f, fs := t.f, t.f.fs
	err := core.IOError
	if !f.syncFailed {
		begun := time.Now()
		err = errnoOf(f.f.Sync())
		fs.syncs.Add(1)
		fs.syncNanos.Add(uint64(time.Since(begun)))
		f.syncFailed = err != core.OK
	}
	for i := range t.ops {
		fs.done(t.ops[i].Op, err, 0, nil)
	}
}

func (f *file) readRange(e *core.Effect) ([]byte, core.Errno) {
	b := f.fs.pool.get(int(e.Len))
	n, err := readFull(f.f, b, e.Off)
	f.fs.read.Add(uint64(n))
	if err != nil {
		f.fs.pool.put(b)
		return nil, errnoOf(err)
	}
	if n < len(b) {
		return b[:n], core.ShortRead
	}
	return b, core.OK
}

// workTask runs a pure function on some core.
type workTask struct {
	fs    *files
	e     core.Effect
	bytes []byte
	err   core.Errno
}

func (t *workTask) run() {
	defer func() {
		if p := recover(); p != nil {
			t.fs.broken(p)
		}
	}()
	if t.err != core.OK && t.err != core.ShortRead {
		t.fs.done(t.e.Op, t.err, 0, nil)
		return
	}
	result := t.fs.work(t.e.Work, t.e.Data, t.bytes)
	t.fs.done(t.e.Op, t.err, int64(len(t.bytes)), result)
	if !within(result, t.bytes) {
		t.fs.pool.put(t.bytes)
	}
}

// dirs carries out operations on directories: in the order given, but for SyncDir, which runs beside what
// comes after it, and of which those that wait for one directory are done by one.
type dirs struct {
	files   *files
	gather  []core.Effect // the loop's
	mu      sync.Mutex
	ops     []core.Effect
	running bool
	syncs   map[string]*dirSync
}

type dirSync struct {
	dirs    *dirs
	path    string
	waiting []core.Op
	running bool
}

func (d *dirs) flush() {
	if len(d.gather) == 0 {
		return
	}
	d.mu.Lock()
	d.ops = append(d.ops, d.gather...)
	start := !d.running
	d.running = true
	d.mu.Unlock()
	clear(d.gather)
	d.gather = d.gather[:0]
	if start {
		d.files.disk.submit(d)
	}
}

func (d *dirs) run() {
	for {
		d.mu.Lock()
		ops := d.ops
		d.ops = nil
		if len(ops) == 0 {
			d.running = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		for i := range ops {
			d.carryOut(&ops[i])
		}
	}
}

func (d *dirs) carryOut(e *core.Effect) {
	fs, path := d.files.fs, string(e.Data)
	var n int64
	var data []byte
	var err error
	switch e.Kind {
	case core.Rename:
		from, to := e.RenamePaths()
		err = fs.Rename(from, to)
	case core.Remove:
		err = fs.Remove(path)
	case core.Mkdir:
		err = fs.Mkdir(path)
	case core.Stat:
		n, err = fs.Stat(path)
	case core.List:
		var entries []core.Entry
		if entries, err = fs.List(path); err == nil {
			slices.SortFunc(entries, func(a, b core.Entry) int { return strings.Compare(a.Name, b.Name) })
			data = core.AppendList(nil, entries)
			n = int64(len(entries))
		}
	case core.Space:
		var total int64
		if n, total, err = fs.Space(path); err == nil {
			data = make([]byte, 8)
			for i := range data {
				data[i] = byte(uint64(total) >> (56 - 8*i))
			}
		}
	case core.SyncDir:
		d.sync(path, e.Op)
		return
	}
	d.files.done(e.Op, errnoOf(err), n, data)
}

func (d *dirs) sync(path string, op core.Op) {
	d.mu.Lock()
	s := d.syncs[path]
	if s == nil {
		s = &dirSync{dirs: d, path: path}
		d.syncs[path] = s
	}
	s.waiting = append(s.waiting, op)
	start := !s.running
	s.running = true
	d.mu.Unlock()
	if start {
		d.files.disk.submit(s)
	}
}

func (s *dirSync) run() {
	d := s.dirs
	for {
		d.mu.Lock()
		ops := s.waiting
		s.waiting = nil
		if len(ops) == 0 {
			delete(d.syncs, s.path)
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		err := errnoOf(d.files.fs.SyncDir(s.path))
		for _, op := range ops {
			d.files.done(op, err, 0, nil)
		}
	}
}

// closeAll waits for what is under way and closes every file, once the loop has ended.
func (fs *files) closeAll(within time.Duration) {
	until := time.Now().Add(within)
	if !fs.disk.waitIdle(until) || !fs.cores.waitIdle(until) {
		return // something hangs in the kernel; the process ends, and the system closes
	}
	for _, f := range fs.byID {
		f.mu.Lock()
		now := f.f != nil && !f.letGo
		f.letGo = true
		now = now && f.pins == 0
		f.mu.Unlock()
		if now {
			f.f.Close()
		}
	}
}
