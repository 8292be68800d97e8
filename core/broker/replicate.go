package broker

import (
	"slices"
	"sort"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/replica"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// replicator keeps this broker's followers going: one fetcher for each node that leads some of them.
//
// A fetcher fetches, has everything written and synced that came, and fetches again: its next request states what is safe
// here. So one sync of a file takes all that came in one answer, and the frame that holds the records is needed
// until then and no longer: the memory of a fetcher is one answer.
//
// Invariants: fetchers is sorted by node.
type replicator struct {
	fetchers []fetcher
	asks     uint64 // numbers of requests
	led      uint64 // leaderships that began here
	isr      isrChanges
	counts   replicaCounts
	doubts   []doubted // to be looked at in this Step
}

// replicaCounts are for metrics.
type replicaCounts struct {
	bytesIn, bytesOut, shrinks, expands, failed int64
}

// fetcher follows one node.
//
// Invariants: told is sorted by log and is what the session at the leader holds; one fetch and one question are in flight at
// most; pending counts the logs that are not yet safe up to what the last answer brought: their writes refer into frame.
type fetcher struct {
	node    core.NodeID
	life    core.BrokerEpoch // of the node, as the metadata last said
	session int32            // at the leader; 0: none
	epoch   int32            // of the next request; 0: a full one
	told    []told
	dirty   []log.LogID // whose place may not be what was told
	resting []log.LogID // to be looked at when their rest is over
	fetch   uint64      // in flight; 0: none
	pending int
	frame   []byte
	lost    bool      // a log failed with a write that refers into frame: it is never given back
	retryAt core.Time // before which nothing is asked
	fails   uint8

	question  uint64     // in flight; 0: none
	questions []question // the first asked of them are in it
	asked     int
}

// told is what the leader's session holds of a partition.
type told struct {
	log       log.LogID
	topic     string
	id        core.TopicID
	partition int32
	place     replica.Place
}

// question is what a follower has to ask the leader besides fetching.
type question struct {
	log   log.LogID
	act   replica.Act // AskStart, AskEpoch or AskFirst
	epoch core.Epoch  // AskEpoch
	at    core.Offset // AskFirst
	whole bool        // … of the leadership itself: where the leader's log ends
	end   core.Offset // … and where this one did
	leads core.Epoch  // of the follower
}

// copying is what hosted knows of the copying of a partition.
type copying struct {
	dirty   bool        // in its fetcher's dirty
	of      core.NodeID // … of this node
	pending bool        // the fetcher of node waits counts it until the log is safe up to end
	waits   core.NodeID
	end     core.Offset
	high    core.Offset // the leader's high watermark, as it last said,
	heard   bool        // if it did
	gaps    uint8       // answers in a row that left out offsets behind this log's end
	doubt   doubt
	back    setBack
}

// gapsMax is how often a follower asks again when what it is sent leaves out offsets behind its end. Compaction leaves such gaps, and a
// topic may have been compacted once; but a leader whose disk returned a read from a wrong place sends one just so.
const gapsMax = 3

// leavesGap reports whether what a follower was sent is to be asked for once more, because something seems to be missing before it.
func (b *Broker) leavesGap(h *hosted, batches []byte, out *core.Out) bool {
	v, _, is := batch.First(batches)
	if is != batch.Good || v.BaseOffset() <= b.store.Log(h.log).End() || h.cfg.Compact || internalTopic(h.tp.Topic) || h.copying.gaps >= gapsMax {
		h.copying.gaps = 0
		return false
	}
	out.Mark("broker.replica-gap")
	h.copying.gaps++
	return true
}

// The waits of a fetcher whose leader does not answer: the first, doubled each time, and the longest.
const (
	refetchMin = 20 * core.Millisecond
	refetchMax = core.Second
)

// fetcher finds or makes the fetcher of a node.
func (r *replicator) fetcher(node core.NodeID) *fetcher {
	at, found := sort.Find(len(r.fetchers), func(i int) int { return int(node) - int(r.fetchers[i].node) })
	if !found {
		r.fetchers = slices.Insert(r.fetchers, at, fetcher{node: node})
	}
	return &r.fetchers[at]
}

func (f *fetcher) find(id log.LogID) (int, bool) {
	at := sort.Search(len(f.told), func(i int) bool { return f.told[i].log >= id })
	return at, at < len(f.told) && f.told[at].log == id
}

// own is what the follower's decisions rest on.
func (b *Broker) own(h *hosted) replica.Own {
	l := b.store.Log(h.log)
	if l.Offline() != "" {
		own := damagedOwn(l)
		own.Held = own.Held || b.lossUntold(h)
		return own
	}
	return replica.Own{Start: l.Start(), End: l.End(), Safe: l.Safe(), High: l.High(), Last: l.EpochBelow(l.End()), Held: !b.store.Takes(h.log)}
}

// ends is the log's own table of epochs.
func (b *Broker) ends(h *hosted) func(core.Epoch) (core.Epoch, core.Offset) {
	id := h.log
	return func(e core.Epoch) (core.Epoch, core.Offset) { return b.store.EpochEnd(id, e) }
}

// placed notes that a partition's place may have changed: the fetcher of node tells the leader with its next request. That
// may be a node that is followed no more.
func (b *Broker) placed(h *hosted, node core.NodeID) {
	if h.copying.dirty && h.copying.of == node {
		return
	}
	f := b.repl.fetcher(node)
	f.dirty = append(f.dirty, h.log)
	h.copying.dirty, h.copying.of = true, node
}

// replicationTick does what is due.
func (b *Broker) replicationTick(now core.Now, out *core.Out) {
	for i := range b.repl.fetchers {
		f := &b.repl.fetchers[i]
		kept := f.resting[:0]
		for _, id := range f.resting {
			h := b.parts.at(id)
			switch {
			case h == nil || h.follower == nil || h.follower.Leader() != f.node:
			case h.follower.Next() <= now.Mono:
				b.placed(h, f.node)
				b.askEnd(now, h)
			case h.follower.Next() < core.Never:
				kept = append(kept, id)
			}
		}
		f.resting = kept
	}
	b.isrTick(now, out)
	b.movesTick(now, out)
	b.throttleTick(now)
	b.replicate(now, out)
	if path := b.failureLate(now); path != "" {
		b.fatal("log directory "+path+" has failed, and no controller could be told within log.dir.failure.timeout.ms: this node stops, so that others can take over what lies there", out)
	}
}

// replicationNext is when the next Tick is needed.
func (b *Broker) replicationNext() core.Time {
	next := min(b.isrNext(), b.assignNext(), b.dirDeadline(), b.movesNext(), b.throttleNext())
	for i := range b.repl.fetchers {
		f := &b.repl.fetchers[i]
		for _, id := range f.resting {
			if h := b.parts.at(id); h != nil && h.follower != nil {
				next = min(next, h.follower.Next())
			}
		}
		if f.retryAt > b.now.Mono && (len(f.dirty) > 0 || len(f.told) > 0 || len(f.questions) > 0) {
			next = min(next, f.retryAt)
		}
	}
	return next
}

// copies reports whether this broker follows and leads now.
func (b *Broker) copies() bool { return b.stage >= stagePartitions && b.stage < stageStopping }

// replicate sends what can be sent. It is called whenever something of it may have changed, and costs little if nothing has.
func (b *Broker) replicate(now core.Now, out *core.Out) {
	if !b.copies() {
		return
	}
	for i := range b.repl.fetchers {
		f := &b.repl.fetchers[i]
		if now.Mono < f.retryAt {
			continue
		}
		if f.question == 0 && len(f.questions) > 0 {
			b.ask(now, f, out)
		}
		if f.fetch == 0 && f.pending == 0 && (len(f.told) > 0 || len(f.dirty) > 0) {
			b.fetchNext(now, f, out)
		}
	}
	b.isrSend(now, out)
	b.assignSend(now, out)
}

// fetchNext sends the next request of a fetcher: the places that changed since the last one.
func (b *Broker) fetchNext(now core.Now, f *fetcher, out *core.Out) {
	if f.session == 0 { // the leader remembers nothing: everything is told again
		b.forgetTold(f)
	}
	q := kmsg.NewPtrFetchRequest()
	q.ReplicaID, q.ReplicaState.ID, q.ReplicaState.Epoch = int32(b.cfg.NodeID), int32(b.cfg.NodeID), int64(b.life.epoch)
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = b.cfg.ReplicaFetch.WaitMillis, b.cfg.ReplicaFetch.BytesMin, b.cfg.ReplicaFetch.ResponseBytes
	q.SessionID, q.SessionEpoch = f.session, f.epoch
	slices.Sort(f.dirty)
	for _, id := range slices.Compact(f.dirty) {
		b.tell(now, f, id, q, out)
	}
	f.dirty = f.dirty[:0]
	if len(f.told) == 0 && f.session == 0 {
		return
	}
	b.repl.asks++
	if f.fetch = b.repl.asks; !b.fetchFrom(now, f.node, f.fetch, q, out) {
		f.fetch = 0
		b.fetcherLost(now, f)
		return
	}
	if f.epoch > 0 {
		f.epoch = nextSessionEpoch(f.epoch)
	}
	if len(f.told) == 0 { // the leader closes a session that holds nothing
		f.session, f.epoch = 0, 0
	}
}

// nextSessionEpoch never comes to 0 again, which would mean a full fetch.
func nextSessionEpoch(e int32) int32 {
	if e == 1<<31-1 {
		return 1
	}
	return e + 1
}

// forgetTold marks everything that was told as to be told again.
func (b *Broker) forgetTold(f *fetcher) {
	for i := range f.told {
		if h := b.parts.at(f.told[i].log); h != nil {
			b.placed(h, f.node)
		}
	}
	f.told, f.session, f.epoch = f.told[:0], 0, 0
}

// tell enters in a request what changed of one partition.
func (b *Broker) tell(now core.Now, f *fetcher, id log.LogID, q *kmsg.FetchRequest, out *core.Out) {
	at, in := f.find(id)
	var place replica.Place
	wanted := false
	h := b.parts.at(id)
	if h != nil {
		if h.copying.of == f.node {
			h.copying.dirty = false
		}
		if h.follower != nil && h.follower.Leader() == f.node {
			if place, wanted = h.follower.Place(now.Mono, b.own(h)); wanted && b.asksLater(now, h, f.node) {
				out.Mark("broker.replica-throttled")
				wanted = false
			}
		}
	}
	switch {
	case !wanted && in:
		t := &f.told[at]
		if k := len(q.ForgottenTopics) - 1; k < 0 || q.ForgottenTopics[k].TopicID != t.id {
			topic := kmsg.NewFetchRequestForgottenTopic()
			topic.Topic, topic.TopicID = t.topic, t.id
			q.ForgottenTopics = append(q.ForgottenTopics, topic)
		}
		topic := &q.ForgottenTopics[len(q.ForgottenTopics)-1]
		topic.Partitions = append(topic.Partitions, t.partition)
		f.told = slices.Delete(f.told, at, at+1)
	case !wanted || in && f.told[at].place == place:
	default:
		t := told{log: id, topic: h.tp.Topic, id: h.id, partition: h.tp.Partition, place: place}
		if in {
			f.told[at] = t
		} else {
			f.told = slices.Insert(f.told, at, t)
		}
		if k := len(q.Topics) - 1; k < 0 || q.Topics[k].TopicID != t.id {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic, topic.TopicID = t.topic, t.id
			q.Topics = append(q.Topics, topic)
		}
		topic := &q.Topics[len(q.Topics)-1]
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.LogStartOffset = t.partition, int64(place.Offset), int64(place.Start)
		p.CurrentLeaderEpoch, p.LastFetchedEpoch = int32(place.Leads), int32(place.Last)
		p.PartitionMaxBytes = b.cfg.ReplicaFetch.PartitionBytes
		topic.Partitions = append(topic.Partitions, p)
	}
}

// fetcherLost says that a leader did not answer.
func (b *Broker) fetcherLost(now core.Now, f *fetcher) {
	b.repl.counts.failed++
	b.forgetTold(f)
	f.retryAt = now.Mono.After(min(refetchMin<<min(f.fails, 6), refetchMax))
	f.fails = min(f.fails+1, 100)
}

// replicaFetched takes what a leader answered, to a fetch or to a question; nil if it did not. buf is the frame that the
// answer refers into: it is given back here, or when the last write of it is done.
func (b *Broker) replicaFetched(now core.Now, node core.NodeID, ask uint64, resp kmsg.Response, buf []byte, out *core.Out) {
	f := b.repl.fetcher(node)
	switch {
	case ask == 0 || !b.copies():
	case ask == f.question:
		b.answered(now, f, resp, out)
	case ask == f.fetch:
		f.fetch = 0
		r, _ := resp.(*kmsg.FetchResponse)
		if b.took(now, f, r, out) { // its records are on their way to the disk
			f.frame, buf = buf, nil
		}
	}
	if buf != nil {
		out.Release(buf)
	}
	b.replicate(now, out)
}

// forgetLife gives up what a node was asked in an earlier life of its: no answer is coming, and nobody may say so for long.
func (b *Broker) forgetLife(now core.Now, node core.NodeID) {
	at, found := sort.Find(len(b.repl.fetchers), func(i int) int { return int(node) - int(b.repl.fetchers[i].node) })
	k := b.img.Broker(node)
	if !found || k == nil || b.repl.fetchers[at].life == k.Epoch {
		return
	}
	f := &b.repl.fetchers[at]
	f.life = k.Epoch
	if f.fetch != 0 {
		f.fetch, f.fails = 0, 0
		b.fetcherLost(now, f)
	}
}

// took takes the answer to a fetch. It reports whether records of it were appended.
func (b *Broker) took(now core.Now, f *fetcher, r *kmsg.FetchResponse, out *core.Out) (appended bool) {
	if r == nil || r.ErrorCode != 0 {
		if r != nil {
			out.Mark("broker.replica-session-lost")
		}
		b.fetcherLost(now, f)
		return false
	}
	f.fails, f.lost = 0, false
	if f.epoch == 0 && len(f.told) > 0 && r.SessionID != 0 {
		f.session, f.epoch = r.SessionID, 1
	}
	for i := range r.Topics {
		topic := &r.Topics[i]
		t := b.parts.topic(topic.Topic, topic.TopicID, topic.TopicID != core.TopicID{})
		for j := range topic.Partitions {
			p := &topic.Partitions[j]
			if t == nil || p.Partition < 0 || int(p.Partition) >= len(t.logs) {
				continue
			}
			if h := b.parts.at(t.logs[p.Partition]); h != nil && b.tookPartition(now, f, h, p, out) {
				appended = true
			}
		}
	}
	return appended
}

// tookPartition takes what was answered for one partition.
func (b *Broker) tookPartition(now core.Now, f *fetcher, h *hosted, p *kmsg.FetchResponseTopicPartition, out *core.Out) (appended bool) {
	at, in := f.find(h.log)
	if !in || h.follower == nil || h.follower.Leader() != f.node || h.follower.Epoch() != f.told[at].place.Leads {
		return false // it was asked in another leadership
	}
	a := replica.Answer{Code: wire.Code(p.ErrorCode), High: core.Offset(p.HighWatermark), Start: core.Offset(p.LogStartOffset), Batches: p.RecordBatches}
	if p.DivergingEpoch.EndOffset >= 0 || p.DivergingEpoch.Epoch >= 0 {
		a.Diverged, a.DivergeEpoch, a.DivergeEnd = true, core.Epoch(p.DivergingEpoch.Epoch), core.Offset(p.DivergingEpoch.EndOffset)
	}
	if h.copying.high, h.copying.heard = a.High, a.Code == wire.None && !a.Diverged; h.throttleFollows {
		b.throttles.follower.record(now.Mono, int64(len(a.Batches)))
	}
	s := h.follower.Answered(now.Mono, b.own(h), f.told[at].place.Offset, &a, b.ends(h))
	if s.Bad != batch.Good {
		out.Mark("broker.replica-bad-batch")
		b.note(now, core.Warn, "node "+strconv.Itoa(int(f.node))+" sent a bad batch of "+h.name()+": "+s.Bad.String(), out)
	}
	return b.follow(now, h, s, out)
}

// follow does what a follower decided. It reports whether records were appended.
func (b *Broker) follow(now core.Now, h *hosted, s replica.Step, out *core.Out) (appended bool) {
	node := h.follower.Leader()
	b.placed(h, node)
	_, hurt := b.store.Log(h.log).Damaged()
	if s.BelowHigh {
		b.noteBelowHigh(now, h, s.At, out)
	}
	failed := log.AppendOK
	switch s.Act {
	case replica.Append:
		if hurt && b.awaitsLoss(h, s.Batches, out) {
			break
		}
		if !hurt && b.leavesGap(h, s.Batches, out) {
			failed = log.BadBatch
			break
		}
		if s = b.beyondDoubt(h, s, out); s.Act != replica.Append {
			return b.follow(now, h, s, out)
		}
		if failed = b.store.AppendExact(now, h.log, s.Batches, out); failed == log.AppendOK {
			h.follower.Appended()
			b.repl.counts.bytesIn += int64(len(s.Batches))
			if hurt { // they were copied
				return false
			}
			core.Must(!h.copying.pending, "nothing is fetched above what is not safe")
			h.copying.pending, h.copying.waits, h.copying.end = true, node, b.store.Log(h.log).End()
			b.repl.fetcher(node).pending++
			b.told(now, h, s, out)
			return true
		}
		out.Mark("broker.replica-append-failed")
	case replica.Fetch:
		b.told(now, h, s, out)
	case replica.Cut:
		out.Mark("broker.replica-truncates")
		failed = b.store.Truncate(now, h.log, s.At, out)
	case replica.Begin:
		if hurt && b.raiseStart(now, h, s.At, out) {
			break
		}
		out.Mark("broker.replica-begins-anew")
		b.note(now, core.Warn, h.name()+": begins anew at offset "+strconv.FormatInt(int64(s.At), 10)+", where the log of node "+strconv.Itoa(int(node))+" can be followed", out)
		failed = b.store.Restart(now, h.log, s.At, out)
	case replica.AskStart, replica.AskEpoch, replica.AskFirst:
		f := b.repl.fetcher(node)
		f.questions = append(f.questions, question{log: h.log, act: s.Act, epoch: s.Epoch, at: s.At, leads: h.follower.Epoch()})
	}
	if failed != log.AppendOK {
		own := b.own(h)
		if !own.Held { // else it was asked for before
			b.note(now, core.Warn, h.name()+": cannot follow node "+strconv.Itoa(int(node))+" now: "+failed.String(), out)
		}
		h.follower.Refused(now.Mono, own)
	}
	if h.follower.Next() != core.Never {
		f := b.repl.fetcher(node)
		f.resting = append(f.resting, h.log)
	}
	return false
}

// noteBelowHigh says that records which were committed, as far as this replica knew, are about to go. Epochs alone decide what
// is cut, or a replica could never come together again with a leader of an unclean election; but it is never silent.
func (b *Broker) noteBelowHigh(now core.Now, h *hosted, to core.Offset, out *core.Out) {
	out.Mark("broker.truncated-below-high")
	b.note(now, core.Error, h.name()+": the leader, node "+strconv.Itoa(int(h.follower.Leader()))+", lacks records that were committed: this copy is cut from its high watermark "+
		strconv.FormatInt(int64(b.store.Log(h.log).High()), 10)+" to "+strconv.FormatInt(int64(to), 10)+", as after an unclean election", out)
}

// told takes in what the leader told of its log besides records: its high watermark, as far as this log goes, and its start.
// Retention is the leader's: a follower lets go of nothing that the leader still has.
func (b *Broker) told(now core.Now, h *hosted, s replica.Step, out *core.Out) {
	if s.High >= 0 {
		if own := b.own(h); own.HighFrom(s.High) > own.High {
			b.store.SetHigh(now, h.log, own.HighFrom(s.High), out)
			b.wake(waitKey{kind: waitPartition, id: uint64(h.log)})
		}
	}
	if l := b.store.Log(h.log); s.Start > l.Start() && l.High() > l.Start() {
		b.store.DeleteBefore(now, h.log, min(s.Start, l.High()), out)
	}
}

// copied is told whenever a hosted log was written, synced, cut, or failed: a follower's next fetch may wait for it.
func (b *Broker) copied(now core.Now, h *hosted, c log.What, out *core.Out) {
	if h.follower == nil && !h.copying.pending {
		return
	}
	if h.follower != nil {
		if c == log.Truncated {
			h.follower.Cut()
		}
		b.placed(h, h.follower.Leader())
		b.wake(waitKey{kind: waitPartition, id: uint64(h.log)}) // readers of this copy
	}
	switch c {
	case log.Failed:
		b.unpend(h, true, out)
	case log.Truncated, log.Gone: // its writes ended before
		b.unpend(h, false, out)
	default: // a fetcher waits until all that it appended is safe
		if h.copying.pending && b.store.Log(h.log).Safe() >= h.copying.end {
			b.unpend(h, false, out)
		}
	}
	b.replicate(now, out)
}

// released is told when the log of a replica, which could not be appended to or cut, may be again: it follows on.
func (b *Broker) released(now core.Now, id log.LogID, out *core.Out) {
	if h := b.parts.at(id); h != nil && h.follower != nil {
		b.placed(h, h.follower.Leader())
		b.replicate(now, out)
	}
}

// unpend ends the wait of a fetcher for a log, and gives the frame of its last answer back when nothing refers into it any more.
func (b *Broker) unpend(h *hosted, lost bool, out *core.Out) {
	if !h.copying.pending {
		return
	}
	f := b.repl.fetcher(h.copying.waits)
	h.copying.pending = false
	f.lost = f.lost || lost
	if f.pending--; f.pending > 0 {
		return
	}
	if !f.lost && f.frame != nil {
		out.Release(f.frame)
	}
	f.frame = nil
}

func (h *hosted) name() string { return h.tp.Topic + "-" + strconv.Itoa(int(h.tp.Partition)) }
