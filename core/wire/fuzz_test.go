package wire_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// FuzzWire feeds bytes to everything that reads frames, records and files. The first byte picks what; for requests
// and responses the next two are key and version.
func FuzzWire(f *testing.F) {
	for _, key := range wire.Keys() {
		r, _ := wire.Served(key)
		for _, v := range []int16{r.Min, r.Max} {
			req := kmsg.RequestForKey(key)
			req.SetVersion(v)
			f.Add(append([]byte{0, byte(key), byte(v)}, req.AppendTo(nil)...))
			resp := req.ResponseKind()
			resp.SetVersion(v)
			f.Add(append([]byte{1, byte(key), byte(v)}, resp.AppendTo(nil)...))
		}
	}
	f.Add([]byte("\x02\x00\x00\x00\x0c\x00\x12\x00\x03\x00\x00\x00\x01\x00\x01c"))
	for key := range int16(30) {
		if rec := wire.NewRecord(key); rec != nil {
			f.Add(append([]byte{3}, wire.AppendRecord(nil, rec)...))
		}
	}
	f.Add([]byte("\x04version=1\nnode.id=1\ncluster.id=a"))
	f.Add([]byte(`5{"leaderEpoch":1,"data_version":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 3 {
			return
		}
		switch what := b[0] % 6; what {
		case 0:
			fuzzRequest(t, int16(b[1]), int16(b[2]), b[3:])
		case 1:
			fuzzResponse(int16(b[1]), int16(b[2]), b[3:])
		case 2:
			if need, err := wire.Split(b[1:], 1<<16); need < 0 || need > 0 && err != core.OK {
				t.Fatal(need, err)
			}
			wire.ParseRequest(b[1:])
			wire.ParseResponse(b[1:], int16(b[2]), 3)
		case 3:
			fuzzRecord(t, b[1:])
		case 4:
			if m, err := wire.ParseMetaProperties(b[1:]); err == nil {
				m.Text()
			}
		case 5:
			if q, err := wire.ParseQuorumState(b[1:]); err == nil {
				if _, err = wire.ParseQuorumState(q.Text()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// fuzzRequest frames a body, and what can be read must come out the same when it is written and read again.
func fuzzRequest(t *testing.T, key, version int16, body []byte) {
	req := kmsg.RequestForKey(key)
	if req == nil || !wire.Serves(key, version) {
		return
	}
	req.SetVersion(version)
	h := wire.Header{Key: key, Version: version, Correlation: 7, ClientID: "c", HasClientID: true}
	frame := wire.AppendRequest(nil, h, &raw{Request: req, body: body})
	q, err := wire.ParseRequest(frame)
	if err != nil {
		return
	}
	if q.Header != h {
		t.Fatalf("%+v", q.Header)
	}
	once := q.Body.AppendTo(nil)
	p, err := wire.ParseRequest(wire.AppendRequest(nil, h, q.Body))
	if err != nil || !bytes.Equal(once, p.Body.AppendTo(nil)) {
		t.Fatal("a request does not come back", err)
	}
}

// raw is a request with a body of any bytes.
type raw struct {
	kmsg.Request
	body []byte
}

func (r *raw) AppendTo(b []byte) []byte { return append(b, r.body...) }

func fuzzResponse(key, version int16, body []byte) {
	resp := kmsg.ResponseForKey(key)
	if resp == nil || !wire.Serves(key, version) {
		return
	}
	resp.SetVersion(version)
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	if _, rest, err := wire.ParseResponse(append(frame, body...), key, version); err == nil && resp.ReadFrom(rest) == nil {
		wire.AppendResponse(nil, 1, resp)
	}
}

// fuzzRecord reads metadata records and control records, which must come out the same when written and read again.
func fuzzRecord(t *testing.T, b []byte) {
	if rec, version, err := wire.ParseRecordVersion(b); err == nil {
		once := wire.AppendRecordVersion(nil, rec, version)
		again, v, err := wire.ParseRecordVersion(once)
		if err != nil || v != version || !bytes.Equal(once, wire.AppendRecordVersion(nil, again, v)) {
			t.Fatal("a record does not come back", err)
		}
	}
	for _, m := range []wire.Message{&wire.LeaderChangeMessage{}, &wire.SnapshotHeaderRecord{}, &wire.SnapshotFooterRecord{}, &wire.KRaftVersionRecord{}, &wire.VotersRecord{}} {
		wire.ReadControl(b, m)
	}
	batch.ParseControlKey(b)
}
