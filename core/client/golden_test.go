package client

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/batch"
	"klamm/core/wire"
)

// TestGolden plays the scripts: the test is the world and the brokers, and prints what the machine asks for.
func TestGolden(t *testing.T) {
	var marks core.Marks
	datadriven.Walk(t, "testdata/golden", func(t *testing.T, path string) {
		s := &script{t: t, limits: nil}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
		if s.rig != nil {
			for _, name := range s.rig.marks.Names() {
				marks.Hit(name)
			}
		}
	})
	for _, name := range []string{
		"link.api-versions-downgraded", "link.reply-unreadable", "link.reply-unasked", "link.request-timed-out", "link.connect-timed-out",
		"client.batch-split", "client.sequence-refused", "client.epoch-bumped", "client.no-producer-id",
		"client.fetch-session-refused", "client.offset-out-of-range", "client.damaged-batch", "client.log-truncated",
		"client.transaction-sick", "client.transaction-dead", "client.producer-id-forgotten",
		"client.group-membership-lost", "client.group-refused", "client.group-session-expired", "client.group-metadata-changed",
	} {
		require.NotZero(t, marks.Count(name), name)
	}
}

type script struct {
	t      *testing.T
	rig    *rig
	p      *Producer
	c      *Consumer
	a      *Admin
	seen   map[*line]int // requests printed
	dials  int           // printed
	limits []limit
	cuts   int
}

func arg[T any](d *datadriven.TestData, name string, or T) T {
	if d.HasArg(name) {
		switch p := any(&or).(type) {
		case *core.Time:
			var s string
			d.ScanArgs(new(testing.T), name, &s)
			*p = duration(s)
		default:
			d.ScanArgs(new(testing.T), name, &or)
		}
	}
	return or
}

func duration(s string) core.Time {
	v, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return core.Time(v)
}

func (s *script) run(d *datadriven.TestData) string {
	var b strings.Builder
	switch d.Cmd {
	case "open", "refuse":
		if len(s.rig.dials) == 0 {
			return "nothing was dialled\n"
		}
		s.dials--
	case "versions", "reply", "kill", "garbage":
		if l := s.line(d); l == nil || len(l.requests) == 0 && (d.Cmd == "versions" || d.Cmd == "reply") {
			return "nothing was asked\n"
		}
	}
	switch d.Cmd {
	case "producer", "consumer", "admin":
		s.make(d)
	case "limit": // the broker serves a request up to a version only
		s.limits = append(s.limits, limit{arg(d, "key", int16(0)), arg(d, "min", int16(0)), arg(d, "max", int16(0))})
	case "open":
		s.rig.open(core.OK)
	case "refuse":
		s.rig.open(core.Refused)
	case "versions":
		l := s.line(d)
		h, _ := s.rig.request(l.requests[0])
		if want := arg(d, "unsupported", int16(-1)); want >= 0 && h.Version > want {
			resp := kmsg.NewPtrApiVersionsResponse()
			resp.ErrorCode = int16(wire.UnsupportedVersion)
			resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: 18, MaxVersion: want})
			s.rig.respond(l, resp)
			break
		}
		resp := apiVersions(h.Version, s.limits...)
		if level := arg(d, "level", int16(-1)); level >= 0 {
			resp.FinalizedFeaturesEpoch = 1
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, kmsg.ApiVersionsResponseFinalizedFeature{Name: transactionFeature, MaxVersionLevel: level})
		}
		s.rig.respond(l, resp)
		s.seen[l]--
	case "reply":
		s.reply(d)
	case "garbage": // bytes that are no answer
		l := s.line(d)
		l.replies = append(l.replies, append([]byte{0, 0, 0, byte(len(d.Input))}, d.Input...))
		s.rig.deliver(l)
	case "kill":
		s.rig.kill(s.line(d).conn, core.Reset)
	case "pass":
		s.rig.pass(duration(d.CmdArgs[0].Key))
	case "send":
		for range arg(d, "n", 1) {
			r := Record{Topic: arg(d, "topic", "t"), Partition: arg(d, "partition", AnyPartition), Value: []byte(arg(d, "value", "v"))}
			if k := arg(d, "key", ""); k != "" {
				r.Key = []byte(k)
			}
			fmt.Fprintf(&b, "id %d\n", s.p.Send(s.rig.now, r, &s.rig.out))
		}
	case "flush":
		s.p.Flush(s.rig.now, &s.rig.out)
	case "close":
		s.p.Close(s.rig.now, &s.rig.out)
	default:
		if !s.consumerCommand(d, &b) && !s.adminCommand(d) && !s.txnCommand(d, &b) {
			d.Fatalf(s.t, "unknown command")
		}
	}
	s.rig.carryOut()
	s.print(&b)
	return b.String()
}

func (s *script) make(d *datadriven.TestData) {
	o := Options{Bootstrap: []string{"boot:1"}, ClientID: "c"}
	var m core.Machine
	switch d.Cmd {
	case "producer":
		s.p = NewProducer(ProducerOptions{Options: o, Acks: Acks(arg(d, "acks", 0)), NotIdempotent: arg(d, "plain", false), Linger: arg(d, "linger", core.Time(-1)),
			BatchBytes: arg(d, "batch", 0), TransactionalID: arg(d, "txn", ""), BufferBytes: arg(d, "buffer", 0), DeliveryTime: arg(d, "delivery", core.Time(0)), RequestBytes: arg(d, "request", 0)})
		m = s.p
	case "consumer":
		co := ConsumerOptions{Options: o, Reset: Reset(arg(d, "reset", 0)), ReadCommitted: arg(d, "committed", false)}
		if g := arg(d, "group", ""); g != "" {
			co.Group = GroupOptions{ID: g, Topics: []string{"t"}, AutoCommitTime: arg(d, "auto", core.Time(-1)), Instance: arg(d, "instance", ""), RevokeTime: arg(d, "revoke", core.Time(0)),
				RebalanceTime: arg(d, "rebalance", core.Time(0))}
			if a, ok := assign.ByName(arg(d, "assignor", "range")); ok {
				co.Group.Assignors = []assign.Assignor{a}
			}
		}
		s.c = NewConsumer(co)
		m = s.c
	case "admin":
		s.a = NewAdmin(AdminOptions{Options: o, CallTime: arg(d, "time", core.Time(0))})
		m = s.a
	}
	s.rig = newRig(s.t, m)
	s.seen = map[*line]int{}
}

// line is the connection that a command names, or else the last.
func (s *script) line(d *datadriven.TestData) *line {
	n := arg(d, "conn", 0)
	for _, l := range s.rig.conns {
		if int(l.conn) == n {
			return l
		}
	}
	for i := len(s.rig.conns) - 1; n == 0 && i >= 0; i-- {
		if l := s.rig.conns[i]; len(l.requests) > 0 || i == 0 {
			return l
		}
	}
	return nil
}

// reply answers the oldest request of a connection with a response in JSON. batch=OFFSET:a,b gives its first
// partition these records; damaged flips a bit of them.
func (s *script) reply(d *datadriven.TestData) {
	l := s.line(d)
	h, _ := s.rig.request(l.requests[0])
	resp := kmsg.ResponseForKey(h.Key)
	if x, ok := resp.(interface{ Default() }); ok {
		x.Default()
	}
	require.NoError(s.t, json.Unmarshal([]byte(d.Input), resp), d.Pos)
	switch r := resp.(type) {
	case *kmsg.FetchResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				r.Topics[i].Partitions[j].PreferredReadReplica = -1
			}
		}
		if x := arg(d, "batch", ""); x != "" {
			off, values, _ := strings.Cut(x, ":")
			n, _ := strconv.Atoi(off)
			w := batch.NewBuilder(batch.Options{LeaderEpoch: arg(d, "epoch", core.Epoch(3))})
			for _, v := range strings.Split(values, "/") {
				w.Add(1000, nil, []byte(v), nil)
			}
			b := w.Finish(core.Offset(n))
			if d.HasArg("damaged") {
				b[len(b)-1] ^= 1
			}
			r.Topics[0].Partitions[0].RecordBatches = b
		}
	case *kmsg.SyncGroupResponse:
		if d.HasArg("assigned") {
			var list []core.TopicPartition
			for _, x := range d.CmdArgs {
				if x.Key == "assigned" {
					for _, v := range x.Vals {
						n, _ := strconv.Atoi(v)
						list = append(list, tp("t", int32(n)))
					}
				}
			}
			var data []byte
			if d.HasArg("basis") { // what a former life of a static leader noted: the number of partitions
				x := basis{topics: []assign.Topic{{Name: "t", Partitions: arg(d, "basis", int32(0))}}, withheld: d.HasArg("withheld")}
				data = x.append(nil)
			}
			r.MemberAssignment = assign.AppendAssignment(nil, 1, list, data)
		}
	case *kmsg.JoinGroupResponse:
		for i := range r.Members {
			sub := assign.Subscription{Version: 1, Topics: []string{"t"}, Generation: -1}
			r.Members[i].ProtocolMetadata = sub.Append(nil)
		}
	}
	s.rig.respond(l, resp)
	s.seen[l]--
}

func (s *script) consumerCommand(d *datadriven.TestData, b *strings.Builder) bool {
	now, out := s.rig.now, &s.rig.out
	switch d.Cmd {
	case "assign", "seek":
		start := Start{From: FromOffset, Offset: core.Offset(arg(d, "at", 0))}
		switch arg(d, "from", "") {
		case "earliest":
			start = Start{From: FromEarliest}
		case "latest":
			start = Start{From: FromLatest}
		case "policy":
			start = Start{From: FromPolicy}
		}
		if d.Cmd == "seek" {
			s.c.Seek(now, tp("t", arg(d, "partition", int32(0))), start, out)
		} else {
			s.c.Assign(now, start, out, tp("t", arg(d, "partition", int32(0))))
		}
	case "pause", "resume":
		s.c.Pause(d.Cmd == "pause", now, out, tp("t", arg(d, "partition", int32(0))))
	case "poll":
		for _, m := range s.c.Poll(now, arg(d, "n", 100), out) {
			fmt.Fprintf(b, "%s-%d %d %s\n", m.At.Topic, m.At.Partition, m.Offset, m.Value)
		}
	case "commit":
		fmt.Fprintf(b, "commit %d\n", s.c.Commit(now, nil, out))
	case "yield":
		s.c.Yield(now, out)
	case "leave":
		s.c.Leave(now, out)
	default:
		return false
	}
	return true
}

func (s *script) txnCommand(d *datadriven.TestData, b *strings.Builder) bool {
	now, out, ok := s.rig.now, &s.rig.out, true
	switch d.Cmd {
	case "init":
		s.p.Init(now, out)
	case "begin":
		ok = s.p.Begin(now, out)
	case "end":
		if d.HasArg("abort") {
			ok = s.p.Abort(now, out)
		} else {
			ok = s.p.Commit(now, out)
		}
	case "send-offsets":
		m := GroupMember{Group: "g", Member: "m", Generation: 4}
		ok = s.p.SendOffsets(now, m, []CommitOffset{{At: tp("in", 0), Offset: core.Offset(arg(d, "offset", 5)), Epoch: 2}}, out)
	default:
		return false
	}
	if !ok {
		b.WriteString("no\n")
	}
	return true
}

func (s *script) adminCommand(d *datadriven.TestData) bool {
	now, out := s.rig.now, &s.rig.out
	switch name := arg(d, "name", "t"); d.Cmd {
	case "create-topic":
		s.a.CreateTopics(now, []NewTopic{{Name: name, Partitions: 1, Replicas: 1}}, false, out)
	case "describe-topic":
		s.a.DescribeTopics(now, []string{name}, out)
	case "list-groups":
		s.a.ListGroups(now, out)
	case "ask": // a request as it is: all moves of partitions that are under way
		s.a.Ask(now, core.NodeID(arg(d, "to", int(core.NoNode))), kmsg.NewPtrListPartitionReassignmentsRequest(), d.HasArg("alters"), out)
	case "delete-groups":
		s.a.DeleteGroups(now, []string{name}, out)
	case "list-offsets":
		s.a.ListOffsets(now, []OffsetAt{{At: tp(name, 0), From: Start{From: FromLatest}}, {At: tp(name, 1), From: Start{From: FromEarliest}}}, out)
	default:
		return false
	}
	return true
}

// print tells what the machine did since the last command.
func (s *script) print(b *strings.Builder) {
	for _, x := range s.rig.dials[min(s.dials, len(s.rig.dials)):] {
		fmt.Fprintf(b, "dial %d %s\n", x.conn, x.addr)
	}
	s.dials = len(s.rig.dials)
	for _, l := range s.rig.lost[min(s.cuts, len(s.rig.lost)):] {
		fmt.Fprintf(b, "closed %d\n", l.conn)
	}
	s.cuts = len(s.rig.lost)
	for _, l := range s.rig.conns {
		for _, frame := range l.requests[max(0, min(s.seen[l], len(l.requests))):] {
			h, q := s.rig.request(frame)
			if p, ok := q.(*kmsg.ProduceRequest); ok {
				fmt.Fprintf(b, "%d: Produce v%d acks %d%s\n", l.conn, h.Version, p.Acks, batches(p))
				continue
			}
			if _, ok := q.(*kmsg.ApiVersionsRequest); ok {
				fmt.Fprintf(b, "%d: ApiVersions v%d\n", l.conn, h.Version)
				continue
			}
			text := prune(q)
			if text == "null" {
				text = ""
			}
			fmt.Fprintf(b, "%d: %s v%d %s\n", l.conn, kmsg.NameForKey(h.Key), h.Version, text)
		}
		s.seen[l] = len(l.requests)
	}
	if s.p != nil {
		for _, r := range s.p.Results() {
			fmt.Fprintf(b, "result %d: %v %s-%d %d %s\n", r.ID, r.Fate, r.At.Topic, r.At.Partition, r.Offset, r.Failure.Error())
		}
		for _, at := range s.p.Mistaken() {
			fmt.Fprintf(b, "mistaken: %s-%d\n", at.Topic, at.Partition)
		}
	}
	if s.p != nil && s.p.transactional() {
		for _, r := range s.p.Ended() {
			fmt.Fprintf(b, "transaction %d: commit %v: %v %s\n", r.Number, r.Commit, r.Fate, r.Failure.Error())
		}
		state, why := s.p.Txn()
		fmt.Fprintf(b, "%v %s\n", state, why.Error())
	}
	if s.c != nil {
		for _, t := range s.c.Tidings() {
			fmt.Fprintf(b, "%v %v", t.Kind, t.Partitions)
			switch t.Kind {
			case Moved, Truncated:
				fmt.Fprintf(b, " %d -> %d", t.From, t.To)
			case Committed:
				fmt.Fprintf(b, " %d: %v", t.Commit, t.Fate)
			}
			fmt.Fprintf(b, " %s\n", t.Failure.Error())
		}
	}
	if s.a != nil {
		for _, x := range s.a.Answers() {
			for _, o := range x.Outcomes {
				fmt.Fprintf(b, "answer %d: %s %v %s\n", x.Call, o.Name, o.Fate, o.Failure.Error())
			}
			x.Outcomes, x.Failure = nil, Failure{}
			fmt.Fprintf(b, "  %s\n", prune(x))
		}
	}
	if at := s.rig.m.Next(); at != core.Never {
		fmt.Fprintf(b, "next +%v\n", time.Duration(at-s.rig.now.Mono))
	}
}

func batches(p *kmsg.ProduceRequest) string {
	var b strings.Builder
	for _, t := range p.Topics {
		for _, x := range t.Partitions {
			v, _, _ := batch.First(x.Records)
			r, _ := batch.Read(v, 1<<20)
			var values []string
			var rec batch.Record
			for r.Next(&rec) {
				values = append(values, string(rec.Value))
			}
			fmt.Fprintf(&b, " %s-%d producer %d/%d sequence %d %v", t.Topic, x.Partition, v.ProducerID(), v.ProducerEpoch(), v.BaseSequence(), values)
		}
	}
	return b.String()
}
