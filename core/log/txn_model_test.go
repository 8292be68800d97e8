package log

import (
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
	"klamm/core/batch"
)

// txnModel is what TestStateMachine knows of transactions beside the batches: they say all else, to whoever walks them from
// the first to the last.
type txnModel struct {
	epochs  map[int64]int16
	highest core.Offset // high watermark since the log was loaded, at boot or after a cut
	loaded  core.Offset // end of the log then: below it, only the high watermark tells which markers are replicated
}

// txnRef is a transaction as a plain walk of the log finds it.
type txnRef struct {
	producer    int64
	first, last core.Offset // last: of the marker, or -1
	aborted     bool
}

func txnsOf(batches [][]byte) (all []txnRef) {
	for _, b := range batches {
		v := batch.View(b)
		open := slices.IndexFunc(all, func(x txnRef) bool { return x.producer == v.ProducerID() && x.last < 0 })
		switch m := markerOf(v); {
		case m.is && open >= 0:
			all[open].last, all[open].aborted = v.BaseOffset(), m.abort
		case !v.IsControl() && v.IsTransactional() && open < 0:
			all = append(all, txnRef{producer: v.ProducerID(), first: v.BaseOffset(), last: -1})
		}
	}
	return all
}

// stable is the last stable offset by definition (I59).
func (m *txnModel) stable(l *Log, all []txnRef) core.Offset {
	stable := l.high
	for _, x := range all {
		if x.last < 0 || x.last >= m.highest {
			stable = min(stable, x.first)
		}
	}
	return max(stable, l.start)
}

// agree compares a log with a walk over its batches: I59, I10 and what a reader is told of aborts (I60).
func (m *txnModel) agree(t *rapid.T, w *world, l *Log, batches [][]byte) {
	all := txnsOf(batches)
	if m.highest = max(m.highest, l.high); m.highest >= m.loaded {
		require.Equal(t, m.stable(l, all), l.LastStable(), "I59")
	} else {
		require.LessOrEqual(t, l.LastStable(), m.stable(l, all), "I59")
	}
	aborted := slices.DeleteFunc(slices.Clone(all), func(x txnRef) bool { return !x.aborted })
	slices.SortFunc(aborted, func(a, b txnRef) int { return int(a.last - b.last) })
	for range 5 {
		from := core.Offset(rapid.Int64Range(int64(l.start), int64(l.end)).Draw(t, "from"))
		to := core.Offset(rapid.Int64Range(int64(from), int64(l.end)).Draw(t, "to"))
		var want, got []txnRef
		for _, x := range aborted {
			if x.first < to && x.last >= from {
				want = append(want, x)
			}
		}
		list, whole := l.Aborted(from, to, len(want))
		require.True(t, whole)
		for _, a := range list {
			got = append(got, txnRef{a.ProducerID, a.First, a.Last, true})
		}
		require.Equal(t, want, got, "I60: aborted in [%d, %d)", from, to)
	}
	for i, g := range l.segs {
		if i == len(l.segs)-1 {
			break
		}
		_, _, n := w.lookup(segmentPath(l.dir, g.base, ".txnindex"))
		require.Equal(t, g.txn, n != nil, "I10")
		if n != nil {
			require.Equal(t, formatTxnIndex(g.aborts), append([]byte{}, n.data...), "I10")
		} else {
			require.Empty(t, g.aborts, "I10")
		}
	}
}

func (m *txnModel) restarted(l *Log) { m.highest, m.loaded = l.high, l.end }

// spoil damages what can be made anew from the log and its snapshots.
func (m *txnModel) spoil(t *rapid.T, w *world) {
	if rapid.IntRange(0, 2).Draw(t, "spoil") > 0 {
		return
	}
	_, _, dir := w.lookup("d/t-0")
	if dir == nil {
		return
	}
	var names []string
	for name := range dir.entries {
		if strings.HasSuffix(name, ".txnindex") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	name := rapid.SampledFrom(names).Draw(t, "index")
	n := dir.entries[name]
	if rapid.Bool().Draw(t, "remove") { // all three, as operators do
		for _, suffix := range []string{".index", ".timeindex", ".txnindex"} {
			file := strings.TrimSuffix(name, ".txnindex") + suffix
			delete(dir.entries, file)
			delete(dir.platter, file)
		}
		return
	}
	n.data = append(slices.Clone(n.data), 1)
	n.synced = slices.Clone(n.data)
}

const firstTransactional = 10 // producer ids from here on write transactions

// transact appends a batch of a transaction.
func (x *machine) transact(t *rapid.T) {
	l := x.log()
	id := rapid.Int64Range(firstTransactional, firstTransactional+2).Draw(t, "producer")
	n := rapid.IntRange(1, 3).Draw(t, "records")
	p := batch.Producer{ID: id, Epoch: x.m.txns.epochs[id], Sequence: x.m.sequence[id]}
	v := makeTxnBatch(n, x.w.now.Wall.Millis(), p, "in a transaction")
	if l.Online() {
		require.Equal(t, NewBatch, x.w.s.CheckProducer(x.id, v, 0).State)
	}
	base, err := x.w.s.Append(x.w.now, x.id, v, x.epoch, &x.w.out)
	if err != AppendOK {
		require.True(t, !l.Online() || x.m.cutting, err.String())
		return
	}
	require.Equal(t, x.m.end(), base)
	x.m.batches = append(x.m.batches, v)
	x.m.sequence[id] = batch.AddSequence(p.Sequence, int32(n))
	x.w.gather()
}

// marker ends a producer's transaction, if it has one.
func (x *machine) marker(t *rapid.T) {
	l := x.log()
	id := rapid.Int64Range(firstTransactional, firstTransactional+2).Draw(t, "producer")
	m := MarkerFacts{ProducerID: id, ProducerEpoch: x.m.txns.epochs[id], CoordinatorEpoch: 3, Commit: rapid.Bool().Draw(t, "commit"), Timestamp: x.w.now.Wall.Millis()}
	if rapid.Bool().Draw(t, "bump") {
		m.ProducerEpoch, m.Version = m.ProducerEpoch+1, 2
	}
	base, err := x.w.s.AppendMarker(x.w.now, x.id, m, x.epoch, &x.w.out)
	if err != AppendOK {
		require.True(t, !l.Online() || x.m.cutting, err.String())
		return
	}
	require.Equal(t, x.m.end(), base)
	for i := range x.w.out.Effects {
		e := &x.w.out.Effects[i]
		if v, _, is := batch.First(e.Data); e.Kind == core.Write && is == batch.Good && v.BaseOffset() == base {
			x.m.batches = append(x.m.batches, v)
		}
	}
	require.Equal(t, x.m.end(), base+1)
	if m.ProducerEpoch > x.m.txns.epochs[id] {
		x.m.sequence[id] = 0
	}
	x.m.txns.epochs[id] = m.ProducerEpoch
	x.w.gather()
}

// makeTxnBatch builds a transactional batch of n records.
func makeTxnBatch(n int, ts int64, p batch.Producer, value string) batch.View {
	b := batch.NewBuilder(batch.Options{Producer: &p, Transactional: true})
	for i := range n {
		b.Add(ts+int64(i), nil, []byte(value), nil)
	}
	return b.Finish(0)
}
