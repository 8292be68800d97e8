package assign

import (
	"slices"
	"strings"

	"klamm/core"
)

// Assign gives every partition of the topics that somebody subscribed to, and that exist, to one member.
// members and topics may come in any order and are left as they are. The answer is sorted by id.
func (a Assignor) Assign(members []Member, topics []Topic) []Assignment {
	q := newQuestion(members, topics)
	switch a {
	case Range:
		q.byRange()
	case RoundRobin:
		q.byTurns()
	case Sticky:
		q.bySticking()
	case CooperativeSticky:
		owned := q.claims()
		q.bySticking()
		q.giveUpFirst(owned)
	}
	return q.answer()
}

// question is one assignment to compute.
//
// Invariants: members are in the order of Kafka's assignors (instance id, else member id; static ones first);
// topics are sorted by name and exist; owner and wants have an entry for each partition and member of theirs.
type question struct {
	members []Member
	topics  []Topic
	first   []int  // index of each topic's first partition, and the number of all at the end
	owner   []int  // of each partition: index of a member, or -1
	load    []int  // partitions of each member
	wants   []bool // member × topic
	version int16
}

func newQuestion(members []Member, topics []Topic) *question {
	q := &question{members: slices.Clone(members), topics: slices.Clone(topics)}
	slices.SortFunc(q.members, compareMembers)
	slices.SortFunc(q.topics, func(x, y Topic) int { return strings.Compare(x.Name, y.Name) })
	q.topics = slices.CompactFunc(q.topics, func(x, y Topic) bool { return x.Name == y.Name })
	n := 0
	for i := range q.topics {
		q.first = append(q.first, n)
		n += int(max(q.topics[i].Partitions, 0))
	}
	q.first = append(q.first, n)
	q.owner, q.load = make([]int, n), make([]int, len(q.members))
	for i := range q.owner {
		q.owner[i] = -1
	}
	q.wants = make([]bool, len(q.members)*len(q.topics))
	for m := range q.members {
		for _, name := range q.members[m].Topics {
			if t := q.topic(name); t >= 0 {
				q.wants[m*len(q.topics)+t] = true
			}
		}
	}
	return q
}

// compareMembers orders static members by instance id before the others by member id (KIP-345): a restart
// that changes the member id does not change who comes where.
func compareMembers(x, y Member) int {
	switch {
	case x.Instance != "" && y.Instance != "":
		if c := strings.Compare(x.Instance, y.Instance); c != 0 {
			return c
		}
	case x.Instance != "":
		return -1
	case y.Instance != "":
		return 1
	}
	return strings.Compare(x.ID, y.ID)
}

func (q *question) topic(name string) int {
	at, found := slices.BinarySearchFunc(q.topics, name, func(t Topic, n string) int { return strings.Compare(t.Name, n) })
	if !found {
		return -1
	}
	return at
}

// partition is the index of a partition, or -1 if there is none.
func (q *question) partition(p core.TopicPartition) int {
	t := q.topic(p.Topic)
	if t < 0 || p.Partition < 0 || p.Partition >= q.topics[t].Partitions {
		return -1
	}
	return q.first[t] + int(p.Partition)
}

// topicOf is the index of the topic that a partition belongs to.
func (q *question) topicOf(p int) int {
	t, found := slices.BinarySearch(q.first[:len(q.topics)], p)
	if !found {
		return t - 1
	}
	for t+1 < len(q.topics) && q.first[t+1] == p { // topics without partitions share their index
		t++
	}
	return t
}

func (q *question) wanted(m, t int) bool { return q.wants[m*len(q.topics)+t] }

func (q *question) give(p, m int) {
	if q.owner[p] >= 0 {
		q.load[q.owner[p]]--
	}
	if q.owner[p] = m; m >= 0 {
		q.load[m]++
	}
}

// byRange gives neighbouring partitions of each topic to neighbouring members; the first ones get one more
// if it does not come out even.
func (q *question) byRange() {
	for t := range q.topics {
		var who []int
		for m := range q.members {
			if q.wanted(m, t) {
				who = append(who, m)
			}
		}
		if len(who) == 0 {
			continue
		}
		n := q.first[t+1] - q.first[t]
		each, more := n/len(who), n%len(who)
		p := q.first[t]
		for i, m := range who {
			k := each
			if i < more {
				k++
			}
			for range k {
				q.give(p, m)
				p++
			}
		}
	}
}

// byTurns deals the partitions of all topics out, one after the other.
func (q *question) byTurns() {
	m := 0
	for t := range q.topics {
		if !q.anyoneWants(t) {
			continue
		}
		for p := q.first[t]; p < q.first[t+1]; p++ {
			for !q.wanted(m, t) {
				m = (m + 1) % len(q.members)
			}
			q.give(p, m)
			m = (m + 1) % len(q.members)
		}
	}
}

func (q *question) anyoneWants(t int) bool {
	for m := range q.members {
		if q.wanted(m, t) {
			return true
		}
	}
	return false
}

func (q *question) answer() []Assignment {
	rows := make([]Assignment, len(q.members))
	for m := range q.members {
		rows[m].ID = q.members[m].ID
	}
	for t := range q.topics {
		for p := q.first[t]; p < q.first[t+1]; p++ {
			if m := q.owner[p]; m >= 0 {
				rows[m].Partitions = append(rows[m].Partitions, core.TopicPartition{Topic: q.topics[t].Name, Partition: int32(p - q.first[t])})
			}
		}
	}
	slices.SortFunc(rows, func(x, y Assignment) int { return strings.Compare(x.ID, y.ID) })
	return rows
}
