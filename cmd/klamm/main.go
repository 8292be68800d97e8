// Command klamm is an event-streaming broker that speaks the Kafka protocol, its tools, and its simulator,
// in one binary. Each command has a file; root.go lists them. This room parses flags, injects core/broker
// into the worlds, and prints; what it decides is only how to talk to a person.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"klamm/host"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run carries out one command line and returns the exit code: 0 done, 1 it failed, 2 it was not understood;
// a node that ended by itself gives its own.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	var exit *host.ExitError
	var usage *usageError
	switch {
	case errors.Is(err, errSilent):
		return 1
	case errors.As(err, &exit):
		fmt.Fprintln(stderr, "klamm: "+exit.Reason)
		return exit.Code
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "klamm: "+usage.Error())
		return 2
	case strings.HasPrefix(err.Error(), "unknown "): // cobra's: a command or flag that is not there
		fmt.Fprintf(stderr, "klamm: %v. See \"%s --help\"\n", err, self())
		return 2
	}
	fmt.Fprintln(stderr, "klamm: "+err.Error())
	return 1
}

// errSilent ends a command with code 1 when what is wrong has been printed already.
var errSilent = errors.New("failed")

// usageError is a command line that cannot be carried out.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
