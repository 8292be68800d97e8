package sim

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/checker"
	"klamm/core/batch"
	"klamm/core/wire"
)

// Probes: requests of the admin whose answers are known beforehand, or that are operations on a register that only
// the admin writes: a committed offset of a group without members, a setting of a topic.

// probes is what the lives of the admin know together.
type probes struct {
	made     int                // topics that were told to exist
	commits  []checker.Register // of the offset of the probe group for the first partition of the first topic
	settings [][]checker.Register
	ids      []int64 // producer ids that were given out
	written  int64   // the newest offset that was committed
	txn      txnProbe
}

const (
	probeGroup   = "solo"
	probeSetting = "index.interval.bytes"
)

// startProbes notes what the settings are in the beginning.
func (r *run) startProbes() {
	for _, t := range r.cfg.Topics {
		first := checker.Register{Write: true, Value: checker.None}
		for _, kv := range t.configs {
			if kv[0] == probeSetting {
				first.Value = number(kv[1])
			}
		}
		r.probes.settings = append(r.probes.settings, []checker.Register{first})
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return checker.None
	}
	return n
}

// probe makes a request of a probe, and says up to which version it can be asked; nil if the kind is none.
func (a *asking) probe(v uint64) (q kmsg.Request, upTo int16) {
	first := &a.r.cfg.Topics[0]
	switch a.what {
	case adminCommit:
		a.r.probes.written++
		a.value = a.r.probes.written
		return commitRequest(probeGroup, "", -1, first.name, a.value), 9 // from 10 on by topic id
	case adminStaleCommit:
		group := probeGroup
		if v&1 == 0 {
			group = "g0"
		}
		return commitRequest(group, "nobody", int32(v>>1&7), first.name, 1), 9
	case adminCommitted:
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Group = probeGroup
		x := kmsg.NewOffsetFetchRequestTopic()
		x.Topic, x.Partitions = first.name, []int32{0}
		q.Topics = append(q.Topics, x)
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = probeGroup
		y := kmsg.NewOffsetFetchRequestGroupTopic()
		y.Topic, y.Partitions = first.name, []int32{0}
		g.Topics = append(g.Topics, y)
		q.Groups = append(q.Groups, g)
		return q, 9
	case adminBadBatch:
		return badProduce(a.stable(), int32(v>>8)), 12
	case adminSession:
		return a.sessionRequest(), 12
	case adminTxn:
		return a.txnRequest(v)
	case adminRepeat:
		if a.repeat > 0 {
			return a.repeated(), 12
		}
		a.what = adminProducerID
		fallthrough
	case adminProducerID:
		q := kmsg.NewPtrInitProducerIDRequest()
		q.ProducerID, q.ProducerEpoch = -1, -1
		return q, 32767
	case adminHalfJoin:
		q := kmsg.NewPtrJoinGroupRequest()
		q.Group, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = "g0", "consumer", 6000, 6000
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name = string(a.r.cfg.assignors[0].String())
		q.Protocols = append(q.Protocols, p)
		return q, 9
	case adminBrokerDefault:
		value := []string{"4096", "200", "100000", "0"}[v&3]
		return alter(kmsg.ConfigResourceTypeBroker, "", "log.index.interval.bytes", &value), 32767
	}
	return nil, 0
}

func commitRequest(group, member string, generation int32, topic string, offset int64) kmsg.Request {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group, q.MemberID, q.Generation = group, member, generation
	x := kmsg.NewOffsetCommitRequestTopic()
	x.Topic = topic
	y := kmsg.NewOffsetCommitRequestTopicPartition()
	y.Offset = offset
	x.Partitions = append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	return q
}

// badProduce sends a batch whose checksum does not match: nobody may ever read it.
func badProduce(t *topicConfig, p int32) kmsg.Request {
	b := batch.NewBuilder(batch.Options{})
	b.Add(1_750_000_000_000, nil, []byte("damaged on its way"), nil)
	v := b.Finish(0)
	v[len(v)-5] ^= 4
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 1000
	x := kmsg.NewProduceRequestTopic()
	y := kmsg.NewProduceRequestTopicPartition()
	x.Topic, y.Partition, y.Records = t.name, p%t.partitions, v
	x.Partitions = append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	return q
}

// sessionRequest opens a fetch session or, if there is one, goes on with it at an epoch that is not the next.
func (a *asking) sessionRequest() kmsg.Request {
	q := kmsg.NewPtrFetchRequest()
	q.ReplicaID, q.MaxBytes, q.SessionEpoch = -1, 100, 0
	if q.SessionID = a.session; a.session != 0 {
		q.SessionEpoch = 7
		return q
	}
	t := a.stable()
	x := kmsg.NewFetchRequestTopic()
	y := kmsg.NewFetchRequestTopicPartition()
	x.Topic, y.PartitionMaxBytes, y.CurrentLeaderEpoch, y.LastFetchedEpoch = t.name, 100, -1, -1
	x.Partitions = append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	return q
}

func alter(kind kmsg.ConfigResourceType, resource, name string, value *string) kmsg.Request {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	if c.Name, c.Value = name, value; value == nil {
		c.Op = kmsg.IncrementalAlterConfigOpDelete
	}
	r.Configs = append(r.Configs, c)
	q.Resources = append(q.Resources, r)
	return q
}

// alterSetting changes or removes the setting of a topic that the probes follow.
func (a *asking) alterSetting(v uint64) kmsg.Request {
	a.value = checker.None
	if v&7 < 5 {
		a.value = []int64{0, 100, 1000, 4096, 777}[v&7]
		text := strconv.FormatInt(a.value, 10)
		return alter(kmsg.ConfigResourceTypeTopic, a.stable().name, probeSetting, &text)
	}
	return alter(kmsg.ConfigResourceTypeTopic, a.stable().name, probeSetting, nil)
}

// heedProbe holds the answer of a probe against what it must be.
func (a *asking) heedProbe(resp kmsg.Response) {
	if a.what == adminTxn {
		a.heedTxn(resp)
		return
	}
	w := a.r.w
	switch p := resp.(type) {
	case *kmsg.OffsetCommitResponse:
		code := wire.UnknownServerError
		if len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 {
			code = wire.Code(p.Topics[0].Partitions[0].ErrorCode)
		}
		switch {
		case a.what == adminCommit:
			a.committed(code)
		case code == wire.None:
			w.Fail("I49", "a commit in the name of a member that never was has been taken")
		}
	case *kmsg.OffsetFetchResponse:
		if a.what == adminCommitted {
			a.fetched(p)
		}
	case *kmsg.ProduceResponse:
		if a.what == adminRepeat {
			a.repeatAnswered(p)
			return
		}
		if len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 && p.Topics[0].Partitions[0].ErrorCode == 0 {
			w.Fail("I06", "a batch with a wrong checksum was taken")
		}
	case *kmsg.FetchResponse:
		if a.session == 0 {
			a.session = p.SessionID
			return
		}
		if a.session = 0; p.ErrorCode == 0 {
			w.Fail("I82", "a fetch session went on at an epoch that was not its next")
		}
	case *kmsg.InitProducerIDResponse:
		if p.ErrorCode != 0 || a.r.metadataHurt() || a.r.cfg.Set == SetLying {
			return
		}
		for _, id := range a.r.probes.ids {
			if id == p.ProducerID {
				w.Fail("I58", "producer id "+strconv.FormatInt(id, 10)+" was given out twice")
			}
		}
		a.r.probes.ids = append(a.r.probes.ids, p.ProducerID)
		a.pid, a.epoch, a.repeat = p.ProducerID, p.ProducerEpoch, 1
	case *kmsg.IncrementalAlterConfigsResponse:
		if a.what == adminAlterConfigs && len(p.Resources) == 1 {
			a.altered(wire.Code(p.Resources[0].ErrorCode) == wire.None)
		}
	case *kmsg.DescribeConfigsResponse:
		a.described(p)
	case *kmsg.DescribeGroupsResponse:
		a.oneOfEach(p)
	}
}

func (a *asking) register(outcome checker.Outcome, write bool, value int64) checker.Register {
	return checker.Register{Client: 1, Invoke: int64(a.asked), Return: int64(a.r.w.now), Outcome: outcome, Write: write, Value: value}
}

func (a *asking) committed(code wire.Code) {
	outcome := checker.OK
	if code != wire.None {
		outcome = checker.Unknown
	}
	a.r.probes.commits = append(a.r.probes.commits, a.register(outcome, true, a.value))
}

// fetched reads the register of the committed offset.
func (a *asking) fetched(p *kmsg.OffsetFetchResponse) {
	topics, code := p.Topics, wire.Code(p.ErrorCode)
	if p.Version >= 8 && len(p.Groups) == 1 {
		code = wire.Code(p.Groups[0].ErrorCode)
		for _, t := range p.Groups[0].Topics {
			x := kmsg.NewOffsetFetchResponseTopic()
			for _, q := range t.Partitions {
				y := kmsg.NewOffsetFetchResponseTopicPartition()
				y.Offset, y.ErrorCode = q.Offset, q.ErrorCode
				x.Partitions = append(x.Partitions, y)
			}
			topics = append(topics, x)
		}
	}
	if code != wire.None || len(topics) != 1 || len(topics[0].Partitions) != 1 || topics[0].Partitions[0].ErrorCode != 0 {
		return
	}
	a.r.probes.commits = append(a.r.probes.commits, a.register(checker.OK, false, topics[0].Partitions[0].Offset))
}

func (a *asking) altered(done bool) {
	outcome := checker.OK
	if !done {
		outcome = checker.Unknown
	}
	list := &a.r.probes.settings[a.topic%len(a.r.cfg.Topics)]
	*list = append(*list, a.register(outcome, true, a.value))
}

// described reads the register of a topic's setting.
func (a *asking) described(p *kmsg.DescribeConfigsResponse) {
	if p.Version < 1 || len(p.Resources) != 1 || p.Resources[0].ErrorCode != 0 || p.Resources[0].ResourceType != kmsg.ConfigResourceTypeTopic {
		return
	}
	for _, c := range p.Resources[0].Configs {
		if c.Name != probeSetting {
			continue
		}
		value := checker.None
		if c.Source == kmsg.ConfigSourceDynamicTopicConfig && c.Value != nil {
			value = number(*c.Value)
		}
		if a.r.cfg.topology.many() { // a broker answers from its own copy of the metadata
			a.r.probes.staleSetting(a, value)
			continue
		}
		list := &a.r.probes.settings[a.topic%len(a.r.cfg.Topics)]
		*list = append(*list, a.register(checker.OK, false, value))
	}
}

// oneOfEach looks for two members with one instance id.
func (a *asking) oneOfEach(p *kmsg.DescribeGroupsResponse) {
	for i := range p.Groups {
		members := p.Groups[i].Members
		for j := range members {
			for k := range members[:j] {
				x, y := members[j].InstanceID, members[k].InstanceID
				if x != nil && y != nil && *x == *y {
					a.r.w.Fail("I54", "group "+p.Groups[i].Group+" has two members with the instance id "+*x)
				}
			}
		}
	}
}

// probeUnanswered notes a probe whose answer never came.
func (a *asking) probeUnanswered() {
	switch a.what {
	case adminCommit:
		a.committed(wire.UnknownServerError)
	case adminAlterConfigs:
		a.altered(false)
	case adminSession:
		a.session = 0
	}
}

// judgeProbes looks whether the registers were registers.
func (r *run) judgeProbes() {
	if r.cfg.Set == SetDamage || r.cfg.Set == SetLying {
		return
	}
	fail := func(found []checker.Violation, list []checker.Register) {
		for _, v := range found {
			r.w.Rec.registerHistory(v.Subject, list)
			r.oracle.fail(v.Invariant, "%s: %s", v.Subject, v.Detail)
		}
	}
	fail(checker.CheckRegister("I50", "offset of group "+probeGroup, r.probes.commits), r.probes.commits)
	for i, list := range r.probes.settings {
		fail(checker.CheckRegister("I90", probeSetting+" of "+r.cfg.Topics[i].name, list), list)
	}
}

// fresh is the first instant of the next request, for those who ask at once after a new connection.
func (a *asking) fresh() adminKind {
	if a.opened {
		a.opened = false
		if a.r.choose(a.entity, siteScript, a.entity, 2) == 1 {
			return adminCommitted
		}
	}
	return adminKinds
}

// repeatSteps is how many batches are sent before the first of them is sent again.
const repeatSteps = 3

// repeated sends the next batch of an idempotent producer to a topic that nobody reads, or the first one again.
func (a *asking) repeated() kmsg.Request {
	seq := int32(a.repeat-1) % repeatSteps
	b := batch.NewBuilder(batch.Options{Producer: &batch.Producer{ID: a.pid, Epoch: a.epoch, Sequence: seq}})
	b.Add(1_750_000_000_000, nil, []byte{byte(seq)}, nil) // without a time its producer would count as long gone
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 5000
	x := kmsg.NewProduceRequestTopic()
	y := kmsg.NewProduceRequestTopicPartition()
	x.Topic, y.Records = "churn0", b.Finish(0)
	x.Partitions = append(x.Partitions, y)
	q.Topics = append(q.Topics, x)
	return q
}

// repeatAnswered: on one connection, hence in one life of the broker, a repeat is answered with the old offset (I57).
func (a *asking) repeatAnswered(p *kmsg.ProduceResponse) {
	code, base := wire.UnknownServerError, int64(-1)
	if len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 {
		code, base = wire.Code(p.Topics[0].Partitions[0].ErrorCode), p.Topics[0].Partitions[0].BaseOffset
	}
	switch {
	case a.repeat == repeatSteps+1 && (code == wire.OutOfOrderSequenceNumber || code == wire.None && base != a.base):
		a.r.w.Fail("I57", "the repeat of a batch at offset "+strconv.FormatInt(a.base, 10)+" was answered with "+code.String()+" and offset "+strconv.FormatInt(base, 10))
	case code != wire.None || a.repeat == repeatSteps+1:
		a.repeat = 0
		return
	case a.repeat == 1:
		a.base = base
	}
	a.repeat++
}
