package image

import (
	"iter"
	"slices"
)

// chunkMax is the most entries of a chunk of a table; a full one is split in two.
const chunkMax = 128

// entry is what a table holds: it knows its key's order.
type entry[K any] interface {
	compare(key K) int // its own key against key
	key() K
}

// table is a sorted set of entries by key that shares its chunks with the tables it was derived from.
//
// Invariants: no chunk is empty; keys rise through each chunk and from chunk to chunk; n is the number of
// entries. A chunk whose gen is that of the builder belongs to the builder alone.
type table[K any, E entry[K]] struct {
	n      int
	gen    uint64 // of the slice chunks itself
	chunks []chunk[E]
}

type chunk[E any] struct {
	gen  uint64
	rows []E
}

// find returns where key is or would be.
func (t *table[K, E]) find(key K) (c, row int, ok bool) {
	// The chunk is the last one whose first key is not above key.
	c, exact := slices.BinarySearchFunc(t.chunks, key, func(c chunk[E], key K) int { return c.rows[0].compare(key) })
	if exact {
		return c, 0, true
	}
	if c > 0 {
		c--
	}
	if len(t.chunks) == 0 {
		return 0, 0, false
	}
	row, ok = slices.BinarySearchFunc(t.chunks[c].rows, key, func(e E, key K) int { return e.compare(key) })
	return c, row, ok
}

func (t *table[K, E]) get(key K) (e E, ok bool) {
	c, row, ok := t.find(key)
	if !ok {
		return e, false
	}
	return t.chunks[c].rows[row], true
}

// own makes the list of chunks, and chunk c if there is one, the builder's own.
func (t *table[K, E]) own(gen uint64, c int) {
	if t.gen != gen {
		t.chunks, t.gen = slices.Clone(t.chunks), gen
	}
	if c < len(t.chunks) && t.chunks[c].gen != gen {
		rows := make([]E, len(t.chunks[c].rows), len(t.chunks[c].rows)+8)
		copy(rows, t.chunks[c].rows)
		t.chunks[c] = chunk[E]{gen: gen, rows: rows}
	}
}

// put adds e, in place of the entry with its key if there is one.
func (t *table[K, E]) put(gen uint64, e E) {
	c, row, ok := t.find(e.key())
	t.own(gen, c)
	switch {
	case ok:
		t.chunks[c].rows[row] = e
		return
	case len(t.chunks) == 0:
		t.chunks = append(t.chunks, chunk[E]{gen: gen, rows: []E{e}})
	case len(t.chunks[c].rows) < chunkMax:
		t.chunks[c].rows = slices.Insert(t.chunks[c].rows, row, e)
	default:
		rows := slices.Insert(slices.Clone(t.chunks[c].rows), row, e)
		half := len(rows) / 2
		if c == len(t.chunks)-1 && row == chunkMax {
			half = chunkMax // rising keys, as a snapshot brings them, leave full chunks behind
		}
		upper := chunk[E]{gen: gen, rows: slices.Clone(rows[half:])}
		t.chunks[c].rows = rows[:half:half]
		t.chunks = slices.Insert(t.chunks, c+1, upper)
	}
	t.n++
}

// remove takes out the entry of that key.
func (t *table[K, E]) remove(gen uint64, key K) bool {
	c, row, ok := t.find(key)
	if !ok {
		return false
	}
	t.own(gen, c)
	t.chunks[c].rows = slices.Delete(t.chunks[c].rows, row, row+1)
	if len(t.chunks[c].rows) == 0 {
		t.chunks = slices.Delete(t.chunks, c, c+1)
	}
	t.n--
	return true
}

// from walks the entries whose keys are not below key.
func (t *table[K, E]) from(key K) iter.Seq[E] {
	return func(yield func(E) bool) {
		c, row, _ := t.find(key)
		for ; c < len(t.chunks); c, row = c+1, 0 {
			for ; row < len(t.chunks[c].rows); row++ {
				if !yield(t.chunks[c].rows[row]) {
					return
				}
			}
		}
	}
}
