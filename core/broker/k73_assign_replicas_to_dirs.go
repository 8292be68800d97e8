package broker

import (
	"klamm/core"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// assignReplicasToDirs serves AssignReplicasToDirs v0, which says in which log directory of a broker a replica lies (KIP-858). The active controller answers.
func (b *Broker) assignReplicasToDirs(now core.Now, r request, q *kmsg.AssignReplicasToDirsRequest, out *core.Out) {
	resp, records := b.ctl.AssignReplicasToDirs(q)
	b.propose(now, r, q, resp, records, out)
}
