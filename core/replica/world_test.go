package replica

import (
	"fmt"
	"slices"
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// little is a world of one partition: nodes with logs, a controller that never lies, and messages that come late, twice or never.
// Records are one to a batch, so an offset is an index.
type little struct {
	t      *rapid.T
	now    core.Time
	nodes  []*node
	state  registration // the controller's
	past   []registration
	min    int
	bag    []any // messages under way
	next   int   // id of the next record
	did    map[string]int
	agreed []record // by offset: what a leader in its right has shown to be committed
	lead   map[core.Epoch]*life
}

// registration is the partition as the controller has it.
type registration struct {
	leader  core.NodeID
	epoch   core.Epoch
	version core.PartitionEpoch
	isr     []core.NodeID
	elr     []core.NodeID // members that left when too few remained: they may still lead
	alive   []bool        // by node: unfenced
	lives   []core.BrokerEpoch
}

type record struct {
	epoch core.Epoch
	id    int
}

// node is a broker. Its log survives a crash up to durable.
type node struct {
	id       core.NodeID
	log      []record
	durable  int
	high     core.Offset
	life     *life
	seen     int // of past
	leader   *Leader
	follower *Follower
	begun    core.Epoch // the epoch that it opened as a leader, and where
	begunAt  core.Offset
}

// life is one incarnation of a broker.
type life struct{ epoch core.BrokerEpoch }

type fetchAsk struct {
	from, to core.NodeID
	broker   core.BrokerEpoch
	place    Place
	truth    int // what was durable at the follower
}

type fetchReply struct {
	from, to core.NodeID
	broker   core.BrokerEpoch
	place    Place
	a        Answer
	recs     []record
}

type alter struct {
	from    core.NodeID
	epoch   core.Epoch
	version core.PartitionEpoch
	isr     []core.NodeID
	lives   []core.BrokerEpoch
}

func newLittle(t *rapid.T, did map[string]int) *little {
	w := &little{t: t, did: did, lead: map[core.Epoch]*life{}, now: 1}
	n := rapid.IntRange(2, 4).Draw(t, "nodes")
	w.min = rapid.IntRange(1, 2).Draw(t, "min.insync.replicas")
	for i := range n {
		w.nodes = append(w.nodes, &node{id: core.NodeID(i), life: &life{core.BrokerEpoch(i)}, begun: -1})
		w.state.isr = append(w.state.isr, core.NodeID(i))
		w.state.alive = append(w.state.alive, true)
		w.state.lives = append(w.state.lives, core.BrokerEpoch(i))
	}
	w.commit()
	return w
}

// commit notes the controller's state as the next thing that brokers will hear of.
func (w *little) commit() {
	s := w.state
	s.isr, s.elr, s.alive, s.lives = slices.Clone(s.isr), slices.Clone(s.elr), slices.Clone(s.alive), slices.Clone(s.lives)
	w.past = append(w.past, s)
}

func (n *node) end() core.Offset { return core.Offset(len(n.log)) }

func (n *node) own() Own {
	o := Own{End: n.end(), Safe: core.Offset(n.durable), High: n.high, Last: -1}
	if len(n.log) > 0 {
		o.Last = n.log[len(n.log)-1].epoch
	}
	return o
}

// ends is what the log's table of epochs says.
func (n *node) ends(e core.Epoch) (core.Epoch, core.Offset) {
	newest := n.own().Last
	if n.begunAt == n.end() {
		newest = max(newest, n.begun)
	}
	if e < 0 || e > newest {
		return -1, -1
	}
	i := 0
	for i < len(n.log) && n.log[i].epoch <= e {
		i++
	}
	if n.begunAt == n.end() && n.begun >= 0 && n.begun <= e {
		return n.begun, n.end()
	}
	if i == 0 {
		return e, 0
	}
	return n.log[i-1].epoch, core.Offset(i)
}

// hear lets a node take in the next state of the controller.
func (w *little) hear(n *node) {
	if n.life == nil || n.seen >= len(w.past) {
		return
	}
	s := &w.past[n.seen]
	n.seen++
	if s.lives[n.id] != n.life.epoch { // of before this life's registration
		return
	}
	all := make([]Replica, len(w.nodes))
	for i := range all {
		all[i] = Replica{Node: core.NodeID(i), Epoch: s.lives[i], Barred: !s.alive[i]}
	}
	switch {
	case s.leader == n.id && s.alive[n.id]:
		n.follower = nil
		if n.leader == nil || n.leader.Epoch() != s.epoch {
			terms := Terms{Self: n.id, Epoch: s.epoch, Replicas: all, ISR: s.isr, Version: s.version, MinISR: w.min, LagMax: 30}
			n.leader = Lead(w.now, terms, 0, n.end(), core.Offset(n.durable), n.high)
			n.begun, n.begunAt = s.epoch, n.end()
			other, taken := w.lead[s.epoch]
			require.True(w.t, !taken || other == n.life, "I22")
			w.lead[s.epoch] = n.life
			w.did["lead"]++
		} else {
			n.leader.Replicas(w.now, all)
			n.leader.Agreed(w.now, s.isr, s.version)
		}
		w.rose(n)
	case s.leader != n.id && s.leader != core.NoNode:
		n.leader = nil
		if n.follower == nil || n.follower.Epoch() != s.epoch {
			n.follower, _ = Follow(s.leader, s.epoch, n.own())
		}
	default:
		n.leader, n.follower = nil, nil
	}
}

// rose takes in a leader's high watermark: what lies below is committed, if it leads in its right.
func (w *little) rose(n *node) {
	l := n.leader
	before := n.high
	n.high = l.High()
	if n.high == before {
		return
	}
	members := append(slices.Clone(l.ISR()), l.Asked()...)
	require.True(w.t, l.Enough(), "I18")
	for _, m := range members {
		require.GreaterOrEqual(w.t, w.nodes[m].durable, int(n.high), "I18: node %d holds less than the high watermark of node %d", m, n.id)
	}
	for o := len(w.agreed); o < int(n.high); o++ {
		w.agreed = append(w.agreed, n.log[o])
		w.did["commit"]++
	}
	w.readable(n)
}

// readable checks that what a replica shows to readers is committed: I29, I15.
func (w *little) readable(n *node) {
	require.LessOrEqual(w.t, int(n.high), len(n.log), "I03")
	require.LessOrEqual(w.t, int(n.high), len(w.agreed), "I29: node %d shows what is not committed", n.id)
	require.True(w.t, slices.Equal(w.agreed[:n.high], n.log[:n.high]), "I15: node %d", n.id)
}

// produce appends at whoever believes to lead.
func (w *little) produce(n *node) {
	if n.life == nil || n.leader == nil {
		return
	}
	n.log = append(n.log, record{n.leader.Epoch(), w.next})
	w.next++
	n.leader.Appended(n.end())
}

func (w *little) sync(n *node) {
	if n.life == nil {
		return
	}
	n.durable = len(n.log)
	if n.leader != nil {
		n.leader.Durable(w.now, n.end())
		w.rose(n)
	}
}

func (w *little) fetch(n *node) {
	if n.life == nil || n.follower == nil {
		return
	}
	if p, ok := n.follower.Place(w.now, n.own()); ok {
		w.bag = append(w.bag, fetchAsk{n.id, n.follower.Leader(), n.life.epoch, p, n.durable})
	}
}

// serve answers a fetch as core/broker does.
func (w *little) serve(q fetchAsk) {
	n := w.nodes[q.to]
	r := fetchReply{from: q.to, to: q.from, broker: q.broker, place: q.place}
	switch l := n.leader; {
	case n.life == nil:
		return
	case l == nil:
		r.a.Code = wire.NotLeaderOrFollower
	case q.place.Leads < l.Epoch():
		r.a.Code = wire.FencedLeaderEpoch
	case q.place.Leads > l.Epoch():
		r.a.Code = wire.UnknownLeaderEpoch
	default:
		w.read(n, q, &r)
	}
	w.bag = append(w.bag, r)
}

func (w *little) read(n *node, q fetchAsk, r *fetchReply) {
	l := n.leader
	if q.place.Last >= 0 {
		if e, end := n.ends(q.place.Last); e < 0 {
			r.a.Code = wire.OffsetOutOfRange
			return
		} else if e < q.place.Last || end < q.place.Offset {
			r.a.Diverged, r.a.DivergeEpoch, r.a.DivergeEnd = true, e, end
			return
		}
	}
	if q.place.Offset > n.end() {
		r.a.Code = wire.OffsetOutOfRange
		return
	}
	f := w.nodes[q.from]
	_, v := l.Fetched(w.now, q.from, q.broker, q.place.Offset, 0)
	if v != Booked {
		r.a.Code = wire.NotLeaderOrFollower
		w.did["stale fetch"]++
		return
	}
	if f.life != nil && f.life.epoch == q.broker && f.follower != nil && f.follower.Epoch() == l.Epoch() { // it may have been cut since by another leader
		require.GreaterOrEqual(w.t, f.durable, int(q.place.Offset), "I28")
		require.True(w.t, slices.Equal(n.log[:q.place.Offset], f.log[:q.place.Offset]), "I28: what is booked is the same")
	}
	w.rose(n)
	w.ask(n)
	to := min(len(n.log), int(q.place.Offset)+3)
	r.recs = slices.Clone(n.log[q.place.Offset:to])
	r.a.High = n.high
	for i, rec := range r.recs {
		r.a.Batches = append(r.a.Batches, batchOf(rec, q.place.Offset+core.Offset(i))...)
	}
}

func batchOf(rec record, at core.Offset) []byte {
	bl := batch.NewBuilder(batch.Options{})
	bl.Add(1, nil, []byte(fmt.Sprint(rec.id)), nil)
	v := bl.Finish(at)
	v.SetLeaderEpoch(rec.epoch)
	return v
}

// take has a follower take an answer.
func (w *little) take(r fetchReply) {
	n := w.nodes[r.to]
	if n.life == nil || n.life.epoch != r.broker || n.follower == nil || n.follower.Epoch() != r.place.Leads {
		return
	}
	s := n.follower.Answered(w.now, n.own(), r.place.Offset, &r.a, n.ends)
	switch s.Act {
	case Append:
		require.Len(w.t, s.Batches, len(r.a.Batches))
		n.log = append(n.log, r.recs...)
		n.follower.Appended()
		w.did["append"]++
	case Cut:
		require.False(w.t, s.BelowHigh, "node %d is cut below what it knew as committed", n.id)
		require.GreaterOrEqual(w.t, s.At, n.high, "nothing committed is cut")
		n.log = n.log[:s.At]
		n.durable = min(n.durable, int(s.At))
		n.follower.Cut()
		w.did["cut"]++
	case Begin, AskStart, AskEpoch:
		w.t.Fatalf("no leader's log begins above a follower's end here, yet: %v", s.Act)
	}
	if s.Act == Append || s.Act == Fetch && s.High >= 0 {
		n.high = n.own().HighFrom(s.High)
		w.readable(n)
	}
}

func (w *little) ask(n *node) {
	if n.life == nil || n.leader == nil {
		return
	}
	if want := n.leader.Propose(w.now); want != nil {
		w.send(n, want)
	}
}

func (w *little) send(n *node, want []core.NodeID) {
	q := alter{from: n.id, epoch: n.leader.Epoch(), version: n.leader.Version(), isr: want}
	for i, m := range want {
		e := n.life.epoch
		if m != n.id {
			e = n.leader.AskedAs()[i]
		}
		q.lives = append(q.lives, e)
	}
	w.bag = append(w.bag, q)
}

// decide is AlterPartition at the controller.
func (w *little) decide(q alter) {
	s := &w.state
	if q.epoch != s.epoch || q.version != s.version || s.leader != q.from {
		return // the metadata will tell
	}
	for i, m := range q.isr {
		if !s.alive[m] || s.lives[m] != q.lives[i] {
			return
		}
	}
	gone := slices.DeleteFunc(slices.Clone(s.isr), func(m core.NodeID) bool { return slices.Contains(q.isr, m) })
	s.isr = slices.Clone(q.isr)
	w.changed(gone)
	w.did["alter"]++
}

// changed ends a change of the in-sync set: members that left stay eligible while too few are left (KIP-966).
func (w *little) changed(gone []core.NodeID) {
	s := &w.state
	s.version++
	s.elr = append(s.elr, gone...)
	s.elr = slices.DeleteFunc(s.elr, func(m core.NodeID) bool { return slices.Contains(s.isr, m) })
	if len(s.isr) >= w.min {
		s.elr = nil
	}
	w.commit()
	w.complete()
}

// complete checks that whoever may lead next holds all that is committed: I20.
func (w *little) complete() {
	for _, m := range append(slices.Clone(w.state.isr), w.state.elr...) {
		n := w.nodes[m]
		require.GreaterOrEqual(w.t, n.durable, len(w.agreed), "I20: node %d", m)
		require.True(w.t, slices.Equal(w.agreed, n.log[:len(w.agreed)]), "I20: node %d", m)
	}
}

// elect gives the partition to a node that may lead it.
func (w *little) elect() {
	s := &w.state
	can := slices.DeleteFunc(slices.Clone(s.isr), func(m core.NodeID) bool { return !s.alive[m] })
	from := "isr"
	if len(can) == 0 {
		can = slices.DeleteFunc(slices.Clone(s.elr), func(m core.NodeID) bool { return !s.alive[m] })
		from = "elr"
	}
	if len(can) == 0 {
		return
	}
	s.leader = rapid.SampledFrom(can).Draw(w.t, "leader")
	s.epoch++
	gone := []core.NodeID{}
	if from == "elr" {
		gone, s.isr = s.isr, []core.NodeID{s.leader}
		w.did["elected from elr"]++
	}
	w.changed(gone)
	n := w.nodes[s.leader]
	require.GreaterOrEqual(w.t, len(n.log), len(w.agreed), "I19")
}

// fence is what the controller does with a silent broker.
func (w *little) fence(m core.NodeID) {
	s := &w.state
	s.alive[m] = false
	rest := slices.DeleteFunc(slices.Clone(s.isr), func(x core.NodeID) bool { return x == m })
	gone := []core.NodeID{}
	if len(rest) < len(s.isr) {
		gone, s.isr = []core.NodeID{m}, rest
	}
	if s.leader == m {
		s.leader = core.NoNode
		s.epoch++
	}
	if len(rest) == 0 && w.min < 2 && len(gone) > 0 {
		s.isr = gone // the last member stays
		gone = nil
	}
	w.changed(gone)
	if s.leader == core.NoNode {
		w.elect()
	}
}

func (w *little) crash(n *node) {
	if n.life == nil {
		return
	}
	n.life, n.leader, n.follower, n.begun = nil, nil, nil, -1
	n.log = slices.Clone(n.log[:n.durable])
	n.high = core.Offset(rapid.IntRange(0, min(int(n.high), n.durable)).Draw(w.t, "checkpointed high watermark"))
	w.did["crash"]++
}

func (w *little) start(n *node) {
	s := &w.state
	if n.life != nil {
		if !s.alive[n.id] {
			s.alive[n.id] = true
			w.commit()
			if s.leader == core.NoNode {
				w.elect()
			}
		}
		return
	}
	if s.alive[n.id] || s.leader == n.id { // the registration of a new life ends what the last one had
		w.fence(n.id)
	}
	n.life = &life{core.BrokerEpoch(len(w.past)) + 100}
	s.lives[n.id], s.alive[n.id] = n.life.epoch, true
	w.commit()
	n.seen = len(w.past) - 1
	if s.leader == core.NoNode {
		w.elect()
	}
}

func (w *little) deliver() {
	if len(w.bag) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.bag)-1).Draw(w.t, "message")
	m := w.bag[i]
	if rapid.IntRange(0, 9).Draw(w.t, "twice") > 0 {
		w.bag = slices.Delete(w.bag, i, i+1)
	}
	if rapid.IntRange(0, 9).Draw(w.t, "lost") == 0 {
		return
	}
	switch m := m.(type) {
	case fetchAsk:
		w.serve(m)
	case fetchReply:
		w.take(m)
	case alter:
		w.decide(m)
	}
}

// matches checks I16: equal epoch and offset, equal record and equal prefix.
func (w *little) matches() {
	for i, a := range w.nodes {
		for _, b := range w.nodes[:i] {
			same := false
			for o := min(len(a.log), len(b.log)) - 1; o >= 0; o-- {
				if a.log[o].epoch == b.log[o].epoch {
					same = true
				}
				if same {
					require.Equal(w.t, a.log[o], b.log[o], "I16: nodes %d and %d at %d", a.id, b.id, o)
				}
			}
		}
	}
}

// Whatever fails, and however late anybody hears of it: what a leader has shown to be committed stays, on everyone who may lead
// next (I15, I16, I18, I19, I20, I22, I28, I29); and when the faults end, all copies become equal (I30).
func TestReplication(t *testing.T) {
	did := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := newLittle(t, did)
		w.state.leader, w.state.epoch = core.NoNode, 0
		w.elect()
		any := func(t *rapid.T) *node { return rapid.SampledFrom(w.nodes).Draw(t, "node") }
		leader := func(t *rapid.T) *node {
			if l := w.state.leader; l != core.NoNode && rapid.IntRange(0, 3).Draw(t, "the leader") > 0 {
				return w.nodes[l]
			}
			return any(t)
		}
		steps := map[string]func(*rapid.T){
			"produce": func(t *rapid.T) { w.produce(leader(t)) },
			"sync":    func(t *rapid.T) { w.sync(any(t)) },
			"hear":    func(t *rapid.T) { w.hear(any(t)) },
			"hear all": func(t *rapid.T) {
				for n := any(t); n.life != nil && n.seen < len(w.past); {
					w.hear(n)
				}
			},
			"fetch":   func(t *rapid.T) { w.fetch(any(t)) },
			"deliver": func(t *rapid.T) { w.deliver() },
			"work": func(t *rapid.T) { // what a cluster in good order does
				for range rapid.IntRange(1, 3).Draw(t, "rounds") {
					w.round()
				}
			},
			"ask": func(t *rapid.T) { w.ask(leader(t)) },
			"refuse": func(t *rapid.T) {
				if n := leader(t); n.leader != nil && n.leader.Asked() != nil { // ask once more: the answer was lost
					w.send(n, n.leader.Asked())
				}
			},
			"time":  func(t *rapid.T) { w.now += core.Time(rapid.IntRange(1, 40).Draw(t, "by")) },
			"crash": func(t *rapid.T) { w.crash(any(t)) },
			"fence": func(t *rapid.T) {
				if n := any(t); w.state.alive[n.id] {
					w.fence(n.id)
				}
			},
			"start": func(t *rapid.T) { w.start(any(t)) },
			"elect": func(t *rapid.T) {
				if w.state.leader != core.NoNode {
					w.elect()
				}
			},
			"": func(t *rapid.T) { w.matches() },
		}
		for _, again := range []string{"produce", "sync", "hear", "fetch", "deliver"} {
			for _, n := range []string{" 2", " 3"} {
				steps[again+n] = steps[again]
			}
		}
		for range 10 {
			t.Repeat(steps)
		}
		w.heal()
	})
	for _, what := range []string{"lead", "commit", "append", "cut", "alter", "crash", "elected from elr"} {
		require.NotZero(t, did[what], "%s never happened: %v", what, did)
	}
}

// round has every message delivered and everybody do what is to be done.
func (w *little) round() {
	for _, n := range w.nodes {
		for n.life != nil && n.seen < len(w.past) {
			w.hear(n)
		}
		w.sync(n)
		w.fetch(n)
	}
	bag := w.bag
	w.bag = nil
	for _, m := range bag {
		switch m := m.(type) {
		case fetchAsk:
			w.serve(m)
		case fetchReply:
			w.take(m)
		case alter:
			w.decide(m)
		}
	}
	w.matches()
}

// heal ends all faults: every copy becomes the leader's, and everyone is in sync.
func (w *little) heal() {
	for _, n := range w.nodes {
		w.start(n)
	}
	require.NotEqual(w.t, core.NoNode, w.state.leader, "I87: nobody leads")
	w.produce(w.nodes[w.state.leader])
	for range 60 {
		w.now += 2 * core.Second // rests are over
		w.round()
		n := w.nodes[w.state.leader]
		if n.leader != nil && n.leader.Asked() != nil {
			w.send(n, n.leader.Asked()) // the answer may have been lost
		}
		w.ask(n)
	}
	l := w.nodes[w.state.leader]
	require.Len(w.t, w.state.isr, len(w.nodes), "I30: not everyone is in sync: %+v", w.state)
	for _, n := range w.nodes {
		require.True(w.t, slices.Equal(l.log, n.log), "I30: node %d", n.id)
		require.Equal(w.t, l.end(), n.high, "I30: node %d", n.id)
	}
}
