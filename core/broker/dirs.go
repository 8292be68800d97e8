package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file is about the log directories of a broker that runs (KIP-112, 858): where new replicas go, what becomes of a directory
// that fails, and what the controller is told.
//
// A replica is in one directory, as the controller knows it: that of the metadata, or else unassigned, which means that
// the broker chooses. What is so is told by AssignReplicasToDirs whenever the two differ, so nothing is remembered of what was
// told before: the metadata say it. A directory that fails is named by every heartbeat until the registration in the metadata
// does not have it any more. A replica in it that the metadata have in another one (it was chosen, or moved, a moment ago) is assigned
// to the failed one, so that the heartbeat speaks for it too.

// assigning is the queue of replicas of which the controller is to be told the directory.
//
// Invariants: queue holds a log at most once (hosted.dirQueued); flight holds what the request numbered ask is about.
type assigning struct {
	queue   []log.LogID
	flight  []log.LogID
	ask     uint64
	retryAt core.Time
	fails   uint8
}

const (
	assignRetryMin = 50 * core.Millisecond
	assignRetryMax = core.Second
	// assignsMax bounds the replicas of one request, as Kafka does.
	assignsMax = 2250
	// levelDirectories is the metadata version from which on replicas have directories: 3.7-IV2.
	levelDirectories int16 = 17
)

// dirUnassigned is Kafka's directory id for: the broker chooses.
var dirUnassigned = core.TopicID{15: 1}

// dirIDs are the ids of the directories for partitions: those that can be used, or those that have failed.
func (b *Broker) dirIDs(failed bool) (ids [][16]byte) {
	for at := range b.dirs {
		if d := &b.dirs[at]; d.data && !d.id.IsZero() && (d.why != "") == failed {
			ids = append(ids, d.id)
		}
	}
	return ids
}

// dirOf is the id of the directory in which a log lies.
func (b *Broker) dirOf(id log.LogID) core.TopicID { return b.dirs[b.store.Log(id).Place()].id }

// directoryIn is the directory of this broker's replica as the metadata have it.
func (b *Broker) directoryIn(x *image.Partition) core.TopicID {
	if at := slices.Index(x.Replicas, b.cfg.NodeID); at >= 0 && at < len(x.Directories) {
		return x.Directories[at]
	}
	return core.TopicID{}
}

// placeFor chooses the directory of a replica that has no log here: the one that a client has wished for, else that of the
// metadata, else the one that has the fewest logs, the first of several. Negative: none can be used. If the metadata have it
// in a directory that is not here, and some directory could not be read, it is taken to be in that one, and offline: it would
// begin anew, empty, although its records may be there. A future log says the same: the metadata have a replica in the directory to which
// it moves before it is there, and the log that it was a copy of is in none that can be read. And so it is with a replica of which the
// metadata say that the broker chooses, if they did as this life took in what there is: a former one may have chosen, and served the replica,
// and the controller had not come to taking that in. A partition that came later is new.
func (b *Broker) placeFor(tp core.TopicPartition, topic core.TopicID, x *image.Partition, out *core.Out) int {
	failed := slices.IndexFunc(b.dirs, func(d logDir) bool { return d.data && d.why != "" })
	if failed >= 0 && slices.ContainsFunc(b.store.Futures(), func(id log.LogID) bool {
		f := b.store.Log(id)
		return f.Partition() == tp && f.TopicID() == topic && b.dirs[f.Place()].why == ""
	}) {
		out.Mark("broker.moving-from-offline-directory")
		return failed
	}
	if at := b.wished(tp); at >= 0 {
		return at
	}
	best, least := -1, 0
	told := b.directoryIn(x)
	for at := range b.dirs {
		d := &b.dirs[at]
		if !d.data || d.why != "" {
			continue
		}
		if d.id == told && !told.IsZero() {
			return at
		}
		if n := b.store.Count(at); best < 0 || n < least {
			best, least = at, n
		}
	}
	switch {
	case failed < 0 || told.IsZero():
	case told != dirUnassigned:
		out.Mark("broker.directory-offline-at-start")
		return failed
	case !b.hosts():
		out.Mark("broker.unassigned-and-offline")
		return failed
	}
	return best
}

// dirLost takes note of a directory that has failed. Without that of the metadata log, or without any for partitions, there is
// nothing left to do for this node.
func (b *Broker) dirLost(now core.Now, at int, why string, out *core.Out) {
	d := &b.dirs[at]
	if d.why != "" { // it could not be read at the start
		return
	}
	d.why, d.failed = why, now.Mono
	switch {
	case b.stage >= stageStopping:
	case at == 0:
		b.fatal("this node cannot go on without its metadata log: "+why+". Look after the disk, and start it again", out)
	case !b.anyDir():
		b.fatal("this node cannot go on, since its last log directory has failed: "+why+". Look after the disk, and start it again", out)
	default:
		out.Mark("broker.directory-failed")
		b.hurry(now)
	}
}

// anyDir reports whether there is a directory left for partitions.
func (b *Broker) anyDir() bool {
	return slices.ContainsFunc(b.dirs, func(d logDir) bool { return d.data && d.why == "" })
}

// failureLate reports that the controller does not know of a failed directory for longer than log.dir.failure.timeout.ms. It may
// still have this broker lead what lies there.
func (b *Broker) failureLate(now core.Now) string {
	self := b.img.Broker(b.cfg.NodeID)
	for at := range b.dirs {
		d := &b.dirs[at]
		if d.failed > 0 && self != nil && slices.Contains(self.LogDirs, d.id) && now.Mono >= d.failed.After(b.cfg.DirFailureWait) {
			return d.path
		}
	}
	return ""
}

// dirDeadline is when failureLate has to be asked.
func (b *Broker) dirDeadline() core.Time {
	self, next := b.img.Broker(b.cfg.NodeID), core.Never
	if b.stage < stagePartitions {
		return next
	}
	for at := range b.dirs {
		if d := &b.dirs[at]; d.failed > 0 && self != nil && slices.Contains(self.LogDirs, d.id) {
			next = min(next, d.failed.After(b.cfg.DirFailureWait))
		}
	}
	return next
}

// chooseTwins decides between two logs of one partition: the one that knows of the newer leadership, or is longer, has what the other
// one has, and more. If they are alike, the metadata say which directory the replica is in. The other one is of a directory that
// failed as the log was moved out of it, or before, and is set aside. One that cannot be read is not passed over for one that can.
func (b *Broker) chooseTwins(now core.Now, out *core.Out) {
	for _, id := range b.store.Twins() {
		tp := b.store.Log(id).Partition()
		x := b.img.Partition(tp.Topic, tp.Partition)
		l, of := b.store.Log(id), log.NoLog
		if found, ok := b.store.Find(tp); ok {
			of = found
		}
		o := b.store.Log(of)
		told := x != nil && b.directoryIn(x) == b.dirOf(id)
		newer := l.Epoch() > o.Epoch() || l.Epoch() == o.Epoch() && (l.End() > o.End() || l.End() == o.End() && told)
		if x != nil && l.TopicID() == b.img.Topic(tp.Topic).ID && (o.TopicID() != l.TopicID() || l.Online() && o.Online() && newer || (!l.Online() || !o.Online()) && told) {
			b.store.Choose(id)
		}
	}
	for _, id := range b.store.Twins() {
		l := b.store.Log(id)
		out.Mark("broker.twin-set-aside")
		b.note(now, core.Warn, "set aside "+b.dirs[l.Place()].path+"/"+l.Partition().Topic+"-"+strconv.Itoa(int(l.Partition().Partition))+
			": the replica is in another log directory by now", out)
		b.store.Stray(now, id, out)
	}
}

// passOver leaves a log alone that was found where the metadata do not have the replica, if they have it in a directory that cannot be read
// now: the replica is taken to be there, and offline, as Apache Kafka takes it. What was found may be what a directory that failed
// has kept while the replica was moved out of it, or made anew elsewhere, and has gone on. Whoever served that would do without what was
// acknowledged since, and the epoch that it is led in would have it win when the other one is back. A move that was told and had not come to its
// end is not to be told from this. An operator who takes the directory out of log.dirs says that nothing is left in it.
func (b *Broker) passOver(now core.Now, out *core.Out) {
	for _, id := range slices.Clone(b.store.IDs()) {
		l := b.store.Log(id)
		tp := l.Partition()
		x := b.img.Partition(tp.Topic, tp.Partition)
		if !b.hostsHere(x) || !b.belongs(l) || b.dirs[l.Place()].why != "" || !b.unreadable(b.directoryIn(x)) {
			continue
		}
		out.Mark("broker.log-passed-over")
		b.note(now, core.Warn, b.dirs[l.Place()].path+"/"+name(tp)+" is not used: the replica is in another log directory, which cannot be read", out)
		b.store.Aside(id)
	}
}

// unreadable reports whether a directory of the metadata may be among those that cannot be read. Of most of these no id is known.
func (b *Broker) unreadable(id core.TopicID) bool {
	if id.IsZero() || id == dirUnassigned || id == dirLost || id == dirDamaged {
		return false
	}
	there := func(d logDir) bool { return d.data && d.why == "" && d.id == id }
	perhaps := func(d logDir) bool { return d.data && d.why != "" && (d.id == id || d.id.IsZero()) }
	return !slices.ContainsFunc(b.dirs, there) && slices.ContainsFunc(b.dirs, perhaps)
}

// checkDir has the controller told where a replica is, if the metadata say something else.
func (b *Broker) checkDir(h *hosted) {
	if h.dirQueued || h.gone || !b.dirDiffers(h) {
		return
	}
	h.dirQueued = true
	b.assign.queue = append(b.assign.queue, h.log)
}

// dirDiffers reports whether the metadata have a replica in another directory than the one that it is in, or is about to be in.
func (b *Broker) dirDiffers(h *hosted) bool {
	x := b.img.Partition(h.tp.Topic, h.tp.Partition)
	if x == nil || b.img.Feature("metadata.version") < levelDirectories {
		return false
	}
	is := b.toldDir(h)
	return !is.IsZero() && b.directoryIn(x) != is && slices.Contains(x.Replicas, b.cfg.NodeID)
}

// assignNext is when assignSend has something to do.
func (b *Broker) assignNext() core.Time {
	if len(b.assign.queue) == 0 || len(b.assign.flight) > 0 || b.life.epoch < 0 {
		return core.Never
	}
	return b.assign.retryAt
}

// assignSend tells the controller what is queued. One request is in flight at a time, so that what is told later counts.
func (b *Broker) assignSend(now core.Now, out *core.Out) {
	s := &b.assign
	if len(s.queue) == 0 || len(s.flight) > 0 || now.Mono < s.retryAt || b.life.epoch < 0 {
		return
	}
	n := min(len(s.queue), assignsMax)
	type row struct {
		dir core.TopicID
		h   *hosted
	}
	var rows []row
	for _, id := range s.queue[:n] {
		h := b.parts.at(id)
		if h == nil {
			continue
		}
		if h.dirQueued = false; !h.gone && b.dirDiffers(h) {
			rows = append(rows, row{b.toldDir(h), h})
			s.flight = append(s.flight, id)
		}
	}
	if s.queue = append([]log.LogID(nil), s.queue[n:]...); len(rows) == 0 {
		return
	}
	slices.SortStableFunc(rows, func(x, y row) int {
		if c := slices.Compare(x.dir[:], y.dir[:]); c != 0 {
			return c
		}
		return x.h.tp.Compare(y.h.tp)
	})
	q := kmsg.NewPtrAssignReplicasToDirsRequest()
	q.BrokerID, q.BrokerEpoch = int32(b.cfg.NodeID), int64(b.life.epoch)
	for _, r := range rows {
		if k := len(q.Directories) - 1; k < 0 || q.Directories[k].ID != r.dir {
			d := kmsg.NewAssignReplicasToDirsRequestDirectory()
			d.ID = r.dir
			q.Directories = append(q.Directories, d)
		}
		d := &q.Directories[len(q.Directories)-1]
		if k := len(d.Topics) - 1; k < 0 || d.Topics[k].TopicID != r.h.id {
			t := kmsg.NewAssignReplicasToDirsRequestDirectoryTopic()
			t.TopicID = r.h.id
			d.Topics = append(d.Topics, t)
		}
		t := &d.Topics[len(d.Topics)-1]
		p := kmsg.NewAssignReplicasToDirsRequestDirectoryTopicPartition()
		p.Partition = r.h.tp.Partition
		t.Partitions = append(t.Partitions, p)
	}
	b.repl.asks++
	s.ask = b.repl.asks
	b.askController(now, askAssignDirs, s.ask, q, out)
}

// assigned takes the controller's answer; nil if there is none. What it has taken in shows in the metadata; what it has not, or
// what has changed since, is told again.
func (b *Broker) assigned(now core.Now, ask uint64, resp kmsg.Response, out *core.Out) {
	s := &b.assign
	if ask != s.ask || len(s.flight) == 0 {
		return
	}
	flight := s.flight
	s.flight = nil
	r, _ := resp.(*kmsg.AssignReplicasToDirsResponse)
	ok := r != nil && wire.Code(r.ErrorCode) == wire.None
	if !ok {
		out.Mark("broker.assignment-unanswered")
	}
	if s.fails = min(s.fails+1, 5); ok {
		s.fails = 0
	}
	s.retryAt = now.Mono.After(min(assignRetryMin<<s.fails, assignRetryMax))
	for _, id := range flight {
		if h := b.parts.at(id); h != nil {
			b.checkDir(h)
		}
	}
	b.assignSend(now, out)
}
