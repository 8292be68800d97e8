package replica

import (
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// Follower is a replica's view of one partition while another broker leads it, during one leader epoch. It decides what to
// ask the leader for next and what an answer means; whoever owns the log acts on it.
//
// Where two logs differ is found by leader epochs, never by a high watermark (KIP-101, 279): the follower names
// the epoch of its last record, and a leader with another history says where that epoch, or the last before it that both know,
// ended (KIP-595). The follower cuts its log to where its own part of that epoch ends too, and asks again. Nothing of
// an answer that tells of a divergence is believed but that: its high watermark may be above where this log is right.
//
// The log itself is not kept here twice: it comes as Own with every call.
//
// Invariants: until counts while phase is resting; at most one of fetch, question and cut is under way.
type Follower struct {
	leader core.NodeID
	epoch  core.Epoch
	phase  phase
	until  core.Time
	fails  uint8 // answers in a row that were errors, or that the log did not take
}

type phase uint8

const (
	fetching phase = iota
	asking         // the leader is asked where its log starts, an epoch ended, or what it has at an offset
	cutting        // the log is being cut, or begins anew
	resting        // after an error
)

// Own is what a follower's own log says of itself.
type Own struct {
	Start, End, Safe, High core.Offset
	Last                   core.Epoch // of the last record below End; -1 if there is none, or none is known
	Held                   bool       // it cannot be appended to now, nor cut; whoever owns it sees when it can, and asks for a Place
}

// Place is where a fetch asks: all below Offset is safe here.
type Place struct {
	Offset core.Offset
	Last   core.Epoch // of the record below Offset, -1 if there is none
	Start  core.Offset
	Leads  core.Epoch // the leader epoch that the follower believes in
}

// Answer is what the leader said of one partition.
type Answer struct {
	Code         wire.Code
	High, Start  core.Offset
	Diverged     bool
	DivergeEpoch core.Epoch
	DivergeEnd   core.Offset
	Batches      []byte
}

// Act says what the owner of the log has to do.
type Act uint8

// The acts.
const (
	Fetch    Act = iota // ask for the next Place, when all that was appended is safe
	Append              // append Step.Batches; then say Appended, or Refused. High and Start are to be told to the log
	Cut                 // truncate to Step.At; then say Cut, or Refused
	Begin               // drop everything and begin anew at Step.At; then say Cut, or Refused
	AskStart            // ask the leader where its log starts; then say Starts
	AskEpoch            // ask the leader where Step.Epoch ended; then say Ended
	AskFirst            // ask the leader whether it has the batch at Step.At; then say Sure, or CutBack
	Rest                // nothing, until Next
)

// Step is what an answer comes to.
type Step struct {
	Act       Act
	At        core.Offset
	Epoch     core.Epoch
	Batches   []byte
	High      core.Offset // with Fetch and Append: the leader's high watermark, -1 if it told none
	Start     core.Offset // and its log start
	BelowHigh bool        // with Cut and Begin: records that were committed as far as this replica knew are dropped
	Bad       batch.Verdict
}

// The waits after an error: the first, doubled with each further one, and the longest.
const (
	restMin = 10 * core.Millisecond
	restMax = core.Second
)

// Follow begins to follow a leader. A log that has records and knows no epochs cannot tell where it diverges: it is cut to its
// high watermark first.
func Follow(leader core.NodeID, epoch core.Epoch, own Own) (*Follower, Step) {
	f := &Follower{leader: leader, epoch: epoch}
	if own.Last < 0 && own.End > own.Start && own.End > own.High {
		f.phase = cutting
		return f, Step{Act: Cut, At: max(own.High, own.Start)}
	}
	return f, Step{Act: Fetch, High: -1, Start: -1}
}

// Leader is who is followed.
func (f *Follower) Leader() core.NodeID { return f.leader }

// Epoch is the leader epoch in which it leads.
func (f *Follower) Epoch() core.Epoch { return f.epoch }

// Busy reports whether the log is being cut.
func (f *Follower) Busy() bool { return f.phase == cutting }

// Next is when a rest is over; core.Never if there is none.
func (f *Follower) Next() core.Time {
	if f.phase == resting {
		return f.until
	}
	return core.Never
}

// Place is what to ask for now; false if it is not the time. It is only asked for what is safe: the leader takes the offset
// as a promise. And only while the log can take it: a leader would send the same again and again.
func (f *Follower) Place(now core.Time, own Own) (Place, bool) {
	if f.phase == resting && now >= f.until {
		f.phase = fetching
	}
	if f.phase != fetching || own.Held || own.Safe < own.End {
		return Place{}, false
	}
	return Place{Offset: own.End, Last: own.Last, Start: own.Start, Leads: f.epoch}, true
}

// Answered takes the leader's answer to a fetch at an offset. ends is the log's own EpochEnd.
func (f *Follower) Answered(now core.Time, own Own, at core.Offset, a *Answer, ends func(core.Epoch) (core.Epoch, core.Offset)) Step {
	if f.phase != fetching || at != own.End {
		return Step{Act: Fetch, High: -1, Start: -1} // an answer to an earlier question
	}
	switch {
	case a.Code == wire.OffsetOutOfRange:
		f.phase = asking
		return Step{Act: AskStart}
	case a.Code != wire.None:
		return f.rest(now)
	case a.Diverged:
		return f.diverged(now, own, a.DivergeEpoch, a.DivergeEnd, ends)
	case len(a.Batches) == 0:
		f.fails = 0
		return Step{Act: Fetch, High: a.High, Start: a.Start}
	}
	good, bad := f.check(a.Batches, own.End)
	if len(good) == 0 && bad != batch.Good {
		s := f.rest(now)
		s.Bad = bad
		return s
	}
	return Step{Act: Append, Batches: good, High: a.High, Start: a.Start, Bad: bad}
}

// check cuts what a leader sent to its whole, sound batches. The last may be cut short by the limit of the fetch.
func (f *Follower) check(b []byte, end core.Offset) (good []byte, bad batch.Verdict) {
	n := 0
	for rest := b; len(rest) > 0; {
		v, r, is := batch.First(rest)
		switch {
		case is == batch.NoBatch:
			return b[:n:n], batch.Good
		case is != batch.Good:
			return b[:n:n], is
		case !v.CheckCRC():
			return b[:n:n], batch.BadCRC
		case v.LeaderEpoch() > f.epoch || v.LastOffset() < end: // of a leadership that this one cannot have seen, or what is here
			return b[:n:n], batch.BadOffset
		}
		n += v.Size()
		rest = r
	}
	return b, batch.Good
}

// diverged takes the leader's word that its log does not hold the follower's last record: of the leader's records, those
// of epoch or older ended at end. What this log holds of that epoch, or of the last before it, up to there, may be the same.
func (f *Follower) diverged(now core.Time, own Own, epoch core.Epoch, end core.Offset, ends func(core.Epoch) (core.Epoch, core.Offset)) Step {
	known, knownEnd := ends(epoch)
	to := min(knownEnd, end)
	if epoch < 0 || end < 0 || known < 0 || to >= own.End {
		return f.rest(now) // it contradicts itself
	}
	f.phase = cutting
	if to < own.Start {
		return Step{Act: Begin, At: to, BelowHigh: own.High > own.Start}
	}
	return Step{Act: Cut, At: to, BelowHigh: to < own.High}
}

// Starts takes the leader's log start, asked for because it called the follower's offset out of range. If it lies above, what
// came between is lost to this replica, and the log begins anew there. Else the follower is beyond the leader's end.
func (f *Follower) Starts(own Own, start core.Offset) Step {
	if f.phase != asking {
		return Step{Act: Fetch, High: -1, Start: -1}
	}
	if start > own.End || own.Start == own.End {
		f.phase = cutting
		return Step{Act: Begin, At: start}
	}
	if own.Last < 0 {
		return Step{Act: AskEpoch, Epoch: f.epoch} // where the leader's log ends
	}
	return Step{Act: AskEpoch, Epoch: own.Last}
}

// Ended takes the leader's answer to AskEpoch.
func (f *Follower) Ended(now core.Time, own Own, epoch core.Epoch, end core.Offset, ends func(core.Epoch) (core.Epoch, core.Offset)) Step {
	if f.phase != asking {
		return Step{Act: Fetch, High: -1, Start: -1}
	}
	if own.Last < 0 && end >= own.Start && end < own.End {
		f.phase = cutting
		return Step{Act: Cut, At: end, BelowHigh: end < own.High}
	}
	return f.diverged(now, own, epoch, end, ends)
}

// Lost says that a question or a fetch got no answer, or an error.
func (f *Follower) Lost(now core.Time) Step {
	if f.phase == cutting {
		return Step{Act: Rest}
	}
	return f.rest(now)
}

// Appended says that the log has taken what it was to.
func (f *Follower) Appended() { f.fails = 0 }

// Cut says that the log was cut, or begins anew.
func (f *Follower) Cut() {
	if f.phase == cutting {
		f.phase, f.fails = fetching, 0
	}
}

// Refused says that the log has not done what it was to. The follower rests, longer each time; but if nothing can be done with the log now, it
// is ready as soon as something can.
func (f *Follower) Refused(now core.Time, own Own) {
	f.phase = fetching
	if !own.Held {
		f.rest(now)
	}
}

func (f *Follower) rest(now core.Time) Step {
	f.phase = resting
	f.until = now.After(min(restMin<<min(f.fails, 7), restMax))
	f.fails = min(f.fails+1, 100)
	return Step{Act: Rest, High: -1, Start: -1}
}

// High is the high watermark that a follower may tell readers of: what the leader told, as far as this log goes. It does
// not fall, since what the leader of before told stands.
func (o Own) HighFrom(leader core.Offset) core.Offset { return max(o.High, min(leader, o.End)) }

// AskEnd asks where the leader's log ends, if it is the time; then say EndIs. A damaged replica does before it fetches.
func (f *Follower) AskEnd(now core.Time) Step {
	if f.phase == resting && now >= f.until {
		f.phase = fetching
	}
	if f.phase != fetching {
		return Step{Act: Fetch, High: -1, Start: -1}
	}
	f.phase = asking
	return Step{Act: AskEpoch, Epoch: f.epoch}
}

// EndIs takes the leader's answer to AskEnd. If its log ends where this one's damage begins, nothing that lies behind the damage
// is in its history, hence nothing of it was ever committed, and it is cut off.
func (f *Follower) EndIs(own Own, end core.Offset) Step {
	switch {
	case f.phase != asking:
		return Step{Act: Fetch, High: -1, Start: -1}
	case end < 0 || end > own.End:
		f.phase = fetching
		return Step{Act: Fetch, High: -1, Start: -1}
	}
	f.phase = cutting
	return Step{Act: Cut, At: own.End, BelowHigh: own.End < own.High}
}

// Doubts has the follower wait, with what it was sent, until it is known whether the leader has what is open in the follower's log; then say Sure or
// CutBack, or Lost.
func (f *Follower) Doubts() {
	if f.phase == fetching {
		f.phase = asking
	}
}

// Sure says that the leader has it: fetching goes on.
func (f *Follower) Sure() Step {
	if f.phase == asking {
		f.phase = fetching
	}
	return Step{Act: Fetch, High: -1, Start: -1}
}

// CutBack says that the leader has a transaction no more that is open in the follower's log from an offset on. anew: it begins below the leader's
// start, which to is, and nothing there can be told from what the leader has.
func (f *Follower) CutBack(to core.Offset, anew bool) Step {
	if f.phase = cutting; anew {
		return Step{Act: Begin, At: to}
	}
	return Step{Act: Cut, At: to}
}
