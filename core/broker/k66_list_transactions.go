package broker

import (
	"regexp"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/txn"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listTransactions serves ListTransactions v0-v2 (KIP-664, 994, 1152): those that this broker coordinates. Left out: authorization.
// While a part of them loads, a list would lack some without saying so, and the code says it instead.
func (b *Broker) listTransactions(now core.Now, r request, q *kmsg.ListTransactionsRequest, out *core.Out) {
	resp := kmsg.NewPtrListTransactionsResponse()
	resp.TransactionStates = []kmsg.ListTransactionsResponseTransactionState{}
	t := &groupReply{r: r, resp: resp}
	f := txn.Filter{Producers: q.ProducerIDFilters, LongerThan: -1, NowMillis: now.Wall.Millis()}
	if r.header.Version >= 1 {
		f.LongerThan = q.DurationFilterMillis
	}
	for _, name := range q.StateFilters {
		if s, ok := txn.StatusNamed(name); ok {
			f.States = append(f.States, s)
		} else {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, name)
		}
	}
	nothing := len(q.StateFilters) > 0 && len(f.States) == 0
	if p := q.TransactionalIDPattern; r.header.Version >= 2 && p != nil && *p != "" {
		match, err := regexp.Compile("^(?:" + *p + ")$")
		if err != nil {
			resp.ErrorCode = int16(wire.InvalidRegularExpression)
			b.reply(now, r, resp, out)
			return
		}
		f.Match = match
	}
	for i := range b.txns.list {
		c := &b.txns.list[i]
		switch {
		case c.shard.Phase() == shard.Loading:
			resp.ErrorCode, resp.TransactionStates = int16(wire.CoordinatorLoadInProgress), nil
			b.reply(now, r, resp, out)
			return
		case c.shard.Phase() == shard.Active && !nothing:
			resp.TransactionStates = c.state.List(resp.TransactionStates, &f)
			t.awaitTxns(0, c, c.state.EndAll())
		}
	}
	slices.SortFunc(resp.TransactionStates, func(x, y kmsg.ListTransactionsResponseTransactionState) int {
		return strings.Compare(x.TransactionalID, y.TransactionalID)
	})
	b.replyWithin(now, t, b.cfg.RequestTime, out)
}
