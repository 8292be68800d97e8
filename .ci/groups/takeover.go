package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"klamm/.ci/nodes"
)

const (
	offsetsTopic   = "__consumer_offsets"
	offsetsShard   = 7 // the partition that keeps them all
	offsetsShards  = 50
	takeoverGroups = 100_000 / groupPartitions
)

// shardOf is the partition of __consumer_offsets that keeps a group.
func shardOf(group string) int32 {
	var h int32
	for _, c := range group {
		h = 31*h + c
	}
	return max(h, -h) % offsetsShards
}

// groupsOfShard are names of groups that one partition keeps.
func groupsOfShard() (names []string) {
	for i := 0; len(names) < takeoverGroups; i++ {
		if name := fmt.Sprintf("takeover-%d", i); shardOf(name) == offsetsShard {
			names = append(names, name)
		}
	}
	return names
}

// asker asks nodes for offsets, each by itself.
type asker struct {
	*bench
	cl    *kgo.Client
	names []string
	value int64 // of every offset; another each round
}

// takeovers commits 100,000 offsets and measures who can tell them again, how soon.
func (b *bench) takeovers() error {
	versions := kversion.Stable() // those that name topics
	versions.SetMaxKeyVersion(8, 9)
	versions.SetMaxKeyVersion(9, 9)
	cl, err := b.client(kgo.MaxVersions(versions), kgo.Dialer((&net.Dialer{Timeout: time.Second}).DialContext))
	if err != nil {
		return err
	}
	defer cl.Close()
	a := &asker{bench: b, cl: cl, names: groupsOfShard(), value: int64(1000 + b.round)}
	if err := a.commit(); err != nil {
		return err
	}
	return a.measure()
}

func (a *asker) measure() error {
	if err := a.elect(); err != nil {
		return err
	}
	old, err := a.leader()
	if err != nil {
		return err
	}
	if err := a.s.Kill(old); err != nil {
		return err
	}
	from := time.Now()
	if err := a.told("takeover: kill -9, offsets told", from, old); err != nil {
		return err
	}
	if err := a.s.Restart(old); err != nil {
		return err
	}
	if err := a.whole(); err != nil {
		return err
	}
	now, err := a.leader()
	if err != nil {
		return err
	}
	from = time.Now()
	if err := a.elect(); err != nil {
		return err
	}
	if err := a.told("takeover: election, offsets told", from, now); err != nil {
		return err
	}
	if !a.last {
		return nil
	}
	for id := 1; id <= 3; id++ {
		if err := a.s.Kill(id); err != nil {
			return err
		}
	}
	time.Sleep(100 * time.Millisecond) // the processes are gone
	from = time.Now()
	errs := make(chan error, 1)
	go func() { errs <- a.s.RestartAll() }()
	if err := a.told("takeover: restart of all, offsets told", from, 0); err != nil {
		return err
	}
	if err := <-errs; err != nil {
		return err
	}
	return a.whole()
}

// commit commits an offset in every partition for every group.
func (a *asker) commit() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	work := make(chan string)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	began := time.Now()
	for range 8 {
		wg.Go(func() {
			for name := range work {
				if err := a.commitOne(ctx, name); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	for _, name := range a.names {
		work <- name
	}
	close(work)
	wg.Wait()
	a.note("takeover: offsets committed/s", float64(len(a.names)*groupPartitions)/time.Since(began).Seconds())
	return failed
}

func (a *asker) commitOne(ctx context.Context, name string) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = name, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = groupTopic
	for p := range groupPartitions {
		row := kmsg.NewOffsetCommitRequestTopicPartition()
		row.Partition, row.Offset, row.LeaderEpoch = int32(p), a.value+int64(p), -1
		t.Partitions = append(t.Partitions, row)
	}
	req.Topics = append(req.Topics, t)
	for {
		resp, err := req.RequestWith(ctx, a.cl)
		if err != nil {
			return err
		}
		err = nil
		for _, p := range resp.Topics[0].Partitions {
			if e := kerr.ErrorForCode(p.ErrorCode); e != nil {
				err = e
			}
		}
		if !kerr.IsRetriable(err) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// told asks every node but one until one tells the offsets of the last group, and then of all groups.
func (a *asker) told(what string, from time.Time, but int) error {
	last := a.names[len(a.names)-1:]
	for time.Since(from) < 3*time.Minute {
		for id := 1; id <= 3; id++ {
			if id == but || a.ask(id, last) != 1 {
				continue
			}
			a.noteTime(what, time.Since(from))
			if n := a.ask(id, a.names); n != len(a.names) {
				return fmt.Errorf("%s: of %d groups %d have the right offsets", what, len(a.names), n)
			}
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("%s: not within three minutes", what)
}

// ask counts the groups whose offsets a node tells rightly.
func (a *asker) ask(id int, names []string) (right int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, name := range names {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = name
		req.Groups = append(req.Groups, g)
	}
	got, err := a.cl.Broker(id).Request(ctx, req)
	if err != nil {
		return 0
	}
	for _, g := range got.(*kmsg.OffsetFetchResponse).Groups {
		good := 0
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if t.Topic == groupTopic && p.ErrorCode == 0 && p.Offset == a.value+int64(p.Partition) {
					good++
				}
			}
		}
		if g.ErrorCode == 0 && good == groupPartitions {
			right++
		}
	}
	return right
}

func (a *asker) leader() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	id, _, err := nodes.Leader(ctx, a.cl, offsetsTopic, offsetsShard)
	return id, err
}

// whole waits until all replicas of every topic that is used here are in sync.
func (a *asker) whole() error {
	for topic, n := range map[string]int{offsetsTopic: offsetsShards, groupTopic: groupPartitions, txnTopic: txnPartitions} {
		if err := nodes.WaitInSync(a.cl, topic, n, 3, 60*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// elect makes the preferred replica of the partition its leader.
func (a *asker) elect() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = 10000
	t := kmsg.NewElectLeadersRequestTopic()
	t.Topic, t.Partitions = offsetsTopic, []int32{offsetsShard}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, a.cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil && !errors.Is(err, kerr.ElectionNotNeeded) {
				return err
			}
		}
	}
	return kerr.ErrorForCode(resp.ErrorCode)
}
