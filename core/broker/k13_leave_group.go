package broker

import (
	"klamm/core"
	"klamm/core/group"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveGroup serves LeaveGroup v0-v5: one member below v3, several from there on, each with its own code.
func (b *Broker) leaveGroup(now core.Now, r request, q *kmsg.LeaveGroupRequest, out *core.Out) {
	resp := kmsg.NewPtrLeaveGroupResponse()
	t := &groupReply{r: r, resp: resp}
	if q.Group == "" {
		resp.ErrorCode = int16(wire.InvalidGroupID)
		b.reply(now, r, resp, out)
		return
	}
	c, code := b.coordinator(q.Group)
	if code != wire.None {
		resp.ErrorCode = int16(code)
		b.reply(now, r, resp, out)
		return
	}
	leavers := []group.Leaver{{ID: q.MemberID}}
	if r.header.Version >= 3 {
		leavers = leavers[:0]
		for i := range q.Members {
			leavers = append(leavers, group.Leaver{ID: q.Members[i].MemberID, Instance: q.Members[i].InstanceID})
		}
	}
	code, end := c.groups.Leave(b.groupEnv(now, c, out), q.Group, leavers)
	b.wakeGroups(c)
	resp.ErrorCode = int16(code)
	if r.header.Version < 3 {
		resp.ErrorCode = int16(leavers[0].Code)
	}
	for _, l := range leavers {
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID, m.ErrorCode = l.ID, l.Instance, int16(l.Code)
		resp.Members = append(resp.Members, m)
	}
	t.awaitEnd(0, c, end)
	b.replyDurable(now, t, out)
}
