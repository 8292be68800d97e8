package broker

import (
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/wire"
)

// timerNoOp and timerStop are the hall's own timers.
const (
	timerNoOp uint8 = 3 // time for a record that does nothing (KIP-835)
	timerStop uint8 = 4 // requests under way had their time
	timerLost uint8 = 5 // time to say why the node does not come up
)

// tick does what is due.
func (b *Broker) tick(now core.Now, ev *core.Event, out *core.Out) {
	if ev.Err == core.Stopping {
		b.stop(now, out)
	}
	for {
		t, ok := b.timers.Pop(now.Mono)
		if !ok {
			break
		}
		switch t.Kind {
		case timerTask:
			b.taskTimer(now, t)
		case timerIdle:
			b.idleTimer(now, t, out)
		case timerNoOp:
			b.noOp(now, core.Epoch(t.A), out)
		case timerLost:
			b.sayWhyNot(now, out)
		case timerStop:
			b.stopTimer(now, stage(t.A), out)
		}
	}
	if b.store != nil && b.stage < stageStopped {
		b.store.Tick(now, out)
	}
	if b.node != nil && b.stage < stageStopping {
		b.node.Tick(now, b.store, out)
		if b.peers.next <= now.Mono {
			b.peerEvent(now, ev, out)
		}
		b.controllerTick(now, out)
	}
	if b.stage > stageRegister && b.stage < stageStopping {
		b.replicationTick(now, out)
	}
	if b.stage == stageReady || b.stage == stageHandover {
		b.coordinatorsTick(now, out)
		b.txnsTick(now, out)
	}
}

// noOp keeps the metadata log moving while nothing changes, if the configuration asks for it.
func (b *Broker) noOp(now core.Now, epoch core.Epoch, out *core.Out) {
	if !b.active() || b.reign.epoch != epoch {
		return
	}
	b.appendMetadata(now, []wire.Record{wire.NewNoOpRecord()}, out)
	b.timers.Set(now.Mono.After(b.cfg.MetadataIdle), timerNoOp, uint64(epoch), 0)
}

// settle carries what happened to those who wait for it, until nothing is left to carry.
func (b *Broker) settle(now core.Now, out *core.Out) {
	if b.stage == stageStopped {
		return
	}
	for {
		went := false
		if b.store != nil {
			for _, c := range b.store.Changes() {
				b.logChanged(now, c, out)
				went = true
			}
		}
		if b.node != nil {
			went = b.metadataChanged(now, out) || went
			if b.stage == stageStopped {
				return
			}
			went = b.carryQuorum(now, out) || went
			went = b.carryPeers(now, out) || went
			went = b.live(now, out) || went
		}
		went = b.bootStep(now, out) || went
		went = b.advance(now, out) || went
		went = b.serve(now, out) || went
		went = b.checkDoubts(now, out) || went
		went = b.stopStep(now, out) || went
		if b.stage == stageStopped {
			return
		}
		if !went {
			break
		}
	}
}

// logChanged takes in what a log reports.
func (b *Broker) logChanged(now core.Now, c log.Change, out *core.Out) {
	if b.node != nil {
		if id, ok := b.node.Log(); ok && id == c.ID && c.What != log.Booted && c.What != log.Stopped {
			if c.What == log.Rotten {
				out.Mark("broker.damaged-metadata")
				b.note(now, core.Error, "the metadata log is damaged: "+c.Note+". This node goes on with what it has in memory, and will not start again with that file", out)
				return
			}
			b.node.Changed(now, c, b.store, out)
			return
		}
	}
	switch c.What {
	case log.Booted:
		return // bootStep asks Ready
	case log.Stopped:
		b.stopped(now, c, out)
		return
	case log.Lost:
		b.dirLost(now, c.Dir, c.Note, out)
		return
	case log.Sought, log.TimeFound, log.Bytes:
		b.deliver(result{key: waitKey{kind: waitTicket, id: uint64(c.Ticket)}, err: c.Err, data: c.Data, offset: c.Offset, timestamp: c.Timestamp, epoch: c.Epoch})
	}
	h := b.parts.at(c.ID)
	if own := b.moveChanged(now, c, out); own || h == nil {
		return
	}
	switch c.What {
	case log.Loaded:
		if !h.open && !h.gone {
			b.parts.count(h, -1)
			b.openPartition(now, h, out)
			b.wake(waitKey{kind: waitImage})
		}
		b.mended(now, h, out)
	case log.Failed:
		b.failed(now, h, c, out)
	case log.Rotten:
		b.rotten(now, h, c, out)
	case log.Truncated:
		b.mended(now, h, out)
		b.copied(now, h, c.What, out)
		b.takeRole(now, h, out)
	case log.Gone:
		b.copied(now, h, c.What, out)
	case log.Written, log.Durable:
		b.wake(waitKey{kind: waitWritten, id: uint64(c.ID)})
		b.copied(now, h, c.What, out)
		if !b.progress(now, h, out) { // readers see nothing of it
			if internalTopic(h.tp.Topic) {
				b.coordinatorsChange(now, c, out)
				b.txnsChange(now, c, out)
			}
			return
		}
	case log.Start:
		if h.leader != nil {
			h.leader.Started(b.store.Log(c.ID).Start())
		}
		b.copied(now, h, c.What, out)
	}
	if c.What != log.Sought && c.What != log.TimeFound && c.What != log.Bytes {
		b.wake(waitKey{kind: waitPartition, id: uint64(c.ID)})
	}
	if internalTopic(h.tp.Topic) {
		b.coordinatorsChange(now, c, out)
		b.txnsChange(now, c, out)
	}
	if c.What == log.Gone {
		b.parts.byLog[c.ID] = hosted{}
	}
}

// progress tells the leader of a partition how far its own copy is safe, and the log what that makes of the high
// watermark: it reports whether that rose.
func (b *Broker) progress(now core.Now, h *hosted, out *core.Out) (rose bool) {
	if h.leader == nil {
		return false
	}
	l := b.store.Log(h.log)
	h.leader.Appended(l.End())
	if !h.leader.Durable(now.Mono, l.Safe()) {
		return false
	}
	b.store.SetHigh(now, h.log, h.leader.High(), out)
	return true
}

// metadataChanged takes in what the quorum committed.
func (b *Broker) metadataChanged(now core.Now, out *core.Out) (went bool) {
	if why := b.node.Failed(); why != "" && b.stage < stageStopping { // in a stop its log is closed under it
		if id, ok := b.node.Log(); ok && b.store.Log(id).Offline() != "" {
			why += "; what is left of it tells klamm storage inspect " + b.path(quorum.Partition.Topic+"-0")
		}
		b.fatal("the metadata log cannot be used: "+why, out)
		return false
	}
	for _, batch := range b.node.Committed() {
		went = true
		from := b.img
		if batch.Snapshot {
			from = image.Empty()
		}
		img, delta, err := from.Apply(batch.Records, batch.End, batch.Epoch)
		if err != nil {
			b.fatal("the metadata log cannot be applied at offset "+strconv.FormatInt(int64(batch.End), 10)+": "+err.Error(), out)
			return true
		}
		if batch.Snapshot && b.hosts() {
			delta = image.Diff(b.img, img) // a follower that was far behind: most of it is what is known already
		}
		b.img = img
		if b.hosts() && b.cfg.IsBroker {
			b.imageChanged(now, delta, out)
			b.coordinatorsImage(now, delta, out)
			b.txnsImage(now, delta, out)
		} else {
			b.wake(waitKey{kind: waitImage})
		}
		b.committed(now, delta, out)
	}
	if b.stage >= stageRegister && b.stage < stageStopping && b.node.WantsSnapshot(now) {
		out.Mark("broker.metadata-snapshot")
		b.node.Snapshot(now, b.img, out)
	}
	return went
}

// NotesPerSecondMax bounds notes that clients can cause.
const NotesPerSecondMax = 10

// note tells the operator something; what comes too often is counted instead.
func (b *Broker) note(now core.Now, level core.NoteLevel, text string, out *core.Out) {
	second := now.Mono / core.Second
	if second != b.counts.noteSecond {
		if n := b.counts.notesLeftOut; n > 0 {
			out.Note(core.Warn, strconv.FormatInt(n, 10)+" notes were left out")
		}
		b.counts.noteSecond, b.counts.notes, b.counts.notesLeftOut = second, 0, 0
	}
	if b.counts.notes++; b.counts.notes > NotesPerSecondMax && level < core.Error {
		b.counts.notesLeftOut++
		return
	}
	out.Note(level, text)
}
