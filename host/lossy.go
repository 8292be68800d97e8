package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"klamm/core"
)

// Lossy is a layer over the operating system's files for drills: what was not synced is kept in memory only,
// written bytes as well as directory entries, so that a kill -9 of the process loses exactly that, as a
// power cut may. A Sync passes a file's bytes down, a SyncDir a directory's entries. A file that was synced
// but whose entry was not is lost too.
//
// With NoSync the two do nothing and still succeed: a drill whose checks must then fail. While there is a file SlowFile in
// root, every write and every sync takes longer.
//
// Everything under root is under the layer; other paths go straight to the system. What was synced of files
// that have no durable name lies in root/.klamm-unnamed, which is emptied at the start and never listed.
type Lossy struct {
	NoSync bool

	root    string
	mu      sync.Mutex
	top     *lossyNode
	spilled int
}

// lossyNode is a file or directory, as it is now and as a kill would leave it.
//
// Invariant: path is where the durable form lies on disk, empty if there is none. For a directory, names is
// what is seen now and durable what a kill leaves; both are nil until it is first looked into.
type lossyNode struct {
	dir     bool
	path    string
	names   map[string]*lossyNode
	durable map[string]*lossyNode

	size   int64            // of a file, now
	onDisk int64            // of its durable form
	fd     int              // of its durable form; -1 none
	opens  int              // by how many it is open
	blocks map[int64][]byte // what differs from the durable form, in blocks of lossyBlock
}

const (
	lossyBlock   = 16 << 10
	lossyUnnamed = ".klamm-unnamed"
)

// NewLossy puts the layer over root, which exists.
func NewLossy(root string, noSync bool) (*Lossy, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	spill := filepath.Join(root, lossyUnnamed)
	if err := os.RemoveAll(spill); err != nil {
		return nil, err
	}
	if err := os.Mkdir(spill, 0o755); err != nil {
		return nil, err
	}
	return &Lossy{NoSync: noSync, root: root, top: &lossyNode{dir: true, path: root, fd: -1}}, nil
}

// parts splits a path under root; ok is false for one that is not under the layer.
func (l *Lossy) parts(path string) (parts []string, ok bool) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, false
	}
	if abs == l.root {
		return nil, true
	}
	rest, ok := strings.CutPrefix(abs, l.root+"/")
	if !ok {
		return nil, false
	}
	return strings.Split(rest, "/"), true
}

// look reads a directory that has not been looked into yet.
func (d *lossyNode) look() error {
	if d.names != nil {
		return nil
	}
	d.names, d.durable = map[string]*lossyNode{}, map[string]*lossyNode{}
	if d.path == "" {
		return nil
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lossyUnnamed || e.Name() == SlowFile {
			continue
		}
		n := &lossyNode{dir: e.IsDir(), path: filepath.Join(d.path, e.Name()), fd: -1}
		if info, err := e.Info(); err == nil && !n.dir {
			n.size, n.onDisk = info.Size(), info.Size()
		}
		d.names[e.Name()], d.durable[e.Name()] = n, n
	}
	return nil
}

func (l *Lossy) walk(parts []string) (*lossyNode, error) {
	n := l.top
	for _, p := range parts {
		if !n.dir {
			return nil, unix.ENOTDIR
		}
		if err := n.look(); err != nil {
			return nil, err
		}
		next := n.names[p]
		if next == nil {
			return nil, unix.ENOENT
		}
		n = next
	}
	if n.dir {
		return n, n.look()
	}
	return n, nil
}

// parent finds the directory of a path and the last name in it.
func (l *Lossy) parent(parts []string) (*lossyNode, string, error) {
	if len(parts) == 0 {
		return nil, "", unix.EINVAL
	}
	d, err := l.walk(parts[:len(parts)-1])
	if err == nil && !d.dir {
		err = unix.ENOTDIR
	}
	return d, parts[len(parts)-1], err
}

// Open opens or makes a file.
func (l *Lossy) Open(path string, how core.OpenMode) (File, int64, error) {
	parts, ok := l.parts(path)
	if !ok {
		return OS{}.Open(path, how)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d, name, err := l.parent(parts)
	if err != nil {
		return nil, 0, err
	}
	n := d.names[name]
	switch {
	case n != nil && n.dir:
		return nil, 0, unix.EISDIR
	case n == nil && how == core.OpenExisting:
		return nil, 0, unix.ENOENT
	case n != nil && how == core.CreateNew:
		return nil, 0, unix.EEXIST
	case n == nil:
		n = &lossyNode{fd: -1}
		d.names[name] = n
	}
	if n.fd < 0 && n.path != "" {
		if n.fd, err = unix.Open(n.path, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			n.fd = -1
			return nil, 0, err
		}
	}
	if how == core.CreateEmpty {
		n.truncate(0)
	}
	n.opens++
	return &lossyFile{l: l, n: n}, n.size, nil
}

// Rename moves a file or directory.
func (l *Lossy) Rename(from, to string) error {
	a, okA := l.parts(from)
	b, okB := l.parts(to)
	if okA != okB {
		return unix.EXDEV
	}
	if !okA {
		return OS{}.Rename(from, to)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	da, na, err := l.parent(a)
	if err != nil {
		return err
	}
	db, nb, err := l.parent(b)
	if err != nil {
		return err
	}
	n, old := da.names[na], db.names[nb]
	switch {
	case n == nil:
		return unix.ENOENT
	case old == n:
		return nil
	case old != nil && old.dir:
		return unix.EEXIST
	case old != nil && n.dir:
		return unix.ENOTDIR
	}
	delete(da.names, na)
	db.names[nb] = n
	return nil
}

// Remove removes a file or an empty directory.
func (l *Lossy) Remove(path string) error {
	parts, ok := l.parts(path)
	if !ok {
		return OS{}.Remove(path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d, name, err := l.parent(parts)
	if err != nil {
		return err
	}
	n := d.names[name]
	if n == nil {
		return unix.ENOENT
	}
	if n.dir {
		if err := n.look(); err != nil {
			return err
		}
		if len(n.names) > 0 {
			return unix.ENOTEMPTY
		}
	}
	delete(d.names, name)
	return nil
}

// Mkdir makes a directory.
func (l *Lossy) Mkdir(path string) error {
	parts, ok := l.parts(path)
	if !ok {
		return OS{}.Mkdir(path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(parts) == 0 {
		return unix.EEXIST
	}
	d, name, err := l.parent(parts)
	if err != nil {
		return err
	}
	if d.names[name] != nil {
		return unix.EEXIST
	}
	d.names[name] = &lossyNode{dir: true, fd: -1, names: map[string]*lossyNode{}, durable: map[string]*lossyNode{}}
	return nil
}

// SyncDir makes a directory's entries durable.
func (l *Lossy) SyncDir(path string) error {
	parts, ok := l.parts(path)
	if !ok {
		return OS{}.SyncDir(path)
	}
	l.dawdle()
	l.mu.Lock()
	defer l.mu.Unlock()
	d, err := l.walk(parts)
	if err != nil {
		return err
	}
	if !d.dir {
		return unix.ENOTDIR
	}
	if l.NoSync {
		return nil
	}
	return l.settle(d)
}

// settle makes a directory's durable form what is seen now.
func (l *Lossy) settle(d *lossyNode) error {
	if d.path == "" { // nobody can find it after a kill, whatever is in it: remembered until it has a name itself
		d.durable = cloneNames(d.names)
		return nil
	}
	for name, n := range d.names {
		if d.durable[name] != n {
			if err := l.place(d, n, name); err != nil {
				return err
			}
		}
	}
	for name, old := range d.durable { // what is left of names that are gone or were replaced
		if d.names[name] != nil || old.path != filepath.Join(d.path, name) && old.dir {
			continue
		}
		if err := l.unname(old, filepath.Join(d.path, name)); err != nil {
			return err
		}
	}
	d.durable = cloneNames(d.names)
	return nil
}

// unname removes a durable name of a node. If it is the one by which we know the durable form, that moves to where no
// kill leaves it in sight: it may get another name yet.
func (l *Lossy) unname(n *lossyNode, at string) error {
	if n.path == at {
		return l.keepAside(n, true)
	}
	if err := unix.Unlink(at); err != unix.ENOENT { // it may have moved to its new name already
		return err
	}
	return nil
}

func cloneNames(m map[string]*lossyNode) map[string]*lossyNode {
	c := make(map[string]*lossyNode, len(m))
	for name, n := range m {
		c[name] = n
	}
	return c
}

func (l *Lossy) unnamed() string {
	l.spilled++
	return filepath.Join(l.root, lossyUnnamed, strconv.Itoa(l.spilled))
}

// keepAside moves, or links, the durable form of a node to where no kill leaves it in sight.
func (l *Lossy) keepAside(n *lossyNode, move bool) error {
	to := l.unnamed()
	var err error
	if move {
		err = unix.Rename(n.path, to)
	} else {
		err = unix.Link(n.path, to)
	}
	if err == nil {
		n.moved(to)
	}
	return err
}

// moved notes the new place of a durable form and of all below it.
func (n *lossyNode) moved(to string) {
	n.path = to
	for name, child := range n.durable {
		if child.path != "" {
			child.moved(filepath.Join(to, name))
		}
	}
}

// place gives a node's durable form a name in d, atomically over what is there.
func (l *Lossy) place(d, n *lossyNode, name string) error {
	to := filepath.Join(d.path, name)
	if n.path == "" && n.dir {
		if err := unix.Mkdir(to, 0o755); err != nil && err != unix.EEXIST {
			return err
		}
		n.path = to
		now := n.names
		n.names, n.durable = n.durable, map[string]*lossyNode{}
		err := l.settle(n) // what was synced in it while it had no name
		n.names = now
		return err
	}
	if old := d.durable[name]; old != nil && old.path == to { // it is about to be replaced
		if err := l.keepAside(old, old.dir); err != nil {
			return err
		}
	}
	if n.path == "" { // a file of which nothing was synced yet: its name is there after a kill, and it is empty
		n.path = l.unnamed()
		fd, err := unix.Open(n.path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		n.fd = fd
	}
	from := n.path
	if at := filepath.Dir(from); !n.dir && at != d.path && at != filepath.Join(l.root, lossyUnnamed) {
		from = l.unnamed() // its name in another directory stays until that one is synced
		if err := unix.Link(n.path, from); err != nil {
			return err
		}
	}
	if err := unix.Rename(from, to); err != nil {
		return err
	}
	n.moved(to)
	return nil
}

// List lists a directory.
func (l *Lossy) List(path string) ([]core.Entry, error) {
	parts, ok := l.parts(path)
	if !ok {
		return OS{}.List(path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d, err := l.walk(parts)
	if err != nil {
		return nil, err
	}
	if !d.dir {
		return nil, unix.ENOTDIR
	}
	entries := make([]core.Entry, 0, len(d.names))
	for name, n := range d.names {
		size := n.size
		if n.dir {
			size = -1
		}
		entries = append(entries, core.Entry{Name: name, Size: size})
	}
	return entries, nil
}

// Stat returns a file's size; -1 for a directory.
func (l *Lossy) Stat(path string) (int64, error) {
	parts, ok := l.parts(path)
	if !ok {
		return OS{}.Stat(path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.walk(parts)
	switch {
	case err != nil:
		return 0, err
	case n.dir:
		return -1, nil
	}
	return n.size, nil
}

// Space is the system's.
func (l *Lossy) Space(path string) (free, total int64, err error) { return OS{}.Space(l.root) }
