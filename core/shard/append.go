package shard

import (
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"
)

// State of an answer that waits for its records.
type State uint8

// What may have come of an end that Append returned.
const (
	Pending   State = iota
	Committed       // every in-sync replica holds it
	Lost            // it may or may not survive: the shard is not what it was
)

// batchBytesOver is what a batch needs beside its records' keys and values, at most, per record and once.
const (
	recordBytesOver = 32
	batchBytesOver  = batch.HeaderBytes
)

// Encode makes one batch of records, ready for the log. bytesMax is the log's max.message.bytes.
func (s *Shard) Encode(now core.Now, codec batch.Codec, records []Record, bytesMax int32) ([]byte, wire.Code) {
	return s.encode(now, batch.Options{Codec: codec}, records, bytesMax)
}

// EncodeTxn is Encode for records of a producer's transaction. Coordinators do not count: each batch begins at sequence 0.
func (s *Shard) EncodeTxn(now core.Now, producer int64, epoch int16, records []Record, bytesMax int32) ([]byte, wire.Code) {
	return s.encode(now, batch.Options{Transactional: true, Producer: &batch.Producer{ID: producer, Epoch: epoch}}, records, bytesMax)
}

func (s *Shard) encode(now core.Now, o batch.Options, records []Record, bytesMax int32) ([]byte, wire.Code) {
	if s.phase != Active {
		return nil, wire.NotCoordinator
	}
	core.Must(len(records) > 0, "a batch has records")
	size := batchBytesOver
	for i := range records {
		size += len(records[i].Key) + len(records[i].Value) + recordBytesOver
	}
	if size > RecordBytesMax {
		return nil, wire.RecordListTooLarge
	}
	o.LeaderEpoch = s.epoch
	b := batch.NewBuilder(o)
	at := now.Wall.Millis()
	for i := range records {
		b.Add(at, records[i].Key, records[i].Value, nil)
	}
	v := b.Finish(0)
	if len(v) > int(bytesMax) {
		return nil, wire.MessageTooLarge
	}
	return v, wire.None
}

// Outcome is what came of an end that was returned at epoch.
func (s *Shard) Outcome(store *log.Store, epoch core.Epoch, end core.Offset) State {
	switch {
	case s.phase != Active || s.epoch != epoch:
		return Lost
	case store.Log(s.id).High() >= end:
		return Committed
	}
	return Pending
}
