package broker

import (
	"klamm/core"
	"klamm/core/group"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncGroup serves SyncGroup v0-v5. A member waits for the leader's assignment, and everybody until it is durable.
func (b *Broker) syncGroup(now core.Now, r request, q *kmsg.SyncGroupRequest, out *core.Out) {
	q.Version = r.header.Version
	if q.Version >= 5 && (q.ProtocolType == nil || q.Protocol == nil) {
		b.reply(now, r, syncResponse(&group.SyncResult{Code: wire.InconsistentGroupProtocol}), out)
		return
	}
	if q.Group == "" {
		b.reply(now, r, syncResponse(&group.SyncResult{Code: wire.InvalidGroupID}), out)
		return
	}
	c, code := b.coordinator(q.Group)
	if code != wire.None {
		b.reply(now, r, syncResponse(&group.SyncResult{Code: code}), out)
		return
	}
	wait, res, done := c.groups.Sync(b.groupEnv(now, c, out), q)
	b.wakeGroups(c)
	if done {
		t := &groupReply{r: r, resp: syncResponse(&res)}
		t.awaitEnd(0, c, res.End)
		b.replyDurable(now, t, out)
		return
	}
	t := &syncTask{r: r, wait: wait, partition: c.partition, epoch: c.shard.Epoch()}
	b.park(r, t, core.Never, waitKey{kind: waitGroup, name: wait.Group})
}

// syncTask is a SyncGroup that waits for the leader's.
type syncTask struct {
	r         request
	wait      group.Wait
	partition int32
	epoch     core.Epoch
	durable   bool // decided: it waits for the shard as well
}

// Advance answers when the assignment is there and durable.
func (t *syncTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	c := b.coords.find(t.partition)
	if c == nil || c.shard.Phase() != shard.Active || c.shard.Epoch() != t.epoch {
		b.reply(now, t.r, syncResponse(&group.SyncResult{Code: wire.NotCoordinator}), out)
		return true
	}
	res, done := c.groups.Synced(t.wait)
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
	b.reply(now, t.r, syncResponse(&res), out)
	return true
}

func syncResponse(res *group.SyncResult) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ErrorCode, resp.ProtocolType, resp.Protocol, resp.MemberAssignment = int16(res.Code), res.ProtocolType, res.Protocol, res.Assignment
	return resp
}
