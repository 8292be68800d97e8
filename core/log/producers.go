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

// CheckProducer says whether a batch of an idempotent producer is the next, a repeat, or neither. guard is what Verify
// gave for a transactional batch whose transaction the log did not know, once the coordinator has confirmed it.
//
// The order of the checks is Apache Kafka's: a repeat is a repeat whatever has come of its transaction since.
func (s *Store) CheckProducer(id LogID, v batch.View, guard Guard) ProducerVerdict {
	l := s.Log(id)
	if v.ProducerID() < 0 {
		return ProducerVerdict{State: NewBatch}
	}
	var p *producer
	if i, known := l.producer(v.ProducerID()); known {
		p = l.producers[i]
		if is, repeat := p.repeat(v); repeat {
			return is
		}
		if v.ProducerEpoch() < p.epoch {
			return ProducerVerdict{State: InvalidEpoch}
		}
	}
	if v.IsTransactional() {
		if is := l.checkGuard(p, v, guard); is != NewBatch {
			return ProducerVerdict{State: is}
		}
	}
	switch {
	case p == nil:
		return ProducerVerdict{State: NewBatch}
	case v.ProducerEpoch() > p.epoch && v.BaseSequence() != 0:
		return ProducerVerdict{State: OutOfOrder}
	case v.ProducerEpoch() == p.epoch && v.BaseSequence() != batch.AddSequence(p.last(), 1):
		return ProducerVerdict{State: OutOfOrder}
	case p.txnStart >= 0 && !v.IsTransactional():
		return ProducerVerdict{State: InvalidTxn}
	}
	return ProducerVerdict{State: NewBatch}
}

// CheckCoordinator is CheckProducer for a transactional batch of a coordinator of groups: its sequences count for nothing.
func (s *Store) CheckCoordinator(id LogID, v batch.View, guard Guard) ProducerState {
	l := s.Log(id)
	i, known := l.producer(v.ProducerID())
	if known && v.ProducerEpoch() < l.producers[i].epoch {
		return InvalidEpoch
	}
	if known && l.producers[i].epoch == v.ProducerEpoch() && l.producers[i].txnStart >= 0 {
		return NewBatch
	}
	if j, found := l.guard(v.ProducerID()); l.cfg.VerifyTransactions && (!found || l.guards[j].number != guard) {
		return InvalidTxn
	}
	return NewBatch
}

// repeat reports that a batch is in the log already, and where.
func (p *producer) repeat(v batch.View) (is ProducerVerdict, repeat bool) {
	if v.ProducerEpoch() != p.epoch {
		return is, false
	}
	for _, k := range p.kept[:p.n] {
		if k.first == v.BaseSequence() && k.last == v.LastSequence() {
			return ProducerVerdict{State: Duplicate, Base: k.end - 1 - core.Offset(k.delta), Last: k.end - 1, MaxTimestamp: k.time}, true
		}
	}
	return is, false
}

// checkGuard checks a transactional batch: it belongs to the open transaction, or to one that was verified. p is nil
// for a producer that is not known.
func (l *Log) checkGuard(p *producer, v batch.View, guard Guard) ProducerState {
	if p != nil && p.epoch == v.ProducerEpoch() && p.txnStart >= 0 {
		return NewBatch
	}
	i, found := l.guard(v.ProducerID())
	if l.cfg.VerifyTransactions && (!found || l.guards[i].number != guard) {
		return InvalidTxn
	}
	if found && (v.BaseSequence() > l.guards[i].lowest || l.guards[i].bumps && v.BaseSequence() != 0 && (p == nil || p.n == 0)) {
		return OutOfOrder
	}
	return NewBatch
}

// last is the producer's last sequence, or -1.
func (p *producer) last() int32 {
	if p.n == 0 {
		return -1
	}
	return p.kept[p.n-1].last
}

// produced folds one batch into the table of producers and their transactions. Appends, recovery and replication all
// come here, so that every replica has the same table. An aborted transaction is returned, for the index of the
// batch's segment.
func (l *Log) produced(v batch.View, m marker) (a AbortedTxn, aborted bool) {
	if v.ProducerID() < 0 || v.IsControl() && !m.is {
		return a, false
	}
	p := l.entryOf(v.ProducerID())
	if v.ProducerEpoch() != p.epoch {
		p.epoch, p.n = v.ProducerEpoch(), 0
	}
	p.lastTime = v.MaxTimestamp()
	if v.IsTransactional() && len(l.guards) > 0 {
		l.unguard(v)
	}
	if m.is {
		p.coordinator = m.coordinator
		return l.endedAt(p, v.BaseOffset(), m)
	}
	if p.n == batchesKept {
		copy(p.kept[:], p.kept[1:])
		p.n--
	}
	p.kept[p.n] = keptBatch{first: v.BaseSequence(), last: v.LastSequence(), end: v.LastOffset() + 1, delta: v.LastDelta(), time: v.MaxTimestamp()}
	p.n++
	if v.IsTransactional() && p.txnStart < 0 {
		l.begun(p, v.BaseOffset())
	}
	return a, false
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
		if k.end > 0 && k.last >= -1 && k.delta >= 0 {
			switch k.first = k.last - k.delta; {
			case k.last < 0: // a coordinator's own batch, which has no sequence
				k.first = -1
			case k.first < 0:
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
	s.put(put{what: putSeal, replace: true, log: l.slot, n: base, dir: l.dir, path: segmentPath(l.dir, at, ".snapshot")}, formatSnapshot(l.producers), out)
}
