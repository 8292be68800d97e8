package sim

import (
	"strconv"

	"klamm/core"
)

// carryOut hands one effect to whoever executes it.
func (w *World) carryOut(node int, n *Node, e *core.Effect) {
	var data uint64
	if len(e.Data) > 0 && e.Kind != core.Release {
		data = sum(e.Data)
	}
	w.Hash.Add(uint64(e.Kind)<<56|uint64(e.Work)<<48^uint64(e.Conn), uint64(e.File)^uint64(e.Op)*mixB)
	w.Hash.Add(uint64(e.Off)^data, uint64(e.Len))
	if w.Trace != nil {
		w.traceEffect(n, e)
	}
	if w.Rec != nil {
		w.Rec.effect(node, e)
	}
	switch e.Kind {
	case core.Send, core.SendRange:
		if w.OnSend != nil && n.Broker {
			w.OnSend(node, n, e)
		}
		w.Net.Send(node, e, data)
	case core.CloseConn:
		w.Net.Close(node, e.Conn)
	case core.Dial:
		w.Net.Dial(node, e)
	case core.Pause, core.Resume:
		w.Net.Pause(node, e.Conn, e.Kind == core.Pause)
	case core.Release:
		w.release(n, e.Data)
	case core.Note:
		if core.NoteLevel(e.Len) >= core.Warn {
			n.lastNote = string(e.Data)
		}
	case core.Exit:
		w.exited(node, n, e.Len)
	default:
		n.Disk.Do(e, data)
	}
}

// start begins a new life of a node.
func (w *World) start(node int) {
	n := w.Nodes[node]
	if n.Broker && w.OnStart != nil {
		w.OnStart(n)
	}
	n.State, n.ready, n.stopping = Up, false, false
	n.inbox = n.inbox[:0]
	n.wakeAt = core.Never
	if w.Debug {
		n.lent = make(map[*byte]bool)
	}
	// The monotonic clock of a new process may begin anywhere; the wall clock goes on, with its offset.
	wall := n.clock(w.now).Wall
	if n.Life == 0 {
		wall = 1_750_000_000*core.Second + w.now + core.Time(w.draw(siteClock, uint64(node), 1200))*core.Second
	}
	n.base, n.anchor = core.Time(w.draw(siteClock, uint64(node), 1<<40)), w.now
	n.wall = wall - n.base
	n.crashIn, n.crashNext = n.crashNext, -1
	n.Machine = n.Make(n.Life)
	info := core.BootInfo{Config: n.Config(n.Life)}
	for i := 0; i < 32; i += 8 {
		v := w.draw(siteKey, uint64(node), 1<<63)
		for j := range 8 {
			info.Key[i+j] = byte(v >> (8 * j))
		}
	}
	w.tracef("%s starts, life %d", n.Name, n.Life)
	w.Rec.row(RowStarts, node, int64(n.Life), 0, "")
	w.Step(node, &core.Event{Kind: core.Boot, Data: info.Append(nil)})
}

// Crash ends a node's life between two effects.
func (w *World) Crash(node int, power bool) {
	n := w.Nodes[node]
	if n.State == Down {
		return
	}
	if n.Broker && w.OnCrash != nil {
		how := w.OnCrash(node, power)
		if power = how == losesPower; how == noCrash {
			return
		}
	}
	if power {
		w.Counts[PowerLoss]++
	} else {
		w.Counts[Kill]++
	}
	w.tracef("%s crashes, power lost: %v", n.Name, power)
	w.Rec.crashed(node, power)
	if n.Broker && !n.ready {
		w.Counts[CrashInRecovery]++
	}
	w.fall(node, power)
	w.restart(node)
}

// fall takes a node down: its peers' connections, its disk, its inbox.
func (w *World) fall(node int, power bool) {
	n := w.Nodes[node]
	if n.Broker && w.OnFall != nil {
		w.OnFall(n)
	}
	// The clock of its process ends here; the wall clock of the machine goes on from it.
	n.State = Down
	n.Life++
	n.Machine = nil
	n.inbox = n.inbox[:0]
	n.crashIn, n.crashSyncs, n.crashDue = -1, -1, false
	w.Rec.fell(node)
	w.Net.At(w.now)
	w.Net.Down(node, power)
	n.Disk.At(w.now)
	n.Disk.Crash(power)
}

// restart brings a node up again after a while.
func (w *World) restart(node int) {
	n := w.Nodes[node]
	in := n.restartIn
	if n.restartIn = -1; in < 0 {
		in = 10*core.Millisecond + core.Time(w.draw(siteRestart, uint64(node), 2000))*core.Millisecond
	}
	w.Counts[Restart]++
	w.StartAt(w.now+in, node)
}

// exited is a machine's own end.
func (w *World) exited(node int, n *Node, code int64) {
	w.tracef("%s exits with %d; last note: %s", n.Name, code, n.lastNote)
	w.Rec.row(RowExits, node, code, 0, n.lastNote)
	asked := n.stopping
	w.fall(node, false)
	if code == 0 && asked {
		w.Counts[StoppedClean]++
	} else {
		w.Counts[GaveUp]++
		n.exits++
	}
	if w.OnExit != nil {
		w.OnExit(node, code)
	}
	w.restart(node)
}

// pause stops a process; its clocks and its kernel go on.
func (w *World) pause(node int, span core.Time) {
	n := w.Nodes[node]
	if n.State != Up {
		return
	}
	w.Counts[PauseProcess]++
	w.tracef("%s is paused for %d ms", n.Name, span.Millis())
	n.State = Paused
	w.Rec.row(RowPaused, node, int64(span), 0, "")
	w.push(w.now+span, itemResume, node, uint64(n.Life))
}

func (w *World) resume(node int) {
	n := w.Nodes[node]
	n.State = Up
	w.tracef("%s goes on", n.Name)
	w.Rec.row(RowResumed, node, 0, 0, "")
	for _, ev := range n.inbox {
		w.queue = append(w.queue, delivery{node: int16(node), life: n.Life, ev: ev})
	}
	clear(n.inbox)
	n.inbox = n.inbox[:0]
	n.wakeAt = core.Never
	w.schedule(node, n)
}

// Stop asks a node to stop in good order.
func (w *World) Stop(node int) {
	n := w.Nodes[node]
	if n.State != Up || n.stopping {
		return
	}
	w.tracef("%s is asked to stop", n.Name)
	n.stopping = true
	w.Rec.row(RowStopAsked, node, 0, 0, "")
	w.push(w.now+core.Minute, itemStopped, node, uint64(n.Life))
	w.queue = append(w.queue, delivery{node: int16(node), life: n.Life, ev: core.Event{Kind: core.Tick, Err: core.Stopping}})
}

// describe is a line about a node, for failures.
func (n *Node) describe() string {
	s := n.Name + " life " + strconv.Itoa(int(n.Life)) + " state " + strconv.Itoa(int(n.State))
	if n.lastNote != "" {
		s += " last note: " + n.lastNote
	}
	return s
}
