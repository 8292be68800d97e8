package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// FuzzRecovery boots from files that anyone may have written: the first byte says which file the rest becomes, beside
// a log that is sound. Nothing panics, hangs, or asks for more than there is.
func FuzzRecovery(f *testing.F) {
	sound := newWorld(nil)
	sound.start()
	sound.run()
	cfg := DefaultConfig()
	cfg.SegmentBytes, cfg.IndexInterval = 500, 100
	id := sound.s.Create(sound.now, Partition{Topic: "t"}, core.TopicID{1}, cfg, &sound.out)
	sound.gather()
	sound.run()
	for range 12 {
		sound.s.Append(sound.now, id, makeBatch(2, 5, nil, "value"), 0, &sound.out)
		sound.gather()
		sound.run()
	}
	sound.advance(10 * core.Second)
	names := []string{
		"t-0/00000000000000000000.log", "t-0/00000000000000000010.log", "t-0/00000000000000000020.log", "t-0/00000000000000000000.index",
		"t-0/00000000000000000000.timeindex", "t-0/00000000000000000020.snapshot", "t-0/00000000000000000020.index", "t-0/00000000000000000020.timeindex",
		"t-0/leader-epoch-checkpoint", "t-0/partition.metadata", "recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
		"replication-offset-checkpoint", ".kafka_cleanshutdown", "t-0/00000000000000000007.log", "t-0/00000000000000000000.log.swap",
	}
	for i, name := range names {
		seed := []byte{byte(i)}
		if _, _, n := sound.lookup("d/" + name); n != nil {
			seed = append(seed, n.data...)
		}
		f.Add(seed)
		f.Add(append(append([]byte{}, seed...), 0, 0, 0, 0, 0, 0, 0, 99, 127, 255, 255, 255, 0, 0, 0, 0, 2))
	}
	files := map[string][]byte{}
	for _, path := range sound.tree(sound.root.entries["d"], "") {
		if _, _, n := sound.lookup("d/" + path); n != nil && !n.dir {
			files[path] = n.data
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		w := newWorld(nil)
		dir := newDir()
		w.root.entries["d"].entries["t-0"], w.root.entries["d"].platter["t-0"] = dir, dir
		put := func(path string, data []byte) {
			parent, name, _ := w.lookup("d/" + path)
			n := &node{data: append([]byte(nil), data...), synced: append([]byte(nil), data...)}
			parent.entries[name], parent.platter[name] = n, n
		}
		for _, name := range names {
			if data, ok := files[name]; ok {
				put(name, data)
			}
		}
		put("t-0/partition.metadata", files["t-0/partition.metadata"])
		if b[0]&64 != 0 {
			put(".kafka_cleanshutdown", formatMarker(1))
		}
		put(names[int(b[0]&63)%len(names)], b[1:])
		w.start()
		w.run()
		require.True(t, w.s.Ready())
		id, ok := w.s.Find(Partition{Topic: "t"})
		require.True(t, ok)
		require.LessOrEqual(t, w.maxRead, int64(smallFileMax+1), "an outsized read")
		l := w.s.Log(id)
		if !l.Online() {
			return
		}
		end, start := l.end, l.start
		w.s.SeekTime(w.now, id, 5, end, &w.out)
		w.gather()
		w.s.ReadAt(w.now, id, start, end, 100, &w.out)
		w.gather()
		w.run()
		w.crash(func() bool { return false })
		w.start()
		w.run()
		id, _ = w.s.Find(Partition{Topic: "t"})
		l = w.s.Log(id)
		require.True(t, l.Online(), "I11: %s", l.Offline())
		require.Equal(t, end, l.end, "I11")
		require.Equal(t, start, l.start, "I11")
	})
}
