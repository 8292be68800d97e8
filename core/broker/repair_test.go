package broker

import (
	"fmt"
	"slices"
	"testing"

	"klamm/core"

	"github.com/stretchr/testify/require"
)

// follower is a node that follows in partition 0 of the topic.
func (r *replicas) follower() int {
	for i := range r.nodes {
		if h := r.hosted(i, "t", 0); h != nil && h.follower != nil {
			return i
		}
	}
	r.t.Fatal("nobody follows")
	return -1
}

// damage flips a bit of a segment of a node, whose process is down.
func (r *replicas) damage(node int, segment string, at int) {
	f := r.nodes[node].files["/data/t-0/"+segment+".log"]
	require.NotNil(r.t, f)
	require.Less(r.t, at, len(f.data))
	f.data[at] ^= 4
}

// filled is a fleet whose topic has records on every copy, known as synced.
func filled(t *testing.T, configs ...string) *replicas {
	r := newReplicas(t, 3, "klamm.log.scrub.interval.ms=500\n", append(configs, "min.insync.replicas=2")...)
	r.keyed = slices.Contains(configs, "cleanup.policy=compact")
	for i := range 20 {
		r.mustProduce(fmt.Sprint("a", i))
	}
	r.converge(2 * core.Second)
	r.advance(10 * core.Second) // the recovery point
	return r
}

// A follower whose log is damaged below the recovery point gets from its leader what it lacks, and is in sync again.
func TestDamagedFollowerIsRepaired(t *testing.T) {
	r := filled(t)
	at := r.follower()
	r.kill(at)
	r.damage(at, "00000000000000000000", 200)
	r.damage(at, "00000000000000000000", 700)
	r.restart(at)
	r.mustProduce("b")
	r.converge(20 * core.Second)
	require.Equal(t, r.sent, values(t, r.bytes(at, "t")))
	require.EqualValues(t, 2, r.nodes[at].b.store.Repairs().Batches)
	require.Empty(t, r.nodes[at].b.Report(r.nodes[at].now).Reasons)
}

// The leader's log starts above the damage by now: then the follower's does too.
func TestDamageBelowTheLeadersStart(t *testing.T) {
	r := filled(t)
	at := r.follower()
	r.kill(at)
	r.damage(at, "00000000000000000000", 200)
	require.Zero(t, r.deleteBefore(15))
	r.restart(at)
	r.mustProduce("b")
	r.until("the follower is whole", 20*core.Second, func() bool {
		h := r.hosted(at, "t", 0)
		return h != nil && h.why == "" && r.nodes[at].b.store.Log(h.log).End() == 21
	})
	require.EqualValues(t, 15, r.nodes[at].b.store.Log(r.hosted(at, "t", 0).log).Start())
}

// All records were deleted, so the leader has nothing to send for the damage, nor news: its session with the follower goes on and does not
// name the partition again. The follower asks.
func TestDamageBelowAnEmptyLog(t *testing.T) {
	r := filled(t)
	at := r.follower()
	require.Zero(t, r.deleteBefore(20))
	r.until("the follower is empty", 5*core.Second, func() bool { return r.nodes[at].b.store.Log(r.hosted(at, "t", 0).log).Start() == 20 })
	r.advance(2 * core.Second)
	r.damage(at, "00000000000000000000", 200)
	r.until("the scrub has seen it", 5*core.Second, func() bool { return r.nodes[at].b.store.Repairs().Found > 0 })
	r.until("it is whole", 20*core.Second, func() bool {
		leader := r.leader("t", 0)
		return r.hosted(at, "t", 0).why == "" && leader >= 0 && len(r.nodes[leader].b.img.Partition("t", 0).ISR) == 3
	})
	require.EqualValues(t, 20, r.nodes[at].b.store.Log(r.hosted(at, "t", 0).log).End())
}

// What is damaged is in nobody's history: another leader was chosen although it lacks it. It is cut, not waited for.
func TestDamageThatNobodyElseHas(t *testing.T) {
	r := newReplicas(t, 3, "", "min.insync.replicas=1", "unclean.leader.election.enable=true")
	for i := range 5 {
		r.mustProduce(fmt.Sprint("a", i))
	}
	r.converge(2 * core.Second)
	at := r.leader("t", 0)
	for i := range r.nodes { // the others don't get the rest
		if i != at {
			r.cutOff(i)
		}
	}
	for i := range 3 {
		r.offer(at, fmt.Sprint("b", i))
	}
	r.advance(10 * core.Second)
	r.kill(at)
	for i := range r.nodes {
		if i != at {
			r.healNode(i)
		}
	}
	r.damage(at, "00000000000000000000", 5*70+30)
	r.until("another leads", 30*core.Second, func() bool { l := r.leader("t", 0); return l >= 0 && l != at })
	r.restart(at)
	r.converge(30 * core.Second)
}

// What is known to be damaged is checked whole after a restart, although the start looks only at the end of a log; and a leader that is found
// damaged gives its leadership away.
func TestDamageIsRemembered(t *testing.T) {
	r := filled(t)
	at := r.leader("t", 0)
	others := (at + 1) % 3
	r.damage(at, "00000000000000000000", 700)
	for i := range r.nodes { // nobody can tell it what it lacks
		if i != at {
			r.cutOff(i)
		}
	}
	r.until("the scrub has seen it", 5*core.Second, func() bool { return r.hosted(at, "t", 0).why != "" })
	for i := range r.nodes {
		if i != at {
			r.healNode(i)
		}
	}
	r.until("the controller knows", 20*core.Second, func() bool {
		x := r.nodes[others].b.img.Partition("t", 0)
		return slices.Contains(x.Directories, dirDamaged) && int(x.Leader) != at+1
	})
	r.kill(at)
	r.restart(at)
	r.converge(20 * core.Second)
	require.Equal(t, r.sent, values(t, r.bytes(at, "t")))
	require.NotContains(t, r.nodes[others].b.img.Partition("t", 0).Directories, dirDamaged)
}

// The only replica serves on: what is damaged cannot be read, and is told; everything else can.
func TestDamageOfTheOnlyReplica(t *testing.T) {
	r := newReplicasOf(t, 2, 1, "klamm.log.scrub.interval.ms=500\n")
	for i := range 20 {
		r.mustProduce(fmt.Sprint("a", i))
	}
	r.advance(5 * core.Second)
	at := r.leader("t", 0)
	r.damage(at, "00000000000000000000", 700)
	meta := r.nodes[at].files["/data/__cluster_metadata-0/00000000000000000000.log"]
	meta.data[200] ^= 1
	r.until("the scrub has seen it", 5*core.Second, func() bool { return r.nodes[at].marks.Count("broker.damaged-alone") > 0 })
	r.until("and that of the metadata", 5*core.Second, func() bool { return r.nodes[at].marks.Count("broker.damaged-metadata") > 0 })
	r.mustProduce("b")
	require.Equal(t, at, r.leader("t", 0))
	require.NotZero(t, r.nodes[at].b.store.Scrub().Suspects)
}

// What is written over the damage of a compacted log may make unreadable what follows, which was synced here. Before that the metadata
// have the replica as one that has lost its records, and it is not eligible to lead until it is in sync again.
func TestRepairThatMayLose(t *testing.T) {
	for _, compacted := range []bool{false, true} {
		configs := []string{}
		if compacted {
			configs = append(configs, "cleanup.policy=compact")
		}
		r := filled(t, configs...)
		at := r.follower()
		known := func() core.TopicID {
			x := r.nodes[at].b.img.Partition("t", 0)
			return r.nodes[at].b.directoryIn(x)
		}
		r.kill(at)
		r.damage(at, "00000000000000000000", 200)
		r.restart(at)
		r.until("it is being repaired", 20*core.Second, func() bool { return r.nodes[at].b.store != nil && r.nodes[at].b.store.Repairs().Batches > 0 })
		require.Equal(t, compacted, known() == dirLost, "%v", known())
		require.Equal(t, compacted, r.nodes[at].marks.Count("broker.damaged-loses") > 0)
		r.mustProduce("b")
		r.converge(20 * core.Second)
		r.until("it is in its directory", 20*core.Second, func() bool { return known() == r.nodes[at].b.dirOf(r.hosted(at, "t", 0).log) })
		require.Equal(t, r.sent, values(t, r.bytes(at, "t")))
	}
}

// Until the metadata have it the leader is asked for nothing, and as soon as they have, the repair goes on.
func TestRepairThatWaitsAsksForNothing(t *testing.T) {
	r := filled(t, "cleanup.policy=compact")
	at := r.follower()
	w := r.nodes[at]
	r.kill(at)
	r.damage(at, "00000000000000000000", 200)
	r.restart(at)
	w.b.assign.retryAt = core.Never
	sends := r.sends(r.leader("t", 0), at)
	r.until("the repair waits", 20*core.Second, func() bool { h := r.hosted(at, "t", 0); return h != nil && h.losing })
	r.advance(2 * core.Second)
	require.Equal(t, 1, *sends)
	require.Zero(t, w.b.store.Repairs().Batches)
	w.b.assign.retryAt = 0
	r.until("the metadata have it", 5*core.Second, func() bool { return w.b.knownAs(r.hosted(at, "t", 0)) == dirLost })
	require.NotZero(t, w.b.store.Repairs().Batches)
	r.mustProduce("b")
	r.converge(20 * core.Second)
	require.Equal(t, r.sent, values(t, r.bytes(at, "t")))
}

// A crash in the midst of such a repair changes nothing: the next life has the log checked whole, and then begins like one that is empty.
func TestCrashOfARepairThatMayLose(t *testing.T) {
	r := filled(t, "cleanup.policy=compact")
	at := r.follower()
	r.kill(at)
	r.damage(at, "00000000000000000000", 200)
	r.restart(at)
	r.until("it is being repaired", 20*core.Second, func() bool { return r.nodes[at].b.store != nil && r.nodes[at].b.store.Repairs().Batches > 0 })
	r.kill(at)
	r.restart(at)
	r.mustProduce("b")
	r.converge(20 * core.Second)
	require.NotZero(t, r.nodes[at].marks.Count("broker.damaged-before"))
	require.Equal(t, r.sent, values(t, r.bytes(at, "t")))
	x := r.nodes[at].b.img.Partition("t", 0)
	require.NotContains(t, x.Directories, dirLost)
	require.NotContains(t, x.Directories, dirDamaged)
}
