package broker

import (
	"math/bits"
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/log"
)

// throttles are the rates that replication is kept below (KIP-73). The two between brokers hold for the replicas that the topic's
// configuration names, those of this broker: as a leader it sends them no records, and as a follower it asks for none, while the
// rate is above its limit and the follower is not in sync. What goes to and from replicas that are in sync is never held back, though
// it counts, as in Kafka: a throttle below the rate of what is produced keeps a new replica from ever catching up.
type throttles struct {
	leader, follower quota
	moves            quota     // between the directories of this broker
	held             []held    // followers here that are to be asked for later
	heldUntil        core.Time // … at this instant, if there are any
}

// held is a follower that does not ask for now.
type held struct {
	log  log.LogID
	node core.NodeID
}

// throttledIn reports whether a list of replicas names that of partition p at a broker: *, or p:broker.
func throttledIn(list []string, p int32, broker core.NodeID) bool {
	own := strconv.Itoa(int(p)) + ":" + strconv.Itoa(int(broker))
	return slices.ContainsFunc(list, func(x string) bool { return x == "*" || x == own })
}

// sendsLater reports whether a leader sends a follower no records now.
func (b *Broker) sendsLater(now core.Now, h *hosted, to core.NodeID) bool {
	return h.throttleLeads && !slices.Contains(h.leader.ISR(), to) && b.throttles.leader.exceeded(now.Mono, b.rate("leader.replication.throttled.rate"))
}

// asksLater reports whether a follower asks for no records now; it is asked for again when it may.
func (b *Broker) asksLater(now core.Now, h *hosted, node core.NodeID) bool {
	t := &b.throttles
	if !h.throttleFollows || h.copying.heard && b.store.Log(h.log).End() >= h.copying.high {
		return false
	}
	wait := t.follower.wait(now.Mono, b.rate("follower.replication.throttled.rate"))
	if wait == 0 {
		return false
	}
	if len(t.held) == 0 || now.Mono.After(wait) < t.heldUntil {
		t.heldUntil = now.Mono.After(wait)
	}
	t.held = append(t.held, held{h.log, node})
	return true
}

// throttleTick has followers ask again that were held back.
func (b *Broker) throttleTick(now core.Now) {
	t := &b.throttles
	if len(t.held) == 0 || now.Mono < t.heldUntil {
		return
	}
	all := t.held
	t.held = nil
	for _, x := range all {
		if h := b.parts.at(x.log); h != nil && h.follower != nil && h.follower.Leader() == x.node {
			b.placed(h, x.node)
		}
	}
}

func (b *Broker) throttleNext() core.Time {
	if len(b.throttles.held) == 0 {
		return core.Never
	}
	return b.throttles.heldUntil
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
