package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/replica"
)

// A damaged replica (see core/log/repair.go) leads nothing and serves nobody. It follows whoever leads, as a log that ends where the
// damage begins: so what it fetches with is the truth, the leader counts it with no more and takes it out of the in-sync set when
// it is late, and what it is sent is what it lacks. It is served again when it is whole.
//
// Where its repair may make unreadable what follows the damage, which was synced here, the replica is told to the controller as LOST first:
// when it is whole it is like one that begins anew, and not eligible to lead until it is in sync again.
//
// What may come between: another leader (the new follower asks from the damage on, and epochs decide, as for any other), a truncation
// (an answer that tells of a divergence cuts the log below the damage), retention (the leader's start rises above the damage: then what
// lies below is not wanted any more), a restart (the damage is found again), a deletion, a second damage.

// damagedOwn is what a log that is damaged, or about to be whole again, says of itself to a leader.
func damagedOwn(l *log.Log) replica.Own {
	at, hurt := l.Damaged()
	own := replica.Own{Start: l.Start(), End: at, Safe: at, High: l.High(), Last: l.EpochBelow(at)}
	if at > l.End() { // between its damage and its start it knows nothing
		own.Last = -1
	}
	own.Held = !hurt
	return own
}

// rotten takes in that the scrub has found something wrong in a log. If another replica can be asked for it, the log is
// taken out of service and repaired; so a leader gives its leadership away first. If nobody alive is in sync, or eligible, it serves on, since it has all the rest:
// who reads the damaged batch sees that it is, and when somebody else is in sync again the next pass finds it again.
func (b *Broker) rotten(now core.Now, h *hosted, c log.Change, out *core.Out) {
	x := b.img.Partition(h.tp.Topic, h.tp.Partition)
	holds := func(n core.NodeID) bool {
		k := b.img.Broker(n)
		return n != b.cfg.NodeID && k != nil && !k.Fenced
	}
	if x == nil || !holds(x.Leader) && !slices.ContainsFunc(x.ISR, holds) && !slices.ContainsFunc(x.ELR, holds) {
		out.Mark("broker.damaged-alone")
		b.note(now, core.Error, h.name()+": "+c.Note+", and no other replica is in sync that could be asked for it: it cannot be read", out)
		return
	}
	b.store.SuspectFrom(now, h.log, c.Offset, out)
}

// failed takes in that a log is offline, or damaged.
func (b *Broker) failed(now core.Now, h *hosted, c log.Change, out *core.Out) {
	if !h.open && !h.gone && h.why == "" {
		b.parts.count(h, -1)
		b.wake(waitKey{kind: waitImage})
	}
	if h.why == "" {
		b.counts.offlineLogs++
	}
	h.why = c.Note
	b.checkDir(h)
	b.copied(now, h, c.What, out)
	if _, hurt := b.store.Log(h.log).Damaged(); hurt && !h.gone {
		h.open = true
		b.stopFollowing(h) // what it was about to do with the log is over
	}
	b.takeRole(now, h, out)
}

// mended takes in that a log may be whole again.
func (b *Broker) mended(now core.Now, h *hosted, out *core.Out) {
	if l := b.store.Log(h.log); h.why == "" || !l.Online() || l.Offline() != "" {
		return
	}
	out.Mark("broker.replica-repaired")
	h.why, h.losing = "", false
	b.stopFollowing(h)
	b.takeRole(now, h, out)
	b.checkDir(h)
}

// askEnd has a damaged log ask where its leader's log ends, before it fetches: if that is where the damage begins, what is behind the
// damage here is in no history, and goes. An answer to a fetch may never come to say so, since a session names only partitions of which
// there is news (KIP-227), and a leader that has nothing to send has none.
func (b *Broker) askEnd(now core.Now, h *hosted) {
	if _, hurt := b.store.Log(h.log).Damaged(); !hurt || h.follower == nil {
		return
	}
	if step := h.follower.AskEnd(now.Mono); step.Act == replica.AskEpoch {
		f := b.repl.fetcher(h.follower.Leader())
		f.questions = append(f.questions, question{log: h.log, act: step.Act, epoch: step.Epoch, leads: h.follower.Epoch(), whole: true, end: b.own(h).End})
	}
}

// awaitsLoss reports whether the repair of a log has to wait. What is written over its damage may make unreadable what follows: records
// that were synced here, and because of which this replica may be eligible to lead. So before anything is written the metadata have the
// replica as one that has lost its records; a crash in the midst of it, after which the log looks like one with a torn end, changes nothing about that.
func (b *Broker) awaitsLoss(h *hosted, batches []byte, out *core.Out) bool {
	if !b.store.Log(h.log).Displaces(batches) || b.img.Feature("metadata.version") < levelDirectories {
		return false
	}
	h.losing = true
	if !b.lossUntold(h) {
		return false
	}
	out.Mark("broker.damaged-loses")
	b.checkDir(h)
	return true
}

// lossUntold reports whether the metadata do not have yet what awaitsLoss waits for. Until they do the leader is asked for nothing.
func (b *Broker) lossUntold(h *hosted) bool {
	return h.losing && b.img.Feature("metadata.version") >= levelDirectories && b.knownAs(h) != dirLost
}

// knownAs is the directory of a replica as the metadata have it; zero if they have none.
func (b *Broker) knownAs(h *hosted) core.TopicID {
	if x := b.img.Partition(h.tp.Topic, h.tp.Partition); x != nil {
		return b.directoryIn(x)
	}
	return core.TopicID{}
}

// raiseStart has a damaged log begin where its leader's does, if that is above the damage.
func (b *Broker) raiseStart(now core.Now, h *hosted, to core.Offset, out *core.Out) bool {
	if damage, _ := b.store.Log(h.log).Damaged(); to <= damage || !b.store.RaiseStart(h.log, to, out) {
		return false
	}
	b.note(now, core.Warn, h.name()+": its leader's log starts at offset "+strconv.FormatInt(int64(to), 10)+", above the damage: so does this copy now", out)
	return true
}

// sentTo is where the batches began that a follower was sent last, and how often it was sent them.
type sentTo struct {
	node  core.NodeID
	at    core.Offset
	times uint8
}

// sentTimesMax is how often a follower asks for the same batches before their segment is checked: answers get lost, but not all.
const sentTimesMax = 3

// sentAgain has a segment checked whose batches a follower asks for again and again: it may not be able to take them, since
// what is read is sent as it is.
func (b *Broker) sentAgain(node core.NodeID, p *fetchPart) {
	h := b.parts.at(p.log)
	if h == nil || p.slice.Len == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(h.sent, node, func(s sentTo, n core.NodeID) int { return int(s.node) - int(n) })
	if !found {
		if len(h.sent) >= sentToMax {
			h.sent = h.sent[:0]
			i = 0
		}
		h.sent = slices.Insert(h.sent, i, sentTo{node: node, at: -1})
	}
	s := &h.sent[i]
	if s.at != p.want.Offset {
		*s = sentTo{node: node, at: p.want.Offset}
	}
	if s.times++; s.times >= sentTimesMax {
		s.times = 0
		b.repl.doubts = append(b.repl.doubts, doubted{h.log, p.want.Offset})
	}
}

// sentToMax bounds the followers of one partition that are kept in mind.
const sentToMax = 64

// doubted is a place of a log that is to be checked.
type doubted struct {
	log log.LogID
	at  core.Offset
}

// checkDoubts has the logs checked where there is reason to.
func (b *Broker) checkDoubts(now core.Now, out *core.Out) (went bool) {
	for _, d := range b.repl.doubts {
		out.Mark("broker.replica-sent-again")
		b.store.Check(now, d.log, d.at, out)
		went = true
	}
	b.repl.doubts = b.repl.doubts[:0]
	return went
}

// reportRepair tells of the scrub and of repairs.
func (b *Broker) reportRepair(m *reporter) {
	if b.store == nil {
		return
	}
	damaged := 0
	for i := range b.parts.byLog {
		if h := &b.parts.byLog[i]; h.used {
			if _, hurt := b.store.Log(h.log).Damaged(); hurt {
				damaged++
			}
		}
	}
	s, r := b.store.Scrub(), b.store.Repairs()
	m.add(core.Counter, "klamm_log_scrub_bytes_total", "bytes of logs that the scrub has checked", s.Bytes)
	m.add(core.Counter, "klamm_log_scrub_passes_total", "times that the scrub has been through all logs", s.Passes)
	m.add(core.Gauge, "klamm_log_scrub_pass_bytes", "bytes checked in the pass under way, or the last one", s.Pass)
	m.add(core.Counter, "klamm_log_scrub_suspects_total", "places that the scrub has found bad", s.Suspects)
	m.add(core.Counter, "klamm_log_scrub_unread_total", "segments that the scrub could not read", s.Unread)
	m.add(core.Gauge, "klamm_log_damaged", "logs that wait for what other replicas have", int64(damaged))
	m.add(core.Counter, "klamm_log_damage_found_total", "damaged places found in logs", r.Found)
	m.add(core.Counter, "klamm_log_repaired_batches_total", "batches written over damage", r.Batches)
	m.add(core.Counter, "klamm_log_repaired_bytes_total", "bytes of them", r.Bytes)
	m.add(core.Counter, "klamm_log_healed_total", "logs that became whole again", r.Healed)
}

// Directory ids that say something of a single replica. Kafka reserves the first hundred; see the controller's.
var (
	dirLost    = core.TopicID{15: 2}  // Kafka's: whatever was in it is gone, or may be when its log is whole again
	dirDamaged = core.TopicID{15: 90} // the log is damaged, or cannot be written: this replica may not lead, nor is it in sync
)

// damagedBefore has a log checked whole that the metadata know as damaged: this life has only looked at its end, or not even that. Until it has
// been told otherwise the controller keeps it out of the in-sync set.
func (b *Broker) damagedBefore(now core.Now, h *hosted, out *core.Out) bool {
	known := b.knownAs(h)
	if h.anew || h.offline() || known != dirDamaged && known != dirLost || !b.store.Log(h.log).Online() {
		return false
	}
	out.Mark("broker.damaged-before")
	b.store.SuspectFrom(now, h.log, 0, out)
	h.why = b.store.Log(h.log).Offline()
	return h.offline()
}
