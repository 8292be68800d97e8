package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
)

// Clients that take every connection of max.connections leave the controllers' listener its own.
func TestFleetKeepsRoomForControllers(t *testing.T) {
	const most = 8
	f := newFleet(t, 3, func(int) string { return "max.connections=8\n" })
	f.until("all are ready", 10*core.Second, f.ready)
	for i, w := range f.nodes {
		for range most + 1 {
			f.last += 2
			w.conns[f.last] = &memConn{}
			w.deliver(core.Event{Kind: core.Opened, Conn: f.last, Data: core.ConnInfo{Listener: "PLAINTEXT", Remote: "10.0.0.1:5"}.Append(nil)})
		}
		f.settle()
		require.NotZero(t, w.marks.Count("broker.connection-limit"), "node %d", i)
	}
	for i := range f.nodes {
		v := f.call(i, "CONTROLLER", 0, kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse)
		require.Zero(t, v.ErrorCode)
	}
}

// A broker whose stop takes long, since it cannot reach the controller, still forgets the members that are late.
func TestFleetStopsAndTicks(t *testing.T) {
	f := newFleet(t, 3, func(int) string { return "group.min.session.timeout.ms=1000\noffsets.topic.num.partitions=1\n" })
	f.until("all are ready", 10*core.Second, f.ready)
	at := -1
	f.until("there is a coordinator", 10*core.Second, func() bool {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKeys = []string{"g"}
		r := f.call(f.other(), "PLAINTEXT", 4, q).(*kmsg.FindCoordinatorResponse).Coordinators[0]
		at = int(r.NodeID) - 1
		return r.ErrorCode == 0
	})
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 3000, 3000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	join.Protocols = append(join.Protocols, p)
	b := f.nodes[at].b
	f.until("the coordinator gives out a member id", 5*core.Second, func() bool {
		f.call(at, "PLAINTEXT", 4, join)
		_, of := b.OldestUnused()
		return of == "g"
	})
	b.stage = stageDraining // then nobody is served, and nothing is forgotten
	_, of := b.OldestUnused()
	require.Empty(t, of)
	b.stage = stageReady
	_, of = b.OldestUnused()
	require.Equal(t, "g", of)
	f.cut[at] = true
	f.nodes[at].deliver(core.Event{Kind: core.Tick, Err: core.Stopping})
	f.advance(5 * core.Second)
	require.Equal(t, stageHandover, b.stage)
	_, of = b.OldestUnused()
	require.Empty(t, of)
}
