package log

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/batch"
)

// node is a file or directory of the fake disk: what the page cache holds and what the platter holds.
type node struct {
	dir     bool
	entries map[string]*node
	platter map[string]*node
	journal []func(map[string]*node) // changes of entries since the last SyncDir
	data    []byte
	synced  []byte
	lost    map[int]bool // blocks that a failed sync marked clean: no later sync writes them unless they are written again
}

func newDir() *node {
	return &node{dir: true, entries: map[string]*node{}, platter: map[string]*node{}}
}

// world is a fake world for one Store: one disk, effects in flight in an order drawn by rnd (nil: as given).
type world struct {
	root    *node
	s       *Store
	now     core.Now
	out     core.Out
	marks   core.Marks
	files   map[core.FileID]*handle
	queue   []core.Effect
	rnd     *rand.Rand
	fail    func(*core.Effect) core.Errno
	changes []Change
	notes   []string
	maxRead int64
	trace   func(string)
	lives   int
	cfg     StoreConfig
	stray   map[core.EffectKind]stray
}

// stray has effects of a kind read from another place: after so many, so many of them.
type stray struct {
	at          int64
	skip, times int64
}

type handle struct {
	n   *node
	err core.Errno
}

func newWorld(rnd *rand.Rand) *world {
	w := &world{root: newDir(), rnd: rnd, now: core.Now{Mono: core.Second, Wall: 1000 * core.Hour}}
	w.root.entries["d"] = newDir()
	w.root.platter["d"] = w.root.entries["d"]
	w.cfg = DefaultStoreConfig("d")
	return w
}

func (w *world) start() {
	w.lives++
	w.cfg.Generator[0] = byte(w.lives)
	w.s = NewStore(w.cfg)
	w.files = map[core.FileID]*handle{}
	w.queue, w.changes = nil, nil
	w.out = core.Out{Marks: &w.marks}
	w.s.Boot(w.now, &w.out)
	w.gather()
}

func (w *world) gather() {
	w.queue = append(w.queue, w.out.Effects...)
	w.out.Reset()
	w.changes = append(w.changes, w.s.Changes()...)
}

func (w *world) lookup(path string) (parent *node, name string, n *node) {
	parts := strings.Split(path, "/")
	parent = w.root
	for _, p := range parts[:len(parts)-1] {
		if parent = parent.entries[p]; parent == nil || !parent.dir {
			return nil, "", nil
		}
	}
	name = parts[len(parts)-1]
	return parent, name, parent.entries[name]
}

func (n *node) change(f func(map[string]*node)) {
	f(n.entries)
	n.journal = append(n.journal, f)
}

// step carries out one effect and tells its end; false if there is none.
func (w *world) step() bool {
	if len(w.queue) == 0 {
		return false
	}
	i := 0
	if w.rnd != nil {
		i = w.rnd.IntN(len(w.queue))
		for j := range w.queue[:i] { // operations on one file keep their order
			if w.queue[i].File != 0 && w.queue[j].File == w.queue[i].File {
				i = j
				break
			}
		}
	}
	e := w.queue[i]
	w.queue = slices.Delete(w.queue, i, i+1)
	ev := core.Event{Kind: core.Done, Op: e.Op}
	if w.fail != nil {
		ev.Err = w.fail(&e)
	}
	if w.trace != nil {
		defer func() {
			w.trace(e.Kind.String() + " " + strconv.Itoa(int(e.File&0xffff)) + " " + strconv.Itoa(int(e.Off)) + "+" + strconv.Itoa(max(int(e.Len), len(e.Data))) + " " + ev.Err.String() + " " + pathText(&e))
		}()
	}
	if ev.Err == core.OK {
		w.do(&e, &ev)
	} else if e.Kind == core.Open {
		w.files[e.File] = &handle{err: ev.Err}
	} else if e.Kind == core.Sync {
		w.loseSync(e.File)
	}
	if e.Op != 0 {
		w.s.Done(w.now, &ev, &w.out)
	}
	w.gather()
	return true
}

func (w *world) run() {
	for n := 0; w.step(); n++ {
		if n > 5_000_000 {
			panic("the store never comes to rest")
		}
	}
}

func (w *world) advance(d core.Time) {
	end := w.now.Mono + d
	for {
		w.run()
		next := w.s.Next()
		if next > end {
			break
		}
		if next > w.now.Mono {
			w.now.Wall += next - w.now.Mono
			w.now.Mono = next
		}
		w.s.Tick(w.now, &w.out)
		w.gather()
	}
	w.now.Wall += end - w.now.Mono
	w.now.Mono = end
}

func (w *world) do(e *core.Effect, ev *core.Event) {
	var f *node
	if e.File != 0 && e.Kind != core.Open {
		h := w.files[e.File]
		if h == nil {
			panic("effect on a file that was never opened: " + e.Kind.String())
		}
		if ev.Err = h.err; ev.Err != core.OK {
			return
		}
		f = h.n
	}
	switch e.Kind {
	case core.Open:
		w.open(e, ev)
		w.files[e.File] = &handle{n: w.files[e.File].n, err: ev.Err}
	case core.CloseFile, core.Note:
		if e.Kind == core.Note {
			w.notes = append(w.notes, string(e.Data))
			return
		}
		delete(w.files, e.File)
	case core.Write:
		if need := e.Off + int64(len(e.Data)); need > int64(len(f.data)) {
			f.data = append(f.data, make([]byte, need-int64(len(f.data)))...)
		}
		copy(f.data[e.Off:], e.Data)
		for b := int(e.Off) / block; b <= (int(e.Off)+len(e.Data))/block; b++ {
			delete(f.lost, b)
		}
	case core.Sync:
		f.sync()
	case core.Read:
		w.read(f, e, ev)
	case core.DoWork:
		w.read(f, e, ev)
		ev.Data = Work(e.Work, e.Data, ev.Data)
	case core.Truncate:
		if e.Len <= int64(len(f.data)) {
			f.data = bytes.Clone(f.data[:e.Len])
		} else {
			f.data = append(f.data, make([]byte, e.Len-int64(len(f.data)))...)
		}
	default:
		w.path(e, ev)
	}
}

// sync brings every dirty block to the platter.
func (n *node) sync() {
	old := n.synced
	n.synced = bytes.Clone(n.data)
	for b := range n.lost {
		lo, hi := min(b*block, len(n.data)), min((b+1)*block, len(n.data))
		clear(n.synced[lo:hi])
		if lo < len(old) {
			copy(n.synced[lo:hi], old[lo:])
		}
	}
}

// loseSync is a sync that fails: the dirty pages are dropped from the list of what is to be written, but stay readable.
func (w *world) loseSync(f core.FileID) {
	h := w.files[f]
	if h == nil || h.n == nil {
		return
	}
	n := h.n
	n.lost = map[int]bool{}
	for b := 0; b*block < len(n.data); b++ {
		lo, hi := b*block, min((b+1)*block, len(n.data))
		if hi > len(n.synced) || !bytes.Equal(n.data[lo:hi], n.synced[lo:hi]) {
			n.lost[b] = true
		}
	}
}

func (w *world) read(f *node, e *core.Effect, ev *core.Event) {
	w.maxRead = max(w.maxRead, e.Len)
	off, size := e.Off, e.Len
	if k, astray := w.stray[e.Kind]; astray {
		if k.skip--; k.skip < 0 {
			off = k.at
			size = min(size, int64(len(f.data))-off)
			k.times--
		}
		if w.stray[e.Kind] = k; k.times == 0 {
			delete(w.stray, e.Kind)
		}
	}
	lo := min(off, int64(len(f.data)))
	hi := min(off+size, int64(len(f.data)))
	ev.Data = bytes.Clone(f.data[lo:hi])
	if ev.N = hi - lo; ev.N < size {
		ev.Err = core.ShortRead
	}
}

func (w *world) open(e *core.Effect, ev *core.Event) {
	parent, name, n := w.lookup(string(e.Data))
	w.files[e.File] = &handle{}
	how := core.OpenMode(e.Len)
	switch {
	case parent == nil || n == nil && how == core.OpenExisting || n != nil && n.dir:
		ev.Err = core.NotFound
		return
	case n != nil && how == core.CreateNew:
		ev.Err = core.Exists
		return
	case n == nil:
		n = &node{}
		parent.change(func(m map[string]*node) { m[name] = n })
	case how == core.CreateEmpty:
		n.data = nil
	}
	w.files[e.File].n = n
	ev.N = int64(len(n.data))
}

func (w *world) path(e *core.Effect, ev *core.Event) {
	path := string(e.Data)
	if e.Kind == core.Rename {
		from, to := e.RenamePaths()
		p1, n1, n := w.lookup(from)
		p2, n2, _ := w.lookup(to)
		if n == nil || p2 == nil || p1 != p2 {
			ev.Err = core.NotFound
			return
		}
		p1.change(func(m map[string]*node) { delete(m, n1); m[n2] = n })
		return
	}
	parent, name, n := w.lookup(path)
	switch e.Kind {
	case core.Mkdir:
		if n != nil {
			ev.Err = core.Exists
			return
		}
		d := newDir()
		parent.change(func(m map[string]*node) { m[name] = d })
	case core.Remove:
		switch {
		case n == nil:
			ev.Err = core.NotFound
		case n.dir && len(n.entries) > 0:
			ev.Err = core.NotEmpty
		default:
			parent.change(func(m map[string]*node) { delete(m, name) })
		}
	case core.SyncDir:
		if n == nil {
			ev.Err = core.NotFound
			return
		}
		for _, f := range n.journal {
			f(n.platter)
		}
		n.journal = nil
	case core.List:
		if n == nil {
			ev.Err = core.NotFound
			return
		}
		var list []core.Entry
		for name, c := range n.entries {
			size := int64(len(c.data))
			if c.dir {
				size = -1
			}
			list = append(list, core.Entry{Name: name, Size: size})
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
		ev.Data = core.AppendList(nil, list)
	default:
		panic("unexpected effect " + e.Kind.String())
	}
}

const block = 64

// crash loses what was not synced: keep says, for each block and each directory change, whether it survives by luck.
func (w *world) crash(keep func() bool) {
	w.crashNode(w.root, keep)
	w.s = nil
}

func (w *world) crashNode(n *node, keep func() bool) {
	if !n.dir {
		survived := bytes.Clone(n.synced)
		size := len(n.synced)
		if keep() {
			size = len(n.data)
		}
		for at := 0; at < len(n.data); at += block {
			if keep() {
				hi := min(at+block, len(n.data))
				if hi > len(survived) && at < size {
					survived = append(survived, make([]byte, hi-len(survived))...)
				}
				if hi <= len(survived) {
					copy(survived[at:hi], n.data[at:hi])
				}
			}
		}
		if len(survived) > size {
			survived = survived[:size]
		}
		n.data, n.synced, n.lost = survived, bytes.Clone(survived), nil
		return
	}
	for _, f := range n.journal {
		if keep() {
			f(n.platter)
		}
	}
	n.journal = nil
	n.entries = map[string]*node{}
	names := make([]string, 0, len(n.platter))
	for name := range n.platter {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		n.entries[name] = n.platter[name]
		w.crashNode(n.platter[name], keep)
	}
}

// kill ends the process: the page cache stays, dirty as it is.
func (w *world) kill() { w.s = nil }

// tree lists the files below a directory with their sizes.
func (w *world) tree(n *node, prefix string) (lines []string) {
	for name, c := range n.entries {
		if c.dir {
			lines = append(lines, prefix+name+"/")
			lines = append(lines, w.tree(c, prefix+name+"/")...)
		} else {
			lines = append(lines, prefix+name)
		}
	}
	slices.Sort(lines)
	return lines
}

// makeBatch builds a batch of n records with a value each.
func makeBatch(n int, ts int64, p *batch.Producer, value string) []byte {
	b := batch.NewBuilder(batch.Options{Producer: p})
	for i := range n {
		b.Add(ts+int64(i), nil, []byte(value), nil)
	}
	return b.Finish(0)
}

func pathText(e *core.Effect) string {
	switch e.Kind {
	case core.Write, core.DoWork, core.Send:
		return ""
	}
	return string(e.Data)
}
