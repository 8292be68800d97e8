package client

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/wire"
)

// FuzzResponses: whatever a broker answers, a client neither panics nor asks for the processor without
// end. The first byte chooses the client; then each request is answered with the next piece of the input,
// whole responses of the right form among them, so that the states behind them are reached.
func FuzzResponses(f *testing.F) {
	for machine := range byte(4) {
		f.Add([]byte{machine})
		f.Add([]byte{machine, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		f.Add([]byte{machine, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 1, 2, 3, 4, 2, 0, 1, 255})
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		o := Options{Bootstrap: []string{"boot:1"}}
		var m core.Machine
		var poke func(r *rig)
		switch in[0] % 4 {
		case 0:
			p := NewProducer(ProducerOptions{Options: o, Linger: -1})
			m, poke = p, func(r *rig) {
				p.Send(r.now, Record{Topic: "t", Value: []byte("v")}, &r.out)
				p.Results()
			}
		case 1:
			c := NewConsumer(ConsumerOptions{Options: o})
			m, poke = c, func(r *rig) {
				if len(c.Reading()) == 0 {
					c.Assign(r.now, Start{From: FromEarliest}, &r.out, tp("t", 0), tp("t", 1))
				}
				c.Poll(r.now, 100, &r.out)
				c.Tidings()
			}
		case 2:
			c := NewConsumer(ConsumerOptions{Options: o, ReadCommitted: true, Group: GroupOptions{ID: "g", Topics: []string{"t"}}})
			m, poke = c, func(r *rig) {
				c.Poll(r.now, 100, &r.out)
				c.Commit(r.now, nil, &r.out)
				c.Tidings()
			}
		case 3:
			a := NewAdmin(AdminOptions{Options: o})
			m, poke = a, func(r *rig) {
				switch int(a.lastID) % 6 {
				case 0:
					a.DescribeTopics(r.now, nil, &r.out)
				case 1:
					a.DescribeGroups(r.now, []string{"g"}, &r.out)
				case 2:
					a.ListOffsets(r.now, []OffsetAt{{At: tp("t", 0)}}, &r.out)
				case 3:
					a.DescribeConfigs(r.now, []Resource{{TopicResource, "t"}}, &r.out)
				case 4:
					a.LogDirs(r.now, &r.out)
				case 5:
					a.DescribeProducers(r.now, []core.TopicPartition{tp("t", 0)}, &r.out)
				}
				a.Answers()
			}
		}
		r := newRig(t, m)
		in = in[1:]
		for n := 0; n < 60; n++ {
			poke(r)
			r.carryOut()
			if len(r.dials) > 0 {
				r.open(core.OK)
			}
			for _, l := range append([]*line(nil), r.conns...) {
				if len(l.requests) > 0 {
					in = r.fuzzAnswer(l, in)
				}
			}
			if len(in) == 0 {
				break
			}
			r.pass(50 * core.Millisecond)
		}
		r.pass(5 * core.Second)
	})
}

// fuzzAnswer answers the oldest request of a line from the input: a length, then the body. Length 0 is
// the answer of a good broker.
func (r *rig) fuzzAnswer(l *line, in []byte) []byte {
	h, q := r.request(l.requests[0])
	l.requests = l.requests[1:]
	n := 0
	if len(in) > 0 {
		n, in = int(in[0]), in[1:]
	}
	var frame []byte
	if n == 0 {
		frame = wire.AppendResponse(nil, h.Correlation, goodAnswer(q))
	} else {
		n = min(n, len(in))
		frame = append([]byte{0, 0, 0, 0, byte(h.Correlation >> 24), byte(h.Correlation >> 16), byte(h.Correlation >> 8), byte(h.Correlation)}, in[:n]...)
		in = in[n:]
		size := len(frame) - 4
		frame[2], frame[3] = byte(size>>8), byte(size)
	}
	r.step(core.Event{Kind: core.Frame, Conn: l.conn, Data: frame})
	return in
}

func goodAnswer(q kmsg.Request) kmsg.Response {
	resp := q.ResponseKind()
	switch x := resp.(type) {
	case *kmsg.ApiVersionsResponse:
		return apiVersions(q.GetVersion())
	case *kmsg.MetadataResponse:
		x.Brokers = append(x.Brokers, kmsg.MetadataResponseBroker{NodeID: 1, Host: "one", Port: 9})
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = kmsg.StringPtr("t")
		for p := range int32(2) {
			m := kmsg.NewMetadataResponseTopicPartition()
			m.Partition, m.Leader, m.LeaderEpoch = p, 1, 1
			t.Partitions = append(t.Partitions, m)
		}
		x.Topics = append(x.Topics, t)
	case *kmsg.FindCoordinatorResponse:
		x.NodeID, x.Host, x.Port = 1, "one", 9
		x.Coordinators = append(x.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: "g", NodeID: 1, Host: "one", Port: 9})
	case *kmsg.InitProducerIDResponse:
		x.ProducerID = 1
	case *kmsg.JoinGroupResponse:
		x.Generation, x.MemberID, x.LeaderID, x.Protocol = 1, "m", "m", kmsg.StringPtr("range")
	}
	resp.SetVersion(q.GetVersion())
	return resp
}
