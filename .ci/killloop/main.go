// Killloop kills a real broker with SIGKILL again and again while idempotent producers are at full load,
// and checks after every restart that each acknowledged record is there once, in order, at its offset.
//
//	go run ./.ci/killloop [-rounds 100] [-layer ""|lossy|lossy-nosync] [-durability sync] [-expect-loss]
//
// With -layer lossy the broker runs over a layer that forgets unsynced bytes and directory entries when
// the process dies, as a power cut would. With lossy-nosync that layer also ignores syncs: then records
// must get lost, or the loop proves nothing; -expect-loss turns the verdict around.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const topic = "killloop"

// ledger is what the producers were told: for each partition the acknowledged values and their offsets.
type ledger struct {
	mu     sync.Mutex
	acked  []map[int64]uint64 // by partition: offset -> value
	sent   []uint64           // by partition: the next value
	failed int
}

func main() {
	rounds := flag.Int("rounds", 100, "kills")
	layer := flag.String("layer", "", "fault layer under the broker: empty, lossy or lossy-nosync")
	durability := flag.String("durability", "sync", "sync or replicate")
	expectLoss := flag.Bool("expect-loss", false, "succeed only if a record was lost")
	partitions := flag.Int("partitions", 4, "partitions")
	port := flag.Int("port", 19592, "port on the loopback")
	flag.Parse()
	dir, err := os.MkdirTemp("", "klamm-killloop-")
	check(err)
	bin := filepath.Join(dir, "klamm")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/klamm").CombinedOutput(); err != nil {
		check(fmt.Errorf("build: %v\n%s", err, out))
	}
	l := &loop{bin: bin, dir: dir, layer: *layer, durability: *durability, addr: fmt.Sprintf("127.0.0.1:%d", *port)}
	l.book.acked = make([]map[int64]uint64, *partitions)
	l.book.sent = make([]uint64, *partitions)
	for i := range l.book.acked {
		l.book.acked[i] = map[int64]uint64{}
	}
	lost := l.run(*rounds)
	l.kill()
	acked := 0
	for _, m := range l.book.acked {
		acked += len(m)
	}
	fmt.Printf("%d kills, %d records acknowledged, %d refused, layer %q, durability %s: %d violations\n", l.kills, acked, l.book.failed, *layer, *durability, len(lost))
	for i, v := range lost {
		if i == 10 {
			fmt.Println("...")
			break
		}
		fmt.Println("  " + v)
	}
	if l.kills < *rounds && !*expectLoss || acked < 100*l.kills {
		fmt.Printf("too little happened to prove anything; broker log: %s\n", filepath.Join(dir, "broker.log"))
		os.Exit(1)
	}
	if (len(lost) > 0) != *expectLoss {
		fmt.Printf("broker log and data are in %s\n", dir)
		os.Exit(1)
	}
	os.RemoveAll(dir)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "killloop:", err)
		os.Exit(1)
	}
}

type loop struct {
	bin, dir, layer, durability, addr string
	cmd                               *exec.Cmd
	kills                             int
	book                              ledger
}

func (l *loop) start() {
	log, err := os.OpenFile(filepath.Join(l.dir, "broker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	check(err)
	args := []string{"dev", "--listen", l.addr, "--admin", "", "--data", filepath.Join(l.dir, "data"), "--durability", l.durability}
	if l.layer != "" {
		args = append(args, "--fault-layer", l.layer)
	}
	l.cmd = exec.Command(l.bin, args...)
	l.cmd.Stdout, l.cmd.Stderr = log, log
	check(l.cmd.Start())
	log.Close()
}

func (l *loop) kill() {
	l.cmd.Process.Signal(syscall.SIGKILL)
	l.cmd.Wait()
}

// run goes through the rounds and returns what was found wrong; it stops at the first round that finds something.
func (l *loop) run(rounds int) (lost []string) {
	l.start()
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(64<<10), kgo.MaxBufferedRecords(4000),
		kgo.RecordDeliveryTimeout(60*time.Second), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.ConnIdleTimeout(30*time.Second))
	check(err)
	defer cl.Close()
	l.createTopic(cl)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for p := range l.book.acked {
		wg.Go(func() { l.produce(cl, int32(p), stop) })
	}
	for l.kills < rounds && len(lost) == 0 {
		time.Sleep(time.Duration(150+rand.IntN(500)) * time.Millisecond)
		l.kill()
		l.kills++
		l.start()
		if l.kills%5 == 0 || l.kills == rounds || l.layer != "" {
			lost = l.verify()
		}
	}
	close(stop)
	wg.Wait()
	if len(lost) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := cl.Flush(ctx); err != nil {
			return []string{"the last records were not acknowledged within a minute of the last restart: " + err.Error()}
		}
		lost = l.verify()
	}
	return lost
}

func (l *loop) createTopic(cl *kgo.Client) {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, int32(len(l.book.acked)), 1
	seg := "1048576"
	t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: "segment.bytes", Value: &seg})
	req.Topics = append(req.Topics, t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	check(err)
	if c := resp.Topics[0].ErrorCode; c != 0 {
		check(fmt.Errorf("create topic: error code %d", c))
	}
}

// produce keeps one partition busy. Values count up, so that order and copies can be told.
func (l *loop) produce(cl *kgo.Client, p int32, stop chan struct{}) {
	pad := make([]byte, 500)
	for {
		select {
		case <-stop:
			return
		default:
		}
		l.book.mu.Lock()
		v := l.book.sent[p]
		l.book.sent[p]++
		l.book.mu.Unlock()
		rec := &kgo.Record{Topic: topic, Partition: p, Value: append(binary.BigEndian.AppendUint64(nil, v), pad...)}
		cl.Produce(context.Background(), rec, func(r *kgo.Record, err error) {
			l.book.mu.Lock()
			defer l.book.mu.Unlock()
			if err != nil {
				l.book.failed++
				return
			}
			l.book.acked[p][r.Offset] = v
		})
	}
}

// verify reads every partition from its start and compares it with what was acknowledged before the read began.
func (l *loop) verify() (wrong []string) {
	l.book.mu.Lock()
	want := make([]map[int64]uint64, len(l.book.acked))
	for p, m := range l.book.acked {
		want[p] = make(map[int64]uint64, len(m))
		for o, v := range m {
			want[p][o] = v
		}
	}
	l.book.mu.Unlock()
	offsets := map[string]map[int32]kgo.Offset{topic: {}}
	top := make([]int64, len(want))
	left := 0
	for p, m := range want {
		offsets[topic][int32(p)] = kgo.NewOffset().AtStart()
		top[p] = -1
		for o := range m {
			top[p] = max(top[p], o)
		}
		if top[p] >= 0 {
			left++
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.addr), kgo.ConsumePartitions(offsets), kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(50*time.Millisecond))
	check(err)
	defer cl.Close()
	next := make([]int64, len(want))
	seen := make([]map[uint64]int64, len(want))
	last := make([]int64, len(want))
	for p := range seen {
		seen[p] = map[uint64]int64{}
		last[p] = -1
	}
	end := time.Now().Add(30 * time.Second)
	for left > 0 && time.Now().Before(end) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		fetches := cl.PollFetches(ctx)
		cancel()
		fetches.EachRecord(func(r *kgo.Record) {
			p := r.Partition
			v := binary.BigEndian.Uint64(r.Value)
			if r.Offset != next[p] && len(wrong) < 100 {
				wrong = append(wrong, fmt.Sprintf("partition %d: offset %d came where %d was due", p, r.Offset, next[p]))
			}
			next[p] = r.Offset + 1
			if at, twice := seen[p][v]; twice {
				wrong = append(wrong, fmt.Sprintf("partition %d: value %d is at offset %d and at %d", p, v, at, r.Offset))
			}
			seen[p][v] = r.Offset
			if int64(v) < last[p] {
				wrong = append(wrong, fmt.Sprintf("partition %d: value %d came after %d", p, v, last[p]))
			}
			last[p] = int64(v)
			if w, acked := want[p][r.Offset]; acked {
				if w != v {
					wrong = append(wrong, fmt.Sprintf("partition %d: offset %d holds value %d, acknowledged was %d", p, r.Offset, v, w))
				}
				delete(want[p], r.Offset)
			}
			if r.Offset == top[p] {
				left--
			}
		})
	}
	for p, m := range want {
		for o, v := range m {
			wrong = append(wrong, fmt.Sprintf("partition %d: acknowledged value %d at offset %d is lost", p, v, o))
			if len(wrong) > 100 {
				return wrong
			}
		}
	}
	return wrong
}
