package batch

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaCodes says how Apache Kafka 4.3.1 answers what Inspect refuses.
var kafkaCodes = [verdictCount]int16{
	Good: 0, NoBatch: 87, Corrupt: 2, OldMagic: 87, NewCodec: 76, BadTail: 2, SecondBatch: 87, BadOffset: 87, TooLarge: 10,
	BadCRC: 2, BadCodec: -1, BadCount: 87, ControlBatch: 87, BadSequence: 87, BadCompression: -1, Inflated: -1, BadRecord: 87,
}

// The scripts of testdata/inspect, sent to a live broker of Apache Kafka: it refuses what Inspect refuses, for the same
// reason as far as codes tell, but for commands marked as stricter. Set KLAMM_KAFKA_BROKER to host:port of one that has a topic plain, and a topic tiny with
// max.message.bytes=10.
func TestKafkaRefusesTheSame(t *testing.T) {
	addr := os.Getenv("KLAMM_KAFKA_BROKER")
	if addr == "" {
		t.Skip("KLAMM_KAFKA_BROKER is not set")
	}
	sent := 0
	var differ []string
	datadriven.Walk(t, "testdata/inspect", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			b, zstd, max, topic, version := scripted(t, d), true, 1<<20, "plain", int16(12)
			d.MaybeScanArgs(t, "zstd-ok", &zstd)
			d.MaybeScanArgs(t, "max", &max)
			if max == 10 {
				topic = "tiny"
			}
			if d.HasArg("local") {
				return d.Expected
			}
			if !zstd {
				version = 6
			}
			f := Inspect(b)
			want, got := f.Refuse(zstd, max), produceTo(t, addr, topic, version, b)
			sent++
			code := kafkaCodes[want]
			if d.HasArg("stricter") {
				code = 0
			}
			if code != got {
				differ = append(differ, fmt.Sprintf("%s: %s here, code %d there", d.Pos, want, got))
			}
			return d.Expected
		})
	})
	require.Greater(t, sent, 50)
	require.Empty(t, differ)
}

// produceTo sends records on a connection of their own, and returns the code of the answer, or -2 if there was none.
func produceTo(t *testing.T, addr, topic string, version int16, records []byte) int16 {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, 1, 1000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = records
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	require.NoError(t, err)
	var size [4]byte
	if _, err = io.ReadFull(c, size[:]); err != nil {
		return -2
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err = io.ReadFull(c, b)
	require.NoError(t, err)
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = version
	b = b[4:]
	if version >= 9 {
		b = b[1:]
	}
	require.NoError(t, resp.ReadFrom(b))
	return resp.Topics[0].Partitions[0].ErrorCode
}
