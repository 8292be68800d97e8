package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const fewCoordinators = "offsets.topic.num.partitions=3\ntransaction.state.log.num.partitions=3\n"

// makeTopics makes topics of three partitions.
func makeTopics(t *testing.T, ctx context.Context, addr string, names ...string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	require.NoError(t, err)
	defer cl.Close()
	made, err := kadm.NewClient(cl).CreateTopics(ctx, 3, 1, nil, names...)
	require.NoError(t, err)
	require.NoError(t, made.Error())
}

// transactional is a franz-go producer of a transactional id.
func transactional(t *testing.T, addr, id string, opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.TransactionalID(id), kgo.TransactionTimeout(30 * time.Second)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

// readAll reads what is below the last stable offsets of a topic, by value.
func readAll(t *testing.T, ctx context.Context, addr, topic string, level kgo.IsolationLevel, want int) map[string]int {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(level),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	require.NoError(t, err)
	defer cl.Close()
	got := map[string]int{}
	for calm := 0; calm < 5 && (len(got) < want || calm < 3); {
		short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		f := cl.PollFetches(short)
		stop()
		require.NoError(t, ctx.Err(), "only %d of %d records came", len(got), want)
		if f.NumRecords() == 0 {
			if len(got) >= want {
				calm++
			}
			continue
		}
		f.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++ })
	}
	return got
}

// franz-go, unmodified: commits are read whole, aborts not at all, in order, by whoever reads committed records only.
func TestFranzTransactions(t *testing.T) {
	addr := startBroker(t, fewCoordinators)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	makeTopics(t, ctx, addr, "a", "b")
	p := transactional(t, addr, "one")
	committed := map[string]int{}
	for n := range 10 {
		require.NoError(t, p.BeginTransaction())
		for i := range 20 {
			v := fmt.Sprintf("%d-%d", n, i)
			p.Produce(ctx, &kgo.Record{Topic: "a", Value: []byte(v)}, nil)
			p.Produce(ctx, &kgo.Record{Topic: "b", Value: []byte(v)}, nil)
			if n%3 != 1 {
				committed[v] = 1
			}
		}
		require.NoError(t, p.Flush(ctx))
		require.NoError(t, p.EndTransaction(ctx, kgo.TransactionEndTry(n%3 != 1)))
	}
	for _, topic := range []string{"a", "b"} {
		require.Equal(t, committed, readAll(t, ctx, addr, topic, kgo.ReadCommitted(), len(committed)))
		require.Len(t, readAll(t, ctx, addr, topic, kgo.ReadUncommitted(), 200), 200)
	}
}

// A producer that begins with the same transactional id shuts the one of before out, and what that had open is aborted.
func TestFranzZombieIsFenced(t *testing.T) {
	addr := startBroker(t, fewCoordinators)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	makeTopics(t, ctx, addr, "a")
	zombie, heir := transactional(t, addr, "one"), transactional(t, addr, "one")
	require.NoError(t, zombie.BeginTransaction())
	require.NoError(t, zombie.ProduceSync(ctx, &kgo.Record{Topic: "a", Value: []byte("zombie")}).FirstErr())
	require.NoError(t, heir.BeginTransaction())
	require.NoError(t, heir.ProduceSync(ctx, &kgo.Record{Topic: "a", Value: []byte("heir")}).FirstErr())
	err := zombie.EndTransaction(ctx, kgo.TryCommit)
	require.Error(t, err)
	require.True(t, errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.InvalidTxnState), "%v", err)
	require.NoError(t, heir.EndTransaction(ctx, kgo.TryCommit))
	require.Equal(t, map[string]int{"heir": 1}, readAll(t, ctx, addr, "a", kgo.ReadCommitted(), 1))
}

// Consume, transform, produce, with the offsets in the transaction: two workers, one of which is replaced on the way. The output has each
// input once.
func TestFranzConsumeTransformProduce(t *testing.T) {
	addr := startBroker(t, fewCoordinators)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	makeTopics(t, ctx, addr, "in", "out")
	const inputs = 300
	src, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("in"))
	require.NoError(t, err)
	defer src.Close()
	want := map[string]int{}
	for i := range inputs {
		v := fmt.Sprint(i)
		require.NoError(t, src.ProduceSync(ctx, &kgo.Record{Value: []byte(v)}).FirstErr())
		want["did "+v] = 1
	}
	work, stop := context.WithCancel(ctx)
	done := make(chan error, 8)
	worker := func(ctx context.Context, id string) {
		s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(addr), kgo.TransactionalID(id), kgo.ConsumerGroup("workers"), kgo.ConsumeTopics("in"),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchMaxWait(50*time.Millisecond), kgo.FetchMaxBytes(200))
		if err != nil {
			done <- err
			return
		}
		defer s.Close()
		for n := 0; ctx.Err() == nil; n++ {
			f := s.PollRecords(ctx, 25)
			if f.NumRecords() == 0 {
				continue
			}
			if err := s.Begin(); err != nil {
				done <- err
				return
			}
			f.EachRecord(func(r *kgo.Record) {
				s.Produce(ctx, &kgo.Record{Topic: "out", Value: append([]byte("did "), r.Value...)}, nil)
			})
			if _, err := s.End(context.WithoutCancel(ctx), kgo.TransactionEndTry(n%4 != 2)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}
	short, crash := context.WithCancel(work)
	go worker(short, "w1")
	go worker(work, "w2")
	time.Sleep(2 * time.Second)
	crash()
	require.NoError(t, <-done)
	go worker(work, "w1")
	got := readAll(t, ctx, addr, "out", kgo.ReadCommitted(), inputs)
	stop()
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	require.Equal(t, want, got)
}

// The commands about transactions, on one that hangs as well: a partition holds it open and no coordinator knows it.
func TestTxnCommands(t *testing.T) {
	addr := startBroker(t, fewCoordinators)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	makeTopics(t, ctx, addr, "a")
	klamm := func(args ...string) (string, error) {
		var out bytes.Buffer
		root := newRootCommand()
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(append(args, "--bootstrap", addr))
		err := root.Execute()
		return out.String(), err
	}
	p := transactional(t, addr, "one")
	require.NoError(t, p.BeginTransaction())
	require.NoError(t, p.ProduceSync(ctx, &kgo.Record{Topic: "a", Value: []byte("x")}).FirstErr())

	text, err := klamm("txn", "list")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^one +Ongoing +\d+ +1$`, text)
	text, err = klamm("txn", "list", "--state", "CompleteCommit")
	require.NoError(t, err)
	require.NotContains(t, text, "Ongoing")
	_, err = klamm("txn", "list", "--state", "Sleeping")
	require.ErrorContains(t, err, "no such state")
	text, err = klamm("txn", "describe", "one", "--format", "json")
	require.NoError(t, err)
	var rows []txnRow
	require.NoError(t, json.Unmarshal([]byte(text), &rows))
	require.Len(t, rows, 1)
	require.Equal(t, "Ongoing", rows[0].State)
	require.Len(t, rows[0].Partitions, 1)
	_, err = klamm("txn", "describe", "two")
	require.ErrorContains(t, err, "txn list")
	text, err = klamm("txn", "hanging", "a", "--older", "0s")
	require.NoError(t, err)
	require.Len(t, strings.Split(strings.TrimSpace(text), "\n"), 1, "its coordinator knows it: %s", text)

	at := strings.Split(rows[0].Partitions[0], "-")
	_, err = klamm("txn", "abort", "--topic", "a", "--partition", at[1], "--start-offset", "7")
	require.ErrorContains(t, err, "no such open transaction")
	text, err = klamm("txn", "abort", "--topic", "a", "--partition", at[1], "--start-offset", "0")
	require.NoError(t, err)
	require.Contains(t, text, "aborted the transaction of producer")
	require.NoError(t, p.EndTransaction(ctx, kgo.TryAbort), "a second marker does no harm")
}
