package broker

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// replicas is a fleet with a topic that is copied to every node.
type replicas struct {
	*fleet
	sent    []string // values that were acknowledged, in order, of partition 0
	offered []offered
	keyed   bool // each record has its value for a key too
}

func newReplicas(t testing.TB, nodes int, settings string, configs ...string) *replicas {
	return newReplicasOf(t, nodes, nodes, settings, configs...)
}

func newReplicasOf(t testing.TB, nodes, factor int, settings string, configs ...string) *replicas {
	r := &replicas{fleet: newFleet(t, nodes, func(int) string { return settings })}
	r.until("all are ready", 10*core.Second, r.ready)
	r.create(factor, configs...)
	return r
}

// create makes the topic.
func (r *replicas) create(factor int, configs ...string) {
	q := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, int16(factor)
	for _, kv := range configs {
		k, v, _ := strings.Cut(kv, "=")
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		topic.Configs = append(topic.Configs, c)
	}
	q.Topics, q.TimeoutMillis = append(q.Topics, topic), 5000
	resp := r.call(r.leader("", 0), "PLAINTEXT", 7, q).(*kmsg.CreateTopicsResponse)
	require.Zero(r.t, resp.Topics[0].ErrorCode, "%+v", resp)
}

// running is a node that runs.
func (r *replicas) running() int {
	return slices.IndexFunc(r.nodes, func(w *world) bool { return w.exit < 0 && w.b.stage == stageReady })
}

// leader is the place of the node that leads a partition by its own word in the newest epoch; without a topic any that runs.
func (r *replicas) leader(topic string, partition int32) int {
	if topic == "" {
		return r.running()
	}
	best, newest := -1, core.Epoch(-1)
	for i, w := range r.nodes {
		if h := r.hosted(i, topic, partition); w.exit < 0 && h != nil && h.leader != nil && h.leader.Epoch() > newest {
			best, newest = i, h.leader.Epoch()
		}
	}
	return best
}

func (r *replicas) hosted(node int, topic string, partition int32) *hosted {
	b := r.nodes[node].b
	if t := b.parts.topic(topic, core.TopicID{}, false); t != nil && int(partition) < len(t.logs) {
		return b.parts.at(t.logs[partition])
	}
	return nil
}

// produce sends one record with acks=all and says how it went.
func (r *replicas) produce(value string, acks int16) wire.Code {
	at := -1
	r.until("somebody leads", 30*core.Second, func() bool {
		at = r.leader("t", 0)
		return at >= 0
	})
	resp := r.call(at, "PLAINTEXT", 9, r.record(at, value, acks)).(*kmsg.ProduceResponse)
	return wire.Code(resp.Topics[0].Partitions[0].ErrorCode)
}

func (r *replicas) record(at int, value string, acks int16) *kmsg.ProduceRequest {
	bl := batch.NewBuilder(batch.Options{LeaderEpoch: -1})
	var key []byte
	if r.keyed {
		key = []byte(value)
	}
	bl.Add(r.nodes[at].now.Wall.Millis(), key, []byte(value), nil)
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = acks, 2000
	topic, part := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	topic.Topic, part.Records = "t", bl.Finish(0)
	topic.Partitions = append(topic.Partitions, part)
	q.Topics = append(q.Topics, topic)
	return q
}

func (r *replicas) mustProduce(value string) {
	r.t.Helper()
	var code wire.Code
	for range 100 {
		if code = r.produce(value, acksAll); code == wire.None {
			r.sent = append(r.sent, value)
			return
		}
		require.True(r.t, code.Retriable(), "%v", code)
		r.advance(50 * core.Millisecond)
	}
	r.t.Fatalf("produce: %v", code)
}

// bytes is the partition's log of one node as it lies on its disk.
func (r *replicas) bytes(node int, topic string) []byte {
	var names []string
	for name := range r.nodes[node].files {
		if strings.Contains(name, "/"+topic+"-0/") && strings.HasSuffix(name, ".log") { // in whichever directory
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var all []byte
	for _, name := range names {
		all = append(all, r.nodes[node].files[name].data...)
	}
	return all
}

// values are the values in a log.
func values(t testing.TB, b []byte) (all []string) {
	for len(b) > 0 {
		v, rest, is := batch.First(b)
		require.Equal(t, batch.Good, is)
		records, verdict := batch.Read(v, 1<<20)
		require.Equal(t, batch.Good, verdict)
		var rec batch.Record
		for records.Next(&rec) {
			all = append(all, string(rec.Value))
		}
		b = rest
	}
	return all
}

// equal reports whether every running node has the same log and high watermark, and all are in sync.
func (r *replicas) equal() bool {
	at := r.leader("t", 0)
	if at < 0 {
		return false
	}
	l := r.hosted(at, "t", 0)
	end := r.nodes[at].b.store.Log(l.log).End()
	all := r.nodes[at].b.img.Partition("t", 0).Replicas
	if len(l.leader.ISR()) != len(all) || l.leader.High() != end {
		return false
	}
	for _, id := range all {
		i, w := int(id)-1, r.nodes[id-1]
		h := r.hosted(i, "t", 0)
		if h == nil || !bytes.Equal(r.bytes(at, "t"), r.bytes(i, "t")) || w.b.store.Log(h.log).High() != end {
			return false
		}
	}
	return true
}

func (r *replicas) dump() {
	for i, w := range r.nodes {
		if h := r.hosted(i, "t", 0); h != nil && w.exit < 0 {
			l := w.b.store.Log(h.log)
			r.t.Logf("node %d: leads %v follows %v end %d safe %d high %d epoch %d, image %+v, fetchers %+v", i, h.leader != nil, h.follower, l.End(), l.Safe(), l.High(), l.Epoch(), w.b.img.Partition("t", 0), w.b.repl.fetchers)
		} else {
			r.t.Logf("node %d: exit %d, hosts nothing", i, w.exit)
		}
	}
}

func (r *replicas) converge(within core.Time) core.Time {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			r.dump()
		}
	}()
	return r.until("all copies are equal and in sync", within, r.equal)
}

// What is acknowledged with acks=all is on every copy; when the leader dies another takes over and has all of it; and
// the dead one comes back and becomes equal.
func TestLeaderDies(t *testing.T) {
	r := newReplicas(t, 3, "", "min.insync.replicas=2")
	for i := range 5 {
		r.mustProduce(fmt.Sprint("a", i))
	}
	r.converge(2 * core.Second)
	old := r.leader("t", 0)
	r.kill(old)
	r.mustProduce("b")
	require.NotEqual(t, old, r.leader("t", 0))
	r.restart(old)
	r.converge(30 * core.Second)
	require.Equal(t, r.sent, values(t, r.bytes(old, "t")))
	require.NotZero(t, r.nodes[old].freed)
}

// cutOff has a node's messages vanish, both ways.
func (r *replicas) cutOff(node int) { r.fleet.cut[node] = true }

// heal ends a cut. Connections on which something vanished are of no use any more.
func (r *replicas) healNode(node int) {
	delete(r.fleet.cut, node)
	for _, l := range slices.Clone(r.lines) {
		if l.node[0] == node || l.node[1] == node {
			r.drop(l, 0)
			r.drop(l, 1)
		}
	}
}

// A leader that is cut off goes on taking records which nobody copies. When it comes back it has to give them up: where they
// begin is found by epochs, and nothing that was acknowledged goes.
func TestDivergedLeaderIsCut(t *testing.T) {
	for _, durability := range []string{"sync", "replicate"} {
		t.Run(durability, func(t *testing.T) {
			r := newReplicas(t, 3, "klamm.durability="+durability+"\nreplica.lag.time.max.ms=1000\n", "min.insync.replicas=2")
			r.mustProduce("a")
			r.converge(2 * core.Second)
			old := r.leader("t", 0)
			r.cutOff(old)
			require.Equal(t, wire.RequestTimedOut, r.produce("lost", acksAll))
			r.until("another leads", 20*core.Second, func() bool { return r.leader("t", 0) != old })
			r.mustProduce("b")
			r.mustProduce("c")
			require.Equal(t, []string{"a", "lost"}, values(t, r.bytes(old, "t")))
			r.advance(controllerWait + 2*core.Second)
			r.healNode(old)
			r.converge(30 * core.Second)
			require.Equal(t, r.sent, values(t, r.bytes(old, "t")))
			require.NotZero(t, r.nodes[old].marks.Count("broker.replica-truncates"))
			require.NotZero(t, r.nodes[old].marks.Count("broker.isr-change-unanswered"))
			for _, w := range r.nodes {
				require.Zero(t, w.marks.Count("broker.truncated-below-high"))
			}
		})
	}
}

// deleteBefore is DeleteRecords.
func (r *replicas) deleteBefore(to int64) wire.Code {
	q := kmsg.NewPtrDeleteRecordsRequest()
	topic, part := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	topic.Topic, part.Offset = "t", to
	topic.Partitions = append(topic.Partitions, part)
	q.Topics, q.TimeoutMillis = append(q.Topics, topic), 5000
	resp := r.call(r.leader("t", 0), "PLAINTEXT", 2, q).(*kmsg.DeleteRecordsResponse)
	return wire.Code(resp.Topics[0].Partitions[0].ErrorCode)
}

// A follower that was away while the leader let go of what it would need next begins anew where the leader's log starts.
func TestFollowerBelowTheLeadersStart(t *testing.T) {
	r := newReplicas(t, 3, "", "min.insync.replicas=2")
	r.mustProduce("a")
	r.converge(2 * core.Second)
	away := (r.leader("t", 0) + 1) % 3
	r.kill(away)
	r.until("it has left", 20*core.Second, func() bool { return len(r.hosted(r.leader("t", 0), "t", 0).leader.ISR()) == 2 })
	r.mustProduce("b")
	r.mustProduce("c")
	require.Equal(t, wire.None, r.deleteBefore(2))
	r.restart(away)
	at := r.leader("t", 0)
	r.until("it is in sync", 30*core.Second, func() bool { return len(r.hosted(at, "t", 0).leader.ISR()) == 3 })
	r.mustProduce("d")
	r.advance(core.Second)
	l := r.nodes[away].b.store.Log(r.hosted(away, "t", 0).log)
	require.Equal(t, core.Offset(2), l.Start())
	require.Equal(t, core.Offset(4), l.End())
	require.Equal(t, core.Offset(4), l.High())
	require.Equal(t, []string{"c", "d"}, values(t, r.bytes(away, "t")))
	require.NotZero(t, r.nodes[away].marks.Count("broker.replica-begins-anew"))
}

// DeleteRecords is done when every replica's log starts there.
func TestStartsFollowTheLeader(t *testing.T) {
	r := newReplicas(t, 3, "")
	for i := range 4 {
		r.mustProduce(fmt.Sprint(i))
	}
	r.converge(2 * core.Second)
	require.Equal(t, wire.None, r.deleteBefore(3))
	for i, w := range r.nodes {
		require.Equal(t, core.Offset(3), w.b.store.Log(r.hosted(i, "t", 0).log).Start(), "node %d", i)
	}
}

// Below min.insync.replicas nothing is acknowledged; what was appended before stays.
func TestTooFewInSync(t *testing.T) {
	r := newReplicas(t, 3, "", "min.insync.replicas=3")
	r.mustProduce("a")
	away := (r.leader("t", 0) + 1) % 3
	r.kill(away)
	r.until("it has left the in-sync set", 20*core.Second, func() bool { return len(r.hosted(r.leader("t", 0), "t", 0).leader.ISR()) == 2 })
	require.Equal(t, wire.NotEnoughReplicas, r.produce("refused", acksAll))
	require.Equal(t, wire.None, r.produce("b", acksLeader))
	r.restart(away)
	r.converge(30 * core.Second)
	require.Equal(t, []string{"a", "b"}, values(t, r.bytes(away, "t")))
}

// A follower whose disk hangs falls out of the in-sync set after replica.lag.time.max.ms, and the others go on; it comes back
// when it has caught up.
func TestSlowFollowerLeavesAndReturns(t *testing.T) {
	r := newReplicas(t, 3, "replica.lag.time.max.ms=2000\n", "min.insync.replicas=2")
	r.mustProduce("a")
	r.converge(2 * core.Second)
	at := r.leader("t", 0)
	slow := (at + 1) % 3
	if r.nodes[slow].b.active() {
		slow = (at + 2) % 3
	}
	r.nodes[slow].held[core.Sync] = true
	require.Equal(t, wire.RequestTimedOut, r.produce("b", acksAll), "a member of the in-sync set has not synced it")
	r.until("the follower has left", 5*core.Second, func() bool { return len(r.hosted(at, "t", 0).leader.ISR()) == 2 })
	require.Equal(t, wire.None, r.produce("c", acksAll))
	r.nodes[slow].release()
	r.converge(5 * core.Second)
	require.Equal(t, []string{"a", "b", "c"}, values(t, r.bytes(slow, "t")))
	require.NotZero(t, r.nodes[at].b.repl.counts.shrinks)
	require.NotZero(t, r.nodes[at].b.repl.counts.expands)
}

// reassign asks for other replicas.
func (r *replicas) reassign(ids ...int32) wire.Code {
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	topic, part := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	topic.Topic, part.Replicas = "t", ids
	topic.Partitions = append(topic.Partitions, part)
	q.Topics, q.TimeoutMillis = append(q.Topics, topic), 5000
	resp := r.call(r.running(), "PLAINTEXT", 0, q).(*kmsg.AlterPartitionAssignmentsResponse)
	if resp.ErrorCode != 0 || len(resp.Topics) == 0 {
		return wire.Code(resp.ErrorCode)
	}
	return wire.Code(resp.Topics[0].Partitions[0].ErrorCode)
}

// A partition moves to other nodes: a new replica copies it and joins, the old one's files go, also if its node was down meanwhile;
// and it may come back.
func TestReplicasMove(t *testing.T) {
	r := newReplicas(t, 3, "")
	for i := range 3 {
		r.mustProduce(fmt.Sprint(i))
	}
	r.converge(2 * core.Second)
	at := r.leader("t", 0)
	others := []int{(at + 1) % 3, (at + 2) % 3}
	require.Equal(t, wire.None, r.reassign(int32(at+1), int32(others[0]+1)))
	r.until("it is gone", 5*core.Second, func() bool { return r.hosted(others[1], "t", 0) == nil })
	r.mustProduce("3")
	r.advance(2 * core.Minute) // file.delete.delay.ms
	require.Empty(t, r.bytes(others[1], "t"))
	require.Equal(t, wire.None, r.reassign(int32(others[0]+1), int32(others[1]+1)))
	r.until("the old leader's is gone", 5*core.Second, func() bool { return r.hosted(at, "t", 0) == nil })
	r.mustProduce("4")
	require.Equal(t, wire.None, r.reassign(1, 2, 3))
	r.converge(5 * core.Second)
	require.NotZero(t, r.nodes[at].marks.Count("broker.replica-taken-away"))
	require.Equal(t, r.sent, values(t, r.bytes(at, "t")))

	r.kill(at)
	r.until("it is fenced", 10*core.Second, func() bool {
		return r.leader("t", 0) != at && len(r.hosted(r.leader("t", 0), "t", 0).leader.ISR()) == 2
	})
	require.Equal(t, wire.None, r.reassign(int32(others[0]+1), int32(others[1]+1)))
	r.advance(core.Second)
	r.restart(at)
	r.until("all are ready", 10*core.Second, r.ready)
	r.advance(2 * core.Minute)
	require.Empty(t, r.bytes(at, "t"), "a replica that was taken away while its node was down")
}

// After an unclean election copies come together again, and that committed records go with it is said.
func TestUncleanElection(t *testing.T) {
	r := newReplicasOf(t, 3, 2, "", "unclean.leader.election.enable=true")
	r.mustProduce("a")
	r.converge(2 * core.Second)
	at := r.leader("t", 0)
	all := r.nodes[at].b.img.Partition("t", 0).Replicas
	other := int(all[0]+all[1]) - (at + 1) - 1
	r.kill(other)
	r.until("it has left", 20*core.Second, func() bool { return len(r.hosted(at, "t", 0).leader.ISR()) == 1 })
	r.mustProduce("b")
	r.advance(10 * core.Second) // the high watermark is in its checkpoint
	r.kill(at)
	r.restart(other)
	r.until("the one that lacks b leads", 30*core.Second, func() bool { return r.leader("t", 0) == other })
	r.until("the partition has recovered (KIP-704)", core.Second, func() bool { return !r.nodes[other].b.img.Partition("t", 0).Recovering })
	r.mustProduce("c")
	r.restart(at)
	r.converge(30 * core.Second)
	require.Equal(t, []string{"a", "c"}, values(t, r.bytes(at, "t")))
	require.NotZero(t, r.nodes[at].marks.Count("broker.truncated-below-high"))
	require.Contains(t, fmt.Sprint(r.nodes[at].notes), "lacks records that were committed")
}

// From the death of a leader to the first acknowledged record it takes no more than the session of its broker and a moment.
func TestFailoverTakesASession(t *testing.T) {
	r := newReplicas(t, 3, "", "min.insync.replicas=2")
	q := kmsg.NewPtrCreateTopicsRequest() // so that every node follows every other
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "others", 9, 3
	q.Topics, q.TimeoutMillis = append(q.Topics, topic), 5000
	r.call(0, "PLAINTEXT", 7, q)
	for range 5 {
		r.mustProduce("a")
		r.converge(10 * core.Second)
		old := r.leader("t", 0)
		at := r.nodes[(old+1)%3].now.Mono
		r.kill(old)
		elected := r.until("another leads", 30*core.Second, func() bool { l := r.leader("t", 0); return l >= 0 && l != old })
		r.mustProduce("b")
		took := r.nodes[(old+1)%3].now.Mono - at
		t.Logf("elected after %d ms, the first record acknowledged after %d ms", elected.Millis(), took.Millis())
		require.Less(t, took, sessionDefault+core.Second)
		r.restart(old)
		r.converge(30 * core.Second)
	}
}

// offer sends a record to a node and does not wait; answers are gathered by gather.
func (r *replicas) offer(at int, value string) {
	w := r.nodes[at]
	if w.exit >= 0 {
		return
	}
	r.last += 2
	w.conns[r.last] = &memConn{}
	w.deliver(core.Event{Kind: core.Opened, Conn: r.last, Data: core.ConnInfo{Listener: "PLAINTEXT", Remote: "10.0.0.1:5"}.Append(nil)})
	w.send(r.last, 9, "test", r.record(at, value, acksAll))
	r.offered = append(r.offered, offered{w.conns[r.last], value, at, r.last})
}

type offered struct {
	conn  *memConn
	value string
	node  int
	id    core.ConnID
}

func (r *replicas) gather() {
	r.offered = slices.DeleteFunc(r.offered, func(o offered) bool {
		if r.nodes[o.node].conns[o.id] != o.conn {
			return true // of an earlier life
		}
		resp := r.nodes[o.node].receive(o.id)
		if resp == nil {
			return o.conn.closed
		}
		if resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode == 0 {
			r.sent = append(r.sent, o.value)
		}
		return true
	})
}

// copiesHold checks that every member of a leader's in-sync set holds all below its high watermark: I18, I20.
func (r *replicas) copiesHold(t require.TestingT) {
	for i, w := range r.nodes {
		h := r.hosted(i, "t", 0)
		if w.exit >= 0 || h == nil || h.leader == nil {
			continue
		}
		high := int(h.leader.High())
		own := values(r.t, r.bytes(i, "t"))
		require.GreaterOrEqual(t, len(own), high)
		for _, m := range h.leader.ISR() {
			theirs := values(r.t, r.bytes(int(m)-1, "t"))
			require.GreaterOrEqual(t, len(theirs), high, "I18: node %d lacks what node %d counts as committed", m, i+1)
			require.True(t, slices.Equal(own[:high], theirs[:high]), "I15: nodes %d and %d", m, i+1)
		}
	}
}

// Whatever nodes are killed, cut off and brought back: what was acknowledged with acks=all is there in the end, once, on every
// copy, and no replica ever had to give up what it knew as committed.
func TestReplicasSurvive(t *testing.T) {
	did := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		durability := rapid.SampledFrom([]string{"sync", "replicate"}).Draw(rt, "durability")
		lag := rapid.IntRange(500, 5000).Draw(rt, "lag")
		r := newReplicas(t, 3, fmt.Sprintf("klamm.durability=%s\nreplica.lag.time.max.ms=%d\n", durability, lag), "min.insync.replicas=2")
		n := 0
		any := func(rt *rapid.T) int { return rapid.IntRange(0, 2).Draw(rt, "node") }
		rt.Repeat(map[string]func(*rapid.T){
			"produce": func(rt *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(rt, "records") {
					n++
					r.offer(any(rt), fmt.Sprint(n))
				}
			},
			"produce at the leader": func(rt *rapid.T) {
				if at := r.leader("t", 0); at >= 0 {
					n++
					r.offer(at, fmt.Sprint(n))
				}
			},
			"time": func(rt *rapid.T) {
				r.advance(core.Time(rapid.IntRange(1, 3000).Draw(rt, "ms")) * core.Millisecond)
				r.gather()
			},
			"kill": func(rt *rapid.T) {
				r.gather()
				if i := any(rt); r.nodes[i].exit < 0 {
					r.kill(i)
				}
			},
			"restart": func(rt *rapid.T) {
				if i := any(rt); r.nodes[i].exit >= 0 {
					r.restart(i)
				}
			},
			"cut": func(rt *rapid.T) { r.cutOff(any(rt)) },
			"a leader's tail is nobody else's": func(rt *rapid.T) {
				at := r.leader("t", 0)
				if at < 0 {
					return
				}
				r.cutOff(at)
				for range rapid.IntRange(1, 3).Draw(rt, "records") {
					n++
					r.offer(at, fmt.Sprint(n))
				}
				r.advance(core.Time(rapid.IntRange(1500, 4000).Draw(rt, "ms")) * core.Millisecond)
				for i := range r.nodes {
					n++
					r.offer(i, fmt.Sprint(n))
				}
				r.settle()
				r.gather()
				if rapid.Bool().Draw(rt, "heal") {
					r.healNode(at)
				}
			},
			"heal": func(rt *rapid.T) { r.healNode(any(rt)) },
			"": func(rt *rapid.T) {
				r.settle()
				r.gather()
				r.copiesHold(rt)
			},
		})
		for i, w := range r.nodes {
			r.healNode(i)
			if w.exit >= 0 {
				r.restart(i)
			}
		}
		r.until("all are ready", 60*core.Second, r.ready)
		r.converge(60 * core.Second)
		r.gather()
		have := map[string]int{}
		for _, v := range values(t, r.bytes(0, "t")) {
			have[v]++
		}
		for _, v := range r.sent {
			require.Equal(rt, 1, have[v], "I25: %s was acknowledged", v)
			did["acknowledged"]++
		}
		for _, w := range r.nodes {
			require.Zero(rt, w.marks.Count("broker.truncated-below-high"))
			did["truncated"] += int(w.marks.Count("broker.replica-truncates"))
		}
	})
	require.NotZero(t, did["acknowledged"])
	t.Log(did)
}

// A leader whose file is damaged infects nobody: a follower takes nothing that its checksum does not cover. That it asks for the same again
// and again has the leader look, give its leadership away, and get what it lacks from the one that was in sync.
func TestDamageIsNotCopied(t *testing.T) {
	r := newReplicas(t, 3, "replica.lag.time.max.ms=2000\n")
	r.mustProduce("a")
	r.converge(2 * core.Second)
	at := r.leader("t", 0)
	away := (at + 1) % 3
	r.kill(away)
	r.until("it has left", 20*core.Second, func() bool { return len(r.hosted(at, "t", 0).leader.ISR()) == 2 })
	r.mustProduce("b")
	r.mustProduce("c")
	file := r.nodes[at].files["/data/t-0/00000000000000000000.log"]
	file.data[len(file.data)-3] ^= 1 // of c
	r.restart(away)
	r.advance(3 * core.Second)
	require.NotZero(t, r.nodes[away].marks.Count("broker.replica-bad-batch"))
	r.converge(20 * core.Second)
	require.NotEqual(t, at, r.leader("t", 0))
	require.NotZero(t, r.nodes[at].marks.Count("broker.replica-sent-again"))
	for i := range r.nodes {
		require.Equal(t, []string{"a", "b", "c"}, values(t, r.bytes(i, "t")))
	}
}

// A leader that has forgotten a follower's session is told everything again.
func TestReplicaSessionIsLost(t *testing.T) {
	r := newReplicas(t, 3, "")
	r.mustProduce("a")
	r.converge(2 * core.Second)
	at := r.leader("t", 0)
	for _, w := range r.nodes {
		for i := range w.b.repl.fetchers {
			if f := &w.b.repl.fetchers[i]; int(f.node) == at+1 {
				r.nodes[at].b.sessions.Remove(f.session)
			}
		}
	}
	r.mustProduce("b")
	r.converge(2 * core.Second)
	require.NotZero(t, r.nodes[(at+1)%3].marks.Count("broker.replica-session-lost")+r.nodes[(at+2)%3].marks.Count("broker.replica-session-lost"))
}

// Without room for sessions at the leader every request names everything.
func TestReplicasWithoutSessions(t *testing.T) {
	r := newReplicas(t, 3, "max.incremental.fetch.session.cache.slots=0\n")
	for i := range 5 {
		r.mustProduce(fmt.Sprint(i))
	}
	r.converge(2 * core.Second)
}

// A consumer is sent to a replica of its rack, and reads there up to what that one knows to be committed (KIP-392).
func TestConsumersReadNearby(t *testing.T) {
	r := &replicas{fleet: newFleet(t, 3, func(i int) string {
		return fmt.Sprintf("broker.rack=r%d\nreplica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector\n", i)
	})}
	r.until("all are ready", 10*core.Second, r.ready)
	r.create(3)
	r.mustProduce("a")
	r.mustProduce("b")
	r.converge(2 * core.Second)
	at := r.leader("t", 0)
	near := (at + 1) % 3
	ask := func(node int, offset int64, rack string) kmsg.FetchResponseTopicPartition {
		q := kmsg.NewPtrFetchRequest()
		q.SessionEpoch, q.MaxBytes, q.Rack = -1, 1<<20, rack
		topic, part := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		topic.Topic, part.PartitionMaxBytes, part.FetchOffset = "t", 1<<20, offset
		topic.Partitions = append(topic.Partitions, part)
		q.Topics = append(q.Topics, topic)
		return r.call(node, "PLAINTEXT", 12, q).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	}
	p := ask(at, 0, fmt.Sprint("r", near))
	require.EqualValues(t, near+1, p.PreferredReadReplica)
	require.Empty(t, p.RecordBatches)
	p = ask(near, 0, fmt.Sprint("r", near))
	require.Zero(t, p.ErrorCode)
	require.EqualValues(t, -1, p.PreferredReadReplica)
	require.EqualValues(t, 2, p.HighWatermark)
	require.Equal(t, []string{"a", "b"}, values(t, p.RecordBatches))
	require.EqualValues(t, wire.OffsetOutOfRange, ask(near, 3, "").ErrorCode)
	require.Equal(t, []string{"a", "b"}, values(t, ask(at, 0, fmt.Sprint("r", at)).RecordBatches), "the leader's own rack")
	require.Equal(t, []string{"a", "b"}, values(t, ask(at, 0, "elsewhere").RecordBatches))
}
