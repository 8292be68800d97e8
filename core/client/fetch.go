package client

import (
	"math"
	"slices"
	"sort"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/link"
	"klamm/core/wire"
)

// session is the incremental fetch session with one broker (KIP-227): the broker remembers which
// partitions we read and from where, so a request names only what changed.
//
// Invariant: parts, sorted by partition, is what the broker remembers, if epoch is above 0.
type session struct {
	node    core.NodeID
	id      int32
	epoch   int32 // of the next request; 0 asks for a new session
	request uint64
	asked   []fetchPart // what the request in flight asks for
	parts   []fetchPart
	retryAt core.Time
	fails   int
}

type fetchPart struct {
	at     core.TopicPartition
	id     core.TopicID
	gen    uint64
	offset core.Offset
	epoch  core.Epoch
}

// session returns the session with a node.
func (c *Consumer) session(node core.NodeID) *session {
	i, found := sort.Find(len(c.sessions), func(i int) int { return int(node) - int(c.sessions[i].node) })
	if !found {
		c.sessions = slices.Insert(c.sessions, i, session{node: node})
	}
	return &c.sessions[i]
}

// fetch sends a Fetch to a node, if there is something to read there, room for it, and none out.
func (c *Consumer) fetch(now core.Now, node core.NodeID, out *core.Out) {
	if c.buffered >= c.opt.BufferBytes {
		return // Poll makes room, and looks again
	}
	if c.session(node).request != 0 {
		return
	}
	var room [16]int
	list := c.ledBy(room[:0], node, func(r *reading, epoch core.Epoch) bool {
		return r.placed && !r.paused && !r.held && r.asking == 0 && (r.checked >= epoch || epoch < 0) &&
			r.buffered < int(c.opt.PartitionBytes) && !c.resting(now, r)
	})
	if len(list) == 0 {
		return
	}
	s := c.session(node)
	if now.Mono < s.retryAt {
		c.pool.WakeAt(s.retryAt)
		return
	}
	to := c.node(now, node, fetching, out)
	if to == nil || !c.pool.Usable(now, to, out) {
		return
	}
	s.asked = s.asked[:0]
	limit := int16(-1)
	for _, i := range list {
		r := &c.parts[i]
		t, m := c.partition(r.at)
		if t.id.IsZero() {
			limit = 12 // from version 13 on topics go by their id (KIP-516)
		}
		s.asked = append(s.asked, fetchPart{r.at, t.id, r.gen, r.next, m.epoch})
	}
	v, ok := versionOf(to, int16(kmsg.Fetch), limit)
	if !ok {
		for _, i := range list {
			c.later(now, &c.parts[i], Failure{Code: wire.UnsupportedVersion, Text: "Fetch"})
		}
		return
	}
	c.lastAsk++
	s.request = c.lastAsk
	c.pool.Send(now, to, link.Ask{Kind: askFetch, A: uint64(uint32(node)), B: s.request}, c.fetchRequest(s, v), c.opt.RequestTime.After(c.opt.MaxWait), out)
}

// fetchRequest says what changed since the last request of the session, or all if there is none.
func (c *Consumer) fetchRequest(s *session, v int16) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.SetVersion(v)
	q.ReplicaID, q.ReplicaState.ID = -1, -1
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = int32(c.opt.MaxWait.Millis()), c.opt.MinBytes, c.opt.MaxBytes
	q.IsolationLevel, q.SessionID, q.SessionEpoch = c.isolation(), s.id, s.epoch
	if v < 7 {
		s.epoch = 0
	}
	if s.epoch == 0 {
		q.SessionID, s.id, s.parts = 0, 0, nil
	}
	for n, p := range s.asked {
		i, found := findFetchPart(s.parts, p.at)
		if found && s.parts[i].id == p.id && s.parts[i].offset == p.offset && s.parts[i].epoch == p.epoch {
			continue
		}
		k := slices.IndexFunc(q.Topics, func(t kmsg.FetchRequestTopic) bool { return t.Topic == p.at.Topic })
		if k < 0 {
			k = len(q.Topics)
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = p.at.Topic, p.id
			rest := n
			for rest < len(s.asked) && s.asked[rest].at.Topic == p.at.Topic { // sorted by topic
				rest++
			}
			t.Partitions = make([]kmsg.FetchRequestTopicPartition, 0, rest-n)
			q.Topics = append(q.Topics, t)
		}
		m := kmsg.NewFetchRequestTopicPartition()
		m.Partition, m.CurrentLeaderEpoch, m.FetchOffset, m.PartitionMaxBytes = p.at.Partition, int32(p.epoch), int64(p.offset), c.opt.PartitionBytes
		m.LogStartOffset, m.LastFetchedEpoch = -1, -1
		q.Topics[k].Partitions = append(q.Topics[k].Partitions, m)
	}
	for _, p := range s.parts {
		if i, found := findFetchPart(s.asked, p.at); found && s.asked[i].id == p.id {
			continue
		}
		k := slices.IndexFunc(q.ForgottenTopics, func(t kmsg.FetchRequestForgottenTopic) bool { return t.Topic == p.at.Topic })
		if k < 0 {
			k = len(q.ForgottenTopics)
			t := kmsg.NewFetchRequestForgottenTopic()
			t.Topic, t.TopicID = p.at.Topic, p.id
			q.ForgottenTopics = append(q.ForgottenTopics, t)
		}
		q.ForgottenTopics[k].Partitions = append(q.ForgottenTopics[k].Partitions, p.at.Partition)
	}
	s.parts = append(s.parts[:0], s.asked...)
	return q
}

func findFetchPart(list []fetchPart, at core.TopicPartition) (int, bool) {
	return sort.Find(len(list), func(i int) int { return at.Compare(list[i].at) })
}

// fetched takes what became of a Fetch.
func (c *Consumer) fetched(now core.Now, rep *link.Reply, out *core.Out) {
	s := c.session(core.NodeID(int32(rep.Ask.A)))
	if s.request != rep.Ask.B {
		return
	}
	s.request = 0
	resp, ok := rep.Resp.(*kmsg.FetchResponse)
	if !ok {
		s.epoch = 0
		s.retryAt = now.Mono.After(c.backoff(s.fails))
		s.fails++
		c.refresh()
		return
	}
	if code := wire.Code(resp.ErrorCode); code != wire.None {
		out.Mark("client.fetch-session-refused")
		if s.epoch == 0 || s.fails > 0 { // it is not the session that is wrong
			s.retryAt = now.Mono.After(c.backoff(s.fails))
		}
		s.epoch = 0
		s.fails++
		if refreshes(code) {
			c.refresh()
		}
		return
	}
	s.fails = 0
	switch {
	case resp.SessionID == 0:
		s.epoch = 0 // the broker has no room for a session
	case s.epoch == math.MaxInt32:
		s.id, s.epoch = resp.SessionID, 1
	default:
		s.id, s.epoch = resp.SessionID, s.epoch+1
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			m := &t.Partitions[j]
			at := core.TopicPartition{Topic: t.Topic, Partition: m.Partition}
			k := slices.IndexFunc(s.asked, func(p fetchPart) bool {
				return p.at.Partition == m.Partition && (resp.Version >= 13 && p.id == core.TopicID(t.TopicID) || resp.Version < 13 && p.at == at)
			})
			if k < 0 {
				continue
			}
			r := c.reading(s.asked[k].at)
			if r == nil || r.gen != s.asked[k].gen || r.next != s.asked[k].offset {
				continue
			}
			c.fetchedPart(now, r, m, out)
		}
	}
}

// fetchedPart takes what a Fetch brought for one partition.
func (c *Consumer) fetchedPart(now core.Now, r *reading, m *kmsg.FetchResponseTopicPartition, out *core.Out) {
	switch code := wire.Code(m.ErrorCode); {
	case code == wire.OffsetOutOfRange:
		out.Mark("client.offset-out-of-range")
		c.outOfRange(now, r)
		return
	case code != wire.None:
		if refreshes(code) {
			c.refresh()
		}
		c.later(now, r, Failure{Code: code, Text: "fetching"})
		return
	}
	if r.end = core.Offset(m.HighWatermark); c.opt.ReadCommitted && m.LastStableOffset >= 0 {
		r.end = core.Offset(m.LastStableOffset)
	}
	next, epoch, n, whole := r.next, r.epoch, 0, true
	for b := m.RecordBatches; ; {
		v, rest, verdict := batch.First(b)
		if verdict == batch.NoBatch {
			break // the rest of a batch that was cut off
		}
		if verdict == batch.Good && (v.LastOffset() < next && n > 0 || m.HighWatermark >= 0 && int64(v.LastOffset()) >= m.HighWatermark) {
			verdict = batch.BadOffset // no checksum covers the offset
		}
		if verdict != batch.Good || !c.opt.SkipCRC && !v.CheckCRC() {
			c.damaged(now, r, verdict, out)
			whole = false
			break
		}
		if v.LastOffset() >= next && v.LastOffset() < math.MaxInt64 {
			next, epoch = v.LastOffset()+1, v.LeaderEpoch()
		}
		n += len(v)
		b = rest
	}
	if whole {
		r.fails = 0
	}
	if next == r.next {
		if n > 0 && whole { // nothing but what was read before: asking again would go on for ever
			c.damaged(now, r, batch.BadOffset, out)
		}
		return
	}
	ch := chunk{data: m.RecordBatches[:n]}
	if c.opt.ReadCommitted {
		for _, a := range m.AbortedTransactions {
			ch.aborted = append(ch.aborted, abortedFrom{a.ProducerID, core.Offset(a.FirstOffset)})
		}
		slices.SortStableFunc(ch.aborted, func(a, b abortedFrom) int { return int(min(max(a.first-b.first, -1), 1)) })
	}
	r.chunks = append(r.chunks, ch)
	r.next, r.epoch = next, epoch
	r.checked = max(r.checked, epoch)
	r.buffered += n
	c.buffered += n
}

// damaged puts a partition off whose bytes arrived damaged. They may come whole the next time.
func (c *Consumer) damaged(now core.Now, r *reading, verdict batch.Verdict, out *core.Out) {
	out.Mark("client.damaged-batch")
	why := Failure{Code: wire.CorruptMessage, Text: "a damaged batch came from the broker: " + verdict.String()}
	if verdict == batch.Good {
		why.Text = "a batch with a wrong checksum came from the broker"
	}
	if r.fails == 0 {
		c.tell(Tiding{Kind: Stuck, Partitions: []core.TopicPartition{r.at}, Failure: why})
	}
	c.later(now, r, why)
}

// outOfRange moves to where the policy says, or waits for a Seek.
func (c *Consumer) outOfRange(now core.Now, r *reading) {
	if len(r.chunks) > 0 || len(r.ready) > 0 {
		c.later(now, r, Failure{}) // what is here comes first; then it is asked again
		return
	}
	missing := r.next
	c.discard(r)
	r.placed, r.start, r.missing = false, Start{}, missing
	if c.opt.Reset == ResetNone {
		r.wait = true
		c.tell(Tiding{Kind: Stuck, Partitions: []core.TopicPartition{r.at}, From: missing,
			Failure: Failure{Code: wire.OffsetOutOfRange, Text: "and the reset policy is none"}})
	}
}

// decode unpacks the next batch that has records for us into r.ready. It reports false if there is none.
func (c *Consumer) decode(now core.Now, r *reading, out *core.Out) bool {
	for len(r.chunks) > 0 {
		ch := &r.chunks[0]
		v, rest, verdict := batch.First(ch.data)
		if verdict != batch.Good {
			core.Must(len(ch.data) == 0, "a buffered chunk holds whole batches")
			r.chunks = slices.Delete(r.chunks, 0, 1)
			continue
		}
		ch.data = rest
		r.buffered -= len(v)
		c.buffered -= len(v)
		if v.IsControl() {
			ch.ended(v)
		}
		if v.LastOffset() < r.position {
			continue
		}
		if v.IsControl() || ch.skips(v) {
			r.position, r.passedOf = v.LastOffset()+1, v.LeaderEpoch()
			continue
		}
		if !c.unpack(now, r, v, out) {
			return false
		}
		if len(r.ready) > 0 {
			return true
		}
		// Compaction removed its records. The position behind it is one of its epoch all the same: with that of the record before,
		// the log would seem to have been cut.
		r.position, r.passedOf = r.readyEnd, r.readyOf
	}
	return false
}

// unpack decodes the records of a batch that are at or above the position.
func (c *Consumer) unpack(now core.Now, r *reading, v batch.View, out *core.Out) bool {
	records, verdict := batch.Read(v, batch.InflatedBytesMax)
	list := slices.Grow(r.ready[:0], max(0, min(int(v.Count()), len(v)/8)))
	for verdict == batch.Good {
		var rec batch.Record
		if !records.Next(&rec) {
			verdict = records.Err()
			break
		}
		if rec.Offset >= r.position {
			if rec.Offset > v.LastOffset() || len(list) > 0 && rec.Offset <= list[len(list)-1].Offset {
				verdict = batch.BadRecord
				break
			}
			list = append(list, rec)
		}
	}
	if verdict != batch.Good {
		at, epoch, checked := r.position, r.epoch, r.checked
		c.discard(r)
		c.put(r, at, epoch)
		r.checked = checked
		c.damaged(now, r, verdict, out)
		return false
	}
	r.ready, r.readyEnd, r.readyOf = list, v.LastOffset()+1, v.LeaderEpoch()
	return true
}

// skips reports whether a batch belongs to a transaction that was aborted. An abort holds from its first
// offset to the marker that ends it, which is a control batch of the same producer.
func (ch *chunk) skips(v batch.View) bool {
	if !v.IsTransactional() {
		return false
	}
	return slices.ContainsFunc(ch.aborted, func(a abortedFrom) bool {
		return a.producer == v.ProducerID() && v.LastOffset() >= a.first
	})
}

// ended takes note of a marker: what its producer writes from here on is another transaction.
func (ch *chunk) ended(v batch.View) {
	records, verdict := batch.Read(v, batch.HeaderBytes+1<<16)
	var rec batch.Record
	if verdict != batch.Good || !records.Next(&rec) {
		return
	}
	if t, ok := batch.ParseControlKey(rec.Key); !ok || t != batch.Abort {
		return
	}
	i := slices.IndexFunc(ch.aborted, func(a abortedFrom) bool { return a.producer == v.ProducerID() && a.first <= v.BaseOffset() })
	if i >= 0 {
		ch.aborted = slices.Delete(ch.aborted, i, i+1)
	}
}
