package netsim

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
)

// fake is a world with nothing but a network in it.
type fake struct {
	t      *rapid.T
	wild   bool
	queue  []fakeItem
	seq    int
	now    core.Time
	events [2][]core.Event
	bad    string
}

type fakeItem struct {
	at    core.Time
	seq   int
	token uint64
}

func (f *fake) Choose(site uint8, entity, n uint64) uint64 {
	if !f.wild {
		return 0
	}
	return rapid.Uint64Range(0, n-1).Draw(f.t, "choice")
}
func (f *fake) Wake(at core.Time, token uint64) {
	f.seq++
	f.queue = append(f.queue, fakeItem{at, f.seq, token})
}
func (f *fake) Deliver(node int, ev core.Event)      { f.events[node] = append(f.events[node], ev) }
func (f *fake) Buffer(n int) []byte                  { return make([]byte, n) }
func (f *fake) Recycle([]byte)                       {}
func (f *fake) Accepting(int, string) (string, bool) { return "PLAINTEXT", true }
func (f *fake) Sum(b []byte) uint64                  { return uint64(len(b)) }
func (f *fake) Broken(node int, what string)         { f.bad = what }
func (f *fake) ReadRange(node int, file core.FileID, off int64, dst []byte) bool {
	for i := range dst {
		dst[i] = fileByte(off + int64(i))
	}
	return true
}

// fileByte is a file of frames of 8 bytes that number themselves.
func fileByte(off int64) byte {
	var b [8]byte
	binary.BigEndian.PutUint32(b[:], 4)
	binary.BigEndian.PutUint32(b[4:], uint32(1000+off/8))
	return b[off%8]
}

func split(b []byte, limit int) (int, core.Errno) {
	if len(b) < 4 {
		return 0, core.OK
	}
	n := int(binary.BigEndian.Uint32(b)) + 4
	if n > limit || n < 4 {
		return 0, core.BadFrame
	}
	return n, core.OK
}

func (f *fake) run(n *Net, until core.Time) {
	for {
		slices.SortFunc(f.queue, func(a, b fakeItem) int {
			if a.at != b.at {
				return int(a.at - b.at)
			}
			return a.seq - b.seq
		})
		if len(f.queue) == 0 || f.queue[0].at > until {
			f.now = until
			n.At(until)
			return
		}
		it := f.queue[0]
		f.queue = f.queue[1:]
		f.now = it.at
		n.At(f.now)
		n.Fire(it.token)
	}
}

func frame(k uint32, size int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(4+size))
	return append(binary.BigEndian.AppendUint32(b, k), make([]byte, size)...)
}

// Whatever befalls a connection, the frames that arrive are the first ones that were sent, whole and in order; every
// send is done once; each side is told of the end once. In fair weather everything arrives.
func TestStreamsKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t, wild: rapid.Bool().Draw(t, "wild")}
		n := New(f)
		n.Check = true
		n.Weather = Weather{Latency: core.Millisecond, Jitter: core.Millisecond}
		if f.wild {
			n.Weather.Split, n.Weather.Reset, n.Weather.HalfOpen, n.Weather.SlowReader, n.Weather.Tail = 30000, 2000, 30000, 20000, 1000
		}
		server, client := n.Add("server", split, "1"), n.Add("client", split, "0")
		var out core.Out
		out.Dial(77, 2, "server:1")
		n.Dial(client, &out.Effects[0])
		f.run(n, core.Second)
		require.Len(t, f.events[client], 1)
		opened := f.events[client][0]
		require.Equal(t, core.Opened, opened.Kind)
		require.EqualValues(t, 77, opened.Op)
		if opened.Err != core.OK {
			return
		}
		require.Equal(t, core.Opened, f.events[server][0].Kind)
		conn := f.events[server][0].Conn
		require.EqualValues(t, 1, conn)
		var sent [2]uint32
		var ops [2]int
		for range rapid.IntRange(1, 20).Draw(t, "actions") {
			who := rapid.IntRange(0, 1).Draw(t, "who")
			id := core.ConnID(2)
			if who == server {
				id = conn
			}
			out.Reset()
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0, 1, 2:
				if slices.ContainsFunc(f.events[who], func(ev core.Event) bool { return ev.Kind == core.Closed }) {
					continue // a machine that knows sends no more
				}
				op := core.Op(0)
				if rapid.Bool().Draw(t, "op") {
					ops[who]++
					op = core.Op(1000 + ops[who])
				}
				out.Send(op, id, frame(sent[who], rapid.IntRange(0, 5000).Draw(t, "size")))
				sent[who]++
				n.Send(who, &out.Effects[0], f.Sum(out.Effects[0].Data))
			case 3:
				n.Pause(who, id, true)
			case 4, 5:
				n.Pause(who, id, false)
			case 6:
				if rapid.IntRange(0, 9).Draw(t, "close") == 0 {
					n.Close(who, id)
				}
			default:
				f.run(n, f.now+core.Time(rapid.IntRange(0, 5000).Draw(t, "wait"))*core.Microsecond)
			}
		}
		n.Pause(server, conn, false)
		n.Pause(client, 2, false)
		f.run(n, f.now+300*core.Second)
		require.Empty(t, f.bad)
		closed := [2]int{}
		for who := range 2 {
			var next uint32
			done := map[core.Op]int{}
			for _, ev := range f.events[who] {
				switch ev.Kind {
				case core.Frame:
					require.Zero(t, closed[who], "nothing comes after Closed")
					require.Equal(t, next, binary.BigEndian.Uint32(ev.Data[4:]), "frames come in order and whole")
					next++
				case core.Done:
					require.Zero(t, closed[who], "sends are done before Closed")
					done[ev.Op]++
				case core.Closed:
					closed[who]++
				}
			}
			require.LessOrEqual(t, closed[who], 1)
			require.LessOrEqual(t, next, sent[1-who])
			if closed[0]+closed[1] == 0 {
				require.Equal(t, sent[1-who], next, "an open connection delivers everything")
			}
			require.Len(t, done, ops[who])
			for _, k := range done {
				require.Equal(t, 1, k)
			}
		}
		if closed[0]+closed[1] == 2 {
			require.Zero(t, n.Live())
		}
	})
}

// A range of a file arrives as the bytes that it holds.
func TestSendRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		n := New(f)
		server, client := n.Add("server", split, "1"), n.Add("client", split, "0")
		var out core.Out
		out.Dial(1, 2, "server:1")
		n.Dial(client, &out.Effects[0])
		f.run(n, core.Second)
		out.Reset()
		k := rapid.Int64Range(1, 100000).Draw(t, "frames")
		out.SendRange(5, 1, 9, 16, 8*k)
		n.Send(server, &out.Effects[0], 0)
		f.run(n, 10*core.Second)
		var got uint32
		for _, ev := range f.events[client][1:] {
			require.Equal(t, 1002+got, binary.BigEndian.Uint32(ev.Data[4:]))
			got++
		}
		require.EqualValues(t, k, got)
	})
}

// A cut holds bytes back and heals; a dial through it waits or times out.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		n := New(f)
		server, client := n.Add("server", split, "1"), n.Add("client", split, "0")
		n.Weather.Latency = core.Millisecond
		var out core.Out
		out.Dial(1, 2, "server:1")
		n.Dial(client, &out.Effects[0])
		f.run(n, core.Second)
		n.Cut(client, server, 5*core.Second)
		out.Reset()
		out.Send(0, 2, frame(0, 10))
		n.Send(client, &out.Effects[0], 0)
		f.run(n, 4*core.Second)
		require.Len(t, f.events[server], 1)
		f.run(n, 6*core.Second)
		require.Len(t, f.events[server], 2)
		n.Cut(server, client, 100*core.Second)
		out.Reset()
		out.Dial(3, 4, "server:1")
		n.Dial(client, &out.Effects[0])
		f.run(n, 30*core.Second)
		last := f.events[client][len(f.events[client])-1]
		require.Equal(t, core.TimedOut, last.Err)
	})
}

// A node that goes down takes its connections with it; its peers learn of it, sooner or later.
// A cut of one port holds back its connections alone, in the one direction.
func TestCutPort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		n := New(f)
		server, client := n.Add("server", split, "1", "2"), n.Add("client", split, "0")
		n.Weather.Latency = core.Millisecond
		var out core.Out
		out.Dial(1, 2, "server:1")
		out.Dial(2, 4, "server:2")
		n.Dial(client, &out.Effects[0])
		n.Dial(client, &out.Effects[1])
		f.run(n, core.Second)
		require.Len(t, f.events[server], 2)
		n.CutPort(client, server, "2", 5*core.Second)
		out.Reset()
		out.Send(0, 2, frame(0, 10))
		out.Send(0, 4, frame(0, 10))
		n.Send(client, &out.Effects[0], 0)
		n.Send(client, &out.Effects[1], 0)
		f.run(n, 4*core.Second)
		require.Len(t, f.events[server], 3)
		f.run(n, 6*core.Second)
		require.Len(t, f.events[server], 4)
		n.CutPort(server, client, "2", 100*core.Second)
		n.Heal()
		out.Reset()
		out.Dial(3, 6, "server:2")
		n.Dial(client, &out.Effects[0])
		f.run(n, 8*core.Second)
		require.Len(t, f.events[server], 5)
	})
}

func TestDown(t *testing.T) {
	for _, silent := range []bool{false, true} {
		f := &fake{}
		n := New(f)
		server, client := n.Add("server", split, "1"), n.Add("client", split, "0")
		var out core.Out
		out.Dial(1, 2, "server:1")
		n.Dial(client, &out.Effects[0])
		f.run(n, core.Second)
		n.Down(server, silent)
		require.Equal(t, 1, n.Live())
		f.run(n, 200*core.Second)
		last := f.events[client][len(f.events[client])-1]
		require.Equal(t, core.Closed, last.Kind)
		require.Zero(t, n.Live())
	}
}
