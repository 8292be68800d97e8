package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"
)

// draft is a decision in the making: the records so far, and the partitions as these records leave them. It lives
// within one decision.
//
// Invariants: parts holds the partitions that records change, and no others; every record fits behind those before it.
type draft struct {
	c       *Controller
	records []wire.Record
	bytes   int
	full    bool // a change was left out, for there is no more room in one batch
	parts   map[partition]*image.Partition

	leaving core.NodeID    // counts as not alive: it is being fenced, stopped, removed or registered anew
	coming  core.NodeID    // counts as alive: it is being unfenced
	failed  []core.TopicID // directories of dirs that have just gone offline
	dirs    core.NodeID    // whose directories failed names
}

// partition names a partition for life.
type partition struct {
	topic core.TopicID
	id    int32
}

func (c *Controller) draft() *draft {
	return &draft{c: c, parts: map[partition]*image.Partition{}, leaving: core.NoNode, coming: core.NoNode, dirs: core.NoNode}
}

// add takes in a record that is no change of a partition, whether there is room or not: a few are always let in.
func (d *draft) add(records ...wire.Record) {
	d.records = append(d.records, records...)
	d.bytes += weight(records)
}

// put takes in a change of a partition, if there is room.
func (d *draft) put(t *image.Topic, old *image.Partition, r *wire.PartitionChangeRecord) (*image.Partition, bool) {
	w := weight([]wire.Record{r})
	if d.bytes+w > d.c.stepBytes() || len(d.records) >= PartitionsPerRequestMax {
		d.full = true
		return old, false
	}
	next, why := old.With(r)
	core.Must(why == "", "a change of a partition fits the partition that it was decided on")
	d.parts[partition{t.ID, old.ID}] = next
	d.records = append(d.records, r)
	d.bytes += w
	return next, true
}

// now is a partition as the records so far leave it.
func (d *draft) now(t *image.Topic, p *image.Partition) *image.Partition {
	if next, ok := d.parts[partition{t.ID, p.ID}]; ok {
		return next
	}
	return p
}

// alive reports whether a broker may lead and be in sync: registered, neither fenced nor on its way down (KIP-841).
func (d *draft) alive(id core.NodeID) bool {
	if id == d.leaving {
		return false
	}
	b := d.c.img.Broker(id)
	return b != nil && (id == d.coming || !b.Fenced && !b.ControlledShutdown)
}

// online reports whether the directory of a replica can be read, as far as anyone knows (KIP-858).
func (d *draft) online(id core.NodeID, dir core.TopicID) bool {
	if id == d.dirs && slices.Contains(d.failed, dir) {
		return false
	}
	b := d.c.img.Broker(id)
	return b != nil && hasDirectory(b.LogDirs, dir)
}

// Kafka's reserved directory ids (KIP-858).
var (
	dirMigrating  = wire.UUID{}      // not known yet: from before directories had ids
	dirUnassigned = wire.UUID{15: 1} // the broker chooses
	// Of those that Kafka keeps for later: the log of this one replica is damaged, and repaired from others. It is no directory of any
	// broker, so every controller takes the replica out of the in-sync set and gives its leadership away; and one of ours knows
	// that what comes back is not empty.
	dirDamaged = wire.UUID{15: 90}
)

// hasDirectory reports whether a replica's directory is among those that are online. Brokers of before KIP-858 name none.
func hasDirectory(online []core.TopicID, dir core.TopicID) bool {
	return len(online) == 0 || dir == dirMigrating || dir == dirUnassigned || slices.Contains(online, dir)
}

// terms are what a topic's configuration and the features say about elections.
type terms struct {
	min     int  // min.insync.replicas
	unclean bool // unclean.leader.election.enable
	elr     bool // eligible leader replicas are in force (KIP-966)
}

func (c *Controller) terms(topic string) terms { return termsOf(c.view(), topic) }

func termsOf(v image.View, topic string) terms {
	return terms{
		min:     int(v.Topic(topic, minInSync).Int()),
		unclean: v.Topic(topic, uncleanElection).Bool(),
		elr:     elr(v.Image.Feature(elrFeature)),
	}
}

const (
	minInSync       = "min.insync.replicas"
	uncleanElection = "unclean.leader.election.enable"
)

// online is the election that a topic holds when nobody asks for a certain one.
func (t terms) online() election {
	if t.unclean {
		return electUnclean
	}
	return electOnline
}

// each calls do for every partition for which pick says so, with the terms of its topic, until there is no more room.
func (d *draft) each(pick func(*image.Partition) bool, do func(*image.Topic, *image.Partition, terms)) {
	for t := range d.c.img.Topics() {
		var on terms
		known := false
		for _, p := range t.Partitions {
			if p = d.now(t, p); !pick(p) {
				continue
			}
			if !known {
				on, known = d.c.terms(t.Name), true
			}
			if do(t, p, on); d.full {
				return
			}
		}
	}
}

// without is set without id; set itself stays as it is.
func without(set []core.NodeID, id core.NodeID) []core.NodeID {
	return keep(set, func(n core.NodeID) bool { return n != id })
}

// keep is what of set ok says yes to, in its order, in a slice of its own that is never nil.
func keep(set []core.NodeID, ok func(core.NodeID) bool) []core.NodeID {
	out := make([]core.NodeID, 0, len(set))
	for _, n := range set {
		if ok(n) {
			out = append(out, n)
		}
	}
	return out
}

// within reports whether every member of a is in b.
func within[T comparable](a, b []T) bool {
	return !slices.ContainsFunc(a, func(x T) bool { return !slices.Contains(b, x) })
}
