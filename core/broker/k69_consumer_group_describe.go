package broker

import (
	"klamm/core"
	"klamm/core/controller"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupDescribe serves ConsumerGroupDescribe v0-v1. What is asked for twice is told once.
func (b *Broker) consumerGroupDescribe(now core.Now, r request, q *kmsg.ConsumerGroupDescribeRequest, out *core.Out) {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	t := &groupReply{r: r, resp: resp}
	seen := make(map[string]bool, len(q.Groups))
	for _, name := range q.Groups {
		if seen[name] {
			continue
		}
		seen[name] = true
		if b.img.Feature(controller.GroupVersion) < 1 {
			resp.Groups = append(resp.Groups, consumerDescribeError(name, wire.UnsupportedVersion))
			continue
		}
		c, code := b.coordinator(name)
		if code != wire.None {
			resp.Groups = append(resp.Groups, consumerDescribeError(name, code))
			continue
		}
		d, code, end := c.groups.DescribeConsumer(name, b.img)
		if code != wire.None {
			d.ErrorCode = int16(code)
		} else if q.IncludeAuthorizedOperations {
			d.AuthorizedOperations = groupOperations
		}
		t.awaitEnd(len(resp.Groups), c, end)
		resp.Groups = append(resp.Groups, d)
	}
	b.replyDurable(now, t, out)
}

func consumerDescribeError(name string, code wire.Code) kmsg.ConsumerGroupDescribeResponseGroup {
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	d.Group, d.ErrorCode = name, int16(code)
	return d
}
