package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

func newTxnCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "txn", Short: "List, describe and abort transactions"}
	c := addConnection(cmd)
	cmd.AddCommand(txnList(c), txnDescribe(c), txnHanging(c), txnAbort(c))
	return cmd
}

type txnRow struct {
	ID          string      `json:"transactional_id"`
	State       string      `json:"state"`
	Producer    int64       `json:"producer_id"`
	Epoch       *int16      `json:"producer_epoch,omitempty"`
	Coordinator core.NodeID `json:"coordinator"`
	Timeout     *int32      `json:"timeout_ms,omitempty"`
	Started     *string     `json:"started,omitempty"`
	Partitions  []string    `json:"partitions,omitempty"`
}

// tell asks one broker, or with NoNode any, and returns its answer as the type that the request calls for.
func tell[R kmsg.Response](ctx context.Context, cl *host.Client, to core.NodeID, q kmsg.Request, alters bool) (r R, err error) {
	a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
		return a.Ask(now, to, q, alters, out)
	})
	if err != nil {
		return r, err
	}
	r, ok := a.Response.(R)
	if !ok {
		return r, client.Failure{Code: wire.UnknownServerError, Text: "the broker's answer is of another kind"}
	}
	return r, nil
}

func failed(code int16, text string) error {
	if code == 0 {
		return nil
	}
	return client.Failure{Code: wire.Code(code), Text: text}
}

// listTransactions asks every broker for the transactional ids that it coordinates.
func listTransactions(ctx context.Context, cl *host.Client, q kmsg.ListTransactionsRequest) (rows []txnRow, err error) {
	a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID { return a.DescribeCluster(now, out) })
	if err != nil {
		return nil, err
	}
	for _, b := range a.Brokers {
		r, err := tell[*kmsg.ListTransactionsResponse](ctx, cl, b.ID, &q, false)
		if err != nil {
			return nil, err
		}
		if err := failed(r.ErrorCode, "broker "+itoa(b.ID)); err != nil {
			return nil, err
		}
		if len(r.UnknownStateFilters) > 0 {
			return nil, usagef("--state %s: no such state. There are Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort", strings.Join(r.UnknownStateFilters, ","))
		}
		for _, t := range r.TransactionStates {
			rows = append(rows, txnRow{ID: t.TransactionalID, State: t.TransactionState, Producer: t.ProducerID, Coordinator: b.ID})
		}
	}
	slices.SortFunc(rows, func(x, y txnRow) int { return strings.Compare(x.ID, y.ID) })
	return rows, nil
}

func txnList(c *connection) *cobra.Command {
	q := kmsg.NewListTransactionsRequest()
	var longer time.Duration
	var pattern string
	cmd := &cobra.Command{Use: "list", Short: "List transactional ids", Args: cobra.NoArgs}
	cmd.Flags().StringArrayVar(&q.StateFilters, "state", nil, "only those in this state; may be repeated")
	cmd.Flags().Int64SliceVar(&q.ProducerIDFilters, "producer", nil, "only those of this producer id; may be repeated")
	cmd.Flags().DurationVar(&longer, "longer", 0, "only transactions that began longer ago than this")
	cmd.Flags().StringVar(&pattern, "id", "", "only ids that this regular expression describes as a whole")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("longer") {
			q.DurationFilterMillis = longer.Milliseconds()
		}
		if pattern != "" {
			q.TransactionalIDPattern = &pattern
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			rows, err := listTransactions(ctx, cl, q)
			if err != nil {
				return err
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), append([]txnRow{}, rows...))
			}
			var table [][]string
			for _, r := range rows {
				table = append(table, []string{r.ID, r.State, itoa(r.Producer), itoa(r.Coordinator)})
			}
			return printTable(cmd.OutOrStdout(), []string{"TRANSACTIONAL-ID", "STATE", "PRODUCER-ID", "COORDINATOR"}, table)
		})
	}
	return cmd
}

// describeTransaction asks the coordinator of a transactional id.
func describeTransaction(ctx context.Context, cl *host.Client, id string) (row txnRow, at []core.TopicPartition, err error) {
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKey, find.CoordinatorKeys = 1, id, []string{id}
	f, err := tell[*kmsg.FindCoordinatorResponse](ctx, cl, core.NoNode, find, false)
	if err != nil {
		return row, nil, err
	}
	node, code := f.NodeID, f.ErrorCode
	if len(f.Coordinators) == 1 {
		node, code = f.Coordinators[0].NodeID, f.Coordinators[0].ErrorCode
	}
	if err := failed(code, "the coordinator of "+id); err != nil {
		return row, nil, err
	}
	q := kmsg.NewPtrDescribeTransactionsRequest()
	q.TransactionalIDs = []string{id}
	r, err := tell[*kmsg.DescribeTransactionsResponse](ctx, cl, core.NodeID(node), q, false)
	if err != nil {
		return row, nil, err
	}
	if len(r.TransactionStates) != 1 {
		return row, nil, client.Failure{Code: wire.UnknownServerError, Text: "the broker's answer leaves it out"}
	}
	t := &r.TransactionStates[0]
	if err := failed(t.ErrorCode, "transactional id "+id); err != nil {
		return row, nil, err
	}
	row = txnRow{ID: id, State: t.State, Producer: t.ProducerID, Epoch: &t.ProducerEpoch, Coordinator: core.NodeID(node), Timeout: &t.TimeoutMillis}
	if t.StartTimestamp >= 0 {
		started := time.UnixMilli(t.StartTimestamp).Format("2006-01-02T15:04:05.000Z07:00")
		row.Started = &started
	}
	for _, topic := range t.Topics {
		for _, p := range topic.Partitions {
			at = append(at, core.TopicPartition{Topic: topic.Topic, Partition: p})
		}
	}
	slices.SortFunc(at, core.TopicPartition.Compare)
	for _, p := range at {
		row.Partitions = append(row.Partitions, p.Topic+"-"+itoa(p.Partition))
	}
	return row, at, nil
}

func txnDescribe(c *connection) *cobra.Command {
	cmd := &cobra.Command{Use: "describe ID...", Short: "Show producer, state and partitions of transactional ids", Args: cobra.MinimumNArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			var rows []txnRow
			var table [][]string
			for _, id := range ids {
				r, _, err := describeTransaction(ctx, cl, id)
				if err != nil {
					return err
				}
				started := "-"
				if r.Started != nil {
					started = *r.Started
				}
				rows = append(rows, r)
				table = append(table, []string{r.ID, r.State, itoa(r.Producer), itoa(int32(*r.Epoch)), itoa(r.Coordinator),
					(time.Duration(*r.Timeout) * time.Millisecond).String(), started, dash(strings.Join(r.Partitions, " "))})
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			return printTable(cmd.OutOrStdout(), []string{"TRANSACTIONAL-ID", "STATE", "PRODUCER-ID", "EPOCH", "COORDINATOR", "TIMEOUT", "STARTED", "PARTITIONS"}, table)
		})
	}
	return cmd
}

// openTxn is a transaction that a partition holds to be open.
type openTxn struct {
	Topic            string      `json:"topic"`
	Partition        int32       `json:"partition"`
	Producer         int64       `json:"producer_id"`
	Epoch            int32       `json:"producer_epoch"`
	CoordinatorEpoch int32       `json:"coordinator_epoch"`
	Start            core.Offset `json:"start_offset"`
	Age              string      `json:"age"` // since its producer last wrote
	leader           core.NodeID
}

// openTransactions asks the leaders of partitions for their open transactions that nobody has written to for longer than age.
func openTransactions(ctx context.Context, cl *host.Client, topics []client.TopicInfo, age time.Duration) (rows []openTxn, err error) {
	for _, t := range topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				continue
			}
			q := kmsg.NewPtrDescribeProducersRequest()
			q.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: t.Name, Partitions: []int32{p.Partition}}}
			r, err := tell[*kmsg.DescribeProducersResponse](ctx, cl, p.Leader, q, false)
			if err != nil {
				return nil, err
			}
			for _, rt := range r.Topics {
				for _, rp := range rt.Partitions {
					if err := failed(rp.ErrorCode, "topic "+t.Name+", partition "+itoa(rp.Partition)); err != nil {
						return nil, err
					}
					for _, x := range rp.ActiveProducers {
						since := time.Since(time.UnixMilli(x.LastTimestamp))
						if x.CurrentTxnStartOffset >= 0 && since >= age {
							rows = append(rows, openTxn{t.Name, rp.Partition, x.ProducerID, x.ProducerEpoch, x.CoordinatorEpoch,
								core.Offset(x.CurrentTxnStartOffset), since.Round(time.Millisecond).String(), p.Leader})
						}
					}
				}
			}
		}
	}
	return rows, nil
}

func txnHanging(c *connection) *cobra.Command {
	var age time.Duration
	cmd := &cobra.Command{
		Use: "hanging [TOPIC...]", Short: "Find transactions that no coordinator will ever end",
		Long: "Finds transactions that partitions hold to be open and that belong to no transaction of any coordinator: readers with\n" +
			"read_committed stop before them. Without topics it looks at all of them. See klamm txn abort.",
	}
	cmd.Flags().DurationVar(&age, "older", 15*time.Minute, "only those that nobody has written to for so long; no less than the longest transaction.timeout.ms in use")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, topics []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DescribeTopics(now, topics, out)
			})
			if err != nil {
				return err
			}
			open, err := openTransactions(ctx, cl, a.Topics, age)
			if err != nil {
				return err
			}
			rows, err := whichHang(ctx, cl, open)
			if err != nil {
				return err
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), append([]openTxn{}, rows...))
			}
			var table [][]string
			for _, r := range rows {
				table = append(table, []string{r.Topic, itoa(r.Partition), itoa(r.Producer), itoa(r.Epoch), itoa(r.CoordinatorEpoch), itoa(r.Start), r.Age})
			}
			return printTable(cmd.OutOrStdout(), []string{"TOPIC", "PARTITION", "PRODUCER-ID", "EPOCH", "COORDINATOR-EPOCH", "START-OFFSET", "AGE"}, table)
		})
	}
	return cmd
}

// whichHang leaves out the transactions that a coordinator knows: those it will end.
func whichHang(ctx context.Context, cl *host.Client, open []openTxn) (hanging []openTxn, err error) {
	if len(open) == 0 {
		return nil, nil
	}
	q := kmsg.NewListTransactionsRequest()
	for _, o := range open {
		q.ProducerIDFilters = append(q.ProducerIDFilters, o.Producer)
	}
	ids, err := listTransactions(ctx, cl, q)
	if err != nil {
		return nil, err
	}
	for _, o := range open {
		known := false
		for _, t := range ids {
			if t.Producer != o.Producer {
				continue
			}
			_, at, err := describeTransaction(ctx, cl, t.ID)
			if err != nil {
				return nil, err
			}
			known = known || slices.Contains(at, core.TopicPartition{Topic: o.Topic, Partition: o.Partition})
		}
		if !known {
			hanging = append(hanging, o)
		}
	}
	return hanging, nil
}

func txnAbort(c *connection) *cobra.Command {
	var topic string
	var partition int32
	var start, producer int64
	cmd := &cobra.Command{
		Use: "abort", Short: "Abort a hanging transaction of one partition", Args: cobra.NoArgs,
		Long: "Writes an abort marker for a transaction that a partition holds to be open, whatever its coordinator says. Meant for transactions\n" +
			"that klamm txn hanging finds: to abort one that is alive tears it apart. Name it by its first offset or its producer.",
	}
	cmd.Flags().StringVar(&topic, "topic", "", "the topic")
	cmd.Flags().Int32Var(&partition, "partition", 0, "the partition")
	cmd.Flags().Int64Var(&start, "start-offset", -1, "the first offset of the transaction")
	cmd.Flags().Int64Var(&producer, "producer", -1, "its producer id")
	cmd.MarkFlagRequired("topic")
	cmd.MarkFlagRequired("partition")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (start < 0) == (producer < 0) {
			return usagef("name the transaction by --start-offset or by --producer")
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DescribeTopics(now, []string{topic}, out)
			})
			if err != nil {
				return err
			}
			t := a.Topics[0]
			t.Partitions = slices.DeleteFunc(t.Partitions, func(p client.PartitionInfo) bool { return p.Partition != partition })
			if len(t.Partitions) == 0 {
				return usagef("--partition %d: topic %s has no such partition", partition, topic)
			}
			open, err := openTransactions(ctx, cl, []client.TopicInfo{t}, -time.Hour)
			if err != nil {
				return err
			}
			for _, o := range open {
				if o.Producer == producer || int64(o.Start) == start {
					return abortOpen(ctx, cmd, cl, o)
				}
			}
			return fmt.Errorf("no such open transaction in %s-%d. See what there is: %s txn hanging %s --older 0s", topic, partition, self(), topic)
		})
	}
	return cmd
}

func abortOpen(ctx context.Context, cmd *cobra.Command, cl *host.Client, o openTxn) error {
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch = o.Producer, int16(o.Epoch), max(o.CoordinatorEpoch, 0)
	m.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: o.Topic, Partitions: []int32{o.Partition}}}
	q.Markers = append(q.Markers, m)
	r, err := tell[*kmsg.WriteTxnMarkersResponse](ctx, cl, o.leader, q, true)
	if err != nil {
		return err
	}
	for _, x := range r.Markers {
		for _, t := range x.Topics {
			for _, p := range t.Partitions {
				if err := failed(p.ErrorCode, "topic "+t.Topic+", partition "+itoa(p.Partition)); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "aborted the transaction of producer %d at offset %d of %s-%d\n", o.Producer, o.Start, t.Topic, p.Partition)
				return nil
			}
		}
	}
	return client.Failure{Code: wire.UnknownServerError, Text: "the broker's answer leaves it out"}
}
