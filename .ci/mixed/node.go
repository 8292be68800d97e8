package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

// The two programs that may run a node.
const (
	klamm = "Klamm"
	kafka = "Apache Kafka"
)

// node is one node of a mixed cluster. Its directory outlives the program that runs on it.
type node struct {
	id    int
	kind  string
	roles string
	dir   string
	c     *cluster
	cmd   *exec.Cmd
	ended chan error
	lives int
	port  int // added to those of its id
}

// cluster is a number of nodes of both kinds.
type cluster struct {
	dir, bin string
	base     int
	nodes    []*node
	settings []string // of every node
	level2   bool     // transaction.version 2
}

const clusterID = "bWl4ZWQtb24ta2xhbW0tMQ"

func (c *cluster) add(kind, roles string) *node {
	n := &node{id: len(c.nodes) + 1, kind: kind, roles: roles, c: c}
	n.dir = filepath.Join(c.dir, fmt.Sprintf("node-%d", n.id))
	c.nodes = append(c.nodes, n)
	return n
}

func (n *node) broker() bool     { return strings.Contains(n.roles, "broker") }
func (n *node) controller() bool { return strings.Contains(n.roles, "controller") }
func (n *node) addr() string     { return fmt.Sprintf("127.0.0.1:%d", n.c.base+n.port+n.id) }
func (n *node) voter() string    { return fmt.Sprintf("127.0.0.1:%d", n.c.base+100+n.port+n.id) }
func (n *node) log() string      { return filepath.Join(n.dir, "server.log") }
func (n *node) data() string     { return filepath.Join(n.dir, "data") }
func (n *node) config() string   { return filepath.Join(n.dir, "server.properties") }
func (n *node) String() string   { return fmt.Sprintf("node %d (%s, %s)", n.id, n.kind, n.roles) }

// with are the nodes of a kind and role.
func (c *cluster) with(f func(*node) bool) (some []*node) {
	for _, n := range c.nodes {
		if f(n) {
			some = append(some, n)
		}
	}
	return some
}

func (c *cluster) brokers() []*node { return c.with((*node).broker) }

func (c *cluster) addrs() (all []string) {
	for _, n := range c.brokers() {
		all = append(all, n.addr())
	}
	return all
}

// tool runs one of Kafka's tools.
func tool(args ...string) (string, error) {
	cmd := exec.Command(".ci/kafka/tool.sh", args...)
	cmd.Env = append(os.Environ(), "KAFKA_TOOL_TIER=1", "KAFKA_TOOL_HEAP=128M")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// withoutYet are the features that Klamm does not have yet: a cluster with a Klamm node in it leaves them at level 0.
var withoutYet = []string{"group.version", "transaction.version", "share.version", "streams.version"}

// format writes the configurations and formats the directories, each with its node's own program.
func (c *cluster) format() error {
	for _, n := range c.nodes {
		if err := n.configure(); err != nil {
			return err
		}
		if err := n.format(clusterID); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) configure() error {
	var voters, listeners []string
	for _, v := range n.c.with((*node).controller) {
		voters = append(voters, fmt.Sprintf("%d@%s", v.id, v.voter()))
	}
	if n.broker() {
		listeners = append(listeners, "PLAINTEXT://"+n.addr())
	}
	if n.controller() {
		listeners = append(listeners, "CONTROLLER://"+n.voter())
	}
	lines := []string{
		"process.roles=" + n.roles, fmt.Sprintf("node.id=%d", n.id), "controller.quorum.voters=" + strings.Join(voters, ","),
		"listeners=" + strings.Join(listeners, ","), "controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "log.dirs=" + n.data(),
		"offsets.topic.num.partitions=6", "offsets.topic.replication.factor=3", "default.replication.factor=3", "min.insync.replicas=2",
		"group.initial.rebalance.delay.ms=0",
	}
	if n.broker() {
		lines = append(lines, "inter.broker.listener.name=PLAINTEXT")
	}
	lines = append(lines, n.c.settings...) // of two equal names the last one counts
	if err := os.MkdirAll(n.data(), 0o755); err != nil {
		return err
	}
	return os.WriteFile(n.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

func (n *node) format(cluster string) error {
	if n.kind == klamm {
		if out, err := exec.Command(n.c.bin, "storage", "format", "--cluster-id", cluster, "--config", n.config()).CombinedOutput(); err != nil {
			return fmt.Errorf("format: %v\n%s", err, out)
		}
		return nil
	}
	args := []string{"kafka-storage", "format", "-t", cluster, "-c", n.config()}
	for _, f := range withoutYet {
		level := "0"
		if n.c.level2 && f == "transaction.version" {
			level = "2"
		}
		args = append(args, "--feature", f+"="+level)
	}
	_, err := tool(args...)
	return err
}

// start starts the node's process.
func (n *node) start() error {
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	n.lives++
	fmt.Fprintf(log, "--- life %d: %s\n", n.lives, n.kind)
	if n.kind == klamm {
		n.cmd = exec.Command(n.c.bin, "server", "--config", n.config(), "--admin", "", "--log-level", "debug")
	} else { // the script replaces itself by the JVM, so that its process id is the node's
		n.cmd = exec.Command(".ci/kafka/tool.sh", "kafka-server-start", n.config())
		n.cmd.Env = append(os.Environ(), "KAFKA_TOOL_TIER=1", "KAFKA_TOOL_HEAP=256M", "KAFKA_LOG_LEVEL=INFO")
	}
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		return err
	}
	n.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan error) { ended <- c.Wait() }(n.cmd, n.ended)
	return nil
}

// ready is what a node says when it serves.
func (n *node) ready() string {
	if n.kind == klamm {
		return `msg="ready: `
	}
	return "Kafka Server started"
}

// waitReady waits until this life of the node serves.
func (n *node) waitReady(within time.Duration) error {
	mark := fmt.Sprintf("--- life %d: ", n.lives)
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		b, err := os.ReadFile(n.log())
		if err != nil {
			return err
		}
		if at := bytes.LastIndex(b, []byte(mark)); at >= 0 && bytes.Contains(b[at:], []byte(n.ready())) {
			return nil
		}
		select {
		case err := <-n.ended:
			n.cmd = nil
			return fmt.Errorf("%v ended while it started: %v; the end of its log:\n%s", n, err, n.tail(8))
		default:
		}
	}
	return fmt.Errorf("%v was not ready within %v; the end of its log:\n%s", n, within, n.tail(8))
}

func (n *node) tail(lines int) string {
	b, _ := os.ReadFile(n.log())
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// end sends a signal and waits for the process to be gone; what ignores a plain stop for too long is killed, which is told.
func (n *node) end(s syscall.Signal) (err error) {
	if n.cmd == nil {
		return nil
	}
	n.cmd.Process.Signal(s)
	select {
	case <-n.ended:
	case <-time.After(60 * time.Second):
		err = fmt.Errorf("%v did not stop within 60 s", n)
		n.cmd.Process.Signal(syscall.SIGKILL)
		<-n.ended
	}
	n.cmd = nil
	return err
}

// startAll starts every node and waits for all.
func (c *cluster) startAll() error {
	for _, n := range c.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := n.waitReady(120 * time.Second); err != nil {
			return err
		}
	}
	return nil
}

// stopAll stops every node in an orderly way: the brokers first, then the nodes with both roles, and the controllers, whom the
// others need for it, last. An Apache Kafka node with both roles that is the last of its quorum waits minutes for a controller
// that will not come, and is killed.
func (c *cluster) stopAll() error {
	var order []*node
	for _, roles := range []string{"broker", both, "controller"} {
		for _, kind := range []string{kafka, klamm} {
			order = append(order, c.with(func(n *node) bool { return n.roles == roles && n.kind == kind })...)
		}
	}
	var wrong error
	for i, n := range order {
		if i == len(order)-1 && n.kind == kafka && n.roles == both {
			n.cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(5 * time.Second)
			n.end(syscall.SIGKILL)
			continue
		}
		if err := n.end(syscall.SIGTERM); err != nil {
			wrong = err
		}
	}
	return wrong
}

func (c *cluster) killAll() {
	for _, n := range c.nodes {
		n.end(syscall.SIGKILL)
	}
}

// portsFree reports a port of the cluster that somebody else uses.
func (c *cluster) portsFree() error {
	for _, n := range c.nodes {
		for _, addr := range []string{n.addr(), n.voter()} {
			if conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond); err == nil {
				conn.Close()
				return fmt.Errorf("%s is in use: choose another --base", addr)
			}
		}
	}
	return nil
}

// bytesOf is what a partition's directory holds: its segments, one behind the other.
func (n *node) bytesOf(partition string) (all []byte, err error) {
	files, err := filepath.Glob(filepath.Join(n.data(), partition, "*.log"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}

// partitions are the partitions that the node has on its disk.
func (n *node) partitions() (names []string) {
	dirs, _ := os.ReadDir(n.data())
	for _, d := range dirs {
		if d.IsDir() && strings.Contains(d.Name(), "-") && !strings.HasSuffix(d.Name(), "-delete") && !strings.HasSuffix(d.Name(), "-stray") {
			names = append(names, d.Name())
		}
	}
	return names
}
