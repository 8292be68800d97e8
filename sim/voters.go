package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/quorum"
	"klamm/core/wire"
)

// This file is about voters of the metadata quorum that come and go (KIP-853): how a run begins with them, what its admin does to
// them, and which of them may lose a disk.

// voting is who names the voters.
type voting uint8

const (
	votersFixed    voting = iota // the configuration
	votersNamed                  // the log, from the start
	votersEntering               // the configuration, until the admin has them enter the log
)

var votingNames = [...]string{"fixed", "named", "entering"}

// voterKey is one life of a voter: its id and its directory, which is zero while the configuration names the voters.
type voterKey struct {
	id  int32
	dir core.TopicID
}

func (k voterKey) String() string {
	if k.dir.IsZero() {
		return fmt.Sprint(k.id)
	}
	return fmt.Sprintf("%d/%x", k.id, k.dir[:3])
}

// like reports whether two keys may name the same voter.
func (k voterKey) like(o voterKey) bool {
	return k.id == o.id && (k.dir == o.dir || k.dir.IsZero() || o.dir.IsZero())
}

// drawVoting draws who names the voters. Its draws are its own, so that those of runs whose voters are fixed stay what they were.
func (t *topology) drawVoting(c Chooser) {
	const entity = 10_000
	all := t.voters()
	if len(all) < 2 {
		return
	}
	t.voting = []voting{votersFixed, votersFixed, votersNamed, votersNamed, votersEntering}[c.Choose(siteTopology, entity, 5)]
	t.first = all
	if t.voting == votersNamed {
		t.first = all[:1+c.Choose(siteTopology, entity+1, uint64(len(all)))]
	}
	t.autoJoin = t.voting != votersFixed && c.Choose(siteTopology, entity+2, 2) == 1
	t.losesVoters = t.voting != votersFixed && c.Choose(siteTopology, entity+3, 2) == 1
}

// quorumLines is the part of a node's configuration that says who votes, or whom to ask.
func (cfg *Config) quorumLines(k role) string {
	t := &cfg.topology
	if t.voting == votersFixed {
		return "controller.quorum.voters=" + cfg.quorumVoters() + "\n"
	}
	var list []string
	for _, id := range t.voters() {
		list = append(list, t.host(int(id-1))+":9093")
	}
	lines := "controller.quorum.bootstrap.servers=" + strings.Join(list, ",") + "\n"
	if t.voting == votersEntering {
		lines += "controller.quorum.voters=" + cfg.quorumVoters() + "\n"
	}
	if t.autoJoin && k != brokerOnly {
		lines += "controller.quorum.auto.join.enable=true\n"
	}
	return lines
}

// firstDir is the directory that a node is formatted with.
func firstDir(i int) core.TopicID { return core.TopicID{0x0f, byte(i + 1), 6: 0x40, 8: 0x80} }

// formatVoters writes what klamm storage format --initial-controllers writes, onto the disk of a first voter.
func (t *topology) formatVoters(i int, n *Node) {
	if t.voting != votersNamed || !slices.Contains(t.first, nodeID(i)) {
		return
	}
	var voters []wire.Voter
	for _, id := range t.first {
		at := int(id - 1)
		voters = append(voters, wire.Voter{VoterID: core.NodeID(id), VoterDirectoryID: wire.UUID(firstDir(at)),
			Endpoints:           []wire.VoterEndpoint{{Name: "CONTROLLER", Host: t.host(at), Port: 9093}},
			KRaftVersionFeature: wire.KRaftVersionFeature{MaxSupportedVersion: 1}})
	}
	meta := wire.MetaProperties{ClusterID: clusterID, NodeID: core.NodeID(nodeID(i)), DirectoryID: firstDir(i)}
	n.Disk.Install("/data/bootstrap.checkpoint", quorum.EncodeSnapshot(controller.Bootstrap(), controller.MetadataLevel, 0, 0))
	n.Disk.Install("/data/"+quorum.Partition.Topic+"-0/"+quorum.SnapshotID{}.File(), quorum.EncodeVoters(voters, 0))
	n.Disk.Install("/data/meta.properties", meta.Text())
}

// clusterID is that of every simulated cluster of several nodes.
const clusterID = "AAECAwQFBgcICQoLDA0ODw"

// The kinds of requests about voters.
const (
	adminVotersEnter adminKind = 200 + iota
	adminAddVoter
	adminRemoveVoter
	adminQuorum
)

// voterAdmin is what the admin knows of the changes that it has asked for.
type voterAdmin struct {
	pending bool // one is under way: its answer has not come
	doubt   bool // the answer of one was lost: it may still happen
	key     voterKey
	leader  bool     // it is to remove the leader
	wiped   voterKey // the directory that was lost last
}

// unanswered notes that nobody knows what becomes of a request.
func (p *voterAdmin) unanswered(q kmsg.Request) {
	switch q.(type) {
	case *kmsg.AddRaftVoterRequest, *kmsg.RemoveRaftVoterRequest:
		p.pending, p.doubt = false, true
	}
}

// voterAsk draws a change of the voters, now and then. A dead one goes first.
func (a *asking) voterAsk() (kmsg.Request, bool) {
	r := a.r
	t := &r.cfg.topology
	if t.voting == votersFixed || a.made < len(r.cfg.Topics) || a.repeat > 0 || a.session != 0 || r.stage >= stageCalm {
		return nil, false
	}
	v := r.choose(a.entity, siteAdmin, a.entity<<16|0x7e, 1<<32)
	at := r.find(KillController, 0)
	if at < 0 || v&7 != 0 {
		return nil, false
	}
	node := r.w.Nodes[at].Machine.(member).Quorum()
	keys := voterKeys(node)
	if node.KRaft() == 0 {
		a.what = adminVotersEnter
		q := kmsg.NewPtrUpdateFeaturesRequest()
		q.TimeoutMillis = 5000
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = "kraft.version", 1, 1
		q.FeatureUpdates = append(q.FeatureUpdates, u)
		return q, true
	}
	if v>>3&3 == 0 {
		a.what = adminQuorum
		q := kmsg.NewPtrDescribeQuorumRequest()
		q.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: quorum.Partition.Topic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
		return q, true
	}
	all := t.voters()
	id := all[int(v>>8&0xff)%len(all)]
	i := slices.IndexFunc(keys, func(k voterKey) bool { return k.id == id })
	for j, k := range keys {
		if r.cluster.voting.dead(k) {
			i = j
		}
	}
	r.voters.pending = true
	if i >= 0 {
		rest := slices.Delete(slices.Clone(keys), i, i+1)
		if dead := r.cluster.voting.dead(keys[i]); !dead && (len(rest) == 0 || !r.cluster.voting.survive(rest, voterKey{})) {
			r.voters.pending = false
			return nil, false
		}
		a.what, r.voters.key, r.voters.leader = adminRemoveVoter, keys[i], int(keys[i].id-1) == at
		q := kmsg.NewPtrRemoveRaftVoterRequest()
		q.VoterID, q.VoterDirectoryID = keys[i].id, keys[i].dir
		return q, true
	}
	a.what, r.voters.key = adminAddVoter, voterKey{id, r.directory(int(id - 1))}
	q := kmsg.NewPtrAddRaftVoterRequest()
	q.TimeoutMillis, q.VoterID, q.VoterDirectoryID, q.AckWhenCommitted = 5000, id, r.voters.key.dir, v>>16&1 == 0
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = "CONTROLLER", t.host(int(id-1)), 9093
	q.Listeners = append(q.Listeners, l)
	return q, true
}

// directory is the id of the directory on a node's disk; zero if it is not formatted.
func (r *run) directory(at int) core.TopicID {
	b, there := r.w.Nodes[at].Disk.File("/data/meta.properties")
	if !there {
		return core.TopicID{}
	}
	m, err := wire.ParseMetaProperties(b)
	if err != nil {
		return core.TopicID{}
	}
	return m.DirectoryID
}

// heedVoters counts what was done to the voters.
func (a *asking) heedVoters(resp kmsg.Response) {
	w, p := a.r.w, &a.r.voters
	switch x := resp.(type) {
	case *kmsg.UpdateFeaturesResponse:
		if a.what == adminVotersEnter && x.ErrorCode == 0 {
			w.Counts[AdminVotersEnter]++
		}
	case *kmsg.AddRaftVoterResponse:
		if p.pending = false; x.ErrorCode != 0 {
			return
		}
		if w.Counts[AdminAddVoter]++; a.r.cluster.voting.replaces(p.key) {
			w.Counts[AdminReplaceVoter]++
		}
	case *kmsg.RemoveRaftVoterResponse:
		if p.pending = false; x.ErrorCode != 0 {
			return
		}
		if w.Counts[AdminRemoveVoter]++; p.leader {
			w.Counts[AdminRemoveLeader]++
		}
	}
}

// mayLoseVoter decides whether a voter may lose its disk: every set that may be in force anywhere must have a majority without
// it, and without those that are lost already; and no change may be on its way that this does not know of. Fewer than that
// is an overload: a quorum that has lost its majority stops for good.
func (r *run) mayLoseVoter(node int) bool {
	t, j := &r.cfg.topology, &r.cluster.voting
	if !t.losesVoters || t.roles[node] == brokerOnly || t.roles[node] == both && !t.wipes || r.voters.pending || r.voters.doubt {
		return false
	}
	key := voterKey{nodeID(node), r.directory(node)}
	named := false
	for i := range t.roles {
		m, ok := r.w.Nodes[i].Machine.(member)
		if !ok || m.Quorum() == nil || !m.Quorum().Settled(m.Store()) {
			return false
		}
		keys := voterKeys(m.Quorum())
		if len(keys) == 0 && !j.formatted(voterKey{nodeID(i), r.directory(i)}) {
			continue // one that knows no voters yet counts for nothing
		}
		if m.Quorum().KRaft() == 0 || !j.survive(keys, key) || slices.ContainsFunc(keys, j.dead) {
			return false
		}
		named = named || m.Quorum().Leads() && slices.Contains(keys, key)
	}
	return named
}
