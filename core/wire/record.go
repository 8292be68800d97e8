package wire

import "strconv"

// Message is what records and control records have in common.
type Message interface {
	MaxVersion() int16
	AppendTo(b []byte, version int16) []byte
	ReadFrom(b []byte, version int16) error
}

// Record is a record of the metadata log.
type Record interface {
	Message
	Key() int16
}

// recordFrame is the version of the frame around each metadata record.
const recordFrame = 1

// UnknownRecord says that a record is of a type or a version that is not known here: the log was written by a newer
// node.
type UnknownRecord struct{ Key, Version int16 }

func (u UnknownRecord) Error() string {
	return "unknown metadata record " + strconv.Itoa(int(u.Key)) + " version " + strconv.Itoa(int(u.Version))
}

// AppendRecord appends the value of a record of the metadata log, in the newest version: frame version, key and
// version as unsigned varints, then the body.
func AppendRecord(dst []byte, rec Record) []byte {
	return AppendRecordVersion(dst, rec, rec.MaxVersion())
}

// AppendRecordVersion is AppendRecord in the version that an older metadata.version asks for.
func AppendRecordVersion(dst []byte, rec Record, version int16) []byte {
	dst = appendUvarint(dst, recordFrame)
	dst = appendUvarint(dst, uint64(rec.Key()))
	dst = appendUvarint(dst, uint64(version))
	return rec.AppendTo(dst, version)
}

// ParseRecord reads the value of a record of the metadata log. The error is UnknownRecord if this node is too old
// for it.
func ParseRecord(b []byte) (Record, error) {
	rec, _, err := ParseRecordVersion(b)
	return rec, err
}

// ParseRecordVersion is ParseRecord that also tells the version.
func ParseRecordVersion(b []byte) (rec Record, version int16, err error) {
	r := reader{b: b}
	frame, key, v := r.uvarint(), r.uvarint(), r.uvarint()
	switch {
	case r.bad || key > 1<<15-1 || v > 1<<15-1:
		return nil, 0, errMalformed
	case frame != recordFrame:
		return nil, 0, UnknownRecord{Key: -1, Version: -1}
	}
	rec = NewRecord(int16(key))
	if rec == nil || int16(v) > rec.MaxVersion() {
		return nil, int16(v), UnknownRecord{Key: int16(key), Version: int16(v)}
	}
	if err = rec.ReadFrom(r.b, int16(v)); err != nil {
		return nil, int16(v), err
	}
	return rec, int16(v), nil
}

// ReadControl reads the value of a control record of the metadata log, which begins with its own version.
func ReadControl(b []byte, into Message) error {
	r := reader{b: b}
	version := r.int16()
	if r.bad {
		return errMalformed
	}
	return into.ReadFrom(b, version)
}
