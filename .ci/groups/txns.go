package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	txnTopic      = "txns"
	txnPartitions = 3
	txnRecords    = 10
)

// watch is what a read_committed reader has seen of the transactions.
type watch struct {
	mu    sync.Mutex
	ended map[[2]uint64]time.Time // producer and number: when the commit was asked for
	took  []time.Duration
	seen  atomic.Int64
}

func (w *watch) ending(producer, n uint64) {
	w.mu.Lock()
	w.ended[[2]uint64{producer, n}] = time.Now()
	w.mu.Unlock()
}

// read follows the topic until ctx is done.
func (w *watch) read(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		now := time.Now()
		w.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			key := [2]uint64{binary.BigEndian.Uint64(r.Value), binary.BigEndian.Uint64(r.Value[8:])}
			if at, ok := w.ended[key]; ok && r.Value[16] == txnRecords-1 {
				w.took = append(w.took, now.Sub(at))
				w.seen.Add(1)
				delete(w.ended, key)
			}
		})
		w.mu.Unlock()
	}
}

// reset forgets what was seen and says how many it were.
func (w *watch) reset() {
	w.mu.Lock()
	w.took = nil
	w.mu.Unlock()
	w.seen.Store(0)
}

// transactor is one producer of transactions.
type transactor struct {
	cl    *kgo.Client
	id    uint64
	n     uint64
	group string
	took  []time.Duration // of commits
}

// one makes a transaction and commits it.
func (t *transactor) one(ctx context.Context, w *watch) error {
	t.n++
	if err := t.cl.BeginTransaction(); err != nil {
		return err
	}
	var failed atomic.Pointer[error]
	for i := range txnRecords {
		value := make([]byte, 1024)
		binary.BigEndian.PutUint64(value, t.id)
		binary.BigEndian.PutUint64(value[8:], t.n)
		value[16] = byte(i)
		t.cl.Produce(ctx, &kgo.Record{Topic: txnTopic, Partition: int32(i % txnPartitions), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := t.cl.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	if err := t.offset(ctx); err != nil {
		return err
	}
	w.ending(t.id, t.n)
	began := time.Now()
	if err := t.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	t.took = append(t.took, time.Since(began))
	return nil
}

// offset commits an offset in the transaction.
func (t *transactor) offset(ctx context.Context) error {
	id, epoch, err := t.cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = t.name(), t.group, id, epoch, -1
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic = txnTopic
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset = int64(t.n)
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	for {
		resp, err := req.RequestWith(ctx, t.cl)
		if err != nil {
			return err
		}
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
		if !errors.Is(err, kerr.ConcurrentTransactions) && !kerr.IsRetriable(err) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (t *transactor) name() string { return fmt.Sprintf("txn-%d", t.id) }

// transactions lets so many producers commit one transaction after the other for the time given.
func (b *bench) transactions(producers int, load time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w, stop, err := b.watch(ctx)
	if err != nil {
		return err
	}
	defer stop()
	all := make([]*transactor, producers)
	for i := range all {
		t := &transactor{id: uint64(i), group: fmt.Sprintf("txn-group-%d", i)}
		if t.cl, err = b.client(kgo.TransactionalID(t.name()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0)); err != nil {
			return err
		}
		defer t.cl.Close()
		all[i] = t
	}
	each := func(f func(*transactor) error) error {
		errs := make([]error, producers)
		var wg sync.WaitGroup
		for i, t := range all {
			wg.Go(func() { errs[i] = f(t) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	err = each(func(t *transactor) error { // coordinators are found, connections made
		defer func() { t.took = nil }()
		return errors.Join(t.one(ctx, w), t.one(ctx, w))
	})
	if err != nil {
		return err
	}
	if err := w.all(2 * producers); err != nil {
		return err
	}
	w.reset()
	cpu, began := b.cpu(), time.Now()
	if err = each(func(t *transactor) error {
		for time.Since(began) < load {
			if err := t.one(ctx, w); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	span := time.Since(began)
	var took []time.Duration
	for _, t := range all {
		took = append(took, t.took...)
	}
	if err := w.all(len(took)); err != nil {
		return err
	}
	used := b.cpu() - cpu
	what := fmt.Sprintf("txns, %2d producers", producers)
	b.note(what+": committed/s", float64(len(took))/span.Seconds())
	b.noteQuantiles(what+": commit answered", took)
	b.noteQuantiles(what+": commit asked, read", w.took)
	b.note(what+": broker CPU s of 1,000", used*1000/float64(len(took)))
	return nil
}

// watch starts a reader of what is committed from now on.
func (b *bench) watch(ctx context.Context) (*watch, func(), error) {
	parts := map[int32]kgo.Offset{}
	for i := range txnPartitions {
		parts[int32(i)] = kgo.NewOffset().AtEnd()
	}
	cl, err := b.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{txnTopic: parts}), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return nil, nil, err
	}
	w := &watch{ended: map[[2]uint64]time.Time{}}
	reading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.read(reading, cl) })
	time.Sleep(300 * time.Millisecond) // until it knows where the end is
	return w, func() { stop(); wg.Wait(); cl.Close() }, nil
}

// all waits until so many transactions were seen.
func (w *watch) all(n int) error {
	for range 3000 {
		if int(w.seen.Load()) >= n {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("of %d committed transactions a reader saw %d within 30 s", n, w.seen.Load())
}

func (b *bench) noteQuantiles(what string, took []time.Duration) {
	slices.Sort(took)
	if n := len(took); n > 0 {
		b.noteTime(what+", p50", took[n/2])
		b.noteTime(what+", p99", took[n*99/100])
	}
}
