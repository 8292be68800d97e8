package sim

import "klamm/core"

// item is one thing that will happen. The order is total: by instant, then by tie, then by the order of asking.
type item struct {
	at   core.Time
	tie  uint32
	node int16
	kind itemKind
	seq  uint64
	a    uint64
}

type itemKind uint8

const (
	itemTick    itemKind = iota // a: the node's timer number
	itemNet                     // a: netsim's token
	itemDisk                    // node: the disk; a: its token
	itemFault                   // a: index in the plan
	itemEnd                     // a: index in the plan: the fault is over
	itemStart                   // node starts; a: its life
	itemResume                  // node goes on after a pause; a: its life
	itemPhase                   // a: the phase that begins
	itemStopped                 // the node must have stopped; a: the life that was asked to
)

func (x *item) less(y *item) bool {
	if x.at != y.at {
		return x.at < y.at
	}
	if x.tie != y.tie {
		return x.tie < y.tie
	}
	return x.seq < y.seq
}

// heap4 is a 4-ary heap, written out for items: a generic one is half as fast.
type heap4 struct{ list []item }

func (h *heap4) push(x item) {
	h.list = append(h.list, x)
	i := len(h.list) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !x.less(&h.list[p]) {
			break
		}
		h.list[i] = h.list[p]
		i = p
	}
	h.list[i] = x
}

func (h *heap4) pop() item {
	l := h.list
	top := l[0]
	n := len(l) - 1
	x := l[n]
	l = l[:n]
	h.list = l
	if n == 0 {
		return top
	}
	i := 0
	for {
		c := 4*i + 1
		if c >= n {
			break
		}
		least := c
		for j := c + 1; j < n && j < c+4; j++ {
			if l[j].less(&l[least]) {
				least = j
			}
		}
		if !l[least].less(&x) {
			break
		}
		l[i] = l[least]
		i = least
	}
	l[i] = x
	return top
}
