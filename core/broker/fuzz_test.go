package broker

import (
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"slices"
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FuzzRequests drives a booted broker by bytes. The first byte picks the mode.
//
// Even: one request. The next two pick key and version, the rest is the body; with bit 1 set the checksums of the
// batches in it are made right first. Odd: a script of several connections, whose frames are whole or any bytes, with
// hang-ups, time, effects that fail and effects that are held (see script below).
//
// Whatever comes, nothing panics, the machine comes to rest, a frame makes no allocation out of proportion, and each
// request is answered at most once, in order, under its own correlation id, by a reply that its client can read, or
// its connection is closed; a request that has no answer yet waits for something; and the next client is served.
func FuzzRequests(f *testing.F) {
	for _, frame := range append(hostileSeeds(), fuzzSeeds(f)...) {
		h, body, err := wire.ParseRequestHeader(frame)
		require.NoError(f, err)
		r, _ := wire.Served(h.Key)
		key, version := byte(slices.Index(wire.Keys(), h.Key)), byte(h.Version-r.Min)
		f.Add(append([]byte{0, key, version}, body...))
		if h.Version == r.Max {
			f.Add(append([]byte{2, key, version}, body...))
			f.Add(fuzzScript(key, version, body))
		}
	}
	f.Add([]byte{0, byte(slices.Index(wire.Keys(), wire.KeyApiVersions)), 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 3 {
			return
		}
		z := newFuzzWorld(t)
		if b[0]&1 == 0 {
			z.connect(1)
			z.request(1, b[1], b[2], b[3:], b[0]&2 != 0)
			z.request(1, b[1], b[2], b[3:], b[0]&2 != 0) // and what it left behind meets it again
		} else {
			z.script(b[1:])
		}
		z.finish()
	})
}

// fuzzScript does something with a request on several connections, in most of the ways that there are.
func fuzzScript(key, version byte, body []byte) []byte {
	one := append([]byte{fuzzRequest, 0, key, version, byte(len(body) >> 8), byte(len(body))}, body...)
	b := slices.Concat([]byte{1, fuzzHold}, one, one, []byte{fuzzRelease, 1, fuzzFail, byte(core.Sync), byte(core.IOError)}, one, []byte{fuzzRelease, 200, fuzzTime, 12})
	one[1] = 1
	return slices.Concat(b, one, []byte{fuzzHangUp, 0}, []byte{fuzzRaw, 2, 0, 12, 0, 18, 0, 99, 0, 0, 0, 1, 0, 1, 'c', 0}, one, []byte{fuzzTime, 14})
}

// fuzzSeeds are requests that find what newFuzzWorld has made.
func fuzzSeeds(f *testing.F) (frames [][]byte) {
	z := newFuzzWorld(f)
	id := z.w.b.img.Topic("a").ID
	add := func(version int16, q kmsg.Request) {
		frames = append(frames, wire.AppendRequest(nil, wire.Header{Key: q.Key(), Version: version, ClientID: "c", HasClientID: true}, q))
	}
	for v := int16(12); v <= 18; v++ {
		q := kmsg.NewPtrFetchRequest()
		q.MaxWaitMillis, q.MinBytes, q.MaxBytes = 5000, 1, 1<<20
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = 1 << 20
		q.Topics = append(q.Topics, kmsg.FetchRequestTopic{Topic: "a", TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{p}})
		add(v, q)
		q.MinBytes = 1 << 20
		add(v, q)
	}
	for _, codec := range []batch.Codec{batch.None, batch.Gzip, batch.Snappy, batch.LZ4, batch.Zstd} {
		b := batch.NewBuilder(batch.Options{LeaderEpoch: -1, Codec: codec, Producer: &batch.Producer{ID: z.producer}})
		for range 5 {
			b.Add(1_700_000_000_000, []byte("k"), []byte("value"), nil)
		}
		q := kmsg.NewPtrProduceRequest()
		q.Acks, q.TimeoutMillis = -1, 1000
		p := kmsg.ProduceRequestTopicPartition{Records: b.Finish(0)}
		q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{Topic: "a", TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{p}})
		for _, v := range []int16{9, 12, 13} {
			add(v, q)
		}
	}
	for _, v := range []int16{2, 4, 5} {
		q := kmsg.NewPtrSyncGroupRequest()
		q.Group, q.MemberID, q.Generation = "g", z.member, 1
		add(v, q)
		h := kmsg.NewPtrHeartbeatRequest()
		h.Group, h.MemberID, h.Generation = "g", z.member, 1
		add(min(v, 4), h)
		l := kmsg.NewPtrLeaveGroupRequest()
		l.Group, l.MemberID = "g", z.member
		l.Members = append(l.Members, kmsg.LeaveGroupRequestMember{MemberID: z.member})
		add(v, l)
		j := kmsg.NewPtrJoinGroupRequest()
		j.Group, j.MemberID, j.ProtocolType, j.SessionTimeoutMillis, j.RebalanceTimeoutMillis = "g", z.member, "consumer", 10000, 10000
		j.Protocols = append(j.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range", Metadata: []byte("n")})
		add(v, j)
	}
	return frames
}

// The ops of a script, and what follows each.
const (
	fuzzRequest = iota // connection, key, version, two bytes of length, body
	fuzzRaw            // connection, two bytes of length, the frame behind its length
	fuzzHangUp         // connection
	fuzzTime           // so many milliseconds pass: a power of two
	fuzzFail           // the next effect of a kind fails: kind, error
	fuzzHold           // the world is slow: effects wait
	fuzzRelease        // so many effects are carried out
	fuzzOps
)

// fuzzWorld is the small world of scripts, with a topic "a", a group "g" and a producer in it, which keeps account of
// what was asked and answered.
type fuzzWorld struct {
	t        testing.TB
	w        *world
	asked    map[core.ConnID][]fuzzAsked
	names    [4]core.ConnID // of the script's connections
	last     core.ConnID
	hurt     bool // an effect failed: the broker may end, and may have lost partitions
	member   string
	producer int64
}

type fuzzAsked struct {
	key, version int16
	correlation  int32
	silent       bool // acks=0: no answer is due
}

func newFuzzWorld(t testing.TB) *fuzzWorld {
	z := &fuzzWorld{t: t, w: newWorld(t), asked: map[core.ConnID][]fuzzAsked{}, last: 99}
	z.w.boot(baseConfig + groupsConfig)
	z.w.connect(99, "10.0.0.9:1")
	call := func(version int16, q kmsg.Request) kmsg.Response {
		z.w.send(99, version, "setup", q)
		z.w.advance(4 * core.Second)
		r := z.w.receive(99)
		require.NotNil(t, r, "%T", q)
		return r
	}
	topic := kmsg.CreateTopicsRequestTopic{Topic: "a", NumPartitions: 2, ReplicationFactor: 1}
	call(5, &kmsg.CreateTopicsRequest{Topics: []kmsg.CreateTopicsRequestTopic{topic}, TimeoutMillis: 1000})
	z.w.raw(99, produceFrame(20))
	z.w.conns[99].in = nil
	z.producer = call(4, kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse).ProducerID
	q := kmsg.NewPtrJoinGroupRequest()
	q.Group, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = "g", "consumer", 60000, 60000
	q.Protocols = append(q.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range", Metadata: []byte("m")})
	call(3, &kmsg.FindCoordinatorRequest{CoordinatorKey: "g"})
	z.member = call(3, q).(*kmsg.JoinGroupResponse).MemberID
	require.NotEmpty(t, z.member)
	return z
}

// connect opens the script's connection of that name, if it is not open.
func (z *fuzzWorld) connect(name byte) core.ConnID {
	id := z.names[name%4]
	if c := z.w.conns[id]; id == 0 || c.closed {
		z.last += 2
		id = z.last
		z.names[name%4] = id
		z.w.connect(id, "10.0.0.1:1")
	}
	return id
}

func (z *fuzzWorld) request(name, key, version byte, body []byte, seal bool) {
	id := z.connect(name)
	keys := wire.Keys()
	k := keys[int(key)%len(keys)]
	r, _ := wire.Served(k)
	v := r.Min + int16(version)%(r.Max-r.Min+2) // one above the last too
	req := kmsg.RequestForKey(k)
	h := wire.Header{Key: k, Version: v, Correlation: int32(len(z.asked[id])) + 1000, ClientID: "c", HasClientID: true}
	frame := wire.AppendRequest(nil, h, &fuzzBody{Request: req, body: body})
	if seal {
		sealBatches(frame)
	}
	z.frame(id, frame)
}

// fuzzBody is a request with a body of any bytes.
type fuzzBody struct {
	kmsg.Request
	body []byte
}

func (r *fuzzBody) AppendTo(b []byte) []byte { return append(b, r.body...) }

// sealBatches makes the checksums of a Produce request right, where there are batches.
func sealBatches(frame []byte) {
	q, err := wire.ParseRequest(frame)
	if err != nil {
		return
	}
	if p, ok := q.Body.(*kmsg.ProduceRequest); ok {
		for _, t := range p.Topics {
			for _, x := range t.Partitions { // whose records lie in the frame
				if v, _, is := batch.First(x.Records); is == batch.Good {
					binary.BigEndian.PutUint32(v[17:], crc32.Checksum(v[21:], crc32.MakeTable(crc32.Castagnoli)))
				}
			}
		}
	}
}

// frame brings one frame, and holds what it costs against its size.
func (z *fuzzWorld) frame(id core.ConnID, frame []byte) {
	c := z.w.conns[id]
	if c.closed || c.paused || z.w.exit >= 0 {
		return
	}
	q, err := wire.ParseRequest(frame)
	batches := 0
	if err == nil && (!q.BadVersion || q.Header.Key == wire.KeyApiVersions) {
		a := fuzzAsked{key: q.Header.Key, version: q.Header.Version, correlation: q.Header.Correlation}
		if q.BadVersion {
			a.version = 0
		}
		switch b := q.Body.(type) {
		case *kmsg.ProduceRequest:
			a.silent = b.Acks == 0
			for _, t := range b.Topics {
				batches += len(t.Partitions)
			}
		case *kmsg.CreateTopicsRequest:
			if tooManyPartitions(b) {
				return
			}
		case *kmsg.CreatePartitionsRequest:
			for _, t := range b.Topics {
				if t.Count > fuzzPartitionsMax && t.Count <= 10000 {
					return
				}
			}
		}
		z.asked[id] = append(z.asked[id], a)
	}
	size := len(frame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	z.w.raw(id, frame)
	runtime.ReadMemStats(&after)
	most := 8<<20 + 8192*size
	if batches > 0 {
		most += 128 << 20 // what is decompressed
	}
	require.Less(z.t, after.TotalAlloc-before.TotalAlloc, uint64(most), "a frame of %d bytes allocates too much", size)
	if err != nil && z.w.exit < 0 && len(z.w.held) == 0 {
		require.True(z.t, c.closed, "a request that cannot be read closes its connection: %v", err)
	}
}

// fuzzPartitionsMax bounds what a topic of the fuzzer may have: thousands of logs are legal, and slow.
const fuzzPartitionsMax = 50

func tooManyPartitions(q *kmsg.CreateTopicsRequest) bool {
	sum := 0
	for _, t := range q.Topics {
		if n := int(t.NumPartitions); n > 0 && n <= 10000 {
			sum += n
		}
		sum += 1 + len(t.ReplicaAssignment)
	}
	return sum > fuzzPartitionsMax
}

// script carries a script out, as far as it can be read.
func (z *fuzzWorld) script(b []byte) {
	take := func(n int) (x []byte) {
		n = min(n, len(b))
		x, b = b[:n], b[n:]
		return x
	}
	one := func() byte {
		if len(b) == 0 {
			return 0
		}
		return take(1)[0]
	}
	for n := 0; len(b) > 0 && n < 60 && z.w.exit < 0; n++ {
		switch one() % fuzzOps {
		case fuzzRequest:
			name, key, version := one(), one(), one()
			z.request(name, key, version, take(int(one())<<8|int(one())), name&4 != 0)
		case fuzzRaw:
			name := one()
			body := take(int(one())<<8 | int(one()))
			z.frame(z.connect(name), append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
		case fuzzHangUp:
			z.hangUp(z.names[one()%4])
		case fuzzTime:
			z.time(core.Millis(1 << (one() % 16)))
		case fuzzFail:
			kind := core.EffectKind(one() % byte(core.Note))
			if !ofNetwork(kind) && kind != core.Release {
				z.w.fail[kind] = core.Errno(one()%16 + 1)
				z.hurt = true
			}
		case fuzzHold:
			for kind := core.Send; kind < core.Release; kind++ {
				z.w.held[kind] = kind != core.Pause && kind != core.Resume
			}
		case fuzzRelease:
			z.release(int(one()))
		}
	}
}

func ofNetwork(kind core.EffectKind) bool { return kind <= core.Resume }

// release carries out the first n of what is held; what that brings about is held again.
func (z *fuzzWorld) release(n int) {
	w := z.w
	n = min(n, len(w.hold))
	now, held := w.hold[:n], w.held
	w.hold, w.held = w.hold[n:], nil
	for _, e := range now {
		w.carryOut(e)
	}
	w.held = held
	w.run()
}

// hangUp closes a connection from the client's side: what was still to be sent is done with ConnGone.
func (z *fuzzWorld) hangUp(id core.ConnID) {
	w := z.w
	if c := w.conns[id]; c == nil || c.closed || w.exit >= 0 {
		return
	}
	var rest []core.Effect
	for _, e := range w.hold {
		if e.Conn == id && ofNetwork(e.Kind) {
			w.done(e, core.ConnGone, 0, nil)
		} else {
			rest = append(rest, e)
		}
	}
	w.hold = rest
	w.hangUp(id, core.Reset)
}

// time passes, and the machine may not want to be woken without end.
func (z *fuzzWorld) time(d core.Time) {
	w := z.w
	end := w.now.Mono + d
	still, ticks := 0, 0
	for w.exit < 0 {
		next := w.b.Next()
		if next > end {
			break
		}
		still, ticks = still+1, ticks+1
		if step := next - w.now.Mono; step > 0 {
			w.now.Mono, w.now.Wall, still = next, w.now.Wall+step, 0
		}
		require.Less(z.t, still, 100, "the machine wants a Tick again and again and time stands still")
		require.Less(z.t, ticks, 20000, "the machine wants too many Ticks")
		w.deliver(core.Event{Kind: core.Tick})
		w.run()
	}
	w.now.Wall += end - w.now.Mono
	w.now.Mono = end
}

// finish lets everything come to rest and holds the replies against what was asked.
func (z *fuzzWorld) finish() {
	w := z.w
	for len(w.hold) > 0 && w.exit < 0 {
		w.held = map[core.EffectKind]bool{}
		z.release(len(w.hold))
	}
	w.held = map[core.EffectKind]bool{}
	if w.fail = map[core.EffectKind]core.Errno{}; w.exit < 0 {
		w.run()
		z.time(20 * core.Second)
	}
	for id := core.ConnID(101); id <= z.last; id += 2 {
		z.replies(id)
	}
	if w.exit >= 0 {
		require.True(z.t, z.hurt, "the broker ended: %v", w.notes)
		return
	}
	require.Equal(z.t, stageReady, w.b.stage)
	z.last += 2
	w.connect(z.last, "10.0.0.2:1")
	w.send(z.last, 9, "after", kmsg.NewPtrMetadataRequest())
	w.run()
	require.NotNil(z.t, w.receive(z.last), "the next client is served")
}

// replies reads what a connection got.
func (z *fuzzWorld) replies(id core.ConnID) {
	c, asked := z.w.conns[id], z.asked[id]
	for b := c.in; len(b) > 0; {
		require.GreaterOrEqual(z.t, len(b), 8, "a reply is sent whole")
		n := int(binary.BigEndian.Uint32(b)) + 4
		require.GreaterOrEqual(z.t, len(b), n, "a reply is sent whole")
		for len(asked) > 0 && asked[0].silent {
			asked = asked[1:]
		}
		require.NotEmpty(z.t, asked, "a reply without a request")
		a := asked[0]
		asked = asked[1:]
		correlation, body, err := wire.ParseResponse(b[:n], a.key, a.version)
		require.NoError(z.t, err, "key %d version %d", a.key, a.version)
		require.Equal(z.t, a.correlation, correlation, "replies come in the order of requests")
		resp := kmsg.ResponseForKey(a.key)
		resp.SetVersion(a.version)
		require.NoError(z.t, resp.ReadFrom(body), "key %d version %d", a.key, a.version)
		b = b[n:]
	}
	for len(asked) > 0 && asked[0].silent {
		asked = asked[1:]
	}
	if c.closed || z.w.exit >= 0 {
		return
	}
	open := z.w.b.conns.find(id)
	require.NotNil(z.t, open)
	require.LessOrEqual(z.t, len(asked), len(open.queue), "a request that has no answer waits for one")
	if len(open.queue) == 0 || open.closing {
		return
	}
	p := open.queue[0]
	require.Equal(z.t, running, p.state, "key %d is not begun", p.key)
	require.NotZero(z.t, p.task, "key %d waits for nothing", p.key)
	s := z.w.b.tasks.slots[p.task-1]
	require.True(z.t, s.task != nil && s.conn == id && s.seq == p.seq, "key %d waits for nothing", p.key)
	require.Greater(z.t, s.deadline, z.w.now.Mono, "key %d is late", p.key)
}
