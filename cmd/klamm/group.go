package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

func newGroupCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "group", Short: "List, describe, move and delete consumer groups"}
	c := addConnection(cmd)
	cmd.AddCommand(groupList(c), groupDescribe(c), groupResetOffsets(c), groupDelete(c))
	return cmd
}

type groupRow struct {
	Group        string      `json:"group"`
	State        string      `json:"state"`
	Type         string      `json:"type,omitempty"`
	ProtocolType string      `json:"protocol_type"`
	Assignor     string      `json:"assignor,omitempty"`
	Coordinator  core.NodeID `json:"coordinator"`
	Members      []memberRow `json:"members,omitempty"`
	Offsets      []offsetRow `json:"offsets,omitempty"`
}

type memberRow struct {
	ID       string   `json:"id"`
	Instance string   `json:"instance,omitempty"`
	Client   string   `json:"client"`
	Host     string   `json:"host"`
	Assigned []string `json:"assigned"`
}

type offsetRow struct {
	Topic     string      `json:"topic"`
	Partition int32       `json:"partition"`
	Committed core.Offset `json:"committed"` // -1: none
	End       core.Offset `json:"end"`       // -1: not known
	Lag       int64       `json:"lag"`       // -1: not known
	Member    string      `json:"member,omitempty"`
	Metadata  string      `json:"metadata,omitempty"`
}

func groupList(c *connection) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List groups", Args: cobra.NoArgs}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID { return a.ListGroups(now, out) })
			if err != nil {
				return err
			}
			rows := []groupRow{}
			var table [][]string
			for _, g := range a.Groups {
				rows = append(rows, groupRow{Group: g.ID, State: g.State, Type: g.Type, ProtocolType: g.ProtocolType, Coordinator: g.Coordinator})
				table = append(table, []string{g.ID, dash(g.State), dash(g.ProtocolType), itoa(g.Coordinator)})
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			return printTable(cmd.OutOrStdout(), []string{"GROUP", "STATE", "PROTOCOL", "COORDINATOR"}, table)
		})
	}
	return cmd
}

func groupDescribe(c *connection) *cobra.Command {
	cmd := &cobra.Command{Use: "describe GROUP...", Short: "Show members, offsets and lag", Args: cobra.MinimumNArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DescribeGroups(now, names, out)
			})
			if err != nil {
				return err
			}
			rows := []groupRow{}
			for _, g := range a.Groups {
				r := groupRow{Group: g.ID, State: g.State, ProtocolType: g.ProtocolType, Assignor: g.Protocol, Coordinator: g.Coordinator}
				for _, m := range g.Members {
					x := memberRow{ID: m.ID, Instance: m.Instance, Client: m.ClientID, Host: m.Host, Assigned: []string{}}
					for _, at := range m.Assigned {
						x.Assigned = append(x.Assigned, at.Topic+"-"+itoa(at.Partition))
					}
					r.Members = append(r.Members, x)
				}
				if r.Offsets, err = groupOffsets(ctx, cl, g); err != nil {
					return err
				}
				if g.State == "Dead" && len(r.Offsets) == 0 {
					return client.Failure{Code: wire.GroupIDNotFound, Text: "group " + g.ID}
				}
				rows = append(rows, r)
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			return printGroups(cmd, rows)
		})
	}
	return cmd
}

// groupOffsets joins what a group committed, where the partitions end, and who reads them.
func groupOffsets(ctx context.Context, cl *host.Client, g client.GroupInfo) (rows []offsetRow, err error) {
	a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
		return a.CommittedOffsets(now, g.ID, out)
	})
	if err != nil {
		return nil, err
	}
	for _, o := range a.Committed {
		rows = append(rows, offsetRow{o.At.Topic, o.At.Partition, o.Offset, -1, -1, "", o.Metadata})
	}
	for _, m := range g.Members {
		for _, at := range m.Assigned {
			i := slices.IndexFunc(rows, func(r offsetRow) bool { return r.Topic == at.Topic && r.Partition == at.Partition })
			if i < 0 {
				i = len(rows)
				rows = append(rows, offsetRow{at.Topic, at.Partition, -1, -1, -1, "", ""})
			}
			rows[i].Member = m.ID
		}
	}
	if len(rows) == 0 {
		return nil, nil
	}
	var at []client.OffsetAt
	for _, r := range rows {
		at = append(at, client.OffsetAt{At: core.TopicPartition{Topic: r.Topic, Partition: r.Partition}, From: client.Start{From: client.FromLatest}})
	}
	// A topic that was deleted has no end: its row says so, and the others are shown.
	a, _ = cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID { return a.ListOffsets(now, at, out) })
	for i := range rows {
		r := &rows[i]
		for _, e := range a.Offsets {
			if e.At.Topic == r.Topic && e.At.Partition == r.Partition {
				if r.End = e.Offset; r.Committed >= 0 {
					r.Lag = int64(max(e.Offset-r.Committed, 0))
				}
			}
		}
	}
	slices.SortFunc(rows, func(x, y offsetRow) int {
		return core.TopicPartition{Topic: x.Topic, Partition: x.Partition}.Compare(core.TopicPartition{Topic: y.Topic, Partition: y.Partition})
	})
	return rows, nil
}

func printGroups(cmd *cobra.Command, rows []groupRow) error {
	w := cmd.OutOrStdout()
	for i, g := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "group %s  state %s  assignor %s  coordinator %d\n", g.Group, g.State, dash(g.Assignor), g.Coordinator)
		var table [][]string
		for _, o := range g.Offsets {
			table = append(table, []string{o.Topic, itoa(o.Partition), orDash(int64(o.Committed)), orDash(int64(o.End)), orDash(o.Lag), dash(o.Member)})
		}
		if len(table) > 0 {
			if err := printTable(w, []string{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"}, table); err != nil {
				return err
			}
		}
		table = nil
		for _, m := range g.Members {
			table = append(table, []string{m.ID, dash(m.Instance), m.Client, m.Host, dash(strings.Join(m.Assigned, " "))})
		}
		if len(table) > 0 {
			if err := printTable(w, []string{"MEMBER", "INSTANCE", "CLIENT", "HOST", "ASSIGNED"}, table); err != nil {
				return err
			}
		}
	}
	return nil
}

func orDash(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

func groupDelete(c *connection) *cobra.Command {
	cmd := &cobra.Command{Use: "delete GROUP...", Short: "Delete groups that have no members", Args: cobra.MinimumNArgs(1)}
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DeleteGroups(now, names, out)
			})
			return c.outcomes(cmd, a, err, "group", "deleted", false, 0)
		})
	}
	return cmd
}

type resetRow struct {
	Topic     string      `json:"topic"`
	Partition int32       `json:"partition"`
	Committed core.Offset `json:"committed"`
	To        core.Offset `json:"to"`
}

func groupResetOffsets(c *connection) *cobra.Command {
	var topics []string
	var to string
	var execute bool
	cmd := &cobra.Command{
		Use: "reset-offsets GROUP", Short: "Move where a group goes on; without --execute it only shows what would be", Args: cobra.ExactArgs(1),
		Long: "Moves the committed offsets of a group that has no members. Without --execute nothing is changed: the plan is shown.",
	}
	cmd.Flags().StringArrayVar(&topics, "topic", nil, "TOPIC or TOPIC:0,1; may be repeated; default: whatever the group has offsets of")
	cmd.Flags().StringVar(&to, "to", "", "earliest, latest, an offset, or @TIME")
	cmd.Flags().BoolVar(&execute, "execute", false, "do it")
	cmd.MarkFlagRequired("to")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		start, err := parseStart("--to", to)
		if err != nil {
			return err
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			rows, err := planReset(ctx, cl, args[0], topics, start)
			if err != nil {
				return err
			}
			if execute {
				var list []client.CommitOffset
				for _, r := range rows {
					list = append(list, client.CommitOffset{At: core.TopicPartition{Topic: r.Topic, Partition: r.Partition}, Offset: r.To, Epoch: -1})
				}
				if _, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
					return a.CommitOffsets(now, args[0], list, out)
				}); err != nil {
					return err
				}
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			var table [][]string
			for _, r := range rows {
				table = append(table, []string{r.Topic, itoa(r.Partition), orDash(int64(r.Committed)), itoa(r.To)})
			}
			if err := printTable(cmd.OutOrStdout(), []string{"TOPIC", "PARTITION", "COMMITTED", "TO"}, table); err != nil {
				return err
			}
			if !execute {
				fmt.Fprintln(cmd.ErrOrStderr(), "nothing was changed. To do it, add --execute")
			}
			return nil
		})
	}
	return cmd
}

// planReset finds the new offset of every partition concerned. An offset beyond a partition's bounds is moved to them.
func planReset(ctx context.Context, cl *host.Client, group string, topics []string, start client.Start) (rows []resetRow, err error) {
	a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
		return a.CommittedOffsets(now, group, out)
	})
	if err != nil {
		return nil, err
	}
	committed := a.Committed
	list, err := resetPartitions(ctx, cl, topics, committed)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("group %s has no committed offsets. Say of which topic: --topic NAME", group)
	}
	offsets := func(s client.Start) ([]client.OffsetInfo, error) {
		var at []client.OffsetAt
		for _, p := range list {
			at = append(at, client.OffsetAt{At: p, From: s})
		}
		a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID { return a.ListOffsets(now, at, out) })
		return a.Offsets, err
	}
	first, err := offsets(client.Start{From: client.FromEarliest})
	if err != nil {
		return nil, err
	}
	last, err := offsets(client.Start{From: client.FromLatest})
	if err != nil {
		return nil, err
	}
	wanted := last
	switch start.From {
	case client.FromEarliest:
		wanted = first
	case client.FromTime:
		if wanted, err = offsets(start); err != nil {
			return nil, err
		}
	}
	for i, p := range list { // all four are sorted by partition, and complete
		to := wanted[i].Offset
		if start.From == client.FromOffset {
			to = start.Offset
		}
		if to < 0 {
			to = last[i].Offset // no record is that young
		}
		row := resetRow{p.Topic, p.Partition, -1, min(max(to, first[i].Offset), last[i].Offset)}
		for _, o := range committed {
			if o.At == p {
				row.Committed = o.Offset
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// resetPartitions is the sorted list of partitions that --topic names, or that the group has offsets of.
func resetPartitions(ctx context.Context, cl *host.Client, topics []string, committed []client.CommittedOffset) (list []core.TopicPartition, err error) {
	if len(topics) == 0 {
		for _, o := range committed {
			list = append(list, o.At)
		}
	}
	for _, s := range topics {
		name, numbers, some := strings.Cut(s, ":")
		a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
			return a.DescribeTopics(now, []string{name}, out)
		})
		if err != nil {
			return nil, err
		}
		for _, p := range a.Topics[0].Partitions {
			if !some {
				list = append(list, core.TopicPartition{Topic: name, Partition: p.Partition})
			}
		}
		for _, x := range strings.Split(numbers, ",") {
			if !some {
				break
			}
			n, err := strconv.ParseInt(x, 10, 32)
			if err != nil || n < 0 || int(n) >= len(a.Topics[0].Partitions) {
				return nil, usagef("--topic %s: topic %s has partitions 0 to %d", s, name, len(a.Topics[0].Partitions)-1)
			}
			list = append(list, core.TopicPartition{Topic: name, Partition: int32(n)})
		}
	}
	slices.SortFunc(list, core.TopicPartition.Compare)
	return slices.Compact(list), nil
}
