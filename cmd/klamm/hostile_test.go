package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core/batch"
	"klamm/core/wire"
)

// logText is a slog handler that keeps what is said.
type logText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// good is a well-behaved client, which produces and consumes until it is stopped, and must never notice the others.
type good struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	sent   int
	got    int
	worst  time.Duration // of one acknowledged record
	err    error
}

func startGood(t *testing.T, addr string) *good {
	ctx, cancel := context.WithCancel(context.Background())
	g := &good{t: t, cancel: cancel, done: make(chan struct{})}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("good"), kgo.ConsumeTopics("good"), kgo.AllowAutoTopicCreation(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond), kgo.RetryTimeout(5*time.Second))
	require.NoError(t, err)
	var both sync.WaitGroup
	both.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			begun := time.Now()
			err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint("record ", i))).FirstErr()
			g.mu.Lock()
			if err != nil && ctx.Err() == nil {
				g.err = err
			} else if err == nil {
				g.sent++
				g.worst = max(g.worst, time.Since(begun))
			}
			g.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	})
	both.Go(func() {
		for {
			f := cl.PollFetches(ctx)
			if ctx.Err() != nil {
				return
			}
			g.mu.Lock()
			f.EachRecord(func(r *kgo.Record) {
				if want := fmt.Sprint("record ", g.got); string(r.Value) != want && g.err == nil {
					g.err = fmt.Errorf("got %q where %q should be", r.Value, want)
				}
				g.got++
			})
			if err := f.Err(); err != nil {
				g.err = err
			}
			g.mu.Unlock()
		}
	})
	go func() {
		both.Wait()
		cl.Close()
		close(g.done)
	}()
	t.Cleanup(g.stop)
	g.goesOn()
	return g
}

// goesOn waits until the client has produced and consumed some more.
func (g *good) goesOn() {
	g.t.Helper()
	g.mu.Lock()
	sent, got := g.sent, g.got
	g.mu.Unlock()
	require.Eventually(g.t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.err != nil || g.sent >= sent+10 && g.got >= got+10
	}, 10*time.Second, 5*time.Millisecond, "the well-behaved client does not go on")
	g.mu.Lock()
	defer g.mu.Unlock()
	require.NoError(g.t, g.err)
}

func (g *good) stop() {
	g.cancel()
	<-g.done
	g.t.Logf("the well-behaved client: %d sent, %d received, slowest acknowledgement %v", g.sent, g.got, g.worst)
	require.Less(g.t, g.worst, 5*time.Second)
}

// raw is a client that sends what it likes.
type raw struct {
	t *testing.T
	*net.TCPConn
}

func dialRaw(t *testing.T, addr string) raw {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return raw{t, c.(*net.TCPConn)}
}

func (c raw) send(b []byte) raw {
	_, err := c.Write(b)
	require.NoError(c.t, err)
	return c
}

// closed wants the connection to be closed without a reply.
func (c raw) closed() {
	c.t.Helper()
	b, err := io.ReadAll(c)
	if e, ok := err.(net.Error); ok {
		require.False(c.t, e.Timeout(), "the connection stays open")
	}
	require.Empty(c.t, b)
}

// reply reads one reply.
func (c raw) reply(key, version int16) kmsg.Response {
	c.t.Helper()
	head := make([]byte, 4)
	_, err := io.ReadFull(c, head)
	require.NoError(c.t, err)
	frame := append(head, make([]byte, binary.BigEndian.Uint32(head))...)
	_, err = io.ReadFull(c, frame[4:])
	require.NoError(c.t, err)
	correlation, body, err := wire.ParseResponse(frame, key, version)
	require.NoError(c.t, err)
	require.EqualValues(c.t, 7, correlation)
	resp := kmsg.ResponseForKey(key)
	resp.SetVersion(version)
	require.NoError(c.t, resp.ReadFrom(body))
	return resp
}

func request(version int16, q kmsg.Request) []byte {
	return wire.AppendRequest(nil, wire.Header{Key: q.Key(), Version: version, Correlation: 7, ClientID: "hostile", HasClientID: true}, q)
}

// framed puts a length before b.
func framed(b ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// produceOf is a Produce request for the topic of the well-behaved client, or another.
func produceOf(topic string, records []byte) []byte {
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 1000
	q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}})
	return request(9, q)
}

func batchOf(value []byte) []byte {
	b := batch.NewBuilder(batch.Options{LeaderEpoch: -1})
	b.Add(time.Now().UnixMilli(), nil, value, nil)
	return b.Finish(0)
}

// What cannot be a request closes its connection; what can be answered gets the protocol's own error; each says in the
// log what it was; and nobody else notices.
func TestHostileClients(t *testing.T) {
	var log logText
	addr := startLoggedBroker(t, "socket.request.max.bytes=20000000\n", slog.New(slog.NewTextHandler(&log, nil)))
	g := startGood(t, addr)
	said := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(log.String(), text) }, 5*time.Second, 5*time.Millisecond, "%s\nis not in\n%s", text, log.String())
	}

	dialRaw(t, addr).send([]byte{0x7f, 0xff, 0xff, 0xff, 0, 3}).closed() // 2 GiB
	said("above socket.request.max.bytes=20000000")
	dialRaw(t, addr).send([]byte{0xff, 0xff, 0xff, 0xfe}).closed()
	said("a frame whose length cannot be one")
	dialRaw(t, addr).send([]byte{0, 0, 0, 0, 0, 0, 0, 0}).closed()
	dialRaw(t, addr).send(framed(0, 3, 0, 9, 0)).closed()                   // the beginning of a header
	dialRaw(t, addr).send(framed(3, 0xe7, 0, 0, 0, 0, 0, 7, 0, 0)).closed() // key 999
	said("unknown API key")
	dialRaw(t, addr).send(request(99, kmsg.NewPtrMetadataRequest())).closed()
	said("version 99 of API 3 Metadata is not served")
	v := dialRaw(t, addr).send(request(99, kmsg.NewPtrApiVersionsRequest())).reply(18, 0).(*kmsg.ApiVersionsResponse)
	require.EqualValues(t, kerr.UnsupportedVersion.Code, v.ErrorCode)
	require.NotEmpty(t, v.ApiKeys)

	dialRaw(t, addr).send([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")).closed()
	said("speaks TLS to listener PLAINTEXT, which is plain: set security.protocol=PLAINTEXT")
	r, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	r.Body.Close()
	require.Equal(t, 400, r.StatusCode)
	said("speaks HTTP to listener PLAINTEXT, which speaks the Kafka protocol: metrics and health are on the admin port")

	whole := batchOf([]byte("value"))
	wrong := bytes.Clone(whole)
	wrong[len(wrong)-1] ^= 1
	c := dialRaw(t, addr)
	for records, code := range map[string]int16{string(wrong): kerr.CorruptMessage.Code, string(whole[:40]): kerr.InvalidRecord.Code, string(whole): 0} {
		p := c.send(produceOf("other", []byte(records))).reply(0, 9).(*kmsg.ProduceResponse)
		if p.Topics[0].Partitions[0].ErrorCode == kerr.UnknownTopicOrPartition.Code { // Produce makes no topics
			m := kmsg.NewPtrMetadataRequest()
			m.AllowAutoTopicCreation = true
			m.Topics = append(m.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr("other")})
			c.send(request(9, m)).reply(3, 9)
			p = c.send(produceOf("other", []byte(records))).reply(0, 9).(*kmsg.ProduceResponse)
		}
		require.Equal(t, code, p.Topics[0].Partitions[0].ErrorCode)
	}
	g.goesOn()
}

// Arrays that claim more than the frame can hold, or more than anyone needs, close the connection before memory is
// taken for them.
func TestAbsurdCounts(t *testing.T) {
	addr := startBroker(t, "")
	g := startGood(t, addr)
	head := func(key, version byte, flexible bool, body ...byte) []byte {
		h := []byte{0, key, 0, version, 0, 0, 0, 7, 0, 1, 'c'}
		if flexible {
			h = append(h, 0)
		}
		return framed(append(h, body...)...)
	}
	most := []byte{0x7f, 0xff, 0xff, 0xff}
	compact := []byte{0xff, 0xff, 0xff, 0xff, 0x07}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, frame := range map[string][]byte{
		"Produce":              head(0, 3, false, append([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1}, most...)...),
		"Produce, compact":     head(0, 9, true, append([]byte{0, 0xff, 0xff, 0, 0, 0, 1}, compact...)...),
		"Fetch":                head(1, 4, false, append(make([]byte, 17), most...)...),
		"Metadata":             head(3, 1, false, most...),
		"Metadata, compact":    head(3, 12, true, compact...),
		"OffsetFetch":          head(9, 1, false, append([]byte{0, 1, 'g'}, most...)...),
		"JoinGroup":            head(11, 0, false, append([]byte{0, 1, 'g', 0, 0, 10, 0, 0, 0, 0, 1, 'c'}, most...)...),
		"CreateTopics":         head(19, 2, false, most...),
		"DescribeConfigs":      head(32, 1, false, most...),
		"tagged fields":        head(60, 0, true, append([]byte{0}, compact...)...),
		"OffsetFetch, nothing": head(9, 8, true, append(compact, make([]byte, 1000)...)...),
	} {
		t.Run(name, func(t *testing.T) { dialRaw(t, addr).send(frame).closed() })
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
	// A million names are within the frame's limit, and are still too many.
	names := append([]byte{0x81, 0x80, 0x80, 0x01}, bytes.Repeat([]byte{2, 'g', 1, 0}, 2<<20)...)
	dialRaw(t, addr).send(head(9, 8, true, names...)).closed()
	g.goesOn()
}

// Half a frame and silence: the connection is closed as idle, with what was held for it.
func TestHalfAFrameAndSilence(t *testing.T) {
	addr := startBroker(t, "connections.max.idle.ms=600\n")
	g := startGood(t, addr)
	begun := time.Now()
	half := dialRaw(t, addr).send([]byte{0, 16, 0, 0, 0, 3, 0, 9, 1, 2, 3})
	silent := dialRaw(t, addr)
	half.closed()
	silent.closed()
	require.Less(t, time.Since(begun), 5*time.Second)
	require.Greater(t, time.Since(begun), 500*time.Millisecond)
	g.goesOn()
}

// One who asks for much and reads nothing is no longer read himself: what is held for him has a bound, and others are served.
func TestSlowReader(t *testing.T) {
	addr := startBroker(t, "")
	g := startGood(t, addr)
	c := dialRaw(t, addr)
	m := kmsg.NewPtrMetadataRequest()
	m.AllowAutoTopicCreation = true
	m.Topics = append(m.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr("big")})
	c.send(request(9, m)).reply(3, 9)
	for range 8 {
		p := c.send(produceOf("big", batchOf(make([]byte, 900_000)))).reply(0, 9).(*kmsg.ProduceResponse)
		require.Zero(t, p.Topics[0].Partitions[0].ErrorCode)
	}
	q := kmsg.NewPtrFetchRequest()
	q.MinBytes, q.MaxBytes, q.SessionEpoch = 1, 50<<20, -1
	q.Topics = append(q.Topics, kmsg.FetchRequestTopic{Topic: "big", Partitions: []kmsg.FetchRequestTopicPartition{{PartitionMaxBytes: 50 << 20, CurrentLeaderEpoch: -1}}})
	ask := bytes.Repeat(request(11, q), 1000)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var slow []raw
	for range 8 {
		s := dialRaw(t, addr)
		s.SetReadBuffer(64 << 10)
		slow = append(slow, s)
		go func() { // until nobody takes any more
			for range 100 {
				if _, err := s.Write(ask); err != nil {
					return
				}
			}
		}()
	}
	for range 5 {
		g.goesOn()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d slow readers hold %d KiB", len(slow), held>>10)
	require.Less(t, held, int64(len(slow))*(2<<20))
	resp := slow[0].reply(1, 11).(*kmsg.FetchResponse) // and he who reads after all gets what he asked for
	require.NotEmpty(t, resp.Topics[0].Partitions[0].RecordBatches)
}

// Two hundred connections send noise, with and without a length before it.
func TestGarbage(t *testing.T) {
	addr := startBroker(t, "")
	g := startGood(t, addr)
	var all sync.WaitGroup
	for i := range 200 {
		c := dialRaw(t, addr)
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			noise := make([]byte, 4096)
			for range 20 {
				for j := range noise {
					noise[j] = byte(rnd.Uint32())
				}
				b := noise[:8+rnd.IntN(4000)]
				switch i % 4 {
				case 1:
					binary.BigEndian.PutUint32(b, uint32(len(b)-4))
				case 2, 3: // a key and a version that are served
					keys := wire.Keys()
					key := keys[rnd.IntN(len(keys))]
					r, _ := wire.Served(key)
					binary.BigEndian.PutUint32(b, uint32(len(b)-4))
					binary.BigEndian.PutUint16(b[4:], uint16(key))
					binary.BigEndian.PutUint16(b[6:], uint16(r.Min+int16(rnd.IntN(int(r.Max-r.Min)+1))))
				}
				if _, err := c.Write(b); err != nil {
					return
				}
			}
			c.CloseWrite()
			io.Copy(io.Discard, c)
		})
	}
	g.goesOn()
	all.Wait()
	g.goesOn()
}
