package link

import (
	"fmt"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rig is a pool and what it last asked of the world.
type rig struct {
	t    *testing.T
	pool Pool
	now  core.Now
	sent map[core.ConnID][]wire.Header // requests that have no reply
	n    uint64
}

func newRig(t *testing.T, inFlight int) *rig {
	r := &rig{t: t, sent: map[core.ConnID][]wire.Header{}, now: core.Now{Mono: core.Second}}
	r.pool = New(Options{ClientID: "me", Conns: 100, Table: 5, RequestTime: core.Second, DialTime: 2 * core.Second, ReconnectMin: 50 * core.Millisecond,
		ReconnectMax: 400 * core.Millisecond, InFlight: inFlight})
	r.pool.Seed([32]byte{1})
	return r
}

// tell writes down what came of a step: effects, then replies.
func (r *rig) tell(out *core.Out) string {
	var b strings.Builder
	for i := range out.Effects {
		e := &out.Effects[i]
		switch e.Kind {
		case core.Dial:
			fmt.Fprintf(&b, "dial conn=%d %s\n", e.Conn, e.Data)
		case core.CloseConn:
			fmt.Fprintf(&b, "close conn=%d\n", e.Conn)
		case core.Release:
			fmt.Fprintf(&b, "release\n")
		case core.Send:
			q, err := wire.ParseRequest(e.Data)
			require.NoError(r.t, err)
			r.sent[e.Conn] = append(r.sent[e.Conn], q.Header)
			fmt.Fprintf(&b, "send conn=%d %s v%d #%d\n", e.Conn, wire.Name(q.Header.Key), q.Header.Version, q.Header.Correlation)
		}
	}
	for _, g := range r.pool.Got() {
		fmt.Fprintf(&b, "got ask=%d node=%d lane=%d", g.Ask.A, g.Node, g.Lane)
		if g.Resp == nil {
			fmt.Fprintf(&b, " lost: %s\n", g.Errs)
		} else {
			fmt.Fprintf(&b, " %s, keeps its frame: %v\n", wire.Name(g.Key), g.Buf != nil)
		}
	}
	r.pool.Stepped()
	for i := range r.pool.Len() {
		p := r.pool.At(i)
		fmt.Fprintf(&b, "  node %d lane %d %s: ready=%v trying=%v flights=%d fails=%d\n", p.Node(), p.Lane(), p.Addr(), p.Ready(), p.Trying(), p.Flights(), p.Fails())
	}
	if next := r.pool.Next(); next != core.Never {
		fmt.Fprintf(&b, "  next in %d ms\n", (next - r.now.Mono).Millis())
	}
	return b.String()
}

// reply makes the frame that answers the oldest request of a connection.
func (r *rig) reply(conn core.ConnID, d *datadriven.TestData) []byte {
	h := wire.Header{Key: wire.KeyMetadata, Version: 12, Correlation: 77}
	if len(r.sent[conn]) > 0 {
		h, r.sent[conn] = r.sent[conn][0], r.sent[conn][1:]
	}
	resp := kmsg.ResponseForKey(h.Key)
	resp.SetVersion(h.Version)
	if v, ok := resp.(*kmsg.ApiVersionsResponse); ok {
		for _, key := range []int16{wire.KeyMetadata, wire.KeyFetch, wire.KeyApiVersions} {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MaxVersion = key, 12
			if key == wire.KeyApiVersions {
				k.MaxVersion = 2
			}
			v.ApiKeys = append(v.ApiKeys, k)
		}
		if d.HasArg("old") { // it does not know the version that was asked
			v.SetVersion(0)
			v.ErrorCode, h.Version = int16(wire.UnsupportedVersion), 0
		}
	}
	if m, ok := resp.(*kmsg.MetadataResponse); ok {
		d.MaybeScanArgs(r.t, "throttle", &m.ThrottleMillis)
	}
	if d.HasArg("astray") {
		h.Correlation++
	}
	frame := wire.AppendResponse(nil, h.Correlation, resp)
	if d.HasArg("cut") {
		frame = frame[:len(frame)-1]
	}
	return frame
}

func (r *rig) command(d *datadriven.TestData) string {
	var node, lane, conn, ms, wait int
	for name, v := range map[string]*int{"node": &node, "lane": &lane, "conn": &conn, "ms": &ms, "wait": &wait} {
		d.MaybeScanArgs(r.t, name, v)
	}
	addr := ""
	d.MaybeScanArgs(r.t, "addr", &addr)
	out := core.Out{}
	step := func(ev core.Event) {
		ev.Conn = core.ConnID(conn)
		r.pool.Step(r.now, &ev, &out)
	}
	err := core.OK
	if d.HasArg("refused") {
		err = core.Refused
	}
	r.pool.Sleep()
	switch d.Cmd {
	case "pool":
		n := 2
		d.MaybeScanArgs(r.t, "in-flight", &n)
		*r = *newRig(r.t, n)
	case "address":
		r.pool.Address(r.now, core.NodeID(node), Lane(lane), addr, &out)
	case "send", "send-only":
		i, found := r.pool.Find(core.NodeID(node), Lane(lane))
		if !found {
			return "unknown\n"
		}
		p := r.pool.At(i)
		if !r.pool.Usable(r.now, p, &out) {
			return "not now\n" + r.tell(&out)
		}
		key := wire.KeyMetadata
		if d.HasArg("fetch") {
			key = wire.KeyFetch
		}
		v, ok := p.Version(key, wire.Oldest(key), wire.Newest(key))
		require.True(r.t, ok)
		q := kmsg.RequestForKey(key)
		q.SetVersion(v)
		r.n++
		r.pool.Send(r.now, p, Ask{A: r.n}, q, core.Millis(int64(wait)), &out)
	case "opened":
		i := 0
		for ; r.pool.At(i).conn != core.ConnID(conn) && i+1 < r.pool.Len(); i++ {
		}
		step(core.Event{Kind: core.Opened, Op: r.pool.At(i).op, Err: err})
	case "reply":
		step(core.Event{Kind: core.Frame, Data: r.reply(core.ConnID(conn), d)})
	case "closed":
		step(core.Event{Kind: core.Closed, Err: err})
	case "wait":
		r.now.Mono += core.Millis(int64(ms))
		step(core.Event{Kind: core.Tick})
	case "hang-up":
		r.pool.Hangup(r.now, core.NodeID(node), Lane(lane), &out)
	case "forget":
		r.pool.Forget(r.now, core.NodeID(node), &out)
	case "close-all":
		r.pool.CloseAll(r.now, &out)
	default:
		d.Fatalf(r.t, "unknown command")
	}
	return r.tell(&out)
}

// Connections are made, negotiate, carry requests in order, and give every request back once.
func TestPool(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		r := newRig(t, 2)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return r.command(d) })
	})
}
