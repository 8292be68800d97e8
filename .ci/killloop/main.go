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
	"net"
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
	acked  [][]uint64 // by partition and offset: value + 1, or 0 for what was not acknowledged
	sent   []uint64   // by partition: the next value
	failed int
	twice  []string // offsets that were given out twice: the first value is lost
}

// note enters an acknowledgement. A record that is acknowledged at an offset where another one was before is told by
// verify: the later acknowledgement is kept, and the earlier value is gone from the log.
func (b *ledger) note(p int32, offset int64, v uint64) {
	for int64(len(b.acked[p])) <= offset {
		b.acked[p] = append(b.acked[p], 0)
	}
	if was := b.acked[p][offset]; was != 0 && was != v+1 {
		b.twice = append(b.twice, fmt.Sprintf("partition %d: offset %d was acknowledged for value %d and for %d", p, offset, was-1, v))
	}
	b.acked[p][offset] = v + 1
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
	l.book.acked = make([][]uint64, *partitions)
	l.book.sent = make([]uint64, *partitions)
	lost := l.run(*rounds)
	l.kill()
	lost = append(lost, l.book.twice...)
	acked := 0
	for _, m := range l.book.acked {
		for _, v := range m {
			if v != 0 {
				acked++
			}
		}
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

var running *exec.Cmd // the broker, so that a failing loop leaves none behind

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "killloop:", err)
		if running != nil {
			running.Process.Kill()
		}
		os.Exit(1)
	}
}

type loop struct {
	bin, dir, layer, durability, addr string
	cmd                               *exec.Cmd
	kills                             int
	verified                          []position
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
	running = l.cmd
	log.Close()
}

// waitUp waits until the first start serves; later ones are the clients' business.
func (l *loop) waitUp() {
	for range 200 {
		if c, err := net.Dial("tcp", l.addr); err == nil {
			c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	check(fmt.Errorf("no broker on %s within 10 s; see %s", l.addr, filepath.Join(l.dir, "broker.log")))
}

func (l *loop) kill() {
	l.cmd.Process.Signal(syscall.SIGKILL)
	l.cmd.Wait()
}

// run goes through the rounds and returns what was found wrong; it stops at the first round that finds something.
func (l *loop) run(rounds int) (lost []string) {
	l.start()
	l.waitUp()
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
			lost = l.verify(false)
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
		lost = l.verify(true)
	}
	return lost
}

func (l *loop) createTopic(cl *kgo.Client) {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, int32(len(l.book.acked)), 1
	seg := "33554432"
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
	pad := make([]byte, 200)
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
			l.book.note(p, r.Offset, v)
		})
	}
}

// position is how far one partition has been verified: the next offset, and the last value before it.
type position struct {
	next int64
	last int64
}

// verify compares what was acknowledged before the read began with what is there: from the position of the last
// verify on, or, if whole, from the start. Each partition's values were sent counting up by one idempotent producer, so
// they must come strictly rising: a copy or a change of order shows as a value that does not rise.
func (l *loop) verify(whole bool) (wrong []string) {
	want, top := l.owed()
	at := make([]position, len(want))
	offsets := map[string]map[int32]kgo.Offset{topic: {}}
	left := 0
	for p := range want {
		at[p] = position{0, -1}
		if !whole && l.verified != nil {
			at[p] = l.verified[p]
		}
		if top[p] >= at[p].next {
			left++
			offsets[topic][int32(p)] = kgo.NewOffset().At(at[p].next)
		}
	}
	if left == 0 {
		return nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.addr), kgo.ConsumePartitions(offsets), kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check(err)
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
	l.verified = at
	return wrong
}

// owed copies, for each partition, offset -> acknowledged value + 1, and the highest of these offsets.
func (l *loop) owed() (want [][]uint64, top []int64) {
	l.book.mu.Lock()
	defer l.book.mu.Unlock()
	for _, m := range l.book.acked {
		want = append(want, m[:len(m):len(m)])
		top = append(top, int64(len(m))-1)
	}
	return want, top
}
