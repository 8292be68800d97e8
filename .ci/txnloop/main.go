// Txnloop moves records from one topic to another in transactions, exactly once, on three real nodes, while brokers are
// killed with SIGKILL, and the processes that move the records as well; then it compares what went in with what came out.
//
//	go run ./.ci/txnloop [-seconds 60] [-client all] [-records 20000] [-port 19792] [-keep]
//
// -client takes one or more of these, with commas, which then move records of their own at the same time:
//
//	franz      franz-go's transactional group session, in this process
//	klamm      `klamm transact`
//	java       Apache Kafka's Java clients
//	java848    the same in a group of the consumer protocol
//	librdkafka confluent-kafka for Python
//
// All but franz are processes of their own. It fails if too little happened to prove anything.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"klamm/.ci/nodes"
)

var kinds = []string{"franz", "klamm", "java", "java848", "librdkafka"}

func main() {
	seconds := flag.Int("seconds", 60, "how long brokers are killed; up to three times as long where clients are slow")
	client := flag.String("client", "all", strings.Join(kinds, ", ")+", some of them with commas, or all")
	records := flag.Int("records", 20000, "how many records go through each in so many seconds")
	port := flag.Int("port", 19792, "first port on the loopback")
	keep := flag.Bool("keep", false, "leave the logs and the data in place")
	flag.Parse()
	names := strings.Split(*client, ",")
	if *client == "all" {
		names = kinds
	}
	dir, err := os.MkdirTemp("", "klamm-txnloop-")
	check(err)
	l := &loop{dir: dir}
	l.bin, err = nodes.Build(dir)
	check(err)
	for _, name := range names {
		if !slices.Contains(kinds, name) {
			check(fmt.Errorf("no client is called %q", name))
		}
		check(l.prepare(name))
	}
	l.c, err = nodes.New(dir, 3, *port, "", nodes.Coordinators(map[string]string{
		"group.consumer.session.timeout.ms": "6000", "group.consumer.min.session.timeout.ms": "6000",
		"group.consumer.heartbeat.interval.ms": "1000", "group.consumer.min.heartbeat.interval.ms": "1000"}))
	check(err)
	for _, n := range l.c.Nodes {
		check(n.Start(l.bin))
	}
	defer l.stop()
	for _, n := range l.c.Nodes {
		l.must(n.WaitUp(30 * time.Second))
	}
	ok := l.run(names, *records, time.Duration(*seconds)*time.Second)
	l.stop()
	if ok && !*keep {
		os.RemoveAll(dir)
		return
	}
	fmt.Println("logs and data are in", dir)
	if !ok {
		os.Exit(1)
	}
}

// loop is the cluster and what befalls it.
type loop struct {
	dir, bin string
	c        *nodes.Cluster
	fire     *nodes.Fire
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

// run lets each kind of client move records under fire, and compares.
func (l *loop) run(names []string, records int, span time.Duration) bool {
	cl, err := kgo.NewClient(l.c.Options(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...)
	l.must(err)
	defer cl.Close()
	l.must(l.c.WaitRegistered(cl))
	var lines []*line
	for _, name := range names {
		m := &line{loop: l, name: name, in: name + "-in", out: name + "-out", records: records}
		l.must(nodes.CreateTopics(cl, partitions, m.in, m.out))
		lines = append(lines, m)
	}
	l.fire = nodes.NewFire()
	for _, m := range lines {
		l.fire.Killed = append(l.fire.Killed, &m.deaths)
	}
	var feeds, movers sync.WaitGroup
	moving, still := context.WithCancel(context.Background())
	for _, m := range lines {
		feeds.Go(func() { m.feed(cl, span) })
		for i := range workers {
			movers.Go(func() { m.move(moving, m.id(i)) })
		}
	}
	l.must(l.fire.Burn(l.c, l.bin, span, 2))
	feeds.Wait()
	flush, done := context.WithTimeout(context.Background(), time.Minute)
	l.must(cl.Flush(flush))
	done()
	var judges sync.WaitGroup
	for _, m := range lines {
		judges.Go(func() { m.wrong = m.compare(90 * time.Second) })
	}
	judges.Wait()
	still()
	movers.Wait()
	for _, m := range lines {
		judges.Go(func() {
			if m.wrong == nil { // and nothing comes afterwards
				m.wrong = m.compare(20 * time.Second)
			}
			m.markers(cl)
		})
	}
	judges.Wait()
	ok := true
	for _, m := range lines {
		ok = m.judge(span) && ok
	}
	return ok
}
