package broker

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"path"
	"sort"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// world is a tiny world for scripts: files in memory, connections as byte slices. It carries effects out at once,
// in order, but for the kinds that are held; what is held comes when it is released.
//
// After every Step it wakes every Task twice for nothing, and wants no effect of it. It keeps a hash of all
// effects, so that a script that is run twice can be compared.
type world struct {
	t      testing.TB
	b      *Broker
	now    core.Now
	marks  core.Marks
	files  map[string]*memFile // by path
	dirs   map[string]bool
	open   map[core.FileID]*memFile
	conns  map[core.ConnID]*memConn
	events []core.Event
	paths  map[core.FileID]string // of open files
	broken string                 // a directory in which nothing works any more
	held   map[core.EffectKind]bool
	hold   []core.Effect
	fail   map[core.EffectKind]core.Errno // the next effect of that kind fails
	notes  []string
	exit   int64 // -1: running
	hash   uint64
	freed  int // frames given back
	twin   *twin
	heard  func(kmsg.Response)    // is told every reply that is read
	peers  func(core.Effect) bool // carries out what concerns other nodes
	id     byte                   // of the node, where there are several
	life   byte                   // counts the boots

	stopAfter int   // events until a stop is asked for; 0: never
	stoppedAt stage // where that was
}

type memFile struct {
	data  []byte
	names int
}

type memConn struct {
	in     []byte
	closed bool
	paused bool
	next   int32 // correlation id
	asked  []asked
	unsent []core.Op // held sends
}

type asked struct {
	correlation  int32
	key, version int16
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: core.Now{Mono: 1 * core.Second, Wall: core.Millis(1_700_000_000_000)}, files: map[string]*memFile{},
		dirs: map[string]bool{"": true, "/": true}, held: map[core.EffectKind]bool{}, fail: map[core.EffectKind]core.Errno{}}
	w.start()
	return w
}

// start is a new life of the machine on the same disk.
func (w *world) start() {
	if w.twin != nil {
		w.twin.b = nil
	}
	w.paths = map[core.FileID]string{}
	w.b, w.open, w.conns, w.events, w.hold, w.exit = New(), map[core.FileID]*memFile{}, map[core.ConnID]*memConn{}, nil, nil, -1
}

func (w *world) boot(config string) {
	key := [32]byte{7 + w.id, w.life} // of another life: a process that starts anew draws other ids
	w.life++
	w.deliver(core.Event{Kind: core.Boot, Data: core.BootInfo{Key: key, Config: config}.Append(nil)})
	w.run()
}

func (w *world) deliver(ev core.Event) { w.events = append(w.events, ev) }

// run delivers events until there are none.
func (w *world) run() {
	for n := 0; len(w.events) > 0 && w.exit < 0; n++ {
		require.Less(w.t, n, 200000, "the world does not come to rest")
		ev := w.events[0]
		w.events = w.events[1:]
		if w.stopAfter > 0 && n == w.stopAfter {
			w.stopAfter, w.stoppedAt = 0, w.b.stage
			w.events = append([]core.Event{ev}, w.events...)
			ev = core.Event{Kind: core.Tick, Err: core.Stopping}
		}
		out := core.Out{Marks: &w.marks}
		if w.twin != nil {
			w.twin.step(w, &ev, &out)
		} else {
			w.b.Step(w.now, &ev, &out)
		}
		for i := range out.Effects {
			w.carryOut(out.Effects[i])
		}
		var idle core.Out
		for range 2 {
			w.b.WakeAll()
			w.b.settle(w.now, &idle)
		}
		for i := range idle.Effects {
			w.t.Errorf("woken for nothing, a task made an effect: %v %q", idle.Effects[i].Kind, idle.Effects[i].Data)
		}
	}
}

// advance lets time pass, with a Tick whenever the machine wants one.
func (w *world) advance(d core.Time) {
	end := w.now.Mono + d
	for w.exit < 0 {
		next := w.b.Next()
		if next > end {
			break
		}
		step := max(next-w.now.Mono, 0)
		w.now.Mono += step
		w.now.Wall += step
		w.deliver(core.Event{Kind: core.Tick})
		w.run()
	}
	w.now.Wall += end - w.now.Mono
	w.now.Mono = end
}

func (w *world) done(e core.Effect, err core.Errno, n int64, data []byte) {
	if e.Op != 0 {
		w.deliver(core.Event{Kind: core.Done, Op: e.Op, Err: err, N: n, Data: data})
	}
}

// release carries out what was held, of some kinds or of all.
func (w *world) release(kinds ...core.EffectKind) {
	hold := w.hold
	w.hold = nil
	if len(kinds) == 0 {
		w.held = map[core.EffectKind]bool{}
	}
	for _, kind := range kinds {
		delete(w.held, kind)
	}
	for _, e := range hold {
		w.carryOut(e)
	}
	w.run()
}

func (w *world) carryOut(e core.Effect) {
	h := fnv.New64a()
	fmt.Fprint(h, w.hash, e.Kind, e.Work, e.Conn, e.File, e.Op, e.Off, e.Len)
	h.Write(e.Data)
	w.hash = h.Sum64()
	if w.held[e.Kind] {
		w.hold = append(w.hold, e)
		return
	}
	if w.broken != "" && w.inBroken(e) {
		w.done(e, core.IOError, 0, nil)
		return
	}
	if err, ok := w.fail[e.Kind]; ok {
		delete(w.fail, e.Kind)
		w.done(e, err, 0, nil)
		return
	}
	if w.peers != nil && w.peers(e) {
		return
	}
	switch e.Kind {
	case core.Send, core.SendRange, core.CloseConn, core.Pause, core.Resume:
		w.network(e)
	case core.Release:
		w.freed++
		for i := range e.Data {
			e.Data[i] = 0xdb // whoever still reads it sees nonsense
		}
	case core.Note:
		w.notes = append(w.notes, string(e.Data))
	case core.Exit:
		w.exit = e.Len
	case core.DoWork:
		var bytes []byte
		if f := w.open[e.File]; f != nil {
			bytes = clip(f.data, e.Off, e.Len)
		}
		w.done(e, core.OK, 0, Work(e.Work, e.Data, bytes))
	default:
		w.disk(e)
	}
}

func clip(b []byte, off, n int64) []byte {
	if off >= int64(len(b)) {
		return nil
	}
	return append([]byte{}, b[off:min(off+n, int64(len(b)))]...)
}

// inBroken reports whether an effect is about something in the directory that is broken.
func (w *world) inBroken(e core.Effect) bool {
	name := string(e.Data)
	switch e.Kind {
	case core.Open:
		w.paths[e.File] = name
	case core.Write, core.Sync, core.Truncate, core.Allocate, core.Read:
		name = w.paths[e.File]
	case core.Rename:
		name, _ = e.RenamePaths()
	case core.Remove, core.Mkdir, core.SyncDir, core.List, core.Stat, core.Space:
	default:
		return false
	}
	return name == w.broken || strings.HasPrefix(name, w.broken+"/")
}

func (w *world) network(e core.Effect) {
	c := w.conns[e.Conn]
	if c == nil || c.closed && e.Kind != core.CloseConn {
		w.done(e, core.ConnGone, 0, nil)
		return
	}
	switch e.Kind {
	case core.Send:
		c.in = append(c.in, e.Data...)
		w.done(e, core.OK, int64(len(e.Data)), nil)
	case core.SendRange:
		f := w.open[e.File]
		require.NotNil(w.t, f, "SendRange of an open file")
		b := clip(f.data, e.Off, e.Len)
		require.Len(w.t, b, int(e.Len), "SendRange within the file")
		c.in = append(c.in, b...)
		w.done(e, core.OK, e.Len, nil)
	case core.CloseConn:
		if !c.closed {
			c.closed = true
			w.deliver(core.Event{Kind: core.Closed, Conn: e.Conn})
		}
	case core.Pause:
		c.paused = true
	case core.Resume:
		c.paused = false
	}
}

func (w *world) disk(e core.Effect) {
	name := string(e.Data)
	switch e.Kind {
	case core.Open:
		f := w.files[name]
		how := core.OpenMode(e.Len)
		switch {
		case f == nil && how == core.OpenExisting, !w.dirs[path.Dir(name)]:
			w.done(e, core.NotFound, 0, nil)
			return
		case f != nil && how == core.CreateNew:
			w.done(e, core.Exists, 0, nil)
			return
		case f == nil:
			f = &memFile{}
			w.files[name] = f
		case how == core.CreateEmpty:
			f.data = nil
		}
		w.open[e.File], w.paths[e.File] = f, name
		w.done(e, core.OK, int64(len(f.data)), nil)
		return
	case core.Mkdir:
		if w.dirs[name] {
			w.done(e, core.Exists, 0, nil)
			return
		}
		w.dirs[name] = true
	case core.Rename:
		w.rename(e)
		return
	case core.Remove:
		if w.files[name] == nil && !w.dirs[name] {
			w.done(e, core.NotFound, 0, nil)
			return
		}
		delete(w.files, name)
		delete(w.dirs, name)
	case core.SyncDir:
	case core.List:
		w.list(e, name)
		return
	case core.Stat:
		switch f := w.files[name]; {
		case f != nil:
			w.done(e, core.OK, int64(len(f.data)), nil)
		case w.dirs[name]:
			w.done(e, core.OK, -1, nil)
		default:
			w.done(e, core.NotFound, 0, nil)
		}
		return
	case core.Space:
		w.done(e, core.OK, 1<<40, binary.BigEndian.AppendUint64(nil, 1<<41))
		return
	default:
		w.file(e)
		return
	}
	w.done(e, core.OK, 0, nil)
}

func (w *world) rename(e core.Effect) {
	from, to := e.RenamePaths()
	switch {
	case w.files[from] != nil:
		w.files[to] = w.files[from]
		delete(w.files, from)
	case w.dirs[from]:
		w.dirs[to] = true
		delete(w.dirs, from)
		for name, f := range w.files {
			if strings.HasPrefix(name, from+"/") {
				w.files[to+name[len(from):]] = f
				delete(w.files, name)
			}
		}
	default:
		w.done(e, core.NotFound, 0, nil)
		return
	}
	w.done(e, core.OK, 0, nil)
}

func (w *world) list(e core.Effect, dir string) {
	if !w.dirs[dir] {
		w.done(e, core.NotFound, 0, nil)
		return
	}
	var entries []core.Entry
	for name, f := range w.files {
		if path.Dir(name) == dir {
			entries = append(entries, core.Entry{Name: path.Base(name), Size: int64(len(f.data))})
		}
	}
	for name := range w.dirs {
		if name != dir && path.Dir(name) == dir {
			entries = append(entries, core.Entry{Name: path.Base(name), Size: -1})
		}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
	w.done(e, core.OK, 0, core.AppendList(nil, entries))
}

func (w *world) file(e core.Effect) {
	f := w.open[e.File]
	if f == nil {
		w.done(e, core.NotFound, 0, nil)
		return
	}
	switch e.Kind {
	case core.CloseFile:
		delete(w.open, e.File)
	case core.Write:
		if need := int(e.Off) + len(e.Data); need > len(f.data) {
			f.data = append(f.data, make([]byte, need-len(f.data))...)
		}
		copy(f.data[e.Off:], e.Data)
		w.done(e, core.OK, int64(len(e.Data)), nil)
		return
	case core.Read:
		b := clip(f.data, e.Off, e.Len)
		err := core.OK
		if int64(len(b)) < e.Len {
			err = core.ShortRead
		}
		w.done(e, err, int64(len(b)), b)
		return
	case core.Truncate:
		if e.Len <= int64(len(f.data)) {
			f.data = f.data[:e.Len]
		} else {
			f.data = append(f.data, make([]byte, e.Len-int64(len(f.data)))...)
		}
	case core.Sync, core.Allocate:
	default:
		w.t.Fatalf("no such effect: %v", e.Kind)
	}
	w.done(e, core.OK, 0, nil)
}

// connect opens a connection.
func (w *world) connect(id core.ConnID, remote string) { w.connectTo(id, "PLAINTEXT", remote) }

func (w *world) connectTo(id core.ConnID, listener, remote string) {
	w.conns[id] = &memConn{}
	w.deliver(core.Event{Kind: core.Opened, Conn: id, Data: core.ConnInfo{Listener: listener, Local: "127.0.0.1:9092", Remote: remote}.Append(nil)})
	w.run()
}

// hangUp closes a connection from the client's side.
func (w *world) hangUp(id core.ConnID, err core.Errno) {
	w.conns[id].closed = true
	w.deliver(core.Event{Kind: core.Closed, Conn: id, Err: err})
	w.run()
}

// send gives a request to a connection.
func (w *world) send(id core.ConnID, version int16, client string, q kmsg.Request) {
	c := w.conns[id]
	c.next++
	q.SetVersion(version)
	h := wire.Header{Key: q.Key(), Version: version, Correlation: c.next, ClientID: client, HasClientID: true}
	frame := wire.AppendRequest(nil, h, q)
	c.asked = append(c.asked, asked{c.next, q.Key(), version})
	w.raw(id, frame)
}

func (w *world) raw(id core.ConnID, frame []byte) {
	w.deliver(core.Event{Kind: core.Frame, Conn: id, Data: frame, Req: Prepare(frame, core.FromClient)})
	w.run()
}

// receive takes the next reply off a connection, or nil.
func (w *world) receive(id core.ConnID) kmsg.Response {
	c := w.conns[id]
	if len(c.in) < 4 {
		return nil
	}
	n := int(binary.BigEndian.Uint32(c.in)) + 4
	require.GreaterOrEqual(w.t, len(c.in), n, "a reply is sent whole")
	frame := c.in[:n]
	c.in = c.in[n:]
	require.NotEmpty(w.t, c.asked, "a reply without a request")
	a := c.asked[0]
	c.asked = c.asked[1:]
	if a.key == wire.KeyApiVersions && a.version > 4 {
		a.version = 0 // as the broker answers what it does not know
	}
	correlation, body, err := wire.ParseResponse(frame, a.key, a.version)
	require.NoError(w.t, err)
	require.Equal(w.t, a.correlation, correlation, "replies come in the order of requests")
	resp := kmsg.ResponseForKey(a.key)
	resp.SetVersion(a.version)
	require.NoError(w.t, resp.ReadFrom(body))
	if w.heard != nil {
		w.heard(resp)
	}
	return resp
}
