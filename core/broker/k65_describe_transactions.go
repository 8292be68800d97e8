package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeTransactions serves DescribeTransactions v0 (KIP-664): those that this broker coordinates. Left out: authorization.
func (b *Broker) describeTransactions(now core.Now, r request, q *kmsg.DescribeTransactionsRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	t := &groupReply{r: r, resp: resp}
	for i, id := range q.TransactionalIDs {
		c, code := b.txnShardOf(id)
		if id == "" {
			code = wire.InvalidRequest
		}
		if code != wire.None {
			resp.TransactionStates = append(resp.TransactionStates, describeTxnError(id, code))
			continue
		}
		row, end := c.state.Describe(id)
		t.awaitTxns(i, c, end)
		resp.TransactionStates = append(resp.TransactionStates, row)
	}
	b.replyWithin(now, t, b.cfg.RequestTime, out)
}

func describeTxnError(id string, code wire.Code) kmsg.DescribeTransactionsResponseTransactionState {
	row := kmsg.NewDescribeTransactionsResponseTransactionState()
	row.TransactionalID, row.ErrorCode = id, int16(code)
	return row
}
