package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/client"
	"klamm/core/wire"
	"klamm/host"
)

// This file holds the commands that change the voters of the metadata quorum (KIP-853).

func clusterQuorumAdd(c *connection) *cobra.Command {
	var directory, endpoint string
	cmd := &cobra.Command{
		Use:   "add NODE --endpoint LISTENER://HOST:PORT",
		Short: "Make a controller that follows the quorum one of its voters",
		Long: `The controller has to run already, as an observer that has caught up: format it with --no-initial-controllers, start it, and look for it
with "cluster quorum". Its directory id is taken from there. Voters are added one at a time; the command waits until the change is committed.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "where the other controllers reach it, such as CONTROLLER://10.0.0.4:9093")
	cmd.Flags().StringVar(&directory, "directory", "", "its directory id, where several observers have this node id")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := parseNode(args[0])
		if err != nil {
			return err
		}
		l, err := parseVoterEndpoint(endpoint)
		if err != nil {
			return err
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			s, err := lookAtQuorum(ctx, cl)
			if err != nil {
				return err
			}
			dir, err := directoryOf(s.Observers, id, directory)
			if err != nil {
				return fmt.Errorf("%w: a voter is added from among the observers; see klamm cluster quorum", err)
			}
			q := kmsg.NewPtrAddRaftVoterRequest()
			q.TimeoutMillis, q.VoterID, q.VoterDirectoryID, q.AckWhenCommitted = 30000, int32(id), dir, true
			q.Listeners = append(q.Listeners, l)
			again := false
			_, err = askAgain(ctx, cl, q, func(r *kmsg.AddRaftVoterResponse) client.Failure {
				f := failure(r.ErrorCode, r.ErrorMessage)
				if f.Code == wire.DuplicateVoter && again { // an earlier try, whose answer was lost or late, went through
					f = client.Failure{}
				}
				again = true
				return f
			})
			return changedVoters(ctx, cmd, cl, err)
		})
	}
	return cmd
}

func clusterQuorumRemove(c *connection) *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Take a voter out of the quorum",
		Long: `A voter whose disk was lost is removed first and then added anew, with its new directory. The leader can be removed too: it hands over
when that is committed. The last voter stays, and no change is made that would leave the quorum without a majority that is alive.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&directory, "directory", "", "its directory id, if it is not to be looked up")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := parseNode(args[0])
		if err != nil {
			return err
		}
		return c.with(func(ctx context.Context, cl *host.Client) error {
			s, err := lookAtQuorum(ctx, cl)
			if err != nil {
				return err
			}
			dir, err := directoryOf(s.Voters, id, directory)
			if err != nil {
				return err
			}
			q := kmsg.NewPtrRemoveRaftVoterRequest()
			q.VoterID, q.VoterDirectoryID = int32(id), dir
			again := false
			_, err = askAgain(ctx, cl, q, func(r *kmsg.RemoveRaftVoterResponse) client.Failure {
				f := failure(r.ErrorCode, r.ErrorMessage)
				if f.Code == wire.VoterNotFound && again && len(s.Voters) > 1 {
					f = client.Failure{}
				}
				again = true
				return f
			})
			return changedVoters(ctx, cmd, cl, err)
		})
	}
	return cmd
}

// changedVoters says who votes now.
func changedVoters(ctx context.Context, cmd *cobra.Command, cl *host.Client, err error) error {
	if err != nil {
		return err
	}
	s, err := lookAtQuorum(ctx, cl)
	if err != nil {
		return err
	}
	var ids []core.NodeID
	for _, v := range s.Voters {
		ids = append(ids, v.ID)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The voters are now %s; node %d leads.\n", joinNodes(ids), s.Leader)
	return err
}

// directoryOf finds the directory id of a node among the voters, or the observers.
func directoryOf(list []quorumNode, id core.NodeID, given string) (dir core.TopicID, err error) {
	list = slices.DeleteFunc(slices.Clone(list), func(n quorumNode) bool { return n.ID != id || given != "" && n.Directory != given })
	switch {
	case len(list) == 0 && given == "":
		return dir, fmt.Errorf("the quorum does not show node %d there", id)
	case len(list) == 0:
		return dir, fmt.Errorf("the quorum does not show node %d with directory %s there", id, given)
	case len(list) > 1:
		return dir, usagef("node %d is there with several directories: name one with --directory", id)
	}
	dir, ok := core.ParseTopicID(list[0].Directory)
	if !ok {
		return dir, fmt.Errorf("node %d has no directory id: the voters are those of the configuration. Let the log name them with kraft.version=1 first", id)
	}
	return dir, nil
}

func parseVoterEndpoint(text string) (l kmsg.AddRaftVoterRequestListener, err error) {
	l = kmsg.NewAddRaftVoterRequestListener()
	name, addr, ok := strings.Cut(text, "://")
	h, p, err := net.SplitHostPort(addr)
	port, err2 := strconv.ParseUint(p, 10, 16)
	if !ok || err != nil || err2 != nil || name == "" || h == "" || port == 0 {
		return l, usagef("--endpoint %q: not of the form LISTENER://HOST:PORT", text)
	}
	l.Name, l.Host, l.Port = strings.ToUpper(name), h, uint16(port)
	return l, nil
}
