package sim

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/checker"
	"klamm/core"
	"klamm/core/wire"
)

// This file listens to the votes of the metadata quorum on their way: what a candidate is told must be on the voter's disk
// at the instant at which the answer leaves.

// tap keeps the requests for votes that have no answer yet.
type tap struct{ waiting []voteAsked }

type voteAsked struct {
	node, version int16
	conn          core.ConnID
	corr          int32
	epoch         int32
	candidate     int32
}

// tapMax bounds the requests that are remembered: of connections that died nobody hears again.
const tapMax = 64

// heard looks at a frame that a broker is given.
func (r *run) heard(at int, ev *core.Event) {
	if len(ev.Data) < 12 || ev.Conn%2 == 0 {
		return
	}
	switch int16(binary.BigEndian.Uint16(ev.Data[4:])) {
	case wire.KeyVote:
		r.heardVote(at, ev)
	case wire.KeyFetch:
		if m, ok := ev.Req.Body.(messenger); ok {
			if q, is := m.Message().(*kmsg.FetchRequest); is {
				r.heardFetch(at, ev.Conn, q)
			}
		}
	}
}

// messenger is what a broker's Pure makes of a request.
type messenger interface{ Message() kmsg.Request }

func (r *run) heardVote(at int, ev *core.Event) {
	req, err := wire.ParseRequest(ev.Data)
	if err != nil {
		return
	}
	q, ok := req.Body.(*kmsg.VoteRequest)
	if !ok || len(q.Topics) != 1 || len(q.Topics[0].Partitions) != 1 || q.Topics[0].Partitions[0].PreVote {
		return
	}
	p := &q.Topics[0].Partitions[0]
	t := &r.cluster.tap
	if len(t.waiting) == tapMax {
		t.waiting = slices.Delete(t.waiting, 0, 1)
	}
	t.waiting = append(t.waiting, voteAsked{int16(at), q.Version, ev.Conn, req.Header.Correlation, p.CandidateEpoch, p.CandidateID})
}

// said looks at a frame that a broker sends.
func (r *run) said(at int, n *Node, e *core.Effect) {
	if e.Kind == core.SendRange {
		r.handedOut(at, n, e)
		return
	}
	t := &r.cluster.tap
	if len(t.waiting) == 0 || e.Kind != core.Send || len(e.Data) < 8 {
		return
	}
	corr := int32(e.Data[4])<<24 | int32(e.Data[5])<<16 | int32(e.Data[6])<<8 | int32(e.Data[7])
	i := slices.IndexFunc(t.waiting, func(v voteAsked) bool { return int(v.node) == at && v.conn == e.Conn && v.corr == corr })
	if i < 0 {
		return
	}
	asked := t.waiting[i]
	t.waiting = slices.Delete(t.waiting, i, i+1)
	_, body, err := wire.ParseResponse(e.Data, wire.KeyVote, asked.version)
	resp := kmsg.NewPtrVoteResponse()
	resp.SetVersion(asked.version)
	if err != nil || resp.ReadFrom(body) != nil || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return
	}
	if p := &resp.Topics[0].Partitions[0]; resp.ErrorCode != 0 || p.ErrorCode != 0 || !p.VoteGranted {
		return
	}
	r.cluster.voted++
	r.cluster.ballots.Told(nodeID(at), asked.epoch, asked.candidate, ballotOn(at, n))
	r.judged(r.cluster.ballots.Found())
}

const stateFile = "/data/__cluster_metadata-0/quorum-state"

// ballotOn reads the state file of a node's disk: no epoch if there is none.
func ballotOn(at int, n *Node) checker.Ballot {
	x := checker.Ballot{Node: nodeID(at), Life: int(n.Life), Epoch: 0, Leader: -1, Voted: -1}
	b, there := n.Disk.File(stateFile)
	if !there {
		return x
	}
	var f struct {
		LeaderID    *int32 `json:"leaderId"`
		LeaderEpoch *int32 `json:"leaderEpoch"`
		VotedID     *int32 `json:"votedId"`
	}
	if json.Unmarshal(b, &f) != nil {
		return x
	}
	for _, v := range [...]struct{ to, from *int32 }{{&x.Leader, f.LeaderID}, {&x.Epoch, f.LeaderEpoch}, {&x.Voted, f.VotedID}} {
		if v.from != nil {
			*v.to = *v.from
		}
	}
	return x
}
