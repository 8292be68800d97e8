// Failover measures, side by side with three nodes of Apache Kafka, how long it takes from the kill -9 of a partition's leader to
// the first acknowledgement of a record that was produced after the kill (acks=all, idempotent, three replicas,
// min.insync.replicas=2), each system with its default settings. Rounds of the two alternate.
//
//	go run ./.ci/failover [-rounds 10] [-only klamm|kafka]
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"klamm/.ci/nodes"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const topic = "failover"

// bench is one system under load.
type bench struct {
	name   string
	s      nodes.System
	cl     *kgo.Client
	killed atomic.Int64 // nanoseconds; 0: nobody asks
	first  chan time.Duration
	took   []time.Duration
}

func main() {
	rounds := flag.Int("rounds", 10, "kills of each system")
	only := flag.String("only", "", "klamm or kafka alone")
	flag.Parse()
	if err := run(*rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func run(rounds int, only string) (err error) {
	dir, err := os.MkdirTemp("", "klamm-failover-")
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
	all := []*bench{{name: "klamm", s: &nodes.Klamm{Dir: dir, Base: 19892}}, {name: "kafka", s: &nodes.Kafka{Base: 22792, Run: dir}}}
	all = slices.DeleteFunc(all, func(b *bench) bool { return only != "" && b.name != only })
	stop := make(chan struct{})
	for _, b := range all {
		defer b.s.Stop()
		if err := b.begin(stop); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	for i := range rounds {
		for _, b := range all {
			d, err := b.round()
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", b.name, i+1, err)
			}
			fmt.Printf("round %2d %s %6d ms\n", i+1, b.name, d.Milliseconds())
		}
	}
	close(stop)
	for _, b := range all {
		slices.Sort(b.took)
		fmt.Printf("%s: median %d ms, least %d, most %d\n", b.name, b.median().Milliseconds(), b.took[0].Milliseconds(), b.took[len(b.took)-1].Milliseconds())
	}
	if len(all) == 2 {
		ratio := float64(all[0].median()) / float64(all[1].median())
		fmt.Printf("klamm takes %.3f of the time of Apache Kafka (asked: at most 0.25)\n", ratio)
		if ratio > 0.25 {
			return fmt.Errorf("too slow")
		}
	}
	return nil
}

func (b *bench) median() time.Duration { return b.took[len(b.took)/2] }

func (b *bench) begin(stop chan struct{}) error {
	addrs, err := b.s.Start()
	if err != nil {
		return err
	}
	b.first = make(chan time.Duration, 1)
	b.cl, err = kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.Dialer((&net.Dialer{Timeout: 2 * time.Second}).DialContext), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20*time.Millisecond),
		kgo.RecordDeliveryTimeout(60*time.Second))
	if err != nil {
		return err
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	two := "2"
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 1, 3
	t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: "min.insync.replicas", Value: &two})
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 15000
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, b.cl)
	if err != nil {
		return err
	}
	if c := resp.Topics[0].ErrorCode; c != 0 {
		return fmt.Errorf("create topic: error code %d", c)
	}
	go b.load(stop)
	return nil
}

// load produces a record each millisecond and looks for the first one after a kill that is acknowledged.
func (b *bench) load(stop chan struct{}) {
	for {
		select {
		case <-stop:
			b.cl.Close()
			return
		case <-time.After(time.Millisecond):
		}
		at := time.Now().UnixNano()
		b.cl.Produce(context.Background(), &kgo.Record{Topic: topic, Value: make([]byte, 100)}, func(_ *kgo.Record, err error) {
			if k := b.killed.Load(); err == nil && k != 0 && at > k && b.killed.CompareAndSwap(k, 0) {
				b.first <- time.Duration(time.Now().UnixNano() - k)
			}
		})
	}
}

func (b *bench) round() (time.Duration, error) {
	if err := nodes.WaitInSync(b.cl, topic, 1, 3, 60*time.Second); err != nil {
		return 0, err
	}
	time.Sleep(2 * time.Second)
	id, _, err := nodes.Leader(context.Background(), b.cl, topic, 0)
	if err != nil {
		return 0, err
	}
	if err := b.s.Kill(id); err != nil {
		return 0, err
	}
	b.killed.Store(time.Now().UnixNano())
	select {
	case d := <-b.first:
		b.took = append(b.took, d)
		return d, b.s.Restart(id)
	case <-time.After(60 * time.Second):
		return 0, fmt.Errorf("no acknowledgement within a minute of the kill of node %d", id)
	}
}
