package wire

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
)

// requestBytesMin is the least that a request can have behind its length: key, version, correlation id.
const requestBytesMin = 8

// Split looks at the bytes that a connection has brought so far and returns the length of the first frame, its four
// length bytes included, or 0 if there are too few bytes to tell. The limit bounds what the length says
// (socket.request.max.bytes). Clients that speak TLS or HTTP to a plain port are told apart, since their first
// bytes look like absurd lengths.
func Split(stream []byte, limit int) (need int, err core.Errno) {
	if len(stream) < 4 {
		return 0, core.OK
	}
	switch n := int64(int32(binary.BigEndian.Uint32(stream))); {
	case stream[0] == 0x16 && stream[1] == 3 && n > int64(limit):
		return 0, core.SpeaksTLS
	case speaksHTTP(stream[:4]) && n > int64(limit):
		return 0, core.SpeaksHTTP
	case n > int64(limit):
		return 0, core.TooLarge
	case n < 4: // the correlation id of a response; a request has more
		return 0, core.BadFrame
	default:
		return int(n) + 4, core.OK
	}
}

func speaksHTTP(b []byte) bool {
	switch string(b) {
	case "GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI", "PATC", "CONN", "PRI ":
		return true
	}
	return false
}

// Header is the header of a request.
type Header struct {
	Key, Version int16
	Correlation  int32
	ClientID     string
	HasClientID  bool // else it is null
}

var (
	errShort   = errors.New("frame is too short")
	errLength  = errors.New("frame is not as long as it says")
	errUnknown = errors.New("unknown API key")
)

// behindLength checks a frame's length and returns what follows it.
func behindLength(frame []byte) ([]byte, error) {
	if len(frame) < 4 {
		return nil, errShort
	}
	if int64(int32(binary.BigEndian.Uint32(frame))) != int64(len(frame)-4) {
		return nil, errLength
	}
	return frame[4:], nil
}

// ParseRequestHeader reads the header of a request from its whole frame. An unknown key is an error, and then h has
// only key, version and correlation id. An unknown version is none: what the header looks like follows from the
// version even then, because flexible versions stay flexible.
func ParseRequestHeader(frame []byte) (h Header, body []byte, err error) {
	h, body, _, err = parseHeader(frame)
	return h, body, err
}

// parseHeader also returns the empty request that it needed to know the header's form.
func parseHeader(frame []byte) (h Header, body []byte, req kmsg.Request, err error) {
	b, err := behindLength(frame)
	if err != nil {
		return h, nil, nil, err
	}
	r := reader{b: b}
	h.Key, h.Version, h.Correlation = r.int16(), r.int16(), r.int32()
	if r.bad {
		return h, nil, nil, errShort
	}
	if req = kmsg.RequestForKey(h.Key); req == nil {
		return h, nil, nil, errUnknown
	}
	req.SetVersion(h.Version)
	// The client id keeps its old form, an int16 length, in flexible headers too.
	if n := r.int16(); n >= 0 {
		h.ClientID, h.HasClientID = string(r.take(int(n))), true
	} else if n < -1 {
		return h, nil, nil, errMalformed
	}
	if req.IsFlexible() {
		readTags(&r)
	}
	if r.bad {
		return h, nil, nil, errMalformed
	}
	return h, r.b, req, nil
}

// roomy gives a buffer that has none room for a common frame and so many bytes of records, which saves growing it step by step.
func roomy(dst []byte, records int) []byte {
	if cap(dst) == 0 {
		return make([]byte, 0, 240+records)
	}
	return dst
}

// recordBytes counts the bytes of records that a request carries.
func recordBytes(req kmsg.Request) (n int) {
	if q, ok := req.(*kmsg.ProduceRequest); ok {
		for i := range q.Topics {
			for j := range q.Topics[i].Partitions {
				n += len(q.Topics[i].Partitions[j].Records)
			}
		}
	}
	return n
}

// AppendRequest appends the whole frame of a request in the version of h, which it sets in req.
func AppendRequest(dst []byte, h Header, req kmsg.Request) []byte {
	req.SetVersion(h.Version)
	at := len(dst)
	dst = append32(roomy(dst, recordBytes(req)), 0)
	dst = append16(dst, uint16(req.Key()))
	dst = append16(dst, uint16(h.Version))
	dst = append32(dst, uint32(h.Correlation))
	if h.HasClientID {
		id := h.ClientID[:min(len(h.ClientID), 1<<15-1)]
		dst = append(append16(dst, uint16(len(id))), id...)
	} else {
		dst = append(dst, 0xff, 0xff)
	}
	if req.IsFlexible() {
		dst = append(dst, 0) // no tagged fields
	}
	dst = req.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// AppendResponse appends the whole frame of a response in the version that is set in it. The header of ApiVersions
// has no tagged fields in any version, since the client may not yet know what the broker speaks (KIP-511).
func AppendResponse(dst []byte, correlation int32, resp kmsg.Response) []byte {
	at := len(dst)
	dst = append32(roomy(dst, 0), 0)
	dst = append32(dst, uint32(correlation))
	if resp.IsFlexible() && resp.Key() != KeyApiVersions {
		dst = append(dst, 0)
	}
	dst = resp.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// ParseResponse reads the header of a response to a request of a key and version. The body has been checked, so that
// kmsg may read it.
func ParseResponse(frame []byte, key, version int16) (correlation int32, body []byte, err error) {
	b, err := behindLength(frame)
	if err != nil {
		return 0, nil, err
	}
	r := reader{b: b}
	if correlation = r.int32(); r.bad {
		return 0, nil, errShort
	}
	if flexibleResponse(key, version) && key != KeyApiVersions {
		readTags(&r)
	}
	if r.bad {
		return correlation, nil, errMalformed
	}
	if err := CheckResponse(key, version, r.b); err != nil {
		return correlation, nil, err
	}
	return correlation, r.b, nil
}

// Request is a decoded request.
type Request struct {
	Header
	Body       kmsg.Request // nil if BadVersion; refers into the frame
	Bytes      int          // size of the frame
	BadVersion bool         // a listener serves this key, but not in this version
}

// Message is what is asked; nil if it could not be read.
func (r *Request) Message() kmsg.Request {
	if r == nil {
		return nil
	}
	return r.Body
}

// ParseRequest reads a request from its whole frame. An error means that the connection has to be closed: the frame
// is damaged, or of an API that is not served here. So does BadVersion, but for ApiVersions.
func ParseRequest(frame []byte) (*Request, error) {
	h, body, req, err := parseHeader(frame)
	q := &Request{Header: h, Bytes: len(frame)}
	if h.Key == KeyApiVersions && !Serves(h.Key, h.Version) && len(frame) >= 4+requestBytesMin {
		q.BadVersion = true // a newer client's header may be of a form that is not known here
		return q, nil
	}
	if err != nil {
		return nil, err
	}
	served, ok := servedSomewhere(h.Key)
	if !ok {
		return nil, errUnknown
	}
	if h.Version < served.Min || h.Version > served.Max {
		q.BadVersion = true
		return q, nil
	}
	if err := CheckRequest(h.Key, h.Version, body); err != nil {
		return nil, err
	}
	if err := req.ReadFrom(body); err != nil {
		return nil, err
	}
	q.Body = req
	return q, nil
}
