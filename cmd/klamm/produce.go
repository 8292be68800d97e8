package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/client"
	"klamm/host"
)

// lineBytesMax bounds one line of standard input.
const lineBytesMax = 64 << 20

type produce struct {
	*connection
	topic, acks, compression, keySeparator, null, transactional string
	partition                                                   int32
	idempotent, offsets, quiet                                  bool
	linger, transactionTime                                     time.Duration
	headers                                                     []string
	batchBytes                                                  int
}

func newProduceCommand() *cobra.Command {
	var p produce
	cmd := &cobra.Command{
		Use: "produce TOPIC", Short: "Send lines of standard input as records", Args: cobra.ExactArgs(1),
		Long: `Reads standard input and sends each line as one record. With --key-separator, what stands before its first
occurrence in a line is the key. Ends with code 1 if any record was not stored for certain.

With --transactional-id all lines become visible together at the end, or none does: when a line can't be stored, or on Ctrl-C,
the transaction is aborted. Another producer with the same id ends this one.`,
		Example: "  echo hello | klamm produce greetings\n  printf 'a:1\\nb:2\\n' | klamm produce counts --key-separator :",
	}
	p.connection = addConnection(cmd)
	f := cmd.Flags()
	f.StringVar(&p.keySeparator, "key-separator", "", "what stands between key and value of a line; \\t is a tab")
	f.StringVar(&p.acks, "acks", "all", "who must hold a record before it counts as stored: all, 1 (the leader) or 0 (nobody answers)")
	f.StringVar(&p.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	f.Int32Var(&p.partition, "partition", -1, "the partition; -1 chooses by key, or spreads")
	f.BoolVar(&p.idempotent, "idempotent", true, "never store a record twice (needs --acks all)")
	f.DurationVar(&p.linger, "linger", 5*time.Millisecond, "how long a batch waits for company")
	f.IntVar(&p.batchBytes, "batch-bytes", 16384, "size of a batch, before compression")
	f.StringArrayVar(&p.headers, "header", nil, "a header for every record, NAME=VALUE; may be repeated")
	f.StringVar(&p.null, "null", "", "a key or value that reads like this is sent as null (a tombstone)")
	f.StringVar(&p.transactional, "transactional-id", "", "send everything in one transaction, in the name of this id")
	f.DurationVar(&p.transactionTime, "transaction-timeout", time.Minute, "then the broker aborts the transaction")
	f.BoolVar(&p.offsets, "offsets", false, "print partition and offset of each record")
	f.BoolVarP(&p.quiet, "quiet", "q", false, "no summary")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p.topic = args[0]
		return p.run(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.Flags().Changed("null"))
	}
	return cmd
}

func (p *produce) options() (o host.ClientOptions, err error) {
	codec, ok := batch.ParseCodec(p.compression)
	if !ok {
		return o, usagef("--compression %s: neither none, gzip, snappy, lz4 nor zstd", p.compression)
	}
	o.Producer = client.ProducerOptions{
		Codec: codec, NotIdempotent: !p.idempotent, BatchBytes: p.batchBytes, Linger: core.Time(p.linger), DeliveryTime: core.Time(p.timeout),
	}
	o.Producer.TransactionalID, o.Producer.TransactionTime = p.transactional, core.Time(p.transactionTime)
	if p.transactional != "" && (!p.idempotent || p.acks != "all" && p.acks != "-1") {
		return o, usagef("--transactional-id needs --acks all and --idempotent")
	}
	if p.linger <= 0 {
		o.Producer.Linger = -1
	}
	switch p.acks {
	case "all", "-1":
	case "1":
		o.Producer.Acks = client.AcksLeader
	case "0":
		o.Producer.Acks = client.AcksNone
	default:
		return o, usagef("--acks %s: neither all, 1 nor 0", p.acks)
	}
	o.CreateTopics = true
	return o, nil
}

// tally counts what became of the records. The client's loop calls note, so it never waits.
type tally struct {
	mu                       sync.Mutex
	stored, refused, unknown int
	out                      io.Writer // of offsets; nil: not wanted
	errs                     []client.Failure
}

// failuresShown bounds how many are told one by one.
const failuresShown = 10

func (t *tally) note(r client.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.Fate == client.Did, r.Fate == client.MayHave && r.Failure.None():
		t.stored++
		if t.out != nil {
			fmt.Fprintf(t.out, "%s-%d %d\n", r.At.Topic, r.At.Partition, r.Offset)
		}
		return
	case r.Fate == client.MayHave:
		t.unknown++
	default:
		t.refused++
	}
	if len(t.errs) < failuresShown {
		t.errs = append(t.errs, r.Failure)
	}
}

func (p *produce) run(in io.Reader, out, errs io.Writer, nulls bool) error {
	o, err := p.options()
	if err != nil {
		return err
	}
	configs, err := parseConfigs("--header", p.headers)
	if err != nil {
		return err
	}
	var headers []batch.Header
	for _, h := range configs {
		headers = append(headers, batch.Header{Key: h.Name, Value: []byte(h.Value)})
	}
	cl, err := p.open(o)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, stop := interrupted()
	defer stop()
	t := &tally{}
	buffered := bufio.NewWriter(out)
	if p.offsets {
		t.out = buffered
	}
	if p.transactional != "" {
		if err := cl.Begin(); err != nil {
			return p.explain(err)
		}
	}
	readErr := p.sendLines(ctx, cl, in, headers, nulls, t)
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout+35*time.Second)
	defer cancel()
	err = cl.Flush(ctx)
	if p.transactional != "" {
		err = p.end(ctx, cl, readErr == nil && err == nil && t.all(), err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	buffered.Flush()
	for _, f := range t.errs {
		fmt.Fprintf(errs, "klamm: a record was not stored for certain: %v\n", p.explain(f))
	}
	if !p.quiet {
		word := "stored in"
		if p.acks == "0" {
			word = "sent, unacknowledged, to"
		}
		fmt.Fprintf(errs, "%d records %s %s", t.stored, word, p.topic)
		if n := t.refused; n > 0 {
			fmt.Fprintf(errs, "; %d not stored", n)
		}
		if n := t.unknown; n > 0 {
			fmt.Fprintf(errs, "; of %d it is not known", n)
		}
		fmt.Fprintln(errs)
	}
	switch {
	case readErr != nil:
		return p.explain(readErr)
	case err != nil:
		return p.explain(err)
	case t.refused+t.unknown > 0:
		return errSilent
	}
	return nil
}

// all reports whether every record was stored.
func (t *tally) all() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused+t.unknown == 0
}

// end commits the transaction if all went well, and aborts it otherwise.
func (p *produce) end(ctx context.Context, cl *host.Client, well bool, err error) error {
	r, endErr := cl.End(ctx, well)
	switch {
	case well && endErr == nil:
		return nil
	case well && r.Fate == client.MayHave:
		return fmt.Errorf("it is not known whether the transaction was committed: %w", endErr)
	case well:
		_, _ = cl.End(ctx, false)
		return fmt.Errorf("the transaction was aborted, nothing of it is visible: %w", endErr)
	case endErr != nil:
		return fmt.Errorf("the transaction will be aborted by the broker when its time is over: %w", endErr)
	case err == nil:
		err = errors.New("a record could not be stored")
	}
	return fmt.Errorf("the transaction was aborted, nothing of it is visible: %w", err)
}

// sendLines gives every line to the producer, many at a time.
func (p *produce) sendLines(ctx context.Context, cl *host.Client, in io.Reader, headers []batch.Header, nulls bool, t *tally) error {
	separator := []byte(strings.ReplaceAll(p.keySeparator, `\t`, "\t"))
	lines := bufio.NewReaderSize(in, 1<<16)
	var list []client.Record
	size := 0
	for {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line != nil {
			r := client.Record{Topic: p.topic, Partition: p.partition, Headers: headers, Value: line}
			if len(separator) > 0 {
				key, value, found := bytes.Cut(line, separator)
				if !found {
					return fmt.Errorf("a line without the key separator %q: %.60q. Without --key-separator lines have no key", p.keySeparator, line)
				}
				r.Key, r.Value = key, value
			}
			if nulls && string(r.Value) == p.null {
				r.Value = nil
			}
			if nulls && r.Key != nil && string(r.Key) == p.null {
				r.Key = nil
			}
			list = append(list, r)
			size += len(line)
		}
		// Hand over when there is much, or when the next line is not here yet.
		if over := err != nil; len(list) > 0 && (over || size > 1<<16 || len(list) >= 1000 || lines.Buffered() == 0) {
			if _, sendErr := cl.SendAll(ctx, list, t.note); sendErr != nil {
				return sendErr
			}
			list, size = nil, 0
		}
		if err != nil {
			return nil
		}
	}
}

// readLine reads one line without its end; nil at the end of all.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) < lineBytesMax:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("a line above %d bytes", lineBytesMax)
		case err != nil && len(line) == 0:
			return nil, err
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		if line == nil {
			line = []byte{}
		}
		return bytes.TrimSuffix(line, []byte("\r")), err
	}
}
