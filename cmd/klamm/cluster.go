package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

// This file holds the commands about a whole cluster, and the picture of it that they plan on.

func newClusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Look after a cluster: health, nodes, quorum, decommission, maintenance, balance"}
	c := addConnection(cmd)
	cmd.AddCommand(clusterHealth(c), clusterNodes(c), clusterQuorum(c), clusterDecommission(c), clusterUnregister(c), clusterMaintenance(c), clusterBalance(c))
	return cmd
}

// picture is what the metadata say of a cluster at one moment. brokers is sorted by id, parts by topic and partition.
type picture struct {
	id      string
	brokers []brokerSeen
	parts   []partSeen
}

type brokerSeen struct {
	id     core.NodeID
	addr   string
	rack   string
	fenced bool
}

type partSeen struct {
	topic              string
	partition          int32
	leader             core.NodeID
	replicas, isr, elr []core.NodeID
	adding, removing   []core.NodeID // a reassignment is under way if one of them has nodes
}

func (p *partSeen) name() string { return p.topic + "-" + itoa(p.partition) }

// target is where the replicas are to be, once what is under way is done.
func (p *partSeen) target() []core.NodeID {
	return slices.DeleteFunc(slices.Clone(p.replicas), func(n core.NodeID) bool { return slices.Contains(p.removing, n) })
}

func (v *picture) broker(id core.NodeID) *brokerSeen {
	if i, ok := slices.BinarySearchFunc(v.brokers, id, func(b brokerSeen, id core.NodeID) int { return int(b.id) - int(id) }); ok {
		return &v.brokers[i]
	}
	return nil
}

func (v *picture) alive(id core.NodeID) bool {
	b := v.broker(id)
	return b != nil && !b.fenced
}

// brokerArg reads a NODE argument, which must be a broker that the cluster knows.
func (v *picture) brokerArg(id core.NodeID) error {
	if v.broker(id) != nil {
		return nil
	}
	var ids []core.NodeID
	for _, b := range v.brokers {
		ids = append(ids, b.id)
	}
	return fmt.Errorf("the cluster has no broker %d; it has %s", id, dash(joinNodes(ids)))
}

func parseNode(s string) (core.NodeID, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return core.NoNode, usagef("%s: not the id of a node, such as 2", s)
	}
	return core.NodeID(n), nil
}

// ask sends one request to any broker and returns its response. All that are sent this way may be sent twice without harm.
func ask[R kmsg.Response](ctx context.Context, cl *host.Client, q kmsg.Request) (resp R, err error) {
	return askOf[R](ctx, cl, core.NoNode, q)
}

// askOf is ask of one broker.
func askOf[R kmsg.Response](ctx context.Context, cl *host.Client, node core.NodeID, q kmsg.Request) (resp R, err error) {
	a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
		return a.Ask(now, node, q, false, out)
	})
	if err != nil {
		return resp, err
	}
	resp, ok := a.Response.(R)
	if !ok {
		return resp, fmt.Errorf("the answer to %s is of another kind", kmsg.NameForKey(q.Key()))
	}
	return resp, nil
}

// askAgain is ask for as long as the answer is an error that passes. errorOf reads it from a response.
func askAgain[R kmsg.Response](ctx context.Context, cl *host.Client, q kmsg.Request, errorOf func(R) client.Failure) (resp R, err error) {
	for {
		if resp, err = ask[R](ctx, cl, q); err != nil {
			return resp, err
		}
		f := errorOf(resp)
		if f.Code == wire.None {
			return resp, nil
		}
		if !f.Code.Retriable() {
			return resp, f
		}
		select {
		case <-ctx.Done():
			return resp, f
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func failure(code int16, text *string) client.Failure {
	f := client.Failure{Code: wire.Code(code)}
	if text != nil && code != 0 {
		f.Text = *text
	}
	return f
}

func nodeIDs(list []int32) []core.NodeID {
	ids := make([]core.NodeID, len(list))
	for i, n := range list {
		ids[i] = core.NodeID(n)
	}
	return ids
}

// look takes a picture of the cluster to plan on.
func look(ctx context.Context, cl *host.Client) (*picture, error) {
	v, err := glance(ctx, cl)
	if err != nil {
		return nil, err
	}
	return v, v.lookAtMoves(ctx, cl)
}

// glance is look without what only the active controller can tell: any broker answers, even if there is none.
func glance(ctx context.Context, cl *host.Client) (*picture, error) {
	q := kmsg.NewPtrDescribeClusterRequest()
	q.IncludeFencedBrokers = true
	resp, err := askAgain(ctx, cl, q, func(r *kmsg.DescribeClusterResponse) client.Failure { return failure(r.ErrorCode, r.ErrorMessage) })
	if err != nil {
		return nil, err
	}
	v := &picture{id: resp.ClusterID}
	for _, b := range resp.Brokers {
		x := brokerSeen{id: core.NodeID(b.NodeID), addr: net.JoinHostPort(b.Host, itoa(b.Port)), fenced: b.IsFenced}
		if b.Rack != nil {
			x.rack = *b.Rack
		}
		v.brokers = append(v.brokers, x)
	}
	slices.SortFunc(v.brokers, func(x, y brokerSeen) int { return int(x.id) - int(y.id) })
	return v, v.lookAtPartitions(ctx, cl)
}

// lookAtPartitions reads all partitions, page by page.
func (v *picture) lookAtPartitions(ctx context.Context, cl *host.Client) error {
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.ResponsePartitionLimit = 2000
	q.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{} // none named: all
	for {
		resp, err := ask[*kmsg.DescribeTopicPartitionsResponse](ctx, cl, q)
		if err != nil {
			return err
		}
		for i := range resp.Topics {
			t := &resp.Topics[i]
			if t.ErrorCode != 0 || t.Topic == nil {
				continue // deleted meanwhile
			}
			for j := range t.Partitions {
				p := &t.Partitions[j]
				v.parts = append(v.parts, partSeen{topic: *t.Topic, partition: p.Partition, leader: core.NodeID(p.LeaderID),
					replicas: nodeIDs(p.Replicas), isr: nodeIDs(p.ISR), elr: nodeIDs(p.EligibleLeaderReplicas)})
			}
		}
		next := resp.NextCursor
		if next == nil {
			break
		}
		cursor := kmsg.NewDescribeTopicPartitionsRequestCursor()
		cursor.Topic, cursor.Partition = next.Topic, next.Partition
		q.Cursor = &cursor
	}
	slices.SortFunc(v.parts, func(x, y partSeen) int {
		return core.TopicPartition{Topic: x.topic, Partition: x.partition}.Compare(core.TopicPartition{Topic: y.topic, Partition: y.partition})
	})
	return nil
}

// lookAtMoves reads which partitions are being reassigned.
func (v *picture) lookAtMoves(ctx context.Context, cl *host.Client) error {
	resp, err := listMoves(ctx, cl)
	if err != nil {
		return err
	}
	for i := range resp.Topics {
		for _, r := range resp.Topics[i].Partitions {
			if p := v.part(resp.Topics[i].Topic, r.Partition); p != nil {
				p.replicas, p.adding, p.removing = nodeIDs(r.Replicas), nodeIDs(r.AddingReplicas), nodeIDs(r.RemovingReplicas)
			}
		}
	}
	return nil
}

func (v *picture) part(topic string, partition int32) *partSeen {
	at := core.TopicPartition{Topic: topic, Partition: partition}
	i, ok := slices.BinarySearchFunc(v.parts, at, func(p partSeen, at core.TopicPartition) int {
		return core.TopicPartition{Topic: p.topic, Partition: p.partition}.Compare(at)
	})
	if !ok {
		return nil
	}
	return &v.parts[i]
}

func listMoves(ctx context.Context, cl *host.Client) (*kmsg.ListPartitionReassignmentsResponse, error) {
	q := kmsg.NewPtrListPartitionReassignmentsRequest() // null: of all topics
	q.Topics = nil
	return askAgain(ctx, cl, q, func(r *kmsg.ListPartitionReassignmentsResponse) client.Failure {
		return failure(r.ErrorCode, r.ErrorMessage)
	})
}

// quorumSeen is what the quorum's leader says of it.
type quorumSeen struct {
	Leader    core.NodeID  `json:"leader"`
	Epoch     core.Epoch   `json:"leader_epoch"`
	High      core.Offset  `json:"high_watermark"`
	Voters    []quorumNode `json:"voters"`
	Observers []quorumNode `json:"observers"`
}

type quorumNode struct {
	ID        core.NodeID `json:"id"`
	Status    string      `json:"status"`
	Directory string      `json:"directory_id,omitempty"`
	Endpoints []string    `json:"endpoints,omitempty"`
	End       core.Offset `json:"end"` // -1: the leader does not know
	Lag       int64       `json:"lag"`
	Fetched   int64       `json:"last_fetch_ms_ago"` // -1: never, as far as this leader knows
	CaughtUp  int64       `json:"last_caught_up_ms_ago"`
}

func lookAtQuorum(ctx context.Context, cl *host.Client) (*quorumSeen, error) {
	q := kmsg.NewPtrDescribeQuorumRequest()
	q.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
	resp, err := askAgain(ctx, cl, q, func(r *kmsg.DescribeQuorumResponse) client.Failure {
		if r.ErrorCode == 0 && len(r.Topics) > 0 && len(r.Topics[0].Partitions) > 0 {
			return failure(r.Topics[0].Partitions[0].ErrorCode, r.Topics[0].Partitions[0].ErrorMessage)
		}
		return failure(r.ErrorCode, r.ErrorMessage)
	})
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) == 0 || len(resp.Topics[0].Partitions) == 0 {
		return nil, fmt.Errorf("the answer about the quorum is empty")
	}
	p := &resp.Topics[0].Partitions[0]
	s := &quorumSeen{Leader: core.NodeID(p.LeaderID), Epoch: core.Epoch(p.LeaderEpoch), High: core.Offset(p.HighWatermark), Voters: []quorumNode{}, Observers: []quorumNode{}}
	now, end := time.Now().UnixMilli(), int64(-1) // the leader's clock is the best there is: it has fetched from itself just now
	for _, r := range p.CurrentVoters {
		if r.ReplicaID == p.LeaderID {
			end, now = r.LogEndOffset, max(r.LastFetchTimestamp, r.LastCaughtUpTimestamp)
		}
	}
	row := func(r *kmsg.DescribeQuorumResponseTopicPartitionReplicaState, status string) quorumNode {
		n := quorumNode{ID: core.NodeID(r.ReplicaID), Status: status, End: core.Offset(r.LogEndOffset), Lag: -1, Fetched: ago(now, r.LastFetchTimestamp), CaughtUp: ago(now, r.LastCaughtUpTimestamp)}
		if r.ReplicaDirectoryID != [16]byte{} {
			n.Directory = core.TopicID(r.ReplicaDirectoryID).String()
		}
		if r.LogEndOffset >= 0 && end >= 0 {
			n.Lag = max(end-r.LogEndOffset, 0)
		}
		for _, x := range resp.Nodes {
			for _, l := range x.Listeners {
				if x.NodeID == r.ReplicaID {
					n.Endpoints = append(n.Endpoints, l.Name+"://"+net.JoinHostPort(l.Host, itoa(int(l.Port))))
				}
			}
		}
		return n
	}
	for i := range p.CurrentVoters {
		status := "follower"
		if p.CurrentVoters[i].ReplicaID == p.LeaderID {
			status = "leader"
		}
		s.Voters = append(s.Voters, row(&p.CurrentVoters[i], status))
	}
	for i := range p.Observers {
		s.Observers = append(s.Observers, row(&p.Observers[i], "observer"))
	}
	byID := func(x, y quorumNode) int { return int(x.ID) - int(y.ID) }
	slices.SortFunc(s.Voters, byID)
	slices.SortFunc(s.Observers, byID)
	return s, nil
}

func ago(now, at int64) int64 {
	if at < 0 {
		return -1
	}
	return max(now-at, 0)
}

func agoText(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

func clusterQuorum(c *connection) *cobra.Command {
	cmd := &cobra.Command{Use: "quorum", Short: "Show the controllers' quorum: leader, voters, observers and how far behind they are", Args: cobra.NoArgs}
	cmd.AddCommand(clusterQuorumAdd(c), clusterQuorumRemove(c))
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			s, err := lookAtQuorum(ctx, cl)
			if err != nil {
				return err
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), s)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "leader %d  epoch %d  high watermark %d\n", s.Leader, s.Epoch, s.High)
			var table [][]string
			for _, n := range append(slices.Clone(s.Voters), s.Observers...) {
				table = append(table, []string{itoa(n.ID), n.Status, dash(n.Directory), orDash(int64(n.End)), orDash(n.Lag), agoText(n.Fetched), agoText(n.CaughtUp), dash(strings.Join(n.Endpoints, " "))})
			}
			return printTable(cmd.OutOrStdout(), []string{"NODE", "STATUS", "DIRECTORY", "END", "LAG", "FETCHED AGO", "CAUGHT UP AGO", "ENDPOINTS"}, table)
		})
	}
	return cmd
}
