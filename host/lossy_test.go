package host

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
)

// afterKill is what lies on disk, as a process that starts after a kill finds it.
func afterKill(t require.TestingT, dir string) map[string]string {
	got := map[string]string{}
	var walk func(at, name string)
	walk = func(at, name string) {
		entries, err := os.ReadDir(at)
		require.NoError(t, err)
		for _, e := range entries {
			if e.Name() == lossyUnnamed {
				continue
			}
			if e.IsDir() {
				got[name+e.Name()+"/"] = ""
				walk(at+"/"+e.Name(), name+e.Name()+"/")
				continue
			}
			b, err := os.ReadFile(at + "/" + e.Name())
			require.NoError(t, err)
			got[name+e.Name()] = string(b)
		}
	}
	walk(dir, "")
	return got
}

// A kill loses exactly what was not synced: bytes, names, renames and removals.
func TestLossyLosesTheUnsynced(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(in(dir, "old"), []byte("from before"), 0o644))
	l, err := NewLossy(dir, false)
	require.NoError(t, err)
	write := func(f File, off int64, s string) { require.NoError(t, f.Pwritev([][]byte{[]byte(s)}, off)) }
	open := func(name string, how core.OpenMode) File {
		f, _, err := l.Open(in(dir, name), how)
		require.NoError(t, err)
		return f
	}

	a := open("a", core.CreateNew)
	write(a, 0, "synced")
	require.NoError(t, a.Sync())
	require.Equal(t, map[string]string{"old": "from before"}, afterKill(t, dir), "synced, but its name is not")
	require.NoError(t, l.SyncDir(dir))
	write(a, 6, " and not")
	require.Equal(t, "synced", afterKill(t, dir)["a"])
	b := make([]byte, 20)
	n, _ := a.Pread(b, 0)
	require.Equal(t, "synced and not", string(b[:n]), "seen, though not durable")

	old := open("old", core.OpenExisting)
	write(old, 5, "NEVER")
	require.NoError(t, old.Truncate(10))
	require.NoError(t, l.Rename(in(dir, "old"), in(dir, "a"))) // over a
	require.Equal(t, map[string]string{"old": "from before", "a": "synced"}, afterKill(t, dir))
	require.NoError(t, l.SyncDir(dir))
	require.Equal(t, map[string]string{"a": "from before"}, afterKill(t, dir), "the name is durable, the bytes are not")
	require.NoError(t, old.Sync())
	require.Equal(t, map[string]string{"a": "from NEVER"}, afterKill(t, dir))

	require.NoError(t, l.Mkdir(in(dir, "d")))
	c := open("d/c", core.CreateNew)
	write(c, 0, "c")
	require.NoError(t, c.Sync())
	require.NoError(t, l.SyncDir(in(dir, "d")))
	require.NotContains(t, afterKill(t, dir), "d/", "its own name is not durable")
	require.NoError(t, l.SyncDir(dir))
	require.Equal(t, map[string]string{"a": "from NEVER", "d/": "", "d/c": "c"}, afterKill(t, dir))
	require.NoError(t, l.Rename(in(dir, "d"), in(dir, "e")))
	write(c, 1, "c")
	require.NoError(t, c.Sync())
	require.Equal(t, "cc", afterKill(t, dir)["d/c"])
	require.NoError(t, l.SyncDir(dir))
	require.Equal(t, map[string]string{"a": "from NEVER", "e/": "", "e/c": "cc"}, afterKill(t, dir))
	require.NoError(t, l.Remove(in(dir, "e/c")))
	require.NoError(t, l.Remove(in(dir, "e")))
	require.Contains(t, afterKill(t, dir), "e/c")
	require.NoError(t, l.SyncDir(dir))
	require.Equal(t, map[string]string{"a": "from NEVER"}, afterKill(t, dir))
	n, _ = c.Pread(b, 0)
	require.Equal(t, "cc", string(b[:n]), "what is open stays readable")

	next, err := NewLossy(dir, false)
	require.NoError(t, err)
	entries, err := next.List(dir)
	require.NoError(t, err)
	require.Equal(t, []core.Entry{{Name: "a", Size: 10}}, entries)
	require.Equal(t, []string{lossyUnnamed, "a"}, namesIn(t, dir))
}

func namesIn(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// With NoSync all syncs succeed and nothing of this life is there after a kill.
// While SlowFile is there, writes and syncs take their time, and nobody sees it.
func TestLossySlow(t *testing.T) {
	dir := t.TempDir()
	l, err := NewLossy(dir, false)
	require.NoError(t, err)
	f, _, err := l.Open(in(dir, "a"), core.CreateNew)
	require.NoError(t, err)
	took := func(do func() error) time.Duration {
		from := time.Now()
		require.NoError(t, do())
		return time.Since(from)
	}
	write := func() error { return f.Pwritev([][]byte{[]byte("x")}, 0) }
	require.NoError(t, os.WriteFile(in(dir, SlowFile), []byte("30 40\n"), 0o644))
	for _, do := range []func() error{write, f.Sync, func() error { return l.SyncDir(dir) }} {
		require.GreaterOrEqual(t, took(do), 30*time.Millisecond)
	}
	entries, err := l.List(dir)
	require.NoError(t, err)
	require.Equal(t, []core.Entry{{Name: "a", Size: 1}}, entries)
	require.NoError(t, os.WriteFile(in(dir, SlowFile), []byte("40 30"), 0o644))
	require.Less(t, took(write), 30*time.Millisecond, "what cannot be read is not believed")
}

func TestLossyNoSync(t *testing.T) {
	dir := t.TempDir()
	l, err := NewLossy(dir, true)
	require.NoError(t, err)
	f, _, err := l.Open(in(dir, "a"), core.CreateNew)
	require.NoError(t, err)
	require.NoError(t, f.Pwritev([][]byte{[]byte("x")}, 0))
	require.NoError(t, f.Sync())
	require.NoError(t, l.SyncDir(dir))
	require.Empty(t, afterKill(t, dir))
}

// A random script over two directories agrees with a model in which a file has two contents and a directory
// two sets of names.
func TestLossyProperty(t *testing.T) {
	type file struct{ now, durable string }
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(rt, err)
		require.NoError(rt, os.Mkdir(in(dir, "x"), 0o755))
		require.NoError(rt, os.Mkdir(in(dir, "y"), 0o755))
		l, err := NewLossy(dir, false)
		require.NoError(rt, err)
		now := map[string]*file{}
		durable := map[string]*file{}
		paths := []string{"x/a", "x/b", "y/a", "y/b"}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			p := rapid.SampledFrom(paths).Draw(rt, "path")
			switch rapid.IntRange(0, 6).Draw(rt, "step") {
			case 0, 1, 2: // write, sync or both
				f, _, err := l.Open(in(dir, p), core.CreateOrOpen)
				require.NoError(rt, err)
				if now[p] == nil {
					now[p] = &file{}
				}
				if rapid.Bool().Draw(rt, "write") {
					s := strings.Repeat(rapid.StringMatching("[a-z]").Draw(rt, "byte"), rapid.IntRange(1, 40000).Draw(rt, "len"))
					require.NoError(rt, f.Pwritev([][]byte{[]byte(s)}, int64(len(now[p].now))))
					now[p].now += s
				} else if len(now[p].now) > 0 {
					n := rapid.IntRange(0, len(now[p].now)).Draw(rt, "cut")
					require.NoError(rt, f.Truncate(int64(n)))
					now[p].now = now[p].now[:n]
				}
				if rapid.Bool().Draw(rt, "sync") {
					require.NoError(rt, f.Sync())
					now[p].durable = now[p].now
				}
				require.NoError(rt, f.Close())
			case 3:
				q := rapid.SampledFrom(paths).Draw(rt, "to")
				err := l.Rename(in(dir, p), in(dir, q))
				if now[p] == nil {
					require.Error(rt, err)
					break
				}
				require.NoError(rt, err)
				if p != q {
					now[q] = now[p]
					delete(now, p)
				}
			case 4:
				err := l.Remove(in(dir, p))
				require.Equal(rt, now[p] == nil, err != nil)
				delete(now, p)
			default:
				d := p[:1]
				require.NoError(rt, l.SyncDir(in(dir, d)))
				for _, q := range paths {
					if q[:1] == d {
						delete(durable, q)
						if now[q] != nil {
							durable[q] = now[q]
						}
					}
				}
			}
			for _, q := range paths {
				f, size, err := l.Open(in(dir, q), core.OpenExisting)
				require.Equal(rt, now[q] == nil, err != nil)
				if err == nil {
					b := make([]byte, size)
					n, err := f.Pread(b, 0)
					require.NoError(rt, err)
					require.True(rt, bytes.Equal([]byte(now[q].now), b[:n]), q)
					require.NoError(rt, f.Close())
				}
			}
			want := []string{}
			for q, f := range durable {
				want = append(want, fmt.Sprint(q, " ", len(f.durable)))
			}
			got := []string{}
			for q, s := range afterKill(rt, dir) {
				if !strings.HasSuffix(q, "/") {
					got = append(got, fmt.Sprint(q, " ", len(s)))
					require.True(rt, durable[q] != nil && durable[q].durable == s, q)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			require.Equal(rt, want, got)
		}
	})
}
