package host

import (
	"time"

	"klamm/core"
)

// clock reads both clocks of a machine: a monotonic one that begins at the node's start, and the wall
// clock, which may jump.
type clock struct{ start time.Time }

func (c *clock) now() core.Now {
	t := time.Now()
	return core.Now{Mono: core.Time(t.Sub(c.start)), Wall: core.Time(t.UnixNano())}
}
