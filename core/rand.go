package core

import "math/bits"

// Rand is a machine's own generator (xoshiro256**), part of its state and seeded by its Boot event. It is
// not for secrets until a world gives it a secret key, which host does.
type Rand struct{ s [4]uint64 }

// NewRand makes a generator from a 256-bit key.
func NewRand(key [32]byte) Rand {
	var r Rand
	var zero uint64
	for i := range r.s {
		for j := 7; j >= 0; j-- {
			r.s[i] = r.s[i]<<8 | uint64(key[i*8+j])
		}
		zero |= r.s[i]
	}
	if zero == 0 { // the one state that xoshiro cannot leave
		r.s[0] = 0x9e3779b97f4a7c15
	}
	for range 16 { // spread keys that differ in few bits
		r.Uint64()
	}
	return r
}

// Uint64 returns 64 random bits.
func (r *Rand) Uint64() uint64 {
	x := bits.RotateLeft64(r.s[1]*5, 7) * 9
	t := r.s[1] << 17
	r.s[2] ^= r.s[0]
	r.s[3] ^= r.s[1]
	r.s[1] ^= r.s[2]
	r.s[0] ^= r.s[3]
	r.s[2] ^= t
	r.s[3] = bits.RotateLeft64(r.s[3], 45)
	return x
}

// IntN returns a number in [0, n).
func (r *Rand) IntN(n int64) int64 {
	Must(n > 0, "bound of a draw is positive")
	hi, _ := bits.Mul64(r.Uint64(), uint64(n)) // the bias, below 2^-32 for n below 2^32, matters nowhere here
	return int64(hi)
}

// ID returns a random version-4 uuid.
func (r *Rand) ID() (id TopicID) {
	a, b := r.Uint64(), r.Uint64()
	for i := range 8 {
		id[i], id[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
