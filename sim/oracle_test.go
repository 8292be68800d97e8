package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

var t0 = core.TopicPartition{Topic: "t0", Partition: 0}

// story is an oracle with one partition, an idempotent producer with three records and an audit.
type story struct {
	o   *Oracle
	p   int
	ids []uint64
	r   int
	now core.Time
}

func tell(removable, idempotent bool) *story {
	s := &story{o: NewOracle()}
	s.o.Partition(t0, removable)
	s.p = s.o.Sender(idempotent, -1)
	for range 3 {
		s.now++
		s.ids = append(s.ids, s.o.Sent(s.p, "t0", s.now))
	}
	s.r = s.o.Reader(auditBit)
	return s
}

func (s *story) ack(i int, offset int64) {
	s.now++
	s.o.Resolved(s.ids[i], t0, offset, did, s.now)
}

func (s *story) end(i int, f fate) {
	s.now++
	s.o.Resolved(s.ids[i], t0, -1, f, s.now)
}

func (s *story) read(offset int64, i int) {
	s.now++
	s.o.Got(s.r, t0, offset, s.ids[i], s.now)
}

func (s *story) verdict() string {
	s.o.Final(0)
	s.o.Judge(true)
	return s.o.Rule
}

// Each rule rejects a history that breaks it.
func TestOracleRejects(t *testing.T) {
	for name, c := range map[string]struct {
		rule  string
		story func() *story
	}{
		"lost": {"I25", func() *story { s := tell(false, true); s.ack(0, 0); s.ack(1, 1); s.read(0, 0); return s }},
		"lost at the end, where the front may go": {"I25", func() *story {
			s := tell(true, true)
			for i := range 3 {
				s.ack(i, int64(i))
			}
			s.read(1, 1)
			s.o.Audited(t0, 2)
			return s
		}},
		"all lost, where the front may go": {"I25", func() *story { s := tell(true, true); s.ack(0, 0); s.o.Audited(t0, 0); return s }},
		"two records at one offset":        {"I76", func() *story { s := tell(false, true); s.ack(0, 0); s.read(0, 1); return s }},
		"one record twice":                 {"I77", func() *story { s := tell(false, true); s.read(0, 0); s.read(1, 0); return s }},
		"twice, though the copy that took it again knew its producer": {"I77", func() *story {
			s := tell(true, true)
			s.read(0, 0)
			s.o.Anew(t0, 5, 1)
			s.ack(1, 5)
			s.read(6, 0)
			return s
		}},
		"twice, and not by whose copy began anew": {"I77", func() *story {
			s := tell(true, true)
			s.o.Writer = func(core.TopicPartition, int64) (int32, bool) { return 2, true }
			s.read(0, 0)
			s.o.Anew(t0, 5, 1)
			s.read(6, 0)
			return s
		}},
		"twice below where a copy began anew": {"I57", func() *story {
			s := tell(true, true)
			s.read(0, 0)
			s.o.Anew(t0, 5, 1)
			s.ack(0, 4)
			return s
		}},
		"twice, where no record goes": {"I57", func() *story {
			s := tell(false, true)
			s.read(0, 0)
			s.o.Anew(t0, 5, 1)
			s.ack(0, 5)
			return s
		}},
		"out of order":     {"I79", func() *story { s := tell(false, true); s.read(0, 1); s.read(1, 0); return s }},
		"refused and read": {"I27", func() *story { s := tell(false, true); s.end(0, didNot); s.read(0, 0); return s }},
		"never sent":       {"I06", func() *story { s := tell(false, true); s.o.Got(s.r, t0, 0, 99<<32, 9); return s }},
		"refused what was next": {"I56", func() *story {
			s := tell(false, true)
			s.ack(0, 0)
			s.read(0, 0)
			s.o.Refused(t0, "p")
			return s
		}},
		"skipped": {"I78", func() *story { s := tell(false, true); s.read(0, 0); s.read(2, 1); return s }},
		"back":    {"I78", func() *story { s := tell(false, false); s.read(0, 0); s.read(1, 1); s.read(0, 0); return s }},
		"end fell": {"I17", func() *story {
			s := tell(false, true)
			s.o.Bounds(t0, -1, 5, 1, 2)
			s.o.Bounds(t0, -1, 4, 3, 4)
			return s
		}},
		"start rose":  {"I71", func() *story { s := tell(false, true); s.o.Bounds(t0, 1, -1, 1, 2); return s }},
		"two results": {"I88", func() *story { s := tell(false, true); s.ack(0, 0); s.ack(0, 0); return s }},
		"other topic": {"I91", func() *story {
			s := tell(false, true)
			s.ids[0] = s.o.Sent(s.p, "churn", 9)
			s.read(0, 0)
			return s
		}},
		"read and lost": {"I29", func() *story {
			s := tell(false, true)
			other := s.o.Reader(-1)
			s.o.Got(other, t0, 0, s.ids[0], 5)
			s.o.Got(other, t0, 1, s.ids[1], 6)
			s.read(0, 0)
			return s
		}},
	} {
		require.Equal(t, c.rule, c.story().verdict(), name)
	}
}

// Strange but legal histories pass.
func TestOracleAccepts(t *testing.T) {
	for name, c := range map[string]func() *story{
		"all is well": func() *story {
			s := tell(false, true)
			for i := range 3 {
				s.ack(i, int64(i))
			}
			for i := range 3 {
				s.read(int64(i), i)
			}
			return s
		},
		"a copy that began anew did not know the producer": func() *story {
			s := tell(true, true)
			s.read(0, 0)
			s.read(1, 1)
			s.o.Anew(t0, 5, 1)
			s.ack(0, 5)
			s.ack(1, 6)
			s.ack(2, 7)
			s.read(5, 0)
			s.read(6, 1)
			s.read(7, 2)
			s.o.Audited(t0, 8)
			return s
		},
		"a copy that began anew refused the next of a producer that it did not know": func() *story {
			s := tell(true, true)
			s.read(0, 0)
			s.o.Anew(t0, 5, 1)
			s.o.Refused(t0, "p")
			return s
		},
		"refused, where what was acknowledged may be lost": func() *story {
			s := tell(false, true)
			s.o.Rewritable = true
			s.o.Refused(t0, "p")
			return s
		},
		"a doubtful one is there":   func() *story { s := tell(false, true); s.end(0, mayHave); s.read(0, 0); return s },
		"a doubtful one is not":     func() *story { s := tell(false, true); s.end(0, mayHave); s.ack(1, 0); s.read(0, 1); return s },
		"twice without idempotence": func() *story { s := tell(false, false); s.read(0, 0); s.read(1, 0); return s },
		"read before the answer":    func() *story { s := tell(false, true); s.read(0, 0); s.ack(0, 0); return s },
		"removed from the front": func() *story {
			s := tell(true, true)
			s.ack(0, 0)
			s.ack(1, 1)
			s.read(1, 1)
			s.o.Audited(t0, 2)
			s.o.Bounds(t0, 1, -1, 1, 2)
			return s
		},
		"all removed, long after an end was answered": func() *story {
			s := tell(true, true)
			s.o.Bounds(t0, -1, 1, 1, 2)
			for i := range 3 {
				s.ack(i, int64(i))
			}
			s.o.Audited(t0, 3)
			return s
		},
		"lost, where that may be": func() *story {
			s := tell(false, true)
			s.o.Rewritable = true
			s.ack(0, 0)
			s.read(0, 1)
			return s
		},
	} {
		require.Equal(t, "", c().verdict(), name)
	}
}

// The audit goes on while a leader's log is longer than the end that it was told of, and what is missing when it has come there is lost.
func TestOracleAuditGoesOn(t *testing.T) {
	for _, removable := range []bool{false, true} {
		s := tell(removable, true)
		s.ack(0, 0)
		ends := func(end int64) func(core.TopicPartition) int64 { return func(core.TopicPartition) int64 { return end } }
		require.NotEmpty(t, s.o.unread(ends(1)), "it has not begun")
		s.o.Audited(t0, 0) // the high watermark of a leader that has just been elected
		require.NotEmpty(t, s.o.unread(ends(1)))
		require.Empty(t, s.o.unread(ends(-1)), "nobody leads")
		s.read(0, 0)
		s.o.Audited(t0, 1)
		require.Empty(t, s.o.unread(ends(1)))
		require.Empty(t, s.verdict())

		s = tell(removable, true)
		s.ack(0, 0)
		s.o.Audited(t0, 0)
		require.Empty(t, s.o.unread(ends(0)), "its leader has lost it")
		require.Equal(t, "I25", s.verdict())
	}
}

// A value says who it is, and any other bytes are seen.
func TestValues(t *testing.T) {
	for _, size := range []int{0, 1, 100, 1000} {
		b := makeValue(7<<32|9, size)
		id, ok := readValue(b)
		require.True(t, ok)
		require.EqualValues(t, 7<<32|9, id)
		if size > 0 {
			b[len(b)-1] ^= 4
			_, ok = readValue(b)
			require.False(t, ok)
		}
	}
}

// Damage excuses the partition that it hit and no other; without a name it excuses all. Where a disk forgets what it
// called durable, a log may begin anywhere.
func TestOracleExcuses(t *testing.T) {
	for where, rule := range map[string]string{t0.Topic + "-0": "", t0.Topic + "-1": "I78", "": ""} {
		s := tell(false, true)
		s.o.Damaged(where)
		s.read(0, 0)
		s.read(2, 1)
		require.Equal(t, rule, s.o.Rule, where)
	}
	for _, headless := range []bool{false, true} {
		s := tell(false, true)
		s.o.Headless = headless
		s.o.Bounds(t0, 1, -1, 1, 2)
		require.Equal(t, headless, s.o.Rule == "")
	}
}
