package disksim

// harm is what a fault made of bytes that a file should hold: the file's pages hold what was written to it, and what the
// machine reads, now and in later lives, differs from that by the mask. So a judge can see both, and tell when a damage
// is gone: when the right bytes were written there again, and synced.
//
// Invariants: mask is not empty; a file's harms may overlap.
type harm struct {
	off   int64
	mask  []byte // the exclusive or of what was written and what is read
	fresh bool   // it came with a write that is not synced: a power loss takes both
	cured bool   // the bytes were written again, which is not synced: a power loss brings it back
}

// hurt makes what the machine reads at off differ by a mask.
func (n *inode) hurt(off int64, mask []byte, fresh bool) {
	n.harms = append(n.harms, harm{off: off, mask: mask, fresh: fresh})
}

// readHarmed copies out what the machine reads.
func (n *inode) readHarmed(off int64, dst []byte) {
	n.read(off, dst)
	for i := range n.harms {
		if h := &n.harms[i]; !h.cured {
			for k := max(off, h.off); k < min(off+int64(len(dst)), h.off+int64(len(h.mask))); k++ {
				dst[k-off] ^= h.mask[k-h.off]
			}
		}
	}
}

// cure is called when bytes are written: they are what they should be.
func (n *inode) cure(off, size int64) {
	for i := 0; i < len(n.harms); i++ {
		h := n.harms[i]
		from, to := max(off, h.off), min(off+size, h.off+int64(len(h.mask)))
		if h.cured || from >= to {
			continue
		}
		part := func(a, b int64, cured bool) {
			if a < b {
				n.harms = append(n.harms, harm{a, h.mask[a-h.off : b-h.off : b-h.off], h.fresh, cured})
			}
		}
		n.harms[i].mask = h.mask[from-h.off : to-h.off : to-h.off]
		n.harms[i].off, n.harms[i].cured = from, true
		part(h.off, from, false)
		part(to, h.off+int64(len(h.mask)), false)
	}
}

// keepHarms drops the harms that do not stay.
func (n *inode) keepHarms(stays func(h *harm) bool) {
	kept := n.harms[:0]
	for i := range n.harms {
		if stays(&n.harms[i]) {
			kept = append(kept, n.harms[i])
		}
	}
	n.harms = kept
}

// harmsSynced is called when what was written is on the platter.
func (n *inode) harmsSynced() {
	n.keepHarms(func(h *harm) bool { h.fresh = false; return !h.cured })
}

// harmsCrashed is called when the power is lost.
func (n *inode) harmsCrashed() {
	n.keepHarms(func(h *harm) bool { h.cured = false; return !h.fresh && h.off < n.size })
}

// harmsCut is called when a file is cut.
func (n *inode) harmsCut(size int64) {
	n.keepHarms(func(h *harm) bool {
		if h.off+int64(len(h.mask)) > size && h.off < size {
			h.mask = h.mask[:size-h.off]
		}
		return h.off < size
	})
}

// Harmed tells of every place where a file that can be reached does not read as it was written.
func (d *Disk) Harmed(see func(path string, off, size int64)) {
	for _, n := range d.inodes[1:] {
		if n.dir || n.linked <= 0 {
			continue
		}
		for i := range n.harms {
			if h := &n.harms[i]; !h.cured {
				see(d.pathOf(n.ino), h.off, int64(len(h.mask)))
			}
		}
	}
}

// Rots flips one bit of a byte of a file that was synced; false if it was not, or is damaged already.
func (d *Disk) Rots(path string, off int64, bit uint8) bool {
	n := d.lookup(path)
	if n == nil || n.dir || off < 0 || off >= min(n.platten, n.size) || !n.synced(off) {
		return false
	}
	for i := range n.harms {
		if h := &n.harms[i]; h.off <= off && off < h.off+int64(len(h.mask)) {
			return false
		}
	}
	n.hurt(off, []byte{1 << (bit & 7)}, false)
	d.Counts[Rotten]++
	d.damage(n, off, "bit rot")
	return true
}

// synced reports whether the sector of a byte is on the platter as the cache has it.
func (n *inode) synced(off int64) bool {
	i := int(off / pageBytes)
	if i >= len(n.slots) || n.slots[i].plat == nil || n.slots[i].cache == nil {
		return false
	}
	s := &n.slots[i]
	return (s.dirty|s.dropped)>>(off%pageBytes/sectorBytes)&1 == 0
}
