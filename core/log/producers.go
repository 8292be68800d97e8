package log

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"klamm/core"
	"klamm/core/batch"
)

// producer is what a log knows of one idempotent producer: enough to tell the next batch from a repeat and from one
// that leaves a gap (KIP-98).
//
// Invariants: kept is the newest n batches of epoch, oldest first; their sequences follow one another.
type producer struct {
	id          int64
	epoch       int16
	coordinator int32 // epoch of the transaction coordinator of the last marker, or -1
	lastTime    int64 // of the last batch or marker
	txnStart    core.Offset
	n           int
	kept        [batchesKept]keptBatch
}

type keptBatch struct {
	first, last int32 // sequences
	end         core.Offset
	delta       int32 // last offset - first offset
	time        int64
}

// marker is what a control batch says of a transaction.
type marker struct {
	is          bool
	coordinator int32
}

// markerOf reads the marker of a whole control batch. Other control records are no business of producers.
func markerOf(v batch.View) marker {
	if !v.IsControl() || v.ProducerID() < 0 || len(v) <= batch.HeaderBytes {
		return marker{}
	}
	r, is := batch.Read(v, controlMax)
	var rec batch.Record
	if is != batch.Good || !r.Next(&rec) {
		return marker{}
	}
	if t, ok := batch.ParseControlKey(rec.Key); !ok || t != batch.Abort && t != batch.Commit {
		return marker{}
	}
	epoch, ok := batch.ParseMarker(rec.Value)
	return marker{is: ok, coordinator: int32(epoch)}
}

const controlMax = 1 << 20 // of a control batch, decompressed

func (l *Log) producer(id int64) (int, bool) {
	return slices.BinarySearchFunc(l.producers, id, func(p *producer, id int64) int {
		switch {
		case p.id < id:
			return -1
		case p.id > id:
			return 1
		}
		return 0
	})
}

// CheckProducer says whether a batch of an idempotent producer is the next, a repeat, or neither.
func (s *Store) CheckProducer(id LogID, v batch.View) ProducerVerdict {
	l := s.Log(id)
	if v.ProducerID() < 0 {
		return ProducerVerdict{State: NewBatch}
	}
	i, known := l.producer(v.ProducerID())
	if !known {
		return ProducerVerdict{State: NewBatch}
	}
	p := l.producers[i]
	switch {
	case v.ProducerEpoch() < p.epoch:
		return ProducerVerdict{State: InvalidEpoch}
	case v.ProducerEpoch() > p.epoch:
		if v.BaseSequence() != 0 {
			return ProducerVerdict{State: OutOfOrder}
		}
		return ProducerVerdict{State: NewBatch}
	}
	for _, k := range p.kept[:p.n] {
		if k.first == v.BaseSequence() && k.last == v.LastSequence() {
			return ProducerVerdict{State: Duplicate, Base: k.end - 1 - core.Offset(k.delta), Last: k.end - 1, MaxTimestamp: k.time}
		}
	}
	if v.BaseSequence() != batch.AddSequence(p.last(), 1) {
		return ProducerVerdict{State: OutOfOrder}
	}
	return ProducerVerdict{State: NewBatch}
}

// last is the producer's last sequence, or -1.
func (p *producer) last() int32 {
	if p.n == 0 {
		return -1
	}
	return p.kept[p.n-1].last
}

// produced folds one batch into the table of producers. Appends, recovery and replication all come here, so that
// every replica has the same table.
func (l *Log) produced(v batch.View, m marker) {
	if v.ProducerID() < 0 || v.IsControl() && !m.is {
		return
	}
	p := l.entryOf(v.ProducerID())
	if v.ProducerEpoch() != p.epoch {
		p.epoch, p.n = v.ProducerEpoch(), 0
	}
	p.lastTime = v.MaxTimestamp()
	if m.is {
		p.coordinator, p.txnStart = m.coordinator, -1
		return
	}
	if p.n == batchesKept {
		copy(p.kept[:], p.kept[1:])
		p.n--
	}
	p.kept[p.n] = keptBatch{first: v.BaseSequence(), last: v.LastSequence(), end: v.LastOffset() + 1, delta: v.LastDelta(), time: v.MaxTimestamp()}
	p.n++
	if v.IsTransactional() && p.txnStart < 0 {
		p.txnStart = v.BaseOffset()
	}
}

// entryOf returns a producer's entry, made if there is none. New ids are mostly the greatest, so this is cheap.
func (l *Log) entryOf(id int64) *producer {
	i, ok := l.producer(id)
	if !ok {
		if len(l.producers) >= producersMax {
			l.evict()
			i, _ = l.producer(id)
		}
		l.producers = slices.Insert(l.producers, i, &producer{id: id, epoch: -1, coordinator: -1, txnStart: -1, lastTime: -1})
	}
	return l.producers[i]
}

// evict forgets the producer that has been idle longest and has no transaction open.
func (l *Log) evict() {
	worst := -1
	for i, p := range l.producers {
		if p.txnStart < 0 && (worst < 0 || p.lastTime < l.producers[worst].lastTime) {
			worst = i
		}
	}
	if worst >= 0 {
		l.producers = slices.Delete(l.producers, worst, worst+1)
	}
}

// expire forgets producers whose last batch or marker is too old. Removing records never forgets one: its next
// sequence still counts.
func (l *Log) expire(now core.Now) {
	l.producers = slices.DeleteFunc(l.producers, func(p *producer) bool {
		return p.txnStart < 0 && core.Millis(p.lastTime).After(l.cfg.ProducerExpiry) <= now.Wall
	})
}

// Producers describes the producers, sorted by id.
func (l *Log) Producers() []ProducerInfo {
	infos := make([]ProducerInfo, len(l.producers))
	for i, p := range l.producers {
		infos[i] = ProducerInfo{ID: p.id, Epoch: p.epoch, LastSequence: p.last(), LastTimestamp: p.lastTime, CoordinatorEpoch: p.coordinator, TxnStart: p.txnStart}
	}
	return infos
}

// Producer snapshots, version 1: version, CRC-32C of what follows, the count, and a row per producer.
const (
	snapshotHead = 10
	snapshotRow  = 46
)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func formatSnapshot(ps []*producer) []byte {
	b := make([]byte, 6, snapshotHead+snapshotRow*len(ps))
	b[1] = 1
	b = binary.BigEndian.AppendUint32(b, uint32(len(ps)))
	for _, p := range ps {
		last := keptBatch{last: -1, end: 0, delta: 0}
		if p.n > 0 {
			last = p.kept[p.n-1]
		}
		b = binary.BigEndian.AppendUint64(b, uint64(p.id))
		b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
		b = binary.BigEndian.AppendUint32(b, uint32(last.last))
		b = binary.BigEndian.AppendUint64(b, uint64(last.end-1))
		b = binary.BigEndian.AppendUint32(b, uint32(last.delta))
		b = binary.BigEndian.AppendUint64(b, uint64(p.lastTime))
		b = binary.BigEndian.AppendUint32(b, uint32(p.coordinator))
		b = binary.BigEndian.AppendUint64(b, uint64(p.txnStart))
	}
	binary.BigEndian.PutUint32(b[2:], castagnoli(b[6:]))
	return b
}

// parseSnapshot reads a snapshot; false if it is torn, damaged or of another version.
func parseSnapshot(b []byte) ([]*producer, bool) {
	if len(b) < snapshotHead || b[0] != 0 || b[1] != 1 || binary.BigEndian.Uint32(b[2:]) != castagnoli(b[6:]) {
		return nil, false
	}
	n := int64(int32(binary.BigEndian.Uint32(b[6:])))
	if b = b[snapshotHead:]; n < 0 || int64(len(b)) != n*snapshotRow {
		return nil, false
	}
	ps := make([]*producer, 0, n)
	for ; len(b) > 0; b = b[snapshotRow:] {
		p := &producer{
			id: int64(binary.BigEndian.Uint64(b)), epoch: int16(binary.BigEndian.Uint16(b[8:])),
			lastTime: int64(binary.BigEndian.Uint64(b[26:])), coordinator: int32(binary.BigEndian.Uint32(b[34:])),
			txnStart: core.Offset(binary.BigEndian.Uint64(b[38:])),
		}
		k := keptBatch{last: int32(binary.BigEndian.Uint32(b[10:])), end: core.Offset(binary.BigEndian.Uint64(b[14:])) + 1,
			delta: int32(binary.BigEndian.Uint32(b[22:])), time: p.lastTime}
		if k.end > 0 && k.last >= 0 && k.delta >= 0 {
			if k.first = k.last - k.delta; k.first < 0 {
				k.first += 1<<31 - 1
				k.first++
			}
			p.kept[0], p.n = k, 1
		}
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b *producer) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	for i := 1; i < len(ps); i++ {
		if ps[i].id == ps[i-1].id {
			return nil, false
		}
	}
	return ps, true
}

// saveProducers writes the snapshot of the table below offset at, as part of the seal of the segment with this base.
func (s *Store) saveProducers(l *Log, at, base core.Offset, out *core.Out) {
	s.put(put{what: putSeal, replace: true, log: l.id, n: base, dir: l.dir, path: segmentPath(l.dir, at, ".snapshot")}, formatSnapshot(l.producers), out)
}
