// Package assign decides which member of a consumer group reads which partition, and has the bytes in which
// members tell each other.
//
// It runs in clients: the member that leads a generation reads what every member subscribed to, computes
// the assignment and hands it to the coordinator, which carries both without looking inside. The coordinator
// uses this package only to see which topics a group is interested in.
//
// Every assignor gives each partition of a subscribed topic to exactly one member that subscribed to it, and
// gives the same answer for the same question, whatever the order of members.
package assign

import (
	"klamm/core"
)

// ProtocolType is the protocol type of consumer groups.
const ProtocolType = "consumer"

// Subscription is what a member tells the leader: ConsumerProtocolSubscription versions 0 to 3.
type Subscription struct {
	Version    int16
	Topics     []string
	UserData   []byte
	Owned      []core.TopicPartition // v1: what it holds (KIP-429)
	Generation int32                 // v2: of Owned; -1: not told
	Rack       string                // v3 (KIP-881); empty: not told
}

// Member is one member of the group that is to be assigned.
type Member struct {
	ID       string
	Instance string // of a static member: keeps its place in the order when its id changes
	Subscription
}

// Topic is a topic with the number of its partitions.
type Topic struct {
	Name       string
	Partitions int32
}

// Assignment is what one member gets, sorted.
type Assignment struct {
	ID         string
	Partitions []core.TopicPartition
}

// Assignor is a way to assign.
type Assignor uint8

// The assignors.
const (
	Range             Assignor = iota // topic by topic, neighbouring partitions
	RoundRobin                        // one after the other, over all topics
	Sticky                            // balanced, and everyone keeps what it can
	CooperativeSticky                 // Sticky, but what changes hands is given up in one round and handed on in the next (KIP-429)
	assignorCount
)

var assignorNames = [assignorCount]string{"range", "roundrobin", "sticky", "cooperative-sticky"}

// String is the protocol name under which members offer the assignor.
func (a Assignor) String() string {
	if a < assignorCount {
		return assignorNames[a]
	}
	return "unknown"
}

// ByName finds an assignor by its protocol name.
func ByName(name string) (Assignor, bool) {
	for a := range assignorCount {
		if assignorNames[a] == name {
			return a, true
		}
	}
	return 0, false
}
