package host

import (
	"fmt"
	"time"

	"klamm/core"
)

// loop steps the machine. Everything in it belongs to the one goroutine that runs it.
type loop struct {
	n        *Node
	m        core.Machine
	now      core.Now
	out      core.Out
	spare    []item
	timer    *time.Timer
	armedFor core.Time
	stopBy   core.Time // Never until a stop was asked for
	exit     *core.Effect
	lastNote string // the newest note of level Error: the reason, should the machine exit with a failure
	recent   [recentEventsKept]core.Event
	steps    uint64
	batches  uint64
	freed    int64 // bytes of frames stepped in this batch, to go back to the budget
}

func (l *loop) init(n *Node) {
	l.n, l.m = n, n.o.Machine
	l.stopBy = core.Never
	l.armedFor = -1
	l.timer = time.NewTimer(time.Hour)
}

// run steps the machine until it exits, and returns why.
func (l *loop) run() (err error) {
	defer l.n.queue.close()
	defer l.timer.Stop()
	defer func() {
		if p := recover(); p != nil {
			err = l.crashed(p)
		}
	}()
	l.now = l.n.clock.now()
	l.step(&core.Event{Kind: core.Boot, Data: core.BootInfo{Key: l.n.o.Key, Config: l.n.o.Config}.Append(nil)})
	l.n.conns.accept(true)
	l.finishBatch()
	for l.exit == nil {
		if l.now.Mono >= l.stopBy {
			return &ExitError{Code: 1, Reason: fmt.Sprintf("the node did not stop within %v and was ended by force", l.n.o.StopWithin)}
		}
		items := l.n.queue.take(l.spare)
		if len(items) == 0 {
			l.spare = items
			l.sleep()
			l.now = l.n.clock.now()
			if l.due() {
				l.finishBatch()
			}
			continue
		}
		l.now = l.n.clock.now()
		for i := range items {
			l.handle(&items[i])
		}
		l.due()
		l.finishBatch()
		l.spare = items
	}
	if code := l.exit.Len; code != 0 {
		reason := l.lastNote
		if reason == "" {
			reason = fmt.Sprintf("the machine ended with code %d and gave no reason", code)
		}
		return &ExitError{Code: int(code), Reason: reason}
	}
	return nil
}

// sleep waits for an event, or for the next instant at which there is something to do.
func (l *loop) sleep() {
	next := min(l.m.Next(), l.stopBy)
	if !l.n.ready.Load() {
		next = min(next, l.now.Mono+core.Time(readyPoll))
	}
	if next == core.Never {
		<-l.n.queue.wake
		return
	}
	if next != l.armedFor {
		l.timer.Reset(max(0, time.Duration(next-l.n.clock.now().Mono)))
		l.armedFor = next
	}
	select {
	case <-l.n.queue.wake:
	case <-l.timer.C:
		l.armedFor = -1
	}
}

// due steps a Tick if its time has come, and reports whether there is anything to finish.
func (l *loop) due() bool {
	if l.exit != nil {
		return true
	}
	if l.m.Next() <= l.now.Mono {
		l.step(&core.Event{Kind: core.Tick})
		return true
	}
	return !l.n.ready.Load()
}

func (l *loop) step(ev *core.Event) {
	kept := &l.recent[l.steps%recentEventsKept]
	*kept = *ev
	kept.Data, kept.Req = nil, nil
	if kept.N == 0 {
		kept.N = int64(len(ev.Data))
	}
	l.steps++
	l.m.Step(l.now, ev, &l.out)
}

func (l *loop) handle(it *item) {
	switch it.what {
	case itemEvent:
		if it.ev.Kind == core.Frame {
			l.freed += int64(len(it.ev.Data))
		}
		l.step(&it.ev)
	case itemOpened:
		l.n.conns.byID[it.conn.id] = it.conn
		l.step(&it.ev)
	case itemGone:
		l.gone(it)
	case itemStop:
		if l.stopBy == core.Never {
			l.stopBy = l.now.Mono + core.Time(l.n.o.StopWithin)
			l.n.conns.stopAccepting()
			l.step(&core.Event{Kind: core.Tick, Err: core.Stopping})
		}
	case itemCall, itemBroken:
		it.call(l.now, &l.out)
	}
}

// gone tells the machine that a connection has ended. What was given to it until now is given first, so
// that every Send of it is done before Closed, those of this batch included.
func (l *loop) gone(it *item) {
	l.carryOut()
	for _, s := range it.conn.leftovers() {
		if s.op != 0 {
			l.step(&core.Event{Kind: core.Done, Op: s.op, Err: core.ConnGone})
		}
	}
	l.n.conns.forget(it.conn)
	l.step(&it.ev)
}

// finishBatch carries out what the steps of this batch asked for.
func (l *loop) finishBatch() {
	if l.n.o.AfterSteps != nil {
		l.n.o.AfterSteps(l.now, &l.out)
	}
	l.carryOut()
	l.batches++
	if l.freed > 0 {
		l.n.conns.budget.release(l.freed)
		l.freed = 0
	}
	if !l.n.ready.Load() {
		l.lookReady()
	}
}

// carryOut hands every effect to those who carry it out. It never waits.
func (l *loop) carryOut() {
	for i := range l.out.Effects {
		if e := &l.out.Effects[i]; l.exit == nil {
			l.effect(e)
		}
	}
	l.out.Reset()
	l.n.conns.flush()
	l.n.files.flush()
}

func (l *loop) effect(e *core.Effect) {
	switch e.Kind {
	case core.Send, core.SendRange, core.CloseConn, core.Dial, core.Pause, core.Resume:
		l.n.conns.effect(e)
	case core.Release:
		l.n.pool.put(e.Data)
	case core.Note:
		if core.NoteLevel(e.Len) == core.Error {
			l.lastNote = string(e.Data)
		}
		l.n.notes.add(core.NoteLevel(e.Len), string(e.Data))
	case core.Exit:
		kept := *e
		l.exit = &kept
	default:
		l.n.files.effect(e)
	}
}

// lookReady opens the listeners once the machine says that it serves.
func (l *loop) lookReady() {
	switch m := l.m.(type) {
	case interface{ Ready() bool }:
		if !m.Ready() {
			return
		}
	case core.Reporter:
		if r := m.Report(l.now); r == nil || !r.Ready {
			return
		}
	}
	if l.exit != nil {
		return
	}
	l.n.ready.Store(true)
	l.n.conns.accept(false)
	if l.n.o.OnReady != nil {
		l.n.o.OnReady(time.Since(l.n.started))
	}
}
