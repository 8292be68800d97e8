package fetch

import (
	"encoding/binary"

	"klamm/core"
)

// Reply is the answer to a Fetch request, as data: record bytes are ranges of files, which the world sends
// without showing them to the machine.
type Reply struct {
	Code      int16
	SessionID int32
	Topics    []Topic
	Nodes     []Node // endpoints of leaders that are named, v16+
}

// Topic is the part of a reply that concerns one topic.
type Topic struct {
	Name       string
	ID         core.TopicID
	Partitions []Partition
}

// Partition is the part of a reply that concerns one partition.
type Partition struct {
	Partition    int32
	Code         int16
	High         core.Offset // -1 with an error
	LastStable   core.Offset // -1 with an error
	Start        core.Offset // -1 with an error
	Committed    bool        // read_committed: the list of aborted transactions is there, and not null
	Aborted      []Aborted
	Diverged     bool       // the client must truncate to
	DivergeEpoch core.Epoch // … the end of this epoch
	DivergeEnd   core.Offset
	TellLeader   bool // the client's idea of the leader is old
	Leader       core.NodeID
	LeaderEpoch  core.Epoch
	TellNear     bool        // another replica is nearer to the consumer (KIP-392), v11+
	Near         core.NodeID // … this one
	File         core.FileID // the records: a range of a file; none if Len is 0
	Pos, Len     int64
}

// Aborted names an aborted transaction that has records among those of the reply, or its marker.
type Aborted struct {
	Producer int64
	First    core.Offset
}

// Node is an endpoint of a broker.
type Node struct {
	ID      core.NodeID
	Host    string
	Port    int32
	Rack    string
	HasRack bool
}

// Piece is a part of an encoded reply: bytes, or a range of a file.
type Piece struct {
	Bytes    []byte
	File     core.FileID
	Pos, Len int64
}

// encoder appends a reply and notes where ranges go.
type encoder struct {
	b       []byte
	version int16
	cuts    []cut
}

// cut says that a range follows the first at bytes of b.
type cut struct {
	at       int
	file     core.FileID
	pos, len int64
}

// Encode lays out a reply of a version as a whole frame, from 4 to 18. The layout is that of the Kafka
// protocol, which a test holds against kmsg's; it is written by hand because the record bytes are not here.
func Encode(version int16, correlation int32, r *Reply) []Piece {
	size := 64
	for i := range r.Topics {
		size += 32 + len(r.Topics[i].Name) + 96*len(r.Topics[i].Partitions)
	}
	e := encoder{b: make([]byte, 4, size), version: version}
	e.i32(correlation)
	if e.flexible() {
		e.b = append(e.b, 0) // response header v1: no tags
	}
	e.i32(0) // throttle time
	if version >= 7 {
		e.i16(r.Code)
		e.i32(r.SessionID)
	}
	e.count(len(r.Topics))
	for i := range r.Topics {
		e.topic(&r.Topics[i])
	}
	if e.flexible() {
		e.nodes(r.Nodes)
	}
	return e.pieces()
}

func (e *encoder) flexible() bool { return e.version >= 12 }

func (e *encoder) i16(v int16) { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) i32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) i64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }

// count writes the length of an array or of bytes.
func (e *encoder) count(n int) {
	if e.flexible() {
		e.b = binary.AppendUvarint(e.b, uint64(n)+1)
		return
	}
	e.i32(int32(n))
}

func (e *encoder) text(s string) {
	if e.flexible() {
		e.b = append(binary.AppendUvarint(e.b, uint64(len(s))+1), s...)
		return
	}
	e.i16(int16(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) topic(t *Topic) {
	if e.version >= 13 {
		e.b = append(e.b, t.ID[:]...)
	} else {
		e.text(t.Name)
	}
	e.count(len(t.Partitions))
	for i := range t.Partitions {
		e.partition(&t.Partitions[i])
	}
	if e.flexible() {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) partition(p *Partition) {
	e.i32(p.Partition)
	e.i16(p.Code)
	e.i64(int64(p.High))
	e.i64(int64(p.LastStable))
	if e.version >= 5 {
		e.i64(int64(p.Start))
	}
	switch { // aborted transactions
	case p.Committed:
		e.count(len(p.Aborted))
		for _, a := range p.Aborted {
			e.i64(a.Producer)
			e.i64(int64(a.First))
			if e.flexible() {
				e.b = append(e.b, 0)
			}
		}
	case e.flexible():
		e.b = append(e.b, 0)
	default:
		e.i32(-1)
	}
	if e.version >= 11 {
		near := core.NoNode
		if p.TellNear {
			near = p.Near
		}
		e.i32(int32(near))
	}
	e.count(int(p.Len))
	if p.Len > 0 {
		e.cuts = append(e.cuts, cut{at: len(e.b), file: p.File, pos: p.Pos, len: p.Len})
	}
	if e.flexible() {
		e.tags(p)
	}
}

// tags writes the tagged fields of a partition. Each value is shorter than 128 bytes, so that its length takes one.
func (e *encoder) tags(p *Partition) {
	n := 0
	for _, there := range [...]bool{p.Diverged, p.TellLeader} {
		if there {
			n++
		}
	}
	e.b = append(e.b, byte(n))
	if p.Diverged {
		e.b = append(e.b, 0, 13)
		e.i32(int32(p.DivergeEpoch))
		e.i64(int64(p.DivergeEnd))
		e.b = append(e.b, 0)
	}
	if p.TellLeader {
		e.b = append(e.b, 1, 9)
		e.i32(int32(p.Leader))
		e.i32(int32(p.LeaderEpoch))
		e.b = append(e.b, 0)
	}
}

func (e *encoder) nodes(nodes []Node) {
	if e.version < 16 || len(nodes) == 0 {
		e.b = append(e.b, 0)
		return
	}
	size := uvarintSize(len(nodes) + 1)
	for i := range nodes {
		n := &nodes[i]
		size += 4 + uvarintSize(len(n.Host)+1) + len(n.Host) + 4 + 1 + 1
		if n.HasRack {
			size += uvarintSize(len(n.Rack)+1) + len(n.Rack) - 1
		}
	}
	e.b = append(e.b, 1, 0)
	e.b = binary.AppendUvarint(e.b, uint64(size))
	e.count(len(nodes))
	for i := range nodes {
		n := &nodes[i]
		e.i32(int32(n.ID))
		e.text(n.Host)
		e.i32(n.Port)
		if n.HasRack {
			e.text(n.Rack)
		} else {
			e.b = append(e.b, 0)
		}
		e.b = append(e.b, 0)
	}
}

func uvarintSize(n int) int {
	size := 1
	for ; n >= 128; n >>= 7 {
		size++
	}
	return size
}

// pieces cuts what was written at the ranges and puts the length of the whole in front.
func (e *encoder) pieces() []Piece {
	total := int64(len(e.b) - 4)
	for _, c := range e.cuts {
		total += c.len
	}
	core.Must(total < 1<<31, "a reply fits its length field")
	binary.BigEndian.PutUint32(e.b, uint32(total))
	out := make([]Piece, 0, 2*len(e.cuts)+1)
	from := 0
	for _, c := range e.cuts {
		if c.at > from {
			out = append(out, Piece{Bytes: e.b[from:c.at:c.at]})
		}
		out = append(out, Piece{File: c.file, Pos: c.pos, Len: c.len})
		from = c.at
	}
	if from < len(e.b) {
		out = append(out, Piece{Bytes: e.b[from:]})
	}
	return out
}
