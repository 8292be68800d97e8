package host

import (
	"sync"
	"sync/atomic"
	"time"
)

// budget bounds the bytes of all frames that are being read or wait for the loop. When it is spent, readers
// wait, and the kernel's own windows slow the senders down. So that half-read frames cannot starve each
// other for ever, one connection at a time may go beyond it; and while anyone waits, a half-read frame that
// does not grow is cut off.
type budget struct {
	max     int64
	used    atomic.Int64
	waiting atomic.Int32
	mu      sync.Mutex
	freed   sync.Cond
	beyond  *conn // the one that may go beyond, until its frame is whole
	cutOff  func()
	watched bool
}

func (b *budget) init(max int64, cutOff func()) {
	b.max, b.cutOff = max, cutOff
	b.freed.L = &b.mu
}

// reserve waits for n bytes. It reports false if c has ended meanwhile.
func (b *budget) reserve(c *conn, n int64) bool {
	if b.used.Add(n) <= b.max {
		return true
	}
	b.used.Add(-n)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	b.watch()
	for !c.over.Load() {
		if b.used.Add(n) <= b.max {
			return true
		}
		if b.beyond == nil || b.beyond == c {
			b.beyond = c
			c.beyond = true
			return true
		}
		b.used.Add(-n)
		b.freed.Wait()
	}
	return false
}

// whole says that c's frame is complete, or will never be.
func (b *budget) whole(c *conn) {
	if !c.beyond {
		return
	}
	c.beyond = false
	b.mu.Lock()
	b.beyond = nil
	b.freed.Broadcast()
	b.mu.Unlock()
}

func (b *budget) release(n int64) {
	b.used.Add(-n)
	if b.waiting.Load() > 0 {
		b.mu.Lock()
		b.freed.Broadcast()
		b.mu.Unlock()
	}
}

// watch looks for stalled frames as long as somebody waits.
func (b *budget) watch() {
	if b.watched {
		return
	}
	b.watched = true
	go func() {
		for {
			time.Sleep(time.Second)
			b.mu.Lock()
			if b.waiting.Load() == 0 {
				b.watched = false
				b.mu.Unlock()
				return
			}
			b.mu.Unlock()
			b.cutOff()
		}
	}()
}
