package broker

import (
	"encoding/binary"
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/quorum"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeLogDirs serves DescribeLogDirs v1-v5. From v4 on it tells the space of the disk, for which it asks the world. There is one log
// directory, nothing in it is on the move to another, and none is cordoned.
func (b *Broker) describeLogDirs(now core.Now, r request, q *kmsg.DescribeLogDirsRequest, out *core.Out) {
	t := &logDirsTask{r: r, all: q.Topics == nil}
	for i := range q.Topics {
		for _, n := range q.Topics[i].Partitions {
			t.want = append(t.want, core.TopicPartition{Topic: q.Topics[i].Topic, Partition: n})
		}
	}
	slices.SortFunc(t.want, core.TopicPartition.Compare)
	if r.header.Version < 4 || b.ops.Room() == 0 {
		b.answerLogDirs(now, t, -1, -1, out)
		return
	}
	t.op = b.ops.Start(op{kind: opWork})
	out.Space(t.op, b.cfg.LogDir)
	b.park(r, t, core.Never, waitKey{kind: waitWork, id: uint64(t.op)})
}

// logDirsTask is a DescribeLogDirs request that waits for the disk's space to be told.
type logDirsTask struct {
	r    request
	want []core.TopicPartition // sorted
	all  bool
	op   core.Op
}

// Advance waits for the space.
func (t *logDirsTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	res, ok := b.found(waitKey{kind: waitWork, id: uint64(t.op)})
	if !ok {
		return false
	}
	total, free := int64(-1), int64(-1)
	if res.err == core.OK && len(res.data) == 8 {
		total, free = int64(binary.BigEndian.Uint64(res.data)), int64(res.offset) // Done.N
	}
	b.answerLogDirs(now, t, total, free, out)
	return true
}

func (b *Broker) answerLogDirs(now core.Now, t *logDirsTask, total, free int64, out *core.Out) {
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = b.cfg.LogDir, total, free
	dir.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}
	for _, id := range b.store.IDs() { // sorted by partition
		l := b.store.Log(id)
		tp := l.Partition()
		if _, asked := slices.BinarySearchFunc(t.want, tp, core.TopicPartition.Compare); !asked && !t.all || tp == quorum.Partition {
			continue
		}
		if n := len(dir.Topics); n == 0 || dir.Topics[n-1].Topic != tp.Topic {
			k := kmsg.NewDescribeLogDirsResponseDirTopic()
			k.Topic = tp.Topic
			dir.Topics = append(dir.Topics, k)
		}
		k := &dir.Topics[len(dir.Topics)-1]
		k.Partitions = append(k.Partitions, logDirPartition(tp.Partition, l))
	}
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	resp.Dirs = append(resp.Dirs, dir)
	b.reply(now, t.r, resp, out)
}

// logDirPartition is one log. Its lag is how far its end is behind the high watermark, which for a leader is nothing.
func logDirPartition(n int32, l *log.Log) kmsg.DescribeLogDirsResponseDirTopicPartition {
	k := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
	k.Partition, k.Size, k.OffsetLag = n, l.Size(), max(0, int64(l.High()-l.End()))
	if !l.Online() {
		k.Size, k.OffsetLag = -1, -1
	}
	return k
}
