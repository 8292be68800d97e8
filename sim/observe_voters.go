package sim

import (
	"cmp"
	"fmt"
	"slices"

	"klamm/checker"
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/wire"
)

// This file judges the voters of the metadata quorum where they change (I37, I39, I40, I41). What is in force on a node is
// read from the bytes of its log, and held against what the node goes by.

// votersAt is a set of voters in a log: the offset of the batch's last record, and the batch's epoch, name it.
type votersAt struct {
	last      int64
	epoch     int32
	level     int16
	keys      []voterKey
	committed bool
}

// voteJudge is what is known of all sets.
type voteJudge struct {
	fixed bool       // the voters never change
	first []voterKey // before any set was appended
	sets  []votersAt // in the order in which they were seen
	lost  []voterKey // whose disks are gone
	views []voteView
}

// voteView is what was read of one node's log.
type voteView struct {
	seen  []int    // of sets, in the order of the log
	epoch int32    // of the last batch, and
	base  int64    // where that epoch begins in this log
	grew  []growth // while it leads: how far its log had come when, as far as that is not read yet
	shot  quorum.SnapshotID
	went  reign
}

// reign is what a leader went by when it was last looked at: life 0 if it did not lead. A Step may raise its high watermark and then
// change the voters; both are seen when it is over.
type reign struct {
	life  int
	epoch int32
	end   int64 // of its log
	keys  []voterKey
}

// growth is what a leader had committed when its log came to an end.
type growth struct{ end, high int64 }

func newVoteJudge(t *topology) voteJudge {
	j := voteJudge{fixed: t.voting == votersFixed, views: make([]voteView, len(t.roles))}
	for _, id := range t.first {
		k := voterKey{id: id}
		if t.voting == votersNamed {
			k.dir = firstDir(int(id - 1))
		}
		j.first = append(j.first, k)
	}
	return j
}

func voterKeys(n *quorum.Node) (keys []voterKey) {
	ids, dirs := n.VoterKeys()
	for i := range ids {
		keys = append(keys, voterKey{int32(ids[i]), dirs[i]})
	}
	return keys
}

func (j *voteJudge) dead(k voterKey) bool { return slices.Contains(j.lost, k) }

// replaces reports whether a voter is one whose former directory is lost.
func (j *voteJudge) replaces(k voterKey) bool {
	return slices.ContainsFunc(j.lost, func(o voterKey) bool { return o.id == k.id && o.dir != k.dir })
}

// formatted reports whether a directory was formatted with the first voters.
func (j *voteJudge) formatted(k voterKey) bool { return slices.Contains(j.first, k) }

// survive reports whether a set has a majority of voters with their disks, were one more lost.
func (j *voteJudge) survive(keys []voterKey, but voterKey) bool {
	n := 0
	for _, k := range keys {
		if !j.dead(k) && k != but {
			n++
		}
	}
	return n > len(keys)/2
}

// force is the set in force on a node, by its log, and nil if it is what the directory was formatted with; before is the one
// before it.
func (j *voteJudge) force(at int, start int64) (in, before *votersAt) {
	var list []*votersAt
	for i := range j.sets { // what a snapshot stands for
		if x := &j.sets[i]; x.committed && x.last < start {
			list = append(list, x)
		}
	}
	for _, i := range j.views[at].seen {
		if x := &j.sets[i]; x.last >= start {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *votersAt) int { return cmp.Compare(a.last, b.last) })
	if n := len(list); n > 1 {
		return list[n-1], list[n-2]
	} else if n == 1 {
		return list[0], nil
	}
	return nil, nil
}

// keysOn are the voters in force on a node.
func (r *run) keysOn(at int, x *votersAt) []voterKey {
	j := &r.cluster.voting
	switch {
	case x != nil:
		return x.keys
	case r.cfg.topology.voting == votersNamed && !j.formatted(voterKey{nodeID(at), r.directory(at)}):
		return nil
	}
	return j.first
}

// anew begins to read a log from its start.
func (j *voteJudge) anew(at int) { j.views[at].seen, j.views[at].epoch, j.views[at].base = nil, -1, 0 }

// lookBatch looks at a batch of the metadata log for what it says of the voters.
func (r *run) lookBatch(at int, n *Node, x *copySeen, m checker.Mark, s *checker.Standing) {
	j := &r.cluster.voting
	v := &j.views[at]
	if j.fixed {
		return
	}
	if m.Epoch != v.epoch {
		v.epoch, v.base = m.Epoch, m.Base
	}
	set, has := x.votersIn(n)
	if !has {
		return
	}
	before, _ := j.force(at, s.Start)
	keys := r.keysOn(at, before)
	if set.keys == nil && before != nil {
		set.keys = keys
	}
	if set.level < 0 {
		set.level = 0
		if before != nil {
			set.level = before.level
		}
	}
	set.last, set.epoch = m.Last, m.Epoch
	i := slices.IndexFunc(j.sets, func(o votersAt) bool { return o.last == set.last && o.epoch == set.epoch })
	if i < 0 {
		i = len(j.sets)
		j.sets = append(j.sets, set)
	} else if !slices.Equal(j.sets[i].keys, set.keys) {
		r.w.Fail("I36", fmt.Sprintf("node %d has the voters %v at offset %d of epoch %d, and another node had %v", nodeID(at), set.keys, m.Last, m.Epoch, j.sets[i].keys))
	}
	v.seen = append(v.seen, i)
	r.w.tracef("%s has in its log at %d, epoch %d: voters %v, kraft.version %d", n.Name, m.Last, m.Epoch, set.keys, set.level)
	if s.Leads && s.Epoch == m.Epoch {
		r.changeOfVoters(at, v, before, keys, &j.sets[i], s)
	}
}

// changeOfVoters judges a leader that appends another set (I39).
func (r *run) changeOfVoters(at int, v *voteView, before *votersAt, keys []voterKey, x *votersAt, s *checker.Standing) {
	w, high := r.w, s.High
	for i := len(v.grew) - 1; i >= 0; i-- { // when it was appended; the bytes come later
		if v.grew[i].end > x.last {
			high = v.grew[i].high
		}
	}
	w.Counts[AdminVotersChange]++
	if first := before == nil && v.base == 0 && slices.Equal(keys, x.keys); first {
		return // the voters of the formatted directory enter the log
	}
	if high <= v.base {
		w.Fail("I39", fmt.Sprintf("node %d changes the voters from %v to %v at offset %d, and has committed %d, nothing of its epoch %d, which begins at %d", nodeID(at), keys, x.keys, x.last, high, s.Epoch, v.base))
	}
	if before != nil && before.last >= high {
		w.Fail("I39", fmt.Sprintf("node %d changes the voters to %v at offset %d, and those of offset %d, %v, are not committed: %d is", nodeID(at), x.keys, x.last, before.last, keys, high))
	}
	differ := 0
	for _, pair := range [...][2][]voterKey{{keys, x.keys}, {x.keys, keys}} {
		for _, k := range pair[0] {
			if !slices.ContainsFunc(pair[1], k.like) {
				differ++
			}
		}
	}
	if differ > 1 {
		w.Fail("I39", fmt.Sprintf("node %d changes the voters from %v to %v at once", nodeID(at), keys, x.keys))
	}
}

// votersIn reads the set of the batch that was read last, if it brings one. What it leaves out is nil, or -1.
func (x *copySeen) votersIn(n *Node) (set votersAt, has bool) {
	var head [batchHead]byte
	if n.Disk.Peek(x.dir+segmentName(x.segment), x.was, head[:]) != batchHead || head[22]&0x20 == 0 {
		return set, false
	}
	b := make([]byte, x.pos-x.was)
	n.Disk.Peek(x.dir+segmentName(x.segment), x.was, b)
	return votersOf(b)
}

// votersOf reads the set of a control batch.
func votersOf(b []byte) (set votersAt, has bool) {
	set.level = -1
	view, _, is := batch.First(b)
	if is != batch.Good || !view.IsControl() {
		return set, false
	}
	records, is := batch.Read(view, 1<<20)
	var rec batch.Record
	for is == batch.Good && records.Next(&rec) {
		kind, _ := batch.ParseControlKey(rec.Key)
		switch kind {
		case batch.KRaftVersion:
			var k wire.KRaftVersionRecord
			if wire.ReadControl(rec.Value, &k) == nil {
				set.level, has = k.KRaftVersion, true
			}
		case batch.KRaftVoters:
			var k wire.VotersRecord
			if wire.ReadControl(rec.Value, &k) == nil {
				has = true
				for _, v := range k.Voters {
					set.keys = append(set.keys, voterKey{int32(v.VoterID), core.TopicID(v.VoterDirectoryID)})
				}
			}
		}
	}
	return set, has
}

// lookVoters holds a node against its log, and gives the judge of the log the voters that count.
func (r *run) lookVoters(at int, n *Node, node *quorum.Node, store *log.Store, l *log.Log, next int64, s *checker.Standing) {
	j := &r.cluster.voting
	if j.fixed || node == nil {
		return
	}
	for _, i := range j.views[at].seen {
		if j.sets[i].last < s.High {
			j.sets[i].committed = true
		}
	}
	v := &j.views[at]
	v.grew = slices.DeleteFunc(v.grew, func(g growth) bool { return !s.Leads || g.end <= next })
	if s.Leads && s.End > next && (len(v.grew) == 0 || v.grew[len(v.grew)-1].end < s.End) {
		v.grew = append(v.grew, growth{s.End, s.High})
	}
	in, before := j.force(at, s.Start)
	keys := r.keysOn(at, in)
	whole := next >= s.End // all of the log is in the file
	if !whole {
		keys = voterKeys(node) // held against the bytes as soon as they are there
	}
	s.Voters, s.VoterCount = r.present(keys), len(keys)
	r.lookFormer(v, keys, whole, s)
	if !node.Settled(store) || l.Cutting() || !whole {
		return
	}
	if got := voterKeys(node); !slices.Equal(got, keys) {
		r.w.Fail("I40", fmt.Sprintf("node %d goes by the voters %v, and its log says %v", nodeID(at), got, keys))
	}
	self := voterKey{nodeID(at), r.directory(at)}
	if s.Leads && !slices.ContainsFunc(keys, self.like) {
		// It may lead on until its own removal is committed, or stand to have it committed.
		if in == nil || !slices.ContainsFunc(r.keysOn(at, before), self.like) {
			r.w.Fail("I40", fmt.Sprintf("node %d leads in epoch %d, and the voters are %v", nodeID(at), s.Epoch, keys))
		}
	}
	r.lookSnapshot(at, n, node)
}

// lookFormer tells of the voters whom a leader went by when the Step under way began, if it has appended another set in it. The batch with
// that set lies above the end that its log had then, and below that end all could be committed by the former ones.
func (r *run) lookFormer(v *voteView, keys []voterKey, whole bool, s *checker.Standing) {
	if w := &v.went; !whole && s.Leads && w.life == s.Life && w.epoch == s.Epoch && s.High <= w.end && !slices.Equal(w.keys, keys) {
		s.Former, s.FormerCount = r.present(w.keys), len(w.keys)
	}
	if v.went = (reign{}); s.Leads {
		v.went = reign{s.Life, s.Epoch, s.End, keys}
	}
}

// present are the voters of a set that have their disks.
func (r *run) present(keys []voterKey) (ids []int32) {
	for _, k := range keys {
		if k.dir.IsZero() || k.dir == r.directory(int(k.id-1)) {
			ids = append(ids, k.id)
		}
	}
	return ids
}

// lookSnapshot reads the newest snapshot of a node: the voters in it are the committed ones of its end (I39, I41).
func (r *run) lookSnapshot(at int, n *Node, node *quorum.Node) {
	j := &r.cluster.voting
	v := &j.views[at]
	id := node.NewestSnapshot()
	if id == v.shot || id.End == 0 {
		return
	}
	v.shot = id
	b, there := n.Disk.File("/data/" + quorum.Partition.Topic + "-0/" + id.File())
	if !there {
		return
	}
	got, _ := votersOf(b)
	var want []voterKey
	last := int64(-1)
	for i := range j.sets {
		if x := &j.sets[i]; x.committed && x.last < int64(id.End) && x.last > last {
			want, last = x.keys, x.last
		}
	}
	if !slices.Equal(got.keys, want) {
		r.w.Fail("I41", fmt.Sprintf("the snapshot %s of node %d names the voters %v, and those that were committed below its end are %v", id.File(), nodeID(at), got.keys, want))
	}
}
