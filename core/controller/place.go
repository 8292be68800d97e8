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

// place spreads partitions over the registered brokers (KIP-36): leaders take turns, starting at a random
// broker; the brokers are dealt out one of each rack in turn, so that neighbours, which share a partition, lie in different racks.
// Fenced brokers get copies but do not lead.
func (c *Controller) place(partitions int32, factor int16) ([]placed, refusal) {
	ring := c.ring()
	if int(factor) > len(ring) {
		return nil, refusal{wire.InvalidReplicationFactor, "Unable to replicate the partition " + strconv.Itoa(int(factor)) +
			" time(s): The target replication factor of " + strconv.Itoa(int(factor)) + " cannot be reached because only " +
			strconv.Itoa(len(ring)) + " broker(s) are registered or some brokers have all their log directories cordoned."}
	}
	if !slices.ContainsFunc(ring, c.img.Live) {
		return nil, refusal{wire.InvalidReplicationFactor, "Unable to replicate the partition " + strconv.Itoa(int(factor)) +
			" time(s): All brokers are currently fenced."}
	}
	start := int(c.rand.IntN(int64(len(ring))))
	out := make([]placed, 0, partitions)
	for p := range int(partitions) {
		replicas := make([]core.NodeID, 0, factor)
		// Beyond the first round, followers of one leader shift, so that they too are spread.
		leader, shift := (start+p)%len(ring), p/len(ring)
		for i := range int(factor) {
			at := leader
			if i > 0 && len(ring) > 1 {
				at = (leader + 1 + (shift+i-1)%(len(ring)-1)) % len(ring)
			}
			replicas = append(replicas, ring[at])
		}
		c.liveFirst(replicas)
		out = append(out, placed{replicas: replicas, isr: c.live(replicas)})
	}
	for i := range out {
		if len(out[i].isr) == 0 { // every copy on a fenced broker: one of them gives way to a live one
			at := slices.IndexFunc(ring, c.img.Live)
			out[i].replicas[0] = ring[at]
			out[i].isr = []core.NodeID{ring[at]}
		}
	}
	return out, refusal{}
}

// ring is every registered broker, one of each rack in turn.
func (c *Controller) ring() []core.NodeID {
	var racks [][]core.NodeID
	var names []string
	for _, b := range c.img.Brokers() {
		at := slices.Index(names, b.Rack)
		if at < 0 {
			at = len(racks)
			names, racks = append(names, b.Rack), append(racks, nil)
		}
		racks[at] = append(racks[at], b.ID)
	}
	var ring []core.NodeID
	for turn := 0; len(ring) < len(c.img.Brokers()); turn++ {
		for _, r := range racks {
			if turn < len(r) {
				ring = append(ring, r[turn])
			}
		}
	}
	return ring
}

// liveFirst makes the first live replica the preferred leader.
func (c *Controller) liveFirst(replicas []core.NodeID) {
	if at := slices.IndexFunc(replicas, c.img.Live); at > 0 {
		replicas[0], replicas[at] = replicas[at], replicas[0]
	}
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
	bad := func(text string) (placed, refusal) {
		return placed{}, refusal{wire.InvalidReplicaAssignment, text}
	}
	if len(replicas) == 0 {
		return bad("The manual partition assignment includes an empty replica list.")
	}
	var to placed
	for _, r := range replicas {
		to.replicas = append(to.replicas, core.NodeID(r))
	}
	sorted := slices.Clone(to.replicas)
	slices.Sort(sorted)
	for i, r := range sorted {
		if c.img.Broker(r) == nil {
			return bad("The manual partition assignment includes broker " + strconv.Itoa(int(r)) + ", but no such broker is registered.")
		}
		if i > 0 && sorted[i-1] == r {
			return bad("The manual partition assignment includes the broker " + strconv.Itoa(int(r)) + " more than once.")
		}
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

// directory is the log directory that a new replica at a broker goes to: its only one, else that broker chooses (KIP-858).
func directory(b *image.Broker) wire.UUID {
	if b != nil && len(b.LogDirs) == 1 {
		return b.LogDirs[0]
	}
	return wire.UUID{15: 1} // Kafka's DirectoryId.UNASSIGNED
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
