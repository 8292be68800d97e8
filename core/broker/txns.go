package broker

import (
	"sort"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/controller"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/shard"
	"klamm/core/txn"
	"klamm/core/wire"
)

// transactionsTopic is where transactions are kept.
const transactionsTopic = controller.TransactionsTopic

// txns is the state of the transaction coordinators of this broker: one for each partition of __transaction_state that
// it leads, and the markers that are on their way (markers.go).
//
// Invariants: list is sorted by partition; topic is the id of the topic that they all belong to; next is
// no later than the earliest Next of the list, unless stale.
type txns struct {
	topic   core.TopicID
	list    []txnShard
	next    core.Time
	stale   bool // next is to be computed anew
	markers markers
}

// txnShard is one partition's frame and what it frames.
type txnShard struct {
	partition int32
	shard     shard.Shard
	state     txn.State
}

// txnLog appends what a coordinator decided. It lives within one call.
type txnLog struct {
	b   *Broker
	c   *txnShard
	out *core.Out
}

// Append is txn.Log's.
func (l txnLog) Append(now core.Now, records []shard.Record) (core.Offset, wire.Code) {
	return l.b.appendDecided(now, &l.c.shard, records, l.out)
}

func (b *Broker) txnEnv(now core.Now, c *txnShard, out *core.Out) txn.Env {
	b.txns.stale = true
	return txn.Env{Now: now, Log: txnLog{b, c, out}, IDs: &b.ids, Out: out}
}

func (b *Broker) txnConfig() txn.Config {
	return txn.Config{
		TimeoutMax: b.cfg.TxnTimeoutMax, AbortCheck: b.cfg.TxnAbortCheck, Expiration: b.cfg.TxnExpiration,
		ExpiryCheck: b.cfg.TxnExpiryCheck, Level: b.img.Feature(controller.TransactionVersion),
		EpochLast: b.cfg.Internal.TxnEpochLast, IDsMax: b.cfg.Internal.TxnIDsMax, PartsMax: txn.PartsMax, SweepMax: b.cfg.Internal.TxnSweep,
	}
}

// search is a binary search that copies no element: they are large.
func (k *txns) search(partition int32) (at int, found bool) {
	return sort.Find(len(k.list), func(i int) int { return int(partition) - int(k.list[i].partition) })
}

func (k *txns) find(partition int32) *txnShard {
	if at, found := k.search(partition); found {
		return &k.list[at]
	}
	return nil
}

// txnShardOf finds the coordinator of a transactional id, or says why a request cannot be served here and now.
func (b *Broker) txnShardOf(id string) (*txnShard, wire.Code) {
	topic := b.img.Topic(transactionsTopic)
	if topic == nil || len(topic.Partitions) == 0 {
		return nil, wire.NotCoordinator
	}
	c := b.txns.find(groupPartition(id, int32(len(topic.Partitions))))
	switch {
	case c == nil:
		return nil, wire.NotCoordinator
	case c.shard.Phase() == shard.Loading:
		return nil, wire.CoordinatorLoadInProgress
	case c.shard.Phase() != shard.Active:
		return nil, wire.NotCoordinator
	}
	return c, wire.None
}

// txnsReady is called once, when the broker has become ready; the image and the logs are there.
func (b *Broker) txnsReady(now core.Now, out *core.Out) { b.followTransactionsTopic(now, out) }

// txnsImage is called after a new image has come into force: leaders of partitions may have moved, and topics may be gone.
func (b *Broker) txnsImage(now core.Now, d *image.Delta, out *core.Out) {
	if d.Features {
		for i := range b.txns.list {
			b.txns.list[i].state.SetConfig(b.txnConfig())
		}
	}
	b.followTransactionsTopic(now, out)
	b.routeMarkersAnew(now, out)
}

// followTransactionsTopic loads the partitions of __transaction_state that this broker leads, and lets go of the others.
func (b *Broker) followTransactionsTopic(now core.Now, out *core.Out) {
	k := &b.txns
	topic := b.img.Topic(transactionsTopic)
	if topic == nil || topic.ID != k.topic {
		for i := range k.list {
			b.emptyTxns(&k.list[i])
		}
		*k = txns{stale: true, markers: k.markers}
		if topic == nil {
			return
		}
		k.topic = topic.ID
	}
	b.followResidents(now, txnResidents{b, now, out}, topic, out)
}

// emptyTxns forgets a partition's transactions. Whoever waits for them is told that this is no coordinator; markers that
// are on their way belong to nobody any more.
func (b *Broker) emptyTxns(c *txnShard) {
	b.wake(waitKey{kind: waitTxns, id: uint64(c.partition)})
	c.state.Reset()
	c.state.SetConfig(b.txnConfig())
	b.txns.stale = true
}

// txnsChange is called for every change of a log of an internal topic, after the hall has done its part.
func (b *Broker) txnsChange(now core.Now, ch log.Change, out *core.Out) {
	if ch.What == log.Loaded {
		b.followTransactionsTopic(now, out)
		return
	}
	for i := range b.txns.list {
		c := &b.txns.list[i]
		if c.shard.Log() != ch.ID || c.shard.Phase() == shard.Unloaded {
			continue
		}
		before := c.shard.Phase()
		c.shard.Changed(&ch, out)
		if c.shard.Phase() != before {
			b.emptyTxns(c)
		}
		b.replayTxns(now, c, out)
		b.txnsCommitted(now, c.partition, out)
		return
	}
}

// replayTxns carries on with the replay of a partition, as far as its bytes are there.
func (b *Broker) replayTxns(now core.Now, c *txnShard, out *core.Out) {
	if c.shard.Phase() != shard.Loading {
		return
	}
	var r batch.Record
	for c.shard.Next(now, b.store, &r, out) {
		c.state.Apply(r.Key, r.Value, out)
	}
	if c.shard.Finish() {
		c.state.Loaded(b.txnEnv(now, c, out), c.shard.Replayed())
		b.txnsCommitted(now, c.partition, out)
	}
}

// txnsCommitted is called when more of a partition of __transaction_state may be committed: answers leave, and markers.
func (b *Broker) txnsCommitted(now core.Now, partition int32, out *core.Out) {
	b.wake(waitKey{kind: waitTxns, id: uint64(partition)})
	c := b.txns.find(partition)
	if c == nil || c.shard.Phase() != shard.Active {
		return
	}
	c.state.Committed(b.txnEnv(now, c, out), b.store.Log(c.shard.Log()).High())
	b.sendMarkers(now, out)
}

// txnsTick is called at each Tick.
func (b *Broker) txnsTick(now core.Now, out *core.Out) {
	k := &b.txns
	if b.txnsNext() > now.Mono {
		return
	}
	for i := range k.list {
		c := &k.list[i]
		if c.shard.Phase() == shard.Active && c.state.Next() <= now.Mono {
			if c.state.Tick(b.txnEnv(now, c, out)) {
				b.wantProducerIDs(now, out)
			}
		}
	}
	if k.markers.retryAt <= now.Mono {
		b.routeMarkersAnew(now, out)
	}
}

// txnsNext is when txnsTick has something to do.
func (b *Broker) txnsNext() core.Time {
	k := &b.txns
	if b.stage != stageReady && b.stage != stageHandover { // and no Tick would do it
		return core.Never
	}
	if k.stale || k.next == 0 {
		k.stale, k.next = false, core.Never
		for i := range k.list {
			k.next = min(k.next, k.list[i].state.Next())
		}
	}
	return min(k.next, k.markers.retryAt)
}
