package log

import (
	"sort"
	"strconv"

	"klamm/core"
)

type state uint8

const (
	creating state = iota
	loading
	online
	offline
	damaged // bytes below the recovery point are lost here: see repair.go
	deleting
	gone
)

var stateNames = [...]string{"creating", "loading", "online", "offline", "damaged", "deleting", "gone"}

// Log is one partition's log.
//
// Invariants, while online: start <= high <= end; durable <= written <= end; segs is not empty, sorted by base, each
// segment's end is the next one's base, the last is active; the ring holds the borders of the newest batches without
// holes; the producers are the fold of the log below end over the snapshot it was loaded from.
type Log struct {
	id       LogID
	p        Partition
	topic    core.TopicID
	cfg      Config
	known    bool // cfg is the partition's own, not a default: only then retention may act
	state    state
	why      string // it is offline, or damaged
	as       standing
	place    int // of its directory among those of the Store
	dir      string
	grave    string // what dir becomes when the log is deleted
	inFlight int

	start, wantStart core.Offset // wantStart >= start is being checkpointed
	end, written     core.Offset
	durable, high    core.Offset
	saved            [pointKinds]core.Offset // as the checkpoint files have it
	saving           [pointKinds]core.Offset // as it is being written

	segs    []*segment
	writes  fifo
	busy    bool   // a sync or a rewrite is in flight
	cuts    uint32 // counts Truncates: what was in flight before one is not believed after it
	flushTo core.Offset
	flushAt core.Time
	doubt   []doubt // byte ranges that only the page cache may hold, in order

	epochs      []epochEntry
	epochsSaved core.Epoch // the file has the entries up to this one
	epochsPut   bool       // the file is being replaced
	epochsDirty bool       // the file says more than it need

	producers []*producer // sorted by id
	open      []openTxn   // of producers, by first offset
	ended     []endedTxn  // both columns rise strictly, but for what a load does not know; markers at or above high
	guards    []guard     // sorted by producer
	snapshot  core.Offset // of the last stop, to be replaced at the next; 0 if there is none
	ring      ring
	sought    [soughtMax]border
	soughtAt  int

	aging bool // a look whether a segment is as old as its time index says is under way,
	aged  aged // and what it came to

	gaps        bool        // its offsets may have gaps between batches, and recovery has to know: see checkpoint.go
	gapsSaving  bool        // as the checkpoint of the cleaner is being written
	gapsSaved   bool        // as it has it
	cleanPoint  core.Offset // below it the log is clean
	clean       *cleaning
	uncleanable string // why it is not cleaned any more
	strays      int    // cleans in a row that were given up because a read came from another place
	firsts      int    // reads of a segment's first header
	swaps       int    // segments swapped in, in this life

	made   created
	load   *load
	reload bool // it is being loaded after a cut, not at boot
	placed bool // its place among the loads at boot has been given back: it was found damaged
	cut    *cut

	orphan bool // see Orphan

	slot LogID       // its place among all logs, which is its for life: what is in flight names it
	move movePhase   // of a move to another directory
	mark core.Offset // of a future log: what is to be durable before it may take the place of another; 0: not said yet
}

// doubt is a range of bytes of the segment with base seg, whole batches that the scan has verified.
type doubt struct {
	seg      core.Offset
	from, to int64
	next     core.Offset // the base of the batch at from
	gaps     bool        // between the offsets of its batches, as compaction leaves them
	least    int64       // the next read takes no less: the batch at from is that large
	astray   int         // reads in a row that were not of what the scan had seen
}

// ID is the log's id.
func (l *Log) ID() LogID { return l.id }

// Partition names the log.
func (l *Log) Partition() Partition { return l.p }

// Place is the place of the log's directory in StoreConfig.Dirs.
func (l *Log) Place() int { return l.place }

// TopicID is what partition.metadata says; zero if there is none.
func (l *Log) TopicID() core.TopicID { return l.topic }

// Config is the log's configuration.
func (l *Log) Config() Config { return l.cfg }

// Start is the first offset that may be read. It has been made durable.
func (l *Log) Start() core.Offset { return l.start }

// Starting is the first offset that is to be kept: Start, or what it will be when that is durable.
func (l *Log) Starting() core.Offset { return max(l.start, l.wantStart) }

// End is the offset after the last record given to Append.
func (l *Log) End() core.Offset { return l.end }

// Written is the offset below which the world has taken every write.
func (l *Log) Written() core.Offset { return l.written }

// Durable is the offset below which this copy survives the loss of all unsynced bytes.
func (l *Log) Durable() core.Offset { return l.durable }

// Safe is the offset below which this copy counts as safe, by the log's durability.
func (l *Log) Safe() core.Offset {
	if l.cfg.Durability == Synced {
		return l.durable
	}
	return l.written
}

// High is the high watermark as last set, or as checkpointed.
func (l *Log) High() core.Offset { return l.high }

// Epoch is the newest leader epoch of the log, or -1.
func (l *Log) Epoch() core.Epoch {
	if n := len(l.epochs); n > 0 {
		return l.epochs[n-1].epoch
	}
	return -1
}

// Size is the size of all segments in bytes.
func (l *Log) Size() (n int64) {
	for _, g := range l.segs {
		n += g.size
	}
	return n
}

// Online reports whether the log serves reads and appends.
func (l *Log) Online() bool { return l.state == online }

// Busy reports whether the log is being cut or emptied: nothing may be appended, and its end is about to fall.
func (l *Log) Busy() bool { return l.cut != nil || l.reload }

// Offline says why the log is offline, or damaged; empty if it is not.
func (l *Log) Offline() string { return l.why }

// Segments describes the segments, oldest first.
func (l *Log) Segments() []SegmentInfo {
	infos := make([]SegmentInfo, len(l.segs))
	for i, g := range l.segs {
		infos[i] = SegmentInfo{Base: g.base, End: g.end, Bytes: g.size, MaxTimestamp: g.maxTime}
	}
	return infos
}

// SegmentCount is how many segments the log has.
func (l *Log) SegmentCount() int { return len(l.segs) }

// ProducerCount is how many producers the log remembers.
func (l *Log) ProducerCount() int { return len(l.producers) }

func (l *Log) name() string { return l.p.Topic + "-" + strconv.Itoa(int(l.p.Partition)) }

func (l *Log) active() *segment { return l.segs[len(l.segs)-1] }

// at returns the index of the segment that holds offset o: the last whose base is not above it.
func (l *Log) at(o core.Offset) int {
	return max(0, sort.Search(len(l.segs), func(i int) bool { return l.segs[i].base > o })-1)
}

// find returns the segment with exactly this base, or nil.
func (l *Log) find(base core.Offset) *segment {
	if len(l.segs) == 0 {
		return nil
	}
	if g := l.segs[l.at(base)]; g.base == base {
		return g
	}
	return nil
}

const metadataTopic = "__cluster_metadata"

// alwaysSynced names the topics whose copies count only when synced, whatever the broker's setting.
func alwaysSynced(topic string) bool {
	return topic == metadataTopic || topic == "__consumer_offsets" || topic == "__transaction_state" || topic == "__share_group_state"
}

// effective is cfg with the durability that it comes to.
func effective(topic string, cfg Config) Config {
	if alwaysSynced(topic) || cfg.FlushMessages == 1 {
		cfg.Durability = Synced
	}
	return cfg
}

// SetConfig gives the log its topic's configuration.
func (s *Store) SetConfig(now core.Now, id LogID, cfg Config, out *core.Out) {
	l := s.live(id)
	if l == nil {
		return
	}
	l.cfg, l.known = effective(l.p.Topic, cfg), true
	s.policy(now, l, out)
	if l.state == online {
		s.pump(now, l, out)
	}
}

// policy heeds what a log's configuration says of cleaning.
func (s *Store) policy(now core.Now, l *Log, out *core.Out) {
	if !l.cfg.Compact {
		s.giveUpClean(now, l, out)
		return
	}
	l.gaps = true
	if s.cleaner.at == core.Never && !s.stop.on {
		s.cleaner.at = now.Mono.After(s.cleaner.cfg.Backoff)
	}
}

// SetHigh tells the high watermark. It may fall only when a new leader knows less.
func (s *Store) SetHigh(now core.Now, id LogID, high core.Offset, out *core.Out) {
	l := s.live(id)
	if l == nil || l.state != online {
		return
	}
	if high = min(max(high, l.wantStart), l.end); high != l.high {
		l.high = high
		l.settleTxns()
		s.dirtyPoint(now, l.place, pointHigh)
	}
}

// fifo numbers writes and remembers which are done, so that Written is a prefix whatever the order of completion.
//
// Invariants: the writes numbered [first, first+n) are open; slot i of number k is k modulo the (power of two) size.
type fifo struct {
	slots []pending
	first uint64
	n     uint64
}

type pending struct {
	end  core.Offset
	done bool
}

func (q *fifo) push(end core.Offset) uint64 {
	if q.n == uint64(len(q.slots)) {
		bigger := make([]pending, max(8, 2*len(q.slots)))
		for i := range q.n {
			k := q.first + i
			bigger[k%uint64(len(bigger))] = q.slots[k%uint64(len(q.slots))]
		}
		q.slots = bigger
	}
	k := q.first + q.n
	q.slots[k%uint64(len(q.slots))] = pending{end: end}
	q.n++
	return k
}

// done marks write k and returns the end of the finished prefix, if it grew.
func (q *fifo) done(k uint64) (end core.Offset, grew bool) {
	core.Must(k-q.first < q.n, "a write that ends is open")
	q.slots[k%uint64(len(q.slots))].done = true
	for q.n > 0 {
		p := &q.slots[q.first%uint64(len(q.slots))]
		if !p.done {
			break
		}
		end, grew = p.end, true
		q.first++
		q.n--
	}
	return end, grew
}
