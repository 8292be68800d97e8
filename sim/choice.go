package sim

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
)

// Chooser is the one source of all nondeterminism of a world. Choose draws a number in [0, n); 0 is always the
// benign choice: no fault, least delay, nothing odd.
type Chooser interface {
	Choose(site uint8, entity, n uint64) uint64
}

const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xd1342543de82ef95
	mixC = 0xa0761d6478bd642f
)

// mix folds two words into one by a wide multiplication.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^mixC, b^mixA)
	return hi ^ lo
}

// Keyed draws by H(seed, site, entity, k), where k counts the draws of that site and entity. No draw depends on
// another's having been made, so taking out one fault or one operation leaves all others as they were.
type Keyed struct {
	seed uint64
	// An open-addressed table of counters; keys are never 0 because sites are not.
	table []counted
	used  int
	Draws uint64
}

// counted is how often a site has drawn for an entity.
type counted struct {
	key   uint64
	count uint32
}

// NewKeyed makes the choices of a seed.
func NewKeyed(seed uint64) *Keyed {
	return &Keyed{seed: mix(seed+mixC, mixB), table: make([]counted, 1024)}
}

// Choose draws.
func (t *Keyed) Choose(site uint8, entity, n uint64) uint64 {
	if n < 2 {
		return 0
	}
	t.Draws++
	key := uint64(site)<<56 | entity&(1<<56-1)
	h := mix(t.seed^key, mixB)
	v := mix(h+uint64(t.next(key, h))*mixA, t.seed)
	hi, _ := bits.Mul64(v, n)
	return hi
}

func (t *Keyed) next(key, h uint64) uint32 {
	mask := uint64(len(t.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		c := &t.table[i]
		if c.key == 0 {
			if t.used*2 >= len(t.table) {
				t.grow()
				return t.next(key, h)
			}
			c.key = key
			t.used++
		}
		if c.key == key {
			c.count++
			return c.count - 1
		}
	}
}

func (t *Keyed) grow() {
	old := t.table
	t.table = make([]counted, 2*len(old))
	mask := uint64(len(t.table) - 1)
	for _, c := range old {
		if c.key == 0 {
			continue
		}
		i := mix(t.seed^c.key, mixB) & mask
		for t.table[i].key != 0 {
			i = (i + 1) & mask
		}
		t.table[i] = c
	}
}

// BytesTape draws from the bytes of a fuzzer, in the order of the draws: as few bytes as n needs, and zeros when
// they are used up, so that a short input is a calm run.
type BytesTape struct{ Left []byte }

// Choose draws.
func (t *BytesTape) Choose(_ uint8, _, n uint64) uint64 {
	if n < 2 {
		return 0
	}
	var v uint64
	for m := n - 1; m > 0 && len(t.Left) > 0; m >>= 8 {
		v, t.Left = v<<8|uint64(t.Left[0]), t.Left[1:]
	}
	return v % n
}

// Choice is one recorded draw that was not benign.
type Choice struct {
	Site   uint8
	Entity uint64
	K      uint32
	Value  uint64
}

// Recorder passes on another source's draws and keeps those that were not benign.
type Recorder struct {
	From    Chooser
	Choices []Choice
	counts  Keyed
}

// NewRecorder records the draws of from.
func NewRecorder(from Chooser) *Recorder { return &Recorder{From: from, counts: *NewKeyed(0)} }

// Choose draws.
func (r *Recorder) Choose(site uint8, entity, n uint64) uint64 {
	if n < 2 {
		return 0
	}
	key := uint64(site)<<56 | entity&(1<<56-1)
	k := r.counts.next(key, mix(r.counts.seed^key, mixB))
	v := r.From.Choose(site, entity, n)
	if v != 0 {
		r.Choices = append(r.Choices, Choice{site, entity, k, v})
	}
	return v
}

// Recorded replays a list of choices; what is not in it is benign. Entries may be removed or lowered at will.
type Recorded struct {
	values map[Choice]uint64 // keyed with Value 0; look-up only
	counts Keyed
}

// NewRecorded makes a source from a list.
func NewRecorded(list []Choice) *Recorded {
	r := &Recorded{values: make(map[Choice]uint64, len(list)), counts: *NewKeyed(0)}
	for _, c := range list {
		v := c.Value
		c.Value = 0
		r.values[c] = v
	}
	return r
}

// Choose draws.
func (r *Recorded) Choose(site uint8, entity, n uint64) uint64 {
	if n < 2 {
		return 0
	}
	key := uint64(site)<<56 | entity&(1<<56-1)
	k := r.counts.next(key, mix(r.counts.seed^key, mixB))
	return min(r.values[Choice{Site: site, Entity: entity, K: k}], n-1)
}

// Hash is a running 128-bit hash of whatever a run did.
type Hash struct{ A, B uint64 }

// Add folds words in.
func (h *Hash) Add(x, y uint64) {
	hi, lo := bits.Mul64(h.A^x^mixA, h.B^y^mixC)
	h.A, h.B = h.A+mixB^hi, h.B+hi^lo
}

// String is 32 hexadecimal digits.
func (h Hash) String() string {
	s := func(x uint64) string {
		t := strconv.FormatUint(x, 16)
		return strings.Repeat("0", 16-len(t)) + t
	}
	return s(h.A) + s(h.B)
}

// sum is a checksum of bytes, eight at a time.
func sum(b []byte) uint64 {
	h := uint64(len(b)) * mixB
	for len(b) >= 16 {
		hi, lo := bits.Mul64(binary.LittleEndian.Uint64(b)^h^mixA, binary.LittleEndian.Uint64(b[8:])^mixC)
		h, b = hi^lo, b[16:]
	}
	var x, y uint64
	if len(b) >= 8 {
		x, y = binary.LittleEndian.Uint64(b), few(b[8:])
	} else {
		x = few(b)
	}
	hi, lo := bits.Mul64(x^h^mixA, y^mixC)
	return hi ^ lo
}

// few reads up to seven bytes, the first one as the lowest. Reads that overlap say the same of a byte twice.
func few(b []byte) uint64 {
	k := len(b)
	switch {
	case k >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[k-4:]))<<(8*(k-4))
	case k > 0:
		return uint64(b[0]) | uint64(b[k/2])<<(8*(k/2)) | uint64(b[k-1])<<(8*(k-1))
	}
	return 0
}
