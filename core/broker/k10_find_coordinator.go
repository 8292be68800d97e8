package broker

import (
	"strconv"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// findCoordinator serves FindCoordinator v0-v6: one key below v4, several from there on. Left out: share groups,
// whose coordinators this broker does not have yet; they are refused with INVALID_REQUEST.
//
// The first request for a group or a transactional id makes the topic that they are kept in, and waits until it can be used, where
// Apache Kafka answers COORDINATOR_NOT_AVAILABLE and lets the client ask again.
func (b *Broker) findCoordinator(now core.Now, r request, q *kmsg.FindCoordinatorRequest, out *core.Out) {
	t := &findTask{r: r, listener: b.listener(r), kind: q.CoordinatorType, keys: q.CoordinatorKeys}
	if r.header.Version < 4 {
		t.keys = []string{q.CoordinatorKey}
	}
	if t.topic = coordinatorTopic(t.kind); t.topic != "" && len(t.keys) > 0 && b.img.Topic(t.topic) == nil {
		if b.makeInternalTopic(now, t.topic, out) == wire.None {
			b.park(r, t, now.Mono.After(autoCreateWait), waitKey{kind: waitImage}, waitKey{kind: waitCreate, name: t.topic})
			return
		}
	}
	t.answer(b, now, out)
}

// The key types of FindCoordinator.
const (
	keyGroup       int8 = 0
	keyTransaction int8 = 1
	keyShare       int8 = 2
)

// findTask is a FindCoordinator request; it waits only for the topic that it has made.
type findTask struct {
	r        request
	listener string
	kind     int8
	topic    string // where coordinators of that kind are kept; empty: there are none
	keys     []string
}

// coordinatorTopic is where coordinators of a kind are kept; empty if they are not served.
func coordinatorTopic(kind int8) string {
	switch kind {
	case keyGroup:
		return offsetsTopic
	case keyTransaction:
		return transactionsTopic
	}
	return ""
}

// Advance waits until the topic is there and its logs can be written.
func (t *findTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	if b.gone(t.r) {
		b.noReply(now, t.r, out)
		return true
	}
	if _, done := b.madeTopic(t.topic); !done && now.Mono < b.deadline() {
		return false
	}
	t.answer(b, now, out)
	return true
}

func (t *findTask) answer(b *Broker, now core.Now, out *core.Out) {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	for _, key := range t.keys {
		resp.Coordinators = append(resp.Coordinators, t.find(b, key))
	}
	if version := t.r.header.Version; version < 4 {
		c := &resp.Coordinators[0]
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port
		if c.ErrorCode == 0 {
			none := wire.None.String()
			resp.ErrorMessage = &none
		}
		resp.Coordinators = nil
	}
	b.reply(now, t.r, resp, out)
}

// find tells who coordinates one group or transactional id: the leader of its partition.
func (t *findTask) find(b *Broker, key string) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Port = key, -1, -1
	text := ""
	c.ErrorMessage = &text
	switch {
	case t.kind == keyShare:
		text = "this broker does not serve share groups yet"
		c.ErrorCode = int16(wire.InvalidRequest)
		return c
	case t.topic == "":
		text = "no such type of coordinator: " + strconv.Itoa(int(t.kind))
		c.ErrorCode = int16(wire.InvalidRequest)
		return c
	}
	c.ErrorCode = int16(wire.CoordinatorNotAvailable)
	topic := b.img.Topic(t.topic)
	if topic == nil || len(topic.Partitions) == 0 {
		return c
	}
	p := topic.Partition(groupPartition(key, int32(len(topic.Partitions))))
	if node := b.img.Broker(p.Leader); node != nil && !node.Fenced {
		if e, ok := node.Endpoint(t.listener); ok {
			c.ErrorCode, c.NodeID, c.Host, c.Port = 0, int32(node.ID), e.Host, int32(e.Port)
		}
	}
	return c
}
