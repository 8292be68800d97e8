package client

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// place asks a leader for the offsets at which partitions begin.
func (c *Consumer) place(now core.Now, node core.NodeID, out *core.Out) {
	var room [16]int
	list := c.ledBy(room[:0], node, func(r *reading, _ core.Epoch) bool {
		return !r.placed && !r.wait && r.asking == 0 && !c.resting(now, r)
	})
	if len(list) == 0 {
		return
	}
	to := c.node(now, node, general, out)
	if to == nil || !c.pool.Usable(now, to, out) {
		return
	}
	v, ok := versionOf(to, int16(kmsg.ListOffsets), -1)
	if !ok {
		for _, i := range list {
			c.later(now, &c.parts[i], Failure{Code: wire.UnsupportedVersion, Text: "ListOffsets"})
		}
		return
	}
	q := kmsg.NewListOffsetsRequest()
	q.SetVersion(v)
	q.ReplicaID, q.IsolationLevel = -1, c.isolation()
	c.lastAsk++
	a := partsAsk{id: c.lastAsk}
	for _, i := range list {
		r := &c.parts[i]
		_, epoch := c.leader(r.at)
		m := kmsg.NewListOffsetsRequestTopicPartition()
		m.Partition, m.CurrentLeaderEpoch, m.Timestamp, m.MaxNumOffsets = r.at.Partition, int32(epoch), c.timestampOf(r), 1
		k := slices.IndexFunc(q.Topics, func(t kmsg.ListOffsetsRequestTopic) bool { return t.Topic == r.at.Topic })
		if k < 0 {
			k = len(q.Topics)
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = r.at.Topic
			q.Topics = append(q.Topics, t)
		}
		q.Topics[k].Partitions = append(q.Topics[k].Partitions, m)
		r.asking = a.id
		a.list = append(a.list, partGen{r.at, r.gen})
	}
	c.asks = append(c.asks, a)
	c.pool.Send(now, to, link.Ask{Kind: askOffsets, A: a.id}, &q, c.opt.RequestTime, out)
}

// Special timestamps of ListOffsets.
const (
	latestTimestamp   = -1
	earliestTimestamp = -2
)

func (c *Consumer) timestampOf(r *reading) int64 {
	switch {
	case r.start.From == FromTime:
		return max(r.start.Timestamp, 0)
	case r.start.From == FromEarliest, r.start.From != FromLatest && c.opt.Reset == ResetEarliest:
		return earliestTimestamp
	}
	return latestTimestamp
}

func (c *Consumer) offsetsListed(now core.Now, rep *link.Reply, out *core.Out) {
	a, ok := c.asked1(rep.Ask.A)
	if !ok {
		return
	}
	resp, _ := rep.Resp.(*kmsg.ListOffsetsResponse)
	for _, pg := range a.list {
		r := c.reading(pg.at)
		if r == nil || r.gen != pg.gen || r.asking != a.id {
			continue
		}
		r.asking = 0
		m := offsetAnswer(resp, pg.at)
		if m == nil {
			c.later(now, r, Failure{Errno: link.OrGone(rep.Errs), Text: "no answer to ListOffsets"})
			continue
		}
		switch code := wire.Code(m.ErrorCode); {
		case code != wire.None:
			if refreshes(code) {
				c.refresh()
			}
			c.later(now, r, Failure{Code: code, Text: "looking for the offset to begin at"})
		case m.Offset < 0: // no record is that young: go to the end
			r.start = Start{From: FromLatest}
		default:
			r.fails = 0
			if r.missing >= 0 {
				c.tell(Tiding{Kind: Moved, Partitions: []core.TopicPartition{r.at}, From: r.missing, To: core.Offset(m.Offset)})
			}
			c.put(r, core.Offset(m.Offset), core.Epoch(m.LeaderEpoch))
		}
	}
}

func offsetAnswer(resp *kmsg.ListOffsetsResponse, at core.TopicPartition) *kmsg.ListOffsetsResponseTopicPartition {
	if resp == nil {
		return nil
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if resp.Topics[i].Topic == at.Topic && resp.Topics[i].Partitions[j].Partition == at.Partition {
				return &resp.Topics[i].Partitions[j]
			}
		}
	}
	return nil
}

// validate asks a leader of a new epoch whether it has what was read, record for record (KIP-320).
func (c *Consumer) validate(now core.Now, node core.NodeID, out *core.Out) {
	var room [16]int
	list := c.ledBy(room[:0], node, func(r *reading, epoch core.Epoch) bool {
		if r.placed && (r.epoch < 0 || epoch < 0) {
			r.checked = max(r.checked, epoch) // nothing was read that could have been cut
		}
		return r.placed && r.checked < epoch && r.asking == 0 && !c.resting(now, r)
	})
	if len(list) == 0 {
		return
	}
	to := c.node(now, node, general, out)
	if to == nil || !c.pool.Usable(now, to, out) {
		return
	}
	v, ok := versionOf(to, int16(kmsg.OffsetForLeaderEpoch), -1)
	if !ok { // a broker of before KIP-320 can't tell
		for _, i := range list {
			c.parts[i].checked = math.MaxInt32
		}
		return
	}
	q := kmsg.NewOffsetForLeaderEpochRequest()
	q.SetVersion(v)
	q.ReplicaID = -1
	c.lastAsk++
	a := partsAsk{id: c.lastAsk}
	for _, i := range list {
		r := &c.parts[i]
		_, epoch := c.leader(r.at)
		m := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		m.Partition, m.CurrentLeaderEpoch, m.LeaderEpoch = r.at.Partition, int32(epoch), int32(r.epoch)
		k := slices.IndexFunc(q.Topics, func(t kmsg.OffsetForLeaderEpochRequestTopic) bool { return t.Topic == r.at.Topic })
		if k < 0 {
			k = len(q.Topics)
			t := kmsg.NewOffsetForLeaderEpochRequestTopic()
			t.Topic = r.at.Topic
			q.Topics = append(q.Topics, t)
		}
		q.Topics[k].Partitions = append(q.Topics[k].Partitions, m)
		r.asking = a.id
		a.list = append(a.list, partGen{r.at, r.gen})
	}
	c.asks = append(c.asks, a)
	c.pool.Send(now, to, link.Ask{Kind: askEpoch, A: a.id}, &q, c.opt.RequestTime, out)
}

func (c *Consumer) epochAnswered(now core.Now, rep *link.Reply, out *core.Out) {
	a, ok := c.asked1(rep.Ask.A)
	if !ok {
		return
	}
	resp, _ := rep.Resp.(*kmsg.OffsetForLeaderEpochResponse)
	for _, pg := range a.list {
		r := c.reading(pg.at)
		if r == nil || r.gen != pg.gen || r.asking != a.id {
			continue
		}
		r.asking = 0
		m := epochAnswer(resp, pg.at)
		if m == nil {
			c.later(now, r, Failure{Errno: link.OrGone(rep.Errs), Text: "no answer to OffsetForLeaderEpoch"})
			continue
		}
		if code := wire.Code(m.ErrorCode); code != wire.None {
			c.refresh()
			c.later(now, r, Failure{Code: code, Text: "comparing with a new leader's log"})
			continue
		}
		_, epoch := c.leader(r.at)
		r.checked, r.fails = max(r.checked, epoch), 0
		if m.EndOffset >= int64(r.next) && m.LeaderEpoch == int32(r.epoch) || m.LeaderEpoch < 0 {
			continue
		}
		if to := core.Offset(m.EndOffset); to < r.next {
			c.truncated(r, to, core.Epoch(m.LeaderEpoch), out)
		}
	}
}

func epochAnswer(resp *kmsg.OffsetForLeaderEpochResponse, at core.TopicPartition) *kmsg.OffsetForLeaderEpochResponseTopicPartition {
	if resp == nil {
		return nil
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if resp.Topics[i].Topic == at.Topic && resp.Topics[i].Partitions[j].Partition == at.Partition {
				return &resp.Topics[i].Partitions[j]
			}
		}
	}
	return nil
}

// truncated goes back to the end of what the new leader shares with what was read. What was handed over
// can't be taken back: it is told.
func (c *Consumer) truncated(r *reading, to core.Offset, epoch core.Epoch, out *core.Out) {
	out.Mark("client.log-truncated")
	from, checked := r.position, r.checked
	c.discard(r)
	if from <= to {
		c.put(r, from, epoch)
		r.checked = checked
		return
	}
	c.tell(Tiding{Kind: Truncated, Partitions: []core.TopicPartition{r.at}, From: from, To: to})
	if c.opt.Reset == ResetNone {
		r.placed, r.wait = false, true
		return
	}
	c.put(r, to, epoch)
	r.checked = checked
}
