package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"klamm/.ci/nodes"
)

// scrubSettings let the scrub of each node come by often enough for a drill.
var scrubSettings = map[string]string{"klamm.log.scrub.interval.ms": "1000", "klamm.log.scrub.bytes.per.second": "500000000", "log.flush.offset.checkpoint.interval.ms": "1000"}

// rot flips bits in a segment of partition 0: of a follower that is stopped, of one that runs, and of the leader while it leads. Each must
// be repaired from another replica, and all three copies must be equal, byte for byte.
func (d *drill) rot(leader *nodes.Node) error {
	time.Sleep(5 * time.Second) // for something that can rot
	follower := d.c.Nodes[leader.ID%3]
	follower.Kill()
	before := said(follower, whole)
	if err := d.flip(follower, 5); err != nil {
		return err
	}
	if err := follower.Start(d.bin); err != nil {
		return err
	}
	if err := d.healed(follower, before, 60*time.Second); err != nil {
		return fmt.Errorf("a follower that was stopped: %w", err)
	}
	for _, x := range []struct {
		what string
		n    *nodes.Node
	}{{"a follower that runs", d.c.Nodes[(leader.ID+1)%3]}, {"the leader", leader}} {
		before := said(x.n, whole)
		if err := d.flip(x.n, 5); err != nil {
			return err
		}
		if err := d.healed(x.n, before, 60*time.Second); err != nil {
			return fmt.Errorf("%s: %w", x.what, err)
		}
	}
	return nil
}

// whole is what a node says of a log that is repaired.
const whole = "log " + topic + "-0 is whole again"

// segment is the oldest segment file of partition 0 of a node.
func segment(n *nodes.Node) (string, error) {
	files, err := filepath.Glob(filepath.Join(n.Dir, "data", topic+"-0", "*.log"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("node %d has no segment of %s-0", n.ID, topic)
	}
	slices.Sort(files)
	return files[0], nil
}

// flip changes some bytes that have been synced long ago.
func (d *drill) flip(n *nodes.Node, count int) error {
	time.Sleep(3 * time.Second) // for the recovery point
	path, err := segment(n)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for i := range count {
		at := info.Size() / 2 * int64(i+1) / int64(count+1)
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		b[0] ^= 0x10
		if _, err := f.WriteAt(b[:], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// healed waits until a node says that its damage is repaired, and its oldest segment is equal to the others'.
func (d *drill) healed(n *nodes.Node, before int, within time.Duration) error {
	from := time.Now()
	var why string
	for time.Since(from) < within {
		time.Sleep(200 * time.Millisecond)
		if why = d.differs(n); why == "" {
			if said(n, whole) == before {
				return fmt.Errorf("node %d has repaired nothing, and yet its file is as it was", n.ID)
			}
			fmt.Printf("         node %d: whole after %.1f s\n", n.ID, time.Since(from).Seconds())
			return nil
		}
	}
	return fmt.Errorf("node %d is not repaired after %.0f s: %s", n.ID, within.Seconds(), why)
}

// differs compares the oldest segment of a node with those of the others, as far as all have it.
func (d *drill) differs(n *nodes.Node) string {
	var all [][]byte
	for _, x := range d.c.Nodes {
		path, err := segment(x)
		if err != nil {
			return err.Error()
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		all = append(all, b)
	}
	least := len(all[0])
	for _, b := range all {
		least = min(least, len(b))
	}
	mine := all[n.ID-1][:least]
	for i, b := range all {
		for at := range mine {
			if mine[at] != b[at] {
				return fmt.Sprintf("byte %d is not that of node %d", at, i+1)
			}
		}
	}
	return ""
}

// said counts how often a node has said something in its log.
func said(n *nodes.Node, what string) int {
	log, err := os.ReadFile(n.Log())
	if err != nil {
		return 0
	}
	return strings.Count(string(log), what)
}
