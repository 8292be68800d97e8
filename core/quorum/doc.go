// Package quorum keeps the metadata log: who leads it, what of it is committed, and its snapshots (KRaft:
// KIP-595, 630, 853, 996).
//
// The log is the partition __cluster_metadata-0 of the node's own log store, in Kafka's format. One voter leads it per
// epoch; all others, voters and observers, fetch from the leader. Committed is what a majority of voters holds durably,
// together with a record of the leader's own epoch: the high watermark.
//
// What the room may assume: the store keeps its promises about ends; the hall calls Changed for every change of this log,
// Tick when Next has come, Replied for every request of the Outbox, and drains Committed, Answers and Outbox after every
// call. What it owes: what Committed hands out never has to be taken back, comes in order, whole batches and whole metadata
// transactions only (I43), and begins with a snapshot or with the first record of the log, never in between; every Ask
// gets one Answer.
//
// # Roles
//
//	unattached   knows an epoch, and perhaps whom it voted for, but no leader. It asks one voter after the other
//	             for the leader, by a Fetch. Its election timer makes it prospective, and sooner than that a majority
//	             that knows no leader either.
//	prospective  asks the voters whether they would vote for it, which binds nobody and raises no epoch. A majority
//	             makes it a candidate; else it goes back to where it came from, and looks again before the next try.
//	candidate    of an epoch of its own, with its own vote. A majority of votes makes it the leader; the timer, or
//	             votes that can no longer suffice, make it prospective again after a drawn pause.
//	follower     of a leader of its epoch. It fetches. If nothing comes for the fetch timeout (or the connection
//	             stays lost for the loss timeout) it becomes prospective; so it does at once, or soon, when its leader resigns.
//	leader       opens its epoch with a LeaderChange record and tells the voters (BeginQuorumEpoch). If no majority
//	             of voters has fetched for one and a half fetch timeouts it resigns.
//	resigned     led this epoch, in this life or before a restart, and won't again. It tells the voters
//	             (EndQuorumEpoch). Its timer makes it unattached in the next epoch.
//	observer     is no voter: it looks for a leader or follows, as above, and does not stand for election (but see Voters).
//
// A request or response of a higher epoch makes any of them unattached in that epoch, or follower if it names
// the leader. One of a lower epoch is refused, or ignored.
//
// # What is durable when
//
// Epoch and vote are in the file quorum-state (written beside it, synced, renamed, directory synced) before any answer or
// request leaves that rests on them: each has the number of the last change that it rests on (serial), and is held
// until that change is on disk. Who leads is written as well, but nothing waits for it: it can be forgotten, the
// vote cannot. A candidate becomes leader only when its own vote is durable. What a node asks for in a Fetch is its durable end,
// so that the request is the proof of the copy (KAFKA-10533); the leader counts its own copy up to its own durable end only.
// A node hands out what is committed and durable in its own log.
//
// A downloaded snapshot is complete and synced under the name .checkpoint.part, and its name is synced; then the log is
// started anew at its end; then the file is renamed. So a log that begins above 0 always finds the snapshot that it
// begins with, under one of the two names (a crash may leave an empty log that begins still higher: it is started anew once
// more); a .part that the log does not need is swept away.
//
// # Invariants
//
// One leader per epoch (I31): a voter votes once in an epoch, across restarts (I32), and never in an epoch whose leader it knows.
// The epoch never falls (I33). A node never leads an epoch twice, nor appends to it in a later life (I34): a candidacy
// always takes a new epoch. A voter votes only for a log that is at least as far as its own, by the epoch of its last
// record and then its end: so a leader has all that is committed (I35). The high watermark never falls in one life, and
// never comes to lie above a record of an earlier epoch alone (I36, I37; Raft, figure 8). A log is never cut below its high
// watermark: a leader that asks for that contradicts what was promised, and the node stops. Only voters count, the leader
// itself only if it is one (I40).
//
// A snapshot that cannot be read is damage. If the log still holds everything from an older snapshot or from
// offset 0 on, the node says so and replays the log; if it does not, the node fails and names the file: an image
// that was empty for want of a file would have every partition deleted.
//
// # Voters
//
// With kraft.version 0 the configuration names the voters. With 1 the log does (KIP-853): a control batch names the whole
// set, each voter by id, directory id, endpoints and the versions of kraft.version that it can keep. A voter is its id and its
// directory: one that comes back with an empty disk is another one, an observer, and does not count in the place of the
// old one, neither with its votes (they name the directory that they ask) nor with its fetches (they name their own).
//
// The newest set in a node's log is in force for that node from the moment in which it is appended, committed or not:
// for elections the candidate's, for the high watermark and for check-quorum the leader's. It stops being so when it is cut off
// the log. So it is read back at boot from the newest snapshot and all of the log behind it before the node takes part in
// anything, and a snapshot that is fetched replaces all that was known. A snapshot holds the set below its end,
// which is committed, and never one behind it. A node that is asked for its vote gives it whether it knows itself as a
// voter or not: the candidate's log may be ahead.
//
// States of a leader's change: none; asking (AddRaftVoter: what does the new voter support? nothing is appended); appended, thus in
// force; committed, and answered. Between any two of them the leader may change, crash or run out of time:
//
//	asking      another leader knows nothing of it; nothing has happened.
//	appended    the next leader has it in its log, then its first commit commits it, or it has not, then it is cut off everywhere.
//	            Who asked does not learn which: it is told REQUEST_TIMED_OUT or NOT_LEADER_OR_FOLLOWER, and looks.
//	committed   a majority of the new set has it, and no leader without it can be elected.
//
// Two sets that follow each other differ by one voter, so their majorities meet (I39). That is true of neighbours only, hence two
// conditions on the next change: the last one is committed; and the leader has committed a record of its own epoch. Without the
// second, a new leader that does not have the last change of a deposed one could append another beside it, and the
// majorities of these two need not meet (Ongaro, 2015; KIP-853 says high watermark for it).
//
// A leader that removes itself leads on, without counting itself, until that is committed, then it resigns. If it falls before,
// its log may be the only one that is far enough to win: so a node that was removed by a change which it does not know to
// be committed still stands for election, without counting itself (Raft thesis, 4.2.2; Apache Kafka does not, and two voters
// of which one is removed and crashes stay without a leader there). A set that has no majority of voters which fetch is not
// appended at all (REQUEST_TIMED_OUT): it could never be committed, nor be replaced. The last voter stays.
//
// Every voter tells each new leader where it is and what it supports (UpdateRaftVoter); a leader puts its own row right. With
// controller.quorum.auto.join.enable an observer asks to be let in, after the removal of its former directory if it had one.
package quorum
