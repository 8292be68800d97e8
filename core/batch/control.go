package batch

import (
	"encoding/binary"

	"klamm/core"
)

// ControlType says what a control record is about.
type ControlType int16

// The control records.
const (
	Abort ControlType = iota
	Commit
	LeaderChange
	SnapshotHeader
	SnapshotFooter
	KRaftVersion
	KRaftVoters
)

// ControlKey is the key of a control record.
func ControlKey(t ControlType) []byte { return []byte{0, 0, byte(t >> 8), byte(t)} }

// ParseControlKey reads a key of a control record. Later versions may append fields.
func ParseControlKey(key []byte) (t ControlType, ok bool) {
	if len(key) < 4 || int16(binary.BigEndian.Uint16(key)) < 0 {
		return 0, false
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), true
}

// Marker builds the batch that ends a transaction in one partition.
func Marker(base core.Offset, o Options, t ControlType, coordinator core.Epoch, ts int64) View {
	o.Control, o.Transactional, o.Codec = true, true, None
	b := NewBuilder(o)
	b.Add(ts, ControlKey(t), binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(coordinator)), nil)
	return b.Finish(base)
}

// ParseMarker reads the value of a marker.
func ParseMarker(value []byte) (coordinator core.Epoch, ok bool) {
	if len(value) < 6 || int16(binary.BigEndian.Uint16(value)) < 0 {
		return 0, false
	}
	return core.Epoch(binary.BigEndian.Uint32(value[2:])), true
}
