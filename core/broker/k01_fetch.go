package broker

import (
	"math"

	"klamm/core"
	"klamm/core/fetch"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetch serves Fetch v4-v18. Left out: throttling.
//
// Its story: the session says which partitions are meant; each is looked up; if there is enough to send, or
// something to say, the reply leaves, its record bytes as ranges of files; else the request waits for a
// partition to move, until its time is over.
//
// A follower's fetch says besides that all below its offset is safe there: that is taken into the leader's account once, when
// the request comes, and only if all of it is as it should be. It reads as far as the log is written; a consumer's
// reads up to the high watermark, of a follower too (KIP-392), up to what that one knows.
func (b *Broker) fetch(now core.Now, r request, q *kmsg.FetchRequest, out *core.Out) {
	version := r.header.Version
	t := &fetchTask{r: r, replica: q.ReplicaID, follower: -1, minBytes: int64(q.MinBytes), session: -1, committed: q.IsolationLevel == 1}
	if version >= 15 {
		t.replica, t.follower = q.ReplicaState.ID, core.BrokerEpoch(q.ReplicaState.Epoch)
	}
	if version >= 11 {
		t.rack = q.Rack
	}
	t.maxBytes = int64(min(q.MaxBytes, b.cfg.FetchBytesMax))
	if t.replica >= 0 {
		t.maxBytes, t.led = int64(q.MaxBytes), b.repl.led
	}
	byID := version >= 13
	wants := b.fetchWants(q, byID)
	s, outcome := b.sessions.Begin(now.Mono, q.SessionID, sessionEpoch(q), byID, wants, b.fetchForgets(q, byID))
	switch outcome {
	case fetch.NotFound:
		t.refuse(b, wire.FetchSessionIDNotFound, out)
		return
	case fetch.WrongEpoch:
		t.refuse(b, wire.InvalidFetchSessionEpoch, out)
		return
	case fetch.WrongIDs:
		t.refuse(b, wire.FetchSessionTopicIDError, out)
		return
	case fetch.Full:
		t.open = true
	case fetch.Incremental:
		t.session, t.epoch = s.ID, s.Epoch
		b.wants = s.Wants(b.wants[:0])
		wants = b.wants
	case fetch.Closed:
		wants = nil
	}
	t.parts = make([]fetchPart, len(wants))
	for i := range wants {
		t.parts[i].want = wants[i]
	}
	t.deadline = now.Mono.After(core.Millis(int64(q.MaxWaitMillis)))
	if t.Advance(b, now, out) {
		return
	}
	t.park(b)
}

func sessionEpoch(q *kmsg.FetchRequest) int32 {
	if q.Version < 7 {
		return fetch.FullAndClose
	}
	return q.SessionEpoch
}

// fetchWants reads what a request names. Names are looked up for ids, so that a reply has both.
func (b *Broker) fetchWants(q *kmsg.FetchRequest, byID bool) []fetch.Want {
	n := 0
	for i := range q.Topics {
		n += len(q.Topics[i].Partitions)
	}
	wants := make([]fetch.Want, 0, n)
	for i := range q.Topics {
		topic := &q.Topics[i]
		name, id := topic.Topic, topic.TopicID
		if byID {
			name = b.parts.nameOf("", id)
		}
		for j := range topic.Partitions {
			p := &topic.Partitions[j]
			w := fetch.Want{
				Topic: name, ID: id, Partition: p.Partition, Offset: core.Offset(p.FetchOffset), BytesMax: p.PartitionMaxBytes,
				LeaderEpoch: -1, LastEpoch: -1, LogStart: -1, High: -1,
			}
			if q.Version >= 5 {
				w.LogStart = core.Offset(p.LogStartOffset)
			}
			if q.Version >= 9 {
				w.LeaderEpoch = core.Epoch(p.CurrentLeaderEpoch)
			}
			if q.Version >= 12 {
				w.LastEpoch = core.Epoch(p.LastFetchedEpoch)
			}
			wants = append(wants, w)
		}
	}
	return wants
}

func (b *Broker) fetchForgets(q *kmsg.FetchRequest, byID bool) (keys []fetch.Key) {
	for i := range q.ForgottenTopics {
		topic := &q.ForgottenTopics[i]
		for _, p := range topic.Partitions {
			if byID {
				keys = append(keys, fetch.Key{ID: topic.TopicID, Partition: p})
			} else {
				keys = append(keys, fetch.Key{Topic: topic.Topic, Partition: p})
			}
		}
	}
	return keys
}

// fetchTask is a Fetch request that waits for bytes, or for a seek.
type fetchTask struct {
	r         request
	replica   int32            // -1: a consumer
	follower  core.BrokerEpoch // of the replica
	rack      string           // of a consumer, v11+
	committed bool             // read_committed
	booked    bool             // the follower's offsets are in the leaders' accounts
	led       uint64           // leaderships that had begun here when the follower asked
	open      bool             // a full fetch that wants a session
	session   int32            // of an incremental fetch, else -1
	epoch     int32            // … the epoch that the session has since it took this request
	minBytes  int64
	maxBytes  int64
	deadline  core.Time
	parked    bool
	parts     []fetchPart
}

// fetchPart is one partition of a fetch, and what was found for it last.
type fetchPart struct {
	want   fetch.Want
	ticket log.Ticket // of a seek under way
	seeks  int        // that were made for this request
	partSeen
}

// partSeen is what was found of a partition when it was last looked at.
type partSeen struct {
	log    log.LogID
	code   wire.Code
	high   core.Offset
	stable core.Offset
	start  core.Offset
	slice  log.Slice
	leader core.NodeID
	leads  core.Epoch

	nearer bool // the consumer is sent to a replica of its rack
	near   core.NodeID

	diverged     bool
	divergeEpoch core.Epoch
	divergeEnd   core.Offset
}

// SeeksPerFetchMax bounds how often one request looks for a partition's position: a log whose
// positions fall out of its cache as fast as they come in would keep the request for ever.
const SeeksPerFetchMax = 4

func (t *fetchTask) park(b *Broker) {
	keys := make([]waitKey, 0, len(t.parts))
	for i := range t.parts {
		p := &t.parts[i]
		switch {
		case p.log == log.NoLog:
		case t.replica >= 0: // it moves when the log is written, or the leadership ends, which wakes both
			keys = append(keys, waitKey{kind: waitWritten, id: uint64(p.log)})
		default:
			keys = append(keys, waitKey{kind: waitPartition, id: uint64(p.log)})
		}
		if p.ticket != 0 {
			keys = append(keys, waitKey{kind: waitTicket, id: uint64(p.ticket)})
		}
	}
	if t.replica >= 0 {
		keys = append(keys, waitKey{kind: waitLed})
	}
	t.parked = true
	b.park(t.r, t, t.deadline, keys...)
}

// await adds a seek to what a parked request waits for; park does so for one that is not parked yet.
func (t *fetchTask) await(b *Broker, ticket log.Ticket) {
	if t.parked {
		b.alsoWait(waitKey{kind: waitTicket, id: uint64(ticket)})
	}
}

// Advance looks every partition up and answers if there is something to say.
func (t *fetchTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.answer(t.r, true, out)
		return true
	}
	left, seeking, news := t.maxBytes, false, len(t.parts) == 0
	var total int64
	for i := range t.parts {
		p := &t.parts[i]
		t.look(b, now, p, left, total == 0, out)
		switch {
		case p.code != wire.None || p.diverged || p.nearer:
			news = true
		case p.ticket != 0:
			seeking = true
			left -= min(left, int64(p.want.BytesMax)) // what it may come to: no more seeks than the reply has room for
		default:
			total += p.slice.Len
			left -= min(left, p.slice.Len)
		}
	}
	t.booked = true
	// A follower whose request waits here could not ask for what it has to follow from now on.
	over := now.Mono >= t.deadline || t.replica >= 0 && t.led != b.repl.led
	if seeking {
		return false // a seek ends in its own time, and late is better than never
	}
	if !news && total < t.minBytes && !over {
		return false
	}
	t.answer(b, now, out)
	return true
}

// look finds out what one partition has. first: no partition before it gives records, so its first
// batch is sent however large it is, or a consumer could never get past it (KIP-74).
func (t *fetchTask) look(b *Broker, now core.Now, p *fetchPart, left int64, first bool, out *core.Out) {
	w := &p.want
	p.partSeen = partSeen{log: log.NoLog, high: -1, stable: -1, start: -1, leader: core.NoNode}
	h, code := b.parts.find(w.Topic, w.ID, !w.ID.IsZero(), w.Partition)
	if h != nil {
		p.log = h.log
	}
	leads := core.Epoch(-1)
	switch {
	case code == wire.None:
		leads = h.leader.Epoch()
	case code == wire.NotLeaderOrFollower && h != nil && h.follower != nil && !h.follower.Busy() && t.replica < 0 && t.r.header.Version >= 11:
		code, leads = wire.None, h.follower.Epoch() // a consumer may read from any replica (KIP-392)
	}
	if code == wire.None {
		code = checkEpoch(w.LeaderEpoch, leads)
	}
	if code != wire.None {
		t.notHere(b, p, code)
		return
	}
	l := b.store.Log(h.log)
	p.high, p.stable, p.start = l.High(), l.LastStable(), l.Start()
	if w.LastEpoch >= 0 && t.diverges(b, p, l) {
		return
	}
	if w.Offset < l.Start() || w.Offset > l.End() {
		p.refuse(wire.OffsetOutOfRange)
		return
	}
	upTo := min(p.high, l.Written())
	switch {
	case t.replica >= 0:
		if code := t.book(b, now, h, p, out); code != wire.None {
			t.notHere(b, p, code)
			return
		}
		if p.high, upTo = h.leader.High(), l.Written(); b.sendsLater(now, h, core.NodeID(t.replica)) {
			out.Mark("broker.fetch-throttled")
			p.ticket = 0
			return
		}
	case b.cfg.ReadNear && t.rack != "" && h.leader != nil:
		if p.near, p.nearer = b.nearest(h, w.Offset, t.rack); p.nearer {
			p.ticket = 0
			return
		}
	}
	if t.committed {
		upTo = min(p.stable, upTo)
	}
	t.locate(b, now, p, upTo, left, first, out)
}

// nearest is the replica that a consumer of a rack should rather read from: of those in sync that have the offset, the one
// that is furthest. There is none if the leader is in that rack itself.
func (b *Broker) nearest(h *hosted, at core.Offset, rack string) (best core.NodeID, ok bool) {
	x := b.img.Partition(h.tp.Topic, h.tp.Partition)
	if x == nil || b.cfg.HasRack && b.cfg.Rack == rack {
		return core.NoNode, false
	}
	furthest := core.Offset(-1)
	for _, n := range x.Replicas {
		k := b.img.Broker(n)
		if k == nil || k.Fenced || !k.HasRack || k.Rack != rack {
			continue
		}
		if end, has := h.leader.Holds(n, at); has && end > furthest {
			best, furthest, ok = n, end, true
		}
	}
	return best, ok
}

// notHere leaves nothing in a part but its error, and who leads, if the client's idea of that is old.
func (t *fetchTask) notHere(b *Broker, p *fetchPart, code wire.Code) {
	p.refuse(code)
	w := &p.want
	if x := b.img.Partition(w.Topic, w.Partition); x != nil && (code == wire.NotLeaderOrFollower || code == wire.FencedLeaderEpoch) {
		p.leader, p.leads = x.Leader, x.LeaderEpoch
	}
}

// book takes a follower's offset into the leader's account, once for each request: its epoch is the leader's, it has not
// diverged, and its offset is in range.
func (t *fetchTask) book(b *Broker, now core.Now, h *hosted, p *fetchPart, out *core.Out) wire.Code {
	if t.booked {
		return wire.None
	}
	return b.booked(now, h, core.NodeID(t.replica), t.follower, p.want.Offset, p.want.LogStart, out)
}

// refuse leaves nothing in a part but its error.
func (p *fetchPart) refuse(code wire.Code) {
	p.code, p.high, p.stable, p.start, p.slice, p.ticket = code, -1, -1, -1, log.Slice{}, 0
}

// diverges compares the epoch of the client's last record with ours (KIP-595).
func (t *fetchTask) diverges(b *Broker, p *fetchPart, l *log.Log) bool {
	epoch, end := b.store.EpochEnd(p.log, p.want.LastEpoch)
	switch {
	case epoch < 0 || end < 0:
		p.refuse(wire.OffsetOutOfRange)
		return true
	case epoch < p.want.LastEpoch || end < p.want.Offset:
		p.diverged, p.divergeEpoch, p.divergeEnd, p.ticket = true, epoch, end, 0
		return true
	}
	return false
}

// locate finds the bytes of a partition.
func (t *fetchTask) locate(b *Broker, now core.Now, p *fetchPart, upTo core.Offset, left int64, first bool, out *core.Out) {
	if p.want.Offset >= upTo || left <= 0 && !first {
		p.ticket = 0
		return
	}
	want := min(left, int64(max(p.want.BytesMax, 0)))
	slice, located := b.store.Locate(p.log, p.want.Offset, upTo, max(want, 1))
	if located != log.NeedSeek {
		p.ticket = 0
	}
	switch located {
	case log.Found:
		switch {
		case slice.First > want && !first: // a later partition whose first batch does not fit is empty
		case slice.First > want:
			slice.Len = slice.First
			p.slice = slice
		default:
			slice.Len = min(slice.Len, want) // clients drop a batch that is cut
			p.slice = slice
		}
	case log.OutOfRange:
		p.refuse(wire.OffsetOutOfRange)
	case log.Offline:
		p.refuse(wire.KafkaStorageError)
	case log.NeedSeek:
		t.seek(b, now, p, out)
	}
}

func (t *fetchTask) seek(b *Broker, now core.Now, p *fetchPart, out *core.Out) {
	if p.ticket != 0 {
		got, done := b.found(waitKey{kind: waitTicket, id: uint64(p.ticket)})
		if !done {
			return // still under way
		}
		if p.ticket = 0; got.err == core.IOError { // the file is damaged there: an empty answer would look like the end
			p.refuse(wire.KafkaStorageError)
			return
		}
	}
	if p.seeks++; p.seeks > SeeksPerFetchMax {
		out.Mark("broker.fetch-seeks-in-vain")
		return
	}
	p.ticket = b.store.Seek(now, p.log, p.want.Offset, out)
	t.await(b, p.ticket)
}

// checkEpoch compares the leader epoch that a client believes in with ours (KIP-320).
func checkEpoch(theirs, ours core.Epoch) wire.Code {
	switch {
	case theirs < 0 || theirs == ours:
		return wire.None
	case theirs < ours:
		return wire.FencedLeaderEpoch
	}
	return wire.UnknownLeaderEpoch
}

// refuse answers with an error of the whole request.
func (t *fetchTask) refuse(b *Broker, code wire.Code, out *core.Out) {
	reply := fetch.Reply{Code: int16(code)}
	b.sendFetch(t.r, &reply, out)
}

// answer makes the reply of what was found.
func (t *fetchTask) answer(b *Broker, now core.Now, out *core.Out) {
	reply := fetch.Reply{Topics: make([]fetch.Topic, 0, 1)}
	var s *fetch.Session
	if t.session >= 0 {
		if s = b.sessions.Find(t.session); s == nil || s.Epoch != t.epoch {
			// Another request of the same session came in meanwhile, or it was evicted.
			t.refuse(b, wire.InvalidFetchSessionEpoch, out)
			return
		}
		reply.SessionID = t.session
	}
	var nodes []core.NodeID
	rows := make([]fetch.Partition, 0, len(t.parts)) // in one piece: topics take their share of it
	for i := range t.parts {
		p := &t.parts[i]
		if s != nil && !s.Tell(p.want.Key(), p.news()) {
			continue
		}
		last := len(reply.Topics) - 1
		if last < 0 || reply.Topics[last].Name != p.want.Topic || reply.Topics[last].ID != p.want.ID {
			reply.Topics = append(reply.Topics, fetch.Topic{Name: p.want.Topic, ID: p.want.ID, Partitions: rows[len(rows):len(rows)]})
			last++
		}
		rows = append(rows, t.row(p, b.aborted(t, p)))
		reply.Topics[last].Partitions = rows[len(rows)-len(reply.Topics[last].Partitions)-1 : len(rows)]
		if p.leader >= 0 {
			nodes = append(nodes, p.leader)
		}
		b.countFetched(t, p)
	}
	reply.Nodes = b.endpoints(nodes, b.listener(t.r))
	if t.open && t.r.header.Version >= 7 {
		reply.SessionID = t.openSession(b, now)
	}
	b.sendFetch(t.r, &reply, out)
}

// openSession remembers a full fetch.
func (t *fetchTask) openSession(b *Broker, now core.Now) int32 {
	wants := make([]fetch.Want, len(t.parts))
	news := make([]fetch.News, len(t.parts))
	for i := range t.parts {
		wants[i], news[i] = t.parts[i].want, t.parts[i].news()
	}
	return b.sessions.Open(now.Mono, &b.rand, t.r.header.Version >= 13, t.replica >= 0, wants, news)
}

func (p *fetchPart) news() fetch.News {
	return fetch.News{Error: p.code != wire.None, High: p.high, Start: p.start, Bytes: p.slice.Len, Diverged: p.diverged, Replica: p.nearer}
}

// AbortedPerFetchMax bounds the aborted transactions that a reply names for one partition, but for those of a single batch.
const AbortedPerFetchMax = 1 << 16

// aborted lists what a reader at read_committed has to leave out of the records that a part has. If that is too much, the
// part keeps its first batch only.
func (b *Broker) aborted(t *fetchTask, p *fetchPart) (names []fetch.Aborted) {
	if !t.committed || p.slice.Len == 0 {
		return nil
	}
	l := b.store.Log(p.log)
	list, all := l.Aborted(p.want.Offset, p.slice.End, AbortedPerFetchMax)
	if !all {
		p.slice.Len = min(p.slice.Len, p.slice.First)
		list, _ = l.Aborted(p.want.Offset, p.slice.FirstEnd, math.MaxInt)
	}
	for _, a := range list {
		names = append(names, fetch.Aborted{Producer: a.ProducerID, First: a.First})
	}
	return names
}

func (t *fetchTask) row(p *fetchPart, aborted []fetch.Aborted) fetch.Partition {
	return fetch.Partition{
		Partition: p.want.Partition, Code: int16(p.code), High: p.high, LastStable: p.stable, Start: p.start,
		Committed: t.committed && p.code == wire.None && !p.diverged && !p.nearer, Aborted: aborted, Diverged: p.diverged, DivergeEpoch: p.divergeEpoch, DivergeEnd: p.divergeEnd,
		TellLeader: p.leader >= 0 && t.r.header.Version >= 16, Leader: p.leader, LeaderEpoch: p.leads,
		TellNear: p.nearer, Near: p.near, File: p.slice.File, Pos: p.slice.Pos, Len: p.slice.Len,
	}
}

func (b *Broker) sendFetch(r request, reply *fetch.Reply, out *core.Out) {
	encoded := fetch.Encode(r.header.Version, r.header.Correlation, reply)
	pieces := make([]piece, len(encoded))
	for i, e := range encoded {
		pieces[i] = piece{b: e.Bytes, file: e.File, off: e.Pos, n: e.Len}
	}
	b.answer(r, true, out, pieces...)
}

func (b *Broker) countFetched(t *fetchTask, p *fetchPart) {
	if p.code != wire.None {
		b.counts.fetchFailed++
	}
	if t.replica >= 0 {
		b.sentAgain(core.NodeID(t.replica), p)
		b.repl.counts.bytesOut += p.slice.Len
		if h := b.parts.at(p.log); h != nil && h.throttleLeads && p.slice.Len > 0 {
			b.throttles.leader.record(b.now.Mono, p.slice.Len)
		}
		return
	}
	if h := b.parts.at(p.log); h != nil && p.slice.Len > 0 {
		h.bytesOut += p.slice.Len
		b.counts.fetchBytes += p.slice.Len
	}
}
