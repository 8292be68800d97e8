package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/client"
	"klamm/host"
)

type consume struct {
	*connection
	topic, from, group, print, null, isolation string
	format                                     *string
	partitions                                 []int32
	max                                        int
	exitAtEnd, follow, committed               bool
}

func newConsumeCommand() *cobra.Command {
	var c consume
	cmd := &cobra.Command{
		Use: "consume TOPIC", Short: "Print the records of a topic", Args: cobra.ExactArgs(1),
		Long: `Prints the records of a topic as they come, until Ctrl-C, or until --max, or with --exit-at-end up to where
the topic ended at the beginning. With --group it is a member of a consumer group: it shares the partitions with the
other members, begins where the group left off, and commits what it has printed.

--print is a template: any text with {topic} {partition} {offset} {timestamp} {key} {value} {headers}, and \t and \n;
or a list of these names, as in --print key,value, which are then divided by tabs.`,
		Example: "  klamm consume greetings --exit-at-end\n  klamm consume orders --group billing --print '{partition}/{offset} {key}={value}'\n  klamm consume orders --from @1h --format json",
	}
	c.connection = addConnection(cmd)
	f := cmd.Flags()
	f.StringVar(&c.from, "from", "", "earliest, latest, an offset, or @TIME (@1700000000000, @2026-01-31T12:00, @1h for an hour ago); default earliest, or where the group left off")
	f.StringVar(&c.group, "group", "", "consumer group to be a member of")
	f.IntVarP(&c.max, "max", "n", 0, "stop after so many records; 0 is no bound")
	f.Int32SliceVar(&c.partitions, "partition", nil, "only these partitions (not with --group)")
	f.StringVar(&c.print, "print", "{value}", "what to print of each record")
	f.StringVar(&c.null, "null", "", "how a null key or value is printed")
	f.BoolVar(&c.exitAtEnd, "exit-at-end", false, "stop where the topic ended when this began")
	f.BoolVarP(&c.follow, "follow", "f", false, "go on for ever: the default")
	f.BoolVar(&c.committed, "committed", false, "the same as --isolation read_committed")
	f.StringVar(&c.isolation, "isolation", "read_uncommitted", "read_committed leaves out records of transactions that are open or were aborted")
	c.format = addFormat(cmd)
	cmd.MarkFlagsMutuallyExclusive("exit-at-end", "follow")
	cmd.MarkFlagsMutuallyExclusive("group", "partition")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.topic = args[0]
		return c.run(cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func (c *consume) run(w, errs io.Writer) error {
	switch c.isolation {
	case "read_committed":
		c.committed = true
	case "read_uncommitted":
	default:
		return usagef("--isolation %s: neither read_uncommitted nor read_committed", c.isolation)
	}
	o := client.ConsumerOptions{ReadCommitted: c.committed, Reset: client.ResetEarliest}
	start := client.Start{From: client.FromEarliest}
	if c.from != "" {
		var err error
		if start, err = parseStart("--from", c.from); err != nil {
			return err
		}
	}
	if c.group != "" {
		switch start.From {
		case client.FromLatest:
			o.Reset = client.ResetLatest
		case client.FromOffset, client.FromTime:
			return usagef("--from %s with --group: a group begins where it left off. Move it first: %s group reset-offsets %s --topic %s --to %s --execute",
				c.from, self(), c.group, c.topic, c.from)
		}
		o.Group = client.GroupOptions{ID: c.group, Topics: []string{c.topic}, AutoCommitTime: -1, RevokeTime: 2 * core.Second}
	}
	cl, err := c.open(host.ClientOptions{})
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, stop := interrupted()
	defer stop()
	k, err := cl.NewConsumer(o)
	if err != nil {
		return err
	}
	ends, err := c.begin(ctx, cl, k, start)
	if err == nil {
		err = c.read(ctx, k, ends, w, errs)
	}
	closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if closeErr := k.Close(closing); err == nil {
		err = closeErr
	}
	return c.explain(err)
}

// begin finds the partitions and, if it is to stop there, where they end now.
func (c *consume) begin(ctx context.Context, cl *host.Client, k *host.Consumer, start client.Start) (ends []client.OffsetInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
		return a.DescribeTopics(now, []string{c.topic}, out)
	})
	if err != nil {
		return nil, err
	}
	var list []core.TopicPartition
	var at []client.OffsetAt
	for _, p := range a.Topics[0].Partitions {
		if len(c.partitions) == 0 || slices.Contains(c.partitions, p.Partition) {
			list = append(list, core.TopicPartition{Topic: c.topic, Partition: p.Partition})
			at = append(at, client.OffsetAt{At: list[len(list)-1], From: client.Start{From: client.FromLatest}})
		}
	}
	for _, p := range c.partitions {
		if int(p) >= len(a.Topics[0].Partitions) || p < 0 {
			return nil, usagef("--partition %d: topic %s has partitions 0 to %d", p, c.topic, len(a.Topics[0].Partitions)-1)
		}
	}
	if c.exitAtEnd {
		a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID { return a.ListOffsets(now, at, out) })
		if err != nil {
			return nil, err
		}
		ends = a.Offsets
	}
	if c.group != "" {
		return ends, nil
	}
	return ends, k.Assign(start, list...)
}

// read prints until there is a reason to stop.
func (c *consume) read(ctx context.Context, k *host.Consumer, ends []client.OffsetInfo, w, errs io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	defer out.Flush()
	printed, lastCommit := 0, time.Now()
	for {
		if c.max > 0 && printed >= c.max || c.exitAtEnd && c.reached(k, ends) {
			break
		}
		limit := 500
		if c.max > 0 {
			limit = min(limit, c.max-printed)
		}
		wait, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		messages, tidings, err := k.Poll(wait, limit)
		cancel()
		if err != nil {
			return err
		}
		for i := range messages {
			if err := c.printMessage(out, &messages[i]); err != nil {
				return ignorePipe(err)
			}
		}
		if err := out.Flush(); err != nil {
			return ignorePipe(err)
		}
		printed += len(messages)
		if err := c.heed(k, tidings, errs); err != nil {
			return err
		}
		if c.group != "" && printed > 0 && time.Since(lastCommit) > time.Second {
			k.Do(func(m *client.Consumer, now core.Now, out *core.Out) { m.Commit(now, nil, out) })
			lastCommit = time.Now()
		}
		if ctx.Err() != nil {
			break
		}
	}
	if c.group != "" && printed > 0 {
		final, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return k.Commit(final)
	}
	return nil
}

// heed tells what a reader should know, and returns an error if there is no going on.
func (c *consume) heed(k *host.Consumer, tidings []client.Tiding, errs io.Writer) error {
	for _, t := range tidings {
		switch t.Kind {
		case client.Revoked:
			k.Do(func(m *client.Consumer, now core.Now, out *core.Out) {
				m.Commit(now, nil, out)
				m.Yield(now, out)
			})
		case client.Moved:
			fmt.Fprintf(errs, "klamm: %s-%d: offset %d is not there; going on at %d\n", t.Partitions[0].Topic, t.Partitions[0].Partition, t.From, t.To)
		case client.Truncated:
			fmt.Fprintf(errs, "klamm: %s-%d: the log was cut: records from %d on may come again, and differ from those printed before\n", t.Partitions[0].Topic, t.Partitions[0].Partition, t.To)
		case client.Stuck:
			fmt.Fprintf(errs, "klamm: %s-%d can't be read: %v\n", t.Partitions[0].Topic, t.Partitions[0].Partition, c.explain(t.Failure))
		case client.Refused:
			return t.Failure
		}
	}
	return nil
}

// reached reports whether every partition has been read up to its end. A member looks at its own partitions,
// once it has any.
func (c *consume) reached(k *host.Consumer, ends []client.OffsetInfo) (all bool) {
	k.Do(func(m *client.Consumer, _ core.Now, _ *core.Out) {
		reading := m.Reading()
		all = len(reading) > 0
		if _, generation := m.Member(); c.group != "" && generation >= 0 && len(reading) == 0 {
			all = false // perhaps there are more members than partitions: wait for Ctrl-C
		}
		for _, e := range ends {
			if _, mine := slices.BinarySearchFunc(reading, e.At, core.TopicPartition.Compare); !mine {
				continue
			}
			position, _ := m.Position(e.At)
			all = all && position >= 0 && position >= e.Offset
		}
	})
	return all
}

func ignorePipe(err error) error {
	if errors.Is(err, os.ErrClosed) || strings.Contains(err.Error(), "broken pipe") {
		return nil
	}
	return err
}

type messageRow struct {
	Topic     string      `json:"topic"`
	Partition int32       `json:"partition"`
	Offset    core.Offset `json:"offset"`
	Timestamp int64       `json:"timestamp"`
	Key       any         `json:"key"`
	Value     any         `json:"value"`
	Headers   []headerRow `json:"headers,omitempty"`
}

type headerRow struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// fieldOf is a string if the bytes are one, an object with base64 if not, and null for null.
func fieldOf(b []byte) any {
	switch {
	case b == nil:
		return nil
	case utf8.Valid(b):
		return string(b)
	}
	return map[string][]byte{"base64": b}
}

func (c *consume) printMessage(w *bufio.Writer, m *client.Message) error {
	if *c.format == "json" {
		row := messageRow{m.At.Topic, m.At.Partition, m.Offset, m.Timestamp, fieldOf(m.Key), fieldOf(m.Value), nil}
		for _, h := range m.Headers {
			row.Headers = append(row.Headers, headerRow{h.Key, fieldOf(h.Value)})
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(row)
	}
	template := c.print
	if !strings.Contains(template, "{") {
		template = "{" + strings.ReplaceAll(template, ",", "}\t{") + "}"
	}
	for template != "" {
		open := strings.IndexByte(template, '{')
		if open < 0 {
			open = len(template)
		}
		w.WriteString(unescape.Replace(template[:open]))
		template = template[open:]
		if template == "" {
			break
		}
		name, rest, ok := strings.Cut(template[1:], "}")
		if !ok {
			return usagef("--print %s: a { without its }", c.print)
		}
		if !c.printField(w, name, m) {
			return usagef("--print %s: there is no {%s}; there are topic, partition, offset, timestamp, key, value and headers", c.print, name)
		}
		template = rest
	}
	return w.WriteByte('\n')
}

var unescape = strings.NewReplacer(`\t`, "\t", `\n`, "\n")

func (c *consume) printField(w *bufio.Writer, name string, m *client.Message) bool {
	bytesOrNull := func(b []byte) {
		if b == nil {
			w.WriteString(c.null)
		}
		w.Write(b)
	}
	switch name {
	case "topic":
		w.WriteString(m.At.Topic)
	case "partition":
		w.WriteString(itoa(m.At.Partition))
	case "offset":
		w.WriteString(itoa(m.Offset))
	case "timestamp":
		w.WriteString(itoa(m.Timestamp))
	case "key":
		bytesOrNull(m.Key)
	case "value":
		bytesOrNull(m.Value)
	case "headers":
		for i, h := range m.Headers {
			if i > 0 {
				w.WriteByte(',')
			}
			w.WriteString(h.Key + "=")
			bytesOrNull(h.Value)
		}
	default:
		return false
	}
	return true
}
