// Txnloop moves records from one topic to another in transactions, exactly once, on three real nodes, while brokers are
// killed with SIGKILL, and the processes that move the records as well; then it compares what went in with what came out.
//
//	go run ./.ci/txnloop [-seconds 60] [-client franz|klamm|both] [-records 20000] [-port 19792]
//
// franz is franz-go's transactional group session in this process; klamm is `klamm transact`, in processes of their own
// that are killed with SIGKILL too. It fails if too little happened to prove anything.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/.ci/nodes"
)

func main() {
	seconds := flag.Int("seconds", 60, "how long brokers are killed")
	client := flag.String("client", "both", "franz, klamm or both")
	records := flag.Int("records", 20000, "how many records go through, at most")
	port := flag.Int("port", 19792, "first port on the loopback")
	flag.Parse()
	dir, err := os.MkdirTemp("", "klamm-txnloop-")
	check(err)
	l := &loop{dir: dir, records: *records}
	l.bin, err = nodes.Build(dir)
	check(err)
	l.c, err = nodes.New(dir, 3, *port, "", map[string]string{
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000", "group.initial.rebalance.delay.ms": "0",
		"transaction.state.log.num.partitions": "3", "offsets.topic.num.partitions": "3", "transaction.state.log.min.isr": "2"})
	check(err)
	for _, n := range l.c.Nodes {
		check(n.Start(l.bin))
	}
	defer l.stop()
	for _, n := range l.c.Nodes {
		l.must(n.WaitUp(30 * time.Second))
	}
	ok := true
	for _, name := range []string{"franz", "klamm"} {
		if *client == name || *client == "both" {
			ok = l.run(name, time.Duration(*seconds)*time.Second) && ok
		}
	}
	l.stop()
	if !ok {
		fmt.Println("logs and data are in", dir)
		os.Exit(1)
	}
	os.RemoveAll(dir)
}

type loop struct {
	dir, bin string
	c        *nodes.Cluster
	records  int
	kills    int
	end      time.Time // nothing is killed afterwards
	movers   int       // processes or sessions that were ended
	commits  atomic.Int64
	aborts   atomic.Int64
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "txnloop:", err)
		os.Exit(1)
	}
}

func (l *loop) must(err error) {
	if err != nil {
		l.stop()
		check(err)
	}
}

func (l *loop) stop() {
	for _, n := range l.c.Nodes {
		n.Kill()
	}
}

const partitions = 4

// run lets one kind of client move records under fire, and compares.
func (l *loop) run(name string, span time.Duration) bool {
	in, out := name+"-in", name+"-out"
	cl, err := kgo.NewClient(l.options(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...)
	l.must(err)
	defer cl.Close()
	l.must(l.all(cl))
	l.must(l.topics(cl, in, out))
	l.kills, l.movers = 0, 0
	l.commits.Store(0)
	l.aborts.Store(0)
	l.end = time.Now().Add(span)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var sent atomic.Int64
	wg.Go(func() { l.feed(ctx, cl, in, &sent, span) })
	moving, still := context.WithCancel(context.Background())
	var movers sync.WaitGroup
	for i := range 2 {
		movers.Go(func() {
			if name == "franz" {
				l.franz(moving, in, out, fmt.Sprintf("%s-%d", name, i))
			} else {
				l.klamm(moving, in, out, fmt.Sprintf("%s-%d", name, i))
			}
		})
	}
	for time.Now().Before(l.end) {
		time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		n := l.c.Nodes[rand.IntN(len(l.c.Nodes))]
		n.Kill()
		l.kills++
		time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		l.must(n.Start(l.bin))
	}
	wg.Wait() // the feed ends by itself
	cancel()
	flush, done := context.WithTimeout(context.Background(), time.Minute)
	l.must(cl.Flush(flush))
	done()
	wrong := l.compare(out, int(sent.Load()), 90*time.Second)
	still()
	movers.Wait()
	if wrong == nil { // and nothing comes afterwards
		wrong = l.compare(out, int(sent.Load()), 20*time.Second)
	}
	fmt.Printf("%s: %d brokers and %d movers killed; %d records went in; %d transactions committed, %d aborted or fenced: ", name, l.kills, l.movers, sent.Load(), l.commits.Load(), l.aborts.Load())
	if wrong != nil {
		fmt.Println(wrong)
		return false
	}
	fmt.Println("each came out once")
	if sent.Load() < 500 || l.kills < int(span.Seconds())/6 {
		fmt.Println("too little happened to prove anything")
		return false
	}
	return true
}

func (l *loop) options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(l.c.Addrs()...), kgo.MetadataMinAge(50 * time.Millisecond), kgo.RecordDeliveryTimeout(2 * time.Minute),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond })}, more...)
}

func (l *loop) topics(cl *kgo.Client, names ...string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range names {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 3
		req.Topics = append(req.Topics, t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 {
			return fmt.Errorf("creating %s: code %d", t.Topic, t.ErrorCode)
		}
	}
	return nil
}

// all waits until every broker is one that replicas can be put on: a node is up before it is registered.
func (l *loop) all(cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
		if err != nil || len(resp.Brokers) == len(l.c.Nodes) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// feed produces the numbers from 0 on, once each, spread over the time.
func (l *loop) feed(ctx context.Context, cl *kgo.Client, in string, sent *atomic.Int64, span time.Duration) {
	pause := span / time.Duration(max(l.records/20, 1))
	for n := 0; n < l.records && ctx.Err() == nil; {
		for range min(20, l.records-n) {
			cl.Produce(context.Background(), &kgo.Record{Topic: in, Value: []byte(strconv.Itoa(n))}, func(_ *kgo.Record, err error) {
				if err != nil {
					fmt.Println("not sent:", err)
				}
			})
			n++
			sent.Add(1)
		}
		time.Sleep(pause)
	}
}

// franz moves records with franz-go, in sessions that are given up now and then in the midst of a transaction.
func (l *loop) franz(ctx context.Context, in, out, id string) {
	for ctx.Err() == nil {
		s, err := kgo.NewGroupTransactSession(l.options(kgo.TransactionalID(id), kgo.ConsumerGroup(in), kgo.ConsumeTopics(in), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second), kgo.RebalanceTimeout(6*time.Second),
			kgo.TransactionTimeout(10*time.Second), kgo.RequireStableFetchOffsets(), kgo.FetchMaxWait(200*time.Millisecond))...)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		until := time.Now().Add(time.Duration(4+rand.IntN(10)) * time.Second)
		for ctx.Err() == nil && time.Now().Before(until) {
			if !l.step(ctx, s, out) {
				break
			}
		}
		if ctx.Err() == nil {
			l.movers++
			s.Client().CloseAllowingRebalance()
		} else {
			s.Close()
		}
	}
}

// step moves one batch; it reports false if the session is of no more use.
func (l *loop) step(ctx context.Context, s *kgo.GroupTransactSession, out string) bool {
	poll, cancel := context.WithTimeout(ctx, time.Second)
	fetches := s.PollRecords(poll, 100)
	cancel()
	if fetches.NumRecords() == 0 {
		return true
	}
	if err := s.Begin(); err != nil {
		l.aborts.Add(1)
		return false
	}
	bounded, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	var failed atomic.Bool
	fetches.EachRecord(func(r *kgo.Record) {
		s.Produce(bounded, &kgo.Record{Topic: out, Value: r.Value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(true)
			}
		})
	})
	if rand.IntN(60) == 0 && ctx.Err() == nil { // the process is gone, with its transaction open
		return false
	}
	if err := s.Client().Flush(bounded); err != nil {
		failed.Store(true)
	}
	committed, err := s.End(bounded, kgo.TransactionEndTry(!failed.Load()))
	switch {
	case err != nil:
		l.aborts.Add(1)
		return false
	case committed:
		l.commits.Add(1)
	default:
		l.aborts.Add(1)
	}
	return true
}

// klamm moves records with processes of its own that are killed in the midst.
func (l *loop) klamm(ctx context.Context, in, out, id string) {
	log, err := os.OpenFile(filepath.Join(l.dir, id+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer log.Close()
	for ctx.Err() == nil {
		cmd := exec.Command(l.bin, "transact", in, out, "--bootstrap", l.c.Addrs()[0]+","+l.c.Addrs()[1]+","+l.c.Addrs()[2], "--group", in, "--transactional-id", id,
			"--batch", "100", "--session-timeout", "6s", "--transaction-timeout", "10s")
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if cmd.Start() != nil {
			return
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		// Once the brokers are left alone, so are the movers. Of one that is killed while its JoinGroup waits the coordinator
		// learns a session after the round: two that live for seconds only may never share a generation, with any coordinator.
		var kill <-chan time.Time
		if life := time.Duration(2000+rand.IntN(8000)) * time.Millisecond; time.Now().Add(life).Before(l.end) {
			kill = time.After(life)
		}
		select {
		case <-ended:
			l.aborts.Add(1)
			time.Sleep(100 * time.Millisecond)
			continue
		case <-kill:
			l.movers++
			_ = cmd.Process.Kill()
		case <-ctx.Done():
			_ = cmd.Process.Signal(os.Interrupt)
			select {
			case <-ended:
				return
			case <-time.After(15 * time.Second):
				_ = cmd.Process.Kill()
			}
		}
		<-ended
	}
}

// compare reads what is committed until every number came, or the time is over, and says what is wrong.
func (l *loop) compare(out string, sent int, patience time.Duration) error {
	cl, err := kgo.NewClient(l.options(kgo.ConsumeTopics(out), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
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
