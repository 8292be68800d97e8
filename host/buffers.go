package host

import (
	"math/bits"
	"sync"
	"time"
	"unsafe"
)

// buffers keeps byte slices at rest by size class, four classes to each doubling, so that a frame of a
// little over 1 MiB does not cost 2. Fresh memory is dear (the kernel zeroes each page, and the collector
// walks after it): what is in use again and again stays warm here. The last one put is the first one out.
type buffers struct {
	limit   int64 // bytes at rest
	poison  bool
	classes [classCount]bufferClass
	mu      sync.Mutex
	resting int64
	armed   bool // a trim is due
}

type bufferClass struct {
	free [][]byte
	low  int // the least that rested since the last trim: nobody needed these
}

const (
	classFirst = 256
	classCount = 15*4 + 1 // up to 8 MiB
	poisonByte = 0xdb
)

func newBuffers(limit int64, poison bool) *buffers { return &buffers{limit: limit, poison: poison} }

// classOf is the smallest class that holds n bytes.
func classOf(n int) int {
	if n <= classFirst {
		return 0
	}
	e := bits.Len(uint(n-1)) - 1 // 2^e < n <= 2^(e+1)
	quarter := 1 << (e - 2)
	return (e-8)*4 + (n-1<<e+quarter-1)/quarter
}

func classSize(class int) int {
	if class == 0 {
		return classFirst
	}
	e := 8 + (class-1)/4
	return 1<<e + ((class-1)%4+1)<<(e-2)
}

// get returns n bytes of unknown content.
func (p *buffers) get(n int) []byte {
	if n > pooledBufferMax {
		return make([]byte, n)
	}
	c := classOf(n)
	p.mu.Lock()
	class := &p.classes[c]
	if last := len(class.free) - 1; last >= 0 {
		b := class.free[last]
		class.free[last] = nil
		class.free = class.free[:last]
		class.low = min(class.low, last)
		p.resting -= int64(cap(b))
		p.mu.Unlock()
		return b[:n]
	}
	p.mu.Unlock()
	return make([]byte, n, classSize(c))
}

// put takes b back if it came from get. What is not of a class's size is left to the collector.
func (p *buffers) put(b []byte) {
	size := cap(b)
	if size < classFirst || size > pooledBufferMax {
		return
	}
	c := classOf(size)
	if classSize(c) != size {
		return
	}
	b = b[:size]
	p.mu.Lock()
	defer p.mu.Unlock()
	class := &p.classes[c]
	if p.poison {
		for i := range b {
			b[i] = poisonByte
		}
		for _, f := range class.free {
			if unsafe.SliceData(f) == unsafe.SliceData(b) {
				panic("a buffer was released twice")
			}
		}
	}
	if p.resting+int64(size) > p.limit {
		return
	}
	p.resting += int64(size)
	class.free = append(class.free, b)
	p.arm()
}

// arm sets the next trim, if there is anything to trim: an idle node has no timer. The caller holds the lock.
func (p *buffers) arm() {
	if !p.armed && p.resting > 0 {
		p.armed = true
		time.AfterFunc(trimPeriod, p.trim)
	}
}

// trim gives to the collector what nobody needed since the last trim.
func (p *buffers) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.classes {
		class := &p.classes[i]
		drop := min(class.low, len(class.free))
		for j := range drop { // the oldest are the coldest
			p.resting -= int64(cap(class.free[j]))
		}
		kept := copy(class.free, class.free[drop:])
		clear(class.free[kept:])
		class.free = class.free[:kept]
		class.low = kept
	}
	p.armed = false
	p.arm()
}

func (p *buffers) bytesResting() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resting
}

// within reports whether part lies in the memory of whole.
func within(part, whole []byte) bool {
	if cap(part) == 0 || cap(whole) == 0 {
		return false
	}
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(part))), uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	return a >= b && a < b+uintptr(cap(whole))
}
