package broker

import (
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterReplicaLogDirs serves AlterReplicaLogDirs v1-v2 (KIP-113): each replica of this broker that is named is to be moved to a log
// directory. It is answered when the move begins. For a replica that is not here yet the directory is kept in mind, for as long as this
// broker runs.
func (b *Broker) alterReplicaLogDirs(now core.Now, r request, q *kmsg.AlterReplicaLogDirsRequest, out *core.Out) {
	resp := q.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
	for i := range q.Dirs {
		to := slices.IndexFunc(b.dirs, func(d logDir) bool { return d.data && d.path == q.Dirs[i].Dir })
		for j := range q.Dirs[i].Topics {
			t := &q.Dirs[i].Topics[j]
			row := topicRow(resp, t.Topic)
			for _, p := range t.Partitions {
				k := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				k.Partition = p
				k.ErrorCode = int16(b.alterReplicaDir(now, core.TopicPartition{Topic: t.Topic, Partition: p}, to, out))
				row.Partitions = append(row.Partitions, k)
			}
		}
	}
	b.reply(now, r, resp, out)
}

// topicRow finds or makes the row of a topic: it may be named with several directories.
func topicRow(resp *kmsg.AlterReplicaLogDirsResponse, topic string) *kmsg.AlterReplicaLogDirsResponseTopic {
	at := slices.IndexFunc(resp.Topics, func(t kmsg.AlterReplicaLogDirsResponseTopic) bool { return t.Topic == topic })
	if at < 0 {
		at = len(resp.Topics)
		t := kmsg.NewAlterReplicaLogDirsResponseTopic()
		t.Topic = topic
		resp.Topics = append(resp.Topics, t)
	}
	return &resp.Topics[at]
}

// alterReplicaDir begins one move.
func (b *Broker) alterReplicaDir(now core.Now, tp core.TopicPartition, to int, out *core.Out) wire.Code {
	switch {
	case len(name(tp)) > log.FutureNameMax:
		return wire.InvalidTopicException
	case to < 0:
		return wire.LogDirNotFound
	case b.dirs[to].why != "":
		return wire.KafkaStorageError
	}
	t := b.parts.topic(tp.Topic, core.TopicID{}, false)
	var h *hosted
	if t != nil && tp.Partition >= 0 && int(tp.Partition) < len(t.logs) {
		h = b.parts.at(t.logs[tp.Partition])
	}
	switch {
	case h == nil || h.gone:
		if tp.Partition < 0 || tp.Topic == "" {
			return wire.UnknownTopicOrPartition
		}
		b.wish(tp, to)
		if b.img.Partition(tp.Topic, tp.Partition) == nil {
			return wire.UnknownTopicOrPartition
		}
		return wire.ReplicaNotAvailable
	case h.offline():
		return wire.KafkaStorageError
	}
	b.moveTo(now, h, to, out)
	return wire.None
}
