package broker

import (
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/replica"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// isrChanges are the changes of in-sync sets that this broker, as a leader, asks of the controller (KIP-497).
//
// Invariants: queue holds a log at most once (hosted.isrQueued); flight holds what the request numbered ask is about.
type isrChanges struct {
	queue   []log.LogID
	flight  []isrAsk
	ask     uint64
	retryAt core.Time
	tickAt  core.Time
	fails   uint8
}

// isrAsk is one partition's change in flight.
type isrAsk struct {
	log     log.LogID
	epoch   core.Epoch // of the leadership that asks
	version core.PartitionEpoch
}

const (
	isrRetryMin = 50 * core.Millisecond
	isrRetryMax = core.Second
	// refusedWait is how long a leader keeps a change to itself that the controller has just refused.
	refusedWait = 500 * core.Millisecond
	// isrAsksMax bounds the partitions of one request.
	isrAsksMax = 2000
)

// proposeISR asks for another in-sync set of a partition, if its leader wants one.
func (b *Broker) proposeISR(now core.Now, h *hosted, out *core.Out) {
	if h.leader == nil || h.isrQueued || now.Mono < h.isrRests {
		return
	}
	want := h.leader.Propose(now.Mono)
	if want == nil {
		return
	}
	switch {
	case len(want) < len(h.leader.ISR()):
		b.repl.counts.shrinks++
	case len(want) > len(h.leader.ISR()):
		b.repl.counts.expands++
	}
	h.isrQueued = true
	b.repl.isr.queue = append(b.repl.isr.queue, h.log)
}

// isrTick looks for followers that fell behind.
func (b *Broker) isrTick(now core.Now, out *core.Out) {
	s := &b.repl.isr
	if b.stage < stagePartitions || now.Mono < s.tickAt {
		return
	}
	s.tickAt = now.Mono.After(max(b.cfg.LagMax/2, core.Millisecond))
	for i := range b.parts.byLog {
		if h := &b.parts.byLog[i]; h.used && h.leader != nil {
			if h.leader.Aged(now.Mono) {
				out.Mark("broker.high-by-age")
				b.rose(now, h, true, out)
			}
			b.proposeISR(now, h, out)
		}
	}
}

func (b *Broker) isrNext() core.Time {
	s := &b.repl.isr
	if b.stage < stagePartitions {
		return core.Never
	}
	if len(s.queue) > 0 && len(s.flight) == 0 {
		return min(s.tickAt, s.retryAt)
	}
	return s.tickAt
}

// isrSend asks the controller for what is queued. One request is in flight at a time.
func (b *Broker) isrSend(now core.Now, out *core.Out) {
	s := &b.repl.isr
	if len(s.queue) == 0 || len(s.flight) > 0 || now.Mono < s.retryAt {
		return
	}
	q := kmsg.NewPtrAlterPartitionRequest()
	q.BrokerID, q.BrokerEpoch = int32(b.cfg.NodeID), int64(b.life.epoch)
	n := min(len(s.queue), isrAsksMax)
	slices.Sort(s.queue[:n])
	for _, id := range s.queue[:n] {
		h := b.parts.at(id)
		if h == nil {
			continue
		}
		if h.isrQueued = false; h.leader == nil || h.leader.Asked() == nil {
			continue // settled meanwhile
		}
		s.flight = append(s.flight, isrAsk{log: id, epoch: h.leader.Epoch(), version: h.leader.Version()})
		if k := len(q.Topics) - 1; k < 0 || q.Topics[k].TopicID != h.id {
			topic := kmsg.NewAlterPartitionRequestTopic()
			topic.TopicID = h.id
			q.Topics = append(q.Topics, topic)
		}
		topic := &q.Topics[len(q.Topics)-1]
		topic.Partitions = append(topic.Partitions, b.isrRow(h))
	}
	if s.queue = append([]log.LogID(nil), s.queue[n:]...); len(s.flight) == 0 {
		return
	}
	b.repl.asks++
	s.ask = b.repl.asks
	b.askController(now, askAlterPartition, s.ask, q, out)
}

// isrRow is one partition's change in the protocol's words. Every member is named with the epoch of its broker's
// registration when the change was decided on, so that a copy of another life is refused (KIP-903).
func (b *Broker) isrRow(h *hosted) kmsg.AlterPartitionRequestTopicPartition {
	p := kmsg.NewAlterPartitionRequestTopicPartition()
	p.Partition, p.LeaderEpoch, p.PartitionEpoch = h.tp.Partition, int32(h.leader.Epoch()), int32(h.leader.Version())
	lives := h.leader.AskedAs()
	for i, n := range h.leader.Asked() {
		m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		m.BrokerID, m.BrokerEpoch = int32(n), int64(b.life.epoch)
		if n != b.cfg.NodeID {
			m.BrokerEpoch = int64(lives[i])
		}
		p.NewEpochISR = append(p.NewEpochISR, m)
	}
	return p
}

// partitionsAltered takes the controller's answer; nil if there is none. What was asked stays asked until the controller has
// answered, or a newer partition epoch is known: it may have come into force, and until that is known both sets count.
func (b *Broker) partitionsAltered(now core.Now, ask uint64, resp kmsg.Response, out *core.Out) {
	s := &b.repl.isr
	if ask != s.ask || len(s.flight) == 0 {
		return
	}
	flight := s.flight
	s.flight = nil
	r, _ := resp.(*kmsg.AlterPartitionResponse)
	if r == nil || r.ErrorCode != 0 {
		out.Mark("broker.isr-change-unanswered")
	}
	again := false
	for _, a := range flight {
		h := b.parts.at(a.log)
		if h == nil || h.leader == nil || h.leader.Epoch() != a.epoch || h.leader.Version() != a.version || h.leader.Asked() == nil {
			continue // newer news came first
		}
		if b.isrAnswered(now, h, r, out) {
			continue
		}
		again = true
		if !h.isrQueued {
			h.isrQueued = true
			s.queue = append(s.queue, a.log)
		}
	}
	if s.retryAt, s.fails = now.Mono, min(s.fails+1, 5); !again {
		s.fails = 0
	} else {
		s.retryAt = now.Mono.After(min(isrRetryMin<<(s.fails-1), isrRetryMax))
	}
	b.replicate(now, out)
}

// isrAnswered takes the answer for one partition, and reports whether it settles the matter. Where the controller's view is
// newer than this broker's, the metadata bring it; until then the same is asked again, later.
func (b *Broker) isrAnswered(now core.Now, h *hosted, r *kmsg.AlterPartitionResponse, out *core.Out) bool {
	p := rowOf(r, h)
	switch {
	case p == nil:
		return false
	case wire.Code(p.ErrorCode) == wire.IneligibleReplica:
		out.Mark("broker.isr-change-refused")
		h.isrRests = now.Mono.After(refusedWait)
		b.rose(now, h, h.leader.Refused(now.Mono), out)
		return true
	case p.ErrorCode != 0:
		return false
	}
	isr := make([]core.NodeID, len(p.ISR))
	for i, n := range p.ISR {
		isr[i] = core.NodeID(n)
	}
	if core.NodeID(p.LeaderID) != b.cfg.NodeID || core.Epoch(p.LeaderEpoch) != h.leader.Epoch() || !slices.Contains(isr, b.cfg.NodeID) {
		return false // another leader: the metadata say so soon
	}
	slices.Sort(isr)
	if core.PartitionEpoch(p.PartitionEpoch) == h.leader.Version() && p.LeaderRecoveryState == 0 && slices.Equal(isr, h.leader.Asked()) {
		b.rose(now, h, h.leader.Unchanged(now.Mono), out) // another request said it, whose answer was lost
		return true
	}
	b.rose(now, h, h.leader.Agreed(now.Mono, isr, core.PartitionEpoch(p.PartitionEpoch)), out)
	return h.leader.Asked() == nil
}

func rowOf(r *kmsg.AlterPartitionResponse, h *hosted) *kmsg.AlterPartitionResponseTopicPartition {
	if r == nil || r.ErrorCode != 0 {
		return nil
	}
	for i := range r.Topics {
		if core.TopicID(r.Topics[i].TopidID) != h.id {
			continue
		}
		for j := range r.Topics[i].Partitions {
			if p := &r.Topics[i].Partitions[j]; p.Partition == h.tp.Partition {
				return p
			}
		}
	}
	return nil
}

// rose carries on what follows from news to a leader: the log learns the high watermark, and whoever waits is woken.
func (b *Broker) rose(now core.Now, h *hosted, rose bool, out *core.Out) {
	if rose {
		b.store.SetHigh(now, h.log, h.leader.High(), out)
	}
	b.wake(waitKey{kind: waitPartition, id: uint64(h.log)})
	if h.tp.Topic == offsetsTopic { // the coordinator's answers wait for what is committed as well
		b.wake(waitKey{kind: waitShard, id: uint64(h.tp.Partition)})
	}
	if h.tp.Topic == transactionsTopic {
		b.txnsCommitted(now, h.tp.Partition, out)
	}
}

// booked takes a fetch of a follower into its leader's account (see k01_fetch.go).
func (b *Broker) booked(now core.Now, h *hosted, node core.NodeID, epoch core.BrokerEpoch, at, start core.Offset, out *core.Out) wire.Code {
	low := h.leader.Low()
	rose, v := h.leader.Fetched(now.Mono, node, epoch, at, start)
	switch v {
	case replica.Booked:
	case replica.Diverged:
		return wire.OffsetOutOfRange
	default:
		out.Mark("broker.fetch-of-stranger")
		return wire.NotLeaderOrFollower
	}
	if rose || h.leader.Low() != low {
		b.rose(now, h, rose, out)
	}
	if h.leader.Lacks() {
		b.proposeISR(now, h, out)
	}
	return wire.None
}
