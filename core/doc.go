// Package core is the vocabulary that a machine and its world share: what can happen to a machine
// (Event), what a machine asks for (Effect), and the few types that every room needs.
//
// # The picture
//
// A broker is one pure state machine. It is stepped with one event at a time; it changes its own state
// and appends effects, plain values, to a list. A world carries the effects out and feeds what came of
// them back as events. There are two worlds: sim (seeded, hostile) and host (sockets and files). The
// machine cannot tell which one it is in.
//
// # The rules of a world
//
// Bytes of one connection leave in the order given. Operations on one FileID take effect in the order
// given, its Open first: a machine may write to a file whose Open is not yet done, and if the Open
// fails, every operation behind it fails with the same error. A Sync covers every Write and Truncate of
// that file whose Done was reported before the Sync was given; later ones may or may not be covered. A
// Read sees every Write whose Done was reported. Nothing is promised between files or between
// directories. What must wait for a thing is emitted by the event that reports that thing.
//
// A file's content is durable after a Sync of it that succeeded; a create, rename or remove after a
// SyncDir of the directory (for a rename between directories: of both). A failed Sync is final: nothing
// may retry it and believe the result.
//
// Every effect that carries a non-zero Op is answered by exactly one Done event, in this life of the
// machine or, after a crash, never.
//
// # Words
//
// end: the offset after the last record of a log. durable: the offset below which this replica's copy
// survives the loss of all unsynced bytes. high watermark: the offset below which every in-sync replica
// holds every record safely. log start: the first offset that may be read. in-sync set (ISR): the
// replicas that hold everything below the high watermark. leader epoch: counts the leaderships of a
// partition. Ends are exclusive, everywhere.
package core
