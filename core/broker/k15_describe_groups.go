package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeGroups serves DescribeGroups v0-v6. A group that is not there is Dead, from v6 on with GROUP_ID_NOT_FOUND.
// What is asked for twice is told once.
func (b *Broker) describeGroups(now core.Now, r request, q *kmsg.DescribeGroupsRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	t := &groupReply{r: r, resp: resp}
	seen := make(map[string]bool, len(q.Groups))
	for _, name := range q.Groups {
		if seen[name] {
			continue
		}
		seen[name] = true
		c, code := b.coordinator(name)
		if code != wire.None {
			resp.Groups = append(resp.Groups, describeError(name, code))
			continue
		}
		d, found, end := c.groups.Describe(name)
		if !found && r.header.Version >= 6 {
			d.ErrorCode = int16(wire.GroupIDNotFound)
		}
		if q.IncludeAuthorizedOperations && d.ErrorCode == 0 {
			d.AuthorizedOperations = groupOperations
		}
		t.awaitEnd(len(resp.Groups), c, end)
		resp.Groups = append(resp.Groups, d)
	}
	b.replyDurable(now, t, out)
}

func describeError(name string, code wire.Code) kmsg.DescribeGroupsResponseGroup {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group, d.ErrorCode = name, int16(code)
	return d
}
