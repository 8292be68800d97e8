package sim

import (
	"klamm/checker"
	"klamm/core"
)

// Keyed says which key a record of a compacted topic has, and whether it is a tombstone.
func (o *Oracle) Keyed(id uint64, key int32, tombstone bool) {
	r := &o.senders[id>>32].sent[uint32(id)]
	r.key, r.tombstone = key+1, tombstone
}

// Compacted says that records of a partition may be removed by the cleaner.
func (o *Oracle) Compacted(at core.TopicPartition) {
	if i, ok := o.index[at]; ok {
		o.logs[i].compacted = true
	}
}

// compactedLog is what is known of a partition at the end; false if nothing of it is certain.
func (o *Oracle) compactedLog(at core.TopicPartition) (l checker.CompactedLog, known bool) {
	i, ok := o.index[at]
	if !ok || o.Rewritable || o.logs[i].damaged {
		return l, false
	}
	x := &o.logs[i]
	l = checker.CompactedLog{Partition: checker.Partition{TopicID: at.Topic, Number: at.Partition}, Start: x.start, Passes: x.passes, Begun: int64(x.begun)}
	for off, id := range x.ids {
		if id == 0 {
			continue
		}
		s := &o.senders[(id-1)>>32]
		r := &s.sent[uint32(id-1)]
		if r.fate == did && s.acks != 0 || r.seen {
			l.Records = append(l.Records, r.keyed(int64(off), id-1))
		}
		if x.read[off]>>auditBit == 1 {
			l.Final = append(l.Final, checker.Record{Offset: int64(off), Value: checker.Value(id)})
		}
	}
	for n := range o.senders {
		s := &o.senders[n]
		for seq := range s.sent {
			r := &s.sent[seq]
			if s.topic[seq] == at.Topic && (r.log < 0 || r.log == int32(i)) && r.offset < 0 && r.fate != didNot {
				l.Unplaced = append(l.Unplaced, r.keyed(-1, uint64(n)<<32|uint64(seq)))
			}
		}
	}
	return l, true
}

func (r *sent) keyed(offset int64, id uint64) checker.KeyedRecord {
	return checker.KeyedRecord{Offset: offset, Value: checker.Value(id) + 1, Key: r.key, Tombstone: r.tombstone, Sent: int64(r.invoke)}
}
