package sim

// Unreachable is a mark of the source that no world of this package comes to, and why. Alone: only a world whose
// cluster is one node does not come there.
type Unreachable struct {
	Mark, Why string
	Alone     bool
	Mixed     bool // other workloads than the mixed one do come there
	Seldom    bool // so does the mixed one, so rarely that no campaign can be held to it
}

// UnreachableMarks need not be hit by a campaign. The list cannot rot: one that is hit, or that the source does not
// have, makes the tests fail, and every campaign.
var UnreachableMarks = append([]Unreachable{
	{Mark: "broker.no-room-for-work", Why: "one request would have to bring a quarter of the table of operations at once"},
	{Mark: "broker.unsupported-features", Why: "the metadata would have to be written by a later release"},
	{Mark: "client.no-producer-id", Why: "our broker refuses a producer id for good only to transactional producers, which the client has not"},
	{Mark: "client.producer-id-forgotten", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "client.transaction-dead", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "client.transaction-sick", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "group.unreadable-regex", Why: "the simulator's members subscribe by name"},
	{Mark: "group.unreadable-record", Why: "a coordinator's record would have to be written by another release: damage does not pass the checksum"},
	{Mark: "link.api-versions-downgraded", Why: "the broker would have to be of an older release than who asks"},
	{Mark: "quorum.voter-updated", Why: "simulated nodes never move to another address, nor to another release"},
	{Mark: "link.reply-unasked", Why: "it fails the run by itself (I81)"},
	{Mark: "link.reply-unreadable", Why: "it fails the run by itself (I81)"},
	{Mark: "broker.marker-before-groups", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "broker.offsets-outside-of-transaction", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "broker.produce-outside-of-transaction", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "broker.verify-again", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "broker.verify-without-coordinator", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "group.staged-offset-overtaken", Why: "no transactional producer takes part", Mixed: true},
	{Mark: "broker.proposal-lost", Why: "there is one node: only a metadata log that fails while a change waits gives it up", Alone: true, Seldom: true},
	{Mark: "broker.marker-fenced", Why: "no transactional producer takes part", Mixed: true, Seldom: true},
	{Mark: "group.downgraded", Why: "no group has members of both protocols", Mixed: true},
	{Mark: "group.upgraded", Why: "no group has members of both protocols", Mixed: true},
	{Mark: "group.rejoin-late", Why: "no group has members of both protocols", Mixed: true},
	{Mark: "group.resync-late", Why: "no group has members of both protocols", Mixed: true},
	{Mark: "group.revocation-late", Why: "the members give up in time, or are silent", Mixed: true, Seldom: true},
	{Mark: "group.static-consumer-replaced", Why: "few members of the consumer protocol are static, and they seldom return in time", Mixed: true, Seldom: true},
	{Mark: "log.bad-txn-index", Why: "no transactional producer takes part, and the coordinators' logs have no aborted transactions", Mixed: true, Seldom: true},
	{Mark: "txn.append-refused", Why: "the clients that mean no good begin too few transactions to meet a log that fails", Mixed: true, Seldom: true},
	{Mark: "txn.complete-refused", Why: "the clients that mean no good begin too few transactions to meet a log that fails", Mixed: true, Seldom: true},
	{Mark: "txn.long-sweep", Why: "there are too few transactional ids for one sweep to be cut in two", Mixed: true, Seldom: true},
	{Mark: "txn.late-acknowledgement", Why: "core/broker asks before whether the marker is still awaited"},
	{Mark: "txn.too-many", Why: "there would have to be a million transactional ids"},
	{Mark: "txn.too-many-partitions", Why: "a transaction would have to have 65,536 partitions"},
	{Mark: "txn.unreadable-record", Why: "a coordinator's record would have to be written by another release: damage does not pass the checksum"},
}, append(append(append(append(
	cleaning("log.clean", "log.clean-aborted", "log.clean-failed", "log.clean-given-up", "log.clean-large-batch", "log.clean-map-full", "log.clean-marker", "log.clean-shell", "log.clean-throttled",
		"log.cleaned", "log.swap", "log.swap-completed", "log.swap-undone", "log.uncleanable"),
	alone("nobody else votes, follows or leads the metadata log",
		"broker.forward-in-vain", "broker.registers-again",
		"quorum.back-down", "quorum.bad-batch", "quorum.bad-download", "quorum.bad-piece", "quorum.prospective", "broker.assignment-unanswered", "quorum.check-quorum", "quorum.download",
		"quorum.download-dropped", "quorum.installed", "quorum.leader-ended", "quorum.not-elected",
		"quorum.snapshot-adopted", "quorum.truncated", "quorum.two-leaders", "quorum.voted",
		"broker.upgrade-in-vain", "quorum.auto-join", "quorum.change-timed-out", "quorum.removed-leader-resigns", "quorum.voter-added",
		"quorum.voter-removed", "quorum.voters-enter-log", "quorum.voters-learnt", "quorum.voters-unlearnt")...),
	alone("there is no other replica of a partition",
		"broker.fetch-of-stranger", "broker.isr-change-refused", "broker.isr-change-unanswered", "broker.replica-append-failed",
		"broker.replica-bad-batch", "broker.replica-begins-anew", "broker.replica-session-lost", "broker.replica-taken-away",
		"broker.replica-truncates", "broker.truncated-below-high",
		"broker.fetch-throttled", "broker.high-by-age", "broker.replica-gap", "broker.replica-sent-again", "broker.replica-throttled",
		"broker.damaged-loses", "log.damaged-below-start", "log.damaged-cut", "log.patch", "log.patch-does-not-fit", "log.patch-trims")...),
	alone("no other broker asks or is asked", "broker.marker-lost", "broker.no-producer-ids", "broker.peer-request-refused", "broker.peer-too-old")...),
	alone("nobody else could lead", "broker.stops-as-leader", "shard.stale-load", "shard.stale-unload")...)...)

// cleaning lists marks of the cleaner: in the mixed workload no topic is compacted but the coordinators', whose logs are short.
func cleaning(marks ...string) (list []Unreachable) {
	for _, m := range marks {
		list = append(list, Unreachable{Mark: m, Why: "only the workload of compaction has logs that are dirty enough", Mixed: true, Seldom: true})
	}
	return list
}

// Holds reports whether the mark is out of reach of a campaign: alone says that every cluster has one node, mixed that the
// workload is the mixed one.
func (u *Unreachable) Holds(alone, mixed bool) bool {
	return (alone || !u.Alone) && (mixed || !u.Mixed)
}

func alone(why string, marks ...string) (list []Unreachable) {
	for _, m := range marks {
		list = append(list, Unreachable{Mark: m, Why: "there is one node: " + why, Alone: true})
	}
	return list
}
