package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// script is a machine whose Step is a function: tests say what happens at each event.
type script struct {
	step func(now core.Now, ev *core.Event, out *core.Out)
	next core.Time
}

func (s *script) Step(now core.Now, ev *core.Event, out *core.Out) { s.step(now, ev, out) }
func (s *script) Next() core.Time {
	if s.next == 0 {
		return core.Never
	}
	return s.next
}

// toySplit frames by four length bytes, as the Kafka protocol does.
func toySplit(b []byte, limit int) (int, core.Errno) {
	if len(b) >= 4 && string(b[:4]) == "GET " {
		return 0, core.SpeaksHTTP
	}
	if len(b) < 4 {
		return 0, core.OK
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	switch {
	case n < 0:
		return 0, core.BadFrame
	case n+4 > limit:
		return 0, core.TooLarge
	}
	return n + 4, core.OK
}

func frame(n int, fill byte) []byte {
	b := make([]byte, n+4)
	binary.BigEndian.PutUint32(b, uint32(n))
	for i := range b[4:] {
		b[4+i] = fill
	}
	return b
}

// world runs a machine and lets a test say effects and await events.
type world struct {
	t      *testing.T
	node   *Node
	mu     sync.Mutex
	events []core.Event
	news   chan struct{}
	on     func(ev *core.Event, out *core.Out) // may answer at once, on the loop
}

func startWorld(t *testing.T, change func(o *Options)) *world {
	w := &world{t: t, news: make(chan struct{}, 1)}
	m := &script{}
	m.step = func(_ core.Now, ev *core.Event, out *core.Out) {
		if ev.Kind == core.Tick && ev.Err == core.Stopping {
			out.Exit(0)
		}
		if w.on != nil {
			w.on(ev, out)
		}
		kept := *ev
		kept.Data = append([]byte(nil), ev.Data...)
		w.mu.Lock()
		w.events = append(w.events, kept)
		w.mu.Unlock()
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
	o := Options{Machine: m, Pure: core.Pure{Split: toySplit, Work: toyWork}, PoisonReleased: true, DumpDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	node, err := Start(o)
	require.NoError(t, err)
	w.node = node
	t.Cleanup(func() {
		node.Stop()
		<-node.Ended()
	})
	return w
}

func toyWork(kind core.WorkKind, args, bytes []byte) []byte {
	switch kind {
	case 1:
		return []byte(fmt.Sprintf("%s:%d", args, len(bytes)))
	case 2:
		return bytes[:min(2, len(bytes))] // a result that lies in what was read
	}
	panic("no such work")
}

func (w *world) do(f func(out *core.Out)) {
	require.True(w.t, w.node.Do(func(_ core.Now, out *core.Out) { f(out) }))
}

// await returns the first event of a kind that fits, and takes it out.
func (w *world) await(what string, fits func(ev *core.Event) bool) core.Event {
	w.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		for i := range w.events {
			if fits(&w.events[i]) {
				ev := w.events[i]
				w.events = append(w.events[:i:i], w.events[i+1:]...)
				w.mu.Unlock()
				return ev
			}
		}
		w.mu.Unlock()
		select {
		case <-w.news:
		case <-deadline:
			require.FailNow(w.t, "no event came: "+what)
		}
	}
}

func (w *world) done(op core.Op) core.Event {
	w.t.Helper()
	return w.await(fmt.Sprint("done ", uint64(op)), func(ev *core.Event) bool { return ev.Kind == core.Done && ev.Op == op })
}

func (w *world) opened() core.Event {
	w.t.Helper()
	return w.await("opened", func(ev *core.Event) bool { return ev.Kind == core.Opened })
}

func (w *world) frame(c core.ConnID) core.Event {
	w.t.Helper()
	return w.await("frame", func(ev *core.Event) bool { return ev.Kind == core.Frame && ev.Conn == c })
}

func (w *world) closed(c core.ConnID) core.Event {
	w.t.Helper()
	return w.await("closed", func(ev *core.Event) bool { return ev.Kind == core.Closed && ev.Conn == c })
}

// seen reports whether an event is there already.
func (w *world) seen(fits func(ev *core.Event) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.events {
		if fits(&w.events[i]) {
			return true
		}
	}
	return false
}

func listening(t *testing.T) (Listener, string) {
	l, err := Listen("PLAINTEXT", "127.0.0.1:0")
	require.NoError(t, err)
	return l, l.Addr().String()
}

func dialTo(t *testing.T, addr string) *net.TCPConn {
	c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func in(dir, name string) string { return filepath.Join(dir, name) }

func slogTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
