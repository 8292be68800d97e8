// Streams lets a word count of Apache Kafka's Streams with exactly_once_v2 run on three real nodes while the nodes and the
// application's processes are killed with SIGKILL and started again; then every word must have been counted 1, 2, 3 … up to as
// often as it was written, with nothing left out and nothing twice.
//
//	go run ./.ci/streams [-seconds 40] [-lines 4000] [-port 19892] [-keep]
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"klamm/.ci/nodes"
)

const (
	partitions = 4
	processes  = 2 // of the application
	words      = 50
	perLine    = 5
)

func main() {
	seconds := flag.Int("seconds", 40, "how long brokers and the application are killed; up to three times as long where the application is slow")
	lines := flag.Int("lines", 4000, "how many lines of words are written in so many seconds")
	port := flag.Int("port", 19892, "first port on the loopback")
	keep := flag.Bool("keep", false, "leave the logs and the data in place")
	flag.Parse()
	dir, err := os.MkdirTemp("", "klamm-streams-")
	check(err)
	if out, err := app("--compile").CombinedOutput(); err != nil {
		check(fmt.Errorf("%w\n%s", err, out))
	}
	bin, err := nodes.Build(dir)
	check(err)
	c, err := nodes.New(dir, 3, *port, "", nodes.Coordinators(nil))
	check(err)
	d := &drill{dir: dir, bin: bin, c: c, lines: *lines, span: time.Duration(*seconds) * time.Second}
	err = d.run()
	c.Stop()
	if err == nil && !*keep {
		os.RemoveAll(dir)
		return
	}
	fmt.Println("logs and data are in", dir)
	check(err)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(1)
	}
}

type drill struct {
	dir, bin string
	c        *nodes.Cluster
	lines    int // in the time that the fire lasts at least
	written  int
	span     time.Duration
	fire     *nodes.Fire
}

func app(args ...string) *exec.Cmd {
	return exec.Command(".ci/kafka/java.sh", append([]string{".ci/streams/WordCount.java"}, args...)...)
}

func (d *drill) run() error {
	for _, n := range d.c.Nodes {
		if err := n.Start(d.bin); err != nil {
			return err
		}
	}
	for _, n := range d.c.Nodes {
		if err := n.WaitUp(30 * time.Second); err != nil {
			return err
		}
	}
	cl, err := kgo.NewClient(d.c.Options(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := d.c.WaitRegistered(cl); err != nil {
		return err
	}
	if err := nodes.CreateTopics(cl, partitions, "lines", "counts"); err != nil {
		return err
	}
	d.fire = nodes.NewFire()
	ctx, still := context.WithCancel(context.Background())
	var apps sync.WaitGroup
	var deaths nodes.Deaths
	d.fire.Killed = append(d.fire.Killed, &deaths)
	for i := range processes {
		apps.Go(func() { d.application(ctx, i, &deaths) })
	}
	defer apps.Wait()
	defer still()
	want := make(chan map[string]int, 1)
	go func() { want <- d.feed(cl) }()
	if err := d.fire.Burn(d.c, d.bin, d.span, 4); err != nil {
		return err
	}
	counts := <-want
	if counts == nil {
		return fmt.Errorf("not every line was taken")
	}
	start := time.Now()
	wrong := d.compare(counts, 150*time.Second)
	took := time.Since(start)
	still()
	apps.Wait()
	if wrong == nil { // and nothing comes afterwards
		wrong = d.compare(counts, 30*time.Second)
	}
	aborted, err := d.aborted()
	if err != nil {
		return err
	}
	if n := deaths.Died.Load(); n > 0 && wrong == nil {
		wrong = fmt.Errorf("processes of the application ended by themselves, %d times", n)
	}
	fmt.Printf("%d lines, %d words each; %d brokers and %d processes killed; %d markers of aborted transactions; all was counted %v after the last kill\n", d.written, perLine, d.fire.Nodes, deaths.Killed.Load(), aborted, took.Round(time.Millisecond))
	switch {
	case wrong != nil:
		return wrong
	case d.fire.Nodes < int(d.span.Seconds())/6 || deaths.Killed.Load() < 4 || aborted == 0:
		return fmt.Errorf("too little happened to prove anything")
	}
	fmt.Println("every word was counted once each time that it was written")
	return nil
}

// aborted counts the markers of aborted transactions in the topic between the two halves of the word count.
func (d *drill) aborted() (n int, err error) {
	err = d.c.Markers(context.Background(), "wordcount-counts-repartition", func(_ *kgo.Record, commit bool) {
		if !commit {
			n++
		}
	})
	return n, err
}

// application keeps one process of the word count alive. Each has its state in a directory of its own, as on a host of its own.
func (d *drill) application(ctx context.Context, i int, deaths *nodes.Deaths) {
	name := fmt.Sprintf("app-%d", i)
	err := d.fire.Revive(ctx, filepath.Join(d.dir, name+".log"), deaths, func() (*exec.Cmd, time.Duration) {
		return app(strings.Join(d.c.Addrs(), ","), "wordcount", "lines", "counts", filepath.Join(d.dir, name), "2"), 8*time.Second + rand.N(10*time.Second)
	})
	if err != nil {
		fmt.Println(name, "does not run:", err)
	}
}

// feed writes lines for as long as the fire lasts, and says how often each word is in them, or nil if one was not taken.
func (d *drill) feed(cl *kgo.Client) map[string]int {
	counts := map[string]int{}
	var mu sync.Mutex
	failed := false
	pause := d.span / time.Duration(max(d.lines/20, 1))
	for ; d.fire.Err() == nil || d.written%20 != 0; d.written++ {
		list := make([]string, perLine)
		for i := range list {
			list[i] = "w" + strconv.Itoa(rand.IntN(words))
			counts[list[i]]++
		}
		cl.Produce(context.Background(), &kgo.Record{Topic: "lines", Value: []byte(strings.Join(list, " "))}, func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				failed = true
				mu.Unlock()
				fmt.Println("not sent:", err)
			}
		})
		if d.written%20 == 19 {
			time.Sleep(pause)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := cl.Flush(ctx)
	mu.Lock()
	defer mu.Unlock()
	if err != nil || failed {
		return nil
	}
	return counts
}

// compare reads the counts that are committed until each word has its last, or the time is over, and says what is wrong.
func (d *drill) compare(want map[string]int, patience time.Duration) error {
	cl, err := kgo.NewClient(d.c.Options(kgo.ConsumeTopics("counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	at, done, wrong := map[string]int{}, 0, error(nil)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	quiet := time.Now()
	for done < len(want) || time.Since(quiet) < 3*time.Second {
		poll, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		fetches := cl.PollFetches(poll)
		stop()
		if ctx.Err() != nil {
			break
		}
		fetches.EachRecord(func(r *kgo.Record) {
			quiet = time.Now()
			word := string(r.Key)
			n, err := strconv.Atoi(string(r.Value))
			switch {
			case wrong != nil:
			case err != nil:
				wrong = fmt.Errorf("%s has the count %q", word, r.Value)
			case n != at[word]+1:
				wrong = fmt.Errorf("%s goes from %d to %d, at counts-%d offset %d", word, at[word], n, r.Partition, r.Offset)
			case n > want[word]:
				wrong = fmt.Errorf("%s is counted %d times, and was written %d times", word, n, want[word])
			}
			if at[word] = n; n == want[word] {
				done++
			}
		})
		if wrong != nil {
			return wrong
		}
	}
	if done < len(want) {
		for word, n := range want {
			if at[word] < n {
				return fmt.Errorf("%d of %d words were not counted to their end within %v, as %s: %d of %d", len(want)-done, len(want), patience, word, at[word], n)
			}
		}
	}
	return nil
}
