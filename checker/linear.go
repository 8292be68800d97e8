package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/anishathalye/porcupine"
)

// Bounds of what is handed to porcupine: its search grows with the number of operations that overlap. A
// history beyond them is cut at the bound, counted by the caller, and never called good as a whole.
const (
	LinearOpsMax    = 400 // operations of one object
	AmbiguousOpsMax = 10  // of them with unknown outcome
)

// linear runs porcupine without a wall-clock limit: the bounds above keep it short, and a verdict must not depend on the machine.
func linear(m porcupine.NondeterministicModel, ops []porcupine.Operation) bool {
	return porcupine.CheckOperations(m.ToModel(), ops)
}

// Register is one operation on a register that clients may see whole: a committed offset, a config value.
type Register struct {
	Client         int
	Invoke, Return int64 // Return is Open if Unknown
	Outcome        Outcome
	Write          bool
	Value          int64 // written, or read; None reads that there is nothing
}

// None is what a read of an empty register returns.
const None int64 = -1

// CheckRegister decides whether a register's history is linearizable (I50 for committed offsets). Unknown
// writes may take effect at any time after their start, or never; unknown reads and failed operations tell nothing.
func CheckRegister(id, subject string, history []Register) []Violation {
	ops := registerOps(history)
	if linear(registerModel, ops) {
		return nil
	}
	return []Violation{{id, subject, fmt.Sprintf("no order of its %d operations explains what was read", len(ops))}}
}

// registerOps are the operations that porcupine is given.
func registerOps(history []Register) (ops []porcupine.Operation) {
	ambiguous := 0
	for _, r := range history {
		if r.Outcome == Failed || r.Outcome == Unknown && !r.Write {
			continue
		}
		if r.Outcome == Unknown {
			if ambiguous++; ambiguous > AmbiguousOpsMax {
				break
			}
			r.Return = Open
		}
		if len(ops) == LinearOpsMax {
			break
		}
		ops = append(ops, porcupine.Operation{ClientId: r.Client, Input: r, Call: r.Invoke, Return: r.Return})
	}
	return ops
}

var registerModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{None} },
	Step: func(state, input, _ any) []any {
		in := input.(Register)
		switch {
		case in.Write && in.Outcome == Unknown:
			return []any{state, in.Value}
		case in.Write:
			return []any{in.Value}
		case in.Value == state.(int64):
			return []any{state}
		}
		return nil
	},
}

// TopicOp is one operation on the topic of one name, as the controller answered it.
type TopicOp struct {
	Client         int
	Invoke, Return int64
	Outcome        Outcome
	Kind           TopicOpKind
	ID             string // created, or described; empty: there is none
	Partitions     int32  // created, grown to, or described
	Refused        bool   // create: it was there; delete, grow: it was not. A definite answer that tells of the state.
	Again          bool   // with Refused: it may have been asked twice, and what the second one met may have been done by the first
}

// TopicOpKind says what was asked of a topic.
type TopicOpKind uint8

// The operations on a topic.
const (
	CreateTopic TopicOpKind = iota
	DeleteTopic
	GrowTopic
	DescribeTopic
)

type topicState struct {
	id         string // empty: there is none; "?" if an unknown create made it
	partitions int32
}

// CheckTopic decides whether the operations on one topic name are linearizable (I44), and whether an id ever came back (I91).
func CheckTopic(name string, history []TopicOp) (found []Violation) {
	made := map[string]bool{}
	for _, o := range history {
		if o.Kind == CreateTopic && o.Outcome == OK && !o.Refused {
			if made[o.ID] {
				found = append(found, Violation{"I91", name, "the id " + o.ID + " was given to two topics"})
			}
			made[o.ID] = true
		}
	}
	ops := topicOps(history)
	if !linear(topicModel, ops) {
		found = append(found, Violation{"I44", name, fmt.Sprintf("no order of its %d operations explains the answers", len(ops))})
	}
	return found
}

// topicOps are the operations that porcupine is given.
func topicOps(history []TopicOp) (ops []porcupine.Operation) {
	ambiguous := 0
	for _, o := range history {
		if o.Outcome == Failed || o.Outcome == Unknown && o.Kind == DescribeTopic {
			continue
		}
		if o.Outcome == Unknown {
			if ambiguous++; ambiguous > AmbiguousOpsMax {
				break
			}
			o.Return = Open
		}
		if len(ops) == LinearOpsMax {
			break
		}
		ops = append(ops, porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Invoke, Return: o.Return})
	}
	return ops
}

var topicModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{topicState{}} },
	Step: func(state, input, _ any) []any {
		s, in := state.(topicState), input.(TopicOp)
		next, ok := s.after(in)
		switch {
		case in.Refused && in.Again && !ok: // then the first one has done it
			in.Refused, in.Outcome = false, Unknown
			if next, ok = s.after(in); !ok {
				return nil
			}
			return []any{next}
		case in.Outcome == Unknown && ok:
			return []any{s, next}
		case in.Outcome == Unknown:
			return []any{s}
		case ok:
			return []any{next}
		}
		return nil
	},
}

// after is the state after an operation; false if its answer does not fit this state.
func (s topicState) after(o TopicOp) (topicState, bool) {
	there := s.id != ""
	switch o.Kind {
	case CreateTopic:
		if o.Outcome == Unknown {
			return topicState{"?", o.Partitions}, !there
		}
		if o.Refused {
			return s, there
		}
		return topicState{o.ID, o.Partitions}, !there
	case DeleteTopic:
		if o.Refused {
			return s, !there
		}
		return topicState{}, there
	case GrowTopic:
		if o.Refused {
			return s, !there || s.partitions >= o.Partitions
		}
		return topicState{s.id, o.Partitions}, there && s.partitions < o.Partitions
	}
	if o.ID == "" {
		return s, !there
	}
	return topicState{o.ID, s.partitions}, there && (s.id == o.ID || s.id == "?") && s.partitions == o.Partitions
}

// CheckSmallLog is the log of one partition as a sequential model, for short histories: a spot check of
// CheckLog by other means. All its sends must be idempotent or acknowledged, and nothing may have been deleted.
// It reports checked=false, and no violation, for a history beyond the bounds.
func CheckSmallLog(l *Log) (found []Violation, checked bool) {
	var ops []porcupine.Operation
	ambiguous := 0
	for i := range l.Sends {
		s := &l.Sends[i]
		switch {
		case s.Outcome == Failed:
			continue
		case s.Outcome == Unknown:
			ambiguous++
			if !s.Idempotent {
				return nil, false
			}
		}
		ret := s.Return
		if s.Outcome == Unknown {
			ret = Open
		}
		ops = append(ops, porcupine.Operation{ClientId: s.Producer, Input: s, Call: s.Invoke, Return: ret})
	}
	for i := range l.Polls {
		ops = append(ops, porcupine.Operation{ClientId: 1000 + l.Polls[i].Consumer, Input: &l.Polls[i], Call: l.Polls[i].Invoke, Return: l.Polls[i].Return})
	}
	if len(ops) > LinearOpsMax || ambiguous > AmbiguousOpsMax || len(l.Deletions) > 0 || !l.Retains || l.Compacted || l.Lossy {
		return nil, false
	}
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	if linear(logModel, ops) {
		return nil, true
	}
	return []Violation{{"I79", l.Partition.String(), "no order of its " + strconv.Itoa(len(ops)) + " operations explains what was read"}}, true
}

// logState is a log as a list that shares its front with the logs that it grew from.
type logState struct {
	n     int64 // records
	hash  uint64
	value Value
	front *logState
}

func (s *logState) push(v Value) *logState {
	return &logState{s.n + 1, (s.hash ^ uint64(v)) * 0x9e3779b97f4a7c15, v, s}
}

func (s *logState) at(offset int64) Value {
	for s.n > offset+1 {
		s = s.front
	}
	return s.value
}

var logModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{&logState{}} },
	Equal: func(a, b any) bool {
		return a.(*logState).n == b.(*logState).n && a.(*logState).hash == b.(*logState).hash
	},
	Hash: func(a any) uint64 { return a.(*logState).hash },
	Step: func(state, input, _ any) []any {
		s := state.(*logState)
		if p, ok := input.(*Poll); ok {
			if s.shows(p) {
				return []any{s}
			}
			return nil
		}
		in := input.(*Send)
		if in.Outcome == OK && in.Acks != 0 && in.Base != s.n {
			return nil
		}
		next := s
		for _, v := range in.Values {
			next = next.push(v)
		}
		if in.Outcome == Unknown || in.Acks == 0 {
			return []any{s, next}
		}
		return []any{next}
	},
}

// shows reports whether a log could have answered a poll: what it holds from the position on, and nothing only at its end.
func (s *logState) shows(p *Poll) bool {
	if len(p.Records) == 0 {
		return p.From >= s.n
	}
	for i, r := range p.Records {
		if r.Offset != p.From+int64(i) || r.Offset >= s.n || s.at(r.Offset) != r.Value {
			return false
		}
	}
	return true
}
