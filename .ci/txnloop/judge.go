package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// judge says what became of a line.
func (m *line) judge(span time.Duration) bool {
	fmt.Printf("%s: %d brokers and %d movers killed, %d ended by themselves; %d records went in; %d transactions committed, %d or more aborted: ",
		m.name, m.fire.Nodes, m.deaths.Killed.Load(), m.deaths.Died.Load(), m.sent.Load(), m.committed, m.aborted)
	switch {
	case m.wrong != nil:
		fmt.Println(m.wrong)
	case m.unread != nil:
		fmt.Println("each came out once, but the markers were not read:", m.unread)
	case m.sent.Load() < 500 || m.fire.Nodes < int(span.Seconds())/6 || m.deaths.Killed.Load() == 0 || m.committed < 10:
		fmt.Println("each came out once, but too little happened to prove anything")
	default:
		fmt.Println("each came out once")
		return true
	}
	return false
}

// markers counts the ends of a line's transactions as they stand in the logs: a committed one leaves a marker where the group's offsets
// are, and an aborted one in one of the partitions of the output or in more.
func (m *line) markers(cl *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	mine, err := m.producers(ctx, cl)
	if m.unread = err; err != nil {
		return
	}
	perPartition := map[int32]int{}
	m.unread = m.c.Markers(ctx, "__consumer_offsets", func(r *kgo.Record, commit bool) {
		if commit && mine[r.ProducerID] {
			m.committed++
		}
	})
	if m.unread == nil {
		m.unread = m.c.Markers(ctx, m.out, func(r *kgo.Record, commit bool) {
			if !commit {
				perPartition[r.Partition]++
				m.aborted = max(m.aborted, perPartition[r.Partition])
			}
		})
	}
}

// producers are the ids that a line's transactional ids stand for.
func (m *line) producers(ctx context.Context, cl *kgo.Client) (map[int64]bool, error) {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	for i := range workers {
		req.TransactionalIDs = append(req.TransactionalIDs, m.id(i))
	}
	for {
		found, why := map[int64]bool{}, error(nil)
		for _, shard := range cl.RequestSharded(ctx, req) {
			resp, ok := shard.Resp.(*kmsg.DescribeTransactionsResponse)
			if !ok { // as of a connection that ended when its node was killed
				why = fmt.Errorf("describing transactions: %w", shard.Err)
				continue
			}
			for _, t := range resp.TransactionStates {
				if t.ErrorCode != 0 {
					why = fmt.Errorf("describing transactions: code %d", t.ErrorCode)
				}
				found[t.ProducerID] = true
			}
		}
		if why == nil || ctx.Err() != nil {
			return found, why
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// compare reads what is committed until every number came, or the time is over, and says what is wrong.
func (m *line) compare(patience time.Duration) error {
	cl, err := kgo.NewClient(m.c.Options(kgo.ConsumeTopics(m.out), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	sent := int(m.sent.Load())
	seen := make([]int, sent)
	distinct, twice := 0, []string(nil)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	quiet := time.Now()
	for distinct < sent || time.Since(quiet) < 3*time.Second {
		poll, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		fetches := cl.PollFetches(poll)
		stop()
		if ctx.Err() != nil {
			break
		}
		fetches.EachRecord(func(r *kgo.Record) {
			quiet = time.Now()
			n, err := strconv.Atoi(string(r.Value))
			switch {
			case err != nil || n < 0 || n >= sent:
				twice = append(twice, fmt.Sprintf("%q was never sent", r.Value))
			case seen[n] > 0:
				twice = append(twice, fmt.Sprintf("%d came out again, at %s-%d offset %d", n, r.Topic, r.Partition, r.Offset))
			default:
				distinct++
			}
			if err == nil && n >= 0 && n < sent {
				seen[n]++
			}
		})
		if len(twice) > 0 {
			return errors.New(twice[0])
		}
	}
	if distinct < sent {
		for n := range seen {
			if seen[n] == 0 {
				return fmt.Errorf("%d of %d did not come out within %v, the first of them %d", sent-distinct, sent, patience, n)
			}
		}
	}
	return nil
}
