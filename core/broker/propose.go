package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// proposeWait bounds how long a reply waits for the logs of what it made; the change itself is committed by then.
const proposeWait = 30 * core.Second

// propose appends the records that the controller decided on, and answers with resp once they are committed, this
// broker's image has them, and the logs that they ask for can be used. Without records it answers at once.
func (b *Broker) propose(now core.Now, r request, resp kmsg.Response, records []wire.Record, out *core.Out) {
	if len(records) == 0 {
		b.reply(now, r, resp, out)
		return
	}
	end, ok := b.appendMetadata(now, records, out)
	if !ok {
		b.dropConn(r.conn, "the metadata log takes no records", out)
		b.noReply(now, r, out)
		return
	}
	resp.SetVersion(r.header.Version)
	frame := wire.AppendResponse(nil, r.header.Correlation, resp)
	b.park(r, &proposeTask{r: r, end: end, frame: frame, deadline: now.Mono.After(proposeWait)}, now.Mono.After(proposeWait), waitKey{kind: waitImage})
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

// proposeTask is a request whose change is on its way into the metadata.
type proposeTask struct {
	r        request
	end      core.Offset
	frame    []byte
	deadline core.Time
}

// Advance waits for the change to be in force.
func (t *proposeTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.img.End() < t.end || b.parts.opening > 0 && now.Mono < t.deadline {
		return false
	}
	b.replyFrame(now, t.r, t.frame, out)
	return true
}
