// Package nodes starts real clusters for drills: three `klamm server` processes, on the loopback or each in a network
// namespace of its own, and faults that befall them from outside. It ends only processes and removes only namespaces
// that it made.
package nodes

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// Cluster is a number of nodes with roles broker and controller.
type Cluster struct {
	Dir    string
	Nodes  []*Node
	names  string  // of the namespaces: prefix, or empty on the loopback
	Switch *Switch // between the namespaces
}

// Node is one node of a cluster.
type Node struct {
	ID    int
	Host  string
	Port  int
	Dir   string
	Args  []string // further arguments of `klamm server`
	Env   []string
	c     *Cluster
	cmd   *exec.Cmd
	ended chan error
}

// Addr is where clients reach the node.
func (n *Node) Addr() string { return fmt.Sprintf("%s:%d", n.Host, n.Port) }

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() (all []string) {
	for _, n := range c.Nodes {
		all = append(all, n.Addr())
	}
	return all
}

// Build builds the binary into dir.
func Build(dir string) (bin string, err error) {
	bin = filepath.Join(dir, "klamm")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/klamm").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %v\n%s", err, out)
	}
	return bin, nil
}

// New writes the configuration of count nodes under dir. On the loopback they listen on base, base+1 … for clients and on
// base+100 … as controllers; with namespaces, each at its own address and base.
func New(dir string, count, base int, namespaces string, settings map[string]string) (*Cluster, error) {
	c := &Cluster{Dir: dir, names: namespaces}
	var voters []string
	for i := range count {
		n := &Node{ID: i + 1, Host: "127.0.0.1", Port: base + i, Dir: filepath.Join(dir, fmt.Sprintf("node-%d", i+1)), c: c}
		if namespaces != "" {
			n.Host, n.Port = fmt.Sprintf("10.97.0.%d", i+1), base
		}
		c.Nodes = append(c.Nodes, n)
		voters = append(voters, fmt.Sprintf("%d@%s:%d", n.ID, n.Host, n.Port+100))
	}
	for _, n := range c.Nodes {
		if err := os.MkdirAll(filepath.Join(n.Dir, "data"), 0o755); err != nil {
			return nil, err
		}
		lines := []string{
			"process.roles=broker,controller", fmt.Sprintf("node.id=%d", n.ID), "controller.quorum.voters=" + strings.Join(voters, ","),
			fmt.Sprintf("listeners=PLAINTEXT://%s:%d,CONTROLLER://%s:%d", n.Host, n.Port, n.Host, n.Port+100),
			"controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
			"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
			"log.dirs=" + filepath.Join(n.Dir, "data"), "klamm.auto.format=true", "klamm.cluster.id=ZHJpbGxzLW9uLWtsYW1tMQ",
			fmt.Sprintf("default.replication.factor=%d", min(count, 3)), fmt.Sprintf("offsets.topic.replication.factor=%d", min(count, 3)),
			fmt.Sprintf("min.insync.replicas=%d", min(count, 2)),
		}
		for k, v := range settings {
			lines = append(lines, k+"="+v)
		}
		if err := os.WriteFile(n.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (n *Node) config() string { return filepath.Join(n.Dir, "server.properties") }

// Log is the path of the node's output.
func (n *Node) Log() string { return filepath.Join(n.Dir, "server.log") }

// Start starts the node's process.
func (n *Node) Start(bin string) error {
	log, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{bin, "server", "--config", n.config(), "--admin", ""}, n.Args...)
	if n.c.names != "" { // ip replaces itself by the program, so that its process id is the node's
		args = append([]string{"ip", "netns", "exec", n.c.space(n.ID)}, args...)
	}
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Env = append(os.Environ(), n.Env...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		return err
	}
	n.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan error) { ended <- c.Wait() }(n.cmd, n.ended)
	return nil
}

// Signal sends a signal to the node's process.
func (n *Node) Signal(s syscall.Signal) error { return n.cmd.Process.Signal(s) }

// PID is the node's process id.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Kill ends the process at once and waits for its end.
func (n *Node) Kill() {
	if n.cmd == nil {
		return
	}
	n.cmd.Process.Signal(syscall.SIGKILL)
	<-n.ended
	n.cmd = nil
}

// Ended waits for the process to end by itself, at most for the time given.
func (n *Node) Ended(within time.Duration) (err error, did bool) {
	select {
	case err = <-n.ended:
		n.cmd = nil
		return err, true
	case <-time.After(within):
		return nil, false
	}
}

// Stop ends all processes and removes the namespaces.
func (c *Cluster) Stop() {
	for _, n := range c.Nodes {
		n.Kill()
	}
	if c.names != "" {
		if c.Switch != nil {
			c.Switch.stop()
		}
		c.removeSpaces()
	}
}

// WaitUp waits until a node takes connections of clients.
func (n *Node) WaitUp(within time.Duration) error {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := n.c.Dial(context.Background(), "tcp", n.Addr()); err == nil {
			c.Close()
			return nil
		}
	}
	return fmt.Errorf("node %d takes no connection on %s within %v; see %s", n.ID, n.Addr(), within, n.Log())
}

func (c *Cluster) space(id int) string { return fmt.Sprintf("%s%d", c.names, id) }

// ClientSpace is the number of the namespace in which clients run.
const ClientSpace = 250

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// MakeSpaces makes a namespace for each node and one for clients, joined by the switch in a namespace of its own.
func (c *Cluster) MakeSpaces() error {
	c.removeSpaces()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	hub := c.names + "hub"
	if err := ip("netns", "add", hub); err != nil {
		return err
	}
	ids := []int{ClientSpace}
	for _, n := range c.Nodes {
		ids = append(ids, n.ID)
	}
	for _, id := range ids {
		s, port := c.space(id), fmt.Sprintf("p%d", id)
		for _, step := range [][]string{{"netns", "add", s},
			{"-n", s, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", hub},
			{"-n", hub, "link", "set", port, "up"}, {"-n", s, "addr", "add", fmt.Sprintf("10.97.0.%d/24", id), "dev", "eth0"},
			{"-n", s, "link", "set", "eth0", "up"}, {"-n", s, "link", "set", "lo", "up"},
			{"netns", "exec", s, self, "plain-frames", "eth0"}} {
			if err := ip(step...); err != nil {
				return err
			}
		}
	}
	c.Switch, err = startSwitch(hub, ids)
	return err
}

func (c *Cluster) removeSpaces() {
	for _, n := range c.Nodes {
		ip("netns", "del", c.space(n.ID))
	}
	ip("netns", "del", c.space(ClientSpace))
	ip("netns", "del", c.names+"hub")
}

// Dial dials from the clients' namespace, or from here on the loopback. A socket belongs to the namespace in which its thread was
// when it was made.
func (c *Cluster) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 2 * time.Second}
	if c.names == "" {
		return d.DialContext(ctx, network, addr)
	}
	runtime.LockOSThread() // a thread that can't come back ends with its goroutine
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + c.space(ClientSpace))
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	conn, err := d.DialContext(ctx, network, addr)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return nil, back
	}
	runtime.UnlockOSThread()
	return conn, err
}

// Leader asks the cluster who leads a partition, and how many replicas are in sync.
func Leader(ctx context.Context, cl *kgo.Client, topic string, partition int32) (id, inSync int, err error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return -1, 0, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.Partition == partition && p.Leader >= 0 {
				return int(p.Leader), len(p.ISR), nil
			}
		}
	}
	return -1, 0, fmt.Errorf("%s-%d has no leader", topic, partition)
}

// WaitInSync waits until every partition of a topic has so many replicas in sync.
func WaitInSync(cl *kgo.Client, topic string, partitions, replicas int, within time.Duration) error {
	last := ""
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		good := 0
		for p := range partitions {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			_, n, err := Leader(ctx, cl, topic, int32(p))
			cancel()
			if err == nil && n >= replicas {
				good++
			} else {
				last = fmt.Sprintf("partition %d: %d in sync, %v", p, n, err)
			}
		}
		if good == partitions {
			return nil
		}
	}
	return fmt.Errorf("after %v %s is not whole: %s", within, topic, last)
}
