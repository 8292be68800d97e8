package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// refusals: what a Klamm broker is told by an Apache Kafka cluster that it can't be part of, and what an Apache Kafka broker is
// told by a Klamm controller.
func refusals(r *report, c *cluster) error {
	c.add(kafka, "controller")
	k := c.add(kafka, "broker")
	b := c.add(klamm, "broker")
	c.settings = []string{"initial.broker.registration.timeout.ms=4000", "min.insync.replicas=1", "default.replication.factor=1"}
	if err := c.portsFree(); err != nil {
		return err
	}
	level := withoutYet
	withoutYet = nil // as kafka-storage formats by default
	err := c.format()
	withoutYet = level
	if err != nil {
		return err
	}
	for _, n := range c.nodes[:2] {
		if err := n.start(); err != nil {
			return err
		}
		if err := n.waitReady(120 * time.Second); err != nil {
			return err
		}
	}
	if err := b.refused(r, "a Klamm broker where the features are at Apache Kafka's default levels", "UNSUPPORTED_VERSION (the cluster has features at levels that this release does not know: group.version, share.version"); err != nil {
		return err
	}
	var args []string
	for _, f := range level {
		args = append(args, "--feature", f+"=0")
	}
	if _, err := tool(append([]string{"kafka-features", "--bootstrap-server", k.addr(), "downgrade"}, args...)...); err != nil {
		return err
	}
	if err := b.start(); err != nil {
		return err
	}
	if err := b.waitReady(60 * time.Second); err != nil {
		return err
	}
	r.say("the same after kafka-features downgrade of %s to 0: it joins", strings.Join(level, ", "))

	twin := &node{id: k.id, kind: klamm, roles: "broker", dir: filepath.Join(c.dir, "twin"), c: c, port: 50}
	if err := twin.make(clusterID); err != nil {
		return err
	}
	if err := twin.refused(r, "a Klamm broker with the node.id of a live Apache Kafka broker", "another broker with node.id="); err != nil {
		return err
	}
	stranger := &node{id: 7, kind: klamm, roles: "broker", dir: filepath.Join(c.dir, "stranger"), c: c}
	if err := stranger.make("c29tZS1vdGhlci1jbHVzdA"); err != nil {
		return err
	}
	if err := stranger.start(); err != nil { // it may be told the truth yet: it keeps asking
		return err
	}
	time.Sleep(8 * time.Second)
	if last := stranger.tail(1); !strings.Contains(last, "belong to another cluster than this node") {
		r.bad("a Klamm broker of another cluster says %s", last)
	} else {
		r.say("a Klamm broker of another cluster is not let in, and says so every 10 s: %s", last[strings.Index(last, "msg="):])
	}
	if err := stranger.end(syscall.SIGTERM); err != nil {
		return err
	}
	c.killAll()
	return reverse(r, &cluster{dir: filepath.Join(c.dir, "reverse"), bin: c.bin, base: c.base, settings: c.settings})
}

// reverse: an Apache Kafka broker of another cluster at a Klamm controller.
func reverse(r *report, c *cluster) error {
	defer c.killAll()
	k := c.add(klamm, "controller")
	if err := k.make(clusterID); err != nil {
		return err
	}
	if err := k.start(); err != nil {
		return err
	}
	if err := k.waitReady(20 * time.Second); err != nil {
		return err
	}
	stranger := &node{id: 7, kind: kafka, roles: "broker", dir: filepath.Join(c.dir, "stranger"), c: c}
	if err := stranger.make("c29tZS1vdGhlci1jbHVzdA"); err != nil {
		return err
	}
	return stranger.refused(r, "an Apache Kafka broker of another cluster", "INCONSISTENT_CLUSTER_ID")
}

func (n *node) make(cluster string) error {
	if err := n.configure(); err != nil {
		return err
	}
	return n.format(cluster)
}

// refused starts a node that must end by itself, with an error and a line in its log that says why.
func (n *node) refused(r *report, what, want string) error {
	if err := n.start(); err != nil {
		return err
	}
	var err error
	select {
	case err = <-n.ended:
		n.cmd = nil
	case <-time.After(60 * time.Second):
		r.bad("%s: it runs on", what)
		err = n.end(syscall.SIGKILL)
	}
	why := ""
	for line := range strings.SplitSeq(n.tail(400), "\n") {
		if strings.Contains(line, want) && !strings.HasPrefix(line, "\t") {
			why = line
		}
	}
	if err == nil || why == "" {
		r.bad("%s: it ended with %v and said no word of %s; its last line is %s", what, err, want, n.tail(1))
		return nil
	}
	r.say("%s is refused: %s", what, why[max(0, strings.Index(why, "msg=")):min(len(why), 400)])
	return nil
}
