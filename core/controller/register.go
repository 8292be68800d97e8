package controller

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerRegistration decides a BrokerRegistration request: a broker that has just started is registered, fenced, with an
// epoch of its own. end is the end of the metadata log, where the first record of this decision will stand.
//
// What the broker's former life was, is over: it leads nothing and is in no in-sync set. If that life did not end
// cleanly, or nobody can tell, what it had written last may be lost, and it is not eligible anywhere (KIP-966). If
// that is too much for one decision, a part is done and the broker is told to ask again.
func (c *Controller) BrokerRegistration(now core.Now, q *kmsg.BrokerRegistrationRequest, end core.Offset) (*kmsg.BrokerRegistrationResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	id, had := core.NodeID(q.BrokerID), c.img.Broker(core.NodeID(q.BrokerID))
	// The same life registers again when its first answer was lost, or it has something to add. One that has stopped is over.
	again := had != nil && had.Incarnation == q.IncarnationID && !(had.Fenced && had.ControlledShutdown)
	if code := c.checkRegistration(now, q, had, again); code != wire.None {
		resp.ErrorCode = int16(code)
		return resp, nil
	}
	d := c.draft()
	rec := registration(q, c.Level())
	whole := false
	if again { // a directory that it does not name any longer has failed
		d.dirs, d.failed = id, keepDirs(had.LogDirs, func(dir core.TopicID) bool { return !hasDirectory(rec.LogDirs, dir) })
		whole = d.offline(had)
	} else {
		whole = d.bury(id, q, had)
	}
	switch {
	case !whole:
		resp.ErrorCode = int16(wire.RequestTimedOut)
		return resp, d.records
	case again:
		rec.Fenced, rec.InControlledShutdown, rec.BrokerEpoch = had.Fenced, had.ControlledShutdown, had.Epoch
		if had.HasCordoned {
			rec.CordonedLogDirs = append([]core.TopicID{}, had.Cordoned...)
		}
	default:
		rec.BrokerEpoch = core.BrokerEpoch(end) + core.BrokerEpoch(len(d.records)) // the record's own offset: never given before
	}
	d.add(rec)
	resp.BrokerEpoch = int64(rec.BrokerEpoch)
	return resp, d.records
}

// bury ends what a broker's former life took part in. Where it did not end cleanly the replica's last records may be lost.
// Where none of the directories is one that it had, all its disks were exchanged, and its replicas begin anew. If some are, the broker
// knows best whether one that is missing was exchanged or is only offline, and tells it (AssignReplicasToDirs); until then nothing
// that the metadata have there leads, or is in sync.
func (d *draft) bury(id core.NodeID, q *kmsg.BrokerRegistrationRequest, had *image.Broker) (whole bool) {
	clean := had != nil && q.PreviousBrokerEpoch == int64(had.Epoch)
	dirs := make([]core.TopicID, len(q.LogDirs))
	for i := range q.LogDirs {
		dirs[i] = q.LogDirs[i]
	}
	exchanged := had == nil || !slices.ContainsFunc(dirs, func(dir core.TopicID) bool { return slices.Contains(had.LogDirs, dir) })
	wiped := func(p *image.Partition) bool {
		at := slices.Index(p.Replicas, id)
		return at >= 0 && exchanged && !hasDirectory(dirs, p.Directories[at])
	}
	d.leaving = id
	d.each(func(p *image.Partition) bool {
		return slices.Contains(p.ISR, id) || !clean && slices.Contains(p.ELR, id) || wiped(p)
	}, func(t *image.Topic, p *image.Partition, on terms) {
		ch := d.change(t, p, on)
		ch.isr = without(p.ISR, id)
		if !clean {
			ch.lost = id
		}
		if wiped(p) {
			ch.lost, ch.wiped, ch.moved, ch.to = id, true, id, firstDirectory(dirs)
		}
		ch.decide()
	})
	return !d.full
}

// registrationListsMax bounds each list of a registration.
const registrationListsMax = 1000

func (c *Controller) checkRegistration(now core.Now, q *kmsg.BrokerRegistrationRequest, had *image.Broker, again bool) wire.Code {
	switch {
	case q.ClusterID != c.cfg.ClusterID:
		return wire.InconsistentClusterID
	case q.BrokerID < 0 || q.IsMigratingZkBroker || len(q.Listeners) > registrationListsMax || len(q.Features) > registrationListsMax ||
		len(q.LogDirs) > registrationListsMax:
		return wire.InvalidRegistration
	case had == nil && len(c.img.Brokers()) >= BrokersMax:
		return wire.PolicyViolation
	case had != nil && !again && c.lives(now, had, q.LogDirs):
		return wire.DuplicateBrokerRegistration
	}
	if !c.supportsFinalized(len(q.Features), func(i int) image.FeatureRange {
		f := &q.Features[i]
		return image.FeatureRange{Name: f.Name, Min: f.MinSupportedVersion, Max: f.MaxSupportedVersion}
	}) {
		return wire.UnsupportedVersion
	}
	if weight([]wire.Record{registration(q, c.Level())}) > recordBytesMax/2 {
		return wire.InvalidRegistration
	}
	if c.Level() < levelDirectories {
		return wire.None
	}
	return c.checkDirectories(q)
}

// checkDirectories checks the directories of a registration: there are some, each once, and no other broker has them, as
// it would have if a disk were copied.
func (c *Controller) checkDirectories(q *kmsg.BrokerRegistrationRequest) wire.Code {
	if len(q.LogDirs) == 0 {
		return wire.InvalidRegistration
	}
	for i, dir := range q.LogDirs {
		if reserved(dir) || slices.Contains(q.LogDirs[:i], dir) {
			return wire.InvalidRegistration
		}
		for _, b := range c.img.Brokers() {
			if b.ID != core.NodeID(q.BrokerID) && slices.Contains(b.LogDirs, core.TopicID(dir)) {
				return wire.InvalidRegistration
			}
		}
	}
	return wire.None
}

// reserved reports whether a directory id is one of the hundred that Kafka keeps for itself.
func reserved(dir core.TopicID) bool {
	last := dir[15]
	dir[15] = 0
	return dir.IsZero() && last < 100
}

// supportsFinalized reports whether a node that supports these n features can honour what the cluster has finalized. What this
// node cannot honour itself it does not ask of others: a directory that another release wrote may have it.
func (c *Controller) supportsFinalized(n int, at func(int) image.FeatureRange) bool {
	own := Supported()
	for _, f := range c.img.Features() {
		ok := !slices.ContainsFunc(own, func(r image.FeatureRange) bool { return r.Name == f.Name && r.Min <= f.Level && f.Level <= r.Max })
		for i := 0; i < n && !ok; i++ {
			r := at(i)
			ok = r.Name == f.Name && r.Min <= f.Level && f.Level <= r.Max
		}
		if !ok {
			return false
		}
	}
	return true
}

// registration is the record of a registration, but for what the former one has to say.
func registration(q *kmsg.BrokerRegistrationRequest, level int16) *wire.RegisterBrokerRecord {
	r := wire.NewRegisterBrokerRecord()
	r.BrokerID, r.IncarnationID, r.Fenced = core.NodeID(q.BrokerID), q.IncarnationID, true
	if q.Rack != nil {
		rack := *q.Rack
		r.Rack = &rack
	}
	for i := range q.Listeners {
		l := &q.Listeners[i]
		r.EndPoints = append(r.EndPoints, wire.BrokerEndpoint{Name: l.Name, Host: l.Host, Port: l.Port, SecurityProtocol: l.SecurityProtocol})
	}
	for i := range q.Features {
		f := &q.Features[i]
		r.Features = append(r.Features, wire.BrokerFeature{Name: f.Name, MinSupportedVersion: f.MinSupportedVersion, MaxSupportedVersion: f.MaxSupportedVersion})
	}
	if level >= levelDirectories {
		for _, dir := range q.LogDirs {
			r.LogDirs = append(r.LogDirs, dir)
		}
	}
	return r
}

// ControllerRegistration decides a ControllerRegistration request (KIP-919).
func (c *Controller) ControllerRegistration(q *kmsg.ControllerRegistrationRequest) (*kmsg.ControllerRegistrationResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.ControllerRegistrationResponse)
	refuse := func(code wire.Code, text string) (*kmsg.ControllerRegistrationResponse, []wire.Record) {
		resp.ErrorCode, resp.ErrorMessage = int16(code), &text
		return resp, nil
	}
	switch {
	case c.Level() < levelControllers:
		return refuse(wire.UnsupportedVersion, "The current MetadataVersion is too old to support controller registrations.")
	case len(q.Listeners) > registrationListsMax || len(q.Features) > registrationListsMax || q.ControllerID < 0:
		return refuse(wire.InvalidRequest, "A controller has an id, and not that many listeners and features.")
	}
	if !c.supportsFinalized(len(q.Features), func(i int) image.FeatureRange {
		f := &q.Features[i]
		return image.FeatureRange{Name: f.Name, Min: f.MinSupportedVersion, Max: f.MaxSupportedVersion}
	}) {
		return refuse(wire.UnsupportedVersion, "Unable to register because the controller does not support a finalized feature.")
	}
	r := wire.NewRegisterControllerRecord()
	r.ControllerID, r.IncarnationID, r.ZkMigrationReady = core.NodeID(q.ControllerID), q.IncarnationID, q.ZkMigrationReady
	for i := range q.Listeners {
		l := &q.Listeners[i]
		r.EndPoints = append(r.EndPoints, wire.ControllerEndpoint{Name: l.Name, Host: l.Host, Port: l.Port, SecurityProtocol: l.SecurityProtocol})
	}
	for i := range q.Features {
		f := &q.Features[i]
		r.Features = append(r.Features, wire.ControllerFeature{Name: f.Name, MinSupportedVersion: f.MinSupportedVersion, MaxSupportedVersion: f.MaxSupportedVersion})
	}
	if weight([]wire.Record{r}) > recordBytesMax {
		return refuse(tooLarge.code, tooLarge.text)
	}
	return resp, []wire.Record{r}
}

// levelControllers is the metadata version from which on controllers register: 3.7-IV0.
const levelControllers int16 = 15

// UnregisterBroker decides an UnregisterBroker request: a broker that will not come back is forgotten. It stays among
// the replicas, and among the eligible, of its partitions; if it does come back, it counts as one that did not stop cleanly.
func (c *Controller) UnregisterBroker(q *kmsg.UnregisterBrokerRequest) (*kmsg.UnregisterBrokerResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	refuse := func(code wire.Code, text string) { resp.ErrorCode, resp.ErrorMessage = int16(code), &text }
	b := c.img.Broker(core.NodeID(q.BrokerID))
	if b == nil {
		refuse(wire.BrokerIDNotRegistered, "Broker ID "+strconv.Itoa(int(q.BrokerID))+" is not currently registered")
		return resp, nil
	}
	d := c.draft()
	if !d.remove(b.ID, false) {
		refuse(wire.RequestTimedOut, "The broker has more partitions than one step moves: ask again.")
		return resp, d.records
	}
	d.add(&wire.UnregisterBrokerRecord{BrokerID: b.ID, BrokerEpoch: b.Epoch})
	return resp, d.records
}

// ProducerIDs decides an AllocateProducerIds request: the broker gets a block of producer ids (KIP-730).
func (c *Controller) ProducerIDs(q *kmsg.AllocateProducerIDsRequest) (*kmsg.AllocateProducerIDsResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	b, code := c.checkEpoch(q.BrokerID, q.BrokerEpoch)
	if code != wire.None {
		resp.ErrorCode = int16(code)
		return resp, nil
	}
	block := c.cfg.ProducerIDBlock
	if block == 0 {
		block = ProducerIDBlock
	}
	first := c.img.NextProducerID()
	if first > 1<<63-1-block {
		resp.ErrorCode = int16(wire.UnknownServerError)
		return resp, nil
	}
	resp.ProducerIDStart, resp.ProducerIDLen = first, int32(block)
	r := wire.NewProducerIdsRecord()
	r.BrokerID, r.BrokerEpoch, r.NextProducerID = b.ID, b.Epoch, first+block
	return resp, []wire.Record{r}
}

// ProducerIDBlock is how many producer ids a broker gets at a time (KIP-730), unless the configuration says otherwise.
const ProducerIDBlock = 1000

// checkEpoch finds a broker that speaks for itself, and refuses one of a former life.
func (c *Controller) checkEpoch(id int32, epoch int64) (*image.Broker, wire.Code) {
	b := c.img.Broker(core.NodeID(id))
	if b == nil || int64(b.Epoch) != epoch {
		return nil, wire.StaleBrokerEpoch
	}
	return b, wire.None
}
