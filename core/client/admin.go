package client

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/wire"
)

// CallID numbers the calls of one admin, from 1.
type CallID uint64

// AdminOptions are those of an admin. Zero values mean Kafka's defaults.
type AdminOptions struct {
	Options
	CallTime core.Time // default.api.timeout.ms: then what is not answered is given up
}

// Answer is what came of a call. Outcomes has one row for each thing that was asked about, in that order,
// or for each broker where all brokers were asked; the other lists hold what was asked for, sorted.
type Answer struct {
	Call     CallID
	Failure  Failure // the first that went wrong
	Outcomes []Outcome

	Cluster    string
	Controller core.NodeID
	Brokers    []Broker
	Topics     []TopicInfo
	Configs    []ConfigInfo
	Offsets    []OffsetInfo
	Committed  []CommittedOffset
	Groups     []GroupInfo
	Dirs       []DirInfo
	Producers  []ProducerInfo
	Response   kmsg.Response // to Ask; nil if there was none
}

// Outcome is what came of one thing that was asked for.
type Outcome struct {
	Name      string // of the topic, group, resource, …
	Partition int32  // -1 if it is not about one
	Fate      Fate
	Failure   Failure
}

// NewTopic is a topic to be made. -1 partitions or replicas are the broker's default.
type NewTopic struct {
	Name       string
	Partitions int32
	Replicas   int16
	Assignment [][]core.NodeID // of each partition, instead of both
	Configs    []Config
}

// Config is one name and value.
type Config struct{ Name, Value string }

// TopicInfo is what metadata says of a topic.
type TopicInfo struct {
	Name       string
	ID         core.TopicID
	Internal   bool
	Partitions []PartitionInfo
}

// PartitionInfo is what metadata says of a partition.
type PartitionInfo struct {
	Partition              int32
	Leader                 core.NodeID
	Epoch                  core.Epoch
	Replicas, ISR, Offline []core.NodeID
	Failure                Failure
}

// ResourceType says whose configuration is meant.
type ResourceType int8

// The types of resources.
const (
	TopicResource  ResourceType = 2
	BrokerResource ResourceType = 4 // Name is its id, or empty for the default of all brokers
	GroupResource  ResourceType = 32
)

// Resource is something that has a configuration.
type Resource struct {
	Type ResourceType
	Name string
}

// ConfigInfo is one configuration of a resource.
type ConfigInfo struct {
	Resource  Resource
	Name      string
	Value     string
	IsNull    bool // or not told
	ReadOnly  bool
	Sensitive bool
	IsDefault bool
	Source    int8 // 1 topic, 2 dynamic broker, 3 dynamic default, 4 static, 5 default
	Doc       string
}

// ConfigChange changes one configuration (KIP-339).
type ConfigChange struct {
	Resource Resource
	Name     string
	Op       ConfigOp
	Value    string
}

// ConfigOp is a kind of change.
type ConfigOp int8

// The kinds of change.
const (
	SetConfig ConfigOp = iota
	DeleteConfig
	AppendConfig
	SubtractConfig
)

// OffsetAt asks for an offset of a partition, or names one.
type OffsetAt struct {
	At   core.TopicPartition
	From Start       // for ListOffsets
	To   core.Offset // for DeleteRecords: the new log start; -1 is the high watermark
}

// OffsetInfo is an offset that was asked for; -1 if there is none.
type OffsetInfo struct {
	At        core.TopicPartition
	Offset    core.Offset
	Timestamp int64
	Epoch     core.Epoch
}

// GroupInfo is what a coordinator says of a group.
type GroupInfo struct {
	ID           string
	State        string
	Type         string
	ProtocolType string
	Protocol     string
	Coordinator  core.NodeID
	Members      []MemberInfo
}

// MemberInfo is a member of a group.
type MemberInfo struct {
	ID, Instance, ClientID, Host string
	Topics                       []string
	Assigned                     []core.TopicPartition
}

// DirInfo is one partition in one log directory of one broker, or, with an empty topic, the directory.
type DirInfo struct {
	Broker core.NodeID
	Dir    string
	Code   wire.Code
	At     core.TopicPartition
	Size   int64
	Lag    int64
	Future bool
	Total  int64 // of the file system; -1 if it is not told
	Usable int64
}

// ProducerInfo is a producer that a partition remembers.
type ProducerInfo struct {
	At            core.TopicPartition
	ID            int64
	Epoch         int32
	LastSequence  int32
	LastTimestamp int64
	TxnStart      core.Offset
}

type callKind uint8

const (
	createTopics callKind = iota
	deleteTopics
	createPartitions
	describeTopics
	describeConfigs
	alterConfigs
	deleteRecords
	listOffsets
	producers
	listGroups
	describeGroups
	deleteGroups
	committedOffsets
	commitOffsets
	deleteOffsets
	logDirs
	describeCluster
	plain
)

// call is one that is not answered. Its items are answered one by one, whoever must be asked about each.
type call struct {
	id       CallID
	kind     callKind
	deadline core.Time
	seen     uint64 // metadata requests up to this one are older than the call
	items    []item
	fanned   bool // items are the brokers, once they are known
	dry      bool // only validate
	all      bool // of everything there is
	group    string
	answer   Answer

	topics  []NewTopic
	changes []ConfigChange
	offsets []OffsetAt
	commits []CommitOffset
	request kmsg.Request // of a plain call
	alters  bool         // a plain call changes something
}

// item is one thing that a call is about.
type item struct {
	name      string
	partition int32
	node      core.NodeID // that is asked, for those about brokers
	kind      ResourceType
	done      bool
	request   uint64
	retryAt   core.Time
	fails     int
	why       Failure
}

// Admin asks for and changes what a cluster keeps. A request that changes something and whose answer was
// lost is not sent again: its fate is MayHave, and the caller knows best what to do.
//
// Invariant: calls are in the order of being asked.
type Admin struct {
	cluster
	opt     AdminOptions
	calls   []call
	lastID  CallID
	lastReq uint64
	answers []Answer
	closed  bool
}

// NewAdmin makes an admin. It does nothing before its Boot event.
func NewAdmin(o AdminOptions) *Admin {
	o.Options = o.Options.filled()
	o.CreateTopics = false
	if o.CallTime == 0 {
		o.CallTime = core.Minute
	}
	return &Admin{cluster: newCluster(o.Options), opt: o}
}

// Mine reports whether Step wants an event. Boot and Tick are for every machine.
func (a *Admin) Mine(ev *core.Event) bool { return a.pool.Mine(ev) }

// Step takes one event.
func (a *Admin) Step(now core.Now, ev *core.Event, out *core.Out) {
	a.pool.Step(now, ev, out)
	for i := 0; i < len(a.pool.Got()); i++ {
		r := a.pool.Got()[i]
		if !a.replied(now, &r, out) {
			a.take(now, &r, out)
		}
	}
	a.pool.Stepped()
	a.advance(now, out)
}

// Next is the instant at which Step wants a Tick.
func (a *Admin) Next() core.Time { return a.pool.Next() }

// Answers hands over what came of calls since the last time. The list is valid until the next Step.
func (a *Admin) Answers() []Answer {
	list := a.answers
	a.answers = nil
	return list
}

// Open is how many calls are not answered.
func (a *Admin) Open() int { return len(a.calls) }

// Trouble says why nothing goes forward, as far as that is known.
func (a *Admin) Trouble() Failure { return a.trouble() }

// Close lets go of the connections. Open calls get no answer.
func (a *Admin) Close(now core.Now, out *core.Out) {
	a.closed = true
	a.pool.Sleep()
	a.pool.CloseAll(now, out)
	a.pool.Stepped()
}

// begin enters a call. A zero id means that too many are open.
func (a *Admin) begin(now core.Now, k call, out *core.Out) CallID {
	if len(a.calls) >= callsMax || a.closed {
		return 0
	}
	a.lastID++
	k.id, k.deadline, k.seen = a.lastID, now.Mono.After(a.opt.CallTime), a.asked
	k.answer = Answer{Call: k.id, Controller: core.NoNode}
	if !k.all {
		k.answer.Outcomes = make([]Outcome, len(k.items))
		k.fanned = true
	}
	a.calls = append(a.calls, k)
	a.refresh()
	a.advance(now, out)
	return a.lastID
}

func named(names []string) (items []item) {
	for _, n := range names {
		items = append(items, item{name: n, partition: -1, node: core.NoNode})
	}
	return items
}

func (a *Admin) ofPartitions(list []OffsetAt) (items []item) {
	for _, o := range list {
		items = append(items, item{name: o.At.Topic, partition: o.At.Partition, node: core.NoNode})
		a.want(o.At.Topic)
	}
	return items
}

// CreateTopics makes topics, or with dry only says whether it would.
func (a *Admin) CreateTopics(now core.Now, list []NewTopic, dry bool, out *core.Out) CallID {
	k := call{kind: createTopics, topics: list, dry: dry}
	for i := range list {
		k.items = append(k.items, item{name: list[i].Name, partition: -1, node: core.NoNode})
	}
	return a.begin(now, k, out)
}

// DeleteTopics deletes topics by name.
func (a *Admin) DeleteTopics(now core.Now, names []string, out *core.Out) CallID {
	return a.begin(now, call{kind: deleteTopics, items: named(names)}, out)
}

// CreatePartitions raises the number of partitions of topics to NewTopic.Partitions.
func (a *Admin) CreatePartitions(now core.Now, list []NewTopic, dry bool, out *core.Out) CallID {
	k := call{kind: createPartitions, topics: list, dry: dry}
	for i := range list {
		k.items = append(k.items, item{name: list[i].Name, partition: -1, node: core.NoNode})
	}
	return a.begin(now, k, out)
}

// DescribeTopics tells about topics by name, or about all if there are no names: Answer.Topics.
func (a *Admin) DescribeTopics(now core.Now, names []string, out *core.Out) CallID {
	k := call{kind: describeTopics, items: named(names)}
	if len(names) == 0 {
		k.items = []item{{partition: -1, node: core.NoNode}}
	}
	return a.begin(now, k, out)
}

// DescribeConfigs tells the configuration of resources: Answer.Configs.
func (a *Admin) DescribeConfigs(now core.Now, list []Resource, out *core.Out) CallID {
	k := call{kind: describeConfigs}
	for _, r := range list {
		k.items = append(k.items, item{name: r.Name, partition: -1, kind: r.Type, node: resourceNode(r)})
	}
	return a.begin(now, k, out)
}

// AlterConfigs changes configurations. Changes of one resource belong together: all or none.
func (a *Admin) AlterConfigs(now core.Now, list []ConfigChange, dry bool, out *core.Out) CallID {
	k := call{kind: alterConfigs, changes: list, dry: dry}
	for _, ch := range list {
		if !slices.ContainsFunc(k.items, func(i item) bool { return i.kind == ch.Resource.Type && i.name == ch.Resource.Name }) {
			k.items = append(k.items, item{name: ch.Resource.Name, partition: -1, kind: ch.Resource.Type, node: resourceNode(ch.Resource)})
		}
	}
	return a.begin(now, k, out)
}

// resourceNode is the broker that alone can tell about a resource; NoNode if any can.
func resourceNode(r Resource) core.NodeID {
	if r.Type == BrokerResource {
		if id, err := strconv.ParseInt(r.Name, 10, 32); err == nil && id >= 0 {
			return core.NodeID(id)
		}
	}
	return core.NoNode
}

// DeleteRecords raises log starts to OffsetAt.To.
func (a *Admin) DeleteRecords(now core.Now, list []OffsetAt, out *core.Out) CallID {
	return a.begin(now, call{kind: deleteRecords, items: a.ofPartitions(list), offsets: list}, out)
}

// ListOffsets tells offsets by OffsetAt.From: Answer.Offsets.
func (a *Admin) ListOffsets(now core.Now, list []OffsetAt, out *core.Out) CallID {
	return a.begin(now, call{kind: listOffsets, items: a.ofPartitions(list), offsets: list}, out)
}

// DescribeProducers tells which producers partitions remember: Answer.Producers.
func (a *Admin) DescribeProducers(now core.Now, list []core.TopicPartition, out *core.Out) CallID {
	var at []OffsetAt
	for _, p := range list {
		at = append(at, OffsetAt{At: p})
	}
	return a.begin(now, call{kind: producers, items: a.ofPartitions(at), offsets: at}, out)
}

// ListGroups lists the groups of every broker: Answer.Groups.
func (a *Admin) ListGroups(now core.Now, out *core.Out) CallID {
	return a.begin(now, call{kind: listGroups, all: true}, out)
}

// DescribeGroups tells about classic groups: Answer.Groups.
func (a *Admin) DescribeGroups(now core.Now, names []string, out *core.Out) CallID {
	return a.begin(now, call{kind: describeGroups, items: named(names)}, out)
}

// DeleteGroups deletes groups that have no members.
func (a *Admin) DeleteGroups(now core.Now, names []string, out *core.Out) CallID {
	return a.begin(now, call{kind: deleteGroups, items: named(names)}, out)
}

// CommittedOffsets tells the committed offsets of groups: Answer.Committed, of one group a call.
func (a *Admin) CommittedOffsets(now core.Now, group string, out *core.Out) CallID {
	return a.begin(now, call{kind: committedOffsets, group: group, items: named([]string{group})}, out)
}

// CommitOffsets sets the offsets of a group that has no members.
func (a *Admin) CommitOffsets(now core.Now, group string, list []CommitOffset, out *core.Out) CallID {
	k := call{kind: commitOffsets, group: group, commits: list}
	for i := range list {
		k.items = append(k.items, item{name: list[i].At.Topic, partition: list[i].At.Partition, node: core.NoNode})
	}
	return a.begin(now, k, out)
}

// DeleteOffsets deletes committed offsets of topics that no member subscribes to.
func (a *Admin) DeleteOffsets(now core.Now, group string, list []core.TopicPartition, out *core.Out) CallID {
	k := call{kind: deleteOffsets, group: group}
	for _, at := range list {
		k.items = append(k.items, item{name: at.Topic, partition: at.Partition, node: core.NoNode})
	}
	return a.begin(now, k, out)
}

// LogDirs tells what every broker keeps where: Answer.Dirs.
func (a *Admin) LogDirs(now core.Now, out *core.Out) CallID {
	return a.begin(now, call{kind: logDirs, all: true}, out)
}

// DescribeCluster tells the cluster's id, controller and brokers.
func (a *Admin) DescribeCluster(now core.Now, out *core.Out) CallID {
	return a.begin(now, call{kind: describeCluster, items: named([]string{""})}, out)
}

// advance does whatever can be done now.
func (a *Admin) advance(now core.Now, out *core.Out) {
	a.pool.Sleep()
	if a.closed || len(a.calls) == 0 {
		return
	}
	for i := range a.calls {
		k := &a.calls[i]
		a.fanOut(k)
		a.overdue(now, k)
		for j := range k.items {
			if it := &k.items[j]; !it.done && it.request == 0 {
				a.ask(now, k, j, out)
			}
		}
	}
	for i := 0; i < len(a.calls); {
		if a.calls[i].over() {
			a.finish(&a.calls[i])
			a.calls = slices.Delete(a.calls, i, i+1)
			continue
		}
		i++
	}
	a.tend(now, out)
}

// fanOut makes an item of every broker, for a call that asks them all.
func (a *Admin) fanOut(k *call) {
	if k.fanned || a.answered <= k.seen || len(a.brokers) == 0 {
		return
	}
	k.fanned = true
	for _, b := range a.brokers {
		k.items = append(k.items, item{name: strconv.Itoa(int(b.ID)), partition: -1, node: b.ID})
	}
	k.answer.Outcomes = make([]Outcome, len(k.items))
}

// overdue ends what has not been answered in time.
func (a *Admin) overdue(now core.Now, k *call) {
	if now.Mono < k.deadline {
		a.pool.WakeAt(k.deadline)
		return
	}
	if !k.fanned {
		k.fanned = true
		k.items = []item{{partition: -1}}
		k.answer.Outcomes = make([]Outcome, 1)
	}
	for j := range k.items {
		it := &k.items[j]
		if it.done {
			continue
		}
		why := it.why
		if why.None() {
			why = a.trouble()
		}
		f := DidNot
		if it.request != 0 && k.mutates() {
			f = MayHave
		}
		if why.None() {
			why.Errno = core.TimedOut
		}
		k.settle(j, f, why)
	}
}

func (k *call) over() bool {
	return k.fanned && !slices.ContainsFunc(k.items, func(it item) bool { return !it.done })
}

// settle ends one item.
func (k *call) settle(j int, f Fate, why Failure) {
	it := &k.items[j]
	it.done, it.request = true, 0
	k.answer.Outcomes[j] = Outcome{Name: it.name, Partition: it.partition, Fate: f, Failure: why}
	if k.answer.Failure.None() {
		k.answer.Failure = why
	}
}

// finish hands the answer of a call over.
func (a *Admin) finish(k *call) {
	slices.SortFunc(k.answer.Topics, func(x, y TopicInfo) int { return compare(x.Name, y.Name) })
	slices.SortFunc(k.answer.Groups, func(x, y GroupInfo) int { return compare(x.ID, y.ID) })
	slices.SortStableFunc(k.answer.Offsets, func(x, y OffsetInfo) int { return x.At.Compare(y.At) })
	slices.SortStableFunc(k.answer.Committed, func(x, y CommittedOffset) int { return x.At.Compare(y.At) })
	slices.SortStableFunc(k.answer.Producers, func(x, y ProducerInfo) int { return x.At.Compare(y.At) })
	slices.SortStableFunc(k.answer.Dirs, func(x, y DirInfo) int {
		if x.Broker != y.Broker {
			return int(x.Broker) - int(y.Broker)
		}
		if x.Dir != y.Dir {
			return compare(x.Dir, y.Dir)
		}
		return x.At.Compare(y.At)
	})
	slices.SortStableFunc(k.answer.Configs, func(x, y ConfigInfo) int {
		if x.Resource != y.Resource {
			if x.Resource.Type != y.Resource.Type {
				return int(x.Resource.Type) - int(y.Resource.Type)
			}
			return compare(x.Resource.Name, y.Resource.Name)
		}
		return compare(x.Name, y.Name)
	})
	a.answers = append(a.answers, k.answer)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
