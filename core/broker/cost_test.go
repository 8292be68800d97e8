package broker

import (
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// costWorld is a booted broker with topic "a", and what is needed to step it without the test's own bookkeeping.
func costWorld(t testing.TB) *world {
	w := &world{now: core.Now{Mono: core.Second, Wall: core.Millis(1_700_000_000_000)}, files: map[string]*memFile{},
		dirs: map[string]bool{"": true, "/": true}, held: map[core.EffectKind]bool{}, fail: map[core.EffectKind]core.Errno{}, t: t}
	w.start()
	w.boot(baseConfig)
	require.Equal(t, stageReady, w.b.stage)
	w.connect(1, "10.0.0.1:1")
	q := kmsg.NewPtrMetadataRequest()
	name := "a"
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	q.Topics, q.AllowAutoTopicCreation = append(q.Topics, topic), true
	w.send(1, 9, "test", q)
	require.NotNil(t, w.receive(1))
	return w
}

func produceFrame(size int) []byte {
	b := batch.NewBuilder(batch.Options{LeaderEpoch: -1})
	b.Add(1_700_000_000_000, nil, make([]byte, size), nil)
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 1000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "a"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = b.Finish(0)
	topic.Partitions = append(topic.Partitions, p)
	q.Topics = append(q.Topics, topic)
	q.SetVersion(11)
	return wire.AppendRequest(nil, wire.Header{Key: 0, Version: 11, Correlation: 1, ClientID: "c", HasClientID: true}, q)
}

func fetchFrame(wait int32, at int64) []byte {
	q := kmsg.NewPtrFetchRequest()
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = wait, 1, 1<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "a"
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = at, 1<<20
	topic.Partitions = append(topic.Partitions, p)
	q.Topics = append(q.Topics, topic)
	q.SessionEpoch = -1
	q.SetVersion(12)
	return wire.AppendRequest(nil, wire.Header{Key: 1, Version: 12, Correlation: 1, ClientID: "c", HasClientID: true}, q)
}

// stepper steps a broker and answers every effect with success, without moving a byte.
type stepper struct {
	b   *Broker
	now core.Now
	out core.Out
	evs []core.Event
}

func (s *stepper) step(ev core.Event) {
	s.evs = append(s.evs[:0], ev)
	for i := 0; i < len(s.evs); i++ {
		s.out.Reset()
		s.b.Step(s.now, &s.evs[i], &s.out)
		for j := range s.out.Effects {
			if e := &s.out.Effects[j]; e.Op != 0 {
				s.evs = append(s.evs, core.Event{Kind: core.Done, Op: e.Op, N: int64(len(e.Data)) + e.Len})
			}
		}
	}
}

// What a Produce and a Fetch cost the machine, in its own allocations: a regression here is one of throughput.
func TestCostOfTheHotPath(t *testing.T) {
	w := costWorld(t)
	s := &stepper{b: w.b, now: w.now}
	frame := produceFrame(1000)
	req := Prepare(frame, core.FromClient)
	produce := testing.AllocsPerRun(200, func() { s.step(core.Event{Kind: core.Frame, Conn: 1, Data: frame, Req: req}) })
	at := int64(w.b.store.Log(w.b.parts.topics[0].logs[0]).High()) - 1
	frame = fetchFrame(0, at)
	req = Prepare(frame, core.FromClient)
	fetch := testing.AllocsPerRun(200, func() { s.step(core.Event{Kind: core.Frame, Conn: 1, Data: frame, Req: req}) })
	t.Logf("allocations: produce %.0f, fetch %.0f", produce, fetch)
	require.LessOrEqual(t, produce, 12.0)
	require.LessOrEqual(t, fetch, 12.0)
}

func BenchmarkProduce(b *testing.B) {
	w := costWorld(b)
	s := &stepper{b: w.b, now: w.now}
	frame := produceFrame(1000)
	req := Prepare(frame, core.FromClient)
	b.ReportAllocs()
	for b.Loop() {
		s.step(core.Event{Kind: core.Frame, Conn: 1, Data: frame, Req: req})
	}
}

func BenchmarkFetch(b *testing.B) {
	w := costWorld(b)
	s := &stepper{b: w.b, now: w.now}
	frame := produceFrame(1000)
	s.step(core.Event{Kind: core.Frame, Conn: 1, Data: frame, Req: Prepare(frame, core.FromClient)})
	frame = fetchFrame(0, 0)
	req := Prepare(frame, core.FromClient)
	b.ReportAllocs()
	for b.Loop() {
		s.step(core.Event{Kind: core.Frame, Conn: 1, Data: frame, Req: req})
	}
}
