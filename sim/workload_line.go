package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/wire"
)

// line is a connection of a client that speaks the protocol by hand. Requests may follow each other without waiting;
// answers come in the order of the requests.
type line struct {
	name  string
	conn  core.ConnID // even, in steps of 4 and more
	table core.Op     // distinguishes the owner's lines
	state askState
	retry core.Time
	corr  int32
	waits []waiting
	node  int         // of the broker that it leads to
	more  core.ConnID // than four is the stride, where the owner has more than two lines
}

// waiting is a request without its answer.
type waiting struct {
	req  kmsg.Request
	corr int32
	at   core.Time // of the world
	node int       // the broker that was asked, and its life
	life uint32
	tag  int    // the owner's
	id   uint64 // likewise
}

const lineRetry = 80 * core.Millisecond

// open reports whether requests can be sent now, and dials if there is no connection: any broker.
func (l *line) open(r *run, entity uint64, now core.Now, out *core.Out) bool {
	if t := &r.cfg.topology; l.state == askIdle && now.Mono >= l.retry && t.many() {
		list := t.brokers()
		l.node = list[r.w.draw(siteAdmin, entity<<8, uint64(len(list)))]
	}
	return l.openTo(r, now, out)
}

// openTo is open to the broker that the line is meant for.
func (l *line) openTo(r *run, now core.Now, out *core.Out) bool {
	if l.state == askIdle && now.Mono >= l.retry {
		l.conn += 4 + l.more
		l.state = askDialling
		out.Dial(l.table<<56|core.Op(l.conn), l.conn, r.cfg.topology.host(l.node)+":9092")
	}
	return l.state == askOpen
}

// send asks in a version.
func (l *line) send(r *run, req kmsg.Request, version int16, tag int, id uint64, out *core.Out) {
	l.corr++
	req.SetVersion(version)
	l.waits = append(l.waits, waiting{req: req, corr: l.corr, at: r.w.now, node: l.node, life: r.w.Nodes[l.node].Life, tag: tag, id: id})
	out.Send(0, l.conn, wire.AppendRequest(nil, wire.Header{Key: req.Key(), Version: version, Correlation: l.corr, ClientID: l.name, HasClientID: true}, req))
}

// hang up ends the connection; what was asked stays without an answer.
func (l *line) hangUp(out *core.Out) {
	if l.state == askOpen {
		out.CloseConn(l.conn)
		l.state = askWaiting // until it is closed
	}
}

// step takes an event of this line. It returns an answer with its request, or the requests that will get none.
func (l *line) step(r *run, now core.Now, ev *core.Event, out *core.Out) (asked waiting, resp kmsg.Response, lost []waiting) {
	if ev.Kind != core.Opened && ev.Kind != core.Closed && ev.Kind != core.Frame || ev.Conn != l.conn {
		return asked, nil, nil
	}
	switch ev.Kind {
	case core.Opened:
		if l.state = askOpen; ev.Err != core.OK {
			l.state, l.retry = askIdle, now.Mono+lineRetry
		}
	case core.Closed:
		l.state, l.retry = askIdle, now.Mono+lineRetry
		lost, l.waits = l.waits, nil
	case core.Frame:
		defer out.Release(ev.Data)
		if len(l.waits) == 0 {
			r.w.Fail("I81", "an answer to "+l.name+" belongs to no request")
			return asked, nil, nil
		}
		asked, l.waits = l.waits[0], l.waits[1:]
		corr, body, err := wire.ParseResponse(ev.Data, asked.req.Key(), asked.req.GetVersion())
		if err != nil || corr != asked.corr {
			r.w.Fail("I81", "an answer to key "+wire.Name(asked.req.Key())+" does not belong to its request, or has no header")
			return asked, nil, nil
		}
		resp = asked.req.ResponseKind()
		resp.SetVersion(asked.req.GetVersion())
		if err := resp.ReadFrom(body); err != nil {
			r.w.Fail("I84", "the answer to "+wire.Name(asked.req.Key())+" can't be read: "+err.Error())
			return asked, nil, nil
		}
	}
	return asked, resp, lost
}

// oldest is the instant at which the first request without an answer was sent, or Never.
func (l *line) oldest() core.Time {
	if len(l.waits) == 0 {
		return core.Never
	}
	return l.waits[0].at
}
