package core

import "strconv"

// Op names an effect in flight: 8 bits of table, 24 of generation, 32 of slot. Zero is none.
type Op uint64

// Table says which Ops table of a machine an Op belongs to, so that a Done finds its room.
func (op Op) Table() uint8 { return uint8(op >> 56) }

func (op Op) String() string {
	return strconv.Itoa(int(op.Table())) + "." + strconv.Itoa(int(uint32(op))) + "#" + strconv.Itoa(int(op>>32&0xffffff))
}

// Ops is a bounded table of effects in flight and what each is for.
//
// Invariants: live + len(free) = len(slots) <= limit; an Op is live from Start to Finish exactly once.
type Ops[T any] struct {
	table uint8
	limit int
	live  int
	slots []opSlot[T]
	free  []uint32
}

type opSlot[T any] struct {
	gen  uint32 // of the current or last life; 24 bits, never 0
	used bool
	what T
}

// NewOps makes a table. Table numbers are unique within a machine and not zero.
func NewOps[T any](table uint8, limit int) Ops[T] {
	Must(table != 0, "ops table number is not zero")
	return Ops[T]{table: table, limit: limit}
}

// Start enters what and returns its Op. The caller has looked at Room.
func (o *Ops[T]) Start(what T) Op {
	Must(o.Room() > 0, "ops table has room")
	var i uint32
	if n := len(o.free); n > 0 {
		i, o.free = o.free[n-1], o.free[:n-1]
	} else {
		i = uint32(len(o.slots))
		o.slots = append(o.slots, opSlot[T]{})
	}
	s := &o.slots[i]
	if s.gen = (s.gen + 1) & 0xffffff; s.gen == 0 {
		s.gen = 1
	}
	s.used, s.what = true, what
	o.live++
	return Op(o.table)<<56 | Op(s.gen)<<32 | Op(i)
}

// Peek returns what op is for, without ending it.
func (o *Ops[T]) Peek(op Op) (what T, ok bool) {
	i := uint32(op)
	if op.Table() != o.table || int(i) >= len(o.slots) {
		return what, false
	}
	s := &o.slots[i]
	if !s.used || s.gen != uint32(op>>32&0xffffff) {
		return what, false
	}
	return s.what, true
}

// Finish ends op and returns what it was for; false if it is not in flight.
func (o *Ops[T]) Finish(op Op) (what T, ok bool) {
	if what, ok = o.Peek(op); !ok {
		return what, false
	}
	i := uint32(op)
	var zero T
	o.slots[i].used, o.slots[i].what = false, zero
	o.free = append(o.free, i)
	o.live--
	return what, true
}

// Live is the number of effects in flight.
func (o *Ops[T]) Live() int { return o.live }

// Room is how many more may be started.
func (o *Ops[T]) Room() int { return o.limit - o.live }
