package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/.ci/ledger"
)

const topic = "ledger"

// load is the traffic on a cluster, and what is checked of it.
type load struct {
	r       *report
	c       *cluster
	cl      *kgo.Client
	adm     *kadm.Client
	book    *ledger.Book
	assign  [][]int32
	stop    chan struct{}
	wg      sync.WaitGroup
	commits map[string]int64 // by group: the offset that was committed
	led     map[string]int   // by kind: leaderships that were seen
	coords  map[string]int   // by kind: coordinators that were seen
}

// assignments spreads partitions over the brokers so that each leads as many as any other, with other followers each time.
func (c *cluster) assignments(each, replicas int) (all [][]int32) {
	brokers := c.brokers()
	n := len(brokers)
	for i := range each * n {
		first, step := i%n, 1+i/n%(n-1)
		row := []int32{int32(brokers[first].id)}
		for j := step; len(row) < min(replicas, n); j = j%(n-1) + 1 {
			row = append(row, int32(brokers[(first+j)%n].id))
		}
		all = append(all, row)
	}
	return all
}

// begin makes the topic and starts the producers.
func begin(r *report, c *cluster) (l *load, err error) {
	l = &load{r: r, c: c, assign: c.assignments(3, 3), stop: make(chan struct{}), commits: map[string]int64{}, led: map[string]int{}, coords: map[string]int{}}
	l.book = ledger.New(topic, len(l.assign))
	if l.cl, err = l.book.Producer(c.addrs()...); err != nil {
		return nil, err
	}
	l.adm = kadm.NewClient(l.cl)
	if err := l.createTopic(); err != nil {
		return nil, err
	}
	if err := l.whole(60 * time.Second); err != nil {
		return nil, err
	}
	for p := range l.assign {
		l.wg.Add(1)
		go func() { defer l.wg.Done(); l.book.Produce(l.cl, int32(p), 100, 5*time.Millisecond, l.stop) }()
	}
	return l, l.commitAll(l.adm)
}

func (l *load) createTopic() error {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	for p, replicas := range l.assign {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(p), Replicas: replicas})
	}
	two := "2"
	t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: "min.insync.replicas", Value: &two})
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 15000
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, l.cl)
	if err != nil {
		return err
	}
	if code := resp.Topics[0].ErrorCode; code != 0 {
		return fmt.Errorf("create topic: error code %d", code)
	}
	return nil
}

// state asks for the leaders and how many partitions have all replicas in sync.
func (l *load) state() (leaders []int32, whole int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range []string{topic, "__consumer_offsets"} {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, l.cl)
	if err != nil {
		return nil, 0, err
	}
	leaders = make([]int32, len(l.assign))
	for p := range leaders {
		leaders[p] = -1
	}
	lacking := 0
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if *t.Topic == topic {
				leaders[p.Partition] = p.Leader
			}
			switch {
			case p.Leader < 0 || len(p.ISR) < len(p.Replicas):
				lacking++
			case *t.Topic == topic:
				whole++
			}
		}
	}
	if lacking > 0 {
		whole = min(whole, len(l.assign)-1)
	}
	return leaders, whole, nil
}

// whole waits until every partition has all replicas in sync, on three looks in a row: each may go to another broker.
func (l *load) whole(within time.Duration) error {
	last, good := "", 0
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		leaders, n, err := l.state()
		if good++; err != nil || n < len(l.assign) {
			good, last = 0, fmt.Sprintf("%d of %d partitions have all replicas in sync, leaders %v, %v", n, len(l.assign), leaders, err)
		}
		if good == 3 {
			return nil
		}
	}
	return fmt.Errorf("after %v: %s", within, last)
}

// preferred gives every leadership to the first replica, through a broker that has to pass the request on to its controller.
func (l *load) preferred() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	set := kadm.TopicsSet{}
	for p := range l.assign {
		set.Add(topic, int32(p))
	}
	rows, err := l.adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
	if err != nil {
		return err
	}
	for _, t := range rows {
		for _, p := range t {
			if p.Err != nil && !strings.Contains(p.Err.Error(), "ELECTION_NOT_NEEDED") {
				return fmt.Errorf("elect %s-%d: %w", p.Topic, p.Partition, p.Err)
			}
		}
	}
	return nil
}

// reassign moves every replica of the topic's partitions to the next broker, all at once, and waits until it is done.
func (l *load) reassign() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	next := map[int32]int32{}
	all := l.c.brokers()
	for i, n := range all {
		next[int32(n.id)] = int32(all[(i+1)%len(all)].id)
	}
	var req kadm.AlterPartitionAssignmentsReq
	for p, row := range l.assign {
		moved := make([]int32, len(row))
		for i, id := range row {
			moved[i] = next[id]
		}
		l.assign[p] = moved
		req.Assign(topic, int32(p), moved)
	}
	resp, err := l.adm.AlterPartitionAssignments(ctx, req)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		return fmt.Errorf("reassign: %w", err)
	}
	began := time.Now()
	for {
		left, err := l.adm.ListPartitionReassignments(ctx, nil)
		if err != nil {
			return fmt.Errorf("reassignments: %w", err)
		}
		if len(left) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := l.whole(60 * time.Second); err != nil {
		return err
	}
	meta, err := l.adm.Metadata(ctx, topic)
	if err != nil {
		return err
	}
	for p, row := range l.assign {
		if got := meta.Topics[topic].Partitions[int32(p)].Replicas; !slices.Equal(got, row) {
			return fmt.Errorf("partition %d was to move to %v and is at %v", p, row, got)
		}
	}
	l.r.say("all %d partitions moved to other brokers under load, after %.1f s", len(l.assign), time.Since(began).Seconds())
	return l.verify(false)
}

// waitLeaders waits until nobody but the down node's peers leads, and every partition is led.
func (l *load) waitLeaders(without int, within time.Duration) (time.Duration, error) {
	began, last := time.Now(), ""
	for time.Since(began) < within {
		leaders, _, err := l.state()
		good := err == nil
		for _, id := range leaders {
			good = good && id >= 0 && int(id) != without
		}
		if good {
			return time.Since(began), nil
		}
		last = fmt.Sprint(leaders, " ", err)
		time.Sleep(50 * time.Millisecond)
	}
	return 0, fmt.Errorf("%v after node %d went down the leaders are %s", within, without, last)
}

// acksGrow waits for acknowledgements that came after now.
func (l *load) acksGrow(within time.Duration) (time.Duration, error) {
	began := time.Now()
	for n := l.book.Acked(); time.Since(began) < within; time.Sleep(20 * time.Millisecond) {
		if l.book.Acked() > n+len(l.assign) {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("no acknowledgement for %v", within)
}

func (c *cluster) node(id int) *node { return c.nodes[id-1] }

// look counts who leads.
func (l *load) look() error {
	leaders, _, err := l.state()
	if err != nil {
		return err
	}
	for _, id := range leaders {
		if id > 0 {
			l.led[l.c.node(int(id)).kind]++
		}
	}
	return nil
}

// fault ends a node while the producers work, brings it back, and verifies what was acknowledged.
func (l *load) fault(n *node, s syscall.Signal) error {
	return l.faultWith(n, s, func() error { return nil })
}

// faultWith is fault with something that is done while the node is down.
func (l *load) faultWith(n *node, s syscall.Signal, meanwhile func() error) error {
	if err := l.preferred(); err != nil {
		return err
	}
	if err := l.whole(90 * time.Second); err != nil {
		return err
	}
	if err := l.look(); err != nil {
		return err
	}
	before, what, name := l.book.Acked(), "kill -9", n.String()
	if s == syscall.SIGTERM {
		what = "stop"
	}
	at := time.Now()
	if err := n.end(s); err != nil {
		return err
	}
	if n.broker() {
		if _, err := l.waitLeaders(n.id, 60*time.Second); err != nil {
			return err
		}
	}
	led := time.Since(at)
	if _, err := l.acksGrow(60 * time.Second); err != nil {
		return err
	}
	if err := l.look(); err != nil {
		return err
	}
	if err := meanwhile(); err != nil {
		return err
	}
	time.Sleep(time.Second)
	if err := n.start(); err != nil {
		return err
	}
	if err := n.waitReady(120 * time.Second); err != nil {
		return err
	}
	back := time.Now()
	if err := l.whole(120 * time.Second); err != nil {
		return err
	}
	l.r.say("%s of %s: led by others after %.1f s; %.1f s after its return all in sync; %d acknowledged meanwhile", what, name, led.Seconds(), time.Since(back).Seconds(), l.book.Acked()-before)
	return l.verify(false)
}

func (l *load) verify(whole bool) error {
	wrong, err := l.book.Verify(whole, l.c.addrs()...)
	if err != nil {
		return err
	}
	for i, w := range wrong {
		if i < 5 {
			l.r.bad("%s", w)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d violations by the ledger", len(wrong))
	}
	return l.checkCommits()
}

// commitAll commits an offset for each of several groups, whose coordinators are of both kinds.
func (l *load) commitAll(adm *kadm.Client) error {
	for i := range 6 {
		group := fmt.Sprintf("group-%d", i)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		offsets := kadm.Offsets{}
		next := l.commits[group] + int64(i) + 1
		offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: next, LeaderEpoch: -1})
		err := adm.CommitAllOffsets(ctx, group, offsets)
		cancel()
		if err != nil {
			return fmt.Errorf("commit of %s: %w", group, err)
		}
		l.commits[group] = next
	}
	return nil
}

// checkCommits reads every group's offset again and commits the next. Its client is new: no connection of it was cut by a fault.
func (l *load) checkCommits() error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.c.addrs()...))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	var groups []string
	for g := range l.commits {
		groups = append(groups, g)
	}
	sort.Strings(groups)
	for _, g := range groups {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		at, err := adm.FetchOffsets(ctx, g)
		if err == nil {
			if found := adm.FindGroupCoordinators(ctx, g); found.Error() == nil {
				l.coords[l.c.node(int(found[g].NodeID)).kind]++
			}
		}
		cancel()
		if err != nil {
			return fmt.Errorf("offsets of %s: %w", g, err)
		}
		o, _ := at.Lookup(topic, 0)
		if o.At != l.commits[g] {
			l.r.bad("%s: committed was %d, and %d is there", g, l.commits[g], o.At)
		}
	}
	return l.commitAll(adm)
}

// finish stops the producers, verifies everything, stops the cluster and compares what the replicas hold.
func (l *load) finish() error {
	close(l.stop)
	l.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := l.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if err := l.whole(90 * time.Second); err != nil {
		return err
	}
	if err := l.verify(true); err != nil {
		return err
	}
	for _, t := range l.book.Twice() {
		l.r.bad("%s", t)
	}
	l.r.say("%d records acknowledged with acks=all, %d given up; each is there once, in order, at its offset", l.book.Acked(), l.book.Failed())
	l.r.say("leaderships seen: %d of Klamm, %d of Apache Kafka; coordinators of groups: %d and %d", l.led[klamm], l.led[kafka], l.coords[klamm], l.coords[kafka])
	if l.led[klamm] == 0 || l.led[kafka] == 0 {
		l.r.bad("only one kind ever led: nothing was shown")
	}
	time.Sleep(2 * time.Second)
	quorum, err := l.quorum()
	if err != nil {
		return err
	}
	l.cl.Close()
	if err := l.c.stopAll(); err != nil {
		return err
	}
	return errors.Join(l.c.compare(l.r, uint64(quorum.HighWatermark)), l.c.inspect(l.r))
}
