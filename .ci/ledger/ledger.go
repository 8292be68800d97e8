// Package ledger keeps what idempotent producers were told, and compares it with what a topic holds: each acknowledged
// record once, in order, at its offset. The drills that kill brokers share it.
package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Book is what the producers of one topic were told: for each partition the acknowledged values and their offsets.
type Book struct {
	// Dial makes the connections of all clients.
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	topic  string
	mu     sync.Mutex
	acked  [][]uint64 // by partition and offset: value + 1, or 0 for what was not acknowledged
	sent   []uint64   // by partition: the next value
	failed int
	lastOK time.Time
	twice  []string // offsets that were given out twice: the first value is lost

	verified []position
}

// position is how far one partition has been verified: the next offset, and the last value before it.
type position struct {
	next int64
	last int64
}

// New makes an empty book of a topic.
func New(topic string, partitions int) *Book {
	return &Book{Dial: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, topic: topic, acked: make([][]uint64, partitions), sent: make([]uint64, partitions)}
}

// Producer makes a client that produces with acks=all and idempotence to partitions that are chosen by hand, and that
// comes back as fast as a cluster does.
func (b *Book) Producer(seeds ...string) (*kgo.Client, error) {
	return kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.Dialer(b.Dial), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(64<<10), kgo.MaxBufferedRecords(4000),
		kgo.RecordDeliveryTimeout(60*time.Second), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.ConnIdleTimeout(30*time.Second))
}

// CreateTopic makes the book's topic.
func (b *Book) CreateTopic(cl *kgo.Client, replicas int16, configs map[string]string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = b.topic, int32(len(b.acked)), replicas
	for k, v := range configs {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: &v})
	}
	req.Topics = append(req.Topics, t)
	req.TimeoutMillis = 15000
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if c := resp.Topics[0].ErrorCode; c != 0 {
		why := ""
		if m := resp.Topics[0].ErrorMessage; m != nil {
			why = *m
		}
		return fmt.Errorf("create topic: error code %d %s", c, why)
	}
	return nil
}

// Produce keeps one partition busy until stop is closed, with records of about size bytes and a pause after each (0: none).
// Values count up, so that order and copies can be told.
func (b *Book) Produce(cl *kgo.Client, p int32, size int, pause time.Duration, stop chan struct{}) {
	pad := make([]byte, size)
	for {
		select {
		case <-stop:
			return
		default:
		}
		if pause > 0 {
			time.Sleep(pause)
		}
		b.mu.Lock()
		v := b.sent[p]
		b.sent[p]++
		b.mu.Unlock()
		rec := &kgo.Record{Topic: b.topic, Partition: p, Value: append(binary.BigEndian.AppendUint64(nil, v), pad...)}
		cl.Produce(context.Background(), rec, func(r *kgo.Record, err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if err != nil {
				b.failed++
				return
			}
			b.lastOK = time.Now()
			b.note(p, r.Offset, v)
		})
	}
}

// note enters an acknowledgement. A record that is acknowledged at an offset where another one was before is told by
// Verify: the later acknowledgement is kept, and the earlier value is gone from the log.
func (b *Book) note(p int32, offset int64, v uint64) {
	for int64(len(b.acked[p])) <= offset {
		b.acked[p] = append(b.acked[p], 0)
	}
	if was := b.acked[p][offset]; was != 0 && was != v+1 {
		b.twice = append(b.twice, fmt.Sprintf("partition %d: offset %d was acknowledged for value %d and for %d", p, offset, was-1, v))
	}
	b.acked[p][offset] = v + 1
}

// Acked counts the acknowledged records, Failed those that were given up, and LastOK is when the newest acknowledgement came.
func (b *Book) Acked() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.acked {
		for _, v := range m {
			if v != 0 {
				n++
			}
		}
	}
	return n
}

// Failed is how many records were given up.
func (b *Book) Failed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// LastOK is when the newest acknowledgement came.
func (b *Book) LastOK() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lastOK
}

// Twice are the offsets that were given out to two values.
func (b *Book) Twice() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.twice...)
}

// Verify compares what was acknowledged before the read began with what is there: from the position of the last
// verify on, or, if whole, from the start. Each partition's values were sent counting up by one idempotent producer, so
// they must come strictly rising: a copy or a change of order shows as a value that does not rise.
func (b *Book) Verify(whole bool, seeds ...string) (wrong []string, err error) {
	want, top := b.owed()
	at := make([]position, len(want))
	offsets := map[string]map[int32]kgo.Offset{b.topic: {}}
	left := 0
	for p := range want {
		at[p] = position{0, -1}
		if !whole && b.verified != nil {
			at[p] = b.verified[p]
		}
		if top[p] >= at[p].next {
			left++
			offsets[b.topic][int32(p)] = kgo.NewOffset().At(at[p].next)
		}
	}
	if left == 0 {
		return nil, nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.Dialer(b.Dial), kgo.ConsumePartitions(offsets), kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	for quiet := time.Now(); left > 0 && time.Since(quiet) < 20*time.Second && len(wrong) < 100; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		fetches := cl.PollFetches(ctx)
		cancel()
		fetches.EachRecord(func(r *kgo.Record) {
			quiet = time.Now()
			p, v := r.Partition, int64(binary.BigEndian.Uint64(r.Value))
			if r.Offset > top[p] {
				return // came after this verify began
			}
			if r.Offset != at[p].next && len(wrong) < 100 {
				wrong = append(wrong, fmt.Sprintf("partition %d: offset %d came where %d was due", p, r.Offset, at[p].next))
			}
			if v <= at[p].last && len(wrong) < 100 {
				wrong = append(wrong, fmt.Sprintf("partition %d: value %d at offset %d came after value %d", p, v, r.Offset, at[p].last))
			}
			if w := want[p][r.Offset]; w != 0 && int64(w-1) != v && len(wrong) < 100 {
				wrong = append(wrong, fmt.Sprintf("partition %d: offset %d holds value %d, acknowledged was %d", p, r.Offset, v, w-1))
			}
			at[p] = position{r.Offset + 1, v}
			if r.Offset == top[p] {
				left--
			}
		})
	}
	for p := range want {
		for o := at[p].next; o < int64(len(want[p])) && len(wrong) < 100; o++ {
			if want[p][o] != 0 {
				wrong = append(wrong, fmt.Sprintf("partition %d: acknowledged value %d at offset %d is lost", p, want[p][o]-1, o))
			}
		}
	}
	b.verified = at
	return wrong, nil
}

// owed copies, for each partition, offset -> acknowledged value + 1, and the highest of these offsets.
func (b *Book) owed() (want [][]uint64, top []int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.acked {
		want = append(want, m[:len(m):len(m)])
		top = append(top, int64(len(m))-1)
	}
	return want, top
}
