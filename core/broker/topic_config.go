package broker

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
)

// configMemo is the configuration of logs that was worked out last, and what it was worked out from. A node with ten
// thousand partitions asks for it as often while it starts, and most have the same.
type configMemo struct {
	known               bool
	internal            bool
	own, node, everyone image.Properties
	config              log.Config
}

// topicConfig is the effective configuration of a topic's logs: the topic's own settings over the broker's
// dynamic ones, those over the static file, that over Kafka's defaults.
func (b *Broker) topicConfig(topic string) log.Config {
	v, internal := b.view(), internalTopic(topic)
	own, node, everyone := v.Image.Config(image.Resource{Kind: image.TopicResource, Name: topic}), v.Own(), v.Everyone()
	m := &b.worked
	if !m.known || m.internal != internal || !slices.Equal(m.own, own) || !slices.Equal(m.node, node) || !slices.Equal(m.everyone, everyone) {
		*m = configMemo{known: true, internal: internal, own: own, node: node, everyone: everyone, config: b.workOutConfig(topic, own)}
	}
	return m.config
}

func (b *Broker) workOutConfig(topic string, own image.Properties) log.Config {
	v := b.view().Held()
	number := func(name string) int64 { return v.TopicOf(own, name).Int() }
	ms := func(name string) core.Time { return core.Millis(number(name)) }
	c := log.DefaultConfig()
	c.SegmentBytes = number("segment.bytes")
	if small := v.TopicOf(own, "internal.segment.bytes"); !small.Null { // below the least segment.bytes, for tests
		c.SegmentBytes = small.Int()
	}
	c.SegmentTime, c.SegmentJitter = ms("segment.ms"), ms("segment.jitter.ms")
	c.IndexBytesMax, c.IndexInterval = number("segment.index.bytes"), number("index.interval.bytes")
	c.RetentionBytes, c.RetentionTime = number("retention.bytes"), ms("retention.ms")
	if number("retention.ms") < 0 {
		c.RetentionTime = core.Never
	}
	c.MaxMessageBytes = int32(number("max.message.bytes"))
	c.Delete, c.Compact = false, false
	for _, policy := range v.TopicOf(own, "cleanup.policy").List() {
		c.Delete = c.Delete || policy == "delete"
		c.Compact = c.Compact || policy == "compact"
	}
	c.FlushMessages, c.FlushTime = number("flush.messages"), ms("flush.ms")
	c.DeleteDelay = ms("file.delete.delay.ms")
	c.MinDirtyShare = v.TopicOf(own, "min.cleanable.dirty.ratio").Scaled(1_000_000)
	c.MinCompactionLag, c.MaxCompactionLag, c.DeleteRetention = ms("min.compaction.lag.ms"), ms("max.compaction.lag.ms"), ms("delete.retention.ms")
	c.AppendTime = v.TopicOf(own, "message.timestamp.type").Text == "LogAppendTime"
	c.TimestampBeforeMax, c.TimestampAfterMax = ms("message.timestamp.before.max.ms"), ms("message.timestamp.after.max.ms")
	c.Preallocate = v.TopicOf(own, "preallocate").Bool()
	c.ProducerExpiry = core.Millis(v.Broker("producer.id.expiration.ms").Int())
	c.VerifyTransactions = v.Broker("transaction.partition.verification.enable").Bool()
	if c.Durability = b.cfg.Durability; internalTopic(topic) || c.FlushMessages == 1 {
		c.Durability = log.Synced
	}
	return c
}
