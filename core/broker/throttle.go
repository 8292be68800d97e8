package broker

import (
	"math/bits"

	"klamm/core"
)

// throttles are the rates that replication is kept below (KIP-73).
type throttles struct {
	moves quota // between the directories of this broker
}

// quota measures a rate as Kafka does: over up to eleven windows of a second, the one under way included. What is above the limit is
// not spread: nothing more is let through until the measured rate has fallen to it, so that the mean holds and single answers may
// be as large as they are.
//
// Invariants: starts rise; the samples of windows that are too old are gone.
type quota struct {
	starts  [quotaWindows]core.Time
	bytes   [quotaWindows]int64
	n, last int // samples, and the index of the newest
}

const (
	quotaWindows = 11
	quotaWindow  = core.Second
	unlimited    = 1<<63 - 1
)

// purge forgets windows that are too old.
func (q *quota) purge(now core.Time) {
	for q.n > 0 {
		first := (q.last - q.n + 1 + quotaWindows) % quotaWindows
		if now-q.starts[first] < quotaWindows*quotaWindow {
			return
		}
		q.n--
	}
}

// record notes bytes that were let through.
func (q *quota) record(now core.Time, n int64) {
	q.purge(now)
	if q.n == 0 || now-q.starts[q.last] >= quotaWindow {
		q.last = (q.last + 1) % quotaWindows
		q.n = min(q.n+1, quotaWindows)
		q.starts[q.last], q.bytes[q.last] = now, 0
	}
	q.bytes[q.last] += n
}

// total is what was let through in the windows that count, and since when.
func (q *quota) total(now core.Time) (bytes int64, since core.Time) {
	q.purge(now)
	since = now
	for i := range q.n {
		at := (q.last - i + quotaWindows) % quotaWindows
		bytes += q.bytes[at]
		since = q.starts[at]
	}
	return bytes, since
}

// wait is how long nothing is to be let through at a limit in bytes a second; 0: something may. A limit of 2^63-1 is none.
func (q *quota) wait(now core.Time, limit int64) core.Time {
	bytes, since := q.total(now)
	if bytes == 0 || limit == unlimited {
		return 0
	}
	if limit == 0 {
		return quotaWindow
	}
	hi, lo := bits.Mul64(uint64(bytes), uint64(core.Second))
	if hi >= uint64(limit) {
		return quotaWindow
	}
	need, _ := bits.Div64(hi, lo, uint64(limit)) // so long such a number of bytes takes at the limit
	span := max(now-since, quotaWindow)
	if need <= uint64(span) {
		return 0
	}
	return min(max(core.Time(min(need, uint64(core.Never)))-(now-since), core.Millisecond), quotaWindow)
}

// exceeded reports whether nothing is to be let through at a limit.
func (q *quota) exceeded(now core.Time, limit int64) bool { return q.wait(now, limit) > 0 }

// moveRate is replica.alter.log.dirs.io.max.bytes.per.second: of moves between directories.
func (b *Broker) moveRate() int64 { return b.rate("replica.alter.log.dirs.io.max.bytes.per.second") }

// rate is a dynamic limit of this broker in bytes a second.
func (b *Broker) rate(setting string) int64 {
	return b.view().Broker(setting).Int()
}
