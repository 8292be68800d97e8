// Package group is the coordinator of consumer groups, of the classic and of the consumer protocol (KIP-848, see consumer.go; migrate.go says how a
// group goes from one to the other): who is a member, which generation it is,
// who owns what, and the offsets that a group has committed.
//
// # The protocol it plays
//
// Members join: each brings the assignment protocols that it knows, and waits until all have joined or the
// time for it is over. Then the generation is raised, one member is named leader and gets everybody's
// metadata; it computes the assignment and hands it in by its Sync, which the others wait for. Members
// then send heartbeats and commit offsets, in the name of their generation. Whoever is silent for longer
// than its session is removed, and so are those who do not join or sync in time. Each of these begins a
// new round.
//
//	Empty ──join──> PreparingRebalance ──all joined, or time──> CompletingRebalance ──leader's sync──> Stable
//	                        ^────────────── join, leave, expiry, changed metadata ─────────────────────┘
//
// # What is durable
//
// A State is the state of one partition of __consumer_offsets. Its durable part (Stored, and the offsets) is
// changed by Apply alone, which folds one record, when it was just decided and on replay alike. The rest (who
// has joined this round, timers) is of this life; Loaded makes it anew from the durable part.
//
// A generation is stored before any member hears of it: as a record without members, which replays to an empty
// group of that generation, so that after a crash every member is told to join again and no generation is given
// out twice. The assignment is stored before any member hears of it (KAFKA-2017).
//
// # What it assumes and owes
//
// Every answer names the end of the log at which what it says is durable; whoever sends it waits until
// the high watermark has reached that end. A request that waits for others (Join, Sync) gets a ticket, and
// asks Joined or Synced with it whenever the group was woken (Woken).
//
// Log takes what was decided. If it refuses, nothing has changed. If it accepts and the records do not
// survive after all, the whole State is dropped and loaded anew.
package group
