package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

// This file holds what the commands that talk to a cluster share: the way there, and the words for what
// went wrong.

// connection is where a command finds its cluster, and how long it tries.
type connection struct {
	bootstrap string
	timeout   time.Duration
}

func addConnection(cmd *cobra.Command) *connection {
	c := new(connection)
	cmd.PersistentFlags().StringVar(&c.bootstrap, "bootstrap", "localhost:9092", "brokers to begin with, host:port,host:port")
	cmd.PersistentFlags().DurationVar(&c.timeout, "timeout", 30*time.Second, "how long to try")
	return c
}

// open makes a client, once it is known that somebody listens.
func (c *connection) open(o host.ClientOptions) (*host.Client, error) {
	var brokers []string
	for _, b := range strings.Split(c.bootstrap, ",") {
		if b = strings.TrimSpace(b); b == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, usagef("--bootstrap %s: not an address such as localhost:9092", b)
		}
		brokers = append(brokers, b)
	}
	var last error
	for _, b := range brokers {
		conn, err := net.DialTimeout("tcp", b, min(c.timeout, 5*time.Second))
		if err == nil {
			conn.Close()
			last = nil
			break
		}
		last = err
	}
	if last != nil {
		return nil, fmt.Errorf("no broker at %s: %s. Is one running? Start one: %s dev. Is it elsewhere? Use --bootstrap HOST:PORT",
			c.bootstrap, rootCause(last), self())
	}
	o.ClientID = "klamm-cli"
	o.CallTime = core.Time(c.timeout)
	o.RequestTime = min(30*core.Second, core.Time(c.timeout))
	return host.NewClient(brokers, o)
}

// with runs f with a client and a context that ends with --timeout or Ctrl-C.
func (c *connection) with(f func(ctx context.Context, cl *host.Client) error) error {
	cl, err := c.open(host.ClientOptions{})
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, stop := interrupted()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.timeout+5*time.Second)
	defer cancel()
	return c.explain(f(ctx, cl))
}

func interrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt)
}

func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// explain puts what a client says into a person's words, with what to type next where that is known.
func (c *connection) explain(err error) error {
	var f client.Failure
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s within %v. Try a longer --timeout, or see how the broker is: its /readyz says why it does not serve", c.bootstrap, c.timeout)
	case !errors.As(err, &f):
		return err
	}
	if hint := hintFor(f); hint != "" {
		return fmt.Errorf("%s. %s", strings.TrimRight(f.Error(), "."), hint)
	}
	return errors.New(f.Error())
}

func hintFor(f client.Failure) string {
	switch f.Code {
	case wire.UnknownTopicOrPartition:
		return "See what there is: " + self() + " topic list. Make it: " + self() + " topic create NAME"
	case wire.TopicAlreadyExists:
		return "To accept that, add --if-not-exists"
	case wire.InvalidReplicationFactor:
		return "There are fewer brokers than replicas asked for; a single broker takes --replicas 1"
	case wire.GroupIDNotFound:
		return "See what there is: " + self() + " group list"
	case wire.TransactionalIDNotFound:
		return "See what there is: " + self() + " txn list"
	case wire.NonEmptyGroup, wire.UnknownMemberID, wire.GroupSubscribedToTopic:
		return "The group has members: stop its consumers first"
	case wire.ProducerFenced, wire.InvalidProducerEpoch:
		return "Another producer with this --transactional-id has taken over, or the transaction lasted longer than --transaction-timeout"
	case wire.OffsetOutOfRange:
		return "Begin elsewhere: --from earliest or --from latest"
	}
	switch f.Errno {
	case core.Refused:
		return "A broker of the cluster is down, or advertises an address that does not lead to it (advertised.listeners)"
	case core.TimedOut:
		return "Is the address that the broker advertises reachable from here (advertised.listeners)?"
	}
	return ""
}

// parseStart reads earliest, latest, an offset, or @ with a point in time: milliseconds, a date, or how long ago.
func parseStart(flag, s string) (client.Start, error) {
	switch s {
	case "earliest":
		return client.Start{From: client.FromEarliest}, nil
	case "latest":
		return client.Start{From: client.FromLatest}, nil
	}
	if at, ok := strings.CutPrefix(s, "@"); ok {
		if ms, err := strconv.ParseInt(at, 10, 64); err == nil && ms >= 0 {
			return client.Start{From: client.FromTime, Timestamp: ms}, nil
		}
		if ago, err := time.ParseDuration(strings.TrimPrefix(at, "-")); err == nil {
			return client.Start{From: client.FromTime, Timestamp: time.Now().Add(-ago).UnixMilli()}, nil
		}
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
			if t, err := time.ParseInLocation(layout, at, time.Local); err == nil {
				return client.Start{From: client.FromTime, Timestamp: t.UnixMilli()}, nil
			}
		}
		return client.Start{}, usagef("%s %s: not a point in time. Use @MILLISECONDS, @2006-01-02T15:04:05Z or @1h (an hour ago)", flag, s)
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
		return client.Start{From: client.FromOffset, Offset: core.Offset(n)}, nil
	}
	return client.Start{}, usagef("%s %s: neither earliest, latest, an offset nor @TIME", flag, s)
}

// parseConfigs reads name=value.
func parseConfigs(flag string, list []string) (configs []client.Config, err error) {
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usagef("%s %s: not NAME=VALUE", flag, s)
		}
		configs = append(configs, client.Config{Name: name, Value: value})
	}
	return configs, nil
}

func joinNodes(ids []core.NodeID) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.Itoa(int(id))
	}
	return strings.Join(list, ",")
}

func itoa[T ~int | ~int32 | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }
