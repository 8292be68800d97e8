package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/checker"
	"klamm/core"
	"klamm/core/log"
	"klamm/core/replica"
)

// This file judges Fetch from both sides. What a broker hands to a consumer lies below its own high watermark at that instant
// (I29). What a leader takes into its account of a follower comes from a replica that its own metadata name, in the life that
// they know, in the leadership that both believe in, at a place where the two logs agree (I28).

// booking is one partition that a follower's fetch names.
type booking struct {
	log          log.LogID
	node         core.NodeID
	broker       core.BrokerEpoch // that it fetches with; -1: the version has none
	leads, last  core.Epoch       // what it takes for the leader epoch, and the epoch of its last record
	offset       core.Offset
	before       replica.Copy // what the leader believed of it; a node that it knew nothing of has no end
	told         bool         // the version tells the epoch of the last record
	mono         core.Time
	leaderBefore core.Epoch
}

// heardFetch looks at a fetch before the broker does.
func (r *run) heardFetch(at int, conn core.ConnID, q *kmsg.FetchRequest) {
	v, n := &r.cluster.nodes[at], r.w.Nodes[at]
	if v.life != n.Life {
		*v = clusterNode{life: n.Life}
	}
	node, epoch := core.NodeID(q.ReplicaID), core.BrokerEpoch(-1)
	if q.Version >= 15 {
		node, epoch = core.NodeID(q.ReplicaState.ID), core.BrokerEpoch(q.ReplicaState.Epoch)
	}
	if i, known := slices.BinarySearch(v.reads, conn); node < 0 && !known {
		v.reads = slices.Insert(v.reads, i, conn)
	} else if node >= 0 && known {
		v.reads = slices.Delete(v.reads, i, i+1)
	}
	m, ok := n.Machine.(member)
	v.fetch = v.fetch[:0]
	if node < 0 || !ok || m.Store() == nil {
		return
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			for _, id := range m.Store().IDs() {
				l := m.Store().Log(id)
				if x := l.Partition(); x.Partition != p.Partition || x.Topic != t.Topic && (l.TopicID() != core.TopicID(t.TopicID) || t.TopicID == [16]byte{}) {
					continue
				}
				if lead := m.Leading(id); lead != nil {
					b := booking{log: id, node: node, broker: epoch, leads: core.Epoch(p.CurrentLeaderEpoch), last: core.Epoch(p.LastFetchedEpoch), offset: core.Offset(p.FetchOffset),
						told: q.Version >= 12, mono: n.clock(r.w.now).Mono, leaderBefore: lead.Epoch()}
					b.before, _ = copyOfNode(lead, node)
					v.fetch = append(v.fetch, b)
				}
			}
		}
	}
}

func copyOfNode(lead *replica.Leader, node core.NodeID) (replica.Copy, bool) {
	for _, c := range lead.Copies() {
		if c.Node == node {
			return c, true
		}
	}
	return replica.Copy{Node: node, End: -1, AskedAt: -1}, false
}

// gated looks at what the leader has made of a follower's fetch, after its Step.
func (r *run) gated(at int, n *Node, m member) {
	v := &r.cluster.nodes[at]
	for i := range v.fetch {
		b := &v.fetch[i]
		lead := m.Leading(b.log)
		if lead == nil || lead.Epoch() != b.leaderBefore || m.Image() == nil {
			continue
		}
		now, there := copyOfNode(lead, b.node)
		if !there || now.AskedAt != b.mono || b.before.AskedAt == b.mono || now.End != b.offset {
			continue // it was not taken into the account, or cannot be told from another one of this instant
		}
		if why := r.ungated(at, n, m, b, lead); why != "" {
			l := m.Store().Log(b.log)
			r.w.Fail("I28", fmt.Sprintf("%s: node %d leads in epoch %d and counts a fetch of node %d at offset %d: %s", l.Partition().Topic+"-"+strconv.Itoa(int(l.Partition().Partition)), nodeID(at), lead.Epoch(), b.node, b.offset, why))
		}
	}
	v.fetch = v.fetch[:0]
}

// ungated says why a fetch should not have been counted; empty: it was right.
func (r *run) ungated(at int, n *Node, m member, b *booking, lead *replica.Leader) string {
	l := m.Store().Log(b.log)
	if p := m.Image().Partition(l.Partition().Topic, l.Partition().Partition); p != nil && p.LeaderEpoch == lead.Epoch() && !slices.Contains(p.Replicas, b.node) {
		return fmt.Sprintf("the replicas are %v", p.Replicas)
	}
	if b.leads >= 0 && b.leads != lead.Epoch() {
		return "it believes in leader epoch " + strconv.Itoa(int(b.leads))
	}
	if k := m.Image().Broker(b.node); k != nil && b.broker >= 0 && b.broker < k.Epoch {
		return fmt.Sprintf("it is of broker epoch %d, and %d is registered", b.broker, k.Epoch)
	}
	if b.offset > l.End() {
		return "the log ends at " + strconv.FormatInt(int64(l.End()), 10)
	}
	if i := int(b.log); i < len(r.cluster.nodes[at].logs) && b.offset > l.Start() && r.cluster.nodes[at].logs[i].c != nil {
		x := r.cluster.nodes[at].logs[i].c
		here, known := x.EpochAt(nodeID(at), int64(b.offset)-1)
		there, has := r.epochOf(x, int32(b.node), int64(b.offset)-1)
		switch {
		case b.last >= 0 && known && here != int32(b.last):
			return fmt.Sprintf("its last record is of epoch %d, and here the one below that offset is of epoch %d", b.last, here)
		case b.told && has && there != int32(b.last) && x.Newest() == int32(lead.Epoch()): // whom another one leads by now may have been cut since it asked
			return fmt.Sprintf("it calls its last record one of epoch %d, and that is of epoch %d", b.last, there)
		}
	}
	return ""
}

// epochOf is the epoch of the record that a node's copy has at an offset; false if it has none. The judge of copies sees nothing of a log
// that is being repaired until it is whole again, and its leader may have another history by then than it had when it was damaged: what is
// written over the damage is in the files.
func (r *run) epochOf(c *copies, node int32, offset int64) (epoch int32, known bool) {
	at := int(node) - 1
	if at < 0 || at >= len(r.cluster.nodes) {
		return -1, false
	}
	n := r.w.Nodes[at]
	if m, ok := n.Machine.(member); ok && m.Store() != nil {
		if id, there := m.Store().Find(c.at); there {
			if l := m.Store().Log(id); !l.Online() && l.Offline() != "" {
				dir := strings.TrimSuffix(dirOfLog(n, l), "/")
				return epochOnDisk(n.Disk.Names(dir), func(name string, off int64, dst []byte) int { return n.Disk.Peek(dir+"/"+name, off, dst) }, int64(l.Start()), offset)
			}
		}
	}
	return c.EpochAt(node, offset)
}

// epochOnDisk walks the batches of the segment that an offset lies in, by their heads. names are the files of a log's directory, sorted. What stands
// below the start of the log is none of it any more: a log that holds nothing else has no last record.
func epochOnDisk(names []string, read func(name string, off int64, dst []byte) int, start, offset int64) (epoch int32, known bool) {
	if offset < start {
		return -1, false
	}
	segment := ""
	for _, name := range names {
		if base, is := segmentBase(name); is && base <= offset {
			segment = name
		}
	}
	var b [batchHead]byte
	for pos := int64(0); segment != "" && read(segment, pos, b[:]) == batchHead && b[16] == 2; {
		base, size := int64(binary.BigEndian.Uint64(b[:])), int64(int32(binary.BigEndian.Uint32(b[8:])))+12
		switch last := base + int64(int32(binary.BigEndian.Uint32(b[23:]))); {
		case offset < base || size < batchHead:
			return -1, false
		case offset <= last:
			return int32(binary.BigEndian.Uint32(b[12:])), true
		}
		pos += size
	}
	return -1, false
}

// handedOut looks at a range of a file that leaves for a consumer: every whole batch in it, as the consumer will see it, lies below
// the high watermark.
func (r *run) handedOut(at int, n *Node, e *core.Effect) {
	v := &r.cluster.nodes[at]
	if v.life != n.Life {
		return
	}
	_, reads := slices.BinarySearch(v.reads, e.Conn)
	m, ok := n.Machine.(member)
	path, named := n.Disk.PathOf(e.File)
	dir, file, _ := cutLast(strings.TrimPrefix(path, "/"), '/')
	if !ok || !named || !strings.HasSuffix(file, ".log") {
		return
	}
	_, dir, _ = cutLast(dir, '/')
	if !reads {
		r.sentAgain(at, n, e, path, dir)
		return
	}
	topic, number, _ := cutLast(dir, '-')
	p, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	id, there := m.Store().Find(core.TopicPartition{Topic: topic, Partition: int32(p)})
	if !there || !m.Store().Log(id).Online() {
		return
	}
	high := int64(m.Store().Log(id).High())
	read := func(off int64, dst []byte) (int, bool) { return n.Disk.Seen(path, off, dst) }
	if last, beyond := checker.Beyond(read, e.Off, e.Len, high); beyond {
		r.w.Fail("I29", fmt.Sprintf("%s: node %d hands offset %d to a consumer, and its high watermark is %d", dir, nodeID(at), last, high))
	}
}

// resend is what was last sent of a log over a connection of a follower.
type resend struct {
	conn core.ConnID
	dir  string
	base int64 // of the first batch
	n    int   // how often, one time behind the other
}

// Bounds of resends: how often a follower may be sent the same records before it takes them, and of how many logs that is known.
const (
	resendMax  = 10
	resendsMax = 128
)

// sentAgain looks whether a follower takes what it is sent (I88): where no disk fails, one that asks for the same records again and
// again will never be in sync.
func (r *run) sentAgain(at int, n *Node, e *core.Effect, path, dir string) {
	var b [8]byte
	if r.cfg.Set == SetErrors || r.cfg.Set >= SetDamage || n.Disk.Peek(path, e.Off, b[:]) != len(b) {
		return
	}
	v, base := &r.cluster.nodes[at], int64(binary.BigEndian.Uint64(b[:]))
	i := slices.IndexFunc(v.resends, func(x resend) bool { return x.conn == e.Conn && x.dir == dir })
	if i < 0 {
		if len(v.resends) == resendsMax {
			v.resends = v.resends[:0]
		}
		v.resends = append(v.resends, resend{conn: e.Conn, dir: dir, base: base, n: 1})
		return
	}
	x := &v.resends[i]
	if x.base != base {
		x.base, x.n = base, 1
		return
	}
	if x.n++; x.n > resendMax {
		r.w.Fail("I88", fmt.Sprintf("%s: node %d has sent the batch at offset %d to a follower %d times over one connection, and it was never taken", dir, nodeID(at), base, x.n))
	}
}

// cutLast cuts a text at the last place where a byte stands.
func cutLast(s string, at byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, at); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}
