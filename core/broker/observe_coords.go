package broker

import (
	"iter"

	"klamm/core/group"
	"klamm/core/shard"
	"klamm/core/txn"
)

// Groups lists the groups that this broker coordinates, each with its partition of the offsets topic.
func (b *Broker) Groups() iter.Seq2[int32, group.Now] {
	return func(yield func(int32, group.Now) bool) {
		for i := range b.coords.list {
			c := &b.coords.list[i]
			if c.shard.Phase() != shard.Active {
				continue
			}
			for g := range c.groups.Look() {
				if !yield(c.partition, g) {
					return
				}
			}
		}
	}
}

// Transactions lists the transactional ids that this broker coordinates, each with its partition of the state topic.
func (b *Broker) Transactions() iter.Seq2[int32, txn.Now] {
	return func(yield func(int32, txn.Now) bool) {
		for i := range b.txns.list {
			c := &b.txns.list[i]
			if c.shard.Phase() != shard.Active {
				continue
			}
			for t := range c.state.Look() {
				if !yield(c.partition, t) {
					return
				}
			}
		}
	}
}
