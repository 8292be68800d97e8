package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// play is a partition with three replicas under a judge. Verbs take the node first.
type play struct {
	*Replicas
	life map[int32]int
	logs map[int32][]Mark
}

func newPlay(voters ...int32) *play {
	p := &play{NewReplicas(Partition{"t", 0}, voters...), map[int32]int{}, map[int32][]Mark{}}
	for n := int32(1); n <= 3; n++ {
		p.Loaded(n, 0, 0, 0, nil)
	}
	return p
}

func (p *play) end(n int32) int64 {
	if l := p.logs[n]; len(l) > 0 {
		return l[len(l)-1].Last + 1
	}
	return 0
}

// put appends a batch of ten records whose checksum is sum.
func (p *play) put(n, epoch int32, sum uint32) {
	m := Mark{p.end(n), p.end(n) + 9, epoch, sum}
	p.logs[n] = append(p.logs[n], m)
	p.Extended(n, m)
}

// lead is a look at a leader.
func (p *play) lead(n, epoch int32, high int64, isr ...int32) *Standing {
	s := &Standing{Node: n, Life: p.life[n], High: high, Safe: p.end(n), End: p.end(n), Leads: true, Epoch: epoch, ISR: isr, MinISR: 2}
	for _, f := range isr {
		if f != n {
			s.Followers = append(s.Followers, Booked{f, p.end(f)})
		}
	}
	p.Look(s)
	return s
}

func (p *play) follow(n int32, high int64) {
	p.Look(&Standing{Node: n, Life: p.life[n], High: high, Safe: p.end(n), End: p.end(n), Epoch: -1})
}

// back begins a new life of a node, which has kept the first batches of its log.
func (p *play) back(n int32, kept int) {
	p.Down(n)
	p.life[n]++
	p.cut(n, kept)
}

func (p *play) cut(n int32, kept int) {
	p.logs[n] = p.logs[n][:kept]
	p.Loaded(n, p.life[n], 0, p.end(n), p.logs[n])
}

// begun is a partition that node 1 leads, with two batches committed on all three, and a third one on node 1 alone.
func begun(voters ...int32) *play {
	p := newPlay(voters...)
	p.lead(1, 1, 0, 1, 2, 3)
	for sum := uint32(1); sum <= 2; sum++ {
		for n := int32(1); n <= 3; n++ {
			p.put(n, 1, sum)
		}
	}
	p.follow(2, 0)
	p.follow(3, 0)
	p.lead(1, 1, 20, 1, 2, 3)
	p.follow(2, 20)
	p.follow(3, 20)
	p.put(1, 1, 3)
	p.lead(1, 1, 20, 1, 2, 3)
	return p
}

func TestReplicasFixtures(t *testing.T) {
	asks := func(p *play, isr, asked []int32) *Standing { // all have three batches, and a leadership begins at their end
		for n := int32(2); n <= 3; n++ {
			p.put(n, 1, 3)
			p.follow(n, 20)
		}
		return &Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 3, PartitionEpoch: 4, ISR: isr, Asked: asked, MinISR: 1}
	}
	reg := func(epoch, leader, leaderEpoch int32, isr, elr []int32) Registration {
		return Registration{Leader: leader, LeaderEpoch: leaderEpoch, Epoch: epoch, Replicas: []int32{1, 2, 3}, ISR: isr, ELR: elr, MinISR: 2}
	}
	for _, c := range []struct {
		name string
		do   func(p *play)
		want string // empty: accepted
	}{
		{"as it is", func(p *play) {}, ""},
		{"acknowledged below the high watermark", func(p *play) { p.Acked(19) }, ""},
		{"acknowledged at the high watermark", func(p *play) { p.Acked(20) }, "I26"},
		{"counted beyond what a copy ever held", func(p *play) {
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 2}, MinISR: 2, Followers: []Booked{{2, 20}, {3, 30}}})
		}, "I28"},
		{"counted up to the start that a damaged copy was raised to, as its leader's was", func(p *play) {
			p.Look(&Standing{Node: 1, Start: 30, High: 30, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1}, MinISR: 1, Followers: []Booked{{2, 20}, {3, 20}}})
			p.Raised(3, 30)
			p.Look(&Standing{Node: 1, Start: 30, High: 30, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1}, MinISR: 1, Followers: []Booked{{2, 20}, {3, 30}}})
		}, ""},
		{"counted beyond the start that a damaged copy was raised to", func(p *play) {
			p.put(1, 1, 4)
			p.Look(&Standing{Node: 1, Start: 30, High: 30, Safe: 40, End: 40, Leads: true, Epoch: 1, ISR: []int32{1}, MinISR: 1, Followers: []Booked{{2, 20}, {3, 20}}})
			p.Raised(3, 30)
			p.Look(&Standing{Node: 1, Start: 30, High: 30, Safe: 40, End: 40, Leads: true, Epoch: 1, ISR: []int32{1}, MinISR: 1, Followers: []Booked{{2, 20}, {3, 40}}})
		}, "I28"},
		{"a damaged copy raised above its leader's start", func(p *play) { p.Raised(3, 30) }, "I71"},
		{"raised beyond a member", func(p *play) { p.lead(1, 1, 30, 1, 2, 3) }, "I18"},
		{"raised beyond a member that was asked for", func(p *play) {
			s := p.lead(1, 1, 20, 1, 2)
			p.put(2, 1, 3)
			p.follow(2, 20)
			s.High, s.Asked = 30, []int32{1, 2, 3}
			p.Look(s)
		}, "I18"},
		{"raised without one that has left the set", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.lead(1, 1, 30, 1, 2)
		}, ""},
		{"raised, and then the set has changed", func(p *play) {
			p.Registered(reg(4, 1, 1, []int32{1}, []int32{2}), nil, nil)
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.Look(&Standing{Node: 1, High: 30, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1}, MinISR: 2, Moved: true})
		}, ""},
		{"raised, and then the set has changed to one that lacks it", func(p *play) {
			p.Registered(reg(4, 1, 1, []int32{1, 3}, nil), nil, nil)
			p.Look(&Standing{Node: 1, High: 30, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 3}, MinISR: 2, Moved: true})
		}, "I20"},
		{"what all hold is not committed when a smaller set comes into force", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 2}, MinISR: 2, Settled: true, Followers: []Booked{{2, 30}, {3, 20}}})
		}, "I88"},
		{"one that is about to join holds it back", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 2}, MinISR: 2, Settled: true, Followers: []Booked{{2, 30}, {3, 20}}, Joining: []int32{3}})
		}, ""},
		{"too few hold it back", func(p *play) {
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1}, MinISR: 2, Settled: true})
		}, ""},
		{"one is taken in that lacks what the leadership began with", func(p *play) {
			p.lead(1, 3, 20, 1, 2)
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 3, ISR: []int32{1, 2}, Asked: []int32{1, 2, 3}, MinISR: 2, Followers: []Booked{{2, 20}, {3, 20}}})
		}, "I20"},
		{"a batch is missing in a copy that is loaded", func(p *play) {
			p.Down(2)
			p.Loaded(2, 1, 0, 20, []Mark{p.logs[2][1]})
			p.Loaded(3, 1, 0, 30, []Mark{p.logs[3][0], {20, 29, 1, 3}})
		}, "I16"},
		{"a batch is missing in a copy that is loaded, and the bytes where it was are damaged", func(p *play) {
			p.Down(3)
			p.Loaded(3, 1, 0, 30, []Mark{p.logs[3][0], {20, 29, 1, 3}}, 20)
		}, ""},
		{"a batch is missing in a copy elsewhere than where its bytes are damaged", func(p *play) {
			p.Down(3)
			p.Loaded(3, 1, 0, 30, []Mark{p.logs[3][0], {20, 29, 1, 3}}, 10)
		}, "I16"},
		{"one is asked for that holds what the leadership began with, and then falls back", func(p *play) { // its copy is damaged
			s := asks(p, []int32{1, 2}, []int32{1, 2, 3})
			for _, end := range []int64{30, 20, 10} {
				s.Followers = []Booked{{2, 20}, {3, end}}
				p.Look(s)
			}
		}, ""},
		{"one that has fallen back is asked for anew", func(p *play) {
			s := asks(p, []int32{1, 2}, []int32{1, 2, 3})
			s.Followers = []Booked{{2, 20}, {3, 30}}
			p.Look(s)
			s.Asked, s.Followers = nil, []Booked{{2, 20}, {3, 20}}
			p.Look(s)
			s.Asked = []int32{1, 2, 3}
			p.Look(s)
		}, "I20"},
		{"one that has fallen back is asked for on top of a newer set", func(p *play) {
			s := asks(p, []int32{1, 2}, []int32{1, 2, 3})
			s.Followers = []Booked{{2, 20}, {3, 30}}
			p.Look(s)
			s.PartitionEpoch, s.Followers = 5, []Booked{{2, 20}, {3, 20}}
			p.Look(s)
		}, "I20"},
		{"one that has fallen back is asked for beside another", func(p *play) {
			s := asks(p, []int32{1}, []int32{1, 2})
			s.Followers = []Booked{{2, 30}, {3, 20}}
			p.Look(s)
			s.Asked = []int32{1, 2, 3}
			p.Look(s)
		}, "I20"},
		{"one that has fallen back is taken in, and may be chosen", func(p *play) {
			s := asks(p, []int32{1, 2}, []int32{1, 2, 3})
			s.Followers = []Booked{{2, 20}, {3, 30}}
			p.Look(s)
			p.back(3, 1)
			p.follow(3, 10)
			s.Followers = []Booked{{2, 20}, {3, 10}}
			p.Look(s)
			p.Registered(reg(4, 1, 3, []int32{1, 2, 3}, nil), nil, nil)
		}, "I20"},
		{"a follower's log starts above the leader's", func(p *play) {
			p.Look(&Standing{Node: 2, Start: 10, High: 20, Safe: 20, End: 20, Epoch: -1})
		}, "I71"},
		{"a follower's log starts where the leader's does", func(p *play) {
			p.Look(&Standing{Node: 1, Start: 10, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 2, 3}, MinISR: 2})
			p.Look(&Standing{Node: 2, Start: 10, High: 20, Safe: 20, End: 20, Epoch: -1})
		}, ""},
		{"a wiped copy stays in sync until its node registers", func(p *play) {
			p.Registered(reg(1, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.Down(2)
			p.Wiped(2)
			p.life[2] = 1
			p.logs[2] = nil
			p.Loaded(2, 1, 0, 0, nil)
			p.follow(2, 0)
			p.Registered(reg(2, 1, 1, []int32{1, 2}, nil), nil, nil)
		}, ""},
		{"a wiped copy stays in sync when its node has registered", func(p *play) {
			p.Registered(reg(1, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.Down(2)
			p.Wiped(2)
			p.life[2] = 1
			p.logs[2] = nil
			p.Returned(2, 1)
			p.Loaded(2, 1, 0, 0, nil)
			p.follow(2, 0)
			p.Registered(reg(2, 1, 1, []int32{1, 2}, nil), nil, nil)
		}, "I20"},
		{"raised with too few", func(p *play) { p.lead(1, 1, 30, 1) }, "I18"},
		{"a leadership begins and raises while one is enough, and in that Step more are asked for", func(p *play) {
			p.Look(&Standing{Node: 1, High: 30, Safe: 30, End: 30, Leads: true, Epoch: 2, ISR: []int32{1}, MinISR: 3, MinBefore: 1})
		}, ""},
		{"a leadership begins and raises with too few for what was asked before as well", func(p *play) {
			p.Look(&Standing{Node: 1, High: 30, Safe: 30, End: 30, Leads: true, Epoch: 2, ISR: []int32{1}, MinISR: 3, MinBefore: 2})
		}, "I18"},
		{"raised with too few for what has been asked since an earlier Step", func(p *play) {
			s := &Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1}, MinISR: 1}
			p.Look(s)
			s.High, s.MinISR = 30, 2
			p.Look(s)
		}, "I18"},
		{"raised beyond its own sync", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.Look(&Standing{Node: 1, High: 30, Safe: 20, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 2}, MinISR: 2})
		}, "I26"},
		{"the leader's high watermark falls", func(p *play) { p.lead(1, 1, 10, 1, 2, 3) }, "I17"},
		{"a new leader knows less for a while", func(p *play) { p.lead(2, 2, 10, 2, 3) }, ""},
		{"a follower knows more than any leader", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 30)
		}, "I17"},
		{"two leaders of one epoch", func(p *play) { p.lead(2, 1, 20, 2, 3) }, "I22"},
		{"one epoch in two lives", func(p *play) {
			p.back(1, 3)
			p.lead(1, 1, 20, 1, 2, 3)
		}, "I22"},
		{"a deposed leader that does not know goes on", func(p *play) {
			p.lead(2, 2, 20, 2, 3)
			p.put(2, 2, 7)
			p.put(1, 1, 8)
			p.lead(1, 1, 20, 1, 2, 3)
		}, ""},
		{"a deposed leader commits", func(p *play) {
			p.lead(2, 2, 20, 2, 3)
			p.put(1, 1, 8)
			p.lead(1, 1, 40, 1, 2, 3)
		}, "I18"},
		{"a follower makes a batch of its own", func(p *play) { p.put(2, 1, 9) }, "I16"},
		{"a follower makes a batch that no leader has", func(p *play) {
			p.put(2, 1, 3)
			p.put(2, 1, 4)
		}, "I22"},
		{"other bytes at one place", func(p *play) {
			p.put(2, 1, 3)
			p.put(3, 1, 4)
		}, "I16"},
		{"the same batch behind another one", func(p *play) {
			p.lead(2, 2, 20, 2, 3) // without the third of epoch 1
			p.put(2, 2, 5)
			p.put(2, 2, 6)
			p.lead(2, 2, 20, 2, 3)
			p.put(3, 1, 3) // which node 3 fetched before
			p.put(3, 2, 6)
		}, "I16"},
		{"an election without the third is legal, and it is cut", func(p *play) {
			p.lead(2, 2, 20, 2, 3)
			p.put(2, 2, 5)
			p.put(3, 2, 5)
			p.follow(3, 20)
			p.lead(2, 2, 30, 2, 3)
			p.cut(1, 2)
			p.put(1, 2, 5)
			p.follow(1, 30)
		}, ""},
		{"a leader without what is committed", func(p *play) {
			p.back(2, 1)
			p.lead(2, 2, 10, 2, 3)
		}, "I19"},
		{"a leader whose last batches are on their way to its disk", func(p *play) {
			p.cut(2, 1)
			p.found = nil
			p.Look(&Standing{Node: 2, High: 10, Safe: 10, End: 20, Leads: true, Epoch: 2, ISR: []int32{2, 3}, MinISR: 2})
			p.put(2, 1, 2)
			p.lead(2, 2, 10, 2, 3)
		}, ""},
		{"a leader with other batches on their way to its disk", func(p *play) {
			p.cut(2, 1)
			p.found = nil
			p.Look(&Standing{Node: 2, High: 10, Safe: 10, End: 20, Leads: true, Epoch: 2, ISR: []int32{2, 3}, MinISR: 2})
			p.put(2, 2, 9)
			p.lead(2, 2, 10, 2, 3)
		}, "I19"},
		{"a leader with something else where it was committed", func(p *play) {
			p.cut(3, 1)
			p.lead(3, 2, 10, 3)
			p.put(3, 2, 9)
		}, "I07"},
		{"cut below what was committed", func(p *play) { p.cut(2, 1) }, "I07"},
		{"cut back, not in sync, where a leader has cleaned", func(p *play) {
			p.Compacted = true
			p.Registered(reg(3, 1, 1, []int32{1, 3}, nil), nil, nil)
			p.SetBack(2, 10)
			p.cut(2, 1)
		}, ""},
		{"cut back to behind a gap", func(p *play) {
			p.Compacted = true
			p.Registered(reg(3, 1, 1, []int32{1, 3}, nil), nil, nil)
			p.SetBack(2, 15)
			p.cut(2, 1)
		}, ""},
		{"cut farther back than it said", func(p *play) {
			p.Compacted = true
			p.Registered(reg(3, 1, 1, []int32{1, 3}, nil), nil, nil)
			p.SetBack(2, 15)
			p.cut(2, 0)
		}, "I07"},
		{"cut back once, and then without a word", func(p *play) {
			p.Compacted = true
			p.Registered(reg(3, 1, 1, []int32{1, 3}, nil), nil, nil)
			p.SetBack(2, 10)
			p.cut(2, 1)
			p.follow(2, 10)
			p.cut(2, 0)
		}, "I07"},
		{"cut back in sync", func(p *play) {
			p.Compacted = true
			p.SetBack(2, 10)
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, nil)
			p.cut(2, 1)
		}, "I07"},
		{"cut back and eligible", func(p *play) {
			p.Compacted = true
			p.Registered(reg(3, 1, 1, []int32{1}, []int32{2}), nil, nil)
			p.SetBack(2, 10)
			p.cut(2, 1)
		}, "I07"},
		{"cut back where nothing is cleaned", func(p *play) {
			p.Registered(reg(3, 1, 1, []int32{1, 3}, nil), nil, nil)
			p.SetBack(2, 10)
			p.cut(2, 1)
		}, "I07"},
		{"a restart loses what was never promised", func(p *play) { p.back(1, 2) }, ""},
		{"a high watermark over other batches", func(p *play) {
			p.lead(2, 2, 20, 2, 3)
			p.put(2, 2, 5)
			p.put(3, 2, 5)
			p.follow(3, 20)
			p.lead(2, 2, 30, 2, 3)
			p.follow(1, 30) // and it has the third of epoch 1 there
		}, "I15"},
		{"other batches below the start of the leader", func(p *play) {
			p.lead(2, 2, 20, 2, 3)
			p.put(2, 2, 5)
			p.put(3, 2, 5)
			p.follow(3, 20)
			p.put(2, 2, 6)
			p.Look(&Standing{Node: 2, Start: 30, High: 30, Safe: 40, End: 40, Leads: true, Epoch: 2, ISR: []int32{2, 3}, MinISR: 2})
			p.follow(1, 30) // with the third of epoch 1, which node 2 cannot tell from its own any more
			p.put(1, 2, 6)
		}, ""},
		{"a leader cuts its own log", func(p *play) { p.cut(1, 2) }, "I22"},
		{"epochs fall along a log", func(p *play) {
			p.lead(2, 2, 20, 2, 3)
			p.put(2, 2, 5)
			p.put(2, 1, 5)
		}, "I23"},
		{"booked what it never had", func(p *play) {
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, ISR: []int32{1, 2, 3}, MinISR: 2, Followers: []Booked{{2, 30}}})
		}, "I28"},
		{"booked what it had before it was given up", func(p *play) {
			p.Deleted(2)
			p.lead(1, 1, 20, 1, 2, 3)
		}, "I28"},
		{"booked what it had before it was given up, by one that is deposed", func(p *play) {
			p.lead(3, 2, 20, 1, 3)
			p.Deleted(2)
			p.lead(1, 1, 20, 1, 2, 3)
		}, ""},
		{"booked what it had before it lost its disk", func(p *play) {
			p.Down(2)
			p.Wiped(2)
			p.lead(1, 1, 20, 1, 2, 3)
		}, ""},
		{"registered as it is", func(p *play) { p.Registered(reg(3, 1, 1, []int32{1, 2, 3}, nil), nil, nil) }, ""},
		{"a leader that is not in sync", func(p *play) { p.Registered(reg(3, 1, 1, []int32{2, 3}, nil), nil, nil) }, "I24"},
		{"a fenced leader", func(p *play) { p.Registered(reg(3, 1, 1, []int32{1, 2, 3}, nil), []int32{1}, nil) }, "I24"},
		{"one that is about to stop joins", func(p *play) {
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, []int32{3})
			p.Registered(reg(4, 1, 1, []int32{1, 2, 3}, nil), nil, []int32{3})
		}, "I24"},
		{"one that is about to stop stays for a while", func(p *play) {
			p.Registered(reg(3, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.Registered(reg(3, 1, 1, []int32{1, 2, 3}, nil), nil, []int32{3})
		}, ""},
		{"a stranger in sync", func(p *play) { p.Registered(reg(3, 1, 1, []int32{1, 2, 4}, nil), nil, nil) }, "I24"},
		{"eligible and in sync", func(p *play) { p.Registered(reg(3, 1, 1, []int32{1}, []int32{1, 2}), nil, nil) }, "I24"},
		{"eligible ones while there are enough", func(p *play) { p.Registered(reg(3, 1, 1, []int32{1, 2}, []int32{3}), nil, nil) }, "I24"},
		{"eligible ones while there are too few", func(p *play) { p.Registered(reg(3, 1, 1, []int32{1}, []int32{2, 3}), nil, nil) }, ""},
		{"nobody leads", func(p *play) { p.Registered(reg(3, -1, 2, nil, []int32{2, 3}), nil, nil) }, ""},
		{"the leader epoch falls", func(p *play) {
			p.Registered(reg(3, 1, 2, []int32{1, 2, 3}, nil), nil, nil)
			p.Registered(reg(4, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
		}, "I23"},
		{"another leader in one epoch", func(p *play) {
			p.Registered(reg(3, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.Registered(reg(4, 2, 1, []int32{1, 2, 3}, nil), nil, nil)
		}, "I23"},
		{"one partition epoch for two sets", func(p *play) {
			p.Registered(reg(3, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, nil)
		}, "I23"},
		{"eligible without what is committed", func(p *play) {
			p.back(3, 1)
			p.follow(3, 10)
			p.Registered(reg(3, 1, 1, []int32{1}, []int32{3}), nil, nil)
		}, "I20"},
		{"eligible without what is committed, and in no directory, so that it is not chosen", func(p *play) {
			p.back(3, 1)
			p.follow(3, 10)
			r := reg(3, 1, 1, []int32{1}, []int32{3})
			r.Offline = []int32{3}
			p.Registered(r, nil, nil)
		}, ""},
		{"eligible without what is committed, and in a directory again", func(p *play) {
			p.back(3, 1)
			p.follow(3, 10)
			r := reg(3, 1, 1, []int32{1}, []int32{3})
			r.Offline = []int32{2, 3}
			p.Registered(r, nil, nil)
			r.Epoch, r.Offline = 4, []int32{2}
			p.Registered(r, nil, nil)
		}, "I20"},
		{"eligible without what is committed, which it lost with its memory, until the controller knows", func(p *play) {
			p.Memory = true
			p.back(3, 1)
			p.follow(3, 10)
			p.Registered(reg(3, 1, 1, []int32{1}, []int32{3}), nil, nil)
		}, ""},
		{"taken in by the life before the one that lost it", func(p *play) { // decided then, and committed only now
			p.Memory = true
			p.Returned(3, 0)
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, nil)
			p.back(3, 1)
			p.follow(3, 10)
			p.Registered(reg(4, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
		}, ""},
		{"taken in by the life before the one that lost it, and not put out when that one registers", func(p *play) {
			p.Memory = true
			p.Returned(3, 0)
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, nil)
			p.back(3, 1)
			p.follow(3, 10)
			p.Registered(reg(4, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.Returned(3, 1)
			p.Registered(reg(5, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
		}, "I20"},
		{"taken in by the life that lost it", func(p *play) {
			p.Memory = true
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, nil)
			p.back(3, 1)
			p.Returned(3, 1)
			p.follow(3, 10)
			p.Registered(reg(4, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
		}, "I20"},
		{"taken in before its disk was lost", func(p *play) {
			p.Returned(3, 0)
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, nil)
			p.Down(3)
			p.Wiped(3)
			p.Registered(reg(4, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.life[3], p.logs[3] = 1, nil
			p.Loaded(3, 1, 0, 0, nil)
			p.follow(3, 0)
			p.Registered(reg(4, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
		}, ""},
		{"one that is down may be eligible", func(p *play) {
			p.Down(3)
			p.Registered(reg(3, 1, 1, []int32{1}, []int32{3}), nil, nil)
		}, ""},
		{"the controller may choose whom the leader does not count", func(p *play) {
			p.Registered(reg(3, 1, 1, []int32{1, 2, 3}, nil), nil, nil)
			p.lead(1, 1, 20, 1, 2)
		}, "I21"},
		{"the leader counts one that it has only asked for", func(p *play) {
			p.Registered(reg(3, 1, 1, []int32{1, 2}, nil), nil, nil)
			p.lead(1, 1, 20, 1, 2, 3)
		}, ""},
		{"converged", func(p *play) {
			p.put(2, 1, 3)
			p.put(3, 1, 3)
			p.follow(2, 20)
			p.follow(3, 20)
			p.lead(1, 1, 30, 1, 2, 3)
			p.follow(2, 30)
			p.follow(3, 30)
			p.converge()
		}, ""},
		{"one is behind", func(p *play) { p.converge() }, "I30"},
		{"one is not there", func(p *play) {
			p.cut(1, 2)
			p.found = nil
			p.follow(1, 20)
			p.Down(3)
			p.converge()
		}, "I30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := begun()
			require.Empty(t, p.Found(), "the beginning is legal")
			c.do(p)
			requireFirst(t, c.want, p.Found())
		})
	}
}

func (p *play) converge() {
	if v := p.Converged([]int32{1, 2, 3}); v != nil {
		p.found = append(p.found, *v)
	}
}

func requireFirst(t *testing.T, want string, found []Violation) {
	t.Helper()
	if want == "" {
		require.Empty(t, found)
		return
	}
	require.NotEmpty(t, found)
	require.Equal(t, want, found[0].Invariant, "%v", found)
}

// The metadata log is judged by majorities.
func TestQuorumFixtures(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(p *play)
		want string
	}{
		{"as it is", func(p *play) {}, ""},
		{"committed by two of three", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.lead(1, 1, 30)
		}, ""},
		{"committed by one of three", func(p *play) { p.lead(1, 1, 30) }, "I37"},
		{"committed by one voter and an observer", func(p *play) {
			p.put(1, 1, 3)
			p.put(4, 1, 1)
			p.follow(4, 20)
			p.lead(1, 1, 40)
		}, "I37"},
		{"committed without an entry of its own term", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.lead(2, 2, 30)
		}, "I37"},
		{"committed with an entry of its own term", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.lead(2, 2, 20)
			p.put(2, 2, 4)
			p.put(3, 1, 3)
			p.put(3, 2, 4)
			p.follow(3, 20)
			p.lead(2, 2, 40)
		}, ""},
		{"committed by the former voters, and then one has left", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.Look(&Standing{Node: 1, High: 30, Safe: 30, End: 40, Leads: true, Epoch: 1, Voters: []int32{2, 3}, VoterCount: 2,
				Former: []int32{1, 2, 3}, FormerCount: 3})
		}, ""},
		{"committed by too few of the former voters and of those that are left", func(p *play) {
			p.Look(&Standing{Node: 1, High: 30, Safe: 30, End: 40, Leads: true, Epoch: 1, Voters: []int32{1, 2}, VoterCount: 2,
				Former: []int32{1, 2, 3}, FormerCount: 3})
		}, "I37"},
		{"committed by voters that had left before", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.Look(&Standing{Node: 1, High: 30, Safe: 30, End: 40, Leads: true, Epoch: 1, Voters: []int32{2, 3}, VoterCount: 2})
		}, "I37"},
		{"a leader without what is committed", func(p *play) {
			p.put(2, 1, 3)
			p.follow(2, 20)
			p.lead(1, 1, 30)
			p.lead(3, 2, 20)
		}, "I35"},
		{"counted what is not durable", func(p *play) {
			p.put(2, 1, 3)
			p.Look(&Standing{Node: 2, High: 20, Safe: 20, End: 30, Epoch: -1})
			p.lead(1, 1, 20)
			p.Look(&Standing{Node: 1, High: 20, Safe: 30, End: 30, Leads: true, Epoch: 1, Followers: []Booked{{2, 30}}})
		}, "I38"},
		{"two leaders of one term", func(p *play) { p.lead(2, 1, 20) }, "I31"},
		{"a leader cuts its own log", func(p *play) { p.cut(1, 2) }, "I34"},
		{"what is committed falls", func(p *play) { p.follow(2, 10) }, "I36"},
		{"what is committed is known to nobody at first in a new life", func(p *play) {
			p.back(2, 2)
			p.follow(2, 0)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := begun(1, 2, 3)
			require.Empty(t, p.Found(), "the beginning is legal")
			c.do(p)
			requireFirst(t, c.want, p.Found())
		})
	}
}

func TestRegistryAndBallots(t *testing.T) {
	g := NewRegistry()
	require.True(t, g.Applied(1, 0, 10, 7))
	require.False(t, g.Applied(2, 0, 10, 7))
	require.True(t, g.Applied(2, 0, 12, 8))
	require.False(t, g.Applied(2, 1, 5, 3)) // a new life begins anew
	requireFirst(t, "", g.Found())
	g.Applied(1, 0, 12, 9)
	requireFirst(t, "I45", g.Found())
	g.Applied(1, 0, 11, 9)
	requireFirst(t, "I42", g.Found())

	for _, c := range []struct {
		name string
		do   func(b *Ballots)
		want string
	}{
		{"a vote that is stored", func(b *Ballots) { b.Told(2, 5, 1, Ballot{Node: 2, Epoch: 5, Leader: -1, Voted: 1}) }, ""},
		{"told again", func(b *Ballots) {
			b.Told(2, 5, 1, Ballot{Node: 2, Epoch: 5, Leader: -1, Voted: 1})
			b.Told(2, 5, 1, Ballot{Node: 2, Epoch: 6, Leader: -1, Voted: -1})
		}, ""},
		{"a vote that is not stored", func(b *Ballots) { b.Told(2, 5, 1, Ballot{Node: 2, Epoch: 4, Leader: -1, Voted: -1}) }, "I32"},
		{"two votes", func(b *Ballots) {
			b.Told(2, 5, 1, Ballot{Node: 2, Epoch: 5, Leader: -1, Voted: 1})
			b.Told(2, 5, 3, Ballot{Node: 2, Epoch: 5, Leader: -1, Voted: 3})
		}, "I32"},
		{"two names", func(b *Ballots) {
			b.Look(Ballot{Node: 1, Epoch: 5, Leader: 1, Voted: 1})
			b.Look(Ballot{Node: 2, Epoch: 5, Leader: 3, Voted: 1})
		}, "I31"},
		{"nobody yet is no name", func(b *Ballots) {
			b.Look(Ballot{Node: 1, Epoch: 5, Leader: 1, Voted: 1})
			b.Look(Ballot{Node: 2, Epoch: 5, Leader: -1, Voted: -1})
		}, ""},
		{"the epoch falls", func(b *Ballots) {
			b.Look(Ballot{Node: 1, Epoch: 5, Leader: -1})
			b.Look(Ballot{Node: 1, Epoch: 4, Leader: -1})
		}, "I33"},
		{"the stored epoch falls", func(b *Ballots) {
			b.Told(1, 5, 3, Ballot{Node: 1, Epoch: 5, Leader: -1, Voted: 3})
			b.Stored(Ballot{Node: 1, Epoch: 4, Voted: -1})
		}, "I33"},
		{"the stored vote changes", func(b *Ballots) {
			b.Told(2, 5, 1, Ballot{Node: 2, Epoch: 5, Leader: -1, Voted: 1})
			b.Stored(Ballot{Node: 2, Epoch: 5, Voted: 3})
		}, "I32"},
		{"a wiped node is another voter", func(b *Ballots) {
			b.Stored(Ballot{Node: 1, Epoch: 5, Voted: -1})
			b.Forgotten(1)
			b.Stored(Ballot{Node: 1, Epoch: 0, Voted: -1})
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewBallots()
			c.do(b)
			requireFirst(t, c.want, b.Found())
		})
	}
}
