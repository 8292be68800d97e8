package batch

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// TestInspect runs the scripts of testdata/inspect. Each command makes the records of a Produce request, damages
// them as its arguments say, and prints what Inspect found:
//
//	records codec=zstd n=3 [base=N] [producer=ID seq=N] [control] [append-time] [last-delta=N] [count=N] [ts=(..)]
//	        [keyless=I] [cut=N] [magic=N] [crc] [twice] [tail=HEX] [payload=HEX] [attr=HEX] [zstd-ok=false] [max=N] [length=N]
//
// A command marked stricter is refused here and taken by Apache Kafka. One marked local depends on the
// topic's configuration there.
func TestInspect(t *testing.T) {
	datadriven.Walk(t, "testdata/inspect", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			b := scripted(t, d)
			f := Inspect(b)
			zstd, max := true, 1<<20
			d.MaybeScanArgs(t, "zstd-ok", &zstd)
			d.MaybeScanArgs(t, "max", &max)
			out := f.Refuse(zstd, max).String()
			if f.RecordAt >= 0 {
				out += fmt.Sprintf(" record=%d", f.RecordAt)
			}
			if f.Verdict == Good {
				out += fmt.Sprintf(" codec=%s count=%d ts=[%d %d] max-at=%d keyless=%d timeless=%t trailing=%d", f.Codec, f.Count, f.MinTimestamp, f.MaxTimestamp, f.MaxAt, f.KeylessAt, f.Timeless, f.Trailing)
			}
			return out + "\n"
		})
	})
}

func scripted(t *testing.T, d *datadriven.TestData) []byte {
	var o Options
	codec, n, keyless, base := "none", 3, -1, int64(0)
	d.MaybeScanArgs(t, "codec", &codec)
	d.MaybeScanArgs(t, "n", &n)
	d.MaybeScanArgs(t, "keyless", &keyless)
	d.MaybeScanArgs(t, "base", &base)
	o.Codec, _ = ParseCodec(codec)
	o.Control, o.AppendTime = d.HasArg("control"), d.HasArg("append-time")
	if d.HasArg("producer") {
		o.Producer = &Producer{ID: 1}
		d.ScanArgs(t, "producer", &o.Producer.ID)
		d.ScanArgs(t, "seq", &o.Producer.Sequence)
	}
	times := []int64{10, 12, 11}
	if d.HasArg("ts") {
		times = nil
		for _, a := range d.CmdArgs {
			if a.Key == "ts" {
				for _, v := range a.Vals {
					ts, err := strconv.ParseInt(v, 10, 64)
					require.NoError(t, err)
					times = append(times, ts)
				}
			}
		}
		n = len(times)
	}
	b := NewBuilder(o)
	for i := range n {
		key := []byte("k")
		if i == keyless {
			key = nil
		}
		b.Add(times[i%len(times)], key, []byte(strings.Repeat("v", 40)), nil)
	}
	v := b.Finish(0)
	if d.HasArg("payload") {
		v = append(v[:HeaderBytes:HeaderBytes], unhex(t, d, "payload")...)
		binary.BigEndian.PutUint32(v[atLength:], uint32(len(v)-overhead))
	}
	for _, f := range []struct {
		name string
		at   int
	}{{"last-delta", atLastDelta}, {"count", atCount}} {
		if d.HasArg(f.name) {
			var x int32
			d.ScanArgs(t, f.name, &x)
			binary.BigEndian.PutUint32(v[f.at:], uint32(x))
		}
	}
	if d.HasArg("attr") {
		copy(v[atAttributes:], unhex(t, d, "attr"))
	}
	v.seal()
	binary.BigEndian.PutUint64(v, uint64(base))
	if d.HasArg("crc") {
		v[atCRC] ^= 1
	}
	if d.HasArg("magic") {
		var m int
		d.ScanArgs(t, "magic", &m)
		v[atMagic] = byte(m)
	}
	if d.HasArg("length") {
		var m int
		d.ScanArgs(t, "length", &m)
		binary.BigEndian.PutUint32(v[atLength:], uint32(m))
	}
	out := append([]byte{}, v...)
	if d.HasArg("twice") {
		out = append(out, v...)
	}
	if d.HasArg("tail") {
		out = append(out, unhex(t, d, "tail")...)
	}
	if d.HasArg("cut") {
		var m int
		d.ScanArgs(t, "cut", &m)
		out = out[:max(0, len(out)-m)]
	}
	return out
}

func unhex(t *testing.T, d *datadriven.TestData, arg string) []byte {
	var s string
	d.ScanArgs(t, arg, &s)
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// Inspecting uncompressed records allocates nothing.
func TestInspectAllocatesNothing(t *testing.T) {
	v := sample(Options{}, 100, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if f := Inspect(v); f.Verdict != Good {
			t.Fatal(f.Verdict)
		}
	}))
}

func plain(o Options, n, size int) View {
	b := NewBuilder(o)
	for i := range n {
		value := make([]byte, size)
		for j := range value {
			value[j] = "abcdefghijklmnop"[(i*j*7+j/3+i)%16]
		}
		b.Add(int64(1000+i), []byte("key"), value, nil)
	}
	return b.Finish(0)
}

func BenchmarkInspect(b *testing.B) {
	for _, size := range []int{100, 1024} {
		for codec := None; codec < codecCount; codec++ {
			v := plain(Options{Codec: codec}, 16384/size+1, size)
			n := int(v.Count())
			b.Run(fmt.Sprintf("%s/%dB", codec, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if f := Inspect(v); f.Verdict != Good {
						b.Fatal(f.Verdict)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
			})
		}
	}
}

// What the walk costs without the checksum.
func BenchmarkWalk(b *testing.B) {
	v := plain(Options{}, 164, 100)
	for b.Loop() {
		f := Facts{Count: v.Count(), KeylessAt: -1}
		f.walk(v, new(int))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*164), "ns/record")
}

func BenchmarkCompress(b *testing.B) {
	payload := plain(Options{}, 164, 100).Payload()
	for codec := Gzip; codec < codecCount; codec++ {
		b.Run(codec.String(), func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				Compress(codec, DefaultLevel, payload)
			}
		})
	}
}
