package quorum

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// SnapshotID names a snapshot: the exclusive end of the log that it stands for, and the epoch of the last
// record below that end.
type SnapshotID struct {
	End   core.Offset
	Epoch core.Epoch
}

const (
	checkpointSuffix = ".checkpoint"
	partSuffix       = ".checkpoint.part" // one that was being written
	deletedSuffix    = ".checkpoint.deleted"
)

// File is the name of its file: the end in 20 figures, the epoch in 10.
func (s SnapshotID) File() string {
	return pad(int64(s.End), 20) + "-" + pad(int64(s.Epoch), 10) + checkpointSuffix
}

func pad(n int64, width int) string {
	s := strconv.FormatInt(n, 10)
	return strings.Repeat("0", max(0, width-len(s))) + s
}

// parseSnapshotName reads what File writes.
func parseSnapshotName(name string) (s SnapshotID, ok bool) {
	stem, ok := strings.CutSuffix(name, checkpointSuffix)
	if !ok || len(stem) != 31 || stem[20] != '-' {
		return s, false
	}
	end, err := strconv.ParseUint(stem[:20], 10, 63)
	epoch, err2 := strconv.ParseUint(stem[21:], 10, 31)
	return SnapshotID{core.Offset(end), core.Epoch(epoch)}, err == nil && err2 == nil
}

func (s SnapshotID) compare(t SnapshotID) int {
	return cmp.Or(cmp.Compare(s.End, t.End), cmp.Compare(s.Epoch, t.Epoch))
}

const (
	// snapshotBytesMax bounds a snapshot file that is believed.
	snapshotBytesMax = 1 << 30
	// recordsBytesMax bounds one batch of the metadata log when it is decompressed.
	recordsBytesMax = 64 << 20
)

// EncodeSnapshot gives the bytes of a snapshot file, such as bootstrap.checkpoint: a batch with the header,
// batches of records, a batch with the footer (KIP-630). The time is that of the last record that it stands for.
func EncodeSnapshot(records []wire.Record, level int16, epoch core.Epoch, millis int64) []byte {
	w := newSnapshotWriter(epoch, level, millis, voterSet{}, DefaultSizes().SnapshotBatchBytes)
	for _, r := range records {
		w.add(r)
	}
	return w.finish()
}

// EncodeVoters gives the bytes of the snapshot of offset 0 that names the first voters of a cluster, as a formatted
// directory of a controller holds it (KIP-853).
func EncodeVoters(voters []wire.Voter, millis int64) []byte {
	set := voterSet{kraft: kraftMax}
	for _, v := range voters {
		set = set.with(v)
	}
	return newSnapshotWriter(0, 0, millis, set, DefaultSizes().SnapshotBatchBytes).finish()
}

// snapshotWriter gathers a snapshot file. What is in b may be taken away and written, piece by piece.
type snapshotWriter struct {
	epoch  core.Epoch
	level  int16 // the metadata version, which says in which versions records are written
	millis int64
	bytes  int // a batch is closed at this size
	at     core.Offset
	open   *batch.Builder
	b      []byte
}

func newSnapshotWriter(epoch core.Epoch, level int16, millis int64, set voterSet, bytes int) *snapshotWriter {
	w := &snapshotWriter{epoch: epoch, level: level, millis: millis, bytes: bytes}
	control := []controlRecord{{kind: batch.SnapshotHeader, m: &wire.SnapshotHeaderRecord{LastContainedLogTimestamp: millis}}}
	if set.kraft > 0 {
		control = append(control, set.records()...)
	}
	w.control(control...)
	return w
}

type controlRecord struct {
	kind batch.ControlType
	m    wire.Message
}

// records are the control records that say a set.
func (s *voterSet) records() []controlRecord {
	return []controlRecord{{kind: batch.KRaftVersion, m: &wire.KRaftVersionRecord{KRaftVersion: s.kraft}},
		{kind: batch.KRaftVoters, m: &wire.VotersRecord{Voters: s.voters}}}
}

func (w *snapshotWriter) control(records ...controlRecord) {
	v := controlBatch(w.at, w.epoch, w.millis, records...)
	w.at += core.Offset(len(records))
	w.b = append(w.b, v...)
}

// controlBatch makes a batch of control records, each in its version 0, as Apache Kafka 4.3 writes them.
func controlBatch(base core.Offset, epoch core.Epoch, millis int64, records ...controlRecord) batch.View {
	b := batch.NewBuilder(batch.Options{LeaderEpoch: epoch, Control: true})
	for _, r := range records {
		b.Add(millis, batch.ControlKey(r.kind), r.m.AppendTo(nil, 0), nil)
	}
	return b.Finish(base)
}

func (w *snapshotWriter) add(r wire.Record) {
	if w.open == nil {
		w.open = batch.NewBuilder(batch.Options{LeaderEpoch: w.epoch})
	}
	w.open.Add(w.millis, nil, encodeRecord(r, w.level), nil)
	if w.open.Bytes() >= w.bytes {
		w.close()
	}
}

func (w *snapshotWriter) close() {
	if w.open != nil {
		v := w.open.Finish(w.at)
		w.at += core.Offset(v.Count())
		w.b = append(w.b, v...)
		w.open = nil
	}
}

func (w *snapshotWriter) finish() []byte {
	w.close()
	w.control(controlRecord{kind: batch.SnapshotFooter, m: &wire.SnapshotFooterRecord{}})
	return w.b
}

// content is what a snapshot file, or a stretch of the log, says.
type content struct {
	records []wire.Record
	set     voterSet
	millis  int64

	hasKRaft, hasVoters bool // of set
}

// DecodeSnapshot reads a snapshot file. It is believed whole or not at all: header first, footer last,
// every checksum right, every record known. What is wrong is told.
func DecodeSnapshot(b []byte) (records []wire.Record, wrong string) {
	c, wrong := decodeSnapshot(b)
	return c.records, wrong
}

func decodeSnapshot(b []byte) (c content, wrong string) {
	footer := false
	for first := true; len(b) > 0; first = false {
		v, rest, is := batch.First(b)
		switch {
		case is != batch.Good:
			return content{}, "a batch is cut or unreadable: " + is.String()
		case !v.CheckCRC():
			return content{}, "the batch at offset " + strconv.FormatInt(int64(v.BaseOffset()), 10) + " has a wrong checksum"
		case footer:
			return content{}, "batches behind the footer"
		case first && !v.IsControl():
			return content{}, "it does not begin with a header"
		}
		b = rest
		if !v.IsControl() {
			got, err := decodeBatch(v)
			if err != "" {
				return content{}, err
			}
			c.records = append(c.records, got...)
			continue
		}
		kinds, err := c.controls(v)
		if err != "" {
			return content{}, err
		}
		if first != (len(kinds) > 0 && kinds[0] == batch.SnapshotHeader) {
			return content{}, "its header is not where it should be"
		}
		if c.set.kraft > kraftMax {
			return content{}, "kraft.version " + strconv.Itoa(int(c.set.kraft)) + " is not known to this release"
		}
		footer = slices.Contains(kinds, batch.SnapshotFooter)
	}
	if !footer {
		return content{}, "it has no footer: it was not written to its end"
	}
	return c, ""
}

// controls takes in the control records of a batch and returns their kinds.
func (c *content) controls(v batch.View) (kinds []batch.ControlType, wrong string) {
	r, is := batch.Read(v, recordsBytesMax)
	var rec batch.Record
	for is == batch.Good && r.Next(&rec) {
		kind, ok := batch.ParseControlKey(rec.Key)
		if !ok {
			return nil, "a control record without a kind"
		}
		kinds = append(kinds, kind)
		var err error
		switch kind {
		case batch.SnapshotHeader:
			var h wire.SnapshotHeaderRecord
			err = wire.ReadControl(rec.Value, &h)
			c.millis = h.LastContainedLogTimestamp
		case batch.KRaftVersion:
			var k wire.KRaftVersionRecord
			err = wire.ReadControl(rec.Value, &k)
			c.set.kraft, c.hasKRaft = k.KRaftVersion, true
		case batch.KRaftVoters:
			var k wire.VotersRecord
			err = wire.ReadControl(rec.Value, &k)
			c.set.voters, c.hasVoters = k.Voters, true
			if wrong := c.set.check(); err == nil && wrong != "" {
				return nil, "a set of voters that cannot be: " + wrong
			}
		}
		if err != nil {
			return nil, "a control record that cannot be read: " + err.Error()
		}
	}
	if is == batch.Good {
		is = r.Err()
	}
	if is != batch.Good {
		return nil, "control records that cannot be read: " + is.String()
	}
	return kinds, ""
}

// decodeBatch reads the metadata records of a batch. They keep nothing of its bytes.
func decodeBatch(v batch.View) (records []wire.Record, wrong string) {
	r, is := batch.Read(v, recordsBytesMax)
	var rec batch.Record
	for is == batch.Good && r.Next(&rec) {
		m, err := wire.ParseRecord(rec.Value)
		if err != nil {
			return nil, "the record at offset " + strconv.FormatInt(int64(rec.Offset), 10) + " cannot be read: " + err.Error()
		}
		records = append(records, m)
	}
	if is == batch.Good {
		is = r.Err()
	}
	if is != batch.Good {
		return nil, "the batch at offset " + strconv.FormatInt(int64(v.BaseOffset()), 10) + " cannot be read: " + is.String()
	}
	return records, ""
}
