package host

import (
	"fmt"
	"net"
	"time"

	"klamm/core"
)

// write sends what waits for a connection, until nothing does.
func (c *conn) write() {
	w := writer{c: c}
	for c.nextBatch(&w) {
		if !w.send() {
			c.mu.Lock()
			c.out = append(append([]sendItem(nil), w.batch[w.done:]...), c.out...)
			c.mu.Unlock()
		}
		clear(w.batch)
	}
}

// nextBatch takes what waits, or ends the writer.
func (c *conn) nextBatch(w *writer) bool {
	c.mu.Lock()
	if c.over.Load() || c.closing.Load() || len(c.out) == 0 {
		c.writing = false
		gone := c.goneNow()
		c.mu.Unlock()
		c.tell(gone)
		return false
	}
	w.batch, c.out = c.out, w.batch[:0]
	c.mu.Unlock()
	return true
}

// writer sends one batch of items.
//
// Invariant: batch[:done] has been sent and reported; batch[done:given] is in iov; file buffers of iov are in held.
type writer struct {
	c           *conn
	batch       []sendItem
	done, given int
	iov         net.Buffers
	all         net.Buffers // iov's memory
	held        [][]byte
	bytes       int
	reports     []item
}

func (w *writer) send() bool {
	w.done, w.given = 0, 0
	for i := range w.batch {
		s := &w.batch[i]
		switch {
		case s.close:
			ok := w.flush()
			w.done = i + 1
			if ok {
				w.c.closeHere()
			}
			return false // what was given after the close is never sent
		case s.n > 0 || s.file != nil:
			if !w.fileRange(s) {
				return false
			}
		default:
			w.add(s.data[s.sent:])
		}
		w.given = i + 1
		if (len(w.all) >= sendPiecesMax || w.bytes >= 4*sendChunkBytes) && !w.flush() {
			return false
		}
	}
	return w.flush()
}

func (w *writer) add(b []byte) {
	if len(b) > 0 {
		w.all = append(w.all, b)
		w.bytes += len(b)
	}
}

// fileRange reads a range of a file into buffers of the pool and sends it in chunks, the first together with
// what was sent before it and the last with what comes after it. (Measured: this costs less than sendfile.)
func (w *writer) fileRange(s *sendItem) bool {
	n := w.c.cs.n
	if s.file == nil || s.file.waitOpen() != core.OK {
		return w.cannotRead(s, "the file is not open")
	}
	writers := w.c.cs.writers.Add(1)
	defer w.c.cs.writers.Add(-1)
	chunk := int64(sendChunkBytes)
	if writers > 64 { // many at once: less for each, so that slow readers do not hold much memory
		chunk = sendChunkBytes / 8
	}
	for off, left := s.off, s.n; left > 0; {
		b := n.pool.get(int(min(left, chunk)))
		w.held = append(w.held, b)
		got, err := readFull(s.file.f, b, off)
		if err != nil || got < len(b) {
			return w.cannotRead(s, fmt.Sprintf("%d of %d bytes at %d: %v", got, len(b), off, err))
		}
		if s.file.forsaken.Load() { // only now is it certain that b holds what was meant
			return w.cannotRead(s, "the log is being cut")
		}
		w.add(b)
		off, left = off+int64(got), left-int64(got)
		if (left > 0 || w.bytes >= sendChunkBytes) && !w.flushPart() {
			return false
		}
	}
	return true
}

func (w *writer) cannotRead(s *sendItem, what string) bool {
	w.flush()
	c := w.c
	c.cs.n.notes.add(core.Error, fmt.Sprintf("closed connection %d: a range of a file that it was to be sent could not be read whole: %s", c.id, what))
	c.fail(core.IOError)
	return false
}

// flush sends what was added and reports the items that are now sent whole.
func (w *writer) flush() bool {
	if !w.flushPart() {
		return false
	}
	reports := w.reports[:0]
	for i := w.done; i < w.given; i++ {
		s := &w.batch[i]
		s.file.unpin()
		s.file = nil
		if s.op != 0 {
			n := int64(len(s.data))
			if s.n > 0 {
				n = s.n
			}
			reports = append(reports, item{ev: core.Event{Kind: core.Done, Op: s.op, N: n}})
		}
	}
	w.done = w.given
	w.c.cs.n.queue.push(reports...)
	clear(reports)
	w.reports = reports
	return true
}

func (w *writer) flushPart() bool {
	ok := true
	if len(w.all) > 0 {
		w.iov = w.all
		sent, err := w.iov.WriteTo(w.c.net)
		w.c.cs.sent.Add(uint64(sent))
		if err != nil {
			w.c.fail(readErrno(err, true))
			ok = false
		}
	}
	clear(w.all)
	w.all, w.bytes = w.all[:0], 0
	for i, b := range w.held {
		w.c.cs.n.pool.put(b)
		w.held[i] = nil
	}
	w.held = w.held[:0]
	return ok
}

// closeHere closes the connection for the machine: our side now, the rest when the other side has closed too.
func (c *conn) closeHere() {
	c.mu.Lock()
	c.closing.Store(true)
	c.mu.Unlock()
	if t, ok := c.net.(*net.TCPConn); ok {
		t.CloseWrite()
	}
	c.net.SetReadDeadline(time.Now().Add(closeDrainWithin))
	c.resumed.Broadcast()
	if c.cs.budget.waiting.Load() > 0 {
		c.cs.budget.release(0)
	}
}
