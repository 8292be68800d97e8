// Drill runs a cluster of three real nodes in network namespaces, the clients in a fourth, under a load of idempotent producers
// with acks=all, and brings faults upon the leader: kill -9, cut cables (both ways, one way), loss and delay, a pause longer than
// its session, a full file system, a slow disk, the power loss of all nodes at once (a layer under the file adapter forgets what was not
// synced), and bits that flip in segments of followers and of the leader. At the end every acknowledged record must be there once, in order.
//
//	go run ./.ci/drill [-rounds 1] [-faults kill,cut,…] [-keep]
//
// It needs root, for the namespaces. The network between them is a switch of our own (see .ci/nodes), which delays and loses frames.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"klamm/.ci/ledger"
	"klamm/.ci/nodes"
	"klamm/host"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topic      = "drill"
	partitions = 3
	base       = 19092
)

type drill struct {
	bin  string
	c    *nodes.Cluster
	book *ledger.Book
	cl   *kgo.Client
}

// fault is one misfortune: it begins, lasts, and is mended.
type fault struct {
	name string
	run  func(d *drill, leader *nodes.Node) error
}

var faults = []fault{
	{"kill", (*drill).kill},
	{"cut", func(d *drill, n *nodes.Node) error { return d.cut(n, true, true) }},
	{"cut-out", func(d *drill, n *nodes.Node) error { return d.cut(n, false, true) }},
	{"cut-in", func(d *drill, n *nodes.Node) error { return d.cut(n, true, false) }},
	{"bridge", (*drill).bridge},
	{"weather", (*drill).weather},
	{"pause", (*drill).pause},
	{"full", (*drill).full},
	{"slow", (*drill).slow},
	{"power", (*drill).power},
	{"rot", (*drill).rot},
}

func main() {
	if nodes.Main() {
		return
	}
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	rounds := flag.Int("rounds", 1, "how often each fault comes")
	only := flag.String("faults", strings.Join(names, ","), "which faults")
	keep := flag.Bool("keep", false, "keep the directory with logs and data")
	flag.Parse()
	for _, name := range strings.Split(*only, ",") {
		if !slices.Contains(names, name) {
			fmt.Fprintf(os.Stderr, "drill: no fault is called %s; there are %s\n", name, strings.Join(names, ", "))
			os.Exit(2)
		}
	}
	if err := run(*rounds, strings.Split(*only, ","), *keep); err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		os.Exit(1)
	}
}

func run(rounds int, only []string, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "klamm-drill-")
	if err != nil {
		return err
	}
	d := &drill{book: ledger.New(topic, partitions)}
	defer func() {
		if d.c != nil {
			d.c.Stop()
			for _, n := range d.c.Nodes {
				if slices.Contains(only, "full") {
					exec.Command("umount", filepath.Join(n.Dir, "data")).Run()
				}
			}
		}
		if err == nil && !keep {
			os.RemoveAll(dir)
		} else {
			fmt.Printf("logs and data are in %s\n", dir)
		}
	}()
	if d.bin, err = nodes.Build(dir); err != nil {
		return err
	}
	if d.c, err = nodes.New(dir, 3, base, "klammd", scrubSettings); err != nil {
		return err
	}
	if err = d.c.MakeSpaces(); err != nil {
		return err
	}
	for _, n := range d.c.Nodes {
		n.Args = []string{"--fault-layer", "lossy"}
		if slices.Contains(only, "full") {
			if err = smallDisk(filepath.Join(n.Dir, "data")); err != nil {
				return err
			}
		}
		if err = n.Start(d.bin); err != nil {
			return err
		}
	}
	for _, n := range d.c.Nodes {
		if err = n.WaitUp(20 * time.Second); err != nil {
			return err
		}
	}
	d.book.Dial = d.c.Dial
	if d.cl, err = d.book.Producer(d.c.Addrs()...); err != nil {
		return err
	}
	if err = d.book.CreateTopic(d.cl, 3, map[string]string{"min.insync.replicas": "2", "segment.bytes": "16777216"}); err != nil {
		return err
	}
	return d.go_(rounds, only)
}

// smallDisk gives a node a file system of its own, so that it can be filled.
func smallDisk(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1g", "klamm-drill", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %v: %s", err, out)
	}
	return nil
}

func (d *drill) go_(rounds int, only []string) error {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for p := range partitions {
		wg.Go(func() { d.book.Produce(d.cl, int32(p), 500, time.Millisecond, stop) })
	}
	gap := &gaps{book: d.book}
	wg.Go(func() { gap.watch(stop) })
	failed := func() error {
		for range rounds {
			for _, f := range faults {
				if slices.Contains(only, f.name) {
					if err := d.one(f, gap); err != nil {
						return fmt.Errorf("%s: %w", f.name, err)
					}
				}
			}
		}
		return nil
	}()
	close(stop)
	if failed != nil {
		d.cl.Close() // what the producers wait for may never come
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := d.cl.Flush(ctx); err != nil {
		return fmt.Errorf("the last records were not acknowledged within a minute: %w", err)
	}
	d.cl.Close()
	wrong, err := d.book.Verify(true, d.c.Addrs()...)
	if err != nil {
		return err
	}
	wrong = append(wrong, d.book.Twice()...)
	fmt.Printf("%d records acknowledged, %d given up, %d violations\n", d.book.Acked(), d.book.Failed(), len(wrong))
	for _, w := range wrong[:min(len(wrong), 10)] {
		fmt.Println("  " + w)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("promises were broken")
	}
	return nil
}

// one brings one fault upon the leader of partition 0 and waits until the cluster is whole again.
func (d *drill) one(f fault, gap *gaps) error {
	if err := nodes.WaitInSync(d.cl, topic, partitions, 3, 60*time.Second); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	id, _, err := nodes.Leader(ctx, d.cl, topic, 0)
	if err != nil {
		return err
	}
	before := d.book.Acked()
	gap.reset()
	from := time.Now()
	if err := f.run(d, d.c.Nodes[id-1]); err != nil {
		return err
	}
	took := time.Since(from)
	if err := nodes.WaitInSync(d.cl, topic, partitions, 3, 60*time.Second); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	after := d.book.Acked() - before
	fmt.Printf("%-8s leader %d, for %5.1f s, whole again after %5.1f s, longest without an acknowledgement %6d ms, %7d acknowledged\n",
		f.name, id, took.Seconds(), (time.Since(from) - took).Seconds(), gap.longest().Milliseconds(), after)
	if after == 0 {
		return fmt.Errorf("nothing was acknowledged")
	}
	return nil
}

// gaps measures how long no acknowledgement came.
type gaps struct {
	book *ledger.Book
	mu   sync.Mutex
	from time.Time
	most time.Duration
}

func (g *gaps) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most = 0
	g.from = time.Now()
}

func (g *gaps) longest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

func (g *gaps) watch(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
		last := g.book.LastOK()
		g.mu.Lock()
		if last.Before(g.from) {
			last = g.from
		}
		if d := time.Since(last); !g.from.IsZero() && d > g.most {
			g.most = d
		}
		g.mu.Unlock()
	}
}

func (d *drill) kill(n *nodes.Node) error {
	n.Kill()
	time.Sleep(5 * time.Second)
	return n.Start(d.bin)
}

// cut takes the leader off the others, clients included.
func (d *drill) cut(n *nodes.Node, in, out bool) error {
	if in {
		d.c.Switch.Order("* %d cut", n.ID)
	}
	if out {
		d.c.Switch.Order("%d * cut", n.ID)
	}
	time.Sleep(15 * time.Second)
	return d.c.Switch.Order("* * open")
}

// bridge leaves one node that reaches both others, which do not reach each other.
func (d *drill) bridge(n *nodes.Node) error {
	other := d.c.Nodes[n.ID%3]
	d.c.Switch.Order("%d %d cut", n.ID, other.ID)
	d.c.Switch.Order("%d %d cut", other.ID, n.ID)
	time.Sleep(15 * time.Second)
	return d.c.Switch.Order("* * open")
}

func (d *drill) weather(*nodes.Node) error {
	d.c.Switch.Order("* * delay 2000 3000")
	d.c.Switch.Order("* * loss 10")
	time.Sleep(15 * time.Second)
	return d.c.Switch.Order("* * open")
}

// pause stops the leader's process for longer than its session.
func (d *drill) pause(n *nodes.Node) error {
	if err := n.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(15 * time.Second)
	return n.Signal(syscall.SIGCONT)
}

// full fills the leader's file system until the node stops or the time is over, then makes room and starts it again.
func (d *drill) full(n *nodes.Node) error {
	fill := filepath.Join(n.Dir, "data", "ballast")
	exec.Command("dd", "if=/dev/zero", "of="+fill, "bs=1M").Run() // ends when the disk is full
	_, ended := n.Ended(15 * time.Second)
	if err := os.Remove(fill); err != nil {
		return err
	}
	if !ended {
		n.Kill()
	}
	return n.Start(d.bin)
}

// slow makes each write and each sync of the leader's disk take 50 to 200 ms longer, and tells what became of the throughput and
// of the in-sync sets.
func (d *drill) slow(n *nodes.Node) error {
	const span = 15 * time.Second
	file := filepath.Join(n.Dir, "data", host.SlowFile)
	before := d.rate(span / 3)
	if err := os.WriteFile(file, []byte("50 200"), 0o644); err != nil {
		return err
	}
	least, moved, changes := 3, 0, 0
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		last := make([]int, partitions)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			for p := range partitions {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				leader, inSync, err := nodes.Leader(ctx, d.cl, topic, int32(p))
				cancel()
				if err != nil {
					continue
				}
				if least = min(least, inSync); last[p] != 0 && last[p] != inSync {
					changes++
				}
				if last[p] = inSync; p == 0 && leader != n.ID {
					moved = leader
				}
			}
		}
	})
	during := d.rate(span)
	close(stop)
	wg.Wait()
	if err := os.Remove(file); err != nil {
		return err
	}
	after := d.rate(span / 3)
	fmt.Printf("         slow disk of node %d: %.0f acknowledged a second before, %.0f meanwhile, %.0f afterwards; in sync at least %d of 3, %d changes; ",
		n.ID, before, during, after, least, changes)
	if moved == 0 {
		fmt.Println("it led on")
	} else {
		fmt.Printf("node %d took over\n", moved)
	}
	if during == 0 {
		return fmt.Errorf("nothing was acknowledged while the disk was slow")
	}
	return nil
}

// rate is how many records are acknowledged in a second.
func (d *drill) rate(span time.Duration) float64 {
	from, at := d.book.Acked(), time.Now()
	time.Sleep(span)
	return float64(d.book.Acked()-from) / time.Since(at).Seconds()
}

// power takes all nodes down at once, with all that was not synced.
func (d *drill) power(*nodes.Node) error {
	for _, n := range d.c.Nodes {
		n.Signal(syscall.SIGKILL)
	}
	for _, n := range d.c.Nodes {
		n.Kill()
	}
	for _, n := range d.c.Nodes {
		if err := n.Start(d.bin); err != nil {
			return err
		}
	}
	return nil
}
