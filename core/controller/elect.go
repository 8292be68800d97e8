package controller

import (
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of elections that a client may ask for.
const (
	askPreferred = 0
	askUnclean   = 1
)

// ElectLeaders decides an ElectLeaders request (KIP-183, KIP-460). If it names no partitions all are meant, and those
// where there is nothing to do are left out of the answer.
func (c *Controller) ElectLeaders(q *kmsg.ElectLeadersRequest) (*kmsg.ElectLeadersResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.ElectLeadersResponse)
	if q.ElectionType != askPreferred && q.ElectionType != askUnclean {
		resp.ErrorCode = int16(wire.InvalidRequest)
	}
	d := c.draft()
	if q.Topics == nil {
		for t := range c.img.Topics() {
			rows := kmsg.NewElectLeadersResponseTopic()
			rows.Topic = t.Name
			for _, p := range t.Partitions {
				if r := d.electAsked(t.Name, p.ID, q.ElectionType); r.code != wire.ElectionNotNeeded {
					rows.Partitions = append(rows.Partitions, electRow(p.ID, r))
				}
			}
			resp.Topics = append(resp.Topics, rows)
		}
		return resp, d.records
	}
	for i := range q.Topics {
		rows := kmsg.NewElectLeadersResponseTopic()
		rows.Topic = q.Topics[i].Topic
		for _, p := range q.Topics[i].Partitions {
			rows.Partitions = append(rows.Partitions, electRow(p, d.electAsked(rows.Topic, p, q.ElectionType)))
		}
		resp.Topics = append(resp.Topics, rows)
	}
	return resp, d.records
}

func electRow(id int32, r refusal) kmsg.ElectLeadersResponseTopicPartition {
	row := kmsg.NewElectLeadersResponseTopicPartition()
	row.Partition, row.ErrorCode, row.ErrorMessage = id, int16(r.code), r.message()
	return row
}

// electAsked holds one election.
func (d *draft) electAsked(topic string, id int32, kind int8) refusal {
	t := d.c.img.Topic(topic)
	var p *image.Partition
	if t != nil {
		p = t.Partition(id)
	}
	switch {
	case kind != askPreferred && kind != askUnclean:
		return refusal{wire.InvalidRequest, "Unknown election type " + strconv.Itoa(int(kind))}
	case t == nil:
		return refusal{wire.UnknownTopicOrPartition, "No such topic as " + topic}
	case p == nil:
		return refusal{wire.UnknownTopicOrPartition, "No such partition as " + topic + "-" + strconv.Itoa(int(id))}
	}
	p = d.now(t, p)
	if kind == askPreferred && p.Leader == p.Replicas[0] || kind == askUnclean && p.Leader != core.NoNode {
		return refusal{wire.ElectionNotNeeded, "Leader election not needed for topic partition."}
	}
	ch := d.change(t, p, d.c.terms(topic))
	if ch.how = electPreferred; kind == askUnclean {
		ch.how = electUnclean
	}
	_, changed := ch.decide()
	switch {
	case changed:
		return refusal{}
	case d.full:
		return tooLarge
	case kind == askPreferred:
		return refusal{wire.PreferredLeaderNotAvailable, "The preferred leader was not available."}
	}
	return refusal{wire.EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available."}
}
