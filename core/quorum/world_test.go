package quorum

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/image"
	"klamm/core/log"

	"github.com/stretchr/testify/require"
)

// world carries out the effects of one store and one node on real files, at once and in order, so that what
// they leave can be read by other programs as well. It counts what was synced only by asking: a test that cuts the power copies the
// directory before a step is carried out (see stopAt).
type world struct {
	t     *testing.T
	dir   string
	now   core.Now
	store *log.Store
	node  *Node
	files map[core.FileID]*os.File
	img   *image.Image
	notes []string
	cfg   Config
	fail  func(e *core.Effect) core.Errno // an error to report instead of carrying out an effect; nil: none
	held  bool                            // effects of syncs are held back
	marks core.Marks
	wait  []core.Effect
}

// marksHit are the marks that any world of this run was given.
var marksHit = map[string]bool{}

func (w *world) out() *core.Out { return &core.Out{Marks: &w.marks} }

func newWorld(t *testing.T, dir string, cfg Config) *world {
	w := &world{t: t, dir: dir, files: map[core.FileID]*os.File{}, img: image.Empty()}
	w.now = core.Now{Mono: core.Second, Wall: 1_700_000_000 * core.Second}
	cfg.Self, cfg.LogDir = 1, dir
	if cfg.Voters == nil {
		cfg.Voters = []Voter{{ID: 1, Host: "localhost", Port: 9093}}
	}
	if cfg.Log.SegmentBytes == 0 {
		cfg.Log = log.DefaultConfig()
		cfg.Log.RetentionTime = core.Never
	}
	if cfg.SnapshotBytes == 0 {
		cfg.SnapshotBytes = 1 << 40
	}
	if cfg.RetentionBytes == 0 {
		cfg.RetentionBytes = -1
	}
	w.cfg = cfg
	return w
}

// boot starts a store and a node on what the directory holds.
func (w *world) boot() *world {
	sc := log.DefaultStoreConfig(w.dir)
	w.store = log.NewStore(sc)
	out := w.out()
	w.store.Boot(w.now, out)
	w.run(out)
	require.True(w.t, w.store.Ready())
	w.node = New(w.cfg)
	w.node.Boot(w.now, w.store, out)
	w.run(out)
	return w
}

// run carries out effects, and what comes of them, until nothing is left.
func (w *world) run(out *core.Out) {
	for {
		w.settle(out)
		if len(out.Effects) == 0 {
			for _, name := range w.marks.Names() {
				marksHit[name] = true
			}
			return
		}
		effects := append([]core.Effect(nil), out.Effects...)
		out.Reset()
		for i := range effects {
			w.step(&effects[i], out)
			w.settle(out)
		}
	}
}

func (w *world) settle(out *core.Out) {
	for _, c := range w.store.Changes() {
		if id, ok := log.NoLog, false; w.node != nil {
			if id, ok = w.node.Log(); ok && id == c.ID && c.What != log.Booted && c.What != log.Stopped {
				w.node.Changed(w.now, c, w.store, out)
			}
		}
	}
	if w.node == nil {
		return
	}
	for _, b := range w.node.Committed() {
		from := w.img
		if b.Snapshot {
			from = image.Empty()
		}
		img, _, err := from.Apply(b.Records, b.End, b.Epoch)
		require.NoError(w.t, err)
		w.img = img
	}
}

func (w *world) step(e *core.Effect, out *core.Out) {
	ev := core.Event{Kind: core.Done, Op: e.Op}
	if e.Kind == core.Note {
		w.notes = append(w.notes, string(e.Data))
		return
	}
	if w.held && e.Kind == core.Sync {
		w.wait = append(w.wait, *e)
		return
	}
	if w.fail != nil {
		ev.Err = w.fail(e)
	}
	if ev.Err == core.OK {
		w.carryOut(e, &ev)
	}
	if e.Op == 0 {
		return
	}
	switch e.Op.Table() {
	case 2:
		w.store.Done(w.now, &ev, out)
	case table:
		w.node.Done(w.now, &ev, w.store, out)
	}
}

func (w *world) carryOut(e *core.Effect, ev *core.Event) {
	path := string(e.Data)
	set := func(err error) {
		switch {
		case err == nil:
		case os.IsNotExist(err):
			ev.Err = core.NotFound
		case os.IsExist(err):
			ev.Err = core.Exists
		default:
			ev.Err = core.IOError
		}
	}
	f := w.files[e.File]
	switch e.Kind {
	case core.Open:
		flags := map[core.OpenMode]int{core.OpenExisting: 0, core.CreateNew: os.O_CREATE | os.O_EXCL, core.CreateOrOpen: os.O_CREATE, core.CreateEmpty: os.O_CREATE | os.O_TRUNC}
		f, err := os.OpenFile(path, os.O_RDWR|flags[core.OpenMode(e.Len)], 0o644)
		if set(err); err == nil {
			w.files[e.File] = f
			st, _ := f.Stat()
			ev.N = st.Size()
		}
	case core.CloseFile:
		if f != nil {
			f.Close()
			delete(w.files, e.File)
		}
	case core.Write, core.Read, core.Sync, core.Truncate, core.DoWork:
		if f == nil && e.File != 0 {
			ev.Err = core.NotFound
			return
		}
		switch e.Kind {
		case core.Write:
			_, err := f.WriteAt(e.Data, e.Off)
			set(err)
		case core.Read:
			ev.Data = make([]byte, e.Len)
			n, _ := f.ReadAt(ev.Data, e.Off)
			if ev.Data, ev.N = ev.Data[:n], int64(n); int64(n) < e.Len {
				ev.Err = core.ShortRead
			}
		case core.Truncate:
			set(f.Truncate(e.Len))
		case core.DoWork:
			var bytes []byte
			if f != nil {
				bytes = make([]byte, e.Len)
				n, _ := f.ReadAt(bytes, e.Off)
				bytes = bytes[:n]
			}
			if e.Work < 32 {
				ev.Data = log.Work(e.Work, e.Data, bytes)
			} else {
				ev.Data = batch.Work(e.Work, e.Data, bytes)
			}
		}
	case core.Rename:
		from, to := e.RenamePaths()
		set(os.Rename(from, to))
	case core.Remove:
		set(os.Remove(path))
	case core.Mkdir:
		set(os.Mkdir(path, 0o755))
	case core.Stat:
		st, err := os.Stat(path)
		if set(err); err == nil {
			if ev.N = st.Size(); st.IsDir() {
				ev.N = -1
			}
		}
	case core.List:
		entries, err := os.ReadDir(path)
		set(err)
		var rows []core.Entry
		for _, x := range entries {
			info, err := x.Info()
			require.NoError(w.t, err)
			row := core.Entry{Name: x.Name(), Size: info.Size()}
			if x.IsDir() {
				row.Size = -1
			}
			rows = append(rows, row)
		}
		ev.Data = core.AppendList(nil, rows)
	case core.Space:
		ev.N, ev.Data = 1<<30, binary.BigEndian.AppendUint64(nil, 1<<40)
	}
}

// crash forgets the machine: open files are closed, nothing is told.
func (w *world) crash() *world {
	for _, f := range w.files {
		f.Close()
	}
	next := newWorld(w.t, w.dir, w.cfg)
	next.now = w.now
	next.now.Mono += core.Second
	return next
}

func (w *world) metaFiles(suffix string) (names []string) {
	entries, err := os.ReadDir(filepath.Join(w.dir, "__cluster_metadata-0"))
	require.NoError(w.t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names
}
