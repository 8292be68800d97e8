// Groups measures consumer groups, transactions and the takeover of coordinators, Klamm beside Apache Kafka: three nodes of
// each on one machine, one client (franz-go) for all, rounds that alternate, medians, ratios first.
//
//	go run ./.ci/groups [-rounds 3] [-parts rebalance,txns,takeover] [-only kafka,klamm,klamm-replicate]
//
// Three nodes, because what a coordinator waits for is its followers, and because a takeover takes another node. Klamm
// stands in its default, where nothing is acknowledged that is not on disk; transactions are also measured with
// klamm.durability=replicate, which is what Apache Kafka promises. Settings are each system's own, but for three on both sides
// that would only add waiting: group.initial.rebalance.delay.ms=0, and heartbeats of a tenth of a second in both group protocols.
// A round that is not counted goes first, since a young JVM is slow. Takeovers are left out of the first round that counts, and the
// restart of all nodes is done in the last one: with Apache Kafka they take long.
//
//   - rebalance.go: a group of 50 members on 100 partitions, classic (cooperative-sticky) and KIP-848: from the start of the last
//     member to the state in which every partition has one owner and all have their fair share, and the same after one joins and one leaves.
//   - txns.go: transactions of 10 records of 1 KiB to 3 partitions and an offset commit, by 1, 8 and 32 producers.
//   - takeover.go: 100,000 committed offsets in one partition of __consumer_offsets; from the kill -9 of its leader, from an election,
//     and from the restart of all nodes to the first OffsetFetch that has the right offsets.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"klamm/.ci/nodes"

	"github.com/twmb/franz-go/pkg/kgo"
)

// bench is one system under measurement.
type bench struct {
	name  string
	s     nodes.System
	addrs []string
	rows  []row // of the rounds that count
	round int
	warm  bool // it does not count
	last  bool // it is the last one
}

// row is one figure of one round.
type row struct {
	what  string
	value float64
}

// more is true of figures that are better when they are higher.
func more(what string) bool { return strings.HasSuffix(what, "/s") }

func (b *bench) note(what string, value float64) {
	if !b.warm {
		b.rows = append(b.rows, row{what, value})
	}
}

func (b *bench) noteTime(what string, d time.Duration) {
	b.note(what+" ms", float64(d.Microseconds())/1000)
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds that count; the median of each figure is printed")
	parts := flag.String("parts", "rebalance,txns,takeover", "what is measured")
	only := flag.String("only", "kafka,klamm,klamm-replicate", "the systems")
	seconds := flag.Duration("load", 2*time.Second, "how long each load of transactions lasts")
	flag.Parse()
	if err := run(*rounds, strings.Split(*parts, ","), strings.Split(*only, ","), *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "groups:", err)
		os.Exit(1)
	}
}

const heartbeat = 100 * time.Millisecond

func systems(dir, bin string) []*bench {
	const both = "group.initial.rebalance.delay.ms=0;group.consumer.min.heartbeat.interval.ms=100;group.consumer.heartbeat.interval.ms=100"
	settings := func(durability string) map[string]string {
		m := map[string]string{"klamm.durability": durability}
		for _, s := range strings.Split(both, ";") {
			k, v, _ := strings.Cut(s, "=")
			m[k] = v
		}
		return m
	}
	return []*bench{
		{name: "kafka", s: &nodes.Kafka{Base: 22892, Run: dir, Props: both}},
		{name: "klamm", s: &nodes.Klamm{Dir: filepath.Join(dir, "sync"), Bin: bin, Base: 19692, Settings: settings("sync")}},
		{name: "klamm-replicate", s: &nodes.Klamm{Dir: filepath.Join(dir, "replicate"), Bin: bin, Base: 19697, Settings: settings("replicate")}},
	}
}

func run(rounds int, parts, only []string, load time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "klamm-groups-")
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
	all := slices.DeleteFunc(systems(dir, bin), func(b *bench) bool { return !slices.Contains(only, b.name) })
	for _, b := range all {
		defer b.s.Stop()
		if err := b.begin(); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	for i := range rounds + 1 {
		for _, b := range all {
			began := time.Now()
			b.round, b.warm, b.last = i, i == 0, i == rounds
			if err := b.measure(parts, load); err != nil {
				print(all) // what there is
				return fmt.Errorf("%s, round %d: %w", b.name, i, err)
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s, %.1f s\n", i, rounds, b.name, time.Since(began).Seconds())
		}
	}
	print(all)
	return nil
}

func (b *bench) begin() (err error) {
	if b.addrs, err = b.s.Start(); err != nil {
		return err
	}
	cl, err := b.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := waitBrokers(cl, 3); err != nil {
		return err
	}
	for topic, n := range map[string]int32{groupTopic: groupPartitions, txnTopic: txnPartitions} {
		if err := create(cl, topic, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measure(parts []string, load time.Duration) error {
	if b.warm && b.name != "kafka" { // nothing to warm, but the coordinators' topics are to be made
		return b.transactions(8, load/5)
	}
	if slices.Contains(parts, "rebalance") && b.name != "klamm-replicate" {
		for _, next := range []bool{false, true} {
			if err := b.rebalances(next); err != nil {
				return err
			}
		}
	}
	if slices.Contains(parts, "txns") {
		for _, n := range []int{1, 8, 32} {
			if err := b.transactions(n, load); err != nil {
				return err
			}
		}
	}
	if slices.Contains(parts, "takeover") && b.name != "klamm-replicate" && (b.round > 1 || b.last) { // not in all: it takes long
		return b.takeovers()
	}
	return nil
}

// client is a client of b with short waits; each test adds what it needs.
func (b *bench) client(more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addrs...), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.RecordDeliveryTimeout(time.Minute)}, more...)...)
}

func median(rows []row, what string) (float64, bool) {
	var v []float64
	for _, r := range rows {
		if r.what == what {
			v = append(v, r.value)
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2, true
	}
	return v[len(v)/2], true
}

// print shows, for each figure, how many times better Klamm is than Apache Kafka, then the medians.
func print(all []*bench) {
	var whats []string
	for _, b := range all {
		for _, r := range b.rows {
			if !slices.Contains(whats, r.what) {
				whats = append(whats, r.what)
			}
		}
	}
	fmt.Printf("%-46s", "better than kafka, times | median of each")
	for _, b := range all {
		if b.name != "kafka" {
			fmt.Printf(" %15s", b.name)
		}
	}
	fmt.Print(" |")
	for _, b := range all {
		fmt.Printf(" %15s", b.name)
	}
	fmt.Println()
	at := slices.IndexFunc(all, func(b *bench) bool { return b.name == "kafka" })
	for _, what := range whats {
		fmt.Printf("%-46s", what)
		for _, b := range all {
			ratio := "-"
			v, ok := median(b.rows, what)
			if at >= 0 && ok {
				if k, ok := median(all[at].rows, what); ok && v > 0 && k > 0 {
					if !more(what) {
						v, k = k, v
					}
					ratio = fmt.Sprintf("%.2f", v/k)
				}
			}
			if b.name != "kafka" {
				fmt.Printf(" %15s", ratio)
			}
		}
		fmt.Print(" |")
		for _, b := range all {
			if v, ok := median(b.rows, what); ok {
				fmt.Printf(" %15.2f", v)
			} else {
				fmt.Printf(" %15s", "-")
			}
		}
		fmt.Println()
	}
}
