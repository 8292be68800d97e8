package sim

import (
	"encoding/binary"

	"klamm/core"
)

// This file records what a node's Step is given and what it asks for: frames and their connections, and effects on files.

// lineKey names one end of a connection.
type lineKey struct {
	node int
	conn core.ConnID
}

// recordedLine is a connection while it lives. Both ends have the same. ways[0] is from the side that dialled.
type recordedLine struct {
	number int32
	ends   [2]lineKey
	ways   [2]way
	asked  []askedFor
}

// way is one direction: frames that have left, whole or in part, and have not come.
type way struct {
	waiting []int32 // frames
	missing int     // bytes of the last one that are to be given yet
	head    []byte  // a length that is not whole
	broken  bool    // what the sender gives is no sequence of frames
}

// askedFor is a request that has no answer yet.
type askedFor struct {
	corr  uint32
	frame int32
}

// eventBefore notes what a node is given, before it takes it: the machine may write to the bytes.
func (rec *Recording) eventBefore(node int, ev *core.Event) {
	rec.node = node
	switch ev.Kind {
	case core.Opened:
		rec.opened(node, ev)
	case core.Closed:
		other := int64(-1)
		if l := rec.lines[lineKey{node, ev.Conn}]; l != nil {
			other = int64(l.ends[1-l.side(node, ev.Conn)].node)
		}
		rec.row(RowClosed, node, other, int64(ev.Conn), "")
		rec.fail(ev.Err)
		delete(rec.lines, lineKey{node, ev.Conn})
	case core.Frame:
		rec.arrived(node, ev)
	case core.Done:
		rec.done(node, ev)
	}
}

// fail gives the last row its error.
func (rec *Recording) fail(err core.Errno) {
	if n := len(rec.Rows); n > 0 && !rec.Cut && !rec.early() {
		rec.Rows[n-1].Err = err
	}
}

// opened joins the two ends of a connection: both events carry the same two addresses, that of the accepting side first.
func (rec *Recording) opened(node int, ev *core.Event) {
	if ev.Err != core.OK {
		rec.row(RowDialled, node, 0, int64(ev.Conn), "")
		rec.fail(ev.Err)
		return
	}
	info, ok := core.ParseConnInfo(ev.Data)
	if !ok {
		return
	}
	e := &rec.eyes[node]
	if ev.Conn%2 == 1 { // accepted: the side that dialled is told later
		l := &recordedLine{number: int32(rec.lineCount())}
		l.ends[1] = lineKey{node, ev.Conn}
		rec.lines[l.ends[1]] = l
		e.accepted = append(e.accepted, acceptedLine{info.Remote, l})
		return
	}
	for i := range rec.eyes {
		x := &rec.eyes[i]
		for j := len(x.accepted) - 1; j >= 0; j-- {
			if x.accepted[j].remote == info.Local {
				l := x.accepted[j].line
				l.ends[0] = lineKey{node, ev.Conn}
				rec.lines[l.ends[0]] = l
				x.accepted = append(x.accepted[:j], x.accepted[j+1:]...)
				return
			}
		}
	}
}

func (rec *Recording) lineCount() int {
	rec.linesMade++
	return rec.linesMade
}

// side is which end of the connection a node's id is.
func (l *recordedLine) side(node int, conn core.ConnID) int {
	if (l.ends[0] == lineKey{node, conn}) {
		return 0
	}
	return 1
}

// dropLines forgets a node's ends.
func (rec *Recording) dropLines(node int) {
	e := &rec.eyes[node]
	for _, c := range e.conns {
		delete(rec.lines, lineKey{node, c})
	}
	e.conns, e.accepted = e.conns[:0], nil
}

// arrived notes a frame that a node is given.
func (rec *Recording) arrived(node int, ev *core.Event) {
	l := rec.lines[lineKey{node, ev.Conn}]
	if l == nil {
		return
	}
	from := 1 - l.side(node, ev.Conn)
	w := &l.ways[from]
	if len(w.waiting) == 0 {
		return
	}
	i := w.waiting[0]
	if w.waiting = w.waiting[1:]; i == unkept {
		return
	}
	f := &rec.Frames[i]
	f.Got, f.Bytes, f.Size = rec.now(), append([]byte(nil), ev.Data...), len(ev.Data)
	if f.Asks < 0 && !f.Request {
		rec.answers(l, i)
	}
}

// answers finds the request of an answer.
func (rec *Recording) answers(l *recordedLine, i int32) {
	f := &rec.Frames[i]
	if len(f.Bytes) < 8 {
		return
	}
	corr := binary.BigEndian.Uint32(f.Bytes[4:])
	for j, a := range l.asked {
		if a.corr == corr {
			f.Asks = a.frame
			l.asked = append(l.asked[:j], l.asked[j+1:]...)
			return
		}
	}
}

// gives notes bytes that a node sends.
func (rec *Recording) gives(node int, e *core.Effect) {
	l := rec.lines[lineKey{node, e.Conn}]
	if l == nil || rec.full() {
		return
	}
	side := l.side(node, e.Conn)
	w := &l.ways[side]
	if e.Kind == core.SendRange {
		if w.missing -= int(e.Len); w.missing < 0 {
			w.broken = true
		}
		return
	}
	for b := e.Data; len(b) > 0 && !w.broken; {
		if w.missing > 0 {
			n := min(w.missing, len(b))
			if i := w.waiting; len(i) > 0 && i[len(i)-1] != unkept {
				f := &rec.Frames[i[len(i)-1]]
				f.Bytes = append(f.Bytes, b[:n]...)
			}
			w.missing, b = w.missing-n, b[n:]
			continue
		}
		n := min(4-len(w.head), len(b))
		w.head, b = append(w.head, b[:n]...), b[n:]
		if len(w.head) < 4 {
			return
		}
		size := int(int32(binary.BigEndian.Uint32(w.head)))
		if size <= 0 {
			w.broken = true
			return
		}
		n = min(size, len(b))
		rec.frame(l, side, append(append([]byte(nil), w.head...), b[:n]...), size+4)
		w.head, b, w.missing = w.head[:0], b[n:], size-n
	}
}

// unkept is a frame that was sent before what is kept.
const unkept = -1

func (rec *Recording) frame(l *recordedLine, side int, b []byte, size int) {
	if rec.early() {
		l.ways[side].waiting = append(l.ways[side].waiting, unkept)
		return
	}
	i := int32(len(rec.Frames))
	rec.Frames = append(rec.Frames, FrameSent{Sent: rec.now(), Got: never, From: int16(l.ends[side].node), To: int16(l.ends[1-side].node), Line: l.number,
		Asks: -1, Request: side == 0, Bytes: b, Size: size})
	l.ways[side].waiting = append(l.ways[side].waiting, i)
	if side == 1 {
		rec.answers(l, i)
		return
	}
	if len(b) >= 12 {
		if len(l.asked) == askedMax {
			l.asked = l.asked[1:]
		}
		l.asked = append(l.asked, askedFor{binary.BigEndian.Uint32(b[8:]), i})
	}
}

// askedMax bounds the requests of a connection that are remembered: some are never answered, such as those with acks=0.
const askedMax = 1000

// effect notes what a node asks for.
func (rec *Recording) effect(node int, e *core.Effect) {
	kind := RowDisk
	a, b, text := int64(e.Kind), int64(0), ""
	switch e.Kind {
	case core.Send, core.SendRange:
		rec.gives(node, e)
		return
	case core.Dial:
		rec.eyes[node].conns = append(rec.eyes[node].conns, e.Conn)
		rec.row(RowDial, node, rec.hostOf(e.Data), int64(e.Conn), string(e.Data))
		return
	case core.Note:
		rec.row(RowNote, node, e.Len, 0, string(e.Data))
		return
	case core.CloseConn, core.Pause, core.Resume, core.Release, core.Exit, core.CloseFile, core.Allocate, core.Space:
		return
	case core.Open:
		kind, a, text = RowOpen, 0, string(e.Data)
		rec.eyes[node].bind(e.File, rec.name(text))
	case core.Write:
		kind, a, b = RowWrite, e.Off, int64(len(e.Data))
	case core.Sync:
		kind, a = RowSync, 0
	case core.Read, core.DoWork:
		kind, a, b = RowRead, e.Off, e.Len
	case core.Truncate:
		kind, a = RowTruncate, e.Len
	case core.Rename:
		from, to := e.RenamePaths()
		text = from + " to " + to
	default:
		text = string(e.Data)
	}
	if e.File != 0 && text == "" {
		text = rec.Names[rec.eyes[node].file(e.File)]
	}
	if e.Kind == core.DoWork && e.File == 0 { // of bytes that are in memory
		return
	}
	at := len(rec.Rows)
	if rec.row(kind, node, a, b, text); len(rec.Rows) > at && e.Op != 0 {
		rec.eyes[node].wait(e.Op, int32(at))
	}
}

// hostOf is the node that an address "host:port" belongs to, or -1.
func (rec *Recording) hostOf(addr []byte) int64 {
	n := len(addr)
	for n > 0 && addr[n-1] != ':' {
		n--
	}
	for i, x := range rec.w.Nodes {
		if n > 0 && x.Name == string(addr[:n-1]) {
			return int64(i)
		}
	}
	return -1
}

// done notes that an effect has been answered.
func (rec *Recording) done(node int, ev *core.Event) {
	if i, ok := rec.eyes[node].open[ev.Op]; ok {
		delete(rec.eyes[node].open, ev.Op)
		rec.Rows[i].Until, rec.Rows[i].Err = rec.now(), ev.Err
	}
}
