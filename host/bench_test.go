package host

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"klamm/core"
)

// The load of the benchmarks comes from other processes (this test binary again), so that the CPU time of
// this one is the host's alone. They report CPU seconds per GB, user and system apart: on a virtual machine
// single MB/s figures swing, these hold.

// TestMain runs a client instead of the tests if it is asked to.
func TestMain(m *testing.M) {
	if addr := os.Getenv("HOST_BENCH_ADDR"); addr != "" {
		benchClient(addr)
		return
	}
	os.Exit(m.Run())
}

// benchClient keeps some frames in flight for a number of bytes, and reads what comes.
func benchClient(addr string) {
	size, _ := strconv.Atoi(os.Getenv("HOST_BENCH_FRAME"))
	total, _ := strconv.Atoi(os.Getenv("HOST_BENCH_FRAMES"))
	inFlight, _ := strconv.Atoi(os.Getenv("HOST_BENCH_INFLIGHT"))
	reply, _ := strconv.Atoi(os.Getenv("HOST_BENCH_REPLY"))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		panic(err)
	}
	f := make([]byte, size)
	binary.BigEndian.PutUint32(f, uint32(size-4))
	window := make(chan struct{}, inFlight)
	go func() {
		for range total {
			window <- struct{}{}
			if _, err := c.Write(f); err != nil {
				panic(err)
			}
		}
	}()
	answer := make([]byte, min(reply, 256<<10))
	for range total {
		for left := reply; left > 0; {
			n, err := c.Read(answer[:min(left, len(answer))])
			if err != nil {
				panic(err)
			}
			left -= n
		}
		<-window
	}
}

// appender is a toy log: frames go to a file, are synced if asked for, and are then acknowledged.
type appender struct {
	path       string
	sync       bool
	pos        int64
	seq        uint64
	written    []appended // done, and waiting for a sync
	syncing    int        // of written are covered by the sync under way; 0: none
	open       map[core.Op]appended
	ack        []byte
	rangeBytes int64
	echo       bool
}

type appended struct {
	conn core.ConnID
	data []byte
}

const (
	opSync    = core.Op(1)
	opFirst   = core.Op(10)
	benchRing = 1 << 30 // bytes of the file; then it begins again
)

func (a *appender) Next() core.Time { return core.Never }

func (a *appender) Step(_ core.Now, ev *core.Event, out *core.Out) {
	switch {
	case ev.Kind == core.Boot:
		out.Open(2, 1, a.path, core.CreateOrOpen)
	case ev.Kind == core.Tick && ev.Err == core.Stopping:
		out.Exit(0)
	case ev.Kind == core.Frame && a.echo:
		out.Release(ev.Data)
		out.Send(0, ev.Conn, a.ack)
	case ev.Kind == core.Frame && a.rangeBytes > 0:
		out.Release(ev.Data)
		out.Send(0, ev.Conn, a.ack)
		out.SendRange(0, ev.Conn, 1, 0, a.rangeBytes)
	case ev.Kind == core.Frame:
		if a.pos+int64(len(ev.Data)) > benchRing {
			a.pos = 0
		}
		a.seq++
		op := opFirst + core.Op(a.seq)
		a.open[op] = appended{ev.Conn, ev.Data}
		out.Write(op, 1, a.pos, ev.Data)
		a.pos += int64(len(ev.Data))
	case ev.Kind == core.Done && ev.Op == opSync:
		for _, w := range a.written[:a.syncing] {
			out.Send(0, w.conn, a.ack)
		}
		a.written = a.written[:copy(a.written, a.written[a.syncing:])]
		a.syncing = 0
		a.startSync(out)
	case ev.Kind == core.Done && ev.Op >= opFirst:
		w := a.open[ev.Op]
		delete(a.open, ev.Op)
		out.Release(w.data)
		if !a.sync {
			out.Send(0, w.conn, a.ack)
			return
		}
		a.written = append(a.written, w)
		a.startSync(out)
	}
}

func (a *appender) startSync(out *core.Out) {
	if a.syncing == 0 && len(a.written) > 0 {
		a.syncing = len(a.written)
		out.Sync(opSync, 1)
	}
}

func cpuNow() (user, sys float64) {
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return float64(ru.Utime.Nano()) / 1e9, float64(ru.Stime.Nano()) / 1e9
}

// runBench runs clients against a machine and reports what it cost this process.
func runBench(b *testing.B, a *appender, frame, frames, clients, inFlight, reply int, perFrame float64) {
	l, err := Listen("PLAINTEXT", "127.0.0.1:0")
	require.NoError(b, err)
	n, err := Start(Options{Machine: a, Pure: core.Pure{Split: toySplit}, Listeners: []Listener{l}})
	require.NoError(b, err)
	exe, err := os.Executable()
	require.NoError(b, err)
	b.ResetTimer()
	user, sys := cpuNow()
	begun := time.Now()
	var cmds []*exec.Cmd
	for range clients {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "HOST_BENCH_ADDR="+l.Addr().String(), fmt.Sprint("HOST_BENCH_FRAME=", frame), fmt.Sprint("HOST_BENCH_FRAMES=", frames/clients),
			fmt.Sprint("HOST_BENCH_INFLIGHT=", inFlight), fmt.Sprint("HOST_BENCH_REPLY=", reply))
		cmd.Stderr = os.Stderr
		require.NoError(b, cmd.Start())
		cmds = append(cmds, cmd)
	}
	for _, c := range cmds {
		require.NoError(b, c.Wait())
	}
	took := time.Since(begun).Seconds()
	u, s := cpuNow()
	gb := float64(frames/clients*clients) * perFrame / 1e9
	b.ReportMetric((u-user)/gb, "user-s/GB")
	b.ReportMetric((s-sys)/gb, "sys-s/GB")
	b.ReportMetric(gb*1000/took, "MB/s")
	b.ReportMetric((u-user+s-sys)/float64(frames)*1e6, "us/frame")
	b.ReportMetric(float64(frames/clients*clients)/took, "frames/s")
	b.ReportMetric(0, "ns/op")
	n.Stop()
	n.Wait()
}

// BenchmarkAppend is the way of a produce request through the host: frames of several sizes to one file.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{false, true} {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("sync=%v/%dK", sync, size>>10), func(b *testing.B) {
				a := &appender{path: b.TempDir() + "/log", sync: sync, open: map[core.Op]appended{}, ack: frame(20, 1)}
				frames := min(2<<30/size, 40000)
				runBench(b, a, size, frames, 2, 5, len(a.ack), float64(size))
			})
		}
	}
}

// BenchmarkEcho is the shortest way of a request through the host and back, one at a time and many.
func BenchmarkEcho(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("%d-clients", n), func(b *testing.B) {
			a := &appender{path: b.TempDir() + "/log", echo: true, ack: frame(1000, 1)}
			runBench(b, a, 1004, 60000, n, 1, len(a.ack), 1004)
		})
	}
}

// BenchmarkFetch is the way of a fetch: a header and a range of a cached file.
func BenchmarkFetch(b *testing.B) {
	for _, size := range []int64{64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			path := b.TempDir() + "/log"
			require.NoError(b, os.WriteFile(path, make([]byte, size), 0o644))
			a := &appender{path: path, ack: frame(20, 1), rangeBytes: size}
			runBench(b, a, 100, int(4<<30/size), 2, 2, len(a.ack)+int(size), float64(size))
		})
	}
}

// BenchmarkRange compares the two ways of sending a range of a cached file, both ends in this process.
func BenchmarkRange(b *testing.B) {
	const size, chunk = 1 << 20, sendChunkBytes
	path := b.TempDir() + "/f"
	require.NoError(b, os.WriteFile(path, make([]byte, size), 0o644))
	file, err := os.Open(path)
	require.NoError(b, err)
	defer file.Close()
	ways := map[string]func(c *net.TCPConn, buf []byte) error{
		"sendfile": func(c *net.TCPConn, _ []byte) error {
			raw, err := c.SyscallConn()
			if err != nil {
				return err
			}
			off, left := int64(0), size
			return firstErr(raw.Write(func(fd uintptr) bool {
				for left > 0 {
					n, e := unix.Sendfile(int(fd), int(file.Fd()), &off, left)
					if e == unix.EAGAIN {
						return false
					}
					if e != nil && e != unix.EINTR {
						err = e
						return true
					}
					left -= max(0, n)
				}
				return true
			}), err)
		},
		"pread": func(c *net.TCPConn, buf []byte) error {
			for off := int64(0); off < size; off += chunk {
				if _, err := unix.Pread(int(file.Fd()), buf[:chunk], off); err != nil {
					return err
				}
				if _, err := c.Write(buf[:chunk]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, way := range ways {
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err == nil {
					io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
				}
			}()
			c, err := net.Dial("tcp", l.Addr().String())
			require.NoError(b, err)
			defer c.Close()
			buf := make([]byte, chunk)
			user, sys := cpuNow()
			b.ResetTimer()
			for range b.N {
				require.NoError(b, way(c.(*net.TCPConn), buf))
			}
			u, s := cpuNow()
			gb := float64(b.N) * size / 1e9
			b.SetBytes(size)
			b.ReportMetric((u-user+s-sys)/gb, "cpu-s/GB")
		})
	}
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil && !strings.Contains(err.Error(), "use of closed") {
			return err
		}
	}
	return nil
}
