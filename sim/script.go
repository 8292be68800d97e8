package sim

import (
	"fmt"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/wire"
)

// Op is one operation of a client during the chaos of a run: when its turn came, and the numbers that it drew for it. A list
// of them is the script of a run. Without one, clients draw their operations as they come; with one they do what is listed and
// nothing else, until the world is healed: from then on everybody goes on as drawn, to show that all is alive.
//
// A client comes to its next operation by itself: the pause after one is part of what was drawn for it, and some wait for an
// answer. In a listed run it does not do so before the operation's instant. So the whole list gives the run that it was taken
// from, and leaving one out moves no other.
type Op struct {
	At     core.Time // of the world
	Client string    // its node's name
	Draws  []Draw
	Says   string // what it was, for the reader; nothing depends on it
}

// Draw is a number that a client drew for an operation.
type Draw struct {
	Site  byte // a letter of drawLetters
	Value uint64
}

// Drawn says that a client draws its operations from the seed until an instant, instead of having them listed.
type Drawn struct {
	Client string
	Until  core.Time // of the world
}

// drawLetters name the sites at which operations draw.
const drawLetters = "wsahd"

func letterOf(site uint8) byte {
	switch site {
	case siteWork:
		return 'w'
	case siteScript:
		return 's'
	case siteAdmin:
		return 'a'
	case siteHostile:
		return 'h'
	}
	return 'd'
}

// script is the part of a run that lists or records operations. It is by node: an operation belongs to whichever life of its
// client comes to it.
type script struct {
	listed bool
	lists  []turns
	save   *Scenario // nil: nothing is recorded
	under  []int     // by node: the operation of save that is under way, and 1; 0: none
}

type turns struct {
	until core.Time // operations before are drawn
	ops   []Op
	next  int
	left  []Draw // of the operation under way
}

// turn reports whether a client does its next operation now; if not, it says on the client's clock when to ask again.
func (r *run) turn(entity uint64, now core.Now, next *core.Time) bool {
	s := r.script
	if s == nil {
		return true
	}
	node := int(entity >> 16)
	r.script.forget(node)
	if r.stage >= stageCalm {
		return true
	}
	if t := &s.lists[node]; s.listed && r.w.now >= t.until {
		if t.next == len(t.ops) {
			*next = now.Mono + max(r.cfg.Chaos-r.w.now, 0) + core.Millisecond
			return false
		}
		if at := t.ops[t.next].At; at > r.w.now {
			*next = now.Mono + at - r.w.now
			return false
		}
		t.left = t.ops[t.next].Draws
		t.next++
	}
	if s.save != nil {
		s.save.Script = append(s.save.Script, Op{At: r.w.now, Client: r.w.Nodes[node].Name})
		s.under[node] = len(s.save.Script)
	}
	return true
}

// forget ends the operation of a client that is under way, if there is one.
func (s *script) forget(node int) {
	if s.listed {
		s.lists[node].left = nil
	}
	if s.save != nil {
		s.under[node] = 0
	}
}

// choose draws a number in [0, n) for the operation of a client that is under way: the listed one if there is one. The seed's
// own is drawn all the same, so that later ones are what they would have been.
func (r *run) choose(entity uint64, site uint8, of, n uint64) uint64 {
	v := r.w.Choices.Choose(site, of, n)
	if s := r.script; s != nil && n >= 2 {
		v = s.drawn(int(entity>>16), letterOf(site), v, n)
	}
	r.w.Hash.A += v ^ uint64(site)
	return v
}

func (s *script) drawn(node int, site byte, v, n uint64) uint64 {
	if s.listed {
		left := s.lists[node].left
		for i, d := range left {
			if d.Site == site {
				v = min(d.Value, n-1)
				s.lists[node].left = append(append([]Draw(nil), left[:i]...), left[i+1:]...)
				break
			}
		}
	}
	if s.save != nil && s.under[node] > 0 {
		op := &s.save.Script[s.under[node]-1]
		op.Draws = append(op.Draws, Draw{site, v})
	}
	return v
}

// says tells the reader of a recorded script what an operation is.
func (r *run) says(entity uint64, format string, args ...any) {
	s := r.script
	if s == nil || s.save == nil || s.under[entity>>16] == 0 {
		return
	}
	op := &s.save.Script[s.under[entity>>16]-1]
	if op.Says != "" {
		op.Says += ", "
	}
	op.Says += fmt.Sprintf(format, args...)
}

// start lets everybody begin who takes part.
func (r *run) start() {
	for i := 0; i < r.auditNode; i++ {
		if !r.isAbsent(r.w.Nodes[i].Name) {
			r.w.StartAt(0, i)
		}
	}
	var plan []Fault
	if list := r.opt.Scenario; list != nil {
		plan = slices.Clone(list.Plan)
	} else {
		plan = drawPlan(r.w.Choices, &r.cfg)
	}
	r.w.SetPlan(plan)
	if save := r.opt.Save; save != nil {
		*save = Scenario{Seed: r.seed, Config: r.cfg, Plan: slices.Clone(plan), names: r.w.names()}
	}
	r.startScript()
}

// client adds a node for a client.
func (w *World) client(r *run, name string, born func(entity uint64, life uint32) core.Machine) int {
	id := uint64(len(w.Nodes))
	n := &Node{Name: name, Pure: clientPure(), Config: func(uint32) string { return "" }}
	n.Make = func(life uint32) core.Machine {
		if r.script != nil {
			r.script.forget(int(id))
		}
		return born(id<<16|uint64(life), life)
	}
	return w.Add(n, name, "0", 1<<20)
}

// clientPure is what a world computes for a client: it cuts frames, and clients decode for themselves.
func clientPure() core.Pure {
	return core.Pure{Split: wire.Split, Work: func(core.WorkKind, []byte, []byte) []byte { return nil }}
}

// startScript lets the run list or record operations, when its nodes are known.
func (r *run) startScript() {
	list, save := r.opt.Scenario, r.opt.Save
	if list == nil && save == nil {
		return
	}
	s := &script{save: save, under: make([]int, len(r.w.Nodes)), lists: make([]turns, len(r.w.Nodes))}
	r.script = s
	if list == nil {
		return
	}
	s.listed = true
	for _, d := range list.Drawn {
		if at := r.w.named(d.Client); at >= 0 {
			s.lists[at].until = d.Until
		}
	}
	for _, op := range list.Script {
		if at := r.w.named(op.Client); at >= 0 && op.At >= s.lists[at].until {
			s.lists[at].ops = append(s.lists[at].ops, op)
		}
	}
}

// isAbsent reports whether a client does not take part, groupGone whether no member of a group does.
func (r *run) isAbsent(name string) bool { return r.cfg.isGone(name) }
func (r *run) groupGone(g int) bool      { return r.cfg.groupGone(g) }

// names are the names of the nodes.
func (w *World) names() (names []string) {
	for _, n := range w.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// named finds a node by its name; -1: there is none.
func (w *World) named(name string) int {
	for i, n := range w.Nodes {
		if n.Name == name {
			return i
		}
	}
	return -1
}

func (o *Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "at %s %s", span(o.At), o.Client)
	for _, d := range o.Draws {
		fmt.Fprintf(&b, " %c%x", d.Site, d.Value)
	}
	if o.Says != "" {
		b.WriteString(" # " + o.Says)
	}
	return b.String()
}
