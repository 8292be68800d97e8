package broker

import (
	"slices"
	"strings"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersions serves ApiVersions v0-v4 (KIP-35, 511, 584). A version that we do not know is answered by
// apiVersionsUnknown, so that the client can ask again.
func (b *Broker) apiVersions(now core.Now, r request, q *kmsg.ApiVersionsRequest, out *core.Out) {
	resp := kmsg.NewPtrApiVersionsResponse()
	if r.header.Version >= 3 && (!softwareName(q.ClientSoftwareName) || !softwareName(q.ClientSoftwareVersion)) {
		resp.ErrorCode = int16(wire.InvalidRequest)
		b.reply(now, r, resp, out)
		return
	}
	side := b.sideOf(r)
	keys := side.Keys()
	resp.ApiKeys = make([]kmsg.ApiVersionsResponseApiKey, 0, len(keys))
	for _, key := range keys {
		served, _ := side.Served(key)
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = key, served.Advertised, served.Max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	for _, f := range controller.Supported() {
		if f.Min == 0 && r.header.Version < 4 {
			continue // older clients reject a minimum of 0
		}
		k := kmsg.NewApiVersionsResponseSupportedFeature()
		k.Name, k.MinVersion, k.MaxVersion = f.Name, f.Min, f.Max
		resp.SupportedFeatures = append(resp.SupportedFeatures, k)
	}
	resp.FinalizedFeaturesEpoch = int64(b.img.End()) - 1
	for _, f := range b.finalized() {
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, finalized(f))
	}
	b.reply(now, r, resp, out)
}

// finalized are the levels in force, sorted by name: those of the metadata, and that of the quorum (KIP-853).
func (b *Broker) finalized() (list []image.Feature) {
	list = slices.Clone(b.img.Features())
	if b.node != nil && b.node.CommittedKRaft() > 0 {
		f := image.Feature{Name: "kraft.version", Level: b.node.CommittedKRaft()}
		i, _ := slices.BinarySearchFunc(list, f.Name, func(f image.Feature, name string) int { return strings.Compare(f.Name, name) })
		list = slices.Insert(list, i, f)
	}
	return list
}

func finalized(f image.Feature) kmsg.ApiVersionsResponseFinalizedFeature {
	k := kmsg.NewApiVersionsResponseFinalizedFeature()
	k.Name, k.MinVersionLevel, k.MaxVersionLevel = f.Name, f.Level, f.Level
	return k
}

// apiVersionsUnknown answers a version above ours in the form of version 0, with our range.
func (b *Broker) apiVersionsUnknown(now core.Now, r request, out *core.Out) {
	out.Mark("broker.api-versions-downgrade")
	served, _ := wire.Served(wire.KeyApiVersions)
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = int16(wire.UnsupportedVersion)
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = wire.KeyApiVersions, served.Advertised, served.Max
	resp.ApiKeys = append(resp.ApiKeys, k)
	r.header.Version = 0
	b.reply(now, r, resp, out)
}

// softwareName reports whether s may name a client's software: letters and digits, with dots and hyphens between.
func softwareName(s string) bool {
	for i := range len(s) {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if inner := i > 0 && i < len(s)-1; !plain && !(inner && (c == '.' || c == '-')) {
			return false
		}
	}
	return s != ""
}
