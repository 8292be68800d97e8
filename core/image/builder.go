package image

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/wire"
)

// Builder makes an image out of another one and records. It belongs to one owner and lives within one step.
//
// Invariants: old never changes; whatever of img carries gen was made here and may still be written to, all
// else is shared with old and may not; touched names, sorted, every topic of old that was changed or removed,
// and every topic that was made.
type Builder struct {
	old     *Image
	img     *Image
	gen     uint64
	touched []string
	configs []Resource // changed; sorted
	brokers []core.NodeID
	delta   Delta
}

// Fault is a record that makes no sense where it stands: the log is damaged, or speaks of what this version
// does not know.
type Fault struct{ Record, Why string }

func (f Fault) Error() string { return f.Record + ": " + f.Why }

// NewBuilder starts from an image, which it leaves as it is.
func NewBuilder(from *Image) *Builder {
	img := *from
	img.gen++
	return &Builder{old: from, img: &img, gen: img.gen}
}

// Apply takes in one record, after all that came before it. After an error the builder is of no more use.
func (b *Builder) Apply(rec wire.Record) error {
	switch r := rec.(type) {
	case *wire.TopicRecord:
		return b.topic(r)
	case *wire.RemoveTopicRecord:
		return b.removeTopic(r)
	case *wire.PartitionRecord:
		return b.partition(r)
	case *wire.PartitionChangeRecord:
		return b.partitionChange(r)
	case *wire.ClearElrRecord:
		return b.clearELR(r)
	case *wire.ConfigRecord:
		b.config(r)
	case *wire.FeatureLevelRecord:
		b.feature(r)
	case *wire.ProducerIdsRecord:
		b.img.nextID, b.img.producerRow = r.NextProducerID, true
		b.img.nextBroker, b.img.nextEpoch = r.BrokerID, r.BrokerEpoch
		b.delta.ProducerIDs = true
	case *wire.RegisterBrokerRecord:
		b.registerBroker(r)
	case *wire.UnregisterBrokerRecord:
		return b.unregisterBroker(r)
	case *wire.FenceBrokerRecord:
		return b.changeBroker("FenceBrokerRecord", r.ID, r.Epoch, func(n *Broker) { n.Fenced = true })
	case *wire.UnfenceBrokerRecord:
		return b.changeBroker("UnfenceBrokerRecord", r.ID, r.Epoch, func(n *Broker) { n.Fenced = false })
	case *wire.BrokerRegistrationChangeRecord:
		return b.changeBroker("BrokerRegistrationChangeRecord", r.BrokerID, r.BrokerEpoch, func(n *Broker) { amend(n, r) })
	case *wire.RegisterControllerRecord:
		b.registerController(r)
	case *wire.NoOpRecord, *wire.BeginTransactionRecord, *wire.EndTransactionRecord, *wire.AbortTransactionRecord:
		// Nothing of it stays. Transactions are taken apart before they come here.
	default:
		return b.keep(rec)
	}
	return nil
}

// Build gives the image with the records below end applied, and what changed. The builder is of no more use.
func (b *Builder) Build(end core.Offset, epoch core.Epoch) (*Image, *Delta) {
	core.Must(end >= b.old.end, "an image's end never falls")
	b.img.end, b.img.epoch = end, epoch
	d := &b.delta
	d.From, d.To = b.old.end, end
	for _, name := range b.touched {
		old, topic := b.old.Topic(name), b.img.Topic(name)
		switch {
		case old != nil && topic != nil && old.ID == topic.ID:
			d.Changed = appendChanges(d.Changed, old, topic)
			continue
		case old == nil && topic == nil: // made and removed in between
			continue
		}
		if old != nil {
			d.Deleted = append(d.Deleted, old)
		}
		if topic != nil {
			d.Created = append(d.Created, topic)
		}
	}
	d.Configs, d.Brokers = b.configs, b.brokers
	core.Must(b.img.topics.n == b.img.byID.n, "every topic has one id")
	img := b.img
	b.img = nil
	return img, d
}

func appendChanges(to []PartitionChange, old, topic *Topic) []PartitionChange {
	for i, p := range topic.Partitions {
		switch {
		case i >= len(old.Partitions):
			to = append(to, PartitionChange{Topic: topic, New: p})
		case old.Partitions[i] != p:
			to = append(to, PartitionChange{Topic: topic, Old: old.Partitions[i], New: p})
		}
	}
	return to
}

// Apply is the image with records applied that end at end, and what changed.
func (i *Image) Apply(records []wire.Record, end core.Offset, epoch core.Epoch) (*Image, *Delta, error) {
	b := NewBuilder(i)
	for _, rec := range records {
		if err := b.Apply(rec); err != nil {
			return nil, nil, err
		}
	}
	img, delta := b.Build(end, epoch)
	return img, delta, nil
}

func (b *Builder) topic(r *wire.TopicRecord) error {
	if b.img.Topic(r.Name) != nil {
		return Fault{"TopicRecord", "topic " + r.Name + " exists"}
	}
	if b.img.TopicByID(r.TopicID) != nil {
		return Fault{"TopicRecord", "topic id " + r.TopicID.String() + " exists"}
	}
	b.img.topics.put(b.gen, &Topic{gen: b.gen, Name: r.Name, ID: r.TopicID})
	b.img.byID.put(b.gen, topicRef{r.TopicID, r.Name})
	if a, ok := alias(r.Name); ok {
		b.img.dotted.put(b.gen, a)
	}
	b.touch(r.Name)
	return nil
}

func (b *Builder) touch(name string) { b.touched = insert(b.touched, name, strings.Compare) }

func insert[T any](set []T, x T, compare func(T, T) int) []T {
	at, ok := slices.BinarySearchFunc(set, x, compare)
	if ok {
		return set
	}
	return slices.Insert(set, at, x)
}

// ownTopic gives the topic of that id for writing.
func (b *Builder) ownTopic(record string, id core.TopicID) (*Topic, error) {
	t := b.img.TopicByID(id)
	if t == nil {
		return nil, Fault{record, "no topic with id " + id.String()}
	}
	if t.gen != b.gen {
		t = &Topic{gen: b.gen, Name: t.Name, ID: t.ID, Partitions: slices.Clone(t.Partitions)}
		b.img.topics.put(b.gen, t)
		b.touch(t.Name)
	}
	return t, nil
}

func (b *Builder) removeTopic(r *wire.RemoveTopicRecord) error {
	t := b.img.TopicByID(r.TopicID)
	if t == nil {
		return Fault{"RemoveTopicRecord", "no topic with id " + r.TopicID.String()}
	}
	b.img.partitions -= len(t.Partitions)
	b.img.topics.remove(b.gen, t.Name)
	b.img.byID.remove(b.gen, t.ID)
	if a, ok := alias(t.Name); ok {
		b.img.dotted.remove(b.gen, a)
	}
	b.touch(t.Name)
	res := Resource{TopicResource, t.Name}
	if b.img.configs.remove(b.gen, res) {
		b.configs = insert(b.configs, res, Resource.Compare)
	}
	return nil
}

func (b *Builder) partition(r *wire.PartitionRecord) error {
	t, err := b.ownTopic("PartitionRecord", r.TopicID)
	if err != nil {
		return err
	}
	if r.PartitionID < 0 || int(r.PartitionID) > len(t.Partitions) || len(r.Replicas) == 0 {
		return Fault{"PartitionRecord", "partition " + strconv.Itoa(int(r.PartitionID)) + " of " + t.Name + " leaves a hole or has no replicas"}
	}
	p := &Partition{
		ID: r.PartitionID, Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, Epoch: r.PartitionEpoch, Recovering: r.LeaderRecoveryState == 1,
		Replicas: r.Replicas, ISR: r.ISR, Adding: r.AddingReplicas, Removing: r.RemovingReplicas,
		ELR: r.EligibleLeaderReplicas, LastKnownELR: r.LastKnownELR, Directories: directories(r.Directories, len(r.Replicas)),
	}
	if int(r.PartitionID) == len(t.Partitions) {
		t.Partitions = append(t.Partitions, p)
		b.img.partitions++
	} else {
		t.Partitions[r.PartitionID] = p
	}
	return nil
}

// directories makes sure that there is one for each replica: records of before KIP-858 name none.
func directories(d []core.TopicID, replicas int) []core.TopicID {
	if len(d) == replicas {
		return d
	}
	return make([]core.TopicID, replicas) // the zero id is Kafka's "migrating": not yet known
}

func (b *Builder) partitionChange(r *wire.PartitionChangeRecord) error {
	t, err := b.ownTopic("PartitionChangeRecord", r.TopicID)
	if err != nil {
		return err
	}
	old := t.Partition(r.PartitionID)
	if old == nil {
		return Fault{"PartitionChangeRecord", "no partition " + strconv.Itoa(int(r.PartitionID)) + " of " + t.Name}
	}
	p, why := old.With(r)
	if why != "" {
		return Fault{"PartitionChangeRecord", why}
	}
	t.Partitions[r.PartitionID] = p
	return nil
}

// With is the partition as a change leaves it, or what is wrong with the change. The partition stays as it is.
func (p *Partition) With(r *wire.PartitionChangeRecord) (_ *Partition, why string) {
	next := *p
	next.Epoch++
	if r.Leader != NoLeaderChange {
		next.Leader = r.Leader
		next.LeaderEpoch++
	}
	if r.Replicas != nil {
		if len(r.Replicas) == 0 {
			return nil, "no replicas left"
		}
		next.Replicas, next.Directories = r.Replicas, directories(next.Directories, len(r.Replicas))
	}
	if r.Directories != nil {
		next.Directories = directories(r.Directories, len(next.Replicas))
	}
	change(&next.ISR, r.ISR)
	change(&next.Removing, r.RemovingReplicas)
	change(&next.Adding, r.AddingReplicas)
	change(&next.ELR, r.EligibleLeaderReplicas)
	change(&next.LastKnownELR, r.LastKnownELR)
	if r.LeaderRecoveryState >= 0 {
		next.Recovering = r.LeaderRecoveryState == 1
	}
	return &next, ""
}

// NoLeaderChange in a PartitionChangeRecord leaves the leader and its epoch as they are; -1 is a change, to no leader.
const NoLeaderChange core.NodeID = -2

func change(to *[]core.NodeID, news []core.NodeID) {
	if news != nil {
		*to = news
	}
}

// clearELR forgets the eligible leaders of one topic, or of all if the name is empty.
func (b *Builder) clearELR(r *wire.ClearElrRecord) error {
	names := []string{r.TopicName}
	if r.TopicName == "" {
		names = nil
		for t := range b.img.Topics() {
			names = append(names, t.Name)
		}
	}
	for _, name := range names {
		t := b.img.Topic(name)
		if t == nil {
			return Fault{"ClearElrRecord", "no topic " + name}
		}
		for i, old := range t.Partitions {
			if len(old.ELR)+len(old.LastKnownELR) == 0 {
				continue
			}
			own, err := b.ownTopic("ClearElrRecord", t.ID)
			if err != nil {
				return err
			}
			p := *old
			p.ELR, p.LastKnownELR = nil, nil
			p.Epoch++
			own.Partitions[i] = &p
		}
	}
	return nil
}

func (b *Builder) config(r *wire.ConfigRecord) {
	res := Resource{ResourceKind(r.ResourceType), r.ResourceName}
	b.configs = insert(b.configs, res, Resource.Compare)
	set, ok := b.img.configs.get(res)
	if !ok {
		set = &ConfigSet{Resource: res}
	}
	if set.gen != b.gen {
		set = &ConfigSet{gen: b.gen, Resource: res, Values: slices.Clone(set.Values)}
	}
	at, found := set.Values.find(r.Name)
	switch {
	case r.Value == nil && found:
		set.Values = slices.Delete(set.Values, at, at+1)
	case r.Value == nil:
	case found:
		set.Values[at].Value = *r.Value
	default:
		set.Values = slices.Insert(set.Values, at, Property{r.Name, *r.Value})
	}
	if len(set.Values) == 0 {
		b.img.configs.remove(b.gen, res)
		return
	}
	b.img.configs.put(b.gen, set)
}

func (b *Builder) feature(r *wire.FeatureLevelRecord) {
	b.delta.Features = true
	set := slices.Clone(b.img.features)
	at, found := slices.BinarySearchFunc(set, r.Name, func(f Feature, n string) int { return strings.Compare(f.Name, n) })
	switch {
	case r.FeatureLevel == 0 && found:
		set = slices.Delete(set, at, at+1)
	case r.FeatureLevel == 0:
	case found:
		set[at].Level = r.FeatureLevel
	default:
		set = slices.Insert(set, at, Feature{r.Name, r.FeatureLevel})
	}
	b.img.features = set
}

func (b *Builder) registerBroker(r *wire.RegisterBrokerRecord) {
	n := &Broker{
		ID: r.BrokerID, Epoch: r.BrokerEpoch, Incarnation: r.IncarnationID, Fenced: r.Fenced, ControlledShutdown: r.InControlledShutdown,
		LogDirs: r.LogDirs, Cordoned: r.CordonedLogDirs, HasCordoned: r.CordonedLogDirs != nil, Migrating: r.IsMigratingZkBroker,
	}
	if r.Rack != nil {
		n.Rack, n.HasRack = *r.Rack, true
	}
	for _, e := range r.EndPoints {
		n.Endpoints = append(n.Endpoints, Endpoint{e.Name, e.Host, e.Port, e.SecurityProtocol})
	}
	for _, f := range r.Features {
		n.Features = append(n.Features, FeatureRange{f.Name, f.MinSupportedVersion, f.MaxSupportedVersion})
	}
	b.putBroker(n)
}

func (b *Builder) putBroker(n *Broker) {
	at, ok := slices.BinarySearchFunc(b.img.brokers, n.ID, func(x *Broker, id core.NodeID) int { return compareIDs(x.ID, id) })
	if ok {
		b.img.brokers = slices.Clone(b.img.brokers)
		b.img.brokers[at] = n
	} else {
		b.img.brokers = slices.Insert(slices.Clone(b.img.brokers), at, n)
	}
	b.brokers = insert(b.brokers, n.ID, compareIDs)
}

func (b *Builder) unregisterBroker(r *wire.UnregisterBrokerRecord) error {
	if n := b.img.Broker(r.BrokerID); n == nil || n.Epoch != r.BrokerEpoch {
		return Fault{"UnregisterBrokerRecord", "broker " + strconv.Itoa(int(r.BrokerID)) + " is not registered with that epoch"}
	}
	b.img.brokers = slices.DeleteFunc(slices.Clone(b.img.brokers), func(x *Broker) bool { return x.ID == r.BrokerID })
	b.brokers = insert(b.brokers, r.BrokerID, compareIDs)
	return nil
}

func (b *Builder) changeBroker(record string, id core.NodeID, epoch core.BrokerEpoch, change func(*Broker)) error {
	old := b.img.Broker(id)
	if old == nil || old.Epoch != epoch {
		return Fault{record, "broker " + strconv.Itoa(int(id)) + " is not registered with epoch " + strconv.FormatInt(int64(epoch), 10)}
	}
	n := *old
	change(&n)
	b.putBroker(&n)
	return nil
}

// amend applies a BrokerRegistrationChangeRecord: 0 leaves a flag, 1 sets it, -1 takes it back.
func amend(n *Broker, r *wire.BrokerRegistrationChangeRecord) {
	flag := func(f *bool, v int8) {
		if v != 0 {
			*f = v > 0
		}
	}
	flag(&n.Fenced, r.Fenced)
	flag(&n.ControlledShutdown, r.InControlledShutdown)
	if len(r.LogDirs) > 0 {
		n.LogDirs = r.LogDirs
	}
	if r.CordonedLogDirs != nil {
		n.Cordoned, n.HasCordoned = r.CordonedLogDirs, true
	}
}

func (b *Builder) registerController(r *wire.RegisterControllerRecord) {
	n := &Controller{ID: r.ControllerID, Incarnation: r.IncarnationID, ZkReady: r.ZkMigrationReady}
	for _, e := range r.EndPoints {
		n.Endpoints = append(n.Endpoints, Endpoint{e.Name, e.Host, e.Port, e.SecurityProtocol})
	}
	for _, f := range r.Features {
		n.Features = append(n.Features, FeatureRange{f.Name, f.MinSupportedVersion, f.MaxSupportedVersion})
	}
	set := slices.DeleteFunc(slices.Clone(b.img.controllers), func(x *Controller) bool { return x.ID == n.ID })
	at, _ := slices.BinarySearchFunc(set, n.ID, func(x *Controller, id core.NodeID) int { return compareIDs(x.ID, id) })
	b.img.controllers = slices.Insert(set, at, n)
	b.delta.Controllers = true
}

func compareIDs(a, b core.NodeID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
