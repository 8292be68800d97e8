package broker

import (
	"slices"
	"sort"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/group"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/shard"
	"klamm/core/txn"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetsTopic is where groups are kept.
const offsetsTopic = "__consumer_offsets"

// coordinators is the state of the group coordinators of this broker: one for each partition of
// __consumer_offsets that it leads.
//
// Invariants: list is sorted by partition; topic is the id of the topic that they all belong to; next is
// no later than the earliest Next of the list, unless stale.
type coordinators struct {
	topic core.TopicID
	list  []coordinator
	next  core.Time
	stale bool // next is to be computed anew
}

// coordinator is one partition's frame and what it frames.
type coordinator struct {
	partition int32
	shard     shard.Shard
	groups    group.State
}

// groupLog appends what a coordinator decided. It lives within one call.
type groupLog struct {
	b     *Broker
	c     *coordinator
	out   *core.Out
	guard log.Guard // of the transaction whose offsets are committed
}

// Append is group.Log's.
func (l groupLog) Append(now core.Now, records []shard.Record) (core.Offset, wire.Code) {
	return l.b.appendDecided(now, &l.c.shard, records, l.out)
}

// AppendTxn is group.Log's. The producer has to stand where it says, as for records of its own.
func (l groupLog) AppendTxn(now core.Now, producer int64, epoch int16, records []shard.Record) (core.Offset, wire.Code) {
	s := &l.c.shard
	h, code := l.b.decidedWhere(s)
	if code != wire.None {
		return 0, code
	}
	v, code := s.EncodeTxn(now, producer, epoch, records, h.cfg.MaxMessageBytes)
	if code != wire.None {
		return 0, code
	}
	switch l.b.store.CheckCoordinator(h.log, v, l.guard) {
	case log.InvalidEpoch:
		return 0, wire.InvalidProducerEpoch
	case log.InvalidTxn:
		l.out.Mark("broker.offsets-outside-of-transaction")
		return 0, wire.InvalidTxnState
	}
	return l.b.appendEncoded(now, h, s, v, len(records), l.out)
}

// decidedWhere is the partition to whose log a shard's decisions go.
func (b *Broker) decidedWhere(s *shard.Shard) (*hosted, wire.Code) {
	h := b.parts.at(s.Log())
	switch {
	case h == nil || h.gone || h.offline() || h.leader == nil || h.leader.Epoch() != s.Epoch():
		return nil, wire.NotCoordinator
	case !h.leader.Enough():
		return nil, wire.CoordinatorNotAvailable
	}
	return h, wire.None
}

// appendDecided appends what a coordinator decided to the log of its shard.
func (b *Broker) appendDecided(now core.Now, s *shard.Shard, records []shard.Record, out *core.Out) (core.Offset, wire.Code) {
	h, code := b.decidedWhere(s)
	if code != wire.None {
		return 0, code
	}
	v, code := s.Encode(now, batch.None, records, h.cfg.MaxMessageBytes)
	if code != wire.None {
		return 0, code
	}
	return b.appendEncoded(now, h, s, v, len(records), out)
}

func (b *Broker) appendEncoded(now core.Now, h *hosted, s *shard.Shard, v []byte, records int, out *core.Out) (core.Offset, wire.Code) {
	base, failed := b.store.Append(now, h.log, v, s.Epoch(), out)
	if failed != log.AppendOK {
		out.Mark("broker.group-append-failed")
		return 0, wire.NotCoordinator
	}
	end := base + core.Offset(records)
	h.leader.Appended(end)
	return end, wire.None
}

func (b *Broker) groupEnv(now core.Now, c *coordinator, out *core.Out) group.Env {
	b.coords.stale = true
	return group.Env{Now: now, Log: groupLog{b: b, c: c, out: out}, Rand: &b.rand, Out: out, Image: b.img}
}

func (b *Broker) groupConfig() group.Config {
	return group.Config{
		SessionMin: b.cfg.GroupMinSession, SessionMax: b.cfg.GroupMaxSession, InitialDelay: b.cfg.GroupInitialDelay,
		MembersMax: b.cfg.GroupMaxSize, MetadataBytesMax: b.cfg.OffsetMetadataMax,
		Retention: b.cfg.OffsetsRetention, RetentionCheck: b.cfg.OffsetsRetentionCheck,
		SweepMax: b.cfg.Internal.GroupSweep, GroupsMax: b.cfg.Internal.GroupsMax, PendingMax: b.cfg.Internal.GroupPending,
		Consumer: b.cfg.GroupConsumer, Assignors: b.cfg.GroupAssignors, ConsumersMax: b.cfg.GroupConsumersMax, RegexRefresh: b.cfg.GroupRegexRefresh,
		Migration: b.cfg.GroupMigration,
	}
}

// search is a binary search that copies no element: they are large.
func (k *coordinators) search(partition int32) (at int, found bool) {
	return sort.Find(len(k.list), func(i int) int { return int(partition) - int(k.list[i].partition) })
}

func (k *coordinators) find(partition int32) *coordinator {
	if at, found := k.search(partition); found {
		return &k.list[at]
	}
	return nil
}

// coordinator finds the coordinator of a group, or says why a request cannot be served here and now. While
// a shard loads, nothing is answered: an offset that was not replayed yet would be told as none, and send
// a consumer to the start or the end of its partition.
func (b *Broker) coordinator(group string) (*coordinator, wire.Code) {
	topic := b.img.Topic(offsetsTopic)
	if topic == nil || len(topic.Partitions) == 0 {
		return nil, wire.NotCoordinator
	}
	c := b.coords.find(groupPartition(group, int32(len(topic.Partitions))))
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

// groupPartition is the partition of __consumer_offsets that a group belongs to: the hash of its id as
// Java has it, over UTF-16 units.
func groupPartition(group string, partitions int32) int32 {
	var h int32
	for _, r := range group {
		if r >= 0x10000 {
			r -= 0x10000
			h = 31*h + 0xd800 + r>>10
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + r
	}
	if h == -1<<31 {
		return 0
	}
	return max(h, -h) % partitions
}

// coordinatorsReady is called once, when the broker has become ready; the image and the logs are there.
func (b *Broker) coordinatorsReady(now core.Now, out *core.Out) { b.followOffsetsTopic(now, out) }

// coordinatorsImage is called after a new image has come into force.
func (b *Broker) coordinatorsImage(now core.Now, d *image.Delta, out *core.Out) {
	b.followOffsetsTopic(now, out)
	if len(d.Deleted) == 0 {
		return
	}
	var topics []group.DeletedTopic
	for _, t := range d.Deleted {
		topics = append(topics, group.DeletedTopic{Name: t.Name, ID: t.ID})
	}
	for i := range b.coords.list {
		if c := &b.coords.list[i]; c.shard.Phase() == shard.Active {
			c.groups.TopicsDeleted(b.groupEnv(now, c, out), topics)
			b.wakeGroups(c)
		}
	}
}

// followOffsetsTopic loads the partitions of __consumer_offsets that this broker leads, and lets go of the others.
func (b *Broker) followOffsetsTopic(now core.Now, out *core.Out) {
	k := &b.coords
	topic := b.img.Topic(offsetsTopic)
	if topic == nil || topic.ID != k.topic {
		for i := range k.list {
			b.emptyCoordinator(&k.list[i])
		}
		*k = coordinators{stale: true}
		if topic == nil {
			return
		}
		k.topic = topic.ID
	}
	b.followResidents(now, groupResidents{b, now, out}, topic, out)
}

// ledLog finds the log of a partition that this broker leads, if it can be used.
func (b *Broker) ledLog(topic string, p *image.Partition) (id log.LogID, ready bool) {
	id, found := b.store.Find(core.TopicPartition{Topic: topic, Partition: p.ID})
	if !found {
		return id, false
	}
	h := b.parts.at(id)
	return id, h != nil && !h.offline() && h.leader != nil && h.leader.Epoch() == p.LeaderEpoch
}

// emptyCoordinator forgets a partition's groups. Whoever waits for them is told that this is no coordinator.
func (b *Broker) emptyCoordinator(c *coordinator) {
	for _, name := range c.groups.Names() {
		b.wake(waitKey{kind: waitGroup, name: name})
	}
	b.wake(waitKey{kind: waitShard, id: uint64(c.partition)})
	c.groups.Reset()
	b.coords.stale = true
}

// coordinatorsChange is called for every change of a log of an internal topic, after the hall has done
// its part (high watermark raised, waiters woken): loaded, bytes read, high watermark risen, failed, gone.
func (b *Broker) coordinatorsChange(now core.Now, ch log.Change, out *core.Out) {
	if ch.What == log.Loaded {
		b.followOffsetsTopic(now, out)
		return
	}
	for i := range b.coords.list {
		c := &b.coords.list[i]
		if c.shard.Log() != ch.ID || c.shard.Phase() == shard.Unloaded {
			continue
		}
		before := c.shard.Phase()
		c.shard.Changed(&ch, out)
		if c.shard.Phase() != before {
			b.emptyCoordinator(c)
		}
		b.replayGroups(now, c, out)
		b.wake(waitKey{kind: waitShard, id: uint64(c.partition)})
		return
	}
}

// replayGroups carries on with the replay of a partition, as far as its bytes are there.
func (b *Broker) replayGroups(now core.Now, c *coordinator, out *core.Out) {
	if c.shard.Phase() != shard.Loading {
		return
	}
	var r batch.Record
	for c.shard.Next(now, b.store, &r, out) {
		switch x := c.shard.Txn(); {
		case x.Marker:
			if end, ok := batch.ParseControlKey(r.Key); ok && (end == batch.Commit || end == batch.Abort) {
				c.groups.EndTransaction(x.Producer, end == batch.Commit, r.Offset+1, out)
			}
		default:
			c.groups.Apply(&group.Record{Key: r.Key, Value: r.Value, At: r.Offset, Producer: x.Producer}, out)
		}
	}
	if c.shard.Finish() {
		c.groups.Loaded(b.groupEnv(now, c, out), c.shard.Replayed())
		b.wakeGroups(c)
	}
}

// wakeGroups wakes the requests that wait for a group of which there is news.
func (b *Broker) wakeGroups(c *coordinator) {
	for _, name := range c.groups.Woken() {
		b.wake(waitKey{kind: waitGroup, name: name})
	}
}

// coordinatorsTick is called at each Tick.
func (b *Broker) coordinatorsTick(now core.Now, out *core.Out) {
	if b.coordinatorsNext() > now.Mono {
		return
	}
	for i := range b.coords.list {
		c := &b.coords.list[i]
		if c.shard.Phase() == shard.Active && c.groups.Next() <= now.Mono {
			c.groups.Tick(b.groupEnv(now, c, out))
			b.wakeGroups(c)
		}
	}
}

// coordinatorsNext is when coordinatorsTick has something to do.
func (b *Broker) coordinatorsNext() core.Time {
	k := &b.coords
	if b.stage != stageReady && b.stage != stageHandover { // and no Tick would do it
		return core.Never
	}
	if k.stale || k.next == 0 {
		k.stale, k.next = false, core.Never
		for i := range k.list {
			k.next = min(k.next, k.list[i].groups.Next())
		}
	}
	return k.next
}

// groupWait is one thing that an answer waits for: that what it says of one group, or one transactional id, is durable.
type groupWait struct {
	txns      bool // of __transaction_state
	row       int  // of the answer
	partition int32
	epoch     core.Epoch
	end       core.Offset
}

// groupReply is an answer that waits until all it says is durable.
type groupReply struct {
	r        request
	resp     kmsg.Response
	waits    []groupWait
	deadline core.Time
}

// awaitEnd notes that row of the answer says what is durable at end.
func (t *groupReply) awaitEnd(row int, c *coordinator, end core.Offset) {
	t.waits = append(t.waits, groupWait{false, row, c.partition, c.shard.Epoch(), end})
}

// awaitTxns is awaitEnd for what was decided on a transactional id.
func (t *groupReply) awaitTxns(row int, c *txnShard, end core.Offset) {
	t.waits = append(t.waits, groupWait{true, row, c.partition, c.shard.Epoch(), end})
}

// replyDurable sends an answer when all that it waits for has come, now or later.
func (b *Broker) replyDurable(now core.Now, t *groupReply, out *core.Out) {
	b.replyWithin(now, t, b.cfg.OffsetsCommitTimeout, out)
}

// replyWithin is replyDurable with another time to wait.
func (b *Broker) replyWithin(now core.Now, t *groupReply, wait core.Time, out *core.Out) {
	t.deadline = now.Mono.After(wait)
	if t.Advance(b, now, out) {
		return
	}
	var keys []waitKey
	for _, w := range t.waits {
		k := waitKey{kind: waitShard, id: uint64(w.partition)}
		if w.txns {
			k.kind = waitTxns
		}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	b.park(t.r, t, t.deadline, keys...)
}

// Advance replies once every end is durable. What may be lost is answered NOT_COORDINATOR: the client finds the
// coordinator anew, and asks again. What takes too long is answered COORDINATOR_NOT_AVAILABLE, which promises
// as little.
func (t *groupReply) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	kept := t.waits[:0]
	for _, w := range t.waits {
		switch is := b.outcome(w); {
		case is == shard.Lost:
			out.Mark("broker.group-answer-lost")
			loseGroupAnswer(t.resp, w.row, t.r.header.Version, wire.NotCoordinator)
		case is == shard.Pending && now.Mono >= t.deadline:
			out.Mark("broker.group-answer-late")
			loseGroupAnswer(t.resp, w.row, t.r.header.Version, wire.CoordinatorNotAvailable)
		case is == shard.Pending:
			kept = append(kept, w)
		}
	}
	if t.waits = kept; len(kept) > 0 {
		return false
	}
	if q, ok := t.resp.(*kmsg.OffsetFetchResponse); ok {
		flattenOffsetFetch(q, t.r.header.Version)
	}
	b.reply(now, t.r, t.resp, out)
	return true
}

func (b *Broker) outcome(w groupWait) shard.State {
	if w.txns {
		if c := b.txns.find(w.partition); c != nil {
			return c.shard.Outcome(b.store, w.epoch, w.end)
		}
		return shard.Lost
	}
	c := b.coords.find(w.partition)
	if c == nil {
		return shard.Lost
	}
	return c.shard.Outcome(b.store, w.epoch, w.end)
}

// loseGroupAnswer puts an error in the place of what an answer said in a row.
func loseGroupAnswer(resp kmsg.Response, row int, version int16, why wire.Code) {
	code := int16(why)
	switch q := resp.(type) {
	case *kmsg.OffsetCommitResponse:
		for i := range q.Topics {
			for j := range q.Topics[i].Partitions {
				if p := &q.Topics[i].Partitions[j]; p.ErrorCode == 0 {
					p.ErrorCode = code
				}
			}
		}
	case *kmsg.TxnOffsetCommitResponse:
		for i := range q.Topics {
			for j := range q.Topics[i].Partitions {
				if p := &q.Topics[i].Partitions[j]; p.ErrorCode == 0 {
					p.ErrorCode = code
				}
			}
		}
	case *kmsg.OffsetFetchResponse:
		loseOffsets(&q.Groups[row], version, why)
	case *kmsg.JoinGroupResponse:
		*q = *joinResponse(&group.JoinResult{Code: why, Generation: -1, MemberID: q.MemberID})
	case *kmsg.SyncGroupResponse:
		*q = *syncResponse(&group.SyncResult{Code: why})
	case *kmsg.HeartbeatResponse:
		q.ErrorCode = code
	case *kmsg.LeaveGroupResponse:
		q.ErrorCode, q.Members = code, nil
	case *kmsg.DescribeGroupsResponse:
		q.Groups[row] = describeError(q.Groups[row].Group, why)
	case *kmsg.ListGroupsResponse:
		q.ErrorCode, q.Groups = code, nil
	case *kmsg.DeleteGroupsResponse:
		q.Groups[row].ErrorCode = code
	case *kmsg.OffsetDeleteResponse:
		q.ErrorCode, q.Topics = code, nil
	case *kmsg.ConsumerGroupHeartbeatResponse:
		*q = *consumerHeartbeatError(why, nil)
	case *kmsg.ConsumerGroupDescribeResponse:
		q.Groups[row] = consumerDescribeError(q.Groups[row].Group, why)
	default:
		loseTxnAnswer(resp, row, why)
	}
}

// loseTxnAnswer is loseGroupAnswer for what a coordinator of transactions says.
func loseTxnAnswer(resp kmsg.Response, row int, why wire.Code) {
	code := int16(why)
	switch q := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		q.ErrorCode, q.ProducerID, q.ProducerEpoch = code, txn.None, txn.None
	case *kmsg.AddPartitionsToTxnResponse:
		for i := range q.Topics {
			for j := range q.Topics[i].Partitions {
				q.Topics[i].Partitions[j].ErrorCode = code
			}
		}
		if row < len(q.Transactions) {
			for i := range q.Transactions[row].Topics {
				for j := range q.Transactions[row].Topics[i].Partitions {
					q.Transactions[row].Topics[i].Partitions[j].ErrorCode = code
				}
			}
		}
	case *kmsg.AddOffsetsToTxnResponse:
		q.ErrorCode = code
	case *kmsg.EndTxnResponse:
		q.ErrorCode, q.ProducerID, q.ProducerEpoch = code, txn.None, txn.None
	case *kmsg.DescribeTransactionsResponse:
		q.TransactionStates[row] = describeTxnError(q.TransactionStates[row].TransactionalID, why)
	case *kmsg.ListTransactionsResponse:
		q.ErrorCode, q.TransactionStates = code, nil
	}
}
