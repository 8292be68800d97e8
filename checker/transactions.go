package checker

import (
	"cmp"
	"fmt"
	"slices"
)

// Txn is one transaction as its producer saw it.
type Txn struct {
	Name     string // for whoever reads the verdict
	Producer string // the transactional id
	Life     int    // of the producer
	Commit   bool   // it was to be committed; false also for one whose producer ended before it said how
	Asked    int64  // when its end was asked for; Open: never
	Ended    int64  // when it was answered; Open: never
	Outcome  Outcome
	Denied   bool // the last answer to its commit, whose first was lost, said that there was nothing to commit
	Writes   []Write
	Reads    []Read // what it was made of, as read_committed consumers got it
	Group    string // whose offsets it commits for what it was made of; empty: it is made of nothing
}

// Write is one record, in a transaction or by itself.
type Write struct {
	Partition      Partition
	Value          Value
	Invoke, Return int64 // Return is Open if Unknown
	Outcome        Outcome
	Offset         int64 // -1: not known
	Repeats        bool  // its producer may have written it more than once
}

// Read is one record that a transaction was made of.
type Read struct {
	Partition Partition
	Record
}

// Life says when a producer with a transactional id asked for its producer id, and when it was told. From then on lives are
// fenced that had been told theirs before it asked.
type Life struct {
	Producer    string
	Number      int
	Asked, Told int64
}

// View is what was read of a partition, from its start to its end, on the quiet cluster: with and without what
// read_committed hides. Committed is that reader's.
type View struct {
	Partition      Partition
	All, Committed []Record
	Complete       bool // both came to the end
	Truncated      bool // records may have been removed from the front
}

// TxnHistory is all that happened to the partitions of a run that transactions wrote to.
type TxnHistory struct {
	Txns  []Txn
	Plain []Write // without a transaction, to the same partitions
	Polls []Poll  // of read_committed consumers
	Lives []Life
	Views []View
	Pipes []Pipe
	// Lossy: the faults exceed what acks=all promises. What was acknowledged may be missing; what is wrong stays wrong.
	Lossy bool
}

// Pipe says that a group makes something of every record of some partitions, in transactions that commit its offsets: each
// record exactly once. Done says that it had the time to make something of all.
type Pipe struct {
	Group string
	From  []Partition
	Done  bool
}

// decision is what became of a transaction, as far as the history says.
type decision uint8

const (
	undecided decision = iota
	committed
	aborted
)

func (d decision) String() string { return [...]string{"undecided", "committed", "aborted"}[d] }

// CheckTransactions judges transactions by what their producers were told and what was read: aborted and dirty reads (I75,
// I60), torn transactions (I61), duplicates (I77), lost and unseen writes (I74, I80), what one offset holds (I76), polls that
// pass over committed records (I78), zombies that were heard after their successor began (I58), and cycles (I79).
func CheckTransactions(h *TxnHistory) []Violation {
	c := &txnCheck{h: h, of: map[Value]int{}, write: map[Value]*Write{}, at: map[spot]Value{}, where: map[Value]spot{}, seen: map[Value]int64{}}
	c.index()
	c.offsets()
	c.decide()
	c.readers()
	c.views()
	c.denied()
	c.pipes()
	c.zombies()
	c.cycles()
	return c.found
}

type spot struct {
	partition Partition
	offset    int64
}

type txnCheck struct {
	h       *TxnHistory
	of      map[Value]int    // the transaction of a value; -1: none
	write   map[Value]*Write // look-up only, as are the others
	at      map[spot]Value
	where   map[Value]spot
	seen    map[Value]int64 // when read_committed readers first got it
	decided []decision
	found   []Violation
}

func (c *txnCheck) fail(id, subject, format string, args ...any) {
	if len(c.found) < violationsMax {
		c.found = append(c.found, Violation{id, subject, fmt.Sprintf(format, args...)})
	}
}

func (c *txnCheck) index() {
	for i := range c.h.Txns {
		t := &c.h.Txns[i]
		for j := range t.Writes {
			c.of[t.Writes[j].Value], c.write[t.Writes[j].Value] = i, &t.Writes[j]
		}
	}
	for i := range c.h.Plain {
		c.of[c.h.Plain[i].Value], c.write[c.h.Plain[i].Value] = -1, &c.h.Plain[i]
	}
}

// offsets: one value at an offset (I76), a value at one offset (I77), nothing that nobody wrote (I06), or that was refused for
// good (I75).
func (c *txnCheck) offsets() {
	for i := range c.h.Txns {
		for _, w := range c.h.Txns[i].Writes {
			c.wrote(&w)
		}
	}
	for i := range c.h.Plain {
		c.wrote(&c.h.Plain[i])
	}
	for i := range c.h.Polls {
		for _, r := range c.h.Polls[i].Records {
			c.stands(c.h.Polls[i].Partition, r, "read")
			if at, ok := c.seen[r.Value]; !ok || at > c.h.Polls[i].Return {
				c.seen[r.Value] = c.h.Polls[i].Return
			}
		}
	}
	for i := range c.h.Views {
		for _, r := range c.h.Views[i].All {
			c.stands(c.h.Views[i].Partition, r, "read at the end")
		}
		for _, r := range c.h.Views[i].Committed {
			c.stands(c.h.Views[i].Partition, r, "read at the end as committed")
			if _, ok := c.seen[r.Value]; !ok {
				c.seen[r.Value] = Open
			}
		}
	}
}

func (c *txnCheck) wrote(w *Write) {
	if w.Outcome == OK && w.Offset >= 0 {
		c.stands(w.Partition, Record{w.Offset, w.Value}, "acknowledged")
	}
}

func (c *txnCheck) stands(p Partition, r Record, how string) {
	at := spot{p, r.Offset}
	w := c.write[r.Value]
	if w == nil {
		c.fail("I06", p.String(), "value %d, %s at offset %d, was never sent", r.Value, how, r.Offset)
		return
	}
	if w.Outcome == Failed {
		c.fail("I75", p.String(), "value %d was refused for good and then %s at offset %d", r.Value, how, r.Offset)
	}
	if c.h.Lossy {
		c.at[at], c.where[r.Value] = r.Value, at
		return
	}
	if was, ok := c.at[at]; ok && was != r.Value {
		c.fail("I76", p.String(), "offset %d held value %d and was then %s with value %d", r.Offset, was, how, r.Value)
	}
	if was, ok := c.where[r.Value]; ok && was != at && !w.Repeats {
		c.fail("I77", p.String(), "value %d is at offset %d of %s and was %s at %d", r.Value, was.offset, was.partition, how, r.Offset)
	}
	c.at[at], c.where[r.Value] = r.Value, at
}

// decide finds what became of each transaction: its producer knows, or what was read tells.
func (c *txnCheck) decide() {
	c.decided = make([]decision, len(c.h.Txns))
	for i := range c.h.Txns {
		t := &c.h.Txns[i]
		switch {
		case !t.Commit:
			c.decided[i] = aborted // nobody ever asked for its commit
		case t.Outcome == OK:
			c.decided[i] = committed
		case t.Outcome == Failed:
			c.decided[i] = aborted
		default:
			for _, w := range t.Writes {
				if _, ok := c.seen[w.Value]; ok {
					c.decided[i] = committed
				}
			}
		}
	}
}

// visible reports what read_committed owes of a value.
func (c *txnCheck) visible(v Value) decision {
	i, ok := c.of[v]
	switch {
	case !ok:
		return undecided
	case i < 0:
		return committed
	}
	return c.decided[i]
}

// readers: no aborted value (I75), none before its commit was asked for (I60), none passed over that is committed (I78).
func (c *txnCheck) readers() {
	last := map[reads]int64{}
	stored := c.stored()
	for i := range c.h.Polls {
		p := &c.h.Polls[i]
		at, known := last[reads{p.Consumer, p.Partition}]
		if p.Fresh || !known {
			at = p.From
		}
		for _, r := range p.Records {
			if r.Offset < at {
				c.fail("I78", p.Partition.String(), "consumer %d at position %d was given offset %d", p.Consumer, at, r.Offset)
			}
			c.read(p, r)
			c.passed(stored, p, at, r.Offset)
			at = r.Offset + 1
		}
		if p.Next > at {
			c.passed(stored, p, at, p.Next)
			at = p.Next
		}
		last[reads{p.Consumer, p.Partition}] = at
	}
}

// reads names the position of one consumer in one partition.
type reads struct {
	consumer  int
	partition Partition
}

// read looks at one record that a read_committed consumer was given.
func (c *txnCheck) read(p *Poll, r Record) {
	i, ok := c.of[r.Value]
	if !ok || i < 0 {
		return
	}
	t := &c.h.Txns[i]
	switch {
	case c.decided[i] == aborted:
		c.fail("I75", p.Partition.String(), "consumer %d was given value %d at offset %d of transaction %s, which was not committed", p.Consumer, r.Value, r.Offset, t.Name)
	case p.Return < t.Asked:
		c.fail("I60", p.Partition.String(), "consumer %d was given value %d at offset %d before the commit of transaction %s was asked for", p.Consumer, r.Value, r.Offset, t.Name)
	}
}

// stored lists what was acknowledged, by partition and offset.
func (c *txnCheck) stored() (list []storedAt) {
	add := func(w *Write) {
		if w.Outcome == OK && w.Offset >= 0 {
			list = append(list, storedAt{spot{w.Partition, w.Offset}, w.Value, w.Return})
		}
	}
	for i := range c.h.Txns {
		for j := range c.h.Txns[i].Writes {
			add(&c.h.Txns[i].Writes[j])
		}
	}
	for i := range c.h.Plain {
		add(&c.h.Plain[i])
	}
	slices.SortFunc(list, func(a, b storedAt) int { return cmp.Or(compare(a.at, b.at), cmp.Compare(a.value, b.value)) })
	return list
}

type storedAt struct {
	at    spot
	value Value
	ret   int64
}

func compare(a, b spot) int {
	return cmp.Or(cmp.Compare(a.partition.TopicID, b.partition.TopicID), cmp.Compare(a.partition.Number, b.partition.Number), cmp.Compare(a.offset, b.offset))
}

// passed: between two positions of a read_committed consumer nothing may lie that is committed in the end: the last stable
// offset does not pass a transaction that is open.
func (c *txnCheck) passed(stored []storedAt, p *Poll, from, to int64) {
	if c.h.Lossy || to <= from {
		return
	}
	i, _ := slices.BinarySearchFunc(stored, spot{p.Partition, from}, func(s storedAt, at spot) int { return compare(s.at, at) })
	for ; i < len(stored) && stored[i].at.partition == p.Partition && stored[i].at.offset < to; i++ {
		if c.visible(stored[i].value) == committed && c.kept(p.Partition) {
			c.fail("I78", p.Partition.String(), "consumer %d went from %d to %d past offset %d, value %d, which is committed", p.Consumer, from, to, stored[i].at.offset, stored[i].value)
			return
		}
	}
}

// kept reports whether nothing is removed from the front of a partition.
func (c *txnCheck) kept(p Partition) bool {
	i := slices.IndexFunc(c.h.Views, func(v View) bool { return v.Partition == p })
	return i < 0 || !c.h.Views[i].Truncated
}

// views: in the end a transaction is there as a whole or not at all (I61), nothing that is committed is missing (I74) or hidden
// (I80), nothing that is not is shown (I75).
func (c *txnCheck) views() {
	final := map[Value]bool{}
	complete := map[Partition]bool{}
	for i := range c.h.Views {
		v := &c.h.Views[i]
		complete[v.Partition] = v.Complete && !v.Truncated
		shown := map[int64]bool{}
		for _, r := range v.Committed {
			final[r.Value], shown[r.Offset] = true, true
			if c.visible(r.Value) == aborted {
				c.fail("I75", v.Partition.String(), "value %d at offset %d of transaction %s, which was not committed, is read as committed in the end", r.Value, r.Offset, c.h.Txns[c.of[r.Value]].Name)
			}
		}
		if !v.Complete || v.Truncated || c.h.Lossy {
			continue
		}
		for _, r := range v.All {
			if !shown[r.Offset] && c.visible(r.Value) == committed {
				c.fail("I80", v.Partition.String(), "value %d at offset %d is committed, and read_committed never shows it", r.Value, r.Offset)
			}
		}
	}
	if c.h.Lossy {
		return
	}
	for i := range c.h.Txns {
		t := &c.h.Txns[i]
		if c.decided[i] != committed {
			continue
		}
		for _, w := range t.Writes {
			if !complete[w.Partition] || final[w.Value] {
				continue
			}
			if t.Outcome == OK {
				c.fail("I74", w.Partition.String(), "value %d of transaction %s, which was committed, is not there in the end", w.Value, t.Name)
			} else if w.Outcome == OK { // nobody was told of the commit, but part of it was read
				c.fail("I61", w.Partition.String(), "transaction %s is torn: value %d is not there in the end, though others of its values were read as committed", t.Name, w.Value)
			}
		}
	}
}

// denied: a repeated question is answered like the first (I63).
func (c *txnCheck) denied() {
	for i := range c.h.Txns {
		if t := &c.h.Txns[i]; t.Denied && c.decided[i] == committed && !c.h.Lossy {
			c.fail("I63", t.Producer, "transaction %s was committed, and whoever asked for that again was told that there was nothing to commit", t.Name)
		}
	}
}

// pipes: each record that read_committed shows is part of exactly one committed transaction of each group that makes something
// of it (I56 twice, I80 never).
func (c *txnCheck) pipes() {
	if c.h.Lossy {
		return
	}
	for _, p := range c.h.Pipes {
		used := map[spot]int{} // by place: a plain producer may write a value twice
		for i := range c.h.Txns {
			t := &c.h.Txns[i]
			if t.Group != p.Group || c.decided[i] != committed {
				continue
			}
			for _, r := range t.Reads {
				if was, twice := used[spot{r.Partition, r.Offset}]; twice {
					c.fail("I56", p.Group, "value %d at %s offset %d went into transaction %s and into %s", r.Value, r.Partition, r.Offset, c.h.Txns[was].Name, t.Name)
				}
				used[spot{r.Partition, r.Offset}] = i
			}
		}
		for i := range c.h.Views {
			v := &c.h.Views[i]
			if !p.Done || !v.Complete || v.Truncated || !slices.Contains(p.From, v.Partition) {
				continue
			}
			for _, r := range v.Committed {
				if _, ok := used[spot{v.Partition, r.Offset}]; !ok {
					c.fail("I80", p.Group, "value %d at %s offset %d went into no transaction", r.Value, v.Partition, r.Offset)
				}
			}
		}
	}
}

// zombies: once a producer was told its id, nothing that an earlier life began afterwards may be taken (I58).
func (c *txnCheck) zombies() {
	for i := range c.h.Txns {
		t := &c.h.Txns[i]
		own, told := Open, Open // when it was told, and when somebody was who asked later
		for _, l := range c.h.Lives {
			if l.Producer == t.Producer && l.Number == t.Life {
				own = l.Told
			}
		}
		for _, l := range c.h.Lives {
			if l.Producer == t.Producer && l.Number != t.Life && l.Asked > own {
				told = min(told, l.Told)
			}
		}
		if t.Commit && t.Outcome == OK && t.Asked > told && told != Open {
			c.fail("I58", t.Producer, "transaction %s was committed although its end was asked for after a later producer had begun", t.Name)
		}
		for _, w := range t.Writes {
			if w.Outcome == OK && w.Invoke > told && told != Open {
				c.fail("I58", w.Partition.String(), "value %d of transaction %s was taken although it was sent after a later producer had begun", w.Value, t.Name)
			}
		}
	}
}
