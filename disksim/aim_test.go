package disksim

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
)

// Errors that are aimed at some files hit operations on those, of the kinds meant, and nothing else.
func TestAimedErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		d := New(f, 0, 1<<30)
		d.Weather = Weather{Latency: 1000, Aim: "/a", AimSuffix: ".log", AimRead: 65536, AimSync: 65536}
		before := rapid.Bool().Draw(t, "opened before")
		for i, path := range []string{"/a.log", "/b.log", "/a.index"} {
			file := core.FileID(i + 1)
			if before {
				d.Weather.Aim = ""
			}
			require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Open(op, file, path, core.CreateNew) }).Err)
			d.Weather.Aim = "/a"
			want := core.OK
			if i == 0 {
				want = core.IOError
			}
			require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, file, 0, []byte("x")) }).Err)
			require.Equal(t, want, f.ask(d, func(out *core.Out, op core.Op) { out.Read(op, file, 0, 1) }).Err, path)
			require.Equal(t, want, f.ask(d, func(out *core.Out, op core.Op) { out.Sync(op, file) }).Err, path)
		}
		require.EqualValues(t, 2, d.Counts[AimedError])
	})
}

// A misdirected read may come from where another write began, and then brings what that wrote.
func TestMisdirectedReadOfAnotherWrite(t *testing.T) {
	seen := false
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		d := New(f, 0, 1<<30)
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Open(op, 1, "/a", core.CreateNew) }).Err)
		one, two := make([]byte, 700), make([]byte, 700)
		for i := range one {
			one[i], two[i] = 1, 2
		}
		f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 0, one) })
		f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 700, two) })
		d.Weather.MisRead = 65536
		ev := f.ask(d, func(out *core.Out, op core.Op) { out.Read(op, 1, 0, 700) })
		require.Len(t, d.Damage, 1)
		if d.Damage[0].Off == 700 {
			require.EqualValues(t, 1, d.Counts[AlignedRead])
			require.Equal(t, two, ev.Data)
			seen = true
		}
	})
	require.True(t, seen, "it came at least once")
}

// A judge can see what was written, and what is read of it.
func TestSeenAndWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fake{t: t}
		d := New(f, 0, 1<<30)
		require.Equal(t, core.OK, f.ask(d, func(out *core.Out, op core.Op) { out.Open(op, 1, "/a", core.CreateNew) }).Err)
		f.ask(d, func(out *core.Out, op core.Op) { out.Write(op, 1, 0, []byte("abcd")) })
		f.ask(d, func(out *core.Out, op core.Op) { out.Sync(op, 1) })
		f.ask(d, func(out *core.Out, op core.Op) { out.SyncDir(op, "/") })
		require.True(t, d.Rots("/a", 2, 1))
		var b [8]byte
		n := d.Peek("/a", 1, b[:])
		require.Equal(t, "bcd", string(b[:n]))
		n, harmed := d.Seen("/a", 1, b[:])
		require.Equal(t, "bad", string(b[:n]))
		require.True(t, harmed)
		n, harmed = d.Seen("/a", 0, b[:2])
		require.Equal(t, "ab", string(b[:n]))
		require.False(t, harmed)
		n, harmed = d.Seen("/a", 9, b[:])
		require.Zero(t, n)
		require.False(t, harmed)
	})
}
