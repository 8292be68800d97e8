package sim

import (
	"slices"
	"strconv"

	"klamm/checker"
	"klamm/core"
	"klamm/core/client"
)

// This file follows who owns which partition, as the members of the groups are told.

// belongings takes in what a member was told at one instant.
func (a *reading) belongings(list []client.Tiding) {
	r, generation := a.r, int32(-1)
	for _, t := range list {
		switch t.Kind {
		case client.Assigned:
			if generation = t.Generation; a.instance != "" && a.toldAt == 0 && a.entity&0xffff > 0 && r.cfg.Workload == Groups {
				r.deed(deedReturned)
			}
			r.watch[0].handedOut(a.group, generation)
			r.w.told(toldAssignment)
			for _, p := range t.Partitions {
				if !slices.Contains(a.owned, p) {
					a.owned = append(a.owned, p)
				}
				r.argue(a.group, p, a)
			}
		case client.Revoked, client.Lost:
			if t.Kind == client.Revoked && a.consumer { // it is the member's until it says that it is not
				a.giving = append(a.giving, t.Partitions...)
				continue
			}
			for _, p := range t.Partitions {
				a.noLonger(p, t.Kind == client.Revoked)
			}
		}
	}
	if generation < 0 {
		return
	}
	// A group that expired begins anew with generation 1; only where strangers' groups expire may one of ours do so.
	group := a.group + "#" + strconv.FormatUint(r.w.Marks.Count("group.expired"), 10)
	for _, p := range a.owned {
		r.owners = append(r.owners, checker.Ownership{Group: group, Partition: checker.Partition{TopicID: p.Topic, Number: p.Partition},
			Member: strconv.Itoa(a.place), Generation: generation, From: int64(r.w.now), To: checker.Open})
	}
	if a.consumer || a.rolls { // a member's epoch is its own: another one may be told an older one later (KIP-848)
		a.toldAt = int64(r.w.now)
		return
	}
	// When the join was sent is not known, but the assignment before had come by then.
	r.generations = append(r.generations, checker.Generation{Group: group, Number: generation, Invoke: a.toldAt, Return: int64(r.w.now)})
	a.toldAt = int64(r.w.now)
}

// noLonger takes a partition from what a member owns: it gave it up, or it has lost it.
func (a *reading) noLonger(p core.TopicPartition, gave bool) {
	i := slices.IndexFunc(a.argued, func(x argument) bool { return x.p == p })
	if gave && i >= 0 && !a.r.cfg.Set.Lossy() {
		switch {
		case a.consumer:
			a.accused = append(a.accused, accusation{p, a.r.w.now})
		case !a.rolls || a.argued[i].member:
			a.robbed(p)
		}
	}
	is := func(o core.TopicPartition) bool { return o == p }
	a.owned, a.giving = slices.DeleteFunc(a.owned, is), slices.DeleteFunc(a.giving, is)
	a.argued = slices.DeleteFunc(a.argued, func(x argument) bool { return x.p == p })
}

func (a *reading) robbed(p core.TopicPartition) {
	a.r.oracle.fail("I46", "group %s: %s-%d was given to another before the member that had it gave it up", a.group, p.Topic, p.Partition)
}

// argument is a partition that another was given while it was owned here. A member of the classic protocol that has missed all of that may join again
// under the id that it had: a group of the consumer protocol takes it in as a new one, as Apache Kafka's does, and it cannot know
// that it was expelled. So where a group may be of that kind it counts only if the member was one still: a heartbeat that it sent later was answered.
type argument struct {
	p      core.TopicPartition
	at     core.Time // of the world
	member bool
}

// accusation is a partition that a member of the consumer protocol gave up when another had been given it already. It may have been
// expelled by then without knowing it: it goes on for its own session's time, which may be longer than the coordinator's, and
// while it leaves it sends no heartbeats at all. But if a heartbeat that it sent later is answered as a member's, it was none of that.
type accusation struct {
	p  core.TopicPartition
	at core.Time // of the world
}

// heard looks what the coordinator thinks of the member.
func (a *reading) heard(now core.Now) {
	if _, generation := a.c.Member(); generation < 0 {
		a.counted, a.countedAt, a.accused = 0, 0, nil
		return
	}
	if at := a.c.Counted(); at != a.counted {
		a.counted, a.countedAt = at, a.r.w.now-(now.Mono-at)
		a.remained()
		a.tried()
	}
}

// remained notes in which arguments the member was one still. A new membership, of which no heartbeat was answered yet, says nothing.
func (a *reading) remained() {
	for i := range a.argued {
		if x := &a.argued[i]; a.counted > 0 && a.countedAt > x.at {
			x.member = true
		}
	}
}

// tried judges the accusations once a heartbeat of the member was answered.
func (a *reading) tried() {
	for _, x := range a.accused {
		if a.countedAt > x.at {
			a.robbed(x.p)
		}
	}
}

// givenUp looks which of the partitions that a member of the consumer protocol was told to give up it reads no more.
func (a *reading) givenUp() {
	reads := a.c.Reading()
	for _, p := range slices.Clone(a.giving) {
		if !slices.Contains(reads, p) {
			a.noLonger(p, true)
		}
	}
}

// argue notes that a partition was given to a member, a (nil: somebody else's), while another one, which lives, has not given it up. That one
// may have been expelled without knowing it yet: then it will say that it has lost the partition, not that it gives
// it back.
func (r *run) argue(group string, p core.TopicPartition, a *reading) {
	for _, b := range r.members {
		if b != a && b.group == group && r.current(b) && slices.Contains(b.owned, p) {
			b.argued = append(b.argued, argument{p: p, at: r.w.now})
		}
	}
}

// current reports whether a member is the present life of its node.
func (r *run) current(b *reading) bool {
	for i := len(r.members) - 1; i >= 0; i-- {
		if x := r.members[i]; x.group == b.group && x.place == b.place {
			return x == b
		}
	}
	return false
}

// judgeGroups looks at all that members were told.
func (r *run) judgeGroups() {
	for _, v := range append(checker.CheckOwners(r.owners), checker.CheckGenerations(r.generations)...) {
		r.oracle.fail(v.Invariant, "%s: %s", v.Subject, v.Detail)
	}
}
