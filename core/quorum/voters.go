package quorum

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"
)

// voterSet is what the log says about its voters (KIP-853): nothing, if the configuration names them.
//
// Invariant: voters is sorted by id, and names none twice. It is never written to: a change makes another set.
type voterSet struct {
	kraft  int16
	voters []wire.Voter
}

// setAt is a voter set and where it comes from: the exclusive end of the batch, or of the snapshot, that brought it.
type setAt struct {
	end core.Offset
	set voterSet
}

// setsMax is how many sets are remembered before a snapshot is wished for: it makes the older ones needless.
const setsMax = 64

// The kraft.versions that this node reads and writes.
const (
	kraftMin int16 = 0
	kraftMax int16 = 1 // voters in the log (KIP-853)
)

// inForce is the newest set in the log, committed or not: the one that elections, the high watermark and check-quorum
// go by.
func (n *Node) inForce() voterSet {
	if i := len(n.sets) - 1; i >= 0 {
		return n.sets[i].set
	}
	return voterSet{}
}

// setBelow is the set that the log below an offset says. It is that of a snapshot which ends there.
func (n *Node) setBelow(end core.Offset) (set voterSet) {
	for i := range n.sets {
		if n.sets[i].end <= end {
			set = n.sets[i].set
		}
	}
	return set
}

// changedAt is the exclusive end of the batch that brought the set in force: until the high watermark is there, it may
// still be taken back. 0 if the configuration names the voters.
func (n *Node) changedAt() core.Offset {
	if i := len(n.sets) - 1; i >= 0 {
		return n.sets[i].end
	}
	return 0
}

// learn takes a set in force that was appended.
func (n *Node) learn(now core.Now, end core.Offset, set voterSet) {
	core.Must(end >= n.changedAt(), "voter sets come in the order of the log")
	n.sets = append(n.sets, setAt{end, set})
	n.setChanged(now)
}

// unlearn takes back the sets that were cut off the log.
func (n *Node) unlearn(now core.Now, to core.Offset) {
	if n.changedAt() <= to {
		return
	}
	n.sets = slices.DeleteFunc(n.sets, func(s setAt) bool { return s.end > to })
	n.setChanged(now)
}

// forget drops the sets that no snapshot can need any more, once there is one that ends at an offset.
func (n *Node) forgetSets(end core.Offset) {
	for len(n.sets) > 1 && n.sets[1].end <= end {
		n.sets = slices.Delete(n.sets, 0, 1)
	}
}

// setChanged makes the peers those of the set in force, and begins or ends this node's own part in elections.
func (n *Node) setChanged(now core.Now) {
	n.setPeers(now)
	if n.stage != stageServing {
		return
	}
	switch n.role {
	case Prospective, Candidate:
		if !n.stands() {
			n.newRole(now, Unattached, core.Never)
		}
	case Unattached:
		if !n.stands() {
			n.due = core.Never
		} else if n.due == core.Never {
			n.due = n.orNever(n.spread(now, n.cfg.ElectionTimeout))
		}
	}
}

// readSet gives the set that a control batch brings, if it brings one. What it leaves out stays as it was before it.
func readSet(v batch.View, before voterSet) (set voterSet, has bool, wrong string) {
	var c content
	if _, wrong = c.controls(v); wrong != "" || !c.hasKRaft && !c.hasVoters {
		return before, false, wrong
	}
	if !c.hasVoters {
		c.set.voters = before.voters
	}
	if !c.hasKRaft {
		c.set.kraft = before.kraft
	}
	if c.set.kraft < kraftMin || c.set.kraft > kraftMax {
		return before, false, "kraft.version " + strconv.Itoa(int(c.set.kraft)) + " is not known to this release"
	}
	return c.set, true, ""
}

// isVoter reports whether this node is of the voters in force.
func (n *Node) isVoter() bool {
	if set := n.inForce(); set.kraft > 0 {
		i := set.find(n.cfg.Self)
		return i >= 0 && (n.cfg.Directory.IsZero() || core.TopicID(set.voters[i].VoterDirectoryID) == n.cfg.Directory)
	}
	return slices.ContainsFunc(n.cfg.Voters, func(v Voter) bool { return v.ID == n.cfg.Self })
}

// stands reports whether this node may stand for election: as a voter, or as one that was removed by a change that it
// does not know to be committed. Its log may be the furthest then, so that nobody else can be elected, nor the removal
// be committed (Raft thesis, 4.2.2). It does not count itself.
func (n *Node) stands() bool {
	if n.isVoter() {
		return true
	}
	i := len(n.sets) - 2
	if i < 0 || n.changedAt() <= n.high {
		return false
	}
	before := n.sets[i].set
	j := before.find(n.cfg.Self)
	return j >= 0 && !n.cfg.Directory.IsZero() && core.TopicID(before.voters[j].VoterDirectoryID) == n.cfg.Directory
}

// find is the index of a voter, or -1.
func (s *voterSet) find(id core.NodeID) int {
	return slices.IndexFunc(s.voters, func(v wire.Voter) bool { return v.VoterID == id })
}

// with is the set with a voter added, or put in the place of the one of its id.
func (s *voterSet) with(v wire.Voter) voterSet {
	t := s.without(v.VoterID)
	i, _ := slices.BinarySearchFunc(t.voters, v.VoterID, func(w wire.Voter, id core.NodeID) int { return int(w.VoterID) - int(id) })
	t.voters = slices.Insert(t.voters, i, v)
	return t
}

// without is the set without a voter.
func (s *voterSet) without(id core.NodeID) voterSet {
	return voterSet{s.kraft, slices.DeleteFunc(slices.Clone(s.voters), func(w wire.Voter) bool { return w.VoterID == id })}
}

// check says what is wrong with a set that a log or a snapshot brings.
func (s *voterSet) check() (wrong string) {
	if len(s.voters) == 0 {
		return "it names nobody"
	}
	slices.SortFunc(s.voters, func(a, b wire.Voter) int { return int(a.VoterID) - int(b.VoterID) })
	for i, v := range s.voters {
		if v.VoterID < 0 || i > 0 && v.VoterID == s.voters[i-1].VoterID {
			return "it names the voter " + strconv.Itoa(int(v.VoterID)) + ", which is none, or twice"
		}
	}
	return ""
}

// voterCount is the number of voters in force.
func (n *Node) voterCount() int {
	if n.isVoter() {
		return len(n.peers) + 1
	}
	return len(n.peers)
}

// sole reports whether this node is the only voter.
func (n *Node) sole() bool { return len(n.peers) == 0 && n.isVoter() }

// KRaft is the kraft.version of the set in force, committed or not.
func (n *Node) KRaft() int16 {
	set := n.inForce()
	return set.kraft
}

// CommittedKRaft is the kraft.version that is committed.
func (n *Node) CommittedKRaft() int16 {
	set := n.setBelow(n.high)
	return set.kraft
}

// VoterKeys are the voters in force and their directories, sorted by id: zero if the configuration names them.
func (n *Node) VoterKeys() (ids []core.NodeID, dirs []core.TopicID) {
	if set := n.inForce(); set.kraft > 0 {
		for _, v := range set.voters {
			ids, dirs = append(ids, v.VoterID), append(dirs, core.TopicID(v.VoterDirectoryID))
		}
		return ids, dirs
	}
	for _, v := range n.cfg.Voters {
		ids, dirs = append(ids, v.ID), append(dirs, core.TopicID{})
	}
	return ids, dirs
}

// Voters are the voters in force, sorted.
func (n *Node) Voters() []Voter {
	set := n.inForce()
	if set.kraft == 0 {
		return n.cfg.Voters
	}
	var all []Voter
	for _, v := range set.voters {
		w := Voter{ID: v.VoterID}
		for _, e := range v.Endpoints {
			if w.Host == "" || e.Name == n.cfg.Listener {
				w.Host, w.Port = e.Host, e.Port
			}
		}
		all = append(all, w)
	}
	return all
}

// setPeers makes the peers those of the voters in force. What is known of those that stay is kept; one that comes while
// this node leads begins with what it has fetched as an observer, and with all of its time to fetch again; one that goes is an
// observer, with what it has fetched as a voter.
func (n *Node) setPeers(now core.Now) {
	old, set := n.peers, n.inForce()
	n.peers = nil
	for _, v := range n.Voters() {
		if v.ID == n.cfg.Self {
			if set.kraft == 0 || n.isVoter() {
				continue
			}
			// A voter of this id with another directory: a former life of this node, whose disk is lost. Nobody is asked there.
		}
		p := peer{id: v.ID, end: -1, leaderEnd: -1, fetchMillis: -1, caughtMillis: -1, fetchedAt: now.Mono}
		if i := set.find(v.ID); i >= 0 {
			p.dir = core.TopicID(set.voters[i].VoterDirectoryID)
		}
		if was := findPeer(old, v.ID); was != nil && (was.dir == p.dir || was.dir.IsZero()) {
			dir := p.dir
			p = *was
			p.dir = dir
		} else if i := slices.IndexFunc(n.readers, func(r reader) bool { return r.id == v.ID && r.dir == p.dir }); i >= 0 {
			r := &n.readers[i]
			p.end, p.leaderEnd, p.fetchMillis, p.caughtMillis = r.end, r.leaderEnd, r.fetchMillis, r.caughtMillis
			n.readers = slices.Delete(n.readers, i, i+1)
		}
		if p.addr = ""; v.Host != "" && v.ID != n.cfg.Self {
			p.addr = hostPort(v.Host, v.Port)
		}
		n.peers = append(n.peers, p)
	}
	slices.SortFunc(n.peers, func(a, b peer) int { return int(a.id) - int(b.id) })
	for i := range old {
		// One that is let go is an observer from now on, and told as one before its next fetch.
		if o := &old[i]; o.fetchMillis >= 0 && findPeer(n.peers, o.id) == nil {
			r := n.readerOf(o.id, o.dir)
			r.end, r.leaderEnd, r.fetchMillis, r.caughtMillis, r.fetchedAt = o.end, o.leaderEnd, o.fetchMillis, o.caughtMillis, o.fetchedAt
		}
	}
}

func hostPort(host string, port uint16) string {
	for i := range len(host) {
		if host[i] == ':' { // an IPv6 address
			host = "[" + host + "]"
			break
		}
	}
	return host + ":" + strconv.Itoa(int(port))
}

// scanSets reads the log from the newest snapshot on for the voters that it names, before this node takes part in anything:
// what is in the log is in force, committed or not.
func (n *Node) scanSets(now core.Now, store *log.Store, out *core.Out) {
	if n.stage != stageVoters {
		n.stage, n.load.at = stageVoters, max(n.handed, store.Log(n.id).Start())
	}
	end := n.End(store)
	if n.load.at >= end {
		n.readState(now, store, out)
		return
	}
	n.load.ticket = store.ReadAt(now, n.id, n.load.at, end, n.cfg.Sizes.ReplayBytes, out)
}

// scanned takes in a stretch of the log at boot.
func (n *Node) scanned(now core.Now, c log.Change, store *log.Store, out *core.Out) {
	n.load.ticket = 0
	damaged := "the metadata log cannot be read for its voters behind offset " + strconv.FormatInt(int64(n.load.at), 10)
	if c.Err != core.OK || len(c.Data) == 0 {
		n.fail(damaged + ": " + c.Err.String())
		return
	}
	for b := c.Data; len(b) > 0; {
		v, rest, is := batch.First(b)
		if is != batch.Good || !v.CheckCRC() {
			n.fail(damaged + ": " + is.String())
			return
		}
		b = rest
		end := v.LastOffset() + 1
		if end <= n.load.at { // a batch that the snapshot covers
			continue
		}
		if v.BaseOffset() > n.load.at {
			n.fail(damaged + ": the batch of offset " + strconv.FormatInt(int64(v.BaseOffset()), 10) + " came in its place")
			return
		}
		n.load.at = end
		if !v.IsControl() {
			continue
		}
		set, has, wrong := readSet(v, n.inForce())
		if wrong != "" {
			n.fail(damaged + ": " + wrong)
			return
		}
		if has {
			n.learn(now, end, set)
		}
	}
	n.scanSets(now, store, out)
}
