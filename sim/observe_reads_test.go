package sim

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

// A reader is excused of having gone past a batch that is damaged on the disk if that came to it whole, on the way to where it is.
func TestGivenWhole(t *testing.T) {
	topic, other := core.TopicID{1}, core.TopicID{2}
	of := func(base core.Offset, n int) []byte {
		b := batch.NewBuilder(batch.Options{})
		for range n {
			b.Add(1, nil, []byte{byte(base)}, nil)
		}
		return append([]byte(nil), b.Finish(base)...)
	}
	sum := func(b []byte) uint32 { return binary.BigEndian.Uint32(b[17:]) }
	torn := func(b []byte) []byte {
		b = append([]byte(nil), b...)
		b[len(b)-1] ^= 1
		return b
	}
	a, b, c := of(0, 3), of(3, 2), of(5, 1)
	for name, x := range map[string]struct {
		answers [][]byte
		had     bool
	}{
		"whole":                             {[][]byte{a, b, c}, true},
		"whole, in one answer":              {[][]byte{append(append(append([]byte(nil), a...), b...), c...)}, true},
		"whole, twice":                      {[][]byte{a, b, b, c}, true},
		"damaged":                           {[][]byte{a, torn(b), c}, false},
		"damaged, in one answer":            {[][]byte{append(append(append([]byte(nil), a...), torn(b)...), c...)}, false},
		"first damaged, then whole":         {[][]byte{a, torn(b), b, c}, true},
		"left out":                          {[][]byte{a, c}, false},
		"another one":                       {[][]byte{a, of(3, 1), c}, false},
		"whole, and left out a second time": {[][]byte{a, b, c, a, c}, false},
		"whole, and damaged a second time":  {[][]byte{a, b, c, a, torn(b), c}, false},
		"left out, and whole a second time": {[][]byte{a, c, a, b, c}, true},
		"cut off":                           {[][]byte{a, b[:len(b)-1], c}, false},
		"nothing came":                      {nil, false},
	} {
		g := &given{}
		for i, records := range x.answers {
			q := kmsg.NewPtrFetchRequest()
			corr := int32(i + 7)
			g.sends([]core.Effect{{Kind: core.Send, Conn: 4, Data: wire.AppendRequest(nil, wire.Header{Key: wire.KeyFetch, Version: 18, Correlation: corr}, q)}})
			resp := kmsg.NewPtrFetchResponse()
			resp.SetVersion(18)
			for _, id := range []core.TopicID{topic, other} {
				p := kmsg.NewFetchResponseTopicPartition()
				p.Partition = 2
				if p.RecordBatches = records; id == other {
					p.RecordBatches = a
				}
				resp.Topics = append(resp.Topics, kmsg.FetchResponseTopic{TopicID: id, Partitions: []kmsg.FetchResponseTopicPartition{p}})
			}
			frame := wire.AppendResponse(nil, corr, resp)
			g.takes(&core.Event{Kind: core.Frame, Conn: 6, Data: frame}) // of another connection
			g.takes(&core.Event{Kind: core.Frame, Conn: 4, Data: frame})
			g.takes(&core.Event{Kind: core.Frame, Conn: 4, Data: frame}) // nobody has asked for it
		}
		require.Empty(t, g.asked, name)
		require.Equal(t, x.had, g.had(topic, 2, 3, sum(b)), name)
		require.Equal(t, x.had, g.had(topic, 2, 4, sum(b)), name)
		require.False(t, g.had(topic, 1, 3, sum(b)), "%s: another partition", name)
		require.False(t, g.had(other, 2, 3, sum(b)), "%s: another topic", name)
	}
}

// The answers of connections that died are not waited for without end.
func TestGivenBound(t *testing.T) {
	g := &given{}
	q := kmsg.NewPtrFetchRequest()
	for i := range int32(3 * tapMax) {
		g.sends([]core.Effect{{Kind: core.Send, Conn: 4, Data: wire.AppendRequest(nil, wire.Header{Key: wire.KeyFetch, Version: 18, Correlation: i}, q)}})
	}
	require.Len(t, g.asked, tapMax)
}
