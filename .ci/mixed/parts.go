package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const both = "broker,controller"

// up formats and starts a cluster and its load.
func up(r *report, c *cluster) (*load, error) {
	if err := c.portsFree(); err != nil {
		return nil, err
	}
	if err := c.format(); err != nil {
		return nil, err
	}
	if err := c.startAll(); err != nil {
		return nil, err
	}
	return begin(r, c)
}

// active asks who is the active controller.
func (l *load) active() (*node, error) {
	p, err := l.quorum()
	if err != nil {
		return nil, err
	}
	return l.c.node(int(p.LeaderID)), nil
}

// quorum asks who leads the metadata log, and what of it is committed.
func (l *load) quorum() (p kmsg.DescribeQuorumResponseTopicPartition, last error) {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		q := kmsg.NewPtrDescribeQuorumRequest()
		t := kmsg.NewDescribeQuorumRequestTopic()
		t.Topic = "__cluster_metadata"
		t.Partitions = append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
		q.Topics = append(q.Topics, t)
		resp, err := q.RequestWith(ctx, l.cl)
		cancel()
		if last = err; err != nil {
			continue
		}
		if len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1 {
			if p = resp.Topics[0].Partitions[0]; p.ErrorCode == 0 && p.LeaderID > 0 {
				return p, nil
			}
		}
		last = fmt.Errorf("DescribeQuorum answers %+v", resp)
	}
	return p, last
}

// other is a node of a kind that is not the one given.
func (l *load) other(kind string, than *node) *node {
	for _, n := range l.c.brokers() {
		if n.kind == kind && n != than {
			return n
		}
	}
	return nil
}

// snapshotsSoon has controllers make snapshots of the metadata often, and drop what is below them.
var snapshotsSoon = []string{"metadata.log.max.record.bytes.between.snapshots=3000", "metadata.max.retention.bytes=2000"}

// forget removes the copy of the metadata log from the directory of a node that is down, which is no voter: it is given a new one.
func (n *node) forget() error { return os.RemoveAll(filepath.Join(n.data(), "__cluster_metadata-0")) }

// fromSnapshot tells whether a node that had forgotten the metadata got them by a snapshot.
func (n *node) fromSnapshot(r *report) error {
	dir := filepath.Join(n.data(), "__cluster_metadata-0")
	snapshots, err := filepath.Glob(filepath.Join(dir, "*.checkpoint"))
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(dir, "00000000000000000000.log"))
	if len(snapshots) == 0 || err == nil {
		r.bad("%v got the metadata log from its start: no snapshot was fetched", n)
		return nil
	}
	r.say("%v came back without its metadata log and fetched %s", n, filepath.Base(snapshots[0]))
	return nil
}

// klammBrokers: a quorum of three Apache Kafka nodes, which are brokers as well, and two Klamm brokers.
func klammBrokers(r *report, c *cluster) error {
	for range 3 {
		c.add(kafka, both)
	}
	c.add(klamm, "broker")
	c.add(klamm, "broker")
	c.settings = snapshotsSoon
	l, err := up(r, c)
	if err != nil {
		return err
	}
	for range *rounds {
		if err := l.fault(c.node(4), syscall.SIGKILL); err != nil {
			return err
		}
		lead, err := l.active()
		if err != nil {
			return err
		}
		r.say("the active controller is %v", lead)
		if err := l.fault(lead, syscall.SIGKILL); err != nil {
			return err
		}
		if err := l.faultWith(c.node(5), syscall.SIGTERM, c.node(5).forget); err != nil {
			return err
		}
		if err := c.node(5).fromSnapshot(r); err != nil {
			return err
		}
		if lead, err = l.active(); err != nil {
			return err
		}
		if err := l.fault(l.other(kafka, lead), syscall.SIGTERM); err != nil {
			return err
		}
		if err := l.reassign(); err != nil {
			return err
		}
	}
	return l.finish()
}

// kafkaBrokers: a quorum of three Klamm controllers, two Apache Kafka brokers and a Klamm broker. Apache Kafka's brokers send a
// heartbeat every 2 s, which is as long as Klamm's own sessions are: the session gets Apache Kafka's default.
func kafkaBrokers(r *report, c *cluster) error {
	for range 3 {
		c.add(klamm, "controller")
	}
	c.add(kafka, "broker")
	c.add(kafka, "broker")
	c.add(klamm, "broker")
	c.settings = append([]string{"broker.session.timeout.ms=9000"}, snapshotsSoon...)
	l, err := up(r, c)
	if err != nil {
		return err
	}
	for range *rounds {
		if err := l.fault(c.node(4), syscall.SIGKILL); err != nil {
			return err
		}
		lead, err := l.active()
		if err != nil {
			return err
		}
		if err := l.fault(lead, syscall.SIGKILL); err != nil {
			return err
		}
		if err := l.faultWith(c.node(5), syscall.SIGTERM, c.node(5).forget); err != nil {
			return err
		}
		if err := c.node(5).fromSnapshot(r); err != nil {
			return err
		}
		if err := l.fault(c.node(6), syscall.SIGKILL); err != nil {
			return err
		}
		if lead, err = l.active(); err != nil {
			return err
		}
		if err := l.fault(lead, syscall.SIGTERM); err != nil {
			return err
		}
	}
	return l.finish()
}

// mixedVoters: three voters, two of Apache Kafka and one of Klamm, all brokers as well. The active controller is ended until each kind
// has taken over from the other.
func mixedVoters(r *report, c *cluster) error {
	c.add(kafka, both)
	c.add(klamm, both)
	c.add(kafka, both)
	c.settings = []string{"broker.session.timeout.ms=9000"}
	l, err := up(r, c)
	if err != nil {
		return err
	}
	took := map[string]int{} // by who followed whom
	change := func(from, to string) string { return from + " to " + to }
	for i := 0; i < 4**rounds || i < 12**rounds && (took[change(klamm, kafka)] == 0 || took[change(kafka, klamm)] == 0); i++ {
		lead, err := l.active()
		if err != nil {
			return err
		}
		s := syscall.SIGKILL
		if i%4 == 3 {
			s = syscall.SIGTERM
		}
		if err := l.fault(lead, s); err != nil {
			return err
		}
		next, err := l.active()
		if err != nil {
			return err
		}
		r.say("the active controller was %v and is %v", lead, next)
		took[change(lead.kind, next.kind)]++
	}
	for _, from := range []string{klamm, kafka} {
		for _, to := range []string{klamm, kafka} {
			r.say("the metadata log went from %s %d times", change(from, to), took[change(from, to)])
		}
	}
	if took[change(klamm, kafka)] == 0 || took[change(kafka, klamm)] == 0 {
		r.bad("one kind never took over from the other")
	}
	return l.finish()
}

// swap has the other program run the node from now on.
func (n *node) swap() error {
	if n.kind == klamm {
		n.kind = kafka
	} else {
		n.kind = klamm
	}
	return nil
}

// directories: a node's directory goes from Apache Kafka to Klamm and back, once after an orderly stop and once after kill -9
// each way, under load; then all nodes' at once.
func directories(r *report, c *cluster) error {
	c.add(kafka, both)
	c.add(klamm, both)
	c.add(kafka, both)
	c.settings = []string{"broker.session.timeout.ms=9000"}
	l, err := up(r, c)
	if err != nil {
		return err
	}
	n := c.node(1)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL} {
		if err := l.faultWith(n, s, n.swap); err != nil {
			return err
		}
		r.say("the directory of node %d is now %s's", n.id, n.kind)
	}
	if err := l.finish(); err != nil {
		return err
	}
	for _, to := range []string{klamm, kafka} {
		for _, n := range c.nodes {
			n.kind = to
		}
		if err := c.startAll(); err != nil {
			return err
		}
		if l.cl, err = l.book.Producer(c.addrs()...); err != nil {
			return err
		}
		if err := l.again(); err != nil {
			return err
		}
		r.say("all three directories are %s's: every acknowledged record and committed offset is there", to)
	}
	return nil
}

// again verifies the whole book on a cluster that was started anew.
func (l *load) again() error {
	defer l.cl.Close()
	l.adm = kadm.NewClient(l.cl)
	if err := l.whole(120 * time.Second); err != nil {
		return err
	}
	wrong, err := l.book.Verify(true, l.c.addrs()...)
	if err != nil {
		return err
	}
	for _, w := range wrong[:min(5, len(wrong))] {
		l.r.bad("%s", w)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d violations by the ledger", len(wrong))
	}
	if err := l.checkCommits(); err != nil {
		return err
	}
	return l.c.stopAll()
}
