package client

import (
	"klamm/core"
	"klamm/core/link"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// leave sends LeaveGroup once the commits are through. A static member stays: it will be back (KIP-345).
func (c *Consumer) leave(now core.Now, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	c.goodbye(now, g.id == "" || o.Instance != "" || !c.isMember(), kmsg.LeaveGroup, func(v int16) kmsg.Request {
		q := kmsg.NewLeaveGroupRequest()
		q.SetVersion(v)
		q.Group, q.MemberID = o.ID, g.id
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = g.id
		q.Members = append(q.Members, m)
		return &q
	}, out)
}

// goodbye ends the membership: at once if nobody has to be told (quiet) or the time for it is over, or else when the
// answer to what say makes has come. Commits go first.
func (c *Consumer) goodbye(now core.Now, quiet bool, key kmsg.Key, say func(version int16) kmsg.Request, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	if now.Mono >= g.retryAt || len(g.commits) == 0 && quiet {
		c.end()
		return
	}
	c.pool.WakeAt(g.retryAt)
	if len(g.commits) > 0 || g.left {
		return
	}
	to := c.coordinator(now, o.ID, coordinator, out)
	if to == nil {
		return
	}
	v, ok := versionOf(to, int16(key), -1)
	if !ok {
		c.end()
		return
	}
	g.left = true
	c.pool.Send(now, to, link.Ask{Kind: askLeave}, say(v), c.opt.RequestTime, out)
}

// end takes note that the membership is over.
func (c *Consumer) end() {
	g := &c.group
	for _, at := range c.Reading() {
		c.remove(at)
	}
	g.state, g.owned, g.generation = gone, nil, -1
}
