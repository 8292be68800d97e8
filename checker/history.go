// Package checker judges what happened: histories of client operations in, violations out.
//
// It imports no room of Klamm. A bug must not be able to hide from itself by sharing a helper with its
// judge, so whoever asks for a verdict copies what happened into the plain types below, and files are
// read by this package's own small reader.
//
// The partition log needs no search: offsets give the total order away, so everything about it is decided
// in one linear pass (logs.go). Registers and topic metadata have hidden orders and small state: these go
// to porcupine, cut into short histories (linear.go). Groups are intervals (groups.go). What a replica
// keeps inside is compared step by step (state.go) and file by file (files.go).
//
// Every check names the invariant that it guards by its id in docs/invariants.md. The tests show for each
// one a history that it must reject and a strange but legal one that it must accept.
package checker

import (
	"fmt"
	"math"
)

// Violation is one broken invariant.
type Violation struct {
	Invariant string // I25
	Subject   string // topic id and partition, group, node
	Detail    string
}

func (v Violation) String() string { return v.Invariant + " " + v.Subject + ": " + v.Detail }

// Outcome is what a client knows of its operation.
type Outcome uint8

// The three outcomes. Unknown is never folded into Failed: that would give false aborted reads and hide losses.
const (
	OK      Outcome = iota
	Failed          // definitely without effect
	Unknown         // a timeout, a lost connection, an error that may come after the effect
)

// Open is the Return of an operation that was never answered.
const Open int64 = math.MaxInt64

// Partition names a partition by its topic's identity for life: a topic that was deleted and made again is another one.
type Partition struct {
	TopicID string
	Number  int32
}

func (p Partition) String() string { return fmt.Sprintf("%s-%d", p.TopicID, p.Number) }

// Value is one client record; every sent record of a run has its own.
type Value uint64

// Record is a value at an offset.
type Record struct {
	Offset int64
	Value  Value
}

// Send is one batch of records that a producer handed over, from first send to last answer.
type Send struct {
	Partition  Partition
	Producer   int
	Invoke     int64
	Return     int64 // Open if Unknown
	Outcome    Outcome
	Acks       int8 // -1 all, 0, 1
	Idempotent bool
	Values     []Value
	Base       int64 // of the first value, if OK and acks is not 0
}

// Poll is one read: from the position From on, the records came, and the next position is Next.
type Poll struct {
	Partition      Partition
	Consumer       int
	Invoke, Return int64
	From, Next     int64
	Records        []Record
	High           int64 // as the reply said; -1 if it did not
	Start          int64 // log start as the reply said; -1 if it did not
	Fresh          bool  // the consumer chose From anew (first poll, seek, reset): it need not follow the last poll
}

// Bound is a ListOffsets answer, or the low watermark that DeleteRecords returned.
type Bound struct {
	Partition      Partition
	Invoke, Return int64
	Earliest       bool // else latest
	Offset         int64
}

// Deletion is a DeleteRecords that may have taken effect: offsets below Before may be gone.
type Deletion struct {
	Partition      Partition
	Invoke, Return int64
	Outcome        Outcome
	Before         int64
}

// Log is the history of one partition.
type Log struct {
	Partition Partition
	Sends     []Send
	Polls     []Poll
	Bounds    []Bound
	Deletions []Deletion
	// Retains is false if retention by time or size may have removed records from the front.
	Retains bool
	// Compacted is true if the cleaner may have removed records from anywhere: CheckCompacted judges what is gone.
	Compacted bool
	// Lossy is true if the faults of the run exceed what acks=all promises (table A): then losses are not violations, wrong bytes are.
	Lossy bool
	// LossyLeaderOnly is true if acks=1 promises nothing in this run.
	LossyLeaderOnly bool
	// Gone is true if the topic was deleted, or may have been: what cannot be read any more is no loss.
	Gone bool
	// Final is what was read from the log's start to its end on the quiet cluster; nil if it could not be read.
	Final      []Record
	FinalStart int64
	FinalEnd   int64
	FinalRead  bool
}
