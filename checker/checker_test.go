package checker

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// good is a small legal history: two sends, a poll of both, and all of it there at the end.
func good() *Log {
	p := Partition{"t", 0}
	return &Log{
		Partition: p, Retains: true,
		Sends: []Send{
			{Partition: p, Producer: 1, Invoke: 1, Return: 5, Acks: -1, Idempotent: true, Values: []Value{10, 11}, Base: 0},
			{Partition: p, Producer: 1, Invoke: 6, Return: 9, Acks: -1, Idempotent: true, Values: []Value{12}, Base: 2},
		},
		Polls: []Poll{
			{Partition: p, Consumer: 1, Invoke: 6, Return: 7, From: 0, Next: 2, High: 2, Records: []Record{{0, 10}, {1, 11}}},
			{Partition: p, Consumer: 1, Invoke: 8, Return: 12, From: 2, Next: 3, High: 3, Records: []Record{{2, 12}}},
		},
		Bounds:    []Bound{{Partition: p, Invoke: 1, Return: 2, Offset: 0}, {Partition: p, Invoke: 6, Return: 7, Offset: 2}},
		FinalRead: true, FinalEnd: 3, Final: []Record{{0, 10}, {1, 11}, {2, 12}},
	}
}

// Each broken history is rejected by the invariant that it breaks; each strange but legal one is accepted.
func TestLogFixtures(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Log)
		want   string // empty: accepted
	}{
		{"as it is", func(l *Log) {}, ""},
		{"acknowledged, then lost", func(l *Log) { l.Final = l.Final[:2]; l.Polls = l.Polls[:1] }, "I25"},
		{"read, then lost", func(l *Log) { l.Sends[1].Outcome = Unknown; l.Final = l.Final[:2] }, "I29"},
		{"two values at one offset", func(l *Log) { l.Polls[1].Records[0].Value = 99; l.Sends[1].Values = []Value{12, 99} }, "I76"},
		{"one value at two offsets", func(l *Log) { l.Final = append(l.Final, Record{3, 12}) }, "I77"},
		{"one value twice, producer may repeat", func(l *Log) { l.Sends[1].Idempotent = false; l.Final = append(l.Final, Record{3, 12}) }, ""},
		{"a value that nobody sent", func(l *Log) { l.Final = append(l.Final, Record{3, 77}) }, "I06"},
		{"refused for good, then read", func(l *Log) { l.Sends[1].Outcome = Failed }, "I75"},
		{"ambiguous, then read", func(l *Log) { l.Sends[1].Outcome, l.Sends[1].Return = Unknown, Open }, ""},
		{"ambiguous, never there", func(l *Log) {
			l.Sends[1].Outcome, l.Sends[1].Return = Unknown, Open
			l.Polls, l.Final, l.FinalEnd = l.Polls[:1], l.Final[:2], 2
		}, ""},
		{"passed over by a poll", func(l *Log) { l.Polls[0].Records = l.Polls[0].Records[1:] }, "I74"},
		{"passed over by an empty poll that moved on", func(l *Log) { l.Polls[1].Records = nil }, "I74"},
		{"a short answer is no loss", func(l *Log) {
			l.Polls[0].Records, l.Polls[0].Next = l.Polls[0].Records[:1], 1
			l.Polls[1].From, l.Polls[1].Records = 1, []Record{{1, 11}, {2, 12}}
		}, ""},
		{"went back without being told to", func(l *Log) {
			l.Polls[1].From, l.Polls[1].Records = 0, []Record{{0, 10}, {1, 11}, {2, 12}}
		}, "I78"},
		{"went back by choice", func(l *Log) {
			l.Polls[1].From, l.Polls[1].Records, l.Polls[1].Fresh = 0, []Record{{0, 10}, {1, 11}, {2, 12}}, true
		}, ""},
		{"offsets fall within a poll", func(l *Log) { l.Polls[0].Records = []Record{{1, 11}, {0, 10}} }, "I78"},
		{"beyond the high watermark of its own reply", func(l *Log) { l.Polls[0].High = 1 }, "I29"},
		{"a later send has a lower offset", func(l *Log) {
			l.Sends[0].Base, l.Sends[1].Base, l.Polls = 1, 0, nil
			l.Final = []Record{{0, 12}, {1, 10}, {2, 11}}
		}, "I79"},
		{"concurrent sends in any order", func(l *Log) {
			l.Sends[1].Invoke, l.Sends[1].Producer = 3, 2
			l.Sends[0].Base, l.Sends[1].Base, l.Polls = 1, 0, nil
			l.Final = []Record{{0, 12}, {1, 10}, {2, 11}}
		}, ""},
		{"the end fell", func(l *Log) { l.Bounds = append(l.Bounds, Bound{Invoke: 8, Return: 9, Offset: 1}) }, "I17"},
		{"a concurrent look may see the older end", func(l *Log) { l.Bounds = append(l.Bounds, Bound{Invoke: 6, Return: 9, Offset: 1}) }, ""},
		{"the start moved by itself", func(l *Log) {
			l.Bounds = append(l.Bounds, Bound{Invoke: 8, Return: 9, Earliest: true, Offset: 1})
		}, "I71"},
		{"the start moved by DeleteRecords", func(l *Log) {
			l.Deletions = []Deletion{{Invoke: 7, Return: 8, Before: 1}}
			l.Bounds = append(l.Bounds, Bound{Invoke: 8, Return: 9, Earliest: true, Offset: 1})
			l.Final, l.FinalStart = l.Final[1:], 1
		}, ""},
		{"deleted records came back", func(l *Log) { l.Deletions = []Deletion{{Invoke: 7, Return: 8, Before: 1}} }, "I71"},
		{"the front is gone and nobody deleted it", func(l *Log) { l.Final, l.FinalStart = l.Final[1:], 1 }, "I71"},
		{"the front is gone by retention", func(l *Log) { l.Final, l.FinalStart, l.Retains = l.Final[1:], 1, false }, ""},
		{"offsets fall at the end", func(l *Log) { l.Final[1], l.Final[2] = l.Final[2], l.Final[1] }, "I01"},
		{"an idempotent producer's order is broken", func(l *Log) {
			l.Sends[0].Outcome, l.Sends[0].Return, l.Sends[1].Base, l.Polls = Unknown, Open, 0, nil
			l.Final = []Record{{0, 12}, {1, 10}, {2, 11}}
		}, "I55"},
		{"losses beyond the promise are no violation", func(l *Log) { l.Lossy, l.Final, l.Polls, l.FinalEnd = true, l.Final[:2], nil, 2 }, ""},
		{"wrong bytes are one in every mode", func(l *Log) { l.Lossy = true; l.Final = append(l.Final, Record{3, 77}) }, "I06"},
		{"acks=1 under power loss without replicas that saw it", func(l *Log) {
			l.Sends[1].Acks, l.LossyLeaderOnly, l.Final, l.Polls = 1, true, l.Final[:2], l.Polls[:1]
		}, ""},
		{"the topic was deleted", func(l *Log) { l.Gone, l.Final = true, nil }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := good()
			c.change(l)
			requireOnly(t, c.want, CheckLog(l))
		})
	}
}

func requireOnly(t *testing.T, want string, found []Violation) {
	t.Helper()
	if want == "" {
		require.Empty(t, found)
		return
	}
	var ids []string
	for _, v := range found {
		ids = append(ids, v.Invariant)
	}
	require.Contains(t, ids, want)
}

// On histories made by a real sequential log, the linear check and porcupine both say yes; with one
// acknowledged record's offset or value changed in a reply, both say no.
func TestLinearAndSearchAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Log{Partition: Partition{"t", 0}, Retains: true, FinalRead: true}
		var log []Value
		now, next := int64(0), Value(1)
		for range rapid.IntRange(2, 30).Draw(t, "ops") {
			now += 10
			if len(log) > 0 && rapid.Bool().Draw(t, "poll") {
				from := rapid.IntRange(0, len(log)).Draw(t, "from")
				to := rapid.IntRange(min(from+1, len(log)), len(log)).Draw(t, "to")
				p := Poll{Partition: l.Partition, Consumer: 1, Invoke: now, Return: now + 5, From: int64(from), Next: int64(to), High: int64(len(log)), Fresh: true}
				for o := from; o < to; o++ {
					p.Records = append(p.Records, Record{int64(o), log[o]})
				}
				l.Polls = append(l.Polls, p)
				continue
			}
			s := Send{Partition: l.Partition, Producer: 1, Invoke: now, Return: now + 5, Acks: -1, Idempotent: true, Base: int64(len(log)), Values: []Value{next}}
			if next++; rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
				s.Outcome, s.Return = Unknown, Open
				if rapid.Bool().Draw(t, "lost") {
					l.Sends = append(l.Sends, s)
					continue
				}
			}
			log = append(log, s.Values...)
			l.Sends = append(l.Sends, s)
		}
		for o, v := range log {
			l.Final = append(l.Final, Record{int64(o), v})
		}
		l.FinalEnd = int64(len(log))
		require.Empty(t, CheckLog(l))
		if found, checked := CheckSmallLog(l); checked {
			require.Empty(t, found)
		}
		for i := range l.Polls {
			if p := &l.Polls[i]; len(p.Records) > 0 {
				p.Records[0].Value += 1000
				require.NotEmpty(t, CheckLog(l))
				if found, checked := CheckSmallLog(l); checked {
					require.NotEmpty(t, found)
				}
				return
			}
		}
	})
}

func TestRegisterFixtures(t *testing.T) {
	w := func(at, v int64, o Outcome) Register {
		return Register{Invoke: at, Return: at + 1, Outcome: o, Write: true, Value: v}
	}
	r := func(at, v int64) Register { return Register{Invoke: at, Return: at + 1, Value: v} }
	for _, c := range []struct {
		name string
		h    []Register
		ok   bool
	}{
		{"reads what was written", []Register{r(0, None), w(2, 5, OK), r(4, 5)}, true},
		{"a commit was forgotten", []Register{w(2, 5, OK), r(4, None)}, false},
		{"an old commit came back", []Register{w(2, 5, OK), w(4, 6, OK), r(6, 6), r(8, 5)}, false},
		{"an unknown commit lands late", []Register{w(2, 5, Unknown), w(4, 6, OK), r(6, 6), r(8, 5)}, true},
		{"an unknown commit lands once", []Register{w(2, 5, Unknown), w(4, 6, OK), r(6, 5), r(8, 6)}, false},
		{"a fenced commit changed something", []Register{w(2, 5, Failed), r(4, 5)}, false},
	} {
		require.Equal(t, c.ok, len(CheckRegister("I50", "g", c.h)) == 0, c.name)
	}
}

func TestTopicFixtures(t *testing.T) {
	op := func(at int64, k TopicOpKind, id string, n int32) TopicOp {
		return TopicOp{Invoke: at, Return: at + 1, Kind: k, ID: id, Partitions: n}
	}
	refused := func(o TopicOp) TopicOp { o.Refused = true; return o }
	unknown := func(o TopicOp) TopicOp { o.Outcome = Unknown; return o }
	again := func(o TopicOp) TopicOp { o.Refused, o.Again = true, true; return o }
	for _, c := range []struct {
		name string
		h    []TopicOp
		ok   bool
	}{
		{"made, grown, deleted, made again", []TopicOp{op(0, CreateTopic, "a", 1), op(2, GrowTopic, "", 3), op(4, DescribeTopic, "a", 3),
			refused(op(6, CreateTopic, "", 1)), op(8, DeleteTopic, "", 0), op(10, CreateTopic, "b", 1)}, true},
		{"an id came back", []TopicOp{op(0, CreateTopic, "a", 1), op(8, DeleteTopic, "", 0), op(10, CreateTopic, "a", 1)}, false},
		{"a deleted topic was described", []TopicOp{op(0, CreateTopic, "a", 1), op(8, DeleteTopic, "", 0), op(10, DescribeTopic, "a", 1)}, false},
		{"an unknown create may have worked", []TopicOp{unknown(op(0, CreateTopic, "", 2)), op(4, DescribeTopic, "z", 2)}, true},
		{"created twice", []TopicOp{op(0, CreateTopic, "a", 1), op(2, CreateTopic, "b", 1)}, false},
		{"refused when it was asked again, having made it", []TopicOp{again(op(0, CreateTopic, "", 2)), op(4, DeleteTopic, "", 0), op(6, CreateTopic, "a", 1)}, true},
		{"refused when it was asked again, and yet it is not there", []TopicOp{again(op(0, CreateTopic, "", 2)), op(4, CreateTopic, "a", 1)}, false},
		{"deleted by the first of two", []TopicOp{op(0, CreateTopic, "a", 1), again(op(2, DeleteTopic, "", 0)), op(4, CreateTopic, "b", 1)}, true},
		{"deleted by the first of two, and yet it is there", []TopicOp{op(0, CreateTopic, "a", 1), again(op(2, DeleteTopic, "", 0)), refused(op(4, CreateTopic, "", 1))}, false},
		{"partitions were lost", []TopicOp{op(0, CreateTopic, "a", 1), op(2, GrowTopic, "", 3), op(4, DescribeTopic, "a", 1)}, false},
	} {
		require.Equal(t, c.ok, len(CheckTopic("n", c.h)) == 0, c.name)
	}
}

func TestGroupFixtures(t *testing.T) {
	a := Ownership{Group: "g", Partition: Partition{"t", 0}, Member: "m1", Generation: 3, From: 1, To: 5}
	b := a
	b.Member = "m2"
	requireOnly(t, "I46", CheckOwners([]Ownership{a, b}))
	b.Generation = 4
	requireOnly(t, "", CheckOwners([]Ownership{a, b}))
	b.Generation, b.Member = 3, "m1" // told twice
	requireOnly(t, "", CheckOwners([]Ownership{a, b}))
	requireOnly(t, "I48", CheckGenerations([]Generation{{"g", 4, 0, 1}, {"g", 3, 2, 3}}))
	requireOnly(t, "", CheckGenerations([]Generation{{"g", 4, 0, 3}, {"g", 3, 2, 4}, {"h", 1, 9, 10}}))
}

func TestReplicaFixtures(t *testing.T) {
	ok := Replica{Leads: true, Stable: 4, Open: []int64{4}, Start: 1, High: 5, Durable: 5, Written: 7, End: 9, RecoveryPoint: 3, LeaderEpoch: 2, Safe: 5}
	for _, c := range []struct {
		name   string
		change func(*Replica)
		want   string
	}{
		{"as it is", func(r *Replica) {}, ""},
		{"high beyond end", func(r *Replica) { r.High, r.Safe = 10, 10 }, "I03"},
		{"start beyond high", func(r *Replica) { r.Start = 6 }, "I03"},
		{"durable beyond written", func(r *Replica) { r.Durable = 8 }, "I03"},
		{"recovery point beyond durable", func(r *Replica) { r.RecoveryPoint = 6 }, "I03"},
		{"high rises beyond what is safe", func(r *Replica) { r.High = 6 }, "I26"},
		{"the safe end falls below a promise that stands", func(r *Replica) { r.Safe = 4 }, ""},
		{"high fell", func(r *Replica) { r.High = 4 }, "I17"},
		{"stable beyond high", func(r *Replica) { r.Stable, r.Open = 6, nil }, "I59"},
		{"stable beyond what is open", func(r *Replica) { r.Stable = 5 }, "I59"},
		{"stable fell", func(r *Replica) { r.Stable = 3 }, "I59"},
		{"stable fell on a follower that was cut", func(r *Replica) { r.Leads, r.Stable = false, 3 }, ""},
		{"stable rises when nothing is open", func(r *Replica) { r.Stable, r.Open = 5, nil }, ""},
		{"what is open began below the start, which was moved", func(r *Replica) { r.Start, r.Stable = 5, 5 }, ""},
		{"start fell", func(r *Replica) { r.Start = 0 }, "I71"},
		{"epoch fell", func(r *Replica) { r.LeaderEpoch = 1 }, "I23"},
		{"durable fell", func(r *Replica) { r.High, r.Durable, r.RecoveryPoint = 5, 4, 3; r.Safe = 5 }, "I03"},
		{"another life may know less", func(r *Replica) { r.Life, r.High, r.Stable, r.Open = 1, 4, 3, nil }, ""},
		{"offline", func(r *Replica) { r.Offline, r.High = true, 0 }, ""},
	} {
		cur := ok
		c.change(&cur)
		requireOnly(t, c.want, CheckReplica(&ok, &cur))
	}
}

// batchBytes encodes one empty-bodied batch, by hand.
func batchBytes(base int64, count, epoch int32, stamp int64) []byte {
	b := make([]byte, 70)
	binary.BigEndian.PutUint64(b, uint64(base))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], uint32(epoch))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	binary.BigEndian.PutUint64(b[35:], uint64(stamp))
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

func TestSegmentFixtures(t *testing.T) {
	two := append(batchBytes(0, 2, 1, 100), batchBytes(2, 3, 1, 90)...)
	index := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 4), 70)
	stamps := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, 100), 1)
	fresh := func() []Segment {
		return []Segment{{0, append([]byte(nil), two...), append([]byte(nil), index...), append([]byte(nil), stamps...)}, {5, batchBytes(5, 1, 2, 120), nil, nil}}
	}
	for _, c := range []struct {
		name   string
		change func([]Segment)
		want   string
	}{
		{"as it is", func(s []Segment) {}, ""},
		{"a flipped bit", func(s []Segment) { s[0].Log[65] ^= 1 }, "I06"},
		{"a torn end", func(s []Segment) { s[1].Log = s[1].Log[:65] }, "I06"},
		{"overlapping batches", func(s []Segment) { s[0].Log = append(s[0].Log, batchBytes(3, 1, 1, 0)...) }, "I01"},
		{"a copy that began inside of a batch", func(s []Segment) { s[0].Base, s[0].Index, s[0].TimeIndex = 1, nil, nil }, ""},
		{"a batch in front of its segment", func(s []Segment) { s[0].Base, s[0].Index, s[0].TimeIndex = 2, nil, nil }, "I01"},
		{"overlapping segments", func(s []Segment) { s[1].Base = 4 }, "I02"},
		{"two segments of one base", func(s []Segment) { s[1].Base = 0 }, "I02"},
		{"an epoch that falls", func(s []Segment) { s[1].Log = batchBytes(5, 1, 0, 0) }, "I23"},
		{"an index entry that points nowhere", func(s []Segment) { s[0].Index[7]++ }, "I04"},
		{"a time index that hides a record", func(s []Segment) { s[0].TimeIndex[7]-- }, "I04"},
	} {
		s := fresh()
		c.change(s)
		t.Run(c.name, func(t *testing.T) { requireOnly(t, c.want, CheckSegments(Partition{"t", 0}, s)) })
	}
}

func TestEpochFixtures(t *testing.T) {
	segments := []Segment{{0, append(batchBytes(0, 2, 0, 1), batchBytes(2, 3, 1, 1)...), nil, nil}, {5, batchBytes(5, 1, 4, 1), nil, nil}}
	p := Partition{"t", 0}
	check := func(want, file string, start int64) {
		t.Helper()
		requireOnly(t, want, CheckEpochs(p, segments, []byte(file), start, false))
	}
	check("", "0\n3\n0 0\n1 2\n4 5\n", 0)
	check("", "0\n4\n0 0\n1 2\n4 5\n7 6\n", 0) // an epoch without a batch
	check("", "0\n2\n1 3\n4 5\n", 3)           // the log start lies inside of a batch
	check("I05", "0\n2\n1 2\n4 5\n", 0)
	check("I05", "0\n3\n0 0\n1 3\n4 5\n", 0)
	check("I05", "0\n4\n0 0\n1 2\n4 5\n7 5\n", 0)
	check("I05", "", 0)
}

func TestRecoveredFixtures(t *testing.T) {
	read := func(b ...[]byte) []Batch {
		out, _, fault := ReadSegment([]byte(strings.Join(asStrings(b), "")))
		require.Empty(t, fault)
		return out
	}
	x, y, z := batchBytes(0, 2, 1, 1), batchBytes(2, 2, 1, 2), batchBytes(4, 1, 1, 3)
	p := Partition{"t", 0}
	requireOnly(t, "", CheckRecovered(p, read(x, y, z), read(x, y), 0, 4))
	requireOnly(t, "I12", CheckRecovered(p, read(x, y, z), read(x), 0, 4))
	requireOnly(t, "I12", CheckRecovered(p, read(x, y), read(x, y, z), 0, 4))
	requireOnly(t, "I12", CheckRecovered(p, read(x, y), read(x, batchBytes(2, 2, 1, 9)), 0, 2))
	requireOnly(t, "", CheckRecovered(p, read(x, y, z), read(y, z), 2, 5))
}

func asStrings(b [][]byte) (s []string) {
	for _, x := range b {
		s = append(s, string(x))
	}
	return s
}
