package nodes

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// System is a cluster of three nodes, of Klamm or of Apache Kafka, whose processes can be killed and started again.
type System interface {
	Start() (addrs []string, err error) // and waits until all serve
	Kill(id int) error                  // -9
	Restart(id int) error               // of one that was killed
	RestartAll() error                  // of all three, after each was killed
	PIDs() []int                        // of those that live
	Stop()
}

// Klamm is three nodes of Klamm.
type Klamm struct {
	Dir, Bin string
	Base     int // first port
	Settings map[string]string
	c        *Cluster
}

// Start starts them. Without Bin it is built into Dir.
func (k *Klamm) Start() (addrs []string, err error) {
	if k.Bin == "" {
		if k.Bin, err = Build(k.Dir); err != nil {
			return nil, err
		}
	}
	if k.c, err = New(k.Dir, 3, k.Base, "", k.Settings); err != nil {
		return nil, err
	}
	return k.c.Addrs(), k.RestartAll()
}

// Kill ends one node at once.
func (k *Klamm) Kill(id int) error { k.c.Nodes[id-1].Kill(); return nil }

// Restart starts one node again; it does not wait.
func (k *Klamm) Restart(id int) error { return k.c.Nodes[id-1].Start(k.Bin) }

// RestartAll starts all nodes and waits until they take connections.
func (k *Klamm) RestartAll() error {
	for _, n := range k.c.Nodes {
		if err := n.Start(k.Bin); err != nil {
			return err
		}
	}
	for _, n := range k.c.Nodes {
		if err := n.WaitUp(20 * time.Second); err != nil {
			return err
		}
	}
	return nil
}

// PIDs are the process ids of the nodes that were not killed.
func (k *Klamm) PIDs() (all []int) {
	for _, n := range k.c.Nodes {
		if n.cmd != nil {
			all = append(all, n.PID())
		}
	}
	return all
}

// Stop ends all nodes.
func (k *Klamm) Stop() {
	if k.c != nil {
		k.c.Stop()
	}
}

// Kafka is three nodes of Apache Kafka by .ci/kafka/kafka.sh.
type Kafka struct {
	Base  int    // first port
	Run   string // where data, logs and pids live; empty: the script's own place
	Props string // further properties, separated by ';'
}

func (k *Kafka) script(args ...string) (string, error) {
	cmd := exec.Command(".ci/kafka/kafka.sh", args...)
	cmd.Env = append(os.Environ(), "KAFKA_PROPS="+k.Props, "KAFKA_WAIT=240") // on a busy machine
	if k.Run != "" {
		cmd.Env = append(cmd.Env, "KAFKA_RUN="+k.Run)
	}
	if args[0] == "start" {
		cmd.Env = append(cmd.Env, "KAFKA_KEEP=1")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kafka.sh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// words finds the line of a name in what the script printed, and splits it.
func words(out, name string) []string {
	for line := range strings.Lines(out) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(`"', `, r) })
		}
	}
	return nil
}

// Start starts them on no data: what an earlier run left is removed.
func (k *Kafka) Start() ([]string, error) {
	k.Stop()
	out, err := k.script("start", "3", strconv.Itoa(k.Base))
	if err != nil {
		return nil, err
	}
	addrs := words(out, "bootstrap")
	if len(addrs) != 3 {
		return nil, fmt.Errorf("kafka.sh printed %d bootstrap servers", len(addrs))
	}
	return addrs, nil
}

// Kill ends one node at once.
func (k *Kafka) Kill(id int) error {
	_, err := k.script("kill", strconv.Itoa(id), strconv.Itoa(k.Base))
	return err
}

// Restart starts one node again and waits until it serves.
func (k *Kafka) Restart(id int) error {
	_, err := k.script("restart", strconv.Itoa(id), strconv.Itoa(k.Base))
	return err
}

// RestartAll starts all nodes on the data that they left and waits until they serve.
func (k *Kafka) RestartAll() error {
	_, err := k.script("start", "3", strconv.Itoa(k.Base))
	return err
}

// PIDs are the process ids of the nodes that live.
func (k *Kafka) PIDs() (all []int) {
	out, err := k.script("status", strconv.Itoa(k.Base))
	if err != nil {
		return nil
	}
	for _, w := range words(out, "pids") {
		if pid, err := strconv.Atoi(w); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// Stop ends all nodes and removes their data.
func (k *Kafka) Stop() { k.script("stop", strconv.Itoa(k.Base)) }
