package broker

import (
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// move asks a node to move its replica to a directory.
func (r *replicas) move(node int, dir string) wire.Code {
	q := kmsg.NewPtrAlterReplicaLogDirsRequest()
	d, topic := kmsg.NewAlterReplicaLogDirsRequestDir(), kmsg.NewAlterReplicaLogDirsRequestDirTopic()
	topic.Topic, topic.Partitions = "t", []int32{0}
	d.Dir, d.Topics = dir, append(d.Topics, topic)
	q.Dirs = append(q.Dirs, d)
	return wire.Code(r.call(node, "PLAINTEXT", 2, q).(*kmsg.AlterReplicaLogDirsResponse).Topics[0].Partitions[0].ErrorCode)
}

// A leader that is cut off takes records that nobody copies, and its future log copies them. When it is back it is cut, and its log knows
// nothing of the epoch in which it led; the future log is cut likewise, and takes its place, even if no record comes any more.
func TestReplicaIsCutWhileItMoves(t *testing.T) {
	r := newReplicas(t, 3, "log.dirs=/data,/data2\nreplica.lag.time.max.ms=1000\n", "min.insync.replicas=2")
	r.mustProduce("a")
	r.converge(2 * core.Second)
	first := r.leader("t", 0)
	r.kill(first)
	r.until("another leads", 20*core.Second, func() bool { at := r.leader("t", 0); return at >= 0 && at != first })
	r.restart(first)
	r.until("all are in sync", 20*core.Second, func() bool {
		at := r.leader("t", 0)
		return at >= 0 && len(r.nodes[at].b.img.Partition("t", 0).ISR) == 3
	})
	old := r.leader("t", 0)
	r.cutOff(old)
	require.Equal(t, wire.RequestTimedOut, r.produce("lost", acksAll))
	h, w := r.hosted(old, "t", 0), r.nodes[old]
	from := w.b.store.Log(h.log).Place()
	dirs := []string{"/data", "/data2"}
	require.Zero(t, r.move(old, dirs[1-from]))
	r.until("the move has been told", 5*core.Second, func() bool { return len(w.b.moves) == 1 && w.b.moves[0].near })
	require.Equal(t, []string{"a", "lost"}, values(t, r.bytes(old, "t")))
	r.until("another leads", 20*core.Second, func() bool { return r.leader("t", 0) != old })
	r.advance(controllerWait + 2*core.Second)
	r.healNode(old)
	r.until("the move has ended", 30*core.Second, func() bool { return len(w.b.moves) == 0 })
	require.Equal(t, 1-from, w.b.store.Log(h.log).Place())
	require.NotZero(t, w.marks.Count("broker.future-log-cut"))
	require.Zero(t, w.marks.Count("broker.swap-called-back"))
	r.mustProduce("b")
	r.converge(30 * core.Second)
	require.Equal(t, []string{"a", "b"}, values(t, r.bytes(old, "t")))
}

// A log that has begun anew knows no epoch at all. Its future log, which goes farther, gives up what is not in it.
func TestReplicaBeginsAnewWhileItMoves(t *testing.T) {
	for _, to := range []core.Offset{2, 3} { // below the end of the future log, and at it
		r := newReplicas(t, 3, "log.dirs=/data,/data2\n", "min.insync.replicas=2")
		for _, value := range []string{"a", "b", "c"} {
			r.mustProduce(value)
		}
		r.converge(2 * core.Second)
		at := r.follower()
		r.cutOff(at)
		h, w := r.hosted(at, "t", 0), r.nodes[at]
		c := w.b.store.Log(h.log)
		require.Zero(t, r.move(at, []string{"/data2", "/data"}[c.Place()]))
		r.until("all is copied", 5*core.Second, func() bool { return len(w.b.moves) == 1 && w.b.moves[0].near })
		var out core.Out
		require.Equal(t, log.AppendOK, w.b.store.Restart(w.now, h.log, to, &out))
		for _, e := range out.Effects {
			w.carryOut(e)
		}
		w.run()
		f := w.b.store.Log(w.b.moves[0].future)
		r.until("the future log is as empty", 5*core.Second, func() bool { return f.Start() == to && f.End() == to })
		require.Equal(t, []core.Offset{to, to}, []core.Offset{c.Start(), c.End()})
		require.Equal(t, []core.Epoch{-1, -1}, []core.Epoch{c.Epoch(), f.EpochBelow(to)})
		require.True(t, w.b.moves[0].near)
	}
}

// stall has effects of one kind on files of the topic's replica, and of its future log, wait until they are let go.
func (r *replicas) stall(node int, kind core.EffectKind) (letGo func()) {
	w := r.nodes[node]
	var held []core.Effect
	on, others := true, w.peers
	w.peers = func(e core.Effect) bool {
		if on && e.Kind == kind && strings.Contains(w.paths[e.File], "/t-0") {
			held = append(held, e)
			return true
		}
		return others(e)
	}
	return func() {
		on = false
		for _, e := range held {
			w.carryOut(e)
		}
		r.settle()
	}
}

// sends counts how often a node sends records of a log to another one.
func (r *replicas) sends(from, to int) *int {
	w, n := r.nodes[from], 0
	others := w.peers
	w.peers = func(e core.Effect) bool {
		if l, side := r.find(from, e.Conn); e.Kind == core.SendRange && l != nil && l.node[1-side] == to && strings.Contains(w.paths[e.File], "/t-0") {
			n++
		}
		return others(e)
	}
	return &n
}

// A follower's log gives its place to the copy in another directory, and the disk takes its time. Records that come meanwhile are sent
// once, as they were asked for before, and then when they are taken: at once when the new log is there.
func TestFollowerAsksForNothingInASwap(t *testing.T) {
	for _, durability := range []string{"sync", "replicate"} {
		t.Run(durability, func(t *testing.T) {
			r := newReplicas(t, 3, "klamm.durability="+durability+"\nlog.dirs=/data,/data2\n", "min.insync.replicas=2")
			r.mustProduce("a")
			r.converge(2 * core.Second)
			at := r.follower()
			h, w := r.hosted(at, "t", 0), r.nodes[at]
			w.b.assign.retryAt = core.Never
			from := w.b.store.Log(h.log).Place()
			require.Zero(t, r.move(at, []string{"/data2", "/data"}[from]))
			r.until("all is copied", 5*core.Second, func() bool { return len(w.b.moves) == 1 && w.b.moves[0].near })
			w.held[core.Rename] = true
			w.b.assign.retryAt = 0
			r.until("the swap has begun", core.Second, func() bool { return w.b.store.Log(h.log).Swapping() })
			sends := r.sends(r.leader("t", 0), at)
			for _, value := range []string{"b", "c", "d"} {
				require.Equal(t, wire.None, r.produce(value, acksLeader))
				r.advance(500 * core.Millisecond)
			}
			require.LessOrEqual(t, *sends, 1)
			require.Equal(t, core.Offset(1), w.b.store.Log(h.log).End())
			require.Equal(t, core.Never, h.follower.Next())
			w.release()
			r.settle()
			require.Empty(t, w.b.moves)
			require.Equal(t, core.Offset(4), w.b.store.Log(h.log).End())
			require.LessOrEqual(t, *sends, 4)
			require.Zero(t, w.marks.Count("broker.swap-called-back"))
			r.converge(2 * core.Second)
			require.Equal(t, []string{"a", "b", "c", "d"}, values(t, r.bytes(at, "t")))
		})
	}
}

// A swap waits until the disk has what there is to be exchanged, and the log takes appends meanwhile. One that a hanging disk keeps from its end is
// called back, and the log takes them for as long again, before another one begins.
func TestSwapIsCalledBack(t *testing.T) {
	r := newReplicas(t, 3, "klamm.durability=replicate\nlog.dirs=/data,/data2\n", "min.insync.replicas=2")
	r.mustProduce("a")
	r.converge(2 * core.Second)
	at := r.follower()
	h, w := r.hosted(at, "t", 0), r.nodes[at]
	from := w.b.store.Log(h.log).Place()
	w.b.assign.retryAt = core.Never
	require.Zero(t, r.move(at, []string{"/data2", "/data"}[from]))
	r.until("all is copied", 5*core.Second, func() bool { return len(w.b.moves) == 1 && w.b.moves[0].near })
	require.False(t, w.b.isTold(&w.b.moves[0]))
	end := func() core.Offset { return w.b.store.Log(h.log).End() }

	letGo := r.stall(at, core.Sync) // nothing was synced yet: the swap does not begin
	w.b.assign.retryAt = 0
	r.until("the controller knows", 5*core.Second, func() bool { return w.b.isTold(&w.b.moves[0]) })
	r.advance(2 * core.Second)
	require.False(t, w.b.store.Log(h.log).Swapping())
	require.Equal(t, wire.None, r.produce("b", acksLeader))
	r.until("it is taken", 100*core.Millisecond, func() bool { return end() == 2 })
	w.b.moves[0].again = w.now.Mono.After(core.Second)
	letGo()
	letGo = r.stall(at, core.Sync)
	require.Zero(t, w.marks.Count("broker.swap-called-back"))
	require.Equal(t, wire.None, r.produce("c", acksLeader)) // it is not synced, but was not there when the swap was first to begin
	r.until("the swap has begun", 2*core.Second, func() bool { return w.b.store.Log(h.log).Swapping() })
	require.Equal(t, wire.None, r.produce("d", acksLeader))
	r.advance(900 * core.Millisecond)
	require.Equal(t, core.Offset(3), end())
	r.until("the swap is called back", 200*core.Millisecond, func() bool { return w.marks.Count("broker.swap-called-back") == 1 })
	r.until("what came is taken", 50*core.Millisecond, func() bool { return end() == 4 })
	letGo()
	r.advance(800 * core.Millisecond)
	require.Equal(t, wire.None, r.produce("e", acksLeader))
	r.until("and what comes", 50*core.Millisecond, func() bool { return end() == 5 })
	require.Len(t, w.b.moves, 1)
	r.until("the move has ended", core.Second, func() bool { return len(w.b.moves) == 0 })
	r.converge(2 * core.Second)
	require.Equal(t, 1, int(w.marks.Count("broker.swap-called-back")))
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, values(t, r.bytes(at, "t")))
}

// A replica is served, and the broker falls before the controller has heard where it is. The next life cannot read that directory: the metadata
// still have the broker choose, and it does not choose again, for it would serve an empty log. A partition that comes later is new,
// and it chooses.
func TestReplicaOfAnUntoldDirectory(t *testing.T) {
	r := &replicas{fleet: newFleet(t, 3, func(int) string { return "log.dirs=/data,/data2,/data3\nmetadata.log.dir=/meta\n" })}
	r.until("all are ready", 10*core.Second, r.ready)
	for _, w := range r.nodes {
		w.b.assign.retryAt = core.Never // nothing is told in this life
	}
	r.create(1)
	r.mustProduce("a")
	at := r.leader("t", 0)
	w := r.nodes[at]
	known := func() core.TopicID { return w.b.directoryIn(w.b.img.Partition("t", 0)) }
	require.Equal(t, dirUnassigned, known())
	path := w.b.store.Path(w.b.store.Log(r.hosted(at, "t", 0).log).Place())

	r.kill(at)
	w.broken = path
	r.restart(at)
	r.until("the controller knows that it is offline", 20*core.Second, func() bool { return w.b.img != nil && w.b.stage == stageReady && known() == dirDamaged })
	require.True(t, r.hosted(at, "t", 0).offline())
	require.NotZero(t, w.marks.Count("broker.unassigned-and-offline"))
	require.Equal(t, -1, r.leader("t", 0))
	for file := range w.files {
		require.False(t, strings.Contains(file, "/t-0/") && !strings.HasPrefix(file, path+"/"), file)
	}
	q, topic := kmsg.NewPtrCreateTopicsRequest(), kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "later", 1, 3
	q.Topics, q.TimeoutMillis = append(q.Topics, topic), 5000
	require.Zero(t, r.call(r.running(), "PLAINTEXT", 7, q).(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	r.until("the later one is there", 5*core.Second, func() bool { h := r.hosted(at, "later", 0); return h != nil && h.open && !h.offline() })

	r.kill(at)
	w.broken = ""
	r.restart(at)
	r.until("it leads again", 20*core.Second, func() bool { return r.leader("t", 0) == at })
	r.mustProduce("b")
	require.Equal(t, []string{"a", "b"}, values(t, r.bytes(at, "t")))
	require.Equal(t, w.b.dirOf(r.hosted(at, "t", 0).log), known())
}
