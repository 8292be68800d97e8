package txn

import (
	"slices"

	"klamm/core"
	"klamm/core/shard"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Status is where a transactional id stands; the numbers are those of the records.
type Status int8

// The states, in Kafka's words. Dead and PrepareEpochFence are never written.
const (
	Empty Status = iota
	Ongoing
	PrepareCommit
	PrepareAbort
	CompleteCommit
	CompleteAbort
	Dead
	PrepareEpochFence
)

// StatusKept bounds the states that a record may hold.
const StatusKept = Dead

var statusNames = [...]string{
	"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence",
}

func (s Status) String() string { return statusNames[s] }

// prepared reports whether the outcome is decided and not everybody knows it yet.
func (s Status) prepared() bool { return s == PrepareCommit || s == PrepareAbort }

// complete reports whether the last transaction is over.
func (s Status) complete() bool { return s == CompleteCommit || s == CompleteAbort }

// The versions of keys and values of __transaction_state (KIP-915: flexible from 1 on, written from transaction.version 1 on).
const (
	keyVersion      = 0
	valueVersionMax = 1
)

// None stands for no producer id, no epoch, no timestamp.
const None = -1

// Producer is a producer id and its epoch.
type Producer struct {
	ID    int64
	Epoch int16
}

// nobody is no producer.
var nobody = Producer{None, None}

// Stored is the durable part of a transactional id: what its newest record says. It is replaced, never changed.
//
// Invariants: Partitions are sorted, each once, and there are none but in Ongoing and Prepare*; Next is None but in
// Prepare*.
type Stored struct {
	Producer      Producer
	Previous      int64 // producer id before the last record
	Next          int64 // the id that takes over when the transaction is complete; None: the same
	TimeoutMillis int32
	Status        Status
	Partitions    []core.TopicPartition
	UpdatedAt     int64 // wall clock, ms
	StartedAt     int64 // of the transaction, wall clock, ms; None: there was none
	ClientVersion int16 // transaction.version that the transaction follows
}

func key(id string) []byte {
	k := kmsg.TxnMetadataKey{Version: keyVersion, TransactionalID: id}
	return k.AppendTo(nil)
}

// record is the record of a state. level is the finalized transaction.version.
func (s *Stored) record(id string, level int16) shard.Record {
	v := kmsg.NewTxnMetadataValue()
	v.ProducerID, v.ProducerEpoch, v.TimeoutMillis = s.Producer.ID, s.Producer.Epoch, s.TimeoutMillis
	v.State, v.LastUpdateTimestamp, v.StartTimestamp = kmsg.TransactionState(s.Status), s.UpdatedAt, s.StartedAt
	v.PreviousProducerID, v.NextProducerID, v.ClientTransactionVersion = s.Previous, s.Next, s.ClientVersion
	if level >= 1 {
		v.Version = 1
	}
	if s.Status != Empty {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range s.Partitions {
		if n := len(v.Topics) - 1; n < 0 || v.Topics[n].Topic != p.Topic {
			v.Topics = append(v.Topics, kmsg.TxnMetadataValueTopic{Topic: p.Topic})
		}
		t := &v.Topics[len(v.Topics)-1]
		t.Partitions = append(t.Partitions, p.Partition)
	}
	return shard.Record{Key: key(id), Value: v.AppendTo(nil)}
}

// parseKey returns the transactional id of a key; false for one that is not known here.
func parseKey(b []byte) (id string, ok bool) {
	if version(b) != keyVersion {
		return "", false
	}
	k := kmsg.NewTxnMetadataKey()
	if k.ReadFrom(b) != nil || k.TransactionalID == "" {
		return "", false
	}
	return k.TransactionalID, true
}

func parseStored(b []byte) (s Stored, ok bool) {
	if v := version(b); v < 0 || v > valueVersionMax {
		return s, false
	}
	v := kmsg.NewTxnMetadataValue()
	if v.ReadFrom(b) != nil || v.State < 0 || Status(v.State) >= StatusKept || v.ProducerID < 0 || v.ProducerEpoch < 0 {
		return s, false
	}
	s = Stored{
		Producer: Producer{v.ProducerID, v.ProducerEpoch}, Previous: v.PreviousProducerID, Next: v.NextProducerID,
		TimeoutMillis: v.TimeoutMillis, Status: Status(v.State), UpdatedAt: v.LastUpdateTimestamp, StartedAt: v.StartTimestamp,
		ClientVersion: v.ClientTransactionVersion,
	}
	for i := range v.Topics {
		for _, p := range v.Topics[i].Partitions {
			s.Partitions = append(s.Partitions, core.TopicPartition{Topic: v.Topics[i].Topic, Partition: p})
		}
	}
	slices.SortFunc(s.Partitions, core.TopicPartition.Compare) // Kafka writes them in no order
	s.Partitions = slices.Compact(s.Partitions)
	return s, true
}

func version(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	return int(int16(uint16(b[0])<<8 | uint16(b[1])))
}
