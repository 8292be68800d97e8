// Scale says what many partitions cost on three nodes of one machine: the time to create them, until every one has a leader and a whole
// in-sync set, the memory for each, and from the kill -9 of a node to the last leadership that moved, and to the first acknowledged record
// of every partition that it had led.
//
//	go run ./.ci/scale [-partitions 10000] [-topics 100]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"klamm/.ci/nodes"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	replicas = 3
	basePort = 19992
	patience = 3 * time.Minute // for one stage
)

func main() {
	partitions := flag.Int("partitions", 10000, "partitions in all, each with three replicas")
	topics := flag.Int("topics", 100, "topics that they belong to")
	flag.Parse()
	if err := run(*partitions, *topics); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(partitions, topics int) (err error) {
	dir, err := os.MkdirTemp("", "klamm-scale-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			os.RemoveAll(dir)
		} else {
			fmt.Printf("logs and data are in %s\n", dir)
		}
	}()
	bin, err := nodes.Build(dir)
	if err != nil {
		return err
	}
	c, err := nodes.New(dir, 3, basePort, "", nil)
	if err != nil {
		return err
	}
	defer c.Stop()
	for _, n := range c.Nodes {
		if err := n.Start(bin); err != nil {
			return err
		}
	}
	for _, n := range c.Nodes {
		if err := n.WaitUp(20 * time.Second); err != nil {
			return err
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.Dialer((&net.Dialer{Timeout: 2 * time.Second}).DialContext),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.RecordDeliveryTimeout(patience))
	if err != nil {
		return err
	}
	defer cl.Close()
	s := &scale{c: c, bin: bin, cl: cl, names: make([]string, topics), each: max(1, partitions/topics)}
	for i := range s.names {
		s.names[i] = fmt.Sprintf("scale-%03d", i)
	}
	for _, stage := range []func() error{s.create, s.write, s.failover, s.back} {
		if err := stage(); err != nil {
			return err
		}
	}
	return nil
}

type scale struct {
	c     *nodes.Cluster
	bin   string
	cl    *kgo.Client
	names []string
	each  int // partitions of a topic
}

func (s *scale) count() int { return len(s.names) * s.each }

// create makes the topics in one request and waits until every partition has a leader and all of its replicas in sync.
func (s *scale) create() error {
	before := s.memory()
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range s.names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(s.each), replicas
		req.Topics = append(req.Topics, t)
	}
	req.TimeoutMillis = int32(patience.Milliseconds())
	resp, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 {
			return fmt.Errorf("create %s: error code %d", t.Topic, t.ErrorCode)
		}
	}
	answered := time.Since(began)
	if err := s.await(func(p kadm.PartitionDetail) bool { return p.Leader >= 0 && len(p.ISR) == replicas }); err != nil {
		return err
	}
	fmt.Printf("created    %d partitions in %d topics: answered after %d ms, all led and in sync after %d ms\n", s.count(), len(s.names), answered.Milliseconds(), time.Since(began).Milliseconds())
	time.Sleep(3 * time.Second)
	s.sayMemory("idle", before)
	return nil
}

func (s *scale) sayMemory(what string, before []int64) {
	for i, now := range s.memory() {
		fmt.Printf("memory     node %d %s: %d MB, %.1f KB for each of its replicas\n", i+1, what, now>>20, float64(now-before[i])/1024/float64(s.count()))
	}
}

// memory is the resident memory of each node that runs, in bytes.
func (s *scale) memory() (list []int64) {
	for _, n := range s.c.Nodes {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.PID()))
		if f := strings.Fields(string(b)); err == nil && len(f) > 1 {
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			list = append(list, pages*int64(os.Getpagesize()))
			continue
		}
		list = append(list, 0)
	}
	return list
}

// await waits until ok says yes of every partition.
func (s *scale) await(ok func(p kadm.PartitionDetail) bool) error {
	adm := kadm.NewClient(s.cl)
	missing := 0
	for began := time.Now(); time.Since(began) < patience; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		meta, err := adm.Metadata(ctx, s.names...)
		cancel()
		if err != nil {
			continue
		}
		missing = s.count()
		meta.Topics.EachPartition(func(p kadm.PartitionDetail) {
			if ok(p) {
				missing--
			}
		})
		if missing == 0 {
			return nil
		}
	}
	return fmt.Errorf("%d of %d partitions are not there within %v", missing, s.count(), patience)
}

// writeTo produces a record to every partition that want names, or to all.
func (s *scale) writeTo(want func(topic string, partition int32) bool) (n int, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, name := range s.names {
		for p := range int32(s.each) {
			if want != nil && !want(name, p) {
				continue
			}
			n++
			wg.Add(1)
			s.cl.Produce(context.Background(), &kgo.Record{Topic: name, Partition: p, Value: make([]byte, 100)}, func(_ *kgo.Record, err error) {
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
				wg.Done()
			})
		}
	}
	wg.Wait()
	return n, errors.Join(errs...)
}

func (s *scale) write() error {
	before := s.memory()
	began := time.Now()
	if _, err := s.writeTo(nil); err != nil {
		return err
	}
	fmt.Printf("written    the first record of each of %d partitions acknowledged after %d ms\n", s.count(), time.Since(began).Milliseconds())
	time.Sleep(3 * time.Second)
	s.sayMemory("written to", before)
	return nil
}

// failover kills the first node and measures how long until nothing is led by it, and until all that it led takes records.
func (s *scale) failover() error {
	const victim = 1
	led := map[string]map[int32]bool{}
	adm := kadm.NewClient(s.cl)
	meta, err := adm.Metadata(context.Background(), s.names...)
	if err != nil {
		return err
	}
	meta.Topics.EachPartition(func(p kadm.PartitionDetail) {
		if p.Leader == victim {
			if led[p.Topic] == nil {
				led[p.Topic] = map[int32]bool{}
			}
			led[p.Topic][p.Partition] = true
		}
	})
	s.c.Nodes[victim-1].Kill()
	began := time.Now()
	if err := s.await(func(p kadm.PartitionDetail) bool { return p.Leader >= 0 && p.Leader != victim }); err != nil {
		return err
	}
	moved := time.Since(began)
	n, err := s.writeTo(func(topic string, partition int32) bool { return led[topic][partition] })
	if err != nil {
		return err
	}
	fmt.Printf("failover   kill -9 of node %d, which led %d partitions: all led by others after %d ms, a record in each acknowledged after %d ms\n",
		victim, n, moved.Milliseconds(), time.Since(began).Milliseconds())
	return nil
}

// back starts the node again and waits until it is in sync everywhere.
func (s *scale) back() error {
	began := time.Now()
	if err := s.c.Nodes[0].Start(s.bin); err != nil {
		return err
	}
	if err := s.await(func(p kadm.PartitionDetail) bool { return p.Leader >= 0 && len(p.ISR) == replicas }); err != nil {
		return err
	}
	fmt.Printf("back       the node is in sync in all %d partitions after %d ms\n", s.count(), time.Since(began).Milliseconds())
	return nil
}
