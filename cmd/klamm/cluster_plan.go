package main

import (
	"cmp"
	"slices"

	"klamm/core"
)

// This file plans who is to hold and to lead what. Nothing here talks to anybody.

// move is another assignment for a partition. The first of To is the leader that is preferred.
type move struct {
	Topic     string        `json:"topic"`
	Partition int32         `json:"partition"`
	From      []core.NodeID `json:"from"`
	To        []core.NodeID `json:"to"`
}

// planner turns a picture into moves. It keeps count of what each broker holds and prefers to lead as the plan grows.
type planner struct {
	v        *picture
	to       [][]core.NodeID // the target of each part
	replicas map[core.NodeID]int
	leads    map[core.NodeID]int
}

func newPlanner(v *picture) *planner {
	p := &planner{v: v, replicas: make(map[core.NodeID]int), leads: make(map[core.NodeID]int)}
	for i := range v.parts {
		p.to = append(p.to, nil)
		p.set(i, v.parts[i].target())
	}
	return p
}

// set gives part i another target.
func (p *planner) set(i int, target []core.NodeID) {
	count := func(list []core.NodeID, by int) {
		for _, n := range list {
			p.replicas[n] += by
		}
		if len(list) > 0 {
			p.leads[list[0]] += by
		}
	}
	count(p.to[i], -1)
	count(target, 1)
	p.to[i] = target
}

// moves is what differs from where the replicas are to be already.
func (p *planner) moves() []move {
	list := []move{}
	for i := range p.v.parts {
		if s := &p.v.parts[i]; !slices.Equal(p.to[i], s.target()) {
			list = append(list, move{s.topic, s.partition, s.target(), p.to[i]})
		}
	}
	return list
}

// room is the live broker that should take another replica beside those in with: on the rack that has fewest of them, then
// the one with the fewest replicas. NoNode if there is none.
func (p *planner) room(with []core.NodeID, not core.NodeID) core.NodeID {
	best := core.NoNode
	for _, b := range p.v.brokers {
		if b.fenced || b.id == not || slices.Contains(with, b.id) {
			continue
		}
		if best == core.NoNode || cmp.Or(p.onRack(b.rack, with)-p.onRack(p.v.broker(best).rack, with), p.replicas[b.id]-p.replicas[best]) < 0 {
			best = b.id
		}
	}
	return best
}

// onRack counts the brokers of a list that are on a rack. Brokers that name none are not on one.
func (p *planner) onRack(rack string, list []core.NodeID) (n int) {
	for _, id := range list {
		if b := p.v.broker(id); rack != "" && b != nil && b.rack == rack {
			n++
		}
	}
	return n
}

// racks counts the racks that a list of brokers is spread over.
func (p *planner) racks(list []core.NodeID) int {
	var seen []string
	for _, id := range list {
		if b := p.v.broker(id); b != nil && b.rack != "" && !slices.Contains(seen, b.rack) {
			seen = append(seen, b.rack)
		}
	}
	return len(seen)
}

// vacate moves every replica off a broker. stuck are the partitions for which no other broker is left.
func (p *planner) vacate(node core.NodeID) (stuck []string) {
	for i, target := range p.to {
		at := slices.Index(target, node)
		if at < 0 {
			continue
		}
		others := slices.Delete(slices.Clone(target), at, at+1)
		to := p.room(others, node)
		if to == core.NoNode {
			stuck = append(stuck, p.v.parts[i].name())
			continue
		}
		p.set(i, slices.Insert(others, at, to)) // in its place: who is preferred as leader stays spread
	}
	return stuck
}

// factor gives every partition of a topic n replicas. It is false if there are not that many live brokers.
func (p *planner) factor(topic string, n int) bool {
	for i := range p.v.parts {
		if p.v.parts[i].topic != topic {
			continue
		}
		for len(p.to[i]) < n {
			to := p.room(p.to[i], core.NoNode)
			if to == core.NoNode {
				return false
			}
			p.set(i, append(slices.Clone(p.to[i]), to))
		}
		for len(p.to[i]) > n {
			at := p.dispensable(i)
			p.set(i, slices.Delete(slices.Clone(p.to[i]), at, at+1))
		}
	}
	return true
}

// dispensable is the replica of a part that is missed least: one that is dead, then one that is not in sync, then one whose
// rack has another, then that of the fullest broker; never the leader.
func (p *planner) dispensable(i int) (at int) {
	s, best := &p.v.parts[i], -1
	target := p.to[i]
	number := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	better := func(x, y core.NodeID) int { // above 0: x goes rather than y
		return cmp.Or(number(y == s.leader)-number(x == s.leader),
			number(p.v.alive(y))-number(p.v.alive(x)),
			number(slices.Contains(s.isr, y))-number(slices.Contains(s.isr, x)),
			number(p.onRack(p.rackOf(x), target) > 1)-number(p.onRack(p.rackOf(y), target) > 1),
			p.replicas[x]-p.replicas[y])
	}
	for j, n := range target {
		if best < 0 || better(n, target[best]) >= 0 { // of equals the last: it is the least preferred
			best = j
		}
	}
	return best
}

func (p *planner) rackOf(id core.NodeID) string {
	if b := p.v.broker(id); b != nil {
		return b.rack
	}
	return ""
}

// live is the live brokers, those with most of something first.
func (p *planner) live(load map[core.NodeID]int) (ids []core.NodeID) {
	for _, b := range p.v.brokers {
		if !b.fenced {
			ids = append(ids, b.id)
		}
	}
	slices.SortStableFunc(ids, func(x, y core.NodeID) int { return load[y] - load[x] })
	return ids
}

// even evens out replicas, and then who is preferred as leader, over the live brokers.
func (p *planner) even() {
	for p.evenReplica() {
	}
	for p.evenLeader() {
	}
}

// evenReplica moves one replica from a fuller broker to an emptier one, if that can be without using fewer racks.
func (p *planner) evenReplica() bool {
	ids := p.live(p.replicas)
	for _, from := range ids {
		for j := len(ids) - 1; j >= 0 && p.replicas[from]-p.replicas[ids[j]] > 1; j-- {
			for i, target := range p.to {
				at := slices.Index(target, from)
				if at < 0 || slices.Contains(target, ids[j]) || len(p.v.parts[i].adding)+len(p.v.parts[i].removing) > 0 {
					continue
				}
				with := slices.Clone(target)
				with[at] = ids[j]
				if p.racks(with) >= p.racks(target) {
					p.set(i, with)
					return true
				}
			}
		}
	}
	return false
}

// evenLeader takes one preferred leadership from a broker that has many, by a chain of swaps that ends at one that has at
// least two fewer.
func (p *planner) evenLeader() bool {
	ids := p.live(p.leads)
	for _, from := range ids {
		type step struct {
			part, before int // the part that gives the leadership on, and the step before
			node         core.NodeID
		}
		steps := []step{{-1, -1, from}}
		for k := 0; k < len(steps); k++ {
			if end := steps[k].node; p.leads[end] <= p.leads[from]-2 {
				for ; steps[k].before >= 0; k = steps[k].before {
					p.prefer(steps[k].part, steps[k].node)
				}
				return true
			}
			for i, target := range p.to {
				if len(target) == 0 || target[0] != steps[k].node {
					continue
				}
				for _, n := range target[1:] {
					if p.v.alive(n) && !slices.ContainsFunc(steps, func(s step) bool { return s.node == n }) {
						steps = append(steps, step{i, k, n})
					}
				}
			}
		}
	}
	return false
}

// prefer puts a replica of part i first.
func (p *planner) prefer(i int, node core.NodeID) {
	target := slices.DeleteFunc(slices.Clone(p.to[i]), func(n core.NodeID) bool { return n == node })
	p.set(i, slices.Insert(target, 0, node))
}

// relieve has others lead what a broker leads or is preferred to lead. stuck are the partitions of which nobody else is in sync.
func (p *planner) relieve(node core.NodeID) (stuck []string) {
	for i, target := range p.to {
		s := &p.v.parts[i]
		if s.leader != node && (len(target) == 0 || target[0] != node) {
			continue
		}
		best := core.NoNode
		for _, n := range target {
			if n != node && p.v.alive(n) && slices.Contains(s.isr, n) && (best == core.NoNode || p.leads[n] < p.leads[best]) {
				best = n
			}
		}
		if best == core.NoNode {
			stuck = append(stuck, s.name())
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(target), func(n core.NodeID) bool { return n == node || n == best })
		to := append([]core.NodeID{best}, rest...)
		if slices.Contains(target, node) {
			to = append(to, node)
		}
		p.set(i, to)
	}
	return stuck
}

// restore gives a broker its share of the preferred leaderships back.
func (p *planner) restore(node core.NodeID) {
	for {
		best := -1
		for i, target := range p.to {
			if len(target) > 1 && slices.Index(target, node) > 0 && p.leads[target[0]] >= p.leads[node]+2 &&
				(best < 0 || p.leads[target[0]] > p.leads[p.to[best][0]]) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		p.prefer(best, node)
	}
}
