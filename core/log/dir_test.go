package log

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// load copies a real directory into the fake world.
func (w *world) load(t *testing.T, dir string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		rel, _ := filepath.Rel(dir, path)
		if rel == "." {
			return nil
		}
		parent, name, _ := w.lookup("d/" + rel)
		n := newDir()
		if !d.IsDir() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			n = &node{data: b, synced: append([]byte(nil), b...)}
		}
		parent.entries[name], parent.platter[name] = n, n
		return nil
	}))
}

// save writes the fake disk to a real directory.
func (w *world) save(t *testing.T, dir string) {
	for _, path := range w.tree(w.root, "") {
		to := filepath.Join(dir, strings.TrimPrefix(path, "d/"))
		if _, _, n := w.lookup(strings.TrimSuffix(path, "/")); n.dir {
			require.NoError(t, os.MkdirAll(to, 0o755))
		} else {
			require.NoError(t, os.WriteFile(to, n.data, 0o644))
		}
	}
}

// A directory of KLAMM_LOG_DIR, such as Apache Kafka writes, is loaded and described, and what a clean stop makes of it is
// written to KLAMM_LOG_OUT; there Kafka's own tools can look at it.
func TestRealDirectory(t *testing.T) {
	dir := os.Getenv("KLAMM_LOG_DIR")
	if dir == "" {
		t.Skip("KLAMM_LOG_DIR is not set")
	}
	w := newWorld(nil)
	w.load(t, dir)
	w.start()
	w.run()
	require.True(t, w.s.Ready())
	for _, id := range w.s.IDs() {
		l := w.s.Log(id)
		t.Logf("%s id=%s online=%v %s start=%d end=%d durable=%d high=%d epochs=%v producers=%d", l.name(), l.topic, l.Online(), l.why, l.start, l.end, l.durable, l.high, l.epochs, len(l.producers))
		for _, g := range l.Segments() {
			t.Logf("   %+v", g)
		}
		require.True(t, l.Online())
	}
	for _, n := range w.notes {
		t.Log(n)
	}
	t.Log(w.marks.Names())
	w.s.Stop(w.now, &w.out)
	w.gather()
	w.run()
	require.Empty(t, w.changes[len(w.changes)-1].Note)
	if out := os.Getenv("KLAMM_LOG_OUT"); out != "" {
		w.save(t, out)
	}
}

// A directory with rolled segments, producers, epochs and gaps in time is written to KLAMM_LOG_OUT for Kafka's tools.
func TestWriteDirectory(t *testing.T) {
	out := os.Getenv("KLAMM_LOG_OUT")
	if out == "" || os.Getenv("KLAMM_LOG_DIR") != "" {
		t.Skip("KLAMM_LOG_OUT is not set")
	}
	w := newWorld(nil)
	w.start()
	w.run()
	cfg := DefaultConfig()
	cfg.SegmentBytes = 20000
	cfg.IndexInterval = 1000
	id := w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{1}, cfg, &w.out)
	w.gather()
	w.run()
	seq := int32(0)
	for i := range 1000 {
		b := makeBatch(1+i%5, w.now.Wall.Millis()+int64(i*37%500), &batch.Producer{ID: int64(i % 3), Epoch: 0, Sequence: seq}, strings.Repeat("x", i%200))
		seq += int32(1 + i%5)
		_, err := w.s.Append(w.now, id, b, core.Epoch(i/300), &w.out)
		require.Equal(t, AppendOK, err)
		w.gather()
		w.run()
	}
	w.s.Stop(w.now, &w.out)
	w.gather()
	w.run()
	w.save(t, out)
}
