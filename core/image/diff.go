package image

import (
	"slices"
)

// Diff is what changed from one image to another, neither of which needs to have been built from the other: a node that was
// far behind is given a snapshot, and most of what is in it is what the node knew.
func Diff(from, to *Image) *Delta {
	d := &Delta{From: from.end, To: to.end}
	for t := range from.Topics() {
		if now := to.TopicByID(t.ID); now == nil {
			d.Deleted = append(d.Deleted, t)
		}
	}
	for t := range to.Topics() {
		was := from.TopicByID(t.ID)
		if was == nil {
			d.Created = append(d.Created, t)
			continue
		}
		for _, p := range t.Partitions {
			if old := was.Partition(p.ID); old == nil || !old.same(p) {
				d.Changed = append(d.Changed, PartitionChange{Topic: t, Old: old, New: p})
			}
		}
	}
	d.Configs = diffConfigs(from, to)
	for _, b := range from.brokers {
		if to.Broker(b.ID) == nil {
			d.Brokers = append(d.Brokers, b.ID)
		}
	}
	for _, b := range to.brokers {
		if from.Broker(b.ID) != b {
			d.Brokers = append(d.Brokers, b.ID) // perhaps the same in all that it says: nobody minds to look
		}
	}
	slices.Sort(d.Brokers)
	d.Controllers, d.Features, d.ProducerIDs = true, !slices.Equal(from.features, to.features), from.nextID != to.nextID
	return d
}

// same reports whether two registrations of a partition say the same.
func (p *Partition) same(q *Partition) bool {
	return p == q || p.ID == q.ID && p.Leader == q.Leader && p.LeaderEpoch == q.LeaderEpoch && p.Epoch == q.Epoch && p.Recovering == q.Recovering &&
		slices.Equal(p.Replicas, q.Replicas) && slices.Equal(p.ISR, q.ISR) && slices.Equal(p.Adding, q.Adding) && slices.Equal(p.Removing, q.Removing) &&
		slices.Equal(p.ELR, q.ELR) && slices.Equal(p.LastKnownELR, q.LastKnownELR) && slices.Equal(p.Directories, q.Directories)
}

// diffConfigs names the resources whose settings differ, by kind and name.
func diffConfigs(from, to *Image) (list []Resource) {
	for c := range from.ConfigSets() {
		if !slices.Equal(c.Values, to.Config(c.Resource)) {
			list = append(list, c.Resource)
		}
	}
	for c := range to.ConfigSets() {
		if len(from.Config(c.Resource)) == 0 && len(c.Values) > 0 {
			list = append(list, c.Resource)
		}
	}
	slices.SortFunc(list, Resource.Compare)
	return slices.Compact(list)
}
