package host

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// netWorld is a world with one listener.
func netWorld(t *testing.T, change func(o *Options)) (*world, string) {
	l, addr := listening(t)
	w := startWorld(t, func(o *Options) {
		o.Listeners = []Listener{l}
		if change != nil {
			change(o)
		}
	})
	return w, addr
}

// Frames come whole and in order, however the stream is cut, small and large ones mixed.
func TestFramesAreAssembled(t *testing.T) {
	w, addr := netWorld(t, nil)
	c := dialTo(t, addr)
	info, ok := core.ParseConnInfo(w.opened().Data)
	require.True(t, ok)
	require.Equal(t, core.ConnInfo{Listener: "PLAINTEXT", Local: addr, Remote: c.LocalAddr().String()}, info)
	var stream []byte
	var sizes []int
	for range 300 {
		n := rand.IntN(300)
		switch rand.IntN(10) {
		case 0:
			n = rand.IntN(300000)
		case 1:
			n = stageBytes - 4 + rand.IntN(3)
		}
		sizes = append(sizes, n)
		stream = append(stream, frame(n, byte(len(sizes)))...)
	}
	sizes = append(sizes, 9<<20) // beyond every step and the largest pooled buffer
	stream = append(stream, frame(9<<20, byte(len(sizes)))...)
	go func() {
		for len(stream) > 0 {
			k := min(len(stream), 1+rand.IntN(20000))
			if rand.IntN(3) == 0 {
				k = min(len(stream), 1+rand.IntN(6))
			}
			if _, err := c.Write(stream[:k]); err != nil {
				return
			}
			stream = stream[k:]
		}
	}()
	for i, n := range sizes {
		ev := w.frame(1)
		require.True(t, bytes.Equal(frame(n, byte(i+1)), ev.Data), "frame %d of %d bytes", i, n)
	}
	c.Close()
	require.Equal(t, core.OK, w.closed(1).Err)
	require.Zero(t, w.node.conns.budget.used.Load())
}

// Bytes leave in the order given, ranges of files among them, and each Send is done when they have left.
func TestSendsLeaveInOrder(t *testing.T) {
	w, addr := netWorld(t, nil)
	dir := t.TempDir()
	data := make([]byte, 3*sendChunkBytes+12345)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	w.do(func(out *core.Out) {
		out.Open(1, 5, in(dir, "f"), core.CreateNew)
		out.Write(2, 5, 0, data)
	})
	w.done(2)
	c := dialTo(t, addr)
	w.opened()
	w.do(func(out *core.Out) {
		out.Send(10, 1, []byte("head"))
		out.SendRange(11, 1, 5, 1, int64(len(data)-1))
		out.Send(0, 1, []byte("mid"))
		out.SendRange(12, 1, 5, 100, 50)
		out.SendRange(0, 1, 5, 0, 0)
		out.Send(13, 1, []byte("tail"))
		out.CloseFile(14, 5) // the ranges stay readable
		out.Remove(15, in(dir, "f"))
		out.CloseConn(1)
		out.Send(16, 1, []byte("never sent"))
	})
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	want := "head" + string(data[1:]) + "mid" + string(data[100:150]) + "tail"
	require.True(t, want == string(got), "%d bytes wanted, %d came", len(want), len(got))
	for op := core.Op(10); op <= 13; op++ {
		require.Equal(t, core.OK, w.done(op).Err)
	}
	c.Close()
	require.Equal(t, core.OK, w.closed(1).Err)
	require.Equal(t, core.ConnGone, w.done(16).Err)
}

// Every Send that is open when a connection ends is done with ConnGone before Closed; one that comes later too.
func TestClosedComesAfterItsSends(t *testing.T) {
	var order []core.Op
	w, addr := netWorld(t, nil)
	w.do(func(*core.Out) {
		w.on = func(ev *core.Event, out *core.Out) {
			switch ev.Kind {
			case core.Done:
				order = append(order, ev.Op)
			case core.Closed:
				order = append(order, 99)
				out.Send(50, ev.Conn, []byte("late"))
			}
		}
	})
	c := dialTo(t, addr)
	w.opened()
	w.do(func(out *core.Out) {
		for op := core.Op(1); op <= 20; op++ { // more than the kernel takes
			out.Send(op, 1, make([]byte, 4<<20))
		}
	})
	time.Sleep(20 * time.Millisecond)
	c.SetLinger(0)
	c.Close()
	require.Equal(t, core.Reset, w.closed(1).Err)
	require.Equal(t, core.ConnGone, w.done(50).Err)
	w.do(func(*core.Out) {
		require.Len(t, order, 22)
		require.EqualValues(t, 99, order[20])
		require.EqualValues(t, 50, order[21])
	})
	w.do(func(out *core.Out) { out.Send(51, 1, []byte("x")) })
	require.Equal(t, core.ConnGone, w.done(51).Err)
}

// A range that cannot be read whole closes the connection.
func TestShortRangeCloses(t *testing.T) {
	w, addr := netWorld(t, nil)
	dir := t.TempDir()
	c := dialTo(t, addr)
	w.opened()
	w.do(func(out *core.Out) {
		out.Open(1, 5, in(dir, "f"), core.CreateNew)
		out.Write(2, 5, 0, []byte("123"))
	})
	w.done(2)
	w.do(func(out *core.Out) {
		out.Send(3, 1, []byte("length"))
		out.SendRange(4, 1, 5, 0, 10)
		out.Send(5, 1, []byte("more"))
	})
	require.Equal(t, core.OK, w.done(3).Err)
	require.Equal(t, core.ConnGone, w.done(4).Err)
	require.Equal(t, core.ConnGone, w.done(5).Err)
	require.Equal(t, core.IOError, w.closed(1).Err)
	got, _ := io.ReadAll(c)
	require.NotContains(t, string(got), "more")
}

// While a connection is paused none of its frames comes but those under way.
func TestPause(t *testing.T) {
	w, addr := netWorld(t, nil)
	c := dialTo(t, addr)
	w.opened()
	w.do(func(out *core.Out) { out.Pause(1) })
	c.Write(frame(10, 1))
	c.Write(frame(5000, 2))
	time.Sleep(30 * time.Millisecond)
	require.False(t, w.seen(func(ev *core.Event) bool { return ev.Kind == core.Frame }))
	w.do(func(out *core.Out) { out.Resume(1) })
	require.Len(t, w.frame(1).Data, 14)
	require.Len(t, w.frame(1).Data, 5004)
	w.do(func(out *core.Out) { out.Pause(1); out.CloseConn(1) })
	require.Equal(t, core.OK, w.closed(1).Err)
}

func TestBadStreams(t *testing.T) {
	w, addr := netWorld(t, func(o *Options) { o.FrameBytesMax = 1000 })
	for i, c := range []struct {
		send []byte
		want core.Errno
	}{
		{[]byte{0xff, 0xff, 0xff, 0xff}, core.BadFrame},
		{[]byte{0x7f, 0xff, 0xff, 0xff}, core.TooLarge},
		{[]byte{0, 0, 0, 9, 1, 2}, core.Reset}, // half a frame, then the end
	} {
		nc := dialTo(t, addr)
		nc.Write(c.send)
		nc.CloseWrite()
		require.Equal(t, c.want, w.closed(core.ConnID(2*i+1)).Err, "%x", c.send)
	}
	_, err := http.Get("http://" + addr + "/")
	require.NoError(t, err) // it is told, in HTTP
	require.Equal(t, core.SpeaksHTTP, w.closed(7).Err)
}

// A length is only a claim: memory is taken as bytes come.
func TestClaimedLengthTakesNoMemory(t *testing.T) {
	w, addr := netWorld(t, func(o *Options) { o.FrameBytesMax = 1 << 30 })
	for range 20 {
		c := dialTo(t, addr)
		c.Write([]byte{0x30, 0, 0, 0, 1, 2, 3})
	}
	for range 20 {
		w.opened()
	}
	require.Eventually(t, func() bool { return w.node.conns.budget.used.Load() == 20*frameStepUnproven }, 5*time.Second, time.Millisecond)
}

// When the budget is spent readers wait, yet frames that go on come through, one after the other.
func TestBudgetDoesNotDeadlock(t *testing.T) {
	w, addr := netWorld(t, func(o *Options) { o.FrameBudget = 100 << 10 })
	whole := frame(150<<10, 7)
	for range 4 {
		c := dialTo(t, addr)
		c.Write(whole[:70<<10])
		go c.Write(whole[70<<10:])
	}
	for range 4 {
		ev := w.await("frame", func(ev *core.Event) bool { return ev.Kind == core.Frame })
		require.True(t, bytes.Equal(whole, ev.Data))
	}
	require.Eventually(t, func() bool { return w.node.conns.budget.used.Load() == 0 }, 5*time.Second, time.Millisecond)
}

func TestTooManyConnections(t *testing.T) {
	w, addr := netWorld(t, func(o *Options) { o.ConnsMax = 1 })
	dialTo(t, addr)
	w.opened()
	c := dialTo(t, addr)
	_, err := c.Read(make([]byte, 1))
	require.Error(t, err)
	require.EqualValues(t, 1, w.node.conns.refused.Load())
}

func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	w := startWorld(t, nil)
	w.do(func(out *core.Out) {
		out.Dial(1, 2, l.Addr().String())
		out.Send(3, 2, []byte("early")) // waits for the connection
	})
	nc, err := l.Accept()
	require.NoError(t, err)
	b := make([]byte, 5)
	_, err = io.ReadFull(nc, b)
	require.NoError(t, err)
	require.Equal(t, "early", string(b))
	ev := w.opened()
	require.Equal(t, core.OK, ev.Err)
	require.EqualValues(t, 1, ev.Op)
	require.Equal(t, core.OK, w.done(3).Err)
	nc.Write(frame(3, 9))
	require.Equal(t, frame(3, 9), w.frame(2).Data)
	w.do(func(out *core.Out) { out.CloseConn(2) })
	_, err = nc.Read(b)
	require.Equal(t, io.EOF, err)
	nc.Close()
	w.closed(2)

	gone := l.Addr().String()
	l.Close()
	w.do(func(out *core.Out) {
		out.Dial(4, 4, gone)
		out.Send(5, 4, []byte("x"))
		out.Dial(6, 6, "no-such-host.invalid:1")
	})
	require.Equal(t, core.ConnGone, w.done(5).Err)
	refused := w.await("refused", func(ev *core.Event) bool { return ev.Kind == core.Opened && ev.Op == 4 })
	require.Equal(t, core.Refused, refused.Err)
	unknown := w.await("unknown", func(ev *core.Event) bool { return ev.Kind == core.Opened && ev.Op == 6 })
	require.NotEqual(t, core.OK, unknown.Err)
}

// A broken belief ends the node, with a report, and nothing of that batch is carried out.
func TestBrokenBeliefStops(t *testing.T) {
	for name, breakIt := range map[string]func(w *world, dir string){
		"step": func(w *world, dir string) {
			w.node.Do(func(_ core.Now, out *core.Out) {
				out.Mkdir(0, in(dir, "must-not-be"))
				core.Must(false, "two and two are four")
			})
		},
		"work": func(w *world, _ string) { w.do(func(out *core.Out) { out.DoWork(1, 200, nil, 0, 0, 0) }) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := startWorld(t, func(o *Options) { o.DumpDir = dir })
			breakIt(w, dir)
			err := w.node.Wait()
			var exit *ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, exitBroken, exit.Code)
			found, _ := filepath.Glob(in(dir, "klamm-broken-*.txt"))
			require.Len(t, found, 1)
			b, _ := os.ReadFile(found[0])
			require.Contains(t, exit.Reason, found[0])
			if name == "step" {
				require.Contains(t, exit.Reason, "broken belief: two and two are four")
				require.Contains(t, string(b), "conns_test.go")
				require.NoDirExists(t, in(dir, "must-not-be"))
			} else {
				require.Contains(t, string(b), "toyWork")
			}
			require.Contains(t, string(b), "newest events")
		})
	}
}

func TestExit(t *testing.T) {
	w := startWorld(t, nil)
	w.do(func(out *core.Out) {
		out.Note(core.Error, "the disk is on fire")
		out.Exit(3)
	})
	var exit *ExitError
	require.ErrorAs(t, w.node.Wait(), &exit)
	require.Equal(t, ExitError{3, "the disk is on fire"}, *exit)
	require.False(t, w.node.Do(func(core.Now, *core.Out) {}))
	w = startWorld(t, nil)
	w.node.Stop()
	require.NoError(t, w.node.Wait())
}

// A machine that does not stop is ended by force.
func TestStopByForce(t *testing.T) {
	m := &script{step: func(core.Now, *core.Event, *core.Out) {}}
	n, err := Start(Options{Machine: m, StopWithin: 20 * time.Millisecond})
	require.NoError(t, err)
	n.Stop()
	require.ErrorContains(t, n.Wait(), "did not stop within")
}

// Next is heeded: a Tick comes when it is due, again and again.
func TestTicks(t *testing.T) {
	ticks := make(chan core.Time, 100)
	m := &script{}
	m.next = core.Millisecond
	m.step = func(now core.Now, ev *core.Event, out *core.Out) {
		if ev.Kind == core.Tick && ev.Err == core.Stopping {
			out.Exit(0)
		} else if ev.Kind == core.Tick {
			if now.Mono < m.next {
				panic("a tick before its time")
			}
			m.next = now.Mono + core.Millisecond
			select {
			case ticks <- now.Mono:
			default:
			}
		}
	}
	n, err := Start(Options{Machine: m})
	require.NoError(t, err)
	for range 5 {
		<-ticks
	}
	n.Stop()
	require.NoError(t, n.Wait())
}

// reporting is a machine that is ready after its third tick.
type reporting struct {
	script
	ready bool
}

func (r *reporting) Report(core.Now) *core.Report {
	rep := &core.Report{Ready: r.ready, Metrics: []core.Metric{
		{Name: "b_total", Help: "B \\ help\nmore", Kind: core.Counter, Value: 1500, Scale: 1000, Labels: []core.Label{{Name: "topic", Value: "a\"b"}}},
		{Name: "a", Value: 2},
		{Name: "b_total", Kind: core.Counter, Value: 7},
	}}
	if !r.ready {
		rep.Reasons = []string{"loading 3 of 5 logs"}
	}
	return rep
}

// An early listener is there for peers before the machine is ready, or it might never become so; the others still wait.
func TestEarlyListener(t *testing.T) {
	early, at := listening(t)
	early.Name, early.Early = "CONTROLLER", true
	late, addr := listening(t)
	m := &reporting{}
	m.step = func(_ core.Now, ev *core.Event, out *core.Out) {
		info, _ := core.ParseConnInfo(ev.Data)
		switch {
		case ev.Err == core.Stopping:
			out.Exit(0)
		case ev.Kind == core.Opened && info.Listener == "CONTROLLER":
			m.ready = true
		}
	}
	became := make(chan time.Duration, 1)
	n, err := Start(Options{Machine: m, Pure: core.Pure{Split: toySplit}, Listeners: []Listener{late, early}, OnReady: func(d time.Duration) { became <- d }})
	require.NoError(t, err)
	dialTo(t, addr)
	select {
	case <-became:
		require.Fail(t, "a client was let in before the machine was ready")
	case <-time.After(50 * time.Millisecond):
	}
	dialTo(t, at)
	<-became
	require.Eventually(t, func() bool { return n.conns.live.Load() == 2 }, 5*time.Second, time.Millisecond)
	n.Stop()
	require.NoError(t, n.Wait())
}

// The listeners open, and /readyz says so, only when the machine says that it serves.
func TestReadiness(t *testing.T) {
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l, addr := listening(t)
	m := &reporting{}
	m.step = func(_ core.Now, ev *core.Event, out *core.Out) {
		if ev.Err == core.Stopping {
			out.Exit(0)
		}
	}
	became := make(chan time.Duration, 1)
	n, err := Start(Options{Machine: m, Pure: core.Pure{Split: toySplit}, Listeners: []Listener{l}, Admin: admin, OnReady: func(d time.Duration) { became <- d }})
	require.NoError(t, err)
	get := func(path string) (int, string) {
		r, err := http.Get("http://" + admin.Addr().String() + path)
		require.NoError(t, err)
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(b)
	}
	code, body := get("/readyz")
	require.Equal(t, 503, code)
	require.Contains(t, body, "loading 3 of 5 logs")
	code, _ = get("/healthz")
	require.Equal(t, 200, code)
	c := dialTo(t, addr) // waits in the kernel
	require.Zero(t, n.conns.live.Load())
	n.Do(func(core.Now, *core.Out) { m.ready = true })
	<-became
	code, body = get("/readyz")
	require.Equal(t, 200, code, body)
	require.Eventually(t, func() bool { return n.conns.live.Load() == 1 }, 5*time.Second, time.Millisecond)
	code, body = get("/metrics")
	require.Equal(t, 200, code)
	for _, want := range []string{"# HELP b_total B \\\\ help\\nmore\n# TYPE b_total counter\nb_total{topic=\"a\\\"b\"} 1.5\nb_total 7\n", "\n# TYPE a gauge\na 2\n",
		"process_cpu_seconds_total", "go_goroutines", "klamm_sockets 1\n"} {
		require.Contains(t, "\n"+body, want)
	}
	code, _ = get("/debug/pprof/goroutine?debug=1")
	require.Equal(t, 200, code)
	n.Stop()
	require.NoError(t, n.Wait())
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestListenErrors(t *testing.T) {
	l, addr := listening(t)
	defer l.Close()
	_, err := Listen("PLAINTEXT", addr)
	require.ErrorContains(t, err, "in use by another process")
	require.ErrorContains(t, err, "ss -ltnp")
	_, err = Listen("PLAINTEXT", "203.0.113.1:9092")
	require.ErrorContains(t, err, "no such address")
	_, err = Listen("PLAINTEXT", "nonsense")
	require.ErrorContains(t, err, "localhost:9092")
}

// A text that repeats is counted, not written.
func TestNotesAreLimited(t *testing.T) {
	var b bytes.Buffer
	l := newNoteLog(slogTo(&b))
	for range 1000 {
		l.add(core.Warn, "the same")
		l.add(core.Debug, "not wanted")
	}
	l.add(core.Info, "another")
	l.close()
	require.Equal(t, notesSamePerPeriod, strings.Count(b.String(), `msg="the same"`))
	require.Contains(t, b.String(), "said 990 times more: the same")
	require.Contains(t, b.String(), "another")
	require.NotContains(t, b.String(), "not wanted")
}

// What a slow reader has not got of a file whose bytes are about to change it does not get: neither the old ones, nor those of the new history.
func TestForsakenRangesAreNotSent(t *testing.T) {
	w, addr := netWorld(t, nil)
	dir := t.TempDir()
	data := bytes.Repeat([]byte{'a'}, 64<<20) // more than the kernel takes
	w.do(func(out *core.Out) {
		out.Open(1, 5, in(dir, "f"), core.CreateNew)
		out.Write(2, 5, 0, data)
	})
	w.done(2)
	c := dialTo(t, addr)
	w.opened()
	w.do(func(out *core.Out) { out.SendRange(11, 1, 5, 0, int64(len(data))) })
	time.Sleep(50 * time.Millisecond)
	w.do(func(out *core.Out) {
		out.Forsake(5)
		out.Open(3, 6, in(dir, "f"), core.OpenExisting)
	})
	w.done(3)
	w.do(func(out *core.Out) { out.Truncate(4, 6, 0) })
	w.done(4)
	w.do(func(out *core.Out) { out.Write(5, 6, 0, bytes.Repeat([]byte{'b'}, len(data))) })
	require.Equal(t, core.OK, w.done(5).Err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	got, _ := io.ReadAll(c)
	require.Less(t, len(got), len(data))
	require.Zero(t, bytes.Count(got, []byte{'b'}))
	require.NotEqual(t, core.OK, w.done(11).Err)
	require.NotEqual(t, core.OK, w.closed(1).Err)
}
