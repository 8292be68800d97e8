package checker

import "fmt"

// Ballot is what a voter of the metadata quorum holds: in memory, or as its state file has it.
type Ballot struct {
	Node   int32
	Life   int
	Epoch  int32
	Leader int32 // whom it takes for the leader of that epoch; -1: nobody
	Voted  int32 // for whom it has voted in that epoch; -1: nobody
}

// Ballots judges the votes of the metadata quorum (I31, I32, I33).
type Ballots struct {
	Elections int // epochs of which a leader was known
	votes     map[ballotOf]int32
	leaders   map[int32]int32 // by epoch
	stored    map[int32]int32 // greatest epoch of a vote that a node has told of: its file had that, durably
	last      map[int32]Ballot
	disks     map[int32]int32 // how many a node has lost
	found     []Violation
}

type ballotOf struct{ node, disk, epoch int32 }

// NewBallots makes a judge that knows nothing.
func NewBallots() *Ballots {
	return &Ballots{votes: map[ballotOf]int32{}, leaders: map[int32]int32{}, stored: map[int32]int32{}, disks: map[int32]int32{}, last: map[int32]Ballot{}}
}

// Found takes out the violations since it was last asked.
func (b *Ballots) Found() []Violation {
	f := b.found
	b.found = nil
	return f
}

func (b *Ballots) fail(id, format string, args ...any) {
	b.found = append(b.found, Violation{id, "metadata quorum", fmt.Sprintf(format, args...)})
}

// Look judges what a node holds in memory: its epoch never falls within a life, two nodes name one leader of an epoch.
func (b *Ballots) Look(x Ballot) {
	was, seen := b.last[x.Node]
	if seen && was == x {
		return
	}
	b.last[x.Node] = x
	if seen && was.Life == x.Life && x.Epoch < was.Epoch {
		b.fail("I33", "node %d: the quorum's epoch fell from %d to %d", x.Node, was.Epoch, x.Epoch)
	}
	if x.Leader < 0 {
		return
	}
	if l, ok := b.leaders[x.Epoch]; ok && l != x.Leader {
		b.fail("I31", "node %d names node %d the leader of epoch %d, and it was node %d", x.Node, x.Leader, x.Epoch, l)
	} else if !ok {
		b.leaders[x.Epoch] = x.Leader
		b.Elections++
	}
}

// Told says that a candidate was told of a vote for it, and what the voter's state file has at that instant: the vote must
// be there before the answer leaves, and no voter votes for two (I32). A file with a later epoch has forgotten the vote rightly.
func (b *Ballots) Told(voter, epoch, candidate int32, file Ballot) {
	at := ballotOf{voter, b.disks[voter], epoch}
	if was, ok := b.votes[at]; ok && was != candidate {
		b.fail("I32", "node %d voted in epoch %d for node %d and for node %d", voter, epoch, was, candidate)
	}
	b.votes[at] = candidate
	b.stored[voter] = max(b.stored[voter], epoch)
	if file.Epoch < epoch || file.Epoch == epoch && file.Voted != candidate && file.Leader != candidate {
		b.fail("I32", "node %d told node %d of its vote in epoch %d, and its state file has epoch %d, vote %d", voter, candidate, epoch, file.Epoch, file.Voted)
	}
}

// Stored says what a node's state file holds when a life begins: an epoch, and a vote, that was told of stays (I33, I32). What else the file
// had in a former life may have been in the page cache only.
func (b *Ballots) Stored(file Ballot) {
	if file.Epoch < b.stored[file.Node] {
		b.fail("I33", "node %d starts with epoch %d in its state file, and it had epoch %d", file.Node, file.Epoch, b.stored[file.Node])
	}
	if was, ok := b.votes[ballotOf{file.Node, b.disks[file.Node], file.Epoch}]; ok && file.Voted >= 0 && was != file.Voted {
		b.fail("I32", "node %d starts with a vote for node %d in epoch %d, and it had voted for node %d", file.Node, file.Voted, file.Epoch, was)
	}
}

// Forgotten says that a node has lost its disk, and with it its votes: it is another voter from now on.
func (b *Ballots) Forgotten(node int32) {
	delete(b.stored, node)
	delete(b.last, node)
	b.disks[node]++
}
