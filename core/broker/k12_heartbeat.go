package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat serves Heartbeat v0-v4.
func (b *Broker) heartbeat(now core.Now, r request, q *kmsg.HeartbeatRequest, out *core.Out) {
	resp := kmsg.NewPtrHeartbeatResponse()
	t := &groupReply{r: r, resp: resp}
	code := wire.InvalidGroupID
	if q.Group != "" {
		var c *coordinator
		if c, code = b.coordinator(q.Group); code == wire.None {
			var end core.Offset
			code, end = c.groups.Heartbeat(b.groupEnv(now, c, out), q)
			t.awaitEnd(0, c, end)
		}
	}
	resp.ErrorCode = int16(code)
	b.replyDurable(now, t, out)
}
