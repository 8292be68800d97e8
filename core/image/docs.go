package image

import (
	"slices"
	"strings"
)

// Doc says in a sentence what a topic configuration does; empty for others.
func Doc(name string) string {
	at, ok := slices.BinarySearchFunc(topicDocs, name, func(p Property, n string) int { return strings.Compare(p.Name, n) })
	if !ok {
		return ""
	}
	return topicDocs[at].Value
}

// topicDocs are sorted by name.
var topicDocs = []Property{
	{"cleanup.policy", "What happens to old records: delete drops whole segments by retention, compact keeps the last record of each key; both may be named, or none."},
	{"compression.gzip.level", "The level of gzip, if the broker compresses with it."},
	{"compression.lz4.level", "The level of lz4, if the broker compresses with it."},
	{"compression.type", "The codec in which batches are stored; producer keeps what the producer chose."},
	{"compression.zstd.level", "The level of zstd, if the broker compresses with it."},
	{"delete.retention.ms", "How long tombstones of a compacted topic can still be read after they were first cleaned."},
	{"file.delete.delay.ms", "How long a file stays on disk after it was taken out of its log."},
	{"flush.messages", "How many records may be written before a sync; 1 has every acknowledged record synced."},
	{"flush.ms", "How long a record may wait for a sync."},
	{"follower.replication.throttled.replicas", "The replicas whose fetching as followers is throttled: partition:broker pairs, or * for all."},
	{"index.interval.bytes", "How many bytes of the log lie between two entries of its offset index."},
	{"leader.replication.throttled.replicas", "The replicas whose serving of followers is throttled: partition:broker pairs, or * for all."},
	{"local.retention.bytes", "How many bytes of a tiered partition stay on the local disk; -2 means retention.bytes."},
	{"local.retention.ms", "How long records of a tiered partition stay on the local disk; -2 means retention.ms."},
	{"max.compaction.lag.ms", "The longest time that a record of a compacted topic may wait for compaction."},
	{"max.message.bytes", "The largest batch that is taken, as it was sent."},
	{"message.timestamp.after.max.ms", "How far a record's timestamp may lie ahead of the broker's clock, with CreateTime."},
	{"message.timestamp.before.max.ms", "How far a record's timestamp may lie behind the broker's clock, with CreateTime."},
	{"message.timestamp.type", "Whether timestamps are those of the producer (CreateTime) or of the append (LogAppendTime)."},
	{"min.cleanable.dirty.ratio", "The share of a log that must be uncompacted before it is compacted."},
	{"min.compaction.lag.ms", "The shortest time that a record stays uncompacted."},
	{"min.insync.replicas", "How many replicas must be in sync for acks=all to be taken."},
	{"preallocate", "Whether a new segment's file is given its full size at once."},
	{"remote.log.copy.disable", "Whether a tiered topic stops copying segments to remote storage."},
	{"remote.log.delete.on.disable", "Whether the remote segments go when tiering is turned off."},
	{"remote.storage.enable", "Whether the topic is tiered."},
	{"retention.bytes", "How large a partition may grow before its oldest segments go; -1 sets no limit."},
	{"retention.ms", "How long a segment is kept after its newest record; -1 sets no limit."},
	{"segment.bytes", "The size at which a new segment is begun."},
	{"segment.index.bytes", "The size at which a segment's index is full, so that a new segment is begun."},
	{"segment.jitter.ms", "How much earlier than segment.ms, at random, a new segment is begun, so that not all begin at once."},
	{"segment.ms", "The age at which a new segment is begun."},
	{"unclean.leader.election.enable", "Whether a replica that is not in sync may lead when no other is left, at the price of lost records."},
}
