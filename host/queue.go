package host

import (
	"sync"

	"klamm/core"
)

// item is one thing that waits for the loop: an event, or something that the loop turns into events.
type item struct {
	what itemKind
	ev   core.Event
	conn *conn
	call func(now core.Now, out *core.Out)
}

type itemKind uint8

const (
	itemEvent  itemKind = iota
	itemOpened          // ev is Opened; conn enters the loop's table
	itemGone            // conn has ended: its open sends are done with ConnGone, then ev (Closed, or Opened with an error)
	itemStop
	itemCall
	itemBroken // a panic outside of the loop: call raises it there
)

// queue holds what waits for the loop. Frames are bounded here, and their readers wait; all else is bounded by
// what the machine has asked for, so that whoever reports never waits and cannot be part of a deadlock.
type queue struct {
	mu      sync.Mutex
	notFull sync.Cond
	items   []item
	frames  int
	limit   int
	closed  bool
	wake    chan struct{}
}

func (q *queue) init(frames int) {
	q.limit = frames
	q.notFull.L = &q.mu
	q.wake = make(chan struct{}, 1)
}

func (q *queue) push(items ...item) {
	if len(items) == 0 {
		return
	}
	q.mu.Lock()
	wake := len(q.items) == 0
	if !q.closed {
		q.items = append(q.items, items...)
	}
	q.mu.Unlock()
	if wake {
		q.nudge()
	}
}

// pushFrame waits for room. It reports false if the queue was closed.
func (q *queue) pushFrame(it item) bool {
	q.mu.Lock()
	for q.frames >= q.limit && !q.closed {
		q.notFull.Wait()
	}
	wake := len(q.items) == 0
	ok := !q.closed
	if ok {
		q.frames++
		q.items = append(q.items, it)
	}
	q.mu.Unlock()
	if wake {
		q.nudge()
	}
	return ok
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take hands over all that waits and keeps spare, whose items are finished with, for what comes.
func (q *queue) take(spare []item) []item {
	clear(spare)
	q.mu.Lock()
	items := q.items
	q.items = spare[:0]
	if q.frames >= q.limit {
		q.notFull.Broadcast()
	}
	q.frames = 0
	q.mu.Unlock()
	return items
}

// close drops what waits and all that comes later.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.items = nil
	q.notFull.Broadcast()
	q.mu.Unlock()
}
