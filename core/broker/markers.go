package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/shard"
	"klamm/core/txn"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// How the markers of decided transactions reach the leaders of their partitions. A marker is taken from its coordinator, waits for
// the node that leads its partition, travels in one WriteTxnMarkers with whatever else waits for that node, and
// comes back acknowledged or refused. Until it is acknowledged it goes round again: to whoever leads then. A partition that
// is no more needs no marker. A marker of a coordinator that has been unloaded is dropped: the next one sends its own.

// Bounds of this file.
const (
	MarkersMax        = 1 << 16 // on their way; more stay with their coordinators until there is room
	MarkersRequestMax = 5000    // in one request
	markerWait        = 10 * core.Second
	markerRetry       = 50 * core.Millisecond
)

// markers are the markers that are on their way.
//
// Invariants: nodes are sorted by id; count is the number of all markers here; one request at most is in flight to each node.
type markers struct {
	nodes   []markerNode
	again   []outMarker // to be routed anew at retryAt, or when the image changes
	retryAt core.Time   // Never: nothing is to be routed anew by then
	count   int
	asks    uint64 // requests of this life
}

// markerNode is what goes to one node.
type markerNode struct {
	node    core.NodeID
	waiting []outMarker
	flight  []outMarker
	ask     uint64 // of the request in flight; 0: none
}

// outMarker is one marker and the coordinator that sends it.
type outMarker struct {
	shard int32
	epoch core.Epoch // of the coordinator
	m     txn.Marker
}

// sender is the coordinator of a marker, if it still is and still waits for it.
func (b *Broker) sender(o *outMarker) *txnShard {
	c := b.txns.find(o.shard)
	if c == nil || c.shard.Phase() != shard.Active || c.shard.Epoch() != o.epoch || !c.state.Awaits(&o.m) {
		return nil
	}
	return c
}

// sendMarkers takes over what the coordinators have for others, and sends what can be sent.
func (b *Broker) sendMarkers(now core.Now, out *core.Out) {
	k := &b.txns.markers
	for i := 0; i < len(b.txns.list); i++ {
		c := &b.txns.list[i]
		if c.shard.Phase() != shard.Active {
			continue
		}
		taken := c.state.Take(nil, MarkersMax-k.count)
		k.count += len(taken)
		for _, m := range taken {
			b.routeMarker(now, outMarker{shard: c.partition, epoch: c.shard.Epoch(), m: m}, out)
		}
	}
	for i := range k.nodes {
		b.flushMarkers(now, &k.nodes[i], out)
	}
}

// routeMarkersAnew sends what was refused or lost to whoever leads now.
func (b *Broker) routeMarkersAnew(now core.Now, out *core.Out) {
	k := &b.txns.markers
	again := k.again
	k.again, k.retryAt = nil, core.Never
	for _, o := range again {
		b.routeMarker(now, o, out)
	}
	b.sendMarkers(now, out)
}

// routeMarker puts a marker where it goes next.
func (b *Broker) routeMarker(now core.Now, o outMarker, out *core.Out) {
	k := &b.txns.markers
	c := b.sender(&o)
	if c == nil {
		k.count--
		return
	}
	topic := b.img.Topic(o.m.Partition.Topic)
	if topic == nil || topic.Partition(o.m.Partition.Partition) == nil { // it was there when it was added: this image is no older
		out.Mark("broker.marker-of-deleted-topic")
		b.markerArrived(now, &o, out)
		return
	}
	leader := topic.Partition(o.m.Partition.Partition).Leader
	if leader == core.NoNode || leader != b.cfg.NodeID && b.brokerAddr(b.img.Broker(leader)) == "" {
		out.Mark("broker.marker-without-leader")
		b.markerAgain(now, o)
		return
	}
	at, found := slices.BinarySearchFunc(k.nodes, leader, func(n markerNode, id core.NodeID) int { return int(n.node) - int(id) })
	if !found {
		k.nodes = slices.Insert(k.nodes, at, markerNode{node: leader})
	}
	k.nodes[at].waiting = append(k.nodes[at].waiting, o)
}

func (b *Broker) markerAgain(now core.Now, o outMarker) {
	k := &b.txns.markers
	k.again = append(k.again, o)
	k.retryAt = min(k.retryAt, now.Mono.After(markerRetry))
}

// markerArrived tells the coordinator of a marker that it has arrived.
func (b *Broker) markerArrived(now core.Now, o *outMarker, out *core.Out) {
	b.txns.markers.count--
	if c := b.sender(o); c != nil {
		c.state.Acknowledged(b.txnEnv(now, c, out), &o.m)
	}
}

// flushMarkers sends what waits for a node, if nothing is in flight to it. One request has one transaction of a producer id:
// the answer tells them apart by nothing else.
func (b *Broker) flushMarkers(now core.Now, n *markerNode, out *core.Out) {
	k := &b.txns.markers
	if n.ask != 0 || len(n.waiting) == 0 {
		return
	}
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	rows := map[int64]int{} // producer id to row
	kept := n.waiting[:0]
	for _, o := range n.waiting {
		c := b.sender(&o)
		if c == nil {
			k.count--
			continue
		}
		at, known := rows[o.m.Producer.ID]
		if len(n.flight) >= MarkersRequestMax || known && q.Markers[at].ProducerEpoch != o.m.Producer.Epoch {
			kept = append(kept, o)
			continue
		}
		if !known {
			m := kmsg.NewWriteTxnMarkersRequestMarker()
			m.ProducerID, m.ProducerEpoch, m.Committed = o.m.Producer.ID, o.m.Producer.Epoch, o.m.Commit
			m.CoordinatorEpoch, m.TransactionVersion = int32(o.epoch), int8(o.m.Version)
			at = len(q.Markers)
			rows[o.m.Producer.ID], q.Markers = at, append(q.Markers, m)
		}
		addMarkerRow(&q.Markers[at], o.m.Partition)
		n.flight = append(n.flight, o)
	}
	clear(n.waiting[len(kept):])
	n.waiting = kept
	if len(n.flight) == 0 {
		return
	}
	k.asks++
	n.ask = k.asks
	b.askBroker(now, n.node, laneMarkers, link.Ask{Kind: uint8(askMarkers), A: n.ask}, q, markerWait, out)
}

func addMarkerRow(m *kmsg.WriteTxnMarkersRequestMarker, p core.TopicPartition) {
	if n := len(m.Topics) - 1; n < 0 || m.Topics[n].Topic != p.Topic {
		t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		t.Topic = p.Topic
		m.Topics = append(m.Topics, t)
	}
	t := &m.Topics[len(m.Topics)-1]
	t.Partitions = append(t.Partitions, p.Partition)
}

// markerKey names a row of an answer to WriteTxnMarkers.
type markerKey struct {
	producer  int64
	partition core.TopicPartition
}

// markersReplied takes the answer to a WriteTxnMarkers, or the news that there is none.
func (b *Broker) markersReplied(now core.Now, ask uint64, resp kmsg.Response, out *core.Out) {
	k := &b.txns.markers
	at := slices.IndexFunc(k.nodes, func(n markerNode) bool { return n.ask == ask })
	if at < 0 {
		return
	}
	flight := k.nodes[at].flight
	k.nodes[at].flight, k.nodes[at].ask = nil, 0
	codes := map[markerKey]wire.Code{}
	if r, ok := resp.(*kmsg.WriteTxnMarkersResponse); ok {
		for i := range r.Markers {
			for j := range r.Markers[i].Topics {
				for _, p := range r.Markers[i].Topics[j].Partitions {
					codes[markerKey{r.Markers[i].ProducerID, core.TopicPartition{Topic: r.Markers[i].Topics[j].Topic, Partition: p.Partition}}] = wire.Code(p.ErrorCode)
				}
			}
		}
	}
	for _, o := range flight {
		code, told := codes[markerKey{o.m.Producer.ID, o.m.Partition}]
		if !told {
			out.Mark("broker.marker-lost")
			b.markerAgain(now, o)
			continue
		}
		b.markerAnswered(now, o, code, out)
	}
	b.sendMarkers(now, out)
}

// markerAnswered takes what a leader said of one marker.
func (b *Broker) markerAnswered(now core.Now, o outMarker, code wire.Code, out *core.Out) {
	switch code {
	case wire.None:
		b.markerArrived(now, &o, out)
	case wire.UnsupportedForMessageFormat: // a log without producer ids has no transaction to end
		b.markerArrived(now, &o, out)
	case wire.TransactionCoordinatorFenced, wire.InvalidProducerEpoch, wire.ProducerFenced:
		// Either another coordinator has been here, and this one will learn that it is none; or somebody has ended the
		// transaction by hand. It is not for us to say that it is over.
		out.Mark("broker.marker-fenced")
		b.note(now, core.Warn, "a marker of transactional id "+o.m.ID+" was refused by the leader of "+o.m.Partition.Topic+"-"+
			strconv.Itoa(int(o.m.Partition.Partition))+": "+code.String(), out)
		b.markerAgain(now, o)
	default:
		out.Mark("broker.marker-refused")
		b.markerAgain(now, o)
	}
}
