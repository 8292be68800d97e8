package nodes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Coordinators are settings under which groups and transactions go through their lives quickly: few partitions of the internal topics,
// with segments so short that they are cleaned again and again while nodes are killed.
func Coordinators(more map[string]string) map[string]string {
	settings := map[string]string{
		"group.initial.rebalance.delay.ms": "0", "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
		"transaction.state.log.num.partitions": "3", "offsets.topic.num.partitions": "3", "transaction.state.log.min.isr": "2",
		"log.roll.ms": "2000", "log.cleaner.backoff.ms": "500", "log.cleaner.min.cleanable.ratio": "0.1",
	}
	maps.Copy(settings, more)
	return settings
}

// Options are those of a client that shall find its way quickly while nodes come and go.
func (c *Cluster) Options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(c.Addrs()...), kgo.MetadataMinAge(50 * time.Millisecond), kgo.RecordDeliveryTimeout(2 * time.Minute),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond })}, more...)
}

// CreateTopics creates topics of three replicas.
func CreateTopics(cl *kgo.Client, partitions int32, names ...string) error {
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

// WaitRegistered waits until every broker is one that replicas can be put on: a node is up before it is registered.
func (c *Cluster) WaitRegistered(cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
		if err != nil || len(resp.Brokers) == len(c.Nodes) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Fire is a time in which nodes and processes of clients are killed.
type Fire struct {
	context.Context
	out    context.CancelFunc
	Nodes  int // that were killed
	start  time.Time
	Killed []*Deaths // of the processes that must have been killed before it is over
}

// Deaths counts the ends of a process and its successors.
type Deaths struct{ Killed, Died atomic.Int64 }

// NewFire begins a fire.
func NewFire() *Fire {
	f := &Fire{start: time.Now()}
	f.Context, f.out = context.WithCancel(context.Background())
	return f
}

// Burn kills one node after the other with SIGKILL, every second or two, and starts it again less than a second later, for as long as
// it is told to, and at most three times as long until each of the processes was killed so often: where many share a processor, a
// client may take long to begin.
func (f *Fire) Burn(c *Cluster, bin string, span time.Duration, each int64) error {
	defer f.out()
	enough := func() bool {
		return time.Since(f.start) >= span && !slices.ContainsFunc(f.Killed, func(d *Deaths) bool { return d.Killed.Load() < each })
	}
	for time.Since(f.start) < 3*span && !enough() {
		time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		n := c.Nodes[rand.IntN(len(c.Nodes))]
		n.Kill()
		f.Nodes++
		time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		if err := n.Start(bin); err != nil {
			return err
		}
	}
	return nil
}

// Revive keeps a process of clients alive until ctx is done: one that ended, or was killed with SIGKILL when its time was over, has
// a successor. One that kills itself so, or ends with 137 as if it had, counts as killed. Next is asked for each one and for how
// long it lives while the fire lasts, or 0 for as long as it likes. At the end the last one is interrupted, and killed if it takes
// longer than 15 seconds to go. Their output is appended to the file log.
func (f *Fire) Revive(ctx context.Context, log string, deaths *Deaths, next func() (*exec.Cmd, time.Duration)) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	for ctx.Err() == nil {
		cmd, life := next()
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if f.outlive(ctx, cmd, ended, life, deaths) {
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

// outlive waits until a process has ended, and reports whether it did so by itself.
func (f *Fire) outlive(ctx context.Context, cmd *exec.Cmd, ended chan error, life time.Duration, deaths *Deaths) bool {
	var kill <-chan time.Time
	if life > 0 {
		kill = time.After(life)
	}
	select {
	case <-kill:
		if f.Err() == nil {
			deaths.Killed.Add(1)
			_ = cmd.Process.Kill()
			<-ended
			return false
		}
		return f.outlive(ctx, cmd, ended, 0, deaths)
	case err := <-ended:
		if exit := new(exec.ExitError); errors.As(err, &exit) && (exit.ExitCode() == 137 || exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL) {
			deaths.Killed.Add(1)
		} else {
			deaths.Died.Add(1)
		}
		return true
	case <-ctx.Done():
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		return false
	}
}

// Markers reads a topic from its beginning to its end and calls back for every end of a transaction in it.
func (c *Cluster) Markers(ctx context.Context, topic string, each func(r *kgo.Record, commit bool)) error {
	cl, err := kgo.NewClient(c.Options(kgo.ConsumeTopics(topic), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for quiet := time.Now(); time.Since(quiet) < 2*time.Second; {
		poll, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		fetches := cl.PollFetches(poll)
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fetches.EachRecord(func(r *kgo.Record) {
			quiet = time.Now()
			if r.Attrs.IsControl() && len(r.Key) >= 4 {
				each(r, binary.BigEndian.Uint16(r.Key[2:]) == 1)
			}
		})
	}
	return nil
}
