package broker

import (
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listGroups serves ListGroups v0-v5: the groups that this broker coordinates. While a part of them loads, a
// list would lack some without saying so, and the code says it instead.
func (b *Broker) listGroups(now core.Now, r request, q *kmsg.ListGroupsRequest, out *core.Out) {
	resp := kmsg.NewPtrListGroupsResponse()
	resp.Groups = []kmsg.ListGroupsResponseGroup{}
	t := &groupReply{r: r, resp: resp}
	for i := range b.coords.list {
		c := &b.coords.list[i]
		switch c.shard.Phase() {
		case shard.Loading:
			resp.ErrorCode, resp.Groups = int16(wire.CoordinatorLoadInProgress), nil
			b.reply(now, r, resp, out)
			return
		case shard.Active:
			resp.Groups = c.groups.List(resp.Groups, q.StatesFilter, q.TypesFilter)
			t.awaitEnd(0, c, c.groups.EndAll())
		}
	}
	slices.SortFunc(resp.Groups, func(x, y kmsg.ListGroupsResponseGroup) int { return strings.Compare(x.Group, y.Group) })
	b.replyDurable(now, t, out)
}
