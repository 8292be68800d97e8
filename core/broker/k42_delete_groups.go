package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteGroups serves DeleteGroups v0-v2. A group that is named twice is deleted once and has one row.
func (b *Broker) deleteGroups(now core.Now, r request, q *kmsg.DeleteGroupsRequest, out *core.Out) {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	t := &groupReply{r: r, resp: resp}
	seen := make(map[string]bool, len(q.Groups))
	for _, name := range q.Groups {
		if seen[name] {
			continue
		}
		seen[name] = true
		row := kmsg.NewDeleteGroupsResponseGroup()
		row.Group = name
		c, code := b.coordinator(name)
		if code == wire.None {
			var end core.Offset
			code, end = c.groups.Delete(b.groupEnv(now, c, out), name)
			b.wakeGroups(c)
			t.awaitEnd(len(resp.Groups), c, end)
		}
		row.ErrorCode = int16(code)
		resp.Groups = append(resp.Groups, row)
	}
	b.replyDurable(now, t, out)
}
