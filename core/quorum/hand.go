package quorum

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
)

// pend remembers a batch at the log's end, so that it need not be read back when it is committed.
func (n *Node) pend(a appended) {
	if i := len(n.pending) - 1; i >= 0 && n.pending[i].end != a.base || n.pendingBytes > n.cfg.Sizes.PendingBytes && !a.decoded {
		n.pending, n.pendingBytes = nil, 0
	}
	n.pending = append(n.pending, a)
	n.pendingBytes += int64(a.raw.Size())
}

// unpend forgets what is cut off the log.
func (n *Node) unpend(end core.Offset) {
	for i := len(n.pending) - 1; i >= 0 && n.pending[i].end > end; i-- {
		n.pendingBytes -= int64(n.pending[i].raw.Size())
		n.pending[i] = appended{}
		n.pending = n.pending[:i]
	}
}

// hand moves what is committed to committed: from memory where it is there, else from the log.
func (n *Node) hand(now core.Now, store *log.Store, out *core.Out) {
	done := 0
	for done < len(n.pending) && n.failed == "" {
		a := &n.pending[done]
		if a.end > n.handed {
			if a.base > n.handed || a.end > n.high {
				break
			}
			n.handBatch(a)
		}
		n.pendingBytes -= int64(a.raw.Size())
		done++
	}
	n.pending = slices.Delete(n.pending, 0, done)
	n.ready = n.ready || n.Active() || n.toldHigh >= 0 && n.handed >= n.toldHigh
	upTo := n.high
	if len(n.pending) > 0 {
		upTo = min(upTo, n.pending[0].base)
	}
	if n.failed != "" || n.load.ticket != 0 || n.handed >= upTo || upTo <= n.load.stuck || n.logBusy(store) {
		return
	}
	n.load.upTo = upTo
	n.load.ticket = store.ReadAt(now, n.id, n.handed, upTo, n.cfg.Sizes.ReplayBytes, out)
}

// replayed takes in a stretch of the log.
func (n *Node) replayed(c log.Change, store *log.Store) {
	if n.load.ticket == 0 || c.Ticket != n.load.ticket {
		return
	}
	n.load.ticket = 0
	switch {
	case c.Err == core.Invalid: // the log was cut meanwhile: again
		return
	case c.Err != core.OK:
		n.fail("the metadata log cannot be read behind offset " + strconv.FormatInt(int64(n.handed), 10) + ": " + c.Err.String())
		return
	case len(c.Data) == 0:
		n.load.stuck = n.load.upTo // no batch ends there: the next high watermark will do
		return
	}
	for b := c.Data; len(b) > 0 && n.failed == ""; {
		v, rest, is := batch.First(b)
		if is != batch.Good || !v.CheckCRC() {
			n.fail("the metadata log is damaged behind offset " + strconv.FormatInt(int64(n.handed), 10))
			return
		}
		b = rest
		end := v.LastOffset() + 1
		if end <= n.handed { // a batch that a snapshot covers
			continue
		}
		if v.BaseOffset() < n.handed {
			n.fail("the snapshot at " + strconv.FormatInt(int64(n.handed), 10) + " ends within a batch")
			return
		}
		if v.BaseOffset() > n.handed || end > n.high { // a read that went astray, to a batch that is sound elsewhere
			n.fail("the metadata log cannot be read behind offset " + strconv.FormatInt(int64(n.handed), 10) + ": the batch of offsets " +
				strconv.FormatInt(int64(v.BaseOffset()), 10) + " to " + strconv.FormatInt(int64(end)-1, 10) + " came in its place")
			return
		}
		n.handBatch(&appended{base: v.BaseOffset(), end: end, epoch: v.LeaderEpoch(), millis: v.MaxTimestamp(), raw: v})
	}
}

// handBatch hands a committed batch to the assembler and what is whole to committed.
func (n *Node) handBatch(a *appended) {
	core.Must(a.end > n.handed, "committed batches come in order")
	core.Must(a.end <= n.high, "only what is committed is handed out")
	records, wrong := a.records, ""
	if !a.decoded {
		if a.raw.IsControl() {
			_, _, wrong = readSet(a.raw, voterSet{}) // it is in force since it was appended
		} else {
			records, wrong = decodeBatch(a.raw)
		}
	}
	if wrong == "" && a.epoch < n.handedEpoch {
		wrong = "a batch of epoch " + strconv.Itoa(int(a.epoch)) + " follows one of epoch " + strconv.Itoa(int(n.handedEpoch))
	}
	if wrong != "" {
		n.fail("the metadata log cannot be used: " + wrong)
		return
	}
	piece, whole, wrong := n.assembler.take(records)
	if wrong != "" {
		n.fail("the metadata log is damaged below offset " + strconv.FormatInt(int64(a.end), 10) + ": " + wrong)
		return
	}
	n.handed, n.handedEpoch, n.lastMillis = a.end, a.epoch, a.millis
	n.since += int64(a.raw.Size())
	if whole {
		n.committed = append(n.committed, Batch{Records: piece, End: a.end, Epoch: a.epoch})
	}
}
