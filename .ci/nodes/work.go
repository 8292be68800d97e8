package nodes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

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

// KillUntil kills one node after the other with SIGKILL, every second or two, and starts it again less than a second later.
func (c *Cluster) KillUntil(end time.Time, bin string) (kills int, err error) {
	for time.Now().Before(end) {
		time.Sleep(time.Duration(500+rand.IntN(1500)) * time.Millisecond)
		n := c.Nodes[rand.IntN(len(c.Nodes))]
		n.Kill()
		kills++
		time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		if err := n.Start(bin); err != nil {
			return kills, err
		}
	}
	return kills, nil
}

// Revive keeps a process of clients alive until ctx is done: one that ended, or was killed with SIGKILL when its time was over, has
// a successor. One that kills itself so, or ends with 137 as if it had, counts as killed. Next is asked for each one and for how long it lives, or 0 for as long as it likes. At the end the last one is
// interrupted, and killed if it takes longer than 15 seconds to go. Their output is appended to the file log.
func Revive(ctx context.Context, log string, next func() (*exec.Cmd, time.Duration)) (killed, died int, err error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, 0, err
	}
	defer out.Close()
	for ctx.Err() == nil {
		cmd, life := next()
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return killed, died, err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var kill <-chan time.Time
		if life > 0 {
			kill = time.After(life)
		}
		select {
		case err := <-ended:
			if exit := new(exec.ExitError); errors.As(err, &exit) && (exit.ExitCode() == 137 || exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL) {
				killed++
			} else {
				died++
			}
			time.Sleep(100 * time.Millisecond)
			continue
		case <-kill:
			killed++
			_ = cmd.Process.Kill()
		case <-ctx.Done():
			_ = cmd.Process.Signal(os.Interrupt)
			select {
			case <-ended:
				return killed, died, nil
			case <-time.After(15 * time.Second):
				_ = cmd.Process.Kill()
			}
		}
		<-ended
	}
	return killed, died, nil
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
