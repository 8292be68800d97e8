package batch

// Shell is what is left of a batch without its records: a header that keeps the offsets, and the producer's last sequence.
func Shell(v View) View {
	o := optionsOf(v)
	o.Codec = None
	w := NewBuilder(o).FinishAt(v.BaseOffset(), v.LastDelta())
	w.SetMaxTimestamp(v.MaxTimestamp())
	return w
}

// NoHorizon says to Keep that a batch's delete horizon stays as it is.
const NoHorizon int64 = -1

// Keep is a batch with some of its records, those whose bit is set in keep, counted from the batch's first; all if keep is nil (KIP-534: horizon, if
// it is not NoHorizon, becomes the instant after which tombstones and markers may go). Offsets, timestamps, compression, producer
// and epoch stay. It reports false for a batch that cannot be read within limit bytes.
func Keep(v View, horizon int64, limit int, keep []byte) (View, bool) {
	r, is := Read(v, limit)
	if is != Good || v.Codec() >= codecCount {
		return nil, false
	}
	o := optionsOf(v)
	if o.Horizon = horizon != NoHorizon || v.HasDeleteHorizon(); o.Horizon {
		if o.HorizonAt = horizon; horizon == NoHorizon {
			o.HorizonAt = v.BaseTimestamp()
		}
	}
	b := NewBuilder(o)
	var rec Record
	for i := 0; r.Next(&rec); i++ {
		if keep == nil || i/8 < len(keep) && keep[i/8]>>(i%8)&1 != 0 {
			b.AddAt(int32(rec.Offset-v.BaseOffset()), rec.Timestamp, rec.Key, rec.Value, rec.Headers)
		}
	}
	if r.Err() != Good {
		return nil, false
	}
	if b.Count() == 0 {
		return Shell(v), true
	}
	w := b.FinishAt(v.BaseOffset(), v.LastDelta())
	if v.AppendTime() {
		w.SetMaxTimestamp(v.MaxTimestamp())
	}
	return w, true
}

// optionsOf is what a batch that is built anew has of the old one.
func optionsOf(v View) Options {
	o := Options{Codec: v.Codec(), LeaderEpoch: v.LeaderEpoch(), Transactional: v.IsTransactional(), Control: v.IsControl(), AppendTime: v.AppendTime()}
	if v.ProducerID() >= 0 {
		o.Producer = &Producer{ID: v.ProducerID(), Epoch: v.ProducerEpoch(), Sequence: v.BaseSequence()}
	}
	return o
}
