package sim

import (
	"fmt"
	"slices"

	"klamm/checker"
	"klamm/core"
)

// Oracle judges a run while it goes on, from what clients report alone: plain numbers and names. It keeps for
// each partition which record stands at which offset, as answers and reads said, and for each producer what
// became of each record. Rules carry the ids of the table of invariants.
//
// Invariants: ids[o] is the record that was acknowledged or read at offset o, plus one; a record that was read
// is marked seen at its producer.
type Oracle struct {
	// Rewritable: unsynced records may be lost with the run's faults, so an offset may come to hold another one.
	Rewritable bool
	// LeaderOnly: a record that its leader alone has acknowledged (acks=1) may be lost when another broker leads.
	LeaderOnly bool
	// Headless: the disk forgets what it called durable, so a log's first file may be gone. Nobody can know that there was
	// one: a checkpoint says where a log starts only if that is not where its first file begins, so any beginning is sound.
	Headless   bool
	Gaps       bool                                                                // markers of transactions take offsets that nobody is given
	Rule, Text string                                                              // the first broken rule
	Forgetful  bool                                                                // the metadata's own log was damaged: what it said of topics may be lost
	Writer     func(at core.TopicPartition, offset int64) (node int32, known bool) // who led when the record at an offset was taken
	OnSkip     func(reader int, at core.TopicPartition, from int64)                // a reader went past an offset of a damaged log
	rec        *Recording
	Gone       uint32 // a bit for each group that has no members at all
	Acked      int
	Read       int
	polls      []poll
	records    []got
	bounds     []bound
	topicOps   []checker.TopicOp
	topicNames []string // of topicOps
	logs       []logOf
	index      map[core.TopicPartition]int // look-up only
	senders    []sender
	readers    []reader
	groups     int
}

// logOf is what is known of one partition.
type logOf struct {
	at        core.TopicPartition
	removable bool // retention or DeleteRecords may remove from its front
	compacted bool // the cleaner may remove from anywhere
	passes    []checker.Pass
	begun     core.Time // when the audit came here first; 0: it has not
	damaged   bool      // a fault destroyed synced bytes of it
	anew      []anew    // where copies of it began anew, since the leader's log started above all that they had
	ids       []uint64
	read      []uint8 // by offset: a bit for each group, the highest one for the audit
	start     int64   // greatest log start that was answered
	end       int64   // greatest end that was answered
	audited   int64   // the end that the audit came to, or -1
}

// anew is a copy that began anew.
type anew struct {
	offset int64
	node   int32
}

// sender is one life of a producer.
type sender struct {
	idempotent bool
	acks       int8     // -1 all, 0, 1
	topic      []string // of each record
	sent       []sent
}

type sent struct {
	log            int32 // where it was acknowledged or read, or, if neither, was to go; -1 if nobody knows
	offset         int64 // there; -1
	fate           fate
	seen           bool
	tombstone      bool
	key            int32 // of a record of a compacted topic, from 1; 0: it has none
	invoke, settle core.Time
}

// stands is where a producer's newest record so far was found.
type stands struct {
	n  uint32
	at int64
}

// poll is what one reader was given of one log at once: records[first:first+count].
type poll struct {
	log, reader  int32
	first, count int32
	from         int64 // the position before
	at           core.Time
	fresh        bool
}

type got struct {
	offset int64
	id     uint64
}

type bound struct {
	log        int32
	earliest   bool
	offset     int64
	asked, got core.Time
}

type fate uint8

const (
	pending fate = iota
	did
	didNot
	mayHave
)

// reader is one reader's position in each log, -1 if anything may come next.
type reader struct {
	group int // -1: reads by offset; else the bit in logOf.read
	next  []int64
}

const auditBit = 7

// NewOracle makes an oracle that knows nothing.
func NewOracle() *Oracle { return &Oracle{index: map[core.TopicPartition]int{}} }

func (o *Oracle) fail(rule, format string, args ...any) {
	if o.Rule == "" {
		o.Rule, o.Text = rule, fmt.Sprintf(format, args...)
	}
}

// Partition makes a partition known.
func (o *Oracle) Partition(at core.TopicPartition, removable bool) {
	o.index[at] = len(o.logs)
	o.logs = append(o.logs, logOf{at: at, removable: removable, audited: -1})
}

// Sender makes a new producer known and returns its number.
func (o *Oracle) Sender(idempotent bool, acks int8) int {
	o.senders = append(o.senders, sender{idempotent: idempotent, acks: acks})
	return len(o.senders) - 1
}

// Sent says that a producer was given its next record, and returns its id.
func (o *Oracle) Sent(producer int, topic string, now core.Time) uint64 {
	s := &o.senders[producer]
	s.sent = append(s.sent, sent{log: -1, offset: -1, invoke: now})
	s.topic = append(s.topic, topic)
	o.rec.sent(uint64(producer)<<32|uint64(len(s.sent)-1), topic)
	return uint64(producer)<<32 | uint64(len(s.sent)-1)
}

// Resolved says what a producer was told of a record.
func (o *Oracle) Resolved(id uint64, at core.TopicPartition, offset int64, f fate, now core.Time) {
	s := &o.senders[id>>32]
	r := &s.sent[uint32(id)]
	if r.fate != pending {
		o.fail("I88", "record %s has two results", name(id))
		return
	}
	r.fate, r.settle = f, now
	o.rec.resolved(id, at, offset, f)
	if f == didNot && r.seen {
		o.fail("I27", "record %s was refused for good and yet it was read", name(id))
	}
	i, known := o.index[at]
	if !known {
		return
	}
	if r.log < 0 {
		r.log = int32(i)
	}
	if f != did || offset < 0 {
		return
	}
	o.Acked++
	if s.acks == 1 && o.LeaderOnly {
		return // it stands there only if somebody reads it there
	}
	if r.seen && r.offset != offset && s.idempotent && !o.Rewritable && !o.logs[i].damaged && r.log == int32(i) && !o.forgotten(i, id, r.offset, offset) {
		o.fail("I57", "record %s was read at %d and acknowledged at %d", name(id), r.offset, offset)
	}
	r.log, r.offset = int32(i), offset
	o.place(i, offset, id, "acknowledged")
}

// Refused says that a producer was refused as out of order what it was to send next, all before that being acknowledged. Who forgets
// what a producer has sent may take it a second time; and a transaction is lost for nothing. A copy that began anew above all that the
// producer has sent does not know it.
func (o *Oracle) Refused(at core.TopicPartition, who string) {
	if i, known := o.index[at]; known && !o.Rewritable && !o.logs[i].damaged && len(o.logs[i].anew) == 0 {
		o.fail("I56", "%s-%d: what %s was to send next was refused as out of order", at.Topic, at.Partition, who)
	}
}

// Anew says that a node's copy of a partition began anew at an offset, since the log that it copies had no record below.
func (o *Oracle) Anew(at core.TopicPartition, offset int64, node int32) {
	i, known := o.index[at]
	if x := (anew{offset, node}); known && o.logs[i].removable && !slices.Contains(o.logs[i].anew, x) {
		o.logs[i].anew = append(o.logs[i].anew, x)
	}
}

// forgotten reports whether whoever took a record at an offset, though it or a later one of its producer stood at first already,
// may never have heard of the producer: a copy that begins anew learns of producers from the records that it copies, and above
// first there was none of this one's (KIP-360 lets a producer that is not known go on from any sequence). If a later record of it
// stands in between, it was known. Nor is anybody else excused but the node whose copy that is: it must have led when it took the record.
// From then on the producer is judged as one that is not idempotent.
func (o *Oracle) forgotten(i int, id uint64, first, again int64) bool {
	s := &o.senders[id>>32]
	was := slices.ContainsFunc(o.logs[i].anew, func(x anew) bool {
		if node, known := o.writer(i, again); known && node != x.node {
			return false
		}
		start := x.offset
		return first < start && start <= again && !slices.ContainsFunc(s.sent[uint32(id)+1:], func(x sent) bool {
			return x.log == int32(i) && start <= x.offset && x.offset < again
		})
	})
	s.idempotent = s.idempotent && !was
	return was
}

// writer is the node that led when the record at an offset was taken; false if nobody can tell.
func (o *Oracle) writer(i int, offset int64) (node int32, known bool) {
	if o.Writer == nil {
		return -1, false
	}
	return o.Writer(o.logs[i].at, offset)
}

func name(id uint64) string { return fmt.Sprintf("p%d.%d", id>>32, uint32(id)) }

// place notes that a record stands at an offset.
func (o *Oracle) place(i int, offset int64, id uint64, how string) {
	l := &o.logs[i]
	if offset < 0 || offset > 1<<24 {
		o.fail("I29", "%s-%d: record %s %s at offset %d", l.at.Topic, l.at.Partition, name(id), how, offset)
		return
	}
	for int64(len(l.ids)) <= offset {
		l.ids, l.read = append(l.ids, 0), append(l.read, 0)
	}
	if was := l.ids[offset]; was != 0 && was != id+1 && !o.Rewritable && !l.damaged {
		o.fail("I76", "%s-%d offset %d: %s is %s there, but it was %s", l.at.Topic, l.at.Partition, offset, name(id), how, name(was-1))
		return
	}
	l.ids[offset] = id + 1
}

// Reader makes a reader known; group is -1 for one that reads by offset, auditBit for an audit.
func (o *Oracle) Reader(group int) int {
	next := make([]int64, len(o.logs))
	for i := range next {
		next[i] = -1
	}
	o.readers = append(o.readers, reader{group, next})
	return len(o.readers) - 1
}

// Repositioned says that a reader's next record of a partition may be any.
func (o *Oracle) Repositioned(r int, at core.TopicPartition) {
	if i, ok := o.index[at]; ok {
		o.readers[r].next[i] = -1
	}
}

// Got says that a reader was given a record.
func (o *Oracle) Got(r int, at core.TopicPartition, offset int64, id uint64, now core.Time) {
	o.Read++
	o.rec.got(at, offset, id)
	if id>>32 >= uint64(len(o.senders)) || uint64(uint32(id)) >= uint64(len(o.senders[id>>32].sent)) {
		o.fail("I06", "%s-%d offset %d holds record %s, which nobody sent", at.Topic, at.Partition, offset, name(id))
		return
	}
	s := &o.senders[id>>32]
	if t := s.topic[uint32(id)]; t != at.Topic {
		o.fail("I91", "%s-%d offset %d holds record %s, which was sent to %s", at.Topic, at.Partition, offset, name(id), t)
		return
	}
	rec := &s.sent[uint32(id)]
	if rec.fate == didNot {
		o.fail("I27", "record %s was refused for good and yet it is read at %s-%d offset %d", name(id), at.Topic, at.Partition, offset)
	}
	i, known := o.index[at]
	if !known {
		return
	}
	if rec.seen && rec.offset != offset && s.idempotent && !o.Rewritable && !o.logs[i].damaged && !o.forgotten(i, id, min(rec.offset, offset), max(rec.offset, offset)) {
		o.fail("I77", "%s-%d: record %s of an idempotent producer is read at offset %d and at %d", at.Topic, at.Partition, name(id), rec.offset, offset)
	}
	if !rec.seen && rec.offset < 0 {
		rec.log, rec.offset = int32(i), offset
	}
	o.poll(i, r, offset, id, now)
	rec.seen = true
	o.place(i, offset, id, "read")
	l, p := &o.logs[i], &o.readers[r]
	if next := p.next[i]; next >= 0 && offset != next && !(offset > next && (l.removable || l.compacted || o.Gaps && l.empty(next, offset))) && !o.Rewritable && !l.damaged {
		o.fail("I78", "%s-%d: a reader at offset %d was given %d", at.Topic, at.Partition, next, offset)
	}
	if next := p.next[i]; next >= 0 && offset > next && l.damaged && o.OnSkip != nil {
		o.OnSkip(r, at, next)
	} else if next >= 0 && offset > next && l.compacted {
		l.passes = append(l.passes, checker.Pass{Consumer: r, From: next, To: offset, At: int64(now)})
	}
	p.next[i] = offset + 1
	if p.group == auditBit && l.begun == 0 {
		l.begun = now
	}
	if p.group >= 0 && offset < int64(len(l.read)) {
		l.read[offset] |= 1 << p.group
	}
}

// poll adds a record to what a reader got of a log at one instant.
func (o *Oracle) poll(i, r int, offset int64, id uint64, now core.Time) {
	fresh := o.readers[r].next[i] < 0
	if n := len(o.polls); n == 0 || fresh || o.polls[n-1].log != int32(i) || o.polls[n-1].reader != int32(r) || o.polls[n-1].at != now {
		from := offset
		if o.Gaps && !fresh {
			from = min(from, o.readers[r].next[i])
		}
		o.polls = append(o.polls, poll{log: int32(i), reader: int32(r), first: int32(len(o.records)), from: from, at: now, fresh: fresh})
	}
	o.polls[len(o.polls)-1].count++
	o.records = append(o.records, got{offset, id})
}

// empty reports whether no record is known to stand in a range of offsets.
func (l *logOf) empty(from, to int64) bool {
	for off := from; off < to && off < int64(len(l.ids)); off++ {
		if l.ids[off] != 0 {
			return false
		}
	}
	return true
}

// Bounds says what the broker answered for a partition's log start and end.
func (o *Oracle) Bounds(at core.TopicPartition, start, end int64, asked, now core.Time) {
	i, ok := o.index[at]
	if !ok {
		return
	}
	o.bounds = append(o.bounds, bound{int32(i), start >= 0, max(start, end), asked, now})
	l := &o.logs[i]
	if start >= 0 {
		if start < l.start && !o.Rewritable && !l.damaged {
			o.fail("I71", "%s-%d: log start fell from %d to %d", at.Topic, at.Partition, l.start, start)
		}
		l.start = max(l.start, start)
		if start > 0 && !l.removable && !l.damaged && !o.Headless {
			o.fail("I71", "%s-%d: log start is %d, and nothing may remove from it", at.Topic, at.Partition, start)
		}
	}
	if end >= 0 {
		if end < l.end && !o.Rewritable && !l.damaged {
			o.fail("I17", "%s-%d: the end fell from %d to %d", at.Topic, at.Partition, l.end, end)
		}
		l.end = max(l.end, end)
	}
}

// known is one more than the greatest offset of a partition that anybody was told of.
func (o *Oracle) known(at core.TopicPartition) int64 {
	if i, ok := o.index[at]; ok {
		return int64(len(o.logs[i].ids))
	}
	return 0
}

// Damaged says that synced bytes of a partition's directory were destroyed; no name means bytes that all rest on.
func (o *Oracle) Damaged(topicDir string) {
	for i := range o.logs {
		if l := &o.logs[i]; topicDir == "" || fmt.Sprintf("%s-%d", l.at.Topic, l.at.Partition) == topicDir {
			l.damaged = true
		}
	}
}

// Audited says that the audit stands at the end of a partition.
func (o *Oracle) Audited(at core.TopicPartition, end int64) {
	if i, ok := o.index[at]; ok {
		o.logs[i].audited = end
	}
}

// unread names a log that goes on beyond the end that the audit came to; empty if there is none. ends is the end of the leader's log, -1 if
// there is none. An answer to a fetch tells the high watermark of when it was given. A new leader's is what it last heard as a follower,
// until all members of the in-sync set have fetched what they have; an answer of before that, on its way while they do, has an audit
// that believes it stop short of records that nobody has lost.
func (o *Oracle) unread(ends func(at core.TopicPartition) int64) string {
	for i := range o.logs {
		l := &o.logs[i]
		if end := ends(l.at); !l.damaged && l.audited < end {
			return fmt.Sprintf("the audit came to the end of %s-%d at %d, and the log of its leader ends at %d", l.at.Topic, l.at.Partition, l.audited, end)
		}
	}
	return ""
}

// Final compares what was promised with what the audit read, and with what each of the groups read.
func (o *Oracle) Final(groups int) {
	if o.Rewritable {
		return
	}
	for i := range o.logs {
		l := &o.logs[i]
		if l.damaged {
			continue
		}
		first := o.firstKept(l)
		last := make(map[uint64]stands)
		for off := range l.ids {
			if l.ids[off] == 0 {
				continue
			}
			id := l.ids[off] - 1
			o.finalRecord(l, int64(off), id, first, groups)
			if s := &o.senders[id>>32]; s.idempotent {
				if was, ok := last[id>>32]; ok && uint32(id) <= was.n && !o.forgotten(i, id, was.at, int64(off)) {
					o.fail("I79", "%s-%d offset %d: record %s stands behind p%d.%d of the same producer", l.at.Topic, l.at.Partition, off, name(id), id>>32, was.n)
				}
				last[id>>32] = stands{uint32(id), int64(off)}
			}
		}
	}
}

// firstKept is the offset from which on the audit must have found everything. What it found of a removable log ends at
// the log's end: removal takes from the front only, perhaps everything, so a promise beyond that end is broken. Retention
// may have moved the start while the audit was reading, so there what is kept is the last stretch without a gap.
func (o *Oracle) firstKept(l *logOf) (first int64) {
	if !l.removable {
		return 0
	}
	for first = max(0, l.audited); first > 0 && first <= int64(len(l.read)) && l.read[first-1]>>auditBit == 1; first-- {
	}
	return first
}

func (o *Oracle) finalRecord(l *logOf, off int64, id uint64, first int64, groups int) {
	s := &o.senders[id>>32]
	rec := &s.sent[uint32(id)]
	if off < first {
		return
	}
	if l.read[off]>>auditBit == 0 && l.compacted {
		return // compactedLog
	}
	if l.read[off]>>auditBit == 0 {
		if rec.fate == did && s.acks != 0 {
			o.fail("I25", "%s-%d offset %d: acknowledged record %s is lost", l.at.Topic, l.at.Partition, off, name(id))
		} else if rec.seen {
			o.fail("I29", "%s-%d offset %d: record %s was read and is lost", l.at.Topic, l.at.Partition, off, name(id))
		}
		return
	}
	for g := range groups {
		if l.read[off]>>g&1 == 0 && o.Gone>>g&1 == 0 && !l.removable && !l.compacted {
			o.fail("I80", "%s-%d offset %d: group %d never read record %s", l.at.Topic, l.at.Partition, off, g, name(id))
		}
	}
}

// reserve makes room for what Logs will append.
func (o *Oracle) reserve(logs []checker.Log) {
	sends, polls := make([]int, len(logs)), make([]int, len(logs))
	for i := range o.senders {
		for j := range o.senders[i].sent {
			if to := o.senders[i].sent[j].log; to >= 0 {
				sends[to]++
			}
		}
	}
	for i := range o.polls {
		polls[o.polls[i].log]++
	}
	for i := range logs {
		logs[i].Sends, logs[i].Polls = make([]checker.Send, 0, sends[i]), make([]checker.Poll, 0, polls[i])
	}
}

func (o *Oracle) sentCount() (n int) {
	for i := range o.senders {
		n += len(o.senders[i].sent)
	}
	return n
}

// Logs is the history of every partition in the judge's own words. Records that nobody saw and that are known to no
// partition are left out.
func (o *Oracle) Logs() []checker.Log {
	logs := make([]checker.Log, len(o.logs))
	kept := make([]int64, len(o.logs))
	for i := range logs {
		l := &o.logs[i]
		kept[i] = o.firstKept(l)
		logs[i] = checker.Log{Partition: checker.Partition{TopicID: l.at.Topic, Number: l.at.Partition}, Retains: !l.removable, Compacted: l.compacted, Lossy: o.Rewritable || l.damaged}
	}
	o.reserve(logs)
	values := make([]checker.Value, 0, o.sentCount())
	for n := range o.senders {
		s := &o.senders[n]
		for seq := range s.sent {
			r := &s.sent[seq]
			if r.log < 0 {
				continue
			}
			l := &logs[r.log]
			values = append(values, checker.Value(uint64(n)<<32|uint64(seq))+1)
			out := checker.Send{Partition: l.Partition, Producer: n, Invoke: int64(r.invoke), Return: int64(r.settle), Outcome: checker.OK, Acks: s.acks,
				Idempotent: s.idempotent, Values: values[len(values)-1 : len(values) : len(values)], Base: r.offset}
			if r.fate == didNot {
				out.Outcome = checker.Failed
			} else if r.fate != did {
				out.Outcome, out.Return = checker.Unknown, checker.Open
			}
			if out.Outcome == checker.OK && r.offset < 0 {
				out.Acks = 0
			}
			l.Sends = append(l.Sends, out)
		}
	}
	records := make([]checker.Record, 0, len(o.records))
	for _, p := range o.polls {
		l := &logs[p.log]
		list := o.records[p.first : p.first+p.count]
		from := len(records)
		out := checker.Poll{Partition: l.Partition, Consumer: int(p.reader), Invoke: int64(p.at), Return: int64(p.at), From: p.from,
			Next: list[len(list)-1].offset + 1, High: -1, Start: -1, Fresh: p.fresh || o.logs[p.log].removable || o.logs[p.log].compacted || o.logs[p.log].damaged}
		for _, g := range list {
			records = append(records, checker.Record{Offset: g.offset, Value: checker.Value(g.id) + 1})
			if o.readers[p.reader].group == auditBit && g.offset >= kept[p.log] {
				l.Final, l.FinalRead = append(l.Final, checker.Record{Offset: g.offset, Value: checker.Value(g.id) + 1}), true
			}
		}
		out.Records = records[from:len(records):len(records)]
		l.Polls = append(l.Polls, out)
	}
	for _, b := range o.bounds {
		l := &logs[b.log]
		l.Bounds = append(l.Bounds, checker.Bound{Partition: l.Partition, Invoke: int64(b.asked), Return: int64(b.got), Earliest: b.earliest, Offset: b.offset})
	}
	for i := range logs {
		if l := &logs[i]; len(l.Final) > 0 {
			l.FinalStart, l.FinalEnd = kept[i], l.Final[len(l.Final)-1].Offset+1
		}
	}
	return logs
}

// Judge hands the histories to the checker and takes its first verdict. complete says that the audit came to its end.
func (o *Oracle) Judge(complete bool) {
	logs := o.Logs()
	for i := range logs {
		logs[i].FinalRead = logs[i].FinalRead && complete
		for _, v := range checker.CheckLog(&logs[i]) {
			o.fail(v.Invariant, "%s: %s", v.Subject, v.Detail)
		}
	}
	var names []string
	for _, name := range o.topicNames {
		if o.Forgetful || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		var list []checker.TopicOp
		for i, op := range o.topicOps {
			if o.topicNames[i] == name {
				list = append(list, op)
			}
		}
		for _, v := range checker.CheckTopic(name, list) {
			o.rec.topicHistory(v.Subject, list)
			o.fail(v.Invariant, "%s: %s", v.Subject, v.Detail)
		}
	}
}

// Topic notes an operation on a topic that comes and goes.
func (o *Oracle) Topic(name string, op checker.TopicOp) {
	o.topicNames, o.topicOps = append(o.topicNames, name), append(o.topicOps, op)
}

// Pending is how many records of a producer have no result.
func (o *Oracle) Pending(producer int) (n int) {
	for _, r := range o.senders[producer].sent {
		if r.fate == pending {
			n++
		}
	}
	return n
}
