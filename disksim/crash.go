package disksim

import (
	"slices"
	"strings"

	"klamm/core"
)

// Crash ends the life of the machine that uses the disk. What was on its way is cut short in some way that keeps
// each file's order. If the power is lost, only the platter stays and a drawn part of what was not synced.
func (d *Disk) Crash(power bool) {
	d.cutShort()
	d.ops, d.idle = d.forget(), d.idle[:0]
	for i := range d.ops {
		d.idle = append(d.idle, uint32(i))
	}
	clear(d.handles)
	d.near = [nearFiles]*handle{}
	for _, n := range d.inodes {
		n.opens = 0
	}
	if power {
		d.losePower()
	}
	for _, n := range d.inodes {
		if !power && n != d.inodes[0] {
			d.settle(n)
		}
	}
}

// forget empties the slots and moves their generations on, so that wake-ups of this life find nothing.
func (d *Disk) forget() []op {
	for i := range d.ops {
		d.ops[i] = op{gen: d.ops[i].gen + 1}
	}
	return d.ops
}

// cutShort carries out a drawn part of what is on its way: per file a prefix, the last of it perhaps in part.
func (d *Disk) cutShort() {
	var list []*op
	for i := range d.ops {
		if d.ops[i].used {
			list = append(list, &d.ops[i])
		}
	}
	slices.SortFunc(list, func(a, b *op) int {
		if a.at != b.at {
			return int(min(max(a.at-b.at, -1), 1))
		}
		return int(int64(a.seq) - int64(b.seq))
	})
	var stopped []*handle
	for _, o := range list {
		v := d.env.Choose(siteCrashOps, 0, 1<<20)
		if o.h != nil {
			if slices.Contains(stopped, o.h) {
				continue
			}
			if v&3 != 0 && o.e.Kind != core.Open {
				stopped = append(stopped, o.h)
			}
		}
		if v&1 == 0 {
			if o.e.Kind == core.Open { // nothing behind it can happen
				stopped = append(stopped, o.h)
			}
			continue
		}
		var ev core.Event
		if o.e.Kind == core.Write && v&2 != 0 && len(o.e.Data) > 1 {
			d.Counts[OpsCutShort]++
			o.e.Data = o.e.Data[:1+int(v>>2)%len(o.e.Data)]
		}
		if k := o.e.Kind; k == core.Open || k == core.Write || k == core.Truncate || k == core.Rename || k == core.Remove || k == core.Mkdir {
			d.carryOut(o, &ev)
		}
	}
}

// losePower builds from the platter and the lucky part of the rest what the next life finds.
func (d *Disk) losePower() {
	d.loseEntries()
	reached := make([]bool, len(d.inodes))
	d.reach(0, reached)
	d.used = 0
	for i, n := range d.inodes {
		n.linked = 0
		if !reached[i] {
			d.erase(n)
		}
	}
	d.inodes[0].linked = 1
	for i, n := range d.inodes {
		if !reached[i] {
			continue
		}
		for _, e := range n.cur {
			d.inodes[e.ino].linked++
		}
	}
	for i, n := range d.inodes {
		if reached[i] && !n.dir {
			d.loseSectors(n)
			d.used += n.size
		}
	}
}

func (d *Disk) reach(ino uint32, reached []bool) {
	if reached[ino] {
		return
	}
	reached[ino] = true
	for _, e := range d.inodes[ino].cur {
		d.reach(e.ino, reached)
	}
}

func (d *Disk) erase(n *inode) {
	for i := range n.slots {
		s := &n.slots[i]
		if d.recycle(s.cache); s.plat != s.cache {
			d.recycle(s.plat)
		}
	}
	n.slots, n.size, n.platten, n.resized = nil, 0, 0, false
	n.cur, n.dur, n.pending, n.harms = nil, nil, nil, nil
}

// loseEntries decides which changes of directories outlive the crash. Some file systems keep them in order,
// others keep any; two changes of one name never swap.
func (d *Disk) loseEntries() {
	var lost []uint32 // renames between directories whose first half was lost
	for _, n := range d.inodes {
		if !n.dir || len(n.pending) == 0 {
			continue
		}
		v := d.env.Choose(siteCrashEntry, n.entity, 1<<16)
		keep := int(v>>2) % (len(n.pending) + 1)
		ordered := v&1 == 0
		var touched []string // names of which a change was lost
		for i, c := range n.pending {
			kept := i < keep
			if !ordered {
				kept = d.env.Choose(siteCrashEntry, n.entity, 2) == 1
			}
			kept = kept && (c.from == "" || !slices.Contains(touched, c.from)) && (c.to == "" || !slices.Contains(touched, c.to))
			if c.shared != 0 && slices.Contains(lost, c.shared) {
				kept = false
			}
			if kept {
				d.Counts[EntriesKept]++
				n.dur = apply(n.dur, c)
				continue
			}
			d.Counts[EntriesLost]++
			touched = append(touched, c.from, c.to)
			if c.shared != 0 {
				lost = append(lost, c.shared)
			}
		}
	}
	for _, n := range d.inodes {
		if n.dir {
			n.cur = append(n.cur[:0], n.dur...)
			n.pending = n.pending[:0]
		}
	}
}

// What a crash does to the unsynced sectors of one file.
const (
	loseAll = iota
	keepAll
	keepPrefix
	keepAny
	tearOne
	crashModes
)

// loseSectors decides which unsynced sectors of a file outlive the crash, and its size.
func (d *Disk) loseSectors(n *inode) {
	v := d.env.Choose(siteCrashMode, n.entity, 1<<32)
	mode := int(v % crashModes)
	size := n.platten
	if n.resized {
		size = n.size
		if mode == loseAll || v>>8&3 == 3 && mode != keepAll {
			size = n.platten
			d.Counts[SizeLost]++
		} else if v>>8&3 == 2 && n.size > n.platten && mode != keepAll {
			size = n.platten + int64(d.env.Choose(siteCrashSize, n.entity, uint64(n.size-n.platten+1)))
			d.Counts[SizeLost]++
		}
	}
	dirty, torn := 0, -1
	for i := range n.slots {
		for k := range pageSectors {
			dirty += int(n.slots[i].dirty >> k & 1)
		}
	}
	keep := 0
	if dirty > 0 {
		keep, torn = int(v>>16)%(dirty+1), int(v>>16)%dirty
	}
	seen, lostBefore := 0, false
	for i := range n.slots {
		s := &n.slots[i]
		if s.cache == s.plat {
			s.dirty, s.dropped = 0, 0
			continue
		}
		if s.dropped&^s.dirty != 0 {
			d.Counts[DroppedShown]++
		}
		p := d.newPage()
		*p = page{}
		if s.plat != nil {
			*p = *s.plat
		}
		for k := range pageSectors {
			if s.dirty>>k&1 == 0 {
				continue
			}
			kept := mode == keepAll || mode == keepPrefix && seen < keep || mode == tearOne && seen <= torn
			if mode == keepAny {
				kept = d.env.Choose(siteCrashSector, n.entity, 2) == 1
			}
			switch {
			case kept && mode == tearOne && seen == torn:
				d.tear(n, i, p, k, v)
			case kept:
				d.Counts[SectorsKept]++
				copySector(p, s.cache, k)
				if lostBefore {
					d.Counts[WritesReordered]++
				}
			default:
				d.Counts[SectorsLost]++
				lostBefore = true
			}
			seen++
		}
		if s.cache != nil {
			d.recycle(s.cache)
		}
		if s.plat != nil {
			d.recycle(s.plat)
		}
		s.cache, s.plat, s.dirty, s.dropped = p, p, 0, 0
	}
	n.size, n.platten, n.resized = size, size, false
	n.harmsCrashed()
	d.zeroBeyond(n)
}

// tear leaves sector k of page i half old and half new, or, beyond the durable size, full of what was there before the
// file. Below it a file system shows a page that was never written as zeros and nothing else.
func (d *Disk) tear(n *inode, i int, p *page, k int, v uint64) {
	s := &n.slots[i]
	if v>>24&3 == 3 && int64(i)*pageBytes+int64(k*sectorBytes) >= n.platten && s.plat == nil {
		d.Counts[SectorsGarbage]++
		for i := range sectorBytes {
			p[k*sectorBytes+i] = byte(v>>(i%5*8)) ^ byte(i*31)
		}
		return
	}
	d.Counts[SectorsTorn]++
	cut := 1 + int(v>>26)%(sectorBytes-1)
	if s.cache != nil {
		copy(p[k*sectorBytes:k*sectorBytes+cut], s.cache[k*sectorBytes:])
	}
}

// zeroBeyond makes what lies beyond the end zeros, on the platter and in the cache alike.
func (d *Disk) zeroBeyond(n *inode) {
	last := int((n.size + pageBytes - 1) / pageBytes)
	for i := last; i < len(n.slots); i++ {
		s := &n.slots[i]
		if d.recycle(s.cache); s.plat != s.cache {
			d.recycle(s.plat)
		}
		*s = slot{}
	}
	n.slots = n.slots[:min(last, len(n.slots))]
	if in := n.size % pageBytes; in != 0 && last == len(n.slots) && last > 0 {
		if p := n.slots[last-1].cache; p != nil { // after a crash the two copies are one
			clear(p[in:])
		}
	}
}

// damage notes that synced bytes were destroyed.
func (d *Disk) damage(n *inode, off int64, what string) {
	d.Damage = append(d.Damage, Damaged{Path: d.pathOf(n.ino), Off: off, What: what})
}

// Rot flips one bit of what was synced to a file whose path holds part and ends in suffix. It reports false if there is none.
func (d *Disk) Rot(part, suffix string) bool {
	var list []*inode
	for _, n := range d.inodes[1:] {
		if n.dir || n.linked <= 0 || n.platten == 0 {
			continue
		}
		if path := d.pathOf(n.ino); strings.Contains(path, part) && strings.HasSuffix(path, suffix) {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		return false
	}
	n := list[d.env.Choose(siteRot, 0, uint64(len(list)))]
	off := int64(d.env.Choose(siteRot, 1, uint64(min(n.platten, n.size)+1)))
	if off >= n.size || !n.synced(off) {
		return false
	}
	return d.Rots(d.pathOf(n.ino), off, uint8(d.env.Choose(siteRot, 2, 8)))
}

// pathOf finds a path to an inode.
func (d *Disk) pathOf(ino uint32) string {
	path, _ := d.pathUnder(0, ino)
	return path
}

func (d *Disk) pathUnder(dir, ino uint32) (string, bool) {
	for _, e := range d.inodes[dir].cur {
		if e.ino == ino {
			return "/" + e.name, true
		}
		if d.inodes[e.ino].dir {
			if rest, ok := d.pathUnder(e.ino, ino); ok {
				return "/" + e.name + rest, true
			}
		}
	}
	return "", false
}

// File returns what the machine would read of a file, for judges and tests.
func (d *Disk) File(path string) ([]byte, bool) { return d.FileInto(path, nil) }

// FileInto is File with room for the bytes: what it returns lies in room if there is enough of it.
func (d *Disk) FileInto(path string, room []byte) ([]byte, bool) {
	n := d.lookup(path)
	if n == nil || n.dir {
		return nil, false
	}
	if int64(cap(room)) < n.size {
		room = make([]byte, n.size, 2*n.size)
	}
	b := room[:n.size]
	n.readHarmed(0, b)
	return b, true
}

// Names lists what is in a directory, sorted.
func (d *Disk) Names(dir string) (list []string) {
	n := d.lookup(dir)
	if n == nil || len(n.cur) == 0 {
		return nil
	}
	list = make([]string, len(n.cur))
	for i, e := range n.cur {
		list[i] = e.name
	}
	return list
}

// Paths lists all files and directories below a path, sorted by their places.
func (d *Disk) Paths(path string) (list []string) {
	n := d.lookup(path)
	if n == nil {
		return nil
	}
	path = strings.TrimRight(path, "/") + "/"
	for _, e := range n.cur {
		p := path + e.name
		list = append(list, p)
		if d.inodes[e.ino].dir {
			list = append(list, d.Paths(p)...)
		}
	}
	return list
}
