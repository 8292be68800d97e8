package disksim

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
)

// fake is a world with nothing but one disk in it.
type fake struct {
	t     *rapid.T
	queue []fakeItem
	seq   int
	now   core.Time
	done  []core.Event
	bad   string
}

type fakeItem struct {
	at    core.Time
	seq   int
	token uint64
}

func (f *fake) Choose(site uint8, entity, n uint64) uint64 {
	return rapid.Uint64Range(0, n-1).Draw(f.t, "choice")
}
func (f *fake) Wake(disk int, at core.Time, token uint64) {
	f.seq++
	f.queue = append(f.queue, fakeItem{at, f.seq, token})
}
func (f *fake) Deliver(disk int, ev core.Event) { f.done = append(f.done, ev) }
func (f *fake) Buffer(n int) []byte             { return make([]byte, n) }
func (f *fake) Recycle(b []byte)                {}
func (f *fake) Synced(int)                      {}
func (f *fake) Sum([]byte) uint64               { return 0 }
func (f *fake) Broken(disk int, what string)    { f.bad = what }
func (f *fake) Work(int, core.WorkKind, []byte, []byte) []byte {
	return nil
}

// step fires the next wake-up; false if there is none.
func (f *fake) step(d *Disk) bool {
	if len(f.queue) == 0 {
		return false
	}
	slices.SortFunc(f.queue, func(a, b fakeItem) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.seq - b.seq
	})
	it := f.queue[0]
	f.queue = f.queue[1:]
	f.now = it.at
	d.At(f.now)
	d.Fire(it.token)
	return true
}

// ask carries out one effect and returns its answer.
func (f *fake) ask(d *Disk, give func(out *core.Out, op core.Op)) core.Event {
	var out core.Out
	f.seq++
	op := core.Op(f.seq)
	give(&out, op)
	d.Do(&out.Effects[0], 0)
	for {
		for i, ev := range f.done {
			if ev.Op == op {
				f.done = slices.Delete(f.done, i, i+1)
				return ev
			}
		}
		require.True(f.t, f.step(d), "every effect is answered")
	}
}

// After a power loss every byte is one that was written there at or after the last sync that covers it, never another.
func TestPowerLossKeepsWhatWasSynced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		d := New(f, 0, 1<<30)
		d.Weather = Weather{Latency: 1000, Jitter: 500, SyncLatency: 5000}
		d.Weather.SyncErr = rapid.SampledFrom([]int64{0, 0, 20000}).Draw(t, "sync errors")
		const size = 3 * pageBytes
		may := make([][]byte, size) // by byte: what it may be after a crash; the last is what is served now
		for i := range may {
			may[i] = []byte{0}
		}
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Open(op, 1, "/a", core.CreateNew) }).Err)
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.SyncDir(op, "/") }).Err)
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Truncate(op, 1, size) }).Err)
		synced := false
		lost := false // a sync failed: nothing after it is believed until it is written anew, so this test stops believing
		for n := range rapid.IntRange(1, 30).Draw(t, "writes") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				off := rapid.IntRange(0, size-1).Draw(t, "off")
				b := make([]byte, rapid.IntRange(1, min(size-off, 3000)).Draw(t, "len"))
				for i := range b {
					b[i] = byte(n + 1)
					may[off+i] = append(may[off+i], byte(n+1))
				}
				require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, int64(off), b) }).Err)
			case 2:
				if ev := f.ask(d, func(out *core.Out, op core.Op) { out.Sync(op, 1) }); ev.Err != core.OK {
					lost = true
				} else if !lost {
					synced = true
					for i := range may {
						may[i] = may[i][len(may[i])-1:]
					}
				}
			case 3:
				ev := f.ask(d, func(out *core.Out, op core.Op) { out.Read(op, 1, 0, size) })
				require.Len(t, ev.Data, size)
				for i, b := range ev.Data {
					require.Equal(t, may[i][len(may[i])-1], b, "a read sees what was written, synced or not")
				}
			}
		}
		d.Crash(true)
		b, ok := d.File("/a")
		require.True(t, ok, "its entry was synced")
		if synced {
			require.Len(t, b, size)
		}
		for i := range b {
			// A sector that was torn as garbage may hold anything if nothing of it was ever synced.
			require.True(t, slices.Contains(may[i], b[i]) || !synced && d.Counts[SectorsGarbage] > 0, "byte %d is %d, may be %v", i, b[i], may[i])
		}
		require.Empty(t, f.bad)
	})
}

// A kill loses nothing that was reported done; directory entries come back by SyncDir alone after a power loss.
func TestEntriesAreDurableBySyncDir(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		d := New(f, 0, 1<<30)
		var synced []string
		dropped := false
		var have []string
		for n := range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				name := "f" + strconv.Itoa(n)
				require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Open(op, core.FileID(n+1), "/"+name, core.CreateNew) }).Err)
				have = append(have, name)
			case 1:
				if len(have) > 0 {
					name := have[0]
					require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Rename(op, "/"+name, "/r"+name) }).Err)
					have[0] = "r" + name
					dropped = true
				}
			case 2:
				require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.SyncDir(op, "/") }).Err)
				synced, dropped = slices.Clone(have), false
			case 3:
				ev := f.ask(d, func(out *core.Out, op core.Op) { out.List(op, "/") })
				var names []string
				for _, e := range core.ParseList(ev.Data) {
					names = append(names, e.Name)
				}
				require.ElementsMatch(t, have, names)
			}
		}
		power := rapid.Bool().Draw(t, "power")
		d.Crash(power)
		var names []string
		for _, p := range d.Paths("/") {
			names = append(names, strings.TrimPrefix(p, "/"))
		}
		if !power {
			require.ElementsMatch(t, have, names)
			return
		}
		if !dropped {
			require.Subset(t, names, synced)
		}
		for _, name := range names {
			require.True(t, slices.Contains(have, name) || slices.Contains(synced, name) || slices.ContainsFunc(have, func(h string) bool { return strings.HasSuffix(h, strings.TrimLeft(name, "r")) }), name)
		}
	})
}

// A failed sync is lost in silence: later syncs succeed, reads see the bytes, a crash does not.
func TestFailedSyncDropsPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		d := New(f, 0, 1<<30)
		f.ask(d, func(out *core.Out, op core.Op) { out.Open(op, 1, "/a", core.CreateNew) })
		f.ask(d, func(out *core.Out, op core.Op) { out.SyncDir(op, "/") })
		f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 0, []byte("first")) })
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Sync(op, 1) }).Err)
		f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 0, []byte("SECOND")) })
		d.Weather.SyncErr = 65536
		require.Equal(t, core.IOError, f.ask(d, func(out *core.Out, op core.Op) { out.Sync(op, 1) }).Err)
		d.Weather.SyncErr = 0
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Sync(op, 1) }).Err)
		require.Equal(t, "SECOND", string(f.ask(d, func(out *core.Out, op core.Op) { out.Read(op, 1, 0, 6) }).Data))
		d.Crash(true)
		b, _ := d.File("/a")
		require.Equal(t, "first", string(b))
	})
}

// A full disk refuses what would grow a file, and says so; what is there stays writable.
func TestFullDisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		d := New(f, 0, 10000)
		f.ask(d, func(out *core.Out, op core.Op) { out.Open(op, 1, "/a", core.CreateNew) })
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 0, make([]byte, 9000)) }).Err)
		require.Equal(t, core.NoSpace, f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 9000, make([]byte, 2000)) }).Err)
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 0, make([]byte, 9000)) }).Err)
		require.EqualValues(t, 1000, f.ask(d, func(out *core.Out, op core.Op) { out.Space(op, "/") }).N)
		f.ask(d, func(out *core.Out, op core.Op) { out.Remove(op, "/a") })
		require.EqualValues(t, 1000, f.ask(d, func(out *core.Out, op core.Op) { out.Space(op, "/") }).N, "an open file keeps its space")
		require.Len(t, f.ask(d, func(out *core.Out, op core.Op) { out.Read(op, 1, 0, 100) }).Data, 100)
		f.ask(d, func(out *core.Out, op core.Op) { out.CloseFile(op, 1) })
		require.EqualValues(t, 10000, f.ask(d, func(out *core.Out, op core.Op) { out.Space(op, "/") }).N)
	})
}
