package sim

import (
	"strconv"
	"strings"

	"klamm/checker"
	"klamm/core"
	"klamm/core/log"
	"klamm/core/quorum"
)

// This file copies what a broker holds, field by field, into the judge's own plain types, so that no helper is
// shared between what is judged and who judges.

// storeOwner is a broker that lets its logs be looked at between two Steps.
type storeOwner interface{ Store() *log.Store }

// waker is a broker that can look again at every request that waits, for nothing: that must change nothing.
type waker interface{ WakeAll() }

// watch keeps the last look at each of the logs of a broker.
type watch struct {
	last     []checker.Replica // by log id
	seen     []bool
	at       uint64
	ready    bool // this life serves
	loaded   bool // this life has begun to load logs
	wasReady bool // the last life had loaded its logs
	stopped  bool // it ended in good order
	asked    bool // it had been asked to: a crash after the marker was written, before the end, leaves it rightly
	forgot   bool // the metadata log was cut below what had been durable: only damage does that
	promised []promised
	handed   []handed
	cuts     []uint32 // of each log, at the last look
}

// look compares each log of the broker with what it was one look before. Costs are kept down by looking at the
// logs in turn, one for each step, and at all of them every now and then.
func (r *run) look(n *Node) {
	if w, can := n.Machine.(waker); can && r.cfg.Debug {
		w.WakeAll()
	}
	for ; r.cfg.Set != SetRepair && r.damage < len(n.Disk.Damage); r.damage++ { // in SetRepair what one disk loses another has: nothing is excused
		switch parts := strings.Split(n.Disk.Damage[r.damage].Path, "/"); len(parts) {
		case 3: // a file that all logs rest on
			r.oracle.Damaged("")
		case 4:
			r.oracle.Damaged(parts[2])
		}
	}
	b, ok := n.Machine.(storeOwner)
	if !ok {
		return
	}
	s := b.Store()
	if s == nil {
		return
	}
	ids := s.IDs()
	if len(ids) == 0 {
		return
	}
	w := &r.watch[n.at]
	if !s.Ready() {
		r.loading(n, s)
	}
	if r.cluster != nil {
		r.lookCluster(n.at, n)
	}
	if n.ready && !w.ready {
		r.nowReady(n, s)
	}
	if w.at++; w.at%64 == 0 {
		r.unused(n)
		if m, is := n.Machine.(member); is && r.cluster != nil {
			r.overdue(n.at, n, m)
		}
	}
	r.lookAt(n, s.Log(ids[w.at%uint64(len(ids))]))
}

func (r *run) lookAt(n *Node, l *log.Log) {
	if !l.Online() {
		if why := l.Offline(); why != "" && (r.cfg.Set == SetSync || r.cfg.Set == SetCached || r.cfg.Set == SetUnsynced) {
			r.w.Fail("I85", l.Partition().Topic+"-"+strconv.Itoa(int(l.Partition().Partition))+" is offline although no disk failed: "+why)
		}
		return
	}
	if undecided(n.Machine.(storeOwner).Store(), l) {
		return
	}
	w := &r.watch[n.at]
	i := int(l.ID())
	for len(w.last) <= i {
		w.last, w.seen = append(w.last, checker.Replica{}), append(w.seen, false)
	}
	p := l.Partition()
	cur := checker.Replica{
		Partition: checker.Partition{TopicID: p.Topic, Number: p.Partition}, Node: nodeID(n.at), Life: int(n.Life),
		Start: int64(l.Start()), High: int64(l.High()), Durable: int64(l.Durable()), Written: int64(l.Written()), End: int64(l.End()),
		LeaderEpoch: int32(l.Epoch()), Safe: int64(l.Safe()), Stable: int64(l.LastStable()),
	}
	if m, can := n.Machine.(member); can {
		cur.Leads = m.Leading(l.ID()) != nil
	}
	if r.oracle.Gaps { // there are transactions
		for _, p := range l.Producers() {
			if p.TxnStart >= 0 {
				cur.Open = append(cur.Open, int64(p.TxnStart))
			}
		}
	}
	if !r.cfg.Set.Replicate() {
		cur.Safe = cur.Durable // whatever the log itself calls safe
	}
	var prev *checker.Replica
	if w.seen[i] {
		prev = &w.last[i]
	}
	r.follows(n, l, prev, &cur)
	if (prev == nil || prev.Life != cur.Life) && !r.cfg.topology.many() {
		r.recovered(n, l)
	}
	if n.ready {
		r.settingsOf(l)
	}
	r.cleansNow(l)
	if r.cleaning != nil {
		m, can := n.Machine.(member)
		r.lookClean(n, l, !r.cfg.topology.many() || can && m.Leading(l.ID()) != nil)
	}
	for _, v := range checker.CheckReplica(prev, &cur) {
		r.w.Fail(v.Invariant, v.Subject+": "+v.Detail)
	}
	w.last[i], w.seen[i] = cur, true
}

// idOwner is a broker that says which member ids nobody has used yet.
type idOwner interface {
	OldestUnused() (deadline core.Time, of string)
}

// unusedSlack is how late a broker that was paused may be with what its timers say.
const unusedSlack = core.Second

// unused looks whether a member id that was given out is kept for longer than it may be.
func (r *run) unused(n *Node) {
	b, can := n.Machine.(idOwner)
	if !can || !n.ready {
		return
	}
	if at, of := b.OldestUnused(); at < n.clock(r.w.now).Mono-unusedSlack && n.wakeAt > r.w.now {
		r.w.Fail("I53", "group "+of+" still keeps a member id that was given out and not used in time")
	}
}

// promised judges that an answer told the truth (I26): the high watermark of the same life is above the offset.
func (r *run) promised(at core.TopicPartition, offset int64, node int, life uint32, what string) {
	n := r.w.Nodes[node]
	b, ok := n.Machine.(storeOwner)
	if !ok || n.Life != life || b.Store() == nil || r.cfg.Set == SetLying {
		return
	}
	id, there := b.Store().Find(at)
	if l := b.Store().Log(id); there && l.Online() && int64(l.High()) <= offset {
		r.w.Fail("I26", what+" was acknowledged at offset "+strconv.FormatInt(offset, 10)+", and the high watermark is "+strconv.FormatInt(int64(l.High()), 10))
	}
}

// files judges the segment files that a clean stop left.
func (r *run) files(n *Node) {
	for i := range r.oracle.logs {
		l := &r.oracle.logs[i]
		dir := r.logDir(n, l.at)
		segments := segmentsOf(n, dir)
		for _, name := range n.Disk.Names(dir) {
			if strings.HasSuffix(name, ".cleaned") || strings.HasSuffix(name, ".swap") {
				r.w.Fail("I73", dir+": a clean stop left "+name)
			}
		}
		for _, v := range checker.CheckSegments(checker.Partition{TopicID: l.at.Topic, Number: l.at.Partition}, segments) {
			r.w.Fail(v.Invariant, v.Subject+": "+v.Detail)
		}
		starts, _ := n.Disk.File(dirOf(dir) + "/log-start-offset-checkpoint")
		epochs, there := n.Disk.File(dir + "/leader-epoch-checkpoint")
		if !there || len(segments) == 0 {
			continue
		}
		start := max(pointIn(string(starts), l.at), segments[0].Base)
		for _, v := range checker.CheckEpochs(checker.Partition{TopicID: l.at.Topic, Number: l.at.Partition}, segments, epochs, start, l.compacted) {
			r.w.Fail(v.Invariant, v.Subject+": "+v.Detail)
		}
	}
}

// follows takes back what holds for a leader only: a follower is told a high watermark, and a new leader may know less than
// the last one did. While a log is being cut, what counts as durable may be lowered.
func (r *run) follows(n *Node, l *log.Log, prev, cur *checker.Replica) {
	_, ok := n.Machine.(member)
	if !r.cfg.topology.many() || !ok {
		return
	}
	w := &r.watch[n.at]
	for len(w.cuts) <= int(l.ID()) {
		w.cuts = append(w.cuts, 0)
	}
	cut := w.cuts[l.ID()] != l.Cuts()
	w.cuts[l.ID()] = l.Cuts()
	if cur.Leads && l.Partition() != quorum.Partition {
		if prev != nil && cut {
			cutBefore(prev, cur)
		}
		return
	}
	cur.Safe = cur.End
	if prev != nil {
		prev.LeaderEpoch = min(prev.LeaderEpoch, cur.LeaderEpoch)
	}
	if prev != nil && l.Partition() != quorum.Partition {
		prev.High = min(prev.High, cur.High)
	}
	if prev != nil && (l.Cutting() || cut) {
		prev.Durable = min(prev.Durable, cur.Durable)
	}
}

// cutBefore takes back from the last look at a leader's log what it lost since, when it was cut before this leadership began: it followed then.
// In one leadership a log loses nothing.
func cutBefore(prev, cur *checker.Replica) {
	if prev.Leads && prev.LeaderEpoch == cur.LeaderEpoch {
		return
	}
	prev.Durable, prev.High = min(prev.Durable, cur.Durable), min(prev.High, cur.High)
}
