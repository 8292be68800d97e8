package sim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/checker"
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/wire"
)

// This file judges restarts: what the logs of a new life hold, against what the life before had promised and what
// the disk still has.

// promised is what a former life of the broker said of one log.
type promised struct {
	partition core.TopicPartition
	topic     core.TopicID
	start     int64
	durable   int64  // it survives; with damage: what the checkpoint on the disk calls so
	dir       string // the log directory in which it was last; empty: nobody has seen
	batches   []checker.Batch
	epoch     int32 // greatest of batches
	judged    bool  // in this life
}

// handed is the newest generation of a group of which a member was told its assignment.
type handed struct {
	group      string
	generation int32
}

const marker = "/.kafka_cleanshutdown"

// fallen is called just before a life of the broker ends: what it said last is written down.
func (r *run) fallen(n *Node) {
	r.gone(n)
	w := &r.watch[n.at]
	w.wasReady, w.stopped, w.asked = false, false, n.stopping
	b, ok := n.Machine.(storeOwner)
	if !ok || b.Store() == nil {
		return
	}
	s := b.Store()
	w.wasReady = s.Ready()
	for i := range w.promised {
		if r.cfg.topology.many() && w.wasReady { // a copy that is here no more was given up
			w.promised[i].start, w.promised[i].durable = 0, 0
		}
	}
	for _, id := range s.IDs() {
		l := s.Log(id)
		if undecided(s, l) {
			continue
		}
		w.promise(l).dir = s.Path(l.Place())
		if !l.Online() {
			if p := w.promise(l); r.cfg.topology.many() && l.Cuts() > 0 {
				p.start, p.durable = 0, 0
			}
			continue
		}
		p := w.promise(l)
		if r.cfg.topology.many() { // a follower may have been cut, or may be at it
			if p.start, p.durable = int64(l.Start()), int64(l.Durable()); l.Cutting() {
				p.start, p.durable = 0, 0
			}
			continue
		}
		p.start, p.durable = max(p.start, int64(l.Start())), max(p.durable, int64(l.Durable()))
	}
}

// promise finds or makes what is known of a log.
func (w *watch) promise(l *log.Log) *promised {
	for i := range w.promised {
		if p := &w.promised[i]; p.partition == l.Partition() && p.topic == l.TopicID() {
			return p
		}
	}
	w.promised = append(w.promised, promised{partition: l.Partition(), topic: l.TopicID()})
	return &w.promised[len(w.promised)-1]
}

// takenAway forgets what a node has promised of copies that a reassignment has taken from it, by the metadata that it serves by: one that it
// is given again, perhaps in the same life and in another directory, begins anew.
func (w *watch) takenAway(img *image.Image, node core.NodeID) {
	for i := range w.promised {
		p := &w.promised[i]
		t, x := img.Topic(p.partition.Topic), img.Partition(p.partition.Topic, p.partition.Partition)
		if p.partition != quorum.Partition && t != nil && t.ID == p.topic && x != nil && !slices.Contains(x.Replicas, node) {
			p.start, p.durable, p.batches, p.judged = 0, 0, nil, true
		}
	}
}

// undecided reports whether a log has a twin, which a directory that failed and is back has brought along. Until the broker knows the
// metadata and has chosen, the one that it found first may be the other: nothing of it is judged, nor is it what this life says of the log.
func undecided(s *log.Store, l *log.Log) bool {
	return slices.ContainsFunc(s.Twins(), func(id log.LogID) bool { return s.Log(id).Partition() == l.Partition() })
}

// starting is called before a new life of the broker, with the disk as the crash left it.
func (r *run) starting(n *Node) {
	r.comes(n)
	w := &r.watch[n.at]
	w.ready, w.loaded = false, false
	if n.Life == 0 || r.cfg.Set == SetLying {
		return
	}
	if r.marked(n) && w.wasReady && !w.stopped && !w.asked && (r.cfg.Set == SetSync || r.cfg.Set.Replicate()) {
		r.w.Fail("I13", "the marker of a clean stop is there, and the last stop was none")
	}
	points := ""
	if r.cfg.Set == SetDamage {
		for _, dir := range r.cfg.topology.dirs(n.at) {
			b, _ := n.Disk.File(dir + "/recovery-point-offset-checkpoint")
			points += string(b)
		}
	}
	for i := range w.promised {
		p := &w.promised[i]
		p.judged, p.batches, p.epoch = false, nil, -1
		dir := r.logDir(n, p.partition)
		r.eachRecovered(n, dir, func(base int64, file []byte) {
			list, _, _ := checker.ReadSegment(file)
			p.batches = append(p.batches, list...)
		})
		for _, b := range p.batches {
			p.epoch = max(p.epoch, b.Epoch)
		}
		if r.cfg.Set == SetDamage {
			point := pointIn(points, p.partition)
			if end := soundEnd(p.batches); p.partition == quorum.Partition && end < p.durable && end >= point {
				w.forgot = true
				r.oracle.Damaged("") // nothing of what it knew is certain
			}
			p.durable = point
		}
	}
	if r.cfg.Set != SetDamage && !r.cfg.topology.many() {
		r.assignments(n)
	}
}

// soundEnd is the offset up to which batches follow each other.
func soundEnd(batches []checker.Batch) (end int64) {
	for i, b := range batches {
		if i > 0 && b.Base != end {
			break
		}
		end = b.Last + 1
	}
	return end
}

// pointIn reads one row of a checkpoint; 0 if there is none.
func pointIn(text string, p core.TopicPartition) int64 {
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != p.Topic || f[1] != strconv.Itoa(int(p.Partition)) {
			continue
		}
		return max(number(f[2]), 0)
	}
	return 0
}

// segmentsOf reads the segment files of a directory.
func segmentsOf(n *Node, dir string) (segments []checker.Segment) {
	for _, name := range n.Disk.Names(dir) {
		offset, is := segmentBase(name)
		if !is {
			continue
		}
		base := dir + "/" + strings.TrimSuffix(name, ".log")
		s := checker.Segment{Base: offset}
		s.Log, _ = n.Disk.File(base + ".log")
		s.Index, _ = n.Disk.File(base + ".index")
		s.TimeIndex, _ = n.Disk.File(base + ".timeindex")
		segments = append(segments, s)
	}
	return segments
}

// segmentBase reads the offset in the name of a .log file.
func segmentBase(name string) (offset int64, is bool) {
	base, is := strings.CutSuffix(name, ".log")
	if !is {
		return 0, false
	}
	offset, err := strconv.ParseInt(base, 10, 64)
	return offset, err == nil
}

// eachSegment shows the .log files of a directory, one after the other; the bytes are valid during the call only.
func (r *run) eachSegment(n *Node, dir string, look func(base int64, file []byte)) {
	for _, name := range n.Disk.Names(dir) {
		if offset, is := segmentBase(name); is {
			file, _ := n.Disk.FileInto(dir+"/"+name, r.w.memory.file)
			r.w.memory.file = file[:0]
			look(offset, file)
		}
	}
}

// eachRecovered shows the segments of a directory that a crash has left, as a swap that had begun to count makes them: its .log.swap in
// place of all that it covers. One whose other files are still called .cleaned does not count (I73).
func (r *run) eachRecovered(n *Node, dir string, look func(base int64, file []byte)) {
	names := n.Disk.Names(dir)
	swap := int64(-1)
	for _, name := range names {
		if base, is := strings.CutSuffix(name, ".swap"); is {
			if offset, is := segmentBase(base); is {
				swap = offset
			}
		}
	}
	for _, name := range names {
		if base, is := strings.CutSuffix(name, ".cleaned"); is && swap >= 0 && offsetOf(base) <= swap {
			swap = -1
		}
	}
	if swap < 0 {
		r.eachSegment(n, dir, look)
		return
	}
	r.deedIn(Compaction, deedSwapSeen)
	file, _ := n.Disk.File(dir + "/" + segmentName(core.Offset(swap)) + ".swap")
	list, _, _ := checker.ReadSegment(file)
	end := swap
	if len(list) > 0 {
		end = list[len(list)-1].Last + 1
	}
	shown := false
	r.eachSegment(n, dir, func(base int64, old []byte) {
		if base >= swap && !shown {
			look(swap, file)
			shown = true
		}
		if base < swap || base >= end {
			look(base, old)
		}
	})
	if !shown {
		look(swap, file)
	}
}

// offsetOf reads the offset that a file's name begins with.
func offsetOf(name string) int64 {
	offset, _ := strconv.ParseInt(strings.TrimLeft(name[:min(20, len(name))], "0"), 10, 64)
	return offset
}

// recovered judges a log that a new life has loaded.
func (r *run) recovered(n *Node, l *log.Log) {
	w := &r.watch[n.at]
	for i := range w.promised {
		p := &w.promised[i]
		if p.judged || p.partition != l.Partition() || p.topic != l.TopicID() {
			continue
		}
		p.judged = true
		at := checker.Partition{TopicID: p.partition.Topic, Number: p.partition.Partition}
		if int64(l.Start()) < p.start {
			r.w.Fail("I71", at.String()+": the log start fell from "+strconv.FormatInt(p.start, 10)+" to "+strconv.FormatInt(int64(l.Start()), 10)+" with a restart")
		}
		if r.cfg.Set == SetDamage { // its bytes may have changed after the start as well
			if int64(l.End()) < p.durable {
				r.w.Fail("I25", at.String()+" is served up to "+strconv.FormatInt(int64(l.End()), 10)+", and the checkpoint promises "+strconv.FormatInt(p.durable, 10))
			}
			continue
		}
		if r.victim(n.at) { // what it can read now is not what it had
			continue
		}
		if l.Swaps() > 0 || l.Cleaning().On { // it has been cleaned in this life already
			continue
		}
		var after []checker.Batch
		r.eachSegment(n, r.logDir(n, p.partition), func(base int64, file []byte) {
			list, _, _ := checker.ReadSegment(file)
			for _, b := range list {
				if b.Epoch <= p.epoch && b.Last < int64(l.End()) { // what this life has appended has an epoch of its own
					after = append(after, b)
				}
			}
		})
		durable := p.durable
		if int64(l.End()) >= durable { // the new life's own batches may be on their way to the file
			durable = 0
		}
		for _, v := range checker.CheckRecovered(at, p.batches, after, int64(l.Start()), durable) {
			r.w.Fail(v.Invariant, v.Subject+": "+v.Detail)
		}
	}
}

// loading looks at the store while it loads its logs: the marker of a clean stop must be gone by then.
func (r *run) loading(n *Node, s *log.Store) {
	if !s.Loading() || r.watch[n.at].loaded {
		return
	}
	r.watch[n.at].loaded = true
	for i := range s.Places() { // a directory that is offline keeps its own
		if _, there := n.Disk.File(s.Path(i) + marker); there && s.LostDir(i) == "" {
			r.w.Fail("I13", "logs are being loaded, and the marker of a clean stop is still in "+s.Path(i))
		}
	}
}

// nowReady judges, once in each life, what a broker that serves must have.
func (r *run) nowReady(n *Node, s *log.Store) {
	r.watch[n.at].ready = true
	if r.cfg.topology.many() || r.metadataHurt() {
		return
	}
	for i := range min(r.probes.made, len(r.cfg.Topics)) {
		t := &r.cfg.Topics[i]
		for p := range t.partitions {
			if _, there := s.Find(core.TopicPartition{Topic: t.name, Partition: p}); !there {
				r.w.Fail("I41", "the broker serves, and "+t.name+"-"+strconv.Itoa(int(p))+" is not there, though it was made and never deleted")
			}
		}
	}
}

// metadataHurt reports whether the broker may have lost metadata that it had answered. What is destroyed below the log's
// recovery point it must see, and not come up. Above, nobody can tell damage from a torn end: that is cut off, with all
// that was known by it. The recovery point follows within moments, so this is rare, and only then are topics, settings and
// ids excused. A read that went to a wrong place is like damage, but what it hit is known to nobody afterwards.
func (r *run) metadataHurt() bool {
	return r.watch[0].forgot || r.hurt("/__cluster_metadata-", "misdirected read")
}

// groupsHurt is the same of the coordinators' logs, whose recovery points lag, so any damage counts.
func (r *run) groupsHurt() bool { return r.hurt("/__consumer_offsets-", "") }

func (r *run) hurt(where, what string) bool {
	for _, d := range r.w.Nodes[0].Disk.Damage {
		if strings.Contains(d.Path, where) && strings.HasSuffix(d.Path, ".log") && strings.Contains(d.What, what) {
			return true
		}
	}
	return false
}

// settingsOf compares what a log goes by with what its topic was made with (I90).
func (r *run) settingsOf(l *log.Log) {
	p := l.Partition()
	for i := range r.cfg.Topics {
		t := &r.cfg.Topics[i]
		if t.name != p.Topic || r.cfg.Set == SetDamage && r.metadataHurt() {
			continue
		}
		c := l.Config()
		for _, x := range [...]struct {
			want, have int64
			name       string
		}{
			{t.fixed.segmentBytes, c.SegmentBytes, "internal.segment.bytes"},
			{t.fixed.segmentTime, c.SegmentTime.Millis(), "segment.ms"},
			{t.fixed.indexBytes, c.IndexBytesMax, "segment.index.bytes"},
			{t.fixed.retentionBytes, c.RetentionBytes, "retention.bytes"},
			{t.fixed.deleteDelay, c.DeleteDelay.Millis(), "file.delete.delay.ms"},
		} {
			if x.want != checker.None && x.want != x.have {
				r.w.Fail("I90", p.Topic+": "+x.name+" is "+strconv.FormatInt(x.want, 10)+", and the log goes by "+strconv.FormatInt(x.have, 10))
			}
		}
	}
}

// fixedSettings are those that a topic was made with and nobody changes; None where it has none.
type fixedSettings struct{ segmentBytes, segmentTime, indexBytes, retentionBytes, deleteDelay int64 }

func (t *topicConfig) fix() {
	f := &t.fixed
	*f = fixedSettings{checker.None, checker.None, checker.None, checker.None, checker.None}
	for _, kv := range t.configs {
		switch kv[0] {
		case "internal.segment.bytes":
			f.segmentBytes = number(kv[1])
		case "segment.ms":
			f.segmentTime = number(kv[1])
		case "segment.index.bytes":
			f.indexBytes = number(kv[1])
		case "retention.bytes":
			f.retentionBytes = number(kv[1])
		case "file.delete.delay.ms":
			f.deleteDelay = number(kv[1])
		}
	}
}

// handedOut notes that a member was told its assignment.
func (w *watch) handedOut(group string, generation int32) {
	for i := range w.handed {
		if h := &w.handed[i]; h.group == group {
			h.generation = max(h.generation, generation)
			return
		}
	}
	w.handed = append(w.handed, handed{group, generation})
}

// assignments looks whether every assignment that a member was told of is on the disk (I48): a coordinator that
// does not know it would hand the partitions out again. Of several nodes' disks any may have it: they are looked at in the end.
func (r *run) assignments(nodes ...*Node) {
	w := &r.watch[0]
	if len(w.handed) == 0 {
		return
	}
	stored := make([]int32, len(w.handed))
	for _, n := range nodes {
		for p := range r.cfg.setting("offsets.topic.num.partitions", 50) {
			r.eachSegment(n, r.logDir(n, core.TopicPartition{Topic: "__consumer_offsets", Partition: int32(p)}), func(base int64, file []byte) {
				list, _, _ := checker.ReadSegment(file)
				for _, b := range list {
					w.storedIn(stored, file[b.Position:b.Position+b.Size], len(nodes) > 1)
				}
			})
		}
	}
	for i, h := range w.handed {
		if stored[i] < h.generation {
			r.w.Fail("I48", "group "+h.group+": a member was told its assignment of generation "+strconv.Itoa(int(h.generation))+
				", and the disk knows none after "+strconv.Itoa(int(stored[i])))
		}
	}
}

// assigned is assignments of a whole cluster, at its end.
func (r *run) assigned() {
	if !r.cfg.topology.many() || r.cfg.Set >= SetDamage || r.w.Marks.Count("group.expired") > 0 {
		return
	}
	var all []*Node
	for _, i := range r.cfg.topology.brokers() {
		all = append(all, r.w.Nodes[i])
	}
	r.assignments(all...)
}

// storedIn reads the generations that a batch of the coordinator's log holds: those with members, or any.
func (w *watch) storedIn(stored []int32, b []byte, empty bool) {
	v, _, is := batch.First(b)
	if is != batch.Good {
		return
	}
	records, is := batch.Read(v, 1<<20)
	var rec batch.Record
	for is == batch.Good && records.Next(&rec) {
		key, value := kmsg.NewGroupMetadataKey(), kmsg.NewGroupMetadataValue()
		if group, epoch, ok := currentEpoch(rec.Key, rec.Value, empty); ok {
			for i := range w.handed {
				if w.handed[i].group == group {
					stored[i] = max(stored[i], epoch)
				}
			}
			continue
		}
		if len(rec.Key) < 2 || rec.Key[1] != 2 || rec.Value == nil || key.ReadFrom(rec.Key) != nil || value.ReadFrom(rec.Value) != nil || len(value.Members) == 0 && !empty {
			continue
		}
		for i := range w.handed {
			if w.handed[i].group == key.Group {
				stored[i] = max(stored[i], value.Generation)
			}
		}
	}
}

// currentEpoch reads the record that says what a member of the consumer protocol is assigned (KIP-848); with empty, that of the group's
// epoch counts too, since a member that left takes its own along.
func currentEpoch(key, value []byte, empty bool) (group string, epoch int32, ok bool) {
	if len(key) < 4 || key[0] != 0 || len(value) < 2 {
		return "", 0, false
	}
	n := int(key[2])<<8 | int(key[3])
	if len(key) < 4+n {
		return "", 0, false
	}
	switch group = string(key[4 : 4+n]); {
	case key[1] == 3 && empty:
		v := wire.NewConsumerGroupMetadataValue()
		ok = v.ReadFrom(value[2:], 0) == nil
		return group, v.Epoch, ok
	case key[1] == 8:
		v := wire.NewConsumerGroupCurrentMemberAssignmentValue()
		ok = v.ReadFrom(value[2:], 0) == nil
		return group, v.MemberEpoch, ok
	}
	return "", 0, false
}

// order looks at the files of logs whose bytes are whole, however often they were read from a wrong place: what was
// believed of such a read must not have led to batches out of order (I01).
func (r *run) order() {
	n := r.w.Nodes[0]
	for i := range r.oracle.logs {
		at := r.oracle.logs[i].at
		dir := r.logDir(n, at)
		whole := true
		for _, d := range n.Disk.Damage {
			whole = whole && (d.What == "misdirected read" || !strings.HasPrefix(d.Path, dir+"/") || !strings.Contains(d.Path, ".log"))
		}
		if !whole {
			continue
		}
		last := int64(-1)
		for _, s := range segmentsOf(n, dir) {
			list, _, _ := checker.ReadSegment(s.Log)
			for _, b := range list {
				if b.Base <= last {
					r.w.Fail("I01", dir+": a batch begins at offset "+strconv.FormatInt(b.Base, 10)+", behind offset "+strconv.FormatInt(last, 10))
					return
				}
				last = b.Last
			}
		}
	}
}
