package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

const metadataLog = "__cluster_metadata-0"

// batches cuts a log into its batches, by their first offsets.
func batches(log []byte) (all map[uint64][]byte, err error) {
	all = map[uint64][]byte{}
	for len(log) > 0 {
		if len(log) < 12 {
			return nil, fmt.Errorf("%d bytes behind the last batch", len(log))
		}
		base, size := binary.BigEndian.Uint64(log), int(binary.BigEndian.Uint32(log[8:]))+12
		if size > len(log) {
			return nil, fmt.Errorf("the batch at offset %d is cut", base)
		}
		all[base], log = log[:size], log[size:]
	}
	return all, nil
}

// compare compares the replicas of every partition, and the metadata logs below what was committed before the stop, byte by byte.
func (c *cluster) compare(r *report, committed uint64) error {
	holders := map[string][]*node{}
	var names []string
	for _, n := range c.nodes {
		for _, p := range n.partitions() {
			if holders[p] == nil {
				names = append(names, p)
			}
			holders[p] = append(holders[p], n)
		}
	}
	sort.Strings(names)
	equal, size, meta := 0, 0, 0
	for _, p := range names {
		one := holders[p][0]
		first, err := one.bytesOf(p)
		if err != nil {
			return err
		}
		for _, n := range holders[p][1:] {
			b, err := n.bytesOf(p)
			switch {
			case err != nil:
				return err
			case p == metadataLog:
				same, err := common(first, b, committed)
				if err != nil {
					r.bad("the metadata logs of %v and %v: %v", one, n, err)
				}
				meta += same
			case !bytes.Equal(first, b):
				r.bad("%s differs between %v (%d bytes) and %v (%d bytes)", p, one, len(first), n, len(b))
			default:
				equal++
				size += len(b)
			}
		}
	}
	r.say("after the stop %d copies (%d KiB) of %d partitions equal the first replica byte by byte; so do %d batches of metadata logs", equal, size>>10, len(names)-1, meta)
	return nil
}

// common counts the batches that two metadata logs share, which must be equal as far as they were committed. Whoever stopped later
// has more, a leader that stopped may have written what nobody else has, and snapshots may have cut the start.
func common(a, b []byte, committed uint64) (same int, err error) {
	left, err := batches(a)
	if err != nil {
		return 0, err
	}
	right, err := batches(b)
	if err != nil {
		return 0, err
	}
	for base, x := range left {
		if y, ok := right[base]; ok && base < committed {
			if !bytes.Equal(x, y) {
				return same, fmt.Errorf("the batches at offset %d differ", base)
			}
			same++
		}
	}
	if same == 0 {
		return 0, errors.New("they have no batch in common")
	}
	return same, nil
}

// inspect has each program look at the other's files.
func (c *cluster) inspect(r *report) error {
	var wrong []error
	var logs, meta []string
	for _, n := range c.nodes {
		if n.kind == kafka {
			if out, err := exec.Command(c.bin, "storage", "inspect", n.data()).CombinedOutput(); err != nil {
				wrong = append(wrong, fmt.Errorf("klamm storage inspect of node %d: %v\n%s", n.id, err, out))
			}
			continue
		}
		files, _ := filepath.Glob(filepath.Join(n.data(), "*-*", "*.log"))
		for _, f := range files {
			if strings.Contains(f, metadataLog) {
				meta = append(meta, f)
			} else {
				logs = append(logs, f)
			}
		}
		logs = append(logs, n.txnFiles()...)
		snapshots, _ := filepath.Glob(filepath.Join(n.data(), metadataLog, "*.checkpoint"))
		meta = append(meta, snapshots...)
	}
	return errors.Join(append(wrong, dump(r, logs), dump(r, meta, "--cluster-metadata-decoder"))...)
}

// dump has Apache Kafka's tool read every batch of files.
func dump(r *report, files []string, args ...string) error {
	if len(files) == 0 {
		return nil
	}
	out, err := tool(append([]string{"kafka-dump-log", "--files", strings.Join(files, ",")}, args...)...)
	for _, sign := range []string{"isvalid: false", "Exception", "Mismatch", "corrupt"} {
		if strings.Contains(out, sign) {
			err = errors.Join(err, fmt.Errorf("kafka-dump-log finds %q", sign))
		}
	}
	if err == nil {
		r.say("kafka-dump-log reads %d files of Klamm's nodes (%d lines) and finds no fault", len(files), strings.Count(out, "\n"))
	}
	return err
}
