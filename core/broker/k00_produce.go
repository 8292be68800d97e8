package broker

import (
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceKey: consecutive requests of this key may be under way at once on a connection.
const produceKey = wire.KeyProduce

// ackWait bounds the wait for this broker's own disk where the client gave no bound: acks=0 and acks=1.
const ackWait = 30 * core.Second

// The values of acks.
const (
	acksNone   int16 = 0
	acksLeader int16 = 1
	acksAll    int16 = -1
)

// produce serves Produce v3-v13.
//
// Its story: the first batch of a transaction is verified with the transaction's coordinator (verify.go), while no other request of
// the connection goes on. Then each partition's batch is checked, gets its offsets and goes to the file; in durability sync the
// file is synced; that raises the high watermark; the reply leaves. A batch that must be compressed anew waits for
// that work first, and whatever comes for its partition meanwhile waits behind it.
func (b *Broker) produce(now core.Now, r request, q *kmsg.ProduceRequest, p *prepared, out *core.Out) {
	if q.TransactionID != nil && b.verifyProduce(now, r, q, p, out) {
		return
	}
	b.produceVerified(now, r, q, p, nil, out)
}

// produceVerified goes on with what verification has found out; v is nil if there was nothing to ask.
func (b *Broker) produceVerified(now core.Now, r request, q *kmsg.ProduceRequest, p *prepared, v *verifyTask, out *core.Out) {
	t := &produceTask{r: r, acks: q.Acks, parts: make([]producePart, len(p.facts))}
	n := 0
	for i := range q.Topics {
		topic := &q.Topics[i]
		for j := range topic.Partitions {
			part := &t.parts[n]
			*part = producePart{topic: topic.Topic, id: topic.TopicID, of: int32(i), partition: topic.Partitions[j].Partition, log: log.NoLog, base: -1, start: -1, time: -1}
			if v != nil {
				v.tell(n, part)
			}
			if part.code != wire.None {
				n++
				continue
			}
			b.produceOne(now, t, part, topic.Partitions[j].Records, &p.facts[n], q, out)
			n++
		}
	}
	t.deadline = now.Mono.After(ackWait)
	if q.Acks == acksAll {
		t.deadline = now.Mono.After(core.Millis(int64(max(q.TimeoutMillis, 0))))
	}
	if t.Advance(b, now, out) {
		return
	}
	keys := make([]waitKey, 0, 4)
	for i := range t.parts {
		if part := &t.parts[i]; part.stage != partDone || part.wrote {
			keys = append(keys, waitKey{kind: waitPartition, id: uint64(part.log)}, waitKey{kind: waitWritten, id: uint64(part.log)})
			if part.stage == partConverting {
				keys = append(keys, waitKey{kind: waitWork, id: uint64(part.work)})
			}
		}
	}
	b.park(r, t, t.deadline, keys...)
}

// produceTask is a Produce request whose batches are on their way.
type produceTask struct {
	r        request
	acks     int16
	deadline core.Time
	parts    []producePart
}

type partStage uint8

const (
	partDone       partStage = iota // decided
	partConverting                  // its batch is being compressed anew
	partQueued                      // behind others that are being compressed anew
	partAppended                    // has its offsets
)

// producePart is one partition's part of the request.
type producePart struct {
	topic     string
	id        core.TopicID
	of        int32 // the index of its topic in the request
	partition int32
	log       log.LogID
	guard     log.Guard // of the verification of its transaction
	stage     partStage
	wrote     bool // the log holds on to the frame's bytes until they are written
	turn      uint64
	work      core.Op
	batch     []byte // until it is appended
	epoch     core.Epoch
	end       core.Offset

	code    wire.Code
	base    core.Offset
	start   core.Offset
	time    int64 // LogAppendTimeMs
	message string
	records []recordError
	leader  core.NodeID // with NOT_LEADER_OR_FOLLOWER: who leads
	leads   core.Epoch
}

// recordError says what is wrong with one record of a batch (KIP-467).
type recordError struct {
	index   int32
	message string
}

func (p *producePart) fail(code wire.Code, message string) {
	p.stage, p.code, p.message, p.batch = partDone, code, message, nil
}

// produceOne does for one partition what can be done at once.
func (b *Broker) produceOne(now core.Now, t *produceTask, p *producePart, records []byte, f *batch.Facts, q *kmsg.ProduceRequest, out *core.Out) {
	version := t.r.header.Version
	if t.acks != acksAll && t.acks != acksLeader && t.acks != acksNone {
		p.fail(wire.InvalidRequiredAcks, "")
		return
	}
	h, code := b.parts.find(p.topic, p.id, version >= 13, p.partition)
	if code == wire.UnknownTopicOrPartition || code == wire.UnknownTopicID {
		p.fail(code, "")
		return
	}
	verdict := f.Refuse(version >= 7, b.maxMessageBytes(h))
	if early(verdict) {
		b.counts.refused(verdict, f.Bytes)
		p.fail(verdictCode(verdict), verdictText(verdict))
		return
	}
	switch {
	case internalTopic(b.parts.nameOf(p.topic, p.id)) && t.r.header.ClientID != "__admin_client":
		p.fail(wire.InvalidTopicException, "the topic is the brokers' own")
		return
	case code != wire.None:
		p.fail(code, "")
		b.tellLeader(p)
		return
	case t.acks == acksAll && !h.leader.Enough():
		p.fail(wire.NotEnoughReplicas, "")
		return
	case verdict != batch.Good:
		b.counts.refused(verdict, f.Bytes)
		p.fail(verdictCode(verdict), verdictText(verdict))
		if verdict == batch.BadRecord && f.RecordAt >= 0 {
			p.records = []recordError{{f.RecordAt, "the record cannot be decoded"}}
		}
		return
	}
	v := batch.View(records[:f.Bytes:f.Bytes])
	if why := b.refuseBatch(now, p, h, v, f); why {
		return
	}
	p.log, p.epoch, p.batch = h.log, h.leader.Epoch(), v
	if h.convert && f.Codec != h.target.Codec && f.Count > 0 {
		if b.ops.Room() == 0 {
			out.Mark("broker.no-room-for-work")
			p.fail(wire.RequestTimedOut, "too much is under way")
			return
		}
		b.counts.conversions++
		to := h.target
		to.AppendTime, to.Time = h.cfg.AppendTime, now.Wall.Millis()
		p.stage, p.work = partConverting, b.ops.Start(op{kind: opWork})
		out.DoWork(p.work, workConvert, convertArgs(to, v), 0, 0, 0)
		p.turn, h.turnNext = h.turnNext, h.turnNext+1
		p.batch = nil
		return
	}
	stampTime(now, h, v, f)
	if h.turnNext != h.turnServed {
		out.Mark("broker.produce-behind-conversion")
		p.stage, p.turn, h.turnNext = partQueued, h.turnNext, h.turnNext+1
		return
	}
	b.appendPart(now, p, h, out)
}

// refuseBatch makes the checks that depend on the topic's configuration.
func (b *Broker) refuseBatch(now core.Now, p *producePart, h *hosted, v batch.View, f *batch.Facts) bool {
	switch {
	case int64(f.Bytes) > h.cfg.SegmentBytes:
		p.fail(wire.RecordListTooLarge, "the batch is larger than a segment of the topic (segment.bytes)")
	case h.compacted() && f.KeylessAt >= 0:
		p.fail(wire.InvalidRecord, "one or more records have no key, and the topic is compacted")
		p.records = keyless(v)
		b.counts.keyless++
	case h.cfg.AppendTime && v.AppendTime():
		p.fail(wire.InvalidTimestamp, "the batch claims the broker's time (LogAppendTime), which only a broker may set")
	case !h.cfg.AppendTime && v.AppendTime() && v.MaxTimestamp() == batch.NoTimestamp:
		p.fail(wire.InvalidTimestamp, "the batch claims the broker's time (LogAppendTime) and holds none")
	case !h.cfg.AppendTime && outOfBounds(now, h, f.MinTimestamp, f.MaxTimestamp):
		p.fail(wire.InvalidTimestamp, "one or more records have a timestamp that message.timestamp.before.max.ms or message.timestamp.after.max.ms forbids")
		p.records = untimely(now, h, v)
	default:
		return false
	}
	return true
}

func outOfBounds(now core.Now, h *hosted, least, most int64) bool {
	wall := now.Wall
	return least != batch.NoTimestamp && wall-core.Millis(least) > h.cfg.TimestampBeforeMax ||
		most != batch.NoTimestamp && core.Millis(most)-wall > h.cfg.TimestampAfterMax
}

// RecordErrorsMax bounds the records that a reply names for one batch.
const RecordErrorsMax = 100

// keyless names the records without a key.
func keyless(v batch.View) (errs []recordError) {
	each(v, func(i int32, rec *batch.Record) {
		if rec.Key == nil && len(errs) < RecordErrorsMax {
			errs = append(errs, recordError{i, "a record of a compacted topic needs a key"})
		}
	})
	return errs
}

// untimely names the records whose timestamps are out of bounds.
func untimely(now core.Now, h *hosted, v batch.View) (errs []recordError) {
	each(v, func(i int32, rec *batch.Record) {
		if outOfBounds(now, h, rec.Timestamp, rec.Timestamp) && len(errs) < RecordErrorsMax {
			errs = append(errs, recordError{i, "its timestamp is out of bounds"})
		}
	})
	return errs
}

// each walks the records of a batch that was inspected: an error path only.
func each(v batch.View, f func(i int32, rec *batch.Record)) {
	r, verdict := batch.Read(v, batch.InflatedBytesMax)
	if verdict != batch.Good {
		return
	}
	var rec batch.Record
	for i := int32(0); r.Next(&rec); i++ {
		f(i, &rec)
	}
}

// stampTime gives the batch the timestamps that the topic wants.
func stampTime(now core.Now, h *hosted, v batch.View, f *batch.Facts) {
	switch {
	case h.cfg.AppendTime:
		v.SetAppendTime(now.Wall.Millis())
	case v.AppendTime():
		v.ClearAppendTime(f.MaxTimestamp)
	default:
		v.SetMaxTimestamp(f.MaxTimestamp) // a client's word is not taken for it
	}
}

// appendPart gives the batch its offsets, unless its producer sent it before.
func (b *Broker) appendPart(now core.Now, p *producePart, h *hosted, out *core.Out) {
	v := batch.View(p.batch)
	l := b.store.Log(h.log)
	p.batch = nil
	switch is := b.store.CheckProducer(h.log, v, p.guard); is.State {
	case log.NewBatch:
	case log.Duplicate:
		out.Mark("broker.produce-duplicate")
		p.stage, p.base, p.end, p.start, p.time = partAppended, is.Base, is.Last+1, l.Start(), is.MaxTimestamp
		return
	case log.OutOfOrder:
		out.Mark("broker.produce-out-of-order")
		p.fail(wire.OutOfOrderSequenceNumber, "")
		return
	case log.InvalidTxn:
		out.Mark("broker.produce-outside-of-transaction")
		p.fail(wire.InvalidTxnState, "")
		return
	default:
		p.fail(wire.InvalidProducerEpoch, "")
		return
	}
	count, size := v.Count(), len(v)
	last := v.LastDelta()
	if h.cfg.AppendTime {
		p.time = v.MaxTimestamp()
	}
	base, err := b.store.Append(now, h.log, v, p.epoch, out)
	if err != log.AppendOK {
		p.time = -1
		p.fail(appendCode(err), err.String())
		return
	}
	p.stage, p.wrote, p.base, p.end, p.start = partAppended, true, base, base+core.Offset(last)+1, l.Start()
	h.leader.Appended(p.end)
	b.counts.messagesIn += int64(count)
	b.counts.produceBytes += int64(size)
	h.messagesIn += int64(count)
	h.bytesIn += int64(size)
}

// Advance decides what can be decided, and answers when all is.
func (t *produceTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	late := now.Mono >= t.deadline
	open, written := false, true
	for i := range t.parts {
		p := &t.parts[i]
		if p.stage == partConverting || p.stage == partQueued {
			b.takeTurn(now, p, out)
		}
		if p.stage == partAppended {
			t.decide(b, p, late)
		}
		if p.stage != partDone {
			open = true
		}
		if p.wrote && !b.parts.written(b, p.log, p.end) {
			written = false
		}
	}
	if open || t.acks == acksNone && !written && !late {
		// A conversion ends in its own time: its turn must be taken, or those behind it never get theirs.
		return false
	}
	if !written {
		t.r.buf = nil // a write still reads from the frame: the world's pool loses it
	}
	t.answer(b, now, out)
	return true
}

// decide looks whether what was appended is safe enough for the client.
func (t *produceTask) decide(b *Broker, p *producePart, late bool) {
	h := b.parts.at(p.log)
	switch {
	case h == nil || h.gone:
		p.fail(wire.UnknownTopicOrPartition, "the topic was deleted")
	case h.offline():
		p.fail(wire.KafkaStorageError, "the partition's log is offline")
	case h.leader == nil || h.leader.Epoch() != p.epoch:
		p.fail(wire.NotLeaderOrFollower, "")
		b.tellLeader(p)
	case t.acks == acksNone:
		p.stage = partDone
	case t.acks == acksLeader && b.store.Log(p.log).Safe() >= p.end:
		p.stage = partDone
	case t.acks == acksAll && h.leader.High() >= p.end:
		p.stage = partDone
		if !h.leader.Enough() {
			p.code = wire.NotEnoughReplicasAfterAppend
		}
	case late:
		p.fail(wire.RequestTimedOut, "")
	}
}

// takeTurn appends a batch that waited for a conversion, its own or another's, when its turn has come.
func (b *Broker) takeTurn(now core.Now, p *producePart, out *core.Out) {
	if p.stage == partConverting {
		res, ok := b.found(waitKey{kind: waitWork, id: uint64(p.work)})
		if !ok {
			return
		}
		v, verdict := batch.ParseRecompressed(res.data)
		if p.stage, p.batch = partQueued, v; verdict != batch.Good {
			p.code = verdictCode(verdict) // told when its turn has come
		}
	}
	h := b.parts.at(p.log)
	if h == nil {
		p.fail(wire.UnknownTopicOrPartition, "the topic was deleted")
		return
	}
	if h.turnServed != p.turn {
		return
	}
	h.turnServed++
	b.wake(waitKey{kind: waitPartition, id: uint64(p.log)})
	switch {
	case p.code != wire.None:
		p.fail(p.code, "the records could not be compressed anew")
	case h.gone:
		p.fail(wire.UnknownTopicOrPartition, "the topic was deleted")
	case h.leader == nil || h.leader.Epoch() != p.epoch:
		p.fail(wire.NotLeaderOrFollower, "")
		b.tellLeader(p)
	case h.offline():
		p.fail(wire.KafkaStorageError, "the partition's log is offline")
	case len(p.batch) > b.maxMessageBytes(h):
		p.fail(wire.MessageTooLarge, "after compression anew the batch is above max.message.bytes")
	case int64(len(p.batch)) > h.cfg.SegmentBytes:
		p.fail(wire.RecordListTooLarge, "after compression anew the batch is larger than a segment of the topic (segment.bytes)")
	default:
		b.appendPart(now, p, h, out)
	}
}

// tellLeader fills in who leads, for the reply's hint (KIP-951).
func (b *Broker) tellLeader(p *producePart) {
	p.leader = core.NoNode
	if x := b.img.Partition(b.parts.nameOf(p.topic, p.id), p.partition); x != nil && p.code == wire.NotLeaderOrFollower {
		p.leader, p.leads = x.Leader, x.LeaderEpoch
	}
}

func (t *produceTask) answer(b *Broker, now core.Now, out *core.Out) {
	failed := false
	for i := range t.parts {
		failed = failed || t.parts[i].code != wire.None
	}
	if failed {
		b.counts.produceFailed++
	}
	if t.acks == acksNone {
		b.noReply(now, t.r, out)
		if failed { // the only way to tell the client that its idea of the world is old
			b.dropConn(t.r.conn, "a Produce request with acks=0 failed", out)
		}
		return
	}
	resp := kmsg.NewPtrProduceResponse()
	var nodes []core.NodeID
	for i := 0; i < len(t.parts); {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.parts[i].topic, t.parts[i].id
		of := t.parts[i].of
		to := i
		for to < len(t.parts) && t.parts[to].of == of {
			to++
		}
		topic.Partitions = make([]kmsg.ProduceResponseTopicPartition, 0, to-i)
		for ; i < to; i++ {
			p := &t.parts[i]
			topic.Partitions = append(topic.Partitions, p.response())
			if p.code == wire.NotLeaderOrFollower && p.leader >= 0 {
				nodes = append(nodes, p.leader)
			}
		}
		resp.Topics = append(resp.Topics, topic)
	}
	for _, e := range b.endpoints(nodes, b.listener(t.r)) {
		k := kmsg.NewProduceResponseBroker()
		k.NodeID, k.Host, k.Port = int32(e.ID), e.Host, e.Port
		if e.HasRack {
			k.Rack = &e.Rack
		}
		resp.Brokers = append(resp.Brokers, k)
	}
	b.reply(now, t.r, resp, out)
}

func (p *producePart) response() kmsg.ProduceResponseTopicPartition {
	k := kmsg.NewProduceResponseTopicPartition()
	k.Partition, k.ErrorCode = p.partition, int16(p.code)
	if p.code == wire.None || p.code == wire.NotEnoughReplicasAfterAppend {
		k.BaseOffset, k.LogAppendTime, k.LogStartOffset = int64(p.base), p.time, int64(p.start)
	} else {
		k.BaseOffset, k.LogAppendTime, k.LogStartOffset = -1, -1, -1
	}
	if p.message != "" {
		k.ErrorMessage = &p.message
	}
	for i := range p.records {
		e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
		e.RelativeOffset, e.ErrorMessage = p.records[i].index, &p.records[i].message
		k.ErrorRecords = append(k.ErrorRecords, e)
	}
	if p.code == wire.NotLeaderOrFollower && p.leader >= 0 {
		k.CurrentLeader.LeaderID, k.CurrentLeader.LeaderEpoch = int32(p.leader), int32(p.leads)
	}
	return k
}

func appendCode(e log.AppendError) wire.Code {
	switch e {
	case log.AppendOK:
		return wire.None
	case log.LogOffline:
		return wire.KafkaStorageError
	case log.BatchTooLarge:
		return wire.RecordListTooLarge
	case log.LogBusy, log.OldEpoch:
		return wire.NotLeaderOrFollower
	}
	return wire.UnknownServerError
}

// early reports that a verdict is found before the partition is looked at.
func early(v batch.Verdict) bool {
	switch v {
	case batch.NoBatch, batch.Corrupt, batch.OldMagic, batch.NewCodec, batch.BadTail, batch.SecondBatch:
		return true
	}
	return false
}

func verdictCode(v batch.Verdict) wire.Code {
	switch v {
	case batch.Good:
		return wire.None
	case batch.Corrupt, batch.BadTail, batch.BadCRC:
		return wire.CorruptMessage
	case batch.NewCodec:
		return wire.UnsupportedCompressionType
	case batch.TooLarge, batch.Inflated:
		return wire.MessageTooLarge
	}
	return wire.InvalidRecord
}

func verdictText(v batch.Verdict) string {
	switch v {
	case batch.NoBatch:
		return "a Produce request needs one record batch for each partition, and there is none"
	case batch.SecondBatch:
		return "a Produce request has one record batch for each partition, and there are more"
	case batch.OldMagic:
		return "record batches older than magic 2 are not served"
	case batch.NewCodec:
		return "zstd needs Produce version 7 or above"
	case batch.TooLarge:
		return "the batch is above max.message.bytes"
	case batch.Inflated:
		return "the records are too large when decompressed"
	case batch.BadCRC:
		return "the batch's checksum does not match its bytes"
	}
	return "the batch is not valid: " + v.String()
}
