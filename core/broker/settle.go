package broker

import (
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/wire"
)

// timerNoOp and timerStop are the hall's own timers.
const (
	timerNoOp uint8 = 3 // time for a record that does nothing (KIP-835)
	timerStop uint8 = 4 // requests under way had their time
)

// stopWait bounds how long a clean stop waits for requests that are under way, leaveWait how long for the metadata log.
const (
	stopWait  = 2 * core.Second
	leaveWait = 1 * core.Second
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
			b.noOp(now, out)
		case timerStop:
			b.stopTimer(now, out)
		}
	}
	if b.store != nil && b.stage < stageStopped {
		b.store.Tick(now, out)
	}
	if b.node != nil && b.stage < stageStopping {
		b.node.Tick(now, b.store, out)
	}
	if b.stage == stageReady {
		b.coordinatorsTick(now, out)
	}
}

// noOp keeps the metadata log moving while nothing changes, if the configuration asks for it.
func (b *Broker) noOp(now core.Now, out *core.Out) {
	if b.stage != stageReady {
		return
	}
	b.appendMetadata(now, []wire.Record{wire.NewNoOpRecord()}, out)
	b.timers.Set(now.Mono.After(b.cfg.MetadataIdle), timerNoOp, 0, 0)
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
		}
		went = b.bootStep(now, out) || went
		went = b.advance(now, out) || went
		went = b.serve(now, out) || went
		if b.stage == stageStopped {
			return
		}
		if !went {
			break
		}
	}
	if b.stage == stageDraining && b.draining() == 0 {
		b.leave(now, out)
	}
	if b.stage == stageLeaving && b.img.End() >= b.boot.until {
		b.stopLogs(now, out)
	}
}

// logChanged takes in what a log reports.
func (b *Broker) logChanged(now core.Now, c log.Change, out *core.Out) {
	if b.node != nil {
		if id, ok := b.node.Log(); ok && id == c.ID && c.What != log.Booted && c.What != log.Stopped {
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
	case log.Sought, log.TimeFound, log.Bytes:
		b.deliver(result{key: waitKey{kind: waitTicket, id: uint64(c.Ticket)}, err: c.Err, data: c.Data, offset: c.Offset, timestamp: c.Timestamp, epoch: c.Epoch})
	}
	h := b.parts.at(c.ID)
	if h == nil {
		return
	}
	switch c.What {
	case log.Loaded:
		if !h.open && !h.gone {
			b.parts.opening--
			b.openPartition(now, h, out)
			b.wake(waitKey{kind: waitImage})
		}
	case log.Failed:
		if !h.open && !h.gone && h.why == "" {
			b.parts.opening--
			b.wake(waitKey{kind: waitImage})
		}
		h.why = c.Note
		b.counts.offlineLogs++
	case log.Written, log.Durable:
		b.wake(waitKey{kind: waitWritten, id: uint64(c.ID)})
		if !b.progress(now, h, out) { // readers see nothing of it
			if internalTopic(h.tp.Topic) {
				b.coordinatorsChange(now, c, out)
			}
			return
		}
	case log.Start:
		if h.leader != nil {
			h.leader.Started(b.store.Log(c.ID).Start())
		}
	}
	if c.What != log.Sought && c.What != log.TimeFound && c.What != log.Bytes {
		b.wake(waitKey{kind: waitPartition, id: uint64(c.ID)})
	}
	if internalTopic(h.tp.Topic) {
		b.coordinatorsChange(now, c, out)
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
	if why := b.node.Failed(); why != "" {
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
		b.img = img
		if b.stage >= stagePartitions {
			b.imageChanged(now, delta, out)
			b.coordinatorsImage(now, delta, out)
		}
		b.committed(now, delta, out)
	}
	if b.stage == stageReady && b.node.WantsSnapshot(now) {
		out.Mark("broker.metadata-snapshot")
		b.node.Snapshot(now, b.img, out)
	}
	return went
}

// stop begins a clean stop.
func (b *Broker) stop(now core.Now, out *core.Out) {
	switch {
	case b.stage >= stageDraining:
	case b.stage < stageLogs:
		b.stage = stageStopped
		out.Exit(0)
	case b.stage < stageReady:
		b.stopLogs(now, out)
	default:
		b.stage = stageDraining
		b.timers.Set(now.Mono.After(stopWait), timerStop, 0, 0)
	}
}

// draining counts the requests whose clients wait for something that is under way, not for news.
func (b *Broker) draining() (n int) {
	for i := range b.tasks.slots {
		switch b.tasks.slots[i].task.(type) {
		case *produceTask, *proposeTask:
			n++
		}
	}
	return n
}

// stopTimer ends a wait of the stop.
func (b *Broker) stopTimer(now core.Now, out *core.Out) {
	switch b.stage {
	case stageDraining:
		b.leave(now, out)
	case stageLeaving:
		out.Mark("broker.stops-unfenced")
		b.stopLogs(now, out)
	}
}

// leave closes every connection and fences this broker in the metadata log.
func (b *Broker) leave(now core.Now, out *core.Out) {
	b.stage = stageLeaving
	b.closeConns(out)
	records := b.ctl.StopBroker(b.cfg.NodeID)
	for len(records) > 0 {
		n := min(len(records), recordsPerAppend)
		end, ok := b.appendMetadata(now, records[:n:n], out)
		if !ok {
			break // the next start does without
		}
		b.boot.until, records = end, records[n:]
	}
	b.timers.Set(now.Mono.After(leaveWait), timerStop, 0, 0)
}

func (b *Broker) closeConns(out *core.Out) {
	for i := range b.conns.slots {
		if c := &b.conns.slots[i]; c.used && !c.closing {
			c.closing = true
			out.CloseConn(c.id)
		}
	}
}

// stopLogs has the logs flushed.
func (b *Broker) stopLogs(now core.Now, out *core.Out) {
	b.stage = stageStopping
	b.closeConns(out)
	b.store.Stop(now, out)
}

// stopped ends the machine.
func (b *Broker) stopped(now core.Now, c log.Change, out *core.Out) {
	b.stage = stageStopped
	if c.Note != "" {
		out.Note(core.Error, "the stop was not clean, logs will be recovered at the next start: "+c.Note)
		out.Exit(1)
		return
	}
	out.Note(core.Info, "stopped")
	out.Exit(0)
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
