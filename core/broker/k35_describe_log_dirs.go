package broker

import (
	"encoding/binary"
	"slices"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeLogDirs serves DescribeLogDirs v1-v5. From v4 on it tells the space of the disks, for which it asks the world. A directory
// that has failed has an error and nothing else; none is cordoned.
func (b *Broker) describeLogDirs(now core.Now, r request, q *kmsg.DescribeLogDirsRequest, out *core.Out) {
	t := &logDirsTask{r: r, all: q.Topics == nil, dirs: make([]dirSpace, len(b.dirs))}
	for i := range q.Topics {
		for _, n := range q.Topics[i].Partitions {
			t.want = append(t.want, core.TopicPartition{Topic: q.Topics[i].Topic, Partition: n})
		}
	}
	slices.SortFunc(t.want, core.TopicPartition.Compare)
	var waits []waitKey
	for at := range b.dirs {
		d := &t.dirs[at]
		if d.total, d.free = -1, -1; r.header.Version < 4 || b.ops.Room() == 0 || !b.dirs[at].data || b.dirs[at].why != "" {
			continue
		}
		d.op = b.ops.Start(op{kind: opWork})
		out.Space(d.op, b.dirs[at].path)
		waits = append(waits, waitKey{kind: waitWork, id: uint64(d.op)})
	}
	if t.left = len(waits); t.left == 0 {
		b.answerLogDirs(now, t, out)
		return
	}
	b.park(r, t, core.Never, waits...)
}

// logDirsTask is a DescribeLogDirs request that waits for the disks' space to be told.
type logDirsTask struct {
	r    request
	want []core.TopicPartition // sorted
	all  bool
	dirs []dirSpace // as Broker.dirs
	left int        // directories whose space is not told yet
}

type dirSpace struct {
	op          core.Op
	total, free int64
}

// Advance waits for the space of each directory.
func (t *logDirsTask) Advance(b *Broker, now core.Now, out *core.Out) bool {
	for i := range t.dirs {
		d := &t.dirs[i]
		if d.op == 0 {
			continue
		}
		res, ok := b.found(waitKey{kind: waitWork, id: uint64(d.op)})
		if !ok {
			continue
		}
		if d.op = 0; res.err == core.OK && len(res.data) == 8 {
			d.total, d.free = int64(binary.BigEndian.Uint64(res.data)), int64(res.offset) // Done.N
		}
		t.left--
	}
	if t.left > 0 {
		return false
	}
	b.answerLogDirs(now, t, out)
	return true
}

func (b *Broker) answerLogDirs(now core.Now, t *logDirsTask, out *core.Out) {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	for at := range b.dirs {
		if !b.dirs[at].data {
			continue
		}
		dir := kmsg.NewDescribeLogDirsResponseDir()
		dir.Dir, dir.TotalBytes, dir.UsableBytes = b.dirs[at].path, t.dirs[at].total, t.dirs[at].free
		dir.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}
		if b.dirs[at].why != "" {
			dir.ErrorCode = int16(wire.KafkaStorageError)
		} else {
			b.describeDir(t, at, &dir)
		}
		resp.Dirs = append(resp.Dirs, dir)
	}
	b.reply(now, t.r, resp, out)
}

// describeDir lists the logs of one directory.
func (b *Broker) describeDir(t *logDirsTask, at int, dir *kmsg.DescribeLogDirsResponseDir) {
	for _, id := range b.store.In(at) {
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
		k.Partitions = append(k.Partitions, b.logDirPartition(tp.Partition, l))
	}
}

// logDirPartition is one log. Its lag is how far its end is behind the high watermark, which for a leader is nothing; that of a
// future log is how far it is behind the one that it is to replace.
func (b *Broker) logDirPartition(n int32, l *log.Log) kmsg.DescribeLogDirsResponseDirTopicPartition {
	k := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
	k.Partition, k.Size, k.OffsetLag, k.IsFuture = n, l.Size(), max(0, int64(l.High()-l.End())), l.Future()
	if l.Future() {
		if id, ok := b.store.Find(l.Partition()); ok {
			k.OffsetLag = max(0, int64(b.store.Log(id).End()-l.End()))
		}
	}
	if !l.Online() {
		k.Size, k.OffsetLag = -1, -1
	}
	return k
}
