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

	"klamm/.ci/ledger"
)

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
	l.partitions, l.book = *partitions, ledger.New("killloop", *partitions)
	lost := l.run(*rounds)
	l.kill()
	lost = append(lost, l.book.Twice()...)
	acked := l.book.Acked()
	fmt.Printf("%d kills, %d records acknowledged, %d refused, layer %q, durability %s: %d violations\n", l.kills, acked, l.book.Failed(), *layer, *durability, len(lost))
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
	partitions                        int
	book                              *ledger.Book
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
	if c, err := net.Dial("tcp", l.addr); err == nil {
		c.Close()
		check(fmt.Errorf("something listens on %s already, and would be mistaken for the broker: end it, or choose another --port", l.addr))
	}
	l.start()
	l.waitUp()
	cl, err := l.book.Producer(l.addr)
	check(err)
	shut := sync.OnceFunc(cl.Close)
	defer shut()
	check(l.book.CreateTopic(cl, 1, map[string]string{"segment.bytes": "33554432"}))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for p := range l.partitions {
		wg.Go(func() { l.book.Produce(cl, int32(p), 200, 0, stop) })
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
	if len(lost) > 0 {
		shut() // what the producers wait for may never come: the topic itself may be lost
	}
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

// verify compares what was acknowledged with what is there.
func (l *loop) verify(whole bool) []string {
	wrong, err := l.book.Verify(whole, l.addr)
	check(err)
	return wrong
}
