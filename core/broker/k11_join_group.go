package broker

import (
	"klamm/core"
	"klamm/core/group"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinGroup serves JoinGroup v0-v9. It waits until the group's round is over and its generation is durable.
func (b *Broker) joinGroup(now core.Now, r request, q *kmsg.JoinGroupRequest, out *core.Out) {
	q.Version = r.header.Version
	if q.Group == "" { // belongs to no coordinator
		b.reply(now, r, joinResponse(&group.JoinResult{Code: wire.InvalidGroupID, Generation: -1, MemberID: q.MemberID}), out)
		return
	}
	c, code := b.coordinator(q.Group)
	if code != wire.None {
		b.reply(now, r, joinResponse(&group.JoinResult{Code: code, Generation: -1, MemberID: q.MemberID}), out)
		return
	}
	wait, res, done := c.groups.Join(b.groupEnv(now, c, out), q, group.Client{ID: r.header.ClientID, Host: b.clientHost(r)})
	b.wakeGroups(c)
	if !done { // it may have been the last one that was missing
		res, done = c.groups.Joined(wait)
	}
	if done {
		t := &groupReply{r: r, resp: joinResponse(&res)}
		t.awaitEnd(0, c, res.End)
		b.replyDurable(now, t, out)
		return
	}
	t := &joinTask{r: r, wait: wait, partition: c.partition, epoch: c.shard.Epoch()}
	b.park(r, t, core.Never, waitKey{kind: waitGroup, name: wait.Group})
}

// joinTask is a JoinGroup that waits for the others.
type joinTask struct {
	r         request
	wait      group.Wait
	partition int32
	epoch     core.Epoch
	durable   bool // decided: it waits for the shard as well
}

// Advance answers when the coordinator has decided and what it decided is durable.
func (t *joinTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	c := b.coords.find(t.partition)
	if c == nil || c.shard.Phase() != shard.Active || c.shard.Epoch() != t.epoch {
		b.reply(now, t.r, joinResponse(&group.JoinResult{Code: wire.NotCoordinator, Generation: -1, MemberID: t.wait.Member}), out)
		return true
	}
	res, done := c.groups.Joined(t.wait)
	if !done {
		return false
	}
	if b.outcome(groupWait{false, 0, t.partition, t.epoch, res.End}) != shard.Committed {
		if !t.durable {
			t.durable = true
			b.alsoWait(waitKey{kind: waitShard, id: uint64(t.partition)})
		}
		return false
	}
	b.reply(now, t.r, joinResponse(&res), out)
	return true
}

func joinResponse(res *group.JoinResult) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.ErrorCode, resp.Generation, resp.ProtocolType, resp.Protocol = int16(res.Code), res.Generation, res.ProtocolType, res.Protocol
	resp.LeaderID, resp.MemberID, resp.SkipAssignment = res.Leader, res.MemberID, res.Skip
	resp.Members = res.Members
	return resp
}
