package quorum

import (
	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeAsked answers DescribeQuorum, versions 0 to 2, of the leader (KIP-836, KIP-853).
func (n *Node) describeAsked(now core.Now, q *kmsg.DescribeQuorumRequest, store *log.Store) kmsg.Response {
	if n.role != Leader {
		return refusal(q, wire.NotLeaderOrFollower)
	}
	r := q.ResponseKind().(*kmsg.DescribeQuorumResponse)
	r.Version = q.Version
	none, unknown := "", "This server does not host this topic-partition."
	r.ErrorMessage = &none
	t := kmsg.NewDescribeQuorumResponseTopic()
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	if len(q.Topics) != 1 || q.Topics[0].Topic != Partition.Topic || len(q.Topics[0].Partitions) != 1 || q.Topics[0].Partitions[0].Partition != Partition.Partition {
		for i := range q.Topics {
			t := kmsg.NewDescribeQuorumResponseTopic()
			t.Topic = q.Topics[i].Topic
			for _, asked := range q.Topics[i].Partitions {
				p := kmsg.NewDescribeQuorumResponseTopicPartition()
				p.Partition, p.ErrorCode, p.ErrorMessage = asked.Partition, int16(wire.UnknownTopicOrPartition), &unknown
				t.Partitions = append(t.Partitions, p)
			}
			r.Topics = append(r.Topics, t)
		}
		return r
	}
	p.ErrorMessage = &none
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = int32(n.state.leader), int32(n.state.epoch), int64(n.tellHigh())
	own := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	own.ReplicaID, own.LogEndOffset = int32(n.cfg.Self), int64(n.End(store))
	if n.KRaft() > 0 { // voters that the configuration names have no directory
		own.ReplicaDirectoryID = n.cfg.Directory
	}
	own.LastFetchTimestamp, own.LastCaughtUpTimestamp = now.Wall.Millis(), now.Wall.Millis()
	for _, v := range n.Voters() {
		if v.ID == n.cfg.Self {
			p.CurrentVoters = append(p.CurrentVoters, own)
		} else if w := findPeer(n.peers, v.ID); w != nil {
			p.CurrentVoters = append(p.CurrentVoters, replicaState(w.id, w.dir, w.end, w.fetchMillis, w.caughtMillis))
		}
		node := kmsg.NewDescribeQuorumResponseNode()
		node.NodeID = int32(v.ID)
		if v.Host != "" && v.Port != 0 {
			l := kmsg.NewDescribeQuorumResponseNodeListener()
			l.Name, l.Host, l.Port = n.cfg.Listener, v.Host, v.Port
			node.Listeners = append(node.Listeners, l)
		}
		r.Nodes = append(r.Nodes, node)
	}
	if !n.isVoter() {
		p.Observers = append(p.Observers, own)
	}
	for i := range n.readers {
		o := &n.readers[i]
		p.Observers = append(p.Observers, replicaState(o.id, o.dir, o.end, o.fetchMillis, o.caughtMillis))
	}
	t.Topic, t.Partitions = Partition.Topic, []kmsg.DescribeQuorumResponseTopicPartition{p}
	r.Topics = []kmsg.DescribeQuorumResponseTopic{t}
	return r
}

func replicaState(id core.NodeID, dir core.TopicID, end core.Offset, fetched, caught int64) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	s.ReplicaID, s.ReplicaDirectoryID, s.LogEndOffset, s.LastFetchTimestamp, s.LastCaughtUpTimestamp = int32(id), dir, int64(end), fetched, caught
	return s
}
