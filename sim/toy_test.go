package sim

import (
	"encoding/binary"
	"slices"

	"klamm/core"
)

// The world is tested with a toy: a server that writes what it gets to a file, syncs, and only then answers; and a
// client that counts upward and believes each answer. planted makes the server wrong in one way.

type planted int

const (
	sound planted = iota
	replyBeforeSync
	noSyncDir
	believesFailedSync
	reusesBuffer
	releasesTwice
	spins
)

const toyOps = 1

type toyServer struct {
	bug     planted
	ops     core.Ops[toyWait]
	end     int64
	synced  int64
	syncing bool
	ready   bool
	broken  bool
	waiting []toyWait
	queue   []core.Event
}

type toyWait struct {
	what byte // o open, d dir, r read, w write, s sync
	conn core.ConnID
	end  int64
	n    uint64
	buf  []byte
}

func (s *toyServer) Next() core.Time {
	if s.bug == spins && s.end > 400 {
		return 0
	}
	return core.Never
}

func (s *toyServer) Step(now core.Now, ev *core.Event, out *core.Out) {
	switch ev.Kind {
	case core.Boot:
		s.ops = core.NewOps[toyWait](toyOps, 1000)
		out.Open(s.ops.Start(toyWait{what: 'o'}), 1, "/toy.log", core.CreateOrOpen)
	case core.Tick:
		if ev.Err == core.Stopping {
			out.Exit(0)
		}
	case core.Frame:
		if !s.ready {
			s.queue = append(s.queue, *ev)
			return
		}
		s.frame(ev, out)
	case core.Done:
		w, ok := s.ops.Finish(ev.Op)
		core.Must(ok, "an op is known")
		s.done(w, ev, out)
	}
}

func (s *toyServer) frame(ev *core.Event, out *core.Out) {
	if s.broken || len(ev.Data) != 12 {
		out.CloseConn(ev.Conn)
		out.Release(ev.Data)
		return
	}
	n := binary.BigEndian.Uint64(ev.Data[4:])
	out.Mark("toy.frame")
	out.Write(s.ops.Start(toyWait{what: 'w', conn: ev.Conn, end: s.end + 8, n: n, buf: ev.Data}), 1, s.end, ev.Data[4:])
	s.end += 8
	if s.bug == reusesBuffer {
		ev.Data[11] ^= 1
	}
	if s.bug == replyBeforeSync {
		s.reply(ev.Conn, n, out)
	}
}

func (s *toyServer) reply(conn core.ConnID, n uint64, out *core.Out) {
	out.Send(0, conn, binary.BigEndian.AppendUint64([]byte{0, 0, 0, 8}, n))
}

func (s *toyServer) done(w toyWait, ev *core.Event, out *core.Out) {
	if ev.Err != core.OK && (w.what != 'r' || ev.Err != core.ShortRead) && s.bug != believesFailedSync {
		s.broken = true
		out.Note(core.Error, "file failed")
		out.Exit(1)
		return
	}
	switch w.what {
	case 'o':
		if s.bug == noSyncDir {
			out.Read(s.ops.Start(toyWait{what: 'r'}), 1, 0, 1<<20)
			return
		}
		out.SyncDir(s.ops.Start(toyWait{what: 'd'}), "/")
	case 'd':
		out.Read(s.ops.Start(toyWait{what: 'r'}), 1, 0, 1<<20)
	case 'r':
		s.end = int64(len(ev.Data)) / 8 * 8
		// What was read may be in the cache alone: it is written anew before anybody relies on it.
		out.Write(s.ops.Start(toyWait{what: 'w', end: s.end}), 1, 0, slices.Clone(ev.Data[:s.end]))
		out.Release(ev.Data)
		s.ready = true
		for i := range s.queue {
			s.frame(&s.queue[i], out)
		}
		s.queue = nil
	case 'w':
		if w.buf != nil {
			out.Release(w.buf)
			if s.bug == releasesTwice && w.n%50 == 7 {
				out.Release(w.buf)
			}
		}
		s.waiting = append(s.waiting, w)
	case 's':
		s.syncing = false
		i := 0
		for ; i < len(s.waiting) && s.waiting[i].end <= w.end; i++ {
			if v := s.waiting[i]; v.conn != 0 && s.bug != replyBeforeSync {
				s.reply(v.conn, v.n, out)
			}
		}
		s.waiting = slices.Delete(s.waiting, 0, i)
	}
	if len(s.waiting) > 0 && !s.syncing {
		s.syncing = true
		out.Sync(s.ops.Start(toyWait{what: 's', end: s.waiting[len(s.waiting)-1].end}), 1)
	}
}

type toyClient struct {
	tag   uint64 // distinguishes clients
	conn  core.ConnID
	up    bool
	think bool
	sent  uint64
	acked *[]uint64
	world *World
	due   core.Time
	last  core.Time
	op    uint64
}

func (c *toyClient) Next() core.Time { return c.due }

func (c *toyClient) Step(now core.Now, ev *core.Event, out *core.Out) {
	switch ev.Kind {
	case core.Boot:
		c.due = now.Mono
	case core.Opened:
		c.up, c.think = ev.Err == core.OK, false
		c.due = now.Mono + 50*core.Millisecond
		if c.up {
			c.send(now, out)
		}
	case core.Closed:
		c.up = false
		c.due = now.Mono + 20*core.Millisecond
	case core.Frame:
		n := binary.BigEndian.Uint64(ev.Data[4:])
		out.Release(ev.Data)
		*c.acked = append(*c.acked, n)
		c.world.told(toldRecord)
		c.think, c.due = true, now.Mono+20*core.Millisecond
	case core.Tick:
		switch {
		case c.up && c.think:
			c.think = false
			c.send(now, out)
		case c.up:
			out.CloseConn(c.conn) // no answer in time
			c.due = core.Never
		case now.Mono >= c.due:
			c.conn += 2
			c.op++
			out.Dial(core.Op(2<<56|c.op), c.conn, "server:9092")
			c.due = core.Never
		}
	}
}

func (c *toyClient) send(now core.Now, out *core.Out) {
	c.sent++
	out.Send(0, c.conn, binary.BigEndian.AppendUint64([]byte{0, 0, 0, 8}, c.tag<<32|c.sent))
	c.due = now.Mono + 2*core.Second
}

func toySplit(b []byte, limit int) (int, core.Errno) {
	if len(b) < 4 {
		return 0, core.OK
	}
	n := int(binary.BigEndian.Uint32(b)) + 4
	if n < 4 || n > limit {
		return 0, core.BadFrame
	}
	return n, core.OK
}

// toyRun runs a seed and returns the world and the answers that were believed.
func toyRun(seed uint64, bug planted, edit func(w *World, plan []Fault) []Fault) (*World, []uint64) {
	return toyRunOn(NewKeyed(seed), bug, edit)
}

func toyRunOn(choices Chooser, bug planted, edit func(w *World, plan []Fault) []Fault) (*World, []uint64) {
	w := NewWorld(choices)
	w.Debug = true
	pure := core.Pure{Split: toySplit, Work: func(core.WorkKind, []byte, []byte) []byte { return nil }}
	none := func(uint32) string { return "" }
	w.Add(&Node{Name: "server", Broker: true, Pure: pure, Config: none, Make: func(uint32) core.Machine { return &toyServer{bug: bug} }}, "server", "9092", 1<<30)
	acked := new([]uint64)
	for i := range 3 {
		tag := uint64(i + 1)
		w.Add(&Node{Name: "client", Pure: pure, Config: none, Make: func(life uint32) core.Machine {
			return &toyClient{acked: acked, world: w, tag: tag<<16 | uint64(life)}
		}}, "client", "0", 1<<20)
	}
	for i := range w.Nodes {
		w.StartAt(0, i)
	}
	cfg := Config{Chaos: 4 * core.Second, Set: SetAll, Clients: 3}
	plan := drawPlan(choices, &cfg)
	if edit != nil {
		plan = edit(w, plan)
	}
	w.SetPlan(plan)
	w.Run(cfg.Chaos, 1<<20)
	if w.Failure != nil {
		return w, *acked
	}
	w.Heal()
	w.Run(cfg.Chaos+20*core.Second, 1<<22)
	return w, *acked
}

// toyLost counts the believed answers that the file does not hold.
func toyLost(w *World, acked []uint64) (lost int) {
	w.Heal()
	w.Crash(0, true)
	w.Run(w.Now()+5*core.Second, 1<<30)
	file, _ := w.Nodes[0].Disk.File("/toy.log")
	var there []uint64
	for ; len(file) >= 8; file = file[8:] {
		there = append(there, binary.BigEndian.Uint64(file))
	}
	slices.Sort(there)
	for _, n := range acked {
		if _, ok := slices.BinarySearch(there, n); !ok {
			lost++
		}
	}
	return lost
}
