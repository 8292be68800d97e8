package sim

import (
	"slices"
	"strconv"
	"strings"

	"klamm/checker"
	"klamm/core/log"
)

// This file is about a cluster one of whose brokers has a bad disk (SetRepair): bits of it rot, and reads go astray. The budget is
// stated in Kafka's terms: what is acknowledged to acks=all is on two disks, since min.insync.replicas is 2 everywhere and nobody
// loses what was synced but the victim; so there always is a healthy copy of it, in the in-sync set or eligible to lead. Rot befalls what
// the victim's recovery point says is durable: damage above it looks like a torn end, to the broker and to
// everybody else. Under this budget nothing may be lost, no damaged record may be served, and in the end no damage may be left.

// rot flips bits of batches on the victim's disk, or of an index. It reports false if there is nothing that could rot.
func (r *run) rot(f *Fault) bool {
	n := r.w.Nodes[f.Node]
	draw := func(most int) int { return int(r.w.draw(siteRotten, uint64(f.Node), uint64(most))) }
	if f.P%4 == 3 {
		return n.Disk.Rot("/t", []string{".index", ".timeindex"}[f.P>>2&1])
	}
	type place struct {
		path string
		checker.Batch
	}
	var places []place
	for _, dir := range r.partitionDirs(n) {
		points, _ := n.Disk.File(dirOf(dir) + "/recovery-point-offset-checkpoint")
		point := int64(0)
		for _, line := range strings.Split(string(points), "\n") {
			if w := strings.Fields(line); len(w) == 3 && dirOf(dir)+"/"+w[0]+"-"+w[1] == dir {
				point = max(number(w[2]), 0)
			}
		}
		for _, name := range n.Disk.Names(dir) {
			if _, is := segmentBase(name); !is {
				continue
			}
			path := dir + "/" + name
			file, _ := n.Disk.File(path)
			list, _, _ := checker.ReadSegment(file)
			for _, b := range list {
				if b.Last < point {
					places = append(places, place{path, b})
				}
			}
		}
	}
	if len(places) == 0 {
		return false
	}
	hit := false
	for range 1 + f.P>>3&1 {
		b := places[draw(len(places))]
		at := b.Position + int64(draw(int(b.Size)))
		if draw(3) == 0 { // the head is short, and tells where everything else is
			at = b.Position + int64(draw(batchHead))
		}
		if in := at - b.Position; in < 8 || 12 <= in && in < 16 { // offset and epoch, which no checksum covers: what is sent of them is what is read
			at += 8
		}
		hit = n.Disk.Rots(b.path, at, uint8(draw(8))) || hit
	}
	return hit
}

// partitionDirs are the directories of a node's partitions, the metadata's not among them.
func (r *run) partitionDirs(n *Node) (dirs []string) {
	for _, in := range r.cfg.topology.dirs(n.at) {
		for _, name := range n.Disk.Names(in) {
			i := strings.LastIndexByte(name, '-')
			if i <= 0 || strings.HasPrefix(name, "__cluster_metadata") {
				continue
			}
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				dirs = append(dirs, in+"/"+name)
			}
		}
	}
	return dirs
}

// harmed names a segment on the victim's disk that does not read as it was written; empty if there is none.
func (r *run) harmed() (what string) {
	if r.cfg.Set != SetRepair {
		return ""
	}
	n := r.w.Nodes[r.cfg.topology.victim]
	dirs := r.partitionDirs(n)
	n.Disk.Harmed(func(path string, off, size int64) {
		if slices.Contains(dirs, dirOf(path)) && strings.HasSuffix(path, ".log") && what == "" {
			what = n.Name + " has damage at byte " + strconv.FormatInt(off, 10) + " of " + path
		}
	})
	return what
}

// victim reports whether a node's disk is bad.
func (r *run) victim(node int) bool { return r.cfg.Set == SetRepair && node == r.cfg.topology.victim }

// lookDamaged tells the judge of copies where one begins that is under repair, which it does not see: its start may have been raised above
// all that it ever held.
func (r *run) lookDamaged(at int, l *log.Log) {
	if _, hurt := l.Damaged(); !hurt {
		return
	}
	if i, known := r.cluster.index[copyKey{l.TopicID(), l.Partition().Partition}]; known {
		c := r.cluster.copies[i]
		c.Raised(nodeID(at), int64(l.Start()))
		r.judged(c.Found())
	}
}
