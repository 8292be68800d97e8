package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The load generator sends batches that were encoded once and reads replies without decoding records, so
// that on two cores the broker and not the client is what is measured.

// client is one connection that keeps several requests in flight.
type client struct {
	conn net.Conn
	corr int32
	buf  []byte
}

func dial(addr string) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{conn: c, buf: make([]byte, 1<<16)}, nil
}

// frame encodes one request.
func frame(req kmsg.Request, corr int32) []byte {
	b := make([]byte, 4, 4096)
	b = binary.BigEndian.AppendUint16(b, uint16(req.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(req.GetVersion()))
	b = binary.BigEndian.AppendUint32(b, uint32(corr))
	b = binary.BigEndian.AppendUint16(b, 4)
	b = append(b, "load"...)
	if req.IsFlexible() {
		b = append(b, 0)
	}
	b = req.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// reply reads one response; the returned bytes start after the correlation id and live until the next call.
func (c *client) reply() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > 1<<30 {
		return nil, fmt.Errorf("a reply of %d bytes", n)
	}
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	b := c.buf[:n]
	if _, err := io.ReadFull(c.conn, b); err != nil {
		return nil, err
	}
	return b[4:], nil
}

// call sends one request and decodes its reply.
func (c *client) call(req kmsg.Request) (kmsg.Response, error) {
	c.corr++
	if _, err := c.conn.Write(frame(req, c.corr)); err != nil {
		return nil, err
	}
	b, err := c.reply()
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if resp.IsFlexible() && resp.Key() != 18 {
		if len(b) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		b = b[1:]
	}
	return resp, resp.ReadFrom(b)
}

// makeBatch encodes one uncompressed record batch of about bytes, with records of recordBytes random, incompressible values.
func makeBatch(recordBytes, bytes int) []byte {
	count := max(1, bytes/recordBytes)
	b := make([]byte, 61, bytes+count*16+61)
	value := make([]byte, recordBytes)
	now := time.Now().UnixMilli()
	for i := range count {
		for j := range value {
			value[j] = byte(rand.Uint32())
		}
		var rec []byte
		rec = append(rec, 0)
		rec = binary.AppendVarint(rec, 0)
		rec = binary.AppendVarint(rec, int64(i))
		rec = binary.AppendVarint(rec, -1)
		rec = binary.AppendVarint(rec, int64(len(value)))
		rec = append(rec, value...)
		rec = binary.AppendVarint(rec, 0)
		b = binary.AppendVarint(b, int64(len(rec)))
		b = append(b, rec...)
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], 0xffffffff)
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(count-1))
	binary.BigEndian.PutUint64(b[27:], uint64(now))
	binary.BigEndian.PutUint64(b[35:], uint64(now))
	for i := 43; i < 57; i++ {
		b[i] = 0xff // no producer id, epoch, sequence
	}
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// shape is one kind of load.
type shape struct {
	Name        string
	RecordBytes int
	BatchBytes  int
	Conns       int
	InFlight    int
	Bytes       int64 // of batches, over all connections
}

// result is what one load measured at the client.
type result struct {
	Bytes    int64
	Seconds  float64
	P50, P99 float64 // milliseconds of a request
}

// produce sends s.Bytes to the partitions of topic, one partition a connection, with acks=all.
func produce(addr, topic string, s shape) (result, error) {
	type share struct {
		lat []time.Duration
		n   int64
		err error
	}
	at, err := leaders(addr, topic, s.Conns)
	if err != nil {
		return result{}, err
	}
	shares := make([]share, s.Conns)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range s.Conns {
		wg.Go(func() {
			sh := &shares[i]
			sh.lat, sh.n, sh.err = produceOne(at[i], topic, int32(i), s, s.Bytes/int64(s.Conns))
		})
	}
	wg.Wait()
	r := result{Seconds: time.Since(start).Seconds()}
	var lat []time.Duration
	for _, sh := range shares {
		if sh.err != nil {
			return r, sh.err
		}
		r.Bytes += sh.n
		lat = append(lat, sh.lat...)
	}
	slices.Sort(lat)
	if len(lat) > 0 {
		r.P50 = float64(lat[len(lat)/2].Microseconds()) / 1000
		r.P99 = float64(lat[len(lat)*99/100].Microseconds()) / 1000
	}
	return r, nil
}

func produceOne(addr, topic string, partition int32, s shape, total int64) (lat []time.Duration, sent int64, err error) {
	c, err := dial(addr)
	if err != nil {
		return nil, 0, err
	}
	defer c.conn.Close()
	batch := makeBatch(s.RecordBytes, s.BatchBytes)
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 30000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	wire := frame(req, 1)
	slots := make(chan time.Time, s.InFlight)
	done := make(chan error, 1)
	go func() {
		for at := range slots {
			b, err := c.reply()
			if err == nil {
				err = produceError(b)
			}
			if err != nil {
				done <- err
				c.conn.Close()
				for range slots {
				}
				return
			}
			lat = append(lat, time.Since(at))
		}
		done <- nil
	}()
	for sent < total {
		slots <- time.Now()
		if _, err := c.conn.Write(wire); err != nil {
			close(slots)
			return nil, sent, errors.Join(err, <-done)
		}
		sent += int64(len(batch))
	}
	close(slots)
	return lat, sent, <-done
}

func produceError(b []byte) error {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = 9
	if err := resp.ReadFrom(b[1:]); err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("produce to %s-%d: error code %d", t.Topic, p.Partition, p.ErrorCode)
			}
		}
	}
	return nil
}

// consume reads every partition from its start until total bytes of records have come, over all connections.
func consume(addr, topic string, s shape) (result, error) {
	var wg sync.WaitGroup
	errs := make([]error, s.Conns)
	got := make([]int64, s.Conns)
	at, err := leaders(addr, topic, s.Conns)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	for i := range s.Conns {
		wg.Go(func() { got[i], errs[i] = consumeOne(at[i], topic, int32(i), s.Bytes/int64(s.Conns)) })
	}
	wg.Wait()
	r := result{Seconds: time.Since(start).Seconds()}
	for i := range got {
		r.Bytes += got[i]
	}
	return r, errors.Join(errs...)
}

func consumeOne(addr, topic string, partition int32, total int64) (got int64, err error) {
	c, err := dial(addr)
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	offset := int64(0)
	for idle := 0; got < total; {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 11, 500, 1, 50<<20, -1
		t := kmsg.NewFetchRequestTopic()
		t.Topic = topic
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		resp, err := c.call(req)
		if err != nil {
			return got, err
		}
		fr := resp.(*kmsg.FetchResponse)
		if fr.ErrorCode != 0 || len(fr.Topics) != 1 || len(fr.Topics[0].Partitions) != 1 || fr.Topics[0].Partitions[0].ErrorCode != 0 {
			return got, fmt.Errorf("fetch %s-%d at %d: %+v", topic, partition, offset, fr.ErrorCode)
		}
		n, next := walk(fr.Topics[0].Partitions[0].RecordBatches, offset)
		if n == 0 {
			if idle++; idle > 20 {
				return got, fmt.Errorf("fetch %s-%d at %d: nothing came for long", topic, partition, offset)
			}
			continue
		}
		idle, got, offset = 0, got+n, next
	}
	return got, nil
}

// walk counts the whole batches of a fetch reply and returns the offset after them.
func walk(b []byte, offset int64) (n, next int64) {
	next = offset
	for len(b) >= 61 {
		size := int(binary.BigEndian.Uint32(b[8:])) + 12
		if size > len(b) {
			break
		}
		next = int64(binary.BigEndian.Uint64(b)) + int64(int32(binary.BigEndian.Uint32(b[23:]))) + 1
		n += int64(size)
		b = b[size:]
	}
	return n, next
}

// createTopic makes a topic and waits until all its partitions are led.
func createTopic(addr, topic string, partitions int32, replicas int16, configs map[string]string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 5, 10000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, replicas
	for k, v := range configs {
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = k, &v
		t.Configs = append(t.Configs, cfg)
	}
	req.Topics = append(req.Topics, t)
	resp, err := c.call(req)
	if err != nil {
		return err
	}
	if code := resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; code != 0 {
		return fmt.Errorf("create topic %s: error code %d", topic, code)
	}
	probe := shape{RecordBytes: 10, BatchBytes: 10, Conns: int(partitions), InFlight: 1, Bytes: int64(partitions)}
	for range 100 { // the metadata may name a leader that does not know of it yet
		if ready(c, topic) {
			if _, err = produce(addr, topic, probe); err == nil {
				return nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("topic %s was not led within 5 s: %w", topic, err)
}

// describe asks for a topic's metadata; nil if not all of its partitions are led.
func describe(c *client, topic string) *kmsg.MetadataResponse {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 4
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp, err := c.call(req)
	if err != nil {
		return nil
	}
	m := resp.(*kmsg.MetadataResponse)
	if len(m.Topics) != 1 || m.Topics[0].ErrorCode != 0 || len(m.Topics[0].Partitions) == 0 {
		return nil
	}
	for _, p := range m.Topics[0].Partitions {
		if p.ErrorCode != 0 || p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			return nil
		}
	}
	return m
}

func ready(c *client, topic string) bool { return describe(c, topic) != nil }

// leaders are the addresses of those who lead the partitions of a topic.
func leaders(addr, topic string, partitions int) ([]string, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	m := describe(c, topic)
	if m == nil {
		return nil, fmt.Errorf("not every partition of %s is led by a whole set of replicas", topic)
	}
	at := make([]string, partitions)
	for _, p := range m.Topics[0].Partitions {
		for _, b := range m.Brokers {
			if b.NodeID == p.Leader && int(p.Partition) < partitions {
				at[p.Partition] = fmt.Sprintf("%s:%d", b.Host, b.Port)
			}
		}
	}
	return at, nil
}

func deleteTopic(addr, topic string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis, req.TopicNames = 4, 10000, []string{topic}
	_, err = c.call(req)
	return err
}

// serves reports whether a broker answers a metadata request with itself as a broker.
func serves(c *client) bool {
	c.conn.SetDeadline(time.Now().Add(time.Second))
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = 4, []kmsg.MetadataRequestTopic{}
	resp, err := c.call(req)
	return err == nil && len(resp.(*kmsg.MetadataResponse).Brokers) > 0
}
