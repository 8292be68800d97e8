package log

import (
	"math/bits"

	"klamm/core"
	"klamm/core/batch"
)

// CleanerConfig configures the cleaner of a Store.
type CleanerConfig struct {
	Off            bool      // log.cleaner.enable is false
	Tasks          int       // log.cleaner.threads: cleans at once
	MapBytes       int64     // log.cleaner.dedupe.buffer.size: of all maps of keys together
	LoadMillionths int64     // log.cleaner.io.buffer.load.factor: of a map's room, as Apache Kafka counts it, in millionths
	ChunkBytes     int64     // of one step: from log.cleaner.io.buffer.size; more only for a batch that is larger
	Rows           int64     // records described in one step; more only for a batch that has more
	BytesPerSecond int64     // log.cleaner.io.max.bytes.per.second: read and written, of all cleans together
	Backoff        core.Time // log.cleaner.backoff.ms: between two looks when there is nothing to do
}

// DefaultCleanerConfig returns Kafka's defaults.
func DefaultCleanerConfig() CleanerConfig {
	return CleanerConfig{Tasks: 1, MapBytes: 128 << 20, LoadMillionths: 900_000, ChunkBytes: 256 << 10, Rows: 4096,
		BytesPerSecond: 1<<63 - 1, Backoff: 15 * core.Second}
}

// kafkaKeyBytes is what a key takes in Apache Kafka's map: a hash of 16 bytes and an offset.
const kafkaKeyBytes = 24

// keys is how many keys one map may hold.
func (c *CleanerConfig) keys() int64 {
	each := c.MapBytes / int64(max(1, c.Tasks))
	slots := min(each, 1<<31-1) / kafkaKeyBytes
	return max(1, min(slots*c.LoadMillionths/millionths, each/keyBytes))
}

const millionths = 1_000_000

// cleaner is what a Store knows of cleaning.
//
// Invariants: running is the count of logs with a clean, no more than cfg.Tasks when one is begun.
type cleaner struct {
	cfg     CleanerConfig
	at      core.Time // the next look for a log that is dirty enough
	running int
	free    core.Time  // by the throttle nothing is read before
	ran     core.Time  // the last look; Boot counts as one
	dirtest int64      // the greatest dirty share then, in millionths
	delay   core.Time  // the greatest time by which a log was late then, by max.compaction.lag.ms
	last    CleanStats // of the clean that ended last
	bytes   int64      // read and written
}

// SetCleaner gives the cleaner its configuration. Cleans under way keep the maps that they have.
func (s *Store) SetCleaner(now core.Now, cfg CleanerConfig) {
	if s.cleaner.cfg != cfg {
		s.cleaner.cfg, s.cleaner.at = cfg, now.Mono
	}
}

// throttle says when the next range may be read.
func (s *Store) throttle(now core.Now) core.Time { return max(now.Mono, s.cleaner.free) }

// spend counts bytes against the throttle.
func (s *Store) spend(now core.Now, n int64) {
	s.cleaner.bytes += n
	rate := max(1, s.cleaner.cfg.BytesPerSecond)
	if n > 0 && rate < 1<<50 {
		hi, lo := bits.Mul64(uint64(n), uint64(core.Second))
		wait := uint64(core.Hour) // no range is so large
		if hi < uint64(rate) {
			wait, _ = bits.Div64(hi, lo, uint64(rate))
		}
		s.cleaner.free = max(s.cleaner.free, now.Mono).After(core.Time(min(wait, uint64(core.Hour))))
	}
}

// dirt is what a look at a log says: its dirty part, and its size in bytes.
type dirt struct {
	from, upTo   core.Offset
	clean, dirty int64
	late         core.Time // by so much max.compaction.lag.ms is over
}

// share is the dirty part of what may be clean, in millionths.
func (d *dirt) share() int64 {
	if d.clean+d.dirty == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(d.dirty), millionths)
	q, _ := bits.Div64(hi, lo, uint64(d.clean+d.dirty))
	return int64(q)
}

// cleanable reports whether a log is one for the cleaner.
func (l *Log) cleanable() bool {
	return l.state == online && l.known && l.cfg.Compact && l.cut == nil && l.clean == nil && l.move == moveNone && l.uncleanable == "" && l.gapsSaved && l.p.Topic != metadataTopic
}

// dirt looks at a log. Only whole segments are cleaned: none with an offset that is not committed and decided, that a crash may
// take back, or that is too young by min.compaction.lag.ms; never the active one.
func (l *Log) dirt(now core.Now) (d dirt) {
	d.from = l.cleanPoint
	if d.from < l.start || d.from > l.end {
		d.from = l.start
	}
	bound := min(l.high, l.LastStable(), l.saved[pointRecovery])
	i, last := l.at(d.from), len(l.segs)-1
	for _, g := range l.segs[:i] {
		d.clean += g.size
	}
	if i < last && l.segs[i].base < d.from { // what a full map has left of it
		d.clean += l.segs[i].size
	}
	d.upTo = l.segs[i].base
	oldest := int64(-1)
	for _, g := range l.segs[i:last] {
		young := l.cfg.MinCompactionLag > 0 && g.newest() > now.Wall-l.cfg.MinCompactionLag
		if g.end > bound || g.seals > 0 || !g.entry || young {
			break
		}
		d.dirty += g.size
		d.upTo = g.end
	}
	for _, g := range l.segs[i:last] {
		if g.firstTime > 0 && (oldest < 0 || g.firstTime < oldest) {
			oldest = g.firstTime
		}
	}
	d.upTo = max(d.upTo, d.from)
	if lag := max(0, l.cfg.MaxCompactionLag); oldest >= 0 && lag < core.Never && core.Millis(oldest) < now.Wall-lag {
		d.late = now.Wall - lag - core.Millis(oldest)
	}
	return d
}

// clean looks for the dirtiest log that is dirty enough, or late, and begins to clean it.
func (s *Store) clean(now core.Now, out *core.Out) {
	k := &s.cleaner
	k.at = core.Never
	if s.stop.on || !s.boot.done || k.cfg.Off {
		return
	}
	for k.running < max(1, k.cfg.Tasks) {
		k.at = core.Never
		var best *Log
		var bestDirt dirt
		k.ran, k.dirtest, k.delay = now.Mono, 0, 0
		for _, id := range s.order {
			l := s.logs[id]
			if l.cfg.Compact && l.state != offline {
				k.at = now.Mono.After(k.cfg.Backoff)
			}
			if !l.cleanable() || s.isCopied(l) {
				continue
			}
			s.lookAtFirst(l, out)
			d := l.dirt(now)
			if d.clean+d.dirty == 0 {
				continue
			}
			k.dirtest, k.delay = max(k.dirtest, d.share()), max(k.delay, d.late)
			if (d.share() > l.cfg.MinDirtyShare || d.late > 0 && d.dirty > 0) && d.upTo > d.from && (best == nil || d.share() > bestDirt.share()) {
				best, bestDirt = l, d
			}
		}
		if best == nil {
			return
		}
		s.startClean(now, best, bestDirt, out)
	}
}

// lookAtFirst reads the header of the first batch of a dirty segment that was not read in this life: max.compaction.lag.ms counts
// from its timestamp.
func (s *Store) lookAtFirst(l *Log, out *core.Out) {
	if l.cfg.MaxCompactionLag == core.Never || l.firsts > 0 {
		return
	}
	for _, g := range l.segs[l.at(max(l.cleanPoint, l.start)) : len(l.segs)-1] {
		if g.firstTime < 0 && !g.firstRead && g.size > 0 {
			l.firsts++
			out.Read(s.start(l, op{kind: opFirst, n: int64(g.base)}), g.file, 0, batch.HeaderBytes)
			return
		}
	}
}

// firstHeader takes the header of a segment's first batch.
func (s *Store) firstHeader(now core.Now, l *Log, base core.Offset, ev *core.Event) {
	l.firsts--
	if g := l.find(base); g != nil {
		g.firstRead = true
		if v, ok := batch.ParseHeader(ev.Data); ok {
			g.firstTime = v.MaxTimestamp()
			s.cleaner.at = min(s.cleaner.at, now.Mono)
		}
	}
}

// CleanerState is what an operator may want to know of the cleaner.
type CleanerState struct {
	Running       int
	SinceRun      core.Time // since the last look for a dirty log
	DirtiestShare int64     // in millionths, at the last look
	Delay         core.Time // the greatest, at the last look
	Last          CleanStats
	Bytes         int64 // read and written, in this life
}

// Cleaner describes the cleaner.
func (s *Store) Cleaner(now core.Now) CleanerState {
	k := &s.cleaner
	return CleanerState{Running: k.running, SinceRun: now.Mono - k.ran, DirtiestShare: k.dirtest, Delay: k.delay, Last: k.last, Bytes: k.bytes}
}

// UncleanableIn counts the logs in the directory at a place that are not cleaned any more, and the bytes of their dirty parts.
func (s *Store) UncleanableIn(now core.Now, at int) (logs int, bytes int64) {
	for _, id := range s.order {
		if l := s.logs[id]; l.place == at && l.uncleanable != "" && len(l.segs) > 0 {
			d := l.dirt(now)
			logs, bytes = logs+1, bytes+d.dirty
		}
	}
	return logs, bytes
}

// Uncleanable says why the log is not cleaned any more; empty if it is.
func (l *Log) Uncleanable() string { return l.uncleanable }

// CleanPoint is the offset below which the log is clean.
func (l *Log) CleanPoint() core.Offset { return l.cleanPoint }

// MayBeCleaned reports whether the log may have been cleaned, in this life or in one before.
func (l *Log) MayBeCleaned() bool { return l.gapsSaved }
