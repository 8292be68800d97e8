package broker

import (
	"slices"

	"klamm/core"
	"klamm/core/group"
	"klamm/core/image"
	"klamm/core/shard"
	"klamm/core/txn"
)

// residents are the state machines that live on those partitions of an internal topic that this broker leads: groups
// on __consumer_offsets, transactions on __transaction_state. A partition without one was never led here since the topic
// was made.
type residents interface {
	log(partition int32) *shard.Shard  // nil if nobody lives there
	move(partition int32) *shard.Shard // somebody new and empty moves in
	empty(partition int32)             // forgets all, and tells whoever waits
	replay(partition int32)            // begins to read the log
	topic() string
}

// followResidents loads the partitions of the topic that this broker leads, and lets go of the others. A log that is
// still being opened is waited for: whoever sees it opened calls again.
func (b *Broker) followResidents(now core.Now, r residents, topic *image.Topic, out *core.Out) {
	for _, p := range topic.Partitions {
		s := r.log(p.ID)
		if p.Leader != b.cfg.NodeID {
			if s != nil && s.Unload(p.LeaderEpoch, out) {
				r.empty(p.ID)
			}
			continue
		}
		id, ready := b.ledLog(r.topic(), p)
		if !ready {
			continue
		}
		if s == nil {
			s = r.move(p.ID)
		}
		if s.Epoch() >= p.LeaderEpoch && s.Phase() != shard.Unloaded {
			continue
		}
		if s.Load(now, b.store, id, p.LeaderEpoch, out) {
			r.empty(p.ID)
			r.replay(p.ID)
		}
	}
}

func (b *Broker) newShard(topic string, partition int32) shard.Shard {
	return shard.New(core.TopicPartition{Topic: topic, Partition: partition}, b.cfg.Internal.GroupLoadBytes)
}

// groupResidents are the coordinators of groups. It lives within one call.
type groupResidents struct {
	b   *Broker
	now core.Now
	out *core.Out
}

func (r groupResidents) topic() string { return offsetsTopic }

func (r groupResidents) log(partition int32) *shard.Shard {
	if c := r.b.coords.find(partition); c != nil {
		return &c.shard
	}
	return nil
}

func (r groupResidents) move(partition int32) *shard.Shard {
	k := &r.b.coords
	at, _ := k.search(partition)
	k.list = slices.Insert(k.list, at, coordinator{partition: partition, shard: r.b.newShard(offsetsTopic, partition), groups: group.New(r.b.groupConfig())})
	return &k.list[at].shard
}

func (r groupResidents) empty(partition int32) { r.b.emptyCoordinator(r.b.coords.find(partition)) }

func (r groupResidents) replay(partition int32) {
	r.b.replayGroups(r.now, r.b.coords.find(partition), r.out)
}

// txnResidents are the coordinators of transactions. It lives within one call.
type txnResidents groupResidents

func (r txnResidents) topic() string { return transactionsTopic }

func (r txnResidents) log(partition int32) *shard.Shard {
	if c := r.b.txns.find(partition); c != nil {
		return &c.shard
	}
	return nil
}

func (r txnResidents) move(partition int32) *shard.Shard {
	k := &r.b.txns
	at, _ := k.search(partition)
	k.list = slices.Insert(k.list, at, txnShard{partition: partition, shard: r.b.newShard(transactionsTopic, partition), state: txn.New(r.b.txnConfig())})
	return &k.list[at].shard
}

func (r txnResidents) empty(partition int32) { r.b.emptyTxns(r.b.txns.find(partition)) }

func (r txnResidents) replay(partition int32) {
	r.b.replayTxns(r.now, r.b.txns.find(partition), r.out)
}
