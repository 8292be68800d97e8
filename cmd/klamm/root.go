package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// newRootCommand lists every command, in the order of the help.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "klamm",
		Short: "An event-streaming broker that speaks the Kafka protocol",
		Long: `Klamm is an event-streaming broker that speaks the Kafka protocol. Its whole broker is one pure state machine,
which runs on real sockets and files and, unchanged, inside a seeded simulator.

Start with "klamm dev".`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newDevCommand(),
		newServerCommand(),
		newTopicCommand(),
		newProduceCommand(),
		newTransactCommand(),
		newConsumeCommand(),
		newGroupCommand(),
		newTxnCommand(),
		newClusterCommand(),
		newStorageCommand(),
		newSimCommand(),
		newVersionCommand(),
	)
	return root
}

// addFormat adds --format to a command that prints rows.
func addFormat(cmd *cobra.Command) *string {
	format := "text"
	cmd.Flags().StringVar(&format, "format", "text", "how to print: text or json")
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if format != "text" && format != "json" {
			return usagef("--format %s: neither text nor json", format)
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
	return &format
}

// printJSON prints v, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printTable prints rows under a head, in columns.
func printTable(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

// self is how to call this program again: what to type next must work as it is printed.
func self() string {
	if path, err := os.Executable(); err == nil && strings.Contains(path, "go-build") {
		return "go run ./cmd/klamm"
	}
	return "klamm"
}
