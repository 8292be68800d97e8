package checker

import "fmt"

// Replica is what one replica of a partition keeps inside, copied out field by field after a step.
type Replica struct {
	Partition     Partition
	Node          int32
	Life          int // counts the restarts of the node: what may fall at a restart only
	Start         int64
	High          int64
	Leads         bool    // it answers clients
	Stable        int64   // the last stable offset
	Open          []int64 // the first offsets of the transactions that are open
	Durable       int64
	Written       int64
	End           int64
	RecoveryPoint int64
	LeaderEpoch   int32
	Offline       bool
	// Safe is the end that the high watermark may reach: Durable where the promise is sync, Written where it is replicate.
	Safe int64
}

// CheckReplica compares a replica with itself one step before (prev nil for the first look): bounds (I03), what never
// falls (I17, I23, I71), and that nothing new is promised beyond what is safe (I18, I26). What was promised before stands:
// after a restart, or when a topic's promise is raised to sync, the safe end may have to catch up with the high watermark.
func CheckReplica(prev, cur *Replica) (found []Violation) {
	fail := func(id, format string, args ...any) {
		found = append(found, Violation{id, fmt.Sprintf("%s on node %d", cur.Partition, cur.Node), fmt.Sprintf(format, args...)})
	}
	if cur.Offline {
		return nil
	}
	if !(cur.Start <= cur.High && cur.High <= cur.End) {
		fail("I03", "log start %d, high watermark %d, end %d", cur.Start, cur.High, cur.End)
	}
	if !(cur.Durable <= cur.Written && cur.Written <= cur.End) {
		fail("I03", "durable %d, written %d, end %d", cur.Durable, cur.Written, cur.End)
	}
	if cur.Stable > cur.High || cur.Stable < cur.Start && cur.Start <= cur.High {
		fail("I59", "last stable offset %d, log start %d, high watermark %d", cur.Stable, cur.Start, cur.High)
	}
	for _, first := range cur.Open {
		if cur.Stable > max(first, cur.Start) {
			fail("I59", "last stable offset %d, and a transaction that is open begins at %d", cur.Stable, first)
		}
	}
	if cur.RecoveryPoint > cur.Durable {
		fail("I03", "recovery point %d beyond durable %d", cur.RecoveryPoint, cur.Durable)
	}
	if prev == nil || prev.Partition != cur.Partition || prev.Life != cur.Life || prev.Offline {
		return found
	}
	if cur.High > cur.Safe && cur.High > prev.High {
		fail("I26", "high watermark rose from %d to %d, beyond the safe end %d", prev.High, cur.High, cur.Safe)
	}
	if cur.High < prev.High {
		fail("I17", "high watermark fell from %d to %d", prev.High, cur.High)
	}
	if cur.Stable < prev.Stable && cur.Leads && prev.Leads && cur.LeaderEpoch == prev.LeaderEpoch {
		fail("I59", "last stable offset fell from %d to %d", prev.Stable, cur.Stable)
	}
	if cur.Start < prev.Start {
		fail("I71", "log start fell from %d to %d", prev.Start, cur.Start)
	}
	if cur.LeaderEpoch < prev.LeaderEpoch {
		fail("I23", "leader epoch fell from %d to %d", prev.LeaderEpoch, cur.LeaderEpoch)
	}
	if cur.Durable < prev.Durable && cur.End >= prev.End {
		fail("I03", "durable fell from %d to %d without a truncation", prev.Durable, cur.Durable)
	}
	return found
}
