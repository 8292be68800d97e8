package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/batch"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnRecord sends one record of a transaction of producer 7, whose transactions nobody verifies.
func (r *replicas) txnRecord(value string, epoch int16) {
	r.t.Helper()
	at := r.leader("t", 0)
	q := r.record(at, value, acksAll)
	bl := batch.NewBuilder(batch.Options{LeaderEpoch: -1, Transactional: true, Producer: &batch.Producer{ID: 7, Epoch: epoch}})
	bl.Add(r.nodes[at].now.Wall.Millis(), []byte(value), []byte(value), nil)
	id := "x"
	q.TransactionID, q.Topics[0].Partitions[0].Records = &id, bl.Finish(0)
	require.Zero(r.t, r.call(at, "PLAINTEXT", 9, q).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

// txnEnd writes its marker.
func (r *replicas) txnEnd(commit bool, epoch int16) {
	r.t.Helper()
	q, m, topic := kmsg.NewPtrWriteTxnMarkersRequest(), kmsg.NewWriteTxnMarkersRequestMarker(), kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	topic.Topic, topic.Partitions = "t", []int32{0}
	m.ProducerID, m.ProducerEpoch, m.Committed, m.Topics = 7, epoch, commit, append(m.Topics, topic)
	q.Markers = append(q.Markers, m)
	require.Zero(r.t, r.call(r.leader("t", 0), "PLAINTEXT", 1, q).(*kmsg.WriteTxnMarkersResponse).Markers[0].Topics[0].Partitions[0].ErrorCode)
}

// A follower falls silent with the records of a transaction that is not ended. When it is back, its leader's log has been cleaned: of the
// transaction that was aborted nothing is left, not even which way it went. The follower gives its records up, or it would take the
// producer's next marker for theirs. Those of one that was committed it keeps.
func TestFollowerIsCutBackWhereTheEndWasCleanedAway(t *testing.T) {
	for _, c := range []struct {
		name         string
		commit, more bool
		markers      int // that the leader has in the end
		kept         []string
	}{
		{"the shell of the marker", false, false, 0, nil},
		{"the producer has gone on", false, true, 1, []string{"later"}},
		{"committed", true, true, 2, []string{"x", "later"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReplicas(t, 3, "transaction.partition.verification.enable=false\nreplica.lag.time.max.ms=1000\nlog.cleaner.backoff.ms=20\nlog.flush.offset.checkpoint.interval.ms=50\n",
				"cleanup.policy=compact", "delete.retention.ms=0", "min.cleanable.dirty.ratio=0.01", "internal.segment.bytes=500", "min.insync.replicas=2")
			r.keyed = true
			r.mustProduce("a")
			r.txnRecord("x", 0)
			r.mustProduce("z")
			r.converge(5 * core.Second)
			away := r.follower()
			r.kill(away)
			r.until("it has left", 20*core.Second, func() bool { return len(r.hosted(r.leader("t", 0), "t", 0).leader.ISR()) == 2 })
			r.mustProduce("same")
			r.txnEnd(c.commit, 1)
			if c.more {
				r.mustProduce("b")
				r.txnRecord("later", 1)
				r.txnEnd(true, 2)
			}
			at := r.leader("t", 0)
			l := r.nodes[at].b.store.Log(r.hosted(at, "t", 0).log)
			for range 20 { // each clean needs dirt
				r.mustProduce("same")
				r.mustProduce("same")
				r.advance(200 * core.Millisecond)
			}
			left := values(t, r.bytes(at, "t"))
			require.Equal(t, c.commit, slices.Contains(left, "x"), "%q", left)
			markers := slices.DeleteFunc(slices.Clone(left), func(v string) bool { return !strings.HasPrefix(v, "\x00") })
			require.Len(t, markers, c.markers, "%q", left)

			r.restart(away)
			r.until("it is in sync", 30*core.Second, func() bool { h := r.hosted(r.leader("t", 0), "t", 0); return len(h.leader.ISR()) == 3 })
			r.advance(core.Second)
			mine := r.nodes[away].b.store.Log(r.hosted(away, "t", 0).log)
			require.Equal(t, l.End(), mine.End())
			require.Equal(t, mine.End(), mine.LastStable())
			_, open := mine.OpenFrom(0)
			require.False(t, open)
			got := values(t, r.bytes(away, "t"))
			for _, v := range []string{"x", "later"} {
				require.Equal(t, slices.Contains(c.kept, v), slices.Contains(got, v), "%q", got)
			}
			require.NotZero(t, r.nodes[away].marks.Count("broker.replica-doubts"))
			require.Equal(t, !c.commit, r.nodes[away].marks.Count("broker.replica-cut-back") > 0)
		})
	}
}

// Likewise one whose log is damaged from behind such records on: it has fetched the marker once, and fetches it again. What is cut
// was synced here, so before that the metadata have the replica as one that has lost its records.
func TestDamagedFollowerIsCutBack(t *testing.T) {
	r := newReplicas(t, 3, "transaction.partition.verification.enable=false\nreplica.lag.time.max.ms=1000\nlog.cleaner.backoff.ms=20\nlog.flush.offset.checkpoint.interval.ms=50\n",
		"cleanup.policy=compact", "delete.retention.ms=0", "min.cleanable.dirty.ratio=0.01", "internal.segment.bytes=500", "min.insync.replicas=2")
	r.keyed = true
	r.mustProduce("a")
	r.txnRecord("x", 0)
	for _, v := range []string{"same", "same"} {
		r.mustProduce(v)
	}
	r.txnEnd(false, 1)
	r.converge(5 * core.Second)
	r.advance(core.Second)
	away := r.follower()
	r.kill(away)
	r.until("it has left", 20*core.Second, func() bool { return len(r.hosted(r.leader("t", 0), "t", 0).leader.ISR()) == 2 })
	at := 0
	for rest := r.bytes(away, "t"); len(rest) > 0; {
		v, more, _ := batch.First(rest)
		if v.BaseOffset() >= 2 {
			r.damage(away, "00000000000000000000", at+batch.HeaderBytes)
		}
		at, rest = at+v.Size(), more
	}
	for i := range 20 { // nothing behind the marker is left out
		r.mustProduce(fmt.Sprint("b", i))
		r.mustProduce(fmt.Sprint("c", i))
		r.advance(200 * core.Millisecond)
	}
	r.restart(away)
	lost := false
	r.until("it is in sync", 30*core.Second, func() bool {
		if x := r.nodes[away].b.img; x != nil && x.Partition("t", 0) != nil {
			lost = lost || r.nodes[away].b.directoryIn(x.Partition("t", 0)) == dirLost
		}
		return len(r.hosted(r.leader("t", 0), "t", 0).leader.ISR()) == 3
	})
	r.advance(core.Second)
	mine := r.nodes[away].b.store.Log(r.hosted(away, "t", 0).log)
	require.True(t, lost)
	require.Equal(t, mine.End(), mine.LastStable())
	_, open := mine.OpenFrom(0)
	require.False(t, open)
	require.NotContains(t, values(t, r.bytes(away, "t")), "x")
	require.NotZero(t, r.nodes[away].marks.Count("broker.replica-cut-back"))
}
