package image

import (
	"math"
	"strconv"
)

// Scaled reads a number of any type, a double too, in parts of the given size: a ratio in millionths, for instance, since no state
// has floats. It is the greatest int64 if that is too small for it, and 0 for what is no number.
func (v Value) Scaled(parts int64) int64 {
	f, err := strconv.ParseFloat(v.Text, 64)
	if f = math.Round(f * float64(parts)); err != nil || math.IsNaN(f) {
		return 0
	}
	if f >= math.MaxInt64 {
		return math.MaxInt64
	}
	return max(int64(f), -math.MaxInt64)
}
