package log

import (
	"sort"

	"klamm/core"
)

// Bounds of this room; those of single steps are Sizes. A ring that is full forgets its oldest border: then a read has
// to seek.
const (
	soughtMax    = 8         // borders found by Seek kept per log
	inflateMax   = 256 << 20 // of one batch that is decompressed to look for a timestamp
	smallFileMax = 256 << 20 // of checkpoint files: rows of millions of partitions; larger ones are damaged
	indexFileMax = 256 << 20 // of index files; larger ones are built anew
	snapshotMax  = 256 << 20 // of a producer snapshot
	batchesKept  = 5         // per producer, to recognise repeats
	namesMax     = 255       // bytes of a directory's name
	producersMax = 1 << 20   // per log; the one idle longest is forgotten first
	uuidHex      = "0123456789abcdef"
)

// border is where a batch lies.
type border struct {
	base, end core.Offset
	seg       core.Offset
	pos, size int64
}

// ring holds the borders of a log's newest batches. Those of a log that is tailed answer every fetch without I/O.
//
// Invariants: the n borders from first on (modulo the size) have rising offsets; the newest ends at the log's end.
type ring struct {
	b     []border
	first int
	n     int
}

func (r *ring) at(i int) *border { return &r.b[(r.first+i)%len(r.b)] }

func (r *ring) push(x border, most int) {
	if r.n == len(r.b) || r.n >= most {
		if r.n >= most {
			r.first = (r.first + 1) % len(r.b)
			r.n--
		} else {
			bigger := make([]border, max(8, 2*len(r.b)))
			for i := range r.n {
				bigger[i] = *r.at(i)
			}
			r.b, r.first = bigger, 0
		}
	}
	r.n++
	*r.at(r.n - 1) = x
}

// index returns the first border that ends above o.
func (r *ring) index(o core.Offset) int {
	return sort.Search(r.n, func(i int) bool { return r.at(i).end > o })
}

// find returns the batch that holds o or, where compaction removed it, the next; false if that lies outside.
func (r *ring) find(o core.Offset) (border, bool) {
	if r.n == 0 || o < r.at(0).base {
		return border{}, false
	}
	if i := r.index(o); i < r.n {
		return *r.at(i), true
	}
	return border{}, false
}

// Locate finds the bytes from the batch that holds offset from on: whole batches that end at or below upTo, one
// at least, or a range cut anywhere below upTo if Exact is false. It does no I/O: NeedSeek says that Seek may find
// what it needs. from is not above the high watermark for a consumer, so what lies between upTo and the end is Empty.
func (s *Store) Locate(id LogID, from, upTo core.Offset, bytesMax int64) (Slice, Located) {
	l := s.live(id)
	if l == nil || l.state != online {
		return Slice{}, Offline
	}
	if from < l.start || from > l.end {
		return Slice{}, OutOfRange
	}
	upTo = min(upTo, l.written) // what the world has not taken can't be read
	if from >= upTo {
		return Slice{}, Empty
	}
	first, ok := l.border(from)
	if !ok {
		return Slice{}, NeedSeek
	}
	if first.end > upTo {
		return Slice{}, Empty
	}
	g := l.find(first.seg)
	core.Must(g != nil, "a border lies in a segment of the log")
	slice := Slice{File: g.file, Pos: first.pos, Len: first.size, First: first.size, Exact: true, FirstEnd: first.end, End: first.end}
	if l.ring.n > 0 && first.base >= l.ring.at(0).base {
		for i := l.ring.index(first.end); i < l.ring.n; i++ {
			b := l.ring.at(i)
			if b.seg != first.seg || b.end > upTo || slice.Len+b.size > bytesMax {
				break
			}
			slice.Len += b.size
			slice.End = b.end
		}
		return slice, Found
	}
	if most := l.below(g, upTo) - first.pos; most > slice.Len && bytesMax > slice.Len {
		slice.Len, slice.Exact, slice.End = min(most, bytesMax), most <= bytesMax, min(upTo, g.end)
	}
	return slice, Found
}

// border looks for the batch that holds o among those that are known.
func (l *Log) border(o core.Offset) (border, bool) {
	if b, ok := l.ring.find(o); ok {
		return b, true
	}
	for i := range l.sought {
		if b := &l.sought[i]; b.size > 0 && b.base <= o && o < b.end {
			return *b, true
		}
	}
	return border{}, false
}

// below returns a position of g below which every batch ends at or below upTo.
func (l *Log) below(g *segment, upTo core.Offset) int64 {
	if g.end <= upTo {
		return g.size
	}
	if l.ring.n > 0 && upTo >= l.ring.at(0).base {
		if i := l.ring.index(upTo); i < l.ring.n && l.ring.at(i).seg == g.base {
			return l.ring.at(i).pos
		}
	}
	if g.ready {
		// The entry found is of a batch whose last offset is not above upTo-1, so what lies before it ends below.
		return lookup(g.index, g.base, upTo-1)
	}
	return 0
}
