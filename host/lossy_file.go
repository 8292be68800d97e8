package host

import (
	"golang.org/x/sys/unix"
)

// lossyFile is one open file of a Lossy.
type lossyFile struct {
	l      *Lossy
	n      *lossyNode
	closed bool
}

func (f *lossyFile) Pread(b []byte, off int64) (int, error) {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	n := f.n
	if off >= n.size {
		return 0, nil
	}
	b = b[:min(int64(len(b)), n.size-off)]
	for done := 0; done < len(b); {
		at := off + int64(done)
		index, in := at/lossyBlock, int(at%lossyBlock)
		piece := b[done:min(len(b), done+lossyBlock-in)]
		if block := n.blocks[index]; block != nil {
			copy(piece, block[in:])
		} else if err := n.readDurable(piece, at); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return len(b), nil
}

// readDurable reads what is on disk; beyond its end are zeros.
func (n *lossyNode) readDurable(b []byte, off int64) error {
	got := 0
	if n.fd >= 0 && off < n.onDisk {
		var err error
		want := b[:min(int64(len(b)), n.onDisk-off)]
		if got, err = readFull(osFile(n.fd), want, off); err != nil {
			return err
		}
	}
	clear(b[got:])
	return nil
}

func (n *lossyNode) block(index int64) ([]byte, error) {
	if b := n.blocks[index]; b != nil {
		return b, nil
	}
	b := make([]byte, lossyBlock)
	if err := n.readDurable(b, index*lossyBlock); err != nil {
		return nil, err
	}
	if n.blocks == nil {
		n.blocks = map[int64][]byte{}
	}
	n.blocks[index] = b
	return b, nil
}

func (f *lossyFile) Pwritev(pieces [][]byte, off int64) error {
	f.l.dawdle()
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	for _, p := range pieces {
		for len(p) > 0 {
			b, err := f.n.block(off / lossyBlock)
			if err != nil {
				return err
			}
			k := copy(b[off%lossyBlock:], p)
			p, off = p[k:], off+int64(k)
			f.n.size = max(f.n.size, off)
		}
	}
	return nil
}

// truncate sets the size. What lies beyond it is zero, should the file grow again.
func (n *lossyNode) truncate(size int64) error {
	if size < n.size {
		first := size / lossyBlock
		if in := size % lossyBlock; in > 0 {
			b, err := n.block(first)
			if err != nil {
				return err
			}
			clear(b[in:])
			first++
		}
		for i := first; i*lossyBlock < n.size; i++ {
			if i*lossyBlock < n.onDisk { // hides what is on disk
				if n.blocks == nil {
					n.blocks = map[int64][]byte{}
				}
				n.blocks[i] = make([]byte, lossyBlock)
			} else {
				delete(n.blocks, i)
			}
		}
	}
	n.size = size
	return nil
}

// Sync passes down what differs. A kill amid it leaves some of it, as a power cut amid a sync does.
func (f *lossyFile) Sync() error {
	f.l.dawdle()
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	n := f.n
	if f.l.NoSync {
		return nil
	}
	if n.fd < 0 { // it has no durable name yet, and may never get one
		path := f.l.unnamed()
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		n.fd, n.path = fd, path
	}
	for index, b := range n.blocks {
		at := index * lossyBlock
		if at < n.size {
			if err := osFile(n.fd).Pwritev([][]byte{b[:min(lossyBlock, n.size-at)]}, at); err != nil {
				return err
			}
		}
	}
	if err := unix.Ftruncate(n.fd, n.size); err != nil {
		return err
	}
	n.blocks, n.onDisk = nil, n.size
	return nil
}

func (f *lossyFile) Truncate(size int64) error {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	return f.n.truncate(size)
}

func (f *lossyFile) Allocate(int64, int64) error { return nil }

func (f *lossyFile) Close() error {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	n := f.n
	if n.opens--; n.opens == 0 && n.fd >= 0 && n.blocks == nil {
		unix.Close(n.fd)
		n.fd = -1
	}
	return nil
}
