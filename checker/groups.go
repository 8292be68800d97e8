package checker

import (
	"cmp"
	"fmt"
	"slices"
)

// Ownership is the time during which one member may have believed, and been right, that a partition was its own: from
// the answer that assigned it to the revocation that it acknowledged, or to the end of its session as the
// coordinator could count it. To is Open for one that still holds.
type Ownership struct {
	Group      string
	Partition  Partition
	Member     string
	Generation int32
	From, To   int64
}

// CheckOwners reports two members that held one partition in one generation (I46).
func CheckOwners(all []Ownership) (found []Violation) {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Ownership) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Partition.TopicID, b.Partition.TopicID),
			cmp.Compare(a.Partition.Number, b.Partition.Number), cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.From, b.From))
	})
	for i := 1; i < len(sorted); i++ {
		a, b := &sorted[i-1], &sorted[i]
		if a.Group == b.Group && a.Partition == b.Partition && a.Generation == b.Generation && a.Member != b.Member {
			found = append(found, Violation{"I46", a.Group, fmt.Sprintf("%s belongs to %s and to %s in generation %d", a.Partition, a.Member, b.Member, a.Generation)})
		}
	}
	return found
}

// Generation is one answer that told a member its group's generation.
type Generation struct {
	Group          string
	Number         int32
	Invoke, Return int64 // of the join that was answered with it
}

// CheckGenerations reports a generation that fell in real time (I48).
func CheckGenerations(all []Generation) (found []Violation) {
	byInvoke, byReturn := slices.Clone(all), slices.Clone(all)
	slices.SortStableFunc(byInvoke, func(a, b Generation) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Invoke, b.Invoke))
	})
	slices.SortStableFunc(byReturn, func(a, b Generation) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Return, b.Return))
	})
	i, high, group := 0, int32(-1), ""
	for _, g := range byInvoke {
		if g.Group != group {
			group, high = g.Group, -1
			for i < len(byReturn) && byReturn[i].Group < group {
				i++
			}
		}
		for ; i < len(byReturn) && byReturn[i].Group == group && byReturn[i].Return < g.Invoke; i++ {
			high = max(high, byReturn[i].Number)
		}
		if g.Number < high {
			found = append(found, Violation{"I48", g.Group, fmt.Sprintf("generation %d was handed out after %d had been", g.Number, high)})
		}
	}
	return found
}
