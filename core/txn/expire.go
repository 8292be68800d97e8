package txn

import (
	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"
)

// left is how much of a transaction's time is left, after an earlier coordinator had it. Only here does the wall clock count,
// which may jump: it never adds to the time.
func (s *Stored) left(now core.Now) core.Time {
	whole := core.Millis(int64(s.TimeoutMillis))
	return min(max(core.Millis(s.StartedAt).After(whole)-now.Wall, 0), whole)
}

// watch starts the clock of an Ongoing transaction.
func (s *State) watch(now core.Now, t *transaction, left core.Time) {
	t.deadline = now.Mono.After(left)
	s.setTimer(now, t)
}

// setTimer makes sure that a deadline is looked at. At most one is set for each id: an earlier one that comes too soon sets
// the next.
func (s *State) setTimer(now core.Now, t *transaction) {
	if t.timerAt == 0 || t.deadline < t.timerAt {
		t.timerAt = t.deadline
		s.deadlines.Set(t.deadline, 0, t.serial, 0)
	}
	if s.checkAt == core.Never {
		s.checkAt = now.Mono.After(s.cfg.AbortCheck)
	}
}

// Next is when Tick has something to do.
func (s *State) Next() core.Time { return min(s.checkAt, s.expiryAt, s.retryAt) }

// Tick does what is due. It reports whether a transaction waits for a producer id to be aborted.
func (s *State) Tick(env Env) (noID bool) {
	if s.retryAt <= env.Now.Mono {
		s.completeAgain(env)
	}
	if s.checkAt <= env.Now.Mono {
		noID = s.abortOverdue(env)
	}
	if s.expiryAt <= env.Now.Mono {
		s.expire(env)
	}
	return noID
}

// abortOverdue aborts the transactions whose time is over, some at a time. Those that are decided are none of them, however
// late they are.
func (s *State) abortOverdue(env Env) (noID bool) {
	again := s.cfg.AbortCheck
	for left := s.cfg.SweepMax; ; left-- {
		if left == 0 {
			again = core.Millisecond
			break
		}
		timer, ok := s.deadlines.Pop(env.Now.Mono)
		if !ok {
			break
		}
		t := s.bySerial(timer.A)
		if t == nil || t.timerAt != timer.At {
			continue
		}
		if t.timerAt = 0; t.deadline == core.Never {
			continue
		}
		if t.deadline > env.Now.Mono {
			s.setTimer(env.Now, t)
			continue
		}
		a := s.fence(env, t)
		if a.Code == wire.None && !a.NoID {
			env.Out.Mark("txn.timed-out")
			continue
		}
		noID = noID || a.NoID
		t.deadline = env.Now.Mono.After(core.Second)
		s.setTimer(env.Now, t)
		again = min(again, core.Second)
	}
	if s.checkAt = core.Never; s.deadlines.Len() > 0 {
		s.checkAt = env.Now.Mono.After(again)
	}
	return noID
}

// expire removes ids that have not been used for long, some at a time.
func (s *State) expire(env Env) {
	oldest := env.Now.Wall.Millis() - s.cfg.Expiration.Millis()
	from, to := s.sweep, min(s.sweep+s.cfg.SweepMax, len(s.all))
	s.sweep = to
	var gone []shard.Record
	for _, t := range s.all[min(from, to):to] {
		if v := &t.stored; (v.Status == Empty || v.Status.complete()) && v.UpdatedAt <= oldest {
			gone = append(gone, tombstone(t.id))
		}
	}
	if len(gone) > 0 {
		if end, code := s.append(env, gone); code == wire.None {
			env.Out.Mark("txn.expired")
			s.gone = max(s.gone, end)
			for i := range gone {
				s.Apply(gone[i].Key, nil, env.Out)
			}
			s.sweep = from // others have taken their places
		}
	}
	if s.sweep < len(s.all) {
		env.Out.Mark("txn.long-sweep")
		s.expiryAt = env.Now.Mono.After(core.Millisecond)
		return
	}
	s.sweep, s.expiryAt = 0, env.Now.Mono.After(s.cfg.ExpiryCheck)
}
