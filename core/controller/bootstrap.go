package controller

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"
)

// MetadataVersion is the feature that every cluster has.
const MetadataVersion = "metadata.version"

// TransactionVersion says how transactions end: 0 as ever, 1 with flexible records, 2 with the epoch raised each time (KIP-890).
const TransactionVersion = "transaction.version"

// The metadata versions that this node reads and writes: 3.3-IV3 to 4.3-IV0.
const (
	MetadataLevelMin int16 = 7
	MetadataLevel    int16 = 30
)

// Supported are the features that this node supports, as its registration and ApiVersions tell, sorted by name. Features
// whose first level is still missing here (share.version, streams.version) are left out: that is level 0, and clients fall back on
// what every cluster has.
func Supported() []image.FeatureRange {
	return []image.FeatureRange{
		{Name: elrFeature, Min: 0, Max: 1},
		{Name: GroupVersion, Min: 0, Max: 1},
		{Name: kraftVersion, Min: 0, Max: 1},
		{Name: MetadataVersion, Min: MetadataLevelMin, Max: MetadataLevel},
		{Name: TransactionVersion, Min: 0, Max: 2},
	}
}

// Bootstrap are the records that a new cluster begins with, as bootstrap.checkpoint holds them.
func Bootstrap() []wire.Record {
	return []wire.Record{
		&wire.FeatureLevelRecord{Name: MetadataVersion, FeatureLevel: MetadataLevel},
		&wire.FeatureLevelRecord{Name: elrFeature, FeatureLevel: 1},
		&wire.FeatureLevelRecord{Name: GroupVersion, FeatureLevel: 1},
		&wire.FeatureLevelRecord{Name: TransactionVersion, FeatureLevel: 2},
	}
}

// Activate returns what a new leader writes first. A transaction that the last leader left open is aborted.
// An empty log gets the bootstrap records, in one metadata transaction: those of bootstrap.checkpoint if there
// was one, so that a directory that was formatted by other hands keeps its features.
func (c *Controller) Activate(inTransaction bool, bootstrap []wire.Record) (records []wire.Record) {
	if inTransaction {
		reason := "the leader that began it is gone"
		records = append(records, &wire.AbortTransactionRecord{Reason: &reason})
	}
	if c.img.Feature(MetadataVersion) > 0 {
		return records
	}
	if len(bootstrap) == 0 {
		bootstrap = Bootstrap()
	}
	name := "Bootstrap records"
	records = append(records, &wire.BeginTransactionRecord{Name: &name})
	records = append(records, bootstrap...)
	if elr(featureOf(bootstrap, elrFeature)) {
		v := image.View{Image: c.img, Node: core.NoNode, Static: c.cfg.Static}.Broker(minInSync).Text
		records = append(records, &wire.ConfigRecord{ResourceType: int8(image.BrokerResource), Name: minInSync, Value: &v})
	}
	return append(records, &wire.EndTransactionRecord{})
}

const (
	elrFeature   = "eligible.leader.replicas.version"
	GroupVersion = "group.version" // 1: groups of the consumer protocol (KIP-848)
	kraftVersion = "kraft.version"
)

// elr reports whether eligible leader replicas are in force (KIP-966).
func elr(level int16) bool { return level > 0 }

func featureOf(records []wire.Record, name string) int16 {
	for _, r := range records {
		if f, ok := r.(*wire.FeatureLevelRecord); ok && f.Name == name {
			return f.FeatureLevel
		}
	}
	return 0
}

// Unsupported names the finalized features that this node cannot honour at their level, sorted: a directory
// that another release wrote may have them. The operator is told; the metadata stays as it is.
func Unsupported(img *image.Image) (names []string) {
	have := Supported()
	for _, f := range img.Features() {
		if !slices.ContainsFunc(have, func(r image.FeatureRange) bool { return r.Name == f.Name && f.Level >= r.Min && f.Level <= r.Max }) {
			names = append(names, f.Name)
		}
	}
	return names
}

// NoOp is the record that tells followers that an idle leader lives (metadata.max.idle.interval.ms).
func NoOp() []wire.Record { return []wire.Record{&wire.NoOpRecord{}} }
