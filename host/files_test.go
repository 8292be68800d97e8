package host

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"klamm/core"
)

// layers are the file systems that the rules must hold on.
func layers(t *testing.T) map[string]func(dir string) FS {
	return map[string]func(dir string) FS{
		"os": func(string) FS { return OS{} },
		"lossy": func(dir string) FS {
			l, err := NewLossy(dir, false)
			require.NoError(t, err)
			return l
		},
	}
}

func onLayers(t *testing.T, test func(t *testing.T, w *world, dir string)) {
	for name, layer := range layers(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test(t, startWorld(t, func(o *Options) { o.FS = layer(dir) }), dir)
		})
	}
}

// Operations on a file may be given before its Open is done; they come after it, in order.
func TestOpenNeedNotBeAwaited(t *testing.T) {
	onLayers(t, func(t *testing.T, w *world, dir string) {
		w.do(func(out *core.Out) {
			out.Open(1, 7, in(dir, "a"), core.CreateNew)
			out.Write(2, 7, 0, []byte("hello "))
			out.Write(3, 7, 6, []byte("world"))
			out.Write(4, 7, 20, []byte("!")) // beyond the end
			out.Truncate(5, 7, 19)
			out.Truncate(6, 7, 22)
			out.Read(8, 7, 0, 100)
			out.Sync(9, 7)
			out.Allocate(10, 7, 0, 1<<16)
			out.CloseFile(11, 7)
			out.Read(12, 7, 0, 1) // no longer ours
		})
		require.Zero(t, w.done(1).N)
		require.EqualValues(t, 6, w.done(2).N)
		require.Equal(t, core.OK, w.done(5).Err)
		read := w.done(8)
		require.Equal(t, core.ShortRead, read.Err)
		require.EqualValues(t, 22, read.N)
		require.Equal(t, "hello world\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", string(read.Data))
		require.Equal(t, core.OK, w.done(9).Err)
		require.Equal(t, core.OK, w.done(11).Err)
		require.Equal(t, core.Invalid, w.done(12).Err)
		w.do(func(out *core.Out) {
			out.Open(21, 7, in(dir, "a"), core.OpenExisting)
			out.Read(22, 7, 6, 5)
			out.Open(23, 7, in(dir, "a"), core.OpenExisting) // the name is taken
		})
		require.EqualValues(t, 22, w.done(21).N)
		require.Equal(t, "world", string(w.done(22).Data))
		require.Equal(t, core.Invalid, w.done(23).Err)
	})
}

// If the Open fails, all behind it fails with its error.
func TestFailedOpenFailsAllBehindIt(t *testing.T) {
	onLayers(t, func(t *testing.T, w *world, dir string) {
		w.do(func(out *core.Out) {
			out.Open(1, 7, in(dir, "absent"), core.OpenExisting)
			out.Write(2, 7, 0, []byte("x"))
			out.Sync(3, 7)
			out.DoWork(4, 1, nil, 7, 0, 10)
			out.CloseFile(5, 7)
			out.Open(6, 8, in(dir, "a"), core.CreateNew)
			out.Open(7, 9, in(dir, "a"), core.CreateNew)
			out.Open(8, 10, in(dir, "no/such/dir"), core.CreateOrOpen)
		})
		for op := core.Op(1); op <= 5; op++ {
			require.Equal(t, core.NotFound, w.done(op).Err, "op %d", op)
		}
		a, b := w.done(6).Err, w.done(7).Err
		require.ElementsMatch(t, []core.Errno{core.OK, core.Exists}, []core.Errno{a, b})
		require.Equal(t, core.NotFound, w.done(8).Err)
	})
}

func TestDirectories(t *testing.T) {
	onLayers(t, func(t *testing.T, w *world, dir string) {
		sub := in(dir, "d")
		w.do(func(out *core.Out) {
			out.Mkdir(1, sub)
			out.Mkdir(2, sub)
			out.SyncDir(3, dir)
			out.SyncDir(4, dir)
			out.List(5, dir)
		})
		require.Equal(t, core.OK, w.done(1).Err)
		require.Equal(t, core.Exists, w.done(2).Err)
		require.Equal(t, core.OK, w.done(3).Err)
		require.Equal(t, core.OK, w.done(4).Err)
		require.Equal(t, []core.Entry{{Name: "d", Size: -1}}, core.ParseList(w.done(5).Data))
		w.do(func(out *core.Out) {
			out.Open(6, 1, in(sub, "b"), core.CreateNew)
			out.Write(7, 1, 0, []byte("12345"))
			out.Open(8, 2, in(sub, "a"), core.CreateNew)
		})
		w.done(7)
		w.done(8)
		w.do(func(out *core.Out) {
			out.List(9, sub)
			out.Stat(10, in(sub, "b"))
			out.Stat(11, sub)
			out.Stat(12, in(sub, "c"))
			out.Space(13, dir)
			out.Remove(14, sub)
			out.Rename(15, in(sub, "b"), in(sub, "a"))
			out.Remove(16, in(sub, "a")) // open: stays readable
			out.List(17, sub)
			out.Remove(18, sub)
			out.Remove(19, sub)
			out.Read(20, 1, 0, 5)
		})
		require.Equal(t, []core.Entry{{Name: "a", Size: 0}, {Name: "b", Size: 5}}, core.ParseList(w.done(9).Data))
		require.EqualValues(t, 5, w.done(10).N)
		require.EqualValues(t, -1, w.done(11).N)
		require.Equal(t, core.NotFound, w.done(12).Err)
		space := w.done(13)
		require.Len(t, space.Data, 8)
		require.Positive(t, space.N)
		require.Equal(t, core.NotEmpty, w.done(14).Err)
		require.Equal(t, core.OK, w.done(15).Err)
		require.Equal(t, core.OK, w.done(16).Err)
		require.Empty(t, core.ParseList(w.done(17).Data))
		require.Equal(t, core.OK, w.done(18).Err)
		require.Equal(t, core.NotFound, w.done(19).Err)
		require.Equal(t, "12345", string(w.done(20).Data))
	})
}

// Work sees only bytes, and what it returns may lie in them.
func TestWork(t *testing.T) {
	onLayers(t, func(t *testing.T, w *world, dir string) {
		w.do(func(out *core.Out) {
			out.Open(1, 7, in(dir, "a"), core.CreateNew)
			out.Write(2, 7, 0, []byte("abcdef"))
			out.DoWork(3, 1, []byte("x"), 7, 0, 6)
			out.DoWork(4, 2, nil, 7, 4, 100)
			out.DoWork(5, 1, []byte("no file"), 0, 0, 0)
		})
		require.Equal(t, "x:6", string(w.done(3).Data))
		short := w.done(4)
		require.Equal(t, core.ShortRead, short.Err)
		require.Equal(t, "ef", string(short.Data))
		require.Equal(t, "no file:0", string(w.done(5).Data))
	})
}

// A random script on a file ends as the same script on a byte slice, whatever ran beside what, and each
// read sees what was given before it.
func TestFileOrderProperty(t *testing.T) {
	for name, layer := range layers(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := startWorld(t, func(o *Options) { o.FS = layer(dir) })
			op, file := core.Op(0), core.FileID(0)
			rapid.Check(t, func(rt *rapid.T) {
				file++
				id, path := file, in(dir, fmt.Sprint("f", file))
				var model []byte
				want := map[core.Op][]byte{}
				op++
				first := op
				w.do(func(out *core.Out) { out.Open(first, id, path, core.CreateNew) })
				for range rapid.IntRange(1, 5).Draw(rt, "batches") {
					var batch core.Out
					for range rapid.IntRange(1, 12).Draw(rt, "ops") {
						op++
						off := rapid.Int64Range(0, 40000).Draw(rt, "off")
						switch rapid.IntRange(0, 5).Draw(rt, "op") {
						case 0, 1:
							b := bytes.Repeat([]byte{byte(op)}, rapid.IntRange(1, 20000).Draw(rt, "len"))
							if rapid.Bool().Draw(rt, "append") {
								off = int64(len(model))
							}
							batch.Write(op, id, off, b)
							if end := int(off) + len(b); end > len(model) {
								model = append(model, make([]byte, end-len(model))...)
							}
							copy(model[off:], b)
						case 2:
							batch.Sync(op, id)
						case 3:
							batch.Truncate(op, id, off)
							model = append(model, make([]byte, 40000)...)[:off]
						default:
							n := rapid.Int64Range(0, 50000).Draw(rt, "n")
							batch.Read(op, id, off, n)
							from := min(off, int64(len(model)))
							want[op] = bytes.Clone(model[from:min(off+n, int64(len(model)))])
						}
					}
					w.do(func(out *core.Out) { out.Effects = append(out.Effects, batch.Effects...) })
				}
				op++
				last := op
				w.do(func(out *core.Out) { out.CloseFile(last, id) })
				w.done(last)
				for op, b := range want {
					got := w.done(op)
					require.True(rt, bytes.Equal(b, got.Data), "read %d: %d bytes wanted, %d came", op, len(b), len(got.Data))
				}
				op += 2
				whole := op
				w.do(func(out *core.Out) {
					out.Open(whole-1, id, path, core.OpenExisting)
					out.Read(whole, id, 0, 1<<20)
				})
				require.True(rt, bytes.Equal(model, w.done(whole).Data))
			})
		})
	}
}

// recording is a layer that counts and can fail.
type recording struct {
	OS
	mu      sync.Mutex
	calls   []string
	hold    chan struct{} // a first write waits for it
	syncErr error
	openErr error
}

type recordingFile struct {
	File
	r *recording
}

func (r *recording) Open(path string, how core.OpenMode) (File, int64, error) {
	if r.openErr != nil {
		return nil, 0, r.openErr
	}
	f, size, err := r.OS.Open(path, how)
	return &recordingFile{f, r}, size, err
}

func (r *recording) note(s string) {
	r.mu.Lock()
	r.calls = append(r.calls, s)
	r.mu.Unlock()
}

func (f *recordingFile) Pwritev(pieces [][]byte, off int64) error {
	if f.r.hold != nil {
		<-f.r.hold
	}
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	f.r.note(fmt.Sprintf("write %d+%d", off, n))
	return f.File.Pwritev(pieces, off)
}

func (f *recordingFile) Sync() error {
	f.r.note("sync")
	if f.r.syncErr != nil {
		return f.r.syncErr
	}
	return f.File.Sync()
}

// Adjacent writes that wait go down as one; a sync comes after them; what is not adjacent does not merge.
func TestAdjacentWritesMerge(t *testing.T) {
	r := &recording{hold: make(chan struct{})}
	w := startWorld(t, func(o *Options) { o.FS = r })
	dir := t.TempDir()
	w.do(func(out *core.Out) {
		out.Open(1, 7, in(dir, "a"), core.CreateNew)
		out.Write(2, 7, 0, []byte("aaaa"))
	})
	w.done(1)
	w.do(func(out *core.Out) {
		out.Write(3, 7, 4, []byte("bb"))
		out.Write(4, 7, 6, []byte("cc"))
		out.Write(5, 7, 100, []byte("dd"))
		out.Sync(6, 7)
		out.Write(7, 7, 102, []byte("ee"))
	})
	close(r.hold)
	w.done(6)
	w.done(7)
	r.mu.Lock()
	defer r.mu.Unlock()
	got := strings.Join(r.calls, ", ")
	require.Contains(t, []string{"write 0+4, write 4+4, write 100+2, sync, write 102+2", "write 0+4, write 4+4, write 100+2, write 102+2, sync",
		"write 0+8, write 100+2, sync, write 102+2", "write 0+8, write 100+2, write 102+2, sync"}, got)
}

// A failed sync is final: the system may call the next one a success, and we do not.
func TestFailedSyncIsFinal(t *testing.T) {
	r := &recording{syncErr: unix.EIO}
	w := startWorld(t, func(o *Options) { o.FS = r })
	dir := t.TempDir()
	w.do(func(out *core.Out) {
		out.Open(1, 7, in(dir, "a"), core.CreateNew)
		out.Sync(2, 7)
	})
	require.Equal(t, core.IOError, w.done(2).Err)
	r.syncErr = nil
	w.do(func(out *core.Out) { out.Sync(3, 7) })
	require.Equal(t, core.IOError, w.done(3).Err)
}

func TestErrnos(t *testing.T) {
	for err, want := range map[error]core.Errno{
		nil: core.OK, unix.ENOENT: core.NotFound, unix.EEXIST: core.Exists, unix.ENOTEMPTY: core.NotEmpty, unix.ENOSPC: core.NoSpace,
		unix.EDQUOT: core.NoSpace, unix.EIO: core.IOError, unix.EMFILE: core.TooManyFiles, unix.EINVAL: core.Invalid, unix.EROFS: core.IOError,
		&os.PathError{Err: unix.ENOENT}: core.NotFound,
	} {
		require.Equal(t, want, errnoOf(err), "%v", err)
	}
	r := &recording{openErr: unix.EMFILE}
	w := startWorld(t, func(o *Options) { o.FS = r })
	w.do(func(out *core.Out) { out.Open(1, 7, "x", core.CreateNew) })
	require.Equal(t, core.TooManyFiles, w.done(1).Err)
}

// A data directory has one owner.
func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	l, err := LockDir(dir)
	require.NoError(t, err)
	_, err = LockDir(dir)
	require.ErrorContains(t, err, "in use by another process")
	l.Unlock()
	l, err = LockDir(dir)
	require.NoError(t, err)
	l.Unlock()
	_, err = LockDir(in(dir, "absent"))
	require.ErrorContains(t, err, "does not exist")
}

func TestBufferClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, pooledBufferMax).Draw(t, "n")
		size := classSize(classOf(n))
		require.GreaterOrEqual(t, size, n)
		require.LessOrEqual(t, size, max(classFirst, n+n/4+1))
		require.Equal(t, classOf(n), classOf(size))
	})
	require.Less(t, classOf(pooledBufferMax), classCount)
	p := newBuffers(1<<20, true)
	b := p.get(1000)
	p.put(b)
	require.Panics(t, func() { p.put(b) }, "released twice")
	again := p.get(1001)
	require.Equal(t, byte(poisonByte), again[0])
	p.put(again)
	p.trim()
	p.trim()
	require.Zero(t, p.bytesResting())
	p.put(p.get(1000)[10:]) // no class has this size: left to the collector
	require.Zero(t, p.bytesResting())
}
