// Package disksim is a disk that misbehaves by seed.
//
// It executes the effects that concern files. A file is a list of 4 KiB pages of eight 512-byte sectors, each
// with two copies: what the page cache serves and what the platter holds. A write changes the cache; a sync
// copies to the platter; a power loss leaves the platter and a drawn subset of what was not synced. Directory
// entries likewise: they are durable by SyncDir only, whatever was synced of the file.
//
// A failed sync does what Linux does: it marks the pages clean without having written them. The cache goes on
// serving them and later syncs succeed, until a crash shows what the platter holds.
//
// The package holds no clock and no queue of its own: it asks its Env for a wake-up and is fired again then.
package disksim

import (
	"strings"

	"klamm/core"
)

// Env is what a disk needs of the world around it.
type Env interface {
	// Choose draws a number in [0, n); 0 is the benign choice.
	Choose(site uint8, entity, n uint64) uint64
	// Wake asks for Fire(token) of this disk at an instant.
	Wake(disk int, at core.Time, token uint64)
	// Deliver queues an event for the node that owns the disk.
	Deliver(disk int, ev core.Event)
	// Buffer returns a buffer of n bytes of any content, which becomes the machine's own; Recycle takes one back that did not.
	Buffer(n int) []byte
	Recycle(b []byte)
	// Work runs the machine's Pure.Work.
	Work(disk int, kind core.WorkKind, args, bytes []byte) []byte
	// Synced says that a sync ended well: for plans that crash after the n-th one.
	Synced(disk int)
	// Sum is a checksum, Broken reports that a machine wrote to bytes that it had given away. Both are used only if Check is set.
	Sum(b []byte) uint64
	Broken(disk int, what string)
}

// Sites of draws: 32 to 63 belong to this package.
const (
	siteOp uint8 = 32 + iota
	siteWork
	siteSync
	siteCrashOps
	siteCrashMode
	siteCrashSector
	siteCrashSize
	siteCrashEntry
	siteRot
	siteMisdirect
	siteRange
)

// Counter names one kind of misfortune that a disk can deal out.
type Counter uint8

// What is counted, each time that it really happened.
const (
	SlowOp Counter = iota
	StuckOp
	ReadError
	WriteError
	SyncError
	PagesDropped
	DirSyncError
	DiskFull
	SyncLied
	SectorsLost
	SectorsKept
	SectorsTorn
	SectorsGarbage
	WritesReordered
	SizeLost
	EntriesLost
	EntriesKept
	DroppedShown
	OpsCutShort
	Rotten
	MisdirectedWrite
	MisdirectedRead
	AlignedRead
	AimedError
	BrokenOp
	CounterCount
)

var counterNames = [CounterCount]string{
	"disk.slow", "disk.stuck", "disk.read-error", "disk.write-error", "disk.sync-error", "disk.pages-dropped-by-sync-error",
	"disk.dir-sync-error", "disk.full", "disk.sync-lied", "disk.crash-sectors-lost", "disk.crash-sectors-kept", "disk.crash-sector-torn",
	"disk.crash-garbage", "disk.crash-reordered", "disk.crash-size-lost", "disk.crash-entries-lost", "disk.crash-entries-kept",
	"disk.crash-shows-dropped-pages", "disk.crash-cut-writes-short", "disk.bit-rot", "disk.misdirected-write", "disk.misdirected-read",
	"disk.read-of-other-writes", "disk.aimed-error", "disk.broken-directory-error",
}

func (c Counter) String() string { return counterNames[c] }

// Weather is how bad the disk is now. Rates are out of 65,536 per operation.
type Weather struct {
	Latency             core.Time // least time of an operation
	Jitter              core.Time // added in steps that double with falling probability
	SyncLatency         core.Time
	Slow, Stuck         int64 // per operation: 20 to 200 times as slow; seconds
	ReadErr, WriteErr   int64
	SyncErr, DirSyncErr int64
	MisWrite, MisRead   int64
	OddNot              string // … never of paths that hold this, if it is not empty
	Lying               bool   // syncs report success and do nothing
	FullAt              int64
	Aim, AimSuffix      string // the rest is for paths that hold the one and end with the other
	AimRead, AimWork    int64
	AimWrite, AimSync   int64
	Broken              string // a directory in which nothing works
}

const (
	pageBytes    = 4096
	sectorBytes  = 512
	pageSectors  = pageBytes / sectorBytes
	fileBytesMax = 1 << 31
	nearFiles    = 64
)

type page [pageBytes]byte

// slot is one page of a file. A nil page is zeros.
//
// Invariant: where cache and plat differ, the sector is in dirty, in dropped, or in both.
type slot struct {
	cache, plat *page
	dirty       uint8 // sectors that the next sync writes
	dropped     uint8 // sectors that a failed sync pretended to have written
}

type inode struct {
	ino     uint32 // its place in the table
	dir     bool
	entity  uint64  // names it for draws: a hash of the path at its creation
	path    string  // at its creation
	starts  []int64 // of the latest writes
	linked  int     // entries that name it now
	opens   int
	slots   []slot
	size    int64 // as the cache has it
	platten int64 // size on the platter
	resized bool  // size is to be synced
	harms   []harm
	cur     []entry
	dur     []entry
	pending []change // what cur has and dur has not, in order
}

type entry struct {
	name string
	ino  uint32
}

// change is one change of a directory: an unlink of from, a link of to, or both at once.
type change struct {
	from, to string
	ino      uint32 // linked at to
	shared   uint32 // not zero: a rename between directories, one of two halves that live or die together
}

// handle is an open file.
type handle struct {
	node   *inode
	aimed  bool   // its path holds the weather's aim
	path   string // as it was opened
	id     core.FileID
	err    core.Errno // of its Open
	ready  core.Time  // when the Open is carried out
	last   core.Time  // when the last write or truncate is
	latest core.Time  // when the last operation is
}

// op is one operation on its way.
type op struct {
	gen   uint16
	used  bool
	early bool // a sync that covers what had been written when it was given
	fate  core.Errno
	odd   bool // a misdirected read or write
	at    core.Time
	seq   uint64
	sum   uint64
	e     core.Effect
	h     *handle
}

// Disk is the disk of one node.
//
// Invariants: inodes[0] is the root; used is the bytes of all files that are linked or open.
type Disk struct {
	env     Env
	id      int
	now     core.Time
	Weather Weather
	Counts  [CounterCount]uint64
	Check   bool
	Damage  []Damaged // what was destroyed, in order
	total   int64
	used    int64
	inodes  []*inode
	Pages   *Pages                  // that nobody uses; may be shared with disks that do not run at one time
	handles map[core.FileID]*handle // look-up only
	near    [nearFiles]*handle      // some of handles: those used last, by the lowest bits of their ids
	ops     []op
	idle    []uint32
	seq     uint64
	shared  uint32
	syncs   uint64
}

// Damaged names bytes that a fault destroyed although they had been synced.
type Damaged struct {
	Path string
	Off  int64
	What string
}

// New makes an empty disk.
func New(env Env, id int, total int64) *Disk {
	return &Disk{env: env, id: id, total: total, inodes: []*inode{{dir: true, linked: 1}}, handles: map[core.FileID]*handle{}, Pages: &Pages{}}
}

// At sets the instant of the calls that follow.
func (d *Disk) At(now core.Time) { d.now = now }

// Used is the space that files take.
func (d *Disk) Used() int64 { return d.used }

func wants(bits uint64, rate int64) bool { return int64(bits&0xffff) >= 65536-rate }

// walk finds the directory that holds the last name of path, and the name.
func (d *Disk) walk(path string) (dir *inode, name string, err core.Errno) {
	dir = d.inodes[0]
	path = strings.Trim(path, "/")
	for {
		first, rest, more := strings.Cut(path, "/")
		if !more {
			return dir, first, core.OK
		}
		next := dir.find(first)
		if next == 0 || !d.inodes[next].dir {
			return nil, "", core.NotFound
		}
		dir, path = d.inodes[next], rest
	}
}

// lookup finds what a path names.
func (d *Disk) lookup(path string) *inode {
	dir, name, err := d.walk(path)
	if err != core.OK {
		return nil
	}
	if name == "" || name == "." {
		return dir
	}
	if ino := dir.find(name); ino != 0 {
		return d.inodes[ino]
	}
	return nil
}

func search(list []entry, name string) (int, bool) {
	lo, hi := 0, len(list)
	for lo < hi {
		if m := (lo + hi) / 2; list[m].name < name {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(list) && list[lo].name == name
}

func (n *inode) find(name string) uint32 {
	if i, ok := search(n.cur, name); ok {
		return n.cur[i].ino
	}
	return 0
}

func put(list []entry, name string, ino uint32) []entry {
	i, ok := search(list, name)
	if ok {
		list[i].ino = ino
		return list
	}
	list = append(list, entry{})
	copy(list[i+1:], list[i:])
	list[i] = entry{name, ino}
	return list
}

func del(list []entry, name string) []entry {
	if i, ok := search(list, name); ok {
		return append(list[:i], list[i+1:]...)
	}
	return list
}

func apply(list []entry, c change) []entry {
	if c.from != "" {
		list = del(list, c.from)
	}
	if c.to != "" {
		list = put(list, c.to, c.ino)
	}
	return list
}

func hashPath[T string | []byte](path T) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(path); i++ {
		h = (h ^ uint64(path[i])) * 1099511628211
	}
	return h >> 16
}

func (d *Disk) makeNode(path string, dir bool) *inode {
	n := &inode{ino: uint32(len(d.inodes)), dir: dir, entity: hashPath(path), path: path}
	d.inodes = append(d.inodes, n)
	return n
}

// unlinked lets go of what an entry named.
func (d *Disk) unlinked(ino uint32) {
	n := d.inodes[ino]
	n.linked--
	d.settle(n)
}

// settle gives back the space of a file that nobody can reach; its pages stay for a crash to bring back.
func (d *Disk) settle(n *inode) {
	if n.linked == 0 && n.opens == 0 && !n.dir {
		d.used -= n.size
		n.size, n.resized = 0, false // counted no more; a crash may still bring back what the platter has
		n.linked = -1
	}
}

// Format makes a directory in the root that is durable from the start.
func (d *Disk) Format(name string) {
	n := d.makeNode("/"+name, true)
	n.linked = 1
	d.inodes[0].cur = put(d.inodes[0].cur, name, n.ino)
	d.inodes[0].dur = put(d.inodes[0].dur, name, n.ino)
}
