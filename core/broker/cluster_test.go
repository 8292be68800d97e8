package broker

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fleet is several worlds with a network between them, under one clock.
type fleet struct {
	t     testing.TB
	nodes []*world
	extra func(node int) string // of the configuration
	lines []*line
	last  core.ConnID // odd, of the newest connection that a node accepted
	cut   map[int]bool
}

// line is one connection between two nodes. The bytes that have not made a frame yet wait in rest.
type line struct {
	node [2]int // the one that dialled, and the other
	conn [2]core.ConnID
	rest [2][]byte // sent by …
}

func newFleet(t testing.TB, n int, extra func(node int) string) *fleet {
	f := &fleet{t: t, extra: extra, last: 10001, cut: map[int]bool{}}
	t.Cleanup(func() {
		for _, w := range f.nodes {
			for _, name := range w.marks.Names() {
				fleetMarks[name] = true
			}
		}
	})
	for i := range n {
		w := newWorld(t)
		w.id, w.exit = byte(i), 0
		w.peers = func(e core.Effect) bool { return f.carry(i, e) }
		f.nodes = append(f.nodes, w)
	}
	for i := range n {
		f.boot(i)
	}
	return f
}

// config is that of node i, whose id is i+1: all are brokers and voters, unless extra says otherwise.
func (f *fleet) config(i int) string {
	var voters []string
	for k := range f.nodes {
		voters = append(voters, fmt.Sprintf("%d@n%d:9093", k+1, k))
	}
	s := fmt.Sprintf("node.id=%d\nlog.dirs=/data\nklamm.auto.format=true\nklamm.cluster.id=aAaAaAaAaAaAaAaAaAaAaA\ncontroller.listener.names=CONTROLLER\n", i+1)
	if f.extra != nil {
		s += f.extra(i)
	}
	if !strings.Contains(s, "listeners=PLAIN") && !strings.Contains(s, "listeners=CONTROLLER") {
		s += fmt.Sprintf("listeners=PLAINTEXT://n%d:9092,CONTROLLER://n%d:9093\n", i, i)
	}
	if !strings.Contains(s, "quorum.voters") {
		s += "controller.quorum.voters=" + strings.Join(voters, ",") + "\n"
	}
	return s
}

func (f *fleet) boot(i int) {
	w := f.nodes[i]
	w.id, w.exit = w.id+16, -1
	w.deliver(core.Event{Kind: core.Boot, Data: core.BootInfo{Key: [32]byte{w.id}, Config: f.config(i)}.Append(nil)})
	f.settle()
}

// kill ends a node's life at once. Its disk keeps what was written.
func (f *fleet) kill(i int) {
	f.nodes[i].start()
	f.nodes[i].exit = 0
	for _, l := range slices.Clone(f.lines) {
		for side, node := range l.node {
			if node == i {
				f.drop(l, 1-side)
			}
		}
	}
	f.settle()
}

// restart begins a new life on the same disk.
func (f *fleet) restart(i int) {
	f.nodes[i].start()
	f.boot(i)
}

// drop ends a connection; the node at one of its sides is told.
func (f *fleet) drop(l *line, side int) {
	f.lines = slices.DeleteFunc(f.lines, func(x *line) bool { return x == l })
	if w := f.nodes[l.node[side]]; w.exit < 0 {
		w.deliver(core.Event{Kind: core.Closed, Conn: l.conn[side]})
	}
}

// find is the connection of a node, and which of its sides that node is.
func (f *fleet) find(node int, c core.ConnID) (*line, int) {
	for _, l := range f.lines {
		for side := range l.node {
			if l.node[side] == node && l.conn[side] == c {
				return l, side
			}
		}
	}
	return nil, 0
}

// carry carries out what concerns connections between nodes, and reports whether it was that.
func (f *fleet) carry(node int, e core.Effect) bool {
	w := f.nodes[node]
	if e.Kind == core.Dial {
		f.dial(node, e)
		return true
	}
	l, side := f.find(node, e.Conn)
	if l == nil {
		return false
	}
	switch e.Kind {
	case core.Send, core.SendRange:
		b := e.Data
		if e.Kind == core.SendRange {
			b = clip(w.open[e.File].data, e.Off, e.Len)
		}
		w.done(e, core.OK, int64(len(b)), nil)
		if f.cut[node] || f.cut[l.node[1-side]] {
			return true // swallowed
		}
		l.rest[side] = append(l.rest[side], b...)
		f.frames(l, side)
	case core.CloseConn:
		f.drop(l, 1-side)
		w.deliver(core.Event{Kind: core.Closed, Conn: e.Conn})
	case core.Pause, core.Resume:
	default:
		return false
	}
	return true
}

// frames delivers the whole frames that one side has sent.
func (f *fleet) frames(l *line, side int) {
	for len(l.rest[side]) >= 4 {
		n := int(binary.BigEndian.Uint32(l.rest[side])) + 4
		if len(l.rest[side]) < n {
			return
		}
		frame := slices.Clone(l.rest[side][:n])
		l.rest[side] = l.rest[side][n:]
		ev := core.Event{Kind: core.Frame, Conn: l.conn[1-side], Data: frame}
		if ev.Conn%2 == 1 {
			ev.Req = Prepare(frame, core.FromClient)
		}
		f.nodes[l.node[1-side]].deliver(ev)
	}
}

func (f *fleet) dial(node int, e core.Effect) {
	host, port, _ := strings.Cut(string(e.Data), ":")
	to, err := strconv.Atoi(strings.TrimPrefix(host, "n"))
	require.NoError(f.t, err, "%s", e.Data)
	w := f.nodes[node]
	if f.cut[node] || f.cut[to] {
		return // no answer
	}
	if f.nodes[to].exit >= 0 {
		w.deliver(core.Event{Kind: core.Opened, Conn: e.Conn, Op: e.Op, Err: core.Refused})
		return
	}
	f.last += 2
	f.lines = append(f.lines, &line{node: [2]int{node, to}, conn: [2]core.ConnID{e.Conn, f.last}})
	listener := "PLAINTEXT"
	if port == "9093" {
		listener = "CONTROLLER"
	}
	w.deliver(core.Event{Kind: core.Opened, Conn: e.Conn, Op: e.Op, Data: core.ConnInfo{Remote: string(e.Data)}.Append(nil)})
	f.nodes[to].deliver(core.Event{Kind: core.Opened, Conn: f.last, Data: core.ConnInfo{Listener: listener, Remote: fmt.Sprintf("10.0.1.%d:1", node)}.Append(nil)})
}

// settle delivers events until there are none.
func (f *fleet) settle() {
	for n := 0; ; n++ {
		require.Less(f.t, n, 100000, "the fleet does not come to rest")
		went := false
		for _, w := range f.nodes {
			if len(w.events) > 0 && w.exit < 0 {
				w.run()
				went = true
			}
		}
		if !went {
			return
		}
	}
}

// advance lets time pass for all of them.
func (f *fleet) advance(d core.Time) {
	f.settle()
	end := f.nodes[0].now.Mono + d
	for still := 0; ; still++ {
		next := end
		for _, w := range f.nodes {
			if w.exit < 0 {
				next = min(next, max(w.b.Next(), w.now.Mono))
			}
		}
		if next > f.nodes[0].now.Mono {
			still = 0
		}
		if still > 1000 {
			for i, w := range f.nodes {
				b := w.b
				if w.exit < 0 && b.Next() <= next {
					f.t.Errorf("node %d is to be stepped again and again: %s, timers %d, store %d, quorum %d, peers %d, lifecycle %d, replication %d, now %d",
						i+1, stageTexts[b.stage], b.timers.Next(), b.store.Next(), b.node.Next(), b.peers.next, b.lifeNext(), b.replicationNext(), next)
				}
			}
			f.t.FailNow()
		}
		for _, w := range f.nodes {
			w.now.Wall += next - w.now.Mono
			w.now.Mono = next
			if w.exit < 0 && w.b.Next() <= next {
				w.deliver(core.Event{Kind: core.Tick})
			}
		}
		f.settle()
		if next == end {
			return
		}
	}
}

// until lets time pass until something is true, and returns how long it took.
func (f *fleet) until(what string, within core.Time, is func() bool) core.Time {
	const step = 5 * core.Millisecond
	for t := core.Time(0); t <= within; t += step {
		if is() {
			return t
		}
		f.advance(step)
	}
	for i, w := range f.nodes {
		if w.exit < 0 {
			leader, epoch := w.b.node.Leader()
			f.t.Logf("node %d: %s, %v, leader %d in epoch %d, active %v, image %d, notes %q", i+1, stageTexts[w.b.stage], w.b.node.Role(), leader, epoch, w.b.active(), w.b.img.End(), w.notes)
		} else {
			f.t.Logf("node %d: exited, notes %q", i+1, w.notes)
		}
	}
	f.t.Fatalf("not within %d ms: %s", within.Millis(), what)
	return 0
}

// call asks a node as a client does, and waits for the answer.
func (f *fleet) call(node int, listener string, version int16, q kmsg.Request) kmsg.Response {
	w := f.nodes[node]
	f.last += 2
	id := f.last
	w.conns[id] = &memConn{}
	w.deliver(core.Event{Kind: core.Opened, Conn: id, Data: core.ConnInfo{Listener: listener, Remote: "10.0.0.1:5"}.Append(nil)})
	w.send(id, version, "test", q)
	var resp kmsg.Response
	f.until("an answer to "+wire.Name(q.Key()), 40*core.Second, func() bool {
		resp = w.receive(id)
		return resp != nil
	})
	w.hangUp(id, core.OK)
	return resp
}

func (f *fleet) ready() bool {
	for _, w := range f.nodes {
		if w.exit < 0 && w.b.stage != stageReady {
			return false
		}
	}
	return true
}

// active is the place of the active controller, or -1.
func (f *fleet) active() int {
	return slices.IndexFunc(f.nodes, func(w *world) bool { return w.exit < 0 && w.b.active() })
}

// Three nodes elect a controller, let each other in, and every one of them knows all.
func TestFleetComesUp(t *testing.T) {
	f := newFleet(t, 3, nil)
	took := f.until("all are ready", 10*core.Second, f.ready)
	t.Logf("ready after %d ms", took.Millis())
	require.GreaterOrEqual(t, f.active(), 0)
	f.until("all see three live brokers and three controllers", core.Second, func() bool {
		for _, w := range f.nodes {
			if n := w.b.img.Brokers(); len(n) != 3 || n[0].Fenced || n[1].Fenced || n[2].Fenced || len(w.b.img.Controllers()) != 3 {
				return false
			}
		}
		return true
	})
	resp := f.call((f.active()+1)%3, "PLAINTEXT", 12, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
	require.Len(t, resp.Brokers, 3)
}

// other is the place of a live node that is not the active controller.
func (f *fleet) other() int {
	return slices.IndexFunc(f.nodes, func(w *world) bool { return w.exit < 0 && !w.b.active() && w.b.stage == stageReady })
}

func createTopic(name string, partitions int32, replication int16) *kmsg.CreateTopicsRequest {
	q := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replication
	q.Topics = append(q.Topics, t)
	return q
}

// What only the controller decides, any broker answers, by asking it; and what it makes shows everywhere.
func TestFleetForwards(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	at := f.other()
	resp := f.call(at, "PLAINTEXT", 7, createTopic("a", 6, 3)).(*kmsg.CreateTopicsResponse)
	require.Zero(t, resp.Topics[0].ErrorCode)
	require.EqualValues(t, 6, resp.Topics[0].NumPartitions)
	require.Equal(t, int16(wire.TopicAlreadyExists), f.call(at, "PLAINTEXT", 5, createTopic("a", 1, 1)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	f.until("the topic is everywhere, with leaders on each node", 2*core.Second, func() bool {
		leads := map[core.NodeID]int{}
		for _, w := range f.nodes {
			topic := w.b.img.Topic("a")
			if topic == nil {
				return false
			}
			for _, p := range topic.Partitions {
				leads[p.Leader]++
				if len(p.ISR) != 3 {
					return false
				}
			}
		}
		return leads[1] == 6 && leads[2] == 6 && leads[3] == 6
	})
	for i := range f.nodes {
		quorum := kmsg.NewPtrDescribeQuorumRequest()
		qt, qp := kmsg.NewDescribeQuorumRequestTopic(), kmsg.NewDescribeQuorumRequestTopicPartition()
		qt.Topic, qt.Partitions = "__cluster_metadata", append(qt.Partitions, qp)
		quorum.Topics = append(quorum.Topics, qt)
		d := f.call(i, "PLAINTEXT", 2, quorum).(*kmsg.DescribeQuorumResponse)
		require.Zero(t, d.ErrorCode)
		p := d.Topics[0].Partitions[0]
		require.EqualValues(t, f.active()+1, p.LeaderID)
		require.Len(t, p.CurrentVoters, 3)
	}
	ids := map[int64]bool{}
	for i := range f.nodes { // each from a block of its own
		id := f.call(i, "PLAINTEXT", 4, kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse)
		require.Zero(t, id.ErrorCode)
		require.False(t, ids[id.ProducerID/1000])
		ids[id.ProducerID/1000] = true
	}
	// A topic that a client only asks about, and the groups' topic: made by the controller, seen by all.
	q, topic := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
	topic.Topic, q.AllowAutoTopicCreation = kmsg.StringPtr("made"), true
	q.Topics = append(q.Topics, topic)
	m := f.call(f.other(), "PLAINTEXT", 12, q).(*kmsg.MetadataResponse)
	require.Zero(t, m.Topics[0].ErrorCode)
	coordinators := map[int32]bool{}
	for i := range f.nodes {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKeys = []string{"group"}
		r := f.call(i, "PLAINTEXT", 4, find).(*kmsg.FindCoordinatorResponse)
		require.Zero(t, r.Coordinators[0].ErrorCode)
		coordinators[r.Coordinators[0].NodeID] = true
	}
	require.Len(t, coordinators, 1)
	require.Len(t, f.nodes[0].b.img.Partition(offsetsTopic, 0).Replicas, 3)
}

// Admin clients may talk to controllers (KIP-919): those that are not active say so.
func TestFleetControllerListener(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	versions := f.call(0, "CONTROLLER", 4, kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse)
	require.Equal(t, int16(wire.InvalidRequest), versions.ErrorCode) // no software is named
	v := f.call(0, "CONTROLLER", 0, kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse)
	require.Len(t, v.ApiKeys, len(wire.ControllerSide.Keys()))
	q := kmsg.NewPtrDescribeClusterRequest()
	q.EndpointType = controllerEndpoints
	d := f.call(f.other(), "CONTROLLER", 2, q).(*kmsg.DescribeClusterResponse)
	require.Zero(t, d.ErrorCode)
	require.Len(t, d.Brokers, 3)
	require.EqualValues(t, f.active()+1, d.ControllerID)
	require.EqualValues(t, 9093, d.Brokers[0].Port)
	require.Equal(t, int16(wire.MismatchedEndpointType), f.call(0, "PLAINTEXT", 2, q).(*kmsg.DescribeClusterResponse).ErrorCode)
	require.Equal(t, int16(wire.NotController), f.call(f.other(), "CONTROLLER", 7, createTopic("a", 1, 3)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	require.Zero(t, f.call(f.active(), "CONTROLLER", 7, createTopic("a", 1, 3)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	e := kmsg.NewPtrEnvelopeRequest()
	e.RequestData = []byte{0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0}
	require.Equal(t, int16(wire.NotController), f.call(f.other(), "CONTROLLER", 0, e).(*kmsg.EnvelopeResponse).ErrorCode)
	require.Equal(t, int16(wire.InvalidRequest), f.call(f.active(), "CONTROLLER", 0, e).(*kmsg.EnvelopeResponse).ErrorCode, "Metadata is not the controller's")
	every := map[int16]kmsg.Request{}
	for _, key := range wire.ControllerSide.Keys() { // each of them refuses as a whole, in its own form
		every[key] = kmsg.RequestForKey(key)
		if resp := refusal(every[key], wire.NotController); wire.Forwarded(key) && key != wire.KeyDescribeQuorum {
			_, _ = outcomes(reflect.ValueOf(resp).Elem())
		}
	}
}

// The active controller dies: another takes over, brokers stay in, and what clients ask for meanwhile is done.
func TestFleetControllerDies(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	first := f.active()
	f.kill(first)
	resp := f.call((first+1)%3, "PLAINTEXT", 7, createTopic("a", 3, 2)).(*kmsg.CreateTopicsResponse) // waits for a controller
	require.Zero(t, resp.Topics[0].ErrorCode)
	require.NotEqual(t, first, f.active())
	took := f.until("the dead broker is fenced", 10*core.Second, func() bool { return !f.nodes[f.active()].b.img.Live(core.NodeID(first + 1)) })
	t.Logf("fenced %d ms later", took.Millis())
	f.advance(5 * core.Second)
	for i, w := range f.nodes {
		if i != first {
			require.True(t, w.b.img.Live(core.NodeID(i+1)), "node %d", i+1)
		}
	}
	f.restart(first)
	took = f.until("it is back", 10*core.Second, func() bool { return f.ready() && f.nodes[0].b.img.Live(core.NodeID(first+1)) })
	t.Logf("back after %d ms", took.Millis())
}

// What a broker was about to ask of a controller that has died is asked of the next one, as soon as there is one.
func TestFleetAsksTheNextController(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	at, first := f.other(), f.active()
	f.kill(first)
	before := f.nodes[at].now.Mono
	f.until("producers get ids", 40*core.Second, func() bool {
		return f.call(at, "PLAINTEXT", 4, kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse).ErrorCode == 0
	})
	require.Less(t, f.nodes[at].now.Mono-before, 4*core.Second)
}

// Without a majority nothing is decided, and clients are told in time.
func TestFleetWithoutMajority(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	last := f.other()
	for i := range f.nodes {
		if i != last {
			f.kill(i)
		}
	}
	resp := f.call(last, "PLAINTEXT", 7, createTopic("a", 1, 1)).(*kmsg.CreateTopicsResponse)
	require.Equal(t, int16(wire.RequestTimedOut), resp.Topics[0].ErrorCode)
	require.Equal(t, -1, f.active())
	id := f.call(last, "PLAINTEXT", 4, kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse)
	require.Equal(t, int16(wire.CoordinatorNotAvailable), id.ErrorCode, "clients ask again")
	require.NotZero(t, f.nodes[last].marks.Count("broker.forward-in-vain"))
	for i := range f.nodes {
		if i != last {
			f.restart(i)
		}
	}
	f.until("all are back", 10*core.Second, f.ready)
	require.Zero(t, f.call(last, "PLAINTEXT", 7, createTopic("a", 1, 1)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
}

// A controller that is cut off cannot commit what it decides: who asked is told that it is none, and not that it is done.
func TestFleetDeposedController(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	old := f.active()
	f.cut[old] = true
	resp := f.call(old, "CONTROLLER", 7, createTopic("a", 1, 1)).(*kmsg.CreateTopicsResponse)
	require.Equal(t, int16(wire.NotController), resp.Topics[0].ErrorCode)
	require.NotZero(t, f.nodes[old].marks.Count("broker.proposal-lost"))
	require.NotZero(t, f.nodes[old].marks.Count("broker.controller-deposed"))
	f.until("another one reigns", 10*core.Second, func() bool { return f.active() >= 0 && f.active() != old })
	f.until("the broker is fenced", 10*core.Second, func() bool { return !f.nodes[f.active()].b.img.Live(core.NodeID(old + 1)) })
	f.cut[old] = false
	f.until("it is back in", 10*core.Second, func() bool { return f.nodes[old].b.img.Live(core.NodeID(old+1)) && !f.nodes[old].b.active() })
	require.Nil(t, f.nodes[old].b.img.Topic("a"))
}

// A broker that stops in good order hands its leaderships over first, and clients never see a partition without a leader.
func TestFleetStops(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	require.Zero(t, f.call(0, "PLAINTEXT", 7, createTopic("a", 6, 3)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	for _, stops := range []int{f.other(), f.active()} { // the second one takes the metadata log's leadership with it
		w := f.nodes[stops]
		watch := (stops + 1) % 3
		w.deliver(core.Event{Kind: core.Tick, Err: core.Stopping})
		took := f.until("it has stopped", 15*core.Second, func() bool {
			for _, p := range f.nodes[watch].b.img.Topic("a").Partitions {
				require.NotEqual(t, core.NoNode, p.Leader)
			}
			return w.exit >= 0
		})
		t.Logf("stopped after %d ms", took.Millis())
		require.Zero(t, w.exit, "%q", w.notes)
		require.Zero(t, w.marks.Count("broker.stops-as-leader"))
		f.advance(core.Second)
		for _, p := range f.nodes[watch].b.img.Topic("a").Partitions {
			require.NotEqual(t, core.NodeID(stops+1), p.Leader)
		}
		f.restart(stops)
		f.until("it is back", 10*core.Second, func() bool { return f.ready() && f.active() >= 0 })
	}
}

// A broker that cannot reach the controller stops all the same, in good order and in time.
func TestFleetStopsCutOff(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	w := f.nodes[f.other()]
	f.cut[f.other()] = true
	w.deliver(core.Event{Kind: core.Tick, Err: core.Stopping})
	took := f.until("it has stopped", 15*core.Second, func() bool { return w.exit >= 0 })
	require.Zero(t, w.exit, "%q", w.notes)
	require.GreaterOrEqual(t, took, 10*core.Second)
	require.NotZero(t, w.marks.Count("broker.stops-as-leader"))
}

// A broker that was unregistered while it lived comes back, as one that is new.
func TestFleetUnregistered(t *testing.T) {
	f := newFleet(t, 3, nil)
	f.until("all are ready", 10*core.Second, f.ready)
	gone := f.other()
	was := f.nodes[gone].b.life.epoch
	q := kmsg.NewPtrUnregisterBrokerRequest()
	q.BrokerID = int32(gone + 1)
	require.Zero(t, f.call(f.active(), "PLAINTEXT", 0, q).(*kmsg.UnregisterBrokerResponse).ErrorCode)
	f.until("it is registered anew", 10*core.Second, func() bool {
		k := f.nodes[f.active()].b.img.Broker(core.NodeID(gone + 1))
		return k != nil && k.Epoch > was && !k.Fenced && f.nodes[gone].b.life.epoch == k.Epoch
	})
	require.NotZero(t, f.nodes[gone].marks.Count("broker.registers-again"))
}

// A broker whose settings are changed while it runs keeps the times that the controllers were told at the start.
func TestReconfiguredTimes(t *testing.T) {
	w := newWorld(t)
	w.boot(baseConfig)
	heartbeat, session := w.b.cfg.Heartbeat, w.b.cfg.Session
	w.b.reconfigureBroker()
	require.Equal(t, heartbeat, w.b.cfg.Heartbeat)
	require.Equal(t, session, w.b.cfg.Session)
	require.Less(t, heartbeat, session/4, "the controller takes a shorter silence for none")
}

// A node whose quorum does not come together says what it waits for, and goes on as soon as it does.
func TestFleetWaitsForItsQuorum(t *testing.T) {
	f := newFleet(t, 3, func(int) string { return "" })
	for i := range f.nodes {
		f.kill(i)
	}
	f.restart(0)
	f.advance(11 * core.Second)
	notes := strings.Join(f.nodes[0].notes, "\n")
	require.Contains(t, notes, "no leader of the metadata quorum is known")
	require.Contains(t, notes, "cannot connect to the controller at n1:9093: connection refused")
	require.Contains(t, f.nodes[0].b.Report(f.nodes[0].now).Reasons, "cannot connect to the controller at n2:9093: connection refused")
	f.restart(2)
	f.until("the two are ready", 10*core.Second, f.ready)
}

// Brokers and controllers of their own.
func TestFleetOfSeparateRoles(t *testing.T) {
	const voters = "controller.quorum.voters=1@n0:9093,2@n1:9093,3@n2:9093\n"
	f := newFleet(t, 6, func(i int) string {
		if i < 3 {
			return fmt.Sprintf("process.roles=controller\nlisteners=CONTROLLER://n%d:9093\n", i) + voters
		}
		return fmt.Sprintf("process.roles=broker\nlisteners=PLAINTEXT://n%d:9092\n", i) + voters
	})
	f.until("all are ready", 10*core.Second, f.ready)
	require.Less(t, f.active(), 3)
	require.Zero(t, f.call(4, "PLAINTEXT", 7, createTopic("a", 3, 3)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	f.kill(f.active())
	require.Zero(t, f.call(5, "PLAINTEXT", 7, createTopic("b", 3, 3)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	require.Len(t, f.nodes[3].b.img.Brokers(), 3)
	f.nodes[3].deliver(core.Event{Kind: core.Tick, Err: core.Stopping})
	f.until("a broker stops", 15*core.Second, func() bool { return f.nodes[3].exit == 0 })
}

// A node of another cluster, and one whose id is taken, are told so, and do no harm.
func TestFleetRefusesStrangers(t *testing.T) {
	f := newFleet(t, 4, func(i int) string {
		const voters = "controller.quorum.voters=1@n0:9093\n"
		switch i {
		case 2: // of another cluster
			return "klamm.cluster.id=bBbBbBbBbBbBbBbBbBbBbB\nprocess.roles=broker\nlisteners=PLAINTEXT://n2:9092\n" + voters
		case 3: // a second node 2
			return "process.roles=broker\nnode.id=2\ninitial.broker.registration.timeout.ms=5000\nlisteners=PLAINTEXT://n3:9092\n" + voters
		case 1:
			return "process.roles=broker\nlisteners=PLAINTEXT://n1:9092\n" + voters
		}
		return voters
	})
	f.until("the two that belong here are ready", 10*core.Second, func() bool { return f.nodes[0].b.stage == stageReady && f.nodes[1].b.stage == stageReady })
	f.until("the second node 2 has given up", 20*core.Second, func() bool { return f.nodes[3].exit > 0 })
	require.Contains(t, strings.Join(f.nodes[2].notes, "\n"), "belong to another cluster than this node")
	require.Less(t, len(f.nodes[2].notes), 10) // it does not say so at every try
	require.Less(t, f.nodes[2].b.stage, stageRegister)
	require.Contains(t, strings.Join(f.nodes[3].notes, "\n"), "another broker with node.id=2 is alive: stop it, or give this node a node.id of its own")
	f.advance(5 * core.Second)
	require.Equal(t, stageReady, f.nodes[1].b.stage)
	require.True(t, f.nodes[0].b.img.Live(2))
}

// A group whose coordinator is another node than the one that is asked first: it joins, syncs and commits, and what it
// committed is there when the coordinator has died.
func TestFleetGroups(t *testing.T) {
	f := newFleet(t, 3, func(int) string { return "group.initial.rebalance.delay.ms=0\noffsets.topic.num.partitions=3\n" })
	f.until("all are ready", 10*core.Second, f.ready)
	coordinator := func() int {
		for {
			q := kmsg.NewPtrFindCoordinatorRequest()
			q.CoordinatorKeys = []string{"g"}
			r := f.call(f.other(), "PLAINTEXT", 4, q).(*kmsg.FindCoordinatorResponse).Coordinators[0]
			if r.ErrorCode == 0 && f.nodes[r.NodeID-1].exit < 0 {
				return int(r.NodeID) - 1
			}
			f.advance(100 * core.Millisecond)
		}
	}
	at := coordinator()
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 30000, 30000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	join.Protocols = append(join.Protocols, p)
	var member *kmsg.JoinGroupResponse
	f.until("the coordinator takes the member", 5*core.Second, func() bool {
		member = f.call(at, "PLAINTEXT", 3, join).(*kmsg.JoinGroupResponse)
		return member.ErrorCode == 0
	})
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.Generation, sync.MemberID = "g", member.Generation, member.MemberID
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID, a.MemberAssignment = member.MemberID, []byte("all of it")
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	require.Equal(t, "all of it", string(f.call(at, "PLAINTEXT", 3, sync).(*kmsg.SyncGroupResponse).MemberAssignment))
	require.Zero(t, f.call(0, "PLAINTEXT", 7, createTopic("t", 1, 3)).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation, commit.MemberID = "g", member.Generation, member.MemberID
	ct, cp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	cp.Offset = 42
	ct.Topic, ct.Partitions = "t", append(ct.Partitions, cp)
	commit.Topics = append(commit.Topics, ct)
	require.Zero(t, f.call(at, "PLAINTEXT", 7, commit).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
	f.kill(at)
	fetch := kmsg.NewPtrOffsetFetchRequest()
	ft := kmsg.NewOffsetFetchRequestTopic()
	ft.Topic, ft.Partitions = "t", []int32{0}
	fetch.Group, fetch.Topics = "g", append(fetch.Topics, ft)
	took := f.until("the next coordinator knows what was committed", 20*core.Second, func() bool {
		next := coordinator()
		r := f.call(next, "PLAINTEXT", 5, fetch).(*kmsg.OffsetFetchResponse)
		return r.ErrorCode == 0 && r.Topics[0].Partitions[0].Offset == 42
	})
	t.Logf("after %d ms", took.Millis())
}
