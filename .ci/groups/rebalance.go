package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	groupTopic      = "groups"
	groupPartitions = 100
	groupMembers    = 50
)

// settled is how long a stable group rests before the next change: all members have said what they have, and the assignment interval of
// KIP-848 (1 s) is over.
const settled = 1200 * time.Millisecond

// board is who owns what, as the members believe.
type board struct {
	mu   sync.Mutex
	own  map[int]map[int32]bool
	last time.Time // of the last change
}

func (b *board) change(member int, list map[string][]int32, owns bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.own[member] == nil { // it is leaving
		return
	}
	for _, p := range list[groupTopic] {
		if owns {
			b.own[member][p] = true
		} else {
			delete(b.own[member], p)
		}
	}
	b.last = time.Now()
}

func (b *board) add(member int)    { b.mu.Lock(); b.own[member] = map[int32]bool{}; b.mu.Unlock() }
func (b *board) remove(member int) { b.mu.Lock(); delete(b.own, member); b.mu.Unlock() }

// stable reports whether every partition has one owner and every member its fair share, and since when.
func (b *board) stable(members int) (since time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.own) != members {
		return since, false
	}
	seen := map[int32]bool{}
	for _, own := range b.own {
		if n := len(own); n < groupPartitions/members || n > (groupPartitions+members-1)/members {
			return since, false
		}
		for p := range own {
			if seen[p] {
				return since, false
			}
			seen[p] = true
		}
	}
	return b.last, len(seen) == groupPartitions
}

// wait waits until the group is stable and says how long after from that was.
func (b *board) wait(members int, from time.Time) (time.Duration, error) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if since, ok := b.stable(members); ok {
			return max(since.Sub(from), 0), nil
		}
	}
	return 0, fmt.Errorf("a group of %d members was not stable after a minute", members)
}

// rebalances forms a group, lets one more join, and one leave. With next it is of the consumer protocol.
func (b *bench) rebalances(next bool) error {
	name := "classic"
	if next {
		name = "KIP-848"
	}
	group := fmt.Sprintf("rebalance-%s-%d", name, b.round)
	at := &board{own: map[int]map[int32]bool{}}
	var members []*kgo.Client
	defer func() {
		var wg sync.WaitGroup
		for _, m := range members {
			wg.Go(m.CloseAllowingRebalance)
		}
		wg.Wait()
	}()
	start := func() error {
		id := len(members)
		at.add(id)
		m, err := b.member(group, id, next, at)
		if err == nil {
			members = append(members, m)
		}
		return err
	}
	cpu := b.cpu()
	for range groupMembers {
		if err := start(); err != nil {
			return err
		}
	}
	from := time.Now()
	d, err := at.wait(groupMembers, from)
	if err != nil {
		return fmt.Errorf("%s: forming: %w", name, err)
	}
	b.noteTime("rebalance "+name+": 50 start, stable", d)
	b.note("rebalance "+name+": broker CPU of that, ms", (b.cpu()-cpu)*1000)
	time.Sleep(settled)
	from = time.Now()
	if err := start(); err != nil {
		return err
	}
	if d, err = at.wait(groupMembers+1, from); err != nil {
		return fmt.Errorf("%s: one joins: %w", name, err)
	}
	b.noteTime("rebalance "+name+": one joins, stable", d)
	time.Sleep(settled)
	from = time.Now()
	at.remove(7)
	go members[7].CloseAllowingRebalance()
	if d, err = at.wait(groupMembers, from); err != nil {
		return fmt.Errorf("%s: one leaves: %w", name, err)
	}
	b.noteTime("rebalance "+name+": one leaves, stable", d)
	return nil
}

func (b *bench) member(group string, id int, next bool, at *board) (*kgo.Client, error) {
	opts := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(groupTopic), kgo.HeartbeatInterval(heartbeat), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, list map[string][]int32) { at.change(id, list, true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, list map[string][]int32) { at.change(id, list, false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, list map[string][]int32) { at.change(id, list, false) }),
		kgo.Balancers(kgo.CooperativeStickyBalancer())}
	if next {
		opts = append(opts, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	return b.client(opts...)
}
