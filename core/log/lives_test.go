package log

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
)

// lives is a name under which topics come and go.
type lives struct {
	w       *world
	p       Partition
	cfg     Config
	topic   byte // id of the newest topic of the name
	wanted  bool // it exists: whoever owns the Store has decided so
	loaded  bool // its log was Loaded once
	batches [][]byte
	durable core.Offset
	start   core.Offset // the greatest that was reported
	asked   core.Offset // the greatest that DeleteBefore was called with
	id      LogID
}

func (x *lives) log() *Log { return x.w.s.Log(x.id) }

func (x *lives) note(t *rapid.T) {
	for _, c := range x.w.changes {
		if c.ID == x.id && x.wanted {
			switch c.What {
			case Loaded:
				x.loaded = true
			case Durable:
				x.durable = max(x.durable, c.Offset)
			case Start:
				require.LessOrEqual(t, c.Offset, x.asked, "I71: nobody asked for this start")
				x.start = max(x.start, c.Offset)
			}
		}
		require.NotEqual(t, Failed, c.What, c.Note)
	}
	x.w.changes = x.w.changes[:0]
}

func (x *lives) settle(t *rapid.T, n int) {
	for i := 0; i < n && x.w.step(); i++ {
		x.note(t)
	}
}

func (x *lives) create() {
	x.id = x.w.s.Create(x.w.now, x.p, core.TopicID{x.topic}, x.cfg, &x.w.out)
	x.w.gather()
}

// boot does what a broker does: a log of another topic goes, a missing one is made.
func (x *lives) boot(t *rapid.T) {
	x.id = NoLog
	x.w.start()
	x.w.run()
	id, there := x.w.s.Find(x.p)
	l := x.w.s.Log(id)
	whole := there && (l.TopicID() == core.TopicID{x.topic} || l.TopicID().IsZero() && l.End() == 0)
	if there && (!x.wanted || !whole) {
		require.False(t, x.wanted && x.loaded, "the log of topic %d is gone, that of another is there", x.topic)
		x.w.s.Delete(x.w.now, id, &x.w.out)
		x.w.gather()
	}
	x.note(t)
	if !x.wanted {
		return
	}
	if !whole {
		require.False(t, x.loaded, "a log that was loaded is gone")
		x.create()
		return
	}
	x.id = id
	x.w.s.SetTopicID(x.w.now, id, core.TopicID{x.topic}, &x.w.out)
	x.w.s.SetConfig(x.w.now, id, x.cfg, &x.w.out)
	x.loaded = x.log().Online()
	x.w.gather()
	if x.log().Online() {
		x.agrees(t)
	}
}

// agrees compares a log that was loaded with what was done to it.
func (x *lives) agrees(t *rapid.T) {
	l := x.log()
	require.True(t, l.Online(), l.Offline())
	require.GreaterOrEqual(t, l.End(), x.durable, "I12")
	require.GreaterOrEqual(t, l.Start(), x.start, "I71: the start fell")
	require.LessOrEqual(t, l.Start(), x.asked, "I71: nobody asked for this start")
	require.LessOrEqual(t, int(l.End()), len(x.batches), "I06")
	x.batches, x.start, x.durable = x.batches[:l.End()], l.Start(), l.End()
	for i := range l.ring.n {
		b := l.ring.at(i)
		if b.end <= l.Start() {
			continue
		}
		_, _, n := x.w.lookup(segmentPath(l.dir, b.seg, ".log"))
		require.Equal(t, x.batches[b.base], n.data[b.pos:b.pos+b.size], "I06")
	}
}

// Topics of one name come and go, with crashes between any two effects: a log is never taken for that of an earlier topic,
// nor for older or newer than it is.
func TestTopicsOfOneName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		x := &lives{w: w, p: Partition{Topic: "t"}, cfg: DefaultConfig()}
		x.cfg.SegmentBytes, x.cfg.RetentionTime, x.cfg.DeleteDelay = rapid.Int64Range(100, 400).Draw(t, "segment.bytes"), core.Never, core.Second
		w.start()
		w.run()
		crash := func(t *rapid.T) {
			x.note(t)
			keep, odds := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "luck"), 2)), rapid.IntRange(0, 4).Draw(t, "odds")
			w.crash(func() bool { return keep.IntN(4) < odds })
			x.boot(t)
		}
		appends := func(t *rapid.T) {
			if !x.wanted || !x.log().Online() {
				return
			}
			b := makeBatch(1, w.now.Wall.Millis(), &batch.Producer{ID: int64(x.topic), Sequence: int32(len(x.batches))}, "some value")
			base, err := w.s.Append(w.now, x.id, b, 0, &w.out)
			require.Equal(t, AppendOK, err)
			require.EqualValues(t, len(x.batches), base)
			x.batches = append(x.batches, b)
			w.gather()
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				if !x.wanted {
					x.topic++
					*x = lives{w: w, p: x.p, cfg: x.cfg, topic: x.topic, wanted: true}
					x.create()
				}
			},
			"drop": func(t *rapid.T) {
				if x.wanted {
					x.note(t)
					w.s.Delete(w.now, x.id, &w.out)
					w.gather()
					x.wanted = false
				}
			},
			"append": appends, "append 2": appends,
			"delete": func(t *rapid.T) {
				if l := x.log(); x.wanted && l.Online() && l.Durable() > l.Start() {
					w.s.SetHigh(w.now, x.id, l.Durable(), &w.out)
					to := core.Offset(rapid.Int64Range(int64(l.Start()), int64(l.Durable())).Draw(t, "to"))
					require.True(t, w.s.DeleteBefore(w.now, x.id, to, &w.out))
					x.asked = max(x.asked, to)
					w.gather()
				}
			},
			"step":  func(t *rapid.T) { x.settle(t, rapid.IntRange(1, 20).Draw(t, "n")) },
			"run":   func(t *rapid.T) { x.settle(t, 100000) },
			"time":  func(t *rapid.T) { w.advance(6 * core.Second); x.note(t) },
			"crash": crash,
			"kill":  func(t *rapid.T) { x.note(t); w.kill(); x.boot(t) },
			"stop": func(t *rapid.T) {
				w.s.Stop(w.now, &w.out)
				w.gather()
				w.run()
				require.Empty(t, w.changes[len(w.changes)-1].Note)
				crash(t)
			},
		})
	})
}
