package sim

import (
	"fmt"
	"strings"

	"klamm/core"
)

// Trace is a run as text: one line for each event and each effect.
type Trace struct {
	Text  strings.Builder
	From  uint64 // step
	Limit int    // bytes kept
}

func (w *World) tracef(format string, args ...any) {
	if w.Trace == nil || w.Steps < w.Trace.From || w.Trace.Text.Len() > w.Trace.Limit {
		return
	}
	fmt.Fprintf(&w.Trace.Text, "%s %d ", instant(w.now), w.Steps)
	fmt.Fprintf(&w.Trace.Text, format, args...)
	w.Trace.Text.WriteByte('\n')
}

func instant(t core.Time) string {
	return fmt.Sprintf("%4d.%06d", t/core.Second, t%core.Second/core.Microsecond)
}

// head shows the first bytes of data, printable ones as they are.
func head(b []byte) string {
	const most = 48
	var s strings.Builder
	for _, c := range b[:min(len(b), most)] {
		if c < 32 || c > 126 {
			c = '.'
		}
		s.WriteByte(c)
	}
	if len(b) > most {
		s.WriteString("…")
	}
	return s.String()
}

// apiOf names what a frame from a client asks for.
func apiOf(b []byte) string {
	if len(b) < 12 {
		return ""
	}
	return fmt.Sprintf(" key=%d v%d corr=%d", int(b[4])<<8|int(b[5]), int(b[6])<<8|int(b[7]), int(b[8])<<24|int(b[9])<<16|int(b[10])<<8|int(b[11]))
}

func (w *World) traceEvent(n *Node, ev *core.Event) {
	var s strings.Builder
	fmt.Fprintf(&s, "%s <- %s", n.Name, ev.Kind)
	if ev.Op != 0 {
		fmt.Fprintf(&s, " op=%s", ev.Op)
	}
	if ev.Conn != 0 {
		fmt.Fprintf(&s, " conn=%d", ev.Conn)
	}
	if ev.Err != 0 {
		fmt.Fprintf(&s, " err=%q", ev.Err.String())
	}
	if ev.N != 0 {
		fmt.Fprintf(&s, " n=%d", ev.N)
	}
	if len(ev.Data) > 0 {
		if ev.Kind == core.Frame && ev.Conn%2 == 1 {
			s.WriteString(apiOf(ev.Data))
		}
		fmt.Fprintf(&s, " [%d] %s", len(ev.Data), head(ev.Data))
	}
	w.tracef("%s", s.String())
}

func (w *World) traceEffect(n *Node, e *core.Effect) {
	var s strings.Builder
	fmt.Fprintf(&s, "  %s -> %s", n.Name, e.Kind)
	if e.Op != 0 {
		fmt.Fprintf(&s, " op=%s", e.Op)
	}
	if e.Conn != 0 {
		fmt.Fprintf(&s, " conn=%d", e.Conn)
	}
	if e.File != 0 {
		fmt.Fprintf(&s, " file=%d.%d", e.File>>40, e.File&(1<<40-1))
	}
	if e.Off != 0 || e.Len != 0 {
		fmt.Fprintf(&s, " off=%d len=%d", e.Off, e.Len)
	}
	if e.Kind != core.Release && len(e.Data) > 0 {
		if e.Kind == core.Send && e.Conn%2 == 0 {
			s.WriteString(apiOf(e.Data))
		}
		if e.Kind == core.Note {
			fmt.Fprintf(&s, " %s", e.Data)
		} else {
			fmt.Fprintf(&s, " [%d] %s", len(e.Data), head(e.Data))
		}
	}
	w.tracef("%s", s.String())
}
