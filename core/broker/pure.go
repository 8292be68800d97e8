package broker

import (
	"encoding/binary"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// prepared is what Prepare makes of a request's frame.
type prepared struct {
	*wire.Request
	facts []batch.Facts // Produce: of each partition, in the request's order
	err   string        // why it could not be read
}

// Pure returns the functions that a world computes for a broker beside it.
func Pure() core.Pure { return core.Pure{Split: wire.Split, Prepare: Prepare, Work: Work} }

// Prepare decodes a request, and checks the batches that it brings.
func Prepare(frame []byte, kind core.ConnKind) *core.Prepared {
	if kind != core.FromClient {
		return nil // this broker dials nobody yet
	}
	q, err := wire.ParseRequest(frame)
	if err != nil {
		return &core.Prepared{Err: core.BadFrame, Body: &prepared{err: err.Error()}}
	}
	all := &struct { // one piece of memory for both
		prepared
		core.Prepared
	}{prepared: prepared{Request: q}}
	p := &all.prepared
	if produce, ok := q.Body.(*kmsg.ProduceRequest); ok {
		n := 0
		for i := range produce.Topics {
			n += len(produce.Topics[i].Partitions)
		}
		p.facts = make([]batch.Facts, 0, n)
		room := batch.InflatedBytesMax
		for i := range produce.Topics {
			for j := range produce.Topics[i].Partitions {
				p.facts = append(p.facts, batch.InspectWithin(produce.Topics[i].Partitions[j].Records, &room))
			}
		}
	}
	all.Prepared.Body = p
	return &all.Prepared
}

// workConvert is batch.WorkRecompress on bytes that are in no file: the batch stands behind the arguments.
const workConvert core.WorkKind = 64

// convertArgs joins the arguments of a conversion and the batch.
func convertArgs(to batch.Target, b []byte) []byte {
	args := batch.RecompressArgs(to)
	out := make([]byte, 0, 4+len(args)+len(b))
	out = binary.BigEndian.AppendUint32(out, uint32(len(args)))
	return append(append(out, args...), b...)
}

// Work runs a piece of work.
func Work(kind core.WorkKind, args, bytes []byte) []byte {
	switch {
	case kind < 32:
		return log.Work(kind, args, bytes)
	case kind < 64:
		return batch.Work(kind, args, bytes)
	case kind == workConvert && len(args) >= 4:
		n := int(binary.BigEndian.Uint32(args))
		if n > len(args)-4 {
			return nil
		}
		return batch.Work(batch.WorkRecompress, args[4:4+n], args[4+n:])
	}
	return nil
}
