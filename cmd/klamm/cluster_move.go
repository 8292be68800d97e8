package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

// This file carries plans out: reassignments and preferred elections, in steps that may all be done twice.

const (
	movesPerRequest     = 500 // partitions; their records must fit into one batch of the metadata log
	electionsPerRequest = 500
	pollMoves           = 250 * time.Millisecond
)

// mover is what the commands that move replicas share.
type mover struct {
	*connection
	dry    bool
	wait   time.Duration
	format *string
}

func (c *connection) mover(cmd *cobra.Command) *mover {
	m := &mover{connection: c, format: addFormat(cmd)}
	cmd.Flags().BoolVar(&m.dry, "dry-run", false, "only show what would be moved")
	cmd.Flags().DurationVar(&m.wait, "wait", 10*time.Minute, "for how long to wait until the replicas have moved; 0: do not wait")
	return m
}

// moved is what came of a plan.
type moved struct {
	DryRun   bool     `json:"dry_run"`
	Moves    []move   `json:"moves"`
	Stuck    []string `json:"stuck"`    // partitions for which there is no way
	Refused  []string `json:"refused"`  // partitions and why
	Elected  int      `json:"elected"`  // leaders that were elected afresh
	Pending  []string `json:"pending"`  // still being moved when the wait was over
	Complete bool     `json:"complete"` // all that was asked for is so now
	Next     []string `json:"next,omitempty"`
}

// with runs f with a client for as long as it takes: Ctrl-C ends it, and what was begun goes on.
func (m *mover) with(f func(ctx context.Context, cl *host.Client) error) error {
	cl, err := m.open(host.ClientOptions{})
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, stop := interrupted()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, m.wait+2*m.timeout)
	defer cancel()
	return m.explain(f(ctx, cl))
}

// carryOut does what a plan says, and waits until it is done.
func (m *mover) carryOut(ctx context.Context, cmd *cobra.Command, cl *host.Client, moves []move, stuck []string) (*moved, error) {
	r := &moved{DryRun: m.dry, Moves: moves, Stuck: append([]string{}, stuck...), Refused: []string{}, Pending: []string{}}
	if m.dry {
		return r, nil
	}
	for chunk := range slices.Chunk(moves, movesPerRequest) {
		refused, err := reassign(ctx, cl, chunk)
		if err != nil {
			return r, err
		}
		r.Refused = append(r.Refused, refused...)
	}
	var err error
	if r.Pending, err = m.settle(ctx, cmd, cl, moves); err != nil {
		return r, err
	}
	r.Elected, err = electPreferred(ctx, cl, moves, r.Pending)
	r.Complete = err == nil && len(r.Stuck)+len(r.Refused)+len(r.Pending) == 0
	return r, err
}

// reassign asks for other assignments, and returns those that were refused, with the reasons.
func reassign(ctx context.Context, cl *host.Client, moves []move) (refused []string, err error) {
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	for _, x := range moves { // sorted by topic
		if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != x.Topic {
			t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
			t.Topic = x.Topic
			q.Topics = append(q.Topics, t)
		}
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition = x.Partition
		for _, n := range x.To {
			p.Replicas = append(p.Replicas, int32(n))
		}
		t := &q.Topics[len(q.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	resp, err := askAgain(ctx, cl, q, func(r *kmsg.AlterPartitionAssignmentsResponse) client.Failure {
		return failure(r.ErrorCode, r.ErrorMessage)
	})
	if err != nil {
		return nil, err
	}
	for i := range resp.Topics {
		for _, p := range resp.Topics[i].Partitions {
			if p.ErrorCode != 0 {
				refused = append(refused, resp.Topics[i].Topic+"-"+itoa(p.Partition)+": "+failure(p.ErrorCode, p.ErrorMessage).Error())
			}
		}
	}
	return refused, nil
}

// settle waits until none of the moves is under way, and returns those that are when the wait is over.
func (m *mover) settle(ctx context.Context, cmd *cobra.Command, cl *host.Client, moves []move) (pending []string, err error) {
	mine := make(map[string]bool)
	for _, x := range moves {
		mine[x.Topic+"-"+itoa(x.Partition)] = true
	}
	begun, told := time.Now(), time.Now()
	for {
		resp, err := listMoves(ctx, cl)
		if err != nil {
			return nil, err
		}
		pending = []string{}
		for i := range resp.Topics {
			for _, p := range resp.Topics[i].Partitions {
				if name := resp.Topics[i].Topic + "-" + itoa(p.Partition); mine[name] {
					pending = append(pending, name)
				}
			}
		}
		if len(pending) == 0 || time.Since(begun) >= m.wait {
			return pending, nil
		}
		if time.Since(told) >= 5*time.Second {
			told = time.Now()
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d partitions are still being moved\n", len(pending), len(moves))
		}
		select {
		case <-ctx.Done():
			return pending, ctx.Err()
		case <-time.After(min(pollMoves, m.wait)):
		}
	}
}

// electPreferred has the first replica of each moved partition lead it. It returns how many leaders that changed.
func electPreferred(ctx context.Context, cl *host.Client, moves []move, but []string) (elected int, err error) {
	moves = slices.DeleteFunc(slices.Clone(moves), func(x move) bool { return slices.Contains(but, x.Topic+"-"+itoa(x.Partition)) })
	for chunk := range slices.Chunk(moves, electionsPerRequest) {
		q := kmsg.NewPtrElectLeadersRequest()
		q.ElectionType, q.TimeoutMillis = 0, 30000
		for _, x := range chunk {
			if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != x.Topic {
				t := kmsg.NewElectLeadersRequestTopic()
				t.Topic = x.Topic
				q.Topics = append(q.Topics, t)
			}
			t := &q.Topics[len(q.Topics)-1]
			t.Partitions = append(t.Partitions, x.Partition)
		}
		resp, err := askAgain(ctx, cl, q, func(r *kmsg.ElectLeadersResponse) client.Failure { return failure(r.ErrorCode, nil) })
		if err != nil {
			return elected, err
		}
		for i := range resp.Topics {
			for _, p := range resp.Topics[i].Partitions {
				switch wire.Code(p.ErrorCode) {
				case wire.None:
					elected++
				case wire.ElectionNotNeeded: // it leads already
				default:
					return elected, fmt.Errorf("no election for %s-%d: %w", resp.Topics[i].Topic, p.Partition, failure(p.ErrorCode, p.ErrorMessage))
				}
			}
		}
	}
	return elected, nil
}

// report prints what came of it, and returns an error if that is not all that was asked for.
func (m *mover) report(cmd *cobra.Command, r *moved) error {
	if *m.format == "json" {
		if err := printJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	} else if err := r.print(cmd, m.wait); err != nil {
		return err
	}
	if !r.Complete && !(r.DryRun && len(r.Stuck) == 0) {
		return errSilent
	}
	return nil
}

func (r *moved) print(cmd *cobra.Command, wait time.Duration) error {
	w := cmd.OutOrStdout()
	if len(r.Moves) > 0 {
		var table [][]string
		for _, x := range r.Moves {
			table = append(table, []string{x.Topic, itoa(x.Partition), joinNodes(x.From), joinNodes(x.To)})
		}
		if err := printTable(w, []string{"TOPIC", "PARTITION", "FROM", "TO"}, table); err != nil {
			return err
		}
	}
	switch {
	case r.DryRun && len(r.Moves) > 0:
		fmt.Fprintf(w, "nothing was changed. To do it, leave out --dry-run\n")
	case len(r.Moves) == 0 && len(r.Stuck) == 0:
		fmt.Fprintf(w, "nothing needs to be moved\n")
	case !r.DryRun && len(r.Moves) > 0:
		fmt.Fprintf(w, "%d of %d partitions are as planned; %d have another leader\n", len(r.Moves)-len(r.Refused)-len(r.Pending), len(r.Moves), r.Elected)
	}
	if len(r.Pending) > 0 {
		fmt.Fprintf(w, "after %v still being moved: %s. It goes on; see %s cluster health. To undo it: kafka-reassign-partitions --cancel\n", wait, strings.Join(r.Pending, " "), self())
	}
	for _, s := range r.Refused {
		fmt.Fprintf(cmd.ErrOrStderr(), "klamm: refused: %s\n", s)
	}
	for _, s := range r.Next {
		fmt.Fprintln(w, s)
	}
	return nil
}

func clusterDecommission(c *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "decommission NODE", Short: "Move every replica off a broker, so that it can be taken away", Args: oneArg("the id of the node"),
		Long: `Moves every replica off a broker by reassignment, waits until the others have them, and says how to stop the broker and
take it out of the cluster. It can be asked for again: what has moved stays. Topics that are made meanwhile may be
placed on the broker; ask again until nothing needs to be moved.`,
	}
	m := c.mover(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := parseNode(args[0])
		if err != nil {
			return err
		}
		return m.with(func(ctx context.Context, cl *host.Client) error {
			v, err := look(ctx, cl)
			if err == nil {
				err = v.brokerArg(node)
			}
			if err != nil {
				return err
			}
			p := newPlanner(v)
			stuck := p.vacate(node)
			r, err := m.carryOut(ctx, cmd, cl, p.moves(), stuck)
			if err != nil {
				return err
			}
			if err := r.afterVacating(ctx, cl, v, node); err != nil {
				return err
			}
			return m.report(cmd, r)
		})
	}
	return cmd
}

// afterVacating says what comes next for a broker that is to go.
func (r *moved) afterVacating(ctx context.Context, cl *host.Client, v *picture, node core.NodeID) error {
	if len(r.Stuck) > 0 {
		r.Next = append(r.Next, fmt.Sprintf("%s: every other live broker has a replica already. Add a broker, or lower the replication factor: %s topic alter NAME --replication-factor N",
			strings.Join(r.Stuck, " "), self()))
	}
	if r.DryRun || !r.Complete {
		return nil
	}
	s, err := lookAtQuorum(ctx, cl)
	if err != nil {
		return err
	}
	r.Next = append(r.Next, fmt.Sprintf("broker %d holds no replica any more", node))
	if v.alive(node) {
		r.Next = append(r.Next, "stop it: kill -TERM its process, or systemctl stop")
	}
	if slices.ContainsFunc(s.Voters, func(n quorumNode) bool { return n.ID == node }) {
		r.Next = append(r.Next, fmt.Sprintf("node %d is a voter of the quorum too, and the voters cannot be changed at run time yet: start it again with process.roles=controller", node))
	}
	r.Next = append(r.Next, fmt.Sprintf("then take it out of the metadata: %s cluster unregister %d", self(), node))
	return nil
}

type unregisteredRow struct {
	Node         core.NodeID `json:"node"`
	Unregistered bool        `json:"unregistered"`
}

func clusterUnregister(c *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "unregister NODE", Short: "Take a broker that is stopped and holds nothing out of the metadata", Args: oneArg("the id of the node"),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := parseNode(args[0])
		if err != nil {
			return err
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			v, err := look(ctx, cl)
			if err == nil {
				err = v.brokerArg(node)
			}
			if err != nil {
				return err
			}
			if v.alive(node) {
				return fmt.Errorf("broker %d lives: it would register again. Stop it first", node)
			}
			if n := newPlanner(v).replicas[node]; n > 0 {
				return fmt.Errorf("broker %d still holds %d replicas. Move them first: %s cluster decommission %d", node, n, self(), node)
			}
			q := kmsg.NewPtrUnregisterBrokerRequest()
			q.BrokerID = int32(node)
			if _, err := askAgain(ctx, cl, q, func(r *kmsg.UnregisterBrokerResponse) client.Failure {
				if wire.Code(r.ErrorCode) == wire.BrokerIDNotRegistered {
					return client.Failure{} // by a request whose answer was lost
				}
				return failure(r.ErrorCode, r.ErrorMessage)
			}); err != nil {
				return err
			}
			if *format == "json" {
				return printJSON(cmd.OutOrStdout(), unregisteredRow{node, true})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "broker %d is no longer registered\n", node)
			return nil
		})
	}
	return cmd
}

func clusterMaintenance(c *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "maintenance NODE on|off", Short: "Move leaderships away from a broker, or give it its share back",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("%s takes two arguments, NODE on|off", cmd.CommandPath())
			}
			return nil
		},
		Long: `With on, other replicas that are in sync lead what the broker leads, and are preferred for it from then on: its replicas
stay, so nothing is copied. With off, it is preferred again for its share. There is no mark on the broker: a topic that
is made meanwhile, or a failure of another broker, may have it lead again. A clean stop needs none of this, since a
broker hands its leaderships over before it ends.`,
	}
	m := c.mover(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := parseNode(args[0])
		if err != nil {
			return err
		}
		if args[1] != "on" && args[1] != "off" {
			return usagef("%s: neither on nor off", args[1])
		}
		return m.with(func(ctx context.Context, cl *host.Client) error {
			v, err := look(ctx, cl)
			if err == nil {
				err = v.brokerArg(node)
			}
			if err != nil {
				return err
			}
			p := newPlanner(v)
			var stuck []string
			if args[1] == "on" {
				stuck = p.relieve(node)
			} else if !v.alive(node) {
				return fmt.Errorf("broker %d is fenced, and cannot lead. Start it first", node)
			} else {
				p.restore(node)
			}
			r, err := m.carryOut(ctx, cmd, cl, p.moves(), stuck)
			if err != nil {
				return err
			}
			if len(r.Stuck) > 0 {
				r.Next = append(r.Next, fmt.Sprintf("no other replica is in sync: %s. They are offline while broker %d is down", strings.Join(r.Stuck, " "), node))
			}
			return m.report(cmd, r)
		})
	}
	return cmd
}

func clusterBalance(c *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "balance", Short: "Even out replicas and leaderships over the live brokers", Args: cobra.NoArgs,
		Long: `Moves replicas from brokers that hold many to brokers that hold few, without spreading any partition over fewer racks, then
evens out who is preferred as leader, and elects those. It counts partitions, not bytes. What is being moved already is left alone.`,
	}
	m := c.mover(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return m.with(func(ctx context.Context, cl *host.Client) error {
			v, err := look(ctx, cl)
			if err != nil {
				return err
			}
			p := newPlanner(v)
			p.even()
			r, err := m.carryOut(ctx, cmd, cl, p.moves(), nil)
			if err != nil {
				return err
			}
			if !m.dry { // leaders may be elsewhere than preferred without anything to be moved
				n, err := electStrays(ctx, cl)
				if r.Elected += n; err != nil {
					return err
				}
			}
			return m.report(cmd, r)
		})
	}
	return cmd
}

// electStrays has every partition led by its first replica, where that is alive and in sync.
func electStrays(ctx context.Context, cl *host.Client) (int, error) {
	v, err := look(ctx, cl)
	if err != nil {
		return 0, err
	}
	var strays []move
	for i := range v.parts {
		s := &v.parts[i]
		if to := s.target(); len(to) > 0 && s.leader != to[0] && v.alive(to[0]) && slices.Contains(s.isr, to[0]) {
			strays = append(strays, move{s.topic, s.partition, to, to})
		}
	}
	return electPreferred(ctx, cl, strays, nil)
}

// alterFactor gives topics another number of replicas.
func (m *mover) alterFactor(cmd *cobra.Command, names []string, n int) error {
	return m.with(func(ctx context.Context, cl *host.Client) error {
		v, err := look(ctx, cl)
		if err != nil {
			return err
		}
		p := newPlanner(v)
		for _, name := range names {
			if !slices.ContainsFunc(v.parts, func(s partSeen) bool { return s.topic == name }) {
				return client.Failure{Code: wire.UnknownTopicOrPartition, Text: "topic " + name}
			}
			if !p.factor(name, n) {
				return errors.New("there are fewer live brokers than " + itoa(n))
			}
		}
		r, err := m.carryOut(ctx, cmd, cl, p.moves(), nil)
		if err != nil {
			return err
		}
		return m.report(cmd, r)
	})
}
