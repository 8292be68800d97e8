package log

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// The commands of scripts that tell of another replica of the log, which is whole.

// peerCommand runs one of them.
func (s *script) peerCommand(t *testing.T, d *datadriven.TestData, b *strings.Builder) bool {
	arg := func(name string, def int64) int64 {
		if d.HasArg(name) {
			d.ScanArgs(t, name, &def)
		}
		return def
	}
	w := s.w
	switch d.Cmd {
	case "peer": // the other replica has what this one has now
		s.peer = nil
		for _, g := range w.s.Log(s.id).segs {
			for rest := bytes.Clone(s.segmentNode(t, g.base).data); len(rest) > 0; {
				v, r, is := batch.First(rest)
				require.Equal(t, batch.Good, is)
				s.peer, rest = append(s.peer, v), r
			}
		}
	case "peer-epoch": // its batches from an offset on are of another epoch: another history
		for _, v := range s.peer {
			if v.BaseOffset() >= core.Offset(arg("from", 0)) {
				v.SetLeaderEpoch(core.Epoch(arg("epoch", 0)))
			}
		}
	case "peer-without": // compaction has removed a batch there
		s.peer = slices.DeleteFunc(s.peer, func(v batch.View) bool { return v.BaseOffset() == core.Offset(arg("base", 0)) })
	case "patch": // what the other replica has from the damage on
		at, hurt := w.s.Log(s.id).Damaged()
		fmt.Fprintf(b, "damaged=%v at=%d\n", hurt, at)
		var bytes []byte
		for _, v := range s.peer {
			if v.LastOffset() >= at && int64(len(bytes)) < arg("bytes", 1<<20) {
				bytes = append(bytes, v...)
			}
		}
		if d.HasArg("xor") && len(bytes) > 0 {
			bytes[arg("at", 0)] ^= byte(arg("xor", 0))
		}
		if w.s.Log(s.id).Displaces(bytes) {
			fmt.Fprintln(b, "displaces what follows")
		}
		fmt.Fprintln(b, w.s.AppendExact(w.now, s.id, bytes, &w.out))
		w.gather()
		if !d.HasArg("begin") {
			w.run()
		}
	case "copy": // all that the other replica has
		fmt.Fprintln(b, w.s.AppendExact(w.now, s.id, slices.Concat(s.peer...), &w.out))
		w.gather()
		w.run()
	case "raise-start":
		fmt.Fprintln(b, w.s.RaiseStart(s.id, core.Offset(arg("to", 0)), &w.out))
		w.gather()
		w.run()
	case "scrub": // begins with the next boot
		w.cfg.ScrubRate, w.cfg.ScrubInterval = arg("rate", 1<<20), core.Time(arg("s", 10))*core.Second
	case "scrubbed":
		c := w.s.Scrub()
		fmt.Fprintf(b, "passes=%d bytes=%d suspects=%d unread=%d\n", c.Passes, c.Pass, c.Suspects, c.Unread)
	case "check": // the segment that holds an offset, soon
		w.s.Check(w.now, s.id, core.Offset(arg("at", 0)), &w.out)
		w.gather()
		w.run()
	case "suspect":
		w.s.SuspectFrom(w.now, s.id, core.Offset(arg("from", 0)), &w.out)
		w.gather()
		if !d.HasArg("begin") {
			w.run()
		}
	case "zero": // a range of a segment file, on the platter too
		n := s.segmentNode(t, core.Offset(arg("base", 0)))
		clear(n.data[arg("from", 0):min(arg("to", 1<<31), int64(len(n.data)))])
		n.synced = bytes.Clone(n.data)
	case "cut-file": // its end is gone
		n := s.segmentNode(t, core.Offset(arg("base", 0)))
		n.data = n.data[:arg("at", 0)]
		n.synced = bytes.Clone(n.data)
	case "compare": // with the other replica, byte for byte
		var mine, other []byte
		for _, g := range w.s.Log(s.id).segs {
			mine = append(mine, s.segmentNode(t, g.base).data...)
		}
		for _, v := range s.peer {
			other = append(other, v...)
		}
		fmt.Fprintln(b, "equal:", bytes.Equal(mine, other))
	default:
		return false
	}
	return true
}

func (s *script) segmentNode(t *testing.T, base core.Offset) *node {
	_, _, n := s.w.lookup("d/t-0/" + segmentName(base, ".log"))
	require.NotNil(t, n)
	return n
}
