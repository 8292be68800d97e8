package core

// Time is an instant or a span in nanoseconds. Which clock an instant belongs to is said where it is kept.
type Time int64

// Spans of time.
const (
	Microsecond Time = 1000
	Millisecond Time = 1000 * Microsecond
	Second      Time = 1000 * Millisecond
	Minute      Time = 60 * Second
	Hour        Time = 60 * Minute
	// Never is later than every instant: the Next of a machine that waits for nothing.
	Never Time = 1<<63 - 1
)

// Millis returns t in whole milliseconds, the unit of the Kafka protocol.
func (t Time) Millis() int64 { return int64(t / Millisecond) }

// Millis makes a Time from milliseconds. Spans above about 292 years, such as a retention of 2^63-1 ms,
// become Never instead of overflowing; negative ones become as small as can be.
func Millis(ms int64) Time {
	const most = int64(Never) / int64(Millisecond)
	if ms > most {
		return Never
	}
	if ms < -most {
		return -Never
	}
	return Time(ms) * Millisecond
}

// After returns t+d, or Never if that overflows.
func (t Time) After(d Time) Time {
	if d > 0 && t > Never-d {
		return Never
	}
	return t + d
}

// Now is both clocks. Mono never falls: deadlines, sessions. Wall may jump: timestamps, retention.
type Now struct{ Mono, Wall Time }

// NodeID identifies a node of the cluster (Kafka's node.id); -1 is none.
type NodeID int32

// NoNode stands where no node is meant: no leader, no controller.
const NoNode NodeID = -1

// Offset counts the records of one partition's log. As an end it is exclusive. -1 is none.
type Offset int64

// Epoch counts the leaderships of one partition (leader epoch) or of the metadata quorum. -1 is none.
type Epoch int32

// PartitionEpoch counts the changes of one partition's registration (KIP-497).
type PartitionEpoch int32

// BrokerEpoch counts the registrations of brokers: the metadata offset of the registration (KIP-631).
type BrokerEpoch int64

// TopicID is a topic's identity for life (KIP-516). The zero value is none.
type TopicID [16]byte

// IsZero reports whether id names no topic.
func (id TopicID) IsZero() bool { return id == TopicID{} }

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// String is Kafka's form of a uuid: unpadded base64url, 22 characters.
func (id TopicID) String() string {
	var b [22]byte
	var acc uint32
	bits, n := 0, 0
	for _, x := range id {
		acc = acc<<8 | uint32(x)
		for bits += 8; bits >= 6; bits -= 6 {
			b[n] = base64url[acc>>(bits-6)&63]
			n++
		}
	}
	b[n] = base64url[acc<<(6-bits)&63]
	return string(b[:])
}

// ParseTopicID reads what String writes. It reports false for anything else.
func ParseTopicID(s string) (id TopicID, ok bool) {
	if len(s) != 22 {
		return id, false
	}
	var acc uint32
	bits, n := 0, 0
	for i := 0; i < len(s); i++ {
		v := -1
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			v = int(c - 'A')
		case c >= 'a' && c <= 'z':
			v = int(c-'a') + 26
		case c >= '0' && c <= '9':
			v = int(c-'0') + 52
		case c == '-':
			v = 62
		case c == '_':
			v = 63
		}
		if v < 0 {
			return TopicID{}, false
		}
		acc = acc<<6 | uint32(v)
		if bits += 6; bits >= 8 && n < 16 {
			bits -= 8
			id[n] = byte(acc >> bits)
			n++
		}
	}
	return id, n == 16
}

// TopicPartition names one partition by its topic's name.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Compare orders by topic name, then partition: the order in which loops walk partitions.
func (p TopicPartition) Compare(q TopicPartition) int {
	switch {
	case p.Topic < q.Topic:
		return -1
	case p.Topic > q.Topic:
		return 1
	case p.Partition < q.Partition:
		return -1
	case p.Partition > q.Partition:
		return 1
	}
	return 0
}

// ConnID names a connection within one life of a machine. Zero is none. A world chooses the ids of
// connections that it accepts (odd numbers); a machine chooses those that it dials (even numbers).
type ConnID uint64

// FileID names an open file within one life of a machine, chosen by the machine and bound by Open. Zero is none.
type FileID uint64
