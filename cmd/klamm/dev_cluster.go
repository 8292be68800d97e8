package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"klamm/host"
)

// devNodesMax bounds --nodes: they share one process.
const devNodesMax = 9

// clusterIDFile keeps the id that the nodes of a data directory share, from the first start on.
const clusterIDFile = "cluster.id"

// runCluster runs several nodes, each a broker and a controller, in this process.
func (d *dev) runCluster(w io.Writer, log *slog.Logger, hostname, port, dir string) error {
	if d.nodes > devNodesMax {
		return usagef("--nodes %d: at most %d share one process; klamm server runs one node a process", d.nodes, devNodesMax)
	}
	if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err == nil {
		return fmt.Errorf("%s belongs to a single broker: choose another directory with --data, or leave out --nodes", d.data)
	}
	id, err := clusterID(dir)
	if err != nil {
		return err
	}
	nodes, err := d.openCluster(hostname, port)
	if err != nil {
		return err
	}
	var voters []string
	for i, n := range nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, net.JoinHostPort(hostname, strconv.Itoa(n.controller))))
	}
	extra, err := setLines(d.set)
	if err != nil {
		return err
	}
	replicas := strconv.Itoa(min(d.nodes, 3))
	insync := strconv.Itoa(min(d.nodes, 3)/2 + 1)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	infos := make([]readyInfo, 0, d.nodes)
	for i, o := range nodes {
		text := strings.Join([]string{
			"node.id=" + strconv.Itoa(i+1), "process.roles=broker,controller", "controller.quorum.voters=" + strings.Join(voters, ","),
			"listeners=PLAINTEXT://" + net.JoinHostPort(hostname, strconv.Itoa(o.client)) + ",CONTROLLER://" + net.JoinHostPort(hostname, strconv.Itoa(o.controller)),
			"controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
			"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
			"log.dirs=" + escapeProperty(filepath.Join(dir, "node-"+strconv.Itoa(i+1))),
			"default.replication.factor=" + replicas, "min.insync.replicas=" + insync,
			"offsets.topic.replication.factor=" + replicas, "transaction.state.log.replication.factor=" + replicas, "transaction.state.log.min.isr=" + insync,
			"group.initial.rebalance.delay.ms=0", "klamm.auto.format=true", "klamm.cluster.id=" + id, "klamm.durability=" + d.durability,
		}, "\n") + "\n"
		if err := os.MkdirAll(filepath.Join(dir, "node-"+strconv.Itoa(i+1)), 0o755); err != nil {
			return err
		}
		n := node{config: text + extra, from: "klamm dev and its --set", admin: d.adminOf(i), faultLayer: d.faultLayer,
			log: log.With("node", i+1), opened: o.listeners}
		n.ready = func(r readyInfo) {
			mu.Lock()
			defer mu.Unlock()
			if infos = append(infos, r); len(infos) == d.nodes {
				d.clusterBanner(w, nodes, infos)
			}
		}
		wg.Go(func() {
			if err := n.run(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("node %d: %w", i+1, err))
				fmt.Fprintf(os.Stderr, "node %d ended: %v\n", i+1, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// clusterID is what the file in dir says; a new one if there is none.
func clusterID(dir string) (string, error) {
	path := filepath.Join(dir, clusterIDFile)
	b, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(b)) != "" {
		return strings.TrimSpace(string(b)), nil
	}
	var raw [16]byte
	for first := true; first || raw[0] == 0xf8|raw[0]&7; first = false { // none that begins with a dash
		rand.Read(raw[:])
	}
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	return id, os.WriteFile(path, []byte(id+"\n"), 0o644)
}

// devNode is one node's ports, open.
type devNode struct {
	client, controller int
	listeners          []host.Listener
}

// openCluster opens all ports before the first node starts, since each must know the others': those of clients count up from
// --listen, those of controllers are free ones from 100 above.
func (d *dev) openCluster(hostname, port string) (nodes []devNode, err error) {
	first, err := strconv.Atoi(port)
	if err != nil || first < 0 || first+d.nodes+100 > 65535 {
		return nil, usagef("--listen %s: %s is no port that leaves room for %d nodes", d.listen, port, d.nodes)
	}
	at := func(base, i int) uint16 {
		if first == 0 {
			return 0
		}
		return uint16(base + i)
	}
	defer func() {
		if err != nil {
			for _, n := range nodes {
				closeListeners(n.listeners)
			}
		}
	}()
	for i := range d.nodes {
		clients, err := listenOn("PLAINTEXT", hostname, at(first, i))
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, devNode{client: clients[0].Addr().(*net.TCPAddr).Port, listeners: clients})
		controllers, err := listenOn("CONTROLLER", hostname, at(first+100, i))
		if err != nil {
			return nodes, err
		}
		n := &nodes[i]
		n.controller, n.listeners = controllers[0].Addr().(*net.TCPAddr).Port, append(n.listeners, controllers...)
	}
	return nodes, nil
}

// adminOf is the admin address of a node: they count up from --admin.
func (d *dev) adminOf(i int) string {
	h, p, err := net.SplitHostPort(d.admin)
	port, err2 := strconv.Atoi(p)
	if err != nil || err2 != nil || port == 0 {
		return d.admin
	}
	return net.JoinHostPort(h, strconv.Itoa(port+i))
}

// clusterBanner says that it runs and what to type next.
func (d *dev) clusterBanner(w io.Writer, nodes []devNode, infos []readyInfo) {
	hostname, _, _ := net.SplitHostPort(d.listen)
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, net.JoinHostPort(hostname, strconv.Itoa(n.client)))
	}
	k, at := self(), " --bootstrap "+strings.Join(addrs, ",")
	data := d.data
	if d.ephemeral {
		data = "a temporary directory, removed at the end"
	}
	took := infos[len(infos)-1].took.Seconds()
	fmt.Fprintf(w, `
A cluster of %d Klamm nodes is ready on %s after %.3f s.
Data: %s, a directory for each node. New topics have %d replicas.

Try, in another terminal:
  %s topic create hello --partitions 3%s
  echo "hello, gorge" | %s produce hello%s
  %s consume hello --from earliest%s
  %s topic describe hello%s

Ctrl-C stops all of them.
`, d.nodes, strings.Join(addrs, ", "), took, data, min(d.nodes, 3), k, at, k, at, k, at, k, at)
}
