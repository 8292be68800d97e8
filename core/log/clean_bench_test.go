package log

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"klamm/core"
	"klamm/core/batch"
)

// BenchmarkClean cleans a log of about 64 MiB, uncompressed and compressed, whose keys all come four times. Beside the throughput of
// everything on one core it reports what the loop has of it, and its longest step: the work is done elsewhere.
func BenchmarkClean(b *testing.B) {
	for _, codec := range []batch.Codec{batch.None, batch.LZ4} {
		b.Run(codec.String(), func(b *testing.B) {
			for range b.N {
				benchClean(b, codec)
			}
		})
	}
}

func benchClean(b *testing.B, codec batch.Codec) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const records, perBatch = 400_000, 100
	w := newWorld(nil)
	cfg := DefaultConfig()
	cfg.SegmentBytes, cfg.Compact, cfg.Delete, cfg.Durability = 1<<20, true, false, Replicated // the fake disk is slow to sync
	w.start()
	w.run()
	id := w.s.Create(w.now, Partition{Topic: "t"}, core.TopicID{1}, cfg, &w.out)
	w.gather()
	w.run()
	value := []byte(strings.Repeat("value ", 24))
	for i := 0; i < records; i += perBatch {
		x := batch.NewBuilder(batch.Options{Codec: codec})
		for j := range perBatch {
			x.Add(1_000_000, fmt.Appendf(nil, "key-%d", (i+j)*7919%(records/4)), value, nil)
		}
		if _, err := w.s.Append(w.now, id, x.Finish(0), 0, &w.out); err != AppendOK {
			b.Fatal(err)
		}
		w.gather()
		w.run()
	}
	l := w.s.Log(id)
	w.s.SetHigh(w.now, id, l.Written(), &w.out)
	w.advance(6 * core.Second)
	size := l.Size()
	var loop, longest time.Duration
	b.ResetTimer()
	begun := threadTime()
	for l.cleanPoint == 0 {
		if len(w.queue) == 0 {
			w.now.Mono = max(w.now.Mono, w.s.Next())
			w.s.Tick(w.now, &w.out)
			w.gather()
			continue
		}
		e := w.queue[0]
		w.queue = w.queue[1:]
		ev := core.Event{Kind: core.Done, Op: e.Op}
		w.do(&e, &ev)
		if e.Op == 0 {
			continue
		}
		at := threadTime()
		w.s.Done(w.now, &ev, &w.out)
		took := threadTime() - at
		loop, longest = loop+took, max(longest, took)
		w.gather()
	}
	took := threadTime() - begun
	b.StopTimer()
	mb := float64(size) / 1e6
	b.ReportMetric(mb/took.Seconds(), "MB/s")
	b.ReportMetric(mb/loop.Seconds(), "MB/s-of-loop")
	b.ReportMetric(float64(longest.Microseconds()), "µs-longest-step")
	b.ReportMetric(float64(l.Size())/float64(size)*100, "%-left")
	if l.Size() > size*2/3 {
		b.Fatalf("%d of %d bytes are left", l.Size(), size)
	}
}

// threadTime is the time that this thread has had of a processor: other processes of a busy machine take none of it.
func threadTime() time.Duration {
	const ofThread = 1
	var r syscall.Rusage
	if syscall.Getrusage(ofThread, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
