package sim

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/checker"
	"klamm/core"
	"klamm/core/wire"
)

// asking is a client of its own making: it speaks the protocol by hand, one request at a time, in every version
// that the broker serves, and holds each answer to the request that it belongs to. It makes the topics of the
// run, changes and deletes some, and asks for everything that can be asked.
type asking struct {
	r       *run
	entity  uint64
	conn    core.ConnID
	at      string // the broker it is connected to
	op      core.Op
	state   askState
	next    core.Time // of the next request, or the end of patience with this one
	corr    int32
	req     kmsg.Request
	asked   core.Time
	made    int  // topics of the run that exist
	calmed  bool // an answer to a request that was made after healing
	what    adminKind
	topic   int
	answers int
	value   int64 // of a probe under way
	session int32 // a fetch session of the probes
	opened  bool  // the connection is new
	pid     int64 // a producer of the probes, while repeat > 0
	epoch   int16
	repeat  int // the step of a repeated batch
	txns    int // requests of adminTxn that are still to come
	base    int64
	flips   int       // requests of adminFlip that are still to come
	aim     int       // the topic that it is about, and what is asked next
	flipped int32     // the partition of it
	flipOf  string    // that topic, if it is none of the run
	leader  string    // to which it goes next, since only that one can do what comes then
	then    adminKind // what is asked next, of the same partition; adminKinds: whatever is drawn
}

type askState uint8

const (
	askIdle askState = iota
	askDialling
	askOpen
	askWaiting
)

type adminKind uint8

const (
	adminSetUp adminKind = iota
	adminCreate
	adminDelete
	adminGrow
	adminDescribeConfigs
	adminAlterConfigs
	adminDeleteRecords
	adminListOffsets
	adminMetadata
	adminListGroups
	adminDescribeGroups
	adminLogDirs
	adminProducers
	adminEpochEnd
	adminFindCoordinator
	adminOffsetFetch
	adminApiVersions
	adminCluster
	adminPartitions
	adminCommit
	adminCommitted
	adminStaleCommit
	adminBadBatch
	adminSession
	adminProducerID
	adminHalfJoin
	adminBrokerDefault
	adminRepeat
	adminTxn
	adminKinds
)

func (a *asking) Next() core.Time { return a.next }

func (a *asking) Step(now core.Now, ev *core.Event, out *core.Out) {
	switch ev.Kind {
	case core.Boot:
		a.next = now.Mono
	case core.Opened:
		if ev.Op != a.op {
			return
		}
		then := adminKinds
		if a.leader != "" && a.at == a.leader {
			then = adminShorten
		}
		a.leader = ""
		if a.state, a.next, a.opened, a.session, a.repeat, a.flips, a.then = askOpen, now.Mono, true, 0, 0, 0, then; ev.Err != core.OK {
			a.state, a.next = askIdle, now.Mono+100*core.Millisecond
		}
	case core.Closed:
		if ev.Conn == a.conn {
			if a.state == askWaiting {
				a.unanswered()
			}
			a.state, a.next = askIdle, now.Mono+50*core.Millisecond
		}
	case core.Frame:
		a.answered(now, ev, out)
	}
	if now.Mono < a.next {
		return
	}
	switch a.state {
	case askIdle:
		a.conn += 2
		a.op = core.Op(9<<56 | uint64(a.conn))
		if a.at = a.r.dial(a.entity); a.leader != "" {
			a.at = a.leader
		}
		out.Dial(a.op, a.conn, a.at)
		a.state, a.next = askDialling, core.Never
	case askOpen:
		if a.leader != "" {
			out.CloseConn(a.conn)
			a.state, a.next = askDialling, core.Never // until it is closed
			return
		}
		a.ask(now, out)
	case askWaiting: // no patience left: another connection
		out.CloseConn(a.conn)
		a.next = core.Never
	}
}

// ask sends the next request.
func (a *asking) ask(now core.Now, out *core.Out) {
	w := a.r.w
	if a.made == len(a.r.cfg.Topics) && !a.r.turn(a.entity, now, &a.next) {
		return
	}
	if a.made < len(a.r.cfg.Topics) {
		a.what, a.topic = adminSetUp, a.made
	} else {
		v := a.r.choose(a.entity, siteScript, a.entity, 1<<16)
		if a.what, a.topic = a.fresh(), int(v>>8); a.what == adminKinds {
			a.what = adminCreate + adminKind(v&0xff)%(adminKinds-1)
		}
		if a.r.cfg.topology.moves && v&0x300 == 0x300 {
			a.what = adminDeleteRecords
		}
		if a.what == adminHalfJoin && a.r.stage >= stageCalm {
			a.what = adminListOffsets // a member that never comes holds a group up
		}
	}
	switch { // what goes on from one request to the next
	case a.repeat > 0:
		a.what = adminRepeat
	case a.session != 0:
		a.what = adminSession
	case a.txns > 0:
		a.what = adminTxn
	}
	if a.what == adminTxn {
		if a.txns--; a.txns < 0 {
			a.txns = int(a.r.choose(a.entity, siteScript, a.entity, txnProbesMax))
		}
	}
	v := a.r.choose(a.entity, siteScript, a.entity, 1<<32)
	if a.what == adminCommit && !a.coordinates() {
		a.what = adminFindCoordinator
	}
	req, upTo := a.probe(v)
	what, topic := a.what, a.topic
	q, other := a.clusterAsk()
	if !other {
		a.what, a.topic = what, topic // it may have thought of something that could not be asked
		q, other = a.dirAsk()
	}
	if other {
		req, upTo = q, 32767
	}
	if req == nil {
		req, upTo = a.request(v), 32767
	}
	served, ok := wire.Served(req.Key())
	served.Max = min(served.Max, upTo)
	if a.what == adminCreate {
		served.Min = 7 // the first version whose answer has the topic's id
	}
	switch a.what {
	case adminBadBatch, adminRepeat:
		served.Min = 3 // older ones have no such batches
	case adminSession:
		served.Min = 7
	case adminHalfJoin:
		served.Min = 4 // older ones would wait
	}
	if !ok {
		a.next = now.Mono + 10*core.Millisecond
		return
	}
	a.corr++
	version := served.Max - int16(a.r.choose(a.entity, siteScript, a.entity, uint64(served.Max-served.Min)+1))
	req.SetVersion(version)
	a.r.says(a.entity, "%s v%d", wire.Name(req.Key()), version)
	a.req, a.asked = req, w.now
	id := "admin"
	out.Send(0, a.conn, wire.AppendRequest(nil, wire.Header{Key: req.Key(), Version: version, Correlation: a.corr, ClientID: id, HasClientID: true}, req))
	a.state, a.next = askWaiting, now.Mono+8*core.Second
}

// churn names one of the topics that come and go.
func (a *asking) churn() string { return "churn" + string(rune('0'+a.topic%3)) }

// stable returns one of the topics that stay.
func (a *asking) stable() *topicConfig { return &a.r.cfg.Topics[a.topic%len(a.r.cfg.Topics)] }

func (a *asking) request(v uint64) kmsg.Request {
	switch a.what {
	case adminSetUp:
		t := a.stable()
		return createTopic(t.name, t.partitions, t.factor, t.configs)
	case adminCreate:
		var configs [][2]string
		if v>>20&7 == 0 { // a long record
			configs = append(configs, [2]string{"leader.replication.throttled.replicas", strings.Repeat("0:1,", 400) + "0:1"})
		}
		return createTopic(a.churn(), 1+int32(v&3), a.r.cfg.topology.factor, configs)
	case adminDelete:
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.TimeoutMillis = 5000
		name := a.churn()
		q.TopicNames = []string{name}
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		q.Topics = append(q.Topics, t)
		return q
	case adminGrow:
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.TimeoutMillis = 5000
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = a.churn(), 2+int32(v&7)
		q.Topics = append(q.Topics, t)
		return q
	case adminDescribeConfigs:
		q := kmsg.NewPtrDescribeConfigsRequest()
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, a.stable().name
		if v&7 == 7 {
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
		}
		q.Resources = append(q.Resources, r)
		return q
	case adminAlterConfigs:
		return a.alterSetting(v)
	case adminDeleteRecords:
		return a.deleteRecords(v)
	case adminListOffsets:
		return a.listOffsets(v)
	case adminMetadata:
		q := kmsg.NewPtrMetadataRequest()
		if v&1 == 0 {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(a.stable().name)
			q.Topics = append(q.Topics, t)
		}
		return q
	case adminListGroups:
		return kmsg.NewPtrListGroupsRequest()
	case adminDescribeGroups:
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Groups = []string{"g0", "nobody"}
		return q
	}
	return a.question(v)
}

// question makes the requests that only look.
func (a *asking) question(v uint64) kmsg.Request {
	t := a.stable()
	p := int32(v>>8) % t.partitions
	switch a.what {
	case adminLogDirs:
		return kmsg.NewPtrDescribeLogDirsRequest()
	case adminProducers:
		q := kmsg.NewPtrDescribeProducersRequest()
		x := kmsg.NewDescribeProducersRequestTopic()
		x.Topic, x.Partitions = t.name, []int32{p}
		q.Topics = append(q.Topics, x)
		return q
	case adminEpochEnd:
		q := kmsg.NewPtrOffsetForLeaderEpochRequest()
		x := kmsg.NewOffsetForLeaderEpochRequestTopic()
		y := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		y.Partition, y.CurrentLeaderEpoch, y.LeaderEpoch = p, -1, int32(v&3)
		x.Topic, x.Partitions = t.name, append(x.Partitions, y)
		q.Topics = append(q.Topics, x)
		return q
	case adminFindCoordinator:
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKey, q.CoordinatorKeys = "g0", []string{"g0", "g1"}
		return q
	case adminOffsetFetch:
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Group = "g0"
		x := kmsg.NewOffsetFetchRequestTopic()
		x.Topic, x.Partitions = t.name, []int32{p}
		q.Topics = append(q.Topics, x)
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = "g0"
		q.Groups = append(q.Groups, g)
		return q
	case adminCluster:
		return kmsg.NewPtrDescribeClusterRequest()
	case adminPartitions:
		q := kmsg.NewPtrDescribeTopicPartitionsRequest()
		x := kmsg.NewDescribeTopicPartitionsRequestTopic()
		x.Topic = t.name
		q.Topics = append(q.Topics, x)
		return q
	}
	q := kmsg.NewPtrApiVersionsRequest()
	q.ClientSoftwareName, q.ClientSoftwareVersion = "sim", "1"
	return q
}

func createTopic(name string, partitions int32, factor int16, configs [][2]string) kmsg.Request {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis = 5000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, factor
	for _, kv := range configs {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = kv[0], kmsg.StringPtr(kv[1])
		t.Configs = append(t.Configs, c)
	}
	q.Topics = append(q.Topics, t)
	return q
}

func (a *asking) deleteRecords(v uint64) kmsg.Request {
	t := a.stable()
	p := int32(v>>8) % t.partitions
	if t, p = a.shortened(t, p); !t.removable || a.r.stage >= stageFlush {
		a.what = adminListOffsets
		return a.listOffsets(v)
	}
	q := kmsg.NewPtrDeleteRecordsRequest()
	q.TimeoutMillis = 5000
	x := kmsg.NewDeleteRecordsRequestTopic()
	y := kmsg.NewDeleteRecordsRequestTopicPartition()
	y.Partition, y.Offset = p, int64(v>>16&0x3f)
	if known := a.r.oracle.known(core.TopicPartition{Topic: t.name, Partition: p}); a.r.cfg.topology.moves && v&7 < 6 {
		y.Offset = max(0, known-int64(v>>16&0xf)) // near the end, where it lies within a batch and not above the high watermark
		a.then, a.aim, a.flipped = adminShift, a.topic, p
	}
	if v&7 == 7 {
		y.Offset = -1
	}
	x.Topic, x.Partitions = t.name, append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	return q
}

func (a *asking) listOffsets(v uint64) kmsg.Request {
	q := kmsg.NewPtrListOffsetsRequest()
	q.ReplicaID = -1
	for i := range a.r.cfg.Topics {
		t := &a.r.cfg.Topics[i]
		x := kmsg.NewListOffsetsRequestTopic()
		x.Topic = t.name
		for p := range t.partitions {
			y := kmsg.NewListOffsetsRequestTopicPartition()
			y.Partition, y.CurrentLeaderEpoch = p, -1
			y.Timestamp = []int64{-1, -2, -1, -2, -3, 1_750_000_000_000}[v%6]
			x.Partitions = append(x.Partitions, y)
		}
		q.Topics = append(q.Topics, x)
	}
	return q
}

// answered takes an answer.
func (a *asking) answered(now core.Now, ev *core.Event, out *core.Out) {
	if ev.Conn != a.conn || a.state != askWaiting {
		out.Release(ev.Data)
		return
	}
	corr, body, err := wire.ParseResponse(ev.Data, a.req.Key(), a.req.GetVersion())
	if err != nil || corr != a.corr {
		a.r.w.Fail("I81", "an answer to key "+wire.Name(a.req.Key())+" does not belong to its request, or has no header")
		return
	}
	resp := a.req.ResponseKind()
	resp.SetVersion(a.req.GetVersion())
	if err := resp.ReadFrom(body); err != nil {
		a.r.w.Fail("I84", "the answer to "+wire.Name(a.req.Key())+" can't be read: "+err.Error())
		return
	}
	a.answers++
	a.heed(resp)
	out.Release(ev.Data)
	a.state, a.next = askOpen, now.Mono+a.r.cfg.adminPause
	if a.made < len(a.r.cfg.Topics) {
		a.next = now.Mono + 20*core.Millisecond
	}
	if a.flips > 0 || a.then != adminKinds || a.txns > 0 {
		a.next = now.Mono + core.Time(a.r.choose(a.entity, siteAdmin, a.entity, 8))*core.Millisecond
	}
}

// heed believes what an answer says.
func (a *asking) heed(resp kmsg.Response) {
	if a.asked >= a.r.calmFrom && a.r.stage >= stageCalm {
		a.calmed = true
	}
	a.heedProbe(resp)
	a.heedCluster(resp)
	a.heedDirs(resp)
	switch p := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		if len(p.Topics) == 1 && a.what == adminCreate {
			id := core.TopicID(p.Topics[0].TopicID)
			a.topicOp(wire.Code(p.Topics[0].ErrorCode), id.String(), p.Topics[0].NumPartitions)
		}
		if len(p.Topics) == 1 && a.what == adminSetUp {
			switch code := wire.Code(p.Topics[0].ErrorCode); code {
			case wire.None, wire.TopicAlreadyExists:
				a.made++
				a.r.probes.made = max(a.r.probes.made, a.made)
			default:
				a.r.refused = "creating " + p.Topics[0].Topic + ": " + code.String()
				if p.Topics[0].ErrorMessage != nil {
					a.r.refused += ": " + *p.Topics[0].ErrorMessage
				}
			}
		}
	case *kmsg.DeleteTopicsResponse:
		if len(p.Topics) == 1 {
			a.topicOp(wire.Code(p.Topics[0].ErrorCode), "", 0)
		}
	case *kmsg.CreatePartitionsResponse:
		if len(p.Topics) == 1 {
			a.topicOp(wire.Code(p.Topics[0].ErrorCode), "", a.req.(*kmsg.CreatePartitionsRequest).Topics[0].Count)
		}
	case *kmsg.ListOffsetsResponse:
		req := a.req.(*kmsg.ListOffsetsRequest)
		ts := req.Topics[0].Partitions[0].Timestamp
		for _, t := range p.Topics {
			for _, x := range t.Partitions {
				at := core.TopicPartition{Topic: t.Topic, Partition: x.Partition}
				offset := x.Offset
				if p.Version == 0 && len(x.OldStyleOffsets) > 0 {
					offset = x.OldStyleOffsets[0]
				}
				if x.ErrorCode != 0 || offset < 0 {
					continue
				}
				switch ts {
				case -1:
					a.r.bounds(at, -1, offset, x.LeaderEpoch, a.asked)
				case -2:
					a.r.bounds(at, offset, -1, x.LeaderEpoch, a.asked)
				}
			}
		}
	}
}

// topicOp tells the oracle what came of creating, deleting or growing a topic that comes and goes.
func (a *asking) topicOp(code wire.Code, id string, partitions int32) {
	op := checker.TopicOp{Client: 1, Invoke: int64(a.asked), Return: int64(a.r.w.now), ID: id, Partitions: partitions}
	switch a.what {
	case adminCreate:
		op.Kind = checker.CreateTopic
		op.Refused = code == wire.TopicAlreadyExists
	case adminDelete:
		op.Kind = checker.DeleteTopic
		op.Refused = code == wire.UnknownTopicOrPartition
	case adminGrow:
		op.Kind = checker.GrowTopic
		op.Refused = code == wire.UnknownTopicOrPartition || code == wire.InvalidPartitions
	default:
		return
	}
	if code != wire.None && !op.Refused {
		op.Outcome = checker.Unknown
	}
	op.Again = op.Refused && a.r.cfg.topology.many()
	a.r.oracle.Topic(a.churn(), op)
	if op.Again { // a broker that has lost the controller's answer asks again, and what it asked at first may yet come to be
		op.Refused, op.Again, op.Outcome, op.Return = false, false, checker.Unknown, checker.Open
		a.r.oracle.Topic(a.churn(), op)
	}
}

// unanswered is a request whose connection ended before its answer: what it did is not known.
func (a *asking) unanswered() {
	a.probeUnanswered()
	partitions := int32(0)
	switch q := a.req.(type) {
	case *kmsg.CreateTopicsRequest:
		partitions = q.Topics[0].NumPartitions
	case *kmsg.CreatePartitionsRequest:
		partitions = q.Topics[0].Count
	}
	a.r.voters.unanswered(a.req)
	a.topicOp(wire.UnknownServerError, "", partitions)
}
