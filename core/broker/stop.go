package broker

import (
	"klamm/core"
	"klamm/core/log"
)

// The waits of a clean stop: for other brokers to take over this one's leaderships, for requests that are under way, for
// the controller to fence this broker, and for the other voters to hear that the leader of the metadata log goes.
const (
	handoverWait = 10 * core.Second
	stopWait     = 2 * core.Second
	leaveWait    = 1 * core.Second
	resignWait   = 500 * core.Millisecond
)

// stop begins a clean stop.
func (b *Broker) stop(now core.Now, out *core.Out) {
	switch {
	case b.stage >= stageHandover:
	case b.stage < stageLogs:
		b.stage = stageStopped
		out.Exit(0)
	case b.stage < stageReady && b.stage >= stageQuorum, b.stage == stageReady && !b.cfg.IsBroker:
		b.resign(now, out)
	case b.stage < stageReady:
		b.boot.unloaded = !b.store.Ready()
		b.stopLogs(now, out)
	case b.othersLive():
		b.stage = stageHandover
		b.life.wantDown = true
		b.hurry(now)
		b.stopTimerIn(now, handoverWait)
	default:
		b.drain(now)
	}
}

// othersLive reports whether there are brokers that could take over leaderships.
func (b *Broker) othersLive() bool {
	for _, k := range b.img.Brokers() {
		if k.ID != b.cfg.NodeID && !k.Fenced && !k.ControlledShutdown {
			return true
		}
	}
	return false
}

// stopTimerIn bounds a stage of the stop.
func (b *Broker) stopTimerIn(now core.Now, wait core.Time) {
	b.timers.Set(now.Mono.After(wait), timerStop, uint64(b.stage), 0)
}

// stopStep goes on with the stop when what it waits for has come, and reports whether it did.
func (b *Broker) stopStep(now core.Now, out *core.Out) bool {
	switch {
	case b.stage == stageHandover && b.life.mayStop:
		b.drain(now)
	case b.stage == stageDraining && b.draining() == 0:
		b.leave(now, out)
	case b.stage == stageLeaving && b.life.mayStop:
		b.resign(now, out)
	case b.stage == stageResigning && b.reign.unheard == 0:
		b.stopLogs(now, out)
	default:
		return false
	}
	return true
}

// stopTimer ends a wait of the stop.
func (b *Broker) stopTimer(now core.Now, of stage, out *core.Out) {
	if of != b.stage {
		return // it ended by itself
	}
	switch b.stage {
	case stageHandover:
		out.Mark("broker.stops-as-leader")
		b.drain(now)
	case stageDraining:
		b.leave(now, out)
	case stageLeaving:
		out.Mark("broker.stops-unfenced")
		b.resign(now, out)
	case stageResigning:
		b.stopLogs(now, out)
	}
}

// drain lets what is under way end. Nothing new begins.
func (b *Broker) drain(now core.Now) {
	b.stage = stageDraining
	b.stopTimerIn(now, stopWait)
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

// leave closes every connection and has this broker fenced in the metadata log.
func (b *Broker) leave(now core.Now, out *core.Out) {
	b.stage = stageLeaving
	b.closeConns(out)
	if !b.life.mayStop {
		b.life.wantDown = true
		b.hurry(now)
		b.stopTimerIn(now, leaveWait)
	}
}

// resign gives up the leadership of the metadata log, if this node has it and there are others: they need not wait for
// its silence to tell them.
func (b *Broker) resign(now core.Now, out *core.Out) {
	b.stage = stageResigning
	b.closeConns(out)
	if b.cfg.IsController && len(b.node.Voters()) > 1 {
		b.node.Resign(now, b.store, out)
		for _, o := range b.node.Outbox() {
			b.sayQuorum(now, o, out)
		}
	} else {
		b.reign.unheard = 0
	}
	b.stopTimerIn(now, resignWait)
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
	b.peers.pool.CloseAll(now, out)
	b.peers.pool.Stepped()
	b.store.Stop(now, out)
}

// stopped ends the machine.
func (b *Broker) stopped(now core.Now, c log.Change, out *core.Out) {
	b.stage = stageStopped
	if c.Note != "" && b.boot.unloaded { // as asked; nothing failed
		out.Mark("broker.stopped-while-loading")
		out.Note(core.Warn, "stopped, and logs will be recovered at the next start: "+c.Note)
		out.Exit(0)
		return
	}
	if c.Note != "" {
		out.Note(core.Error, "the stop was not clean, logs will be recovered at the next start: "+c.Note)
		out.Exit(1)
		return
	}
	out.Note(core.Info, "stopped")
	out.Exit(0)
}
