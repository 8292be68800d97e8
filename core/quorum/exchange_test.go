package quorum

import (
	"fmt"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// said writes a request as a person reads it.
func said(q kmsg.Request) string {
	switch q := q.(type) {
	case *kmsg.VoteRequest:
		p, pre := &q.Topics[0].Partitions[0], "Vote"
		if p.PreVote {
			pre = "PreVote"
		}
		return fmt.Sprintf("%s epoch=%d end=%d/%d", pre, p.CandidateEpoch, p.LastOffset, p.LastOffsetEpoch)
	case *kmsg.BeginQuorumEpochRequest:
		return fmt.Sprintf("BeginQuorumEpoch epoch=%d", q.Topics[0].Partitions[0].LeaderEpoch)
	case *kmsg.EndQuorumEpochRequest:
		p := &q.Topics[0].Partitions[0]
		var to []int32
		for _, c := range p.PreferredCandidates {
			to = append(to, c.CandidateID)
		}
		return fmt.Sprintf("EndQuorumEpoch epoch=%d preferred=%v", p.LeaderEpoch, to)
	case *kmsg.FetchRequest:
		p := &q.Topics[0].Partitions[0]
		return fmt.Sprintf("Fetch epoch=%d from=%d/%d high=%d", p.CurrentLeaderEpoch, p.FetchOffset, p.LastFetchedEpoch, p.HighWatermark)
	case *kmsg.FetchSnapshotRequest:
		p := &q.Topics[0].Partitions[0]
		return fmt.Sprintf("FetchSnapshot epoch=%d %d/%d at=%d", p.CurrentLeaderEpoch, p.SnapshotID.EndOffset, p.SnapshotID.Epoch, p.Position)
	}
	switch q := q.(type) {
	case *kmsg.AddRaftVoterRequest:
		return fmt.Sprintf("AddRaftVoter %d/%d", q.VoterID, q.VoterDirectoryID[1])
	case *kmsg.RemoveRaftVoterRequest:
		return fmt.Sprintf("RemoveRaftVoter %d/%d", q.VoterID, q.VoterDirectoryID[1])
	case *kmsg.UpdateRaftVoterRequest:
		return fmt.Sprintf("UpdateRaftVoter %d/%d", q.VoterID, q.VoterDirectoryID[1])
	case *kmsg.ApiVersionsRequest:
		return "ApiVersions"
	}
	return fmt.Sprintf("%T", q)
}

func code(c int16) string { return wire.Code(c).String() }

// answers writes a response as a person reads it.
func answers(r kmsg.Response) string {
	switch r := r.(type) {
	case *kmsg.VoteResponse:
		if r.ErrorCode == 0 {
			p := &r.Topics[0].Partitions[0]
			return fmt.Sprintf("%s granted=%v leader=%d/%d", code(p.ErrorCode), p.VoteGranted, p.LeaderID, p.LeaderEpoch)
		}
		return "top " + code(r.ErrorCode)
	case *kmsg.BeginQuorumEpochResponse:
		if r.ErrorCode == 0 {
			p := &r.Topics[0].Partitions[0]
			return fmt.Sprintf("%s leader=%d/%d", code(p.ErrorCode), p.LeaderID, p.LeaderEpoch)
		}
		return "top " + code(r.ErrorCode)
	case *kmsg.EndQuorumEpochResponse:
		if r.ErrorCode == 0 {
			p := &r.Topics[0].Partitions[0]
			return fmt.Sprintf("%s leader=%d/%d", code(p.ErrorCode), p.LeaderID, p.LeaderEpoch)
		}
		return "top " + code(r.ErrorCode)
	case *kmsg.FetchResponse:
		if r.ErrorCode != 0 {
			return "top " + code(r.ErrorCode)
		}
		p := &r.Topics[0].Partitions[0]
		s := fmt.Sprintf("%s high=%d start=%d leader=%d/%d bytes=%d", code(p.ErrorCode), p.HighWatermark, p.LogStartOffset, p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch, len(p.RecordBatches))
		if p.DivergingEpoch.EndOffset >= 0 {
			s += fmt.Sprintf(" diverging=%d/%d", p.DivergingEpoch.EndOffset, p.DivergingEpoch.Epoch)
		}
		if p.SnapshotID.EndOffset >= 0 {
			s += fmt.Sprintf(" snapshot=%d/%d", p.SnapshotID.EndOffset, p.SnapshotID.Epoch)
		}
		return s
	case *kmsg.FetchSnapshotResponse:
		if r.ErrorCode != 0 {
			return "top " + code(r.ErrorCode)
		}
		p := &r.Topics[0].Partitions[0]
		return fmt.Sprintf("%s at=%d of %d bytes=%d leader=%d/%d", code(p.ErrorCode), p.Position, p.Size, len(p.Bytes), p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch)
	case *kmsg.DescribeQuorumResponse:
		if r.ErrorCode != 0 {
			return "top " + code(r.ErrorCode)
		}
		p := &r.Topics[0].Partitions[0]
		s := fmt.Sprintf("%s leader=%d/%d high=%d", code(p.ErrorCode), p.LeaderID, p.LeaderEpoch, p.HighWatermark)
		for _, v := range p.CurrentVoters {
			if d := v.ReplicaDirectoryID; d != [16]byte{} {
				s += fmt.Sprintf(" directory %d:", d[1])
			}
			s += fmt.Sprintf(" voter %d end=%d caught-up=%v", v.ReplicaID, v.LogEndOffset, v.LastCaughtUpTimestamp > 0)
		}
		for _, v := range p.Observers {
			s += fmt.Sprintf(" observer %d end=%d", v.ReplicaID, v.LogEndOffset)
		}
		for _, n := range r.Nodes {
			s += fmt.Sprintf(" %d=%s:%d", n.NodeID, n.Listeners[0].Host, n.Listeners[0].Port)
		}
		return s
	case *kmsg.AddRaftVoterResponse:
		return code(r.ErrorCode) + told(r.ErrorMessage)
	case *kmsg.RemoveRaftVoterResponse:
		return code(r.ErrorCode) + told(r.ErrorMessage)
	case *kmsg.UpdateRaftVoterResponse:
		return fmt.Sprintf("%s leader=%d/%d %s:%d", code(r.ErrorCode), r.CurrentLeader.LeaderID, r.CurrentLeader.LeaderEpoch, r.CurrentLeader.Host, r.CurrentLeader.Port)
	}
	return fmt.Sprintf("%T", r)
}

func told(text *string) string {
	if text == nil {
		return ""
	}
	return " " + strings.ReplaceAll(*text, "AAAAAAAAAAAAAAAAAAAA", "..")
}

// asks makes the request that a script's line names.
func asks(t *testing.T, d *datadriven.TestData) kmsg.Request {
	var epoch, id, last, offset, position int
	life := 1
	d.MaybeScanArgs(t, "life", &life)
	var cluster string
	for name, v := range map[string]*int{"epoch": &epoch, "id": &id, "last": &last, "offset": &offset, "position": &position} {
		d.MaybeScanArgs(t, name, v)
	}
	d.MaybeScanArgs(t, "cluster", &cluster)
	var clusterID *string
	if cluster != "" {
		clusterID = &cluster
	}
	topic := Partition.Topic
	d.MaybeScanArgs(t, "topic", &topic)
	switch d.CmdArgs[1].Key {
	case "vote", "prevote":
		q := kmsg.NewPtrVoteRequest()
		q.Version, q.ClusterID, q.VoterID = 2, clusterID, -1
		d.MaybeScanArgs(t, "voter", &q.VoterID)
		p := kmsg.NewVoteRequestTopicPartition()
		p.CandidateID, p.CandidateEpoch, p.LastOffsetEpoch, p.LastOffset, p.PreVote = int32(id), int32(epoch), int32(last), int64(offset), d.CmdArgs[1].Key == "prevote"
		q.Topics = []kmsg.VoteRequestTopic{{Topic: topic, Partitions: []kmsg.VoteRequestTopicPartition{p}}}
		return q
	case "begin":
		q := kmsg.NewPtrBeginQuorumEpochRequest()
		q.Version, q.ClusterID, q.VoterID = 1, clusterID, -1
		d.MaybeScanArgs(t, "voter", &q.VoterID)
		p := kmsg.NewBeginQuorumEpochRequestTopicPartition()
		p.LeaderID, p.LeaderEpoch = int32(id), int32(epoch)
		q.Topics = []kmsg.BeginQuorumEpochRequestTopic{{Topic: topic, Partitions: []kmsg.BeginQuorumEpochRequestTopicPartition{p}}}
		return q
	case "end":
		q := kmsg.NewPtrEndQuorumEpochRequest()
		q.Version, q.ClusterID = 1, clusterID
		p := kmsg.NewEndQuorumEpochRequestTopicPartition()
		p.LeaderID, p.LeaderEpoch = int32(id), int32(epoch)
		q.Topics = []kmsg.EndQuorumEpochRequestTopic{{Topic: topic, Partitions: []kmsg.EndQuorumEpochRequestTopicPartition{p}}}
		return q
	case "fetch":
		q := kmsg.NewPtrFetchRequest()
		q.Version, q.ClusterID, q.ReplicaState.ID = 17, clusterID, int32(id)
		p := kmsg.NewFetchRequestTopicPartition()
		p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.FetchOffset = int32(epoch), int32(last), int64(offset)
		q.Topics = []kmsg.FetchRequestTopic{{TopicID: TopicID, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		if topic != Partition.Topic {
			q.Topics[0].TopicID = core.TopicID{9}
		}
		return q
	case "snapshot":
		q := kmsg.NewPtrFetchSnapshotRequest()
		q.Version, q.ClusterID, q.ReplicaID, q.MaxBytes = 1, clusterID, int32(id), 100
		p := kmsg.NewFetchSnapshotRequestTopicPartition()
		p.CurrentLeaderEpoch, p.SnapshotID.Epoch, p.SnapshotID.EndOffset, p.Position = int32(epoch), int32(last), int64(offset), int64(position)
		q.Topics = []kmsg.FetchSnapshotRequestTopic{{Topic: topic, Partitions: []kmsg.FetchSnapshotRequestTopicPartition{p}}}
		return q
	case "describe":
		q := kmsg.NewPtrDescribeQuorumRequest()
		q.Version = 2
		q.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: topic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
		return q
	case "add-voter":
		q := kmsg.NewPtrAddRaftVoterRequest()
		q.Version, q.ClusterID, q.VoterID, q.VoterDirectoryID, q.AckWhenCommitted = 1, clusterID, int32(id), core.TopicID{byte(id), byte(life)}, !d.HasArg("early")
		l := kmsg.NewAddRaftVoterRequestListener()
		l.Name, l.Host, l.Port = "CONTROLLER", fmt.Sprint("h", id), 9093
		d.MaybeScanArgs(t, "listener", &l.Name)
		q.Listeners = append(q.Listeners, l)
		return q
	case "remove-voter":
		q := kmsg.NewPtrRemoveRaftVoterRequest()
		q.ClusterID, q.VoterID, q.VoterDirectoryID = clusterID, int32(id), core.TopicID{byte(id), byte(life)}
		return q
	case "update-voter":
		q := kmsg.NewPtrUpdateRaftVoterRequest()
		q.ClusterID, q.CurrentLeaderEpoch, q.VoterID, q.VoterDirectoryID = clusterID, int32(epoch), int32(id), core.TopicID{byte(id), byte(life)}
		l := kmsg.NewUpdateRaftVoterRequestListener()
		l.Name, l.Host, l.Port = "CONTROLLER", fmt.Sprint("h", id), 9093
		d.MaybeScanArgs(t, "listener", &l.Name)
		d.MaybeScanArgs(t, "host", &l.Host)
		q.Listeners = append(q.Listeners, l)
		if d.HasArg("more") {
			l.Name = "MORE"
			q.Listeners = append(q.Listeners, l)
		}
		max := 1
		d.MaybeScanArgs(t, "max", &max)
		q.KRaftVersionFeature.MaxSupportedVersion = int16(max)
		return q
	case "sasl":
		return kmsg.NewPtrSASLHandshakeRequest()
	}
	d.Fatalf(t, "unknown request")
	return nil
}

// What the nodes of a quorum say to each other, without faults but those that a script asks for. Roles change as the package
// comment says.
func TestExchanges(t *testing.T) {
	datadriven.Walk(t, "testdata/cluster", func(t *testing.T, path string) {
		var c *cluster
		var heard []string
		tell := func() string {
			s := strings.Join(heard, "\n")
			heard = nil
			if s != "" {
				s += "\n"
			}
			for _, m := range c.members {
				if !m.up || m.node == nil {
					s += fmt.Sprintf("%d is down\n", m.id)
					continue
				}
				leader, epoch := m.node.Leader()
				l := m.store.Log(m.node.id)
				s += fmt.Sprintf("%d %s leader=%d/%d log=[%d,%d) high=%d handed=%d topics=%d active=%v ready=%v\n", m.id, m.node.Role(), leader, epoch, l.Start(), l.End(), m.node.High(), m.node.handed, m.names.n, m.node.Active(), m.node.Ready())
			}
			require.Empty(t, c.broken)
			return s
		}
		member := func(d *datadriven.TestData) *member {
			var i int
			_, err := fmt.Sscan(d.CmdArgs[0].Key, &i)
			require.NoError(t, err)
			return c.members[i-1]
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			quiet := d.HasArg("quiet")
			switch d.Cmd {
			case "cluster":
				var voters, observers, seed, retain int
				d.ScanArgs(t, "voters", &voters)
				d.MaybeScanArgs(t, "observers", &observers)
				d.MaybeScanArgs(t, "seed", &seed)
				d.MaybeScanArgs(t, "retain", &retain)
				c = newCluster(uint64(seed*3+1), voters, observers)
				c.late = core.Millisecond
				c.adjust = func(cfg *Config) {
					if cfg.LossTimeout = 0; retain == 0 {
						cfg.SnapshotBytes, cfg.RetentionBytes = 1<<40, -1
					}
				}
				if d.HasArg("dynamic") || d.HasArg("upgrade") {
					c.nameVoters(d.HasArg("upgrade"), d.HasArg("auto"))
				}
				c.overheard = func(s string) { heard = append(heard, s) }
				for _, m := range c.members {
					c.start(m)
				}
			case "run":
				var ms int64
				_, err := fmt.Sscan(d.CmdArgs[0].Key, &ms)
				require.NoError(t, err)
				c.run2(c.now + core.Millis(ms))
			case "append":
				n := 1
				d.MaybeScanArgs(t, "n", &n)
				for range n {
					c.serial++
					m := member(d)
					out := core.Out{Marks: &c.marks}
					if _, ok := m.node.Append(c.clock(m), []wire.Record{topicRecord(fmt.Sprintf("t%012d", c.serial))}, level, m.store, &out); !ok {
						return "refused\n"
					}
					c.drain(m, &out)
					if n > 1 {
						c.run2(c.now + 50*core.Millisecond)
					}
				}
				return ""
			case "wipe":
				c.loseDisk(member(d))
			case "upgrade":
				m := member(d)
				if why := m.node.Upgradable(1); why != "" {
					return why + "\n"
				}
				out := core.Out{Marks: &c.marks}
				m.node.Upgrade(c.clock(m), 0, 1, m.store, &out)
				c.drain(m, &out)
			case "voters": // in force on each
				s := ""
				for _, m := range c.members {
					if m.node != nil {
						ids, dirs := m.node.VoterKeys()
						s += fmt.Sprintf("%d: kraft.version %d", m.id, m.node.KRaft())
						for i := range ids {
							s += fmt.Sprintf(" %d/%d", ids[i], dirs[i][1])
						}
						s += "\n"
					}
				}
				return s
			case "crash":
				c.crash(member(d), true)
			case "start":
				c.start(member(d))
			case "resign":
				m := member(d)
				out := core.Out{Marks: &c.marks}
				m.node.Resign(c.clock(m), m.store, &out)
				c.drain(m, &out)
			case "cut", "join":
				m := member(d)
				for j := range c.members {
					if j != m.id-1 {
						c.cut[m.id-1][j], c.cut[j][m.id-1] = d.Cmd == "cut", d.Cmd == "cut"
					}
				}
				return ""
			case "ask": // a request from outside
				m := member(d)
				m.ticket++
				m.asked[m.ticket] = message{unanswered: true, from: m.id - 1, to: m.id - 1, key: -1}
				q := asks(t, d)
				out := core.Out{Marks: &c.marks}
				m.node.Ask(c.clock(m), m.ticket, q, m.store, &out)
				c.drain(m, &out)
				c.run2(c.now + 10*core.Millisecond)
				s := strings.Join(heard, "\n") + "\n"
				heard = nil
				return s
			}
			if quiet {
				heard = nil
			}
			return tell()
		})
		for _, name := range c.marks.Names() {
			marksHit[name] = true
		}
	})
}
