package txn

import (
	"slices"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"
)

// Config is what an operator may set. Times are spans.
type Config struct {
	TimeoutMax  core.Time // transaction.max.timeout.ms
	AbortCheck  core.Time // transaction.abort.timed.out.transaction.cleanup.interval.ms
	Expiration  core.Time // transactional.id.expiration.ms
	ExpiryCheck core.Time // transaction.remove.expired.transaction.cleanup.interval.ms
	Level       int16     // the finalized transaction.version
	EpochLast   int16     // the last epoch that a client is given, at most EpochLast
	IDsMax      int       // transactional ids of one partition of __transaction_state
	PartsMax    int       // partitions of one transaction
	SweepMax    int       // ids that one step of a sweep looks at
}

// The defaults of the bounds.
const (
	IDsMax   = 1 << 20
	PartsMax = 1 << 16
	SweepMax = 1000
)

// DefaultConfig is Apache Kafka's.
func DefaultConfig() Config {
	return Config{
		TimeoutMax: 15 * core.Minute, AbortCheck: 10 * core.Second, Expiration: 7 * 24 * core.Hour, ExpiryCheck: core.Hour,
		Level: 2, EpochLast: EpochLast, IDsMax: IDsMax, PartsMax: PartsMax, SweepMax: SweepMax,
	}
}

// Log is where decided records go: all of them, as one batch, or none.
type Log interface {
	// Append returns the end at which they are durable, or why they were not taken.
	Append(now core.Now, records []shard.Record) (end core.Offset, code wire.Code)
}

// IDs gives out producer ids, each once in the life of the cluster.
type IDs interface {
	// Take returns false if there is none now; the hall then asks for more.
	Take() (id int64, ok bool)
}

// Env is what a call may use of the world. It is passed, never kept.
type Env struct {
	Now core.Now
	Log Log
	IDs IDs
	Out *core.Out
}

// Answer is what a request came to. It may be told once End is committed. If NoID is set nothing was decided: the request
// asks again when there are producer ids.
type Answer struct {
	Code     wire.Code
	Producer Producer
	End      core.Offset
	NoID     bool
}

// State is the state of the transactional ids of one partition of __transaction_state.
//
// Invariants: at maps the id of each row of all to its index, serials its serial to its id; preparing is sorted by end and
// holds each Prepare* whose record is not known to be committed; sending holds, once, each one that is and has
// markers that nobody took.
type State struct {
	cfg     Config
	all     []*transaction // in no meaning order: by creation, gaps filled by the last
	at      map[string]int
	serials map[uint64]string
	serial  uint64      // counts transactions and rounds, over all lives of the shard
	gone    core.Offset // where every tombstone is durable

	preparing []preparing
	sending   []round
	unended   []uint64 // serials: all markers are acknowledged and Complete* could not be written
	retryAt   core.Time

	deadlines core.Timers // of Ongoing transactions; A: serial
	checkAt   core.Time   // when deadlines are looked at
	expiryAt  core.Time   // when unused ids are looked for
	sweep     int         // the index from which the sweep goes on
}

// transaction is one transactional id.
//
// Invariants: unsent is part of unmarked, both are sorted and empty but in Prepare*.
type transaction struct {
	id       string
	serial   uint64
	stored   Stored      // changed by Apply alone
	last     int16       // the client's epoch before the last bump, while a retry of what bumped it is to be known; None: it is not
	end      core.Offset // of its newest record
	deadline core.Time   // monotonic; Never but in Ongoing
	timerAt  core.Time   // of the deadline that is set; 0: none

	round    uint64 // the number of the newest Prepare* in this life of the shard
	unsent   []core.TopicPartition
	unmarked []core.TopicPartition
}

// round names one Prepare*: of a transactional id by its serial.
type round struct{ serial, number uint64 }

// preparing is a Prepare* whose record ends at end.
type preparing struct {
	round
	end core.Offset
}

// New makes an empty state.
func New(cfg Config) State {
	s := State{cfg: cfg}
	s.Reset()
	return s
}

// Reset forgets everything, before a replay or when another broker coordinates.
func (s *State) Reset() {
	*s = State{
		cfg: s.cfg, at: map[string]int{}, serials: map[uint64]string{}, serial: s.serial,
		checkAt: core.Never, expiryAt: core.Never, retryAt: core.Never,
	}
}

// SetConfig changes what may change while the broker runs.
func (s *State) SetConfig(cfg Config) { s.cfg = cfg }

func (s *State) find(id string) *transaction {
	if i, ok := s.at[id]; ok {
		return s.all[i]
	}
	return nil
}

func (s *State) bySerial(serial uint64) *transaction {
	id, ok := s.serials[serial]
	if !ok {
		return nil
	}
	return s.find(id)
}

func (s *State) add(id string) *transaction {
	s.serial++
	t := &transaction{id: id, serial: s.serial, last: None, deadline: core.Never}
	s.at[id], s.serials[t.serial] = len(s.all), id
	s.all = append(s.all, t)
	return t
}

// drop forgets a transactional id. What still names its serial finds nothing.
func (s *State) drop(t *transaction) {
	i, n := s.at[t.id], len(s.all)-1
	s.all[i] = s.all[n]
	s.at[s.all[i].id] = i
	s.all[n] = nil
	s.all = s.all[:n]
	delete(s.at, t.id)
	delete(s.serials, t.serial)
}

// Apply folds one record into the durable state: on replay, and when it was just decided. What a later release wrote in a
// way that we cannot read is left out.
func (s *State) Apply(key, value []byte, out *core.Out) {
	id, ok := parseKey(key)
	if !ok {
		out.Mark("txn.unreadable-record")
		return
	}
	t := s.find(id)
	if value == nil {
		if t != nil {
			s.drop(t)
		}
		return
	}
	v, ok := parseStored(value)
	if !ok {
		out.Mark("txn.unreadable-record")
		return
	}
	if t == nil {
		t = s.add(id)
	}
	t.stored = v
}

// commit appends the next state of a transactional id and applies it. The entry may be new. If the log refuses,
// nothing has changed.
func (s *State) commit(env Env, id string, next Stored, last int16) (*transaction, wire.Code) {
	r := next.record(id, max(s.cfg.Level, min(next.ClientVersion, 1))) // what version 2 needs is in no record of version 0
	end, code := s.append(env, []shard.Record{r})
	if code != wire.None {
		return nil, code
	}
	before := s.find(id)
	began := next.Status == Ongoing && (before == nil || before.stored.Status != Ongoing)
	s.Apply(r.Key, r.Value, env.Out)
	t := s.find(id)
	core.Must(t != nil, "what was just decided is there")
	core.Must(end > t.end, "the end of an id's records grows")
	t.end, t.last, t.unsent, t.unmarked = end, last, nil, nil
	switch {
	case began:
		s.watch(env.Now, t, core.Millis(int64(next.TimeoutMillis)))
	case next.Status == Ongoing: // its time runs on
	case next.Status.prepared():
		t.deadline = core.Never
		s.prepare(t)
	default:
		t.deadline = core.Never
	}
	return t, wire.None
}

// append is Log.Append with the codes that clients of a coordinator are told.
func (s *State) append(env Env, records []shard.Record) (core.Offset, wire.Code) {
	end, code := env.Log.Append(env.Now, records)
	switch code {
	case wire.None:
		return end, code
	case wire.RecordListTooLarge, wire.MessageTooLarge:
		code = wire.UnknownServerError
	}
	env.Out.Mark("txn.append-refused")
	return 0, code
}

// Loaded takes up what a replay that ended at end has brought: every answer waits until that is durable, deadlines run
// again, and markers are sent anew.
func (s *State) Loaded(env Env, end core.Offset) {
	s.gone = end
	for _, t := range s.all {
		t.end, t.last = end, s.endedFrom(&t.stored)
		switch {
		case t.stored.Status == Ongoing:
			env.Out.Mark("txn.loaded-ongoing")
			s.watch(env.Now, t, t.stored.left(env.Now))
		case t.stored.Status.prepared():
			env.Out.Mark("txn.loaded-prepared")
			s.prepare(t)
		}
	}
	s.expiryAt = env.Now.Mono.After(s.cfg.ExpiryCheck)
}

// endOf is where all that was ever told of an id is durable, that it is not there included.
func (s *State) endOf(t *transaction) core.Offset {
	if t == nil {
		return s.gone
	}
	return t.end
}

// refuse answers a request with an error that was decided on what is known of the id.
func (s *State) refuse(t *transaction, code wire.Code) Answer {
	return Answer{Code: code, Producer: nobody, End: s.endOf(t)}
}

// Len is the number of transactional ids.
func (s *State) Len() int { return len(s.all) }

// merged is the union of two sorted lists.
func merged(a, b []core.TopicPartition) []core.TopicPartition {
	out := slices.Concat(a, b)
	slices.SortFunc(out, core.TopicPartition.Compare)
	return slices.Compact(out)
}

func has(list []core.TopicPartition, p core.TopicPartition) bool {
	_, found := slices.BinarySearchFunc(list, p, core.TopicPartition.Compare)
	return found
}

// without removes p from a sorted list that nobody else holds.
func without(list []core.TopicPartition, p core.TopicPartition) []core.TopicPartition {
	if i, found := slices.BinarySearchFunc(list, p, core.TopicPartition.Compare); found {
		return slices.Delete(list, i, i+1)
	}
	return list
}
