package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Cycles counts what the dependencies of committed transactions on each other show, in Adya's words. Kafka isolates no writes,
// so G0 (a cycle of writes alone) and any cycle that needs a write-write edge are legal, and G2 (one that needs an
// anti-dependency) is as well; a cycle of reads alone is not: somebody would have read what did not exist yet.
type Cycles struct {
	G0, G1c, G2 int
	Example     []string // of G1c: the transactions, in turn
}

// cycles: no cycle of write-read dependencies alone (I79).
func (c *txnCheck) cycles() {
	if c.h.Lossy {
		return
	}
	if x := c.graph(); x.G1c > 0 {
		c.fail("I79", "transactions", "each of these has read what the one before it wrote, in a ring: %s", strings.Join(x.Example, " < "))
	}
}

// FindCycles looks for cycles among the transactions of a history.
func FindCycles(h *TxnHistory) Cycles {
	c := &txnCheck{h: h, of: map[Value]int{}, write: map[Value]*Write{}, at: map[spot]Value{}, where: map[Value]spot{}, seen: map[Value]int64{}}
	c.index()
	c.offsets()
	c.decide()
	return c.graph()
}

// edges of one kind: to[i] are the transactions that depend on i.
type edges [][]int

func (e edges) add(from, to int) {
	if from >= 0 && to >= 0 && from != to && !slices.Contains(e[from], to) {
		e[from] = append(e[from], to)
	}
}

func (c *txnCheck) graph() (x Cycles) {
	n := len(c.h.Txns)
	ww, wr, rw := make(edges, n), make(edges, n), make(edges, n)
	order := c.stored()
	writer := func(k int) int {
		if i := c.of[order[k].value]; i >= 0 && c.decided[i] == committed {
			return i
		}
		return -1
	}
	last := -1
	for k := range order {
		if k > 0 && order[k-1].at.partition != order[k].at.partition {
			last = -1
		}
		if i := writer(k); i >= 0 {
			ww.add(last, i)
			last = i
		}
	}
	for i := range c.h.Txns {
		if c.decided[i] != committed {
			continue
		}
		for _, r := range c.h.Txns[i].Reads {
			if w, ok := c.of[r.Value]; ok && w >= 0 {
				wr.add(w, i)
			}
		}
		for _, top := range tops(c.h.Txns[i].Reads) { // whoever wrote next had not been read
			k, _ := slices.BinarySearchFunc(order, spot{top.Partition, top.Offset + 1}, func(s storedAt, at spot) int { return compare(s.at, at) })
			for ; k < len(order) && order[k].at.partition == top.Partition; k++ {
				if w := writer(k); w >= 0 {
					rw.add(i, w)
					break
				}
			}
		}
	}
	x.G0 = len(rings(ww))
	if list := rings(wr); len(list) > 0 {
		x.G1c = len(list)
		for _, i := range list[0] {
			x.Example = append(x.Example, c.h.Txns[i].Name)
		}
	}
	all := make(edges, n)
	for i := range all {
		for _, e := range []edges{wr, rw} {
			for _, to := range e[i] {
				all.add(i, to)
			}
		}
	}
	x.G2 = max(0, len(rings(all))-x.G1c)
	return x
}

// tops is the last record that was read of each partition.
func tops(list []Read) (out []Read) {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b Read) int {
		return cmp.Or(compare(spot{a.Partition, a.Offset}, spot{b.Partition, b.Offset}))
	})
	for i, r := range sorted {
		if i+1 == len(sorted) || sorted[i+1].Partition != r.Partition {
			out = append(out, r)
		}
	}
	return out
}

// rings lists the strongly connected components of more than one transaction (Tarjan's walk, without recursion).
func rings(e edges) (list [][]int) {
	n := len(e)
	index, low, on := make([]int, n), make([]int, n), make([]bool, n)
	var stack []int
	type frame struct{ at, next int }
	count := 0
	for root := range n {
		if index[root] != 0 {
			continue
		}
		walk := []frame{{at: root}}
		for len(walk) > 0 {
			f := &walk[len(walk)-1]
			v := f.at
			if f.next == 0 {
				count++
				index[v], low[v], on[v] = count, count, true
				stack = append(stack, v)
			}
			if f.next < len(e[v]) {
				to := e[v][f.next]
				f.next++
				switch {
				case index[to] == 0:
					walk = append(walk, frame{at: to})
				case on[to]:
					low[v] = min(low[v], index[to])
				}
				continue
			}
			walk = walk[:len(walk)-1]
			if len(walk) > 0 {
				up := walk[len(walk)-1].at
				low[up] = min(low[up], low[v])
			}
			if low[v] != index[v] {
				continue
			}
			var ring []int
			for {
				w := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				on[w] = false
				ring = append(ring, w)
				if w == v {
					break
				}
			}
			if len(ring) > 1 {
				slices.Sort(ring)
				list = append(list, ring)
			}
		}
	}
	return list
}

// String is what was found, in a line.
func (x Cycles) String() string { return fmt.Sprintf("G0 %d, G1c %d, G2 %d", x.G0, x.G1c, x.G2) }
