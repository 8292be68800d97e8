package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

func newTopicCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "topic", Short: "Create, list, describe, change and delete topics"}
	c := addConnection(cmd)
	cmd.AddCommand(topicCreate(c), topicList(c), topicDescribe(c), topicAlter(c), topicAddPartitions(c), topicDelete(c))
	return cmd
}

func topicCreate(c *connection) *cobra.Command {
	var partitions int32
	var replicas int16
	var configs []string
	var lenient, dry bool
	cmd := &cobra.Command{Use: "create NAME...", Short: "Create topics", Args: cobra.MinimumNArgs(1)}
	cmd.Flags().Int32Var(&partitions, "partitions", -1, "how many; -1 is the broker's num.partitions")
	cmd.Flags().Int16Var(&replicas, "replicas", -1, "copies of each; -1 is the broker's default.replication.factor")
	cmd.Flags().StringArrayVar(&configs, "config", nil, "a topic configuration, NAME=VALUE; may be repeated")
	cmd.Flags().BoolVar(&lenient, "if-not-exists", false, "do nothing about a topic that is there")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say whether it would work")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		list, err := parseConfigs("--config", configs)
		if err != nil {
			return err
		}
		var topics []client.NewTopic
		for _, n := range names {
			topics = append(topics, client.NewTopic{Name: n, Partitions: partitions, Replicas: replicas, Configs: list})
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.CreateTopics(now, topics, dry, out)
			})
			word := "created"
			if dry {
				word = "would be created"
			}
			return c.outcomes(cmd, a, err, "topic", word, lenient, wire.TopicAlreadyExists)
		})
	}
	return cmd
}

// outcomes prints one line for each thing that was asked for, and returns the first failure.
func (c *connection) outcomes(cmd *cobra.Command, a client.Answer, err error, noun, done string, lenient bool, fine wire.Code) error {
	if len(a.Outcomes) == 0 {
		return err
	}
	failed := false
	for _, o := range a.Outcomes {
		what := noun + " " + o.Name
		if o.Partition >= 0 {
			what += "-" + itoa(o.Partition)
		}
		switch {
		case o.Fate == client.Did:
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", what, done)
		case lenient && o.Failure.Code == fine:
			fmt.Fprintf(cmd.OutOrStdout(), "%s left as it is (%v)\n", what, o.Failure.Code)
		case o.Fate == client.MayHave:
			failed = true
			fmt.Fprintf(cmd.ErrOrStderr(), "klamm: %s: not known whether it was %s: %v. Look before trying again\n", what, done, c.explain(o.Failure))
		default:
			failed = true
			fmt.Fprintf(cmd.ErrOrStderr(), "klamm: %s: not %s: %v\n", what, done, c.explain(o.Failure))
		}
	}
	if failed {
		return errSilent
	}
	return nil
}

type topicRow struct {
	Name       string         `json:"name"`
	ID         string         `json:"id"`
	Internal   bool           `json:"internal"`
	Partitions []partitionRow `json:"partitions"`
	Configs    []configRow    `json:"configs,omitempty"`
}

type partitionRow struct {
	Partition int32         `json:"partition"`
	Leader    core.NodeID   `json:"leader"`
	Epoch     core.Epoch    `json:"leader_epoch"`
	Replicas  []core.NodeID `json:"replicas"`
	ISR       []core.NodeID `json:"isr"`
	Offline   []core.NodeID `json:"offline,omitempty"`
	Error     string        `json:"error,omitempty"`
}

type configRow struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func topicRows(list []client.TopicInfo) []topicRow {
	rows := []topicRow{}
	for _, t := range list {
		r := topicRow{Name: t.Name, ID: t.ID.String(), Internal: t.Internal, Partitions: []partitionRow{}}
		for _, p := range t.Partitions {
			x := partitionRow{Partition: p.Partition, Leader: p.Leader, Epoch: p.Epoch, Replicas: p.Replicas, ISR: p.ISR, Offline: p.Offline}
			if !p.Failure.None() {
				x.Error = p.Failure.Error()
			}
			r.Partitions = append(r.Partitions, x)
		}
		rows = append(rows, r)
	}
	return rows
}

func topicList(c *connection) *cobra.Command {
	var internal bool
	cmd := &cobra.Command{Use: "list", Short: "List topics", Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&internal, "internal", false, "also the cluster's own")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DescribeTopics(now, nil, out)
			})
			if err != nil {
				return err
			}
			rows := []topicRow{}
			for _, r := range topicRows(a.Topics) {
				if internal || !r.Internal {
					rows = append(rows, r)
				}
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			if len(rows) == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "no topics yet. Make one: %s topic create NAME\n", self())
				return nil
			}
			var table [][]string
			for _, r := range rows {
				replicas := 0
				if len(r.Partitions) > 0 {
					replicas = len(r.Partitions[0].Replicas)
				}
				table = append(table, []string{r.Name, itoa(len(r.Partitions)), itoa(replicas), r.ID})
			}
			return printTable(cmd.OutOrStdout(), []string{"NAME", "PARTITIONS", "REPLICAS", "ID"}, table)
		})
	}
	return cmd
}

func topicDescribe(c *connection) *cobra.Command {
	cmd := &cobra.Command{Use: "describe NAME...", Short: "Show partitions, replicas and changed configurations", Args: cobra.MinimumNArgs(1)}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DescribeTopics(now, names, out)
			})
			if err != nil {
				return err
			}
			var of []client.Resource
			for _, n := range names {
				of = append(of, client.Resource{Type: client.TopicResource, Name: n})
			}
			k, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DescribeConfigs(now, of, out)
			})
			if err != nil {
				return err
			}
			rows := topicRows(a.Topics)
			for i := range rows {
				for _, x := range k.Configs {
					if x.Resource.Name == rows[i].Name && x.Source == 1 {
						rows[i].Configs = append(rows[i].Configs, configRow{x.Name, x.Value})
					}
				}
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), rows)
			}
			return printTopics(cmd, rows)
		})
	}
	return cmd
}

func printTopics(cmd *cobra.Command, rows []topicRow) error {
	w := cmd.OutOrStdout()
	for i, r := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		var configs []string
		for _, x := range r.Configs {
			configs = append(configs, x.Name+"="+x.Value)
		}
		fmt.Fprintf(w, "topic %s  id %s  configs %s\n", r.Name, r.ID, dash(strings.Join(configs, " ")))
		var table [][]string
		for _, p := range r.Partitions {
			table = append(table, []string{itoa(p.Partition), itoa(p.Leader), itoa(p.Epoch), joinNodes(p.Replicas), dash(joinNodes(p.ISR)), dash(joinNodes(p.Offline)), dash(p.Error)})
		}
		if err := printTable(w, []string{"PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "OFFLINE", "ERROR"}, table); err != nil {
			return err
		}
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func topicAlter(c *connection) *cobra.Command {
	var set, unset []string
	var replicas int
	cmd := &cobra.Command{Use: "alter NAME...", Short: "Change configurations of topics, or how many replicas they have", Args: cobra.MinimumNArgs(1)}
	m := c.mover(cmd)
	cmd.Flags().StringArrayVar(&set, "set", nil, "NAME=VALUE; may be repeated")
	cmd.Flags().StringArrayVar(&unset, "unset", nil, "NAME: back to the default; may be repeated")
	cmd.Flags().IntVar(&replicas, "replication-factor", 0, "copies of each partition: replicas are added on other brokers, or taken away")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		list, err := parseConfigs("--set", set)
		if err != nil {
			return err
		}
		switch configs := len(list)+len(unset) > 0; {
		case !cmd.Flags().Changed("replication-factor") && !configs:
			return usagef("nothing to change: give --set NAME=VALUE, --unset NAME or --replication-factor N")
		case !cmd.Flags().Changed("replication-factor") && (cmd.Flags().Changed("format") || cmd.Flags().Changed("wait")):
			return usagef("--format and --wait go with --replication-factor alone")
		case !cmd.Flags().Changed("replication-factor"):
		case configs:
			return usagef("--replication-factor goes without --set and --unset: one may work and the other not")
		case replicas < 1:
			return usagef("--replication-factor %d: a partition has at least one replica", replicas)
		default:
			return m.alterFactor(cmd, names, replicas)
		}
		var changes []client.ConfigChange
		for _, n := range names {
			of := client.Resource{Type: client.TopicResource, Name: n}
			for _, x := range list {
				changes = append(changes, client.ConfigChange{Resource: of, Name: x.Name, Value: x.Value})
			}
			for _, x := range unset {
				changes = append(changes, client.ConfigChange{Resource: of, Name: x, Op: client.DeleteConfig})
			}
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.AlterConfigs(now, changes, m.dry, out)
			})
			return c.outcomes(cmd, a, err, "topic", "changed", false, 0)
		})
	}
	return cmd
}

func topicAddPartitions(c *connection) *cobra.Command {
	var to int32
	cmd := &cobra.Command{Use: "add-partitions NAME...", Short: "Raise the number of partitions", Args: cobra.MinimumNArgs(1),
		Long: "Raises the number of partitions of topics. Records with a key may go to another partition from then on."}
	cmd.Flags().Int32Var(&to, "to", 0, "how many there are to be")
	cmd.MarkFlagRequired("to")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		var topics []client.NewTopic
		for _, n := range names {
			topics = append(topics, client.NewTopic{Name: n, Partitions: to})
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.CreatePartitions(now, topics, false, out)
			})
			return c.outcomes(cmd, a, err, "topic", "has "+itoa(to)+" partitions", false, 0)
		})
	}
	return cmd
}

func topicDelete(c *connection) *cobra.Command {
	var lenient bool
	cmd := &cobra.Command{Use: "delete NAME...", Short: "Delete topics and what is in them", Args: cobra.MinimumNArgs(1)}
	cmd.Flags().BoolVar(&lenient, "if-exists", false, "do nothing about a topic that is not there")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		return c.with(func(ctx context.Context, cl *host.Client) error {
			a, err := cl.Admin(ctx, func(a *client.Admin, now core.Now, out *core.Out) client.CallID {
				return a.DeleteTopics(now, names, out)
			})
			return c.outcomes(cmd, a, err, "topic", "deleted", lenient, wire.UnknownTopicOrPartition)
		})
	}
	return cmd
}
