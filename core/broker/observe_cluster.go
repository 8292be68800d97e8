package broker

import (
	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/replica"
)

// This file, too, lets a simulator look at a broker between two Steps: at its part in the cluster.

// Image is the committed metadata as this broker has them.
func (b *Broker) Image() *image.Image { return b.img }

// Quorum is the node's part in the metadata quorum: nil before boot has come to it.
func (b *Broker) Quorum() *quorum.Node { return b.node }

// Incarnation is what tells this life of the broker from its others.
func (b *Broker) Incarnation() core.TopicID { return b.boot.incarnation }

// Leading is the leadership of the partition whose log has that id: nil if another broker leads it.
func (b *Broker) Leading(id log.LogID) *replica.Leader {
	if h := b.parts.at(id); h != nil {
		return h.leader
	}
	return nil
}

// SetBack is the offset to which a copy that follows was cut back last, because its leader had cleaned away a transaction that begins there; false if
// there was no such cut, or something was appended since.
func (b *Broker) SetBack(id log.LogID) (to core.Offset, ok bool) {
	if h := b.parts.at(id); h != nil {
		return h.copying.back.to, h.copying.back.on
	}
	return -1, false
}

// Directory is the id of the directory in which a log is.
func (b *Broker) Directory(id log.LogID) core.TopicID { return b.dirOf(id) }
