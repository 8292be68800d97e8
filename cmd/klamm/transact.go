package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/client"
	"klamm/host"
)

type transact struct {
	*connection
	in                             []string
	out                            string
	group, id, filter, instance    string
	max, batch                     int
	idle, transactionTime, session time.Duration
	quiet                          bool
}

func newTransactCommand() *cobra.Command {
	var t transact
	cmd := &cobra.Command{
		Use: "transact IN... OUT", Short: "Make records of a topic from those of others, exactly once", Args: cobra.MinimumNArgs(2),
		Long: `Reads topics as a member of a group, makes records of what it reads, and writes these to the last topic named. What it
has read and what it has written are committed together: however often this command, or a broker, is killed, each record
goes through once.

Without --filter records are copied. With it their values, one a line, go through a command for each transaction (sh -c),
and each line that it prints becomes a record; it keeps the key of its input if there are as many lines as records. A
filter that fails, or a kill, aborts the transaction, and the same records come again.

Give each process that runs at the same time its own --transactional-id: a second one with the same id ends the first.`,
		Example: "  klamm transact orders invoices --group billing --transactional-id billing-1\n  klamm transact words shouts --group shout --transactional-id shout-1 --filter 'tr a-z A-Z'",
	}
	t.connection = addConnection(cmd)
	f := cmd.Flags()
	f.StringVar(&t.group, "group", "", "consumer group to be a member of (needed)")
	f.StringVar(&t.id, "transactional-id", "", "the producer's name, which outlives it (needed)")
	f.StringVar(&t.filter, "filter", "", "a command that values go through, as lines")
	f.StringVar(&t.instance, "instance", "", "group.instance.id: a static member, which keeps its partitions over a restart")
	f.IntVarP(&t.max, "max", "n", 0, "stop after so many records were read; 0 is no bound")
	f.IntVar(&t.batch, "batch", 500, "records of one transaction, at most")
	f.DurationVar(&t.idle, "exit-idle", 0, "stop when nothing has come for so long; 0 is never")
	f.DurationVar(&t.transactionTime, "transaction-timeout", time.Minute, "then the broker aborts a transaction that is open")
	f.DurationVar(&t.session, "session-timeout", 45*time.Second, "when a member that is not heard of loses its partitions")
	f.BoolVarP(&t.quiet, "quiet", "q", false, "no summary")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if t.group == "" || t.id == "" {
			return usagef("--group and --transactional-id are needed: they are how a restart finds what was done")
		}
		t.in, t.out = args[:len(args)-1], args[len(args)-1]
		return t.run(cmd.ErrOrStderr())
	}
	return cmd
}

func (t *transact) run(errs io.Writer) error {
	cl, err := t.open(host.ClientOptions{})
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, stop := interrupted()
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	o := client.PipeOptions{Records: t.batch}
	o.Consumer.Reset = client.ResetEarliest
	o.Consumer.Group = client.GroupOptions{ID: t.group, Topics: t.in, Instance: t.instance, SessionTime: core.Time(t.session)}
	o.Producer.TransactionalID, o.Producer.TransactionTime = t.id, core.Time(t.transactionTime)
	o.Producer.Linger, o.Producer.DeliveryTime = -1, core.Time(t.transactionTime)
	var read, wrote, again atomic.Int64
	var made int64
	last := time.Now()
	var busy atomic.Int64 // when something came last
	busy.Store(last.UnixNano())
	if t.idle > 0 {
		go t.watch(ctx, &busy, cancel)
	}
	err = cl.Transact(ctx, o, func(ctx context.Context, list []client.Message) ([]client.Record, error) {
		busy.Store(time.Now().UnixNano())
		records, err := t.make(ctx, list)
		made = int64(len(records))
		return records, err
	}, func(r client.PipeResult) {
		busy.Store(time.Now().UnixNano())
		if r.Fate != client.Did {
			again.Add(1)
			return
		}
		wrote.Add(made)
		if n := read.Add(int64(r.Records)); t.max > 0 && n >= int64(t.max) {
			cancel(errEnough)
		}
	})
	if !t.quiet {
		fmt.Fprintf(errs, "%d records of %s went into %d of %s", read.Load(), strings.Join(t.in, " "), wrote.Load(), t.out)
		if n := again.Load(); n > 0 {
			fmt.Fprintf(errs, "; %d transactions were aborted and done again", n)
		}
		fmt.Fprintln(errs)
	}
	if errors.Is(context.Cause(ctx), errEnough) {
		return nil
	}
	return t.explain(err)
}

var errEnough = errors.New("enough")

// watch ends the run when nothing comes.
func (t *transact) watch(ctx context.Context, busy *atomic.Int64, cancel context.CancelCauseFunc) {
	for ctx.Err() == nil {
		rest := t.idle - time.Since(time.Unix(0, busy.Load()))
		if rest <= 0 {
			cancel(errEnough)
			return
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

// make makes records of what was read.
func (t *transact) make(ctx context.Context, list []client.Message) ([]client.Record, error) {
	records := make([]client.Record, 0, len(list))
	if t.filter == "" {
		for _, m := range list {
			records = append(records, client.Record{Topic: t.out, Partition: client.AnyPartition, Key: m.Key, Value: m.Value, Headers: m.Headers})
		}
		return records, nil
	}
	var in, errOut bytes.Buffer
	for _, m := range list {
		in.Write(m.Value)
		in.WriteByte('\n')
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", t.filter)
	cmd.Stdin, cmd.Stderr = &in, &errOut
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the filter failed, and the transaction is aborted: %w: %s", err, strings.TrimSpace(errOut.String()))
	}
	for _, line := range bytes.SplitAfter(out, []byte("\n")) {
		if len(line) > 0 {
			records = append(records, client.Record{Topic: t.out, Partition: client.AnyPartition, Value: bytes.TrimSuffix(line, []byte("\n"))})
		}
	}
	if len(records) == len(list) {
		for i := range records {
			records[i].Key = list[i].Key
		}
	}
	return records, nil
}
