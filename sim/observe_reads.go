package sim

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/checker"
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// This file judges readers of a log that a fault has damaged: whoever comes to a batch with a wrong checksum must stop there. What a
// reader came to is what arrived. It may take a batch in long before it hands out what lies behind, and bits of the disk rot meanwhile:
// those it never saw.

// given is what fetches brought to a reader whole, in the order in which it came.
type given struct {
	asked []fetchAsked
	whole []wholeBatch
}

// fetchAsked is a fetch that has no answer yet.
type fetchAsked struct {
	conn    core.ConnID
	corr    int32
	version int16
}

type wholeBatch struct {
	topic      core.TopicID
	partition  int32
	sum        uint32
	base, last int64
}

// sends notes the fetches that a reader sends.
func (g *given) sends(list []core.Effect) {
	for i := range list {
		e := &list[i]
		if e.Kind != core.Send || len(e.Data) < 12 || int16(binary.BigEndian.Uint16(e.Data[4:])) != wire.KeyFetch {
			continue
		}
		if len(g.asked) == tapMax {
			g.asked = slices.Delete(g.asked, 0, 1)
		}
		g.asked = append(g.asked, fetchAsked{e.Conn, int32(binary.BigEndian.Uint32(e.Data[8:])), int16(binary.BigEndian.Uint16(e.Data[6:]))})
	}
}

// takes notes the batches that an answer brings, of each partition up to the first that is not whole.
func (g *given) takes(ev *core.Event) {
	if ev.Kind != core.Frame || len(ev.Data) < 8 {
		return
	}
	corr := int32(binary.BigEndian.Uint32(ev.Data[4:]))
	i := slices.IndexFunc(g.asked, func(a fetchAsked) bool { return a.conn == ev.Conn && a.corr == corr })
	if i < 0 {
		return
	}
	version := g.asked[i].version
	g.asked = slices.Delete(g.asked, i, i+1)
	_, body, err := wire.ParseResponse(ev.Data, wire.KeyFetch, version)
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	if err != nil || resp.ReadFrom(body) != nil {
		return
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			for b := p.RecordBatches; ; {
				v, rest, is := batch.First(b)
				if is != batch.Good || !v.CheckCRC() {
					break
				}
				g.whole = append(g.whole, wholeBatch{t.TopicID, p.Partition, binary.BigEndian.Uint32(v[17:]), int64(v.BaseOffset()), int64(v.LastOffset())})
				b = rest
			}
		}
	}
}

// had reports whether the batch with this checksum at an offset arrived whole on the way to where the reader is: nothing that lies before it
// came later, as it does for one that begins anew.
func (g *given) had(topic core.TopicID, partition int32, offset int64, sum uint32) bool {
	for i := len(g.whole) - 1; i >= 0; i-- {
		b := &g.whole[i]
		switch {
		case b.topic != topic || b.partition != partition || b.base > offset:
		case b.last < offset:
			return false
		default:
			return b.sum == sum
		}
	}
	return false
}

// skipped is a reader that went past an offset of a damaged log. If the batch there has a wrong checksum and never came whole, the reader
// saw that, and must stop there instead.
func (r *run) skipped(reader int, at core.TopicPartition, from int64) {
	n := r.w.Nodes[0]
	dir := r.logDir(n, at)
	r.eachSegment(n, dir, func(base int64, file []byte) {
		list, end, fault := checker.ReadSegment(file)
		next := base
		if n := len(list); n > 0 {
			next = list[n-1].Last + 1
		}
		if fault != "checksum" || next != from {
			return
		}
		var sum [4]byte // as it was written
		n.Disk.Peek(dir+"/"+segmentName(core.Offset(base)), end+17, sum[:])
		if !r.givenTo(reader).had(topicIn(n, dir), at.Partition, from, binary.BigEndian.Uint32(sum[:])) {
			r.oracle.fail("I80", "%s-%d: a reader went past offset %d, where a batch has a wrong checksum, and said nothing", at.Topic, at.Partition, from)
		}
	})
}

// givenTo is what a reader was given, by its number at the oracle.
func (r *run) givenTo(reader int) *given {
	for len(r.given) <= reader {
		r.given = append(r.given, given{})
	}
	return &r.given[reader]
}

// topicIn is the id of the topic that a directory was made for; zero if it does not say so.
func topicIn(n *Node, dir string) core.TopicID {
	var b [64]byte
	k := n.Disk.Peek(dir+"/partition.metadata", 0, b[:])
	_, text, _ := strings.Cut(string(b[:k]), "topic_id: ")
	id, _ := core.ParseTopicID(strings.TrimSpace(text))
	return id
}
