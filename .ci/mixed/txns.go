package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Transactions over leaders, followers and coordinators of both kinds: each writes one value to some partitions and is committed, or
// aborted. Readers at read_committed see every value of the committed ones once in each of its partitions, none of the aborted
// ones, and all or nothing of those whose end nobody has heard of.

const (
	txnTopic      = "txns"
	txnPartitions = 6
	txnWriters    = 4
)

// outcome is how a transaction ended, as its producer knows it.
type outcome uint8

const (
	unknown outcome = iota
	committed
	aborted
)

// txns is the transactional load.
type txns struct {
	c    *cluster
	stop chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	ends map[string]outcome
	in   map[string][]int32 // partitions by value
}

func beginTxns(l *load) (*txns, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	two := "2"
	if _, err := l.adm.CreateTopic(ctx, txnPartitions, 3, map[string]*string{"min.insync.replicas": &two}, txnTopic); err != nil {
		return nil, err
	}
	t := &txns{c: l.c, stop: make(chan struct{}), ends: map[string]outcome{}, in: map[string][]int32{}}
	for i := range txnWriters {
		t.wg.Add(1)
		go func() { defer t.wg.Done(); t.write(fmt.Sprintf("writer-%d", i), rand.New(rand.NewPCG(uint64(i), 7))) }()
	}
	return t, nil
}

// write makes transactions until it is told to stop. After an end that nobody heard of the producer begins anew, which ends what was
// open.
func (t *txns) write(id string, rnd *rand.Rand) {
	var cl *kgo.Client
	for n := 0; ; n++ {
		select {
		case <-t.stop:
			if cl != nil {
				cl.Close()
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		if cl == nil {
			var err error
			if cl, err = kgo.NewClient(kgo.SeedBrokers(t.c.addrs()...), kgo.TransactionalID(id), kgo.TransactionTimeout(20*time.Second),
				kgo.DefaultProduceTopic(txnTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(30*time.Second)); err != nil {
				continue
			}
		}
		if !t.transact(cl, fmt.Sprintf("%s-%d", id, n), rnd) {
			cl.Close()
			cl = nil
		}
	}
}

// transact makes one transaction. It reports whether the producer can go on.
func (t *txns) transact(cl *kgo.Client, value string, rnd *rand.Rand) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	if cl.BeginTransaction() != nil {
		return false
	}
	var records []*kgo.Record
	var in []int32
	for _, p := range rnd.Perm(txnPartitions)[:3] {
		in = append(in, int32(p))
		records = append(records, &kgo.Record{Partition: int32(p), Value: []byte(value)})
	}
	commit := rnd.IntN(3) > 0
	t.note(value, aborted, in) // until the commit is asked for nothing else can come of it
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		commit = false
	}
	if commit {
		t.note(value, unknown, in)
	}
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		return false
	}
	if commit {
		t.note(value, committed, in)
	}
	return true
}

func (t *txns) note(value string, o outcome, in []int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends[value], t.in[value] = o, in
}

// settled waits until no transaction is open any more.
func (t *txns) settled(l *load, within time.Duration) error {
	var last string
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		ends, err := l.adm.ListEndOffsets(ctx, txnTopic)
		stable, err2 := l.adm.ListCommittedOffsets(ctx, txnTopic)
		cancel()
		open := 0
		ends.Each(func(o kadm.ListedOffset) {
			if s, ok := stable.Lookup(o.Topic, o.Partition); !ok || s.Err != nil || o.Err != nil || s.Offset < o.Offset {
				open++
			}
		})
		if err == nil && err2 == nil && open == 0 && len(ends[txnTopic]) == txnPartitions {
			return nil
		}
		last = fmt.Sprintf("%d partitions have open transactions (%v, %v)", open, err, err2)
	}
	return fmt.Errorf("after %v %s", within, last)
}

// verify reads everything at read_committed and holds it against what the producers know.
func (t *txns) verify(l *load) error {
	close(t.stop)
	t.wg.Wait()
	if err := t.settled(l, 90*time.Second); err != nil {
		return err
	}
	seen, err := t.read(l)
	if err != nil {
		return err
	}
	counts := [3]int{}
	for value, end := range t.ends {
		counts[end]++
		there := 0
		for _, p := range t.in[value] {
			n := seen[fmt.Sprintf("%s@%d", value, p)]
			if n > 1 {
				l.r.bad("transaction %s is %d times in partition %d", value, n, p)
			}
			there += min(n, 1)
		}
		switch all := len(t.in[value]); {
		case end == committed && there < all:
			l.r.bad("transaction %s was committed and is in %d of its %d partitions", value, there, all)
		case end == aborted && there > 0:
			l.r.bad("transaction %s was not committed and is read from %d partitions", value, there)
		case end == unknown && there != 0 && there != all:
			l.r.bad("transaction %s is torn: in %d of its %d partitions", value, there, all)
		}
	}
	l.r.say("%d transactions committed, %d aborted, of %d the end was not heard: at read_committed all or nothing of each", counts[committed], counts[aborted], counts[unknown])
	if counts[committed] < 50 || counts[aborted] < 20 {
		l.r.bad("too few transactions: nothing was shown")
	}
	return nil
}

// read counts every value of each partition.
func (t *txns) read(l *load) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	ends, err := l.adm.ListCommittedOffsets(ctx, txnTopic)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.c.addrs()...), kgo.ConsumeTopics(txnTopic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	seen, at := map[string]int{}, map[int32]int64{}
	for {
		left := 0
		ends.Each(func(o kadm.ListedOffset) {
			if at[o.Partition] < o.Offset {
				left++
			}
		})
		if left == 0 {
			return seen, nil
		}
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%d partitions could not be read to their ends", left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				seen[fmt.Sprintf("%s@%d", r.Value, r.Partition)]++
			}
		})
	}
}

// transactions: two Apache Kafka nodes and one of Klamm, all of them voters and brokers, with transactional producers at work. Either
// kind is killed, and a directory goes from one to the other and back.
func transactions(r *report, c *cluster) error {
	c.add(kafka, both)
	c.add(klamm, both)
	c.add(kafka, both)
	c.level2 = true
	c.settings = []string{
		"broker.session.timeout.ms=9000", "transaction.state.log.num.partitions=6", "transaction.state.log.replication.factor=3",
		"transaction.state.log.min.isr=2", "transaction.abort.timed.out.transaction.cleanup.interval.ms=2000",
	}
	l, err := up(r, c)
	if err != nil {
		return err
	}
	t, err := beginTxns(l)
	if err != nil {
		return err
	}
	for range *rounds {
		if err := l.fault(c.node(2), syscall.SIGKILL); err != nil {
			return err
		}
		if err := l.fault(c.node(3), syscall.SIGKILL); err != nil {
			return err
		}
		for range 2 {
			if err := l.faultWith(c.node(1), syscall.SIGTERM, c.node(1).swap); err != nil {
				return err
			}
			r.say("the directory of node 1 is now %s's", c.node(1).kind)
		}
	}
	if err := t.verify(l); err != nil {
		return err
	}
	return l.finish()
}

// txnFiles are the transaction indexes and producer snapshots of a node.
func (n *node) txnFiles() (files []string) {
	for _, pattern := range []string{"*.txnindex", "*.snapshot"} {
		some, _ := filepath.Glob(filepath.Join(n.data(), "*-*", pattern))
		files = append(files, some...)
	}
	return files
}
