package disksim

import "klamm/core"

// Pages are pages that nobody uses, of any content.
type Pages struct{ free []*page }

// Free gives all pages back; the disk is not used again.
func (d *Disk) Free() {
	for _, n := range d.inodes {
		d.erase(n)
	}
}

func (d *Disk) newPage() *page {
	if k := len(d.Pages.free); k > 0 {
		p := d.Pages.free[k-1]
		d.Pages.free = d.Pages.free[:k-1]
		return p
	}
	return new(page)
}

// own makes the cache's copy of a page writable.
func (d *Disk) own(s *slot) *page {
	if s.cache != nil && s.cache != s.plat {
		return s.cache
	}
	p := d.newPage()
	if s.cache != nil {
		*p = *s.cache
	} else {
		*p = page{}
	}
	s.cache = p
	return p
}

// recycle takes back a page that nothing refers to.
func (d *Disk) recycle(p *page) {
	if p != nil {
		d.Pages.free = append(d.Pages.free, p)
	}
}

// read copies out what the cache serves; beyond the pages there are zeros.
func (n *inode) read(off int64, dst []byte) {
	for len(dst) > 0 {
		i, in := int(off/pageBytes), int(off%pageBytes)
		k := min(len(dst), pageBytes-in)
		if i < len(n.slots) && n.slots[i].cache != nil {
			copy(dst[:k], n.slots[i].cache[in:])
		} else {
			clear(dst[:k])
		}
		dst, off = dst[k:], off+int64(k)
	}
}

// put writes bytes to the cache.
func (d *Disk) put(n *inode, off int64, b []byte) {
	for len(b) > 0 {
		i, in := int(off/pageBytes), int(off%pageBytes)
		k := min(len(b), pageBytes-in)
		for len(n.slots) <= i {
			n.slots = append(n.slots, slot{})
		}
		s := &n.slots[i]
		copy(d.own(s)[in:], b[:k])
		first, last := in/sectorBytes, (in+k-1)/sectorBytes
		s.dirty |= uint8(1<<(last+1)-1) &^ uint8(1<<first-1)
		b, off = b[k:], off+int64(k)
	}
}

// startsMax is how many places of writes a file remembers for misdirected reads.
const startsMax = 32

// write carries out a Write. A failed one leaves any part of the range in doubt.
func (d *Disk) write(n *inode, o *op) core.Errno {
	off, b := o.e.Off, o.e.Data
	if off < 0 || off+int64(len(b)) > fileBytesMax {
		return core.Invalid
	}
	if o.fate != core.OK {
		k := int(d.env.Choose(siteMisdirect, n.entity, uint64(len(b)+1)))
		d.extend(n, off+int64(k))
		d.put(n, off, b[:k])
		return o.fate
	}
	if end := off + int64(len(b)); end > n.size && d.used+end-n.size > d.capacity() {
		d.Counts[DiskFull]++
		return core.NoSpace
	}
	d.extend(n, off+int64(len(b)))
	if len(n.starts) < startsMax {
		n.starts = append(n.starts, off)
	} else {
		n.starts[d.seq%startsMax] = off
	}
	if o.odd && n.size > int64(min(len(b), pageBytes))+2*sectorBytes {
		d.Counts[MisdirectedWrite]++
		d.misdirect(n, off, b)
		return core.OK
	}
	d.put(n, off, b)
	n.cure(off, int64(len(b)))
	return core.OK
}

// misdirect writes to another place of the file: the first page of it overwrites what is there, and where it should be stays what was.
func (d *Disk) misdirect(n *inode, off int64, b []byte) {
	astray := b[:min(len(b), pageBytes)]
	to := int64(d.env.Choose(siteMisdirect, n.entity, uint64((n.size-int64(len(astray)))/sectorBytes))) * sectorBytes
	d.damage(n, to, "misdirected write")
	stays := make([]byte, len(b))
	n.readHarmed(off, stays)
	d.put(n, off, b)
	n.cure(off, int64(len(b)))
	n.hurt(off, xor(stays, b), true)
	there := make([]byte, len(astray))
	n.readHarmed(to, there)
	n.hurt(to, xor(there, astray), true)
}

func xor(a, b []byte) []byte {
	for i := range b {
		a[i] ^= b[i]
	}
	return a
}

func (d *Disk) extend(n *inode, size int64) {
	if size > n.size {
		if n.linked >= 0 {
			d.used += size - n.size
		}
		n.size, n.resized = size, true
	}
	if size > n.platten { // also what a failed sync left beyond the durable end: written again, it is to be synced again
		n.resized = true
	}
}

// resize cuts or grows a file; what is cut reads as zeros if it grows again.
func (d *Disk) resize(n *inode, size int64) {
	if size >= n.size {
		d.extend(n, size)
		return
	}
	d.used -= n.size - size
	n.size, n.resized = size, true
	n.harmsCut(size)
	if in := int(size % pageBytes); in != 0 && int(size/pageBytes) < len(n.slots) {
		s := &n.slots[size/pageBytes]
		clear(d.own(s)[in:])
		s.dirty |= 0xff &^ uint8(1<<(in/sectorBytes)-1)
	}
	for i := int((size + pageBytes - 1) / pageBytes); i < len(n.slots); i++ {
		s := &n.slots[i]
		if s.cache != s.plat {
			d.recycle(s.cache)
		}
		if s.cache = nil; s.plat != nil {
			s.dirty, s.dropped = 0xff, 0
		} else {
			s.dirty, s.dropped = 0, 0
		}
	}
}

// flush copies what is dirty to the platter.
func (d *Disk) flush(n *inode) {
	n.harmsSynced()
	for i := range n.slots {
		s := &n.slots[i]
		if s.dirty == 0 {
			continue
		}
		if s.dropped&^s.dirty != 0 { // an earlier sync pretended to have written these: they are not written now either
			p := d.newPage()
			*p = page{}
			if s.plat != nil {
				*p = *s.plat
			}
			for k := range pageSectors {
				if s.dirty&(1<<k) != 0 {
					copySector(p, s.cache, k)
				}
			}
			d.recycle(s.plat)
			s.plat = p
			s.dropped &^= s.dirty
		} else {
			if s.plat != s.cache {
				d.recycle(s.plat)
			}
			s.plat, s.dropped = s.cache, 0
		}
		s.dirty = 0
	}
	if n.resized {
		n.platten, n.resized = n.size, false
	}
}

func copySector(dst, src *page, k int) {
	to := dst[k*sectorBytes : (k+1)*sectorBytes]
	if src == nil {
		clear(to)
		return
	}
	copy(to, src[k*sectorBytes:])
}

// dropDirty is a failed sync: everything is called clean and nothing was written.
func (d *Disk) dropDirty(n *inode) {
	for i := range n.slots {
		if s := &n.slots[i]; s.dirty != 0 {
			d.Counts[PagesDropped]++
			s.dropped |= s.dirty
			s.dirty = 0
		}
	}
	n.resized = false
}
