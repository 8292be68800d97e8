package broker

import (
	"strconv"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/replica"
)

// A damaged replica (see core/log/repair.go) leads nothing and serves nobody. It follows whoever leads, as a log that ends where the
// damage begins: so what it fetches with is the truth, the leader counts it with no more and takes it out of the in-sync set when
// it is late, and what it is sent is what it lacks. It is served again when it is whole.
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
	if !hurt {
		own.Safe = at - 1 // nothing is asked now
	}
	return own
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
	if h.why == "" || !b.store.Log(h.log).Online() {
		return
	}
	out.Mark("broker.replica-repaired")
	h.why = ""
	b.stopFollowing(h)
	b.takeRole(now, h, out)
}

// askWhole is called when the leader had nothing to send for the damage: if its log ends there, what is behind the damage here is in
// no history, and goes.
func (b *Broker) askWhole(h *hosted, damage core.Offset, s replica.Step) {
	if s.High < 0 || s.High > damage {
		return
	}
	if step := h.follower.AskEnd(); step.Act == replica.AskEpoch {
		f := b.repl.fetcher(h.follower.Leader())
		f.questions = append(f.questions, question{log: h.log, act: step.Act, epoch: step.Epoch, leads: h.follower.Epoch(), whole: true})
	}
}

// raiseStart has a damaged log begin where its leader's does, if that is above the damage.
func (b *Broker) raiseStart(now core.Now, h *hosted, to core.Offset, out *core.Out) bool {
	if damage, _ := b.store.Log(h.log).Damaged(); to <= damage || !b.store.RaiseStart(h.log, to, out) {
		return false
	}
	b.note(now, core.Warn, h.name()+": its leader's log starts at offset "+strconv.FormatInt(int64(to), 10)+", above the damage: so does this copy now", out)
	return true
}
