package txn

import (
	"slices"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Describe tells all about a transactional id (KIP-664). While it is prepared the partitions are those that have no marker yet.
func (s *State) Describe(id string) (r kmsg.DescribeTransactionsResponseTransactionState, end core.Offset) {
	r = kmsg.NewDescribeTransactionsResponseTransactionState()
	r.TransactionalID = id
	t := s.find(id)
	switch {
	case id == "":
		r.ErrorCode = int16(wire.InvalidRequest)
		return r, 0
	case t == nil:
		r.ErrorCode = int16(wire.TransactionalIDNotFound)
		return r, s.gone
	}
	v := &t.stored
	r.State, r.TimeoutMillis, r.StartTimestamp = v.Status.String(), v.TimeoutMillis, v.StartedAt
	r.ProducerID, r.ProducerEpoch = v.Producer.ID, v.Producer.Epoch
	parts := v.Partitions
	if v.Status.prepared() {
		parts = t.unmarked
	}
	for _, p := range parts {
		if n := len(r.Topics) - 1; n < 0 || r.Topics[n].Topic != p.Topic {
			topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			topic.Topic = p.Topic
			r.Topics = append(r.Topics, topic)
		}
		topic := &r.Topics[len(r.Topics)-1]
		topic.Partitions = append(topic.Partitions, p.Partition)
	}
	return r, t.end
}

// Filter is what ListTransactions asks for. Match reports whether an id passes its pattern.
type Filter struct {
	States     []Status // empty: all
	Producers  []int64  // empty: all
	LongerThan int64    // ms since the start of the transaction; negative: all
	Match      interface{ MatchString(s string) bool }
	NowMillis  int64
}

// StatusNamed is the state of that name.
func StatusNamed(name string) (Status, bool) {
	i := slices.Index(statusNames[:], name)
	return Status(i), i >= 0
}

// List appends the transactional ids that pass a filter, in no meaning order.
func (s *State) List(rows []kmsg.ListTransactionsResponseTransactionState, f *Filter) []kmsg.ListTransactionsResponseTransactionState {
	for _, t := range s.all {
		v := &t.stored
		switch {
		case len(f.States) > 0 && !slices.Contains(f.States, v.Status),
			len(f.Producers) > 0 && !slices.Contains(f.Producers, v.Producer.ID),
			f.LongerThan >= 0 && f.NowMillis-v.StartedAt <= f.LongerThan,
			f.Match != nil && !f.Match.MatchString(t.id):
			continue
		}
		r := kmsg.NewListTransactionsResponseTransactionState()
		r.TransactionalID, r.ProducerID, r.TransactionState = t.id, v.Producer.ID, v.Status.String()
		rows = append(rows, r)
	}
	return rows
}

// EndAll is where everything that was ever told of any id is durable.
func (s *State) EndAll() (end core.Offset) {
	end = s.gone
	for _, t := range s.all {
		end = max(end, t.end)
	}
	return end
}

// Counts returns how many ids are in each state that is kept, and how many markers are not acknowledged.
func (s *State) Counts() (states [StatusKept]int64, markers int64) {
	for _, t := range s.all {
		states[t.stored.Status]++
		markers += int64(len(t.unmarked))
	}
	return states, markers
}

// Unsettled is how many transactional ids are decided and not complete, or have a newest record that is not below high, where
// the committed records end: what is committed of such an id may still be a Prepare*. Ids that were removed there count as one.
func (s *State) Unsettled(high core.Offset) (n int) {
	if s.gone > high {
		n++
	}
	for _, t := range s.all {
		if t.stored.Status.prepared() || t.end > high {
			n++
		}
	}
	return n
}

// Unended is how many transactions have all their markers and could not be completed in the log.
func (s *State) Unended() int { return len(s.unended) }
