package group

import (
	"cmp"
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offsets that a transaction commits (KIP-98, KIP-447). They are staged by records of transactional batches, and count when the
// transaction's marker comes to this partition of __consumer_offsets: a commit turns them into the group's offsets, an
// abort drops them. Replay finds the same, since markers are in the log like everything else.
//
// A transaction and a plain commit may write the same offset at the same time. The record that comes later in the log wins, whenever
// its marker comes: compaction leaves the last record of a key, so nothing else could be told from what it leaves.

// staged is an offset that a transaction has committed and whose marker is not here yet.
type staged struct {
	topic     string
	partition int32
	producer  int64
	commit    Commit
	at        core.Offset // of its record
}

func (x *staged) compare(p core.TopicPartition, producer int64) int {
	return cmp.Or(core.TopicPartition{Topic: x.topic, Partition: x.partition}.Compare(p), cmp.Compare(x.producer, producer))
}

// txnGroups names the groups for which a producer's transaction has staged offsets.
type txnGroups struct {
	producer int64
	groups   []string // sorted; some may have none any more
}

// Record is one record of the log, as Apply folds it.
type Record struct {
	Key, Value []byte
	At         core.Offset
	Producer   int64 // of the transaction that it belongs to; -1: to none
}

// find returns the place of a producer's staged offset.
func (g *Group) findStaged(p core.TopicPartition, producer int64) (int, bool) {
	return slices.BinarySearchFunc(g.staged, p, func(x staged, p core.TopicPartition) int { return x.compare(p, producer) })
}

func (s *State) findTxn(producer int64) (int, bool) {
	return slices.BinarySearchFunc(s.txns, producer, func(x txnGroups, id int64) int { return cmp.Compare(x.producer, id) })
}

// applyStaged folds a record of a transaction.
func (s *State) applyStaged(r *Record, k *kmsg.OffsetCommitKey, c Commit) {
	g := s.group(k.Group)
	p := core.TopicPartition{Topic: k.Topic, Partition: k.Partition}
	at, found := g.findStaged(p, r.Producer)
	if !found {
		g.staged = slices.Insert(g.staged, at, staged{topic: k.Topic, partition: k.Partition, producer: r.Producer})
	}
	g.staged[at].commit, g.staged[at].at = c, r.At
	i, known := s.findTxn(r.Producer)
	if !known {
		s.txns = slices.Insert(s.txns, i, txnGroups{producer: r.Producer})
	}
	x := &s.txns[i]
	if j, has := slices.BinarySearch(x.groups, g.name); !has {
		x.groups = slices.Insert(x.groups, j, g.name)
	}
}

// unstage forgets what transactions have staged for a partition: the offset is deleted, and so is what they say of it.
func (g *Group) unstage(p core.TopicPartition) {
	g.staged = slices.DeleteFunc(g.staged, func(x staged) bool { return x.topic == p.Topic && x.partition == p.Partition })
}

// EndTransaction folds a marker: what its transaction staged counts from now on, or is dropped. end is where the marker is
// durable; whoever reads what it brought waits for that.
func (s *State) EndTransaction(producer int64, commit bool, end core.Offset, out *core.Out) {
	i, known := s.findTxn(producer)
	if !known {
		return
	}
	groups := s.txns[i].groups
	s.txns = slices.Delete(s.txns, i, i+1)
	for _, name := range groups {
		g := s.groups[name]
		if g == nil {
			continue
		}
		g.end = max(g.end, end)
		kept := g.staged[:0]
		for _, x := range g.staged {
			switch {
			case x.producer != producer:
				kept = append(kept, x)
			case commit:
				g.settle(&x, out)
			}
		}
		clear(g.staged[len(kept):])
		if g.staged = kept; len(kept) == 0 {
			g.staged = nil
		}
		if s.dropIfNothing(g); s.groups[name] != g {
			s.gone = max(s.gone, end)
		}
	}
}

// settle makes a staged offset the group's, unless a later record has written it meanwhile.
func (g *Group) settle(x *staged, out *core.Out) {
	p := core.TopicPartition{Topic: x.topic, Partition: x.partition}
	at, found := g.find(p)
	switch {
	case !found:
		g.offsets = slices.Insert(g.offsets, at, offset{topic: x.topic, partition: x.partition})
	case g.offsets[at].at > x.at:
		out.Mark("group.staged-offset-overtaken")
		return
	}
	g.offsets[at].commit, g.offsets[at].at = x.commit, x.at
}

// Unstable reports whether a transaction has staged an offset that may or may not come to count (KIP-447).
func (s *State) Unstable(group string, p core.TopicPartition) bool {
	g := s.groups[group]
	return g != nil && g.unstable(p)
}

func (g *Group) unstable(p core.TopicPartition) bool {
	i, _ := g.findStaged(p, -1)
	return i < len(g.staged) && g.staged[i].topic == p.Topic && g.staged[i].partition == p.Partition
}

// Staged counts the offsets that transactions have staged for a group, and End is where that is durable.
func (s *State) Staged(group string) int {
	if g := s.groups[group]; g != nil {
		return len(g.staged)
	}
	return 0
}

// stage appends the records of a transaction and applies them. If the log refuses, nothing has changed.
func (s *State) stage(env Env, g *Group, c *Committer, records []shard.Record) wire.Code {
	end, code := env.Log.AppendTxn(env.Now, c.Producer, c.Epoch, records)
	if code != wire.None {
		env.Out.Mark("group.append-refused")
		return appendCode(code)
	}
	s.appended(env, g, end, c.Producer, records)
	return wire.None
}

// stagedTombstones are the records that delete what transactions have staged for some partitions of a group; those that have a
// committed offset are left out, since its deletion takes them along.
func (g *Group) stagedTombstones(records []shard.Record, of func(*staged) bool) []shard.Record {
	for i := range g.staged {
		x := &g.staged[i]
		p := core.TopicPartition{Topic: x.topic, Partition: x.partition}
		again := i > 0 && g.staged[i-1].topic == x.topic && g.staged[i-1].partition == x.partition
		if _, committed := g.find(p); !committed && !again && of(x) {
			records = append(records, shard.Record{Key: offsetKey(g.name, strings.Clone(x.topic), x.partition)})
		}
	}
	return records
}
