// Package log keeps the partitions of a node's log directories: Kafka's files, byte for byte, and what a broker must know
// of them without reading.
//
// A Store holds every log of the directories. All of it is state and decisions; each piece of I/O is an effect with
// an Op of the Store's own table, and Done carries the story on. What came of it is told by Changes, which the
// broker drains after every call.
//
// # Ends
//
// A log has four ends, all exclusive: Start <= ... <= Durable <= Written <= End. End counts what was given to
// Write, Written what the world has taken, Durable what a sync has covered, its file's directory entry included.
// Safe is Durable or Written, by the log's durability. The high watermark is the broker's to decide (SetHigh).
//
// # States of a log
//
//	creating  its directory and files are being made and synced. No reads or appends. In flight: the steps of create. It
//	          waits first for what is left of a former log of its name: a rename, rows of the checkpoints. A log that is
//	          found without a topic id is created again from there on (SetTopicID).
//	loading   its files are being listed, read, recovered. In flight: one load step, or the rewrite and sync at its end.
//	online    serves. In flight: any number of writes, one sync or rewrite, one replacement of the epoch file, seals
//	          of rolled segments, any number of seeks and reads; while it is cut (Truncate) no appends.
//	offline   a write or sync failed, or damage was found. Nothing more is done with its files; what is above the last
//	          durable end is believed from no read, not after a restart either.
//	damaged   bytes below the recovery point are not what was written. It serves nobody; what others know of it is written
//	          over the damage, and it is loaded on: see repair.go.
//	deleting  its directory is being renamed; it is no longer found by name. Then gone: Log answers an empty one.
//
// # Directories
//
// A log lies in one log directory, which it never leaves; its checkpoints and the clean marker are that directory's own. If the
// world cannot do something in one of several directories, all of it is lost: its logs go offline, the others live on (KIP-112). The
// first one holds the metadata log. See directory.go.
//
// # States of a segment
//
// The active segment is the last; its index entries are in memory only. A roll seals it: the index files and the
// producer snapshot are written and synced, and until they are (sealing), the recovery point stays below it, so that
// a crash rebuilds them. The new segment's directory entry is synced before anything in it counts as durable (entry).
//
// # A sync
//
// One at a time per log, of the file that holds the durable end; it covers what was written when it was given. While
// one is in flight, more is written, and one sync takes it all: group commit. A log that was cut meanwhile (cuts)
// does not believe it. A failed one is final.
//
// # Cleaning
//
// A compacted log keeps, of each key, the last record. cleaner.go looks every now and then for the log with the greatest dirty
// share, clean.go cleans it in bounded steps beside everything else, swap.go puts what comes of it in the place of the old
// segments, and loadswap.go completes a swap that a crash has interrupted. Batches keep their offsets, so there are gaps between
// them, here and wherever such a log is copied to; cleaner-offset-checkpoint has a row for each log that may have some.
//
// # Recovery
//
// recovery-point-offset-checkpoint is what is known to be durable. After an unclean stop everything from the segment
// that holds the recovery point on is checked. Below the point a bad batch is damage: the log goes offline, nothing
// is cut. Above it, all from the first bad batch on is cut. What is kept above the point may be in the page cache
// alone, after a sync that failed: it is written anew before a sync makes it durable.
package log
