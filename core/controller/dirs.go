package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AssignReplicasToDirs decides an AssignReplicasToDirs request: a broker tells in which directory it has a replica (KIP-858).
func (c *Controller) AssignReplicasToDirs(q *kmsg.AssignReplicasToDirsRequest) (*kmsg.AssignReplicasToDirsResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.AssignReplicasToDirsResponse)
	b, code := c.checkEpoch(q.BrokerID, q.BrokerEpoch)
	if c.Level() < levelDirectories {
		code = wire.UnsupportedVersion
	}
	if code != wire.None {
		resp.ErrorCode = int16(code)
		return resp, nil
	}
	d := c.draft()
	for i := range q.Directories {
		asked := &q.Directories[i]
		dir := kmsg.NewAssignReplicasToDirsResponseDirectory()
		dir.ID = asked.ID
		for j := range asked.Topics {
			rows := kmsg.NewAssignReplicasToDirsResponseDirectoryTopic()
			rows.TopicID = asked.Topics[j].TopicID
			t := c.img.TopicByID(rows.TopicID)
			for k := range asked.Topics[j].Partitions {
				row := kmsg.NewAssignReplicasToDirsResponseDirectoryTopicPartition()
				row.Partition = asked.Topics[j].Partitions[k].Partition
				row.ErrorCode = int16(d.assignDirectory(b, t, row.Partition, asked.ID))
				rows.Partitions = append(rows.Partitions, row)
			}
			dir.Topics = append(dir.Topics, rows)
		}
		resp.Directories = append(resp.Directories, dir)
	}
	return resp, d.records
}

// assignDirectory decides one row. A replica whose directory is offline is not in sync any longer. If it turns up in another
// directory than one that is offline, it was made anew there and is empty, so that it is not eligible either; the same holds for one that
// was LOST.
func (d *draft) assignDirectory(b *image.Broker, t *image.Topic, id int32, dir core.TopicID) wire.Code {
	if t == nil {
		return wire.UnknownTopicID
	}
	p := t.Partition(id)
	if p == nil {
		return wire.UnknownTopicOrPartition
	}
	p = d.now(t, p)
	at := slices.Index(p.Replicas, b.ID)
	if at < 0 {
		return wire.NotLeaderOrFollower
	}
	ch := d.change(t, p, d.c.terms(t.Name))
	ch.moved, ch.to = b.ID, dir
	was := p.Directories[at]
	switch {
	case was == dirDamaged && !hasDirectory(b.LogDirs, dir): // now all of its directory is offline: it holds what it held
		ch.isr = without(p.ISR, b.ID)
	case was == dirDamaged: // it is whole again, and holds what it held: it may lead what nobody else may
		d.c.sweep = d.c.active
	case was != dir && !hasDirectory(b.LogDirs, was):
		ch.isr, ch.lost, ch.wiped = without(p.ISR, b.ID), b.ID, true
		d.c.sweep = d.c.active // if it was the only replica, it leads again, empty
	case !hasDirectory(b.LogDirs, dir):
		ch.isr = without(p.ISR, b.ID)
	}
	if _, changed := ch.decide(); !changed && d.full {
		return tooLarge.code
	}
	return wire.None
}
