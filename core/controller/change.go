package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"
)

// election says who may become leader when there is a choice to be made.
type election uint8

const (
	electOnline    election = iota // the leader stays if it can; else the first replica that may lead
	electPreferred                 // the first replica of all if it may lead (KIP-183)
	electUnclean                   // as electOnline; if nobody may lead, any live replica, whatever it lacks (KIP-460)
)

// change is the next state of one partition in the making. It is the one place that decides on a partition's leader,
// in-sync set and eligible leaders: whoever wants a partition changed fills in what is wanted and calls decide.
//
// The rules (KIP-497, 841, 858, 903, 966):
//   - A leader is a live in-sync replica with its directory online. While the in-sync set is empty, a live eligible
//     leader replica (ELR) will do, and becomes the in-sync set; then the last known leader; then, if the election is
//     unclean, any live replica. The last two may have lost records: the partition is marked as recovering.
//   - Who leaves the in-sync set while it is below the minimum still holds every committed record, for nothing more is
//     committed then. It becomes eligible, until the set has reached the minimum again or the replica may have lost data.
//   - Without ELR, the last in-sync replica stays in the set when it goes, with no leader.
//   - A reassignment ends as soon as enough of its target is in sync.
//   - The leader epoch grows whenever the leader changes, and when a replica is taken out of the assignment.
type change struct {
	d     *draft
	topic *image.Topic
	old   *image.Partition
	on    terms
	how   election
	lost  core.NodeID // a replica whose records may be gone: it is not eligible either
	wiped bool        // the lost replica has nothing at all: of several replicas it is the last to lead again

	// What is wanted; begins as what is.
	replicas, isr, adding, removing []core.NodeID
	elr, last                       []core.NodeID
	moved                           core.NodeID  // a replica that is in another directory now
	to                              core.TopicID // that directory
	leader                          core.NodeID
	recovering, unclean             bool
}

// change begins a change of p, which must be the partition as d leaves it so far.
func (d *draft) change(t *image.Topic, p *image.Partition, on terms) *change {
	return &change{
		d: d, topic: t, old: p, on: on, how: on.online(), lost: core.NoNode, moved: core.NoNode,
		replicas: p.Replicas, isr: p.ISR, adding: p.Adding, removing: p.Removing, elr: p.ELR, last: p.LastKnownELR,
		leader: p.Leader, recovering: p.Recovering,
	}
}

// decide works out what is to be, and puts it into the draft if it differs from what is. It returns the partition as it then
// is, and whether anything changed.
func (ch *change) decide() (*image.Partition, bool) {
	if ch.settle(); ch.isNoChange() {
		return ch.old, false
	}
	return ch.d.put(ch.topic, ch.old, ch.record())
}

// settle brings what is wanted to what can be.
func (ch *change) settle() {
	feature := ch.on.elr
	if len(ch.old.ISR) == 0 && len(ch.old.ELR) > 0 {
		ch.on.elr = true // what an earlier level of the feature left behind is still true, and all that there is
	}
	ch.finishReassignment()
	ch.settleEligible()
	ch.elect()
	if ch.on.elr = feature || len(ch.isr) == 0 && ch.on.elr; !ch.on.elr {
		ch.elr = []core.NodeID{}
	}
	if len(ch.isr) == 0 && !ch.on.elr {
		ch.isr = keep(ch.old.ISR, func(n core.NodeID) bool { return slices.Contains(ch.replicas, n) })
	}
	ch.settleLast()
}

// finishReassignment ends a reassignment if what is to be in sync has become so: the replicas that were added and, if the
// partition is to have fewer replicas than it had, each one of them. Who is both added and removed belongs to
// a reassignment that another one replaced; nobody waits for it.
func (ch *change) finishReassignment() {
	if len(ch.adding) == 0 && len(ch.removing) == 0 {
		return
	}
	stays := func(n core.NodeID) bool { return !slices.Contains(ch.removing, n) }
	target, isr := keep(ch.replicas, stays), keep(ch.isr, stays)
	had := keep(ch.replicas, func(n core.NodeID) bool { return !slices.Contains(ch.adding, n) })
	must := keep(ch.adding, stays)
	if len(target) < len(had) {
		must = target
	}
	if len(isr) == 0 || !within(must, isr) { // in sync within the target there must be somebody
		return
	}
	ch.replicas, ch.isr = target, isr
	ch.adding, ch.removing = []core.NodeID{}, []core.NodeID{}
}

// settleEligible works out who is eligible beside the in-sync set.
func (ch *change) settleEligible() {
	if !ch.on.elr || len(ch.isr) >= min(ch.on.min, len(ch.replicas)) {
		ch.elr = []core.NodeID{}
		return
	}
	all := append(slices.Clone(ch.old.ELR), ch.old.ISR...)
	slices.Sort(all)
	ch.elr = keep(slices.Compact(all), func(n core.NodeID) bool {
		return n != ch.lost && slices.Contains(ch.replicas, n) && !slices.Contains(ch.isr, n)
	})
}

// mayLead reports whether a replica would lead without losing anything.
func (ch *change) mayLead(n core.NodeID) bool {
	holdsAll := slices.Contains(ch.isr, n) || len(ch.isr) == 0 && slices.Contains(ch.elr, n)
	return holdsAll && ch.alive(n)
}

func (ch *change) alive(n core.NodeID) bool {
	at := slices.Index(ch.replicas, n)
	return at >= 0 && ch.d.alive(n) && ch.d.online(n, ch.directoryOf(n))
}

// elect finds the leader.
func (ch *change) elect() {
	leader, unclean := ch.candidate()
	ch.leader, ch.unclean = leader, unclean
	switch {
	case leader == core.NoNode:
	case unclean:
		ch.isr, ch.elr, ch.recovering = []core.NodeID{leader}, []core.NodeID{}, true
	case !slices.Contains(ch.isr, leader): // it was eligible
		ch.isr = []core.NodeID{leader}
		ch.settleEligible() // for it may commit alone, if the minimum became less since the others left
	}
}

func (ch *change) candidate() (leader core.NodeID, unclean bool) {
	if ch.how == electPreferred && ch.mayLead(ch.replicas[0]) {
		return ch.replicas[0], false
	}
	if ch.mayLead(ch.old.Leader) {
		return ch.old.Leader, false
	}
	if at := slices.IndexFunc(ch.replicas, ch.mayLead); at >= 0 {
		return ch.replicas[at], false
	}
	if l := ch.old.LastKnownELR; ch.on.elr && len(ch.isr) == 0 && len(ch.elr) == 0 && len(l) == 1 && !ch.wiped && ch.alive(l[0]) {
		return l[0], true
	}
	if ch.how == electUnclean {
		if at := slices.IndexFunc(ch.replicas, ch.alive); at >= 0 {
			return ch.replicas[at], true
		}
	}
	return core.NoNode, false
}

// settleLast keeps the last leader in mind while there is none and nobody is in sync.
func (ch *change) settleLast() {
	defer func() {
		if ch.wiped && len(ch.replicas) > 1 && slices.Contains(ch.last, ch.lost) && !ch.alone() {
			ch.last = []core.NodeID{}
		}
	}()
	switch {
	case ch.leader != core.NoNode:
		ch.last = []core.NodeID{}
	case !ch.on.elr || len(ch.isr) > 0 || len(ch.old.ISR) == 0:
	case ch.old.Leader != core.NoNode:
		ch.last = []core.NodeID{ch.old.Leader}
	case len(ch.old.ISR) == 1: // it led before it was the last to go, when ELR was not in force
		ch.last = ch.old.ISR
	}
}

// alone reports whether nobody but the lost replica was ever in sync, and it too few to commit anything. That is how a partition begins
// that is created where only one broker counts as alive, which may have lost its disk already. Such a replica may lead again with
// nothing: the others have nothing either that was committed. Only its first state, and the one after it went, say so for certain.
func (ch *change) alone() bool {
	old, self := ch.old, []core.NodeID{ch.lost}
	first := old.Epoch == 0 && slices.Equal(old.ISR, self)
	second := old.Epoch == 1 && len(old.ISR) == 0 && slices.Equal(old.ELR, self)
	return ch.on.elr && ch.on.min > 1 && (first || second)
}

// bumps reports whether the leader gets a new epoch: it changed, or has lost records that it may have under the old one, or a
// replica that knows the old one is not to be counted any longer. Before 3.6 every leaver was given that treatment.
func (ch *change) bumps() bool {
	return ch.leader != ch.old.Leader || ch.unclean || !within(ch.old.Replicas, ch.replicas) ||
		ch.d.c.Level() < 12 && !within(ch.old.ISR, ch.isr)
}

func (ch *change) isNoChange() bool {
	old := ch.old
	return !ch.bumps() && slices.Equal(ch.isr, old.ISR) && slices.Equal(ch.replicas, old.Replicas) &&
		slices.Equal(ch.adding, old.Adding) && slices.Equal(ch.removing, old.Removing) && slices.Equal(ch.elr, old.ELR) &&
		slices.Equal(ch.last, old.LastKnownELR) && ch.recovering == old.Recovering && slices.Equal(ch.directories(), old.Directories)
}

// record is what makes the old state the new one. It names what changes only.
func (ch *change) record() *wire.PartitionChangeRecord {
	old := ch.old
	r := wire.NewPartitionChangeRecord()
	r.PartitionID, r.TopicID = old.ID, ch.topic.ID
	if ch.bumps() {
		r.Leader = ch.leader
	}
	set := func(to *[]core.NodeID, was, is []core.NodeID) {
		if !slices.Equal(was, is) {
			*to = append([]core.NodeID{}, is...)
		}
	}
	set(&r.ISR, old.ISR, ch.isr)
	set(&r.Replicas, old.Replicas, ch.replicas)
	set(&r.AddingReplicas, old.Adding, ch.adding)
	set(&r.RemovingReplicas, old.Removing, ch.removing)
	set(&r.EligibleLeaderReplicas, old.ELR, ch.elr)
	set(&r.LastKnownELR, old.LastKnownELR, ch.last)
	if ch.recovering != old.Recovering {
		r.LeaderRecoveryState = 0
		if ch.recovering {
			r.LeaderRecoveryState = 1
		}
	}
	if dirs := ch.directories(); r.Replicas != nil && ch.d.c.Level() >= levelDirectories || !slices.Equal(dirs, old.Directories) {
		r.Directories = dirs
	}
	return r
}

// levelDirectories is the metadata version from which on replicas have directories: 3.7-IV2.
const levelDirectories int16 = 17

// directories are those of the replicas that are to be.
func (ch *change) directories() []core.TopicID {
	if ch.moved == core.NoNode && slices.Equal(ch.replicas, ch.old.Replicas) {
		return ch.old.Directories
	}
	dirs := make([]core.TopicID, len(ch.replicas))
	for i, n := range ch.replicas {
		dirs[i] = ch.directoryOf(n)
	}
	return dirs
}

// directoryOf is where a replica's log is or goes.
func (ch *change) directoryOf(n core.NodeID) core.TopicID {
	if n == ch.moved {
		return ch.to
	}
	if at := slices.Index(ch.old.Replicas, n); at >= 0 {
		return ch.old.Directories[at]
	}
	if ch.d.c.Level() < levelDirectories {
		return dirMigrating
	}
	return directory(ch.d.c.img.Broker(n))
}
