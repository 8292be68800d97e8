package txn

import (
	"fmt"
	"slices"
	"testing"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// producer is one client of a transactional id, as far as it knows. Several may believe that the id is theirs.
type producer struct {
	id    string
	is    Producer
	bumps bool // it speaks EndTxn v5
	open  bool // it has been told that a partition was added since its last end
	sent  []Ending
}

// told is an answer that waits for its end.
type told struct {
	who  int
	what string // init, add, commit, abort
	a    Answer
	e    Ending
	from Producer // who the client said it was
}

// player lets clients play against one State whose log lags, loses its tail in crashes, and takes markers in any order.
type player struct {
	*world
	t       *rapid.T
	clients []producer
	late    []told
	durable int

	verdicts map[string]Status // "id pid/epoch" of a Prepare* to what somebody was told or sent
}

func (p *player) tell(x told) {
	if !x.a.NoID {
		p.late = append(p.late, x)
	}
}

// hear gives the answers whose end is committed.
func (p *player) hear() {
	var still []told
	for _, x := range p.late {
		if int(x.a.End) > p.durable {
			still = append(still, x)
			continue
		}
		c := &p.clients[x.who]
		switch {
		case x.a.Code != wire.None:
			p.refused(x)
		case x.what == "init":
			c.is, c.open = x.a.Producer, false
		case x.what == "add":
			c.open = c.open || c.is == x.from
		default:
			p.ended(x)
			if c.is == x.from {
				if c.open = false; c.bumps {
					c.is = x.a.Producer
				}
			}
		}
	}
	p.late = still
}

// refused checks that a retry of what was granted is not refused as the wrong verdict.
func (p *player) refused(x told) {
	if x.a.Code == wire.InvalidTxnState && x.e.Bump {
		told, ok := p.verdicts[fmt.Sprint(x.e.ID, " ", x.from)]
		require.False(p.t, ok && told == verdict(x.e.Commit), "%v was told its verdict before", x.from)
	}
}

// ended checks what a client was told of the end of its transaction against what the log says for good: I63.
func (p *player) ended(x told) {
	want := verdict(x.e.Commit)
	if x.a.Producer.ID != None {
		require.True(p.t, x.a.Producer.ID > x.from.ID || x.a.Producer.Epoch > x.from.Epoch, "the epoch of an end with a bump is a new one")
		p.decided(x.e.ID, x.from, want)
		require.True(p.t, slices.ContainsFunc(p.log.records[:p.durable], func(r shard.Record) bool {
			id, _ := parseKey(r.Key)
			s, ok := parseStored(r.Value)
			return ok && id == x.e.ID && s.Status == want && s.ClientVersion >= 2 && s.Producer == x.from.bumped()
		}), "%v was given the epoch that its own end raised", x.from)
		return
	}
	found := false // without bumps one epoch has many transactions: one of them ended so
	for _, r := range p.log.records[:p.durable] {
		id, _ := parseKey(r.Key)
		s, ok := parseStored(r.Value)
		found = found || ok && id == x.e.ID && s.Producer == x.from && (s.Status == want || s.Status == completed(want))
	}
	require.True(p.t, found, "an end that was told is in the log")
}

// decided notes the verdict on the transaction of a client's (producer id, epoch), of which there is one with bumps.
func (p *player) decided(id string, client Producer, v Status) {
	key := fmt.Sprint(id, " ", client)
	if old, ok := p.verdicts[key]; ok {
		require.Equal(p.t, old, v, "%s has two outcomes", key)
	}
	p.verdicts[key] = v
}

func (p *player) init(i int) {
	c := &p.clients[i]
	says := nobody
	if c.is.ID != None && rapid.Bool().Draw(p.t, "says who it is") {
		says = c.is
	}
	p.tell(told{who: i, what: "init", a: p.st.Init(p.env(), c.id, int32(rapid.IntRange(1000, 60000).Draw(p.t, "timeout")), says), from: says})
}

func (p *player) add(i int) {
	c := &p.clients[i]
	a := Adding{ID: c.id, Producer: c.is, Partitions: []core.TopicPartition{{Topic: "t", Partition: int32(rapid.IntRange(0, 3).Draw(p.t, "partition"))}}}
	if c.bumps {
		a.Version = 2
	}
	before := p.st.find(c.id)
	x := p.st.Add(p.env(), &a)
	if x.Code == wire.None {
		require.Equal(p.t, c.is, before.stored.Producer, "only the current producer adds")
		require.True(p.t, has(p.st.find(c.id).stored.Partitions, a.Partitions[0]))
	}
	codes, _ := p.st.Verify(&a)
	require.Equal(p.t, x.Code == wire.None, codes[0] == wire.None && x.Code == wire.None, "what was added is verified")
	p.tell(told{who: i, what: "add", a: x, from: c.is})
}

// end ends a transaction, or sends again what was sent before, perhaps long ago.
func (p *player) end(i int) {
	c := &p.clients[i]
	e := Ending{ID: c.id, Producer: c.is, Commit: rapid.Bool().Draw(p.t, "commit"), Bump: c.bumps}
	if len(c.sent) > 0 && rapid.IntRange(0, 2).Draw(p.t, "again") == 0 {
		e = rapid.SampledFrom(c.sent).Draw(p.t, "which")
	} else if slices.ContainsFunc(c.sent, func(x Ending) bool { return x.Producer == e.Producer && x.Commit != e.Commit }) && c.bumps {
		e.Commit = !e.Commit // a client that has asked for one thing does not ask for the other
	}
	c.sent = append(c.sent, e)
	var before Stored
	if t := p.st.find(c.id); t != nil {
		before = t.stored
	}
	n := len(p.log.records)
	x := p.st.End(p.env(), &e)
	if len(p.log.records) > n {
		require.Equal(p.t, e.Producer, before.Producer, "only the current producer ends")
		require.False(p.t, before.Status.prepared(), "what is decided is not decided again")
	}
	what := "abort"
	if e.Commit {
		what = "commit"
	}
	p.tell(told{who: i, what: what, a: x, e: e, from: e.Producer})
}

// commit makes more of the log durable, and takes markers: none may speak of what is not.
func (p *player) commit(to int) {
	p.durable = to
	p.st.Committed(p.env(), core.Offset(to))
	from := len(p.taken)
	p.taken = p.st.Take(p.taken, rapid.IntRange(1, 5).Draw(p.t, "room"))
	for _, m := range p.taken[from:] {
		t := p.st.find(m.ID)
		require.True(p.t, int(t.end) <= p.durable, "a marker of what may be lost")
		require.Equal(p.t, m.Commit, t.stored.Status == PrepareCommit)
	}
}

func (p *player) acknowledge() {
	if len(p.taken) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.taken)-1).Draw(p.t, "marker")
	m := p.taken[i]
	t := p.st.find(m.ID)
	late := t != nil && t.round != m.Round
	before := 0
	if late {
		before = len(t.unmarked)
	}
	p.st.Acknowledged(p.env(), &m)
	if late {
		require.Len(p.t, t.unmarked, before, "a marker of an earlier transaction counts for none of this one")
	}
	if rapid.Bool().Draw(p.t, "forget") { // otherwise it may be acknowledged again, at any time
		p.taken = slices.Delete(p.taken, i, i+1)
	}
}

// crash loses what is not durable, or part of it.
func (p *player) crash() {
	p.reload(rapid.IntRange(p.durable, len(p.log.records)).Draw(p.t, "kept"))
	p.late = nil
	p.durable = max(p.durable, 0)
}

// check looks inside and at the log.
func (p *player) check() {
	fold := New(p.st.cfg)
	for _, r := range p.log.records { // the state is the fold of the log
		fold.Apply(r.Key, r.Value, &core.Out{})
	}
	require.Equal(p.t, len(fold.all), len(p.st.all))
	for _, t := range p.st.all {
		require.Equal(p.t, fold.find(t.id).stored, t.stored)
		require.Equal(p.t, t, p.st.all[p.st.at[t.id]])
		require.Equal(p.t, t.id, p.st.serials[t.serial])
		require.False(p.t, t.stored.Status == Ongoing && t.deadline == core.Never, "somebody will end it")
		require.True(p.t, t.stored.Status.prepared() || len(t.unmarked) == 0)
		for _, x := range t.unsent {
			require.True(p.t, has(t.unmarked, x))
		}
	}
	require.True(p.t, slices.IsSortedFunc(p.st.preparing, func(a, b preparing) int { return int(a.end - b.end) }))
	if p.st.Unsettled(core.Offset(p.durable)) == 0 {
		committed := New(p.st.cfg)
		for _, r := range p.log.records[:p.durable] {
			committed.Apply(r.Key, r.Value, &core.Out{})
		}
		for _, t := range committed.all {
			require.False(p.t, t.stored.Status.prepared(), "what is settled is over in the committed records")
		}
	}
	p.checkLog()
}

// checkLog follows each id through the log: transitions are those of the table, epochs never fall, a verdict never flips.
func (p *player) checkLog() {
	last := map[string]Stored{}
	for _, r := range p.log.records {
		id, _ := parseKey(r.Key)
		s, ok := parseStored(r.Value)
		if !ok {
			delete(last, id)
			continue
		}
		was, known := last[id]
		last[id] = s
		if !known {
			require.Equal(p.t, Empty, s.Status)
			continue
		}
		require.True(p.t, s.Producer.ID > was.Producer.ID || s.Producer.ID == was.Producer.ID && s.Producer.Epoch >= was.Producer.Epoch, "epochs never fall")
		switch s.Status {
		case Empty, Ongoing:
			require.False(p.t, was.Status.prepared())
			require.False(p.t, s.Status == Empty && was.Status == Ongoing)
		case PrepareCommit:
			require.Equal(p.t, Ongoing, was.Status)
		case PrepareAbort:
			require.False(p.t, was.Status.prepared())
			require.True(p.t, was.Status == Ongoing || s.ClientVersion >= 2)
		default:
			require.Equal(p.t, s.Status, completed(was.Status), "a verdict flipped")
		}
		if s.Status.prepared() {
			require.Equal(p.t, was.Partitions, s.Partitions)
			if s.ClientVersion >= 2 {
				require.Equal(p.t, was.Producer.Epoch+1, s.Producer.Epoch, "one bump for one end")
			}
		}
	}
}

func newPlayer(t *rapid.T) *player {
	cfg := DefaultConfig()
	cfg.Level = int16(rapid.IntRange(0, 2).Draw(t, "level"))
	cfg.Expiration, cfg.ExpiryCheck = 10*core.Minute, core.Minute
	cfg.SweepMax = rapid.IntRange(1, 5).Draw(t, "sweep")
	p := &player{world: newWorld(cfg), t: t, verdicts: map[string]Status{}}
	for i := range rapid.IntRange(1, 4).Draw(t, "clients") {
		p.clients = append(p.clients, producer{id: fmt.Sprintf("x%d", i/2), is: nobody, bumps: cfg.Level == 2 && rapid.IntRange(0, 3).Draw(t, "new") > 0})
	}
	return p
}

// nearTheEnd makes epochs that are almost used up.
func (p *player) nearTheEnd() {
	for _, t := range p.st.all {
		if (t.stored.Status == Empty || t.stored.Status.complete()) && t.stored.Producer.Epoch < EpochLast-2 {
			next := t.stored
			next.Status, next.StartedAt, next.Producer.Epoch = Empty, None, EpochLast-2
			_, _ = p.st.commit(p.env(), t.id, next, None)
		}
	}
}

func TestRandomTransactions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPlayer(t)
		for n := range rapid.IntRange(60, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, len(p.clients)-1).Draw(t, "client")
			switch rapid.IntRange(0, 15).Draw(t, "what") { // rapid likes small numbers
			case 0, 7:
				if to := len(p.log.records); rapid.Bool().Draw(t, "all") {
					p.commit(to)
				} else {
					p.commit(rapid.IntRange(p.durable, to).Draw(t, "durable"))
				}
			case 1, 8:
				p.end(i)
			case 2, 9, 11:
				p.add(i)
			case 3, 4, 10:
				for range rapid.SampledFrom([]int{1, 10}).Draw(t, "markers") {
					p.acknowledge()
				}
			case 5, 6, 12:
				p.init(i)
			case 13:
				p.advance(int64(rapid.IntRange(1, 30000).Draw(t, "ms")))
			case 14:
				p.crash()
			case 15:
				switch rapid.IntRange(0, 4).Draw(t, "rare") {
				case 0:
					p.log.refuse = rapid.SampledFrom([]wire.Code{wire.None, wire.None, wire.CoordinatorNotAvailable}).Draw(t, "refuse")
				case 1:
					p.ids.left = rapid.IntRange(0, 3).Draw(t, "ids")
				case 2:
					p.nearTheEnd()
				case 3:
					p.now.Wall += core.Millis(int64(rapid.IntRange(-100000, 100000).Draw(t, "jump")))
				case 4: // time to expire
					p.advance(11 * 60 * 1000)
				}
			}
			p.hear()
			if n%8 == 0 {
				p.check()
			}
		}
		p.comesToRest()
	})
}

// comesToRest is I65: when the log takes what it is given and leaders acknowledge, nothing stays open beyond its timeout.
func (p *player) comesToRest() {
	p.log.refuse, p.ids.left = wire.None, 1<<30
	for range 20 {
		p.advance(10_000)
		p.durable = len(p.log.records)
		p.st.Committed(p.env(), core.Offset(p.durable))
		p.taken = p.st.Take(p.taken, 1<<20)
		for i := range p.taken {
			p.st.Acknowledged(p.env(), &p.taken[i])
		}
	}
	p.check()
	for _, t := range p.st.all {
		require.True(p.t, t.stored.Status == Empty || t.stored.Status.complete(), "%s hangs in %s", t.id, t.stored.Status)
	}
	require.Empty(p.t, p.st.preparing)
	require.Empty(p.t, p.st.unended)
	require.LessOrEqual(p.t, p.st.deadlines.Len(), len(p.st.all)+1)
}

// What a reader of a broken or foreign log does: no panic, and what can be read is kept.
func TestApplyAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(DefaultConfig())
		for range rapid.IntRange(1, 10).Draw(t, "records") {
			s := Stored{
				Producer: Producer{5, 3}, Next: None, Status: Status(rapid.IntRange(0, 7).Draw(t, "status")), TimeoutMillis: 1000, StartedAt: 7,
				Partitions: []core.TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}, {Topic: "u"}},
			}
			r := rapid.SampledFrom([]shard.Record{s.record("a", 0), s.record("a", 1), tombstone("a")}).Draw(t, "record")
			key, value := slices.Clone(r.Key), slices.Clone(r.Value)
			if n := rapid.IntRange(0, 3).Draw(t, "cut"); len(value) > n {
				value = value[:len(value)-n]
			}
			if rapid.Bool().Draw(t, "flip") && len(value) > 0 {
				value[rapid.IntRange(0, len(value)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
			}
			if rapid.Bool().Draw(t, "flip key") {
				key[rapid.IntRange(0, len(key)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
			}
			w.st.Apply(key, value, w.env().Out)
		}
		w.log.records = make([]shard.Record, 5)
		w.st.Loaded(w.env(), 5)
		w.st.Committed(w.env(), 5)
		w.st.Take(nil, 100)
		w.advance(30_000)
	})
}

// What is written is what is read.
func TestRecords(t *testing.T) {
	s := Stored{
		Producer: Producer{1 << 40, 32767}, Previous: 9, Next: 1 << 41, TimeoutMillis: 60000, Status: PrepareAbort,
		Partitions: []core.TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 7}, {Topic: "u", Partition: 1}},
		UpdatedAt:  1, StartedAt: 2, ClientVersion: 2,
	}
	r := s.record("id", 2)
	got, ok := parseStored(r.Value)
	require.True(t, ok)
	require.Equal(t, s, got)
	id, ok := parseKey(r.Key)
	require.True(t, ok)
	require.Equal(t, "id", id)
	got, ok = parseStored(s.record("id", 0).Value)
	require.True(t, ok)
	s.Previous, s.Next, s.ClientVersion = None, None, 0
	require.Equal(t, s, got, "version 0 has no tagged fields")
}
