// Package fetch keeps incremental fetch sessions (KIP-227) and says what a fetch of one partition comes to.
//
// A client that fetches a thousand partitions and hears of one names all of them once. The broker
// remembers them in a session, and from then on both sides tell only what changed: the client the
// offsets that moved, the broker the partitions with news. Session id and epoch tie the two views together;
// an epoch that is not the next one means that the views may differ, and the client begins anew.
//
// The cache is cut into shards, filled in turn, each with its share of the slots, so that finding a victim
// is a short walk. A session belongs to whoever knows its id: ids are drawn at random.
//
// The room decides nothing about logs: the hall asks Cache for the context of a request, finds out what
// each partition has, and tells the session what it sent.
package fetch

import "klamm/core"

const (
	// Shards is the number of parts of the cache.
	Shards = 8
	// evictAfter is the idle time after which any session may be evicted, and the age from which one may be
	// evicted by a larger one.
	evictAfter = 2 * core.Minute
	// idRange is the number of ids of a shard: the id tells the shard.
	idRange = (1<<31 - 1) / Shards
)

// The epochs of a request that have a meaning of their own.
const (
	FullAndOpen  int32 = 0  // a full fetch that wants a session
	FullAndClose int32 = -1 // a full fetch that wants none; the session that it names ends
)

// Want is what a client asks of one partition.
type Want struct {
	Topic       string       // by which it was asked for; empty with an id that nobody knows
	ID          core.TopicID // zero when asked for by name
	Partition   int32
	Offset      core.Offset
	BytesMax    int32
	LeaderEpoch core.Epoch  // the client's, -1: not checked
	LastEpoch   core.Epoch  // of the last record that it has, -1: not checked (KIP-595)
	LogStart    core.Offset // of a follower
	High        core.Offset // the high watermark that a follower knows (KIP-1166), else -1
}

// Key names a partition within a session: by id where the request does, else by name.
type Key struct {
	ID        core.TopicID
	Topic     string
	Partition int32
}

// Key is the key of what is wanted.
func (w *Want) Key() Key {
	if w.ID.IsZero() {
		return Key{Topic: w.Topic, Partition: w.Partition}
	}
	return Key{ID: w.ID, Partition: w.Partition}
}

// News is what a reply would say of one partition, as far as a session remembers it.
type News struct {
	Error    bool
	High     core.Offset
	Start    core.Offset
	Bytes    int64 // of records
	Diverged bool
	Replica  bool // a preferred replica is named
}

// Outcome says what became of a request's session.
type Outcome uint8

// The outcomes of Cache.Begin.
const (
	Sessionless Outcome = iota // all that the request names, and no session
	Full                       // all that the request names; Open may make a session when the reply is known
	Incremental                // what the session holds
	Closed                     // every partition was forgotten: an empty reply, and no session
	NotFound                   // FETCH_SESSION_ID_NOT_FOUND
	WrongEpoch                 // INVALID_FETCH_SESSION_EPOCH
	WrongIDs                   // FETCH_SESSION_TOPIC_ID_ERROR
)

// Cache holds the sessions of one broker.
//
// Invariants: a shard holds no more sessions than slots; an id is in the shard that it tells; total is the number
// of partitions in all sessions.
type Cache struct {
	slots  int // of one shard
	shards [Shards]shard
	next   int // the shard that takes the next session
	total  int
	evicts int64
}

// shard holds sessions in the order of their making.
type shard struct{ sessions []*Session }

// Session is what the broker remembers of one client.
//
// Invariants: order links every entry of parts that is used, from first to last; at names each by its key.
type Session struct {
	ID       int32
	Epoch    int32 // that the next request must carry
	byID     bool  // its requests name topics by id
	follower bool
	made     core.Time
	used     core.Time
	parts    []part
	free     []int32
	at       map[Key]int32
	first    int32 // index + 1; 0: none
	last     int32
}

type part struct {
	want       Want
	high       core.Offset // as last told; -1: tell again
	start      core.Offset
	prev, next int32
}

// Init sets the number of sessions of all shards together.
func (c *Cache) Init(slots int) { c.slots = slots / Shards }

// Len is the number of sessions, Partitions that of the partitions in them, Evicted of those pushed out so far.
func (c *Cache) Len() (n int) {
	for i := range c.shards {
		n += len(c.shards[i].sessions)
	}
	return n
}

// Partitions is the number of partitions in all sessions.
func (c *Cache) Partitions() int { return c.total }

// Evicted is the number of sessions that were pushed out.
func (c *Cache) Evicted() int64 { return c.evicts }

// Find returns a session, or nil.
func (c *Cache) Find(id int32) *Session {
	if id <= 0 || int(id)/idRange >= Shards {
		return nil
	}
	for _, s := range c.shards[int(id)/idRange].sessions {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Remove ends a session, if it is there.
func (c *Cache) Remove(id int32) {
	if id <= 0 || int(id)/idRange >= Shards {
		return
	}
	sh := &c.shards[int(id)/idRange]
	for i, s := range sh.sessions {
		if s.ID == id {
			c.total -= s.Len()
			sh.sessions = append(sh.sessions[:i], sh.sessions[i+1:]...)
			return
		}
	}
}

// Begin reads the session part of a request: which partitions it is about.
func (c *Cache) Begin(now core.Time, id, epoch int32, byID bool, wants []Want, forget []Key) (*Session, Outcome) {
	if epoch == FullAndClose || epoch == FullAndOpen {
		c.Remove(id)
		if epoch == FullAndClose {
			return nil, Sessionless
		}
		return nil, Full
	}
	s := c.Find(id)
	switch {
	case s == nil:
		return nil, NotFound
	case s.Epoch != epoch:
		return nil, WrongEpoch
	case s.byID != byID:
		return nil, WrongIDs
	}
	before := s.Len()
	for _, w := range wants {
		s.put(w)
	}
	for _, k := range forget {
		s.drop(k)
	}
	c.total += s.Len() - before
	if s.Len() == 0 {
		c.Remove(id)
		return nil, Closed
	}
	s.Epoch = nextEpoch(s.Epoch)
	s.used = now
	return s, Incremental
}

// nextEpoch counts from 1 and never comes to 0 again, which would mean a full fetch.
func nextEpoch(e int32) int32 {
	if e < 0 || e == 1<<31-1 {
		return 1
	}
	return e + 1
}

// Open makes a session of the partitions of a full fetch, when its reply is known, and returns its id; 0 if
// there is no room for it. tell gives the news of each partition, in the order of wants.
func (c *Cache) Open(now core.Time, rnd *core.Rand, byID, follower bool, wants []Want, tell []News) int32 {
	if len(wants) == 0 || c.slots == 0 {
		return 0
	}
	n := c.next
	c.next = (c.next + 1) % Shards
	sh := &c.shards[n]
	s := &Session{Epoch: 1, byID: byID, follower: follower, made: now, used: now, at: make(map[Key]int32, len(wants))}
	for i := range wants {
		p := s.put(wants[i])
		p.learn(&tell[i])
	}
	if len(sh.sessions) >= c.slots && !c.evict(sh, now, s) {
		return 0
	}
	for s.ID == 0 || c.Find(s.ID) != nil {
		s.ID = int32(int64(n)*idRange + rnd.IntN(idRange)) // 0 is no id: drawn again
	}
	sh.sessions = append(sh.sessions, s)
	c.total += s.Len()
	return s.ID
}

// evict makes room for a session, if one may go: any that has been idle for long; else the least of those that may
// give way to it. A follower's may push out a consumer's at once; every other must be old, and smaller than the new one.
func (c *Cache) evict(sh *shard, now core.Time, s *Session) bool {
	var idle, least *Session
	for _, o := range sh.sessions {
		if now-o.used > evictAfter && (idle == nil || o.used < idle.used) {
			idle = o
		}
		old := now-o.made > evictAfter
		if (old || s.follower && !o.follower) && (least == nil || o.less(least)) {
			least = o
		}
	}
	if idle == nil && least != nil && least.less(s) {
		idle = least
	}
	if idle == nil {
		return false
	}
	c.Remove(idle.ID)
	c.evicts++
	return true
}

// less reports that s is worth less than o: consumers before followers, then the smaller.
func (s *Session) less(o *Session) bool {
	if s.follower != o.follower {
		return !s.follower
	}
	if s.Len() != o.Len() {
		return s.Len() < o.Len()
	}
	return s.ID < o.ID // a new one has no id yet: it pushes out no equal
}

// Len is the number of partitions of the session.
func (s *Session) Len() int { return len(s.parts) - len(s.free) }

// put enters what is wanted of a partition: at its place if it is known, else at the end.
func (s *Session) put(w Want) *part {
	k := w.Key()
	if i, ok := s.at[k]; ok {
		s.parts[i].want = w
		return &s.parts[i]
	}
	var i int32
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
	} else {
		i = int32(len(s.parts))
		s.parts = append(s.parts, part{})
	}
	s.parts[i] = part{want: w, high: -1, start: -1}
	s.at[k] = i
	s.link(i)
	return &s.parts[i]
}

func (s *Session) drop(k Key) {
	i, ok := s.at[k]
	if !ok {
		return
	}
	s.unlink(i)
	delete(s.at, k)
	s.parts[i] = part{}
	s.free = append(s.free, i)
}

func (s *Session) link(i int32) {
	p := &s.parts[i]
	p.prev, p.next = s.last, 0
	if s.last != 0 {
		s.parts[s.last-1].next = i + 1
	} else {
		s.first = i + 1
	}
	s.last = i + 1
}

func (s *Session) unlink(i int32) {
	p := &s.parts[i]
	if p.prev != 0 {
		s.parts[p.prev-1].next = p.next
	} else {
		s.first = p.next
	}
	if p.next != 0 {
		s.parts[p.next-1].prev = p.prev
	} else {
		s.last = p.prev
	}
}

// Wants appends what the session holds, in its order.
func (s *Session) Wants(to []Want) []Want {
	for i := s.first; i != 0; i = s.parts[i-1].next {
		to = append(to, s.parts[i-1].want)
	}
	return to
}

// Tell says what the broker found for a partition and reports whether the reply must name it. A partition that
// gives records goes to the end of the order, so that none starves behind busy ones.
func (s *Session) Tell(k Key, n News) (named bool) {
	i, ok := s.at[k]
	if !ok {
		return true
	}
	named = s.parts[i].learn(&n)
	if n.Bytes > 0 && s.last != i+1 {
		s.unlink(i)
		s.link(i)
	}
	return named
}

// learn takes in what is told, and reports whether it is news. After an error the high watermark is forgotten, so
// that the partition is named once more when it recovers.
func (p *part) learn(n *News) (news bool) {
	news = n.Bytes > 0 || n.High != p.high || n.Start != p.start || n.Replica || n.Diverged || n.Error
	p.high, p.start = n.High, n.Start
	if n.Error {
		p.high = -1
	}
	return news
}
