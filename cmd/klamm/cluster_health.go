package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/client"
	"klamm/host"
)

// voterSilence is for how long a voter may not have fetched before health says so: longer than any election takes.
const voterSilence = 10 * time.Second

// quorumPatience is how long a look waits for an answer that only the quorum's leader can give.
const quorumPatience = 10 * time.Second

// namedMax is how many partitions a finding names in text; JSON has them all.
const namedMax = 6

// finding is one thing that is not as it should be.
type finding struct {
	Kind       string        `json:"kind"`
	What       string        `json:"what"`
	Remedy     string        `json:"remedy"`
	Nodes      []core.NodeID `json:"nodes,omitempty"`
	Partitions []string      `json:"partitions,omitempty"`
}

type healthRow struct {
	Cluster    string      `json:"cluster"`
	Green      bool        `json:"green"`
	Brokers    int         `json:"brokers"`
	Partitions int         `json:"partitions"`
	Moving     int         `json:"moving"`
	Leader     core.NodeID `json:"quorum_leader"`
	Findings   []finding   `json:"findings"`
}

func clusterHealth(c *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "health", Short: "Say whether all is well, and what to do if it is not", Args: cobra.NoArgs,
		Long: "Looks at brokers, partitions and the quorum. The exit code is 0 if all is well, and 1 if something is not: each finding has a remedy.",
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			v, err := glance(ctx, cl)
			if err != nil {
				return err
			}
			mins, err := leastInSync(ctx, cl, v)
			if err != nil {
				return err
			}
			brief, cancel := context.WithTimeout(ctx, min(c.timeout, quorumPatience))
			defer cancel()
			s, quorumErr := lookAtQuorum(brief, cl)
			if quorumErr == nil {
				quorumErr = v.lookAtMoves(brief, cl)
			}
			h := judge(v, mins, s, quorumErr, reachable(v))
			if *format == "json" {
				err = printJSON(cmd.OutOrStdout(), h)
			} else {
				err = printHealth(cmd, h)
			}
			if err == nil && !h.Green {
				err = errSilent
			}
			return err
		})
	}
	return cmd
}

// leastInSync is min.insync.replicas of every topic.
func leastInSync(ctx context.Context, cl *host.Client, v *picture) (mins map[string]int, err error) {
	var of []client.Resource
	for i := range v.parts {
		if i == 0 || v.parts[i].topic != v.parts[i-1].topic {
			of = append(of, client.Resource{Type: client.TopicResource, Name: v.parts[i].topic})
		}
	}
	mins = make(map[string]int)
	for chunk := range slices.Chunk(of, 500) {
		a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
			return a.DescribeConfigs(now, chunk, out)
		})
		if err != nil {
			return nil, err
		}
		for _, x := range a.Configs {
			if x.Name == "min.insync.replicas" {
				if mins[x.Resource.Name], err = strconv.Atoi(x.Value); err != nil {
					return nil, fmt.Errorf("topic %s has min.insync.replicas %q", x.Resource.Name, x.Value)
				}
			}
		}
	}
	return mins, nil
}

// reachable says which brokers take connections, in their order: a fenced one that does is not dead.
func reachable(v *picture) []bool {
	yes := make([]bool, len(v.brokers))
	var wg sync.WaitGroup
	for i := range v.brokers {
		wg.Go(func() {
			conn, err := net.DialTimeout("tcp", v.brokers[i].addr, 2*time.Second)
			if yes[i] = err == nil; yes[i] {
				conn.Close()
			}
		})
	}
	wg.Wait()
	return yes
}

// judge finds what is not as it should be.
func judge(v *picture, mins map[string]int, s *quorumSeen, quorumErr error, up []bool) healthRow {
	h := healthRow{Cluster: v.id, Brokers: len(v.brokers), Partitions: len(v.parts), Leader: core.NoNode, Findings: []finding{}}
	h.judgeQuorum(s, quorumErr)
	for i, b := range v.brokers {
		at := fmt.Sprintf("broker %d at %s", b.id, b.addr)
		switch {
		case b.fenced && !up[i]:
			h.add(finding{"broker-offline", at + " is fenced and takes no connections", "Start it, or see its log. If it is gone for good: " + self() + " cluster decommission " + itoa(b.id), []core.NodeID{b.id}, nil})
		case b.fenced:
			h.add(finding{"broker-fenced", at + " takes connections, but the controller has fenced it: it starts, or its heartbeats do not arrive",
				"See its log and its /readyz. Can it reach the controllers (controller.quorum.voters)?", []core.NodeID{b.id}, nil})
		case !up[i]:
			h.add(finding{"broker-unreachable", at + " counts as alive, but takes no connections from here", "Does it run? Is the address right (advertised.listeners), and not behind a firewall?", []core.NodeID{b.id}, nil})
		}
	}
	h.judgePartitions(v, mins)
	h.Green = len(h.Findings) == 0
	return h
}

func (h *healthRow) add(f finding) { h.Findings = append(h.Findings, f) }

func (h *healthRow) judgeQuorum(s *quorumSeen, err error) {
	switch {
	case err != nil:
		h.add(finding{"quorum-unknown", "no leader of the quorum answers: " + quorumTrouble(err), "A majority of the controllers must run and reach each other; see their logs", nil, nil})
		return
	case s.Leader < 0:
		h.add(finding{"quorum-leaderless", "the quorum has no leader", "A majority of the controllers must run and reach each other; see their logs", nil, nil})
		return
	}
	h.Leader = s.Leader
	var silent []core.NodeID
	longest := int64(0)
	for _, n := range s.Voters {
		if n.ID != s.Leader && (n.CaughtUp < 0 || n.CaughtUp > voterSilence.Milliseconds()) {
			silent = append(silent, n.ID)
			longest = max(longest, n.CaughtUp)
		}
	}
	if len(silent) == 0 {
		return
	}
	since := "since it leads"
	if longest > 0 {
		since = "for up to " + agoText(longest)
	}
	f := finding{"voter-behind", fmt.Sprintf("of %d voters, %s not caught up with the leader %s", len(s.Voters), nodesDo(silent), since),
		"Start them, or see their logs", silent, nil}
	if left := len(s.Voters) - len(silent); left-1 < len(s.Voters)/2+1 {
		f.What += "; if one more fails, nothing can be changed"
	}
	h.add(f)
}

func nodesDo(ids []core.NodeID) string {
	if len(ids) == 1 {
		return "node " + itoa(ids[0]) + " has"
	}
	return "nodes " + joinNodes(ids) + " have"
}

func (h *healthRow) judgePartitions(v *picture, mins map[string]int) {
	var leaderless, under, below, at []string
	waits := map[core.NodeID]bool{}
	for i := range v.parts {
		p := &v.parts[i]
		if len(p.adding)+len(p.removing) > 0 {
			h.Moving++
		}
		target := p.target()
		least := min(max(mins[p.topic], 1), len(target)) // a topic with fewer replicas than that is judged by what it has
		missing := slices.ContainsFunc(target, func(n core.NodeID) bool { return !slices.Contains(p.isr, n) && !slices.Contains(p.adding, n) })
		switch {
		case p.leader < 0:
			leaderless = append(leaderless, p.name())
			for _, n := range append(slices.Clone(p.isr), p.elr...) {
				waits[n] = true
			}
		case len(p.isr) < least:
			below = append(below, p.name())
		case missing && len(p.isr) == least:
			at = append(at, p.name())
		case missing:
			under = append(under, p.name())
		}
	}
	back := "Start the brokers that are away"
	if len(waits) > 0 {
		var ids []core.NodeID
		for _, b := range v.brokers {
			if waits[b.id] {
				ids = append(ids, b.id)
			}
		}
		back = "Start one of brokers " + dash(joinNodes(ids)) + ", which have all that was acknowledged"
	}
	h.partitions("leaderless", "no leader: they can be neither written nor read", back+". Only if none ever comes back: kafka-leader-election --election-type unclean, which may lose records", leaderless)
	h.partitions("under-min-isr", "fewer replicas in sync than min.insync.replicas: acks=all is refused", "Bring the brokers back that hold the other replicas, or move these off them: "+self()+" cluster decommission NODE", below)
	h.partitions("at-min-isr", "as few replicas in sync as min.insync.replicas allows: one more failure, and acks=all is refused", "Bring the brokers back that hold the other replicas", at)
	h.partitions("under-replicated", "replicas that are not in sync", "They catch up by themselves if their brokers run. Does it last? See those brokers' logs", under)
}

func (h *healthRow) partitions(kind, what, remedy string, names []string) {
	if len(names) > 0 {
		h.add(finding{kind, fmt.Sprintf("%d of %d partitions have %s", len(names), h.Partitions, what), remedy, nil, names})
	}
}

func printHealth(cmd *cobra.Command, h healthRow) error {
	w, word := cmd.OutOrStdout(), "green"
	if !h.Green {
		word = "not well"
	}
	fmt.Fprintf(w, "cluster %s is %s: %d brokers, %d partitions, %d moving; quorum leader %s\n", h.Cluster, word, h.Brokers, h.Partitions, h.Moving, orDash(int64(h.Leader)))
	for _, f := range h.Findings {
		names := f.Partitions
		if len(names) > namedMax {
			names = append(slices.Clone(names[:namedMax]), "…")
		}
		fmt.Fprintf(w, "\n%s: %s", f.Kind, f.What)
		if len(names) > 0 {
			fmt.Fprintf(w, " (%s)", strings.Join(names, " "))
		}
		fmt.Fprintf(w, "\n  %s\n", f.Remedy)
	}
	return nil
}

type nodeRow struct {
	ID         core.NodeID `json:"id"`
	Roles      []string    `json:"roles"`
	Address    string      `json:"address,omitempty"`
	Controller []string    `json:"controller_endpoints,omitempty"`
	Rack       string      `json:"rack,omitempty"`
	State      string      `json:"state"`
	Leaders    int         `json:"leaders"`
	Replicas   int         `json:"replicas"`
	Bytes      int64       `json:"bytes"` // -1: it did not tell
}

func clusterNodes(c *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "nodes", Short: "List nodes: roles, address, rack, state, leaders, replicas and bytes", Args: cobra.NoArgs,
		Long: `Lists the brokers that are registered and the controllers of the quorum. The state of a broker is alive if its heartbeats
reach the controller, or fenced if not; and it says whether the broker takes connections from here. A controller that is no
broker is alive if it leads the quorum or has fetched from its leader within the last 10 seconds, or else silent.`,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			v, err := glance(ctx, cl)
			if err != nil {
				return err
			}
			brief, cancel := context.WithTimeout(ctx, min(c.timeout, quorumPatience))
			defer cancel()
			s, err := lookAtQuorum(brief, cl)
			if err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "klamm: no leader of the quorum answers: %s\n", quorumTrouble(err))
			}
			up := reachable(v)
			rows := nodeRows(v, s, up, bytesOf(ctx, cl, v, up))
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			var table [][]string
			for _, r := range rows {
				table = append(table, []string{itoa(r.ID), strings.Join(r.Roles, ","), dash(r.Address), dash(strings.Join(r.Controller, " ")), dash(r.Rack), r.State, itoa(r.Leaders), itoa(r.Replicas), orDash(r.Bytes)})
			}
			return printTable(cmd.OutOrStdout(), []string{"NODE", "ROLES", "ADDRESS", "CONTROLLER", "RACK", "STATE", "LEADERS", "REPLICAS", "BYTES"}, table)
		})
	}
	return cmd
}

// quorumTrouble says why the quorum could not be asked.
func quorumTrouble(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "nothing came within " + quorumPatience.String() + ", or --timeout"
	}
	return err.Error()
}

// bytesOf asks every broker that takes connections how much it keeps. One that does not tell has -1.
func bytesOf(ctx context.Context, cl *host.Client, v *picture, up []bool) []int64 {
	sizes := make([]int64, len(v.brokers))
	var wg sync.WaitGroup
	for i := range v.brokers {
		if sizes[i] = -1; !up[i] || v.brokers[i].fenced {
			continue
		}
		wg.Go(func() {
			brief, cancel := context.WithTimeout(ctx, quorumPatience)
			defer cancel()
			q := kmsg.NewPtrDescribeLogDirsRequest()
			q.Topics = nil // null: all there are
			resp, err := askOf[*kmsg.DescribeLogDirsResponse](brief, cl, v.brokers[i].id, q)
			if err != nil || resp.ErrorCode != 0 {
				return
			}
			sizes[i] = 0
			for _, d := range resp.Dirs {
				for _, t := range d.Topics {
					for _, p := range t.Partitions {
						sizes[i] += p.Size
					}
				}
			}
		})
	}
	wg.Wait()
	return sizes
}

func nodeRows(v *picture, s *quorumSeen, up []bool, sizes []int64) []nodeRow {
	rows := []nodeRow{}
	of := func(id core.NodeID) *nodeRow {
		i := slices.IndexFunc(rows, func(r nodeRow) bool { return r.ID == id })
		if i < 0 {
			i = len(rows)
			rows = append(rows, nodeRow{ID: id, Bytes: -1, State: "silent"})
		}
		return &rows[i]
	}
	for i, b := range v.brokers {
		r := of(b.id)
		r.Roles, r.Address, r.Rack, r.State = []string{"broker"}, b.addr, b.rack, "alive"
		switch {
		case !b.fenced && !up[i]:
			r.State = "alive, takes no connections from here"
		case b.fenced && up[i]:
			r.State = "fenced, takes connections"
		case b.fenced:
			r.State = "fenced, takes no connections"
		}
	}
	if s != nil {
		for _, n := range s.Voters {
			r := of(n.ID)
			if len(r.Roles) == 0 && (n.ID == s.Leader || n.Fetched >= 0 && n.Fetched < voterSilence.Milliseconds()) {
				r.State = "alive"
			}
			r.Roles, r.Controller = append(r.Roles, "controller"), n.Endpoints
		}
	}
	for i := range v.parts {
		p := &v.parts[i]
		if p.leader >= 0 {
			of(p.leader).Leaders++
		}
		for _, n := range p.replicas {
			of(n).Replicas++
		}
	}
	for i, b := range v.brokers {
		of(b.id).Bytes = sizes[i]
	}
	slices.SortFunc(rows, func(x, y nodeRow) int { return int(x.ID) - int(y.ID) })
	return rows
}
