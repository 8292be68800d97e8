package sim

import (
	"fmt"
	"slices"
	"strings"

	"klamm/core"
)

// Shrink makes a small scenario of one that fails: what can be left out so that the run still fails in the same way is left out,
// kind by kind, until nothing more can be. What comes of it does not depend on how many runs are made at once.
type Shrink struct {
	Options
	Cores int
	Runs  int         // how many runs it may make at most
	Stop  func() bool // reports that time is over; nil: never
	From  *Scenario

	now     *Scenario
	failure Failure
	runs    int
	taken   []string
	needed  []string
	halted  bool
}

// Shrunk is what came of it.
type Shrunk struct {
	Scenario  *Scenario
	Failure   Failure
	Taken     []string // what was taken away, stage by stage
	Necessary []string // the faults that are left: without any one of them the run does not fail in this way
	Runs      int
	Whole     bool // nothing more could be taken away; otherwise the budget ended it
}

// sameWay reports whether two failures are of one kind: the same rule, about the same kind of thing. A panic is at the same place.
func sameWay(a, b *Failure) bool {
	return a != nil && b != nil && a.Rule == b.Rule && subject(a.Text) == subject(b.Text)
}

// subject is what a failure is about: the first word of its text without numbers, or the place of a panic.
func subject(text string) string {
	if strings.HasPrefix(text, "panic:") {
		place, _, _ := strings.Cut(text[strings.LastIndex(text, " at ")+1:], " < ")
		return place
	}
	word, _, _ := strings.Cut(text, " ")
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c == ':' {
			return -1
		}
		return c
	}, word)
}

// Run shrinks. It is an error if the scenario does not fail.
func (s *Shrink) Run() (*Shrunk, error) {
	first, saved := s.once(s.From)
	if first.Failure == nil {
		return nil, fmt.Errorf("the run breaks no rule: there is nothing to shrink")
	}
	if s.failure = *first.Failure; s.failure.At == 0 { // of a panic nobody knows when
		s.failure.At = core.Never
	}
	s.now = saved // operations that did not come to their turn are not in it
	s.now.Breaks = s.failure.Rule
	start := s.now
	if s.failure.Rule == "I87" { // such runs are long: most that do not come alive for a while never do
		s.Patience = shortPatience
	}
	s.reduceAll()
	if s.Patience > 0 { // if this one does after all, there is nothing for it but to begin anew
		s.Patience = 0
		if last, _ := s.once(s.now); !sameWay(last.Failure, &s.failure) {
			s.now, s.taken, s.halted = start, nil, false
			s.reduceAll()
		}
	}
	out := &Shrunk{Scenario: s.now, Taken: s.taken, Whole: !s.halted}
	out.Necessary = s.needed
	last, saved := s.once(s.now)
	if last.Failure != nil {
		out.Failure = *last.Failure
	}
	s.reword(saved)
	out.Runs = s.runs
	return out, nil
}

// shortPatience is how long healing may take in most runs of a shrinking whose failure is that it takes too long.
const shortPatience = 30 * core.Second

// reword gives the operations that are left the words for the reader of their last run.
func (s *Shrink) reword(saved *Scenario) {
	s.now.Script = slices.Clone(s.now.Script)
	for i := range s.now.Script {
		for _, op := range saved.Script {
			if op.Client == s.now.Script[i].Client && slices.Equal(op.Draws, s.now.Script[i].Draws) {
				s.now.Script[i].Says = op.Says
			}
		}
	}
}

// enough is how many lines are few. If more are left, so many operations are needed that which they are hardly matters.
const enough = 25

// reduceAll goes through the stages: first with operations that are drawn and not listed, which are few things to try, and then with what
// is left of them listed. If that takes many lines, the drawn ones stay.
func (s *Shrink) reduceAll() {
	x := *s.now
	x.Drawn, x.Script = everybody(s.now), nil
	if len(s.now.Script) > 0 && s.first([]*Scenario{&x}) == 0 {
		s.stages()
	}
	drawn, taken := s.now, s.taken
	_, listed := s.once(drawn)
	if listed.Breaks = s.failure.Rule; len(drawn.Drawn) > 0 && s.first([]*Scenario{listed}) == 0 {
		s.stages()
		if n := len(s.now.lines()); n > enough && n > len(drawn.lines()) {
			s.now, s.taken = drawn, taken
		}
	}
	s.round()
	s.needed = s.necessary()
}

// everybody lets all clients draw what they did in a scenario.
func everybody(x *Scenario) (list []Drawn) {
	for _, name := range x.nodeNames() {
		until := core.Time(0)
		for i := range x.Script {
			if x.Script[i].Client == name {
				until = x.Script[i].At + 1
			}
		}
		if until > 0 {
			list = append(list, Drawn{name, until})
		}
	}
	return list
}

// drawn lets clients draw nothing, or for a shorter time.
func (s *Shrink) drawn() {
	from := *s.now
	left := s.reduce(len(from.Drawn), func(gone []bool) *Scenario {
		x := from
		x.Drawn = without(from.Drawn, gone)
		return &x
	})
	s.tell("clients that draw", len(from.Drawn), left)
	for i := range s.now.Drawn {
		for few := core.Time(0); s.now.Drawn[i].Until-few > 50*core.Millisecond && !s.halted; {
			x := *s.now
			x.Drawn = slices.Clone(x.Drawn)
			middle := (few + (x.Drawn[i].Until-few)/2) / core.Millisecond * core.Millisecond
			if x.Drawn[i].Until = middle; s.first([]*Scenario{&x}) < 0 {
				few = middle
			}
		}
	}
}

// stages goes through the stages until none takes anything away.
func (s *Shrink) stages() {
	size := func() [3]int { return [3]int{len(s.now.lines()), len(s.now.Plan), len(s.now.Script)} }
	for round := 0; round < 4 && !s.halted; round++ {
		before := size()
		s.late()
		s.nodes()
		s.clients()
		s.kinds()
		s.plan()
		s.script()
		s.drawn()
		s.knobs()
		s.topics()
		if size() == before {
			break
		}
	}
}

// once runs a scenario and returns it as it was carried out.
func (s *Shrink) once(x *Scenario) (Result, *Scenario) {
	opt, saved := s.Options, &Scenario{}
	opt.Scenario, opt.Save = x, saved
	s.runs++
	return RunSafe(x.Seed, opt), saved
}

// first runs candidates and takes on the first that still fails in the same way; -1: none does. Nil ones are none.
func (s *Shrink) first(list []*Scenario) int {
	width := max(s.Cores, 1)
	for at := 0; at < len(list); at += width {
		some := list[at:min(at+width, len(list))]
		if s.halted = s.halted || s.runs >= s.Runs || s.Stop != nil && s.Stop(); s.halted {
			return -1
		}
		for i, f := range s.Options.failures(some, width) {
			if some[i] != nil {
				s.runs++
			}
			if sameWay(f, &s.failure) {
				s.now = some[i]
				return at + i
			}
		}
	}
	return -1
}

// reduce takes away as much as it can of n things, by halves, quarters, and so on. without makes the candidate that lacks those of a
// mask; it returns how many are left.
func (s *Shrink) reduce(n int, without func(gone []bool) *Scenario) (left int) {
	gone := make([]bool, n)
	for size := n; size > 0; size = (size + 1) / 2 {
		for at := 0; at < n && !s.halted; {
			masks, ends := someLess(gone, at, size, max(s.Cores, 1))
			if len(masks) == 0 {
				break
			}
			var list []*Scenario
			for _, mask := range masks {
				list = append(list, without(mask))
			}
			i := s.first(list)
			if at = ends[len(ends)-1]; i >= 0 {
				gone, at = masks[i], ends[i]
			}
		}
		if size == 1 || s.halted {
			break
		}
	}
	for _, g := range gone {
		if !g {
			left++
		}
	}
	return left
}

// someLess are the next few masks that lack size things more than gone does, from a place on, and where each of them ends.
func someLess(gone []bool, at, size, most int) (masks [][]bool, ends []int) {
	for at < len(gone) && len(masks) < most {
		mask, k := slices.Clone(gone), 0
		for ; at < len(gone) && k < size; at++ {
			if !mask[at] {
				mask[at] = true
				k++
			}
		}
		if k > 0 {
			masks, ends = append(masks, mask), append(ends, at)
		}
	}
	return masks, ends
}

// tell notes what a stage has taken away.
func (s *Shrink) tell(what string, before, after int) {
	if after < before {
		s.taken = append(s.taken, fmt.Sprintf("%s: %d of %d", what, before-after, before))
	}
}

// late drops the faults that come after the failure.
func (s *Shrink) late() {
	before := len(s.now.Plan)
	x := *s.now
	x.Plan = slices.DeleteFunc(slices.Clone(x.Plan), func(f Fault) bool { return f.At > s.failure.At })
	if len(x.Plan) < before && s.first([]*Scenario{&x}) == 0 {
		s.tell("faults after the failure", before, len(x.Plan))
	}
}

// kinds takes away whole kinds of faults.
func (s *Shrink) kinds() {
	from := *s.now
	var kinds []FaultKind
	for _, f := range from.Plan {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	left := s.reduce(len(kinds), func(gone []bool) *Scenario {
		x := from
		x.Plan = slices.DeleteFunc(slices.Clone(x.Plan), func(f Fault) bool { return gone[slices.Index(kinds, f.Kind)] })
		return &x
	})
	s.tell("kinds of faults", len(kinds), left)
}

// plan takes away single faults.
func (s *Shrink) plan() {
	from := *s.now
	left := s.reduce(len(from.Plan), func(gone []bool) *Scenario {
		x := from
		x.Plan = without(from.Plan, gone)
		return &x
	})
	s.tell("faults", len(from.Plan), left)
}

// script takes away the operations of whole clients, and then single ones.
func (s *Shrink) script() {
	from := *s.now
	var who []string
	for _, op := range from.Script {
		if !slices.Contains(who, op.Client) {
			who = append(who, op.Client)
		}
	}
	s.reduce(len(who), func(gone []bool) *Scenario {
		x := from
		x.Script = slices.DeleteFunc(slices.Clone(x.Script), func(op Op) bool { return gone[slices.Index(who, op.Client)] })
		return &x
	})
	some := *s.now
	left := s.reduce(len(some.Script), func(gone []bool) *Scenario {
		x := some
		x.Script = without(some.Script, gone)
		return &x
	})
	s.tell("operations", len(from.Script), left)
}

func without[T any](list []T, gone []bool) (left []T) {
	for i := range list {
		if !gone[i] {
			left = append(left, list[i])
		}
	}
	return left
}

// necessary makes sure that each fault that is left is needed, and lists them.
func (s *Shrink) necessary() (list []string) {
	for i := 0; i < len(s.now.Plan) && !s.halted; {
		x := *s.now
		x.Plan = slices.Delete(slices.Clone(x.Plan), i, i+1)
		if s.first([]*Scenario{&x}) < 0 {
			i++
		}
	}
	if s.halted {
		return nil
	}
	for i := range s.now.Plan {
		list = append(list, s.now.Plan[i].line(s.now.nodeNames()))
	}
	return list
}
