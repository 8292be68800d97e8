package quorum

import (
	"fmt"
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// oracle is what the judge of a cluster remembers. It asks nodes for what they are, never for whether they are right.
type oracle struct {
	led       map[core.Epoch][2]int      // I31, I34: the node and its life
	named     map[core.Epoch]core.NodeID // I31
	votes     map[ballotKey]int          // I32
	wrote     map[place]string           // I34: what leaders appended
	fixed     []place                    // sets of voters that are committed
	states    map[core.Offset]state2     // I36, I42, I45: what was handed out
	last      core.Offset                // the furthest end that was handed out
	lastEpoch core.Epoch                 // and its epoch
	elections int
	truncated int
	installed int
	acks      int
}

type ballotKey struct {
	voter int
	dir   core.TopicID
	epoch core.Epoch
}

type place struct {
	epoch core.Epoch
	end   core.Offset
}

// state2 is the metadata at an offset.
type state2 struct {
	epoch core.Epoch
	names digest
}

func (o *oracle) init() {
	o.led, o.named, o.votes = map[core.Epoch][2]int{}, map[core.Epoch]core.NodeID{}, map[ballotKey]int{}
	o.wrote, o.states = map[place]string{}, map[core.Offset]state2{0: {}}
}

// left judges a request that leaves a node.
func (c *cluster) left(m *member, q kmsg.Request) {
	switch q := q.(type) {
	case *kmsg.VoteRequest:
		p := &q.Topics[0].Partitions[0]
		c.spoke(m, core.Epoch(p.CandidateEpoch))
		if !p.PreVote {
			c.ballot(m.id, core.Epoch(p.CandidateEpoch), m.id)
		}
		if !c.mayLead(m) {
			c.violated("I40: observer %d asks for votes", m.id)
		}
	case *kmsg.FetchRequest:
		p := &q.Topics[0].Partitions[0]
		c.spoke(m, core.Epoch(p.CurrentLeaderEpoch))
		if claimed := core.Offset(p.FetchOffset); claimed > m.acked {
			c.doom(m, 200)
		}
		m.acked = core.Offset(p.FetchOffset)
		if d := m.store.Log(m.node.id).Durable(); m.acked > d {
			c.violated("I38: node %d claims to hold all below %d, and %d is durable", m.id, m.acked, d)
		}
	case *kmsg.BeginQuorumEpochRequest:
		c.spoke(m, core.Epoch(q.Topics[0].Partitions[0].LeaderEpoch))
	case *kmsg.EndQuorumEpochRequest:
		c.spoke(m, core.Epoch(q.Topics[0].Partitions[0].LeaderEpoch))
	}
}

// gave judges an answer that leaves a node.
func (c *cluster) gave(m *member, msg message, resp kmsg.Response) {
	if c.deaf {
		return
	}
	switch r := resp.(type) {
	case *kmsg.VoteResponse:
		if r.ErrorCode != 0 {
			return
		}
		p := &r.Topics[0].Partitions[0]
		c.spoke(m, core.Epoch(p.LeaderEpoch))
		if q := kmsg.RequestForKey(msg.key).(*kmsg.VoteRequest); p.VoteGranted {
			q.SetVersion(msg.version)
			_ = q.ReadFrom(msg.body)
			if asked := &q.Topics[0].Partitions[0]; !asked.PreVote {
				c.ballot(m.id, core.Epoch(asked.CandidateEpoch), int(asked.CandidateID))
			}
		}
	case *kmsg.FetchResponse:
		if r.ErrorCode == 0 {
			c.spoke(m, core.Epoch(r.Topics[0].Partitions[0].CurrentLeader.LeaderEpoch))
		}
	}
}

func (c *cluster) ballot(voter int, epoch core.Epoch, candidate int) {
	k := ballotKey{voter, c.members[voter-1].dir, epoch}
	if was, ok := c.o.votes[k]; ok && was != candidate {
		c.violated("I32: node %d votes for %d and for %d in epoch %d", voter, was, candidate, epoch)
	}
	c.o.votes[k] = candidate
	c.doom(c.members[voter-1], 8)
}

// spoke notes an epoch that a node named to others: it may not forget it (I33).
func (c *cluster) spoke(m *member, epoch core.Epoch) { m.spoke = max(m.spoke, epoch) }

// appended judges what a leader appends.
func (c *cluster) appended(m *member, epoch core.Epoch, end core.Offset, records []wire.Record) {
	text := fmt.Sprint(len(records))
	for _, r := range records {
		if t, ok := r.(*wire.TopicRecord); ok {
			text += t.Name
		}
	}
	if was, ok := c.o.wrote[place{epoch, end}]; ok {
		c.violated("I34: two batches end at %d in epoch %d: %s and %s", end, epoch, was, text)
	}
	c.o.wrote[place{epoch, end}] = text
}

// handed judges what a node was handed, and keeps its fold.
func (c *cluster) handed(m *member, b Batch) {
	if b.Snapshot {
		m.names = digest{}
		m.img = image.Empty()
	}
	for _, r := range b.Records {
		if t, ok := r.(*wire.TopicRecord); ok {
			m.names.add(t.Name)
		}
	}
	if b.End < m.img.End() {
		c.violated("I42: what node %d is handed goes back from %d to %d", m.id, m.img.End(), b.End)
		return
	}
	img, _, err := m.img.Apply(b.Records, b.End, b.Epoch)
	if err != nil {
		c.violated("I42: node %d cannot apply what it is handed at %d: %v", m.id, b.End, err)
		return
	}
	m.img = img
	if img.TopicCount() != m.names.n {
		c.violated("I45: node %d has %d topics of %d", m.id, img.TopicCount(), m.names.n)
	}
	at := state2{b.Epoch, m.names}
	was, known := c.o.states[b.End]
	switch {
	case known && was != at:
		c.violated("I36: node %d has other metadata at %d than another node had: %v and %v", m.id, b.End, at, was)
	case !known && b.End <= c.o.last:
		c.violated("I36, I43: node %d is handed a piece that ends at %d, where no piece ended on other nodes", m.id, b.End)
	case !known:
		c.o.states[b.End] = at
		c.o.last, c.o.lastEpoch = b.End, b.Epoch
		c.o.acks++
	}
}

// judge looks at a node after a step.
func (c *cluster) judge(m *member) {
	n := m.node
	if c.deaf {
		return
	}
	if n.failed != "" {
		if m.failed == "" {
			m.failed = n.failed
			c.violated("node %d fails: %s", m.id, n.failed)
		}
		return
	}
	if n.stage != stageServing {
		return
	}
	l := m.store.Log(n.id)
	busy := n.logBusy(m.store)
	if busy {
		m.acked, m.durable = 0, 0 // it gives up what it claimed, by the leader's word
	} else {
		if !m.seen && m.acked > l.End() {
			c.violated("I38: node %d claimed to hold all below %d, and has %d after a restart", m.id, m.acked, l.End())
		}
		m.durable = l.Durable()
		if n.high > l.End() {
			c.violated("I07: the log of node %d ends at %d, below its high watermark %d", m.id, l.End(), n.high)
		}
		if l.Start() > 0 && (len(n.snapshots) == 0 || n.snapshots[len(n.snapshots)-1].End < l.Start()) {
			c.violated("I41: the log of node %d begins at %d and no snapshot reaches there", m.id, l.Start())
		}
	}
	if n.state.epoch < m.spoke {
		c.violated("I33: node %d is at epoch %d and has named %d", m.id, n.state.epoch, m.spoke)
	}
	if to, voted := c.o.votes[ballotKey{m.id, m.dir, n.state.epoch}]; voted && !m.seen && n.state.voted == core.NoNode && n.state.leader == core.NoNode && n.role != Candidate {
		c.violated("I32: node %d has forgotten that it voted for %d in epoch %d", m.id, to, n.state.epoch)
	}
	if n.high < m.high {
		c.violated("I36: the high watermark of node %d falls from %d to %d", m.id, m.high, n.high)
	}
	if leader, epoch := n.Leader(); leader != core.NoNode {
		if was, ok := c.o.named[epoch]; ok && was != leader {
			c.violated("I31: nodes %d and %d are named as leaders of epoch %d", was, leader, epoch)
		}
		c.o.named[epoch] = leader
	}
	if c.v.on {
		c.judgeVoters(m)
	}
	if n.Leads() {
		c.judgeLeader(m)
	}
	m.high, m.seen = n.high, true
	if !n.Leads() && !c.mayLead(m) && n.role != Resigned && n.role != Follower && n.role != Unattached {
		c.violated("I40: observer %d is %s", m.id, n.role)
	}
}

func (c *cluster) judgeLeader(m *member) {
	n := m.node
	_, epoch := n.Leader()
	me := [2]int{m.id, m.life}
	was, ok := c.o.led[epoch]
	switch {
	case !ok:
		c.say("node %d leads epoch %d from %d", m.id, epoch, n.epochStart)
		c.o.led[epoch] = me
		c.o.elections++
		for i := range n.peers { // nobody can have fetched from it yet
			if n.peers[i].end >= 0 {
				c.violated("I37: leader %d of epoch %d begins with progress of an earlier leadership", m.id, epoch)
			}
		}
		// Of a later term: an earlier one may still be won, late, by votes that were given before.
		if at, end := m.store.EpochEnd(n.id, c.o.lastEpoch); c.o.last > 0 && epoch > c.o.lastEpoch && (at != c.o.lastEpoch || end < c.o.last) && c.o.last > m.store.Log(n.id).Start() {
			c.violated("I35: node %d leads epoch %d without what was committed in epoch %d up to %d", m.id, epoch, c.o.lastEpoch, c.o.last)
		}
	case was[0] != me[0]:
		c.violated("I31: nodes %d and %d lead epoch %d", was[0], me[0], epoch)
	case was != me:
		c.violated("I34: node %d leads epoch %d in two lives", m.id, epoch)
	}
	if n.high > m.high && m.seen {
		copies, voters := 0, c.voters
		for _, v := range c.members {
			if v.durable >= n.high && c.counts(m, v) {
				copies++
			}
		}
		if c.v.on {
			voters = len(c.force(m))
		}
		if copies <= voters/2 {
			c.violated("I37: leader %d commits %d with %d durable copies of %d voters", m.id, n.high, copies, voters)
		}
		if n.high <= n.epochStart {
			c.violated("I37: leader %d of epoch %d commits %d, before its own epoch begins at %d", m.id, epoch, n.high, n.epochStart)
		}
	}
}

// counts reports whether a member is of the voters that a leader's log names.
func (c *cluster) counts(leader, m *member) bool {
	if !c.v.on {
		return m.id <= c.voters
	}
	return slices.ContainsFunc(c.force(leader), m.is)
}

// mayLead reports whether a member is a voter by its own log, or was one before a change that it cannot know to be committed.
func (c *cluster) mayLead(m *member) bool {
	if c.counts(m, m) || !c.v.on {
		return c.counts(m, m)
	}
	last, before := c.v.first, c.v.first
	at := core.Offset(-1)
	for i := range c.v.appended {
		if x := &c.v.appended[i]; c.has(m, x) && x.end > at {
			before, last, at = last, x.keys, x.end
		}
	}
	return at > m.node.high && slices.ContainsFunc(before, m.is)
}
