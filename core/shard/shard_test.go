package shard

import (
	"testing"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var offsets = core.TopicPartition{Topic: "__consumer_offsets", Partition: 3}

// An order to unload that belongs to an older leadership than the one that is loaded must not undo it, and
// neither must an old order to load (KAFKA-10614).
func TestOldOrdersAreIgnored(t *testing.T) {
	var out core.Out
	marks := core.Marks{}
	out.Marks = &marks
	s := Shard{partition: offsets, epoch: 7, phase: Active}
	require.False(t, s.Unload(6, &out))
	require.Equal(t, Active, s.Phase())
	require.False(t, s.Load(core.Now{}, nil, 0, 6, &out))
	require.False(t, s.Load(core.Now{}, nil, 0, 7, &out), "a second order to load what is loaded")
	require.Equal(t, Active, s.Phase())
	require.Equal(t, []string{"shard.stale-load", "shard.stale-unload"}, marks.Names())
	require.True(t, s.Unload(8, &out))
	require.Equal(t, Unloaded, s.Phase())
	require.False(t, s.Load(core.Now{}, nil, 0, 7, &out), "the leadership of epoch 7 is over")
	require.False(t, s.Unload(9, &out), "there is nothing left to empty")
	require.Equal(t, core.Epoch(9), s.Epoch())
}

// build makes batches of n records each; every other one is a control batch, of which a replay sees nothing.
func build(sizes []int, from core.Offset) (b []byte, keys []string, end core.Offset) {
	end = from
	for i, n := range sizes {
		control := i%3 == 2
		x := batch.NewBuilder(batch.Options{Control: control})
		for k := range n {
			key := []byte{byte('a' + i), byte('0' + k)}
			x.Add(1, key, []byte("v"), nil)
			if !control {
				keys = append(keys, string(key))
			}
		}
		v := x.Finish(end)
		b = append(b, v...)
		end += core.Offset(n)
	}
	return b, keys, end
}

// A replay hands out each record once, in order, whatever pieces its bytes come in, and ends Active exactly when
// all has been handed out.
func TestReplayInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out core.Out
		all, want, until := build(rapid.SliceOfN(rapid.IntRange(1, 4), 0, 6).Draw(t, "sizes"), core.Offset(rapid.IntRange(0, 9).Draw(t, "from")))
		s := Shard{partition: offsets, phase: Loading, until: until, reading: true, ticket: 5}
		var got []string
		for s.Phase() == Loading && len(all) > 0 {
			n := rapid.IntRange(1, 3).Draw(t, "batches")
			var piece []byte
			for ; n > 0 && len(all) > 0; n-- {
				v, rest, verdict := batch.First(all)
				require.Equal(t, batch.Good, verdict)
				piece, all = append(piece, v...), rest
			}
			s.Changed(&log.Change{What: log.Bytes, Ticket: 4}, &out) // of an older read
			s.Changed(&log.Change{What: log.Bytes, Ticket: 5, Data: piece}, &out)
			s.reading = true // the store is not asked: the test brings the bytes
			var r batch.Record
			for s.Next(core.Now{}, nil, &r, &out) {
				require.False(t, s.Finish(), "in the middle of a batch")
				got = append(got, string(r.Key))
			}
			require.Equal(t, len(all) == 0 && s.next == until, s.Finish())
		}
		if until == 0 || s.Phase() == Loading {
			s.next = s.until
			require.True(t, s.Finish())
		}
		require.False(t, s.Finish(), "only once")
		require.Equal(t, want, got)
		require.Equal(t, Active, s.Phase())
	})
}

// Bytes that are no batch, a wrong checksum, a failed read: the shard fails and says so; it serves nothing.
func TestReplayOfDamage(t *testing.T) {
	good, _, until := build([]int{2, 2}, 0)
	for name, c := range map[string]log.Change{
		"cut":   {Data: good[:len(good)-1]},
		"flip":  {Data: append(append([]byte{}, good[:len(good)-1]...), good[len(good)-1]^1)},
		"error": {Err: core.IOError},
	} {
		var out core.Out
		s := Shard{partition: offsets, phase: Loading, until: until, reading: true, ticket: 1}
		c.What, c.Ticket = log.Bytes, 1
		s.Changed(&c, &out)
		var r batch.Record
		for s.Next(core.Now{}, nil, &r, &out) {
		}
		require.Equal(t, Failed, s.Phase(), name)
		require.False(t, s.Finish(), name)
		require.Len(t, out.Effects, 1, "%s: a note", name)
	}
}

func TestEncode(t *testing.T) {
	s := Shard{partition: offsets, epoch: 4, phase: Loading}
	records := []Record{{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("gone")}}
	_, code := s.Encode(core.Now{}, batch.None, records, 1000)
	require.Equal(t, wire.NotCoordinator, code, "a shard that loads decides nothing")
	s.phase = Active
	b, code := s.Encode(core.Now{Wall: 5 * core.Second}, batch.None, records, 1000)
	require.Equal(t, wire.None, code)
	v, rest, verdict := batch.First(b)
	require.Equal(t, batch.Good, verdict)
	require.Empty(t, rest)
	require.True(t, v.CheckCRC())
	require.Equal(t, core.Epoch(4), v.LeaderEpoch())
	require.Equal(t, int64(5000), v.MaxTimestamp())
	reader, verdict := batch.Read(v, 1000)
	require.Equal(t, batch.Good, verdict)
	var r batch.Record
	require.True(t, reader.Next(&r))
	require.Equal(t, "v", string(r.Value))
	require.True(t, reader.Next(&r))
	require.Nil(t, r.Value)
	_, code = s.Encode(core.Now{}, batch.None, []Record{{Key: make([]byte, 2000)}}, 1000)
	require.Equal(t, wire.MessageTooLarge, code)
}
