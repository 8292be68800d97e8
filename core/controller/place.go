package controller

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"
)

// placed is where the replicas of one new partition go.
type placed struct {
	replicas []core.NodeID
	isr      []core.NodeID
}

// place spreads partitions over the brokers (KIP-36): leaders take turns, starting at a random broker; the other replicas
// go to racks that the partition does not have yet, as long as there are such. Fenced brokers get copies only where there
// are too few others, and none leads.
func (c *Controller) place(partitions int32, factor int16) ([]placed, refusal) {
	live, fenced := c.rings()
	if most := len(live) + len(fenced); int(factor) > most {
		return nil, refusal{wire.InvalidReplicationFactor, "Unable to replicate the partition " + strconv.Itoa(int(factor)) +
			" time(s): The target replication factor of " + strconv.Itoa(int(factor)) + " cannot be reached because only " +
			strconv.Itoa(most) + " broker(s) are registered or some brokers have all their log directories cordoned."}
	}
	if len(live) == 0 {
		return nil, refusal{wire.InvalidReplicationFactor, "Unable to replicate the partition " + strconv.Itoa(int(factor)) +
			" time(s): All brokers are currently fenced."}
	}
	start := int(c.rand.IntN(int64(len(live))))
	out := make([]placed, 0, partitions)
	for p := range int(partitions) {
		to := pick(nil, live, start+p, int(factor))
		if len(to) < int(factor) {
			to = pick(to, fenced, start+p, int(factor))
		}
		replicas := make([]core.NodeID, len(to))
		for i, b := range to {
			replicas[i] = b.ID
		}
		out = append(out, placed{replicas: replicas, isr: c.live(replicas)})
	}
	return out, refusal{}
}

// pick adds brokers of a ring to those that a partition has, until it has n or all: first the one whose turn it is, then the
// others, beginning one further in each round, so that the followers of one leader are spread too; a rack is not taken again
// before every other has been.
func pick(to []*image.Broker, ring []*image.Broker, turn, n int) []*image.Broker {
	if len(ring) == 0 {
		return to
	}
	first, round := turn%len(ring), turn/len(ring)
	order := append(make([]*image.Broker, 0, len(ring)), ring[first])
	for i := range len(ring) - 1 {
		order = append(order, ring[(first+1+(round+i)%(len(ring)-1))%len(ring)])
	}
	fresh := 0 // where in to the present round over the racks begins
	for len(to) < n && len(order) > 0 {
		at := slices.IndexFunc(order, func(b *image.Broker) bool {
			return !slices.ContainsFunc(to[fresh:], func(o *image.Broker) bool { return o.Rack == b.Rack })
		})
		if at < 0 {
			fresh = len(to)
			continue
		}
		to, order = append(to, order[at]), slices.Delete(order, at, at+1)
	}
	return to
}

// rings are the brokers that may get replicas, one of each rack in turn: those that are alive, and the others.
func (c *Controller) rings() (live, fenced []*image.Broker) {
	var racks [][]*image.Broker
	most := 0
	for _, b := range c.img.Brokers() {
		if cordoned(b) {
			continue
		}
		at := slices.IndexFunc(racks, func(r []*image.Broker) bool { return r[0].Rack == b.Rack })
		if at < 0 {
			at = len(racks)
			racks = append(racks, nil)
		}
		racks[at] = append(racks[at], b)
		most = max(most, len(racks[at]))
	}
	for turn := range most {
		for _, r := range racks {
			switch {
			case turn >= len(r):
			case r[turn].Fenced || r[turn].ControlledShutdown:
				fenced = append(fenced, r[turn])
			default:
				live = append(live, r[turn])
			}
		}
	}
	return live, fenced
}

// cordoned reports whether a broker is to get no more replicas: each of its directories is cordoned (KIP-1066).
func cordoned(b *image.Broker) bool {
	return len(b.LogDirs) > 0 && within(b.LogDirs, b.Cordoned)
}

// live are those of replicas whose brokers may lead: neither fenced nor going down.
func (c *Controller) live(replicas []core.NodeID) (isr []core.NodeID) {
	for _, r := range replicas {
		if b := c.img.Broker(r); b != nil && !b.Fenced && !b.ControlledShutdown {
			isr = append(isr, r)
		}
	}
	return isr
}

// checkAssignment checks the replicas that a client names for partition number p. want is how many replicas the
// other partitions of the topic have, 0 if this is the first.
func (c *Controller) checkAssignment(replicas []int32, p, want int) (placed, refusal) {
	var to placed
	var r refusal
	if to.replicas, r = c.checkReplicas(replicas); r.bad() {
		return placed{}, r
	}
	bad := func(text string) (placed, refusal) {
		return placed{}, refusal{wire.InvalidReplicaAssignment, text}
	}
	if want > 0 && len(replicas) != want {
		return bad("The manual partition assignment includes a partition with " + strconv.Itoa(len(replicas)) +
			" replica(s), but this is not consistent with previous partitions, which have " + strconv.Itoa(want) + " replica(s).")
	}
	if to.isr = c.live(to.replicas); len(to.isr) == 0 {
		return bad("All brokers specified in the manual partition assignment for partition " + strconv.Itoa(p) +
			" are fenced or in controlled shutdown.")
	}
	return to, refusal{}
}

// checkReplicas checks an assignment that a client names: brokers that there are, each once.
func (c *Controller) checkReplicas(replicas []int32) ([]core.NodeID, refusal) {
	bad := func(text string) ([]core.NodeID, refusal) { return nil, refusal{wire.InvalidReplicaAssignment, text} }
	if len(replicas) == 0 {
		return bad("The manual partition assignment includes an empty replica list.")
	}
	to := make([]core.NodeID, len(replicas))
	for i, r := range replicas {
		to[i] = core.NodeID(r)
	}
	sorted := slices.Clone(to)
	slices.Sort(sorted)
	for i, r := range sorted {
		if c.img.Broker(r) == nil {
			return bad("The manual partition assignment includes broker " + strconv.Itoa(int(r)) + ", but no such broker is registered.")
		}
		if i > 0 && sorted[i-1] == r {
			return bad("The manual partition assignment includes the broker " + strconv.Itoa(int(r)) + " more than once.")
		}
	}
	return to, refusal{}
}

// directory is the log directory that a new replica at a broker goes to.
func directory(b *image.Broker) core.TopicID {
	if b == nil {
		return dirUnassigned
	}
	return firstDirectory(b.LogDirs)
}

// firstDirectory is the directory of a new replica where these are online: the only one, else the broker chooses (KIP-858).
func firstDirectory(online []core.TopicID) core.TopicID {
	if len(online) == 1 {
		return online[0]
	}
	return dirUnassigned
}

// partitionRecord registers a new partition.
func (c *Controller) partitionRecord(topic core.TopicID, id int32, at placed) *wire.PartitionRecord {
	r := wire.NewPartitionRecord()
	r.PartitionID, r.TopicID = id, topic
	r.Replicas, r.ISR, r.Leader = at.replicas, at.isr, at.isr[0]
	r.LeaderEpoch, r.PartitionEpoch = 0, 0
	r.RemovingReplicas, r.AddingReplicas = []core.NodeID{}, []core.NodeID{}
	for _, n := range at.replicas {
		r.Directories = append(r.Directories, directory(c.img.Broker(n)))
	}
	return r
}
