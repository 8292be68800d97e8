package broker

import (
	"cmp"
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/replica"
	"klamm/core/wire"
)

// move is a replica of this broker on its way to another of its log directories (KIP-113): a future log there follows the replica's
// log, as a follower follows its leader, and takes its place in the end.
//
//	waiting   for its turn, or for the replica's log to be online
//	making    the future log is being made or loaded
//	copying   it follows
//	telling   it has caught up once: the controller is told that the replica is in the new directory (KIP-858), the copying goes on
//	swapping  the metadata say so and little is missing: the log takes no appends until the future log has its place
//	leaving   it was called off: the controller is told of the old directory again, and the future log goes when the metadata say so
//
// What may come between any two: the replica's log is cut, restarted, led or followed in another epoch: the future log finds that out as
// any follower does. It fails: the move is called off. It is deleted: the move ends. The future log fails: the move is called off. A client wants
// another directory: likewise, and a new move begins after it, or after a swap that cannot be called back. A crash: the future log is
// found at the next start and goes on following, even one of a move that was called off;
// that of a log which may be cleaned is made anew. The directory of the replica's log fails: the
// future log is left alone.
//
// While the metadata have a replica in the directory to which it moves, or may come to, the future log there alone tells a later
// start that the replica is in one that cannot be read (placeFor). So it is not removed before they do not.
type move struct {
	log      log.LogID // of the replica
	tp       core.TopicPartition
	to       int // the place of the directory
	then     int // where to after it, if it was called off, or could not be; negative: nowhere
	future   log.LogID
	stage    moveStage
	follower *replica.Follower
	ticket   log.Ticket // of the read under way,
	place    replica.Place
	all      bool      // it takes all that there was,
	near     bool      // and so did one before: little is missing
	until    core.Time // of the swap,
	again    core.Time // and no other before
	nextAt   core.Time
}

type moveStage uint8

const (
	moveWaiting moveStage = iota
	moveMaking
	moveCopying
	moveTelling
	moveSwapping
	moveLeaving
)

// Bounds of this file.
const (
	// MovesAtOnce bounds the future logs that are filled at a time; each holds what one read has brought.
	MovesAtOnce = 8
	// WishesMax bounds the directories that clients want for replicas which are not here yet. Those beyond are forgotten, the oldest first.
	WishesMax = 10000
	// moveBytes is what one read takes.
	moveBytes = 1 << 20
	// swapWait bounds how long a log takes no appends while the rest of it is copied, and is how long it takes them then before the next try.
	swapWait = core.Second
	// moveCleanWait is the time between two looks whether the clean of a log has ended that is to be copied: a few operations of the disk.
	moveCleanWait = 10 * core.Millisecond
	// everyEpoch is above the epochs of all batches: what a future log is given by its own broker is believed.
	everyEpoch core.Epoch = 1<<31 - 1
)

// wish is the directory that a client wants for a replica that is not here yet.
type wish struct {
	tp core.TopicPartition
	to int
}

// wished is the place of the directory that a client wants for a replica that is not here yet; negative if there is none.
func (b *Broker) wished(tp core.TopicPartition) int {
	at := slices.IndexFunc(b.wishes, func(w wish) bool { return w.tp == tp })
	if at < 0 || b.dirs[b.wishes[at].to].why != "" {
		return -1
	}
	return b.wishes[at].to
}

// wish notes what a client wants; a later wish replaces an earlier one.
func (b *Broker) wish(tp core.TopicPartition, to int) {
	b.wishGranted(tp)
	if len(b.wishes) >= WishesMax {
		b.wishes = slices.Delete(b.wishes, 0, 1)
	}
	b.wishes = append(b.wishes, wish{tp, to})
}

func (b *Broker) wishGranted(tp core.TopicPartition) {
	b.wishes = slices.DeleteFunc(b.wishes, func(w wish) bool { return w.tp == tp })
}

// moving is the index of the move of a replica; negative if there is none.
func (b *Broker) moving(id log.LogID) int {
	return slices.IndexFunc(b.moves, func(m move) bool { return m.log == id })
}

// toldDir is the directory of which the controller is to know: that in which the replica is, or will be in a moment, unless its log
// cannot be served while the directory can.
func (b *Broker) toldDir(h *hosted) core.TopicID {
	at := b.moving(h.log)
	d := &b.dirs[b.store.Log(h.log).Place()]
	switch {
	case h.offline() && (d.why == "" || d.id.IsZero() && b.toldReadable(h)):
		if h.losing || b.knownAs(h) == dirLost {
			return dirLost
		}
		return dirDamaged
	case at >= 0 && (b.moves[at].stage == moveTelling || b.moves[at].stage == moveSwapping):
		return b.dirs[b.moves[at].to].id
	case h.anew:
		if b.knownAs(h) == dirDamaged {
			return dirLost
		}
	}
	return b.dirOf(h.log)
}

// toldReadable reports whether the metadata have a replica in a directory that can be read, or may be, or know already that its log cannot.
func (b *Broker) toldReadable(h *hosted) bool {
	x := b.img.Partition(h.tp.Topic, h.tp.Partition)
	if x == nil {
		return false
	}
	told := b.directoryIn(x)
	return told == dirDamaged || told == dirUnassigned || !told.IsZero() && slices.ContainsFunc(b.dirs, func(d logDir) bool { return d.id == told && d.why == "" })
}

// moveTo has a replica moved to the directory at a place.
func (b *Broker) moveTo(now core.Now, h *hosted, to int, out *core.Out) {
	at := b.moving(h.log)
	here := b.store.Log(h.log).Place() == to
	switch {
	case at >= 0 && b.moves[at].to == to && b.moves[at].stage != moveLeaving:
		b.moves[at].then = -1
	case at >= 0:
		b.callOff(now, at, to, out)
	case here:
		b.checkDir(h)
	default:
		out.Mark("broker.move-begins")
		b.moves = append(b.moves, move{log: h.log, tp: h.tp, to: to, then: -1, future: log.NoLog, nextAt: core.Never})
		b.stepMoves(now, out)
	}
}

// callOff ends a move before its time, or lets a swap for which it is too late end first. Then the replica is moved on to another
// directory; negative: to none.
func (b *Broker) callOff(now core.Now, at, then int, out *core.Out) {
	m := &b.moves[at]
	m.then = then
	if m.stage == moveSwapping {
		if !b.store.CancelReplace(m.future) {
			return
		}
		b.released(now, m.log, out)
	}
	m.stage, m.ticket, m.follower, m.nextAt = moveLeaving, 0, nil, core.Never
	if h := b.parts.at(m.log); h != nil {
		b.checkDir(h)
	}
	b.stepMoves(now, out)
}

// leaveMove removes the future log of a move that was called off, and forgets the move, once the metadata have the replica elsewhere and nothing is
// under way that says otherwise. A future log in a directory that has failed stays where it is.
func (b *Broker) leaveMove(now core.Now, at int, out *core.Out) bool {
	m := b.moves[at]
	if m.future != log.NoLog && b.dirs[m.to].why == "" {
		x := b.img.Partition(m.tp.Topic, m.tp.Partition)
		if x != nil && b.directoryIn(x) == b.dirs[m.to].id || slices.Contains(b.assign.flight, m.log) {
			out.Mark("broker.future-log-kept")
			return false
		}
		b.store.Delete(now, m.future, out)
	}
	b.moves = slices.Delete(b.moves, at, at+1)
	h := b.parts.at(m.log)
	if h == nil || h.gone {
		return true
	}
	b.checkDir(h)
	if m.then >= 0 && b.dirs[m.then].why == "" && !h.offline() {
		b.moveTo(now, h, m.then, out)
	}
	return true
}

// endMove forgets the move of a replica that is given up; its future log goes with it, and what was left alone or passed over.
func (b *Broker) endMove(now core.Now, id log.LogID, out *core.Out) {
	if at := b.moving(id); at >= 0 {
		b.moves = slices.Delete(b.moves, at, at+1)
	}
	for _, f := range append(b.store.Futures(), b.store.Twins()...) {
		if l := b.store.Log(f); l.Partition() == b.store.Log(id).Partition() && b.dirs[l.Place()].why == "" {
			b.store.Delete(now, f, out)
		}
	}
}

// toldFirst orders future logs: those come first that are where the metadata have the replica.
func (b *Broker) toldFirst(future log.LogID) int {
	l := b.store.Log(future)
	if x := b.img.Partition(l.Partition().Topic, l.Partition().Partition); x != nil && b.directoryIn(x) == b.dirOf(future) {
		return 0
	}
	return 1
}

// resumeMoves goes on with the moves of a former life, of which the future logs tell. One that belongs to nothing here goes, as does a
// second one of a replica; one that cannot be loaded goes as that of a move that was called off. So does, to be made anew, that of a log which
// may have been cleaned: if its directory had failed meanwhile, the log was, and may have lost the tombstones and markers for what was copied.
func (b *Broker) resumeMoves(now core.Now, out *core.Out) {
	futures := b.store.Futures()
	slices.SortStableFunc(futures, func(x, y log.LogID) int { return cmp.Compare(b.toldFirst(x), b.toldFirst(y)) })
	for _, id := range futures {
		f := b.store.Log(id)
		of, found := b.store.Find(f.Partition())
		h := b.parts.at(of)
		if found && h != nil && !h.gone && f.TopicID() == h.id && b.dirs[b.store.Log(of).Place()].why != "" {
			continue // left alone
		}
		if !found || h == nil || h.gone || f.TopicID() != h.id || b.store.Log(of).Place() == f.Place() || b.moving(of) >= 0 {
			if b.dirs[f.Place()].why == "" {
				out.Mark("broker.future-log-dropped")
				b.store.Delete(now, id, out)
			}
			continue
		}
		m := move{log: of, tp: h.tp, to: f.Place(), then: -1, future: id, stage: moveMaking, nextAt: core.Never}
		switch {
		case f.Offline() != "":
			m.stage = moveLeaving
		case b.store.Log(of).MayBeCleaned():
			out.Mark("broker.move-made-anew")
			m.stage, m.then = moveLeaving, m.to
		default:
			out.Mark("broker.move-resumes")
		}
		b.moves = append(b.moves, m)
	}
	b.stepMoves(now, out)
}

// abandoned lists the future logs that take the place of a log that is gone, at the start: the metadata have the replica there already, which
// they are told when all was copied once; every directory can be read; and in none is the log. An operator has taken its directory out of
// log.dirs, or emptied it. Apache Kafka does so too, even if a directory cannot be read (KAFKA-16082).
func (b *Broker) abandoned() (list []log.LogID) {
	if slices.ContainsFunc(b.dirs, func(d logDir) bool { return d.data && d.why != "" }) {
		return nil
	}
	for _, id := range b.store.Futures() {
		l := b.store.Log(id)
		tp := l.Partition()
		x := b.img.Partition(tp.Topic, tp.Partition)
		of, found := b.store.Find(tp)
		if b.hostsHere(x) && l.Online() && b.belongs(l) && b.directoryIn(x) == b.dirOf(id) && !(found && b.belongs(b.store.Log(of))) {
			list = append(list, id)
		}
	}
	return list
}

// movesNext is when a move has something to do by itself.
func (b *Broker) movesNext() core.Time {
	next := core.Never
	if b.copies() {
		for i := range b.moves {
			next = min(next, b.moves[i].nextAt)
		}
	}
	return next
}

// movesTick goes on with moves whose time has come.
func (b *Broker) movesTick(now core.Now, out *core.Out) {
	for i := range b.moves {
		if m := &b.moves[i]; m.nextAt <= now.Mono {
			m.nextAt = core.Never
			if m.stage == moveSwapping {
				b.callBack(now, m, out)
			}
		}
	}
	b.stepMoves(now, out)
}

// callBack ends a swap that takes too long, if it can be ended any more.
func (b *Broker) callBack(now core.Now, m *move, out *core.Out) {
	switch {
	case now.Mono < m.until:
		m.nextAt = m.until
	case !b.store.CancelReplace(m.future):
		m.until = core.Never
	default:
		out.Mark("broker.swap-called-back")
		m.stage, m.near, m.again = moveTelling, false, now.Mono.After(swapWait)
		b.released(now, m.log, out)
	}
}

// moveChanged takes in what a log reports that is moved, or is moved to. It reports whether that was nobody else's business.
func (b *Broker) moveChanged(now core.Now, c log.Change, out *core.Out) bool {
	if len(b.moves) == 0 {
		return false
	}
	at := slices.IndexFunc(b.moves, func(m move) bool { return m.log == c.ID || m.future == c.ID })
	if at < 0 {
		return false
	}
	m := &b.moves[at]
	own := m.future == c.ID
	switch {
	case c.What == log.Bytes && c.Ticket == m.ticket && !own:
		m.ticket = 0
		b.moveRead(now, m, c, out)
		own = true
	case c.What == log.Failed && own:
		if m.stage != moveLeaving {
			out.Mark("broker.move-failed")
			b.note(now, core.Warn, "the move of "+name(m.tp)+" to "+b.dirs[m.to].path+" has failed: "+c.Note, out)
		}
		b.callOff(now, at, m.then, out)
	case c.What == log.Failed && b.store.LostDir(b.store.Log(m.log).Place()) != "":
		out.Mark("broker.move-left")
		b.moves = slices.Delete(b.moves, at, at+1)
		if h := b.parts.at(c.ID); h != nil {
			b.checkDir(h)
		}
	case c.What == log.Failed:
		b.callOff(now, at, m.then, out)
	case c.What == log.Unswapped:
		if m.stage == moveSwapping {
			m.stage, m.near = moveTelling, false
		}
		b.released(now, m.log, out)
		own = true
	case c.What == log.Replaced:
		b.moved(now, at, out)
		own = true
	case c.What == log.Truncated && !own: // much may have to go from the future log, and to be copied anew
		m.near = false
	case c.What == log.Truncated && m.follower != nil:
		m.follower.Cut()
	}
	b.stepMoves(now, out)
	return own
}

func name(tp core.TopicPartition) string { return tp.Topic + "-" + strconv.Itoa(int(tp.Partition)) }

// moved ends a move: the replica is in its new directory.
func (b *Broker) moved(now core.Now, at int, out *core.Out) {
	m := b.moves[at]
	b.moves = slices.Delete(b.moves, at, at+1)
	out.Mark("broker.move-ends")
	b.note(now, core.Info, name(m.tp)+" is in "+b.dirs[m.to].path+" now", out)
	h := b.parts.at(m.log)
	if h == nil || h.gone {
		return
	}
	b.store.SetConfig(now, h.log, b.logConfig(h), out)
	b.checkDir(h)
	if m.then >= 0 {
		b.moveTo(now, h, m.then, out)
	}
}

// stepMoves goes on with every move that can go on.
func (b *Broker) stepMoves(now core.Now, out *core.Out) {
	if !b.copies() {
		return
	}
	for i := 0; i < len(b.moves); i++ {
		if b.moves[i].stage == moveLeaving && b.leaveMove(now, i, out) {
			i = -1 // others may have gone with it, or come
		}
	}
	busy := 0
	for i := range b.moves {
		m := &b.moves[i]
		if m.stage == moveLeaving {
			continue
		}
		if m.stage == moveWaiting && busy < MovesAtOnce {
			b.beginMove(now, m, out)
		}
		if m.stage > moveWaiting {
			busy++
			b.stepMove(now, m, out)
		}
	}
}

// beginMove has the future log made.
func (b *Broker) beginMove(now core.Now, m *move, out *core.Out) {
	c := b.store.Log(m.log)
	if !c.Online() || c.Busy() || c.TopicID().IsZero() || b.dirs[m.to].why != "" || b.store.Has(m.to, m.tp) {
		return
	}
	m.future, m.stage = b.store.CreateFuture(now, m.log, m.to, out), moveMaking
}

// stepMove goes on with one move.
func (b *Broker) stepMove(now core.Now, m *move, out *core.Out) {
	f, c := b.store.Log(m.future), b.store.Log(m.log)
	if !f.Online() || f.Busy() || !c.Online() || c.Busy() {
		return
	}
	if f.Orphan() {
		if m.ticket == 0 {
			m.near = false
			b.store.Restart(now, m.future, c.Start(), out)
		}
		return
	}
	if m.stage == moveMaking {
		if c.Cleaning().On { // it was asked to end; what it removes must not be in the copy
			out.Mark("broker.move-awaits-clean")
			m.nextAt = min(m.nextAt, now.Mono.After(moveCleanWait))
			return
		}
		m.stage = moveCopying
		var first replica.Step
		m.follower, first = replica.Follow(b.cfg.NodeID, everyEpoch, b.ownOf(m.future))
		b.moveAct(now, m, first, out)
		return
	}
	if m.stage == moveSwapping && f.Swapping() && f.End() == c.End() && f.Start() == c.Start() {
		return // the store goes on by itself
	}
	b.copyOn(now, m, f, c, out)
	if m.stage == moveTelling && m.near && b.isTold(m) {
		if now.Mono < m.again {
			m.nextAt = min(m.nextAt, m.again)
			return
		}
		if b.store.Replace(now, m.future, out) == log.AppendOK {
			m.stage, m.until = moveSwapping, now.Mono.After(swapWait)
			m.nextAt = min(m.nextAt, m.until)
		}
	}
}

// isTold reports whether the metadata have the replica where it is going.
func (b *Broker) isTold(m *move) bool {
	x := b.img.Partition(m.tp.Topic, m.tp.Partition)
	return x != nil && (b.img.Feature("metadata.version") < levelDirectories || b.directoryIn(x) == b.dirs[m.to].id)
}

// copyOn reads what comes next.
func (b *Broker) copyOn(now core.Now, m *move, f, c *log.Log, out *core.Out) {
	if m.ticket != 0 {
		return
	}
	place, ok := m.follower.Place(now.Mono, b.ownOf(m.future))
	if !ok {
		m.nextAt = min(m.nextAt, m.follower.Next())
		return
	}
	a := replica.Answer{High: c.High(), Start: c.Start()}
	switch {
	case place.Offset < c.Start() || place.Offset > c.End():
		a.Code = wire.OffsetOutOfRange
	case place.Last >= 0:
		epoch, end := b.endOfReplica(m.log, place.Last)
		switch {
		case epoch < 0 || end < 0:
			a.Code = wire.OffsetOutOfRange
		case epoch < place.Last || end < place.Offset:
			a.Diverged, a.DivergeEpoch, a.DivergeEnd = true, epoch, end
		}
	}
	m.place = place
	if a.Code == wire.None && !a.Diverged {
		if place.Offset < c.Written() {
			if wait := b.throttles.moves.wait(now.Mono, b.moveRate()); wait > 0 && m.stage != moveSwapping {
				m.nextAt = min(m.nextAt, now.Mono.After(wait))
				return
			}
			m.ticket = b.store.ReadAt(now, m.log, place.Offset, c.Written(), moveBytes, out)
			return
		}
		b.caughtUp(now, m, f, c, out)
		return
	}
	b.moveAct(now, m, m.follower.Answered(now.Mono, b.ownOf(m.future), place.Offset, &a, b.endsOf(m.future)), out)
}

// caughtUp is reached whenever a future log holds all that there is to read.
func (b *Broker) caughtUp(now core.Now, m *move, f, c *log.Log, out *core.Out) {
	b.moveFacts(now, m, c.High(), c.Start(), out)
	if m.near = true; m.stage != moveCopying {
		return
	}
	m.stage = moveTelling
	if h := b.parts.at(m.log); h != nil {
		b.checkDir(h)
		b.assignSend(now, out)
	}
}

// moveRead takes what a read of the replica's log has brought.
func (b *Broker) moveRead(now core.Now, m *move, c log.Change, out *core.Out) {
	if m.follower == nil {
		return
	}
	if c.Err != core.OK {
		b.moveAct(now, m, m.follower.Lost(now.Mono), out)
		return
	}
	l := b.store.Log(m.log)
	a := replica.Answer{High: l.High(), Start: l.Start(), Batches: c.Data}
	b.throttles.moves.record(now.Mono, int64(len(c.Data)))
	b.moveAct(now, m, m.follower.Answered(now.Mono, b.ownOf(m.future), m.place.Offset, &a, b.endsOf(m.future)), out)
}

// moveAct does what the follower decided.
func (b *Broker) moveAct(now core.Now, m *move, s replica.Step, out *core.Out) {
	failed := log.AppendOK
	switch s.Act {
	case replica.Append:
		if failed = b.store.AppendExact(now, m.future, s.Batches, out); failed == log.AppendOK {
			m.follower.Appended()
			m.near = b.store.Log(m.future).End() >= b.store.Log(m.log).Safe()
			b.moveFacts(now, m, s.High, s.Start, out)
		}
	case replica.Cut:
		out.Mark("broker.future-log-cut")
		m.near = false
		failed = b.store.Truncate(now, m.future, s.At, out)
	case replica.Begin:
		m.near = false
		failed = b.store.Restart(now, m.future, s.At, out)
	case replica.AskStart:
		b.moveAct(now, m, m.follower.Starts(b.ownOf(m.future), b.store.Log(m.log).Start()), out)
		return
	case replica.AskEpoch:
		epoch, end := b.endOfReplica(m.log, s.Epoch)
		b.moveAct(now, m, m.follower.Ended(now.Mono, b.ownOf(m.future), epoch, end, b.endsOf(m.future)), out)
		return
	}
	if failed != log.AppendOK {
		m.follower.Refused(now.Mono, b.ownOf(m.future))
	}
	m.nextAt = min(m.nextAt, m.follower.Next())
}

// moveFacts gives a future log what else there is to know of the replica's log.
func (b *Broker) moveFacts(now core.Now, m *move, high, start core.Offset, out *core.Out) {
	own := b.ownOf(m.future)
	if to := own.HighFrom(high); to > own.High {
		b.store.SetHigh(now, m.future, to, out)
	}
	if f := b.store.Log(m.future); start > f.Starting() && f.High() > f.Start() {
		b.store.DeleteBefore(now, m.future, min(start, f.High()), out)
	}
}

// ownOf is what the decisions of a follower rest on.
func (b *Broker) ownOf(id log.LogID) replica.Own {
	l := b.store.Log(id)
	return replica.Own{Start: l.Start(), End: l.End(), Safe: l.Safe(), High: l.High(), Last: l.EpochBelow(l.End()), Held: !b.store.Takes(id)}
}

// endsOf is a log's own table of epochs.
func (b *Broker) endsOf(id log.LogID) func(core.Epoch) (core.Epoch, core.Offset) {
	return func(e core.Epoch) (core.Epoch, core.Offset) { return b.store.EpochEnd(id, e) }
}

// endOfReplica is where a leader epoch ended in a replica's log, for the future log that follows it: of what the log holds, all that is of
// that epoch or older. A leader has noted its own epoch before anybody follows it. The log of a follower may have been cut since it was
// copied, and then know no epoch as new as the one that is asked for: the last one that it knows ends where it does.
func (b *Broker) endOfReplica(id log.LogID, epoch core.Epoch) (core.Epoch, core.Offset) {
	l := b.store.Log(id)
	switch {
	case epoch <= l.Epoch():
		return b.store.EpochEnd(id, epoch)
	case l.Epoch() < 0 && l.Start() == l.End(): // it has begun anew: nothing of any epoch is left
		return epoch, l.Start()
	}
	return l.Epoch(), l.End()
}

// hostsHere reports whether the metadata have a replica of a partition here.
func (b *Broker) hostsHere(x *image.Partition) bool {
	return x != nil && slices.Contains(x.Replicas, b.cfg.NodeID)
}
