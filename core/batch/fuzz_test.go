package batch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// fuzzLimit keeps one run of the fuzzer small; what is above must be refused, not given.
const fuzzLimit = 1 << 20

// FuzzBatch feeds bytes to everything that reads bytes from outside. The first byte picks what is done:
// below 8 a codec whose decompression is tried, then reading and inspecting, with and without a checksum made right.
func FuzzBatch(f *testing.F) {
	for codec := None; codec < codecCount; codec++ {
		b, err := os.ReadFile(filepath.Join("testdata/kafka", codec.String()+".log"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte{byte(codec)}, b[HeaderBytes:]...))
		f.Add(append([]byte{8}, b...))
		f.Add(append([]byte{9}, b...))
		f.Add(append([]byte{10}, sample(Options{Codec: codec}, 3, 30)...))
		f.Add(append([]byte{byte(codec)}, Compress(codec, 0, bytes.Repeat([]byte("abc"), 50000))...))
	}
	f.Add([]byte{11})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		what, b := b[0], b[1:]
		if what < 8 {
			fuzzDecompress(t, Codec(what), b)
			return
		}
		if what&1 == 0 && len(b) >= HeaderBytes { // get past the checksum
			if v, _, is := First(b); is == Good {
				v.seal()
			}
		}
		fuzzRead(t, b)
	})
}

func fuzzDecompress(t *testing.T, c Codec, b []byte) {
	was := bytes.Clone(b)
	out, is := Decompress(c, b, fuzzLimit)
	if is == Good && len(out) > fuzzLimit {
		t.Fatal("above the limit")
	}
	if !bytes.Equal(was, b) {
		t.Fatal("the input was written to")
	}
	if is != Good || c == None {
		return
	}
	again, is := Decompress(c, Compress(c, 0, out), fuzzLimit)
	if is != Good || !bytes.Equal(out, again) {
		t.Fatal("compression is no inverse of decompression")
	}
}

func fuzzRead(t *testing.T, b []byte) {
	facts := Inspect(b)
	facts.Refuse(true, 1000)
	BytesOf(b)
	ParseHeader(b)
	ParseControlKey(b)
	ParseMarker(b)
	ParseRecompressed(b)
	for rest := b; ; {
		v, more, is := First(rest)
		if is != Good {
			break
		}
		rest = more
		r, is := Read(v, fuzzLimit)
		var rec Record
		n := 0
		for is == Good && r.Next(&rec) {
			n++
		}
		// What passes the produce check can be read, to the last record, and comes through recompression whole.
		if facts.Verdict == Good && facts.Bytes == len(v) && &b[0] == &v[0] && is != Inflated {
			if is != Good || r.Err() != Good || n != int(facts.Count) {
				t.Fatalf("inspected as good, read as %s %s after %d of %d", is, r.Err(), n, facts.Count)
			}
			w, is := Recompress(v, Target{Codec: Snappy})
			if is != Good {
				t.Fatalf("recompressed: %s", is)
			}
			if g := Inspect(w); g.Verdict != Good || g.Count != facts.Count || g.MaxTimestamp != facts.MaxTimestamp || g.KeylessAt != facts.KeylessAt {
				t.Fatalf("recompressed: %+v against %+v", g, facts)
			}
		}
	}
}
