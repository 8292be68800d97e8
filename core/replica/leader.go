// Package replica keeps the copies of one partition equal.
//
// The leader appends and followers fetch. A follower asks for the offset up to which its copy is safe
// (synced, or written where the broker promises no more), so its fetch offset says: all below is safe
// here. From those offsets the leader derives two facts, and this file is about nothing else:
//
//   - the in-sync set: who may lead next without losing an acknowledged record;
//   - the high watermark: below it, every member of that set, the leader included, holds every record safely.
//
// The set belongs to the controller. A leader only asks for a change, and until the answer comes it
// counts the old set and the asked one, because either may turn out to be true (KIP-497).
//
// The room may assume that the hall tells it the truth about its own log, in order, and that Agreed brings
// the controller's decisions of one leadership only: another leader epoch is another Leader. It owes that
// the high watermark never falls and never passes what a member of either set may lack.
package replica

import (
	"slices"

	"klamm/core"
)

// Leader is the leader's view of one partition during one leader epoch. Ends are exclusive.
//
// Invariants: high <= end; durable <= end; high never falls; self is in isr; asked and askedAs are nil when
// nothing is in flight; followers are sorted by node and do not hold self.
type Leader struct {
	self       core.NodeID
	epoch      core.Epoch
	epochStart core.Offset // where this leadership began: below it, records of former leaders
	start      core.Offset // first readable offset of the leader's own log
	end        core.Offset // written
	durable    core.Offset // own copy safe below
	high       core.Offset
	minISR     int                 // as configured; Min says what it comes to
	isr        []core.NodeID       // as the controller last said; sorted
	version    core.PartitionEpoch // of isr
	asked      []core.NodeID       // as proposed to the controller on top of version; sorted
	askedAs    []core.BrokerEpoch  // with which each of them had fetched when it was proposed
	followers  []follower          // every other replica, sorted by node: loops have one order
	lagMax     core.Time
	recovering bool // the controller holds the partition for one that recovers from an unclean election (KIP-704)
}

// follower is what the leader knows of one replica.
type follower struct {
	node     core.NodeID
	epoch    core.BrokerEpoch // that it fetched with; -1: none yet, or a version that carries none
	end      core.Offset      // its copy is safe below; -1 until it has fetched in this epoch
	start    core.Offset      // its log start
	askedAt  core.Time        // when it last fetched,
	askedFor core.Offset      // and the leader's end at that instant
	caughtUp core.Time        // the last instant at which it held all that there was
	known    core.BrokerEpoch // its registration, as the metadata says
	barred   bool             // fenced or shutting down, as the metadata says: it can't join
}

// Replica is one replica of a partition, as the metadata has it.
type Replica struct {
	Node   core.NodeID
	Epoch  core.BrokerEpoch // of its broker's registration
	Barred bool             // fenced, or in controlled shutdown: it may not join the in-sync set (KIP-841)
}

// Terms are what the metadata says of a leadership.
type Terms struct {
	Self     core.NodeID
	Epoch    core.Epoch
	Replicas []Replica // the leader among them, in any order
	ISR      []core.NodeID
	Version  core.PartitionEpoch
	MinISR   int // min.insync.replicas
	LagMax   core.Time
}

// Lead begins a leadership. Its epoch opens at the end of the leader's log; the high watermark that it knew
// as a follower stands, for readers may have seen it.
func Lead(now core.Time, t Terms, start, end, durable, high core.Offset) *Leader {
	core.Must(durable <= end, "only what was written is durable")
	core.Must(high <= end, "high watermark within the log")
	l := &Leader{
		self: t.Self, epoch: t.Epoch, epochStart: end, start: start, end: end, durable: durable, high: high,
		version: t.Version, lagMax: t.LagMax, minISR: t.MinISR,
	}
	l.isr = sorted(t.ISR)
	core.Must(slices.Contains(l.isr, l.self), "a leader is a member of its in-sync set")
	l.replicas(now, t.Replicas)
	l.raise(now)
	return l
}

// Epoch is the leader epoch.
func (l *Leader) Epoch() core.Epoch { return l.epoch }

// High is the high watermark.
func (l *Leader) High() core.Offset { return l.high }

// EpochStart is where this leadership began. While High is below it, readers cannot yet be told what the
// last leader may have told them (KIP-207).
func (l *Leader) EpochStart() core.Offset { return l.epochStart }

// ISR is the in-sync set as the controller last said, sorted. Not to be written to.
func (l *Leader) ISR() []core.NodeID { return l.isr }

// Version is the partition epoch of ISR.
func (l *Leader) Version() core.PartitionEpoch { return l.version }

// Min is the effective min.insync.replicas: no more than there are replicas.
func (l *Leader) Min() int { return max(1, min(l.minISR, len(l.followers)+1)) }

// Enough reports whether the in-sync set is large enough for acks=all.
func (l *Leader) Enough() bool { return len(l.isr) >= l.Min() }

// SetMin changes min.insync.replicas as configured.
func (l *Leader) SetMin(now core.Time, n int) (rose bool) {
	l.minISR = n
	return l.raise(now)
}

// Replicas says who the replicas are now, after a reassignment, a registration or a fencing. What is known
// of those that stay is kept.
func (l *Leader) Replicas(now core.Time, replicas []Replica) (rose bool) {
	l.replicas(now, replicas)
	return l.raise(now)
}

func (l *Leader) replicas(now core.Time, replicas []Replica) {
	var all []follower
	for _, r := range replicas {
		if r.Node == l.self {
			continue
		}
		f := follower{node: r.Node, epoch: -1, end: -1, askedFor: -1, caughtUp: now - l.lagMax - 1}
		if slices.Contains(l.isr, r.Node) {
			f.caughtUp = now // a member has its full time to say where it stands
		}
		if old := l.follower(r.Node); old != nil {
			f = *old
		}
		f.known, f.barred = r.Epoch, r.Barred
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b follower) int { return int(a.node) - int(b.node) })
	l.followers = all
}

// Appended says that the log now ends at end. Nothing is promised yet: the high watermark stays.
func (l *Leader) Appended(end core.Offset) {
	core.Must(end >= l.end, "a leader's log only grows")
	l.end = end
}

// Durable says that the leader's own copy is safe below end. It reports whether the high watermark rose.
func (l *Leader) Durable(now core.Time, end core.Offset) (rose bool) {
	core.Must(end <= l.end, "only what was written is durable")
	l.durable = max(l.durable, end) // completions of several syncs may come out of order
	return l.raise(now)
}

// Started says that the leader's own log now starts at start.
func (l *Leader) Started(start core.Offset) { l.start = max(l.start, start) }

// Low is the low watermark: the least log start among the replicas whose brokers live. DeleteRecords is done when it
// has come to what was asked; a dead replica learns of it when it comes back.
func (l *Leader) Low() core.Offset {
	low := l.start
	for i := range l.followers {
		if f := &l.followers[i]; !f.barred {
			low = min(low, f.start)
		}
	}
	return low
}

// Verdict says what a fetch of a follower means.
type Verdict uint8

// The verdicts on a follower's fetch.
const (
	Booked   Verdict = iota
	Stranger         // no replica of this partition: NOT_LEADER_OR_FOLLOWER
	Stale            // of an earlier life of its broker: its copy may be gone since (KIP-903)
	Diverged         // it holds records that this leader never had, and must truncate first
)

// Fetched says that a follower asked for the offset at, hence holds all below. epoch is that of its
// broker, -1 if its version carries none; start is its log start.
func (l *Leader) Fetched(now core.Time, node core.NodeID, epoch core.BrokerEpoch, at, start core.Offset) (rose bool, v Verdict) {
	f := l.follower(node)
	switch {
	case f == nil:
		return false, Stranger
	case epoch >= 0 && (epoch < f.known || epoch < f.epoch):
		return false, Stale
	case at > l.end:
		return false, Diverged
	}
	if epoch >= 0 && epoch != f.epoch {
		f.askedFor = -1 // what an earlier life had asked for says nothing about this one
	}
	// Under steady load a follower is always a little behind the end of this instant. If it has
	// reached the end that its previous fetch saw, then it was in sync at that fetch.
	switch {
	case at == l.end:
		f.caughtUp = now
	case f.askedFor >= 0 && at >= f.askedFor:
		f.caughtUp = max(f.caughtUp, f.askedAt)
	}
	f.epoch, f.end, f.start, f.askedAt, f.askedFor = epoch, at, start, now, l.end
	return l.raise(now), Booked
}

// Propose returns the set that the leader would ask for now, or nil if it wants no change or awaits
// an answer. To join, a follower must hold all that readers were promised, and all that this leader
// began with: a new leader's high watermark may still lie below what the last one promised. And it must be
// a life of its broker that the controller knows, neither fenced nor about to stop.
func (l *Leader) Propose(now core.Time) []core.NodeID {
	if l.asked != nil {
		return nil
	}
	want := []core.NodeID{l.self}
	for i := range l.followers {
		f := &l.followers[i]
		member := slices.Contains(l.isr, f.node)
		if member && !l.late(f, now) || !member && l.joins(f, now) && f.end >= max(l.high, l.epochStart) {
			want = append(want, f.node)
		}
	}
	if slices.Sort(want); slices.Equal(want, l.isr) && !l.recovering {
		return nil
	}
	l.asked, l.askedAs = want, make([]core.BrokerEpoch, len(want))
	for i, n := range want {
		l.askedAs[i] = -1
		if f := l.follower(n); f != nil {
			l.askedAs[i] = f.epoch
		}
	}
	return slices.Clone(want)
}

// SetRecovering says whether the controller still holds the partition for one that recovers from an unclean election. Whatever
// the leader proposes says that it has recovered: there is nothing that it could recover.
func (l *Leader) SetRecovering(yes bool) { l.recovering = yes }

// Asked is the proposal in flight, or nil.
func (l *Leader) Asked() []core.NodeID { return l.asked }

// AskedAs is, for each of Asked, the broker epoch with which it had last fetched when the proposal was made; -1 if none, and for the
// leader itself. A request names them, however often it is repeated, so that the controller can refuse a copy of another life (KIP-903):
// what was known of the one says nothing about the other, which may have lost it.
func (l *Leader) AskedAs() []core.BrokerEpoch { return l.askedAs }

// Holds reports whether a member of the in-sync set can serve a consumer at an offset, and where its copy ends.
func (l *Leader) Holds(node core.NodeID, at core.Offset) (end core.Offset, ok bool) {
	f := l.follower(node)
	if f == nil || f.barred || at < f.start || at > f.end || !slices.Contains(l.isr, node) {
		return -1, false
	}
	return f.end, true
}

// Lacks reports whether a replica is missing from the in-sync set.
func (l *Leader) Lacks() bool { return len(l.isr) <= len(l.followers) }

// Agreed says what the controller decided, which may be another set than the one asked for. News that
// is not newer than what is known is no answer. Newer news settles the question: it is either the
// change that was asked for, or one that came first, and then the controller refuses ours as stale.
func (l *Leader) Agreed(now core.Time, isr []core.NodeID, version core.PartitionEpoch) (rose bool) {
	if version <= l.version {
		return false
	}
	isr = sorted(isr)
	core.Must(slices.Contains(isr, l.self), "a leader that is no member has resigned before this")
	l.isr, l.version, l.asked, l.askedAs = isr, version, nil, nil
	return l.raise(now)
}

// Unchanged says that the controller holds already what was asked for, at the version that is known: nothing has changed, there is no
// news to wait for, and the question is settled.
func (l *Leader) Unchanged(now core.Time) (rose bool) {
	l.asked, l.askedAs, l.recovering = nil, nil, false
	return l.raise(now)
}

// Aged looks again at the high watermark, since time alone may set it free: a follower that was about to join, and has fallen
// silent, does not hold it back for longer than a member might be late.
func (l *Leader) Aged(now core.Time) (rose bool) { return l.raise(now) }

// Refused says that the controller turned the asked set down; it never came into force.
func (l *Leader) Refused(now core.Time) (rose bool) {
	l.asked, l.askedAs = nil, nil
	return l.raise(now)
}

// late reports that a follower has not been at the leader's end for too long. One that holds all there is
// is not late, however long ago it asked: an idle partition loses nobody.
func (l *Leader) late(f *follower, now core.Time) bool {
	return f.end != l.end && now-f.caughtUp > l.lagMax
}

// joins reports that a follower outside the set could be taken in.
func (l *Leader) joins(f *follower, now core.Time) bool {
	return !f.barred && f.end >= 0 && (f.epoch < 0 || f.epoch == f.known) && now-f.caughtUp <= l.lagMax
}

// raise moves the high watermark to the least safe end among the members, old and asked, while there
// are enough of them to keep a promise. A caught-up follower that is about to join holds it back
// too: else a fast leader would keep ahead of it, and it would never get in.
func (l *Leader) raise(now core.Time) bool {
	if !l.Enough() {
		return false
	}
	least := l.durable
	for i := range l.followers {
		f := &l.followers[i]
		if slices.Contains(l.isr, f.node) || slices.Contains(l.asked, f.node) || l.joins(f, now) {
			least = min(least, f.end)
		}
	}
	// A new leader hears of its followers one by one, so least may lie below high. A former leader
	// promised high to readers: it stands.
	if least <= l.high {
		return false
	}
	core.Must(least <= l.end, "high watermark within the log")
	l.high = least
	return true
}

func (l *Leader) follower(node core.NodeID) *follower {
	for i := range l.followers {
		if l.followers[i].node == node {
			return &l.followers[i]
		}
	}
	return nil
}

func sorted(nodes []core.NodeID) []core.NodeID {
	nodes = slices.Clone(nodes)
	slices.Sort(nodes)
	return nodes
}
