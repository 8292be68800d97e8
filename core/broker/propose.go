package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// proposeWait bounds how long a reply waits for the logs of what it made; the change itself is committed by then.
const proposeWait = 30 * core.Second

// propose appends the records that the controller decided on, and answers with resp once they are committed, this
// node's image has them, and the logs that they ask for can be used. Without records it answers at once.
func (b *Broker) propose(now core.Now, r request, q kmsg.Request, resp kmsg.Response, records []wire.Record, out *core.Out) {
	if len(records) == 0 {
		b.reply(now, r, resp, out)
		return
	}
	end, ok := b.appendMetadata(now, records, out)
	if !ok {
		b.refuse(now, r, q, wire.NotController, out)
		return
	}
	t := &proposeTask{r: r, q: q, end: end, topics: grown(records), epoch: b.reign.epoch, deadline: now.Mono.After(proposeWait)}
	if r.via == viaSelf {
		t.resp = resp
	} else {
		t.frame = encode(r, resp)
	}
	b.park(r, t, t.deadline, waitKey{kind: waitImage})
}

// appendMetadata appends what the controller decided to the metadata log, and tells it so.
func (b *Broker) appendMetadata(now core.Now, records []wire.Record, out *core.Out) (end core.Offset, ok bool) {
	end, ok = b.node.Append(now, records, b.ctl.Level(), b.store, out)
	if !ok {
		out.Mark("broker.metadata-append-refused")
		return 0, false
	}
	_, epoch := b.node.Leader()
	b.ctl.Appended(records, end, epoch)
	return end, true
}

// grown lists the topics that get partitions by these records.
func grown(records []wire.Record) (ids []core.TopicID) {
	for _, r := range records {
		if x, is := r.(*wire.PartitionRecord); is && (len(ids) == 0 || ids[len(ids)-1] != x.TopicID) {
			ids = append(ids, x.TopicID)
		}
	}
	return ids
}

// proposeTask is a request whose change is on its way into the metadata.
type proposeTask struct {
	r        request
	q        kmsg.Request
	end      core.Offset
	topics   []core.TopicID // that get partitions
	epoch    core.Epoch     // of the leadership that appended the change
	resp     kmsg.Response
	frame    []byte
	deadline core.Time
}

// Advance waits for the change to be in force. If another leader came first, whatever is now below end may be another
// change: nobody here will ever know, so the answer is none of success.
func (t *proposeTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	if !b.active() || b.reign.epoch != t.epoch {
		out.Mark("broker.proposal-lost")
		b.refuse(now, t.r, t.q, wire.NotController, out)
		return true
	}
	if b.img.End() < t.end || t.r.via != viaSelf && b.parts.anyOpening(t.topics...) && now.Mono < t.deadline {
		return false
	}
	if t.r.via == viaSelf {
		b.reply(now, t.r, t.resp, out)
	} else {
		b.replyFrame(now, t.r, t.frame, out)
	}
	return true
}
