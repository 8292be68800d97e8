package broker

import (
	"klamm/core"
	"klamm/core/controller"
	"klamm/core/group"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupHeartbeat serves ConsumerGroupHeartbeat v0-v1. The reply leaves when what it tells the member is durable.
func (b *Broker) consumerGroupHeartbeat(now core.Now, r request, q *kmsg.ConsumerGroupHeartbeatRequest, out *core.Out) {
	q.Version = r.header.Version
	if b.img.Feature(controller.GroupVersion) < 1 {
		text := "The cluster's group.version is below 1."
		b.reply(now, r, consumerHeartbeatError(wire.UnsupportedVersion, &text), out)
		return
	}
	c, code := b.coordinator(q.Group)
	if code != wire.None {
		b.reply(now, r, consumerHeartbeatError(code, nil), out)
		return
	}
	resp, end := c.groups.ConsumerHeartbeat(b.groupEnv(now, c, out), q, group.Client{ID: r.header.ClientID, Host: b.clientHost(r)})
	b.wakeGroups(c)
	t := &groupReply{r: r, resp: resp}
	t.awaitEnd(0, c, end)
	b.replyDurable(now, t, out)
}

func consumerHeartbeatError(code wire.Code, text *string) *kmsg.ConsumerGroupHeartbeatResponse {
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	resp.ErrorCode, resp.ErrorMessage = int16(code), text
	return resp
}
