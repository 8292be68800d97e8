package broker

import (
	"klamm/core"
)

// toldDir is the directory of which the controller is to know: that in which the replica is, unless its log cannot be served while the
// directory can.
func (b *Broker) toldDir(h *hosted) core.TopicID {
	switch {
	case h.offline() && b.dirs[b.store.Log(h.log).Place()].why == "":
		return dirDamaged
	case h.anew:
		if x := b.img.Partition(h.tp.Topic, h.tp.Partition); x != nil && b.directoryIn(x) == dirDamaged {
			return dirLost
		}
	}
	return b.dirOf(h.log)
}

// wished is the place of the directory that a client wants for a replica that is not here yet; negative if there is none.
func (b *Broker) wished(core.TopicPartition) int { return -1 }

func (b *Broker) wishGranted(core.TopicPartition) {}
