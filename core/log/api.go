package log

import (
	"klamm/core"
)

// Partition names a log.
type Partition = core.TopicPartition

// LogID is the index of a log within its Store, never reused within a life of the machine.
type LogID int32

// NoLog is no log.
const NoLog LogID = -1

// Ticket names a read or seek under way. Zero is none.
type Ticket uint64

// Durability says when a replica's copy counts as safe.
type Durability uint8

// The durabilities.
const (
	Synced     Durability = iota // when it has been synced
	Replicated                   // when it is in memory, as in Apache Kafka
)

// Config holds the effective values of one log. Times that Kafka calls unlimited (-1) are core.Never, bytes too: -1.
type Config struct {
	SegmentBytes       int64
	SegmentTime        core.Time
	SegmentJitter      core.Time
	IndexBytesMax      int64
	IndexInterval      int64
	RetentionBytes     int64     // -1: no limit
	RetentionTime      core.Time // core.Never or negative: no limit
	MaxMessageBytes    int32
	Delete             bool // cleanup.policy has delete
	Compact            bool // cleanup.policy has compact
	FlushMessages      int64
	FlushTime          core.Time
	DeleteDelay        core.Time
	AppendTime         bool
	TimestampBeforeMax core.Time
	TimestampAfterMax  core.Time
	Preallocate        bool
	ProducerExpiry     core.Time
	Durability         Durability
	VerifyTransactions bool      // the first batch of a transaction needs a Guard
	MinDirtyShare      int64     // min.cleanable.dirty.ratio, in millionths
	MinCompactionLag   core.Time // no younger record is cleaned
	MaxCompactionLag   core.Time // an older record is not left uncleaned; Never: no limit
	DeleteRetention    core.Time // tombstones and markers stay so long after they became clean
}

// DefaultConfig returns Kafka's defaults, with durability Synced.
func DefaultConfig() Config {
	const hour = core.Hour
	return Config{
		SegmentBytes: 1 << 30, SegmentTime: 168 * hour, IndexBytesMax: 10 << 20, IndexInterval: 4096,
		RetentionBytes: -1, RetentionTime: 168 * hour, MaxMessageBytes: 1048588, Delete: true,
		FlushMessages: 1<<63 - 1, FlushTime: core.Never, DeleteDelay: core.Minute,
		TimestampBeforeMax: core.Never, TimestampAfterMax: hour, ProducerExpiry: 24 * hour,
		MinDirtyShare: millionths / 2, MaxCompactionLag: core.Never, DeleteRetention: 24 * hour,
	}
}

// StoreConfig configures a Store.
type StoreConfig struct {
	Dirs            []string    // the log directories; they exist. The first is that of the metadata log
	Table           uint8       // of the Store's Ops
	FileBase        core.FileID // its files are numbered from here
	Durability      Durability  // of logs whose configuration is not known yet; internal topics are always Synced
	CheckpointTime  core.Time   // a checkpoint lags at most so long,
	CheckpointBytes int64       // and at most so much
	RetentionCheck  core.Time
	ScrubRate       int64     // bytes a second that the scrub reads; 0: there is none
	ScrubInterval   core.Time // from the beginning of one pass to that of the next, at least
	LoadsAtOnce     int
	Generator       [32]byte // key of the generator for names of deleted directories
	Sizes           Sizes
	Cleaner         CleanerConfig
}

// Sizes are bounds of single steps and of what is kept in memory. Nothing that anyone sees depends on them but speed; yet a
// path that only a large one reaches is rare with the defaults, so a simulator chooses small ones.
type Sizes struct {
	ScanBytes     int64 // of one step of a recovery; more only for a batch that is larger
	ScanRows      int64 // batches described by one step of a recovery
	RewriteBytes  int64 // of one step of rewriting doubtful bytes
	SeekBytes     int64 // of one step of a seek; more only for a batch that is larger
	TimeScanBytes int64 // of one step of a search by timestamp; likewise
	Borders       int   // newest batch borders kept per log
}

// DefaultSizes returns the sizes for real disks.
func DefaultSizes() Sizes {
	return Sizes{
		ScanBytes: 1 << 20, ScanRows: 8192, RewriteBytes: 1 << 20, SeekBytes: 64 << 10, TimeScanBytes: 1 << 20,
		Borders: 512,
	}
}

// DefaultStoreConfig returns the defaults for log directories.
func DefaultStoreConfig(dirs ...string) StoreConfig {
	return StoreConfig{
		Dirs: dirs, Table: 2, FileBase: 1 << 40, CheckpointTime: 5 * core.Second, CheckpointBytes: 64 << 20,
		RetentionCheck: 5 * core.Minute, ScrubRate: 8 << 20, ScrubInterval: 24 * core.Hour, LoadsAtOnce: 16, Sizes: DefaultSizes(), Cleaner: DefaultCleanerConfig(),
	}
}

// What says what changed.
type What uint8

// The changes.
const (
	Loaded    What = iota // the log may be used
	Failed                // the log is offline; Note says why
	Written               // Log.Written rose
	Durable               // Log.Durable rose
	Start                 // Log.Start rose, durably
	Truncated             // a Truncate is durable; the log may be appended to again
	Gone                  // the log's directory is renamed for deletion, durably
	Sought                // Ticket: ask Locate again
	TimeFound             // Ticket, Offset, Timestamp, Epoch; Offset -1 if there is none
	Bytes                 // Ticket, Data: whole batches; Err if they can't be read
	Stopped               // the Store is stopped; Note is empty if the stop was clean
	Booted                // every log is loaded or offline
	Rotten                // the scrub has found something wrong in the segment whose base is Offset; Note says where. Nothing is done about it: see SuspectFrom
	Replaced              // a future log has taken the place of this one, and its id
	Unswapped             // nothing came of Replace
	Lost                  // of the directory Dir, which cannot be used any more, with all logs in it; Note says why
	whatCount
)

var whatNames = [whatCount]string{
	"loaded", "failed", "written", "durable", "start", "truncated", "gone", "sought", "time-found", "bytes", "stopped", "booted", "rotten", "replaced", "unswapped", "lost",
}

func (w What) String() string {
	if w < whatCount {
		return whatNames[w]
	}
	return "unknown"
}

// Change is one thing that happened to a log. Which fields count stands at its What.
type Change struct {
	ID        LogID
	What      What
	Err       core.Errno
	Epoch     core.Epoch
	Ticket    Ticket
	Offset    core.Offset
	Timestamp int64
	Data      []byte
	Note      string
	Dir       int // the place of a directory in StoreConfig.Dirs
}

// AppendError says why nothing was appended.
type AppendError uint8

// The reasons.
const (
	AppendOK          AppendError = iota
	LogOffline                    // offline, not loaded, or gone
	LogBusy                       // being cut, or the Store is stopping
	BatchTooLarge                 // above segment.bytes: RECORD_LIST_TOO_LARGE
	BadBatch                      // AppendExact: not a whole batch, or offsets or epochs that do not follow
	OldEpoch                      // Append: below the newest leader epoch of the log
	MarkerEpoch                   // AppendMarker: its producer has gone on: INVALID_PRODUCER_EPOCH
	CoordinatorFenced             // AppendMarker: a newer coordinator has written: TRANSACTION_COORDINATOR_FENCED
)

var appendErrors = [...]string{"ok", "log is offline", "log is busy", "batch above the segment size", "batch does not follow", "leader epoch is below that of the log",
	"the producer has gone on to another epoch", "a newer coordinator has written a marker"}

func (e AppendError) String() string {
	if int(e) < len(appendErrors) {
		return appendErrors[e]
	}
	return "unknown"
}

// ProducerState is what CheckProducer found.
type ProducerState uint8

// The findings.
const (
	NewBatch     ProducerState = iota // append it
	Duplicate                         // it is in the log: answer its old place once that is committed
	OutOfOrder                        // OUT_OF_ORDER_SEQUENCE_NUMBER
	InvalidEpoch                      // INVALID_PRODUCER_EPOCH
	InvalidTxn                        // INVALID_TXN_STATE: of no transaction that is known here, or of none while one is open
)

// ProducerVerdict is the answer of CheckProducer; the offsets count for a Duplicate.
type ProducerVerdict struct {
	State        ProducerState
	Base, Last   core.Offset
	MaxTimestamp int64
}

// Located says how Locate answered.
type Located uint8

// The answers.
const (
	Found      Located = iota
	Empty              // nothing between from and upTo that ends at or below upTo
	NeedSeek           // ask Seek and then again
	OutOfRange         // from is below the start or above the end
	Offline            // not online
)

// Slice is a range of a log's bytes that begins with a batch. It is to be used in the Step in which it was located.
type Slice struct {
	File  core.FileID
	Pos   int64
	Len   int64 // at least First
	First int64 // bytes of the first batch
	Exact bool  // the slice ends where a batch ends

	FirstEnd, End core.Offset // the first batch lies below FirstEnd, the slice below End
}

// SegmentInfo describes a segment.
type SegmentInfo struct {
	Base, End    core.Offset
	Bytes        int64
	MaxTimestamp int64
}

// ProducerInfo describes a producer, as DescribeProducers has it.
type ProducerInfo struct {
	ID               int64
	Epoch            int16
	LastSequence     int32
	LastTimestamp    int64
	CoordinatorEpoch int32
	TxnStart         core.Offset // of the open transaction, or -1
}
