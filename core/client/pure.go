package client

import (
	"klamm/core"
	"klamm/core/wire"
)

// Pure is what a world needs to carry clients alone: how to find the end of a frame. Replies are decoded
// by whoever asked, who knows their form.
func Pure() core.Pure { return core.Pure{Split: wire.Split} }
