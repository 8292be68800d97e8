// Package txn is the transaction coordinator: for every transactional id it knows the producer that may use it, the
// partitions of its transaction, and what became of that transaction (KIP-98, 360, 447, 588, 890).
//
// # The protocol
//
// Its state is a fold of one partition of __transaction_state in Kafka's record format (see core/shard: decide, append,
// apply, answer once committed). A transaction is decided by one record: PrepareCommit or PrepareAbort. From the moment
// it is committed the outcome never changes. Then a marker goes to the leader of every partition of the transaction, again
// and again until each has acknowledged it, and only then Complete* is written. Whoever leads the partition
// next takes an open Prepare* up again, from its first marker: a marker that comes twice does no harm.
//
// What this room may assume: Log.Append takes all records or none; a leader of a partition acknowledges a marker
// only when it will survive, refuses one with an older coordinator epoch, and does not let an old producer epoch
// write behind a newer one. What it owes: at most one outcome for each transaction, none left open for longer than its
// timeout and a check interval, and epochs that never fall for one producer id.
//
// # The states
//
//	Empty -> Ongoing -> PrepareCommit -> CompleteCommit -> Ongoing or Empty
//	         Ongoing -> PrepareAbort  -> CompleteAbort  -> Ongoing or Empty
//	Empty, Complete* -> PrepareAbort (version 2: the abort of a transaction without partitions)
//	Empty, Complete* -> gone (a tombstone, when the id has not been used for long)
//
// Kafka's PrepareEpochFence and Dead exist between two of its steps only and are never written; here a step is whole.
//
// # What is decided, by state
//
//	request                          | not there | Empty          | Ongoing          | Complete*
//	InitProducerId, no producer      | (id, 0)   | epoch+1        | abort(*), CT     | epoch+1
//	  current producer               | (id, 0)   | epoch+1        | abort(*), CT     | epoch+1
//	  epoch before the last bump     | (id, 0)   | current        | PF               | current
//	  any other producer             | (id, 0)   | PF             | PF               | PF
//	AddPartitionsToTxn               | map       | Ongoing        | more, or at once | Ongoing
//	  verify only                    | map       | TA             | ok, or TA        | TA
//	EndTxn v0-v4                     | map       | ITS            | Prepare*         | ok, other: ITS
//	EndTxn v5, commit, epoch         | map       | ITS            | PrepareCommit+1  | ITS
//	EndTxn v5, abort, epoch          | map       | PrepareAbort+1 | PrepareAbort+1   | PrepareAbort+1
//	  either, epoch-1 (a retry)      | map       | PF             | PF               | ok, other: ITS
//	timeout                          |           |                | abort(*)         |
//	unused for long                  |           | gone           |                  | gone
//
// In Prepare* every one of these is answered CT, whoever asks; only verification says PF to another epoch first. The last marker
// that is acknowledged makes it Complete*.
//
// CT: CONCURRENT_TRANSACTIONS. PF: PRODUCER_FENCED. ITS: INVALID_TXN_STATE. TA: TRANSACTION_ABORTABLE. map:
// INVALID_PRODUCER_ID_MAPPING, as for another producer id. "other" is the verdict that the transaction did not get.
// abort(*) fences: PrepareAbort with the epoch raised, so that whatever its producer still sends is refused. Requests of
// AddPartitionsToTxn and EndTxn with another epoch than the row says are PF.
//
// Two things differ from Apache Kafka 4.3.1 on purpose. A request that comes while the record of an earlier one is not
// committed yet is decided on top of it, and its answer waits for both, where Kafka says CONCURRENT_TRANSACTIONS.
// And InitProducerId of a producer that is not the current one is fenced before it could abort a transaction that
// is not its own.
//
// # What version 2 changes (KIP-890)
//
// With transaction.version 2 (EndTxn v5) every end of a transaction raises the epoch by one, or changes to a new producer
// id when the epochs are used up, and the answer tells both. So (producer id, epoch) names one transaction: a late
// request or marker cannot be taken for one of the next. Below, the epoch stays, and a late EndTxn may decide a later
// transaction of the same producer; that is the protocol, and the reason for version 2. Epoch 32767 is never
// a client's: it is left for the marker, or the abort, of a transaction at 32766.
package txn
