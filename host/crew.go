package host

import (
	"sync"
	"time"
)

// crew runs tasks on at most so many goroutines; those that do not fit wait in order. A goroutine lives as
// long as there is a next task, so that an idle node has none.
type crew struct {
	mu      sync.Mutex
	max     int
	running int
	waiting []task
}

type task interface{ run() }

func (c *crew) submit(t task) {
	c.mu.Lock()
	if c.running >= c.max {
		c.waiting = append(c.waiting, t)
		c.mu.Unlock()
		return
	}
	c.running++
	c.mu.Unlock()
	go c.work(t)
}

func (c *crew) work(t task) {
	for {
		t.run()
		c.mu.Lock()
		if len(c.waiting) == 0 {
			c.waiting = nil
			c.running--
			c.mu.Unlock()
			return
		}
		t = c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		c.mu.Unlock()
	}
}

func (c *crew) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running == 0
}

func (c *crew) waitIdle(until time.Time) bool {
	for !c.idle() {
		if time.Now().After(until) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}
