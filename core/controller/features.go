package controller

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a client says that it knows about the change of a feature's level (KIP-584, KIP-778).
const (
	upgradeOnly     = 1
	safeDowngrade   = 2
	unsafeDowngrade = 3
)

// KRaft is what the quorum says of kraft.version: the level in force, and why it cannot be changed to the one that is asked for.
type KRaft struct {
	Level int16
	Why   string
}

// KRaftAsked is the level of kraft.version that a request asks for.
func KRaftAsked(q *kmsg.UpdateFeaturesRequest) (level int16, asked bool) {
	for i := range q.FeatureUpdates {
		if u := &q.FeatureUpdates[i]; u.Feature == kraftVersion {
			level, asked = u.MaxVersionLevel, true
		}
	}
	return level, asked
}

// UpdateFeatures decides an UpdateFeatures request: all of the levels or none. That of kraft.version is only checked.
func (c *Controller) UpdateFeatures(q *kmsg.UpdateFeaturesRequest, kraft KRaft) (*kmsg.UpdateFeaturesResponse, []wire.Record) {
	resp := q.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	records, r := c.updateFeatures(q, kraft)
	if r.bad() && q.Version >= 2 {
		r.text = "The update failed for all features since the following feature had an error: " + r.text
	}
	resp.ErrorCode, resp.ErrorMessage = int16(r.code), r.message()
	for i := range q.FeatureUpdates {
		if q.Version < 2 {
			row := kmsg.NewUpdateFeaturesResponseResult()
			row.Feature, row.ErrorCode, row.ErrorMessage = q.FeatureUpdates[i].Feature, int16(r.code), r.message()
			resp.Results = append(resp.Results, row)
		}
	}
	if q.ValidateOnly {
		return resp, nil
	}
	return resp, records
}

func (c *Controller) updateFeatures(q *kmsg.UpdateFeaturesRequest, kraft KRaft) ([]wire.Record, refusal) {
	names := tallied(len(q.FeatureUpdates), func(i int) string { return q.FeatureUpdates[i].Feature })
	metadata := c.Level() // as it will be
	for i := range q.FeatureUpdates {
		if u := &q.FeatureUpdates[i]; u.Feature == MetadataVersion {
			metadata = u.MaxVersionLevel
		}
	}
	var records []wire.Record
	for i := range q.FeatureUpdates {
		u := &q.FeatureUpdates[i]
		if told, _ := names.repeated(i, u.Feature); told {
			return nil, refusal{wire.InvalidRequest, "The feature " + u.Feature + " is named more than once."}
		}
		kind := u.UpgradeType
		if q.Version == 0 {
			if kind = upgradeOnly; u.AllowDowngrade {
				kind = safeDowngrade
			}
		}
		if r := c.checkFeature(u.Feature, u.MaxVersionLevel, kind, metadata, kraft); r.bad() {
			return nil, r
		}
		if u.MaxVersionLevel == c.img.Feature(u.Feature) || u.Feature == kraftVersion {
			continue
		}
		if u.Feature == elrFeature {
			records = append(records, c.elrConfigs(u.MaxVersionLevel)...)
		}
		records = append(records, &wire.FeatureLevelRecord{Name: u.Feature, FeatureLevel: u.MaxVersionLevel})
	}
	return c.withSettled(records)
}

// checkFeature checks one change of a level. metadata is the metadata version that the request leaves.
func (c *Controller) checkFeature(name string, level int16, kind int8, metadata int16, kraft KRaft) refusal {
	invalid := func(why string) refusal {
		return refusal{wire.InvalidUpdateVersion, "Invalid update version " + strconv.Itoa(int(level)) + " for feature " + name + ". " + why}
	}
	now := c.img.Feature(name)
	if name == kraftVersion {
		now = kraft.Level
	}
	switch {
	case kind < upgradeOnly || kind > unsafeDowngrade:
		return invalid("The controller does not support the given upgrade type.")
	case level < 0:
		return invalid("A feature version cannot be less than 0.")
	}
	if why := c.unsupported(name, level); why != "" {
		return invalid(why)
	}
	switch {
	case level < now && kind == upgradeOnly:
		return invalid("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case level > now && kind != upgradeOnly:
		return invalid("Can't downgrade to a newer version.")
	case name == kraftVersion && level < now:
		return invalid("Can't downgrade the version of this feature.")
	case name == kraftVersion && kraft.Why != "":
		return refusal{wire.InvalidUpdateVersion, kraft.Why}
	case name == MetadataVersion && level < now:
		why := "Refusing to perform the requested downgrade because it might delete metadata information."
		if kind == unsafeDowngrade {
			why = "Unsafe metadata downgrade is not supported in this version."
		}
		return refusal{wire.InvalidUpdateVersion, "Unsupported metadata.version downgrade from " + strconv.Itoa(int(now)) + " to " + strconv.Itoa(int(level)) + ". " + why}
	case name == elrFeature && level > 0 && metadata < levelELR:
		return invalid(elrFeature + " needs " + MetadataVersion + " at " + strconv.Itoa(int(levelELR)) + " or later.")
	}
	return refusal{}
}

// levelELR is the metadata version from which on there are eligible leader replicas: 4.0-IV1.
const levelELR int16 = 23

// unsupported says which node cannot honour a level: this one, a broker, or a controller.
func (c *Controller) unsupported(name string, level int16) string {
	lacks := func(who string, id core.NodeID, has []image.FeatureRange) string {
		at := slices.IndexFunc(has, func(f image.FeatureRange) bool { return f.Name == name })
		node := who + " " + strconv.Itoa(int(id))
		switch {
		case at < 0 && level == 0 && who != "Local controller":
			return "" // not to have a feature is its level 0
		case at < 0:
			return node + " does not support this feature."
		case level < has[at].Min || level > has[at].Max:
			return node + " only supports versions " + strconv.Itoa(int(has[at].Min)) + "-" + strconv.Itoa(int(has[at].Max))
		}
		return ""
	}
	if why := lacks("Local controller", c.cfg.Node, Supported()); why != "" {
		return why
	}
	for _, b := range c.img.Brokers() {
		if why := lacks("Broker", b.ID, b.Features); why != "" {
			return why
		}
	}
	for _, n := range c.img.Controllers() {
		if why := lacks("Controller", n.ID, n.Features); why != "" {
			return why
		}
	}
	return ""
}

// elrConfigs are the changes of configurations that ELR asks for: one value of min.insync.replicas for the whole cluster, for the
// controller must know when a leader stops to commit.
func (c *Controller) elrConfigs(level int16) (records []wire.Record) {
	if !elr(level) {
		return nil
	}
	all := image.Resource{Kind: image.BrokerResource}
	if _, ok := c.img.Config(all).Get(minInSync); !ok {
		v := image.View{Image: c.img, Node: core.NoNode, Static: c.cfg.Static}.Broker(minInSync).Text
		records = append(records, &wire.ConfigRecord{ResourceType: int8(all.Kind), Name: minInSync, Value: &v})
	}
	for set := range c.img.ConfigSets() {
		if _, ok := set.Values.Get(minInSync); ok && set.Kind == image.BrokerResource && set.Name != "" {
			records = append(records, &wire.ConfigRecord{ResourceType: int8(set.Kind), ResourceName: set.Name, Name: minInSync})
		}
	}
	return records
}

// withSettled adds to changes of configurations and features what they mean for partitions. It belongs into the same batch: once
// a leader may commit with fewer replicas, nobody may still think that a replica outside the in-sync set has everything. Unlike
// Apache Kafka, which forgets every eligible replica of a topic whenever its minimum changes, only those go that the new
// minimum makes untrue.
func (c *Controller) withSettled(records []wire.Record) ([]wire.Record, refusal) {
	touched := touchedBy(records)
	if !touched.any {
		return records, refusal{}
	}
	next, _, err := c.img.Apply(records, c.img.End(), c.img.Epoch())
	core.Must(err == nil, "the controller's own records apply to the image that they were decided on")
	after := image.View{Image: next, Node: c.cfg.Node, Static: c.cfg.Static}
	d := c.draft()
	d.add(records...)
	if d.bytes > recordBytesMax || len(d.records) > PartitionsPerRequestMax {
		return nil, tooLarge
	}
	settle := func(t *image.Topic) bool {
		on := termsOf(after, t.Name)
		for _, p := range t.Partitions {
			untrue := len(p.ELR)+len(p.LastKnownELR) > 0 && len(p.ISR) > 0
			if untrue || p.Leader == core.NoNode {
				d.change(t, p, on).decide()
			}
		}
		return !d.full
	}
	if touched.all {
		for t := range next.Topics() {
			if !settle(t) {
				return nil, tooLarge
			}
		}
		return d.records, refusal{}
	}
	slices.Sort(touched.topics)
	for _, name := range slices.Compact(touched.topics) {
		if !settle(next.Topic(name)) {
			return nil, tooLarge
		}
	}
	return d.records, refusal{}
}

// reach is which topics' elections are touched by records.
type reach struct {
	any, all bool
	topics   []string
}

func touchedBy(records []wire.Record) (to reach) {
	for _, r := range records {
		switch r := r.(type) {
		case *wire.ConfigRecord:
			if r.Name != minInSync && r.Name != uncleanElection {
				continue
			}
			if to.any = true; image.ResourceKind(r.ResourceType) == image.TopicResource {
				to.topics = append(to.topics, r.ResourceName)
			} else {
				to.all = true
			}
		case *wire.FeatureLevelRecord:
			if r.Name == elrFeature {
				to.any, to.all = true, true
			}
		}
	}
	return to
}
