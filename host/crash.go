package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"klamm/core"
)

// exitBroken is the code of a node that stopped itself because it was wrong about something.
const exitBroken = 70

// crashed turns a panic of the machine, or of ours, into the end of the node. Nothing goes on after it: what
// the steps of this batch asked for is not carried out, and what the disk holds is what a restart recovers.
func (l *loop) crashed(p any) error {
	stack := debug.Stack()
	if b, ok := p.(brokenElsewhere); ok {
		p, stack = b.cause, b.stack
	}
	what := fmt.Sprintf("panic: %v", p)
	if err, ok := p.(error); ok {
		var broken core.Broken
		if errors.As(err, &broken) {
			what = broken.Error()
		}
	}
	reason := what + ". The node stopped itself before it acted on it; a restart recovers from what is on disk."
	path, err := l.dump(what, stack)
	if err != nil {
		reason += fmt.Sprintf(" The report could not be written (%v).", err)
	} else {
		reason += " The report is in " + path + "; please send it along."
	}
	l.n.log.Error(reason, "stack", string(stack))
	return &ExitError{Code: exitBroken, Reason: reason}
}

// brokenElsewhere carries a panic of another goroutine (decoding, work) to the loop.
type brokenElsewhere struct {
	cause any
	stack []byte
}

// broken ends the node for a panic outside of the loop.
func (n *Node) broken(cause any) {
	b := brokenElsewhere{cause, debug.Stack()}
	n.queue.push(item{what: itemBroken, call: func(core.Now, *core.Out) { panic(b) }})
}

// dump writes what is known about a broken belief.
func (l *loop) dump(what string, stack []byte) (path string, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nat %s, step %d, %s %s/%s\n\n%s\n", what, time.Now().UTC().Format(time.RFC3339Nano), l.steps,
		runtime.Version(), runtime.GOOS, runtime.GOARCH, stack)
	b.WriteString("\nnewest events, the last one first (kind conn op err n):\n")
	for i := uint64(0); i < recentEventsKept && i < l.steps; i++ {
		e := &l.recent[(l.steps-1-i)%recentEventsKept]
		fmt.Fprintf(&b, "%6d %-7v %d %v %v %d\n", l.steps-1-i, e.Kind, e.Conn, e.Op, e.Err, e.N)
	}
	path = filepath.Join(l.n.o.DumpDir, "klamm-broken-"+time.Now().UTC().Format("20060102T150405.000")+".txt")
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path, os.WriteFile(path, []byte(b.String()), 0o644)
}
