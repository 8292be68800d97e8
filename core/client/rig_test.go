package client

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/wire"
)

// rig is a world of one client machine and brokers that a test plays: it keeps what the machine dialled
// and asked, and the test answers.
type rig struct {
	t     require.TestingT
	m     core.Machine
	now   core.Now
	out   core.Out
	marks core.Marks
	dials []dialled
	conns []*line // open ones, in the order of dialling
	lost  []*line // closed: what they carried towards the broker may still arrive
	freed int
}

type dialled struct {
	op   core.Op
	conn core.ConnID
	addr string
}

// line is one connection: requests on their way to the broker, replies on their way back.
type line struct {
	conn     core.ConnID
	addr     string
	requests [][]byte
	replies  [][]byte
}

func newRig(t require.TestingT, m core.Machine) *rig {
	r := &rig{t: t, m: m, now: core.Now{Wall: core.Millis(1_000_000)}}
	r.out.Marks = &r.marks
	r.step(core.Event{Kind: core.Boot, Data: core.BootInfo{Key: [32]byte{1}}.Append(nil)})
	return r
}

func (r *rig) step(ev core.Event) {
	r.m.Step(r.now, &ev, &r.out)
	r.carryOut()
	r.m.Step(r.now, &core.Event{Kind: core.Tick}, &r.out) // for nothing: it may do no harm
	r.carryOut()
}

func (r *rig) carryOut() {
	for len(r.out.Effects) > 0 {
		e := r.out.Effects[0]
		r.out.Effects = r.out.Effects[1:]
		switch e.Kind {
		case core.Dial:
			r.dials = append(r.dials, dialled{e.Op, e.Conn, string(e.Data)})
		case core.Send:
			if l := r.line(e.Conn); l != nil {
				l.requests = append(l.requests, slices.Clone(e.Data))
				if e.Op != 0 {
					r.m.Step(r.now, &core.Event{Kind: core.Done, Op: e.Op}, &r.out)
				}
			}
		case core.CloseConn:
			r.dials = slices.DeleteFunc(r.dials, func(d dialled) bool { return d.conn == e.Conn })
			r.cut(e.Conn)
		case core.Release:
			r.freed++
			for i := range e.Data {
				e.Data[i] = 0xdd // whoever still reads it shall notice
			}
		}
	}
}

func (r *rig) line(c core.ConnID) *line {
	for _, l := range r.conns {
		if l.conn == c {
			return l
		}
	}
	return nil
}

// cut takes a connection away without telling the machine.
func (r *rig) cut(c core.ConnID) {
	if i := slices.IndexFunc(r.conns, func(l *line) bool { return l.conn == c }); i >= 0 {
		r.lost = append(r.lost, r.conns[i])
		r.conns = slices.Delete(r.conns, i, i+1)
	}
}

// open lets the oldest dial succeed, or fail.
func (r *rig) open(err core.Errno) {
	d := r.dials[0]
	r.dials = r.dials[1:]
	if err == core.OK {
		r.conns = append(r.conns, &line{conn: d.conn, addr: d.addr})
	}
	r.step(core.Event{Kind: core.Opened, Op: d.op, Conn: d.conn, Err: err, Data: core.ConnInfo{Remote: d.addr}.Append(nil)})
}

func (r *rig) kill(c core.ConnID, why core.Errno) {
	r.cut(c)
	r.step(core.Event{Kind: core.Closed, Conn: c, Err: why})
}

// pass lets time go by, in steps at which the machine wants to be woken.
func (r *rig) pass(d core.Time) {
	until := r.now.Mono + d
	for n := 0; ; n++ {
		require.Less(r.t, n, 100_000, "the machine asks to be woken without end")
		next := r.m.Next()
		if next > until {
			break
		}
		if next > r.now.Mono {
			r.now.Wall += next - r.now.Mono
			r.now.Mono = next
		}
		r.step(core.Event{Kind: core.Tick})
	}
	r.now.Wall += until - r.now.Mono
	r.now.Mono = until
	r.step(core.Event{Kind: core.Tick})
}

// request decodes a frame that the machine sent.
func (r *rig) request(frame []byte) (wire.Header, kmsg.Request) {
	h, body, err := wire.ParseRequestHeader(frame)
	require.NoError(r.t, err)
	q := kmsg.RequestForKey(h.Key)
	q.SetVersion(h.Version)
	require.NoError(r.t, q.ReadFrom(body))
	return h, q
}

func (r *rig) deliver(l *line) {
	frame := l.replies[0]
	l.replies = l.replies[1:]
	r.step(core.Event{Kind: core.Frame, Conn: l.conn, Data: frame})
}

// respond answers the oldest request of a connection.
func (r *rig) respond(l *line, resp kmsg.Response) {
	h, _ := r.request(l.requests[0])
	l.requests = l.requests[1:]
	if h.Key != int16(kmsg.ApiVersions) { // which sets its own: a version that is not known is answered in the form of version 0
		resp.SetVersion(h.Version)
	}
	l.replies = append(l.replies, wire.AppendResponse(nil, h.Correlation, resp))
	r.deliver(l)
}

// apiVersions is the answer of a broker that serves everything that this room speaks, up to a limit.
func apiVersions(version int16, limits ...limit) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(version)
	for key := range int16(100) {
		lo, hi, ok := spoken(key)
		for _, l := range limits {
			if l.key == key {
				lo, hi = l.min, l.max
			}
		}
		if ok {
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MinVersion: lo, MaxVersion: hi})
		}
	}
	resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: 18, MaxVersion: 4})
	return resp
}

// prune is a request as a person reads it: what is empty or the default is left out.
func prune(q any) string {
	b, err := json.Marshal(q)
	if err != nil {
		return err.Error()
	}
	var x any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&x); err != nil {
		return err.Error()
	}
	b, _ = json.Marshal(pruned(x))
	return string(b)
}

func pruned(x any) any {
	switch x := x.(type) {
	case map[string]any:
		for k, v := range x {
			if v = pruned(v); v == nil || k == "UnknownTags" || k == "Version" || k == "TimeoutMillis" {
				delete(x, k)
			} else {
				x[k] = v
			}
		}
		if len(x) == 0 {
			return nil
		}
	case []any:
		if len(x) == 16 { // a uuid
			var id core.TopicID
			for i := range x {
				n, ok := x[i].(json.Number)
				if !ok {
					break
				}
				v, _ := n.Int64()
				id[i] = byte(v)
			}
			if id.IsZero() {
				return nil
			}
			return id.String()
		}
		for i := range x {
			if x[i] = pruned(x[i]); x[i] == nil {
				x[i] = map[string]any{}
			}
		}
		if len(x) == 0 {
			return nil
		}
	case string:
		if x == "" {
			return nil
		}
		if len(x) > 60 {
			return fmt.Sprintf("%d characters", len(x))
		}
	case json.Number:
		if x == "0" || x == "-1" {
			return nil
		}
	case bool:
		if !x {
			return nil
		}
	}
	return x
}

func tp(topic string, p int32) core.TopicPartition {
	return core.TopicPartition{Topic: topic, Partition: p}
}

var _ testing.TB

// calm plays so many rounds of a world without faults.
func (r *rig) calm(rounds int, serve func(l *line)) {
	for range rounds {
		if len(r.dials) > 0 {
			r.open(core.OK)
		}
		for _, l := range slices.Clone(r.conns) {
			for len(l.requests) > 0 {
				serve(l)
			}
			for len(l.replies) > 0 && r.line(l.conn) != nil {
				r.deliver(l)
			}
		}
		r.pass(core.Millisecond)
	}
}

// limit is what a broker serves of one API instead of everything.
type limit struct{ key, min, max int16 }
