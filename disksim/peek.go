package disksim

import "klamm/core"

// Peek copies what was written to a file from an offset on, whatever faults made of it since, for judges, and returns how many bytes
// there were.
func (d *Disk) Peek(path string, off int64, dst []byte) int {
	n := d.lookup(path)
	if n == nil || n.dir || off >= n.size {
		return 0
	}
	dst = dst[:min(int64(len(dst)), n.size-off)]
	n.read(off, dst)
	return len(dst)
}

// Seen copies what a machine would read of a file from an offset on, for judges, and returns how many bytes there were and whether a
// fault has made them something else than what was written.
func (d *Disk) Seen(path string, off int64, dst []byte) (got int, harmed bool) {
	got = d.Peek(path, off, dst)
	if got == 0 {
		return 0, false
	}
	n := d.lookup(path)
	for i := range n.harms {
		h := &n.harms[i]
		harmed = harmed || !h.cured && h.off < off+int64(got) && off < h.off+int64(len(h.mask))
	}
	if harmed {
		n.readHarmed(off, dst[:got])
	}
	return got, harmed
}

// Wipe takes everything from the disk: it is a new one. The machine that used it has crashed before.
func (d *Disk) Wipe() {
	for _, n := range d.inodes {
		d.erase(n)
	}
	d.inodes, d.used = []*inode{{dir: true, linked: 1}}, 0
	d.Damage = d.Damage[:0]
}

// PathOf is the path of an open file; false if nothing has that name any more, or another file has.
func (d *Disk) PathOf(f core.FileID) (string, bool) {
	h := d.openAs(f)
	if h == nil || h.node == nil || d.lookup(h.node.path) != h.node {
		return "", false
	}
	return h.node.path, true
}
