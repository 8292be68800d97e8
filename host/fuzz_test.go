package host

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"klamm/core"
	"klamm/core/wire"
)

// frameLimit is socket.request.max.bytes of the fuzzer.
const frameLimit = 3 << 20

// FuzzFrames cuts a stream of any bytes into any chunks, and lets a reader assemble its frames. The first byte picks
// how (one buffer or two, a small budget, frames that cannot be decoded), the next eight the sizes of the chunks; the
// rest is the stream, in which a few letters stand for large frames (see expand).
//
// The frames are those that Split finds in the whole stream, to the byte and in order; the connection ends with the
// same reason; no more memory is held than came, but for the first step; and all of it is given back.
func FuzzFrames(f *testing.F) {
	one := frame(20, 'x')
	for mode := range byte(8) {
		head := []byte{mode, 0, 1, 2, 3, 20, 11, 12, 255}
		f.Add(append(head, one...))
		f.Add(append(head, bytes.Repeat(one, 200)...))
		f.Add(append(head, append(one, one[:19]...)...))
		f.Add(append(head, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"...))
		f.Add(append(head, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"...))
		f.Add(append(head, 0xff, 0xff, 0xff, 0xff))
		f.Add(append(head, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3))
		f.Add(append(head, 0, 0, 0, 0))
		f.Add(append(head, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 3))
		f.Add(append(head, "LK\x00\x80L\x30\xff\xffL\x00\x07\xf8L\x00\x08\x00L\x00\x08\x04"...))
		f.Add(append(head, "L\x01\x00\x00L\x0f\xff\xfcL\x2f\xff\xffL\x00\x00\x01\x00"...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 10 {
			return
		}
		mode, sizes, stream := b[0], b[1:9], expand(b[9:])
		n := &Node{o: Options{FrameBudget: 1 << 30, FrameBytesMax: frameLimit}, pool: newBuffers(pooledBytesMax, true)}
		n.o.Pure.Split = wire.Split
		if mode&2 != 0 {
			n.o.FrameBudget = 64 << 10
		}
		if mode&4 != 0 {
			n.o.Pure.Prepare = func([]byte, core.ConnKind) *core.Prepared { return &core.Prepared{Err: core.BadFrame} }
		}
		n.o.defaults()
		n.queue.init(len(stream) + 1)
		n.conns = newConns(n)
		feed := &feed{t: t, n: n, sizes: sizes, rest: stream, two: mode&1 != 0}
		c := n.conns.newConn(1, core.FromClient, feed)
		c.sock.init(feed)
		if feed.two {
			require.NoError(t, feed.openPipe())
			defer feed.closePipe()
			c.sock.use(rawFeed{feed})
		}
		c.reading = true
		c.read()
		checkFrames(t, n, c, stream, int(mode&4))
	})
}

// expand turns "L" and three bytes into a frame whose length they say; all else stays. There is room for a few.
func expand(b []byte) (stream []byte) {
	for len(b) > 0 && len(stream) < 8<<20 {
		if b[0] != 'L' || len(b) < 4 {
			stream, b = append(stream, b[0]), b[1:]
			continue
		}
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		stream, b = append(stream, frame(size%frameLimit, b[3])...), b[4:]
	}
	return stream
}

func checkFrames(t *testing.T, n *Node, c *conn, stream []byte, undecoded int) {
	want := core.OK
	items := n.queue.take(nil)
	for {
		need, why := wire.Split(stream, frameLimit)
		if why != core.OK || need == 0 || need > len(stream) {
			if want = why; why == core.OK && len(stream) > 0 {
				want = core.Reset
			}
			break
		}
		require.NotEmpty(t, items, "a frame of %d bytes is missing", need)
		ev := items[0].ev
		items = items[1:]
		require.Equal(t, core.Frame, ev.Kind)
		require.True(t, bytes.Equal(stream[:need], ev.Data), "a frame of %d bytes is not what came", need)
		require.Equal(t, undecoded > 0, ev.Req != nil)
		stream = stream[need:]
		n.conns.budget.release(int64(len(ev.Data)))
		n.pool.put(ev.Data)
	}
	require.Len(t, items, 1)
	require.Equal(t, core.Event{Kind: core.Closed, Conn: 1, Err: want}, items[0].ev)
	require.Zero(t, n.conns.budget.used.Load(), "memory is not given back")
	require.Nil(t, n.conns.budget.beyond)
}

// feed is a connection that brings a stream in chunks. With two set it does so through a pipe, so that reads into
// two buffers are played too.
type feed struct {
	t     *testing.T
	n     *Node
	sizes []byte
	rest  []byte
	at    int
	given int64

	two      bool
	from, to *os.File
}

// chunk is the next part of the stream.
func (f *feed) chunk(most int) []byte {
	s := f.sizes[f.at%len(f.sizes)]
	f.at++
	size := min(1<<(s%16)+int(s>>4), most, len(f.rest))
	if f.at > 300 { // a large stream in single bytes takes too long
		size = min(most, len(f.rest))
	}
	b := f.rest[:size]
	f.rest = f.rest[size:]
	f.claims()
	f.given += int64(size)
	return b
}

// claims holds what the reader has reserved against what has come.
func (f *feed) claims() {
	f.n.queue.mu.Lock()
	defer f.n.queue.mu.Unlock()
	held := f.n.conns.budget.used.Load()
	for _, it := range f.n.queue.items {
		held -= int64(len(it.ev.Data))
	}
	first := int64(frameStepUnproven)
	if len(f.n.queue.items) > 0 && f.n.o.Pure.Prepare == nil {
		first = frameStepProven
	}
	require.LessOrEqual(f.t, held, max(first, 4*f.given), "memory for a length that is only claimed")
}

func (f *feed) Read(b []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, io.EOF
	}
	return copy(b, f.chunk(len(b))), nil
}

func (f *feed) openPipe() (err error) {
	var fds [2]int
	if err = syscall.Pipe(fds[:]); err == nil {
		f.from, f.to = os.NewFile(uintptr(fds[0]), "from"), os.NewFile(uintptr(fds[1]), "to")
	}
	return err
}

func (f *feed) closePipe() {
	f.from.Close()
	if f.to != nil {
		f.to.Close()
	}
}

// rawFeed is a feed as a syscall.RawConn.
type rawFeed struct{ *feed }

func (f rawFeed) Control(func(fd uintptr)) error    { return nil }
func (f rawFeed) Write(func(fd uintptr) bool) error { return nil }

// Read gives what is left in the pipe, or the next chunk.
func (f rawFeed) Read(do func(fd uintptr) bool) error {
	left, err := unix.IoctlGetInt(int(f.from.Fd()), unix.TIOCINQ)
	require.NoError(f.t, err)
	switch {
	case left > 0 || f.to == nil:
	case len(f.rest) > 0:
		_, err := f.to.Write(f.chunk(32 << 10))
		require.NoError(f.t, err)
	default:
		f.to.Close()
		f.to = nil
	}
	require.True(f.t, do(f.from.Fd()))
	return nil
}

func (f *feed) Write(b []byte) (int, error)      { return len(b), nil }
func (f *feed) Close() error                     { return nil }
func (f *feed) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (f *feed) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (f *feed) SetDeadline(time.Time) error      { return nil }
func (f *feed) SetReadDeadline(time.Time) error  { return nil }
func (f *feed) SetWriteDeadline(time.Time) error { return nil }
