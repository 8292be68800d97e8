package log

import (
	"encoding/binary"
	"math"

	"klamm/core"
	"klamm/core/batch"
)

// Walk describes a segment file from its first byte on, for tools: what recovery would believe and where it would
// stop. It is fed with bytes and keeps none.
type Walk struct {
	Base         core.Offset // of the segment
	Pos          int64       // of the next batch
	End          core.Offset // offset after the last batch
	Batches      int64
	Records      int64
	MaxTimestamp int64
	Fault        string // why the walk ended before the end of the bytes; empty if it did not
}

// NewWalk begins the walk of a segment.
func NewWalk(base core.Offset) Walk { return Walk{Base: base, End: base, MaxTimestamp: -1} }

// Next returns the next batch; b holds the file's bytes from Pos on, to its end. It returns false at the end, or at
// the first fault.
func (w *Walk) Next(b []byte) (batch.View, bool) {
	if len(b) == 0 || w.Fault != "" {
		return nil, false
	}
	v, _, is := batch.First(b)
	switch {
	case is == batch.NoBatch:
		w.Fault = "a cut batch"
	case is != batch.Good:
		w.Fault = is.String()
	case !v.CheckCRC():
		w.Fault = "wrong checksum"
	case v.LastDelta() < 0 || v.BaseOffset() < w.End || v.LastOffset() < v.BaseOffset() || v.LastOffset()-w.Base > math.MaxInt32:
		w.Fault = "offsets that do not follow"
	}
	if w.Fault != "" {
		return nil, false
	}
	w.Pos += int64(v.Size())
	w.End = v.LastOffset() + 1
	w.Batches++
	w.Records += int64(v.Count())
	w.MaxTimestamp = max(w.MaxTimestamp, v.MaxTimestamp())
	return v, true
}

// IndexRow is an entry of an .index or .timeindex.
type IndexRow struct {
	Offset    core.Offset
	Pos       int64 // .index
	Timestamp int64 // .timeindex
}

// ParseIndex reads an .index; false if its entries are not in order.
func ParseIndex(base core.Offset, b []byte) (rows []IndexRow, sound bool) {
	for i := 0; i+indexEntry <= len(b); i += indexEntry {
		rows = append(rows, IndexRow{Offset: base + core.Offset(int32(binary.BigEndian.Uint32(b[i:]))), Pos: int64(int32(binary.BigEndian.Uint32(b[i+4:])))})
	}
	return rows, soundIndex(b, 1<<31)
}

// ParseTimeIndex reads a .timeindex; false if its entries are not in order.
func ParseTimeIndex(base core.Offset, b []byte) (rows []IndexRow, sound bool) {
	for i := 0; i+timeEntry <= len(b); i += timeEntry {
		rows = append(rows, IndexRow{Timestamp: int64(binary.BigEndian.Uint64(b[i:])), Offset: base + core.Offset(int32(binary.BigEndian.Uint32(b[i+8:])))})
	}
	return rows, soundTimes(b)
}

// ParseSnapshot reads a producer .snapshot; false if it is damaged.
func ParseSnapshot(b []byte) ([]ProducerInfo, bool) {
	ps, ok := parseSnapshot(b)
	return (&Log{producers: ps}).Producers(), ok
}

// CheckpointRow is one row of a checkpoint file of a log directory.
type CheckpointRow struct {
	Partition Partition
	Offset    core.Offset
}

// ParseCheckpoint reads a checkpoint file of a log directory, sorted by partition; false if it is damaged.
func ParseCheckpoint(b []byte) ([]CheckpointRow, bool) {
	rows, ok := parseCheckpoint(b)
	infos := make([]CheckpointRow, len(rows))
	for i, r := range rows {
		infos[i] = CheckpointRow{r.p, r.offset}
	}
	return infos, ok
}

// EpochRow says where a leader epoch begins.
type EpochRow struct {
	Epoch core.Epoch
	Start core.Offset
}

// ParseEpochs reads a leader-epoch-checkpoint; false if it is damaged.
func ParseEpochs(b []byte) ([]EpochRow, bool) {
	entries, ok := parseEpochs(b)
	rows := make([]EpochRow, len(entries))
	for i, e := range entries {
		rows[i] = EpochRow{e.epoch, e.start}
	}
	return rows, ok
}
