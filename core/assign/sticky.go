package assign

// claims finds who may keep what: for each partition the member that owned it last, or -1.
//
// A member may claim what it owned in an older generation, because it missed the rounds since. So the claim
// of the newest generation counts; and if two claim a partition in one generation, then neither is
// believed (KAFKA-12984, KAFKA-14639).
func (q *question) claims() []int {
	owner := make([]int, len(q.owner))
	when := make([]int32, len(q.owner))
	twice := make([]bool, len(q.owner))
	for p := range owner {
		owner[p] = -1
	}
	for m := range q.members {
		s := &q.members[m].Subscription
		for _, tp := range s.Owned {
			p := q.partition(tp)
			switch {
			case p < 0 || !q.wanted(m, q.topicOf(p)):
			case owner[p] < 0 || s.Generation > when[p]:
				owner[p], when[p], twice[p] = m, s.Generation, false
			case s.Generation == when[p] && owner[p] != m:
				twice[p] = true
			}
		}
	}
	for p := range owner {
		if twice[p] {
			owner[p] = -1
		}
	}
	return owner
}

// bySticking lets everyone keep what it has, gives out what nobody has, and then moves as little as makes
// the loads balanced: no member could take over a partition from one that has two or more above it.
func (q *question) bySticking() {
	for p, m := range q.claims() {
		if m >= 0 {
			q.give(p, m)
		}
	}
	q.trim()
	for t := range q.topics {
		for p := q.first[t]; p < q.first[t+1]; p++ {
			if q.owner[p] < 0 {
				if m := q.poorest(t); m >= 0 {
					q.give(p, m)
				}
			}
		}
	}
	q.balance()
}

// trim takes from those who have more than an equal share what is above it, so that it can be given to others
// in one go. It serves the usual case, in which all want the same; balance serves any.
func (q *question) trim() {
	if len(q.members) == 0 {
		return
	}
	wanted := 0
	for t := range q.topics {
		for m := 1; m < len(q.members); m++ {
			if q.wanted(m, t) != q.wanted(0, t) {
				return
			}
		}
		if q.wanted(0, t) {
			wanted += q.first[t+1] - q.first[t]
		}
	}
	share, more := wanted/len(q.members), wanted%len(q.members)
	quota := make([]int, len(q.members))
	for m := range quota { // who has more already keeps one more, as long as there are any
		quota[m] = share
		if q.load[m] > share && more > 0 {
			quota[m]++
			more--
		}
	}
	for p := len(q.owner) - 1; p >= 0; p-- {
		if m := q.owner[p]; m >= 0 && q.load[m] > quota[m] {
			q.give(p, -1)
		}
	}
}

// poorest is the member with the least partitions among those that want the topic, or -1.
func (q *question) poorest(t int) int {
	least := -1
	for m := range q.members {
		if q.wanted(m, t) && (least < 0 || q.load[m] < q.load[least]) {
			least = m
		}
	}
	return least
}

// balance moves partitions, each from a richer member to one with at least two less, until there is no such
// move. Each move makes the sum of the squares of the loads smaller, so it ends.
func (q *question) balance() {
	for moved := true; moved; {
		moved = false
		for t := range q.topics {
			for p := q.first[t]; p < q.first[t+1]; p++ {
				if m, to := q.owner[p], q.poorest(t); m >= 0 && q.load[m] > q.load[to]+1 {
					q.give(p, to)
					moved = true
				}
			}
		}
	}
}

// giveUpFirst takes back what another member still owns: that one must give it up in this round, and
// then it is handed on in the next (KIP-429). Nobody may have owned it at all, or its owner may be gone:
// then it is handed on at once.
func (q *question) giveUpFirst(owned []int) {
	for p, m := range q.owner {
		if m >= 0 && owned[p] >= 0 && owned[p] != m {
			q.give(p, -1)
		}
	}
	// What two claimed is held by both, as they see it: it goes to nobody until both have let go.
	for m := range q.members {
		for _, tp := range q.members[m].Owned {
			if p := q.partition(tp); p >= 0 && owned[p] < 0 && q.owner[p] >= 0 && q.owner[p] != m {
				q.give(p, -1)
			}
		}
	}
}
