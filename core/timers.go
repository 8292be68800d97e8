package core

// Timers is a machine's own set of deadlines on the monotonic clock, ordered by instant and then by the
// order in which they were set, so that one seed means one run. A timer names what it is for by a kind
// and two numbers; whoever pops it looks at the state to see whether it still means anything, so
// nothing is ever taken out before its time.
type Timers struct {
	heap []Timer
	seq  uint64
}

// Timer is one deadline.
type Timer struct {
	At   Time
	seq  uint64
	Kind uint8
	A, B uint64
}

func (t *Timer) less(u *Timer) bool { return t.At < u.At || t.At == u.At && t.seq < u.seq }

// Set adds a deadline.
func (q *Timers) Set(at Time, kind uint8, a, b uint64) {
	if at == Never {
		return
	}
	q.seq++
	q.heap = append(q.heap, Timer{At: at, seq: q.seq, Kind: kind, A: a, B: b})
	h := q.heap
	for i := len(h) - 1; i > 0; {
		p := (i - 1) / 4
		if !h[i].less(&h[p]) {
			break
		}
		h[i], h[p] = h[p], h[i]
		i = p
	}
}

// Next is the earliest deadline, or Never.
func (q *Timers) Next() Time {
	if len(q.heap) == 0 {
		return Never
	}
	return q.heap[0].At
}

// Len is the number of deadlines that were set and not popped.
func (q *Timers) Len() int { return len(q.heap) }

// Pop takes out the earliest deadline that has come.
func (q *Timers) Pop(now Time) (t Timer, ok bool) {
	if len(q.heap) == 0 || q.heap[0].At > now {
		return t, false
	}
	h := q.heap
	t = h[0]
	n := len(h) - 1
	h[0] = h[n]
	h = h[:n]
	q.heap = h
	for i := 0; ; {
		first := i*4 + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if h[c].less(&h[least]) {
				least = c
			}
		}
		if !h[least].less(&h[i]) {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	return t, true
}
