package sim

import (
	"encoding/binary"

	"klamm/checker"
	"klamm/core"
	"klamm/core/log"
	"klamm/core/quorum"
)

// This file reads the batches of the copies that the judges follow.

// loadCopy reads all batches of a log.
func (r *run) loadCopy(at int, n *Node, l *log.Log, x *copySeen) {
	first, ok := l.SegmentAbove(-1)
	if !ok {
		return
	}
	x.segment, x.file, x.pos, x.next = first, l.FileOf(first), 0, first
	if x.c.at == quorum.Partition {
		r.cluster.voting.anew(at)
	}
	var marks []checker.Mark
	var torn []int64
	for {
		m, ok := x.read(n, l)
		if !ok {
			break
		}
		marks = append(marks, m)
		if x.torn && r.victim(at) { // a repair is half done: a life that has just begun does not know
			torn = append(torn, m.Base)
		}
		if x.c.at == quorum.Partition {
			r.lookBatch(at, n, x, m, &x.last)
		}
	}
	x.c.Loaded(nodeID(at), int(n.Life), int64(l.Start()), int64(l.End()), marks, torn...)
}

// readOn tells the judge of the batches that were written since the last look.
func (r *run) readOn(at int, n *Node, l *log.Log, x *copySeen) {
	for x.next < l.Written() {
		m, ok := x.read(n, l)
		if !ok {
			return
		}
		x.c.Extended(nodeID(at), m)
		if x.c.at == quorum.Partition {
			r.lookBatch(at, n, x, m, &x.last)
		}
	}
}

const batchHead = 61 // bytes of a batch before its records

// read reads the head of the next batch.
func (x *copySeen) read(n *Node, l *log.Log) (m checker.Mark, ok bool) {
	var b [batchHead]byte
	x.torn = false
	for x.next < l.Written() {
		if n.Disk.Peek(x.dir+segmentName(x.segment), x.pos, b[:]) == batchHead && b[16] == 2 {
			m = checker.Mark{Base: int64(binary.BigEndian.Uint64(b[:])), Epoch: int32(binary.BigEndian.Uint32(b[12:])), Sum: binary.BigEndian.Uint32(b[17:])}
			m.Last = m.Base + int64(int32(binary.BigEndian.Uint32(b[23:])))
			if m.Last >= int64(l.Written()) {
				return m, false
			}
			x.was = x.pos
			x.pos += int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
			x.next = core.Offset(m.Last + 1)
			return m, true
		}
		above, more := l.SegmentAbove(x.segment)
		if !more {
			return m, false
		}
		x.torn = x.torn || n.Disk.Peek(x.dir+segmentName(x.segment), x.pos, b[:1]) > 0
		x.segment, x.file, x.pos = above, l.FileOf(above), 0
	}
	return m, false
}

func segmentName(base core.Offset) string {
	var b [24]byte
	copy(b[20:], ".log")
	for i := 19; i >= 0; i-- {
		b[i] = byte('0' + base%10)
		base /= 10
	}
	return string(b[:])
}
